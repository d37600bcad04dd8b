//! One run: a relay, the generator's threads, and the phases they go through together.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use link::Counter;

use super::checker::Faults;
use super::executor::{Executor, Phase, Route, Shared, Tally};
use super::process::{self, CoreTime, Forwarder, Process, Relaying};
use super::report::{Counted, Report};
use super::settings::{Offer, Relay};
use super::stub::{Closed, Stub};
use super::through::Meeting;

/// No message for so long means that the relay stands still.
const STANDSTILL: Duration = Duration::from_secs(10);
/// The relay publishes its counters now and then; a last look waits for it.
const PUBLISHING: Duration = Duration::from_millis(300);
/// How long a thread may take until it listens.
const LISTENING: Duration = Duration::from_secs(10);
/// How the relay's shards are called.
const SHARD_THREADS: &str = "shard";
/// What every thread's name begins with.
const ALL_THREADS: &str = "";

/// What is read at both ends of the measured part.
#[derive(Debug, Clone)]
struct Reading {
    at: Instant,
    messages: u64,
    relay_cpu_ns: u64,
    own_cpu_ns: u64,
    enters: u64,
    sends: u64,
    allocations: u64,
    cores: Vec<CoreTime>,
}

/// What knows of the sessions beside the generator.
enum Sessions {
    /// A relay that was asked for them over its link.
    Linked(Box<Stub>),
    /// Nobody: they last as long as this program runs.
    Forwarded(Option<Forwarder>),
}

/// Everything that is there while the load runs.
struct Run<'a> {
    offer: &'a Offer,
    relay: Process,
    /// How the relay's threads are called that count.
    relay_threads: &'static str,
    relay_cores: usize,
    sessions: Sessions,
    shared: Arc<Shared>,
    executors: usize,
}

/// Offers a load to Causeway's relay.
pub fn run(offer: &Offer, relay: &Relay) -> Result<Report, String> {
    let load = &offer.load;
    super::raise_descriptors(load.sessions)?;
    let started = match relay {
        Relay::Start {
            program,
            cores,
            ports,
        } => Some(Relaying::start(program, cores, ports)?),
        Relay::Attach(_) => None,
    };
    let mut stub = match (&started, relay) {
        (Some(started), _) => Stub::attach(&started.socket)?,
        (None, Relay::Attach(socket)) => Stub::attach(socket)?,
        (None, Relay::Start { .. }) => return Err("there is no relay".to_owned()),
    };
    let relay = match &started {
        Some(started) => started.process(),
        None => Process::at_other_end(stub.socket())?,
    };
    let plans = stub.create(load)?;
    let executors = offer.cores.len().min(plans.len());
    let shared = Arc::new(Shared::new(executors));
    let mut threads = Vec::new();
    for (number, &core) in offer.cores.iter().take(executors).enumerate() {
        let own = plans.iter().skip(number).step_by(executors);
        let route = Route::Link(own.cloned().collect());
        let thread = Executor::start(number, core, route, *load, shared.clone());
        threads.push(thread?);
    }
    let run = Run {
        offer,
        relay,
        relay_threads: SHARD_THREADS,
        relay_cores: stub.shards(),
        sessions: Sessions::Linked(Box::new(stub)),
        shared,
        executors,
    };
    run.finish(threads)
}

/// Offers a load to a forwarder, which `start` starts toward an address of the generator. It has
/// one core, and so has the generator: the first of its cores.
pub fn run_through(
    offer: &Offer,
    start: &dyn Fn(SocketAddr) -> Result<Forwarder, String>,
) -> Result<Report, String> {
    super::raise_descriptors(offer.load.sessions)?;
    let core = offer.cores.first().copied().unwrap_or(0);
    let (shared, meeting) = (Arc::new(Shared::new(1)), Arc::new(Meeting::default()));
    let route = Route::Through(meeting.clone());
    let thread = Executor::start(0, core, route, offer.load, shared.clone())?;
    let until = Instant::now() + LISTENING;
    let back = loop {
        match meeting.back() {
            Some(back) => break Ok(back),
            None if Instant::now() > until || shared.ended.load(Ordering::Acquire) > 0 => {
                break Err("the generator does not listen".to_owned());
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    let forwarder = match back.and_then(start) {
        Ok(forwarder) => forwarder,
        Err(why) => {
            shared.set_phase(Phase::Abort);
            let own = own_reason(thread.join());
            return Err(own.unwrap_or(why));
        }
    };
    meeting.offer_front(forwarder.front);
    let run = Run {
        offer,
        relay: forwarder.process(),
        relay_threads: ALL_THREADS,
        relay_cores: 1,
        sessions: Sessions::Forwarded(Some(forwarder)),
        shared,
        executors: 1,
    };
    run.finish(vec![thread])
}

fn own_reason(tally: Result<Tally, String>) -> Option<String> {
    tally.err().filter(|why| why != "given up")
}

impl Run<'_> {
    /// Measures, and waits for the threads.
    fn finish(mut self, threads: Vec<Executor>) -> Result<Report, String> {
        let measured = self.measure();
        if measured.is_err() {
            self.shared.set_phase(Phase::Abort);
        }
        let tallies: Vec<Result<Tally, String>> = threads.into_iter().map(Executor::join).collect();
        self.progress_done();
        match measured {
            Ok((before, after, closed)) => self.report(&before, &after, closed.as_deref(), tallies),
            // What a thread says is nearer to the cause.
            Err(why) => Err(tallies.into_iter().find_map(own_reason).unwrap_or(why)),
        }
    }

    /// Moves the threads from phase to phase.
    fn measure(&mut self) -> Result<(Reading, Reading, Option<Vec<Closed>>), String> {
        let shared = self.shared.clone();
        self.until(
            |run| run.shared.bound.load(Ordering::Acquire) == run.executors,
            "connecting",
        )?;
        if let Sessions::Linked(stub) = &mut self.sessions {
            stub.wait_bound()?;
        }
        shared.set_phase(Phase::WarmUp);
        self.flow(self.offer.warm_up, "warming up")?;
        let before = self.reading()?;
        shared.set_phase(Phase::Measure);
        self.flow(self.offer.duration, "measuring")?;
        let after = self.reading()?;
        shared.set_phase(Phase::Drain);
        self.until(
            |run| run.shared.drained.load(Ordering::Acquire) == run.executors,
            "draining",
        )?;
        shared.set_phase(Phase::Close);
        let closed = match &mut self.sessions {
            Sessions::Linked(stub) => Some(stub.delete()?),
            Sessions::Forwarded(forwarder) => {
                *forwarder = None; // Its end is that of its connections.
                None
            }
        };
        Ok((before, after, closed))
    }

    fn until(&mut self, done: impl Fn(&Self) -> bool, what: &str) -> Result<(), String> {
        while !done(self) {
            if self.shared.ended.load(Ordering::Acquire) > 0 {
                return Err(format!("a thread of the generator gave up while {what}"));
            }
            self.progress(what);
            self.listen(Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// Lets the load flow for a while.
    fn flow(&mut self, duration: Duration, what: &str) -> Result<(), String> {
        let until = Instant::now() + duration;
        let mut last = (self.shared.total(), Instant::now());
        while Instant::now() < until {
            let rest = until.saturating_duration_since(Instant::now());
            self.listen(rest.min(Duration::from_millis(200)))?;
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

    /// Waits, and hears what the relay has to say.
    fn listen(&mut self, timeout: Duration) -> Result<(), String> {
        match &mut self.sessions {
            Sessions::Linked(stub) => stub.listen(timeout),
            Sessions::Forwarded(_) => {
                std::thread::sleep(timeout);
                Ok(())
            }
        }
    }

    fn counter(&self, counter: Counter) -> u64 {
        match &self.sessions {
            Sessions::Linked(stub) => stub.counter(counter),
            Sessions::Forwarded(_) => 0,
        }
    }

    fn reading(&mut self) -> Result<Reading, String> {
        Ok(Reading {
            at: Instant::now(),
            messages: self.shared.total(),
            relay_cpu_ns: self.relay.cpu_ns(self.relay_threads)?,
            own_cpu_ns: Process::own().cpu_ns("load-")?,
            enters: self.counter(Counter::Enters),
            sends: self.counter(Counter::Sends),
            allocations: self.counter(Counter::Allocations),
            cores: process::core_times(),
        })
    }

    fn report(
        &mut self,
        before: &Reading,
        after: &Reading,
        closed: Option<&[Closed]>,
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
        let counted = closed.map(|closed| {
            compare_counts(closed, whole.arrived, &mut whole.faults);
            std::thread::sleep(PUBLISHING);
            self.counted(before, after)
        });
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let messages = after.messages - before.messages;
        let each = |count: u64| count as f64 / messages.max(1) as f64;
        let relay_ns = after.relay_cpu_ns - before.relay_cpu_ns;
        let own_ns = after.own_cpu_ns - before.own_cpu_ns;
        let busy = |ns: u64, cores: usize| ns as f64 / 1e9 / seconds / cores as f64;
        Ok(Report {
            offered: (&self.offer.load).into(),
            seconds,
            messages,
            rate: messages as f64 / seconds,
            latency_us: (&whole.latency).into(),
            relay_cpu_us_per_message: each(relay_ns) / 1000.0,
            relay_load: busy(relay_ns, self.relay_cores),
            generator_load: busy(own_ns, self.executors),
            cores_load: before
                .cores
                .iter()
                .zip(&after.cores)
                .map(CoreTime::load)
                .collect(),
            counted,
            sent: whole.sent,
            arrived: whole.arrived,
            faults_total: whole.faults.total(),
            faults: whole.faults,
        })
    }

    /// What the relay has counted between two readings.
    fn counted(&self, before: &Reading, after: &Reading) -> Counted {
        let messages = (after.messages - before.messages).max(1);
        let each = |count: u64| count as f64 / messages as f64;
        Counted {
            enters_per_message: each(after.enters - before.enters),
            sends_per_message: each(after.sends - before.sends),
            relay_allocations: after.allocations - before.allocations,
            relay_buffers_held_max: self.counter(Counter::BuffersHeldMax),
            relay_buffers: self.counter(Counter::Buffers),
        }
    }

    fn progress(&self, what: &str) {
        if self.offer.progress && std::io::stderr().is_terminal() {
            eprint!("\r{what}, {} messages \x1b[K", self.shared.total());
            let _ = std::io::stderr().flush();
        }
    }

    fn progress_done(&self) {
        if self.offer.progress && std::io::stderr().is_terminal() {
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
