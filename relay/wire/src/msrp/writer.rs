//! Writes MSRP messages into the caller's buffer. RFC 4975, 7.1 and 7.2.
//!
//! Every function returns the octets written, or `None` if `out` is too small; what is in `out`
//! then is of no use. What is passed in must have no CR or LF in it: paths come from parsed URIs,
//! comments from us, transaction and message ids from a [`Head`](super::Head) without fault.

use super::head::{ByteRange, FailureReport};
use super::reader::Continuation;
use super::status;
use crate::out::Out;

/// What follows the transaction id in a start line.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// A method.
    Request(&'a [u8]),
    /// A status and its comment, which may be empty.
    Response(u16, &'a [u8]),
    /// As received: [`Head::subject`](super::Head::subject).
    AsReceived(&'a [u8]),
}

/// A SEND. For clients and tests: the relay itself never writes a body.
#[derive(Clone, Copy, Debug)]
pub struct Send<'a> {
    /// Transaction id.
    pub transaction: &'a [u8],
    /// Value of To-Path.
    pub to: &'a [u8],
    /// Value of From-Path.
    pub from: &'a [u8],
    /// Value of Message-ID.
    pub message_id: &'a [u8],
    /// Value of Byte-Range, if it is to be written.
    pub range: Option<ByteRange>,
    /// Written unless it is the default.
    pub failure_report: FailureReport,
    /// Written if true.
    pub success_report: bool,
    /// Content-Type and body; `None` writes a bodiless SEND. The body must not contain the
    /// end-line.
    pub content: Option<(&'a [u8], &'a [u8])>,
    /// The flag of the end-line.
    pub continuation: Continuation,
}

/// A REPORT.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Transaction id, a new one.
    pub transaction: &'a [u8],
    /// Value of To-Path: the whole From-Path of the SEND.
    pub to: &'a [u8],
    /// Value of From-Path.
    pub from: &'a [u8],
    /// Message-ID of the SEND.
    pub message_id: &'a [u8],
    /// What of the message is reported about.
    pub range: ByteRange,
    /// The code, in namespace 000.
    pub status: u16,
    /// The comment; the standard one if empty.
    pub comment: &'a [u8],
}

/// Start line, To-Path and From-Path: what a forwarder replaces.
pub fn prefix(
    out: &mut [u8],
    transaction: &[u8],
    start: Start<'_>,
    to: &[u8],
    from: &[u8],
) -> Option<usize> {
    let mut out = Out::new(out);
    out.prefix(transaction, start, to, from);
    out.written()
}

/// Octets that [`prefix`] will write.
pub fn prefix_bytes(transaction: &[u8], start: Start<'_>, to: &[u8], from: &[u8]) -> usize {
    let start_bytes = match start {
        Start::Request(text) | Start::AsReceived(text) => text.len(),
        Start::Response(_, comment) => {
            3 + if comment.is_empty() {
                0
            } else {
                1 + comment.len()
            }
        }
    };
    let fixed = "MSRP  \r\nTo-Path: \r\nFrom-Path: \r\n".len();
    fixed + transaction.len() + start_bytes + to.len() + from.len()
}

/// A whole response, with the standard comment of its status.
pub fn response(
    out: &mut [u8],
    transaction: &[u8],
    status: u16,
    to: &[u8],
    from: &[u8],
) -> Option<usize> {
    let mut out = Out::new(out);
    let start = Start::Response(status, status::comment(status).as_bytes());
    out.prefix(transaction, start, to, from);
    out.end_line(transaction, Continuation::Last);
    out.written()
}

/// A whole REPORT.
pub fn report(out: &mut [u8], report: &Report<'_>) -> Option<usize> {
    let mut out = Out::new(out);
    out.prefix(
        report.transaction,
        Start::Request(b"REPORT"),
        report.to,
        report.from,
    );
    out.header(b"Message-ID: ", report.message_id);
    out.byte_range(report.range);
    out.push(b"Status: 000 ");
    out.status(report.status);
    out.push(b" ");
    let standard = status::comment(report.status).as_bytes();
    out.push(if report.comment.is_empty() {
        standard
    } else {
        report.comment
    });
    out.push(b"\r\n");
    out.end_line(report.transaction, Continuation::Last);
    out.written()
}

/// A SEND without content, which binds a connection or keeps it alive.
pub fn bodiless_send(
    out: &mut [u8],
    transaction: &[u8],
    to: &[u8],
    from: &[u8],
    message_id: &[u8],
) -> Option<usize> {
    let mut out = Out::new(out);
    out.prefix(transaction, Start::Request(b"SEND"), to, from);
    out.header(b"Message-ID: ", message_id);
    out.end_line(transaction, Continuation::Last);
    out.written()
}

/// An end-line and its CRLF; the CRLF that ends a body before it is not written.
pub fn end_line(out: &mut [u8], transaction: &[u8], continuation: Continuation) -> Option<usize> {
    let mut out = Out::new(out);
    out.end_line(transaction, continuation);
    out.written()
}

/// A whole SEND.
pub fn send(out: &mut [u8], send: &Send<'_>) -> Option<usize> {
    let mut out = Out::new(out);
    out.prefix(
        send.transaction,
        Start::Request(b"SEND"),
        send.to,
        send.from,
    );
    out.header(b"Message-ID: ", send.message_id);
    if let Some(range) = send.range {
        out.byte_range(range);
    }
    match send.failure_report {
        FailureReport::Yes => {}
        FailureReport::Partial => out.push(b"Failure-Report: partial\r\n"),
        FailureReport::No => out.push(b"Failure-Report: no\r\n"),
    }
    if send.success_report {
        out.push(b"Success-Report: yes\r\n");
    }
    if let Some((content_type, body)) = send.content {
        out.header(b"Content-Type: ", content_type);
        out.push(b"\r\n");
        out.push(body);
        out.push(b"\r\n");
    }
    out.end_line(send.transaction, send.continuation);
    out.written()
}

/// Turns random octets into as many letters and digits, for a transaction id or Message-ID (16 to
/// 32 of them; each carries some 5.9 random bits). The randomness is the caller's.
pub fn identifier(out: &mut [u8], random: &[u8]) -> Option<usize> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let out = out.get_mut(..random.len())?;
    for (letter, octet) in out.iter_mut().zip(random) {
        *letter = LETTERS[usize::from(*octet) % LETTERS.len()];
    }
    Some(random.len())
}

impl Out<'_> {
    /// A name that ends in `: `, its value, CRLF.
    fn header(&mut self, name: &[u8], value: &[u8]) {
        debug_assert!(
            !value.contains(&b'\r') && !value.contains(&b'\n'),
            "header injection"
        );
        self.push(name);
        self.push(value);
        self.push(b"\r\n");
    }

    fn prefix(&mut self, transaction: &[u8], start: Start<'_>, to: &[u8], from: &[u8]) {
        self.push(b"MSRP ");
        self.push(transaction);
        self.push(b" ");
        match start {
            Start::Request(text) | Start::AsReceived(text) => self.push(text),
            Start::Response(status, comment) => {
                self.status(status);
                if !comment.is_empty() {
                    self.push(b" ");
                    self.push(comment);
                }
            }
        }
        self.push(b"\r\n");
        self.header(b"To-Path: ", to);
        self.header(b"From-Path: ", from);
    }

    fn number(&mut self, number: u64) {
        self.push(decimal(number, &mut [0; 20]));
    }

    fn number_or_star(&mut self, number: Option<u64>) {
        match number {
            Some(number) => self.number(number),
            None => self.push(b"*"),
        }
    }

    fn byte_range(&mut self, range: ByteRange) {
        self.push(b"Byte-Range: ");
        self.number(range.start);
        self.push(b"-");
        self.number_or_star(range.end);
        self.push(b"/");
        self.number_or_star(range.total);
        self.push(b"\r\n");
    }

    fn end_line(&mut self, transaction: &[u8], continuation: Continuation) {
        self.push(b"-------");
        self.push(transaction);
        self.push(&[continuation.octet(), b'\r', b'\n']);
    }
}

/// The decimal digits of a number.
pub(super) fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: &[u8] = b"msrp://b.example:2/t;tcp";
    const FROM: &[u8] = b"msrp://a.example:1/s;tcp";

    /// What `write` wrote into just enough room; it must refuse any less.
    fn written(write: impl Fn(&mut [u8]) -> Option<usize>) -> String {
        let mut out = vec![0; 1000];
        let bytes = write(&mut out).expect("there is room");
        for room in 0..bytes {
            assert_eq!(write(&mut vec![0; room]), None);
        }
        assert_eq!(write(&mut vec![0; bytes]), Some(bytes));
        String::from_utf8(out[..bytes].to_vec()).unwrap()
    }

    #[test]
    fn a_response_has_the_standard_comment() {
        assert_eq!(
            written(|out| response(out, b"t1d4", 481, TO, FROM)),
            "MSRP t1d4 481 Session Does Not Exist\r\nTo-Path: msrp://b.example:2/t;tcp\r\n\
             From-Path: msrp://a.example:1/s;tcp\r\n-------t1d4$\r\n"
        );
    }

    #[test]
    fn a_report_names_message_range_and_status() {
        let range = ByteRange {
            start: 1,
            end: Some(2048),
            total: None,
        };
        let report = Report {
            transaction: b"t1d4",
            to: TO,
            from: FROM,
            message_id: b"Mbig00001",
            range,
            status: 481,
            comment: b"Far leg lost",
        };
        assert_eq!(
            written(|out| super::report(out, &report)),
            "MSRP t1d4 REPORT\r\nTo-Path: msrp://b.example:2/t;tcp\r\n\
             From-Path: msrp://a.example:1/s;tcp\r\n\
             Message-ID: Mbig00001\r\nByte-Range: 1-2048/*\r\nStatus: 000 481 Far leg lost\r\n\
             -------t1d4$\r\n"
        );
    }

    #[test]
    fn a_bodiless_send_has_no_blank_line() {
        assert_eq!(
            written(|out| bodiless_send(out, b"t1d4", TO, FROM, b"Mess")),
            "MSRP t1d4 SEND\r\nTo-Path: msrp://b.example:2/t;tcp\r\n\
             From-Path: msrp://a.example:1/s;tcp\r\n\
             Message-ID: Mess\r\n-------t1d4$\r\n"
        );
    }

    #[test]
    fn a_send_has_what_it_was_given() {
        let send = Send {
            transaction: b"t1d4",
            to: TO,
            from: FROM,
            message_id: b"Mess",
            range: Some(ByteRange {
                start: 1,
                end: None,
                total: Some(u64::MAX),
            }),
            failure_report: FailureReport::Partial,
            success_report: true,
            content: Some((b"text/plain", b"hi")),
            continuation: Continuation::More,
        };
        assert_eq!(
            written(|out| super::send(out, &send)),
            "MSRP t1d4 SEND\r\nTo-Path: msrp://b.example:2/t;tcp\r\n\
             From-Path: msrp://a.example:1/s;tcp\r\n\
             Message-ID: Mess\r\nByte-Range: 1-*/18446744073709551615\r\n\
             Failure-Report: partial\r\nSuccess-Report: yes\r\nContent-Type: text/plain\r\n\r\n\
             hi\r\n-------t1d4+\r\n"
        );
    }

    #[test]
    fn the_length_of_a_prefix_is_known_before() {
        let starts = [
            Start::Request(b"SEND"),
            Start::Response(200, b""),
            Start::Response(200, b"OK"),
            Start::AsReceived(b"413 enough"),
        ];
        for start in starts {
            let text = written(|out| prefix(out, b"t1d4", start, TO, FROM));
            assert_eq!(text.len(), prefix_bytes(b"t1d4", start, TO, FROM));
        }
    }

    #[test]
    fn identifiers_are_letters_and_digits() {
        let random: Vec<u8> = (0..=255).collect();
        let text = written(|out| identifier(out, &random));
        assert_eq!(text.len(), 256);
        assert!(text.bytes().all(|octet| octet.is_ascii_alphanumeric()));
    }
}
