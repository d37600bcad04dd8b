//! Parts out: a part of a chunk that came from one leg is queued on the other, under new paths.
//!
//! The octets stay where they were received. What changes — start line, both paths, and a
//! WebSocket frame header where the other leg wants one — is written right before the rest of the
//! part: over the former first lines if it fits there (in the headroom, for the first head of a
//! slot), else apart, in the arena, and the send gathers both.

use link::{Counter, Leg};
use wire::msrp::{Head, Kind, Part, Reader, status};

use super::Shard;
use super::connections::{Region, Stage};
use crate::buffers::Span;
use crate::ring::Ring;
use crate::session::{self, Flow, Forwarded, Verdict};

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
                    self.connections[slot].reader = reader_before;
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
        let Some((session, leg)) = self.connections[slot].owner else {
            return Opened::Gone;
        };
        let octets = self.memory.octets(octets);
        let verdict = self
            .sessions
            .route(session, leg, head, octets, &mut self.scratch);
        match verdict {
            Verdict::Forward { prefix } => Opened::Forward(prefix),
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
            Verdict::Wait => Opened::NotYet,
        }
    }

    /// The first request on an accepted connection says which leg it is for. RFC 4975, 5.4.
    fn bind(&mut self, slot: u32, head: &Head, octets: Span) -> Result<(), u16> {
        let to_path = head.to_path.of(self.memory.octets(octets));
        let Some((session, leg)) = self.sessions.by_to_path(to_path) else {
            return Err(status::NO_SESSION);
        };
        let is_request = matches!(head.kind, Kind::Request(_)) && head.fault.is_none();
        let from_path = head.from_path.of(self.memory.octets(octets));
        let found = self.sessions[session].leg(leg);
        let is_secure = self.connections[slot].secured.is_some();
        let is_ours = found.may_connect() && found.is_secure() == is_secure && is_request;
        if !is_ours || !self.sessions.is_from_peer(session, leg, from_path) {
            return Err(status::NO_SESSION);
        }
        if !found.is_waiting() {
            return Err(status::BOUND_ELSEWHERE);
        }
        if found.remote.is_some() && !self.is_proven(slot, session, leg) {
            self.unproven(session, leg);
            return Err(status::NO_SESSION);
        }
        self.connections[slot].stage = Stage::Open;
        self.leg_up(session, leg, slot);
        Ok(())
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
            self.emit(out, region, part, prefix);
            self.count_part(leg, what, part);
            if let Some(code) = self.too_much(out, part) {
                self.cut_open_chunk(slot, session, leg, code);
            }
            self.press_back(slot, out);
        }
        region.start += part.span.end as u32;
        self.connections[slot].message_over =
            part.end.is_some() && self.connections[slot].transport.is_websocket();
        if let Some(number) = self.sessions.passed(session, leg, part, self.now)
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
        let out = self.sessions[session].leg(leg.other()).connection();
        if out.is_some_and(|out| self.connections[out].out_open) {
            // No room was left to end it in form; nothing else may follow it there.
            self.ended(slot, link::Cause::NoMemory);
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
    fn emit(&mut self, out: u32, region: &mut Region, part: &Part, prefix: usize) {
        let start = region.start + part.span.start as u32;
        let rest = start + part.head.as_ref().map_or(0, |head| u32::from(head.rest));
        let end = region.start + part.span.end as u32;
        let lead = if part.head.is_some() {
            &self.scratch[..prefix]
        } else {
            part.held.as_slice()
        };
        let bytes = lead.len() as u64 + u64::from(end - rest) + part.append.len() as u64;
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
                let lead = if first {
                    &self.scratch[..prefix]
                } else {
                    part.held.as_slice()
                };
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
        if !part.append.is_empty()
            && let Some(span) = self.arena_copy(&[part.append])
        {
            self.queue(out, span);
        }
        region.floor = end;
        let connection = &mut self.connections[out];
        connection.out_open = !last;
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
        self.want_send(slot);
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
