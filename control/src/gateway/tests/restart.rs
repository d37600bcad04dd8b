//! The process is killed and another one goes on with what was kept.

use link::{Event, LegState, SessionId};
use serde_json::json;

use super::super::saved::{Change, Image};
use super::outgoing::{self, assert_shutdown, bye, established};
use super::world::{BROWSER_SDP, Told, World};
use super::{incoming, lost, services, subscribed};
use crate::jsonrtc::{Kind, SocketId};
use crate::limits::RELAY_BACK_MS;
use crate::sip::Method;

/// What a file would hold, read back.
pub fn image(changes: &[String]) -> Image {
    let mut image = Image::default();
    for turn in changes {
        let turn: Vec<Change> = serde_json::from_str(turn).unwrap();
        turn.into_iter().for_each(|change| image.apply(change));
    }
    image
}

/// Another process, with a relay that lives on and has these sessions.
fn restarted(world: World, has: &[(SessionId, LegState)]) -> World {
    let mut world = world.killed(image);
    world.step(|gateway, turn| gateway.relay_attached(1, turn));
    assert_eq!(world.told.pop_front(), Some(Told::List));
    for &(session, browser) in has {
        world.relay(Event::Listed {
            session,
            states: [browser, LegState::Up],
            legs: Default::default(),
        });
    }
    world.relay(Event::ListEnd { token: 0 });
    world
}

#[test]
fn an_established_chat_goes_on_and_ends_as_if_nothing_had_been() {
    let (world, alice, session, sent) = established();
    let mut world = restarted(world, &[(session, LegState::Up)]);
    assert!(world.net.requests.is_empty() && world.told.is_empty());
    assert!(world.net.locals.contains("alice"));
    let again = world.resumes(alice, 9);
    assert_eq!(world.frame(again).header_number("sslr"), Some(3));
    assert_eq!(world.frames_left(again), 0);
    outgoing::shutdown(&mut world, again);
    assert_eq!(bye(&mut world.net, sent), None);
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn frames_the_browser_has_not_confirmed_are_sent_again_and_numbers_go_on() {
    let (mut world, alice, session, start) = incoming::established();
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1006), turn));
    world.relay_closed(session, link::Cause::Reset);
    world.told.clear();
    let mut world = restarted(world, &[]);
    let again = world.resumes(alice, 9);
    assert_eq!(world.frame(again).header_number("response_code"), Some(200));
    let shutdown = world.frame(again);
    assert_eq!(shutdown.action(), "shutdown");
    assert_eq!(shutdown.control.subsession_id, start.control.subsession_id);
    let header = json!({"action": "enquiry"});
    world.send(again, "request", "register", "", header, None);
    let error = world.frame(again);
    let next = shutdown.control.sequence.map(|last| last + 1);
    assert_eq!(
        (error.control.kind, error.control.sequence),
        (Kind::Error, next)
    );
    world.finish();
}

#[test]
fn a_browser_whose_media_were_lost_meanwhile_gets_a_new_way_in() {
    let (world, alice, session, _) = established();
    let mut world = restarted(world, &[(session, LegState::Detached)]);
    let again = world.resumes(alice, 9);
    world.frame(again);
    lost::told_new_way(&mut world, again, session);
    lost::ends(world, again, session);
}

#[test]
fn a_session_the_relay_has_no_more_ends_its_chat() {
    let (world, alice, _, sent) = established();
    let mut world = restarted(world, &[]);
    let reason = bye(&mut world.net, sent).unwrap();
    assert!(reason.contains("relay is gone"), "{reason}");
    let again = world.resumes(alice, 9);
    world.frame(again);
    assert_shutdown(&world.frame(again));
    world.finish();
}

#[test]
fn a_relay_that_does_not_come_back_ends_its_chats_in_time() {
    let (world, _, _, sent) = established();
    let mut world = world.killed(image);
    world.wait(RELAY_BACK_MS - 1);
    assert!(world.net.requests.is_empty());
    world.wait(1);
    assert!(bye(&mut world.net, sent).is_some());
    world.wait(60_000);
    world.finish();
}

#[test]
fn what_was_being_set_up_fails_and_its_browser_is_told() {
    let mut world = World::new();
    let alice = world.browser(1, "alice");
    world.frame(alice);
    world.start(alice);
    let session = world.relay_makes();
    world.request();
    let mut world = restarted(world, &[(session, LegState::Waiting)]);
    assert_eq!(
        world.told.pop_front(),
        Some(Told::Delete(session)),
        "nobody knows it"
    );
    let again = world.resumes(alice, 9);
    world.frame(again);
    let error = world.frame(again);
    assert_eq!(error.control.correlation_id.as_deref(), Some("c2"));
    assert_eq!(error.header_number("error_code"), Some(503));
    world.finish();
}

#[test]
fn a_browser_that_does_not_come_back_has_its_minute_from_the_restart_on() {
    let (world, _, session, sent) = established();
    let mut world = restarted(world, &[(session, LegState::Up)]);
    world.wait(59_999);
    assert!(world.net.requests.is_empty());
    world.wait(1);
    assert!(bye(&mut world.net, sent).is_some());
    world.relay_deletes(session);
    world.finish();
}

#[test]
fn whatever_was_kept_change_by_change_is_what_a_snapshot_holds() {
    let (mut world, alice, ..) = established();
    world.step(|gateway, turn| gateway.socket_closed(alice, Some(1006), turn));
    let socket = SocketId(2);
    world.browser(2, "carol");
    world.start(socket);
    let all = world.gateway.all_changes(&world.net);
    let snapshot = image(&[serde_json::to_string(&all).unwrap()]);
    assert_eq!(format!("{snapshot:?}"), format!("{:?}", image(&world.kept)));
}

#[test]
fn what_was_subscribed_to_goes_on_and_is_told_in_its_subsession() {
    let (mut world, alice) = subscribed::world();
    let sent = subscribed::watches(&mut world, alice);
    subscribed::news(&mut world, sent, "active;expires=600", false);
    world.frame(alice);
    let mut world = subscribed::restarted(world, image);
    let again = world.resumes(alice, 9);
    world.frame(again);
    assert_eq!(world.frames_left(again), 0, "the page sees nothing of it");
    subscribed::news(&mut world, sent, "active;expires=590", false);
    let frame = world.frame(again);
    assert_eq!(frame.header["state"], "active;expires=590");
    assert_eq!(frame.control.subsession_id.as_deref(), Some("x"));
    world.step(|gateway, turn| gateway.socket_closed(again, Some(1000), turn));
    assert_eq!(world.net.unsubscribed, [sent.subscription.unwrap()]);
    world.finish();
}

#[test]
fn a_session_that_outlives_the_process_has_its_user_kept_registered() {
    let mut world = World::new();
    world.browser(1, "alice");
    let world = world.killed(image);
    assert_eq!(world.net.kept_registered, ["alice"]);
}

#[test]
fn what_was_asked_in_an_open_chat_is_refused_and_may_be_asked_again() {
    let (mut world, alice, session, _) = established();
    lost::moves(&mut world, alice, BROWSER_SDP);
    let mut world = restarted(world, &[(session, LegState::Up)]);
    let again = world.resumes(alice, 9);
    world.frame(again);
    let error = world.frame(again);
    assert_eq!(error.header_number("error_code"), Some(503));
    lost::moves(&mut world, again, BROWSER_SDP);
    lost::is_moved(&mut world, again, session);
    lost::ends(world, again, session);
}

#[test]
fn rfc3261_17_2_2_a_text_that_waits_for_the_pages_verdict_goes_on_waiting() {
    for verdict in ["response", "error", ""] {
        let mut world = World::with_profile("rcs");
        let alice = services::browser(&mut world, 1, "alice");
        services::comes(&mut world, Method::Message, &[], ("text/plain", "Hello"));
        let said = world.frame(alice);
        let mut world = restarted(world, &[]);
        let again = world.resumes(alice, 9);
        assert_eq!(world.frame(again).header_number("response_code"), Some(200));
        assert!(world.net.responses.is_empty(), "its peer waits");
        assert_eq!(world.frames_left(again), 0, "the page has it");
        let code = match verdict {
            "" => {
                world.wait(3_000);
                200
            }
            "error" => {
                let header = json!({"action": "send", "error_code": 603});
                services::reply(&mut world, again, &said, verdict, header);
                603
            }
            _ => {
                let header = json!({"action": "send"});
                services::reply(&mut world, again, &said, verdict, header);
                200
            }
        };
        let (server, answer) = world.response();
        assert_eq!((server, answer.code), (services::ASKED, code), "{verdict}");
        if verdict.is_empty() {
            services::reply(
                &mut world,
                again,
                &said,
                "response",
                json!({"action": "send"}),
            );
        }
        assert_eq!(world.frames_left(again), 0);
        world.finish();
    }
}
