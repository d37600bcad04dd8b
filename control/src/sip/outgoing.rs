//! What the gateway asks for: requests and answers.

use super::api::{
    Action, ClientId, DialogId, Event, Failure, Flow, Millis, OutRequest, OutResponse, Refused,
    Sent, ServerId, SipTransport,
};
use super::compose::{add_content, caller_address, contact, response, sip_uri};
use super::dialog::{Answer, Dialog, Phase};
use super::incoming::user_of;
use super::machine::{Sip, bare_request};
use super::message::{Message, StartLine};
use super::method::Method;
use super::responses::next_hop;
use super::tables::{ClientOwner, ServerOwner, Target, reach};

use super::text::is_token;
use super::uri::{Uri, escape_user};

impl Sip {
    /// Requests for `user` (the user part: `alice`) of our domain go to the gateway from now on.
    pub fn add_local(&mut self, user: &str) {
        self.locals.insert(user_key(user));
    }

    /// They don't any more. Dialogs go on.
    pub fn remove_local(&mut self, user: &str) {
        self.locals.remove(&user_key(user));
    }

    /// Sends a request, in a dialog or outside; an INVITE outside opens a dialog.
    ///
    /// Outside a dialog it goes to: a local user, through our own address; else the newest binding of
    /// the Request-URI's user, if the domain is ours; else the URI's numeric host and port. More than
    /// 1300 bytes go over TCP, unless the URI says UDP, and over UDP after all if nobody listens there.
    /// A BYE while our 2xx waits for its ACK goes out when that has come, or not in time. A BYE that is
    /// refused as [`Refused::Unresolvable`] has ended its dialog all the same.
    pub fn request(
        &mut self,
        dialog: Option<DialogId>,
        request: OutRequest,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<Sent, Refused> {
        if matches!(request.method, Method::Ack | Method::Cancel) {
            return Err(Refused::Misused);
        }
        if !self.has_room() {
            return Err(Refused::Full);
        }
        match dialog {
            Some(dialog) => self.request_in_dialog(dialog, request, None, now, out),
            None => self.request_outside(request, now, out),
        }
    }

    fn request_outside(
        &mut self,
        request: OutRequest,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<Sent, Refused> {
        if request.method == Method::Bye {
            return Err(Refused::DialogUnknown);
        }
        let opens = request.method == Method::Invite;
        if opens && self.dialogs.len() >= self.settings.limits.dialogs {
            return Err(Refused::Full);
        }
        let from = caller_address(&request.from)?;
        let to = caller_address(&request.to)?;
        let asked = request
            .request_uri
            .clone()
            .unwrap_or_else(|| to.uri.to_string());
        let (uri, target) = self.resolve(&asked)?;
        let (local_tag, call_id) = (self.random.text(), self.random.text());
        let user = from.uri.as_sip().and_then(|uri| uri.user.clone());
        let mut message = bare_request(request.method.clone(), uri.clone());
        message.push("Max-Forwards", "70");
        message.push("From", from.with_tag(&local_tag).to_string());
        message.push("To", to.to_string());
        message.push("Call-ID", call_id.as_str());
        message.push("CSeq", format!("1 {}", request.method));
        self.finish(&mut message, user.as_deref(), target.flow, &request)?;
        let client = ClientId(self.next_id());
        let mut dialog = None;
        if opens {
            let id = DialogId(self.next_id());
            dialog = Some(id);
            let opened = Dialog {
                call_id,
                local: from.to_string(),
                local_tag,
                remote: to.to_string(),
                remote_tag: None,
                local_cseq: 1,
                remote_cseq: None,
                contact_user: user,
                routes: Vec::new(),
                target: uri,
                source: None,
                phase: Phase::Early,
                our_invite: Some(client),
                their_invite: None,
                ack: None,
                answer: None,
                held_bye: None,
            };
            self.dialogs.insert(id, opened);
        }
        self.start_client(
            client,
            message,
            target,
            ClientOwner::Gateway(dialog),
            now,
            out,
        );
        Ok(Sent { client, dialog })
    }

    /// Where a request outside of dialogs goes, and with which URI.
    fn resolve(&self, asked: &str) -> Result<(String, Target), Refused> {
        if Uri::parse(asked).is_err() {
            return Err(Refused::Malformed("the Request-URI"));
        }
        let uri = sip_uri(asked)
            .filter(|uri| uri.headers.is_none())
            .ok_or(Refused::Unresolvable)?;
        if !self.is_ours(&uri) {
            let target = reach(&uri, None).ok_or(Refused::Unresolvable)?;
            return Ok((uri.to_string(), target));
        }
        let user = uri.user_key().ok_or(Refused::Unresolvable)?;
        if self.locals.contains(&user) {
            // One way for all: out by our address and in again.
            let peer = self.settings.advertised;
            let flow = Flow {
                transport: SipTransport::Udp,
                peer,
                connection: None,
            };
            return Ok((uri.to_string(), Target { flow, fixed: false }));
        }
        let known = self.registrar.bindings(&user).is_some();
        let unreachable = if known {
            Refused::Unavailable
        } else {
            Refused::UserUnknown
        };
        let binding = self.registrar.newest(&user).ok_or(unreachable)?;
        let contact = binding.uri().ok_or(Refused::Unavailable)?;
        let target = reach(&contact, binding.source).ok_or(Refused::Unresolvable)?;
        let mut contact = contact;
        contact.headers = None;
        Ok((contact.to_string(), target))
    }

    fn request_in_dialog(
        &mut self,
        id: DialogId,
        request: OutRequest,
        client: Option<ClientId>,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<Sent, Refused> {
        let dialog = self.dialogs.of(id).ok_or(Refused::DialogUnknown)?;
        let invite = request.method == Method::Invite;
        let bye = request.method == Method::Bye;
        match dialog.phase {
            Phase::Leaving => return Err(Refused::DialogUnknown),
            Phase::Early => return Err(Refused::Misused),
            Phase::Confirmed if dialog.held_bye.is_some() => return Err(Refused::DialogUnknown),
            Phase::Confirmed => {}
        }
        if request.method == Method::Register {
            return Err(Refused::Misused);
        }
        let unacked = dialog.ack.as_ref().is_some_and(|ack| ack.sent.is_none());
        let busy = dialog.our_invite.is_some() || dialog.their_invite.is_some() || unacked;
        if invite && busy || dialog.answer.is_some() && !bye {
            return Err(Refused::Pending);
        }
        let mut message = dialog.request(request.method.clone(), dialog.local_cseq + 1);
        let Some(target) = next_hop(&message, dialog.source) else {
            if bye {
                // Nobody is left to be told.
                self.drop_dialog(id);
            }
            return Err(Refused::Unresolvable);
        };
        let user = dialog.contact_user.clone();
        let (waits, their_invite) = (dialog.answer.is_some(), dialog.their_invite);
        self.finish(&mut message, user.as_deref(), target.flow, &request)?;
        let client = client.unwrap_or_else(|| ClientId(self.next_id()));
        let sent = Sent {
            client,
            dialog: Some(id),
        };
        if waits {
            if let Some(dialog) = self.dialogs.of_mut(id) {
                dialog.held_bye = Some((client, request));
            }
            return Ok(sent);
        }
        if bye && unacked {
            self.ack(id, now, out);
        }
        if let Some(dialog) = self.dialogs.of_mut(id) {
            dialog.local_cseq += 1;
            if invite {
                dialog.our_invite = Some(client);
            }
            if bye {
                dialog.phase = Phase::Leaving;
            }
        }
        if let Some(invite) = their_invite.filter(|_| bye) {
            self.refuse_invite(invite, 487, now, out);
        }
        self.start_client(
            client,
            message,
            target,
            ClientOwner::Gateway(Some(id)),
            now,
            out,
        );
        Ok(sent)
    }

    /// Sends the BYE that waited for the ACK of our 2xx.
    pub(super) fn send_held_bye(&mut self, id: DialogId, now: Millis, out: &mut Vec<Action>) {
        let held = self
            .dialogs
            .of_mut(id)
            .and_then(|dialog| dialog.held_bye.take());
        let Some((client, request)) = held else {
            return;
        };
        if self
            .request_in_dialog(id, request, Some(client), now, out)
            .is_err()
        {
            // The way to the peer was lost meanwhile.
            let cause = Failure::Transport;
            out.push(Action::Event(Event::Failed { client, cause }));
            self.drop_dialog(id);
        }
    }

    /// Contact, the caller's headers, content.
    fn finish(
        &self,
        message: &mut Message,
        user: Option<&str>,
        flow: Flow,
        request: &OutRequest,
    ) -> Result<(), Refused> {
        let OutRequest {
            method,
            headers,
            contact_params,
            content,
            ..
        } = request;
        if let Method::Other(name) = method
            && !is_token(name)
        {
            return Err(Refused::Malformed("the method"));
        }
        // RFC 3261, table 2; RFC 3428, 5.
        if !matches!(
            method,
            Method::Message | Method::Bye | Method::Info | Method::Publish
        ) {
            let ours = contact(user, self.settings.advertised, flow, contact_params)?;
            message.push("Contact", ours);
        }
        add_content(message, headers, content.as_ref())
    }

    /// Answers a request. A 2xx to an INVITE is repeated until its ACK comes ([`super::Event::Acked`]).
    /// 100 was sent already and is accepted without effect.
    pub fn respond(
        &mut self,
        server: ServerId,
        response: OutResponse,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<(), Refused> {
        let record = self.servers.of(server).ok_or(Refused::ServerUnknown)?;
        let ServerOwner::Gateway(dialog_id) = record.owner else {
            return Err(Refused::ServerUnknown);
        };
        if !record.machine.is_open() {
            return Err(Refused::ServerUnknown);
        }
        let OutResponse {
            code,
            reason,
            headers,
            contact_params,
            content,
        } = &response;
        let invite = record.method == Method::Invite;
        let bye = record.method == Method::Bye;
        match code {
            100 => return Ok(()),
            101..=199 if !invite => return Err(Refused::Misused),
            101..=699 => {}
            _ => return Err(Refused::Misused),
        }
        let mut message = self::response(&record.request, *code, None, &record.to_tag);
        if let Some(reason) = reason {
            if reason.chars().any(char::is_control) {
                return Err(Refused::Malformed("the reason"));
            }
            message.start = StartLine::Response {
                code: *code,
                reason: reason.clone(),
            };
        }
        if invite && *code < 300 {
            for route in record.request.header_lines("Record-Route") {
                message.push("Record-Route", route);
            }
        }
        if *code < 300 && (invite || record.method == Method::Options) {
            let user = sip_uri(record.request.request_uri()).and_then(|uri| uri.user);
            let advertised = self.settings.advertised;
            let ours = contact(user.as_deref(), advertised, record.flow, contact_params)?;
            message.push("Contact", ours);
        }
        add_content(&mut message, headers, content.as_ref())?;
        let (cseq, flow) = (record.cseq, record.flow);
        if invite && (200..300).contains(code) {
            let timing = self.settings.timing;
            let id = dialog_id.ok_or(Refused::DialogUnknown)?;
            let dialog = self.dialogs.of_mut(id).ok_or(Refused::DialogUnknown)?;
            dialog.phase = Phase::Confirmed;
            dialog.their_invite = None;
            dialog.answer = Some(Answer::new(
                server,
                cseq,
                (flow, message.clone()),
                &timing,
                now,
            ));
            self.rearm_dialog(id);
        }
        self.answer(server, &message, now, out);
        if let Some(id) = dialog_id.filter(|_| *code >= 300 || bye) {
            self.refused(id, invite, bye);
        }
        Ok(())
    }

    /// A request of this dialog has had its last word.
    fn refused(&mut self, id: DialogId, invite: bool, bye: bool) {
        let Some(dialog) = self.dialogs.of_mut(id) else {
            return;
        };
        if invite {
            dialog.their_invite = None;
        }
        if bye || invite && dialog.phase == Phase::Early {
            self.drop_dialog(id);
        }
    }

    /// Cancels our INVITE: at once if a 1xx has come, else as soon as one comes. The end is told by a
    /// [`super::Event::Response`] (487, or another final refusal) or [`super::Event::Failed`]; a 2xx that
    /// crosses is acknowledged and ended here, and told as [`super::Failure::Cancelled`]. Without effect
    /// when finished.
    pub fn cancel(&mut self, client: ClientId, now: Millis, out: &mut Vec<Action>) {
        let owner = self.clients.of(client).map(|client| client.owner);
        if let Some(ClientOwner::Gateway(_)) = owner {
            self.cancel_client(client, now, out);
        }
    }
}

/// A user's name as the tables have it.
fn user_key(user: &str) -> String {
    user_of(&format!("sip:{user}@localhost")).unwrap_or_else(|| escape_user(user))
}
