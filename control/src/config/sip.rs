//! `[sip]`: where SIP peers come to, and the network beyond: its proxies, its registrar, what it is shown.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{Mistake, address, mistake};

/// `[sip]`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sip {
    /// `sip.listen`: UDP and TCP. Default 127.0.0.1:5060.
    pub listen: SocketAddr,
    /// `sip.advertise`: what peers are told, where it isn't the address listened at. Its port 0 stands for
    /// the one listened at.
    pub advertise: Option<SocketAddr>,
    /// `sip.tls`: SIP over TLS. Default none.
    pub tls: Option<SipTls>,
    /// `sip.proxies`: what leaves our domain goes to the first of them that answers. Default none: it goes
    /// where its URI says.
    pub proxies: Vec<Proxy>,
    /// `sip.name_servers`: who is asked for the records of proxies' names. Default: whom this machine asks.
    pub name_servers: Vec<SocketAddr>,
    /// `sip.probe_s`: each proxy is asked by OPTIONS every so many seconds. Default 30; 0: never.
    pub probe_s: u32,
    /// `sip.register`: our users belong to a registrar, and are registered there while they are here.
    /// Default none: a trunk, the domain is ours.
    pub register: Option<Register>,
    /// `sip.realms.REALM`: what whoever of our users is challenged there shows.
    pub realms: BTreeMap<String, Secret>,
    /// `sip.users.USER`: what this user shows, wherever it is challenged.
    pub users: BTreeMap<String, Secret>,
    /// `sip.handsets.USER`: what a handset shows that registers here. Default none: whoever reaches
    /// `sip.listen` may register as anybody.
    pub handsets: BTreeMap<String, Secret>,
}

impl Default for Sip {
    fn default() -> Sip {
        Sip {
            listen: SocketAddr::from(([127, 0, 0, 1], 5060)),
            advertise: None,
            tls: None,
            proxies: Vec::new(),
            name_servers: Vec::new(),
            probe_s: 30,
            register: None,
            realms: BTreeMap::new(),
            users: BTreeMap::new(),
            handsets: BTreeMap::new(),
        }
    }
}

/// A next hop, as `sip:host:port;transport=tcp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// A name or number; an IPv6 one without its brackets.
    pub host: String,
    /// `None`: what its name's records say, or 5060.
    pub port: Option<u16>,
    /// `None`: what its name's records say, or UDP.
    pub transport: Option<Transport>,
}

/// How to reach a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
    /// A connection by TLS.
    Tls,
}

/// `[sip.tls]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipTls {
    /// `listen`: such as 0.0.0.0:5061.
    pub listen: SocketAddr,
    /// `name`: what peers are told in the place of our number; the certificate must be for it. Default none:
    /// they are told the number.
    pub name: Option<String>,
    /// `certificate`: a file with our certificate and its chain, PEM.
    pub certificate: PathBuf,
    /// `key`: a file with its key, PEM.
    pub key: PathBuf,
    /// `authorities`: a file with those we trust to vouch for peers, PEM. Default none: we connect to nobody by
    /// TLS.
    pub authorities: Option<PathBuf>,
    /// `clients = "required"`: who comes to us must show a certificate of theirs. Default "any": none is asked for.
    pub clients_required: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTls {
    listen: Spanned<String>,
    name: Option<Spanned<String>>,
    certificate: PathBuf,
    key: PathBuf,
    authorities: Option<PathBuf>,
    clients: Option<Spanned<String>>,
}

impl WrittenTls {
    fn checked(self, text: &str) -> Result<SipTls, Mistake> {
        let clients_required = match &self.clients {
            None => false,
            Some(written) if written.get_ref() == "any" => false,
            Some(written) if written.get_ref() == "required" && self.authorities.is_some() => true,
            Some(written) => {
                let what =
                    "sip.tls.clients: write \"any\", or \"required\" beside sip.tls.authorities";
                return Err(mistake(text, written.span(), what.to_owned()));
            }
        };
        if let Some(name) = self.name.as_ref().filter(|name| !is_host(name.get_ref())) {
            let what = "sip.tls.name: write the name alone, as in \"sip.example.com\"";
            return Err(mistake(text, name.span(), what.to_owned()));
        }
        let listen = address(text, "sip.tls.listen", Some(self.listen))?;
        Ok(SipTls {
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 5061))),
            name: self.name.map(Spanned::into_inner),
            certificate: self.certificate,
            key: self.key,
            authorities: self.authorities,
            clients_required,
        })
    }
}

/// Whether this can be the name of a host.
fn is_host(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    !text.is_empty() && text.len() <= 253 && text.chars().all(known)
}

/// `[sip.register]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// `registrar`: the URI that REGISTER asks, such as `sip:example.com`. Default: `sip:` and the domain.
    #[serde(default)]
    pub registrar: String,
    /// `expires_s`: how long a registration is asked for. Default 3600.
    #[serde(default = "hour")]
    pub expires_s: u32,
    /// `features`: what is said of our users in Contact, such as `+g.oma.sip-im`.
    #[serde(default)]
    pub features: Vec<String>,
}

/// A name and its password, in a challenger's realm.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// `username`. Default, of a user: its name.
    #[serde(default)]
    pub username: String,
    /// `password`
    pub password: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What was understood.
impl std::fmt::Display for Sip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SIP                  {}, UDP and TCP", self.listen)?;
        match self.advertise {
            Some(advertise) => writeln!(f, ", peers are told {advertise}")?,
            None => writeln!(f)?,
        }
        if let Some(tls) = &self.tls {
            writeln!(f, "SIP over TLS         {}", tls.listen)?;
        }
        let hosts: Vec<&str> = self
            .proxies
            .iter()
            .map(|proxy| proxy.host.as_str())
            .collect();
        if !hosts.is_empty() {
            writeln!(f, "SIP proxies          {}", hosts.join(" "))?;
        }
        match &self.register {
            Some(register) => writeln!(
                f,
                "SIP registrar        {}, for {} s",
                register.registrar, register.expires_s
            ),
            None => Ok(()),
        }
    }
}

fn hour() -> u32 {
    3600
}

/// `[sip]` as it is written.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    listen: Option<Spanned<String>>,
    advertise: Option<Spanned<String>>,
    tls: Option<WrittenTls>,
    proxies: Vec<Spanned<String>>,
    name_servers: Vec<Spanned<String>>,
    probe_s: Option<u32>,
    register: Option<Spanned<Register>>,
    realms: BTreeMap<String, Spanned<Secret>>,
    users: BTreeMap<String, Secret>,
    handsets: BTreeMap<String, Secret>,
}

impl Written {
    pub fn checked(self, text: &str, domain: &str) -> Result<Sip, Mistake> {
        let defaults = Sip::default();
        let listen = address(text, "sip.listen", self.listen)?;
        let proxies: Result<Vec<Proxy>, Mistake> = self
            .proxies
            .iter()
            .map(|written| {
                proxy(written.get_ref()).map_err(|what| mistake(text, written.span(), what))
            })
            .collect();
        let name_servers: Result<Vec<SocketAddr>, Mistake> = self
            .name_servers
            .iter()
            .map(|written| {
                let what = "sip.name_servers: write each as \"10.0.0.53:53\"".to_owned();
                let read = written.get_ref().parse();
                read.map_err(|_| mistake(text, written.span(), what))
            })
            .collect();
        let register = match self.register {
            Some(written) => {
                let span = written.span();
                let checked = register(written.into_inner(), domain, self.proxies.is_empty());
                Some(checked.map_err(|what| mistake(text, span, what))?)
            }
            None => None,
        };
        let realms: Result<BTreeMap<String, Secret>, Mistake> = self
            .realms
            .into_iter()
            .map(|(realm, written)| named(text, realm, written.span(), written.into_inner()))
            .collect();
        let by_user = |(user, mut secret): (String, Secret)| {
            if secret.username.is_empty() {
                secret.username.clone_from(&user);
            }
            (user, secret)
        };
        let tls = self.tls.map(|tls| tls.checked(text)).transpose()?;
        if let (None, Some(written)) = (&tls, proxies_by_tls(&self.proxies)) {
            let what = "sip.proxies: a proxy that is reached by TLS needs [sip.tls]";
            return Err(mistake(text, written.span(), what.to_owned()));
        }
        let sip = Sip {
            tls,
            listen: listen.unwrap_or(defaults.listen),
            advertise: address(text, "sip.advertise", self.advertise)?,
            proxies: proxies?,
            name_servers: name_servers?,
            probe_s: self.probe_s.unwrap_or(defaults.probe_s),
            register,
            realms: realms?,
            users: self.users.into_iter().map(by_user).collect(),
            handsets: self.handsets.into_iter().map(by_user).collect(),
        };
        if sip.listen.ip().is_unspecified() && sip.advertise.is_none() {
            let what = "sip.listen is all addresses, which peers can't be told: add the one they reach as sip.advertise";
            return Err(Mistake {
                line: 0,
                column: 0,
                what: what.to_owned(),
            });
        }
        Ok(sip)
    }
}

fn named(
    text: &str,
    realm: String,
    span: Range<usize>,
    secret: Secret,
) -> Result<(String, Secret), Mistake> {
    if secret.username.is_empty() {
        let what = format!("sip.realms.\"{realm}\": add the username that goes with the password");
        return Err(mistake(text, span, what));
    }
    Ok((realm, secret))
}

fn register(written: Register, domain: &str, alone: bool) -> Result<Register, String> {
    if alone {
        return Err("sip.register: say how the registrar is reached, as sip.proxies".to_owned());
    }
    let mut register = written;
    if register.registrar.is_empty() {
        register.registrar = format!("sip:{domain}");
    }
    if proxy(&register.registrar).is_err() {
        let what = &register.registrar;
        return Err(format!(
            "sip.register.registrar: `{what}` is no URI of a registrar: write it as \"sip:example.com\""
        ));
    }
    if !(60..=86_400).contains(&register.expires_s) {
        return Err("sip.register.expires_s: write 60 to 86400".to_owned());
    }
    let odd = |feature: &&String| {
        let name = feature.split('=').next().unwrap_or("");
        let known = |c: char| c.is_ascii_alphanumeric() || "+-._!%*'~".contains(c);
        name.is_empty() || !name.chars().all(known) || feature.chars().any(char::is_control)
    };
    match register.features.iter().find(odd) {
        Some(feature) => Err(format!(
            "sip.register.features: `{feature}` is no feature tag: write it as \"+g.oma.sip-im\" or \"name=value\""
        )),
        None => Ok(register),
    }
}

/// The first proxy that is reached by TLS.
fn proxies_by_tls(proxies: &[Spanned<String>]) -> Option<&Spanned<String>> {
    let by_tls = |written: &&Spanned<String>| {
        proxy(written.get_ref()).is_ok_and(|proxy| proxy.transport == Some(Transport::Tls))
    };
    proxies.iter().find(by_tls)
}

/// Reads `sip:host:port;transport=tcp`.
fn proxy(text: &str) -> Result<Proxy, String> {
    let wrong = || {
        format!(
            "sip.proxies: `{text}` is no URI of a proxy: write it as \"sip:192.0.2.9:5060;transport=tcp\""
        )
    };
    let (rest, mut transport) = match text.strip_prefix("sips:") {
        Some(rest) => (rest, Some(Transport::Tls)),
        None => (text.strip_prefix("sip:").ok_or_else(wrong)?, None),
    };
    let mut pieces = rest.split(';');
    let place = pieces.next().unwrap_or("");
    for piece in pieces {
        transport = match piece.split_once('=') {
            Some(("transport", "udp")) => Some(Transport::Udp),
            Some(("transport", "tcp")) => Some(Transport::Tcp),
            Some(("transport", "tls")) => Some(Transport::Tls),
            _ if piece == "lr" => transport,
            _ => return Err(wrong()),
        };
    }
    if let Ok(address) = place.parse::<SocketAddr>() {
        return Ok(Proxy {
            host: address.ip().to_string(),
            port: Some(address.port()),
            transport,
        });
    }
    let (host, port) = match place
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inner) => (inner, None),
        None => match place.split_once(':') {
            Some((host, digits)) => (host, Some(digits.parse().map_err(|_| wrong())?)),
            None => (place, None),
        },
    };
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':');
    if host.is_empty() || !host.chars().all(known) || port == Some(0) {
        return Err(wrong());
    }
    Ok(Proxy {
        host: host.to_owned(),
        port,
        transport,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const SMALLEST: &str = "domain = \"example.com\"\n[applications.demo]\n";

    fn read(sip: &str) -> Result<Sip, String> {
        let config = Config::read(&format!("{SMALLEST}{sip}"));
        config
            .map(|config| config.sip)
            .map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn proxies_registrar_and_secrets() {
        let sip = read(
            r#"
            [sip]
            proxies = ["sip:192.0.2.9:5070;transport=tcp", "sip:pcscf.example.com;lr", "sip:[2001:db8::9]"]
            probe_s = 10
            [sip.register]
            features = ["+g.oma.sip-im", "+g.3gpp.icsi-ref=urn%3Aurn-7%3Ax"]
            [sip.realms."ims.example.com"]
            username = "trunk"
            password = "secret"
            [sip.users]
            alice = { password = "wonder" }
            [sip.handsets.bob]
            password = "builder"
            "#,
        )
        .unwrap();
        let hosts: Vec<_> = sip
            .proxies
            .iter()
            .map(|proxy| proxy.host.as_str())
            .collect();
        assert_eq!(hosts, ["192.0.2.9", "pcscf.example.com", "2001:db8::9"]);
        assert_eq!(sip.proxies[0].transport, Some(Transport::Tcp));
        assert_eq!((sip.proxies[1].port, sip.probe_s), (None, 10));
        let register = sip.register.as_ref().unwrap();
        assert_eq!(register.registrar, "sip:example.com");
        assert_eq!((register.expires_s, register.features.len()), (3600, 2));
        assert_eq!(sip.users["alice"].username, "alice");
        assert_eq!(sip.handsets["bob"].username, "bob");
        assert!(!format!("{sip:?}").contains("wonder"));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (sip, said) in [
            (
                "[sip]\nproxies = [\"192.0.2.9\"]\n",
                "4:12: sip.proxies: `192.0.2.9` is no URI",
            ),
            ("[sip]\nproxies = [\"sip:a:x\"]\n", "write it as"),
            (
                "[sip]\nproxies = [\"sip:a;transport=sctp\"]\n",
                "write it as",
            ),
            ("[sip.register]\n", "as sip.proxies"),
            (
                "[sip]\nproxies = [\"sip:a\"]\n[sip.register]\nexpires_s = 5\n",
                "write 60",
            ),
            (
                "[sip]\nproxies = [\"sip:a\"]\n[sip.register]\nregistrar = \"x\"\n",
                "no URI",
            ),
            (
                "[sip]\nproxies = [\"sip:a\"]\n[sip.register]\nfeatures = [\"a b\"]\n",
                "no feature tag",
            ),
            ("[sip.realms.x]\npassword = \"p\"\n", "add the username"),
            (
                "[sip.tls]\nlisten = \"0.0.0.0:5061\"\ncertificate = \"c\"\nkey = \"k\"\nclients = \"required\"\n",
                "7:11: sip.tls.clients",
            ),
            (
                "[sip.tls]\nlisten = \"0.0.0.0:5061\"\ncertificate = \"c\"\nkey = \"k\"\nname = \"sip:x\"\n",
                "7:8: sip.tls.name",
            ),
            (
                "[sip]\nproxies = [\"sips:a\"]\n",
                "4:12: sip.proxies: a proxy that",
            ),
            (
                "[sip]\nname_servers = [\"10.0.0.53\"]\n",
                "4:17: sip.name_servers: write",
            ),
            ("[sip]\nproxy = 1\n", "unknown field `proxy`"),
        ] {
            let what = read(sip).unwrap_err();
            assert!(what.contains(said), "{what}");
        }
    }
}
