//! A table that knows which of its entries were touched.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// A table. Whoever gets an entry to change it has changed it.
#[derive(Debug)]
pub struct Tracked<K, V> {
    entries: HashMap<K, V>,
    touched: BTreeSet<K>,
}

impl<K, V> Default for Tracked<K, V> {
    fn default() -> Tracked<K, V> {
        Tracked {
            entries: HashMap::new(),
            touched: BTreeSet::new(),
        }
    }
}

impl<K: Copy + Ord + Hash, V> Tracked<K, V> {
    /// An entry.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    /// An entry to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.entries.get_mut(key);
        if entry.is_some() {
            self.touched.insert(*key);
        }
        entry
    }

    /// Puts an entry in.
    pub fn insert(&mut self, key: K, value: V) {
        self.touched.insert(key);
        self.entries.insert(key, value);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.touched.insert(*key);
        self.entries.remove(key)
    }

    /// Whether there is such an entry.
    pub fn contains_key(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// All entries, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values()
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// What was touched since this was last asked, in order.
    pub fn take_touched(&mut self) -> BTreeSet<K> {
        std::mem::take(&mut self.touched)
    }
}
