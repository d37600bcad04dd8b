//! SIP messages: reading, writing, and cutting them out of a TCP stream. RFC 3261, 7 and 18.3.

use std::fmt;
use std::fmt::Write as _;

use super::uri::{Address, outside_quotes, parameter};

/// The longest message that is taken, head and body.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// The most header lines a message may have.
const HEADERS_MAX: usize = 200;

/// The start line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request {
        /// Its method, in capitals.
        method: String,
        /// The Request-URI, as written.
        uri: String,
    },
    /// A response.
    Response {
        /// 100 to 699.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
}

/// A message with its headers in order. Compact header names are written out when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The start line.
    pub start: Start,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body, as long as `Content-Length` says.
    pub body: Vec<u8>,
}

/// The octets are no SIP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The start line is that of another protocol.
    StartLine,
    /// A header line can't be read, or there are too many.
    Header,
    /// `Content-Length` is no number or larger than what came.
    Length,
    /// Longer than 64 KiB.
    TooLong,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::StartLine => "the peer sent something that is no SIP message",
            Malformed::Header => "the peer sent a SIP header that can't be read",
            Malformed::Length => "the peer sent a SIP message with a wrong Content-Length",
            Malformed::TooLong => "the peer sent a SIP message of more than 64 KiB",
        })
    }
}

impl Message {
    /// A request with no headers yet.
    pub fn request(method: &str, uri: &str) -> Message {
        let start = Start::Request {
            method: method.to_owned(),
            uri: uri.to_owned(),
        };
        Message {
            start,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The response to `request`: Via, From, To, Call-ID and CSeq are copied, and `tag` goes to To
    /// when it has none. RFC 3261, 8.2.6.
    pub fn response(request: &Message, status: u16, tag: &str) -> Message {
        let start = Start::Response {
            status,
            reason: reason(status).to_owned(),
        };
        let mut response = Message {
            start,
            headers: Vec::new(),
            body: Vec::new(),
        };
        let copied = ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"];
        for (name, value) in &request.headers {
            let Some(&name) = copied
                .iter()
                .find(|copied| copied.eq_ignore_ascii_case(name))
            else {
                continue;
            };
            let dialog_only = name == "Record-Route" && !(101..300).contains(&status);
            let tagged = Address::parse(value).is_some_and(|to| to.parameter("tag").is_some());
            if name == "To" && !tagged && status > 100 {
                response.push(name, format!("{value};tag={tag}"));
            } else if !dialog_only {
                response.push(name, value.clone());
            }
        }
        response
    }

    /// Reads one message that is complete: a datagram, or what [`framed`] cut out.
    pub fn parse(bytes: &[u8]) -> Result<Message, Malformed> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        let head_bytes = memchr::memmem::find(bytes, b"\r\n\r\n").ok_or(Malformed::Header)?;
        let head = std::str::from_utf8(&bytes[..head_bytes]).map_err(|_| Malformed::Header)?;
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = head.split("\r\n");
        let start = start_line(lines.next().unwrap_or(""))?;
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(Malformed::Header)?;
            headers.push((long_name(name.trim()).to_owned(), value.trim().to_owned()));
        }
        if headers.len() > HEADERS_MAX {
            return Err(Malformed::Header);
        }
        let mut message = Message {
            start,
            headers,
            body: Vec::new(),
        };
        let rest = &bytes[head_bytes + 4..];
        let length = match message.header("Content-Length") {
            Some(value) => value.parse().map_err(|_| Malformed::Length)?,
            None => rest.len(),
        };
        message.body = rest.get(..length).ok_or(Malformed::Length)?.to_vec();
        Ok(message)
    }

    /// The octets to send. `Content-Length` is added here.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = String::with_capacity(512);
        // A String takes every character; there is no error to handle.
        let _ = match &self.start {
            Start::Request { method, uri } => write!(text, "{method} {uri} SIP/2.0\r\n"),
            Start::Response { status, reason } => write!(text, "SIP/2.0 {status} {reason}\r\n"),
        };
        for (name, value) in &self.headers {
            if !name.eq_ignore_ascii_case("Content-Length") {
                let _ = write!(text, "{name}: {value}\r\n");
            }
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n", self.body.len());
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Adds a header at the end.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Sets the body and its type.
    pub fn set_body(&mut self, content_type: &str, body: Vec<u8>) {
        self.push("Content-Type", content_type);
        self.body = body;
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self
            .headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// All values of a header that may hold a list.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let named = self
            .headers
            .iter()
            .filter(|(have, _)| have.eq_ignore_ascii_case(name));
        named.flat_map(|(_, value)| split_list(value)).collect()
    }

    /// From, To or the first Contact, read.
    pub fn address(&self, name: &str) -> Option<Address> {
        self.list(name)
            .first()
            .and_then(|value| Address::parse(value))
    }

    /// The tag of From or To.
    pub fn tag(&self, name: &str) -> Option<String> {
        let address = Address::parse(self.header(name)?)?;
        address.parameter("tag").map(str::to_owned)
    }

    /// The number and the method of CSeq.
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.header("CSeq")?.split_once(' ')?;
        Some((number.parse().ok()?, method.trim()))
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> Option<&str> {
        self.list("Via")
            .first()
            .and_then(|via| parameter(via, "branch"))
    }

    /// The status of a response; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        }
    }
}

/// Octets of the first message in a stream's buffer, once it is there; leading CRLFs, which keep a
/// connection alive, are counted with it.
pub fn framed(bytes: &[u8]) -> Result<Option<std::ops::Range<usize>>, Malformed> {
    let start = bytes
        .iter()
        .take_while(|&&byte| byte == b'\r' || byte == b'\n')
        .count();
    let message = &bytes[start..];
    let Some(head_bytes) = memchr::memmem::find(message, b"\r\n\r\n") else {
        return if message.len() > MESSAGE_BYTES_MAX {
            Err(Malformed::TooLong)
        } else {
            Ok(None)
        };
    };
    let head = std::str::from_utf8(&message[..head_bytes]).map_err(|_| Malformed::Header)?;
    let mut length = 0;
    for (name, value) in head.split("\r\n").filter_map(|line| line.split_once(':')) {
        if long_name(name.trim()).eq_ignore_ascii_case("Content-Length") {
            length = value.trim().parse().map_err(|_| Malformed::Length)?;
        }
    }
    let bytes_needed = head_bytes
        .checked_add(4)
        .and_then(|head| head.checked_add(length));
    match bytes_needed {
        Some(needed) if needed <= MESSAGE_BYTES_MAX => {
            Ok((message.len() >= needed).then(|| start..start + needed))
        }
        _ => Err(Malformed::TooLong),
    }
}

fn start_line(line: &str) -> Result<Start, Malformed> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let status = status.parse().map_err(|_| Malformed::StartLine)?;
        let in_range = (100..700).contains(&status);
        let start = Start::Response {
            status,
            reason: reason.to_owned(),
        };
        return if in_range {
            Ok(start)
        } else {
            Err(Malformed::StartLine)
        };
    }
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(uri), Some("SIP/2.0"), None) if !method.is_empty() => {
            Ok(Start::Request {
                method: method.to_owned(),
                uri: uri.to_owned(),
            })
        }
        _ => Err(Malformed::StartLine),
    }
}

fn long_name(name: &str) -> &str {
    let compact = [
        ("v", "Via"),
        ("f", "From"),
        ("t", "To"),
        ("i", "Call-ID"),
        ("m", "Contact"),
        ("l", "Content-Length"),
        ("c", "Content-Type"),
        ("k", "Supported"),
    ];
    let found = compact
        .iter()
        .find(|(short, _)| short.eq_ignore_ascii_case(name));
    found.map_or(name, |(_, long)| long)
}

/// Cuts at commas that stand in no quoted string and in no angle brackets.
fn split_list(value: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut angles) = (0, 0);
    for (at, c) in outside_quotes(value) {
        match c {
            '<' => angles += 1,
            '>' => angles -= 1,
            ',' if angles == 0 => {
                parts.push(value[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[start..].trim());
    parts
}

/// The reason phrase of a status that a handset sends.
fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        420 => "Bad Extension",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        603 => "Decline",
        _ => "Declined",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:bob@localhost SIP/2.0\r\nv: SIP/2.0/UDP h:1;branch=z9hG4bK1,\
        SIP/2.0/UDP g:2;branch=z9hG4bK2\r\nf: \"A, b\" <sip:a@x>;tag=1\r\nTo: <sip:bob@localhost>\r\n\
        Call-ID: c\r\nCSeq: 7 INVITE\r\nSubject: folded\r\n  line\r\nl: 4\r\n\r\nbodyrest";

    #[test]
    fn compact_names_folding_and_lists_are_understood() {
        let message = Message::parse(INVITE).unwrap();
        assert_eq!(message.branch(), Some("z9hG4bK1"));
        assert_eq!(message.list("Via").len(), 2);
        assert_eq!(message.tag("From").as_deref(), Some("1"));
        assert_eq!(message.tag("To"), None);
        assert_eq!(message.cseq(), Some((7, "INVITE")));
        assert_eq!(message.header("subject"), Some("folded  line"));
        assert_eq!(message.body, b"body");
    }

    #[test]
    fn a_response_takes_over_what_identifies_the_request() {
        let request = Message::parse(INVITE).unwrap();
        let response = Message::parse(&Message::response(&request, 180, "t9").encode()).unwrap();
        assert_eq!(response.status(), Some(180));
        assert_eq!(response.list("Via"), request.list("Via"));
        assert_eq!(response.tag("To").as_deref(), Some("t9"));
        assert_eq!(Message::response(&request, 100, "t9").tag("To"), None);
    }

    #[test]
    fn a_stream_is_cut_where_content_length_says() {
        let mut stream = b"\r\n\r\n".to_vec();
        stream.extend_from_slice(INVITE);
        let complete = stream.len() - 4;
        for bytes in 0..complete {
            assert_eq!(framed(&stream[..bytes]), Ok(None), "{bytes}");
        }
        assert_eq!(framed(&stream), Ok(Some(4..complete)));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for text in [
            "",
            "GET / HTTP/1.1\r\n\r\n",
            "SIP/2.0 99 No\r\n\r\n",
            "INVITE sip:a@b SIP/2.0\r\nno colon\r\n\r\n",
            "INVITE sip:a@b SIP/2.0\r\nContent-Length: 5\r\n\r\nabc",
            "INVITE sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        ] {
            assert!(Message::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(
            framed(b"A b\r\nContent-Length: 99999999\r\n\r\n"),
            Err(Malformed::TooLong)
        );
    }
}
