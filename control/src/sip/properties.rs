//! What holds for all messages, tried with many.

use proptest::collection::vec;
use proptest::prelude::*;

use super::reader::read;
use super::*;

/// A message that can be read: from what gateways and handsets write, in any order and case.
fn messages() -> impl Strategy<Value = Message> {
    let token = "[a-zA-Z0-9.!%*_+`'~-]{1,12}";
    let uri = "sip:[a-z0-9;&=+$,?/%]{0}[a-z0-9]{1,8}@[a-z]{1,8}(:[1-9][0-9]{0,3})?(;[a-z]{1,4}(=[a-z0-9]{1,4})?){0,2}";
    let value = "[ -~äß€]{0,40}";
    let request = (token, uri).prop_map(|(method, uri)| {
        let method = Method::from_token(&method);
        StartLine::Request { method, uri }
    });
    let response = (100u16..700, "[ -~é]{0,20}").prop_map(|(code, reason)| {
        let reason = reason.trim().to_owned();
        StartLine::Response { code, reason }
    });
    let extra = vec(("X-[a-zA-Z]{1,8}", value), 0..8);
    let parts = (
        prop_oneof![request, response],
        uri,
        uri,
        extra,
        token,
        vec(any::<u8>(), 0..200),
    );
    (parts, 0u32..1 << 31).prop_map(|((start, from, to, extra, id, body), cseq)| {
        let mut message = Message {
            start,
            headers: Vec::new(),
            body,
        };
        let method = match &message.start {
            StartLine::Request { method, .. } => method.clone(),
            StartLine::Response { .. } => Method::Invite,
        };
        message.push("Via", format!("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{id}"));
        message.push("From", format!("\"A, \\\"B\\\"\" <{from}>;tag={id}"));
        message.push("To", format!("<{to}>"));
        message.push("Call-ID", id);
        message.push("CSeq", format!("{cseq} {method}"));
        for (name, value) in extra {
            message.push(&name, value.trim());
        }
        message.push("Content-Type", "text/plain");
        message
    })
}

/// Feeds a fresh machine that has a local user, and one call under way.
fn feed(bytes: &[u8]) {
    let own = "10.0.0.1:5060".parse().unwrap();
    let mut sip = Sip::new(Settings::new("localhost", own), [1; 32]);
    sip.add_local("alice");
    let mut out = Vec::new();
    let invite = OutRequest::new(Method::Invite, "sip:alice@localhost", "sip:bob@10.0.0.2");
    sip.request(None, invite, 0, &mut out).unwrap();
    for transport in [SipTransport::Udp, SipTransport::Tcp] {
        let flow = Flow {
            transport,
            peer: "10.0.0.2:5060".parse().unwrap(),
            connection: None,
        };
        sip.receive(flow, bytes, 1, &mut out);
        sip.begin(1, &mut out);
    }
    while let Some(at) = sip.deadline() {
        sip.timeout(at, &mut out);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_a_panic(bytes in vec(any::<u8>(), 0..600)) {
        feed(&bytes);
        let mut framer = Framer::new(1000);
        framer.push(&bytes);
        while let Ok(Some(_)) = framer.next_frame() {}
    }

    #[test]
    fn any_text_that_looks_like_sip_is_taken_without_a_panic(
        method in "(INVITE|ACK|CANCEL|REGISTER|BYE|X)",
        uri in "(sip:alice@localhost|sip:localhost|[ -~]{0,20})",
        lines in vec("(Via|v|f|t|From|To|i|CSeq|m|Contact|Route|l|Expires|Require)( |)*:[ -~\t]{0,40}", 0..12),
    ) {
        feed(format!("{method} {uri} SIP/2.0\r\n{}\r\n\r\n", lines.join("\r\n")).as_bytes());
    }

    #[test]
    fn a_read_message_that_lost_or_gained_bytes_is_taken_without_a_panic(
        message in messages(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = message.print();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        feed(&bytes);
        feed(&bytes[..at]);
    }

    #[test]
    fn reading_what_was_printed_gives_the_same_message(message in messages()) {
        let bytes = message.print();
        let (again, _) = read(&bytes).map_err(|(fault, _)| TestCaseError::fail(format!("{fault:?}")))?;
        prop_assert_eq!(&again, &message);
        let mut framer = Framer::new(65_535);
        framer.push(&bytes);
        prop_assert_eq!(framer.next_frame(), Ok(Some(Frame::Message(bytes))));
    }
}
