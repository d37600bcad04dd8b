//! What must outlive the process: each session's counters, and the frames its browser has not confirmed.

use serde::{Deserialize, Serialize};

use super::super::SessionKey;
use super::super::session::{Session, SessionHead, State};
use super::{Browsers, Timer};
use crate::limits::Millis;

/// A change to what is kept of sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Saved {
    /// The session is as follows. Its frames below `head.first` are confirmed.
    Session {
        /// Which.
        key: SessionKey,
        /// Everything but its frames.
        head: SessionHead,
    },
    /// A frame is kept for the browser.
    Frame {
        /// Whose.
        key: SessionKey,
        /// Its number.
        sequence: u32,
        /// As it was sent.
        text: String,
    },
    /// The session is over.
    Ended {
        /// Which.
        key: SessionKey,
    },
}

impl Browsers {
    /// What has changed since this was last asked.
    pub fn take_changes(&mut self, out: &mut Vec<Saved>) {
        for key in std::mem::take(&mut self.changed) {
            match self.sessions.get_mut(&key) {
                Some(session) => session.save(key, out),
                None => out.push(Saved::Ended { key }),
            }
        }
    }

    /// Nobody wants to know what has changed.
    pub fn forget_changes(&mut self) {
        self.changed.clear();
    }

    /// Everything there is.
    pub fn all(&mut self, out: &mut Vec<Saved>) {
        self.changed.clear();
        let mut sessions: Vec<_> = self.sessions.iter_mut().collect();
        sessions.sort_unstable_by_key(|(key, _)| **key);
        for (&key, session) in sessions {
            session.forget_saved();
            session.save(key, out);
        }
    }

    /// Takes a session of an earlier process back; its browser is awaited from now on.
    pub fn restore(
        &mut self,
        key: SessionKey,
        head: SessionHead,
        frames: Vec<(u32, String)>,
        now: Millis,
    ) {
        let mut session = Session::restored(head, frames, State::Detached { until: now });
        let until = now + session.parked_ms().unwrap_or(self.limits.disconnect_ms);
        session.set_state(State::Detached { until });
        self.last_key = self.last_key.max(key.0);
        self.by_id.insert(session.id().to_owned(), key);
        let user = session.user().to_owned();
        self.by_user.entry(user).or_default().push(key);
        self.timers.set(Timer::Session(key), Some(until));
        self.sessions.insert(key, session);
    }
}
