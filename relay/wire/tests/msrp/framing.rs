//! What the shared samples can't say: the end of a WebSocket message, and what is told while a
//! chunk is open.

use wire::limits::HELD_BYTES_MAX;
use wire::msrp::{Continuation, Malformed, Part, Read, Reader};

use crate::drive::{Driver, read_in_pieces};
use crate::judge::Ending;

const HEAD: &[u8] = b"MSRP abcd SEND\r\nTo-Path: x\r\nFrom-Path: y\r\nMessage-ID: m1\r\n";

fn with_body(body: &[u8]) -> Vec<u8> {
    [
        HEAD,
        b"Content-Type: a/b\r\n\r\n",
        body,
        b"\r\n-------abcd$\r\n",
    ]
    .concat()
}

fn bodiless() -> Vec<u8> {
    [HEAD, b"-------abcd$\r\n"].concat()
}

#[test]
fn a_whole_chunk_is_one_part() {
    let input = [bodiless(), with_body(b"hello")].concat();
    let mut reader = Reader::new();
    let first = bodiless().len();
    for (at, end, body) in [(0, first, 0), (first, input.len(), 5)] {
        let Ok(Read::Part(part)) = reader.read(&input, at) else {
            panic!()
        };
        assert_eq!(
            (part.span, part.body, part.end),
            (at..end, body, Some(Continuation::Last))
        );
        assert!(part.head.is_some() && part.held.as_slice().is_empty());
    }
    assert!(matches!(
        reader.read(&input, input.len()),
        Ok(Read::More { keep: 0 })
    ));
    assert!(reader.is_between_chunks());
}

#[test]
fn rfc7977_a_missing_final_crlf_is_forgiven_at_the_end_of_a_message() {
    let streams = [
        bodiless(),
        with_body(b"hello"),
        with_body(b""),
        with_body(b"x\r\n-------abcd$\r"),
    ];
    let short = [HEAD, b"Content-Type: a/b\r\n\r\n-------abcd$\r\n"].concat();
    for whole in streams.into_iter().chain([short]) {
        let (expected, _) = read_in_pieces(&whole, &[]);
        for missing in 0..=2 {
            let stream = &whole[..whole.len() - missing];
            for cut in 0..=stream.len() {
                let mut driver = Driver::default();
                driver.feed(&stream[..cut]).unwrap();
                driver.feed(&stream[cut..]).unwrap();
                driver.end_of_message().unwrap();
                assert_eq!(driver.messages, expected, "{missing} missing, cut at {cut}");
            }
        }
    }
}

#[test]
fn a_message_that_ends_elsewhere_in_a_chunk_is_truncated() {
    for whole in [bodiless(), with_body(b"hello\r\n-------abc")] {
        for end in 1..whole.len() - 2 {
            let mut driver = Driver::default();
            driver.feed(&whole[..end]).unwrap();
            let truncated = Err(Ending::Malformed(Malformed::Truncated));
            assert_eq!(
                driver.end_of_message(),
                truncated,
                "{}",
                whole[..end].escape_ascii()
            );
        }
    }
}

#[test]
fn an_end_line_without_crlf_is_data_when_the_message_goes_on() {
    let stream = with_body(b"x\r\n-------abcd$y");
    let cut = stream.len() - "y\r\n-------abcd$\r\n".len();
    let (messages, ending) = read_in_pieces(&stream, &[cut]);
    assert_eq!(ending, Ending::BetweenChunks);
    assert_eq!(messages[0].body, b"x\r\n-------abcd$y");
}

#[test]
fn what_is_held_back_can_be_released_when_the_chunk_is_cut_off() {
    let stream = with_body(b"hello");
    let body_start = stream.len() - "hello\r\n-------abcd$\r\n".len();
    for end in body_start..stream.len() {
        let mut reader = Reader::new();
        let Ok(Read::Part(part)) = reader.read(&stream[..end], 0) else {
            panic!()
        };
        let at = part.span.end;
        assert!(matches!(
            reader.read(&stream[..end], at),
            Ok(Read::More { keep: 0 })
        ));
        assert_eq!(reader.transaction(), b"abcd");
        assert_eq!(reader.held(), &stream[at..end]);
        assert!(!reader.is_between_chunks());
    }
}

#[test]
fn nothing_is_read_ahead_of_what_is_given_out() {
    // The blank line's CRLF is given out with the head, and yet begins the end-line.
    let stream = [HEAD, b"Content-Type: a/b\r\n\r\n-------abcd$\r\n"].concat();
    let start = stream.len() - "-------abcd$\r\n".len();
    for cut in start..stream.len() {
        let mut reader = Reader::new();
        let Ok(Read::Part(part)) = reader.read(&stream[..cut], 0) else {
            panic!()
        };
        assert_eq!((part.span.end, part.body, part.end), (start, 0, None));
        assert!(matches!(
            reader.read(&stream[..cut], start),
            Ok(Read::More { keep: 0 })
        ));
        assert_eq!(reader.held(), &stream[start..cut]);
        let Ok(Read::Part(part)) = reader.read(&stream, cut) else {
            panic!()
        };
        let Part {
            held,
            span,
            body,
            end,
            ..
        } = part;
        assert_eq!(held.as_slice(), &stream[start..cut]);
        assert_eq!(
            (span, body, end),
            (cut..stream.len(), 0, Some(Continuation::Last))
        );
    }
}

#[test]
fn the_longest_end_line_fits_into_what_can_be_held() {
    let transaction = "a".repeat(64);
    let stream = format!(
        "MSRP {transaction} SEND\r\nTo-Path: x\r\nFrom-Path: y\r\n\
         Content-Type: a/b\r\n\r\nbody\r\n-------{transaction}$\r"
    );
    let mut reader = Reader::new();
    let Ok(Read::Part(part)) = reader.read(stream.as_bytes(), 0) else {
        panic!()
    };
    assert!(matches!(
        reader.read(stream.as_bytes(), part.span.end),
        Ok(Read::More { keep: 0 })
    ));
    assert_eq!(reader.held().len(), HELD_BYTES_MAX);
    let Ok(Read::Part(part)) = reader.read(b"x", 0) else {
        panic!()
    };
    assert_eq!(
        (part.held.as_slice().len(), part.body),
        (HELD_BYTES_MAX, HELD_BYTES_MAX as u64 + 1)
    );
}

#[test]
fn one_message_in_five_thousand_segments() {
    let stream = with_body(&b"0123456789\r\n-------abc".repeat(225));
    assert!(stream.len() > 5000);
    let cuts: Vec<usize> = (0..stream.len()).collect();
    let (messages, ending) = read_in_pieces(&stream, &cuts);
    assert_eq!(ending, Ending::BetweenChunks);
    assert_eq!(messages[0].raw, stream);
}
