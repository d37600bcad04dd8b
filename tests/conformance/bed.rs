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
use relay::ring::Memory;
use relay::shard::{Realm, Settings, Shard};
use tests::chance::Chance;
use tests::fake_ring::FakeRing;
use tests::tls::{self, TlsPeer};

use crate::websocket_client::{Frame, Received, frame};

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
        let memory = Memory::new(settings.slots()).expect("memory");
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

    /// Opens a TCP connection to the port of a leg. `None`: nobody listens.
    pub fn dials(&mut self, session: Session, leg: Leg) -> Option<Peer> {
        let port = self.port(session, leg);
        self.dials_port(session, port)
    }

    /// Opens a TCP connection to any port; the URIs of `session` are named as such.
    pub fn dials_port(&mut self, session: Session, port: u16) -> Option<Peer> {
        let link = self.shard.ring().dial(port)?;
        self.settle();
        Some(self.add_peer(session, link))
    }

    /// Opens a TCP connection to an address of the relay's.
    pub fn dials_at(&mut self, session: Session, at: SocketAddr) -> Option<Peer> {
        let link = self.shard.ring().dial_at(at)?;
        self.settle();
        Some(self.add_peer(session, link))
    }

    /// From now on all peers are reached from this address of the machine.
    pub fn routes_by(&mut self, address: IpAddr) {
        self.shard.ring().route = Some(address);
    }

    /// Where the relay has connected from; port 0 is any.
    pub fn dialled_from(&mut self, peer: Peer) -> SocketAddr {
        let link = self.peers[peer.0].link;
        let from = self.shard.ring().connected_from(link);
        from.expect("the relay has connected")
    }

    /// The user timeout of a peer's connection at our end.
    pub fn user_timeout_ms(&mut self, peer: Peer) -> u128 {
        let link = self.peers[peer.0].link;
        self.shard.ring().user_timeout(link).as_millis()
    }

    /// A listener of the test's, to which the relay may connect.
    pub fn listens(&mut self, address: SocketAddr) {
        self.shard.ring().answer_at(address);
    }

    /// The connection that the relay has made to such a listener.
    pub fn is_dialled(&mut self, session: Session, address: SocketAddr) -> Option<Peer> {
        let link = self.shard.ring().connected_to(address).pop()?;
        Some(self.add_peer(session, link))
    }

    fn add_peer(&mut self, session: Session, link: usize) -> Peer {
        self.peers.push(OfPeer {
            session: session.0,
            link,
            tls: None,
            websocket: None,
            heard: Vec::new(),
        });
        Peer(self.peers.len() - 1)
    }

    /// The peer of a leg connects as it should: by an upgrade, or by a bodiless SEND that is
    /// answered with 200.
    pub fn comes(&mut self, session: Session, leg: Leg) -> Peer {
        let peer = self.dials(session, leg).expect("the leg waits");
        let transport = self.sessions[session.0].transports[leg.index()];
        if matches!(transport, Transport::Wss | Transport::Tls) {
            let config = tls::client_config(&rustls::version::TLS13, None);
            self.secures(peer, TlsPeer::client(&config, "relay.invalid"));
        }
        match transport {
            Ws | Transport::Wss => {
                let resource = self.resource(session, leg).to_owned();
                let answer = self.upgrades(peer, &resource);
                assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
            }
            _ => {
                let greeting = Message::bodiless("bind1234", "SEND", &["Message-ID: bind1"]);
                self.says(peer, &greeting.by(leg));
                let answer = self.hears(peer);
                assert!(answer.starts_with("MSRP bind1234 200 OK\r\n"), "{answer}");
            }
        }
        peer
    }

    /// Both peers of a session connect.
    pub fn both_come(&mut self, session: Session) -> (Peer, Peer) {
        let peers = (self.comes(session, Leg::A), self.comes(session, Leg::B));
        self.told(session);
        peers
    }

    /// Sends an upgrade request for a resource and returns what is answered; with a 101 the peer
    /// speaks WebSocket from now on.
    pub fn upgrades(&mut self, peer: Peer, resource: &str) -> String {
        self.asks(peer, &upgrade_request(resource))
    }

    /// Sends an HTTP request and returns the head of the answer.
    pub fn asks(&mut self, peer: Peer, request: &str) -> String {
        self.says_octets(peer, request.as_bytes());
        let mut answer = self.hears_octets(peer);
        if answer.starts_with(b"HTTP/1.1 101 ") {
            // What waited for this peer may follow at once.
            let blank = answer.windows(4).position(|four| four == b"\r\n\r\n");
            let frames = answer.split_off(blank.expect("a head ends") + 4);
            let mut websocket = Received::default();
            self.peers[peer.0].heard = websocket.read(&frames);
            self.peers[peer.0].websocket = Some(websocket);
        }
        String::from_utf8(answer).expect("an HTTP head is text")
    }

    /// Says a message as it stands, but for the names of URIs: on a WebSocket in one binary message
    /// of its own.
    pub fn says(&mut self, peer: Peer, message: &str) {
        let octets = self.with_uris(peer, message).into_bytes();
        match self.peers[peer.0].websocket {
            Some(_) => self.says_octets(peer, &frame(2, true, &octets)),
            None => self.says_octets(peer, &octets),
        }
    }

    /// Whether the peer's connection has become a WebSocket.
    pub fn speaks_websocket(&self, peer: Peer) -> bool {
        self.peers[peer.0].websocket.is_some()
    }

    /// The message with URIs for their names.
    pub fn with_uris(&self, peer: Peer, message: &str) -> String {
        let session = &self.sessions[self.peers[peer.0].session];
        message
            .replace("L(A)", &session.local[0])
            .replace("R(A)", &session.remote[0])
            .replace("L(B)", &session.local[1])
            .replace("R(B)", &session.remote[1])
    }

    /// Sends octets as they are.
    pub fn says_octets(&mut self, peer: Peer, octets: &[u8]) {
        let OfPeer { link, tls, .. } = &mut self.peers[peer.0];
        match tls {
            None => self.shard.ring().peer_sends(*link, octets),
            Some(tls) => {
                tls.says(octets);
                self.shard.ring().peer_sends(*link, &tls.takes_out());
            }
        }
        self.settle();
    }

    /// What has come since it was last asked: on a WebSocket the payloads of data frames, one after
    /// the other; with names for URIs.
    pub fn hears(&mut self, peer: Peer) -> String {
        let octets = self.hears_octets(peer);
        let mut text = String::from_utf8(octets).expect("what is heard is text");
        let session = &self.sessions[self.peers[peer.0].session];
        for (name, uri) in [
            ("L(A)", &session.local[0]),
            ("R(A)", &session.remote[0]),
            ("L(B)", &session.local[1]),
            ("R(B)", &session.remote[1]),
        ] {
            text = text.replace(uri.as_str(), name);
        }
        text
    }

    /// The same as octets, URIs and all.
    pub fn hears_octets(&mut self, peer: Peer) -> Vec<u8> {
        self.listen_in(peer);
        std::mem::take(&mut self.peers[peer.0].heard)
    }

    /// The frames that have come since it was last asked.
    pub fn hears_frames(&mut self, peer: Peer) -> Vec<Frame> {
        self.listen_in(peer);
        self.peers[peer.0].heard.clear();
        let websocket = self.peers[peer.0].websocket.as_mut();
        std::mem::take(&mut websocket.expect("a WebSocket").frames)
    }

    /// The code of the close frame that has come, if one has.
    pub fn close_code(&mut self, peer: Peer) -> Option<u16> {
        let frames = self.hears_frames(peer);
        let close = frames.iter().find(|frame| frame.opcode == 8)?;
        Some(u16::from_be_bytes([close.payload[0], close.payload[1]]))
    }

    /// The peer speaks TLS from now on: shakes hands, and what has come of it.
    pub fn secures(&mut self, peer: Peer, tls: TlsPeer) -> &TlsPeer {
        self.peers[peer.0].tls = Some(tls);
        for _ in 0..8 {
            self.says_octets(peer, b"");
            self.listen_in(peer);
        }
        self.tls(peer)
    }

    /// The peer's TLS.
    pub fn tls(&self, peer: Peer) -> &TlsPeer {
        self.peers[peer.0].tls.as_ref().expect("it speaks TLS")
    }

    /// It says that it ends its direction, by TLS only.
    pub fn closes(&mut self, peer: Peer) {
        if let Some(tls) = &mut self.peers[peer.0].tls {
            tls.closes();
        }
        self.says_octets(peer, b"");
    }

    /// The records that would carry a message, for the test to send as it likes.
    pub fn sealed(&mut self, peer: Peer, message: &str) -> Vec<u8> {
        let octets = self.with_uris(peer, message).into_bytes();
        let peer = &mut self.peers[peer.0];
        let tls = peer.tls.as_mut().expect("it speaks TLS");
        match &peer.websocket {
            Some(_) => tls.says(&frame(2, true, &octets)),
            None => tls.says(&octets),
        }
        tls.takes_out()
    }

    /// Sends these octets as they are, below TLS. What follows from it comes with the next turn.
    pub fn sends_raw(&mut self, peer: Peer, octets: &[u8]) {
        let link = self.peers[peer.0].link;
        self.shard.ring().peer_sends(link, octets);
    }

    fn listen_in(&mut self, peer: Peer) {
        let peer = &mut self.peers[peer.0];
        let mut octets = self.shard.ring().peer_reads(peer.link);
        if let Some(tls) = &mut peer.tls {
            octets = tls.hears(&octets);
        }
        match &mut peer.websocket {
            Some(websocket) => peer.heard.extend(websocket.read(&octets)),
            None => peer.heard.extend(octets),
        }
    }

    /// Whether the relay has ended its direction of the connection.
    pub fn is_ended(&mut self, peer: Peer) -> bool {
        let link = self.peers[peer.0].link;
        self.shard.ring().ended_by_shard(link)
    }

    /// The peer ends its direction.
    pub fn leaves(&mut self, peer: Peer) {
        let link = self.peers[peer.0].link;
        self.shard.ring().peer_ends(link);
        self.settle();
    }

    /// The peer is gone at once.
    pub fn breaks(&mut self, peer: Peer) {
        let link = self.peers[peer.0].link;
        self.shard.ring().peer_resets(link);
        self.settle();
    }

    /// The peer takes nothing more, or goes on taking.
    pub fn stalls(&mut self, peer: Peer, stalled: bool) {
        let link = self.peers[peer.0].link;
        self.shard.ring().peer_stalls(link, stalled);
        self.settle();
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
            self.shard.work(self.now);
            self.take_events();
            self.shard.enter(None).expect("a fake ring always enters");
            let moved = self.counter(Counter::Completions) != before;
            quiet = if moved { 0 } else { quiet + 1 };
            if quiet > 2 {
                return;
            }
        }
        panic!("the shard does not come to rest");
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
