//! Deadlines by key: set, moved and taken out again in logarithmic time.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::limits::Millis;

/// One deadline at most per key.
#[derive(Debug)]
pub struct Timers<K> {
    order: BTreeSet<(Millis, K)>,
    when: HashMap<K, Millis>,
}

impl<K> Default for Timers<K> {
    fn default() -> Timers<K> {
        Timers {
            order: BTreeSet::new(),
            when: HashMap::new(),
        }
    }
}

impl<K: Copy + Ord + Hash> Timers<K> {
    /// Sets the key's deadline, in place of a former one; `None` takes it out.
    pub fn set(&mut self, key: K, at: Option<Millis>) {
        if let Some(former) = self.when.remove(&key) {
            self.order.remove(&(former, key));
        }
        if let Some(at) = at {
            self.when.insert(key, at);
            self.order.insert((at, key));
        }
    }

    /// Whether the key has a deadline.
    pub fn is_set(&self, key: K) -> bool {
        self.when.contains_key(&key)
    }

    /// The key's deadline.
    pub fn at(&self, key: K) -> Option<Millis> {
        self.when.get(&key).copied()
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Millis> {
        self.order.first().map(|&(at, _)| at)
    }

    /// Takes out one key whose deadline has come.
    pub fn take_due(&mut self, now: Millis) -> Option<K> {
        let &(at, key) = self.order.first()?;
        if at > now {
            return None;
        }
        self.set(key, None);
        Some(key)
    }

    /// How many deadlines are set.
    pub fn len(&self) -> usize {
        self.when.len()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.when.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_deadline_fires_once_and_at_its_new_time() {
        let mut timers = Timers::default();
        timers.set(1, Some(10));
        timers.set(2, Some(20));
        timers.set(1, Some(30));
        assert_eq!(timers.next(), Some(20));
        assert_eq!(timers.take_due(25), Some(2));
        assert_eq!(timers.take_due(25), None);
        assert_eq!(timers.take_due(30), Some(1));
        timers.set(3, Some(5));
        timers.set(3, None);
        assert!(timers.is_empty());
        assert_eq!(timers.next(), None);
    }
}
