//! A ring without a kernel. It keeps the contract of [`Ring`] and is otherwise as unkind as a
//! network can be: operations complete late and out of order, receives bring an octet or two,
//! sends take a part, multishot receives end for no reason, buffers run out.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use relay::buffers::Span;
use relay::limits::{DATA_BYTES, HEADROOM_BYTES};
use relay::ring::{Completion, Memory, Ring, Token};

use crate::chance::Chance;

/// A connection between the shard and a peer of the test.
#[derive(Default)]
pub struct Link {
    to_shard: VecDeque<u8>,
    to_peer: Vec<u8>,
    peer_ended: bool,
    shard_ended: bool,
    reset: bool,
    closed: bool,
    stalled: bool,
    /// Octets that the peer takes before it stalls.
    takes: Option<usize>,
    /// Where the shard has connected from, if it has; port 0 is any.
    from: Option<SocketAddr>,
    user_timeout: Duration,
}

enum Waiting {
    Accept {
        listener: u32,
    },
    Connect {
        from: SocketAddr,
        peer: SocketAddr,
        user_timeout: Duration,
    },
    Receive,
    Send {
        spans: Vec<Span>,
    },
    Shutdown,
    Close,
}

struct Listening {
    at: SocketAddr,
    user_timeout: Duration,
    backlog: VecDeque<usize>,
    accepted_from: Option<SocketAddr>,
}

/// The ring, and the network behind it.
pub struct FakeRing {
    chance: Chance,
    memory: Memory,
    buffers: VecDeque<u16>,
    listening: BTreeMap<u32, Listening>,
    /// Where peers of the test listen, and who has connected there.
    reachable: BTreeMap<SocketAddr, Vec<usize>>,
    links: Vec<Link>,
    slots: BTreeMap<u32, usize>,
    waiting: Vec<(Token, Waiting)>,
    completions: VecDeque<Completion>,
    enters: u64,
    /// No more faults: everything completes as soon as it can.
    pub kind: bool,
    /// The address of this machine from which every peer is reached.
    pub route: Option<IpAddr>,
}

impl FakeRing {
    /// A ring whose unkindness follows from the seed.
    pub fn new(seed: u64, memory: Memory, buffers: u16) -> FakeRing {
        FakeRing {
            chance: Chance::new(seed),
            memory,
            buffers: (0..buffers).collect(),
            listening: BTreeMap::new(),
            reachable: BTreeMap::new(),
            links: Vec::new(),
            slots: BTreeMap::new(),
            waiting: Vec::new(),
            completions: VecDeque::new(),
            enters: 0,
            kind: false,
            route: None,
        }
    }

    /// A peer connects to a port of the shard, at whatever address. `None`: refused.
    pub fn dial(&mut self, port: u16) -> Option<usize> {
        let at = self
            .listening
            .values()
            .map(|listening| listening.at)
            .find(|at| at.port() == port)?;
        self.dial_at(at)
    }

    /// A peer connects to this address of the shard's. `None`: refused.
    pub fn dial_at(&mut self, at: SocketAddr) -> Option<usize> {
        let listening = self
            .listening
            .values_mut()
            .find(|listening| listening.at == at)?;
        let link = self.links.len();
        self.links.push(Link {
            user_timeout: listening.user_timeout,
            ..Link::default()
        });
        listening.backlog.push_back(link);
        Some(link)
    }

    /// A peer listens here from now on.
    pub fn answer_at(&mut self, address: SocketAddr) {
        self.reachable.entry(address).or_default();
    }

    /// Where the shard has connected from on this link.
    pub fn connected_from(&self, link: usize) -> Option<SocketAddr> {
        self.links[link].from
    }

    /// The user timeout of a link's connection, as the shard has wished it.
    pub fn user_timeout(&self, link: usize) -> Duration {
        self.links[link].user_timeout
    }

    /// Links by which the shard has connected to this address.
    pub fn connected_to(&mut self, address: SocketAddr) -> Vec<usize> {
        self.reachable
            .get_mut(&address)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// The peer sends.
    pub fn peer_sends(&mut self, link: usize, octets: &[u8]) {
        let link = &mut self.links[link];
        if !link.peer_ended && !link.reset {
            link.to_shard.extend(octets);
        }
    }

    /// Takes what has arrived at the peer.
    pub fn peer_reads(&mut self, link: usize) -> Vec<u8> {
        std::mem::take(&mut self.links[link].to_peer)
    }

    /// The peer ends its direction.
    pub fn peer_ends(&mut self, link: usize) {
        self.links[link].peer_ended = true;
    }

    /// The peer is gone, at once.
    pub fn peer_resets(&mut self, link: usize) {
        self.links[link].reset = true;
        self.links[link].to_shard.clear();
    }

    /// The peer takes nothing more, or goes on taking.
    pub fn peer_stalls(&mut self, link: usize, stalled: bool) {
        self.links[link].stalled = stalled;
    }

    /// The peer takes so many octets more, and then nothing.
    pub fn peer_takes(&mut self, link: usize, octets: usize) {
        self.links[link].stalled = false;
        self.links[link].takes = Some(octets);
    }

    /// Whether the shard has ended its direction of the link.
    pub fn ended_by_shard(&self, link: usize) -> bool {
        self.links[link].shard_ended || self.links[link].closed
    }

    /// Whether the link was broken, by the peer or by a listener that closed before it was accepted.
    pub fn is_reset(&self, link: usize) -> bool {
        self.links[link].reset
    }

    /// Operations that have not completed.
    pub fn operations(&self) -> usize {
        self.waiting.len()
    }

    /// Whether completions wait to be taken.
    pub fn has_completions(&self) -> bool {
        !self.completions.is_empty()
    }

    /// Whether an operation that waits has something to go on with.
    pub fn can_go_on(&self) -> bool {
        self.waiting.iter().any(|(token, waiting)| {
            let link = self.slots.get(&token.slot).map(|link| &self.links[*link]);
            match waiting {
                Waiting::Accept { listener } => {
                    let listening = self.listening.get(listener);
                    listening.is_none_or(|listening| !listening.backlog.is_empty())
                }
                Waiting::Receive => {
                    link.is_some_and(|l| l.reset || l.peer_ended || !l.to_shard.is_empty())
                }
                Waiting::Send { .. } => link.is_some_and(|link| link.reset || !link.stalled),
                Waiting::Connect { .. } | Waiting::Shutdown | Waiting::Close => true,
            }
        })
    }

    /// Receive buffers that the ring has.
    pub fn buffers(&self) -> usize {
        self.buffers.len()
    }

    fn complete(&mut self, token: Token, result: Result<u32, i32>, more: bool) {
        self.completions.push_back(Completion {
            token,
            result,
            buffer: None,
            more,
        });
    }

    fn link_of(&mut self, token: Token) -> &mut Link {
        let link = self.slots[&token.slot];
        &mut self.links[link]
    }

    /// Tries to let one operation go on; whether it is still waiting.
    fn try_one(&mut self, token: Token, waiting: &mut Waiting) -> bool {
        match waiting {
            Waiting::Accept { listener } => self.try_accept(token, *listener),
            Waiting::Connect {
                from,
                peer,
                user_timeout,
            } => {
                let dialled = Link {
                    from: Some(*from),
                    user_timeout: *user_timeout,
                    ..Link::default()
                };
                let peer = *peer;
                self.try_connect(token, peer, dialled);
                false
            }
            Waiting::Receive => self.try_receive(token),
            Waiting::Send { spans } => {
                let spans = std::mem::take(spans);
                let still = self.try_send(token, &spans);
                if still {
                    *waiting = Waiting::Send { spans };
                }
                still
            }
            Waiting::Shutdown => {
                self.link_of(token).shard_ended = true;
                self.complete(token, Ok(0), false);
                false
            }
            Waiting::Close => {
                let link = self
                    .slots
                    .remove(&token.slot)
                    .expect("an open slot is closed");
                self.links[link].closed = true;
                self.complete(token, Ok(0), false);
                false
            }
        }
    }

    fn try_accept(&mut self, token: Token, listener: u32) -> bool {
        let Some(listening) = self.listening.get_mut(&listener) else {
            self.complete(token, Err(libc::EINVAL), false);
            return false;
        };
        let Some(link) = listening.backlog.pop_front() else {
            return true;
        };
        listening.accepted_from = Some(SocketAddr::from(([127, 0, 0, 1], 40_000 + link as u16)));
        let former = self.slots.insert(token.slot, link);
        assert!(former.is_none(), "slot {} is in use", token.slot);
        self.complete(token, Ok(0), false);
        false
    }

    fn try_connect(&mut self, token: Token, peer: SocketAddr, dialled: Link) {
        let link = self.links.len();
        self.links.push(dialled);
        let former = self.slots.insert(token.slot, link);
        assert!(former.is_none(), "slot {} is in use", token.slot);
        match self.reachable.get_mut(&peer) {
            Some(links) => {
                links.push(link);
                self.complete(token, Ok(0), false);
            }
            None => self.complete(token, Err(libc::ECONNREFUSED), false),
        }
    }

    fn try_receive(&mut self, token: Token) -> bool {
        let kind = self.kind;
        let link = self.link_of(token);
        if link.reset {
            self.complete(token, Err(libc::ECONNRESET), false);
            return false;
        }
        if link.to_shard.is_empty() {
            if link.peer_ended {
                self.complete(token, Ok(0), false);
            }
            return !self.link_of(token).peer_ended;
        }
        if !kind && self.chance.percent(3) {
            // The kernel may end a multishot receive at any time, without an error of its own.
            return self.receive_some(token, false);
        }
        self.receive_some(token, true)
    }

    fn receive_some(&mut self, token: Token, more: bool) -> bool {
        let Some(buffer) = self.buffers.pop_front() else {
            self.complete(token, Err(libc::ENOBUFS), false);
            return false;
        };
        let waiting = self.link_of(token).to_shard.len().min(DATA_BYTES);
        let bytes = if self.kind {
            waiting
        } else {
            self.chance.piece(waiting)
        };
        let octets: Vec<u8> = self.link_of(token).to_shard.drain(..bytes).collect();
        let start = HEADROOM_BYTES as u32;
        let span = Span {
            slot: buffer.into(),
            start,
            bytes: bytes as u32,
        };
        self.memory.octets_mut(span).copy_from_slice(&octets);
        let (result, buffer) = (Ok(bytes as u32), Some(buffer));
        self.completions.push_back(Completion {
            token,
            result,
            buffer,
            more,
        });
        more
    }

    fn try_send(&mut self, token: Token, spans: &[Span]) -> bool {
        let all: usize = spans.iter().map(|span| span.bytes as usize).sum();
        assert!(all > 0, "an empty send was asked for");
        let link = self.link_of(token);
        assert!(!link.shard_ended, "something is sent after the end");
        if link.reset {
            self.complete(token, Err(libc::EPIPE), false);
            return false;
        }
        if link.stalled {
            return true;
        }
        let mut left = if self.kind {
            all
        } else {
            self.chance.piece(all)
        };
        let link = self.link_of(token);
        if let Some(takes) = &mut link.takes {
            left = left.min(*takes);
            *takes -= left;
            if *takes == 0 {
                (link.takes, link.stalled) = (None, true);
            }
        }
        self.complete(token, Ok(left as u32), false);
        for span in spans {
            let taken = left.min(span.bytes as usize);
            let octets = self
                .memory
                .octets(Span {
                    bytes: taken as u32,
                    ..*span
                })
                .to_vec();
            self.link_of(token).to_peer.extend(octets);
            left -= taken;
        }
        false
    }
}

impl Ring for FakeRing {
    fn listen(&mut self, listener: u32, at: SocketAddr, user_timeout: Duration) -> io::Result<()> {
        if !self.kind && self.chance.percent(5) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let taken = self.listening.values().any(|listening| listening.at == at);
        assert!(!taken, "{at} is listened at already");
        let listening = Listening {
            at,
            user_timeout,
            backlog: VecDeque::new(),
            accepted_from: None,
        };
        let former = self.listening.insert(listener, listening);
        assert!(former.is_none(), "listener {listener} is open already");
        Ok(())
    }

    fn unlisten(&mut self, listener: u32) {
        let listening = self
            .listening
            .remove(&listener)
            .expect("an open listener is closed");
        for link in listening.backlog {
            self.links[link].reset = true;
        }
    }

    fn accept(&mut self, listener: u32, token: Token) {
        assert!(self.listening.contains_key(&listener));
        self.waiting.push((token, Waiting::Accept { listener }));
    }

    fn accepted_from(&self, listener: u32) -> Option<SocketAddr> {
        self.listening.get(&listener)?.accepted_from
    }

    fn connect(
        &mut self,
        from: SocketAddr,
        peer: SocketAddr,
        user_timeout: Duration,
        token: Token,
    ) -> io::Result<()> {
        let connect = Waiting::Connect {
            from,
            peer,
            user_timeout,
        };
        self.waiting.push((token, connect));
        Ok(())
    }

    fn source_toward(&mut self, _: SocketAddr) -> Option<IpAddr> {
        self.route
    }

    fn receive(&mut self, token: Token) {
        let doubled = self.waiting.iter().any(|(other, _)| *other == token);
        assert!(!doubled, "one receive per connection");
        self.waiting.push((token, Waiting::Receive));
    }

    fn send(&mut self, spans: &[Span], token: Token) {
        let doubled = self.waiting.iter().any(|(other, _)| *other == token);
        assert!(!doubled, "one send per connection");
        self.waiting.push((
            token,
            Waiting::Send {
                spans: spans.to_vec(),
            },
        ));
    }

    fn shutdown(&mut self, token: Token) {
        self.waiting.push((token, Waiting::Shutdown));
    }

    fn close(&mut self, token: Token) {
        let busy = self
            .waiting
            .iter()
            .any(|(other, _)| other.slot == token.slot);
        assert!(!busy, "a slot is closed while operations are under way");
        self.waiting.push((token, Waiting::Close));
    }

    fn cancel(&mut self, token: Token) {
        if let Some(place) = self
            .waiting
            .iter()
            .position(|(waiting, _)| *waiting == token)
        {
            let (_, waiting) = self.waiting.remove(place);
            if let Waiting::Connect { .. } = waiting {
                // The descriptor is there all the same, and is to be closed.
                let link = self.links.len();
                self.links.push(Link::default());
                self.slots.insert(token.slot, link);
            }
            self.complete(token, Err(libc::ECANCELED), false);
        }
    }

    fn provide(&mut self, buffer: u16) {
        assert!(
            !self.buffers.contains(&buffer),
            "buffer {buffer} is given back twice"
        );
        self.buffers.push_back(buffer);
    }

    fn turn(&mut self, _: Option<Duration>) -> io::Result<()> {
        self.enters += 1;
        let mut waiting = std::mem::take(&mut self.waiting);
        while !waiting.is_empty() {
            let place = self.chance.below(waiting.len() as u64) as usize;
            let (token, mut operation) = waiting.swap_remove(place);
            let goes_on = self.kind || self.chance.percent(60);
            if !goes_on || self.try_one(token, &mut operation) {
                self.waiting.push((token, operation));
            }
        }
        Ok(())
    }

    fn completion(&mut self) -> Option<Completion> {
        self.completions.pop_front()
    }

    fn enters(&self) -> u64 {
        self.enters
    }
}
