//! Feature tags: what a device can do, in Contact, and which device a request wants, in Accept-Contact.
//! RFC 3840, RFC 3841, and the references of services and applications of 3GPP TS 24.229.
//!
//! A tag is a whole *item*: `+g.oma.sip-im` (a flag), `name=value`, or `iari:…` and `icsi:…` for one entry of a list of
//! references. Items compare as a whole, never by parts: `…rcs.fthttp` begins like `…rcs.fthttpextra`.

use super::{Read, malformed};

/// Items of one message.
pub const ITEMS_MAX: usize = 128;
/// Octets of one item.
pub const ITEM_BYTES_MAX: usize = 256;

const IARI: &str = "+g.3gpp.iari-ref";
const ICSI: &str = "+g.3gpp.icsi-ref";
/// RCS Release 2 had another name for the same list.
const APP_REF: &str = "+g.3gpp.app_ref";

/// Tags without a `+`. RFC 3840, 9.
const BASE_TAGS: &[&str] = &[
    "audio",
    "automata",
    "class",
    "duplex",
    "data",
    "control",
    "mobility",
    "description",
    "events",
    "priority",
    "methods",
    "schemes",
    "application",
    "video",
    "language",
    "type",
    "isfocus",
    "actor",
    "text",
    "extensions",
];
/// Parameters that look like tags and are none.
const NO_TAGS: &[&str] = &["+sip.instance"];

/// The items in the values of Contact and Accept-Contact fields, each once, in their order. Parameters that
/// are no feature tags are passed over, and so is what says that something is *not* supported.
///
/// Names compare without case, and so do references and other tokens (RFC 3841, 7.2.4); both come out in lower case.
/// A name that occurs twice counts as one list, un-encoded references as encoded ones, `;` in a list as
/// `,`: handsets write all of these.
pub fn read<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let mut note = |item: String| {
        let fits = item.len() <= ITEM_BYTES_MAX && items.len() < ITEMS_MAX;
        if fits && !items.contains(&item) {
            items.push(item);
        }
    };
    for value in values.into_iter().flat_map(|value| split(value, ',')) {
        for parameter in split(value, ';').into_iter().skip(1) {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (parameter.trim(), None),
            };
            let name = name.to_ascii_lowercase();
            if !is_tag(&name) {
                continue;
            }
            let Some(value) = value.map(unquoted) else {
                note(name);
                continue;
            };
            match list_of(&name) {
                Some(kind) => value
                    .split([',', ';'])
                    .map(reference)
                    .filter(|entry| !entry.is_empty() && !entry.starts_with('!'))
                    .for_each(|entry| note(format!("{kind}:{entry}"))),
                None => match value.to_ascii_uppercase().as_str() {
                    "TRUE" => note(name),
                    "FALSE" | "!TRUE" => {}
                    // A string in angle brackets keeps its case: RFC 3840, 9.
                    _ if value.starts_with('<') => note(format!("{name}={value}")),
                    _ => note(format!("{name}={}", value.to_ascii_lowercase())),
                },
            }
        }
    }
    items
}

fn is_tag(name: &str) -> bool {
    let named = name
        .strip_prefix('+')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    (named && !NO_TAGS.contains(&name)) || BASE_TAGS.contains(&name)
}

fn list_of(name: &str) -> Option<&'static str> {
    match name {
        IARI | APP_REF => Some("iari"),
        ICSI => Some("icsi"),
        _ => None,
    }
}

/// One reference as it is meant: decoded once, lower case, the usual misprint mended.
fn reference(text: &str) -> String {
    let decoded = decoded(text.trim()).to_ascii_lowercase();
    decoded.replace("3gppapplication", "3gpp-application")
}

fn decoded(text: &str) -> String {
    let octets = text.as_bytes();
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while at < octets.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| octets[at] == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(octet) => {
                out.push(octet);
                at += 3;
            }
            None => {
                out.push(octets[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn unquoted(value: &str) -> &str {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// Parts between `separator`, where it stands neither in quotes nor in angle brackets.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped, mut bracketed, mut start) = (false, false, false, 0);
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !bracketed => quoted = !quoted,
            '<' if !quoted => bracketed = true,
            '>' if !quoted => bracketed = false,
            c if c == separator && !quoted && !bracketed => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Parameters for a Contact: name, and value in quotes, `None` for a flag. One of each name: flags and
/// values as they come, then all application references in one list, then all service references. RFC 3840, 9.
///
/// # Errors
/// An item that is no tag, too long, or too many of them.
pub fn write(items: &[String]) -> Read<Vec<(String, Option<String>)>> {
    if items.len() > ITEMS_MAX {
        return malformed(format!("more than {ITEMS_MAX} feature tags"));
    }
    let mut parameters: Vec<(String, Option<String>)> = Vec::new();
    let mut lists = [(IARI, Vec::new()), (ICSI, Vec::new())];
    for item in items {
        if item.len() > ITEM_BYTES_MAX {
            return malformed(format!(
                "a feature tag is longer than {ITEM_BYTES_MAX} octets"
            ));
        }
        let refuse = || malformed(format!("{}: no feature tag", item.escape_debug()));
        let references = [("iari:", 0), ("icsi:", 1)].into_iter();
        let mut references =
            references.filter_map(|(kind, at)| Some((item.strip_prefix(kind)?, at)));
        if let Some((reference, at)) = references.next() {
            let encoded = encoded(reference);
            if reference.is_empty() {
                return refuse();
            }
            if !lists[at].1.contains(&encoded) {
                lists[at].1.push(encoded);
            }
            continue;
        }
        let (name, value) = match item.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (item.as_str(), None),
        };
        let fits = |c: char| (' '..='~').contains(&c) && !matches!(c, '"' | '\\');
        if !is_tag(name) || list_of(name).is_some() || !name.chars().skip(1).all(is_token_char) {
            return refuse();
        }
        if value.is_some_and(|value| value.is_empty() || !value.chars().all(fits)) {
            return refuse();
        }
        if !parameters.iter().any(|(one, _)| one == name) {
            let value = value.map(|value| format!("\"{value}\""));
            parameters.push((name.to_owned(), value));
        }
    }
    for (name, entries) in lists {
        if !entries.is_empty() {
            let value = format!("\"{}\"", entries.join(","));
            parameters.push((name.to_owned(), Some(value)));
        }
    }
    Ok(parameters)
}

/// The same as text, for an Accept-Contact: `;+g.x;+g.y="z"`; empty for no tags.
///
/// # Errors
/// As for [`write`].
pub fn write_text(items: &[String]) -> Read<String> {
    let parameters = write(items)?;
    let written = parameters.into_iter().map(|(name, value)| match value {
        Some(value) => format!(";{name}={value}"),
        None => format!(";{name}"),
    });
    Ok(written.collect())
}

/// RFC 3840, 9: a colon is no character of a token.
fn encoded(reference: &str) -> String {
    let mut out = String::with_capacity(reference.len() + 8);
    for octet in reference.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                out.push(char::from(octet))
            }
            _ => out.push_str(&format!("%{octet:02X}")),
        }
    }
    out
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IM: &str = "iari:urn:urn-7:3gpp-application.ims.iari.rcse.im";
    const FT: &str = "iari:urn:urn-7:3gpp-application.ims.iari.rcse.ft";

    fn owned(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| item.to_string()).collect()
    }

    #[test]
    fn rfc3840_9_references_are_one_encoded_quoted_list() {
        let items = owned(&[
            "+g.oma.sip-im",
            IM,
            FT,
            "icsi:urn:urn-7:3gpp-service.ims.icsi.mmtel",
            "video",
        ]);
        let text = write_text(&items).unwrap();
        assert_eq!(
            text,
            ";+g.oma.sip-im;video;+g.3gpp.iari-ref=\"urn%3Aurn-7%3A3gpp-application.ims.iari.rcse.im,\
             urn%3Aurn-7%3A3gpp-application.ims.iari.rcse.ft\";+g.3gpp.icsi-ref=\
             \"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\""
        );
        let mut back = read([format!("<sip:a@b>{text}").as_str()]);
        back.sort();
        let mut items = items;
        items.sort();
        assert_eq!(back, items);
    }

    #[test]
    fn every_spelling_met_in_the_field_is_the_same_tag() {
        let encoded = "urn%3Aurn-7%3A3gpp-application.ims.iari.rcse";
        for value in [
            format!("<sip:b@x;gr=1>;+g.3gpp.iari-ref=\"{encoded}.im,{encoded}.ft\""),
            format!(
                "<sip:b@x>;+g.3gpp.iari-ref=\"{encoded}.im\";+g.3gpp.iari-ref=\"{encoded}.ft\""
            ),
            format!("<sip:b@x>; +g.3gpp.iari-ref = \"{encoded}.im , {encoded}.ft\""),
            format!("<sip:b@x>;+g.3gpp.iari-ref=\"{encoded}.im;{encoded}.ft\""),
            format!(
                "<sip:b@x>;+G.3GPP.IARI-REF=\"{}\"",
                format!("{encoded}.im,{encoded}.ft").to_uppercase()
            ),
            format!("<sip:b@x>;+g.3gpp.app_ref=\"{encoded}.im,{encoded}.ft\"")
                .replace("%3A", "%3a"),
            format!("<sip:b@x>;+g.3gpp.iari-ref=\"{encoded}.im,{encoded}.ft\"").replace("%3A", ":"),
            format!("<sip:b@x>;+g.3gpp.iari-ref=\"{encoded}.im,{encoded}.ft\"")
                .replace("3gpp-app", "3gppapp"),
        ] {
            assert_eq!(read([value.as_str()]), [IM, FT], "{value}");
        }
    }

    #[test]
    fn rfc3841_7_2_4_items_compare_as_a_whole() {
        let value =
            "*;+g.3gpp.iari-ref=\"urn%3Aurn-7%3A3gpp-application.ims.iari.rcs.fthttpextra\"";
        let items = read([value]);
        assert_eq!(
            items,
            ["iari:urn:urn-7:3gpp-application.ims.iari.rcs.fthttpextra"]
        );
        assert!(!items.contains(&"iari:urn:urn-7:3gpp-application.ims.iari.rcs.fthttp".to_owned()));
    }

    #[test]
    fn rfc3840_9_flags_values_and_what_is_not_supported() {
        let value = "\"A;video,x\" <sip:b@x;video>;audio=\"TRUE\";video=\"FALSE\";+g.x=\"!TRUE\";automata;\
            +g.gsma.rcs.botversion=\"#=1\";+sip.instance=\"<urn:uuid:1>\";q=0.5;expires=60;reg-id=1;+g.y=\"<Abc>\";\
            +g.3gpp.iari-ref=\"!urn%3Ax\", <sip:c@x>;text";
        assert_eq!(
            read([value]),
            [
                "audio",
                "automata",
                "+g.gsma.rcs.botversion=#=1",
                "+g.y=<Abc>",
                "text"
            ]
        );
        assert_eq!(
            read(["*;require;explicit;+g.oma.sip-im", "*;video"]),
            ["+g.oma.sip-im", "video"]
        );
    }

    #[test]
    fn nothing_but_tags_gets_into_a_header() {
        for item in [
            "",
            "q",
            "+",
            "+1x",
            "a b",
            "+g.x\r\nVia: y",
            "+g.x=\"",
            "+g.x=",
            "iari:",
            "+g.3gpp.iari-ref=x",
            "x;y",
            "+g.x;y",
            "+sip.instance=x",
        ] {
            assert!(write(&owned(&[item])).is_err(), "{item:?}");
        }
        // Whatever stands in a reference is encoded.
        assert_eq!(
            write_text(&owned(&["iari:a\",\r\n;"])).unwrap(),
            ";+g.3gpp.iari-ref=\"a%22%2C%0D%0A%3B\""
        );
        assert!(write(&vec!["video".to_owned(); ITEMS_MAX + 1]).is_err());
    }

    #[test]
    fn a_flood_of_tags_is_cut_off() {
        let many: String = (0..1000).map(|number| format!(";+g.x{number}")).collect();
        assert_eq!(read([format!("*{many}").as_str()]).len(), ITEMS_MAX);
    }
}
