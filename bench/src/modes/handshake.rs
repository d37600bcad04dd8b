//! `causeway-bench handshake`: TLS set-ups a second, full ones and resumed ones.
//!
//! Connections to a TLS leg that do nothing but the handshake, so many at a time. First all are full,
//! then all may resume, with tickets that each connection leaves for the next.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use link::Transport;
use serde::Serialize;

use super::churn::on_core;
use super::{Outcome, run};
use crate::load::{
    Client, Latency, Legs, Line, Load, Place, Poller, Process, Progress, Received, Subject, Target,
    Whereabouts,
};

/// How long one handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a turn that brought nothing sleeps.
const IDLE: Duration = Duration::from_micros(20);

/// Shake hands with a TLS leg, again and again.
///
/// Exit status 0: every handshake succeeded, and what should resume did. 1: one did not. 2: nothing could
/// be measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Handshakes at a time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    sessions: u32,
    /// Seconds that are measured, of each kind.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    duration: f64,
    #[command(flatten)]
    place: Whereabouts,
}

/// One kind of handshake.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Kind {
    /// Handshakes that succeeded.
    pub done: u64,
    /// The same, a second.
    pub rate: f64,
    /// How many of them were abbreviated.
    pub resumed: u64,
    /// From the begin of connecting to the end of the handshake.
    pub latency_us: Latency,
    /// Time of the relay on its cores for a handshake, microseconds.
    pub relay_cpu_us: f64,
    /// Time of the generator for a handshake, microseconds.
    pub generator_cpu_us: f64,
    /// Handshakes that failed.
    pub failures: u64,
    /// The first of them, in words.
    pub first_failure: Option<String>,
}

/// The result.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Handshakes at a time.
    pub sessions: u32,
    /// Full ones.
    pub full: Kind,
    /// Abbreviated ones.
    pub resumed: Kind,
}

/// Measures.
pub fn main(arguments: &Arguments) -> ExitCode {
    run("handshake", &arguments.place, |place| {
        let core = place.cores.first().copied().unwrap_or(0);
        on_core(core, || measure(arguments, place))
    })
}

fn measure(arguments: &Arguments, place: &Place) -> Result<Report, String> {
    let duration = crate::load::seconds(arguments.duration, 0.1);
    let duration = duration.ok_or("--duration: from 0.1 to 86400 seconds are possible")?;
    crate::load::raise_descriptors(arguments.sessions)?;
    let legs = Legs([Transport::Tls; 2]);
    let load = Load::closed(300, arguments.sessions, 1, legs);
    let mut subject = Subject::open(&place.relay, &load)?;
    let mut kind = |resumes| {
        let (index, leg) = subject.stub.begin_waiting(Transport::Tls)?;
        let target = leg.target();
        let kind = Shaking::new(arguments.sessions as usize, target, resumes)?;
        let kind = kind.shake(&mut subject, duration, resumes);
        subject.stub.delete_one(index)?;
        kind
    };
    Ok(Report {
        sessions: arguments.sessions,
        full: kind(false)?,
        resumed: kind(true)?,
    })
}

/// Handshakes under way.
struct Shaking<'a> {
    target: Target<'a>,
    /// One each: a client keeps few tickets for a server.
    clients: Vec<Client>,
    poller: Poller,
    lines: Vec<Option<(Line, Instant)>>,
    latency: Histogram<u64>,
    resumed: u64,
    failures: u64,
    first_failure: Option<String>,
}

impl<'a> Shaking<'a> {
    fn new(count: usize, target: Target<'a>, resumes: bool) -> Result<Shaking<'a>, String> {
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 3);
        Ok(Shaking {
            target,
            clients: (0..count)
                .map(|_| Client::new(resumes))
                .collect::<Result<_, _>>()?,
            poller: Poller::new().map_err(|error| error.to_string())?,
            lines: (0..count).map(|_| None).collect(),
            latency: latency.map_err(|error| error.to_string())?,
            resumed: 0,
            failures: 0,
            first_failure: None,
        })
    }

    fn shake(
        mut self,
        subject: &mut Subject,
        duration: Duration,
        resumes: bool,
    ) -> Result<Kind, String> {
        let (relay, own) = (subject.cpu_ns()?, Process::own().alone_cpu_ns("load-")?);
        let begin = Instant::now();
        while begin.elapsed() < duration {
            subject.stub.look(Duration::ZERO)?;
            if !self.turn(resumes)? {
                std::thread::sleep(IDLE);
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        let relay_ns = subject.cpu_ns()? - relay;
        let own_ns = Process::own().alone_cpu_ns("load-")? - own;
        let done = self.latency.len();
        let each = |ns: u64| ns as f64 / 1000.0 / done.max(1) as f64;
        Ok(Kind {
            done,
            rate: done as f64 / seconds,
            resumed: self.resumed,
            latency_us: (&self.latency).into(),
            relay_cpu_us: each(relay_ns),
            generator_cpu_us: each(own_ns),
            failures: self.failures,
            first_failure: self.first_failure,
        })
    }

    /// Whether there was anything to do.
    fn turn(&mut self, resumes: bool) -> Result<bool, String> {
        let mut has_done = false;
        for place in 0..self.lines.len() {
            if self.lines[place].is_none() {
                has_done = true;
                match Line::connect(&self.target, Some(&self.clients[place])) {
                    Ok(line) => {
                        let added = self.poller.add(line.socket(), place as u64);
                        added.map_err(|error| error.to_string())?;
                        self.lines[place] = Some((line, Instant::now()));
                    }
                    Err(why) => self.fail(why),
                }
            }
        }
        let news: Vec<_> = self
            .poller
            .look()
            .map_err(|error| error.to_string())?
            .collect();
        for news in news {
            has_done = true;
            let place = news.number as usize;
            let Some((line, began)) = &mut self.lines[place] else {
                continue;
            };
            let was_open = line.progress() == Progress::Open;
            line.news(news);
            let (progress, took) = (line.advance(), began.elapsed());
            match progress {
                Ok(Progress::Open) => {
                    if !was_open {
                        self.resumed += u64::from(line.is_resumed());
                        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                        self.latency.saturating_record(took_ns);
                    }
                    // The ticket comes behind the handshake; it is in what is read next.
                    let received = line.receive_into(&mut [0; 64]);
                    let may_come = resumes && !matches!(received, Received::End(_));
                    if line.has_tickets() || !may_come {
                        self.lines[place] = None;
                    }
                }
                Ok(_) => {}
                Err(why) => {
                    self.lines[place] = None;
                    self.fail(why);
                }
            }
        }
        for line in &mut self.lines {
            if line
                .as_ref()
                .is_some_and(|(_, began)| began.elapsed() > HANDSHAKE)
            {
                let waits = line.take().map(|(line, _)| line.progress());
                let seconds = HANDSHAKE.as_secs();
                self.failures += 1;
                let why = || format!("not over in {seconds} s: {waits:?}");
                self.first_failure.get_or_insert_with(why);
            }
        }
        Ok(has_done)
    }

    fn fail(&mut self, why: String) {
        self.failures += 1;
        self.first_failure.get_or_insert(why);
    }
}

impl Outcome for Report {
    fn is_good(&self) -> bool {
        let kinds = [&self.full, &self.resumed];
        let has_resumed = self.resumed.resumed * 10 > self.resumed.done * 9;
        has_resumed && kinds.iter().all(|kind| kind.failures == 0 && kind.done > 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, kind) in [("full", &self.full), ("resumed", &self.resumed)] {
            writeln!(
                f,
                "{name:<11} {} handshakes, {:.0} a second, {} of them abbreviated",
                kind.done, kind.rate, kind.resumed
            )?;
            writeln!(f, "            {}", kind.latency_us)?;
            writeln!(
                f,
                "            CPU a handshake: relay {:.0} us, generator {:.0} us",
                kind.relay_cpu_us, kind.generator_cpu_us
            )?;
            if let Some(first) = &kind.first_failure {
                writeln!(f, "            {} FAILED; first: {first}", kind.failures)?;
            }
        }
        match self.is_good() {
            true => write!(
                f,
                "verdict     good: all succeeded, and those resumed that should"
            ),
            false => write!(f, "verdict     BAD: see above"),
        }
    }
}
