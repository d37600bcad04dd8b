//! Too much at once: what is new waits for what is under way, and what one source may ask for.
//! RFC 3261, 21.5.4.
//!
//! Requests in dialogs, and what belongs to transactions under way, are taken at once. What is new waits in a
//! [`Backlog`] until the owner has nothing else to do and calls [`Sip::begin`]; what has waited for too long is
//! answered 503 with Retry-After, without any state, and so is all from a source that asks for more than its share. To
//! be stored: nothing.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::api::{Action, Millis};
use super::incoming::Incoming;
use super::machine::Sip;
use super::method::Method;
use super::uri::SipUri;
use crate::backlog::{Backlog, Next};

/// How full the tables may be, in percent, before new requests are turned away.
const FULL_MAX: usize = 80;
/// Sources that are watched; past that, the one that was quiet longest is forgotten.
const SOURCES_MAX: usize = 4096;

/// What waits, and who asks for how much.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Overload {
    #[serde(skip)]
    backlog: Backlog<Box<Waiting>>,
    /// What those that wait and their repetitions carry.
    #[serde(skip)]
    keys: HashSet<String>,
    sources: BTreeMap<IpAddr, Bucket>,
}

/// A new request that waits.
#[derive(Debug)]
struct Waiting {
    key: String,
    incoming: Incoming,
    uri: SipUri,
}

/// What a source may still ask for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Bucket {
    /// Thousandths of a request.
    left: u64,
    at: Millis,
}

impl Overload {
    /// Whether a request with this key waits.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Takes one request from what a source may ask for. `false`: nothing is left.
    fn take(&mut self, source: IpAddr, per_s: u32, now: Millis) -> bool {
        let full = u64::from(per_s) * 2000;
        if !self.sources.contains_key(&source) && self.sources.len() >= SOURCES_MAX {
            let quietest = self.sources.iter().min_by_key(|(_, bucket)| bucket.at);
            let quietest = quietest.map(|(source, _)| *source);
            quietest.and_then(|quietest| self.sources.remove(&quietest));
        }
        let bucket = self.sources.entry(source).or_insert(Bucket {
            left: full,
            at: now,
        });
        let gained = now
            .saturating_sub(bucket.at)
            .saturating_mul(u64::from(per_s));
        bucket.left = bucket.left.saturating_add(gained).min(full);
        bucket.at = now;
        let has = bucket.left >= 1000;
        bucket.left -= if has { 1000 } else { 0 };
        has
    }
}

impl Sip {
    /// How long the first of the new requests has waited; `None`: none waits. To be asked between any two things that
    /// the owner does.
    pub fn waited(&mut self, now: Millis) -> Option<Millis> {
        self.overload.backlog.waited(now)
    }

    /// How many new requests wait.
    pub fn waiting(&self) -> usize {
        self.overload.backlog.waiting()
    }

    /// Begins the first of the new requests that wait, or turns it away if it has waited for too long. To be called when
    /// there is nothing else to do, or for one that [is late](crate::backlog::is_late). `false`: none waits.
    pub fn begin(&mut self, now: Millis, out: &mut Vec<Action>) -> bool {
        match self.overload.backlog.take(now) {
            None => return false,
            Some(Next::Begin(waiting)) => self.begin_waiting(*waiting, now, out),
            Some(Next::TurnAway(waiting)) => {
                self.overload.keys.remove(&waiting.key);
                self.turn_away(&waiting.incoming, out);
            }
        }
        true
    }

    /// How many new requests were turned away since the start because others were under way.
    pub fn turned_away(&self) -> u64 {
        self.overload.backlog.turned_away()
    }

    /// Puts a new request behind what is under way.
    pub(super) fn wait(
        &mut self,
        key: String,
        incoming: Incoming,
        uri: SipUri,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let waiting = Waiting { key, incoming, uri };
        let key = waiting.key.clone();
        match self.overload.backlog.push(Box::new(waiting), now) {
            Ok(()) => drop(self.overload.keys.insert(key)),
            Err(waiting) => self.turn_away(&waiting.incoming, out),
        }
    }

    /// Begins one that waits out of turn, so that it can be cancelled.
    pub(super) fn begin_now(&mut self, key: &str, now: Millis, out: &mut Vec<Action>) {
        let backlog = &mut self.overload.backlog;
        if let Some(waiting) = backlog.take_out(|waiting| waiting.key == key) {
            self.begin_waiting(*waiting, now, out);
        }
    }

    fn begin_waiting(&mut self, waiting: Waiting, now: Millis, out: &mut Vec<Action>) {
        self.overload.keys.remove(&waiting.key);
        if self.has_room() {
            self.on_new_request(waiting.incoming, waiting.uri, now, out);
        } else {
            self.turn_away(&waiting.incoming, out);
        }
    }

    fn turn_away(&mut self, incoming: &Incoming, out: &mut Vec<Action>) {
        let later = self.overload.backlog.turn_away().to_string();
        self.refuse(incoming, 503, None, &[("Retry-After", &later)], out);
    }

    /// Why a request that opens something is not even let wait: its Retry-After, in seconds.
    pub(super) fn is_shut_out(&mut self, source: IpAddr, now: Millis) -> Option<u32> {
        let limits = &self.settings.limits;
        let (most, per_s) = (limits.transactions, limits.requests_per_source);
        let known = source.is_loopback() || self.hops.has_peer(source);
        if per_s > 0 && !known && !self.overload.take(source, per_s, now) {
            return Some(10);
        }
        let is_full = self.servers.len().max(self.clients.len()) * 100 >= most * FULL_MAX;
        is_full.then_some(5)
    }
}

/// Whether a request makes work for long. Who registers is there already, and would only ask again; who asks whether
/// we are there is told at once.
pub(super) fn is_new_work(method: &Method, uri: &SipUri) -> bool {
    match method {
        Method::Invite | Method::Message | Method::Subscribe | Method::Refer => true,
        Method::Options => uri.user.is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_share_each_second_and_sources_are_forgotten() {
        let mut overload = Overload::default();
        let source = |n: u32| IpAddr::from(n.to_be_bytes());
        let taken = |overload: &mut Overload, now| {
            (0..100)
                .filter(|_| overload.take(source(1), 10, now))
                .count()
        };
        assert_eq!(taken(&mut overload, 1_000), 20);
        assert_eq!(taken(&mut overload, 1_500), 5);
        assert_eq!(taken(&mut overload, 60_000), 20);
        assert!(overload.take(source(2), 10, 60_000));
        for n in 10..10_000 {
            overload.take(source(n), 10, 70_000);
        }
        assert_eq!(overload.sources.len(), SOURCES_MAX);
    }
}
