//! The opening handshake, the server's side. RFC 6455, 4.2; RFC 7977, 4.1.

/// Why a request is not upgraded. All are the client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not an HTTP request by the grammar, or it has a body, or lacks what a handshake needs.
    BadRequest,
    /// Subprotocol `msrp` is not offered.
    Subprotocol,
    /// A method other than GET.
    Method,
    /// No `Upgrade: websocket`, or a version other than 13.
    UpgradeRequired,
    /// Over [`limits::UPGRADE_BYTES_MAX`](crate::limits::UPGRADE_BYTES_MAX) or
    /// [`limits::UPGRADE_HEADERS_MAX`](crate::limits::UPGRADE_HEADERS_MAX).
    TooLarge,
    /// HTTP/1.0 or something unknown.
    HttpVersion,
}
impl Refusal {
    /// The HTTP status to [`refuse`] with.
    pub fn status(self) -> u16 {
        todo!()
    }
}
/// A good handshake request that offers `msrp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Path of the request target, with its query if there is one. Secret: not for logs.
    pub path: &'a [u8],
    /// Value of Host.
    pub host: &'a [u8],
    /// Value of Origin.
    pub origin: Option<&'a [u8]>,
    /// Value of Sec-WebSocket-Key, to be passed to [`accept`].
    pub key: &'a [u8],
}
impl<'a> Request<'a> {
    /// Parses the request at the start of `input`; with it come the octets it takes. `None`: not all here.
    pub fn parse(input: &'a [u8]) -> Result<Option<(Request<'a>, usize)>, Refusal> {
        todo!()
    }
    /// As [`parse`](Request::parse) for input that grows: `scanned` starts at 0 and remembers how far the
    /// end of the request has been looked for.
    pub fn parse_growing(input: &'a [u8], scanned: &mut usize) -> Result<Option<(Request<'a>, usize)>, Refusal> {
        todo!()
    }
}
/// Writes the 101 response. `None`: no room.
pub fn accept(out: &mut [u8], key: &[u8], protocol: &[u8]) -> Option<usize> {
    todo!()
}
/// Writes a refusal, after which the connection is closed. `None`: no room.
pub fn refuse(out: &mut [u8], status: u16) -> Option<usize> {
    todo!()
}
