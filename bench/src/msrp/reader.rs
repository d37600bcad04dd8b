//! Cuts a byte stream into chunks: head, pieces of the body, end. RFC 4975, 7.3.1.
//!
//! Bodies come out in pieces as they arrive, so a chunk of any size needs one fixed buffer.

use std::fmt;

use memchr::memmem;

use super::head::Head;

/// Octets of the buffer; also the most that one piece of a body can have.
pub const BUFFER_BYTES: usize = 128 * 1024;

/// The longest head that is taken.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How a chunk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `$`: the message is complete.
    Last,
    /// `+`: more chunks follow.
    More,
    /// `#`: the message was given up.
    Aborted,
}

/// What the stream brought next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A chunk begins.
    Head(Head<'a>),
    /// A piece of its body.
    Body(&'a [u8]),
    /// It is over.
    End(Flag),
}

/// The stream is not MSRP, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A start line was expected.
    StartLine,
    /// A header line without a colon, or not in UTF-8.
    Header,
    /// To-Path or From-Path is missing or is none.
    Path,
    /// `Byte-Range` can't be read.
    ByteRange,
    /// The head is longer than 16 KiB.
    HeadTooLong,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::StartLine => "the peer sent something that is no MSRP start line",
            Malformed::Header => "the peer sent a header line that can't be read",
            Malformed::Path => "the peer sent a request without a readable To-Path or From-Path",
            Malformed::ByteRange => "the peer sent a Byte-Range that can't be read",
            Malformed::HeadTooLong => "the peer sent a head of more than 16 KiB",
        })
    }
}

impl std::error::Error for Malformed {}

enum State {
    /// Between chunks, or inside a head.
    Head,
    /// Right after the empty line: an end-line may stand here without a CRLF of its own.
    BodyStart,
    Body,
    /// The head's own end-line was already seen.
    Ended(Flag),
}

/// Reads chunks from a stream. Fill [`Reader::space`], say how much with [`Reader::filled`], then
/// call [`Reader::event`] until it gives `None`.
pub struct Reader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    state: State,
    /// CRLF and the end-line of the chunk under way, up to its flag.
    end_line: Vec<u8>,
}

impl Default for Reader {
    fn default() -> Self {
        Self::with_capacity(BUFFER_BYTES)
    }
}

impl Reader {
    /// A reader with a buffer of `bytes`, at least twice the longest head.
    pub fn with_capacity(bytes: usize) -> Self {
        Reader {
            buffer: vec![0; bytes.max(2 * HEAD_BYTES_MAX)],
            start: 0,
            end: 0,
            state: State::Head,
            end_line: Vec::with_capacity(80),
        }
    }

    /// Where the next octets of the stream go; never empty once [`Reader::event`] gave `None`.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.buffer.len() - self.end < self.buffer.len() / 2 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.end..]
    }

    /// Tells how many octets were put into [`Reader::space`].
    pub fn filled(&mut self, bytes: usize) {
        self.end += bytes;
        debug_assert!(
            self.end <= self.buffer.len(),
            "no more than there is space for"
        );
    }

    /// Whether the stream could end here without cutting a chunk.
    pub fn is_between_chunks(&self) -> bool {
        matches!(self.state, State::Head) && self.start == self.end
    }

    /// The next event, or `None` when more octets are needed.
    pub fn event(&mut self) -> Result<Option<Event<'_>>, Malformed> {
        loop {
            match self.state {
                State::Head => return self.head(),
                State::BodyStart => {
                    let line = &self.end_line[2..];
                    match ending(&self.buffer[self.start..self.end], line) {
                        Ending::Yes(flag) => return Ok(Some(self.finish(line.len() + 3, flag))),
                        Ending::Perhaps => return Ok(None),
                        Ending::No => self.state = State::Body,
                    }
                }
                State::Body => return Ok(self.body()),
                State::Ended(flag) => {
                    self.state = State::Head;
                    return Ok(Some(Event::End(flag)));
                }
            }
        }
    }

    fn finish(&mut self, bytes: usize, flag: Flag) -> Event<'static> {
        self.start += bytes;
        self.state = State::Head;
        Event::End(flag)
    }

    fn head(&mut self) -> Result<Option<Event<'_>>, Malformed> {
        let bytes = &self.buffer[self.start..self.end];
        let prefix = bytes.len().min(5);
        if bytes[..prefix] != b"MSRP "[..prefix] {
            return Err(Malformed::StartLine);
        }
        let Some(extent) = Extent::of(bytes)? else {
            return Ok(None);
        };
        let from = self.start;
        self.start += extent.bytes;
        let text = &self.buffer[from..from + extent.text_bytes];
        let text = std::str::from_utf8(text).map_err(|_| Malformed::Header)?;
        let head = Head::parse(text)?;
        self.end_line.clear();
        self.end_line.extend_from_slice(b"\r\n-------");
        self.end_line.extend_from_slice(head.tid.as_bytes());
        self.state = extent.flag.map_or(State::BodyStart, State::Ended);
        Ok(Some(Event::Head(head)))
    }

    fn body(&mut self) -> Option<Event<'_>> {
        let (from, end) = (self.start, self.end);
        let bytes = &self.buffer[from..end];
        let mut search = 0;
        while let Some(found) = memmem::find(&bytes[search..], &self.end_line) {
            let at = search + found;
            match ending(&bytes[at..], &self.end_line) {
                Ending::Yes(flag) if at == 0 => {
                    return Some(self.finish(self.end_line.len() + 3, flag));
                }
                Ending::Perhaps if at == 0 => return None,
                Ending::Yes(_) | Ending::Perhaps => {
                    self.start += at;
                    return Some(Event::Body(&self.buffer[from..from + at]));
                }
                Ending::No => search = at + 2,
            }
        }
        let data = bytes.len() - held_back(bytes, &self.end_line);
        self.start += data;
        (data > 0).then(|| Event::Body(&self.buffer[from..from + data]))
    }
}

/// Where a head ends.
struct Extent {
    /// Octets of start line and headers.
    text_bytes: usize,
    /// The same with the empty line or end-line.
    bytes: usize,
    /// Set when the end-line follows at once: there is no body.
    flag: Option<Flag>,
}

impl Extent {
    fn of(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut line_start = 0;
        while let Some(length) = memmem::find(&bytes[line_start..], b"\r\n") {
            let line = &bytes[line_start..line_start + length];
            let after = line_start + length + 2;
            if after > HEAD_BYTES_MAX {
                return Err(Malformed::HeadTooLong);
            }
            if line.is_empty() {
                return Ok(Some(Extent {
                    text_bytes: line_start,
                    bytes: after,
                    flag: None,
                }));
            }
            if let Some(rest) = line.strip_prefix(b"-------") {
                let tid = bytes[5..].split(|&b| b == b' ').next().unwrap_or(b"");
                let flag = rest.strip_prefix(tid).and_then(|flag| match flag {
                    [flag] => flag_of(*flag),
                    _ => None,
                });
                let flag = Some(flag.ok_or(Malformed::Header)?);
                return Ok(Some(Extent {
                    text_bytes: line_start,
                    bytes: after,
                    flag,
                }));
            }
            line_start = after;
        }
        if bytes.len() > HEAD_BYTES_MAX {
            Err(Malformed::HeadTooLong)
        } else {
            Ok(None)
        }
    }
}

enum Ending {
    Yes(Flag),
    No,
    /// More octets are needed to tell.
    Perhaps,
}

/// Whether `bytes` begin with `line`, a flag and CRLF.
fn ending(bytes: &[u8], line: &[u8]) -> Ending {
    let common = bytes.len().min(line.len());
    if bytes[..common] != line[..common] {
        return Ending::No;
    }
    match bytes[common..] {
        [] => Ending::Perhaps,
        [flag] | [flag, b'\r'] if flag_of(flag).is_some() => Ending::Perhaps,
        [flag, b'\r', b'\n', ..] => flag_of(flag).map_or(Ending::No, Ending::Yes),
        _ => Ending::No,
    }
}

fn flag_of(byte: u8) -> Option<Flag> {
    match byte {
        b'$' => Some(Flag::Last),
        b'+' => Some(Flag::More),
        b'#' => Some(Flag::Aborted),
        _ => None,
    }
}

/// Octets at the end of `bytes` that could still become `line`.
fn held_back(bytes: &[u8], line: &[u8]) -> usize {
    let window = bytes.len().min(line.len() - 1);
    let tail = &bytes[bytes.len() - window..];
    let starts = tail.iter().enumerate().filter(|&(_, &byte)| byte == b'\r');
    starts
        .map(|(at, _)| &tail[at..])
        .find(|rest| line.starts_with(rest))
        .map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msrp::writer;

    /// Heads, bodies and flags of a stream that is fed in pieces of `step` octets.
    fn read(stream: &[u8], step: usize) -> Vec<(String, Vec<u8>, Flag)> {
        let mut reader = Reader::default();
        let mut chunks = Vec::new();
        let (mut tid, mut body) = (String::new(), Vec::new());
        for piece in stream.chunks(step) {
            reader.space()[..piece.len()].copy_from_slice(piece);
            reader.filled(piece.len());
            while let Some(event) = reader.event().unwrap() {
                match event {
                    Event::Head(head) => tid = head.tid.to_owned(),
                    Event::Body(piece) => body.extend_from_slice(piece),
                    Event::End(flag) => {
                        chunks.push((tid.clone(), std::mem::take(&mut body), flag));
                    }
                }
            }
        }
        assert!(reader.is_between_chunks());
        chunks
    }

    fn chunk(tid: &str, body: &[u8], flag: Flag) -> Vec<u8> {
        let mut out = Vec::new();
        let send = writer::Send {
            to_path: "msrp://a:1/b;tcp",
            from_path: "msrp://c:2/d;tcp",
            message_id: "m1",
            success_report: false,
            failure_report: true,
        };
        let range = writer::Range {
            start: 1,
            end: None,
            total: 9,
        };
        writer::send_head(&mut out, tid, &send, range, "text/plain");
        out.extend_from_slice(body);
        writer::end_line(&mut out, tid, flag);
        out
    }

    #[test]
    fn awkward_bodies_survive_every_split() {
        let bodies: [&[u8]; 13] = [
            b"",
            b"\0",
            b"\r",
            b"\r\n",
            b"\r\n-------tid1",
            b"\r\n-------tid1x",
            b"\r\n-------tid1$x",
            b"\r\n-------tid1$\rx\r\n-------tid1",
            b"-------tid1",
            b"x-------tid1$",
            b"\r\n-------other$\r\nMSRP tid1 SEND\r\n\r\n",
            b"\r\n\r\n-------tid1\r\n-------tid1",
            b"a\r\r\n\r\n-",
        ];
        for body in bodies {
            let mut stream = chunk("tid1", body, Flag::More);
            stream.extend(chunk("tid2", b"next", Flag::Last));
            let want = [
                ("tid1".to_owned(), body.to_vec(), Flag::More),
                ("tid2".to_owned(), b"next".to_vec(), Flag::Last),
            ];
            for step in 1..=stream.len() {
                assert_eq!(read(&stream, step), want, "step {step}, body {body:?}");
            }
        }
    }

    #[test]
    fn an_end_line_right_after_the_empty_line_is_an_empty_body() {
        let stream = b"MSRP tid1 SEND\r\nTo-Path: msrp://a/b;tcp\r\nFrom-Path: msrp://c/d;tcp\r\n\
            Content-Type: text/plain\r\n\r\n-------tid1$\r\n";
        for step in 1..=stream.len() {
            assert_eq!(
                read(stream, step),
                [("tid1".to_owned(), vec![], Flag::Last)]
            );
        }
    }

    #[test]
    fn a_request_without_a_body_ends_right_after_its_headers() {
        let stream = b"MSRP tid1 SEND\r\nTo-Path: msrp://a/b;tcp\r\nFrom-Path: msrp://c/d;tcp\r\n\
            Message-ID: 1\r\n-------tid1$\r\n";
        for step in 1..=stream.len() {
            assert_eq!(
                read(stream, step),
                [("tid1".to_owned(), vec![], Flag::Last)]
            );
        }
    }

    #[test]
    fn a_long_body_comes_in_pieces_and_whole() {
        let body: Vec<u8> = (0..1_000_000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        let stream = chunk("tid1", &body, Flag::Last);
        for step in [4093, 32 * 1024] {
            assert_eq!(read(&stream, step)[0].1, body);
        }
    }

    #[test]
    fn a_head_without_end_and_other_protocols_are_refused() {
        let mut reader = Reader::default();
        reader.space()[..4].copy_from_slice(b"GET ");
        reader.filled(4);
        assert_eq!(reader.event(), Err(Malformed::StartLine));

        let mut reader = Reader::default();
        let mut stream = b"MSRP tid1 SEND\r\n".to_vec();
        stream.resize(HEAD_BYTES_MAX + 1, b'x');
        reader.space()[..stream.len()].copy_from_slice(&stream);
        reader.filled(stream.len());
        assert_eq!(reader.event(), Err(Malformed::HeadTooLong));
    }
}
