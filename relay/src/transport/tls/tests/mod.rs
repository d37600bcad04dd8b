//! Against the connections of stock rustls, in both roles and both versions, with the input cut
//! anywhere.

mod peers;

use std::io::Write;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{CipherSuite, HandshakeKind, ServerConnection, SupportedProtocolVersion, version};

use super::records::content;
use super::*;
use peers::*;

const SUITES: [(&SupportedProtocolVersion, CipherSuite); 6] = [
    (&version::TLS13, CipherSuite::TLS13_AES_128_GCM_SHA256),
    (&version::TLS13, CipherSuite::TLS13_AES_256_GCM_SHA384),
    (&version::TLS13, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    (
        &version::TLS12,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        &version::TLS12,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        &version::TLS12,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Ours and a stock peer, both roles and every suite, before their first octet.
fn pairs(mut check: impl FnMut(Ours, Stock, &str)) {
    let made = made(NAME);
    let identity = identity(&[&made], &made.chain);
    for (version, suite) in SUITES {
        let config = Arc::new(stock_client(version, Some(suite), &made, None));
        let name = format!("{suite:?}, ours the server");
        let tls = identity.accept_endpoint().unwrap();
        check(Ours::new(tls), client(&config, NAME), &name);
        let config = Arc::new(stock_server(version, Some(suite), &made));
        let name = format!("{suite:?}, ours the client");
        let tls = identity.connect_vouched(NAME).unwrap();
        let server = Stock::new(ServerConnection::new(config).unwrap());
        check(Ours::new(tls), server, &name);
    }
}

fn octets(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 % 251) as u8).collect()
}

fn open_pairs(mut check: impl FnMut(Ours, Stock, &str)) {
    pairs(|mut ours, mut stock, name| {
        converse(&mut ours, &mut stock, whole);
        assert!(
            ours.established && !stock.connection.is_handshaking(),
            "{name}"
        );
        check(ours, stock, name);
    });
}

#[test]
fn octets_pass_both_ways_however_the_input_is_cut() {
    let cuts: [fn(usize) -> usize; 5] = [whole, |_| 1, |_| 2, |_| 7, |rest| rest / 2];
    for cut in cuts {
        pairs(|mut ours, mut stock, name| {
            stock.connection.writer().write_all(b"early bird").unwrap();
            converse(&mut ours, &mut stock, cut);
            assert!(ours.established, "{name}: {:?}", stock.error);
            for bytes in [1, 2, 300, PLAIN_BYTES_MAX, 40_000] {
                let said = octets(bytes);
                ours.say(&said);
                stock.connection.writer().write_all(&said).unwrap();
                converse(&mut ours, &mut stock, cut);
                assert!(
                    ours.got.ends_with(&said) && stock.got == said,
                    "{name}, {bytes}"
                );
                stock.got.clear();
            }
            assert!(ours.got.starts_with(b"early bird"), "{name}");
            assert_eq!(
                ours.kept.len(),
                0,
                "{name}: an idle connection keeps nothing"
            );
        });
    }
}

#[test]
fn a_handshake_in_many_small_records_is_put_together() {
    let made = made(NAME);
    let identity = identity(&[&made], &made.chain);
    for version in [&version::TLS13, &version::TLS12] {
        for cut in [whole, |_| 1] {
            let mut config = stock_client(version, None, &made, Some(&made));
            config.max_fragment_size = Some(48);
            let mut ours = Ours::new(identity.accept_endpoint().unwrap());
            let mut stock = client(&Arc::new(config), NAME);
            converse(&mut ours, &mut stock, cut);
            assert!(ours.established, "{:?}", stock.error);
            ours.say(b"hello");
            converse(&mut ours, &mut stock, cut);
            assert_eq!(stock.got, b"hello");
        }
    }
}

#[test]
fn a_close_is_told_in_both_directions() {
    open_pairs(|mut ours, mut stock, name| {
        stock.connection.send_close_notify();
        converse(&mut ours, &mut stock, whole);
        assert!(ours.closed && !ours.broken, "{name}");
        ours.say(b"last words");
        ours.close();
        converse(&mut ours, &mut stock, whole);
        assert!(stock.closed && stock.got == b"last words", "{name}");
    });
}

#[test]
fn a_flipped_bit_anywhere_ends_it_with_an_alert() {
    pairs(|mut ours, mut stock, name| {
        converse(&mut ours, &mut stock, whole);
        stock
            .connection
            .writer()
            .write_all(b"one octet of it changes")
            .unwrap();
        let record = stock.take_out();
        let at = name.len() * 7 % record.len();
        let mut changed = record.clone();
        changed[at] ^= 0x10;
        ours.take(&changed);
        // A longer record may have been announced: then more is waited for, and it fails then.
        ours.take(&[0; RECORD_BYTES_MAX]);
        assert!(ours.broken && ours.got.is_empty(), "{name}, octet {at}");
        stock.take(&ours.sent);
        assert!(
            matches!(stock.error, Some(rustls::Error::AlertReceived(_))),
            "{name}, octet {at}: {:?}",
            stock.error
        );
    });
}

#[test]
fn what_is_no_tls_is_refused_at_once() {
    let identity = identity(&[&made(NAME)], "");
    let hellos: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n",
        b"MSRP d93kswow SEND\r\n",
        &[22, 3, 1, 0xff, 0xff],
        &[22, 9, 1, 0, 5],
        &[23, 3, 3, 0, 2, 1, 1],
        &[22, 3, 1, 0, 4, 2, 0, 0, 0],
    ];
    for hello in hellos {
        let mut ours = Ours::new(identity.accept_browser().unwrap());
        ours.take(hello);
        assert!(ours.broken && !ours.established, "{hello:?}");
        assert_eq!(ours.sent[0], content::ALERT, "{hello:?}");
    }
}

#[test]
fn a_record_longer_than_may_be_ends_it() {
    open_pairs(|mut ours, mut stock, name| {
        let longer = (RECORD_BYTES_MAX - HEADER_BYTES + 1) as u16;
        let [high, low] = longer.to_be_bytes();
        ours.take(&[23, 3, 3, high, low]);
        assert!(ours.broken, "{name}");
        stock.take(&ours.sent);
        assert!(
            matches!(
                stock.error,
                Some(rustls::Error::AlertReceived(
                    rustls::AlertDescription::RecordOverflow
                ))
            ),
            "{name}: {:?}",
            stock.error
        );
    });
}

#[test]
fn keys_are_updated_by_either_side_as_often_as_it_likes() {
    open_pairs(|mut ours, mut stock, name| {
        if !name.contains("TLS13") {
            return;
        }
        for round in 0..40u8 {
            if round % 2 == 0 {
                stock.connection.refresh_traffic_keys().unwrap();
            }
            if round % 3 == 0 {
                ours.tls.records().wear_out((1 << 24) - 9);
            }
            stock.connection.writer().write_all(&[round]).unwrap();
            ours.say(&[round]);
            converse(&mut ours, &mut stock, |_| 3);
            assert!(!ours.broken, "{name}, round {round}");
        }
        let said: Vec<u8> = (0..40).collect();
        assert_eq!((&ours.got, &stock.got), (&said, &said), "{name}");
    });
}

#[test]
fn a_key_of_tls_1_2_that_is_worn_out_seals_no_more() {
    open_pairs(|mut ours, _, name| {
        if name.contains("TLS13") || name.contains("CHACHA") {
            return;
        }
        ours.tls.records().wear_out(1 << 24);
        let (lead, tail) = ours.tls.around();
        assert!(
            ours.tls.seal(&mut vec![0; lead + 1 + tail]).is_err(),
            "{name}"
        );
    });
}

#[test]
fn what_brings_nothing_is_borne_so_often_and_no_more() {
    let update = |client: &mut Ours| {
        let mut out = [0; OUT_BYTES_MAX];
        client.tls.records().wear_out((1 << 24) - 9);
        let bytes = client.tls.before_data(&mut out).unwrap();
        out[..bytes].to_vec()
    };
    type Make<'a> = &'a dyn Fn(&mut Ours) -> Vec<u8>;
    let nothing: [(&str, u32, Make<'_>); 3] = [
        ("key updates", 32, &update),
        ("empty records", 32, &|client| {
            said(client, content::APPLICATION_DATA, &[])
        }),
        ("warnings", 4, &|client| {
            said(client, content::ALERT, &[1, alert::USER_CANCELED])
        }),
    ];
    for (what, borne, make) in nothing {
        let (mut client, mut server) = own_pair();
        for _ in 0..borne {
            let record = make(&mut client);
            server.take(&record);
        }
        assert!(!server.broken, "{what}");
        client.say(b"x");
        server.take(&std::mem::take(&mut client.sent));
        let again = if what == "warnings" { 0 } else { borne };
        for _ in 0..again {
            let record = make(&mut client);
            server.take(&record);
        }
        assert!(!server.broken && server.got == b"x", "{what}");
        let record = make(&mut client);
        server.take(&record);
        assert!(server.broken, "{what}: one too many");
        let told = std::mem::take(&mut server.sent);
        assert!(!told.is_empty(), "{what}: and it is told");
    }
}

#[test]
fn messages_after_the_handshake_may_be_cut_anywhere_but_not_stand_apart() {
    let ticket: &[u8] = &[4, 0, 0, 3, 1, 2, 3];
    for cut in 1..ticket.len() {
        let (mut client, mut server) = own_pair();
        for piece in [&ticket[..cut], &ticket[cut..]] {
            let record = said(&mut server, content::HANDSHAKE, piece);
            client.take(&record);
        }
        server.say(b"after");
        client.take(&std::mem::take(&mut server.sent));
        assert!(!client.broken && client.got == b"after", "cut at {cut}");
    }
    for cut in 1..5 {
        // A key update in two records: the second still comes under the former key.
        let (mut client, mut server) = own_pair();
        for piece in [&[24, 0, 0, 1, 0][..cut], &[24, 0, 0, 1, 0][cut..]] {
            let record = said(&mut client, content::HANDSHAKE, piece);
            server.take(&record);
        }
        assert!(!server.broken, "cut at {cut}");
        let (mut client, mut server) = own_pair();
        let record = said(&mut client, content::HANDSHAKE, &[24, 0, 0, 1, 0][..cut]);
        server.take(&record);
        client.say(b"in between");
        server.take(&std::mem::take(&mut client.sent));
        assert!(server.broken, "cut at {cut}");
    }
}

#[test]
fn padding_counts_as_content_does() {
    for (bytes, is_taken) in [(PLAIN_BYTES_MAX, true), (PLAIN_BYTES_MAX + 1, false)] {
        let (mut client, mut server) = own_pair();
        // Content, its kind, zeroes; the sealing appends one octet more, which is zero here.
        let mut padded = vec![0; bytes];
        padded[..2].copy_from_slice(&[b'x', content::APPLICATION_DATA]);
        let record = said(&mut client, 0, &padded);
        server.take(&record);
        assert_eq!(server.broken, !is_taken, "{bytes}");
        assert_eq!(server.got == b"x", is_taken, "{bytes}");
    }
}

#[test]
fn the_last_record_of_a_worn_out_key_says_that_it_is_the_end() {
    open_pairs(|mut ours, mut stock, name| {
        if name.contains("TLS13") || name.contains("CHACHA") {
            return;
        }
        let left = ours.tls.records().left();
        ours.tls.records().wear_out(left - 2);
        ours.say(b"x");
        let (lead, tail) = ours.tls.around();
        assert!(
            ours.tls.seal(&mut vec![0; lead + 1 + tail]).is_err(),
            "{name}: one is left for the end"
        );
        ours.close();
        converse(&mut ours, &mut stock, whole);
        assert!(
            stock.closed && stock.got == b"x",
            "{name}: {:?}",
            stock.error
        );
    });
}

/// Two of ours whose handshake is done: client and server, TLS 1.3.
fn own_pair() -> (Ours, Ours) {
    let made = made(NAME);
    let identity = identity(&[&made], &made.chain);
    let mut client = Ours::new(identity.connect_vouched(NAME).unwrap());
    let mut server = Ours::new(identity.accept_endpoint().unwrap());
    loop {
        let (to_server, to_client) = (
            std::mem::take(&mut client.sent),
            std::mem::take(&mut server.sent),
        );
        if to_server.is_empty() && to_client.is_empty() {
            return (client, server);
        }
        server.take(&to_server);
        client.take(&to_client);
    }
}

fn said(ours: &mut Ours, kind: u8, octets: &[u8]) -> Vec<u8> {
    let mut out = [0; OUT_BYTES_MAX];
    let bytes = ours.tls.records().say(&mut out, kind, octets);
    out[..bytes].to_vec()
}

#[test]
fn what_may_not_come_after_the_handshake_ends_it() {
    let hostile: [(u8, &[u8]); 9] = [
        (content::HANDSHAKE, &[]),
        (content::HANDSHAKE, &[24, 0, 0, 1, 2]),
        (content::HANDSHAKE, &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0]),
        (content::HANDSHAKE, &[24, 0, 0, 2, 0, 0]),
        (content::HANDSHAKE, &[1, 0, 0, 1, 0]),
        (content::HANDSHAKE, &[4, 0, 0, 1, 0]),
        (content::ALERT, &[2]),
        (20, &[1]),
        (99, &[1]),
    ];
    for (kind, octets) in hostile {
        let (mut client, mut server) = own_pair();
        let record = said(&mut client, kind, octets);
        server.take(&record);
        assert!(server.broken && server.got.is_empty(), "{kind} {octets:?}");
        assert!(
            !server.sent.is_empty(),
            "the peer is told why: {kind} {octets:?}"
        );
    }
}

#[test]
fn tickets_are_passed_over_whole_or_in_pieces() {
    let (mut client, mut server) = own_pair();
    let pieces: [&[u8]; 3] = [&[4, 0, 0, 9, 1, 2, 3], &[4, 5, 6], &[7, 8, 9, 4, 0, 0, 0]];
    for piece in pieces {
        let record = said(&mut server, content::HANDSHAKE, piece);
        client.take(&record);
    }
    server.say(b"after");
    client.take(&std::mem::take(&mut server.sent));
    assert!(!client.broken && client.got == b"after");
    let record = said(&mut server, content::HANDSHAKE, &[4, 0, 0, 9, 1]);
    client.take(&record);
    server.say(b"in between");
    client.take(&std::mem::take(&mut server.sent));
    assert!(
        client.broken,
        "nothing may stand between the pieces of a message"
    );
}

#[test]
fn alerts_of_the_peer_end_it_without_an_answer() {
    let (mut client, mut server) = own_pair();
    let record = said(&mut client, content::ALERT, &[2, 40]);
    server.take(&record);
    assert!(server.broken && server.sent.is_empty());
    let (mut client, mut server) = own_pair();
    let record = said(&mut client, content::ALERT, &[1, alert::USER_CANCELED]);
    server.take(&record);
    assert!(!server.broken && !server.closed);
}

#[test]
fn another_handshake_in_tls_1_2_is_refused_once_with_a_warning() {
    open_pairs(|mut ours, _, name| {
        if name.contains("TLS13") {
            return;
        }
        let records = ours.tls.records();
        let mut out = [0; 256];
        let hello: &[u8] = if name.contains("client") {
            &[0, 0, 0, 0]
        } else {
            &[1, 0, 0, 2, 3, 3]
        };
        let once = records.messages(hello, &mut out);
        assert!(matches!(once, Ok(Opened::Send(_))), "{name}");
        let twice = records.messages(hello, &mut out);
        assert!(matches!(twice, Err(alert::HANDSHAKE_FAILURE)), "{name}");
    });
}

#[test]
fn a_session_is_resumed_with_a_ticket_of_any_identity_that_shares_the_keys() {
    let made = made(NAME);
    let tickets = Tickets::new().unwrap();
    let certificates = [certificate(&made)];
    for version in [&version::TLS13, &version::TLS12] {
        let mut config = stock_client(version, None, &made, None);
        config.resumption = Resumption::in_memory_sessions(4);
        let config = Arc::new(config);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            // Each a shard of its own, or one after a reload.
            let identity = Identity::new(&certificates, b"", &tickets).unwrap();
            let mut ours = Ours::new(identity.accept_browser().unwrap());
            let mut stock = client(&config, NAME);
            converse(&mut ours, &mut stock, whole);
            ours.say(b"hello");
            converse(&mut ours, &mut stock, whole);
            assert_eq!(stock.got, b"hello");
            kinds.push(stock.connection.handshake_kind());
        }
        assert!(matches!(
            kinds[0],
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest)
        ));
        assert_eq!(kinds[1..], [Some(HandshakeKind::Resumed); 2]);
    }
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_it_asks_for() {
    let (one, two) = (made("one.example"), made("two.example"));
    let identity = identity(&[&one, &two], "");
    for (made, name) in [(&one, "one.example"), (&two, "two.example")] {
        let config = Arc::new(stock_client(&version::TLS13, None, made, None));
        let mut ours = Ours::new(identity.accept_browser().unwrap());
        let mut stock = client(&config, name);
        converse(&mut ours, &mut stock, whole);
        assert!(ours.established, "{name}: {:?}", stock.error);
    }
}

#[test]
fn an_endpoint_is_shown_the_certificate_whose_fingerprint_is_told_whatever_it_asks_for() {
    let (one, two) = (made("one.example"), made("two.example"));
    let identity = identity(&[&one, &two], "");
    for version in [&version::TLS13, &version::TLS12] {
        let config = Arc::new(stock_client(version, None, &one, None));
        let mut ours = Ours::new(identity.accept_endpoint().unwrap());
        let mut stock = client(&config, "two.example");
        converse(&mut ours, &mut stock, whole);
        let shown = stock.connection.peer_certificates();
        // It knows the one and asked for the other, so it looks at what it was shown and refuses.
        let refused = matches!(stock.error, Some(rustls::Error::InvalidCertificate(_)));
        assert!(shown.is_none() && refused, "{:?}", stock.error);
        let error = format!("{:?}", stock.error);
        assert!(error.contains("one.example"), "{error}");
    }
}

#[test]
fn an_authority_may_vouch_for_a_peer_as_client_or_as_server() {
    use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, CodeSigning, ServerAuth};
    let own = made(NAME);
    for (purposes, is_good) in [
        (vec![], true),
        (vec![ClientAuth], true),
        (vec![ServerAuth], true),
        (vec![CodeSigning], false),
    ] {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut wanted = rcgen::CertificateParams::new(["handset.invalid".to_string()]).unwrap();
        wanted.extended_key_usages = purposes.clone();
        let certificate = wanted.self_signed(&key).unwrap();
        let identity = identity(&[&own], &certificate.pem());
        let peer = PeerCertificate::of(&[certificate.der().clone()]).unwrap();
        let told = identity.vouches_for(&peer, "handset.invalid");
        assert_eq!(told, is_good, "{purposes:?}");
        assert!(!identity.vouches_for(&peer, "else.invalid"), "{purposes:?}");
    }
}

#[test]
fn a_certificate_of_the_peers_is_known_by_its_fingerprint() {
    let (own, other) = (made(NAME), made("handset.invalid"));
    let identity = identity(&[&own], "");
    let expected = PeerCertificate::of(std::slice::from_ref(&other.der)).unwrap();
    for version in [&version::TLS13, &version::TLS12] {
        let config = Arc::new(stock_client(version, None, &own, Some(&other)));
        let mut ours = Ours::new(identity.accept_endpoint().unwrap());
        converse(&mut ours, &mut client(&config, NAME), whole);
        assert_eq!(ours.tls.peer(), Some(&expected));
        let config = Arc::new(stock_server(version, None, &other));
        let mut ours = Ours::new(identity.connect_known("192.0.2.1").unwrap());
        let mut server = Stock::new(ServerConnection::new(config).unwrap());
        converse(&mut ours, &mut server, whole);
        assert!(
            ours.established,
            "its fingerprint is for the shard to compare"
        );
        assert_eq!(ours.tls.peer(), Some(&expected));
    }
}

#[test]
fn a_server_that_no_authority_vouches_for_is_not_spoken_to() {
    let (own, other) = (made(NAME), made("handset.invalid"));
    let trusting_other = identity(&[&own], &other.chain);
    for (identity, name) in [
        (&identity(&[&own], &own.chain), "handset.invalid"),
        (&trusting_other, "else.invalid"),
    ] {
        let config = Arc::new(stock_server(&version::TLS13, None, &other));
        let mut ours = Ours::new(identity.connect_vouched(name).unwrap());
        let mut server = Stock::new(ServerConnection::new(config).unwrap());
        converse(&mut ours, &mut server, whole);
        assert!(ours.broken && !ours.established, "{name}");
        assert!(matches!(
            server.error,
            Some(rustls::Error::AlertReceived(_))
        ));
    }
    assert!(identity(&[&own], "").connect_vouched("a.example").is_none());
}

#[test]
fn a_certificate_that_cannot_serve_is_refused_with_its_reason() {
    let (one, two) = (made(NAME), made(NAME));
    let now = 1_800_000_000;
    let told = |chain: &str, key: &str, now| {
        Certificate::read(chain.as_bytes(), key.as_bytes(), now)
            .unwrap_err()
            .0
    };
    assert!(told(&one.chain, &two.key, now).contains("does not belong to the key"));
    assert!(told(&one.chain, "", now).contains("key that cannot be read"));
    assert!(told("", &one.key, now).contains("holds no certificate"));
    assert!(told(&one.chain, &one.key, 99_999_999_999).contains("expired"));
    assert!(told(&one.chain, &one.key, 0).contains("not valid yet"));
    let good = certificate(&one);
    assert!(good.covers(NAME) && !good.covers("else.example") && !good.covers("192.0.2.1"));
}

#[test]
fn random_octets_and_random_changes_never_panic() {
    let mut state = 0x9e37_79b9_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below
    };
    for _ in 0..40 {
        pairs(|mut ours, mut stock, _| {
            for _ in 0..6 {
                let mut octets = stock.take_out();
                if !octets.is_empty() && random(3) == 0 {
                    let at = random(octets.len());
                    octets[at] = random(256) as u8;
                }
                octets.truncate(octets.len() - random(octets.len().min(4) + 1));
                ours.take(&octets);
                let back = std::mem::take(&mut ours.sent);
                stock.take(&back);
                if ours.established && !ours.broken {
                    stock.connection.writer().write_all(b"and on").unwrap();
                }
            }
        });
    }
}
