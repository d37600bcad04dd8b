//! The head of a chunk: start line and header fields. RFC 4975, 7 and 9.

use super::reader::Malformed;

/// The most URIs a path may have here.
const PATH_URIS_MAX: usize = 8;

/// What the start line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A request, with its method.
    Request(&'a str),
    /// A response, with its status code.
    Response(u16),
}

/// Who wants to hear of failures. RFC 4975, 7.1.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReport {
    /// Absent or `yes`: every SEND is answered.
    Yes,
    /// Only errors are answered.
    Partial,
    /// Nothing is answered.
    No,
}

/// `Byte-Range`: octets are numbered from 1. RFC 4975, 7.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The number of the chunk's first octet.
    pub start: u64,
    /// The number of its last octet; `None` for `*`.
    pub end: Option<u64>,
    /// Octets of the whole message; `None` for `*`.
    pub total: Option<u64>,
}

/// A chunk's head. It borrows from the reader's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// Transaction id.
    pub tid: &'a str,
    /// Request or response.
    pub kind: Kind<'a>,
    /// The URIs of `To-Path`, as written.
    pub to_path: &'a str,
    /// The URIs of `From-Path`, as written.
    pub from_path: &'a str,
    /// `Message-ID`.
    pub message_id: Option<&'a str>,
    /// `Byte-Range`.
    pub byte_range: Option<ByteRange>,
    /// Whether `Success-Report: yes` was asked for.
    pub success_report: bool,
    /// `Failure-Report`; absent means yes.
    pub failure_report: FailureReport,
    /// The code and comment of `Status` (namespace 000), as a REPORT carries it.
    pub status: Option<(u16, &'a str)>,
    /// `Content-Type`; absent means that there is no body.
    pub content_type: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// Reads the start line and the header lines, without the empty line or end-line after them.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
        let (tid, kind) = start_line(lines.next().ok_or(Malformed::StartLine)?)?;
        let mut head = Head {
            tid,
            kind,
            to_path: "",
            from_path: "",
            message_id: None,
            byte_range: None,
            success_report: false,
            failure_report: FailureReport::Yes,
            status: None,
            content_type: None,
        };
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(Malformed::Header)?;
            head.take_header(name, value.trim_matches([' ', '\t']))?;
        }
        if head.to_path.is_empty() || head.from_path.is_empty() {
            return Err(Malformed::Path);
        }
        Ok(head)
    }

    fn take_header(&mut self, name: &'a str, value: &'a str) -> Result<(), Malformed> {
        if name.eq_ignore_ascii_case("To-Path") {
            self.to_path = path(value)?;
        } else if name.eq_ignore_ascii_case("From-Path") {
            self.from_path = path(value)?;
        } else if name.eq_ignore_ascii_case("Message-ID") {
            self.message_id = Some(value);
        } else if name.eq_ignore_ascii_case("Byte-Range") {
            self.byte_range = Some(byte_range(value).ok_or(Malformed::ByteRange)?);
        } else if name.eq_ignore_ascii_case("Success-Report") {
            self.success_report = value.eq_ignore_ascii_case("yes");
        } else if name.eq_ignore_ascii_case("Failure-Report") {
            self.failure_report = match value.to_ascii_lowercase().as_str() {
                "no" => FailureReport::No,
                "partial" => FailureReport::Partial,
                _ => FailureReport::Yes,
            };
        } else if name.eq_ignore_ascii_case("Status") {
            self.status = status(value);
        } else if name.eq_ignore_ascii_case("Content-Type") {
            self.content_type = Some(value);
        }
        Ok(())
    }

    /// The first URI of `From-Path`: where the response to a SEND goes. RFC 4975, 7.2.
    pub fn previous_hop(self) -> &'a str {
        self.from_path.split(' ').next().unwrap_or("")
    }

    /// The last URI of `To-Path`: the session that is meant.
    pub fn target(self) -> &'a str {
        self.to_path.rsplit(' ').next().unwrap_or("")
    }
}

/// The session-id of an MSRP URI: what stands between the authority and the first `;`.
pub fn session_id(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    Some(path.split(';').next().unwrap_or(path))
}

fn start_line(line: &str) -> Result<(&str, Kind<'_>), Malformed> {
    let rest = line.strip_prefix("MSRP ").ok_or(Malformed::StartLine)?;
    let (tid, rest) = rest.split_once(' ').ok_or(Malformed::StartLine)?;
    let word = rest.split(' ').next().unwrap_or("");
    let tid_is_good = (1..=64).contains(&tid.len()) && tid.bytes().all(|b| b.is_ascii_graphic());
    if !tid_is_good {
        return Err(Malformed::StartLine);
    }
    let kind = if word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit()) {
        Kind::Response(word.parse().map_err(|_| Malformed::StartLine)?)
    } else if !word.is_empty() && word == rest && word.bytes().all(|b| b.is_ascii_uppercase()) {
        Kind::Request(word)
    } else {
        return Err(Malformed::StartLine);
    };
    Ok((tid, kind))
}

fn path(value: &str) -> Result<&str, Malformed> {
    let uris = value.split(' ').count();
    let good = value
        .split(' ')
        .all(|uri| uri.contains("://") && session_id(uri).is_some());
    if uris > PATH_URIS_MAX || !good {
        return Err(Malformed::Path);
    }
    Ok(value)
}

fn byte_range(value: &str) -> Option<ByteRange> {
    let (start, rest) = value.split_once('-')?;
    let (end, total) = rest.split_once('/')?;
    let number = |text: &str| match text {
        "*" => Some(None),
        digits => digits.parse().ok().map(Some),
    };
    let range = ByteRange {
        start: start.parse().ok()?,
        end: number(end)?,
        total: number(total)?,
    };
    (range.start > 0).then_some(range)
}

fn status(value: &str) -> Option<(u16, &str)> {
    let rest = value.strip_prefix("000 ")?;
    let (code, comment) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((code.parse().ok()?, comment))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "MSRP a786hjs2 SEND\r\nTo-Path: msrp://b.example:1/kjh;tcp\r\n\
        From-Path: msrp://r.example:2/x;tcp msrp://a.example:3/y;tcp\r\nmessage-id:  87652\r\n\
        Byte-Range: 1-*/9\r\nFailure-Report: NO\r\nSuccess-Report: yes\r\n\
        Content-Type: text/plain\r\n";

    #[test]
    fn header_names_are_case_insensitive_and_blanks_after_the_colon_do_not_count() {
        let head = Head::parse(HEAD).unwrap();
        assert_eq!(head.tid, "a786hjs2");
        assert_eq!(head.kind, Kind::Request("SEND"));
        assert_eq!(head.message_id, Some("87652"));
        assert_eq!(
            head.byte_range,
            Some(ByteRange {
                start: 1,
                end: None,
                total: Some(9)
            })
        );
        assert_eq!(head.failure_report, FailureReport::No);
        assert!(head.success_report);
        assert_eq!(head.previous_hop(), "msrp://r.example:2/x;tcp");
    }

    #[test]
    fn a_response_with_a_comment_is_read() {
        let text = "MSRP abcd 200 OK then\r\nTo-Path: msrp://a/b;tcp\r\nFrom-Path: msrp://c/d;tcp";
        assert_eq!(Head::parse(text).unwrap().kind, Kind::Response(200));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for text in [
            "",
            "MSRP",
            "MSRP abcd",
            "MSRP abcd send\r\nTo-Path: msrp://a/b;tcp\r\nFrom-Path: msrp://c/d;tcp",
            "HTTP abcd SEND\r\nTo-Path: msrp://a/b;tcp\r\nFrom-Path: msrp://c/d;tcp",
            "MSRP abcd SEND\r\nTo-Path: msrp://a/b;tcp",
            "MSRP abcd SEND\r\nTo-Path: nonsense\r\nFrom-Path: msrp://c/d;tcp",
            "MSRP abcd SEND\r\nTo-Path: msrp://a/b;tcp\r\nFrom-Path: msrp://c/d;tcp\r\nByte-Range: 0-1/1",
            "MSRP abcd SEND\r\nno colon",
        ] {
            assert!(Head::parse(text).is_err(), "{text:?}");
        }
    }
}
