//! The icon of a file, a small picture that goes along with its offer in a part of its own. RFC 5547, 6 and 8.8.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::files::FileOffer;
use super::parts;
use super::sip::{Message, token};

/// An icon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icon {
    /// Its Content-ID, without brackets.
    pub id: String,
    /// Its type.
    pub content_type: String,
    /// Its octets.
    pub content: Vec<u8>,
}

impl Icon {
    /// Reads a picture, whose type is that of its name's ending.
    pub fn read(path: &Path) -> io::Result<Icon> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let kind = match ending.unwrap_or("").to_ascii_lowercase().as_str() {
            "" | "jpg" => "jpeg".to_owned(),
            ending => ending.to_owned(),
        };
        Ok(Icon {
            id: format!("{}@handset.invalid", token(12)),
            content_type: format!("image/{kind}"),
            content: std::fs::read(path)?,
        })
    }

    /// What comes along with the offer of a file: the part that the description names.
    pub fn of(invite: &Message, file: &FileOffer) -> Option<Icon> {
        let id = file.icon.clone()?;
        let (head, content) = parts::named(invite, &id)?;
        let encoding = parts::field(&head, "Content-Transfer-Encoding").unwrap_or("");
        let content = match encoding.eq_ignore_ascii_case("base64") {
            true => BASE64_STANDARD
                .decode(content.split_ascii_whitespace().collect::<String>())
                .ok()?,
            false => content.into_bytes(),
        };
        Some(Icon {
            id,
            content_type: parts::field(&head, "Content-Type")?.to_owned(),
            content,
        })
    }

    /// A body of a description and the icon. Handsets call the whole mixed, where RFC 5547 has related, and write base64.
    pub fn beside(&self, description: &[u8]) -> (String, Vec<u8>) {
        let (kind, id) = (&self.content_type, &self.id);
        let head = format!(
            "Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <{id}>\r\n\
             Content-Disposition: icon"
        );
        let content = BASE64_STANDARD.encode(&self.content);
        parts::with_part(description, &head, content.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5547_8_8_an_icon_comes_out_as_it_went_in_and_only_under_its_name() {
        let icon = Icon {
            id: "i1@h".to_owned(),
            content_type: "image/png".to_owned(),
            content: vec![0xff, 0, b'\r', b'\n', b'-'],
        };
        let (kind, body) = icon.beside(b"v=0\r\n");
        let mut invite = Message::request("INVITE", "sip:f@x");
        invite.set_body(&kind, body);
        assert_eq!(parts::description(&invite), b"v=0\r\n");
        let named = |id: Option<&str>| FileOffer {
            icon: id.map(str::to_owned),
            ..FileOffer::default()
        };
        assert_eq!(Icon::of(&invite, &named(Some("i1@h"))), Some(icon));
        assert_eq!(Icon::of(&invite, &named(Some("i2@h"))), None);
        assert_eq!(Icon::of(&invite, &named(None)), None);
    }
}
