//! MSRP URIs and paths. RFC 4975, 6 and 9; RFC 7977, 5.2.1.

/// Not an MSRP URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUri;

/// A parsed URI: `msrp[s]://[userinfo@]host[:port][/session-id];transport[;parameters]`.
///
/// Equality is that of RFC 4975, 6.1: userinfo and parameters do not count.
#[derive(Clone, Copy, Debug)]
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
        todo!()
    }
    /// To be connected to with TLS: scheme `msrps`, or transport `wss`.
    pub fn is_secure(&self) -> bool {
        todo!()
    }
    /// Transport `ws` or `wss`.
    pub fn is_websocket(&self) -> bool {
        todo!()
    }
    /// Writes it from its parsed form; `None` if `out` is too small.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        todo!()
    }
}

/// The URIs of a path value (of To-Path, From-Path, a=path), left to right, unparsed.
pub fn slices(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&octet| octet == b' ').filter(|uri| !uri.is_empty())
}
/// The URIs of a path value, left to right.
pub fn path(value: &[u8]) -> impl Iterator<Item = Result<Uri<'_>, NotUri>> {
    slices(value).map(Uri::parse)
}
/// The leftmost URI of a path value; empty if there is none.
pub fn first(value: &[u8]) -> &[u8] {
    todo!()
}
/// The rightmost URI of a path value; empty if there is none.
pub fn last(value: &[u8]) -> &[u8] {
    todo!()
}
