//! Section P: how a session ends, and Q: that peers can harm only themselves.

use link::{Cause, Counter, Refusal, SessionCounts};

use crate::bed::*;
use crate::websocket_client::frame;

#[test]
fn p7_when_the_handset_goes_the_browser_is_told_and_closed() {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    let (a, b) = bed.both_come(session);
    let last = Message::send("last1234", "good-bye");
    bed.says(b, &last.by(B));
    bed.leaves(b);
    assert_eq!(bed.hears(a), last.to(A), "what was sent before arrives");
    assert!(bed.is_ended(a));
    let closed = [
        Told::Down(B, Cause::PeerClosed),
        Told::Closed(Cause::PeerClosed),
    ];
    assert_eq!(bed.told(session), closed);
}

#[test]
fn p8_when_the_browser_closes_the_handsets_connection_ends() {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    let (a, b) = bed.both_come(session);
    let last = Message::send("last1234", "good-bye");
    bed.says(a, &last.by(A));
    bed.says_octets(a, &frame(8, true, &1000u16.to_be_bytes()));
    assert_eq!(bed.hears(b), last.to(B));
    assert!(bed.is_ended(b));
    let closed = [
        Told::Down(A, Cause::PeerClosed),
        Told::Closed(Cause::PeerClosed),
    ];
    assert_eq!(bed.told(session), closed);
}

#[test]
fn p9_on_terminate_what_is_queued_goes_out_and_everything_is_given_back() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let (a, b) = bed.both_come(session);
    bed.stalls(b, true);
    let message = Message::send("t4Kz81Qm", &"x".repeat(50_000));
    bed.says(a, &message.begun_by(A));
    bed.delete(session);
    assert_eq!(bed.told(session), [Told::Closed(Cause::Deleted)]);
    assert!(!bed.is_ended(b));
    bed.stalls(b, false);
    assert_eq!(bed.hears(b), message.flagged('#').to(B));
    assert!(bed.is_ended(b));
    bed.delete(session);
    assert_eq!(bed.told(session), [], "said twice, done once");
    bed.leaves(a);
    bed.leaves(b);
    assert_eq!(Counter::left_over(|gauge| bed.counter(gauge)), []);
}

#[test]
fn p9_but_not_for_longer_than_a_second() {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    let (a, b) = bed.both_come(session);
    bed.stalls(b, true);
    bed.says(a, &Message::send("t4Kz81Qm", "hello").by(A));
    bed.delete(session);
    bed.waits(1_000);
    assert!(bed.is_ended(a) && bed.is_ended(b));
    assert_eq!(Counter::left_over(|gauge| bed.counter(gauge)), []);
}

#[test]
fn q4_a_path_that_is_none_is_refused() {
    let mut bed = Bed::new();
    for path in [
        "",
        "sip:bob@localhost",
        "msrp://host.invalid:9/x",
        "msrp://host.invalid:9/x;tcp\r\nX-Smuggled: 1",
        "msrp://host.invalid:9/x;tcp msrp://host invalid:9/y;tcp",
    ] {
        let session = bed.session(Tcp, Tcp);
        bed.told(session);
        bed.set_peer(session, B, path, None);
        let refused = [Told::Refused(Refusal::PathMalformed)];
        assert_eq!(bed.told(session), refused, "{path:?}");
    }
}

#[test]
fn q5_a_session_is_counted_and_told_at_its_end() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let (a, b) = bed.both_come(session);
    let hello = Message::send("hello123", "hello");
    bed.says(a, &hello.by(A));
    bed.says(b, &hello.answer("200 OK").by(B));
    let report = Message::bodiless("rep12345", "REPORT", &["Message-ID: m", "Status: 000 200"]);
    bed.says(b, &report.by(B));
    bed.says(
        b,
        &Message::send("other123", "hello, you")
            .with("Failure-Report: no")
            .by(B),
    );
    bed.says(b, &Message::send("wrong123", "hello").by(A));
    bed.delete(session);
    let expected = SessionCounts {
        messages_a_to_b: 1,
        messages_b_to_a: 1,
        octets_a_to_b: 5,
        octets_b_to_a: 10,
        responses: 1,
        reports: 1,
        refused: 1,
    };
    assert_eq!(bed.counts(session), Some(expected));
}
