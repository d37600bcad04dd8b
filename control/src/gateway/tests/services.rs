//! Enquiries and standalone messages: what single requests become.

use serde_json::{Value, json};

use super::world::{World, request};
use crate::jsonrtc::{Frame, Kind, SocketId};
use crate::sip::{Event, Failure, Method, OutRequest, Refused, Sent, ServerId};

pub const ASKED: ServerId = ServerId(200);
const IM: &str = "<sip:b@192.0.2.9>;+g.oma.sip-im";

/// A frame of a package, in subsession `x`.
fn say(
    world: &mut World,
    socket: SocketId,
    kind: &str,
    package: &str,
    header: Value,
    payload: Value,
) {
    say_in(world, socket, kind, package, "x", header, payload);
}

fn say_in(
    world: &mut World,
    socket: SocketId,
    kind: &str,
    package: &str,
    subsession: &str,
    header: Value,
    payload: Value,
) {
    let control = json!({"type": kind, "package_type": package, "subsession_id": subsession});
    world.send_frame(socket, control, header, Some(payload));
}

/// Alice asks what bob can do, in this subsession.
fn enquire(world: &mut World, socket: SocketId, subsession: &str) {
    let header =
        json!({"action": "enquiry", "target": "bob@localhost", "enquiry_data": "IM/CHAT,VS"});
    let control =
        json!({"type": "request", "package_type": "capability", "subsession_id": subsession});
    world.send_frame(socket, control, header, None);
}

/// The page answers a request of the server's.
pub fn reply(world: &mut World, socket: SocketId, asked: &Frame, kind: &str, header: Value) {
    let control = json!({"type": kind, "package_type": asked.control.package,
        "subsession_id": asked.control.subsession_id, "correlation_id": asked.control.correlation_id,
        "message_state": "final"});
    world.send_frame(socket, control, header, None);
}

/// The page says what the user can do.
fn tells(world: &mut World, socket: SocketId, asked: &Frame, services: &str) {
    let header = json!({"action": "enquiry", "enquiry_data": services});
    reply(world, socket, asked, "response", header);
}

/// Alice asks inside her chat.
fn enquire_inside(world: &mut World, socket: SocketId, subsession: &str, services: &str) {
    let header = json!({"action": "enquiry", "enquiry_data": services});
    say_in(
        world,
        socket,
        "request",
        "chat",
        subsession,
        header,
        json!({}),
    );
}

/// Alice sends bob a text.
fn send(world: &mut World, socket: SocketId, text: &str) {
    let header = json!({"action": "send", "target": "bob"});
    say(
        world,
        socket,
        "request",
        "messaging",
        header,
        json!({"content": text}),
    );
}

pub fn browser(world: &mut World, number: u64, name: &str) -> SocketId {
    let socket = world.browser(number, name);
    world.frame(socket);
    socket
}

/// A request of bob's for alice, outside of any dialog.
pub fn comes(world: &mut World, method: Method, headers: &[(&str, &str)], body: (&str, &str)) {
    let mut message = request(method, "bob", "alice", false, "");
    let owned = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    message.headers.extend(owned);
    if !body.0.is_empty() {
        message.headers.push(("Content-Type".into(), body.0.into()));
        message.body = body.1.into();
    }
    world.sip(Event::Request {
        server: ASKED,
        dialog: None,
        message,
    });
}

fn options(world: &mut World) -> (OutRequest, Sent) {
    let (dialog, options, sent) = world.request();
    assert_eq!((dialog, &options.method), (None, &Method::Options));
    (options, sent)
}

#[test]
fn an_enquiry_and_its_answer() {
    let mut world = World::new();
    let alice = browser(&mut world, 1, "alice");
    enquire(&mut world, alice, "x");
    let (options, sent) = options(&mut world);
    let accept = options
        .headers
        .iter()
        .find(|(name, _)| name == "Accept-Contact")
        .unwrap();
    assert!(
        accept.1.starts_with("*;+g.3gpp.cs-voice;+g.3gpp.iari-ref="),
        "{}",
        accept.1
    );
    assert_eq!(options.contact_params.len(), 2);
    world.answer_to("OPTIONS", sent, 200, "OK", "", &[("Contact", IM)]);
    let answer = world.frame(alice);
    assert_eq!(answer.header["enquiry_data"], "IM/CHAT,File transfer");
    assert_eq!(
        (answer.control.kind, answer.control.subsession_id.as_deref()),
        (Kind::Response, Some("x"))
    );
    assert_eq!(
        (answer.initiator(), answer.target()),
        (Some("alice@localhost"), Some("bob@localhost"))
    );
    world.finish();
}

#[test]
fn what_fails_is_an_error_with_the_code_of_the_network() {
    for (code, shown) in [(404, 404), (408, 408), (480, 480), (500, 503), (604, 604)] {
        let mut world = World::new();
        let alice = browser(&mut world, 1, "alice");
        enquire(&mut world, alice, "x");
        let (_, sent) = options(&mut world);
        world.answer_to("OPTIONS", sent, code, "No", "", &[]);
        assert_eq!(world.frame(alice).header["error_code"], shown);
        world.finish();
    }
    let mut world = World::new();
    let alice = browser(&mut world, 1, "alice");
    enquire(&mut world, alice, "x");
    let (_, sent) = options(&mut world);
    world.sip(Event::Failed {
        client: sent.client,
        cause: Failure::Timeout,
    });
    assert_eq!(world.frame(alice).header["error_code"], 408);
    world.net.refuses = Some(Refused::UserUnknown);
    enquire(&mut world, alice, "y");
    assert_eq!(world.frame(alice).header["error_code"], 404);
    world.finish();
}

#[test]
fn the_same_question_is_asked_once_and_all_who_ask_are_answered() {
    let mut world = World::new();
    let pages = [1, 2, 3].map(|number| browser(&mut world, number, "alice"));
    for page in pages {
        enquire(&mut world, page, "x");
    }
    let (_, sent) = options(&mut world);
    assert!(world.net.requests.is_empty());
    // Who has asked first goes away: another one inherits the question, and the third leaves it.
    world.step(|gateway, turn| gateway.socket_closed(pages[0], Some(1000), turn));
    world.step(|gateway, turn| gateway.socket_closed(pages[2], Some(1000), turn));
    world.answer_to("OPTIONS", sent, 200, "OK", "", &[("Contact", IM)]);
    assert_eq!(
        world.frame(pages[1]).header["enquiry_data"],
        "IM/CHAT,File transfer"
    );
    // A moment later the answer is still good; then it is asked again.
    enquire(&mut world, pages[1], "y");
    assert_eq!(world.frame(pages[1]).header["response_code"], 200);
    world.step(|gateway, _| gateway.set_wall_clock(5_000));
    enquire(&mut world, pages[1], "z");
    let (_, sent) = options(&mut world);
    world.answer_to("OPTIONS", sent, 480, "Gone", "", &[]);
    assert_eq!(world.frame(pages[1]).header["error_code"], 480);
    world.finish();
}

#[test]
fn a_peer_asks_and_the_page_answers_in_its_words() {
    let mut world = World::new();
    let alice = browser(&mut world, 1, "alice");
    comes(&mut world, Method::Options, &[("Contact", IM)], ("", ""));
    let asked = world.frame(alice);
    assert_eq!(asked.header["enquiry_data"], "IM/CHAT,File transfer");
    assert_eq!(
        (asked.initiator(), asked.target()),
        (Some("bob@localhost"), Some("alice@localhost"))
    );
    tells(&mut world, alice, &asked, "VS");
    let (server, answer) = world.response();
    assert_eq!((server, answer.code), (ASKED, 200));
    assert_eq!(
        answer.contact_params,
        [("+g.3gpp.cs-voice".to_owned(), None)]
    );
    world.finish();
}

#[test]
fn a_silent_page_is_answered_for_after_two_seconds_with_what_it_said_before() {
    for (before, code) in [(true, 200), (false, 480)] {
        let mut world = World::new();
        let alice = browser(&mut world, 1, "alice");
        if before {
            enquire(&mut world, alice, "x");
            let (_, sent) = options(&mut world);
            world.answer_to("OPTIONS", sent, 480, "Gone", "", &[]);
            world.frame(alice);
        }
        comes(&mut world, Method::Options, &[("Contact", IM)], ("", ""));
        world.frame(alice);
        world.wait(1_999);
        assert!(world.net.responses.is_empty());
        world.wait(1);
        assert_eq!(world.response().1.code, code);
        world.finish();
    }
}

#[test]
fn one_page_that_does_not_say_leaves_it_to_another() {
    let mut world = World::new();
    let pages = [1, 2].map(|number| browser(&mut world, number, "alice"));
    comes(&mut world, Method::Options, &[("Contact", IM)], ("", ""));
    let asked = pages.map(|page| world.frame(page));
    reply(
        &mut world,
        pages[0],
        &asked[0],
        "error",
        json!({"action": "enquiry", "error_code": 480}),
    );
    assert!(world.net.responses.is_empty());
    tells(&mut world, pages[1], &asked[1], "IM");
    assert_eq!(world.response().1.code, 200);
    world.finish();
}

#[test]
fn an_options_without_tags_only_wants_to_know_whether_somebody_is_there() {
    let mut world = World::new();
    let alice = browser(&mut world, 1, "alice");
    let ping = [(
        "Contact",
        "<sip:b@192.0.2.9>;expires=60;+sip.instance=\"<urn:uuid:1>\"",
    )];
    comes(&mut world, Method::Options, &ping, ("", ""));
    // No package takes it.
    assert_eq!(world.response().1.code, 200);
    assert_eq!(world.frames_left(alice), 0);
    world.finish();
}

#[test]
fn with_a_chat_open_both_are_asked_inside_it() {
    let (mut world, alice, session, start) = super::incoming::established();
    let subsession = start.control.subsession_id.clone().unwrap();
    comes(&mut world, Method::Options, &[("Contact", IM)], ("", ""));
    let asked = world.frame(alice);
    assert_eq!(
        asked.control.subsession_id.as_deref(),
        Some(subsession.as_str())
    );
    assert_eq!(asked.control.package.as_deref(), Some("chat"));
    tells(&mut world, alice, &asked, "VS");
    assert_eq!(world.response().1.code, 200);
    enquire_inside(&mut world, alice, &subsession, "VS");
    // Not in the chat's dialog: RFC 3261, 11.
    let (_, sent) = options(&mut world);
    world.answer_to("OPTIONS", sent, 200, "OK", "", &[("Contact", IM)]);
    let answer = world.frame(alice);
    assert_eq!(
        (answer.initiator(), answer.target()),
        (Some("alice@localhost"), Some("bob@localhost"))
    );
    // One that can't be sent leaves the chat alone.
    world.net.refuses = Some(Refused::NoHop);
    enquire_inside(&mut world, alice, &subsession, "IM");
    assert_eq!(world.frame(alice).header["error_code"], 503);
    world.net.refuses = None;
    say_in(
        &mut world,
        alice,
        "message",
        "chat",
        &subsession,
        json!({"action": "shutdown"}),
        json!({}),
    );
    assert_eq!(world.request().1.method, Method::Bye);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn what_was_asked_behind_an_ack_that_is_late_is_answered_inside() {
    let (mut world, alice, session, start) = super::incoming::accepted();
    comes(&mut world, Method::Options, &[("Contact", IM)], ("", ""));
    let asked = world.frame(alice);
    assert_eq!(asked.control.package.as_deref(), Some("chat"));
    assert_eq!(asked.control.subsession_id, start.control.subsession_id);
    tells(&mut world, alice, &asked, "IM");
    assert_eq!(world.response().1.code, 200);
    super::incoming::confirm(&mut world);
    assert_eq!(world.frame(alice).action(), "complete");
    let subsession = start.control.subsession_id.clone().unwrap();
    let shutdown = json!({"action": "shutdown"});
    say_in(
        &mut world,
        alice,
        "message",
        "chat",
        &subsession,
        shutdown,
        json!({}),
    );
    assert_eq!(world.request().1.method, Method::Bye);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn whom_a_user_has_blocked_outlives_session_and_process() {
    let mut world = World::new();
    let alice = browser(&mut world, 1, "alice");
    say(
        &mut world,
        alice,
        "request",
        "capability",
        json!({"action": "block", "target": "bob"}),
        json!({}),
    );
    let answer = world.frame(alice);
    assert_eq!(answer.payload.unwrap()["blocked"], json!(["bob@localhost"]));
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
    let mut world = world.killed(super::restart::image);
    let alice = browser(&mut world, 2, "alice");
    comes(&mut world, Method::Options, &[("Contact", IM)], ("", ""));
    assert_eq!(world.response().1.contact_params, []);
    comes(&mut world, Method::Message, &[], ("text/plain", "x"));
    assert_eq!(world.response().1.code, 486);
    assert_eq!(world.frames_left(alice), 0);
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
}

#[test]
fn a_message_goes_out_and_its_answer_comes_back() {
    let mut world = World::new();
    let alice = browser(&mut world, 1, "alice");
    send(&mut world, alice, "Hello");
    let (_, message, sent) = world.request();
    assert_eq!(
        message.content,
        Some(("text/plain".into(), b"Hello".to_vec()))
    );
    world.answer_to("MESSAGE", sent, 202, "Accepted", "", &[]);
    assert_eq!(world.frame(alice).header["response_code"], 202);
    world.finish();
}

#[test]
fn in_the_profile_of_the_patent_a_message_is_answered_at_once() {
    let mut world = World::new();
    let alice = browser(&mut world, 1, "alice");
    comes(&mut world, Method::Message, &[], ("text/plain", "Hello"));
    assert_eq!(world.response().1.code, 200);
    let send = world.frame(alice);
    assert_eq!(send.payload.as_ref().unwrap()["content"], "Hello");
    reply(
        &mut world,
        alice,
        &send,
        "error",
        json!({"action": "send", "error_code": 603}),
    );
    world.finish();
}

#[test]
fn otherwise_it_is_held_three_seconds_for_the_verdict() {
    for (verdict, code) in [("response", 200), ("error", 603), ("", 200)] {
        let mut world = World::with_profile("rcs");
        let alice = browser(&mut world, 1, "alice");
        comes(&mut world, Method::Message, &[], ("text/plain", "Hello"));
        let send = world.frame(alice);
        world.wait(2_999);
        assert!(world.net.responses.is_empty());
        match verdict {
            "" => world.wait(1),
            "error" => reply(
                &mut world,
                alice,
                &send,
                "error",
                json!({"action": "send", "error_code": 603}),
            ),
            _ => reply(&mut world, alice, &send, verdict, json!({"action": "send"})),
        }
        assert_eq!(world.response().1.code, code);
        world.finish();
    }
}

#[test]
fn a_text_and_what_becomes_of_it_cross_between_two_profiles_of_rcs() {
    let mut world = World::with_profile("rcs");
    let alice = browser(&mut world, 1, "alice");
    send(&mut world, alice, "Grüße");
    let (_, message, sent) = world.request();
    let (kind, envelope) = message.content.unwrap();
    let envelope = String::from_utf8(envelope).unwrap();
    assert_eq!(kind, "message/cpim");
    assert!(envelope.contains("imdn.Message-ID: x\r\n"), "{envelope}");
    world.answer_to("MESSAGE", sent, 200, "OK", "", &[]);
    assert_eq!(world.frame(alice).header["response_code"], 200);
    // The same envelope comes to a page: it says what it wants to know, and is told.
    comes(&mut world, Method::Message, &[], (&kind, &envelope));
    let send = world.frame(alice);
    let payload = send.payload.clone().unwrap();
    assert_eq!(
        (&payload["content"], &payload["message_id"]),
        (&json!("Grüße"), &json!("x"))
    );
    reply(
        &mut world,
        alice,
        &send,
        "response",
        json!({"action": "send"}),
    );
    assert_eq!(world.response().1.code, 200);
    let (_, delivered, sent) = world.request();
    world.answer_to("MESSAGE", sent, 200, "OK", "", &[]);
    // And that comes to the one who wrote.
    let delivered = delivered.content.unwrap();
    comes(
        &mut world,
        Method::Message,
        &[],
        (&delivered.0, &String::from_utf8(delivered.1).unwrap()),
    );
    assert_eq!(world.response().1.code, 200);
    let report = world.frame(alice);
    assert_eq!(
        (report.control.kind, report.action()),
        (Kind::Message, "report")
    );
    assert_eq!(
        report.payload.unwrap(),
        *json!({"message_id": "x", "kind": "delivery", "status": "delivered"})
            .as_object()
            .unwrap()
    );
    // Shown, later, and from a subsession of its own.
    let header = json!({"action": "report", "target": "bob"});
    let shown = json!({"message_id": "x", "date_time": payload["date_time"]});
    say_in(
        &mut world,
        alice,
        "message",
        "messaging",
        "r",
        header,
        shown,
    );
    let (_, displayed, sent) = world.request();
    assert!(
        String::from_utf8(displayed.content.unwrap().1)
            .unwrap()
            .contains("<displayed/>")
    );
    world.answer_to("MESSAGE", sent, 404, "Not Found", "", &[]);
    world.finish();
}

/// Bob asks what alice can do.
pub fn options_of_bob(world: &mut World) {
    let tags = [("Accept-Contact", "*;+g.oma.sip-im")];
    comes(world, Method::Options, &tags, ("", ""));
}

/// Bob's text reaches alice's browser.
pub fn text_of_bob(world: &mut World, text: &str) {
    comes(world, Method::Message, &[], ("text/plain", text));
}
