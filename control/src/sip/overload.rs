//! Too much at once: how much of what is new is turned away, and what one source may ask for.
//! RFC 3261, 21.5.4; RFC 6357.
//!
//! Requests in dialogs, and what belongs to transactions under way, are never turned away for load: what was
//! begun is worth more than what has not. What is new is: first a part of it, then more, until the load is
//! bearable; and all of it from a source that asks for more than its share. It is answered 503 with
//! Retry-After, without any state. To be stored: nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::api::Millis;
use super::machine::Sip;
use super::method::Method;

/// Of a hundred new requests, how many are turned away at most: the rest shows whether it has got better.
const SHED_MAX: u32 = 95;
/// How much is turned away when it begins, and how much more for each span in which that was not enough.
const SHED_FIRST: u32 = 30;
const SHED_STEP: u32 = 3;
/// How busy the owner may be, in percent of its time, before anything is turned away.
const BUSY_MAX: u32 = 90;
/// Spans in a row that the owner may be busier than that: a burst is no overload.
const BUSY_SPANS_MAX: u32 = 10;
/// How full the tables may be, in percent, before new requests are turned away.
const FULL_MAX: usize = 80;
/// Sources that are watched; past that, the one that was quiet longest is forgotten.
const SOURCES_MAX: usize = 4096;

/// How much is turned away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Overload {
    /// Of a hundred.
    shed: u32,
    /// Spans in a row in which the owner was too busy.
    busy_spans: u32,
    /// Counts on, so that what is turned away is spread evenly.
    spread: u32,
    sources: BTreeMap<IpAddr, Bucket>,
}

/// What a source may still ask for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Bucket {
    /// Thousandths of a request.
    left: u64,
    at: Millis,
}

impl Overload {
    /// So many spans of time have passed; so much of them, in percent, was work. `emptied`: nothing was left at some
    /// moment. Then nobody waits for long, however long the work took: others may have been using the cores.
    fn note_load(&mut self, busy: u32, spans: u32, emptied: bool) {
        if busy <= BUSY_MAX || emptied {
            self.busy_spans = 0;
            // The more time was left, the faster it is taken back: what is refused beyond need is lost.
            let less = (100_u32.saturating_sub(busy) / 2).max(2);
            self.shed = self.shed.saturating_sub(spans.saturating_mul(less));
            return;
        }
        self.busy_spans = self.busy_spans.saturating_add(spans);
        // A second's worth waits by now; after that by small steps, since what is let in makes work for long.
        if self.shed > 0 {
            self.shed = (self.shed + SHED_STEP).min(SHED_MAX);
        } else if self.busy_spans > BUSY_SPANS_MAX {
            self.shed = SHED_FIRST;
        }
    }

    /// Whether the next new request is one of those that are turned away.
    fn sheds(&mut self) -> bool {
        self.spread += self.shed;
        let turned_away = self.spread >= 100;
        self.spread %= 100;
        turned_away
    }

    /// The same, with the seconds after which it may be asked for again.
    fn turns_away(&mut self) -> Option<u32> {
        let retry_s = if self.shed > SHED_MAX / 2 { 10 } else { 3 };
        self.sheds().then_some(retry_s)
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
    /// Tells how much of the time since the last call was work, in percent, and how many tenths of a second
    /// that time was; `emptied`: at some moment nothing was left to be done. To be called by whoever owns the machine,
    /// about that often while there is work.
    pub fn note_load(&mut self, busy: u32, spans: u32, emptied: bool) {
        self.overload.note_load(busy, spans, emptied);
    }

    /// Whether something new that is asked for outside of SIP is one of those that are turned away: after how
    /// many seconds it may be asked for again.
    pub fn turns_away(&mut self) -> Option<u32> {
        self.overload.turns_away()
    }

    /// Of a hundred new requests, how many are turned away now.
    pub fn shed(&self) -> u32 {
        self.overload.shed
    }

    /// Why a request that opens something is turned away: its Retry-After, in seconds.
    pub(super) fn is_turned_away(
        &mut self,
        method: &Method,
        source: IpAddr,
        now: Millis,
    ) -> Option<u32> {
        let limits = &self.settings.limits;
        let (most, per_s) = (limits.transactions, limits.requests_per_source);
        let known = source.is_loopback() || self.hops.has_peer(source);
        if per_s > 0 && !known && !self.overload.take(source, per_s, now) {
            return Some(10);
        }
        if self.servers.len().max(self.clients.len()) * 100 >= most * FULL_MAX {
            return Some(5);
        }
        // Who registers is there already, and would only ask again.
        let counts = matches!(method, Method::Invite | Method::Message | Method::Subscribe);
        counts.then(|| self.overload.turns_away()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn the_more_there_is_the_more_is_turned_away_and_nothing_once_it_is_over() {
        let mut overload = Overload::default();
        let turned_away = |overload: &mut Overload| (0..100).filter(|_| overload.sheds()).count();
        overload.note_load(90, 1, false);
        assert_eq!(turned_away(&mut overload), 0);
        // A second's burst is borne.
        for _ in 0..10 {
            overload.note_load(100, 1, false);
        }
        assert_eq!(turned_away(&mut overload), 0);
        for _ in 0..3 {
            overload.note_load(100, 1, false);
        }
        assert_eq!(turned_away(&mut overload), 36);
        for _ in 0..30 {
            overload.note_load(250, 1, false);
        }
        assert_eq!(turned_away(&mut overload), 95);
        for _ in 0..48 {
            overload.note_load(10, 1, false);
        }
        assert_eq!(turned_away(&mut overload), 0);
        // Nobody asked for five seconds.
        overload.note_load(100, 20, false);
        overload.note_load(100, 20, false);
        assert_ne!(turned_away(&mut overload), 0);
        overload.note_load(0, 50, false);
        assert_eq!(turned_away(&mut overload), 0);
        // Who is done in between keeps up, however slow the machine.
        for _ in 0..50 {
            overload.note_load(100, 1, true);
        }
        assert_eq!(turned_away(&mut overload), 0);
    }

    /// An owner that can serve a thousand new requests a second and is asked for two thousand; to refuse one costs
    /// so many microseconds, and of what serving one costs, three fifths come one to three tenths of a second
    /// later. Of each tenth of a second after the first ten: served, and left over.
    fn flooded(refusal_us: u64) -> Vec<(u64, usize)> {
        const SPAN_US: u64 = 100_000;
        let mut overload = Overload::default();
        let mut waiting = VecDeque::new();
        let mut later = [0_u64; 4];
        let mut spans = Vec::new();
        for span in 0..400 {
            let follows = std::mem::take(&mut later[span % 4]);
            waiting.extend((0..200 + follows).map(|n| n < follows));
            let (mut busy_us, mut served) = (0, 0);
            while busy_us < SPAN_US
                && let Some(follows) = waiting.pop_front()
            {
                if follows {
                    busy_us += 600;
                    served += 1;
                } else if overload.sheds() {
                    busy_us += refusal_us;
                } else {
                    busy_us += 400;
                    later[(span + 1 + waiting.len() % 3) % 4] += 1;
                }
            }
            let percent = busy_us.min(SPAN_US) * 100 / SPAN_US;
            overload.note_load(percent as u32, 1, waiting.is_empty());
            spans.push((served, waiting.len()));
        }
        spans.split_off(100)
    }

    #[test]
    fn rfc6357_asked_for_twice_what_it_can_it_does_four_fifths_of_that_and_nobody_waits_long() {
        for refusal_us in [20, 50] {
            let spans = flooded(refusal_us);
            let served: u64 = spans.iter().map(|(served, _)| served).sum();
            let per_s = served * 10 / spans.len() as u64;
            let longest = spans.iter().map(|(_, waiting)| *waiting).max();
            assert!(per_s > 800, "{per_s} at {refusal_us} µs");
            assert!(longest < Some(200), "{longest:?} at {refusal_us} µs");
        }
    }

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
