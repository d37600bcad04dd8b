//! Built programs as processes of their own: found beside the test, started on free ports, ended
//! with the value that holds them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use link::{Attachment, Cause, Counter, Event, Leg, LegSpec, PeerIdentity, Record};
use link::{SessionId, Transport, Woken};

/// Nothing that is waited for on loopback takes this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The folder that cargo has built this test's programs into.
pub fn programs() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("target/<profile>/deps/<test>");
    folder.to_path_buf()
}

/// A built program by its name.
pub fn program(name: &str) -> PathBuf {
    let path = programs().join(name);
    assert!(
        path.exists(),
        "{} is not built: `cargo build --workspace --bins` builds what the tests start",
        path.display()
    );
    path
}

/// A running relay of one shard, and a control attached to it.
pub struct Relay {
    child: Child,
    folder: PathBuf,
    /// The control.
    pub link: Attachment,
}

/// A leg as the relay made it.
#[derive(Clone, Debug)]
pub struct MadeLeg {
    /// Our URI toward the peer.
    pub path: String,
    /// The WebSocket resource.
    pub resource: String,
}

impl MadeLeg {
    /// Whether it is carried by TLS.
    pub fn is_secure(&self) -> bool {
        self.path.starts_with("msrps:")
    }

    /// The address that the relay waits at.
    pub fn address(&self) -> SocketAddr {
        let authority = self.path.split('/').nth(2).unwrap_or_default();
        let address = authority.parse();
        address.unwrap_or_else(|_| panic!("{} has an address", self.path))
    }

    /// The port that the relay waits at.
    pub fn port(&self) -> u16 {
        let authority = self.path.split('/').nth(2).unwrap_or_default();
        let port = authority
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        port.unwrap_or_else(|| panic!("{} has a port", self.path))
    }
}

/// An event, as far as tests ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A session was made; its legs are in [`Relay::create`].
    Created,
    /// A leg is up.
    Up(Leg),
    /// A leg is down.
    Down(Leg, Cause),
    /// A leg is lost and may come back.
    Detached(Leg),
    /// A lost leg has a new way in.
    Rebound,
    /// Certificates were read anew, and whether all could be used.
    Reloaded(bool),
    /// A session is over.
    Closed(Cause),
    /// A command was refused.
    Refused(link::Refusal),
    /// A session was listed.
    Listed(SessionId),
    /// All were.
    ListEnd,
}

impl Relay {
    /// Starts a relay with these further arguments, and attaches.
    pub fn start(arguments: &[&str]) -> Relay {
        let folder = fresh_folder("relay");
        let socket = folder.join("relay.sock");
        let mut child = Command::new(program("causeway-relay"))
            .args(["--cores", "0", "--ports", &ports(), "--socket"])
            .arg(&socket)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the relay starts");
        let stdout = child.stdout.take().expect("its output is ours");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the relay says that it is ready");
        assert!(line.contains("ready"), "the relay did not start: {line}");
        let link = Attachment::connect(&socket).unwrap_or_else(|error| {
            let _ = child.kill();
            panic!("control cannot attach: {error}");
        });
        Relay {
            child,
            folder,
            link,
        }
    }

    /// The relay's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it read its certificates anew.
    pub fn hang_up(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it is ours");
    }

    /// Another control takes over.
    pub fn attach_again(&mut self) {
        self.link = Attachment::connect(self.folder.join("relay.sock")).expect("attaches again");
    }

    /// Gives a command to the shard.
    pub fn command(&mut self, command: &link::Command<'_>) {
        let mut record = Record::new();
        command.encode(&mut record).expect("a command fits");
        self.link.shards[0]
            .commands
            .push(&record)
            .expect("the queue has room");
    }

    /// Waits for the next event.
    pub fn event(&mut self) -> Told {
        self.event_with_legs().0
    }

    fn event_with_legs(&mut self) -> (Told, Vec<MadeLeg>) {
        let mut record = Record::new();
        while !self.link.shards[0]
            .events
            .pop(&mut record)
            .expect("a sound queue")
        {
            let woken = self
                .link
                .wait(Some(PATIENCE))
                .expect("the link can be waited for");
            assert_eq!(woken, Woken::Ready, "an event is awaited");
        }
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).expect("paths are text");
        match Event::decode(&record).expect("an event") {
            Event::Created { legs, .. } => {
                let made = legs.map(|leg| MadeLeg {
                    path: text(leg.path),
                    resource: text(leg.resource),
                });
                (Told::Created, made.to_vec())
            }
            Event::Refused { reason, .. } => (Told::Refused(reason), Vec::new()),
            Event::LegUp { leg, .. } => (Told::Up(leg), Vec::new()),
            Event::LegDown { leg, cause, .. } => (Told::Down(leg, cause), Vec::new()),
            Event::LegExpired { leg, .. } => (Told::Down(leg, Cause::Expired), Vec::new()),
            Event::LegDetached { leg, .. } => (Told::Detached(leg), Vec::new()),
            Event::Rebound { side, .. } => {
                let made = MadeLeg {
                    path: text(side.path),
                    resource: text(side.resource),
                };
                (Told::Rebound, vec![made])
            }
            Event::Reloaded { is_complete, .. } => (Told::Reloaded(is_complete), Vec::new()),
            Event::Closed { cause, .. } => (Told::Closed(cause), Vec::new()),
            Event::Listed { session, .. } => (Told::Listed(session), Vec::new()),
            Event::ListEnd { .. } => (Told::ListEnd, Vec::new()),
        }
    }

    /// Makes a session whose peers have these paths and connect by themselves.
    pub fn create(
        &mut self,
        id: u64,
        transports: [Transport; 2],
        paths: [&str; 2],
    ) -> [MadeLeg; 2] {
        let session = SessionId(id);
        self.command(&link::Command::Create {
            session,
            legs: transports.map(|transport| LegSpec::new(transport, 60_000)),
        });
        let (told, legs) = self.event_with_legs();
        assert_eq!(told, Told::Created);
        for (leg, path) in Leg::ALL.into_iter().zip(paths) {
            let path = path.as_bytes();
            self.command(&link::Command::SetPeer {
                session,
                leg,
                path,
                connect: None,
                identity: PeerIdentity::UNKNOWN,
            });
        }
        legs.try_into().expect("two legs")
    }

    /// A counter, once the shard has published it anew after everything asked so far.
    pub fn counter(&mut self, counter: Counter) -> u64 {
        // The answer to a list is given after the turn's work, so the next turn publishes that.
        for _ in 0..2 {
            self.command(&link::Command::List { token: 1 });
            while self.event() != Told::ListEnd {}
        }
        self.link.shards[0].counters.read(counter)
    }

    /// Resident memory of the process, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("the relay is alive");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .expect("VmRSS");
        line.split_whitespace()
            .nth(1)
            .and_then(|number| number.parse().ok())
            .expect("a number")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Ports for a relay. Tests run side by side: each process of them has ports of its own, and a
/// relay tries others of these if one is taken.
pub fn ports() -> String {
    let first = 12_000 + (std::process::id() % 4000) as u16 * 4;
    format!("{first}-{}", first + 63)
}

/// A new folder for the files of one process.
pub fn fresh_folder(name: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = format!("causeway-test-{}-{name}-{number}", std::process::id());
    let folder = Path::new(&std::env::temp_dir()).join(folder);
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    folder
}
