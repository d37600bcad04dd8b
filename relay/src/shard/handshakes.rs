//! Who may take up the shard's time with handshakes, which cost as much as hundreds of messages.
//!
//! A flood of them must not be felt by those who talk: per turn a few steps are taken, per second a
//! number of handshakes is begun, in the order in which they came. How many may be half done is
//! bounded, for all and for each source; past that, who connects is turned away at once rather than
//! kept waiting. Pure.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};

use crate::limits::HANDSHAKE_STEPS_PER_TURN;

/// Thousandths of a handshake.
const WHOLE: u64 = 1000;

/// The handshakes of a shard that are not done.
pub struct Handshakes {
    /// Accepted connections and where they came from.
    half_open: Vec<(u32, Option<IpAddr>)>,
    half_open_max: u32,
    per_source_max: u32,
    /// Those that have begun and have a step to take, in the order in which they came.
    going_on: VecDeque<u32>,
    /// Those that have not begun, likewise. What was begun goes first.
    beginning: VecDeque<u32>,
    /// Who is being asked to step, before all others.
    called: Option<u32>,
    steps_left: u32,
    /// Thousandths of handshakes that may be begun now.
    begins: u64,
    per_second: u32,
    filled_at: u64,
}

impl Handshakes {
    /// None; so many may be half done, so many of them of one source, and so many begun per second.
    pub fn new(half_open_max: u32, per_source_max: u32, per_second: u32) -> Handshakes {
        Handshakes {
            half_open: Vec::with_capacity(half_open_max as usize),
            half_open_max,
            per_source_max,
            going_on: VecDeque::with_capacity(half_open_max as usize),
            beginning: VecDeque::with_capacity(half_open_max as usize),
            called: None,
            steps_left: 0,
            begins: WHOLE * u64::from(per_second),
            per_second,
            filled_at: 0,
        }
    }

    /// A new turn: some steps may be taken.
    pub fn turn(&mut self, now: u64) {
        self.steps_left = HANDSHAKE_STEPS_PER_TURN;
        let full = WHOLE * u64::from(self.per_second);
        let fresh = now.saturating_sub(self.filled_at) * u64::from(self.per_second);
        self.begins = (self.begins + fresh).min(full);
        self.filled_at = now;
    }

    /// An accepted connection wants to begin. `false`: there are too many, or too many of its kin.
    pub fn admit(&mut self, slot: u32, source: Option<IpAddr>) -> bool {
        let source = source.map(neighbourhood);
        let kin = self.half_open.iter().filter(|(_, from)| *from == source);
        if self.half_open.len() as u32 >= self.half_open_max
            || kin.count() as u32 >= self.per_source_max
        {
            return false;
        }
        self.half_open.push((slot, source));
        true
    }

    /// The connection's handshake is done, or given up.
    pub fn leave(&mut self, slot: u32) {
        if let Some(place) = self.half_open.iter().position(|(known, _)| *known == slot) {
            self.half_open.swap_remove(place);
        }
        self.leave_line(slot);
    }

    /// The connection waits no more.
    pub fn leave_line(&mut self, slot: u32) {
        self.going_on.retain(|waiting| *waiting != slot);
        self.beginning.retain(|waiting| *waiting != slot);
    }

    /// Whether the connection may take a step now; if not, it is remembered as the last in line.
    /// `begins`: it is the first step of a handshake that counts.
    pub fn may_step(&mut self, slot: u32, begins: bool) -> bool {
        let is_next = self.going_on.is_empty() && (!begins || self.beginning.is_empty());
        if (is_next || self.called == Some(slot)) && self.may(begins) {
            self.called = None;
            self.steps_left -= 1;
            self.begins -= if begins { WHOLE } else { 0 };
            return true;
        }
        let line = if begins {
            &mut self.beginning
        } else {
            &mut self.going_on
        };
        if !line.contains(&slot) {
            line.push_back(slot);
        }
        false
    }

    fn may(&self, begins: bool) -> bool {
        self.steps_left > 0 && (!begins || self.begins >= WHOLE)
    }

    /// Calls up who is next in line, if it may step. It has left the line, and is to ask again.
    pub fn call(&mut self) -> Option<u32> {
        self.called = if self.may(false) && !self.going_on.is_empty() {
            self.going_on.pop_front()
        } else if self.may(true) {
            self.beginning.pop_front()
        } else {
            None
        };
        self.called
    }

    /// When there is something to do again, if nothing else happens.
    pub fn deadline(&self) -> Option<u64> {
        let missing = match (self.going_on.front(), self.beginning.front()) {
            (Some(_), _) => 0,
            (None, Some(_)) => WHOLE.saturating_sub(self.begins),
            (None, None) => return None,
        };
        Some(self.filled_at + missing.div_ceil(u64::from(self.per_second.max(1))))
    }

    /// Handshakes of accepted connections that are not done.
    pub fn half_open(&self) -> u32 {
        self.half_open.len() as u32
    }
}

/// What counts as one source: an IPv4 address, or the network that an IPv6 host chooses addresses in.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            Ipv6Addr::from(network).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn steps_are_taken_in_the_order_in_which_they_were_asked_for() {
        let mut handshakes = Handshakes::new(64, 16, 1000);
        handshakes.turn(1);
        for slot in 0..HANDSHAKE_STEPS_PER_TURN {
            assert!(handshakes.may_step(slot, true));
        }
        for slot in [70, 71, 70, 72] {
            assert!(!handshakes.may_step(slot, true));
        }
        assert_eq!(handshakes.call(), None, "not in this turn");
        assert_eq!(handshakes.deadline(), Some(1), "but in the next, at once");
        handshakes.turn(1);
        assert!(!handshakes.may_step(99, true), "who comes later waits");
        let mut order = Vec::new();
        while let Some(slot) = handshakes.call() {
            assert!(handshakes.may_step(slot, true));
            order.push(slot);
        }
        assert_eq!(order[..], [70, 71, 72, 99][..order.len()]);
    }

    #[test]
    fn so_many_are_begun_in_a_second_and_what_was_begun_is_finished() {
        let mut handshakes = Handshakes::new(1 << 20, 64, 10);
        let mut begun = 0;
        for now in 0..3000 {
            handshakes.turn(now);
            begun += u32::from(handshakes.may_step(now as u32, true));
            while let Some(slot) = handshakes.call() {
                assert!(handshakes.may_step(slot, true));
                begun += 1;
            }
        }
        assert!(
            (39..=41).contains(&begun),
            "ten at once, then ten a second: {begun}"
        );
        assert!(
            handshakes
                .deadline()
                .is_some_and(|due| due > 2999 && due <= 3100)
        );
    }

    #[test]
    fn what_has_begun_does_not_wait_for_what_may_not_begin() {
        let mut handshakes = Handshakes::new(64, 16, 1);
        handshakes.turn(0);
        assert!(handshakes.may_step(1, true));
        assert!(!handshakes.may_step(2, true), "one a second");
        assert!(handshakes.may_step(1, false));
        handshakes.turn(0);
        assert!(handshakes.may_step(1, false) && handshakes.call().is_none());
        assert_eq!(handshakes.deadline(), Some(1000));
    }

    #[test]
    fn no_source_may_have_more_than_its_share_half_done() {
        let mut handshakes = Handshakes::new(16, 4, 1000);
        let share = 4;
        for slot in 0..share {
            assert!(handshakes.admit(slot, source(1)));
        }
        assert!(!handshakes.admit(50, source(1)));
        for slot in share..16 {
            assert!(handshakes.admit(slot, source(slot as u8)));
        }
        assert!(!handshakes.admit(51, source(200)), "there are sixteen");
        handshakes.leave(0);
        assert!(handshakes.admit(0, source(1)));
        assert_eq!(handshakes.half_open(), 16);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let address = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(address("2001:db8:1:2::3"), address("2001:db8:1:2:ffff::"));
        assert_ne!(address("2001:db8:1:2::3"), address("2001:db8:1:3::3"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }
}
