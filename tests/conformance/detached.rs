//! A browser that is lost and comes back. P8, and what F and G ask of it.

use link::{Cause, Command, Counter, LegPolicy, LegSpec, Refusal};

use crate::bed::*;

const GRACE_MS: u32 = 30_000;

/// A browser and a handset, both connected; the browser may be away for a while.
fn talk() -> (Bed, Session, Peer, Peer) {
    let away = LegPolicy {
        grace_ms: GRACE_MS,
        ..LegPolicy::PLAIN
    };
    talk_of([leg_with(Ws, away), LegSpec::new(Tcp, LEG_MS)])
}

fn rebind(bed: &mut Bed, session: Session) {
    bed.command_of(session, |session| Command::Rebind {
        session,
        leg: A,
        bind_ms: 0,
    });
}

#[test]
fn p8_a_lost_browser_comes_back_by_a_new_way_and_nothing_else_has_changed() {
    let (mut bed, session, a, b) = talk();
    let sent = Message::send("sent1234", "before");
    bed.says(a, &sent.by(A));
    assert_eq!(bed.hears(b), sent.to(B));
    let (uri, resource) = (
        bed.local(session, A).to_owned(),
        bed.resource(session, A).to_owned(),
    );
    bed.breaks(a);
    assert_eq!(bed.told(session), [Told::Detached(A, Cause::Reset)]);
    assert_eq!(bed.counter(Counter::LegsDetached), 1);
    // What is for the browser waits, and so does what comes behind it.
    let waiting = Message::send("wait1234", "are you there?");
    bed.says(b, &sent.answer("200 OK").by(B));
    bed.says(b, &waiting.by(B));
    assert_eq!(bed.hears(b), "");
    rebind(&mut bed, session);
    assert_eq!(bed.told(session), [Told::Rebound]);
    assert_ne!(bed.local(session, A), uri);
    let stranger = bed.dials(session, A).expect("it waits");
    assert!(
        bed.upgrades(stranger, &resource)
            .starts_with("HTTP/1.1 404 ")
    );
    let again = bed.comes(session, A);
    assert_eq!(bed.told(session), [Told::Up(A)]);
    let heard = bed.hears(again);
    assert_eq!(heard, sent.answer("200 OK").to(A) + &waiting.to(A));
    let more = Message::send("more1234", "yes");
    bed.says(again, &more.by(A));
    assert_eq!(bed.hears(b), more.to(B));
    assert_eq!(bed.counter(Counter::LegsDetached), 0);
    assert_eq!(bed.counter(Counter::LegsRebound), 1);
    bed.delete(session);
    assert_eq!(bed.counter(Counter::PortsUsed), 0);
}

#[test]
fn p8_when_the_grace_is_over_the_leg_is_down_as_if_there_had_been_none() {
    let (mut bed, session, a, b) = talk();
    bed.leaves(a);
    assert_eq!(bed.told(session), [Told::Detached(A, Cause::PeerClosed)]);
    let waiting = Message::send("wait1234", "are you there?");
    bed.says(b, &waiting.by(B));
    bed.waits(u64::from(GRACE_MS) - 1);
    assert_eq!((bed.hears(b).as_str(), bed.is_ended(b)), ("", false));
    bed.waits(1);
    let (down, closed) = (
        Told::Down(A, Cause::PeerClosed),
        Told::Closed(Cause::PeerClosed),
    );
    assert_eq!(bed.told(session), [down, closed]);
    let answer = waiting.answer("481 Session Does Not Exist");
    assert_eq!(bed.hears(b), answer.to(B));
    assert!(bed.is_ended(b));
    assert_eq!(bed.counter(Counter::LegsDetached), 0);
}

#[test]
fn p8_a_page_that_closes_ends_the_session_at_once() {
    let (mut bed, session, a, b) = talk();
    bed.says_octets(
        a,
        &crate::websocket_client::frame(8, true, &1000u16.to_be_bytes()),
    );
    let (down, closed) = (
        Told::Down(A, Cause::PeerClosed),
        Told::Closed(Cause::PeerClosed),
    );
    assert_eq!(bed.told(session), [down, closed]);
    assert!(bed.is_ended(b));
}

#[test]
fn p8_chunks_under_way_when_the_browser_is_lost_end_in_form() {
    // From the browser: the handset hears the end of it.
    let (mut bed, _, a, b) = talk();
    let whole = Message::send("t4Kz81Qm", "half of it").by(A);
    let whole = bed.with_uris(a, &whole);
    let (half, _) = whole.split_at(whole.find("of it").expect("it is there"));
    let half = half.as_bytes().to_vec();
    bed.says_octets(a, &crate::websocket_client::frame(2, false, &half));
    bed.breaks(a);
    let heard = bed.hears(b);
    assert!(heard.ends_with("half \r\n-------t4Kz81Qm#\r\n"), "{heard}");
    assert!(!bed.is_ended(b));
    // Toward it: who sends is told to stop, and goes on with something else.
    let (mut bed, session, a, b) = talk();
    let message = Message::send("u9Lw52Rd", "half of it");
    let whole = bed.with_uris(b, &message.by(B));
    let (half, rest) = whole.split_at(whole.find("of it").expect("it is there"));
    bed.says_octets(b, half.as_bytes());
    bed.breaks(a);
    assert_eq!(
        bed.hears(b),
        message.answer("413 Stop Sending Message").to(B)
    );
    bed.says_octets(b, rest.as_bytes());
    rebind(&mut bed, session);
    let again = bed.comes(session, A);
    let next = Message::send("next1234", "hello");
    bed.says(b, &next.by(B));
    assert_eq!(bed.hears(again), next.to(A));
}

#[test]
fn rfc4975_10_4_what_a_lost_browser_has_not_answered_is_told_its_sender_at_once() {
    let (mut bed, session, a, b) = talk();
    let whole = Message::send("whole123", "hello");
    let first = Message::send("first123", "one of ").flagged('+');
    let answered = Message::send("known123", "known");
    for message in [&answered, &whole, &first] {
        bed.says(b, &message.by(B));
    }
    bed.hears(a);
    bed.says(a, &answered.answer("200 OK").by(A));
    assert_eq!(bed.hears(b), answered.answer("200 OK").to(B));
    bed.breaks(a);
    let lost = |message: &Message| message.answer("408 Request Timeout").to(B);
    assert_eq!(bed.hears(b), lost(&whole) + &lost(&first));
    // Under the same Message-ID it is taken when the browser is back; an answer of before goes nowhere.
    rebind(&mut bed, session);
    let again = bed.comes(session, A);
    bed.says(again, &whole.answer("200 OK").by(A));
    assert_eq!(bed.hears(b), "");
    bed.says(b, &whole.by(B));
    assert_eq!(bed.hears(again), whole.to(A));
}

#[test]
fn g5_what_a_chunk_that_was_cut_off_is_answered_goes_nowhere() {
    let (mut bed, session, a, b) = talk();
    let cut = Message::send("t4Kz81Qm", "half of it");
    let half = bed.with_uris(a, &cut.begun_by(A));
    bed.says_octets(
        a,
        &crate::websocket_client::frame(2, false, half.as_bytes()),
    );
    bed.breaks(a);
    assert_eq!(bed.hears(b), cut.clone().flagged('#').to(B));
    bed.says(b, &cut.answer("200 OK").by(B));
    rebind(&mut bed, session);
    let again = bed.comes(session, A);
    assert_eq!(bed.hears(again), "");
    // The same transaction id is nobody's, and what follows goes its way.
    bed.says(again, &cut.by(A));
    assert_eq!(bed.hears(b), cut.to(B));
    bed.says(b, &cut.answer("200 OK").by(B));
    assert_eq!(bed.hears(again), cut.answer("200 OK").to(A));
}

#[test]
fn p8_a_browser_that_knows_of_its_loss_before_the_relay_does_is_bound_again() {
    let (mut bed, session, a, b) = talk();
    rebind(&mut bed, session);
    assert_eq!(
        bed.told(session),
        [Told::Detached(A, Cause::Reset), Told::Rebound]
    );
    assert!(bed.is_ended(a));
    let again = bed.comes(session, A);
    let more = Message::send("more1234", "yes");
    bed.says(again, &more.by(A));
    assert_eq!(bed.hears(b), more.to(B));
    assert_eq!(bed.counter(Counter::LegsDetached), 0);
}

#[test]
fn p8_only_a_browser_with_a_grace_is_bound_again() {
    let mut bed = Bed::new();
    let session = bed.create_of([LegSpec::new(Ws, LEG_MS), LegSpec::new(Tcp, LEG_MS)]);
    bed.tell_paths(session);
    let _both = bed.both_come(session);
    bed.told(session);
    rebind(&mut bed, session);
    assert_eq!(bed.told(session), [Told::Refused(Refusal::NotDetached)]);
}

#[test]
fn p8_of_two_new_ways_in_the_second_is_the_one() {
    let (mut bed, session, a, _) = talk();
    bed.breaks(a);
    bed.told(session);
    rebind(&mut bed, session);
    let first = bed.resource(session, A).to_owned();
    rebind(&mut bed, session);
    assert_ne!(bed.resource(session, A), first);
    bed.comes(session, A);
    bed.delete(session);
    assert_eq!(bed.counter(Counter::PortsUsed), 0);
    assert_eq!(bed.counter(Counter::PathCells), 0);
}
