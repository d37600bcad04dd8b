//! The proxy of our own domain: handset to handset. RFC 3261, 16.
//!
//! It keeps transactions, records its route so that BYE and ACK pass here too, and sends a request to
//! one place only: the binding that was made or refreshed last. It forwards for nobody else: what is
//! neither for a user of ours, nor in a dialog whose INVITE went through here, is answered 404.

use super::api::{Action, ClientId, Failure, Flow, Millis, ServerId};
use super::compose::{own_uri, sip_uri, sip_uri_of};
use super::incoming::Incoming;
use super::machine::Sip;
use super::message::{Message, StartLine};
use super::method::Method;
use super::tables::{Cancel, ClientOwner, ServerOwner, Target, reach};
use super::text::quote;
use super::uri::SipUri;
use super::via::COOKIE;

/// What one of our handsets can't say of itself, and what networks tell each other and no handset: it does not
/// pass. RFC 3325, 5; RFC 7315, 5. Answers to our own challenges do not either (RFC 3261, 22.3).
const SCRUBBED: [&str; 5] = [
    "P-Asserted-Identity",
    "P-Charging-Vector",
    "P-Charging-Function-Addresses",
    "P-Visited-Network-ID",
    "P-Access-Network-Info",
];

impl Sip {
    /// Takes out what is not to pass.
    fn scrub(&self, message: &mut Message) {
        let realm = format!("realm={}", quote(&self.settings.domain));
        message.headers.retain(|(name, value)| {
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            let ours = is("Proxy-Authorization") && value.contains(&realm);
            !ours && !SCRUBBED.iter().any(|scrubbed| is(scrubbed))
        });
    }

    /// Takes the Routes that name us off the top. `true` if one of them was made here.
    pub(super) fn pop_routes(&self, message: &mut Message) -> bool {
        let mut routes: Vec<String> = message.header_values("Route").map(str::to_owned).collect();
        let own = |route: &String| sip_uri_of(route).filter(|uri| self.is_ours(uri));
        let own: Vec<SipUri> = routes.iter().map_while(own).collect();
        if own.is_empty() {
            return false;
        }
        routes.drain(..own.len());
        message.replace("Route", routes);
        own.iter()
            .any(|uri| uri.user.as_deref() == Some(self.route_user.as_str()))
    }

    /// To the newest binding of a user of ours.
    pub(super) fn forward_to_user(
        &mut self,
        incoming: Incoming,
        user: &str,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let binding = self.registrar.newest(user);
        let found = binding.and_then(|binding| {
            let uri = binding.uri()?;
            // RFC 5630, 3.1.3: secure all the way to the device, or not at all.
            let asked = sip_uri(incoming.message.request_uri())?;
            if asked.secure && !uri.secure {
                return None;
            }
            Some((
                binding.target()?,
                binding.contact.clone(),
                binding.path.clone(),
            ))
        });
        match found {
            Some((target, uri, path)) => {
                let mut incoming = incoming;
                let routes = incoming.message.header_values("Route").map(str::to_owned);
                let routes: Vec<String> = path.into_iter().chain(routes).collect();
                incoming.message.replace("Route", routes);
                self.forward(incoming, target, uri, now, out);
            }
            None => self.refuse(&incoming, 480, None, &[], out),
        }
    }

    /// To a URI that is not ours: the contact of a handset, in a dialog that came through here.
    pub(super) fn forward_elsewhere(
        &mut self,
        incoming: Incoming,
        uri: SipUri,
        trusted: bool,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        match self.elsewhere(&incoming, &uri, trusted) {
            Some(target) => {
                let uri = incoming.message.request_uri().to_owned();
                self.forward(incoming, target, uri, now, out);
            }
            None => self.refuse(&incoming, 404, None, &[], out),
        }
    }

    fn elsewhere(&self, incoming: &Incoming, uri: &SipUri, trusted: bool) -> Option<Target> {
        let next = incoming
            .message
            .header_values("Route")
            .next()
            .and_then(sip_uri_of);
        let in_dialog = trusted && incoming.head.to.tag().is_some();
        if let Some(next) = next.filter(|_| in_dialog) {
            return reach(&next, None);
        }
        let to = incoming.head.to.uri.as_sip().filter(|to| self.is_ours(to));
        let from = incoming
            .head
            .from
            .uri
            .as_sip()
            .filter(|from| self.is_ours(from));
        // In a dialog the callee's requests have the caller in To and the caller's contact in the URI.
        let users = [to, from]
            .into_iter()
            .flatten()
            .filter_map(SipUri::user_key);
        let binding = users
            .into_iter()
            .find_map(|user| self.registrar.of_contact(&user, uri).cloned());
        match binding {
            Some(binding) => reach(uri, binding.source),
            None if in_dialog => reach(uri, None),
            None => None,
        }
    }

    fn forward(
        &mut self,
        incoming: Incoming,
        target: Target,
        uri: String,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        if incoming.head.max_forwards == 0 {
            return self.refuse(&incoming, 483, None, &[], out);
        }
        if self.settings.is_advertised(target.flow.peer) {
            return self.refuse(&incoming, 482, None, &[], out);
        }
        if self.refuse_required(&incoming, "Proxy-Require", "", out) {
            return;
        }
        let client = ClientId(self.next_id());
        let server = self.open_server(&incoming, ServerOwner::Proxy(client), now);
        if incoming.head.method == Method::Invite {
            self.answer_plainly(server, 100, now, out);
        }
        let opens = matches!(incoming.head.method, Method::Invite | Method::Subscribe)
            && incoming.head.to.tag().is_none();
        let mut request = onward(&incoming, uri);
        self.scrub(&mut request);
        if opens {
            self.record_route(&mut request, incoming.flow, target.flow);
        }
        self.start_client(
            client,
            request,
            target,
            ClientOwner::Proxy(server),
            now,
            out,
        );
    }

    /// An ACK to a 2xx passes without a transaction. RFC 3261, 16.7, end.
    pub(super) fn forward_ack(&mut self, incoming: &mut Incoming, out: &mut Vec<Action>) {
        let trusted = self.pop_routes(&mut incoming.message);
        let uri = sip_uri(incoming.message.request_uri());
        let Some(uri) = uri.filter(|uri| !self.is_ours(uri)) else {
            return;
        };
        let Some(target) = self.elsewhere(incoming, &uri, trusted) else {
            return;
        };
        if incoming.head.max_forwards == 0 || self.settings.is_advertised(target.flow.peer) {
            return;
        }
        let mut request = onward(incoming, uri.to_string());
        let branch = format!("{COOKIE}{}", self.random.text());
        request
            .headers
            .insert(0, ("Via".to_owned(), self.via(target.flow, &branch)));
        out.push(Action::Transmit {
            flow: target.flow,
            bytes: request.print(),
        });
    }

    /// One Record-Route, or two where the transport changes (RFC 5658, 5.1).
    fn record_route(&self, request: &mut Message, from: Flow, to: Flow) {
        let secure = sip_uri(request.request_uri()).is_some_and(|uri| uri.secure);
        let mut routes = vec![self.own_route(to, secure)];
        if from.transport != to.transport {
            routes.push(self.own_route(from, secure));
        }
        routes.extend(request.header_values("Record-Route").map(str::to_owned));
        request.replace("Record-Route", routes);
    }

    fn own_route(&self, flow: Flow, secure: bool) -> String {
        let mut uri = own_uri(Some(&self.route_user), &self.settings, flow, secure);
        uri.params.push(("lr".to_owned(), None));
        format!("<{uri}>")
    }

    /// An answer to a request that was forwarded. RFC 3261, 16.7.
    pub(super) fn proxy_response(
        &mut self,
        server: ServerId,
        mut response: Message,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let vias: Vec<String> = response
            .header_values("Via")
            .skip(1)
            .map(str::to_owned)
            .collect();
        if response.code() > 100 && !vias.is_empty() {
            response.replace("Via", vias);
            self.scrub(&mut response);
            self.answer(server, &response, now, out);
        }
    }

    /// A request that was forwarded gets no answer.
    pub(super) fn proxy_failed(
        &mut self,
        server: ServerId,
        cause: Failure,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(record) = self.servers.of(server) else {
            return;
        };
        let (invite, open) = (record.method == Method::Invite, record.machine.is_open());
        match cause {
            _ if !open => {}
            Failure::Transport => self.answer_plainly(server, 480, now, out),
            Failure::Timeout | Failure::Cancelled if invite => {
                self.answer_plainly(server, 408, now, out);
            }
            // RFC 4320, 4.2: no 408 to anything but an INVITE.
            Failure::Timeout | Failure::Cancelled => {
                self.servers.remove(server);
                self.rearm_server(server);
            }
        }
    }

    /// Cancels a request of ours now, or once it can be.
    pub(super) fn cancel_client(&mut self, id: ClientId, now: Millis, out: &mut Vec<Action>) {
        let Some(client) = self.clients.of_mut(id) else {
            return;
        };
        if client.method != Method::Invite || !client.machine.is_open() {
            return;
        }
        match client.cancel {
            Cancel::Sent => {}
            Cancel::No | Cancel::Wanted if client.machine.is_proceeding() => {
                self.send_cancel(id, now, out);
            }
            Cancel::No | Cancel::Wanted => client.cancel = Cancel::Wanted,
        }
    }
}

/// The request as it goes on: one hop older, its first line rewritten.
fn onward(incoming: &Incoming, uri: String) -> Message {
    let mut request = incoming.message.clone();
    request.start = StartLine::Request {
        method: incoming.head.method.clone(),
        uri,
    };
    let hops = incoming.head.max_forwards.saturating_sub(1);
    request.replace("Max-Forwards", [hops.to_string()]);
    request
}
