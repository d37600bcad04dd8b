//! What peers send: requests find their transaction, their dialog, or who is to serve them.

use super::api::{Action, DialogId, Event, Flow, Millis, ServerId, SipTransport};
use super::compose::{ALLOW, SUPPORTED, response, sip_uri, sip_uri_of};
use super::dialog::Dialog;
use super::machine::Sip;
use super::message::Message;
use super::method::Method;
use super::overload::is_new_work;
use super::reader::{Fault, Head, read};
use super::registrar::Outcome;
use super::reliable::Reliable;
use super::session_timer::{MIN_SE_S, lists};
use super::subscription::EventName;
use super::tables::{Server, ServerOwner, server_key};
use super::transaction::server;
use super::uri::{SipUri, Uri};
use super::via::Via;

/// A request that passed the reader.
#[derive(Debug)]
pub(super) struct Incoming {
    pub message: Message,
    pub head: Head,
    pub flow: Flow,
}

impl Sip {
    /// One datagram, or one message a [`super::Framer`] cut out of a stream.
    pub fn receive(&mut self, flow: Flow, message: &[u8], now: Millis, out: &mut Vec<Action>) {
        let oversized = message.len() > self.settings.limits.message_bytes;
        match read(message) {
            Ok((message, head)) if !oversized => {
                if message.is_request() {
                    let mut incoming = Incoming {
                        message,
                        head,
                        flow,
                    };
                    incoming.head.via.note_source(flow.peer);
                    note_source(&mut incoming.message, flow);
                    self.believe(&mut incoming.message, flow);
                    self.on_request(incoming, now, out);
                } else {
                    self.on_response(message, head, flow, now, out);
                }
            }
            Ok((message, _)) => self.on_fault(message, Fault::TooLarge, flow, out),
            Err((fault, Some(message))) => self.on_fault(message, fault, flow, out),
            Err((_, None)) => {}
        }
    }

    /// A broken request is answered as far as it can be; a broken response is forgotten.
    fn on_fault(&self, mut message: Message, fault: Fault, flow: Flow, out: &mut Vec<Action>) {
        let Some((code, reason)) = fault.status() else {
            return;
        };
        if !message.is_request() || message.method() == Method::Ack {
            return;
        }
        let reply_flow = match message.header_values("Via").next().map(Via::parse) {
            Some(Ok(mut via)) => {
                via.note_source(flow.peer);
                via.reply_flow(flow)
            }
            // Its Via says nothing: back to where it came from.
            Some(Err(_)) | None => flow,
        };
        note_source(&mut message, flow);
        let tag = self.random.derived(&[message.call_id()]);
        let response = response(&message, code, reason, &tag);
        out.push(Action::Transmit {
            flow: reply_flow,
            bytes: response.print(),
        });
    }

    fn on_request(&mut self, incoming: Incoming, now: Millis, out: &mut Vec<Action>) {
        let method = incoming.head.method.clone();
        let of = if method == Method::Ack {
            Method::Invite
        } else {
            method.clone()
        };
        let key = server_key(&incoming.message, &incoming.head, &of);
        if let Some(id) = self.servers.find(&key) {
            let timing = self.settings.timing;
            let Some(server) = self.servers.of_mut(id) else {
                return;
            };
            if method != Method::Ack {
                if server.machine.repeated() == server::Step::Repeat
                    && let Some(bytes) = server.last.clone()
                {
                    out.push(Action::Transmit {
                        flow: server.flow,
                        bytes,
                    });
                }
                return;
            }
            let of_dialog = server.machine.ack(&timing, now);
            self.rearm_server(id);
            if !of_dialog {
                return;
            }
        }
        match method {
            Method::Ack => return self.on_ack(incoming, now, out),
            Method::Cancel => return self.on_cancel(incoming, now, out),
            _ if self.overload.holds(&key) => return,
            _ => {}
        }
        if !self.has_room() {
            return self.refuse(&incoming, 503, None, &[("Retry-After", "5")], out);
        }
        let uri = match Uri::parse(incoming.message.request_uri()) {
            Ok(Uri::Sip(uri)) if !uri.secure || incoming.flow.transport == SipTransport::Tls => uri,
            Ok(_) | Err(_) => return self.refuse(&incoming, 416, None, &[], out),
        };
        if let Some(dialog) = self.dialog_of(&incoming) {
            return self.on_dialog_request(incoming, dialog, now, out);
        }
        let source = incoming.flow.peer.ip();
        if incoming.head.to.tag().is_none() {
            if let Some(later) = self.is_shut_out(source, now) {
                let later = later.to_string();
                return self.refuse(&incoming, 503, None, &[("Retry-After", &later)], out);
            }
            if is_new_work(&method, &uri) {
                return self.wait(key, incoming, uri, now, out);
            }
        }
        self.on_new_request(incoming, uri, now, out);
    }

    /// A request outside of all dialogs here that is served now.
    pub(super) fn on_new_request(
        &mut self,
        mut incoming: Incoming,
        uri: SipUri,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let trusted = self.pop_routes(&mut incoming.message);
        if self.is_ours(&uri) {
            self.on_own_request(incoming, uri, now, out);
        } else {
            self.forward_elsewhere(incoming, uri, trusted, now, out);
        }
    }

    pub(super) fn dialog_of(&self, incoming: &Incoming) -> Option<DialogId> {
        let Head { from, to, .. } = &incoming.head;
        let call_id = incoming.message.call_id();
        let found = self
            .dialogs
            .find(call_id, to.tag()?, from.tag().unwrap_or(""));
        // The first NOTIFY opens the dialog.
        let opened = || self.dialogs.find(call_id, to.tag()?, "");
        let opens = incoming.head.method == Method::Notify;
        found.or_else(|| opened().filter(|_| opens))
    }

    /// RFC 3261, 9.2.
    fn on_cancel(&mut self, incoming: Incoming, now: Millis, out: &mut Vec<Action>) {
        let key = server_key(&incoming.message, &incoming.head, &Method::Invite);
        self.begin_now(&key, now, out);
        let Some(invite) = self.servers.find(&key) else {
            return self.refuse(&incoming, 481, None, &[], out);
        };
        if self.servers.len() >= 2 * self.settings.limits.transactions {
            return self.refuse(&incoming, 503, None, &[], out);
        }
        let cancel = self.open_server(&incoming, ServerOwner::Own, now);
        let tag = self.servers.of(invite).map(|server| server.to_tag.clone());
        if let (Some(server), Some(tag)) = (self.servers.of_mut(cancel), tag) {
            server.to_tag = tag;
        }
        self.answer_plainly(cancel, 200, now, out);
        match self.servers.of(invite).map(|server| server.owner) {
            Some(ServerOwner::Gateway(_)) => self.refuse_invite(invite, 487, now, out),
            Some(ServerOwner::Proxy(client)) => self.cancel_client(client, now, out),
            Some(ServerOwner::Own) | None => {}
        }
    }

    /// A request for us or for a user of our domain.
    fn on_own_request(
        &mut self,
        incoming: Incoming,
        uri: SipUri,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let method = &incoming.head.method;
        if *method == Method::Register {
            // Our users belong to another registrar: nobody registers here.
            return match self.registers() {
                true => self.refuse(&incoming, 405, None, &[("Allow", ALLOW)], out),
                false if self.is_proven(&incoming, now, out) => {
                    self.on_register(incoming, now, out);
                }
                false => {}
            };
        }
        if uri.user.is_some() && !self.is_proven(&incoming, now, out) {
            return;
        }
        let Some(user) = uri.user_key() else {
            return match method {
                Method::Options if incoming.head.to.tag().is_none() => {
                    let headers = [("Allow", ALLOW), ("Accept", "application/sdp")];
                    self.refuse(&incoming, 200, None, &headers, out);
                }
                Method::Other(_) => self.refuse(&incoming, 501, None, &[], out),
                _ if incoming.head.to.tag().is_some() => {
                    self.refuse(&incoming, 481, None, &[], out);
                }
                _ => {
                    let allow = [("Allow", "OPTIONS, REGISTER")];
                    self.refuse(&incoming, 405, None, &allow, out);
                }
            };
        };
        if self.locals.contains(&user) {
            return self.deliver(incoming, &uri, now, out);
        }
        match self.registrar.bindings(&user).map(<[_]>::is_empty) {
            Some(false) => self.forward_to_user(incoming, &user, now, out),
            _ if incoming.head.to.tag().is_some() => {
                self.refuse(&incoming, 481, None, &[], out);
            }
            Some(true) => self.refuse(&incoming, 480, None, &[], out),
            None => self.refuse(&incoming, 404, None, &[], out),
        }
    }

    /// A request without dialog for a local user.
    fn deliver(&mut self, incoming: Incoming, uri: &SipUri, now: Millis, out: &mut Vec<Action>) {
        let method = incoming.head.method.clone();
        match method {
            Method::Other(_) => return self.refuse_method(&incoming, out),
            _ if incoming.head.to.tag().is_some() => {
                return self.refuse(&incoming, 481, None, &[], out);
            }
            Method::Subscribe if EventName::of(&incoming.message).is_none() => {
                let known = [("Allow-Events", "refer")];
                return self.refuse(&incoming, 489, None, &known, out);
            }
            Method::Refer if incoming.message.header("Refer-To").is_none() => {
                let why = "a REFER needs one Refer-To";
                return self.refuse(&incoming, 400, Some(why), &[], out);
            }
            Method::Invite
            | Method::Message
            | Method::Options
            | Method::Subscribe
            | Method::Refer => {}
            Method::Bye | Method::Info | Method::Update | Method::Prack | Method::Notify => {
                return self.refuse(&incoming, 481, None, &[], out);
            }
            _ => return self.refuse_method(&incoming, out),
        }
        if self.refuse_extensions(&incoming, out) {
            return;
        }
        let (invite, events) = (method == Method::Invite, method.subscribes());
        if !invite && !events {
            let server = self.open_server(&incoming, ServerOwner::Gateway(None), now);
            let message = incoming.message;
            out.push(Action::Event(Event::Request {
                server,
                dialog: None,
                message,
            }));
            return;
        }
        let contact = incoming
            .message
            .header_values("Contact")
            .next()
            .and_then(sip_uri_of);
        let Some(target) = contact else {
            return self.refuse(&incoming, 400, Some("this needs a SIP Contact"), &[], out);
        };
        if invite && self.is_too_short(&incoming.message) {
            let least = MIN_SE_S.to_string();
            return self.refuse(&incoming, 422, None, &[("Min-SE", &least)], out);
        }
        if self.dialogs.len() >= self.settings.limits.dialogs {
            return self.refuse(&incoming, 503, None, &[("Retry-After", "5")], out);
        }
        let id = DialogId(self.next_id());
        let server = self.open_server(&incoming, ServerOwner::Gateway(Some(id)), now);
        let local_tag = self
            .servers
            .of(server)
            .map(|s| s.to_tag.clone())
            .unwrap_or_default();
        let Incoming {
            message,
            head,
            flow,
        } = incoming;
        let ids = (message.call_id().to_owned(), local_tag);
        let (local, remote) = (head.to.without_tag(), head.from.without_tag());
        let parties = (local.to_string(), remote.to_string());
        let mut dialog = Dialog {
            remote_tag: Some(head.from.tag().unwrap_or("").to_owned()),
            remote_cseq: Some(head.cseq),
            contact_user: uri.user.clone(),
            routes: message
                .header_values("Record-Route")
                .map(str::to_owned)
                .collect(),
            source: Some(flow),
            their_invite: invite.then_some(server),
            events,
            proposed: (invite && !message.body.is_empty()).then(|| message.body.clone()),
            ..Dialog::new(ids, parties, target.to_string())
        };
        dialog.note_abilities(&message);
        if invite && lists(&message, "Require", "100rel") {
            let first = self.random.number();
            if let Some(server) = self.servers.of_mut(server) {
                server.reliable = Some(Reliable::new(first));
            }
        }
        self.dialogs.insert(id, dialog);
        if invite {
            self.answer_plainly(server, 100, now, out);
        }
        out.push(Action::Event(Event::Request {
            server,
            dialog: Some(id),
            message,
        }));
    }

    fn on_register(&mut self, incoming: Incoming, now: Millis, out: &mut Vec<Action>) {
        let to = incoming.head.to.uri.as_sip().filter(|to| self.is_ours(to));
        let Some(user) = to.and_then(SipUri::user_key) else {
            return self.refuse(&incoming, 404, None, &[], out);
        };
        if self.refuse_extensions(&incoming, out) {
            return;
        }
        let Incoming {
            message,
            head,
            flow,
        } = &incoming;
        let rules = (&self.settings.limits, &self.settings.timing);
        let outcome = self
            .registrar
            .register(&user, message, head.cseq, *flow, rules, now);
        self.rearm_user(user);
        let server = self.open_server(&incoming, ServerOwner::Own, now);
        let Some(tag) = self.servers.of(server).map(|server| server.to_tag.clone()) else {
            return;
        };
        let (code, reason, headers) = match outcome {
            Outcome::Registered(headers) => (200, None, headers),
            Outcome::Refused(code, reason, header) => (code, reason, Vec::from_iter(header)),
        };
        let mut answer = response(&incoming.message, code, reason, &tag);
        answer.headers.extend(headers);
        self.answer(server, &answer, now, out);
    }

    /// Opens a server transaction. The caller has checked the limit.
    pub(super) fn open_server(
        &mut self,
        incoming: &Incoming,
        owner: ServerOwner,
        now: Millis,
    ) -> ServerId {
        let Incoming {
            message,
            head,
            flow,
        } = incoming;
        let reliable = flow.transport.is_stream();
        let invite = head.method == Method::Invite;
        let machine = server::Server::new(invite, reliable, &self.settings.timing, now);
        let key = server_key(message, head, &head.method);
        let tag = self.random.text();
        let id = ServerId(self.next_id());
        self.servers.insert(
            id,
            Server::new(machine, owner, head, (message, *flow), key, tag),
        );
        self.rearm_server(id);
        self.note_request(id);
        id
    }

    /// Answers without keeping any state, always the same. RFC 3261, 8.2.7.
    pub(super) fn refuse(
        &self,
        incoming: &Incoming,
        code: u16,
        reason: Option<&str>,
        headers: &[(&str, &str)],
        out: &mut Vec<Action>,
    ) {
        let Incoming {
            message,
            head,
            flow,
        } = incoming;
        if head.method == Method::Ack {
            return;
        }
        let tag = self
            .random
            .derived(&[message.call_id(), head.via.branch().unwrap_or("")]);
        let mut response = response(message, code, reason, &tag);
        for (name, value) in headers {
            response.push(name, *value);
        }
        let flow = head.via.reply_flow(*flow);
        out.push(Action::Transmit {
            flow,
            bytes: response.print(),
        });
    }

    /// 501 for a method nobody knows, 405 for one that is not for here.
    pub(super) fn refuse_method(&self, incoming: &Incoming, out: &mut Vec<Action>) {
        let code = if matches!(incoming.head.method, Method::Other(_)) {
            501
        } else {
            405
        };
        self.refuse(incoming, code, None, &[("Allow", ALLOW)], out);
    }

    /// 420 if something is required that we don't do.
    pub(super) fn refuse_extensions(&self, incoming: &Incoming, out: &mut Vec<Action>) -> bool {
        let known = match incoming.head.method {
            Method::Invite => SUPPORTED,
            Method::Update => "timer",
            Method::Refer => "norefersub",
            Method::Register => "path",
            _ => "",
        };
        self.refuse_required(incoming, "Require", known, out)
    }

    pub(super) fn refuse_required(
        &self,
        incoming: &Incoming,
        header: &str,
        known: &str,
        out: &mut Vec<Action>,
    ) -> bool {
        let known = |name: &&str| {
            known
                .split(", ")
                .any(|known| known.eq_ignore_ascii_case(name))
        };
        let required = incoming.message.header_values(header);
        let required: Vec<&str> = required.filter(|name| !known(name)).collect();
        if required.is_empty() {
            return false;
        }
        self.refuse(
            incoming,
            420,
            None,
            &[("Unsupported", &required.join(", "))],
            out,
        );
        true
    }
}

/// Writes into the topmost Via where the message came from.
fn note_source(message: &mut Message, flow: Flow) {
    let mut vias: Vec<String> = message.header_values("Via").map(str::to_owned).collect();
    if let Some(first) = vias.first_mut()
        && let Ok(mut via) = Via::parse(first)
    {
        via.note_source(flow.peer);
        *first = via.to_string();
        message.replace("Via", vias);
    }
}

/// The user of our domain a URI names, in its one spelling.
pub(super) fn user_of(text: &str) -> Option<String> {
    sip_uri(text).and_then(|uri| uri.user_key())
}
