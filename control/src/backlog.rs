//! New work, which waits until nothing that is under way does; and how long it may. RFC 6357.
//!
//! What was begun is worth more than what was not: whoever owns a backlog begins what is in it only when there is
//! nothing else to do. So only as much is begun as can be brought to its end, and how much that is shows by how fast
//! the backlog moves: there is room for as many as it moves in [`BACKLOG_ROOM_MS`], and what finds no room is turned
//! away when it comes, which is cheapest. What has waited for too long all the same is turned away then. There is no
//! measure of load beside this one: how busy anybody is does not matter as long as nobody waits. Pure: whoever asks
//! says the time.

use std::collections::VecDeque;

use crate::limits::{
    BACKLOG_MAX, BACKLOG_MIN, BACKLOG_ROOM_MS, BACKLOG_STEP_MS_MAX, BACKLOG_WAIT_MS_MAX, Millis,
};

/// How fast it moves is told anew when somebody has waited for so long in all, and for half as long each time after.
const PACE_MS: Millis = 200;

/// When those who are turned away may ask again, in seconds: from the first to the last, in turns, so that they do not
/// all come back at once.
const RETRY_S: [u32; 4] = [2, 3, 4, 5];

/// What waits to be begun, in the order in which it came.
#[derive(Debug)]
pub struct Backlog<T> {
    waiting: VecDeque<(Millis, T)>,
    /// Counts on while its owner looks at it: a time in which the owner had no core, or was at one thing for long, is
    /// nobody's waiting in line.
    clock: Millis,
    /// When its owner last looked.
    looked: Millis,
    /// How many there is room for.
    room: usize,
    /// Since this was last told: how long somebody waited, and how many were begun.
    moved: (Millis, usize),
    turned_away: u64,
}

impl<T> Default for Backlog<T> {
    fn default() -> Backlog<T> {
        Backlog {
            waiting: VecDeque::new(),
            clock: 0,
            looked: 0,
            room: BACKLOG_MAX,
            moved: (0, 0),
            turned_away: 0,
        }
    }
}

/// What is to be done with what was first.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// Begin it.
    Begin(T),
    /// It has waited for too long: turn it away.
    TurnAway(T),
}

impl<T> Backlog<T> {
    /// Puts new work at the end. `Err`: there is no room; turn it away.
    pub fn push(&mut self, work: T, now: Millis) -> Result<(), T> {
        self.look(now);
        if self.waiting.len() >= self.room {
            return Err(work);
        }
        self.waiting.push_back((self.clock, work));
        Ok(())
    }

    /// How long the first has waited; `None`: there is none. To be asked between any two things that the owner does.
    pub fn waited(&mut self, now: Millis) -> Option<Millis> {
        self.look(now);
        let (since, _) = self.waiting.front()?;
        Some(self.clock - since)
    }

    /// Takes the first: to be called when there is nothing else to do, or when it [is late](is_late).
    pub fn take(&mut self, now: Millis) -> Option<Next<T>> {
        let waited = self.waited(now)?;
        let (_, work) = self.waiting.pop_front()?;
        Some(match is_late(waited) {
            true => Next::TurnAway(work),
            false => {
                self.moved.1 += 1;
                Next::Begin(work)
            }
        })
    }

    /// Takes one out of turn, to begin it.
    pub fn take_out(&mut self, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let at = self.waiting.iter().position(|(_, work)| is_it(work))?;
        self.moved.1 += 1;
        self.waiting.remove(at).map(|(_, work)| work)
    }

    /// Counts one that is turned away; gives the seconds after which it may be asked for again.
    pub fn turn_away(&mut self) -> u32 {
        let turn = self.turned_away as usize % RETRY_S.len();
        self.turned_away += 1;
        RETRY_S[turn]
    }

    /// How many were turned away since the start.
    pub fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn look(&mut self, now: Millis) {
        let passed = now.saturating_sub(self.looked).min(BACKLOG_STEP_MS_MAX);
        self.clock += passed;
        self.looked = now;
        if !self.waiting.is_empty() {
            self.moved.0 += passed;
        }
        let (ms, begun) = self.moved;
        if ms >= PACE_MS {
            let room = begun * BACKLOG_ROOM_MS as usize / ms as usize;
            self.room = room.clamp(BACKLOG_MIN, BACKLOG_MAX);
            // What was before counts half, and half of that half the next time.
            self.moved = (ms / 2, begun / 2);
        }
    }
}

/// Whether what has waited so long is turned away.
pub fn is_late(waited: Millis) -> bool {
    waited > BACKLOG_WAIT_MS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An owner that can serve a thousand a second: two fifths of what one costs come when it is begun, the rest 20 ms
    /// later. To take in or refuse one costs `other_us`.
    struct Model {
        backlog: Backlog<u64>,
        /// When the second part of something is due, in microseconds.
        under_way: VecDeque<u64>,
        now_us: u64,
        other_us: u64,
        served: u64,
        longest_us: u64,
        late: u64,
    }

    impl Model {
        fn new(other_us: u64) -> Model {
            Model {
                backlog: Backlog::default(),
                under_way: VecDeque::new(),
                now_us: 0,
                other_us,
                served: 0,
                longest_us: 0,
                late: 0,
            }
        }

        fn arrives(&mut self) {
            if self.backlog.push(self.now_us, self.now_us / 1000).is_err() {
                self.backlog.turn_away();
                self.now_us += self.other_us;
            }
            self.now_us += self.other_us;
        }

        /// Does one thing; `false`: there is nothing to do.
        fn works(&mut self) -> bool {
            let now = self.now_us / 1000;
            let waited = self.backlog.waited(now);
            let is_due = self.under_way.front().is_some_and(|at| *at <= self.now_us);
            if is_due && !waited.is_some_and(is_late) {
                self.under_way.pop_front();
                self.now_us += 600;
                self.served += 1;
                return true;
            }
            match self.backlog.take(now) {
                Some(Next::Begin(came)) => {
                    self.longest_us = self.longest_us.max(self.now_us - came);
                    self.now_us += 400;
                    self.under_way.push_back(self.now_us + 20_000);
                }
                Some(Next::TurnAway(_)) => {
                    self.backlog.turn_away();
                    self.late += 1;
                    self.now_us += self.other_us;
                }
                None => return false,
            }
            true
        }

        /// So many a second come for ten seconds, by the clock.
        fn offered(mut self, per_s: u64) -> Model {
            let mut due_us = 0;
            while self.now_us < 10_000_000 {
                while due_us <= self.now_us {
                    self.arrives();
                    due_us += 1_000_000 / per_s;
                }
                if !self.works() {
                    let next = self.under_way.front().copied().unwrap_or(due_us);
                    self.now_us = self.now_us.max(next.min(due_us));
                }
            }
            self
        }
    }

    #[test]
    fn rfc6357_asked_for_many_times_what_it_can_it_does_nearly_that_and_nobody_waits_long() {
        for (times, other_us, least) in [(1, 25, 950), (2, 25, 900), (2, 50, 830), (5, 25, 750)] {
            let done = Model::new(other_us).offered(times * 1000);
            let (per_s, longest_ms) = (done.served / 10, done.longest_us / 1000);
            let (late, refused) = (done.late, done.backlog.turned_away());
            assert!(
                per_s > least && longest_ms <= BACKLOG_WAIT_MS_MAX + 10 && late * 20 <= refused,
                "{times} times at {other_us} µs: {per_s} a second, {longest_ms} ms, {late} of {refused} late"
            );
        }
    }

    #[test]
    fn nobody_is_turned_away_who_waits_for_an_answer_before_asking_again_however_busy_it_is() {
        let mut model = Model::new(25);
        let mut asked = 0;
        while model.now_us < 10_000_000 {
            // A hundred of them, each with one thing under way.
            while asked < model.served + 100 {
                model.arrives();
                asked += 1;
            }
            if !model.works() {
                model.now_us = model.under_way[0];
            }
        }
        assert!(model.served > 9_500, "{}", model.served);
        assert_eq!(model.backlog.turned_away(), 0);
    }

    #[test]
    fn a_second_without_a_core_is_nobodys_waiting() {
        let mut backlog = Backlog::default();
        backlog.push('a', 1_000).unwrap();
        assert_eq!(backlog.waited(1_010), Some(10));
        assert_eq!(backlog.waited(2_500), Some(10 + BACKLOG_STEP_MS_MAX));
        assert_eq!(backlog.take(2_500), Some(Next::Begin('a')));
        assert_eq!(backlog.waited(2_501), None);
    }

    #[test]
    fn what_waits_too_long_or_finds_no_room_is_turned_away_and_the_rest_keeps_its_order() {
        let mut backlog = Backlog::default();
        for n in 0..BACKLOG_MAX {
            backlog.push(n, n as Millis / 8).unwrap();
        }
        assert_eq!(backlog.push(9, 200), Err(9));
        assert_eq!(backlog.take_out(|n| *n == 1), Some(1));
        let mut now = 200;
        while !backlog.waited(now).is_some_and(is_late) {
            now += BACKLOG_STEP_MS_MAX;
        }
        assert_eq!(backlog.take(now), Some(Next::TurnAway(0)));
        let taken: Vec<_> = std::iter::from_fn(|| backlog.take(now)).collect();
        assert_eq!(taken[0], Next::TurnAway(2));
        assert_eq!(taken.last(), Some(&Next::Begin(BACKLOG_MAX - 1)));
        assert_eq!(taken.len(), BACKLOG_MAX - 2);
        let waits: Vec<u32> = (0..5).map(|_| backlog.turn_away()).collect();
        assert_eq!((waits, backlog.turned_away()), (vec![2, 3, 4, 5, 2], 5));
    }
}
