//! How legs and sessions come up and end. How their connections do is in `accept` and `closing`.

use std::net::SocketAddr;

use link::{Cause, Counter, Leg, Refusal};
use wire::msrp::{Continuation, writer};
use wire::ws::CloseCode;

use super::Shard;
use super::commands::user_timeout;
use super::connections::Stage;
use crate::limits::CONNECTING_FOR;
use crate::ring::{Op, Ring};
use crate::session::{self, LegStage, OWN_TRANSACTION, Request};

impl<R: Ring> Shard<R> {
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
        let user_timeout = user_timeout(self.sessions[session].leg(leg).user_timeout_ms);
        if (self.ring.connect(source, peer, user_timeout, token)).is_err() {
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
        if !self.has_room() {
            // Without it the peer would never speak: better that the leg fails than that it waits.
            return self.broken(slot, Cause::NoMemory);
        }
        self.send_bodiless(slot, session, leg);
    }

    /// Sends a SEND without body, whose response goes to nobody.
    pub(super) fn send_bodiless(&mut self, slot: u32, session: u32, leg: Leg) {
        let mut random = [0; 32];
        (self.random)(&mut random);
        let (mut transaction, mut message) = ([0; 20], [0; 16]);
        let (own, rest) = transaction.split_at_mut(OWN_TRANSACTION.len());
        own.copy_from_slice(OWN_TRANSACTION);
        writer::identifier(rest, &random[..16]);
        writer::identifier(&mut message, &random[16..]);
        let texts = self.sessions.texts();
        let ours = self.sessions[session].leg(leg);
        let Some(remote) = ours.remote else { return };
        let (to, from) = (texts.get(remote), ours.local.uri(texts));
        let scratch = &mut self.scratch[..];
        if let Some(bytes) = writer::bodiless_send(scratch, &transaction, to, from, &message) {
            self.write_own(slot, bytes);
        }
    }

    /// A leg's peer is bound by a connection that is the leg's own.
    pub(super) fn leg_up(&mut self, session: u32, leg: Leg, slot: u32) {
        self.connections[slot].owner = Some((session, leg));
        self.connections[slot].legs = 1;
        self.timers.clear(slot);
        self.connections[slot].heard_at = self.now;
        self.connections[slot].went_on_at = self.now;
        self.look_after(slot);
        self.leg_bound(session, leg, slot);
    }

    /// A leg's peer is there, on a connection of its own or with others.
    pub(super) fn leg_bound(&mut self, session: u32, leg: Leg, slot: u32) {
        let peer = self.connections[slot].peer;
        self.timers.clear(self.timer_of_leg(session, leg));
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
        self.sessions[session].active_at = self.now;
        self.metrics.add(Counter::LegsUp, 1);
        self.reports.leg_up(session, leg);
        self.look_after_leg(session, leg);
        // The other leg may have been waiting for this one.
        if let Some(other) = self.sessions[session].leg(leg.other()).connection() {
            self.wake(other);
        }
    }

    /// The connection is over, in order or not quite: its leg is down, what it is owed goes out.
    pub(super) fn ended(&mut self, slot: u32, cause: Cause) {
        let owner = self.connections[slot].owner;
        match owner {
            Some((session, leg))
                if self.is_lost(slot, cause) && self.detach(session, leg, cause) =>
            {
                self.drain(slot, Some(CloseCode::GoingAway));
            }
            Some(_) => self.fail_legs(slot, cause),
            None => self.drain(slot, None),
        }
    }

    /// The end of a connection is that of every leg on it. RFC 4975, 5.4.
    fn fail_legs(&mut self, slot: u32, cause: Cause) {
        while let Some((session, leg)) = self.connections[slot].owner {
            self.leg_down(session, leg, cause);
            if self.connections[slot].owner == Some((session, leg)) {
                // Its end had begun before.
                self.let_go(slot, (session, leg), CloseCode::GoingAway);
            }
        }
    }

    /// The connection is broken: its leg is down, and nothing can be sent on it any more.
    pub(super) fn broken(&mut self, slot: u32, cause: Cause) {
        let owner = self.connections[slot].owner;
        let is_lost = self.is_lost(slot, cause);
        // Closed first, so that nothing is written to it in farewell.
        self.close(slot);
        match owner {
            Some((session, leg)) if is_lost && self.detach(session, leg, cause) => {
                self.connections[slot].owner = None;
            }
            _ => self.fail_legs(slot, cause),
        }
    }

    pub(super) fn leg_down(&mut self, session: u32, leg: Leg, cause: Cause) {
        if !self.sessions[session].ending {
            // Of a leg that ends because the other has failed, the session's end tells.
            self.reports.leg_down(session, leg, cause);
        }
        self.end_session(session, Some(leg), cause);
    }

    /// A leg's deadline has passed: nobody has bound it in time, a lost browser has not come back, or
    /// one that is up is to be looked after.
    pub(super) fn leg_timed_out(&mut self, session: u32, leg: Leg) {
        match self.sessions[session].leg(leg).stage {
            LegStage::Detached(cause) => return self.leg_down(session, leg, cause),
            LegStage::Up(_) => return self.look_after_leg(session, leg),
            LegStage::Waiting | LegStage::Connecting(_) | LegStage::Down => {}
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
        if failed.is_some() {
            // Of two legs that are merely idle, both hear of it.
            self.tell_of_failure(session, failed.filter(|_| cause != Cause::Idle));
        }
        let code = match cause {
            Cause::Deleted => CloseCode::Normal,
            Cause::Idle => CloseCode::Policy,
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
                    self.let_go(slot, (session, leg), code);
                }
                LegStage::Connecting(slot) => {
                    self.connections[slot].owner = None;
                    self.close(slot);
                }
                LegStage::Detached(_) => self.metrics.subtract(Counter::LegsDetached, 1),
                LegStage::Waiting | LegStage::Down => {}
            }
        }
        self.sessions.end(session, cause);
        self.metrics.add(Counter::SessionsClosed, 1);
        self.reports.closed(session);
    }

    /// Tells the peers that a session fails, but for that of the leg that has: each SEND of theirs that
    /// is open, those included that have been waiting to be read.
    fn tell_of_failure(&mut self, session: u32, failed: Option<Leg>) {
        let Some(code) = self.sessions[session].failing else {
            return;
        };
        while self.has_room() {
            let mut random = [0; 16];
            (self.random)(&mut random);
            let scratch = &mut self.scratch;
            let signal = (self.sessions).next_signal(session, failed, code, &random, scratch);
            let Some((leg, bytes)) = signal else { break };
            let slot = self.sessions[session].leg(leg).connection();
            if let Some(slot) = slot.filter(|slot| self.connections[*slot].is_read()) {
                self.write_signal(slot, bytes);
            }
        }
        if !self.has_room() {
            // Their connection's end is all that those are told whose signals found no room.
            for leg in Leg::ALL.into_iter().filter(|leg| failed != Some(*leg)) {
                let untold = self.sessions[session].pending.counts[leg.index()];
                self.metrics.add(Counter::AnswersDropped, untold.into());
            }
        }
        for leg in Leg::ALL {
            if let Some(slot) = self.sessions[session].leg(leg).connection()
                && failed != Some(leg)
                && self.connections[slot].legs < 2
                && std::mem::take(&mut self.connections[slot].waiting)
            {
                self.read(slot);
            }
        }
    }

    /// Reports a request's failure to who has sent it.
    pub(super) fn report(&mut self, request: &Request, code: u16) {
        let mut random = [0; 16];
        (self.random)(&mut random);
        let slot = self.sessions[request.session]
            .leg(request.from)
            .connection();
        let report = self
            .sessions
            .report_on(request, code, &random, &mut self.scratch);
        if let (Some(slot), Some(bytes)) = (slot, report)
            && self.connections[slot].is_read()
        {
            self.write_signal(slot, bytes);
        }
    }

    /// Sends a response or a report of ours from the scratch, and counts it.
    pub(super) fn write_signal(&mut self, slot: u32, bytes: usize) {
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

    /// If a chunk from `leg`'s peer is under way to the other leg, ends it there with `#`: an open
    /// chunk never stays open on a living connection.
    pub(super) fn cut_chunk(&mut self, session: u32, leg: Leg) {
        let Some(out) = self.sessions[session].leg(leg.other()).connection() else {
            return;
        };
        let Some(source) = self.sessions[session].leg(leg).connection() else {
            return;
        };
        let to = (session, leg.other());
        if !self.connections[out].is_open_toward(to) || !self.connections[out].is_written() {
            return;
        }
        if self.connections[out].said_goodbye {
            // RFC 6455, 5.5.1: no data follows a close frame.
            self.connections[out].out_open = false;
            return;
        }
        let Some(reader) = self.connections.reader(source) else {
            debug_assert!(false, "a chunk is under way");
            return;
        };
        let held = reader.held_data();
        let bytes = held.len();
        self.scratch[..bytes].copy_from_slice(held);
        self.scratch[bytes..bytes + 2].copy_from_slice(b"\r\n");
        let tail = &mut self.scratch[bytes + 2..];
        let transaction = match self.connections[out].renames {
            true => self.sharing.renamed(to).0,
            false => reader.transaction(),
        };
        let Some(line) = writer::end_line(tail, transaction, Continuation::Aborted) else {
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
        self.connections[out].renames = false;
        self.metrics.add(Counter::ChunksCut, 1);
        self.own_turn(out);
    }
}
