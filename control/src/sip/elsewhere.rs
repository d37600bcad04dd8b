//! What our users have with servers elsewhere, beyond the process: registrations, what they have proven themselves
//! with, publications.
//!
//! It is put away whenever it changes, the numbers of REGISTERs included. The next process goes on under the same
//! Call-ID with higher numbers, so that a registrar has one and the same binding. Refreshes stay where they were in
//! time; what was missed, and what was granted over a connection that went with the process, is asked for anew: for
//! a few users at once, for many one after the other, and first for those who have the least time left.
//! Nonces are not kept: it is not known how often they were answered, so the next challenge is met.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::api::{Action, Millis};
use super::digest::Credentials;
use super::machine::Sip;
use super::outgoing::user_key;
use super::publication::Publication;
use super::registration::Registration;

/// Users whose registrations are made anew at once; others wait for their turn.
const AT_ONCE: usize = 32;
/// Between two of those that wait: a hundred users a second, which any registrar bears.
const PACE_MS: Millis = 10;
/// Publications go by the ways that registrations have brought.
const PUBLISH_AFTER_MS: Millis = 2_000;

/// What one user has.
#[derive(Serialize, Deserialize)]
struct Elsewhere {
    registration: Option<Registration>,
    credentials: Option<Credentials>,
    publications: Vec<(String, Publication)>,
}

impl Sip {
    /// Who has something else elsewhere since this was last asked.
    pub fn changed_elsewhere(&mut self) -> Vec<String> {
        let changed = std::mem::take(&mut self.changed_elsewhere);
        changed.into_iter().collect()
    }

    /// Everybody who has something elsewhere.
    pub fn users_elsewhere(&self) -> Vec<String> {
        let mut users: BTreeSet<String> = self.registrations.keys().cloned().collect();
        users.extend(self.publications.users());
        users.into_iter().collect()
    }

    /// What a user has elsewhere, as text with secrets in it; `None`: nothing.
    pub fn saved_elsewhere(&self, user: &str) -> Option<String> {
        let registration = self.registrations.get(user).map(Registration::saved);
        let publications = self.publications.saved_of(user);
        if registration.is_none() && publications.is_empty() {
            return None;
        }
        let account = self.accounts.get(user);
        let credentials = account.and_then(|account| account.credentials.clone());
        let kept = Elsewhere {
            registration,
            credentials,
            publications,
        };
        serde_json::to_string(&kept).ok()
    }

    /// Takes back what a user has elsewhere. `false`: the text is none. When all is taken back, call
    /// [`Sip::restored`].
    pub fn restore_elsewhere(&mut self, user: &str, text: &str) -> bool {
        let Ok(kept) = serde_json::from_str::<Elsewhere>(text) else {
            return false;
        };
        if let Some(registration) = kept.registration {
            let registration = registration.restored();
            self.registrations.insert(user.to_owned(), registration);
        }
        if kept.credentials.is_some() {
            let account = self.accounts.entry(user.to_owned()).or_default();
            account.credentials = kept.credentials;
        }
        self.publications.restore(kept.publications);
        true
    }

    /// A session of this user (the user part) has outlived the process: its registration is kept up, and made anew if
    /// it was lost. Without effect where users belong to no registrar.
    pub fn keep_registered(&mut self, user: &str) {
        let key = user_key(user);
        let known = self.registrations.contains_key(&key);
        let full = self.registrations.len() >= self.settings.limits.users;
        let Some(upstream) = self.settings.upstream.as_ref().filter(|_| !known && !full) else {
            return;
        };
        if upstream.registrar.is_some() {
            let (expires_s, ids) = (upstream.expires_s, (self.random.text(), self.random.text()));
            let mut registration = Registration::new(ids.0, ids.1, expires_s);
            registration.again_at = Some(0);
            self.registrations.insert(key, registration);
        }
    }

    /// All that outlived the process is taken back, and all users with a session are known: what is overdue is done,
    /// and what belongs to nobody any more is given up.
    pub fn restored(&mut self, now: Millis, out: &mut Vec<Action>) {
        for user in self.users_elsewhere() {
            if !self.locals.contains(&user) {
                self.unpublish(&user, now, out);
                self.unregister(&user, now, out);
            }
        }
        let overdue = self.registrations.iter().filter(|(_, found)| {
            found.asking.is_none() && found.again_at.is_some_and(|at| at <= now)
        });
        let mut overdue: Vec<(Millis, String)> = overdue
            .map(|(user, found)| (found.granted_until(), user.clone()))
            .collect();
        overdue.sort();
        let overdue = overdue.into_iter().map(|(_, user)| user).collect();
        self.register_anew(overdue, now, out);
        for user in self.registrations.keys().cloned().collect::<Vec<_>>() {
            self.rearm_registration(&user);
        }
        self.restored_publications(now + PUBLISH_AFTER_MS, PACE_MS);
    }

    /// Registers these users again: the first ones at once, the others one after the other.
    pub(super) fn register_anew(&mut self, users: Vec<String>, now: Millis, out: &mut Vec<Action>) {
        for (place, user) in users.into_iter().enumerate() {
            let wait_ms = (place + 1).saturating_sub(AT_ONCE) as Millis * PACE_MS;
            if let Some(registration) = self.registrations.get_mut(&user) {
                registration.again_at = Some(now + wait_ms);
            }
            self.next_register(&user, now, out);
        }
    }
}
