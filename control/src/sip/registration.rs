//! REGISTER on behalf of our users, toward a registrar. RFC 3261, 10.2; RFC 3327 (Path); RFC 3608
//! (Service-Route); RFC 7315, 4.1 (P-Associated-URI); RFC 5626 and RFC 5627 (instance, flow, GRUU).
//!
//! A user has one registration, whichever of its browsers asked for it. A browser that asks while there is
//! one has it refreshed with its own credentials: that is how it proves who it is. REGISTERs of one user
//! follow one another, never two at once. What outlives the process is in `elsewhere`.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::api::{Action, AttemptId, ClientId, Event, Flow, Millis, Refused, SipTransport};
use super::compose::{companion_headers, contact, own_uri, sip_uri_of, wants_secure};
use super::digest::{Challenge, Credentials, Secret};
use super::machine::{Sip, bare_request};
use super::message::Message;
use super::method::Method;
use super::outgoing::user_key;
use super::session_timer::lists;
use super::settings::Settings;
use super::tables::{ClientOwner, Target};
use super::text::{quote, unquote};
use super::timers::TimerOf;

/// Attempts of one user that wait for the one under way.
const ATTEMPTS_MAX: usize = 4;
/// First pause after a REGISTER that failed; it doubles. RFC 5626, 4.5.
const RETRY_MS: Millis = 30_000;
/// Longest such pause.
const RETRY_MS_MAX: Millis = 1_800_000;
/// Longest registration that a registrar's `Min-Expires` may ask of us.
const EXPIRES_S_MAX: u32 = 86_400;
/// The shortest Flow-Timer that is heeded, in seconds.
const FLOW_TIMER_S_MIN: Millis = 15;
/// Values of Service-Route and P-Associated-URI that are kept.
const VALUES_MAX: usize = 16;

/// One user's registration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Registration {
    call_id: String,
    tag: String,
    cseq: u32,
    /// The REGISTER under way.
    pub asking: Option<Asking>,
    /// Attempts that wait for it.
    waiting: VecDeque<Asking>,
    /// What the registrar has granted.
    pub granted: Option<Granted>,
    /// To be asked for.
    expires_s: u32,
    /// REGISTERs that have failed since one succeeded.
    failures: u32,
    /// When to ask again.
    pub again_at: Option<Millis>,
    /// The user is gone: what is under way is the last.
    leaves: bool,
    /// The first hop does not know RFC 5626.
    without_flow: bool,
}

/// A REGISTER, and for whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asking {
    /// Who waits for the outcome; `None`: a refresh.
    pub attempt: Option<AttemptId>,
    /// What that browser has given.
    pub credentials: Option<Credentials>,
    client: Option<ClientId>,
    /// With `Expires: 0`.
    removes: bool,
}

/// What a 200 to REGISTER has brought.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Granted {
    until: Millis,
    /// The way by which it was granted.
    pub flow: Flow,
    /// Service-Route, nearest first.
    pub routes: Vec<String>,
    /// P-Associated-URI, the default first.
    pub associated: Vec<String>,
    /// Our GRUU, to be used as Contact.
    pub gruu: Option<String>,
}

impl Registration {
    pub fn new(call_id: String, tag: String, expires_s: u32) -> Registration {
        Registration {
            call_id,
            tag,
            cseq: 0,
            asking: None,
            waiting: VecDeque::new(),
            granted: None,
            expires_s,
            failures: 0,
            again_at: None,
            leaves: false,
            without_flow: false,
        }
    }

    /// As it is to be kept. Nobody will hear what becomes of what is under way: it is asked for again at once.
    pub fn saved(&self) -> Registration {
        let mut saved = self.clone();
        saved.waiting.clear();
        if saved.asking.take().is_some() {
            saved.again_at = Some(0);
        }
        saved
    }

    /// As it goes on in another process.
    pub fn restored(mut self) -> Registration {
        // The last REGISTER may have gone out before it was put away.
        self.cseq = self.cseq.saturating_add(1);
        if let Some(granted) = &mut self.granted
            && granted.flow.transport.is_stream()
        {
            granted.flow.connection = None;
            self.again_at = Some(0);
        }
        self
    }

    /// Until when it is granted; 0: it is not.
    pub fn granted_until(&self) -> Millis {
        self.granted.as_ref().map_or(0, |granted| granted.until)
    }

    /// When something is to be done, if ever.
    pub fn deadline(&self) -> Option<Millis> {
        let until = self.granted.as_ref().map(|granted| granted.until);
        let again = self.again_at.filter(|_| self.asking.is_none());
        [again, until].into_iter().flatten().min()
    }

    /// The next CSeq.
    pub fn next_cseq(&mut self) -> u32 {
        self.cseq += 1;
        self.cseq
    }
}

impl Sip {
    /// Whether users are registered with somebody else.
    pub fn registers(&self) -> bool {
        self.registrar_uri().is_some()
    }

    fn registrar_uri(&self) -> Option<&str> {
        self.settings.upstream.as_ref()?.registrar.as_deref()
    }

    /// Registers `user` (the user part: `alice`) with the registrar of the settings, or proves with these
    /// credentials that it may be. The outcome is told by [`Event::Registered`] or
    /// [`Event::NotRegistered`] with the id that is returned. From then on the registration is kept up
    /// until [`Sip::remove_local`].
    ///
    /// # Errors
    /// [`Refused::Misused`] without a registrar; [`Refused::Pending`] if too many ask for this user at
    /// once; [`Refused::Full`].
    pub fn register(
        &mut self,
        user: &str,
        credentials: Option<Credentials>,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<AttemptId, Refused> {
        let Some(upstream) = self.settings.upstream.clone().filter(|_| self.registers()) else {
            return Err(Refused::Misused);
        };
        let key = user_key(user);
        let known = self.registrations.contains_key(&key);
        if !self.has_room() || !known && self.registrations.len() >= self.settings.limits.users {
            return Err(Refused::Full);
        }
        let attempt = AttemptId(self.next_id());
        let (call_id, tag) = (self.random.text(), self.random.text());
        let registration = self
            .registrations
            .entry(key.clone())
            .or_insert_with(|| Registration::new(call_id, tag, upstream.expires_s));
        if registration.waiting.len() >= ATTEMPTS_MAX {
            return Err(Refused::Pending);
        }
        registration.leaves = false;
        registration.waiting.push_back(Asking {
            attempt: Some(attempt),
            credentials,
            client: None,
            removes: false,
        });
        self.next_register(&key, now, out);
        Ok(attempt)
    }

    /// The user is gone: its registration is taken back.
    pub(super) fn unregister(&mut self, user: &str, now: Millis, out: &mut Vec<Action>) {
        let Some(registration) = self.registrations.get_mut(user) else {
            self.accounts.remove(user);
            return;
        };
        registration.leaves = true;
        registration.waiting.clear();
        self.next_register(user, now, out);
    }

    /// What is to be asked next, if nothing is being asked.
    pub(super) fn next_register(&mut self, user: &str, now: Millis, out: &mut Vec<Action>) {
        let Some(registration) = self.registrations.get_mut(user) else {
            return;
        };
        if registration.asking.is_some() {
            return;
        }
        let refresh = |removes| Asking {
            attempt: None,
            credentials: None,
            client: None,
            removes,
        };
        let is_due = registration.again_at.is_some_and(|at| at <= now);
        let next = match registration.waiting.pop_front() {
            Some(asking) => Some(asking),
            None if registration.leaves => registration.granted.is_some().then(|| refresh(true)),
            None if is_due => Some(refresh(false)),
            None => return self.rearm_registration(user),
        };
        match next {
            Some(asking) => {
                registration.again_at = None;
                registration.asking = Some(asking);
                self.send_register(user, now, out);
            }
            None => {
                self.registrations.remove(user);
                self.accounts.remove(user);
                self.rearm_registration(user);
            }
        }
    }

    /// Sends the REGISTER that is to be asked.
    fn send_register(&mut self, user: &str, now: Millis, out: &mut Vec<Action>) {
        let target = self.hop_target(now);
        let (Some(target), Some(upstream)) = (target, self.settings.upstream.clone()) else {
            return self.register_failed(user, 503, "no proxy is known", Vec::new(), now, out);
        };
        let uri = upstream.registrar.unwrap_or_default();
        let aor = format!("<sip:{user}@{}>", self.settings.domain);
        let instance = self.instance(user);
        let Some(registration) = self.registrations.get_mut(user) else {
            return;
        };
        let (cseq, without_flow) = (registration.next_cseq(), registration.without_flow);
        let Some(asking) = &registration.asking else {
            return;
        };
        let expires_s = if asking.removes {
            0
        } else {
            registration.expires_s
        };
        let ready = asking.credentials.clone();
        let from = format!("{aor};tag={}", registration.tag);
        let call_id = registration.call_id.clone();
        let mut request = bare_request(Method::Register, uri);
        companion_headers(&mut request, &from, &aor, &call_id, cseq);
        let mut params = upstream.contact_params;
        params.push(("+sip.instance".to_owned(), Some(format!("<{instance}>"))));
        let by_flow = target.flow.transport.is_stream() && !without_flow;
        if by_flow {
            // RFC 5626, 4.2: over a connection, which is watched; a datagram's flow is not.
            params.push(("reg-id".to_owned(), Some("1".to_owned())));
        }
        params.push(("expires".to_owned(), Some(expires_s.to_string())));
        let secure = wants_secure(&request);
        let own = own_uri(Some(user), &self.settings, target.flow, secure);
        let ours = contact(&own.to_string(), &params);
        request.push("Contact", ours.unwrap_or_default());
        let supported = if without_flow {
            "path, gruu"
        } else {
            "path, outbound, gruu"
        };
        request.push("Supported", supported);
        request.push("Expires", expires_s.to_string());
        if let Some(Credentials {
            username,
            secret: Secret::Answer(answer),
        }) = ready
            && let Some(value) = answer.for_nonce(&answer.nonce, &username)
        {
            request.push(answer.header(), value);
        }
        self.authorize(&mut request, ClientOwner::Registration, user);
        let client = ClientId(self.next_id());
        if let Some(asking) = self.asking_mut(user) {
            asking.client = Some(client);
        }
        self.start_client(client, request, target, ClientOwner::Registration, now, out);
        if let Some(client) = self.clients.of_mut(client) {
            client.hop = Some(target.flow);
        }
        self.rearm_registration(user);
    }

    fn asking_mut(&mut self, user: &str) -> Option<&mut Asking> {
        self.registrations.get_mut(user)?.asking.as_mut()
    }

    /// Names this user's agent here, always the same. RFC 5626, 4.1.
    fn instance(&self, user: &str) -> String {
        let digits = super::digest::sha256_hex(&format!("{user}@{}", self.settings.domain));
        format!(
            "urn:uuid:{}-{}-5{}-8{}-{}",
            &digits[..8],
            &digits[8..12],
            &digits[13..16],
            &digits[17..20],
            &digits[20..32]
        )
    }

    /// A final answer to the REGISTER `id`, challenges that were met excepted.
    pub(super) fn on_register_response(
        &mut self,
        id: ClientId,
        response: &Message,
        flow: Flow,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(user) = self.registering(id) else {
            return;
        };
        match response.code() {
            200..=299 => self.registered(&user, response, flow, now, out),
            423 => {
                let least = response
                    .header("Min-Expires")
                    .and_then(|text| text.parse().ok());
                let Some(registration) = self.registrations.get_mut(&user) else {
                    return;
                };
                match least {
                    Some(least)
                        if (registration.expires_s + 1..=EXPIRES_S_MAX).contains(&least) =>
                    {
                        registration.expires_s = least;
                        self.send_register(&user, now, out);
                    }
                    _ => self.register_failed(&user, 423, response.reason(), Vec::new(), now, out),
                }
            }
            // RFC 5626, 11.6: the first hop lacks it; without it, it may do.
            439 if !self.has_gone_without_flow(&user) => self.send_register(&user, now, out),
            code => {
                let challenges = Challenge::all_of(response);
                self.register_failed(&user, code, response.reason(), challenges, now, out);
            }
        }
    }

    /// Leaves RFC 5626 aside for this user from now on. Whether it was aside already.
    fn has_gone_without_flow(&mut self, user: &str) -> bool {
        let registration = self.registrations.get_mut(user);
        registration.is_none_or(|found| std::mem::replace(&mut found.without_flow, true))
    }

    /// The user whose REGISTER this is.
    pub(super) fn registering(&self, id: ClientId) -> Option<String> {
        let user = super::account::user_of_from(&self.clients.of(id)?.request)?;
        let asking = self.registrations.get(&user)?.asking.as_ref()?;
        (asking.client == Some(id)).then_some(user)
    }

    fn registered(
        &mut self,
        user: &str,
        response: &Message,
        flow: Flow,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let instance = self.instance(user);
        let Some(registration) = self.registrations.get_mut(user) else {
            return;
        };
        let Some(asking) = registration.asking.take() else {
            return;
        };
        registration.failures = 0;
        let every_ms = ping_pause_ms(response, self.random.number());
        if let Some(every_ms) = every_ms.filter(|_| flow.transport.is_stream()) {
            out.push(Action::KeepAlive { flow, every_ms });
        }
        if asking.removes {
            registration.granted = None;
            return self.next_register(user, now, out);
        }
        let own = own_contact(response, user, &instance, &self.settings);
        let seconds = |text: &str| text.trim().parse::<u32>().ok();
        let of_contact = own
            .as_ref()
            .and_then(|own| own.params.value("expires"))
            .and_then(seconds);
        let of_header = response.header("Expires").and_then(seconds);
        let expires_s = of_contact.or(of_header).unwrap_or(registration.expires_s);
        let span_ms = Millis::from(expires_s.max(1)) * 1000;
        let values = |name: &str| -> Vec<String> {
            let found = response.header_values(name).take(VALUES_MAX);
            found.map(str::to_owned).collect()
        };
        let gruu = own.as_ref().and_then(|own| own.params.value("pub-gruu"));
        let granted = Granted {
            until: now + span_ms,
            flow,
            routes: values("Service-Route"),
            associated: values("P-Associated-URI"),
            gruu: gruu
                .map(unquote)
                .filter(|gruu| super::compose::sip_uri(gruu).is_some()),
        };
        // 3GPP TS 24.229, 5.1.1.4: ten minutes before the end, or half-way if that is sooner.
        let wait_ms = (span_ms / 2).max(span_ms.saturating_sub(600_000));
        registration.again_at = Some(now + wait_ms);
        let associated = granted.associated.clone();
        registration.granted = Some(granted);
        if let Some(attempt) = asking.attempt {
            let proven = asking
                .credentials
                .filter(|credentials| !matches!(credentials.secret, Secret::Answer(_)));
            if proven.is_some() {
                self.accounts
                    .entry(user.to_owned())
                    .or_default()
                    .credentials = proven;
            }
            out.push(Action::Event(Event::Registered {
                attempt,
                user: user.to_owned(),
                associated,
            }));
        }
        self.next_register(user, now, out);
    }

    /// The REGISTER under way has come to nothing.
    pub(super) fn register_failed(
        &mut self,
        user: &str,
        code: u16,
        reason: &str,
        challenges: Vec<Challenge>,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(registration) = self.registrations.get_mut(user) else {
            return;
        };
        let Some(asking) = registration.asking.take() else {
            return;
        };
        let failed = |attempt| Event::NotRegistered {
            attempt,
            user: user.to_owned(),
            code,
            reason: reason.to_owned(),
            challenges,
        };
        if asking.removes {
            // Whatever was said: it runs out by itself.
            registration.granted = None;
        } else if asking.attempt.is_some() {
            out.push(Action::Event(failed(asking.attempt)));
            registration.leaves |=
                registration.granted.is_none() && registration.waiting.is_empty();
        } else {
            registration.failures += 1;
            let doubled = RETRY_MS << registration.failures.saturating_sub(1).min(6);
            registration.again_at = Some(now + doubled.min(RETRY_MS_MAX));
            if matches!(code, 401 | 403 | 404 | 407) {
                // The registrar does not want this user any more.
                registration.granted = None;
                registration.leaves = true;
                out.push(Action::Event(failed(None)));
            }
        }
        self.next_register(user, now, out);
    }

    pub(super) fn registration_timeout(&mut self, user: &str, now: Millis, out: &mut Vec<Action>) {
        let Some(registration) = self.registrations.get_mut(user) else {
            return;
        };
        if registration
            .granted
            .as_ref()
            .is_some_and(|granted| granted.until <= now)
        {
            registration.granted = None;
            out.push(Action::Event(Event::NotRegistered {
                attempt: None,
                user: user.to_owned(),
                code: 408,
                reason: "the registration has run out".to_owned(),
                challenges: Vec::new(),
            }));
        }
        self.next_register(user, now, out);
        self.rearm_registration(user);
    }

    /// The connection that registrations were granted over is gone: they are made anew. RFC 5626, 4.5.
    pub(super) fn registrations_lost(&mut self, flow: Flow, now: Millis, out: &mut Vec<Action>) {
        let lost: Vec<String> = self
            .registrations
            .iter()
            .filter(|(_, found)| found.granted.as_ref().is_some_and(|g| g.flow == flow))
            .map(|(user, _)| user.clone())
            .collect();
        self.register_anew(lost, now, out);
    }

    /// A way has been found, or found again: registrations that wait for one need not wait longer.
    pub(super) fn registrations_wanted(&mut self, now: Millis, out: &mut Vec<Action>) {
        let waiting: Vec<String> = self
            .registrations
            .iter()
            .filter(|(_, found)| found.failures > 0 && found.asking.is_none())
            .map(|(user, _)| user.clone())
            .collect();
        self.register_anew(waiting, now, out);
    }

    pub(super) fn rearm_registration(&mut self, user: &str) {
        self.changed_elsewhere.insert(user.to_owned());
        let deadline = self
            .registrations
            .get(user)
            .and_then(Registration::deadline);
        self.timers
            .set(TimerOf::Registration(user.to_owned()), deadline);
    }

    /// The way for requests of `user`'s, and what Routes they begin with, where there is a next hop.
    pub(super) fn upstream_way(
        &self,
        user: Option<&str>,
        now: Millis,
    ) -> Option<(Target, Vec<String>)> {
        let granted = user
            .and_then(|user| self.registrations.get(user))
            .and_then(|registration| registration.granted.as_ref());
        // To where it was granted: over that very connection, or while that proxy answers.
        let by_flow = granted.and_then(|granted| match granted.flow.transport {
            SipTransport::Udp => self.hop_target_of(granted.flow, now),
            SipTransport::Tcp | SipTransport::Tls => Some(Target {
                flow: granted.flow,
                fixed: true,
            }),
        });
        let target = by_flow.or_else(|| self.hop_target(now))?;
        let routes = granted
            .map(|granted| granted.routes.clone())
            .unwrap_or_default();
        let first = self.hop_route(target.flow);
        let same = |route: &String| {
            sip_uri_of(route).and_then(|uri| uri.address()) == Some(target.flow.peer)
        };
        // A Service-Route may begin with the proxy itself.
        let first = first.filter(|_| !routes.first().is_some_and(same));
        Some((target, first.into_iter().chain(routes).collect()))
    }

    /// Our Contact's URI where the registrar has given us one that works everywhere. RFC 5627, 4.4.
    pub(super) fn gruu_of(&self, user: Option<&str>) -> Option<&str> {
        self.registrations
            .get(user?)?
            .granted
            .as_ref()?
            .gruu
            .as_deref()
    }
}

/// How far apart pings are to be on the flow of a registration; `None`: the registrar keeps none. RFC 5626, 4.4.1
/// and 10: four fifths to all of what it says, or 95 to 120 s.
fn ping_pause_ms(response: &Message, chance: u64) -> Option<Millis> {
    let said = response.header("Flow-Timer");
    let said = said.and_then(|text| text.trim().parse::<Millis>().ok());
    if said.is_none() && !lists(response, "Require", "outbound") {
        return None;
    }
    let longest = said.map_or(120_000, |s| s.clamp(FLOW_TIMER_S_MIN, 7_200) * 1000);
    let shortest = said.map_or(95_000, |_| longest / 5 * 4);
    Some(shortest + chance % (longest - shortest + 1))
}

/// Our own Contact among those of a 200: that of our instance, or of our address.
fn own_contact(
    response: &Message,
    user: &str,
    instance: &str,
    settings: &Settings,
) -> Option<Address> {
    let instance = quote(&format!("<{instance}>"));
    let all: Vec<Address> = response
        .header_values("Contact")
        .filter_map(|value| Address::parse(value).ok())
        .collect();
    let by_instance = |address: &&Address| address.params.value("+sip.instance") == Some(&instance);
    let by_address = |address: &&Address| {
        address.uri.as_sip().is_some_and(|uri| {
            settings.is_place(&uri.host, uri.port_or_usual())
                && uri.user_key().as_deref() == Some(user)
        })
    };
    let found = all
        .iter()
        .find(by_instance)
        .or_else(|| all.iter().find(by_address));
    found.cloned()
}
