//! What happens when a pool is used up: a definite answer, and nothing that stays behind.

use link::Counter;

use crate::bed::*;

#[test]
fn f10_a_request_that_could_not_be_remembered_is_forgotten_all_the_same() {
    for (waits_ms, is_passed) in [(29_999, true), (30_000, false)] {
        let mut bed = Bed::with(|settings| settings.pending = 1);
        let session = bed.session(Tcp, Tcp);
        let (a, b) = bed.both_come(session);
        bed.says(a, &Message::send("first123", "hello").by(A));
        let second = Message::send("second12", "hello");
        bed.says(a, &second.by(A));
        bed.waits(waits_ms);
        bed.says(b, &second.answer("200 OK").by(B));
        let answer = second.answer("200 OK").to(A);
        assert_eq!(bed.hears(a), if is_passed { answer } else { String::new() });
    }
}

#[test]
fn k1_who_comes_when_the_connections_are_used_up_is_closed_at_once_and_counted() {
    let mut bed = Bed::with(|settings| {
        settings.connections = 32;
        settings.realms[0].ports_exclusive = false;
    });
    let session = bed.create(Tcp, Tcp, 100_000);
    bed.tell_paths(session);
    let peers: Vec<Peer> = (0..40)
        .map(|_| bed.dials(session, A).expect("it listens"))
        .collect();
    let refused = bed.counter(Counter::AcceptsRefused);
    let closed = peers.iter().filter(|peer| bed.is_ended(**peer)).count();
    assert!(
        refused > 0 && closed as u64 == refused,
        "{closed} of {refused}"
    );
    assert!(bed.counter(Counter::Connections) <= 25, "a quarter is ours");
    // Those who are not closed are served, and when strangers have gone others may come.
    bed.waits(30_000);
    bed.waits(1_000);
    let (a, b) = bed.both_come(session);
    bed.says(a, &Message::send("t4Kz81Qm", "hello").by(A));
    assert_ne!(bed.hears(b), "");
}
