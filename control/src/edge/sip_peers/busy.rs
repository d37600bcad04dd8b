//! How much of the time its owner works.

use std::time::{Duration, Instant};

/// Over what span it is measured.
const BUSY_SPAN: Duration = Duration::from_millis(100);

/// Tells work from waiting: between two calls of `event` the owner works, in one it waits for what comes.
pub struct Busy {
    since: Instant,
    worked: Duration,
    last: Instant,
}

impl Busy {
    pub fn new() -> Busy {
        let now = Instant::now();
        Busy {
            since: now,
            worked: Duration::ZERO,
            last: now,
        }
    }

    /// Nothing is left to be done.
    pub fn waits(&mut self) {
        let now = Instant::now();
        self.worked += now - self.last;
        self.last = now;
    }

    /// Something has come. How much was work, in percent, if a span is over.
    pub fn works(&mut self) -> Option<u32> {
        self.last = Instant::now();
        let span = self.last - self.since;
        if span < BUSY_SPAN {
            return None;
        }
        let percent = self.worked.as_micros() * 100 / span.as_micros().max(1);
        (self.since, self.worked) = (self.last, Duration::ZERO);
        u32::try_from(percent).ok()
    }
}
