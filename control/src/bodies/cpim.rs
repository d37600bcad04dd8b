//! The envelope `message/cpim`. RFC 3862.
//!
//! Names of its headers compare with case and are not folded; the MIME headers of what is inside compare
//! without.

use super::part::{HEAD_BYTES_MAX, HEADERS_MAX, Part, is_token};
use super::{Malformed, Read, malformed, one_line};

/// The envelope's media type.
pub const CPIM: &str = "message/cpim";
/// Whom handsets name in the envelope of a chat between two: the signalling says who they are.
pub const NOBODY: &str = "<sip:anonymous@anonymous.invalid>";
/// The namespace of the headers that ask for notifications. RFC 5438, 6.
pub const IMDN_NAMESPACE: &str = "urn:ietf:params:imdn";

/// The most hops that want to see what becomes of a message.
pub const ROUTES_MAX: usize = 8;

/// An envelope and what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpim {
    /// Its headers in their order, values as they were written.
    pub headers: Vec<(String, String)>,
    /// What is in it.
    pub part: Part,
}

impl Cpim {
    /// Reads an envelope.
    ///
    /// # Errors
    /// A header that is none, too many of them, no empty line, or a part that can't be read.
    pub fn read(octets: &[u8]) -> Read<Cpim> {
        let mut headers = Vec::new();
        let mut at = 0;
        loop {
            let Some(end) = octets[at..].iter().position(|&octet| octet == b'\n') else {
                return malformed("the empty line behind the envelope's headers is missing");
            };
            let line = &octets[at..at + end];
            at += end + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                break;
            }
            if at > HEAD_BYTES_MAX || headers.len() >= HEADERS_MAX {
                return malformed("the envelope has too many headers");
            }
            let line = std::str::from_utf8(line)
                .map_err(|_| Malformed("a header of the envelope is not UTF-8".to_owned()))?;
            let Some((name, value)) = line.split_once(':') else {
                return malformed("a header of the envelope has no colon");
            };
            // Parameters of the name (`Subject:;lang=fr`) stand behind the colon: RFC 3862, 2.2.
            let value = match value.strip_prefix(';') {
                Some(rest) => rest.split_once(' ').map_or("", |(_, value)| value),
                None => value.strip_prefix(' ').unwrap_or(value),
            };
            if !is_token(name) {
                return malformed(format!("{}: no name of a header", name.escape_debug()));
            }
            headers.push((name.to_owned(), value.trim_end().to_owned()));
        }
        let part = Part::read(&octets[at..])?;
        Ok(Cpim { headers, part })
    }

    /// Writes an envelope.
    ///
    /// # Errors
    /// A header that can't be one.
    pub fn write(&self) -> Read<Vec<u8>> {
        let mut out = Vec::new();
        for (name, value) in &self.headers {
            if !is_token(name) {
                return malformed(format!("{}: no name of a header", name.escape_debug()));
            }
            one_line(name, value)?;
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        self.part.write(&mut out)?;
        Ok(out)
    }

    /// The first header of this name, with its escapes resolved.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut found = self.headers.iter().filter(|(one, _)| one == name);
        found.next().map(|(_, value)| unescaped(value))
    }

    /// A header of a namespace. The prefix is whatever `NS` bound to it (RFC 3862, 3.4; RFC 5438, 6.1); the usual one is
    /// understood also where nothing bound it.
    pub fn in_namespace(&self, namespace: &str, usual: &str, name: &str) -> Vec<&str> {
        let bound = self.headers.iter().filter_map(|(one, value)| {
            let (prefix, uri) = (one == "NS").then(|| value.split_once('<'))??;
            (uri.strip_suffix('>') == Some(namespace)).then(|| prefix.trim())
        });
        let is_taken = self.headers.iter().any(|(one, value)| {
            one == "NS" && value.split('<').next().map(str::trim) == Some(usual)
        });
        let mut prefixes: Vec<&str> = bound.collect();
        if !is_taken {
            prefixes.push(usual);
        }
        let found = self.headers.iter().filter_map(|(one, value)| {
            let same = prefixes.iter().any(|prefix| match prefix.is_empty() {
                true => one == name,
                false => {
                    let rest = one.strip_prefix(prefix);
                    rest.and_then(|rest| rest.strip_prefix('.')) == Some(name)
                }
            });
            same.then_some(value.as_str())
        });
        found.collect()
    }

    /// A header of RFC 5438, such as `Message-ID`.
    pub fn imdn(&self, name: &str) -> Option<&str> {
        let found = self.in_namespace(IMDN_NAMESPACE, "imdn", name);
        found.first().copied()
    }

    /// The URIs by which notifications of this message go back, the next one first: at most [`ROUTES_MAX`], or none of
    /// them. RFC 5438, 6.5.
    pub fn routes(&self) -> Vec<&str> {
        let routes = self.in_namespace(IMDN_NAMESPACE, "imdn", "IMDN-Record-Route");
        match routes.len() {
            0..=ROUTES_MAX => routes.into_iter().map(address).collect(),
            _ => Vec::new(),
        }
    }

    /// The notifications that the sender asks for, in lower case. RFC 5438, 6.2.
    pub fn wanted(&self) -> Vec<String> {
        let asked = self.imdn("Disposition-Notification").unwrap_or_default();
        let words = asked
            .split(',')
            .map(|word| word.trim().to_ascii_lowercase());
        words.filter(|word| !word.is_empty()).collect()
    }

    /// The headers without whose understanding the message must not be shown. RFC 3862, 4.7.
    pub fn required(&self) -> Vec<String> {
        let lists = self.headers.iter().filter(|(name, _)| name == "Require");
        let names = lists.flat_map(|(_, value)| value.split(','));
        names.map(|name| name.trim().to_owned()).collect()
    }
}

/// The URI of an envelope's `From` or `To`: what stands in angle brackets.
pub fn address(value: &str) -> &str {
    match (value.rfind('<'), value.rfind('>')) {
        (Some(start), Some(end)) if start < end => &value[start + 1..end],
        _ => value.trim(),
    }
}

/// The name in front of the URI of an envelope's `From` or `To`, without the quotes it may have; empty if there is none.
pub fn display_name(value: &str) -> &str {
    let name = value.rfind('<').map_or("", |start| value[..start].trim());
    let inner = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'));
    inner.unwrap_or(name)
}

/// RFC 3862, 2.3.1.
fn unescaped(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match rest.next() {
            Some('t') => plain.push('\t'),
            Some('n' | 'r' | 'b') => plain.push(' '),
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                plain.push(code.and_then(char::from_u32).unwrap_or('\u{fffd}'));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "From: \"Al\\u00efce\" <sip:+12025550100@ims.example.com>\r\n\
        To: <sip:anonymous@anonymous.invalid>\r\nNS: foo <urn:ietf:params:imdn>\r\n\
        NS: cpm <http://www.openmobilealliance.org/cpm/>\r\nfoo.Message-ID: Msg1\r\n\
        foo.Disposition-Notification: positive-delivery,Display , odd\r\ncpm.Payload-Type: x\r\n\
        Subject:;lang=fr Bonjour\r\n\r\ncontent-type: text/plain; charset=utf-8\r\n\r\n Hello \r\n\r\nBob";

    #[test]
    fn rfc5438_6_1_the_prefix_of_the_namespace_is_free() {
        let cpim = Cpim::read(TEXT.as_bytes()).unwrap();
        assert_eq!(cpim.imdn("Message-ID"), Some("Msg1"));
        assert_eq!(cpim.wanted(), ["positive-delivery", "display", "odd"]);
        let bare = Cpim::read(b"imdn.Message-ID: x\r\n\r\n\r\n").unwrap();
        assert_eq!(bare.imdn("Message-ID"), Some("x"));
        // Bound to something else, the usual prefix is not ours.
        let other = b"NS: imdn <urn:x>\r\nimdn.Message-ID: x\r\n\r\n\r\n";
        assert_eq!(Cpim::read(other).unwrap().imdn("Message-ID"), None);
    }

    #[test]
    fn rfc5438_6_5_who_wants_to_see_notifications_is_told_in_order() {
        let lines = "NS: n <urn:ietf:params:imdn>\r\nn.IMDN-Record-Route: Store <sip:a@x;lr>\r\n\
            n.Message-ID: m\r\nn.IMDN-Record-Route: <sip:b@x>\r\n";
        let read = |lines: &str| Cpim::read(format!("{lines}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(read(lines).routes(), ["sip:a@x;lr", "sip:b@x"]);
        // More than anybody needs are none.
        assert!(read(&lines.repeat(5)).routes().is_empty());
    }

    #[test]
    fn rfc3862_2_2_names_compare_with_case_and_mime_names_without() {
        let cpim = Cpim::read(TEXT.as_bytes()).unwrap();
        assert_eq!(cpim.header("from"), None);
        assert_eq!(cpim.part.content_type(), "text/plain; charset=utf-8");
        assert_eq!(cpim.header("Subject").as_deref(), Some("Bonjour"));
    }

    #[test]
    fn rfc3862_2_3_1_escapes_are_resolved() {
        let cpim = Cpim::read(TEXT.as_bytes()).unwrap();
        let from = cpim.header("From").unwrap();
        assert_eq!(from, "\"Alïce\" <sip:+12025550100@ims.example.com>");
        assert_eq!(address(&from), "sip:+12025550100@ims.example.com");
        assert_eq!(display_name(&from), "Alïce");
        assert_eq!(display_name("B. Ob <sip:b@x>"), "B. Ob");
        assert_eq!(display_name("<sip:b@x>"), "");
        assert_eq!(display_name("sip:b@x"), "");
    }

    #[test]
    fn rfc3862_2_1_the_container_says_where_the_content_ends() {
        let cpim = Cpim::read(TEXT.as_bytes()).unwrap();
        assert_eq!(cpim.part.content, b" Hello \r\n\r\nBob");
        // Nothing but blanks is a message too, and so is one without MIME headers.
        let blank = Cpim::read(b"From: <sip:a@b>\r\n\r\nContent-Length: 9\r\n\r\n  ").unwrap();
        assert_eq!(blank.part.content, b"  ");
        let bare = Cpim::read(b"From: <sip:a@b>\n\n\nhi").unwrap();
        assert_eq!(bare.part.content, b"hi");
    }

    #[test]
    fn rfc3862_4_7_what_is_required_is_told() {
        let cpim = Cpim::read(b"Require: MyExt.VeryHard, Subject\r\n\r\n\r\n").unwrap();
        assert_eq!(cpim.required(), ["MyExt.VeryHard", "Subject"]);
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        for text in [
            "",
            "From: x",
            "From: x\r\n",
            "no colon\r\n\r\n\r\n",
            "\u{0}: x\r\n\r\n\r\n",
            "A: \r\n folded\r\n\r\n",
        ] {
            assert!(Cpim::read(text.as_bytes()).is_err(), "{text:?}");
        }
        let many = "A: b\r\n".repeat(HEADERS_MAX + 1) + "\r\n\r\n";
        assert!(Cpim::read(many.as_bytes()).is_err());
    }

    #[test]
    fn what_was_written_is_read_the_same() {
        let cpim = Cpim {
            headers: vec![
                ("From".into(), NOBODY.into()),
                ("imdn.Message-ID".into(), "x".into()),
            ],
            part: Part::new("text/plain;charset=UTF-8", "Grüße\r\n\r\n".as_bytes()),
        };
        let back = Cpim::read(&cpim.write().unwrap()).unwrap();
        assert_eq!(back.headers, cpim.headers);
        assert_eq!(back.part.content, cpim.part.content);
        let split = Cpim {
            headers: vec![("From".into(), "a\r\nTo: b".into())],
            ..cpim
        };
        assert!(split.write().is_err());
    }
}
