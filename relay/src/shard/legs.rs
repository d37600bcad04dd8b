//! How connections, legs and sessions come up and end.
//!
//! A connection ends in one of two ways. *Draining*: nothing more is read, what is queued goes out
//! (for a second at most), our direction ends, the peer ends its own. *Closing*: at once. Either
//! way its slot is free only when no operation is under way in it any more.

use std::net::SocketAddr;

use link::{Cause, Counter, Leg, Refusal, Transport};
use wire::msrp::{Continuation, status, writer};
use wire::ws::{CloseCode, frame};

use super::Shard;
use super::connections::{Receiving, Stage};
use super::listeners::Kind;
use crate::buffers::Queue;
use crate::limits::{
    ACCEPT_AGAIN_AFTER, CONNECTING_FOR, DRAINING_FOR, HALF_DONE_FOR, HANDSHAKE_FOR, PING_EVERY,
    PINGS_UNANSWERED_MAX, STALLED_FOR, UNBOUND_FOR,
};
use crate::ring::{Op, Ring};
use crate::session::{self, Flow, LegStage, OWN_TRANSACTION};

impl<R: Ring> Shard<R> {
    /// An accept has completed.
    pub(super) fn accepted(&mut self, slot: u32, result: Result<u32, i32>) {
        let Stage::Accepting(number) = self.connections[slot].stage else {
            debug_assert!(false, "only a reserved slot accepts");
            return;
        };
        let Some(listener) = self.listeners.get_mut(number) else {
            return;
        };
        listener.accepting = None;
        let (realm, kind, closing) = (listener.realm, listener.kind, listener.closing);
        match result {
            Ok(_) => {
                self.metrics.add(Counter::Accepts, 1);
                let peer = self.ring.accepted_from(number);
                let connection = &mut self.connections[slot];
                connection.peer = peer;
                let stage = match kind {
                    Kind::WebSocket | Kind::SecureWebSocket => Stage::Upgrading,
                    Kind::Tcp | Kind::Tls => Stage::Unbound,
                };
                connection.stage = stage;
                let is_secure = matches!(kind, Kind::SecureWebSocket | Kind::Tls);
                let mut bound_by = UNBOUND_FOR;
                if is_secure {
                    bound_by = HANDSHAKE_FOR;
                }
                self.timers
                    .set(slot, self.now + bound_by.as_millis() as u64);
                if is_secure && !self.accept_secure(slot, (realm, kind), stage) {
                    self.close(slot);
                }
                self.receive_if_wanted(slot);
            }
            Err(_) => {
                // The slot has no descriptor: nothing is to be closed.
                self.connections.remove(slot);
                self.metrics.add(Counter::AcceptsFailed, (!closing).into());
            }
        }
        if closing {
            self.remove_listener(number);
        } else if result.is_ok() {
            self.attend(number);
        } else {
            // Most likely the machine is short of something: not at once again.
            self.later_attend(number);
        }
    }

    fn later_attend(&mut self, number: u32) {
        self.attend_at = self.now + ACCEPT_AGAIN_AFTER.as_millis() as u64;
        self.unattended.push_back(number);
    }

    /// Begins an accept on a listener that has none.
    pub(super) fn attend(&mut self, number: u32) {
        let Some(listener) = self.listeners.get_mut(number) else {
            return;
        };
        if listener.closing || listener.accepting.is_some() {
            return;
        }
        // A quarter of the connections is left for those that we make ourselves.
        let is_room = self.connections.free() > self.settings.connections / 4;
        let slot = is_room.then(|| self.connections.open(Stage::Accepting(number)));
        let Some(slot) = slot.flatten() else {
            return self.later_attend(number);
        };
        listener.accepting = Some(slot);
        self.connections[slot].operations += 1;
        let token = self.connections.token(Op::Accept, slot);
        self.ring.accept(number, token);
    }

    /// The leg waits no more.
    pub(super) fn stop_waiting(&mut self, session: u32, leg: Leg) {
        if let Some(number) = self.sessions[session].leg_mut(leg).listener.take() {
            self.leave_listener(number);
        }
    }

    /// The leg waits no more and connects instead: a port that it had for itself, it keeps.
    fn take_port_along(&mut self, session: u32, leg: Leg) {
        let state = self.sessions[session].leg_mut(leg);
        let Some(number) = state.listener else { return };
        if self.settings.realms[state.realm as usize].ports_exclusive {
            state.port = self.listeners.keep_port(number);
        }
        self.stop_waiting(session, leg);
    }

    /// One leg fewer waits at this listener; without legs it closes.
    pub(super) fn leave_listener(&mut self, number: u32) {
        let Some(listener) = self.listeners.get_mut(number) else {
            return;
        };
        listener.legs -= 1;
        if listener.legs > 0 {
            return;
        }
        let mut closing = Some(number);
        while let Some(number) = closing {
            closing = self.listeners.beside(number);
            self.close_listener(number);
        }
    }

    fn close_listener(&mut self, number: u32) {
        let Some(listener) = self.listeners.get_mut(number) else {
            return;
        };
        listener.closing = true;
        let accepting = listener.accepting;
        if let Some(slot) = accepting {
            let token = self.connections.token(Op::Accept, slot);
            self.ring.cancel(token);
        }
        self.ring.unlisten(number);
        if accepting.is_none() {
            self.unattended.retain(|waiting| *waiting != number);
            self.remove_listener(number);
        }
    }

    /// A listener is closed. Its port, unless it goes on as the source of a connection, is free: a leg
    /// that had it for itself leaves it to rest first.
    fn remove_listener(&mut self, number: u32) {
        let Some(listener) = self.listeners.forget(number) else {
            return;
        };
        if listener.owns_port {
            self.free_port(listener.realm, listener.port);
        }
    }

    /// Gives back a port of a leg of this realm.
    fn free_port(&mut self, realm: u32, port: u16) {
        if self.settings.realms[realm as usize].ports_exclusive {
            self.listeners.rest_port(port, self.now);
        } else {
            self.listeners.give_port(port);
        }
    }

    /// A connection of ours is made, or not.
    pub(super) fn connected(&mut self, slot: u32, result: Result<u32, i32>) {
        if self.connections[slot].stage != Stage::Connecting {
            return self.after_operation(slot);
        }
        let Some((session, leg)) = self.connections[slot].owner else {
            return self.close(slot);
        };
        if result.is_err() {
            self.metrics.add(Counter::ConnectsFailed, 1);
            return self.broken(slot, Cause::ConnectFailed);
        }
        self.metrics.add(Counter::Connects, 1);
        if self.sessions[session].leg(leg).is_secure() {
            if !self.connect_secure(slot, session, leg) {
                self.metrics.add(Counter::ConnectsFailed, 1);
                return self.broken(slot, Cause::HandshakeFailed);
            }
            self.read(slot);
        } else {
            self.connections[slot].stage = Stage::Open;
            self.leg_up(session, leg, slot);
            self.greet(slot, session, leg);
        }
        self.receive_if_wanted(slot);
    }

    /// The active side sends a bodiless SEND at once, without which the passive side would not
    /// know whom the connection is for. RFC 4975, 5.4.
    pub(super) fn greet(&mut self, slot: u32, session: u32, leg: Leg) {
        let mut random = [0; 32];
        (self.random)(&mut random);
        let (mut transaction, mut message) = ([0; 20], [0; 16]);
        let (own, rest) = transaction.split_at_mut(OWN_TRANSACTION.len());
        own.copy_from_slice(OWN_TRANSACTION);
        writer::identifier(rest, &random[..16]);
        writer::identifier(&mut message, &random[16..]);
        if !self.has_room() {
            // Without it the peer would never speak: better that the leg fails than that it waits.
            return self.broken(slot, Cause::NoMemory);
        }
        let texts = self.sessions.texts();
        let ours = self.sessions[session].leg(leg);
        let Some(remote) = ours.remote else { return };
        let (to, from) = (texts.get(remote), ours.local.uri(texts));
        let scratch = &mut self.scratch[..];
        if let Some(bytes) = writer::bodiless_send(scratch, &transaction, to, from, &message) {
            self.write_own(slot, bytes);
        }
    }

    /// A leg's peer is bound.
    pub(super) fn leg_up(&mut self, session: u32, leg: Leg, slot: u32) {
        let peer = self.connections[slot].peer;
        self.connections[slot].owner = Some((session, leg));
        self.timers.clear(slot);
        self.timers.clear(self.timer_of_leg(session, leg));
        self.connections[slot].heard_at = self.now;
        self.connections[slot].went_on_at = self.now;
        self.look_after(slot);
        self.stop_waiting(session, leg);
        let state = self.sessions[session].leg_mut(leg);
        if let LegStage::Detached(_) = state.stage {
            self.metrics.subtract(Counter::LegsDetached, 1);
            self.metrics.add(Counter::LegsRebound, 1);
            // What it was not there for may be sent again, under the same Message-ID (RFC 4975, 5.4).
            self.sessions[session].leg_mut(leg.other()).failed_message = None;
        }
        let state = self.sessions[session].leg_mut(leg);
        state.stage = LegStage::Up(slot);
        state.peer = peer;
        self.metrics.add(Counter::LegsUp, 1);
        self.reports.leg_up(session, leg);
        // The other leg may have been waiting for this one.
        if let Some(other) = self.sessions[session].leg(leg.other()).connection() {
            self.wake(other);
        }
    }

    /// The connection is over, in order or not quite: its leg is down, what it is owed goes out.
    pub(super) fn ended(&mut self, slot: u32, cause: Cause) {
        match self.connections[slot].owner {
            Some((session, leg)) if self.is_lost(slot, cause) => {
                if self.detach(session, leg, cause) {
                    self.drain(slot, Some(CloseCode::GoingAway));
                } else {
                    self.leg_down(session, leg, cause);
                }
            }
            Some((session, leg)) => self.leg_down(session, leg, cause),
            None => self.drain(slot, None),
        }
    }

    /// The connection is broken: its leg is down, and nothing can be sent on it any more.
    pub(super) fn broken(&mut self, slot: u32, cause: Cause) {
        let owner = self.connections[slot].owner;
        let is_lost = self.is_lost(slot, cause);
        // Closed first, so that nothing is written to it in farewell.
        self.close(slot);
        if let Some((session, leg)) = owner
            && !(is_lost && self.detach(session, leg, cause))
        {
            self.leg_down(session, leg, cause);
        }
    }

    pub(super) fn leg_down(&mut self, session: u32, leg: Leg, cause: Cause) {
        if !self.sessions[session].ending {
            // Of a leg that ends because the other has failed, the session's end tells.
            self.reports.leg_down(session, leg, cause);
        }
        self.end_session(session, Some(leg), cause);
    }

    /// Nobody has bound the leg in time, or a lost browser has not come back.
    pub(super) fn leg_expired(&mut self, session: u32, leg: Leg) {
        if let LegStage::Detached(cause) = self.sessions[session].leg(leg).stage {
            return self.leg_down(session, leg, cause);
        }
        self.metrics.add(Counter::LegsExpired, 1);
        self.leg_down(session, leg, Cause::Expired);
    }

    /// Ends a session: open chunks are cut off in form, both legs drained, its ports and paths
    /// given back. Control is told, and until it has heard, the slot is kept.
    pub(super) fn end_session(&mut self, session: u32, failed: Option<Leg>, cause: Cause) {
        if std::mem::replace(&mut self.sessions[session].ending, true) {
            return;
        }
        self.sessions[session].failing = session::code_of(cause);
        for leg in Leg::ALL {
            self.cut_chunk(session, leg);
        }
        if let Some(failed) = failed {
            self.tell_of_failure(session, failed.other());
        }
        let code = match cause {
            Cause::Deleted => CloseCode::Normal,
            _ => CloseCode::GoingAway,
        };
        for leg in Leg::ALL {
            self.timers.clear(self.timer_of_leg(session, leg));
            self.stop_waiting(session, leg);
            let state = self.sessions[session].leg_mut(leg);
            let (realm, port) = (state.realm, state.port.take());
            if let Some(port) = port {
                self.free_port(realm, port);
            }
            let state = self.sessions[session].leg_mut(leg);
            match std::mem::replace(&mut state.stage, LegStage::Down) {
                LegStage::Up(slot) => {
                    self.metrics.subtract(Counter::LegsUp, 1);
                    self.drain(slot, Some(code));
                }
                LegStage::Connecting(slot) => self.close(slot),
                LegStage::Detached(_) => self.metrics.subtract(Counter::LegsDetached, 1),
                LegStage::Waiting | LegStage::Down => {}
            }
        }
        self.sessions.end(session, cause);
        self.metrics.add(Counter::SessionsClosed, 1);
        self.reports.closed(session);
    }

    /// Tells the peer of a leg that the other one has failed: each SEND of its that is open, those
    /// included that have been waiting to be read.
    fn tell_of_failure(&mut self, session: u32, leg: Leg) {
        let Some(code) = self.sessions[session].failing else {
            return;
        };
        let Some(slot) = self.sessions[session].leg(leg).connection() else {
            return;
        };
        while self.has_room() && self.connections[slot].is_read() {
            let mut random = [0; 16];
            (self.random)(&mut random);
            let scratch = &mut self.scratch;
            let signal = self
                .sessions
                .next_signal(session, leg, code, &random, scratch);
            let Some(bytes) = signal else { break };
            // A report is a request of ours, and so is its transaction id.
            let is_report = self.scratch[b"MSRP ".len()..].starts_with(OWN_TRANSACTION);
            let counter = if is_report {
                Counter::ReportsMade
            } else {
                Counter::ResponsesMade
            };
            self.metrics.add(counter, 1);
            self.write_own(slot, bytes);
        }
        if self.connections[slot].waiting {
            self.connections[slot].waiting = false;
            self.read(slot);
        }
    }

    /// If a chunk from `leg`'s peer is under way to the other leg, ends it there with `#`: an open
    /// chunk never stays open on a living connection.
    pub(super) fn cut_chunk(&mut self, session: u32, leg: Leg) {
        let Some(out) = self.sessions[session].leg(leg.other()).connection() else {
            return;
        };
        let Some(source) = self.sessions[session].leg(leg).connection() else {
            return;
        };
        if !self.connections[out].out_open || !self.connections[out].is_written() {
            return;
        }
        if self.connections[out].said_goodbye {
            // RFC 6455, 5.5.1: no data follows a close frame.
            self.connections[out].out_open = false;
            return;
        }
        let reader = &self.connections[source].reader;
        let held = reader.held_data();
        let bytes = held.len();
        self.scratch[..bytes].copy_from_slice(held);
        self.scratch[bytes..bytes + 2].copy_from_slice(b"\r\n");
        let tail = &mut self.scratch[bytes + 2..];
        let Some(line) = writer::end_line(tail, reader.transaction(), Continuation::Aborted) else {
            return;
        };
        let bytes = bytes + 2 + line;
        let framing = self.connections[out]
            .transport
            .frame(false, true, bytes as u64);
        let framing = framing.as_slice();
        let Some(span) = self.arena(framing.len() + bytes) else {
            return;
        };
        let (before, after) = self.memory.octets_mut(span).split_at_mut(framing.len());
        before.copy_from_slice(framing);
        after.copy_from_slice(&self.scratch[..bytes]);
        self.queue(out, span);
        self.connections[out].out_open = false;
        self.metrics.add(Counter::ChunksCut, 1);
        self.own_turn(out);
    }

    /// Reads no more, sends what is queued, then ends our direction. A WebSocket is told why,
    /// unless it has been.
    pub(super) fn drain(&mut self, slot: u32, goodbye: Option<CloseCode>) {
        let connection = &mut self.connections[slot];
        connection.owner = None;
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

    /// A connection's deadline has passed.
    pub(super) fn connection_timed_out(&mut self, slot: u32) {
        match self.connections[slot].stage {
            Stage::Securing if self.connections[slot].owner.is_none() => {
                self.metrics.add(Counter::HandshakesFailed, 1);
                self.close(slot);
            }
            Stage::Connecting => {
                self.metrics.add(Counter::ConnectsFailed, 1);
                self.broken(slot, Cause::ConnectFailed);
            }
            Stage::Securing => {
                self.metrics.add(Counter::HandshakesFailed, 1);
                self.broken(slot, Cause::HandshakeFailed);
            }
            Stage::Upgrading | Stage::Unbound => self.drain(slot, None),
            Stage::Draining | Stage::Ended => self.close(slot),
            Stage::Open => self.look_after(slot),
            Stage::Accepting(_) | Stage::Closing => {
                debug_assert!(false, "no deadline is set in this stage");
            }
        }
    }

    /// Has an open connection looked after in a while, if it is not going to be anyway.
    pub(super) fn look_after_later(&mut self, slot: u32) {
        if !self.timers.is_set(slot) {
            let later = STALLED_FOR.min(HALF_DONE_FOR).as_millis() as u64;
            self.timers.set(slot, self.now + later);
        }
    }

    /// Looks whether an open connection's peer is still there: it takes what it is sent, goes on
    /// with what it has begun, and a browser answers pings. While we do not read a peer, its
    /// silence is not held against it.
    fn look_after(&mut self, slot: u32) {
        let (stalled, ping) = (
            STALLED_FOR.as_millis() as u64,
            PING_EVERY.as_millis() as u64,
        );
        let half_done = HALF_DONE_FOR.as_millis() as u64;
        let connection = &self.connections[slot];
        if connection.ended_by_peer && connection.waiting {
            return self.ended(slot, Cause::PeerClosed);
        }
        let mut next = u64::MAX;
        if connection.sending > 0 {
            if self.now >= connection.took_at + stalled {
                self.metrics.add(Counter::LegsStalled, 1);
                return self.broken(slot, Cause::Stalled);
            }
            next = connection.took_at + stalled;
        } else if let Some(since) = (connection.secured.as_ref()).and_then(|it| it.unsealed_since) {
            // Nothing of its own goes out that could make room.
            if self.now >= since + stalled {
                self.metrics.add(Counter::LegsStalled, 1);
                return self.broken(slot, Cause::NoMemory);
            }
            next = since + stalled;
        }
        let is_read = connection.receiving == Receiving::On && !connection.waiting;
        let is_half_done = connection.carry.is_some()
            || !connection.reader.is_between_chunks()
            || (connection.secured.as_ref()).is_some_and(|secured| secured.carry.is_some());
        if is_half_done && is_read {
            if self.now >= connection.went_on_at + half_done {
                return self.half_done(slot);
            }
            next = next.min(connection.went_on_at + half_done);
        }
        if self.connections[slot].transport.is_websocket() {
            let connection = &self.connections[slot];
            let mut due = connection.heard_at + ping * (1 + u64::from(connection.pings));
            if self.now >= due {
                if is_read && connection.pings >= PINGS_UNANSWERED_MAX {
                    self.metrics.add(Counter::LegsStalled, 1);
                    return self.broken(slot, Cause::Stalled);
                }
                if is_read && self.has_room() {
                    let bytes = frame::ping(&mut self.scratch[..], b"").unwrap_or(0);
                    self.write_between_frames(slot, bytes);
                    self.connections[slot].pings += 1;
                }
                due = self.now + ping;
            }
            next = next.min(due);
        }
        if next < u64::MAX {
            self.timers.set(slot, next);
        }
    }

    /// The peer has begun something and gone silent. A chunk under way is cut off, so that the other
    /// peer is not kept waiting for what it is owed; with a head half sent, or silent once more, the
    /// leg is over.
    fn half_done(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        connection.went_on_at = self.now;
        let flow = connection
            .owner
            .map(|(session, leg)| self.sessions[session].leg(leg).flow);
        match (connection.owner, flow) {
            (Some((session, leg)), Some(Flow::Forwarding { .. })) => {
                self.cut_open_chunk(slot, session, leg, status::TIMEOUT);
                self.look_after_later(slot);
            }
            _ => {
                self.metrics.add(Counter::LegsStalled, 1);
                self.ended(slot, Cause::Stalled);
            }
        }
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
        connection.owner = None;
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

    /// Begins a connection to a leg's peer: from the address of its realm that reaches the peer and,
    /// if it has a port for itself, from that port.
    pub(super) fn connect_leg(
        &mut self,
        session: u32,
        leg: Leg,
        peer: SocketAddr,
    ) -> Result<(), Refusal> {
        let realm = self.sessions[session].leg(leg).realm;
        let source = self.source_toward(realm, peer.ip());
        let source = source.ok_or(Refusal::ConnectImpossible)?;
        let slot = self.connections.open(Stage::Connecting);
        let slot = slot.ok_or(Refusal::NoMemory)?;
        self.take_port_along(session, leg);
        let port = self.sessions[session].leg(leg).port.unwrap_or(0);
        let token = self.connections.token(Op::Connect, slot);
        let source = SocketAddr::new(source, port);
        if self.ring.connect(source, peer, token).is_err() {
            self.metrics.add(Counter::ConnectsFailed, 1);
            self.connections.remove(slot);
            self.leg_down(session, leg, Cause::ConnectFailed);
            return Ok(());
        }
        let connection = &mut self.connections[slot];
        connection.operations += 1;
        connection.owner = Some((session, leg));
        connection.peer = Some(peer);
        self.sessions[session].leg_mut(leg).stage = LegStage::Connecting(slot);
        self.timers
            .set(slot, self.now + CONNECTING_FOR.as_millis() as u64);
        Ok(())
    }

    /// Which kind of listener a leg of this realm and transport waits at; `None`: there is no
    /// certificate for it.
    pub(super) fn listener_kind(&self, realm: u32, transport: Transport) -> Option<Kind> {
        let realm = &self.settings.realms[realm as usize];
        let is_public = self.settings.identity.is_some() && realm.public_host.is_some();
        match transport {
            Transport::Wss | Transport::Tls if !is_public => None,
            Transport::Ws => Some(Kind::WebSocket),
            Transport::Tcp => Some(Kind::Tcp),
            Transport::Wss => Some(Kind::SecureWebSocket),
            Transport::Tls => Some(Kind::Tls),
        }
    }
}
