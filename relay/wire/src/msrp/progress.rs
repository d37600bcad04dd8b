//! Takes a head apart line by line, as it arrives. RFC 4975, 7.1 and 9.
//!
//! A line ends in CRLF and in nothing else; a CR or LF apart is a fault within its line. What can't
//! be framed is [`Malformed`], what can be is a [`Head`], perhaps with a [`Fault`]. Not here:
//! bodies (`reader`).

use super::end_line::flag_of_line;
use super::head::{
    ByteRange, FailureReport, Fault, Field, Head, Kind, Method, ReportStatus, is_header_name,
    is_identifier, three_digits, without_blanks,
};
use super::reader::{Continuation, Malformed};
use super::uri;
use crate::limits;

/// What every message begins with.
const PROTOCOL: &[u8] = b"MSRP ";

/// A head that is still arriving.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    head: Head,
    /// Where the line under way begins.
    line: usize,
    /// Up to here no line end was found.
    scanned: usize,
    /// Header lines so far.
    headers: usize,
    /// The single headers that were seen.
    seen: Names,
}

/// The headers that mean something to us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    ToPath,
    FromPath,
    MessageId,
    ByteRange,
    FailureReport,
    SuccessReport,
    Status,
    ContentType,
    OtherMime,
    Other,
}

/// A set of [`Name`]s.
#[derive(Clone, Copy, Debug, Default)]
struct Names(u16);

/// How far a head has come.
pub(super) enum Step {
    /// It is not complete.
    More,
    /// A blank line ended it: a body follows.
    Body(Head),
    /// Its end-line followed at once, and ends at `after`.
    End {
        head: Head,
        flag: Continuation,
        after: usize,
    },
}

impl Default for Progress {
    fn default() -> Progress {
        Progress {
            head: Head {
                kind: Kind::Request(Method::Other),
                transaction: Field::default(),
                subject: Field::default(),
                to_path: Field::default(),
                from_path: Field::default(),
                rest: 0,
                message_id: None,
                byte_range: None,
                failure_report: FailureReport::Yes,
                success_report: false,
                status: None,
                has_body: false,
                bytes: 0,
                fault: None,
            },
            line: 0,
            scanned: 0,
            headers: 0,
            seen: Names::default(),
        }
    }
}

impl Progress {
    /// Whether not one octet has been seen.
    pub(super) fn is_fresh(&self) -> bool {
        self.scanned == 0
    }

    /// Goes on with a head whose octets so far are `octets`. No octet is looked at twice, however
    /// it arrives.
    pub(super) fn read(&mut self, octets: &[u8]) -> Result<Step, Malformed> {
        if self.line == 0 && !octets.starts_with(PROTOCOL) && !PROTOCOL.starts_with(octets) {
            return Err(Malformed::NotMsrp);
        }
        while let Some(end) = self.line_end(octets) {
            if let Some(step) = self.take_line(octets, end)? {
                return Ok(step);
            }
            self.line = end;
            self.scanned = end;
        }
        if self.line == 0 && octets.len() > limits::START_LINE_BYTES_MAX {
            return Err(Malformed::StartLineTooLong);
        }
        if octets.len() > limits::HEAD_BYTES_MAX {
            return Err(Malformed::HeadTooLong);
        }
        Ok(Step::More)
    }

    /// The message ends here: if its last line is an end-line without (all of) its CRLF, that is
    /// forgiven.
    pub(super) fn read_end(&mut self, octets: &[u8]) -> Option<(Head, Continuation)> {
        if self.line == 0 {
            return None;
        }
        let line = octets.get(self.line..)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let flag = flag_of_line(line, self.head.transaction.of(octets))?;
        Some((self.finish(self.line, false), flag))
    }

    /// Where the line under way ends, its CRLF included.
    fn line_end(&mut self, octets: &[u8]) -> Option<usize> {
        while let Some(offset) = memchr::memchr2(b'\r', b'\n', &octets[self.scanned..]) {
            let at = self.scanned + offset;
            self.scanned = at;
            if octets[at] == b'\r' {
                match octets.get(at + 1) {
                    None => return None,
                    Some(b'\n') => return Some(at + 2),
                    Some(_) => {}
                }
            }
            self.fault(Fault::BareLineEnd);
            self.scanned = at + 1;
        }
        self.scanned = octets.len();
        None
    }

    fn take_line(&mut self, octets: &[u8], end: usize) -> Result<Option<Step>, Malformed> {
        let line = &octets[self.line..end - 2];
        if self.line == 0 {
            self.take_start_line(line)?;
            return Ok(None);
        }
        if end > limits::HEAD_BYTES_MAX {
            return Err(Malformed::HeadTooLong);
        }
        if line.is_empty() {
            return Ok(Some(Step::Body(self.finish(end, true))));
        }
        if let Some(flag) = flag_of_line(line, self.head.transaction.of(octets)) {
            return Ok(Some(Step::End {
                head: self.finish(self.line, false),
                flag,
                after: end,
            }));
        }
        self.headers += 1;
        if self.headers > limits::HEADERS_MAX {
            self.fault(Fault::TooManyHeaders);
        }
        if end - self.line > limits::HEADER_LINE_BYTES_MAX {
            self.fault(Fault::LineTooLong);
        }
        match Name::at_start_of(line) {
            Some((name, colon)) => self.take_header(name, octets, self.line + colon + 1, end),
            None => self.fault(Fault::HeaderLine),
        }
        Ok(None)
    }

    /// `MSRP` SP transaction SP (method / status \[SP comment\]).
    fn take_start_line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let bytes = line.len() + 2;
        if bytes > limits::START_LINE_BYTES_MAX {
            return Err(Malformed::StartLineTooLong);
        }
        let id = line.get(PROTOCOL.len()..).ok_or(Malformed::NotMsrp)?;
        let id = &id[..memchr::memchr(b' ', id).unwrap_or(id.len())];
        if !is_identifier(id) || id.len() > limits::TRANSACTION_BYTES_MAX {
            return Err(Malformed::Transaction);
        }
        let id_end = PROTOCOL.len() + id.len();
        let subject_start = (id_end + 1).min(line.len());
        self.head.transaction = Field::new(PROTOCOL.len(), id_end);
        self.head.subject = Field::new(subject_start, line.len());
        self.head.rest = bytes as u16;
        let subject = &line[subject_start..];
        self.head.kind = match subject.first() {
            Some(first) if first.is_ascii_digit() => {
                let (status, comment) = subject.split_at(subject.len().min(3));
                let status = three_digits(status).filter(|_| matches!(comment, [] | [b' ', ..]));
                if status.is_none() {
                    self.fault(Fault::StartLine);
                }
                Kind::Response(status.unwrap_or(0))
            }
            _ => {
                if subject.is_empty() || !subject.iter().all(u8::is_ascii_uppercase) {
                    self.fault(Fault::StartLine);
                }
                Kind::Request(Method::from_name(subject))
            }
        };
        Ok(())
    }

    fn take_header(&mut self, name: Name, octets: &[u8], value_start: usize, end: usize) {
        let field = without_blanks(octets, value_start, end - 2);
        let value = field.of(octets);
        if self.seen.has(Name::ContentType) {
            self.fault(Fault::ContentTypeNotLast);
        }
        let again = self.seen.has(name);
        self.seen.add(name);
        match name {
            Name::OtherMime | Name::Other => {}
            Name::ToPath | Name::FromPath if again => self.fault(Fault::Paths),
            _ if again => self.fault(Fault::Repeated),
            Name::ToPath => {
                self.head.to_path = field;
                self.check_path(value, 1);
            }
            Name::FromPath => {
                self.head.from_path = field;
                self.head.rest = end as u16;
                self.check_path(value, 2);
            }
            Name::MessageId => {
                self.head.message_id = Some(field);
                if !is_identifier(value) || value.len() > limits::MESSAGE_ID_BYTES_MAX {
                    self.fault(Fault::MessageId);
                }
            }
            Name::ByteRange => {
                self.head.byte_range = ByteRange::parse(value);
                if self.head.byte_range.is_none() {
                    self.fault(Fault::ByteRange);
                }
            }
            Name::FailureReport => match FailureReport::parse(value) {
                Some(value) => self.head.failure_report = value,
                None => self.fault(Fault::ReportValue),
            },
            Name::SuccessReport => {
                self.head.success_report = value.eq_ignore_ascii_case(b"yes");
                if !self.head.success_report && !value.eq_ignore_ascii_case(b"no") {
                    self.fault(Fault::ReportValue);
                }
            }
            Name::Status => {
                self.head.status = ReportStatus::parse(value);
                if self.head.status.is_none() {
                    self.fault(Fault::Status);
                }
            }
            Name::ContentType => {}
        }
    }

    fn check_path(&mut self, value: &[u8], place: usize) {
        if self.headers != place || value.is_empty() {
            self.fault(Fault::Paths);
        }
        // Mostly there is one URI, and no blank.
        if memchr::memchr(b' ', value).is_some()
            && uri::slices(value).count() > limits::PATH_URIS_MAX
        {
            self.fault(Fault::TooManyUris);
        }
    }

    /// Notes a fault, unless there was one before.
    fn fault(&mut self, fault: Fault) {
        self.head.fault.get_or_insert(fault);
    }

    /// The head is complete: what only shows at its end.
    fn finish(&mut self, bytes: usize, has_body: bool) -> Head {
        self.head.bytes = bytes as u16;
        self.head.has_body = has_body;
        let is_response = matches!(self.head.kind, Kind::Response(_));
        let is_report = self.head.kind == Kind::Request(Method::Report);
        let has = |name| self.seen.has(name);
        let has_mime = has(Name::ContentType) || has(Name::OtherMime);
        let fault = if !has(Name::ToPath) || !has(Name::FromPath) {
            Some(Fault::Paths)
        } else if !is_response && self.headers < 3 {
            Some(Fault::NoFurtherHeader)
        } else if is_report && !has(Name::Status) {
            Some(Fault::StatusMissing)
        } else if is_response && has_body {
            Some(Fault::ResponseBody)
        } else if has_body && !has(Name::ContentType) {
            Some(Fault::ContentTypeMissing)
        } else if !is_response && !has_body && has_mime {
            Some(Fault::BodyMissing)
        } else {
            None
        };
        self.head.fault = self.head.fault.or(fault);
        self.head
    }
}

impl Name {
    /// The name that a line begins with, and where its colon is. `None` if the line is no header.
    fn at_start_of(line: &[u8]) -> Option<(Name, usize)> {
        // Mostly names are written as in the RFC, and then there is nothing to search for.
        let (name, written) = match line.first()? {
            b'T' => (Name::ToPath, &b"To-Path:"[..]),
            b'F' if line.get(1) == Some(&b'r') => (Name::FromPath, &b"From-Path:"[..]),
            b'F' => (Name::FailureReport, &b"Failure-Report:"[..]),
            b'M' => (Name::MessageId, &b"Message-ID:"[..]),
            b'B' => (Name::ByteRange, &b"Byte-Range:"[..]),
            b'S' if line.get(1) == Some(&b'u') => (Name::SuccessReport, &b"Success-Report:"[..]),
            b'S' => (Name::Status, &b"Status:"[..]),
            _ => (Name::ContentType, &b"Content-Type:"[..]),
        };
        if line.starts_with(written) {
            return Some((name, written.len() - 1));
        }
        let colon = memchr::memchr(b':', line)?;
        Some((Name::of(&line[..colon])?, colon))
    }

    /// `None` if it can't be a header's name.
    fn of(name: &[u8]) -> Option<Name> {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            7 if is(b"To-Path") => Some(Name::ToPath),
            9 if is(b"From-Path") => Some(Name::FromPath),
            10 if is(b"Message-ID") => Some(Name::MessageId),
            10 if is(b"Byte-Range") => Some(Name::ByteRange),
            14 if is(b"Failure-Report") => Some(Name::FailureReport),
            14 if is(b"Success-Report") => Some(Name::SuccessReport),
            6 if is(b"Status") => Some(Name::Status),
            12 if is(b"Content-Type") => Some(Name::ContentType),
            _ if !is_header_name(name) => None,
            8.. if name[..8].eq_ignore_ascii_case(b"Content-") => Some(Name::OtherMime),
            _ => Some(Name::Other),
        }
    }
}

impl Names {
    fn has(self, name: Name) -> bool {
        self.0 & (1 << name as u16) != 0
    }

    fn add(&mut self, name: Name) {
        self.0 |= 1 << name as u16;
    }
}
