//! Control as a process: gateway and SIP machine, driven as `edge` drives them, and what outlives them.
//!
//! A turn is one call of the gateway. What it has changed is kept first; then peers, browsers and the relay hear of it. The
//! process may die at each of these points.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use control::gateway::{
    Application, BROWSER, Change, Gateway, HANDSET, Image, LegConfig, Net, Settings, load_scripts,
    sources,
};
use control::jsonrtc::{Limits, Members, SocketId};
use control::random::Random;
use control::script::Scripts;
use control::sip::{
    self, Action, AttemptId, ClientId, Credentials, DialogId, Event, Flow, OutRequest, OutResponse,
    Refused, Sent, ServerId, Sip, SubscriptionId,
};
use link::{LegPolicy, PeerProof, Record, Transport};

use super::network::CONTROL;
use super::streams::Known;

/// How long an invitation may ring.
pub const RING_MS: u64 = 30_000;
/// How long a lost browser has to come back to its media.
pub const GRACE_MS: u32 = 20_000;

thread_local! {
    /// What a script's clock says, and by how much it goes on with each look at it.
    static SCRIPT_CLOCK: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// From now on runs on this thread take so long between two looks at the clock.
pub fn scripts_take(ms: u64) {
    SCRIPT_CLOCK.set((SCRIPT_CLOCK.get().0, ms));
}

/// What ships, compiled once for all worlds.
fn scripts() -> Arc<Scripts> {
    static SCRIPTS: OnceLock<Arc<Scripts>> = OnceLock::new();
    let load = || {
        let clock = || {
            let (now, step) = SCRIPT_CLOCK.get();
            SCRIPT_CLOCK.set((now + step, step));
            now
        };
        let known = [(BROWSER.to_owned(), true), (HANDSET.to_owned(), false)];
        let sources = sources(&[]).expect("the shipped packages are where they may be");
        let scripts = load_scripts(&sources, Members::new(), known.into(), Box::new(clock));
        Arc::new(scripts.expect("the shipped packages are sound"))
    };
    SCRIPTS.get_or_init(load).clone()
}

/// What has come and is not taken yet.
pub enum Input {
    /// A browser's socket is open.
    Opened(SocketId),
    /// A text came on it.
    Text(SocketId, String),
    /// It was closed, with this code if there was one.
    Closed(SocketId, Option<u16>),
    /// A datagram came.
    Datagram(SocketAddr, Vec<u8>),
    /// A piece of a stream came.
    Piece(u64, Vec<u8>),
    /// A connection is lost, or could not be made.
    FlowLost(Flow),
    /// The relay is there.
    Attached,
    /// The relay is gone.
    RelayLost,
    /// The relay told something.
    Relay(Box<Record>),
}

/// A process, from its start to its death.
pub struct Process {
    pub gateway: Gateway,
    pub net: SipSide,
    /// Sockets that are open, and whose they are.
    pub sockets: BTreeMap<SocketId, usize>,
    /// Its SIP streams.
    pub streams: Known,
    /// What waits to be taken.
    pub inputs: VecDeque<Input>,
    /// It is at work until then.
    pub busy_until: u64,
    /// A relay is attached.
    pub attached: bool,
    /// Commands that wait for room in the queue.
    pub commands: VecDeque<Box<Record>>,
    /// When it looks at the link.
    pub link_at: Option<u64>,
    pub started: u64,
}

impl Process {
    /// The process of this number, without anything that an earlier one has kept.
    pub fn new(seed: u64, number: u64, now: u64) -> Process {
        let mut random = Random::counting(seed ^ number << 32);
        let sip_seed = random.seed();
        let mut settings = sip::Settings::new("localhost", CONTROL);
        settings.timing.ring_ms = RING_MS + 10_000;
        Process {
            gateway: Gateway::new(gateway_settings(), scripts(), random),
            net: SipSide::new(Sip::new(settings, sip_seed), now),
            sockets: BTreeMap::new(),
            streams: Known::default(),
            inputs: VecDeque::new(),
            busy_until: now,
            attached: false,
            commands: VecDeque::new(),
            link_at: None,
            started: now,
        }
    }

    /// When it has something to do.
    pub fn due(&self) -> Option<u64> {
        let is_new = self.net.sip.held().waiting + self.gateway.waiting() > 0;
        let waits = is_new || !self.inputs.is_empty() || !self.net.events.is_empty();
        let due = match waits {
            true => Some(0),
            false => [
                self.net.sip.deadline(),
                self.gateway.deadline(),
                self.link_at,
            ]
            .into_iter()
            .flatten()
            .min(),
        };
        due.map(|due| due.max(self.busy_until))
    }

    /// What has changed since this was last asked.
    pub fn changes(&mut self) -> Vec<Change> {
        let mut changes = Change::of_sip(&mut self.net.sip);
        changes.extend(self.gateway.take_changes(&self.net));
        changes
    }

    /// Everything there is.
    pub fn all_changes(&mut self) -> Vec<Change> {
        let mut changes = Change::all_of_sip(&self.net.sip);
        changes.extend(self.gateway.all_changes(&self.net));
        changes
    }

    /// What is for the SIP side of what an earlier process has kept.
    pub fn restore_sip(&mut self, image: &Image) {
        let is_read = image.restore_sip(&mut self.net.sip);
        assert!(is_read, "kept registrations can be read");
    }
}

/// What was kept, read back.
pub fn image(kept: &[Vec<u8>]) -> Image {
    let mut image = Image::default();
    for record in kept {
        let changes: Vec<Change> =
            serde_json::from_slice(record).expect("what was kept can be read");
        changes.into_iter().for_each(|change| image.apply(change));
    }
    image
}

fn gateway_settings() -> Settings {
    let leg = |transport, grace_ms| LegConfig {
        transport,
        realm: String::new(),
        user_timeout_ms: 0,
        policy: LegPolicy {
            grace_ms,
            ..LegPolicy::PLAIN
        },
        proof: PeerProof::WhenTold,
    };
    Settings {
        domain: "localhost".into(),
        applications: HashMap::from([("demo".into(), Application::default())]),
        ring_ms: RING_MS,
        leg_ms: 30_000,
        subsessions_per_session: 50,
        browsers: Limits {
            idle_ms: 60_000,
            disconnect_ms: 60_000,
            sessions: 100,
            sessions_per_user: 5,
            texts_per_s: 50,
        },
        registrar: None,
        legs: BTreeMap::from([
            (BROWSER.into(), leg(Transport::Ws, GRACE_MS)),
            (HANDSET.into(), leg(Transport::Tcp, 0)),
        ]),
        ice: Vec::new(),
        ice_ttl_s: 3600,
    }
}

/// The SIP machine as the gateway calls it: what it transmits and tells is collected.
pub struct SipSide {
    pub sip: Sip,
    pub now: u64,
    /// What is to be sent.
    pub sent: Vec<(Flow, Vec<u8>)>,
    /// What the gateway is to be told.
    pub events: VecDeque<Event>,
}

impl SipSide {
    fn new(sip: Sip, now: u64) -> SipSide {
        SipSide {
            sip,
            now,
            sent: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// A call of the machine, and what it wants done.
    pub fn with<T>(&mut self, call: impl FnOnce(&mut Sip, u64, &mut Vec<Action>) -> T) -> T {
        let mut out = Vec::new();
        let result = call(&mut self.sip, self.now, &mut out);
        for action in out {
            match action {
                Action::Transmit { flow, bytes } => self.sent.push((flow, bytes)),
                Action::Event(event) => self.events.push_back(event),
                Action::KeepAlive { .. } => {}
            }
        }
        result
    }

    /// A message came.
    pub fn receive(&mut self, flow: Flow, octets: &[u8]) {
        self.with(|sip, now, out| sip.receive(flow, octets, now, out));
    }
}

impl Net for SipSide {
    fn request(&mut self, dialog: Option<DialogId>, request: OutRequest) -> Result<Sent, Refused> {
        self.with(|sip, now, out| sip.request(dialog, request, now, out))
    }

    fn respond(&mut self, server: ServerId, response: OutResponse) -> Result<(), Refused> {
        self.with(|sip, now, out| sip.respond(server, response, now, out))
    }

    fn ack(&mut self, dialog: DialogId) {
        self.with(|sip, now, out| sip.ack(dialog, now, out));
    }

    fn cancel(&mut self, client: ClientId) {
        self.with(|sip, now, out| sip.cancel(client, now, out));
    }

    fn register(
        &mut self,
        user: &str,
        credentials: Option<Credentials>,
    ) -> Result<AttemptId, Refused> {
        self.with(|sip, now, out| sip.register(user, credentials, now, out))
    }

    fn keep_registered(&mut self, user: &str) {
        self.sip.keep_registered(user);
    }

    fn add_local(&mut self, user: &str) {
        self.sip.add_local(user);
    }

    fn remove_local(&mut self, user: &str) {
        self.with(|sip, now, out| sip.remove_local(user, now, out));
    }

    fn subscribe_again(
        &mut self,
        subscription: SubscriptionId,
        request: OutRequest,
    ) -> Result<Sent, Refused> {
        self.with(|sip, now, out| sip.subscribe_again(subscription, request, now, out))
    }

    fn unsubscribe(&mut self, subscription: SubscriptionId) {
        self.with(|sip, now, out| sip.unsubscribe(subscription, now, out));
    }

    fn is_watched(&self, dialog: DialogId) -> bool {
        self.sip.is_watched(dialog)
    }

    fn stop_notifying(&mut self, dialog: DialogId) {
        self.with(|sip, now, out| sip.stop_notifying(dialog, now, out));
    }

    fn is_asked(&self, server: ServerId) -> bool {
        self.sip.is_asked(server)
    }

    fn saved_dialog(&self, dialog: DialogId) -> Option<String> {
        self.sip.saved_dialog(dialog)
    }

    fn restore_dialog(&mut self, text: &str) -> bool {
        self.sip.restore_dialog(text)
    }

    fn saved_subscription(&self, subscription: SubscriptionId) -> Option<String> {
        self.sip.saved_subscription(subscription)
    }

    fn restore_subscription(&mut self, text: &str) -> bool {
        self.sip.restore_subscription(text, self.now)
    }
}
