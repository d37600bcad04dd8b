//! Who sends a request: whom the network vouches for, where we may believe it and may tell. RFC 3323, RFC 3325.

use super::address::Address;
use super::api::Flow;
use super::machine::Sip;
use super::message::Message;
use super::uri::Uri;

/// What somebody is called who wants not to be known. RFC 3323, 4.1.1.3.
const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

impl Message {
    /// Who sends it, as an address header writes that, without parameters: what P-Asserted-Identity says, a number
    /// rather than another URI, unless the sender has asked to be kept private; else what From says. The name is that of
    /// the same headers, in the same order. Empty if there is no From. RFC 3325, 9.1 and 9.3.
    pub fn sender(&self) -> String {
        let private = |word: &str| {
            let mut words = self
                .header_lines("Privacy")
                .flat_map(|line| line.split([';', ',']));
            words.any(|one| one.trim().eq_ignore_ascii_case(word))
        };
        if private("user") || private("header") {
            return ANONYMOUS.to_owned();
        }
        let parse = |value: &str| Address::parse(value).ok();
        let Some(from) = self.header("From").and_then(parse) else {
            return String::new();
        };
        let mut asserted: Vec<Address> = match private("id") {
            true => Vec::new(),
            false => self
                .header_values("P-Asserted-Identity")
                .filter_map(parse)
                .collect(),
        };
        asserted.sort_by_key(|address| matches!(address.uri, Uri::Sip(_)));
        let name = asserted
            .iter()
            .chain([&from])
            .find_map(|address| address.display.as_deref());
        let uri = &asserted.first().unwrap_or(&from).uri;
        name.map_or_else(|| format!("<{uri}>"), |name| format!("{name} <{uri}>"))
    }
}

impl Sip {
    /// Takes out of a request who is vouched for, where whoever sent it is none of those who may: the proxies, and
    /// ourselves. RFC 3325, 5.
    pub(super) fn believe(&self, message: &mut Message, flow: Flow) {
        if !self.hops.has_peer(flow.peer.ip()) && !self.settings.is_advertised(flow.peer) {
            message.remove("P-Asserted-Identity");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sip::reader::read;

    /// Who sends a request with these headers.
    fn sender(headers: &str) -> String {
        let text = format!(
            "MESSAGE sip:alice@localhost SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\n\
             Max-Forwards: 70\r\nFrom: \"Bob\" <sip:bob@localhost;user=phone>;tag=1\r\nTo: <sip:alice@localhost>\r\n\
             Call-ID: c\r\nCSeq: 1 MESSAGE\r\n{headers}\r\n"
        );
        read(text.as_bytes()).expect("a sound request").0.sender()
    }

    #[test]
    fn rfc3325_9_1_who_is_vouched_for_sends_and_a_number_goes_first() {
        assert_eq!(sender(""), "\"Bob\" <sip:bob@localhost;user=phone>");
        let line = |value: &str| format!("P-Asserted-Identity: {value}\r\n");
        let both = line("\"Doe, Rob\" <sip:rob@ims.test>, <tel:+12025550101>");
        assert_eq!(sender(&both), "\"Doe, Rob\" <tel:+12025550101>");
        let lines = [line("<tel:+12025550101>"), line("<sip:rob@ims.test>")].concat();
        assert_eq!(sender(&lines), "\"Bob\" <tel:+12025550101>");
        assert_eq!(
            sender(&line("sip:rob@ims.test")),
            "\"Bob\" <sip:rob@ims.test>"
        );
        // What can't be read vouches for nobody.
        assert_eq!(
            sender(&line("<rob")),
            "\"Bob\" <sip:bob@localhost;user=phone>"
        );
    }

    #[test]
    fn rfc3325_9_3_who_wants_to_stay_private_does() {
        let vouched = "P-Asserted-Identity: \"Rob\" <tel:+12025550101>\r\n";
        let said = |privacy: &str| sender(&format!("{vouched}Privacy: {privacy}\r\n"));
        assert_eq!(said("none"), "\"Rob\" <tel:+12025550101>");
        assert_eq!(
            said("critical;id"),
            "\"Bob\" <sip:bob@localhost;user=phone>"
        );
        assert_eq!(said("ID; user"), super::ANONYMOUS);
        assert_eq!(said("header"), super::ANONYMOUS);
    }
}
