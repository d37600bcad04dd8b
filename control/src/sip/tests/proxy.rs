//! Handset to handset through the proxy, and the registrar behind it.

use super::*;

fn register(sip: &mut Sip, flow: Flow, user: &str, contact: &str) {
    let to = format!("To: <sip:{user}@localhost>\r\n");
    let text = request("REGISTER", "sip:localhost", user, 1, &to)
        .replace(
            "Contact: <sip:bob@10.0.0.2>",
            &format!("Contact: {contact}"),
        )
        .replace("Call-ID: c", &format!("Call-ID: {user}"));
    assert_eq!(receive(sip, flow, &text).code(), 200);
}

#[test]
fn a_call_between_handsets_of_two_transports_stays_on_both_connections() {
    let mut sip = gateway();
    let carol = tcp("10.0.0.3:40000", 7);
    register(&mut sip, udp(BOB), "bob", "<sip:bob@10.0.0.2>");
    register(&mut sip, carol, "carol", "<sip:carol@10.0.0.3>");
    let text = request(
        "INVITE",
        "sip:carol@localhost",
        "i",
        1,
        "To: <sip:carol@localhost>\r\n",
    );
    let out = receive(&mut sip, udp(BOB), &text);
    assert_eq!(
        (out.lines(), out.events.len()),
        (vec!["100".into(), "INVITE".into()], 0)
    );
    let (flow, invite) = &out.sent[1];
    assert_eq!((*flow, invite.request_uri()), (carol, "sip:carol@10.0.0.3"));
    assert_eq!(
        (
            invite.header("Max-Forwards"),
            invite.header_lines("Via").count()
        ),
        (Some("69"), 2)
    );
    let routes: Vec<&str> = invite.header_values("Record-Route").collect();
    assert!(
        routes.len() == 2 && routes[0].contains("transport=tcp"),
        "{routes:?}"
    );
    let ok = answer(invite, 200, "k", "Contact: <sip:carol@10.0.0.3>\r\n");
    let out = receive(&mut sip, carol, &ok);
    assert_eq!((out.sent[0].0, out.code()), (udp(BOB), 200));
    // Bob's ACK and BYE come by our Route and go on over carol's connection.
    let reversed: Vec<&str> = routes.iter().rev().copied().collect();
    let in_dialog = format!(
        "To: <sip:carol@localhost>;tag=k\r\nRoute: {}\r\n",
        reversed.join(", ")
    );
    for (method, cseq) in [("ACK", 1), ("BYE", 2)] {
        let text = request(method, "sip:carol@10.0.0.3", method, cseq, &in_dialog);
        let out = receive(&mut sip, udp(BOB), &text);
        assert_eq!(
            (out.sent[0].0, out.lines()),
            (carol, vec![method.to_owned()])
        );
        assert!(out.sent[0].1.header("Route").is_none());
    }
    // Her connection breaks: her BYE is lost, and so is she.
    let mut actions = Vec::new();
    sip.flow_lost(carol, NOW, &mut actions);
    assert_eq!(Out::of(actions).lines(), ["480"]);
    let text = request(
        "MESSAGE",
        "sip:carol@localhost",
        "m",
        9,
        "To: <sip:carol@localhost>\r\n",
    );
    let out = receive(&mut sip, udp(BOB), &text);
    assert_eq!(out.sent[0].0, udp("10.0.0.3:5060"));
}

#[test]
fn the_proxy_is_nobody_elses_and_counts_hops() {
    let mut sip = gateway();
    register(&mut sip, udp(BOB), "bob", "<sip:bob@10.0.0.2>");
    let to_bob = "To: <sip:bob@localhost>\r\n";
    let none = request("MESSAGE", "sip:bob@localhost", "z", 1, to_bob).replace(": 70", ": 0");
    assert_eq!(receive(&mut sip, udp(BOB), &none).code(), 483);
    let required = format!("{to_bob}Proxy-Require: x\r\n");
    let text = request("MESSAGE", "sip:bob@localhost", "r", 1, &required);
    assert_eq!(receive(&mut sip, udp(BOB), &text).code(), 420);
    let forged = "To: <sip:x@y>;tag=1\r\nRoute: <sip:guess@10.0.0.1:5060;lr>\r\n";
    let text = request("BYE", "sip:victim@192.0.2.7", "f", 1, forged);
    assert_eq!(receive(&mut sip, udp(BOB), &text).code(), 404);
    register(
        &mut sip,
        udp("10.0.0.1:7777"),
        "loop",
        "<sip:loop@10.0.0.1:5060>",
    );
    let text = request(
        "MESSAGE",
        "sip:loop@localhost",
        "l",
        1,
        "To: <sip:loop@localhost>\r\n",
    );
    let out = receive(&mut sip, udp("10.0.0.1:5060"), &text);
    assert_eq!(out.code(), 482);
}

#[test]
fn a_handset_that_never_answers_gives_its_caller_a_timeout() {
    let mut sip = gateway();
    register(
        &mut sip,
        udp("10.0.0.3:5060"),
        "carol",
        "<sip:carol@10.0.0.3>",
    );
    let text = request(
        "INVITE",
        "sip:carol@localhost",
        "i",
        1,
        "To: <sip:carol@localhost>\r\n",
    );
    receive(&mut sip, udp(BOB), &text);
    let mut actions = Vec::new();
    while let Some(at) = sip.deadline().filter(|at| *at <= NOW + 32_000) {
        sip.timeout(at, &mut actions);
    }
    assert!(Out::of(actions).lines().contains(&"408".to_owned()));
}

#[test]
fn an_expired_user_is_unavailable_and_an_unknown_one_not_found() {
    let mut sip = gateway();
    register(
        &mut sip,
        udp("10.0.0.3:5060"),
        "carol",
        "<sip:carol@10.0.0.3>;expires=60",
    );
    sip.timeout(NOW + 60_000, &mut Vec::new());
    let text = request(
        "MESSAGE",
        "sip:carol@localhost",
        "m",
        1,
        "To: <sip:carol@localhost>\r\n",
    );
    assert_eq!(receive(&mut sip, udp(BOB), &text).code(), 480);
    let message = OutRequest::new(Method::Message, ALICE, "sip:carol@localhost");
    assert_eq!(
        sip.request(None, message, NOW, &mut Vec::new()),
        Err(Refused::Unavailable)
    );
}

#[test]
fn rfc3325_5_what_handsets_say_of_themselves_and_networks_of_each_other_does_not_pass() {
    let mut sip = gateway();
    register(&mut sip, udp(BOB), "bob", "<sip:bob@10.0.0.2>");
    let asserted = "p-asserted-identity: <sip:boss@localhost>\r\nP-Charging-Vector: icid-value=1\r\n\
                    P-Preferred-Identity: <sip:alice@localhost>\r\nX-Other: y\r\n\
                    Proxy-Authorization: Digest username=\"a\", realm=\"localhost\", nonce=\"n\"\r\n\
                    Proxy-Authorization: Digest username=\"a\", realm=\"far\", nonce=\"n\"\r\n";
    let headers = format!("To: <sip:bob@localhost>\r\n{asserted}");
    let text = request("MESSAGE", "sip:bob@localhost", "i", 1, &headers);
    let out = receive(&mut sip, udp("10.0.0.4:5060"), &text);
    let passed = |message: &Message| {
        let names = message.headers.iter().map(|(name, _)| name.as_str());
        let further = names.filter(|name| {
            name.starts_with("P-") || name.starts_with("X-") || name.starts_with("Pro")
        });
        further.map(str::to_owned).collect::<Vec<_>>()
    };
    let forwarded = &out.sent[0].1;
    assert_eq!(
        passed(forwarded),
        ["P-Preferred-Identity", "X-Other", "Proxy-Authorization"]
    );
    assert!(
        forwarded
            .header("Proxy-Authorization")
            .unwrap()
            .contains("far")
    );
    let ok = answer(forwarded, 200, "k", asserted);
    let out = receive(&mut sip, udp(BOB), &ok);
    assert_eq!(
        passed(&out.sent[0].1),
        ["P-Preferred-Identity", "X-Other", "Proxy-Authorization"]
    );
}

#[test]
fn rfc3327_5_1_a_handset_behind_a_proxy_is_reached_by_the_path_of_its_registration() {
    let mut sip = gateway();
    let edge = udp("10.0.0.9:5070");
    let headers = "To: <sip:bob@localhost>\r\nPath: <sip:e1@10.0.0.9:5070;lr>\r\nRequire: path\r\n";
    let text = request("REGISTER", "sip:localhost", "r", 1, headers);
    assert_eq!(receive(&mut sip, edge, &text).code(), 200);
    // From another handset, through us.
    let to_bob = "To: <sip:bob@localhost>\r\n";
    let text = request("MESSAGE", "sip:bob@localhost", "m", 2, to_bob);
    let out = receive(&mut sip, udp("10.0.0.3:5060"), &text);
    let (flow, message) = &out.sent[0];
    assert_eq!((*flow, message.request_uri()), (edge, "sip:bob@10.0.0.2"));
    assert_eq!(message.header("Route"), Some("<sip:e1@10.0.0.9:5070;lr>"));
    // From the gateway.
    let message = OutRequest::new(
        Method::Message,
        "<sip:alice@localhost>",
        "<sip:bob@localhost>",
    );
    let (_, out) = ask(&mut sip, None, message);
    let (flow, message) = &out.sent[0];
    assert_eq!((*flow, message.request_uri()), (edge, "sip:bob@10.0.0.2"));
    assert_eq!(message.header("Route"), Some("<sip:e1@10.0.0.9:5070;lr>"));
}
