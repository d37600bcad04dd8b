//! The machine against peers written out by hand: what the simulation does not meet.

mod changes;
mod events;
mod hops;
mod proxy;
mod registrations;
mod restarted;

use super::*;
use crate::backlog::is_late;

const NOW: Millis = 10_000;

/// The machine at 10.0.0.1, registrar of `localhost`, with the browser user `alice`.
fn gateway() -> Sip {
    let mut sip = Sip::new(
        Settings::new("localhost", "10.0.0.1:5060".parse().unwrap()),
        [5; 32],
    );
    sip.add_local("alice");
    sip
}

fn udp(peer: &str) -> Flow {
    Flow {
        transport: SipTransport::Udp,
        peer: peer.parse().unwrap(),
        connection: None,
    }
}

fn tcp(peer: &str, connection: u64) -> Flow {
    let connection = Some(connection);
    Flow {
        transport: SipTransport::Tcp,
        peer: peer.parse().unwrap(),
        connection,
    }
}

/// What came out: messages with their flows, and events.
#[derive(Debug, Default)]
struct Out {
    sent: Vec<(Flow, Message)>,
    events: Vec<Event>,
    /// Connections that are to be kept alive, and the pause between two pings.
    kept: Vec<(Flow, Millis)>,
}

impl Out {
    fn of(actions: Vec<Action>) -> Out {
        let mut out = Out::default();
        for action in actions {
            match action {
                Action::Event(event) => out.events.push(event),
                Action::KeepAlive { flow, every_ms } => out.kept.push((flow, every_ms)),
                Action::Transmit { flow, bytes } => {
                    out.sent.push((flow, reader::read(&bytes).unwrap().0));
                }
            }
        }
        out
    }

    /// Codes of responses, methods of requests.
    fn lines(&self) -> Vec<String> {
        let line = |message: &Message| match message.is_request() {
            true => message.method().to_string(),
            false => message.code().to_string(),
        };
        self.sent.iter().map(|(_, message)| line(message)).collect()
    }

    fn code(&self) -> u16 {
        self.sent.last().map_or(0, |(_, message)| message.code())
    }
}

fn receive(sip: &mut Sip, flow: Flow, text: &str) -> Out {
    let mut actions = Vec::new();
    sip.receive(flow, text.as_bytes(), NOW, &mut actions);
    sip.begin(NOW, &mut actions);
    Out::of(actions)
}

fn respond(sip: &mut Sip, server: ServerId, code: u16) -> Out {
    let mut actions = Vec::new();
    sip.respond(server, OutResponse::new(code), NOW, &mut actions)
        .unwrap();
    Out::of(actions)
}

fn ask(sip: &mut Sip, dialog: Option<DialogId>, request: OutRequest) -> (Sent, Out) {
    let mut actions = Vec::new();
    let sent = sip.request(dialog, request, NOW, &mut actions).unwrap();
    (sent, Out::of(actions))
}

/// A request of bob (10.0.0.2); `headers` are further lines.
fn request(method: &str, uri: &str, branch: &str, cseq: u32, headers: &str) -> String {
    let to = if headers.contains("To:") {
        ""
    } else {
        "To: <sip:alice@localhost>\r\n"
    };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK{branch}\r\n\
         From: <sip:bob@localhost>;tag=b\r\n{to}Call-ID: c\r\nCSeq: {cseq} {method}\r\n\
         Max-Forwards: 70\r\nContact: <sip:bob@10.0.0.2>\r\n{headers}Content-Length: 0\r\n\r\n"
    )
}

/// The answer of bob to a request of ours.
fn answer(request: &Message, code: u16, tag: &str, headers: &str) -> String {
    let line = |name: &str| {
        let values: Vec<&str> = request.header_lines(name).collect();
        format!("{name}: {}\r\n", values.join(", "))
    };
    let to = request.header("To").unwrap();
    let tag = if to.contains("tag=") {
        String::new()
    } else {
        format!(";tag={tag}")
    };
    format!(
        "SIP/2.0 {code} X\r\n{}{}To: {to}{tag}\r\n{}{}{headers}Content-Length: 0\r\n\r\n",
        line("Via"),
        line("From"),
        line("Call-ID"),
        line("CSeq")
    )
}

const BOB: &str = "10.0.0.2:5060";
const ALICE: &str = "sip:alice@localhost";
const CONTACT: &str = "Contact: <sip:bob@10.0.0.2>\r\n";

/// A call of bob that alice has accepted, without its ACK: the dialog, and bob's To line.
fn accepted(sip: &mut Sip) -> (DialogId, String) {
    let out = receive(sip, udp(BOB), &request("INVITE", ALICE, "i", 1, ""));
    let [
        Event::Request {
            server,
            dialog: Some(dialog),
            message,
        },
    ] = &out.events[..]
    else {
        panic!("{out:?}");
    };
    assert!(!message.in_dialog() && out.code() == 100);
    let out = respond(sip, *server, 200);
    let to = format!("To: {}\r\n", out.sent[0].1.header("To").unwrap());
    (*dialog, to)
}

/// A call of alice to bob, with what was sent.
fn invited(sip: &mut Sip) -> (Sent, Message) {
    let invite = OutRequest::new(Method::Invite, ALICE, "sip:bob@10.0.0.2");
    let (sent, out) = ask(sip, None, invite);
    (sent, out.sent[0].1.clone())
}

#[test]
fn what_cannot_be_served_has_a_definite_answer() {
    let mut sip = gateway();
    for (method, uri, headers, code) in [
        ("OPTIONS", "sip:10.0.0.1", "", 200),
        ("OPTIONS", "sip:localhost", "", 200),
        ("MESSAGE", "sip:localhost", "", 405),
        ("FROB", "sip:localhost", "", 501),
        ("FROB", ALICE, "", 501),
        ("SUBSCRIBE", ALICE, "", 489),
        ("REFER", ALICE, "", 400),
        ("PUBLISH", ALICE, "", 405),
        ("NOTIFY", ALICE, "", 481),
        ("UPDATE", ALICE, "", 481),
        ("PRACK", ALICE, "", 481),
        ("BYE", ALICE, "", 481),
        ("BYE", ALICE, "To: <sip:alice@localhost>;tag=x\r\n", 481),
        ("INVITE", ALICE, "To: <sip:alice@localhost>;tag=x\r\n", 481),
        ("CANCEL", ALICE, "", 481),
        ("INVITE", ALICE, "Require: precondition\r\n", 420),
        ("INVITE", ALICE, "Session-Expires: 60\r\n", 422),
        ("INVITE", "sip:nobody@localhost", "", 404),
        ("INVITE", "sip:a@example.com", "", 404),
        ("INVITE", "tel:+1", "", 416),
        ("INVITE", "sips:alice@localhost", "", 416),
        (
            "REGISTER",
            "sip:localhost",
            "To: <sip:bob@example.com>\r\n",
            404,
        ),
    ] {
        let text = request(method, uri, &format!("{method}{code}"), 1, headers);
        let out = receive(&mut sip, udp(BOB), &text);
        assert_eq!((out.code(), out.events.len()), (code, 0), "{method} {uri}");
        assert!(out.sent[0].1.header("To").unwrap().contains(";tag="));
        let again = receive(&mut sip, udp(BOB), &text);
        assert_eq!(
            again.sent[0].1.header("To"),
            out.sent[0].1.header("To"),
            "{method} {uri}"
        );
    }
    let out = receive(&mut sip, udp(BOB), &request("ACK", ALICE, "x", 1, ""));
    assert!(out.sent.is_empty() && out.events.is_empty());
}

#[test]
fn the_answer_to_extensions_names_them_all() {
    let text = request("INVITE", ALICE, "x", 1, "Require: a, b\r\nRequire: c\r\n");
    let out = receive(&mut gateway(), udp(BOB), &text);
    assert_eq!(out.sent[0].1.header("Unsupported"), Some("a, b, c"));
}

/// A new request of bob's that is no repetition of another.
fn new_request(method: &str, n: u32) -> String {
    let text = request(method, ALICE, &format!("n{n}"), 1, "");
    text.replace("Call-ID: c", &format!("Call-ID: n{n}"))
}

/// What comes in while there is other work: nothing new is begun.
fn receive_busy(sip: &mut Sip, text: &str) -> Out {
    let mut actions = Vec::new();
    sip.receive(udp(BOB), text.as_bytes(), NOW, &mut actions);
    Out::of(actions)
}

#[test]
fn rfc3261_21_5_4_new_work_waits_for_what_was_begun_and_is_turned_away_if_it_waits_too_long() {
    let mut sip = gateway();
    let (dialog, to) = accepted(&mut sip);
    for n in 0..3 {
        let out = receive_busy(&mut sip, &new_request("INVITE", n));
        assert!(out.sent.is_empty() && out.events.is_empty());
    }
    // What was begun is taken at once, and so are a ping and a registration.
    let ack = request("ACK", ALICE, "a", 1, &to);
    assert_eq!(
        receive_busy(&mut sip, &ack).events,
        [Event::Acked { dialog }]
    );
    let ping = request("OPTIONS", "sip:localhost", "o", 1, "");
    assert_eq!(receive_busy(&mut sip, &ping).code(), 200);
    // One that is said again is the same one.
    receive_busy(&mut sip, &new_request("INVITE", 0));
    assert_eq!(sip.held().waiting, 3);
    let mut actions = Vec::new();
    assert!(sip.begin(NOW, &mut actions));
    let out = Out::of(actions);
    assert!(matches!(out.events[..], [Event::Request { .. }]));
    let mut now = NOW;
    while !sip.waited(now).is_some_and(is_late) {
        now += 10;
    }
    let mut actions = Vec::new();
    while sip.begin(now, &mut actions) {}
    let out = Out::of(actions);
    assert_eq!(out.lines(), ["503", "503"]);
    let waits: Vec<_> = out
        .sent
        .iter()
        .map(|sent| sent.1.header("Retry-After"))
        .collect();
    assert_eq!(waits, [Some("2"), Some("3")]);
    assert_eq!((sip.held().waiting, sip.turned_away()), (0, 2));
    // It may ask again.
    let out = receive(&mut sip, udp(BOB), &new_request("INVITE", 1));
    assert!(matches!(out.events[..], [Event::Request { .. }]));
    let bye = request("BYE", ALICE, "b", 2, &to);
    assert!(matches!(
        receive_busy(&mut sip, &bye).events[..],
        [Event::Request { .. }]
    ));
}

#[test]
fn rfc3261_9_2_what_still_waits_can_be_cancelled() {
    let mut sip = gateway();
    receive_busy(&mut sip, &new_request("INVITE", 1));
    let out = receive_busy(&mut sip, &new_request("CANCEL", 1));
    assert_eq!(out.lines(), ["100", "200", "487"]);
    assert_eq!(sip.held().waiting, 0);
    assert!(!sip.begin(NOW, &mut Vec::new()));
}

#[test]
fn a_source_that_asks_for_more_than_its_share_is_turned_away_alone() {
    let mut sip = gateway();
    let refused = (0..500)
        .map(|n| receive(&mut sip, udp(BOB), &new_request("OPTIONS", n)))
        .filter(|out| out.code() == 503 && out.sent[0].1.header("Retry-After") == Some("10"));
    assert_eq!(refused.count(), 100);
    assert_ne!(
        receive(
            &mut sip,
            udp("10.0.0.3:5060"),
            &new_request("OPTIONS", 1_000)
        )
        .code(),
        503
    );
}

#[test]
fn a_full_machine_answers_503_and_loses_nothing() {
    let mut settings = Settings::new("localhost", "10.0.0.1:5060".parse().unwrap());
    settings.limits.transactions = 2;
    settings.limits.dialogs = 1;
    let mut sip = Sip::new(settings, [5; 32]);
    sip.add_local("alice");
    let (dialog, to) = accepted(&mut sip);
    let second = request("INVITE", ALICE, "2", 1, "").replace("Call-ID: c", "Call-ID: d");
    assert_eq!(receive(&mut sip, udp(BOB), &second).code(), 503);
    let invite = OutRequest::new(Method::Invite, ALICE, "sip:bob@10.0.0.2");
    let refused = sip.request(None, invite, NOW, &mut Vec::new());
    assert_eq!(refused, Err(Refused::Full));
    let out = receive(&mut sip, udp(BOB), &request("ACK", ALICE, "a", 1, &to));
    assert_eq!(out.events, [Event::Acked { dialog }]);
    receive(
        &mut sip,
        udp(BOB),
        &request("OPTIONS", ALICE, "o", 1, "").replace("Call-ID: c", "Call-ID: e"),
    );
    let out = receive(
        &mut sip,
        udp(BOB),
        &request("INFO", "sip:alice@10.0.0.1:5060", "n", 2, &to),
    );
    assert_eq!(
        (out.code(), out.sent[0].1.header("Retry-After")),
        (503, Some("5"))
    );
}

#[test]
fn a_reinvite_comes_with_its_dialog_and_moves_the_target() {
    let mut sip = gateway();
    let (dialog, to) = accepted(&mut sip);
    let text =
        request("INVITE", ALICE, "r", 2, &to).replace("sip:bob@10.0.0.2>", "sip:bob@10.0.0.9>");
    // Our 2xx has no ACK yet.
    assert_eq!(
        receive(&mut sip, udp(BOB), &text.replace("bKr", "bKq")).code(),
        500
    );
    receive(&mut sip, udp(BOB), &request("ACK", ALICE, "a", 1, &to));
    let out = receive(&mut sip, udp(BOB), &text);
    let [
        Event::Request {
            server,
            dialog: Some(of),
            message,
        },
    ] = &out.events[..]
    else {
        panic!("{out:?}");
    };
    assert!(*of == dialog && message.in_dialog());
    assert_eq!(
        sip.request(
            Some(dialog),
            OutRequest::in_dialog(Method::Invite),
            NOW,
            &mut Vec::new()
        ),
        Err(Refused::Pending)
    );
    assert_eq!(respond(&mut sip, *server, 488).code(), 488);
    let stale = request("INFO", ALICE, "s", 2, &to);
    assert_eq!(receive(&mut sip, udp(BOB), &stale).code(), 500);
    let (_, out) = ask(&mut sip, Some(dialog), OutRequest::in_dialog(Method::Info));
    assert_eq!(out.sent[0].1.request_uri(), "sip:bob@10.0.0.9");
}

#[test]
fn invites_that_cross_in_a_dialog_are_refused_491() {
    let mut sip = gateway();
    let (dialog, to) = accepted(&mut sip);
    receive(&mut sip, udp(BOB), &request("ACK", ALICE, "a", 1, &to));
    ask(
        &mut sip,
        Some(dialog),
        OutRequest::in_dialog(Method::Invite),
    );
    assert_eq!(
        receive(&mut sip, udp(BOB), &request("INVITE", ALICE, "r", 2, &to)).code(),
        491
    );
}

#[test]
fn rfc3261_15_a_bye_of_the_callee_waits_for_the_ack() {
    let mut sip = gateway();
    let (dialog, to) = accepted(&mut sip);
    let (sent, out) = ask(&mut sip, Some(dialog), OutRequest::in_dialog(Method::Bye));
    assert!(out.sent.is_empty());
    let out = receive(&mut sip, udp(BOB), &request("ACK", ALICE, "a", 1, &to));
    assert_eq!(
        (out.events.clone(), out.lines()),
        (vec![Event::Acked { dialog }], vec!["BYE".to_owned()])
    );
    let out = receive(&mut sip, udp(BOB), &answer(&out.sent[0].1, 200, "", ""));
    assert!(matches!(out.events[..], [Event::Response { client, .. }] if client == sent.client));
    assert_eq!(sip.held().dialogs, 0);
}

#[test]
fn a_2xx_that_is_never_acknowledged_is_repeated_and_then_ends_the_dialog() {
    let mut sip = gateway();
    let (dialog, _) = accepted(&mut sip);
    let mut actions = Vec::new();
    while let Some(at) = sip.deadline().filter(|at| *at <= NOW + 32_000) {
        sip.timeout(at, &mut actions);
    }
    let out = Out::of(actions);
    let ended = Event::Ended {
        dialog,
        cause: EndCause::NoAck,
    };
    assert_eq!(out.events, [ended]);
    let lines = out.lines();
    assert!(lines[..lines.len() - 1].iter().all(|line| line == "200") && lines.len() > 8);
    assert_eq!(lines.last().unwrap(), "BYE");
}

#[test]
fn a_repeated_2xx_is_acknowledged_again_and_a_fork_is_hung_up() {
    let mut sip = gateway();
    let (sent, invite) = invited(&mut sip);
    let routes = "Record-Route: <sip:p2;lr>, <sip:10.0.0.7;lr>\r\n";
    let ok = answer(&invite, 200, "b1", &format!("{routes}{CONTACT}"));
    let out = receive(&mut sip, udp(BOB), &ok);
    assert!(matches!(out.events[..], [Event::Response { .. }]) && out.sent.is_empty());
    // The gateway has not ordered the ACK, so a repetition changes nothing.
    let out = receive(&mut sip, udp(BOB), &ok);
    assert!(out.events.is_empty() && out.sent.is_empty());
    let mut actions = Vec::new();
    sip.ack(sent.dialog.unwrap(), NOW, &mut actions);
    let first = Out::of(actions).sent;
    assert_eq!(
        first[0].1.header_values("Route").collect::<Vec<_>>(),
        ["<sip:10.0.0.7;lr>", "<sip:p2;lr>"]
    );
    let again = receive(&mut sip, udp(BOB), &ok);
    assert_eq!(again.sent, first);
    let out = receive(&mut sip, udp(BOB), &answer(&invite, 200, "b2", CONTACT));
    assert_eq!(
        (out.lines(), out.events.len()),
        (vec!["ACK".to_owned(), "BYE".to_owned()], 0)
    );
    assert!(out.sent[1].1.header("To").unwrap().ends_with(";tag=b2"));
    receive(&mut sip, udp(BOB), &answer(&out.sent[1].1, 200, "", ""));
    assert_eq!(sip.held().dialogs, 1);
}

#[test]
fn rfc3261_9_1_a_cancel_waits_for_a_provisional_and_a_2xx_that_crosses_it_is_hung_up() {
    let mut sip = gateway();
    let (sent, invite) = invited(&mut sip);
    let mut actions = Vec::new();
    sip.cancel(sent.client, NOW, &mut actions);
    assert!(actions.is_empty());
    let out = receive(&mut sip, udp(BOB), &answer(&invite, 100, "b", ""));
    assert_eq!(
        (out.lines(), out.events.len()),
        (vec!["CANCEL".to_owned()], 0)
    );
    let cancel = &out.sent[0].1;
    assert_eq!(
        (cancel.header("Via"), cancel.header("To")),
        (invite.header("Via"), invite.header("To"))
    );
    let out = receive(&mut sip, udp(BOB), &answer(&invite, 200, "b", CONTACT));
    assert_eq!(
        out.events,
        [Event::Failed {
            client: sent.client,
            cause: Failure::Cancelled
        }]
    );
    assert_eq!(out.lines(), ["ACK", "BYE"]);
}

#[test]
fn a_bye_before_the_answer_ends_the_call() {
    let mut sip = gateway();
    let out = receive(&mut sip, udp(BOB), &request("INVITE", ALICE, "i", 1, ""));
    let [Event::Request { server, .. }] = out.events[..] else {
        panic!("{out:?}");
    };
    let out = respond(&mut sip, server, 180);
    let to = format!("To: {}\r\n", out.sent[0].1.header("To").unwrap());
    let out = receive(&mut sip, udp(BOB), &request("BYE", ALICE, "b", 2, &to));
    assert_eq!(
        (out.lines(), out.events.clone()),
        (
            vec!["487".into(), "200".into()],
            vec![Event::Cancelled { server }]
        )
    );
    assert_eq!(sip.held().dialogs, 0);
}

#[test]
fn answers_that_are_not_ours_are_dropped() {
    let mut sip = gateway();
    let (_, invite) = invited(&mut sip);
    let good = answer(&invite, 180, "b", "");
    for (from, to) in [
        ("10.0.0.1:5060", "10.0.0.3:5060"),
        ("z9hG4bK", "z9hG4bKx"),
        ("1 INVITE", "1 BYE"),
    ] {
        let out = receive(&mut sip, udp(BOB), &good.replace(from, to));
        assert!(out.events.is_empty(), "{from}");
    }
    assert_eq!(receive(&mut sip, udp(BOB), &good).events.len(), 1);
}

#[test]
fn a_dialog_whose_peer_knows_it_no_more_ends() {
    let mut sip = gateway();
    let (dialog, to) = accepted(&mut sip);
    receive(&mut sip, udp(BOB), &request("ACK", ALICE, "a", 1, &to));
    let (_, out) = ask(&mut sip, Some(dialog), OutRequest::in_dialog(Method::Info));
    let out = receive(&mut sip, udp(BOB), &answer(&out.sent[0].1, 481, "", ""));
    assert_eq!(
        out.events[1],
        Event::Ended {
            dialog,
            cause: EndCause::PeerForgot
        }
    );
    let bye = sip.request(
        Some(dialog),
        OutRequest::in_dialog(Method::Bye),
        NOW,
        &mut Vec::new(),
    );
    assert_eq!(bye, Err(Refused::DialogUnknown));
}

#[test]
fn what_the_gateway_may_not_ask_is_refused() {
    let mut sip = gateway();
    let mut ask = |to: &str, method: Method| {
        sip.request(
            None,
            OutRequest::new(method, ALICE, to),
            NOW,
            &mut Vec::new(),
        )
        .unwrap_err()
    };
    assert_eq!(
        ask("sip:bob@localhost", Method::Invite),
        Refused::UserUnknown
    );
    assert_eq!(
        ask("sip:bob@example.com", Method::Invite),
        Refused::Unresolvable
    );
    assert_eq!(ask("tel:+1", Method::Invite), Refused::Unresolvable);
    assert!(matches!(
        ask("sip:b ob@10.0.0.2", Method::Invite),
        Refused::Malformed(_)
    ));
    assert_eq!(ask("sip:bob@10.0.0.2", Method::Ack), Refused::Misused);
    assert_eq!(ask("sip:bob@10.0.0.2", Method::Bye), Refused::DialogUnknown);
    let other = Method::Other("A B".to_owned());
    assert_eq!(
        ask("sip:bob@10.0.0.2", other),
        Refused::Malformed("the method")
    );
    let unknown = sip.respond(ServerId(9), OutResponse::new(200), NOW, &mut Vec::new());
    assert_eq!(
        (unknown, sip.held()),
        (Err(Refused::ServerUnknown), Held::default())
    );
}

#[test]
fn answers_of_a_lost_connection_go_to_where_the_peer_listens() {
    let mut sip = gateway();
    let flow = tcp("10.0.0.2:40000", 3);
    let out = receive(
        &mut sip,
        flow,
        &request("MESSAGE", ALICE, "m", 1, "").replace("UDP", "TCP"),
    );
    let [Event::Request { server, .. }] = out.events[..] else {
        panic!("{out:?}");
    };
    sip.flow_lost(flow, NOW, &mut Vec::new());
    let out = respond(&mut sip, server, 200);
    let listens = Flow {
        transport: SipTransport::Tcp,
        peer: BOB.parse().unwrap(),
        connection: None,
    };
    assert_eq!(out.sent[0].0, listens);
}

#[test]
fn a_bye_to_a_peer_that_names_no_reachable_place_goes_back_its_way_or_ends_the_dialog() {
    for (contact, flow) in [
        ("sip:bob@10.0.0.2;transport=sctp", udp(BOB)),
        ("sip:bob@x.invalid", tcp(BOB, 1)),
    ] {
        let mut sip = gateway();
        let text = request("INVITE", ALICE, "i", 1, "")
            .replace("sip:bob@10.0.0.2>", &format!("{contact}>"));
        let out = receive(&mut sip, flow, &text);
        let [Event::Request { server, dialog, .. }] = out.events[..] else {
            panic!("{out:?}");
        };
        let out = respond(&mut sip, server, 200);
        let to = format!("To: {}\r\n", out.sent[0].1.header("To").unwrap());
        receive(&mut sip, flow, &request("ACK", ALICE, "a", 1, &to));
        if flow.connection.is_some() {
            sip.flow_lost(flow, NOW, &mut Vec::new());
            let bye = OutRequest::in_dialog(Method::Bye);
            assert_eq!(
                sip.request(dialog, bye, NOW, &mut Vec::new()),
                Err(Refused::Unresolvable)
            );
            assert_eq!(sip.held().dialogs, 0);
        } else {
            let (_, out) = ask(&mut sip, dialog, OutRequest::in_dialog(Method::Bye));
            assert_eq!((out.sent[0].0, out.lines()), (flow, vec!["BYE".to_owned()]));
        }
    }
}
