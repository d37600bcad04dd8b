//! One receiver stands still for half a minute, on the real kernel.

use link::{Cause, Counter, Leg, Transport};
use tests::process::{Relay, Told};

use crate::peers::{A_PATH, B_PATH, Handset, Page};

/// Sessions beside the one that is stuck.
const OTHERS: u64 = 50;

fn talk(page: &mut Page, handset: &mut Handset, text: &str) {
    page.send(text, text.as_bytes(), "");
    let heard = handset.hear();
    assert_eq!(heard.body.as_deref(), Some(text.as_bytes()));
    handset.say(&heard.response("200 OK"));
    assert_eq!(page.hear().subject, "200 OK");
}

#[test]
fn of_many_sessions_the_one_whose_receiver_takes_nothing_fails_alone_and_its_sender_hears_408() {
    let mut relay = Relay::start(&[]);
    let legs = relay.create(0, [Transport::Tcp; 2], [B_PATH; 2]);
    let made: Vec<_> = (1..=OTHERS)
        .map(|id| relay.create(id, [Transport::Ws, Transport::Tcp], [A_PATH, B_PATH]))
        .collect();
    let mut sender = Handset::open(&legs[0]);
    let stuck = Handset::open(&legs[1]);
    let mut others: Vec<(Page, Handset)> = made
        .iter()
        .map(|legs| (Page::open(&legs[0]), Handset::open(&legs[1])))
        .collect();
    for _ in 0..2 * (OTHERS + 1) {
        assert!(matches!(relay.event(), Told::Up(_)));
    }
    let writer = sender.sends_without_end("endless0");
    let paused = (0..10_000_000).any(|_| relay.counter(Counter::Paused) > 0);
    assert!(paused, "the sender is not read any more");
    for (page, handset) in &mut others {
        talk(page, handset, "meanwhile");
    }
    assert_eq!(relay.event(), Told::Down(Leg::B, Cause::Stalled));
    assert_eq!(relay.event(), Told::Closed(Cause::Stalled));
    let signal = sender.hear();
    assert_eq!(signal.transaction, "endless0");
    assert_eq!(&signal.subject[..3], "408", "{signal:?}");
    sender.expect_end();
    writer.join().expect("it wrote as long as it was let");
    for (page, handset) in &mut others {
        talk(page, handset, "afterwards");
    }
    assert_eq!(relay.counter(Counter::LegsStalled), 1);
    assert_eq!(relay.counter(Counter::SessionsClosed), 1);
    assert_eq!(relay.counter(Counter::LegsUp), 2 * OTHERS);
    drop((stuck, sender, others));
}
