//! Who may register with us, and call as one of our handsets: digest as a server. RFC 3261, 22; RFC 8760.
//!
//! Only where secrets of handsets are configured; without, whoever reaches the port may register any user,
//! which is right for a loopback address and for a network of trusted peers. A nonce is a time and our
//! signature under it, so nothing is kept; it is good for as long as [`NONCE_MS`], and as often.

use super::api::{Action, Millis};
use super::digest::{Algorithm, Challenge, Credentials, Hash, nonce_of};
use super::incoming::Incoming;
use super::machine::Sip;
use super::method::Method;
use super::uri::SipUri;

/// How long a nonce is good for.
const NONCE_MS: Millis = 300_000;

impl Sip {
    /// Whether the sender has proven to be the handset it says it is, or need not. If not, it was asked.
    pub(super) fn is_proven(
        &self,
        incoming: &Incoming,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> bool {
        let secrets = &self.settings.handsets;
        let registers = incoming.head.method == Method::Register;
        let in_dialog = incoming.head.to.tag().is_some();
        if secrets.is_empty() || in_dialog || self.settings.is_advertised(incoming.flow.peer) {
            return true;
        }
        let party = if registers {
            &incoming.head.to
        } else {
            &incoming.head.from
        };
        let of_ours = party.uri.as_sip().filter(|uri| self.is_ours(uri));
        let Some(user) = of_ours.and_then(SipUri::user_key) else {
            // A caller from elsewhere proves nothing here; where it may call is the proxy's to say.
            return true;
        };
        let Some(credentials) = secrets.get(&user) else {
            self.refuse(incoming, 403, None, &[], out);
            return false;
        };
        let (code, asks, answers) = if registers {
            (401, "WWW-Authenticate", "Authorization")
        } else {
            (407, "Proxy-Authenticate", "Proxy-Authorization")
        };
        let mut stale = false;
        for value in incoming.message.header_lines(answers) {
            let nonce = nonce_of(value).unwrap_or_default();
            let Some(at) = self.nonce_time(&nonce) else {
                continue;
            };
            if !self.meets(value, &nonce, credentials, incoming.head.method.as_str()) {
                continue;
            }
            if at <= now && now - at <= NONCE_MS {
                return true;
            }
            stale = true;
        }
        let nonce = self.nonce(now);
        let [first, second] = [Hash::Sha256, Hash::Md5].map(|hash| {
            let mut challenge = self.own_challenge(hash, &nonce);
            challenge.stale = stale;
            challenge.header()
        });
        self.refuse(
            incoming,
            code,
            None,
            &[(asks, &first), (asks, &second)],
            out,
        );
        false
    }

    fn meets(&self, value: &str, nonce: &str, credentials: &Credentials, method: &str) -> bool {
        [Hash::Sha256, Hash::Md5].into_iter().any(|hash| {
            let challenge = self.own_challenge(hash, nonce);
            challenge.is_met_by(value, credentials, method) == Some(true)
        })
    }

    fn own_challenge(&self, hash: Hash, nonce: &str) -> Challenge {
        Challenge {
            by_proxy: false,
            realm: self.settings.domain.clone(),
            nonce: nonce.to_owned(),
            opaque: None,
            algorithm: Algorithm {
                hash,
                session: false,
            },
            algorithm_named: true,
            qop_auth: true,
            stale: false,
        }
    }

    fn nonce(&self, at: Millis) -> String {
        let at = format!("{at:x}");
        format!("{at}-{}", self.random.derived(&["nonce", &at]))
    }

    /// When we made a nonce; `None`: we did not.
    fn nonce_time(&self, nonce: &str) -> Option<Millis> {
        let at = Millis::from_str_radix(nonce.split('-').next()?, 16).ok()?;
        (self.nonce(at) == nonce).then_some(at)
    }
}
