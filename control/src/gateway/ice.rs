//! The STUN and TURN servers that browsers are told: with their session, and when they ask.
//!
//! A TURN server that shares a secret with us takes users of limited time, as coturn and others have it: the
//! name is the second at which it ends and the user's own, the password an HMAC of that name.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Gateway;
use crate::jsonrtc::Members;

/// A STUN or TURN server.
#[derive(Clone)]
pub struct IceServer {
    /// Where it is (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// How its users log in.
    pub login: IceLogin,
}

/// Without its passwords.
impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceServer({})", self.urls.join(" "))
    }
}

/// How users of a TURN server log in.
#[derive(Clone)]
pub enum IceLogin {
    /// Not at all.
    None,
    /// All by the same name and password.
    Fixed(String, String),
    /// By names of limited time, made of a secret that the server shares with us.
    Timed(String),
}

impl Gateway {
    /// What a user's page gives to its `RTCPeerConnection`, and for how long it is good.
    pub(super) fn ice_servers(&self, user: &str) -> Members {
        let ttl_s = self.settings.ice_ttl_s;
        let ends = self.wall_ms / 1000 + u64::from(ttl_s);
        let servers = self.settings.ice.iter();
        let servers = servers.map(|server| told(server, user, ends));
        let mut payload = Members::new();
        payload.insert("iceServers".into(), servers.collect());
        payload.insert("iceServersTtl".into(), ttl_s.into());
        payload
    }
}

/// A server as W3C's `RTCIceServer`.
fn told(server: &IceServer, user: &str, ends: u64) -> Value {
    let mut told = json!({ "urls": server.urls });
    let (username, credential) = match &server.login {
        IceLogin::None => return told,
        IceLogin::Fixed(username, credential) => (username.clone(), credential.clone()),
        IceLogin::Timed(secret) => timed(secret, user, ends),
    };
    told["username"] = username.into();
    told["credential"] = credential.into();
    told
}

/// A user that the server takes until the second `ends`.
fn timed(secret: &str, user: &str, ends: u64) -> (String, String) {
    let username = format!("{ends}:{user}");
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let proof = hmac::sign(&key, username.as_bytes());
    (username, BASE64_STANDARD.encode(proof))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_limited_time_is_proven_by_the_shared_secret() {
        // By `openssl dgst -sha1 -hmac north -binary | base64`.
        let (username, credential) = timed("north", "alice@example.com", 1_433_895_918);
        assert_eq!(username, "1433895918:alice@example.com");
        assert_eq!(credential, "0l4Bf4anN3SxP0s4lbf4LJ7Z7Qw=");
    }
}
