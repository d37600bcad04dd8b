//! TLS of the SIP side: certificates from files, names of peers checked. RFC 3261, 26.3; RFC 5922.
//!
//! Toward a peer, its certificate must be for the name by which it was configured or found, or else for its
//! number, and one of our authorities must vouch for it. Who comes to us must show a certificate of theirs where
//! that is asked for; its name is not compared with anything, because it is not known who comes.
//!
//! The files are read anew when they have changed, and at SIGHUP, for connections to come.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::super::fresh::{About, Fresh, about};
use super::connection::Pipe;
use crate::config::SipTls;

/// Who we are to TLS peers, and whom we trust.
#[derive(Clone)]
pub struct Identity {
    files: SipTls,
    made: Arc<ArcSwap<Made>>,
}

/// What was made of the files.
struct Made {
    acceptor: TlsAcceptor,
    /// `None`: without authorities nobody can be proven to be who we want to reach.
    connector: Option<TlsConnector>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.files).finish()
    }
}

impl Identity {
    /// Reads the files.
    ///
    /// # Errors
    /// The first that cannot be used, and why.
    pub fn read(files: &SipTls) -> io::Result<Identity> {
        let made = Arc::new(ArcSwap::from_pointee(Made::of(files)?));
        Ok(Identity {
            files: files.clone(),
            made,
        })
    }

    /// Reads them anew whenever they have changed, and at SIGHUP. What can't be used is logged, and what is in
    /// use stays.
    pub async fn keep_fresh(self) {
        let mut fresh = Fresh::new(self.look());
        loop {
            fresh.stale(|| std::future::ready(self.look())).await;
            fresh.taken();
            match self.reload() {
                Ok(()) => tracing::info!("sip.tls: certificates were read anew"),
                Err(error) => tracing::error!("sip.tls: certificates stay as they are: {error}"),
            }
        }
    }

    /// Reads the files anew.
    pub fn reload(&self) -> io::Result<()> {
        self.made.store(Arc::new(Made::of(&self.files)?));
        Ok(())
    }

    fn look(&self) -> Vec<Option<About>> {
        let look = |path: &PathBuf| std::fs::metadata(path).ok().as_ref().map(about);
        let files = &self.files;
        let all = [
            Some(&files.certificate),
            Some(&files.key),
            files.authorities.as_ref(),
        ];
        all.into_iter().flatten().map(look).collect()
    }

    /// Shakes hands with who has come.
    pub async fn accept(self, stream: TcpStream, peer: SocketAddr) -> Option<Box<dyn Pipe>> {
        let acceptor = self.made.load().acceptor.clone();
        match acceptor.accept(stream).await {
            Ok(stream) => Some(Box::new(stream)),
            Err(error) => {
                tracing::debug!("SIP over TLS from {peer}: {error}");
                None
            }
        }
    }

    /// Shakes hands with the peer of this name, or at this address where it has none.
    pub async fn connect(
        self,
        stream: TcpStream,
        name: Option<String>,
        peer: SocketAddr,
    ) -> Option<Box<dyn Pipe>> {
        let Some(connector) = self.made.load().connector.clone() else {
            tracing::warn!("SIP over TLS to {peer}: say as sip.tls.authorities whom you trust");
            return None;
        };
        let name = name.unwrap_or_else(|| peer.ip().to_string());
        let server = ServerName::try_from(name.clone()).ok()?;
        match connector.connect(server, stream).await {
            Ok(stream) => Some(Box::new(stream)),
            Err(error) => {
                tracing::warn!("SIP over TLS to {name} at {peer}: {error}");
                None
            }
        }
    }
}

impl Made {
    fn of(files: &SipTls) -> io::Result<Made> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| said(&files.key, &e))?;
        let mut roots = RootCertStore::empty();
        if let Some(path) = &files.authorities {
            for authority in certificates(path)? {
                roots.add(authority).map_err(|e| said(path, &e))?;
            }
        }
        let roots = Arc::new(roots);
        let fits = |e| said(&files.certificate, &e);
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let server = match verifier(files, &roots, &provider)? {
            Some(verifier) => server.with_client_cert_verifier(verifier),
            None => server.with_no_client_auth(),
        };
        let server = server
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(fits)?;
        let connector = if roots.is_empty() {
            None
        } else {
            let client = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)?
                .with_root_certificates(roots)
                .with_client_auth_cert(chain, key)
                .map_err(fits)?;
            Some(TlsConnector::from(Arc::new(client)))
        };
        Ok(Made {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector,
        })
    }
}

/// Who checks the certificates of those that come, if anybody does.
fn verifier(
    files: &SipTls,
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> io::Result<Option<Arc<dyn tokio_rustls::rustls::server::danger::ClientCertVerifier>>> {
    if !files.clients_required {
        return Ok(None);
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
    Ok(Some(verifier.build().map_err(io::Error::other)?))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| said(path, &error))?;
    if read.is_empty() {
        return Err(said(path, &"no certificate in it"));
    }
    Ok(read)
}

fn said(path: &Path, error: &dyn fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
