//! Packages that change under a control that runs.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use super::{CONNECT, Control, PATIENCE, text};
use crate::edge::ask;

/// A control with a package `register` of an operator.
struct Operated {
    control: Control,
    folder: PathBuf,
}

impl Operated {
    fn new(name: &str) -> Operated {
        let folder = format!("causeway-operated-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(folder.join("register")).unwrap();
        write(&folder, &greets("one"));
        let control = Control::with_packages(name, folder.clone());
        Operated { control, folder }
    }

    fn ask(&self, method: &str, target: &str) -> Result<String, String> {
        let mut answer = Vec::new();
        let admin = self.control.admin.unwrap();
        ask(admin, method, target, &mut answer)?;
        Ok(String::from_utf8(answer).unwrap())
    }

    fn reload(&self) -> Result<(), String> {
        self.ask("POST", "/scripts/reload").map(drop)
    }

    /// The word that a browser of this user is greeted with.
    fn greeting(&self, user: &str) -> String {
        let mut socket = self.control.browser();
        socket.send(CONNECT.replace("alice", user).into()).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text(&mut socket)).unwrap();
        answer["header"]["greeting"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Drop for Operated {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn greets(word: &str) -> String {
    format!(
        "fn from_app_connect_request(context) {{
            let response = context.webFactory.createWebResponse(\"connect\");
            response.header.greeting = \"{word}\";
            response.header.response_code = 200;
            response.send();
        }}"
    )
}

fn write(folder: &std::path::Path, script: &str) {
    std::fs::write(folder.join("register/register.rhai"), script).unwrap();
}

#[test]
fn what_is_read_anew_holds_from_the_next_message_on_and_what_is_broken_is_refused() {
    let operated = Operated::new("asked");
    assert_eq!(operated.greeting("alice"), "one");
    write(&operated.folder, &greets("two"));
    operated.reload().unwrap();
    assert_eq!(operated.greeting("alice"), "two");
    write(
        &operated.folder,
        "\nfn from_app_connect_request(context) { let }",
    );
    let refused = operated.reload().unwrap_err();
    assert!(
        refused.starts_with("register/register.rhai:2:"),
        "{refused}"
    );
    assert_eq!(operated.greeting("alice"), "two", "those in use stay");
    let page = operated.ask("GET", "/metrics").unwrap();
    assert!(
        page.contains("causeway_script_reloads_refused_total 1\n"),
        "{page}"
    );
}

#[test]
fn a_file_that_changes_is_enough() {
    let operated = Operated::new("changed");
    write(&operated.folder, &greets("another"));
    let start = std::time::Instant::now();
    // Each time by somebody else: one user has so many sessions at most.
    for number in 0.. {
        if operated.greeting(&format!("user{number}")) == "another" {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "it was never read");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_script_that_loops_costs_only_its_own_message() {
    let operated = Operated::new("loops");
    let script = greets("well").replace(
        "let response",
        "if context.user.starts_with(\"alice\") { loop {} } let response",
    );
    write(&operated.folder, &script);
    operated.reload().unwrap();
    let answer_to = |connect: &str| {
        let mut socket = operated.control.browser();
        socket.send(connect.to_owned().into()).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text(&mut socket)).unwrap();
        answer["header"].clone()
    };
    assert_eq!(answer_to(CONNECT)["error_code"], 503);
    assert_eq!(
        answer_to(&CONNECT.replace("alice", "bob"))["greeting"],
        "well"
    );
}

#[test]
fn who_watches_sees_a_line_for_each_message_of_the_user() {
    let operated = Operated::new("watched");
    let mut stream = TcpStream::connect(operated.control.admin.unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(b"GET /scripts/trace?user=alice@localhost HTTP/1.0\r\n\r\n")
        .unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("HTTP/1.0 200 OK"));
    // The watch is set once the head is here; whoever comes now is seen.
    for line in lines.by_ref() {
        if line.is_empty() {
            break;
        }
    }
    let mut other = operated.control.browser();
    other.send(CONNECT.replace("alice", "bob").into()).unwrap();
    text(&mut other);
    operated.greeting("alice");
    let line = lines.next().unwrap();
    let case: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(case["when"]["criterion"], "FROM_APP/connect/request");
    assert_eq!(case["when"]["user"], "alice@localhost");
    assert_eq!(case["then"][0]["web"]["header"]["greeting"], "one");
}

#[test]
fn a_control_that_is_not_there_is_told_with_its_setting() {
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let told = ask(nowhere, "GET", "/healthz", &mut Vec::new()).unwrap_err();
    assert!(told.contains("admin.listen"), "{told}");
}
