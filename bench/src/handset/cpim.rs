//! Texts in a `message/cpim` wrapper (RFC 3862), what their senders want to know (RFC 5438), typing (RFC 3994).

use super::sip::token;

const NAMESPACE: &str = "NS: imdn <urn:ietf:params:imdn>";
const NOTIFICATION: &str = "message/imdn+xml";
const COMPOSING: &str = "application/im-iscomposing+xml";
/// No clock is needed to be correlated by: the id is.
const DATE: &str = "2024-05-01T10:00:00.000Z";

/// What a wrapper says about what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// `imdn.Message-ID`; empty if there is none.
    pub id: String,
    /// The sender's date.
    pub date: String,
    /// URI of who says it, and of whom it is for; empty if that is nobody.
    pub from: String,
    /// The same.
    pub to: String,
    wanted: String,
}

impl Envelope {
    /// The wrapper of a message, if it is one.
    pub fn of(content_type: &str, content: &[u8]) -> Option<Envelope> {
        let (envelope, _, _) = unwrapped(content_type, content)?;
        let header = |name: &str| {
            let lines = envelope.lines().filter_map(|line| line.split_once(':'));
            let mut found = lines.filter(|(one, _)| *one == name);
            found
                .next()
                .map_or("", |(_, value)| value.trim())
                .to_owned()
        };
        // The prefix is what NS says it is: RFC 5438, 6.1.
        let prefix = envelope.lines().find_map(|line| {
            let (prefix, uri) = line.strip_prefix("NS:")?.split_once('<')?;
            (uri == "urn:ietf:params:imdn>").then(|| prefix.trim().to_owned())
        });
        let prefix = prefix.unwrap_or("imdn".to_owned());
        let party = |name: &str| {
            let value = header(name);
            let uri = value
                .rsplit_once('<')
                .map_or("", |(_, uri)| uri.trim_end_matches('>'));
            let uri = if uri.ends_with("@anonymous.invalid") {
                ""
            } else {
                uri
            };
            uri.to_owned()
        };
        Some(Envelope {
            from: party("From"),
            to: party("To"),
            id: header(&format!("{prefix}.Message-ID")),
            date: header("DateTime"),
            wanted: header(&format!("{prefix}.Disposition-Notification")),
        })
    }

    /// Whether the sender wants to know of this.
    pub fn wants(&self, what: &str) -> bool {
        let mut words = self.wanted.split(',').map(str::trim);
        !self.id.is_empty() && words.any(|word| word.eq_ignore_ascii_case(what))
    }
}

/// Whether a message of this type is a wrapper.
pub fn is_envelope(content_type: &str) -> bool {
    bare_type(content_type) == "message/cpim"
}

/// Envelope, MIME headers and content.
fn unwrapped(content_type: &str, content: &[u8]) -> Option<(String, String, String)> {
    if !is_envelope(content_type) {
        return None;
    }
    let text = String::from_utf8_lossy(content).replace("\r\n", "\n");
    let (envelope, wrapped) = text.split_once("\n\n")?;
    let (headers, body) = wrapped.split_once("\n\n")?;
    Some((envelope.to_owned(), headers.to_owned(), body.to_owned()))
}

fn wrapped_type(headers: &str) -> String {
    let mut lines = headers.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
    found.map_or("text/plain".to_owned(), |(_, value)| bare_type(value))
}

/// The text that a message of this type holds, if it holds text. Wrapped text is unwrapped.
pub fn text_of(content_type: &str, content: &[u8]) -> Option<String> {
    if bare_type(content_type) == "text/plain" {
        return Some(String::from_utf8_lossy(content).into_owned());
    }
    let (_, headers, body) = unwrapped(content_type, content)?;
    (wrapped_type(&headers) == "text/plain").then_some(body)
}

/// Which message of ours a notification is about, and what became of it.
pub fn notification_of(content_type: &str, content: &[u8]) -> Option<(String, String)> {
    let (_, headers, body) = unwrapped(content_type, content)?;
    if wrapped_type(&headers) != NOTIFICATION {
        return None;
    }
    let between = |start: &str, end: &str| {
        let rest = body.split_once(start)?.1;
        Some(rest.split_once(end)?.0.trim().to_owned())
    };
    Some((between("<message-id>", "</")?, between("<status><", "/>")?))
}

/// Whether a message of this type says that somebody is typing, or no longer is. `None`: it is about
/// something else. RFC 3994.
pub fn composing_of(content_type: &str, content: &[u8]) -> Option<bool> {
    let text = match unwrapped(content_type, content) {
        Some((_, headers, body)) if wrapped_type(&headers) == COMPOSING => body,
        None if bare_type(content_type) == COMPOSING => String::from_utf8_lossy(content).into(),
        _ => return None,
    };
    Some(text.contains("<state>active</state>"))
}

/// A note about typing.
pub fn composing(active: bool) -> (String, Vec<u8>) {
    let state = if active { "active" } else { "idle" };
    let note = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<isComposing \
         xmlns=\"urn:ietf:params:xml:ns:im-iscomposing\"><state>{state}</state>\
         <refresh>60</refresh></isComposing>"
    );
    (COMPOSING.to_owned(), note.into_bytes())
}

/// Wraps a text, and asks what becomes of it.
pub fn wrap(from: &str, to: &str, id: &str, text: &str) -> Vec<u8> {
    let wrapped = format!(
        "From: <{from}>\r\nTo: <{to}>\r\n{NAMESPACE}\r\nimdn.Message-ID: {id}\r\nDateTime: {DATE}\r\n\
         imdn.Disposition-Notification: positive-delivery, display\r\n\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    );
    wrapped.into_bytes()
}

/// Says what became of a message, in an envelope that asks for nothing.
pub fn notification(from: &str, to: &str, about: &Envelope, status: &str) -> Vec<u8> {
    let kind = if status == "displayed" {
        "display"
    } else {
        "delivery"
    };
    let (own, id, date) = (token(12), &about.id, &about.date);
    let wrapped = format!(
        "From: <{from}>\r\nTo: <{to}>\r\n{NAMESPACE}\r\nimdn.Message-ID: {own}\r\nDateTime: {DATE}\r\n\r\n\
         Content-Type: {NOTIFICATION}\r\nContent-Disposition: notification\r\n\r\n\
         <?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<imdn xmlns=\"urn:ietf:params:xml:ns:imdn\">\
         <message-id>{id}</message-id><datetime>{date}</datetime>\
         <{kind}-notification><status><{status}/></status></{kind}-notification></imdn>"
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

    const CPIM: &str = "Message/CPIM";

    #[test]
    fn a_wrapped_text_comes_out_as_it_went_in() {
        let wrapped = wrap("sip:a@x", "sip:b@x", "m1", "two\n\nparagraphs");
        assert_eq!(
            text_of(CPIM, &wrapped).as_deref(),
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
    fn rfc5438_a_notification_is_about_the_message_that_asked_for_it() {
        let wrapped = wrap("sip:a@x", "sip:b@x", "m1", "text");
        let envelope = Envelope::of(CPIM, &wrapped).unwrap();
        assert_eq!(envelope.id, "m1");
        assert!(envelope.wants("display") && !envelope.wants("negative-delivery"));
        let free = String::from_utf8(wrapped).unwrap().replace("imdn.", "x.");
        let free = free.replace("NS: imdn", "NS: x");
        assert_eq!(Envelope::of(CPIM, free.as_bytes()).unwrap(), envelope);
        for status in ["delivered", "displayed"] {
            let told = notification("sip:b@x", "sip:a@x", &envelope, status);
            let known = ("m1".to_owned(), status.to_owned());
            assert_eq!(notification_of(CPIM, &told), Some(known));
            assert!(!Envelope::of(CPIM, &told).unwrap().wants("display"));
            assert_eq!(text_of(CPIM, &told), None);
        }
    }

    #[test]
    fn typing_indications_are_known_bare_and_wrapped() {
        let (kind, note) = composing(true);
        assert_eq!(composing_of(&kind, &note), Some(true));
        assert_eq!(composing_of(&kind, &composing(false).1), Some(false));
        let head = format!("From: <sip:a@x>\r\n\r\nContent-Type: {kind}\r\n\r\n");
        let wrapped = [head.as_bytes(), &note].concat();
        assert_eq!(composing_of("message/cpim", &wrapped), Some(true));
        assert_eq!(composing_of("text/plain", &note), None);
    }
}
