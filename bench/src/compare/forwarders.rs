//! Starts what is compared with Causeway: the byte relay, HAProxy in TCP mode, Kamailio's module
//! msrp.
//!
//! Each runs on one core and ends with this program. HAProxy inherits the socket it listens on, so
//! that no port has to be guessed. Both are as their packages leave them, but for what is said here.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use link::Transport;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::byte_relay::READY;
use crate::child;
use crate::load::{Forwarder, Front};

/// HAProxy's program.
const HAPROXY: &str = "haproxy";
/// Kamailio's program.
const KAMAILIO: &str = "kamailio";
/// The largest body that Kamailio forwards: its frames have 16 384 octets at most, with their head
/// and what its script needs.
pub const KAMAILIO_SIZE_MAX: usize = 14_000;

/// How long Kamailio may take to listen.
const LISTENING: Duration = Duration::from_secs(10);

/// A file that is only in memory, and goes with this.
struct Configuration(File);

impl Configuration {
    fn new(name: &str, text: &str) -> Result<Configuration, String> {
        let failed = |error: std::io::Error| format!("can't keep the configuration: {error}");
        let file = memfd_create(name, MemfdFlags::CLOEXEC);
        let mut file = File::from(file.map_err(|error| failed(error.into()))?);
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(Configuration(file))
    }

    /// Where a program that is started can read it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
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
        (Some(Ok(_)), Some(address)) => Ok(Forwarder::new(child, octets(address), Vec::new())),
        _ => {
            stop(&mut child);
            Err("the byte relay did not become ready".to_owned())
        }
    }
}

/// Starts HAProxy toward `back`.
pub fn haproxy(
    sessions: u32,
    splice: bool,
    core: usize,
    back: SocketAddr,
) -> Result<Forwarder, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let text = haproxy_configuration(sessions, splice, back);
    let configuration = Configuration::new(HAPROXY, &text)?;
    // Not with -q: it would close the socket it inherits.
    let child = child::command(HAPROXY, Some(core))?
        .args(["-db", "-f", &configuration.path()])
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .spawn();
    let child = child.map_err(|error| format!("can't start {HAPROXY}: {error}"))?;
    let files = vec![configuration.0];
    Ok(Forwarder::new(child, octets(address), files))
}

/// Starts Kamailio. It has no way of telling that it listens; what is asked is the port itself.
pub fn kamailio(sessions: u32, core: usize) -> Result<Forwarder, String> {
    let address = free_address()?;
    let text = kamailio_configuration(sessions, address);
    let configuration = Configuration::new(KAMAILIO, &text)?;
    let child = child::command(KAMAILIO, Some(core))?
        .args(["-DD", "-E", "-m", "256", "-M", "16", "-f"])
        .arg(configuration.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| format!("can't start {KAMAILIO}: {error}"))?;
    let until = Instant::now() + LISTENING;
    while TcpStream::connect(address).is_err() {
        let ended = child.try_wait().map_err(|error| error.to_string())?;
        if ended.is_some() || Instant::now() > until {
            stop(&mut child);
            return Err(format!("{KAMAILIO} does not listen at {address}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let front = Front::Paths {
        transport: Transport::Tcp,
        addresses: [address; 2],
    };
    Ok(Forwarder::new(child, front, vec![configuration.0]))
}

fn octets(address: SocketAddr) -> Front {
    let transport = Transport::Tcp;
    Front::Octets { transport, address }
}

/// One that nobody listens at. Somebody might before it is used; then the turn fails.
fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0");
    let address = listener.and_then(|listener| listener.local_addr());
    address.map_err(|error| error.to_string())
}

/// One thread; descriptors and pipes for all sessions; `fd@0` is the socket it inherits.
fn haproxy_configuration(sessions: u32, splice: bool, back: SocketAddr) -> String {
    let connections = sessions + 16;
    let (pipes, option) = match splice {
        true => (
            format!("    maxpipes {}\n", 2 * connections),
            "    option splice-auto\n",
        ),
        false => (String::new(), ""),
    };
    format!(
        "global\n    nbthread 1\n    maxconn {connections}\n{pipes}\
         defaults\n    mode tcp\n    timeout connect 10s\n    timeout client 1h\n    \
         timeout server 1h\n{option}\
         listen forward\n    bind fd@0\n    server generator {back}\n"
    )
}

/// One process that reads TCP, buffers for its largest frames, and the shortest script that does:
/// a relay answers for the next hop (RFC 4976, 5.1), and only greetings want an answer.
fn kamailio_configuration(sessions: u32, address: SocketAddr) -> String {
    let connections = 2 * sessions + 64;
    format!(
        "#!KAMAILIO\n\
         debug=-1\nlog_stderror=yes\nfork=yes\nchildren=1\nsocket_workers=1\ntcp_children=1\n\
         tcp_max_connections={connections}\ntcp_connection_lifetime=3600\n\
         tcp_rd_buf_size=65536\ntcp_accept_no_cl=yes\nenable_tls=no\nlisten=tcp:{address}\n\
         loadmodule \"msrp.so\"\n\
         request_route {{ drop; }}\n\
         event_route[msrp:frame-in] {{\n    \
         if ($msrp(msgid) =~ \"^greeting\") {{ msrp_reply(\"200\", \"OK\"); }}\n    \
         msrp_relay();\n}}\n"
    )
}

fn stop(child: &mut Child) {
    // It may have ended by itself; then there is nothing to do.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haproxy_splices_only_when_told_to() {
        let back: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        let plain = haproxy_configuration(100, false, back);
        assert!(
            plain.contains("server generator 127.0.0.1:4711\n"),
            "{plain}"
        );
        assert!(!plain.contains("splice") && !plain.contains("pipes"));
        let spliced = haproxy_configuration(100, true, back);
        assert!(spliced.contains("    option splice-auto\nlisten forward\n"));
        assert!(spliced.contains("    maxpipes 232\ndefaults\n"));
    }

    #[test]
    fn kamailio_takes_connections_for_both_legs_of_all_sessions() {
        let text = kamailio_configuration(100, "127.0.0.1:4711".parse().unwrap());
        assert!(text.contains("\ntcp_max_connections=264\n"), "{text}");
        assert!(text.contains("\nlisten=tcp:127.0.0.1:4711\n"));
        assert!(text.ends_with("    msrp_relay();\n}\n"));
    }
}
