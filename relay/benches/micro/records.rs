//! Opening and sealing TLS records, ours beside rustls' own, with and without its buffers.
//!
//! TLS 1.3 with the suite that both prefer. What is opened was sealed by a stock rustls client just before,
//! as many records as are opened in one go; only the opening is timed, and likewise only the sealing.

use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant;

use relay::transport::tls::{self, Certificate, Identity, Step, Tickets, Tls};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::ConnectionState;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

const NAME: &str = "relay.invalid";
const ROUNDS: usize = 40;
const BATCH: usize = 200;

/// Prints a few lines for records with so many octets of content.
pub fn tell(size: usize) {
    let pem = Pem::new();
    let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
    let mut copy = content.clone();
    let memcpy = super::best(|| copy.copy_from_slice(black_box(&content)));
    let mut ours = Ours::established(&pem);
    let mut buffered = Buffered::established(&pem);
    let mut unbuffered = Unbuffered::established(&pem);
    let clients = [&ours.client, &buffered.client, &unbuffered.client];
    let suites = clients.map(|client| client.negotiated_cipher_suite());
    assert!(suites.iter().all(|suite| *suite == suites[0]), "{suites:?}");
    for (what, open, seal) in [
        (
            "a record as the relay does",
            best(|| ours.open(&content)),
            best(|| ours.seal(&content)),
        ),
        (
            "  rustls",
            best(|| buffered.open(&content)),
            best(|| buffered.seal(&content)),
        ),
        (
            "  rustls without its buffers",
            best(|| unbuffered.open(&content)),
            best(|| unbuffered.seal(&content)),
        ),
    ] {
        super::told(&format!("{what}: open, {size} octets"), open, memcpy);
        super::told(&format!("{what}: seal, {size} octets"), seal, memcpy);
    }
    super::told("  memcpy of the content", memcpy, memcpy);
    if let Some(suite) = suites[0] {
        println!("  in {:?}", suite.suite());
    }
}

/// Nanoseconds for one record in the best round; a round says how long its batch took.
fn best(mut round: impl FnMut() -> f64) -> f64 {
    let rounds = (0..ROUNDS).map(|_| round() / BATCH as f64);
    rounds.fold(f64::INFINITY, f64::min)
}

fn timed(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_nanos() as f64
}

struct Pem {
    chain: String,
    key: String,
}

impl Pem {
    fn new() -> Pem {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        Pem {
            chain: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("our own certificate")
    }

    fn client(&self) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).expect("our own certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(NAME).expect("a name");
        let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
        client.set_buffer_limit(None);
        client
    }

    fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("our own key");
        let config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a version")
            .with_no_client_auth()
            .with_single_cert(vec![self.der()], key)
            .expect("a certificate");
        Arc::new(config)
    }
}

/// What a client has to send.
fn said(client: &mut ClientConnection) -> Vec<u8> {
    let mut octets = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut octets).expect("memory takes it");
    }
    octets
}

fn heard(client: &mut ClientConnection, mut octets: &[u8]) {
    while !octets.is_empty() {
        client.read_tls(&mut octets).expect("it is read");
        client.process_new_packets().expect("it is good");
    }
}

/// A batch of records, one after the other.
fn batch(client: &mut ClientConnection, content: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    for _ in 0..BATCH {
        client.writer().write_all(content).expect("no limit");
        octets.append(&mut said(client));
    }
    octets
}

struct Ours {
    tls: Tls,
    client: ClientConnection,
    out: Box<[u8; tls::OUT_BYTES_MAX]>,
    record: Vec<u8>,
}

impl Ours {
    fn established(pem: &Pem) -> Ours {
        let certificate =
            Certificate::read(pem.chain.as_bytes(), pem.key.as_bytes(), 1_800_000_000);
        let certificate = certificate.expect("our own certificate");
        let tickets = Tickets::new().expect("random octets");
        let identity = Identity::new(&[certificate], pem.chain.as_bytes(), &tickets);
        let tls = identity.expect("an identity").accept_endpoint();
        let mut ours = Ours {
            tls: tls.expect("a handshake"),
            client: pem.client(),
            out: Box::new([0; tls::OUT_BYTES_MAX]),
            record: vec![0; tls::RECORD_BYTES_MAX],
        };
        let mut kept = Vec::new();
        while !ours.tls.is_open() {
            match ours.tls.read(&mut kept, &mut ours.out[..]) {
                Ok(Step::More(_)) => kept.append(&mut said(&mut ours.client)),
                Ok(Step::Send { used, bytes }) => {
                    kept.drain(..used);
                    heard(&mut ours.client, &ours.out[..bytes]);
                }
                Ok(Step::Established(used) | Step::Nothing(used)) => drop(kept.drain(..used)),
                other => panic!("a good handshake: {other:?}"),
            }
        }
        ours
    }

    fn open(&mut self, content: &[u8]) -> f64 {
        let mut input = batch(&mut self.client, content);
        timed(|| {
            let mut at = 0;
            while at < input.len() {
                match self.tls.read(&mut input[at..], &mut self.out[..]) {
                    Ok(Step::Octets { used, octets }) => {
                        assert_eq!(octets.len(), content.len());
                        at += used;
                    }
                    other => panic!("a good record: {other:?}"),
                }
            }
        })
    }

    fn seal(&mut self, content: &[u8]) -> f64 {
        let (lead, tail) = self.tls.around();
        let whole = lead + content.len() + tail;
        timed(|| {
            for _ in 0..BATCH {
                // What lies in pieces is gathered: the one copy.
                self.record[lead..lead + content.len()].copy_from_slice(black_box(content));
                let sealed = self.tls.seal(&mut self.record[..whole]);
                sealed.expect("a key that is not worn out");
            }
        })
    }
}

struct Buffered {
    server: ServerConnection,
    client: ClientConnection,
}

impl Buffered {
    fn established(pem: &Pem) -> Buffered {
        let mut server = ServerConnection::new(pem.server()).expect("a server");
        server.set_buffer_limit(None);
        let mut client = pem.client();
        while server.is_handshaking() || client.is_handshaking() {
            let octets = said(&mut client);
            let mut rest = &octets[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).expect("it is read");
                server.process_new_packets().expect("it is good");
            }
            let mut answer = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut answer).expect("memory takes it");
            }
            heard(&mut client, &answer);
        }
        Buffered { server, client }
    }

    fn open(&mut self, content: &[u8]) -> f64 {
        let input = batch(&mut self.client, content);
        let mut space = vec![0; 1 << 16];
        let (mut rest, mut opened) = (&input[..], 0);
        let took = timed(|| {
            while !rest.is_empty() {
                self.server.read_tls(&mut rest).expect("it is read");
                self.server.process_new_packets().expect("it is good");
                while let Ok(octets @ 1..) = self.server.reader().read(&mut space) {
                    opened += octets;
                }
            }
        });
        assert_eq!(opened, BATCH * content.len());
        took
    }

    fn seal(&mut self, content: &[u8]) -> f64 {
        let mut out = Vec::with_capacity(1 << 16);
        timed(|| {
            for _ in 0..BATCH {
                out.clear();
                let taken = self.server.writer().write_all(black_box(content));
                taken.expect("no limit");
                while self.server.wants_write() {
                    self.server.write_tls(&mut out).expect("memory takes it");
                }
            }
        })
    }
}

struct Unbuffered {
    server: UnbufferedServerConnection,
    client: ClientConnection,
}

impl Unbuffered {
    fn established(pem: &Pem) -> Unbuffered {
        let server = UnbufferedServerConnection::new(pem.server()).expect("a server");
        let mut this = Unbuffered {
            server,
            client: pem.client(),
        };
        let (mut input, mut answer) = (Vec::new(), Vec::new());
        loop {
            let status = this.server.process_tls_records(&mut input);
            let discard = status.discard;
            let is_done = match status.state.expect("a good handshake") {
                ConnectionState::EncodeTlsData(mut state) => {
                    let mut part = vec![0; 1 << 15];
                    let bytes = state.encode(&mut part).expect("there is room");
                    answer.extend_from_slice(&part[..bytes]);
                    false
                }
                ConnectionState::TransmitTlsData(state) => {
                    heard(&mut this.client, &answer);
                    answer.clear();
                    state.done();
                    false
                }
                ConnectionState::BlockedHandshake => {
                    input.drain(..discard);
                    input.append(&mut said(&mut this.client));
                    continue;
                }
                ConnectionState::WriteTraffic(_) => true,
                other => panic!("a good handshake: {other:?}"),
            };
            input.drain(..discard);
            if is_done {
                return this;
            }
        }
    }

    fn open(&mut self, content: &[u8]) -> f64 {
        let mut input = batch(&mut self.client, content);
        let whole = input.len() / BATCH;
        let mut opened = 0;
        let took = timed(|| {
            // It is lent one record at a time: it looks through all that it is lent.
            for record in input.chunks_mut(whole) {
                let status = self.server.process_tls_records(record);
                match status.state.expect("a good record") {
                    ConnectionState::ReadTraffic(mut state) => {
                        while let Some(record) = state.next_record() {
                            opened += record.expect("a good record").payload.len();
                        }
                    }
                    other => panic!("a record of data: {other:?}"),
                }
            }
        });
        assert_eq!(opened, BATCH * content.len());
        took
    }

    fn seal(&mut self, content: &[u8]) -> f64 {
        let mut out = vec![0; tls::RECORD_BYTES_MAX];
        timed(|| {
            for _ in 0..BATCH {
                let status = self.server.process_tls_records(&mut []);
                match status.state.expect("an open connection") {
                    ConnectionState::WriteTraffic(mut state) => {
                        let sealed = state.encrypt(black_box(content), &mut out);
                        black_box(sealed.expect("there is room"));
                    }
                    other => panic!("an open connection: {other:?}"),
                }
            }
        })
    }
}
