//! Realms: the networks that legs live in, each with addresses of its own.
//!
//! Control names a leg's realm when it makes the leg. It says where the leg is listened for, by which
//! name peers are told to come, and from which address we connect when it is we who do.

use std::net::{IpAddr, SocketAddr};

use super::Shard;
use crate::ring::Ring;

/// One network that this relay is in.
#[derive(Clone, Debug)]
pub struct Realm {
    /// What control calls it.
    pub name: String,
    /// Where its listeners are opened, all on the same port; one address at least.
    pub addresses: Vec<IpAddr>,
    /// Where connections of ours leave from, in turns. Empty: from whichever of the addresses
    /// reaches the peer.
    pub sources: Vec<IpAddr>,
    /// How peers reach it: name or address, as it stands in a URI (IPv6 in brackets).
    pub host: String,
    /// The same for peers that come by TLS: a name that a certificate covers. `None`: nobody comes by
    /// TLS.
    pub public_host: Option<String>,
    /// Origins of the pages that may open WebSockets here, as browsers write them. Empty: any. Who names
    /// none is no page.
    pub origins: Vec<String>,
    /// Each leg gets a port of its own, rather than sharing one with its kind.
    pub ports_exclusive: bool,
}

impl Realm {
    /// A realm of one address, by which peers reach it.
    pub fn of(name: &str, address: IpAddr) -> Realm {
        let host = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        Realm {
            name: name.into(),
            addresses: vec![address],
            sources: Vec::new(),
            public_host: Some(host.clone()),
            host,
            origins: Vec::new(),
            ports_exclusive: false,
        }
    }

    /// Whether a page of this origin may open a WebSocket. RFC 6455, 10.2.
    pub(super) fn allows(&self, origin: Option<&[u8]>) -> bool {
        let is_listed = |origin: &[u8]| {
            let mut origins = self.origins.iter();
            origins.any(|listed| listed.as_bytes().eq_ignore_ascii_case(origin))
        };
        self.origins.is_empty() || origin.is_none_or(is_listed)
    }
}

/// The realm that control means: without a name the first, which the configuration puts there.
pub(super) fn find(realms: &[Realm], name: &str) -> Option<u32> {
    if name.is_empty() && !realms.is_empty() {
        return Some(0);
    }
    let found = realms.iter().position(|realm| realm.name == name);
    found.map(|place| place as u32)
}

impl<R: Ring> Shard<R> {
    /// Which address of ours a connection to `peer` leaves from; port 0 is any. `None`: the realm has
    /// no address of the peer's family.
    pub(super) fn source_toward(&mut self, realm: u32, peer: IpAddr) -> Option<IpAddr> {
        let realm = &self.settings.realms[realm as usize];
        let pool = if realm.sources.is_empty() {
            &realm.addresses
        } else {
            &realm.sources
        };
        let is_alike = |address: &&IpAddr| address.is_ipv4() == peer.is_ipv4();
        let alike = pool.iter().filter(is_alike).count();
        if alike < 2 {
            return pool.iter().find(is_alike).copied();
        }
        if realm.sources.is_empty() {
            let routed = self.ring.source_toward(SocketAddr::new(peer, 9));
            let of_realm = routed.filter(|address| pool.contains(address));
            return of_realm.or_else(|| pool.iter().find(is_alike).copied());
        }
        let place = self.sources_used as usize % alike;
        self.sources_used = self.sources_used.wrapping_add(1);
        pool.iter().filter(is_alike).nth(place).copied()
    }
}
