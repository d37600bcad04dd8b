//! Finding next hops by name: NAPTR, SRV, A and AAAA. RFC 3263, 4; RFC 2782.
//!
//! A number is taken at its word; a port leads straight to addresses; else the records of the name say which
//! transports and ports its servers have, in which order they are to be asked (`Hop::rank`), and how much each
//! can bear (`Hop::weight`). What was found is asked for again when the first answer has run out; if nothing
//! is found then, what was known stays.
//!
//! The resolver asks, keeps answers as long as they are good, and reads the hosts file. What follows from
//! answers is pure.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::sync::mpsc;

use super::inputs::Input;
use crate::config::{Proxy, Transport};
use crate::sip::{Flow, Hop, SipTransport};

/// The shortest time between two look-ups of what was found.
const AGAIN_MIN: Duration = Duration::from_secs(5);
/// The longest.
const AGAIN_MAX: Duration = Duration::from_secs(3600);
/// Between two look-ups while nothing is found.
const RETRY: Duration = Duration::from_secs(5);
/// One question and its repetition may take so long each.
const QUESTION: Duration = Duration::from_secs(2);
/// Servers, addresses or ways behind one name; more are left out.
const RECORDS_MAX: usize = 32;

/// The transports we speak, in the order in which they are looked for: service of NAPTR, prefix of SRV.
const SERVICES: [(&str, &str, SipTransport); 3] = [
    ("SIP+D2U", "_sip._udp", SipTransport::Udp),
    ("SIP+D2T", "_sip._tcp", SipTransport::Tcp),
    ("SIPS+D2T", "_sips._tcp", SipTransport::Tls),
];

/// Finds the hops of the configured proxies.
pub struct Locator {
    resolver: Option<TokioResolver>,
    proxies: Vec<Proxy>,
    /// What our own sockets can reach.
    speaks: Speaks,
}

/// What our own sockets can reach.
#[derive(Clone, Copy, Debug)]
pub struct Speaks {
    /// TLS.
    pub tls: bool,
    /// IPv4, else IPv6.
    pub ipv4: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Best first.
    pub hops: Vec<Hop>,
    /// When the first of the answers runs out; `None`: there was nothing to ask.
    until: Option<Instant>,
    rank: u32,
}

impl Locator {
    /// One that asks these name servers, or those that this machine asks if there are none.
    ///
    /// # Errors
    /// The machine's settings of its resolver can't be read.
    pub fn new(
        proxies: &[Proxy],
        name_servers: &[SocketAddr],
        speaks: Speaks,
    ) -> Result<Locator, String> {
        let is_name = |proxy: &Proxy| proxy.host.parse::<IpAddr>().is_err();
        let resolver = match proxies.iter().any(is_name) {
            true => Some(resolver(name_servers, speaks).map_err(|error| error.to_string())?),
            false => None,
        };
        Ok(Locator {
            resolver,
            proxies: proxies.to_vec(),
            speaks,
        })
    }

    /// The hops of all proxies, in their order.
    pub async fn find(&self) -> Found {
        let mut found = Found::default();
        for proxy in &self.proxies {
            self.find_proxy(proxy, &mut found).await;
        }
        found
    }

    /// Finds them again and again, and tells when they have changed.
    pub async fn watch(self, mut known: Found, inputs: mpsc::Sender<Input>) {
        loop {
            let wait = match known.until {
                None => return std::future::pending().await,
                Some(_) if known.hops.is_empty() => RETRY,
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    left.clamp(AGAIN_MIN, AGAIN_MAX)
                }
            };
            tokio::time::sleep(wait).await;
            if let Some(hops) = self.find_again(&mut known).await
                && inputs.send(Input::Hops(hops)).await.is_err()
            {
                return;
            }
        }
    }

    /// Looks once more. The hops, if they have changed; if none are found any more, those known stay.
    async fn find_again(&self, known: &mut Found) -> Option<Vec<Hop>> {
        let found = self.find().await;
        if found.hops.is_empty() {
            tracing::warn!("sip.proxies: no address is found; what was known stays");
            known.until = found.until;
            return None;
        }
        let changed = found.hops != known.hops;
        *known = found;
        changed.then(|| known.hops.clone())
    }

    async fn find_proxy(&self, proxy: &Proxy, found: &mut Found) {
        let asked = proxy.transport.map(|transport| match transport {
            Transport::Udp => SipTransport::Udp,
            Transport::Tcp => SipTransport::Tcp,
            Transport::Tls => SipTransport::Tls,
        });
        let plain = asked.unwrap_or(SipTransport::Udp);
        let usual = if plain == SipTransport::Tls {
            5061
        } else {
            5060
        };
        let place = |host: &str| Place {
            name: proxy.host.clone(),
            host: host.to_owned(),
            port: proxy.port.unwrap_or(usual),
            transport: plain,
            weight: 0,
        };
        if let Ok(ip) = proxy.host.parse::<IpAddr>() {
            found.rank += 1;
            return found.add(&place(&proxy.host), [ip]);
        }
        if proxy.port.is_none() && self.by_records(&proxy.host, asked, found).await {
            return;
        }
        found.rank += 1;
        self.addresses(&place(&proxy.host), found).await;
    }

    /// RFC 3263, 4.1 and 4.2. Whether there were records.
    async fn by_records(&self, name: &str, asked: Option<SipTransport>, found: &mut Found) -> bool {
        let records = match asked {
            None => {
                self.ask(&format!("{name}."), RecordType::NAPTR, found)
                    .await
            }
            Some(_) => Vec::new(),
        };
        let naptr = records.iter().filter_map(|data| match data {
            RData::NAPTR(naptr) => Some(naptr),
            _ => None,
        });
        let ways = ways(name, naptr, asked, self.speaks);
        let mut some = false;
        for (service, transport) in ways {
            let records = self.ask(&service, RecordType::SRV, found).await;
            let srv = records.iter().filter_map(|data| match data {
                RData::SRV(srv) => Some(srv),
                _ => None,
            });
            for (starts, place) in places(name, transport, srv) {
                some = true;
                found.rank += u32::from(starts);
                self.addresses(&place, found).await;
            }
        }
        some
    }

    /// Adds the addresses of a host.
    async fn addresses(&self, place: &Place, found: &mut Found) {
        let Some(resolver) = &self.resolver else {
            return;
        };
        match resolver.lookup_ip(place.host.as_str()).await {
            Ok(answer) => {
                found.is_good_until(answer.valid_until());
                found.add(place, answer.iter());
            }
            Err(error) => {
                found.is_good_until(Instant::now());
                tracing::warn!("sip.proxies: {}: {error}", place.host);
            }
        }
    }

    /// The records of this type; none if there is no such name.
    async fn ask(&self, name: &str, kind: RecordType, found: &mut Found) -> Vec<RData> {
        let Some(resolver) = &self.resolver else {
            return Vec::new();
        };
        match resolver.lookup(name, kind).await {
            Ok(answer) => {
                found.is_good_until(answer.valid_until());
                let records = answer.answers().iter().take(RECORDS_MAX);
                records.map(|record| record.data.clone()).collect()
            }
            Err(error) => {
                if !error.is_no_records_found() {
                    found.is_good_until(Instant::now());
                    tracing::warn!("sip.proxies: {name}: {error}");
                }
                Vec::new()
            }
        }
    }
}

impl Found {
    fn is_good_until(&mut self, until: Instant) {
        self.until = Some(self.until.map_or(until, |known| known.min(until)));
    }

    /// Adds what is at these addresses, unless it is known.
    fn add(&mut self, place: &Place, addresses: impl IntoIterator<Item = IpAddr>) {
        for ip in addresses.into_iter().take(RECORDS_MAX) {
            let flow = Flow {
                transport: place.transport,
                peer: SocketAddr::new(ip, place.port),
                connection: None,
            };
            if !self.hops.iter().any(|hop| hop.flow == flow) {
                self.hops.push(Hop {
                    flow,
                    name: place.name.clone(),
                    rank: self.rank,
                    weight: place.weight,
                });
            }
        }
    }
}

/// Somewhere to ask for addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// The name that was looked for: the one that a certificate has to be for (RFC 5922, 7.1).
    name: String,
    host: String,
    port: u16,
    transport: SipTransport,
    weight: u16,
}

/// Where SRV records are to be asked for, best first. RFC 3263, 4.1.
fn ways<'a>(
    name: &str,
    records: impl Iterator<Item = &'a NAPTR>,
    asked: Option<SipTransport>,
    speaks: Speaks,
) -> Vec<(String, SipTransport)> {
    let spoken = |transport: SipTransport| match asked {
        Some(asked) => asked == transport,
        None => speaks.tls || transport != SipTransport::Tls,
    };
    let mut ways: Vec<((u16, u16), String, SipTransport)> = records
        .filter(|record| record.flags.eq_ignore_ascii_case(b"s"))
        .filter_map(|record| {
            let same = |service: &str| record.services.eq_ignore_ascii_case(service.as_bytes());
            let (.., transport) = SERVICES.iter().find(|(service, ..)| same(service))?;
            let place = (record.order, record.preference);
            spoken(*transport).then(|| (place, record.replacement.to_string(), *transport))
        })
        .collect();
    ways.sort();
    // RFC 3403, 4.1: once one of an order can be used, those of another are not to be.
    if let Some(((first, _), ..)) = ways.first() {
        let first = *first;
        ways.retain(|((order, _), ..)| *order == first);
        return ways
            .into_iter()
            .map(|(_, way, transport)| (way, transport))
            .collect();
    }
    SERVICES
        .iter()
        .filter(|(.., transport)| spoken(*transport))
        .map(|(_, prefix, transport)| (format!("{prefix}.{name}."), *transport))
        .collect()
}

/// The servers of SRV records by their priority; `true` where one of another priority begins. RFC 2782.
fn places<'a>(
    name: &str,
    transport: SipTransport,
    records: impl Iterator<Item = &'a SRV>,
) -> Vec<(bool, Place)> {
    let mut servers: Vec<&SRV> = records.filter(|srv| !srv.target.is_root()).collect();
    servers.sort_by_key(|srv| srv.priority);
    let mut last = None;
    let place = |srv: &SRV| {
        let starts = last.replace(srv.priority) != Some(srv.priority);
        let place = Place {
            name: name.to_owned(),
            host: srv.target.to_string(),
            port: srv.port,
            transport,
            weight: srv.weight,
        };
        (starts, place)
    };
    servers.into_iter().map(place).collect()
}

fn resolver(
    name_servers: &[SocketAddr],
    speaks: Speaks,
) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut builder = match name_servers {
        [] => TokioResolver::builder_tokio()?,
        some => {
            let server = |address: &SocketAddr| {
                let at_port = |mut connection: ConnectionConfig| {
                    connection.port = address.port();
                    connection
                };
                let both = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(at_port);
                NameServerConfig::new(address.ip(), true, both.to_vec())
            };
            let servers = some.iter().map(server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.timeout = QUESTION;
    options.ip_strategy = match speaks.ipv4 {
        true => LookupIpStrategy::Ipv4Only,
        false => LookupIpStrategy::Ipv6Only,
    };
    builder.build()
}

#[cfg(test)]
mod tests;
