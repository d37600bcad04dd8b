//! Users who belong to a registrar elsewhere, and challenges of all kinds, against peers written by hand.

use super::*;

pub const PROXY: &str = "10.0.0.9:5060";

fn secret(username: &str, password: &str) -> Credentials {
    Credentials {
        username: username.to_owned(),
        secret: Secret::Password(password.to_owned()),
    }
}

pub fn hop(peer: &str) -> Hop {
    Hop {
        flow: udp(peer),
        name: peer.to_owned(),
        rank: 0,
        weight: 0,
    }
}

/// The machine at 10.0.0.1 whose users belong to the registrar of `localhost`, behind these proxies.
pub fn member(proxies: &[&str]) -> Sip {
    let mut settings = Settings::new("localhost", "10.0.0.1:5060".parse().unwrap());
    settings.upstream = Some(Upstream {
        registrar: Some("sip:localhost".to_owned()),
        expires_s: 600,
        contact_params: vec![("+g.oma.sip-im".to_owned(), None)],
        probe_ms: 0,
    });
    let mut sip = Sip::new(settings, [5; 32]);
    let hops = (0..)
        .zip(proxies)
        .map(|(rank, peer)| Hop { rank, ..hop(peer) });
    let hops = hops.collect();
    sip.set_hops(hops, NOW, &mut Vec::new());
    sip
}

pub fn register(sip: &mut Sip, user: &str, credentials: Option<Credentials>) -> (AttemptId, Out) {
    let mut actions = Vec::new();
    let attempt = sip.register(user, credentials, NOW, &mut actions).unwrap();
    (attempt, Out::of(actions))
}

fn leave(sip: &mut Sip, user: &str) -> Out {
    let mut actions = Vec::new();
    sip.remove_local(user, NOW, &mut actions);
    Out::of(actions)
}

pub fn timeout(sip: &mut Sip, now: Millis) -> Out {
    let mut actions = Vec::new();
    sip.timeout(now, &mut actions);
    Out::of(actions)
}

pub const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"localhost\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256\r\n";
pub const GRANTED: &str = "Contact: <sip:zed@10.9.9.9>;expires=9, <sip:alice@10.0.0.1:5060>;expires=600\r\n\
     Service-Route: <sip:10.0.0.7;lr>, <sip:10.0.0.8;lr>\r\n\
     P-Associated-URI: <sip:+4912@localhost>, <tel:+4912>\r\n";

/// alice registered, having met a challenge.
pub fn registered(sip: &mut Sip) -> Out {
    sip.add_local("alice");
    let (attempt, out) = register(sip, "alice", Some(secret("al", "pw")));
    let out = receive(
        sip,
        udp(PROXY),
        &answer(&out.sent[0].1, 401, "r", CHALLENGE),
    );
    let granted = receive(sip, udp(PROXY), &answer(&out.sent[0].1, 200, "r", GRANTED));
    let associated = vec!["<sip:+4912@localhost>".to_owned(), "<tel:+4912>".to_owned()];
    let user = "alice".to_owned();
    assert_eq!(
        granted.events,
        [Event::Registered {
            attempt,
            user,
            associated
        }]
    );
    out
}

#[test]
fn rfc3261_10_2_a_user_is_registered_having_met_the_challenge() {
    let mut sip = member(&[PROXY]);
    let (_, out) = register(&mut sip, "alice", Some(secret("al", "pw")));
    let first = &out.sent[0].1;
    assert_eq!(
        (out.sent[0].0.peer, first.request_uri()),
        (PROXY.parse().unwrap(), "sip:localhost")
    );
    assert!(first.header("Authorization").is_none());
    let contact = first.header("Contact").unwrap();
    assert!(
        contact.starts_with("<sip:alice@10.0.0.1:5060>;+g.oma.sip-im;+sip.instance=\"<urn:uuid:")
            && contact.ends_with(";expires=600"),
        "{contact}"
    );
    assert_eq!(first.header("Supported"), Some("path, outbound, gruu"));
    let second = registered(&mut member(&[PROXY])).sent.remove(0).1;
    assert_eq!(
        second.header("Call-ID").map(str::len),
        first.header("Call-ID").map(str::len)
    );
    assert_eq!(second.header("CSeq"), Some("2 REGISTER"));
    let proof = second.header("Authorization").unwrap();
    for part in [
        "username=\"al\"",
        "algorithm=SHA-256",
        "qop=auth",
        "nc=00000001",
        "uri=\"sip:localhost\"",
    ] {
        assert!(proof.contains(part), "{proof}");
    }
}

#[test]
fn rfc3261_22_2_a_challenge_is_met_once_and_again_only_if_the_nonce_was_stale() {
    for (challenge, again) in [
        (CHALLENGE.to_owned(), false),
        (CHALLENGE.replace("n1\"", "n2\", stale=true"), true),
    ] {
        let mut sip = member(&[PROXY]);
        let (attempt, out) = register(&mut sip, "alice", Some(secret("al", "pw")));
        let out = receive(
            &mut sip,
            udp(PROXY),
            &answer(&out.sent[0].1, 401, "r", CHALLENGE),
        );
        let out = receive(
            &mut sip,
            udp(PROXY),
            &answer(&out.sent[0].1, 401, "r", &challenge),
        );
        assert_eq!(out.sent.len(), usize::from(again));
        if !again {
            let [
                Event::NotRegistered {
                    attempt: told,
                    code: 401,
                    challenges,
                    ..
                },
            ] = &out.events[..]
            else {
                panic!("{out:?}");
            };
            assert_eq!((*told, challenges.len()), (Some(attempt), 1));
            assert_eq!(sip.held().registrations, 0);
        }
    }
}

#[test]
fn a_browser_without_credentials_is_told_the_challenge_and_comes_back_with_the_answer() {
    let mut sip = member(&[PROXY]);
    let (_, out) = register(&mut sip, "alice", None);
    let out = receive(
        &mut sip,
        udp(PROXY),
        &answer(&out.sent[0].1, 401, "r", CHALLENGE),
    );
    assert!(matches!(
        &out.events[..],
        [Event::NotRegistered { code: 401, .. }]
    ));
    let ready = Credentials {
        username: "al".to_owned(),
        secret: Secret::Answer(Answer {
            by_proxy: false,
            realm: "localhost".to_owned(),
            nonce: "n1".to_owned(),
            uri: "sip:localhost".to_owned(),
            response: "beef".to_owned(),
            further: Vec::new(),
        }),
    };
    let (_, out) = register(&mut sip, "alice", Some(ready));
    let proof = out.sent[0].1.header("Authorization").unwrap();
    assert!(proof.contains("response=\"beef\""), "{proof}");
    // It was wrong: nothing more can be said.
    let out = receive(
        &mut sip,
        udp(PROXY),
        &answer(&out.sent[0].1, 401, "r", CHALLENGE),
    );
    assert!(matches!(
        &out.events[..],
        [Event::NotRegistered { code: 401, .. }]
    ));
    assert!(out.sent.is_empty());
}

#[test]
fn a_second_browser_proves_itself_and_a_wrong_one_changes_nothing() {
    let mut sip = member(&[PROXY]);
    registered(&mut sip);
    let (attempt, out) = register(&mut sip, "alice", None);
    assert!(
        out.sent[0].1.header("Authorization").is_none(),
        "what another browser gave is not used"
    );
    let out = receive(
        &mut sip,
        udp(PROXY),
        &answer(&out.sent[0].1, 401, "r", CHALLENGE),
    );
    let [
        Event::NotRegistered {
            attempt: Some(told),
            ..
        },
    ] = &out.events[..]
    else {
        panic!("{out:?}");
    };
    assert_eq!((*told, sip.held().registrations), (attempt, 1));
}

#[test]
fn rfc3261_10_2_4_a_registration_is_refreshed_with_the_nonce_it_knows_and_taken_back() {
    let mut sip = member(&[PROXY]);
    registered(&mut sip);
    let at = NOW + 300_000;
    let out = timeout(&mut sip, at);
    let refresh = &out.sent[0].1;
    assert!(
        refresh
            .header("Authorization")
            .unwrap()
            .contains("nc=00000002")
    );
    assert_eq!(refresh.header("CSeq"), Some("3 REGISTER"));
    let brief = "Contact: <sip:alice@10.0.0.1:5060>;expires=60\r\n";
    let mut actions = Vec::new();
    let text = answer(refresh, 200, "r", brief);
    sip.receive(udp(PROXY), text.as_bytes(), at, &mut actions);
    assert!(actions.is_empty());
    let out = leave(&mut sip, "alice");
    let last = &out.sent[0].1;
    assert_eq!(last.header("Expires"), Some("0"));
    assert!(last.header("Contact").unwrap().ends_with("expires=0"));
    receive(&mut sip, udp(PROXY), &answer(last, 200, "r", ""));
    assert_eq!(sip.held().registrations, 0);
    let mut at = at;
    while let Some(next) = sip.deadline() {
        at = at.max(next);
        assert!(timeout(&mut sip, at).sent.is_empty());
    }
    assert_eq!(sip.held(), Held::default());
}

#[test]
fn rfc3261_10_3_a_registrar_may_want_registrations_to_last_longer() {
    let mut sip = member(&[PROXY]);
    let (_, out) = register(&mut sip, "alice", None);
    let out = receive(
        &mut sip,
        udp(PROXY),
        &answer(&out.sent[0].1, 423, "r", "Min-Expires: 1200\r\n"),
    );
    assert_eq!(out.sent[0].1.header("Expires"), Some("1200"));
    let out = receive(
        &mut sip,
        udp(PROXY),
        &answer(&out.sent[0].1, 423, "r", "Min-Expires: 1200\r\n"),
    );
    assert!(matches!(
        &out.events[..],
        [Event::NotRegistered { code: 423, .. }]
    ));
}

#[test]
fn rfc3608_requests_of_a_registered_user_go_by_its_service_route() {
    let mut sip = member(&[PROXY]);
    registered(&mut sip);
    let (_, out) = ask(
        &mut sip,
        None,
        OutRequest::new(Method::Invite, ALICE, "sip:bob@elsewhere.example"),
    );
    let (flow, invite) = &out.sent[0];
    assert_eq!(flow.peer, PROXY.parse().unwrap());
    let routes: Vec<_> = invite.header_values("Route").collect();
    assert_eq!(
        routes,
        [
            "<sip:10.0.0.9:5060;lr>",
            "<sip:10.0.0.7;lr>",
            "<sip:10.0.0.8;lr>"
        ]
    );
    assert_eq!(invite.request_uri(), "sip:bob@elsewhere.example");
    assert_eq!(
        invite.header("P-Preferred-Identity"),
        Some("<sip:+4912@localhost>")
    );
    // What the registrar is known to ask is answered in advance.
    assert!(invite.header("Authorization").is_some());
}

#[test]
fn rfc3325_9_2_who_is_known_by_no_other_name_prefers_that_of_from() {
    let mut sip = member(&[PROXY]);
    if let Some(upstream) = &mut sip.settings.upstream {
        upstream.registrar = None;
    }
    let to = "sip:bob@elsewhere.example";
    let (_, out) = ask(&mut sip, None, OutRequest::new(Method::Message, ALICE, to));
    let preferred = out.sent[0].1.header("P-Preferred-Identity");
    assert_eq!(preferred, Some("<sip:alice@localhost>"));
}

#[test]
fn rfc3325_5_only_proxies_vouch_for_somebody() {
    let mut sip = member(&[PROXY]);
    sip.add_local("alice");
    for (number, (peer, sender)) in [(PROXY, "<tel:+12025550101>"), (BOB, "<sip:bob@localhost>")]
        .into_iter()
        .enumerate()
    {
        let asserted = "P-Asserted-Identity: <tel:+12025550101>\r\n";
        let text = request("MESSAGE", ALICE, &number.to_string(), 1, asserted);
        let out = receive(&mut sip, udp(peer), &text);
        let [Event::Request { message, .. }] = &out.events[..] else {
            panic!("{out:?}");
        };
        assert_eq!(message.sender(), sender);
    }
}

#[test]
fn rfc5627_a_gruu_is_our_contact() {
    let mut sip = member(&[PROXY]);
    let (_, out) = register(&mut sip, "alice", None);
    let given = out.sent[0].1.header("Contact").unwrap().to_owned();
    let gruu = format!("Contact: {given};pub-gruu=\"sip:alice@localhost;gr=x\"\r\n");
    receive(
        &mut sip,
        udp(PROXY),
        &answer(&out.sent[0].1, 200, "r", &gruu),
    );
    let (_, out) = ask(
        &mut sip,
        None,
        OutRequest::new(Method::Invite, ALICE, "sip:bob@localhost"),
    );
    assert_eq!(
        out.sent[0].1.header("Contact"),
        Some("<sip:alice@localhost;gr=x>")
    );
}

#[test]
fn rfc3261_22_3_an_invite_meets_a_proxys_challenge_and_its_ack_repeats_the_proof() {
    let mut sip = gateway();
    let mut settings = sip.settings.clone();
    settings
        .secrets
        .by_realm
        .insert("p".to_owned(), secret("trunk", "pw"));
    settings.upstream = Some(Upstream {
        registrar: None,
        expires_s: 0,
        contact_params: Vec::new(),
        probe_ms: 0,
    });
    sip.settings = settings;
    sip.set_hops(vec![hop(PROXY)], NOW, &mut Vec::new());
    let (sent, out) = ask(
        &mut sip,
        None,
        OutRequest::new(Method::Invite, ALICE, "sip:bob@localhost"),
    );
    let asks = "Proxy-Authenticate: Digest realm=\"p\", nonce=\"n\"\r\n";
    let out = receive(
        &mut sip,
        udp(PROXY),
        &answer(&out.sent[0].1, 407, "b", asks),
    );
    assert_eq!(
        (out.lines(), out.events.len()),
        (vec!["ACK".into(), "INVITE".into()], 0)
    );
    let invite = out.sent[1].1.clone();
    assert_eq!(invite.header("CSeq"), Some("2 INVITE"));
    let proof = invite.header("Proxy-Authorization").unwrap().to_owned();
    let out = receive(&mut sip, udp(PROXY), &answer(&invite, 200, "b", CONTACT));
    assert!(matches!(out.events[..], [Event::Response { client, .. }] if client == sent.client));
    let mut actions = Vec::new();
    sip.ack(sent.dialog.unwrap(), NOW, &mut actions);
    let ack = Out::of(actions).sent.remove(0).1;
    assert_eq!(
        (ack.header("CSeq"), ack.header("Proxy-Authorization")),
        (Some("2 ACK"), Some(proof.as_str()))
    );
    // A BYE is challenged like any other request; its CSeq goes on.
    let (_, out) = ask(&mut sip, sent.dialog, OutRequest::in_dialog(Method::Bye));
    let bye = &out.sent[0].1;
    assert!(bye.header("Proxy-Authorization").is_some());
    let asks = asks.replace("\"n\"", "\"m\"");
    let out = receive(&mut sip, udp(BOB), &answer(bye, 407, "b", &asks));
    assert_eq!(out.sent[0].1.header("CSeq"), Some("4 BYE"));
    receive(&mut sip, udp(BOB), &answer(&out.sent[0].1, 200, "b", ""));
    assert_eq!(sip.held().dialogs, 0);
}

#[test]
fn nobody_registers_with_us_where_users_belong_to_another_registrar() {
    let text = request("REGISTER", "sip:localhost", "x", 1, "");
    assert_eq!(receive(&mut member(&[PROXY]), udp(BOB), &text).code(), 405);
}

#[test]
fn handsets_with_a_secret_prove_that_they_have_it() {
    let mut sip = gateway();
    sip.settings
        .handsets
        .insert("alice".to_owned(), secret("alice", "pw"));
    let text = request("REGISTER", "sip:localhost", "x", 1, "");
    let out = receive(&mut sip, udp(BOB), &text);
    let asked: Vec<_> = out.sent[0].1.header_lines("WWW-Authenticate").collect();
    assert!(
        out.code() == 401 && asked.len() == 2 && asked[0].contains("SHA-256"),
        "{asked:?}"
    );
    let challenge = &Challenge::all_of(&out.sent[0].1)[0];
    for (password, code) in [("pw", 200), ("wrong", 401)] {
        let proof = challenge
            .answer(
                &secret("alice", password),
                Asked {
                    method: "REGISTER",
                    uri: "sip:localhost",
                    body: &[],
                },
                1,
                "c",
            )
            .unwrap();
        let headers = format!("Authorization: {proof}\r\n");
        let text = request("REGISTER", "sip:localhost", password, 2, &headers);
        assert_eq!(receive(&mut sip, udp(BOB), &text).code(), code);
        // A nonce is good for five minutes.
        let mut actions = Vec::new();
        sip.receive(
            udp(BOB),
            text.replace("bK", "bKlate").as_bytes(),
            NOW + 300_001,
            &mut actions,
        );
        let late = Out::of(actions).sent.remove(0).1;
        assert_eq!(late.code(), 401);
        let is_stale = late
            .header("WWW-Authenticate")
            .unwrap()
            .contains("stale=true");
        assert_eq!(is_stale, code == 200);
    }
    let bob = request("INVITE", ALICE, "i", 1, "");
    assert_eq!(receive(&mut sip, udp(BOB), &bob).code(), 403);
    let stranger = bob
        .replace("<sip:bob@localhost>", "<sip:bob@example.com>")
        .replace("bKi", "bKj");
    assert_eq!(receive(&mut sip, udp(BOB), &stranger).code(), 100);
    let alice = bob
        .replace("<sip:bob@localhost>", "<sip:alice@localhost>")
        .replace("bKi", "bKk");
    assert_eq!(receive(&mut sip, udp(BOB), &alice).code(), 407);
}

#[test]
fn rfc7616_3_4_what_was_overheard_proves_nothing() {
    let mut sip = gateway();
    let alice = secret("alice", "pw");
    sip.settings
        .handsets
        .insert("alice".to_owned(), alice.clone());
    let text = request("REGISTER", "sip:localhost", "x", 1, "");
    let asked = receive(&mut sip, udp(BOB), &text).sent.remove(0).1;
    let challenge = &Challenge::all_of(&asked)[0];
    // As counted by who knows the password: twice the same, one more, one less.
    for (cseq, count, code) in [
        (2, 1, 200),
        (3, 1, 401),
        (4, 3, 200),
        (5, 2, 401),
        (6, 4, 200),
    ] {
        let asked = Asked {
            method: "REGISTER",
            uri: "sip:localhost",
            body: &[],
        };
        let proof = challenge.answer(&alice, asked, count, "c").unwrap();
        let headers = format!("Authorization: {proof}\r\n");
        let branch = format!("b{cseq}");
        let text = request("REGISTER", "sip:localhost", &branch, cseq, &headers);
        let out = receive(&mut sip, udp(BOB), &text);
        assert_eq!(out.code(), code, "{count}");
        let again = out.sent[0].1.header("WWW-Authenticate");
        assert!(code == 200 || again.unwrap().contains("stale=true"));
    }
}

#[test]
fn rfc7616_3_3_a_nonce_that_has_aged_is_replaced_at_a_refresh_and_the_new_one_used_from_then_on() {
    let mut sip = member(&[PROXY]);
    registered(&mut sip);
    let refresh = timeout(&mut sip, NOW + 300_000).sent.remove(0).1;
    let aged = CHALLENGE.replace("n1\"", "n2\", stale=true");
    let out = receive(&mut sip, udp(PROXY), &answer(&refresh, 401, "r", &aged));
    let says = |request: &Message, nonce: &str, count: &str| {
        let proof = request.header("Authorization").unwrap();
        assert_eq!(request.header_lines("Authorization").count(), 1);
        assert!(proof.contains(nonce) && proof.contains(count), "{proof}");
    };
    let again = &out.sent[0].1;
    says(again, "nonce=\"n2\"", "nc=00000001");
    assert_eq!(again.call_id(), refresh.call_id());
    let out = receive(&mut sip, udp(PROXY), &answer(again, 200, "r", GRANTED));
    assert!(out.events.is_empty(), "nobody notices");
    let at = sip
        .deadline()
        .filter(|at| *at > NOW + 64_000)
        .unwrap_or(NOW + 300_000);
    let next = timeout(&mut sip, at).sent.remove(0).1;
    says(&next, "nonce=\"n2\"", "nc=00000002");
}

#[test]
fn rfc5626_4_4_1_a_ping_by_datagram_is_no_message_and_is_not_answered() {
    let mut sip = gateway();
    for ping in ["\r\n\r\n", "\r\n", "\0"] {
        let out = receive(&mut sip, udp(BOB), ping);
        assert!(out.sent.is_empty() && out.events.is_empty(), "{ping:?}");
    }
    assert_eq!(sip.held(), Held::default());
}
