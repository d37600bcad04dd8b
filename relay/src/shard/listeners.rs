//! Listening sockets, and the shard's slice of the ports.
//!
//! All waiting legs of one realm, kind and user timeout share a listener, which opens with the first and closes
//! with the last. In a realm of exclusive ports each has a port of its own, as in the patent; it rests
//! when the leg has done with it, so that what is still on its way to the leg does not meet the next.
//! A realm with several addresses has a listener at each, on the same port.

use std::collections::VecDeque;

use crate::limits::PORT_RESTS_FOR;

/// What a listener waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Browsers: an upgrade request comes first.
    WebSocket,
    /// MSRP endpoints: a request comes first.
    Tcp,
    /// Browsers, by TLS.
    SecureWebSocket,
    /// MSRP endpoints, by TLS.
    Tls,
}

/// How many kinds there are.
pub const KINDS: u32 = 4;

/// Whom a listener waits for. Legs that agree in all of it may share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whom {
    /// The realm at one of whose addresses it listens.
    pub realm: u32,
    /// Peers of which kind.
    pub kind: Kind,
    /// The user timeout of their connections, which have it from the listener; 0: the usual one.
    pub user_timeout_ms: u32,
}

/// One listening socket.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// Whom it waits for.
    pub whom: Whom,
    /// Where.
    pub port: u16,
    /// Legs that wait here. Of listeners that belong together, the first counts them.
    pub legs: u32,
    /// The connection slot of the accept under way.
    pub accepting: Option<u32>,
    /// The last leg is gone; the accept is being ended.
    pub closing: bool,
    /// Its port is free when it is closed.
    pub owns_port: bool,
    /// The next of those that belong together: same port, another address of the realm.
    beside: Option<u32>,
}

/// All listeners of a shard.
pub struct Listeners {
    slots: Vec<Option<Listener>>,
    free: Vec<u32>,
    /// Least recently used first.
    ports: VecDeque<u16>,
    /// Ports that had a leg to themselves, and from when on another may get them; in that order.
    resting: VecDeque<(u16, u64)>,
    /// Ports of the last shared listeners, for the next ones for the same: whoever has a connection to
    /// such a port may use that again.
    kept: Vec<(Whom, u16)>,
    used: u32,
    used_max: u32,
}

impl Listeners {
    /// Listeners on these ports, of which there may be `capacity`.
    pub fn new(ports: &[u16], capacity: u32) -> Listeners {
        Listeners {
            slots: Vec::with_capacity(capacity as usize),
            free: Vec::with_capacity(capacity as usize),
            ports: ports.iter().copied().collect(),
            resting: VecDeque::with_capacity(ports.len()),
            kept: Vec::with_capacity(ports.len()),
            used: 0,
            used_max: 0,
        }
    }

    /// How many listeners there may be.
    pub fn capacity(&self) -> u32 {
        self.slots.capacity() as u32
    }

    /// Open listeners, those that are closing included.
    pub fn len(&self) -> u32 {
        self.slots.len() as u32 - self.free.len() as u32
    }

    /// Ports in use; one that rests is not.
    pub fn ports_used(&self) -> u32 {
        self.used
    }

    /// Most ports ever in use at once.
    pub fn ports_used_max(&self) -> u32 {
        self.used_max
    }

    /// An open listener that waits for these, to be shared.
    pub fn shared(&self, whom: Whom) -> Option<u32> {
        let is_it =
            |listener: &Listener| listener.whom == whom && listener.legs > 0 && !listener.closing;
        let found = self
            .slots
            .iter()
            .position(|slot| slot.as_ref().is_some_and(is_it));
        found.map(|place| place as u32)
    }

    /// Takes the port that has been unused for longest. `None`: all are in use, or rest.
    pub fn take_port(&mut self, now: u64) -> Option<u16> {
        while let Some(&(port, until)) = self.resting.front()
            && until <= now
        {
            self.resting.pop_front();
            self.ports.push_back(port);
        }
        let unused = self.ports.pop_front();
        let port = unused.or_else(|| self.kept.pop().map(|(_, port)| port))?;
        Some(self.use_port(port))
    }

    /// Takes the port that shared listeners for these have. `None`: they have none yet.
    pub fn take_shared_port(&mut self, whom: Whom) -> Option<u16> {
        let place = self.kept.iter().position(|(of, _)| *of == whom)?;
        let (_, port) = self.kept.swap_remove(place);
        Some(self.use_port(port))
    }

    fn use_port(&mut self, port: u16) -> u16 {
        self.used += 1;
        self.used_max = self.used_max.max(self.used);
        port
    }

    /// Gives the port of a shared listener back, for the next one for the same.
    pub fn give_shared_port(&mut self, whom: Whom, port: u16) {
        if self.kept.iter().any(|(of, _)| *of == whom) {
            return self.give_port(port);
        }
        self.used -= 1;
        self.kept.push((whom, port));
    }

    /// Gives a port back, to be used again.
    pub fn give_port(&mut self, port: u16) {
        self.used -= 1;
        self.ports.push_back(port);
    }

    /// Gives a port back that has to rest.
    pub fn rest_port(&mut self, port: u16, now: u64) {
        self.used -= 1;
        let until = now + PORT_RESTS_FOR.as_millis() as u64;
        self.resting.push_back((port, until));
    }

    /// Has a listener's port outlive it; the caller gives it back.
    pub fn keep_port(&mut self, number: u32) -> Option<u16> {
        let listener = self.get_mut(number)?;
        listener.owns_port = false;
        Some(listener.port)
    }

    /// The number that the next listener will have.
    pub fn next(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.slots.len() as u32)
    }

    /// Takes over a listener under the number that [`Listeners::next`] told. It leads those that
    /// belong together, of which `beside` did so far; the port is for it to give back.
    pub fn insert(&mut self, whom: Whom, port: u16, beside: Option<u32>) -> u32 {
        if let Some(former) = beside.and_then(|number| self.get_mut(number)) {
            former.owns_port = false;
        }
        let listener = Listener {
            whom,
            port,
            legs: 0,
            accepting: None,
            closing: false,
            owns_port: true,
            beside,
        };
        match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = Some(listener);
                number
            }
            None => {
                self.slots.push(Some(listener));
                self.slots.len() as u32 - 1
            }
        }
    }

    /// A listener by its number.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Listener> {
        self.slots.get_mut(number as usize)?.as_mut()
    }

    /// The next of the listeners that belong together.
    pub fn beside(&self, number: u32) -> Option<u32> {
        self.slots.get(number as usize)?.as_ref()?.beside
    }

    /// Forgets a closed listener, and says what it was. Its port is the caller's.
    pub fn forget(&mut self, number: u32) -> Option<Listener> {
        let listener = self.slots.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_used_again_when_all_others_were() {
        let mut listeners = Listeners::new(&[20000, 20001, 20002], 3);
        let port = listeners.take_port(0).unwrap();
        let whom = Whom {
            realm: 0,
            kind: Kind::Tcp,
            user_timeout_ms: 0,
        };
        let number = listeners.insert(whom, port, None);
        listeners.get_mut(number).unwrap().legs = 1;
        assert_eq!(
            (port, listeners.ports_used(), listeners.len()),
            (20000, 1, 1)
        );
        assert_eq!(listeners.shared(whom), Some(number));
        for other in [
            Whom {
                kind: Kind::WebSocket,
                ..whom
            },
            Whom { realm: 1, ..whom },
            Whom {
                user_timeout_ms: 1,
                ..whom
            },
        ] {
            assert_eq!(listeners.shared(other), None);
        }
        listeners.forget(number);
        listeners.give_port(port);
        assert_eq!(listeners.take_port(0), Some(20001));
        assert_eq!(listeners.take_port(0), Some(20002));
        assert_eq!(listeners.take_port(0), Some(20000));
        assert_eq!(listeners.take_port(0), None);
        assert_eq!(listeners.ports_used_max(), 3);
    }

    #[test]
    fn shared_listeners_of_a_kind_keep_their_port_while_there_are_others() {
        const TCP: Whom = Whom {
            realm: 0,
            kind: Kind::Tcp,
            user_timeout_ms: 0,
        };
        const TLS: Whom = Whom {
            kind: Kind::Tls,
            ..TCP
        };
        let mut listeners = Listeners::new(&[20000, 20001], 2);
        let port = listeners.take_port(0).unwrap();
        listeners.give_shared_port(TCP, port);
        assert_eq!(listeners.ports_used(), 0);
        assert_eq!(listeners.take_shared_port(TLS), None);
        assert_eq!(listeners.take_port(0), Some(20001));
        assert_eq!(listeners.take_shared_port(TCP), Some(20000));
        listeners.give_shared_port(TCP, 20000);
        assert_eq!(listeners.take_port(0), Some(20000), "the last there is");
        assert_eq!((listeners.take_port(0), listeners.ports_used()), (None, 2));
        listeners.give_shared_port(TCP, 20000);
        listeners.give_shared_port(TCP, 20001);
        assert_eq!(listeners.ports_used(), 0);
        let both = [listeners.take_port(0), listeners.take_port(0)];
        assert_eq!(both, [Some(20001), Some(20000)]);
    }

    #[test]
    fn a_port_that_a_leg_had_for_itself_rests_before_another_gets_it() {
        let mut listeners = Listeners::new(&[20000], 1);
        let port = listeners.take_port(0).unwrap();
        listeners.rest_port(port, 5);
        assert_eq!(listeners.ports_used(), 0);
        assert_eq!(listeners.take_port(60_004), None);
        assert_eq!(listeners.take_port(60_005), Some(20000));
    }
}
