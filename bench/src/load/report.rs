//! The result of a run: for people and for programs.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::checker::Faults;
use super::settings::Load;

/// What was offered.
#[derive(Debug, Clone, Serialize)]
pub struct Offered {
    /// Sessions.
    pub sessions: u32,
    /// Messages in flight in each session and direction.
    pub in_flight: u32,
    /// Octets of a body.
    pub size: usize,
    /// Transports, leg A first.
    pub legs: &'static str,
    /// Which way messages went.
    pub direction: &'static str,
    /// Whether each was answered with 200.
    pub responses: bool,
}

impl From<&Load> for Offered {
    fn from(load: &Load) -> Offered {
        Offered {
            sessions: load.sessions,
            in_flight: load.in_flight,
            size: load.size,
            legs: load.legs.name(),
            direction: load.direction.name(),
            responses: load.responses,
        }
    }
}

/// Latencies in microseconds, from handing a message to the kernel's socket to having it whole.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    /// Half were faster.
    pub p50: f64,
    /// 90 of 100 were faster.
    pub p90: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl From<&Histogram<u64>> for Latency {
    fn from(histogram: &Histogram<u64>) -> Latency {
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Latency {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: histogram.max() as f64 / 1000.0,
        }
    }
}

/// What the relay counted.
#[derive(Debug, Clone, Serialize)]
pub struct Counted {
    /// `io_uring_enter` calls of the relay a message.
    pub enters_per_message: f64,
    /// Sends of the relay a message.
    pub sends_per_message: f64,
    /// Heap allocations by the relay's shards.
    pub relay_allocations: u64,
    /// Most receive buffers the relay ever held, of how many, since it was started.
    pub relay_buffers_held_max: u64,
    /// Receive buffers the relay has.
    pub relay_buffers: u64,
}

/// The result of a run. Numbers are those of the measured part, unless they say otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was offered.
    pub offered: Offered,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Messages that arrived.
    pub messages: u64,
    /// Messages a second.
    pub rate: f64,
    /// How long they took.
    pub latency_us: Latency,
    /// Time of the relay on its cores, microseconds a message.
    pub relay_cpu_us_per_message: f64,
    /// Part of its cores that the relay used, 1 is all.
    pub relay_load: f64,
    /// Part of its cores that the generator used, 1 is all.
    pub generator_load: f64,
    /// Part of each of the machine's cores that anything used, 1 is all.
    pub cores_load: Vec<f64>,
    /// What the relay counted, if it has a link to ask by.
    #[serde(flatten)]
    pub counted: Option<Counted>,
    /// Messages sent in the whole run.
    pub sent: u64,
    /// Messages that arrived in the whole run.
    pub arrived: u64,
    /// What went wrong in the whole run.
    pub faults: Faults,
    /// How many faults there are.
    pub faults_total: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Offered {
            sessions,
            in_flight,
            size,
            legs,
            direction,
            responses,
        } = &self.offered;
        let answers = if *responses {
            "with 200s"
        } else {
            "without responses"
        };
        writeln!(
            f,
            "load        {sessions} sessions {legs}, {direction}, {in_flight} in flight each, \
             {size} octets, {answers}"
        )?;
        let (messages, seconds, rate) = (self.messages, self.seconds, self.rate);
        writeln!(
            f,
            "messages    {messages} in {seconds:.1} s, {rate:.0} a second"
        )?;
        let Latency { p50, p90, p99, max } = self.latency_us;
        writeln!(
            f,
            "latency     p50 {p50:.1} us, p90 {p90:.1} us, p99 {p99:.1} us, max {max:.1} us"
        )?;
        writeln!(
            f,
            "relay       {:.2} us of CPU a message, cores {:.0} % busy",
            self.relay_cpu_us_per_message,
            self.relay_load * 100.0
        )?;
        if let Some(counted) = &self.counted {
            writeln!(
                f,
                "            {:.2} enters and {:.2} sends a message, {} allocations, {} of {} \
                 buffers held at most",
                counted.enters_per_message,
                counted.sends_per_message,
                counted.relay_allocations,
                counted.relay_buffers_held_max,
                counted.relay_buffers
            )?;
        }
        writeln!(
            f,
            "generator   cores {:.0} % busy",
            self.generator_load * 100.0
        )?;
        writeln!(
            f,
            "whole run   {} sent, {} arrived",
            self.sent, self.arrived
        )?;
        match self.faults_total {
            0 => write!(
                f,
                "verdict     good: all arrived, once, in order, unchanged"
            ),
            faults => write!(f, "verdict     BAD, {faults} faults: {}", self.faults),
        }
    }
}
