//! What the SIP side is told of the network beyond: who finds its proxies, its registrar, our secrets.

use std::collections::BTreeMap;

use super::StartError;
use super::locate::{Locator, Speaks};
use super::sip_peers::{Identity, PeersSettings, SecureSettings};
use crate::config::{self, Config};
use crate::sip::{Credentials, Secret, Secrets, Upstream};

/// The settings of the SIP side.
///
/// # Errors
/// A certificate that can't be used.
pub fn peers_settings(config: &Config) -> Result<PeersSettings, StartError> {
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
    Ok(settings)
}

/// Who finds the proxies.
///
/// # Errors
/// Names can't be looked up.
pub fn locator(config: &Config) -> Result<Locator, StartError> {
    let speaks = Speaks {
        tls: config.sip.tls.is_some(),
        ipv4: config.sip.listen.is_ipv4(),
    };
    let (proxies, servers) = (&config.sip.proxies, &config.sip.name_servers);
    Locator::new(proxies, servers, speaks).map_err(StartError::Resolver)
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
