//! Streams that are as hard to frame as can be: bodies full of almost end-lines, heads full of
//! mistakes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What a body is made of: pieces that an end-line is made of too, whole and half ones, other
/// messages.
fn body_piece(transaction: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let end_line = format!("\r\n-------{transaction}$\r\n").into_bytes();
    prop_oneof![
        3 => select(vec!["\r", "\n", "\r\n", "-", "-------", "\r\n-------"])
            .prop_map(|text| text.as_bytes().to_vec()),
        3 => select(vec!["$", "+", "#", "$\r", "$\r\n", "\0"])
            .prop_map(|text| text.as_bytes().to_vec()),
        2 => Just(transaction.as_bytes().to_vec()),
        4 => any::<Index>().prop_map(move |end| end_line[..end.index(end_line.len())].to_vec()),
        1 => Just(format!("\r\n-------{transaction}x\r\n").into_bytes()),
        1 => Just(format!("\r\n-------{transaction}*\r\n").into_bytes()),
        1 => Just(b"MSRP other SEND\r\nTo-Path: x\r\n-------other$\r\n".to_vec()),
        1 => vec(any::<u8>(), 0..40),
    ]
}

pub fn body(transaction: &'static str) -> impl Strategy<Value = Vec<u8>> {
    vec(body_piece(transaction), 0..12).prop_map(|pieces| pieces.concat())
}

fn transaction() -> impl Strategy<Value = &'static str> {
    const LONGEST: &str = "a-------a-------a-------a-------a-------a-------a-------a-------";
    select(vec!["t4Kz81Qm", "a", "aaaa", "a.-+%=", "a-------", LONGEST])
}

const PATHS: &str = "To-Path: msrp://b:1/x;tcp\r\nFrom-Path: msrp://a:1/y;tcp\r\n";

/// A message without fault, but with a body that may end it too early.
fn message() -> impl Strategy<Value = Vec<u8>> {
    transaction().prop_flat_map(|transaction| {
        let end = select(vec!["\r\n", ""]);
        (
            prop::option::of(body(transaction)),
            select(vec!['$', '+', '#']),
            end,
        )
            .prop_map(move |(body, flag, crlf)| {
                let mut octets =
                    format!("MSRP {transaction} SEND\r\n{PATHS}Message-ID: abcd\r\n").into_bytes();
                if let Some(body) = body {
                    octets.extend_from_slice(b"Content-Type: a/b\r\n\r\n");
                    octets.extend_from_slice(&body);
                    octets.extend_from_slice(crlf.as_bytes());
                }
                octets.extend_from_slice(format!("-------{transaction}{flag}\r\n").as_bytes());
                octets
            })
    })
}

/// Some messages, one after the other.
pub fn messages() -> impl Strategy<Value = Vec<u8>> {
    vec(message(), 1..4).prop_map(|messages| messages.concat())
}

/// A message put together from lines that may or may not belong into one.
pub fn faulty_message() -> impl Strategy<Value = Vec<u8>> {
    let start = select(vec![
        "SEND", "REPORT", "NICKNAME", "AUTH", "OTHER", "200 OK", "200", "2000", "20", "send",
        "SEND ", "", "S\nD",
    ]);
    let line = select(vec![
        "To-Path: msrp://b:1/x;tcp",
        "From-Path: msrp://a:1/y;tcp",
        "to-path:\t a b c d e f g h i ",
        "From-Path: a  b",
        "To-Path:",
        "Message-ID: abcd",
        "message-id:  abcd ",
        "Message-ID: a b",
        "Byte-Range: 1-5/5",
        "Byte-Range: 1-*/*",
        "Byte-Range: 99999999999999999999-*/*",
        "Failure-Report: NO",
        "Failure-Report: never",
        "Success-Report: Yes",
        "Success-Report: partial",
        "Status: 000 200 OK",
        "Status: 200",
        "Content-Type: text/plain",
        "Content-ID: x",
        "Content-: x",
        "X-Any: thing",
        "X-Bare: a\nb",
        "X-Bare: a\rb",
        "X-Cr: a\r",
        "\rX: y",
        "no header",
        ": nameless",
        " folded: x",
        "X\u{e9}: y",
        "-------abcd$x",
        "-------abcd*",
        "-------abc$",
        "-------abcd",
    ]);
    let end = select(vec![
        "-------abcd$\r\n",
        "-------abcd+\r\n",
        "\r\n-------abcd#\r\n",
        "\r\n\r\n-------abcd$\r\n",
        "\r\nbody\r\n-------abcd$\r\n",
        "\r\n-------abcd\r\n-------abcd$\r\n",
        "",
    ]);
    let with_paths = any::<bool>();
    (start, with_paths, vec(line, 0..6), end).prop_map(|(start, with_paths, lines, end)| {
        let paths = if with_paths { PATHS } else { "" };
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        format!("MSRP abcd {start}\r\n{paths}{lines}{end}").into_bytes()
    })
}

/// Where to cut a stream of `length` octets.
pub fn cuts_of(length: usize, places: &[Index]) -> Vec<usize> {
    let mut cuts: Vec<usize> = places.iter().map(|place| place.index(length + 1)).collect();
    cuts.sort_unstable();
    cuts
}
