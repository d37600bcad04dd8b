//! Section C: where a chunk ends, whatever is in it and however it arrives.

use crate::bed::*;
use crate::websocket_client::frame;

/// Bodies that look like ends of the chunk with transaction id `t4Kz81Qm`.
const AWKWARD: &[&str] = &[
    "\r\n-------t4Kz81Qmx",
    "\r",
    "\r\n",
    "\r\n-------",
    "\r\n-------t4Kz81Qm",
    "x-------t4Kz81Qm$",
    "\r\n-------t4Kz81Qm*\r\n",
    "\r\n-------t4Kz81Qm$x\r\n",
    "\r\n-------t4Kz81Qm$\rx",
    "\r\n-------t4Kz81Q$\r\n",
    "\r\n-------t4Kz81Qmm$\r\n",
    "\r\n-------other$\r\n",
    "\n\n\r\r\n\n",
];

#[test]
fn c1_each_flag_ends_a_chunk() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    for flag in ['+', '#', '$'] {
        let chunk = Message::send("t4Kz81Qm", "hello")
            .with("Failure-Report: no")
            .flagged(flag);
        bed.says(a, &chunk.by(A));
        assert_eq!(bed.hears(b), chunk.to(B));
    }
}

#[test]
fn c2_the_crlf_before_the_end_line_is_not_body() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let (a, _) = bed.both_come(session);
    bed.says(a, &Message::send("t4Kz81Qm", "hello\r\n").by(A));
    bed.delete(session);
    assert_eq!(
        bed.counts(session).map(|counts| counts.octets_a_to_b),
        Some(7)
    );
}

#[test]
fn c3_without_a_body_the_end_line_follows_the_headers() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let report = Message::bodiless("t4Kz81Qm", "REPORT", &["Message-ID: m", "Status: 000 200"]);
    bed.says(a, &format!("{}{}", report.by(A), report.by(A)));
    assert_eq!(bed.hears(b), format!("{}{}", report.to(B), report.to(B)));
}

#[test]
fn c4_an_empty_body_is_written_with_a_line_end_or_without() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let empty = Message::send("t4Kz81Qm", "").with("Failure-Report: no");
    bed.says(a, &empty.by(A));
    assert_eq!(bed.hears(b), empty.to(B));
    let shorter = |text: String| text.replace("\r\n\r\n\r\n-------", "\r\n\r\n-------");
    assert_ne!(shorter(empty.by(A)), empty.by(A));
    bed.says(a, &shorter(empty.by(A)));
    assert_eq!(bed.hears(b), shorter(empty.to(B)));
}

#[test]
fn c5_an_end_line_that_goes_on_is_data_and_a_lost_crlf_is_forgiven_on_a_websocket() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    for awkward in AWKWARD {
        let message = Message::send("t4Kz81Qm", awkward).with("Failure-Report: no");
        bed.says(a, &message.by(A));
        assert_eq!(bed.hears(b), message.to(B));
    }
    let message = Message::send("t4Kz81Qm", "hello").with("Failure-Report: no");
    for missing in ["\r\n", "\n"] {
        bed.says(a, message.by(A).strip_suffix(missing).expect("it ends so"));
        assert_eq!(bed.hears(b), message.to(B));
    }
}

#[test]
fn c6_the_end_line_of_another_transaction_is_data() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let inner = Message::send("inner123", "within").by(B);
    let outer = Message::send("t4Kz81Qm", &bed.with_uris(b, &inner));
    bed.says(a, &outer.by(A));
    assert_eq!(bed.hears(b), bed_text(&bed, b, &outer.to(B)));
}

/// A body's URIs are read back with names too.
fn bed_text(bed: &Bed, peer: Peer, text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["L(A)", "R(A)", "L(B)", "R(B)"] {
        text = text.replace(&bed.with_uris(peer, name), name);
    }
    text
}

#[test]
fn c7_a_body_may_hold_any_octets() {
    let every: Vec<u8> = (0..=255).collect();
    for (a, b) in [(Tcp, Tcp), (Ws, Tcp), (Tcp, Ws), (Ws, Ws)] {
        let (mut bed, a, b) = talk(a, b);
        let mark = "BODY";
        let message = Message::send("t4Kz81Qm", mark);
        let with_body = |text: String| {
            let (before, after) = text.split_once(mark).expect("the mark");
            [before.as_bytes(), &every, after.as_bytes()].concat()
        };
        let said = with_body(bed.with_uris(a, &message.by(A)));
        let octets = if bed.speaks_websocket(a) {
            frame(2, true, &said)
        } else {
            said
        };
        bed.says_octets(a, &octets);
        assert!(bed.hears_octets(b) == with_body(bed.with_uris(b, &message.to(B))));
    }
}

#[test]
fn c8_a_chunk_may_be_cut_anywhere_on_its_way() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    for awkward in AWKWARD {
        let message = Message::send("t4Kz81Qm", awkward).with("Failure-Report: no");
        let said = bed.with_uris(a, &message.by(A)).into_bytes();
        for place in 1..said.len() {
            bed.says_octets(a, &said[..place]);
            bed.says_octets(a, &said[place..]);
            assert_eq!(bed.hears(b), message.to(B), "cut at {place}");
        }
        for octet in &said {
            bed.says_octets(a, &[*octet]);
        }
        assert_eq!(bed.hears(b), message.to(B), "octet by octet");
    }
}

#[test]
fn c9_a_response_or_report_ends_whatever_its_flag() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let asked = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &asked.by(A));
    bed.hears(b);
    let answer = asked.answer("200 OK").flagged('+');
    let report = Message::bodiless("rep12345", "REPORT", &["Message-ID: m", "Status: 000 200"]);
    let report = report.flagged('#');
    bed.says(b, &format!("{}{}", answer.by(B), report.by(B)));
    assert_eq!(bed.hears(a), format!("{}{}", answer.to(A), report.to(A)));
}

#[test]
fn c10_chunks_of_a_message_may_come_in_any_order() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let last = Message::send("last1234", "world").with("Byte-Range: 6-10/10");
    let first = Message::send("first123", "hello")
        .with("Byte-Range: 1-5/10")
        .flagged('+');
    for chunk in [&last, &first] {
        bed.says(a, &chunk.by(A));
        assert_eq!(bed.hears(b), chunk.to(B));
    }
}

#[test]
fn c11_the_length_of_a_chunk_is_what_came() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let (a, b) = bed.both_come(session);
    for range in ["Byte-Range: 1-3/3", "Byte-Range: 1-500/500"] {
        let message = Message::send("t4Kz81Qm", "nine long")
            .with(range)
            .with("Failure-Report: no");
        bed.says(a, &message.by(A));
        assert_eq!(bed.hears(b), message.to(B));
    }
    bed.delete(session);
    assert_eq!(
        bed.counts(session).map(|counts| counts.octets_a_to_b),
        Some(18)
    );
}

#[test]
fn c12_several_messages_may_come_at_once() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let messages: Vec<Message> = ["one12345", "two12345", "three123"]
        .map(|transaction| Message::send(transaction, "hello"))
        .into();
    let together = |leg: fn(&Message) -> String| messages.iter().map(leg).collect::<String>();
    bed.says(a, &together(|message| message.by(A)));
    assert_eq!(bed.hears(b), together(|message| message.to(B)));
}
