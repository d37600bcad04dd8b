//! Messages as scripts see them, and back: frames and SIP messages to views, what scripts send to requests.

use serde_json::Value;

use crate::jsonrtc::{self, Frame, Members};
use crate::script::{
    Content, MessageState, OutSipRequest, OutSipResponse, SipView, WebKind, WebView,
};
use crate::sip::{Message, Method, OutRequest, OutResponse};

/// A frame, with the parties as the gateway knows them instead of what the browser claims.
pub fn web_view(frame: &Frame, initiator: &str, target: &str) -> WebView {
    let from = &frame.control;
    let mut control = Members::new();
    control.insert("type".into(), from.kind.word().into());
    let state = match from.kind {
        jsonrtc::Kind::Response if frame.is_final() => Some(jsonrtc::MessageState::Final),
        _ => from.message_state,
    };
    let state = state.map(jsonrtc::MessageState::word);
    for (name, value) in [
        ("package_type", from.package.as_deref()),
        ("subsession_id", from.subsession_id.as_deref()),
        ("correlation_id", from.correlation_id.as_deref()),
        ("message_state", state),
    ] {
        if let Some(value) = value {
            control.insert(name.into(), value.into());
        }
    }
    if let Some(sequence) = from.sequence {
        control.insert("sequence".into(), sequence.into());
    }
    let mut header = frame.header.clone();
    header.insert("initiator".into(), initiator.into());
    header.insert("target".into(), target.into());
    if from.kind == jsonrtc::Kind::Response {
        header.insert("response_code".into(), frame.response_code().into());
    }
    WebView {
        control,
        header,
        payload: frame.payload.clone().unwrap_or_default(),
    }
}

/// A SIP message.
pub fn sip_view(message: &Message) -> SipView {
    let address = |name| message.header(name).map(without_tag).unwrap_or_default();
    SipView {
        is_request: message.is_request(),
        method: message.method().to_string(),
        status: message.code(),
        reason: message.reason().to_owned(),
        from: address("From"),
        sender: message.sender(),
        to: address("To"),
        request_uri: message.request_uri().to_owned(),
        in_dialog: message.in_dialog(),
        headers: message.headers.clone(),
        content_type: message.content_type().unwrap_or_default().to_owned(),
        content: message.body.clone(),
    }
}

/// A response nobody sent: our request got none.
pub fn missing_response(method: &str, status: u16, reason: &str, from: &str, to: &str) -> SipView {
    SipView {
        method: method.to_owned(),
        status,
        reason: reason.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        ..SipView::default()
    }
}

/// A request that has no message of its own: CANCEL and ACK, which the SIP side handles itself.
pub fn bare_request(method: &str, from: &str, to: &str) -> SipView {
    SipView {
        is_request: true,
        method: method.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        in_dialog: true,
        ..SipView::default()
    }
}

/// An address header's value without its tag parameter.
fn without_tag(value: &str) -> String {
    let (mut quoted, mut bracketed, mut start) = (false, false, 0);
    let mut parts = Vec::new();
    for (at, c) in value.char_indices() {
        match c {
            '"' if !bracketed => quoted = !quoted,
            '<' if !quoted => bracketed = true,
            '>' if !quoted => bracketed = false,
            ';' if !quoted && !bracketed => {
                parts.push(&value[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&value[start..]);
    let is_tag = |part: &&str| {
        part.split('=')
            .next()
            .is_some_and(|name| name.trim().eq_ignore_ascii_case("tag"))
    };
    let kept: Vec<&str> = parts.into_iter().filter(|part| !is_tag(part)).collect();
    kept.join(";").trim().to_owned()
}

/// What a script wants to request.
pub fn out_request(request: OutSipRequest) -> OutRequest {
    OutRequest {
        method: Method::from_token(&request.method),
        request_uri: request.request_uri,
        from: request.from,
        to: request.to,
        headers: request.headers,
        contact_params: unquoted(request.contact_params),
        content: request.content.map(content),
    }
}

/// What a script wants to answer.
pub fn out_response(response: OutSipResponse) -> OutResponse {
    OutResponse {
        code: response.code,
        reason: (!response.reason.is_empty()).then_some(response.reason),
        headers: response.headers,
        contact_params: unquoted(response.contact_params),
        content: response.content.map(content),
    }
}

fn content(content: Content) -> (String, Vec<u8>) {
    (content.mime, content.data)
}

fn unquoted(params: Vec<(String, Option<String>)>) -> Vec<(String, Option<String>)> {
    let unquote = |value: String| match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => value,
    };
    params
        .into_iter()
        .map(|(name, value)| (name, value.map(unquote)))
        .collect()
}

/// The kind of a frame a script sends.
pub fn kind(kind: WebKind) -> jsonrtc::Kind {
    match kind {
        WebKind::Request => jsonrtc::Kind::Request,
        WebKind::Response => jsonrtc::Kind::Response,
        WebKind::Message => jsonrtc::Kind::Message,
        WebKind::Error => jsonrtc::Kind::Error,
    }
}

/// The state of a frame a script sends.
pub fn state(state: MessageState) -> jsonrtc::MessageState {
    match state {
        MessageState::Initial => jsonrtc::MessageState::Initial,
        MessageState::Subsequent => jsonrtc::MessageState::Subsequent,
        MessageState::Final => jsonrtc::MessageState::Final,
    }
}

/// A member of a JSON object as a number, also where a script wrote it as a string.
pub fn number(members: &Members, name: &str) -> Option<u64> {
    match members.get(name)? {
        Value::Number(number) => number
            .as_u64()
            .or_else(|| number.as_f64().map(|number| number as u64)),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_taken_off_wherever_it_stands() {
        for (value, bare) in [
            ("<sip:bob@localhost>;tag=1", "<sip:bob@localhost>"),
            (
                "\"B;tag=x\" <sip:b@l;tag=y>;x=1;TAG=2",
                "\"B;tag=x\" <sip:b@l;tag=y>;x=1",
            ),
            ("sip:bob@localhost;tag=77", "sip:bob@localhost"),
            ("sip:bob@localhost", "sip:bob@localhost"),
        ] {
            assert_eq!(without_tag(value), bare);
        }
    }

    #[test]
    fn parameter_values_lose_their_quotes() {
        let params = vec![
            ("+g.x".to_owned(), Some("\"a,b\"".to_owned())),
            ("f".to_owned(), None),
        ];
        let bare = vec![
            ("+g.x".to_owned(), Some("a,b".to_owned())),
            ("f".to_owned(), None),
        ];
        assert_eq!(unquoted(params), bare);
    }
}
