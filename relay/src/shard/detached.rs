//! A browser's leg that is lost and may come back: Wi-Fi blinks, and a chat must not die of it.
//!
//! The leg is *detached* for the grace that control gave it. The other leg stays up and is not read
//! meanwhile; a chunk that was under way from it is ended with `#`, one that was under way to it is
//! refused, and who waits for its answer is told that none will come. Control, which is told at once, asks for a new way in and tells the browser. If nobody
//! has come when the grace is over, the leg is down as if there had been none.

use link::{Cause, Counter, Leg, Refusal, SessionId, Transport};
use wire::msrp::status;

use super::Shard;
use super::connections::Stage;
use crate::limits::DEADLINE_MAX;
use crate::ring::Ring;
use crate::session::{Flow, LegStage};

impl<R: Ring> Shard<R> {
    /// Whether a connection that ends so was lost, rather than closed by its page or by our verdict.
    pub(super) fn is_lost(&self, slot: u32, cause: Cause) -> bool {
        let connection = &self.connections[slot];
        let is_open = matches!(connection.stage, Stage::Open);
        let lost = matches!(cause, Cause::PeerClosed | Cause::Reset | Cause::Stalled);
        is_open && lost && !connection.said_goodbye
    }

    /// Detaches a leg whose connection is lost. `false`: it has no grace, or the other leg cannot be
    /// left in order.
    pub(super) fn detach(&mut self, session: u32, leg: Leg, cause: Cause) -> bool {
        let state = *self.sessions[session].leg(leg);
        let has_browser = matches!(state.transport, Transport::Ws | Transport::Wss);
        let grace_ms = u64::from(state.policy.grace_ms).min(DEADLINE_MAX.as_millis() as u64);
        if !has_browser || grace_ms == 0 || self.sessions[session].ending {
            return false;
        }
        self.cut_chunk(session, leg);
        let other = self.sessions[session].leg(leg.other()).connection();
        let to = (session, leg.other());
        if other.is_some_and(|other| self.connections[other].is_open_toward(to)) {
            // No room was left to end a chunk in form.
            return false;
        }
        self.sessions.forget_open_chunk(session, leg);
        self.sessions[session].leg_mut(leg).stage = LegStage::Detached(cause);
        self.metrics.subtract(Counter::LegsUp, 1);
        self.metrics.add(Counter::LegsDetached, 1);
        self.timers
            .set(self.timer_of_leg(session, leg), self.now + grace_ms);
        self.reports.leg_detached(session, leg);
        if let Some(other) = other {
            self.leave_line(other, to);
            let flow = self.sessions[session].leg(leg.other()).flow;
            if matches!(flow, Flow::Forwarding { .. }) {
                self.cut_open_chunk(other, session, leg.other(), status::STOP);
            }
            self.tell_of_loss(other, session, leg.other());
            // What it was paused for is gone; it reads on up to what needs the lost leg.
            self.unpause(other);
            self.read(other);
            self.receive_if_wanted(other);
        }
        true
    }

    /// What went to the lost browser and has no answer may never have come there: who has sent it is told
    /// at once, and can send it again. Waiting would not do: nobody else will ever say it.
    fn tell_of_loss(&mut self, slot: u32, session: u32, leg: Leg) {
        while self.has_room() {
            let mut random = [0; 16];
            (self.random)(&mut random);
            let signal = (self.sessions).next_lost(session, leg, &random, &mut self.scratch);
            let Some(bytes) = signal else { break };
            if self.connections[slot].is_read() {
                self.write_signal(slot, bytes);
            }
        }
    }

    /// Makes a new way in for a detached leg. The former one opens no more. A leg that is up is taken for
    /// lost first: its browser says so, who knows it before us where the network swallows everything.
    pub(super) fn rebind(&mut self, id: SessionId, leg: Leg, bind_ms: u32) -> Result<(), Refusal> {
        let slot = self.live(id)?;
        let state = *self.sessions[slot].leg(leg);
        if let LegStage::Up(connection) = state.stage
            && state.policy.grace_ms > 0
        {
            self.broken(connection, Cause::Reset);
        }
        let state = *self.sessions[slot].leg(leg);
        if !matches!(state.stage, LegStage::Detached(_)) {
            return Err(Refusal::NotDetached);
        }
        let (local, listener) =
            self.make_way_in(slot, state.realm, state.transport, state.user_timeout_ms)?;
        self.stop_waiting(slot, leg);
        let former = std::mem::replace(&mut self.sessions[slot].leg_mut(leg).local, local);
        self.sessions.free_local(former);
        self.sessions[slot].leg_mut(leg).listener = Some(listener);
        if bind_ms > 0 {
            self.arm(slot, leg, bind_ms);
        }
        self.reports.rebound(slot, leg);
        Ok(())
    }
}
