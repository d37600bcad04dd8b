//! Section L: the WebSocket under a leg. RFC 6455, RFC 7977.

use link::Cause;

use crate::bed::*;
use crate::websocket_client::frame;

/// A session with a WebSocket leg A, and a connection that has not said anything yet.
fn dialled() -> (Bed, Session, Peer) {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    let peer = bed.dials(session, A).expect("a port");
    (bed, session, peer)
}

/// Asks for the upgrade with one line of the good request changed, and returns the status.
fn status_of(change: impl Fn(String) -> String) -> String {
    let (mut bed, session, peer) = dialled();
    let resource = bed.resource(session, A).to_owned();
    let answer = bed.asks(peer, &change(upgrade_request(&resource)));
    let is_101 = answer.starts_with("HTTP/1.1 101 ");
    assert_eq!(bed.is_ended(peer), !is_101 && !answer.is_empty());
    answer["HTTP/1.1 ".len()..][..3].to_owned()
}

/// Frames after which the relay closes, and with which code.
fn closes_with(octets: &[u8]) -> Option<u16> {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    let (a, b) = bed.both_come(session);
    bed.says_octets(a, octets);
    let code = bed.close_code(a);
    assert_eq!(bed.is_ended(a), code.is_some());
    if code.is_some() {
        assert!(matches!(
            bed.told(session)[..],
            [Told::Down(A, _), Told::Closed(_)]
        ));
        assert!(bed.is_ended(b));
    }
    code
}

fn send() -> Message {
    Message::send("t4Kz81Qm", "hello")
}

/// A good SEND in octets, for a session made as the first one of a bed.
fn chunk_octets(bed: &Bed, peer: Peer) -> Vec<u8> {
    bed.with_uris(peer, &send().by(A)).into_bytes()
}

#[test]
fn l1_a_handshake_is_complete_or_refused() {
    assert_eq!(status_of(|request| request), "101");
    assert_eq!(status_of(|request| request.replace("GET", "POST")), "405");
    assert_eq!(
        status_of(|request| request.replace("HTTP/1.1", "HTTP/1.0")),
        "505"
    );
    for line in [
        "Host: ",
        "Connection: ",
        "Sec-WebSocket-Key: ",
        "Sec-WebSocket-Version: ",
    ] {
        let without = |request: String| request.replace(line, &format!("X-{line}"));
        assert_eq!(status_of(without), "400", "without {line}");
    }
    assert_eq!(
        status_of(|request| request.replace("websocket", "carrier-pigeon")),
        "426"
    );
    assert_eq!(status_of(|request| request.replace("dGhlIH", "d")), "400");

    let (mut bed, session, peer) = dialled();
    let request = upgrade_request(bed.resource(session, A)).replace("Version: 13", "Version: 8");
    let answer = bed.asks(peer, &request);
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(
        answer.contains("\r\nSec-WebSocket-Version: 13\r\n"),
        "{answer}"
    );
}

#[test]
fn l1_a_handshake_may_come_in_pieces() {
    let (mut bed, session, peer) = dialled();
    let request = upgrade_request(bed.resource(session, A));
    let (last, first) = request.as_bytes().split_last().expect("octets");
    for octet in first {
        bed.says_octets(peer, &[*octet]);
        assert_eq!(bed.hears_octets(peer), b"");
    }
    bed.says_octets(peer, &[*last]);
    assert!(bed.hears_octets(peer).starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn l2_the_subprotocol_is_msrp() {
    let with = |offer: &'static str| {
        move |request: String| request.replace("Protocol: msrp", &format!("Protocol: {offer}"))
    };
    for offer in ["chat", "MSRP", "msrp2, xmsrp"] {
        assert_eq!(status_of(with(offer)), "400", "{offer}");
    }
    assert_eq!(
        status_of(|request| request.replace("Sec-WebSocket-Protocol", "X-None")),
        "400"
    );

    let (mut bed, session, peer) = dialled();
    let request = with("sip, msrp, xmpp")(upgrade_request(bed.resource(session, A)));
    let answer = bed.asks(peer, &request);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(
        answer.contains("\r\nSec-WebSocket-Protocol: msrp\r\n"),
        "{answer}"
    );
    // From the sample handshake of RFC 6455, 1.3.
    assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
}

#[test]
fn l4_a_message_holds_one_chunk_and_all_of_it() {
    for (first, second) in [(true, true), (false, true)] {
        let (mut bed, a, b) = talk(Ws, Tcp);
        let one = chunk_octets(&bed, a);
        let other = Message::send("other123", "hello").by(A);
        let both = [&one[..], bed.with_uris(a, &other).as_bytes()].concat();
        let octets = match (first, second) {
            (true, _) => frame(2, true, &both),
            _ => frame(2, true, &one[..one.len() - 10]),
        };
        bed.says_octets(a, &octets);
        assert_eq!(bed.close_code(a), Some(1002));
        bed.hears(b);
        assert!(bed.is_ended(b));
    }
    let half = frame(2, true, b"MSRP t4Kz81Qm SEND\r\nTo-Path: ");
    assert_eq!(closes_with(&half), Some(1002));
}

#[test]
fn l5_text_and_binary_are_taken_alike() {
    for opcode in [1, 2] {
        let (mut bed, a, b) = talk(Ws, Tcp);
        let octets = frame(opcode, true, &chunk_octets(&bed, a));
        bed.says_octets(a, &octets);
        assert_eq!(bed.hears(b), send().to(B));
    }
}

#[test]
fn l6_only_binary_is_sent() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    bed.says(b, &send().by(B));
    bed.says(
        a,
        &Message::bodiless("alive123", "SEND", &["Message-ID: keep"]).by(A),
    );
    let opcodes: Vec<u8> = bed
        .hears_frames(a)
        .iter()
        .map(|frame| frame.opcode)
        .collect();
    assert_eq!(opcodes, [2, 2]);
}

#[test]
fn l7_text_that_is_not_utf_8_is_1007() {
    let (mut bed, a, _) = talk(Ws, Tcp);
    let octets = [&chunk_octets(&bed, a)[..], b"\xff"].concat();
    let wrong = frame(1, true, &octets);
    bed.says_octets(a, &wrong);
    assert_eq!(bed.close_code(a), Some(1007));
    // In a binary message it is as good as any octet.
    let (mut bed, a, b) = talk(Ws, Tcp);
    let said = bed
        .with_uris(a, &Message::send("t4Kz81Qm", "X").by(A))
        .into_bytes();
    let place = said
        .windows(5)
        .position(|five| five == b"\r\nX\r\n")
        .expect("the body")
        + 2;
    let mut octets = said;
    octets[place] = 0xff;
    bed.says_octets(a, &frame(2, true, &octets));
    assert!(bed.hears_octets(b).contains(&0xff));
}

#[test]
fn l8_fragments_and_control_frames_between_them_change_nothing() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let octets = chunk_octets(&bed, a);
    for cut in 1..octets.len() {
        let (start, end) = octets.split_at(cut);
        let no_response = [
            frame(2, false, start),
            frame(9, true, b"there?"),
            frame(10, true, b""),
            frame(0, false, b""),
            frame(0, true, end),
        ];
        bed.says_octets(a, &no_response.concat());
        assert_eq!(bed.hears(b), send().to(B), "cut at {cut}");
        bed.says(b, &send().answer("200 OK").by(B));
        bed.hears(a);
    }
}

#[test]
fn l9_clients_mask_and_the_server_does_not() {
    let unmasked = [0x82, 5, b'M', b'S', b'R', b'P', b' '];
    assert_eq!(closes_with(&unmasked), Some(1002));
    // The client of these tests refuses masked frames.
    let (mut bed, a, b) = talk(Ws, Tcp);
    bed.says(b, &send().by(B));
    assert_eq!(bed.hears(a), send().to(A));
}

#[test]
fn l10_pings_are_answered_at_once() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    bed.says(b, &send().begun_by(B));
    bed.says_octets(a, &frame(9, true, b"still there?"));
    let frames = bed.hears_frames(a);
    let pong = frames
        .iter()
        .find(|frame| frame.opcode == 10)
        .expect("a pong");
    assert_eq!(pong.payload, b"still there?", "even within a message");
    assert_eq!(
        closes_with(&frame(9, true, &[b'x'; 126])),
        Some(1002),
        "no ping is so long"
    );
}

#[test]
fn l10_a_browser_that_misses_two_pings_is_gone() {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    let (a, _) = bed.both_come(session);
    for _ in 0..10 {
        bed.waits(30_000);
        let pings = bed.hears_frames(a);
        assert!(
            pings.iter().any(|frame| frame.opcode == 9),
            "one in each 30 s"
        );
        let payload = &pings.last().expect("a ping").payload;
        bed.says_octets(a, &frame(10, true, payload));
    }
    assert_eq!(bed.told(session), [], "a pong is enough");
    bed.waits(90_000);
    let missed = [Told::Down(A, Cause::Stalled), Told::Closed(Cause::Stalled)];
    assert_eq!(bed.told(session), missed);
}

#[test]
fn l11_a_browser_may_keep_alive_with_bodiless_sends() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let alive = Message::bodiless("alive123", "SEND", &["Message-ID: keep"]);
    bed.says(a, &alive.by(A));
    assert_eq!(bed.hears(a), alive.answer("200 OK").to(A));
    assert_eq!(bed.hears(b), "");
}

#[test]
fn l12_a_message_over_the_ceiling_gets_413_and_1009() {
    let small = |settings: &mut relay::shard::Settings| settings.message_bytes_max = 10_000;
    // Announced at once: nothing of it is understood.
    let mut bed = Bed::with(small);
    let session = bed.session(Ws, Tcp);
    let (a, _) = bed.both_come(session);
    let long = Message::send("t4Kz81Qm", &"x".repeat(20_000));
    let octets = bed.with_uris(a, &long.by(A)).into_bytes();
    bed.says_octets(a, &frame(2, true, &octets));
    assert_eq!(bed.close_code(a), Some(1009));

    // In fragments: its head was.
    let mut bed = Bed::with(small);
    let session = bed.session(Ws, Tcp);
    let (a, b) = bed.both_come(session);
    bed.says_octets(a, &frame(2, false, &octets_of(&bed, a, &long)[..5_000]));
    bed.says_octets(a, &frame(0, true, &octets_of(&bed, a, &long)[5_000..]));
    assert!(bed.hears(b).ends_with("\r\n-------t4Kz81Qm#\r\n"));
    assert_eq!(bed.hears(a), long.answer("413 Stop Sending Message").to(A));
    assert!(bed.is_ended(a));
}

fn octets_of(bed: &Bed, peer: Peer, message: &Message) -> Vec<u8> {
    bed.with_uris(peer, &message.by(A)).into_bytes()
}

#[test]
fn l12_toward_a_browser_a_chunk_over_the_ceiling_is_stopped() {
    let mut bed = Bed::with(|settings| settings.message_bytes_max = 10_000);
    let session = bed.session(Ws, Tcp);
    let (a, b) = bed.both_come(session);
    let long = Message::send("t4Kz81Qm", &"x".repeat(20_000));
    bed.says(b, &long.by(B)[..15_000]);
    assert_eq!(bed.hears(b), long.answer("413 Stop Sending Message").to(B));
    let heard = bed.hears(a);
    assert!(heard.ends_with("\r\n-------t4Kz81Qm#\r\n"), "{heard}");
    // The rest goes nowhere, and the session goes on.
    bed.says(b, &long.by(B)[15_000..]);
    let mut next = Message::send("next1234", "and on");
    next.headers[0] = "Message-ID: another1";
    bed.says(b, &next.by(B));
    assert_eq!(bed.hears(a), next.to(A));
    assert_eq!(bed.hears(b), "");
}

#[test]
fn l13_no_extension_is_agreed_on() {
    let (mut bed, session, peer) = dialled();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\nHost: ";
    let request = upgrade_request(bed.resource(session, A)).replace("Host: ", offer);
    let answer = bed.asks(peer, &request);
    assert!(
        answer.starts_with("HTTP/1.1 101 ") && !answer.contains("Extensions"),
        "{answer}"
    );
    let compressed = [&[0x40 | 0x82][..], &frame(2, true, b"MSRP ")[1..]].concat();
    assert_eq!(closes_with(&compressed), Some(1002));
}

#[test]
fn l15_the_code_of_a_close_says_why() {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    let (a, _) = bed.both_come(session);
    bed.delete(session);
    assert_eq!(bed.close_code(a), Some(1000), "signalling has ended it");

    let (mut bed, a, b) = talk(Ws, Tcp);
    bed.leaves(b);
    assert_eq!(bed.close_code(a), Some(1001), "the far leg is gone");

    let reserved = frame(11, true, b"");
    assert_eq!(closes_with(&reserved), Some(1002), "what no client sends");
}

#[test]
fn l15_nothing_follows_a_close() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    bed.says(b, &send().begun_by(B));
    bed.says_octets(a, &frame(8, true, &1000u16.to_be_bytes()));
    let opcodes: Vec<u8> = bed
        .hears_frames(a)
        .iter()
        .map(|frame| frame.opcode)
        .collect();
    assert_eq!(opcodes.last(), Some(&8), "{opcodes:?}");
    assert_eq!(
        opcodes.iter().filter(|opcode| **opcode == 8).count(),
        1,
        "{opcodes:?}"
    );
}

#[test]
fn l16_a_close_is_echoed_and_ends_the_leg() {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    let (a, b) = bed.both_come(session);
    let message = Message::send("fromB123", "hello");
    bed.says(b, &message.by(B));
    bed.says_octets(a, &frame(8, true, &4001u16.to_be_bytes()));
    assert_eq!(bed.close_code(a), Some(4001));
    assert!(bed.is_ended(a) && bed.is_ended(b));
    assert_eq!(
        bed.hears(b),
        message.answer("481 Session Does Not Exist").to(B)
    );
    let closed = [
        Told::Down(A, Cause::PeerClosed),
        Told::Closed(Cause::PeerClosed),
    ];
    assert_eq!(bed.told(session), closed);
}

#[test]
fn l17_a_browsers_uri_is_a_name_and_not_a_place() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    bed.says(a, &send().by(A));
    bed.says(b, &send().answer("200 OK").by(B));
    let heard = String::from_utf8(bed.hears_octets(a)).expect("text");
    assert!(
        heard.contains("To-Path: msrp://q7w3e9.invalid:2855/browser0;ws\r\n"),
        "{heard}"
    );
}

#[test]
fn l14_a_page_of_another_origin_is_refused_and_the_leg_goes_on_waiting() {
    let mut bed = Bed::with(|settings| {
        settings.realms[0].origins = vec!["https://chat.example.com".into()];
        settings.realms[0].ports_exclusive = false;
    });
    let (session, _other) = (bed.session(Ws, Tcp), bed.session(Ws, Tcp));
    let resource = bed.resource(session, A).to_owned();
    let from = |resource: &str, origin: &str| {
        let request = upgrade_request(resource);
        let line = format!("\r\nOrigin: {origin}\r\nUpgrade:");
        request.replacen("\r\nUpgrade:", &line, 1)
    };
    for origin in [
        "https://evil.example.com",
        "http://chat.example.com",
        "null",
    ] {
        let page = bed.dials(session, A).expect("the leg waits");
        let answer = bed.asks(page, &from(&resource, origin));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(bed.is_ended(page));
        // Nobody learns of what is there by asking from elsewhere.
        let page = bed.dials(session, A).expect("the leg waits");
        let answer = bed.asks(page, &from(&resource.replace("/m/", "/n/"), origin));
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    let page = bed.dials(session, A).expect("the leg waits");
    let answer = bed.asks(page, &from(&resource, "https://Chat.example.com"));
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
}

#[test]
fn l14_who_is_no_page_has_no_origin_and_comes_in() {
    let mut bed = Bed::with(|settings| {
        settings.realms[0].origins = vec!["https://chat.example.com".into()];
    });
    let session = bed.session(Ws, Tcp);
    bed.comes(session, A);
}
