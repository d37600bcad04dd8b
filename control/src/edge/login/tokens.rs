//! Signed tokens. RFC 7519, RFC 7517.
//!
//! A token that stands in a URL is good for one session: its `jti` is remembered until it expires. Used
//! again, or expired, it still proves who comes back to a session that exists.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::LoginError;
use crate::config;
use crate::limits::{SPENT_TOKENS_MAX, TOKEN_BYTES_MAX};

/// How far clocks may be apart, in seconds.
const LEEWAY_S: u64 = 30;

/// What a token proves.
#[derive(Debug, PartialEq, Eq)]
pub enum Token {
    /// This is the user.
    Good(String),
    /// This was the user: it may come back, and start nothing.
    Spent(String),
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The keys, and the tokens that were used up.
pub struct Tokens {
    keys: Vec<Key>,
    issuer: Option<String>,
    audience: Option<String>,
    user: String,
    spent: Mutex<HashMap<String, u64>>,
}

impl Tokens {
    /// Reads the keys.
    pub fn read(config: &config::Tokens) -> Result<Tokens, LoginError> {
        let wrong = |what: String| LoginError::of_file("tokens.keys", &config.keys, what);
        let text = std::fs::read(&config.keys).map_err(|error| wrong(error.to_string()))?;
        let set: JwkSet =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let mut keys = Vec::new();
        for (number, jwk) in (1..).zip(&set.keys) {
            // The key says how it signs, never the token: else a public key could be taken for a secret.
            let algorithm = match &jwk.algorithm {
                AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
                AlgorithmParameters::RSA(_) => Algorithm::RS256,
                AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
                    Algorithm::ES256
                }
                AlgorithmParameters::OctetKeyPair(_) => Algorithm::EdDSA,
                AlgorithmParameters::EllipticCurve(_) => {
                    return Err(wrong(format!(
                        "key {number}: only the curve P-256 is known"
                    )));
                }
            };
            let key = DecodingKey::from_jwk(jwk)
                .map_err(|error| wrong(format!("key {number}: {error}")))?;
            keys.push(Key {
                id: jwk.common.key_id.clone(),
                algorithm,
                key,
            });
        }
        if keys.is_empty() {
            return Err(wrong("has no key".to_owned()));
        }
        Ok(Tokens {
            keys,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            user: config.user.clone(),
            spent: Mutex::default(),
        })
    }

    /// What a token proves; `None`: nothing. `once`: it stands in a URL.
    pub fn check(&self, token: &str, once: bool) -> Option<Token> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let head = decode_header(token).ok()?;
        let named = |key: &&Key| match (&head.kid, &key.id) {
            (Some(wanted), Some(id)) => wanted == id,
            _ => true,
        };
        let fits = |key: &&Key| key.algorithm == head.alg && named(key);
        let claims = self.keys.iter().filter(fits).find_map(|key| {
            let mut validation = Validation::new(key.algorithm);
            validation.leeway = LEEWAY_S;
            // Told apart below: who has expired may come back.
            validation.validate_exp = false;
            validation.validate_nbf = true;
            match &self.audience {
                Some(audience) => validation.set_audience(&[audience]),
                None => validation.validate_aud = false,
            }
            if let Some(issuer) = &self.issuer {
                validation.set_issuer(&[issuer]);
            }
            let mut required = vec!["exp"];
            required.extend(self.audience.as_ref().map(|_| "aud"));
            required.extend(self.issuer.as_ref().map(|_| "iss"));
            validation.set_required_spec_claims(&required);
            decode::<Map<String, Value>>(token, &key.key, &validation).ok()
        })?;
        let claims = claims.claims;
        let user = claims.get(&self.user)?.as_str()?.to_owned();
        let expires = claims.get("exp")?.as_f64()? as u64;
        if expires + LEEWAY_S < unix_s() {
            return Some(Token::Spent(user));
        }
        if once {
            let id = claims.get("jti")?.as_str()?.to_owned();
            if !self.spend(id, expires) {
                return Some(Token::Spent(user));
            }
        }
        Some(Token::Good(user))
    }

    /// Whether it is used for the first time.
    fn spend(&self, id: String, expires: u64) -> bool {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.len() >= SPENT_TOKENS_MAX {
            let now = unix_s();
            spent.retain(|_, expires| *expires + LEEWAY_S >= now);
        }
        // Full of tokens that are still good: none can be told to be used for the first time.
        spent.len() < SPENT_TOKENS_MAX && spent.insert(id, expires).is_none()
    }
}

fn unix_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
