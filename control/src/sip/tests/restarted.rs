//! The process is killed, and another one goes on with what was put away: registrations, publications, subscriptions.

use super::events::{self, notify, open, publication, subscribed};
use super::registrations::{CHALLENGE, GRANTED, PROXY, member, register, registered, timeout};
use super::*;

/// Another machine, which knows what the first has put away by now; these users have sessions.
fn restarted(killed: &Sip, users: &[&str], now: Millis) -> (Sip, Out) {
    let mut sip = Sip::new(killed.settings.clone(), [6; 32]);
    sip.hops = killed.hops.clone();
    for user in killed.users_elsewhere() {
        let kept = killed.saved_elsewhere(&user).unwrap();
        assert!(sip.restore_elsewhere(&user, &kept));
    }
    for user in users {
        sip.add_local(user);
        sip.keep_registered(user);
    }
    let mut actions = Vec::new();
    sip.restored(now, &mut actions);
    (sip, Out::of(actions))
}

fn cseq(request: &Message) -> u32 {
    let number = request.header("CSeq").unwrap().split(' ').next();
    number.unwrap().parse().unwrap()
}

/// The machine, and the last REGISTER of alice's, who is registered at [`PROXY`].
fn at_home() -> (Sip, Message) {
    let mut sip = member(&[PROXY]);
    let register = registered(&mut sip).sent.remove(0).1;
    (sip, register)
}

#[test]
fn a_registration_goes_on_under_its_call_id_with_higher_numbers_and_the_same_contact() {
    let (killed, last) = at_home();
    let (mut sip, out) = restarted(&killed, &["alice"], NOW + 2_000);
    assert!(out.sent.is_empty(), "it is not due");
    let due = NOW + 300_000;
    assert_eq!(sip.deadline(), Some(due));
    let mut refresh = timeout(&mut sip, due).sent.remove(0).1;
    assert_eq!(refresh.call_id(), last.call_id());
    assert!(cseq(&refresh) > cseq(&last));
    assert_eq!(refresh.header("Contact"), last.header("Contact"));
    assert_eq!(refresh.header("From"), last.header("From"));
    // What alice has proven herself with is known, which nonce was answered is not.
    assert!(refresh.header("Authorization").is_none());
    refresh = receive(&mut sip, udp(PROXY), &answer(&refresh, 401, "r", CHALLENGE))
        .sent
        .remove(0)
        .1;
    assert!(
        refresh
            .header("Authorization")
            .unwrap()
            .contains("username=\"al\"")
    );
    let out = receive(&mut sip, udp(PROXY), &answer(&refresh, 200, "r", GRANTED));
    assert!(out.events.is_empty(), "nobody has asked");
    assert_eq!(sip.held().registrations, 1);
}

#[test]
fn what_a_registration_has_brought_holds_after_a_restart() {
    let (killed, _) = at_home();
    let (mut sip, _) = restarted(&killed, &["alice"], NOW);
    let request = OutRequest::new(Method::Invite, ALICE, "sip:bob@elsewhere.example");
    let (_, out) = ask(&mut sip, None, request);
    let routes: Vec<_> = out.sent[0].1.header_values("Route").collect();
    let service = ["<sip:10.0.0.7;lr>", "<sip:10.0.0.8;lr>"];
    assert_eq!(routes[1..], service, "RFC 3608");
    let identity = out.sent[0].1.header("P-Preferred-Identity");
    assert_eq!(identity, Some("<sip:+4912@localhost>"));
}

#[test]
fn a_register_that_was_under_way_is_sent_again_at_once_with_a_number_of_its_own() {
    let (mut killed, _) = at_home();
    let refresh = timeout(&mut killed, NOW + 300_000).sent.remove(0).1;
    let (_, out) = restarted(&killed, &["alice"], NOW + 301_000);
    let again = &out.sent[0].1;
    assert_eq!(again.call_id(), refresh.call_id());
    assert!(cseq(again) > cseq(&refresh));
    assert_eq!(again.header("Expires"), Some("600"));
}

#[test]
fn rfc5626_4_2_what_was_granted_over_a_connection_is_asked_for_over_another() {
    let (mut killed, flow, asked) = hops::registering();
    receive(&mut killed, flow, &answer(&asked, 200, "r", GRANTED));
    let (_, out) = restarted(&killed, &["alice"], NOW);
    let (by, again) = &out.sent[0];
    assert_eq!((by.transport, by.connection), (SipTransport::Tcp, None));
    assert_eq!(again.call_id(), asked.call_id());
    assert_eq!(
        again.header("Contact"),
        asked.header("Contact"),
        "instance and reg-id are the same"
    );
}

#[test]
fn whoever_has_no_session_any_more_is_taken_from_the_registrar() {
    let (killed, last) = at_home();
    let (mut sip, out) = restarted(&killed, &[], NOW);
    let gone = &out.sent[0].1;
    assert_eq!(gone.header("Expires"), Some("0"));
    assert_eq!(gone.call_id(), last.call_id());
    receive(&mut sip, udp(PROXY), &answer(gone, 200, "r", ""));
    assert_eq!(
        (sip.held().registrations, sip.saved_elsewhere("alice")),
        (0, None)
    );
}

#[test]
fn a_session_whose_registration_was_not_put_away_gets_one() {
    let (_, out) = restarted(&member(&[PROXY]), &["alice"], NOW);
    assert_eq!(out.lines(), ["REGISTER"]);
    assert_eq!(out.sent[0].1.header("Expires"), Some("600"));
}

#[test]
fn thousands_of_overdue_registrations_are_made_anew_one_after_the_other() {
    let mut killed = member(&[PROXY]);
    let users: Vec<String> = (0..3_000).map(|n| format!("user{n}")).collect();
    for user in &users {
        let (_, out) = register(&mut killed, user, None);
        let asked = &out.sent[0].1;
        let granted = format!(
            "Contact: {};expires=600\r\n",
            asked.header("Contact").unwrap()
        );
        receive(&mut killed, udp(PROXY), &answer(asked, 200, "r", &granted));
    }
    let now = NOW + 500_000;
    let names: Vec<&str> = users.iter().map(String::as_str).collect();
    let (mut sip, out) = restarted(&killed, &names, now);
    let mut sent = vec![out.sent.len()];
    let mut asked = out.sent;
    for second in 0..40 {
        // What was sent is answered, then a second passes.
        for (_, register) in asked.drain(..) {
            let text = answer(&register, 200, "r", "Expires: 600\r\n");
            let at = now + second * 1_000;
            sip.receive(udp(PROXY), text.as_bytes(), at, &mut Vec::new());
        }
        let out = timeout(&mut sip, now + (second + 1) * 1_000);
        sent.push(out.sent.len());
        asked = out.sent;
    }
    assert!(sent.iter().all(|count| *count <= 132), "{sent:?}");
    assert_eq!(sent.iter().sum::<usize>(), 3_000);
    assert_eq!(sip.held().registrations, 3_000, "all in time");
}

/// A machine at which alice has published, and the PUBLISH.
fn published() -> (Sip, Message) {
    let mut sip = gateway();
    let (_, out) = ask(&mut sip, None, publication("600"));
    let first = out.sent[0].1.clone();
    let kept = answer(&first, 200, "p", "SIP-ETag: one\r\nExpires: 600\r\n");
    receive(&mut sip, udp(BOB), &kept);
    (sip, first)
}

#[test]
fn rfc3903_4_1_a_publication_is_refreshed_under_its_tag_after_a_restart() {
    let (killed, _) = published();
    let (mut sip, out) = restarted(&killed, &["alice"], NOW);
    assert!(out.sent.is_empty() && sip.held().publications == 1);
    let refresh = timeout(&mut sip, NOW + 300_000).sent.remove(0).1;
    assert_eq!(refresh.header("SIP-If-Match"), Some("one"));
    assert_eq!(refresh.body.len(), 0);
    // The server has lost it meanwhile.
    let out = receive(&mut sip, udp(BOB), &answer(&refresh, 412, "p", ""));
    let anew = &out.sent[0].1;
    assert_eq!((anew.header("SIP-If-Match"), anew.body.len()), (None, 11));
}

#[test]
fn a_publication_that_was_under_way_is_sent_again_whole() {
    let (mut killed, _) = published();
    let mut changed = publication("600");
    changed.content = Some(("application/pidf+xml".to_owned(), b"<busy/>".to_vec()));
    ask(&mut killed, None, changed);
    let (mut sip, _) = restarted(&killed, &["alice"], NOW);
    let due = sip.deadline().unwrap();
    let again = timeout(&mut sip, due).sent.remove(0).1;
    assert_eq!(again.header("SIP-If-Match"), Some("one"));
    assert_eq!(again.body, b"<busy/>");
}

#[test]
fn what_nobody_publishes_any_more_is_taken_back_after_a_restart() {
    let (killed, _) = published();
    let (_, out) = restarted(&killed, &[], NOW);
    let last = &out.sent[0].1;
    let said = (last.header("Expires"), last.header("SIP-If-Match"));
    assert_eq!(said, (Some("0"), Some("one")));
}

/// Another machine, with this subscription.
fn resubscribed(killed: &Sip, sent: Sent, now: Millis) -> Sip {
    let (mut sip, _) = restarted(killed, &["alice"], now);
    let kept = killed.saved_subscription(sent.subscription.unwrap());
    assert!(sip.restore_subscription(&kept.unwrap(), now));
    sip
}

#[test]
fn a_subscription_goes_on_in_its_dialog_after_a_restart() {
    let mut killed = gateway();
    let (sent, subscribe) = open(&mut killed);
    let mut sip = resubscribed(&killed, sent, NOW + 1_000);
    let out = receive(
        &mut sip,
        udp(BOB),
        &notify(&subscribe, "n2", 2, "n", events::ACTIVE),
    );
    assert_eq!((out.code(), events::news(&out)), (200, vec![false]));
    let refresh = timeout(&mut sip, NOW + 300_000).sent.remove(0).1;
    assert_eq!(refresh.call_id(), subscribe.call_id());
    assert!(cseq(&refresh) > cseq(&subscribe) && refresh.in_dialog());
    // The notifier has been restarted, too: it is asked for anew, and whoever reads the news does not see it.
    let out = receive(&mut sip, udp(BOB), &answer(&refresh, 481, "n", ""));
    assert!(out.events.is_empty());
    let anew = timeout(&mut sip, NOW).sent.remove(0).1;
    assert!(anew.call_id() != subscribe.call_id() && !anew.in_dialog());
}

#[test]
fn a_subscription_that_was_being_made_or_has_run_out_is_made_anew() {
    let mut killed = gateway();
    let (early, _) = subscribed(&mut killed);
    let mut late = gateway();
    let (open, _) = open(&mut late);
    for (killed, sent, now) in [(killed, early, NOW + 1), (late, open, NOW + 600_001)] {
        let mut sip = resubscribed(&killed, sent, now);
        let anew = timeout(&mut sip, now).sent.remove(0).1;
        assert!(!anew.in_dialog());
        let granted = answer(&anew, 200, "n", "Expires: 600\r\n");
        sip.receive(udp(BOB), granted.as_bytes(), now, &mut Vec::new());
        let news = notify(&anew, "n9", 1, "n", events::ACTIVE);
        let mut actions = Vec::new();
        sip.receive(udp(BOB), news.as_bytes(), now, &mut actions);
        let told = matches!(&Out::of(actions).events[..], [Event::Notified { subscription, .. }]
            if Some(*subscription) == sent.subscription);
        assert!(told);
    }
}

/// Another machine, with the peers' texts that the first has put away.
fn with_texts(killed: &Sip) -> Sip {
    let (mut sip, _) = restarted(killed, &["alice"], NOW);
    for id in killed.kept_requests() {
        let kept = killed.saved_request(id).unwrap();
        assert!(sip.restore_request(id, &kept), "{kept}");
    }
    sip
}

#[test]
fn rfc3261_17_2_2_a_text_that_is_repeated_after_a_restart_is_known_and_answered_once_it_can_be() {
    let mut killed = gateway();
    let text = request("MESSAGE", ALICE, "m", 1, "Subject: not needed\r\n");
    let out = receive(&mut killed, udp(BOB), &text);
    let [Event::Request { server, .. }] = out.events[..] else {
        panic!("{out:?}");
    };
    assert_eq!(killed.changed_requests(), [server]);
    assert!(!killed.saved_request(server).unwrap().contains("not needed"));
    let mut sip = with_texts(&killed);
    let out = receive(&mut sip, udp(BOB), &text);
    assert!(out.events.is_empty() && out.sent.is_empty(), "{out:?}");
    assert!(sip.is_asked(server));
    let answer = respond(&mut sip, server, 200);
    assert_eq!((answer.code(), answer.sent[0].0), (200, udp(BOB)));
    // Put away, but not sent, when the next one dies.
    let mut sip = with_texts(&sip);
    assert!(!sip.is_asked(server));
    let again = receive(&mut sip, udp(BOB), &text);
    assert!(again.events.is_empty());
    assert_eq!(again.sent[0].1.print(), answer.sent[0].1.print());
    sip.changed_requests();
    while let Some(due) = sip.deadline() {
        timeout(&mut sip, due);
    }
    assert_eq!(sip.changed_requests(), [server]);
    assert_eq!(
        sip.saved_request(server),
        None,
        "it is not repeated any more"
    );
}

#[test]
fn rfc3261_18_2_2_a_text_that_came_over_a_connection_is_answered_where_its_peer_listens() {
    let mut killed = gateway();
    let text = request("MESSAGE", ALICE, "m", 1, "").replace("UDP", "TCP");
    let flow = Flow {
        transport: SipTransport::Tcp,
        peer: "10.0.0.2:40000".parse().unwrap(),
        connection: Some(7),
    };
    let out = receive(&mut killed, flow, &text);
    let [Event::Request { server, .. }] = out.events[..] else {
        panic!("{out:?}");
    };
    let mut sip = with_texts(&killed);
    let answer = respond(&mut sip, server, 200);
    let back = Flow {
        peer: BOB.parse().unwrap(),
        connection: None,
        ..flow
    };
    assert_eq!((answer.code(), answer.sent[0].0), (200, back));
}
