//! How a connection ends, in one of two ways. *Draining*: nothing more is read, what is queued goes out
//! (for a second at most), our direction ends, the peer ends its own. *Closing*: at once. Either
//! way its slot is free only when no operation is under way in it any more.

use link::Counter;
use wire::ws::{CloseCode, frame};

use super::Shard;
use super::connections::{Receiving, Stage};
use crate::buffers::Queue;
use crate::limits::DRAINING_FOR;
use crate::ring::{Op, Ring};

impl<R: Ring> Shard<R> {
    /// Reads no more, sends what is queued, then ends our direction. A WebSocket is told why,
    /// unless it has been.
    pub(super) fn drain(&mut self, slot: u32, goodbye: Option<CloseCode>) {
        let connection = &mut self.connections[slot];
        (connection.owner, connection.out_leg) = (None, None);
        if !connection.is_written() || connection.stage == Stage::Draining {
            return;
        }
        if connection.out_open {
            // The chunk could not be cut off in form: the peer learns from the connection's end.
            return self.close(slot);
        }
        if let Some(code) = goodbye
            && connection.transport.is_websocket()
            && !std::mem::replace(&mut connection.said_goodbye, true)
        {
            let bytes = frame::close(&mut self.scratch[..], code, "").unwrap_or(0);
            self.write_between_frames(slot, bytes);
        }
        self.leave_handshake(slot);
        self.connections[slot].stage = Stage::Draining;
        self.discard_input(slot);
        self.unpause(slot);
        self.receive_if_wanted(slot);
        self.timers
            .set(slot, self.now + DRAINING_FOR.as_millis() as u64);
        self.want_send(slot);
    }

    /// All is sent: our direction ends, and the peer's end is waited for.
    pub(super) fn end_our_direction(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        connection.stage = Stage::Ended;
        connection.operations += 1;
        let token = self.connections.token(Op::Shutdown, slot);
        self.ring.shutdown(token);
    }

    /// Our direction has ended.
    pub(super) fn shut_down(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        if connection.stage == Stage::Ended && connection.ended_by_peer {
            return self.close(slot);
        }
        self.after_operation(slot);
    }

    /// Ends a connection at once.
    pub(super) fn close(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        if connection.stage == Stage::Closing {
            return;
        }
        let was_connecting = connection.stage == Stage::Connecting;
        self.leave_handshake(slot);
        let connection = &mut self.connections[slot];
        connection.stage = Stage::Closing;
        self.timers.clear(slot);
        self.discard_input(slot);
        self.unpause(slot);
        self.stop_receiving(slot);
        if self.connections[slot].sending > 0 {
            let token = self.connections.token(Op::Send, slot);
            self.ring.cancel(token);
        }
        if was_connecting {
            let token = self.connections.token(Op::Connect, slot);
            self.ring.cancel(token);
        }
        self.after_operation(slot);
    }

    /// An operation has ended; a closing connection whose last it was gives its descriptor back.
    pub(super) fn after_operation(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        if connection.stage != Stage::Closing || connection.operations > 0 {
            return;
        }
        debug_assert_eq!(connection.receiving, Receiving::Off);
        let mut out = std::mem::replace(&mut connection.out, Queue::EMPTY);
        let mut own = std::mem::replace(&mut connection.own, Queue::EMPTY);
        connection.operations += 1;
        let sealed = connection.secured.as_mut().map(|secured| {
            // What it holds is given back by `discard_input`.
            std::mem::replace(&mut secured.sealed, Queue::EMPTY)
        });
        self.release_all(&mut out);
        self.release_all(&mut own);
        self.release_all(&mut sealed.unwrap_or(Queue::EMPTY));
        let token = self.connections.token(Op::Close, slot);
        self.ring.close(token);
    }

    /// The descriptor is given back: the slot is free.
    pub(super) fn closed(&mut self, slot: u32) {
        debug_assert!(!self.timers.is_set(slot), "who is closing has no deadline");
        self.timers.clear(slot);
        self.connections.remove(slot);
        self.metrics.add(Counter::Closes, 1);
        self.relieved = true;
    }

    /// What was received and not read is wanted no more.
    fn discard_input(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        let mut inputs = std::mem::replace(&mut connection.inputs, Queue::EMPTY);
        let carry = connection.carry.take().map(|carry| carry.slot);
        let joined = connection.joined.take().map(|joined| joined.slot);
        let (record, window) = match &mut connection.secured {
            Some(secured) => (secured.carry.take(), secured.window.take()),
            None => (None, None),
        };
        let (record, window) = (record.map(|it| it.slot), window.map(|it| it.slot));
        connection.plain = None;
        self.release_all(&mut inputs);
        for block in [carry, joined, record, window].into_iter().flatten() {
            self.release(block);
        }
    }

    pub(super) fn release_all(&mut self, queue: &mut Queue) {
        while let Some(span) = self.pieces.pop(queue) {
            self.release(span.slot);
        }
    }
}
