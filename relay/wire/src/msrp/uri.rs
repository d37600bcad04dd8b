//! MSRP URIs and paths. RFC 4975, 6 and 9; RFC 7977, 5.2.1.
//!
//! A parsed URI has only characters that the grammar allows, so what [`Uri::write`] makes of it
//! can't smuggle a line end or a second URI into a head. Not here: resolving or connecting.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::head::is_token;
use super::writer::decimal;
use crate::out::Out;

/// Not an MSRP URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUri;

/// A parsed URI: `msrp[s]://[userinfo@]host[:port][/session-id];transport[;parameters]`.
///
/// Equality is that of RFC 4975, 6.1: userinfo and parameters do not count, the case of the
/// session-id does. `msrp://…;wss` and `msrps://…;wss` equal `msrps://…;ws`.
#[derive(Clone, Copy)]
pub struct Uri<'a> {
    /// The scheme is `msrps`.
    pub secure: bool,
    /// What stands before `@`.
    pub userinfo: Option<&'a [u8]>,
    /// Name or address; IPv6 with its brackets.
    pub host: &'a [u8],
    /// The port, if there is one. 2855 is a recommendation, not a default.
    pub port: Option<u16>,
    /// Case-sensitive. Secret: not for logs.
    pub session_id: Option<&'a [u8]>,
    /// `tcp`, `ws`, ...
    pub transport: &'a [u8],
    /// Parameters after the transport, without the first `;`; mostly empty.
    pub parameters: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Parses one URI, with nothing around it.
    pub fn parse(text: &'a [u8]) -> Result<Uri<'a>, NotUri> {
        let (scheme, rest) = split_at_first(text, b':').ok_or(NotUri)?;
        let secure = scheme.eq_ignore_ascii_case(b"msrps");
        if !secure && !scheme.eq_ignore_ascii_case(b"msrp") {
            return Err(NotUri);
        }
        let rest = rest.strip_prefix(b"//").ok_or(NotUri)?;
        let (resource, transport) = split_at_first(rest, b';').ok_or(NotUri)?;
        let (transport, parameters) = split_at_first(transport, b';').unwrap_or((transport, b""));
        let (authority, session_id) = match split_at_first(resource, b'/') {
            Some((authority, session_id)) => (authority, Some(session_id)),
            None => (resource, None),
        };
        let (userinfo, host_and_port) = match memchr::memrchr(b'@', authority) {
            Some(at) => (Some(&authority[..at]), &authority[at + 1..]),
            None => (None, authority),
        };
        let (host, port) = host_and_port_of(host_and_port)?;
        let uri = Uri {
            secure,
            userinfo,
            host,
            port,
            session_id,
            transport,
            parameters,
        };
        if uri.is_by_the_grammar() {
            Ok(uri)
        } else {
            Err(NotUri)
        }
    }

    fn is_by_the_grammar(&self) -> bool {
        let userinfo_is_good = |text: &[u8]| text.iter().all(|&o| is_name(o) || o == b':');
        let session_id_is_good = |text: &[u8]| {
            !text.is_empty()
                && text
                    .iter()
                    .all(|&o| is_unreserved(o) || b"+=/".contains(&o))
        };
        self.userinfo.is_none_or(userinfo_is_good)
            && self.session_id.is_none_or(session_id_is_good)
            && !self.transport.is_empty()
            && self.transport.iter().all(u8::is_ascii_alphanumeric)
            && self
                .parameters
                .iter()
                .all(|&o| is_token(o) || o == b'=' || o == b';')
    }

    /// To be connected to with TLS: scheme `msrps`, or transport `wss`.
    pub fn is_secure(&self) -> bool {
        self.secure || self.transport.eq_ignore_ascii_case(b"wss")
    }

    /// Transport `ws` or `wss`.
    pub fn is_websocket(&self) -> bool {
        self.transport.eq_ignore_ascii_case(b"ws") || self.transport.eq_ignore_ascii_case(b"wss")
    }

    /// Writes it from its parsed form; `None` if `out` is too small.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let mut out = Out::new(out);
        self.for_each_piece(|piece| out.push(piece));
        out.written()
    }

    /// Octets that [`write`](Uri::write) will write.
    pub fn bytes(&self) -> usize {
        let mut bytes = 0;
        self.for_each_piece(|piece| bytes += piece.len());
        bytes
    }

    fn for_each_piece(&self, mut piece: impl FnMut(&[u8])) {
        piece(if self.secure { b"msrps://" } else { b"msrp://" });
        if let Some(userinfo) = self.userinfo {
            piece(userinfo);
            piece(b"@");
        }
        piece(self.host);
        if let Some(port) = self.port {
            piece(b":");
            let mut digits = [0; 20];
            piece(decimal(port.into(), &mut digits));
        }
        if let Some(session_id) = self.session_id {
            piece(b"/");
            piece(session_id);
        }
        piece(b";");
        piece(self.transport);
        if !self.parameters.is_empty() {
            piece(b";");
            piece(self.parameters);
        }
    }

    fn transport_name(&self) -> &[u8] {
        if self.is_websocket() {
            b"ws"
        } else {
            self.transport
        }
    }
}

impl PartialEq for Uri<'_> {
    fn eq(&self, other: &Uri<'_>) -> bool {
        self.is_secure() == other.is_secure()
            && self.port == other.port
            && self.session_id == other.session_id
            && self
                .transport_name()
                .eq_ignore_ascii_case(other.transport_name())
            && hosts_are_equal(self.host, other.host)
    }
}

impl Eq for Uri<'_> {}

/// Shows the whole URI, session-id included: for SDP and heads, not for logs.
impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.for_each_piece(|piece| {
            if result.is_ok() {
                // A parsed URI is ASCII.
                result = f.write_str(str::from_utf8(piece).unwrap_or("?"));
            }
        });
        result
    }
}

/// Leaves out what is secret: userinfo and session-id.
impl fmt::Debug for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = Uri {
            userinfo: self.userinfo.map(|_| &b"_"[..]),
            session_id: self.session_id.map(|_| &b"_"[..]),
            ..*self
        };
        write!(f, "Uri({shown})")
    }
}

/// The URIs of a path value (of To-Path, From-Path, a=path), left to right, unparsed.
pub fn slices(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&octet| octet == b' ')
        .filter(|uri| !uri.is_empty())
}

/// The URIs of a path value, left to right.
pub fn path(value: &[u8]) -> impl Iterator<Item = Result<Uri<'_>, NotUri>> {
    slices(value).map(Uri::parse)
}

/// The leftmost URI of a path value; empty if there is none.
pub fn first(value: &[u8]) -> &[u8] {
    slices(value).next().unwrap_or_default()
}

/// The rightmost URI of a path value; empty if there is none.
pub fn last(value: &[u8]) -> &[u8] {
    value
        .rsplit(|&octet| octet == b' ')
        .find(|uri| !uri.is_empty())
        .unwrap_or_default()
}

fn split_at_first(text: &[u8], octet: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(octet, text)?;
    Some((&text[..at], &text[at + 1..]))
}

fn host_and_port_of(text: &[u8]) -> Result<(&[u8], Option<u16>), NotUri> {
    let host_bytes = if text.starts_with(b"[") {
        let host_bytes = memchr::memchr(b']', text).ok_or(NotUri)? + 1;
        ipv6(&text[..host_bytes]).ok_or(NotUri)?;
        host_bytes
    } else {
        memchr::memchr(b':', text).unwrap_or(text.len())
    };
    let (host, port) = text.split_at(host_bytes);
    if host.is_empty() || !host.starts_with(b"[") && !host.iter().all(|&octet| is_name(octet)) {
        return Err(NotUri);
    }
    match port {
        [] => Ok((host, None)),
        [b':', digits @ ..] => Ok((host, Some(port_number(digits).ok_or(NotUri)?))),
        _ => Err(NotUri),
    }
}

fn port_number(digits: &[u8]) -> Option<u16> {
    if !(1..=5).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = (digits.iter()).fold(0, |sum, octet| sum * 10 + u32::from(octet - b'0'));
    number.try_into().ok()
}

/// `unreserved` of RFC 3986.
fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~".contains(&octet)
}

/// A character of `reg-name` (and, with `:`, of userinfo) in RFC 3986, but for `;`, which ends both
/// here.
fn is_name(octet: u8) -> bool {
    is_unreserved(octet) || b"%!$&'()*+,=".contains(&octet)
}

fn hosts_are_equal(one: &[u8], other: &[u8]) -> bool {
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    let same_ipv6 = matches!((ipv6(one), ipv6(other)), (Some(one), Some(other)) if one == other);
    same_ipv6 || matches!((ipv4(one), ipv4(other)), (Some(one), Some(other)) if one == other)
}

fn ipv6(host: &[u8]) -> Option<Ipv6Addr> {
    let inner = host.strip_prefix(b"[")?.strip_suffix(b"]")?;
    str::from_utf8(inner).ok()?.parse().ok()
}

fn ipv4(host: &[u8]) -> Option<Ipv4Addr> {
    str::from_utf8(host).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|_| panic!("{text}"))
    }

    #[test]
    fn a_uri_comes_apart_and_together_again() {
        let text = "msrps://al:ice@media.example.com:40001/Ab3/d+E6=;ws;x=1;y";
        let parsed = uri(text);
        assert!(parsed.secure);
        assert_eq!(parsed.userinfo, Some(&b"al:ice"[..]));
        assert_eq!(parsed.host, b"media.example.com");
        assert_eq!(parsed.port, Some(40001));
        assert_eq!(parsed.session_id, Some(&b"Ab3/d+E6="[..]));
        assert_eq!(parsed.transport, b"ws");
        assert_eq!(parsed.parameters, b"x=1;y");
        let mut out = [0; 100];
        let written = parsed.write(&mut out).unwrap();
        assert_eq!(&out[..written], text.as_bytes());
        assert_eq!(parsed.bytes(), text.len());
        assert_eq!(parsed.to_string(), text);
        assert_eq!(parsed.write(&mut out[..text.len() - 1]), None);
    }

    #[test]
    fn what_can_be_absent_may_be_absent() {
        let parsed = uri("msrp://[2001:db8::1];tcp");
        assert_eq!(parsed.host, b"[2001:db8::1]");
        assert_eq!(
            (parsed.port, parsed.session_id, parsed.userinfo),
            (None, None, None)
        );
        assert_eq!(parsed.to_string(), "msrp://[2001:db8::1];tcp");
    }

    #[test]
    fn a_port_is_one_to_five_digits_up_to_65535() {
        for port in [
            "",
            "65536",
            "123456",
            "74ndset0123456789",
            "-1",
            "99999999999999999999",
        ] {
            let text = format!("msrp://h:{port}/s;tcp");
            assert!(Uri::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(uri("msrp://h:65535/s;tcp").port, Some(65535));
        assert_eq!(uri("msrp://h:00080/s;tcp").port, Some(80));
    }

    #[test]
    fn rfc4975_6_1_equality() {
        let same = [
            ("msrp://h.example:1/s;tcp", "MSRP://H.EXAMPLE:1/s;TCP"),
            ("msrp://h:1/s;tcp", "msrp://user@h:1/s;tcp;param=1"),
            (
                "msrp://[2001:db8::1]:1/s;tcp",
                "msrp://[2001:0DB8:0:0::1]:1/s;tcp",
            ),
            ("msrps://h:1/s;ws", "msrps://h:1/s;wss"),
            ("msrps://h:1/s;ws", "msrp://h:1/s;WSS"),
        ];
        let different = [
            ("msrp://h:1/s;tcp", "msrp://h:1/S;tcp"),
            ("msrp://h:1/s;tcp", "msrps://h:1/s;tcp"),
            ("msrp://h:2855/s;tcp", "msrp://h/s;tcp"),
            ("msrp://h:1/s;tcp", "msrp://h:1;tcp"),
            ("msrp://h:1/s;tcp", "msrp://h:1/s;ws"),
            ("msrp://h:1/s;tcp", "msrp://i:1/s;tcp"),
            ("msrp://h:1/a/../s;tcp", "msrp://h:1/s;tcp"),
            ("msrp://h:1/s;ws", "msrps://h:1/s;wss"),
        ];
        for (one, other) in same {
            assert_eq!(uri(one), uri(other));
        }
        for (one, other) in different {
            assert_ne!(uri(one), uri(other));
        }
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        let bad = [
            "",
            "msrp",
            "msrp:",
            "msrp://",
            "msrp://h:1/s",
            "msrp://h:1/s;",
            "msrp://h:1/;tcp",
            "msrp://:1/s;tcp",
            "msrp://h:/s;tcp",
            "msrp://h:x/s;tcp",
            "msrp://h:65536/s;tcp",
            "msrp://h:000001/s;tcp",
            "sip://h:1/s;tcp",
            "msrp:/h:1/s;tcp",
            "msrp://h:1/s t;tcp",
            "msrp://h:1/s;tc p",
            "msrp://h:1/s;tcp;a b",
            "msrp://h\r\nX:1/s;tcp",
            "msrp://[::1/s;tcp",
            "msrp://[h]:1/s;tcp",
            "msrp://[::1]x:1/s;tcp",
            "msrp://h:1/s?;tcp",
            "msrp://h:1/s;t-c",
            "msrp://a@b@c:1/s;tcp",
            "msrp://h:1/\u{e9};tcp",
        ];
        for text in bad {
            assert!(Uri::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_has_a_first_and_a_last_uri() {
        let value = b"msrp://a:1/x;tcp  msrp://b:2/y;tcp nonsense";
        assert_eq!(first(value), b"msrp://a:1/x;tcp");
        assert_eq!(last(value), b"nonsense");
        let parsed: Vec<_> = path(value).collect();
        assert_eq!(parsed.len(), 3);
        assert_eq!(parsed[1].unwrap().port, Some(2));
        assert!(parsed[2].is_err());
        assert_eq!((first(b""), last(b" ")), (&b""[..], &b""[..]));
    }

    #[test]
    fn debug_output_keeps_the_session_id_secret() {
        assert_eq!(
            format!("{:?}", uri("msrp://me@h:1/s3cret;tcp")),
            "Uri(msrp://_@h:1/_;tcp)"
        );
    }
}
