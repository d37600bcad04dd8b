//! The command line of `causeway-bench compare`, and what it means.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use link::Transport;
use serde::{Deserialize, Serialize};

use crate::load::{self, Legs, Load, SIZE_MAX, SIZE_MIN};

/// The loads that goals are set for, each with its goal: the relay's time for a message, as a
/// multiple of the byte relay's with the same load in clear text. By default all are offered.
const GOALS: [(Case, f64); 10] = [
    (Case::new(TCP_TCP, 300, 100, 1), 1.00),
    (Case::new(TCP_TCP, 300, 1000, 1), 0.98),
    (Case::new(TCP_TCP, 2048, 8, 32), 1.40),
    (Case::new(TCP_TCP, 10_000, 100, 4), 1.15),
    (Case::new(TCP_TCP, 65_536, 4, 16), 1.10),
    (Case::new(WSS_TCP, 300, 100, 1), 1.15),
    (Case::new(WSS_TCP, 300, 500, 1), 1.25),
    (Case::new(WSS_TCP, 2048, 8, 32), 3.00),
    (Case::new(WSS_TCP, 10_000, 100, 4), 1.70),
    (Case::new(WSS_TCP, 65_536, 4, 16), 1.90),
];

/// From handset to handset.
const TCP_TCP: Legs = Legs::TCP_TCP;
/// From browser to handset.
pub const WSS_TCP: Legs = Legs([Transport::Wss, Transport::Tcp]);
/// What a load that is typed without legs has.
const LEGS: Legs = TCP_TCP;

/// Sessions in one load at most.
const SESSIONS_MAX: u32 = 10_000;

/// Offer the same load to several relays in turns, and compare the time they need for a message.
///
/// Each relay runs as a process of its own on the same core; the generator runs on another. Every
/// octet that arrives is checked. Exit status 0: all turns were good. 1: a message was lost or
/// changed, or a turn failed. 2: nothing could be compared.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Loads, each as OCTETSxSESSIONSxIN_FLIGHT, or wss-tcp:OCTETSxSESSIONSxIN_FLIGHT. Default:
    /// all that goals are set for.
    #[arg(long, value_name = "LOADS", value_delimiter = ',')]
    loads: Vec<Case>,
    /// Seconds that are measured in each turn.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.5)]
    seconds: f64,
    /// Seconds before that.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.4)]
    warm_up: f64,
    /// Turns of each relay with each load; the table shows medians.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// The relays; the byte relay always takes part. Default: all that are installed.
    #[arg(long, value_name = "RELAYS", value_delimiter = ',', value_enum)]
    relays: Vec<Relay>,
    /// The core of the relay whose turn it is.
    #[arg(long, value_name = "CORE", default_value_t = 0)]
    relay_core: usize,
    /// The core of the generator.
    #[arg(long, value_name = "CORE", default_value_t = 1)]
    core: usize,
    /// Causeway's relay; default: causeway-relay beside this program.
    #[arg(long, value_name = "PATH")]
    relay: Option<PathBuf>,
    /// The ports of Causeway's relay.
    #[arg(long, value_name = "FROM-TO", default_value = "25000-29999")]
    ports: String,
    /// Write everything to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Say nothing until the table is there.
    #[arg(long)]
    quiet: bool,
}

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relay {
    /// The floor.
    #[value(name = "byte-relay")]
    #[serde(rename = "byte-relay")]
    Bytes,
    /// Ours.
    Causeway,
    /// HAProxy in TCP mode.
    Haproxy,
    /// The same, moving octets through a pipe, and not through its memory.
    HaproxySplice,
    /// Kamailio's module msrp.
    Kamailio,
}

impl Relay {
    /// All, in the order of the table.
    pub const ALL: [Relay; 5] = [
        Relay::Bytes,
        Relay::Causeway,
        Relay::Haproxy,
        Relay::HaproxySplice,
        Relay::Kamailio,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Relay::Bytes => "byte-relay",
            Relay::Causeway => "causeway",
            Relay::Haproxy => "haproxy",
            Relay::HaproxySplice => "haproxy-splice",
            Relay::Kamailio => "kamailio",
        }
    }
}

/// One load: so many sessions, so many messages in flight in each, from leg A to leg B.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// How the legs travel.
    #[serde(default = "default_legs")]
    pub legs: Legs,
    /// Octets of a body.
    pub size: usize,
    /// Sessions.
    pub sessions: u32,
    /// Messages in flight in each.
    pub in_flight: u32,
}

fn default_legs() -> Legs {
    LEGS
}

impl Case {
    const fn new(legs: Legs, size: usize, sessions: u32, in_flight: u32) -> Case {
        Case {
            legs,
            size,
            sessions,
            in_flight,
        }
    }

    /// How long a message may keep the relay busy, as a multiple of the byte relay's time.
    pub fn goal(self) -> Option<f64> {
        let known = GOALS.iter().find(|(case, _)| *case == self);
        known.map(|(_, goal)| *goal)
    }

    /// What it is, for people.
    pub fn in_words(self) -> String {
        let (way, octets, sessions) = (self.way(" to "), self.size, self.sessions);
        let in_flight = self.in_flight;
        format!("{way}, {octets} octets, {sessions} sessions, {in_flight} in flight each")
    }

    /// What it is, as short as can be understood.
    pub fn in_short(self) -> String {
        let (way, octets, sessions) = (self.way("→"), self.size, self.sessions);
        format!("{way} {octets} B, {sessions} × {}", self.in_flight)
    }

    fn way(self, to: &str) -> String {
        let from = if self.is_secure() { "WSS" } else { "TCP" };
        format!("{from}{to}TCP")
    }

    /// Whether it is the browser's way.
    pub fn is_secure(self) -> bool {
        self.legs == WSS_TCP
    }

    /// As the generator takes it, by these legs: without responses.
    pub fn load(self, legs: Legs) -> Load {
        Load::closed(self.size, self.sessions, self.in_flight, legs)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.legs != LEGS {
            write!(f, "{}:", self.legs)?;
        }
        write!(f, "{}x{}x{}", self.size, self.sessions, self.in_flight)
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Case, String> {
        let (legs, numbers) = match text.split_once(':') {
            Some((legs, numbers)) => (legs.parse()?, numbers),
            None => (LEGS, text),
        };
        if legs != TCP_TCP && legs != WSS_TCP {
            return Err("relays are compared by tcp-tcp and wss-tcp".to_owned());
        }
        let mut parts = numbers.split('x');
        let mut next = || parts.next().and_then(|part| part.parse::<usize>().ok());
        let numbers = (next(), next(), next());
        let (Some(size), Some(sessions), Some(in_flight)) = numbers else {
            return Err("a load is OCTETSxSESSIONSxIN_FLIGHT, such as 300x100x1".to_owned());
        };
        if parts.next().is_some() {
            return Err("a load has three numbers".to_owned());
        }
        if !(SIZE_MIN..=SIZE_MAX).contains(&size) {
            return Err(format!("from {SIZE_MIN} to {SIZE_MAX} octets are possible"));
        }
        let bounded = |number: usize, max: u32, what: &str| {
            let number = u32::try_from(number).ok();
            number
                .filter(|number| (1..=max).contains(number))
                .ok_or_else(|| format!("from 1 to {max} {what} are possible"))
        };
        Ok(Case {
            legs,
            size,
            sessions: bounded(sessions, SESSIONS_MAX, "sessions")?,
            in_flight: bounded(in_flight, 10_000, "messages in flight")?,
        })
    }
}

/// What the command line means.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is offered, one after the other.
    pub cases: Vec<Case>,
    /// What is measured in a turn.
    pub duration: Duration,
    /// What comes before.
    pub warm_up: Duration,
    /// Turns of each relay with each load.
    pub rounds: u32,
    /// Who was asked for, the byte relay among them.
    pub relays: Vec<Relay>,
    /// Where the relays run.
    pub relay_core: usize,
    /// Where the generator runs.
    pub core: usize,
    /// Causeway's relay.
    pub program: PathBuf,
    /// Its ports.
    pub ports: String,
    /// Where everything is written.
    pub json: Option<PathBuf>,
    /// Whether each turn is told.
    pub progress: bool,
}

impl Arguments {
    /// Checks what was typed against what `cores` of this machine allow.
    pub fn check(self, cores: usize) -> Result<Settings, String> {
        for core in [self.relay_core, self.core] {
            if core >= cores {
                return Err(format!("core {core}: this machine has {cores}, from 0"));
            }
        }
        if self.relay_core == self.core {
            return Err(format!(
                "relay and generator can't share core {}: choose others with --relay-core and --core",
                self.core
            ));
        }
        let mut relays: Vec<Relay> = Relay::ALL.to_vec();
        if !self.relays.is_empty() {
            relays.retain(|relay| *relay == Relay::Bytes || self.relays.contains(relay));
        }
        let program = self.relay.unwrap_or_else(load::beside_this_program);
        if relays.contains(&Relay::Causeway) && !program.is_file() {
            return Err(format!(
                "there is no relay at {}: build it with `cargo build --release -p relay`, or say \
                 where it is with --relay",
                program.display()
            ));
        }
        let wrong = |name: &str| format!("{name}: from 0.1 to 86400 seconds are possible");
        Ok(Settings {
            cases: match self.loads.is_empty() {
                true => GOALS.map(|(case, _)| case).to_vec(),
                false => self.loads,
            },
            duration: load::seconds(self.seconds, 0.1).ok_or_else(|| wrong("--seconds"))?,
            warm_up: load::seconds(self.warm_up, 0.0).ok_or_else(|| wrong("--warm-up"))?,
            rounds: self.rounds,
            relays,
            relay_core: self.relay_core,
            core: self.core,
            program,
            ports: self.ports,
            json: self.json,
            progress: !self.quiet,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::turns::cannot;
    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn check(words: &[&str]) -> Result<Settings, String> {
        let words = ["compare", "--relay", "/bin/true"].iter().chain(words);
        Line::try_parse_from(words).unwrap().arguments.check(2)
    }

    #[test]
    fn by_default_every_load_has_a_goal_and_all_take_less_than_ten_minutes() {
        let settings = check(&[]).unwrap();
        assert!(settings.cases.iter().all(|case| case.goal().is_some()));
        assert_eq!(settings.cases.len(), GOALS.len());
        let cases = settings.cases.iter();
        let able = |case: &Case| {
            let relays = settings.relays.iter();
            relays
                .filter(|relay| cannot(**relay, *case).is_none())
                .count()
        };
        let turns = cases.map(able).sum::<usize>() * settings.rounds as usize;
        // Starting, binding, draining and ending take up to a second.
        let turn = settings.warm_up + settings.duration + Duration::from_secs(1);
        assert!(turn * (turns as u32) < Duration::from_secs(600));
    }

    #[test]
    fn a_load_is_three_numbers_within_bounds() {
        for text in ["10000x100x4", "wss-tcp:10000x100x4"] {
            let case: Case = text.parse().unwrap();
            assert_eq!((case.size, case.sessions, case.in_flight), (10_000, 100, 4));
            assert_eq!(case.to_string(), text);
            let json = serde_json::to_string(&case).unwrap();
            assert_eq!(serde_json::from_str::<Case>(&json).unwrap(), case);
        }
        for wrong in [
            "",
            "300",
            "300x1",
            "1x1x1",
            "300x0x1",
            "300x1x1x1",
            "300x1x-1",
            "axbxc",
            "ws-ws:300x1x1",
            "tcp:300x1x1",
        ] {
            assert!(wrong.parse::<Case>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_byte_relay_always_takes_part_and_cores_are_two() {
        let relays = check(&["--relays", "causeway"]).unwrap().relays;
        assert_eq!(relays, [Relay::Bytes, Relay::Causeway]);
        assert!(check(&["--core", "0"]).is_err());
        assert!(check(&["--relay-core", "7"]).is_err());
        assert!(check(&["--seconds", "0"]).is_err());
    }
}
