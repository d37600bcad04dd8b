//! What a script's choice of session-configs makes of the two legs, and of descriptions that say otherwise.

use link::Transport;
use serde_json::json;

use super::world::{BROWSER_SDP, Told, World, handset_sdp, request, transport_of};
use crate::jsonrtc::{Kind, SocketId};
use crate::sip::{DialogId, Event, Method, Sent, ServerId};

const CHAT: &str = include_str!("../../../packages/chat/chat.rhai");
const LIBRARY: &str = include_str!("../../../packages/library.rhai");

/// A gateway whose chats are anchored with these session-configs toward browser and handset.
fn world(page: &str, handset: &str) -> World {
    let choose = |message: &str, from: &str, to: &str| {
        format!("{message}.inMsrpSessionLeg = \"{from}\"; {message}.outMsrpSessionLeg = \"{to}\";")
    };
    // A chat with sessions of its own in the place of the library's.
    let (_, sessions) = LIBRARY.split_once("// ---- sessions with media").unwrap();
    let text = format!("{CHAT}\n//{sessions}")
        .replace("invite.anchor = true;", &choose("invite", page, handset))
        .replace("start.anchor = true;", &choose("start", handset, page));
    World::with_files(&[("chat/chat.rhai".to_owned(), text)])
}

/// The description as it is over TLS, if `transport` is.
fn carried(sdp: &str, transport: Transport) -> String {
    match transport {
        Transport::Ws | Transport::Tcp => sdp.to_owned(),
        Transport::Wss | Transport::Tls => sdp
            .replace("TCP/MSRP", "TCP/TLS/MSRP")
            .replace("msrp://", "msrps://"),
    }
}

fn starts(world: &mut World, page: Transport) -> SocketId {
    let alice = world.browser(1, "alice");
    world.frame(alice);
    let header = json!({"action": "start", "initiator": "alice", "target": "bob@localhost"});
    let sdp = carried(BROWSER_SDP, page);
    world.send(alice, "request", "chat", "x", header, Some(&sdp));
    alice
}

/// Of the one who is called: the INVITE has gone out to a handset of this transport.
fn invited(world: &mut World, handset: Transport) -> (Sent, String) {
    let (_, invite, sent) = world.request();
    let offer = String::from_utf8(invite.content.unwrap().1).unwrap();
    let (protocol, path) = match handset {
        Transport::Tls => ("TCP/TLS/MSRP", "msrps://"),
        _ => ("TCP/MSRP", "msrp://"),
    };
    let host = world.relay_host;
    assert!(
        offer.contains(&format!("m=message 20002 {protocol} *\r\n")),
        "{offer}"
    );
    assert!(
        offer.contains(&format!("a=path:{path}{host}:20002/l3gB;tcp\r\n")),
        "{offer}"
    );
    let is_secure = handset == Transport::Tls;
    assert_eq!(
        offer.contains("a=fingerprint:SHA-256 07:07:"),
        is_secure,
        "{offer}"
    );
    (sent, offer)
}

#[test]
fn a_script_chooses_the_legs_of_a_chat_by_name_whoever_calls_and_whatever_the_address() {
    for (page, handset) in [
        ("browser", "handset"),
        ("page-wss", "handset"),
        ("browser", "rcs-tls"),
        ("page-wss", "rcs-tls"),
    ] {
        for (host, line) in [("192.0.2.20", "IP4"), ("[2001:db8::20]", "IP6")] {
            let (of_page, of_handset) = (transport_of(page), transport_of(handset));
            // The browser calls.
            let mut world = world(page, handset);
            world.relay_host = host;
            let alice = starts(&mut world, of_page);
            assert_eq!(world.asked, [page, handset]);
            world.relay_makes();
            let (sent, offer) = invited(&mut world, of_handset);
            assert!(offer.contains(&format!("c=IN {line} ")), "{offer}");
            let answer = carried(&handset_sdp("a=setup:passive\r\n"), of_handset);
            world.answer(sent, 200, "OK", &answer);
            let frame = world.frame(alice);
            let answer = frame.sdp().unwrap();
            let scheme = if of_page == Transport::Wss {
                "msrps"
            } else {
                "msrp"
            };
            let path = format!("a=path:{scheme}://{host}:20001/l3gA;ws\r\n");
            assert!(answer.contains(&path), "{answer}");
            assert!(
                answer.contains("a=ws-resource-path:/s3cr3t\r\n"),
                "{answer}"
            );

            // The handset calls.
            let mut world = self::world(page, handset);
            world.relay_host = host;
            let alice = world.browser(1, "alice");
            world.frame(alice);
            let sdp = carried(&handset_sdp("a=setup:active\r\n"), of_handset);
            calls(&mut world, &sdp);
            assert_eq!(world.asked, [page, handset]);
            world.relay_makes();
            let start = world.frame(alice);
            let offer = start.sdp().unwrap();
            assert!(offer.contains(&path), "{offer}");
        }
    }
}

fn calls(world: &mut World, sdp: &str) {
    world.sip(Event::Request {
        server: ServerId(100),
        dialog: Some(DialogId(100)),
        message: request(Method::Invite, "bob", "alice", false, sdp),
    });
}

#[test]
fn an_offer_of_another_transport_than_its_leg_gets_488() {
    for (page, offered) in [("page-wss", Transport::Ws), ("browser", Transport::Wss)] {
        let mut world = world(page, "handset");
        let alice = starts(&mut world, offered);
        let refused = world.frame(alice);
        assert_eq!(refused.control.kind, Kind::Error);
        assert_eq!(refused.header_number("error_code"), Some(488));
        assert!(world.told.is_empty(), "the relay is not asked");
    }
    for (handset, offered) in [("rcs-tls", Transport::Tcp), ("handset", Transport::Tls)] {
        let mut world = world("browser", handset);
        let alice = world.browser(1, "alice");
        world.frame(alice);
        calls(&mut world, &carried(&handset_sdp(""), offered));
        assert_eq!(world.response().1.code, 488);
        assert!(world.told.is_empty(), "the relay is not asked");
    }
}

#[test]
fn an_answer_of_another_transport_than_its_leg_is_passed_on_with_port_0() {
    for (handset, answered) in [("rcs-tls", Transport::Tcp), ("handset", Transport::Tls)] {
        let mut world = world("browser", handset);
        let alice = starts(&mut world, Transport::Ws);
        let session = world.relay_makes();
        let (sent, _) = invited(&mut world, transport_of(handset));
        world.answer(sent, 200, "OK", &carried(&handset_sdp(""), answered));
        let frame = world.frame(alice);
        let answer = frame.sdp().unwrap();
        assert!(answer.contains("m=message 0 "), "{answer}");
        assert!(!answer.contains("a=path"), "{answer}");
        assert_eq!(world.told.pop_front(), Some(Told::Delete(session)));
    }
}

#[test]
fn sixty_seconds_of_ringing_leave_a_chat_its_thirty_to_connect_in_both_directions() {
    // The browser calls, and the handset rings.
    let mut world = World::new();
    let alice = starts(&mut world, Transport::Ws);
    world.relay_makes();
    let (sent, _) = invited(&mut world, Transport::Tcp);
    world.answer(sent, 180, "Ringing", "");
    world.frame(alice);
    world.wait(60_000);
    world.answer(sent, 200, "OK", &handset_sdp("a=setup:passive\r\n"));
    assert_eq!(world.frame(alice).header_number("response_code"), Some(200));
    assert_rearmed(&mut world);

    // The handset calls, and the browser rings.
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    calls(&mut world, &handset_sdp("a=setup:active\r\n"));
    world.relay_makes();
    let start = world.frame(alice);
    world.wait(60_000);
    let id = start.control.subsession_id.clone().unwrap();
    let correlation = start.control.correlation_id.as_deref();
    world.send_with(
        alice,
        "response",
        "chat",
        &id,
        json!({"action": "start"}),
        Some(BROWSER_SDP),
        correlation,
        Some("final"),
    );
    assert_eq!(world.response().1.code, 200);
    assert_rearmed(&mut world);
}

/// Both legs have their time to connect from the answer on; what they have is looked at by the world.
fn assert_rearmed(world: &mut World) {
    let rearmed = world
        .told
        .iter()
        .filter(|told| matches!(told, Told::Rearm(_)));
    assert_eq!(rearmed.count(), 2);
    assert!(
        !world
            .told
            .iter()
            .any(|told| matches!(told, Told::Delete(_)))
    );
}
