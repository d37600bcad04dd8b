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

/// A port that nobody has, neither for UDP nor for TCP.
pub fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = tcp.local_addr().expect("it is bound").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Registrar and proxy of `ims.test`; the password of everybody is `secret`.
pub struct Kamailio {
    _process: Running,
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

    fn run(more: &[&str]) -> Kamailio {
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
        let kamailio = Kamailio {
            _process: Running(child),
            folder,
            port,
            secure_port,
        };
        kamailio.wait();
        kamailio
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

    /// Asks until it answers.
    fn wait(&self) {
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
                return;
            }
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(
                Instant::now() < until,
                "kamailio does not answer: {}",
                log()
            );
        }
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        self._process.end();
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
}

impl<'a> Part<'a> {
    pub fn of(user: &'a str) -> Part<'a> {
        Part {
            user,
            peer: "alice",
            contact_port: 0,
            loss: 0,
        }
    }
}

impl Sipp {
    /// Starts it; what it sends goes to `port` on the loopback address.
    pub fn start(scenario: &str, part: Part<'_>, port: u16) -> Sipp {
        let folder = fresh_folder("sipp");
        let own = free_port();
        let log = File::create(folder.join("screen")).expect("a file");
        let child = Command::new("sipp")
            .current_dir(&folder)
            .arg("-sf")
            .arg(files().join(format!("scenarios/{scenario}.xml")))
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
        let sipp = Sipp {
            process: Running(child),
            folder,
            scenario: scenario.to_owned(),
            port: own,
        };
        // A datagram before it listens would be lost.
        let until = Instant::now() + PATIENCE;
        while UdpSocket::bind(("127.0.0.1", own)).is_ok() {
            assert!(Instant::now() < until, "sipp does not listen");
            std::thread::park_timeout(Duration::from_millis(5));
            if sipp
                .folder
                .join("screen")
                .metadata()
                .is_ok_and(|file| file.len() > 65_536)
            {
                break;
            }
        }
        sipp
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

    fn said(&self) -> String {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let logs = files.filter(|file| file.file_name().to_string_lossy().ends_with(".log"));
        logs.map(|file| fs::read_to_string(file.path()).unwrap_or_default())
            .collect()
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
