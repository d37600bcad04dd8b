//! Connecting, limits, scripts that fail, and the relay's strays.

use link::{CreatedLeg, Event, LegState, SessionId};
use serde_json::json;

use super::world::{BROWSER_SDP, Told, World, handset_sdp, request};
use crate::jsonrtc::{Kind, SocketId};
use crate::sip::{self, DialogId, Method, ServerId};

fn start(package: &str, target: &str) -> serde_json::Value {
    json!({"action": "start", "target": target, "note": package})
}

#[test]
fn a_guest_without_a_name_gets_one() {
    let mut world = World::new();
    let socket = world.browser(1, "guest");
    world.frame(socket);
    let nameless = crate::jsonrtc::SocketId(2);
    let remote = "192.0.2.1:40000".parse().unwrap();
    world.step(|gateway, turn| {
        gateway.socket_opened(nameless, "demo", crate::jsonrtc::Login::Guest, remote, turn)
    });
    world.send(
        nameless,
        "request",
        "register",
        "",
        json!({"action": "connect"}),
        None,
    );
    let name = world.frame(nameless).initiator().unwrap().to_owned();
    assert!(
        name.starts_with("guest-") && name.ends_with("@localhost"),
        "{name}"
    );
    world.finish();
}

#[test]
fn a_guest_of_another_domain_is_refused() {
    let mut world = World::new();
    let socket = world.browser(1, "alice@example.com");
    assert_eq!(world.frame(socket).header_number("error_code"), Some(403));
    world.finish();
}

#[test]
fn what_is_not_offered_is_refused_with_the_code_that_says_so() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.send(alice, "request", "telepathy", "x", start("", "bob"), None);
    assert_eq!(world.frame(alice).header_number("error_code"), Some(404));
    let header = json!({"action": "levitate", "target": "bob"});
    world.send(alice, "request", "chat", "x", header, None);
    assert_eq!(world.frame(alice).header_number("error_code"), Some(405));
    world.send(
        alice,
        "request",
        "chat",
        "x",
        json!({"action": "prack"}),
        None,
    );
    assert_eq!(world.frame(alice).header_number("error_code"), Some(481));
    world.send(
        alice,
        "request",
        "chat",
        "",
        json!({"action": "prack"}),
        None,
    );
    assert_eq!(world.frame(alice).header_number("error_code"), Some(400));
    world.send(alice, "request", "chat", "x", start("", "@@"), None);
    assert_eq!(world.frame(alice).header_number("error_code"), Some(400));
    world.send(
        alice,
        "request",
        "register",
        "",
        json!({"action": "levitate"}),
        None,
    );
    assert_eq!(world.frame(alice).header_number("error_code"), Some(405));
    for kind in ["message", "response", "error"] {
        world.send(
            alice,
            kind,
            "chat",
            "y",
            json!({"action": "shutdown"}),
            None,
        );
    }
    assert_eq!(
        world.frames_left(alice),
        0,
        "what wants no answer gets none"
    );
    world.finish();
}

#[test]
fn a_session_has_room_for_so_many_subsessions() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    for subsession in ["a", "b", "c", "d"] {
        world.send(
            alice,
            "request",
            "chat",
            subsession,
            start("", "bob"),
            Some(BROWSER_SDP),
        );
    }
    let refused = world.frame(alice);
    assert_eq!(refused.header_number("error_code"), Some(503));
    assert_eq!(refused.control.subsession_id.as_deref(), Some("d"));
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
    for _ in 0..3 {
        let Some(Told::Create(session)) = world.told.pop_front() else {
            panic!("no session")
        };
        world.told.push_back(Told::Create(session));
    }
    for _ in 0..3 {
        let Some(Told::Delete(session)) = world.told.pop_front() else {
            panic!("not deleted")
        };
        world.relay_closed(session, link::Cause::Deleted);
    }
    world.told.clear();
    world.finish();
}

#[test]
fn the_browsers_own_initiator_is_what_its_session_says() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    let header = json!({"action": "start", "initiator": "mallory", "target": "bob"});
    world.send(alice, "request", "chat", "x", header, Some(BROWSER_SDP));
    let session = world.relay_makes();
    let (_, invite, _) = world.request();
    assert!(
        invite.from.contains("sip:alice@localhost"),
        "{}",
        invite.from
    );
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_script_that_fails_on_a_request_is_an_error_503() {
    let mut world = World::with_package("fn from_app_start_request(context) { 1 + () }");
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.send(alice, "request", "odd", "x", start("", "bob"), None);
    let error = world.frame(alice);
    assert_eq!(
        (error.control.kind, error.header_number("error_code")),
        (Kind::Error, Some(503))
    );
    world.finish();
}

#[test]
fn a_script_that_says_nothing_is_an_error_408_in_the_end() {
    let mut world = World::with_package("fn from_app_start_request(context) { }");
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.send(alice, "request", "odd", "x", start("", "bob"), None);
    assert_eq!(world.frames_left(alice), 0);
    world.wait(32_000);
    assert_eq!(world.frame(alice).header_number("error_code"), Some(408));
    world.finish();
}

/// The shipped chat, with other functions in it.
fn chat_with(functions: &str) -> World {
    let script = format!(
        "fn from_app_start_request(context) {{
            let invite = context.sipFactory.createSipRequest(\"INVITE\");
            invite.setContent(context.webMessage.payload.sdp, \"application/sdp\");
            invite.anchor = true;
            invite.send();
        }}
        {functions}"
    );
    World::with_files(&[("chat/chat.rhai".to_owned(), script)])
}

#[test]
fn a_script_that_fails_on_the_answer_hangs_up_and_tells_the_browser() {
    let mut world = chat_with("fn from_net_invite_response(context) { throw \"no\"; }");
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.start(alice);
    let session = world.relay_makes();
    let (_, _, sent) = world.request();
    world.answer(sent, 200, "OK", &handset_sdp(""));
    assert_eq!(world.frame(alice).header_number("error_code"), Some(503));
    assert_eq!(world.net.acks.len(), 1);
    assert_eq!(world.request().1.method, Method::Bye);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_script_that_fails_on_an_invitation_answers_500() {
    let mut world = chat_with("fn from_net_invite_request(context) { throw \"no\"; }");
    let alice = world.browser(1, "alice");
    world.frame(alice);
    let message = request(Method::Invite, "bob", "alice", false, &handset_sdp(""));
    let (server, dialog) = (ServerId(1), Some(DialogId(1)));
    world.sip(sip::Event::Request {
        server,
        dialog,
        message,
    });
    assert_eq!(world.response().1.code, 500);
    world.finish();
}

#[test]
fn a_script_without_a_word_for_bye_cannot_keep_the_chat_alive() {
    let mut world = chat_with(
        "fn from_net_invite_response(context) {
            let response = context.webFactory.createWebResponse(\"start\");
            response.payload.sdp = context.sipResponse.content.toString();
            response.anchor = true;
            response.send();
        }
        fn from_app_complete_message(context) { context.sipFactory.createSipRequest(\"ACK\").send(); }",
    );
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.start(alice);
    let session = world.relay_makes();
    let (_, _, sent) = world.request();
    world.answer(sent, 200, "OK", &handset_sdp(""));
    world.told.clear();
    world.frame(alice);
    let header = json!({"action": "complete"});
    world.send_with(
        alice,
        "message",
        "chat",
        "x",
        header,
        None,
        Some("c2"),
        None,
    );
    let message = request(Method::Bye, "bob", "alice", true, "");
    world.sip(sip::Event::Request {
        server: ServerId(1),
        dialog: sent.dialog,
        message,
    });
    assert_eq!(world.response().1.code, 200);
    assert_eq!(world.frame(alice).action(), "shutdown");
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn a_session_the_relay_has_and_nobody_knows_is_deleted() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.start(alice);
    let Some(&Told::Create(known)) = world.told.front() else {
        panic!("no session")
    };
    let legs = [CreatedLeg::default(); 2];
    let states = [LegState::Waiting; 2];
    world.relay(Event::Listed {
        session: known,
        states,
        legs,
    });
    world.relay(Event::Listed {
        session: SessionId(1),
        states,
        legs,
    });
    assert_eq!(world.told.pop_back(), Some(Told::Delete(SessionId(1))));
    world.relay(Event::ListEnd { token: 0 });
    let session = world.relay_makes();
    world.request();
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn when_the_program_ends_every_peer_is_told() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.start(alice);
    let session = world.relay_makes();
    let (_, _, sent) = world.request();
    world.step(|gateway, turn| gateway.shut_down(turn));
    assert_eq!(world.net.cancels, [sent.client]);
    assert_eq!(world.frame(alice).header_number("error_code"), Some(503));
    world.relay_deletes(session);
    world.finish();
}

/// The patent's frames with the commas they lack: names misspelt, numbers as texts, ids left out.
#[test]
fn the_patents_frames_make_a_chat() {
    let mut world = World::new();
    let alice = SocketId(1);
    let remote = "192.0.2.1:40000".parse().unwrap();
    world.step(|gateway, turn| {
        gateway.socket_opened(alice, "demo", crate::jsonrtc::Login::Guest, remote, turn);
    });
    let says = |world: &mut World,
                kind: &str,
                sequence: &str,
                header: serde_json::Value,
                sdp: Option<&str>| {
        let mut frame = json!({
            "control": {"type": kind, "package_type": "chat", "sequence": sequence},
            "header": header,
        });
        if let Some(sdp) = sdp {
            frame["payload"] = json!({ "sdp": sdp });
        }
        let text = frame.to_string();
        world.step(|gateway, turn| gateway.socket_text(alice, &text, turn));
    };
    let text = json!({
        "control": {"type": "request", "sequence": "1"},
        "header": {"action": "connect", "initator": "alice@localhost", "target": "alice@localhost"},
    });
    let text = text.to_string();
    world.step(|gateway, turn| gateway.socket_text(alice, &text, turn));
    assert_eq!(world.frame(alice).header_number("response_code"), Some(200));
    let parties = |action: &str| json!({"action": action, "initator": "alice@localhost", "target": "bob@localhost"});
    says(
        &mut world,
        "request",
        "2",
        parties("start"),
        Some(BROWSER_SDP),
    );
    let session = world.relay_makes();
    let (_, _, sent) = world.request();
    world.answer(
        sent,
        200,
        "OK",
        &super::world::handset_sdp("a=setup:passive\r\n"),
    );
    let answer = world.frame(alice);
    assert!(
        answer
            .control
            .subsession_id
            .is_some_and(|id| !id.is_empty())
    );
    assert_eq!(answer.control.correlation_id.as_deref(), Some("c2"));
    world.told.clear();
    says(&mut world, "message", "3", parties("complete"), None);
    assert_eq!(world.net.acks, [sent.dialog.unwrap()]);
    says(&mut world, "message", "4", parties("shutdown"), None);
    assert_eq!(world.request().1.method, crate::sip::Method::Bye);
    world.relay_deletes(session);
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1000), turn));
    world.assert_empty();
}

#[test]
fn a_package_answers_under_the_name_the_client_used() {
    let script = "fn from_app_start_request(context) { \
        let answer = context.webFactory.createWebResponse(\"start\"); answer.send(); }";
    let files = [(
        "file_transfer/file_transfer.rhai".to_owned(),
        script.to_owned(),
    )];
    let mut world = World::with_files(&files);
    let alice = world.browser(1, "alice");
    world.frame(alice);
    for name in ["fileTransfer", "file_transfer"] {
        world.send(alice, "request", name, name, start("", "bob"), None);
        assert_eq!(world.frame(alice).control.package.as_deref(), Some(name));
    }
    world.finish();
}
