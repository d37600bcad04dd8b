//! MSRP over WebSocket, the server's side. RFC 6455, RFC 7977.

use wire::ws::{CloseCode, Frame, FrameReader, upgrade};

use super::Inbound;

/// The subprotocol of RFC 7977, 4.1.
const SUBPROTOCOL: &[u8] = b"msrp";

/// A WebSocket after its handshake.
pub struct WebSocket {
    frames: FrameReader,
}

impl WebSocket {
    /// A WebSocket that takes messages of up to so many octets.
    pub fn new(message_bytes_max: u64) -> WebSocket {
        WebSocket {
            frames: FrameReader::new(message_bytes_max),
        }
    }

    /// Whether it is as it was made: nothing of a message or of a frame has come.
    pub fn is_between_messages(&self) -> bool {
        self.frames.is_between_messages()
    }

    /// Reads on in `input` from `at`; payloads are unmasked in place.
    pub fn read(&mut self, input: &mut [u8], at: usize) -> Result<Inbound, CloseCode> {
        Ok(match self.frames.read(input, at)? {
            Frame::More => Inbound::More,
            Frame::Payload { span, last, .. } => Inbound::Octets {
                span,
                ends_message: last,
            },
            Frame::Ping { payload, next } => Inbound::Ping { payload, next },
            Frame::Pong { next, .. } => Inbound::Nothing(next),
            Frame::Close { code, .. } => Inbound::Close(code),
        })
    }
}

/// What a browser asks for when it opens a WebSocket.
pub enum Upgrade<'a> {
    /// The request is not all here yet.
    More,
    /// A good request for this resource. It takes `bytes` octets of the input.
    For {
        /// The resource path. Secret.
        path: &'a [u8],
        /// The origin of the page that asks, if a page does.
        origin: Option<&'a [u8]>,
        /// Needed for the answer.
        key: &'a [u8],
        /// Octets of the request.
        bytes: usize,
    },
    /// To be refused with this HTTP status.
    Refuse(u16),
}

impl<'a> Upgrade<'a> {
    /// Looks for a request at the beginning of `input`, which may grow from call to call;
    /// `scanned` remembers how far it has been looked through.
    pub fn read(input: &'a [u8], scanned: &mut usize) -> Upgrade<'a> {
        match upgrade::Request::parse_growing(input, scanned) {
            Ok(None) => Upgrade::More,
            Ok(Some((request, bytes))) => Upgrade::For {
                path: request.path,
                origin: request.origin,
                key: request.key,
                bytes,
            },
            Err(refusal) => Upgrade::Refuse(refusal.status()),
        }
    }

    /// Writes the response that makes a WebSocket of the connection.
    pub fn accept(out: &mut [u8], key: &[u8]) -> Option<usize> {
        upgrade::accept(out, key, SUBPROTOCOL)
    }

    /// Writes the response that refuses, after which the connection is closed.
    pub fn refuse(out: &mut [u8], status: u16) -> Option<usize> {
        upgrade::refuse(out, status)
    }
}
