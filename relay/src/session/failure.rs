//! What a peer is told when the other leg fails: one signal, a response or a REPORT, for each SEND
//! whose fate is open. RFC 4975, 7.1.3, 7.1.4 and 10; RFC 4976, 6.4.1.
//!
//! A SEND without its response gets one. A message of which chunks were answered already but not
//! all have come gets a REPORT. Never both, never a signal that was not asked for, and never a
//! Success REPORT, whatever the far side's TCP has taken.

use std::hash::{BuildHasher, RandomState};

use link::{Cause, Leg};
use wire::limits::MESSAGE_ID_BYTES_MAX;
use wire::msrp::{ByteRange, Continuation, FailureReport, Head, Kind, Method, status, uri, writer};

use super::pending::{Acknowledgement, Request, Transaction};
use super::texts::Text;
use super::{Flow, OWN_TRANSACTION, Scratch, Sessions};
use crate::limits::OPEN_MESSAGES_PER_LEG_MAX;

/// The message that a leg's peer is sending in several chunks.
#[derive(Clone, Copy, Debug)]
pub struct OpenMessage {
    account: Account,
    /// Which message it is, as its pending requests know it.
    mark: u64,
    wants_failures: bool,
    /// Where a REPORT on it goes, if not to the path that is known.
    from_path: Option<Text>,
    /// The leg's open message before it.
    next: Option<OpenPlace>,
}

/// The open messages of all legs. Most legs have none, and those that are sent in one chunk are never
/// in here. A leg may have several, since chunks of one may come between those of another (RFC 4975,
/// 5.1): they form a list, the newest first.
pub(super) struct OpenMessages {
    places: Vec<OpenMessage>,
    free: Vec<u32>,
    capacity: u32,
}

/// Where a leg's open message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPlace(u32);

/// What a REPORT says of a chunk, or of what has come of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    octets: u64,
    start: u64,
    total: Option<u64>,
    id: [u8; MESSAGE_ID_BYTES_MAX],
    id_bytes: u8,
}

impl Account {
    /// Octets of it when it is written: octets, start, total, Message-ID.
    pub const BYTES_MAX: usize = 24 + MESSAGE_ID_BYTES_MAX;

    /// Of a SEND of which nothing has come but its head. `None`: it says not of which message it is.
    pub fn of(head: &Head, octets: &[u8]) -> Option<Account> {
        let id = head.message_id.map(|field| field.of(octets))?;
        let mut account = Account {
            octets: 0,
            start: head.byte_range.map_or(1, |range| range.start),
            total: head.byte_range.and_then(|range| range.total),
            id: [0; MESSAGE_ID_BYTES_MAX],
            id_bytes: id.len() as u8,
        };
        account.id.get_mut(..id.len())?.copy_from_slice(id);
        Some(account)
    }

    fn write(&self, out: &mut [u8; Account::BYTES_MAX]) -> usize {
        // No total is written as the largest number, which no chunk has.
        let numbers = [self.octets, self.start, self.total.unwrap_or(u64::MAX)];
        for (place, number) in out.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        out[24..].copy_from_slice(&self.id);
        24 + usize::from(self.id_bytes)
    }

    fn read(written: &[u8]) -> Option<Account> {
        let number = |place: usize| {
            let octets = written.get(8 * place..)?.first_chunk()?;
            Some(u64::from_le_bytes(*octets))
        };
        let kept = written.get(24..)?;
        let mut id = [0; MESSAGE_ID_BYTES_MAX];
        id.get_mut(..kept.len())?.copy_from_slice(kept);
        Some(Account {
            octets: number(0)?,
            start: number(1)?,
            total: number(2).filter(|total| *total < u64::MAX),
            id,
            id_bytes: kept.len() as u8,
        })
    }
}

impl OpenMessages {
    /// Room for those of so many legs, whose memory is touched as it is needed.
    pub fn new(legs: u32) -> OpenMessages {
        OpenMessages {
            places: Vec::with_capacity(legs as usize),
            free: Vec::with_capacity(legs as usize),
            capacity: legs,
        }
    }

    /// The places of a leg's list.
    fn of(&self, first: Option<OpenPlace>) -> impl Iterator<Item = OpenPlace> {
        std::iter::successors(first, |OpenPlace(place)| self.places[*place as usize].next)
    }

    fn find(&self, first: Option<OpenPlace>, mark: u64) -> Option<OpenPlace> {
        self.of(first)
            .find(|OpenPlace(place)| self.places[*place as usize].mark == mark)
    }

    fn is_full(&self) -> bool {
        self.free.is_empty() && self.places.len() as u32 == self.capacity
    }

    /// The message that a leg whose list has no room for another gives up.
    fn in_the_way(&self, first: Option<OpenPlace>) -> Option<OpenPlace> {
        let has_room = self.of(first).count() < OPEN_MESSAGES_PER_LEG_MAX && !self.is_full();
        if has_room {
            return None;
        }
        self.of(first).last()
    }

    /// Puts a message in front of a leg's list. The caller has looked for room.
    fn put(&mut self, first: &mut Option<OpenPlace>, message: OpenMessage) -> OpenPlace {
        let message = OpenMessage {
            next: *first,
            ..message
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = message;
                OpenPlace(place)
            }
            None => {
                self.places.push(message);
                OpenPlace(self.places.len() as u32 - 1)
            }
        };
        *first = Some(place);
        place
    }

    /// Takes a message out of a leg's list.
    fn take(&mut self, first: &mut Option<OpenPlace>, taken: OpenPlace) -> OpenMessage {
        let OpenPlace(place) = taken;
        let message = self.places[place as usize];
        let before = self
            .of(*first)
            .find(|OpenPlace(other)| self.places[*other as usize].next == Some(taken));
        match before {
            Some(OpenPlace(before)) => self.places[before as usize].next = message.next,
            None => *first = message.next,
        }
        self.free.push(place);
        message
    }
}

/// Gives messages short names, which peers cannot foresee.
#[derive(Default)]
pub(super) struct Marks(RandomState);

impl Marks {
    /// The mark of a Message-ID; 0 for none.
    pub fn of(&self, message_id: Option<&[u8]>) -> u64 {
        message_id.map_or(0, |id| self.0.hash_one(id) | 1)
    }
}

/// What is said of a leg's failure; `None` if nothing is to be said, because signalling ended it.
pub fn code_of(cause: Cause) -> Option<u16> {
    match cause {
        Cause::Expired | Cause::ConnectFailed | Cause::Stalled | Cause::Idle => {
            Some(status::TIMEOUT)
        }
        Cause::Deleted => None,
        Cause::PeerClosed
        | Cause::Reset
        | Cause::ProtocolError
        | Cause::TooLarge
        | Cause::NoMemory
        | Cause::OtherLeg
        | Cause::HandshakeFailed
        | Cause::PeerUnproven
        | Cause::Stopping => Some(status::NO_SESSION),
    }
}

impl Sessions {
    /// A chunk of a request is being forwarded: it may be one of several of its message. If it is the
    /// last one and all of it is there, as mostly, nothing has to be remembered.
    pub(super) fn open_message(
        &mut self,
        index: u32,
        leg: Leg,
        head: &Head,
        end: Option<Continuation>,
        octets: &[u8],
    ) {
        let is_over = matches!(end, Some(Continuation::Last | Continuation::Aborted));
        let first = self[index].legs[leg.index()].open_messages;
        if head.kind != Kind::Request(Method::Send) || is_over && first.is_none() {
            return;
        }
        let mark = self.marks.of(head.message_id.map(|field| field.of(octets)));
        let known = self.open_messages.find(first, mark);
        if is_over {
            known.map(|place| self.take_message(index, leg, place));
            return;
        }
        let place = known.or_else(|| self.put_message(index, leg, mark, head, octets));
        self[index].legs[leg.index()].open_message = place;
    }

    /// The first chunk of a message has come that is not its last. `None`: it says not of which message it
    /// is, or all places are other legs'.
    fn put_message(
        &mut self,
        index: u32,
        leg: Leg,
        mark: u64,
        head: &Head,
        octets: &[u8],
    ) -> Option<OpenPlace> {
        let account = Account::of(head, octets)?;
        let first = self[index].legs[leg.index()].open_messages;
        if let Some(place) = self.open_messages.in_the_way(first) {
            self.take_message(index, leg, place);
        }
        if self.open_messages.is_full() {
            return None;
        }
        let from_path = head.from_path.of(octets);
        let remote = self[index].legs[leg.index()].remote;
        let is_known = remote.is_some_and(|remote| self.texts.get(remote) == from_path);
        let keeps = !is_known && self.texts.has_spare();
        let message = OpenMessage {
            account,
            mark,
            wants_failures: head.failure_report != FailureReport::No,
            from_path: keeps.then(|| self.texts.put(from_path)).flatten(),
            next: None,
        };
        let mut first = self[index].legs[leg.index()].open_messages;
        let place = self.open_messages.put(&mut first, message);
        self[index].legs[leg.index()].open_messages = first;
        Some(place)
    }

    /// A message of the leg's peer is not open any more.
    fn take_message(&mut self, index: u32, leg: Leg, place: OpenPlace) -> OpenMessage {
        let mut first = self[index].legs[leg.index()].open_messages;
        let message = self.open_messages.take(&mut first, place);
        let leg = &mut self[index].legs[leg.index()];
        leg.open_messages = first;
        if leg.open_message == Some(place) {
            leg.open_message = None;
        }
        if let Some(text) = message.from_path {
            self.texts.free(text);
        }
        message
    }

    /// The message whose chunk the leg's peer is sending is not open any more.
    fn take_open(&mut self, index: u32, leg: Leg) -> Option<OpenMessage> {
        let place = self[index].legs[leg.index()].open_message?;
        Some(self.take_message(index, leg, place))
    }

    /// No message of the leg's peer is open any more.
    pub(super) fn take_all_open(&mut self, index: u32, leg: Leg) {
        while let Some(place) = self[index].legs[leg.index()].open_messages {
            self.take_message(index, leg, place);
        }
    }

    /// Octets of the open chunk went by, and perhaps its end.
    pub(super) fn message_passed(
        &mut self,
        index: u32,
        leg: Leg,
        octets: u64,
        end: Option<Continuation>,
    ) {
        let Some(OpenPlace(place)) = self[index].legs[leg.index()].open_message else {
            return;
        };
        self.open_messages.places[place as usize].account.octets += octets;
        match end {
            Some(Continuation::Last | Continuation::Aborted) => drop(self.take_open(index, leg)),
            Some(Continuation::More) => self[index].legs[leg.index()].open_message = None,
            None => {}
        }
    }

    /// The next signal that a session fails, written into the scratch, and the leg it is for.
    /// The peer of a leg that has `failed` itself hears nothing. `None`: all has been said.
    pub fn next_signal(
        &mut self,
        index: u32,
        failed: Option<Leg>,
        code: u16,
        random: &[u8; 16],
        scratch: &mut Scratch,
    ) -> Option<(Leg, usize)> {
        let mut list = self[index].pending;
        while let Some((request, transaction)) = self.pending.take_first(&mut list) {
            self[index].pending = list;
            for leg in &mut self[index].legs {
                leg.open_request = None;
            }
            let leg = request.from;
            let hears = failed != Some(leg) && request.is_send;
            let signal = self.write_signal(&request, &transaction, code, random, scratch);
            if let Some(signal) = signal
                && hears
            {
                // One signal is enough for a message.
                let first = self[index].legs[leg.index()].open_messages;
                if let Some(open) = self.open_messages.find(first, request.message) {
                    self.take_message(index, leg, open);
                }
                return Some((leg, signal));
            }
        }
        self[index].pending = list;
        for leg in Leg::ALL {
            while let Some(place) = self[index].legs[leg.index()].open_messages {
                let OpenPlace(number) = place;
                let message = self.open_messages.places[number as usize];
                let is_told =
                    failed != Some(leg) && message.wants_failures && message.account.octets > 0;
                let report = is_told
                    .then(|| self.write_report_on(index, leg, &message, code, random, scratch));
                self.take_message(index, leg, place);
                if let Some(report) = report.flatten() {
                    return Some((leg, report));
                }
            }
        }
        None
    }

    /// The next SEND of `leg`'s peer that has no answer, as a signal that it did not get through: the other leg
    /// is lost for now, and it may be lost with that. What still comes of its message before that leg is back is
    /// refused. RFC 4975, 10.4. `None`: all has been said.
    pub fn next_lost(
        &mut self,
        index: u32,
        leg: Leg,
        random: &[u8; 16],
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let code = status::TIMEOUT;
        loop {
            let mut list = self[index].pending;
            let taken = self.pending.take_first_from(&mut list, leg);
            self[index].pending = list;
            let (request, transaction) = taken?;
            let signal = self.write_signal(&request, &transaction, code, random, scratch);
            if !request.is_send || signal.is_none() {
                continue;
            }
            let first = self[index].legs[leg.index()].open_messages;
            if let Some(open) = self.open_messages.find(first, request.message) {
                let failed = self.take_message(index, leg, open);
                self[index].legs[leg.index()].failed_message = Some((failed.mark, code));
            }
            return signal;
        }
    }

    fn write_report_on(
        &self,
        index: u32,
        leg: Leg,
        message: &OpenMessage,
        code: u16,
        random: &[u8; 16],
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let back = &self[index].legs[leg.index()];
        let to = self.texts.get(message.from_path.or(back.remote)?);
        let paths = (to, back.local.uri(&self.texts));
        write_report(paths, code, &message.account, random, scratch)
    }

    /// What a chunk of a message that has failed is answered; RFC 4975, 10.5.
    pub(super) fn failed_before(
        &self,
        index: u32,
        leg: Leg,
        head: &Head,
        octets: &[u8],
    ) -> Option<u16> {
        let (mark, code) = self[index].legs[leg.index()].failed_message?;
        let id = head.message_id.map(|field| field.of(octets));
        (self.marks.of(id) == mark).then_some(code)
    }

    /// The chunk that `leg`'s peer is sending goes no further: what still comes of it is discarded.
    /// The response that says so, if one is wanted, is written into the scratch.
    pub fn refuse_open_chunk(
        &mut self,
        index: u32,
        leg: Leg,
        code: u16,
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let failed = self.take_open(index, leg);
        let from = &mut self[index].legs[leg.index()];
        from.flow = Flow::Discarding;
        from.failed_message = failed.map(|message| (message.mark, code));
        let number = from.open_request.take()?;
        let mut list = self[index].pending;
        let (request, transaction) = self.pending.take_number(&mut list, number);
        self[index].pending = list;
        self.write_response(&request, &transaction, code, scratch)
    }

    /// The peer of `leg` is gone within a chunk: nobody is left to hear what becomes of it.
    pub fn forget_open_chunk(&mut self, index: u32, leg: Leg) {
        self.take_open(index, leg);
        let from = &mut self[index].legs[leg.index()];
        from.flow = Flow::Between;
        let Some(number) = from.open_request.take() else {
            return;
        };
        let mut list = self[index].pending;
        let (request, _) = self.pending.take_number(&mut list, number);
        self[index].pending = list;
        self.let_go(&request);
    }

    /// Answers a request that is no longer waited for, and lets go of its path.
    fn write_response(
        &mut self,
        request: &Request,
        transaction: &Transaction,
        code: u16,
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let back = &self[request.session].legs[request.from.index()];
        let path = self.texts.get(request.from_path.or(back.remote)?);
        let to = if request.is_send {
            uri::first(path)
        } else {
            path
        };
        let from = back.local.uri(&self.texts);
        let response = writer::response(scratch, transaction.as_slice(), code, to, from);
        self.let_go(request);
        response
    }

    /// Tells of a request's failure: by a response if none was sent and its leg does not want reports
    /// only, else by a REPORT; lets go of what was kept of it.
    fn write_signal(
        &mut self,
        request: &Request,
        transaction: &Transaction,
        code: u16,
        random: &[u8; 16],
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let switches = self[request.session].leg(request.from).policy.switches;
        let is_answered = request.acknowledgement == Acknowledgement::Sent;
        if request.account.is_some() && (is_answered || switches.report_only) {
            return self.report_on(request, code, random, scratch);
        }
        self.write_response(request, transaction, code, scratch)
    }

    /// Writes a REPORT on a request of which an account was kept, and lets go of it.
    pub fn report_on(
        &mut self,
        request: &Request,
        code: u16,
        random: &[u8; 16],
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let back = &self[request.session].legs[request.from.index()];
        let to = request.from_path.or(back.remote);
        let account = (request.account).and_then(|text| Account::read(self.texts.get(text)));
        let report = match (to, account) {
            (Some(to), Some(account)) => {
                let paths = (self.texts.get(to), back.local.uri(&self.texts));
                write_report(paths, code, &account, random, scratch)
            }
            _ => None,
        };
        self.let_go(request);
        report
    }

    /// Writes the 200 of a request whose last octet has come, in place of the far endpoint's.
    pub fn acknowledge(&mut self, number: u32, scratch: &mut Scratch) -> Option<usize> {
        let transaction = self.pending.transaction(number);
        let request = self.pending.request_mut(number);
        request.acknowledgement = Acknowledgement::Sent;
        let request = *request;
        let back = &self[request.session].legs[request.from.index()];
        let to = uri::first(self.texts.get(request.from_path.or(back.remote)?));
        let from = back.local.uri(&self.texts);
        writer::response(scratch, transaction.as_slice(), status::OK, to, from)
    }

    /// A SEND that is not passed on any more, to be reported on. `None`: it wants no report, or there is
    /// no room to keep its account.
    pub(super) fn not_passed_on(
        &mut self,
        index: u32,
        leg: Leg,
        head: &Head,
        octets: &[u8],
    ) -> Option<Request> {
        if head.failure_report == FailureReport::No {
            return None;
        }
        let account = self.put_account(Account::of(head, octets).as_ref())?;
        Some(Request {
            session: index,
            from: leg,
            is_send: true,
            from_path: self.texts.put(head.from_path.of(octets)),
            message: 0,
            account: Some(account),
            acknowledgement: Acknowledgement::Theirs,
        })
    }

    /// Keeps an account for as long as its request waits, if there is room to spare.
    pub(super) fn put_account(&mut self, account: Option<&Account>) -> Option<Text> {
        let mut written = [0; Account::BYTES_MAX];
        let bytes = account?.write(&mut written);
        self.texts
            .has_spare()
            .then(|| self.texts.put(&written[..bytes]))?
    }

    /// So many octets of the request's chunk went by.
    pub(super) fn count_in_account(&mut self, request: &Request, octets: u64) {
        if let Some(text) = request.account {
            let kept = self.texts.get_mut(text);
            if let Some(count) = kept.first_chunk_mut::<8>() {
                *count = (u64::from_le_bytes(*count) + octets).to_le_bytes();
            }
        }
    }

    /// Gives back what was kept of a request.
    pub(super) fn let_go(&mut self, request: &Request) {
        for text in [request.from_path, request.account].into_iter().flatten() {
            self.texts.free(text);
        }
    }
}

/// Writes a REPORT to and from these paths.
fn write_report(
    (to, from): (&[u8], &[u8]),
    code: u16,
    about: &Account,
    random: &[u8; 16],
    scratch: &mut Scratch,
) -> Option<usize> {
    let mut transaction = [0; 20];
    let (own, rest) = transaction.split_at_mut(OWN_TRANSACTION.len());
    own.copy_from_slice(OWN_TRANSACTION);
    writer::identifier(rest, random)?;
    let range = ByteRange {
        start: about.start,
        // A peer may have begun at the end of all numbers, or before the first.
        end: (about.start.checked_add(about.octets)).and_then(|next| next.checked_sub(1)),
        total: about.total,
    };
    let report = writer::Report {
        transaction: &transaction,
        to,
        from,
        message_id: &about.id[..usize::from(about.id_bytes)],
        range,
        status: code,
        comment: b"",
    };
    writer::report(&mut scratch[..], &report)
}
