//! Section D: whom a message is for, and under which paths it goes on. Section A where it can be
//! seen from outside.

use crate::bed::*;

const NO_SESSION: &str = "481 Session Does Not Exist";

/// A request with these paths is refused with 481, and goes nowhere.
fn is_refused(to: &str, from: &str) {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.between(to, from));
    let first_from = from.split(' ').next().expect("a URI");
    assert_eq!(
        bed.hears(a),
        message.answer(NO_SESSION).between(first_from, "L(A)")
    );
    bed.says(a, &message.with("Failure-Report: no").between(to, from));
    assert_eq!((bed.hears(a), bed.hears(b)), (String::new(), String::new()));
    assert!(!bed.is_ended(a));
}

#[test]
fn a1_each_peer_speaks_with_the_relay_as_with_an_endpoint() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(b), message.to(B));
    // A path through the relay, as RFC 4976 has it, is none of ours.
    let chained = message.between("L(A) msrp://198.51.100.7:20000/handset0;tcp", "R(A)");
    bed.says(a, &chained);
    assert_eq!(bed.hears(a), message.answer(NO_SESSION).to(A));
}

#[test]
fn a2_nothing_changes_but_the_paths() {
    for (a, b) in [(Tcp, Tcp), (Ws, Tcp), (Tcp, Ws), (Ws, Ws)] {
        let (mut bed, a, b) = talk(a, b);
        let message = Message::send("t4Kz81Qm", "hello over the wall")
            .with("X-Trace:  7 ")
            .with("Byte-Range: 1-19/19")
            .with("x-ODD:kept");
        bed.says(a, &message.by(A));
        assert_eq!(bed.hears(b), message.to(B));
        let answer = message.answer("200 quite all right");
        bed.says(b, &answer.by(B));
        assert_eq!(bed.hears(a), answer.to(A));
    }
}

#[test]
fn a4_the_relay_sends_no_report_of_its_own_while_its_legs_are_well() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello").with("Success-Report: yes");
    bed.says(a, &message.by(A));
    bed.says(b, &message.answer("413 Stop").by(B));
    assert_eq!(bed.hears(a), message.answer("413 Stop").to(A));
    bed.waits(60_000);
    assert_eq!(bed.hears(a), "");
}

#[test]
fn a7_both_legs_may_be_websockets() {
    let (mut bed, a, b) = talk(Ws, Ws);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(b, &message.by(B));
    assert_eq!(bed.hears(a), message.to(A));
    bed.says(a, &message.answer("200 OK").by(A));
    assert_eq!(bed.hears(b), message.answer("200 OK").to(B));
}

#[test]
fn d1_a_request_for_another_uri_gets_481() {
    is_refused("msrp://relay.invalid:20000/unheard;tcp", "R(A)");
    is_refused("L(B)", "R(A)");
    is_refused("R(B)", "R(A)");
    is_refused("L(A) R(B)", "R(A)");
}

#[test]
fn d2_a_request_from_another_endpoint_gets_481() {
    is_refused("L(A)", "msrp://q7w3e9.invalid:2855/stranger;tcp");
    is_refused("L(A)", "R(A) msrp://q7w3e9.invalid:2855/stranger;tcp");
    // What counts is the endpoint, the rightmost.
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(
        a,
        &message.between("L(A)", "msrp://hop.invalid:9/x;tcp R(A)"),
    );
    assert_eq!(bed.hears(b), message.to(B));
}

#[test]
fn d3_what_is_forwarded_goes_to_the_whole_path_and_comes_from_one_uri() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let path = "msrp://hop1.invalid:9/x;tcp msrp://198.51.100.7:20000/handset0;tcp";
    bed.set_peer(session, B, path, None);
    let (a, b) = bed.both_come(session);
    for message in [
        Message::send("t4Kz81Qm", "hello"),
        Message::bodiless(
            "rep12345",
            "REPORT",
            &["Message-ID: m", "Status: 000 200 OK"],
        ),
        Message::bodiless("nick1234", "NICKNAME", &["Use-Nickname: \"Al\""]),
        Message::bodiless("other123", "DANCE", &["X-Steps: 3"]),
    ] {
        bed.says(a, &message.by(A));
        assert_eq!(bed.hears(b), message.to(B));
    }
}

#[test]
fn d4_neither_leg_sees_an_address_of_the_other() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    let seen = bed.hears(b);
    assert!(!seen.contains("(A)") && !seen.contains("q7w3e9"), "{seen}");
    bed.says(b, &message.answer("200 OK").by(B));
    let seen = bed.hears(a);
    assert!(!seen.contains("(B)") && !seen.contains("198.51"), "{seen}");
}

#[test]
fn d5_responses_find_their_requests_in_any_order() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let messages = ["one12345", "two12345", "three123"].map(|id| Message::send(id, "hello"));
    for message in &messages {
        bed.says(a, &message.by(A));
    }
    for message in messages.iter().rev() {
        bed.says(b, &message.answer("200 OK").by(B));
        assert_eq!(bed.hears(a), message.answer("200 OK").to(A));
    }
}

#[test]
fn d6_the_response_to_a_send_goes_to_the_leftmost_uri_of_its_from_path() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(
        a,
        &message.between("L(A)", "msrp://hop.invalid:9/x;tcp R(A)"),
    );
    bed.says(b, &message.answer("200 OK").by(B));
    let answer = message.answer("200 OK");
    assert_eq!(
        bed.hears(a),
        answer.between("msrp://hop.invalid:9/x;tcp", "L(A)")
    );
}

#[test]
fn d7_the_response_to_another_method_goes_to_its_whole_from_path() {
    for method in ["NICKNAME", "DANCE"] {
        let (mut bed, a, b) = talk(Tcp, Tcp);
        let request = Message::bodiless("t4Kz81Qm", method, &["Use-Nickname: \"Al\""]);
        let from = "msrp://hop.invalid:9/x;tcp R(A)";
        bed.says(a, &request.between("L(A)", from));
        bed.says(b, &request.answer("425 Taken").by(B));
        assert_eq!(
            bed.hears(a),
            request.answer("425 Taken").between(from, "L(A)")
        );
    }
}

#[test]
fn d8_nickname_and_unknown_methods_are_for_the_far_side_to_judge() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    for (method, status) in [("NICKNAME", "200 OK"), ("DANCE", "501 Unheard Of")] {
        let request = Message::bodiless("t4Kz81Qm", method, &["X-Any: 1"]);
        bed.says(a, &request.by(A));
        assert_eq!(bed.hears(b), request.to(B));
        bed.says(b, &request.answer(status).by(B));
        assert_eq!(bed.hears(a), request.answer(status).to(A));
    }
}

#[test]
fn d9_auth_is_answered_with_501_and_goes_nowhere() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let request = Message::bodiless("t4Kz81Qm", "AUTH", &["Authorization: Digest secret"]);
    bed.says(a, &request.by(A));
    assert_eq!(
        bed.hears(a),
        request.answer("501 Method Not Understood").to(A)
    );
    assert_eq!(bed.hears(b), "");
}

#[test]
fn d10_a_response_nobody_waits_for_is_dropped() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), "");
    bed.says(a, &message.by(A));
    bed.hears(b);
    bed.says(b, &message.answer("200 OK").between("R(A)", "R(B)"));
    bed.says(b, &Message::bodiless("other123", "200 OK", &[]).by(B));
    assert_eq!((bed.hears(a), bed.hears(b)), (String::new(), String::new()));
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), message.answer("200 OK").to(A));
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), "", "one response is enough");
}

#[test]
fn d11_a_response_to_a_report_is_swallowed() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let report = Message::bodiless("t4Kz81Qm", "REPORT", &["Message-ID: m", "Status: 000 200"]);
    bed.says(a, &report.by(A));
    assert_eq!(bed.hears(b), report.to(B));
    bed.says(b, &report.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), "");
}

#[test]
fn d12_a_report_on_a_message_never_seen_is_forwarded() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let headers = [
        "Message-ID: neverseen",
        "Byte-Range: 1-5/5",
        "Status: 000 200 OK",
    ];
    let report = Message::bodiless("t4Kz81Qm", "REPORT", &headers);
    bed.says(b, &report.by(B));
    assert_eq!(bed.hears(a), report.to(A));
}

#[test]
fn d13_each_direction_keeps_its_order() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let asked = Message::send("asked123", "hello");
    bed.says(b, &asked.by(B));
    bed.hears(a);
    let line = [
        Message::send("one12345", "first"),
        Message::bodiless("rep12345", "REPORT", &["Message-ID: m", "Status: 000 200"]),
        asked.answer("200 OK"),
        Message::bodiless("nick1234", "NICKNAME", &["Use-Nickname: \"Al\""]),
        Message::send("two12345", "second"),
    ];
    let together = |leg: fn(&Message) -> String| line.iter().map(leg).collect::<String>();
    bed.says(a, &together(|message| message.by(A)));
    assert_eq!(bed.hears(b), together(|message| message.to(B)));
}
