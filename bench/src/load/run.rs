//! One run: a relay, the generator's threads, and the phases they go through together.

use std::io::{IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use link::{Counter, Transport};

use super::checker::Faults;
use super::crew::Route;
use super::executor::Executor;
use super::offer::{Load, Offer};
use super::phase::{Limits, Phase, Shared};
use super::place::Relay;
use super::process::{self, CoreTime, Forwarder, Process};
use super::report::{Counted, Moment, Report, Verdict};
use super::strangers::{Met, Strangers};
use super::stub::{Closed, Stub};
use super::subject::{SHARD_THREADS, Subject};
use super::tally::Tally;
use super::through::Meeting;

/// No message for so long means that the relay stands still.
const STANDSTILL: Duration = Duration::from_secs(10);
/// The relay publishes its counters now and then; a last look waits for it.
const PUBLISHING: Duration = Duration::from_millis(300);
/// How long a thread of the generator may go without a turn.
const STUCK: Duration = Duration::from_secs(10);
/// How much longer than the threads' own deadlines the main thread waits for them.
const GRACE: Duration = Duration::from_secs(5);
/// The parts in which a run's progress is kept.
const MOMENT: Duration = Duration::from_secs(1);
/// How long a thread may take until it listens.
const LISTENING: Duration = Duration::from_secs(10);
/// What every thread's name begins with.
const ALL_THREADS: &str = "";

/// What is read at both ends of the measured part.
#[derive(Debug, Clone)]
struct Reading {
    at: Instant,
    messages: u64,
    relay_cpu_ns: u64,
    own_cpu_ns: u64,
    work_ns: u64,
    enters: u64,
    sends: u64,
    allocations: u64,
    cores: Vec<CoreTime>,
}

/// What a run has brought.
struct Measured {
    before: Reading,
    after: Reading,
    strangers: Option<Met>,
    /// How the sessions of a link ended.
    closed: Option<Vec<Closed>>,
}

/// What knows of the sessions beside the generator.
enum Sessions {
    /// A relay that was asked for them over its link.
    Linked(Box<Subject>),
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
    timeline: Vec<Moment>,
    watch: Watch,
}

/// Sees to it that no thread hangs unseen.
struct Watch {
    turns: Vec<(u64, Instant)>,
}

impl Watch {
    fn new(threads: usize) -> Watch {
        Watch {
            turns: vec![(0, Instant::now()); threads],
        }
    }

    /// The error names the thread that has not turned for too long.
    fn look(&mut self, shared: &Shared, now: Instant, what: &str) -> Result<(), String> {
        for (number, (last, seen)) in self.turns.iter_mut().zip(&shared.threads).enumerate() {
            let turns = seen.turns.load(Ordering::Relaxed);
            if turns != last.0 {
                *last = (turns, now);
            } else if now.duration_since(last.1) > STUCK {
                let seconds = STUCK.as_secs();
                return Err(format!(
                    "thread {number} of the generator has hung for {seconds} s while {what}: its core is not free, or the kernel does not return"
                ));
            }
        }
        Ok(())
    }
}

/// Offers a load to Causeway's relay.
pub fn run(offer: &Offer, relay: &Relay) -> Result<Report, String> {
    super::raise_descriptors(offer.load.sessions)?;
    let subject = Subject::open(relay, &offer.load)?;
    let (run, threads) = Run::over(offer, subject, &[])?;
    run.finish(threads)
}

/// When [`hold`] asks for a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// There are no sessions yet.
    Before,
    /// All sessions are bound, and nothing has flowed for the warm-up.
    Idle,
    /// All sessions have ended.
    After,
}

/// Binds all sessions of a load, lets them be idle for a while, ends them. Connections come from
/// the `sources` in turns.
pub fn hold(
    offer: &Offer,
    relay: &Relay,
    sources: &[IpAddr],
    look: &mut dyn FnMut(Held, Process, &Stub),
) -> Result<Faults, String> {
    super::raise_descriptors(offer.load.sessions)?;
    let subject = Subject::open(relay, &offer.load)?;
    look(Held::Before, subject.process, &subject.stub);
    let (mut run, threads) = Run::over(offer, subject, sources)?;
    let held = run.bind().and_then(|()| {
        let until = Instant::now() + offer.warm_up;
        while Instant::now() < until {
            run.look("holding")?;
            run.listen(Duration::from_millis(100))?;
        }
        run.look_at(Held::Idle, look);
        run.close()
    });
    if held.is_err() {
        run.shared.set_phase(Phase::Abort);
    }
    let tallies = run.join(threads);
    run.progress_done();
    let closed = held.map_err(|why| {
        let tallies = tallies.iter().flatten();
        let mut own = tallies.filter_map(|tally| tally.as_ref().err());
        own.find(|&own| own != "given up").cloned().unwrap_or(why)
    })?;
    let mut faults = Faults::default();
    for tally in tallies? {
        faults.add(tally?.faults);
    }
    if let Some(closed) = closed {
        compare_counts(&closed, &offer.load, 0, &mut faults);
    }
    std::thread::sleep(PUBLISHING);
    run.look_at(Held::After, look);
    Ok(faults)
}

/// Offers a load to a forwarder, which `start` starts toward an address of the generator. It has
/// one core, and so has the generator: the first of its cores.
pub fn run_through(
    offer: &Offer,
    start: &dyn Fn(SocketAddr) -> Result<Forwarder, String>,
) -> Result<Report, String> {
    super::raise_descriptors(offer.load.sessions)?;
    let limits = Limits::of(offer.load.sessions);
    let (shared, meeting) = (
        Arc::new(Shared::new(1, limits)),
        Arc::new(Meeting::default()),
    );
    let route = Route::Through(meeting.clone());
    let core = offer.cores.first().copied().unwrap_or(0);
    let thread = Executor::start(0, core, route, offer.load.clone(), shared.clone())?;
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
        timeline: Vec::new(),
        watch: Watch::new(1),
    };
    run.finish(vec![thread])
}

fn own_reason(tally: Result<Tally, String>) -> Option<String> {
    tally.err().filter(|why| why != "given up")
}

impl<'a> Run<'a> {
    /// Makes the sessions, and starts the threads that bind them.
    fn over(
        offer: &'a Offer,
        subject: Subject,
        sources: &[IpAddr],
    ) -> Result<(Run<'a>, Vec<Executor>), String> {
        let load = &offer.load;
        let mut subject = subject;
        let mut plans = subject.stub.create(load)?;
        if !sources.is_empty() {
            for (at, plan) in plans.iter_mut().enumerate() {
                let source = Some(sources[at % sources.len()]);
                plan.legs.iter_mut().for_each(|leg| leg.source = source);
            }
        }
        let executors = offer.cores.len().min(plans.len());
        let shared = Arc::new(Shared::new(executors, Limits::of(load.sessions)));
        let mut threads = Vec::new();
        for (number, &core) in offer.cores.iter().take(executors).enumerate() {
            let own = plans.iter().skip(number).step_by(executors);
            let route = Route::Link(own.cloned().collect());
            let thread = Executor::start(number, core, route, load.clone(), shared.clone());
            threads.push(thread?);
        }
        let run = Run {
            offer,
            relay: subject.process,
            relay_threads: SHARD_THREADS,
            relay_cores: subject.stub.shards(),
            sessions: Sessions::Linked(Box::new(subject)),
            shared,
            executors,
            timeline: Vec::new(),
            watch: Watch::new(executors),
        };
        Ok((run, threads))
    }

    fn look_at(&self, held: Held, look: &mut dyn FnMut(Held, Process, &Stub)) {
        if let Sessions::Linked(subject) = &self.sessions {
            look(held, subject.process, &subject.stub);
        }
    }

    /// Measures, and waits for the threads.
    fn finish(mut self, threads: Vec<Executor>) -> Result<Report, String> {
        let measured = self.measure();
        if measured.is_err() {
            self.shared.set_phase(Phase::Abort);
        }
        let tallies = self.join(threads);
        self.progress_done();
        match measured {
            Ok(measured) => self.report(measured, tallies?),
            // What a thread says is nearer to the cause.
            Err(why) => {
                let own = tallies.ok().into_iter().flatten().find_map(own_reason);
                Err(own.unwrap_or(why))
            }
        }
    }

    /// Waits for the threads, unless one hangs.
    fn join(&self, threads: Vec<Executor>) -> Result<Vec<Result<Tally, String>>, String> {
        let until = Instant::now() + self.shared.limits.closing + GRACE;
        while self.shared.ended.load(Ordering::Acquire) < threads.len() {
            if Instant::now() > until {
                return Err("a thread of the generator does not end".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(threads.into_iter().map(Executor::join).collect())
    }

    /// Moves the threads from phase to phase.
    fn measure(&mut self) -> Result<Measured, String> {
        let shared = self.shared.clone();
        self.bind()?;
        let strangers = self.invite()?;
        shared.set_phase(Phase::WarmUp);
        self.flow(self.offer.warm_up, "warming up")?;
        self.timeline.clear();
        shared.take_slowest_ns();
        let before = self.reading()?;
        shared.set_phase(Phase::Measure);
        self.flow(self.offer.duration, "measuring")?;
        let after = self.reading()?;
        Ok(Measured {
            before,
            after,
            strangers: strangers.map(Strangers::stop).transpose()?,
            closed: self.close()?,
        })
    }

    /// Makes the session at whose leg strangers come, if any are to, and has them come.
    fn invite(&mut self) -> Result<Option<Strangers>, String> {
        let (Sessions::Linked(subject), 1..) = (&mut self.sessions, self.offer.load.strangers)
        else {
            return Ok(None);
        };
        let (_, leg) = subject.stub.begin_waiting(Transport::Tls)?;
        Strangers::start(leg.address, self.offer.load.strangers).map(Some)
    }

    /// Waits until all sessions are bound.
    fn bind(&mut self) -> Result<(), String> {
        let is_bound = |run: &Self| run.shared.bound.load(Ordering::Acquire) == run.executors;
        self.until(is_bound, self.shared.limits.binding, "connecting")?;
        match &mut self.sessions {
            Sessions::Linked(subject) => subject.stub.wait_bound(),
            Sessions::Forwarded(_) => Ok(()),
        }
    }

    /// Waits for what is on its way, and ends all sessions. Gives how those of a link ended.
    fn close(&mut self) -> Result<Option<Vec<Closed>>, String> {
        self.shared.set_phase(Phase::Drain);
        let is_drained = |run: &Self| run.shared.drained.load(Ordering::Acquire) == run.executors;
        self.until(is_drained, self.shared.limits.draining, "draining")?;
        self.shared.set_phase(Phase::Close);
        Ok(match &mut self.sessions {
            Sessions::Linked(subject) => Some(subject.stub.delete()?),
            Sessions::Forwarded(forwarder) => {
                *forwarder = None; // Its end is that of its connections.
                None
            }
        })
    }

    fn until(
        &mut self,
        done: impl Fn(&Self) -> bool,
        limit: Duration,
        what: &str,
    ) -> Result<(), String> {
        let until = Instant::now() + limit + GRACE;
        while !done(self) {
            self.look(what)?;
            if Instant::now() > until {
                return Err(format!("the generator's threads do not end {what}"));
            }
            self.listen(Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// Whether all threads are alive; shows how far they are.
    fn look(&mut self, what: &str) -> Result<(), String> {
        if self.shared.ended.load(Ordering::Acquire) > 0 {
            return Err(format!("a thread of the generator gave up while {what}"));
        }
        self.watch.look(&self.shared, Instant::now(), what)?;
        self.progress(what);
        Ok(())
    }

    /// Lets the load flow for a while.
    fn flow(&mut self, duration: Duration, what: &str) -> Result<(), String> {
        let begin = Instant::now();
        let until = begin + duration;
        let mut last = (self.shared.total(), Instant::now());
        let mut moment = (begin, last.0, self.relay.cpu_ns(self.relay_threads)?);
        while Instant::now() < until {
            let rest = until.saturating_duration_since(Instant::now());
            let next = (moment.0 + MOMENT).saturating_duration_since(Instant::now());
            self.listen(rest.min(next).min(Duration::from_millis(200)))?;
            self.look(what)?;
            let total = self.shared.total();
            if moment.0.elapsed() >= MOMENT {
                moment = self.moment(begin, moment)?;
            }
            if total != last.0 {
                last = (total, Instant::now());
            } else if last.1.elapsed() > STANDSTILL && !self.offer.load.pace.is_open() {
                // Nobody gave up, so what is on its way is lost: draining will count it.
                return Ok(());
            }
        }
        Ok(())
    }

    /// Keeps how it went since the last moment.
    fn moment(
        &mut self,
        begin: Instant,
        (at, messages, cpu_ns): (Instant, u64, u64),
    ) -> Result<(Instant, u64, u64), String> {
        let now = (
            Instant::now(),
            self.shared.total(),
            self.relay.cpu_ns(self.relay_threads)?,
        );
        let arrived = now.1 - messages;
        self.timeline.push(Moment {
            at: now.0.duration_since(begin).as_secs_f64(),
            rate: arrived as f64 / now.0.duration_since(at).as_secs_f64(),
            relay_cpu_us_per_message: (now.2 - cpu_ns) as f64 / 1000.0 / arrived.max(1) as f64,
            latency_max_us: self.shared.take_slowest_ns() as f64 / 1000.0,
            relay_memory_kib: self.relay.memory_kib().unwrap_or(0),
        });
        Ok(now)
    }

    /// Waits, and hears what the relay has to say.
    fn listen(&mut self, timeout: Duration) -> Result<(), String> {
        match &mut self.sessions {
            Sessions::Linked(subject) => subject.stub.listen(timeout),
            Sessions::Forwarded(_) => {
                std::thread::sleep(timeout);
                Ok(())
            }
        }
    }

    fn counter(&self, counter: Counter) -> u64 {
        match &self.sessions {
            Sessions::Linked(subject) => subject.stub.counter(counter),
            Sessions::Forwarded(_) => 0,
        }
    }

    fn reading(&mut self) -> Result<Reading, String> {
        Ok(Reading {
            at: Instant::now(),
            messages: self.shared.total(),
            relay_cpu_ns: self.relay.cpu_ns(self.relay_threads)?,
            own_cpu_ns: Process::own().cpu_ns("load-")?,
            work_ns: self.shared.sum(|seen| &seen.work_ns),
            enters: self.counter(Counter::Enters),
            sends: self.counter(Counter::Sends),
            allocations: self.counter(Counter::Allocations),
            cores: process::core_times(),
        })
    }

    fn report(
        &mut self,
        measured: Measured,
        tallies: Vec<Result<Tally, String>>,
    ) -> Result<Report, String> {
        let Measured { before, after, .. } = &measured;
        let is_open = self.offer.load.pace.is_open();
        let mut whole = Tally::new(0, is_open);
        for tally in tallies {
            whole.add(tally?)?;
        }
        let counted = measured.closed.as_deref().map(|closed| {
            compare_counts(closed, &self.offer.load, whole.arrived, &mut whole.faults);
            std::thread::sleep(PUBLISHING);
            self.counted(before, after)
        });
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let messages = after.messages - before.messages;
        let each = |count: u64| count as f64 / messages.max(1) as f64;
        let relay_ns = after.relay_cpu_ns - before.relay_cpu_ns;
        let own_ns = after.own_cpu_ns - before.own_cpu_ns;
        let busy = |ns: u64, cores: usize| ns as f64 / 1e9 / seconds / cores as f64;
        let lateness_us = is_open.then(|| (&whole.lateness).into());
        let mut report = Report {
            offered: self.offer.load.clone(),
            seconds,
            messages,
            rate: messages as f64 / seconds,
            latency_us: (&whole.latency).into(),
            lateness_us,
            relay_cpu_us_per_message: each(relay_ns) / 1000.0,
            relay_load: busy(relay_ns, self.relay_cores),
            generator_cpu_us_per_message: each(own_ns) / 1000.0,
            generator_load: busy(own_ns, self.executors),
            generator_work: busy(after.work_ns - before.work_ns, self.executors),
            cores_load: before
                .cores
                .iter()
                .zip(&after.cores)
                .map(CoreTime::load)
                .collect(),
            counted,
            strangers: measured.strangers,
            timeline: std::mem::take(&mut self.timeline),
            sent: whole.sent,
            arrived: whole.arrived,
            responses: whole.responses,
            reports: whole.reports,
            faults_total: whole.faults.total(),
            faults: whole.faults,
            verdict: Verdict::Good,
        };
        report.verdict = report.judge();
        Ok(report)
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

/// The relay must have counted as many messages as arrived: it counts chunks, and those of a
/// message that is in several cannot be told from here when sizes are mixed. It may count the
/// SENDs without a body that it passes on, two for each session.
fn compare_counts(closed: &[Closed], load: &Load, arrived: u64, faults: &mut Faults) {
    let counted = |one: &Closed| one.counts.messages_a_to_b + one.counts.messages_b_to_a;
    let counted: u64 = closed.iter().map(counted).sum();
    let greetings = 2 * closed.len() as u64;
    let chunks = |size: usize| size.div_ceil(load.chunk.unwrap_or(usize::MAX)) as u64;
    let chunks = load.sizes.list().iter().map(|(size, _)| chunks(*size));
    let (least, most) = (chunks.clone().min().unwrap_or(1), chunks.max().unwrap_or(1));
    if !(arrived * least..=arrived * most + greetings).contains(&counted) {
        faults.unexpected += 1;
        faults
            .note(|| format!("the relay counted {counted} chunks, and {arrived} messages arrived"));
    }
    let others = closed
        .iter()
        .find(|closed| closed.cause != link::Cause::Deleted);
    if let Some(other) = others {
        faults.unexpected += 1;
        faults.note(|| format!("a session was deleted and ended with {:?}", other.cause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_hangs_is_named() {
        let shared = Shared::new(2, Limits::of(1));
        let mut watch = Watch::new(2);
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let turn = |thread: usize| shared.threads[thread].turns.fetch_add(1, Ordering::Relaxed);
        for second in 0..30 {
            turn(0);
            turn(1);
            assert_eq!(watch.look(&shared, after(second), "measuring"), Ok(()));
        }
        for second in 30..39 {
            turn(0);
            assert_eq!(watch.look(&shared, after(second), "measuring"), Ok(()));
        }
        turn(0);
        let why = watch.look(&shared, after(40), "measuring").unwrap_err();
        assert!(
            why.starts_with("thread 1 of the generator has hung"),
            "{why}"
        );
    }
}
