//! Next hops: which is asked, and what happens when one does not answer.

use std::collections::BTreeMap;

use super::registrations::{GRANTED, PROXY, hop, member, register, timeout};
use super::*;

#[test]
fn rfc3263_4_3_what_one_proxy_fails_goes_to_the_next() {
    let second = "10.0.0.10:5060";
    let mut sip = member(&[PROXY, second]);
    let (_, out) = register(&mut sip, "alice", None);
    let busy = answer(&out.sent[0].1, 503, "r", "Retry-After: 60\r\n");
    let out = receive(&mut sip, udp(PROXY), &busy);
    assert_eq!(
        (out.sent[0].0.peer, out.lines()),
        (second.parse().unwrap(), vec!["REGISTER".to_owned()])
    );
    assert_eq!(
        out.events,
        [Event::Hop {
            name: PROXY.to_owned(),
            is_up: false
        }]
    );
    receive(
        &mut sip,
        udp(second),
        &answer(&out.sent[0].1, 200, "r", GRANTED),
    );
    // The next request goes where the last one was answered.
    let (_, out) = ask(
        &mut sip,
        None,
        OutRequest::new(Method::Message, ALICE, "sip:bob@localhost"),
    );
    assert_eq!(out.sent[0].0.peer, second.parse().unwrap());
    assert_eq!(sip.hops_up(NOW), 1);
    let out = receive(
        &mut sip,
        udp(second),
        &answer(&out.sent[0].1, 503, "b", "Retry-After: 60\r\n"),
    );
    // Both want to be left alone: nothing is sent, and who asked is told.
    assert!(out.sent.is_empty() && out.events.len() == 2, "{out:?}");
    let refused = sip.request(
        None,
        OutRequest::new(Method::Message, ALICE, "sip:bob@localhost"),
        NOW,
        &mut Vec::new(),
    );
    assert_eq!(refused, Err(Refused::NoHop));
    assert_eq!(sip.hops_up(NOW + 60_000), 2);
}

#[test]
fn a_proxy_that_says_nothing_is_passed_over_and_found_again_by_options() {
    let mut sip = member(&[PROXY]);
    if let Some(upstream) = &mut sip.settings.upstream {
        upstream.probe_ms = 10_000;
    }
    let mut actions = Vec::new();
    sip.set_hops(vec![hop(PROXY)], NOW, &mut actions);
    let probe = Out::of(actions).sent.remove(0).1;
    assert_eq!(probe.method(), Method::Options);
    let out = timeout(&mut sip, NOW + 32_000);
    assert_eq!(
        out.events,
        [Event::Hop {
            name: PROXY.to_owned(),
            is_up: false
        }]
    );
    let again = out.sent.last().unwrap().1.clone();
    assert!(again.method() == Method::Options && again.header("Via") != probe.header("Via"));
    let mut actions = Vec::new();
    let text = answer(&again, 200, "p", "");
    sip.receive(udp(PROXY), text.as_bytes(), NOW + 32_001, &mut actions);
    assert_eq!(
        Out::of(actions).events,
        [Event::Hop {
            name: PROXY.to_owned(),
            is_up: true
        }]
    );
}

#[test]
fn rfc2782_heavier_proxies_of_a_rank_are_asked_more_often_and_others_only_when_these_fail() {
    let weighted = |peer: &str, rank, weight| Hop {
        rank,
        weight,
        ..hop(peer)
    };
    let (heavy, light, later) = ("10.0.0.10:5060", "10.0.0.11:5060", "10.0.0.12:5060");
    let hops = vec![
        weighted(later, 1, 100),
        weighted(light, 0, 10),
        weighted(heavy, 0, 90),
    ];
    let mut sip = member(&[]);
    sip.set_hops(hops, NOW, &mut Vec::new());
    let mut asked = BTreeMap::new();
    for _ in 0..500 {
        let message = OutRequest::new(Method::Message, ALICE, "sip:bob@localhost");
        let (_, out) = ask(&mut sip, None, message);
        *asked.entry(out.sent[0].0.peer.to_string()).or_insert(0) += 1;
    }
    assert!(
        asked[heavy] > 400 && asked[light] > 20 && asked.len() == 2,
        "{asked:?}"
    );
    for peer in [heavy, light] {
        sip.hop_is_down(udp(peer), None, NOW, &mut Vec::new());
    }
    let message = OutRequest::new(Method::Message, ALICE, "sip:bob@localhost");
    let (_, out) = ask(&mut sip, None, message);
    assert_eq!(out.sent[0].0.peer.to_string(), later);
}

#[test]
fn a_user_whose_registration_one_proxy_granted_goes_by_that_one_while_it_answers() {
    let second = "10.0.0.10:5060";
    let mut sip = member(&[PROXY, second]);
    let (_, out) = register(&mut sip, "alice", None);
    let granted = answer(&out.sent[0].1, 200, "r", GRANTED);
    receive(&mut sip, udp(PROXY), &granted);
    // A better one has been found since.
    let better = Hop {
        rank: 5,
        ..hop(PROXY)
    };
    sip.set_hops(vec![hop(second), better], NOW, &mut Vec::new());
    let goes_by = |sip: &mut Sip| {
        let message = OutRequest::new(Method::Message, ALICE, "sip:bob@localhost");
        ask(sip, None, message).1.sent[0].0.peer.to_string()
    };
    assert_eq!(goes_by(&mut sip), PROXY);
    sip.hop_is_down(udp(PROXY), None, NOW, &mut Vec::new());
    assert_eq!(goes_by(&mut sip), second);
}

/// A machine whose one proxy is reached by a connection, and alice's REGISTER there.
pub fn registering() -> (Sip, Flow, Message) {
    let mut sip = member(&[]);
    let by_tcp = Hop {
        flow: Flow {
            connection: None,
            ..tcp(PROXY, 0)
        },
        ..hop(PROXY)
    };
    sip.set_hops(vec![by_tcp], NOW, &mut Vec::new());
    let (_, mut out) = register(&mut sip, "alice", None);
    (sip, tcp(PROXY, 7), out.sent.remove(0).1)
}

#[test]
fn rfc5626_4_4_a_flow_that_the_registrar_keeps_is_pinged_and_replaced_when_it_is_lost() {
    for (said, shortest, longest) in [
        ("", 0, 0),
        ("Require: outbound\r\n", 95_000, 120_000),
        ("Require: outbound\r\nFlow-Timer: 60\r\n", 48_000, 60_000),
        ("Flow-Timer: 0\r\n", 12_000, 15_000),
    ] {
        let (mut sip, flow, asked) = registering();
        assert!(asked.header("Contact").unwrap().contains("reg-id=1"));
        let granted = format!("{GRANTED}{said}");
        let out = receive(&mut sip, flow, &answer(&asked, 200, "r", &granted));
        match &out.kept[..] {
            [] => assert_eq!(longest, 0),
            [(kept, every_ms)] => {
                assert!(*kept == flow && (shortest..=longest).contains(every_ms));
            }
            more => panic!("{more:?}"),
        }
        let mut actions = Vec::new();
        sip.flow_lost(flow, NOW + 1, &mut actions);
        let again = Out::of(actions);
        assert_eq!(again.lines(), ["REGISTER"]);
        assert_eq!(again.sent[0].0.connection, None);
    }
}

#[test]
fn rfc5626_11_6_where_the_first_hop_lacks_outbound_it_is_left_aside() {
    let (mut sip, flow, asked) = registering();
    let out = receive(&mut sip, flow, &answer(&asked, 439, "r", ""));
    let again = &out.sent[0].1;
    assert!(!again.header("Contact").unwrap().contains("reg-id"));
    assert_eq!(again.header("Supported"), Some("path, gruu"));
    // Once: if it says so all the same, the browser is told.
    let out = receive(&mut sip, flow, &answer(again, 439, "r", ""));
    assert!(matches!(
        out.events[..],
        [Event::NotRegistered { code: 439, .. }]
    ));
}

#[test]
fn rfc5626_11_5_a_registration_whose_flow_has_failed_goes_by_another_proxy() {
    let second = "10.0.0.10:5060";
    let mut sip = member(&[PROXY, second]);
    let (_, out) = register(&mut sip, "alice", None);
    let failed = answer(&out.sent[0].1, 430, "r", "");
    let out = receive(&mut sip, udp(PROXY), &failed);
    assert_eq!(out.sent[0].0.peer.to_string(), second);
}
