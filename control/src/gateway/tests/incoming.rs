//! Chats a handset starts.

use link::{Leg, SessionId};
use serde_json::json;

use super::world::{BROWSER_SDP, Told, World, handset_sdp, request};
use crate::jsonrtc::{Frame, Kind, MessageState, SocketId};
use crate::sip::{DialogId, EndCause, Event, Method, OutResponse, ServerId, StartLine};

pub const INVITE: ServerId = ServerId(100);
const DIALOG: DialogId = DialogId(100);

/// Bob's handset calls alice.
pub fn invite(world: &mut World, setup: &str) {
    let message = request(Method::Invite, "bob", "alice", false, &handset_sdp(setup));
    world.sip(Event::Request {
        server: INVITE,
        dialog: Some(DIALOG),
        message,
    });
}

/// Alice's browser rings.
fn ringing(setup: &str) -> (World, SocketId, SessionId, Frame) {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    invite(&mut world, setup);
    assert_eq!(world.frames_left(alice), 0, "the relay has not answered");
    let session = world.relay_makes();
    let start = world.frame(alice);
    (world, alice, session, start)
}

fn subsession(start: &Frame) -> String {
    start.control.subsession_id.clone().unwrap()
}

fn reply(world: &mut World, socket: SocketId, start: &Frame, kind: &str, state: Option<&str>) {
    let header = match kind {
        "error" => json!({"action": "start", "error_code": 603}),
        _ => json!({"action": "start"}),
    };
    let sdp = (state == Some("final")).then_some(BROWSER_SDP);
    let correlation = start.control.correlation_id.as_deref();
    let id = subsession(start);
    world.send_with(socket, kind, "chat", &id, header, sdp, correlation, state);
}

/// Alice's browser has answered, and the ACK is missing.
pub fn accepted() -> (World, SocketId, SessionId, Frame) {
    let (mut world, alice, session, start) = ringing("");
    reply(&mut world, alice, &start, "response", Some("final"));
    assert_eq!(world.response().1.code, 200);
    world.told.clear();
    (world, alice, session, start)
}

/// The ACK is there.
pub fn confirm(world: &mut World) {
    world.sip(Event::Acked { dialog: DIALOG });
}

pub fn established() -> (World, SocketId, SessionId, Frame) {
    let (mut world, alice, session, start) = accepted();
    confirm(&mut world);
    assert_eq!(world.frame(alice).action(), "complete");
    (world, alice, session, start)
}

fn sdp(response: &OutResponse) -> String {
    String::from_utf8(response.content.clone().unwrap().1).unwrap()
}

#[test]
fn a_call_from_a_handset_rings_is_answered_and_confirmed() {
    let (mut world, alice, session, start) = ringing("a=setup:actpass\r\n");
    assert_eq!(
        (start.control.kind, start.action()),
        (Kind::Request, "start")
    );
    assert_eq!(start.control.message_state, Some(MessageState::Initial));
    assert_eq!(start.initiator(), Some("bob@localhost"));
    assert_eq!(start.target(), Some("alice@localhost"));
    let offer = start.sdp().unwrap();
    assert!(
        offer.contains("a=path:msrp://192.0.2.20:20001/l3gA;ws\r\n"),
        "{offer}"
    );
    assert!(offer.contains("a=ws-resource-path:/s3cr3t\r\n"), "{offer}");

    reply(&mut world, alice, &start, "response", Some("subsequent"));
    assert_eq!(world.response(), (INVITE, world_ringing(&mut world)));

    reply(&mut world, alice, &start, "response", Some("final"));
    let (server, response) = world.response();
    assert_eq!((server, response.code), (INVITE, 200));
    let answer = sdp(&response);
    assert!(
        answer.contains("a=path:msrp://192.0.2.20:20002/l3gB;tcp\r\n"),
        "{answer}"
    );
    assert!(answer.contains("a=setup:passive\r\n"), "{answer}");
    assert!(!answer.contains("ws-resource-path"), "{answer}");
    let browser = "msrp://x7.invalid:2855/br0ws3r;ws".to_owned();
    let handset = "msrp://192.0.2.9:7394/h4nds3t;tcp".to_owned();
    assert_eq!(
        Vec::from_iter(world.told.drain(..)),
        [
            Told::SetPeer {
                leg: Leg::A,
                path: browser,
                connect: None
            },
            Told::SetPeer {
                leg: Leg::B,
                path: handset,
                connect: None
            },
            Told::Rearm(Leg::A),
            Told::Rearm(Leg::B),
        ]
    );
    world.sip(Event::Acked { dialog: DIALOG });
    let complete = world.frame(alice);
    assert_eq!(
        (complete.control.kind, complete.action()),
        (Kind::Message, "complete")
    );
    assert_eq!(
        complete.control.correlation_id,
        start.control.correlation_id
    );

    let id = subsession(&start);
    world.send(
        alice,
        "message",
        "chat",
        &id,
        json!({"action": "shutdown"}),
        None,
    );
    let (dialog, bye, _) = world.request();
    assert_eq!((dialog, bye.method), (Some(DIALOG), Method::Bye));
    world.relay_deletes(session);
    world.finish();
}

/// The 180 as the shipped script sends it.
fn world_ringing(world: &mut World) -> OutResponse {
    let _ = world;
    let mut ringing = OutResponse::new(180);
    ringing.contact_params = vec![("+g.oma.sip-im".into(), None)];
    ringing
}

#[test]
fn a_passive_offer_makes_the_relay_connect() {
    let (mut world, alice, session, start) = ringing("a=setup:passive\r\n");
    reply(&mut world, alice, &start, "response", Some("final"));
    assert!(sdp(&world.response().1).contains("a=setup:active\r\n"));
    world.told.pop_front();
    let Some(Told::SetPeer {
        leg: Leg::B,
        connect,
        ..
    }) = world.told.pop_front()
    else {
        panic!("leg B has no peer")
    };
    assert_eq!(connect, Some("192.0.2.9:7394".parse().unwrap()));
    world.told.clear();
    world.sip(Event::Ended {
        dialog: DIALOG,
        cause: EndCause::NoAck,
    });
    assert_eq!(world.frame(alice).action(), "shutdown");
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_declined_call_is_answered_with_the_browsers_code() {
    let (mut world, alice, session, start) = ringing("");
    reply(&mut world, alice, &start, "error", None);
    assert_eq!(world.response().1.code, 603);
    world.relay_deletes(session);
    assert_eq!(world.frames_left(alice), 0, "who declined knows");
    world.finish();
}

#[test]
fn a_cancelled_call_stops_ringing() {
    let (mut world, alice, session, start) = ringing("");
    world.sip(Event::Cancelled { server: INVITE });
    let shutdown = world.frame(alice);
    assert_eq!(
        (shutdown.control.kind, shutdown.action()),
        (Kind::Message, "shutdown")
    );
    assert_eq!(shutdown.control.subsession_id, start.control.subsession_id);
    assert_eq!(
        shutdown.control.correlation_id,
        start.control.correlation_id
    );
    world.relay_deletes(session);
    // The answer that crossed is for nothing.
    reply(&mut world, alice, &start, "response", Some("final"));
    assert_eq!(world.frames_left(alice), 0);
    world.finish();
}

#[test]
fn a_call_cancelled_before_the_relay_answers_never_rings() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    invite(&mut world, "");
    world.sip(Event::Cancelled { server: INVITE });
    let session = world.relay_makes();
    world.relay_deletes(session);
    assert_eq!(world.frames_left(alice), 0);
    world.finish();
}

#[test]
fn all_browsers_of_a_user_ring_and_the_first_final_answer_wins() {
    let mut world = World::new();
    let (one, other) = (world.browser(1, "alice"), world.browser(2, "alice"));
    world.frame(one);
    world.frame(other);
    invite(&mut world, "");
    let session = world.relay_makes();
    let (start_one, start_other) = (world.frame(one), world.frame(other));
    assert_ne!(subsession(&start_one), subsession(&start_other));
    reply(&mut world, other, &start_other, "response", Some("final"));
    assert_eq!(world.response().1.code, 200);
    let shutdown = world.frame(one);
    assert_eq!(shutdown.action(), "shutdown");
    assert_eq!(subsession(&shutdown), subsession(&start_one));
    // The slower one answers too: too late.
    reply(&mut world, one, &start_one, "response", Some("final"));
    assert!(world.net.responses.is_empty());
    world.told.clear();
    world.sip(Event::Acked { dialog: DIALOG });
    assert_eq!(world.frame(other).action(), "complete");
    assert_eq!(world.frames_left(one), 0);
    let message = request(Method::Bye, "bob", "alice", true, "");
    world.sip(Event::Request {
        server: ServerId(101),
        dialog: Some(DIALOG),
        message,
    });
    assert_eq!(world.response().1.code, 200);
    assert_eq!(world.frame(other).action(), "shutdown");
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_final_answer_is_final_whatever_code_the_browser_writes() {
    let mut world = World::new();
    let (one, other) = (world.browser(1, "alice"), world.browser(2, "alice"));
    world.frame(one);
    world.frame(other);
    invite(&mut world, "");
    let session = world.relay_makes();
    let (start_one, start) = (world.frame(one), world.frame(other));
    let mut answer = |state: &str, code: u32, sdp| {
        let header = json!({"action": "start", "response_code": code});
        let (id, correlation) = (subsession(&start), start.control.correlation_id.as_deref());
        world.send_with(
            other,
            "response",
            "chat",
            &id,
            header,
            sdp,
            correlation,
            Some(state),
        );
    };
    // A provisional answer is not the last one: the final one still counts.
    answer("subsequent", 200, None);
    answer("final", 180, Some(BROWSER_SDP));
    assert_eq!(world.response().1.code, 180);
    assert_eq!(world.response().1.code, 200);
    let shutdown = world.frame(one);
    assert_eq!(shutdown.action(), "shutdown");
    assert_eq!(subsession(&shutdown), subsession(&start_one));
    // The peers' paths and the deadlines of both legs are told to the relay.
    assert_eq!(world.told.drain(..).count(), 4);
    world.sip(Event::Acked { dialog: DIALOG });
    assert_eq!(world.frame(other).action(), "complete");
    let (cause, dialog) = (EndCause::Bye, DIALOG);
    world.sip(Event::Ended { dialog, cause });
    assert_eq!(world.frame(other).action(), "shutdown");
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_busy_device_leaves_the_others_ringing_and_a_decline_does_not() {
    let mut world = World::new();
    let (one, other) = (world.browser(1, "alice"), world.browser(2, "alice"));
    world.frame(one);
    world.frame(other);
    invite(&mut world, "");
    let session = world.relay_makes();
    let (start_one, start_other) = (world.frame(one), world.frame(other));
    let busy = json!({"action": "start", "error_code": 486});
    let (id, correlation) = (
        subsession(&start_one),
        start_one.control.correlation_id.clone(),
    );
    world.send_with(
        one,
        "error",
        "chat",
        &id,
        busy,
        None,
        correlation.as_deref(),
        None,
    );
    assert!(world.net.responses.is_empty());
    assert_eq!((world.frames_left(one), world.frames_left(other)), (0, 0));
    reply(&mut world, other, &start_other, "error", None);
    assert_eq!(world.response().1.code, 603);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_user_without_a_browser_is_not_available() {
    let mut world = World::new();
    invite(&mut world, "");
    assert_eq!(world.response().1.code, 480);
    world.finish();
}

#[test]
fn a_user_called_by_our_address_is_found() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    let mut message = request(Method::Invite, "bob", "alice", false, &handset_sdp(""));
    if let StartLine::Request { uri, .. } = &mut message.start {
        *uri = "sip:alice@127.0.0.1:5060".into();
    }
    let dialog = Some(DIALOG);
    world.sip(Event::Request {
        server: INVITE,
        dialog,
        message,
    });
    let session = world.relay_makes();
    assert_eq!(world.frame(alice).action(), "start");
    world.sip(Event::Cancelled { server: INVITE });
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_call_nobody_takes_is_refused_after_three_minutes() {
    let (mut world, alice, session, _) = ringing("");
    world.wait(180_000);
    assert_eq!(world.response().1.code, 480);
    assert_eq!(world.frame(alice).action(), "shutdown");
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_call_to_a_browser_that_vanishes_is_refused() {
    let (mut world, alice, session, _) = ringing("");
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
    assert_eq!(world.response().1.code, 480);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_relay_that_dies_refuses_a_ringing_call() {
    let (mut world, alice, _, _) = ringing("");
    world.step(|gateway, turn| gateway.relay_lost(turn));
    assert_eq!(world.response().1.code, 503);
    assert_eq!(world.frame(alice).action(), "shutdown");
    world.finish();
}

/// Alice has accepted and hung up, and Bob's ACK is not here.
fn unacknowledged() -> World {
    let (mut world, alice, session, start) = ringing("");
    reply(&mut world, alice, &start, "response", Some("final"));
    assert_eq!(world.response().1.code, 200);
    world.told.clear();
    let id = subsession(&start);
    world.send(
        alice,
        "message",
        "chat",
        &id,
        json!({"action": "shutdown"}),
        None,
    );
    world.relay_deletes(session);
    assert!(
        world.net.requests.is_empty(),
        "RFC 3261, 15: not before the ACK"
    );
    world
}

#[test]
fn an_unacknowledged_call_is_hung_up_only_after_the_ack() {
    let mut world = unacknowledged();
    world.sip(Event::Acked { dialog: DIALOG });
    assert_eq!(world.request().1.method, Method::Bye);
    world.finish();
}

#[test]
fn a_peer_that_hangs_up_in_the_place_of_its_ack_leaves_nothing_behind() {
    let mut world = unacknowledged();
    let message = request(Method::Bye, "bob", "alice", true, "");
    let server = ServerId(101);
    world.sip(Event::Request {
        server,
        dialog: Some(DIALOG),
        message,
    });
    let (answered, response) = world.response();
    assert_eq!((answered, response.code), (server, 200));
    assert!(world.net.requests.is_empty(), "it is over");
    world.finish();
}

#[test]
fn an_offer_the_relay_cannot_take_is_refused_with_488() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    let sdp = handset_sdp("").replace(";tcp", ";ws");
    let message = request(Method::Invite, "bob", "alice", false, &sdp);
    world.sip(Event::Request {
        server: INVITE,
        dialog: Some(DIALOG),
        message,
    });
    assert_eq!(world.response().1.code, 488);
    assert_eq!(world.frames_left(alice), 0);
    world.finish();
}

#[test]
fn a_request_outside_of_any_package_is_refused() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    for (method, code) in [(Method::Options, 200), (Method::Subscribe, 489)] {
        let message = request(method, "bob", "alice", false, "");
        world.sip(Event::Request {
            server: INVITE,
            dialog: None,
            message,
        });
        assert_eq!(world.response().1.code, code);
    }
    world.finish();
}

#[test]
fn an_unknown_request_inside_a_chat_is_refused_and_the_chat_goes_on() {
    let (mut world, alice, session, _) = established();
    let message = request(Method::Info, "bob", "alice", true, "");
    world.sip(Event::Request {
        server: ServerId(5),
        dialog: Some(DIALOG),
        message,
    });
    assert_eq!(world.response().1.code, 405);
    let message = request(Method::Info, "bob", "alice", true, "");
    world.sip(Event::Request {
        server: ServerId(6),
        dialog: Some(DialogId(7)),
        message,
    });
    assert_eq!(world.response().1.code, 481);
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
    assert_eq!(world.request().1.method, Method::Bye);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn one_caller_does_not_ring_away_the_room_of_others() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    let mut sessions = Vec::new();
    for (number, caller, rings) in [
        (1, "bob", true),
        (2, "bob", true),
        (3, "bob", false),
        (4, "carol", true),
    ] {
        world.sip(Event::Request {
            server: ServerId(number),
            dialog: Some(DialogId(number)),
            message: request(Method::Invite, caller, "alice", false, &handset_sdp("")),
        });
        if rings {
            sessions.push(world.relay_makes());
            assert_eq!(world.frame(alice).action(), "start");
        } else {
            assert_eq!(world.response().1.code, 486);
        }
    }
    for number in [1, 2, 4] {
        world.sip(Event::Cancelled {
            server: ServerId(number),
        });
    }
    for session in sessions {
        world.relay_deletes(session);
    }
    world.finish();
}
