//! Who is in a group: `application/conference-info+xml`. RFC 4575.

use super::xml;
use super::{Read, malformed};

/// The media type.
pub const CONFERENCE: &str = "application/conference-info+xml";
const NAMESPACE: &str = "urn:ietf:params:xml:ns:conference-info";
/// Users of one document.
pub const USERS_MAX: usize = 512;

/// What a document, or a part of it, says about what is known already. RFC 4575, 4.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// It is all there is: what was known is forgotten.
    #[default]
    Full,
    /// It is what has changed.
    Partial,
    /// It is gone.
    Deleted,
}

impl Scope {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Full => "full",
            Scope::Partial => "partial",
            Scope::Deleted => "deleted",
        }
    }

    fn of(word: Option<&str>) -> Scope {
        match word {
            Some("partial") => Scope::Partial,
            Some("deleted") => Scope::Deleted,
            // RFC 4575, 5.1: full is the default.
            _ => Scope::Full,
        }
    }
}

/// Somebody in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub entity: String,
    /// The name to show; may be empty.
    pub name: String,
    /// What this says of them.
    pub scope: Scope,
    /// The status of the first endpoint that says one: `connected`, `disconnected`, `pending` …
    pub status: String,
    /// Why they left, as the endpoint says it: `departed`, `booted`, `failed`.
    pub left_by: String,
    /// The reason with it, such as `SIP;cause=603;text="Decline"`.
    pub reason: String,
    /// Whether it is the reader.
    pub is_self: bool,
}

/// What a document tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conference {
    /// The group's address.
    pub entity: String,
    /// What this says of it.
    pub scope: Scope,
    /// Counts up by one from document to document. RFC 4575, 4.4.
    pub version: u32,
    /// The group's title; may be empty.
    pub subject: String,
    /// How many may be in it, where it says so.
    pub users_max: Option<u32>,
    /// Whom it tells of.
    pub users: Vec<User>,
}

impl Conference {
    /// Reads a document.
    ///
    /// # Errors
    /// It is none, names no group, or has too many users.
    pub fn read(text: &str) -> Read<Conference> {
        xml::read(text, (NAMESPACE, "conference-info"), |root| {
            let Some(entity) = root.attribute("entity") else {
                return malformed("the conference document has no entity");
            };
            let description = xml::child(root, "conference-description");
            let about = |name: &str| description.and_then(|node| xml::text(node, name));
            let users = xml::child(root, "users");
            let people = users.map_or(Vec::new(), |users| {
                let users = users
                    .children()
                    .filter(|node| xml::is(*node, NAMESPACE, "user"));
                users.take(USERS_MAX + 1).collect()
            });
            if people.len() > USERS_MAX {
                return malformed(format!("more than {USERS_MAX} users"));
            }
            Ok(Conference {
                entity: entity.to_owned(),
                scope: Scope::of(root.attribute("state")),
                version: root
                    .attribute("version")
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0),
                subject: about("subject")
                    .or_else(|| about("display-text"))
                    .unwrap_or_default(),
                users_max: about("maximum-user-count").and_then(|text| text.parse().ok()),
                users: people.into_iter().map(read_user).collect(),
            })
        })
    }
}

fn read_user(node: roxmltree::Node<'_, '_>) -> User {
    let endpoints = node
        .children()
        .filter(|child| xml::is(*child, NAMESPACE, "endpoint"));
    let told = |name: &str| {
        endpoints
            .clone()
            .find_map(|endpoint| xml::text(endpoint, name))
    };
    User {
        entity: node.attribute("entity").unwrap_or_default().to_owned(),
        name: xml::text(node, "display-text").unwrap_or_default(),
        scope: Scope::of(node.attribute("state")),
        status: told("status").unwrap_or_default(),
        left_by: told("disconnection-method").unwrap_or_default(),
        reason: endpoints
            .clone()
            .filter_map(|endpoint| xml::child(endpoint, "disconnection-info"))
            .find_map(|info| xml::text(info, "reason"))
            .unwrap_or_default(),
        is_self: node.attribute("yourown") == Some("true"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4575_4_full_partial_and_deleted_are_told_apart() {
        let text = format!(
            "<conference-info xmlns=\"{NAMESPACE}\" entity=\"sip:g@f.example.com\" state=\"partial\" version=\"7\">\
             <conference-description><subject>Lunch</subject><maximum-user-count>10</maximum-user-count>\
             </conference-description><users state=\"partial\">\
             <user entity=\"sip:bob@x\" state=\"full\"><display-text>Bob &amp; Co</display-text>\
             <endpoint entity=\"sip:bob@x;gr=1\"><status>connected</status></endpoint></user>\
             <user entity=\"sip:carol@x\" state=\"deleted\"/>\
             <user entity=\"sip:dave@x\"><endpoint><status>disconnected</status>\
             <disconnection-method>booted</disconnection-method><disconnection-info>\
             <reason>SIP;cause=200</reason></disconnection-info></endpoint></user></users></conference-info>"
        );
        let conference = Conference::read(&text).unwrap();
        assert_eq!((conference.scope, conference.version), (Scope::Partial, 7));
        assert_eq!(
            (conference.subject.as_str(), conference.users_max),
            ("Lunch", Some(10))
        );
        let [bob, carol, dave] = &conference.users[..] else {
            panic!("{:?}", conference.users)
        };
        assert_eq!(
            (bob.name.as_str(), bob.status.as_str()),
            ("Bob & Co", "connected")
        );
        assert_eq!(carol.scope, Scope::Deleted);
        assert_eq!(
            (dave.status.as_str(), dave.left_by.as_str()),
            ("disconnected", "booted")
        );
        assert_eq!(dave.reason, "SIP;cause=200");
        // RFC 4575, 5.1: what says nothing is all there is.
        assert_eq!(dave.scope, Scope::Full);
        assert!(Conference::read(&text.replace(" entity=\"sip:g@f.example.com\"", "")).is_err());
        let user = "<user entity=\"sip:a@x\"/>".repeat(USERS_MAX + 1);
        let many = format!(
            "<conference-info xmlns=\"{NAMESPACE}\" entity=\"x\"><users>{user}</users></conference-info>"
        );
        assert!(Conference::read(&many).is_err());
    }
}
