//! Bodies of several parts. RFC 2046, 5.1.

use std::ops::Range;

use super::part::{Part, essence, parameter};
use super::{Read, malformed};

/// Parts of one body: a description, a first message, a list of recipients, an icon.
pub const PARTS_MAX: usize = 16;
/// Characters of a boundary. RFC 2046, 5.1.1.
const BOUNDARY_CHARS_MAX: usize = 70;

/// Reads the parts. What stands in front of the first and behind the last delimiter is passed over. A part that
/// is of several parts itself is not taken apart.
///
/// # Errors
/// No boundary in the Content-Type, no closing delimiter, too many parts, a part that can't be read.
pub fn read(content_type: &str, body: &[u8]) -> Read<Vec<Part>> {
    let places = places(content_type, body)?;
    places
        .into_iter()
        .map(|place| Part::read(&body[place]))
        .collect()
}

/// The body with another content in its first part of this media type; every other octet stays as it is.
///
/// # Errors
/// As of [`read`], or there is no such part.
pub fn with_content(
    content_type: &str,
    body: &[u8],
    media_type: &str,
    content: &[u8],
) -> Read<Vec<u8>> {
    for place in places(content_type, body)? {
        let mut part = Part::read(&body[place.clone()])?;
        if essence(part.content_type()) == media_type {
            part.content = content.to_vec();
            let mut written = body[..place.start].to_vec();
            part.write(&mut written)?;
            written.extend_from_slice(&body[place.end..]);
            return Ok(written);
        }
    }
    malformed(format!("there is no part of type {media_type}"))
}

/// Where the parts are.
fn places(content_type: &str, body: &[u8]) -> Read<Vec<Range<usize>>> {
    let Some(boundary) = parameter(content_type, "boundary") else {
        return malformed("the Content-Type has no boundary");
    };
    if boundary.is_empty() || boundary.len() > BOUNDARY_CHARS_MAX {
        return malformed(format!(
            "a boundary has 1 to {BOUNDARY_CHARS_MAX} characters"
        ));
    }
    let mut parts = Vec::new();
    let mut part_start = None;
    let mut line_start = 0;
    while line_start < body.len() {
        let rest = &body[line_start..];
        let line_bytes = rest.iter().position(|&octet| octet == b'\n');
        let next = line_start + line_bytes.map_or(rest.len(), |end| end + 1);
        if let Some(closes) = delimiter(&body[line_start..next], &boundary) {
            if let Some(start) = part_start {
                if parts.len() >= PARTS_MAX {
                    return malformed(format!("more than {PARTS_MAX} parts"));
                }
                parts.push(start..start + without_line_end(&body[start..line_start]).len());
            }
            if closes {
                return Ok(parts);
            }
            part_start = Some(next);
        }
        line_start = next;
    }
    malformed("the closing delimiter is missing")
}

/// Whether a line is a delimiter, and whether the closing one. Blanks behind it are padding.
fn delimiter(line: &[u8], boundary: &str) -> Option<bool> {
    let behind = line
        .strip_prefix(b"--")?
        .strip_prefix(boundary.as_bytes())?;
    let (behind, closes) = match behind.strip_prefix(b"--") {
        Some(behind) => (behind, true),
        None => (behind, false),
    };
    let padding = behind.iter().all(|octet| octet.is_ascii_whitespace());
    padding.then_some(closes)
}

/// The line end in front of a delimiter belongs to the delimiter.
fn without_line_end(octets: &[u8]) -> &[u8] {
    let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
    octets.strip_suffix(b"\r").unwrap_or(octets)
}

/// Writes a body: its Content-Type, with a boundary that occurs in no part, and its octets. `subtype` is `mixed` or
/// `related`; of the latter the first part is the root, whose type the whole says (RFC 2387, 3.1).
///
/// # Errors
/// No part or too many, or a header field that can't be one.
pub fn write(subtype: &str, parts: &[Part]) -> Read<(String, Vec<u8>)> {
    if parts.is_empty() || parts.len() > PARTS_MAX {
        return malformed(format!("a body has 1 to {PARTS_MAX} parts"));
    }
    let mut written = Vec::new();
    for part in parts {
        let mut octets = Vec::new();
        part.write(&mut octets)?;
        written.push(octets);
    }
    let occurs = |boundary: &str| {
        let needle = boundary.as_bytes();
        let mut windows = written.iter().flat_map(|part| part.windows(needle.len()));
        windows.any(|window| window == needle)
    };
    let mut number = 0_u32;
    let mut boundary = "part-0".to_owned();
    while occurs(&boundary) {
        number += 1;
        boundary = format!("part-{number}");
    }
    let mut body = Vec::new();
    for part in &written {
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let root = match subtype {
        "related" => format!("type=\"{}\";", essence(parts[0].content_type())),
        _ => String::new(),
    };
    let content_type = format!("multipart/{subtype};{root}boundary=\"{boundary}\"");
    Ok((content_type, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc2046_5_1_1_what_is_around_the_parts_is_passed_over() {
        let body = b"preamble\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b  \r\n\r\nx--b\r\n--b--\r\nepilogue";
        let parts = read("multipart/mixed;boundary=b", body).unwrap();
        assert_eq!(parts.len(), 2);
        // The last line end before a delimiter belongs to it.
        assert_eq!(parts[0].content, b"v=0\r\n");
        assert_eq!(parts[1].content_type(), "text/plain");
        assert_eq!(parts[1].content, b"x--b");
    }

    #[test]
    fn rfc2046_5_1_1_boundaries_are_quoted_or_not_and_may_begin_with_dashes() {
        for (content_type, line) in [
            ("multipart/related; boundary=\"--b 1\"", "----b 1"),
            ("Multipart/Mixed;boundary=--b1", "----b1"),
        ] {
            let body = format!("{line}\r\nA: b\r\n\r\nx\r\n{line}--");
            let parts = read(content_type, body.as_bytes()).unwrap();
            assert_eq!(parts[0].content, b"x", "{content_type}");
        }
        // A boundary that another one begins with is another boundary.
        let body = b"--b\r\n\r\n--bb\r\n--b--";
        assert_eq!(read("a/b;boundary=b", body).unwrap()[0].content, b"--bb");
    }

    #[test]
    fn what_is_no_such_body_is_refused() {
        for (content_type, body) in [
            ("multipart/mixed", "--b\r\n\r\n\r\n--b--"),
            ("multipart/mixed;boundary=\"\"", "--\r\n\r\n\r\n----"),
            ("multipart/mixed;boundary=b", "--b\r\n\r\nx"),
            ("multipart/mixed;boundary=b", ""),
        ] {
            assert!(read(content_type, body.as_bytes()).is_err(), "{body:?}");
        }
        let many = "--b\r\n\r\nx\r\n".repeat(PARTS_MAX + 1) + "--b--";
        assert!(read("a/b;boundary=b", many.as_bytes()).is_err());
    }

    #[test]
    fn one_part_is_exchanged_and_the_others_stay_octet_for_octet() {
        let icon = "Content-Transfer-Encoding: base64\r\nContent-Type: image/png\r\n\r\nAAAA";
        let body = format!(
            "--b\r\nContent-Length: 5\r\ncontent-type: Application/SDP\r\n\r\nv=0\r\n\r\n--b\r\n{icon}\r\n--b--"
        );
        let kind = "multipart/mixed;boundary=b";
        let changed = with_content(kind, body.as_bytes(), "application/sdp", b"v=1\r\ns=-\r\n");
        let changed = String::from_utf8(changed.unwrap()).unwrap();
        assert_eq!(
            changed,
            format!(
                "--b\r\ncontent-type: Application/SDP\r\nContent-Length: 10\r\n\r\nv=1\r\ns=-\r\n\r\n\
                 --b\r\n{icon}\r\n--b--"
            )
        );
        assert!(with_content(kind, body.as_bytes(), "text/plain", b"").is_err());
    }

    #[test]
    fn what_was_written_is_read_the_same_whatever_is_in_it() {
        let parts = [
            Part::new("application/sdp", b"v=0\r\n"),
            Part::new("message/cpim", b"--part-0\r\npart-1\r\n"),
        ];
        let (content_type, body) = write("mixed", &parts).unwrap();
        assert_eq!(content_type, "multipart/mixed;boundary=\"part-2\"");
        let back = read(&content_type, &body).unwrap();
        assert_eq!(back[1].content, parts[1].content);
        assert_eq!(back[0].content_type(), "application/sdp");
        assert!(write("mixed", &[]).is_err());
    }

    #[test]
    fn rfc2387_3_1_what_is_related_says_the_type_of_its_root() {
        let parts = [
            Part::new("Application/SDP", b""),
            Part::new("image/png", b""),
        ];
        let (content_type, _) = write("related", &parts).unwrap();
        assert_eq!(
            content_type,
            "multipart/related;type=\"application/sdp\";boundary=\"part-0\""
        );
    }
}
