//! The stores: data that outlives a run, with limits on each entry and on the whole.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine};

use super::{Checked, Shared, State, json_of};
use crate::script::JsonMap;
use crate::script::json::{to_script, written_bytes};
use crate::script::limits::{STORE_BYTES_MAX, STORE_ENTRY_BYTES_MAX};

/// Which store it is.
#[derive(Clone, Copy)]
pub(super) enum StoreKind {
    Session,
    SubSession,
    User,
}

/// `context.sessionStore`, `context.subSessionStore` or `context.userStore`
#[derive(Clone)]
pub(super) struct Store(pub(super) Arc<Shared>, pub(super) StoreKind);

impl Store {
    fn map<'a>(&self, state: &'a mut State) -> &'a mut JsonMap {
        match self.1 {
            StoreKind::Session => &mut state.stores.session,
            StoreKind::SubSession => &mut state.stores.subsession,
            StoreKind::User => &mut state.stores.user,
        }
    }

    fn read(&self, key: &str) -> Dynamic {
        let mut state = self.0.state();
        self.map(&mut state)
            .get(key)
            .map_or(Dynamic::UNIT, to_script)
    }

    fn put(&self, key: &str, value: &Dynamic) -> Checked<()> {
        let value = json_of(value, key)?;
        let bytes = key.len() + serde_json::to_string(&value).map_or(usize::MAX, |text| text.len());
        if bytes > STORE_ENTRY_BYTES_MAX {
            return Err(
                format!("{key}: an entry has at most {STORE_ENTRY_BYTES_MAX} octets").into(),
            );
        }
        let mut state = self.0.state();
        let map = self.map(&mut state);
        let before = map.insert(key.to_string(), value);
        if written_bytes(map) > STORE_BYTES_MAX {
            match before {
                Some(before) => map.insert(key.to_string(), before),
                None => map.remove(key),
            };
            return Err(format!("a store has at most {STORE_BYTES_MAX} octets").into());
        }
        Ok(())
    }

    fn keys(&self) -> Array {
        let mut state = self.0.state();
        let keys = self.map(&mut state).keys();
        keys.map(|key| key.clone().into()).collect()
    }

    fn remove(&self, key: &str) -> Dynamic {
        let mut state = self.0.state();
        let before = self.map(&mut state).remove(key);
        before.as_ref().map_or(Dynamic::UNIT, to_script)
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Store>("Store")
        .register_fn("get", |store: &mut Store, key: &str| store.read(key))
        .register_fn("put", |store: &mut Store, key: &str, value: Dynamic| {
            store.put(key, &value)
        })
        .register_fn("keys", |store: &mut Store| store.keys())
        .register_fn("remove", |store: &mut Store, key: &str| store.remove(key))
        .register_indexer_get(|store: &mut Store, key: &str| store.read(key))
        .register_indexer_set(|store: &mut Store, key: &str, value: Dynamic| {
            store.put(key, &value)
        });
}
