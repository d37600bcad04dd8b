//! The plain way to read MSRP: all octets are there, everything is searched from its start, and
//! speed does not matter. It shares no code with the reader, only the types of the outcome.

use wire::limits::*;
use wire::msrp::{ByteRange, FailureReport, Fault, Kind, Malformed, Method, ReportStatus};

/// One message, or the beginning of one whose end is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub kind: Kind,
    pub transaction: Vec<u8>,
    pub subject: Vec<u8>,
    pub to_path: Vec<u8>,
    pub from_path: Vec<u8>,
    pub rest: usize,
    pub message_id: Option<Vec<u8>>,
    pub byte_range: Option<ByteRange>,
    pub failure_report: FailureReport,
    pub success_report: bool,
    pub status: Option<ReportStatus>,
    pub has_body: bool,
    pub head_bytes: usize,
    pub fault: Option<Fault>,
    pub body: Vec<u8>,
    pub body_fault: Option<Fault>,
    /// Flag of the end-line; `None` if there is no end-line.
    pub end: Option<u8>,
    /// All its octets.
    pub raw: Vec<u8>,
}

/// How the stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    BetweenChunks,
    InHead,
    InBody,
    Malformed(Malformed),
}

pub fn judge(mut stream: &[u8]) -> (Vec<Message>, Ending) {
    let mut messages = Vec::new();
    while !stream.is_empty() {
        let (mut message, flag_after_head) = match head(stream) {
            Ok(Some(head)) => head,
            Ok(None) => return (messages, Ending::InHead),
            Err(malformed) => return (messages, Ending::Malformed(malformed)),
        };
        if let Some((flag, after)) = flag_after_head {
            message.end = Some(end_of(message.kind, flag));
            message.raw = stream[..after].to_vec();
            stream = &stream[after..];
            messages.push(message);
            continue;
        }
        let start = message.head_bytes;
        let found = (start - 2..stream.len()).find_map(|at| {
            let tail = &stream[at..];
            if !tail.starts_with(b"\r\n-------") {
                return None;
            }
            let flag = b"$+#".iter().find(|flag| {
                tail.starts_with(
                    &[b"\r\n-------", &message.transaction[..], &[**flag], b"\r\n"].concat(),
                )
            })?;
            Some((at, *flag))
        });
        let Some((at, flag)) = found else {
            // Where the body will end is open: what may yet be an end-line is compared by the
            // caller.
            message.body = stream[start..].to_vec();
            message.raw = stream.to_vec();
            messages.push(message);
            return (messages, Ending::InBody);
        };
        let after = at + "\r\n-------$\r\n".len() + message.transaction.len();
        message.body = stream[start..at.max(start)].to_vec();
        message.end = Some(end_of(message.kind, flag));
        message.raw = stream[..after].to_vec();
        let is_send = message.kind == Kind::Request(Method::Send);
        if !is_send && message.body.len() as u64 > OTHER_BODY_BYTES_MAX {
            message.body_fault = Some(Fault::BodyTooLarge);
        }
        stream = &stream[after..];
        messages.push(message);
    }
    (messages, Ending::BetweenChunks)
}

fn end_of(kind: Kind, flag: u8) -> u8 {
    match kind {
        Kind::Response(_) | Kind::Request(Method::Report) => b'$',
        _ => flag,
    }
}

fn find_crlf(octets: &[u8]) -> Option<usize> {
    octets.windows(2).position(|pair| pair == b"\r\n")
}

type FlagAndAfter = Option<(u8, usize)>;

fn head(stream: &[u8]) -> Result<Option<(Message, FlagAndAfter)>, Malformed> {
    let beginning = &stream[..stream.len().min(5)];
    if beginning != &b"MSRP "[..beginning.len()] {
        return Err(Malformed::NotMsrp);
    }
    let Some(line_bytes) = find_crlf(stream) else {
        let is_long = stream.len() > START_LINE_BYTES_MAX;
        return if is_long {
            Err(Malformed::StartLineTooLong)
        } else {
            Ok(None)
        };
    };
    if line_bytes + 2 > START_LINE_BYTES_MAX {
        return Err(Malformed::StartLineTooLong);
    }
    let mut faults = Vec::new();
    let start_line = &stream[..line_bytes];
    if has_bare_line_end(start_line) {
        faults.push(Fault::BareLineEnd);
    }
    let words: Vec<&[u8]> = start_line.splitn(3, |octet| *octet == b' ').collect();
    let transaction = words[1].to_vec();
    let subject = words.get(2).copied().unwrap_or_default().to_vec();
    if !is_ident(&transaction) || transaction.len() > TRANSACTION_BYTES_MAX {
        return Err(Malformed::Transaction);
    }
    let kind = kind_of(&subject, &mut faults);

    // The header lines, up to a blank line or the end-line.
    let mut lines: Vec<(&[u8], usize)> = Vec::new();
    let mut at = line_bytes + 2;
    let (has_body, head_bytes, flag) = loop {
        let Some(length) = find_crlf(&stream[at..]) else {
            return if stream.len() > HEAD_BYTES_MAX {
                Err(Malformed::HeadTooLong)
            } else {
                Ok(None)
            };
        };
        let (line, after) = (&stream[at..at + length], at + length + 2);
        if after > HEAD_BYTES_MAX {
            return Err(Malformed::HeadTooLong);
        }
        if line.is_empty() {
            break (true, after, None);
        }
        let is_end_line = |flag: &u8| line == [b"-------", &transaction[..], &[*flag]].concat();
        if let Some(flag) = b"$+#".iter().find(|flag| is_end_line(flag)) {
            break (false, at, Some((*flag, after)));
        }
        lines.push((line, after));
        at = after;
    };

    let mut message = Message {
        kind,
        transaction,
        subject,
        to_path: Vec::new(),
        from_path: Vec::new(),
        rest: line_bytes + 2,
        message_id: None,
        byte_range: None,
        failure_report: FailureReport::Yes,
        success_report: false,
        status: None,
        has_body,
        head_bytes,
        fault: None,
        body: Vec::new(),
        body_fault: None,
        end: None,
        raw: Vec::new(),
    };
    let names = headers(&lines, &mut message, &mut faults);
    let has = |name: &str| names.iter().any(|other| other == name);
    let is_response = matches!(kind, Kind::Response(_));
    let late = [
        (!has("to-path") || !has("from-path"), Fault::Paths),
        (!is_response && lines.len() < 3, Fault::NoFurtherHeader),
        (
            kind == Kind::Request(Method::Report) && !has("status"),
            Fault::StatusMissing,
        ),
        (is_response && has_body, Fault::ResponseBody),
        (has_body && !has("content-type"), Fault::ContentTypeMissing),
        (
            !is_response && !has_body && names.iter().any(|name| name.starts_with("content-")),
            Fault::BodyMissing,
        ),
    ];
    faults.extend(
        late.into_iter()
            .filter(|(is_late, _)| *is_late)
            .map(|(_, fault)| fault),
    );
    message.fault = faults.first().copied();
    Ok(Some((message, flag)))
}

/// Fills in what the headers say; returns their names in lower case, those of unreadable lines left
/// out.
fn headers(
    lines: &[(&[u8], usize)],
    message: &mut Message,
    faults: &mut Vec<Fault>,
) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut before_line = message.rest;
    for (number, (line, after)) in lines.iter().enumerate() {
        let line_bytes = after - before_line;
        before_line = *after;
        if has_bare_line_end(line) {
            faults.push(Fault::BareLineEnd);
        }
        if number >= HEADERS_MAX {
            faults.push(Fault::TooManyHeaders);
        }
        if line_bytes > HEADER_LINE_BYTES_MAX {
            faults.push(Fault::LineTooLong);
        }
        let Some((name, value)) = name_and_value(line) else {
            faults.push(Fault::HeaderLine);
            continue;
        };
        if names.iter().any(|other| other == "content-type") {
            faults.push(Fault::ContentTypeNotLast);
        }
        let again = names.contains(&name);
        names.push(name.clone());
        let text = String::from_utf8_lossy(value).to_ascii_lowercase();
        match name.as_str() {
            "to-path" | "from-path" => {
                if again {
                    faults.push(Fault::Paths);
                    continue;
                }
                let is_to = name == "to-path";
                if number != (if is_to { 0 } else { 1 }) || value.is_empty() {
                    faults.push(Fault::Paths);
                }
                if value
                    .split(|o| *o == b' ')
                    .filter(|uri| !uri.is_empty())
                    .count()
                    > PATH_URIS_MAX
                {
                    faults.push(Fault::TooManyUris);
                }
                if is_to {
                    message.to_path = value.to_vec();
                } else {
                    message.from_path = value.to_vec();
                    message.rest = *after;
                }
            }
            "message-id" | "byte-range" | "failure-report" | "success-report" | "status"
            | "content-type"
                if again =>
            {
                faults.push(Fault::Repeated);
            }
            "message-id" => {
                message.message_id = Some(value.to_vec());
                if !is_ident(value) || value.len() > MESSAGE_ID_BYTES_MAX {
                    faults.push(Fault::MessageId);
                }
            }
            "byte-range" => {
                message.byte_range = byte_range(&text);
                if message.byte_range.is_none() {
                    faults.push(Fault::ByteRange);
                }
            }
            "failure-report" => match text.as_str() {
                "yes" => {}
                "partial" => message.failure_report = FailureReport::Partial,
                "no" => message.failure_report = FailureReport::No,
                _ => faults.push(Fault::ReportValue),
            },
            "success-report" => match text.as_str() {
                "yes" => message.success_report = true,
                "no" => {}
                _ => faults.push(Fault::ReportValue),
            },
            "status" => {
                message.status = status(value);
                if message.status.is_none() {
                    faults.push(Fault::Status);
                }
            }
            _ => {}
        }
    }
    names
}

fn has_bare_line_end(line: &[u8]) -> bool {
    line.contains(&b'\r') || line.contains(&b'\n')
}

fn name_and_value(line: &[u8]) -> Option<(String, &[u8])> {
    let colon = line.iter().position(|octet| *octet == b':')?;
    let name = str::from_utf8(&line[..colon]).ok()?;
    let token = |c: char| c.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]".contains(c);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(token) {
        return None;
    }
    let mut value = &line[colon + 1..];
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    Some((name.to_ascii_lowercase(), value))
}

fn is_ident(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else {
        return false;
    };
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-+%=".contains(c))
}

fn kind_of(subject: &[u8], faults: &mut Vec<Fault>) -> Kind {
    if subject.first().is_some_and(u8::is_ascii_digit) {
        let word = subject.split(|octet| *octet == b' ').next().unwrap();
        let status = str::from_utf8(word)
            .ok()
            .filter(|text| is_digits(text) && text.len() == 3);
        if status.is_none() {
            faults.push(Fault::StartLine);
        }
        return Kind::Response(status.map_or(0, |text| text.parse().unwrap()));
    }
    if subject.is_empty() || !subject.iter().all(u8::is_ascii_uppercase) {
        faults.push(Fault::StartLine);
    }
    Kind::Request(match subject {
        b"SEND" => Method::Send,
        b"REPORT" => Method::Report,
        b"AUTH" => Method::Auth,
        b"NICKNAME" => Method::Nickname,
        _ => Method::Other,
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

fn byte_range(text: &str) -> Option<ByteRange> {
    let (start, rest) = text.split_once('-')?;
    let (end, total) = rest.split_once('/')?;
    let number = |text: &str| {
        if is_digits(text) {
            text.parse::<u64>().ok()
        } else {
            None
        }
    };
    let or_star = |text: &str| {
        if text == "*" {
            Some(None)
        } else {
            number(text).map(Some)
        }
    };
    Some(ByteRange {
        start: number(start)?,
        end: or_star(end)?,
        total: or_star(total)?,
    })
}

fn status(value: &[u8]) -> Option<ReportStatus> {
    let words: Vec<&[u8]> = value.splitn(3, |octet| *octet == b' ').collect();
    let [namespace, code, ..] = words[..] else {
        return None;
    };
    let number = |word: &[u8]| {
        str::from_utf8(word)
            .ok()
            .filter(|text| is_digits(text) && text.len() == 3)?
            .parse()
            .ok()
    };
    Some(ReportStatus {
        namespace: number(namespace)?,
        code: number(code)?,
    })
}
