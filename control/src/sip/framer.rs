//! Cuts a byte stream into messages. RFC 3261, 18.3; RFC 5626, 3.5.1.

use super::reader::{HEAD_BYTES_MAX, content_length, head_end};

/// What comes out of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One whole message, to be given to `Sip::receive`.
    Message(Vec<u8>),
    /// The peer asks whether we are alive: answer with [`PONG`].
    Ping,
}

/// What asks a peer whether it is alive; it answers with [`PONG`]. RFC 5626, 3.5.1.
pub const PING: &[u8] = b"\r\n\r\n";

/// The answer to a [`Frame::Ping`].
pub const PONG: &[u8] = b"\r\n";

/// The stream can't be framed any more; the connection is to be closed. The peer is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFault {
    /// Content-Length is missing, doubled or no number.
    Length,
    /// A head or a message is larger than our limits.
    TooLarge,
}

/// The reader of one stream. Holds at most one message and what was last pushed.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the search for the blank line goes on.
    searched: usize,
    /// Length of the message that is coming in, once its head was read.
    awaited: Option<usize>,
    /// A ping of ours is not answered yet: a CRLF is its answer.
    pinged: bool,
    message_bytes_max: usize,
}

impl Framer {
    /// A framer that takes messages up to this size.
    pub fn new(message_bytes_max: usize) -> Framer {
        Framer {
            buffer: Vec::new(),
            searched: 0,
            awaited: None,
            pinged: false,
            message_bytes_max,
        }
    }

    /// Takes what was read; then call [`Framer::next_frame`] until it gives nothing.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// A [`PING`] was sent: the next CRLF between messages is its answer, and no half of a ping.
    pub fn note_ping(&mut self) {
        self.pinged = true;
    }

    /// Whether a message has begun that is not whole yet. To be asked once [`Framer::next_frame`] has
    /// given nothing. A lone CRLF is no message.
    pub fn has_begun(&self) -> bool {
        !b"\r\n".starts_with(&self.buffer)
    }

    /// The next message or ping; `None` if more must be read.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, StreamFault> {
        let length = match self.awaited {
            Some(length) => length,
            None => {
                if self.pinged && self.buffer.starts_with(PONG) {
                    self.pinged = false;
                    self.buffer.drain(..PONG.len());
                }
                if self.buffer.starts_with(PING) {
                    self.buffer.drain(..4);
                    return Ok(Some(Frame::Ping));
                }
                // A single CRLF is a pong, or the end a sloppy sender put behind a message. It is
                // kept until the next byte tells that it is not half of a ping.
                if self.buffer.starts_with(b"\r\n") && !b"\r\n\r\n".starts_with(&self.buffer) {
                    self.buffer.drain(..2);
                }
                match self.message_length()? {
                    Some(length) => length,
                    None => return Ok(None),
                }
            }
        };
        self.awaited = Some(length);
        if self.buffer.len() < length {
            return Ok(None);
        }
        let rest = self.buffer.split_off(length);
        let message = std::mem::replace(&mut self.buffer, rest);
        self.awaited = None;
        self.searched = 0;
        Ok(Some(Frame::Message(message)))
    }

    /// Length of the message at the buffer's start, once its head is whole.
    fn message_length(&mut self) -> Result<Option<usize>, StreamFault> {
        let Some(end) = head_end(&self.buffer[self.searched..]) else {
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(StreamFault::TooLarge);
            }
            self.searched = self.buffer.len().saturating_sub(3);
            return Ok(None);
        };
        let head = self.searched + end;
        if head > HEAD_BYTES_MAX {
            return Err(StreamFault::TooLarge);
        }
        let body = content_length(&self.buffer[..head - 2]).ok().flatten();
        let body = body.ok_or(StreamFault::Length)?;
        match head.checked_add(body) {
            Some(length) if length <= self.message_bytes_max => Ok(Some(length)),
            _ => Err(StreamFault::TooLarge),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(stream: &[u8], step: usize) -> Result<Vec<Frame>, StreamFault> {
        let (mut framer, mut frames) = (Framer::new(65_535), Vec::new());
        for piece in stream.chunks(step) {
            framer.push(piece);
            while let Some(frame) = framer.next_frame()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn messages_and_pings_come_out_however_the_stream_is_cut() {
        let one = b"OPTIONS sip:a@b SIP/2.0\r\nl :\r\n 3\r\n\r\n\r\nx".to_vec();
        let two = b"SIP/2.0 200 OK\r\nContent-Length:\r\n 0\r\n\r\n".to_vec();
        let mut stream = b"\r\n\r\n".to_vec();
        stream.extend(&one);
        stream.extend(b"\r\n\r\n\r\n");
        stream.extend(&two);
        let expected = [
            Frame::Ping,
            Frame::Message(one),
            Frame::Ping,
            Frame::Message(two),
        ];
        for step in 1..stream.len() {
            assert_eq!(frames(&stream, step).unwrap(), expected, "step {step}");
        }
    }

    #[test]
    fn rfc5626_answers_to_our_pings_do_not_add_up_to_a_ping() {
        let mut framer = Framer::new(65_535);
        for _ in 0..3 {
            framer.note_ping();
            framer.push(PONG);
            assert_eq!(framer.next_frame(), Ok(None));
        }
        framer.note_ping();
        framer.push(b"\r\n\r\n\r\n");
        assert_eq!(framer.next_frame(), Ok(Some(Frame::Ping)));
        assert_eq!(framer.next_frame(), Ok(None));
    }

    #[test]
    fn a_message_has_begun_with_its_first_octet_and_not_with_a_lone_crlf() {
        let mut framer = Framer::new(65_535);
        assert!(!framer.has_begun());
        for (bytes, begun) in [("\r\n", false), ("O", true), ("PTIONS", true)] {
            framer.push(bytes.as_bytes());
            assert_eq!(framer.next_frame(), Ok(None));
            assert_eq!(framer.has_begun(), begun, "{bytes:?}");
        }
    }

    #[test]
    fn a_stream_without_a_trustworthy_length_is_over() {
        for (head, fault) in [
            ("X: y", StreamFault::Length),
            ("l: 1\r\nContent-Length: 1", StreamFault::Length),
            ("l: -1", StreamFault::Length),
            ("l: 99999", StreamFault::TooLarge),
            ("l: 18446744073709551615", StreamFault::TooLarge),
        ] {
            let stream = format!("OPTIONS sip:a@b SIP/2.0\r\n{head}\r\n\r\n");
            assert_eq!(frames(stream.as_bytes(), 7), Err(fault), "{head}");
        }
        assert_eq!(
            frames(&vec![b'x'; HEAD_BYTES_MAX + 1], 1000),
            Err(StreamFault::TooLarge)
        );
    }
}
