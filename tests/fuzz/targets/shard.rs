//! A whole shard on the fake ring: any octets from any peer, any command in any order, time that
//! jumps. It must not panic, say only what is well formed, and hold nothing at the end.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use link::Transport;
use link::{Command, Counter, Event, Leg, LegSpec, PeerIdentity, RECORD_BYTES, Record, SessionId};
use relay::shard::{Realm, Settings, Shard};
use tests::chance::Chance;
use tests::endpoint::Frames;
use tests::fake_ring::FakeRing;

use super::msrp::judge;

/// Sessions that a run may name.
const SESSIONS: usize = 4;
const BUFFERS: u16 = 32;
/// Operations of one run; what follows them is left out.
const OPERATIONS_MAX: usize = 400;

/// What peers are made to say, besides anything at all. `{L}` is the relay's URI toward the leg, `{R}`
/// the path of the leg's peer, `{W}` its resource.
const PHRASES: [&str; 16] = [
    "GET {W} HTTP/1.1\r\nHost: relay.invalid\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Protocol: msrp\r\n\r\n",
    "MSRP bind1234 SEND\r\nTo-Path: {L}\r\nFrom-Path: {R}\r\nMessage-ID: bind1\r\n\
     -------bind1234$\r\n",
    "MSRP open1234 SEND\r\nTo-Path: {L}\r\nFrom-Path: {R}\r\nMessage-ID: mess1\r\n\
     Byte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\n",
    "\r\n-------open1234$\r\n",
    "\r\n-------open1234+\r\n",
    "\r\n-------open1234#\r\n",
    "MSRP whole123 SEND\r\nTo-Path: {L}\r\nFrom-Path: {R}\r\nMessage-ID: mess2\r\n\
     Content-Type: text/plain\r\n\r\nhello\r\n-------whole123$\r\n",
    "MSRP whole456 SEND\r\nTo-Path: {L}\r\nFrom-Path: {R}\r\nMessage-ID: mess3\r\n\
     Failure-Report: no\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------whole456+\r\n",
    "MSRP whole123 200 OK\r\nTo-Path: {L}\r\nFrom-Path: {R}\r\n-------whole123$\r\n",
    "MSRP open1234 413 No\r\nTo-Path: {L}\r\nFrom-Path: {R}\r\n-------open1234$\r\n",
    "MSRP report12 REPORT\r\nTo-Path: {L}\r\nFrom-Path: {R}\r\nMessage-ID: mess2\r\n\
     Byte-Range: 1-5/5\r\nStatus: 000 200 OK\r\n-------report12$\r\n",
    "MSRP nick1234 NICKNAME\r\nTo-Path: {L}\r\nFrom-Path: {R}\r\nUse-Nickname: \"x\"\r\n\
     -------nick1234$\r\n",
    "MSRP long1234 SEND\r\nTo-Path: {L}\r\nFrom-Path: {R} {R}\r\nMessage-ID: mess4\r\n\
     Success-Report: yes\r\nX-Long: {R}{R}{R}{R}{R}{R}\r\nContent-Type: text/plain\r\n\r\nx\r\n\
     -------long1234$\r\n",
    "MSRP strange1 SEND\r\nTo-Path: {L}x\r\nFrom-Path: {R}\r\nMessage-ID: mess5\r\n\
     -------strange1$\r\n",
    "MSRP partial1 SEND\r\nTo-Path: {L}\r\nFrom-Path: {R}\r\nMessage-ID: mess6\r\n\
     Failure-Report: partial\r\nContent-Type: a/b\r\n\r\n-------partial1$\r\n-------partial1$\r\n",
    "\r\n-------open123",
];

/// The octets are operations, one after the other.
pub fn run(octets: &[u8]) {
    let mut world = World::new(octets);
    for _ in 0..OPERATIONS_MAX {
        let Some(operation) = world.input.octet() else {
            break;
        };
        world.operate(operation);
        world.turn();
    }
    world.end();
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn octet(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> u8 {
        self.octet().unwrap_or(0)
    }

    fn octets(&mut self, most: usize) -> Vec<u8> {
        let (octets, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        octets.to_vec()
    }
}

#[derive(Default)]
struct OfSession {
    local: [String; 2],
    resource: [String; 2],
}

/// A connection from or to the shard.
struct OfPeer {
    link: usize,
    session: usize,
    side: usize,
    /// What it has heard, as it came.
    heard: Vec<u8>,
    /// It has asked for an upgrade and been granted it.
    frames: Option<Frames>,
    /// Times it has said something in no frame; the first is an upgrade request, if it is for one.
    unframed: u32,
    /// It has not always read: what it heard may stop anywhere.
    excused: bool,
}

struct World<'a> {
    input: Input<'a>,
    shard: Shard<FakeRing>,
    chance: Chance,
    now: u64,
    sessions: [OfSession; SESSIONS],
    /// Created and not closed, as far as control knows.
    living: BTreeSet<SessionId>,
    peers: Vec<OfPeer>,
}

fn remote(session: usize, side: usize) -> String {
    format!("msrp://192.0.2.{session}:{}/peer{side};tcp", 7000 + side)
}

fn address(session: usize, side: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], (9000 + 2 * session + side) as u16))
}

impl World<'_> {
    fn new(octets: &[u8]) -> World<'_> {
        let mut input = Input(octets);
        let mode = input.number();
        let settings = Settings {
            realms: vec![Realm {
                host: "relay.invalid".into(),
                ports_exclusive: mode & 1 != 0,
                ..Realm::of("default", IpAddr::from([127, 0, 0, 1]))
            }],
            ports: (20000..20010).collect(),
            buffers: BUFFERS,
            blocks: 24,
            connections: 24,
            sessions: SESSIONS as u32,
            pending: 4,
            flow_bytes: 64 << 10,
            message_bytes_max: 16 << 10,
            reload: None,
            half_open: 32,
            half_open_per_source: 32,
            handshakes_per_second: 1000,
            busy_poll_us: 0,
            identity: None,
        };
        let memory = settings.memory().expect("memory");
        let mut ring = FakeRing::new(u64::from(mode), memory.clone(), BUFFERS);
        ring.kind = mode & 2 != 0;
        for session in 0..SESSIONS {
            ring.answer_at(address(session, 1));
        }
        let mut for_shard = Chance::new(2);
        let random = Box::new(move |octets: &mut [u8]| for_shard.fill(octets));
        World {
            input,
            shard: Shard::new(settings, ring, memory, random),
            chance: Chance::new(u64::from(mode)),
            now: 1000,
            sessions: Default::default(),
            living: BTreeSet::new(),
            peers: Vec::new(),
        }
    }

    fn operate(&mut self, operation: u8) {
        let which = self.input.number();
        let session = usize::from(which >> 1) % SESSIONS;
        let leg = Leg::ALL[usize::from(which & 1)];
        let id = SessionId(session as u64);
        match operation % 16 {
            0 => {
                let transport = |bit: u8| match which & bit {
                    0 => Transport::Tcp,
                    _ => Transport::Ws,
                };
                let deadline_ms = 1000 << (which >> 5);
                let legs = [transport(8), transport(16)];
                self.command(&Command::Create {
                    session: id,
                    legs: legs.map(|transport| LegSpec::new(transport, deadline_ms)),
                });
            }
            1 => {
                let connect = (which & 8 != 0).then(|| address(session, leg.index()));
                let path = remote(session, leg.index());
                self.command(&Command::SetPeer {
                    session: id,
                    leg,
                    path: path.as_bytes(),
                    connect,
                    identity: PeerIdentity::UNKNOWN,
                });
            }
            2 => self.dial(session, leg.index()),
            3..=5 => {
                let phrase = PHRASES[usize::from(self.input.number()) % PHRASES.len()];
                self.phrase(which, phrase);
            }
            6 => {
                let octets = self.input.octets(usize::from(which) / 2);
                let peer = self.input.number();
                self.say(peer, &octets);
            }
            7 => {
                let body = vec![b'x'; 1 << (which % 17)];
                let peer = self.input.number();
                self.say(peer, &body);
            }
            8 => self.with_peer(which, |ring, peer| ring.peer_resets(peer.link)),
            9 => self.with_peer(which, |ring, peer| ring.peer_ends(peer.link)),
            10 => self.with_peer(which, |ring, peer| {
                peer.excused = true;
                ring.peer_stalls(peer.link, which & 0x80 != 0);
            }),
            11 => self.command(&Command::Delete { session: id }),
            12 => {
                // Time goes by; what is due on the way is done when it is due, and what can go
                // out without waiting has gone by then.
                let until = self.now + (1u64 << (which % 18));
                self.settle();
                while let Some(due) = self.shard.deadline().filter(|due| *due <= until) {
                    self.now = self.now.max(due);
                    self.settle();
                }
                self.now = until;
            }
            13 => {
                for _ in 0..which % 32 {
                    self.turn();
                }
            }
            14 => match which % 4 {
                0 => self.shard.attached(),
                1 => self.command(&Command::List { token: 7 }),
                2 => self.command(&Command::Rearm {
                    session: id,
                    leg,
                    deadline_ms: 50,
                }),
                _ => self.shard.ring().kind = which & 8 != 0,
            },
            _ => {
                // Anything at all as a record.
                let octets = self.input.octets(usize::from(which));
                let mut slot = [0; RECORD_BYTES];
                slot[..octets.len()].copy_from_slice(&octets);
                let record = Record::from_bytes(slot);
                if let Ok(command) = Command::decode(&record)
                    && self.shard.takes_commands()
                {
                    self.shard.command(&command, self.now);
                }
            }
        }
    }

    fn command(&mut self, command: &Command<'_>) {
        if self.shard.takes_commands() {
            self.shard.command(command, self.now);
        }
    }

    fn dial(&mut self, session: usize, side: usize) {
        if let Some(link) = self.shard.ring().connected_to(address(session, side)).pop() {
            return self.add_peer(link, session, side);
        }
        let uri = &self.sessions[session].local[side];
        let behind_host = uri
            .split(':')
            .nth(2)
            .and_then(|rest| rest.split('/').next());
        let Some(port) = behind_host.and_then(|digits| digits.parse().ok()) else {
            return;
        };
        if let Some(link) = self.shard.ring().dial(port) {
            self.add_peer(link, session, side);
        }
    }

    fn add_peer(&mut self, link: usize, session: usize, side: usize) {
        self.peers.push(OfPeer {
            link,
            session,
            side,
            heard: Vec::new(),
            frames: None,
            unframed: 0,
            excused: false,
        });
    }

    fn with_peer(&mut self, which: u8, act: impl FnOnce(&mut FakeRing, &mut OfPeer)) {
        let peers = self.peers.len().max(1);
        if let Some(peer) = self.peers.get_mut(usize::from(which & 0x7f) % peers) {
            act(self.shard.ring(), peer);
        }
    }

    fn phrase(&mut self, which: u8, phrase: &str) {
        let Some(peer) = self.peers.get(usize::from(which) % self.peers.len().max(1)) else {
            return;
        };
        let of_session = &self.sessions[peer.session];
        let text = phrase
            .replace("{L}", &of_session.local[peer.side])
            .replace("{R}", &remote(peer.session, peer.side))
            .replace("{W}", &of_session.resource[peer.side]);
        let octets = text.into_bytes();
        match peer.frames {
            Some(_) => {
                let frames = Frames::write(&octets, &mut self.chance);
                let link = peer.link;
                self.shard.ring().peer_sends(link, &frames);
            }
            None => self.say(which, &octets),
        }
    }

    fn say(&mut self, which: u8, octets: &[u8]) {
        let peers = self.peers.len().max(1);
        if let Some(peer) = self.peers.get_mut(usize::from(which) % peers) {
            peer.unframed += 1;
            self.shard.ring().peer_sends(peer.link, octets);
        }
    }

    fn turn(&mut self) {
        self.shard.work(self.now);
        self.events();
        self.shard.enter(None).expect("a fake ring always enters");
        for peer in &mut self.peers {
            let octets = self.shard.ring().peer_reads(peer.link);
            peer.hear(&octets);
        }
    }

    /// Turns until nothing moves any more, however unkind the ring is.
    fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 12 {
            let before = self.shard.metrics().get(Counter::Completions);
            self.turn();
            let moved = self.shard.metrics().get(Counter::Completions) != before;
            quiet = if moved { 0 } else { quiet + 1 };
        }
    }

    fn events(&mut self) {
        let mut record = Record::new();
        while let Some(told) = self.shard.next_event(&mut record) {
            match Event::decode(&record).expect("an event") {
                Event::Created { session, legs } => {
                    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
                    self.living.insert(session);
                    // Records of any octets may have made others than ours.
                    if let Some(of_session) = self.sessions.get_mut(session.0 as usize) {
                        of_session.local = [0, 1].map(|side| text(legs[side].path));
                        of_session.resource = [0, 1].map(|side| text(legs[side].resource));
                    }
                }
                Event::Closed { session, .. } => {
                    // One that ended before it was told of is not told of as created.
                    self.living.remove(&session);
                }
                _ => {}
            }
            self.shard.told(told);
        }
    }

    /// Control ends its sessions, everybody leaves, deadlines pass: nothing may be left.
    fn end(&mut self) {
        self.shard.ring().kind = true;
        for session in 0..SESSIONS {
            for link in self.shard.ring().connected_to(address(session, 1)) {
                self.add_peer(link, session, 1);
            }
        }
        for peer in &self.peers {
            self.shard.ring().peer_stalls(peer.link, false);
        }
        self.settle();
        while let Some(session) = self.living.pop_first() {
            self.living.insert(session);
            self.command(&Command::Delete { session });
            self.settle();
            assert!(!self.living.contains(&session), "deleted is closed");
        }
        for peer in &self.peers {
            self.shard.ring().peer_ends(peer.link);
        }
        for _ in 0..3 {
            self.settle();
            self.now += 31_000;
        }
        self.settle();
        for peer in &self.peers {
            if !self.shard.ring().is_reset(peer.link) {
                peer.check_form(self.shard.ring().ended_by_shard(peer.link));
            }
        }
        assert_eq!(self.shard.texts_used(), 0, "paths");
        assert_eq!(self.shard.readings(), 0, "readings");
        assert_eq!(self.shard.ring().operations(), 0, "operations under way");
        assert_eq!(self.shard.ring().buffers(), usize::from(BUFFERS), "buffers");
        let metrics = self.shard.metrics();
        assert_eq!(Counter::left_over(|gauge| metrics.get(gauge)), []);
    }
}

impl OfPeer {
    fn hear(&mut self, octets: &[u8]) {
        if let Some(frames) = &mut self.frames {
            for message in frames.read(octets) {
                if message.is_empty() {
                    continue; // Its close frame.
                }
                let (chunks, ending) = judge::judge(&message);
                assert_eq!(
                    (chunks.len(), ending),
                    (1, judge::Ending::BetweenChunks),
                    "a message holds one chunk, and all of it: {}",
                    message.escape_ascii()
                );
            }
            return;
        }
        self.heard.extend(octets);
        if !self.heard.starts_with(b"HTTP/1.1 101 ") {
            return;
        }
        let end = self.heard.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            // The key may have been any: what it is answered is another target's business.
            let mut frames = Frames::default();
            frames.read(b"HTTP/1.1 101 x\r\ns3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
            self.frames = Some(frames);
            let rest = self.heard.split_off(end + 4);
            self.hear(&rest);
        }
    }

    /// What was heard is whole chunks, up to the very end of the connection.
    fn check_form(&self, ended: bool) {
        assert!(ended, "every connection has an end");
        if self.excused {
            return;
        }
        if let Some(frames) = &self.frames {
            // A peer that broke the protocol, or closed, is sent no more of a message.
            let by_us = self.unframed == 1 && matches!(frames.close_code, Some(1000 | 1001));
            assert!(!by_us || frames.unfinished() == 0, "a message is left open");
        } else if !self.heard.starts_with(b"HTTP/1.1 ") {
            let (_, ending) = judge::judge(&self.heard);
            let heard = self.heard.escape_ascii();
            assert_eq!(ending, judge::Ending::BetweenChunks, "{heard}");
        }
    }
}
