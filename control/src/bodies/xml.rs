//! Small XML documents: read within bounds, written with everything escaped.

use roxmltree::{Document, Node, ParsingOptions};

use super::{Malformed, Read, malformed};

/// Octets of one document; a body of a SIP message is smaller.
pub const XML_BYTES_MAX: usize = 64 * 1024;
/// Elements, texts and attributes of one document.
const NODES_MAX: u32 = 4096;

/// Reads a document whose root is this element. A DTD is refused, and entities with it.
///
/// # Errors
/// It is no XML, too large, or another document.
pub fn read<T>(
    text: &str,
    (namespace, name): (&str, &str),
    take: impl FnOnce(Node<'_, '_>) -> Read<T>,
) -> Read<T> {
    if text.len() > XML_BYTES_MAX {
        return malformed(format!("the XML has more than {XML_BYTES_MAX} octets"));
    }
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text.trim_start(), options)
        .map_err(|error| Malformed(format!("no XML: {error}")))?;
    let root = document.root_element();
    if !is(root, namespace, name) {
        let found = root.tag_name().name();
        return malformed(format!("the root is {found}, not {name} of {namespace}"));
    }
    take(root)
}

/// Whether a node is this element.
pub fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    let tag = node.tag_name();
    tag.name() == name && tag.namespace() == Some(namespace)
}

/// The first child of this name, in the namespace of its parent.
pub fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    let namespace = node.tag_name().namespace();
    let mut children = node.children();
    children.find(|one| one.tag_name().name() == name && one.tag_name().namespace() == namespace)
}

/// The text of the first child of this name, without the blanks around it.
pub fn text(node: Node<'_, '_>, name: &str) -> Option<String> {
    let text = child(node, name)?.text().unwrap_or_default();
    Some(text.trim().to_owned())
}

/// A text as XML writes it. Characters that XML has no way to write are left out.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

/// What documents begin with.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_could_grow_in_memory_is_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bb\">]><a xmlns=\"n\">&b;</a>";
        let wide = format!("<a xmlns=\"n\">{}</a>", "<b/>".repeat(NODES_MAX as usize));
        let large = format!("<a xmlns=\"n\">{}</a>", "x".repeat(XML_BYTES_MAX));
        for text in [bomb, &wide, &large, "", "<a>", "<a/>", "<b xmlns=\"n\"/>"] {
            assert!(read(text, ("n", "a"), |_| Ok(())).is_err(), "{text:.40}");
        }
        assert!(read("\r\n<x:a xmlns:x=\"n\"/>", ("n", "a"), |_| Ok(())).is_ok());
    }

    #[test]
    fn what_is_written_can_be_read() {
        let odd = "<&>\"'\u{0}\u{1f}ü";
        let text = format!("<a xmlns=\"n\" b=\"{0}\">{0}</a>", escaped(odd));
        let back = read(&text, ("n", "a"), |root| {
            Ok(root.attribute("b").map(str::to_owned))
        });
        assert_eq!(back.unwrap().unwrap(), "<&>\"'ü");
    }
}
