//! `causeway-bench media`: a closed load over a relay, every octet checked.
//!
//! ```text
//! settings ▶ process (the relay) ▶ stub (its control) ▶ executors, a task per session ▶ report
//! ```
//! The generator shares only the link's vocabulary with the relay: its MSRP is that of the bench,
//! its frame heads are tungstenite's, its threads are glommio's. Not here: open load (a schedule),
//! TLS, other relays.

mod checker;
mod executor;
mod framing;
mod process;
mod report;
mod session;
mod settings;
mod stub;
#[cfg(test)]
mod tests;
mod traffic;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use link::Counter;
use rustix::process::{Resource, getrlimit, setrlimit};

use checker::Faults;
use executor::{Executor, Phase, Shared, Tally};
use process::{Process, Started};
use report::Report;
pub use settings::Arguments;
use settings::{Load, Relay, Settings};
use stub::{Closed, Stub};

/// Descriptors beside two for each session.
const DESCRIPTORS_SPARE: u64 = 256;
/// No message for so long means that the relay stands still.
const STANDSTILL: Duration = Duration::from_secs(10);
/// The relay publishes its counters now and then; a last look waits for it.
const PUBLISHING: Duration = Duration::from_millis(300);
/// How the relay's shards are called.
const SHARD_THREADS: &str = "shard";

/// Runs one load.
pub fn main(arguments: Arguments) -> ExitCode {
    let cores = std::fs::read_dir("/sys/devices/system/cpu").map_or(1, |entries| {
        let names = entries.flatten().map(|entry| entry.file_name());
        names
            .filter(|name| is_core(&name.to_string_lossy()))
            .count()
            .max(1)
    });
    let settings = match arguments.check(cores) {
        Ok(settings) => settings,
        Err(wrong) => return refuse(&wrong.to_string()),
    };
    let report = match run(&settings) {
        Ok(report) => report,
        Err(why) => return refuse(&why),
    };
    println!("{report}");
    if let Some(path) = &settings.json {
        let json = serde_json::to_string_pretty(&report).unwrap_or_default();
        if let Err(error) = std::fs::write(path, json + "\n") {
            return refuse(&format!("can't write {}: {error}", path.display()));
        }
    }
    if report.faults_total == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn is_core(name: &str) -> bool {
    let number = name.strip_prefix("cpu");
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("causeway-bench media: {why}");
    ExitCode::from(2)
}

/// What is read at both ends of the measured part.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    messages: u64,
    relay_cpu_ns: u64,
    own_cpu_ns: u64,
    enters: u64,
    sends: u64,
    allocations: u64,
}

/// Everything that is there while the load runs.
struct Run<'a> {
    settings: &'a Settings,
    relay: Process,
    stub: Stub,
    shared: Arc<Shared>,
    executors: usize,
}

fn run(settings: &Settings) -> Result<Report, String> {
    let load = &settings.load;
    raise_descriptors(load)?;
    let started = match &settings.relay {
        Relay::Start {
            program,
            cores,
            ports,
        } => Some(Started::start(program, cores, ports)?),
        Relay::Attach(_) => None,
    };
    let mut stub = match (&started, &settings.relay) {
        (Some(started), _) => Stub::attach(&started.socket)?,
        (None, Relay::Attach(socket)) => Stub::attach(socket)?,
        (None, Relay::Start { .. }) => return Err("there is no relay".to_owned()),
    };
    let relay = match &started {
        Some(started) => started.process(),
        None => Process::at_other_end(stub.socket())?,
    };
    let plans = stub.create(load)?;
    let executors = settings.cores.len().min(plans.len());
    let shared = Arc::new(Shared::new(executors));
    let mut threads = Vec::new();
    for (number, &core) in settings.cores.iter().take(executors).enumerate() {
        let own = plans
            .iter()
            .skip(number)
            .step_by(executors)
            .cloned()
            .collect();
        threads.push(Executor::start(number, core, own, *load, shared.clone())?);
    }
    let mut run = Run {
        settings,
        relay,
        stub,
        shared: shared.clone(),
        executors,
    };
    let measured = run.measure();
    if measured.is_err() {
        shared.set_phase(Phase::Abort);
    }
    let tallies: Vec<Result<Tally, String>> = threads.into_iter().map(Executor::join).collect();
    run.progress_done();
    match measured {
        Ok((before, after, closed)) => run.report(before, after, &closed, tallies),
        // What a thread says is nearer to the cause.
        Err(why) => Err(tallies.into_iter().find_map(own_reason).unwrap_or(why)),
    }
}

fn own_reason(tally: Result<Tally, String>) -> Option<String> {
    tally.err().filter(|why| why != "given up")
}

impl Run<'_> {
    /// Moves the threads from phase to phase.
    fn measure(&mut self) -> Result<(Reading, Reading, Vec<Closed>), String> {
        let shared = self.shared.clone();
        self.until(
            |run| run.shared.bound.load(Ordering::Acquire) == run.executors,
            "connecting",
        )?;
        self.stub.wait_bound()?;
        shared.set_phase(Phase::WarmUp);
        self.flow(self.settings.warm_up, "warming up")?;
        let before = self.reading()?;
        shared.set_phase(Phase::Measure);
        self.flow(self.settings.duration, "measuring")?;
        let after = self.reading()?;
        shared.set_phase(Phase::Drain);
        self.until(
            |run| run.shared.drained.load(Ordering::Acquire) == run.executors,
            "draining",
        )?;
        shared.set_phase(Phase::Close);
        let closed = self.stub.delete()?;
        Ok((before, after, closed))
    }

    fn until(&mut self, done: impl Fn(&Self) -> bool, what: &str) -> Result<(), String> {
        while !done(self) {
            if self.shared.ended.load(Ordering::Acquire) > 0 {
                return Err(format!("a thread of the generator gave up while {what}"));
            }
            self.progress(what);
            self.stub.listen(Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// Lets the load flow for a while.
    fn flow(&mut self, duration: Duration, what: &str) -> Result<(), String> {
        let until = Instant::now() + duration;
        let mut last = (self.shared.total(), Instant::now());
        while Instant::now() < until {
            let rest = until.saturating_duration_since(Instant::now());
            self.stub.listen(rest.min(Duration::from_millis(200)))?;
            self.progress(what);
            let total = self.shared.total();
            if total != last.0 {
                last = (total, Instant::now());
            } else if last.1.elapsed() > STANDSTILL {
                // Nobody gave up, so what is on its way is lost: draining will count it.
                return Ok(());
            }
        }
        Ok(())
    }

    fn reading(&mut self) -> Result<Reading, String> {
        Ok(Reading {
            at: Instant::now(),
            messages: self.shared.total(),
            relay_cpu_ns: self.relay.cpu_ns(SHARD_THREADS)?,
            own_cpu_ns: Process::own().cpu_ns("load-")?,
            enters: self.stub.counter(Counter::Enters),
            sends: self.stub.counter(Counter::Sends),
            allocations: self.stub.counter(Counter::Allocations),
        })
    }

    fn report(
        &mut self,
        before: Reading,
        after: Reading,
        closed: &[Closed],
        tallies: Vec<Result<Tally, String>>,
    ) -> Result<Report, String> {
        let mut whole = Tally::new(0);
        for tally in tallies {
            let tally = tally?;
            let added = whole.latency.add(&tally.latency);
            added.map_err(|error| format!("latencies: {error}"))?;
            whole.faults.add(tally.faults);
            whole.sent += tally.sent;
            whole.arrived += tally.arrived;
        }
        compare_counts(closed, whole.arrived, &mut whole.faults);
        std::thread::sleep(PUBLISHING);
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let messages = after.messages - before.messages;
        let each = |count: u64| count as f64 / messages.max(1) as f64;
        let relay_ns = after.relay_cpu_ns - before.relay_cpu_ns;
        let own_ns = after.own_cpu_ns - before.own_cpu_ns;
        let busy = |ns: u64, cores: usize| ns as f64 / 1e9 / seconds / cores as f64;
        Ok(Report {
            offered: (&self.settings.load).into(),
            seconds,
            messages,
            rate: messages as f64 / seconds,
            latency_us: (&whole.latency).into(),
            relay_cpu_us_per_message: each(relay_ns) / 1000.0,
            relay_load: busy(relay_ns, self.stub.shards()),
            generator_load: busy(own_ns, self.executors),
            enters_per_message: each(after.enters - before.enters),
            sends_per_message: each(after.sends - before.sends),
            relay_allocations: after.allocations - before.allocations,
            relay_buffers_held_max: self.stub.counter(Counter::BuffersHeldMax),
            relay_buffers: self.stub.counter(Counter::Buffers),
            sent: whole.sent,
            arrived: whole.arrived,
            faults_total: whole.faults.total(),
            faults: whole.faults,
        })
    }

    fn progress(&self, what: &str) {
        if self.settings.progress && std::io::stderr().is_terminal() {
            eprint!("\r{what}, {} messages \x1b[K", self.shared.total());
            let _ = std::io::stderr().flush();
        }
    }

    fn progress_done(&self) {
        if self.settings.progress && std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
    }
}

/// The relay must have counted as many messages as arrived. It may count the SENDs without a body
/// that it passes on, two for each session.
fn compare_counts(closed: &[Closed], arrived: u64, faults: &mut Faults) {
    let counted = |one: &Closed| one.counts.messages_a_to_b + one.counts.messages_b_to_a;
    let counted: u64 = closed.iter().map(counted).sum();
    let greetings = 2 * closed.len() as u64;
    if !(arrived..=arrived + greetings).contains(&counted) {
        faults.unexpected += 1;
        faults.note(|| format!("the relay counted {counted} messages, and {arrived} arrived"));
    }
    let others = closed
        .iter()
        .find(|closed| closed.cause != link::Cause::Deleted);
    if let Some(other) = others {
        faults.unexpected += 1;
        faults.note(|| format!("a session was deleted and ended with {:?}", other.cause));
    }
}

/// Two connections for each session need descriptors.
fn raise_descriptors(load: &Load) -> Result<(), String> {
    let needed = 2 * u64::from(load.sessions) + DESCRIPTORS_SPARE;
    let mut limit = getrlimit(Resource::Nofile);
    // `None` is no limit at all.
    let (soft, hard) = (
        limit.current.unwrap_or(u64::MAX),
        limit.maximum.unwrap_or(u64::MAX),
    );
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        let sessions = load.sessions;
        return Err(format!(
            "{sessions} sessions need {needed} open files, and {hard} are allowed: raise it with \
             `ulimit -Hn {needed}` as root, or ask for fewer --sessions"
        ));
    }
    limit.current = Some(needed.max(hard.min(1 << 20)));
    let raised = setrlimit(Resource::Nofile, limit);
    raised.map_err(|error| format!("the limit of open files can't be raised: {error}"))
}
