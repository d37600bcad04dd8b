//! Media connections of browsers that are lost and come back.

use link::{Event, Leg, Refusal, SessionId};
use serde_json::json;

use super::incoming;
use super::outgoing::{assert_shutdown, bye, established};
use super::world::{BROWSER_SDP, Told, World};
use crate::jsonrtc::{Frame, Kind, SocketId};

/// The relay is asked for a new way in, has one, and the browser learns it.
pub fn told_new_way(world: &mut World, browser: SocketId, session: SessionId) -> Frame {
    assert_eq!(world.told.pop_front(), Some(Told::Rebind(session, Leg::A)));
    assert_eq!(world.frames_left(browser), 0);
    world.relay_rebinds(session);
    let frame = world.frame(browser);
    assert_eq!(
        (frame.control.kind, frame.action()),
        (Kind::Message, "rebind")
    );
    let sdp = frame.sdp().unwrap();
    assert!(
        sdp.contains("a=path:msrp://192.0.2.20:20003/n3wA;ws\r\n"),
        "{sdp}"
    );
    assert!(sdp.contains("a=ws-resource-path:/0th3r\r\n"), "{sdp}");
    assert!(!sdp.contains("l3gA"), "{sdp}");
    frame
}

fn asks(world: &mut World, browser: SocketId) {
    let header = json!({"action": "rebind"});
    world.send(browser, "message", "chat", "x", header, None);
}

pub fn ends(mut world: World, browser: SocketId, session: SessionId) {
    super::outgoing::shutdown(&mut world, browser);
    world.net.requests.clear();
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_browser_whose_media_are_lost_learns_a_new_way_in() {
    let (mut world, alice, session, _) = established();
    world.relay_detaches(session);
    let frame = told_new_way(&mut world, alice, session);
    assert_eq!(frame.control.subsession_id.as_deref(), Some("x"));
    assert_eq!(frame.initiator(), Some("bob@localhost"));
    let sdp = frame.sdp().unwrap();
    assert!(sdp.contains("a=setup:passive\r\n"), "{sdp}");
    ends(world, alice, session);
}

#[test]
fn so_does_one_that_was_called() {
    let (mut world, alice, session, start) = incoming::established();
    world.relay_detaches(session);
    let frame = told_new_way(&mut world, alice, session);
    assert_eq!(frame.control.subsession_id, start.control.subsession_id);
    let sdp = frame.sdp().unwrap();
    assert!(sdp.contains("a=setup:actpass\r\n"), "{sdp}");
    // The same description as before but for the way in, under the next version.
    let former = start.sdp().unwrap();
    let same = former
        .lines()
        .zip(sdp.lines())
        .filter(|(was, is)| was == is);
    assert_eq!(former.lines().count(), sdp.lines().count());
    assert_eq!(
        same.count(),
        sdp.lines().count() - 4,
        "o=, m=, a=path and the resource"
    );
}

#[test]
fn a_browser_that_knows_of_its_loss_first_asks_and_both_are_one_loss() {
    let (mut world, alice, session, _) = established();
    asks(&mut world, alice);
    // The relay takes the leg for lost now, and says so.
    world.relay_detaches(session);
    asks(&mut world, alice);
    told_new_way(&mut world, alice, session);
    assert_eq!(world.told, []);
    asks(&mut world, alice);
    told_new_way(&mut world, alice, session);
    ends(world, alice, session);
}

#[test]
fn a_way_in_that_nobody_has_come_by_is_told_once_more() {
    let (mut world, alice, session, _) = established();
    asks(&mut world, alice);
    assert_eq!(world.told.pop_front(), Some(Told::Rebind(session, Leg::A)));
    world.relay(Event::Refused {
        session,
        reason: Refusal::NotDetached,
    });
    // Its connection was lost before the relay knew whose it was.
    let again = world.frame(alice);
    assert_eq!(again.action(), "rebind");
    let sdp = again.sdp().unwrap();
    assert!(
        sdp.contains("/l3gA;ws\r\n") && sdp.contains("/s3cr3t\r\n"),
        "{sdp}"
    );
    asks(&mut world, alice);
    assert_eq!(world.told.pop_front(), Some(Told::Rebind(session, Leg::A)));
    ends(world, alice, session);
}

#[test]
fn a_browser_without_any_socket_learns_it_when_it_resumes() {
    let (mut world, alice, session, _) = established();
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1006), turn));
    world.relay_detaches(session);
    assert_eq!(world.told.pop_front(), Some(Told::Rebind(session, Leg::A)));
    world.relay_rebinds(session);
    let again = world.resumes(alice, 9);
    assert_eq!(world.frame(again).header_number("sslr"), Some(3));
    assert_eq!(world.frame(again).action(), "rebind");
    ends(world, again, session);
}

#[test]
fn a_grace_that_is_over_ends_the_chat() {
    let (mut world, alice, session, sent) = established();
    world.relay_detaches(session);
    told_new_way(&mut world, alice, session);
    world.relay(Event::LegDown {
        session,
        leg: Leg::A,
        cause: link::Cause::Reset,
    });
    assert_shutdown(&world.frame(alice));
    world.wait(crate::limits::DRAIN_MS);
    let reason = bye(&mut world.net, sent).unwrap();
    assert!(reason.contains("connection was lost"), "{reason}");
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn outside_of_an_anchored_chat_asking_has_no_effect() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    asks(&mut world, alice);
    world.start(alice);
    asks(&mut world, alice);
    let session = world.relay_makes();
    world.request();
    super::outgoing::shutdown(&mut world, alice);
    world.relay_deletes(session);
    world.finish();
}

/// Alice's browser says anew where its media are.
pub fn moves(world: &mut World, browser: SocketId, sdp: &str) {
    let header = json!({"action": "start", "target": "bob"});
    let state = Some("subsequent");
    world.send_with(
        browser,
        "request",
        "chat",
        "x",
        header,
        Some(sdp),
        None,
        state,
    );
}

/// The relay is asked for a new way in, and the browser has it as the answer.
pub fn is_moved(world: &mut World, browser: SocketId, session: SessionId) -> String {
    assert_eq!(world.told.pop_front(), Some(Told::Rebind(session, Leg::A)));
    assert_eq!(world.frames_left(browser), 0);
    world.relay_rebinds(session);
    let answer = world.frame(browser);
    assert_eq!(
        (answer.control.kind, answer.action()),
        (Kind::Response, "start")
    );
    assert!(answer.is_final() && answer.header_number("response_code") == Some(200));
    let sdp = answer.sdp().unwrap().to_owned();
    assert!(sdp.contains("a=ws-resource-path:/0th3r\r\n"), "{sdp}");
    assert!(sdp.contains("a=setup:passive\r\n"), "{sdp}");
    sdp
}

#[test]
fn another_device_that_has_taken_the_session_along_moves_its_chat_by_a_start() {
    let (mut world, alice, session, _) = established();
    let moved = BROWSER_SDP.replace("br0ws3r", "0th3rd3v1c3");
    moves(&mut world, alice, &moved);
    let path = "msrp://x7.invalid:2855/0th3rd3v1c3;ws".to_owned();
    let told = Told::SetPeer {
        leg: Leg::A,
        path,
        connect: None,
    };
    assert_eq!(world.told.pop_front(), Some(told));
    is_moved(&mut world, alice, session);
    // `complete` confirms it, and nobody else hears of anything.
    let header = json!({"action": "complete"});
    world.send(alice, "message", "chat", "x", header, None);
    assert!(world.net.requests.is_empty() && world.frames_left(alice) == 0);
    // A way in that nobody has come by yet is the way.
    moves(&mut world, alice, &moved);
    assert_eq!(world.told.pop_front(), Some(Told::Rebind(session, Leg::A)));
    world.relay(Event::Refused {
        session,
        reason: Refusal::NotDetached,
    });
    let answer = world.frame(alice);
    assert!(answer.is_final() && answer.sdp().unwrap().contains("/0th3r\r\n"));
    ends(world, alice, session);
}

#[test]
fn so_does_the_device_of_one_that_was_called() {
    let (mut world, alice, session, start) = incoming::established();
    world.send_with(
        alice,
        "request",
        "chat",
        start.control.subsession_id.as_deref().unwrap(),
        json!({"action": "start", "target": "bob"}),
        Some(BROWSER_SDP),
        None,
        Some("subsequent"),
    );
    is_moved(&mut world, alice, session);
}

#[test]
fn a_start_in_an_open_chat_that_changes_more_is_refused_and_the_chat_goes_on() {
    let (mut world, alice, session, _) = established();
    for other in [
        BROWSER_SDP.replace("text/plain", "image/png"),
        "v=0\r\n".to_owned(),
        format!("{BROWSER_SDP}a=sendonly\r\n"),
    ] {
        moves(&mut world, alice, &other);
        let error = world.frame(alice);
        assert_eq!(error.control.kind, Kind::Error);
        assert!(
            matches!(error.header_number("error_code"), Some(488 | 400)),
            "{error:?}"
        );
        assert_eq!(world.told, []);
    }
    moves(&mut world, alice, BROWSER_SDP);
    is_moved(&mut world, alice, session);
    ends(world, alice, session);
}
