//! Section K: connections, and how they find their session.

use std::collections::HashSet;
use std::net::SocketAddr;

use link::{Cause, Command, LegSpec, Refusal};

use crate::bed::*;

const OK: &str = "200 OK";

fn greeting() -> Message {
    Message::bodiless("bind1234", "SEND", &["Message-ID: bind1"])
}

/// A session whose leg B the relay has connected to, and the connection at its other end.
fn connected() -> (Bed, Session, Peer) {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let address = SocketAddr::from(([198, 51, 100, 7], 20000));
    bed.listens(address);
    let path = "msrp://198.51.100.7:20000/handset0;tcp";
    bed.set_peer(session, B, path, Some(address));
    let peer = bed
        .is_dialled(session, address)
        .expect("the relay connects");
    (bed, session, peer)
}

#[test]
fn k1_a_leg_is_listened_for_before_control_hears_of_it() {
    let mut bed = Bed::new();
    let session = bed.create(Ws, Tcp, LEG_MS);
    assert_eq!(bed.told(session), [Told::Created]);
    assert!(bed.dials(session, A).is_some() && bed.dials(session, B).is_some());
    // Nothing is listened to without a session.
    bed.delete(session);
    bed.told(session);
    assert!(bed.dials(session, A).is_none() && bed.dials(session, B).is_none());
}

#[test]
fn k1_each_leg_may_have_a_port_of_its_own() {
    let mut bed = Bed::with(|settings| settings.realms[0].ports_exclusive = true);
    let (one, two) = (bed.session(Ws, Tcp), bed.session(Ws, Tcp));
    let legs = [(one, A), (one, B), (two, A), (two, B)];
    let ports: HashSet<u16> = legs
        .iter()
        .map(|(session, leg)| bed.port(*session, *leg))
        .collect();
    assert_eq!(ports.len(), 4);
    let (a, b) = bed.both_come(one);
    assert!(
        bed.dials(one, A).is_none(),
        "nobody else is waited for there"
    );
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(b), message.to(B));
}

#[test]
fn k2_the_active_side_connects_and_the_passive_side_waits() {
    let (mut bed, session, _) = connected();
    assert_eq!(bed.told(session), [Told::Created, Told::Up(B)]);
    let waiting = bed.session(Tcp, Tcp);
    assert_eq!(bed.told(waiting), [Told::Created]);
    bed.comes(waiting, B);
    assert_eq!(bed.told(waiting), [Told::Up(B)]);
    let nobody = SocketAddr::from(([198, 51, 100, 8], 20000));
    let refused = bed.session(Tcp, Tcp);
    bed.set_peer(refused, B, "msrp://198.51.100.8:20000/h;tcp", Some(nobody));
    let (down, closed) = (
        Told::Down(B, Cause::ConnectFailed),
        Told::Closed(Cause::ConnectFailed),
    );
    assert_eq!(bed.told(refused), [Told::Created, down, closed]);
}

#[test]
fn k3_having_connected_the_relay_says_at_once_who_it_is() {
    let (mut bed, session, handset) = connected();
    let said = bed.hears(handset);
    let (transaction, _) = said["MSRP ".len()..]
        .split_once(' ')
        .expect("a transaction id");
    let (_, id) = said.split_once("Message-ID: ").expect("a Message-ID");
    let id = &id[..id.find("\r\n").expect("a line")];
    let expected = lines(&[
        &format!("MSRP {transaction} SEND"),
        "To-Path: R(B)",
        "From-Path: L(B)",
        &format!("Message-ID: {id}"),
        &format!("-------{transaction}$"),
    ]);
    assert_eq!(said, expected);
    // What it is answered is for the relay alone.
    let browser = bed.comes(session, A);
    let answer = said.replacen("SEND", OK, 1);
    let answer = answer
        .replace("R(B)", "to")
        .replace("L(B)", "R(B)")
        .replace("to", "L(B)");
    bed.says(
        handset,
        &answer.replace(&format!("Message-ID: {id}\r\n"), ""),
    );
    assert_eq!(
        (bed.hears(browser), bed.hears(handset)),
        (String::new(), String::new())
    );
}

#[test]
fn k4_the_first_request_says_which_session_a_connection_is_for() {
    let mut bed = Bed::sharing_ports();
    let (one, two) = (bed.session(Tcp, Tcp), bed.session(Tcp, Tcp));
    assert_eq!(bed.port(one, A), bed.port(two, A), "they share a port");
    let second = bed.comes(two, A);
    let first = bed.comes(one, A);
    assert_eq!(bed.told(one), [Told::Created, Told::Up(A)]);
    assert_eq!(bed.told(two), [Told::Created, Told::Up(A)]);
    let (to_first, to_second) = (bed.comes(one, B), bed.comes(two, B));
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(second, &message.by(A));
    assert_eq!(bed.hears(to_second), message.to(B));
    bed.says(first, &message.by(A));
    assert_eq!(bed.hears(to_first), message.to(B));
}

#[test]
fn k4_what_is_no_request_of_the_peer_binds_nothing() {
    for wrong in [
        Message::bodiless("t4Kz81Qm", "200 OK", &[]).by(A),
        Message::bodiless("t4Kz81Qm", "SEND", &["Content-Type: of/nothing"]).by(A),
        Message::send("t4Kz81Qm", "hello").between("L(A)", "msrp://stranger.invalid:9/x;tcp"),
    ] {
        let mut bed = Bed::new();
        let session = bed.session(Tcp, Tcp);
        let stranger = bed.dials(session, A).expect("a port");
        bed.told(session);
        bed.says(stranger, &wrong);
        assert_eq!(bed.told(session), [], "after {wrong}");
        bed.comes(session, A);
    }
}

#[test]
fn k5_a_request_for_no_session_gets_481_and_the_connection_ends() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let unknown = "msrp://relay.invalid:20000/unheard;tcp";
    let stranger = bed.dials(session, A).expect("a port");
    bed.says(stranger, &greeting().between(unknown, "R(A)"));
    let answer = greeting().answer("481 Session Does Not Exist");
    assert_eq!(bed.hears(stranger), answer.between("R(A)", unknown));
    assert!(bed.is_ended(stranger));

    let silent = bed.dials(session, A).expect("a port");
    bed.says(
        silent,
        &greeting()
            .with("Failure-Report: no")
            .between(unknown, "R(A)"),
    );
    assert_eq!(bed.hears(silent), "");
    assert!(bed.is_ended(silent));
    assert_eq!(bed.told(session), [Told::Created]);
}

#[test]
fn k5_a_request_for_a_session_bound_elsewhere_gets_506() {
    let mut bed = Bed::sharing_ports();
    let (session, _other) = (bed.session(Tcp, Tcp), bed.session(Tcp, Tcp));
    let (a, b) = bed.both_come(session);
    let second = bed
        .dials(session, A)
        .expect("the other session waits at the same port");
    bed.says(second, &greeting().by(A));
    let answer = greeting().answer("506 Session Already Bound");
    assert_eq!(bed.hears(second), answer.to(A));
    assert!(bed.is_ended(second));
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(b), message.to(B), "the first is not disturbed");
}

#[test]
fn k6_a_bodiless_send_is_answered_at_once_and_not_passed_on() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let b = bed.dials(session, B).expect("a port");
    bed.says(b, &greeting().by(B));
    assert_eq!(
        bed.hears(b),
        greeting().answer(OK).to(B),
        "though A is not there yet"
    );
    let a = bed.comes(session, A);
    let alive = Message::bodiless("alive123", "SEND", &["Message-ID: keep"]);
    bed.says(b, &alive.by(B));
    assert_eq!(bed.hears(b), alive.answer(OK).to(B));
    assert_eq!(bed.hears(a), "");
}

#[test]
fn k7_a_connection_that_says_nothing_ends_after_thirty_seconds() {
    let mut bed = Bed::new();
    let session = bed.create(Tcp, Tcp, 300_000);
    let (silent, slow) = (bed.dials(session, A), bed.dials(session, A));
    let (silent, slow) = (silent.expect("a port"), slow.expect("a port"));
    bed.waits(29_000);
    bed.says_octets(slow, b"MSRP half");
    assert!(!bed.is_ended(silent) && !bed.is_ended(slow));
    bed.waits(1_000);
    assert!(
        bed.is_ended(silent) && bed.is_ended(slow),
        "a half request is none"
    );
    assert_eq!(bed.told(session), [Told::Created]);
}

#[test]
fn k8_what_is_sent_before_the_other_leg_is_up_waits_for_it() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let a = bed.comes(session, A);
    let messages = ["one12345", "two12345"].map(|id| Message::send(id, "hello"));
    for message in &messages {
        bed.says(a, &message.by(A));
    }
    assert_eq!(bed.hears(a), "");
    let b = bed.dials(session, B).expect("a port");
    bed.says(b, &greeting().by(B));
    let waited = messages.map(|message| message.to(B)).concat();
    assert_eq!(bed.hears(b), greeting().answer(OK).to(B) + &waited);
}

#[test]
fn k8_and_if_it_does_not_come_the_sender_is_told() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    let a = bed.comes(session, A);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.by(A));
    bed.waits(u64::from(LEG_MS));
    assert_eq!(bed.hears(a), message.answer("408 Request Timeout").to(A));
    assert!(bed.is_ended(a));
}

#[test]
fn k11_a_lost_connection_is_the_end_of_its_session() {
    let mut bed = Bed::new();
    let (session, other) = (bed.session(Tcp, Tcp), bed.session(Tcp, Tcp));
    let (a, b) = bed.both_come(session);
    let (c, d) = bed.both_come(other);
    bed.breaks(a);
    let lost = [Told::Down(A, Cause::Reset), Told::Closed(Cause::Reset)];
    assert_eq!(bed.told(session), lost);
    assert!(bed.is_ended(b));
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(c, &message.by(A));
    assert_eq!(bed.hears(d), message.to(B), "and of no other");
}

#[test]
fn k12_every_leg_has_a_session_id_of_its_own_that_cannot_be_guessed() {
    let mut bed = Bed::new();
    let mut seen = HashSet::new();
    for _ in 0..16 {
        let session = bed.create(Ws, Tcp, LEG_MS);
        for leg in [A, B] {
            let uri = bed.local(session, leg);
            let id = uri.rsplit_once('/').and_then(|(_, id)| id.split_once(';'));
            let (id, _) = id.expect("a session-id");
            // 22 letters of six bits are 132 bits; five more say where it belongs.
            assert!(id.len() >= 27, "{id}");
            assert!(seen.insert(id[5..].to_owned()), "{id} is there twice");
        }
        bed.delete(session);
    }
}

#[test]
fn k15_what_cannot_be_resolved_is_not_tried() {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    assert!(bed.told(session).iter().all(|told| *told == Told::Created));
    let path = "msrp://q7w3e9.invalid:2855/browser0;ws";
    bed.set_peer(session, A, path, None);
    bed.waits(1_000);
    assert_eq!(
        bed.told(session),
        [],
        "a path is for To-Path, not for connecting"
    );
}

#[test]
fn l18_the_relay_opens_no_websocket() {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    bed.told(session);
    let address = SocketAddr::from(([198, 51, 100, 7], 20000));
    bed.listens(address);
    bed.set_peer(session, A, "msrp://198.51.100.7:20000/b;ws", Some(address));
    assert_eq!(
        bed.told(session),
        [Told::Refused(Refusal::ConnectImpossible)]
    );
    assert!(bed.is_dialled(session, address).is_none());
}

#[test]
fn p10_each_list_is_told_to_its_end_however_close_together_they_are_asked_for() {
    let mut bed = Bed::new();
    let session = bed.create(Ws, Tcp, LEG_MS);
    bed.told(session);
    bed.asks_for_lists(&[7, 8, 9]);
    assert_eq!(bed.told(session), [Told::Listed; 3]);
    assert_eq!(bed.lists_ended, [7, 8, 9]);
}

#[test]
fn p10_creating_is_answered_once_per_asking_and_done_once() {
    let mut bed = Bed::new();
    let session = bed.create(Ws, Tcp, LEG_MS);
    let before = bed.local(session, A).to_owned();
    bed.command_of(session, |session| Command::Create {
        session,
        legs: [Ws, Tcp].map(|transport| LegSpec::new(transport, LEG_MS)),
    });
    assert_eq!(bed.told(session), [Told::Created, Told::Created]);
    assert_eq!(bed.local(session, A), before);
}
