//! The result of a run: for people and for programs.

use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::checker::Faults;
use super::offer::{Load, Pace};
use super::strangers::Met;

/// The latest a message may be sent, as a part of the 99th percentile of latency, before the
/// generator's own lateness says too much about the result.
const LATENESS_MAX: f64 = 0.25;
/// Lateness that never spoils a result, in microseconds.
const LATENESS_FREE_US: f64 = 50.0;
/// The part of its time that the generator may be at work in an open load.
const WORK_MAX: f64 = 0.9;
/// The part of its time that it is at work at a rate that surely fits.
const WORK_FITTING: f64 = 0.5;
/// The part of the offered messages that must have been sent.
const OFFERED_MIN: f64 = 0.98;

/// Times in microseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Half were faster.
    pub p50: f64,
    /// 90 of 100 were faster.
    pub p90: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
    /// 999 of 1000 were faster.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
    /// How many there are.
    pub count: u64,
    /// For a plot: the part of all that were at most so slow, and how slow, ascending.
    pub curve: Vec<(f64, f64)>,
}

impl From<&Histogram<u64>> for Latency {
    fn from(histogram: &Histogram<u64>) -> Latency {
        let us = |ns: u64| ns as f64 / 1000.0;
        let at = |quantile: f64| us(histogram.value_at_quantile(quantile));
        // Ten points from each nine to the next: 0 … 0.9 … 0.99 … 0.99999.
        let nines = (0..5).flat_map(|nine: i32| {
            let step = 0.1_f64.powi(nine + 1);
            (0..9).map(move |tenth| rounded(1.0 - step * f64::from(10 - tenth)))
        });
        Latency {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: us(histogram.max()),
            count: histogram.len(),
            curve: nines.chain([1.0]).map(|part| (part, at(part))).collect(),
        }
    }
}

/// Rounded down to two digits that count.
fn two_digits(rate: f64) -> f64 {
    let unit = 10.0_f64.powf(rate.log10().floor() - 1.0);
    (rate / unit).floor() * unit
}

/// To as many digits as there are nines.
fn rounded(part: f64) -> f64 {
    (part * 1e5).round() / 1e5
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.1} us, p90 {:.1} us, p99 {:.1} us, p99.9 {:.1} us, max {:.1} us",
            self.p50, self.p90, self.p99, self.p999, self.max
        )
    }
}

/// What the relay counted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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

/// A second of the measured part, or less.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moment {
    /// Its end, in seconds from the begin of the measured part.
    pub at: f64,
    /// Messages a second that arrived.
    pub rate: f64,
    /// Time of the relay on its cores, microseconds a message.
    pub relay_cpu_us_per_message: f64,
    /// The longest latency, in microseconds.
    pub latency_max_us: f64,
    /// Memory of the relay's process, in KiB: resident, or shared ones divided, as the kernel tells.
    pub relay_memory_kib: u64,
}

/// What the run says about the relay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is", content = "why")]
pub enum Verdict {
    /// All arrived, once, in order, unchanged.
    #[default]
    Good,
    /// Something did not.
    Bad,
    /// Nothing: the generator was the bottleneck, and why that is known.
    None(String),
}

/// The result of a run. Numbers are those of the measured part, unless they say otherwise.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// What was offered.
    pub offered: Load,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Messages that arrived.
    pub messages: u64,
    /// Messages a second.
    pub rate: f64,
    /// How long they took: in a closed load from when they were handed over to be sent, in an open
    /// load from when they were due, until they were there whole.
    pub latency_us: Latency,
    /// How long after its time a message was handed over to be sent. Open load only.
    pub lateness_us: Option<Latency>,
    /// Time of the relay on its cores, microseconds a message.
    pub relay_cpu_us_per_message: f64,
    /// Part of its cores that the relay used, 1 is all.
    pub relay_load: f64,
    /// Time of the generator on its cores, microseconds a message. In an open load it never sleeps.
    pub generator_cpu_us_per_message: f64,
    /// Part of its cores that the generator used, 1 is all.
    pub generator_load: f64,
    /// Part of its time in which the generator had something to do, 1 is all.
    pub generator_work: f64,
    /// Part of each of the machine's cores that anything used, 1 is all.
    pub cores_load: Vec<f64>,
    /// What the relay counted, if it has a link to ask by.
    #[serde(flatten)]
    pub counted: Option<Counted>,
    /// What became of those who came by TLS beside the load.
    #[serde(default)]
    pub strangers: Option<Met>,
    /// How it went, second by second.
    pub timeline: Vec<Moment>,
    /// Messages sent in the whole run.
    pub sent: u64,
    /// Messages that arrived in the whole run.
    pub arrived: u64,
    /// Responses that came, in the whole run.
    pub responses: u64,
    /// REPORTs of success that came, in the whole run.
    pub reports: u64,
    /// What went wrong in the whole run.
    pub faults: Faults,
    /// How many faults there are.
    pub faults_total: u64,
    /// What this says about the relay.
    pub verdict: Verdict,
}

impl Report {
    /// Judges what was measured.
    pub fn judge(&self) -> Verdict {
        if self.faults_total > 0 {
            return Verdict::Bad;
        }
        let (Pace::Open { rate, .. }, Some(late)) = (self.offered.pace, &self.lateness_us) else {
            return Verdict::Good;
        };
        let free_us = LATENESS_FREE_US.max(self.latency_us.p99 * LATENESS_MAX);
        let offered = late.count as f64 / (rate * self.seconds);
        let why = if self.generator_work > WORK_MAX {
            let percent = self.generator_work * 100.0;
            format!("it was at work for {percent:.0} % of the time")
        } else if late.p99 > free_us {
            let (p99, latency) = (late.p99, self.latency_us.p99);
            format!("p99 of its lateness is {p99:.0} us, of the latency {latency:.0} us")
        } else if offered < OFFERED_MIN && late.count > 1000 {
            format!("it offered {:.1} % of what was due", offered * 100.0)
        } else {
            return Verdict::Good;
        };
        let advice = match rate * WORK_FITTING / self.generator_work {
            // It had time enough, and was kept from it.
            fitting if fitting >= rate => {
                "leave its cores alone, or give it others with --cores".to_owned()
            }
            fitting => format!(
                "{} a second would fit, or more cores (--cores)",
                two_digits(fitting)
            ),
        };
        Verdict::None(format!("{why}; {advice}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = &self.offered;
        let (sessions, legs, direction, sizes) =
            (load.sessions, load.legs, load.direction, &load.sizes);
        write!(f, "load        {sessions} sessions {legs}, {direction}, ")?;
        match load.pace {
            Pace::Closed { in_flight } => write!(f, "{in_flight} in flight each, ")?,
            Pace::Open { rate, arrivals, .. } => {
                let arrivals = format!("{arrivals:?}").to_lowercase();
                write!(f, "{rate} a second ({arrivals}), ")?;
            }
        }
        write!(f, "{sizes} octets, ")?;
        if let Some(chunk) = load.chunk {
            write!(f, "in chunks of {chunk}, ")?;
        }
        let with = |is: bool| if is { "with" } else { "without" };
        let (responses, reports) = (with(load.responses), with(load.reports));
        writeln!(f, "{responses} responses, {reports} reports")?;
        let (messages, seconds, rate) = (self.messages, self.seconds, self.rate);
        writeln!(
            f,
            "messages    {messages} in {seconds:.1} s, {rate:.0} a second"
        )?;
        writeln!(f, "latency     {}", self.latency_us)?;
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
            "generator   {:.2} us of CPU a message, cores {:.0} % busy, {:.0} % of the time at work",
            self.generator_cpu_us_per_message,
            self.generator_load * 100.0,
            self.generator_work * 100.0
        )?;
        if let Some(lateness) = &self.lateness_us {
            writeln!(f, "            late by {lateness}")?;
        }
        if let Some(met) = &self.strangers {
            writeln!(f, "strangers   {met}")?;
        }
        let (sent, arrived) = (self.sent, self.arrived);
        let (responses, reports) = (self.responses, self.reports);
        writeln!(
            f,
            "whole run   {sent} sent, {arrived} arrived, {responses} responses, {reports} reports"
        )?;
        match &self.verdict {
            Verdict::Good => write!(
                f,
                "verdict     good: all arrived, once, in order, unchanged"
            ),
            Verdict::Bad => write!(
                f,
                "verdict     BAD, {} faults: {}",
                self.faults_total, self.faults
            ),
            Verdict::None(why) => {
                write!(
                    f,
                    "verdict     no verdict: the generator was the bottleneck: {why}"
                )
            }
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::load::offer::{Arrivals, Legs};

    fn latency(us: &[u64]) -> Latency {
        let mut histogram = Histogram::new(3).unwrap();
        us.iter()
            .for_each(|us| histogram.record(us * 1000).unwrap());
        (&histogram).into()
    }

    /// Of an open load of a hundred messages a second for ten seconds, without any fault.
    pub fn report() -> Report {
        let mut offered = Load::closed(300, 10, 1, Legs::TCP_TCP);
        offered.pace = Pace::Open {
            rate: 100.0,
            arrivals: Arrivals::Constant,
            seed: 1,
            ramp: 0.0,
        };
        Report {
            offered,
            seconds: 10.0,
            messages: 1000,
            rate: 100.0,
            latency_us: latency(&[400; 1000]),
            lateness_us: Some(latency(&[10; 1001])),
            relay_cpu_us_per_message: 10.0,
            relay_load: 0.1,
            generator_cpu_us_per_message: 10.0,
            generator_load: 1.0,
            generator_work: 0.2,
            cores_load: Vec::new(),
            counted: None,
            strangers: None,
            timeline: Vec::new(),
            sent: 1000,
            arrived: 1000,
            responses: 0,
            reports: 0,
            faults: Faults::default(),
            faults_total: 0,
            verdict: Verdict::Good,
        }
    }

    #[test]
    fn a_generator_that_is_late_or_saturated_gives_no_verdict() {
        assert_eq!(report().judge(), Verdict::Good);
        let busy = Report {
            generator_work: 0.95,
            ..report()
        };
        assert!(matches!(busy.judge(), Verdict::None(why)
            if why.contains("95 %") && why.contains("; 52 a second would fit")));
        let late = Report {
            lateness_us: Some(latency(&[150; 1001])),
            ..report()
        };
        assert!(matches!(late.judge(), Verdict::None(why)
            if why.contains("lateness") && why.contains("leave its cores alone")));
        let fewer = Report {
            seconds: 11.0,
            ..report()
        };
        assert!(matches!(fewer.judge(), Verdict::None(why) if why.contains("offered")));
        let slow_relay = Report {
            latency_us: latency(&[4000; 1000]),
            lateness_us: Some(latency(&[150; 1001])),
            ..report()
        };
        assert_eq!(
            slow_relay.judge(),
            Verdict::Good,
            "little beside what was measured"
        );
        let lost = Report {
            faults_total: 1,
            generator_work: 0.95,
            ..report()
        };
        assert_eq!(
            lost.judge(),
            Verdict::Bad,
            "a fault is one however busy the generator is"
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = serde_json::to_string(&report()).unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        let curve = &read.latency_us.curve;
        assert!(curve.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!((curve.len(), curve[0].0), (46, 0.0));
    }
}
