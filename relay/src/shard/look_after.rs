//! Deadlines of a connection, and whether the peer of an open one is still there.

use link::{Cause, Counter, Leg};
use wire::msrp::status;
use wire::ws::frame;

use super::Shard;
use super::connections::{Receiving, Stage};
use crate::limits::{HALF_DONE_FOR, PING_EVERY, PINGS_UNANSWERED_MAX, STALLED_FOR};
use crate::ring::Ring;
use crate::session::Flow;

impl<R: Ring> Shard<R> {
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
    pub(super) fn look_after(&mut self, slot: u32) {
        let (stalled, ping) = (
            STALLED_FOR.as_millis() as u64,
            PING_EVERY.as_millis() as u64,
        );
        let half_done = HALF_DONE_FOR.as_millis() as u64;
        let mut next = self.look_after_sharing(slot).unwrap_or(u64::MAX);
        let connection = &self.connections[slot];
        if connection.stage != Stage::Open {
            return;
        }
        if connection.ended_by_peer && connection.waiting && connection.legs < 2 {
            return self.ended(slot, Cause::PeerClosed);
        }
        if connection.sending > 0 {
            if self.now >= connection.took_at + stalled {
                self.metrics.add(Counter::LegsStalled, 1);
                return self.broken(slot, Cause::Stalled);
            }
            next = next.min(connection.took_at + stalled);
        } else if let Some(since) = (connection.secured.as_ref()).and_then(|it| it.unsealed_since) {
            // Nothing of its own goes out that could make room.
            if self.now >= since + stalled {
                self.metrics.add(Counter::LegsStalled, 1);
                return self.broken(slot, Cause::NoMemory);
            }
            next = next.min(since + stalled);
        }
        let is_read = connection.receiving == Receiving::On && !connection.waiting;
        let is_half_done = connection.carry.is_some()
            || !self.is_between_chunks(slot)
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

    /// Does what is due on a leg that is up, and sets its timer for what is due next: the session ends
    /// when nothing has been passed on for too long while both legs are up; on a TCP leg on which
    /// nothing goes, a SEND without body does (RFC 4975, 7.1).
    pub(super) fn look_after_leg(&mut self, session: u32, leg: Leg) {
        let Some(slot) = self.sessions[session].leg(leg).connection() else {
            return;
        };
        let state = self.sessions[session].leg(leg);
        let (policy, may_connect) = (state.policy, state.may_connect());
        let mut next = u64::MAX;
        if policy.idle_ms > 0 {
            let is_whole = self.sessions[session]
                .leg(leg.other())
                .connection()
                .is_some();
            let since = if is_whole {
                self.sessions[session].active_at
            } else {
                self.now
            };
            let due = since + u64::from(policy.idle_ms);
            if self.now >= due {
                self.metrics.add(Counter::LegsIdle, 1);
                return self.leg_down(session, leg, Cause::Idle);
            }
            next = due;
        }
        if policy.keepalive_ms > 0 && may_connect {
            let connection = &self.connections[slot];
            let since = connection.heard_at.max(connection.took_at);
            let mut due = since + u64::from(policy.keepalive_ms);
            if self.now >= due {
                // Without room for it much is going on, and later there may be.
                if self.has_room() {
                    self.metrics.add(Counter::KeepAlives, 1);
                    self.send_bodiless(slot, session, leg);
                }
                due = self.now + u64::from(policy.keepalive_ms);
            }
            next = next.min(due);
        }
        let timer = self.timer_of_leg(session, leg);
        if next < u64::MAX {
            self.timers.set(timer, next);
        } else {
            self.timers.clear(timer);
        }
    }
}
