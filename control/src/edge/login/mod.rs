//! Who a browser is, proven by ordinary HTTP when it opens its socket.
//!
//! What is shown must hold; only who shows nothing can be a guest. Secrets are never logged.

mod callout;
mod passwords;
mod tokens;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use self::callout::Callout;
use self::passwords::Passwords;
use self::tokens::{Token, Tokens};
use crate::config;
use crate::jsonrtc::Login;
use crate::limits::{LOGIN_FAILURES_MAX, LOGIN_SOURCES_MAX};
use crate::state::Identity;

/// Failures of one source are forgotten after so long.
const FAILURES_FOR: Duration = Duration::from_secs(60);

/// What decides about the browsers of one application.
pub struct Door {
    domain: String,
    guests: bool,
    tokens: Option<Tokens>,
    passwords: Option<Passwords>,
    callout: Option<Callout>,
    failures: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

/// A file or URL of the login can't be used.
#[derive(Debug)]
pub struct LoginError {
    setting: &'static str,
    what: String,
}

impl LoginError {
    fn new(setting: &'static str, what: impl fmt::Display) -> LoginError {
        let what = what.to_string();
        LoginError { setting, what }
    }

    fn of_file(setting: &'static str, path: &Path, what: impl fmt::Display) -> LoginError {
        LoginError::new(setting, format!("{}: {what}", path.display()))
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "login.{}: {}", self.setting, self.what)
    }
}

impl std::error::Error for LoginError {}

/// What a browser shows.
enum Shown {
    Nothing,
    Bearer {
        token: String,
        in_query: bool,
    },
    Basic {
        user: String,
        password: String,
    },
    /// Something that is none of these.
    Unknown,
}

/// Why it is not let in.
#[derive(Debug, PartialEq, Eq)]
pub enum Denied {
    /// It has to prove who it is.
    Unproven,
    /// It may not come, whoever it is.
    Forbidden,
    /// Too many failures of its source.
    TooOften,
    /// Who decides does not answer.
    Unavailable,
}

impl Door {
    /// Reads what the login of an application needs; `None`: everybody is a guest.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn open(login: Option<&config::Login>, domain: &str) -> Result<Door, LoginError> {
        let none = config::Login::default();
        let wanted = login.unwrap_or(&none);
        Ok(Door {
            domain: domain.to_owned(),
            guests: login.is_none_or(|login| login.guests),
            tokens: wanted.tokens.as_ref().map(Tokens::read).transpose()?,
            passwords: wanted
                .passwords
                .as_deref()
                .map(Passwords::read)
                .transpose()?,
            callout: wanted.callout.as_deref().map(Callout::new).transpose()?,
            failures: Mutex::default(),
        })
    }

    /// Decides about one browser. `query` is what stands behind `?` in its URL.
    ///
    /// # Errors
    /// It is not let in.
    pub async fn admit(
        &self,
        headers: &HeaderMap,
        query: &str,
        source: IpAddr,
    ) -> Result<Login, Denied> {
        if self.has_failed_often(source) {
            return Err(Denied::TooOften);
        }
        let admitted = self.decide(headers, query, source).await;
        if let Err(Denied::Unproven | Denied::Forbidden) = &admitted {
            self.failed(source);
        }
        admitted
    }

    async fn decide(
        &self,
        headers: &HeaderMap,
        query: &str,
        source: IpAddr,
    ) -> Result<Login, Denied> {
        let shown = shown(headers, query);
        let user = match (&shown, &self.tokens, &self.passwords) {
            (Shown::Bearer { token, in_query }, Some(tokens), _) => {
                return match tokens.check(token, *in_query) {
                    Some(Token::Good(user)) => Ok(Login::User(self.named(&user)?)),
                    Some(Token::Spent(user)) => Ok(Login::Returning(self.named(&user)?)),
                    None => Err(Denied::Unproven),
                };
            }
            (Shown::Basic { user, password }, _, Some(passwords)) => {
                let proven = passwords.check(user, password).await;
                proven.then(|| user.clone()).ok_or(Denied::Unproven)?
            }
            _ => match (&self.callout, &shown) {
                (Some(callout), Shown::Bearer { token, .. }) => {
                    callout.ask(headers, Some(token), source).await?
                }
                (Some(callout), Shown::Basic { .. } | Shown::Unknown) => {
                    callout.ask(headers, None, source).await?
                }
                // A page of ours may have a cookie.
                (Some(callout), Shown::Nothing) if headers.contains_key(header::COOKIE) => {
                    callout.ask(headers, None, source).await?
                }
                (_, Shown::Nothing) if self.guests => return Ok(Login::Guest),
                _ => return Err(Denied::Unproven),
            },
        };
        Ok(Login::User(self.named(&user)?))
    }

    /// The user as sessions name it; it has to be of our domain.
    fn named(&self, user: &str) -> Result<String, Denied> {
        let identity = Identity::read(user, &self.domain).map_err(|_| Denied::Forbidden)?;
        match identity.user_of(&self.domain) {
            Some(_) => Ok(identity.shown()),
            None => Err(Denied::Forbidden),
        }
    }

    /// The answer to a browser that is not let in.
    pub fn refuse(&self, denied: &Denied) -> Response {
        let (status, text) = match denied {
            Denied::Unproven => (StatusCode::UNAUTHORIZED, "who are you?\n"),
            Denied::Forbidden => (StatusCode::FORBIDDEN, "this user may not come here\n"),
            Denied::TooOften => (StatusCode::TOO_MANY_REQUESTS, "too many failed logins\n"),
            Denied::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "logins can't be checked now\n",
            ),
        };
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        match denied {
            Denied::Unproven => {
                if self.tokens.is_some() || self.callout.is_some() {
                    let challenge = HeaderValue::from_static("Bearer");
                    headers.append(header::WWW_AUTHENTICATE, challenge);
                }
                if self.passwords.is_some() {
                    let challenge =
                        HeaderValue::from_static("Basic realm=\"causeway\", charset=\"UTF-8\"");
                    headers.append(header::WWW_AUTHENTICATE, challenge);
                }
            }
            Denied::TooOften | Denied::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            }
            Denied::Forbidden => {}
        }
        response
    }

    fn has_failed_often(&self, source: IpAddr) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(&source).is_some_and(|(count, since)| {
            *count >= LOGIN_FAILURES_MAX && since.elapsed() < FAILURES_FOR
        })
    }

    fn failed(&self, source: IpAddr) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= LOGIN_SOURCES_MAX {
            failures.retain(|_, (_, since)| since.elapsed() < FAILURES_FOR);
        }
        if failures.len() >= LOGIN_SOURCES_MAX {
            // Whoever comes from everywhere is not held up by its source.
            failures.clear();
        }
        let (count, since) = failures.entry(source).or_insert((0, Instant::now()));
        if since.elapsed() >= FAILURES_FOR {
            (*count, *since) = (0, Instant::now());
        }
        *count += 1;
    }
}

fn shown(headers: &HeaderMap, query: &str) -> Shown {
    let Some(authorization) = headers.get(header::AUTHORIZATION) else {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let token = pairs.into_iter().find(|(name, _)| *name == "access_token");
        return match token {
            Some((_, token)) => Shown::Bearer {
                token: token.to_owned(),
                in_query: true,
            },
            None => Shown::Nothing,
        };
    };
    let text = authorization.to_str().unwrap_or_default();
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Shown::Bearer {
            token: rest.trim().to_owned(),
            in_query: false,
        };
    }
    let decoded = || {
        let octets = BASE64_STANDARD.decode(rest.trim()).ok()?;
        let text = String::from_utf8(octets).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    };
    match scheme.eq_ignore_ascii_case("basic").then(decoded).flatten() {
        Some((user, password)) => Shown::Basic { user, password },
        None => Shown::Unknown,
    }
}

#[cfg(test)]
mod tests;
