//! Who may register with us, and call as one of our handsets: digest as a server. RFC 3261, 22; RFC 8760.
//!
//! Only where secrets of handsets are configured; without, whoever reaches the port may register any user,
//! which is right for a loopback address and for a network of trusted peers. A nonce is a time and our
//! signature under it, so nothing is kept of those that are never answered; it is good for [`NONCE_MS`]. Each use
//! of it counts up (`nc`), so what somebody has overheard is of no use.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::api::{Action, Millis};
use super::digest::{Algorithm, Challenge, Credentials, Hash, Qop, nonce_of};
use super::incoming::Incoming;
use super::machine::Sip;
use super::method::Method;
use super::uri::SipUri;

/// How long a nonce is good for.
const NONCE_MS: Millis = 300_000;

/// Nonces whose uses are counted; with one more, the oldest is good no longer.
const NONCES_MAX: usize = 65_536;

/// How often nonces have been used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Nonces {
    /// By when they were made (16 hexadecimal digits) and who uses them: the highest `nc`.
    uses: BTreeMap<String, u32>,
    /// Those made until then are good no longer.
    over: Option<Millis>,
}

impl Nonces {
    /// Notes a use of the nonce that was made at `made`; `false`: it is none that is new.
    fn is_new(&mut self, made: Millis, user: &str, count: u32, now: Millis) -> bool {
        let is_over = |at: Millis| now.saturating_sub(at) > NONCE_MS;
        while let Some(oldest) = self.uses.first_entry() {
            let at = oldest.key().get(..16);
            let at = at.and_then(|digits| Millis::from_str_radix(digits, 16).ok());
            let at = at.unwrap_or(0);
            let known = self.uses.len();
            if !is_over(at) && known < NONCES_MAX {
                break;
            }
            self.over = self.over.max(Some(at));
            self.uses.pop_first();
        }
        if Some(made) <= self.over {
            return false;
        }
        let last = self.uses.entry(format!("{made:016x} {user}")).or_insert(0);
        let is_new = count > *last;
        *last = count.max(*last);
        is_new
    }
}

impl Sip {
    /// Whether the sender has proven to be the handset it says it is, or need not. If not, it was asked.
    pub(super) fn is_proven(
        &mut self,
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
        let Some(credentials) = secrets.get(&user).cloned() else {
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
            let Some((nonce, count)) = nonce_of(value) else {
                continue;
            };
            let Some(at) = self.nonce_time(&nonce) else {
                continue;
            };
            if !self.meets(value, &nonce, &credentials, incoming.head.method.as_str()) {
                continue;
            }
            let fresh = at <= now && now - at <= NONCE_MS;
            if fresh && self.nonces.is_new(at, &user, count, now) {
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
            qop: Qop::Auth,
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
