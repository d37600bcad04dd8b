//! What our users publish: state that a server elsewhere keeps for them as long as it is refreshed. RFC 3903.
//!
//! A user has one publication of an event package at most. It is put there by the gateway's PUBLISH, is refreshed and, where
//! the server has lost it (412), put there again, until the user goes ([`Sip::remove_local`]) or the gateway's
//! `Expires: 0`. While a PUBLISH is under way, the last one that was asked for meanwhile waits.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::api::{Action, ClientId, Event, Failure, Millis, OutRequest, Refused, Sent};
use super::compose::{caller_address, expires_value};
use super::machine::Sip;
use super::message::Message;
use super::responses::leading_number;
use super::subscribing::{expires_of, set_expires};
use super::tables::ClientOwner;
use super::timers::TimerOf;
use super::uri::SipUri;

/// What is asked for if nobody says how long, in seconds.
const EXPIRES_S: u32 = 3_600;
/// The pause before what has failed is tried again, unless the server says how long.
const AGAIN_MS: Millis = 60_000;

/// All publications.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Publications {
    by_key: BTreeMap<String, Publication>,
    /// Which one a PUBLISH under way is of.
    asked: HashMap<ClientId, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Publication {
    user: String,
    /// As the gateway asked, with the body.
    request: OutRequest,
    /// The server has not confirmed that it has this body.
    #[serde(default)]
    unsent: bool,
    /// What the server knows it by.
    etag: Option<String>,
    client: Option<ClientId>,
    /// To be sent once the one under way is answered; `None`, a refresh.
    next: Option<(Option<ClientId>, OutRequest)>,
    again_at: Option<Millis>,
}

impl Publication {
    /// As it is to be kept. Nobody will hear what becomes of what is under way: it is sent again, whole.
    fn saved(&self) -> Publication {
        let mut saved = self.clone();
        if saved.client.take().is_some() {
            if let Some((_, request)) = saved.next.take() {
                saved.request = request;
            }
            (saved.unsent, saved.again_at) = (true, Some(0));
        }
        saved
    }
}

impl Publications {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whose there are.
    pub fn users(&self) -> impl Iterator<Item = String> {
        self.by_key.values().map(|known| known.user.clone())
    }

    /// A user's, with their keys, as they are to be kept.
    pub fn saved_of(&self, user: &str) -> Vec<(String, Publication)> {
        let range = self.by_key.range(format!("{user}\n")..);
        let of_user = range.take_while(|(_, known)| known.user == user);
        of_user
            .map(|(key, known)| (key.clone(), known.saved()))
            .collect()
    }

    /// Takes back what was kept.
    pub fn restore(&mut self, kept: Vec<(String, Publication)>) {
        self.by_key.extend(kept);
    }
}

impl Sip {
    /// Sends a PUBLISH of the gateway's.
    pub(super) fn publish(
        &mut self,
        request: OutRequest,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<Sent, Refused> {
        let from = caller_address(&request.from)?;
        let user = from.uri.as_sip().and_then(SipUri::user_key);
        let user = user.ok_or(Refused::Malformed("the From"))?;
        let mut headers = request.headers.iter();
        let event = headers.find(|(name, _)| name.eq_ignore_ascii_case("Event"));
        let Some((_, event)) = event else {
            return Err(Refused::Malformed("the Event"));
        };
        let key = format!("{user}\n{event}");
        let client = ClientId(self.next_id());
        let sent = Sent {
            client,
            dialog: None,
            subscription: None,
        };
        let ends = expires_of(&request) == Some(0);
        if let Some(known) = self.publications.by_key.get_mut(&key) {
            if known.client.is_some() {
                let former = known.next.replace((Some(client), request));
                self.changed_elsewhere.insert(user);
                if let Some((Some(client), _)) = former {
                    let cause = Failure::Cancelled;
                    out.push(Action::Event(Event::Failed { client, cause }));
                }
                return Ok(sent);
            }
            let mut modified = request.clone();
            if ends {
                modified.content = None;
            }
            self.send_publish(&key, client, modified, true, now, out)?;
        } else {
            if self.publications.len() >= self.settings.limits.users {
                return Err(Refused::Full);
            }
            let owner = ClientOwner::Gateway(None);
            let mut first = request.clone();
            if expires_of(&first).is_none() {
                set_expires(&mut first, EXPIRES_S);
            }
            self.open_outside(client, &first, owner, now, out)?;
            self.publications.asked.insert(client, key.clone());
            let publication = Publication {
                user: user.clone(),
                request: first,
                unsent: true,
                etag: None,
                client: Some(client),
                next: None,
                again_at: None,
            };
            self.publications.by_key.insert(key, publication);
            self.changed_elsewhere.insert(user);
            return Ok(sent);
        }
        if let Some(known) = self.publications.by_key.get_mut(&key) {
            (known.request, known.unsent) = (request, true);
        }
        Ok(sent)
    }

    /// Sends a PUBLISH for what is published: whole where the server does not have it.
    fn send_publish(
        &mut self,
        key: &str,
        client: ClientId,
        mut request: OutRequest,
        asked: bool,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<(), Refused> {
        let Some(known) = self.publications.by_key.get(key) else {
            return Err(Refused::Misused);
        };
        if expires_of(&request).is_none() {
            set_expires(&mut request, EXPIRES_S);
        }
        if let Some(etag) = &known.etag {
            let condition = ("SIP-If-Match".to_owned(), etag.clone());
            request.headers.push(condition);
        }
        let owner = match asked {
            true => ClientOwner::Gateway(None),
            false => ClientOwner::Publication,
        };
        self.open_outside(client, &request, owner, now, out)?;
        self.publications.asked.insert(client, key.to_owned());
        if let Some(known) = self.publications.by_key.get_mut(key) {
            (known.client, known.again_at) = (Some(client), None);
        }
        self.rearm_publication(key);
        Ok(())
    }

    /// The publications of a user who goes are taken back.
    pub(super) fn unpublish(&mut self, user: &str, now: Millis, out: &mut Vec<Action>) {
        let range = self.publications.by_key.range(format!("{user}\n")..);
        let of_user = range.take_while(|(_, known)| known.user == user);
        let keys: Vec<String> = of_user.map(|(key, _)| key.clone()).collect();
        for key in keys {
            let Some(known) = self.publications.by_key.get_mut(&key) else {
                continue;
            };
            let mut last = known.request.clone();
            last.content = None;
            set_expires(&mut last, 0);
            if known.client.is_some() {
                known.next = Some((None, last));
                continue;
            }
            known.request = last.clone();
            let client = ClientId(self.next_id());
            let known = self.publications.by_key.get(&key);
            let has_it = known.is_some_and(|known| known.etag.is_some());
            if !has_it
                || self
                    .send_publish(&key, client, last, false, now, out)
                    .is_err()
            {
                self.forget_publication(&key);
            }
        }
    }

    /// The server does not have what a PUBLISH of ours was about (412): the request as it puts it there. RFC 3903, 4.5.
    pub(super) fn published_anew(&mut self, id: ClientId) -> Option<Message> {
        let mut request = self.clients.of(id)?.request.clone();
        request.headers.remove(0);
        let key = self.publications.asked.get(&id)?;
        let known = self.publications.by_key.get_mut(key)?;
        known.etag = None;
        if expires_of(&known.request) == Some(0) {
            // It was to be taken back, and is not there.
            return None;
        }
        request.header("SIP-If-Match")?;
        request.remove("SIP-If-Match");
        if let Some((kind, body)) = &known.request.content {
            request.remove("Content-Type");
            request.push("Content-Type", kind.as_str());
            request.body.clone_from(body);
        }
        Some(request)
    }

    /// A PUBLISH of ours was answered, or (`None`) was not.
    pub(super) fn on_publish_response(
        &mut self,
        id: ClientId,
        response: Option<&Message>,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(key) = self.publications.asked.remove(&id) else {
            return;
        };
        let Some(known) = self.publications.by_key.get_mut(&key) else {
            return;
        };
        known.client = None;
        let ends = expires_of(&known.request) == Some(0);
        let number = |name: &str| {
            response
                .and_then(|found| found.header(name))
                .and_then(leading_number)
        };
        match response.map_or(408, Message::code) {
            200..300 if ends => {
                known.etag = None;
            }
            200..300 => {
                let etag = response.and_then(|found| found.header("SIP-ETag"));
                known.etag = etag.map(str::to_owned);
                known.unsent = false;
                let asked = expires_value(&known.request.headers).and_then(leading_number);
                let granted = number("Expires").or(asked);
                let granted = granted.unwrap_or(u64::from(EXPIRES_S)).clamp(2, 10_000_000);
                let span_ms = granted * 1000;
                let wait_ms = (span_ms / 2).max(span_ms.saturating_sub(600_000));
                known.again_at = Some(now + wait_ms);
            }
            408 | 480 | 500.. if !ends => {
                let wait_ms = number("Retry-After").map(|s| s.clamp(1, 3_600) * 1000);
                known.again_at = Some(now + wait_ms.unwrap_or(AGAIN_MS));
            }
            // The server does not want it: it is not asked again.
            _ => known.again_at = None,
        }
        let next = known.next.take();
        let (etag, again) = (known.etag.is_some(), known.again_at.is_some());
        match next {
            Some((client, request)) => {
                let asked = client.is_some();
                let client = client.unwrap_or_else(|| ClientId(self.next_id()));
                if let Some(known) = self.publications.by_key.get_mut(&key) {
                    (known.request, known.unsent) = (request.clone(), true);
                }
                let gone = expires_of(&request) == Some(0) && !etag;
                if gone
                    || self
                        .send_publish(&key, client, request, asked, now, out)
                        .is_err()
                {
                    if asked {
                        let cause = Failure::Transport;
                        out.push(Action::Event(Event::Failed { client, cause }));
                    }
                    self.forget_publication(&key);
                }
            }
            None if again => self.rearm_publication(&key),
            None => self.forget_publication(&key),
        }
    }

    /// A publication is refreshed: without its body, where the server has it.
    pub(super) fn publication_timeout(&mut self, key: &str, now: Millis, out: &mut Vec<Action>) {
        let Some(known) = self.publications.by_key.get_mut(key) else {
            return;
        };
        known.again_at = None;
        let mut request = known.request.clone();
        if known.etag.is_some() && !known.unsent {
            request.content = None;
        }
        let client = ClientId(self.next_id());
        if self
            .send_publish(key, client, request, false, now, out)
            .is_err()
            && let Some(known) = self.publications.by_key.get_mut(key)
        {
            known.again_at = Some(now + AGAIN_MS);
            self.rearm_publication(key);
        }
    }

    /// Those that were taken back go on: what is overdue, at this time and later, each so long after the other.
    pub(super) fn restored_publications(&mut self, from: Millis, pace_ms: Millis) {
        let mut at = from;
        let gone = |known: &Publication| {
            known.client.is_none() && known.etag.is_none() && expires_of(&known.request) == Some(0)
        };
        self.publications.by_key.retain(|_, known| !gone(known));
        for known in self.publications.by_key.values_mut() {
            if known.client.is_none() && known.again_at.is_some_and(|again| again <= from) {
                known.again_at = Some(at);
                at += pace_ms;
            }
        }
        for key in self.publications.by_key.keys().cloned().collect::<Vec<_>>() {
            self.rearm_publication(&key);
        }
    }

    fn rearm_publication(&mut self, key: &str) {
        let known = self.publications.by_key.get(key);
        let at = known.and_then(|known| known.again_at);
        self.publication_changed(key);
        self.timers.set(TimerOf::Publication(key.to_owned()), at);
    }

    fn publication_changed(&mut self, key: &str) {
        if let Some((user, _)) = key.split_once('\n') {
            self.changed_elsewhere.insert(user.to_owned());
        }
    }

    fn forget_publication(&mut self, key: &str) {
        self.publication_changed(key);
        self.publications.by_key.remove(key);
        self.timers.set(TimerOf::Publication(key.to_owned()), None);
    }
}
