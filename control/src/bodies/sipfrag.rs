//! What became of a reference: the status line in a `message/sipfrag`. RFC 3420; RFC 3515, 2.4.5.

use super::{Read, malformed};

/// The status and its phrase.
///
/// # Errors
/// It begins with no status line.
pub fn read(text: &str) -> Read<(u16, String)> {
    let line = text.lines().next().unwrap_or_default().trim();
    let mut words = line.splitn(3, ' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|digits| digits.parse().ok());
    match status.filter(|status| (100..700).contains(status)) {
        Some(status) if version.eq_ignore_ascii_case("SIP/2.0") => {
            Ok((status, words.next().unwrap_or_default().to_owned()))
        }
        _ => malformed("a message/sipfrag about a reference begins with a status line"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells_how_it_went() {
        let told = read("SIP/2.0 603 No thanks\r\nTo: <sip:x@y>\r\n").unwrap();
        assert_eq!(told, (603, "No thanks".to_owned()));
        assert_eq!(read("SIP/2.0 200").unwrap(), (200, String::new()));
        for text in ["", "INVITE sip:a@b SIP/2.0", "SIP/2.0 99 X", "SIP/2.0 OK"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
