//! The system that chats go through: one that runs, or `causeway dev`, started for it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::load::Process;

/// How long the system may take to be ready.
const READY: Duration = Duration::from_secs(30);

/// A system.
pub struct System {
    /// Where browsers connect.
    pub http: SocketAddr,
    /// Where handsets register.
    pub sip: SocketAddr,
    child: Option<Child>,
}

/// Time on a core so far, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// Of control.
    pub control_ns: u64,
    /// Of the relay.
    pub relay_ns: u64,
}

impl System {
    /// One that runs already.
    pub fn running(http: SocketAddr, sip: SocketAddr) -> System {
        let child = None;
        System { http, sip, child }
    }

    /// Starts one.
    pub async fn start(program: Option<PathBuf>, ports: &str) -> Result<System, String> {
        let beside = || crate::load::beside_this_program().with_file_name("causeway");
        let program = program.unwrap_or_else(beside);
        let name = program.display().to_string();
        let child = Command::new(&program)
            .args(["dev", "--no-handsets", "--media-ports", ports])
            .args(["--http", "127.0.0.1:0", "--sip", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| {
            format!("can't start {name}: {error}; build it with `cargo build -p control`")
        })?;
        let (tell, told) = tokio::sync::oneshot::channel();
        let stdout = child.stdout.take();
        std::thread::spawn(move || {
            let lines = stdout.map(|stdout| BufReader::new(stdout).lines());
            let mut lines = lines.into_iter().flatten().map_while(Result::ok);
            // Nobody may wait for it any more. What it goes on to say is read to its end: else it
            // would have nowhere to say it.
            let _ = tell.send(addresses(&mut lines));
            lines.for_each(drop);
        });
        let found = tokio::time::timeout(READY, told).await;
        let mut system = System::running(([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 0).into());
        system.child = Some(child);
        let Ok(Ok(Some((http, sip)))) = found else {
            return Err(format!(
                "{name} dev did not become ready; what it wrote above says why"
            ));
        };
        (system.http, system.sip) = (http, sip);
        Ok(system)
    }

    /// Looks at the memory of control and of the relay, in KiB, if they were started here.
    pub fn memory_kib(&self) -> Option<impl Fn() -> (u64, u64) + Send + use<>> {
        let control = Process::with_number(self.child.as_ref()?.id());
        // The relay is control's child.
        let relay = control.children().into_iter().next();
        let of = |process: Process| process.memory_kib().unwrap_or(0);
        Some(move || (of(control), relay.map_or(0, of)))
    }

    /// What both processes have used, if they were started here.
    pub fn cpu_ns(&self) -> Option<Cpu> {
        let control = Process::with_number(self.child.as_ref()?.id());
        let control_ns = control.alone_cpu_ns("").ok()?;
        // The relay is control's child.
        let all_ns = control.cpu_ns("").ok()?;
        let relay_ns = all_ns.saturating_sub(control_ns);
        Some(Cpu {
            control_ns,
            relay_ns,
        })
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        // It ends its own children, and waits for them; or it has ended by itself.
        let _ = kill_process(Pid::from_child(child), Signal::TERM);
        let _ = child.wait();
    }
}

/// Where browsers and handsets come to, from what `causeway dev` says.
fn addresses(lines: impl Iterator<Item = String>) -> Option<(SocketAddr, SocketAddr)> {
    let mut http = None;
    for line in lines {
        let line = line.trim();
        if let Some(page) = line.strip_prefix("demo page") {
            let authority = page.trim().split('/').nth(2)?;
            http = authority.replace("localhost", "127.0.0.1").parse().ok();
        } else if let Some(sip) = line.strip_prefix("SIP") {
            let sip = sip.trim().split(',').next()?.parse().ok()?;
            return Some((http?, sip));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_everything_is_stands_in_what_causeway_says() {
        let text = "Causeway is running.\n\n  demo page  http://localhost:8080/demo/\n  \
                    SIP        127.0.0.1:5060, UDP and TCP, domain localhost\n";
        let lines = || text.lines().map(str::to_owned);
        let (http, sip) = addresses(lines()).unwrap();
        assert_eq!(http.to_string(), "127.0.0.1:8080");
        assert_eq!(sip.to_string(), "127.0.0.1:5060");
        assert_eq!(addresses(lines().take(2)), None);
    }
}
