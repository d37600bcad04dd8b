//! N and Q: what TLS peers may not do to others: take their memory, their time or their name.

use std::net::SocketAddr;

use link::{Cause, Counter, Fingerprint, PeerIdentity};
use rustls::version::TLS13;
use tests::tls::{self, Pem, TlsPeer};

use crate::bed::Transport::{Tls, Wss};
use crate::bed::{A, B, Bed, LEG_MS, Message, Tcp, Told, Ws};
use crate::websocket_client::frame;

fn secure_bed() -> Bed {
    Bed::with(|settings| settings.identity = Some(tls::identity()))
}

#[test]
fn records_in_halves_leave_room_to_seal_what_came_of_them() {
    for sessions in [8, 11, 12, 14, 20] {
        let mut bed = Bed::with(|settings| {
            settings.identity = Some(tls::identity());
            settings.blocks = 16;
            settings.half_open = 256;
        });
        let all: Vec<_> = (0..sessions)
            .map(|_| {
                let session = bed.session(Tls, Tls);
                bed.both_come(session)
            })
            .collect();
        let message = Message::send("d93kswow", &"x".repeat(12_000)).with("Failure-Report: no");
        let records: Vec<_> = (all.iter())
            .map(|(sender, _)| bed.sealed(*sender, &message.by(A)))
            .collect();
        for half in [0..6000, 6000..usize::MAX] {
            for ((sender, _), record) in all.iter().zip(&records) {
                let half = half.start..half.end.min(record.len());
                bed.sends_raw(*sender, &record[half]);
            }
            bed.settle();
        }
        for (place, (_, receiver)) in all.iter().enumerate() {
            let heard = bed.hears(*receiver);
            assert_eq!(heard, message.to(B), "session {place} of {sessions}");
        }
        assert_eq!(bed.counter(Counter::BlocksHeld), 0);
    }
}

#[test]
fn halves_of_strangers_leave_half_of_the_blocks_and_those_of_peers_a_quarter() {
    let mut bed = Bed::with(|settings| {
        settings.identity = Some(tls::identity());
        settings.blocks = 16;
    });
    let peers: Vec<_> = (0..6)
        .map(|_| {
            let session = bed.session(Tls, Tcp);
            bed.both_come(session)
        })
        .collect();
    let waiting = bed.session(Tls, Tcp);
    let config = tls::client_config(&TLS13, None);
    let strangers = (0..10).map(|_| {
        let stranger = bed.dials(waiting, A).expect("the leg waits");
        let hello = TlsPeer::client(&config, "relay.invalid").takes_out();
        bed.sends_raw(stranger, &hello[..hello.len() / 2]);
        bed.settle();
        stranger
    });
    let strangers: Vec<_> = strangers.collect();
    let refused = strangers.iter().filter(|stranger| bed.is_ended(**stranger));
    assert_eq!(refused.count(), 2, "half of sixteen are not for them");
    let message = Message::send("d93kswow", "hello").with("Failure-Report: no");
    let mut rests = Vec::new();
    for (sender, _) in &peers {
        let record = bed.sealed(*sender, &message.by(A));
        let (begun, rest) = record.split_at(20);
        bed.sends_raw(*sender, begun);
        bed.settle();
        rests.push(rest.to_vec());
    }
    assert_eq!(bed.counter(Counter::BlocksHeld), 12, "a quarter is for all");
    for ((sender, _), rest) in peers.iter().zip(&rests) {
        bed.sends_raw(*sender, rest);
        bed.settle();
    }
    for (_, receiver) in &peers {
        assert_eq!(bed.hears(*receiver), message.to(B), "nobody is lost");
    }
}

#[test]
fn half_a_record_is_given_its_time_from_when_it_began() {
    let mut bed = secure_bed();
    let session = bed.session(Wss, Tcp);
    let (page, handset) = bed.both_come(session);
    let message = Message::send("d93kswow", "hello").with("Failure-Report: no");
    bed.says(page, &message.by(A));
    assert_eq!(bed.hears(handset), message.to(B));
    bed.told(session);
    bed.waits(25_001);
    bed.says_octets(page, &frame(10, true, b""));
    bed.waits(24_950);
    let record = bed.sealed(page, &message.by(A));
    bed.sends_raw(page, &record[..20]);
    bed.settle();
    bed.waits(100);
    assert_eq!(bed.told(session), [], "it has only begun");
    bed.sends_raw(page, &record[20..]);
    bed.settle();
    assert_eq!(bed.hears(handset), message.to(B));
    // Octet by octet it gets no more time than at one stroke.
    let record = bed.sealed(page, &message.by(A));
    for octet in record.iter().take(20) {
        bed.sends_raw(page, &[*octet]);
        bed.settle();
        bed.waits(2_000);
    }
    assert_eq!(bed.told(session)[0], Told::Down(A, Cause::Stalled));
}

#[test]
fn n5_a_server_whose_fingerprint_is_withdrawn_is_asked_for_its_name() {
    let (unknown, address) = (
        Pem::of(&["bank.invalid"]),
        SocketAddr::from(([127, 0, 0, 1], 7000)),
    );
    for (host, shows, comes) in [
        ("bank.invalid", &unknown, false),
        ("localhost", tls::pem(), true),
    ] {
        let mut bed = secure_bed();
        bed.listens(address);
        let session = bed.create(Ws, Tls, LEG_MS);
        let path = format!("msrps://{host}:7000/handset;tcp");
        let identity = PeerIdentity {
            fingerprint: Some(Fingerprint::Sha256([7; 32])),
            name: "",
        };
        bed.set_known_peer(session, B, &path, Some(address), identity);
        let peer = bed.is_dialled(session, address).expect("it connects");
        bed.set_peer(session, B, &path, None);
        bed.secures(peer, TlsPeer::server(&tls::server_config(&TLS13, shows)));
        assert_eq!(bed.hears(peer).is_empty(), !comes, "{host}");
        let unproven = Told::Down(B, Cause::PeerUnproven);
        assert_eq!(bed.told(session).contains(&unproven), !comes, "{host}");
    }
}

#[test]
fn where_there_is_no_room_for_a_name_its_path_is_not_taken_over_either() {
    let mut bed = secure_bed();
    let long = |end: &str| format!("msrps://localhost:7000/{}{end};tcp", "x".repeat(200));
    let name = "n".repeat(200);
    let session = bed.create(Ws, Tls, LEG_MS);
    let former = bed.remote(session, B);
    bed.set_peer(session, B, &former, None);
    // Texts of more than 160 octets: a quarter of the sessions, and sixteen.
    let others: Vec<_> = (0..12).map(|_| bed.create(Ws, Tls, LEG_MS)).collect();
    let legs = others.iter().flat_map(|other| [(*other, A), (*other, B)]);
    for (other, leg) in legs.take(23) {
        bed.set_peer(other, leg, &long("0"), None);
    }
    let identity = PeerIdentity {
        fingerprint: None,
        name: &name,
    };
    bed.told(session);
    bed.set_known_peer(session, B, &long("1"), None, identity);
    let refused = Told::Refused(link::Refusal::NoMemory);
    assert_eq!(bed.told(session), [refused]);
    bed.set_peer(others[0], A, "msrp://a.invalid:1/a;ws", None);
    let peer = bed.dials(session, B).expect("the leg waits");
    let config = tls::client_config(&TLS13, None);
    bed.secures(peer, TlsPeer::client(&config, "relay.invalid"));
    let greeting = Message::bodiless("bind1234", "SEND", &["Message-ID: bind1"]);
    bed.says(peer, &greeting.between("L(B)", &former));
    assert_eq!(bed.told(session), [Told::Up(B)], "the former path holds");
}

#[test]
fn q2_who_waits_for_its_turn_to_shake_hands_holds_few_buffers() {
    let mut bed = Bed::with(|settings| {
        settings.identity = Some(tls::identity());
        settings.handshakes_per_second = 1;
    });
    let session = bed.session(Wss, Tls);
    bed.comes(session, A);
    let config = tls::client_config(&TLS13, None);
    let mut waiting: Vec<_> = (0..4)
        .map(|_| {
            let peer = bed.dials(session, B).expect("the leg waits");
            let mut tls = TlsPeer::client(&config, "relay.invalid");
            let hello = tls.takes_out();
            for octets in hello.chunks(10) {
                bed.sends_raw(peer, octets);
                bed.settle();
            }
            (peer, tls)
        })
        .collect();
    let held = bed.counter(Counter::BuffersHeld);
    assert!(held <= 3 * 4, "{held} for four strangers");
    bed.waits(5_000);
    for (peer, mut tls) in waiting.drain(..) {
        tls.hears(&bed.hears_octets(peer));
        let done = bed.secures(peer, tls);
        assert_eq!(done.failed, None);
    }
    assert_eq!(
        bed.counter(Counter::Handshakes),
        5,
        "all come to their turn"
    );
    assert_eq!(bed.counter(Counter::BuffersHeld), 0);
}

#[test]
fn n5_what_was_proven_once_stays_so_when_signalling_speaks_again() {
    let mut bed = secure_bed();
    let spec = link::LegSpec {
        proof: link::PeerProof::Always,
        ..link::LegSpec::new(Tls, LEG_MS)
    };
    let session = bed.create_of([link::LegSpec::new(Ws, LEG_MS), spec]);
    let path = "msrps://localhost:20000/handset;tcp";
    bed.set_peer(session, B, path, None);
    let peer = bed.dials(session, B).expect("the leg waits");
    let config = tls::client_config(&TLS13, Some(tls::pem()));
    bed.secures(peer, TlsPeer::client(&config, "relay.invalid"));
    let greeting = Message::bodiless("bind1234", "SEND", &["Message-ID: bind1"]);
    bed.says(peer, &greeting.by(B));
    assert_eq!(bed.told(session).last(), Some(&Told::Up(B)));
    bed.set_peer(session, B, path, None);
    assert_eq!(bed.told(session), [], "the same name, the same peer");
    bed.set_peer(session, B, "msrps://else.invalid:20000/handset;tcp", None);
    let cause = Cause::PeerUnproven;
    assert_eq!(bed.told(session)[0], Told::Down(B, cause), "another name");
}
