//! SIP, SIPS and tel URIs. RFC 3261, 19.1; RFC 3966.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::api::SipTransport;
use super::text::{is_escaped, is_unreserved, unescape};

/// A URI, as far as we look into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uri {
    /// `sip:` or `sips:`
    Sip(SipUri),
    /// `tel:`, what follows the colon.
    Tel(String),
    /// Any other scheme.
    Other {
        /// Before the colon.
        scheme: String,
        /// After it.
        rest: String,
    },
}

/// A SIP or SIPS URI. Texts are escaped as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipUri {
    /// `sips:`
    pub secure: bool,
    /// Before the `@`, without the password.
    pub user: Option<String>,
    /// After the user's colon.
    pub password: Option<String>,
    /// Where.
    pub host: Host,
    /// `None`: 5060.
    pub port: Option<u16>,
    /// Name and value.
    pub params: Vec<(String, Option<String>)>,
    /// After the `?`.
    pub headers: Option<String>,
}

/// The host of a URI or Via.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A domain name as written.
    Name(String),
    /// A number; IPv6 is written in brackets.
    Address(IpAddr),
}

impl Uri {
    /// Reads a whole URI. `Err` says what is wrong with it.
    pub fn parse(text: &str) -> Result<Uri, &'static str> {
        let (scheme, rest) = text.split_once(':').ok_or("a URI has no scheme")?;
        let good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !good {
            return Err("a URI's scheme is malformed");
        }
        if scheme.eq_ignore_ascii_case("sip") {
            return SipUri::parse(false, rest).map(Uri::Sip);
        }
        if scheme.eq_ignore_ascii_case("sips") {
            return SipUri::parse(true, rest).map(Uri::Sip);
        }
        if rest.is_empty() || !is_escaped(rest, ";/?:@&=+$,[]#") {
            return Err("a URI has characters that must be escaped");
        }
        if scheme.eq_ignore_ascii_case("tel") {
            return Ok(Uri::Tel(rest.to_owned()));
        }
        Ok(Uri::Other {
            scheme: scheme.to_ascii_lowercase(),
            rest: rest.to_owned(),
        })
    }

    /// The URI if it is a SIP or SIPS one.
    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Uri::Sip(uri) => Some(uri),
            Uri::Tel(_) | Uri::Other { .. } => None,
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uri::Sip(uri) => uri.fmt(f),
            Uri::Tel(rest) => write!(f, "tel:{rest}"),
            Uri::Other { scheme, rest } => write!(f, "{scheme}:{rest}"),
        }
    }
}

impl SipUri {
    /// `sip:host:port` of an address.
    pub fn of(address: SocketAddr) -> SipUri {
        SipUri::at(Host::Address(address.ip()), address.port())
    }

    /// `sip:host:port`.
    pub fn at(host: Host, port: u16) -> SipUri {
        SipUri {
            secure: false,
            user: None,
            password: None,
            host,
            port: Some(port),
            params: Vec::new(),
            headers: None,
        }
    }

    /// Names the transport, where it is not UDP.
    pub fn set_transport(&mut self, transport: SipTransport) {
        let name = match transport {
            SipTransport::Udp => return,
            SipTransport::Tcp => "tcp",
            SipTransport::Tls => "tls",
        };
        self.params
            .push(("transport".to_owned(), Some(name.to_owned())));
    }

    fn parse(secure: bool, rest: &str) -> Result<SipUri, &'static str> {
        // A `?` or `;` may stand in the user part, so the `@` is looked for first.
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (mut user, mut password) = (None, None);
        if let Some(userinfo) = userinfo {
            let (name, secret) = match userinfo.split_once(':') {
                Some((name, secret)) => (name, Some(secret)),
                None => (userinfo, None),
            };
            if name.is_empty() || !is_escaped(name, "&=+$,;?/") {
                return Err("a URI's user part is malformed");
            }
            if secret.is_some_and(|secret| !is_escaped(secret, "&=+$,")) {
                return Err("a URI's password is malformed");
            }
            user = Some(name.to_owned());
            password = secret.map(str::to_owned);
        }
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers)),
            None => (rest, None),
        };
        if headers.is_some_and(|h| !h.contains('=') || !is_escaped(h, "[]/?:+$=&")) {
            return Err("a URI's headers are malformed");
        }
        let mut pieces = rest.split(';');
        let (host, port) = parse_host_port(pieces.next().unwrap_or(""))?;
        let mut params = Vec::new();
        for piece in pieces {
            let (name, value) = match piece.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (piece, None),
            };
            let good = |text: &str| !text.is_empty() && is_escaped(text, "[]/:&+$");
            if !good(name) || value.is_some_and(|value| !good(value)) {
                return Err("a URI's parameter is malformed");
            }
            params.push((name.to_owned(), value.map(str::to_owned)));
        }
        let headers = headers.map(str::to_owned);
        Ok(SipUri {
            secure,
            user,
            password,
            host,
            port,
            params,
            headers,
        })
    }

    /// The value of a parameter; `Some("")` if it has none.
    pub fn param(&self, name: &str) -> Option<&str> {
        let found = self
            .params
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_deref().unwrap_or(""))
    }

    /// The user part in its one spelling, to be used as a key.
    pub fn user_key(&self) -> Option<String> {
        self.user.as_deref().map(unescape)
    }

    /// The port, or the usual one where none is written. RFC 3261, 19.1.2.
    pub fn port_or_usual(&self) -> u16 {
        let tls = self
            .param("transport")
            .is_some_and(|name| name.eq_ignore_ascii_case("tls"));
        self.port
            .unwrap_or(if self.secure || tls { 5061 } else { 5060 })
    }

    /// The address, if the host is a number.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Address(ip) => Some(SocketAddr::new(ip, self.port_or_usual())),
            Host::Name(_) => None,
        }
    }

    /// Whether both name the same resource. RFC 3261, 19.1.4.
    pub fn is_same(&self, other: &SipUri) -> bool {
        // These must be equal when only one of the two has them, too.
        const DECISIVE: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
        let param = |uri: &SipUri, name: &str| {
            uri.param(name)
                .map(|value| unescape(value).to_ascii_lowercase())
        };
        let headers = |uri: &SipUri| {
            let mut headers: Vec<String> = uri
                .headers
                .iter()
                .flat_map(|h| h.split('&'))
                .map(unescape)
                .collect();
            headers.sort();
            headers
        };
        self.secure == other.secure
            && self.user_key() == other.user_key()
            && self.password.as_deref().map(unescape) == other.password.as_deref().map(unescape)
            && self.host.is_same(&other.host)
            && self.port == other.port
            && DECISIVE
                .iter()
                .all(|name| param(self, name) == param(other, name))
            && self.params.iter().all(|(name, _)| {
                other.param(name).is_none() || param(self, name) == param(other, name)
            })
            && headers(self) == headers(other)
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (name, value) in &self.params {
            write!(f, ";{name}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        if let Some(headers) = &self.headers {
            write!(f, "?{headers}")?;
        }
        Ok(())
    }
}

impl Host {
    /// Reads a host without port.
    pub fn parse(text: &str) -> Result<Host, &'static str> {
        if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            let address: Ipv6Addr = inner.parse().map_err(|_| "an IPv6 address is malformed")?;
            return Ok(Host::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Host::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let good = |label: &str| {
            !label.is_empty()
                && label
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        if text.len() > 255 || !name.split('.').all(good) {
            return Err("a host name is malformed");
        }
        Ok(Host::Name(text.to_owned()))
    }

    /// Whether both are the same host, by spelling.
    pub fn is_same(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => address.fmt(f),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Reads `host` or `host:port`.
fn parse_host_port(text: &str) -> Result<(Host, Option<u16>), &'static str> {
    let end = if text.starts_with('[') {
        text.find(']').ok_or("an IPv6 address is malformed")? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, port) = text.split_at(end);
    let host = Host::parse(host)?;
    match port.strip_prefix(':') {
        Some(digits) => Ok((host, Some(parse_port(digits)?))),
        None if port.is_empty() => Ok((host, None)),
        None => Err("a host is followed by something that is no port"),
    }
}

/// Reads a port, which is not 0.
pub(super) fn parse_port(digits: &str) -> Result<u16, &'static str> {
    let good = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    match digits.parse() {
        Ok(port) if good && port != 0 => Ok(port),
        _ => Err("a port is malformed"),
    }
}

/// `text` escaped so that it can be a user part.
pub(super) fn escape_user(text: &str) -> String {
    let mut user = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if byte.is_ascii() && (is_unreserved(c) || "&=+$,;?/".contains(c)) {
            user.push(c);
        } else {
            user.push_str(&format!("%{byte:02X}"));
        }
    }
    user
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sip(text: &str) -> SipUri {
        Uri::parse(text).unwrap().as_sip().unwrap().clone()
    }

    #[test]
    fn uris_are_read_and_printed_as_they_were() {
        for text in [
            "sip:alice@localhost",
            "sips:alice:secret@example.com:5061;transport=tcp;lr?Subject=a%20b&x=y",
            "sip:[2001:db8::1]:5070",
            "sip:user;par=u%40example.net@example.com",
            "sip:sips%3Auser%40example.com@example.net",
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com",
            "tel:+491234;phone-context=x",
            "nobodyknowsthisscheme:totallyopaquecontent",
        ] {
            assert_eq!(Uri::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn malformed_uris_are_refused() {
        for text in [
            "",
            "sip",
            "sip:",
            "sip:@host",
            "sip:a b@host",
            "sip:a@ho st",
            "sip:a@host:0",
            "sip:a@host:x",
            "sip:a@host:70000",
            "sip:a@[::1",
            "sip:a@h;=x",
            "sip:a@h;x=",
            "sip:a@h?x",
            "sip:a%4@h",
            "1sip:a",
            "sip:a@b@c",
            "<sip:a@b>",
            "sip:a@b..c",
            "sip:a@[::1]x",
        ] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rfc3261_19_1_4_equal_and_unequal_uris() {
        for (a, b) in [
            (
                "sip:%61lice@atlanta.com;transport=TCP",
                "sip:alice@AtLanTa.CoM;Transport=tcp",
            ),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;newparam=5",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(
                sip(a).is_same(&sip(b)) && sip(b).is_same(&sip(a)),
                "{a} {b}"
            );
        }
        for (a, b) in [
            ("sip:ALICE@AtLanTa.CoM", "sip:alice@atlanta.com"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            (
                "sip:carol@chicago.com",
                "sip:carol@chicago.com?Subject=next%20meeting",
            ),
            (
                "sip:carol@chicago.com;security=off",
                "sip:carol@chicago.com;security=on",
            ),
        ] {
            assert!(
                !sip(a).is_same(&sip(b)) && !sip(b).is_same(&sip(a)),
                "{a} {b}"
            );
        }
    }
}
