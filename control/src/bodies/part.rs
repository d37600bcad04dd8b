//! A MIME part: header fields, an empty line, content. RFC 2045; as in multipart bodies and envelopes.

use base64::Engine;

use super::{Malformed, Read, malformed, one_line};

/// Octets of the header fields of one part.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header fields of one part.
pub const HEADERS_MAX: usize = 32;

/// A part. Its content is as it was meant: a transfer encoding was taken off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Names as they were written, and values without the blanks around them.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub content: Vec<u8>,
}

impl Part {
    /// A part of this type.
    pub fn new(content_type: &str, content: &[u8]) -> Part {
        Part {
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            content: content.to_vec(),
        }
    }

    /// The first header field of this name. Names of MIME headers compare without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter();
        let found = found.find(|(one, _)| one.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The Content-Type; a part without one is text. RFC 2045, 5.2.
    pub fn content_type(&self) -> &str {
        self.header("Content-Type").unwrap_or("text/plain")
    }

    /// Reads a part and takes its transfer encoding off. `Content-Length` is not believed: whatever holds the
    /// part says where it ends.
    ///
    /// # Errors
    /// Too many or broken header fields, an encoding that is not known, or content that is not encoded so.
    pub fn read(octets: &[u8]) -> Read<Part> {
        let (headers, content) = split_head(octets)?;
        let mut part = Part {
            headers,
            content: content.to_vec(),
        };
        let encoding = part.header("Content-Transfer-Encoding").unwrap_or("binary");
        match encoding.trim().to_ascii_lowercase().as_str() {
            "7bit" | "8bit" | "binary" => {}
            "base64" => part.content = from_base64(&part.content)?,
            _ => return malformed(format!("the transfer encoding {encoding} is not known")),
        }
        Ok(part)
    }

    /// Writes a part, with the length of its content, which goes out as base64 if the part says so and as it is otherwise.
    ///
    /// # Errors
    /// A header field that can't be one.
    pub fn write(&self, out: &mut Vec<u8>) -> Read<()> {
        let own = |name: &str| {
            ["Content-Length", "Content-Transfer-Encoding"]
                .iter()
                .any(|own| own.eq_ignore_ascii_case(name))
        };
        let encoding = self.header("Content-Transfer-Encoding");
        let is_base64 = encoding.is_some_and(|name| name.trim().eq_ignore_ascii_case("base64"));
        for (name, value) in self.headers.iter().filter(|(name, _)| !own(name)) {
            if !is_token(name) {
                return malformed(format!("{}: no name of a header", name.escape_debug()));
            }
            one_line(name, value)?;
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let encoded = is_base64.then(|| in_lines(&to_base64(&self.content)));
        let content = encoded.as_ref().map_or(&*self.content, String::as_bytes);
        if is_base64 {
            out.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n");
        }
        let length = content.len();
        out.extend_from_slice(format!("Content-Length: {length}\r\n\r\n").as_bytes());
        out.extend_from_slice(content);
        Ok(())
    }
}

/// The media type without its parameters, lower case.
pub fn essence(content_type: &str) -> String {
    let bare = content_type.split(';').next().unwrap_or_default();
    bare.trim().to_ascii_lowercase()
}

/// A parameter of a Content-Type; a quoted value without its quotes. RFC 2045, 5.1.
pub fn parameter(content_type: &str, name: &str) -> Option<String> {
    let (mut quoted, mut escaped) = (false, false);
    let mut pieces = vec![String::new()];
    for c in content_type.chars() {
        let piece = pieces.last_mut()?;
        match c {
            _ if escaped => {
                escaped = false;
                piece.push(c);
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => pieces.push(String::new()),
            _ => piece.push(c),
        }
    }
    pieces.iter().skip(1).find_map(|piece| {
        let (one, value) = piece.split_once('=')?;
        let found = one.trim().eq_ignore_ascii_case(name);
        found.then(|| value.trim().to_owned())
    })
}

/// The value of the `Content-ID` that a URL such as `cid:icon%251@host` names. RFC 2392, 2.
pub fn content_id(url: &str) -> Option<String> {
    let scheme = url.get(..4)?;
    let named = url.get(4..).filter(|rest| !rest.is_empty())?;
    if !scheme.eq_ignore_ascii_case("cid:") {
        return None;
    }
    let mut octets = Vec::new();
    let mut rest = named.as_bytes();
    while let [first, behind @ ..] = rest {
        let escaped = behind.get(..2).filter(|_| *first == b'%');
        let digits = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        let octet = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        octets.push(octet.unwrap_or(*first));
        rest = &behind[if octet.is_some() { 2 } else { 0 }..];
    }
    let text = String::from_utf8(octets).ok()?;
    let is_id = text
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>');
    is_id.then(|| format!("<{text}>"))
}

/// Header fields up to an empty line, and what is behind it.
type Head<'a> = (Vec<(String, String)>, &'a [u8]);

/// Cuts a head off.
fn split_head(octets: &[u8]) -> Read<Head<'_>> {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut at = 0;
    loop {
        let rest = &octets[at..];
        let (line, next) = match rest.iter().position(|&octet| octet == b'\n') {
            Some(end) => (&rest[..end], at + end + 1),
            None => (rest, octets.len()),
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let ended = rest.is_empty();
        at = next;
        if line.is_empty() {
            if ended && !headers.is_empty() {
                return malformed("the empty line behind the header fields is missing");
            }
            return Ok((headers, &octets[at..]));
        }
        if at > HEAD_BYTES_MAX {
            return malformed(format!(
                "more than {HEAD_BYTES_MAX} octets of header fields"
            ));
        }
        let line = std::str::from_utf8(line)
            .map_err(|_| Malformed("a header field is not UTF-8".to_owned()))?;
        if line.starts_with([' ', '\t']) {
            let Some((_, value)) = headers.last_mut() else {
                return malformed("a header field is continued before there is one");
            };
            value.push(' ');
            value.push_str(line.trim());
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            return malformed("a header field has no colon");
        };
        if headers.len() >= HEADERS_MAX {
            return malformed(format!("more than {HEADERS_MAX} header fields"));
        }
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
}

/// Octets as base64, in one line.
pub fn to_base64(octets: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(octets)
}

/// RFC 2045, 6.8: lines have at most 76 characters.
fn in_lines(encoded: &str) -> String {
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / 38);
    for (at, c) in encoded.char_indices() {
        if at > 0 && at % 76 == 0 {
            lines.push_str("\r\n");
        }
        lines.push(c);
    }
    lines
}

/// What base64 stands for, whatever blanks are in it.
///
/// # Errors
/// It is no base64.
pub fn from_base64(octets: &[u8]) -> Read<Vec<u8>> {
    let packed: Vec<u8> = octets
        .iter()
        .copied()
        .filter(|octet| !octet.is_ascii_whitespace())
        .collect();
    let engine = base64::engine::general_purpose::STANDARD;
    let content = engine.decode(packed);
    content.map_err(|error| Malformed(format!("the content is no base64: {error}")))
}

/// RFC 2045, 5.1: `token`, with the dots of namespaces.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc2045_5_1_parameters_stand_with_and_without_quotes() {
        let text = "Multipart/Mixed; a=\"x;boundary=no\" ;BOUNDARY = \"b \\\" c\"";
        assert_eq!(parameter(text, "boundary").as_deref(), Some("b \" c"));
        assert_eq!(parameter(text, "a").as_deref(), Some("x;boundary=no"));
        assert_eq!(parameter("text/plain;charset=utf-8", "boundary"), None);
        assert_eq!(essence(text), "multipart/mixed");
    }

    #[test]
    fn rfc2045_6_8_base64_is_taken_off() {
        let part =
            Part::read(b"content-transfer-encoding: BASE64\r\n\r\naGVs\r\nbG8=\r\n").unwrap();
        assert_eq!(part.content, b"hello");
        assert_eq!(part.content_type(), "text/plain");
        for bad in [
            "Content-Transfer-Encoding: x-odd\r\n\r\n",
            "Content-Transfer-Encoding: base64\r\n\r\n!!",
            "no colon\r\n\r\n",
            " continued\r\n\r\n",
            "A: b",
        ] {
            assert!(Part::read(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let many = "A: b\r\n".repeat(HEADERS_MAX + 1) + "\r\n";
        assert!(Part::read(many.as_bytes()).is_err());
        let long = format!("A: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
        assert!(Part::read(long.as_bytes()).is_err());
    }

    #[test]
    fn rfc2045_6_8_what_goes_out_as_base64_comes_back_as_it_was() {
        let mut part = Part::new("image/png", &[0xff; 100]);
        let encoding = ("content-transfer-encoding".into(), "Base64".into());
        part.headers.push(encoding);
        let mut out = Vec::new();
        part.write(&mut out).unwrap();
        let text = std::str::from_utf8(&out).unwrap();
        assert!(
            text.starts_with(
                "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\nContent-Length: 138\r\n\r\n"
            ),
            "{text}"
        );
        assert!(text.lines().all(|line| line.len() <= 76), "{text}");
        assert_eq!(Part::read(&out).unwrap().content, part.content);
    }

    #[test]
    fn rfc2392_2_a_cid_url_names_a_content_id() {
        assert_eq!(content_id("CID:icon%251@h").as_deref(), Some("<icon%1@h>"));
        assert_eq!(content_id("cid:a%zz@h").as_deref(), Some("<a%zz@h>"));
        for none in [
            "",
            "cid",
            "cid:",
            "mid:a@h",
            "cid:a b",
            "cid:a%0d%0ab",
            "cid:a%3E",
            "cid:\u{e4}",
        ] {
            assert_eq!(content_id(none), None, "{none}");
        }
    }

    #[test]
    fn a_header_is_written_on_one_line_or_not_at_all() {
        let mut part = Part::new("text/plain", b"x");
        let mut out = Vec::new();
        part.write(&mut out).unwrap();
        assert_eq!(
            out,
            b"Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx"
        );
        part.headers.push(("X".into(), "a\r\nVia: b".into()));
        assert!(part.write(&mut out).is_err());
    }
}
