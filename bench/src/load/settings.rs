//! The command line of `causeway-bench media`, and what it means.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use link::Transport;

/// The shortest body: its number must fit.
pub const SIZE_MIN: usize = super::traffic::LABEL_BYTES;
/// The longest body: larger ones say nothing more about messages a second.
pub const SIZE_MAX: usize = 16 * 1024 * 1024;

/// Offer the relay a closed load: so many sessions, so many messages in flight in each.
///
/// Every octet that arrives is checked. Exit status 0: all arrived, once, in order, unchanged.
/// 1: something did not. 2: the load could not be offered.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Sessions, each with two connections.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sessions: u32,
    /// Messages in flight in each session and direction.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    in_flight: u32,
    /// Octets of a body; each message is one chunk.
    #[arg(long, value_name = "OCTETS", default_value_t = 300)]
    size: usize,
    /// How the legs travel, A (the browser's side) first.
    #[arg(long, value_enum, default_value = "ws-tcp")]
    legs: Legs,
    /// Which way the messages go.
    #[arg(long, value_enum, default_value = "a-b")]
    direction: Direction,
    /// Ask for a 200 to each message, or for none.
    #[arg(long, value_enum, default_value = "off")]
    responses: Switch,
    /// Seconds that are measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    duration: f64,
    /// Seconds before that.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    warm_up: f64,
    /// The cores of the generator, one thread each; default: all but the relay's.
    #[arg(long, value_name = "CORES", value_delimiter = ',')]
    cores: Vec<usize>,
    /// The cores of the relay, one shard each.
    #[arg(
        long,
        value_name = "CORES",
        value_delimiter = ',',
        default_value = "0",
        conflicts_with = "socket"
    )]
    relay_core: Vec<usize>,
    /// The relay to start; default: causeway-relay beside this program.
    #[arg(long, value_name = "PATH", conflicts_with = "socket")]
    relay: Option<PathBuf>,
    /// The ports of the relay that is started.
    #[arg(
        long,
        value_name = "FROM-TO",
        default_value = "20000-24999",
        conflicts_with = "socket"
    )]
    ports: String,
    /// Attach to the relay that serves this socket, instead of starting one. It loses the control
    /// it has.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Write the result to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// No progress line.
    #[arg(long)]
    quiet: bool,
}

/// The transports of both legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Legs {
    /// WebSocket to TCP: a browser and a handset.
    WsTcp,
    /// TCP on both sides.
    TcpTcp,
    /// WebSocket on both sides.
    WsWs,
    /// TCP to WebSocket.
    TcpWs,
}

impl Legs {
    /// As the link calls them.
    pub fn transports(self) -> [Transport; 2] {
        match self {
            Legs::WsTcp => [Transport::Ws, Transport::Tcp],
            Legs::TcpTcp => [Transport::Tcp, Transport::Tcp],
            Legs::WsWs => [Transport::Ws, Transport::Ws],
            Legs::TcpWs => [Transport::Tcp, Transport::Ws],
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Legs::WsTcp => "ws-tcp",
            Legs::TcpTcp => "tcp-tcp",
            Legs::WsWs => "ws-ws",
            Legs::TcpWs => "tcp-ws",
        }
    }
}

/// Which way messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Direction {
    /// From leg A to leg B.
    #[value(name = "a-b")]
    AToB,
    /// From leg B to leg A.
    #[value(name = "b-a")]
    BToA,
    /// Both at once.
    Both,
}

impl Direction {
    /// The legs that send: 0 is A, 1 is B.
    pub fn senders(self) -> &'static [usize] {
        match self {
            Direction::AToB => &[0],
            Direction::BToA => &[1],
            Direction::Both => &[0, 1],
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Direction::AToB => "a-b",
            Direction::BToA => "b-a",
            Direction::Both => "both",
        }
    }
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Which relay is put under load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relay {
    /// One that is started for it.
    Start {
        /// The program.
        program: PathBuf,
        /// Its cores.
        cores: Vec<usize>,
        /// Its ports.
        ports: String,
    },
    /// One that runs.
    Attach(PathBuf),
}

/// What is offered to the relay.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// How many sessions.
    pub sessions: u32,
    /// Messages in flight in each session and direction.
    pub in_flight: u32,
    /// Octets of a body.
    pub size: usize,
    /// The transports of both legs.
    pub legs: Legs,
    /// Which way messages go.
    pub direction: Direction,
    /// Whether each is answered with 200.
    pub responses: bool,
}

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

/// What the command line means.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is offered.
    pub offer: Offer,
    /// Who is put under load.
    pub relay: Relay,
    /// Where the result is written.
    pub json: Option<PathBuf>,
}

/// What is wrong with the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// `--size` is out of bounds.
    Size(usize),
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
            Wrong::Size(size) => {
                write!(
                    f,
                    "--size {size}: from {SIZE_MIN} to {SIZE_MAX} octets are possible"
                )
            }
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
    /// Checks what was typed against what `cores` of this machine allow.
    pub fn check(self, cores: usize) -> Result<Settings, Wrong> {
        if !(SIZE_MIN..=SIZE_MAX).contains(&self.size) {
            return Err(Wrong::Size(self.size));
        }
        let relay = match self.socket {
            Some(socket) => Relay::Attach(socket),
            None => {
                let program = self.relay.unwrap_or_else(beside_this_program);
                if !program.is_file() {
                    return Err(Wrong::NoRelay(program));
                }
                Relay::Start {
                    program,
                    cores: self.relay_core.clone(),
                    ports: self.ports,
                }
            }
        };
        let own_cores = if self.cores.is_empty() {
            let others = (0..cores).filter(|core| !self.relay_core.contains(core));
            let others: Vec<usize> = others.collect();
            if others.is_empty() { vec![0] } else { others }
        } else {
            self.cores
        };
        let mut all = own_cores.iter().chain(&self.relay_core);
        if let Some(&core) = all.find(|&&core| core >= cores) {
            return Err(Wrong::Core(core));
        }
        Ok(Settings {
            offer: Offer {
                load: Load {
                    sessions: self.sessions,
                    in_flight: self.in_flight,
                    size: self.size,
                    legs: self.legs,
                    direction: self.direction,
                    responses: self.responses == Switch::On,
                },
                duration: seconds(self.duration, 0.1).ok_or(Wrong::Time("--duration"))?,
                warm_up: seconds(self.warm_up, 0.0).ok_or(Wrong::Time("--warm-up"))?,
                cores: own_cores,
                progress: !self.quiet,
            },
            relay,
            json: self.json,
        })
    }
}

/// A time that was typed, if it is in bounds.
pub fn seconds(value: f64, least: f64) -> Option<Duration> {
    (least..=86_400.0)
        .contains(&value)
        .then(|| Duration::from_secs_f64(value))
}

/// Where the relay is when both were built together.
pub fn beside_this_program() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.with_file_name("causeway-relay")
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
        assert_eq!(
            settings.offer.load.legs.transports(),
            [Transport::Ws, Transport::Tcp]
        );
        assert_eq!(settings.offer.load.direction.senders(), [0]);
        assert_eq!(
            (settings.offer.load.size, settings.offer.load.responses),
            (300, false)
        );
        assert_eq!(settings.offer.cores, [1]);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        assert_eq!(check(&["--size", "1"]).unwrap_err(), Wrong::Size(1));
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
