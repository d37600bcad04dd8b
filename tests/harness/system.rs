//! The whole system as processes: control as its configuration file says, and a relay.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::process::{fresh_folder, ports, program};

/// The name of the configuration in its folder.
const CONFIG: &str = "causeway.toml";

/// A program that ends with the test.
pub struct Running(pub Child);

impl Running {
    /// Asks it to end, and waits until it has.
    pub fn end(&mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.0);
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        self.0.wait().expect("it is our child")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// `causeway run` and its relay.
pub struct Causeway {
    control: Running,
    _relay: Running,
    folder: PathBuf,
    /// Where browsers come to.
    pub http: String,
    /// Where SIP peers come to.
    pub sip: String,
}

impl Causeway {
    /// Starts both for users of `ims.test`. `more` is what else the configuration says, its first lines about
    /// the application `demo`.
    pub fn start(more: &str) -> Causeway {
        let folder = fresh_folder("causeway");
        let socket = folder.join("relay.sock");
        let mut relay = Command::new(program("causeway-relay"))
            .args(["--cores", "0", "--ports", &ports(), "--socket"])
            .arg(&socket)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the relay starts");
        let output = relay.stdout.take().expect("its output is ours");
        let relay = Running(relay);
        let line = wait_for(output, "ready");
        assert!(line.contains("shard"), "{line}");
        let text = format!(
            "domain = \"ims.test\"\n[http]\nlisten = \"127.0.0.1:0\"\n[relay]\nsocket = \"{}\"\n\
             [legs.browser]\ntransport = \"ws\"\n[applications.demo]\n{more}",
            socket.display()
        );
        fs::write(folder.join(CONFIG), text).expect("a file");
        let (control, http, sip) = control(&folder);
        Causeway {
            control,
            _relay: relay,
            folder,
            http,
            sip,
        }
    }

    /// Kills control as the kernel does, and starts another one at the same places. What is kept is in the configuration's
    /// `state.folder`.
    pub fn kill_control(&mut self) {
        self.control.0.kill().expect("it is our child");
        self.control.0.wait().expect("it is our child");
        let path = self.folder.join(CONFIG);
        let mut text = fs::read_to_string(&path).expect("a file");
        for place in [&self.http, &self.sip] {
            text = text.replacen("127.0.0.1:0", place, 1);
        }
        fs::write(&path, text).expect("a file");
        (self.control, self.http, self.sip) = control(&self.folder);
    }

    /// Starts a simulated handset of this user, and waits until it is registered.
    pub fn handset(&self, user: &str, more: &[&str]) -> Running {
        let aor = format!("sip:{user}@ims.test");
        let mut handset = Command::new(program("causeway-bench"))
            .args(["handset", "--json", "--registrar", &self.sip, "--aor", &aor])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the handset starts");
        wait_for(
            handset.stdout.take().expect("its output is ours"),
            "registered",
        );
        Running(handset)
    }

    /// Ends control, which says good-bye to everybody.
    pub fn stop(mut self) {
        assert!(self.control.end().success());
    }
}

impl Drop for Causeway {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Starts control with the configuration in this folder: where it serves browsers, and where SIP peers.
fn control(folder: &Path) -> (Running, String, String) {
    let config = folder.join(CONFIG);
    let mut control = Command::new(program("causeway"))
        .args(["run".as_ref(), "--config".as_ref(), config.as_os_str()])
        .env("NO_COLOR", "1")
        .stderr(Stdio::piped())
        .spawn()
        .expect("control starts");
    let output = control.stderr.take().expect("its output is ours");
    let control = Running(control);
    let mut lines = BufReader::new(output).lines();
    let (mut serving, mut attached) = (String::new(), false);
    while serving.is_empty() || !attached {
        let line = lines.next().expect("control serves").expect("text");
        assert!(!line.starts_with("error"), "{line}");
        // Before that it answers every call with 503.
        attached |= line.contains("the relay's sessions are known");
        if line.contains(" serving ") {
            serving = line;
        }
    }
    // Its pipe must not run full, and what it says belongs to the output of a test that fails.
    std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .for_each(|line| eprintln!("{line}"))
    });
    let named = |name: &str| {
        let word = serving
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name));
        word.expect("the address").to_owned()
    };
    (control, named("http="), named("sip="))
}

/// The first line that contains `words`; what comes after it is read and forgotten.
fn wait_for(output: impl std::io::Read + Send + 'static, words: &str) -> String {
    let mut lines = BufReader::new(output).lines();
    let found = lines.find_map(|line| line.ok().filter(|line| line.contains(words)));
    std::thread::spawn(move || lines.for_each(drop));
    found.unwrap_or_else(|| panic!("a program ended without saying {words}"))
}
