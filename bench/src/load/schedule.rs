//! When messages of an open load are due. Pure: time in nanoseconds in, due times out.
//!
//! The schedule does not know what has arrived, or whether anything is late: a message is due when
//! it is due, and its latency runs from then. So what waits because the relay (or the generator)
//! stands still is counted with all the time it waited: there is no coordinated omission.

use super::chance::Chance;
use super::offer::Arrivals;

/// The due times of one thread's messages.
pub struct Schedule {
    /// Messages a nanosecond.
    rate: f64,
    /// Nanoseconds in which the rate grows to that.
    ramp_ns: f64,
    arrivals: Arrivals,
    chance: Chance,
    /// How many messages should have been due so far, as the next becomes due.
    next: f64,
    start_ns: u64,
}

impl Schedule {
    /// `rate` messages a second from `start_ns` on; `ramp` seconds to get there. Thread number
    /// `part` of `parts` takes its share of them.
    pub fn new(
        (rate, arrivals, ramp): (f64, Arrivals, f64),
        chance: Chance,
        (part, parts): (usize, usize),
        start_ns: u64,
    ) -> Schedule {
        let mut schedule = Schedule {
            rate: rate / 1e9 / parts as f64,
            ramp_ns: ramp * 1e9,
            arrivals,
            chance,
            next: part as f64 / parts as f64,
            start_ns,
        };
        if arrivals == Arrivals::Poisson {
            schedule.next = schedule.distance();
        }
        schedule
    }

    /// When the next message is due.
    pub fn next_ns(&self) -> u64 {
        self.start_ns + self.when(self.next) as u64
    }

    /// Takes the next message that is due by `now_ns`; gives when it was due.
    pub fn due(&mut self, now_ns: u64) -> Option<u64> {
        let due_ns = self.next_ns();
        if due_ns > now_ns {
            return None;
        }
        self.next += self.distance();
        Some(due_ns)
    }

    /// Another seed-determined number below `bound`: which session, which way.
    pub fn draw(&mut self, bound: u64) -> u64 {
        self.chance.below(bound)
    }

    fn distance(&mut self) -> f64 {
        match self.arrivals {
            Arrivals::Constant => 1.0,
            Arrivals::Poisson => -self.chance.unit().ln(),
        }
    }

    /// Nanoseconds after the start by which `count` messages should have been due. While the rate
    /// grows they are the area of a triangle.
    fn when(&self, count: f64) -> f64 {
        let in_ramp = self.rate * self.ramp_ns / 2.0;
        if count < in_ramp {
            (2.0 * self.ramp_ns * count / self.rate).sqrt()
        } else {
            count / self.rate + self.ramp_ns / 2.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(arrivals: Arrivals, ramp: f64, part: (usize, usize), until_ns: u64) -> Vec<u64> {
        let chance = Chance::new(1, part.0 as u64);
        let mut schedule = Schedule::new((1000.0, arrivals, ramp), chance, part, 5_000);
        std::iter::from_fn(|| schedule.due(until_ns)).collect()
    }

    #[test]
    fn constant_arrivals_keep_their_distance_and_threads_interleave() {
        let [one, two] = [0, 1].map(|part| all(Arrivals::Constant, 0.0, (part, 2), 1_000_000_000));
        assert_eq!((one.len(), two.len()), (500, 500));
        assert_eq!(one[..3], [5_000, 2_005_000, 4_005_000]);
        assert_eq!(two[..2], [1_005_000, 3_005_000]);
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_vary_as_they_must() {
        let due = all(Arrivals::Poisson, 0.0, (0, 1), 100_000_000_000);
        assert!((99_000..101_000).contains(&due.len()), "{}", due.len());
        assert_eq!(due, all(Arrivals::Poisson, 0.0, (0, 1), 100_000_000_000));
        // Distances of an exponential distribution: 36.8 % are longer than their mean.
        let longer = due
            .windows(2)
            .filter(|pair| pair[1] - pair[0] > 1_000_000)
            .count();
        let share = longer as f64 / due.len() as f64;
        assert!((0.36..0.376).contains(&share), "{share}");
    }

    #[test]
    fn a_ramp_offers_half_in_its_time_and_then_all() {
        let due = all(Arrivals::Constant, 2.0, (0, 1), 3_000_000_000);
        let in_ramp = due.iter().filter(|&&due| due < 2_000_000_000).count();
        assert!((998..1002).contains(&in_ramp), "{in_ramp}");
        assert!((1998..2002).contains(&due.len()), "{}", due.len());
        assert!(due.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn what_was_due_meanwhile_is_all_still_due() {
        let mut schedule = Schedule::new(
            (1000.0, Arrivals::Constant, 0.0),
            Chance::new(1, 0),
            (0, 1),
            0,
        );
        assert_eq!(schedule.due(0), Some(0));
        assert_eq!(schedule.due(999_999), None);
        // Nobody asked for a second: a thousand messages are due, each at its own time.
        let late: Vec<u64> = std::iter::from_fn(|| schedule.due(1_000_000_000)).collect();
        assert_eq!(
            (late.len(), late[0], late[999]),
            (1000, 1_000_000, 1_000_000_000)
        );
    }
}
