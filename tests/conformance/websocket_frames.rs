//! A WebSocket server as the well-known suites test one, against the running shard: framing, pings,
//! reserved bits, opcodes, fragments, UTF-8, closing, limits. RFC 6455; the numbers in the names are
//! its sections.
//!
//! What such a suite has echoed is here an MSRP chunk that the other leg hears.

use crate::bed::*;
use crate::websocket_client::frame;

/// A chunk of leg A with this body: as it is said, and as B hears it.
fn chunk(bed: &Bed, a: Peer, body: &str) -> (Vec<u8>, String) {
    let message = Message::send("t4Kz81Qm", body).with("Failure-Report: no");
    (bed.with_uris(a, &message.by(A)).into_bytes(), message.to(B))
}

/// What comes of these octets on the WebSocket of a session that was well before: the code of the
/// relay's close frame, if it closes, and what B has heard.
fn outcome(octets: &[u8]) -> (Option<u16>, String) {
    let (mut bed, a, b) = talk(Ws, Tcp);
    bed.says_octets(a, octets);
    let code = bed.close_code(a);
    assert_eq!(bed.is_ended(a), code.is_some(), "a close ends it");
    assert_eq!(bed.is_ended(b), code.is_some(), "and the other leg");
    (code, bed.hears(b))
}

fn closes_with(octets: &[u8]) -> Option<u16> {
    outcome(octets).0
}

/// A frame with any first octet.
fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = frame(2, true, payload);
    octets[0] = first;
    octets
}

#[test]
fn rfc6455_5_2_payloads_of_every_kind_of_length_arrive() {
    // Section 1 of such suites: lengths around the borders of the three encodings.
    let (mut bed, a, b) = talk(Ws, Tcp);
    let head = chunk(&bed, a, "").0.len();
    for length in [125, 126, 127, 128, 65_535, 65_536] {
        for opcode in [1, 2] {
            let body = "*".repeat(65_536_usize.max(length).saturating_sub(head).min(length));
            let (octets, heard) = chunk(&bed, a, &body);
            bed.says_octets(a, &frame(opcode, true, &octets));
            assert_eq!(bed.hears(b), heard, "{length}");
        }
    }
    // Exactly at the borders, the head counted in.
    for length in [65_535, 65_536] {
        let (octets, heard) = chunk(&bed, a, &"*".repeat(length - head));
        assert_eq!(octets.len(), length);
        bed.says_octets(a, &frame(2, true, &octets));
        assert_eq!(bed.hears(b), heard);
    }
}

#[test]
fn rfc6455_5_2_a_frame_may_come_octet_by_octet() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let (octets, heard) = chunk(&bed, a, &"*".repeat(70_000));
    let framed = frame(2, true, &octets);
    let (first, rest) = framed.split_at(400);
    for octet in first {
        bed.says_octets(a, &[*octet]);
    }
    for piece in rest.chunks(997) {
        bed.says_octets(a, piece);
    }
    assert_eq!(bed.hears(b), heard);
}

#[test]
fn rfc6455_5_2_the_shortest_length_encoding_is_the_only_one() {
    let mask = [0; 4];
    for (length, digits) in [
        (126, &[0, 125][..]),
        (127, &[0, 0, 0, 0, 0, 0, 0, 125]),
        (127, &[0, 0, 0, 0, 0, 0, 255, 255]),
        (127, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        let octets = [&[0x82, 0x80 | length][..], digits, &mask].concat();
        assert_eq!(closes_with(&octets), Some(1002), "{digits:?}");
    }
}

#[test]
fn rfc6455_5_5_2_pings_are_answered_with_what_they_carry() {
    // Section 2.
    let (mut bed, a, _) = talk(Ws, Tcp);
    for payload in [
        &b""[..],
        b"Hello, world!",
        b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff",
        &[0xfe; 125],
    ] {
        bed.says_octets(a, &frame(9, true, payload));
        let frames = bed.hears_frames(a);
        let [pong] = &frames[..] else {
            panic!("{frames:?}")
        };
        assert_eq!(
            (pong.opcode, pong.fin, &pong.payload[..]),
            (10, true, payload)
        );
    }
    let many: Vec<u8> = (0..10u8)
        .flat_map(|number| frame(9, true, &[number]))
        .collect();
    bed.says_octets(a, &many);
    let pongs: Vec<Vec<u8>> = bed
        .hears_frames(a)
        .into_iter()
        .map(|frame| frame.payload)
        .collect();
    assert_eq!(
        pongs,
        (0..10u8).map(|number| vec![number]).collect::<Vec<_>>()
    );
    for octet in frame(9, true, b"slowly") {
        bed.says_octets(a, &[octet]);
    }
    assert_eq!(bed.hears_frames(a)[0].payload, b"slowly");
}

#[test]
fn rfc6455_5_5_3_pongs_nobody_asked_for_are_taken() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let (octets, heard) = chunk(&bed, a, "after it");
    let pong = frame(10, true, b"unsolicited");
    bed.says_octets(
        a,
        &[&pong[..], &frame(9, true, b"now"), &frame(2, true, &octets)].concat(),
    );
    assert_eq!(bed.hears(b), heard);
    let frames = bed.hears_frames(a);
    assert_eq!(
        frames.iter().map(|frame| frame.opcode).collect::<Vec<_>>(),
        [10]
    );
}

#[test]
fn rfc6455_5_5_control_frames_are_short_and_whole() {
    for opcode in [8, 9, 10] {
        assert_eq!(
            closes_with(&frame(opcode, true, &[b'x'; 126])),
            Some(1002),
            "{opcode}"
        );
        assert_eq!(
            closes_with(&frame(opcode, false, b"")),
            Some(1002),
            "{opcode}"
        );
    }
    let parts = [frame(9, false, b"a"), frame(0, true, b"b")].concat();
    assert_eq!(closes_with(&parts), Some(1002));
}

#[test]
fn rfc6455_5_2_reserved_bits_and_opcodes_close() {
    // Sections 3 and 4.
    for bits in 1..8u8 {
        for opcode in [1, 2, 8, 9, 10] {
            let octets = raw(0x80 | bits << 4 | opcode, b"MSRP ");
            assert_eq!(closes_with(&octets), Some(1002), "{bits} {opcode}");
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for payload in [&b""[..], b"MSRP "] {
            assert_eq!(
                closes_with(&raw(0x80 | opcode, payload)),
                Some(1002),
                "{opcode}"
            );
        }
    }
}

#[test]
fn rfc6455_5_4_what_came_before_what_is_wrong_has_arrived() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let (octets, heard) = chunk(&bed, a, "well-formed");
    bed.says_octets(a, &[frame(2, true, &octets), raw(0xc2, b"wrong")].concat());
    assert_eq!(bed.hears(b), heard);
    assert_eq!(bed.close_code(a), Some(1002));
}

#[test]
fn rfc6455_5_4_fragments_in_any_number_with_pings_between_are_one_message() {
    // Section 5.
    let (mut bed, a, b) = talk(Ws, Tcp);
    let (octets, heard) = chunk(&bed, a, "in fragments");
    for (size, ping) in [(1, false), (7, true), (50, false), (100, true)] {
        let mut stream = Vec::new();
        for (place, piece) in octets.chunks(size).enumerate() {
            let last = (place + 1) * size >= octets.len();
            stream.extend(frame(if place == 0 { 2 } else { 0 }, last, piece));
            if ping && !last {
                stream.extend(frame(9, true, &[place as u8]));
            }
        }
        bed.says_octets(a, &stream);
        assert_eq!(bed.hears(b), heard, "by {size}");
        let pongs = bed.hears_frames(a).len();
        let between = octets.len().div_ceil(size) - 1;
        assert_eq!(pongs, if ping { between } else { 0 });
    }
}

#[test]
fn rfc6455_5_4_fragments_have_an_order() {
    let start = b"MSRP ";
    for wrong in [
        vec![frame(0, true, b"of nothing")],
        vec![frame(0, false, b"of nothing")],
        vec![frame(2, false, start), frame(2, true, b"anew")],
        vec![frame(1, false, start), frame(2, true, b"other")],
        vec![frame(2, false, start), frame(1, false, b"text")],
    ] {
        assert_eq!(closes_with(&wrong.concat()), Some(1002));
    }
    // After a message that is complete nothing can be continued.
    let (mut bed, a, b) = talk(Ws, Tcp);
    let (octets, heard) = chunk(&bed, a, "complete");
    bed.says_octets(
        a,
        &[frame(2, true, &octets), frame(0, true, b"more")].concat(),
    );
    assert_eq!(bed.hears(b), heard);
    assert_eq!(bed.close_code(a), Some(1002));
}

#[test]
fn rfc6455_8_1_text_is_utf_8_across_fragments() {
    // Section 6: a body of text frames, cut within characters.
    for body in [
        "κόσμε",
        "Hello-µ@ßöäüàá-UTF-8!!",
        "\u{10ffff}",
        "\u{feff}\u{fffe}",
        "\u{0}",
    ] {
        let (mut bed, a, b) = talk(Ws, Tcp);
        let (octets, heard) = chunk(&bed, a, body);
        bed.says_octets(a, &frame(1, true, &octets));
        assert_eq!(bed.hears(b), heard, "{body:?}");
        let mut stream = Vec::new();
        for (place, octet) in octets.iter().enumerate() {
            let opcode = if place == 0 { 1 } else { 0 };
            stream.extend(frame(opcode, place + 1 == octets.len(), &[*octet]));
        }
        bed.says_octets(a, &stream);
        assert_eq!(bed.hears(b), heard, "{body:?} octet by octet");
    }
}

#[test]
fn rfc6455_8_1_what_is_not_utf_8_closes_a_text_and_not_a_binary_message() {
    for wrong in [
        &b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"[..],
        b"\xf4\x90\x80\x80",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf8\x88\x80\x80\x80",
        b"\xfe",
        b"\x80",
        b"\xed\xbf\xbf",
    ] {
        let (mut bed, a, b) = talk(Ws, Tcp);
        let (mut octets, _) = chunk(&bed, a, "BODY");
        let place = octets
            .windows(4)
            .position(|four| four == b"BODY")
            .expect("it is there");
        octets.splice(place..place + 4, wrong.iter().copied());
        bed.says_octets(a, &frame(2, true, &octets));
        let heard = bed.hears_octets(b);
        assert!(
            heard.windows(wrong.len()).any(|here| here == wrong),
            "{wrong:?}"
        );
        bed.says_octets(a, &frame(1, true, &octets));
        assert_eq!(bed.close_code(a), Some(1007), "{wrong:?}");
        assert!(bed.is_ended(a) && bed.is_ended(b));
    }
    // At once, not when the message ends.
    assert_eq!(closes_with(&frame(1, false, b"\xff")), Some(1007));
    // A character that the message's end cuts off.
    let cut = [frame(1, false, b"MSRP "), frame(0, true, b"\xe2\x82")].concat();
    assert!(matches!(closes_with(&cut), Some(1007 | 1002)));
}

#[test]
fn rfc6455_5_5_1_a_close_is_answered_with_its_code() {
    // Section 7.
    let good = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
    ];
    for code in good.into_iter().chain([3000, 3999, 4000, 4999]) {
        let payload = [&u16::to_be_bytes(code)[..], b"because"].concat();
        assert_eq!(closes_with(&frame(8, true, &payload)), Some(code));
    }
    // Without a code there is none to echo.
    let (mut bed, a, _) = talk(Ws, Tcp);
    bed.says_octets(a, &frame(8, true, b""));
    let frames = bed.hears_frames(a);
    let [close] = &frames[..] else {
        panic!("{frames:?}")
    };
    assert_eq!((close.opcode, &close.payload[..]), (8, &b""[..]));
    assert!(bed.is_ended(a));
}

#[test]
fn rfc6455_7_4_codes_that_are_never_sent_and_half_codes_are_1002() {
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        assert_eq!(
            closes_with(&frame(8, true, &u16::to_be_bytes(code))),
            Some(1002),
            "{code}"
        );
    }
    assert_eq!(closes_with(&frame(8, true, b"\x03")), Some(1002));
}

#[test]
fn rfc6455_5_5_1_the_reason_of_a_close_is_utf_8_and_fits() {
    let with = |reason: &[u8]| closes_with(&frame(8, true, &[b"\x03\xe8", reason].concat()));
    assert_eq!(with("auf Wiedersehen, µ".as_bytes()), Some(1000));
    assert_eq!(with(&[b'*'; 123]), Some(1000));
    assert_eq!(with(&[b'*'; 124]), Some(1002));
    assert_eq!(with(b"\xce\xba\xed\xa0\x80"), Some(1007));
}

#[test]
fn rfc6455_5_5_1_after_a_close_nothing_is_read() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let (octets, _) = chunk(&bed, a, "too late");
    let close = frame(8, true, &1000u16.to_be_bytes());
    for after in [frame(2, true, &octets), frame(9, true, b"?"), close.clone()] {
        bed.says_octets(a, &[&close[..], &after].concat());
    }
    assert_eq!(bed.hears(b), "");
    let opcodes: Vec<u8> = bed
        .hears_frames(a)
        .iter()
        .map(|frame| frame.opcode)
        .collect();
    assert_eq!(opcodes, [8], "one close, no pong");
}

#[test]
fn rfc6455_7_1_1_a_close_within_a_message_ends_it() {
    let (mut bed, a, b) = talk(Ws, Tcp);
    let (octets, _) = chunk(&bed, a, "cut off here");
    let half = frame(2, false, &octets[..octets.len() - 20]);
    bed.says_octets(a, &[half, frame(8, true, &1001u16.to_be_bytes())].concat());
    assert_eq!(bed.close_code(a), Some(1001));
    let heard = bed.hears(b);
    assert!(heard.ends_with("\r\n-------t4Kz81Qm#\r\n"), "{heard}");
}

#[test]
fn rfc6455_10_4_large_messages_pass_whole_and_in_fragments() {
    // Section 9: sizes, and sizes of fragments; up to the ceiling, which is told by 1009.
    for fragment in [64, 4096, 1 << 20] {
        let mut bed = Bed::with(|settings| settings.message_bytes_max = 1 << 20);
        let session = bed.session(Ws, Tcp);
        let (a, b) = bed.both_come(session);
        let head = chunk(&bed, a, "").0.len();
        let (octets, heard) = chunk(&bed, a, &"*".repeat((1 << 20) - head));
        let mut heard_so_far = String::new();
        for (place, piece) in octets.chunks(fragment).enumerate() {
            let last = (place + 1) * fragment >= octets.len();
            bed.says_octets(a, &frame(if place == 0 { 2 } else { 0 }, last, piece));
            heard_so_far += &bed.hears(b);
        }
        assert!(heard_so_far == heard, "by {fragment}");
    }
    let (mut bed, a, _) = talk(Ws, Tcp);
    let huge = [
        0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0,
    ];
    bed.says_octets(a, &huge);
    assert_eq!(
        bed.close_code(a),
        Some(1009),
        "told by its header, before it is sent"
    );
}
