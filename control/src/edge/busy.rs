//! How much of the time one task works.

use std::time::{Duration, Instant};

/// Over what span it is measured.
const SPAN: Duration = Duration::from_millis(100);

/// Tells work from waiting. Whoever asks says the time.
pub struct Busy {
    since: Instant,
    worked: Duration,
    emptied: bool,
    /// When it last began to work, or to wait.
    last: Instant,
}

/// What a task did since it was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// How much of the time was work.
    pub percent: u32,
    /// How many spans of a tenth of a second went by.
    pub spans: u32,
    /// Whether there was a moment with nothing left to be done.
    pub emptied: bool,
}

impl Busy {
    /// From now on it works.
    pub fn new(now: Instant) -> Busy {
        Busy {
            since: now,
            worked: Duration::ZERO,
            emptied: false,
            last: now,
        }
    }

    /// It asks for more to do, and waits if there is nothing.
    pub fn waits(&mut self, now: Instant) {
        self.worked += now - self.last;
        self.last = now;
    }

    /// There is something; `emptied`: there was nothing when it asked. How much was work, if a span is over.
    pub fn works(&mut self, emptied: bool, now: Instant) -> Option<Load> {
        self.last = now;
        self.emptied |= emptied;
        let passed = now - self.since;
        if passed < SPAN {
            return None;
        }
        let percent = self.worked.as_micros() * 100 / passed.as_micros().max(1);
        let spans = passed.as_micros() / SPAN.as_micros();
        (self.since, self.worked) = (now, Duration::ZERO);
        Some(Load {
            emptied: std::mem::take(&mut self.emptied),
            percent: u32::try_from(percent).unwrap_or(u32::MAX),
            spans: u32::try_from(spans).unwrap_or(u32::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_work_is_work_whatever_ends_the_waiting() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let load = |percent, spans, emptied| {
            Some(Load {
                percent,
                spans,
                emptied,
            })
        };
        let mut busy = Busy::new(start);
        // Fifty inputs, one every 20 ms, each a millisecond of work.
        for n in 0..50 {
            busy.waits(at(20 * n + 1));
            let expected = load(5, 1, true).filter(|_| n % 5 == 4);
            assert_eq!(busy.works(true, at(20 * n + 20)), expected, "{n}");
        }
        // It stood still for a second.
        busy.waits(at(1001));
        assert_eq!(busy.works(true, at(2000)), load(0, 10, true));
        busy.waits(at(2120));
        assert_eq!(busy.works(false, at(2120)), load(100, 1, false));
    }
}
