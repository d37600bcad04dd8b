//! `causeway dev`: the whole system on this machine, with nothing installed.
//!
//! The relay and the handsets are children; control runs in this process. Children do not outlive it:
//! each is started by way of [`leash`], which ties its life to ours.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{Listener, Server, StartError};
use crate::config::{Application, Config, Ice, Limits, legs_in_the_clear};

/// How long a child may take to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a child may take to end when it is asked to.
const END_TIMEOUT: Duration = Duration::from_secs(3);

/// What `causeway dev` was told.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Where browsers come to.
    pub http: SocketAddr,
    /// Where SIP peers come to.
    pub sip: SocketAddr,
    /// The relay's ports, first and last.
    pub media_ports: String,
    /// Whether bob and carol are there.
    pub handsets: bool,
    /// Serve SDK and demo from this folder.
    pub sdk_folder: Option<PathBuf>,
}

/// Why it ended, or did not start. One sentence that says what to do.
#[derive(Debug)]
pub struct Trouble(String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

/// A simulated handset.
struct Handset {
    name: &'static str,
    does: &'static str,
    arguments: &'static [&'static str],
}

const HANDSETS: [Handset; 3] = [
    Handset {
        name: "bob",
        does: "sends back what you write",
        arguments: &["--wrap", "--echo"],
    },
    Handset {
        name: "carol",
        does: "says hello and answers",
        arguments: &[
            "--wrap",
            "--say",
            "Hello, this is carol.",
            "--reply",
            "Nice to hear from you!",
            "--reply",
            "I am only a simulated handset, but I am listening.",
            "--reply",
            "That is all I know to say. From here on I start again.",
        ],
    },
    Handset {
        name: "conference-factory",
        does: "makes groups",
        arguments: &["--focus"],
    },
];

/// Runs everything until `ended` is, or a part fails. Must be called on the main thread: the children's
/// lives are tied to the thread that starts them.
///
/// # Errors
/// What did not start, or which part ended by itself.
pub async fn run(wishes: &Wishes, ended: impl Future<Output = ()>) -> Result<(), Trouble> {
    let folder = TemporaryFolder::make()?;
    let mut system = System {
        relay: None,
        server: None,
        handsets: Vec::new(),
    };
    let socket = folder.0.join("relay.sock");
    let mut ended = pin!(ended);
    let result = tokio::select! {
        started = system.start(wishes, &socket) => started.map(|()| true),
        () = &mut ended => Ok(false),
    };
    let result = match result {
        Ok(true) => {
            system.announce(wishes);
            tokio::select! {
                trouble = system.failed() => Err(trouble),
                () = &mut ended => Ok(()),
            }
        }
        Ok(false) => Ok(()),
        Err(trouble) => Err(trouble),
    };
    system.end().await;
    result
}

/// What runs.
struct System {
    relay: Option<Process>,
    server: Option<Server>,
    handsets: Vec<Process>,
}

impl System {
    async fn start(&mut self, wishes: &Wishes, socket: &Path) -> Result<(), Trouble> {
        let core = last_core().to_string();
        let socket_text = socket.display().to_string();
        let arguments = [
            "--socket",
            &socket_text,
            "--cores",
            &core,
            "--address",
            "127.0.0.1",
            "--advertise",
            "127.0.0.1",
            "--ports",
            &wishes.media_ports,
        ];
        let relay = self
            .relay
            .insert(Process::start("the relay", "causeway-relay", &arguments)?);
        relay.wait_for("ready").await?;

        let config = config(wishes, socket);
        let server = Server::start(&config)
            .await
            .map_err(|error| not_started(&error))?;
        let sip = self.server.insert(server).sip.to_string();

        for handset in HANDSETS.iter().filter(|_| wishes.handsets) {
            let aor = format!("sip:{}@localhost", handset.name);
            let mut arguments = vec!["handset", "--aor", &aor, "--registrar", &sip];
            arguments.extend(handset.arguments);
            self.handsets
                .push(Process::start(handset.name, "causeway-bench", &arguments)?);
        }
        for handset in &mut self.handsets {
            handset.wait_for("registered").await?;
        }
        for process in self.processes() {
            process.drain();
        }
        Ok(())
    }

    /// Says on stdout where everything is.
    fn announce(&self, wishes: &Wishes) {
        let Some(server) = &self.server else { return };
        let host = match server.http.ip() {
            ip if ip.is_loopback() => "localhost".to_owned(),
            ip => ip.to_string(),
        };
        let mut text = format!(
            "Causeway is running.\n\n  demo page  http://{host}:{}/demo/\n  SIP        {}, UDP \
             and TCP, domain localhost\n",
            server.http.port(),
            server.sip
        );
        for handset in HANDSETS.iter().filter(|_| wishes.handsets) {
            text += &format!("  handset    {}: {}\n", handset.name, handset.does);
        }
        text += "\nCtrl-C ends it.\n";
        // Whoever started this may have heard enough; it runs all the same.
        let _ = io::stdout().write_all(text.as_bytes());
    }

    /// Waits until a part ends by itself.
    async fn failed(&mut self) -> Trouble {
        let Some(server) = self.server.as_mut() else {
            return std::future::pending().await;
        };
        let children = self.relay.iter_mut().chain(&mut self.handsets);
        let exits = children.map(|process| Box::pin(process.exit()));
        tokio::select! {
            (trouble, ..) = futures_util::future::select_all(exits) => trouble,
            () = server.failed() => Trouble("control itself failed; the lines above say why".into()),
        }
    }

    fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        self.relay.iter_mut().chain(&mut self.handsets)
    }

    /// Ends every part: first the handsets, which take leave of control, then control, which says
    /// good-bye to all browsers, then the relay.
    async fn end(mut self) {
        for handset in &mut self.handsets {
            handset.say("quit").await;
        }
        for handset in &mut self.handsets {
            handset.leave().await;
        }
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        if let Some(relay) = &mut self.relay {
            relay.end().await;
        }
    }
}

/// A child.
struct Process {
    name: &'static str,
    child: Child,
    /// Apart from `child`: waiting for a child closes what it still has of its stdin.
    stdin: Option<ChildStdin>,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Process {
    /// Starts a program that lies beside ours.
    fn start(name: &'static str, program: &str, arguments: &[&str]) -> Result<Process, Trouble> {
        let own = std::env::current_exe()
            .map_err(|error| Trouble(format!("can't find this program on the disk: {error}")))?;
        let path = own.with_file_name(program);
        if !path.exists() {
            return Err(missing(&path, program));
        }
        let mut child = Command::new(&own)
            .arg("leash")
            .arg(std::process::id().to_string())
            .arg(&path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A Ctrl-C at the terminal is for us; we end the children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Trouble(format!("{} does not start: {error}", path.display())))?;
        let lines = child
            .stdout
            .take()
            .map(|stdout| BufReader::new(stdout).lines());
        let stdin = child.stdin.take();
        Ok(Process {
            name,
            child,
            stdin,
            lines,
        })
    }

    /// Waits for a line on its stdout that has this word.
    async fn wait_for(&mut self, word: &str) -> Result<(), Trouble> {
        let found = async {
            let lines = self.lines.as_mut()?;
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains(word) {
                    return Some(());
                }
            }
            None
        };
        let name = self.name;
        match tokio::time::timeout(READY_TIMEOUT, found).await {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(self.exit().await),
            Err(_) => {
                let seconds = READY_TIMEOUT.as_secs();
                Err(Trouble(format!(
                    "{name} was not ready within {seconds} s; was it built with the rest?"
                )))
            }
        }
    }

    /// Lets it print what it likes from here on.
    fn drain(&mut self) {
        if let Some(mut lines) = self.lines.take() {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        }
    }

    /// Waits until it ends, and says so.
    async fn exit(&mut self) -> Trouble {
        let name = self.name;
        match self.child.wait().await {
            Ok(status) => Trouble(format!("{name} has ended ({})", ended_how(status))),
            Err(error) => Trouble(format!("{name} is lost: {error}")),
        }
    }

    /// A line on its stdin.
    async fn say(&mut self, line: &str) {
        if let Some(stdin) = &mut self.stdin {
            // It may be gone already.
            let _ = stdin.write_all(format!("{line}\n").as_bytes()).await;
            let _ = stdin.flush().await;
        }
    }

    /// Waits until it ends, as it was told to; makes it end if it does not.
    async fn leave(&mut self) {
        if tokio::time::timeout(END_TIMEOUT, self.child.wait())
            .await
            .is_err()
        {
            self.end().await;
        }
    }

    /// Asks it to end, waits, and kills it if it does not.
    async fn end(&mut self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id as i32));
        if let Some(pid) = pid {
            // Not reaped yet, so the number is still its own. An error: it has ended by itself.
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(END_TIMEOUT, self.child.wait())
            .await
            .is_err()
        {
            tracing::warn!("{} does not end and is killed", self.name);
            let _ = self.child.kill().await;
        }
    }
}

/// Becomes `program`, after having asked the kernel to end it when our parent does. For children only:
/// `causeway leash PARENT PROGRAM ARGUMENT…`. Returns only if that is not possible.
pub fn leash(parent: i32, program: &Path, arguments: &[std::ffi::OsString]) -> io::Error {
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    if rustix::process::getppid() != Pid::from_raw(parent) {
        return io::Error::other("whoever started this program has ended");
    }
    std::process::Command::new(program).args(arguments).exec()
}

/// A folder that is gone when we are.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn make() -> Result<TemporaryFolder, Trouble> {
        let path = std::env::temp_dir().join(format!("causeway-dev-{}", std::process::id()));
        // Left behind by a former process of this number.
        let _ = std::fs::remove_dir_all(&path);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| {
            Trouble(format!("can't make the folder {}: {error}", path.display()))
        })?;
        Ok(TemporaryFolder(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!("{} was not removed: {error}", self.0.display());
        }
    }
}

fn config(wishes: &Wishes, socket: &Path) -> Config {
    let application = || (String::from("demo"), Application::default());
    Config {
        domain: "localhost".into(),
        http: wishes.http,
        demo: true,
        sdk_folder: wishes.sdk_folder.clone(),
        admin: Some(wishes.http),
        sip: crate::config::Sip {
            listen: wishes.sip,
            ..Default::default()
        },
        relay: socket.to_owned(),
        packages: None,
        constants: Default::default(),
        state: None,
        applications: [application()].into(),
        legs: legs_in_the_clear(),
        ice: Ice::default(),
        limits: Limits {
            // Loads are tried on it too, by few browsers that each do the work of many.
            texts_per_s: 10_000,
            ..Limits::default()
        },
    }
}

/// The last core this process may run on: the relay's shard keeps it busy, the first ones do the rest.
fn last_core() -> usize {
    let Ok(cores) = rustix::thread::sched_getaffinity(None) else {
        return 0;
    };
    (0..rustix::thread::CpuSet::MAX_CPU)
        .rev()
        .find(|core| cores.is_set(*core))
        .unwrap_or(0)
}

fn missing(path: &Path, program: &str) -> Trouble {
    let package = if program == "causeway-relay" {
        "relay"
    } else {
        "bench"
    };
    let release = path
        .parent()
        .is_some_and(|folder| folder.ends_with("release"));
    let profile = if release { " --release" } else { "" };
    Trouble(format!(
        "{} is not there: build it with `cargo build{profile} -p {package}`",
        path.display()
    ))
}

/// The same errors as at any start, with the flags of `dev` in the place of settings.
fn not_started(error: &StartError) -> Trouble {
    match error {
        StartError::Listen {
            listener,
            address,
            error,
        } if error.kind() == io::ErrorKind::AddrInUse => {
            let flag = match listener {
                Listener::Http | Listener::Admin => "--http",
                Listener::Sip | Listener::SipTls => "--sip",
            };
            let ip = address.ip();
            Trouble(format!(
                "{address} is taken: end the program that uses it, or choose another with \
                 `causeway dev {flag} {ip}:PORT` (port 0: any that is free)"
            ))
        }
        error => Trouble(error.to_string()),
    }
}

fn ended_how(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_command_that_builds_it() {
        let trouble = missing(Path::new("/x/release/causeway-relay"), "causeway-relay");
        assert!(
            trouble
                .to_string()
                .contains("`cargo build --release -p relay`"),
            "{trouble}"
        );
        let trouble = missing(Path::new("/x/debug/causeway-bench"), "causeway-bench");
        assert!(
            trouble.to_string().contains("`cargo build -p bench`"),
            "{trouble}"
        );
    }

    #[test]
    fn a_taken_port_is_named_with_the_flag_that_chooses_another() {
        let error = StartError::Listen {
            listener: Listener::Sip,
            address: "127.0.0.1:5060".parse().unwrap(),
            error: io::ErrorKind::AddrInUse.into(),
        };
        let trouble = not_started(&error).to_string();
        assert!(trouble.starts_with("127.0.0.1:5060 is taken"), "{trouble}");
        assert!(trouble.contains("--sip 127.0.0.1:PORT"), "{trouble}");
    }
}
