//! Browsers that hibernate are woken up.

use std::io::{Read, Write};
use std::net::TcpListener;

use tungstenite::Message;

use super::{CONNECT, Control, PATIENCE, text};

#[test]
fn whoever_wakes_up_browsers_is_told_who_is_wanted_and_by_whom() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/wake?key=1", server.local_addr().unwrap());
    let control = Control::with("push", |config| {
        config.applications.get_mut("demo").unwrap().push = Some(url);
    });
    let mut alice = control.browser();
    let connect: serde_json::Value = serde_json::from_str(CONNECT).unwrap();
    let mut say = |frame: serde_json::Value| alice.send(Message::text(frame.to_string())).unwrap();
    let mut first = connect.clone();
    first["payload"]["device"]["token"] = "t0k3n".into();
    say(first);
    let mut sleeps = connect.clone();
    sleeps["control"]["sequence"] = 2.into();
    sleeps["header"]["action"] = "hibernate".into();
    say(sleeps);
    let granted = text(&mut alice);
    let session = serde_json::from_str::<serde_json::Value>(&granted).unwrap();
    let session = session["control"]["session_id"]
        .as_str()
        .unwrap()
        .to_owned();
    text(&mut alice);
    super::close_normally(&mut alice);

    let mut bob = control.browser();
    bob.send(Message::text(CONNECT.replace("alice", "bob")))
        .unwrap();
    text(&mut bob);
    let hello = r#"{"control":{"type":"request","package_type":"messaging","subsession_id":"m","sequence":2},
        "header":{"action":"send","target":"alice"},"payload":{"content":"a secret"}}"#;
    bob.send(Message::text(hello)).unwrap();
    let (mut stream, _) = server.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut told = String::new();
    while !told.ends_with('}') {
        let mut octets = [0; 4096];
        let length = stream.read(&mut octets).unwrap();
        told.push_str(std::str::from_utf8(&octets[..length]).unwrap());
    }
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /wake?key=1 HTTP/1.1\r\n"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let expected = serde_json::json!({
        "session_id": session, "user": "alice@localhost", "initiator": "bob@localhost",
        "package_type": "messaging", "device": {"token": "t0k3n"},
    });
    assert_eq!(body, expected, "and nothing of what was said");
}

#[test]
fn where_a_push_server_is_must_be_a_url() {
    let change = |config: &mut crate::config::Config| {
        config.applications.get_mut("demo").unwrap().push = Some("https://x.example/".into());
    };
    let started = std::panic::catch_unwind(|| Control::with("push-url", change));
    let why = started.err().unwrap();
    let why = why.downcast_ref::<String>().unwrap();
    assert!(why.contains("https://x.example/"), "{why}");
}
