//! What a script may write into a message: names are tokens, values stand on one line.

use super::Checked;
use crate::script::limits::{NAME_BYTES_MAX, VALUE_BYTES_MAX};

/// Header fields that are the host's, in lower case, with their short forms. RFC 3261, 7.3.3.
const SYSTEM_HEADERS: &[&str] = &[
    "via",
    "v",
    "from",
    "f",
    "to",
    "t",
    "call-id",
    "i",
    "cseq",
    "contact",
    "m",
    "route",
    "record-route",
    "max-forwards",
    "content-length",
    "l",
    "content-type",
    "c",
    "path",
    "service-route",
];

/// RFC 3261, 25.1: `token`.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

/// A method, a header field's or a parameter's name.
pub(super) fn name(what: &str, text: &str) -> Checked<()> {
    if text.len() > NAME_BYTES_MAX {
        return Err(format!("{what}: longer than {NAME_BYTES_MAX} octets").into());
    }
    if !is_token(text) {
        return Err(format!("{what}: {} is not a token", text.escape_debug()).into());
    }
    Ok(())
}

/// The name of a header field that a script may set.
pub(super) fn header_name(text: &str) -> Checked<()> {
    name("header field", text)?;
    if SYSTEM_HEADERS.contains(&text.to_ascii_lowercase().as_str()) {
        return Err(format!("{text} is set by the system").into());
    }
    Ok(())
}

/// A value on one line: printable ASCII.
pub(super) fn value(what: &str, text: &str) -> Checked<()> {
    if text.len() > VALUE_BYTES_MAX {
        return Err(format!("{what}: longer than {VALUE_BYTES_MAX} octets").into());
    }
    match text.chars().find(|c| !(' '..='~').contains(c)) {
        Some(c) => Err(format!("{what}: {} is not allowed there", c.escape_debug()).into()),
        None => Ok(()),
    }
}

/// Text on one line, in any language: a reason phrase, an address that is only read.
pub(super) fn line(what: &str, text: &str) -> Checked<()> {
    if text.len() > VALUE_BYTES_MAX {
        return Err(format!("{what}: longer than {VALUE_BYTES_MAX} octets").into());
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what}: control characters are not allowed there").into());
    }
    Ok(())
}

/// A parameter's value: a token or a quoted string.
pub(super) fn parameter_value(what: &str, text: &str) -> Checked<()> {
    value(what, text)?;
    if is_token(text) || is_quoted(text) {
        return Ok(());
    }
    Err(format!("{what}: neither a token nor a quoted string").into())
}

fn is_quoted(text: &str) -> bool {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return false;
    };
    let mut escaped = false;
    for c in inner.chars() {
        match (escaped, c) {
            (true, _) => escaped = false,
            (false, '\\') => escaped = true,
            (false, '"') => return false,
            (false, _) => {}
        }
    }
    !escaped
}

/// A media type.
pub(super) fn mime(text: &str) -> Checked<()> {
    value("content type", text)?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence.split_once('/') {
        Some((kind, sub)) if is_token(kind) && is_token(sub) => Ok(()),
        _ => Err(format!("content type: {} is none", text.escape_debug()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_line_break_is_refused() {
        for text in ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "ä", "a\tb", "\u{7f}"] {
            assert!(value("x", text).is_err(), "{text:?}");
        }
        assert!(value("x", "*;+g.oma.sip-im;q=\"1\"").is_ok());
        assert!(value("x", &"y".repeat(VALUE_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn a_system_header_is_refused_in_any_spelling() {
        for name in [
            "Via",
            "CALL-ID",
            "l",
            "contact",
            "M",
            "Content-Type",
            "route",
        ] {
            assert!(header_name(name).is_err(), "{name}");
        }
        for name in ["", "X Y", "X:Y", "X\r\nY", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(header_name(name).is_err(), "{name:?}");
        }
        assert!(header_name("Accept-Contact").is_ok());
    }

    #[test]
    fn a_parameter_value_is_a_token_or_quoted() {
        for text in ["a", "\"a b;c\"", "\"\"", "\"a\\\"b\""] {
            assert!(parameter_value("x", text).is_ok(), "{text}");
        }
        for text in [
            "",
            "a;b",
            "a,b",
            "<a>",
            "\"",
            "\"a\"b\"",
            "\"a\\\"",
            "\"a\r\n\"",
        ] {
            assert!(parameter_value("x", text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_media_type_has_two_parts() {
        for text in ["application/sdp", "text/plain;charset=UTF-8"] {
            assert!(mime(text).is_ok(), "{text}");
        }
        for text in ["", "sdp", "a/", "/b", "a/b/c", "a b/c"] {
            assert!(mime(text).is_err(), "{text}");
        }
    }
}
