//! Requests that were passed on and wait for their response. RFC 4976, 6.4.3.
//!
//! An entry remembers what the response needs to find its way back. Entries live in a pool taken
//! at start; each is in three lists at once: its hash bucket, its session's, and the line of those
//! that expire, in the order in which they came (all wait equally long).

use std::hash::{BuildHasher, RandomState};

use link::Leg;
use wire::limits::TRANSACTION_BYTES_MAX;

use super::texts::Text;
use crate::limits::PENDING_FOR;

const NONE: u32 = u32::MAX;

/// What a response needs to know of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The session's slot.
    pub session: u32,
    /// The leg that the request came from.
    pub from: Leg,
    /// Only the leftmost URI of From-Path goes into the response: the request was a SEND
    /// (RFC 4975, 7.2).
    pub is_send: bool,
    /// From-Path as received, if it is not the leg's known path.
    pub from_path: Option<Text>,
    /// Mark of the message that it carries a chunk of; 0 for none.
    pub message: u64,
    /// What a REPORT on it would say, where one may have to be sent.
    pub account: Option<Text>,
    /// Whether its 200 comes from us.
    pub acknowledgement: Acknowledgement,
}

/// Whether a SEND's 200 comes from us, and not from the far endpoint. RFC 4976, 6.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// No.
    Theirs,
    /// Yes, when all of it has come.
    Due,
    /// It has been sent: what the far endpoint says is swallowed, and if it is against it, reported.
    Sent,
}

/// A transaction id, kept.
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    octets: [u8; TRANSACTION_BYTES_MAX],
    bytes: u8,
}

impl Transaction {
    /// None.
    pub const NONE: Transaction = Transaction {
        octets: [0; TRANSACTION_BYTES_MAX],
        bytes: 0,
    };

    /// This one, which the reader has found short enough.
    pub fn of(transaction: &[u8]) -> Transaction {
        let mut kept = Transaction::NONE;
        kept.octets[..transaction.len()].copy_from_slice(transaction);
        kept.bytes = transaction.len() as u8;
        kept
    }

    /// The octets.
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..self.bytes as usize]
    }
}

/// Random letters of an alias, of 5.9 bits each.
pub const ALIAS_LETTERS: usize = 22;

/// Letters of an alias that say which entry it is of.
const NUMBER_LETTERS: usize = 6;

const LETTERS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The transaction id under which a request goes on where several sessions share a connection: the
/// number of its entry, and letters that nobody can foresee.
pub type Alias = [u8; NUMBER_LETTERS + ALIAS_LETTERS];

#[derive(Clone, Copy)]
struct Entry {
    request: Request,
    transaction: Transaction,
    /// The letters of its alias, if it has one.
    alias: Option<[u8; ALIAS_LETTERS]>,
    expires: u64,
    /// Next in the bucket, or in the list of free entries.
    next: u32,
    in_session: Links,
    in_line: Links,
    /// Its last octet has gone by: it is in the line of those that expire.
    ages: bool,
}

#[derive(Clone, Copy)]
struct Links {
    before: u32,
    after: u32,
}

const UNLINKED: Links = Links {
    before: NONE,
    after: NONE,
};

/// The entries of one session, in the order in which they came, and how many per direction.
#[derive(Clone, Copy, Debug)]
pub struct OfSession {
    first: u32,
    last: u32,
    /// Requests that came from leg A and from leg B.
    pub counts: [u32; 2],
}

impl OfSession {
    /// A session nothing waits for.
    pub const NONE: OfSession = OfSession {
        first: NONE,
        last: NONE,
        counts: [0; 2],
    };
}

/// A request whose response has come.
pub struct Answered {
    /// What the response needs to know of it.
    pub request: Request,
    /// The number that [`Pending::insert`] gave it.
    pub number: u32,
    /// The transaction id that it came with, if it went on by an alias.
    pub renamed_from: Option<Transaction>,
}

/// All pending requests of a shard.
pub struct Pending {
    entries: Vec<Entry>,
    capacity: u32,
    free: u32,
    used: u32,
    buckets: Box<[u32]>,
    hasher: RandomState,
    line_first: u32,
    line_last: u32,
}

impl Pending {
    /// Room for so many requests.
    pub fn new(capacity: u32) -> Pending {
        Pending {
            entries: Vec::with_capacity(capacity as usize),
            capacity,
            free: NONE,
            used: 0,
            buckets: vec![NONE; (capacity as usize).next_power_of_two()].into(),
            hasher: RandomState::new(),
            line_first: NONE,
            line_last: NONE,
        }
    }

    /// How many wait.
    pub fn len(&self) -> u32 {
        self.used
    }

    /// Whether another may come.
    pub fn is_full(&self) -> bool {
        self.used == self.capacity
    }

    fn bucket(&self, session: u32, from: Leg, transaction: &[u8]) -> usize {
        let hash = self.hasher.hash_one((session, from.index(), transaction));
        hash as usize & (self.buckets.len() - 1)
    }

    fn find(&self, bucket: usize, session: u32, from: Leg, transaction: &[u8]) -> Option<u32> {
        let mut at = self.buckets[bucket];
        while at != NONE {
            let entry = &self.entries[at as usize];
            if entry.request.session == session
                && entry.request.from == from
                && entry.transaction.as_slice() == transaction
            {
                return Some(at);
            }
            at = entry.next;
        }
        None
    }

    /// Whether a request of this transaction id from this leg waits already.
    pub fn contains(&self, session: u32, from: Leg, transaction: &[u8]) -> bool {
        let bucket = self.bucket(session, from, transaction);
        self.find(bucket, session, from, transaction).is_some()
    }

    /// Remembers a request. The caller has looked whether there is room, and for its double.
    /// It does not age until [`Pending::age`]: the thirty seconds run from the request's last octet,
    /// and a large chunk may take longer than that.
    pub fn insert(&mut self, list: &mut OfSession, request: Request, transaction: &[u8]) -> u32 {
        assert!(
            self.used < self.capacity,
            "room for pending requests is looked for first"
        );
        let bucket = self.bucket(request.session, request.from, transaction);
        let entry = Entry {
            request,
            transaction: Transaction::of(transaction),
            alias: None,
            expires: u64::MAX,
            next: self.buckets[bucket],
            in_session: Links {
                before: list.last,
                after: NONE,
            },
            in_line: UNLINKED,
            ages: false,
        };
        let index = if self.free == NONE {
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        } else {
            let index = self.free;
            self.free = self.entries[index as usize].next;
            self.entries[index as usize] = entry;
            index
        };
        self.used += 1;
        self.buckets[bucket] = index;
        match list.last {
            NONE => list.first = index,
            last => self.entries[last as usize].in_session.after = index,
        }
        list.last = index;
        list.counts[request.from.index()] += 1;
        index
    }

    /// Gives the request of this number another transaction id on its way on.
    pub fn rename(&mut self, number: u32, letters: &[u8; ALIAS_LETTERS]) -> Alias {
        self.entries[number as usize].alias = Some(*letters);
        let mut alias = [0; NUMBER_LETTERS + ALIAS_LETTERS];
        let mut rest = number as usize;
        for letter in alias[..NUMBER_LETTERS].iter_mut().rev() {
            *letter = LETTERS[rest % LETTERS.len()];
            rest /= LETTERS.len();
        }
        alias[NUMBER_LETTERS..].copy_from_slice(letters);
        alias
    }

    /// The request that goes by this alias.
    fn of_alias(&self, session: u32, from: Leg, alias: &[u8]) -> Option<u32> {
        let (number, letters) = alias.split_at_checked(NUMBER_LETTERS)?;
        let number = number.iter().try_fold(0usize, |number, letter| {
            let digit = LETTERS.iter().position(|known| known == letter)?;
            Some(number * LETTERS.len() + digit)
        })?;
        let entry = self.entries.get(number)?;
        let is_it = entry.request.session == session
            && entry.request.from == from
            && entry.alias.is_some_and(|known| known == letters);
        is_it.then_some(number as u32)
    }

    /// The request's last octet has been passed on.
    pub fn age(&mut self, index: u32, now: u64) {
        let last = self.line_last;
        let entry = &mut self.entries[index as usize];
        debug_assert!(!entry.ages, "a request has one last octet");
        entry.ages = true;
        entry.expires = now + PENDING_FOR.as_millis() as u64;
        entry.in_line = Links {
            before: last,
            after: NONE,
        };
        match last {
            NONE => self.line_first = index,
            last => self.entries[last as usize].in_line.after = index,
        }
        self.line_last = index;
    }

    /// Takes the request out that a response from leg `from.other()` answers.
    pub fn take(
        &mut self,
        list: &mut OfSession,
        session: u32,
        from: Leg,
        transaction: &[u8],
    ) -> Option<Answered> {
        let bucket = self.bucket(session, from, transaction);
        let found = self.find(bucket, session, from, transaction);
        let by_its_own = found.filter(|number| self.entries[*number as usize].alias.is_none());
        let number = match by_its_own {
            Some(number) => number,
            None => self.of_alias(session, from, transaction)?,
        };
        let own = self.entries[number as usize].transaction;
        Some(Answered {
            request: self.remove(list, number),
            number,
            renamed_from: by_its_own.is_none().then_some(own),
        })
    }

    /// Takes the session's first request out, for its end.
    pub fn take_first(&mut self, list: &mut OfSession) -> Option<(Request, Transaction)> {
        (list.first != NONE).then(|| self.take_number(list, list.first))
    }

    /// Takes the session's first request out that has come from this leg.
    pub fn take_first_from(
        &mut self,
        list: &mut OfSession,
        from: Leg,
    ) -> Option<(Request, Transaction)> {
        let mut number = list.first;
        while number != NONE {
            let entry = &self.entries[number as usize];
            if entry.request.from == from {
                return Some(self.take_number(list, number));
            }
            number = entry.in_session.after;
        }
        None
    }

    /// Takes the request of this number out.
    pub fn take_number(&mut self, list: &mut OfSession, number: u32) -> (Request, Transaction) {
        let transaction = self.transaction(number);
        (self.remove(list, number), transaction)
    }

    /// A request that waits, by its number.
    pub fn request_mut(&mut self, number: u32) -> &mut Request {
        &mut self.entries[number as usize].request
    }

    /// The transaction id of a request that waits.
    pub fn transaction(&self, number: u32) -> Transaction {
        self.entries[number as usize].transaction
    }

    /// The request that has waited longest waits as long again.
    pub fn postpone(&mut self, now: u64) {
        let number = self.line_first;
        let entry = self.entries[number as usize];
        self.leave_line(&entry);
        self.entries[number as usize].ages = false;
        self.age(number, now);
    }

    /// The request that has waited longest.
    pub fn oldest(&self) -> Option<&Request> {
        let entry = self.entries.get(self.line_first as usize)?;
        Some(&entry.request)
    }

    /// The session of the request that has waited longest, if it has waited too long.
    pub fn expired(&self, now: u64) -> Option<u32> {
        let entry = self.entries.get(self.line_first as usize)?;
        (entry.expires <= now).then_some(entry.request.session)
    }

    /// Takes the request out that has waited longest.
    pub fn take_oldest(&mut self, list: &mut OfSession) -> Request {
        self.remove(list, self.line_first)
    }

    /// When the next request expires.
    pub fn deadline(&self) -> Option<u64> {
        self.entries
            .get(self.line_first as usize)
            .map(|entry| entry.expires)
    }

    fn remove(&mut self, list: &mut OfSession, index: u32) -> Request {
        let entry = self.entries[index as usize];
        let transaction = entry.transaction.as_slice();
        let bucket = self.bucket(entry.request.session, entry.request.from, transaction);
        if self.buckets[bucket] == index {
            self.buckets[bucket] = entry.next;
        } else {
            let mut at = self.buckets[bucket];
            while self.entries[at as usize].next != index {
                at = self.entries[at as usize].next;
            }
            self.entries[at as usize].next = entry.next;
        }
        match entry.in_session.before {
            NONE => list.first = entry.in_session.after,
            before => self.entries[before as usize].in_session.after = entry.in_session.after,
        }
        match entry.in_session.after {
            NONE => list.last = entry.in_session.before,
            after => self.entries[after as usize].in_session.before = entry.in_session.before,
        }
        list.counts[entry.request.from.index()] -= 1;
        if entry.ages {
            self.leave_line(&entry);
        }
        let freed = &mut self.entries[index as usize];
        freed.next = self.free;
        freed.alias = None;
        (freed.in_session, freed.in_line) = (UNLINKED, UNLINKED);
        self.free = index;
        self.used -= 1;
        entry.request
    }

    fn leave_line(&mut self, entry: &Entry) {
        match entry.in_line.before {
            NONE => self.line_first = entry.in_line.after,
            before => self.entries[before as usize].in_line.after = entry.in_line.after,
        }
        match entry.in_line.after {
            NONE => self.line_last = entry.in_line.before,
            after => self.entries[after as usize].in_line.before = entry.in_line.before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(session: u32, from: Leg) -> Request {
        Request {
            session,
            from,
            is_send: true,
            from_path: None,
            message: 0,
            account: None,
            acknowledgement: Acknowledgement::Theirs,
        }
    }

    #[test]
    fn a_response_finds_the_request_of_its_own_direction() {
        let mut pending = Pending::new(4);
        let mut list = OfSession::NONE;
        pending.insert(&mut list, request(1, Leg::A), b"same");
        pending.insert(&mut list, request(1, Leg::B), b"same");
        let found = pending.take(&mut list, 1, Leg::B, b"same").unwrap();
        assert_eq!(found.request.from, Leg::B);
        assert!(pending.take(&mut list, 1, Leg::B, b"same").is_none());
        assert!(pending.contains(1, Leg::A, b"same"));
        assert_eq!(list.counts, [1, 0]);
    }

    #[test]
    fn a_renamed_request_is_answered_by_its_alias_and_by_nothing_else() {
        let mut pending = Pending::new(64);
        let mut list = OfSession::NONE;
        let mut aliases = Vec::new();
        for number in 0..50u32 {
            let own = format!("own{number}");
            let index = pending.insert(&mut list, request(3, Leg::A), own.as_bytes());
            let letters = [b'a' + (number % 26) as u8; ALIAS_LETTERS];
            aliases.push((own, pending.rename(index, &letters)));
        }
        for (own, alias) in aliases {
            assert!(pending.contains(3, Leg::A, own.as_bytes()), "in use");
            let mut take = |session, from, id: &[u8]| pending.take(&mut list, session, from, id);
            assert!(take(3, Leg::A, own.as_bytes()).is_none());
            assert!(take(3, Leg::B, &alias).is_none() && take(4, Leg::A, &alias).is_none());
            assert!(take(3, Leg::A, &alias[..alias.len() - 1]).is_none());
            let answered = take(3, Leg::A, &alias).unwrap();
            let former = answered.renamed_from.unwrap();
            assert_eq!(former.as_slice(), own.as_bytes());
            assert!(take(3, Leg::A, &alias).is_none(), "once");
        }
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn requests_expire_thirty_seconds_after_their_last_octet() {
        let mut pending = Pending::new(4);
        let mut lists = [OfSession::NONE; 2];
        let flowing = pending.insert(&mut lists[0], request(0, Leg::B), b"flowing");
        let first = pending.insert(&mut lists[0], request(0, Leg::A), b"first");
        let second = pending.insert(&mut lists[1], request(1, Leg::A), b"second");
        pending.age(first, 5);
        pending.age(second, 9);
        assert_eq!(pending.deadline(), Some(30_005));
        assert_eq!(pending.expired(30_004), None);
        assert_eq!(pending.expired(30_005), Some(0));
        pending.take_oldest(&mut lists[0]);
        assert_eq!(pending.deadline(), Some(30_009));
        pending.take_oldest(&mut lists[1]);
        assert_eq!(pending.deadline(), None, "what still flows does not age");
        pending.age(flowing, 100_000);
        assert_eq!(pending.deadline(), Some(130_000));
    }

    #[test]
    fn a_session_that_ends_takes_its_requests_along() {
        let mut pending = Pending::new(64);
        let mut lists = [OfSession::NONE; 3];
        for round in 0..1000u32 {
            let session = round % 3;
            let transaction = round.to_be_bytes();
            if pending.is_full() || round % 7 == 0 {
                while pending.take_first(&mut lists[session as usize]).is_some() {}
                assert_eq!(lists[session as usize].counts, [0, 0]);
            } else {
                let leg = if round % 2 == 0 { Leg::A } else { Leg::B };
                let list = &mut lists[session as usize];
                let index = pending.insert(list, request(session, leg), &transaction);
                if round % 3 > 0 {
                    pending.age(index, round as u64);
                }
            }
        }
        for list in &mut lists {
            while pending.take_first(list).is_some() {}
        }
        assert_eq!((pending.len(), pending.deadline()), (0, None));
    }
}
