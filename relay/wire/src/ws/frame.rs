//! WebSocket frames, the server's side: reads masked frames, writes unmasked ones. RFC 6455, 5.

use std::ops::Range;
use crate::limits::CONTROL_BYTES_MAX;

/// Why a connection is closed, as told in a close frame. RFC 6455, 7.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The session was ended by signalling.
    Normal = 1000,
    /// The relay goes down, or the far leg closed.
    GoingAway = 1001,
    /// Framing or protocol error.
    Protocol = 1002,
    /// Text that is not UTF-8.
    InvalidData = 1007,
    /// Against policy: wrong session, origin, idle.
    Policy = 1008,
    /// Over the limit of one message.
    TooBig = 1009,
    /// Our own fault.
    Internal = 1011,
}

/// Kinds of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// Goes on with a fragmented message.
    Continuation = 0,
    /// Text; we read its payload as octets, and never send it.
    Text = 1,
    /// Octets.
    Binary = 2,
    /// Close.
    Close = 8,
    /// Ping.
    Ping = 9,
    /// Pong.
    Pong = 10,
}

/// The payload of a control frame.
#[derive(Clone, Copy)]
pub struct Control {
    bytes: [u8; CONTROL_BYTES_MAX],
    len: u8,
}

/// What [`FrameReader::read`] found.
#[derive(Clone, Debug)]
pub enum Frame {
    /// The input is used up.
    More,
    /// Octets of a message, unmasked in place. Read on at `span.end`.
    Payload {
        /// In the input; empty if only `last` is news.
        span: Range<usize>,
        /// The message starts with this span.
        first: bool,
        /// The message ends with this span.
        last: bool,
    },
    /// To be answered with a pong of the same payload.
    Ping {
        /// The payload.
        payload: Control,
        /// Where to read on.
        next: usize,
    },
    /// An answer to one of our pings, or unasked for.
    Pong {
        /// The payload.
        payload: Control,
        /// Where to read on.
        next: usize,
    },
    /// The peer closes. Nothing after it is read.
    Close {
        /// The peer's code, to be echoed; none was given if `None`.
        code: Option<u16>,
        /// Where the frame ends.
        next: usize,
    },
}

/// Reads the frames of one client. After an error it must not be used again.
#[derive(Clone, Debug)]
pub struct FrameReader {}

impl FrameReader {
    /// Messages of more than `message_bytes_max` are refused with [`CloseCode::TooBig`].
    pub fn new(message_bytes_max: u64) -> FrameReader {
        todo!()
    }
    /// Reads on in `input`, from `at`, and unmasks what it reads. The error is the code to close with.
    pub fn read(&mut self, input: &mut [u8], at: usize) -> Result<Frame, CloseCode> {
        todo!()
    }
    /// Whether no data message is open.
    pub fn is_between_messages(&self) -> bool {
        todo!()
    }
}

/// Octets of the header of an unmasked frame with `payload_bytes`: 2, 4 or 10.
pub const fn header_bytes(payload_bytes: u64) -> usize {
    todo!()
}
/// Writes the header of an unmasked frame and says how long it is.
pub fn write_header(out: &mut [u8; 10], opcode: Opcode, fin: bool, payload_bytes: u64) -> usize {
    todo!()
}
/// A whole ping. `None`: no room, or the payload is over [`CONTROL_BYTES_MAX`].
pub fn ping(out: &mut [u8], payload: &[u8]) -> Option<usize> {
    todo!()
}
/// A whole pong. `None`: no room, or the payload is over [`CONTROL_BYTES_MAX`].
pub fn pong(out: &mut [u8], payload: &[u8]) -> Option<usize> {
    todo!()
}
/// A whole close frame of ours; the reason must be UTF-8 and is cut at 123 octets.
pub fn close(out: &mut [u8], code: CloseCode, reason: &str) -> Option<usize> {
    todo!()
}
/// The answer to a peer's close frame, with its own code.
pub fn close_echo(out: &mut [u8], code: Option<u16>) -> Option<usize> {
    todo!()
}

impl Control {
    /// The octets.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({} octets)", self.len)
    }
}
