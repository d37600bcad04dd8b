//! Where one message finds its criterion, its script, and becomes messages on the other side. Pure.
//!
//! ```text
//! browsers ▶ from_browser ┐                          ┌ carry_out ▶ browsers, SIP side
//!                         ├▶ run: criterion, script ▶┤
//! SIP side ▶ from_net ────┘                          └ media ▶ relay ▶ (made) ▶ carry_out
//! ```
//!
//! The unit is the [`bridge::Bridge`]: one SIP dialog or request, the subsession of the browser (while it
//! rings: of each of the user's browsers), and the relay's session between them. `ending` is the one way
//! in which a bridge ends, once, with everybody told and everything given back.
//!
//! Invariants: nothing here opens a socket, reads a clock or waits; only `browsers` knows JSON frames'
//! numbers, only the SIP side knows tags and sequence numbers.

mod bridge;
mod carry_out;
mod ending;
mod from_browser;
mod from_net;
mod ice;
mod media;
mod openings;
mod others;
mod questions;
mod registering;
mod relay;
mod run;
mod saved;
mod sessions;
mod subscribed;
#[cfg(test)]
mod tests;
mod tracked;
mod user_stores;
mod views;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use bridge::{Bridge, BridgeId};
use link::Record;
use openings::Openings;
use questions::Questions;
use tracked::Tracked;
use user_stores::UserStores;

use crate::jsonrtc::{self, Browsers, Login, Members, SessionKey, SocketId};
use crate::limits::Millis;
use crate::metrics::{Counter, Counters, Gauge, Gauges};
use crate::random::Random;
use crate::script::Scripts;
use crate::sip;
use crate::timers::Timers;

pub use ice::{IceLogin, IceServer};
pub use media::{BROWSER, HANDSET, Resolve};
pub use run::{LoadError, load_scripts, sources};
pub use saved::{Change, Image};

/// What a [`Gateway`] is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The domain of our users, lower case.
    pub domain: String,
    /// Application profiles by name, the last part of a browser's URL.
    pub applications: HashMap<String, Application>,
    /// How long an invitation may ring.
    pub ring_ms: Millis,
    /// How long a leg may wait for its peer once the invitation is answered.
    pub leg_ms: Millis,
    /// Subsessions one session may have at once.
    pub subsessions_per_session: usize,
    /// Bounds and spans of sockets and sessions.
    pub browsers: jsonrtc::Limits,
    /// The Request-URI of REGISTER, where users belong to a registrar elsewhere.
    pub registrar: Option<String>,
    /// Session-configs by name, what the relay is asked for toward a peer. [`BROWSER`] and [`HANDSET`] are
    /// among them.
    pub legs: BTreeMap<String, LegConfig>,
    /// STUN and TURN servers that browsers are told.
    pub ice: Vec<IceServer>,
    /// How long their users of limited time are good, in seconds.
    pub ice_ttl_s: u32,
}

/// A session-config: one side of a session that the relay is asked for.
#[derive(Clone, Debug)]
pub struct LegConfig {
    /// How MSRP travels on it; a session description that says otherwise is refused.
    pub transport: link::Transport,
    /// The relay's realm that it lives in; empty: the default one.
    pub realm: String,
    /// How long the peer's kernel may acknowledge nothing; 0: as the relay has it.
    pub user_timeout_ms: u32,
    /// How long it may be silent or away, and which of MSRP's choices hold.
    pub policy: link::LegPolicy,
    /// What a TLS peer must prove.
    pub proof: link::PeerProof,
}

/// What browsers of one application may do.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// The packages they may use; `None`: all there are.
    pub packages: Option<Vec<String>>,
    /// There is somebody who wakes up those that hibernate: see [`Action::Wake`].
    pub wakes: bool,
}

/// What the caller must do, in this order.
#[derive(Debug)]
pub enum Action {
    /// Send a text to a browser.
    Text {
        /// On which socket.
        socket: SocketId,
        /// The text.
        text: String,
    },
    /// Close a browser's socket.
    Close {
        /// Which.
        socket: SocketId,
        /// The WebSocket's close code.
        code: u16,
        /// The reason.
        reason: &'static str,
    },
    /// Send a command to the relay.
    Relay {
        /// To which shard.
        shard: usize,
        /// An encoded [`link::Command`].
        record: Box<Record>,
    },
    /// Find an address and call [`Gateway::resolved`].
    Resolve(Resolve),
    /// Tell whoever can wake up a browser that it is wanted.
    Wake {
        /// The application it came to.
        application: String,
        /// Which session, what device, and who wants what.
        told: Members,
    },
}

/// The SIP side, as the gateway uses it. [`crate::sip::Sip`] has the meaning of each function.
pub trait Net {
    /// Sends a request.
    fn request(
        &mut self,
        dialog: Option<sip::DialogId>,
        request: sip::OutRequest,
    ) -> Result<sip::Sent, sip::Refused>;
    /// Answers a request.
    fn respond(
        &mut self,
        server: sip::ServerId,
        response: sip::OutResponse,
    ) -> Result<(), sip::Refused>;
    /// Acknowledges the 2xx to our INVITE.
    fn ack(&mut self, dialog: sip::DialogId);
    /// Cancels our INVITE.
    fn cancel(&mut self, client: sip::ClientId);
    /// Registers a user with the registrar that the SIP side was told of, or proves that it may be.
    fn register(
        &mut self,
        user: &str,
        credentials: Option<sip::Credentials>,
    ) -> Result<sip::AttemptId, sip::Refused>;
    /// Keeps a user's registration up, of whom a session has outlived the process.
    fn keep_registered(&mut self, user: &str);
    /// Requests for this user of our domain come to the gateway from now on.
    fn add_local(&mut self, user: &str);
    /// They don't any more.
    fn remove_local(&mut self, user: &str);
    /// Refreshes a subscription of ours, or ends it.
    fn subscribe_again(
        &mut self,
        subscription: sip::SubscriptionId,
        request: sip::OutRequest,
    ) -> Result<sip::Sent, sip::Refused>;
    /// Ends a subscription of ours; nothing is told of it any more.
    fn unsubscribe(&mut self, subscription: sip::SubscriptionId);
    /// Whether a peer has a subscription in this dialog.
    fn is_watched(&self, dialog: sip::DialogId) -> bool;
    /// Ends the subscriptions of peers in this dialog.
    fn stop_notifying(&mut self, dialog: sip::DialogId);
    /// Whether a peer's request still waits for its answer.
    fn is_asked(&self, server: sip::ServerId) -> bool;
    /// A dialog as text, if it is one to be kept beyond the process.
    fn saved_dialog(&self, dialog: sip::DialogId) -> Option<String>;
    /// Takes a dialog back. `false`: the text is none.
    fn restore_dialog(&mut self, text: &str) -> bool;
    /// A subscription of ours as text, if it is one to be kept beyond the process.
    fn saved_subscription(&self, subscription: sip::SubscriptionId) -> Option<String>;
    /// Takes a subscription of ours back, after the dialog it may live in. `false`: the text is none.
    fn restore_subscription(&mut self, text: &str) -> bool;
}

/// What one input has at hand: the time, the SIP side, and where its actions go.
pub struct Turn<'a> {
    /// Now.
    pub now: Millis,
    /// The SIP side.
    pub net: &'a mut dyn Net,
    /// What the caller must do afterwards.
    pub out: &'a mut Vec<Action>,
}

/// What the gateway keeps of a session beside what `jsonrtc` keeps.
#[derive(Debug, Default)]
struct Seat {
    /// Its subsessions by their ids.
    subsessions: BTreeMap<String, BridgeId>,
    /// What scripts put away for the session.
    store: Members,
    /// The user part that was announced to SIP, if it is of our domain.
    local: Option<String>,
    /// What whoever wakes it up needs to know, in the browser's words.
    device: Option<Members>,
}

/// The gateway.
pub struct Gateway {
    settings: Settings,
    scripts: Arc<Scripts>,
    random: Random,
    browsers: Browsers,
    /// What `browsers` wants done; always empty between two inputs.
    web: Vec<jsonrtc::Action>,
    seats: Tracked<SessionKey, Seat>,
    bridges: Tracked<BridgeId, Bridge>,
    openings: Openings,
    last_bridge: u64,
    clients: HashMap<sip::ClientId, BridgeId>,
    servers: HashMap<sip::ServerId, BridgeId>,
    dialogs: HashMap<sip::DialogId, BridgeId>,
    subscriptions: HashMap<sip::SubscriptionId, BridgeId>,
    /// Browsers whose users the registrar is asked about.
    connecting: HashMap<sip::AttemptId, registering::Granted>,
    /// Dialogs that are to end, with the Reason to give: those we answered, as soon as the ACK is there
    /// (RFC 3261, 15), and those whose media were lost.
    farewells: HashMap<sip::DialogId, String>,
    /// When those whose media were lost are to end.
    farewell_timers: Timers<sip::DialogId>,
    relay: relay::Relay,
    /// When a relay must have told which of the sessions that were taken back it has.
    relay_back_by: Option<Millis>,
    timers: Timers<BridgeId>,
    /// When scripts want to be asked again.
    alarms: Timers<BridgeId>,
    questions: Questions,
    users: UserStores,
    /// Milliseconds since 1970, for scripts.
    wall_ms: u64,
    counters: Counters,
    /// While somebody watches: whose message each run since the last [`Gateway::take_traces`] was for,
    /// and what it did.
    traces: Option<Vec<(String, String)>>,
}

impl Gateway {
    /// A gateway without sockets, sessions or relay.
    pub fn new(settings: Settings, scripts: Arc<Scripts>, mut random: Random) -> Gateway {
        let relay = relay::Relay::new(random.number());
        let browsers = Browsers::new(settings.browsers);
        Gateway {
            settings,
            scripts,
            random,
            browsers,
            web: Vec::new(),
            seats: Tracked::default(),
            bridges: Tracked::default(),
            openings: Openings::default(),
            last_bridge: 0,
            clients: HashMap::new(),
            servers: HashMap::new(),
            dialogs: HashMap::new(),
            subscriptions: HashMap::new(),
            connecting: HashMap::new(),
            farewells: HashMap::new(),
            farewell_timers: Timers::default(),
            relay,
            relay_back_by: None,
            timers: Timers::default(),
            alarms: Timers::default(),
            questions: Questions::default(),
            users: UserStores::default(),
            wall_ms: 0,
            counters: Counters::default(),
            traces: None,
        }
    }

    /// What scripts are told the time is, in milliseconds since 1970. Tell it before each input.
    pub fn set_wall_clock(&mut self, wall_ms: u64) {
        self.wall_ms = wall_ms;
    }

    /// A browser opened a socket to `application`, which exists, and has proven who it is.
    pub fn socket_opened(
        &mut self,
        socket: SocketId,
        application: &str,
        login: Login,
        remote: SocketAddr,
        turn: &mut Turn<'_>,
    ) {
        self.counters.add(Counter::SocketsOpened);
        let remote = remote.to_string();
        self.browsers
            .opened(socket, application, &remote, login, turn.now);
    }

    /// A text came from a browser.
    pub fn socket_text(&mut self, socket: SocketId, text: &str, turn: &mut Turn<'_>) {
        self.counters.add(Counter::FramesReceived);
        self.browsers.text(socket, text, turn.now, &mut self.web);
        self.settle(turn);
    }

    /// A binary message came from a browser.
    pub fn socket_binary(&mut self, socket: SocketId, turn: &mut Turn<'_>) {
        self.browsers.binary(socket, turn.now, &mut self.web);
        self.settle(turn);
    }

    /// A message over the limit came from a browser.
    pub fn socket_too_large(&mut self, socket: SocketId, turn: &mut Turn<'_>) {
        self.browsers.too_large(socket, turn.now, &mut self.web);
        self.settle(turn);
    }

    /// A ping or pong of the WebSocket came from a browser.
    pub fn socket_alive(&mut self, socket: SocketId, now: Millis) {
        self.browsers.alive(socket, now);
    }

    /// A browser's socket was closed, with this code if there was one.
    pub fn socket_closed(&mut self, socket: SocketId, code: Option<u16>, turn: &mut Turn<'_>) {
        self.browsers.closed(socket, code, turn.now, &mut self.web);
        self.settle(turn);
    }

    /// The SIP side has something to tell.
    pub fn sip(&mut self, event: sip::Event, turn: &mut Turn<'_>) {
        self.net_event(event, turn);
        self.settle(turn);
    }

    /// A relay was attached. Whatever sessions it has that are not known here are deleted.
    pub fn relay_attached(&mut self, shards: usize, turn: &mut Turn<'_>) {
        self.counters.add(Counter::RelayAttachments);
        self.relay.attached(shards);
        for shard in 0..shards {
            self.command(
                shard,
                link::Command::List {
                    token: shard as u64,
                },
                turn,
            );
        }
    }

    /// The relay is gone, and all its sessions with it.
    pub fn relay_lost(&mut self, turn: &mut Turn<'_>) {
        self.counters.add(Counter::RelayLost);
        for bridge in self.relay.lost() {
            self.end(bridge, &ending::Why::relay_lost(), turn);
        }
        self.settle(turn);
    }

    /// A shard of the relay has something to tell.
    pub fn relay_event(&mut self, shard: usize, event: &link::Event<'_>, turn: &mut Turn<'_>) {
        self.media_event(shard, event, turn);
        self.settle(turn);
    }

    /// The answer to [`Action::Resolve`]; `None`: there is no such address.
    pub fn resolved(
        &mut self,
        resolve: &Resolve,
        address: Option<SocketAddr>,
        turn: &mut Turn<'_>,
    ) {
        self.media_resolved(resolve, address, turn);
        self.settle(turn);
    }

    /// New scripts: the next message runs them.
    pub fn set_scripts(&mut self, scripts: Arc<Scripts>) {
        self.counters.add(Counter::ScriptReloads);
        self.scripts = scripts;
    }

    /// New scripts that were not sound: those in use stay.
    pub fn scripts_refused(&mut self) {
        self.counters.add(Counter::ScriptReloadsRefused);
    }

    /// Keeps, or does not keep any more, what runs do.
    pub fn trace_runs(&mut self, wanted: bool) {
        self.traces = wanted.then(Vec::new);
    }

    /// What runs did: user, and a case of a test in JSON. Ask after each input while runs are traced.
    pub fn take_traces(&mut self) -> Vec<(String, String)> {
        self.traces.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// When to call [`Gateway::timeout`], if ever.
    pub fn deadline(&self) -> Option<Millis> {
        let own = [
            self.timers.next(),
            self.alarms.next(),
            self.farewell_timers.next(),
        ];
        own.into_iter()
            .chain([self.browsers.deadline(), self.relay_back_by])
            .flatten()
            .min()
    }

    /// The time of [`Gateway::deadline`] has come.
    pub fn timeout(&mut self, turn: &mut Turn<'_>) {
        self.browsers.timeout(turn.now, &mut self.web);
        self.settle(turn);
        self.say_farewells(turn.now, turn);
        if self.relay_back_by.is_some_and(|at| at <= turn.now) {
            self.relay_reconciled(turn);
            self.settle(turn);
        }
        while let Some(bridge) = self.timers.take_due(turn.now) {
            self.bridge_timeout(bridge, turn);
            self.settle(turn);
        }
        while let Some(bridge) = self.alarms.take_due(turn.now) {
            self.alarm(bridge, turn);
            self.settle(turn);
        }
    }

    /// The program ends: every subsession ends, every peer is told.
    pub fn shut_down(&mut self, turn: &mut Turn<'_>) {
        let mut bridges: Vec<BridgeId> = self.bridges.keys().copied().collect();
        bridges.sort_unstable();
        for bridge in bridges {
            self.end(bridge, &ending::Why::shutting_down(), turn);
        }
        self.say_farewells(Millis::MAX, turn);
        self.settle(turn);
    }

    /// Whether browsers may come to this application.
    pub fn has_application(&self, name: &str) -> bool {
        self.settings.applications.contains_key(name)
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What there is now. Everything is 0 when the last browser and the last peer have gone, but for the
    /// shards of the relay.
    pub fn gauges(&self) -> Gauges {
        let mut gauges = Gauges::default();
        let subsessions = self.seats.values().map(|seat| seat.subsessions.len()).sum();
        gauges.set(Gauge::Sockets, self.browsers.sockets_len());
        gauges.set(Gauge::Sessions, self.browsers.sessions_len());
        gauges.set(Gauge::SessionsDetached, self.browsers.detached_len());
        gauges.set(Gauge::Subsessions, subsessions);
        gauges.set(Gauge::NewWaiting, self.openings.len());
        gauges.set(Gauge::Bridges, self.bridges.len());
        gauges.set(Gauge::RelaySessions, self.relay.sessions_len());
        gauges.set(Gauge::RelayShards, self.relay.shards_len());
        gauges.set(Gauge::Farewells, self.farewells.len());
        gauges.set(
            Gauge::Timers,
            self.timers.len()
                + self.alarms.len()
                + self.farewell_timers.len()
                + self.browsers.timers_len(),
        );
        gauges
    }

    /// Does what `browsers` wants done, and what follows from that, until nothing is left.
    fn settle(&mut self, turn: &mut Turn<'_>) {
        while !self.web.is_empty() {
            for action in std::mem::take(&mut self.web) {
                match action {
                    jsonrtc::Action::Text { socket, text } => {
                        self.counters.add(Counter::FramesSent);
                        turn.out.push(Action::Text { socket, text });
                    }
                    jsonrtc::Action::Close {
                        socket,
                        code,
                        reason,
                    } => {
                        turn.out.push(Action::Close {
                            socket,
                            code,
                            reason,
                        });
                    }
                    jsonrtc::Action::Event(event) => self.web_event(event, turn),
                }
            }
        }
        debug_assert!(self.is_consistent());
    }

    /// Every table points at bridges that exist, and every bridge that waits has a deadline.
    fn is_consistent(&self) -> bool {
        let known = |id: &BridgeId| self.bridges.contains_key(id);
        self.clients.values().all(known)
            && self.servers.values().all(known)
            && self.dialogs.values().all(known)
            && self.subscriptions.values().all(known)
            && self
                .seats
                .values()
                .flat_map(|seat| seat.subsessions.values())
                .all(known)
            && self.seats.len() == self.browsers.sessions_len()
            && self.questions.len() <= self.clients.len()
    }
}
