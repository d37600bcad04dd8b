//! Chats a browser starts.

use link::{Cause, Event, Leg, Refusal, SessionId};
use serde_json::json;

use super::net::FakeNet;
use super::world::{Told, World, handset_sdp, request};
use crate::jsonrtc::{Frame, Kind, SocketId};
use crate::limits::DRAIN_MS;
use crate::sip::{self, Failure, Method, Sent, ServerId};

/// Alice is connected, her chat with bob rings.
fn ringing() -> (World, SocketId, SessionId, Sent) {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    assert_eq!(world.frame(alice).header_number("response_code"), Some(200));
    world.start(alice);
    let session = world.relay_makes();
    let (dialog, invite, sent) = world.request();
    assert_eq!((dialog, &invite.method), (None, &Method::Invite));
    world.answer(sent, 180, "Ringing", "");
    let frame = world.frame(alice);
    assert_eq!(frame.header_number("response_code"), Some(180));
    assert_eq!(frame.control.correlation_id.as_deref(), Some("c2"));
    (world, alice, session, sent)
}

/// Alice's chat with bob is established.
pub fn established() -> (World, SocketId, SessionId, Sent) {
    let (mut world, alice, session, sent) = ringing();
    world.answer(sent, 200, "OK", &handset_sdp("a=setup:passive\r\n"));
    assert_eq!(world.frame(alice).header_number("response_code"), Some(200));
    world.told.clear();
    complete(&mut world, alice);
    assert_eq!(world.net.acks, [sent.dialog.unwrap()]);
    (world, alice, session, sent)
}

fn complete(world: &mut World, socket: SocketId) {
    let header = json!({"action": "complete"});
    world.send_with(
        socket,
        "message",
        "chat",
        "x",
        header,
        None,
        Some("c2"),
        None,
    );
}

pub fn shutdown(world: &mut World, socket: SocketId) {
    world.send(
        socket,
        "message",
        "chat",
        "x",
        json!({"action": "shutdown"}),
        None,
    );
}

fn error_code(frame: &Frame) -> u32 {
    assert_eq!((frame.control.kind, frame.action()), (Kind::Error, "start"));
    assert_eq!(frame.control.correlation_id.as_deref(), Some("c2"));
    frame.header_number("error_code").unwrap()
}

pub fn assert_shutdown(frame: &Frame) {
    assert_eq!(
        (frame.control.kind, frame.action()),
        (Kind::Message, "shutdown")
    );
    assert_eq!(frame.control.subsession_id.as_deref(), Some("x"));
}

pub fn bye(net: &mut FakeNet, sent: Sent) -> Option<String> {
    let (dialog, request, _) = net.requests.pop_front().unwrap();
    assert_eq!((dialog, request.method), (sent.dialog, Method::Bye));
    request
        .headers
        .into_iter()
        .find(|(name, _)| name == "Reason")
        .map(|(_, value)| value)
}

#[test]
fn a_chat_is_invited_with_the_relays_leg_and_answered_with_the_other() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    let welcome = world.frame(alice);
    assert_eq!(welcome.initiator(), Some("alice@localhost"));
    assert_eq!(
        welcome.payload.as_ref().unwrap()["packages"],
        json!([
            "call",
            "capability",
            "chat",
            "file_transfer",
            "message_notification",
            "messaging"
        ])
    );
    assert!(world.net.locals.contains("alice"));
    world.start(alice);
    assert!(world.net.requests.is_empty(), "the relay has not answered");
    let session = world.relay_makes();
    let (_, invite, sent) = world.request();
    let offer = String::from_utf8(invite.content.unwrap().1).unwrap();
    assert!(
        offer.contains("a=path:msrp://192.0.2.20:20002/l3gB;tcp\r\n"),
        "{offer}"
    );
    assert!(offer.contains("a=setup:actpass\r\n"), "{offer}");
    assert!(!offer.contains("x7.invalid"), "{offer}");
    assert!(invite.to.contains("sip:bob@localhost"), "{}", invite.to);
    assert!(
        invite.from.contains("sip:alice@localhost"),
        "{}",
        invite.from
    );

    world.answer(sent, 200, "OK", &handset_sdp("a=setup:passive\r\n"));
    let browser = "msrp://x7.invalid:2855/br0ws3r;ws".to_owned();
    let handset = "msrp://192.0.2.9:7394/h4nds3t;tcp".to_owned();
    let connect = Some("192.0.2.9:7394".parse().unwrap());
    assert_eq!(
        Vec::from_iter(world.told.drain(..)),
        [
            Told::SetPeer {
                leg: Leg::B,
                path: handset,
                connect
            },
            Told::SetPeer {
                leg: Leg::A,
                path: browser,
                connect: None
            },
            Told::Rearm(Leg::A),
            Told::Rearm(Leg::B),
        ]
    );
    let answer = world.frame(alice);
    let sdp = answer.sdp().unwrap();
    assert!(
        sdp.contains("a=path:msrp://192.0.2.20:20001/l3gA;ws\r\n"),
        "{sdp}"
    );
    assert!(sdp.contains("a=ws-resource-path:/s3cr3t\r\n"), "{sdp}");
    assert!(sdp.contains("a=setup:passive\r\n"), "{sdp}");
    assert_eq!(
        answer.control.message_state,
        Some(crate::jsonrtc::MessageState::Final)
    );

    complete(&mut world, alice);
    assert_eq!(world.net.acks, [sent.dialog.unwrap()]);
    shutdown(&mut world, alice);
    assert_eq!(bye(&mut world.net, sent), None);
    world.relay_deletes(session);
    assert_eq!(world.frames_left(alice), 0, "nothing answers a shutdown");
    world.finish();
}

#[test]
fn an_active_answer_makes_the_relay_wait() {
    let (mut world, alice, session, sent) = ringing();
    world.answer(sent, 200, "OK", &handset_sdp("a=setup:active\r\n"));
    let Some(Told::SetPeer {
        leg: Leg::B,
        connect,
        ..
    }) = world.told.pop_front()
    else {
        panic!("leg B has no peer")
    };
    assert_eq!(connect, None);
    world.told.clear();
    shutdown(&mut world, alice);
    world.relay_deletes(session);
    assert_eq!(
        world.net.acks,
        [sent.dialog.unwrap()],
        "a 2xx is acknowledged before its BYE"
    );
    bye(&mut world.net, sent);
    world.finish();
}

#[test]
fn o16_of_the_answers_of_several_forks_the_confirmed_one_has_the_leg() {
    let (mut world, alice, session, sent) = ringing();
    let early = handset_sdp("a=setup:passive\r\n");
    world.answer(sent, 183, "Session Progress", &early);
    assert_eq!(world.frame(alice).header_number("response_code"), Some(183));
    world.told.clear();
    let confirmed = early.replace("h4nds3t", "0th3r").replace("7394", "7400");
    world.answer(sent, 200, "OK", &confirmed);
    let expected = Told::SetPeer {
        leg: Leg::B,
        path: "msrp://192.0.2.9:7400/0th3r;tcp".to_owned(),
        connect: Some("192.0.2.9:7400".parse().unwrap()),
    };
    assert_eq!(world.told.pop_front(), Some(expected));
    world.told.clear();
    assert_eq!(world.frame(alice).header_number("response_code"), Some(200));
    complete(&mut world, alice);
    shutdown(&mut world, alice);
    bye(&mut world.net, sent);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_named_host_is_resolved_before_the_relay_connects() {
    let (mut world, alice, session, sent) = ringing();
    let sdp = handset_sdp("a=setup:passive\r\n").replace("//192.0.2.9", "//phone.example.com");
    world.answer(sent, 200, "OK", &sdp);
    assert!(world.frame(alice).sdp().is_some());
    let resolve = world.resolves.pop().unwrap();
    assert_eq!(
        (resolve.host.as_str(), resolve.port),
        ("phone.example.com", 7394)
    );
    world.told.clear();
    let address = "192.0.2.77:7394".parse().unwrap();
    world.step(|gateway, turn| gateway.resolved(&resolve, Some(address), turn));
    let Some(Told::SetPeer {
        leg: Leg::B,
        connect,
        ..
    }) = world.told.pop_front()
    else {
        panic!("leg B has no peer")
    };
    assert_eq!(connect, Some(address));
    world.step(|gateway, turn| gateway.resolved(&resolve, None, turn));
    assert_shutdown(&world.frame(alice));
    bye(&mut world.net, sent);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_decline_becomes_an_error_with_its_code() {
    let (mut world, alice, session, sent) = ringing();
    world.answer(sent, 603, "Decline", "");
    let error = world.frame(alice);
    assert_eq!(error_code(&error), 603);
    assert_eq!(error.header["reason"], "Decline");
    world.relay_deletes(session);
    assert_eq!(world.frames_left(alice), 0);
    world.finish();
}

#[test]
fn a_sip_500_never_reaches_the_browser_as_500() {
    let (mut world, alice, session, sent) = ringing();
    world.answer(sent, 500, "Oops", "");
    assert_eq!(error_code(&world.frame(alice)), 503);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_shutdown_before_the_answer_cancels() {
    let (mut world, alice, session, sent) = ringing();
    shutdown(&mut world, alice);
    assert_eq!(world.net.cancels, [sent.client]);
    world.relay_deletes(session);
    // What comes of the cancelled invitation is nobody's business any more.
    world.answer(sent, 487, "Request Terminated", "");
    world.sip(sip::Event::Failed {
        client: sent.client,
        cause: Failure::Cancelled,
    });
    world.answer(sent, 200, "OK", &handset_sdp(""));
    assert_eq!(world.frames_left(alice), 0);
    world.finish();
}

#[test]
fn a_shutdown_that_crosses_the_answer_acknowledges_and_hangs_up() {
    let (mut world, alice, session, sent) = ringing();
    world.answer(sent, 200, "OK", &handset_sdp(""));
    world.told.clear();
    world.frame(alice);
    shutdown(&mut world, alice);
    assert_eq!((world.net.acks.len(), world.net.cancels.len()), (1, 0));
    bye(&mut world.net, sent);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_shutdown_while_the_relay_is_asked_deletes_what_it_makes() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.start(alice);
    shutdown(&mut world, alice);
    let session = world.relay_makes();
    assert!(world.net.requests.is_empty());
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_bye_from_the_handset_shuts_down() {
    let (mut world, alice, session, sent) = established();
    let message = request(Method::Bye, "bob", "alice", true, "");
    world.sip(sip::Event::Request {
        server: ServerId(9),
        dialog: sent.dialog,
        message,
    });
    let (server, response) = world.response();
    assert_eq!((server, response.code), (ServerId(9), 200));
    assert_shutdown(&world.frame(alice));
    world.relay_deletes(session);
    shutdown(&mut world, alice);
    assert_eq!(
        world.frames_left(alice),
        0,
        "a library may echo the shutdown"
    );
    world.finish();
}

#[test]
fn a_relay_that_refuses_is_an_error_503() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.start(alice);
    let Some(Told::Create(session)) = world.told.pop_front() else {
        panic!("no session")
    };
    world.relay(Event::Refused {
        session,
        reason: Refusal::NoPorts,
    });
    assert_eq!(error_code(&world.frame(alice)), 503);
    assert_eq!(world.told.pop_front(), None);
    world.finish();
}

#[test]
fn a_relay_that_is_silent_is_an_error_503_after_two_seconds() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.start(alice);
    let Some(Told::Create(session)) = world.told.pop_front() else {
        panic!("no session")
    };
    world.wait(1_999);
    assert_eq!(world.frames_left(alice), 0);
    world.wait(1);
    assert_eq!(error_code(&world.frame(alice)), 503);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn without_a_relay_there_is_no_chat() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.step(|gateway, turn| gateway.relay_lost(turn));
    world.start(alice);
    assert_eq!(error_code(&world.frame(alice)), 503);
    world.finish();
}

#[test]
fn a_relay_that_dies_takes_the_chat_with_it_and_both_sides_are_told() {
    let (mut world, alice, _, sent) = established();
    world.step(|gateway, turn| gateway.relay_lost(turn));
    let shutdown = world.frame(alice);
    assert_shutdown(&shutdown);
    assert_eq!(shutdown.header["reason"], "The media relay is gone");
    let reason = bye(&mut world.net, sent).unwrap();
    assert_eq!(reason, "SIP;cause=503;text=\"The media relay is gone\"");
    world.finish();
}

#[test]
fn a_lost_leg_ends_the_chat_once() {
    let (mut world, alice, session, sent) = established();
    world.relay(Event::LegDown {
        session,
        leg: Leg::A,
        cause: Cause::Expired,
    });
    assert_shutdown(&world.frame(alice));
    assert!(bye(&mut world.net, sent).unwrap().contains("cause=408"));
    world.relay(Event::LegDown {
        session,
        leg: Leg::B,
        cause: Cause::OtherLeg,
    });
    world.relay_deletes(session);
    assert_eq!(world.frames_left(alice), 0);
    world.finish();
}

/// The handset's chat with a browser whose media are gone for good.
fn media_lost() -> (World, SessionId, Sent) {
    let (mut world, alice, session, sent) = established();
    let (leg, cause) = (Leg::A, Cause::PeerClosed);
    world.relay(Event::LegDown {
        session,
        leg,
        cause,
    });
    assert_shutdown(&world.frame(alice));
    world.relay_deletes(session);
    world.wait(DRAIN_MS - 1);
    (world, session, sent)
}

#[test]
fn late_data_have_their_time_before_the_handset_is_told_to_hang_up() {
    let (mut world, _, sent) = media_lost();
    assert!(world.net.requests.is_empty());
    world.wait(1);
    assert!(bye(&mut world.net, sent).unwrap().contains("cause=480"));
    world.finish();
}

#[test]
fn a_handset_that_hangs_up_meanwhile_is_answered_and_told_nothing() {
    let (mut world, _, sent) = media_lost();
    world.sip(sip::Event::Request {
        server: ServerId(7),
        dialog: sent.dialog,
        message: request(Method::Bye, "bob", "alice", true, ""),
    });
    assert_eq!(world.response().1.code, 200);
    world.wait(DRAIN_MS);
    world.finish();
}

#[test]
fn a_session_the_relay_closed_by_itself_is_not_deleted_again() {
    let (mut world, alice, session, sent) = established();
    world.relay_closed(session, Cause::Reset);
    assert_shutdown(&world.frame(alice));
    world.wait(DRAIN_MS);
    bye(&mut world.net, sent);
    // The one Delete crossed the Closed; the relay has nothing left to do.
    assert_eq!(world.told.pop_front(), Some(Told::Delete(session)));
    world.finish();
}

#[test]
fn a_browser_that_closes_with_1000_hangs_up() {
    let (mut world, alice, session, sent) = established();
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
    bye(&mut world.net, sent);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_browser_that_vanishes_has_a_minute_to_come_back() {
    let (mut world, alice, session, sent) = established();
    world.step(|gateway, turn| gateway.socket_closed(alice, None, turn));
    world.wait(59_999);
    assert!(world.net.requests.is_empty());
    world.wait(1);
    bye(&mut world.net, sent);
    world.relay_deletes(session);
    assert!(world.net.locals.is_empty());
    world.finish();
}

#[test]
fn a_peer_that_is_not_there_is_an_error() {
    for (refused, code) in [
        (sip::Refused::UserUnknown, 404),
        (sip::Refused::Unavailable, 480),
    ] {
        let mut world = World::new();
        let alice = world.browser(1, "alice");
        world.frame(alice);
        world.net.refuses = Some(refused);
        world.start(alice);
        let session = world.relay_makes();
        assert_eq!(error_code(&world.frame(alice)), code);
        world.relay_deletes(session);
        world.finish();
    }
}

#[test]
fn an_invitation_without_any_answer_is_an_error_408() {
    let (mut world, alice, session, sent) = ringing();
    world.sip(sip::Event::Failed {
        client: sent.client,
        cause: Failure::Timeout,
    });
    assert_eq!(error_code(&world.frame(alice)), 408);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn what_rings_for_three_minutes_is_cancelled() {
    let (mut world, alice, session, sent) = ringing();
    world.wait(180_000);
    assert_eq!(error_code(&world.frame(alice)), 408);
    assert_eq!(world.net.cancels, [sent.client]);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn an_answer_that_is_never_completed_is_hung_up() {
    let (mut world, alice, session, sent) = ringing();
    world.answer(sent, 200, "OK", &handset_sdp(""));
    world.told.clear();
    world.frame(alice);
    world.wait(32_000);
    assert_shutdown(&world.frame(alice));
    assert_eq!(world.net.acks.len(), 1);
    bye(&mut world.net, sent);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn an_offer_that_is_none_is_refused_before_anybody_is_asked() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    let header = json!({"action": "start", "target": "bob"});
    world.send(
        alice,
        "request",
        "chat",
        "x",
        header,
        Some("v=0\r\nnonsense"),
    );
    assert!(matches!(error_code(&world.frame(alice)), 400 | 488));
    world.finish();
}

#[test]
fn an_answer_that_declines_the_line_is_passed_on_and_frees_the_relay() {
    let (mut world, alice, session, sent) = ringing();
    let sdp = handset_sdp("").replace("m=message 7394", "m=message 0");
    world.answer(sent, 200, "OK", &sdp);
    world.relay_deletes(session);
    assert!(world.frame(alice).sdp().unwrap().contains("m=message 0 "));
    shutdown(&mut world, alice);
    bye(&mut world.net, sent);
    world.finish();
}

#[test]
fn an_answer_without_sdp_ends_the_chat() {
    let (mut world, alice, session, sent) = ringing();
    world.answer(sent, 200, "OK", "");
    assert_eq!(error_code(&world.frame(alice)), 488);
    assert_eq!(world.net.acks.len(), 1);
    bye(&mut world.net, sent);
    world.relay_deletes(session);
    assert_eq!(world.frames_left(alice), 0);
    world.finish();
}

/// The handset wants to change the session.
fn reinvite(world: &mut World, sent: &Sent, sdp: &str) {
    let message = request(Method::Invite, "bob", "alice", true, sdp);
    world.sip(sip::Event::Request {
        server: ServerId(9),
        dialog: sent.dialog,
        message,
    });
}

#[test]
fn p2_a_handset_that_has_moved_is_told_to_the_relay_and_answered_with_the_browsers_side() {
    let (mut world, alice, session, sent) = established();
    world.told.clear();
    let moved = handset_sdp("a=setup:actpass\r\n")
        .replace("h4nds3t", "m0v3d")
        .replace("7394", "7400");
    reinvite(&mut world, &sent, &moved);
    let (_, response) = world.response();
    let answer = String::from_utf8(response.content.unwrap().1).unwrap();
    assert_eq!(response.code, 200);
    assert!(
        answer.contains("a=path:msrp://192.0.2.20:20002/l3gB;tcp\r\n"),
        "{answer}"
    );
    assert!(answer.contains("a=setup:passive\r\n"), "{answer}");
    let path = "msrp://192.0.2.9:7400/m0v3d;tcp".to_owned();
    let expected = Told::SetPeer {
        leg: Leg::B,
        path,
        connect: None,
    };
    assert_eq!(Vec::from_iter(world.told.drain(..)), [expected]);
    // P1: said again, it is answered again, and the relay is left alone.
    let again = moved.replace("o=- 2 1", "o=- 2 2");
    reinvite(&mut world, &sent, &again);
    assert_eq!(world.response().1.code, 200);
    assert!(world.told.is_empty());
    assert_eq!(world.frames_left(alice), 0);
    shutdown(&mut world, alice);
    bye(&mut world.net, sent);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn an_open_chat_cannot_be_changed_and_goes_on() {
    let (mut world, alice, session, sent) = established();
    let header = json!({"action": "start", "target": "bob"});
    world.send_with(
        alice,
        "request",
        "chat",
        "x",
        header,
        Some("v=0"),
        None,
        Some("subsequent"),
    );
    assert_eq!(world.frame(alice).header_number("error_code"), Some(488));
    // P6: what is refused changes nothing.
    let other = handset_sdp("").replace("text/plain", "message/cpim");
    reinvite(&mut world, &sent, &other);
    assert_eq!(world.response().1.code, 488);
    assert!(world.told.is_empty());
    shutdown(&mut world, alice);
    bye(&mut world.net, sent);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn p4_the_line_of_an_open_chat_is_neither_joined_by_another_nor_given_up() {
    let (mut world, alice, session, sent) = established();
    world.told.clear();
    let now = handset_sdp("");
    let (_, line) = now.split_once("m=").expect("it has a line");
    let joined = format!("{now}m={}", line.replace("h4nds3t", "s3c0nd"));
    let given_up = now.replace("m=message 7394", "m=message 0");
    assert_ne!(given_up, now);
    for changed in [joined, given_up] {
        reinvite(&mut world, &sent, &changed);
        assert_eq!(world.response().1.code, 488);
        assert!(world.told.is_empty(), "the relay has not heard of it");
    }
    assert_eq!(world.frames_left(alice), 0, "nor has the page");
    shutdown(&mut world, alice);
    bye(&mut world.net, sent);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_peer_that_forgot_the_dialog_ends_the_chat() {
    let (mut world, alice, session, sent) = established();
    let (dialog, cause) = (sent.dialog.unwrap(), sip::EndCause::PeerForgot);
    world.sip(sip::Event::Ended { dialog, cause });
    assert_shutdown(&world.frame(alice));
    world.relay_deletes(session);
    world.finish();
}
