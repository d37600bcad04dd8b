//! Browsers that go away for long, and are wanted meanwhile.

use serde_json::json;

use super::incoming::{self, INVITE};
use super::outgoing;
use super::services;
use super::world::World;
use crate::jsonrtc::SocketId;
use crate::limits::WAKE_MS;
use crate::metrics::Gauge;

/// Alice's browser hibernates.
fn asleep() -> (World, SocketId) {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    let header = json!({"action": "hibernate", "ttl": 3600});
    world.send(alice, "request", "register", "", header, None);
    world.frame(alice);
    world.frame(alice);
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
    (world, alice)
}

#[test]
fn a_session_hibernates_and_is_there_when_its_browser_wakes() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    let asks = |world: &mut World| {
        let header = json!({"action": "hibernate", "ttl": 3600});
        world.send(alice, "request", "register", "", header, None);
        world.frame(alice)
    };
    world.start(alice);
    assert_eq!(asks(&mut world).header_number("error_code"), Some(491));
    let session = world.relay_makes();
    world.request();
    outgoing::shutdown(&mut world, alice);
    world.relay_deletes(session);
    let answer = asks(&mut world);
    assert_eq!(answer.header_number("response_code"), Some(200));
    assert_eq!(answer.header_number("ttl"), Some(3600));
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
    world.wait(3_599_000);
    let again = world.resumes(alice, 9);
    assert!(
        world.frame(again).header_number("sslr").is_some(),
        "the same session"
    );
    // Awake again: an orderly close is the end.
    world.step(|gateway, turn| gateway.socket_closed(again, Some(1000), turn));
    world.assert_empty();
}

#[test]
fn a_session_that_nobody_wakes_ends_when_its_time_is_over() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    let header = json!({"action": "hibernate", "ttl": 120});
    world.send(alice, "request", "register", "", header, None);
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
    world.wait(119_999);
    assert_eq!(world.gateway.gauges().value(Gauge::Sessions), 1);
    world.wait(1);
    world.assert_empty();
}

#[test]
fn an_invitation_waits_half_a_minute_for_a_browser_that_hibernates() {
    let (mut world, alice) = asleep();
    incoming::invite(&mut world, "");
    let session = world.relay_makes();
    world.wait(WAKE_MS - 1);
    assert!(world.net.responses.is_empty());
    world.wait(1);
    let (server, answer) = world.response();
    assert_eq!((server, answer.code), (INVITE, 480));
    world.relay_deletes(session);
    let told = world.woken.pop().unwrap();
    let expected = json!({
        "session_id": told["session_id"], "user": "alice@localhost", "device": null,
        "package_type": "chat", "initiator": "bob@localhost",
    });
    assert_eq!((json!(told), world.woken.len()), (expected, 0));
    // What came meanwhile is told when it wakes up, in order.
    let again = world.resumes(alice, 9);
    let told = [(); 3].map(|()| world.frame(again).action().to_owned());
    assert_eq!(told, ["connect", "start", "shutdown"]);
    world.finish();
}

#[test]
fn nobody_is_woken_again_and_again_nor_for_what_is_answered_in_its_place() {
    let (mut world, alice) = asleep();
    services::options_of_bob(&mut world);
    world.wait(2_000);
    assert_eq!(world.woken.len(), 0);
    for text in ["one", "two"] {
        services::text_of_bob(&mut world, text);
        world.wait(10_000);
    }
    assert_eq!(world.woken.len(), 1);
    world.wait(10_000);
    services::text_of_bob(&mut world, "three");
    assert_eq!(world.woken.len(), 2, "half a minute is over");
    world.wait(40_000);
    let again = world.resumes(alice, 9);
    world.frame(again);
    let kept: Vec<_> = (0..world.frames_left(again))
        .map(|_| world.frame(again))
        .collect();
    let texts: Vec<_> = kept
        .iter()
        .filter(|frame| frame.action() == "send")
        .collect();
    assert_eq!(texts.len(), 3, "each is there");
    world.net.responses.clear();
    world.finish();
}

#[test]
fn a_browser_that_wakes_up_in_time_rings_as_long_as_any_other() {
    let (mut world, alice) = asleep();
    incoming::invite(&mut world, "");
    let session = world.relay_makes();
    world.wait(WAKE_MS - 1);
    let again = world.resumes(alice, 9);
    world.frame(again);
    assert_eq!(world.frame(again).action(), "start");
    let pings = |world: &mut World, span: u64| {
        for _ in 0..span / 10_000 {
            world.wait(10_000);
            let now = world.now;
            world.gateway.socket_alive(again, now);
        }
    };
    pings(&mut world, 140_000);
    assert!(world.net.responses.is_empty());
    pings(&mut world, 20_000);
    assert_eq!(world.response().1.code, 480);
    world.relay_deletes(session);
    world.finish();
}
