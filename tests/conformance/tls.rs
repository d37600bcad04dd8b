//! N: TLS on either leg, and what holds a flood of its handshakes.

use std::net::SocketAddr;

use link::{
    Cause, Command, Counter, Fingerprint, Leg, LegSpec, PeerIdentity, PeerProof, SessionId,
};
use rustls::version::{TLS12, TLS13};
use sha2::Digest;
use tests::tls::{self, Pem, TlsPeer};

use crate::bed::Transport::{Tls, Wss};
use crate::bed::{A, B, Bed, LEG_MS, Message, Peer, Session, Tcp, Told, Ws};

fn secure_bed() -> Bed {
    Bed::with(|settings| {
        settings.identity = Some(tls::identity());
        settings.half_open = 16;
        settings.half_open_per_source = 4;
        settings.handshakes_per_second = 20;
    })
}

fn client(shows: Option<&Pem>) -> TlsPeer {
    TlsPeer::client(&tls::client_config(&TLS13, shows), "relay.invalid")
}

fn sha256(pem: &Pem) -> Fingerprint {
    Fingerprint::Sha256(sha2::Sha256::digest(pem.der()).into())
}

fn known_by(fingerprint: Fingerprint) -> PeerIdentity<'static> {
    PeerIdentity {
        fingerprint: Some(fingerprint),
        name: "",
    }
}

/// A session whose handset is known by this fingerprint.
fn session_with(bed: &mut Bed, identity: PeerIdentity<'_>) -> Session {
    let session = bed.create(Ws, Tls, LEG_MS);
    for leg in Leg::ALL {
        let path = bed.remote(session, leg);
        bed.set_known_peer(session, leg, &path, None, identity);
    }
    bed.told(session);
    session
}

/// A handset connects by TLS, shows a certificate or none, and greets.
fn greets(bed: &mut Bed, session: Session, shows: Option<&Pem>) -> (Peer, String) {
    let peer = bed.dials(session, B).expect("the leg waits");
    bed.secures(peer, client(shows));
    let greeting = Message::bodiless("bind1234", "SEND", &["Message-ID: bind1"]);
    bed.says(peer, &greeting.by(B));
    let answer = bed.hears(peer);
    (peer, answer)
}

#[test]
fn n1_a_leg_by_tls_shows_the_certificate_of_its_name() {
    for version in [&TLS13, &TLS12] {
        let mut bed = secure_bed();
        let session = bed.session(Wss, Tls);
        for leg in Leg::ALL {
            assert!(
                bed.local(session, leg)
                    .starts_with("msrps://relay.invalid:")
            );
            let peer = bed.dials(session, leg).expect("the leg waits");
            let config = tls::client_config(version, None);
            let done = bed.secures(peer, TlsPeer::client(&config, "relay.invalid"));
            assert_eq!(done.failed, None, "the client trusts what it is shown");
        }
        assert_eq!(bed.counter(Counter::Handshakes), 2);
    }
}

#[test]
fn messages_pass_between_legs_by_tls() {
    for (a, b) in [(Wss, Tls), (Wss, Tcp), (Ws, Tls)] {
        let mut bed = secure_bed();
        let session = bed.session(a, b);
        let (page, handset) = bed.both_come(session);
        for size in [1, 300, 40_000] {
            let message = Message::send("d93kswow", &"x".repeat(size)).with("Failure-Report: no");
            bed.says(page, &message.by(A));
            assert_eq!(bed.hears(handset), message.to(B));
            bed.says(handset, &message.by(B));
            assert_eq!(bed.hears(page), message.to(A));
        }
    }
}

#[test]
fn without_a_certificate_a_leg_by_tls_is_refused() {
    let mut bed = Bed::new();
    let session = bed.create(Wss, Tcp, LEG_MS);
    let refused = Told::Refused(link::Refusal::CertificateMissing);
    assert_eq!(bed.told(session), [refused]);
}

#[test]
fn a_peer_that_ends_by_tls_ends_its_leg_and_is_told_the_same() {
    let mut bed = secure_bed();
    let session = bed.session(Ws, Tls);
    let (_, handset) = bed.both_come(session);
    bed.closes(handset);
    assert_eq!(bed.told(session)[0], Told::Down(B, Cause::PeerClosed));
    bed.hears_octets(handset);
    assert!(bed.tls(handset).closed && bed.is_ended(handset));
}

#[test]
fn a_leg_is_bound_only_by_a_connection_of_its_transport() {
    let mut bed = secure_bed();
    // A leg in the clear and one by TLS: each is unknown at the other's port.
    let clear = bed.session(Ws, Tcp);
    let secure = bed.session(Wss, Tls);
    let port = bed.port(secure, B);
    let peer = bed.dials_port(clear, port).expect("it listens");
    bed.secures(peer, client(None));
    let greeting = Message::bodiless("bind1234", "SEND", &["Message-ID: bind1"]);
    bed.says(peer, &greeting.by(B));
    assert!(bed.hears(peer).starts_with("MSRP bind1234 481 "));
    let port = bed.port(secure, A);
    let peer = bed.dials_port(clear, port).expect("it listens");
    bed.secures(peer, client(None));
    let resource = bed.resource(clear, A).to_owned();
    assert!(bed.upgrades(peer, &resource).starts_with("HTTP/1.1 404 "));
}

#[test]
fn n3_who_connects_is_the_client_and_says_the_name() {
    let mut bed = secure_bed();
    let address = SocketAddr::from(([127, 0, 0, 1], 7000));
    bed.listens(address);
    let session = bed.create(Ws, Tls, LEG_MS);
    let path = "msrps://localhost:7000/handset;tcp";
    bed.set_peer(session, B, path, Some(address));
    let peer = bed
        .is_dialled(session, address)
        .expect("the relay connects");
    let mut server = TlsPeer::server(&tls::server_config(&TLS13, tls::pem()));
    let hello = bed.hears_octets(peer);
    server.hears(&hello);
    assert_eq!(server.server_name(), Some("localhost"));
    let done = bed.secures(peer, server);
    assert_eq!(done.failed, None);
    assert!(
        bed.hears(peer).contains(" SEND\r\nTo-Path: R(B)\r\n"),
        "it greets"
    );
    assert!(bed.told(session).contains(&Told::Up(B)));
}

#[test]
fn n4_a_certificate_of_another_fingerprint_ends_the_session_at_once() {
    let (own, other) = (Pem::of(&["handset.invalid"]), Pem::of(&["handset.invalid"]));
    for (shows, comes) in [(Some(&own), true), (Some(&other), false), (None, false)] {
        let mut bed = secure_bed();
        let session = session_with(&mut bed, known_by(sha256(&own)));
        let (_, answer) = greets(&mut bed, session, shows);
        let told = bed.told(session);
        if comes {
            assert!(answer.starts_with("MSRP bind1234 200 OK\r\n"), "{answer}");
            assert_eq!(told, [Told::Up(B)]);
        } else {
            assert!(answer.starts_with("MSRP bind1234 481 "), "{answer}");
            let cause = Cause::PeerUnproven;
            assert_eq!(told, [Told::Down(B, cause), Told::Closed(cause)]);
        }
    }
}

#[test]
fn n4_a_fingerprint_that_is_told_late_is_compared_then() {
    let (own, other) = (Pem::of(&["handset.invalid"]), Pem::of(&["handset.invalid"]));
    for (told, stays) in [(&own, true), (&other, false)] {
        let mut bed = secure_bed();
        let session = bed.create(Ws, Tls, LEG_MS);
        let peer = bed.dials(session, B).expect("the leg waits");
        bed.secures(peer, client(Some(&own)));
        let path = bed.remote(session, B);
        let greeting = Message::bodiless("bind1234", "SEND", &["Message-ID: bind1"]);
        bed.says(peer, &greeting.by(B));
        bed.told(session);
        bed.set_known_peer(session, B, &path, None, known_by(sha256(told)));
        let down = bed
            .told(session)
            .contains(&Told::Down(B, Cause::PeerUnproven));
        assert_eq!(down, !stays);
    }
}

#[test]
fn n4_a_server_of_another_fingerprint_is_told_nothing() {
    let (own, other) = (Pem::of(&["x.invalid"]), Pem::of(&["x.invalid"]));
    for (shows, comes) in [(&own, true), (&other, false)] {
        let mut bed = secure_bed();
        let address = SocketAddr::from(([127, 0, 0, 1], 7000));
        bed.listens(address);
        let session = bed.create(Ws, Tls, LEG_MS);
        let path = "msrps://192.0.2.7:7000/handset;tcp";
        let identity = known_by(sha256(&own));
        bed.set_known_peer(session, B, path, Some(address), identity);
        let peer = bed
            .is_dialled(session, address)
            .expect("the relay connects");
        bed.secures(peer, TlsPeer::server(&tls::server_config(&TLS13, shows)));
        assert_eq!(bed.hears(peer).is_empty(), !comes);
        let down = bed
            .told(session)
            .contains(&Told::Down(B, Cause::PeerUnproven));
        assert_eq!(down, !comes);
    }
}

#[test]
fn n5_without_a_fingerprint_the_name_and_an_authority_decide() {
    let trusted = tls::pem();
    let unknown = Pem::of(&["localhost"]);
    // The certificate of all tests is for localhost, and its own authority.
    let servers = [
        ("localhost", trusted, true),
        ("localhost", &unknown, false),
        ("else.invalid", trusted, false),
    ];
    for (host, shows, comes) in servers {
        let mut bed = secure_bed();
        let address = SocketAddr::from(([127, 0, 0, 1], 7000));
        bed.listens(address);
        let session = bed.create(Ws, Tls, LEG_MS);
        let path = format!("msrps://{host}:7000/handset;tcp");
        bed.set_peer(session, B, &path, Some(address));
        let peer = bed
            .is_dialled(session, address)
            .expect("the relay connects");
        bed.secures(peer, TlsPeer::server(&tls::server_config(&TLS13, shows)));
        let told = bed.told(session);
        assert_eq!(told.contains(&Told::Up(B)), comes, "{host}");
        let failed = Told::Down(B, Cause::HandshakeFailed);
        assert_eq!(told.contains(&failed), !comes, "{host}");
    }
}

#[test]
fn n5_who_connects_to_us_proves_its_name_where_control_says_so() {
    let unknown = Pem::of(&["localhost"]);
    let clients = [
        (Some(tls::pem()), true),
        (Some(&unknown), false),
        (None, false),
    ];
    for (shows, comes) in clients {
        let mut bed = secure_bed();
        let session = bed.create(Ws, Tcp, LEG_MS);
        bed.delete(session);
        let spec = LegSpec {
            proof: PeerProof::Always,
            ..LegSpec::new(Tls, LEG_MS)
        };
        let session = bed.create_of([LegSpec::new(Ws, LEG_MS), spec]);
        bed.set_peer(session, B, "msrps://localhost:20000/handset;tcp", None);
        bed.told(session);
        let (_, answer) = greets(&mut bed, session, shows);
        assert_eq!(answer.contains("200 OK"), comes, "{answer}");
        let down = Told::Down(B, Cause::PeerUnproven);
        assert_eq!(bed.told(session).contains(&down), !comes);
    }
}

/// A handset's second session comes by the connection of its first; what it is answered.
fn joins(bed: &mut Bed, trunk: Peer) -> String {
    let greeting = Message::bodiless("bind1234", "SEND", &["Message-ID: bind1"]);
    bed.says(trunk, &greeting.by_handset(1));
    bed.hears_all(trunk)
}

#[test]
fn n4_on_a_shared_connection_each_leg_is_proven_for_itself() {
    let (own, other) = (Pem::of(&["handset.invalid"]), Pem::of(&["handset.invalid"]));
    for (known, comes) in [(&own, true), (&other, false)] {
        let mut bed = secure_bed_sharing_ports();
        let first = session_with(&mut bed, known_by(sha256(&own)));
        let second = session_with(&mut bed, known_by(sha256(known)));
        let (trunk, _) = greets(&mut bed, first, Some(&own));
        assert_eq!(bed.told(first), [Told::Up(B)]);
        let answer = joins(&mut bed, trunk);
        let expected = if comes { "200 " } else { "481 " };
        assert!(answer.contains(expected), "{answer}");
        let cause = Cause::PeerUnproven;
        let told = match comes {
            true => vec![Told::Up(B)],
            false => vec![Told::Down(B, cause), Told::Closed(cause)],
        };
        assert_eq!(bed.told(second), told);
        still_talks(&mut bed, first, trunk);
    }
}

#[test]
fn n4_a_fingerprint_that_is_told_late_is_compared_on_a_shared_connection_too() {
    let (own, other) = (Pem::of(&["handset.invalid"]), Pem::of(&["handset.invalid"]));
    for (known, stays) in [(&own, true), (&other, false)] {
        let mut bed = secure_bed_sharing_ports();
        let first = session_with(&mut bed, known_by(sha256(&own)));
        let second = bed.create(Ws, Tls, LEG_MS);
        bed.told(second);
        let (trunk, _) = greets(&mut bed, first, Some(&own));
        bed.told(first);
        let path = bed.remote(second, B);
        joins(&mut bed, trunk);
        assert_eq!(bed.told(second), [Told::Up(B)]);
        bed.set_known_peer(second, B, &path, None, known_by(sha256(known)));
        let down = Told::Down(B, Cause::PeerUnproven);
        assert_eq!(bed.told(second).contains(&down), !stays);
        still_talks(&mut bed, first, trunk);
    }
}

#[test]
fn n5_on_a_shared_connection_a_name_is_asked_of_each_leg() {
    // What is shown is for `localhost`, by an authority that is trusted.
    for (host, comes) in [("localhost", true), ("elsewhere.invalid", false)] {
        let mut bed = secure_bed_sharing_ports();
        let paths = ["localhost", host].map(|host| format!("msrps://{host}:20000/handset;tcp"));
        let sessions = paths.map(|path| {
            let spec = LegSpec {
                proof: PeerProof::Always,
                ..LegSpec::new(Tls, LEG_MS)
            };
            let session = bed.create_of([LegSpec::new(Ws, LEG_MS), spec]);
            let page = bed.remote(session, A);
            bed.set_peer(session, A, &page, None);
            bed.set_peer(session, B, &path, None);
            bed.told(session);
            session
        });
        let (trunk, answer) = greets(&mut bed, sessions[0], Some(tls::pem()));
        assert!(answer.contains("200 OK"), "{answer}");
        assert_eq!(bed.told(sessions[0]), [Told::Up(B)]);
        joins(&mut bed, trunk);
        let told = bed.told(sessions[1]);
        assert_eq!(told.contains(&Told::Up(B)), comes, "{host}");
        let down = Told::Down(B, Cause::PeerUnproven);
        assert_eq!(told.contains(&down), !comes, "{host}");
        still_talks(&mut bed, sessions[0], trunk);
    }
}

fn secure_bed_sharing_ports() -> Bed {
    Bed::with(|settings| {
        settings.realms[0].ports_exclusive = false;
        settings.identity = Some(tls::identity());
    })
}

/// The first session on a connection has not noticed what became of the second.
fn still_talks(bed: &mut Bed, session: Session, trunk: Peer) {
    assert_eq!(bed.told(session), []);
    let page = bed.comes(session, A);
    let message = Message::send("d93kswow", "still there").with("Failure-Report: no");
    bed.says(trunk, &message.by_handset(0));
    assert_eq!(bed.hears(page), message.to(A));
}

#[test]
fn n7_old_handsets_are_known_by_sha_1() {
    use sha1::Digest as _;
    let own = Pem::of(&["handset.invalid"]);
    let mut bed = secure_bed();
    let hash = sha1::Sha1::digest(own.der()).into();
    let session = session_with(&mut bed, known_by(Fingerprint::Sha1(hash)));
    let (_, answer) = greets(&mut bed, session, Some(&own));
    assert!(answer.starts_with("MSRP bind1234 200 OK\r\n"), "{answer}");
}

#[test]
fn q2_one_source_has_its_share_of_half_open_handshakes_and_no_more() {
    let mut bed = secure_bed();
    let session = bed.session(Wss, Tls);
    let share = 4;
    let idle: Vec<Peer> = (0..share)
        .map(|_| bed.dials(session, A).expect("it listens"))
        .collect();
    assert_eq!(bed.counter(Counter::HalfOpen), share);
    let surplus = bed.dials(session, A).expect("it listens");
    assert!(bed.is_ended(surplus), "turned away at once");
    assert_eq!(bed.counter(Counter::HandshakesRefused), 1);
    // Those who say nothing are let go, and then there is room again.
    bed.waits(11_000);
    for peer in idle {
        assert!(bed.is_ended(peer));
    }
    assert_eq!(bed.counter(Counter::HalfOpen), 0);
    assert_eq!(bed.counter(Counter::HandshakesFailed), share);
    bed.comes(session, A);
    assert_eq!(bed.told(session).last(), Some(&Told::Up(A)));
}

#[test]
fn a_flood_of_handshakes_is_taken_slowly_and_those_who_talk_do_not_wait_for_it() {
    let mut bed = Bed::with(|settings| {
        settings.identity = Some(tls::identity());
        settings.half_open = 400;
        settings.half_open_per_source = 400;
        // Each that waits has its first octets in one.
        settings.blocks = 256;
        settings.handshakes_per_second = 20;
    });
    let talk = bed.session(Ws, Tcp);
    let (page, handset) = bed.both_come(talk);
    let flooded = bed.session(Wss, Tls);
    let flood: Vec<Peer> = (0..60)
        .map(|_| {
            let peer = bed.dials(flooded, A).expect("it listens");
            bed.secures(peer, client(None));
            peer
        })
        .collect();
    let begun = bed.counter(Counter::Handshakes);
    assert_eq!(begun, 20, "as many at once as in a second");
    assert_eq!(bed.counter(Counter::HalfOpen), 40);
    let message = Message::send("d93kswow", "no waiting").with("Failure-Report: no");
    bed.says(page, &message.by(A));
    assert_eq!(bed.hears(handset), message.to(B));
    bed.waits(1000);
    for peer in &flood {
        bed.says_octets(*peer, b"");
        bed.hears_octets(*peer);
        bed.says_octets(*peer, b"");
    }
    assert_eq!(
        bed.counter(Counter::Handshakes),
        40,
        "the next in line, a second later"
    );
    bed.waits(11_000);
    assert_eq!(bed.counter(Counter::HalfOpen), 0, "done, or let go in time");
}

#[test]
fn certificates_read_anew_are_told_when_they_are() {
    let (reload, reloads) = relay::shard::Reload::new();
    let mut bed = Bed::with(|settings| {
        settings.identity = Some(tls::identity());
        settings.reload = Some(reload);
    });
    let session = bed.create(Ws, Tcp, LEG_MS);
    bed.command_of(session, |_: SessionId| Command::Reload { token: 7 });
    assert_eq!(bed.reloaded, None);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        reloads.serve(
            || false,
            || {
                let _ = tell.send(());
            },
        )
    });
    told.recv().expect("it is read");
    bed.settle();
    assert_eq!(bed.reloaded, Some((7, false)));
}
