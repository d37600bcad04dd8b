//! The sessions of a shard and what each of them is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::{Index, IndexMut};

use link::{Cause, Leg, LegPolicy, Refusal, SessionCounts, SessionId, Transport};
use link::{Fingerprint, PeerIdentity, PeerProof};
use wire::msrp::uri;

use super::Flow;
use super::failure::{Marks, OpenMessages, OpenPlace};
use super::paths::{self, LocalPath};
use super::pending::{OfSession, Pending};
use super::texts::{Text, Texts};
use crate::limits::{PATH_BYTES_MAX, SESSIONS_MAX};

/// How far a leg has come. The number is that of its connection, which only the shard can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegStage {
    /// The peer is to connect to us.
    Waiting,
    /// We are connecting to the peer.
    Connecting(u32),
    /// The peer is bound.
    Up(u32),
    /// The browser is lost, by this cause, and may come back.
    Detached(Cause),
    /// The peer is gone, or never came.
    Down,
}

/// How a leg's TLS peer proves who it is.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// Whether it must.
    pub asked: PeerProof,
    /// What its certificate's hash must be.
    pub fingerprint: Option<Fingerprint>,
    /// A name that its certificate must cover.
    pub name: Option<Text>,
    /// The certificate of the peer that is here has been compared with a hash that was told, and
    /// had it.
    pub is_compared: bool,
}

/// One side of a session.
#[derive(Clone, Copy, Debug)]
pub struct LegSlot {
    /// How MSRP travels on it.
    pub transport: Transport,
    /// How long its peer's kernel may acknowledge nothing; 0: the usual time.
    pub user_timeout_ms: u32,
    /// Which of MSRP's choices hold on it, and how long it may be silent or away.
    pub policy: LegPolicy,
    /// Our URI and resource path.
    pub local: LocalPath,
    /// How its peer proves who it is, if it comes by TLS.
    pub proof: Proof,
    /// `R(X)`: the peer's path, once control has told it.
    pub remote: Option<Text>,
    /// How far it has come.
    pub stage: LegStage,
    /// The realm it lives in; the shard's number.
    pub realm: u32,
    /// The listener that waits for it; the shard's number.
    pub listener: Option<u32>,
    /// The port that it connects from and has for itself.
    pub port: Option<u16>,
    /// Who connected.
    pub peer: Option<SocketAddr>,
    /// What becomes of the chunk that its peer is sending.
    pub flow: Flow,
    /// The remembered request whose last octet has not come yet.
    pub open_request: Option<u32>,
    /// Messages that its peer is sending in several chunks.
    pub open_messages: Option<OpenPlace>,
    /// The one among them of which a chunk is under way.
    pub open_message: Option<OpenPlace>,
    /// The message that has failed last, by its mark, and what its chunks are answered.
    pub failed_message: Option<(u64, u16)>,
    /// Requests of its peer that were passed on without being remembered, for want of room.
    pub unremembered: u32,
    /// It has held up the sessions that share its connection for as long as it may: while the other leg
    /// is not there, or is slow, what is for it is refused.
    pub has_given_up: bool,
    /// When the last of them is answered no more.
    pub unremembered_until: u64,
}

impl LegSlot {
    /// Whether the peer is still to connect to us, for the first time or again.
    pub fn is_waiting(&self) -> bool {
        match self.stage {
            LegStage::Waiting => true,
            LegStage::Detached(_) => self.listener.is_some(),
            LegStage::Connecting(_) | LegStage::Up(_) | LegStage::Down => false,
        }
    }

    /// Whether we may connect to its peer: a browser takes no connections.
    pub fn may_connect(&self) -> bool {
        matches!(self.transport, Transport::Tcp | Transport::Tls)
    }

    /// Whether it is carried by TLS.
    pub fn is_secure(&self) -> bool {
        matches!(self.transport, Transport::Wss | Transport::Tls)
    }

    /// The connection that carries the leg, once it is up.
    pub fn connection(&self) -> Option<u32> {
        match self.stage {
            LegStage::Up(connection) => Some(connection),
            LegStage::Waiting
            | LegStage::Connecting(_)
            | LegStage::Detached(_)
            | LegStage::Down => None,
        }
    }
}

/// Two legs, and what is between them.
#[derive(Clone, Debug)]
pub struct Session {
    /// Control's name for it.
    pub id: SessionId,
    /// Leg A and leg B.
    pub legs: [LegSlot; 2],
    /// Requests that wait for their response.
    pub pending: OfSession,
    /// When something was passed on last, in either direction.
    pub active_at: u64,
    /// What has gone through.
    pub counts: SessionCounts,
    /// A leg has failed, or signalling has ended it: what still comes is answered with this, if
    /// with anything.
    pub failing: Option<u16>,
    /// The end has begun.
    pub ending: bool,
    /// Why it ended, once it has. The slot then only waits for control to hear of it.
    pub closed: Option<Cause>,
}

impl Session {
    /// One of its legs.
    pub fn leg(&self, leg: Leg) -> &LegSlot {
        &self.legs[leg.index()]
    }

    /// One of its legs.
    pub fn leg_mut(&mut self, leg: Leg) -> &mut LegSlot {
        &mut self.legs[leg.index()]
    }
}

/// How much a shard's tables can hold.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Sessions at once, those included whose end control has not heard of.
    pub sessions: u32,
    /// Requests that wait for their response, of all sessions.
    pub pending: u32,
}

/// All sessions of a shard.
pub struct Sessions {
    slots: Vec<Option<Session>>,
    capacity: u32,
    free: Vec<u32>,
    by_id: HashMap<u64, u32>,
    pub(super) texts: Texts,
    pub(super) pending: Pending,
    pub(super) marks: Marks,
    pub(super) open_messages: OpenMessages,
    /// The time as of this turn.
    pub(super) now: u64,
}

impl Sessions {
    /// Tables of a fixed size, whose memory is touched as it is needed.
    pub fn new(settings: Settings) -> Sessions {
        let capacity = settings.sessions.min(SESSIONS_MAX);
        Sessions {
            slots: Vec::with_capacity(capacity as usize),
            capacity,
            free: Vec::with_capacity(capacity as usize),
            // Twice the room: a map half full tidies up in place and never grows.
            by_id: HashMap::with_capacity(2 * capacity as usize),
            texts: Texts::new(5 * capacity, capacity / 4 + 16),
            pending: Pending::new(settings.pending),
            marks: Marks::default(),
            open_messages: OpenMessages::new(2 * capacity),
            now: 0,
        }
    }

    /// The slot of a session.
    pub fn find(&self, id: SessionId) -> Option<u32> {
        self.by_id.get(&id.0).copied()
    }

    /// Sessions in the table.
    pub fn len(&self) -> u32 {
        self.slots.len() as u32 - self.free.len() as u32
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Slots ever used; sessions are among the numbers below.
    pub fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The session in a slot, if there is one.
    pub fn get(&self, slot: u32) -> Option<&Session> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// Requests that wait for their response.
    pub fn pending(&self) -> u32 {
        self.pending.len()
    }

    /// When the next of them expires.
    pub fn pending_deadline(&self) -> Option<u64> {
        self.pending.deadline()
    }

    /// Cells of paths in use.
    pub fn texts_used(&self) -> u32 {
        self.texts.used()
    }

    /// All paths, for reading.
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The slot that the next session will get. `None`: the table is full.
    pub fn next_slot(&self) -> Option<u32> {
        let next = self.free.last().copied().unwrap_or(self.slots.len() as u32);
        (next < self.capacity).then_some(next)
    }

    /// Puts a session into the slot that [`Sessions::next_slot`] named.
    pub fn insert(&mut self, id: SessionId, legs: [LegSlot; 2]) -> u32 {
        let session = Session {
            id,
            legs,
            pending: OfSession::NONE,
            active_at: 0,
            counts: SessionCounts::default(),
            failing: None,
            ending: false,
            closed: None,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(session);
                slot
            }
            None => {
                assert!(
                    (self.slots.len() as u32) < self.capacity,
                    "room is looked for first"
                );
                self.slots.push(Some(session));
                self.slots.len() as u32 - 1
            }
        };
        self.by_id.insert(id.0, slot);
        slot
    }

    /// Control has heard of the session's end: its slot is free.
    pub fn remove(&mut self, slot: u32) {
        if let Some(session) = self.slots[slot as usize].take() {
            debug_assert!(
                session.closed.is_some(),
                "a session ends before it is forgotten"
            );
            self.by_id.remove(&session.id.0);
            self.free.push(slot);
        }
    }

    /// Makes our side of a leg: URI and, for WebSocket, resource path. `None`: no room.
    pub fn make_local(
        &mut self,
        transport: Transport,
        host: &str,
        port: u16,
        slot: u32,
        random: &[u8; 44],
    ) -> Option<LocalPath> {
        use std::io::Write;
        let (mut id, mut resource) = ([0; 22], [0; 22]);
        id.copy_from_slice(&random[..22]);
        resource.copy_from_slice(&random[22..]);
        let (scheme, kind, has_resource) = match transport {
            Transport::Ws => ("msrp", "ws", true),
            Transport::Wss => ("msrps", "ws", true),
            Transport::Tcp => ("msrp", "tcp", false),
            Transport::Tls => ("msrps", "tcp", false),
        };
        let mut buffer = [0u8; PATH_BYTES_MAX];
        let mut out = &mut buffer[..];
        write!(out, "{scheme}://{host}:{port}/").ok()?;
        out.write_all(&paths::token(slot, &id)).ok()?;
        write!(out, ";{kind}").ok()?;
        let uri_bytes = PATH_BYTES_MAX - out.len();
        if has_resource {
            out.write_all(b"/m/").ok()?;
            out.write_all(&paths::token(slot, &resource)).ok()?;
        }
        let bytes = PATH_BYTES_MAX - out.len();
        let text = self.texts.put(&buffer[..bytes])?;
        Some(LocalPath {
            text,
            uri_bytes: uri_bytes as u16,
        })
    }

    /// Gives back a local path that found no session.
    pub fn free_local(&mut self, local: LocalPath) {
        self.texts.free(local.text);
    }

    /// Takes over the path of a leg's peer and how it is known to TLS, which may replace former
    /// ones: both, or neither.
    pub fn set_peer(
        &mut self,
        slot: u32,
        leg: Leg,
        path: &[u8],
        identity: &PeerIdentity<'_>,
    ) -> Result<(), Refusal> {
        if path.len() > PATH_BYTES_MAX {
            return Err(Refusal::PathTooLong);
        }
        let mut uris = 0;
        for uri in uri::path(path) {
            uri.map_err(|_| Refusal::PathMalformed)?;
            uris += 1;
        }
        if uris == 0 || uris > wire::limits::PATH_URIS_MAX {
            return Err(Refusal::PathMalformed);
        }
        let remote = self.texts.put(path).ok_or(Refusal::NoMemory)?;
        let mut name = None;
        if !identity.name.is_empty() {
            name = self.texts.put(identity.name.as_bytes());
            if name.is_none() {
                self.texts.free(remote);
                return Err(Refusal::NoMemory);
            }
        }
        let leg = self[slot].leg_mut(leg);
        leg.proof.fingerprint = identity.fingerprint;
        let formers = [
            leg.remote.replace(remote),
            std::mem::replace(&mut leg.proof.name, name),
        ];
        for former in formers.into_iter().flatten() {
            self.texts.free(former);
        }
        Ok(())
    }

    /// The name by which a leg's peer is known to TLS: the one that was told, or the host of its
    /// path's leftmost URI.
    pub fn name_of_peer(&self, slot: u32, leg: Leg) -> Option<String> {
        if let Some(name) = self[slot].leg(leg).proof.name {
            return String::from_utf8(self.texts.get(name).to_vec()).ok();
        }
        let path = self.texts.get(self[slot].leg(leg).remote?);
        let uri = uri::path(path).next()?.ok()?;
        String::from_utf8(uri.host.to_vec()).ok()
    }

    pub(super) fn release_texts(&mut self, slot: u32) {
        for leg in Leg::ALL {
            self.take_all_open(slot, leg);
            let leg = *self[slot].leg(leg);
            self.texts.free(leg.local.text);
            for text in [leg.remote, leg.proof.name].into_iter().flatten() {
                self.texts.free(text);
            }
        }
    }

    /// The waiting WebSocket leg whose resource path this is.
    pub fn by_resource(&self, path: &[u8]) -> Option<(u32, Leg)> {
        let slot = paths::slot_of_token(path.strip_prefix(b"/m/")?)?;
        self.owner(slot, |leg| leg.local.resource(&self.texts) == path)
    }

    /// The leg whose URI a message names as its destination.
    pub fn by_to_path(&self, to_path: &[u8]) -> Option<(u32, Leg)> {
        let uri = uri::path(to_path).next()?.ok()?;
        let slot = paths::slot_of_token(uri.session_id?)?;
        self.owner(slot, |leg| {
            paths::is_only(to_path, leg.local.uri(&self.texts))
        })
    }

    /// Whether a From-Path may be that of a leg's peer: it ends as the peer's path does, if that is
    /// known already. Where the leg's policy says so, only session-ids are compared: NATs and ALGs
    /// rewrite addresses (RFC 4975, 14.1).
    pub fn is_from_peer(&self, slot: u32, leg: Leg, from_path: &[u8]) -> bool {
        let leg = self[slot].leg(leg);
        let Some(remote) = leg.remote else {
            return true;
        };
        let remote = self.texts.get(remote);
        paths::ends_alike(from_path, remote)
            || leg.policy.switches.session_id_only && paths::same_session_id(from_path, remote)
    }

    fn owner(&self, slot: u32, is_it: impl Fn(&LegSlot) -> bool) -> Option<(u32, Leg)> {
        let session = self.get(slot).filter(|session| session.closed.is_none())?;
        let leg = Leg::ALL.into_iter().find(|leg| is_it(session.leg(*leg)))?;
        Some((slot, leg))
    }
}

impl Index<u32> for Sessions {
    type Output = Session;
    fn index(&self, slot: u32) -> &Session {
        match &self.slots[slot as usize] {
            Some(session) => session,
            None => panic!("no session is in slot {slot}"),
        }
    }
}

impl IndexMut<u32> for Sessions {
    fn index_mut(&mut self, slot: u32) -> &mut Session {
        match &mut self.slots[slot as usize] {
            Some(session) => session,
            None => panic!("no session is in slot {slot}"),
        }
    }
}
