//! What [`Sip`](super::Sip) is told at its start.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::account::Secrets;
use super::api::{Millis, SipTransport};
use super::digest::Credentials;
use super::uri::Host;

/// Settings of a [`Sip`](super::Sip).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The domain we are registrar and proxy of, lower case: `localhost`.
    pub domain: String,
    /// Our address as peers are to use it, in Via, Contact and Record-Route; UDP and TCP alike.
    pub advertised: SocketAddr,
    /// The same for TLS; `None`: there is no TLS.
    pub secure: Option<SecurePlace>,
    /// Where requests go that leave our domain; `None`: only to where their URI says.
    pub upstream: Option<Upstream>,
    /// Secrets to meet challenges with.
    pub secrets: Secrets,
    /// Handsets that may register here, by user part; empty: all that come.
    pub handsets: BTreeMap<String, Credentials>,
    /// Bounds of the tables.
    pub limits: Limits,
    /// The timers' bases.
    pub timing: Timing,
}

impl Settings {
    /// Defaults for everything else.
    pub fn new(domain: &str, advertised: SocketAddr) -> Settings {
        Settings {
            domain: domain.to_ascii_lowercase(),
            advertised,
            secure: None,
            upstream: None,
            secrets: Secrets::default(),
            handsets: BTreeMap::new(),
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }
}

/// Where peers reach us by TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurePlace {
    /// Our address as peers are to use it.
    pub address: SocketAddr,
    /// What they are told in the place of its number: a name that our certificate covers.
    pub name: Option<String>,
}

impl Settings {
    /// Where peers of this transport reach us.
    pub(super) fn place(&self, transport: SipTransport) -> (Host, u16) {
        match (transport, &self.secure) {
            (SipTransport::Tls, Some(SecurePlace { address, name })) => {
                let host = name.clone().map_or(Host::Address(address.ip()), Host::Name);
                (host, address.port())
            }
            (SipTransport::Tls, None) | (SipTransport::Udp | SipTransport::Tcp, _) => {
                (Host::Address(self.advertised.ip()), self.advertised.port())
            }
        }
    }

    /// Whether this is one of our places.
    pub(super) fn is_place(&self, host: &Host, port: u16) -> bool {
        [SipTransport::Udp, SipTransport::Tls]
            .into_iter()
            .map(|transport| self.place(transport))
            .any(|(own, own_port)| own.is_same(host) && own_port == port)
            || matches!(host, Host::Address(ip) if self.is_advertised(SocketAddr::new(*ip, port)))
    }

    /// Whether this is one of our addresses.
    pub(super) fn is_advertised(&self, address: SocketAddr) -> bool {
        let secure = self.secure.as_ref().map(|secure| secure.address);
        address == self.advertised || Some(address) == secure
    }
}

/// The network beyond our next hops ([`Sip::set_hops`](super::Sip::set_hops)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// The Request-URI of REGISTER (`sip:example.com`): our users belong to that registrar, and all their
    /// requests go there. `None`, a trunk: the domain is ours, and what is for nobody here goes there.
    pub registrar: Option<String>,
    /// How long a registration is asked for.
    pub expires_s: u32,
    /// Parameters of the registered Contact beside those `sip` writes: feature tags (RFC 3840).
    pub contact_params: Vec<(String, Option<String>)>,
    /// How often each hop is asked whether it is there; 0: never.
    pub probe_ms: Millis,
}

/// How much a [`Sip`](super::Sip) holds at most. Past a bound a request is answered 503.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Transactions of each kind, client and server; each holds one message (up to 64 KiB, usually 2). Over UDP a call
    /// that comes leaves two behind for 32 s: 6000 calls a second have 384 000, about a gigabyte.
    pub transactions: usize,
    /// Dialogs, early and confirmed; about 1 KiB each.
    pub dialogs: usize,
    /// New requests a second from one address that is neither a next hop nor this machine; twice as many at
    /// once. 0: any number.
    pub requests_per_source: u32,
    /// Addresses-of-record with a binding.
    pub users: usize,
    /// Bindings of one address-of-record.
    pub bindings_per_user: usize,
    /// Bytes of one message, start line to the body's end.
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            transactions: 524_288,
            dialogs: 65_536,
            requests_per_source: 200,
            users: 65_536,
            bindings_per_user: 8,
            message_bytes: 65_535,
        }
    }
}

/// RFC 3261's timer bases and our own deadlines.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// Estimate of the round trip.
    pub t1_ms: Millis,
    /// Longest interval between repetitions.
    pub t2_ms: Millis,
    /// How long a message stays in the network.
    pub t4_ms: Millis,
    /// Timer D: how long answers to an INVITE may be repeated over UDP.
    pub d_ms: Millis,
    /// How long an INVITE may ring: a local one, a proxied one (Timer C) or one of ours.
    pub ring_ms: Millis,
    /// How long a session may go on without a refresh (RFC 4028), in seconds; 0: no timer is asked for.
    pub session_s: u32,
    /// Shortest registration; less is answered 423.
    pub expires_s_min: u32,
    /// Longest registration; more is cut down to it.
    pub expires_s_max: u32,
    /// Registration without an asked duration.
    pub expires_s_default: u32,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            t1_ms: 500,
            t2_ms: 4_000,
            t4_ms: 5_000,
            d_ms: 32_000,
            ring_ms: 190_000,
            session_s: 1_800,
            expires_s_min: 60,
            expires_s_max: 7_200,
            expires_s_default: 3_600,
        }
    }
}

impl Timing {
    /// 64·T1, the span after which RFC 3261 gives up (Timers B, F, H, J, L, M).
    pub fn give_up_ms(&self) -> Millis {
        64 * self.t1_ms
    }
}
