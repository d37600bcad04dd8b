//! SIP URIs, and addresses with a name and parameters around them. RFC 3261, 19.1 and 20.10.

use std::fmt;

/// A `sip:` URI, as far as a handset looks into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    /// The part before `@`, if there is one.
    pub user: Option<String>,
    /// Name or address; an IPv6 address without its brackets.
    pub host: String,
    /// The port, if one is given.
    pub port: Option<u16>,
    /// What follows the host, with its leading `;`.
    pub parameters: String,
}

impl Uri {
    /// Reads `sip:user@host:port;parameters`; the scheme may be left out.
    pub fn parse(text: &str) -> Option<Uri> {
        let rest = match text.split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sip") => rest,
            _ if text.starts_with("sips:") || text.starts_with("tel:") => return None,
            _ => text,
        };
        if rest
            .bytes()
            .any(|byte| byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 127))
        {
            return None;
        }
        let rest = rest.split('?').next().unwrap_or(rest);
        let (user, rest) = match rest.split_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, rest),
        };
        let (host_port, parameters) = match rest.find(';') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = match host_port.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']')?;
                (host, after.strip_prefix(':'))
            }
            None => match host_port.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (host_port, None),
            },
        };
        let port = port.map(str::parse).transpose().ok()?;
        if host.is_empty() {
            return None;
        }
        Some(Uri {
            user,
            host: host.to_owned(),
            port,
            parameters: parameters.to_owned(),
        })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sip:")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.parameters)
    }
}

/// What From, To, Contact, Route and their like hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The URI, as written.
    pub uri: String,
    /// The header's own parameters, with the leading `;`.
    pub parameters: String,
}

impl Address {
    /// Reads `"Name" <uri>;parameters` or `uri;parameters`.
    pub fn parse(value: &str) -> Option<Address> {
        let open = outside_quotes(value)
            .find(|&(_, c)| c == '<')
            .map(|(at, _)| at);
        let (uri, parameters) = match open {
            Some(open) => {
                let (uri, after) = value[open + 1..].split_once('>')?;
                (uri, after.trim())
            }
            None => match value.find(';') {
                Some(at) => value.split_at(at),
                None => (value, ""),
            },
        };
        let uri = uri.trim().to_owned();
        (!uri.is_empty()).then(|| Address {
            uri,
            parameters: parameters.to_owned(),
        })
    }

    /// The value of a header parameter, empty when it has none.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.parameters, name)
    }
}

/// The characters of `text` that are in no quoted string, with where they stand.
pub fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut quoted = false;
    let mut escaped = false;
    text.char_indices().filter(move |&(_, c)| {
        let was_quoted = quoted;
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        }
        !was_quoted && c != '"'
    })
}

/// The value of a parameter in `;a=b;c`.
pub fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|one| {
        let (key, value) = one.split_once('=').unwrap_or((one, ""));
        key.trim()
            .eq_ignore_ascii_case(name)
            .then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_come_apart_and_go_together_again() {
        for text in [
            "sip:bob@127.0.0.1:5070;transport=tcp",
            "sip:localhost",
            "sip:a@[::1]:7",
        ] {
            assert_eq!(Uri::parse(text).unwrap().to_string(), text);
        }
        let uri = Uri::parse("sip:bob@[::1]:5070;transport=tcp;lr").unwrap();
        assert_eq!((uri.host.as_str(), uri.port), ("::1", Some(5070)));
        assert_eq!(parameter(&uri.parameters, "transport"), Some("tcp"));
        assert_eq!(parameter(&uri.parameters, "lr"), Some(""));
        assert_eq!(
            Uri::parse("alice@localhost").unwrap().to_string(),
            "sip:alice@localhost"
        );
    }

    #[test]
    fn what_is_no_sip_uri_is_refused() {
        for text in [
            "",
            "sip:",
            "tel:+491234",
            "sip:a b@c",
            "sip:a@b:port",
            "sip:a@[::1",
        ] {
            assert_eq!(Uri::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_name_in_quotes_may_hold_anything() {
        let address = Address::parse(r#""<sip:no@x>;tag=no \" " <sip:a@b;lr>;tag=yes"#).unwrap();
        assert_eq!(address.uri, "sip:a@b;lr");
        assert_eq!(address.parameter("tag"), Some("yes"));
    }
}
