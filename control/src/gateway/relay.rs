//! The relay as the gateway sees it: its shards, and which session belongs to which bridge.

use std::collections::HashMap;

use link::SessionId;

use super::bridge::BridgeId;

/// One session of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// On which shard it is.
    pub shard: usize,
    /// Whose it is; `None` once it was given back and its end is awaited.
    pub bridge: Option<BridgeId>,
    /// Whether the relay has made it.
    pub made: bool,
    /// Whether this relay is known to have it: not yet, where an earlier process knew it.
    pub found: bool,
}

/// Shards and sessions of the attached relay, if one is attached.
#[derive(Debug)]
pub struct Relay {
    /// Sessions on each shard; empty while no relay is attached.
    shards: Vec<usize>,
    sessions: HashMap<SessionId, Entry>,
    next: u64,
    /// Shards that have not told all their sessions since the relay was attached.
    unlisted: usize,
}

impl Relay {
    /// Without a relay. Sessions are numbered from `first`, a random number: a former control's sessions
    /// have other numbers.
    pub fn new(first: u64) -> Relay {
        Relay {
            shards: Vec::new(),
            sessions: HashMap::new(),
            next: first,
            unlisted: 0,
        }
    }

    /// A relay with so many shards is there. Whether it has the sessions that were taken back is yet to be
    /// heard.
    pub fn attached(&mut self, shards: usize) {
        self.shards = vec![0; shards];
        self.unlisted = shards;
    }

    /// Takes a session of an earlier process back.
    pub fn restore(&mut self, session: SessionId, bridge: BridgeId) {
        self.sessions.insert(
            session,
            Entry {
                shard: 0,
                bridge: Some(bridge),
                made: true,
                found: false,
            },
        );
    }

    /// The relay has this session, on this shard. Returns whose it is, if it was taken back.
    pub fn found(&mut self, session: SessionId, shard: usize) -> Option<BridgeId> {
        let entry = self.sessions.get_mut(&session)?;
        if std::mem::replace(&mut entry.found, true) {
            return None;
        }
        entry.shard = shard;
        if let Some(count) = self.shards.get_mut(shard) {
            *count += 1;
        }
        entry.bridge
    }

    /// A shard has told all its sessions. Whether it was the last one.
    pub fn listed(&mut self) -> bool {
        self.unlisted = self.unlisted.saturating_sub(1);
        self.unlisted == 0
    }

    /// Takes out the sessions that were not found. Returns whose they were, the oldest first.
    pub fn take_missing(&mut self) -> Vec<BridgeId> {
        let missing = self.sessions.extract_if(|_, entry| !entry.found);
        in_order(missing.map(|(_, entry)| entry))
    }

    /// The relay is gone. Returns the bridges that had a session of it, the oldest first.
    pub fn lost(&mut self) -> Vec<BridgeId> {
        self.shards.clear();
        in_order(self.sessions.drain().map(|(_, entry)| entry))
    }

    /// A new session for a bridge, on the shard with the fewest. `None`: no relay is attached.
    pub fn add(&mut self, bridge: BridgeId) -> Option<(usize, SessionId)> {
        let (shard, count) = self
            .shards
            .iter_mut()
            .enumerate()
            .min_by_key(|(_, count)| **count)?;
        *count += 1;
        let session = SessionId(self.next);
        self.next = self.next.wrapping_add(1);
        self.sessions.insert(
            session,
            Entry {
                shard,
                bridge: Some(bridge),
                made: false,
                found: true,
            },
        );
        Some((shard, session))
    }

    /// A session.
    pub fn entry(&self, session: SessionId) -> Option<Entry> {
        self.sessions.get(&session).copied()
    }

    /// The relay has made the session.
    pub fn made(&mut self, session: SessionId) {
        if let Some(entry) = self.sessions.get_mut(&session) {
            entry.made = true;
        }
    }

    /// The bridge wants it no more: it is deleted, and its `Closed` is awaited. Returns its shard.
    pub fn give_back(&mut self, session: SessionId) -> Option<usize> {
        let entry = self.sessions.get_mut(&session)?;
        entry.bridge = None;
        Some(entry.shard)
    }

    /// The session exists no more. Returns the bridge that still had it.
    pub fn gone(&mut self, session: SessionId) -> Option<BridgeId> {
        let entry = self.sessions.remove(&session)?;
        if let Some(count) = self.shards.get_mut(entry.shard).filter(|_| entry.found) {
            *count -= 1;
        }
        entry.bridge
    }

    /// How many sessions there are, those that are ending too.
    pub fn sessions_len(&self) -> usize {
        self.sessions.len()
    }

    /// How many shards the attached relay has.
    pub fn shards_len(&self) -> usize {
        self.shards.len()
    }
}

/// Whose these are. A table has no order; whoever is told of it has one, so that a run can be repeated.
fn in_order(entries: impl Iterator<Item = Entry>) -> Vec<BridgeId> {
    let mut bridges: Vec<BridgeId> = entries.filter_map(|entry| entry.bridge).collect();
    bridges.sort_unstable();
    bridges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_go_to_the_shard_with_the_fewest() {
        let mut relay = Relay::new(7);
        assert_eq!(relay.add(BridgeId(1)), None);
        relay.attached(2);
        let first = relay.add(BridgeId(1)).unwrap();
        let second = relay.add(BridgeId(2)).unwrap();
        assert_ne!(first.0, second.0);
        relay.give_back(second.1);
        assert_eq!(relay.gone(second.1), None, "it was given back before");
        assert_eq!(relay.add(BridgeId(3)).unwrap().0, second.0);
        assert_eq!(relay.gone(first.1), Some(BridgeId(1)));
        assert_eq!(relay.lost(), [BridgeId(3)]);
        assert_eq!((relay.sessions_len(), relay.shards_len()), (0, 0));
    }
}
