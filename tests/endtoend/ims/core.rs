//! The programs around the system under test: Kamailio as the IMS core, SIPp as handsets and carriers. Each
//! listens on ports that were free a moment ago.

use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tests::process::{PATIENCE, fresh_folder};
use tests::system::Running;
use tests::tls::Pem;

/// Where this suite's files are.
fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("endtoend/ims")
}

/// How many ports a program is offered, one after the other: each was free a moment before, but a socket of
/// another test's may have been given it meanwhile.
const PORTS_OFFERED: usize = 5;

/// A port that nobody has, neither for UDP nor for TCP.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = tcp.local_addr().expect("it is bound").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What the presence server keeps its state in.
const TABLES: [&str; 5] = [
    "version",
    "presentity",
    "active_watchers",
    "watchers",
    "xcap",
];

/// What either program says when a port is somebody else's.
const PORT_TAKEN: &str = "ddress already in use";

/// Registrar and proxy of `ims.test`; the password of everybody is `secret`.
pub struct Kamailio {
    process: Running,
    folder: PathBuf,
    /// UDP and TCP on the loopback address.
    pub port: u16,
    /// TLS, if it was asked for.
    pub secure_port: u16,
}

impl Kamailio {
    pub fn start() -> Kamailio {
        Kamailio::run(&[])
    }

    /// One that speaks TLS too: it shows a certificate for its number, and wants one of the gateway.
    pub fn secure() -> Kamailio {
        Kamailio::run(&["-A", "WITH_TLS"])
    }

    /// One that is a presence server too.
    pub fn with_presence() -> Kamailio {
        Kamailio::run(&["-A", "WITH_PRESENCE"])
    }

    fn run(more: &[&str]) -> Kamailio {
        let mut offers = (0..PORTS_OFFERED).map(|_| Kamailio::spawn(more));
        let answering = offers.find_map(|mut kamailio| kamailio.answers().then_some(kamailio));
        answering.expect("kamailio finds its ports free")
    }

    fn spawn(more: &[&str]) -> Kamailio {
        let folder = fresh_folder("kamailio");
        let (port, secure_port) = (free_port(), free_port());
        for name in ["core", "gateway"] {
            let pem = Pem::of(&["127.0.0.1"]);
            fs::write(folder.join(format!("{name}.crt")), pem.chain).expect("a file");
            fs::write(folder.join(format!("{name}.key")), pem.key).expect("a file");
        }
        let text = fs::read_to_string(files().join("kamailio.cfg")).expect("the configuration");
        let text = text.replace("PORT", &port.to_string());
        let text = text.replace("SECURE", &secure_port.to_string());
        let text = text.replace("FOLDER", &folder.display().to_string());
        let path = folder.join("kamailio.cfg");
        fs::write(&path, text).expect("a file");
        let tables = folder.join("tables");
        fs::create_dir(&tables).expect("a folder");
        for table in TABLES {
            let empty = Path::new("/usr/share/kamailio/dbtext/kamailio").join(table);
            fs::copy(empty, tables.join(table)).expect("Kamailio's empty tables");
        }
        let log = File::create(folder.join("log")).expect("a file");
        let child = Command::new("kamailio")
            .args(["-DD", "-E", "-m", "16", "-M", "4", "-Y"])
            .arg(&folder)
            .args(more)
            .args([
                "-w".as_ref(),
                folder.as_os_str(),
                "-f".as_ref(),
                path.as_os_str(),
            ])
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("kamailio is installed");
        Kamailio {
            process: Running(child),
            folder,
            port,
            secure_port,
        }
    }

    /// The gateway's settings of TLS with this one.
    pub fn tls(&self) -> String {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let (certificate, key) = (file("gateway.crt"), file("gateway.key"));
        let authorities = file("core.crt");
        format!(
            "[sip.tls]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n\
             authorities = \"{authorities}\"\nclients = \"required\"\n"
        )
    }

    /// Asks until it answers. False when somebody else had one of its ports.
    fn answers(&mut self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let pause = Some(Duration::from_millis(100));
        socket.set_read_timeout(pause).expect("a timeout");
        let own = socket.local_addr().expect("it is bound");
        let until = Instant::now() + PATIENCE;
        for number in 1.. {
            let options = format!(
                "OPTIONS sip:ims.test SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{number}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:t@t>;tag=1\r\nTo: <sip:ims.test>\r\n\
                 Call-ID: {own}\r\nCSeq: {number} OPTIONS\r\nContent-Length: 0\r\n\r\n"
            );
            // While nobody listens the kernel says so, here or below.
            let _ = socket.send_to(options.as_bytes(), ("127.0.0.1", self.port));
            if socket.recv(&mut [0; 2048]).is_ok() {
                return true;
            }
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            if self
                .process
                .0
                .try_wait()
                .expect("it is our child")
                .is_some()
            {
                assert!(log().contains(PORT_TAKEN), "kamailio ended: {}", log());
                return false;
            }
            assert!(
                Instant::now() < until,
                "kamailio does not answer: {}",
                log()
            );
        }
        unreachable!("numbers do not end")
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        self.process.end();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A SIPp that plays one scenario, once.
pub struct Sipp {
    process: Running,
    folder: PathBuf,
    scenario: String,
    /// Where it listens.
    pub port: u16,
}

/// What a scenario is played with.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The user it plays.
    pub user: &'a str,
    /// The user it asks for.
    pub peer: &'a str,
    /// The port its Contact names, where that is not its own.
    pub contact_port: u16,
    /// Of a hundred datagrams, how many it loses.
    pub loss: u32,
    /// The status it refuses with, or waits for.
    pub status: u16,
}

impl<'a> Part<'a> {
    pub fn of(user: &'a str) -> Part<'a> {
        Part {
            user,
            peer: "alice",
            contact_port: 0,
            loss: 0,
            status: 0,
        }
    }
}

impl Sipp {
    /// Starts it; what it sends goes to `port` on the loopback address. It listens when this returns, as a
    /// datagram before that would be lost.
    pub fn start(scenario: &str, part: Part<'_>, port: u16) -> Sipp {
        let mut offers = (0..PORTS_OFFERED).map(|_| Sipp::spawn(scenario, part, port));
        let listening = offers.find_map(|mut sipp| sipp.listens().then_some(sipp));
        listening.expect("sipp finds its port free")
    }

    fn spawn(scenario: &str, part: Part<'_>, port: u16) -> Sipp {
        let folder = fresh_folder("sipp");
        let own = free_port();
        // What a scenario answers with must stand in it.
        let written = files().join(format!("scenarios/{scenario}.xml"));
        let written = fs::read_to_string(written).expect("a scenario");
        let status = part.status.max(100).to_string();
        let played = folder.join("scenario.xml");
        fs::write(&played, written.replace("[status]", &status)).expect("a file");
        let log = File::create(folder.join("screen")).expect("a file");
        let child = Command::new("sipp")
            .current_dir(&folder)
            .arg("-sf")
            .arg(played)
            .args([
                "-i",
                "127.0.0.1",
                "-p",
                &own.to_string(),
                "-m",
                "1",
                "-nostdin",
            ])
            .args([
                "-timeout",
                "50s",
                "-timeout_error",
                "-trace_err",
                "-trace_msg",
            ])
            .args(["-key", "user", part.user, "-key", "peer", part.peer])
            .args(["-key", "contact_port", &part.contact_port.to_string()])
            .args([
                "-au",
                part.user,
                "-ap",
                "secret",
                "-lost",
                &part.loss.to_string(),
            ])
            .arg(format!("127.0.0.1:{port}"))
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("sipp is installed");
        Sipp {
            process: Running(child),
            folder,
            scenario: scenario.to_owned(),
            port: own,
        }
    }

    /// Waits until it listens, or has already played its scenario. False when somebody else had its port.
    fn listens(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        while !self.has_its_port() {
            if let Some(status) = self.process.0.try_wait().expect("it is our child") {
                let said = self.said();
                assert!(
                    status.success() || said.contains(PORT_TAKEN),
                    "{}: {status}\n{said}",
                    self.scenario
                );
                return status.success();
            }
            assert!(Instant::now() < until, "sipp does not listen");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        true
    }

    /// Whether one of its sockets is bound to its port, as the kernel tells. To try to bind the port ourselves
    /// would take it from sipp in just the moment in which it asks for it.
    fn has_its_port(&self) -> bool {
        let process = format!("/proc/{}", self.process.0.id());
        let table = fs::read_to_string(format!("{process}/net/udp")).unwrap_or_default();
        let bound = format!(":{:04X}", self.port);
        let inodes = table.lines().filter_map(|line| {
            let mut columns = line.split_whitespace();
            let address = columns.nth(1)?;
            address.ends_with(&bound).then(|| columns.nth(7)).flatten()
        });
        let names: Vec<String> = inodes.map(|inode| format!("socket:[{inode}]")).collect();
        let files = fs::read_dir(format!("{process}/fd")).into_iter().flatten();
        files.flatten().any(|file| {
            fs::read_link(file.path())
                .is_ok_and(|target| names.iter().any(|name| target.as_os_str() == name.as_str()))
        })
    }

    /// Waits until the scenario has been played as it is written.
    pub fn finish(mut self) {
        let status = self.process.0.wait().expect("it is our child");
        assert!(
            status.success(),
            "{}: {status}\n{}",
            self.scenario,
            self.said()
        );
    }

    /// Waits for its end. Whether the scenario was played as it is written.
    pub fn try_finish(mut self) -> bool {
        self.process.0.wait().expect("it is our child").success()
    }

    /// What it printed and wrote.
    fn said(&self) -> String {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let logs = files.filter(|file| {
            let name = file.file_name();
            name == "screen" || name.to_string_lossy().ends_with(".log")
        });
        logs.map(|file| fs::read_to_string(file.path()).unwrap_or_default())
            .collect()
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
