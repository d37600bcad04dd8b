//! Sections I and J: chunks of any size, slow receivers, and ranges that are nobody's business here.

use link::{Cause, Counter};

use crate::bed::*;
use crate::websocket_client::frame;

#[test]
fn i1_a_long_chunk_with_a_fixed_end_is_passed_on() {
    let (mut bed, a, b) = talk(Tcp, Ws);
    let message = Message::send("t4Kz81Qm", &"x".repeat(10_240));
    let message = message.with("Byte-Range: 1-10240/10240");
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(b), message.to(B));
}

#[test]
fn i3_what_the_relay_says_itself_waits_for_the_end_of_a_chunk() {
    for b_is in [Tcp, Ws] {
        let (mut bed, a, b) = talk(Tcp, b_is);
        let message = Message::send("t4Kz81Qm", "0123456789");
        let said = message.by(A);
        let (begun, rest) = said.split_at(said.len() - 25);
        bed.says(a, begun);
        let alive = Message::bodiless("alive123", "SEND", &["Message-ID: keep"]);
        bed.says(b, &alive.by(B));
        bed.says(a, rest);
        assert_eq!(bed.hears(b), message.to(B) + &alive.answer("200 OK").to(B));
    }
}

#[test]
fn i3_a_chunk_that_stands_still_is_cut_off() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let (a, b) = bed.both_come(session);
    let message = Message::send("t4Kz81Qm", "0123456789");
    bed.says(a, &message.begun_by(A));
    bed.waits(61_000);
    assert_eq!(bed.hears(b), message.flagged('#').to(B));
}

#[test]
fn i4_a_chunk_streams_as_it_comes() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", &"x".repeat(100_000));
    let said = message.by(A);
    let mut heard = String::new();
    for start in (0..said.len()).step_by(1000) {
        bed.says(a, &said[start..said.len().min(start + 1000)]);
        let before = heard.len();
        heard += &bed.hears(b);
        assert!(heard.len() > before, "octets wait for nothing");
    }
    assert_eq!(heard, message.to(B));
    assert!(bed.counter(Counter::BuffersHeldMax) < 8);
}

#[test]
fn i6_toward_a_websocket_a_chunk_is_one_message_of_any_number_of_fragments() {
    let (mut bed, a, b) = talk(Tcp, Ws);
    let said = Message::send("t4Kz81Qm", &"x".repeat(50_000)).by(A);
    for piece in said.as_bytes().chunks(10_000) {
        bed.says(a, str::from_utf8(piece).expect("text"));
    }
    let frames = bed.hears_frames(b);
    assert!(frames.len() > 4);
    for (place, frame) in frames.iter().enumerate() {
        let is_last = place + 1 == frames.len();
        assert_eq!(
            (frame.opcode, frame.fin),
            (if place == 0 { 2 } else { 0 }, is_last)
        );
    }
}

#[test]
fn a3_a_chunk_is_never_cut_or_merged() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let chunks = ["one12345", "two12345"].map(|id| Message::send(id, "x").flagged('+'));
    for chunk in &chunks {
        bed.says(a, &chunk.by(A));
    }
    assert_eq!(bed.hears(b), chunks.map(|chunk| chunk.to(B)).concat());
    let long = Message::send("t4Kz81Qm", &"x".repeat(300_000));
    bed.says(a, &long.by(A));
    assert_eq!(bed.hears(b), long.to(B));
}

#[test]
fn i8_a_receiver_that_stops_stops_its_sender_and_nothing_is_lost() {
    for b_is in [Tcp, Ws] {
        let mut bed = Bed::with(|settings| settings.message_bytes_max = 64 << 20);
        let session = bed.session(Tcp, b_is);
        let (a, b) = bed.both_come(session);
        bed.stalls(b, true);
        let message = Message::send("t4Kz81Qm", &"x".repeat(3_000_000));
        bed.says(a, &message.by(A));
        assert_eq!(bed.counter(Counter::Paused), 1);
        let received = bed.counter(Counter::OctetsReceived);
        assert!(
            received < 2_000_000,
            "{received} octets were taken for nobody"
        );
        bed.stalls(b, false);
        let heard = bed.hears(b);
        assert_eq!(heard.len(), message.to(B).len());
        assert!(heard == message.to(B));
        assert_eq!(bed.counter(Counter::Paused), 0);
        assert_eq!(bed.counter(Counter::BuffersHeld), 0);
    }
}

#[test]
fn i9_a_receiver_that_takes_nothing_for_thirty_seconds_has_failed() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let (a, b) = bed.both_come(session);
    bed.stalls(b, true);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    bed.waits(29_000);
    assert_eq!(bed.told(session), []);
    bed.waits(2_000);
    let stalled = [Told::Down(B, Cause::Stalled), Told::Closed(Cause::Stalled)];
    assert_eq!(bed.told(session), stalled);
}

#[test]
fn i10_requests_need_not_wait_for_responses() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let messages: Vec<Message> = (0..1500)
        .map(|number| Message::send(format!("tx{number:06}").leak(), "hello"))
        .collect();
    for message in &messages {
        bed.says(a, &message.by(A));
        assert_eq!(bed.hears(b), message.to(B));
    }
    for message in &messages {
        bed.says(b, &message.answer("200 OK").by(B));
        assert_eq!(bed.hears(a), message.answer("200 OK").to(A));
    }
}

/// A SEND with this header goes through as it is.
fn passes(header: &'static str, body: &str) {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", body).with(header);
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(b), message.to(B), "{header}");
}

#[test]
fn j1_ranges_are_forwarded_unchanged() {
    passes("Byte-Range: 1-5/5", "hello");
    passes("Byte-Range: 0001-05/0005", "hello");
    passes("byte-range:  7-*/12", "hello");
}

#[test]
fn j2_no_content_has_a_range_of_its_own() {
    passes("Byte-Range: 1-0/0", "");
}

#[test]
fn j3_ends_and_totals_may_be_open() {
    passes("Byte-Range: 1-*/*", "hello");
    passes("Byte-Range: 1-*/900", "hello");
    passes("Byte-Range: 1-5/*", "hello");
}

#[test]
fn j4_a_chunk_without_a_range_is_good() {
    passes("X-None: 1", "hello");
}

#[test]
fn j5_a_range_that_makes_no_sense_is_the_endpoints_affair() {
    passes("Byte-Range: 9-5/7", "hello");
    passes("Byte-Range: 1-9/5", "hello");
}

#[test]
fn i3_pongs_do_not_keep_a_chunk_open_that_stands_still() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let message = Message::send("t4Kz81Qm", "0123456789");
    let begun = bed.with_uris(a, &message.begun_by(A)).into_bytes();
    bed.says_octets(a, &frame(2, false, &begun));
    for _ in 0..12 {
        bed.waits(10_000);
        bed.says_octets(a, &frame(10, true, b""));
    }
    assert_eq!(bed.hears(b), message.flagged('#').to(B));
}

#[test]
fn i9_one_of_a_thousand_that_stalls_is_felt_by_nobody_and_fails_alone() {
    let mut bed = Bed::with(|settings| {
        settings.sessions = 1000;
        settings.connections = 4096;
        settings.ports = (20000..22000).collect();
    });
    let sessions: Vec<Session> = (0..1000).map(|_| bed.session(Tcp, Tcp)).collect();
    let peers: Vec<(Peer, Peer)> = sessions.iter().map(|one| bed.both_come(*one)).collect();
    let hello = Message::send("t4Kz81Qm", "hello");
    // Turns that a message and its response take.
    let turns_of = |bed: &mut Bed, (a, b): (Peer, Peer)| {
        let before = bed.counter(Counter::Turns);
        bed.says(a, &hello.by(A));
        assert_eq!(bed.hears(b), hello.to(B));
        bed.says(b, &hello.answer("200 OK").by(B));
        assert_eq!(bed.hears(a), hello.answer("200 OK").to(A));
        bed.counter(Counter::Turns) - before
    };
    let alone = turns_of(&mut bed, peers[1]);

    let (a, b) = peers[0];
    bed.stalls(b, true);
    let long = Message::send("long1234", &"x".repeat(2_000_000));
    bed.says(a, &long.by(A));
    for others in peers[1..].iter().step_by(37) {
        assert_eq!(
            turns_of(&mut bed, *others),
            alone,
            "nobody waits a turn more"
        );
    }
    let held = bed.counter(Counter::HeldBytes);
    assert!(held <= 2 * (256 << 10), "{held} octets are held for it");
    assert_eq!(bed.counter(Counter::Paused), 1);

    bed.waits(31_000);
    let stalled = [Told::Down(B, Cause::Stalled), Told::Closed(Cause::Stalled)];
    for (number, session) in sessions.iter().enumerate() {
        let told = bed.told(*session);
        assert_eq!(
            told[..],
            stalled[..if number == 0 { 2 } else { 0 }],
            "{number}"
        );
    }
    assert_eq!(bed.hears(a), long.answer("408 Request Timeout").to(A));
    assert_eq!(bed.counter(Counter::BuffersHeld), 0);
    assert_eq!(turns_of(&mut bed, peers[999]), alone);
}
