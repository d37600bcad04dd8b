//! One queue for all timers: each machine has at most one entry, its next deadline.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::api::{ClientId, DialogId, Millis, ServerId, SubscriptionId};

/// Whose timer it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum TimerOf {
    Client(ClientId),
    Server(ServerId),
    Dialog(DialogId),
    /// A user's bindings.
    User(String),
    /// A user's registration elsewhere.
    Registration(String),
    /// Asking the next hops.
    Probe,
    /// A subscription of ours.
    Subscription(SubscriptionId),
    /// Subscriptions of peers.
    Watchers,
    /// What a user has published, by its key.
    Publication(String),
}

/// The queue.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(Millis, TimerOf)>", into = "Vec<(Millis, TimerOf)>")]
pub(super) struct Timers {
    due: BTreeSet<(Millis, TimerOf)>,
    of: BTreeMap<TimerOf, Millis>,
}

impl Timers {
    /// Sets the one timer of `whose`, or takes it away.
    pub fn set(&mut self, whose: TimerOf, at: Option<Millis>) {
        let before = match at {
            Some(at) => self.of.insert(whose.clone(), at),
            None => self.of.remove(&whose),
        };
        if let Some(before) = before {
            self.due.remove(&(before, whose.clone()));
        }
        if let Some(at) = at {
            self.due.insert((at, whose));
        }
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Millis> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes out the next one that is due by `now`.
    pub fn pop(&mut self, now: Millis) -> Option<TimerOf> {
        if self.next()? > now {
            return None;
        }
        let (_, whose) = self.due.pop_first()?;
        self.of.remove(&whose);
        Some(whose)
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.due.len()
    }
}

impl Clone for Timers {
    fn clone(&self) -> Timers {
        Timers {
            due: self.due.clone(),
            of: self.of.clone(),
        }
    }
}

impl From<Vec<(Millis, TimerOf)>> for Timers {
    fn from(list: Vec<(Millis, TimerOf)>) -> Timers {
        let mut timers = Timers::default();
        for (at, whose) in list {
            timers.set(whose, Some(at));
        }
        timers
    }
}

impl From<Timers> for Vec<(Millis, TimerOf)> {
    fn from(timers: Timers) -> Vec<(Millis, TimerOf)> {
        timers.due.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_one_timer_and_it_can_be_moved() {
        let mut timers = Timers::default();
        let (a, b) = (TimerOf::Client(ClientId(1)), TimerOf::Server(ServerId(1)));
        timers.set(a.clone(), Some(10));
        timers.set(b.clone(), Some(20));
        timers.set(a.clone(), Some(30));
        assert_eq!((timers.len(), timers.next()), (2, Some(20)));
        assert_eq!(timers.pop(19), None);
        assert_eq!(timers.pop(40), Some(b));
        timers.set(a, None);
        assert_eq!((timers.len(), timers.pop(40)), (0, None));
    }
}
