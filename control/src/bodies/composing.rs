//! "Is typing": `application/im-iscomposing+xml`. RFC 3994.

use super::Read;
use super::xml::{self, DECLARATION, escaped};

/// The media type.
pub const COMPOSING: &str = "application/im-iscomposing+xml";
const NAMESPACE: &str = "urn:ietf:params:xml:ns:im-iscomposing";
/// Seconds an `active` is believed that does not say. RFC 3994, 3.3.
pub const BELIEVED_S: u32 = 120;

/// A note about typing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composing {
    /// Whether somebody types. States that are not known count as idle: RFC 3994, 3.5.
    pub is_active: bool,
    /// The type of what is typed; empty if it does not say.
    pub content_type: String,
    /// Seconds the note is to be believed.
    pub refresh_s: u32,
}

impl Composing {
    /// Reads a note.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str) -> Read<Composing> {
        xml::read(text, (NAMESPACE, "isComposing"), |root| {
            let refresh = xml::text(root, "refresh").and_then(|text| text.parse().ok());
            Ok(Composing {
                is_active: xml::text(root, "state").as_deref() == Some("active"),
                content_type: xml::text(root, "contenttype").unwrap_or_default(),
                refresh_s: refresh.filter(|&seconds| seconds > 0).unwrap_or(BELIEVED_S),
            })
        })
    }

    /// Writes a note.
    pub fn write(&self) -> String {
        let state = if self.is_active { "active" } else { "idle" };
        let mut inside = format!("<state>{state}</state>");
        if !self.content_type.is_empty() {
            let content_type = escaped(&self.content_type);
            inside.push_str(&format!("<contenttype>{content_type}</contenttype>"));
        }
        if self.is_active && self.refresh_s > 0 {
            inside.push_str(&format!("<refresh>{}</refresh>", self.refresh_s));
        }
        format!("{DECLARATION}<isComposing xmlns=\"{NAMESPACE}\">{inside}</isComposing>\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3994_3_what_was_written_is_read_the_same() {
        let note = Composing {
            is_active: true,
            content_type: "text/plain".into(),
            refresh_s: 90,
        };
        assert_eq!(Composing::read(&note.write()).unwrap(), note);
    }

    #[test]
    fn rfc3994_3_3_without_a_refresh_an_active_is_believed_for_two_minutes() {
        for refresh in ["", "<refresh>0</refresh>", "<refresh>x</refresh>"] {
            let text = format!(
                "<isComposing xmlns=\"{NAMESPACE}\"><state>active</state>{refresh}</isComposing>"
            );
            assert_eq!(Composing::read(&text).unwrap().refresh_s, BELIEVED_S);
        }
    }

    #[test]
    fn rfc3994_3_5_an_unknown_state_is_idle() {
        let text =
            format!("<isComposing xmlns=\"{NAMESPACE}\"><state>dreaming</state></isComposing>");
        assert!(!Composing::read(&text).unwrap().is_active);
        assert!(Composing::read("<isComposing><state>active</state></isComposing>").is_err());
    }
}
