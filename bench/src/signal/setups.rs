//! `causeway-bench signal`: chats set up through a whole system, step by step.
//!
//! So many simulated browsers call one simulated handset each, again and again. Not here: calls from the
//! handset's side, which `flood` makes.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use super::browser::{Browser, Media, offer};
use super::memory::{Memory, Watch};
use super::place::Place;
use super::{Outcome, conclude, system};
use crate::handset::{Callee, Event};
use crate::load::{Latency, Process};

/// How long one step may take.
const STEP: Duration = Duration::from_secs(10);
/// The steps of a chat; the last is the first four together.
const STEPS: [&str; 6] = [
    "start_to_invite",
    "invite_to_answer",
    "answer_to_media",
    "message",
    "end_to_bye",
    "start_to_message",
];

/// Set up chats through a running system, or through one that is started for it.
///
/// Each browser has a handset of its own and calls it, sends one message, ends the chat, and calls
/// again. Exit status 0: every chat came about. 1: one did not. 2: nothing could be measured.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Browsers that call at a time.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    browsers: u32,
    /// Chats that are due a second, by the clock; without it each browser calls again when its chat has ended. The first
    /// browser that is free calls, and what is timed from the start of a chat is timed from when it was due.
    #[arg(long, value_name = "CHATS")]
    rate: Option<f64>,
    /// Seconds that are measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    duration: f64,
    /// So many chats, however long they take, in the place of so many seconds; then everybody leaves, and nothing
    /// must be left over. The result has the memory of control and relay, second by second.
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    chats: Option<u64>,
    #[command(flatten)]
    place: Place,
}

/// The result.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Browsers that called at a time.
    pub browsers: u32,
    /// Chats that were due a second; `None`: each browser called again when its chat had ended.
    pub rate: Option<f64>,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Chats that came about and ended.
    pub chats: u64,
    /// The same, a second.
    pub chats_per_second: f64,
    /// How long each step took, by its name.
    #[serde(serialize_with = "by_name")]
    pub steps_us: [Latency; STEPS.len()],
    /// CPU time of control for a chat, microseconds; `None`: it was not started here.
    pub control_cpu_us_per_chat: Option<f64>,
    /// The same of the relay.
    pub relay_cpu_us_per_chat: Option<f64>,
    /// The same of the simulated browsers and handsets.
    pub generator_cpu_us_per_chat: f64,
    /// Chats that did not come about, or did not end.
    pub failures: u64,
    /// The first of them, in words.
    pub first_failure: Option<String>,
    /// With `--chats`: memory meanwhile; `None`: or the system was not started here.
    pub memory: Option<Memory>,
}

impl Arguments {
    /// A result with the figures that this run will have.
    pub fn sample(&self) -> Report {
        let cpu = self.place.http.is_none().then_some(0.0);
        Report {
            control_cpu_us_per_chat: cpu,
            relay_cpu_us_per_chat: cpu,
            memory: self.chats.and(cpu).map(|_| Memory::default()),
            ..Report::default()
        }
    }
}

fn by_name<S: Serializer>(
    steps: &[Latency; STEPS.len()],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(STEPS.iter().zip(steps))
}

/// What one browser has measured.
struct Tally {
    steps: [Histogram<u64>; STEPS.len()],
    chats: u64,
    failures: u64,
    first_failure: Option<String>,
}

/// Measures.
pub fn main(arguments: &Arguments) -> ExitCode {
    conclude("signal", &arguments.place, run(arguments))
}

impl Outcome for Report {
    fn is_good(&self) -> bool {
        let left_over = self.memory.as_ref().map_or(0, |memory| memory.left_over);
        self.failures == 0 && self.chats > 0 && left_over == 0
    }
}

async fn run(arguments: &Arguments) -> Result<Report, String> {
    let duration = crate::load::seconds(arguments.duration, 0.1);
    let duration = duration.ok_or("--duration: from 0.1 to 86400 seconds are possible")?;
    if arguments
        .rate
        .is_some_and(|rate| !(0.1..=100_000.0).contains(&rate))
    {
        return Err("--rate: from 0.1 to 100000 chats a second are possible".to_owned());
    }
    let place = &arguments.place;
    let system = place.open().await?;
    let mut pairs = Vec::new();
    for number in 0..arguments.browsers {
        let (caller, callee) = (format!("caller{number}"), format!("callee{number}"));
        let handset = Callee::start(&place.aor(&callee), &system.sip.to_string()).await?;
        let browser = Browser::connect(system.http, &place.application, &caller).await?;
        let target = format!("{callee}@{}", place.domain);
        pairs.push(Pair {
            browser,
            handset,
            target,
            number,
        });
    }
    let before = system.cpu_ns();
    let own_before = Process::own().alone_cpu_ns("")?;
    let begin = Instant::now();
    let watch = arguments.chats.and_then(|_| Watch::begin(&system));
    let bound = Bound {
        begin,
        interval: arguments
            .rate
            .map(|rate| Duration::from_secs_f64(1.0 / rate)),
        until: arguments.chats.is_none().then(|| begin + duration),
        most: arguments.chats.unwrap_or(u64::MAX),
        taken: AtomicU64::new(0),
    };
    let bound = Arc::new(bound);
    let calling = pairs
        .into_iter()
        .map(|pair| tokio::spawn(pair.call_until(bound.clone())));
    let calling: Vec<_> = calling.collect();
    let mut whole = Tally::new();
    for one in calling {
        let tally = one
            .await
            .map_err(|error| format!("a browser died: {error}"))?;
        whole.add(&tally)?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let after = system.cpu_ns();
    let own_ns = Process::own().alone_cpu_ns("")? - own_before;
    let mut memory = watch.map(Watch::end);
    if let Some(memory) = &mut memory {
        memory.settle(&system).await?;
    }
    let each = |ns: u64| ns as f64 / 1000.0 / whole.chats.max(1) as f64;
    let spent = |of: fn(&system::Cpu) -> u64| {
        let (before, after) = (before.as_ref()?, after.as_ref()?);
        Some(each(of(after).saturating_sub(of(before))))
    };
    Ok(Report {
        browsers: arguments.browsers,
        rate: arguments.rate,
        seconds,
        chats: whole.chats,
        chats_per_second: whole.chats as f64 / seconds,
        steps_us: whole.steps.each_ref().map(Latency::from),
        control_cpu_us_per_chat: spent(|cpu| cpu.control_ns),
        relay_cpu_us_per_chat: spent(|cpu| cpu.relay_ns),
        generator_cpu_us_per_chat: each(own_ns),
        failures: whole.failures,
        first_failure: whole.first_failure,
        memory,
    })
}

/// When chats are due, and how many.
struct Bound {
    begin: Instant,
    /// From one chat to the next; `None`: as soon as a browser is free.
    interval: Option<Duration>,
    until: Option<Instant>,
    most: u64,
    taken: AtomicU64,
}

impl Bound {
    /// Waits until there is to be one chat more; gives when it was due. `None`: there is none.
    async fn take_one(&self) -> Option<Instant> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let due = self.interval.map_or_else(Instant::now, |interval| {
            self.begin + Duration::from_secs_f64(interval.as_secs_f64() * number as f64)
        });
        if number >= self.most || self.until.is_some_and(|until| due >= until) {
            return None;
        }
        tokio::time::sleep_until(due.into()).await;
        Some(due)
    }
}

/// A browser and the handset it calls.
struct Pair {
    browser: Browser,
    handset: Callee,
    target: String,
    number: u32,
}

impl Pair {
    async fn call_until(mut self, bound: Arc<Bound>) -> Tally {
        let mut tally = Tally::new();
        for chat in 0u64.. {
            let Some(due) = bound.take_one().await else {
                break;
            };
            match tokio::time::timeout(6 * STEP, self.call(chat, due)).await {
                Ok(Ok(steps)) => tally.count(&steps),
                Ok(Err(why)) => {
                    tally.fail(why);
                    break; // What is left of it would disturb the next.
                }
                Err(_) => {
                    tally.fail("a chat did not end in a minute".to_owned());
                    break;
                }
            }
        }
        self.handset.quit().await;
        self.browser.leave().await;
        tally
    }

    /// One chat, which began when it was due; gives how long each step took.
    async fn call(
        &mut self,
        chat: u64,
        started: Instant,
    ) -> Result<[Duration; STEPS.len()], String> {
        let (number, target) = (self.number, self.target.clone());
        let id = format!("chat{number}x{chat}");
        let own_uri = format!("msrp://b{number}.invalid:2855/s{chat};ws");
        let in_step = |step: usize| move |why: String| format!("{}: {why}", STEPS[step]);

        let sdp = offer(&own_uri);
        let answer = self.browser.start(&id, &target, &sdp);
        let answer = tokio::time::timeout(STEP, answer).await;
        let answer = answer.map_err(|_| in_step(1)("not within 10 s".to_owned()))??;
        let answered = Instant::now();
        let is_incoming = |event: &Event| matches!(event, Event::Incoming { .. });
        let invited = self
            .handset
            .until(STEP, is_incoming)
            .await
            .map_err(in_step(0))?;

        self.browser.complete(&id, &target).await?;
        let media = tokio::time::timeout(STEP, Media::bind(&answer, &own_uri)).await;
        let media = media.map_err(|_| in_step(2)("not within 10 s".to_owned()))?;
        let mut media = media.map_err(in_step(2))?;
        let bound = Instant::now();

        let text = format!("text {number} {chat}");
        media.text(&format!("m{number}x{chat}"), &text).await?;
        let is_it =
            |event: &Event| matches!(event, Event::Message { text: came, .. } if *came == text);
        let arrived = self.handset.until(STEP, is_it).await.map_err(in_step(3))?;

        let ending = Instant::now();
        self.browser.shutdown(&id, &target).await?;
        let is_ended = |event: &Event| matches!(event, Event::Ended { .. });
        let ended = self
            .handset
            .until(STEP, is_ended)
            .await
            .map_err(in_step(4))?;
        Ok([
            invited.saturating_duration_since(started),
            answered.saturating_duration_since(invited),
            bound - answered,
            arrived.saturating_duration_since(bound),
            ended.saturating_duration_since(ending),
            arrived.saturating_duration_since(started),
        ])
    }
}

impl Tally {
    fn new() -> Tally {
        let histogram = || {
            let bounds = Histogram::new_with_bounds(1, 60_000_000_000, 3);
            bounds.expect("the bounds are constants in the right order")
        };
        Tally {
            steps: std::array::from_fn(|_| histogram()),
            chats: 0,
            failures: 0,
            first_failure: None,
        }
    }

    fn count(&mut self, steps: &[Duration; STEPS.len()]) {
        self.chats += 1;
        for (histogram, took) in self.steps.iter_mut().zip(steps) {
            histogram.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    fn fail(&mut self, why: String) {
        self.failures += 1;
        self.first_failure.get_or_insert(why);
    }

    fn add(&mut self, other: &Tally) -> Result<(), String> {
        for (histogram, others) in self.steps.iter_mut().zip(&other.steps) {
            histogram.add(others).map_err(|error| error.to_string())?;
        }
        self.chats += other.chats;
        self.failures += other.failures;
        if self.first_failure.is_none() {
            self.first_failure.clone_from(&other.first_failure);
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (chats, seconds, rate) = (self.chats, self.seconds, self.chats_per_second);
        let browsers = self.browsers;
        writeln!(
            f,
            "chats       {chats} in {seconds:.1} s by {browsers} browsers, {rate:.1} a second"
        )?;
        if let Some(rate) = self.rate {
            writeln!(f, "due         {rate:.1} a second, timed from then")?;
        }
        for (name, took) in STEPS.iter().zip(&self.steps_us) {
            writeln!(f, "{:<17} {took}", name.replace('_', " "))?;
        }
        if let (Some(control), Some(relay)) =
            (self.control_cpu_us_per_chat, self.relay_cpu_us_per_chat)
        {
            writeln!(
                f,
                "CPU a chat  control {control:.0} us, relay {relay:.0} us, browsers and handsets \
                 {:.0} us",
                self.generator_cpu_us_per_chat
            )?;
        }
        if let Some(memory) = &self.memory {
            writeln!(f, "{memory}")?;
        }
        match (self.failures, &self.first_failure) {
            (0, _) if !self.is_good() => write!(f, "verdict     BAD, something is left over"),
            (0, _) => write!(f, "verdict     good: every chat came about, and ended"),
            (failures, first) => {
                let first = first.as_deref().unwrap_or("unknown");
                write!(f, "verdict     BAD, {failures} failures; first: {first}")
            }
        }
    }
}
