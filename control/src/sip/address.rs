//! The values of From, To, Contact, Route: `"Name" <uri>;params` or a bare URI. RFC 3261, 20.10.

use std::fmt;

use super::text::{Params, Scan, is_token_char};
use super::uri::Uri;

/// One address with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The display name as written, with its quotes.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// What follows it.
    pub params: Params,
}

impl Address {
    /// Reads one address; `Err` says what is wrong.
    pub fn parse(text: &str) -> Result<Address, &'static str> {
        let mut scan = Scan::new(text.trim());
        let mut display = None;
        if scan.rest().starts_with('"') {
            display = Some(scan.quoted().ok_or("a quoted name has no end")?.to_owned());
            scan.space();
            if !scan.rest().starts_with('<') {
                return Err("a name without a URI in <>");
            }
        } else if let Some(open) = scan.rest().find('<') {
            let name = scan.rest()[..open].trim();
            let good = |c: char| is_token_char(c) || c == ' ' || c == '\t' || !c.is_ascii();
            if !name.chars().all(good) {
                return Err("a display name that must be in quotes");
            }
            display = (!name.is_empty()).then(|| name.to_owned());
            scan = Scan::new(&scan.rest()[open..]);
        }
        let uri = if scan.take('<') {
            let uri = scan.take_while(|c| c != '>');
            if !scan.take('>') {
                return Err("a < without its >");
            }
            Uri::parse(uri)?
        } else {
            // Bare: a `;` begins the header's parameters, and a `?` or `,` would need brackets.
            let uri = scan.take_while(|c| c != ';' && c != ' ' && c != '\t');
            if uri.contains(['?', ',']) {
                return Err("a URI that must be in <>");
            }
            Uri::parse(uri)?
        };
        let params = scan
            .params()
            .ok_or("an address is followed by malformed parameters")?;
        Ok(Address {
            display,
            uri,
            params,
        })
    }

    /// The tag of From or To, if it has one.
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag").filter(|tag| !tag.is_empty())
    }

    /// The same with this tag.
    pub fn with_tag(&self, tag: &str) -> Address {
        let mut tagged = self.clone();
        tagged.params.set("tag", Some(tag));
        tagged
    }

    /// The same without a tag.
    pub fn without_tag(&self) -> Address {
        let mut bare = self.clone();
        bare.params.remove("tag");
        bare
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{display} ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_handsets_are_read() {
        let text = r#"<sip:bob@10.0.0.2:5060;ob>;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session";+g.oma.sip-im;expires=600;+sip.instance="<urn:uuid:1;2,3>""#;
        let address = Address::parse(text).unwrap();
        assert_eq!(address.uri.to_string(), "sip:bob@10.0.0.2:5060;ob");
        assert_eq!(address.params.value("+g.oma.sip-im"), Some(""));
        assert_eq!(address.params.value("Expires"), Some("600"));
        assert_eq!(
            address.params.value("+sip.instance"),
            Some("\"<urn:uuid:1;2,3>\"")
        );
        assert_eq!(address.to_string(), text);
    }

    #[test]
    fn a_bare_uri_gives_its_parameters_to_the_header() {
        let address = Address::parse("sip:bob@host;tag=1").unwrap();
        assert_eq!(
            (address.uri.to_string().as_str(), address.tag()),
            ("sip:bob@host", Some("1"))
        );
        let address = Address::parse("Bob Builder  <sip:bob@host;x=1> ; tag = 2").unwrap();
        assert_eq!(address.display.as_deref(), Some("Bob Builder"));
        assert_eq!(address.tag(), Some("2"));
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "\"x <sip:a@b>",
            "<sip:a@b",
            "sip:a@b?x=y",
            "Bell, A <sip:a@b>",
            "< sip:a@b>",
            "<sip:a@b> x",
            "\"x\" sip:a@b",
            "<sip:a@b>;",
            "<sip:a@b>;=1",
            "<sip:a@b>;x=",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
