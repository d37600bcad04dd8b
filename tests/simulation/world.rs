//! A shard, its control and the peers of a few sessions, all driven by one seed.

use std::net::{IpAddr, SocketAddr};

use link::{Command, Counter, Leg, LegSpec, SessionId, Transport};
use relay::shard::{Realm, Settings, Shard};
use tests::chance::Chance;
use tests::endpoint::{Chunk, Frames};
use tests::fake_ring::FakeRing;
use tests::tls::{self, TlsPeer};

use crate::control::Control;

/// What may happen in a run.
pub struct Plan {
    /// Peers leave, control deletes, legs stay away.
    pub leaves: bool,
    /// Each leg has a port of its own.
    pub exclusive_ports: bool,
    /// Legs may be carried by TLS.
    pub secure: bool,
    /// So many sessions more, whose peers connect, send, and never read.
    pub deaf: u64,
    /// Handsets that connect to the relay do so by one connection for all.
    pub trunk: bool,
    /// Pools are as small as they may be, so that they run dry, once everybody is there.
    pub scarce: bool,
    /// Control is slow and dies, its queues are short, and some of what it says is nonsense.
    pub link_faults: bool,
}

impl Plan {
    /// Nothing happens but talk.
    pub const QUIET: Plan = Plan {
        leaves: false,
        exclusive_ports: false,
        secure: false,
        deaf: 0,
        trunk: false,
        scarce: false,
        link_faults: false,
    };
}

const BUFFERS: u16 = 32;

/// As few as a shard may have.
const BUFFERS_MIN: u16 = 16;
const BLOCKS_MIN: u32 = 8;

/// A run.
pub struct World {
    pub shard: Shard<FakeRing>,
    pub(super) chance: Chance,
    pub plan: Plan,
    /// Receive buffers there are.
    pub buffers: usize,
    pub(super) now: u64,
    pub sessions: Vec<Talk>,
    pub trunk: Trunk,
    pub(super) control: Control,
}

/// The connection that several handsets share.
#[derive(Default)]
pub struct Trunk {
    pub(super) link: Option<usize>,
    pub(super) tls: Option<TlsPeer>,
    pub(super) stream: Vec<u8>,
    pub(super) gone: bool,
}

/// A session and its two peers.
pub struct Talk {
    pub id: SessionId,
    pub peers: [Peer; 2],
    pub closed: bool,
    pub deleted: bool,
}

/// One peer of a session.
pub struct Peer {
    pub transport: Transport,
    /// It shares its connection with others.
    pub on_trunk: bool,
    /// It listens and the relay connects, rather than the other way round.
    pub(super) listens_at: Option<SocketAddr>,
    pub(super) path: String,
    /// The relay's URI and resource toward it.
    pub(super) relay_path: String,
    pub(super) resource: String,
    pub(super) link: Option<usize>,
    pub(super) tls: Option<TlsPeer>,
    pub(super) frames: Frames,
    pub(super) stream: Vec<u8>,
    pub to_say: Vec<Chunk>,
    /// Sent, and to be found at the other end: what stands after the paths.
    pub said: Vec<Chunk>,
    pub heard: Vec<Chunk>,
    /// What the relay itself has told it: that something it sent will not arrive.
    pub signals: Vec<Chunk>,
    /// Its own bodiless SEND, the answer to which is not forwarded.
    pub greeting: Option<String>,
    pub greeting_answered: bool,
    pub(super) gone: bool,
    pub(super) stalls: bool,
    pub(super) deaf: bool,
}

impl World {
    pub fn new(seed: u64, plan: Plan) -> World {
        let mut chance = Chance::new(seed);
        let (buffers, blocks) = match plan {
            // Each that does not read may keep some for itself.
            Plan {
                scarce: true, deaf, ..
            } => (BUFFERS_MIN, BLOCKS_MIN * (1 + deaf as u32)),
            // Where peers may fail anyway there are too few now and then: strangers are turned away.
            Plan { leaves: true, .. } => (BUFFERS, 12),
            _ => (BUFFERS, 64),
        };
        let settings = Settings {
            realms: vec![Realm {
                host: "relay.invalid".into(),
                public_host: Some("relay.invalid".into()),
                ports_exclusive: plan.exclusive_ports,
                ..Realm::of("default", IpAddr::from([127, 0, 0, 1]))
            }],
            ports: (20000..20040).collect(),
            buffers,
            blocks: blocks + chance.below(8) as u32,
            connections: 64,
            sessions: 16,
            pending: if plan.scarce { 1 } else { 4 } + chance.below(60) as u32,
            flow_bytes: 64 << 10,
            message_bytes_max: 64 << 20,
            reload: None,
            half_open: 128,
            half_open_per_source: 128,
            handshakes_per_second: 1000,
            busy_poll_us: 0,
            identity: plan.secure.then(tls::identity),
        };
        let memory = settings.memory().expect("memory");
        let mut ring = FakeRing::new(chance.number(), memory.clone(), buffers);
        ring.kind = plan.scarce;
        let mut for_shard = Chance::new(chance.number());
        let random = Box::new(move |octets: &mut [u8]| for_shard.fill(octets));
        let shard = Shard::new(settings, ring, memory, random);
        let plan_slots = plan.slots();
        let mut world = World {
            shard,
            chance,
            plan,
            buffers: buffers.into(),
            now: 1000,
            sessions: Vec::new(),
            trunk: Trunk::default(),
            control: Control::new(plan_slots),
        };
        let deaf = world.plan.deaf;
        let few = if world.plan.trunk { 5 } else { 3 };
        for number in 0..deaf + 1 + world.chance.below(few) {
            world.create(number);
            if number < deaf {
                for peer in &mut world.sessions[number as usize].peers {
                    peer.deaf = true;
                }
            }
        }
        world
    }

    fn create(&mut self, number: u64) {
        let id = SessionId(7000 + number);
        let transports = [
            self.chance
                .one_of(&[Transport::Ws, Transport::Ws, Transport::Tcp]),
            self.chance
                .one_of(&[Transport::Tcp, Transport::Tcp, Transport::Ws]),
        ]
        .map(|transport| match transport {
            Transport::Ws if self.plan.secure && self.chance.percent(70) => Transport::Wss,
            Transport::Tcp if self.plan.secure && self.plan.trunk => Transport::Tls,
            Transport::Tcp if self.plan.secure && self.chance.percent(70) => Transport::Tls,
            clear => clear,
        });
        let peers = [0, 1].map(|side| self.make_peer(number, side, transports[side as usize]));
        self.sessions.push(Talk {
            id,
            peers,
            closed: false,
            deleted: false,
        });
        let legs = transports.map(|transport| {
            let mut spec = LegSpec::new(transport, 30_000);
            if self.plan.leaves {
                spec.policy.grace_ms = self.chance.one_of(&[0, 1, 5_000]);
                spec.policy.keepalive_ms = self.chance.one_of(&[0, 1_000, 20_000]);
            }
            // Who shares a connection is told one port, and with it one timeout.
            if !self.plan.trunk {
                spec.user_timeout_ms = self.chance.one_of(&[0, 0, 20_000]);
            }
            spec.policy.switches.strict_ranges = self.chance.percent(20);
            spec.policy.switches.session_id_only = self.chance.percent(20);
            spec
        });
        self.command(&Command::Create { session: id, legs });
    }

    fn make_peer(&mut self, number: u64, side: u64, transport: Transport) -> Peer {
        let listens = !is_browser(transport) && self.chance.percent(50);
        let on_trunk = self.plan.trunk && !is_browser(transport) && self.chance.percent(90);
        // With some that do not read, both legs on it would wait for the relay and for each other.
        let on_trunk = on_trunk && (side == 1 || self.plan.deaf == 0);
        let listens = listens && !on_trunk;
        let port = 30_000 + 2 * number as u16 + side as u16;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if listens {
            self.shard.ring().answer_at(address);
        }
        let kind = if is_browser(transport) { "ws" } else { "tcp" };
        let scheme = if is_secure(transport) {
            "msrps"
        } else {
            "msrp"
        };
        let path = format!("{scheme}://127.0.0.1:{port}/peer{number}of{side};{kind}");
        Peer {
            transport,
            on_trunk,
            listens_at: listens.then_some(address),
            path,
            relay_path: String::new(),
            resource: String::new(),
            link: None,
            tls: None,
            frames: Frames::default(),
            stream: Vec::new(),
            to_say: Vec::new(),
            said: Vec::new(),
            heard: Vec::new(),
            signals: Vec::new(),
            greeting: None,
            greeting_answered: false,
            gone: false,
            deaf: false,
            stalls: self.plan.leaves && self.chance.percent(10),
        }
    }

    /// A message of one to three chunks, with bodies that look like ends.
    pub(super) fn make_message(&mut self, index: usize, leg: Leg, message: u64) -> Vec<Chunk> {
        let peer = &self.sessions[index].peers[leg.index()];
        let (to, from) = (peer.relay_path.clone(), peer.path.clone());
        let side = leg.index();
        let chunks = 1 + self.chance.below(3);
        let report = self.chance.one_of(&[
            "",
            "",
            "Failure-Report: no\r\n",
            "Failure-Report: partial\r\n",
        ]);
        let id = format!("Msg{index}x{side}x{message}");
        let is_alike = self.plan.trunk && side == 0;
        let chunk = |number| {
            // On a trunk those of different sessions may be the same.
            let index = if is_alike { 0 } else { index };
            let transaction = format!("tx{index}{side}{message}{number}+.%=");
            let length = match self.chance.below(8) {
                0 => 0,
                1 => 1,
                2..=5 => self.chance.below(500),
                6 => self.chance.below(5_000),
                _ => self.chance.below(120_000),
            };
            let body = self.body(length as usize, &transaction);
            let flag = if number + 1 == chunks { '$' } else { '+' };
            let headers = format!(
                "Message-ID: {id}\r\nByte-Range: 1-*/*\r\nX-Odd:  kept  as it is\r\n{report}\
                 Content-Type: application/octet-stream\r\n"
            );
            let (to, from) = (to.clone(), from.clone());
            Chunk {
                transaction,
                subject: "SEND".into(),
                to,
                from,
                headers,
                body: Some(body),
                flag,
            }
        };
        (0..chunks).map(chunk).collect()
    }

    fn body(&mut self, length: usize, transaction: &str) -> Vec<u8> {
        let mut body = Vec::with_capacity(length + 64);
        while body.len() < length {
            match self.chance.below(8) {
                0 => body.extend(b"\r\n"),
                1 => body.extend(format!("\r\n-------{transaction}").as_bytes()),
                2 => body.extend(b"\r\n-------other$\r\n"),
                3 => body.extend(b"\r"),
                4 => body.extend(format!("\r\n-------{transaction}$x").as_bytes()),
                5 => body.push(0),
                _ => {
                    let mut run = vec![0; 1 + self.chance.below(2000) as usize];
                    self.chance.fill(&mut run);
                    body.extend(run);
                }
            }
        }
        body.truncate(length);
        // Chance may have made a true end of it, with the CRLF that follows any body if need be.
        for flag in ["$", "+", "#"] {
            let end = format!("\r\n-------{transaction}{flag}");
            for place in 0..body.len().saturating_sub(end.len() - 1) {
                let after = &body[place..];
                if after.starts_with(end.as_bytes())
                    && b"\r\n".starts_with(&after[end.len()..after.len().min(end.len() + 2)])
                {
                    body[place + end.len() - 1] = b'x';
                }
            }
        }
        body
    }

    /// Steps until nothing has moved for a while.
    pub fn run_until_quiet(&mut self) {
        let mut quiet = 0;
        for _ in 0..60_000 {
            let moved = self.step();
            quiet = if moved { 0 } else { quiet + 1 };
            if quiet > 60 {
                return;
            }
        }
        panic!("the world does not come to rest: {}", self.state());
    }

    /// One turn of the shard and of all peers; whether anything happened.
    fn step(&mut self) -> bool {
        let before = self.progress();
        if self.plan.scarce && self.all_are_there() {
            self.shard.ring().kind = false;
        }
        self.turn();
        for index in 0..self.sessions.len() {
            for side in 0..2 {
                self.peer_step(index, side);
            }
            self.trunk_step();
            if self.plan.leaves && self.chance.below(400) == 0 && !self.sessions[index].deleted {
                let session = self.sessions[index].id;
                self.sessions[index].deleted = true;
                self.command(&Command::Delete { session });
            }
        }
        self.progress() != before
    }

    /// Whether both legs of every session are up.
    pub(super) fn all_are_there(&mut self) -> bool {
        let legs_up = self.shard.metrics().get(Counter::LegsUp);
        legs_up == 2 * self.sessions.len() as u64
    }

    /// Whether a peer has connected whose leg is not up.
    pub(super) fn is_one_on_its_way(&mut self) -> bool {
        let peers = self.sessions.iter().flat_map(|talk| &talk.peers);
        let connected = peers.filter(|peer| peer.link.is_some()).count();
        self.shard.metrics().get(Counter::LegsUp) < connected as u64
    }

    fn progress(&mut self) -> (u64, u64, usize) {
        let completions = self.shard.metrics().get(Counter::Completions);
        let octets = self.shard.metrics().get(Counter::OctetsSent);
        let said = self.sessions.iter().flat_map(|talk| &talk.peers);
        (
            completions,
            octets,
            said.map(|peer| peer.said.len() + peer.heard.len()).sum(),
        )
    }

    /// No peer reads or writes any more, and nobody says so; two minutes pass.
    pub fn fall_silent(&mut self) {
        self.plan.leaves = true;
        for talk in &mut self.sessions {
            for peer in &mut talk.peers {
                peer.gone = true;
                if let Some(link) = peer.link {
                    self.shard.ring().peer_stalls(link, true);
                }
            }
        }
        for _ in 0..24 {
            self.now += 5_000;
            for _ in 0..20 {
                self.turn();
            }
        }
    }

    /// Runs, and lets the time pass after which those that do not read are given up on.
    pub fn wait_for_the_deaf(&mut self) {
        for _ in 0..8 {
            self.run_until_quiet();
            self.now += 6_000;
        }
        self.run_until_quiet();
    }

    /// Sessions are deleted, peers leave, deadlines pass.
    pub fn end_everything(&mut self) {
        (self.plan.leaves, self.plan.scarce) = (false, false);
        self.plan.link_faults = false;
        self.shard.ring().kind = true;
        for index in 0..self.sessions.len() {
            if !self.sessions[index].deleted {
                self.sessions[index].deleted = true;
                let session = self.sessions[index].id;
                self.command(&Command::Delete { session });
            }
        }
        self.run_until_quiet();
        for talk in &mut self.sessions {
            for peer in &mut talk.peers {
                if let Some(link) = peer.link {
                    self.shard.ring().peer_ends(link);
                }
                peer.gone = true;
            }
        }
        self.trunk.gone = true;
        self.run_until_quiet();
        for _ in 0..4 {
            self.now += 31_000;
            self.run_until_quiet();
        }
    }

    pub fn state(&mut self) -> String {
        let metrics = self.shard.metrics();
        let gauges = Counter::ALL
            .iter()
            .map(|counter| (counter.name(), metrics.get(*counter)));
        format!(
            "{:?}",
            gauges.filter(|(_, value)| *value > 0).collect::<Vec<_>>()
        )
    }
}

pub fn is_browser(transport: Transport) -> bool {
    matches!(transport, Transport::Ws | Transport::Wss)
}

pub fn is_secure(transport: Transport) -> bool {
    matches!(transport, Transport::Wss | Transport::Tls)
}
