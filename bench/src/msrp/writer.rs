//! Writes chunks, responses and reports. RFC 4975, 7.1 and 7.2.

use std::io::Write;

use super::{Flag, Head, Kind};

/// The fields of a SEND that stay the same from chunk to chunk.
#[derive(Debug, Clone, Copy)]
pub struct Send<'a> {
    /// The peer's whole path.
    pub to_path: &'a str,
    /// Our URI.
    pub from_path: &'a str,
    /// Identifies the message.
    pub message_id: &'a str,
    /// Asks for a REPORT when the message has arrived.
    pub success_report: bool,
    /// `false` writes `Failure-Report: no`; `true` leaves the default, yes.
    pub failure_report: bool,
}

/// The range a chunk announces.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// The number of the first octet, from 1.
    pub start: u64,
    /// The number of the last octet; `None` writes `*`, as an interruptible chunk must.
    pub end: Option<u64>,
    /// Octets of the whole message.
    pub total: u64,
}

/// Writes the head of a SEND with a body, up to and with the empty line.
pub fn send_head(out: &mut Vec<u8>, tid: &str, send: &Send<'_>, range: Range, content_type: &str) {
    start(out, tid, "SEND", send.to_path, send.from_path);
    append(out, format_args!("Message-ID: {}\r\n", send.message_id));
    match range.end {
        Some(end) => {
            append(
                out,
                format_args!("Byte-Range: {}-{end}/{}\r\n", range.start, range.total),
            );
        }
        None => append(
            out,
            format_args!("Byte-Range: {}-*/{}\r\n", range.start, range.total),
        ),
    }
    if send.success_report {
        out.extend_from_slice(b"Success-Report: yes\r\n");
    }
    if !send.failure_report {
        out.extend_from_slice(b"Failure-Report: no\r\n");
    }
    append(out, format_args!("Content-Type: {content_type}\r\n\r\n"));
}

/// Writes the CRLF after a body and the end-line.
pub fn end_line(out: &mut Vec<u8>, tid: &str, flag: Flag) {
    out.extend_from_slice(b"\r\n");
    end(out, tid, flag);
}

/// Writes a SEND without a body, as the connecting side does at once. RFC 4975, 5.4.
pub fn bodiless(out: &mut Vec<u8>, tid: &str, to_path: &str, from_path: &str, message_id: &str) {
    start(out, tid, "SEND", to_path, from_path);
    append(out, format_args!("Message-ID: {message_id}\r\n"));
    end(out, tid, Flag::Last);
}

/// Where the response to a request goes, kept until it is due. A SEND is answered to its previous
/// hop, anything else along the whole path. RFC 4975, 7.2.
#[derive(Debug, Clone)]
pub struct Answer {
    tid: String,
    to: String,
}

impl Answer {
    /// To the request with this head.
    pub fn to(request: &Head<'_>) -> Answer {
        let to = match request.kind {
            Kind::Request("SEND") => request.previous_hop(),
            _ => request.from_path,
        };
        Answer {
            tid: request.tid.to_owned(),
            to: to.to_owned(),
        }
    }

    /// Writes the response; `from` is our URI.
    pub fn write(&self, out: &mut Vec<u8>, from: &str, code: u16) {
        let comment = match code {
            200 => "OK",
            400 => "Bad Request",
            413 => "Stop Sending",
            481 => "No Such Session",
            501 => "Unknown Method",
            506 => "Session In Use",
            _ => "Refused",
        };
        append(out, format_args!("MSRP {} {code} {comment}\r\n", self.tid));
        append(
            out,
            format_args!("To-Path: {}\r\nFrom-Path: {from}\r\n", self.to),
        );
        end(out, &self.tid, Flag::Last);
    }
}

/// Writes a success REPORT for a whole message of `bytes`. RFC 4975, 7.1.2.
pub fn success_report(
    out: &mut Vec<u8>,
    tid: &str,
    to_path: &str,
    from_path: &str,
    message_id: &str,
    bytes: u64,
) {
    start(out, tid, "REPORT", to_path, from_path);
    append(out, format_args!("Message-ID: {message_id}\r\n"));
    append(out, format_args!("Byte-Range: 1-{bytes}/{bytes}\r\n"));
    out.extend_from_slice(b"Status: 000 200 OK\r\n");
    end(out, tid, Flag::Last);
}

fn start(out: &mut Vec<u8>, tid: &str, word: &str, to_path: &str, from_path: &str) {
    append(
        out,
        format_args!("MSRP {tid} {word}\r\nTo-Path: {to_path}\r\n"),
    );
    append(out, format_args!("From-Path: {from_path}\r\n"));
}

fn end(out: &mut Vec<u8>, tid: &str, flag: Flag) {
    let flag = match flag {
        Flag::Last => '$',
        Flag::More => '+',
        Flag::Aborted => '#',
    };
    append(out, format_args!("-------{tid}{flag}\r\n"));
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A Vec takes every octet; there is no error to handle.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4975_7_2_a_send_is_answered_to_the_first_uri_and_others_to_the_whole_path() {
        let path = "msrp://r:1/x;tcp msrp://a:1/y;tcp";
        for (method, to) in [("SEND", "msrp://r:1/x;tcp"), ("NICKNAME", path)] {
            let text =
                format!("MSRP tid1 {method}\r\nTo-Path: msrp://b:1/z;tcp\r\nFrom-Path: {path}\r\n");
            let request = Head::parse(&text).unwrap();
            let mut out = Vec::new();
            Answer::to(&request).write(&mut out, "msrp://b:1/z;tcp", 200);
            let want = format!(
                "MSRP tid1 200 OK\r\nTo-Path: {to}\r\nFrom-Path: msrp://b:1/z;tcp\r\n-------tid1$\r\n"
            );
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
