//! Bytes to [`Message`], strictly; and what the machine needs of it in typed form, [`Head`].
//!
//! Every way a message can be wrong is a [`Fault`] with the status it is answered with. A message that
//! is wrong is still read as far as it goes, because the answer needs its Via, From, To, Call-ID, CSeq.

use super::address::Address;
use super::message::{Message, StartLine, canonical_name};
use super::method::Method;
use super::text::{is_token, is_token_char};
use super::uri::Uri;
use super::via::Via;

/// Header lines of one message; the longest seen in the field has about 60.
pub(super) const HEADERS_MAX: usize = 256;
/// Bytes of one header with its continuation lines.
pub(super) const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Bytes from the start line to the blank line.
pub(super) const HEAD_BYTES_MAX: usize = 48 * 1024;

/// What is wrong with a message; whoever sent it is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not SIP at all. No answer.
    Noise,
    /// Syntax, a missing or a doubled header. 400 with this phrase.
    Malformed(&'static str),
    /// Not SIP/2.0. 505.
    Version,
    /// More than our limits. 513.
    TooLarge,
}

impl Fault {
    /// The status and phrase to answer a request with; `None` means not a word.
    pub fn status(self) -> Option<(u16, Option<&'static str>)> {
        match self {
            Fault::Noise => None,
            Fault::Malformed(what) => Some((400, Some(what))),
            Fault::Version => Some((505, None)),
            Fault::TooLarge => Some((513, None)),
        }
    }
}

/// The headers every message has, typed.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub via: Via,
    pub from: Address,
    pub to: Address,
    pub cseq: u32,
    pub method: Method,
    /// 70 if there was none (RFC 2543).
    pub max_forwards: u8,
}

/// Reads one message: a datagram, or what a `Framer` cut out of a stream.
pub(super) fn read(bytes: &[u8]) -> Result<(Message, Head), (Fault, Option<Message>)> {
    let (mut message, declared) = read_lines(bytes)?;
    let finish = |message: &mut Message| {
        let body_bytes = declared?;
        match body_bytes {
            Some(length) if length > message.body.len() => {
                return Err(Fault::Malformed("Content-Length is beyond the end"));
            }
            Some(length) => message.body.truncate(length),
            None => {}
        }
        check(message)
    };
    match finish(&mut message) {
        Ok(head) => Ok((message, head)),
        Err(fault) => Err((fault, Some(message))),
    }
}

type Declared = Result<Option<usize>, Fault>;

/// Start line, headers, and the body as all the rest.
fn read_lines(bytes: &[u8]) -> Result<(Message, Declared), (Fault, Option<Message>)> {
    let start = bytes
        .iter()
        .position(|b| !matches!(b, b'\r' | b'\n'))
        .unwrap_or(bytes.len());
    let bytes = &bytes[start..];
    let (head, body, mut fault) = match head_end(bytes) {
        Some(end) => (&bytes[..end - 2], &bytes[end..], None),
        None => (
            bytes,
            &[][..],
            Some(Fault::Malformed("the headers have no end")),
        ),
    };
    if head.len() > HEAD_BYTES_MAX {
        fault = Some(Fault::TooLarge);
    }
    let mut lines = Lines { rest: head };
    let first = lines.next().unwrap_or(b"");
    let (start, start_fault) = read_start(first).ok_or((Fault::Noise, None))?;
    fault = fault.or(start_fault);
    let mut message = Message {
        start,
        headers: Vec::new(),
        body: body.to_vec(),
    };
    for line in lines {
        match read_header(line) {
            Ok(_) if message.headers.len() == HEADERS_MAX => {
                fault = fault.or(Some(Fault::TooLarge));
                break;
            }
            Ok(header) => message.headers.push(header),
            Err(wrong) => fault = fault.or(Some(wrong)),
        }
    }
    let declared = content_length(head);
    message.remove("Content-Length");
    match fault {
        Some(fault) => Err((fault, Some(message))),
        None => Ok((message, declared)),
    }
}

/// The offset behind the blank line.
pub(super) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// What Content-Length says, over all lines of a head; `None` if it is absent.
pub(super) fn content_length(head: &[u8]) -> Declared {
    let mut found = None;
    for line in (Lines { rest: head }).skip(1) {
        let Ok((name, value)) = read_header(line) else {
            continue;
        };
        if name != "Content-Length" {
            continue;
        }
        if found.is_some() {
            return Err(Fault::Malformed("Content-Length stands twice"));
        }
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        match value.parse() {
            Ok(length) if digits => found = Some(length),
            _ => return Err(Fault::Malformed("Content-Length is no number")),
        }
    }
    Ok(found)
}

/// Lines up to CRLF, each with the lines that continue it (they begin with white space).
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let mut from = 0;
        loop {
            let Some(at) = self.rest[from..].windows(2).position(|w| w == b"\r\n") else {
                return Some(std::mem::take(&mut self.rest));
            };
            let end = from + at;
            if !matches!(self.rest.get(end + 2), Some(b' ' | b'\t')) {
                let line = &self.rest[..end];
                self.rest = &self.rest[end + 2..];
                return Some(line);
            }
            from = end + 2;
        }
    }
}

/// The start line; with a fault if it is recognisable but wrong. `None`: this is not SIP.
fn read_start(line: &[u8]) -> Option<(StartLine, Option<Fault>)> {
    let line = std::str::from_utf8(line).ok()?;
    if line.contains(['\r', '\n', '\0']) {
        return None;
    }
    if let Some(status) = line.strip_prefix("SIP/2.0 ") {
        let (code, reason) = status.split_once(' ').unwrap_or((status, ""));
        let good = code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
        let code = code
            .parse()
            .ok()
            .filter(|code| good && (100..700).contains(code))?;
        return Some((
            StartLine::Response {
                code,
                reason: reason.to_owned(),
            },
            None,
        ));
    }
    let (method, rest) = line.split_once(' ')?;
    if !is_token(method) {
        return None;
    }
    let (uri, version) = rest.trim_end().rsplit_once(' ')?;
    if !version.get(..4)?.eq_ignore_ascii_case("SIP/") {
        return None;
    }
    let start = StartLine::Request {
        method: Method::from_token(method),
        uri: uri.to_owned(),
    };
    let fault = if !version.eq_ignore_ascii_case("SIP/2.0") {
        Some(Fault::Version)
    } else if uri.contains([' ', '\t']) || rest.ends_with([' ', '\t']) {
        Some(Fault::Malformed("white space in the request line"))
    } else if uri.starts_with('<') {
        Some(Fault::Malformed("the Request-URI stands in <>"))
    } else {
        None
    };
    Some((start, fault))
}

/// One header: canonical name, unfolded value.
fn read_header(line: &[u8]) -> Result<(String, String), Fault> {
    if line.len() > HEADER_BYTES_MAX {
        return Err(Fault::TooLarge);
    }
    let line = std::str::from_utf8(line).map_err(|_| Fault::Malformed("a header is not UTF-8"))?;
    let (name, value) = line
        .split_once(':')
        .ok_or(Fault::Malformed("a header has no colon"))?;
    let name = name.trim_end_matches([' ', '\t']);
    if name.is_empty() || !name.chars().all(is_token_char) {
        return Err(Fault::Malformed("a header's name is malformed"));
    }
    // What is left of CR and LF after unfolding is either bare, or a quoted pair that may not be.
    let mut pieces = value.split("\r\n");
    let mut unfolded = pieces
        .next()
        .unwrap_or("")
        .trim_matches([' ', '\t'])
        .to_owned();
    for piece in pieces {
        let piece = piece.trim_matches([' ', '\t']);
        if !unfolded.is_empty() && !piece.is_empty() {
            unfolded.push(' ');
        }
        unfolded.push_str(piece);
    }
    if unfolded.contains(['\r', '\n']) {
        return Err(Fault::Malformed("a bare CR or LF in a header"));
    }
    Ok((canonical_name(name).to_owned(), unfolded))
}

/// Headers that may stand once only.
const SINGLE: [&str; 11] = [
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Max-Forwards",
    "Content-Type",
    "Content-Encoding",
    "Expires",
    "Date",
    "Event",
    "Subject",
];

/// What every message must have and must not have. RFC 3261, 8.1.1, 16.3, 18.3, 20.
fn check(message: &Message) -> Result<Head, Fault> {
    let wrong = Fault::Malformed;
    for name in SINGLE {
        if message.header_lines(name).nth(1).is_some() {
            return Err(wrong("a header that may stand once stands twice"));
        }
    }
    let need = |name: &str| message.header(name);
    let via = message
        .header_values("Via")
        .next()
        .ok_or(wrong("Via is missing"))?;
    let via = Via::parse(via).map_err(wrong)?;
    let from = Address::parse(need("From").ok_or(wrong("From is missing"))?).map_err(wrong)?;
    let to = Address::parse(need("To").ok_or(wrong("To is missing"))?).map_err(wrong)?;
    let call_id = need("Call-ID").ok_or(wrong("Call-ID is missing"))?;
    if call_id.is_empty() || call_id.contains([' ', '\t']) {
        return Err(wrong("Call-ID is malformed"));
    }
    let (cseq, method) = read_cseq(need("CSeq").ok_or(wrong("CSeq is missing"))?)?;
    let max_forwards = match need("Max-Forwards") {
        Some(text) => text
            .parse()
            .map_err(|_| wrong("Max-Forwards is malformed"))?,
        None => 70,
    };
    if let StartLine::Request { method: asked, uri } = &message.start {
        if *asked != method {
            return Err(wrong("CSeq names another method"));
        }
        let uri = Uri::parse(uri).map_err(wrong)?;
        if uri.as_sip().is_some_and(|uri| uri.headers.is_some()) {
            return Err(wrong("the Request-URI has headers"));
        }
    }
    if !message.body.is_empty() && message.content_type().is_none() {
        return Err(wrong("a body without Content-Type"));
    }
    Ok(Head {
        via,
        from,
        to,
        cseq,
        method,
        max_forwards,
    })
}

fn read_cseq(value: &str) -> Result<(u32, Method), Fault> {
    let wrong = Fault::Malformed("CSeq is malformed");
    let mut words = value.split_ascii_whitespace();
    let (number, method) = (words.next().ok_or(wrong)?, words.next().ok_or(wrong)?);
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    let number: u32 = number.parse().map_err(|_| wrong)?;
    if !digits || number >= 1 << 31 || !is_token(method) || words.next().is_some() {
        return Err(wrong);
    }
    Ok((number, Method::from_token(method)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "MESSAGE sip:alice@localhost SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\n\
        f: <sip:bob@localhost>;tag=1\r\nt: sip:alice@localhost\r\ni: 1\r\nCSEQ: 1 MESSAGE\r\n\
        Max-Forwards: 70\r\nSubject: one\r\n\t two\r\nc: text/plain\r\nl : 2\r\n\r\nhi";

    fn fault(text: &str) -> Fault {
        read(text.as_bytes()).map(|_| ()).unwrap_err().0
    }

    #[test]
    fn compact_names_are_expanded_and_folded_lines_unfolded() {
        let (message, head) = read(GOOD.as_bytes()).unwrap();
        let names: Vec<&str> = message
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let expected = [
            "Via",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "Max-Forwards",
            "Subject",
            "Content-Type",
        ];
        assert_eq!(names, expected);
        assert_eq!(message.header("subject"), Some("one two"));
        assert_eq!((message.body.as_slice(), head.cseq), (&b"hi"[..], 1));
        assert_eq!(message.from_uri(), "sip:bob@localhost");
        assert!(!message.in_dialog());
    }

    #[test]
    fn what_follows_content_length_is_no_part_of_a_datagrams_body() {
        let (message, _) = read(format!("{GOOD}MORE").as_bytes()).unwrap();
        assert_eq!(message.body, b"hi");
    }

    #[test]
    fn each_fault_has_its_answer() {
        let with = |from: &str, to: &str| fault(&GOOD.replace(from, to)).status();
        assert_eq!(with("SIP/2.0\r\nv", "SIP/3.0\r\nv"), Some((505, None)));
        assert_eq!(
            with("1 MESSAGE", "1 INVITE"),
            Some((400, Some("CSeq names another method")))
        );
        assert_eq!(
            with("l : 2", "l : 3"),
            Some((400, Some("Content-Length is beyond the end")))
        );
        assert_eq!(
            with("l : 2", "l : -2"),
            Some((400, Some("Content-Length is no number")))
        );
        assert_eq!(
            with("i: 1\r\n", ""),
            Some((400, Some("Call-ID is missing")))
        );
        let long = format!("Subject: {}", "x".repeat(HEADER_BYTES_MAX));
        assert_eq!(with("Subject: one", &long), Some((513, None)));
        let many = "X: y\r\n".repeat(HEADERS_MAX);
        assert_eq!(
            with("Subject", &format!("{many}Subject")),
            Some((513, None))
        );
        assert_eq!(fault("HELLO").status(), None);
        assert_eq!(fault("").status(), None);
    }

    #[test]
    fn a_bare_line_feed_does_not_smuggle_a_header() {
        let text = GOOD.replace("one\r\n", "one\nContact: x\r\n");
        assert_eq!(
            fault(&text),
            Fault::Malformed("a bare CR or LF in a header")
        );
    }

    #[test]
    fn printing_and_reading_are_inverse() {
        let (message, _) = read(GOOD.as_bytes()).unwrap();
        assert_eq!(read(&message.print()).unwrap().0, message);
    }
}
