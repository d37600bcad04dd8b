//! What control asks for.

use std::net::SocketAddr;
use std::time::Duration;

use link::Transport;
use link::{Command, Counter, Leg, LegPolicy, LegSpec, PeerIdentity, Refusal, SessionId};

use super::Shard;
use super::listeners::Whom;
use super::realms;
use crate::limits::{DEADLINE_MAX, UNACKNOWLEDGED_FOR, USER_TIMEOUT_MIN};
use crate::ring::Ring;
use crate::session::{Flow, LegSlot, LegStage, LocalPath, Proof};

/// How many ports are tried before it is said that none can be had: another program may hold some.
const PORTS_TRIED_MAX: u32 = 16;

impl<R: Ring> Shard<R> {
    /// Whether another command may be handed over: there is room for its answer.
    pub fn takes_commands(&self) -> bool {
        self.reports.has_room()
    }

    /// Carries out a command. What there is to say about it comes as an event.
    pub fn command(&mut self, command: &Command<'_>, now: u64) {
        self.now = now;
        self.metrics.add(Counter::Commands, 1);
        let outcome = match *command {
            Command::Create { session, legs } => self
                .create(session, &legs)
                .map_err(|reason| (session, reason)),
            Command::SetPeer {
                session,
                leg,
                path,
                connect,
                identity,
            } => self
                .set_peer(session, leg, path, connect, &identity)
                .map_err(|reason| (session, reason)),
            Command::Rearm {
                session,
                leg,
                deadline_ms,
            } => self
                .rearm(session, leg, deadline_ms)
                .map_err(|reason| (session, reason)),
            Command::Delete { session } => {
                if let Some(slot) = self.sessions.find(session) {
                    self.end_session(slot, None, link::Cause::Deleted);
                }
                Ok(())
            }
            Command::List { token } => {
                self.reports.list(token);
                Ok(())
            }
            Command::Drain => {
                self.draining = true;
                Ok(())
            }
            Command::Update {
                session,
                leg,
                policy,
            } => self
                .update(session, leg, policy)
                .map_err(|reason| (session, reason)),
            Command::Rebind {
                session,
                leg,
                bind_ms,
            } => self
                .rebind(session, leg, bind_ms)
                .map_err(|reason| (session, reason)),
            Command::Reload { token } => {
                self.reload(token);
                Ok(())
            }
        };
        if let Err((session, reason)) = outcome {
            self.metrics.add(Counter::CommandsRefused, 1);
            self.reports.refused(session, reason);
        }
    }

    /// A control has attached anew: what the former one had asked for and not yet read is not for
    /// this one, which will ask what there is.
    pub fn attached(&mut self) {
        self.metrics.add(Counter::Attachments, 1);
        self.draining = false;
        self.reports.attached();
    }

    fn create(&mut self, id: SessionId, legs: &[LegSpec<'_>; 2]) -> Result<(), Refusal> {
        if let Some(slot) = self.sessions.find(id) {
            // Asked twice, answered twice, made once.
            self.reports.created(slot);
            return Ok(());
        }
        if self.draining {
            return Err(Refusal::Draining);
        }
        let slot = self.sessions.next_slot().ok_or(Refusal::NoSessions)?;
        let first = self.make_leg(slot, &legs[0])?;
        let second = match self.make_leg(slot, &legs[1]) {
            Ok(second) => second,
            Err(reason) => {
                self.unmake_leg(first);
                return Err(reason);
            }
        };
        let made = self.sessions.insert(id, [first, second]);
        debug_assert_eq!(made, slot);
        for leg in Leg::ALL {
            self.arm(slot, leg, legs[leg.index()].bind_ms);
        }
        self.metrics.add(Counter::SessionsCreated, 1);
        self.reports.created(slot);
        Ok(())
    }

    fn make_leg(&mut self, slot: u32, spec: &LegSpec<'_>) -> Result<LegSlot, Refusal> {
        let transport = spec.transport;
        let realm = realms::find(&self.settings.realms, spec.realm).ok_or(Refusal::RealmUnknown)?;
        let (local, number) = self.make_way_in(slot, realm, transport, spec.user_timeout_ms)?;
        Ok(LegSlot {
            transport,
            user_timeout_ms: spec.user_timeout_ms,
            policy: spec.policy,
            local,
            proof: Proof {
                asked: spec.proof,
                fingerprint: None,
                name: None,
                is_compared: false,
            },
            remote: None,
            stage: LegStage::Waiting,
            realm,
            listener: Some(number),
            port: None,
            peer: None,
            flow: Flow::Between,
            open_request: None,
            open_messages: None,
            open_message: None,
            failed_message: None,
            unremembered: 0,
            has_given_up: false,
            unremembered_until: 0,
        })
    }

    /// A listener for a leg to wait at, and our URI and resource, by which it is found there.
    pub(super) fn make_way_in(
        &mut self,
        slot: u32,
        realm: u32,
        transport: Transport,
        user_timeout_ms: u32,
    ) -> Result<(LocalPath, u32), Refusal> {
        let kind = self
            .listener_kind(realm, transport)
            .ok_or(Refusal::CertificateMissing)?;
        let (number, port) = self.join_listener(Whom {
            realm,
            kind,
            user_timeout_ms,
        })?;
        let mut random = [0; 44];
        (self.random)(&mut random);
        let realm_of = &self.settings.realms[realm as usize];
        let host = match transport {
            Transport::Ws | Transport::Tcp => &realm_of.host,
            Transport::Wss | Transport::Tls => {
                realm_of.public_host.as_ref().unwrap_or(&realm_of.host)
            }
        };
        let Some(local) = self
            .sessions
            .make_local(transport, host, port, slot, &random)
        else {
            self.leave_listener(number);
            return Err(Refusal::NoMemory);
        };
        Ok((local, number))
    }

    fn unmake_leg(&mut self, leg: LegSlot) {
        self.sessions.free_local(leg.local);
        if let Some(number) = leg.listener {
            self.leave_listener(number);
        }
    }

    /// A listener for one more leg to wait at, and its port.
    fn join_listener(&mut self, whom: Whom) -> Result<(u32, u16), Refusal> {
        let number = self.listener(whom)?;
        let listener = self.listeners.get_mut(number).ok_or(Refusal::NoPorts)?;
        listener.legs += 1;
        Ok((number, listener.port))
    }

    /// A listener for a leg to wait at: one that is open, or a new one.
    fn listener(&mut self, whom: Whom) -> Result<u32, Refusal> {
        let is_exclusive = self.settings.realms[whom.realm as usize].ports_exclusive;
        if !is_exclusive && let Some(number) = self.listeners.shared(whom) {
            return Ok(number);
        }
        let addresses = self.settings.realms[whom.realm as usize].addresses.len() as u32;
        if self.listeners.len() + addresses > self.settings.listeners_open_max() {
            return Err(Refusal::NoPorts);
        }
        for _ in 0..PORTS_TRIED_MAX {
            let shared = match is_exclusive {
                false => self.listeners.take_shared_port(whom),
                true => None,
            };
            let Some(port) = shared.or_else(|| self.listeners.take_port(self.now)) else {
                break;
            };
            if let Some(first) = self.open_listeners(whom, port) {
                return Ok(first);
            }
            // Somebody else has it: it goes to the end of the line.
            self.listeners.give_port(port);
        }
        Err(Refusal::NoPorts)
    }

    /// Listens on a port at all addresses of a realm. `None`: at one of them it cannot be had.
    fn open_listeners(&mut self, whom: Whom, port: u16) -> Option<u32> {
        let mut first = None;
        let realm = whom.realm as usize;
        let user_timeout = user_timeout(whom.user_timeout_ms);
        for place in 0..self.settings.realms[realm].addresses.len() {
            let address = self.settings.realms[realm].addresses[place];
            let number = self.listeners.next();
            let at = SocketAddr::new(address, port);
            if self.ring.listen(number, at, user_timeout).is_err() {
                let mut opened = first;
                while let Some(number) = opened {
                    opened = self.listeners.beside(number);
                    self.ring.unlisten(number);
                    self.listeners.forget(number);
                }
                return None;
            }
            first = Some(self.listeners.insert(whom, port, first));
        }
        let mut opened = first;
        while let Some(number) = opened {
            opened = self.listeners.beside(number);
            self.attend(number);
        }
        first
    }

    fn set_peer(
        &mut self,
        id: SessionId,
        leg: Leg,
        path: &[u8],
        connect: Option<SocketAddr>,
        identity: &PeerIdentity<'_>,
    ) -> Result<(), Refusal> {
        let slot = self.live(id)?;
        let state = self.sessions[slot].leg(leg);
        if connect.is_some() && (!state.may_connect() || !state.is_waiting()) {
            return Err(Refusal::ConnectImpossible);
        }
        self.sessions.set_peer(slot, leg, path, identity)?;
        self.check_proof(slot, leg);
        // Messages of either leg may have been waiting for the path.
        for leg in Leg::ALL {
            if let Some(connection) = self.sessions[slot].leg(leg).connection() {
                self.wake(connection);
            }
        }
        let Some(peer) = connect else { return Ok(()) };
        self.connect_leg(slot, leg, peer)
    }

    fn rearm(&mut self, id: SessionId, leg: Leg, deadline_ms: u32) -> Result<(), Refusal> {
        let slot = self.live(id)?;
        match self.sessions[slot].leg(leg).stage {
            LegStage::Waiting | LegStage::Connecting(_) | LegStage::Detached(_) => {
                self.arm(slot, leg, deadline_ms);
            }
            // It has come up while control was asking.
            LegStage::Up(_) | LegStage::Down => {}
        }
        Ok(())
    }

    fn update(&mut self, id: SessionId, leg: Leg, policy: LegPolicy) -> Result<(), Refusal> {
        let slot = self.live(id)?;
        self.sessions[slot].leg_mut(leg).policy = policy;
        if let LegStage::Up(_) = self.sessions[slot].leg(leg).stage {
            self.look_after_leg(slot, leg);
        }
        Ok(())
    }

    pub(super) fn arm(&mut self, slot: u32, leg: Leg, deadline_ms: u32) {
        let deadline = u64::from(deadline_ms).min(DEADLINE_MAX.as_millis() as u64);
        self.timers
            .set(self.timer_of_leg(slot, leg), self.now + deadline);
    }

    pub(super) fn live(&self, id: SessionId) -> Result<u32, Refusal> {
        let slot = self.sessions.find(id).ok_or(Refusal::SessionUnknown)?;
        match self.sessions[slot].closed {
            None => Ok(slot),
            Some(_) => Err(Refusal::SessionUnknown),
        }
    }
}

/// How long the peer's kernel may acknowledge nothing, as control wishes it; 0: as usual.
pub(super) fn user_timeout(wished_ms: u32) -> Duration {
    match wished_ms {
        0 => UNACKNOWLEDGED_FOR,
        _ => Duration::from_millis(wished_ms.into()).clamp(USER_TIMEOUT_MIN, DEADLINE_MAX),
    }
}
