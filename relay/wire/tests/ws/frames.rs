//! Frames, right and wrong ones, at every cut. RFC 6455, 5.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use wire::ws::{CloseCode, Frame as Found, FrameReader};

use crate::client::{FIN, Frame};
use crate::drive::{check, check_every_cut, read_in_pieces};
use crate::judge::Event;

fn stream_of(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::octets).collect()
}

#[test]
fn a_chunk_in_three_fragments_with_a_ping_between() {
    let stream = stream_of(&[
        Frame::new(1, b"MSRP "),
        Frame::new(FIN | 9, b"are you there?"),
        Frame::new(0, b"abcd \xe2\x82"),
        Frame::new(FIN, b"\xac"),
        Frame::new(FIN | 2, b"\xff\xff\xff"),
        Frame::new(FIN | 8, b"\x03\xe8bye"),
    ]);
    let expected = vec![
        Event::Ping(b"are you there?".to_vec()),
        Event::Message("MSRP abcd €".as_bytes().to_vec()),
        Event::Message(vec![255; 3]),
        Event::Close(Some(1000)),
    ];
    assert_eq!(read_in_pieces(&stream, &[]), expected);
    check_every_cut(&stream);
}

#[test]
fn empty_frames_are_frames() {
    let stream = stream_of(&[
        Frame::new(FIN | 2, b""),
        Frame::new(2, b""),
        Frame::new(0, b"a"),
        Frame::new(0, b""),
        Frame::new(FIN, b""),
        Frame::new(FIN | 9, b""),
        Frame::new(FIN | 8, b""),
    ]);
    let expected = vec![
        Event::Message(Vec::new()),
        Event::Message(b"a".to_vec()),
        Event::Ping(Vec::new()),
        Event::Close(None),
    ];
    assert_eq!(read_in_pieces(&stream, &[]), expected);
    check_every_cut(&stream);
}

#[test]
fn every_broken_rule_has_its_close_code() {
    use CloseCode::{InvalidData, Protocol, TooBig};
    let unmasked = Frame {
        mask: None,
        ..Frame::new(FIN | 2, b"a")
    };
    let long = |length_bytes, payload| Frame {
        length_bytes: Some(length_bytes),
        ..Frame::new(FIN | 2, payload)
    };
    let close = |payload: &[u8]| vec![Frame::new(FIN | 8, payload)];
    let cases = [
        ("unmasked", vec![unmasked], Protocol),
        (
            "reserved bit",
            vec![Frame::new(FIN | 0x40 | 2, b"a")],
            Protocol,
        ),
        ("reserved opcode", vec![Frame::new(FIN | 3, b"a")], Protocol),
        (
            "reserved control opcode",
            vec![Frame::new(FIN | 11, b"a")],
            Protocol,
        ),
        ("two octets for 125", vec![long(2, &[0; 125])], Protocol),
        ("eight octets for 126", vec![long(8, &[0; 126])], Protocol),
        ("fragmented ping", vec![Frame::new(9, b"a")], Protocol),
        (
            "ping of 126",
            vec![Frame::new(FIN | 9, &[0; 126])],
            Protocol,
        ),
        (
            "continuation of nothing",
            vec![Frame::new(FIN, b"a")],
            Protocol,
        ),
        (
            "message in a message",
            vec![Frame::new(2, b"a"), Frame::new(FIN | 2, b"b")],
            Protocol,
        ),
        (
            "text that is not",
            vec![Frame::new(FIN | 1, b"a\xff")],
            InvalidData,
        ),
        (
            "text that stops",
            vec![Frame::new(FIN | 1, b"a\xe2\x82")],
            InvalidData,
        ),
        ("half a close code", close(b"\x03"), Protocol),
        ("close code 1005", close(b"\x03\xed"), Protocol),
        ("close code 999", close(b"\x03\xe7"), Protocol),
        ("close code 2000", close(b"\x07\xd0"), Protocol),
        ("close code 5000", close(b"\x13\x88"), Protocol),
        ("close reason", close(b"\x03\xe8\xff"), InvalidData),
        ("too big", vec![Frame::new(FIN | 2, &[0; 1001])], TooBig),
        (
            "too big in fragments",
            vec![Frame::new(2, &[0; 500]), Frame::new(FIN, &[0; 501])],
            TooBig,
        ),
    ];
    for (name, frames, code) in cases {
        let stream = stream_of(&frames);
        assert_eq!(
            read_in_pieces(&stream, &[]).last(),
            Some(&Event::Error(code)),
            "{name}"
        );
        check_every_cut(&stream);
    }
    let top_bit = [FIN | 2, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    assert_eq!(read_in_pieces(&top_bit, &[]), [Event::Error(Protocol)]);
    check_every_cut(&top_bit);
    let largest = [
        FIN | 2,
        0x80 | 127,
        0x7f,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        0,
        0,
        0,
        0,
    ];
    assert_eq!(read_in_pieces(&largest, &[]), [Event::Error(TooBig)]);
    check_every_cut(&stream_of(&[
        Frame::new(FIN | 2, &[7; 1000]),
        Frame::new(FIN | 9, &[7; 125]),
    ]));
}

#[test]
fn lengths_that_overflow_when_summed_are_too_big() {
    let huge = [
        2,
        0x80 | 127,
        0x7f,
        255,
        255,
        255,
        255,
        255,
        255,
        255,
        0,
        0,
        0,
        0,
    ];
    let mut reader = FrameReader::new(u64::MAX);
    assert!(matches!(reader.read(&mut huge.clone(), 0), Ok(Found::More)));
    assert!(!reader.is_between_messages());
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..12),
        4 => "\\PC{0,6}".prop_map(String::into_bytes),
        1 => select(vec![125, 126, 127, 400]).prop_map(|length| vec![b'a'; length]),
        1 => Just("€😀".as_bytes()[..5].to_vec()),
    ]
}

fn good_frame() -> impl Strategy<Value = Frame> {
    let first = select(vec![
        FIN | 1,
        FIN | 2,
        1,
        2,
        0,
        0,
        FIN,
        FIN,
        FIN | 9,
        FIN | 10,
    ]);
    (first, any::<[u8; 4]>(), payload()).prop_map(|(first, mask, mut payload)| {
        if first & 8 != 0 {
            payload.truncate(125);
        }
        Frame {
            mask: Some(mask),
            ..Frame::new(first, &payload)
        }
    })
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let bad = (
        any::<u8>(),
        any::<bool>(),
        payload(),
        select(vec![None, Some(2), Some(8)]),
    )
        .prop_map(|(first, is_masked, payload, length_bytes)| Frame {
            mask: is_masked.then_some([1, 2, 3, 4]),
            length_bytes,
            ..Frame::new(first, &payload)
        });
    prop_oneof![9 => good_frame(), 1 => bad]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn frames_are_read_alike_however_they_are_cut(
        frames in vec(any_frame(), 1..8),
        places in vec(any::<Index>(), 0..8),
        end in any::<Index>(),
    ) {
        let mut stream = stream_of(&frames);
        let mut cuts: Vec<usize> = places.iter().map(|place| place.index(stream.len())).collect();
        cuts.sort_unstable();
        check(&stream, &cuts);
        check(&stream, &(0..stream.len()).collect::<Vec<_>>());
        stream.truncate(end.index(stream.len()));
        check(&stream, &[]);
    }
}
