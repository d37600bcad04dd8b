//! Notifications of what became of a message: `message/imdn+xml`. RFC 5438.

use super::xml::{self, DECLARATION, escaped};
use super::{Malformed, Read, malformed};

/// The media type.
pub const IMDN: &str = "message/imdn+xml";
const NAMESPACE: &str = "urn:ietf:params:xml:ns:imdn";

/// What a notification is about, with the states it may tell. RFC 5438, 11.1.7.
const KINDS: &[(&str, &[&str])] = &[
    ("delivery", &["delivered", "failed", "forbidden", "error"]),
    ("display", &["displayed", "forbidden", "error"]),
    ("processing", &["processed", "stored", "forbidden", "error"]),
];

/// A notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imdn {
    /// `imdn.Message-ID` of the message it is about.
    pub message_id: String,
    /// When that was sent; deployed handsets put the time of the event here, so nothing is told by it.
    pub date_time: String,
    /// Who notifies, where it says so.
    pub recipient: String,
    /// Whom the message was for before somebody on its way had it for somebody else; empty if that is not known.
    pub original: String,
    /// `delivery`, `display` or `processing`.
    pub kind: String,
    /// `delivered`, `displayed`, `failed` …
    pub status: String,
}

impl Imdn {
    /// Reads a notification. A status that is not known counts as `error`.
    ///
    /// # Errors
    /// It is none, or does not say which message it is about.
    pub fn read(text: &str) -> Read<Imdn> {
        xml::read(text, (NAMESPACE, "imdn"), |root| {
            let Some(message_id) = xml::text(root, "message-id").filter(|id| !id.is_empty()) else {
                return malformed("the notification has no message-id");
            };
            let told = KINDS.iter().find_map(|(kind, known)| {
                let notification = xml::child(root, &format!("{kind}-notification"))?;
                let status = xml::child(notification, "status")?;
                let mut words = status.children().map(|word| word.tag_name().name());
                let word = words.find(|word| !word.is_empty()).unwrap_or_default();
                let word = known
                    .iter()
                    .find(|known| **known == word)
                    .unwrap_or(&"error");
                Some((kind.to_string(), word.to_string()))
            });
            let Some((kind, status)) = told else {
                return malformed("the notification has no status");
            };
            Ok(Imdn {
                message_id,
                date_time: xml::text(root, "datetime").unwrap_or_default(),
                recipient: xml::text(root, "recipient-uri").unwrap_or_default(),
                original: xml::text(root, "original-recipient-uri").unwrap_or_default(),
                kind,
                status,
            })
        })
    }

    /// Writes a notification. RFC 5438, 11.1.
    ///
    /// # Errors
    /// A kind or status there is not, or no message id.
    pub fn write(&self) -> Read<String> {
        let known = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        let status = known.and_then(|(_, known)| known.iter().find(|one| **one == self.status));
        let Some(status) = status else {
            let (kind, status) = (&self.kind, &self.status);
            return Err(Malformed(format!(
                "there is no {kind} notification of {status}"
            )));
        };
        if self.message_id.is_empty() {
            return malformed("a notification needs a message id");
        }
        let (id, date, kind) = (
            escaped(&self.message_id),
            escaped(&self.date_time),
            &self.kind,
        );
        let uri = |name: &str, uri: &str| match uri {
            "" => String::new(),
            uri => format!("<{name}>{}</{name}>\n", escaped(uri)),
        };
        let recipient = uri("recipient-uri", &self.recipient);
        let original = uri("original-recipient-uri", &self.original);
        Ok(format!(
            "{DECLARATION}<imdn xmlns=\"{NAMESPACE}\">\n<message-id>{id}</message-id>\n\
             <datetime>{date}</datetime>\n{recipient}{original}<{kind}-notification><status><{status}/></status>\
             </{kind}-notification>\n</imdn>\n"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5438_11_1_what_was_written_is_read_the_same() {
        for (kind, states) in KINDS {
            for status in *states {
                let imdn = Imdn {
                    message_id: "34<jk>324j".into(),
                    date_time: "2006-04-04T12:16:49-05:00".into(),
                    recipient: "sip:bob@example.com".into(),
                    original: "sip:all@example.com".into(),
                    kind: kind.to_string(),
                    status: status.to_string(),
                };
                assert_eq!(Imdn::read(&imdn.write().unwrap()).unwrap(), imdn);
            }
        }
    }

    #[test]
    fn rfc5438_11_1_7_a_status_belongs_to_its_kind() {
        let mut imdn = Imdn {
            message_id: "x".into(),
            kind: "display".into(),
            status: "delivered".into(),
            ..Imdn::default()
        };
        assert!(imdn.write().is_err());
        imdn.status = "displayed".into();
        imdn.message_id.clear();
        assert!(imdn.write().is_err());
    }

    #[test]
    fn rfc5438_9_a_prefix_is_as_good_and_a_new_status_is_an_error() {
        let text = "<?xml version='1.0'?><i:imdn xmlns:i=\"urn:ietf:params:xml:ns:imdn\">\
            <i:message-id> m1 </i:message-id><i:delivery-notification><i:status> <i:eaten/></i:status>\
            </i:delivery-notification></i:imdn>";
        let imdn = Imdn::read(text).unwrap();
        assert_eq!(
            (imdn.message_id.as_str(), imdn.status.as_str()),
            ("m1", "error")
        );
    }

    #[test]
    fn what_is_no_notification_is_refused() {
        let root = |inside: &str| format!("<imdn xmlns=\"{NAMESPACE}\">{inside}</imdn>");
        let status = "<display-notification><status><displayed/></status></display-notification>";
        for text in [
            root(""),
            root(status),
            root("<message-id></message-id>") + status,
            root("<message-id>x</message-id>"),
            "<imdn><message-id>x</message-id></imdn>".to_owned(),
        ] {
            assert!(Imdn::read(&text).is_err(), "{text}");
        }
    }
}
