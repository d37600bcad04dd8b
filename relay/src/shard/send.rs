//! Octets out: queues of spans, one send in flight per connection, all sends of a turn together.

use link::{Cause, Counter};

use super::Shard;
use super::connections::Stage;
use crate::buffers::Span;
use crate::limits::SEND_SPANS_MAX;
use crate::ring::{Op, Ring};

impl<R: Ring> Shard<R> {
    /// Appends a span, of which the caller is a holder, to what a connection is to send. Spans
    /// that touch become one.
    pub(super) fn queue(&mut self, slot: u32, span: Span) {
        let connection = &mut self.connections[slot];
        if !connection.is_written() {
            return self.release(span.slot);
        }
        if self.pieces.free() <= u32::from(self.settings.buffers) {
            // Parts of chunks come with room made sure of; this is a farewell too many.
            return self.release(span.slot);
        }
        let last = self
            .pieces
            .last_mut(&connection.out, connection.out_fixed());
        if last.is_some_and(|last| last.slot == span.slot && last.end() == span.start) {
            self.pieces.grow_last(&mut connection.out, span.bytes);
            self.release(span.slot);
        } else {
            self.pieces.push(&mut connection.out, span);
        }
        self.want_send(slot);
    }

    /// Sends the scratch's first octets as they are, after what is queued.
    pub(super) fn write_scratch(&mut self, slot: u32, bytes: usize) {
        if let Some(span) = self.arena(bytes) {
            self.memory
                .octets_mut(span)
                .copy_from_slice(&self.scratch[..bytes]);
            self.queue(slot, span);
        }
    }

    /// Sends a control frame, which may stand between the fragments of a message.
    pub(super) fn write_between_frames(&mut self, slot: u32, bytes: usize) {
        self.write_scratch(slot, bytes);
    }

    /// Sends an MSRP message of our own, framed as its connection wants it. While a chunk is under
    /// way to this peer it waits for the chunk's end.
    pub(super) fn write_own(&mut self, slot: u32, bytes: usize) {
        let framing = self.connections[slot]
            .transport
            .frame(true, true, bytes as u64);
        let framing = framing.as_slice();
        let Some(span) = self.arena(framing.len() + bytes) else {
            self.metrics.add(Counter::AnswersDropped, 1);
            return;
        };
        let (before, after) = self.memory.octets_mut(span).split_at_mut(framing.len());
        before.copy_from_slice(framing);
        after.copy_from_slice(&self.scratch[..bytes]);
        let connection = &mut self.connections[slot];
        let has_piece = self.pieces.free() > u32::from(self.settings.buffers);
        if !connection.is_written() || !has_piece {
            self.metrics.add(Counter::AnswersDropped, 1);
            self.release(span.slot);
        } else if connection.out_open {
            self.pieces.push(&mut connection.own, span);
        } else {
            self.queue(slot, span);
        }
        if self.connections[slot].is_read() {
            self.press_back(slot, slot);
        }
    }

    /// Has the connection looked at when the turn's sends are made.
    pub(super) fn want_send(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        if !connection.listed_to_send {
            connection.listed_to_send = true;
            self.to_send.push(slot);
        }
    }

    /// Makes the sends of this turn.
    pub(super) fn send_all(&mut self) {
        while let Some(slot) = self.to_send.pop() {
            let Some(connection) = self.connections.get_mut(slot) else {
                continue;
            };
            connection.listed_to_send = false;
            self.send(slot);
        }
    }

    fn send(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        if connection.sending > 0 || !connection.is_written() {
            return;
        }
        self.seal(slot);
        let connection = &mut self.connections[slot];
        if !connection.is_written() {
            return;
        }
        let mut spans = [Span {
            slot: 0,
            start: 0,
            bytes: 0,
        }; SEND_SPANS_MAX];
        let mut number = 0;
        for (place, span) in spans
            .iter_mut()
            .zip(self.pieces.iter(connection.outgoing()))
        {
            *place = span;
            number += 1;
        }
        if number == 0 {
            if connection.stage == Stage::Draining && connection.out.is_empty() {
                if self.say_close(slot) {
                    return;
                }
                self.end_our_direction(slot);
            }
            return;
        }
        connection.sending = number as u32;
        connection.operations += 1;
        connection.took_at = self.now;
        if connection.stage == Stage::Open {
            self.look_after_later(slot);
        }
        let token = self.connections.token(Op::Send, slot);
        self.ring.send(&spans[..number], token);
    }

    /// A send has completed, perhaps with fewer octets than asked.
    pub(super) fn sent(&mut self, slot: u32, result: Result<u32, i32>) {
        let connection = &mut self.connections[slot];
        let sending = std::mem::take(&mut connection.sending);
        if connection.stage == Stage::Closing {
            return self.after_operation(slot);
        }
        let Ok(mut bytes) = result else {
            self.metrics.add(Counter::SendsFailed, 1);
            return self.broken(slot, Cause::Reset);
        };
        self.metrics.add(Counter::Sends, 1);
        self.metrics.add(Counter::OctetsSent, bytes.into());
        for _ in 0..sending {
            let connection = &mut self.connections[slot];
            let Some(first) = self.pieces.first(connection.outgoing()) else {
                break;
            };
            if bytes < first.bytes {
                self.metrics.add(Counter::SendsPartial, 1);
                if bytes > 0 {
                    self.pieces.shorten_first(connection.outgoing(), bytes);
                }
                break;
            }
            bytes -= first.bytes;
            self.pieces.pop(connection.outgoing());
            self.release(first.slot);
        }
        self.want_send(slot);
        self.relieve_sources(slot);
    }
}
