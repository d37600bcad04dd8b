//! What a shard counts. Plain numbers of its own thread, copied to the link once a turn.

use link::Counter;

/// One number for each [`Counter`].
pub struct Metrics {
    values: [u64; Counter::COUNT],
}

impl Metrics {
    /// All zero.
    pub fn new() -> Metrics {
        Metrics {
            values: [0; Counter::COUNT],
        }
    }

    /// Counts up.
    pub fn add(&mut self, counter: Counter, number: u64) {
        self.values[counter.index()] += number;
    }

    /// Counts down, for gauges.
    pub fn subtract(&mut self, counter: Counter, number: u64) {
        self.values[counter.index()] -= number;
    }

    /// States a gauge.
    pub fn set(&mut self, counter: Counter, value: u64) {
        self.values[counter.index()] = value;
    }

    /// States a gauge that keeps the highest value it ever had.
    pub fn raise(&mut self, counter: Counter, value: u64) {
        let highest = &mut self.values[counter.index()];
        *highest = value.max(*highest);
    }

    /// One number.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter.index()]
    }

    /// All numbers, in the order of [`Counter::ALL`].
    pub fn values(&self) -> &[u64] {
        &self.values
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}
