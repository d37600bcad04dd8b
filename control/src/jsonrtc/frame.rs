//! One JsonRTC frame: read from a text, written as a text.
//!
//! Strict in what is written, lenient in what is read: numbers may come as strings and ids as numbers,
//! `initiator` may be misspelt, `package_type` and `header` may be missing, unknown members are ignored.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::limits::{
    ACTION_CHARS_MAX, EXTENSION_BYTES_MAX, EXTENSIONS_MAX, ID_CHARS_MAX, IDENTITY_BYTES_MAX,
    PACKAGE_CHARS_MAX, SEQUENCE_MAX,
};

/// A JSON object.
pub type Members = Map<String, Value>;

/// The package that connects sessions.
pub const REGISTER: &str = "register";

/// Header members the protocol itself uses; every other one is an extension of the application's.
pub const SYSTEM_HEADERS: &[&str] = &[
    "action",
    "initiator",
    "target",
    "cslr",
    "cslw",
    "csuw",
    "sslr",
    "error_code",
    "response_code",
    "reason",
    "authenticate",
    "authorization",
    "participants",
    "enquiry_data",
    "expiry",
    "ttl",
    "reliable",
    "handover",
];

/// What a frame is, its `control.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Expects responses, the last one final, or an error.
    Request,
    /// Answers a request.
    Response,
    /// Expects nothing.
    Message,
    /// Confirms frames; has no number of its own.
    Acknowledgement,
    /// Answers a request, and ends it.
    Error,
}

impl Kind {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Request => "request",
            Kind::Response => "response",
            Kind::Message => "message",
            Kind::Acknowledgement => "acknowledgement",
            Kind::Error => "error",
        }
    }

    fn from_word(word: &str) -> Option<Kind> {
        [
            Kind::Request,
            Kind::Response,
            Kind::Message,
            Kind::Acknowledgement,
            Kind::Error,
        ]
        .into_iter()
        .find(|kind| kind.word() == word)
    }
}

/// Where in its transaction a frame stands, its `control.message_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageState {
    /// A request that opens a subsession.
    Initial,
    /// A later request, or a provisional response.
    Subsequent,
    /// The response that ends its transaction.
    Final,
}

impl MessageState {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            MessageState::Initial => "initial",
            MessageState::Subsequent => "subsequent",
            MessageState::Final => "final",
        }
    }

    fn from_word(word: &str) -> Option<MessageState> {
        [
            MessageState::Initial,
            MessageState::Subsequent,
            MessageState::Final,
        ]
        .into_iter()
        .find(|state| state.word() == word)
    }
}

/// The protocol's own part of a frame, its `control` object.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// `type`.
    pub kind: Kind,
    /// `package_type`, aliases resolved; `None` where a client left it out.
    pub package: Option<String>,
    /// `session_id`.
    pub session_id: Option<String>,
    /// `subsession_id`.
    pub subsession_id: Option<String>,
    /// `sequence`, from 1.
    pub sequence: Option<u32>,
    /// `ack_sequence`; 0 while nothing was received.
    pub ack_sequence: Option<u32>,
    /// `correlation_id`.
    pub correlation_id: Option<String>,
    /// `message_state`.
    pub message_state: Option<MessageState>,
}

impl Control {
    /// A `control` with nothing but its kind and package.
    pub fn new(kind: Kind, package: &str) -> Control {
        Control {
            kind,
            package: Some(package.to_owned()),
            session_id: None,
            subsession_id: None,
            sequence: None,
            ack_sequence: None,
            correlation_id: None,
            message_state: None,
        }
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Protocol mechanics.
    pub control: Control,
    /// Action, parties, result and extension headers; `initator` is already `initiator` here.
    pub header: Members,
    /// Body, where there is one.
    pub payload: Option<Members>,
}

/// Why a text is no frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Not a JSON object.
    NotJson,
    /// A JSON object whose named member is missing or has a wrong type, word or length.
    Member(&'static str),
    /// More extension headers, or longer ones, than a frame may carry.
    Extensions,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::NotJson => f.write_str("not a JSON object"),
            Unreadable::Member(name) => write!(f, "{name} is missing or not acceptable"),
            Unreadable::Extensions => write!(
                f,
                "more than {EXTENSIONS_MAX} extension headers or {EXTENSION_BYTES_MAX} bytes of them"
            ),
        }
    }
}

/// A frame as it is written; nothing of it is copied.
#[derive(Serialize)]
struct Written<'a> {
    control: WrittenControl<'a>,
    header: &'a Members,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Members>,
}

#[derive(Serialize)]
struct WrittenControl<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ack_sequence: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subsession_id: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    version: &'static str,
}

impl Frame {
    /// Reads one frame.
    pub fn read(text: &str) -> Result<Frame, Unreadable> {
        let Ok(Value::Object(mut frame)) = serde_json::from_str::<Value>(text) else {
            return Err(Unreadable::NotJson);
        };
        let Some(Value::Object(control)) = frame.remove("control") else {
            return Err(Unreadable::Member("control"));
        };
        let control = read_control(&control)?;
        let header = match frame.remove("header") {
            Some(Value::Object(header)) => read_header(header)?,
            None | Some(Value::Null) => Members::new(),
            Some(_) => return Err(Unreadable::Member("header")),
        };
        if control.kind != Kind::Acknowledgement && !header.contains_key("action") {
            return Err(Unreadable::Member("header.action"));
        }
        let payload = match frame.remove("payload") {
            Some(Value::Object(payload)) => Some(payload),
            None | Some(Value::Null) => None,
            Some(_) => return Err(Unreadable::Member("payload")),
        };
        Ok(Frame {
            control,
            header,
            payload,
        })
    }

    /// Writes the frame as one line of JSON.
    pub fn write(&self) -> String {
        let from = &self.control;
        let written = Written {
            control: WrittenControl {
                ack_sequence: from.ack_sequence,
                correlation_id: from.correlation_id.as_deref(),
                message_state: from.message_state.map(MessageState::word),
                package_type: from.package.as_deref(),
                sequence: from.sequence,
                session_id: from.session_id.as_deref(),
                subsession_id: from.subsession_id.as_deref(),
                kind: from.kind.word(),
                version: "1.0",
            },
            header: &self.header,
            payload: self.payload.as_ref(),
        };
        // Texts, numbers and members of members: nothing that JSON has no words for.
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// `header.action`; empty in an acknowledgement without one.
    pub fn action(&self) -> &str {
        self.header_text("action").unwrap_or("")
    }

    /// `header.initiator`, as it was sent.
    pub fn initiator(&self) -> Option<&str> {
        self.header_text("initiator")
    }

    /// `header.target`, as it was sent.
    pub fn target(&self) -> Option<&str> {
        self.header_text("target")
    }

    /// A number of the header, also where it came as a string.
    pub fn header_number(&self, name: &str) -> Option<u32> {
        self.header.get(name).and_then(number)
    }

    /// `payload.sdp`, if it is there and not empty.
    pub fn sdp(&self) -> Option<&str> {
        let sdp = self.payload.as_ref()?.get("sdp")?.as_str()?;
        (!sdp.is_empty()).then_some(sdp)
    }

    /// The response's code: the one that is stated, else derived from state and SDP.
    pub fn response_code(&self) -> u32 {
        if let Some(code) = self.header_number("response_code") {
            return code;
        }
        match (self.control.message_state, self.sdp()) {
            (Some(MessageState::Subsequent | MessageState::Initial), None) => 180,
            (Some(MessageState::Subsequent | MessageState::Initial), Some(_)) => 183,
            (Some(MessageState::Final) | None, _) => 200,
        }
    }

    /// Whether the response ends its transaction: its state says so, or where it has none, its code.
    pub fn is_final(&self) -> bool {
        match self.control.message_state {
            Some(state) => state == MessageState::Final,
            None => self.response_code() >= 200,
        }
    }

    fn header_text(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }
}

fn read_control(control: &Members) -> Result<Control, Unreadable> {
    let kind = control
        .get("type")
        .and_then(Value::as_str)
        .and_then(Kind::from_word)
        .ok_or(Unreadable::Member("control.type"))?;
    let package = match control.get("package_type") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) if is_package_name(name) => Some(name.clone()),
        Some(_) => return Err(Unreadable::Member("control.package_type")),
    };
    let message_state = match control.get("message_state") {
        None | Some(Value::Null) => None,
        Some(word) => Some(
            word.as_str()
                .and_then(MessageState::from_word)
                .ok_or(Unreadable::Member("control.message_state"))?,
        ),
    };
    Ok(Control {
        kind,
        package,
        session_id: id(control, "session_id", "control.session_id")?,
        subsession_id: id(control, "subsession_id", "control.subsession_id")?,
        sequence: serial(control, "sequence", "control.sequence")?,
        ack_sequence: serial(control, "ack_sequence", "control.ack_sequence")?,
        correlation_id: id(control, "correlation_id", "control.correlation_id")?,
        message_state,
    })
}

fn read_header(mut header: Members) -> Result<Members, Unreadable> {
    if let Some(initiator) = header.remove("initator") {
        header.entry("initiator").or_insert(initiator);
    }
    let action = match header.get("action") {
        None => None,
        Some(Value::String(action)) if is_action(action) => Some(action.as_str()),
        Some(_) => return Err(Unreadable::Member("header.action")),
    };
    if action == Some("ice_enquiry") {
        header.insert("action".into(), "iceEnquiry".into());
    }
    for (name, member) in [
        ("initiator", "header.initiator"),
        ("target", "header.target"),
    ] {
        match header.get(name) {
            None => {}
            Some(Value::Null) => drop(header.remove(name)),
            Some(Value::String(text)) if text.len() <= IDENTITY_BYTES_MAX => {}
            Some(_) => return Err(Unreadable::Member(member)),
        }
    }
    let extensions = header
        .iter()
        .filter(|(name, _)| !SYSTEM_HEADERS.contains(&name.as_str()));
    let (mut count, mut bytes) = (0, 0);
    for (name, value) in extensions {
        count += 1;
        bytes += name.len() + value.to_string().len();
    }
    if count > EXTENSIONS_MAX || bytes > EXTENSION_BYTES_MAX {
        return Err(Unreadable::Extensions);
    }
    Ok(header)
}

/// Whether `name` may name a package.
pub fn is_package_name(name: &str) -> bool {
    name.len() <= PACKAGE_CHARS_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn is_action(action: &str) -> bool {
    (1..=ACTION_CHARS_MAX).contains(&action.len())
        && action
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// An id, which old clients send as a number.
fn id(members: &Members, name: &str, member: &'static str) -> Result<Option<String>, Unreadable> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if id.is_empty() => Ok(None),
        Some(Value::String(id)) if is_id(id) => Ok(Some(id.clone())),
        Some(Value::Number(id)) => Ok(Some(id.to_string())),
        Some(_) => Err(Unreadable::Member(member)),
    }
}

fn is_id(id: &str) -> bool {
    id.len() <= ID_CHARS_MAX && id.chars().all(|c| c.is_ascii_graphic())
}

fn serial(members: &Members, name: &str, member: &'static str) -> Result<Option<u32>, Unreadable> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match number(value) {
            Some(serial) if serial <= SEQUENCE_MAX => Ok(Some(serial)),
            _ => Err(Unreadable::Member(member)),
        },
    }
}

/// A number, which old clients send as a string.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| number.try_into().ok()),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_come_as_strings_and_ids_as_numbers() {
        let frame = Frame::read(
            r#"{"control":{"type":"request","package_type":"chat","session_id":7,"subsession_id":12,
            "sequence":"2","ack_sequence":"1","version":1.0},"header":{"action":"start"}}"#,
        )
        .unwrap();
        assert_eq!(frame.control.sequence, Some(2));
        assert_eq!(frame.control.ack_sequence, Some(1));
        assert_eq!(frame.control.session_id.as_deref(), Some("7"));
        assert_eq!(frame.control.subsession_id.as_deref(), Some("12"));
    }

    #[test]
    fn a_misspelt_initiator_is_the_initiator() {
        let frame = Frame::read(
            r#"{"control":{"type":"request"},"header":{"action":"connect","initator":"alice@example.com"}}"#,
        )
        .unwrap();
        assert_eq!(frame.initiator(), Some("alice@example.com"));
        assert!(!frame.header.contains_key("initator"));
        assert_eq!(frame.control.package, None);
    }

    #[test]
    fn aliases_are_resolved() {
        let frame = Frame::read(
            r#"{"control":{"type":"request","package_type":"fileTransfer"},"header":{"action":"ice_enquiry"}}"#,
        )
        .unwrap();
        // The name the client will be answered by.
        assert_eq!(frame.control.package.as_deref(), Some("fileTransfer"));
        assert_eq!(frame.action(), "iceEnquiry");
    }

    #[test]
    fn an_acknowledgement_needs_no_header_and_anything_else_needs_an_action() {
        assert!(Frame::read(r#"{"control":{"type":"acknowledgement","ack_sequence":3}}"#).is_ok());
        assert_eq!(
            Frame::read(r#"{"control":{"type":"message"}}"#),
            Err(Unreadable::Member("header.action"))
        );
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for (text, why) in [
            ("", Unreadable::NotJson),
            ("[]", Unreadable::NotJson),
            ("\"ping\"", Unreadable::NotJson),
            ("{}", Unreadable::Member("control")),
            (r#"{"control":{}}"#, Unreadable::Member("control.type")),
            (
                r#"{"control":{"type":"wish"}}"#,
                Unreadable::Member("control.type"),
            ),
            (
                r#"{"control":{"type":"request","package_type":"9x"},"header":{"action":"a"}}"#,
                Unreadable::Member("control.package_type"),
            ),
            (
                r#"{"control":{"type":"request","sequence":-1},"header":{"action":"a"}}"#,
                Unreadable::Member("control.sequence"),
            ),
            (
                r#"{"control":{"type":"request","sequence":2147483648},"header":{"action":"a"}}"#,
                Unreadable::Member("control.sequence"),
            ),
            (
                r#"{"control":{"type":"request"},"header":{"action":"a b"}}"#,
                Unreadable::Member("header.action"),
            ),
            (
                r#"{"control":{"type":"request"},"header":{"action":"a","target":[1]}}"#,
                Unreadable::Member("header.target"),
            ),
            (
                r#"{"control":{"type":"request"},"header":{"action":"a"},"payload":1}"#,
                Unreadable::Member("payload"),
            ),
        ] {
            assert_eq!(Frame::read(text), Err(why), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Frame::read(&text), Err(Unreadable::NotJson));
    }

    #[test]
    fn extension_headers_are_bounded() {
        let mut header = String::from(r#""action":"start""#);
        for i in 0..=EXTENSIONS_MAX {
            header.push_str(&format!(r#","x{i}":1"#));
        }
        let text = format!(r#"{{"control":{{"type":"request"}},"header":{{{header}}}}}"#);
        assert_eq!(Frame::read(&text), Err(Unreadable::Extensions));
    }

    #[test]
    fn a_response_without_a_code_gets_one_from_its_state_and_sdp() {
        let code = |state: &str, payload: &str| {
            Frame::read(&format!(
                r#"{{"control":{{"type":"response","message_state":"{state}"}},"header":{{"action":"start"}}{payload}}}"#
            ))
            .unwrap()
            .response_code()
        };
        let sdp = r#","payload":{"sdp":"v=0"}"#;
        assert_eq!(code("subsequent", ""), 180);
        assert_eq!(code("subsequent", sdp), 183);
        assert_eq!(code("final", sdp), 200);
        assert_eq!(code("final", ""), 200);
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut frame = Frame {
            control: Control::new(Kind::Response, "chat"),
            header: Members::new(),
            payload: Some(Members::new()),
        };
        frame.control.sequence = Some(5);
        frame.control.ack_sequence = Some(0);
        frame.control.message_state = Some(MessageState::Final);
        frame.header.insert("action".into(), "start".into());
        assert_eq!(Frame::read(&frame.write()), Ok(frame));
    }
}
