//! A SIP message as a value: start line, headers in their order, body.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::method::Method;
use super::text::split_list;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartLine {
    /// `METHOD uri SIP/2.0`
    Request {
        /// What is asked.
        method: Method,
        /// The Request-URI's text.
        uri: String,
    },
    /// `SIP/2.0 code reason`
    Response {
        /// 100 to 699.
        code: u16,
        /// The phrase, may be empty.
        reason: String,
    },
}

/// A whole message that passed the reader, or one being made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The first line.
    pub start: StartLine,
    /// Name (canonical: `Call-ID`, never `i`) and value (unfolded, trimmed), in their order, a line
    /// each. Content-Length is not among them: the printer writes it from `body`.
    pub headers: Vec<(String, String)>,
    /// The body, may be empty.
    pub body: Vec<u8>,
}

impl Message {
    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// A request's method; a response's, from its CSeq.
    pub fn method(&self) -> Method {
        match &self.start {
            StartLine::Request { method, .. } => method.clone(),
            StartLine::Response { .. } => {
                let name = self
                    .header("CSeq")
                    .and_then(|v| v.split_ascii_whitespace().nth(1));
                Method::from_token(name.unwrap_or(""))
            }
        }
    }

    /// A response's code, 0 for a request.
    pub fn code(&self) -> u16 {
        match self.start {
            StartLine::Request { .. } => 0,
            StartLine::Response { code, .. } => code,
        }
    }

    /// A response's phrase, empty for a request.
    pub fn reason(&self) -> &str {
        match &self.start {
            StartLine::Request { .. } => "",
            StartLine::Response { reason, .. } => reason,
        }
    }

    /// A request's URI, empty for a response.
    pub fn request_uri(&self) -> &str {
        match &self.start {
            StartLine::Request { uri, .. } => uri,
            StartLine::Response { .. } => "",
        }
    }

    /// The first header of this name, in any case and in its long form.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_lines(name).next()
    }

    /// All headers of this name, line by line.
    pub fn header_lines<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let of_name = move |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(of_name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of this list header, over all its lines: `Route`, `Contact`, `Require`.
    pub fn header_values<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.header_lines(name)
            .flat_map(split_list)
            .filter(|value| !value.is_empty())
    }

    /// The URI in From, as text; empty if there is none.
    pub fn from_uri(&self) -> String {
        self.address_uri("From")
    }

    /// The URI in To, as text; empty if there is none.
    pub fn to_uri(&self) -> String {
        self.address_uri("To")
    }

    /// The URI of the first Contact, as text; empty if there is none.
    pub fn contact_uri(&self) -> String {
        self.header_values("Contact")
            .next()
            .and_then(|value| Address::parse(value).ok())
            .map_or(String::new(), |address| address.uri.to_string())
    }

    /// The Call-ID, may be empty.
    pub fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or("")
    }

    /// The Content-Type as it stands.
    pub fn content_type(&self) -> Option<&str> {
        self.header("Content-Type")
    }

    /// Whether To has a tag: the request belongs to a dialog.
    pub fn in_dialog(&self) -> bool {
        self.header("To")
            .and_then(|to| Address::parse(to).ok())
            .is_some_and(|to| to.tag().is_some())
    }

    /// The bytes to be sent, Content-Length last.
    pub fn print(&self) -> Vec<u8> {
        let mut text = match &self.start {
            StartLine::Request { method, uri } => format!("{method} {uri} SIP/2.0\r\n"),
            StartLine::Response { code, reason } => format!("SIP/2.0 {code} {reason}\r\n"),
        };
        for (name, value) in &self.headers {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Adds a header at the end.
    pub(super) fn push(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Takes all lines of a header out.
    pub(super) fn remove(&mut self, name: &str) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Puts `values` where the header's first line was, a line each (else in front of all headers).
    pub(super) fn replace(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        let first = self
            .headers
            .iter()
            .position(|(n, _)| n.eq_ignore_ascii_case(name));
        self.remove(name);
        let at = first.unwrap_or(0).min(self.headers.len());
        let lines = values.into_iter().map(|value| (name.to_owned(), value));
        self.headers.splice(at..at, lines);
    }

    fn address_uri(&self, name: &str) -> String {
        let address = self
            .header(name)
            .and_then(|value| Address::parse(value).ok());
        address.map_or(String::new(), |address| address.uri.to_string())
    }
}

/// Header names we write in one way, and their compact forms.
const NAMES: [(&str, &str); 49] = [
    ("Accept", ""),
    ("Accept-Contact", "a"),
    ("Accept-Encoding", ""),
    ("Accept-Language", ""),
    ("Alert-Info", ""),
    ("Allow", ""),
    ("Allow-Events", "u"),
    ("Authorization", ""),
    ("Call-ID", "i"),
    ("Call-Info", ""),
    ("Contact", "m"),
    ("Content-Disposition", ""),
    ("Content-Encoding", "e"),
    ("Content-Language", ""),
    ("Content-Length", "l"),
    ("Content-Type", "c"),
    ("CSeq", ""),
    ("Date", ""),
    ("Event", "o"),
    ("Expires", ""),
    ("From", "f"),
    ("In-Reply-To", ""),
    ("Max-Forwards", ""),
    ("MIME-Version", ""),
    ("Min-Expires", ""),
    ("Organization", ""),
    ("Path", ""),
    ("P-Asserted-Identity", ""),
    ("P-Preferred-Identity", ""),
    ("Priority", ""),
    ("Proxy-Authenticate", ""),
    ("Proxy-Authorization", ""),
    ("Proxy-Require", ""),
    ("Reason", ""),
    ("Record-Route", ""),
    ("Refer-To", "r"),
    ("Referred-By", "b"),
    ("Reject-Contact", "j"),
    ("Require", ""),
    ("Retry-After", ""),
    ("Route", ""),
    ("Session-Expires", "x"),
    ("Subject", "s"),
    ("Subscription-State", ""),
    ("Supported", "k"),
    ("To", "t"),
    ("Unsupported", ""),
    ("User-Agent", ""),
    ("Via", "v"),
];

/// The name as we write it; an unknown one as it is.
pub(super) fn canonical_name(name: &str) -> &str {
    let known = NAMES.iter().find(|(long, compact)| {
        name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(compact)
    });
    known.map_or(name, |(long, _)| long)
}

/// The usual phrase for a code.
pub(super) fn phrase(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => match code / 100 {
            1 => "Progress",
            2 => "Success",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}
