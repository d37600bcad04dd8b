//! Calls between browsers: descriptions and candidates pass, nothing goes through the relay.

use serde_json::json;

use super::world::{World, request};
use crate::jsonrtc::{Frame, Kind, SocketId};
use crate::sip::{DialogId, Event, Method, Sent, ServerId};

const OFFER: &str =
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:a\r\na=fingerprint:sha-256 AA\r\n";
const ANSWER: &str =
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:b\r\na=fingerprint:sha-256 BB\r\n";
const PLAIN: &str = "v=0\r\nm=audio 4000 RTP/AVP 8\r\n";
const CANDIDATES: &str = "a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
const CHANGE: ServerId = ServerId(200);

/// A frame of alice's call, with an answer's correlation.
fn frame(
    world: &mut World,
    alice: SocketId,
    action: &str,
    kind: &str,
    sdp: Option<&str>,
    of: Option<&Frame>,
) {
    let correlation = of.and_then(|frame| frame.control.correlation_id.as_deref());
    let state = (kind == "response").then_some("final");
    let header = json!({"action": action, "target": "bob"});
    world.send_with(alice, kind, "call", "x", header, sdp, correlation, state);
}

fn trickle(world: &mut World, alice: SocketId) {
    let control = json!({"type": "message", "package_type": "call", "subsession_id": "x"});
    let payload = json!({ "candidates": CANDIDATES });
    world.send_frame(alice, control, json!({"action": "trickle"}), Some(payload));
}

fn body(content: Option<(String, Vec<u8>)>) -> (String, String) {
    let (kind, octets) = content.expect("a body");
    (kind, String::from_utf8(octets).unwrap())
}

/// Alice has called bob, with candidates before the answer; the call is established.
fn established() -> (World, SocketId, Sent) {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    frame(&mut world, alice, "start", "request", Some(OFFER), None);
    let (dialog, invite, sent) = world.request();
    assert_eq!((dialog, &invite.method), (None, &Method::Invite));
    assert_eq!(body(invite.content).1, OFFER);
    trickle(&mut world, alice);
    assert!(
        world.net.requests.is_empty(),
        "there is no session to send candidates in"
    );
    world.answer(sent, 200, "OK", ANSWER);
    let answer = world.frame(alice);
    assert_eq!(answer.sdp(), Some(ANSWER));
    frame(
        &mut world,
        alice,
        "complete",
        "message",
        None,
        Some(&answer),
    );
    assert_eq!(world.net.acks.pop(), sent.dialog);
    let (dialog, info, _) = world.request();
    assert_eq!(
        (dialog, info.method.to_string().as_str()),
        (sent.dialog, "INFO")
    );
    assert_eq!(body(info.content).1, CANDIDATES);
    (world, alice, sent)
}

fn hang_up(mut world: World, alice: SocketId, sent: Sent) {
    frame(&mut world, alice, "shutdown", "message", None, None);
    let (dialog, bye, _) = world.request();
    assert_eq!((dialog, bye.method), (sent.dialog, Method::Bye));
    world.finish();
}

/// Bob asks something in the call.
fn bob_asks(world: &mut World, dialog: Option<DialogId>, method: Method, kind: &str, text: &str) {
    let mut message = request(method, "bob", "alice", true, text);
    message.headers.retain(|(name, _)| name != "Content-Type");
    message
        .headers
        .push(("Content-Type".to_owned(), kind.to_owned()));
    world.sip(Event::Request {
        server: CHANGE,
        dialog,
        message,
    });
}

#[test]
fn a_call_passes_descriptions_and_candidates_and_no_media() {
    let (mut world, alice, sent) = established();
    bob_asks(
        &mut world,
        sent.dialog,
        Method::Info,
        "application/trickle-ice-sdpfrag",
        CANDIDATES,
    );
    assert_eq!(
        world.response(),
        (CHANGE, crate::sip::OutResponse::new(200))
    );
    let told = world.frame(alice);
    assert_eq!(
        (told.control.kind, told.action()),
        (Kind::Message, "trickle")
    );
    assert_eq!(told.payload.unwrap()["candidates"], CANDIDATES);
    bob_asks(
        &mut world,
        sent.dialog,
        Method::Info,
        "application/dtmf",
        "5",
    );
    assert_eq!(world.response().1.code, 469);
    hang_up(world, alice, sent);
}

#[test]
fn the_browser_changes_an_open_call() {
    let (mut world, alice, sent) = established();
    frame(&mut world, alice, "start", "request", Some(OFFER), None);
    let (dialog, change, asked) = world.request();
    assert_eq!((dialog, change.method), (sent.dialog, Method::Invite));
    world.answer(asked, 200, "OK", ANSWER);
    assert_eq!(world.net.acks.pop(), sent.dialog, "acknowledged at once");
    let answer = world.frame(alice);
    assert_eq!(
        (answer.control.kind, answer.sdp()),
        (Kind::Response, Some(ANSWER))
    );
    frame(
        &mut world,
        alice,
        "complete",
        "message",
        None,
        Some(&answer),
    );
    // One that the peer does not want changes nothing, and the next may be asked.
    frame(&mut world, alice, "start", "request", Some(OFFER), None);
    let (.., asked) = world.request();
    world.answer(asked, 488, "Not Acceptable Here", "");
    assert_eq!(world.frame(alice).header_number("error_code"), Some(488));
    hang_up(world, alice, sent);
}

#[test]
fn the_peer_changes_an_open_call() {
    let (mut world, alice, sent) = established();
    bob_asks(
        &mut world,
        sent.dialog,
        Method::Invite,
        "application/sdp",
        OFFER,
    );
    let asked = world.frame(alice);
    assert_eq!(
        (asked.control.kind, asked.action()),
        (Kind::Request, "start")
    );
    assert_eq!(asked.sdp(), Some(OFFER));
    frame(
        &mut world,
        alice,
        "start",
        "response",
        Some(ANSWER),
        Some(&asked),
    );
    let (server, response) = world.response();
    assert_eq!((server, response.code), (CHANGE, 200));
    assert_eq!(body(response.content).1, ANSWER);
    world.sip(Event::Acked {
        dialog: sent.dialog.unwrap(),
    });
    let complete = world.frame(alice);
    assert_eq!(complete.action(), "complete");
    assert_eq!(
        complete.control.correlation_id,
        asked.control.correlation_id
    );
    // One that the user declines.
    bob_asks(
        &mut world,
        sent.dialog,
        Method::Update,
        "application/sdp",
        OFFER,
    );
    let asked = world.frame(alice);
    let header = json!({"action": "start", "error_code": 603});
    let correlation = asked.control.correlation_id.as_deref();
    world.send_with(alice, "error", "call", "x", header, None, correlation, None);
    assert_eq!(world.response().1.code, 603);
    assert_eq!(world.frames_left(alice), 0);
    hang_up(world, alice, sent);
}

#[test]
fn a_peer_without_webrtc_is_not_talked_to() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    frame(&mut world, alice, "start", "request", Some(OFFER), None);
    let (.., sent) = world.request();
    world.answer(sent, 200, "OK", PLAIN);
    let error = world.frame(alice);
    assert_eq!(error.header_number("error_code"), Some(488));
    assert_eq!(world.net.acks.pop(), sent.dialog);
    assert_eq!(world.request().1.method, Method::Bye);
    world.finish();
}

#[test]
fn a_change_before_the_call_is_open_has_to_wait() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    frame(&mut world, alice, "start", "request", Some(OFFER), None);
    let (.., sent) = world.request();
    frame(&mut world, alice, "start", "request", Some(OFFER), None);
    assert_eq!(world.frame(alice).header_number("error_code"), Some(491));
    world.answer(sent, 603, "Decline", "");
    assert_eq!(world.frame(alice).header_number("error_code"), Some(603));
    world.finish();
}
