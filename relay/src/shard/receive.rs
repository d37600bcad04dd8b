//! Octets in: from completed receives to parts of chunks.
//!
//! An input that cannot be read on (no room to pass it on, the other leg not up) stays where it
//! is, *parked*, and is tried again when something has changed. Meanwhile, past the flow limit,
//! nothing more is received on its connection.

use link::{Cause, Counter};
use wire::msrp::{Part, Read, Reader, status};
use wire::ws::{CloseCode, frame};

use super::Shard;
use super::connections::{Carry, Plain, Receiving, Region, Stage};
use super::forward::Delivery;
use crate::buffers::Span;
use crate::limits::{BLOCK_DATA_BYTES, FAREWELL_FOR, HEADROOM_BYTES};
use crate::ring::{Completion, Ring};
use crate::session::Flow;
use crate::transport::Inbound;

/// How far reading has come.
pub(super) enum Progress {
    /// The input is used up.
    Used,
    /// Go on: the connection has changed.
    Again,
    /// Something is wanting in a pool; try when something was given back.
    Park,
    /// The other leg or a path is wanting; try when woken.
    Wait,
    /// Too much waits for a slow leg; it goes on when that has taken half of it.
    Held,
    /// The connection is not read any more.
    Gone,
}

impl<R: Ring> Shard<R> {
    /// A receive brought something, or ended.
    pub(super) fn received(&mut self, completion: Completion) {
        let slot = completion.token.slot;
        if let Some(buffer) = completion.buffer {
            self.pool.received(buffer);
        }
        let Some(connection) = self.connections.of_token(completion.token) else {
            debug_assert!(false, "a slot is not reused while it receives");
            if let Some(buffer) = completion.buffer {
                self.release(buffer.into());
            }
            return;
        };
        if completion.result.is_ok() {
            connection.heard_at = self.now;
            connection.pings = 0;
        }
        if !completion.more {
            connection.receiving = Receiving::Off;
            connection.operations -= 1;
        }
        match completion.result {
            Ok(0) => {
                connection.ended_by_peer = true;
                if let Some(buffer) = completion.buffer {
                    self.release(buffer.into());
                }
                self.end_of_input(slot);
            }
            Ok(bytes) => {
                let Some(buffer) = completion.buffer else {
                    debug_assert!(false, "octets come in a buffer");
                    return;
                };
                self.metrics.add(Counter::Receives, 1);
                self.metrics.add(Counter::OctetsReceived, bytes.into());
                let span = Span {
                    slot: buffer.into(),
                    start: HEADROOM_BYTES as u32,
                    bytes,
                };
                self.input(slot, span);
            }
            Err(libc::ENOBUFS) => {
                self.metrics.add(Counter::ReceivesNoBuffer, 1);
                if !std::mem::replace(&mut connection.listed_starved, true) {
                    self.starved.push_back(slot);
                }
                // If buffers have come back meanwhile, the next look finds them.
                self.relieved = true;
                return self.after_operation(slot);
            }
            Err(libc::ECANCELED) => {}
            Err(_) => self.broken(slot, Cause::Reset),
        }
        self.after_operation(slot);
        self.receive_if_wanted(slot);
    }

    fn input(&mut self, slot: u32, span: Span) {
        let connection = &mut self.connections[slot];
        if !connection.is_read() {
            return self.release(span.slot);
        }
        let is_first = connection.inputs.is_empty();
        self.pieces.push(&mut connection.inputs, span);
        self.bound_input(slot);
        let connection = &mut self.connections[slot];
        let is_next = match &connection.secured {
            Some(secured) => secured.window.is_none(),
            None => {
                if is_first {
                    connection.at = span.start;
                    connection.floor = 0;
                }
                true
            }
        };
        if is_first && is_next {
            self.read(slot);
        }
    }

    /// The peer has ended its direction: once all it sent is read, the leg is down.
    fn end_of_input(&mut self, slot: u32) {
        match self.connections[slot].stage {
            Stage::Securing | Stage::Upgrading | Stage::Unbound | Stage::Open => {
                self.read(slot);
                let connection = &self.connections[slot];
                // Reading may have been what ends it.
                if connection.is_read() && connection.waiting && connection.legs < 2 {
                    let leave = self.now + FAREWELL_FOR.as_millis() as u64;
                    self.timers.set(slot, leave);
                }
            }
            Stage::Ended => self.close(slot),
            Stage::Accepting(_) | Stage::Connecting | Stage::Draining | Stage::Closing => {}
        }
    }

    /// Reads the connection's inputs as far as possible.
    pub(super) fn read(&mut self, slot: u32) {
        self.read_on(slot);
        self.connections.settle_reading(slot);
    }

    /// Whether no chunk of a connection's peer is under way.
    pub(super) fn is_between_chunks(&self, slot: u32) -> bool {
        let reader = self.connections.reader(slot);
        reader.is_none_or(Reader::is_between_chunks)
    }

    fn read_on(&mut self, slot: u32) {
        loop {
            let connection = &mut self.connections[slot];
            if !connection.is_read() || connection.paused {
                return;
            }
            let progress = match self.next_octets(slot) {
                Ok(None) => break,
                Ok(Some(input)) => match self.connections[slot].stage {
                    Stage::Upgrading => self.read_upgrade(slot, input),
                    _ => self.read_input(slot, input),
                },
                Err(progress) => progress,
            };
            match progress {
                Progress::Used => self.next_input(slot),
                Progress::Again => {}
                Progress::Park => return self.park(slot),
                Progress::Wait => {
                    self.connections[slot].waiting = true;
                    return;
                }
                Progress::Held | Progress::Gone => return,
            }
        }
        let connection = &self.connections[slot];
        if connection.ended_by_peer {
            let cause = match connection.stage {
                Stage::Securing => Cause::HandshakeFailed,
                _ => Cause::PeerClosed,
            };
            self.ended(slot, cause);
        } else if std::mem::take(&mut self.connections[slot].full) {
            self.receive_if_wanted(slot);
        }
    }

    /// The first input is used up.
    fn next_input(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        if connection.secured.is_some() {
            return self.close_window(slot);
        }
        if let Some(span) = self.pieces.pop(&mut connection.inputs) {
            let next = self.pieces.first(&connection.inputs);
            connection.at = next.map_or(0, |span| span.start);
            connection.floor = 0;
            self.release(span.slot);
        }
    }

    fn read_input(&mut self, slot: u32, input: Span) -> Progress {
        loop {
            if !self.has_room() {
                return Progress::Park;
            }
            let connection = &mut self.connections[slot];
            if connection.paused {
                return Progress::Held;
            }
            if connection.plain.is_some() || connection.joined.is_some() {
                match self.read_plain(slot, input.slot) {
                    Delivery::Done => continue,
                    Delivery::Dry => return Progress::Park,
                    Delivery::Wait => return Progress::Wait,
                    Delivery::Gone => return Progress::Gone,
                }
            }
            let at = connection.at;
            let rest = Span {
                slot: input.slot,
                start: at,
                bytes: input.end() - at,
            };
            let transport = connection.transport;
            let octets = self.memory.octets_mut(rest);
            let websocket = &mut self.connections.reading(slot).websocket;
            let inbound = transport.read(websocket, octets, 0);
            let connection = &mut self.connections[slot];
            match inbound {
                Ok(Inbound::More) => return Progress::Used,
                Ok(Inbound::Octets { span, ends_message }) => {
                    let (start, end) = (at + span.start as u32, at + span.end as u32);
                    connection.plain = Some(Plain {
                        start,
                        end,
                        ends_message,
                    });
                    connection.at = end;
                }
                Ok(Inbound::Nothing(next)) => connection.at += next as u32,
                Ok(Inbound::Ping { payload, next }) => {
                    connection.at += next as u32;
                    let pong = frame::pong(&mut self.scratch[..], payload.as_slice()).unwrap_or(0);
                    self.write_between_frames(slot, pong);
                    self.press_back(slot, slot);
                }
                Ok(Inbound::Close(code)) => {
                    let echo = frame::close_echo(&mut self.scratch[..], code).unwrap_or(0);
                    self.write_between_frames(slot, echo);
                    self.connections[slot].said_goodbye = true;
                    self.ended(slot, Cause::PeerClosed);
                    return Progress::Gone;
                }
                Err(code) => {
                    self.malformed(slot, code);
                    return Progress::Gone;
                }
            }
        }
    }

    /// Reads MSRP octets: what a joined head left over first, then those of the input.
    fn read_plain(&mut self, slot: u32, input_slot: u32) -> Delivery {
        let connection = &mut self.connections[slot];
        if let Some(joined) = connection.joined {
            return self.read_joined(slot, joined);
        }
        let Some(plain) = connection.plain else {
            return Delivery::Done;
        };
        if plain.start < plain.end && connection.message_over {
            // RFC 7977, 5.1: a WebSocket message holds one chunk.
            return self.malformed(slot, CloseCode::Protocol);
        }
        if plain.start == plain.end && connection.carry.is_some() && !plain.ends_message {
            connection.plain = None;
            return Delivery::Done;
        }
        if let Some(mut carry) = connection.carry.take() {
            let from = Span {
                slot: input_slot,
                start: plain.start,
                bytes: plain.end - plain.start,
            };
            let taken = self.head_octets(from, &carry);
            self.memory.copy(
                Span {
                    bytes: taken,
                    ..from
                },
                carry.grow(taken),
            );
            let connection = &mut self.connections[slot];
            let start = plain.start + taken;
            connection.plain = Some(Plain { start, ..plain });
            let whole = carry.span();
            connection.joined = Some(Region {
                slot: carry.slot,
                start: whole.start,
                end: whole.end(),
                floor: 0,
            });
            return Delivery::Done;
        }
        let region = Region {
            slot: input_slot,
            start: plain.start,
            end: plain.end,
            floor: connection.floor,
        };
        let mut rest = region;
        let delivery = self.read_region(slot, &mut rest, plain.ends_message);
        if self.connections.get(slot).is_none() {
            return delivery;
        }
        // Octets that end a message are only done with when the reader has said that nothing is
        // open any more.
        let is_over = !plain.ends_message || self.is_between_chunks(slot);
        let connection = &mut self.connections[slot];
        connection.floor = rest.floor;
        if delivery == Delivery::Done && rest.start == rest.end && is_over {
            connection.plain = None;
            if plain.ends_message {
                connection.message_over = false;
            }
        } else {
            connection.plain = Some(Plain {
                start: rest.start,
                ..plain
            });
        }
        delivery
    }

    /// How many octets of the input to append to an unfinished head: up to where a blank line ends
    /// it, if one does, for what follows is body and stays where it is.
    fn head_octets(&self, from: Span, carry: &Carry) -> u32 {
        let room = from.bytes.min(BLOCK_DATA_BYTES as u32 - carry.bytes);
        let fresh = self.memory.octets(Span {
            bytes: room,
            ..from
        });
        let kept = self.memory.octets(carry.span());
        let tail = &kept[kept.len().saturating_sub(3)..];
        let mut seam = [0; 6];
        let ahead = fresh.len().min(3);
        seam[..tail.len()].copy_from_slice(tail);
        seam[tail.len()..tail.len() + ahead].copy_from_slice(&fresh[..ahead]);
        let blank = b"\r\n\r\n";
        let across = seam[..tail.len() + ahead]
            .windows(4)
            .position(|four| four == blank);
        let end = match across {
            Some(place) => Some(place + 4 - tail.len()),
            None => fresh
                .windows(4)
                .position(|four| four == blank)
                .map(|place| place + 4),
        };
        end.map_or(room, |end| end as u32)
    }

    /// Reads a block in which an unfinished head was joined with what came after.
    fn read_joined(&mut self, slot: u32, joined: Region) -> Delivery {
        let connection = &self.connections[slot];
        // Only if nothing of the message is left in the input does it end with the block.
        let ends = connection
            .plain
            .is_some_and(|p| p.ends_message && p.start == p.end);
        let mut rest = joined;
        let delivery = self.read_region(slot, &mut rest, ends);
        let connection = self.connections.get(slot);
        if !connection.is_some_and(|connection| connection.is_read()) {
            return delivery;
        }
        let is_over = !ends || self.is_between_chunks(slot);
        let connection = &mut self.connections[slot];
        if rest.start < rest.end || !is_over {
            connection.joined = Some(rest);
            return delivery;
        }
        connection.joined = None;
        if ends && delivery == Delivery::Done {
            connection.plain = None;
            connection.message_over = false;
        }
        // A head that is still unfinished was carried on, perhaps in this very block.
        if connection
            .carry
            .is_none_or(|carry| carry.slot != joined.slot)
        {
            self.release(joined.slot);
        }
        delivery
    }

    /// Reads one part from a region of a slot, and passes it on.
    fn read_region(&mut self, slot: u32, region: &mut Region, ends_message: bool) -> Delivery {
        let octets = Span {
            slot: region.slot,
            start: region.start,
            bytes: region.end - region.start,
        };
        self.connections[slot].went_on_at = self.now;
        let reader = &mut self.connections.reading(slot).reader;
        let reader_before = reader.clone();
        match reader.read(self.memory.octets(octets), 0) {
            Ok(Read::Part(part)) => self.deliver(slot, region, &part, reader_before),
            Ok(Read::More { keep }) => self.used_up(slot, region, keep as u32, ends_message),
            Err(_) => self.malformed(slot, CloseCode::Protocol),
        }
    }

    /// Nothing more can be read from a region, but for the beginning of a head at its end.
    fn used_up(&mut self, slot: u32, region: &mut Region, keep: u32, ends: bool) -> Delivery {
        let kept = Span {
            slot: region.slot,
            start: region.end - keep,
            bytes: keep,
        };
        if ends {
            let reader = &mut self.connections.reading(slot).reader;
            let reader_before = reader.clone();
            let closing = reader.end_of_message(self.memory.octets(kept), 0);
            region.start = kept.start;
            return match closing {
                Ok(None) => {
                    region.start = region.end;
                    Delivery::Done
                }
                Ok(Some(part)) => self.deliver_last(slot, region, &part, reader_before),
                Err(_) => self.malformed(slot, CloseCode::Protocol),
            };
        }
        region.start = kept.start;
        if keep == 0 {
            return Delivery::Done;
        }
        let connection = &mut self.connections[slot];
        let is_whole_block = kept.start == HEADROOM_BYTES as u32
            && connection
                .joined
                .is_some_and(|joined| joined.slot == kept.slot);
        if is_whole_block {
            connection.carry = Some(Carry {
                slot: kept.slot,
                bytes: keep,
            });
        } else {
            let Some(block) = self.block_for_carry(slot) else {
                if self.connections[slot].owner.is_some() {
                    return Delivery::Dry;
                }
                self.drain(slot, None);
                return Delivery::Gone;
            };
            let mut carry = Carry {
                slot: block,
                bytes: 0,
            };
            self.memory.copy(kept, carry.grow(keep));
            self.connections[slot].carry = Some(carry);
        }
        region.start = region.end;
        Delivery::Done
    }

    /// A block for an unfinished head or record. These may not use up what the arena and sealing
    /// need, which are for all; strangers, who have not said yet whom they are for, get less than
    /// those that are bound.
    pub(super) fn block_for_carry(&mut self, slot: u32) -> Option<u32> {
        let share = match self.connections[slot].owner {
            Some(_) => self.settings.blocks / 4,
            None => self.settings.blocks / 2,
        };
        if self.pool.blocks_free() <= share {
            return None;
        }
        if self.connections[slot].stage == Stage::Open {
            self.look_after_later(slot);
        }
        self.pool.take_block()
    }

    fn deliver_last(
        &mut self,
        slot: u32,
        region: &mut Region,
        part: &Part,
        reader_before: Reader,
    ) -> Delivery {
        let delivery = self.deliver(slot, region, part, reader_before);
        if delivery == Delivery::Done {
            region.start = region.end;
        }
        delivery
    }

    /// The peer broke MSRP or WebSocket: a WebSocket is told so, and the leg is down.
    pub(super) fn malformed(&mut self, slot: u32, code: CloseCode) -> Delivery {
        self.metrics.add(Counter::Malformed, 1);
        let is_too_big = code == CloseCode::TooBig;
        if is_too_big
            && let Some((session, leg)) = self.connections[slot].owner
            && matches!(
                self.sessions[session].leg(leg).flow,
                Flow::Forwarding { .. }
            )
        {
            // It is told so in MSRP first: its message is too large, which is no fault of form.
            self.cut_open_chunk(slot, session, leg, status::STOP);
        }
        if self.connections[slot].transport.is_websocket() && self.has_room() {
            let close = frame::close(&mut self.scratch[..], code, "").unwrap_or(0);
            self.write_between_frames(slot, close);
            self.connections[slot].said_goodbye = true;
        }
        self.ended(
            slot,
            if is_too_big {
                Cause::TooLarge
            } else {
                Cause::ProtocolError
            },
        );
        Delivery::Gone
    }
}
