//! What browsers ask to open, and what waits of it for what is under way.

use std::collections::HashMap;

use super::saved::Change;
use super::tracked::Tracked;
use super::{Gateway, Turn};
use crate::backlog::{Backlog, Next};
use crate::jsonrtc::{Frame, Members, SessionKey};
use crate::limits::Millis;
use crate::metrics::Counter;

/// Frames that wait to open something, each under a number that is never used twice.
#[derive(Default)]
pub struct Openings {
    backlog: Backlog<u64>,
    frames: Tracked<u64, (SessionKey, Box<Frame>)>,
    /// Of each session, in order.
    of: HashMap<SessionKey, Vec<u64>>,
    last: u64,
}

impl Openings {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// How many of a session wait.
    pub fn len_of(&self, session: SessionKey) -> usize {
        self.of.get(&session).map_or(0, Vec::len)
    }

    /// Nobody wants to know what has changed.
    pub fn forget_changes(&mut self) {
        self.frames.take_touched();
    }

    /// What was put in or taken out since this was last asked.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let touched = self.frames.take_touched();
        touched
            .into_iter()
            .map(|number| self.saved(number))
            .collect()
    }

    /// Everything there is.
    pub fn all(&mut self) -> Vec<Change> {
        self.frames.take_touched();
        let numbers = self.frames.keys();
        numbers.map(|number| self.saved(*number)).collect()
    }

    fn saved(&self, number: u64) -> Change {
        let saved = |(session, frame): &(SessionKey, Box<Frame>)| (*session, frame.write());
        Change::Opening(number, self.frames.get(&number).map(saved))
    }

    /// `Err`: there is no room.
    fn push(
        &mut self,
        session: SessionKey,
        frame: Box<Frame>,
        now: Millis,
    ) -> Result<(), Box<Frame>> {
        self.last += 1;
        if self.backlog.push(self.last, now).is_err() {
            return Err(frame);
        }
        self.frames.insert(self.last, (session, frame));
        self.of.entry(session).or_default().push(self.last);
        Ok(())
    }

    /// The first of a session's that opens this subsession; `None`: any of them.
    fn find(&self, session: SessionKey, subsession: Option<&str>) -> Option<u64> {
        let is_it = |number: &&u64| {
            let (_, frame) = self.frames.get(number)?;
            let same = frame.control.subsession_id.as_deref() == subsession;
            (subsession.is_none() || same).then_some(())
        };
        let own = self.of.get(&session)?;
        own.iter().find(|number| is_it(number).is_some()).copied()
    }

    fn remove(&mut self, number: u64) -> Option<(SessionKey, Box<Frame>)> {
        let (session, frame) = self.frames.remove(&number)?;
        if let Some(own) = self.of.get_mut(&session) {
            own.retain(|one| *one != number);
            if own.is_empty() {
                self.of.remove(&session);
            }
        }
        Some((session, frame))
    }
}

impl Gateway {
    /// How long the first of what browsers ask to open has waited; `None`: nothing waits. To be asked between any
    /// two things that the owner does.
    pub fn waited(&mut self, now: Millis) -> Option<Millis> {
        self.openings.backlog.waited(now)
    }

    /// How much of what browsers ask to open waits.
    pub fn waiting(&self) -> usize {
        self.openings.len()
    }

    /// Begins the first of what browsers ask to open, or turns it away if it has waited for too long. To be called
    /// when there is nothing else to do, or for one that [is late](crate::backlog::is_late). `false`: nothing waits.
    pub fn begin(&mut self, turn: &mut Turn<'_>) -> bool {
        let (number, begins) = match self.openings.backlog.take(turn.now) {
            None => return false,
            Some(Next::Begin(number)) => (number, true),
            Some(Next::TurnAway(number)) => (number, false),
        };
        if let Some((session, frame)) = self.openings.remove(number) {
            match begins {
                true => self.take_frame(session, &frame, turn),
                false => self.turn_away(session, &frame, turn),
            }
            self.settle(turn);
        }
        true
    }

    /// A frame that would open something waits for what is under way.
    pub(super) fn wait(&mut self, session: SessionKey, frame: Frame, turn: &mut Turn<'_>) {
        let waiting = self.openings.len_of(session);
        if !self.has_room(session, waiting) {
            return self.refuse_frame(session, &frame, 503, "too many subsessions", turn);
        }
        if let Err(frame) = self.openings.push(session, Box::new(frame), turn.now) {
            self.turn_away(session, &frame, turn);
        }
    }

    /// A frame came for something that waits, or for the one thing that a client without ids has: that begins now, so
    /// that the frame finds it.
    pub(super) fn begin_now(
        &mut self,
        session: SessionKey,
        subsession: Option<&str>,
        turn: &mut Turn<'_>,
    ) {
        while let Some(number) = self.openings.find(session, subsession) {
            self.openings.backlog.take_out(|one| *one == number);
            if let Some((session, frame)) = self.openings.remove(number) {
                self.take_frame(session, &frame, turn);
            }
        }
    }

    /// Puts back what waited in an earlier process.
    pub(super) fn restore_opening(
        &mut self,
        number: u64,
        (session, text): (SessionKey, String),
        turn: &mut Turn<'_>,
    ) {
        // Of a session that is gone, nothing is left either.
        self.openings.frames.remove(&number);
        self.openings.last = number - 1;
        if let Ok(frame) = Frame::read(&text) {
            self.wait(session, frame, turn);
        }
        self.openings.last = number;
    }

    fn turn_away(&mut self, session: SessionKey, frame: &Frame, turn: &mut Turn<'_>) {
        self.counters.add(Counter::NewTurnedAway);
        let later = self.openings.backlog.turn_away();
        let more = Members::from_iter([("retry_after".to_owned(), later.into())]);
        self.refuse_frame_with(session, frame, (503, "too busy"), more, turn);
    }
}
