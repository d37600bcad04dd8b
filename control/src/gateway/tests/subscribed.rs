//! Subscriptions, references and publications of scripts.

use serde_json::json;

use super::super::Image;
use super::world::{World, request};
use crate::jsonrtc::SocketId;
use crate::sip::{DialogId, EndCause, Event, Method, Sent, ServerId};

/// A package that watches somebody's presence, asks for transfers, and lets itself be watched.
const SCRIPT: &str = r#"
fn from_app_watch_request(context) {
    let subscribe = context.sipFactory.createSipRequest("SUBSCRIBE");
    subscribe.setHeader("Event", "presence");
    subscribe.setHeader("Expires", context.webMessage.header.expires ?? "600");
    subscribe.send();
    context.webFactory.createWebResponse("watch").send();
}
fn from_app_transfer_request(context) {
    let refer = context.sipFactory.createSipRequest("REFER");
    refer.setHeader("Refer-To", "<sip:carol@localhost>");
    refer.send();
    context.webFactory.createWebResponse("transfer").send();
}
fn from_net_subscribe_response(context) {}
fn from_net_refer_response(context) {}
fn from_net_notify_request(context) {
    let news = context.webFactory.createWebMessage("news");
    news.header.state = context.sipRequest.getHeader("Subscription-State");
    news.header.event = context.sipRequest.getHeader("Event");
    news.send();
    // A habit that does no harm: it was answered.
    context.sipFactory.createSipResponse(200).send();
}
fn from_net_subscribe_request(context) {
    context.sipFactory.createSipResponse(200).send();
    let notify = context.sipFactory.createSipRequest("NOTIFY");
    notify.setContent("<presence/>", "application/pidf+xml");
    notify.send();
}
"#;

const LIBRARY: &str = include_str!("../../../packages/library.rhai");

/// The process is killed; another one has the same scripts.
pub fn restarted(world: World, image: impl FnOnce(&[String]) -> Image) -> World {
    world.killed_with(&files(), image)
}

fn files() -> [(String, String); 2] {
    let library = LIBRARY.replace(
        "\"MESSAGE\" => \"messaging\",",
        "\"MESSAGE\" => \"messaging\", \"SUBSCRIBE\" => \"odd\",",
    );
    [
        ("odd/odd.rhai".to_owned(), SCRIPT.to_owned()),
        ("library.rhai".to_owned(), library),
    ]
}

pub fn world() -> (World, SocketId) {
    let mut world = World::with_files(&files());
    let alice = world.browser(1, "alice");
    world.frame(alice);
    (world, alice)
}

fn ask(world: &mut World, socket: SocketId, header: serde_json::Value) {
    let control = json!({"type": "request", "package_type": "odd", "subsession_id": "x"});
    world.send_frame(socket, control, header, None);
}

/// Alice watches bob.
pub fn watches(world: &mut World, alice: SocketId) -> Sent {
    ask(world, alice, json!({"action": "watch", "target": "bob"}));
    let (dialog, subscribe, sent) = world.request();
    assert_eq!((dialog, subscribe.method), (None, Method::Subscribe));
    assert_eq!(world.frame(alice).action(), "watch");
    world.answer_to("SUBSCRIBE", sent, 200, "OK", "", &[]);
    sent
}

pub fn news(world: &mut World, sent: Sent, state: &str, over: bool) {
    let mut message = request(Method::Notify, "bob", "alice", true, "");
    let headers = [("Event", "presence"), ("Subscription-State", state)];
    let owned = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    message.headers.extend(owned);
    world.sip(Event::Notified {
        subscription: sent.subscription.unwrap(),
        message,
        over,
    });
}

#[test]
fn news_reach_the_page_for_as_long_as_the_subscription_lasts() {
    let (mut world, alice) = world();
    let sent = watches(&mut world, alice);
    // No request is pending any more: the subscription alone keeps the subsession.
    world.wait(100_000);
    for state in ["active;expires=600", "active;expires=590"] {
        news(&mut world, sent, state, false);
        let frame = world.frame(alice);
        assert_eq!(frame.header["state"], state);
    }
    news(&mut world, sent, "terminated;reason=noresource", true);
    assert_eq!(
        world.frame(alice).header["state"],
        "terminated;reason=noresource"
    );
    assert_eq!(world.frames_left(alice), 0, "the script has said it all");
    assert!(world.net.unsubscribed.is_empty());
    world.finish();
}

#[test]
fn a_second_subscribe_refreshes_and_a_subsession_that_ends_unsubscribes() {
    let (mut world, alice) = world();
    let sent = watches(&mut world, alice);
    ask(
        &mut world,
        alice,
        json!({"action": "watch", "expires": "900"}),
    );
    let (_, again, second) = world.request();
    assert_eq!(
        (again.method, second.subscription),
        (Method::Subscribe, sent.subscription)
    );
    world.frame(alice);
    // A refused refresh ends nothing: the subscription has its time.
    world.answer_to("SUBSCRIBE", second, 500, "Oh", "", &[]);
    news(&mut world, sent, "active;expires=300", false);
    assert_eq!(world.frame(alice).action(), "news");
    let control = json!({"type": "message", "package_type": "odd", "subsession_id": "x"});
    world.send_frame(alice, control, json!({"action": "shutdown"}), None);
    assert_eq!(world.net.unsubscribed, [sent.subscription.unwrap()]);
    world.finish();
}

#[test]
fn a_refused_subscribe_ends_a_subsession_that_is_there_for_nothing_else() {
    let (mut world, alice) = world();
    ask(
        &mut world,
        alice,
        json!({"action": "watch", "target": "bob"}),
    );
    let (_, _, sent) = world.request();
    world.frame(alice);
    world.answer_to("SUBSCRIBE", sent, 403, "Forbidden", "", &[]);
    news(&mut world, sent, "active", false);
    assert_eq!(world.frames_left(alice), 0);
    assert!(world.net.unsubscribed.is_empty());
    world.finish();
}

#[test]
fn a_reference_is_followed_unless_it_was_declined() {
    for (declines, told) in [(false, 1), (true, 0)] {
        let (mut world, alice) = world();
        ask(
            &mut world,
            alice,
            json!({"action": "transfer", "target": "bob"}),
        );
        let (_, refer, sent) = world.request();
        assert_eq!(refer.method, Method::Refer);
        world.frame(alice);
        let declined = [("Refer-Sub", "false")];
        let headers: &[(&str, &str)] = if declines { &declined } else { &[] };
        world.answer_to("REFER", sent, 202, "Accepted", "", headers);
        news(&mut world, sent, "terminated;reason=noresource", true);
        let left = world.frames_left(alice);
        assert_eq!(left > 0, told > 0, "{left}");
        world.finish();
    }
}

#[test]
fn a_peer_that_subscribes_is_answered_and_told_by_the_script_until_it_expires() {
    let (mut world, alice) = world();
    let asked = request(Method::Subscribe, "bob", "alice", false, "");
    let (server, dialog) = (ServerId(70), DialogId(71));
    world.net.watched.insert(dialog);
    world.sip(Event::Request {
        server,
        dialog: Some(dialog),
        message: asked,
    });
    let (answered, response) = world.response();
    assert_eq!((answered, response.code), (server, 200));
    let (inside, notify, _) = world.request();
    assert_eq!((inside, notify.method), (Some(dialog), Method::Notify));
    world.wait(100_000);
    world.net.watched.remove(&dialog);
    let cause = EndCause::Expired;
    world.sip(Event::Ended { dialog, cause });
    assert_eq!(world.frames_left(alice), 0);
    world.finish();
}
