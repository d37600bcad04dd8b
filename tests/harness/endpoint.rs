//! An MSRP endpoint for tests, written plainly from RFC 4975 and RFC 6455 and sharing no code with
//! the relay: it keeps everything it was sent, and takes it apart the obvious way.

use crate::chance::Chance;

/// One MSRP message or chunk, in pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Transaction id.
    pub transaction: String,
    /// `SEND`, `200 OK`, …
    pub subject: String,
    /// Value of To-Path.
    pub to: String,
    /// Value of From-Path.
    pub from: String,
    /// Header lines after the paths, each with its CRLF.
    pub headers: String,
    /// The body, if there is a blank line.
    pub body: Option<Vec<u8>>,
    /// Flag of the end-line.
    pub flag: char,
}

impl Chunk {
    /// The octets.
    pub fn write(&self) -> Vec<u8> {
        let Chunk {
            transaction,
            subject,
            to,
            from,
            headers,
            ..
        } = self;
        let head =
            format!("MSRP {transaction} {subject}\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n");
        let mut octets = head.into_bytes();
        octets.extend(headers.as_bytes());
        if let Some(body) = &self.body {
            octets.extend(b"\r\n");
            octets.extend(body);
            octets.extend(b"\r\n");
        }
        octets.extend(format!("-------{transaction}{}\r\n", self.flag).as_bytes());
        octets
    }

    /// Whether it is a response.
    pub fn is_response(&self) -> bool {
        self.subject
            .starts_with(|first: char| first.is_ascii_digit())
    }

    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    }

    /// A response to it, as its receiver would write it.
    pub fn response(&self, status: &str) -> Chunk {
        Chunk {
            transaction: self.transaction.clone(),
            subject: status.into(),
            to: self.from.split(' ').next().unwrap_or_default().into(),
            from: self.to.split(' ').next().unwrap_or_default().into(),
            headers: String::new(),
            body: None,
            flag: '$',
        }
    }

    /// Takes the first whole message off the front of a stream. `None`: it is not all there.
    pub fn take(stream: &mut Vec<u8>) -> Option<Chunk> {
        let find = |needle: &[u8], from: usize| {
            let place = stream[from..]
                .windows(needle.len())
                .position(|here| here == needle);
            place.map(|place| from + place)
        };
        let line = find(b"\r\n", 0)?;
        let first = std::str::from_utf8(&stream[..line]).expect("a start line is text");
        let mut words = first.splitn(3, ' ');
        assert_eq!(
            words.next(),
            Some("MSRP"),
            "a message begins with MSRP: {first}"
        );
        let transaction = words.next().expect("a transaction id").to_owned();
        let subject = words.next().expect("a method or status").to_owned();

        let dashes = format!("-------{transaction}");
        let ending = |from: usize| {
            let mut at = from;
            loop {
                let place = find(dashes.as_bytes(), at)?;
                let after = place + dashes.len();
                let tail = stream.get(after..after + 3)?;
                if stream[..place].ends_with(b"\r\n")
                    && b"$+#".contains(&tail[0])
                    && tail[1..] == *b"\r\n"
                {
                    return Some((place, char::from(tail[0]), after + 3));
                }
                at = place + 1;
            }
        };
        let blank = find(b"\r\n\r\n", 0);
        let (place, flag, end) = ending(line)?;
        let has_body = blank.is_some_and(|blank| blank < place);
        let (head_end, body) = match blank {
            Some(blank) if has_body => {
                let start = blank + 4;
                // An empty body may stand with one CRLF or two between head and end-line.
                let stop = (place - 2).max(start);
                (blank + 2, Some(stream[start..stop].to_vec()))
            }
            _ => (place, None),
        };
        let head = std::str::from_utf8(&stream[line + 2..head_end]).expect("a head is text");
        let mut lines = head.split_inclusive("\r\n");
        let value = |line: Option<&str>, name: &str| {
            let line = line.expect("a path line");
            line.strip_prefix(name)
                .unwrap_or_else(|| panic!("{name} expected: {line}"))
                .trim()
                .to_owned()
        };
        let to = value(lines.next(), "To-Path:");
        let from = value(lines.next(), "From-Path:");
        let headers = lines.collect();
        stream.drain(..end);
        Some(Chunk {
            transaction,
            subject,
            to,
            from,
            headers,
            body,
            flag,
        })
    }
}

/// The client's side of a WebSocket, in octets.
#[derive(Default)]
pub struct Frames {
    stream: Vec<u8>,
    message: Vec<u8>,
    upgraded: bool,
    /// The server knows no such resource.
    pub refused: bool,
    /// The code with which the server has closed.
    pub close_code: Option<u16>,
}

impl Frames {
    /// The request that opens the WebSocket at `resource`.
    pub fn upgrade(resource: &str) -> Vec<u8> {
        format!(
            "GET {resource} HTTP/1.1\r\nHost: relay.invalid\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: msrp\r\n\r\n"
        )
        .into_bytes()
    }

    /// One message, in as many masked frames as chance has it, with a ping here and there.
    pub fn write(message: &[u8], chance: &mut Chance) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut at = 0;
        let mut opcode = 2;
        loop {
            let left = message.len() - at;
            let take = if chance.percent(50) {
                left
            } else {
                chance.below(left as u64 + 1) as usize
            };
            // Now and then the end comes as an empty frame of its own.
            let fin = take == left && (left == 0 || !chance.percent(10));
            frame(&mut octets, opcode, fin, &message[at..at + take], chance);
            at += take;
            opcode = 0;
            if fin {
                return octets;
            }
            if chance.percent(20) {
                frame(&mut octets, 9, true, b"still there?", chance);
            }
        }
    }

    /// A close frame.
    pub fn close(chance: &mut Chance) -> Vec<u8> {
        let mut octets = Vec::new();
        frame(&mut octets, 8, true, &1000u16.to_be_bytes(), chance);
        octets
    }

    /// Takes in octets from the server; what whole messages they complete.
    pub fn read(&mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        self.stream.extend(octets);
        let mut messages = Vec::new();
        if !self.upgraded {
            let Some(end) = self.stream.windows(4).position(|four| four == b"\r\n\r\n") else {
                return messages;
            };
            let head = String::from_utf8_lossy(&self.stream[..end]).into_owned();
            if head.starts_with("HTTP/1.1 404 ") {
                self.refused = true;
                return messages;
            }
            assert!(
                head.starts_with("HTTP/1.1 101 "),
                "the upgrade is refused: {head}"
            );
            assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
            self.stream.drain(..end + 4);
            self.upgraded = true;
        }
        while let Some((opcode, fin, payload, bytes)) = self.first_frame() {
            self.stream.drain(..bytes);
            match opcode {
                0 | 2 => {
                    assert_eq!(
                        opcode == 2,
                        self.message.is_empty(),
                        "fragments are in order"
                    );
                    self.message.extend(payload);
                    if fin {
                        messages.push(std::mem::take(&mut self.message));
                    }
                }
                8 => {
                    let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                    self.close_code = code.or(Some(1005));
                    messages.push(Vec::new());
                }
                9 | 10 => assert!(fin && payload.len() <= 125),
                _ => panic!("opcode {opcode} from a server"),
            }
        }
        messages
    }

    fn first_frame(&self) -> Option<(u8, bool, Vec<u8>, usize)> {
        let (first, second) = (*self.stream.first()?, *self.stream.get(1)?);
        assert_eq!(first & 0x70, 0, "no reserved bits");
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let (length, at) = match second {
            126 => (
                u16::from_be_bytes(self.stream.get(2..4)?.try_into().ok()?) as usize,
                4,
            ),
            127 => (
                u64::from_be_bytes(self.stream.get(2..10)?.try_into().ok()?) as usize,
                10,
            ),
            short => (short as usize, 2),
        };
        let payload = self.stream.get(at..at + length)?.to_vec();
        Some((first & 15, first & 0x80 != 0, payload, at + length))
    }

    /// What has come of a message that is not complete.
    pub fn unfinished(&self) -> usize {
        self.message.len()
    }
}

fn frame(out: &mut Vec<u8>, opcode: u8, fin: bool, payload: &[u8], chance: &mut Chance) {
    out.push(opcode | if fin { 0x80 } else { 0 });
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        middle @ 126..65536 => {
            out.push(0x80 | 126);
            out.extend((middle as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    let mut mask = [0; 4];
    chance.fill(&mut mask);
    out.extend(mask);
    out.extend(
        payload
            .iter()
            .enumerate()
            .map(|(place, octet)| octet ^ mask[place % 4]),
    );
}
