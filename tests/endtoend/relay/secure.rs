//! The same by TLS: every transport on either leg, listening and connecting.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use link::{Cause, Command, Counter, Leg, PeerIdentity, SessionId, Transport};
use tests::process::{MadeLeg, Relay, Told, fresh_folder};
use tests::tls::{self, Pem};

use crate::peers::{A_PATH, B_PATH, Digest, Handset, Page, Stream};
use crate::{LARGE_BYTES, awkward_bodies, expect_all_given_back};

/// A folder with the certificate of all tests, which it also trusts.
struct Certificates(PathBuf);

impl Certificates {
    fn new() -> Certificates {
        let folder = fresh_folder("certificates");
        std::fs::write(folder.join("authorities.pem"), &tls::pem().chain).expect("a file");
        put(&folder, tls::pem());
        Certificates(folder)
    }

    fn argument(&self) -> &str {
        self.0.to_str().expect("text")
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn put(folder: &Path, pem: &Pem) {
    std::fs::write(folder.join("relay.crt"), &pem.chain).expect("a file");
    std::fs::write(folder.join("relay.key"), &pem.key).expect("a file");
}

fn start(certificates: &Certificates) -> Relay {
    let certificates = certificates.argument();
    Relay::start(&["--address", "127.0.0.1,::1", "--certificates", certificates])
}

/// Two peers of a session.
enum Peer {
    Page(Box<Page>),
    Handset(Handset),
}

impl Peer {
    fn open(leg: &MadeLeg) -> Peer {
        if leg.resource.is_empty() {
            Peer::Handset(Handset::open(leg))
        } else {
            Peer::Page(Box::new(Page::open(leg)))
        }
    }

    fn send(&mut self, id: &str, body: &[u8]) {
        let headers = "Failure-Report: no\r\n";
        match self {
            Peer::Page(page) => page.send(id, body, headers),
            Peer::Handset(handset) => handset.send(id, body, headers),
        }
    }

    fn send_by_octets(&mut self, id: &str, body: &[u8]) {
        match self {
            Peer::Page(page) => page.send(id, body, "Failure-Report: no\r\n"),
            Peer::Handset(handset) => {
                handset.send_by_octets(id, body, "Failure-Report: no\r\n");
            }
        }
    }

    fn hear(&mut self) -> Vec<u8> {
        let chunk = match self {
            Peer::Page(page) => page.hear(),
            Peer::Handset(handset) => handset.hear(),
        };
        chunk.body.expect("a body")
    }

    fn hear_large(&mut self) -> Digest {
        match self {
            Peer::Page(page) => page.hear_large(LARGE_BYTES),
            Peer::Handset(handset) => handset.hear_large(LARGE_BYTES),
        }
    }

    fn send_large_apart(self, chunk_bytes: usize) -> std::thread::JoinHandle<Peer> {
        std::thread::spawn(move || match self {
            Peer::Page(page) => {
                let writer = page.send_large_apart(LARGE_BYTES, chunk_bytes);
                Peer::Page(Box::new(writer.join().expect("the page has sent")))
            }
            Peer::Handset(handset) => {
                let writer = handset.send_large_apart(LARGE_BYTES, chunk_bytes);
                Peer::Handset(writer.join().expect("the handset has sent"))
            }
        })
    }
}

const PAIRS: [[Transport; 2]; 6] = [
    [Transport::Ws, Transport::Tls],
    [Transport::Wss, Transport::Tcp],
    [Transport::Wss, Transport::Tls],
    [Transport::Tls, Transport::Tls],
    [Transport::Tls, Transport::Tcp],
    [Transport::Wss, Transport::Wss],
];

/// A session whose peers have connected.
fn talk(relay: &mut Relay, id: u64, transports: [Transport; 2]) -> [Peer; 2] {
    let paths = transports.map(|transport| match transport {
        Transport::Ws => A_PATH.to_owned(),
        Transport::Wss => A_PATH.replacen("msrp:", "msrps:", 1),
        Transport::Tcp => B_PATH.to_owned(),
        Transport::Tls => B_PATH.replacen("msrp:", "msrps:", 1),
    });
    let legs = relay.create(id, transports, [&paths[0], &paths[1]]);
    let [mut first, mut second] = [None, None];
    for (leg, place) in Leg::ALL.into_iter().zip([&mut first, &mut second]) {
        *place = Some(Peer::open(&legs[leg.index()]));
        assert_eq!(relay.event(), Told::Up(leg));
    }
    [first, second].map(|peer| peer.expect("both are open"))
}

fn end(relay: &mut Relay, id: u64) {
    let session = SessionId(id);
    relay.command(&Command::Delete { session });
    assert_eq!(relay.event(), Told::Closed(Cause::Deleted));
}

#[test]
fn awkward_bodies_arrive_octet_by_octet_between_any_two_transports() {
    let certificates = Certificates::new();
    let mut relay = start(&certificates);
    for (id, transports) in (1..).zip(PAIRS) {
        let [mut a, mut b] = talk(&mut relay, id, transports);
        for body in awkward_bodies() {
            a.send("awkward", &body);
            assert!(b.hear() == body, "{transports:?}: {body:?}");
            b.send("awkward", &body);
            assert!(a.hear() == body, "{transports:?}: {body:?}");
            if body.len() < 100 {
                b.send_by_octets("awkward", &body);
                assert!(a.hear() == body, "{transports:?}, by octets: {body:?}");
            }
        }
        end(&mut relay, id);
    }
    expect_all_given_back(&mut relay);
}

#[test]
fn fifty_megabytes_pass_between_any_two_transports_both_ways() {
    let certificates = Certificates::new();
    let mut relay = start(&certificates);
    let sent = Digest::of_large(LARGE_BYTES);
    for (id, transports) in (1..).zip(PAIRS) {
        let chunk_bytes = if id % 2 == 0 { 64 << 10 } else { LARGE_BYTES };
        let [a, mut b] = talk(&mut relay, id, transports);
        let writer = a.send_large_apart(chunk_bytes);
        assert_eq!(b.hear_large(), sent, "{transports:?}, A to B");
        let mut a = writer.join().expect("A has sent");
        let writer = b.send_large_apart(chunk_bytes);
        assert_eq!(a.hear_large(), sent, "{transports:?}, B to A");
        let _b = writer.join().expect("B has sent");
        end(&mut relay, id);
    }
    expect_all_given_back(&mut relay);
}

#[test]
fn the_relay_connects_by_tls_over_either_family_and_closes_in_order() {
    let certificates = Certificates::new();
    let mut relay = start(&certificates);
    let addresses = [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    ];
    for (id, address) in (1..).zip(addresses) {
        let listener = TcpListener::bind((address, 0)).expect("a port");
        let address = listener.local_addr().expect("its number");
        let path = format!("msrps://{address}/l1stens0123456789;tcp");
        let a_path = A_PATH.replacen("msrp:", "msrps:", 1);
        let legs = relay.create(id, [Transport::Wss, Transport::Tls], [&a_path, &path]);
        set_peer(&mut relay, id, &path, address);
        let (socket, _) = listener.accept().expect("the relay connects");
        let mut handset = Handset::accepted(Stream::server(socket), &legs[1]);
        let greeting = handset.hear();
        assert_eq!(relay.event(), Told::Up(Leg::B));
        assert_eq!((greeting.subject.as_str(), &greeting.to), ("SEND", &path));
        handset.say(&greeting.response("200 OK"));
        let mut page = Page::open(&legs[0]);
        assert_eq!(relay.event(), Told::Up(Leg::A));
        page.send("first", b"there you are", "");
        assert_eq!(handset.hear().body.as_deref(), Some(&b"there you are"[..]));
        end(&mut relay, id);
        handset.expect_end();
        page.expect_end();
    }
    expect_all_given_back(&mut relay);
}

fn set_peer(relay: &mut Relay, id: u64, path: &str, connect: SocketAddr) {
    relay.command(&Command::SetPeer {
        session: SessionId(id),
        leg: Leg::B,
        path: path.as_bytes(),
        connect: Some(connect),
        identity: PeerIdentity::UNKNOWN,
    });
}

#[test]
fn a_handset_that_shows_no_good_certificate_is_not_spoken_to() {
    let certificates = Certificates::new();
    let mut relay = start(&certificates);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("its number");
    let path = format!("msrps://{address}/l1stens0123456789;tcp");
    relay.create(1, [Transport::Ws, Transport::Tls], [A_PATH, &path]);
    set_peer(&mut relay, 1, &path, address);
    let (mut socket, _) = listener.accept().expect("the relay connects");
    let config = tls::server_config(&rustls::version::TLS13, &Pem::of(&["127.0.0.1"]));
    let mut server = rustls::ServerConnection::new(config).expect("a server");
    let failed = loop {
        if let Err(error) = server.complete_io(&mut socket) {
            break error;
        }
    };
    assert!(failed.to_string().contains("alert"), "{failed}");
    assert_eq!(relay.event(), Told::Down(Leg::B, Cause::HandshakeFailed));
    assert_eq!(relay.event(), Told::Closed(Cause::HandshakeFailed));
    assert_eq!(relay.counter(Counter::HandshakesFailed), 1);
    drop(socket);
    expect_all_given_back(&mut relay);
}

#[test]
fn who_speaks_in_the_clear_where_tls_is_spoken_is_refused() {
    let certificates = Certificates::new();
    let mut relay = start(&certificates);
    let paths = [A_PATH, B_PATH].map(|path| path.replacen("msrp:", "msrps:", 1));
    let legs = relay.create(1, [Transport::Wss, Transport::Tls], [&paths[0], &paths[1]]);
    for leg in &legs {
        let address = (Ipv4Addr::LOCALHOST, leg.port());
        let mut socket = std::net::TcpStream::connect(address).expect("it listens");
        socket
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .expect("it is read");
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert_eq!(answer.first(), Some(&21), "an alert: {answer:?}");
    }
    end(&mut relay, 1);
    expect_all_given_back(&mut relay);
}

#[test]
fn certificates_are_read_anew_and_connections_go_on() {
    let certificates = Certificates::new();
    let mut relay = start(&certificates);
    let [mut page, mut handset] = talk(&mut relay, 1, [Transport::Wss, Transport::Tls]);
    let next = Pem::of(&tls::NAMES);
    put(&certificates.0, &next);
    relay.hang_up();
    let a_path = A_PATH.replacen("msrp:", "msrps:", 1);
    let legs = relay.create(2, [Transport::Wss, Transport::Tcp], [&a_path, B_PATH]);
    let shown = || {
        let address = (Ipv4Addr::LOCALHOST, legs[0].port());
        let mut socket = std::net::TcpStream::connect(address).expect("it listens");
        let config = tls::client_config(&rustls::version::TLS13, None);
        let name = "127.0.0.1".try_into().expect("an address");
        let mut client = rustls::ClientConnection::new(config, name).expect("a client");
        // The new certificate is one that the client does not trust.
        client.complete_io(&mut socket).is_err()
    };
    let is_new = (0..10_000).any(|_| shown());
    assert!(is_new, "the new certificate is shown");
    page.send("on", b"and on");
    assert_eq!(handset.hear(), b"and on");
    // What cannot be used is not taken.
    std::fs::write(certificates.0.join("relay.key"), "no key").expect("a file");
    relay.hang_up();
    assert!(shown());
    handset.send("still", b"here");
    assert_eq!(page.hear(), b"here");
}
