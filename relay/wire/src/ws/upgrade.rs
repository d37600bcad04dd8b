//! The opening handshake, the server's side. RFC 6455, 4.2; RFC 7977, 4.1; HTTP/1.1: RFC 9112.
//!
//! Extensions are not negotiated. Not here: whether the path is known, the origin allowed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use memchr::memmem;
use sha1::{Digest as _, Sha1};

use crate::limits::{UPGRADE_BYTES_MAX, UPGRADE_HEADERS_MAX};
use crate::out::Out;

/// Octets of a Sec-WebSocket-Key: 16 random ones in base64.
const KEY_BYTES: usize = 24;

/// Why a request is not upgraded. All are the client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not an HTTP request by the grammar, or it has a body, or lacks what a handshake needs.
    BadRequest,
    /// Subprotocol `msrp` is not offered.
    Subprotocol,
    /// A method other than GET.
    Method,
    /// No `Upgrade: websocket`, or a version other than 13.
    UpgradeRequired,
    /// Over [`UPGRADE_BYTES_MAX`] or [`UPGRADE_HEADERS_MAX`].
    TooLarge,
    /// HTTP/1.0 or something unknown.
    HttpVersion,
}

impl Refusal {
    /// The HTTP status to [`refuse`] with.
    pub fn status(self) -> u16 {
        match self {
            Refusal::BadRequest | Refusal::Subprotocol => 400,
            Refusal::Method => 405,
            Refusal::UpgradeRequired => 426,
            Refusal::TooLarge => 431,
            Refusal::HttpVersion => 505,
        }
    }
}

/// A good handshake request that offers `msrp`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// Path of the request target, with its query if there is one. Secret: not for logs.
    pub path: &'a [u8],
    /// Value of Host.
    pub host: &'a [u8],
    /// Value of Origin.
    pub origin: Option<&'a [u8]>,
    /// Value of Sec-WebSocket-Key, to be passed to [`accept`].
    pub key: &'a [u8],
}

/// Leaves out what is secret: path and key.
impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Request(host {}, path of {} octets)",
            self.host.escape_ascii(),
            self.path.len()
        )
    }
}

impl<'a> Request<'a> {
    /// Parses the request at the start of `input`; with it come the octets it takes. `None`: not
    /// all here.
    pub fn parse(input: &'a [u8]) -> Result<Option<(Request<'a>, usize)>, Refusal> {
        Request::parse_growing(input, &mut 0)
    }

    /// As [`parse`](Request::parse) for input that grows: `scanned` starts at 0 and remembers how
    /// far the end of the request has been looked for, so that feeding octet by octet is linear.
    pub fn parse_growing(
        input: &'a [u8],
        scanned: &mut usize,
    ) -> Result<Option<(Request<'a>, usize)>, Refusal> {
        const BLANK_LINE: &[u8] = b"\r\n\r\n";
        let window = &input[..input.len().min(UPGRADE_BYTES_MAX)];
        let from = scanned
            .saturating_sub(BLANK_LINE.len() - 1)
            .min(window.len());
        let Some(offset) = memmem::find(&window[from..], BLANK_LINE) else {
            *scanned = window.len();
            if input.len() >= UPGRADE_BYTES_MAX {
                return Err(Refusal::TooLarge);
            }
            return check_beginning(window).map(|()| None);
        };
        let head_bytes = from + offset;
        let request = Request::parse_whole(&window[..head_bytes])?;
        Ok(Some((request, head_bytes + BLANK_LINE.len())))
    }

    /// Parses a head without its blank line and the CRLF before it.
    fn parse_whole(head: &'a [u8]) -> Result<Request<'a>, Refusal> {
        let mut lines = Lines(Some(head));
        let path = path_of(lines.next().ok_or(Refusal::BadRequest)?)?;
        let mut headers = Headers::default();
        for (number, line) in lines.enumerate() {
            if number >= UPGRADE_HEADERS_MAX {
                return Err(Refusal::TooLarge);
            }
            headers.take(line)?;
        }
        headers.into_request(path)
    }
}

/// What has no hope is refused before it is complete: another protocol, another method.
fn check_beginning(input: &[u8]) -> Result<(), Refusal> {
    const GET: &[u8] = b"GET ";
    if input.starts_with(GET) || GET.starts_with(input) {
        return Ok(());
    }
    let method = memchr::memchr(b' ', input).map_or(input, |end| &input[..end]);
    if method.is_empty() || !method.iter().all(u8::is_ascii_uppercase) {
        return Err(Refusal::BadRequest);
    }
    // Wait for the whole name, so that the answer does not depend on how the input is cut.
    if method.len() == input.len() && method.len() <= 16 {
        Ok(())
    } else {
        Err(Refusal::Method)
    }
}

/// Splits at CRLF.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0.take()?;
        match memmem::find(rest, b"\r\n") {
            Some(end) => {
                self.0 = Some(&rest[end + 2..]);
                Some(&rest[..end])
            }
            None => Some(rest),
        }
    }
}

/// `GET` SP target SP `HTTP/1.1`.
fn path_of(line: &[u8]) -> Result<&[u8], Refusal> {
    let Some(rest) = line.strip_prefix(b"GET ") else {
        return Err(check_beginning(line).err().unwrap_or(Refusal::BadRequest));
    };
    let end = memchr::memchr(b' ', rest).ok_or(Refusal::BadRequest)?;
    let (target, version) = (&rest[..end], &rest[end + 1..]);
    let [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = version else {
        return Err(Refusal::BadRequest);
    };
    if !major.is_ascii_digit() || !minor.is_ascii_digit() {
        return Err(Refusal::BadRequest);
    }
    if *major != b'1' || *minor == b'0' {
        return Err(Refusal::HttpVersion);
    }
    // RFC 9112, 3.2: the path alone, or behind the authority.
    let path = match memmem::find(target, b"://") {
        Some(scheme_end) if !target.starts_with(b"/") => {
            let scheme = &target[..scheme_end];
            let authority = &target[scheme_end + 3..];
            if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
                return Err(Refusal::BadRequest);
            }
            memchr::memchr(b'/', authority).map_or(&b"/"[..], |start| &authority[start..])
        }
        _ => target,
    };
    let is_good = path.starts_with(b"/") && path.iter().all(|&o| o.is_ascii_graphic() && o != b'#');
    if is_good {
        Ok(path)
    } else {
        Err(Refusal::BadRequest)
    }
}

/// The headers that matter, as they come.
#[derive(Default)]
struct Headers<'a> {
    host: Option<&'a [u8]>,
    origin: Option<&'a [u8]>,
    key: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    upgrade_has_websocket: bool,
    connection_has_upgrade: bool,
    protocol_has_msrp: bool,
}

impl<'a> Headers<'a> {
    fn take(&mut self, line: &'a [u8]) -> Result<(), Refusal> {
        let colon = memchr::memchr(b':', line).ok_or(Refusal::BadRequest)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let is_token =
            |&octet: &u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
        let is_text = |&octet: &u8| octet == b'\t' || octet >= b' ' && octet != 0x7f;
        if name.is_empty() || !name.iter().all(is_token) || !value.iter().all(is_text) {
            return Err(Refusal::BadRequest);
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("Host") {
            single(&mut self.host, value)?;
        } else if is("Origin") {
            single(&mut self.origin, value)?;
        } else if is("Sec-WebSocket-Key") {
            single(&mut self.key, value)?;
        } else if is("Sec-WebSocket-Version") {
            single(&mut self.version, value)?;
        } else if is("Upgrade") {
            self.upgrade_has_websocket |=
                items(value).any(|item| item.eq_ignore_ascii_case(b"websocket"));
        } else if is("Connection") {
            self.connection_has_upgrade |=
                items(value).any(|item| item.eq_ignore_ascii_case(b"upgrade"));
        } else if is("Sec-WebSocket-Protocol") {
            self.protocol_has_msrp |= items(value).any(|item| item == b"msrp");
        } else if is("Transfer-Encoding") || is("Content-Length") && value != b"0" {
            return Err(Refusal::BadRequest);
        }
        Ok(())
    }

    fn into_request(self, path: &'a [u8]) -> Result<Request<'a>, Refusal> {
        let host = self
            .host
            .filter(|host| !host.is_empty())
            .ok_or(Refusal::BadRequest)?;
        if !self.upgrade_has_websocket {
            return Err(Refusal::UpgradeRequired);
        }
        if !self.connection_has_upgrade {
            return Err(Refusal::BadRequest);
        }
        if self.version.ok_or(Refusal::BadRequest)? != b"13" {
            return Err(Refusal::UpgradeRequired);
        }
        let key = self
            .key
            .filter(|key| is_key(key))
            .ok_or(Refusal::BadRequest)?;
        if !self.protocol_has_msrp {
            return Err(Refusal::Subprotocol);
        }
        Ok(Request {
            path,
            host,
            origin: self.origin,
            key,
        })
    }
}

fn single<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::BadRequest),
    }
}

/// The items of a comma-separated list.
fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&octet| octet == b',').map(<[u8]>::trim_ascii)
}

fn is_key(key: &[u8]) -> bool {
    let mut random = [0; KEY_BYTES];
    key.len() == KEY_BYTES && BASE64.decode_slice(key, &mut random) == Ok(16)
}

/// Writes the 101 response that names `protocol`. `None`: no room.
pub fn accept(out: &mut [u8], key: &[u8], protocol: &[u8]) -> Option<usize> {
    let hash = Sha1::new()
        .chain_update(key)
        .chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    let mut accept = [0; 28];
    BASE64.encode_slice(hash, &mut accept).ok()?;
    let mut out = Out::new(out);
    out.push(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    out.push(b"Sec-WebSocket-Accept: ");
    out.push(&accept);
    out.push(b"\r\nSec-WebSocket-Protocol: ");
    out.push(protocol);
    out.push(b"\r\n\r\n");
    out.written()
}

/// Writes a refusal, after which the connection is closed. `None`: no room.
pub fn refuse(out: &mut [u8], status: u16) -> Option<usize> {
    let (reason, extra) = match status {
        400 => ("Bad Request", ""),
        403 => ("Forbidden", ""),
        404 => ("Not Found", ""),
        405 => ("Method Not Allowed", "Allow: GET\r\n"),
        426 => (
            "Upgrade Required",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        ),
        429 => ("Too Many Requests", ""),
        431 => ("Request Header Fields Too Large", ""),
        503 => ("Service Unavailable", ""),
        505 => ("HTTP Version Not Supported", ""),
        _ => ("Refused", ""),
    };
    let mut out = Out::new(out);
    out.push(b"HTTP/1.1 ");
    out.status(status);
    out.push(b" ");
    out.push(reason.as_bytes());
    out.push(b"\r\n");
    out.push(extra.as_bytes());
    // RFC 9110, 7.8: whoever sends Upgrade also names it in Connection.
    out.push(if status == 426 {
        b"Connection: close, Upgrade\r\n"
    } else {
        b"Connection: close\r\n"
    });
    out.push(b"Content-Length: 0\r\n\r\n");
    out.written()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample of RFC 7977, 4.1.
    const SAMPLE: &str = "GET / HTTP/1.1\r\nHost: a.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Origin: http://www.example.com\r\n\
        Sec-WebSocket-Protocol: msrp\r\nSec-WebSocket-Version: 13\r\n\r\n";

    fn refusal_of(text: &str) -> Refusal {
        Request::parse(text.as_bytes()).unwrap_err()
    }

    fn is_accepted(text: &str) -> bool {
        Request::parse(text.as_bytes()).is_ok_and(|request| request.is_some())
    }

    #[test]
    fn rfc7977_4_1_sample_handshake() {
        let (request, bytes) = Request::parse(SAMPLE.as_bytes()).unwrap().unwrap();
        assert_eq!(bytes, SAMPLE.len());
        assert_eq!(
            (request.path, request.host),
            (&b"/"[..], &b"a.example.com"[..])
        );
        assert_eq!(request.origin, Some(&b"http://www.example.com"[..]));
        let mut out = [0; 300];
        let bytes = accept(&mut out, request.key, b"msrp").unwrap();
        assert_eq!(
            str::from_utf8(&out[..bytes]).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Protocol: msrp\r\n\r\n"
        );
        for room in 0..bytes {
            assert_eq!(accept(&mut out[..room], request.key, b"msrp"), None);
        }
    }

    #[test]
    fn a_request_is_complete_with_its_blank_line_and_not_before() {
        let mut scanned = 0;
        for end in 0..SAMPLE.len() {
            assert_eq!(
                Request::parse_growing(&SAMPLE.as_bytes()[..end], &mut scanned),
                Ok(None)
            );
            assert_eq!(scanned, end);
        }
        let text = format!("{SAMPLE}more");
        let (_, bytes) = Request::parse_growing(text.as_bytes(), &mut scanned)
            .unwrap()
            .unwrap();
        assert_eq!(bytes, SAMPLE.len());
    }

    #[test]
    fn what_a_handshake_needs_is_asked_for() {
        let without = |name: &str| {
            let lines: Vec<&str> = SAMPLE
                .split("\r\n")
                .filter(|line| !line.starts_with(name))
                .collect();
            refusal_of(&lines.join("\r\n"))
        };
        assert_eq!(without("Host"), Refusal::BadRequest);
        assert_eq!(without("Upgrade"), Refusal::UpgradeRequired);
        assert_eq!(without("Connection"), Refusal::BadRequest);
        assert_eq!(without("Sec-WebSocket-Key"), Refusal::BadRequest);
        assert_eq!(without("Sec-WebSocket-Protocol"), Refusal::Subprotocol);
        assert_eq!(without("Sec-WebSocket-Version"), Refusal::BadRequest);
        let with = |from: &str, to: &str| refusal_of(&SAMPLE.replace(from, to));
        assert_eq!(with("Version: 13", "Version: 8"), Refusal::UpgradeRequired);
        assert_eq!(with("HTTP/1.1", "HTTP/1.0"), Refusal::HttpVersion);
        assert_eq!(with("HTTP/1.1", "HTTP/2.0"), Refusal::HttpVersion);
        assert_eq!(with("HTTP/1.1", "HTTP/x.1"), Refusal::BadRequest);
        assert_eq!(with("GET /", "POST /"), Refusal::Method);
        assert_eq!(with("GET /", "GET x"), Refusal::BadRequest);
        assert_eq!(with("GET /", "GET /#"), Refusal::BadRequest);
        assert_eq!(with("GET /", "GET sip://x/"), Refusal::BadRequest);
        assert_eq!(with(": msrp", ": MSRP, sip"), Refusal::Subprotocol);
        assert_eq!(
            with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"),
            Refusal::BadRequest
        );
        assert_eq!(
            with("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZSEh"),
            Refusal::BadRequest
        );
    }

    #[test]
    fn ambiguous_http_is_refused() {
        let with = |line: &str| {
            refusal_of(&SAMPLE.replace(
                "Host: a.example.com\r\n",
                &format!("Host: a.example.com\r\n{line}\r\n"),
            ))
        };
        let lines = [
            "Host: b",
            "Origin: b",
            "Sec-WebSocket-Version: 13",
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
            " folded: x",
            "Name : x",
            "no colon",
            ": x",
            "X: a\rb",
            "X: a\nb",
            "X: a\0b",
        ];
        for line in lines {
            let line = if line.starts_with("Origin") {
                "Origin: a\r\nOrigin: b"
            } else {
                line
            };
            assert_eq!(with(line), Refusal::BadRequest, "{line}");
        }
    }

    #[test]
    fn lists_and_cases_are_read_leniently() {
        assert!(is_accepted(&SAMPLE.replace(
            "Connection: Upgrade",
            "connection: keep-alive, UPGRADE"
        )));
        assert!(is_accepted(
            &SAMPLE.replace("Upgrade: websocket", "UPGRADE: h2c,WebSocket")
        ));
        assert!(is_accepted(
            &SAMPLE.replace("Protocol: msrp", "Protocol: sip , msrp")
        ));
        assert!(is_accepted(&SAMPLE.replace(
            "Sec-WebSocket-Protocol: msrp",
            "Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Protocol: msrp\r\nContent-Length: 0"
        )));
        let text = SAMPLE.replace("GET /", "GET https://a.example.com/m/x?y");
        assert_eq!(
            Request::parse(text.as_bytes()).unwrap().unwrap().0.path,
            b"/m/x?y"
        );
        let text = SAMPLE.replace("GET /", "GET http://a.example.com");
        assert_eq!(
            Request::parse(text.as_bytes()).unwrap().unwrap().0.path,
            b"/"
        );
    }

    #[test]
    fn limits_are_limits() {
        let with = |extra: &str| SAMPLE.replace("Host:", &format!("{extra}Host:"));
        assert!(is_accepted(&with(
            &"X: y\r\n".repeat(UPGRADE_HEADERS_MAX - 7)
        )));
        assert_eq!(
            refusal_of(&with(&"X: y\r\n".repeat(UPGRADE_HEADERS_MAX - 6))),
            Refusal::TooLarge
        );
        let room = UPGRADE_BYTES_MAX - SAMPLE.len() - "X: \r\n".len();
        assert!(is_accepted(&with(&format!("X: {}\r\n", "y".repeat(room)))));
        assert_eq!(
            refusal_of(&with(&format!("X: {}\r\n", "y".repeat(room + 1)))),
            Refusal::TooLarge
        );
        assert_eq!(refusal_of(&"G".repeat(20)), Refusal::Method);
        assert_eq!(refusal_of("MSRP abcd SEND\r\n"), Refusal::Method);
        assert_eq!(refusal_of("\x16\x03\x01"), Refusal::BadRequest);
        assert_eq!(refusal_of(" GET / HTTP/1.1\r\n\r\n"), Refusal::BadRequest);
        assert_eq!(refusal_of("\r\n\r\n"), Refusal::BadRequest);
    }

    #[test]
    fn refusals_say_what_was_wanted() {
        let mut out = [0; 300];
        let bytes = refuse(&mut out, Refusal::UpgradeRequired.status()).unwrap();
        assert_eq!(
            str::from_utf8(&out[..bytes]).unwrap(),
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Connection: close, Upgrade\r\nContent-Length: 0\r\n\r\n"
        );
        let bytes = refuse(&mut out, 404).unwrap();
        assert_eq!(
            str::from_utf8(&out[..bytes]).unwrap(),
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(refuse(&mut out[..bytes - 1], 404), None);
    }
}
