//! What scripts keep for a user, whatever sessions there are: whom they have blocked, what they can do.

use std::collections::{BTreeMap, BTreeSet};

use crate::jsonrtc::Members;
use crate::limits::USER_STORES_MAX;

/// The stores of all users that have one. An empty store takes no place.
#[derive(Debug, Default)]
pub struct UserStores {
    stores: BTreeMap<String, Members>,
    touched: BTreeSet<String>,
}

impl UserStores {
    /// A user's store, as it is.
    pub fn get(&self, user: &str) -> Members {
        self.stores.get(user).cloned().unwrap_or_default()
    }

    /// Puts a user's store in the place of the former. With too many of them a new one is not kept.
    pub fn put(&mut self, user: &str, store: Members) {
        let former = self.stores.get(user);
        if former.map_or(store.is_empty(), |former| *former == store) {
            return;
        }
        if former.is_none() && self.stores.len() >= USER_STORES_MAX {
            return tracing::warn!("too many users have stores: one more was not kept");
        }
        self.touched.insert(user.to_owned());
        match store.is_empty() {
            true => self.stores.remove(user),
            false => self.stores.insert(user.to_owned(), store),
        };
    }

    /// The users whose stores were touched since this was last asked.
    pub fn take_touched(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.touched)
    }

    /// All users that have one.
    pub fn users(&self) -> BTreeSet<String> {
        self.stores.keys().cloned().collect()
    }

    /// Takes back what was kept.
    pub fn restore(&mut self, stores: BTreeMap<String, Members>) {
        self.stores = stores;
    }
}
