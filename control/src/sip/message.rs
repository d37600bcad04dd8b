//! A SIP message as a value: start line, headers in their order, body.

use serde::{Deserialize, Serialize};

use super::method::Method;

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
        todo!()
    }

    /// A response's code, 0 for a request.
    pub fn code(&self) -> u16 {
        todo!()
    }

    /// A response's phrase, empty for a request.
    pub fn reason(&self) -> &str {
        todo!()
    }

    /// A request's URI, empty for a response.
    pub fn request_uri(&self) -> &str {
        todo!()
    }

    /// The first header of this name, in any case and in its long form.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The URI in From, as text; empty if there is none.
    pub fn from_uri(&self) -> String {
        todo!()
    }

    /// The URI in To, as text; empty if there is none.
    pub fn to_uri(&self) -> String {
        todo!()
    }

    /// The Call-ID, may be empty.
    pub fn call_id(&self) -> &str {
        todo!()
    }

    /// The Content-Type as it stands.
    pub fn content_type(&self) -> Option<&str> {
        self.header("Content-Type")
    }

    /// Whether To has a tag: the request belongs to a dialog.
    pub fn in_dialog(&self) -> bool {
        todo!()
    }
}
