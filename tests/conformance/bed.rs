//! What the tests lie on: one shard on a kind ring, sessions, and peers that say and hear exactly
//! what the test writes.
//!
//! A test writes messages line by line, with `L(A)`, `R(A)`, `L(B)`, `R(B)` for the relay's URI
//! toward a leg and the path of the leg's peer. What a peer hears is read back the same way, so that
//! a whole message can be compared.

use std::net::{IpAddr, SocketAddr};

use link::{
    Cause, Command, Counter, Event, Leg, LegPolicy, LegSpec, PeerIdentity, Record, Refusal,
};
use link::{SessionCounts, SessionId};
use relay::shard::{Realm, Settings, Shard};
use tests::chance::Chance;
use tests::fake_ring::FakeRing;
use tests::tls::TlsPeer;

use crate::websocket_client::Received;

mod peers;

pub use crate::message::{Message, lines, upgrade_request};
pub use link::Leg::{A, B};
pub use link::Transport::{self, Tcp, Ws};

/// A leg waits this long for its peer, unless the test says otherwise.
pub const LEG_MS: u32 = 30_000;

/// Names a session, in the order of their making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session(pub usize);

/// Names a peer: whoever is, or might be, connected to the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(usize);

/// What control was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Created,
    Refused(Refusal),
    Up(Leg),
    Down(Leg, Cause),
    Detached(Leg, Cause),
    Rebound,
    Listed,
    Closed(Cause),
}

struct OfSession {
    id: SessionId,
    transports: [Transport; 2],
    /// `L(A)` and `L(B)`.
    local: [String; 2],
    resource: [String; 2],
    /// `R(A)` and `R(B)`.
    remote: [String; 2],
    told: Vec<Told>,
    counts: Option<SessionCounts>,
}

impl OfSession {
    fn names(&self) -> [(&'static str, &str); 4] {
        let (local, remote) = (&self.local, &self.remote);
        [
            ("L(A)", &local[0]),
            ("R(A)", &remote[0]),
            ("L(B)", &local[1]),
            ("R(B)", &remote[1]),
        ]
    }
}

struct OfPeer {
    session: usize,
    link: usize,
    tls: Option<TlsPeer>,
    websocket: Option<Received>,
    heard: Vec<u8>,
}

/// The shard, and all that is around it.
pub struct Bed {
    shard: Shard<FakeRing>,
    now: u64,
    sessions: Vec<OfSession>,
    peers: Vec<OfPeer>,
    /// Token and outcome of the last reading of certificates.
    pub reloaded: Option<(u64, bool)>,
    /// Tokens of lists that were told to their end.
    pub lists_ended: Vec<u64>,
}

/// A session of these transports with both peers connected and nothing more to be heard.
pub fn talk(a: Transport, b: Transport) -> (Bed, Peer, Peer) {
    let mut bed = Bed::new();
    let session = bed.session(a, b);
    let (a, b) = bed.both_come(session);
    (bed, a, b)
}

/// A session of legs with wishes of their own, both peers connected and nothing more to be heard.
pub fn talk_of(legs: [LegSpec<'_>; 2]) -> (Bed, Session, Peer, Peer) {
    let mut bed = Bed::new();
    let session = bed.create_of(legs);
    bed.tell_paths(session);
    let (a, b) = bed.both_come(session);
    (bed, session, a, b)
}

/// Such a leg, of which a policy is wished.
pub fn leg_with(transport: Transport, policy: LegPolicy) -> LegSpec<'static> {
    LegSpec {
        policy,
        ..LegSpec::new(transport, LEG_MS)
    }
}

/// Set in the environment: each leg has a port of its own.
pub const EXCLUSIVE_PORTS: &str = "CONFORMANCE_EXCLUSIVE_PORTS";

impl Bed {
    /// A shard without sessions.
    pub fn new() -> Bed {
        Bed::with(|_| {})
    }

    /// A shard whose legs share listeners, whatever the environment says: for rules about that.
    pub fn sharing_ports() -> Bed {
        Bed::with(|settings| settings.realms[0].ports_exclusive = false)
    }

    /// A shard without sessions, and with settings of its own.
    pub fn with(change: impl FnOnce(&mut Settings)) -> Bed {
        let mut settings = Settings {
            realms: vec![Realm {
                host: "relay.invalid".into(),
                public_host: Some("relay.invalid".into()),
                ports_exclusive: std::env::var_os(EXCLUSIVE_PORTS).is_some(),
                ..Realm::of("default", IpAddr::from([127, 0, 0, 1]))
            }],
            ports: (20000..20300).collect(),
            buffers: 64,
            blocks: 64,
            // Each open listener reserves one.
            connections: 1024,
            sessions: 32,
            pending: 4096,
            flow_bytes: 256 << 10,
            message_bytes_max: 1 << 20,
            reload: None,
            half_open: 32,
            half_open_per_source: 32,
            handshakes_per_second: 1000,
            busy_poll_us: 0,
            identity: None,
        };
        change(&mut settings);
        let memory = settings.memory().expect("memory");
        let mut ring = FakeRing::new(1, memory.clone(), settings.buffers);
        ring.kind = true;
        let mut chance = Chance::new(2);
        let random = Box::new(move |octets: &mut [u8]| chance.fill(octets));
        Bed {
            shard: Shard::new(settings, ring, memory, random),
            now: 1_000_000,
            sessions: Vec::new(),
            peers: Vec::new(),
            reloaded: None,
            lists_ended: Vec::new(),
        }
    }

    /// A session whose legs wait, with the paths of both peers told.
    pub fn session(&mut self, a: Transport, b: Transport) -> Session {
        let session = self.create(a, b, LEG_MS);
        self.tell_paths(session);
        session
    }

    /// Tells the relay the paths of both peers.
    pub fn tell_paths(&mut self, session: Session) {
        for leg in Leg::ALL {
            let path = self.sessions[session.0].remote[leg.index()].clone();
            self.set_peer(session, leg, &path, None);
        }
    }

    /// A session whose legs wait, and nothing more.
    pub fn create(&mut self, a: Transport, b: Transport, deadline_ms: u32) -> Session {
        self.create_of([a, b].map(|transport| LegSpec::new(transport, deadline_ms)))
    }

    /// The same, of legs with wishes of their own.
    pub fn create_of(&mut self, legs: [LegSpec<'_>; 2]) -> Session {
        let [a, b] = legs.map(|spec| spec.transport);
        let number = self.sessions.len();
        let id = SessionId(number as u64);
        let kind = |transport| match transport {
            Ws | Transport::Wss => "ws",
            Tcp | Transport::Tls => "tcp",
        };
        let scheme = |transport| match transport {
            Ws | Tcp => "msrp",
            Transport::Wss | Transport::Tls => "msrps",
        };
        self.sessions.push(OfSession {
            id,
            transports: [a, b],
            local: [String::new(), String::new()],
            resource: [String::new(), String::new()],
            remote: [
                format!(
                    "{}://q7w3e9.invalid:2855/browser{number};{}",
                    scheme(a),
                    kind(a)
                ),
                format!(
                    "{}://198.51.100.7:20000/handset{number};{}",
                    scheme(b),
                    kind(b)
                ),
            ],
            told: Vec::new(),
            counts: None,
        });
        self.command(&Command::Create { session: id, legs });
        self.settle();
        Session(number)
    }

    /// Tells the relay the path of a leg's peer; `R(...)` stands for it from now on.
    pub fn set_peer(
        &mut self,
        session: Session,
        leg: Leg,
        path: &str,
        connect: Option<SocketAddr>,
    ) {
        self.set_known_peer(session, leg, path, connect, PeerIdentity::UNKNOWN);
    }

    /// The same of a peer that is to prove who it is.
    pub fn set_known_peer(
        &mut self,
        session: Session,
        leg: Leg,
        path: &str,
        connect: Option<SocketAddr>,
        identity: PeerIdentity<'_>,
    ) {
        self.sessions[session.0].remote[leg.index()] = path.into();
        let session = self.sessions[session.0].id;
        self.command(&Command::SetPeer {
            session,
            leg,
            path: path.as_bytes(),
            connect,
            identity,
        });
        self.settle();
    }

    /// What the peer of a leg calls itself.
    pub fn remote(&self, session: Session, leg: Leg) -> String {
        self.sessions[session.0].remote[leg.index()].clone()
    }

    /// Ends the session, as signalling does.
    pub fn delete(&mut self, session: Session) {
        let session = self.sessions[session.0].id;
        self.command(&Command::Delete { session });
        self.settle();
    }

    /// Any other command about a session.
    pub fn command_of(&mut self, session: Session, make: impl Fn(SessionId) -> Command<'static>) {
        let command = make(self.sessions[session.0].id);
        self.command(&command);
        self.settle();
    }

    /// Asks for all sessions, several times before anything is answered.
    pub fn asks_for_lists(&mut self, tokens: &[u64]) {
        for &token in tokens {
            self.shard.command(&Command::List { token }, self.now);
        }
        self.settle();
    }

    fn command(&mut self, command: &Command<'_>) {
        let mut record = Record::new();
        command.encode(&mut record).expect("a command fits");
        let command = Command::decode(&record).expect("what was encoded");
        self.shard.command(&command, self.now);
        self.take_events();
    }

    /// The relay's URI toward a leg: `L(...)`.
    pub fn local(&self, session: Session, leg: Leg) -> &str {
        &self.sessions[session.0].local[leg.index()]
    }

    /// The resource path at which a WebSocket leg waits; empty for TCP.
    pub fn resource(&self, session: Session, leg: Leg) -> &str {
        &self.sessions[session.0].resource[leg.index()]
    }

    /// The port at which a leg waits.
    pub fn port(&self, session: Session, leg: Leg) -> u16 {
        let uri = self.local(session, leg);
        let behind_host = uri.split(':').nth(2).expect("a port");
        let digits = behind_host.split('/').next().expect("digits");
        digits.parse().expect("a port")
    }

    /// What control was told of a session since it was last asked.
    pub fn told(&mut self, session: Session) -> Vec<Told> {
        std::mem::take(&mut self.sessions[session.0].told)
    }

    /// What went through a session, once it is closed.
    pub fn counts(&self, session: Session) -> Option<SessionCounts> {
        self.sessions[session.0].counts
    }

    /// One of the shard's counters.
    pub fn counter(&mut self, counter: Counter) -> u64 {
        self.shard.metrics().get(counter)
    }

    /// Time goes by, and what is due on the way is done when it is due.
    pub fn waits(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(due) = self.shard.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    /// Turns until nothing moves any more.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..100_000 {
            let before = self.counter(Counter::Completions);
            self.turn();
            let moved = self.counter(Counter::Completions) != before;
            quiet = if moved { 0 } else { quiet + 1 };
            if quiet > 2 {
                return;
            }
        }
        panic!("the shard does not come to rest");
    }

    /// One turn of the shard.
    pub fn turn(&mut self) {
        self.shard.work(self.now);
        self.take_events();
        self.shard.enter(None).expect("a fake ring always enters");
    }

    fn take_events(&mut self) {
        let mut record = Record::new();
        while let Some(handed) = self.shard.next_event(&mut record) {
            let event = Event::decode(&record).expect("an event");
            let (id, told) = match event {
                Event::Created { session, legs } => {
                    let of_session = &mut self.sessions[session.0 as usize];
                    for (side, leg) in legs.into_iter().enumerate() {
                        let text = |octets| String::from_utf8_lossy(octets).into_owned();
                        of_session.local[side] = text(leg.path);
                        of_session.resource[side] = text(leg.resource);
                    }
                    (session, Told::Created)
                }
                Event::Refused { session, reason } => (session, Told::Refused(reason)),
                Event::LegUp { session, leg, .. } => (session, Told::Up(leg)),
                Event::LegDown {
                    session,
                    leg,
                    cause,
                } => (session, Told::Down(leg, cause)),
                Event::LegExpired { session, leg } => (session, Told::Down(leg, Cause::Expired)),
                Event::Closed {
                    session,
                    cause,
                    counts,
                } => {
                    self.sessions[session.0 as usize].counts = Some(counts);
                    (session, Told::Closed(cause))
                }
                Event::Reloaded { token, is_complete } => {
                    self.reloaded = Some((token, is_complete));
                    self.shard.told(handed);
                    continue;
                }
                Event::LegDetached {
                    session,
                    leg,
                    cause,
                    ..
                } => (session, Told::Detached(leg, cause)),
                Event::Rebound { session, leg, side } => {
                    let of_session = &mut self.sessions[session.0 as usize];
                    let text = |octets| String::from_utf8_lossy(octets).into_owned();
                    of_session.local[leg.index()] = text(side.path);
                    of_session.resource[leg.index()] = text(side.resource);
                    (session, Told::Rebound)
                }
                Event::Listed { session, .. } => (session, Told::Listed),
                Event::ListEnd { token } => {
                    self.lists_ended.push(token);
                    self.shard.told(handed);
                    continue;
                }
            };
            self.sessions[id.0 as usize].told.push(told);
            self.shard.told(handed);
        }
    }
}
