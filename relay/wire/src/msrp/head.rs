//! The head of an MSRP message: start line and headers, as offsets into its octets. RFC 4975, 7.1
//! and 9.
//!
//! A head that breaks the grammar but can still be framed carries its first [`Fault`]. Not here:
//! taking a head apart as it arrives (`progress`), where a chunk ends (`reader`).

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

/// What is wrong with a message whose end can still be found. A request is answered with 400
/// (unless its Failure-Report says no), a response is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Neither a method nor a status after the transaction id.
    StartLine,
    /// To-Path is not the first header, From-Path not the second, or one is missing, empty or
    /// repeated.
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
    /// The octets, given those of the head. Empty if `head` is not the head this was read from.
    pub fn of(self, head: &[u8]) -> &[u8] {
        head.get(usize::from(self.start)..usize::from(self.end))
            .unwrap_or_default()
    }

    pub(super) fn new(start: usize, end: usize) -> Field {
        debug_assert!(start <= end && end <= limits::HEAD_BYTES_MAX);
        Field {
            start: start as u16,
            end: end as u16,
        }
    }
}

impl FailureReport {
    /// Parses a value, in any case.
    pub fn parse(value: &[u8]) -> Option<FailureReport> {
        [
            (&b"yes"[..], FailureReport::Yes),
            (b"partial", FailureReport::Partial),
            (b"no", FailureReport::No),
        ]
        .into_iter()
        .find_map(|(name, report)| value.eq_ignore_ascii_case(name).then_some(report))
    }
}

impl Method {
    /// By its name, which is case-sensitive.
    pub fn from_name(name: &[u8]) -> Method {
        match name {
            b"SEND" => Method::Send,
            b"REPORT" => Method::Report,
            b"AUTH" => Method::Auth,
            b"NICKNAME" => Method::Nickname,
            _ => Method::Other,
        }
    }
}

impl ByteRange {
    /// Parses a value. `None` if it breaks the grammar or a number does not fit.
    pub fn parse(value: &[u8]) -> Option<ByteRange> {
        let dash = memchr::memchr(b'-', value)?;
        let slash = dash + memchr::memchr(b'/', &value[dash..])?;
        Some(ByteRange {
            start: number(&value[..dash])?,
            end: number_or_star(&value[dash + 1..slash])?,
            total: number_or_star(&value[slash + 1..])?,
        })
    }

    /// Whether the numbers can all be true: start from 1, end not before start - 1, neither after the
    /// total.
    pub fn is_consistent(&self) -> bool {
        let Some(before) = self.start.checked_sub(1) else {
            return false;
        };
        let end = self.end.unwrap_or(before);
        end >= before && self.total.is_none_or(|total| end <= total)
    }
}

impl ReportStatus {
    /// Parses a value, with or without a comment.
    pub fn parse(value: &[u8]) -> Option<ReportStatus> {
        let (namespace, rest) = value.split_at_checked(3)?;
        let (code, comment) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
        if !comment.is_empty() && comment[0] != b' ' {
            return None;
        }
        Some(ReportStatus {
            namespace: three_digits(namespace)?,
            code: three_digits(code)?,
        })
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, &octet| {
        let digit = octet.is_ascii_digit().then(|| u64::from(octet - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

fn number_or_star(text: &[u8]) -> Option<Option<u64>> {
    if text == b"*" {
        Some(None)
    } else {
        number(text).map(Some)
    }
}

pub(super) fn three_digits(text: &[u8]) -> Option<u16> {
    let good = text.len() == 3 && text.iter().all(u8::is_ascii_digit);
    good.then(|| {
        text.iter()
            .fold(0, |sum, octet| sum * 10 + u16::from(octet - b'0'))
    })
}

/// What an octet may be part of, in RFC 4975, 9: a table, since each octet of each head is asked
/// for.
static CLASSES: [u8; 256] = classes();
const IDENTIFIER: u8 = 1;
const TOKEN: u8 = 2;

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let is_alphanumeric = (octet as u8).is_ascii_alphanumeric();
        if is_alphanumeric || matches!(octet as u8, b'.' | b'-' | b'+' | b'%' | b'=') {
            classes[octet] |= IDENTIFIER;
        }
        if is_alphanumeric
            || matches!(octet as u8, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.')
            || matches!(octet as u8, b'^'..=b'`' | b'{'..=b'~')
        {
            classes[octet] |= TOKEN;
        }
        octet += 1;
    }
    classes
}

fn are_all(class: u8, text: &[u8]) -> bool {
    text.iter()
        .fold(class, |all, octet| all & CLASSES[usize::from(*octet)])
        != 0
}

/// `ident` of RFC 4975, 9, but for its length: an alphanumeric, then those and `. - + % =`.
pub(super) fn is_identifier(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphanumeric) && are_all(IDENTIFIER, text)
}

/// `hname` of RFC 4975, 9: a letter, then token characters.
pub(super) fn is_header_name(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphabetic) && are_all(TOKEN, name)
}

/// A token character of RFC 4975, 9.
pub(super) fn is_token(octet: u8) -> bool {
    CLASSES[usize::from(octet)] & TOKEN != 0
}

pub(super) fn without_blanks(octets: &[u8], mut start: usize, mut end: usize) -> Field {
    let blank = |octet: u8| octet == b' ' || octet == b'\t';
    while start < end && blank(octets[start]) {
        start += 1;
    }
    while start < end && blank(octets[end - 1]) {
        end -= 1;
    }
    Field::new(start, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_ranges_follow_the_grammar_and_fit_in_64_bits() {
        let range = |start, end, total| Some(ByteRange { start, end, total });
        assert_eq!(ByteRange::parse(b"1-25/25"), range(1, Some(25), Some(25)));
        assert_eq!(ByteRange::parse(b"1-*/*"), range(1, None, None));
        assert_eq!(ByteRange::parse(b"1-0/0"), range(1, Some(0), Some(0)));
        assert_eq!(
            ByteRange::parse(b"18446744073709551615-*/*"),
            range(u64::MAX, None, None)
        );
        for bad in [
            "", "1", "1-", "1-2", "1-2/", "-2/3", "*-2/3", "1-2/3/4", "1-2-3/4", "1 -2/3",
            "1-**/3", "+1-2/3",
        ] {
            assert_eq!(ByteRange::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(ByteRange::parse(b"18446744073709551616-*/*"), None);
    }

    #[test]
    fn ranges_that_contradict_themselves_are_told_apart() {
        let is_consistent = |text: &str| ByteRange::parse(text.as_bytes()).unwrap().is_consistent();
        for good in [
            "1-0/0",
            "1-25/25",
            "26-*/*",
            "26-25/100",
            "5-*/100",
            "1-9/*",
        ] {
            assert!(is_consistent(good), "{good}");
        }
        for bad in ["0-5/5", "10-5/100", "1-26/25", "27-*/25"] {
            assert!(!is_consistent(bad), "{bad}");
        }
    }

    #[test]
    fn a_status_has_namespace_and_code() {
        let status = |code| Some(ReportStatus { namespace: 0, code });
        assert_eq!(ReportStatus::parse(b"000 200 OK"), status(200));
        assert_eq!(ReportStatus::parse(b"000 481"), status(481));
        for bad in [
            "", "000", "000 20", "200 OK", "000 2000", "000  200", "00x 200",
        ] {
            assert_eq!(ReportStatus::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_head_is_small() {
        assert!(size_of::<Head>() <= 104, "{}", size_of::<Head>());
    }
}
