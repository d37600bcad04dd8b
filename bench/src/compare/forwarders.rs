//! Starts what forwards octets: the byte relay, and HAProxy in TCP mode.
//!
//! Each gets one thread on one core. HAProxy inherits the socket it listens on, so that no port
//! has to be guessed; else it is as its package leaves it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::byte_relay::READY;
use crate::load::Forwarder;

/// HAProxy's program.
pub const HAPROXY: &str = "haproxy";

/// A folder for files of one run; it goes when this is dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// A new one, where temporary files belong.
    pub fn new() -> Result<Folder, String> {
        let mut octets = [0; 8];
        getrandom::fill(&mut octets).map_err(|error| error.to_string())?;
        let name = format!("causeway-compare-{:016x}", u64::from_ne_bytes(octets));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Folder(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts this program as a byte relay toward `back`.
pub fn byte_relay(core: usize, back: SocketAddr) -> Result<Forwarder, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let child = Command::new(program)
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
        (Some(Ok(_)), Some(front)) => pinned(child, core, front),
        _ => {
            stop(&mut child);
            Err("the byte relay did not become ready".to_owned())
        }
    }
}

/// Starts HAProxy toward `back`; `folder` takes its configuration.
pub fn haproxy(
    folder: &Path,
    sessions: u32,
    splice: bool,
    core: usize,
    back: SocketAddr,
) -> Result<Forwarder, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let front = listener.local_addr().map_err(|error| error.to_string())?;
    let file = folder.join("haproxy.cfg");
    let written = fs::write(&file, haproxy_configuration(sessions, splice, back));
    written.map_err(|error| format!("{}: {error}", file.display()))?;
    // Not with -q: it would close the socket it inherits.
    let child = Command::new(HAPROXY)
        .args(["-db", "-f"])
        .arg(&file)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .spawn();
    let child = child.map_err(|error| format!("can't start {HAPROXY}: {error}"))?;
    pinned(child, core, front)
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

fn pinned(mut child: Child, core: usize, front: SocketAddr) -> Result<Forwarder, String> {
    let mut cores = CpuSet::new();
    cores.set(core);
    match sched_setaffinity(Some(Pid::from_child(&child)), &cores) {
        Ok(()) => Ok(Forwarder::new(child, front)),
        Err(error) => {
            stop(&mut child);
            Err(format!("can't pin a relay to core {core}: {error}"))
        }
    }
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
    fn a_folder_goes_with_its_name() {
        let folder = Folder::new().unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("file"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
