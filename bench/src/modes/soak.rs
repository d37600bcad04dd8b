//! `causeway-bench soak`: a relay under load for long, in rounds, and what grows meanwhile.
//!
//! Each round makes its sessions, loads them, and ends them. Between rounds there is nothing, so every
//! gauge must be at zero, and memory where it was after the round before.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use link::Counter;
use serde::Serialize;

use super::memory::Memory;
use super::{Outcome, run};
use crate::load::{self, Legs, Load, Offer, Place, Relay, Relaying, Subject, Verdict, Whereabouts};

/// The relay publishes its gauges now and then.
const PUBLISHING: Duration = Duration::from_millis(500);
/// Growth that is none, in KiB over the second half.
const GROWTH_FREE_KIB: f64 = 256.0;
/// Growth that is none, as a part of what there is.
const GROWTH_FREE: f64 = 0.02;

/// Load a relay in rounds, and look for what grows or is left over.
///
/// Exit status 0: nothing does, and nothing was lost. 1: something does. 2: nothing could be measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Seconds in all.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600.0)]
    duration: f64,
    /// Seconds of a round.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    round: f64,
    /// Sessions in each round.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sessions: u32,
    /// Messages in flight in each session.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    in_flight: u32,
    /// Octets of a body; several sizes with weights: 300:80,10000:20.
    #[arg(
        long,
        value_name = "OCTETS",
        default_value = "300:80,10000:15,100000:5"
    )]
    size: load::Sizes,
    /// How the legs travel, A (the browser's side) first: ws, wss, tcp or tls.
    #[arg(long, value_name = "LEGS", default_value = "ws-tcp")]
    legs: Legs,
    #[command(flatten)]
    place: Whereabouts,
}

/// What was seen after a round.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// Its end, in seconds from the begin.
    pub at: f64,
    /// Messages that arrived.
    pub messages: u64,
    /// Faults in it.
    pub faults: u64,
    /// Memory after it.
    pub memory: Memory,
    /// Heap memory of the relay's shards after it, in KiB.
    pub heap_kib: u64,
    /// Gauges that are not zero after it.
    pub left_over: Vec<(&'static str, u64)>,
}

/// The result.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What was loaded in each round.
    pub load: Load,
    /// All rounds.
    pub rounds: Vec<Round>,
    /// Messages that arrived.
    pub messages: u64,
    /// Growth of the relay's memory over the second half of the rounds, along a line through them, in KiB.
    pub growth_kib: f64,
    /// The same of its shards' heap.
    pub heap_growth_kib: f64,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
}

/// Measures.
pub fn main(arguments: &Arguments) -> ExitCode {
    run("soak", &arguments.place, |place| measure(arguments, place))
}

fn measure(arguments: &Arguments, place: &Place) -> Result<Report, String> {
    let bounds = |value, name| {
        load::seconds(value, 1.0).ok_or(format!("{name}: from 1 to 86400 seconds are possible"))
    };
    let whole = bounds(arguments.duration, "--duration")?;
    let round = bounds(arguments.round, "--round")?;
    let mut load = Load::closed(300, arguments.sessions, arguments.in_flight, arguments.legs);
    load.sizes = arguments.size.clone();
    load.responses = true;
    load.check()?;
    // The same relay for all rounds.
    let started = match &place.relay {
        Relay::Attach(_) => None,
        Relay::Start {
            program,
            cores,
            ports,
        } => Some(Relaying::start(program, cores, ports, &load)?),
    };
    let relay = match &started {
        Some(started) => Relay::Attach(started.socket.clone()),
        None => place.relay.clone(),
    };
    let offer = Offer {
        load,
        duration: round,
        warm_up: Duration::from_millis(500),
        cores: place.cores.clone(),
        progress: place.progress,
    };
    let begin = Instant::now();
    let (mut rounds, mut wrong) = (Vec::new(), Vec::new());
    while begin.elapsed() < whole {
        let number = rounds.len() + 1;
        let report = load::run(&offer, &relay)?;
        if report.verdict == Verdict::Bad {
            wrong.push(format!("round {number}: {}", report.faults));
        }
        let subject = Subject::open(&relay, &offer.load)?;
        std::thread::sleep(PUBLISHING);
        let left_over = Counter::left_over(|gauge| subject.stub.counter(gauge));
        if !left_over.is_empty() {
            wrong.push(format!("round {number} left over: {left_over:?}"));
        }
        rounds.push(Round {
            at: begin.elapsed().as_secs_f64(),
            messages: report.arrived,
            faults: report.faults_total,
            memory: Memory::look(subject.process),
            heap_kib: subject.stub.counter(Counter::AllocatedBytes) / 1024,
            left_over,
        });
    }
    let of = |value: fn(&Round) -> u64| -> Vec<f64> {
        rounds.iter().map(|round| value(round) as f64).collect()
    };
    let (memory, heap) = (
        of(|round| round.memory.relay_kib),
        of(|round| round.heap_kib),
    );
    for (name, values) in [("the relay's memory", &memory), ("its shards' heap", &heap)] {
        if let Some(growth) = leak(values) {
            wrong.push(format!("{name} grew by {growth:.0} KiB"));
        }
    }
    Ok(Report {
        load: offer.load,
        messages: rounds.iter().map(|round| round.messages).sum(),
        growth_kib: growth(&memory),
        heap_growth_kib: growth(&heap),
        rounds,
        wrong,
    })
}

/// How far the line of least squares through the second half of the values rises from its first to its last. Until
/// then what the relay keeps for later comes to be there; a leak goes on.
fn growth(values: &[f64]) -> f64 {
    let values = &values[values.len() / 2..];
    let count = values.len() as f64;
    if values.len() < 2 {
        return 0.0;
    }
    let middle = (count - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / count;
    let (mut product, mut square) = (0.0, 0.0);
    for (at, value) in values.iter().enumerate() {
        let from_middle = at as f64 - middle;
        product += from_middle * (value - mean);
        square += from_middle * from_middle;
    }
    product / square * (count - 1.0)
}

/// The growth, if it is more than chance may make.
fn leak(values: &[f64]) -> Option<f64> {
    let grown = growth(values);
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    (values.len() >= 5 && grown > GROWTH_FREE_KIB.max(mean * GROWTH_FREE)).then_some(grown)
}

impl Outcome for Report {
    fn is_good(&self) -> bool {
        self.wrong.is_empty() && !self.rounds.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rounds, messages) = (self.rounds.len(), self.messages);
        let seconds = self.rounds.last().map_or(0.0, |round| round.at);
        writeln!(
            f,
            "soak        {rounds} rounds in {seconds:.0} s, {messages} messages"
        )?;
        let first = self
            .rounds
            .first()
            .map_or(0, |round| round.memory.relay_kib);
        let last = self.rounds.last().map_or(0, |round| round.memory.relay_kib);
        writeln!(
            f,
            "memory      {first} KiB after the first round, {last} after the last; growth {:.0} KiB, of \
             the heap {:.0}",
            self.growth_kib, self.heap_growth_kib
        )?;
        match self.wrong.is_empty() {
            true => write!(
                f,
                "verdict     good: nothing was lost, grew, or was left over"
            ),
            false => write!(f, "verdict     BAD: {}", self.wrong.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_told_from_chance() {
        let flat: Vec<f64> = (0..20)
            .map(|n| 10_000.0 + f64::from(n % 3) * 100.0)
            .collect();
        assert_eq!(leak(&flat), None);
        let rising: Vec<f64> = flat
            .iter()
            .zip(0..)
            .map(|(v, n)| v + f64::from(n) * 40.0)
            .collect();
        let grown = leak(&rising).unwrap();
        assert!((300.0..400.0).contains(&grown), "{grown}");
        let settling: Vec<f64> = (0..20).map(|n| f64::from(n.min(9)) * 1000.0).collect();
        assert_eq!(leak(&settling), None, "what rises in the first half");
        assert_eq!(leak(&[1.0, 1.0, 1.0, 1e9]), None, "few rounds say nothing");
        assert_eq!(growth(&[]), 0.0);
    }
}
