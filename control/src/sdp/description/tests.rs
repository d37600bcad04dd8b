use proptest::prelude::*;

use super::*;
use crate::sdp::Setup;

/// An offer with these lines after the session's own; `\n` becomes CRLF.
fn offer(lines: &str) -> Vec<u8> {
    let text = format!("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nc=IN IP4 198.51.100.7\nt=0 0\n{lines}");
    text.replace('\n', "\r\n").into_bytes()
}

fn read(lines: &str, transport: Transport) -> Result<MessageMedia, Refusal> {
    Offer::read(&offer(lines), transport).map(|offer| offer.media().clone())
}

const TCP: &str = "m=message 20000 TCP/MSRP *\na=path:msrp://198.51.100.7:20000/s1;tcp\n";

#[test]
fn o2_a_line_without_a_path_is_refused() {
    for line in ["", "a=path\n", "a=path:\n", "a=path: \n"] {
        let text = format!("m=message 9 TCP/MSRP *\n{line}");
        assert_eq!(
            read(&text, Transport::Tcp),
            Err(Refusal::PathMissing),
            "{line:?}"
        );
    }
    assert_eq!(Refusal::PathMissing.status(), 488);
}

#[test]
fn q4_a_path_that_is_no_list_of_msrp_uris_is_refused() {
    let nine = ["msrp://h:1/s;tcp"; 9].join(" ");
    let long = format!("msrp://h:1/{};tcp", "s".repeat(1024));
    for path in [
        "x",
        "http://h/",
        "msrp://h:1/s",
        "msrp://h:1/s;tcp,msrp://h:2/s;tcp",
        &nine,
        &long,
    ] {
        let text = format!("m=message 9 TCP/MSRP *\na=path:{path}\n");
        assert_eq!(
            read(&text, Transport::Tcp),
            Err(Refusal::PathInvalid),
            "{path}"
        );
    }
}

#[test]
fn o2_the_leftmost_uri_is_the_next_hop_and_the_whole_path_is_kept() {
    let text =
        "m=message 9 TCP/MSRP *\na=path:msrp://r.example:2855/x;tcp  msrp://e.example:1/y;tcp\n";
    let media = read(text, Transport::Tcp).unwrap();
    assert_eq!(
        media.path_text(),
        "msrp://r.example:2855/x;tcp msrp://e.example:1/y;tcp"
    );
    let target = media.target();
    assert_eq!((target.host.as_str(), target.port), ("r.example", 2855));
}

#[test]
fn o3_the_path_must_have_the_transport_of_the_leg() {
    use Transport::{Tcp, Tls, Ws, Wss};
    let rows = [
        ("TCP/MSRP", "msrp://h:1/s;ws", Some(Ws)),
        // RFC 7977, 5.2.2 knows this protocol only; from a browser either is taken.
        ("TCP/TLS/MSRP", "msrp://h:1/s;ws", Some(Ws)),
        ("TCP/TLS/MSRP", "msrps://h:1/s;ws", Some(Wss)),
        ("TCP/TLS/MSRP", "msrps://h:1/s;wss", Some(Wss)),
        ("TCP/TLS/MSRP", "msrp://h:1/s;wss", Some(Wss)),
        ("TCP/MSRP", "msrps://h:1/s;ws", Some(Wss)),
        ("TCP/MSRP", "msrp://h:1/s;tcp", Some(Tcp)),
        ("tcp/msrp", "msrp://h:1/s;TCP", Some(Tcp)),
        ("TCP/TLS/MSRP", "msrps://h:1/s;tcp", Some(Tls)),
        // N2: m-line and scheme disagree.
        ("TCP/MSRP", "msrps://h:1/s;tcp", None),
        ("TCP/TLS/MSRP", "msrp://h:1/s;tcp", None),
    ];
    for (protocol, path, fits) in rows {
        let text = format!("m=message 9 {protocol} *\na=path:{path}\n");
        for leg in [Ws, Wss, Tcp, Tls] {
            let got = read(&text, leg).map(|media| media.transport);
            let wanted = if fits == Some(leg) {
                Ok(leg)
            } else {
                Err(Refusal::TransportMismatch)
            };
            assert_eq!(got, wanted, "{protocol} {path} on {leg:?}");
        }
    }
}

#[test]
fn o1_the_first_usable_message_line_is_taken_and_others_are_passed_over() {
    let text = format!(
        "m=audio 4000 RTP/AVP 0\nm=message 0 TCP/MSRP *\nm=message 9 UDP/X *\nm=message 9 TCP/MSRP *\n{TCP}"
    );
    assert_eq!(read(&text, Transport::Tcp).unwrap().index, 4);
    let twice = format!("{TCP}{TCP}");
    assert_eq!(read(&twice, Transport::Tcp).unwrap().index, 0);
}

#[test]
fn o5_without_a_message_line_that_is_meant_an_offer_is_refused() {
    for text in [
        "",
        "m=audio 4000 RTP/AVP 0\n",
        "m=message 0 TCP/MSRP *\na=path:msrp://h:1/s;tcp\n",
    ] {
        assert_eq!(
            read(text, Transport::Tcp),
            Err(Refusal::NoMessageMedia),
            "{text}"
        );
    }
}

#[test]
fn attributes_of_the_session_hold_for_the_line_and_its_own_win() {
    let text =
        format!("a=setup:active\na=fingerprint:SHA-1 00\n{TCP}a=msrp-cema\na=accept-types:*\n");
    let media = read(&text, Transport::Tcp).unwrap();
    assert_eq!(media.setup, Some(Setup::Active));
    assert_eq!(media.fingerprints, ["SHA-1 00"]);
    assert_eq!(media.accept_types.as_deref(), Some("*"));
    assert_eq!(media.connection.as_deref(), Some("198.51.100.7"));
    assert!(media.cema);
    let text =
        format!("a=fingerprint:SHA-1 00\n{TCP}a=fingerprint:SHA-1 01\na=fingerprint:SHA-256 02\n");
    let media = read(&text, Transport::Tcp).unwrap();
    assert_eq!(media.fingerprints, ["SHA-1 01", "SHA-256 02"]);
    let text = format!("a=setup:active\n{TCP}c=IN IP4 203.0.113.1/127\na=setup:passive\n");
    let media = read(&text, Transport::Tcp).unwrap();
    assert_eq!(media.setup, Some(Setup::Passive));
    assert_eq!(media.connection.as_deref(), Some("203.0.113.1"));
}

#[test]
fn o11_with_cema_the_c_and_m_line_are_connected_to_without_it_the_path() {
    let line =
        "m=message 3000 TCP/MSRP *\nc=IN IP4 203.0.113.9\na=path:msrp://10.0.0.1:2855/s;tcp\n";
    let target = read(line, Transport::Tcp).unwrap().target();
    assert_eq!((target.host.as_str(), target.port), ("10.0.0.1", 2855));
    let target = read(&format!("{line}a=msrp-cema\n"), Transport::Tcp)
        .unwrap()
        .target();
    assert_eq!((target.host.as_str(), target.port), ("203.0.113.9", 3000));
}

#[test]
fn o10_an_active_peer_may_name_any_port() {
    let line = "m=message 9 TCP/MSRP *\na=path:msrp://10.0.0.1:2855/s;tcp\na=setup:active\n";
    assert_eq!(read(line, Transport::Tcp).unwrap().port, 9);
}

#[test]
fn o15_an_ipv6_path_gives_an_address_without_brackets() {
    let line = "m=message 2855 TCP/MSRP *\na=path:msrp://[2001:db8::1]/s;tcp\n";
    let target = read(line, Transport::Tcp).unwrap().target();
    assert_eq!((target.host.as_str(), target.port), ("2001:db8::1", 2855));
}

#[test]
fn an_answer_has_the_lines_of_its_offer() {
    let offered = Offer::read(&offer(TCP), Transport::Tcp).unwrap();
    let answered = |lines: &str| Answer::read(&offer(lines), &offered, Transport::Tcp);
    assert!(answered(TCP).unwrap().media().is_ok());
    for lines in ["", "m=audio 1 RTP/AVP 0\n", &format!("{TCP}{TCP}")] {
        assert_eq!(answered(lines).err(), Some(Refusal::LinesDiffer), "{lines}");
    }
    let lines = "m=message 0 TCP/MSRP *\n";
    assert_eq!(answered(lines).unwrap().media(), Err(&Refusal::Declined));
    let lines = "m=message 9 TCP/MSRP *\n";
    assert_eq!(answered(lines).unwrap().media(), Err(&Refusal::PathMissing));
    let lines = "m=message 9 TCP/TLS/MSRP *\na=path:msrps://h:1/s;tcp\n";
    assert_eq!(
        answered(lines).unwrap().media(),
        Err(&Refusal::TransportMismatch)
    );
}

#[test]
fn what_is_no_description_is_refused_with_its_line() {
    let refused = |text: &[u8]| Offer::read(text, Transport::Tcp).unwrap_err();
    assert_eq!(refused(b""), Refusal::Malformed { line: 0 });
    assert_eq!(refused(b"hello"), Refusal::Malformed { line: 1 });
    assert_eq!(
        refused(&offer("m=message x TCP/MSRP *\n")),
        Refusal::Malformed { line: 6 }
    );
    assert_eq!(
        refused(&offer("m=message 70000 TCP/MSRP *\n")),
        Refusal::Malformed { line: 6 }
    );
    assert_eq!(
        refused(b"v=0\r\ns=\xff\r\n"),
        Refusal::Malformed { line: 2 }
    );
    assert_eq!(Refusal::Malformed { line: 1 }.status(), 400);
}

#[test]
fn what_is_too_large_is_refused() {
    let refused = |text: &[u8]| Offer::read(text, Transport::Tcp).unwrap_err();
    let long = format!("{TCP}a=x:{}\n", "y".repeat(SDP_BYTES_MAX));
    assert_eq!(refused(&offer(&long)), Refusal::TooLarge);
    let lines = format!("{TCP}{}", "a=x\n".repeat(LINES_MAX));
    assert_eq!(refused(&offer(&lines)), Refusal::TooLarge);
    assert_eq!(
        refused(&offer(&TCP.repeat(MEDIAS_MAX + 1))),
        Refusal::TooLarge
    );
    assert_eq!(Refusal::TooLarge.status(), 413);
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Offer::read(&text, Transport::Tcp);
    }

    #[test]
    fn no_lines_make_reading_panic(lines in proptest::collection::vec("[vosiuepcbtrzkam]=[ -~]{0,40}|a=path:msrps?://[a-z:@/;.\\[\\]0-9]{0,30}", 0..30)) {
        let text = format!("v=0\r\n{}", lines.join("\r\n"));
        let offered = Offer::read(text.as_bytes(), Transport::Tcp);
        if let Ok(offered) = offered {
            let _ = offered.media().target();
            prop_assert!(offered.media().path_text().len() <= 1024);
        }
    }
}
