//! What changes, or keeps up, a session: re-INVITE, UPDATE, session timers, PRACK, forks.

use super::*;

const SDP: &str = "application/sdp";

/// A request of bob's with a body.
fn with_body(text: &str, body: &str) -> String {
    let typed = format!(
        "Content-Type: {SDP}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    text.replace("Content-Length: 0\r\n\r\n", &typed)
}

fn sdp(body: &str) -> Option<(String, Vec<u8>)> {
    Some((SDP.to_owned(), body.as_bytes().to_vec()))
}

fn timeout(sip: &mut Sip, now: Millis) -> Out {
    let mut actions = Vec::new();
    sip.timeout(now, &mut actions);
    Out::of(actions)
}

fn ack(sip: &mut Sip, dialog: DialogId) -> Out {
    let mut actions = Vec::new();
    sip.ack(dialog, NOW, &mut actions);
    Out::of(actions)
}

/// A call of alice to bob, offered and answered: its dialog, and bob's To and From lines for requests of his.
fn open(sip: &mut Sip, answered: &str) -> (DialogId, String) {
    let mut invite = OutRequest::new(Method::Invite, ALICE, "sip:bob@10.0.0.2");
    invite.content = sdp("ours");
    let (sent, out) = ask(sip, None, invite);
    let request = &out.sent[0].1;
    let ok = with_body(
        &answer(request, 200, "b", &format!("{CONTACT}{answered}")),
        "theirs",
    );
    assert!(matches!(
        receive(sip, udp(BOB), &ok).events[..],
        [Event::Response { .. }]
    ));
    let dialog = sent.dialog.unwrap();
    ack(sip, dialog);
    let from = request.header("From").unwrap().to_owned();
    let parties = format!(
        "From: <sip:bob@10.0.0.2>;tag=b\r\nTo: {from}\r\nCall-ID: {}\r\n",
        request.call_id()
    );
    (dialog, parties)
}

/// A request of bob's in that call.
fn inside(method: &str, branch: &str, cseq: u32, parties: &str, headers: &str) -> String {
    format!(
        "{method} sip:alice@10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK{branch}\r\n\
         {parties}CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{CONTACT}{headers}Content-Length: 0\r\n\r\n"
    )
}

/// Whether nothing else is told than that.
fn refreshed(out: &Out) -> bool {
    matches!(out.events[..], [Event::Refreshed { .. }])
}

#[test]
fn rfc4028_8_a_refresh_changes_nothing_and_is_answered_with_what_was_sent_last() {
    let mut sip = gateway();
    let (_, parties) = open(&mut sip, "");
    let refresh = with_body(&inside("INVITE", "r", 1, &parties, ""), "theirs");
    let out = receive(&mut sip, udp(BOB), &refresh);
    assert_eq!((out.code(), refreshed(&out)), (200, true));
    assert_eq!(out.sent.last().unwrap().1.body, b"ours");
    receive(&mut sip, udp(BOB), &inside("ACK", "s", 1, &parties, ""));
    let out = receive(&mut sip, udp(BOB), &inside("UPDATE", "t", 2, &parties, ""));
    assert_eq!((out.code(), refreshed(&out)), (200, true));
    assert!(out.sent[0].1.body.is_empty() && out.sent[0].1.header("Contact").is_some());
    // Without an offer, ours is made again. RFC 3261, 14.2.
    let out = receive(&mut sip, udp(BOB), &inside("INVITE", "u", 3, &parties, ""));
    assert_eq!(
        (out.code(), out.sent.last().unwrap().1.body.as_slice()),
        (200, &b"ours"[..])
    );
}

#[test]
fn rfc3311_5_2_a_change_is_told_and_what_crosses_it_is_refused() {
    let mut sip = gateway();
    let (dialog, parties) = open(&mut sip, "");
    let change = with_body(&inside("UPDATE", "u", 1, &parties, ""), "other");
    let out = receive(&mut sip, udp(BOB), &change);
    let [Event::Request { server, .. }] = out.events[..] else {
        panic!("{out:?}");
    };
    let again = with_body(&inside("UPDATE", "v", 2, &parties, ""), "third");
    let out = receive(&mut sip, udp(BOB), &again);
    assert_eq!(
        (out.code(), out.sent[0].1.header("Retry-After").is_some()),
        (500, true)
    );
    let mut update = OutRequest::in_dialog(Method::Update);
    update.content = sdp("mine");
    let pending = sip.request(Some(dialog), update.clone(), NOW, &mut Vec::new());
    assert_eq!(pending, Err(Refused::Pending));
    // RFC 3264, 8: what is refused changes nothing.
    assert_eq!(respond(&mut sip, server, 488).code(), 488);
    let refresh = with_body(&inside("UPDATE", "w", 3, &parties, ""), "theirs");
    assert_eq!(receive(&mut sip, udp(BOB), &refresh).code(), 200);
    ask(&mut sip, Some(dialog), update);
    let crossing = with_body(&inside("UPDATE", "x", 4, &parties, ""), "other");
    assert_eq!(receive(&mut sip, udp(BOB), &crossing).code(), 491);
    let refresh = inside("UPDATE", "y", 5, &parties, "");
    assert_eq!(receive(&mut sip, udp(BOB), &refresh).code(), 200);
}

#[test]
fn rfc3261_14_1_our_change_that_crossed_is_sent_again_after_a_pause() {
    let mut sip = gateway();
    let (dialog, _) = open(&mut sip, "");
    let mut invite = OutRequest::in_dialog(Method::Invite);
    invite.content = sdp("new");
    let (sent, out) = ask(&mut sip, Some(dialog), invite);
    let out = receive(&mut sip, udp(BOB), &answer(&out.sent[0].1, 491, "", ""));
    assert_eq!((out.lines(), out.events.len()), (vec!["ACK".to_owned()], 0));
    // We made the Call-ID: 2.1 to 4 s.
    let again = timeout(&mut sip, NOW + 4_000);
    let invite = again
        .sent
        .iter()
        .find(|(_, message)| message.method() == Method::Invite);
    let invite = &invite.expect("sent again").1;
    assert_eq!(
        (invite.header("CSeq"), invite.body.as_slice()),
        (Some("3 INVITE"), &b"new"[..])
    );
    assert!(timeout(&mut gateway(), NOW + 2_000).sent.is_empty());
    let ok = with_body(&answer(invite, 200, "", CONTACT), "theirs");
    let out = receive(&mut sip, udp(BOB), &ok);
    assert!(matches!(out.events[..], [Event::Response { client, .. }] if client == sent.client));
}

#[test]
fn rfc4028_7_we_refresh_half_way_and_a_peer_that_has_forgotten_ends_the_call() {
    for (allow, method) in [
        ("Allow: INVITE, UPDATE\r\n", Method::Update),
        ("", Method::Invite),
    ] {
        let mut sip = gateway();
        let granted = format!("Session-Expires: 100;refresher=uac\r\n{allow}");
        let (dialog, _) = open(&mut sip, &granted);
        let out = timeout(&mut sip, NOW + 50_000);
        let refresh = out.sent.last().unwrap().1.clone();
        assert_eq!(refresh.method(), method);
        assert_eq!(refresh.header("Session-Expires"), Some("100;refresher=uac"));
        assert_eq!(refresh.body.is_empty(), method == Method::Update);
        let mut actions = Vec::new();
        let text = answer(&refresh, 200, "", &format!("{CONTACT}{granted}"));
        sip.receive(udp(BOB), text.as_bytes(), NOW + 50_001, &mut actions);
        let out = Out::of(actions);
        let acked = if method == Method::Invite {
            vec!["ACK".to_owned()]
        } else {
            Vec::new()
        };
        assert_eq!((out.lines(), out.events.len()), (acked, 0));
        let out = timeout(&mut sip, NOW + 100_001);
        let refresh = out.sent.last().unwrap().1.clone();
        let mut actions = Vec::new();
        sip.receive(
            udp(BOB),
            answer(&refresh, 481, "", "").as_bytes(),
            NOW + 100_002,
            &mut actions,
        );
        let cause = EndCause::PeerForgot;
        assert_eq!(Out::of(actions).events, [Event::Ended { dialog, cause }]);
    }
}

#[test]
fn rfc4028_10_a_session_that_the_peer_does_not_refresh_is_ended_before_it_has_run_out() {
    let mut sip = gateway();
    let (dialog, parties) = open(&mut sip, "Session-Expires: 120;refresher=uas\r\n");
    assert!(timeout(&mut sip, NOW + 80_000).events.is_empty());
    let mut actions = Vec::new();
    let headers = "Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n";
    let text = inside("UPDATE", "u", 1, &parties, headers);
    sip.receive(udp(BOB), text.as_bytes(), NOW + 80_000, &mut actions);
    let ok = Out::of(actions).sent.remove(0).1;
    assert_eq!(ok.header("Session-Expires"), Some("120;refresher=uac"));
    assert_eq!(ok.header("Require"), Some("timer"));
    assert!(timeout(&mut sip, NOW + 167_999).events.is_empty());
    let out = timeout(&mut sip, NOW + 168_000);
    let cause = EndCause::PeerForgot;
    assert_eq!(out.events, [Event::Ended { dialog, cause }]);
    assert_eq!(out.lines().last().unwrap(), "BYE");
}

#[test]
fn rfc4028_6_a_session_that_is_too_short_is_lengthened_once() {
    let mut sip = gateway();
    let (_, invite) = invited(&mut sip);
    assert_eq!(invite.header("Session-Expires"), Some("1800"));
    let out = receive(
        &mut sip,
        udp(BOB),
        &answer(&invite, 422, "b", "Min-SE: 3600\r\n"),
    );
    let again = &out.sent[1].1;
    assert_eq!(
        (again.header("Session-Expires"), again.header("Min-SE")),
        (Some("3600"), Some("3600"))
    );
    let out = receive(
        &mut sip,
        udp(BOB),
        &answer(again, 422, "b", "Min-SE: 7200\r\n"),
    );
    assert!(matches!(out.events[..], [Event::Response { .. }]));
}

#[test]
fn rfc4028_9_whoever_knows_timers_refreshes_and_else_we_do() {
    for (headers, granted) in [
        (
            "Supported: timer\r\nSession-Expires: 600\r\n",
            "600;refresher=uac",
        ),
        (
            "Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n",
            "600;refresher=uas",
        ),
        (
            "Session-Expires: 600\r\nMin-SE: 300\r\n",
            "600;refresher=uas",
        ),
        (
            "Supported: timer\r\nSession-Expires: 90000\r\n",
            "1800;refresher=uac",
        ),
        ("", "1800;refresher=uas"),
    ] {
        let mut sip = gateway();
        let out = receive(
            &mut sip,
            udp(BOB),
            &request("INVITE", ALICE, "i", 1, headers),
        );
        let [Event::Request { server, .. }] = out.events[..] else {
            panic!("{out:?}");
        };
        let out = respond(&mut sip, server, 200);
        assert_eq!(
            out.sent[0].1.header("Session-Expires"),
            Some(granted),
            "{headers}"
        );
    }
}

#[test]
fn rfc3262_4_reliable_answers_of_every_branch_are_acknowledged_once_and_in_order() {
    let mut sip = gateway();
    let mut invite = OutRequest::new(Method::Invite, ALICE, "sip:bob@10.0.0.2");
    invite.content = sdp("ours");
    let (_, out) = ask(&mut sip, None, invite);
    let invite = out.sent[0].1.clone();
    let progress = |tag: &str, number: u32, body: &str| {
        let headers = format!(
            "{CONTACT}Require: 100rel\r\nRSeq: {number}\r\nRecord-Route: <sip:10.0.0.7;lr>\r\n"
        );
        let text = answer(&invite, 183, tag, &headers);
        if body.is_empty() {
            text
        } else {
            with_body(&text, body)
        }
    };
    let out = receive(&mut sip, udp(BOB), &progress("one", 7, "answer"));
    let prack = &out.sent[0].1;
    assert_eq!(
        (prack.method(), prack.header("RAck")),
        (Method::Prack, Some("7 1 INVITE"))
    );
    assert!(prack.header("To").unwrap().ends_with(";tag=one"));
    assert_eq!(prack.header("Route"), Some("<sip:10.0.0.7;lr>"));
    assert_eq!(out.events.len(), 1);
    // Repeated, and one too far: nothing.
    for number in [7, 9] {
        let out = receive(&mut sip, udp(BOB), &progress("one", number, ""));
        assert_eq!((out.sent.len(), out.events.len()), (0, 0));
    }
    let out = receive(&mut sip, udp(BOB), &progress("two", 1, "other"));
    assert_eq!(out.sent[0].1.header("RAck"), Some("1 1 INVITE"));
    let out = receive(&mut sip, udp(BOB), &progress("one", 8, ""));
    assert_eq!(out.sent[0].1.header("RAck"), Some("8 1 INVITE"));
    // The answer was given before: the 2xx of that branch need not repeat it.
    let out = receive(&mut sip, udp(BOB), &answer(&invite, 200, "one", CONTACT));
    let [Event::Response { message, .. }] = &out.events[..] else {
        panic!("{out:?}");
    };
    assert_eq!(
        (message.content_type(), message.body.as_slice()),
        (Some(SDP), &b"answer"[..])
    );
    // The other branch comes late: it is acknowledged and ended.
    let out = receive(&mut sip, udp(BOB), &answer(&invite, 200, "two", CONTACT));
    assert_eq!(
        (out.lines(), out.events.len()),
        (vec!["ACK".into(), "BYE".into()], 0)
    );
}

#[test]
fn rfc3262_3_our_ringing_is_repeated_until_its_prack_and_the_next_one_waits() {
    let mut sip = gateway();
    let out = receive(
        &mut sip,
        udp(BOB),
        &request("INVITE", ALICE, "i", 1, "Require: 100rel\r\n"),
    );
    let [Event::Request { server, .. }] = out.events[..] else {
        panic!("{out:?}");
    };
    let out = respond(&mut sip, server, 180);
    let ringing = out.sent[0].1.clone();
    assert_eq!(ringing.header("Require"), Some("100rel"));
    let number = ringing.header("RSeq").unwrap().to_owned();
    assert!(respond(&mut sip, server, 183).sent.is_empty(), "it waits");
    for at in [500, 1_500, 3_500] {
        assert_eq!(
            timeout(&mut sip, NOW + at).sent,
            [(udp(BOB), ringing.clone())]
        );
    }
    let to = format!("To: {}\r\n", ringing.header("To").unwrap());
    let wrong = request("PRACK", ALICE, "p", 2, &format!("{to}RAck: 1 1 INVITE\r\n"));
    assert_eq!(receive(&mut sip, udp(BOB), &wrong).code(), 481);
    let right = request(
        "PRACK",
        ALICE,
        "q",
        3,
        &format!("{to}RAck: {number} 1 INVITE\r\n"),
    );
    let out = receive(&mut sip, udp(BOB), &right);
    assert_eq!(out.lines(), ["200", "183"]);
    // Nobody acknowledges that one: the call is given up. RFC 3262, 3.
    let mut ended = Vec::new();
    while let Some(at) = sip.deadline().filter(|at| *at <= NOW + 32_000) {
        ended.extend(timeout(&mut sip, at).events);
    }
    assert_eq!(ended, [Event::Cancelled { server }]);
    assert_eq!(sip.held().dialogs, 0);
}
