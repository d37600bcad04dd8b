//! WebSocket frames, the server's side: reads masked frames, writes unmasked ones. RFC 6455, 5.
//!
//! Strict: what a browser would never send closes the connection. Frame boundaries mean nothing to
//! what is above; message boundaries do. Not here: what to answer, and the handshake (`upgrade`).

use std::ops::Range;

use super::header::Header;
pub use super::header::{Opcode, header_bytes, write_header};
use super::mask::unmask;
use super::utf8::Utf8;
use crate::limits::{CONTROL_BYTES_MAX, FRAME_HEADER_BYTES_MAX};
use crate::out::Out;

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

/// Reads the frames of one client. After an error or a close frame it must not be used again.
#[derive(Clone, Debug)]
pub struct FrameReader {
    message_bytes_max: u64,
    message: Option<Message>,
    state: State,
}

/// A data message under way.
#[derive(Clone, Copy, Debug)]
struct Message {
    /// Payload octets announced so far.
    bytes: u64,
    /// Its first span is still to be given out.
    is_new: bool,
    /// Only text is checked.
    utf8: Option<Utf8>,
}

#[derive(Clone, Debug)]
enum State {
    /// A frame header is due, of which `len` octets are here.
    Header {
        octets: [u8; FRAME_HEADER_BYTES_MAX],
        len: u8,
    },
    /// Payload of a data frame; `mask` is turned so that its first octet is the next one.
    Data {
        remaining: u64,
        mask: [u8; 4],
        fin: bool,
    },
    /// Payload of a control frame, still masked.
    Control {
        opcode: Opcode,
        mask: [u8; 4],
        payload: Control,
        missing: u8,
    },
}

const HEADER_DUE: State = State::Header {
    octets: [0; FRAME_HEADER_BYTES_MAX],
    len: 0,
};

impl FrameReader {
    /// Messages of more than `message_bytes_max` octets are refused with [`CloseCode::TooBig`], as
    /// soon as a frame header announces it.
    pub fn new(message_bytes_max: u64) -> FrameReader {
        FrameReader {
            message_bytes_max,
            message: None,
            state: HEADER_DUE,
        }
    }

    /// Reads on in `input`, from `at`, and unmasks what it reads; every octet is to be presented
    /// once. The error is the code to close with.
    pub fn read(&mut self, input: &mut [u8], at: usize) -> Result<Frame, CloseCode> {
        debug_assert!(at <= input.len());
        let mut at = at.min(input.len());
        loop {
            let found = match self.state {
                State::Header { .. } => match self.read_header(&input[at..])? {
                    None => return Ok(Frame::More),
                    Some(bytes) => {
                        at += bytes;
                        None
                    }
                },
                State::Data { .. } => self.read_data(input, at)?,
                State::Control { .. } => match self.read_control(&input[at..])? {
                    None => return Ok(Frame::More),
                    Some((bytes, opcode, payload)) => {
                        Some(control_frame(opcode, payload, at + bytes)?)
                    }
                },
            };
            if let Some(frame) = found {
                return Ok(frame);
            }
        }
    }

    /// Whether no data message is open and no frame has begun.
    pub fn is_between_messages(&self) -> bool {
        self.message.is_none() && matches!(self.state, State::Header { len: 0, .. })
    }

    /// Takes a whole header and says how many octets of it were in `input`; else keeps what is
    /// there.
    fn read_header(&mut self, input: &[u8]) -> Result<Option<usize>, CloseCode> {
        let State::Header { octets, len } = &mut self.state else {
            return Ok(Some(0));
        };
        let before = usize::from(*len);
        let taken = input.len().min(octets.len() - before);
        octets[before..before + taken].copy_from_slice(&input[..taken]);
        match Header::parse(&octets[..before + taken])? {
            Some((header, bytes)) => {
                self.open_frame(header)?;
                Ok(Some(bytes - before))
            }
            None => {
                *len = (before + taken) as u8;
                Ok(None)
            }
        }
    }

    fn open_frame(&mut self, header: Header) -> Result<(), CloseCode> {
        let Header {
            opcode,
            fin,
            mask,
            payload_bytes,
        } = header;
        let message = match opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                // `Header::parse` has checked that the length fits.
                let missing = payload_bytes as u8;
                self.state = State::Control {
                    opcode,
                    mask,
                    payload: Control::EMPTY,
                    missing,
                };
                return Ok(());
            }
            Opcode::Continuation => self.message.as_mut().ok_or(CloseCode::Protocol)?,
            Opcode::Text | Opcode::Binary => {
                if self.message.is_some() {
                    return Err(CloseCode::Protocol);
                }
                let utf8 = (opcode == Opcode::Text).then(Utf8::default);
                self.message.insert(Message {
                    bytes: 0,
                    is_new: true,
                    utf8,
                })
            }
        };
        message.bytes = message.bytes.saturating_add(payload_bytes);
        if message.bytes > self.message_bytes_max {
            return Err(CloseCode::TooBig);
        }
        self.state = State::Data {
            remaining: payload_bytes,
            mask,
            fin,
        };
        Ok(())
    }

    fn read_data(&mut self, input: &mut [u8], at: usize) -> Result<Option<Frame>, CloseCode> {
        let (
            State::Data {
                remaining,
                mask,
                fin,
            },
            Some(message),
        ) = (&mut self.state, &mut self.message)
        else {
            return Err(CloseCode::Internal);
        };
        let here = input.len() - at;
        let bytes = usize::try_from(*remaining).map_or(here, |remaining| remaining.min(here));
        if bytes == 0 && *remaining > 0 {
            return Ok(Some(Frame::More));
        }
        let span = at..at + bytes;
        unmask(&mut input[span.clone()], *mask, 0);
        mask.rotate_left(bytes % 4);
        *remaining -= bytes as u64;
        let frame_is_over = *remaining == 0;
        let last = frame_is_over && *fin;
        if let Some(utf8) = &mut message.utf8
            && (!utf8.take(&input[span.clone()]) || last && !utf8.is_complete())
        {
            return Err(CloseCode::InvalidData);
        }
        if frame_is_over {
            self.state = HEADER_DUE;
        }
        // A fragment without payload says nothing unless it is the last.
        if bytes == 0 && !last {
            return Ok(None);
        }
        let first = std::mem::replace(&mut message.is_new, false);
        if last {
            self.message = None;
        }
        Ok(Some(Frame::Payload { span, first, last }))
    }

    /// A whole control frame, and how many octets of it were in `input`; else keeps what is there.
    fn read_control(
        &mut self,
        input: &[u8],
    ) -> Result<Option<(usize, Opcode, Control)>, CloseCode> {
        let State::Control {
            opcode,
            mask,
            payload,
            missing,
        } = &mut self.state
        else {
            return Err(CloseCode::Internal);
        };
        let taken = input.len().min(usize::from(*missing));
        let start = usize::from(payload.len);
        payload.bytes[start..start + taken].copy_from_slice(&input[..taken]);
        payload.len += taken as u8;
        *missing -= taken as u8;
        if *missing > 0 {
            return Ok(None);
        }
        let whole = usize::from(payload.len);
        unmask(&mut payload.bytes[..whole], *mask, 0);
        let found = (taken, *opcode, *payload);
        self.state = HEADER_DUE;
        Ok(Some(found))
    }
}

fn control_frame(opcode: Opcode, payload: Control, next: usize) -> Result<Frame, CloseCode> {
    match opcode {
        Opcode::Ping => Ok(Frame::Ping { payload, next }),
        Opcode::Pong => Ok(Frame::Pong { payload, next }),
        _ => Ok(Frame::Close {
            code: close_code_of(payload.as_slice())?,
            next,
        }),
    }
}

/// The code of a close frame, if it has one. RFC 6455, 5.5.1 and 7.4.
fn close_code_of(payload: &[u8]) -> Result<Option<u16>, CloseCode> {
    match payload {
        [] => Ok(None),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            // 1004 to 1006 and 1015 are never sent; 1012 to 1014 were registered later.
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(CloseCode::Protocol);
            }
            str::from_utf8(reason).map_err(|_| CloseCode::InvalidData)?;
            Ok(Some(code))
        }
        [_] => Err(CloseCode::Protocol),
    }
}

impl Control {
    const EMPTY: Control = Control {
        bytes: [0; CONTROL_BYTES_MAX],
        len: 0,
    };

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

/// A whole ping. `None`: no room, or the payload is over [`CONTROL_BYTES_MAX`].
pub fn ping(out: &mut [u8], payload: &[u8]) -> Option<usize> {
    control(out, Opcode::Ping, &[payload])
}

/// A whole pong. `None`: no room, or the payload is over [`CONTROL_BYTES_MAX`].
pub fn pong(out: &mut [u8], payload: &[u8]) -> Option<usize> {
    control(out, Opcode::Pong, &[payload])
}

/// A whole close frame of ours. `None`: no room, or the reason is over 123 octets.
pub fn close(out: &mut [u8], code: CloseCode, reason: &str) -> Option<usize> {
    control(
        out,
        Opcode::Close,
        &[&(code as u16).to_be_bytes(), reason.as_bytes()],
    )
}

/// The answer to a peer's close frame, with its own code. `None`: no room.
pub fn close_echo(out: &mut [u8], code: Option<u16>) -> Option<usize> {
    match code {
        Some(code) => control(out, Opcode::Close, &[&code.to_be_bytes()]),
        None => control(out, Opcode::Close, &[]),
    }
}

fn control(out: &mut [u8], opcode: Opcode, pieces: &[&[u8]]) -> Option<usize> {
    let payload_bytes = pieces.iter().map(|piece| piece.len()).sum::<usize>();
    if payload_bytes > CONTROL_BYTES_MAX {
        return None;
    }
    let mut out = Out::new(out);
    out.push(&[0x80 | opcode as u8, payload_bytes as u8]);
    for piece in pieces {
        out.push(piece);
    }
    out.written()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_reader_is_small() {
        assert!(
            size_of::<FrameReader>() <= 192,
            "{}",
            size_of::<FrameReader>()
        );
    }

    #[test]
    fn control_frames_are_written_whole_or_not_at_all() {
        let mut out = [0; 127];
        assert_eq!(ping(&mut out, b"x"), Some(3));
        assert_eq!(out[..3], [0x89, 1, b'x']);
        assert_eq!(pong(&mut out, &[7; 125]), Some(127));
        assert_eq!(pong(&mut out, &[7; 126]), None);
        assert_eq!(pong(&mut out[..126], &[7; 125]), None);
        assert_eq!(close(&mut out, CloseCode::TooBig, "big"), Some(7));
        assert_eq!(out[..7], [0x88, 5, 0x03, 0xf1, b'b', b'i', b'g']);
        assert_eq!(close_echo(&mut out, Some(1000)), Some(4));
        assert_eq!(close_echo(&mut out, None), Some(2));
        assert_eq!(out[..2], [0x88, 0]);
    }
}
