//! The relay's process: starting it, stopping it, and what the kernel says it has used.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use link::Transport;
use rustix::process::{Pid, Signal, kill_process};

use super::offer::Load;
use crate::child;

/// How long the relay may take to be ready.
const READY: Duration = Duration::from_secs(15);
/// How long a forwarder may take to end when it is asked to.
const ENDING: Duration = Duration::from_secs(2);

/// Sessions that every relay has room for. Connections that are accepted may take three quarters of
/// its pool.
const SESSIONS_FREE: u32 = 6000;

/// The pools of a relay that its defaults are too small for. All peers come from one address and at
/// once, so it must not limit their handshakes, unless that is the question.
fn pools(load: &Load, shards: usize) -> Option<String> {
    let mut pools = String::new();
    if load.legs.has_tls() && load.strangers == 0 {
        pools += "half_open = 8192\nhandshakes_per_second = 100000\n";
    }
    // Sessions are dealt out to the shards in turns.
    let sessions = load.sessions.div_ceil(shards.max(1) as u32);
    if sessions > SESSIONS_FREE {
        let (sessions, connections) = (sessions + 64, 3 * sessions);
        pools += &format!("sessions = {sessions}\nconnections = {connections}\n");
    }
    (!pools.is_empty()).then(|| format!("[pools]\n{pools}"))
}

/// A relay that was started here. It is killed when this is dropped.
pub struct Relaying {
    child: Child,
    folder: PathBuf,
    /// Where it serves.
    pub socket: PathBuf,
}

impl Relaying {
    /// Starts `program` and waits until it says that it is ready. What the load needs it gets: a
    /// certificate that is made for it, and room for all sessions.
    pub fn start(
        program: &Path,
        cores: &[usize],
        ports: &str,
        load: &Load,
    ) -> Result<Relaying, String> {
        let mut octets = [0; 8];
        getrandom::fill(&mut octets).map_err(|error| error.to_string())?;
        let folder = format!("causeway-bench-{:016x}", u64::from_ne_bytes(octets));
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let socket = folder.join("relay.sock");
        let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
        // The program of a test is none that could become another.
        let mut command = match cfg!(test) {
            true => Command::new(program),
            false => child::command(program, None)?,
        };
        if let Some(pools) = pools(load, cores.len()) {
            let settings = folder.join("relay.toml");
            let written = fs::write(&settings, pools);
            written.map_err(|error| format!("{}: {error}", settings.display()))?;
            command.arg("--config").arg(&settings);
        }
        if load.legs.has_tls() || load.strangers > 0 {
            write_certificate(&folder)?;
            command.arg("--certificates").arg(&folder);
        }
        let child = command
            .arg("--socket")
            .arg(&socket)
            .args(["--cores", &cores.join(",")])
            .args([
                "--address",
                "127.0.0.1",
                "--advertise",
                "127.0.0.1",
                "--ports",
                ports,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("can't start {}: {error}", program.display()));
        let child = child.inspect_err(|_| drop(fs::remove_dir(&folder)))?;
        let mut started = Relaying {
            child,
            folder,
            socket,
        };
        started.wait_ready()?;
        Ok(started)
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let Some(stdout) = self.child.stdout.take() else {
            return Ok(());
        };
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // When nobody waits any more the lines are only to be taken off the pipe.
                let _ = tell.send(line);
            }
        });
        loop {
            match told.recv_timeout(READY) {
                Ok(line) if line.contains("ready") => return Ok(()),
                Ok(_) => {}
                Err(_) => {
                    return Err(
                        "the relay did not become ready; what it wrote above says why, and \
                                `causeway-relay --check` says what this machine lacks"
                            .to_owned(),
                    );
                }
            }
        }
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process(self.child.id())
    }
}

impl Drop for Relaying {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Writes a certificate for this machine, and its key.
fn write_certificate(folder: &Path) -> Result<(), String> {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names);
    let made = made.map_err(|error| format!("no certificate: {error}"))?;
    for (name, text) in [
        ("bench.crt", made.cert.pem()),
        ("bench.key", made.signing_key.serialize_pem()),
    ] {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// A forwarder that was started elsewhere. It is ended when this is dropped.
pub struct Forwarder {
    child: Child,
    /// How sessions come about through it.
    pub front: Front,
    /// What it reads when it starts.
    _files: Vec<File>,
}

/// How the two connections of a session come about through a forwarder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// For each connection made to it there, it makes one to the generator.
    Octets {
        /// How leg A travels.
        transport: Transport,
        /// Where it listens.
        address: SocketAddr,
    },
    /// Both legs connect to it there, and it sends a message where its To-Path says. RFC 4976.
    Paths {
        /// How leg A travels; leg B is over TCP.
        transport: Transport,
        /// Where it listens, for leg A and for leg B.
        addresses: [SocketAddr; 2],
    },
}

impl Forwarder {
    /// It runs and listens there; the files are kept as long as it runs.
    pub fn new(child: Child, front: Front, files: Vec<File>) -> Forwarder {
        Forwarder {
            child,
            front,
            _files: files,
        }
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process(self.child.id())
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // Asked first, so that one with processes of its own can end them.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let until = Instant::now() + ENDING;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Process(u32);

impl Process {
    /// This one.
    pub fn own() -> Process {
        Process(std::process::id())
    }

    /// The one with this number.
    pub fn with_number(number: u32) -> Process {
        Process(number)
    }

    /// The one at the other end of a Unix socket.
    pub fn at_other_end(socket: &UnixStream) -> Result<Process, String> {
        let unknown = |error: std::io::Error| format!("the relay's process is not known: {error}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let runtime = runtime.map_err(unknown)?;
        let _inside = runtime.enter();
        let copy = socket.try_clone().map_err(unknown)?;
        // Both descriptors share their flags: the relay link's user expects it blocking again.
        copy.set_nonblocking(true).map_err(unknown)?;
        let asked = tokio::net::UnixStream::from_std(copy).and_then(|copy| copy.peer_cred());
        socket.set_nonblocking(false).map_err(unknown)?;
        let pid = asked
            .map_err(unknown)?
            .pid()
            .and_then(|pid| u32::try_from(pid).ok());
        pid.map(Process)
            .ok_or_else(|| "the relay's process is not known".to_owned())
    }

    /// Nanoseconds on a core so far, of all threads whose name begins with `name`, in this process
    /// and in those it has started.
    pub fn cpu_ns(self, name: &str) -> Result<u64, String> {
        let own = self.alone_cpu_ns(name)?;
        let others = descendants(self.0).into_iter();
        // One that has just ended is not counted.
        let others = others.map(|process| Process(process).alone_cpu_ns(name).unwrap_or(0));
        Ok(own + others.sum::<u64>())
    }

    /// The same of this process alone.
    pub fn alone_cpu_ns(self, name: &str) -> Result<u64, String> {
        let folder = format!("/proc/{}/task", self.0);
        let gone = |error: std::io::Error| format!("{folder}: {error}");
        let mut total = 0;
        for task in fs::read_dir(&folder).map_err(gone)?.flatten() {
            let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            if read("comm").starts_with(name) {
                total += run_time(&read("schedstat")).unwrap_or(0);
            }
        }
        Ok(total)
    }
}

impl Process {
    /// Those that it has started, and that they have.
    pub fn children(self) -> Vec<Process> {
        descendants(self.0).into_iter().map(Process).collect()
    }

    /// Its memory in KiB, what it shares with others divided between them.
    pub fn memory_kib(self) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    }
}

/// The processes that a process has started, and those that they have.
fn descendants(process: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = numbers
        .filter_map(|number| {
            let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
            Some((number, parent(&stat)?))
        })
        .collect();
    let mut known = vec![process];
    let mut at = 0;
    while let Some(&one) = known.get(at) {
        let children = parents.iter().filter(|(_, parent)| *parent == one);
        known.extend(children.map(|(number, _)| number));
        at += 1;
    }
    known.split_off(1)
}

/// The fourth word of `stat`. The second is a name in parentheses and may hold spaces.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// How long a core has done something, and how long it has been there, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreTime {
    busy: u64,
    all: u64,
}

impl CoreTime {
    /// Which part of the time between two readings something ran on the core.
    pub fn load((before, after): (&CoreTime, &CoreTime)) -> f64 {
        let all = after.all.saturating_sub(before.all).max(1);
        after.busy.saturating_sub(before.busy) as f64 / all as f64
    }
}

/// The times of all cores. Empty when the kernel does not say.
pub fn core_times() -> Vec<CoreTime> {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    text.lines().filter_map(core_time).collect()
}

/// A line of `/proc/stat` about one core: the fourth and fifth number are those of its idling.
fn core_time(line: &str) -> Option<CoreTime> {
    let mut words = line.split_whitespace();
    words.next()?.strip_prefix("cpu")?.parse::<usize>().ok()?;
    // What guests used is counted within the first two, too.
    let ticks: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
    let all = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    Some(CoreTime {
        busy: all - idle,
        all,
    })
}

/// The first word of `schedstat`: nanoseconds on a core.
fn run_time(schedstat: &str) -> Option<u64> {
    schedstat.split(' ').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::offer::Legs;

    #[test]
    fn the_other_end_of_a_socket_pair_is_this_process() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(Process::at_other_end(&one).unwrap().0, std::process::id());
    }

    #[test]
    fn time_on_a_core_is_counted_for_threads_of_that_name_only() {
        assert_eq!(run_time("123456 7 8\n"), Some(123_456));
        assert_eq!(run_time(""), None);
        assert!(Process::own().cpu_ns("").unwrap() > 0);
        assert_eq!(Process::own().cpu_ns("no thread is called so").unwrap(), 0);
    }

    #[test]
    fn what_a_process_has_started_counts_with_it() {
        assert_eq!(parent("17 (a) b) S 4 17 0"), Some(4));
        assert_eq!(parent("17"), None);
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        assert!(descendants(std::process::id()).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_load_of_a_core_is_all_that_is_not_idle() {
        assert_eq!(core_time("cpu  10 0 0 5 0 0 0 0 0 0"), None);
        assert_eq!(core_time("intr 10"), None);
        let before = core_time("cpu1 10 0 5 100 20 0 1 2 0 0").unwrap();
        assert_eq!((before.busy, before.all), (18, 138));
        let after = core_time("cpu1 20 0 10 180 20 0 3 5 0 0").unwrap();
        assert_eq!(CoreTime::load((&before, &after)), 0.2);
        assert!(!core_times().is_empty());
    }

    #[test]
    fn a_program_that_is_no_relay_is_told_apart() {
        let load = Load::closed(300, 1, 1, Legs::TCP_TCP);
        let why = Relaying::start(Path::new("/bin/false"), &[0], "1-2", &load)
            .err()
            .unwrap();
        assert!(why.contains("--check"), "{why}");
        let why = Relaying::start(Path::new("/nowhere/relay"), &[0], "1-2", &load)
            .err()
            .unwrap();
        assert!(why.contains("/nowhere/relay"), "{why}");
    }

    #[test]
    fn a_relay_gets_larger_pools_only_where_it_needs_them() {
        let mut load = Load::closed(300, 6000, 1, Legs::TCP_TCP);
        assert_eq!(pools(&load, 1), None);
        load.sessions = 9000;
        let text = pools(&load, 1).unwrap();
        assert_eq!(text, "[pools]\nsessions = 9064\nconnections = 27000\n");
        load.legs = "wss-tcp".parse().unwrap();
        assert!(pools(&load, 1).unwrap().contains("handshakes_per_second"));
    }
}
