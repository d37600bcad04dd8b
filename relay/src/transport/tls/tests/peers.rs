//! Whom the tests let speak to each other: ours, as a shard drives it, and stock rustls.

use std::io::Read;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig,
    SupportedProtocolVersion,
};

use super::super::*;

pub(super) const NAME: &str = "relay.example";

pub(super) struct Made {
    pub(super) chain: String,
    pub(super) key: String,
    pub(super) der: rustls::pki_types::CertificateDer<'static>,
}

pub(super) fn made(name: &str) -> Made {
    let made = rcgen::generate_simple_self_signed([name.to_string()]).unwrap();
    Made {
        chain: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        der: made.cert.der().clone(),
    }
}

pub(super) fn certificate(made: &Made) -> Certificate {
    Certificate::read(made.chain.as_bytes(), made.key.as_bytes(), 1_800_000_000).unwrap()
}

pub(super) fn identity(made: &[&Made], roots: &str) -> Identity {
    let certificates: Vec<_> = made.iter().map(|made| certificate(made)).collect();
    Identity::new(&certificates, roots.as_bytes(), &Tickets::new().unwrap()).unwrap()
}

/// Drives one of ours as a shard does: unused octets are kept and given again with more.
pub(super) struct Ours {
    pub(super) tls: Tls,
    pub(super) kept: Vec<u8>,
    pub(super) wanted: usize,
    pub(super) sent: Vec<u8>,
    pub(super) got: Vec<u8>,
    pub(super) established: bool,
    pub(super) closed: bool,
    pub(super) broken: bool,
}

impl Ours {
    pub(super) fn new(tls: Tls) -> Ours {
        let mut ours = Ours {
            tls,
            kept: Vec::new(),
            wanted: 0,
            sent: Vec::new(),
            got: Vec::new(),
            established: false,
            closed: false,
            broken: false,
        };
        ours.take(&[]);
        ours
    }

    pub(super) fn take(&mut self, octets: &[u8]) {
        self.kept.extend_from_slice(octets);
        self.wanted = self.wanted.saturating_sub(octets.len());
        let mut out = [0; OUT_BYTES_MAX];
        while !self.broken && !self.closed {
            match self.tls.read(&mut self.kept, &mut out) {
                Ok(Step::More(wanted)) => {
                    assert!(wanted > 0 && wanted >= self.wanted, "it is asked for once");
                    self.wanted = wanted;
                    return;
                }
                Ok(Step::Established(used)) => {
                    self.established = true;
                    self.kept.drain(..used);
                }
                Ok(Step::Nothing(used)) => drop(self.kept.drain(..used)),
                Ok(Step::Send { used, bytes }) => {
                    self.sent.extend_from_slice(&out[..bytes]);
                    self.kept.drain(..used);
                }
                Ok(Step::Octets { used, octets }) => {
                    self.got.extend_from_slice(&self.kept[octets]);
                    self.kept.drain(..used);
                }
                Ok(Step::Closed) => self.closed = true,
                Err(broken) => {
                    self.sent.extend_from_slice(&out[..broken.bytes]);
                    self.broken = true;
                }
            }
        }
    }

    pub(super) fn say(&mut self, octets: &[u8]) {
        let mut out = [0; OUT_BYTES_MAX];
        for octets in octets.chunks(PLAIN_BYTES_MAX) {
            let before = self.tls.before_data(&mut out).unwrap();
            self.sent.extend_from_slice(&out[..before]);
            let (lead, tail) = self.tls.around();
            let mut record = vec![0; lead];
            record.extend_from_slice(octets);
            record.resize(lead + octets.len() + tail, 0);
            self.tls.seal(&mut record).unwrap();
            self.sent.extend_from_slice(&record);
        }
    }

    pub(super) fn close(&mut self) {
        let mut out = [0; 64];
        let bytes = self.tls.close(&mut out);
        self.sent.extend_from_slice(&out[..bytes]);
    }
}

/// A stock connection and what came out of it.
pub(super) struct Stock {
    pub(super) connection: Connection,
    pub(super) got: Vec<u8>,
    pub(super) closed: bool,
    pub(super) error: Option<rustls::Error>,
}

impl Stock {
    pub(super) fn new(connection: impl Into<Connection>) -> Stock {
        let mut connection = connection.into();
        connection.set_buffer_limit(None);
        Stock {
            connection,
            got: Vec::new(),
            closed: false,
            error: None,
        }
    }

    pub(super) fn take(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() && self.error.is_none() {
            if self.connection.read_tls(&mut octets).unwrap() == 0 {
                return;
            }
            match self.connection.process_new_packets() {
                Ok(state) => {
                    let mut fresh = vec![0; state.plaintext_bytes_to_read()];
                    self.connection.reader().read_exact(&mut fresh).unwrap();
                    self.got.extend_from_slice(&fresh);
                    self.closed |= state.peer_has_closed();
                }
                Err(error) => self.error = Some(error),
            }
        }
    }

    pub(super) fn take_out(&mut self) -> Vec<u8> {
        let mut octets = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut octets).unwrap();
        }
        octets
    }
}

/// Carries octets to and fro until both are silent; what ours gets is cut by `cut`.
pub(super) fn converse(ours: &mut Ours, stock: &mut Stock, mut cut: impl FnMut(usize) -> usize) {
    loop {
        let to_ours = stock.take_out();
        let to_stock = std::mem::take(&mut ours.sent);
        if to_ours.is_empty() && to_stock.is_empty() {
            return;
        }
        stock.take(&to_stock);
        let mut rest = &to_ours[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
            ours.take(piece);
            rest = after;
        }
    }
}

pub(super) fn whole(bytes: usize) -> usize {
    bytes
}

pub(super) fn crypto(suite: Option<CipherSuite>) -> Arc<CryptoProvider> {
    let mut crypto = provider::default_provider();
    if let Some(suite) = suite {
        crypto.cipher_suites.retain(|known| known.suite() == suite);
    }
    Arc::new(crypto)
}

pub(super) fn stock_client(
    version: &'static SupportedProtocolVersion,
    suite: Option<CipherSuite>,
    trusted: &Made,
    own: Option<&Made>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(crypto(suite))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = private(own);
            builder
                .with_client_auth_cert(vec![own.der.clone()], key)
                .unwrap()
        }
    }
}

pub(super) fn stock_server(
    version: &'static SupportedProtocolVersion,
    suite: Option<CipherSuite>,
    own: &Made,
) -> ServerConfig {
    ServerConfig::builder_with_provider(crypto(suite))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der.clone()], private(own))
        .unwrap()
}

pub(super) fn private(made: &Made) -> PrivateKeyDer<'static> {
    use rustls::pki_types::pem::PemObject;
    PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap()
}

pub(super) fn client(config: &Arc<ClientConfig>, name: &str) -> Stock {
    let name = ServerName::try_from(name.to_string()).unwrap();
    Stock::new(ClientConnection::new(config.clone(), name).unwrap())
}
