//! TLS on a connection: records in, one at a time and only when the octets of the last are read;
//! octets out, sealed when nothing is being sent.
//!
//! A record is opened where it was received. Only one that came in several receives is put
//! together in a block first, so that an idle connection holds no buffer. What is to be sent is
//! copied once, into the record that carries it, and what it lay in is given back.

use link::{Cause, Counter, Leg};

use super::Shard;
use super::connections::{Carry, Stage};
use super::listeners::Kind;
use super::receive::Progress;
use crate::buffers::{Queue, Span};
use crate::limits::{BLOCK_BYTES, BLOCK_DATA_BYTES, SEALED_BYTES_MAX, UNBOUND_FOR};
use crate::ring::Ring;
use crate::session::LegStage;
use crate::transport::tls::{
    Identity, KEY_UPDATE_BYTES_MAX, PLAIN_BYTES_MAX, SEAL_BYTES_MAX, Step, Tls,
};

/// The TLS of a connection, and what lies between its records and the octets in them.
pub struct Secured {
    /// Opens and seals.
    pub tls: Tls,
    /// What the connection becomes when the handshake is done.
    pub then: Stage,
    /// It is we who have connected.
    pub is_ours: bool,
    /// Its first step has been taken.
    begun: bool,
    /// It may have something to say without being given more.
    has_to_say: bool,
    /// The beginning of a record, or of a handshake message in several.
    pub carry: Option<Carry>,
    /// Octets of the carry that are done with.
    carry_used: u32,
    /// Octets wanted before the carry is looked at again.
    wanted: u32,
    /// Octets of a record that are being read. A holder of their slot.
    pub window: Option<Span>,
    /// Slot and end of the last window, while more of that slot is to come.
    last: Option<(u32, u32)>,
    /// Records to be sent. The first `sending` pieces are in a send under way.
    pub sealed: Queue,
    /// The peer has been told that our direction ends.
    said_close: bool,
    /// It is in the list of those that found no room to seal.
    listed_unsealed: bool,
    /// Since when there has been none.
    pub unsealed_since: Option<u64>,
    /// The name for which an authority that we trust has vouched, by the peer's certificate.
    pub vouched_for: Option<String>,
}

impl Secured {
    /// Before the handshake.
    pub fn new(tls: Tls, then: Stage, is_ours: bool) -> Secured {
        Secured {
            tls,
            then,
            is_ours,
            begun: false,
            has_to_say: is_ours,
            carry: None,
            carry_used: 0,
            wanted: 0,
            window: None,
            last: None,
            sealed: Queue::EMPTY,
            said_close: false,
            listed_unsealed: false,
            unsealed_since: None,
            vouched_for: None,
        }
    }
}

impl<R: Ring> Shard<R> {
    /// Has an accepted connection begin its handshake. `false`: it may not.
    pub(super) fn accept_secure(
        &mut self,
        slot: u32,
        (realm, kind): (u32, Kind),
        then: Stage,
    ) -> bool {
        let source = self.connections[slot].peer.map(|peer| peer.ip());
        if !self.handshakes.admit(slot, source) {
            self.metrics.add(Counter::HandshakesRefused, 1);
            return false;
        }
        let identity = self.identity(realm);
        let tls = identity.and_then(|identity| match kind {
            Kind::SecureWebSocket => identity.accept_browser(),
            Kind::WebSocket | Kind::Tcp | Kind::Tls => identity.accept_endpoint(),
        });
        let Some(tls) = tls else {
            self.handshakes.leave(slot);
            self.metrics.add(Counter::HandshakesFailed, 1);
            return false;
        };
        self.secure(slot, Secured::new(tls, then, false));
        true
    }

    /// Has a connection of ours begin its handshake. `false`: there is nothing to make one with.
    pub(super) fn connect_secure(&mut self, slot: u32, session: u32, leg: Leg) -> bool {
        let name = self.sessions.name_of_peer(session, leg);
        let state = self.sessions[session].leg(leg);
        let (is_known, realm) = (state.proof.fingerprint.is_some(), state.realm);
        let tls = self
            .identity(realm)
            .zip(name.as_ref())
            .and_then(|(identity, name)| {
                if is_known {
                    identity.connect_known(name)
                } else {
                    identity.connect_vouched(name)
                }
            });
        let Some(tls) = tls else { return false };
        let mut secured = Secured::new(tls, Stage::Open, true);
        if !is_known {
            // Or the handshake fails.
            secured.vouched_for = name;
        }
        self.secure(slot, secured);
        true
    }

    /// Who we are to TLS peers of a realm.
    pub(super) fn identity(&self, realm: u32) -> Option<Identity> {
        let name = self.settings.realms[realm as usize].public_host.as_ref()?;
        self.settings.identity.as_ref()?.now(name)
    }

    fn secure(&mut self, slot: u32, secured: Secured) {
        let connection = &mut self.connections[slot];
        connection.stage = Stage::Securing;
        connection.secured = Some(Box::new(secured));
    }

    /// The octets that are to be read next, which for TLS lie in a record that is opened now.
    pub(super) fn next_octets(&mut self, slot: u32) -> Result<Option<Span>, Progress> {
        let connection = &self.connections[slot];
        match &connection.secured {
            None => Ok(self.pieces.first(&connection.inputs)),
            Some(secured) if secured.window.is_some() => Ok(secured.window),
            Some(_) => self.open_record(slot),
        }
    }

    fn open_record(&mut self, slot: u32) -> Result<Option<Span>, Progress> {
        loop {
            // Handshakes write whole records of certificates.
            let has_block = self.connections[slot].stage == Stage::Open
                || self.pool.blocks_free() > self.blocks_for_sealing();
            if !has_block || !self.has_room() {
                return Err(Progress::Park);
            }
            let Some(region) = self.ciphertext(slot) else {
                return Ok(None);
            };
            let connection = &mut self.connections[slot];
            let is_ours = connection.owner.is_some();
            let is_handshake = connection.stage == Stage::Securing;
            let Some(secured) = &mut connection.secured else {
                return Ok(None);
            };
            if is_handshake && region.bytes > 0 {
                // What is said in answer belongs to the same step.
                if !self.handshakes.may_step(slot, !secured.begun && !is_ours) {
                    return Err(self.wait_to_step(slot, region));
                }
                secured.begun = true;
            }
            let input = self.memory.octets_mut(region);
            let step = secured.tls.read(input, &mut self.tls_out[..]);
            match step {
                Ok(Step::More(wanted)) => self.keep(slot, region, wanted as u32)?,
                Ok(Step::Nothing(used)) => self.used_record(slot, used as u32),
                Ok(Step::Send { used, bytes }) => {
                    self.used_record(slot, used as u32);
                    self.send_record(slot, bytes);
                    if let Some(secured) = &mut self.connections[slot].secured {
                        secured.has_to_say = true;
                    }
                }
                Ok(Step::Octets { used, octets }) => {
                    let window = Span {
                        slot: region.slot,
                        start: region.start + octets.start as u32,
                        bytes: octets.len() as u32,
                    };
                    self.pool.hold(window.slot);
                    let connection = &mut self.connections[slot];
                    connection.at = window.start;
                    connection.floor = 0;
                    if let Some(secured) = &mut connection.secured {
                        if let Some((last, end)) = secured.last
                            && last == window.slot
                        {
                            connection.floor = end;
                        }
                        secured.window = Some(window);
                        secured.last = Some((window.slot, window.end()));
                    }
                    self.used_record(slot, used as u32);
                    return Ok(Some(window));
                }
                Ok(Step::Established(used)) => {
                    self.used_record(slot, used as u32);
                    return Err(self.established(slot));
                }
                Ok(Step::Closed) => {
                    self.ended(slot, Cause::PeerClosed);
                    return Err(Progress::Gone);
                }
                Err(broken) => {
                    self.send_record(slot, broken.bytes);
                    self.tls_failed(slot);
                    return Err(Progress::Gone);
                }
            }
        }
    }

    /// Lets those take a step of their handshake that have waited for it.
    pub(super) fn go_on_with_handshakes(&mut self) {
        while let Some(slot) = self.handshakes.call() {
            if self.connections.get_mut(slot).is_some() {
                self.read(slot);
                self.receive_if_wanted(slot);
            }
        }
    }

    /// If its handshake is under way, it is given up.
    pub(super) fn leave_handshake(&mut self, slot: u32) {
        if self.connections[slot].stage == Stage::Securing {
            self.handshakes.leave(slot);
        }
    }

    /// TLS cannot go on. The peer is told why, if there is a word for it.
    fn tls_failed(&mut self, slot: u32) {
        let connection = &self.connections[slot];
        let counter = match connection.stage {
            Stage::Securing => Counter::HandshakesFailed,
            _ => Counter::Malformed,
        };
        self.metrics.add(counter, 1);
        if let (Stage::Securing, Some((session, leg))) = (connection.stage, connection.owner) {
            // Else it would be closed before the alert is out.
            self.sessions[session].leg_mut(leg).stage = LegStage::Down;
            self.drain(slot, None);
            self.leg_down(session, leg, Cause::HandshakeFailed);
        } else {
            self.ended(slot, Cause::ProtocolError);
        }
    }

    /// What is to be looked at next: the carry, once it has got what it wants, or the first input.
    fn ciphertext(&mut self, slot: u32) -> Option<Span> {
        loop {
            let connection = &mut self.connections[slot];
            let secured = connection.secured.as_mut()?;
            let input = self.pieces.first(&connection.inputs);
            let Some(carry) = &mut secured.carry else {
                let has_to_say = std::mem::take(&mut secured.has_to_say);
                let nothing = Span {
                    slot: 0,
                    start: 0,
                    bytes: 0,
                };
                return input.or(has_to_say.then_some(nothing));
            };
            if secured.wanted == 0 {
                let whole = carry.span();
                return Some(Span {
                    start: whole.start + secured.carry_used,
                    bytes: whole.bytes - secured.carry_used,
                    ..whole
                });
            }
            let from = input?;
            let bytes = from.bytes.min(secured.wanted);
            secured.wanted -= bytes;
            let to = carry.grow(bytes);
            self.memory.copy(Span { bytes, ..from }, to);
            self.used_input(slot, bytes);
        }
    }

    /// Others step first: what has come waits in a block, not in a buffer that those who talk need.
    fn wait_to_step(&mut self, slot: u32, region: Span) -> Progress {
        // A block's worth of it, if a peer has not waited for us to have something more to say.
        let region = Span {
            bytes: region.bytes.min(BLOCK_DATA_BYTES as u32),
            ..region
        };
        if let Err(progress) = self.keep(slot, region, 0) {
            self.handshakes.leave_line(slot);
            return progress;
        }
        self.connections[slot].full = true;
        self.stop_receiving(slot);
        Progress::Held
    }

    /// A record is not whole: what there is of it waits in a block.
    fn keep(&mut self, slot: u32, region: Span, wanted: u32) -> Result<(), Progress> {
        if region.bytes == 0 {
            return Ok(());
        }
        if region.bytes + wanted > BLOCK_DATA_BYTES as u32 {
            // A message of the handshake that is longer than any honest one.
            self.metrics.add(Counter::HandshakesFailed, 1);
            self.ended(slot, Cause::TooLarge);
            return Err(Progress::Gone);
        }
        let Some(secured) = &self.connections[slot].secured else {
            return Ok(());
        };
        let former = secured.carry;
        // What was read of a carry may still be on its way: its rest goes to a block of its own.
        if former.is_none() || secured.carry_used > 0 {
            let Some(block) = self.block_for_carry(slot) else {
                if self.connections[slot].owner.is_some() {
                    return Err(Progress::Park);
                }
                // Strangers do not wait for room: they would fill it with waiting.
                self.metrics.add(Counter::HandshakesRefused, 1);
                self.close(slot);
                return Err(Progress::Gone);
            };
            let mut carry = Carry {
                slot: block,
                bytes: 0,
            };
            self.memory.copy(region, carry.grow(region.bytes));
            // From now on it has its time to be whole, however it comes.
            self.connections[slot].went_on_at = self.now;
            if let Some(secured) = &mut self.connections[slot].secured {
                secured.carry = Some(carry);
                secured.carry_used = 0;
            }
            match former {
                Some(former) => self.release(former.slot),
                None => self.used_input(slot, region.bytes),
            }
        }
        if let Some(secured) = &mut self.connections[slot].secured {
            secured.wanted = wanted;
        }
        Ok(())
    }

    /// So many octets of what was looked at are done with.
    fn used_record(&mut self, slot: u32, bytes: u32) {
        let Some(secured) = &mut self.connections[slot].secured else {
            return;
        };
        let Some(carry) = &secured.carry else {
            return self.used_input(slot, bytes);
        };
        secured.carry_used += bytes;
        if secured.carry_used == carry.bytes {
            let block = carry.slot;
            secured.carry = None;
            secured.carry_used = 0;
            self.release(block);
        }
    }

    /// So many octets of the first input are done with.
    fn used_input(&mut self, slot: u32, bytes: u32) {
        let connection = &mut self.connections[slot];
        let Some(first) = self.pieces.first(&connection.inputs) else {
            return;
        };
        if bytes < first.bytes {
            if bytes > 0 {
                self.pieces.shorten_first(&mut connection.inputs, bytes);
            }
            return;
        }
        self.pieces.pop(&mut connection.inputs);
        if let Some(secured) = &mut connection.secured {
            secured.last = None;
        }
        self.release(first.slot);
    }

    /// The octets of a record have been read.
    pub(super) fn close_window(&mut self, slot: u32) {
        if let Some(secured) = &mut self.connections[slot].secured
            && let Some(window) = secured.window.take()
        {
            self.release(window.slot);
        }
    }

    /// The handshake is done: the connection becomes what it was made for.
    fn established(&mut self, slot: u32) -> Progress {
        self.metrics.add(Counter::Handshakes, 1);
        self.handshakes.leave(slot);
        let connection = &mut self.connections[slot];
        let Some(secured) = &connection.secured else {
            return Progress::Gone;
        };
        let is_resumed = secured.tls.is_resumed();
        self.metrics
            .add(Counter::HandshakesResumed, is_resumed.into());
        connection.stage = secured.then;
        match (connection.stage, connection.owner) {
            (Stage::Open, Some((session, leg))) => {
                if !self.is_proven(slot, session, leg) {
                    self.unproven(session, leg);
                    return Progress::Gone;
                }
                self.leg_up(session, leg, slot);
                self.greet(slot, session, leg);
            }
            _ => {
                let deadline = self.now + UNBOUND_FOR.as_millis() as u64;
                self.timers.set(slot, deadline);
            }
        }
        Progress::Again
    }

    /// Has the first octets of `tls_out` sent.
    fn send_record(&mut self, slot: u32, bytes: usize) {
        if bytes == 0 || !self.connections[slot].is_written() {
            return;
        }
        let Some(span) = self.arena_for_record(bytes) else {
            return self.broken(slot, Cause::NoMemory);
        };
        self.memory
            .octets_mut(span)
            .copy_from_slice(&self.tls_out[..bytes]);
        self.queue_sealed(slot, span);
        self.want_send(slot);
    }

    /// Whether so many octets, in two records at most, find room to be sealed and sent.
    fn has_room_for_record(&self, bytes: usize) -> bool {
        let in_arena = match &self.arena {
            Some(arena) => BLOCK_BYTES - arena.used as usize,
            None => 0,
        };
        let has_pieces = self.pieces.free() >= u32::from(self.settings.buffers) + 2;
        (in_arena >= bytes || self.pool.blocks_free() > 0) && has_pieces
    }

    fn queue_sealed(&mut self, slot: u32, span: Span) {
        let has_piece = self.pieces.free() > u32::from(self.settings.buffers);
        let connection = &mut self.connections[slot];
        let taken = connection.sending;
        let Some(secured) = &mut connection.secured else {
            return self.release(span.slot);
        };
        let last = self.pieces.last_mut(&secured.sealed, taken);
        if last.is_some_and(|last| last.slot == span.slot && last.end() == span.start) {
            self.pieces.grow_last(&mut secured.sealed, span.bytes);
            self.release(span.slot);
        } else if has_piece {
            self.pieces.push(&mut secured.sealed, span);
        } else {
            // Its number is used up: without it, the peer could open nothing that follows.
            self.release(span.slot);
            self.broken(slot, Cause::NoMemory);
        }
    }

    /// Seals what waits to be sent, into records as large as may be, as far as there is room.
    pub(super) fn seal(&mut self, slot: u32) {
        loop {
            let connection = &mut self.connections[slot];
            let Some(secured) = &mut connection.secured else {
                return;
            };
            let bytes = connection.out.octets().min(PLAIN_BYTES_MAX as u64) as usize;
            let is_enough = secured.sealed.octets() >= SEALED_BYTES_MAX;
            if !secured.tls.is_open() || bytes == 0 || is_enough {
                return;
            }
            let (lead, tail) = secured.tls.around();
            // Looked for first: what has been sealed must be sent, or the peer misses a number.
            let wanted = KEY_UPDATE_BYTES_MAX + bytes + SEAL_BYTES_MAX;
            if !self.has_room_for_record(wanted) {
                return self.list_unsealed(slot);
            }
            let before = match &mut self.connections[slot].secured {
                Some(secured) => secured.tls.before_data(&mut self.tls_out[..]),
                None => return,
            };
            let Ok(before) = before else {
                return self.worn_out(slot);
            };
            self.send_record(slot, before);
            if !self.connections[slot].is_written() {
                return;
            }
            let Some(span) = self.arena_for_record(lead + bytes + tail) else {
                return self.broken(slot, Cause::NoMemory);
            };
            self.gather(slot, span.slot, span.start + lead as u32, bytes as u32);
            let record = self.memory.octets_mut(span);
            let sealed = match &mut self.connections[slot].secured {
                Some(secured) => {
                    secured.unsealed_since = None;
                    secured.tls.seal(record).is_ok()
                }
                None => false,
            };
            if !sealed {
                self.release(span.slot);
                return self.broken(slot, Cause::Reset);
            }
            self.queue_sealed(slot, span);
        }
    }

    /// The key of a TLS 1.2 connection has protected all it may: what waits stays unsaid, and the
    /// peer is told in form that our direction ends.
    fn worn_out(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        connection.out_open = false;
        connection.said_goodbye = true;
        let mut out = std::mem::replace(&mut connection.out, Queue::EMPTY);
        self.release_all(&mut out);
        self.ended(slot, Cause::Reset);
    }

    /// Copies so many octets of what waits to be sent to one place.
    fn gather(&mut self, slot: u32, to: u32, mut at: u32, bytes: u32) {
        let end = at + bytes;
        while at < end {
            let connection = &mut self.connections[slot];
            let Some(first) = self.pieces.first(&connection.out) else {
                return;
            };
            let bytes = first.bytes.min(end - at);
            let place = Span {
                slot: to,
                start: at,
                bytes,
            };
            self.memory.copy(Span { bytes, ..first }, place);
            at += bytes;
            if bytes < first.bytes {
                self.pieces.shorten_first(&mut connection.out, bytes);
            } else {
                self.pieces.pop(&mut connection.out);
                self.release(first.slot);
            }
        }
    }

    fn list_unsealed(&mut self, slot: u32) {
        if let Some(secured) = &mut self.connections[slot].secured
            && !std::mem::replace(&mut secured.listed_unsealed, true)
        {
            secured.unsealed_since.get_or_insert(self.now);
            self.unsealed.push(slot);
            if self.connections[slot].stage == Stage::Open {
                self.look_after_later(slot);
            }
        }
    }

    /// Lets those seal that found no room.
    pub(super) fn retry_unsealed(&mut self) {
        while let Some(slot) = self.unsealed.pop() {
            let connection = self.connections.get_mut(slot);
            if let Some(secured) = connection.and_then(|it| it.secured.as_mut()) {
                secured.listed_unsealed = false;
                self.want_send(slot);
            }
        }
    }

    /// All is sent: tells the peer that our direction ends. `false`: it needs no telling.
    pub(super) fn say_close(&mut self, slot: u32) -> bool {
        let has_room = self.has_room_for_record(SEAL_BYTES_MAX + 2);
        let Some(secured) = &mut self.connections[slot].secured else {
            return false;
        };
        let is_told = std::mem::replace(&mut secured.said_close, true);
        if is_told || !has_room {
            return false;
        }
        let bytes = secured.tls.close(&mut self.tls_out[..]);
        if bytes == 0 {
            return false;
        }
        self.send_record(slot, bytes);
        true
    }
}
