//! Memory of control and of the relay through a run, and what is left over when all have gone.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::system::System;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How long what belongs to nobody any more may be remembered: SIP's transactions are for up to 64 s.
const FORGETTING: Duration = Duration::from_secs(120);
/// Gauges that say how much there may be, or what was, and not what is held.
const NOT_HELD: [&str; 4] = [
    "causeway_relay_shards",
    "causeway_sip_proxies_up",
    "causeway_relay_shard_buffers",
    "causeway_relay_shard_allocated_bytes",
];

/// A moment.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Sample {
    /// Seconds from the begin.
    pub at: f64,
    /// Of control's process, in KiB; pages that it shares are divided.
    pub control_kib: u64,
    /// The same of the relay's.
    pub relay_kib: u64,
}

/// What a run came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Memory {
    /// The most of control in the first half of the run, in KiB.
    pub control_first_kib: u64,
    /// The same in the second.
    pub control_second_kib: u64,
    /// By which part the second is more than the first; below 0: less.
    pub control_growth: f64,
    /// The same of the relay.
    pub relay_first_kib: u64,
    /// The same of the relay.
    pub relay_second_kib: u64,
    /// The same of the relay.
    pub relay_growth: f64,
    /// Gauges that were not zero two minutes after the end.
    pub left_over: u64,
    /// Which, and what they said.
    pub left_over_names: Vec<String>,
    /// All moments.
    pub samples: Vec<Sample>,
}

/// Looks at memory until it is told to stop.
pub struct Watch {
    begin: Instant,
    task: JoinHandle<()>,
    samples: Arc<std::sync::Mutex<Vec<Sample>>>,
}

impl Watch {
    /// Begins; `None` if the system was not started here.
    pub fn begin(system: &System) -> Option<Watch> {
        let look = system.memory_kib()?;
        let samples: Arc<std::sync::Mutex<Vec<Sample>>> = Arc::default();
        let (begin, kept) = (Instant::now(), Arc::clone(&samples));
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            loop {
                ticks.tick().await;
                let (control_kib, relay_kib) = look();
                let at = begin.elapsed().as_secs_f64();
                let sample = Sample {
                    at,
                    control_kib,
                    relay_kib,
                };
                // A list of samples is whole after any panic.
                kept.lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .push(sample);
            }
        });
        Some(Watch {
            begin,
            task,
            samples,
        })
    }

    /// The run is over: what it came to, but for what is left over.
    pub fn end(self) -> Memory {
        self.task.abort();
        let seconds = self.begin.elapsed().as_secs_f64();
        let samples = self
            .samples
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        Memory::new(samples, seconds)
    }
}

impl Memory {
    fn new(samples: Vec<Sample>, seconds: f64) -> Memory {
        let most = |second: bool, of: fn(&Sample) -> u64| {
            let half = samples
                .iter()
                .filter(|sample| (sample.at >= seconds / 2.0) == second);
            half.map(of).max().unwrap_or(0)
        };
        let growth = |first: u64, second: u64| second as f64 / first.max(1) as f64 - 1.0;
        let control = [false, true].map(|second| most(second, |sample| sample.control_kib));
        let relay = [false, true].map(|second| most(second, |sample| sample.relay_kib));
        Memory {
            control_first_kib: control[0],
            control_second_kib: control[1],
            control_growth: growth(control[0], control[1]),
            relay_first_kib: relay[0],
            relay_second_kib: relay[1],
            relay_growth: growth(relay[0], relay[1]),
            samples,
            ..Memory::default()
        }
    }

    /// Waits until nothing is held any more, or too long.
    pub async fn settle(&mut self, system: &System) -> Result<(), String> {
        let until = Instant::now() + FORGETTING;
        loop {
            self.left_over_names = held(&metrics(system).await?);
            self.left_over = self.left_over_names.len() as u64;
            if self.left_over == 0 || Instant::now() >= until {
                return Ok(());
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

async fn metrics(system: &System) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("control's counters: {error}");
    let mut stream = TcpStream::connect(system.http).await.map_err(failed)?;
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        system.http
    );
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.map_err(failed)?;
    Ok(text)
}

/// The gauges that say that something is held.
fn held(metrics: &str) -> Vec<String> {
    let gauges: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" gauge"))
        .filter(|name| !NOT_HELD.contains(name) && !name.ends_with("_max"))
        .collect();
    let is_held = |line: &&str| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        gauges.contains(&name) && !line.ends_with(" 0")
    };
    metrics.lines().filter(is_held).map(str::to_owned).collect()
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "memory      control {} KiB at most in the first half, {} in the second ({:+.1} %); relay {}, {} \
             ({:+.1} %)\nleft over   {} {}",
            self.control_first_kib,
            self.control_second_kib,
            100.0 * self.control_growth,
            self.relay_first_kib,
            self.relay_second_kib,
            100.0 * self.relay_growth,
            self.left_over,
            self.left_over_names.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_are_compared_by_the_most_of_each() {
        let sample = |(at, control_kib): (u32, u64)| Sample {
            at: f64::from(at),
            control_kib,
            relay_kib: 10,
        };
        let samples = [(0, 50), (1, 100), (2, 90), (3, 102)].map(sample);
        let memory = Memory::new(samples.to_vec(), 4.0);
        assert_eq!(
            (memory.control_first_kib, memory.control_second_kib),
            (100, 102)
        );
        assert!((memory.control_growth - 0.02).abs() < 1e-9);
        assert_eq!(memory.relay_growth, 0.0);
    }

    #[test]
    fn only_gauges_of_what_is_held_count() {
        let text = "HTTP/1.1 200 OK\r\n\r\n# TYPE causeway_sessions gauge\ncauseway_sessions 3\n\
                    # TYPE causeway_frames_total counter\ncauseway_frames_total 9\n\
                    # TYPE causeway_relay_shards gauge\ncauseway_relay_shards 1\n\
                    # TYPE causeway_relay_shard_legs_up gauge\ncauseway_relay_shard_legs_up{shard=\"0\"} 1\n\
                    # TYPE causeway_bridges gauge\ncauseway_bridges 0\n\
                    # TYPE causeway_relay_shard_pending_max gauge\ncauseway_relay_shard_pending_max{shard=\"0\"} 5\n";
        let expected = [
            "causeway_sessions 3",
            "causeway_relay_shard_legs_up{shard=\"0\"} 1",
        ];
        assert_eq!(held(text), expected);
    }
}
