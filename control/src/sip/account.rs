//! Who our users are to whoever challenges them: credentials, and challenges that were met before.
//!
//! A challenge that was met once is answered in advance from then on (RFC 3261, 22.2; RFC 7616, 3.6), its
//! nonce count going up, until another one comes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::api::ClientId;
use super::digest::{Asked, Challenge, Credentials, Secret};
use super::machine::Sip;
use super::message::Message;
use super::tables::ClientOwner;

/// Challenges kept for one user; a request passes few realms.
const CHALLENGES_MAX: usize = 4;

/// Secrets of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// For whoever of our users is challenged in this realm.
    pub by_realm: BTreeMap<String, Credentials>,
    /// For this user, in any realm.
    pub by_user: BTreeMap<String, Credentials>,
}

/// What is known of one user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Account {
    /// What the user has proven itself with.
    pub credentials: Option<Credentials>,
    met: Vec<Met>,
}

/// A challenge that was met.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Met {
    challenge: Challenge,
    /// How often its nonce was answered.
    count: u32,
}

impl Account {
    /// Takes in a challenge; its nonce was answered so often before.
    fn meet(&mut self, challenge: &Challenge) {
        let same = |met: &Met| {
            met.challenge.realm == challenge.realm && met.challenge.by_proxy == challenge.by_proxy
        };
        match self.met.iter_mut().find(|met| same(met)) {
            Some(met) if met.challenge.nonce == challenge.nonce => {
                met.challenge = challenge.clone();
            }
            Some(met) => {
                *met = Met {
                    challenge: challenge.clone(),
                    count: 0,
                };
            }
            None => {
                if self.met.len() >= CHALLENGES_MAX {
                    self.met.remove(0);
                }
                self.met.push(Met {
                    challenge: challenge.clone(),
                    count: 0,
                });
            }
        }
    }
}

impl Sip {
    /// The credentials for a challenge to a request of `user`'s. A REGISTER by which a browser is to prove
    /// itself counts on what that browser gave, and on nothing that another one gave before.
    fn credentials(&self, owner: ClientOwner, user: &str, realm: &str) -> Option<Credentials> {
        let secrets = &self.settings.secrets;
        let configured = || {
            let found = secrets.by_user.get(user).or(secrets.by_realm.get(realm));
            found.cloned()
        };
        let asking = self
            .registrations
            .get(user)
            .and_then(|registration| registration.asking.as_ref());
        let own = match (owner, asking) {
            (ClientOwner::Registration, Some(asking)) if asking.attempt.is_some() => {
                asking.credentials.clone()
            }
            _ => self
                .accounts
                .get(user)
                .and_then(|known| known.credentials.clone()),
        };
        own.or_else(configured)
    }

    /// Whether a request of `user`'s may carry answers to challenges that were met before.
    fn answers_in_advance(&self, owner: ClientOwner, user: &str) -> bool {
        let asking = self
            .registrations
            .get(user)
            .and_then(|found| found.asking.as_ref());
        match (owner, asking) {
            (ClientOwner::Registration, Some(asking)) => asking.attempt.is_none(),
            (ClientOwner::Registration, None)
            | (
                ClientOwner::Gateway(_)
                | ClientOwner::Nobody(Some(_))
                | ClientOwner::Refresh(_)
                | ClientOwner::Subscription { .. }
                | ClientOwner::Notify(_)
                | ClientOwner::Publication
                | ClientOwner::Prack(_),
                _,
            ) => true,
            (ClientOwner::Proxy(_) | ClientOwner::Probe | ClientOwner::Nobody(None), _) => false,
        }
    }

    /// Adds the answers to what challenges `user`'s requests are known to meet.
    pub(super) fn authorize(&mut self, request: &mut Message, owner: ClientOwner, user: &str) {
        if !self.answers_in_advance(owner, user) {
            return;
        }
        let known = self.accounts.get(user).map(|account| account.met.clone());
        for Met { challenge, .. } in known.unwrap_or_default() {
            self.add_answer(request, owner, user, &challenge);
        }
    }

    /// The same for whoever is in From.
    pub(super) fn authorize_request(&mut self, request: &mut Message, owner: ClientOwner) {
        if !self.accounts.is_empty()
            && let Some(user) = user_of_from(request)
        {
            self.authorize(request, owner, &user);
        }
    }

    /// Adds the answer to one challenge. `false`: there are no credentials for it.
    fn add_answer(
        &mut self,
        request: &mut Message,
        owner: ClientOwner,
        user: &str,
        challenge: &Challenge,
    ) -> bool {
        let Some(credentials) = self.credentials(owner, user, &challenge.realm) else {
            return false;
        };
        let cnonce = self.random.text();
        let account = self.accounts.entry(user.to_owned()).or_default();
        account.meet(challenge);
        let same = |met: &&mut Met| met.challenge == *challenge;
        let Some(met) = account.met.iter_mut().find(same) else {
            return false;
        };
        met.count = met.count.saturating_add(1);
        let count = met.count;
        let method = request.method();
        let asked = Asked {
            method: method.as_str(),
            uri: request.request_uri(),
            body: &request.body,
        };
        match challenge.answer(&credentials, asked, count, &cnonce) {
            Some(value) => {
                request.push(challenge.answer_header(), value);
                true
            }
            None => false,
        }
    }

    /// The request `id`, which was refused 401 or 407 by `response`, as it can be sent again: with
    /// answers, without Via and with its former CSeq. `None`: there is nothing (more) to be said.
    pub(super) fn answered(&mut self, id: ClientId, response: &Message) -> Option<Message> {
        let client = self.clients.of(id)?;
        let owner = client.owner;
        let challenges = Challenge::all_of(response);
        let refused = |challenge: &Challenge| {
            client.tries.answered.contains(&challenge.realm) && !challenge.stale
        };
        if challenges.is_empty() || challenges.iter().any(refused) {
            return None;
        }
        let mut request = client.request.clone();
        request.headers.remove(0);
        let user = user_of_from(&request)?;
        let ready = |challenge: &Challenge| match self.credentials(owner, &user, &challenge.realm) {
            // It was sent with the request, and refused.
            Some(credentials) => !matches!(credentials.secret, Secret::Answer(_)),
            None => false,
        };
        if !challenges.iter().all(ready) {
            return None;
        }
        for challenge in &challenges {
            let of_realm = format!("realm=\"{}\"", challenge.realm);
            let header = challenge.answer_header();
            request
                .headers
                .retain(|(name, value)| name != header || !value.contains(&of_realm));
            if !self.add_answer(&mut request, owner, &user, challenge) {
                return None;
            }
        }
        let realms = challenges.into_iter().map(|challenge| challenge.realm);
        let client = self.clients.of_mut(id)?;
        client.tries.answered.extend(realms);
        Some(request)
    }
}

/// The key of the user in From.
pub(super) fn user_of_from(request: &Message) -> Option<String> {
    super::incoming::user_of(&request.from_uri())
}
