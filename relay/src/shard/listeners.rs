//! Listening sockets, and the shard's slice of the ports.
//!
//! With `ports = "shared"` all waiting legs of one kind share a listener, which opens with the
//! first and closes with the last; with `ports = "exclusive"` each has a port of its own, as in
//! the patent.

use std::collections::VecDeque;

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

/// One listening socket.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// Whom it waits for.
    pub kind: Kind,
    /// Where.
    pub port: u16,
    /// Legs that wait here.
    pub legs: u32,
    /// The connection slot of the accept under way.
    pub accepting: Option<u32>,
    /// The last leg is gone; the accept is being ended.
    pub closing: bool,
}

/// All listeners of a shard.
pub struct Listeners {
    slots: Vec<Option<Listener>>,
    free: Vec<u32>,
    /// Least recently used first, so that a port rests as long as possible before its next use.
    ports: VecDeque<u16>,
    ports_all: u32,
    capacity: u32,
}

impl Listeners {
    /// Listeners on these ports.
    pub fn new(ports: &[u16]) -> Listeners {
        Listeners {
            slots: Vec::with_capacity(ports.len()),
            free: Vec::with_capacity(ports.len()),
            ports: ports.iter().copied().collect(),
            ports_all: ports.len() as u32,
            capacity: ports.len() as u32,
        }
    }

    /// How many listeners there may be.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Open listeners, those that are closing included.
    pub fn len(&self) -> u32 {
        self.slots.len() as u32 - self.free.len() as u32
    }

    /// Ports in use.
    pub fn ports_used(&self) -> u32 {
        self.ports_all - self.ports.len() as u32
    }

    /// Ports to be had.
    pub fn ports_free(&self) -> u32 {
        self.ports.len() as u32
    }

    /// An open listener of this kind, to be shared.
    pub fn shared(&self, kind: Kind) -> Option<u32> {
        let is_it = |listener: &Listener| listener.kind == kind && !listener.closing;
        let found = self
            .slots
            .iter()
            .position(|slot| slot.as_ref().is_some_and(is_it));
        found.map(|place| place as u32)
    }

    /// Takes the port that has rested longest.
    pub fn take_port(&mut self) -> Option<u16> {
        self.ports.pop_front()
    }

    /// Gives a port back.
    pub fn give_port(&mut self, port: u16) {
        self.ports.push_back(port);
    }

    /// The number that the next listener will have.
    pub fn next(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.slots.len() as u32)
    }

    /// Takes over a listener under the number that [`Listeners::next`] told.
    pub fn insert(&mut self, kind: Kind, port: u16) -> u32 {
        let listener = Listener {
            kind,
            port,
            legs: 0,
            accepting: None,
            closing: false,
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

    /// Forgets a closed listener; its port may be used again.
    pub fn remove(&mut self, number: u32) {
        if let Some(listener) = self.slots[number as usize].take() {
            self.ports.push_back(listener.port);
            self.free.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_rests_until_all_others_were_used() {
        let mut listeners = Listeners::new(&[20000, 20001, 20002]);
        let port = listeners.take_port().unwrap();
        let number = listeners.insert(Kind::Tcp, port);
        assert_eq!(
            (port, listeners.ports_used(), listeners.len()),
            (20000, 1, 1)
        );
        assert_eq!(listeners.shared(Kind::Tcp), Some(number));
        assert_eq!(listeners.shared(Kind::WebSocket), None);
        listeners.remove(number);
        assert_eq!(listeners.take_port(), Some(20001));
        assert_eq!(listeners.take_port(), Some(20002));
        assert_eq!(listeners.take_port(), Some(20000));
        assert_eq!(listeners.take_port(), None);
    }
}
