//! Subscriptions, publications and references. RFC 6665, RFC 3903, RFC 3515, RFC 4488.

use super::*;

const PRESENCE: &str = "sip:bob@10.0.0.2";

fn with(mut request: OutRequest, headers: &[(&str, &str)]) -> OutRequest {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    request.headers.extend(headers.iter().map(owned));
    request
}

fn subscribe_request(expires: &str) -> OutRequest {
    let request = OutRequest::new(Method::Subscribe, ALICE, PRESENCE);
    with(request, &[("Event", "presence"), ("Expires", expires)])
}

/// A SUBSCRIBE of alice's: the subscription, and what was sent.
pub fn subscribed(sip: &mut Sip) -> (Sent, Message) {
    let (sent, out) = ask(sip, None, subscribe_request("600"));
    assert_eq!(out.lines(), ["SUBSCRIBE"]);
    (sent, out.sent[0].1.clone())
}

/// A NOTIFY of bob's in the dialog that `subscribe` asks for.
pub fn notify(subscribe: &Message, branch: &str, cseq: u32, tag: &str, headers: &str) -> String {
    let from = subscribe.header("From").unwrap();
    let call_id = subscribe.call_id();
    format!(
        "NOTIFY sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK{branch}\r\n\
         From: <sip:bob@10.0.0.2>;tag={tag}\r\nTo: {from}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} NOTIFY\r\n\
         Max-Forwards: 70\r\nContact: <sip:bob@10.0.0.2>\r\n{headers}Content-Length: 0\r\n\r\n"
    )
}

pub const ACTIVE: &str = "Event: presence\r\nSubscription-State: active;expires=600\r\n";

/// What time brings at `now`.
fn later(sip: &mut Sip, now: Millis) -> Out {
    let mut actions = Vec::new();
    sip.timeout(now, &mut actions);
    Out::of(actions)
}

/// Whether news came, and whether they were the last.
pub fn news(out: &Out) -> Vec<bool> {
    let over = |event: &Event| match event {
        Event::Notified { over, .. } => Some(*over),
        _ => None,
    };
    out.events.iter().filter_map(over).collect()
}

/// An open subscription of alice's, with the SUBSCRIBE that opened it.
pub fn open(sip: &mut Sip) -> (Sent, Message) {
    let (sent, subscribe) = subscribed(sip);
    receive(
        sip,
        udp(BOB),
        &answer(&subscribe, 200, "n", "Expires: 600\r\n"),
    );
    let out = receive(sip, udp(BOB), &notify(&subscribe, "n1", 1, "n", ACTIVE));
    assert_eq!((out.code(), news(&out)), (200, vec![false]));
    (sent, subscribe)
}

#[test]
fn a_notify_before_the_2xx_opens_the_subscription_and_other_branches_are_refused() {
    let mut sip = gateway();
    let (_, subscribe) = subscribed(&mut sip);
    assert!(subscribe.header("Contact").is_some());
    let out = receive(
        &mut sip,
        udp(BOB),
        &notify(&subscribe, "n1", 1, "n", ACTIVE),
    );
    assert_eq!((out.code(), news(&out)), (200, vec![false]));
    let out = receive(
        &mut sip,
        udp(BOB),
        &answer(&subscribe, 200, "n", "Expires: 600\r\n"),
    );
    assert!(
        matches!(&out.events[..], [Event::Response { .. }]),
        "{out:?}"
    );
    let out = receive(
        &mut sip,
        udp(BOB),
        &notify(&subscribe, "n2", 1, "other", ACTIVE),
    );
    assert_eq!((out.code(), out.events.len()), (481, 0));
    assert_eq!(sip.held().subscriptions, 1);
}

#[test]
fn a_subscription_is_refreshed_and_its_time_goes_on() {
    let mut sip = gateway();
    let (_, subscribe) = open(&mut sip);
    let out = later(&mut sip, NOW + 300_000);
    assert_eq!(out.lines(), ["SUBSCRIBE"]);
    let refresh = &out.sent[0].1;
    assert_eq!(refresh.call_id(), subscribe.call_id());
    assert_eq!(refresh.header("CSeq"), Some("2 SUBSCRIBE"));
    assert!(refresh.in_dialog() && refresh.header("Event") == Some("presence"));
    receive(
        &mut sip,
        udp(BOB),
        &answer(refresh, 200, "n", "Expires: 900\r\n"),
    );
    let out = later(&mut sip, NOW + 449_000);
    assert_eq!((out.lines().len(), out.events.len()), (0, 0));
    assert_eq!(later(&mut sip, NOW + 450_000).lines(), ["SUBSCRIBE"]);
}

#[test]
fn why_a_subscription_ended_says_whether_it_is_asked_for_anew() {
    for (state, anew) in [
        ("terminated;reason=deactivated", true),
        ("terminated;reason=timeout", true),
        ("terminated;reason=probation;retry-after=9", true),
        ("terminated;reason=rejected", false),
        ("terminated;reason=noresource", false),
        ("terminated", false),
    ] {
        let mut sip = gateway();
        let (_, subscribe) = open(&mut sip);
        let headers = format!("Event: presence\r\nSubscription-State: {state}\r\n");
        let out = receive(
            &mut sip,
            udp(BOB),
            &notify(&subscribe, "n2", 2, "n", &headers),
        );
        let over = if anew { vec![] } else { vec![true] };
        assert_eq!((out.code(), news(&out)), (200, over), "{state}");
        let waits = if state.contains("retry-after") {
            9_000
        } else {
            0
        };
        assert!(
            later(&mut sip, NOW + waits - waits.min(1))
                .lines()
                .is_empty()
                || waits == 0
        );
        if !anew {
            let held = sip.held();
            assert_eq!((held.dialogs, held.subscriptions), (0, 0), "{state}");
            continue;
        }
        let mut sip = gateway();
        let (_, subscribe) = open(&mut sip);
        receive(
            &mut sip,
            udp(BOB),
            &notify(&subscribe, "n2", 2, "n", &headers),
        );
        let out = later(&mut sip, NOW + waits);
        assert_eq!(out.lines(), ["SUBSCRIBE"], "{state}");
        let again = &out.sent[0].1;
        assert!(!again.in_dialog() && again.call_id() != subscribe.call_id());
        let out = receive(&mut sip, udp(BOB), &notify(again, "n3", 1, "m", ACTIVE));
        assert_eq!(news(&out), [false]);
    }
}

#[test]
fn a_subscription_without_news_is_over_and_says_so() {
    let mut sip = gateway();
    let (_, subscribe) = subscribed(&mut sip);
    receive(
        &mut sip,
        udp(BOB),
        &answer(&subscribe, 202, "n", "Expires: 600\r\n"),
    );
    let out = later(&mut sip, NOW + 32_000);
    let [
        Event::Notified {
            message,
            over: true,
            ..
        },
    ] = &out.events[..]
    else {
        panic!("{out:?}");
    };
    let state = message.header("Subscription-State");
    assert_eq!(state, Some("terminated;reason=timeout"));
    let held = sip.held();
    assert_eq!((held.dialogs, held.subscriptions), (0, 0));
}

#[test]
fn a_refused_subscribe_is_told_by_its_answer_alone() {
    let mut sip = gateway();
    let (_, subscribe) = subscribed(&mut sip);
    let out = receive(&mut sip, udp(BOB), &answer(&subscribe, 489, "n", ""));
    assert!(matches!(&out.events[..], [Event::Response { .. }]));
    assert_eq!((sip.held().dialogs, sip.held().subscriptions), (0, 0));
    // For a longer time it may be had.
    let (_, out) = ask(&mut sip, None, subscribe_request("10"));
    let brief = answer(&out.sent[0].1, 423, "n", "Min-Expires: 60\r\n");
    let out = receive(&mut sip, udp(BOB), &brief);
    assert_eq!(
        (out.lines(), out.events.len()),
        (vec!["SUBSCRIBE".to_owned()], 0)
    );
    assert_eq!(out.sent[0].1.header("Expires"), Some("60"));
}

#[test]
fn what_nobody_wants_any_more_is_unsubscribed_silently() {
    let mut sip = gateway();
    let (sent, subscribe) = open(&mut sip);
    let mut actions = Vec::new();
    sip.unsubscribe(sent.subscription.unwrap(), NOW, &mut actions);
    let out = Out::of(actions);
    assert_eq!(out.sent[0].1.header("Expires"), Some("0"));
    let ended = "Event: presence\r\nSubscription-State: terminated;reason=timeout\r\n";
    let last = receive(&mut sip, udp(BOB), &notify(&subscribe, "n2", 2, "n", ended));
    assert_eq!((last.code(), last.events.len()), (200, 0));
    assert_eq!((sip.held().dialogs, sip.held().subscriptions), (0, 0));
}

#[test]
fn a_refer_in_a_call_is_told_how_it_goes_unless_the_peer_declines() {
    let mut sip = gateway();
    let (dialog, _) = accepted(&mut sip);
    let refer = || {
        with(
            OutRequest::in_dialog(Method::Refer),
            &[("Refer-To", "<sip:carol@localhost>")],
        )
    };
    let (sent, out) = ask(&mut sip, Some(dialog), refer());
    assert!(sent.subscription.is_some());
    let asked = &out.sent[0].1;
    assert_eq!(asked.header("Refer-To"), Some("<sip:carol@localhost>"));
    receive(&mut sip, udp(BOB), &answer(asked, 202, "b", ""));
    let cseq = asked
        .header("CSeq")
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    let news_of = |branch: &str, cseq: u32, headers: &str| {
        let text = notify(asked, branch, cseq, "b", headers);
        text.replace("<sip:bob@10.0.0.2>;tag=b", "<sip:bob@localhost>;tag=b")
    };
    let trying = "Event: refer\r\nSubscription-State: active;expires=60\r\n";
    let out = receive(&mut sip, udp(BOB), &news_of("n1", 2, trying));
    assert_eq!((out.code(), news(&out)), (200, vec![false]));
    let done =
        format!("Event: refer;id={cseq}\r\nSubscription-State: terminated;reason=noresource\r\n");
    let out = receive(&mut sip, udp(BOB), &news_of("n2", 3, &done));
    assert_eq!((out.code(), news(&out)), (200, vec![true]));
    assert_eq!((sip.held().dialogs, sip.held().subscriptions), (1, 0));
    let (_, out) = ask(&mut sip, Some(dialog), refer());
    let declined = answer(&out.sent[0].1, 200, "b", "Refer-Sub: false\r\n");
    receive(&mut sip, udp(BOB), &declined);
    assert_eq!((sip.held().dialogs, sip.held().subscriptions), (1, 0));
}

#[test]
fn a_peer_that_has_subscribed_is_notified_until_its_time_is_over() {
    let mut sip = gateway();
    let asked = request(
        "SUBSCRIBE",
        ALICE,
        "s",
        1,
        "Event: presence\r\nExpires: 60\r\n",
    );
    let out = receive(&mut sip, udp(BOB), &asked);
    let [
        Event::Request {
            server,
            dialog: Some(dialog),
            ..
        },
    ] = &out.events[..]
    else {
        panic!("{out:?}");
    };
    let out = respond(&mut sip, *server, 200);
    let granted = &out.sent[0].1;
    assert_eq!(granted.header("Expires"), Some("60"));
    assert!(granted.header("Contact").is_some() && sip.is_watched(*dialog));
    let (_, out) = ask(
        &mut sip,
        Some(*dialog),
        OutRequest::in_dialog(Method::Notify),
    );
    let told = &out.sent[0].1;
    assert_eq!(told.header("Event"), Some("presence"));
    assert_eq!(told.header("Subscription-State"), Some("active;expires=60"));
    receive(&mut sip, udp(BOB), &answer(told, 200, "b", ""));
    let out = later(&mut sip, NOW + 60_000);
    let last = out.sent.last().unwrap();
    let state = last.1.header("Subscription-State");
    assert_eq!(state, Some("terminated;reason=timeout"));
    assert!(matches!(&out.events[..], [Event::Ended { .. }]), "{out:?}");
    assert_eq!((sip.held().dialogs, sip.held().subscriptions), (0, 0));
}

#[test]
fn a_refer_of_a_peer_is_told_at_once_that_there_is_nothing_yet() {
    let mut sip = gateway();
    let asked = request("REFER", ALICE, "r", 7, "r: <sip:carol@localhost>\r\n");
    let out = receive(&mut sip, udp(BOB), &asked);
    let [
        Event::Request {
            server,
            dialog: Some(dialog),
            ..
        },
    ] = &out.events[..]
    else {
        panic!("{out:?}");
    };
    let out = respond(&mut sip, *server, 202);
    assert_eq!(out.lines(), ["202", "NOTIFY"]);
    let trying = &out.sent[1].1;
    assert_eq!(trying.header("Event"), Some("refer;id=7"));
    assert_eq!(trying.body, b"SIP/2.0 100 Trying\r\n");
    let last = with(
        OutRequest::in_dialog(Method::Notify),
        &[("Subscription-State", "terminated;reason=noresource")],
    );
    ask(&mut sip, Some(*dialog), last);
    assert_eq!((sip.held().dialogs, sip.held().subscriptions), (0, 0));
}

pub fn publication(expires: &str) -> OutRequest {
    let request = OutRequest::new(Method::Publish, ALICE, PRESENCE);
    let mut request = with(request, &[("Event", "presence"), ("Expires", expires)]);
    request.content = Some(("application/pidf+xml".to_owned(), b"<presence/>".to_vec()));
    request
}

#[test]
fn what_is_published_is_refreshed_without_its_body_put_there_again_and_taken_back() {
    let mut sip = gateway();
    let (_, out) = ask(&mut sip, None, publication("600"));
    let first = &out.sent[0].1;
    assert_eq!((first.header("SIP-If-Match"), first.body.len()), (None, 11));
    assert_eq!(first.header("Contact"), None);
    let kept = answer(first, 200, "p", "SIP-ETag: one\r\nExpires: 600\r\n");
    let out = receive(&mut sip, udp(BOB), &kept);
    assert!(matches!(&out.events[..], [Event::Response { .. }]));
    let out = later(&mut sip, NOW + 300_000);
    let refresh = &out.sent[0].1;
    assert_eq!(
        (refresh.header("SIP-If-Match"), refresh.body.len()),
        (Some("one"), 0)
    );
    assert_eq!(refresh.header("Content-Type"), None);
    // The server has lost it.
    let out = receive(&mut sip, udp(BOB), &answer(refresh, 412, "p", ""));
    let anew = &out.sent[0].1;
    assert_eq!((anew.header("SIP-If-Match"), anew.body.len()), (None, 11));
    assert_eq!(anew.header("Content-Type"), Some("application/pidf+xml"));
    let kept = answer(anew, 200, "p", "SIP-ETag: two\r\nExpires: 600\r\n");
    assert_eq!(receive(&mut sip, udp(BOB), &kept).events.len(), 0);
    let mut actions = Vec::new();
    sip.remove_local("alice", NOW, &mut actions);
    let out = Out::of(actions);
    let last = &out.sent[0].1;
    let said = (last.header("Expires"), last.header("SIP-If-Match"));
    assert_eq!(said, (Some("0"), Some("two")));
    receive(
        &mut sip,
        udp(BOB),
        &answer(last, 200, "p", "Expires: 0\r\n"),
    );
    assert_eq!(sip.held().publications, 0);
}

#[test]
fn of_several_publications_at_once_the_last_one_is_sent_when_the_first_is_answered() {
    let mut sip = gateway();
    let (_, out) = ask(&mut sip, None, publication("10"));
    let first = out.sent[0].1.clone();
    let (waits, out) = ask(&mut sip, None, publication("700"));
    assert!(out.sent.is_empty());
    // A first one that is too short is asked for longer.
    let out = receive(
        &mut sip,
        udp(BOB),
        &answer(&first, 423, "p", "Min-Expires: 90\r\n"),
    );
    let longer = &out.sent[0].1;
    assert_eq!(longer.header("Expires"), Some("90"));
    let out = receive(
        &mut sip,
        udp(BOB),
        &answer(longer, 200, "p", "SIP-ETag: e\r\n"),
    );
    let second = &out.sent[0].1;
    assert_eq!(
        (second.header("SIP-If-Match"), second.body.len()),
        (Some("e"), 11)
    );
    let out = receive(&mut sip, udp(BOB), &answer(second, 403, "p", ""));
    assert!(matches!(&out.events[..], [Event::Response { client, .. }] if *client == waits.client));
    assert_eq!(sip.held().publications, 0);
}
