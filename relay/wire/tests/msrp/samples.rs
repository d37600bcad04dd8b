//! The shared samples in `tests/samples/msrp`; its README explains the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use wire::msrp::{FailureReport, Kind, Malformed, Method};

use crate::drive::{check, check_every_cut, read_in_pieces};
use crate::judge::{Ending, Message};

fn samples(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/samples/msrp")
        .join(folder);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "msrp")
    });
    files.sort();
    assert!(files.len() > 30, "the samples are there");
    files
}

fn method_name(message: &Message) -> String {
    match message.kind {
        Kind::Response(status) => status.to_string(),
        Kind::Request(Method::Other) if message.fault.is_some() => "other".into(),
        Kind::Request(_) => String::from_utf8(message.subject.clone()).unwrap(),
    }
}

fn report_name(report: FailureReport) -> &'static str {
    match report {
        FailureReport::Yes => "yes",
        FailureReport::Partial => "partial",
        FailureReport::No => "no",
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn actual(message: &Message, key: &str) -> String {
    let star = |number: Option<u64>| number.map_or("*".into(), |number| number.to_string());
    match key {
        "kind" => method_name(message),
        "transaction" => text(&message.transaction),
        "body" if !message.has_body => "none".into(),
        "body" => message.body.len().to_string(),
        "end" => message
            .end
            .map_or("open".into(), |flag| char::from(flag).to_string()),
        "message_id" => text(message.message_id.as_deref().unwrap_or_default()),
        "range" => message.byte_range.map_or("none".into(), |range| {
            format!("{}-{}/{}", range.start, star(range.end), star(range.total))
        }),
        "failure_report" => report_name(message.failure_report).into(),
        "success_report" => (if message.success_report { "yes" } else { "no" }).into(),
        "status" => message.status.map_or("none".into(), |status| {
            format!("{:03}/{:03}", status.namespace, status.code)
        }),
        "fault" => message
            .fault
            .or(message.body_fault)
            .map_or("none".into(), |fault| format!("{fault:?}")),
        _ => panic!("unknown key {key}"),
    }
}

/// Checks one file and says whether anything in it is refused.
fn check_sample(file: &Path) -> bool {
    let stream = fs::read(file).unwrap();
    let expected = fs::read_to_string(file.with_extension("expect")).unwrap();
    let (messages, ending) = read_in_pieces(&stream, &[]);
    let name = file.display();
    let mut lines: Vec<&str> = expected.lines().collect();
    let malformed = lines
        .last()
        .and_then(|line| line.strip_prefix("malformed="))
        .map(str::to_owned);
    match (&malformed, ending) {
        (None, ending) => assert_eq!(ending, Ending::BetweenChunks, "{name}"),
        (Some(expected), Ending::Malformed(malformed)) => {
            lines.pop();
            let malformed: Malformed = malformed;
            assert_eq!(format!("{malformed:?}"), *expected, "{name}");
        }
        (Some(expected), ending) => panic!("{name}: {ending:?} instead of {expected}"),
    }
    assert_eq!(messages.len(), lines.len(), "{name}: messages");
    for (message, line) in messages.iter().zip(&lines) {
        let mut pairs: BTreeMap<&str, &str> = line
            .split(' ')
            .map(|pair| pair.split_once('=').unwrap())
            .collect();
        pairs.entry("fault").or_insert("none");
        for (key, value) in pairs {
            assert_eq!(actual(message, key), value, "{name}: {key}");
        }
    }
    // Where nothing is refused, all octets come out again.
    if malformed.is_none() {
        let raw: Vec<u8> = messages
            .iter()
            .flat_map(|message| message.raw.clone())
            .collect();
        assert!(raw == stream, "{name}: all octets come out");
    }
    malformed.is_some()
        || messages
            .iter()
            .any(|message| message.fault.or(message.body_fault).is_some())
}

#[test]
fn good_samples_are_taken() {
    for file in samples("good") {
        assert!(!check_sample(&file), "{}", file.display());
    }
}

#[test]
fn bad_samples_are_refused() {
    for file in samples("bad") {
        assert!(check_sample(&file), "{}", file.display());
    }
}

#[test]
fn samples_are_read_alike_at_every_cut() {
    for file in samples("good").into_iter().chain(samples("bad")) {
        let stream = fs::read(file).unwrap();
        if stream.len() < 1000 {
            check_every_cut(&stream);
        } else {
            // The judge is slow: octet by octet, and near both ends.
            check(&stream, &(0..stream.len()).collect::<Vec<_>>());
            for cut in (1..150).chain(stream.len() - 150..stream.len()) {
                check(&stream, &[cut]);
            }
        }
    }
}
