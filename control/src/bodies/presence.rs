//! Presence documents as RCS uses them: which services somebody has. RFC 3863 (PIDF), RFC 5196, and
//! OMA's service descriptions.

use super::xml::{self, DECLARATION, escaped};
use super::{Read, malformed};

/// The media type.
pub const PIDF: &str = "application/pidf+xml";
const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf";
const OMA: &str = "urn:oma:xml:prs:pidf:oma-pres";
const CAPS: &str = "urn:ietf:params:xml:ns:pidf:caps";
/// Tuples of one document.
pub const TUPLES_MAX: usize = 128;

/// One tuple.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuple {
    /// `open`: closed tuples are no capabilities.
    pub is_open: bool,
    /// `service-id` of the service description; empty if there is none.
    pub service: String,
    /// Its version, as written: 1.0 and 2.0 are two services.
    pub version: String,
    /// The contact, a URI.
    pub contact: String,
    /// The media that RFC 5196 says the service can do, such as `audio`.
    pub media: Vec<String>,
}

/// A presence document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Whose it is.
    pub entity: String,
    /// Its tuples in their order.
    pub tuples: Vec<Tuple>,
}

impl Presence {
    /// Reads a document.
    ///
    /// # Errors
    /// It is none, names nobody, or has too many tuples.
    pub fn read(text: &str) -> Read<Presence> {
        xml::read(text, (NAMESPACE, "presence"), |root| {
            let Some(entity) = root.attribute("entity") else {
                return malformed("the presence document has no entity");
            };
            let mut tuples = Vec::new();
            for node in root
                .children()
                .filter(|node| xml::is(*node, NAMESPACE, "tuple"))
            {
                if tuples.len() >= TUPLES_MAX {
                    return malformed(format!("more than {TUPLES_MAX} tuples"));
                }
                tuples.push(read_tuple(node));
            }
            let entity = entity.to_owned();
            Ok(Presence { entity, tuples })
        })
    }

    /// Writes a document.
    ///
    /// # Errors
    /// It names nobody, or has too many tuples.
    pub fn write(&self) -> Read<String> {
        if self.entity.is_empty() || self.tuples.len() > TUPLES_MAX {
            return malformed(format!(
                "a document has an entity and at most {TUPLES_MAX} tuples"
            ));
        }
        let mut tuples = String::new();
        for (at, tuple) in self.tuples.iter().enumerate() {
            let basic = if tuple.is_open { "open" } else { "closed" };
            let service = match tuple.service.as_str() {
                "" => String::new(),
                service => format!(
                    "<op:service-description><op:service-id>{}</op:service-id><op:version>{}</op:version>\
                     </op:service-description>",
                    escaped(service),
                    escaped(&tuple.version)
                ),
            };
            let media: String = (tuple.media.iter())
                .filter(|word| word.bytes().all(|b| b.is_ascii_alphanumeric()))
                .map(|word| format!("<caps:{word}>true</caps:{word}>"))
                .collect();
            let media = match media.as_str() {
                "" => String::new(),
                media => format!("<caps:servcaps>{media}</caps:servcaps>"),
            };
            let contact = match tuple.contact.as_str() {
                "" => String::new(),
                uri => format!("<contact>{}</contact>", escaped(uri)),
            };
            tuples.push_str(&format!(
                "<tuple id=\"t{at}\"><status><basic>{basic}</basic></status>{service}{media}{contact}</tuple>\n"
            ));
        }
        let entity = escaped(&self.entity);
        Ok(format!(
            "{DECLARATION}<presence xmlns=\"{NAMESPACE}\" xmlns:op=\"{OMA}\" xmlns:caps=\"{CAPS}\" \
             entity=\"{entity}\">\n{tuples}</presence>\n"
        ))
    }
}

fn read_tuple(node: roxmltree::Node<'_, '_>) -> Tuple {
    let other = |namespace: &str, name: &str| {
        let mut children = node.children();
        children.find(|child| xml::is(*child, namespace, name))
    };
    let description = other(OMA, "service-description");
    let about = |name: &str| {
        description
            .and_then(|node| xml::text(node, name))
            .unwrap_or_default()
    };
    let media = other(CAPS, "servcaps").map_or(Vec::new(), |caps| {
        let can = caps
            .children()
            .filter(|node| node.text().map(str::trim) == Some("true"));
        can.map(|node| node.tag_name().name().to_owned()).collect()
    });
    let basic = xml::child(node, "status").and_then(|status| xml::text(status, "basic"));
    Tuple {
        is_open: basic.as_deref() == Some("open"),
        service: about("service-id"),
        version: about("version"),
        contact: xml::text(node, "contact").unwrap_or_default(),
        media,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(is_open: bool, service: &str, version: &str) -> Tuple {
        Tuple {
            is_open,
            service: service.into(),
            version: version.into(),
            contact: "tel:+12025550101".into(),
            media: vec!["audio".into()],
        }
    }

    #[test]
    fn rfc3863_4_what_was_written_is_read_the_same() {
        let presence = Presence {
            entity: "tel:+12025550101".into(),
            tuples: vec![
                tuple(
                    true,
                    "org.3gpp.urn:urn-7:3gpp-service.ims.icsi.mmtel",
                    "1.0",
                ),
                tuple(false, "org.openmobilealliance:File-Transfer", "1.0"),
                tuple(true, "org.openmobilealliance:File-Transfer", "2.0"),
            ],
        };
        assert_eq!(
            Presence::read(&presence.write().unwrap()).unwrap(),
            presence
        );
        assert!(Presence::default().write().is_err());
    }

    #[test]
    fn rfc3863_4_1_a_tuple_without_a_word_is_not_open() {
        let text = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:b@x\">\
            <tuple id=\"a\"><status/></tuple><tuple id=\"b\"><status><basic>OPEN</basic></status></tuple>\
            <note>hello</note></presence>";
        let presence = Presence::read(text).unwrap();
        assert_eq!(presence.tuples, [Tuple::default(), Tuple::default()]);
        assert!(Presence::read(&text.replace(" entity=\"sip:b@x\"", "")).is_err());
        assert!(Presence::read("<presence entity=\"x\"/>").is_err());
    }
}
