//! `causeway-bench churn`: sessions made, bound and ended, one after the other, many at a time.
//!
//! `--at link` makes and deletes them over the link alone; else each gets its two connections, says
//! who it is on both, and is deleted once the relay has told that both legs are bound.

use std::collections::VecDeque;
use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use link::{Cause, Counter};
use serde::Serialize;

use super::{Outcome, run};
use crate::load::{
    Client, Faults, Latency, Legs, Limits, Load, Pattern, Phase, Place, Poller, Process, Session,
    Shared, Stub, Subject, Tally, Turn, Whereabouts,
};

/// How long one session may take from its begin to its end.
const SESSION: Duration = Duration::from_secs(30);
/// How long a turn that brought nothing sleeps.
const IDLE: Duration = Duration::from_micros(20);
/// The relay publishes its gauges now and then.
const PUBLISHING: Duration = Duration::from_millis(300);

/// Make and end sessions as fast as the relay does it.
///
/// Exit status 0: every session came about and ended as it should. 1: one did not, or something was
/// left over. 2: nothing could be measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// How far each session comes.
    #[arg(long, value_enum, default_value = "connections")]
    at: At,
    /// Sessions under way at a time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    sessions: u32,
    /// How the legs travel, A (the browser's side) first: ws, wss, tcp or tls.
    #[arg(long, value_name = "LEGS", default_value = "ws-tcp")]
    legs: Legs,
    /// Seconds that are measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    duration: f64,
    #[command(flatten)]
    place: Whereabouts,
}

/// How far a session comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// Made and deleted over the link.
    Link,
    /// Both legs connected and bound in between.
    #[default]
    Connections,
}

/// The result.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// How far each session came.
    pub at: At,
    /// Sessions under way at a time.
    pub sessions: u32,
    /// How their legs travelled.
    pub legs: Legs,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Sessions that came and went.
    pub done: u64,
    /// The same, a second.
    pub rate: f64,
    /// From asking the relay for a session to having it.
    pub made_us: Latency,
    /// From asking for it until the relay has told that both legs are bound.
    pub bound_us: Option<Latency>,
    /// From asking for its end to being told of it.
    pub ended_us: Latency,
    /// Time of the relay on its cores for a session, microseconds.
    pub relay_cpu_us_per_session: f64,
    /// Part of its cores that the relay used, 1 is all.
    pub relay_load: f64,
    /// Time of the generator for a session, microseconds.
    pub generator_cpu_us_per_session: f64,
    /// Gauges of the relay that are not zero after the end and must be.
    pub left_over: Vec<(&'static str, u64)>,
    /// What went wrong.
    pub faults: Faults,
}

impl Arguments {
    /// A result with the figures that this run will have.
    pub fn sample(&self) -> Report {
        Report {
            bound_us: (self.at == At::Connections).then(Latency::default),
            ..Report::default()
        }
    }
}

/// Measures.
pub fn main(arguments: &Arguments) -> ExitCode {
    run("churn", &arguments.place, |place| {
        // A thread of its own, so that its time can be told and it has a core.
        let core = place.cores.first().copied().unwrap_or(0);
        on_core(core, || measure(arguments, place))
    })
}

/// Runs on a thread of that core.
pub fn on_core<T: Send>(
    core: usize,
    work: impl FnOnce() -> Result<T, String> + Send,
) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(format!("load-{core}"));
        let started = thread.spawn_scoped(scope, move || {
            let mut cores = rustix::thread::CpuSet::new();
            cores.set(core);
            let settled = rustix::thread::sched_setaffinity(None, &cores);
            settled.map_err(|error| format!("can't run on core {core} only: {error}"))?;
            work()
        });
        let started = started.map_err(|error| format!("can't start a thread: {error}"))?;
        started.join().map_err(|_| "a thread died".to_owned())?
    })
}

/// A session on its way.
struct Underway {
    index: u32,
    session: Option<Session>,
    phase: Phase,
    asked: Instant,
    ending: Option<Instant>,
}

/// The sessions under way, and what was measured.
struct Churn<'a> {
    arguments: &'a Arguments,
    load: Load,
    stub: &'a mut Stub,
    poller: Poller,
    client: Option<Client>,
    pattern: Pattern,
    shared: Shared,
    tally: Tally,
    /// A session's place here is its number to the poller; it is given to the next.
    places: Vec<Option<Underway>>,
    free: VecDeque<usize>,
    made: Histogram<u64>,
    bound: Histogram<u64>,
    ended: Histogram<u64>,
    done: u64,
}

fn measure(arguments: &Arguments, place: &Place) -> Result<Report, String> {
    let duration = crate::load::seconds(arguments.duration, 0.1);
    let duration = duration.ok_or("--duration: from 0.1 to 86400 seconds are possible")?;
    crate::load::raise_descriptors(arguments.sessions)?;
    let load = Load::closed(300, arguments.sessions, 1, arguments.legs);
    let mut subject = Subject::open(&place.relay, &load)?;
    let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(|e| e.to_string());
    let count = arguments.sessions as usize;
    let (cpu_before, own_before) = (subject.cpu_ns()?, Process::own().alone_cpu_ns("load-")?);
    let mut churn = Churn {
        arguments,
        pattern: Pattern::new(load.sizes.max()),
        load,
        stub: &mut subject.stub,
        poller: Poller::new().map_err(|error| error.to_string())?,
        client: arguments
            .legs
            .has_tls()
            .then(|| Client::new(true))
            .transpose()?,
        shared: Shared::new(1, Limits::of(arguments.sessions)),
        tally: Tally::new(0, false),
        places: (0..count).map(|_| None).collect(),
        free: (0..count).collect(),
        made: histogram()?,
        bound: histogram()?,
        ended: histogram()?,
        done: 0,
    };
    let begin = Instant::now();
    let until = begin + duration;
    while Instant::now() < until {
        churn.turn(true)?;
    }
    let (done, seconds) = (churn.done, begin.elapsed().as_secs_f64());
    while churn.free.len() < count {
        churn.turn(false)?;
    }
    let Churn {
        made,
        bound,
        ended,
        tally,
        ..
    } = churn;
    std::thread::sleep(PUBLISHING);
    let relay_ns = subject.cpu_ns()? - cpu_before;
    let own_ns = Process::own().alone_cpu_ns("load-")? - own_before;
    let each = |ns: u64| ns as f64 / 1000.0 / ended.len().max(1) as f64;
    Ok(Report {
        at: arguments.at,
        sessions: arguments.sessions,
        legs: arguments.legs,
        seconds,
        done,
        rate: done as f64 / seconds,
        made_us: (&made).into(),
        bound_us: (arguments.at == At::Connections).then(|| (&bound).into()),
        ended_us: (&ended).into(),
        relay_cpu_us_per_session: each(relay_ns),
        relay_load: relay_ns as f64 / 1e9 / seconds / subject.stub.shards() as f64,
        generator_cpu_us_per_session: each(own_ns),
        left_over: Counter::left_over(|gauge| subject.stub.counter(gauge)),
        faults: tally.faults,
    })
}

impl Churn<'_> {
    /// Does what there is to do, and sleeps a little if that was nothing.
    fn turn(&mut self, begins: bool) -> Result<(), String> {
        self.stub.look(Duration::ZERO)?;
        let mut has_done = begins && self.begin()?;
        has_done |= self.look()?;
        for place in 0..self.places.len() {
            has_done |= self.go_on(place)?;
        }
        if !has_done {
            std::thread::sleep(IDLE);
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<bool, String> {
        let has_free = !self.free.is_empty();
        while let Some(place) = self.free.pop_front() {
            let asked = Instant::now();
            let index = self.stub.begin(self.arguments.legs.0)?;
            self.places[place] = Some(Underway {
                index,
                session: None,
                phase: Phase::Connect,
                asked,
                ending: None,
            });
        }
        Ok(has_free)
    }

    fn look(&mut self) -> Result<bool, String> {
        let mut ready = Vec::new();
        let news = self.poller.look().map_err(|error| error.to_string())?;
        for news in news {
            let (place, leg) = ((news.number >> 1) as usize, (news.number & 1) as usize);
            let underway = self.places[place].as_mut();
            if let Some(session) = underway.and_then(|underway| underway.session.as_mut()) {
                session.news(leg, news);
                ready.push(place);
            }
        }
        for &place in &ready {
            let Some(underway) = &mut self.places[place] else {
                continue;
            };
            let Some(session) = &mut underway.session else {
                continue;
            };
            let mut turn = Turn {
                phase: underway.phase,
                shared: &self.shared,
                tally: &mut self.tally,
            };
            while session.read(&mut turn)? {}
            session.flush();
        }
        Ok(!ready.is_empty())
    }

    /// Takes one session a step further, if what it waits for has come.
    fn go_on(&mut self, place: usize) -> Result<bool, String> {
        let Some(underway) = &mut self.places[place] else {
            return Ok(false);
        };
        let (index, took) = (underway.index, underway.asked.elapsed());
        if took > SESSION {
            let session = underway.session.as_ref();
            let standing = session.map(Session::waits_for).unwrap_or_default();
            let step = match (&underway.session, underway.ending) {
                (None, None) => "made",
                (Some(_), None) => "bound",
                (_, Some(_)) => "ended",
            };
            let seconds = SESSION.as_secs();
            return Err(format!(
                "session {index} was not {step} in {seconds} s; {standing}"
            ));
        }
        if let Some(ending) = underway.ending {
            let Some(closed) = self.stub.closed(index) else {
                return Ok(false);
            };
            if let Some(session) = &mut underway.session {
                if !session.is_over() {
                    return Ok(false); // The relay's end of its connections is on its way.
                }
                session.finish(&mut self.tally);
            }
            if closed.cause != Cause::Deleted {
                let faults = &mut self.tally.faults;
                faults.unexpected += 1;
                faults.note(|| format!("session {index} ended with {:?}", closed.cause));
            }
            record(&mut self.ended, ending.elapsed());
            self.done += 1;
            self.places[place] = None;
            self.free.push_back(place);
            return Ok(true);
        }
        if underway.session.is_none() {
            let Some(plan) = self.stub.take_plan(index, self.arguments.legs.0)? else {
                return Ok(false);
            };
            record(&mut self.made, took);
            if self.arguments.at == At::Link {
                underway.ending = Some(Instant::now());
                self.stub.delete_one(index)?;
                return Ok(true);
            }
            let mut session = Session::new(plan, &self.load, &self.pattern);
            for leg in 0..2 {
                let line = session.connect(leg, self.client.as_ref())?;
                let number = (place as u64) << 1 | leg as u64;
                let added = self.poller.add(line.socket(), number);
                added.map_err(|error| error.to_string())?;
            }
            underway.session = Some(session);
            return Ok(true);
        }
        if self.stub.is_bound(index) && underway.session.as_ref().is_some_and(Session::is_bound) {
            record(&mut self.bound, took);
            underway.ending = Some(Instant::now());
            underway.phase = Phase::Close;
            self.stub.delete_one(index)?;
            return Ok(true);
        }
        Ok(false)
    }
}

fn record(histogram: &mut Histogram<u64>, took: Duration) {
    histogram.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
}

impl Outcome for Report {
    fn is_good(&self) -> bool {
        self.faults.total() == 0 && self.left_over.is_empty() && self.done > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, seconds, rate, legs) = (self.done, self.seconds, self.rate, self.legs);
        let sessions = self.sessions;
        writeln!(
            f,
            "sessions    {done} in {seconds:.1} s, {rate:.0} a second; {sessions} at a time, {legs}"
        )?;
        writeln!(f, "made        {}", self.made_us)?;
        if let Some(bound) = &self.bound_us {
            writeln!(f, "bound       {bound}")?;
        }
        writeln!(f, "ended       {}", self.ended_us)?;
        writeln!(
            f,
            "CPU         relay {:.1} us a session, its cores {:.0} % busy; generator {:.1} us",
            self.relay_cpu_us_per_session,
            self.relay_load * 100.0,
            self.generator_cpu_us_per_session
        )?;
        match (self.faults.total(), self.left_over.is_empty()) {
            (0, true) => write!(f, "verdict     good: all came about and ended"),
            (0, false) => write!(f, "verdict     BAD, left over: {:?}", self.left_over),
            _ => write!(f, "verdict     BAD: {}", self.faults),
        }
    }
}
