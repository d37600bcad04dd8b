//! How much may wait for a slow leg, and what happens past that.
//!
//! What is bounded is memory that is held, not octets in it: a small message that waits in a
//! receive buffer of its own costs the whole buffer. So before its source is paused, what waits in
//! small pieces is packed together, which is the one copy of bodies that the relay makes.
//!
//! The bound of a leg is `flow_bytes`, but never more than a quarter of what is free: the fewer
//! buffers or blocks are left, the less each slow leg may hold, and so however many are slow, some
//! are always left for the others.

use link::Counter;

use super::Shard;
use super::connections::Receiving;
use crate::buffers::{Queue, Span};
use crate::limits::{
    BLOCK_BYTES, BUFFER_BYTES, PACKED_PIECE_BYTES_MAX, PACKED_PIECE_BYTES_MAX_OF_BLOCK,
    PIECES_PER_LEG_MAX,
};
use crate::ring::{Op, Ring};

impl<R: Ring> Shard<R> {
    /// What may be held for one leg now, in octets of memory.
    fn flow_limit(&self) -> u64 {
        let free = u32::from(self.settings.buffers) - self.pool.buffers_held();
        let quarter = u64::from(free) * BUFFER_BYTES as u64 / 4;
        quarter.min(self.settings.flow_bytes.into())
    }

    fn is_buffer(&self, span: &Span) -> bool {
        span.slot < u32::from(self.settings.buffers)
    }

    /// Memory held by these queues, and how many blocks are in it: each slot once, as far as its spans
    /// follow each other, whatever lies in other slots between them.
    fn held_by(&self, queues: &[Queue]) -> (u64, u32) {
        let (mut buffers, mut blocks) = (0, 0);
        let (mut last_buffer, mut last_block) = (u32::MAX, u32::MAX);
        for span in queues.iter().flat_map(|queue| self.pieces.iter(queue)) {
            let (last, number) = match self.is_buffer(&span) {
                true => (&mut last_buffer, &mut buffers),
                false => (&mut last_block, &mut blocks),
            };
            *number += u32::from(span.slot != *last);
            *last = span.slot;
        }
        let in_blocks = u64::from(blocks) * BLOCK_BYTES as u64;
        (u64::from(buffers) * BUFFER_BYTES as u64 + in_blocks, blocks)
    }

    /// Whether more of what others have sent waits for a connection's peer than may, or than a `share`
    /// of it. What we say ourselves does not count: it may wait for the end of a chunk, which would then
    /// not be read.
    pub(super) fn is_over(&self, slot: u32, share: u64) -> bool {
        self.are_over(slot, Queue::EMPTY, share)
    }

    /// The same with what we say ourselves, which is what the peer itself has asked for.
    pub(super) fn is_over_with_own(&self, slot: u32, share: u64) -> bool {
        self.are_over(slot, self.connections[slot].own, share)
    }

    fn are_over(&self, slot: u32, own: Queue, share: u64) -> bool {
        let connection = &self.connections[slot];
        let sealed = (connection.secured.as_ref()).map_or(Queue::EMPTY, |secured| secured.sealed);
        let pieces = connection.out.pieces() + own.pieces() + sealed.pieces();
        if pieces > PIECES_PER_LEG_MAX / share as u32 {
            return true;
        }
        let limit = self.flow_limit() / share;
        let blocks_limit = self.pool.blocks_free() / (4 * share as u32);
        // The cheap test first: a span is at most a slot, and mostly there are few.
        if u64::from(pieces) * BUFFER_BYTES as u64 <= limit && pieces <= blocks_limit {
            return false;
        }
        let (bytes, blocks) = self.held_by(&[connection.out, own, sealed]);
        bytes > limit || blocks > blocks_limit
    }

    /// Stops receiving from `source`, and reading what it has sent, if too much waits for `out` to
    /// take it. They are the same where it is we who answer.
    pub(super) fn press_back(&mut self, source: u32, out: u32) {
        let is_over = match source == out {
            true => Self::is_over_with_own,
            false => Self::is_over,
        };
        if self.connections[source].paused || !is_over(self, out, 1) {
            return;
        }
        self.pack(out);
        if is_over(self, out, 1) {
            self.connections[source].paused = true;
            self.metrics.add(Counter::Pauses, 1);
            self.metrics.add(Counter::Paused, 1);
            self.stop_receiving(source);
            self.connections[out].presses = true;
            if self.connections[source].legs > 1 || self.connections[out].legs > 1 {
                self.give_way(source);
            }
        }
    }

    /// Stops receiving on a connection of which too much waits to be read.
    pub(super) fn bound_input(&mut self, slot: u32) {
        let connection = &self.connections[slot];
        let held = u64::from(connection.inputs.pieces()) * BUFFER_BYTES as u64;
        if !connection.full && held > self.flow_limit() {
            self.connections[slot].full = true;
            self.stop_receiving(slot);
        }
    }

    /// Half of what may wait for this connection's peer has gone: those go on that were paused for
    /// its sake, the other leg's connection and itself.
    pub(super) fn relieve_sources(&mut self, slot: u32) {
        self.go_on_reading(slot);
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        if connection.legs > 1 {
            return self.relieve_several(slot);
        }
        let Some((session, leg)) = connection.owner else {
            return;
        };
        if let Some(source) = self.sessions[session].leg(leg.other()).connection() {
            self.go_on_reading(source);
        }
    }

    fn go_on_reading(&mut self, slot: u32) {
        if self.may_go_on(slot) {
            self.unpause(slot);
            self.read(slot);
            self.receive_if_wanted(slot);
        }
    }

    /// Whether a connection is paused and need not be any more.
    pub(super) fn may_go_on(&mut self, slot: u32) -> bool {
        if !self.connections[slot].paused || self.is_over_with_own(slot, 2) {
            return false;
        }
        if let Some((session, leg)) = self.connections[slot].owner
            && let Some(out) = self.sessions[session].leg(leg.other()).connection()
            && self.is_over(out, 2)
        {
            self.connections[out].presses = true;
            return false;
        }
        true
    }

    pub(super) fn unpause(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        if std::mem::take(&mut connection.paused) {
            self.metrics.subtract(Counter::Paused, 1);
            connection.held_up_since = None;
            // While it was not read its silence was ours.
            connection.went_on_at = self.now;
        }
    }

    pub(super) fn stop_receiving(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        if connection.receiving == Receiving::On {
            connection.receiving = Receiving::Cancelling;
            let token = self.connections.token(Op::Receive, slot);
            self.ring.cancel(token);
        }
    }

    /// Moves small pieces that wait for `slot`'s peer out of the receive buffers that they hold, and out
    /// of blocks that they alone hold, as long as a quarter of the blocks stays free for heads.
    fn pack(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        let sending = connection.out_fixed();
        let mut before = std::mem::replace(&mut connection.out, Queue::EMPTY);
        let mut after = Queue::EMPTY;
        for place in 0..before.pieces() {
            let Some(span) = self.pieces.pop(&mut before) else {
                break;
            };
            let is_small = match self.is_buffer(&span) {
                true => span.bytes <= PACKED_PIECE_BYTES_MAX,
                false => {
                    span.bytes <= PACKED_PIECE_BYTES_MAX_OF_BLOCK
                        && self.pool.holders(span.slot) == 1
                }
            };
            let has_blocks = self.pool.blocks_free() > self.settings.blocks / 4;
            // What is being sent must stay where it is.
            let packed = if place >= sending && is_small && has_blocks {
                self.arena(span.bytes as usize)
            } else {
                None
            };
            let Some(packed) = packed else {
                self.pieces.push(&mut after, span);
                continue;
            };
            self.memory.copy(span, packed);
            self.metrics.add(Counter::Copies, 1);
            self.metrics.add(Counter::OctetsCopied, span.bytes.into());
            self.release(span.slot);
            let last = self.pieces.last_mut(&after, sending);
            if last.is_some_and(|last| last.slot == packed.slot && last.end() == packed.start) {
                self.pieces.grow_last(&mut after, packed.bytes);
                self.release(packed.slot);
            } else {
                self.pieces.push(&mut after, packed);
            }
        }
        self.connections[slot].out = after;
    }
}
