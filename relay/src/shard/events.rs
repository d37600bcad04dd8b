//! What control is told. Nothing is lost to a full queue: what there is to say stays flagged with
//! its session until it has been said.

use std::collections::VecDeque;

use link::{Cause, CreatedLeg, Event, Leg, LegState, Record, Refusal, SessionId};

use super::Shard;
use crate::limits::COMMANDS_PER_TURN;
use crate::ring::Ring;
use crate::session::LegStage;

/// What is still to be said about one session.
#[derive(Clone, Copy, Default)]
struct Report {
    listed: bool,
    created: bool,
    rebound: [bool; 2],
    up: [bool; 2],
    detached: [bool; 2],
    down: [Option<Cause>; 2],
    closed: bool,
}

/// What is still to be said to control.
pub(super) struct Reports {
    of_session: Vec<Report>,
    sessions: VecDeque<u32>,
    refused: VecDeque<(SessionId, Refusal)>,
    /// The token of the last `Reload`, and whether all certificates could be read.
    reloaded: Option<(u64, bool)>,
    listing: Option<Listing>,
    /// Tokens of `List`s that wait for the one that is being answered.
    lists: VecDeque<u64>,
}

/// How far the answer to a `List` has come.
#[derive(Clone, Copy)]
struct Listing {
    token: u64,
    next: u32,
}

/// Names the event that [`Shard::next_event`] wrote, to say that it has been handed over.
#[derive(Clone, Copy, Debug)]
pub enum Told {
    /// A refusal.
    Refused,
    /// Certificates were read anew.
    Reloaded,
    /// The session was made.
    Created(u32),
    /// A leg came up.
    Up(u32, Leg),
    /// A detached leg has a new way in.
    Rebound(u32, Leg),
    /// A leg was lost and may come back.
    Detached(u32, Leg),
    /// A leg went down.
    Down(u32, Leg),
    /// The session is over; its slot is free now.
    Closed(u32),
    /// A session was listed, or a slot without one passed over.
    Listed(u32),
    /// All sessions were listed.
    ListEnd,
}

impl Reports {
    pub(super) fn new(sessions: u32) -> Reports {
        Reports {
            of_session: Vec::with_capacity(sessions as usize),
            sessions: VecDeque::with_capacity(sessions as usize + 1),
            refused: VecDeque::with_capacity(COMMANDS_PER_TURN),
            reloaded: None,
            listing: None,
            lists: VecDeque::with_capacity(COMMANDS_PER_TURN),
        }
    }

    /// Whether one more command can be answered.
    pub(super) fn has_room(&self) -> bool {
        self.refused.len() < COMMANDS_PER_TURN && self.lists.len() < COMMANDS_PER_TURN
    }

    pub(super) fn created(&mut self, session: u32) {
        self.report(session).created = true;
    }

    pub(super) fn leg_up(&mut self, session: u32, leg: Leg) {
        let report = self.report(session);
        report.detached[leg.index()] = false;
        report.up[leg.index()] = true;
    }

    pub(super) fn rebound(&mut self, session: u32, leg: Leg) {
        self.report(session).rebound[leg.index()] = true;
    }

    /// What has not been said of the leg's coming up is not said any more: it is lost again.
    pub(super) fn leg_detached(&mut self, session: u32, leg: Leg) {
        let report = self.report(session);
        (report.up[leg.index()], report.rebound[leg.index()]) = (false, false);
        report.detached[leg.index()] = true;
    }

    pub(super) fn leg_down(&mut self, session: u32, leg: Leg, cause: Cause) {
        self.report(session).down[leg.index()] = Some(cause);
    }

    pub(super) fn closed(&mut self, session: u32) {
        self.report(session).closed = true;
    }

    pub(super) fn refused(&mut self, session: SessionId, reason: Refusal) {
        self.refused.push_back((session, reason));
    }

    pub(super) fn list(&mut self, token: u64) {
        if self.listing.is_some() {
            return self.lists.push_back(token);
        }
        self.listing = Some(Listing { token, next: 0 });
    }

    pub(super) fn reloaded(&mut self, token: u64, is_complete: bool) {
        self.reloaded = Some((token, is_complete));
    }

    pub(super) fn attached(&mut self) {
        self.refused.clear();
        self.reloaded = None;
        self.listing = None;
        self.lists.clear();
    }

    fn report(&mut self, session: u32) -> &mut Report {
        while self.of_session.len() <= session as usize {
            self.of_session.push(Report::default());
        }
        let report = &mut self.of_session[session as usize];
        if !report.listed {
            report.listed = true;
            self.sessions.push_back(session);
        }
        report
    }
}

impl<R: Ring> Shard<R> {
    /// Writes the next event into `record`. It stays the next one until [`Shard::told`].
    pub fn next_event(&mut self, record: &mut Record) -> Option<Told> {
        loop {
            let told = self.pick()?;
            match self.write_event(told, record) {
                Written::Yes => return Some(told),
                Written::Nothing => self.told(told),
            }
        }
    }

    /// The event has been handed over.
    pub fn told(&mut self, told: Told) {
        match told {
            Told::Refused => {
                self.reports.refused.pop_front();
            }
            Told::Reloaded => self.reports.reloaded = None,
            Told::Created(session) => self.reports.of_session[session as usize].created = false,
            Told::Up(session, leg) => {
                self.reports.of_session[session as usize].up[leg.index()] = false;
            }
            Told::Rebound(session, leg) => {
                self.reports.of_session[session as usize].rebound[leg.index()] = false;
            }
            Told::Detached(session, leg) => {
                self.reports.of_session[session as usize].detached[leg.index()] = false;
            }
            Told::Down(session, leg) => {
                self.reports.of_session[session as usize].down[leg.index()] = None;
            }
            Told::Closed(session) => {
                self.reports.of_session[session as usize].closed = false;
                self.sessions.remove(session);
            }
            Told::Listed(slot) => {
                if let Some(listing) = &mut self.reports.listing {
                    listing.next = slot + 1;
                }
            }
            Told::ListEnd => {
                let next = self.reports.lists.pop_front();
                self.reports.listing = next.map(|token| Listing { token, next: 0 });
            }
        }
    }

    fn pick(&mut self) -> Option<Told> {
        if !self.reports.refused.is_empty() {
            return Some(Told::Refused);
        }
        if self.reports.reloaded.is_some() {
            return Some(Told::Reloaded);
        }
        while let Some(&session) = self.reports.sessions.front() {
            let report = &mut self.reports.of_session[session as usize];
            if report.created {
                return Some(Told::Created(session));
            }
            for leg in Leg::ALL {
                if report.detached[leg.index()] {
                    return Some(Told::Detached(session, leg));
                }
                if report.rebound[leg.index()] {
                    return Some(Told::Rebound(session, leg));
                }
                if report.up[leg.index()] {
                    return Some(Told::Up(session, leg));
                }
            }
            for leg in Leg::ALL {
                if report.down[leg.index()].is_some() {
                    return Some(Told::Down(session, leg));
                }
            }
            if report.closed {
                return Some(Told::Closed(session));
            }
            report.listed = false;
            self.reports.sessions.pop_front();
        }
        let listing = self.reports.listing?;
        if listing.next < self.sessions.slots() {
            return Some(Told::Listed(listing.next));
        }
        Some(Told::ListEnd)
    }

    fn write_event(&self, told: Told, record: &mut Record) -> Written {
        let event = match told {
            Told::Refused => match self.reports.refused.front() {
                Some(&(session, reason)) => Event::Refused { session, reason },
                None => return Written::Nothing,
            },
            Told::Reloaded => match self.reports.reloaded {
                Some((token, is_complete)) => Event::Reloaded { token, is_complete },
                None => return Written::Nothing,
            },
            Told::Created(slot) => {
                let session = &self.sessions[slot];
                if session.closed.is_some() {
                    // Its paths are gone; that it is over comes next.
                    return Written::Nothing;
                }
                Event::Created {
                    session: session.id,
                    legs: self.created_legs(slot),
                }
            }
            Told::Up(slot, leg) => {
                let session = &self.sessions[slot];
                let Some(peer) = session.leg(leg).peer else {
                    return Written::Nothing;
                };
                Event::LegUp {
                    session: session.id,
                    leg,
                    peer,
                }
            }
            Told::Rebound(slot, leg) => {
                let session = &self.sessions[slot];
                if session.closed.is_some() {
                    return Written::Nothing;
                }
                Event::Rebound {
                    session: session.id,
                    leg,
                    side: self.created_legs(slot)[leg.index()],
                }
            }
            Told::Detached(slot, leg) => {
                let session = &self.sessions[slot];
                let LegStage::Detached(cause) = session.leg(leg).stage else {
                    // It is over meanwhile, which is said next.
                    return Written::Nothing;
                };
                Event::LegDetached {
                    session: session.id,
                    leg,
                    cause,
                    grace_ms: session.leg(leg).policy.grace_ms,
                }
            }
            Told::Down(slot, leg) => {
                let Some(cause) = self.reports.of_session[slot as usize].down[leg.index()] else {
                    return Written::Nothing;
                };
                let session = self.sessions[slot].id;
                match cause {
                    Cause::Expired => Event::LegExpired { session, leg },
                    cause => Event::LegDown {
                        session,
                        leg,
                        cause,
                    },
                }
            }
            Told::Closed(slot) => {
                let session = &self.sessions[slot];
                let Some(cause) = session.closed else {
                    return Written::Nothing;
                };
                Event::Closed {
                    session: session.id,
                    cause,
                    counts: session.counts,
                }
            }
            Told::Listed(slot) => match self.sessions.get(slot) {
                Some(session) if session.closed.is_none() => Event::Listed {
                    session: session.id,
                    states: [Leg::A, Leg::B].map(|leg| match session.leg(leg).stage {
                        LegStage::Waiting | LegStage::Connecting(_) => LegState::Waiting,
                        LegStage::Up(_) => LegState::Up,
                        LegStage::Detached(_) => LegState::Detached,
                        LegStage::Down => LegState::Down,
                    }),
                    legs: self.created_legs(slot),
                },
                _ => return Written::Nothing,
            },
            Told::ListEnd => match self.reports.listing {
                Some(listing) => Event::ListEnd {
                    token: listing.token,
                },
                None => return Written::Nothing,
            },
        };
        match event.encode(record) {
            Ok(()) => Written::Yes,
            Err(_) => {
                debug_assert!(false, "our own paths fit in a record");
                Written::Nothing
            }
        }
    }

    fn created_legs(&self, slot: u32) -> [CreatedLeg<'_>; 2] {
        let texts = self.sessions.texts();
        [Leg::A, Leg::B].map(|leg| {
            let state = self.sessions[slot].leg(leg);
            let local = state.local;
            let identity = state
                .is_secure()
                .then(|| self.identity(state.realm))
                .flatten();
            CreatedLeg {
                fingerprint: identity.map(|identity| identity.sha256()),
                path: local.uri(texts),
                resource: local.resource(texts),
            }
        })
    }
}

enum Written {
    Yes,
    Nothing,
}
