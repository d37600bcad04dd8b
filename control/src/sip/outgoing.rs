//! What the gateway asks for: requests and answers.

use super::address::Address;
use super::api::{
    Action, ClientId, DialogId, Event, Failure, Flow, Millis, OutRequest, OutResponse, Refused,
    Sent, ServerId, SipTransport,
};
use super::compose::{
    ALLOW, SUPPORTED, add_content, caller_address, companion_headers, contact, own_uri, response,
    sip_uri, wants_secure,
};
use super::dialog::{Answer, Dialog, Phase};
use super::incoming::user_of;
use super::machine::{Sip, bare_request};
use super::message::{Message, StartLine};
use super::method::Method;
use super::responses::next_hop;
use super::session_timer::SessionTimer;
use super::tables::{ClientOwner, ServerOwner, Target, reach};

use super::text::{is_token, unescape};
use super::uri::{SipUri, Uri, escape_user};

/// Where a request outside of dialogs goes.
struct Way {
    /// Its Request-URI.
    uri: String,
    target: Target,
    /// Route values, the nearest first.
    routes: Vec<String>,
    /// To one of our next hops.
    by_hop: bool,
}

impl Sip {
    /// Requests for `user` (the user part: `alice`) of our domain go to the gateway from now on.
    pub fn add_local(&mut self, user: &str) {
        self.locals.insert(user_key(user));
    }

    /// They don't any more. Dialogs go on; the user's registration elsewhere is taken back.
    pub fn remove_local(&mut self, user: &str, now: Millis, out: &mut Vec<Action>) {
        let key = user_key(user);
        self.locals.remove(&key);
        self.unpublish(&key, now, out);
        self.unregister(&key, now, out);
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
        match (&request.method, dialog) {
            (method, _) if method.subscribes() => self.subscribe(dialog, request, now, out),
            (Method::Notify, Some(dialog)) => self.notify(dialog, request, now, out),
            (Method::Notify, None) => Err(Refused::Misused),
            (Method::Publish, None) => self.publish(request, now, out),
            (_, Some(dialog)) => self.request_in_dialog(dialog, request, None, now, out),
            (Method::Bye, None) => Err(Refused::DialogUnknown),
            (_, None) => {
                let client = ClientId(self.next_id());
                let owner = ClientOwner::Gateway(None);
                self.open_outside(client, &request, owner, now, out)
            }
        }
    }

    /// Sends a request outside of dialogs; INVITE, SUBSCRIBE and REFER open one, and an INVITE belongs to it.
    pub(super) fn open_outside(
        &mut self,
        client: ClientId,
        request: &OutRequest,
        mut owner: ClientOwner,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<Sent, Refused> {
        let (invite, events) = (
            request.method == Method::Invite,
            request.method.subscribes(),
        );
        if (invite || events) && self.dialogs.len() >= self.settings.limits.dialogs {
            return Err(Refused::Full);
        }
        let from = caller_address(&request.from)?;
        let to = caller_address(&request.to)?;
        let asked = request
            .request_uri
            .clone()
            .unwrap_or_else(|| to.uri.to_string());
        let user = from.uri.as_sip().and_then(|uri| uri.user.clone());
        let caller = from.uri.as_sip().and_then(SipUri::user_key);
        let Way {
            uri,
            target,
            routes,
            by_hop,
        } = self.resolve(&asked, caller.as_deref(), now)?;
        let (local_tag, call_id) = (self.random.text(), self.random.text());
        let mut message = bare_request(request.method.clone(), uri.clone());
        let sender = from.with_tag(&local_tag).to_string();
        companion_headers(&mut message, &sender, &to.to_string(), &call_id, 1);
        for route in routes {
            message.push("Route", route);
        }
        self.finish(&mut message, user.as_deref(), target.flow, request)?;
        if by_hop {
            self.say_who(&mut message, &from, caller.as_deref());
        }
        let mut dialog = None;
        if invite || events {
            let id = DialogId(self.next_id());
            dialog = Some(id);
            let parties = (from.to_string(), to.to_string());
            let opened = Dialog {
                local_cseq: 1,
                contact_user: user,
                our_invite: invite.then_some(client),
                owns_call_id: true,
                events,
                // A NOTIFY finds it without the tag that it brings.
                remote_tag: events.then(String::new),
                ..Dialog::new((call_id, local_tag), parties, uri)
            };
            self.dialogs.insert(id, opened);
            if invite {
                owner = ClientOwner::Gateway(dialog);
            }
        }
        if by_hop {
            self.authorize_request(&mut message, owner);
        }
        self.start_client(client, message, target, owner, now, out);
        if let Some(client) = self.clients.of_mut(client).filter(|_| by_hop) {
            client.hop = Some(target.flow);
        }
        Ok(Sent {
            client,
            dialog,
            subscription: None,
        })
    }

    /// Sends SUBSCRIBE, REFER or NOTIFY in a dialog.
    pub(super) fn send_inside(
        &mut self,
        id: DialogId,
        client: ClientId,
        request: &OutRequest,
        owner: ClientOwner,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<Sent, Refused> {
        let dialog = self.dialogs.of(id).ok_or(Refused::DialogUnknown)?;
        match dialog.phase {
            Phase::Leaving => return Err(Refused::DialogUnknown),
            Phase::Early => return Err(Refused::Misused),
            Phase::Confirmed if dialog.held_bye.is_some() => return Err(Refused::DialogUnknown),
            Phase::Confirmed => {}
        }
        if !self.has_room() {
            return Err(Refused::Full);
        }
        let mut message = dialog.request(request.method.clone(), dialog.local_cseq + 1);
        let target = next_hop(&message, dialog.source).ok_or(Refused::Unresolvable)?;
        let user = dialog.contact_user.clone();
        self.finish(&mut message, user.as_deref(), target.flow, request)?;
        if let Some(dialog) = self.dialogs.of_mut(id) {
            dialog.local_cseq += 1;
        }
        self.authorize_request(&mut message, owner);
        self.start_client(client, message, target, owner, now, out);
        Ok(Sent {
            client,
            dialog: Some(id),
            subscription: None,
        })
    }

    /// The name by which the registrar knows the caller, or without one what From says, unless the gateway has said who it
    /// is. RFC 3325, 9.2.
    fn say_who(&self, message: &mut Message, from: &Address, caller: Option<&str>) {
        let said = ["P-Preferred-Identity", "P-Asserted-Identity", "Privacy"];
        if said.iter().any(|name| message.header(name).is_some()) {
            return;
        }
        let granted = caller
            .and_then(|user| self.registrations.get(user))
            .and_then(|registration| registration.granted.as_ref());
        let name = granted.and_then(|granted| granted.associated.first());
        let name = name.map_or_else(|| format!("<{}>", from.uri), String::clone);
        message.push("P-Preferred-Identity", name);
    }

    /// Where a request outside of dialogs goes, and with which URI.
    fn resolve(&self, asked: &str, caller: Option<&str>, now: Millis) -> Result<Way, Refused> {
        let straight = |uri: String, target| Way {
            uri,
            target,
            routes: Vec::new(),
            by_hop: false,
        };
        if Uri::parse(asked).is_err() {
            return Err(Refused::Malformed("the Request-URI"));
        }
        let uri = sip_uri(asked)
            .filter(|uri| uri.headers.is_none())
            .ok_or(Refused::Unresolvable)?;
        let by_hop = |uri: &SipUri| {
            let way = self.upstream_way(caller, now).ok_or(Refused::NoHop)?;
            let (target, routes) = way;
            if uri.secure && target.flow.transport != SipTransport::Tls {
                return Err(Refused::NoHop);
            }
            Ok(Way {
                uri: uri.to_string(),
                target,
                routes,
                by_hop: true,
            })
        };
        let has_upstream = self.settings.upstream.is_some();
        if self.registers() {
            return by_hop(&uri);
        }
        if !self.is_ours(&uri) {
            if has_upstream {
                return by_hop(&uri);
            }
            let target = reach(&uri, None).ok_or(Refused::Unresolvable)?;
            return Ok(straight(uri.to_string(), target));
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
            // It does not leave this machine, so it is as safe as it asks to be.
            let uri = SipUri {
                secure: false,
                ..uri
            };
            return Ok(straight(uri.to_string(), Target { flow, fixed: false }));
        }
        if has_upstream && self.registrar.newest(&user).is_none() {
            return by_hop(&uri);
        }
        let known = self.registrar.bindings(&user).is_some();
        let unreachable = if known {
            Refused::Unavailable
        } else {
            Refused::UserUnknown
        };
        let binding = self.registrar.newest(&user).ok_or(unreachable)?;
        let contact = binding.uri().ok_or(Refused::Unavailable)?;
        let target = binding.target().ok_or(Refused::Unresolvable)?;
        if uri.secure && !contact.secure {
            // RFC 5630, 3.1.3: secure all the way to the device, or not at all.
            return Err(Refused::Unavailable);
        }
        let mut contact = contact;
        contact.headers = None;
        Ok(Way {
            routes: binding.path.clone(),
            ..straight(contact.to_string(), target)
        })
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
        if request.method == Method::Register || dialog.events {
            return Err(Refused::Misused);
        }
        let unacked = dialog.ack.as_ref().is_some_and(|ack| ack.sent.is_none());
        let update = request.method == Method::Update;
        if (invite || update) && dialog.is_busy() || dialog.answer.is_some() && !bye {
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
            subscription: None,
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
            if update {
                dialog.our_update = Some(client);
            }
            if bye {
                dialog.phase = Phase::Leaving;
            }
        }
        if let Some(invite) = their_invite.filter(|_| bye) {
            self.refuse_invite(invite, 487, now, out);
        }
        let owner = ClientOwner::Gateway(Some(id));
        self.authorize_request(&mut message, owner);
        self.start_client(client, message, target, owner, now, out);
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

    /// Where peers find a user of ours: its GRUU, or our address.
    pub(super) fn contact_uri(&self, user: Option<&str>, flow: Flow, secure: bool) -> String {
        let key = user.map(unescape);
        let gruu = self.gruu_of(key.as_deref()).map(str::to_owned);
        gruu.unwrap_or_else(|| own_uri(user, &self.settings, flow, secure).to_string())
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
            let ours = self.contact_uri(user, flow, wants_secure(message));
            message.push("Contact", contact(&ours, contact_params)?);
        }
        if matches!(method, Method::Invite | Method::Update) {
            let timer = self.dialog_timer(message);
            message.push("Allow", ALLOW);
            message.push("Supported", SUPPORTED);
            self.ask_timer(message, timer);
        }
        add_content(message, headers, content.as_ref())
    }

    /// The timer of the dialog that a request of ours belongs to, if it has one.
    fn dialog_timer(&self, request: &Message) -> Option<SessionTimer> {
        let tag = |name: &str| {
            let address = Address::parse(request.header(name)?).ok()?;
            address.tag().map(str::to_owned)
        };
        let id = self
            .dialogs
            .find(request.call_id(), &tag("From")?, &tag("To")?)?;
        self.dialogs.of(id)?.timer
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
        let changes = invite || record.method == Method::Update;
        let provisional = invite && (101..200).contains(code);
        if provisional && self.waits_for_prack(server, &response) {
            return Ok(());
        }
        let record = self.servers.of(server).ok_or(Refused::ServerUnknown)?;
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
        let events = record.method.subscribes();
        if (invite || events) && *code < 300 {
            for route in record.request.header_lines("Record-Route") {
                message.push("Record-Route", route);
            }
        }
        if *code < 300 && (changes || events || record.method == Method::Options) {
            let user = sip_uri(record.request.request_uri()).and_then(|uri| uri.user);
            let ours =
                self.contact_uri(user.as_deref(), record.flow, wants_secure(&record.request));
            message.push("Contact", contact(&ours, contact_params)?);
        }
        add_content(&mut message, headers, content.as_ref())?;
        let granted_s = self.granted_s(&record.request, &response);
        if let Some(seconds) =
            granted_s.filter(|_| *code < 300 && record.method == Method::Subscribe)
        {
            message.remove("Expires");
            message.push("Expires", seconds.to_string());
        }
        if *code == 489 && message.header("Allow-Events").is_none() {
            message.push("Allow-Events", "refer");
        }
        let (cseq, flow) = (record.cseq, record.flow);
        let watched = events.then(|| record.request.clone());
        let request = changes.then(|| record.request.clone());
        if provisional {
            self.make_reliable(server, &mut message, now);
        }
        if let (Some(id), Some(request)) = (dialog_id, request.filter(|_| *code >= 200)) {
            if *code < 300 {
                message.push("Allow", ALLOW);
                message.push("Supported", SUPPORTED);
                self.grant_timer(id, &request, &mut message, now);
            }
            self.settle_change(id, *code, content.as_ref());
        }
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
        if let (Some(id), Some(request)) = (dialog_id, watched) {
            match code {
                200..300 => self.watch(id, &request, granted_s, now, out),
                300.. => self.drop_if_unused(id),
                _ => {}
            }
        }
        if let Some(id) = dialog_id.filter(|_| *code >= 200 && changes) {
            if let Some(dialog) = self.dialogs.of_mut(id) {
                dialog.their_update.take_if(|known| *known == server);
            }
            self.rearm_dialog(id);
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
pub(super) fn user_key(user: &str) -> String {
    user_of(&format!("sip:{user}@localhost")).unwrap_or_else(|| escape_user(user))
}
