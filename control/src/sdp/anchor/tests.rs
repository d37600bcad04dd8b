use proptest::prelude::*;

use super::*;
use crate::sdp::{Refusal, Role};

/// `\n` becomes CRLF.
fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn text(octets: Vec<u8>) -> String {
    String::from_utf8(octets).unwrap().replace("\r\n", "\n")
}

const TO_TCP: LocalLeg<'_> = LocalLeg {
    transport: Transport::Tcp,
    path: "msrp://192.0.2.20:20010/Zk3vQ8mB;tcp",
    resource: None,
    setup: Setup::Actpass,
    fingerprint: None,
};

const TO_WS: LocalLeg<'_> = LocalLeg {
    transport: Transport::Ws,
    path: "msrp://media.example.com:40001/Ab3dE6;ws",
    resource: Some("/m/8fJ2kQ0sYw7Vn4Xb"),
    setup: Setup::Passive,
    fingerprint: None,
};

const FROM_BROWSER: &str = "v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
c=IN IP4 0.0.0.0
t=0 0
a=tool:page 1.0
m=message 9 TCP/TLS/MSRP *
i=a chat
a=accept-types:text/plain message/cpim
a=path:msrp://k2x9.invalid:2855/a1b2c3;ws
a=ws-resource-path:/not/ours
a=setup:active
a=connection:new
a=accept-wrapped-types:*
a=max-size:65536
a=msrp-cema
a=sendrecv
a=X-Unknown: as  it is
a=chatroom
";

const FROM_HANDSET: &str = "v=0
o=bob 77 3 IN IP4 198.51.100.7
s=chat
c=IN IP4 198.51.100.7
t=0 0
m=message 20000 TCP/MSRP *
a=path:msrp://198.51.100.7:20000/1714557600123;tcp
a=accept-types:message/cpim
a=setup:active
";

fn browser() -> Offer {
    Offer::read(&crlf(FROM_BROWSER), Transport::Ws).unwrap()
}

#[test]
fn an_offer_from_a_browser_goes_out_over_tcp_with_every_other_line_as_it_was() {
    let sent = anchor_offer(&browser(), &TO_TCP, &mut Origin::new(3_700_000_010)).unwrap();
    assert_eq!(
        text(sent),
        "v=0
o=- 3700000010 1 IN IP4 192.0.2.20
s=-
c=IN IP4 192.0.2.20
t=0 0
a=tool:page 1.0
m=message 20010 TCP/MSRP *
i=a chat
c=IN IP4 192.0.2.20
a=accept-types:text/plain message/cpim
a=path:msrp://192.0.2.20:20010/Zk3vQ8mB;tcp
a=setup:actpass
a=accept-wrapped-types:*
a=max-size:65536
a=sendrecv
a=X-Unknown: as  it is
a=chatroom
"
    );
}

#[test]
fn an_answer_from_a_handset_goes_to_the_browser_with_the_resource_path() {
    let answer = Answer::read(&crlf(FROM_HANDSET), &browser(), Transport::Tcp).unwrap();
    let sent = anchor_answer(&answer, &TO_WS, &mut Origin::new(7)).unwrap();
    assert_eq!(
        text(sent),
        "v=0
o=- 7 1 IN IP4 media.example.com
s=chat
c=IN IP4 media.example.com
t=0 0
m=message 40001 TCP/MSRP *
c=IN IP4 media.example.com
a=path:msrp://media.example.com:40001/Ab3dE6;ws
a=ws-resource-path:/m/8fJ2kQ0sYw7Vn4Xb
a=accept-types:message/cpim
a=setup:passive
"
    );
}

#[test]
fn each_transport_has_its_protocol_port_and_lines() {
    let legs = [
        (
            Transport::Ws,
            "msrp://h.example:1/s;ws",
            Some("/r"),
            "m=message 1 TCP/MSRP *",
        ),
        (
            Transport::Wss,
            "msrps://h.example:2/s;ws",
            Some("/r"),
            "m=message 2 TCP/TLS/MSRP *",
        ),
        (
            Transport::Tcp,
            "msrp://h.example:3/s;tcp",
            None,
            "m=message 3 TCP/MSRP *",
        ),
        (
            Transport::Tls,
            "msrps://h.example:4/s;tcp",
            None,
            "m=message 4 TCP/TLS/MSRP *",
        ),
    ];
    for (transport, path, resource, line) in legs {
        let leg = LocalLeg {
            transport,
            path,
            resource,
            ..TO_TCP
        };
        let sent = text(anchor_offer(&browser(), &leg, &mut Origin::new(1)).unwrap());
        assert!(sent.contains(&format!("\n{line}\n")), "{sent}");
        assert!(sent.contains(&format!("\na=path:{path}\n")), "{sent}");
        let resources = sent.matches("a=ws-resource-path:").count();
        assert_eq!(resources, usize::from(resource.is_some()), "M9: {sent}");
    }
}

#[test]
fn hop_attributes_of_the_session_are_resolved_into_the_line() {
    let offered = FROM_HANDSET.replace("a=setup:active\n", "").replace(
        "m=message",
        "a=setup:actpass\na=connection:new\na=fingerprint:SHA-1 00:11\na=msrp-cema\na=keep:me\nm=message",
    );
    let offer = Offer::read(&crlf(&offered), Transport::Tcp).unwrap();
    assert_eq!(offer.media().setup, Some(Setup::Actpass));
    let leg = LocalLeg {
        setup: Setup::Actpass,
        ..TO_WS
    };
    let sent = text(anchor_offer(&offer, &leg, &mut Origin::new(7)).unwrap());
    assert!(
        sent.ends_with(
            "t=0 0
a=keep:me
m=message 40001 TCP/MSRP *
c=IN IP4 media.example.com
a=path:msrp://media.example.com:40001/Ab3dE6;ws
a=ws-resource-path:/m/8fJ2kQ0sYw7Vn4Xb
a=setup:actpass
a=accept-types:message/cpim
"
        ),
        "{sent}"
    );
}

#[test]
fn n6_the_fingerprint_is_the_relays_own_or_none() {
    let offered = format!("{FROM_HANDSET}a=fingerprint:SHA-1 AA:BB\n");
    let offer = Offer::read(&crlf(&offered), Transport::Tcp).unwrap();
    let tls = LocalLeg {
        transport: Transport::Tls,
        path: "msrps://192.0.2.20:5/s;tcp",
        fingerprint: Some("SHA-256 12:34"),
        ..TO_TCP
    };
    let sent = text(anchor_offer(&offer, &tls, &mut Origin::new(1)).unwrap());
    assert!(
        sent.ends_with("a=setup:actpass\na=fingerprint:SHA-256 12:34\n"),
        "{sent}"
    );
    let sent = text(anchor_offer(&offer, &TO_TCP, &mut Origin::new(1)).unwrap());
    assert!(!sent.contains("fingerprint"), "{sent}");
}

#[test]
fn d4_nothing_of_one_sides_addresses_reaches_the_other() {
    let offered = format!(
        "{FROM_HANDSET}m=audio 4000 RTP/AVP 0\nc=IN IP4 198.51.100.7\na=candidate:1 1 UDP 1 198.51.100.7 4000 typ host\n\
         m=message 20001 TCP/MSRP *\na=path:msrp://198.51.100.7:20001/2;tcp\na=file-transfer-id:x\n"
    );
    let offer = Offer::read(&crlf(&offered), Transport::Tcp).unwrap();
    let leg = LocalLeg {
        setup: Setup::Actpass,
        ..TO_WS
    };
    let sent = text(anchor_offer(&offer, &leg, &mut Origin::new(1)).unwrap());
    assert!(!sent.contains("198.51.100.7"), "{sent}");
    assert!(
        sent.ends_with("m=audio 0 RTP/AVP 0\nm=message 0 TCP/MSRP *\na=file-transfer-id:x\n"),
        "{sent}"
    );
}

#[test]
fn a_session_without_a_c_line_gets_one_in_every_section() {
    let offered = FROM_HANDSET.replace("c=IN IP4 198.51.100.7\n", "").replace(
        "m=message 20000 TCP/MSRP *\n",
        "m=audio 9 RTP/AVP 0\nc=IN IP4 198.51.100.7\nm=message 20000 TCP/MSRP *\nc=IN IP4 198.51.100.7\n",
    );
    let offer = Offer::read(&crlf(&offered), Transport::Tcp).unwrap();
    let sent = text(anchor_offer(&offer, &TO_TCP, &mut Origin::new(1)).unwrap());
    assert_eq!(sent.matches("c=IN IP4 192.0.2.20\n").count(), 2, "{sent}");
    assert!(
        sent.contains("m=audio 0 RTP/AVP 0\nc=IN IP4 192.0.2.20\n"),
        "{sent}"
    );
}

#[test]
fn o13_a_declined_or_unusable_answer_has_port_0_everywhere_and_no_path() {
    let cases = [
        (
            FROM_HANDSET.replace("message 20000", "message 0"),
            Refusal::Declined,
        ),
        (
            FROM_HANDSET.replace("a=path", "a=hpat"),
            Refusal::PathMissing,
        ),
        (
            FROM_HANDSET.replace(";tcp", ";ws"),
            Refusal::TransportMismatch,
        ),
    ];
    for (answered, why) in cases {
        let answer = Answer::read(&crlf(&answered), &browser(), Transport::Tcp).unwrap();
        assert_eq!(answer.media(), Err(&why));
        let sent = text(anchor_answer(&answer, &TO_WS, &mut Origin::new(1)).unwrap());
        assert!(sent.contains("m=message 0 TCP/MSRP *\n"), "{sent}");
        assert!(
            !sent.contains("a=path") && !sent.contains("ws-resource"),
            "{sent}"
        );
    }
}

#[test]
fn an_answer_that_takes_a_line_we_refused_still_has_port_0_there() {
    let offered = format!(
        "m=audio 4000 RTP/AVP 0\n{}",
        &FROM_BROWSER[FROM_BROWSER.find("m=").unwrap()..]
    );
    let head = &FROM_BROWSER[..FROM_BROWSER.find("m=").unwrap()];
    let offer = Offer::read(&crlf(&format!("{head}{offered}")), Transport::Ws).unwrap();
    assert_eq!(offer.media().index, 1);
    let answered = FROM_HANDSET.replace("m=message", "m=audio 5000 RTP/AVP 0\nm=message");
    let answer = Answer::read(&crlf(&answered), &offer, Transport::Tcp).unwrap();
    let sent = text(anchor_answer(&answer, &TO_WS, &mut Origin::new(1)).unwrap());
    assert!(
        sent.contains("\nm=audio 0 RTP/AVP 0\nm=message 40001 "),
        "{sent}"
    );
}

#[test]
fn rfc4975_8_4_the_version_grows_only_when_something_changed() {
    let mut origin = Origin::new(9);
    let version = |octets: Vec<u8>| {
        let sent = text(octets);
        sent.lines()
            .nth(1)
            .unwrap()
            .split(' ')
            .nth(2)
            .unwrap()
            .to_string()
    };
    let offer = browser();
    assert_eq!(
        version(anchor_offer(&offer, &TO_TCP, &mut origin).unwrap()),
        "1"
    );
    assert_eq!(
        version(anchor_offer(&offer, &TO_TCP, &mut origin).unwrap()),
        "1"
    );
    let other = FROM_BROWSER
        .replace("sendrecv", "sendonly")
        .replace("o=- 1 1", "o=- 1 2");
    let other = Offer::read(&crlf(&other), Transport::Ws).unwrap();
    assert_eq!(
        version(anchor_offer(&other, &TO_TCP, &mut origin).unwrap()),
        "2"
    );
    assert_eq!(
        version(anchor_offer(&offer, &TO_TCP, &mut origin).unwrap()),
        "3"
    );
}

#[test]
fn o4_o15_an_ipv6_leg_has_ip6_lines_and_brackets_in_the_path_only() {
    let leg = LocalLeg {
        path: "msrp://[2001:db8::5]:20010/s;tcp",
        ..TO_TCP
    };
    let sent = text(anchor_offer(&browser(), &leg, &mut Origin::new(1)).unwrap());
    assert!(sent.contains("\no=- 1 1 IN IP6 2001:db8::5\n"), "{sent}");
    assert_eq!(sent.matches("c=IN IP6 2001:db8::5\n").count(), 2, "{sent}");
    assert!(
        sent.contains("\na=path:msrp://[2001:db8::5]:20010/s;tcp\n"),
        "{sent}"
    );
}

#[test]
fn a_leg_that_does_not_fit_together_is_refused() {
    let bad_offers = [
        LocalLeg {
            path: "nonsense",
            ..TO_TCP
        },
        LocalLeg {
            path: "msrp://h/s;tcp",
            ..TO_TCP
        },
        LocalLeg {
            path: "msrp://h:1/s;ws",
            ..TO_TCP
        },
        LocalLeg {
            resource: Some("/r"),
            ..TO_TCP
        },
        LocalLeg {
            setup: Setup::Passive,
            ..TO_TCP
        },
        LocalLeg {
            setup: Setup::Holdconn,
            ..TO_TCP
        },
        LocalLeg {
            fingerprint: Some("SHA-1 00"),
            ..TO_TCP
        },
        LocalLeg {
            setup: Setup::Actpass,
            resource: None,
            ..TO_WS
        },
        LocalLeg {
            setup: Setup::Actpass,
            resource: Some("r"),
            ..TO_WS
        },
        LocalLeg {
            setup: Setup::Actpass,
            resource: Some("/r\r\na=x"),
            ..TO_WS
        },
        LocalLeg {
            setup: Setup::Active,
            ..TO_WS
        },
    ];
    for leg in bad_offers {
        let sent = anchor_offer(&browser(), &leg, &mut Origin::new(1));
        assert_eq!(sent, Err(BadLeg), "{leg:?}");
    }
    let answer = Answer::read(&crlf(FROM_HANDSET), &browser(), Transport::Tcp).unwrap();
    for setup in [Setup::Actpass, Setup::Holdconn, Role::Active.into()] {
        let leg = LocalLeg { setup, ..TO_WS };
        assert_eq!(
            anchor_answer(&answer, &leg, &mut Origin::new(1)),
            Err(BadLeg)
        );
    }
}

#[test]
fn an_empty_session_name_becomes_a_dash_and_lone_line_feeds_become_crlf() {
    let offered = FROM_HANDSET.replace("s=chat\n", "");
    let offer = Offer::read(offered.as_bytes(), Transport::Tcp).unwrap();
    let sent = anchor_offer(&offer, &TO_TCP, &mut Origin::new(1)).unwrap();
    let sent = String::from_utf8(sent).unwrap();
    assert!(sent.contains("\r\ns=-\r\n"), "{sent}");
    assert!(
        sent.lines().count() == sent.matches("\r\n").count(),
        "{sent}"
    );
}

proptest! {
    #[test]
    fn unknown_attributes_stay_in_their_order(
        names in proptest::collection::vec("x-[a-z]{1,8}(:[ -~]{0,20})?", 0..20)
    ) {
        let lines: String = names.iter().map(|name| format!("a={name}\n")).collect();
        let offer = Offer::read(&crlf(&format!("{FROM_HANDSET}{lines}")), Transport::Tcp).unwrap();
        let sent = text(anchor_offer(&offer, &TO_TCP, &mut Origin::new(1)).unwrap());
        prop_assert!(sent.ends_with(&format!("a=setup:actpass\n{lines}")), "{}", sent);
    }

    #[test]
    fn what_was_anchored_can_be_read_again(
        lines in proptest::collection::vec("[icbkam]=[ -~]{0,30}", 0..12)
    ) {
        let offered = format!("{FROM_HANDSET}{}\n", lines.join("\n"));
        if let Ok(offer) = Offer::read(&crlf(&offered), Transport::Tcp) {
            let sent = anchor_offer(&offer, &TO_TCP, &mut Origin::new(1)).unwrap();
            let again = Offer::read(&sent, Transport::Tcp);
            prop_assert_eq!(again.map(|offer| offer.media().path_text()), Ok(TO_TCP.path.to_string()));
        }
    }
}
