//! Certificates made on the spot, and peers that speak TLS by stock rustls.

use std::io::{Read, Write};
use std::sync::{Arc, OnceLock};

use relay::transport::tls::{Certificate, Identity, SharedIdentity, Tickets};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion, version,
};

/// The names that the one certificate of all tests is for.
pub const NAMES: [&str; 4] = ["relay.invalid", "localhost", "127.0.0.1", "::1"];

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Pem {
    /// The certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

impl Pem {
    /// A certificate, signed by itself, for these names.
    pub fn of(names: &[&str]) -> Pem {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        Pem {
            chain: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    /// The certificate as rustls has it.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("our own certificate")
    }

    /// The key as rustls has it.
    pub fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("our own key")
    }
}

/// The one certificate of all tests of a process: relay and peers all show it and trust it.
pub fn pem() -> &'static Pem {
    static PEM: OnceLock<Pem> = OnceLock::new();
    PEM.get_or_init(|| Pem::of(&NAMES))
}

/// A relay's identity that shows [`pem`] and trusts it.
pub fn identity() -> SharedIdentity {
    let pem = pem();
    let now = 1_800_000_000;
    let certificate = Certificate::read(pem.chain.as_bytes(), pem.key.as_bytes(), now)
        .expect("our own certificate");
    let tickets = Tickets::new().expect("random octets");
    let identity = Identity::new(&[certificate], pem.chain.as_bytes(), &tickets);
    let identity = identity.expect("an identity");
    let names = NAMES.map(|name| (name.to_owned(), identity.clone()));
    SharedIdentity::new(names.into())
}

/// Both versions, chosen by any number.
pub fn version_of(number: u64) -> &'static SupportedProtocolVersion {
    if number.is_multiple_of(2) {
        &version::TLS13
    } else {
        &version::TLS12
    }
}

/// A client that trusts [`pem`] and, if `shows`, shows a certificate of its own.
pub fn client_config(
    version: &'static SupportedProtocolVersion,
    shows: Option<&Pem>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(pem().der()).expect("our own certificate");
    let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_root_certificates(roots);
    Arc::new(match shows {
        None => builder.with_no_client_auth(),
        Some(own) => builder
            .with_client_auth_cert(vec![own.der()], own.private())
            .expect("a certificate"),
    })
}

/// A server that shows this certificate.
pub fn server_config(version: &'static SupportedProtocolVersion, shows: &Pem) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
        .with_protocol_versions(&[version])
        .expect("a version")
        .with_no_client_auth()
        .with_single_cert(vec![shows.der()], shows.private())
        .expect("a certificate");
    Arc::new(config)
}

/// A peer's TLS: octets in, octets out.
pub struct TlsPeer {
    connection: Connection,
    /// It has been told that no more will come, in order.
    pub closed: bool,
    /// Why it cannot go on, if it cannot.
    pub failed: Option<rustls::Error>,
}

impl TlsPeer {
    /// A peer that connects.
    pub fn client(config: &Arc<ClientConfig>, name: &str) -> TlsPeer {
        let name = ServerName::try_from(name.to_string()).expect("a name");
        let connection = ClientConnection::new(config.clone(), name).expect("a client");
        TlsPeer::new(connection.into())
    }

    /// A peer that was connected to.
    pub fn server(config: &Arc<ServerConfig>) -> TlsPeer {
        let connection = ServerConnection::new(config.clone()).expect("a server");
        TlsPeer::new(connection.into())
    }

    fn new(mut connection: Connection) -> TlsPeer {
        connection.set_buffer_limit(None);
        TlsPeer {
            connection,
            closed: false,
            failed: None,
        }
    }

    /// Takes in what came over the network; the octets in it.
    pub fn hears(&mut self, mut octets: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        while !octets.is_empty() && self.failed.is_none() {
            let taken = self
                .connection
                .read_tls(&mut octets)
                .expect("a slice is read");
            let state = match self.connection.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            };
            let start = plain.len();
            plain.resize(start + state.plaintext_bytes_to_read(), 0);
            self.connection
                .reader()
                .read_exact(&mut plain[start..])
                .expect("so many were announced");
            self.closed |= state.peer_has_closed();
            if taken == 0 {
                break;
            }
        }
        plain
    }

    /// The name that a client has asked for.
    pub fn server_name(&self) -> Option<&str> {
        match &self.connection {
            Connection::Server(server) => server.server_name(),
            Connection::Client(_) => None,
        }
    }

    /// Says these octets, as soon as the handshake allows.
    pub fn says(&mut self, octets: &[u8]) {
        self.connection
            .writer()
            .write_all(octets)
            .expect("there is no limit");
    }

    /// Says that it ends its direction.
    pub fn closes(&mut self) {
        self.connection.send_close_notify();
    }

    /// Changes its keys, if TLS 1.3 lets it.
    pub fn changes_keys(&mut self) {
        let is_13 = self.connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        if is_13 && !self.connection.is_handshaking() {
            self.connection
                .refresh_traffic_keys()
                .expect("TLS 1.3 allows it");
        }
    }

    /// What has to go over the network now.
    pub fn takes_out(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        while self.connection.wants_write() {
            self.connection
                .write_tls(&mut octets)
                .expect("a vector takes all");
        }
        octets
    }
}
