//! What goes into a run and what comes out of it: plain data, no handles.
//!
//! Not here: what a script sees of it (`host`), how a criterion is named (`criterion`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Criterion;

/// A JSON object, as in frames and stores.
pub type JsonMap = Map<String, Value>;

/// One message and all that a script may know about it.
#[derive(Debug, Clone)]
pub struct Run {
    /// The package whose script is asked.
    pub package: String,
    /// The application the browser connected to; `default` if there is none.
    pub application: String,
    /// Which of the script's functions handles the message.
    pub criterion: Criterion,
    /// The message itself.
    pub message: Inbound,
    /// The authenticated user of the session, as `alice@localhost` (no scheme).
    pub user: String,
    /// New for every message; 1 to 64 letters, digits, `-` or `.`.
    pub unique_id: String,
    /// The browser's session.
    pub session: SessionView,
    /// The subsession the message belongs to, if there is one.
    pub subsession: Option<SubsessionView>,
    /// Now, in milliseconds since 1970.
    pub now_ms: u64,
    /// What former runs have put away.
    pub stores: Stores,
}

/// What a script may read of a browser's session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionView {
    /// A name for logs. Not the secret that resumes a session.
    pub id: String,
    /// Where the browser is, `address:port`; empty if unknown.
    pub remote: String,
}

/// What a script may read of a subsession.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubsessionView {
    /// Its `subsession_id`.
    pub id: String,
    /// Who opened it, without scheme.
    pub initiator: String,
    /// The other party, without scheme.
    pub target: String,
    /// `true` once its opening was confirmed (`complete` or ACK).
    pub open: bool,
}

/// The message of a run.
#[derive(Debug, Clone)]
pub enum Inbound {
    /// A frame from the browser (`FROM_APP`).
    Web(WebView),
    /// A request or response from the SIP side (`FROM_NET`).
    Sip(SipView),
    /// The time of a timer has come (`FROM_TIMER`).
    Timer,
}

/// The three members of a JsonRTC frame.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebView {
    /// Protocol mechanics: kind, ids, `message_state`.
    pub control: JsonMap,
    /// Action, parties, codes, extension headers.
    pub header: JsonMap,
    /// The body: `sdp`, `content`.
    pub payload: JsonMap,
}

/// A SIP message as a script sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SipView {
    /// `true` for a request, `false` for a response.
    pub is_request: bool,
    /// The request's method; of a response, that of the request it answers (from CSeq).
    pub method: String,
    /// 100 to 699 for a response, 0 for a request.
    pub status: u16,
    /// The reason phrase of a response.
    pub reason: String,
    /// The From header's value without its tag.
    pub from: String,
    /// Who sends it: an address that the network vouches for, else that of `from`. Empty in a test: `from`.
    pub sender: String,
    /// The To header's value without its tag.
    pub to: String,
    /// The request's target; empty for a response.
    pub request_uri: String,
    /// `true` if the message belongs to a dialog that was already established.
    pub in_dialog: bool,
    /// All header fields in their order, names as received.
    pub headers: Vec<(String, String)>,
    /// The Content-Type, empty if there is no body.
    pub content_type: String,
    /// The body's octets.
    #[serde(with = "octets_as_text")]
    pub content: Vec<u8>,
}

/// Data that outlives a run: JSON values by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stores {
    /// Ends with the session. At most `limits::STORE_BYTES_MAX`.
    pub session: JsonMap,
    /// Ends with the subsession. At most `limits::STORE_BYTES_MAX`.
    pub subsession: JsonMap,
    /// The user's, whatever sessions there are. At most `limits::STORE_BYTES_MAX`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub user: JsonMap,
}

/// What a run says: the messages to send, in order, and the stores as they are now.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The criterion's function ran to its end.
    Ran(Actions),
    /// The package has no function for this criterion, or is not there at all. Nothing happened.
    /// An unanswered request is to be refused: JSON error 405, SIP 405.
    NoCriterion,
}

/// What a criterion's function did.
#[derive(Debug, Clone, Default)]
pub struct Actions {
    /// To be carried out in this order. Empty: the message was consumed silently.
    pub outbound: Vec<Outbound>,
    /// The stores after the run; they replace those given.
    pub stores: Stores,
    /// What the script logged.
    pub log: Vec<LogLine>,
    /// The subsession's timer, if the script has set it.
    pub timer: Option<Timer>,
}

/// A subsession's timer: it has one at most, and a new one takes the place of the former.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timer {
    /// Which function is to be called: `from_timer_NAME`.
    pub name: String,
    /// In how many milliseconds; 0: not any more.
    pub ms: u64,
}

/// One line a script logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How grave it is.
    pub level: LogLevel,
    /// At most `limits::LOG_BYTES_MAX` octets, without control characters.
    pub text: String,
}

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For whoever follows one message.
    Debug,
    /// Normal events.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// The kind of an outgoing frame (`control.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebKind {
    /// Wants an answer from the browser.
    Request,
    /// Answers the browser's pending request.
    Response,
    /// Wants no answer.
    Message,
    /// Ends the browser's pending request with an error.
    Error,
}

/// `control.message_state` of an outgoing frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// Opens a subsession.
    Initial,
    /// Provisional.
    Subsequent,
    /// Ends the transaction.
    Final,
}

/// A body with its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// A checked media type: printable, no CR or LF.
    #[serde(rename = "type")]
    pub mime: String,
    /// The octets.
    #[serde(with = "octets_as_text")]
    pub data: Vec<u8>,
}

/// A message that a script sent. Every name and value in it was checked: methods and header names
/// are tokens, header values are printable and on one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outbound {
    /// A frame to the browser. The host fills in ids, numbers, and `header.action`; also
    /// `initiator` and `target` where the script left them out.
    Web(OutWeb),
    /// A request to the SIP side.
    SipRequest(OutSipRequest),
    /// A response to the SIP request that is pending in this subsession.
    SipResponse(OutSipResponse),
}

/// A frame to the browser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutWeb {
    /// `control.type`.
    pub kind: WebKind,
    /// `header.action`.
    pub action: String,
    /// `control.message_state`; `None` where the kind has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<MessageState>,
    /// The header without `action`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub header: JsonMap,
    /// The payload.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub payload: JsonMap,
    /// The host puts the relay into `payload.sdp` before the frame is sent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub anchor: bool,
    /// It goes to those sessions of the user that the subsession is not of.
    #[serde(default, skip_serializing_if = "is_false")]
    pub others: bool,
    /// The session-configs of the relay's legs, of a frame that carries an offer.
    #[serde(default, skip_serializing_if = "SessionLegs::is_empty")]
    pub legs: SessionLegs,
}

/// The names of the session-configs that an offer is anchored with; `None`: the usual one of that side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionLegs {
    /// Of the leg toward who has offered: `in-msrp-session-leg`.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Of the leg on which the offer goes out: `out-msrp-session-leg`.
    #[serde(default, rename = "out", skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl SessionLegs {
    fn is_empty(&self) -> bool {
        *self == SessionLegs::default()
    }
}

/// A request to the SIP side.
///
/// In a subsession that has a dialog it goes into that, and `from`, `to` and the target are the dialog's. `BYE` means "end it": while our own INVITE is
/// unanswered the host sends CANCEL instead, and where the peer's INVITE is unanswered, a final
/// 480. `ACK` confirms the 2xx of our INVITE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutSipRequest {
    /// The method, a token.
    pub method: String,
    /// From address: a URI, or a name-addr as the script gave it. Without a word from the script it is the user's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// To address likewise; without a word from the script the frame's target or the other party. May be
    /// empty where there is neither.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// The target, where it is not the To address or the dialog's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_uri: Option<String>,
    /// Header fields in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Parameters of the Contact header field; `None` is a flag. A value is a token or a quoted string.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact_params: Vec<(String, Option<String>)>,
    /// The user part for the Contact, where the script set one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_user: Option<String>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The host puts the relay into the body's SDP before the request is sent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub anchor: bool,
    /// The session-configs of the relay's legs.
    #[serde(default, skip_serializing_if = "SessionLegs::is_empty")]
    pub legs: SessionLegs,
    /// It is a request of its own also where the subsession has a dialog.
    #[serde(default, skip_serializing_if = "is_false")]
    pub outside: bool,
}

/// A response to the SIP side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutSipResponse {
    /// 101 to 699.
    pub code: u16,
    /// The reason phrase; empty: the usual one of the code.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Header fields in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// As in [`OutSipRequest`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contact_params: Vec<(String, Option<String>)>,
    /// As in [`OutSipRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_user: Option<String>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The host puts the relay into the body's SDP before the response is sent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub anchor: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Bodies stand in a package's test as text.
mod octets_as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(octets))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        String::deserialize(deserializer).map(String::into_bytes)
    }
}
