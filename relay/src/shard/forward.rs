//! Parts out: a part of a chunk that came from one leg is queued on the other, under new paths.
//!
//! The octets stay where they were received. What changes — start line, both paths, and a
//! WebSocket frame header where the other leg wants one — is written right before the rest of the
//! part: over the former first lines if it fits there (in the headroom, for the first head of a
//! slot), else apart, in the arena, and the send gathers both.

use link::{Counter, Leg};
use wire::msrp::{Continuation, Head, Part, Reader, status, writer};

use super::Shard;
use super::connections::{Region, Stage};
use super::sharing::LegOf;
use crate::buffers::Span;
use crate::ring::Ring;
use crate::session::{self, Flow, Forwarded, Verdict, Way};

/// The longest end-line: dashes, transaction id, flag, CRLF.
const END_LINE_BYTES_MAX: usize = 7 + wire::limits::TRANSACTION_BYTES_MAX + 3;

/// What has become of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It is dealt with.
    Done,
    /// Not yet, until the other leg or a path has come: the same octets again.
    Wait,
    /// Not yet, until something was given back to a pool: the same octets again.
    Dry,
    /// The connection it came from is not read any more.
    Gone,
}

impl<R: Ring> Shard<R> {
    /// Deals with a part that `connection`'s reader found in `region`.
    pub(super) fn deliver(
        &mut self,
        slot: u32,
        region: &mut Region,
        part: &Part,
        reader_before: Reader,
    ) -> Delivery {
        if let Some(head) = &part.head {
            match self.open_chunk(slot, region, part, head) {
                Opened::Forward(prefix) => return self.pass_on(slot, region, part, prefix),
                Opened::Discard => {}
                Opened::NotYet => {
                    self.connections.reading(slot).reader = reader_before;
                    return Delivery::Wait;
                }
                Opened::Gone => return Delivery::Gone,
            }
        }
        self.pass_on(slot, region, part, 0)
    }

    /// Finds out what is to become of a chunk, given its head.
    fn open_chunk(&mut self, slot: u32, region: &Region, part: &Part, head: &Head) -> Opened {
        let octets = Span {
            slot: region.slot,
            start: region.start + part.span.start as u32,
            bytes: head.bytes.into(),
        };
        let head = &Head {
            fault: head.fault.or(part.body_fault),
            ..*head
        };
        if self.connections[slot].stage == Stage::Unbound
            && let Err(code) = self.bind(slot, head, octets)
        {
            return self.turn_away(slot, head, octets, code);
        }
        match self.decide(slot, head, part.end, octets) {
            Verdict::Forward { prefix, .. } => Opened::Forward(prefix),
            Verdict::Answer { response } => {
                let is_refusal = !session::is_bodiless_send(head) || head.fault.is_some();
                self.metrics
                    .add(Counter::RequestsRefused, is_refusal.into());
                self.metrics.add(Counter::ResponsesMade, 1);
                self.write_own(slot, response);
                Opened::Discard
            }
            Verdict::Discard => Opened::Discard,
            Verdict::Report { request, code } => {
                self.report(&request, code);
                Opened::Discard
            }
            Verdict::Wait | Verdict::Busy => Opened::NotYet,
            Verdict::Elsewhere => Opened::Gone,
        }
    }

    /// What is to be done about a message, by the leg that it is for.
    fn decide(
        &mut self,
        slot: u32,
        head: &Head,
        end: Option<Continuation>,
        octets: Span,
    ) -> Verdict {
        loop {
            let Some((session, leg)) = self.connections[slot].owner else {
                return Verdict::Elsewhere;
            };
            let way = self.way(slot, (session, leg));
            let text = self.memory.octets(octets);
            let scratch = &mut self.scratch;
            let verdict = self
                .sessions
                .route((session, leg), way, head, end, text, scratch);
            if verdict == Verdict::Elsewhere {
                if let Err(code) = self.dispatch(slot, head, octets) {
                    let code = head.fault.map_or(code, |_| status::BAD_REQUEST);
                    let text = self.memory.octets(octets);
                    let scratch = &mut self.scratch;
                    let from = (session, leg);
                    return match self.connections[slot].was_shared {
                        true => (self.sessions).refuse_elsewhere(from, code, head, text, scratch),
                        false => self.sessions.refuse(from, code, head, text, scratch),
                    };
                }
                // It has found its leg, which says the rest.
                continue;
            }
            if let (Verdict::Forward { is_renamed, .. }, Some(out)) = (
                verdict,
                self.sessions[session].leg(leg.other()).connection(),
            ) && is_renamed
            {
                self.rename(out, (session, leg.other()), head.transaction.of(text).len());
            }
            if way == Way::Own && self.connections[slot].legs < 2 {
                return verdict;
            }
            return self.wait_or_refuse(slot, (session, leg), verdict, head, octets);
        }
    }

    /// The first request is for no leg of ours: it is told so, and the connection ends.
    fn turn_away(&mut self, slot: u32, head: &Head, octets: Span, code: u16) -> Opened {
        let octets = self.memory.octets(octets);
        let local = head.to_path.of(octets);
        let code = if head.fault.is_some() {
            status::BAD_REQUEST
        } else {
            code
        };
        let verdict = session::answer_from(head, octets, code, local, &mut self.scratch);
        if let Verdict::Answer { response } = verdict {
            self.metrics.add(Counter::RequestsRefused, 1);
            self.metrics.add(Counter::ResponsesMade, 1);
            self.write_own(slot, response);
        }
        self.drain(slot, None);
        Opened::Gone
    }

    /// Queues a part's octets on the other leg, if its chunk is being forwarded.
    fn pass_on(&mut self, slot: u32, region: &mut Region, part: &Part, prefix: usize) -> Delivery {
        let Some((session, leg)) = self.connections[slot].owner else {
            return Delivery::Gone;
        };
        let flow = self.sessions[session].leg(leg).flow;
        let out = self.sessions[session].leg(leg.other()).connection();
        if let (Flow::Forwarding { what }, Some(out)) = (flow, out) {
            self.emit(out, (session, leg.other()), region, part, prefix);
            self.count_part(leg, what, part);
            if let Some(code) = self.too_much(out, part) {
                self.cut_open_chunk(slot, session, leg, code);
            }
            self.press_back(slot, out);
        }
        region.start += part.span.end as u32;
        self.connections[slot].message_over =
            part.end.is_some() && self.connections[slot].transport.is_websocket();
        // If the session has ended with that, the rest of the chunk is its companion's to discard.
        if let Some((session, leg)) = self.connections[slot].owner
            && let Some(number) = self.sessions.passed(session, leg, part, self.now)
            && let Some(bytes) = self.sessions.acknowledge(number, &mut self.scratch)
        {
            self.metrics.add(Counter::ResponsesMade, 1);
            self.write_own(slot, bytes);
        }
        Delivery::Done
    }

    /// Whether an open chunk has become longer than it may: a WebSocket's peer takes whole messages
    /// into its memory, and only a SEND may be long (RFC 4975, 7.1).
    fn too_much(&self, out: u32, part: &Part) -> Option<u16> {
        if part.end.is_some() {
            return None;
        }
        if part.body_fault.is_some() {
            return Some(status::BAD_REQUEST);
        }
        let connection = &self.connections[out];
        let ceiling = self.settings.message_bytes_max;
        let is_over = connection.transport.is_websocket() && connection.out_bytes > ceiling;
        is_over.then_some(status::STOP)
    }

    /// Ends the chunk that a leg's peer is sending where it is: with `#` on the other leg, with a
    /// response on this one; what still comes of it goes nowhere.
    pub(super) fn cut_open_chunk(&mut self, slot: u32, session: u32, leg: Leg, code: u16) {
        self.cut_chunk(session, leg);
        let scratch = &mut self.scratch;
        if let Some(bytes) = self.sessions.refuse_open_chunk(session, leg, code, scratch) {
            self.metrics.add(Counter::RequestsRefused, 1);
            self.metrics.add(Counter::ResponsesMade, 1);
            self.write_own(slot, bytes);
        }
        let to = (session, leg.other());
        let out = self.sessions[session].leg(to.1).connection();
        if out.is_some_and(|out| self.connections[out].is_open_toward(to)) {
            // No room was left to end it in form; nothing else may follow it there.
            self.leg_down(session, leg, link::Cause::NoMemory);
        }
    }

    fn count_part(&mut self, leg: Leg, what: Forwarded, part: &Part) {
        let (messages, octets) = match leg {
            Leg::A => (Counter::MessagesAToB, Counter::OctetsAToB),
            Leg::B => (Counter::MessagesBToA, Counter::OctetsBToA),
        };
        self.metrics.add(octets, part.body);
        if part.end.is_some() {
            let counter = match what {
                Forwarded::Send => messages,
                Forwarded::Report => Counter::ReportsForwarded,
                Forwarded::Response => Counter::ResponsesForwarded,
            };
            self.metrics.add(counter, 1);
        }
    }

    /// Queues framing, new first lines (`prefix` octets of the scratch) and the part's octets.
    fn emit(&mut self, out: u32, to: LegOf, region: &mut Region, part: &Part, prefix: usize) {
        let mut end_line = [0; END_LINE_BYTES_MAX];
        let mut tail = part.append;
        // Octets at the end of what came that go out as something else.
        let (mut cut_span, mut cut_held) = (0, 0);
        if let Some(flag) = part.end
            && std::mem::take(&mut self.connections[out].renames)
        {
            let (transaction, former_bytes) = self.sharing.renamed(to);
            let bytes = writer::end_line(&mut end_line, transaction, flag).unwrap_or(0);
            let cut = bytes - transaction.len() + former_bytes - tail.len();
            cut_span = cut.min(part.span.len());
            cut_held = cut - cut_span;
            tail = &end_line[..bytes];
        }
        let held = part.held.as_slice();
        let held = &held[..held.len() - cut_held];
        let start = region.start + part.span.start as u32;
        let rest = start + part.head.as_ref().map_or(0, |head| u32::from(head.rest));
        let end = region.start + (part.span.end - cut_span) as u32;
        let lead = if part.head.is_some() {
            &self.scratch[..prefix]
        } else {
            held
        };
        let bytes = lead.len() as u64 + u64::from(end - rest) + tail.len() as u64;
        let (first, last) = (part.head.is_some(), part.end.is_some());
        if bytes == 0 && !last {
            return;
        }
        let framing = self.connections[out].transport.frame(first, last, bytes);
        let framing = framing.as_slice();
        let lead_bytes = (framing.len() + lead.len()) as u32;

        if lead_bytes <= rest - region.floor && rest < end {
            let at = rest - lead_bytes;
            let place = Span {
                slot: region.slot,
                start: at,
                bytes: lead_bytes,
            };
            let (before, after) = self.memory.octets_mut(place).split_at_mut(framing.len());
            before.copy_from_slice(framing);
            after.copy_from_slice(lead);
            self.metrics.add(Counter::RewritesInPlace, first.into());
            self.pool.hold(region.slot);
            self.queue(
                out,
                Span {
                    slot: region.slot,
                    start: at,
                    bytes: end - at,
                },
            );
        } else {
            self.metrics.add(Counter::RewritesApart, first.into());
            if lead_bytes > 0
                && let Some(span) = self.arena(lead_bytes as usize)
            {
                let lead = if first { &self.scratch[..prefix] } else { held };
                let place = self.memory.octets_mut(span);
                let (before, after) = place.split_at_mut(framing.len());
                before.copy_from_slice(framing);
                after.copy_from_slice(lead);
                self.queue(out, span);
            }
            if rest < end {
                self.pool.hold(region.slot);
                self.queue(
                    out,
                    Span {
                        slot: region.slot,
                        start: rest,
                        bytes: end - rest,
                    },
                );
            }
        }
        if !tail.is_empty()
            && let Some(span) = self.arena_copy(&[tail])
        {
            self.queue(out, span);
        }
        region.floor = end;
        let connection = &mut self.connections[out];
        connection.out_open = !last;
        connection.out_leg = Some(to);
        connection.out_bytes = if first {
            bytes
        } else {
            connection.out_bytes + bytes
        };
        if last {
            self.own_turn(out);
        }
    }

    /// A chunk toward this peer has ended: what we have to say ourselves goes next.
    pub(super) fn own_turn(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        self.pieces.append(&mut connection.out, &mut connection.own);
        let is_waited_for = !connection.line.is_empty();
        self.want_send(slot);
        if is_waited_for {
            self.call_next(slot);
        }
    }
}

/// What is to become of a chunk that has begun.
enum Opened {
    /// Forward it; so many octets of the scratch are its new first lines.
    Forward(usize),
    /// It goes nowhere.
    Discard,
    /// Nobody is there to take it yet.
    NotYet,
    /// The connection ends.
    Gone,
}
