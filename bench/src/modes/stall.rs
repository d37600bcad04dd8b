//! `causeway-bench stall`: what receivers that do not keep up do to the others.
//!
//! The same open load twice, in turns: once all receivers read, once some are stuck and some are
//! slow while their senders send all they can. What counts is the 99th percentile of the others.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::{Outcome, run};
use crate::load::{self, Arrivals, Legs, Load, Offer, Pace, Place, Stalled, Verdict, Whereabouts};

/// A relay gives up a leg that takes nothing for 30 s: a round must be shorter.
const ROUND_MAX: Duration = Duration::from_secs(20);

/// Compare the latency of sessions with and without stalled ones among them.
///
/// Exit status 0: nothing was lost, in the stalled sessions neither. 1: something was. 2: nothing
/// could be measured. 3: no verdict, because the generator was the bottleneck.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Sessions whose messages are timed.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    sessions: u32,
    /// Sessions beside them whose receivers read nothing.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    stuck: u32,
    /// Sessions beside them whose receivers read 4 KiB every 10 ms.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    slow: u32,
    /// Messages a second over all sessions that are timed.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 5000.0)]
    rate: f64,
    /// Octets of a body.
    #[arg(long, value_name = "OCTETS", default_value_t = 300)]
    size: usize,
    /// How the legs travel, A (the browser's side) first: ws, wss, tcp or tls.
    #[arg(long, value_name = "LEGS", default_value = "ws-tcp")]
    legs: Legs,
    /// Seconds that are measured in each turn.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    duration: f64,
    /// Turns of each kind.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    #[command(flatten)]
    place: Whereabouts,
}

/// Two turns, one after the other.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// All receivers read.
    pub without: load::Report,
    /// Some do not keep up.
    pub with: load::Report,
    /// The 99th percentile of latency with them, over that without.
    pub p99_ratio: f64,
}

/// The result.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Sessions that did not keep up.
    pub stalled: Stalled,
    /// All rounds.
    pub rounds: Vec<Round>,
    /// The median of their ratios.
    pub p99_ratio: f64,
}

/// Measures.
pub fn main(arguments: &Arguments) -> ExitCode {
    run("stall", &arguments.place, |place| measure(arguments, place))
}

fn measure(arguments: &Arguments, place: &Place) -> Result<Report, String> {
    let duration = load::seconds(arguments.duration, 0.1).filter(|duration| *duration <= ROUND_MAX);
    let duration = duration.ok_or("--duration: from 0.1 to 20 seconds are possible")?;
    let stalled = Stalled {
        stuck: arguments.stuck,
        slow: arguments.slow,
    };
    let take = |stalled: Stalled, seed: u64| {
        let sessions = arguments.sessions + stalled.stuck + stalled.slow;
        let mut load = Load::closed(arguments.size, sessions, 1, arguments.legs);
        load.stalled = stalled;
        load.pace = Pace::Open {
            rate: arguments.rate,
            arrivals: Arrivals::Poisson,
            seed,
            ramp: 0.0,
        };
        load.check()?;
        let offer = Offer {
            load,
            duration,
            warm_up: Duration::from_secs(1),
            cores: place.cores.clone(),
            progress: place.progress,
        };
        load::run(&offer, &place.relay)
    };
    let mut rounds = Vec::new();
    for round in 0..arguments.rounds {
        let seed = u64::from(round) + 1;
        let without = take(Stalled::default(), seed)?;
        let with = take(stalled, seed)?;
        rounds.push(Round {
            p99_ratio: with.latency_us.p99 / without.latency_us.p99.max(0.001),
            without,
            with,
        });
    }
    let mut ratios: Vec<f64> = rounds.iter().map(|round| round.p99_ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let p99_ratio = ratios[ratios.len() / 2];
    Ok(Report {
        stalled,
        rounds,
        p99_ratio,
    })
}

impl Report {
    fn worst(&self) -> Option<&Verdict> {
        let turns = self
            .rounds
            .iter()
            .flat_map(|round| [&round.without, &round.with]);
        let mut verdicts = turns.map(|turn| &turn.verdict);
        let is_bad = |verdict: &&Verdict| **verdict == Verdict::Bad;
        verdicts
            .clone()
            .find(is_bad)
            .or_else(|| verdicts.find(|verdict| **verdict != Verdict::Good))
    }
}

impl Outcome for Report {
    fn is_good(&self) -> bool {
        self.worst().is_none()
    }

    fn is_void(&self) -> bool {
        matches!(self.worst(), Some(Verdict::None(_)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stalled { stuck, slow } = self.stalled;
        writeln!(f, "stalled     {stuck} stuck, {slow} slow")?;
        for round in &self.rounds {
            writeln!(f, "without     {}", round.without.latency_us)?;
            writeln!(f, "with        {}", round.with.latency_us)?;
            for turn in [&round.without, &round.with] {
                if turn.faults_total > 0 {
                    writeln!(f, "            {}", turn.faults)?;
                }
            }
        }
        writeln!(
            f,
            "ratio       {:.2} of p99, median of {}",
            self.p99_ratio,
            self.rounds.len()
        )?;
        match self.worst() {
            None => write!(
                f,
                "verdict     good: nothing was lost, in the stalled sessions neither"
            ),
            Some(Verdict::None(why)) => {
                write!(
                    f,
                    "verdict     no verdict: the generator was the bottleneck: {why}"
                )
            }
            Some(_) => write!(f, "verdict     BAD: see above"),
        }
    }
}
