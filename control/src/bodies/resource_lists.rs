//! Lists of people: `application/resource-lists+xml`. RFC 4826, with the roles of RFC 5364.

use super::xml::{self, DECLARATION, escaped};
use super::{Read, malformed};

/// The media type.
pub const RESOURCE_LISTS: &str = "application/resource-lists+xml";
const NAMESPACE: &str = "urn:ietf:params:xml:ns:resource-lists";
const COPY_CONTROL: &str = "urn:ietf:params:xml:ns:copycontrol";
/// Entries of one document: a large group.
pub const ENTRIES_MAX: usize = 256;

/// Somebody on a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The URI.
    pub uri: String,
    /// The name to show; may be empty.
    pub name: String,
    /// `to`, `cc` or `bcc`; empty where it does not say.
    pub role: String,
}

/// Reads everybody on all lists, nested ones too, in their order.
///
/// # Errors
/// It is no such document, or has too many entries.
pub fn read(text: &str) -> Read<Vec<Entry>> {
    xml::read(text, (NAMESPACE, "resource-lists"), |root| {
        let mut entries = Vec::new();
        for node in root
            .descendants()
            .filter(|node| xml::is(*node, NAMESPACE, "entry"))
        {
            let Some(uri) = node.attribute("uri").filter(|uri| !uri.is_empty()) else {
                return malformed("an entry has no uri");
            };
            if entries.len() >= ENTRIES_MAX {
                return malformed(format!("more than {ENTRIES_MAX} entries"));
            }
            let role = node.attribute((COPY_CONTROL, "copyControl"));
            entries.push(Entry {
                uri: uri.to_owned(),
                name: xml::text(node, "display-name").unwrap_or_default(),
                role: role.unwrap_or_default().to_owned(),
            });
        }
        Ok(entries)
    })
}

/// Writes one list.
///
/// # Errors
/// Nobody is on it, or too many are.
pub fn write(entries: &[Entry]) -> Read<String> {
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        return malformed(format!("a list has 1 to {ENTRIES_MAX} entries"));
    }
    let mut lines = String::new();
    for Entry { uri, name, role } in entries {
        let role = match role.as_str() {
            "" => String::new(),
            role => format!(" cp:copyControl=\"{}\"", escaped(role)),
        };
        let name = match name.as_str() {
            "" => String::new(),
            name => format!("<display-name>{}</display-name>", escaped(name)),
        };
        lines.push_str(&format!(
            "<entry uri=\"{}\"{role}>{name}</entry>\n",
            escaped(uri)
        ));
    }
    Ok(format!(
        "{DECLARATION}<resource-lists xmlns=\"{NAMESPACE}\" xmlns:cp=\"{COPY_CONTROL}\">\n<list>\n\
         {lines}</list>\n</resource-lists>\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4826_3_what_was_written_is_read_the_same() {
        let entry = |uri: &str, name: &str, role: &str| Entry {
            uri: uri.into(),
            name: name.into(),
            role: role.into(),
        };
        let entries = [
            entry("sip:bill@example.com", "Bill \"B\" <Doe>", "to"),
            entry("tel:+12025550102", "", ""),
        ];
        assert_eq!(read(&write(&entries).unwrap()).unwrap(), entries);
        assert!(write(&[]).is_err());
        assert!(write(&vec![entries[1].clone(); ENTRIES_MAX + 1]).is_err());
    }

    #[test]
    fn rfc4826_3_2_lists_in_lists_are_read_too() {
        let text = format!(
            "<rl:resource-lists xmlns:rl=\"{NAMESPACE}\"><rl:list name=\"a\"><rl:entry uri=\"sip:a@x\"/>\
             <rl:list><rl:entry uri=\"sip:b@x\"/></rl:list></rl:list></rl:resource-lists>"
        );
        let uris: Vec<String> = read(&text)
            .unwrap()
            .into_iter()
            .map(|entry| entry.uri)
            .collect();
        assert_eq!(uris, ["sip:a@x", "sip:b@x"]);
        assert!(read(&text.replace(" uri=\"sip:a@x\"", "")).is_err());
    }
}
