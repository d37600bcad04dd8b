//! One chunk from a browser to a handset, its answer, and what is said when the handset is lost:
//! written and read with this crate as a relay would.

use wire::msrp::writer::{self, Report, Start};
use wire::msrp::{ByteRange, Continuation, Kind, Method, Part, Read, Reader, Uri, uri};

const LOCAL_A: &str = "msrps://media.example.com:40001/Ab3dE6gH9jK2mN5pQ8rS;ws";
const REMOTE_A: &str = "msrps://q7w3e9.invalid:2855/br0ws3rS1d;ws";
const LOCAL_B: &str = "msrp://192.0.2.20:20010/Zk3vQ8mB1xTn7uYc;tcp";
const REMOTE_B: &str = "msrp://198.51.100.7:20000/1714557600123;tcp";

/// Lines of text, with CRLF.
fn crlf(text: &str) -> String {
    text.trim_start().replace('\n', "\r\n")
}

fn paths(to: &str, from: &str) -> String {
    format!("To-Path: {to}\r\nFrom-Path: {from}\r\n")
}

fn read_one(octets: &str) -> Part {
    match Reader::new().read(octets.as_bytes(), 0) {
        Ok(Read::Part(part)) if part.end.is_some() && part.span.end == octets.len() => part,
        other => panic!("{octets}: {other:?}"),
    }
}

/// Puts new paths on a message, and leaves the rest as it is.
fn forward(message: &str, to: &str, from: &str) -> String {
    let head = read_one(message).head.unwrap();
    let octets = message.as_bytes();
    let start = Start::AsReceived(head.subject.of(octets));
    let mut out = [0; 500];
    let transaction = head.transaction.of(octets);
    let bytes =
        writer::prefix(&mut out, transaction, start, to.as_bytes(), from.as_bytes()).unwrap();
    let prefix = str::from_utf8(&out[..bytes]).unwrap();
    format!("{prefix}{}", &message[head.rest.into()..])
}

fn browser_send(to: &str, from: &str) -> String {
    let rest = crlf(
        "
Message-ID: Mx77f0a1c2
Byte-Range: 1-19/19
X-Trace: 7
Content-Type: text/plain

hello over the wall
-------t4Kz81Qm$
",
    );
    format!("MSRP t4Kz81Qm SEND\r\n{}{rest}", paths(to, from))
}

fn answer(to: &str, from: &str) -> String {
    format!(
        "MSRP t4Kz81Qm 200 OK\r\n{}-------t4Kz81Qm$\r\n",
        paths(to, from)
    )
}

#[test]
fn a_chunk_goes_from_browser_to_handset_with_other_paths_only() {
    let received = browser_send(LOCAL_A, REMOTE_A);
    let part = read_one(&received);
    let head = part.head.unwrap();
    assert_eq!(
        (head.kind, head.fault, part.body),
        (Kind::Request(Method::Send), None, 19)
    );
    let octets = received.as_bytes();
    let to = Uri::parse(head.to_path.of(octets)).unwrap();
    assert_eq!(to, Uri::parse(LOCAL_A.as_bytes()).unwrap());
    assert_eq!(uri::last(head.from_path.of(octets)), REMOTE_A.as_bytes());
    assert_eq!(
        forward(&received, REMOTE_B, LOCAL_B),
        browser_send(REMOTE_B, LOCAL_B)
    );
}

#[test]
fn its_answer_comes_back() {
    let received = answer(LOCAL_B, REMOTE_B);
    assert_eq!(read_one(&received).head.unwrap().kind, Kind::Response(200));
    assert_eq!(
        forward(&received, REMOTE_A, LOCAL_A),
        answer(REMOTE_A, LOCAL_A)
    );
}

#[test]
fn a_lost_handset_is_told_by_a_response() {
    let start = Start::Response(481, b"Far leg lost");
    let mut out = [0; 500];
    let (to, from) = (REMOTE_A.as_bytes(), LOCAL_A.as_bytes());
    let bytes = writer::prefix(&mut out, b"u9Lw52Rd", start, to, from).unwrap();
    let end = writer::end_line(&mut out[bytes..], b"u9Lw52Rd", Continuation::Last).unwrap();
    let written = str::from_utf8(&out[..bytes + end]).unwrap();
    let expected = format!(
        "MSRP u9Lw52Rd 481 Far leg lost\r\n{}-------u9Lw52Rd$\r\n",
        paths(REMOTE_A, LOCAL_A)
    );
    assert_eq!(written, expected);
    assert_eq!(read_one(written).head.unwrap().kind, Kind::Response(481));
}

#[test]
fn or_by_a_report_when_nothing_is_open() {
    let range = ByteRange {
        start: 1,
        end: Some(2048),
        total: Some(9000),
    };
    let report = Report {
        transaction: b"rly0001f3c8a77",
        to: REMOTE_A.as_bytes(),
        from: LOCAL_A.as_bytes(),
        message_id: b"Mbig00001",
        range,
        status: 481,
        comment: b"Far leg lost",
    };
    let mut out = [0; 500];
    let bytes = writer::report(&mut out, &report).unwrap();
    let written = str::from_utf8(&out[..bytes]).unwrap();
    let rest = crlf(
        "
Message-ID: Mbig00001
Byte-Range: 1-2048/9000
Status: 000 481 Far leg lost
-------rly0001f3c8a77$
",
    );
    let expected = format!(
        "MSRP rly0001f3c8a77 REPORT\r\n{}{rest}",
        paths(REMOTE_A, LOCAL_A)
    );
    assert_eq!(written, expected);
    let head = read_one(written).head.unwrap();
    assert_eq!((head.fault, head.byte_range), (None, Some(range)));
    assert_eq!(head.status.unwrap().code, 481);
}

#[test]
fn a_chunk_that_was_cut_off_is_closed_with_what_was_held_back() {
    let rest = crlf(
        "
Message-ID: Mcut00001
Byte-Range: 1-*/500000
Content-Type: image/jpeg

<the octets that had arrived>
-------v2N",
    );
    let received = format!("MSRP v2Ny63Se SEND\r\n{}{rest}", paths(REMOTE_B, LOCAL_B));
    let mut reader = Reader::new();
    let Ok(Read::Part(part)) = reader.read(received.as_bytes(), 0) else {
        panic!()
    };
    let Ok(Read::More { keep: 0 }) = reader.read(received.as_bytes(), part.span.end) else {
        panic!()
    };
    let mut sent = received.as_bytes()[part.span].to_vec();
    sent.extend_from_slice(reader.held());
    assert_eq!(sent, received.as_bytes());
    let mut out = [0; 100];
    let bytes = writer::end_line(&mut out, reader.transaction(), Continuation::Aborted).unwrap();
    sent.extend_from_slice(b"\r\n");
    sent.extend_from_slice(&out[..bytes]);
    let part = read_one(str::from_utf8(&sent).unwrap());
    assert_eq!(part.end, Some(Continuation::Aborted));
    assert_eq!(
        part.body,
        "<the octets that had arrived>\r\n-------v2N".len() as u64
    );
}
