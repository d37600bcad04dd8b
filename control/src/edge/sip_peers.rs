//! The SIP sockets: UDP and TCP on the same port, and the [`Sip`] machine they drive.
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
//! Each TCP connection has a task of its own that frames what it reads and writes what is queued for
//! it; both queues are bounded. A peer that does not read is cut when its queue is full.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{timeout, timeout_at};

use crate::sip::{
    Action, AttemptId, ClientId, Credentials, DialogId, Event, Flow, Frame, Framer, Held, Hop,
    Millis, OutRequest, OutResponse, PONG, Refused, Secrets, Sent, ServerId, Settings, Sip,
    SipTransport, Upstream,
};

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Messages of all connections that wait for the owner; then connections are not read.
const INPUTS_MAX: usize = 1024;
/// How long a connection may take to open.
const CONNECT_MS: u64 = 5_000;
/// Pause after the kernel could not give us a connection (too many open files).
const ACCEPT_PAUSE_MS: u64 = 100;
/// How often a port that is free for TCP may turn out to be taken for UDP.
const PORT_ATTEMPTS: usize = 32;

/// What [`SipPeers::bind`] is told.
#[derive(Clone, Debug)]
pub struct PeersSettings {
    /// Where to listen; port 0 takes any that is free for both UDP and TCP.
    pub listen: SocketAddr,
    /// The address peers are told, if it isn't the bound one. Its port 0 stands for the bound port.
    /// Needed when listening on all addresses.
    pub advertised: Option<SocketAddr>,
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
    /// TCP connections, in and out, at most. Each costs a task, and up to 128 KiB while a large
    /// message comes in.
    pub connections_max: usize,
    /// Messages waiting for one slow TCP peer; one more and it is cut.
    pub queue_messages_max: usize,
    /// A TCP connection without traffic for so long is closed. Longer than the longest registration,
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
    /// TCP connections refused because there are too many.
    pub connections_refused: u64,
    /// TCP connections cut because their peer did not read.
    pub connections_cut: u64,
}

/// The sockets and the machine.
pub struct SipPeers {
    sip: Sip,
    sockets: Sockets,
    /// How much of the time is work.
    busy: Busy,
    /// Told by [`SipPeers::event`], in this order.
    events: VecDeque<Event>,
    started: Instant,
    /// What our clock said then: an earlier process may have gone before.
    zero: Millis,
}

struct Sockets {
    udp: UdpSocket,
    listener: TcpListener,
    address: SocketAddr,
    settings: PeersSettings,
    datagram: Vec<u8>,
    connections: HashMap<u64, Connection>,
    by_peer: HashMap<SocketAddr, u64>,
    last_connection: u64,
    /// Their tasks; dropping the set ends them.
    tasks: JoinSet<()>,
    inputs: mpsc::Receiver<Input>,
    to_inputs: mpsc::Sender<Input>,
    counts: PeerCounts,
    /// Not to be asked for connections before then.
    accept_paused_until: Option<Instant>,
}

/// A connection as its owner sees it.
struct Connection {
    peer: SocketAddr,
    queue: mpsc::Sender<Vec<u8>>,
    task: AbortHandle,
}

/// What a connection's task says.
enum Input {
    Message { flow: Flow, bytes: Vec<u8> },
    Lost { flow: Flow },
}

/// Tells work from waiting: between two calls of `event` the owner works, in one it waits for what comes.
struct Busy {
    since: Instant,
    worked: Duration,
    last: Instant,
}

/// Over what span it is measured.
const BUSY_SPAN: Duration = Duration::from_millis(100);

impl Busy {
    fn new() -> Busy {
        let now = Instant::now();
        Busy {
            since: now,
            worked: Duration::ZERO,
            last: now,
        }
    }

    /// Nothing is left to be done.
    fn waits(&mut self) {
        let now = Instant::now();
        self.worked += now - self.last;
        self.last = now;
    }

    /// Something has come. How much was work, in percent, if a span is over.
    fn works(&mut self) -> Option<u32> {
        self.last = Instant::now();
        let span = self.last - self.since;
        if span < BUSY_SPAN {
            return None;
        }
        let percent = self.worked.as_micros() * 100 / span.as_micros().max(1);
        (self.since, self.worked) = (self.last, Duration::ZERO);
        u32::try_from(percent).ok()
    }
}

/// Why [`SipPeers::event`] went on.
enum Wake {
    Datagram(io::Result<(usize, SocketAddr)>),
    Connection(io::Result<(TcpStream, SocketAddr)>),
    Input(Input),
    Due,
}

impl SipPeers {
    /// Opens the sockets. `seed` must come from the kernel's generator.
    pub async fn bind(settings: PeersSettings, seed: [u8; 32]) -> io::Result<SipPeers> {
        let (listener, udp) = bind_both(settings.listen).await?;
        let address = listener.local_addr()?;
        let mut advertised = settings.advertised.unwrap_or(address);
        if advertised.port() == 0 {
            advertised.set_port(address.port());
        }
        if advertised.ip().is_unspecified() {
            let what = "listening on all addresses: say which one peers are to be told";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        // Else the first `try_send_to` would find the socket not known to be writable.
        udp.writable().await?;
        let mut machine = Settings::new(&settings.domain, advertised);
        machine.upstream.clone_from(&settings.upstream);
        machine.secrets = settings.secrets.clone();
        machine.handsets.clone_from(&settings.handsets);
        let sip = Sip::new(machine, seed);
        let hops = settings.hops.clone();
        let (to_inputs, inputs) = mpsc::channel(INPUTS_MAX);
        let sockets = Sockets {
            udp,
            listener,
            address,
            settings,
            datagram: vec![0; DATAGRAM_BYTES_MAX],
            connections: HashMap::new(),
            by_peer: HashMap::new(),
            last_connection: 0,
            tasks: JoinSet::new(),
            inputs,
            to_inputs,
            counts: PeerCounts::default(),
            accept_paused_until: None,
        };
        let mut peers = SipPeers {
            sip,
            sockets,
            busy: Busy::new(),
            events: VecDeque::new(),
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

    /// What happened to the sockets.
    pub fn counts(&self) -> PeerCounts {
        self.sockets.counts
    }

    /// What the machine holds.
    pub fn held(&self) -> Held {
        self.sip.held()
    }

    /// TCP connections that are open or being opened.
    pub fn connections(&self) -> usize {
        self.sockets.connections.len()
    }

    /// The next thing a peer did. Cancel-safe. It must be awaited again and again: without, nothing is
    /// received and no timer runs.
    pub async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.news().await {
                return event;
            }
        }
    }

    /// The same, and `None` each time that something has happened of which there is nothing to tell.
    pub async fn news(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        self.busy.waits();
        let wake = self.wake().await;
        if let Some(percent) = self.busy.works() {
            self.sip.note_load(percent);
        }
        let now = self.now();
        let mut actions = Vec::new();
        match wake {
            Wake::Datagram(Ok((length, peer))) => {
                let flow = Flow {
                    transport: SipTransport::Udp,
                    peer,
                    connection: None,
                };
                let bytes = self.sockets.datagram.get(..length).unwrap_or_default();
                self.sip.receive(flow, bytes, now, &mut actions);
            }
            // An earlier datagram of ours found nobody; its transaction will find out.
            Wake::Datagram(Err(_)) => {}
            Wake::Connection(Ok((stream, peer))) => self.sockets.accepted(stream, peer),
            Wake::Connection(Err(_)) => {
                let pause = Duration::from_millis(ACCEPT_PAUSE_MS);
                self.sockets.accept_paused_until = Some(Instant::now() + pause);
            }
            Wake::Input(Input::Message { flow, bytes }) => {
                self.sip.receive(flow, &bytes, now, &mut actions);
            }
            Wake::Input(Input::Lost { flow }) => {
                self.sockets.forget(flow);
                self.sip.flow_lost(flow, now, &mut actions);
            }
            Wake::Due => self.sip.timeout(now, &mut actions),
        }
        self.perform(actions);
        self.events.pop_front()
    }

    /// [`Sip::set_hops`].
    pub fn set_hops(&mut self, hops: Vec<Hop>) {
        let (now, mut actions) = (self.now(), Vec::new());
        self.sip.set_hops(hops, now, &mut actions);
        self.perform(actions);
    }

    /// How many next hops are not known to be out of order.
    pub fn hops_up(&self) -> usize {
        self.sip.hops_up(self.now())
    }

    /// [`Sip::shed`].
    pub fn shed(&self) -> u32 {
        self.sip.shed()
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

    /// Waits for a socket, a connection's task or a timer.
    async fn wake(&mut self) -> Wake {
        let due = self
            .sip
            .deadline()
            .map(|at| self.started + Duration::from_millis(at.saturating_sub(self.zero)));
        let Sockets {
            udp,
            listener,
            datagram,
            inputs,
            tasks,
            accept_paused_until,
            ..
        } = &mut self.sockets;
        // Tasks that have ended are only swept up here; what they had to say was said by `Lost`.
        while tasks.try_join_next().is_some() {}
        if accept_paused_until.is_some_and(|until| until <= Instant::now()) {
            *accept_paused_until = None;
        }
        let until = [due, *accept_paused_until].into_iter().flatten().min();
        let sleep = async {
            match until {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            received = udp.recv_from(datagram) => Wake::Datagram(received),
            accepted = listener.accept(), if accept_paused_until.is_none() => {
                Wake::Connection(accepted)
            }
            Some(input) = inputs.recv() => Wake::Input(input),
            () = sleep => Wake::Due,
        }
    }

    /// Carries out actions, and what follows from flows that turn out to be lost.
    fn perform(&mut self, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Event(event) => self.events.push_back(event),
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

/// Both sockets on the same port.
async fn bind_both(listen: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut attempts = if listen.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        let listener = TcpListener::bind(listen).await?;
        match UdpSocket::bind(listener.local_addr()?).await {
            Ok(udp) => return Ok((listener, udp)),
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

impl Sockets {
    /// Sends a message, opening a connection if need be. `Err`: this flow is lost.
    fn send(&mut self, flow: Flow, bytes: Vec<u8>) -> Result<(), Flow> {
        if flow.transport == SipTransport::Udp {
            if self.udp.try_send_to(&bytes, flow.peer).is_err() {
                self.counts.datagrams_unsent += 1;
            }
            return Ok(());
        }
        let id = match flow
            .connection
            .or_else(|| self.by_peer.get(&flow.peer).copied())
        {
            Some(id) => id,
            None => self.connect(flow.peer).ok_or(flow)?,
        };
        let connection = self.connections.get(&id).ok_or(flow)?;
        match connection.queue.try_send(bytes) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(flow),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.counts.connections_cut += 1;
                connection.task.abort();
                let lost = Flow {
                    connection: Some(id),
                    ..flow
                };
                self.forget(lost);
                Err(lost)
            }
        }
    }

    fn connect(&mut self, peer: SocketAddr) -> Option<u64> {
        self.start(peer, true, async move {
            let wait = Duration::from_millis(CONNECT_MS);
            timeout(wait, TcpStream::connect(peer)).await.ok()?.ok()
        })
    }

    fn accepted(&mut self, stream: TcpStream, peer: SocketAddr) {
        // Over the limit the stream is dropped, and so closed.
        self.start(peer, false, async move { Some(stream) });
    }

    /// Starts the task of a connection; `asked_for`: by us. `None`: there are too many.
    fn start(
        &mut self,
        peer: SocketAddr,
        asked_for: bool,
        stream: impl Future<Output = Option<TcpStream>> + Send + 'static,
    ) -> Option<u64> {
        if self.connections.len() >= self.settings.connections_max {
            self.counts.connections_refused += 1;
            return None;
        }
        self.last_connection += 1;
        let id = self.last_connection;
        let flow = Flow {
            transport: SipTransport::Tcp,
            peer,
            connection: Some(id),
        };
        let (queue, queued) = mpsc::channel(self.settings.queue_messages_max.max(1));
        let inputs = self.to_inputs.clone();
        let patience = Patience {
            idle: Duration::from_millis(self.settings.idle_ms_max),
            message: Duration::from_millis(self.settings.message_ms_max),
            known: asked_for,
        };
        let task = self.tasks.spawn(async move {
            if let Some(stream) = stream.await {
                serve(stream, flow, queued, &inputs, patience).await;
            }
            // The owner may be gone; then nobody needs to know.
            let _ = inputs.send(Input::Lost { flow }).await;
        });
        self.connections
            .insert(id, Connection { peer, queue, task });
        self.by_peer.insert(peer, id);
        Some(id)
    }

    fn forget(&mut self, flow: Flow) {
        let Some(id) = flow.connection else {
            return;
        };
        if let Some(connection) = self.connections.remove(&id)
            && self.by_peer.get(&connection.peer) == Some(&id)
        {
            self.by_peer.remove(&connection.peer);
        }
    }
}

/// How long a connection may be of no use.
#[derive(Clone, Copy)]
struct Patience {
    /// Without traffic.
    idle: Duration,
    /// With a message half here, or without a first one.
    message: Duration,
    /// We asked for it, or a whole message has come: it may be idle.
    known: bool,
}

/// One connection until it ends: by its peer, by silence, or because it can't be understood.
async fn serve(
    mut stream: TcpStream,
    flow: Flow,
    mut queued: mpsc::Receiver<Vec<u8>>,
    inputs: &mpsc::Sender<Input>,
    mut patience: Patience,
) {
    let (idle, message) = (patience.idle, patience.message);
    let after = |span: Duration| tokio::time::Instant::now() + span;
    // Small messages that wait for an answer: nothing is gained by waiting for more of them.
    let _ = stream.set_nodelay(true);
    let (mut reading, mut writing) = stream.split();
    let mut framer = Framer::new(DATAGRAM_BYTES_MAX);
    let mut buffer = vec![0; 4096];
    let mut until = after(if patience.known { idle } else { message });
    loop {
        tokio::select! {
            read = timeout_at(until, reading.read(&mut buffer)) => {
                let Ok(Ok(length @ 1..)) = read else {
                    return;
                };
                let mut goes_on = framer.has_begun();
                framer.push(buffer.get(..length).unwrap_or_default());
                loop {
                    match framer.next_frame() {
                        Ok(None) => break,
                        Ok(Some(Frame::Message(bytes))) => {
                            (patience.known, goes_on) = (true, false);
                            if inputs.send(Input::Message { flow, bytes }).await.is_err() {
                                return;
                            }
                        }
                        Ok(Some(Frame::Ping)) => {
                            if !write(&mut writing, PONG, idle).await {
                                return;
                            }
                        }
                        Err(_) => return,
                    }
                }
                until = match framer.has_begun() {
                    _ if !patience.known => until,
                    true if goes_on => until,
                    true => after(message),
                    false => after(idle),
                };
            }
            queued = queued.recv() => {
                let Some(bytes) = queued else {
                    return;
                };
                if !write(&mut writing, &bytes, idle).await {
                    return;
                }
                if patience.known && !framer.has_begun() {
                    until = after(idle);
                }
            }
        }
    }
}

async fn write(writing: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8], idle: Duration) -> bool {
    matches!(timeout(idle, writing.write_all(bytes)).await, Ok(Ok(())))
}

mod saved;
#[cfg(test)]
mod tests;
