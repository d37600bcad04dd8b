//! Browsers whose users belong to a registrar elsewhere: a `connect` waits until the registrar has
//! answered, and what it asks for is passed on to the browser as a challenge.
//!
//! The browser answers with `authorization` in its next `connect`: a digest of its own making, or its
//! hashed secret. A password as it stands is not taken, because the way here need not be a secret one.

use super::{Gateway, Seat, Turn, views};
use crate::jsonrtc::{Members, SessionKey, SocketId, Welcome};
use crate::metrics::Counter;
use crate::script::OutSipRequest;
use crate::sip::{Algorithm, Answer, AttemptId, Challenge, Credentials, Secret};

/// A `connect` that was granted by the script.
#[derive(Debug)]
pub struct Granted {
    pub socket: SocketId,
    pub welcome: Welcome,
    /// The user part that SIP is told.
    pub local: String,
    pub store: Members,
    /// What the browser says of its device.
    pub device: Option<Members>,
    /// What the script publishes of the user.
    pub published: Vec<OutSipRequest>,
}

impl Gateway {
    /// Asks the registrar, if there is one, and else seats the browser at once.
    pub(super) fn admit(
        &mut self,
        granted: Granted,
        authorization: Option<&serde_json::Value>,
        turn: &mut Turn<'_>,
    ) {
        if self.settings.registrar.is_none() {
            return self.seat(granted, turn);
        }
        let credentials = match authorization.map(|value| credentials(value, &granted.local)) {
            None => None,
            Some(Ok(credentials)) => Some(credentials),
            Some(Err(reason)) => return self.refuse_connect(granted.socket, 400, reason, turn),
        };
        match turn.net.register(&granted.local, credentials) {
            Ok(attempt) => {
                self.connecting.insert(attempt, granted);
            }
            Err(refused) => {
                tracing::warn!(?refused, "a user was not registered");
                self.refuse_connect(granted.socket, 503, "Service Unavailable", turn);
            }
        }
    }

    /// The browser gets its session.
    fn seat(&mut self, granted: Granted, turn: &mut Turn<'_>) {
        let Granted {
            socket,
            welcome,
            local,
            store,
            device,
            published,
        } = granted;
        let user = welcome.user.clone();
        let accepted = self
            .browsers
            .accept(socket, welcome, turn.now, &mut self.web);
        let Some(session) = accepted else {
            return self.let_go(&user, &local, turn);
        };
        self.counters.add(Counter::SessionsStarted);
        turn.net.add_local(&local);
        let seat = Seat {
            store,
            local: Some(local),
            device,
            ..Seat::default()
        };
        self.seats.insert(session, seat);
        self.publish(&user, published, turn);
        tracing::debug!(session = session.0, "a session started");
    }

    /// Publishes what the script of the package `register` has said. What becomes of it is the SIP side's business.
    pub(super) fn publish(
        &mut self,
        user: &str,
        published: Vec<OutSipRequest>,
        turn: &mut Turn<'_>,
    ) {
        for mut request in published {
            // Nobody publishes for somebody else.
            request.from = self.uri(user);
            if request.to.is_empty() {
                request.to = self.uri(user);
            }
            match turn.net.request(None, views::out_request(request)) {
                Ok(_) => self.counters.add(Counter::SipRequestsSent),
                Err(refused) => tracing::warn!(?refused, "PUBLISH was not sent"),
            }
        }
    }

    /// SIP need not know a user any more who has no session and asks for none.
    pub(super) fn let_go(&mut self, user: &str, local: &str, turn: &mut Turn<'_>) {
        let asks = |granted: &Granted| granted.local == local;
        if self.browsers.sessions_of(user).is_empty() && !self.connecting.values().any(asks) {
            turn.net.remove_local(local);
        }
    }

    /// The registrar knows the user now.
    pub(super) fn registered(&mut self, attempt: AttemptId, turn: &mut Turn<'_>) {
        if let Some(granted) = self.connecting.remove(&attempt) {
            self.seat(granted, turn);
        }
    }

    /// The registrar does not want the user.
    pub(super) fn not_registered(
        &mut self,
        refusal: (u16, &str),
        attempt: Option<AttemptId>,
        user: &str,
        challenges: &[Challenge],
        turn: &mut Turn<'_>,
    ) {
        let (code, reason) = refusal;
        let Some(attempt) = attempt else {
            return self.registration_lost(user, code);
        };
        let Some(granted) = self.connecting.remove(&attempt) else {
            // Asked for on behalf of a session that outlived the process.
            return self.registration_lost(user, code);
        };
        let challenge = challenges
            .first()
            .filter(|_| matches!(code, 401 | 407))
            .map(|challenge| {
                let uri = self.settings.registrar.as_deref().unwrap_or_default();
                authenticate(challenge, uri)
            });
        let code = super::carry_out::web_code(u64::from(code)) as u32;
        self.counters.add(Counter::FramesRefused);
        let (socket, now, web) = (granted.socket, turn.now, &mut self.web);
        match challenge {
            Some(asks) => (self.browsers).challenge(socket, (code, reason), asks, now, web),
            None => self.browsers.refuse(socket, code, reason, web),
        }
        let (user, local) = (granted.welcome.user, granted.local);
        self.let_go(&user, &local, turn);
    }

    /// A registration is over that was kept up until now. If the registrar does not know the user any more,
    /// neither do we; if it only does not answer, it is asked again and again.
    fn registration_lost(&mut self, user: &str, code: u16) {
        tracing::warn!(code, "a registration is lost");
        if !matches!(code, 401 | 403 | 404 | 407) {
            return;
        }
        let is_of = |session: &&SessionKey| {
            let seat = self.seats.get(session);
            seat.is_some_and(|seat| seat.local.as_deref() == Some(user))
        };
        let mut lost: Vec<SessionKey> = self.seats.keys().filter(is_of).copied().collect();
        lost.sort_unstable();
        for session in lost {
            let reason = "the registrar refuses the user";
            self.browsers.end(session, 403, reason, &mut self.web);
        }
    }
}

/// What a `connect` says for itself. `Err` says what is wrong.
fn credentials(value: &serde_json::Value, user: &str) -> Result<Credentials, &'static str> {
    let text = |name: &str| value.get(name).and_then(|member| member.as_str());
    let owned = |name: &str| text(name).map(str::to_owned);
    let username = text("username").unwrap_or(user).to_owned();
    if let (Some(response), Some(realm), Some(nonce), Some(uri)) = (
        owned("response"),
        owned("realm"),
        owned("nonce"),
        owned("uri"),
    ) {
        let further = ["algorithm", "opaque", "cnonce", "nc", "qop"];
        let further = further.into_iter().filter_map(|name| {
            let given = owned(name).filter(|given| !given.is_empty())?;
            Some((name.to_owned(), given))
        });
        let secret = Secret::Answer(Answer {
            by_proxy: text("challenge_code") == Some("407"),
            realm,
            nonce,
            uri,
            response,
            further: further.collect(),
        });
        return Ok(Credentials { username, secret });
    }
    if let (Some(ha1), Some(realm)) = (owned("ha1"), owned("realm")) {
        let algorithm = match text("algorithm").filter(|name| !name.is_empty()) {
            Some(name) => Algorithm::from_name(name).ok_or("authorization: unknown algorithm")?,
            None => Algorithm::MD5,
        };
        let secret = Secret::Hashed {
            hash: algorithm.hash,
            realm,
            ha1,
        };
        return Ok(Credentials { username, secret });
    }
    Err("authorization has neither `response` with realm, nonce and uri, nor `ha1` with realm")
}

/// A challenge as clients know it.
fn authenticate(challenge: &Challenge, uri: &str) -> Members {
    let mut members = Members::new();
    let code = if challenge.by_proxy { "407" } else { "401" };
    let algorithm = challenge.algorithm.to_string();
    for (name, value) in [
        ("scheme", "Digest"),
        ("realm", challenge.realm.as_str()),
        ("nonce", challenge.nonce.as_str()),
        ("qop", challenge.qop.name()),
        ("opaque", challenge.opaque.as_deref().unwrap_or("")),
        ("algorithm", algorithm.as_str()),
        ("charset", "utf-8"),
        ("challenge_code", code),
        ("method", "REGISTER"),
        ("uri", uri),
    ] {
        members.insert(name.into(), value.into());
    }
    members
}
