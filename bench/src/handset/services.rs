//! What needs no call: telling what this handset can do (OPTIONS), and single messages (MESSAGE) with what
//! became of them. RFC 3261, 11; RFC 3428; RFC 3840; RFC 5438.

use std::time::Instant;

use super::agent::Agent;
use super::calls::Besides;
use super::console::Event;
use super::cpim::{self, Envelope};
use super::sip::dialog::short_name;
use super::sip::{ClientKey, Message, ServerKey, Start, Uri, token};

/// Requests that wait for their answers at a time.
const PENDING_MAX: usize = 64;

/// Octets of a text that goes as a MESSAGE: RFC 3428, 8.
const PAGER_BYTES_MAX: usize = 1300;

/// A request that waits for its answer.
pub enum Pending {
    /// What can this one do?
    Options { of: String },
    /// A message of ours.
    Text { id: String },
    /// What became of a message of theirs. Nobody waits for it.
    Notification,
}

/// How this handset behaves.
#[derive(Debug, Clone)]
pub struct Services {
    /// What it can do, as parameters of a Contact.
    pub tags: String,
    /// OPTIONS is answered with this status instead of 200.
    pub absent: Option<u16>,
    /// Single messages are answered with this status instead of 200.
    pub refuses: Option<u16>,
    /// Whether senders who ask for it are told what became of their messages.
    pub notifies: bool,
}

impl Agent {
    /// Somebody wants to know what this handset can do.
    pub(super) fn asked(&mut self, key: &ServerKey, request: &Message, now: Instant) {
        let from = short_name(request.header("From").unwrap_or(""));
        let tags = tags_of(request.header("Contact").unwrap_or(""));
        self.tell(Event::Asked { from, tags });
        let status = self.settings.services.absent.unwrap_or(200);
        let mut response = Message::response(request, status, &token(6));
        if status == 200 {
            let tags = &self.settings.services.tags;
            response.push("Contact", format!("<{}>{tags}", self.contact));
            response.push("Allow", super::calls::ALLOW);
            response.push("Accept", "application/sdp");
        }
        self.transactions
            .respond(key, response, now, &mut self.outputs);
    }

    /// A single message comes in.
    pub(super) fn text_received(&mut self, key: &ServerKey, request: &Message, now: Instant) {
        let from = short_name(request.header("From").unwrap_or(""));
        let content_type = request.header("Content-Type").unwrap_or("");
        if let Some(status) = self.settings.services.refuses {
            return self.answer(key, request, status, now);
        }
        if let Some((id, status)) = cpim::notification_of(content_type, &request.body) {
            self.answer(key, request, 200, now);
            return self.tell(Event::Notified { from, id, status });
        }
        let Some(text) = cpim::text_of(content_type, &request.body) else {
            return self.answer(key, request, 415, now);
        };
        let envelope = Envelope::of(content_type, &request.body).unwrap_or_default();
        let sender = request.address("From").map(|address| address.uri);
        self.answer(key, request, 200, now);
        let id = envelope.id.clone();
        self.tell(Event::Text { from, id, text });
        let sender = sender.as_deref().and_then(Uri::parse);
        self.notify(sender, &envelope, now);
    }

    /// Tells who has sent a message what became of it. RFC 5438, 7.2.1: one notification of a kind, and of those that were
    /// asked for.
    pub(super) fn notify(&mut self, sender: Option<Uri>, envelope: &Envelope, now: Instant) {
        let Some(sender) = sender.filter(|_| self.settings.services.notifies) else {
            return;
        };
        for (wanted, status) in [("positive-delivery", "delivered"), ("display", "displayed")] {
            if envelope.wants(wanted) {
                let own = self.settings.aor.to_string();
                let body = cpim::notification(&own, &sender.to_string(), envelope, status);
                self.message(&sender, "message/cpim", body, Pending::Notification, now);
            }
        }
    }

    /// Asks what somebody can do.
    pub(super) fn ask(&mut self, of: &Uri, now: Instant) {
        let tags = self.settings.services.tags.clone();
        let mut options = self.out_of_dialog("OPTIONS", of);
        options.push("Contact", format!("<{}>{tags}", self.contact));
        options.push("Accept-Contact", format!("*{tags}"));
        options.push("Accept", "application/sdp");
        let pending = Pending::Options { of: of.to_string() };
        self.send_request(options, of, pending, now);
    }

    /// Sends a text, in an envelope that asks what becomes of it.
    pub(super) fn send_text(&mut self, to: &Uri, text: &str, now: Instant) {
        if text.len() > PAGER_BYTES_MAX {
            return self.invite(to, None, None, Some(Besides::Large(text.to_owned())), now);
        }
        let id = token(12);
        let body = cpim::wrap(&self.settings.aor.to_string(), &to.to_string(), &id, text);
        self.message(to, "message/cpim", body, Pending::Text { id }, now);
    }

    /// Takes the answer to one of these requests; `None` when none came. Whether it was one at all.
    pub(super) fn service_answer(&mut self, key: &ClientKey, response: Option<&Message>) -> bool {
        if !self.pending.contains_key(key) {
            return false;
        }
        let status = response.map_or(408, |response| response.status().unwrap_or(0));
        if status < 200 {
            return true;
        }
        match self.pending.remove(key) {
            Some(Pending::Options { of }) => {
                let contact = response.and_then(|response| response.header("Contact"));
                let tags = tags_of(contact.unwrap_or(""));
                self.tell(Event::Capabilities { of, status, tags });
            }
            Some(Pending::Text { id }) => self.tell(Event::TextAnswered { id, status }),
            Some(Pending::Notification) | None => {}
        }
        true
    }

    fn message(&mut self, to: &Uri, kind: &str, body: Vec<u8>, pending: Pending, now: Instant) {
        let mut message = self.out_of_dialog("MESSAGE", to);
        message.set_body(kind, body);
        self.send_request(message, to, pending, now);
    }

    fn out_of_dialog(&self, method: &str, to: &Uri) -> Message {
        let mut request = Message::request(method, &to.to_string());
        request.push("Via", self.via());
        request.push("Max-Forwards", "70");
        request.push("From", format!("<{}>;tag={}", self.settings.aor, token(6)));
        request.push("To", format!("<{to}>"));
        request.push("Call-ID", token(12));
        request.push("CSeq", format!("1 {method}"));
        request.push("User-Agent", super::USER_AGENT);
        request
    }

    fn send_request(&mut self, request: Message, to: &Uri, pending: Pending, now: Instant) {
        let Some(flow) = self.flow_to(to) else {
            return self.problem(format!("can't reach {to}: start with --registrar"));
        };
        if self.pending.len() >= PENDING_MAX {
            return self.problem("too many requests wait for their answers".to_owned());
        }
        let key = self
            .transactions
            .request(request, flow, now, &mut self.outputs);
        self.pending.insert(key, pending);
    }

    /// A request outside of any dialog that is no call. Whether it was one.
    pub(super) fn service_request(
        &mut self,
        key: &ServerKey,
        request: &Message,
        now: Instant,
    ) -> bool {
        match &request.start {
            Start::Request { method, .. } if method == "OPTIONS" => self.asked(key, request, now),
            Start::Request { method, .. } if method == "MESSAGE" => {
                self.text_received(key, request, now);
            }
            _ => return false,
        }
        true
    }
}

/// The parameters of a Contact.
fn tags_of(contact: &str) -> String {
    let behind = contact.rsplit('>').next().filter(|_| contact.contains('>'));
    behind.unwrap_or("").trim_start_matches(';').to_owned()
}
