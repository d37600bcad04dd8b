//! Section Q: peers that mean harm, or are merely broken. What they do stays with them.

use link::{Counter, Leg};

use crate::bed::*;
use crate::websocket_client::frame;

/// A shard with a session of well-behaved peers on it.
fn bed_with_others() -> (Bed, Peer, Peer) {
    let mut bed = Bed::with(|settings| settings.sessions = 128);
    let session = bed.session(Tcp, Tcp);
    let (a, b) = bed.both_come(session);
    (bed, a, b)
}

/// They can still talk.
fn others_are_well(bed: &mut Bed, a: Peer, b: Peer) {
    let message = Message::send("well1234", "are you well?");
    bed.says(a, &message.by(A));
    let heard = bed.hears(b);
    let gauges = [
        Counter::BuffersHeld,
        Counter::BlocksHeld,
        Counter::Connections,
        Counter::Paused,
    ];
    let gauges = gauges.map(|counter| (counter.name(), bed.counter(counter)));
    assert_eq!(heard, message.to(B), "others are harmed: {gauges:?}");
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), message.answer("200 OK").to(A));
}

/// So many small messages from leg A, one after the other.
fn flood(messages: usize) -> String {
    let one = |number| {
        let message = Message::send("TRANSACTION", "x").with("Failure-Report: no");
        message
            .by(A)
            .replace("TRANSACTION", &format!("fl{number:08}"))
    };
    (0..messages).map(one).collect()
}

/// So many requests that the relay answers itself.
fn keep_alives(leg: Leg, requests: usize) -> String {
    let one = Message::bodiless("alive123", "SEND", &["Message-ID: keep"]).by(leg);
    one.repeat(requests)
}

#[test]
fn q1_answers_that_are_asked_for_and_not_read() {
    let (mut bed, c, d) = bed_with_others();
    let session = bed.session(Tcp, Tcp);
    let (a, _) = bed.both_come(session);
    bed.stalls(a, true);
    for _ in 0..200 {
        bed.says(a, &keep_alives(A, 100));
    }
    others_are_well(&mut bed, c, d);
}

#[test]
fn q1_answers_that_wait_for_the_end_of_a_chunk() {
    let (mut bed, c, d) = bed_with_others();
    let session = bed.session(Tcp, Tcp);
    let (a, b) = bed.both_come(session);
    bed.says(a, &Message::send("open1234", "begins").begun_by(A));
    for _ in 0..100 {
        bed.says(b, &keep_alives(B, 100));
    }
    others_are_well(&mut bed, c, d);
}

#[test]
fn q1_pings_whose_pongs_are_not_read() {
    let (mut bed, c, d) = bed_with_others();
    let session = bed.session(Ws, Tcp);
    let (a, _) = bed.both_come(session);
    bed.stalls(a, true);
    let pings = frame(9, true, &[b'p'; 125]).repeat(100);
    for _ in 0..200 {
        bed.says_octets(a, &pings);
    }
    others_are_well(&mut bed, c, d);
}

#[test]
fn q1_floods_of_small_messages_to_peers_that_do_not_read() {
    let (mut bed, c, d) = bed_with_others();
    let mut bad = Vec::new();
    for b_is in [Tcp, Ws, Tcp, Ws] {
        let session = bed.session(Tcp, b_is);
        let (a, b) = bed.both_come(session);
        bed.stalls(b, true);
        bed.says(a, &flood(3000));
        bad.push((session, b));
    }
    others_are_well(&mut bed, c, d);
    // What needs memory at the end finds some.
    for (session, b) in bad {
        bed.says_octets(b, b"MSRP nonsense");
        bed.delete(session);
    }
    bed.waits(2_000);
    others_are_well(&mut bed, c, d);
    assert_eq!(bed.counter(Counter::Sessions), 1);
}

#[test]
fn q1_a_trickle_of_small_messages_to_many_that_do_not_read() {
    let (mut bed, c, d) = bed_with_others();
    for _ in 0..12 {
        let session = bed.session(Tcp, Tcp);
        let (a, b) = bed.both_come(session);
        bed.stalls(b, true);
        for _ in 0..30 {
            bed.says(a, &flood(1));
        }
    }
    others_are_well(&mut bed, c, d);
}

#[test]
fn q1_callers_that_send_while_it_rings() {
    let (mut bed, c, d) = bed_with_others();
    for _ in 0..12 {
        let session = bed.session(Tcp, Tcp);
        let a = bed.comes(session, A);
        for _ in 0..30 {
            bed.says(a, &flood(1));
        }
    }
    others_are_well(&mut bed, c, d);
}

#[test]
fn q1_half_heads_of_peers_that_are_bound() {
    let (mut bed, c, d) = bed_with_others();
    for _ in 0..100 {
        let session = bed.session(Tcp, Tcp);
        let a = bed.comes(session, A);
        bed.says_octets(a, b"M");
    }
    others_are_well(&mut bed, c, d);
}

#[test]
fn q1_line_ends_where_a_path_should_be() {
    let (mut bed, c, d) = bed_with_others();
    let session = bed.session(Tcp, Tcp);
    let wrong = "msrp://x\n.invalid:1/y;tcp";
    let message = Message::bodiless("bad12345", "SEND", &["Message-ID: m"]);
    let stranger = bed.dials(session, A).expect("a port");
    bed.says(stranger, &message.between(wrong, wrong));
    assert!(!bed.hears(stranger).contains("x\n"));
    let a = bed.comes(session, A);
    bed.says(a, &message.between("L(A)", wrong));
    assert!(!bed.hears(a).contains("x\n"));
    others_are_well(&mut bed, c, d);
}

#[test]
fn q1_octets_that_are_nothing_at_all() {
    let (mut bed, c, d) = bed_with_others();
    let every: Vec<u8> = (0..=255).cycle().take(5000).collect();
    for (transport, side) in [(Tcp, A), (Ws, A)] {
        let session = bed.session(transport, Tcp);
        let stranger = bed.dials(session, side).expect("a port");
        bed.says_octets(stranger, &every);
        assert!(bed.is_ended(stranger));
        let (a, b) = bed.both_come(session);
        bed.says_octets(a, &every);
        assert!(bed.is_ended(a) && bed.is_ended(b));
    }
    others_are_well(&mut bed, c, d);
}

#[test]
fn q1_half_heads_of_strangers() {
    for (transport, octet) in [(Tcp, b"M"), (Ws, b"G")] {
        let (mut bed, c, d) = bed_with_others();
        let waiting = bed.session(transport, Tcp);
        for _ in 0..100 {
            let stranger = bed.dials(waiting, A).expect("a port");
            bed.says_octets(stranger, octet);
        }
        others_are_well(&mut bed, c, d);
    }
}

#[test]
fn q1_a_range_at_the_end_of_numbers() {
    let (mut bed, c, d) = bed_with_others();
    let session = bed.session(Tcp, Tcp);
    let (a, b) = bed.both_come(session);
    let range = "Byte-Range: 18446744073709551615-*/*";
    let chunk = Message::send("t4Kz81Qm", "hello").with(range).flagged('+');
    bed.says(a, &chunk.by(A));
    bed.says(b, &chunk.answer("200 OK").by(B));
    bed.leaves(b);
    others_are_well(&mut bed, c, d);
}
