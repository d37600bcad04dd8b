//! Users and peers: what a frame calls them, what SIP calls them, and when two names are one.

use std::fmt;

use crate::limits::IDENTITY_BYTES_MAX;

/// A user or peer. The user part compares with case, the domain without.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// `sip:user@domain`
    Sip {
        /// The user part, as it was written.
        user: String,
        /// Lower case; with a port where one was written.
        domain: String,
        /// `sips:`
        secure: bool,
    },
    /// `tel:+15550100`
    Tel {
        /// With its `+`, without visual separators.
        number: String,
    },
}

/// A text that names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotIdentity;

impl fmt::Display for NotIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no user@domain, sip: or tel: address")
    }
}

impl std::error::Error for NotIdentity {}

impl Identity {
    /// Reads `user`, `user@domain`, `sip:…`, `sips:…` or `tel:…`; a bare user is of `domain`. Parameters
    /// and a display name around it are left out.
    pub fn read(text: &str, domain: &str) -> Result<Identity, NotIdentity> {
        if text.len() > IDENTITY_BYTES_MAX {
            return Err(NotIdentity);
        }
        let text = match (text.rfind('<'), text.rfind('>')) {
            (Some(start), Some(end)) if start < end => &text[start + 1..end],
            (None, None) => text.trim(),
            _ => return Err(NotIdentity),
        };
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => ("sip".to_owned(), text),
        };
        let bare = |text: &str| text.split([';', '?']).next().unwrap_or("").to_owned();
        match scheme.as_str() {
            "sip" | "sips" => {
                // Before the `@` these are part of the name.
                let (user, host) = match rest.split_once('@') {
                    // A second `@` would leave it to the reader which of them counts.
                    Some((_, host)) if host.contains('@') => return Err(NotIdentity),
                    Some((user, host)) => (user.to_owned(), bare(host)),
                    None => (bare(rest), domain.to_owned()),
                };
                let (user, host) = (user.as_str(), host.as_str());
                if !is_user(user) || !is_host(host) {
                    return Err(NotIdentity);
                }
                let (user, domain) = (user.to_owned(), host.to_ascii_lowercase());
                Ok(Identity::Sip {
                    user,
                    domain,
                    secure: scheme == "sips",
                })
            }
            "tel" => {
                let number: String = bare(rest)
                    .chars()
                    .filter(|c| !matches!(c, '-' | '.' | '(' | ')'))
                    .collect();
                let digits = number.strip_prefix('+').unwrap_or(&number);
                let known = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#');
                if digits.is_empty() || !digits.chars().all(known) {
                    return Err(NotIdentity);
                }
                Ok(Identity::Tel { number })
            }
            _ => Err(NotIdentity),
        }
    }

    /// As clients see it: `alice@example.com`, without scheme; a number keeps its `tel:`.
    pub fn shown(&self) -> String {
        match self {
            Identity::Sip { user, domain, .. } => format!("{user}@{domain}"),
            Identity::Tel { .. } => self.uri(),
        }
    }

    /// As SIP writes it: `sip:alice@example.com`.
    pub fn uri(&self) -> String {
        match self {
            Identity::Sip {
                user,
                domain,
                secure,
            } => {
                format!("sip{}:{user}@{domain}", if *secure { "s" } else { "" })
            }
            Identity::Tel { number } => format!("tel:{number}"),
        }
    }

    /// The user of `domain` with the same user part; a number stays what it is.
    pub fn at(self, domain: &str) -> Identity {
        match self {
            Identity::Sip { user, secure, .. } => Identity::Sip {
                user,
                domain: domain.to_ascii_lowercase(),
                secure,
            },
            Identity::Tel { .. } => self,
        }
    }

    /// The user part, if it is a user of `domain`.
    pub fn user_of(&self, domain: &str) -> Option<&str> {
        match self {
            Identity::Sip {
                user, domain: own, ..
            } if own.eq_ignore_ascii_case(domain) => Some(user),
            Identity::Sip { .. } | Identity::Tel { .. } => None,
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// RFC 3261, 25.1, `user`, with escapes as they are written.
fn is_user(user: &str) -> bool {
    !user.is_empty()
        && user
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,;?/%".contains(c))
}

fn is_host(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(v6) => {
            let Some((address, port)) = v6.split_once(']') else {
                return false;
            };
            return address.parse::<std::net::Ipv6Addr>().is_ok() && is_port_suffix(port);
        }
        None => host,
    };
    let (name, port) = match bare.find(':') {
        Some(colon) => bare.split_at(colon),
        None => (bare, ""),
    };
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        && is_port_suffix(port)
}

fn is_port_suffix(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        Identity::read(text, "localhost")
            .ok()
            .map(|identity| identity.shown())
    }

    #[test]
    fn a_bare_name_is_of_our_domain_and_every_form_shows_the_same() {
        for text in [
            "alice",
            "alice@localhost",
            "alice@LOCALHOST",
            "sip:alice@localhost",
            "SIP:alice@localhost;transport=tcp",
            "\"Alice\" <sip:alice@localhost>;tag=1",
            "<sip:alice@localhost?subject=x>",
        ] {
            assert_eq!(shown(text).as_deref(), Some("alice@localhost"), "{text}");
        }
        assert_eq!(shown("Alice").as_deref(), Some("Alice@localhost"));
    }

    #[test]
    fn uris_keep_their_scheme() {
        let uri = |text| Identity::read(text, "localhost").unwrap().uri();
        assert_eq!(uri("bob"), "sip:bob@localhost");
        assert_eq!(uri("sips:bob@example.com"), "sips:bob@example.com");
        assert_eq!(uri("tel:+1-555-01.00"), "tel:+15550100");
        assert_eq!(uri("bob@192.0.2.1:5070"), "sip:bob@192.0.2.1:5070");
        assert_eq!(uri("bob@[2001:db8::1]:5070"), "sip:bob@[2001:db8::1]:5070");
    }

    #[test]
    fn parameters_do_not_hide_whose_domain_it_is() {
        for (text, expected) in [
            (
                "sip:+15550100;phone-context=x@example.com;user=phone",
                Some("+15550100;phone-context=x@example.com"),
            ),
            ("sip:alice;x@example.com", Some("alice;x@example.com")),
            ("sip:alice?x@example.com", Some("alice?x@example.com")),
            ("sip:alice@example.com;x=y@localhost", None),
            ("sip:alice@example.com;x=y", Some("alice@example.com")),
        ] {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for text in [
            "",
            "@",
            "@localhost",
            "a b",
            "alice@",
            "alice@a b",
            "alice\r\nX: y",
            "mailto:a@b",
            "tel:",
            "tel:abc",
            "alice@host:0",
            "alice@host:99999",
            "<sip:alice@localhost",
            "alice@[zz]",
            &"a".repeat(300),
        ] {
            assert_eq!(shown(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_user_called_by_our_address_is_a_user_of_our_domain() {
        let identity = Identity::read("sip:alice@127.0.0.1:5060", "localhost").unwrap();
        assert_eq!(identity.at("localhost").shown(), "alice@localhost");
    }

    #[test]
    fn only_users_of_the_domain_have_a_user_part_there() {
        let identity = Identity::read("alice@Example.com", "localhost").unwrap();
        assert_eq!(identity.user_of("example.com"), Some("alice"));
        assert_eq!(identity.user_of("localhost"), None);
    }
}
