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
