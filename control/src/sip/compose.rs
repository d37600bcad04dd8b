//! Makes the messages we send: responses, ACK, CANCEL, and the headers of a dialog.

use super::address::Address;
use super::api::{Flow, Refused, SipTransport};
use super::message::{Message, StartLine, canonical_name, phrase};
use super::method::Method;
use super::settings::Settings;
use super::text::{is_token, quote, unquote};
use super::uri::{SipUri, Uri};

/// What we let peers ask of us, for Allow.
pub(super) const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE, INFO, UPDATE, PRACK, SUBSCRIBE, NOTIFY, REFER";

/// What peers may require of us, for Supported.
pub(super) const SUPPORTED: &str = "100rel, timer";

/// Headers `sip` writes itself; whoever uses it can't.
const OURS: [&str; 11] = [
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Route",
    "Record-Route",
    "Max-Forwards",
    "Content-Length",
    "Content-Type",
];

/// A response to `request`, with this To tag if To has none. RFC 3261, 8.2.6.
pub(super) fn response(request: &Message, code: u16, reason: Option<&str>, tag: &str) -> Message {
    let reason = reason.unwrap_or_else(|| phrase(code)).to_owned();
    let start = StartLine::Response { code, reason };
    let mut response = Message {
        start,
        headers: Vec::new(),
        body: Vec::new(),
    };
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        for value in request.header_lines(name) {
            let tagged = match Address::parse(value) {
                Ok(to) if name == "To" && code > 100 && to.tag().is_none() => {
                    to.with_tag(tag).to_string()
                }
                _ => value.to_owned(),
            };
            response.push(name, tagged);
        }
    }
    response
}

/// A request in the place of `request`, by the same way: its ACK (of a refusal) or CANCEL.
/// RFC 3261, 9.1 and 17.1.1.3.
pub(super) fn companion(request: &Message, method: Method, to: Option<&str>) -> Message {
    let uri = request.request_uri().to_owned();
    let start = StartLine::Request {
        method: method.clone(),
        uri,
    };
    let mut made = Message {
        start,
        headers: Vec::new(),
        body: Vec::new(),
    };
    if let Some(via) = request.header_values("Via").next() {
        made.push("Via", via);
    }
    made.push("Max-Forwards", "70");
    for name in ["Route", "From", "To", "Call-ID"] {
        for value in request.header_lines(name) {
            made.push(
                name,
                if name == "To" {
                    to.unwrap_or(value)
                } else {
                    value
                },
            );
        }
    }
    let number = request
        .header("CSeq")
        .and_then(|v| v.split_ascii_whitespace().next());
    made.push("CSeq", format!("{} {method}", number.unwrap_or("0")));
    made
}

/// The headers that every request outside of dialogs begins with.
pub(super) fn companion_headers(
    request: &mut Message,
    from: &str,
    to: &str,
    call_id: &str,
    cseq: u32,
) {
    let method = request.method();
    request.push("Max-Forwards", "70");
    request.push("From", from);
    request.push("To", to);
    request.push("Call-ID", call_id);
    request.push("CSeq", format!("{cseq} {method}"));
}

/// The URI at which peers find `user` (escaped) here; a `secure` one is reached by TLS only (RFC 5630, 3.1.4).
pub(super) fn own_uri(user: Option<&str>, settings: &Settings, flow: Flow, secure: bool) -> SipUri {
    let transport = if secure {
        SipTransport::Tls
    } else {
        flow.transport
    };
    let (host, port) = settings.place(transport);
    let mut uri = SipUri::at(host, port);
    uri.user = user.map(str::to_owned);
    uri.secure = secure;
    if !secure {
        uri.set_transport(transport);
    }
    uri
}

/// Whether our Contact in or for this message has to be a `sips` one. RFC 3261, 8.1.1.8 and 12.1.1.
pub(super) fn wants_secure(message: &Message) -> bool {
    let is_secure = |uri: Option<SipUri>| uri.is_some_and(|uri| uri.secure);
    let next = ["Record-Route", "Route"]
        .iter()
        .find_map(|name| message.header_values(name).next());
    let next = next.or_else(|| message.header_values("Contact").next());
    is_secure(sip_uri(message.request_uri())) || is_secure(next.and_then(sip_uri_of))
}

/// Our Contact: where peers of a dialog find a user of ours.
pub(super) fn contact(uri: &str, params: &[(String, Option<String>)]) -> Result<String, Refused> {
    let mut contact = format!("<{uri}>");
    for (name, value) in params {
        let controls = |text: &str| text.chars().any(char::is_control);
        if !is_token(name) || value.as_deref().is_some_and(controls) {
            return Err(Refused::Malformed("a Contact parameter"));
        }
        contact.push(';');
        contact.push_str(name);
        if let Some(value) = value {
            // RFC 3840, 9: feature tags with a value have it in quotes.
            let plain = unquote(value);
            let bare = is_token(&plain) && !name.starts_with('+') && plain == *value;
            contact.push('=');
            contact.push_str(&if bare { plain } else { quote(&plain) });
        }
    }
    Ok(contact)
}

/// Adds the caller's headers and content to a message of ours; refuses what would break it.
pub(super) fn add_content(
    message: &mut Message,
    headers: &[(String, String)],
    content: Option<&(String, Vec<u8>)>,
) -> Result<(), Refused> {
    let breaks = |text: &str| text.contains(['\r', '\n', '\0']);
    for (name, value) in headers {
        if !is_token(name) || breaks(value) {
            return Err(Refused::Malformed("a header"));
        }
        let name = canonical_name(name);
        if !OURS.contains(&name) {
            message.push(name, value.trim());
        }
    }
    if let Some((kind, body)) = content {
        if breaks(kind) || kind.trim().is_empty() {
            return Err(Refused::Malformed("the Content-Type"));
        }
        message.push("Content-Type", kind.trim());
        message.body.clone_from(body);
    }
    Ok(())
}

/// The Expires among headers of the caller's.
pub(super) fn expires_value(headers: &[(String, String)]) -> Option<&str> {
    let mut headers = headers.iter();
    let found = headers.find(|(name, _)| name.eq_ignore_ascii_case("Expires"));
    found.map(|(_, value)| value.as_str())
}

/// Reads an address the caller gave; a bare URI keeps its parameters.
pub(super) fn caller_address(text: &str) -> Result<Address, Refused> {
    let text = text.trim();
    let parsed = match text.contains('<') {
        true => Address::parse(text),
        false => Address::parse(&format!("<{text}>")),
    };
    parsed
        .map(|address| address.without_tag())
        .map_err(Refused::Malformed)
}

/// Reads a URI as a SIP one.
pub(super) fn sip_uri(text: &str) -> Option<SipUri> {
    Uri::parse(text).ok().and_then(|uri| uri.as_sip().cloned())
}

/// The URI of a Route, Record-Route or Contact value.
pub(super) fn sip_uri_of(value: &str) -> Option<SipUri> {
    Address::parse(value)
        .ok()
        .and_then(|address| address.uri.as_sip().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contact_parameters_are_quoted_as_handsets_expect() {
        let peer = "10.0.0.2:5060".parse().unwrap();
        let settings = Settings::new("localhost", "10.0.0.1:5060".parse().unwrap());
        let flow = Flow {
            transport: super::super::api::SipTransport::Tcp,
            peer,
            connection: None,
        };
        let param = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let params = [
            param("+g.oma.sip-im", None),
            param("+g.3gpp.icsi-ref", Some("urn%3Aurn-7%3Ax")),
            param("+g.3gpp.iari-ref", Some("\"a,b\"")),
            param("expires", Some("60")),
        ];
        assert_eq!(
            contact(
                &own_uri(Some("alice"), &settings, flow, false).to_string(),
                &params
            )
            .unwrap(),
            "<sip:alice@10.0.0.1:5060;transport=tcp>;+g.oma.sip-im;\
             +g.3gpp.icsi-ref=\"urn%3Aurn-7%3Ax\";+g.3gpp.iari-ref=\"a,b\";expires=60"
        );
        assert!(contact("sip:a@b", &[param("x", Some("a\r\nb"))]).is_err());
    }

    #[test]
    fn a_caller_can_not_break_out_of_a_header() {
        let start = StartLine::Response {
            code: 200,
            reason: String::new(),
        };
        let mut message = Message {
            start,
            headers: Vec::new(),
            body: Vec::new(),
        };
        let header = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
        assert!(add_content(&mut message, &header("X", "a\r\nVia: b"), None).is_err());
        assert!(add_content(&mut message, &header("X y", "a"), None).is_err());
        add_content(&mut message, &header("v", "SIP/2.0/UDP x"), None).unwrap();
        assert!(message.headers.is_empty());
    }
}
