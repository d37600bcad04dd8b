//! The command line of `causeway-bench media`, and what it means.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::offer::{Arrivals, Direction, Legs, Load, Offer, Pace, Sizes, Stalled};
use super::place::{Place, Whereabouts};
use super::report::{Counted, Latency, Report};
use super::strangers::{Met, RATE_MAX};

/// Offer the relay a load: so many messages in flight in each session, or so many a second.
///
/// Every octet that arrives is checked. Exit status 0: all arrived, once, in order, unchanged.
/// 1: something did not. 2: the load could not be offered. 3: no verdict, because the generator
/// was the bottleneck.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Sessions, each with two connections.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sessions: u32,
    /// Closed load: messages in flight in each session and direction.
    #[arg(long, value_name = "N", default_value_t = 1)]
    in_flight: u32,
    /// Open load: messages a second over all sessions, each due at its time whatever has arrived.
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "in_flight")]
    rate: Option<f64>,
    /// How the messages of an open load follow each other.
    #[arg(long, value_enum, default_value = "poisson", requires = "rate")]
    arrivals: Arrivals,
    /// Seconds of the warm-up in which the rate of an open load grows to what it is.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, requires = "rate")]
    ramp: f64,
    /// What chance begins with in an open load.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "rate")]
    seed: u64,
    /// Octets of a body; several sizes with weights: 300:80,10000:20.
    #[arg(long, value_name = "OCTETS", default_value = "300")]
    size: Sizes,
    /// Octets of a chunk's body at most; without it each message is one chunk.
    #[arg(long, value_name = "OCTETS")]
    chunk: Option<usize>,
    /// How the legs travel, A (the browser's side) first: ws, wss, tcp or tls.
    #[arg(long, value_name = "LEGS", default_value = "ws-tcp")]
    legs: Legs,
    /// Which way the messages go: a-b, b-a, both, or how many of a hundred go from A to B.
    #[arg(long, value_name = "WAY", default_value = "a-b")]
    direction: Direction,
    /// Ask for a 200 to each chunk, or for none.
    #[arg(long, value_enum, default_value = "off")]
    responses: Switch,
    /// Ask for a REPORT when a message has arrived, or for none.
    #[arg(long, value_enum, default_value = "off")]
    reports: Switch,
    /// Strangers a second who begin a TLS handshake beside it, and leave when they are answered. The
    /// relay that is started bounds handshakes by its defaults then.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=i64::from(RATE_MAX)))]
    strangers: u32,
    /// Seconds that are measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    duration: f64,
    /// Seconds before that.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    warm_up: f64,
    #[command(flatten)]
    place: Whereabouts,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// What the command line means.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is offered.
    pub offer: Offer,
    /// Where.
    pub place: Place,
}

/// What is wrong with the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// The load can't be offered.
    Load(String),
    /// A time is negative, or too long.
    Time(&'static str),
    /// There is no core of this number.
    Core(usize),
    /// There is no such program.
    NoRelay(PathBuf),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Load(why) => f.write_str(why),
            Wrong::Time(name) => write!(f, "{name}: from 0.1 to 86400 seconds are possible"),
            Wrong::Core(core) => {
                write!(
                    f,
                    "core {core}: this machine has none of that number; see --cores"
                )
            }
            Wrong::NoRelay(path) => write!(
                f,
                "there is no relay at {}: build it with `cargo build -p relay`, or say where it is \
                 with --relay, or where one serves with --socket",
                path.display()
            ),
        }
    }
}

impl Arguments {
    fn load(&self) -> Load {
        let in_flight = self.in_flight;
        let pace = self
            .rate
            .map_or(Pace::Closed { in_flight }, |rate| Pace::Open {
                rate,
                arrivals: self.arrivals,
                seed: self.seed,
                ramp: self.ramp,
            });
        Load {
            sessions: self.sessions,
            pace,
            sizes: self.size.clone(),
            chunk: self.chunk,
            legs: self.legs,
            direction: self.direction,
            responses: self.responses == Switch::On,
            reports: self.reports == Switch::On,
            stalled: Stalled::default(),
            strangers: self.strangers,
        }
    }

    /// A result with the figures that this run will have.
    pub fn sample(&self) -> Report {
        Report {
            offered: self.load(),
            lateness_us: self.rate.map(|_| Latency::default()),
            counted: Some(Counted::default()),
            strangers: (self.strangers > 0).then(Met::default),
            ..Report::default()
        }
    }

    /// Checks what was typed against what `cores` of this machine allow.
    pub fn check(self, cores: usize) -> Result<Settings, Wrong> {
        let load = self.load();
        load.check().map_err(Wrong::Load)?;
        let duration = seconds(self.duration, 0.1).ok_or(Wrong::Time("--duration"))?;
        let warm_up = seconds(self.warm_up, 0.0).ok_or(Wrong::Time("--warm-up"))?;
        let place = self.place.check(cores)?;
        Ok(Settings {
            offer: Offer {
                load,
                duration,
                warm_up,
                cores: place.cores.clone(),
                progress: place.progress,
            },
            place,
        })
    }
}

/// A time that was typed, if it is in bounds.
pub fn seconds(value: f64, least: f64) -> Option<Duration> {
    (least..=86_400.0)
        .contains(&value)
        .then(|| Duration::from_secs_f64(value))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn check(words: &[&str]) -> Result<Settings, Wrong> {
        let words = ["media", "--socket", "/run/x.sock"].iter().chain(words);
        Line::try_parse_from(words).unwrap().arguments.check(2)
    }

    #[test]
    fn defaults_are_the_browsers_way() {
        let settings = check(&[]).unwrap();
        assert_eq!(settings.offer.load.legs.to_string(), "ws-tcp");
        assert_eq!(settings.offer.load.direction.senders(), [0]);
        assert_eq!(settings.offer.load.sizes, Sizes::one(300));
        assert!(!settings.offer.load.responses && !settings.offer.load.pace.is_open());
        assert_eq!(settings.offer.cores, [1]);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let wrong = check(&["--chunk", "1"]).unwrap_err();
        assert!(matches!(wrong, Wrong::Load(why) if why.contains("16 octets")));
        let wrong = check(&["--rate", "0"]);
        assert!(matches!(wrong, Err(Wrong::Load(_))));
        assert_eq!(check(&["--cores", "0,7"]).unwrap_err(), Wrong::Core(7));
        assert_eq!(
            check(&["--duration", "0"]).unwrap_err(),
            Wrong::Time("--duration")
        );
        let relay = Line::try_parse_from(["media", "--relay", "/nowhere/relay"]).unwrap();
        let wrong = relay.arguments.check(2).unwrap_err();
        assert_eq!(wrong, Wrong::NoRelay("/nowhere/relay".into()));
    }
}
