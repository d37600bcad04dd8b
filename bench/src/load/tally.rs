//! What one thread counts.

use std::sync::atomic::Ordering;

use hdrhistogram::Histogram;

use super::checker::{Arrived, Faults};
use super::phase::{Phase, Shared};

/// The longest latency that can be told apart, in nanoseconds.
const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// What one thread counts.
pub struct Tally {
    /// Its number.
    pub thread: usize,
    /// Whether the load is open: then those messages are measured that were due in the measured
    /// part, whenever they arrived; else those that arrived in it.
    is_open: bool,
    /// Messages that have arrived.
    pub messages: u64,
    /// Latencies of what is measured, in nanoseconds.
    pub latency: Histogram<u64>,
    /// How long after its time the generator sent what is measured, in nanoseconds. Open load only.
    pub lateness: Histogram<u64>,
    /// What went wrong.
    pub faults: Faults,
    /// Sessions that are bound.
    pub bound: usize,
    /// Sessions that are drained, or ended before.
    pub drained: usize,
    /// Sessions that have ended.
    pub over: usize,
    /// Messages that were sent in the whole run, known at its end.
    pub sent: u64,
    /// Messages that arrived in the whole run.
    pub arrived: u64,
    /// Responses that came to messages in the whole run.
    pub responses: u64,
    /// REPORTs of success that came in the whole run.
    pub reports: u64,
    /// For short pieces of text.
    pub scratch: Vec<u8>,
}

impl Tally {
    /// Of thread number `thread`.
    pub fn new(thread: usize, is_open: bool) -> Tally {
        let histogram = || {
            let bounds = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3);
            bounds.expect("the bounds are constants in the right order")
        };
        Tally {
            thread,
            is_open,
            messages: 0,
            latency: histogram(),
            lateness: histogram(),
            faults: Faults::default(),
            bound: 0,
            drained: 0,
            over: 0,
            sent: 0,
            arrived: 0,
            responses: 0,
            reports: 0,
            scratch: Vec::new(),
        }
    }

    /// A message has arrived.
    pub fn arrived(&mut self, phase: Phase, arrived: &Arrived, shared: &Shared) {
        let Some(from_ns) = arrived.from_ns else {
            return;
        };
        self.messages += 1;
        if arrived.is_measured && (self.is_open || phase == Phase::Measure) {
            let latency_ns = shared.now_ns().saturating_sub(from_ns);
            self.latency.saturating_record(latency_ns);
            let slowest = &shared.threads[self.thread].slowest_ns;
            if latency_ns > slowest.load(Ordering::Relaxed) {
                slowest.store(latency_ns, Ordering::Relaxed);
            }
        }
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: Tally) -> Result<(), String> {
        let added = self.latency.add(&other.latency);
        let added = added.and_then(|()| self.lateness.add(&other.lateness));
        added.map_err(|error| format!("latencies: {error}"))?;
        self.faults.add(other.faults);
        self.messages += other.messages;
        self.sent += other.sent;
        self.arrived += other.arrived;
        self.responses += other.responses;
        self.reports += other.reports;
        Ok(())
    }
}
