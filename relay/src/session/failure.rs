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

use super::pending::{Request, Transaction};
use super::{Flow, OWN_TRANSACTION, Scratch, Sessions};

/// The message that a leg's peer is sending in several chunks.
#[derive(Clone, Copy, Debug)]
pub struct OpenMessage {
    id: [u8; MESSAGE_ID_BYTES_MAX],
    id_bytes: u8,
    start: u64,
    total: Option<u64>,
    octets: u64,
    /// Which message it is, as its pending requests know it.
    mark: u64,
    wants_failures: bool,
}

impl OpenMessage {
    fn id(&self) -> &[u8] {
        &self.id[..self.id_bytes as usize]
    }

    /// Octets of it went by, and perhaps its end.
    pub fn passed(open: &mut Option<OpenMessage>, octets: u64, end: Option<Continuation>) {
        if let Some(message) = open {
            message.octets += octets;
        }
        if matches!(end, Some(Continuation::Last | Continuation::Aborted)) {
            *open = None;
        }
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
    /// A chunk of a SEND is being forwarded: it may be one of several of its message.
    pub(super) fn open_message(&mut self, index: u32, leg: Leg, head: &Head, octets: &[u8]) {
        if head.kind != Kind::Request(Method::Send) {
            return;
        }
        let Some(id) = head.message_id.map(|field| field.of(octets)) else {
            return;
        };
        let mark = self.marks.of(Some(id));
        let open = &mut self[index].legs[leg.index()].open_message;
        if open.is_some_and(|open| open.mark == mark) || id.len() > MESSAGE_ID_BYTES_MAX {
            return;
        }
        let mut message = OpenMessage {
            id: [0; MESSAGE_ID_BYTES_MAX],
            id_bytes: id.len() as u8,
            start: head.byte_range.map_or(1, |range| range.start),
            total: head.byte_range.and_then(|range| range.total),
            octets: 0,
            mark,
            wants_failures: head.failure_report != FailureReport::No,
        };
        message.id[..id.len()].copy_from_slice(id);
        *open = Some(message);
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
            let response = self.write_response(&request, &transaction, code, scratch);
            if let Some(response) = response
                && hears
            {
                // One signal is enough for a message.
                let open = &mut self[index].legs[leg.index()].open_message;
                if open.is_some_and(|open| open.mark == request.message) {
                    *open = None;
                }
                return Some((leg, response));
            }
        }
        self[index].pending = list;
        for leg in Leg::ALL {
            if let Some(message) = self[index].legs[leg.index()].open_message.take()
                && failed != Some(leg)
                && message.wants_failures
                && message.octets > 0
            {
                let report = self.write_report(index, leg, code, &message, random, scratch)?;
                return Some((leg, report));
            }
        }
        None
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
        let from = &mut self[index].legs[leg.index()];
        from.flow = Flow::Discarding;
        let failed = from.open_message.take();
        from.failed_message = failed.map(|message| (message.mark, code));
        let number = from.open_request.take()?;
        let mut list = self[index].pending;
        let (request, transaction) = self.pending.take_number(&mut list, number);
        self[index].pending = list;
        self.write_response(&request, &transaction, code, scratch)
    }

    /// The peer of `leg` is gone within a chunk: nobody is left to hear what becomes of it.
    pub fn forget_open_chunk(&mut self, index: u32, leg: Leg) {
        let from = &mut self[index].legs[leg.index()];
        from.flow = Flow::Between;
        from.open_message = None;
        let Some(number) = from.open_request.take() else {
            return;
        };
        let mut list = self[index].pending;
        let (request, _) = self.pending.take_number(&mut list, number);
        self[index].pending = list;
        if let Some(text) = request.from_path {
            self.texts.free(text);
        }
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
        if let Some(text) = request.from_path {
            self.texts.free(text);
        }
        response
    }

    fn write_report(
        &self,
        index: u32,
        leg: Leg,
        code: u16,
        message: &OpenMessage,
        random: &[u8; 16],
        scratch: &mut Scratch,
    ) -> Option<usize> {
        let back = &self[index].legs[leg.index()];
        let mut transaction = [0; 20];
        let (own, rest) = transaction.split_at_mut(OWN_TRANSACTION.len());
        own.copy_from_slice(OWN_TRANSACTION);
        writer::identifier(rest, random)?;
        let range = ByteRange {
            start: message.start,
            // A peer may have begun at the end of all numbers.
            end: message.start.checked_add(message.octets - 1),
            total: message.total,
        };
        let report = writer::Report {
            transaction: &transaction,
            to: self.texts.get(back.remote?),
            from: back.local.uri(&self.texts),
            message_id: message.id(),
            range,
            status: code,
            comment: b"",
        };
        writer::report(&mut scratch[..], &report)
    }
}
