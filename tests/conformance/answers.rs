//! Sections E and H: who answers a SEND, with what; transaction ids.

use crate::bed::*;

const NO_SESSION: &str = "481 Session Does Not Exist";

#[test]
fn e1_the_sender_gets_the_far_endpoints_response_and_no_other() {
    for report in ["Failure-Report: yes", "X-Default: yes"] {
        for status in ["200 OK", "403 No", "413 Stop", "415 What"] {
            let (mut bed, a, b) = talk(Ws, Tcp);
            let message = Message::send("t4Kz81Qm", "hello").with(report);
            bed.says(a, &message.by(A));
            assert_eq!(bed.hears(a), "", "nobody answers in its place");
            bed.says(b, &message.answer(status).by(B));
            assert_eq!(bed.hears(a), message.answer(status).to(A));
            bed.waits(60_000);
            assert_eq!(bed.hears(a), "");
        }
    }
}

#[test]
fn e2_with_partial_an_error_is_passed_and_no_200_made_up() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello").with("Failure-Report: partial");
    bed.says(a, &message.by(A));
    bed.says(b, &message.answer("413 Stop").by(B));
    assert_eq!(bed.hears(a), message.answer("413 Stop").to(A));

    bed.says(a, &message.by(A));
    bed.waits(31_000);
    assert_eq!(bed.hears(a), "");
    bed.says(b, &message.answer("413 Stop").by(B));
    assert_eq!(bed.hears(a), "", "after 30 s it is forgotten");
}

#[test]
fn e3_with_no_nothing_comes_back() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello").with("Failure-Report: no");
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(b), message.to(B));
    bed.says(b, &message.answer("413 Stop").by(B));
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), "");
    bed.breaks(b);
    assert_eq!(bed.hears(a), "");
}

#[test]
fn e4_the_relay_answers_only_what_it_refuses_and_what_binds() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(a), "");
    let refused = Message::send("refused1", "hello");
    bed.says(a, &refused.between("L(B)", "R(A)"));
    assert_eq!(bed.hears(a), refused.answer(NO_SESSION).to(A));
    let alive = Message::bodiless("alive123", "SEND", &["Message-ID: keep"]);
    bed.says(a, &alive.by(A));
    assert_eq!(bed.hears(a), alive.answer("200 OK").to(A));
    assert_eq!(bed.hears(b), message.to(B));
}

#[test]
fn e5_an_answer_of_the_relays_goes_back_the_way_the_request_came() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let from = "msrp://hop.invalid:9/x;tcp R(A)";
    let send = Message::send("t4Kz81Qm", "hello").with("X-Any: 1");
    bed.says(a, &send.between("L(B)", from));
    let answer = send.answer(NO_SESSION);
    assert_eq!(
        bed.hears(a),
        answer.between("msrp://hop.invalid:9/x;tcp", "L(A)")
    );
    let nickname = Message::bodiless("nick1234", "NICKNAME", &["Use-Nickname: \"Al\""]);
    bed.says(a, &nickname.between("L(B)", from));
    assert_eq!(
        bed.hears(a),
        nickname.answer(NO_SESSION).between(from, "L(A)")
    );
    assert_eq!(bed.hears(b), "");
}

#[test]
fn e6_an_error_may_come_before_the_request_is_over_and_then_comes_once() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello over the wall");
    let said = message.between("L(B)", "R(A)");
    let (begun, rest) = said.split_at(said.len() - 30);
    bed.says(a, begun);
    assert_eq!(bed.hears(a), message.answer(NO_SESSION).to(A));
    bed.says(a, rest);
    assert_eq!(bed.hears(a), "");
    // A far endpoint may do the same.
    let said = message.by(A);
    let (begun, rest) = said.split_at(said.len() - 30);
    bed.says(a, begun);
    bed.says(b, &message.answer("413 Stop").by(B));
    assert_eq!(bed.hears(a), message.answer("413 Stop").to(A));
    bed.says(a, rest);
    assert_eq!(bed.hears(b), message.to(B));
}

#[test]
fn e8_a_response_does_not_wait_for_what_goes_the_other_way() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let asked = Message::send("asked123", "hello");
    bed.says(b, &asked.by(B));
    bed.hears(a);
    // B is in the middle of something long; its answer to B comes through all the same.
    let long = Message::send("long1234", &"y".repeat(50_000)).by(B);
    bed.says(b, &long[..40_000]);
    assert!(bed.hears(a).starts_with("MSRP long1234 SEND"));
    bed.says(a, &asked.answer("200 OK").by(A));
    assert_eq!(bed.hears(b), asked.answer("200 OK").to(B));
}

#[test]
fn h1_a_transaction_id_is_kept_on_the_other_leg() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let message = Message::send("kept.%+-1", "hello");
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(b), message.to(B));
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), message.answer("200 OK").to(A));
}

#[test]
fn h4_a_transaction_id_that_is_still_in_use_gets_400() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(b), message.to(B));
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(a), message.answer("400 Bad Request").to(A));
    assert_eq!(bed.hears(b), "");
    // The first is still waited for; after its response the id is free.
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), message.answer("200 OK").to(A));
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(b), message.to(B));
}

#[test]
fn h5_both_sides_may_use_the_same_transaction_id_at_once() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    bed.says(b, &message.by(B));
    assert_eq!(bed.hears(b), message.to(B));
    assert_eq!(bed.hears(a), message.to(A));
    bed.says(a, &message.answer("200 from A").by(A));
    bed.says(b, &message.answer("200 from B").by(B));
    assert_eq!(bed.hears(b), message.answer("200 from A").to(B));
    assert_eq!(bed.hears(a), message.answer("200 from B").to(A));
}
