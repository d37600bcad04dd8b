//! Sections F and G: what is said when a leg fails, and what becomes of a chunk under way.

use link::{Cause, Counter, Leg};

use crate::bed::*;

const NO_SESSION: &str = "481 Session Does Not Exist";

/// A REPORT of the relay's on message `id`, with any transaction id.
fn is_report(heard: &str, leg: Leg, lines_after_paths: &[&str]) {
    let (transaction, _) = heard["MSRP ".len()..]
        .split_once(' ')
        .expect("a start line");
    let (to, from) = match leg {
        A => ("To-Path: R(A)", "From-Path: L(A)"),
        B => ("To-Path: R(B)", "From-Path: L(B)"),
    };
    let start = format!("MSRP {transaction} REPORT");
    let end = format!("-------{transaction}$");
    let expected = [
        &[start.as_str(), to, from],
        lines_after_paths,
        &[end.as_str()],
    ]
    .concat();
    assert_eq!(heard, lines(&expected));
}

#[test]
fn f1_a_leg_fails_by_reset_by_its_end_by_a_broken_message_and_by_not_coming() {
    type End = fn(&mut Bed, Peer);
    let ends: [(End, Cause); 3] = [
        (|bed, peer| bed.breaks(peer), Cause::Reset),
        (|bed, peer| bed.leaves(peer), Cause::PeerClosed),
        (
            |bed, peer| bed.says_octets(peer, b"what?"),
            Cause::ProtocolError,
        ),
    ];
    for (end, cause) in ends {
        let mut bed = Bed::new();
        let session = bed.session(Tcp, Tcp);
        let (a, b) = bed.both_come(session);
        let message = Message::send("t4Kz81Qm", "hello");
        bed.says(a, &message.by(A));
        end(&mut bed, b);
        assert_eq!(
            bed.told(session),
            [Told::Down(B, cause), Told::Closed(cause)]
        );
        assert_eq!(bed.hears(a), message.answer(NO_SESSION).to(A));
        assert!(bed.is_ended(a));
    }
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    bed.comes(session, A);
    bed.told(session);
    bed.waits(u64::from(LEG_MS));
    let expired = [Told::Down(B, Cause::Expired), Told::Closed(Cause::Expired)];
    assert_eq!(bed.told(session), expired);
}

#[test]
fn f2_every_send_whose_fate_is_open_gets_its_signal() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let open = ["one12345", "two12345", "three123"].map(|id| Message::send(id, "hello"));
    for message in &open {
        bed.says(a, &message.by(A));
    }
    let answered = Message::send("answered", "hello");
    bed.says(a, &answered.by(A));
    bed.says(b, &answered.answer("200 OK").by(B));
    bed.hears(a);
    bed.breaks(b);
    let heard = bed.hears(a);
    for message in &open {
        assert!(heard.contains(&message.answer(NO_SESSION).to(A)), "{heard}");
    }
    assert_eq!(heard.matches("MSRP ").count(), open.len(), "{heard}");
}

#[test]
fn f3_a_failure_report_says_what_octets_it_is_about() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let first = Message::send("one12345", "0123456789").flagged('+');
    bed.says(a, &first.clone().with("Byte-Range: 1-*/9000").by(A));
    bed.says(b, &first.answer("200 OK").by(B));
    bed.hears(a);
    bed.breaks(b);
    is_report(
        &bed.hears(a),
        A,
        &[
            "Message-ID: Mx77f0a1c2",
            "Byte-Range: 1-10/9000",
            "Status: 000 481 Session Does Not Exist",
        ],
    );
}

#[test]
fn f3_a_failure_report_goes_the_whole_way_back_that_the_message_came() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let chunk = Message::send("one12345", "0123456789").flagged('+');
    let way = "msrp://edge.invalid:2855/x;tcp R(A)";
    bed.says(a, &chunk.between("L(A)", way));
    bed.says(b, &chunk.answer("200 OK").by(B));
    bed.hears(a);
    bed.breaks(b);
    let heard = bed.hears(a);
    let paths = format!(" REPORT\r\nTo-Path: {way}\r\nFrom-Path: L(A)\r\n");
    assert!(heard.contains(&paths), "{heard}");
}

/// A chunk of the message of this id.
fn chunk_of(id: &'static str, transaction: &'static str, body: &str, flag: char) -> Message {
    let mut chunk = Message::send(transaction, body).flagged(flag);
    chunk.headers[0] = id;
    chunk
}

#[test]
fn f2_of_messages_whose_chunks_alternate_each_that_is_not_all_there_is_reported_on() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let (one, two) = ("Message-ID: one", "Message-ID: two");
    let chunks = [
        chunk_of(one, "one12345", "0123456789", '+').with("Byte-Range: 1-*/900"),
        chunk_of(two, "two12345", "01234", '+').with("Byte-Range: 1-*/50"),
        chunk_of("Message-ID: whole", "whole123", "hello", '$'),
        chunk_of(one, "more1234", "0123456789", '+').with("Byte-Range: 11-*/900"),
        chunk_of("Message-ID: begun", "begun123", "01234", '+'),
        chunk_of("Message-ID: begun", "ended123", "56789", '$'),
    ];
    for chunk in &chunks {
        bed.says(a, &chunk.by(A));
        bed.says(b, &chunk.answer("200 OK").by(B));
        assert_eq!(bed.hears(a), chunk.answer("200 OK").to(A));
    }
    let nickname = Message::bodiless("nick1234", "NICKNAME", &["Use-Nickname: \"Al\""]);
    bed.says(a, &nickname.by(A));
    bed.breaks(b);
    let heard = bed.hears(a);
    let reports: Vec<&str> = heard.split("MSRP ").skip(1).collect();
    assert_eq!(reports.len(), 2, "{heard}");
    for (id, range) in [(one, "Byte-Range: 1-20/900"), (two, "Byte-Range: 1-5/50")] {
        let headers = lines(&[id, range, "Status: 000 481 Session Does Not Exist"]);
        let is_it = |report: &&str| report.contains(&headers);
        assert_eq!(
            reports.iter().filter(|report| is_it(report)).count(),
            1,
            "{heard}"
        );
    }
}

#[test]
fn f2_of_more_messages_at_once_than_are_remembered_the_latest_are_reported_on() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    for number in 0..10 {
        let id = format!("Message-ID: m{number}").leak();
        let chunk = chunk_of(id, format!("t{number}").leak(), "01234", '+');
        bed.says(a, &chunk.by(A));
        bed.says(b, &chunk.answer("200 OK").by(B));
    }
    bed.hears(a);
    bed.breaks(b);
    let heard = bed.hears(a);
    let reported = |number: &u32| heard.contains(&format!("Message-ID: m{number}\r\n"));
    let reported: Vec<u32> = (0..10).filter(reported).collect();
    assert_eq!(reported, [6, 7, 8, 9], "{heard}");
    bed.leaves(a);
    assert_eq!(Counter::left_over(|gauge| bed.counter(gauge)), []);
}

#[test]
fn f4_a_connection_that_is_refused_is_408_for_what_waited_for_it() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let a = bed.comes(session, A);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    bed.told(session);
    let path = bed.remote(session, B);
    let nobody = std::net::SocketAddr::from(([198, 51, 100, 7], 20_000));
    bed.set_peer(session, B, &path, Some(nobody));
    let failed = Cause::ConnectFailed;
    assert_eq!(
        bed.told(session),
        [Told::Down(B, failed), Told::Closed(failed)]
    );
    let answer = message.answer("408 Timeout").to(A);
    assert_eq!(bed.hears(a).split(' ').nth(2), answer.split(' ').nth(2));
    assert!(bed.is_ended(a));
}

#[test]
fn f5_who_asked_for_errors_only_hears_once_of_a_message_that_is_not_all_there() {
    for (wish, hears) in [
        ("Failure-Report: partial", true),
        ("Failure-Report: no", false),
    ] {
        let (mut bed, a, b) = talk(Tcp, Tcp);
        let chunk = Message::send("one12345", "0123456789").flagged('+');
        bed.says(a, &chunk.with(wish).by(A));
        // Its response is not waited for any more: what is known to be lost is the message.
        bed.waits(30_001);
        bed.breaks(b);
        let heard = bed.hears(a);
        assert_eq!(
            heard.matches("MSRP ").count(),
            usize::from(hears),
            "{heard}"
        );
        assert_eq!(heard.contains(" REPORT\r\n"), hears, "{heard}");
    }
}

#[test]
fn j6_a_report_counts_from_where_the_message_began() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    for (transaction, range) in [
        ("one12345", "Byte-Range: 101-*/*"),
        ("two12345", "X-None: 1"),
    ] {
        let chunk = Message::send(transaction, "0123456789")
            .with(range)
            .flagged('+');
        bed.says(a, &chunk.by(A));
        bed.says(b, &chunk.answer("200 OK").by(B));
    }
    bed.hears(a);
    bed.breaks(b);
    let status = "Status: 000 481 Session Does Not Exist";
    let range = "Byte-Range: 101-120/*";
    is_report(&bed.hears(a), A, &["Message-ID: Mx77f0a1c2", range, status]);
}

#[test]
fn f4_time_is_408_and_a_dead_session_481() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let a = bed.comes(session, A);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    bed.waits(u64::from(LEG_MS));
    assert_eq!(bed.hears(a), message.answer("408 Request Timeout").to(A));

    let (mut bed, a, b) = talk(Tcp, Tcp);
    bed.says(a, &message.by(A));
    bed.breaks(b);
    assert_eq!(bed.hears(a), message.answer(NO_SESSION).to(A));
}

#[test]
fn f5_a_message_fails_once() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    // One chunk was answered, the next is open: the response alone.
    for (transaction, answered) in [("one12345", true), ("two12345", false)] {
        let chunk = Message::send(transaction, "0123456789").flagged('+');
        bed.says(a, &chunk.by(A));
        if answered {
            bed.says(b, &chunk.answer("200 OK").by(B));
        }
    }
    bed.hears(a);
    bed.breaks(b);
    let open = Message::send("two12345", "");
    assert_eq!(bed.hears(a), open.answer(NO_SESSION).to(A));
}

#[test]
fn f6_nothing_but_a_send_is_reported_on() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let report = Message::bodiless("rep12345", "REPORT", &["Message-ID: m", "Status: 000 200"]);
    bed.says(a, &report.by(A));
    bed.says(
        a,
        &Message::bodiless("nick1234", "NICKNAME", &["Use-Nickname: \"Al\""]).by(A),
    );
    bed.breaks(b);
    assert_eq!(bed.hears(a), "");
}

#[test]
fn f7_a_leg_that_is_dead_or_ended_by_signalling_hears_nothing() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let (a, b) = bed.both_come(session);
    bed.says(a, &Message::send("fromA123", "hello").by(A));
    bed.says(b, &Message::send("fromB123", "hello").by(B));
    bed.hears(a);
    bed.hears(b);
    bed.delete(session);
    assert_eq!((bed.hears(a), bed.hears(b)), (String::new(), String::new()));
}

#[test]
fn f8_signals_come_before_the_end() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    bed.breaks(b);
    let frames = bed.hears_frames(a);
    let opcodes: Vec<u8> = frames.iter().map(|frame| frame.opcode).collect();
    assert_eq!(opcodes, [2, 8]);
    assert!(bed.is_ended(a));
}

#[test]
fn f9_success_is_for_the_endpoints_to_report() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello").with("Success-Report: yes");
    bed.says(a, &message.by(A));
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), message.answer("200 OK").to(A));
    bed.leaves(b);
    assert_eq!(bed.hears(a), "");
}

#[test]
fn f10_a_request_is_forgotten_after_thirty_seconds_and_nobody_told() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    bed.waits(29_999);
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), message.answer("200 OK").to(A));
    bed.says(a, &message.by(A));
    bed.waits(30_001);
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), "");
}

#[test]
fn f11_the_thirty_seconds_run_from_the_last_octet() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", &"x".repeat(1000));
    let said = message.by(A);
    let (begun, rest) = said.split_at(300);
    bed.says(a, begun);
    for octet in rest.chars().take(10) {
        bed.waits(10_000);
        bed.says(a, &octet.to_string());
    }
    bed.says(a, &rest[10..]);
    assert_eq!(bed.hears(b), message.to(B));
    bed.waits(29_000);
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), message.answer("200 OK").to(A));
}

#[test]
fn f12_so_is_a_request_of_another_method() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let request = Message::bodiless("nick1234", "NICKNAME", &["Use-Nickname: \"Al\""]);
    bed.says(a, &request.by(A));
    bed.waits(30_001);
    bed.says(b, &request.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), "");
}

/// The beginning of a SEND of leg A, up to some octets of its body.
fn begun() -> (Message, String) {
    let message = Message::send("t4Kz81Qm", "0123456789").with("Byte-Range: 1-*/500000");
    let said = message.begun_by(A);
    (message, said)
}

#[test]
fn g1_a_chunk_whose_sender_dies_is_ended_with_a_hash() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let (message, said) = begun();
    bed.says(a, &said);
    bed.breaks(a);
    assert_eq!(bed.hears(b), message.flagged('#').to(B));

    // What might have been the end-line's beginning was data.
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let (mut message, said) = begun();
    bed.says(a, &(said + "\r\n-------t4Kz"));
    bed.breaks(a);
    message.body = Some("0123456789\r\n-------t4Kz".into());
    assert_eq!(bed.hears(b), message.flagged('#').to(B));
}

#[test]
fn g2_of_a_chunk_of_which_nothing_was_written_nothing_is() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let (_, said) = begun();
    bed.says(a, &said[..said.len() / 2]);
    bed.breaks(a);
    assert_eq!(bed.hears(b), "");
}

#[test]
fn g3_the_connection_ends_after_a_chunk_that_was_cut_off() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    bed.says(a, &begun().1);
    bed.breaks(a);
    assert!(bed.is_ended(b));
}

#[test]
fn g4_toward_a_websocket_the_same_message_is_finished() {
    let (mut bed, a, b) = talk(Tcp, Ws);
    let (message, said) = begun();
    bed.says(a, &said);
    bed.breaks(a);
    let heard = bed.hears(b);
    assert_eq!(heard, message.flagged('#').to(B));

    let (mut bed, a, b) = talk(Tcp, Ws);
    bed.says(a, &said);
    bed.breaks(a);
    let shape: Vec<_> = bed
        .hears_frames(b)
        .iter()
        .map(|f| (f.opcode, f.fin))
        .collect();
    assert_eq!(shape, [(2, false), (0, true), (8, true)]);
}

#[test]
fn g6_a_receiver_that_dies_within_a_chunk_fails_the_send() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let (message, said) = begun();
    bed.says(a, &said);
    bed.breaks(b);
    assert_eq!(bed.hears(a), message.answer(NO_SESSION).to(A));
}

#[test]
fn g7_a_chunk_that_its_sender_ends_early_is_passed_on() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let chunk = Message::send("t4Kz81Qm", "0123")
        .with("Byte-Range: 1-10/10")
        .flagged('+');
    bed.says(a, &chunk.by(A));
    assert_eq!(bed.hears(b), chunk.to(B));
}

#[test]
fn g8_a_message_given_up_is_passed_on_as_such_and_forgotten() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let chunk = Message::send("t4Kz81Qm", "0123")
        .with("Byte-Range: 1-*/10")
        .flagged('#');
    bed.says(a, &chunk.by(A));
    assert_eq!(bed.hears(b), chunk.to(B));
    bed.says(b, &chunk.answer("200 OK").by(B));
    bed.hears(a);
    bed.breaks(b);
    assert_eq!(bed.hears(a), "", "nothing of it is open");
}

#[test]
fn g9_a_stop_passes_at_once_and_the_chunk_goes_on_to_its_end() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let (message, said) = begun();
    bed.says(a, &said);
    let stop = message.answer("413 Stop Sending Message");
    bed.says(b, &stop.by(B));
    assert_eq!(bed.hears(a), stop.to(A));
    bed.says(a, "\r\n-------t4Kz81Qm#\r\n");
    assert_eq!(bed.hears(b), message.flagged('#').to(B));
}

#[test]
fn g10_a_message_may_be_sent_again() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    for transaction in ["one12345", "two12345"] {
        let message = Message::send(transaction, "the same Message-ID");
        bed.says(a, &message.by(A));
        assert_eq!(bed.hears(b), message.to(B));
        bed.says(b, &message.answer("200 OK").by(B));
        assert_eq!(bed.hears(a), message.answer("200 OK").to(A));
    }
}

#[test]
fn f13_a_message_that_has_failed_stays_failed() {
    let mut bed = Bed::with(|settings| settings.message_bytes_max = 10_000);
    let session = bed.session(Ws, Tcp);
    let (a, b) = bed.both_come(session);
    let long = Message::send("t4Kz81Qm", &"x".repeat(40_000)).flagged('+');
    bed.says(b, &long.by(B)[..35_000]);
    bed.says(b, &long.by(B)[35_000..]);
    assert_eq!(bed.hears(b), long.answer("413 Stop Sending Message").to(B));
    bed.hears(a);
    let more = Message::send("more1234", "more of the same");
    bed.says(b, &more.by(B));
    assert_eq!(bed.hears(b), more.answer("413 Stop Sending Message").to(B));
    assert_eq!(bed.hears(a), "");
}
