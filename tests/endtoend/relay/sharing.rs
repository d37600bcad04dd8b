//! Several sessions on one connection of a handset's, on the real kernel.

use link::{Cause, Leg, Transport};
use tests::process::{Relay, Told};

use crate::expect_all_given_back;
use crate::peers::{A_PATH, B_PATH, Handset, Page};

#[test]
fn two_sessions_share_a_connection_and_the_end_of_one_leaves_it_to_the_other() {
    let mut relay = Relay::start(&[]);
    let legs = [1, 2].map(|id| {
        let transports = [Transport::Ws, Transport::Tcp];
        relay.create(id, transports, [A_PATH, B_PATH])
    });
    let mut trunk = Handset::open(&legs[0][1]);
    assert_eq!(relay.event(), Told::Up(Leg::B));
    trunk.speaks_for(&legs[1][1]);
    trunk.greet();
    assert_eq!(trunk.hear().subject, "200 OK");
    assert_eq!(relay.event(), Told::Up(Leg::B));
    let mut pages = legs.each_ref().map(|legs| {
        let page = Page::open(&legs[0]);
        assert_eq!(relay.event(), Told::Up(Leg::A));
        page
    });
    let mut asked = Vec::new();
    for (page, legs) in pages.iter_mut().zip(&legs) {
        page.send("the-same", b"hello over the wall", "");
        let heard = trunk.hear();
        assert_eq!(heard.from, legs[1].path);
        assert_eq!(heard.body.as_deref(), Some(&b"hello over the wall"[..]));
        asked.push(heard);
    }
    assert_ne!(asked[0].transaction, asked[1].transaction);
    for (page, asked) in pages.iter_mut().zip(&asked).rev() {
        trunk.say(&asked.response("200 OK"));
        let answer = page.hear();
        let told = (answer.transaction.as_str(), answer.subject.as_str());
        assert_eq!(told, ("the-same", "200 OK"));
    }
    let [first, mut second] = pages;
    drop(first);
    assert_eq!(relay.event(), Told::Down(Leg::A, Cause::PeerClosed));
    assert_eq!(relay.event(), Told::Closed(Cause::PeerClosed));
    second.send("still-here", b"and on", "Failure-Report: no\r\n");
    assert_eq!(trunk.hear().body.as_deref(), Some(&b"and on"[..]));
    trunk.send("and-back", b"on and on", "");
    assert_eq!(second.hear().body.as_deref(), Some(&b"on and on"[..]));
    drop(trunk);
    assert_eq!(relay.event(), Told::Down(Leg::B, Cause::PeerClosed));
    assert_eq!(relay.event(), Told::Closed(Cause::PeerClosed));
    second.expect_end();
    drop(second);
    expect_all_given_back(&mut relay);
}
