//! Starts what forwards octets: the byte relay, and HAProxy in TCP mode.
//!
//! Each has one thread on one core, and ends with this program. HAProxy inherits the socket it
//! listens on, so that no port has to be guessed; else it is as its package leaves it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Stdio};

use link::Transport;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::byte_relay::READY;
use crate::child;
use crate::load::{Forwarder, Front};

const HAPROXY: &str = "haproxy";

/// Where a relay runs, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its only core.
    pub core: usize,
    /// So many sessions will come.
    pub sessions: u32,
    /// Leg A comes in TLS.
    pub is_secure: bool,
}

/// A file that is only in memory, and goes with this.
pub struct Held(File);

impl Held {
    /// A file that holds `text`.
    pub fn new(text: &str) -> Result<Held, String> {
        let failed = |error: std::io::Error| format!("can't keep a file in memory: {error}");
        let file = memfd_create("causeway-bench", MemfdFlags::CLOEXEC);
        let mut file = File::from(file.map_err(|error| failed(error.into()))?);
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(Held(file))
    }

    /// Where a program that is started can read it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// The file.
    pub fn into_file(self) -> File {
        self.0
    }
}

/// A certificate for this machine and its key, each as PEM.
pub fn certificate() -> Result<[String; 2], String> {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names);
    let made = made.map_err(|error| format!("no certificate: {error}"))?;
    Ok([made.cert.pem(), made.signing_key.serialize_pem()])
}

/// Starts this program as a byte relay toward `back`.
pub fn byte_relay(core: usize, back: SocketAddr) -> Result<Forwarder, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let child = child::command(program, Some(core))?
        .args(["byte-relay", "--connect", &back.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| format!("can't start the byte relay: {error}"))?;
    let mut line = String::new();
    let read = child
        .stdout
        .take()
        .map(|stdout| BufReader::new(stdout).read_line(&mut line));
    let front = line.strip_prefix(READY).map(str::trim_end);
    match (read, front.and_then(|front| front.parse().ok())) {
        (Some(Ok(_)), Some(address)) => {
            let transport = Transport::Tcp;
            let front = Front::Octets { transport, address };
            Ok(Forwarder::new(child, front, Vec::new()))
        }
        _ => {
            stop(&mut child);
            Err("the byte relay did not become ready".to_owned())
        }
    }
}

/// Starts HAProxy toward `back`.
pub fn haproxy(place: &Place, splices: bool, back: SocketAddr) -> Result<Forwarder, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let certificate = match place.is_secure {
        true => Some(Held::new(&certificate()?.concat())?),
        false => None,
    };
    let path = certificate.as_ref().map(Held::path);
    let text = haproxy_configuration(place.sessions, splices, path.as_deref(), back);
    let configuration = Held::new(&text)?;
    // Not with -q: it would close the socket it inherits.
    let child = child::command(HAPROXY, Some(place.core))?
        .args(["-db", "-f", &configuration.path()])
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .spawn();
    let child = child.map_err(|error| format!("can't start {HAPROXY}: {error}"))?;
    let files = certificate.into_iter().chain([configuration]);
    let front = Front::Octets {
        transport: match place.is_secure {
            true => Transport::Tls,
            false => Transport::Tcp,
        },
        address,
    };
    Ok(Forwarder::new(
        child,
        front,
        files.map(Held::into_file).collect(),
    ))
}

/// One thread; descriptors and pipes for all sessions; `fd@0` is the socket it inherits.
fn haproxy_configuration(
    sessions: u32,
    splices: bool,
    certificate: Option<&str>,
    back: SocketAddr,
) -> String {
    let secure = certificate.map_or(String::new(), |path| format!(" ssl crt {path}"));
    let connections = sessions + 16;
    let (pipes, option) = match splices {
        true => (
            format!("    maxpipes {}\n", 2 * connections),
            "    option splice-request\n    option splice-response\n",
        ),
        false => (String::new(), ""),
    };
    format!(
        "global\n    nbthread 1\n    maxconn {connections}\n{pipes}\
         defaults\n    mode tcp\n    timeout connect 10s\n    timeout client 1h\n    \
         timeout server 1h\n{option}\
         listen forward\n    bind fd@0{secure}\n    server generator {back}\n"
    )
}

/// Ends what did not become what it should.
pub fn stop(child: &mut Child) {
    // It may have ended by itself; then there is nothing to do.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haproxy_splices_and_ends_tls_only_when_told_to() {
        let back: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        let plain = haproxy_configuration(100, false, None, back);
        assert!(
            plain.contains("server generator 127.0.0.1:4711\n"),
            "{plain}"
        );
        assert!(!plain.contains("splice") && !plain.contains("pipes") && !plain.contains("ssl"));
        let spliced = haproxy_configuration(100, true, None, back);
        assert!(spliced.contains("    option splice-response\nlisten forward\n"));
        assert!(spliced.contains("    maxpipes 232\ndefaults\n"));
        let secure = haproxy_configuration(100, false, Some("/x"), back);
        assert!(secure.contains("    bind fd@0 ssl crt /x\n"));
    }

    #[test]
    fn what_is_held_is_read_by_its_path() {
        let held = Held::new("text").unwrap();
        assert_eq!(std::fs::read_to_string(held.path()).unwrap(), "text");
        assert!(certificate().unwrap()[1].contains("PRIVATE KEY"));
    }
}
