//! Too much to do: what is new waits or is turned away, what is open goes on.

use serde_json::json;

use super::outgoing::{assert_shutdown, bye, established, shutdown};
use super::restart::image;
use super::world::{Told, World};
use crate::backlog::is_late;
use crate::jsonrtc::{Frame, Kind, SocketId};
use crate::metrics::{Counter, Gauge};
use crate::sip::{EndCause, Event};

/// A page asks for a chat with carol.
fn start(world: &mut World, page: SocketId, subsession: &str) {
    let header = json!({"action": "start", "initiator": "alice", "target": "carol@localhost"});
    let sdp = super::world::BROWSER_SDP;
    world.send(page, "request", "chat", subsession, header, Some(sdp));
}

/// Alice's page, while there is other work.
fn busy() -> (World, SocketId) {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.is_busy = true;
    (world, alice)
}

fn assert_refused(refused: &Frame, subsession: &str, reason: &str, retry_after: Option<u32>) {
    assert_eq!(
        (refused.control.kind, refused.action()),
        (Kind::Error, "start")
    );
    assert_eq!(refused.control.subsession_id.as_deref(), Some(subsession));
    assert_eq!(refused.header_number("error_code"), Some(503));
    assert_eq!(refused.header_number("retry_after"), retry_after);
    assert_eq!(refused.header["reason"], reason);
}

fn waiting(world: &World) -> u64 {
    world.gateway.gauges().value(Gauge::NewWaiting)
}

#[test]
fn a_new_chat_waits_and_is_refused_with_the_time_to_ask_again_and_an_open_one_goes_on() {
    let (mut world, alice, session, sent) = established();
    world.is_busy = true;
    start(&mut world, alice, "y");
    assert_eq!((waiting(&world), world.frames_left(alice)), (1, 0));
    shutdown(&mut world, alice);
    bye(&mut world.net, sent);
    while !world.gateway.waited(world.now).is_some_and(is_late) {
        world.now += 10;
    }
    world.step(|gateway, turn| assert!(gateway.begin(turn)));
    assert_refused(&world.frame(alice), "y", "too busy", Some(2));
    assert_eq!(world.gateway.counters().value(Counter::NewTurnedAway), 1);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn what_waits_begins_in_its_order_when_nothing_else_is_left() {
    let (mut world, alice) = busy();
    for subsession in ["u", "v", "w"] {
        start(&mut world, alice, subsession);
    }
    start(&mut world, alice, "x");
    assert_refused(&world.frame(alice), "x", "too many subsessions", None);
    world.step(|gateway, turn| assert!(gateway.begin(turn)));
    assert_eq!((waiting(&world), world.told.len()), (2, 1));
    world.is_busy = false;
    world.step(|_, _| {});
    assert_eq!((waiting(&world), world.told.len()), (0, 3));
    world.told.clear();
    world.step(|gateway, turn| gateway.relay_lost(turn));
    for subsession in ["u", "v", "w"] {
        let told = world.frame(alice);
        assert_eq!(told.control.subsession_id.as_deref(), Some(subsession));
    }
    world.finish();
}

#[test]
fn a_chat_that_waits_can_be_given_up() {
    let (mut world, alice) = busy();
    start(&mut world, alice, "x");
    shutdown(&mut world, alice);
    assert_eq!(waiting(&world), 0);
    world.is_busy = false;
    world.step(|_, _| {});
    assert!(matches!(world.told.pop_front(), Some(Told::Create(_))));
    assert!(world.net.requests.is_empty(), "nobody was called");
    world.told.clear();
    world.step(|gateway, turn| gateway.relay_lost(turn));
    world.finish();
}

#[test]
fn what_waits_when_the_process_dies_is_begun_by_the_next_one() {
    let (mut world, alice) = busy();
    start(&mut world, alice, "y");
    let mut world = world.killed(image);
    assert_eq!(waiting(&world), 1);
    world.is_busy = false;
    world.step(|gateway, turn| gateway.relay_attached(1, turn));
    assert_eq!(waiting(&world), 0);
    assert_eq!(world.told.pop_front(), Some(Told::List));
    assert!(matches!(world.told.pop_front(), Some(Told::Create(_))));
}

#[test]
fn what_a_peer_does_in_an_open_chat_is_heard_however_much_there_is_to_do() {
    let (mut world, alice, session, sent) = established();
    world.is_busy = true;
    let (dialog, cause) = (sent.dialog.unwrap(), EndCause::PeerForgot);
    world.sip(Event::Ended { dialog, cause });
    assert_shutdown(&world.frame(alice));
    world.relay_deletes(session);
    world.finish();
}
