//! SIP over TCP: streams between control and those handsets that use them. What is written arrives in its order, in
//! pieces of any size, and a stream may be cut anywhere.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use control::sip::{Flow, Frame, Framer, SipTransport};

use super::server::Input;
use super::sip::Message;
use super::world::{Act, Due, World};

/// The largest SIP message that control reads.
const MESSAGE_BYTES_MAX: usize = 65_535;

/// A stream that is not cut.
pub struct Stream {
    handset: usize,
    /// What the handset has read and is no whole message yet.
    read: Vec<u8>,
    /// When the last piece arrives, up and down.
    arrives: [u64; 2],
}

/// A process' end of its streams: as far as it knows.
#[derive(Default)]
pub struct Known {
    framers: HashMap<u64, (SocketAddr, Framer)>,
    /// The newest to each peer.
    by_peer: BTreeMap<SocketAddr, u64>,
}

impl Known {
    fn add(&mut self, number: u64, peer: SocketAddr) {
        let framer = Framer::new(MESSAGE_BYTES_MAX);
        self.framers.insert(number, (peer, framer));
        self.by_peer.insert(peer, number);
    }

    fn forget(&mut self, number: u64) {
        if let Some((peer, _)) = self.framers.remove(&number)
            && self.by_peer.get(&peer) == Some(&number)
        {
            self.by_peer.remove(&peer);
        }
    }

    /// By which stream a flow goes, if one is there.
    fn of(&self, flow: Flow) -> Option<u64> {
        let number = flow
            .connection
            .or_else(|| self.by_peer.get(&flow.peer).copied())?;
        self.framers.contains_key(&number).then_some(number)
    }

    /// What is read on a stream.
    pub fn read(&mut self, number: u64, octets: &[u8]) -> Vec<(Flow, Vec<u8>)> {
        let Some((peer, framer)) = self.framers.get_mut(&number) else {
            return Vec::new();
        };
        framer.push(octets);
        let mut messages = Vec::new();
        while let Some(frame) = framer.next_frame().expect("handsets write what is right") {
            let Frame::Message(octets) = frame else {
                panic!("handsets do not ping");
            };
            messages.push((flow(*peer, number), octets));
        }
        messages
    }
}

fn flow(peer: SocketAddr, number: u64) -> Flow {
    Flow {
        transport: SipTransport::Tcp,
        peer,
        connection: Some(number),
    }
}

impl World {
    /// A stream is there, whoever has asked for it.
    fn stream_opens(&mut self, handset: usize) -> Option<u64> {
        let peer = self.handsets[handset].address;
        let process = self.control.as_mut()?;
        self.last_stream += 1;
        let number = self.last_stream;
        process.streams.add(number, peer);
        let stream = Stream {
            handset,
            read: Vec::new(),
            arrives: [self.now; 2],
        };
        self.streams.insert(number, stream);
        self.handsets[handset].stream = Some(number);
        Some(number)
    }

    /// Control sends by a stream, which it opens if need be.
    pub(super) fn stream_down(&mut self, flow: Flow, octets: &[u8]) {
        let known = self.control.as_ref().and_then(|p| p.streams.of(flow));
        let mut handsets = self.handsets.iter();
        let handset = handsets.position(|h| h.address == flow.peer && h.by_tcp);
        let number = match (known, flow.connection, handset) {
            (Some(number), ..) => Some(number),
            (None, None, Some(handset)) => self.stream_opens(handset),
            (None, ..) => None,
        };
        match number {
            Some(number) => self.stream_carries(number, 1, octets),
            None => {
                // Nobody listens there, or it is gone.
                self.last_stream += 1;
                let connection = flow.connection.or(Some(self.last_stream));
                self.input(Input::FlowLost(Flow { connection, ..flow }));
            }
        }
    }

    /// A handset sends by its stream, which it opens if need be.
    pub(super) fn stream_up(&mut self, handset: usize, octets: &[u8]) {
        let known = self.handsets[handset].stream;
        let known = known.filter(|number| self.streams.contains_key(number));
        // Without a process it is refused, and what was to be sent is lost.
        if let Some(number) = known.or_else(|| self.stream_opens(handset)) {
            self.stream_carries(number, 0, octets);
        }
    }

    /// Octets go by a stream, up (0) or down, in pieces. What is cut off does not arrive.
    fn stream_carries(&mut self, number: u64, way: usize, octets: &[u8]) {
        let single = self.chance.percent(20);
        let mut rest = octets;
        let mut at = match self.streams.get(&number) {
            Some(stream) => stream.arrives[way].max(self.now),
            None => return,
        };
        while !rest.is_empty() {
            let most = match (single, self.chance.below(4)) {
                (true, _) if octets.len() - rest.len() < 60 => 1,
                (_, 0) => 1 + self.chance.below(4) as usize,
                _ => 1 + self.chance.below(900) as usize,
            };
            let (piece, after) = rest.split_at(most.min(rest.len()));
            at += self.chance.below(1 + self.plan.datagram_ms / 8);
            let octets = piece.to_vec();
            self.at(at, Due::Piece(number, way, octets));
            rest = after;
        }
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.arrives[way] = at;
        }
    }

    pub(super) fn piece_arrives(&mut self, number: u64, way: usize, octets: Vec<u8>) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        if way == 0 {
            self.note(&octets);
            return self.input(Input::Piece(number, octets));
        }
        stream.read.extend(&octets);
        let handset = stream.handset;
        self.note(&octets);
        while let Some(message) = self.streams.get_mut(&number).and_then(Stream::next_message) {
            self.handset_hears(handset, &message);
        }
    }

    /// A stream is cut: what is under way is lost, and each side learns of it in its own time.
    pub fn stream_breaks(&mut self) {
        let numbers: Vec<u64> = self.streams.keys().copied().collect();
        if numbers.is_empty() {
            return;
        }
        let number = self.chance.one_of(&numbers);
        let Some(stream) = self.streams.remove(&number) else {
            return;
        };
        self.seen.streams_cut += 1;
        let peer = self.handsets[stream.handset].address;
        let wait = self.chance.below(3_000);
        self.after(wait, Act::StreamMissed(flow(peer, number)));
        let wait = self.chance.below(3_000);
        self.after(wait, Act::StreamGone(stream.handset, number));
    }

    /// Control learns that a stream is gone.
    pub fn stream_is_missed(&mut self, flow: Flow) {
        let Some(process) = &mut self.control else {
            return;
        };
        if let Some(number) = flow
            .connection
            .filter(|_| process.streams.of(flow).is_some())
        {
            process.streams.forget(number);
            self.input(Input::FlowLost(flow));
        }
    }

    /// A handset learns that its stream is gone: it registers again, by another.
    pub fn stream_is_gone(&mut self, handset: usize, number: u64) {
        let it = &mut self.handsets[handset];
        if it.stream == Some(number) {
            it.stream = None;
            let wait = 20 + self.chance.below(1_500);
            self.after(wait, Act::Registers(handset));
        }
    }

    /// The process is gone, and its streams with it.
    pub(super) fn streams_end(&mut self) {
        for (number, stream) in std::mem::take(&mut self.streams) {
            let wait = self.chance.below(2_000);
            self.after(wait, Act::StreamGone(stream.handset, number));
        }
    }
}

impl Stream {
    /// Takes the next message from what was read.
    fn next_message(&mut self) -> Option<Vec<u8>> {
        let end = self.read.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = Message::read(&self.read[..end + 4]);
        let length: usize = head.header("Content-Length").parse().expect("a length");
        let whole = end + 4 + length;
        (self.read.len() >= whole).then(|| self.read.drain(..whole).collect())
    }
}

/// Where a handset is, as its Contact says it.
pub fn contact(user: &str, address: SocketAddr, by_tcp: bool) -> String {
    let transport = if by_tcp { ";transport=tcp" } else { "" };
    format!("<sip:{user}@{address}{transport}>")
}
