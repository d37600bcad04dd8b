//! Who comes to a listener: accepting, and the life of a listener and its port.

use link::{Counter, Leg, Transport};

use super::Shard;
use super::connections::Stage;
use super::listeners::Kind;
use crate::limits::{ACCEPT_AGAIN_AFTER, HANDSHAKE_FOR, UNBOUND_FOR};
use crate::ring::{Op, Ring};

/// One in so many connections is left for those that we make ourselves.
const SHARE_OF_OURS: u32 = 4;

impl<R: Ring> Shard<R> {
    /// An accept has completed.
    pub(super) fn accepted(&mut self, slot: u32, result: Result<u32, i32>) {
        let Stage::Accepting(number) = self.connections[slot].stage else {
            debug_assert!(false, "only a reserved slot accepts");
            return;
        };
        let Some(listener) = self.listeners.get_mut(number) else {
            return;
        };
        listener.accepting = None;
        let (realm, kind, closing) = (listener.whom.realm, listener.whom.kind, listener.closing);
        match result {
            Ok(_) => {
                self.metrics.add(Counter::Accepts, 1);
                let peer = self.ring.accepted_from(number);
                let connection = &mut self.connections[slot];
                connection.peer = peer;
                let stage = match kind {
                    Kind::WebSocket | Kind::SecureWebSocket => Stage::Upgrading,
                    Kind::Tcp | Kind::Tls => Stage::Unbound,
                };
                connection.stage = stage;
                let is_secure = matches!(kind, Kind::SecureWebSocket | Kind::Tls);
                let mut bound_by = UNBOUND_FOR;
                if is_secure {
                    bound_by = HANDSHAKE_FOR;
                }
                self.timers
                    .set(slot, self.now + bound_by.as_millis() as u64);
                if self.connections.free() < self.settings.connections / SHARE_OF_OURS {
                    // It is told at once, rather than left to wait for nobody knows what.
                    self.metrics.add(Counter::AcceptsRefused, 1);
                    self.close(slot);
                } else if is_secure && !self.accept_secure(slot, (realm, kind), stage) {
                    self.close(slot);
                }
                self.receive_if_wanted(slot);
            }
            Err(_) => {
                // The slot has no descriptor: nothing is to be closed.
                self.connections.remove(slot);
                self.metrics.add(Counter::AcceptsFailed, (!closing).into());
            }
        }
        if closing {
            self.remove_listener(number);
        } else if result.is_ok() {
            self.attend(number);
        } else {
            // Most likely the machine is short of something: not at once again.
            self.later_attend(number);
        }
    }

    fn later_attend(&mut self, number: u32) {
        self.attend_at = self.now + ACCEPT_AGAIN_AFTER.as_millis() as u64;
        self.unattended.push_back(number);
    }

    /// Begins an accept on a listener that has none.
    pub(super) fn attend(&mut self, number: u32) {
        let Some(listener) = self.listeners.get_mut(number) else {
            return;
        };
        if listener.closing || listener.accepting.is_some() {
            return;
        }
        // Past the share that is ours, who comes is accepted only to be closed.
        let ours = self.settings.connections / SHARE_OF_OURS;
        let is_room = self.connections.free() > ours / 2;
        let slot = is_room.then(|| self.connections.open(Stage::Accepting(number)));
        let Some(slot) = slot.flatten() else {
            return self.later_attend(number);
        };
        listener.accepting = Some(slot);
        self.connections[slot].operations += 1;
        let token = self.connections.token(Op::Accept, slot);
        self.ring.accept(number, token);
    }

    /// Which kind of listener a leg of this realm and transport waits at; `None`: there is no
    /// certificate for it.
    pub(super) fn listener_kind(&self, realm: u32, transport: Transport) -> Option<Kind> {
        let realm = &self.settings.realms[realm as usize];
        let is_public = self.settings.identity.is_some() && realm.public_host.is_some();
        match transport {
            Transport::Wss | Transport::Tls if !is_public => None,
            Transport::Ws => Some(Kind::WebSocket),
            Transport::Tcp => Some(Kind::Tcp),
            Transport::Wss => Some(Kind::SecureWebSocket),
            Transport::Tls => Some(Kind::Tls),
        }
    }

    /// The leg waits no more.
    pub(super) fn stop_waiting(&mut self, session: u32, leg: Leg) {
        if let Some(number) = self.sessions[session].leg_mut(leg).listener.take() {
            self.leave_listener(number);
        }
    }

    /// The leg waits no more and connects instead: a port that it had for itself, it keeps.
    pub(super) fn take_port_along(&mut self, session: u32, leg: Leg) {
        let state = self.sessions[session].leg_mut(leg);
        let Some(number) = state.listener else { return };
        if self.settings.realms[state.realm as usize].ports_exclusive {
            state.port = self.listeners.keep_port(number);
        }
        self.stop_waiting(session, leg);
    }

    /// One leg fewer waits at this listener; without legs it closes.
    pub(super) fn leave_listener(&mut self, number: u32) {
        let Some(listener) = self.listeners.get_mut(number) else {
            return;
        };
        listener.legs -= 1;
        if listener.legs > 0 {
            return;
        }
        let mut closing = Some(number);
        while let Some(number) = closing {
            closing = self.listeners.beside(number);
            self.close_listener(number);
        }
    }

    fn close_listener(&mut self, number: u32) {
        let Some(listener) = self.listeners.get_mut(number) else {
            return;
        };
        listener.closing = true;
        let accepting = listener.accepting;
        if let Some(slot) = accepting {
            let token = self.connections.token(Op::Accept, slot);
            self.ring.cancel(token);
        }
        self.ring.unlisten(number);
        if accepting.is_none() {
            self.unattended.retain(|waiting| *waiting != number);
            self.remove_listener(number);
        }
    }

    /// A listener is closed. Its port, unless it goes on as the source of a connection, is free: a leg
    /// that had it for itself leaves it to rest first.
    fn remove_listener(&mut self, number: u32) {
        let Some(listener) = self.listeners.forget(number) else {
            return;
        };
        let (whom, port) = (listener.whom, listener.port);
        if !listener.owns_port {
            return;
        }
        if self.settings.realms[whom.realm as usize].ports_exclusive {
            self.listeners.rest_port(port, self.now);
        } else {
            self.listeners.give_shared_port(whom, port);
        }
    }

    /// Gives back a port of a leg of this realm.
    pub(super) fn free_port(&mut self, realm: u32, port: u16) {
        if self.settings.realms[realm as usize].ports_exclusive {
            self.listeners.rest_port(port, self.now);
        } else {
            self.listeners.give_port(port);
        }
    }
}
