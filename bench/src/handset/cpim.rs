//! Text in a `message/cpim` wrapper: taking it out, putting it in. RFC 3862.

/// The text that a message of this type holds, if it holds text. Wrapped text is unwrapped.
pub fn text_of(content_type: &str, content: &[u8]) -> Option<String> {
    match bare_type(content_type).as_str() {
        "text/plain" => Some(String::from_utf8_lossy(content).into_owned()),
        "message/cpim" => {
            let text = String::from_utf8_lossy(content).replace("\r\n", "\n");
            let (_envelope, wrapped) = text.split_once("\n\n")?;
            let (headers, body) = wrapped.split_once("\n\n")?;
            let is_plain = headers.lines().all(|line| match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("Content-Type") => {
                    bare_type(value) == "text/plain"
                }
                _ => true,
            });
            is_plain.then(|| body.to_owned())
        }
        _ => None,
    }
}

/// Whether a message of this type only says that somebody is typing. RFC 3994.
pub fn is_composing(content_type: &str, content: &[u8]) -> bool {
    const COMPOSING: &str = "application/im-iscomposing+xml";
    match bare_type(content_type).as_str() {
        COMPOSING => true,
        "message/cpim" => memchr::memmem::find(content, COMPOSING.as_bytes()).is_some(),
        _ => false,
    }
}

/// Wraps a text for a peer that takes nothing else.
pub fn wrap(from: &str, to: &str, text: &str) -> Vec<u8> {
    let wrapped = format!(
        "From: <{from}>\r\nTo: <{to}>\r\n\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    );
    wrapped.into_bytes()
}

fn bare_type(content_type: &str) -> String {
    content_type
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_text_comes_out_as_it_went_in() {
        let wrapped = wrap("sip:a@x", "sip:b@x", "two\n\nparagraphs");
        assert_eq!(
            text_of("Message/CPIM", &wrapped).as_deref(),
            Some("two\n\nparagraphs")
        );
        assert_eq!(
            text_of("text/plain;charset=utf-8", b"x").as_deref(),
            Some("x")
        );
        assert_eq!(text_of("image/png", b"x"), None);
        assert_eq!(text_of("message/cpim", b"no wrapper"), None);
    }

    #[test]
    fn typing_indications_are_known_bare_and_wrapped() {
        assert!(is_composing(
            "application/im-iscomposing+xml",
            b"<isComposing/>"
        ));
        let wrapped =
            b"From: <sip:a@x>\r\n\r\nContent-Type: application/im-iscomposing+xml\r\n\r\n";
        assert!(is_composing("message/cpim", wrapped));
        assert!(!is_composing(
            "text/plain",
            b"application/im-iscomposing+xml"
        ));
    }
}
