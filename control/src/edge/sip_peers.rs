//! The SIP sockets: UDP and TCP on the same port, TLS on another, and the [`Sip`] machine they drive.
//!
//! [`SipPeers`] is owned by one task, the gateway's. That task alone calls it, so there is one order
//! of things: `event().await` gives what peers did, the other functions are plain calls that take
//! effect (and hand the bytes to the sockets) before they return. What such a call causes besides its
//! result comes out of the next `event()`.
//!
//! ```ignore
//! let mut peers = SipPeers::bind(PeersSettings::new(listen, "localhost"), seed).await?;
//! loop {
//!     tokio::select! {
//!         event = peers.event() => gateway.sip(event, &mut peers),
//!         frame = browsers.recv() => gateway.web(frame, &mut peers),
//!     }
//! }
//! ```
//!
//! Each connection has a task of its own that frames what it reads and writes what is queued for
//! it; both queues are bounded. A peer that does not read is cut when its queue is full.

mod connection;
mod saved;
mod sockets;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::connection::Input;
use self::sockets::Sockets;
pub use self::sockets::Wake;
pub use self::tls::Identity;
use super::{Listener, StartError};
use crate::sip::{
    Action, AttemptId, ClientId, Credentials, DialogId, Event, Flow, Held, Hop, Millis, OutRequest,
    OutResponse, Refused, Secrets, SecurePlace, Sent, ServerId, Settings, Sip, SipTransport,
    SubscriptionId, Upstream,
};

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Where TLS is listened at, and by whom.
#[derive(Clone, Debug)]
pub struct SecureSettings {
    /// Port 0 takes any that is free.
    pub listen: SocketAddr,
    /// What peers are told in the place of our number.
    pub name: Option<String>,
    /// Certificates and authorities.
    pub identity: Identity,
}

/// What [`SipPeers::bind`] is told.
#[derive(Clone, Debug)]
pub struct PeersSettings {
    /// Where to listen; port 0 takes any that is free for both UDP and TCP.
    pub listen: SocketAddr,
    /// The address peers are told, if it isn't the bound one. Its port 0 stands for the bound port.
    /// Needed when listening on all addresses.
    pub advertised: Option<SocketAddr>,
    /// TLS, if there is any.
    pub tls: Option<SecureSettings>,
    /// The domain we serve.
    pub domain: String,
    /// The network beyond.
    pub upstream: Option<Upstream>,
    /// Its next hops, best first.
    pub hops: Vec<Hop>,
    /// What our users show when they are challenged.
    pub secrets: Secrets,
    /// What handsets show that register with us; empty: nothing.
    pub handsets: BTreeMap<String, Credentials>,
    /// Connections, in and out, at most. Each costs a task, and up to 128 KiB while a large
    /// message comes in.
    pub connections_max: usize,
    /// Messages waiting for one slow peer; one more and it is cut.
    pub queue_messages_max: usize,
    /// A connection without traffic for so long is closed. Longer than the longest registration,
    /// because a handset is reached over the connection it registered by.
    pub idle_ms_max: u64,
    /// A message may take so long from its first octet to its last, and a peer that connects to us until
    /// its first message.
    pub message_ms_max: u64,
}

impl PeersSettings {
    /// Defaults for everything else.
    pub fn new(listen: SocketAddr, domain: &str) -> PeersSettings {
        PeersSettings {
            listen,
            advertised: None,
            tls: None,
            domain: domain.to_owned(),
            upstream: None,
            hops: Vec::new(),
            secrets: Secrets::default(),
            handsets: BTreeMap::new(),
            connections_max: 4096,
            queue_messages_max: 64,
            idle_ms_max: 7_300_000,
            message_ms_max: 32_000,
        }
    }
}

/// What happened to the sockets since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCounts {
    /// Datagrams the kernel did not take; SIP repeats them.
    pub datagrams_unsent: u64,
    /// Connections refused because there are too many.
    pub connections_refused: u64,
    /// Connections cut because their peer did not read.
    pub connections_cut: u64,
}

/// The sockets and the machine.
pub struct SipPeers {
    sip: Sip,
    sockets: Sockets,
    /// Told by [`SipPeers::event`], in this order.
    events: VecDeque<Event>,
    /// What is to be sent waits for [`SipPeers::flush`].
    holds: bool,
    held: Vec<Action>,
    started: Instant,
    /// What our clock said then: an earlier process may have gone before.
    zero: Millis,
}

impl SipPeers {
    /// Opens the sockets. `seed` must come from the kernel's generator.
    ///
    /// # Errors
    /// An address that can't be listened at, or told to peers.
    pub async fn bind(settings: PeersSettings, seed: [u8; 32]) -> Result<SipPeers, StartError> {
        let mut machine = Settings::new(&settings.domain, settings.listen);
        machine.upstream.clone_from(&settings.upstream);
        machine.secrets = settings.secrets.clone();
        machine.handsets.clone_from(&settings.handsets);
        let hops = settings.hops.clone();
        let (advertised, tls) = (settings.advertised, settings.tls.clone());
        let sockets = Sockets::bind(settings).await?;
        let mut advertised = advertised.unwrap_or(sockets.address);
        if advertised.port() == 0 {
            advertised.set_port(sockets.address.port());
        }
        if advertised.ip().is_unspecified() {
            let what = "listening on all addresses: say which one peers are to be told";
            return Err(StartError::Listen {
                listener: Listener::Sip,
                address: advertised,
                error: io::Error::new(io::ErrorKind::InvalidInput, what),
            });
        }
        machine.advertised = advertised;
        let tls_port = sockets.tls_address().map(|address| address.port());
        machine.secure = tls_port.zip(tls).map(|(port, tls)| SecurePlace {
            address: SocketAddr::new(advertised.ip(), port),
            name: tls.name,
        });
        let sip = Sip::new(machine, seed);
        let mut peers = SipPeers {
            sip,
            sockets,
            events: VecDeque::new(),
            holds: false,
            held: Vec::new(),
            started: Instant::now(),
            zero: 0,
        };
        peers.set_hops(hops);
        Ok(peers)
    }

    /// The bound address; UDP and TCP have the same port.
    pub fn address(&self) -> SocketAddr {
        self.sockets.address
    }

    /// Where TLS is listened at.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.sockets.tls_address()
    }

    /// What happened to the sockets.
    pub fn counts(&self) -> PeerCounts {
        self.sockets.counts
    }

    /// What the machine holds.
    pub fn held(&self) -> Held {
        self.sip.held()
    }

    /// Connections that are open or being opened.
    pub fn connections(&self) -> usize {
        self.sockets.connections()
    }

    /// The next thing a peer did. Cancel-safe. It must be awaited again and again: without, nothing is
    /// received and no timer runs.
    pub async fn event(&mut self) -> Event {
        loop {
            let wake = self.wake().await;
            if let Some(event) = self.wakes(wake) {
                return event;
            }
            // Whoever waits for this has nothing else to do.
            self.begin();
        }
    }

    /// The waiting half of [`SipPeers::event`]. Cancel-safe.
    pub async fn wake(&mut self) -> Wake {
        if !self.events.is_empty() {
            return Wake::Nothing;
        }
        let due = self
            .sip
            .deadline()
            .map(|at| self.started + Duration::from_millis(at.saturating_sub(self.zero)));
        self.sockets.wake(due).await
    }

    /// What [`SipPeers::wake`] would give at once.
    pub fn ready(&mut self) -> Option<Wake> {
        let now = self.now();
        if !self.events.is_empty() || self.sip.deadline().is_some_and(|due| due <= now) {
            return Some(Wake::Nothing);
        }
        self.sockets.ready()
    }

    /// The working half: what comes of it. `None`: nothing that there is to tell.
    pub fn wakes(&mut self, wake: Wake) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let now = self.now();
        let mut actions = Vec::new();
        match wake {
            Wake::Datagram(length, peer) => {
                let flow = Flow {
                    transport: SipTransport::Udp,
                    peer,
                    connection: None,
                };
                let bytes = self.sockets.datagram(length);
                self.sip.receive(flow, bytes, now, &mut actions);
            }
            Wake::Input(Input::Message { flow, bytes }) => {
                self.sip.receive(flow, &bytes, now, &mut actions);
            }
            Wake::Input(Input::Lost { flow }) => {
                self.sockets.forget(flow);
                self.sip.flow_lost(flow, now, &mut actions);
            }
            Wake::Nothing => {}
        }
        if self.sip.deadline().is_some_and(|due| due <= now) {
            self.sip.timeout(now, &mut actions);
        }
        self.perform(actions);
        self.events.pop_front()
    }

    /// [`Sip::set_hops`].
    pub fn set_hops(&mut self, hops: Vec<Hop>) {
        self.sockets.set_names(&hops);
        let (now, mut actions) = (self.now(), Vec::new());
        self.sip.set_hops(hops, now, &mut actions);
        self.perform(actions);
    }

    /// How many next hops are not known to be out of order.
    pub fn hops_up(&self) -> usize {
        self.sip.hops_up(self.now())
    }

    /// [`Sip::waited`].
    pub fn waited(&mut self) -> Option<Millis> {
        self.sip.waited(self.now())
    }

    /// [`Sip::waiting`].
    pub fn waiting(&self) -> usize {
        self.sip.waiting()
    }

    /// [`Sip::begin`]. What comes of it is told by the next [`SipPeers::event`].
    pub fn begin(&mut self) {
        let (now, mut actions) = (self.now(), Vec::new());
        self.sip.begin(now, &mut actions);
        self.perform(actions);
    }

    /// [`Sip::turned_away`].
    pub fn turned_away(&self) -> u64 {
        self.sip.turned_away()
    }

    /// [`Sip::register`].
    pub fn register(
        &mut self,
        user: &str,
        credentials: Option<Credentials>,
    ) -> Result<AttemptId, Refused> {
        let (now, mut actions) = (self.now(), Vec::new());
        let attempt = self.sip.register(user, credentials, now, &mut actions);
        self.perform(actions);
        attempt
    }

    /// [`Sip::add_local`].
    pub fn add_local(&mut self, user: &str) {
        self.sip.add_local(user);
    }

    /// [`Sip::remove_local`].
    pub fn remove_local(&mut self, user: &str) {
        let (now, mut actions) = (self.now(), Vec::new());
        self.sip.remove_local(user, now, &mut actions);
        self.perform(actions);
    }

    /// [`Sip::request`].
    pub fn request(
        &mut self,
        dialog: Option<DialogId>,
        request: OutRequest,
    ) -> Result<Sent, Refused> {
        let (now, mut actions) = (self.now(), Vec::new());
        let sent = self.sip.request(dialog, request, now, &mut actions);
        self.perform(actions);
        sent
    }

    /// [`Sip::respond`].
    pub fn respond(&mut self, server: ServerId, response: OutResponse) -> Result<(), Refused> {
        let (now, mut actions) = (self.now(), Vec::new());
        let answered = self.sip.respond(server, response, now, &mut actions);
        self.perform(actions);
        answered
    }

    /// [`Sip::subscribe_again`].
    pub fn subscribe_again(
        &mut self,
        subscription: SubscriptionId,
        request: OutRequest,
    ) -> Result<Sent, Refused> {
        let (now, mut actions) = (self.now(), Vec::new());
        let sip = &mut self.sip;
        let sent = sip.subscribe_again(subscription, request, now, &mut actions);
        self.perform(actions);
        sent
    }

    /// [`Sip::unsubscribe`].
    pub fn unsubscribe(&mut self, subscription: SubscriptionId) {
        let (now, mut actions) = (self.now(), Vec::new());
        self.sip.unsubscribe(subscription, now, &mut actions);
        self.perform(actions);
    }

    /// [`Sip::is_watched`].
    pub fn is_watched(&self, dialog: DialogId) -> bool {
        self.sip.is_watched(dialog)
    }

    /// [`Sip::stop_notifying`].
    pub fn stop_notifying(&mut self, dialog: DialogId) {
        let (now, mut actions) = (self.now(), Vec::new());
        self.sip.stop_notifying(dialog, now, &mut actions);
        self.perform(actions);
    }

    /// [`Sip::ack`].
    pub fn ack(&mut self, dialog: DialogId) {
        let (now, mut actions) = (self.now(), Vec::new());
        self.sip.ack(dialog, now, &mut actions);
        self.perform(actions);
    }

    /// [`Sip::cancel`].
    pub fn cancel(&mut self, client: ClientId) {
        let (now, mut actions) = (self.now(), Vec::new());
        self.sip.cancel(client, now, &mut actions);
        self.perform(actions);
    }

    /// Whether from now on nothing is sent before [`SipPeers::flush`]: what is put away first can be answered for.
    pub fn hold_back(&mut self, holds: bool) {
        self.flush();
        self.holds = holds;
    }

    /// Sends what was held back.
    pub fn flush(&mut self) {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            let holds = std::mem::replace(&mut self.holds, false);
            self.perform(held);
            self.holds = holds;
        }
    }

    /// Carries out actions, and what follows from flows that turn out to be lost.
    fn perform(&mut self, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Event(event) => self.events.push_back(event),
                Action::KeepAlive { .. } | Action::Transmit { .. } if self.holds => {
                    self.held.push(action);
                }
                Action::KeepAlive { flow, every_ms } => {
                    let every = Duration::from_millis(every_ms);
                    self.sockets.keep_alive(flow, every);
                }
                Action::Transmit { flow, bytes } => {
                    if let Err(lost) = self.sockets.send(flow, bytes) {
                        let (now, mut more) = (self.now(), Vec::new());
                        self.sip.flow_lost(lost, now, &mut more);
                        actions.extend(more);
                    }
                }
            }
        }
    }

    fn now(&self) -> Millis {
        let elapsed = u64::try_from(self.started.elapsed().as_millis());
        self.zero.saturating_add(elapsed.unwrap_or(u64::MAX))
    }
}
