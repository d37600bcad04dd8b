//! What the threads of the generator and the main thread tell each other.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What all threads do now. Each comes after those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Connections are made.
    Connect,
    /// Messages flow and are not measured yet.
    WarmUp,
    /// Messages flow and are measured.
    Measure,
    /// Nothing new is sent.
    Drain,
    /// The relay ends the sessions.
    Close,
    /// Something is wrong: leave at once.
    Abort,
}

impl Phase {
    const ALL: [Phase; 6] = [
        Phase::Connect,
        Phase::WarmUp,
        Phase::Measure,
        Phase::Drain,
        Phase::Close,
        Phase::Abort,
    ];

    /// Whether messages are sent.
    pub fn flows(self) -> bool {
        matches!(self, Phase::WarmUp | Phase::Measure)
    }
}

/// How long a phase may take before what hangs is named.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the first connection until all sessions are bound.
    pub binding: Duration,
    /// Until all messages on their way have arrived, once no more are sent.
    pub draining: Duration,
    /// Until the relay has closed deleted sessions.
    pub closing: Duration,
}

impl Limits {
    /// For so many sessions.
    pub fn of(sessions: u32) -> Limits {
        let more = Duration::from_millis(5) * sessions;
        Limits {
            binding: Duration::from_secs(30) + more,
            draining: Duration::from_secs(10),
            closing: Duration::from_secs(10) + more,
        }
    }
}

/// What tells the time.
pub enum Clock {
    /// The machine's, from when the run began.
    Running(Instant),
    /// A test's.
    #[cfg(test)]
    Set(AtomicU64),
}

/// What is seen of one thread from outside.
#[derive(Debug, Default)]
pub struct Seen {
    /// Messages that have arrived.
    pub messages: AtomicU64,
    /// Turns of its loop: a thread whose number stands still hangs.
    pub turns: AtomicU64,
    /// Nanoseconds of turns in which there was something to do.
    pub work_ns: AtomicU64,
    /// The longest latency since this was last taken, in nanoseconds.
    pub slowest_ns: AtomicU64,
}

/// What the threads and the main thread tell each other.
pub struct Shared {
    phase: AtomicU8,
    clock: Clock,
    /// Deadlines.
    pub limits: Limits,
    /// Threads whose sessions are all bound.
    pub bound: AtomicUsize,
    /// Threads whose sessions are all drained, or that gave up waiting.
    pub drained: AtomicUsize,
    /// Threads that have failed or ended.
    pub ended: AtomicUsize,
    /// Each thread.
    pub threads: Vec<Seen>,
}

impl Shared {
    /// For so many threads.
    pub fn new(threads: usize, limits: Limits) -> Shared {
        Shared::with_clock(threads, limits, Clock::Running(Instant::now()))
    }

    /// With another clock.
    pub fn with_clock(threads: usize, limits: Limits, clock: Clock) -> Shared {
        Shared {
            phase: AtomicU8::new(Phase::Connect as u8),
            clock,
            limits,
            bound: AtomicUsize::new(0),
            drained: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            threads: (0..threads).map(|_| Seen::default()).collect(),
        }
    }

    /// What is done now.
    pub fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Acquire))]
    }

    /// Moves everybody on.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Nanoseconds since the start.
    pub fn now_ns(&self) -> u64 {
        match &self.clock {
            Clock::Running(start) => u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX),
            #[cfg(test)]
            Clock::Set(now_ns) => now_ns.load(Ordering::Relaxed),
        }
    }

    /// Sets a test's clock.
    #[cfg(test)]
    pub fn set_now_ns(&self, to: u64) {
        if let Clock::Set(now_ns) = &self.clock {
            now_ns.store(to, Ordering::Relaxed);
        }
    }

    /// The sum over all threads.
    pub fn sum(&self, of: impl Fn(&Seen) -> &AtomicU64) -> u64 {
        let threads = self.threads.iter();
        threads.map(|seen| of(seen).load(Ordering::Relaxed)).sum()
    }

    /// Messages that have arrived.
    pub fn total(&self) -> u64 {
        self.sum(|seen| &seen.messages)
    }

    /// The longest latency since it was last asked for, in nanoseconds.
    pub fn take_slowest_ns(&self) -> u64 {
        let slowest = |seen: &Seen| seen.slowest_ns.swap(0, Ordering::Relaxed);
        self.threads.iter().map(slowest).max().unwrap_or(0)
    }
}
