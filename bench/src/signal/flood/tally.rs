//! What became of invitations: counted, and timed from when they were due.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// How invitations follow each other.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many are under way at a time, each followed by the next.
    Closed(usize),
    /// So many a second, whatever becomes of them.
    Open(f64),
}

/// What is offered: how, from when on, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    pub pace: Pace,
    pub begin: Instant,
    pub duration: Duration,
}

impl Offer {
    /// The part of one of `all` that share it; an open one's invitations are due in turns.
    pub fn part(&self, number: usize, all: usize) -> Schedule {
        let (pace, phase) = match self.pace {
            Pace::Closed(at_once) => {
                let own = at_once / all + usize::from(number < at_once % all);
                (Pace::Closed(own), Duration::ZERO)
            }
            Pace::Open(rate) => {
                let phase = Duration::from_secs_f64(number as f64 / rate);
                (Pace::Open(rate / all as f64), phase)
            }
        };
        Schedule {
            pace,
            next: self.begin + phase,
            end: self.begin + self.duration,
        }
    }
}

/// When the next invitation is due.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    pace: Pace,
    next: Instant,
    end: Instant,
}

impl Schedule {
    /// When the next one is due, if that is known: `under_way` have not been settled.
    pub fn due(&self, under_way: usize) -> Option<Instant> {
        let may = match self.pace {
            Pace::Closed(at_once) => under_way < at_once,
            Pace::Open(_) => true,
        };
        (may && self.next < self.end).then_some(self.next)
    }

    /// One that is due now; gives when it was.
    pub fn take(&mut self, now: Instant, under_way: usize) -> Option<Instant> {
        let due = self.due(under_way).filter(|due| *due <= now)?;
        match self.pace {
            Pace::Closed(_) => self.next = now,
            Pace::Open(rate) => self.next += Duration::from_secs_f64(1.0 / rate),
        }
        Some(due)
    }

    /// Whether none comes any more.
    pub fn is_over(&self, now: Instant) -> bool {
        self.next >= self.end || now >= self.end
    }
}

/// What became of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was answered.
    Answered,
    /// 503, with the time to ask again.
    Refused,
    /// 503, without.
    RefusedBare,
    /// Something else was said.
    Otherwise(String),
    /// Nothing was said in time.
    TimedOut,
}

/// What became of all of them.
pub struct Tally {
    begin: Instant,
    duration: Duration,
    pub offered: u64,
    /// All that were answered, also after the end.
    pub answered: u64,
    /// In each second until the end.
    pub answered_in: Vec<u64>,
    pub refused: u64,
    pub refused_bare: u64,
    pub otherwise: u64,
    pub timed_out: u64,
    /// Sent once more, because nothing was heard.
    pub repeated: u64,
    /// Answered, and their end was not confirmed.
    pub unended: u64,
    pub first_otherwise: Option<String>,
    pub answer_ns: Histogram<u64>,
    pub refusal_ns: Histogram<u64>,
}

impl Tally {
    pub fn new(offer: &Offer) -> Tally {
        Tally {
            begin: offer.begin,
            duration: offer.duration,
            offered: 0,
            answered: 0,
            answered_in: vec![0; offer.duration.as_secs_f64().ceil() as usize],
            refused: 0,
            refused_bare: 0,
            otherwise: 0,
            timed_out: 0,
            repeated: 0,
            unended: 0,
            first_otherwise: None,
            answer_ns: times(),
            refusal_ns: times(),
        }
    }

    /// One that was due then is settled.
    pub fn settle(&mut self, due: Instant, now: Instant, fate: Fate) {
        let took = u64::try_from((now - due).as_nanos()).unwrap_or(u64::MAX);
        match fate {
            Fate::Answered => {
                self.answered += 1;
                self.answer_ns.saturating_record(took);
                let at = now.saturating_duration_since(self.begin);
                let second = at.as_secs() as usize;
                if let Some(count) = self
                    .answered_in
                    .get_mut(second)
                    .filter(|_| at < self.duration)
                {
                    *count += 1;
                }
            }
            Fate::Refused => {
                self.refused += 1;
                self.refusal_ns.saturating_record(took);
            }
            Fate::RefusedBare => self.refused_bare += 1,
            Fate::Otherwise(what) => {
                self.otherwise += 1;
                self.first_otherwise.get_or_insert(what);
            }
            Fate::TimedOut => self.timed_out += 1,
        }
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Tally) -> Result<(), String> {
        let sums = [
            (&mut self.offered, other.offered),
            (&mut self.answered, other.answered),
            (&mut self.refused, other.refused),
            (&mut self.refused_bare, other.refused_bare),
            (&mut self.otherwise, other.otherwise),
            (&mut self.timed_out, other.timed_out),
            (&mut self.repeated, other.repeated),
            (&mut self.unended, other.unended),
        ];
        for (own, others) in sums {
            *own += others;
        }
        for (own, others) in self.answered_in.iter_mut().zip(&other.answered_in) {
            *own += others;
        }
        if self.first_otherwise.is_none() {
            self.first_otherwise.clone_from(&other.first_otherwise);
        }
        let added = self.answer_ns.add(&other.answer_ns);
        let added = added.and_then(|()| self.refusal_ns.add(&other.refusal_ns));
        added.map_err(|error| error.to_string())
    }

    /// Answered before the end, a second.
    pub fn answered_per_second(&self) -> f64 {
        let answered: u64 = self.answered_in.iter().sum();
        answered as f64 / self.duration.as_secs_f64()
    }

    /// The least in a whole second.
    pub fn worst_second(&self) -> u64 {
        let whole = self.duration.as_secs() as usize;
        let seconds = self.answered_in.iter().take(whole.max(1));
        seconds.copied().min().unwrap_or(0)
    }
}

/// Times from a nanosecond to a minute.
pub fn times() -> Histogram<u64> {
    let bounds = Histogram::new_with_bounds(1, 60_000_000_000, 3);
    bounds.expect("the bounds are constants in the right order")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(pace: Pace) -> Offer {
        Offer {
            pace,
            begin: Instant::now(),
            duration: Duration::from_secs(2),
        }
    }

    #[test]
    fn an_open_offer_is_due_by_the_clock_and_shared_in_turns() {
        let offer = offer(Pace::Open(10.0));
        let at = |ms| offer.begin + Duration::from_millis(ms);
        let mut second = offer.part(1, 2);
        assert_eq!(second.take(at(99), 0), None);
        // Whoever is late has all of them to offer, each with its own time.
        let due: Vec<_> = std::iter::from_fn(|| second.take(at(550), 99)).collect();
        assert_eq!(due, [at(100), at(300), at(500)]);
        let rest = std::iter::from_fn(|| second.take(at(9000), 99)).count();
        assert_eq!(rest, 7);
        assert!(second.is_over(at(2000)));
    }

    #[test]
    fn a_closed_offer_has_so_many_under_way() {
        let offer = offer(Pace::Closed(3));
        let mut parts = [offer.part(0, 2), offer.part(1, 2)];
        let taken = parts.each_mut().map(|part| {
            let taken = (0..5).filter(|under_way| part.take(offer.begin, *under_way).is_some());
            taken.count()
        });
        assert_eq!(taken, [2, 1]);
    }

    #[test]
    fn what_is_answered_after_the_end_does_not_count_for_the_rate() {
        let offer = offer(Pace::Open(10.0));
        let at = |ms| offer.begin + Duration::from_millis(ms);
        let mut tally = Tally::new(&offer);
        for ms in [100, 900, 1100, 2100] {
            tally.settle(at(0), at(ms), Fate::Answered);
        }
        tally.settle(at(0), at(1), Fate::Otherwise("486".to_owned()));
        assert_eq!((tally.answered, tally.answered_per_second()), (4, 1.5));
        assert_eq!((tally.worst_second(), tally.otherwise), (1, 1));
    }
}
