//! Writes MSRP messages into the caller's buffer. RFC 4975, 7.1 and 7.2.
//!
//! Every function returns the octets written, or `None` if `out` is too small; `out` is garbage then.
//! What is passed in must have no CR or LF in it: paths come from parsed URIs, comments from us.

use super::head::{ByteRange, FailureReport};
use super::reader::Continuation;

/// What follows the transaction id in a start line.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// A method.
    Request(&'a [u8]),
    /// A status and its comment, which may be empty.
    Response(u16, &'a [u8]),
    /// As received: [`Head::subject`](super::Head::subject).
    AsReceived(&'a [u8]),
}

/// A SEND. For clients and tests: the relay itself never writes a body.
#[derive(Clone, Copy, Debug)]
pub struct Send<'a> {
    /// Transaction id.
    pub transaction: &'a [u8],
    /// Value of To-Path.
    pub to: &'a [u8],
    /// Value of From-Path.
    pub from: &'a [u8],
    /// Value of Message-ID.
    pub message_id: &'a [u8],
    /// Value of Byte-Range, if it is to be written.
    pub range: Option<ByteRange>,
    /// Written unless it is the default.
    pub failure_report: FailureReport,
    /// Written if true.
    pub success_report: bool,
    /// Content-Type and body; `None` writes a bodiless SEND.
    pub content: Option<(&'a [u8], &'a [u8])>,
    /// The flag of the end-line.
    pub continuation: Continuation,
}

/// Start line, To-Path and From-Path: what a forwarder replaces.
pub fn prefix(out: &mut [u8], transaction: &[u8], start: Start<'_>, to: &[u8], from: &[u8]) -> Option<usize> {
    todo!()
}
/// Octets that [`prefix`] will write.
pub fn prefix_bytes(transaction: &[u8], start: Start<'_>, to: &[u8], from: &[u8]) -> usize {
    todo!()
}
/// A whole response, with the standard comment of its status.
pub fn response(out: &mut [u8], transaction: &[u8], status: u16, to: &[u8], from: &[u8]) -> Option<usize> {
    todo!()
}
/// A whole REPORT about `range` of a message. An empty `comment` is replaced by the standard one.
#[allow(clippy::too_many_arguments)]
pub fn report(
    out: &mut [u8], transaction: &[u8], to: &[u8], from: &[u8], message_id: &[u8], range: ByteRange, status: u16, comment: &[u8],
) -> Option<usize> {
    todo!()
}
/// A SEND without content, which binds a connection or keeps it alive.
pub fn bodiless_send(out: &mut [u8], transaction: &[u8], to: &[u8], from: &[u8], message_id: &[u8]) -> Option<usize> {
    todo!()
}
/// An end-line and its CRLF; the CRLF that ends a body before it is not written.
pub fn end_line(out: &mut [u8], transaction: &[u8], continuation: Continuation) -> Option<usize> {
    todo!()
}
/// A whole SEND.
pub fn send(out: &mut [u8], send: &Send<'_>) -> Option<usize> {
    todo!()
}
/// Turns random octets into as many identifier characters (6 bits each); a transaction id or Message-ID
/// needs 16 to 32. The randomness is the caller's.
pub fn identifier(out: &mut [u8], random: &[u8]) -> Option<usize> {
    todo!()
}
