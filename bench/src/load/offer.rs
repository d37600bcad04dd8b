//! What is offered to a relay: so many sessions, which messages, at which pace.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use link::Transport;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The shortest body: its number must fit.
pub const SIZE_MIN: usize = super::traffic::LABEL_BYTES;
/// The longest body: larger ones say nothing more about messages a second.
pub const SIZE_MAX: usize = 16 * 1024 * 1024;
/// The most sizes in one mix.
const SIZES_MAX: usize = 16;

/// What is offered to the relay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// How many sessions.
    pub sessions: u32,
    /// When the next message is sent.
    #[serde(default)]
    pub pace: Pace,
    /// Octets of a body.
    pub sizes: Sizes,
    /// Octets of a chunk's body at most; `None`: each message is one chunk.
    #[serde(default)]
    pub chunk: Option<usize>,
    /// The transports of both legs.
    pub legs: Legs,
    /// Which way messages go.
    #[serde(default)]
    pub direction: Direction,
    /// Whether each chunk is answered with 200.
    #[serde(default)]
    pub responses: bool,
    /// Whether each message asks for a REPORT of its success, which its receiver sends.
    #[serde(default)]
    pub reports: bool,
    /// Sessions whose receivers do not read as they should. What they get is checked, not timed.
    #[serde(default)]
    pub stalled: Stalled,
    /// Those who begin a TLS handshake beside it, a second.
    #[serde(default)]
    pub strangers: u32,
}

/// Sessions whose senders send all they can and whose receivers do not keep up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stalled {
    /// So many read nothing, until no more is sent.
    pub stuck: u32,
    /// So many read 4 KiB every 10 ms until then.
    pub slow: u32,
}

impl Load {
    /// A closed load of messages of one size, from leg A to leg B, in one chunk each, without
    /// responses or reports: what relays are compared with.
    pub fn closed(size: usize, sessions: u32, in_flight: u32, legs: Legs) -> Load {
        Load {
            sessions,
            pace: Pace::Closed { in_flight },
            sizes: Sizes::one(size),
            chunk: None,
            legs,
            direction: Direction::AToB,
            responses: false,
            reports: false,
            stalled: Stalled::default(),
            strangers: 0,
        }
    }

    /// What is wrong with it, if anything is.
    pub fn check(&self) -> Result<(), String> {
        if self.chunk.is_some_and(|chunk| chunk < SIZE_MIN) {
            return Err(format!("a chunk has at least {SIZE_MIN} octets"));
        }
        if !(1..=100_000).contains(&self.sessions) {
            return Err("from 1 to 100000 sessions are possible".to_owned());
        }
        if self.stalled.stuck + self.stalled.slow >= self.sessions {
            return Err("some sessions must not be stalled".to_owned());
        }
        self.pace.check()
    }
}

impl Default for Load {
    /// One message of 300 octets at a time.
    fn default() -> Load {
        Load::closed(300, 1, 1, Legs::default())
    }
}

/// When the next message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Pace {
    /// When one has arrived.
    Closed {
        /// Messages in flight in each session and direction.
        in_flight: u32,
    },
    /// When its time has come, whatever has arrived.
    Open {
        /// Messages a second, over all sessions.
        rate: f64,
        /// How they follow each other.
        #[serde(default)]
        arrivals: Arrivals,
        /// What chance begins with: which session, when, which size, which way.
        #[serde(default = "first_seed")]
        seed: u64,
        /// Seconds in which the rate grows from nothing to what it is; part of the warm-up.
        #[serde(default)]
        ramp: f64,
    },
}

fn first_seed() -> u64 {
    1
}

impl Default for Pace {
    fn default() -> Pace {
        Pace::Closed { in_flight: 1 }
    }
}

impl Pace {
    /// Whether a schedule says when messages are due.
    pub fn is_open(self) -> bool {
        matches!(self, Pace::Open { .. })
    }

    fn check(self) -> Result<(), String> {
        match self {
            Pace::Closed { in_flight } if !(1..=10_000).contains(&in_flight) => {
                Err("from 1 to 10000 messages in flight are possible".to_owned())
            }
            Pace::Open { rate, .. } if !(0.01..=10_000_000.0).contains(&rate) => {
                Err("from 0.01 to 10000000 messages a second are possible".to_owned())
            }
            Pace::Open { ramp, .. } if !(0.0..=3600.0).contains(&ramp) => {
                Err("a ramp lasts from 0 to 3600 seconds".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// How messages follow each other in an open load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// At equal distances.
    Constant,
    /// As independent people send: distances are exponentially distributed.
    #[default]
    Poisson,
}

/// Sizes of bodies, each with its weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes(Vec<(usize, u32)>);

impl Sizes {
    /// Always the same.
    pub fn one(size: usize) -> Sizes {
        Sizes(vec![(size, 1)])
    }

    /// Each size with its weight.
    pub fn list(&self) -> &[(usize, u32)] {
        &self.0
    }

    /// The largest.
    pub fn max(&self) -> usize {
        self.0.iter().map(|(size, _)| *size).max().unwrap_or(0)
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(size, _)] = self.0[..] {
            return write!(f, "{size}");
        }
        for (at, (size, weight)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{size}:{weight}")?;
        }
        Ok(())
    }
}

impl FromStr for Sizes {
    type Err = String;

    /// `300`, or sizes with weights: `300:80,10000:15,65536:5`.
    fn from_str(text: &str) -> Result<Sizes, String> {
        let one = |part: &str| {
            let (size, weight) = part.split_once(':').unwrap_or((part, "1"));
            let wrong = || {
                format!("{part}: a size is OCTETS or OCTETS:WEIGHT, such as 300 or 300:80,10000:20")
            };
            let size: usize = size.trim().parse().map_err(|_| wrong())?;
            let weight: u32 = weight.trim().parse().map_err(|_| wrong())?;
            if !(SIZE_MIN..=SIZE_MAX).contains(&size) {
                return Err(format!(
                    "{size}: from {SIZE_MIN} to {SIZE_MAX} octets are possible"
                ));
            }
            match weight {
                1..=1_000_000 => Ok((size, weight)),
                _ => Err(format!("{part}: from 1 to 1000000 are possible as weight")),
            }
        };
        let sizes: Vec<_> = text.split(',').map(one).collect::<Result<_, _>>()?;
        match sizes.len() {
            1..=SIZES_MAX => Ok(Sizes(sizes)),
            _ => Err(format!("up to {SIZES_MAX} sizes are possible in a mix")),
        }
    }
}

/// Which way messages go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// From leg A to leg B.
    #[default]
    AToB,
    /// From leg B to leg A.
    BToA,
    /// Both at once: in a closed load each keeps its own messages in flight, in an open load half
    /// of them go each way.
    Both,
    /// Each message's way is drawn; so many of a hundred go from A to B.
    Mix(u8),
}

impl Direction {
    /// The legs that send: 0 is A, 1 is B.
    pub fn senders(self) -> &'static [usize] {
        match self {
            Direction::AToB => &[0],
            Direction::BToA => &[1],
            Direction::Both | Direction::Mix(_) => &[0, 1],
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Direction::AToB => f.write_str("a-b"),
            Direction::BToA => f.write_str("b-a"),
            Direction::Both => f.write_str("both"),
            Direction::Mix(share) => write!(f, "{share}"),
        }
    }
}

impl FromStr for Direction {
    type Err = String;

    fn from_str(text: &str) -> Result<Direction, String> {
        match text {
            "a-b" => Ok(Direction::AToB),
            "b-a" => Ok(Direction::BToA),
            "both" => Ok(Direction::Both),
            _ => match text.parse() {
                Ok(share @ 1..=99) => Ok(Direction::Mix(share)),
                _ => Err(format!(
                    "{text}: a direction is a-b, b-a, both, or how many of a hundred messages go \
                     from A to B"
                )),
            },
        }
    }
}

/// The transports of both legs, A (the browser's side) first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Legs(pub [Transport; 2]);

impl Legs {
    /// TCP on both sides.
    pub const TCP_TCP: Legs = Legs([Transport::Tcp, Transport::Tcp]);

    /// Whether either is in TLS.
    pub fn has_tls(self) -> bool {
        let [a, b] = self.0;
        [a, b]
            .iter()
            .any(|via| matches!(via, Transport::Wss | Transport::Tls))
    }
}

impl Default for Legs {
    fn default() -> Legs {
        Legs::TCP_TCP
    }
}

impl fmt::Display for Legs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |transport| match transport {
            Transport::Ws => "ws",
            Transport::Wss => "wss",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        };
        write!(f, "{}-{}", name(self.0[0]), name(self.0[1]))
    }
}

impl FromStr for Legs {
    type Err = String;

    fn from_str(text: &str) -> Result<Legs, String> {
        let one = |name| match name {
            "ws" => Some(Transport::Ws),
            "wss" => Some(Transport::Wss),
            "tcp" => Some(Transport::Tcp),
            "tls" => Some(Transport::Tls),
            _ => None,
        };
        let legs = text
            .split_once('-')
            .and_then(|(a, b)| Some([one(a)?, one(b)?]));
        legs.map(Legs).ok_or_else(|| {
            format!("{text}: two of ws, wss, tcp and tls with a dash between, such as wss-tcp")
        })
    }
}

/// Written as it is typed.
macro_rules! as_text {
    ($($name:ty),*) => { $(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    )* };
}
as_text!(Sizes, Direction, Legs);

/// One load and how it is offered.
#[derive(Debug, Clone)]
pub struct Offer {
    /// What is offered.
    pub load: Load,
    /// What is measured.
    pub duration: Duration,
    /// What comes before.
    pub warm_up: Duration,
    /// The generator's cores.
    pub cores: Vec<usize>,
    /// Whether there is a progress line.
    pub progress: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for sizes in ["300", "300:80,10000:20"] {
            assert_eq!(sizes.parse::<Sizes>().unwrap().to_string(), sizes);
        }
        for direction in ["a-b", "b-a", "both", "70"] {
            let parsed = direction.parse::<Direction>().unwrap();
            assert_eq!(parsed.to_string(), direction);
        }
        for legs in ["ws-tcp", "wss-tls", "tcp-ws"] {
            assert_eq!(legs.parse::<Legs>().unwrap().to_string(), legs);
        }
        let mut load = Load::closed(300, 10, 2, Legs::TCP_TCP);
        load.pace = Pace::Open {
            rate: 100.5,
            arrivals: Arrivals::Poisson,
            seed: 7,
            ramp: 0.0,
        };
        let text = serde_json::to_string(&load).unwrap();
        assert_eq!(serde_json::from_str::<Load>(&text).unwrap(), load);
    }

    #[test]
    fn what_cannot_be_offered_is_refused() {
        for sizes in ["", "x", "15", "300:0", "300:80,", "99999999999"] {
            assert!(sizes.parse::<Sizes>().is_err(), "{sizes}");
        }
        for direction in ["0", "100", "a-a", ""] {
            assert!(direction.parse::<Direction>().is_err(), "{direction}");
        }
        for legs in ["ws", "ws-udp", "ws-tcp-tcp"] {
            assert!(legs.parse::<Legs>().is_err(), "{legs}");
        }
        let mut load = Load::closed(300, 10, 0, Legs::TCP_TCP);
        assert!(load.check().is_err());
        load.pace = Pace::Closed { in_flight: 1 };
        assert_eq!(load.check(), Ok(()));
        load.chunk = Some(3);
        assert!(load.check().is_err());
    }
}
