//! Octets of a connection ⇄ plain MSRP octets. Pure.
//!
//! A [`Transport`] says which octets of an input are MSRP, unmasked in place, and what must be
//! written before MSRP octets on their way out. It knows no sessions, no sockets and no memory but
//! what it is lent.

pub mod tls;
mod websocket;

use std::ops::Range;

use wire::ws::{CloseCode, Control, frame};

pub use websocket::{Upgrade, WebSocket};

use crate::limits::FRAME_HEADER_BYTES_MAX;

/// What carries MSRP on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP: the octets are MSRP as they are.
    Plain,
    /// WebSocket: a chunk is one message (RFC 7977, 5.1).
    WebSocket,
}

/// What an input holds next.
pub enum Inbound {
    /// All of it is used up.
    More,
    /// MSRP octets at these places of the input.
    Octets {
        /// Where; read on at its end.
        span: Range<usize>,
        /// A chunk must end where these octets end, for the message that carries it does.
        ends_message: bool,
    },
    /// The peer wants its ping answered. Read on at `next`.
    Ping {
        /// What to answer with.
        payload: Control,
        /// Where to read on.
        next: usize,
    },
    /// Nothing to be done. Read on there.
    Nothing(usize),
    /// The peer closes, with this code.
    Close(Option<u16>),
}

/// What has to go out before MSRP octets.
#[derive(Clone, Copy)]
pub struct Framing {
    octets: [u8; FRAME_HEADER_BYTES_MAX],
    bytes: u8,
}

impl Framing {
    const NONE: Framing = Framing {
        octets: [0; FRAME_HEADER_BYTES_MAX],
        bytes: 0,
    };

    /// The octets; none at all for TCP.
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..self.bytes as usize]
    }
}

impl Transport {
    /// Reads on in `input` from `at`; of a WebSocket, `websocket` is where its reading stands. The error
    /// is the code to close with.
    pub fn read(
        self,
        websocket: &mut WebSocket,
        input: &mut [u8],
        at: usize,
    ) -> Result<Inbound, CloseCode> {
        match self {
            Transport::Plain if at == input.len() => Ok(Inbound::More),
            Transport::Plain => Ok(Inbound::Octets {
                span: at..input.len(),
                ends_message: false,
            }),
            Transport::WebSocket => websocket.read(input, at),
        }
    }

    /// What goes before `bytes` octets of a chunk; `first` and `last` say whether the chunk starts
    /// and ends with them.
    pub fn frame(self, first: bool, last: bool, bytes: u64) -> Framing {
        match self {
            Transport::Plain => Framing::NONE,
            Transport::WebSocket => {
                let opcode = if first {
                    frame::Opcode::Binary
                } else {
                    frame::Opcode::Continuation
                };
                let mut octets = [0; FRAME_HEADER_BYTES_MAX];
                let header = frame::write_header(&mut octets, opcode, last, bytes);
                Framing {
                    octets,
                    bytes: header as u8,
                }
            }
        }
    }

    /// Whether messages have boundaries of their own, at which a chunk must end.
    pub fn is_websocket(self) -> bool {
        self == Transport::WebSocket
    }
}
