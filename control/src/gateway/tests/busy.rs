//! Too much to do: what is new is turned away, what is open goes on.

use serde_json::json;

use super::outgoing::{assert_shutdown, bye, established, shutdown};
use crate::jsonrtc::Kind;
use crate::sip::{EndCause, Event};

#[test]
fn a_new_chat_is_refused_with_the_time_to_ask_again_and_an_open_one_goes_on() {
    let (mut world, alice, session, sent) = established();
    world.net.busy_s = Some(3);
    let header = json!({"action": "start", "initiator": "alice", "target": "carol@localhost"});
    world.send(alice, "request", "chat", "y", header, Some("v=0\r\n"));
    let refused = world.frame(alice);
    assert_eq!(
        (refused.control.kind, refused.action()),
        (Kind::Error, "start")
    );
    assert_eq!(refused.control.subsession_id.as_deref(), Some("y"));
    assert_eq!(refused.header_number("error_code"), Some(503));
    assert_eq!(refused.header_number("retry_after"), Some(3));
    assert!(world.net.requests.is_empty());
    shutdown(&mut world, alice);
    bye(&mut world.net, sent);
    world.relay_deletes(session);
    world.net.busy_s = None;
    world.finish();
}

#[test]
fn what_a_peer_does_in_an_open_chat_is_heard_however_much_there_is_to_do() {
    let (mut world, alice, session, sent) = established();
    world.net.busy_s = Some(10);
    let (dialog, cause) = (sent.dialog.unwrap(), EndCause::PeerForgot);
    world.sip(Event::Ended { dialog, cause });
    assert_shutdown(&world.frame(alice));
    world.relay_deletes(session);
    world.finish();
}
