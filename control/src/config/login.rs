//! `[applications.NAME.login]`: how browsers prove who they are when they open their socket.

use std::path::PathBuf;

use serde::Deserialize;

/// Ways to log in to one application. What a browser shows must hold: only one that shows nothing is a
/// guest, if guests are let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Login {
    /// `guests`: whoever shows nothing may take any name of the domain. Default false; without a `login`
    /// table everybody is a guest.
    pub guests: bool,
    /// `tokens`: signed ones (JWT, RFC 7519), as `Authorization: Bearer` or `?access_token=`.
    pub tokens: Option<Tokens>,
    /// `passwords`: a file with lines `user:HASH`, the hash as argon2 prints it (`$argon2id$…`); shown as
    /// `Authorization: Basic`.
    pub passwords: Option<PathBuf>,
    /// `callout`: an `http://` URL that is asked, with the browser's Authorization and Cookie, by GET: 200
    /// with the user's name in `X-User` lets in, 401 and 403 do not.
    pub callout: Option<String>,
}

/// Which tokens hold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// `keys`: a JSON Web Key Set (RFC 7517) with keys for HS256, RS256, ES256 or EdDSA.
    pub keys: PathBuf,
    /// `issuer`: what the claim `iss` must be. Default: anything.
    #[serde(default)]
    pub issuer: Option<String>,
    /// `audience`: what the claim `aud` must have. Default: anything.
    #[serde(default)]
    pub audience: Option<String>,
    /// `user`: the claim that names the user. Default: sub.
    #[serde(default = "subject")]
    pub user: String,
}

fn subject() -> String {
    "sub".to_owned()
}
