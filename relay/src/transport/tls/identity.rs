//! Who we are to TLS peers: certificates, keys, what is asked of the peer. Made at start and at
//! every reload; connections that exist keep what they were made with.

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, ParsedCertificate, ProducesTickets, ResolvesServerCert, UnbufferedServerConnection,
};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};

use super::Tls;
use super::handshake::{Handshake, Role};
use super::validity::validity;

/// Session tickets that a new connection is given, for the next one.
const TICKETS: usize = 1;

/// What is wrong with a certificate, a key or a list of authorities, as the end of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake(pub String);

fn wrong<T>(what: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake(what.into()))
}

/// A certificate of ours: its chain and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    sha256: [u8; 32],
}

impl Certificate {
    /// Reads a chain (our own certificate first) and its key, both PEM; `now` in seconds of Unix.
    ///
    /// # Errors
    /// They cannot be read, do not belong together, or the certificate is not valid now.
    pub fn read(chain: &[u8], key: &[u8], now: u64) -> Result<Certificate, Mistake> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .or_else(|error| wrong(format!("is no PEM ({error})")))?;
        let Some(own) = chain.first() else {
            return wrong("holds no certificate");
        };
        let (from, until) = match validity(own) {
            Some(validity) => validity,
            None => return wrong("is no X.509 certificate"),
        };
        if now > until {
            let days = (now - until) / 86400;
            return wrong(format!("expired {days} day(s) ago"));
        }
        if now < from {
            return wrong("is not valid yet: look at its dates and at this machine's clock");
        }
        let sha256 = sha256(own);
        let key = PrivateKeyDer::from_pem_slice(key)
            .or_else(|error| wrong(format!("has a key that cannot be read ({error})")))?;
        let provider = provider::default_provider();
        let key = match CertifiedKey::from_der(chain, key, &provider) {
            Ok(key) => key,
            Err(Error::InconsistentKeys(_)) => {
                return wrong("does not belong to the key beside it");
            }
            Err(error) => return wrong(format!("cannot be used ({error})")),
        };
        Ok(Certificate {
            key: Arc::new(key),
            sha256,
        })
    }

    /// Whether it is for this name or address.
    pub fn covers(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name.trim_matches(['[', ']'])) else {
            return false;
        };
        covers(&self.key, &name)
    }

    /// Its fingerprint, as `a=fingerprint` has it (RFC 8122).
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
}

fn covers(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = key.cert.first().map(ParsedCertificate::try_from);
    matches!(parsed, Some(Ok(parsed)) if rustls::client::verify_server_name(&parsed, name).is_ok())
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut value = [0; 32];
    value.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
    value
}

/// The certificate that a peer has shown, as far as it is of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// What old handsets write into their session descriptions.
    pub sha1: [u8; 20],
    /// What all others do.
    pub sha256: [u8; 32],
    /// All of it, and who signed it, until nobody asks for it any more.
    chain: Vec<CertificateDer<'static>>,
}

impl PeerCertificate {
    /// `None`: the peer has shown nothing.
    pub(super) fn of(chain: &[CertificateDer<'static>]) -> Option<PeerCertificate> {
        let certificate = chain.first()?;
        let mut sha1 = [0; 20];
        let made = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate);
        sha1.copy_from_slice(made.as_ref());
        Some(PeerCertificate {
            sha1,
            sha256: sha256(certificate),
            chain: chain.to_vec(),
        })
    }

    /// Only its fingerprints are of interest from now on.
    pub fn forget_chain(&mut self) {
        self.chain = Vec::new();
    }
}

/// Makes and reads session tickets, for all shards alike: a peer may come back to any of them. Its
/// keys change every six hours; a ticket is good for twice that.
#[derive(Clone, Debug)]
pub struct Tickets(Arc<dyn ProducesTickets>);

impl Tickets {
    /// Tickets under fresh keys.
    ///
    /// # Errors
    /// The machine gives no random octets.
    pub fn new() -> Result<Tickets, Mistake> {
        match provider::Ticketer::new() {
            Ok(ticketer) => Ok(Tickets(ticketer)),
            Err(error) => wrong(format!("no keys for session tickets can be made ({error})")),
        }
    }
}

/// Who we are, ready for handshakes.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Toward browsers, which show no certificate.
    browsers: Arc<ServerConfig>,
    /// Toward MSRP endpoints that connect to us; they may show one.
    endpoints: Arc<ServerConfig>,
    /// Toward endpoints whose certificate's fingerprint is told in signalling.
    known: Arc<ClientConfig>,
    /// Toward endpoints that an authority vouches for; `None`: there is no such authority.
    vouched: Option<Arc<ClientConfig>>,
    /// Asks the same authorities about endpoints by certificates for servers, and for clients.
    vouchers: Option<(Arc<dyn ServerCertVerifier>, Arc<dyn ClientCertVerifier>)>,
    sha256: [u8; 32],
}

impl Identity {
    /// Makes one of certificates. The first is the one whose fingerprint is told, and all that MSRP
    /// endpoints are ever shown; browsers are shown the one of the name they ask for. `roots` are
    /// the authorities we trust, PEM, and may be empty.
    ///
    /// # Errors
    /// There is no certificate, or the roots cannot be read.
    pub fn new(
        certificates: &[Certificate],
        roots: &[u8],
        tickets: &Tickets,
    ) -> Result<Identity, Mistake> {
        let Some(first) = certificates.first() else {
            return wrong("there is no certificate");
        };
        let keys: Vec<_> = certificates.iter().map(|one| one.key.clone()).collect();
        let by_name: Arc<dyn ResolvesServerCert> = Arc::new(ByName(keys));
        // The one whose fingerprint is told, or the endpoint would be right to leave.
        let told = Arc::new(rustls::sign::SingleCertAndKey::from(first.key.clone()));
        let crypto = Arc::new(provider::default_provider());
        let any = Arc::new(Anyone(crypto.clone()));
        let server = |shown: Arc<dyn ResolvesServerCert>,
                      verifier: Option<Arc<Anyone>>|
         -> Result<Arc<ServerConfig>, Mistake> {
            let builder = ServerConfig::builder_with_provider(crypto.clone())
                .with_safe_default_protocol_versions()
                .or_else(|error| wrong(error.to_string()))?;
            let builder = match verifier {
                Some(verifier) => builder.with_client_cert_verifier(verifier),
                None => builder.with_no_client_auth(),
            };
            let mut config = builder.with_cert_resolver(shown);
            config.enable_secret_extraction = true;
            config.send_tls13_tickets = TICKETS;
            config.ticketer = tickets.0.clone();
            config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
            Ok(Arc::new(config))
        };
        let client = |verifier: Arc<dyn ServerCertVerifier>| -> Result<Arc<ClientConfig>, Mistake> {
            let mut config = ClientConfig::builder_with_provider(crypto.clone())
                .with_safe_default_protocol_versions()
                .or_else(|error| wrong(error.to_string()))?
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_client_cert_resolver(told.clone());
            config.enable_secret_extraction = true;
            config.resumption = Resumption::disabled();
            Ok(Arc::new(config))
        };
        let mut trusted = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots) {
            let root = root.or_else(|error| wrong(format!("is no PEM ({error})")))?;
            trusted
                .add(root)
                .or_else(|error| wrong(format!("holds what is no authority ({error})")))?;
        }
        if trusted.is_empty() && !roots.is_empty() {
            return wrong("holds no certificate of an authority");
        }
        let (vouched, vouchers) = if trusted.is_empty() {
            (None, None)
        } else {
            let roots = Arc::new(trusted);
            let unusable = |error| Mistake(format!("cannot be used ({error})"));
            let servers =
                WebPkiServerVerifier::builder_with_provider(roots.clone(), crypto.clone());
            let clients = WebPkiClientVerifier::builder_with_provider(roots, crypto.clone());
            let servers = servers.build().map_err(unusable)?;
            let clients = clients.build().map_err(unusable)?;
            (
                Some(client(servers.clone())?),
                Some((servers as _, clients)),
            )
        };
        Ok(Identity {
            browsers: server(by_name, None)?,
            endpoints: server(told.clone(), Some(any.clone()))?,
            known: client(any)?,
            vouched,
            vouchers,
            sha256: first.sha256,
        })
    }

    /// The fingerprint of the certificate that we show, for `a=fingerprint`.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Whether an endpoint that has connected to us has shown a certificate for `name` from an
    /// authority that we trust. Whichever side connects, either is both in MSRP: a certificate for
    /// servers is as good as one for clients.
    pub fn vouches_for(&self, peer: &PeerCertificate, name: &str) -> bool {
        let (Some(vouchers), Some((own, chain))) = (&self.vouchers, peer.chain.split_first())
        else {
            return false;
        };
        let (servers, clients) = vouchers;
        let now = UnixTime::now();
        let Ok(name) = ServerName::try_from(name.trim_matches(['[', ']'])) else {
            return false;
        };
        let parsed = ParsedCertificate::try_from(own);
        let covers = parsed.is_ok_and(|it| rustls::client::verify_server_name(&it, &name).is_ok());
        let as_server = || servers.verify_server_cert(own, chain, &name, &[], now);
        covers && (clients.verify_client_cert(own, chain, now).is_ok() || as_server().is_ok())
    }

    /// For a browser that has connected.
    pub fn accept_browser(&self) -> Option<Tls> {
        accept(&self.browsers)
    }

    /// For an MSRP endpoint that has connected. It may show a certificate, and
    /// [`Tls::peer`] says which.
    pub fn accept_endpoint(&self) -> Option<Tls> {
        accept(&self.endpoints)
    }

    /// For an endpoint that we have connected to, whose certificate's fingerprint is known and to
    /// be compared with [`Tls::peer`] before anything is said.
    pub fn connect_known(&self, name: &str) -> Option<Tls> {
        connect(&self.known, name)
    }

    /// For an endpoint that we have connected to, whose certificate must be for `name` and come
    /// from an authority that we trust. `None`: we trust none, or `name` is no name.
    pub fn connect_vouched(&self, name: &str) -> Option<Tls> {
        connect(self.vouched.as_ref()?, name)
    }
}

/// Our identities as of now, one for each of our names, shared by all shards and looked at once for
/// each handshake.
#[derive(Clone, Debug)]
pub struct SharedIdentity(Arc<RwLock<Vec<(String, Identity)>>>);

impl SharedIdentity {
    /// Shares identities, each with its name.
    pub fn new(identities: Vec<(String, Identity)>) -> SharedIdentity {
        SharedIdentity(Arc::new(RwLock::new(identities)))
    }

    /// They take the place of the former ones for handshakes to come.
    pub fn set(&self, identities: Vec<(String, Identity)>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identities;
    }

    /// Who we are now to those who know us by this name.
    pub fn now(&self, name: &str) -> Option<Identity> {
        let identities = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = identities.iter().find(|(known, _)| known == name);
        found.map(|(_, identity)| identity.clone())
    }
}

fn accept(config: &Arc<ServerConfig>) -> Option<Tls> {
    let connection = UnbufferedServerConnection::new(config.clone()).ok()?;
    Some(Tls::new(Handshake::new(Role::Server(connection))))
}

fn connect(config: &Arc<ClientConfig>, name: &str) -> Option<Tls> {
    let name = ServerName::try_from(name.trim_matches(['[', ']'])).ok()?;
    let connection = UnbufferedClientConnection::new(config.clone(), name.to_owned()).ok()?;
    Some(Tls::new(Handshake::new(Role::Client(connection))))
}

/// Our certificates, by the name that the client asks for.
#[derive(Debug)]
struct ByName(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let name = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let asked = name.and_then(|name| {
            let of_name = |key: &&Arc<CertifiedKey>| fits(key) && covers(key, &name);
            self.0.iter().find(of_name)
        });
        asked.or_else(|| self.0.iter().find(fits)).cloned()
    }
}

/// Takes any certificate whose key the peer can use: who it is, its fingerprint says, which
/// signalling has told (RFC 4572, 5), and which is compared when the connection is bound.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl Anyone {
    fn check_12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn check_13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Anyone {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _status: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}
