//! One core's loop, where ring, transport, session and link meet.
//!
//! A turn takes in what has completed, does what follows from it, and leaves behind what is to be
//! submitted; then the ring is entered once for all of it. [`Shard::work`] is a turn without that
//! entry, and depends on nothing but the [`Ring`] it is given and the time it is told: the
//! simulator runs the same code.
//!
//! - `commands`: what control asks for; `events`: what control is told, and never lost.
//! - `listeners`, `connections`, `timers`, `realms`: tables.
//! - `legs`: how legs and sessions come up and end; `detached`: browsers that are lost and come back;
//!   `accept`: who comes to a listener; `look_after`: deadlines; `closing`: how connections end.
//! - `receive`: octets in, to parts of chunks; `forward`: parts out, under new paths; `send`;
//!   `flow`: what waits for a slow leg, and how much of it.
//! - `dispatch`: sessions that share a connection; `sharing`: which they are, and whose chunk is next.
//! - `secure`: TLS, on connections that have it; `handshakes`: how much time they may take;
//!   `proof`: whether a TLS peer is who it should be; `reload`: certificates anew.
//! - `run`: the thread around it all.

mod accept;
mod closing;
mod commands;
mod connections;
mod detached;
mod dispatch;
mod events;
mod flow;
mod forward;
mod handshakes;
mod legs;
mod listeners;
mod look_after;
mod proof;
mod realms;
mod receive;
mod reload;
mod run;
mod secure;
mod send;
mod sharing;
mod timers;
mod upgrade;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use link::{Counter, Leg};
use wire::msrp::status;

pub use events::Told;
pub use realms::Realm;
pub use reload::{Reload, Reloads};
pub use run::{Inbox, Start, run};

use crate::buffers::{Pieces, Pool, Released, Span};
use crate::limits::{
    ARENA_RESERVE, BLOCK_BYTES, BUFFER_BYTES, FAREWELL_PIECES, PIECES_PER_BUFFER, PIECES_RESERVE,
    PREFIX_BYTES_MAX, USER_TIMEOUTS_MAX,
};
use crate::metrics::Metrics;
use crate::ring::{Completion, Memory, Op, Ring};
use crate::session::{self, Sessions};
use crate::transport::tls;
use connections::{Connections, Receiving, Stage};
use events::Reports;
use handshakes::Handshakes;
use listeners::Listeners;
use sharing::Sharing;
use timers::Timers;

/// What a shard is made with. Sizes are per shard, taken at start, and never grow.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The networks it is in; one at least, and the first is meant where none is named.
    pub realms: Vec<Realm>,
    /// Its slice of the ports, for all realms.
    pub ports: Vec<u16>,
    /// Receive buffers; a power of two.
    pub buffers: u16,
    /// Blocks, for unfinished heads and for what we write ourselves.
    pub blocks: u32,
    /// Connections, those that are still to be accepted included.
    pub connections: u32,
    /// Sessions.
    pub sessions: u32,
    /// Requests that wait for their response.
    pub pending: u32,
    /// Octets of memory held for one slow leg, past which its source is not read.
    pub flow_bytes: u32,
    /// The largest message taken from a WebSocket.
    pub message_bytes_max: u64,
    /// TLS handshakes of accepted connections that may be half done.
    pub half_open: u32,
    /// Those among them that may be of one source.
    pub half_open_per_source: u32,
    /// TLS handshakes with accepted connections that are begun in a second.
    pub handshakes_per_second: u32,
    /// Microseconds for which it asks the network card itself before it sleeps; 0 is never.
    pub busy_poll_us: u32,
    /// Who it is to TLS peers. `None`: it has no certificate, and serves neither WSS nor TLS.
    pub identity: Option<tls::SharedIdentity>,
    /// Has the certificates behind it read anew.
    pub reload: Option<Reload>,
}

impl Settings {
    /// The memory that the shard needs.
    pub fn memory(&self) -> io::Result<Memory> {
        Memory::new(self.buffers, self.blocks)
    }

    /// Listening sockets that there may be: for each port one at each address of a realm.
    pub fn listeners(&self) -> u32 {
        let addresses = self.realms.iter().map(|realm| realm.addresses.len()).max();
        (self.ports.len() * addresses.unwrap_or(1)) as u32
    }

    /// Of those, how many may be open at once. Where legs share them, one of each kind and user timeout,
    /// and one that is closing; what would be one more is refused.
    pub fn listeners_open_max(&self) -> u32 {
        if self.realms.iter().any(|realm| realm.ports_exclusive) {
            return self.listeners().min(self.connections);
        }
        let addresses: usize = self.realms.iter().map(|realm| realm.addresses.len()).sum();
        let shared = 2 * listeners::KINDS * USER_TIMEOUTS_MAX;
        self.listeners().min(shared * addresses as u32)
    }
}

/// Where the arena's free octets are.
struct Arena {
    slot: u32,
    used: u32,
}

/// Pools, and where the most that was ever used of them is kept.
const HIGH_WATER: [(Counter, Counter); 5] = [
    (Counter::Sessions, Counter::SessionsMax),
    (Counter::Connections, Counter::ConnectionsMax),
    (Counter::Pending, Counter::PendingMax),
    (Counter::PathCells, Counter::PathCellsMax),
    (Counter::Pieces, Counter::PiecesMax),
];

/// One core's share of the relay.
pub struct Shard<R: Ring> {
    ring: R,
    memory: Memory,
    pool: Pool,
    pieces: Pieces,
    arena: Option<Arena>,
    connections: Connections,
    listeners: Listeners,
    sessions: Sessions,
    sharing: Sharing,
    timers: Timers,
    reports: Reports,
    /// Connections with something to send.
    to_send: Vec<u32>,
    /// Connections whose input waits for room, or has just been woken.
    parked: Vec<u32>,
    /// The same list while it is gone through, so that neither is ever allocated anew.
    parked_before: Vec<u32>,
    /// Connections whose receive ended for want of buffers, the first of them in front.
    starved: VecDeque<u32>,
    /// Connections that found no room to seal what they are to send.
    unsealed: Vec<u32>,
    handshakes: Handshakes,
    /// Control's token and the number under which certificates are being read anew.
    reloading: Option<(u64, u64)>,
    /// What TLS itself has to say, before it has a place.
    tls_out: Box<[u8; tls::OUT_BYTES_MAX]>,
    /// Listeners that could not begin an accept.
    unattended: VecDeque<u32>,
    /// When they are tried again.
    attend_at: u64,
    scratch: Box<session::Scratch>,
    random: Random,
    settings: Settings,
    metrics: Metrics,
    now: u64,
    /// How many connections have left from a pool of sources.
    sources_used: u32,
    draining: bool,
    /// Something that parked or starved connections wait for has come.
    relieved: bool,
}

/// Where random octets come from: the kernel, or a seed in a simulation.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

impl<R: Ring> Shard<R> {
    /// A shard with nothing to do. `memory` is its [`Settings::memory`], and the ring was given
    /// its first [`Settings::buffers`].
    pub fn new(settings: Settings, ring: R, memory: Memory, random: Random) -> Shard<R> {
        let connections = settings.connections;
        let pieces = PIECES_PER_BUFFER * (u32::from(settings.buffers) + settings.blocks);
        let listeners = Listeners::new(&settings.ports, settings.listeners());
        Shard {
            ring,
            memory,
            pool: Pool::new(settings.buffers, settings.blocks),
            pieces: Pieces::new(pieces),
            arena: None,
            connections: Connections::new(connections, settings.message_bytes_max),
            unattended: VecDeque::with_capacity(listeners.capacity() as usize),
            attend_at: 0,
            listeners,
            sessions: Sessions::new(session::Settings {
                sessions: settings.sessions,
                pending: settings.pending,
            }),
            sharing: Sharing::new(settings.sessions),
            timers: Timers::new(connections + 2 * settings.sessions),
            reports: Reports::new(settings.sessions),
            to_send: Vec::with_capacity(connections as usize),
            parked: Vec::with_capacity(connections as usize),
            parked_before: Vec::with_capacity(connections as usize),
            starved: VecDeque::with_capacity(connections as usize),
            unsealed: Vec::with_capacity(connections as usize),
            reloading: None,
            handshakes: Handshakes::new(
                settings.half_open,
                settings.half_open_per_source,
                settings.handshakes_per_second,
            ),
            tls_out: Box::new([0; tls::OUT_BYTES_MAX]),
            scratch: Box::new([0; PREFIX_BYTES_MAX]),
            random,
            settings,
            metrics: Metrics::new(),
            now: 0,
            sources_used: 0,
            draining: false,
            relieved: false,
        }
    }

    /// Everything that can be done now; `now` is in milliseconds of any clock that only goes
    /// forward.
    pub fn work(&mut self, now: u64) {
        self.now = now;
        self.metrics.add(Counter::Turns, 1);
        self.handshakes.turn(now);
        while let Some(completion) = self.ring.completion() {
            self.metrics.add(Counter::Completions, 1);
            self.completed(completion);
        }
        while let Some(owner) = self.timers.fire(now) {
            self.metrics.add(Counter::Timeouts, 1);
            self.timer_fired(owner);
        }
        while let Some(request) = self.sessions.expire_pending(now) {
            self.report(&request, status::TIMEOUT);
        }
        self.go_on_with_handshakes();
        self.look_after_reload();
        self.retry();
        self.send_all();
        self.settle_arena();
    }

    /// Submits what [`Shard::work`] has left to submit, and waits for completions.
    pub fn enter(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.ring.turn(wait)
    }

    /// When [`Shard::work`] has something to do again even if nothing completes.
    pub fn deadline(&self) -> Option<u64> {
        let waits =
            !(self.parked.is_empty() && self.starved.is_empty() && self.unsealed.is_empty());
        if self.relieved && waits {
            return Some(self.now);
        }
        let pending = self.sessions.pending_deadline();
        let retry = (!self.unattended.is_empty()).then_some(self.attend_at);
        [
            self.timers.next(),
            pending,
            retry,
            self.handshakes.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The ring, for the simulator to look into.
    pub fn ring(&mut self) -> &mut R {
        &mut self.ring
    }

    /// All counters as of now.
    pub fn metrics(&mut self) -> &Metrics {
        let gauges = [
            (Counter::Enters, self.ring.enters()),
            (Counter::Sessions, self.sessions.len().into()),
            (Counter::Connections, self.connections.len().into()),
            (Counter::Listeners, self.listeners.len().into()),
            (Counter::PortsUsed, self.listeners.ports_used().into()),
            (
                Counter::PortsUsedMax,
                self.listeners.ports_used_max().into(),
            ),
            (Counter::PathCells, self.sessions.texts_used().into()),
            (Counter::Pieces, self.pieces.used().into()),
            (Counter::Buffers, self.settings.buffers.into()),
            (Counter::BuffersHeld, self.pool.buffers_held().into()),
            (Counter::BuffersHeldMax, self.pool.buffers_held_max().into()),
            (Counter::BlocksHeld, self.pool.blocks_held().into()),
            (Counter::BlocksHeldMax, self.pool.blocks_held_max().into()),
            (Counter::HeldBytes, self.held_bytes()),
            (Counter::HalfOpen, self.handshakes.half_open().into()),
            (Counter::Timers, self.timers.len().into()),
            (Counter::Pending, self.sessions.pending().into()),
        ];
        for (counter, value) in gauges {
            self.metrics.set(counter, value);
        }
        for (counter, max) in HIGH_WATER {
            self.metrics.raise(max, self.metrics.get(counter));
        }
        &self.metrics
    }

    /// Counts one.
    pub fn count(&mut self, counter: Counter) {
        self.metrics.add(counter, 1);
    }

    /// States how often the shard's thread has allocated since it began to serve.
    pub fn count_allocations(&mut self, allocations: u64) {
        self.metrics.set(Counter::Allocations, allocations);
    }

    fn held_bytes(&self) -> u64 {
        u64::from(self.pool.buffers_held()) * BUFFER_BYTES as u64
            + u64::from(self.pool.blocks_held()) * BLOCK_BYTES as u64
    }

    /// Cells of paths in use; with all sessions gone, none.
    pub fn texts_used(&self) -> u32 {
        self.sessions.texts_used()
    }

    /// Readings of what peers say that have begun and not ended; with all connections gone, none.
    pub fn readings(&self) -> usize {
        self.connections.readings()
    }

    fn completed(&mut self, completion: Completion) {
        let token = completion.token;
        match token.op {
            Op::Wake | Op::Cancel => return,
            Op::Receive => return self.received(completion),
            _ => {}
        }
        let Some(connection) = self.connections.of_token(token) else {
            debug_assert!(false, "a slot is not reused while operations are under way");
            return;
        };
        connection.operations -= 1;
        match token.op {
            Op::Accept => self.accepted(token.slot, completion.result),
            Op::Connect => self.connected(token.slot, completion.result),
            Op::Send => self.sent(token.slot, completion.result),
            Op::Shutdown => self.shut_down(token.slot),
            Op::Close => self.closed(token.slot),
            Op::Receive | Op::Wake | Op::Cancel => {}
        }
    }

    /// Timers are numbered: connections by their slot, then the legs of sessions.
    fn timer_of_leg(&self, session: u32, leg: Leg) -> u32 {
        self.settings.connections + 2 * session + leg.index() as u32
    }

    fn timer_fired(&mut self, owner: u32) {
        match owner.checked_sub(self.settings.connections) {
            None => self.connection_timed_out(owner),
            Some(leg) => self.leg_timed_out(leg / 2, Leg::ALL[leg as usize % 2]),
        }
    }

    /// Lets those go on that waited for room, buffers, a leg or a path.
    fn retry(&mut self) {
        if self.now >= self.attend_at {
            for _ in 0..self.unattended.len() {
                if let Some(listener) = self.unattended.pop_front() {
                    self.attend(listener);
                }
            }
        }
        if !self.relieved {
            return;
        }
        self.relieved = false;
        if !self.unsealed.is_empty() {
            // Before others take what has come free: sealing gives back more than it takes.
            self.retry_unsealed();
            self.send_all();
        }
        std::mem::swap(&mut self.parked, &mut self.parked_before);
        while let Some(slot) = self.parked_before.pop() {
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.listed_parked = false;
                self.read(slot);
            }
        }
        let buffers_free = self.pool.buffers_held() < u32::from(self.settings.buffers);
        for _ in 0..self.starved.len() {
            if !buffers_free {
                break;
            }
            if let Some(slot) = self.starved.pop_front()
                && let Some(connection) = self.connections.get_mut(slot)
            {
                connection.listed_starved = false;
                self.receive_if_wanted(slot);
            }
        }
    }

    /// Whether one more part can be handled, whatever it asks for.
    fn has_room(&self) -> bool {
        let arena = match &self.arena {
            Some(arena) => BLOCK_BYTES - arena.used as usize >= ARENA_RESERVE,
            None => false,
        };
        let (free, for_sealing) = (self.pool.blocks_free(), self.blocks_for_sealing());
        (arena && free >= for_sealing || free > for_sealing)
            && self.pieces.free() >= self.pieces_set_aside() + PIECES_RESERVE
    }

    /// Pieces that only inputs and farewells may use: there is one for each receive buffer, so that
    /// what has been received can always be remembered.
    fn pieces_set_aside(&self) -> u32 {
        u32::from(self.settings.buffers) + FAREWELL_PIECES
    }

    /// Blocks that only records being sent may use. What waits to be sealed can hold all others, and
    /// still one record after the other goes out and gives back what it was made of.
    fn blocks_for_sealing(&self) -> u32 {
        match self.settings.identity {
            Some(_) => (self.settings.blocks / 8).max(1),
            None => 0,
        }
    }

    /// Room for octets of our own, with a holder for the caller. `None`: all blocks are held, but
    /// for those that are for sealing.
    fn arena(&mut self, bytes: usize) -> Option<Span> {
        self.arena_beside(bytes, self.blocks_for_sealing())
    }

    /// Room for a record, which is given back as soon as it is sent.
    fn arena_for_record(&mut self, bytes: usize) -> Option<Span> {
        self.arena_beside(bytes, 0)
    }

    fn arena_beside(&mut self, bytes: usize, left: u32) -> Option<Span> {
        let full = self
            .arena
            .as_ref()
            .is_none_or(|a| a.used as usize + bytes > BLOCK_BYTES);
        if full {
            if let Some(former) = self.arena.take() {
                self.release(former.slot);
            }
            if self.pool.blocks_free() <= left {
                return None;
            }
            let slot = self.pool.take_block()?;
            self.arena = Some(Arena { slot, used: 0 });
        }
        // A block that sealing has opened is no room for others until its own are whole again.
        if self.pool.blocks_free() < left {
            return None;
        }
        let arena = self.arena.as_mut()?;
        let span = Span {
            slot: arena.slot,
            start: arena.used,
            bytes: bytes as u32,
        };
        arena.used += bytes as u32;
        self.pool.hold(span.slot);
        Some(span)
    }

    /// Puts octets of our own into the arena.
    fn arena_copy(&mut self, parts: &[&[u8]]) -> Option<Span> {
        let span = self.arena(parts.iter().map(|part| part.len()).sum())?;
        let mut out = self.memory.octets_mut(span);
        for part in parts {
            let (here, after) = out.split_at_mut(part.len());
            here.copy_from_slice(part);
            out = after;
        }
        Some(span)
    }

    /// An arena that nobody else holds is given back: an idle shard holds nothing.
    fn settle_arena(&mut self) {
        if let Some(arena) = &self.arena
            && self.pool.holders(arena.slot) == 1
        {
            let slot = arena.slot;
            self.arena = None;
            self.release(slot);
        }
    }

    /// Lets go of a slot; without holder it goes back to where it came from.
    fn release(&mut self, slot: u32) {
        match self.pool.release(slot) {
            Released::Held => return,
            Released::Buffer(buffer) => self.ring.provide(buffer),
            Released::Block => {}
        }
        self.relieved = true;
    }

    fn receive_if_wanted(&mut self, slot: u32) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        let reads = connection.is_read() && !connection.paused && !connection.full;
        let discards = matches!(connection.stage, Stage::Draining | Stage::Ended);
        if connection.receiving == Receiving::Off
            && !connection.ended_by_peer
            && (reads || discards)
        {
            connection.receiving = Receiving::On;
            connection.operations += 1;
            let token = self.connections.token(Op::Receive, slot);
            self.ring.receive(token);
        }
    }

    /// Has the connection's input looked at again now that something it may wait for has come.
    fn wake(&mut self, slot: u32) {
        if std::mem::take(&mut self.connections[slot].waiting) {
            self.park(slot);
            self.relieved = true;
        }
    }

    /// Has the connection's input looked at again when something was given back.
    fn park(&mut self, slot: u32) {
        let connection = &mut self.connections[slot];
        if !connection.listed_parked {
            connection.listed_parked = true;
            self.parked.push(slot);
        }
    }
}
