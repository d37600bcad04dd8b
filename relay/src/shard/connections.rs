//! The connections of a shard, each in the slot that is also its direct descriptor.

use std::net::SocketAddr;
use std::ops::{Index, IndexMut};

use wire::msrp::Reader;

use super::secure::Secured;
use super::sharing::{LegOf, Line};
use crate::buffers::{Queue, Span};
use crate::limits::HEADROOM_BYTES;
use crate::ring::{Op, Token};
use crate::transport::{Transport, WebSocket};

/// Where a connection stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reserved for whoever connects next to this listener.
    Accepting(u32),
    /// Ours, on its way to the peer.
    Connecting,
    /// Made; the TLS handshake is under way.
    Securing,
    /// Accepted for a WebSocket leg; the upgrade request has not come yet.
    Upgrading,
    /// Accepted for a TCP leg; the first request, which says which, has not come yet.
    Unbound,
    /// Carries a leg.
    Open,
    /// Nothing more is read; what is queued goes out, then our direction ends.
    Draining,
    /// Our direction has ended; the peer's end or the deadline closes.
    Ended,
    /// Operations are being waited for or cancelled; then the descriptor is given back.
    Closing,
}

/// Whether octets are being received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiving {
    /// No receive is under way.
    Off,
    /// One is.
    On,
    /// One is, and was asked to end.
    Cancelling,
}

/// Octets of a slot that are still to be read.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// First octet, counted from the slot's beginning.
    pub start: u32,
    /// One past the last.
    pub end: u32,
    /// The message that carries the chunk ends with them.
    pub ends_message: bool,
}

/// An unfinished head, or an unfinished upgrade request, kept in a block until more comes.
#[derive(Clone, Copy, Debug)]
pub struct Carry {
    /// The block.
    pub slot: u32,
    /// Octets in it that are kept, from the end of the headroom on.
    pub bytes: u32,
}

impl Carry {
    /// The octets kept.
    pub fn span(&self) -> Span {
        Span {
            slot: self.slot,
            start: HEADROOM_BYTES as u32,
            bytes: self.bytes,
        }
    }

    /// Room for `bytes` more, right after those kept, which are counted as kept from now on.
    pub fn grow(&mut self, bytes: u32) -> Span {
        let start = HEADROOM_BYTES as u32 + self.bytes;
        self.bytes += bytes;
        Span {
            slot: self.slot,
            start,
            bytes,
        }
    }
}

/// A stretch of a slot with MSRP octets that are still to be read.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// The slot; the region is one of its holders.
    pub slot: u32,
    /// First octet, counted from the slot's beginning.
    pub start: u32,
    /// One past the last.
    pub end: u32,
    /// Octets of the slot before this are queued or being sent; from here on up to what is being
    /// read, they may be overwritten.
    pub floor: u32,
}

/// Where the reading of what a connection's peer says stands.
pub struct Reading {
    /// Finds heads, bodies and ends in what arrives.
    pub reader: Reader,
    /// Takes frames off, where there are frames.
    pub websocket: WebSocket,
}

impl Reading {
    fn new(message_bytes_max: u64) -> Reading {
        Reading {
            reader: Reader::new(),
            websocket: WebSocket::new(message_bytes_max),
        }
    }

    /// Nothing has begun that has not ended.
    fn is_fresh(&self) -> bool {
        self.reader.is_between_chunks() && self.websocket.is_between_messages()
    }
}

/// One connection.
pub struct Connection {
    /// Which use of the slot this is.
    pub generation: u16,
    /// Where it stands.
    pub stage: Stage,
    /// The leg it carries: session slot and side. Of several, the one that what is read is for.
    pub owner: Option<LegOf>,
    /// Legs that it carries.
    pub legs: u32,
    /// There have been several.
    pub was_shared: bool,
    /// Who is at the other end.
    pub peer: Option<SocketAddr>,
    /// Its TLS, if it has it.
    pub secured: Option<Box<Secured>>,
    /// What carries MSRP.
    pub transport: Transport,
    /// Where its [`Reading`] is, while something has begun that has not ended.
    reading: Option<u32>,
    /// How far an upgrade request has been looked through.
    pub scanned: usize,
    /// An unfinished head.
    pub carry: Option<Carry>,
    /// Received and not yet read.
    pub inputs: Queue,
    /// Where in the first input's slot the transport reads on.
    pub at: u32,
    /// As [`Region::floor`], for the first input's slot.
    pub floor: u32,
    /// MSRP octets of the first input that are not yet read.
    pub plain: Option<Plain>,
    /// A block in which an unfinished head was joined with what came after; read before `plain`.
    pub joined: Option<Region>,
    /// The chunk of the WebSocket message under way has ended: nothing more may come in it.
    pub message_over: bool,
    /// To be sent, in order. The first `sending` pieces are in a send under way.
    pub out: Queue,
    /// Pieces of the send under way.
    pub sending: u32,
    /// Messages of our own that wait for the end of the chunk under way.
    pub own: Queue,
    /// A chunk toward this peer has begun and not ended.
    pub out_open: bool,
    /// The leg of that chunk, or of the last one.
    pub out_leg: Option<LegOf>,
    /// That chunk goes by another transaction id than it came with.
    pub renames: bool,
    /// Legs whose chunks come after it.
    pub line: Line,
    /// Since when they wait for that chunk to end.
    pub line_since: u64,
    /// Others are not read because too much waits for this peer.
    pub presses: bool,
    /// Since when one session keeps those of the others from being read.
    pub held_up_since: Option<u64>,
    /// Octets of that chunk so far, as they are framed.
    pub out_bytes: u64,
    /// When the peer last took something, or began to be given something.
    pub took_at: u64,
    /// When the peer last went on with what it had begun to say; pongs are not part of it.
    pub went_on_at: u64,
    /// When the peer was last heard of.
    pub heard_at: u64,
    /// Pings since then.
    pub pings: u8,
    /// Whether octets are being received.
    pub receiving: Receiving,
    /// Nothing is received or read because too much waits for a slow leg: the other one, or this
    /// one, which has us answer.
    pub paused: bool,
    /// Nothing is received because too much of what was waits to be read.
    pub full: bool,
    /// The peer has ended its direction.
    pub ended_by_peer: bool,
    /// A WebSocket close frame of ours is on its way.
    pub said_goodbye: bool,
    /// Operations under way whose last completion has not come.
    pub operations: u8,
    /// Its input cannot be read on until the other leg or a path has come.
    pub waiting: bool,
    /// It is in the list of those with something to send.
    pub listed_to_send: bool,
    /// It is in the list of those that found no receive buffer.
    pub listed_starved: bool,
    /// It is in the list of those that could not be read on for want of something.
    pub listed_parked: bool,
}

impl Connection {
    fn new(generation: u16, stage: Stage) -> Connection {
        Connection {
            generation,
            stage,
            owner: None,
            legs: 0,
            was_shared: false,
            peer: None,
            secured: None,
            transport: Transport::Plain,
            reading: None,
            scanned: 0,
            carry: None,
            inputs: Queue::EMPTY,
            at: 0,
            floor: 0,
            plain: None,
            joined: None,
            message_over: false,
            out: Queue::EMPTY,
            sending: 0,
            own: Queue::EMPTY,
            out_open: false,
            out_leg: None,
            renames: false,
            line: Line::EMPTY,
            line_since: 0,
            presses: false,
            held_up_since: None,
            out_bytes: 0,
            took_at: 0,
            heard_at: 0,
            went_on_at: 0,
            pings: 0,
            receiving: Receiving::Off,
            paused: false,
            full: false,
            ended_by_peer: false,
            said_goodbye: false,
            operations: 0,
            waiting: false,
            listed_to_send: false,
            listed_starved: false,
            listed_parked: false,
        }
    }

    /// The upgrade is done: what follows are frames.
    pub fn become_websocket(&mut self) {
        self.stage = Stage::Open;
        self.transport = Transport::WebSocket;
    }

    /// Whether what arrives is still wanted.
    pub fn is_read(&self) -> bool {
        matches!(
            self.stage,
            Stage::Securing | Stage::Upgrading | Stage::Unbound | Stage::Open
        )
    }

    /// Whether something may still be queued for sending.
    pub fn is_written(&self) -> bool {
        matches!(
            self.stage,
            Stage::Securing | Stage::Upgrading | Stage::Unbound | Stage::Open | Stage::Draining
        )
    }

    /// Whether a chunk for this leg is under way on it.
    pub fn is_open_toward(&self, leg: LegOf) -> bool {
        self.out_open && self.out_leg == Some(leg)
    }

    /// What is handed to the kernel: what is to be sent, or the records that carry it.
    pub fn outgoing(&mut self) -> &mut Queue {
        match &mut self.secured {
            Some(secured) => &mut secured.sealed,
            None => &mut self.out,
        }
    }

    /// Pieces of `out` that must stay where they are, because the kernel reads them.
    pub fn out_fixed(&self) -> u32 {
        match self.secured {
            Some(_) => 0,
            None => self.sending,
        }
    }
}

/// All connections of a shard.
pub struct Connections {
    slots: Vec<Option<Connection>>,
    generations: Vec<u16>,
    free: Vec<u32>,
    capacity: u32,
    /// Readings under way. An idle connection needs none, and mostly few are used.
    readings: Vec<Reading>,
    readings_free: Vec<u32>,
    message_bytes_max: u64,
}

impl Connections {
    /// Room for so many, whose peers may send WebSocket messages of up to `message_bytes_max`.
    pub fn new(capacity: u32, message_bytes_max: u64) -> Connections {
        Connections {
            readings: Vec::with_capacity(capacity as usize),
            readings_free: Vec::with_capacity(capacity as usize),
            message_bytes_max,
            slots: Vec::with_capacity(capacity as usize),
            generations: Vec::with_capacity(capacity as usize),
            free: Vec::with_capacity(capacity as usize),
            capacity,
        }
    }

    /// How many there may still be.
    pub fn free(&self) -> u32 {
        self.capacity - self.len()
    }

    /// How many there are, reserved slots included.
    pub fn len(&self) -> u32 {
        self.slots.len() as u32 - self.free.len() as u32
    }

    /// Takes a slot into use. `None`: all are.
    pub fn open(&mut self, stage: Stage) -> Option<u32> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if (self.slots.len() as u32) < self.capacity => {
                self.slots.push(None);
                self.generations.push(0);
                self.slots.len() as u32 - 1
            }
            None => return None,
        };
        let generation = &mut self.generations[slot as usize];
        *generation = generation.wrapping_add(1);
        self.slots[slot as usize] = Some(Connection::new(*generation, stage));
        Some(slot)
    }

    /// Frees a slot.
    pub fn remove(&mut self, slot: u32) {
        let connection = self.slots[slot as usize].take();
        let reading = connection.as_ref().and_then(|it| it.reading);
        debug_assert!(connection.is_some_and(|connection| connection.operations == 0));
        if let Some(place) = reading {
            self.readings[place as usize] = Reading::new(self.message_bytes_max);
            self.readings_free.push(place);
        }
        self.free.push(slot);
    }

    /// Where the reading of a connection stands, to go on with. When that is over:
    /// [`Connections::settle_reading`].
    pub fn reading(&mut self, slot: u32) -> &mut Reading {
        let Some(connection) = &mut self.slots[slot as usize] else {
            panic!("no connection is in slot {slot}");
        };
        let place = connection.reading.get_or_insert_with(|| {
            self.readings_free.pop().unwrap_or_else(|| {
                self.readings.push(Reading::new(self.message_bytes_max));
                self.readings.len() as u32 - 1
            })
        });
        &mut self.readings[*place as usize]
    }

    /// What the reader of a connection is in the midst of. `None`: it is between chunks.
    pub fn reader(&self, slot: u32) -> Option<&Reader> {
        let place = self[slot].reading?;
        Some(&self.readings[place as usize].reader)
    }

    /// Keeps of a connection's reading only what has begun and not ended.
    pub fn settle_reading(&mut self, slot: u32) {
        if let Some(Some(connection)) = self.slots.get_mut(slot as usize)
            && let Some(place) = connection.reading
            && self.readings[place as usize].is_fresh()
        {
            connection.reading = None;
            self.readings_free.push(place);
        }
    }

    /// Readings that are kept; without connections, none.
    pub fn readings(&self) -> usize {
        self.readings.len() - self.readings_free.len()
    }

    /// The connection in a slot.
    pub fn get(&self, slot: u32) -> Option<&Connection> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// The connection in a slot.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Connection> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// The connection that a completion is for. `None`: it was for a former one.
    pub fn of_token(&mut self, token: Token) -> Option<&mut Connection> {
        self.get_mut(token.slot)
            .filter(|connection| connection.generation == token.generation)
    }

    /// The token for an operation of this connection.
    pub fn token(&self, op: Op, slot: u32) -> Token {
        Token {
            op,
            generation: self[slot].generation,
            slot,
        }
    }
}

impl Index<u32> for Connections {
    type Output = Connection;
    fn index(&self, slot: u32) -> &Connection {
        match &self.slots[slot as usize] {
            Some(connection) => connection,
            None => panic!("no connection is in slot {slot}"),
        }
    }
}

impl IndexMut<u32> for Connections {
    fn index_mut(&mut self, slot: u32) -> &mut Connection {
        match &mut self.slots[slot as usize] {
            Some(connection) => connection,
            None => panic!("no connection is in slot {slot}"),
        }
    }
}
