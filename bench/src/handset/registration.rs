//! Being known to the registrar: REGISTER, its refresh, and taking it back. RFC 3261, 10.

use std::time::{Duration, Instant};

use super::agent::Agent;
use super::console::Event;
use super::sip::{ClientKey, Message, token, uri};

/// The first pause before a failed registration is tried again; it doubles up to the longest.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Where the registration stands.
#[derive(Debug)]
pub enum State {
    /// There is no registrar, or the registration was taken back.
    None,
    /// A REGISTER is under way.
    Asked { client: ClientKey, pause: Duration },
    /// Registered; to be refreshed in time.
    Held { refresh_at: Instant },
    /// Not registered; to be tried again.
    Refused { retry_at: Instant, pause: Duration },
    /// REGISTER with Expires 0 is under way.
    TakenBack { client: ClientKey },
}

/// The registration and what identifies it: Call-ID and From tag stay, CSeq counts.
#[derive(Debug)]
pub struct Registration {
    /// Where it stands.
    pub state: State,
    call_id: String,
    tag: String,
    cseq: u32,
    expires: u32,
    /// Whether the user was told; refreshes are silent.
    told: bool,
}

impl Registration {
    /// Not registered yet.
    pub fn new(expires: u32) -> Self {
        let (call_id, tag) = (token(12), token(6));
        Registration {
            state: State::None,
            call_id,
            tag,
            cseq: 0,
            expires,
            told: false,
        }
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Held { refresh_at: at } | State::Refused { retry_at: at, .. } => Some(at),
            State::None | State::Asked { .. } | State::TakenBack { .. } => None,
        }
    }
}

impl Agent {
    /// Registers, or refreshes what is registered.
    pub fn register(&mut self, now: Instant, pause: Duration) {
        if let Some(client) = self.send_register(self.registration.expires, now) {
            self.registration.state = State::Asked { client, pause };
        }
    }

    /// Takes the registration back.
    pub fn unregister(&mut self, now: Instant) {
        let state = match self.registration.state {
            State::Held { .. } | State::Asked { .. } => self.send_register(0, now),
            _ => None,
        };
        let taken_back = state.map(|client| State::TakenBack { client });
        self.registration.state = taken_back.unwrap_or(State::None);
    }

    /// Does what is due.
    pub fn registration_timeout(&mut self, now: Instant) {
        if self.registration.deadline().is_some_and(|at| at <= now) {
            let pause = match self.registration.state {
                State::Refused { pause, .. } => (pause * 2).min(RETRY_MAX),
                _ => RETRY,
            };
            self.register(now, pause);
        }
    }

    /// First registration.
    pub fn register_first(&mut self, now: Instant) {
        self.register(now, RETRY);
    }

    /// Takes the answer to a REGISTER; `None` when none came. Whether it was one at all.
    pub fn registration_answer(
        &mut self,
        key: &ClientKey,
        response: Option<&Message>,
        now: Instant,
    ) -> bool {
        let aor = self.settings.aor.to_string();
        match &self.registration.state {
            State::TakenBack { client } if client == key => {
                if response.is_none_or(|response| response.status() >= Some(200)) {
                    self.registration.state = State::None;
                    self.tell(Event::Unregistered { aor });
                }
                true
            }
            State::Asked { client, pause } if client == key => {
                let pause = *pause;
                match response.map(|response| (response, response.status().unwrap_or(0))) {
                    Some((_, ..200)) => {}
                    Some((response, 200..300)) => self.registered(response, aor, now),
                    Some((response, 423)) if self.is_longer_asked(response) => {
                        self.register(now, pause);
                    }
                    Some((_, 401 | 407)) => {
                        let why = "the registrar wants a password, and this handset has none; let \
                                   the registrar trust its address";
                        self.not_registered(why.to_owned(), now, RETRY_MAX);
                    }
                    Some((_, status)) => {
                        self.not_registered(format!("the registrar says {status}"), now, pause);
                    }
                    None => {
                        let peer = self
                            .registrar
                            .map(|peer| peer.to_string())
                            .unwrap_or_default();
                        let why = format!("no answer from {peer}; is the registrar running there?");
                        self.not_registered(why, now, pause);
                    }
                }
                true
            }
            _ => false,
        }
    }

    fn registered(&mut self, response: &Message, aor: String, now: Instant) {
        let expires = granted(response, &self.contact).unwrap_or(self.registration.expires);
        let expires = expires.max(10);
        let ahead = (expires / 5).clamp(2, 60);
        let refresh_at = now + Duration::from_secs(u64::from(expires - ahead));
        self.registration.state = State::Held { refresh_at };
        if !self.registration.told {
            self.registration.told = true;
            self.tell(Event::Registered { aor, expires });
        }
    }

    fn not_registered(&mut self, why: String, now: Instant, pause: Duration) {
        self.registration.state = State::Refused {
            retry_at: now + pause,
            pause,
        };
        self.registration.told = false;
        self.tell(Event::RegistrationFailed { why });
    }

    /// 423: asks for as long as the registrar wants, once. RFC 3261, 10.2.8.
    fn is_longer_asked(&mut self, response: &Message) -> bool {
        let least = response
            .header("Min-Expires")
            .and_then(|least| least.parse().ok());
        let is_longer = least > Some(self.registration.expires);
        self.registration.expires = least.unwrap_or(0).max(self.registration.expires);
        is_longer
    }

    fn send_register(&mut self, expires: u32, now: Instant) -> Option<ClientKey> {
        let flow = self.registrar_flow()?;
        self.registration.cseq += 1;
        let aor = &self.settings.aor;
        let mut register = Message::request("REGISTER", &format!("sip:{}", aor.host));
        register.push("Via", self.via());
        register.push("Max-Forwards", "70");
        register.push("From", format!("<{aor}>;tag={}", self.registration.tag));
        register.push("To", format!("<{aor}>"));
        register.push("Call-ID", self.registration.call_id.clone());
        register.push("CSeq", format!("{} REGISTER", self.registration.cseq));
        register.push("Contact", format!("<{}>;expires={expires}", self.contact));
        register.push("Expires", expires.to_string());
        register.push("User-Agent", super::USER_AGENT);
        Some(
            self.transactions
                .request(register, flow, now, &mut self.outputs),
        )
    }
}

/// The seconds the registrar grants our Contact. RFC 3261, 10.2.4.
fn granted(response: &Message, contact: &str) -> Option<u32> {
    let ours = response
        .list("Contact")
        .into_iter()
        .filter_map(uri::Address::parse);
    let ours = ours.filter(|address| address.uri == contact);
    let own = ours
        .filter_map(|address| address.parameter("expires")?.parse().ok())
        .next();
    own.or_else(|| response.header("Expires")?.parse().ok())
}
