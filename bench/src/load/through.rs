//! Sessions through a forwarder: a relay that knows no MSRP, and makes a connection to the
//! generator for each that the generator makes to it.
//!
//! The messages are as long as they are on the way through a relay that rewrites paths: to one
//! leg's own URI is as long as a relay's is, so that as many octets travel on both sides.

use std::net::SocketAddr;
use std::sync::OnceLock;

use link::Transport;

use super::stub::{LegPlan, Plan};

/// Octets of a URI of Causeway's relay on this machine: `msrp://127.0.0.1:20000/`, a token of 27,
/// `;tcp`.
const RELAY_URI_BYTES: usize = 54;

/// Where a thread and the forwarder find each other: the thread says where it listens, then the
/// forwarder is started, then its front is said.
#[derive(Default)]
pub struct Meeting {
    back: OnceLock<SocketAddr>,
    front: OnceLock<SocketAddr>,
}

impl Meeting {
    /// The thread listens there. Gives where the forwarder's address will be.
    pub fn offer_back(&self, back: SocketAddr) -> &OnceLock<SocketAddr> {
        // There is one thread to each meeting, and it says it once.
        let _ = self.back.set(back);
        &self.front
    }

    /// Where the thread listens, once it does.
    pub fn back(&self) -> Option<SocketAddr> {
        self.back.get().copied()
    }

    /// The forwarder listens there.
    pub fn offer_front(&self, front: SocketAddr) {
        // As above.
        let _ = self.front.set(front);
    }
}

/// Session number `index`: each leg speaks to the other, by its own URI.
pub fn plan(index: u32, front: SocketAddr, back: SocketAddr) -> Plan {
    let a = format!("msrp://127.0.0.1:2855/load{index:08}0;tcp");
    let fixed = format!("msrp://127.0.0.1:2855/load{index:08}1;tcp").len();
    let filling = "x".repeat(RELAY_URI_BYTES.saturating_sub(fixed));
    let b = format!("msrp://127.0.0.1:2855/load{filling}{index:08}1;tcp");
    let leg = |address, own: &String, other: &String| LegPlan {
        transport: Transport::Tcp,
        address,
        resource: String::new(),
        relay_uri: other.clone(),
        own_uri: own.clone(),
    };
    let legs = [leg(front, &a, &b), leg(back, &b, &a)];
    Plan { index, legs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_speak_to_each_other_in_uris_as_long_as_with_a_relay() {
        let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let [a, b] = plan(17, address, address).legs;
        assert_eq!((&a.own_uri, &a.relay_uri), (&b.relay_uri, &b.own_uri));
        assert_eq!((a.own_uri.len(), b.own_uri.len()), (39, RELAY_URI_BYTES));
        let others = plan(18, address, address).legs;
        assert!(
            others
                .iter()
                .all(|leg| leg.own_uri != a.own_uri && leg.own_uri != b.own_uri)
        );
    }
}
