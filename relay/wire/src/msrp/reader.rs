//! Finds heads, bodies and end-lines in a stream of octets. RFC 4975, 7.1 and 7.3.1.

use std::ops::Range;

use super::head::{Fault, Head};
use crate::limits::HELD_BYTES_MAX;

/// How the chunk ended: the flag of its end-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// `$`: the last chunk of its message, and what every response and REPORT ends in.
    Last,
    /// `+`: more chunks follow.
    More,
    /// `#`: the message is given up.
    Aborted,
}

/// Octets that looked like the beginning of an end-line at the end of earlier inputs.
#[derive(Clone, Copy)]
pub struct Held {
    bytes: [u8; HELD_BYTES_MAX],
    len: u8,
}

/// What one input holds of one chunk. Mostly that is all of it: head, body and end-line.
#[derive(Clone, Debug)]
pub struct Part {
    /// Octets of earlier inputs that go before `span`.
    pub held: Held,
    /// The chunk starts in this part; offsets count from `span.start`. `held` is empty then.
    pub head: Option<Head>,
    /// In the input: octets of head, body and end-line, contiguous. May be empty.
    pub span: Range<usize>,
    /// Octets now known to be body, those in `held` included; the end-line and the CRLF before it are not.
    pub body: u64,
    /// The chunk ends with this part.
    pub end: Option<Continuation>,
    /// Octets that go after `span` though the input lacks them: the final CRLF, or half of it, that
    /// [`Reader::end_of_message`] forgave. Empty otherwise.
    pub append: &'static [u8],
    /// The body broke a rule with this part; said once per chunk.
    pub body_fault: Option<Fault>,
}

/// What [`Reader::read`] found.
#[derive(Clone, Debug)]
pub enum Read {
    /// A piece of one chunk. Read on at `span.end`.
    Part(Part),
    /// The input is used up, but for its last `keep` octets: they begin a head and must be presented again,
    /// with what follows them. `keep` is 0 unless in a head, and at most [`crate::limits::HEAD_BYTES_MAX`].
    More {
        /// Octets to present again.
        keep: usize,
    },
}

/// The framing is lost; the connection can only be closed. The peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A message does not begin with `MSRP `.
    NotMsrp,
    /// The start line is over [`crate::limits::START_LINE_BYTES_MAX`].
    StartLineTooLong,
    /// The transaction id is no identifier of 1 to [`crate::limits::TRANSACTION_BYTES_MAX`] octets.
    Transaction,
    /// The head is over [`crate::limits::HEAD_BYTES_MAX`].
    HeadTooLong,
    /// The WebSocket message ended inside a chunk.
    Truncated,
}

/// A streaming reader of MSRP messages: one per connection and direction.
///
/// Feed it with [`read`](Reader::read) until that says [`Read::More`]. After [`Malformed`] it must not be
/// used again.
#[derive(Clone, Debug, Default)]
pub struct Reader {}

impl Reader {
    /// A reader that expects the beginning of a message.
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Reads on in `input`, from `at`.
    pub fn read(&mut self, input: &[u8], at: usize) -> Result<Read, Malformed> {
        todo!()
    }

    /// Whether no chunk is open, not even by the first octet of its head.
    pub fn is_between_chunks(&self) -> bool {
        todo!()
    }

    /// The WebSocket message that carried the chunk is over; call it after [`Read::More`], with the same
    /// `input` and the `at` where its kept octets begin (`input.len() - keep`).
    ///
    /// `None`: nothing was open. A part: the end-line lacked its final CRLF, wholly or half, which is
    /// forgiven: [`Part::append`] has what is missing. Otherwise [`Malformed::Truncated`].
    pub fn end_of_message(&mut self, input: &[u8], at: usize) -> Result<Option<Part>, Malformed> {
        todo!()
    }

    /// Transaction id of the chunk whose body is open; empty if there is none.
    pub fn transaction(&self) -> &[u8] {
        todo!()
    }

    /// Octets of the open body that are held back; they are data if the chunk is cut off here.
    pub fn held(&self) -> &[u8] {
        todo!()
    }
}

impl Held {
    /// The octets.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Held({} octets)", self.len)
    }
}
