//! What a leg's policy can say: timers, and where MSRP leaves a choice, the one that is not the
//! default.

use link::{Cause, Command, Counter, LegPolicy, LegSpec, Switches};

use crate::bed::*;
use crate::websocket_client::frame;

fn idle(idle_ms: u32) -> LegPolicy {
    LegPolicy {
        idle_ms,
        ..LegPolicy::PLAIN
    }
}

fn switched(switches: Switches) -> LegPolicy {
    LegPolicy {
        switches,
        ..LegPolicy::PLAIN
    }
}

#[test]
fn l15_an_idle_session_ends_and_its_browser_hears_1008() {
    let (mut bed, session, a, b) = talk_of([leg_with(Ws, idle(60_000)), LegSpec::new(Tcp, LEG_MS)]);
    for _ in 0..3 {
        // Either direction will do.
        bed.waits(59_000);
        let message = Message::send("t4Kz81Qm", "hello");
        bed.says(b, &message.by(B));
        bed.says(a, &message.answer("200 OK").by(A));
        bed.hears(b);
    }
    // What is between the relay and one peer is no use of the session.
    bed.waits(59_000);
    let alive = Message::bodiless("alive123", "SEND", &["Message-ID: keep"]);
    bed.says(a, &alive.by(A));
    assert_eq!(bed.told(session), []);
    bed.waits(1_000);
    let ended = [Told::Down(A, Cause::Idle), Told::Closed(Cause::Idle)];
    assert_eq!(bed.told(session), ended);
    assert_eq!(bed.close_code(a), Some(1008));
    assert!(bed.is_ended(b));
    assert_eq!(bed.counter(Counter::LegsIdle), 1);
    assert_eq!(bed.counter(Counter::Timers), 2, "those of draining");
}

#[test]
fn f2_what_is_open_when_an_idle_session_ends_gets_its_signal_on_both_sides() {
    let (mut bed, _, a, b) = talk_of([LegSpec::new(Ws, LEG_MS), leg_with(Tcp, idle(5_000))]);
    let (from_a, from_b) = (
        Message::send("fromA123", "hello"),
        Message::send("fromB123", "hello"),
    );
    bed.says(a, &from_a.by(A));
    bed.says(b, &from_b.by(B));
    bed.hears(a);
    bed.hears(b);
    bed.waits(5_000);
    assert_eq!(bed.hears(a), from_a.answer("408 Request Timeout").to(A));
    assert_eq!(bed.hears(b), from_b.answer("408 Request Timeout").to(B));
}

#[test]
fn a_session_that_is_not_whole_is_not_idle() {
    let mut bed = Bed::new();
    let session = bed.create_of([
        LegSpec {
            policy: idle(5_000),
            ..LegSpec::new(Ws, 180_000)
        },
        LegSpec::new(Tcp, 180_000),
    ]);
    bed.tell_paths(session);
    bed.comes(session, A);
    bed.told(session);
    bed.waits(60_000);
    assert_eq!(bed.told(session), [], "it rings");
    bed.comes(session, B);
    bed.waits(4_999);
    assert_eq!(bed.told(session), [Told::Up(B)]);
    bed.waits(1);
    let ended = [Told::Down(A, Cause::Idle), Told::Closed(Cause::Idle)];
    assert_eq!(bed.told(session), ended);
}

#[test]
fn what_holds_for_a_leg_can_be_changed_while_it_lives() {
    let (mut bed, session, _, _) = talk_of([Tcp, Tcp].map(|kind| LegSpec::new(kind, LEG_MS)));
    bed.waits(100_000);
    let update = |policy| {
        move |session| Command::Update {
            session,
            leg: B,
            policy,
        }
    };
    bed.command_of(session, update(idle(120_000)));
    bed.waits(10_000);
    bed.command_of(session, update(LegPolicy::PLAIN));
    bed.waits(10_000);
    assert_eq!(bed.told(session), [], "it was taken back in time");
    bed.command_of(session, update(idle(5_000)));
    assert_eq!(bed.told(session).len(), 2, "too long already");
}

#[test]
fn k16_a_silent_leg_is_kept_alive_by_a_send_without_body() {
    let keepalive = LegPolicy {
        keepalive_ms: 120_000,
        ..LegPolicy::PLAIN
    };
    let (mut bed, _, a, b) = talk_of([LegSpec::new(Tcp, LEG_MS), leg_with(Tcp, keepalive)]);
    bed.waits(119_999);
    assert_eq!(bed.hears(b), "");
    bed.waits(1);
    let heard = bed.hears(b);
    let transaction = heard
        .strip_prefix("MSRP ")
        .and_then(|rest| rest.split(' ').next());
    let transaction = transaction.expect("a message").to_owned();
    let paths = "SEND\r\nTo-Path: R(B)\r\nFrom-Path: L(B)\r\nMessage-ID: ";
    assert!(
        heard.starts_with(&format!("MSRP {transaction} {paths}")),
        "{heard}"
    );
    assert!(heard.ends_with(&format!("\r\n-------{transaction}$\r\n")));
    assert!(!heard.contains("Content-Type"), "{heard}");
    // What it is answered goes to nobody, and begins the silence anew.
    bed.says(
        b,
        &format!("MSRP {transaction} 200 OK\r\nTo-Path: L(B)\r\nFrom-Path: R(B)\r\n-------{transaction}$\r\n"),
    );
    assert_eq!(bed.hears(a), "");
    bed.waits(60_000);
    // Whatever goes, in either direction, will do.
    bed.says(a, &Message::send("t4Kz81Qm", "hello").by(A));
    bed.hears(b);
    bed.waits(119_999);
    assert_eq!(bed.hears(b), "");
    bed.waits(1);
    assert_ne!(bed.hears(b), "");
    assert_eq!(bed.counter(Counter::KeepAlives), 2);
}

#[test]
fn k16_each_leg_has_a_user_timeout_of_its_own() {
    let mut bed = Bed::sharing_ports();
    let leg = |transport, user_timeout_ms| LegSpec {
        user_timeout_ms,
        ..LegSpec::new(transport, LEG_MS)
    };
    let session = bed.create_of([leg(Ws, 20_000), leg(Tcp, 0)]);
    let other = bed.create_of([leg(Ws, 0), leg(Tcp, 1)]);
    let same = bed.create_of([leg(Ws, 20_000), leg(Tcp, 0)]);
    assert_eq!(bed.port(session, A), bed.port(same, A));
    assert_ne!(bed.port(session, A), bed.port(other, A));
    for session in [session, other, same] {
        bed.tell_paths(session);
    }
    let (a, b) = bed.both_come(session);
    assert_eq!(
        (bed.user_timeout_ms(a), bed.user_timeout_ms(b)),
        (20_000, 40_000)
    );
    let at = std::net::SocketAddr::from(([198, 51, 100, 7], 20_000));
    bed.listens(at);
    let path = bed.remote(other, B);
    bed.set_peer(other, B, &path, Some(at));
    let dialled = bed.is_dialled(other, at).expect("it connects");
    assert_eq!(bed.user_timeout_ms(dialled), 1_000, "a second at least");
}

#[test]
fn j5_where_ranges_are_strict_one_that_makes_no_sense_gets_400() {
    let strict = switched(Switches {
        strict_ranges: true,
        ..Switches::NONE
    });
    let (mut bed, _, a, b) = talk_of([leg_with(Ws, strict), LegSpec::new(Tcp, LEG_MS)]);
    for range in [
        "Byte-Range: 0-4/5",
        "Byte-Range: 3-1/5",
        "Byte-Range: 1-6/5",
        "Byte-Range: 7-*/5",
    ] {
        let message = Message::send("t4Kz81Qm", "hello").with(range);
        bed.says(a, &message.by(A));
        assert_eq!(bed.hears(a), message.answer("400 Bad Request").to(A));
        assert_eq!(bed.hears(b), "", "{range}");
        // The switch is about what comes from its leg's peer.
        bed.says(b, &message.by(B));
        assert_eq!(bed.hears(a), message.to(A));
        bed.says(a, &message.answer("200 OK").by(A));
        bed.hears(b);
    }
    for range in [
        "Byte-Range: 1-5/5",
        "Byte-Range: 1-0/0",
        "Byte-Range: 6-5/5",
        "Byte-Range: 1-*/*",
        "Byte-Range: 3-7/*",
    ] {
        let message = Message::send("t4Kz81Qm", "hello").with(range);
        bed.says(a, &message.by(A));
        assert_eq!(bed.hears(b), message.to(B), "{range}");
        bed.says(b, &message.answer("200 OK").by(B));
        bed.hears(a);
    }
}

#[test]
fn d2_where_addresses_are_rewritten_the_session_id_decides() {
    let by_id = switched(Switches {
        session_id_only: true,
        ..Switches::NONE
    });
    let mut bed = Bed::new();
    let session = bed.create_of([LegSpec::new(Ws, LEG_MS), leg_with(Tcp, by_id)]);
    bed.tell_paths(session);
    let a = bed.comes(session, A);
    let b = bed.dials(session, B).expect("it waits");
    let moved = "msrp://203.0.113.9:4711/handset0;tcp";
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(b, &message.between("L(B)", moved));
    assert_eq!(bed.hears(a), message.to(A), "it binds and is passed on");
    bed.says(a, &message.answer("200 OK").by(A));
    // As the far endpoint calls itself, so it is answered.
    assert_eq!(
        bed.hears(b),
        message.answer("200 OK").between(moved, "L(B)")
    );
    let stranger = Message::send("strange1", "hello");
    let other = "msrp://198.51.100.7:20000/Handset0;tcp";
    bed.says(b, &stranger.between("L(B)", other));
    let refused = stranger.answer("481 Session Does Not Exist");
    assert_eq!(bed.hears(b), refused.between(other, "L(B)"));
    // And without the switch an address matters.
    let (mut bed, _, b) = talk(Ws, Tcp);
    bed.says(b, &message.between("L(B)", moved));
    let refused = message.answer("481 Session Does Not Exist");
    assert_eq!(bed.hears(b), refused.between(moved, "L(B)"));
}

/// A browser whose SENDs the relay acknowledges itself, and a handset.
fn acknowledged() -> (Bed, Session, Peer, Peer) {
    let local = switched(Switches {
        local_acknowledgement: true,
        ..Switches::NONE
    });
    talk_of([leg_with(Ws, local), LegSpec::new(Tcp, LEG_MS)])
}

/// The REPORT that a peer has heard, without the transaction id that nobody could foresee.
fn report_to(bed: &mut Bed, peer: Peer) -> String {
    let heard = bed.hears(peer);
    let transaction = heard
        .strip_prefix("MSRP ")
        .and_then(|it| it.split(' ').next());
    heard.replace(transaction.expect("a message"), "*")
}

fn report(range: &str, status: &str) -> String {
    lines(&[
        "MSRP * REPORT",
        "To-Path: R(A)",
        "From-Path: L(A)",
        "Message-ID: Mx77f0a1c2",
        &format!("Byte-Range: {range}"),
        &format!("Status: 000 {status}"),
        "-------*$",
    ])
}

const GONE: &str = "481 Session Does Not Exist";

#[test]
fn e7_the_relay_answers_in_place_of_the_far_side_where_that_is_wished() {
    let (mut bed, _, a, b) = acknowledged();
    let message = Message::send("t4Kz81Qm", "hello");
    let octets = frame(2, true, bed.with_uris(a, &message.by(A)).as_bytes());
    let (most, last) = octets.split_at(octets.len() - 1);
    bed.says_octets(a, most);
    assert_eq!(bed.hears(a), "", "not before all of it has come");
    bed.says_octets(a, last);
    assert_eq!(bed.hears(a), message.answer("200 OK").to(A));
    assert_eq!(bed.hears(b), message.to(B));
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), "", "one is enough");
    assert_eq!(bed.counter(Counter::Pending), 0);
    // What the far side has against it comes as a report.
    let other = Message::send("other123", "hello").with("Byte-Range: 101-105/200");
    bed.says(a, &other.by(A));
    assert_eq!(bed.hears(a), other.answer("200 OK").to(A));
    bed.says(b, &other.answer("413 Stop").by(B));
    assert_eq!(
        report_to(&mut bed, a),
        report("101-105/200", "413 Stop Sending Message")
    );
    // The other direction has no such wish.
    let back = Message::send("back1234", "hello");
    bed.says(b, &back.by(B));
    bed.hears(b);
    assert_eq!(bed.hears(a), back.to(A));
}

#[test]
fn e7_who_wants_no_200_or_no_word_at_all_gets_none() {
    let (mut bed, _, a, b) = acknowledged();
    for (wish, is_told) in [
        ("Failure-Report: partial", true),
        ("Failure-Report: no", false),
    ] {
        let message = Message::send("t4Kz81Qm", "hello").with(wish);
        bed.says(a, &message.by(A));
        assert_eq!(bed.hears(a), "");
        bed.says(b, &message.answer("413 Stop").by(B));
        // Nothing went back before: so it is a response.
        let answer = message.answer("413 Stop").to(A);
        assert_eq!(bed.hears(a), if is_told { answer } else { String::new() });
    }
    let nickname = Message::bodiless("nick1234", "NICKNAME", &["Use-Nickname: \"Al\""]);
    bed.says(a, &nickname.by(A));
    assert_eq!(bed.hears(a), "", "and a SEND is what is meant");
}

#[test]
fn e7_what_is_lost_after_its_200_is_reported() {
    let (mut bed, _, a, b) = acknowledged();
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    bed.hears(a);
    bed.breaks(b);
    assert_eq!(report_to(&mut bed, a), report("1-5/*", GONE));
    // A message of which more was to come is reported once.
    let (mut bed, _, a, b) = acknowledged();
    let chunk = Message::send("chunk123", "hello")
        .flagged('+')
        .with("Byte-Range: 1-*/9");
    bed.says(a, &chunk.by(A));
    bed.hears(a);
    bed.breaks(b);
    assert_eq!(report_to(&mut bed, a), report("1-5/9", GONE));
    assert_eq!(bed.counter(Counter::ReportsMade), 1);
    assert_eq!(bed.counter(Counter::PathCells), 0, "nothing is kept");
}

#[test]
fn f10_an_acknowledged_request_that_is_not_answered_in_time_is_reported_with_408() {
    let (mut bed, _, a, b) = acknowledged();
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    bed.hears(a);
    bed.waits(29_999);
    bed.says_octets(a, &[]);
    assert_eq!(bed.hears(a), "");
    bed.waits(1);
    assert_eq!(
        report_to(&mut bed, a),
        report("1-5/*", "408 Request Timeout")
    );
    bed.says(b, &message.answer("200 OK").by(B));
    assert_eq!(bed.hears(a), "", "too late");
}

#[test]
fn f5_where_only_reports_are_wished_no_send_is_answered_for_a_leg_that_fails() {
    let reports = switched(Switches {
        report_only: true,
        ..Switches::NONE
    });
    let legs = || [leg_with(Ws, reports), LegSpec::new(Tcp, LEG_MS)];
    let message = Message::send("t4Kz81Qm", "hello");
    let (mut bed, _, a, b) = talk_of(legs());
    bed.says(a, &message.by(A));
    bed.breaks(b);
    assert_eq!(report_to(&mut bed, a), report("1-5/*", GONE));
    // What was waiting for the leg is reported on just so.
    let mut bed = Bed::new();
    let session = bed.create_of(legs());
    bed.tell_paths(session);
    let a = bed.comes(session, A);
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(a), "");
    bed.waits(u64::from(LEG_MS));
    assert_eq!(
        report_to(&mut bed, a),
        report("1-0/*", "408 Request Timeout")
    );
    // What the far side says passes as it is, and silence is silence.
    let (mut bed, _, a, b) = talk_of(legs());
    bed.says(a, &message.by(A));
    bed.says(b, &message.answer("403 No").by(B));
    assert_eq!(bed.hears(a), message.answer("403 No").to(A));
    let silent = Message::send("silent12", "hello").with("Failure-Report: no");
    bed.says(a, &silent.by(A));
    bed.breaks(b);
    assert_eq!(bed.hears(a), "");
}

#[test]
fn m8_sixty_seconds_of_ringing_are_apart_from_the_thirty_to_connect_in_both_directions() {
    let rearm = |bed: &mut Bed, session| {
        for leg in [A, B] {
            bed.command_of(session, move |session| Command::Rearm {
                session,
                leg,
                deadline_ms: LEG_MS,
            });
        }
    };
    // Who has called is there at once, or comes when it is answered; the other comes when it has.
    for (early, late) in [(A, B), (B, A)] {
        for is_early in [true, false] {
            let mut bed = Bed::new();
            let session = bed.create(Tcp, Tcp, 180_000);
            bed.tell_paths(session);
            if is_early {
                bed.comes(session, early);
            }
            bed.waits(60_000);
            rearm(&mut bed, session);
            bed.waits(u64::from(LEG_MS) - 1);
            if !is_early {
                bed.comes(session, early);
            }
            bed.comes(session, late);
            assert!(bed.told(session).contains(&Told::Up(late)));
            bed.waits(u64::from(LEG_MS));
            assert_eq!(bed.told(session), [], "both are there in time");
        }
        // And thirty there are.
        let mut bed = Bed::new();
        let session = bed.create(Tcp, Tcp, 180_000);
        bed.tell_paths(session);
        bed.comes(session, early);
        bed.waits(60_000);
        rearm(&mut bed, session);
        bed.told(session);
        bed.waits(u64::from(LEG_MS));
        assert_eq!(bed.told(session)[0], Told::Down(late, Cause::Expired));
    }
}
