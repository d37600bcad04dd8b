//! Everything around the gateway, in memory: browsers, the SIP side, the relay, the clock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use link::Transport;
use link::{
    Cause, Command, CreatedLeg, Event, Leg, LegPolicy, LegSpec, PeerProof, SessionCounts, SessionId,
};
use serde_json::{Value, json};

use super::super::{
    Action, Application, BROWSER, Gateway, HANDSET, Image, LegConfig, Settings, Turn, load_scripts,
    sources,
};
use super::net::FakeNet;
use crate::jsonrtc::{Frame, Kind, Limits, Login, Members, SocketId};
use crate::limits::Millis;
use crate::metrics::Gauge;
use crate::random::Random;
use crate::sip::{
    self, DialogId, Message, Method, OutRequest, OutResponse, Sent, ServerId, StartLine,
};

/// The session-configs that scripts may choose; the first two are meant where none is chosen.
const SESSION_CONFIGS: [(&str, Transport); 4] = [
    (BROWSER, Transport::Ws),
    (HANDSET, Transport::Tcp),
    ("page-wss", Transport::Wss),
    ("rcs-tls", Transport::Tls),
];

/// What carries the legs of a session-config.
pub fn transport_of(name: &str) -> Transport {
    let found = SESSION_CONFIGS.iter().find(|(known, _)| *known == name);
    found.expect("one of those there are").1
}

/// What a browser offers.
pub const BROWSER_SDP: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
m=message 2855 TCP/MSRP *\r\na=path:msrp://x7.invalid:2855/br0ws3r;ws\r\na=setup:active\r\n\
a=accept-types:text/plain\r\n";

/// What a handset answers or offers; `setup` is an attribute line or nothing.
pub fn handset_sdp(setup: &str) -> String {
    format!(
        "v=0\r\no=- 2 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
m=message 7394 TCP/MSRP *\r\na=path:msrp://192.0.2.9:7394/h4nds3t;tcp\r\n{setup}a=accept-types:text/plain\r\n"
    )
}

/// A command the relay got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Create(SessionId),
    SetPeer {
        leg: Leg,
        path: String,
        connect: Option<SocketAddr>,
    },
    Rearm(Leg),
    Delete(SessionId),
    Rebind(SessionId, Leg),
    List,
}

pub struct World {
    pub gateway: Gateway,
    pub net: FakeNet,
    pub now: Millis,
    pub told: VecDeque<Told>,
    pub closes: Vec<(SocketId, u16)>,
    pub resolves: Vec<super::super::Resolve>,
    /// What was told to whoever wakes up browsers.
    pub woken: Vec<Members>,
    /// The session-configs of the last session that the relay was asked for.
    pub asked: [&'static str; 2],
    /// Where the relay is, as it stands in a URI.
    pub relay_host: &'static str,
    frames: HashMap<SocketId, VecDeque<Frame>>,
    sequences: HashMap<SocketId, u32>,
    /// What each socket's session is called, and the last number it got.
    received: HashMap<SocketId, (String, u32)>,
    /// There is other work: nothing new is begun.
    pub is_busy: bool,
    /// What was kept, turn by turn.
    pub kept: Vec<String>,
}

impl World {
    /// A gateway with the shipped packages and a relay of one shard.
    pub fn new() -> World {
        World::with_package("")
    }

    /// The same, with a script of a package `odd` beside what ships.
    pub fn with_package(script: &str) -> World {
        let mut files = Vec::new();
        if !script.is_empty() {
            files.push(("odd/odd.rhai".to_owned(), script.to_owned()));
        }
        World::with_files(&files)
    }

    /// The same, with an operator's files.
    pub fn with_files(files: &[(String, String)]) -> World {
        World::with(files, Members::new())
    }

    /// What ships, with a profile of the configuration.
    pub fn with_profile(profile: &str) -> World {
        World::with(
            &[],
            Members::from_iter([("PROFILE".to_owned(), profile.into())]),
        )
    }

    fn with(files: &[(String, String)], constants: Members) -> World {
        let mut world = World {
            gateway: gateway(files, constants, 1),
            net: FakeNet::default(),
            now: 0,
            told: VecDeque::new(),
            closes: Vec::new(),
            resolves: Vec::new(),
            woken: Vec::new(),
            asked: [""; 2],
            relay_host: "192.0.2.20",
            frames: HashMap::new(),
            sequences: HashMap::new(),
            received: HashMap::new(),
            is_busy: false,
            kept: Vec::new(),
        };
        world.step(|gateway, turn| gateway.relay_attached(1, turn));
        assert_eq!(world.told.pop_front(), Some(Told::List));
        world
    }

    /// The process is killed; another one, with nothing but what was kept, takes its place.
    pub fn killed(self, image: impl FnOnce(&[String]) -> Image) -> World {
        self.killed_with(&[], image)
    }

    /// The same, with an operator's files.
    pub fn killed_with(
        self,
        files: &[(String, String)],
        image: impl FnOnce(&[String]) -> Image,
    ) -> World {
        let image = image(&self.kept);
        let mut world = World {
            gateway: gateway(files, Members::new(), 2),
            net: FakeNet::default(),
            frames: HashMap::new(),
            told: VecDeque::new(),
            ..self
        };
        world.step(|gateway, turn| gateway.restore(image, turn));
        world
    }

    /// One input, and what comes of it.
    pub fn step(&mut self, input: impl FnOnce(&mut Gateway, &mut Turn<'_>)) {
        let mut out = Vec::new();
        let mut turn = Turn {
            now: self.now,
            net: &mut self.net,
            out: &mut out,
        };
        input(&mut self.gateway, &mut turn);
        while !self.is_busy && self.gateway.begin(&mut turn) {}
        let changes = self.gateway.take_changes(&self.net);
        self.kept.push(serde_json::to_string(&changes).unwrap());
        for action in out {
            match action {
                Action::Text { socket, text } => {
                    let frame = Frame::read(&text).unwrap();
                    if let (Some(id), Some(number)) =
                        (&frame.control.session_id, frame.control.sequence)
                    {
                        self.received.insert(socket, (id.clone(), number));
                    }
                    if frame.control.kind != Kind::Acknowledgement {
                        self.frames.entry(socket).or_default().push_back(frame);
                    }
                }
                Action::Close { socket, code, .. } => self.closes.push((socket, code)),
                Action::Relay { record, .. } => {
                    let command = Command::decode(&record).unwrap();
                    if let Command::Create { legs, .. } = &command {
                        self.asked = legs.map(|spec| session_config_of(&spec));
                    }
                    self.told.push_back(told(&command));
                }
                Action::Resolve(resolve) => self.resolves.push(resolve),
                Action::Wake { told, .. } => self.woken.push(told),
            }
        }
    }

    /// Lets time pass, deadline after deadline.
    pub fn wait(&mut self, span: Millis) {
        let end = self.now + span;
        while let Some(deadline) = self.gateway.deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline;
            self.step(|gateway, turn| gateway.timeout(turn));
        }
        self.now = end;
    }

    /// A browser comes and connects under this name.
    pub fn browser(&mut self, number: u64, name: &str) -> SocketId {
        let socket = SocketId(number);
        let remote = "192.0.2.1:40000".parse().unwrap();
        self.step(|gateway, turn| {
            gateway.socket_opened(socket, "demo", Login::Guest, remote, turn)
        });
        self.send(
            socket,
            "request",
            "register",
            "",
            json!({"action": "connect", "initiator": name, "target": name}),
            None,
        );
        socket
    }

    /// The browser that has lost the socket `former` resumes on another.
    pub fn resumes(&mut self, former: SocketId, number: u64) -> SocketId {
        let socket = SocketId(number);
        let remote = "192.0.2.1:40001".parse().unwrap();
        self.step(|gateway, turn| {
            gateway.socket_opened(socket, "demo", Login::Guest, remote, turn)
        });
        let (id, last) = self.received.remove(&former).unwrap();
        let sent = self.sequences.remove(&former).unwrap();
        let frame = json!({
            "control": {"type": "request", "package_type": "register", "session_id": id, "version": "1.0"},
            "header": {"action": "connect", "cslr": last, "cslw": sent + 1, "csuw": sent},
        });
        self.sequences.insert(socket, sent);
        self.received.insert(socket, (id, last));
        let text = frame.to_string();
        self.step(|gateway, turn| gateway.socket_text(socket, &text, turn));
        socket
    }

    /// A browser sends a frame, with its next number.
    pub fn send(
        &mut self,
        socket: SocketId,
        kind: &str,
        package: &str,
        subsession: &str,
        header: Value,
        sdp: Option<&str>,
    ) {
        self.send_with(socket, kind, package, subsession, header, sdp, None, None);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one argument for each member of a frame"
    )]
    pub fn send_with(
        &mut self,
        socket: SocketId,
        kind: &str,
        package: &str,
        subsession: &str,
        header: Value,
        sdp: Option<&str>,
        correlation: Option<&str>,
        state: Option<&str>,
    ) {
        let mut control = json!({"type": kind, "package_type": package});
        for (name, value) in [("correlation_id", correlation), ("message_state", state)] {
            if let Some(value) = value {
                control[name] = value.into();
            }
        }
        if !subsession.is_empty() {
            control["subsession_id"] = subsession.into();
        }
        let payload = sdp.map(|sdp| json!({ "sdp": sdp }));
        self.send_frame(socket, control, header, payload);
    }

    /// A browser sends a frame with these members, and its next number.
    pub fn send_frame(
        &mut self,
        socket: SocketId,
        mut control: Value,
        header: Value,
        payload: Option<Value>,
    ) {
        let sequence = self.sequences.entry(socket).or_insert(0);
        *sequence += 1;
        control["version"] = "1.0".into();
        control["sequence"] = (*sequence).into();
        if control.get("correlation_id").is_none() {
            control["correlation_id"] = format!("c{sequence}").into();
        }
        let mut frame = json!({ "control": control, "header": header });
        if let Some(payload) = payload {
            frame["payload"] = payload;
        }
        let text = frame.to_string();
        self.step(|gateway, turn| gateway.socket_text(socket, &text, turn));
    }

    /// Alice's chat with bob begins: `start` with an offer, in subsession `x`.
    pub fn start(&mut self, socket: SocketId) {
        let header = json!({"action": "start", "initiator": "alice", "target": "bob@localhost"});
        self.send(socket, "request", "chat", "x", header, Some(BROWSER_SDP));
    }

    /// The next frame a browser got.
    pub fn frame(&mut self, socket: SocketId) -> Frame {
        let next = self.frames.get_mut(&socket).and_then(VecDeque::pop_front);
        next.expect("the browser got no frame")
    }

    /// Frames the browser has not looked at; acknowledgements are not among them.
    pub fn frames_left(&self, socket: SocketId) -> usize {
        self.frames.get(&socket).map_or(0, VecDeque::len)
    }

    /// The relay makes the session it was asked for.
    pub fn relay_makes(&mut self) -> SessionId {
        let Some(Told::Create(session)) = self.told.pop_front() else {
            panic!("the relay was not asked")
        };
        let host = self.relay_host;
        let paths = ["20001/l3gA", "20002/l3gB"].into_iter().zip(self.asked);
        let paths: Vec<(String, &str)> = paths
            .map(|(rest, config)| {
                let (scheme, kind, resource) = match transport_of(config) {
                    Transport::Ws => ("msrp", "ws", "/s3cr3t"),
                    Transport::Wss => ("msrps", "ws", "/s3cr3t"),
                    Transport::Tcp => ("msrp", "tcp", ""),
                    Transport::Tls => ("msrps", "tcp", ""),
                };
                (format!("{scheme}://{host}:{rest};{kind}"), resource)
            })
            .collect();
        let legs = [0, 1].map(|leg: usize| CreatedLeg {
            path: paths[leg].0.as_bytes(),
            resource: paths[leg].1.as_bytes(),
            fingerprint: (transport_of(self.asked[leg]) == Transport::Tls).then_some([7; 32]),
        });
        self.relay(Event::Created { session, legs });
        session
    }

    /// The relay tells something.
    pub fn relay(&mut self, event: Event<'_>) {
        self.step(|gateway, turn| gateway.relay_event(0, &event, turn));
    }

    /// The relay lost a browser that may come back.
    pub fn relay_detaches(&mut self, session: SessionId) {
        self.relay(Event::LegDetached {
            session,
            leg: Leg::A,
            cause: Cause::Reset,
            grace_ms: 5_000,
        });
    }

    /// The relay has a new way in for a browser.
    pub fn relay_rebinds(&mut self, session: SessionId) {
        let side = CreatedLeg {
            path: b"msrp://192.0.2.20:20003/n3wA;ws",
            resource: b"/0th3r",
            fingerprint: None,
        };
        self.relay(Event::Rebound {
            session,
            leg: Leg::A,
            side,
        });
    }

    /// The relay was told to delete the session, and does.
    pub fn relay_deletes(&mut self, session: SessionId) {
        assert_eq!(self.told.pop_front(), Some(Told::Delete(session)));
        self.relay_closed(session, Cause::Deleted);
    }

    /// The relay closed a session.
    pub fn relay_closed(&mut self, session: SessionId, cause: Cause) {
        let counts = SessionCounts::default();
        self.relay(Event::Closed {
            session,
            cause,
            counts,
        });
    }

    /// The SIP side tells something.
    pub fn sip(&mut self, event: sip::Event) {
        self.step(|gateway, turn| gateway.sip(event, turn));
    }

    /// The next request the SIP side was asked to send.
    pub fn request(&mut self) -> (Option<DialogId>, OutRequest, Sent) {
        self.net.requests.pop_front().expect("no SIP request")
    }

    /// The next answer the SIP side was asked to send.
    pub fn response(&mut self) -> (ServerId, OutResponse) {
        self.net.responses.pop_front().expect("no SIP response")
    }

    /// The peer answers a request of ours.
    pub fn answer(&mut self, sent: Sent, code: u16, reason: &str, sdp: &str) {
        self.answer_to("INVITE", sent, code, reason, sdp, &[]);
    }

    /// The peer answers a request of this method, with these header fields.
    pub fn answer_to(
        &mut self,
        method: &str,
        sent: Sent,
        code: u16,
        reason: &str,
        sdp: &str,
        headers: &[(&str, &str)],
    ) {
        let start = StartLine::Response {
            code,
            reason: reason.into(),
        };
        let mut message = message(start, method, "alice", "bob", true, sdp);
        let owned = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        message.headers.extend(owned);
        self.sip(sip::Event::Response {
            client: sent.client,
            dialog: sent.dialog,
            message,
        });
    }

    /// Everything is back where it was: no session of the relay, no bridge, no deadline.
    pub fn assert_empty(&self) {
        let gauges = self.gateway.gauges();
        for &gauge in Gauge::ALL {
            if gauge != Gauge::RelayShards {
                assert_eq!(gauges.value(gauge), 0, "{gauge:?}");
            }
        }
        assert_eq!(self.told, [], "commands nobody looked at");
        assert!(self.net.requests.is_empty(), "{:?}", self.net.requests);
        assert!(self.net.responses.is_empty(), "{:?}", self.net.responses);
        assert!(self.net.locals.is_empty());
        assert_eq!(self.resolves, []);
    }

    /// All browsers leave in order; then nothing is left.
    pub fn finish(mut self) {
        let sockets: Vec<SocketId> = self.sequences.keys().copied().collect();
        for socket in sockets {
            self.step(|gateway, turn| gateway.socket_closed(socket, Some(1000), turn));
        }
        self.assert_empty();
    }
}

fn gateway(files: &[(String, String)], constants: Members, seed: u64) -> Gateway {
    let known = SESSION_CONFIGS.map(|(name, transport)| {
        let is_browsers = matches!(transport, Transport::Ws | Transport::Wss);
        (name.to_owned(), is_browsers)
    });
    let sources = sources(files).unwrap();
    let scripts = load_scripts(&sources, constants, known.into(), Box::new(|| 0)).unwrap();
    let settings = Settings {
        domain: "localhost".into(),
        applications: HashMap::from([(
            "demo".into(),
            Application {
                packages: None,
                wakes: true,
            },
        )]),
        ring_ms: 180_000,
        leg_ms: 30_000,
        subsessions_per_session: 3,
        registrar: None,
        browsers: Limits {
            idle_ms: 1_000_000,
            disconnect_ms: 60_000,
            sessions: 100,
            sessions_per_user: 5,
            texts_per_s: 50,
        },
        legs: BTreeMap::from(SESSION_CONFIGS.map(|(name, transport)| {
            let config = LegConfig {
                transport,
                realm: format!("realm-of-{name}"),
                user_timeout_ms: 0,
                policy: LegPolicy {
                    grace_ms: 5_000,
                    ..LegPolicy::PLAIN
                },
                proof: PeerProof::WhenTold,
            };
            (name.to_owned(), config)
        })),
        ice: Vec::new(),
        ice_ttl_s: 3600,
    };
    Gateway::new(settings, Arc::new(scripts), Random::counting(seed))
}

/// A request of the handset `from` for `to`.
pub fn request(method: Method, from: &str, to: &str, inside: bool, sdp: &str) -> Message {
    let name = method.to_string();
    let start = StartLine::Request {
        method,
        uri: format!("sip:{to}@localhost"),
    };
    message(start, &name, from, to, inside, sdp)
}

fn message(
    start: StartLine,
    method: &str,
    from: &str,
    to: &str,
    inside: bool,
    sdp: &str,
) -> Message {
    let tag = if inside { ";tag=t2" } else { "" };
    let mut headers = vec![
        ("From".to_owned(), format!("<sip:{from}@localhost>;tag=t1")),
        ("To".to_owned(), format!("<sip:{to}@localhost>{tag}")),
        ("Call-ID".to_owned(), "1".to_owned()),
        ("CSeq".to_owned(), format!("1 {method}")),
    ];
    if !sdp.is_empty() {
        headers.push(("Content-Type".to_owned(), "application/sdp".to_owned()));
    }
    Message {
        start,
        headers,
        body: sdp.as_bytes().to_vec(),
    }
}

/// Which session-config this is of.
fn session_config_of(spec: &LegSpec<'_>) -> &'static str {
    let is_it = |(name, transport): &(&str, Transport)| {
        spec.transport == *transport && spec.realm == format!("realm-of-{name}")
    };
    let found = SESSION_CONFIGS.into_iter().find(is_it);
    found.expect("one of those there are").0
}

fn told(command: &Command<'_>) -> Told {
    match *command {
        Command::Create { session, legs } => {
            assert!(legs.iter().all(|spec| spec.policy.grace_ms == 5_000));
            assert!(legs.iter().all(|spec| spec.bind_ms == 180_000));
            Told::Create(session)
        }
        Command::SetPeer {
            leg, path, connect, ..
        } => Told::SetPeer {
            leg,
            path: String::from_utf8(path.to_vec()).unwrap(),
            connect,
        },
        Command::Rearm {
            leg, deadline_ms, ..
        } => {
            assert_eq!(deadline_ms, 30_000);
            Told::Rearm(leg)
        }
        Command::Delete { session } => Told::Delete(session),
        Command::List { .. } => Told::List,
        Command::Rebind {
            session,
            leg,
            bind_ms,
        } => {
            assert_eq!(bind_ms, 0, "the grace that runs goes on");
            Told::Rebind(session, leg)
        }
        Command::Drain | Command::Update { .. } | Command::Reload { .. } => {
            panic!("nothing of the kind is asked for yet")
        }
    }
}
