//! Reader and judge agree, whatever comes and however it is cut.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::drive::{check, check_every_cut};
use crate::hostile::{body, cuts_of, faulty_message, messages};

/// More cases with `PROPTEST_CASES=10000`.
fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(default),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn hostile_bodies_are_framed_alike_however_they_are_cut(
        stream in messages(),
        places in vec(any::<Index>(), 0..8),
    ) {
        check(&stream, &cuts_of(stream.len(), &places));
        check(&stream, &(0..stream.len()).collect::<Vec<_>>());
        check(&stream, &[]);
    }

    #[test]
    fn faulty_heads_are_judged_alike_however_they_are_cut(
        one in faulty_message(),
        other in faulty_message(),
        places in vec(any::<Index>(), 0..8),
    ) {
        let stream = [one, other].concat();
        check(&stream, &cuts_of(stream.len(), &places));
        check(&stream, &(0..stream.len()).collect::<Vec<_>>());
        check(&stream, &[]);
    }

    #[test]
    fn a_flipped_octet_changes_nothing_but_what_the_judge_says_too(
        stream in messages(),
        place in any::<Index>(),
        octet in any::<u8>(),
        places in vec(any::<Index>(), 0..8),
    ) {
        let mut stream = stream;
        let place = place.index(stream.len());
        stream[place] = octet;
        check(&stream, &cuts_of(stream.len(), &places));
        check(&stream, &[]);
    }

    #[test]
    fn noise_is_refused_alike(stream in vec(any::<u8>(), 0..60), cut in any::<Index>()) {
        check(&stream, &[cut.index(stream.len() + 1)]);
        let stream = [b"MSRP ", &stream[..]].concat();
        check(&stream, &[cut.index(stream.len() + 1)]);
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn hostile_bodies_survive_every_cut_in_two(body in body("aaaa")) {
        let head = b"MSRP aaaa SEND\r\nTo-Path: x\r\nFrom-Path: y\r\nContent-Type: a/b\r\n\r\n";
        check_every_cut(&[&head[..], &body[..], b"\r\n-------aaaa+\r\n"].concat());
    }
}
