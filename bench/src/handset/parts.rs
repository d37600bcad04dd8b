//! Bodies of several parts: beside a description a list of people, or a first message. RFC 2046, 5.1; RFC 5366.

use super::sip::Message;
use super::sip::uri::parameter;

const ENVELOPE: &str = "message/cpim";
const LIST: &str = "application/resource-lists+xml";

/// The session description of a message, alone or among other parts.
pub fn description(message: &Message) -> Vec<u8> {
    match part(message, "application/sdp") {
        Some(sdp) => sdp.into_bytes(),
        None => message.body.clone(),
    }
}

/// The URIs of a message's list of people, alone or among other parts.
pub fn people(message: &Message) -> Vec<String> {
    let list = match part(message, LIST) {
        Some(list) => list,
        None if is(message.header("Content-Type").unwrap_or(""), LIST) => {
            String::from_utf8_lossy(&message.body).into_owned()
        }
        None => return Vec::new(),
    };
    let uris = list
        .split("<entry")
        .skip(1)
        .filter_map(|entry| entry.split_once("uri=\"")?.1.split_once('"'));
    uris.map(|(uri, _)| uri.replace("&amp;", "&")).collect()
}

/// A body of a description and a list of people: those to be invited, or those who were.
pub fn with_people(description: &[u8], disposition: &str, people: &[String]) -> (String, Vec<u8>) {
    let entries: String = people
        .iter()
        .map(|uri| format!("<entry uri=\"{uri}\" cp:copyControl=\"to\"/>"))
        .collect();
    let list = format!(
        "<?xml version=\"1.0\"?><resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\" \
         xmlns:cp=\"urn:ietf:params:xml:ns:copycontrol\"><list>{entries}</list></resource-lists>"
    );
    let head = format!("Content-Type: {LIST}\r\nContent-Disposition: {disposition}");
    with_part(description, &head, list.as_bytes())
}

/// A body of a description and a first message in its envelope.
pub fn with_first(description: &[u8], envelope: &[u8]) -> (String, Vec<u8>) {
    with_part(description, &format!("Content-Type: {ENVELOPE}"), envelope)
}

/// The first message beside the description: its type and content.
pub fn first(message: &Message) -> Option<(&'static str, Vec<u8>)> {
    Some((ENVELOPE, part(message, ENVELOPE)?.into_bytes()))
}

/// A body of a description and a part with these header fields.
pub fn with_part(description: &[u8], head: &str, content: &[u8]) -> (String, Vec<u8>) {
    let boundary = "boundary-of-parts";
    let mut body = format!("--{boundary}\r\nContent-Type: application/sdp\r\n\r\n").into_bytes();
    body.extend_from_slice(description);
    body.extend_from_slice(format!("\r\n--{boundary}\r\n{head}\r\n\r\n").as_bytes());
    body.extend_from_slice(content);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/mixed;boundary=\"{boundary}\""), body)
}

/// Whether the body of a message has several parts.
pub fn are_several(message: &Message) -> bool {
    let content_type = message.header("Content-Type").unwrap_or("");
    let kind = content_type.get(..10).unwrap_or("");
    kind.eq_ignore_ascii_case("multipart/")
}

/// The part with this Content-ID: its header fields and its content.
pub fn named(message: &Message, id: &str) -> Option<(String, String)> {
    let id = format!("<{id}>");
    find(message, |head| field(head, "Content-ID") == Some(&id))
}

/// The value of a header field.
pub fn field<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
    Some(value.trim())
}

/// The first part of this type.
fn part(message: &Message, wanted: &str) -> Option<String> {
    let is_wanted = |head: &str| field(head, "Content-Type").is_some_and(|kind| is(kind, wanted));
    find(message, is_wanted).map(|(_, content)| content)
}

/// The first part whose header fields are such.
fn find(message: &Message, is_it: impl Fn(&str) -> bool) -> Option<(String, String)> {
    let content_type = message.header("Content-Type")?;
    let boundary = parameter(content_type, "boundary")?.trim_matches('"');
    let text = String::from_utf8_lossy(&message.body);
    let text = format!("\r\n{text}");
    let delimiter = format!("\r\n--{boundary}");
    text.split(delimiter.as_str()).skip(1).find_map(|part| {
        let (head, content) = part.split_once("\r\n\r\n")?;
        is_it(head).then(|| (head.to_owned(), content.to_owned()))
    })
}

fn is(content_type: &str, wanted: &str) -> bool {
    let bare = content_type.split(';').next().unwrap_or("").trim();
    bare.eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_and_a_first_message_come_out_as_they_went_in() {
        let (kind, body) = with_first(b"v=0\r\n", b"From: <sip:a@x>\r\n\r\n\r\nHi\r\n");
        let mut message = Message::request("INVITE", "sip:f@x");
        message.set_body(&kind, body);
        assert_eq!(description(&message), b"v=0\r\n");
        let (kind, envelope) = first(&message).unwrap();
        assert_eq!(
            (kind, envelope.as_slice()),
            ("message/cpim", &b"From: <sip:a@x>\r\n\r\n\r\nHi\r\n"[..])
        );
        message.set_body("application/sdp", b"v=0\r\n".to_vec());
        assert_eq!(first(&message), None);
    }

    #[test]
    fn rfc5366_a_description_and_a_list_come_out_as_they_went_in() {
        let people_in = ["sip:a@x".to_owned(), "tel:+1".to_owned()];
        let (kind, body) = with_people(b"v=0\r\n", "recipient-list", &people_in);
        let mut message = Message::request("INVITE", "sip:f@x");
        message.set_body(&kind, body);
        assert_eq!(description(&message), b"v=0\r\n");
        assert_eq!(people(&message), people_in);
        let mut plain = Message::request("INVITE", "sip:f@x");
        plain.set_body("application/sdp", b"v=0\r\n".to_vec());
        assert_eq!(
            (description(&plain), people(&plain)),
            (b"v=0\r\n".to_vec(), Vec::new())
        );
    }
}
