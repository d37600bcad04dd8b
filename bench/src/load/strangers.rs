//! Strangers who come by TLS beside a load, more of them than the relay has time for.
//!
//! Each connects to a leg of a session that nobody binds, says a ClientHello, and leaves when it has been
//! answered. It is the same ClientHello for all: so strangers cost the generator next to nothing, while
//! each costs the relay what a handshake costs most, the key exchange and the signature. Not here: whole
//! handshakes, which `causeway-bench handshake` makes.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use link::Transport;
use serde::{Deserialize, Serialize};

use super::line::{Line, Progress, Received, Target};
use super::poller::Poller;
use super::report::Latency;
use super::tls::Client;

/// Handshakes a second at most.
pub const RATE_MAX: u32 = 5_000;
/// Who has neither been answered nor turned away by then was forgotten. The relay gives a handshake up
/// after ten seconds.
const FORGOTTEN: Duration = Duration::from_secs(12);
/// How long the thread sleeps between looks.
const IDLE: Duration = Duration::from_micros(500);

/// What became of the strangers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Met {
    /// Handshakes a second that were begun.
    pub rate: f64,
    /// Those who came.
    pub came: u64,
    /// Those whose handshake went on.
    pub answered: u64,
    /// How long they waited for it, from when they began to connect.
    pub answered_us: Latency,
    /// Those who were turned away.
    pub refused: u64,
    /// How long those waited.
    pub refused_us: Latency,
    /// Those who were neither answered nor turned away within twelve seconds.
    pub forgotten: u64,
}

/// A thread of strangers.
pub struct Strangers {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Met, String>>,
}

impl Strangers {
    /// So many a second come to `address`, from now on, on the same cores as the generator.
    pub fn start(address: SocketAddr, per_second: u32) -> Result<Strangers, String> {
        let is_over = Arc::new(AtomicBool::new(false));
        let until = is_over.clone();
        let hello = hello(address)?;
        let thread = std::thread::Builder::new().name("strangers".to_owned());
        let thread = thread.spawn(move || Crowd::new(address, hello, per_second)?.come(&until));
        Ok(Strangers {
            is_over,
            thread: thread.map_err(|error| error.to_string())?,
        })
    }

    /// No more come; waits until each has been answered, turned away or forgotten.
    pub fn stop(self) -> Result<Met, String> {
        self.is_over.store(true, Ordering::Relaxed);
        let met = self.thread.join();
        met.map_err(|_| "the strangers' thread died".to_owned())?
    }
}

/// What a client says first.
fn hello(address: SocketAddr) -> Result<Vec<u8>, String> {
    let mut tls = Client::new(false)?.connect(address.ip())?;
    tls.first_octets().map_err(|error| error.to_string())
}

struct Crowd {
    address: SocketAddr,
    hello: Vec<u8>,
    per_second: u32,
    poller: Poller,
    /// Those under way; a place is one's number.
    lines: Vec<Option<(Line, Instant)>>,
    free: Vec<usize>,
    answered: Histogram<u64>,
    refused: Histogram<u64>,
    met: Met,
}

impl Crowd {
    fn new(address: SocketAddr, hello: Vec<u8>, per_second: u32) -> Result<Crowd, String> {
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3);
        let failed = |error: hdrhistogram::CreationError| error.to_string();
        Ok(Crowd {
            address,
            hello,
            per_second,
            poller: Poller::new().map_err(|error| error.to_string())?,
            lines: Vec::new(),
            free: Vec::new(),
            answered: histogram().map_err(failed)?,
            refused: histogram().map_err(failed)?,
            met: Met::default(),
        })
    }

    fn come(mut self, is_over: &AtomicBool) -> Result<Met, String> {
        let begin = Instant::now();
        let mut came_in = Duration::ZERO;
        loop {
            if !is_over.load(Ordering::Relaxed) {
                came_in = begin.elapsed();
                let due = came_in.as_secs_f64() * f64::from(self.per_second);
                while (self.met.came as f64) < due {
                    self.connect()?;
                }
            } else if self.free.len() == self.lines.len() {
                break;
            }
            self.look()?;
            std::thread::sleep(IDLE);
        }
        let seconds = came_in.as_secs_f64().max(0.001);
        Ok(Met {
            rate: self.met.came as f64 / seconds,
            answered_us: (&self.answered).into(),
            refused_us: (&self.refused).into(),
            ..self.met
        })
    }

    fn connect(&mut self) -> Result<(), String> {
        let target = Target {
            // What is said in TLS is written here.
            transport: Transport::Tcp,
            address: self.address,
            resource: "",
            source: None,
        };
        let mut line = Line::connect(&target, None)?;
        line.outbox.extend_from_slice(&self.hello);
        let place = self.free.pop().unwrap_or(self.lines.len());
        let added = self.poller.add(line.socket(), place as u64);
        added.map_err(|error| error.to_string())?;
        if place == self.lines.len() {
            self.lines.push(None);
        }
        self.lines[place] = Some((line, Instant::now()));
        self.met.came += 1;
        Ok(())
    }

    /// Hears what the relay has to say to whom.
    fn look(&mut self) -> Result<(), String> {
        let failed = |error: io::Error| error.to_string();
        let news: Vec<_> = self.poller.look().map_err(failed)?.collect();
        for news in news {
            let place = news.number as usize;
            let Some((line, began)) = &mut self.lines[place] else {
                continue;
            };
            line.news(news);
            let went_on = line.advance().map(|progress| match progress {
                Progress::Open => line.flush().map(|_| line.receive_into(&mut [0; 64])),
                _ => Ok(Received::Nothing),
            });
            let waited_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            match went_on {
                Ok(Ok(Received::Nothing)) => continue,
                Ok(Ok(Received::Octets(_))) => {
                    self.met.answered += 1;
                    self.answered.saturating_record(waited_ns);
                }
                Ok(Ok(Received::End(_)) | Err(_)) | Err(_) => {
                    self.met.refused += 1;
                    self.refused.saturating_record(waited_ns);
                }
            }
            self.lines[place] = None;
            self.free.push(place);
        }
        for (place, line) in self.lines.iter_mut().enumerate() {
            if line
                .as_ref()
                .is_some_and(|(_, began)| began.elapsed() > FORGOTTEN)
            {
                *line = None;
                self.free.push(place);
                self.met.forgotten += 1;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} came, {:.0} a second: {} answered, {} turned away, {} forgotten",
            self.came, self.rate, self.answered, self.refused, self.forgotten
        )?;
        writeln!(f, "            answered after {}", self.answered_us)?;
        write!(f, "            turned away after {}", self.refused_us)
    }
}
