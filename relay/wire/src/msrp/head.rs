//! The head of an MSRP message: start line and headers, as offsets into its octets. RFC 4975, 7.1 and 9.
//!
//! [`Progress`] takes a head line by line as it arrives; what comes out is a [`Head`]. A head that breaks the
//! grammar but can still be framed carries its first [`Fault`]. Not here: where a chunk ends (`reader`).

use crate::limits;

/// A stretch of a head, relative to the head's first octet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// First octet.
    pub start: u16,
    /// One past the last octet.
    pub end: u16,
}

/// The methods we tell apart. RFC 4975; RFC 4976 (AUTH); RFC 7701 (NICKNAME).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Carries a message, or nothing at all to bind or keep alive a connection.
    Send,
    /// Tells the fate of a message. Never answered.
    Report,
    /// Addresses a relay of RFC 4976.
    Auth,
    /// Asks a chat room for a nickname.
    Nickname,
    /// Anything else, also what is no method by the grammar (then with a fault).
    Other,
}

/// Request or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request.
    Request(Method),
    /// A response with its status; 0 if it could not be read (then with a fault).
    Response(u16),
}

/// `Failure-Report`, RFC 4975, 7.1.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureReport {
    /// Every SEND is answered; also when the header is absent.
    #[default]
    Yes,
    /// Only errors are answered.
    Partial,
    /// Nothing is answered.
    No,
}

/// `Byte-Range`, with numbers as the peer wrote them: not checked against each other or the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// Number of the first octet, counted from 1.
    pub start: u64,
    /// Number of the last octet; `None` is `*`.
    pub end: Option<u64>,
    /// Octets of the whole message; `None` is `*`.
    pub total: Option<u64>,
}

/// `Status` of a REPORT, without its comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportStatus {
    /// 0 in all that is defined so far.
    pub namespace: u16,
    /// The code, as of a response.
    pub code: u16,
}

/// What is wrong with a message whose end can still be found. A request is answered with 400 (unless its
/// Failure-Report says no), a response is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Neither a method nor a status after the transaction id.
    StartLine,
    /// To-Path is not the first header, From-Path not the second, or one is missing, empty or repeated.
    Paths,
    /// More than [`limits::PATH_URIS_MAX`] URIs in a path.
    TooManyUris,
    /// More than [`limits::HEADERS_MAX`] header lines.
    TooManyHeaders,
    /// A header line over [`limits::HEADER_LINE_BYTES_MAX`].
    LineTooLong,
    /// A CR or LF that is not part of a CRLF.
    BareLineEnd,
    /// A line that is no header: no colon, no name, or folded.
    HeaderLine,
    /// A header that may stand only once stands twice.
    Repeated,
    /// A request with nothing after its paths.
    NoFurtherHeader,
    /// Message-ID is no identifier, or over [`limits::MESSAGE_ID_BYTES_MAX`].
    MessageId,
    /// Byte-Range is not by the grammar, or a number does not fit in 64 bits.
    ByteRange,
    /// Failure-Report or Success-Report has none of its values.
    ReportValue,
    /// Status is not by the grammar.
    Status,
    /// A REPORT without Status.
    StatusMissing,
    /// A header stands after Content-Type.
    ContentTypeNotLast,
    /// A body without Content-Type.
    ContentTypeMissing,
    /// MIME headers without a body.
    BodyMissing,
    /// A response with a body.
    ResponseBody,
    /// A body over [`limits::OTHER_BODY_BYTES_MAX`] in what is not a SEND. Found in the body, see
    /// [`Part::body_fault`](super::Part::body_fault).
    BodyTooLarge,
}

/// A head, as offsets. The octets themselves stay with the caller, who hands them to the accessors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Request or response.
    pub kind: Kind,
    /// The transaction id.
    pub transaction: Field,
    /// The rest of the start line, CRLF excluded: the method, or status and comment.
    pub subject: Field,
    /// Value of To-Path, blanks trimmed; empty if the header is missing (then with a fault).
    pub to_path: Field,
    /// Value of From-Path, blanks trimmed; empty if the header is missing (then with a fault).
    pub from_path: Field,
    /// Where the line after From-Path begins. From here on a forwarder changes nothing.
    pub rest: u16,
    /// Value of Message-ID.
    pub message_id: Option<Field>,
    /// Value of Byte-Range.
    pub byte_range: Option<ByteRange>,
    /// Value of Failure-Report.
    pub failure_report: FailureReport,
    /// Value of Success-Report; false if absent.
    pub success_report: bool,
    /// Value of Status.
    pub status: Option<ReportStatus>,
    /// A blank line ended the head, so a body follows (it may be empty).
    pub has_body: bool,
    /// Length: up to the end of the blank line if there is a body, else up to the end-line. At most
    /// [`limits::HEAD_BYTES_MAX`].
    pub bytes: u16,
    /// What is wrong, if something is.
    pub fault: Option<Fault>,
}

impl Field {
    /// The octets, given those of the head.
    pub fn of<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        head.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default()
    }
}
