//! MSRP in a byte stream, or in WebSocket messages. RFC 6455; RFC 7977.
//!
//! The client's side: what goes out is masked, what comes in must not be, and each message must
//! hold exactly one chunk. Frame heads are tungstenite's, so that a mistake in the relay's own
//! is not shared.

use std::io::Cursor;

use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::msrp::Reader;

/// Octets read at a time.
const INBOX_BYTES: usize = 64 * 1024;
/// What the opening handshake needs beside the path; any 16 octets in base64 do.
const KEY: &str = "Y2F1c2V3YXktYmVuY2gtMQ==";

/// How MSRP travels on a connection.
pub enum Framing {
    /// As it is.
    Tcp,
    /// In WebSocket messages.
    Ws(Box<WebSocket>),
}

/// One WebSocket connection after its handshake.
pub struct WebSocket {
    inbox: Vec<u8>,
    start: usize,
    end: usize,
    /// Octets of the frame under way that have not come out yet.
    payload: u64,
    /// Whether that frame ends its message.
    is_final: bool,
    is_in_message: bool,
    mask: u32,
}

/// What [`WebSocket::feed`] did.
#[derive(Debug, PartialEq, Eq)]
pub enum Fed {
    /// The reader got some octets.
    Octets,
    /// A message is over: the reader must be between chunks once it has given its events.
    MessageEnd,
    /// The relay closes the connection.
    Close,
    /// More must be received first.
    Nothing,
}

impl WebSocket {
    /// After a handshake that left these octets over.
    pub fn new(left_over: &[u8]) -> WebSocket {
        let mut inbox = vec![0; INBOX_BYTES.max(left_over.len())];
        inbox[..left_over.len()].copy_from_slice(left_over);
        let end = left_over.len();
        let (is_final, is_in_message) = (false, false);
        WebSocket {
            inbox,
            start: 0,
            end,
            payload: 0,
            is_final,
            is_in_message,
            mask: 0x9e37_79b9,
        }
    }

    /// Where received octets go.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.inbox.len() {
            self.inbox.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.inbox[self.end..]
    }

    /// Tells how many were received.
    pub fn received(&mut self, bytes: usize) {
        self.end += bytes;
    }

    /// Gives payload to `reader`; answers pings into `out`. The error says what the relay did wrong.
    pub fn feed(&mut self, reader: &mut Reader, out: &mut Vec<u8>) -> Result<Fed, &'static str> {
        loop {
            if self.payload > 0 {
                let space = reader.space();
                let bytes = space.len().min(self.end - self.start);
                let bytes = bytes.min(usize::try_from(self.payload).unwrap_or(usize::MAX));
                if bytes == 0 {
                    return Ok(Fed::Nothing);
                }
                space[..bytes].copy_from_slice(&self.inbox[self.start..self.start + bytes]);
                reader.filled(bytes);
                self.start += bytes;
                self.payload -= bytes as u64;
                return Ok(Fed::Octets);
            }
            if self.is_in_message && self.is_final {
                self.is_in_message = false;
                return Ok(Fed::MessageEnd);
            }
            let mut cursor = Cursor::new(&self.inbox[self.start..self.end]);
            let parsed = FrameHeader::parse(&mut cursor).map_err(|_| "a frame that is none")?;
            let Some((header, length)) = parsed else {
                return Ok(Fed::Nothing);
            };
            let head = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
            if header.mask.is_some() {
                return Err("a masked frame");
            }
            match header.opcode {
                OpCode::Data(Data::Binary | Data::Text) if !self.is_in_message => {}
                OpCode::Data(Data::Continue) if self.is_in_message => {}
                OpCode::Data(_) => return Err("a data frame out of place"),
                OpCode::Control(control) => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    if length > 125 || !header.is_final {
                        return Err("a control frame that is long or in fragments");
                    }
                    let from = self.start + head;
                    if self.end < from + length {
                        return Ok(Fed::Nothing);
                    }
                    self.start = from + length;
                    match control {
                        Control::Close => return Ok(Fed::Close),
                        Control::Ping => {
                            let echo = self.inbox[from..from + length].to_vec();
                            self.frame(out, OpCode::Control(Control::Pong), length, |out| {
                                out.extend_from_slice(&echo);
                            });
                        }
                        Control::Pong | Control::Reserved(_) => {}
                    }
                    continue;
                }
            }
            self.start += head;
            self.payload = length;
            self.is_final = header.is_final;
            self.is_in_message = true;
        }
    }

    /// Appends a frame whose payload of `length` octets `fill` appends.
    fn frame(
        &mut self,
        out: &mut Vec<u8>,
        opcode: OpCode,
        length: usize,
        fill: impl FnOnce(&mut Vec<u8>),
    ) {
        self.mask = self
            .mask
            .wrapping_mul(0x0019_660d)
            .wrapping_add(0x3c6e_f35f);
        let mask = self.mask.to_ne_bytes();
        let (is_final, mask_field) = (true, Some(mask));
        let header = FrameHeader {
            is_final,
            rsv1: false,
            rsv2: false,
            rsv3: false,
            opcode,
            mask: mask_field,
        };
        // A Vec takes every octet; there is no error to handle.
        let _ = header.format(length as u64, out);
        let from = out.len();
        fill(out);
        debug_assert_eq!(
            out.len() - from,
            length,
            "the payload is as long as the header says"
        );
        apply_mask(&mut out[from..], mask);
    }
}

impl Framing {
    /// Appends one chunk of `length` octets, which `fill` appends.
    pub fn chunk(&mut self, out: &mut Vec<u8>, length: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Framing::Tcp => fill(out),
            Framing::Ws(ws) => ws.frame(out, OpCode::Data(Data::Binary), length, fill),
        }
    }
}

/// The request that opens a WebSocket for MSRP. RFC 7977, 4.
pub fn upgrade_request(authority: &str, resource: &str) -> String {
    format!(
        "GET {resource} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: msrp\r\n\r\n"
    )
}

/// Octets of the answer's head, once it is there. The error says why it is no opening.
pub fn upgrade_answer(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > 16 * 1024 {
            Err("a head without end".into())
        } else {
            Ok(None)
        };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let status = head.lines().next().unwrap_or("");
    if status.split(' ').nth(1) != Some("101") {
        return Err(status.to_owned());
    }
    let value = |name: &str| {
        let named = |line: &str| {
            let (have, value) = line.split_once(':')?;
            have.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        };
        head.lines().find_map(named)
    };
    if value("Sec-WebSocket-Accept") != Some(derive_accept_key(KEY.as_bytes())) {
        return Err("101 with a wrong Sec-WebSocket-Accept".into());
    }
    if value("Sec-WebSocket-Protocol").as_deref() != Some("msrp") {
        return Err("101 without the subprotocol msrp".into());
    }
    Ok(Some(end + 4))
}

fn apply_mask(octets: &mut [u8], mask: [u8; 4]) {
    let wide = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    let mut words = octets.chunks_exact_mut(8);
    for word in &mut words {
        let mut value = [0; 8];
        value.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(value) ^ wide).to_ne_bytes());
    }
    for (at, octet) in words.into_remainder().iter_mut().enumerate() {
        *octet ^= mask[at % 4];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: &[u8] =
        b"MSRP tid1 200 OK\r\nTo-Path: msrp://a/b;ws\r\nFrom-Path: msrp://c/d;ws\r\n-------tid1$\r\n";

    fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        [&[first, u8::try_from(payload.len()).unwrap()], payload].concat()
    }

    /// Feeds a stream octet by octet; gives what the socket told, without `Nothing`.
    fn feed(stream: &[u8]) -> (Vec<Result<Fed, &'static str>>, Vec<u8>, usize) {
        let (mut ws, mut reader) = (WebSocket::new(&[]), Reader::default());
        let (mut told, mut out, mut events) = (Vec::new(), Vec::new(), 0);
        for &octet in stream {
            ws.space()[0] = octet;
            ws.received(1);
            loop {
                let fed = ws.feed(&mut reader, &mut out);
                while reader.event().unwrap().is_some() {
                    events += 1;
                }
                match fed {
                    Ok(Fed::Nothing) => break,
                    Ok(Fed::Octets) => {}
                    Ok(other) => told.push(Ok(other)),
                    Err(error) => return ([told, vec![Err(error)]].concat(), out, events),
                }
            }
        }
        (told, out, events)
    }

    impl Clone for Fed {
        fn clone(&self) -> Fed {
            match self {
                Fed::Octets => Fed::Octets,
                Fed::MessageEnd => Fed::MessageEnd,
                Fed::Close => Fed::Close,
                Fed::Nothing => Fed::Nothing,
            }
        }
    }

    #[test]
    fn fragments_with_a_ping_between_make_one_message() {
        let (first, second) = CHUNK.split_at(20);
        let stream = [
            server_frame(0x02, first),
            server_frame(0x89, b"hey"),
            server_frame(0x80, second),
            server_frame(0x88, b""),
        ];
        let (told, out, events) = feed(&stream.concat());
        assert_eq!(told, [Ok(Fed::MessageEnd), Ok(Fed::Close)]);
        assert_eq!(events, 2);
        assert_eq!(out[..2], [0x8a, 0x83], "a masked pong");
    }

    #[test]
    fn what_a_server_must_not_do_is_told() {
        assert_eq!(
            feed(&[0x82, 0x81, 0, 0, 0, 0, 0]).0,
            [Err("a masked frame")]
        );
        assert_eq!(
            feed(&server_frame(0x80, b"x")).0,
            [Err("a data frame out of place")]
        );
    }

    #[test]
    fn a_frame_of_ours_comes_back_when_the_mask_is_taken_off() {
        let mut framing = Framing::Ws(Box::new(WebSocket::new(&[])));
        for length in [0, 1, 7, 8, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|i: usize| (i % 251) as u8).collect();
            let mut out = Vec::new();
            framing.chunk(&mut out, length, |out| out.extend_from_slice(&payload));
            let mut cursor = Cursor::new(&out[..]);
            let (header, bytes) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
            assert_eq!(bytes, length as u64);
            let from = usize::try_from(cursor.position()).unwrap();
            apply_mask(&mut out[from..], header.mask.unwrap());
            assert_eq!(out[from..], payload);
        }
    }

    #[test]
    fn only_a_101_for_msrp_opens_the_connection() {
        let good = format!(
            "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {}\r\n\
             Sec-WebSocket-Protocol: msrp\r\n\r\nrest",
            derive_accept_key(KEY.as_bytes())
        );
        assert_eq!(upgrade_answer(good.as_bytes()), Ok(Some(good.len() - 4)));
        assert_eq!(upgrade_answer(&good.as_bytes()[..20]), Ok(None));
        let not_found = upgrade_answer(b"HTTP/1.1 404 Not Found\r\n\r\n");
        assert_eq!(not_found, Err("HTTP/1.1 404 Not Found".into()));
        assert!(upgrade_answer(good.replace("msrp", "chat").as_bytes()).is_err());
    }
}
