//! Section B: what is a message, and what is answered when it is none.

use crate::bed::*;
use crate::websocket_client::frame;

const BAD: &str = "400 Bad Request";

/// A request that is told 400, and not passed on.
fn is_bad(message: &str) {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    bed.says(a, message);
    let transaction = message.split(' ').nth(1).expect("a transaction id");
    let answer = lines(&[
        &format!("MSRP {transaction} {BAD}"),
        "To-Path: R(A)",
        "From-Path: L(A)",
        &format!("-------{transaction}$"),
    ]);
    assert_eq!(bed.hears(a), answer, "to {message}");
    assert_eq!(bed.hears(b), "");
    // The framing holds: the next message is understood.
    let next = Message::send("next1234", "and on");
    bed.says(a, &next.by(A));
    assert_eq!(bed.hears(b), next.to(B), "after {message}");
}

/// A message that is passed on with nothing changed but its paths.
fn is_passed_on(message: &Message) {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(b), message.to(B));
    assert_eq!(bed.hears(a), "");
}

/// Octets after which the connection cannot be read any more.
fn ends_the_connection(octets: &str) {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    bed.says(a, octets);
    assert!(bed.is_ended(a), "after {octets:.40}");
    assert_eq!(bed.hears(b), "");
}

#[test]
fn b1_a_method_is_capitals_and_a_status_three_digits() {
    let mut message = Message::send("t4Kz81Qm", "hello");
    message.subject = "Send";
    is_bad(&message.by(A));
    message.subject = "S3ND";
    is_bad(&message.by(A));

    // With a status of two digits it is no response that anybody could use.
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let asked = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &asked.by(A));
    bed.hears(b);
    bed.says(b, &asked.answer("20 OK").by(B));
    assert_eq!(bed.hears(a), "");
    bed.says(b, &asked.answer("200").by(B));
    assert_eq!(bed.hears(a), asked.answer("200").to(A));
}

#[test]
fn b2_a_transaction_id_has_one_to_sixty_four_octets() {
    for transaction in [
        "t",
        "a.b-c+d%e=f",
        "x234567890123456789012345678901234567890123456789012345678901234",
    ] {
        is_passed_on(&Message::send(transaction, "hello"));
    }
    for transaction in [
        "x2345678901234567890123456789012345678901234567890123456789012345",
        "-begins",
        "has_line",
    ] {
        ends_the_connection(&Message::send(transaction, "hello").by(A));
    }
}

#[test]
fn b3_header_names_and_values_are_understood_in_any_case_and_forwarded_as_received() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let rest = lines(&[
        "message-id: m1",
        "FAILURE-REPORT: NO",
        "cOnTeNt-TyPe: text/plain",
        "",
        "hello",
        "-------t4Kz81Qm$",
    ]);
    let odd = "MSRP t4Kz81Qm SEND\r\nTO-PATH: L(A)\r\nfrom-path: R(A)\r\n";
    bed.says(a, &format!("{odd}{rest}"));
    let plain = "MSRP t4Kz81Qm SEND\r\nTo-Path: R(B)\r\nFrom-Path: L(B)\r\n";
    assert_eq!(bed.hears(b), format!("{plain}{rest}"));
    // It wanted no response, and so this one goes nowhere.
    bed.says(b, &Message::bodiless("t4Kz81Qm", "200 OK", &[]).by(B));
    assert_eq!(bed.hears(a), "");
}

#[test]
fn b4_any_number_of_blanks_may_follow_a_colon() {
    let mut message = Message::send("t4Kz81Qm", "hello");
    message.headers = vec!["Message-ID:m1", "Content-Type:   text/plain"];
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let said = message.by(A).replace("To-Path: ", "To-Path:");
    bed.says(a, &said.replace("From-Path: ", "From-Path:  "));
    assert_eq!(bed.hears(b), message.to(B));
}

#[test]
fn b5_paths_come_first_a_header_more_and_content_type_last() {
    let first_from = lines(&[
        "MSRP t4Kz81Qm SEND",
        "From-Path: R(A)",
        "To-Path: L(A)",
        "Message-ID: m1",
        "-------t4Kz81Qm$",
    ]);
    is_bad(&first_from);
    let late_paths = lines(&[
        "MSRP t4Kz81Qm SEND",
        "Message-ID: m1",
        "To-Path: L(A)",
        "From-Path: R(A)",
        "-------t4Kz81Qm$",
    ]);
    is_bad(&late_paths);
    is_bad(&Message::bodiless("t4Kz81Qm", "SEND", &[]).by(A));
    let mut message = Message::send("t4Kz81Qm", "hello");
    message.headers = vec!["Content-Type: text/plain", "Message-ID: m1"];
    is_bad(&message.by(A));
    message.headers = vec![
        "X-First: 1",
        "Byte-Range: 1-5/5",
        "Message-ID: m1",
        "Content-Type: text/plain",
    ];
    is_passed_on(&message);
}

#[test]
fn b6_a_body_and_its_content_type_come_together() {
    let mut message = Message::send("t4Kz81Qm", "hello");
    message.headers = vec!["Message-ID: m1"];
    is_bad(&message.by(A));
    let headers = ["Message-ID: m1", "Content-Type: text/plain"];
    is_bad(&Message::bodiless("t4Kz81Qm", "SEND", &headers).by(A));
    let headers = ["Message-ID: m1", "Content-Disposition: render"];
    is_bad(&Message::bodiless("t4Kz81Qm", "SEND", &headers).by(A));
}

#[test]
fn b7_a_uri_may_have_a_user_an_address_in_brackets_and_signs_in_its_session_id() {
    for path in [
        "msrp://[2001:db8::7]:20000/1714557600123;tcp",
        "msrp://al:ice@198.51.100.7:20000/a/b+c=d.e~f;tcp;x=1",
    ] {
        let mut bed = Bed::new();
        let session = bed.session(Tcp, Tcp);
        bed.set_peer(session, B, path, None);
        let (a, b) = bed.both_come(session);
        let message = Message::send("t4Kz81Qm", "hello");
        bed.says(a, &message.by(A));
        assert_eq!(bed.hears(b), message.to(B));
    }
    // A user does not count when URIs are compared.
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", "hello");
    let said = bed.with_uris(a, &message.by(A));
    bed.says(a, &said.replace("To-Path: msrp://", "To-Path: msrp://me@"));
    assert_eq!(bed.hears(b), message.to(B));
}

#[test]
fn b8_any_transport_may_stand_in_a_path_and_wss_means_ws() {
    let mut bed = Bed::new();
    let session = bed.session(Tcp, Tcp);
    bed.set_peer(
        session,
        A,
        "msrp://hop.invalid:9/x;sctp msrps://q.invalid:2855/s;wss",
        None,
    );
    let (a, b) = bed.both_come(session);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(a, &message.between("L(A)", "msrps://q.invalid:2855/s;ws"));
    assert_eq!(bed.hears(b), message.to(B));
    bed.says(b, &message.by(B));
    assert_eq!(
        bed.hears(a),
        message.to(A),
        "the whole path is shown as it was told"
    );
}

#[test]
fn b9_uris_are_equal_by_their_parts() {
    let judge = |change: fn(&str) -> String| {
        let (mut bed, a, b) = talk(Tcp, Tcp);
        let message = Message::send("t4Kz81Qm", "hello");
        let uri = bed.with_uris(a, "L(A)");
        bed.says(a, &message.between(&change(&uri), "R(A)"));
        let refused = message.answer("481 Session Does Not Exist").to(A);
        match (bed.hears(a).as_str(), bed.hears(b).as_str()) {
            ("", passed_on) => {
                assert_eq!(passed_on, message.to(B));
                true
            }
            (answer, passed_on) => {
                assert_eq!((answer, passed_on), (refused.as_str(), ""));
                false
            }
        }
    };
    assert!(judge(|uri| uri.replace("msrp:", "MSRP:")));
    assert!(judge(|uri| uri.replace("relay", "ReLaY")));
    assert!(judge(|uri| uri.replace(";tcp", ";TCP")));
    assert!(!judge(|uri| uri.replace("msrp:", "msrps:")));
    assert!(!judge(|uri| uri.replace(";tcp", ";ws")));
    assert!(!judge(|uri| uri.replace(":20000", "")));
    assert!(!judge(|uri| uri.replace(":20000", ":20001")));
    assert!(!judge(|uri| {
        let (front, id) = uri.rsplit_once('/').expect("a session-id");
        let swap = |letter: char| match letter.is_ascii_lowercase() {
            true => letter.to_ascii_uppercase(),
            false => letter.to_ascii_lowercase(),
        };
        let id = id.strip_suffix(";tcp").expect("TCP");
        format!("{front}/{};tcp", id.chars().map(swap).collect::<String>())
    }));
}

#[test]
fn b10_a_byte_range_is_of_numbers_below_two_to_the_sixty_four() {
    let ranged = |range| Message::send("t4Kz81Qm", "hello").with(range);
    is_passed_on(&ranged("Byte-Range: 1-5/5"));
    is_passed_on(&ranged("Byte-Range: 1-*/*"));
    is_passed_on(&ranged("Byte-Range: 18446744073709551615-*/*"));
    is_bad(&ranged("Byte-Range: 18446744073709551616-*/*").by(A));
    is_bad(&ranged("Byte-Range: *-5/5").by(A));
    is_bad(&ranged("Byte-Range: 1-5").by(A));
    is_bad(&ranged("Byte-Range: 1-5/x").by(A));
}

#[test]
fn b11_a_report_has_a_status_of_any_namespace() {
    let report = |status| Message::bodiless("t4Kz81Qm", "REPORT", &["Message-ID: m1", status]);
    is_passed_on(&report("Status: 000 200 OK"));
    is_passed_on(&report("Status: 000 413"));
    is_passed_on(&report("Status: 123 999 whatever it means"));
    for wrong in ["X-None: 1", "Status: 200 OK", "Status: 00 200"] {
        let (mut bed, a, b) = talk(Tcp, Tcp);
        bed.says(a, &report(wrong).by(A));
        assert_eq!((bed.hears(b), bed.hears(a)), (String::new(), String::new()));
    }
}

#[test]
fn b12_a_report_with_headers_of_a_send_is_forwarded_as_it_is() {
    is_passed_on(&Message::bodiless(
        "t4Kz81Qm",
        "REPORT",
        &[
            "Message-ID: m1",
            "Success-Report: yes",
            "Failure-Report: no",
            "Status: 000 200 OK",
        ],
    ));
}

#[test]
fn b13_a_body_over_ten_kibibytes_is_for_send_only() {
    let mut message = Message::send("t4Kz81Qm", &"x".repeat(10_240));
    message.subject = "NICKNAME";
    is_passed_on(&message);

    let (mut bed, a, _) = talk(Tcp, Tcp);
    message.body = Some("x".repeat(10_241));
    bed.says(a, &message.by(A));
    assert_eq!(bed.hears(a), message.answer(BAD).to(A));
}

#[test]
fn b14_a_send_may_have_a_body_of_any_length() {
    for bytes in [0, 1, 2047, 2048, 17_408, 65_536, 1_000_000] {
        is_passed_on(&Message::send("t4Kz81Qm", &"x".repeat(bytes)));
    }
}

#[test]
fn b15_past_the_ceilings_of_a_head_it_is_400_or_the_end() {
    let mut message = Message::send("t4Kz81Qm", "hello");
    let spare = 64 - 2 - message.headers.len();
    for _ in 0..spare {
        message = message.with("X-Filler: 1");
    }
    is_passed_on(&message);
    is_bad(&message.with("X-Filler: 1").by(A));

    let long: &'static str = format!("X-Long: {}", "x".repeat(8192 - 10)).leak();
    is_passed_on(&Message::send("t4Kz81Qm", "hello").with(long));
    let longer: &'static str = format!("{long}x").leak();
    is_bad(&Message::send("t4Kz81Qm", "hello").with(longer).by(A));

    let hops = |number| vec!["msrp://hop.invalid:9/x;tcp"; number].join(" ") + " R(A)";
    let message = Message::send("t4Kz81Qm", "hello");
    let (mut bed, a, b) = talk(Tcp, Tcp);
    bed.says(a, &message.between("L(A)", &hops(7)));
    assert_eq!(bed.hears(b), message.to(B));
    bed.says(a, &message.between("L(A)", &hops(8)));
    assert!(bed.hears(a).starts_with("MSRP t4Kz81Qm 400 "));

    ends_the_connection(&format!("MSRP t4Kz81Qm {}\r\n", "X".repeat(500)));
    ends_the_connection(&format!("MSRP t4Kz81Qm SEND\r\nX: {}", "x".repeat(16_384)));
}

#[test]
fn b16_a_line_ends_in_crlf_and_nothing_else() {
    for header in ["X-Two: 1\nX-Three: 2", "X-Two: 1\rX-Three: 2"] {
        is_bad(&Message::send("t4Kz81Qm", "hello").with(header).by(A));
    }
}

#[test]
fn b17_unknown_headers_and_methods_are_passed_on() {
    is_passed_on(&Message::send("t4Kz81Qm", "hello").with("X-Unheard-Of:   as it is "));
    is_passed_on(&Message::bodiless("t4Kz81Qm", "DANCE", &["X-Steps: 3"]));
}

#[test]
fn b18_what_cannot_be_understood_is_answered_only_if_that_is_wanted() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let wrong = Message::send("t4Kz81Qm", "hello").with("Byte-Range: wrong");
    bed.says(a, &wrong.clone().with("Failure-Report: no").by(A));
    assert_eq!(bed.hears(a), "");
    bed.says(a, &wrong.clone().with("Failure-Report: partial").by(A));
    assert_eq!(bed.hears(a), wrong.answer(BAD).to(A));

    let asked = Message::send("asked123", "hello");
    bed.says(a, &asked.by(A));
    bed.hears(b);
    bed.says(
        b,
        &asked.answer("200 OK").between("L(B)", "R(B)\r\nno header"),
    );
    assert_eq!((bed.hears(a), bed.hears(b)), (String::new(), String::new()));
    assert!(!bed.is_ended(b));
}

#[test]
fn b19_what_does_not_begin_like_msrp_ends_the_connection() {
    ends_the_connection("GET / HTTP/1.1\r\n");
    ends_the_connection("msrp t4Kz81Qm SEND\r\n");
    ends_the_connection("\r\nMSRP t4Kz81Qm SEND\r\n");
    let (mut bed, a, _) = talk(Ws, Tcp);
    bed.says_octets(a, &frame(2, true, b"hello"));
    assert_eq!(bed.close_code(a), Some(1002));
}
