//! Sessions that share a connection: whom a message is for, whose chunk goes next, and that none of
//! them holds up the others for ever. RFC 4975, 5.4 and 7.1.1; RFC 4976, 6.4.
//!
//! A connection is read in one go: while a message waits for its receiver, those behind it wait too,
//! whoever they are for. For so long as their sessions share it that has a bound, past which the
//! message is refused. A leg that is alone on its connection passes through here without a look.

use link::Counter;
use wire::msrp::{Head, Kind, status, uri};

use super::Shard;
use super::connections::Stage;
use super::sharing::LegOf;
use crate::buffers::Span;
use crate::limits::{ABSENT_FOR, ENDED_FOR_OTHERS_BY, HELD_UP_FOR};
use crate::ring::Ring;
use crate::session::{Flow, Scratch, Verdict, Way};

impl<R: Ring> Shard<R> {
    /// A message on a connection is not for the leg that spoke last on it. If it is for another leg
    /// there, or for one that is waited for and may come by this connection, that is the one that
    /// speaks now; else what it is to be answered.
    pub(super) fn dispatch(&mut self, slot: u32, head: &Head, octets: Span) -> Result<(), u16> {
        if self.connections[slot].transport.is_websocket() {
            return Err(status::NO_SESSION);
        }
        let mut to = head.to_path.of(self.memory.octets(octets));
        if matches!(head.kind, Kind::Response(_)) {
            to = uri::first(to);
        }
        let Some((session, leg)) = self.sessions.by_to_path(to) else {
            return Err(status::NO_SESSION);
        };
        if self.sessions[session].leg(leg).connection() == Some(slot) {
            self.connections[slot].owner = Some((session, leg));
            return Ok(());
        }
        self.bind(slot, head, octets)
    }

    /// The first request of a leg's peer on a connection says which leg it is for. RFC 4975, 5.4.
    pub(super) fn bind(&mut self, slot: u32, head: &Head, octets: Span) -> Result<(), u16> {
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
        let companion = self.connections[slot].owner;
        if companion.is_some_and(|companion| !self.may_share((session, leg), companion)) {
            return Err(status::NO_SESSION);
        }
        let found = self.sessions[session].leg(leg);
        if found.remote.is_some() && !self.is_proven(slot, session, leg) {
            self.unproven(session, leg);
            return Err(status::NO_SESSION);
        }
        match companion {
            None => {
                self.connections[slot].stage = Stage::Open;
                self.leg_up(session, leg, slot);
            }
            Some(companion) => {
                self.sharing.join((session, leg), companion);
                let connection = &mut self.connections[slot];
                connection.legs += 1;
                connection.was_shared = true;
                connection.owner = Some((session, leg));
                self.metrics.add(Counter::LegsJoined, 1);
                self.leg_bound(session, leg, slot);
            }
        }
        Ok(())
    }

    /// Whether a leg may come by the connection of another: they are told the same port, in a realm
    /// where legs share ports.
    fn may_share(&self, leg: LegOf, companion: LegOf) -> bool {
        let port_of = |(session, leg): LegOf| {
            let leg = self.sessions[session].leg(leg);
            (leg.realm, leg.user_timeout_ms)
        };
        let realm = &self.settings.realms[port_of(leg).0 as usize];
        port_of(leg) == port_of(companion) && !realm.ports_exclusive
    }

    /// A leg's session ends, and with it the leg's place on its connection: the last one's end is the
    /// connection's. Of the others none notices, unless a chunk to this one could not be ended.
    pub(super) fn let_go(&mut self, slot: u32, leg: LegOf, goodbye: wire::ws::CloseCode) {
        let Some(companion) = self.sharing.leave(leg) else {
            if self.connections[slot].owner == Some(leg) {
                self.drain(slot, Some(goodbye));
            }
            return;
        };
        let connection = &mut self.connections[slot];
        connection.legs -= 1;
        self.sharing.leave_line(&mut connection.line, leg);
        if connection.owner == Some(leg) {
            connection.owner = Some(companion);
            let (session, side) = leg;
            if self.sessions[session].leg(side).flow != Flow::Between {
                // What still comes of its chunk is for nobody.
                let (session, side) = companion;
                self.sessions[session].leg_mut(side).flow = Flow::Discarding;
            }
            self.read_again(slot);
        }
        let connection = &mut self.connections[slot];
        if connection.out_leg == Some(leg) {
            connection.out_leg = None;
            if connection.out_open && connection.is_written() {
                return self.broken(slot, link::Cause::NoMemory);
            }
        }
        self.call_next(slot);
    }

    /// What kept a connection from being read is gone, or given up on.
    fn read_again(&mut self, slot: u32) {
        self.unpause(slot);
        let connection = &mut self.connections[slot];
        connection.held_up_since = None;
        connection.went_on_at = self.now;
        connection.waiting = false;
        if connection.is_read() {
            self.receive_if_wanted(slot);
            self.park(slot);
            self.relieved = true;
        }
    }

    /// How it stands with the connection of the leg that a message from `leg` goes to.
    pub(super) fn way(&mut self, slot: u32, (session, leg): LegOf) -> Way {
        let to = (session, leg.other());
        let Some(out) = self.sessions[session].leg(to.1).connection() else {
            return Way::Own;
        };
        let (source, target) = (&self.connections[slot], &self.connections[out]);
        if source.legs + target.legs <= 2 {
            return Way::Own;
        }
        let is_shared = target.legs > 1;
        let is_next = (self.sharing.first(&target.line)).is_none_or(|first| first == to);
        let is_taken = is_shared && (target.out_open || !is_next || self.is_over(out, 1));
        let has_given_up = source.legs > 1 && self.sessions[session].leg(leg).has_given_up;
        if is_taken || has_given_up && self.is_over(out, 2) {
            return Way::Busy;
        }
        if !is_shared {
            return Way::Own;
        }
        Way::Shared(self.sharing.letters(&mut self.random))
    }

    /// What has been decided about a message from `leg`, where its connection or the one that it goes
    /// to is shared: it takes its place in line, or leaves it; it waits, or has waited enough.
    pub(super) fn wait_or_refuse(
        &mut self,
        slot: u32,
        (session, leg): LegOf,
        verdict: Verdict,
        head: &Head,
        octets: Span,
    ) -> Verdict {
        let to = (session, leg.other());
        let out = self.sessions[session].leg(to.1).connection();
        let is_shared = self.connections[slot].legs > 1;
        let has_given_up = is_shared && self.sessions[session].leg(leg).has_given_up;
        match (verdict, out) {
            (Verdict::Wait | Verdict::Busy, _) if has_given_up => {
                // Who only waits for others to end their chunks is not slow, and waits again next time.
                let is_slow = out.is_none_or(|out| self.is_over(out, 2));
                self.sessions[session].leg_mut(leg).has_given_up = is_slow;
                self.connections[slot].held_up_since = None;
                if let Some(out) = out {
                    self.leave_line(out, to);
                }
                let octets = self.memory.octets(octets);
                let (code, scratch) = (status::TIMEOUT, &mut self.scratch);
                return self
                    .sessions
                    .refuse((session, leg), code, head, octets, scratch);
            }
            // All that went over a connection that is ending fails with it, one session after the other;
            // this one's turn comes.
            (Verdict::Busy, Some(out)) if !self.connections[out].is_written() => {
                self.hold_up(slot);
            }
            (Verdict::Busy, Some(out)) => {
                if self.connections[out].line.is_empty() {
                    self.wait_from_now(out);
                }
                self.sharing.wait(&mut self.connections[out].line, to);
                self.hold_up(slot);
            }
            (Verdict::Wait, _) => self.hold_up(slot),
            (_, out) => {
                if is_shared {
                    self.sessions[session].leg_mut(leg).has_given_up = false;
                    self.connections[slot].held_up_since = None;
                }
                if let Some(out) = out.filter(|out| self.connections[*out].legs > 1) {
                    let connection = &mut self.connections[out];
                    self.sharing.leave_line(&mut connection.line, to);
                    if !connection.line.is_empty() && connection.is_written() {
                        self.wait_from_now(out);
                    }
                    if !matches!(verdict, Verdict::Forward { .. }) {
                        self.call_next(out);
                    }
                }
            }
        }
        verdict
    }

    /// Whoever is in line has waited for the chunk on its way since now.
    fn wait_from_now(&mut self, out: u32) {
        self.connections[out].line_since = self.now;
        let due = self.now + ENDED_FOR_OTHERS_BY.as_millis() as u64;
        self.timers.set_by(out, due);
    }

    /// The chunk that is being forwarded goes by another transaction id, which is in the scratch.
    pub(super) fn rename(&mut self, out: u32, to: LegOf, former_bytes: usize) {
        let id = transaction_in(&self.scratch);
        self.sharing.rename(to, id, former_bytes);
        self.connections[out].renames = true;
        self.metrics.add(Counter::TransactionsRenamed, 1);
    }

    /// What is read on a shared connection waits, and those behind it with it.
    pub(super) fn hold_up(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        if connection.legs > 1 && connection.held_up_since.is_none() {
            connection.held_up_since = Some(self.now);
            self.timers
                .set_by(slot, self.now + ABSENT_FOR.as_millis() as u64);
        }
    }

    /// A connection is not read any more because too much waits for a slow leg: in no line does it
    /// keep others waiting.
    pub(super) fn give_way(&mut self, slot: u32) {
        self.hold_up(slot);
        if let Some((session, leg)) = self.connections[slot].owner
            && let Some(out) = self.sessions[session].leg(leg.other()).connection()
        {
            self.leave_line(out, (session, leg.other()));
        }
    }

    /// A leg waits no more for its chunk to be next.
    pub(super) fn leave_line(&mut self, out: u32, leg: LegOf) {
        let line = &mut self.connections[out].line;
        if !line.is_empty() && self.sharing.leave_line(line, leg) {
            self.call_next(out);
        }
    }

    /// If no chunk is under way on a connection and there is room, the first in line may send its own.
    pub(super) fn call_next(&mut self, out: u32) {
        loop {
            let connection = &self.connections[out];
            let Some((session, leg)) = self.sharing.first(&connection.line) else {
                return;
            };
            if connection.out_open || self.is_over(out, 1) {
                return;
            }
            let source = self.sessions[session].leg(leg.other()).connection();
            let source = source.filter(|source| {
                self.connections[*source].is_read() && !self.connections[*source].paused
            });
            if let Some(source) = source {
                return self.wake(source);
            }
            // It comes back when it is read again.
            let line = &mut self.connections[out].line;
            self.sharing.leave_line(line, (session, leg));
        }
    }

    /// Half of what may wait for a shared connection has gone: those go on that were paused for it,
    /// whichever of its sessions they are of, and then who is next in line.
    pub(super) fn relieve_several(&mut self, slot: u32) {
        if self.connections[slot].presses && !self.is_over(slot, 2) {
            self.connections[slot].presses = false;
            let first = self.connections[slot].owner;
            let mut at = first;
            while let Some((session, leg)) = at {
                let source = self.sessions[session].leg(leg.other()).connection();
                if let Some(source) = source.filter(|source| self.may_go_on(*source)) {
                    self.read_again(source);
                }
                at = self.sharing.after((session, leg));
                at = at.filter(|leg| Some(*leg) != first);
            }
        }
        self.call_next(slot);
    }

    /// Looks after what is shared of a connection; when to look again, if ever.
    pub(super) fn look_after_sharing(&mut self, slot: u32) -> Option<u64> {
        let connection = &self.connections[slot];
        if connection.legs < 2 {
            return None;
        }
        let mut next = None;
        if let Some((session, leg)) = connection.out_leg
            && connection.out_open
            && !connection.line.is_empty()
        {
            let due = connection.line_since + ENDED_FOR_OTHERS_BY.as_millis() as u64;
            let source = self.sessions[session].leg(leg.other()).connection();
            if self.now < due {
                next = Some(due);
            } else if !self.is_over(slot, 1)
                && let Some(source) = source
            {
                self.metrics.add(Counter::HoldUps, 1);
                self.cut_open_chunk(source, session, leg.other(), status::STOP);
            } else {
                // It is this peer who is slow.
                self.connections[slot].line_since = self.now;
                next = Some(self.now + ENDED_FOR_OTHERS_BY.as_millis() as u64);
            }
        }
        let due = self.given_up_at(slot);
        if due.is_some_and(|due| due <= self.now) {
            self.give_up(slot);
        }
        let due = self.given_up_at(slot);
        [next, due].into_iter().flatten().min()
    }

    /// When what holds up a shared connection has done so for long enough.
    fn given_up_at(&self, slot: u32) -> Option<u64> {
        let connection = self.connections.get(slot)?;
        let since = connection.held_up_since?;
        let (session, leg) = connection.owner?;
        let is_there = self.sessions[session].leg(leg.other()).connection();
        let bound = is_there.map_or(ABSENT_FOR, |_| HELD_UP_FOR);
        Some(since + bound.as_millis() as u64)
    }

    /// One session has held up the others of its connection for long enough: its chunk is cut off or
    /// refused, and so is what comes for it until its receiver is there and takes what it is sent.
    fn give_up(&mut self, slot: u32) {
        let Some((session, leg)) = self.connections[slot].owner else {
            return;
        };
        if self.connections[slot].paused && self.is_over_with_own(slot, 2) {
            // It is this peer who does not take what it is answered.
            self.connections[slot].held_up_since = Some(self.now);
            return;
        }
        self.metrics.add(Counter::HoldUps, 1);
        self.sessions[session].leg_mut(leg).has_given_up = true;
        let flow = self.sessions[session].leg(leg).flow;
        if self.connections[slot].paused && matches!(flow, Flow::Forwarding { .. }) {
            self.cut_open_chunk(slot, session, leg, status::TIMEOUT);
        }
        self.read_again(slot);
    }
}

/// The transaction id in a start line.
fn transaction_in(scratch: &Scratch) -> &[u8] {
    let id = &scratch[b"MSRP ".len()..];
    &id[..id.iter().position(|octet| *octet == b' ').unwrap_or(0)]
}
