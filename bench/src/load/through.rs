//! Sessions through a forwarder, which nobody has told of them.
//!
//! One that knows no MSRP makes a connection to the generator for each that the generator makes to
//! it. The messages are as long as they are on the way through a relay that rewrites paths: one
//! leg's own URI is as long as a relay's is, so that as many octets travel on both sides.
//!
//! A relay by RFC 4976 takes connections of both legs. A message names the relay and then the other
//! leg, whose URI holds the address that its connection comes from: by that the relay finds it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;

use link::Transport;

use super::plan::{LegPlan, Plan};
use super::process::Front;

/// Octets of a URI of Causeway's relay on this machine: `msrp://127.0.0.1:20000/`, a token of 27,
/// `;tcp`.
const RELAY_URI_BYTES: usize = 54;

/// Where a thread and the forwarder find each other: the thread says where it listens, then the
/// forwarder is started, then its front is said.
#[derive(Default)]
pub struct Meeting {
    back: OnceLock<SocketAddr>,
    front: OnceLock<Front>,
}

impl Meeting {
    /// The thread listens there.
    pub fn offer_back(&self, back: SocketAddr) {
        // There is one thread to each meeting, and it says it once.
        let _ = self.back.set(back);
    }

    /// The forwarder's front and the thread's address, once both are known.
    pub fn both(&self) -> Option<(Front, SocketAddr)> {
        Some((*self.front.get()?, *self.back.get()?))
    }

    /// Where the thread listens, once it does.
    pub fn back(&self) -> Option<SocketAddr> {
        self.back.get().copied()
    }

    /// The forwarder listens there.
    pub fn offer_front(&self, front: Front) {
        // As above.
        let _ = self.front.set(front);
    }
}

/// Session number `index` through a forwarder that knows no MSRP: each leg speaks to the other, by
/// its own URI.
pub fn plan(index: u32, transport: Transport, front: SocketAddr, back: SocketAddr) -> Plan {
    let a = format!("msrp://127.0.0.1:2855/load{index:08}0;tcp");
    let fixed = format!("msrp://127.0.0.1:2855/load{index:08}1;tcp").len();
    let filling = "x".repeat(RELAY_URI_BYTES.saturating_sub(fixed));
    let b = format!("msrp://127.0.0.1:2855/load{filling}{index:08}1;tcp");
    let leg = |transport, address, own: &String, other: &String| LegPlan {
        transport,
        address,
        source: None,
        resource: String::new(),
        to_path: other.clone(),
        relay_uri: other.clone(),
        own_uri: own.clone(),
    };
    let legs = [
        leg(transport, front, &a, &b),
        leg(Transport::Tcp, back, &b, &a),
    ];
    Plan { index, legs }
}

/// Session number `index` through a relay by RFC 4976 that listens at `fronts`; the legs' own
/// connections come from `own`.
pub fn plan_by_paths(
    index: u32,
    transports: [Transport; 2],
    fronts: [SocketAddr; 2],
    own: [SocketAddr; 2],
) -> Plan {
    let scheme = |leg: usize| match transports[leg] {
        Transport::Tls | Transport::Wss => "msrps",
        Transport::Tcp | Transport::Ws => "msrp",
    };
    let uri = |leg: usize| format!("{}://{}/load{index:08}{leg};tcp", scheme(leg), own[leg]);
    let relay = |leg: usize| format!("{}://{}/relay;tcp", scheme(leg), fronts[leg]);
    let leg = |leg: usize| LegPlan {
        transport: transports[leg],
        address: fronts[leg],
        // Two connections to different addresses may come from the same port of one address.
        source: (leg == 1).then_some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))),
        resource: "/".to_owned(),
        to_path: format!("{} {}", relay(leg), uri(1 - leg)),
        relay_uri: format!("{} {}", relay(1 - leg), uri(1 - leg)),
        own_uri: uri(leg),
    };
    let legs = [leg(0), leg(1)];
    Plan { index, legs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_speak_to_each_other_in_uris_as_long_as_with_a_relay() {
        let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let [a, b] = plan(17, Transport::Tcp, address, address).legs;
        assert_eq!((&a.own_uri, &a.relay_uri), (&b.relay_uri, &b.own_uri));
        assert_eq!((a.own_uri.len(), b.own_uri.len()), (39, RELAY_URI_BYTES));
        let others = plan(18, Transport::Tcp, address, address).legs;
        assert!(
            others
                .iter()
                .all(|leg| leg.own_uri != a.own_uri && leg.own_uri != b.own_uri)
        );
    }

    #[test]
    fn a_leg_names_the_relay_and_then_where_the_other_leg_comes_from() {
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let transports = [Transport::Wss, Transport::Tcp];
        let fronts = [address(1), address(2)];
        let [a, b] = plan_by_paths(17, transports, fronts, [address(3), address(4)]).legs;
        assert_eq!(a.own_uri, "msrps://127.0.0.1:3/load000000170;tcp");
        assert_eq!(
            a.to_path,
            "msrps://127.0.0.1:1/relay;tcp msrp://127.0.0.1:4/load000000171;tcp"
        );
        assert!(b.relay_uri.ends_with(&a.own_uri));
        assert_eq!((a.address, b.address), (address(1), address(2)));
        assert_ne!(
            a.source, b.source,
            "a port may be in use twice, an address is not"
        );
    }
}
