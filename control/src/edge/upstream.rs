//! What the SIP side is told of the network beyond: its proxies' addresses, its registrar, our secrets.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::StartError;
use super::sip_peers::{Identity, PeersSettings, SecureSettings};
use crate::config::{self, Config, Proxy, Transport};
use crate::sip::{Credentials, Flow, Hop, Secret, Secrets, SipTransport, Upstream};

/// The settings of the SIP side.
///
/// # Errors
/// A proxy whose address is not found, or a certificate that can't be used.
pub async fn peers_settings(config: &Config) -> Result<PeersSettings, StartError> {
    let mut settings = PeersSettings::new(config.sip.listen, &config.domain);
    settings.advertised = config.sip.advertise;
    settings.upstream = upstream(&config.sip);
    settings.secrets = secrets(&config.sip);
    settings.tls = match &config.sip.tls {
        Some(tls) => Some(SecureSettings {
            listen: tls.listen,
            name: tls.name.clone(),
            identity: Identity::read(tls).map_err(StartError::SipTls)?,
        }),
        None => None,
    };
    settings.handsets = credentials(&config.sip.handsets);
    for proxy in &config.sip.proxies {
        settings.hops.extend(hops(proxy).await?);
    }
    Ok(settings)
}

fn upstream(sip: &config::Sip) -> Option<Upstream> {
    let register = sip.register.as_ref();
    (!sip.proxies.is_empty()).then(|| Upstream {
        registrar: register.map(|register| register.registrar.clone()),
        expires_s: register.map_or(0, |register| register.expires_s),
        contact_params: register.map_or(Vec::new(), |register| {
            register
                .features
                .iter()
                .map(|feature| param(feature))
                .collect()
        }),
        probe_ms: u64::from(sip.probe_s) * 1000,
    })
}

fn param(feature: &str) -> (String, Option<String>) {
    match feature.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (feature.to_owned(), None),
    }
}

fn secrets(sip: &config::Sip) -> Secrets {
    Secrets {
        by_realm: credentials(&sip.realms),
        by_user: credentials(&sip.users),
    }
}

fn credentials(secrets: &BTreeMap<String, config::Secret>) -> BTreeMap<String, Credentials> {
    let read = |(name, secret): (&String, &config::Secret)| {
        let credentials = Credentials {
            username: secret.username.clone(),
            secret: Secret::Password(secret.password.clone()),
        };
        (name.clone(), credentials)
    };
    secrets.iter().map(read).collect()
}

/// The addresses of a proxy, in the order they were found in.
async fn hops(proxy: &Proxy) -> Result<Vec<Hop>, StartError> {
    let usual = match proxy.transport {
        Some(Transport::Tls) => 5061,
        Some(Transport::Udp | Transport::Tcp) | None => 5060,
    };
    let place = (proxy.host.as_str(), proxy.port.unwrap_or(usual));
    let unknown = |error: std::io::Error| StartError::ProxyUnknown {
        host: proxy.host.clone(),
        error,
    };
    let found = tokio::net::lookup_host(place).await.map_err(unknown)?;
    let transport = match proxy.transport {
        Some(Transport::Tcp) => SipTransport::Tcp,
        Some(Transport::Tls) => SipTransport::Tls,
        Some(Transport::Udp) | None => SipTransport::Udp,
    };
    let hop = |peer: SocketAddr| Hop {
        flow: Flow {
            transport,
            peer,
            connection: None,
        },
        name: proxy.host.clone(),
    };
    Ok(found.map(hop).collect())
}
