//! TLS on the generator's side: rustls as a client, on sockets that never wait.
//!
//! The relay's certificate is taken whoever signed it: what is measured is the work, and a relay
//! under test seldom has a certificate for the address it is tested at. Signatures are checked.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WantsClientCert};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, DigitallySignedStruct, Error, HandshakeKind,
    SignatureScheme,
};

/// What all connections of a thread share.
#[derive(Clone)]
pub struct Client(Arc<ClientConfig>);

impl Client {
    /// Remembers the tickets it is given only if `resumes`.
    pub fn new(resumes: bool) -> Result<Client, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions();
        let builder: ConfigBuilder<ClientConfig, WantsClientCert> = builder
            .map_err(|error| format!("TLS: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)));
        let mut config = builder.with_no_client_auth();
        if !resumes {
            config.resumption = Resumption::disabled();
        }
        Ok(Client(Arc::new(config)))
    }

    /// Begins a connection to `address`.
    pub fn connect(&self, address: IpAddr) -> Result<Tls, String> {
        let name = ServerName::IpAddress(address.into());
        let connection = ClientConnection::new(self.0.clone(), name);
        let mut connection = connection.map_err(|error| format!("TLS: {error}"))?;
        connection.set_buffer_limit(None);
        Ok(Tls(connection))
    }
}

/// The TLS of one connection.
pub struct Tls(ClientConnection);

impl Tls {
    /// What is said before anything is heard.
    pub fn first_octets(&mut self) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut octets)?;
        }
        Ok(octets)
    }

    /// Whether the handshake is under way.
    pub fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Whether the handshake was one of a session that was known.
    pub fn is_resumed(&self) -> bool {
        self.0.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Whether the relay has given a ticket by which the next connection can resume.
    pub fn has_tickets(&self) -> bool {
        self.0.tls13_tickets_received() > 0
    }

    /// Takes octets in clear; they are written by [`Tls::flush`].
    pub fn push(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.writer().write_all(octets)
    }

    /// Whether something waits to be written.
    pub fn wants_write(&self) -> bool {
        self.0.wants_write()
    }

    /// Writes what the socket takes. `WouldBlock`: not all of it.
    pub fn flush(&mut self, socket: &TcpStream) -> io::Result<()> {
        while self.0.wants_write() {
            self.0.write_tls(&mut &*socket)?;
        }
        Ok(())
    }

    /// Octets in clear that are here already. `WouldBlock`: none; 0: the peer has said goodbye.
    pub fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.0.reader().read(space)
    }

    /// Reads from the socket once. 0: its end.
    pub fn receive(&mut self, socket: &TcpStream) -> io::Result<usize> {
        let octets = self.0.read_tls(&mut &*socket)?;
        let processed = self.0.process_new_packets();
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(octets)
    }
}

/// Takes every certificate; checks that its key has signed.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
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
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
