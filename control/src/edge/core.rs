//! The one task that owns the gateway and the SIP sockets: it takes what there is, one input after the other, then puts
//! away what all of them have changed, and only then carries out what comes of it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use link::Record;
use tokio::sync::{mpsc, oneshot};
use tokio::task::coop::has_budget_remaining;

use super::inputs::{FromRelay, Input, Inputs, ToBrowser, Tracer};
use super::push::Pushes;
use super::sip_peers::{SipPeers, Wake};
use super::store::{Found, Store};
use crate::backlog::is_late;
use crate::gateway::{Action, Gateway, Net, Turn};
use crate::jsonrtc::SocketId;
use crate::limits::Millis;
use crate::metrics::{Counter, Counters, Gauge, Gauges};
use crate::sip::{
    AttemptId, ClientId, Credentials, DialogId, Held, OutRequest, OutResponse, Refused, Sent,
    ServerId, SubscriptionId,
};

/// How long peers have to confirm that we end.
const LINGER: Duration = Duration::from_secs(1);

/// Who may watch scripts at once.
const TRACERS_MAX: usize = 8;

/// Inputs that are taken before what comes of the first is carried out. What is put away together costs one write, and
/// sockets' tasks are woken once; some hundred microseconds an input, so nobody waits for long.
const BATCH_MAX: usize = 16;

/// The relay, peers, and all others.
const SOURCES: usize = 3;

impl Net for SipPeers {
    fn request(&mut self, dialog: Option<DialogId>, request: OutRequest) -> Result<Sent, Refused> {
        SipPeers::request(self, dialog, request)
    }

    fn respond(&mut self, server: ServerId, response: OutResponse) -> Result<(), Refused> {
        SipPeers::respond(self, server, response)
    }

    fn ack(&mut self, dialog: DialogId) {
        SipPeers::ack(self, dialog);
    }

    fn cancel(&mut self, client: ClientId) {
        SipPeers::cancel(self, client);
    }

    fn register(
        &mut self,
        user: &str,
        credentials: Option<Credentials>,
    ) -> Result<AttemptId, Refused> {
        SipPeers::register(self, user, credentials)
    }

    fn keep_registered(&mut self, user: &str) {
        SipPeers::keep_registered(self, user);
    }

    fn add_local(&mut self, user: &str) {
        SipPeers::add_local(self, user);
    }

    fn remove_local(&mut self, user: &str) {
        SipPeers::remove_local(self, user);
    }

    fn subscribe_again(
        &mut self,
        subscription: SubscriptionId,
        request: OutRequest,
    ) -> Result<Sent, Refused> {
        SipPeers::subscribe_again(self, subscription, request)
    }

    fn unsubscribe(&mut self, subscription: SubscriptionId) {
        SipPeers::unsubscribe(self, subscription);
    }

    fn is_watched(&self, dialog: DialogId) -> bool {
        SipPeers::is_watched(self, dialog)
    }

    fn stop_notifying(&mut self, dialog: DialogId) {
        SipPeers::stop_notifying(self, dialog);
    }

    fn is_asked(&self, server: ServerId) -> bool {
        SipPeers::is_asked(self, server)
    }

    fn saved_dialog(&self, dialog: DialogId) -> Option<String> {
        SipPeers::saved_dialog(self, dialog)
    }

    fn restore_dialog(&mut self, text: &str) -> bool {
        SipPeers::restore_dialog(self, text)
    }

    fn saved_subscription(&self, subscription: SubscriptionId) -> Option<String> {
        SipPeers::saved_subscription(self, subscription)
    }

    fn restore_subscription(&mut self, text: &str) -> bool {
        SipPeers::restore_subscription(self, text)
    }
}

/// What the gateway's task waits for.
enum Happening {
    /// Something at the SIP sockets.
    Sip(Wake),
    /// What other tasks tell.
    Input(Input),
    /// What the relay tells.
    Relay(FromRelay),
    /// Nothing: what is new may begin.
    Nothing,
    /// The time of the gateway's next deadline.
    Due,
}

/// What was taken.
enum Heard {
    /// Something that was under way, or what others tell.
    Usual,
    /// New work has begun.
    New,
    /// The last input; whom to tell when everything is done.
    Last(oneshot::Sender<()>),
}

/// The gateway with everything its actions need.
pub struct Core {
    gateway: Gateway,
    peers: SipPeers,
    started: Instant,
    /// What our clock said then: an earlier process may have gone before.
    zero: Millis,
    store: Option<Store>,
    browsers: HashMap<SocketId, mpsc::Sender<ToBrowser>>,
    relay: Option<mpsc::Sender<(usize, Box<Record>)>>,
    tracers: Vec<Tracer>,
    pushes: Pushes,
    /// What is to be done when what has changed is put away.
    out: Vec<Action>,
    /// For the answers of look-ups.
    inputs: mpsc::Sender<Input>,
}

impl Core {
    /// Puts the gateway and the SIP sockets together. `inputs` leads to the receiver that
    /// [`Core::run`] gets.
    pub fn new(
        gateway: Gateway,
        peers: SipPeers,
        pushes: Pushes,
        inputs: mpsc::Sender<Input>,
    ) -> Core {
        Core {
            gateway,
            peers,
            started: Instant::now(),
            zero: 0,
            store: None,
            browsers: HashMap::new(),
            relay: None,
            tracers: Vec::new(),
            pushes,
            out: Vec::new(),
            inputs,
        }
    }

    /// Goes on from what an earlier process has kept, and keeps what happens from now on.
    pub fn restore(&mut self, found: Found) {
        let Found { store, image, now } = found;
        self.zero = now;
        self.peers.restore(&image, now);
        self.peers.hold_back(true);
        self.store = Some(store);
        if !image.is_empty() {
            self.turn(|gateway, turn| gateway.restore(image, turn));
            self.peers.restored();
        }
        self.snapshot();
        self.settle();
    }

    /// Takes inputs until it is told to stop: what is under way first, and what is new when nothing else is left to do.
    pub async fn run(mut self, mut inputs: Inputs) {
        loop {
            let mut next = Some(self.happening(&mut inputs).await);
            let mut taken = 0;
            while let Some(happening) = next.take() {
                match self.hear(happening) {
                    Heard::Usual => {}
                    // What came meanwhile is still with the sockets' tasks and the kernel.
                    Heard::New => break,
                    Heard::Last(stopped) => {
                        self.settle();
                        self.linger().await;
                        // Nobody may be waiting any more.
                        let _ = stopped.send(());
                        return;
                    }
                }
                taken += 1;
                while self.begin(is_late) {}
                if taken < BATCH_MAX {
                    next = self.ready(&mut inputs, taken);
                }
            }
            self.settle();
            if self.is_new_waiting() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Takes what has happened.
    fn hear(&mut self, happening: Happening) -> Heard {
        match happening {
            Happening::Sip(wake) => {
                if let Some(event) = self.peers.wakes(wake) {
                    self.turn(|gateway, turn| gateway.sip(event, turn));
                }
            }
            Happening::Input(input) => {
                if let Some(stopped) = self.take(input) {
                    return Heard::Last(stopped);
                }
            }
            Happening::Relay(told) => self.hear_relay(told),
            Happening::Due => self.turn(|gateway, turn| gateway.timeout(turn)),
            Happening::Nothing => {
                self.begin(|_| true);
                return Heard::New;
            }
        }
        Heard::Usual
    }

    /// Begins what has waited longest of all that is new, or turns it away, if it may by the time that it has waited.
    /// Whether there was such.
    fn begin(&mut self, may: impl Fn(Millis) -> bool) -> bool {
        let (of_peers, of_browsers) = (self.peers.waited(), self.gateway.waited(self.now()));
        if !of_peers.max(of_browsers).is_some_and(may) {
            return false;
        }
        if of_peers >= of_browsers {
            self.peers.begin();
        } else {
            self.turn(|gateway, turn| {
                gateway.begin(turn);
            });
        }
        true
    }

    /// The next thing to do if there is one by now. The first of all may be any of them, by `turn`.
    fn ready(&mut self, inputs: &mut Inputs, turn: usize) -> Option<Happening> {
        if self.gateway.deadline().is_some_and(|at| at <= self.now()) {
            return Some(Happening::Due);
        }
        for source in 0..SOURCES {
            let found = match (source + turn) % SOURCES {
                0 => inputs.relay.try_recv().ok().map(Happening::Relay),
                1 => self.peers.ready().map(Happening::Sip),
                _ => inputs.usual.try_recv().ok().map(Happening::Input),
            };
            if found.is_some() {
                return found;
            }
        }
        self.is_new_waiting().then_some(Happening::Nothing)
    }

    /// Whether something waits that is new.
    fn is_new_waiting(&self) -> bool {
        self.peers.waiting() + self.gateway.waiting() > 0
    }

    /// Waits for the next thing to do.
    async fn happening(&mut self, inputs: &mut Inputs) -> Happening {
        let deadline = self.gateway.deadline();
        let (started, zero) = (self.started, self.zero);
        let due = async {
            match deadline {
                Some(at) => {
                    let at = started + Duration::from_millis(at.saturating_sub(zero));
                    tokio::time::sleep_until(at.into()).await;
                }
                None => std::future::pending().await,
            }
        };
        let is_new = self.is_new_waiting();
        let under_way = async {
            tokio::select! {
                wake = self.peers.wake() => Happening::Sip(wake),
                Some(input) = inputs.usual.recv() => Happening::Input(input),
                Some(told) = inputs.relay.recv() => Happening::Relay(told),
                () = due => Happening::Due,
            }
        };
        tokio::select! {
            biased;
            happening = under_way => happening,
            () = nothing_left(), if is_new => Happening::Nothing,
        }
    }

    /// Lets peers confirm that their dialogs are over, for a moment.
    async fn linger(&mut self) {
        self.peers.hold_back(false);
        let last = Instant::now() + LINGER;
        let is_done = |held: Held| held.dialogs == 0 && held.registrations == 0;
        while !is_done(self.peers.held()) {
            let event = tokio::time::timeout_at(last.into(), self.peers.event()).await;
            if event.is_err() {
                return;
            }
        }
    }

    /// Control's own numbers.
    fn numbers(&self) -> (Counters, Gauges) {
        let (mut gauges, held) = (self.gateway.gauges(), self.peers.held());
        gauges.set(Gauge::SipTransactions, held.clients + held.servers);
        gauges.set(Gauge::SipDialogs, held.dialogs);
        gauges.set(Gauge::SipBindings, held.bindings);
        gauges.set(Gauge::SipRegistrations, held.registrations);
        gauges.set(Gauge::SipHopsUp, self.peers.hops_up());
        gauges.set(Gauge::NewWaiting, self.gateway.waiting() + held.waiting);
        gauges.set(Gauge::SipConnections, self.peers.connections());
        let mut counters = self.gateway.counters().clone();
        counters.add_all(Counter::NewTurnedAway, self.peers.turned_away());
        (counters, gauges)
    }

    /// Takes one input. Returns whom to tell if it was the last one.
    fn take(&mut self, input: Input) -> Option<oneshot::Sender<()>> {
        match input {
            Input::Opened {
                socket,
                application,
                login,
                remote,
                to_browser,
            } => {
                self.browsers.insert(socket, to_browser);
                self.turn(|gateway, turn| {
                    gateway.socket_opened(socket, &application, login, remote, turn);
                });
            }
            Input::Text { socket, text } => {
                self.turn(|gateway, turn| gateway.socket_text(socket, &text, turn));
            }
            Input::Binary(socket) => {
                self.turn(|gateway, turn| gateway.socket_binary(socket, turn));
            }
            Input::TooLarge(socket) => {
                self.turn(|gateway, turn| gateway.socket_too_large(socket, turn));
            }
            Input::Alive(socket) => {
                let now = self.now();
                self.gateway.socket_alive(socket, now);
            }
            Input::Closed { socket, code } => {
                self.browsers.remove(&socket);
                self.turn(|gateway, turn| gateway.socket_closed(socket, code, turn));
            }
            Input::Resolved { resolve, address } => {
                self.turn(|gateway, turn| gateway.resolved(&resolve, address, turn));
            }
            Input::Hops(hops) => {
                self.peers.set_hops(hops);
            }
            Input::Scripts(Some(scripts)) => self.gateway.set_scripts(scripts),
            Input::Scripts(None) => self.gateway.scripts_refused(),
            Input::Trace(tracer) => {
                self.tracers.retain(|tracer| !tracer.lines.is_closed());
                if self.tracers.len() >= TRACERS_MAX {
                    let told = format!("# {TRACERS_MAX} watch already: end one of them\n");
                    // It is the first line, for which there is room, or nobody reads.
                    let _ = tracer.lines.try_send(told);
                } else {
                    self.tracers.push(tracer);
                    self.gateway.trace_runs(true);
                }
            }
            Input::Numbers(asker) => {
                // Whoever asked may have gone.
                let _ = asker.send(self.numbers());
            }
            Input::Stop(stopped) => {
                self.turn(|gateway, turn| gateway.shut_down(turn));
                return Some(stopped);
            }
        }
        None
    }

    fn hear_relay(&mut self, told: FromRelay) {
        match told {
            FromRelay::Attached { shards, commands } => {
                self.relay = Some(commands);
                self.turn(|gateway, turn| gateway.relay_attached(shards, turn));
            }
            FromRelay::Lost => self.lose_relay(),
            FromRelay::Event { shard, record } => match link::Event::decode(&record) {
                Ok(event) => self.turn(|gateway, turn| gateway.relay_event(shard, &event, turn)),
                Err(error) => {
                    tracing::error!(shard, "the relay broke the link's protocol: {error}");
                    self.lose_relay();
                }
            },
        }
    }

    fn now(&self) -> Millis {
        self.zero + self.started.elapsed().as_millis() as Millis
    }

    /// One call of the gateway. What it wants done waits for [`Core::settle`].
    fn turn(&mut self, call: impl FnOnce(&mut Gateway, &mut Turn<'_>)) {
        let now = self.now();
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.gateway
            .set_wall_clock(wall.map_or(0, |wall| wall.as_millis() as u64));
        call(
            &mut self.gateway,
            &mut Turn {
                now,
                net: &mut self.peers,
                out: &mut self.out,
            },
        );
    }

    /// Puts away what has changed, then does what came of it, until nothing comes of that.
    fn settle(&mut self) {
        loop {
            self.keep();
            self.peers.flush();
            let out = std::mem::take(&mut self.out);
            if out.is_empty() {
                break;
            }
            for action in out {
                self.perform(action);
            }
        }
        if !self.tracers.is_empty() {
            self.tell_tracers();
        }
    }

    fn tell_tracers(&mut self) {
        self.tracers.retain(|tracer| !tracer.lines.is_closed());
        if self.tracers.is_empty() {
            return self.gateway.trace_runs(false);
        }
        for (user, line) in self.gateway.take_traces() {
            for tracer in &mut self.tracers {
                if tracer.user.as_ref().is_none_or(|wanted| *wanted == user) {
                    tracer.tell(&line);
                }
            }
        }
    }

    /// Puts away what has changed.
    fn keep(&mut self) {
        let mut changes = self.peers.take_changes();
        let Some(store) = &mut self.store else {
            return self.gateway.forget_changes();
        };
        changes.extend(self.gateway.take_changes(&self.peers));
        if changes.is_empty() {
            return;
        }
        if let Err(error) = store.append(&changes) {
            return self.lose_store(&error);
        }
        if store.is_long() {
            self.snapshot();
        }
    }

    /// Writes the store anew.
    fn snapshot(&mut self) {
        let Some(store) = &mut self.store else {
            return;
        };
        let mut changes = self.peers.all_changes();
        changes.extend(self.gateway.all_changes(&self.peers));
        if let Err(error) = store.rewrite(&changes) {
            self.lose_store(&error);
        }
    }

    /// Half a state is worse than none: what was kept so far is not written to any more.
    fn lose_store(&mut self, error: &std::io::Error) {
        tracing::error!(
            "state.folder: {error}; nothing is kept any more: make room there and restart control \
             when few chats are open"
        );
        if let Some(store) = self.store.take() {
            store.discard();
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Text { socket, text } => {
                let queue = self.browsers.get(&socket);
                let sent = queue.map(|queue| queue.try_send(ToBrowser::Text(text)));
                // A closed queue is no news: how the socket was closed is on its way here.
                if let Some(Err(mpsc::error::TrySendError::Full(_))) = sent {
                    self.lose_browser(socket);
                }
            }
            Action::Close {
                socket,
                code,
                reason,
            } => {
                if let Some(queue) = self.browsers.remove(&socket) {
                    // A full queue ends all the same: this was its only sender.
                    let _ = queue.try_send(ToBrowser::Close { code, reason });
                }
            }
            Action::Relay { shard, record } => {
                let sent = self
                    .relay
                    .as_ref()
                    .map(|relay| relay.try_send((shard, record)));
                if let Some(Err(mpsc::error::TrySendError::Full(_))) = sent {
                    tracing::error!("the relay takes no commands: it is given up");
                    self.lose_relay();
                }
            }
            Action::Wake { application, told } => self.pushes.tell(&application, told),
            Action::Resolve(resolve) => {
                let inputs = self.inputs.clone();
                tokio::spawn(async move {
                    let found =
                        tokio::net::lookup_host((resolve.host.as_str(), resolve.port)).await;
                    let address = found.ok().and_then(|mut found| found.next());
                    // The gateway outlives its look-ups, or nobody cares.
                    let _ = inputs.send(Input::Resolved { resolve, address }).await;
                });
            }
        }
    }

    /// A browser that does not take what it is sent: its socket goes, its session may come back.
    fn lose_browser(&mut self, socket: SocketId) {
        // Its task sends what is queued, and ends with the queue.
        if self.browsers.remove(&socket).is_some() {
            tracing::info!(socket = socket.0, "a browser is too slow");
            self.turn(|gateway, turn| gateway.socket_closed(socket, None, turn));
        }
    }

    fn lose_relay(&mut self) {
        if self.relay.take().is_some() {
            self.turn(|gateway, turn| gateway.relay_lost(turn));
        }
    }
}

/// Ready at once, unless nothing seems to be left only because the task has had its share and is to make room for others.
async fn nothing_left() {
    let ready = |_: &mut std::task::Context<'_>| match has_budget_remaining() {
        true => Poll::Ready(()),
        false => Poll::Pending,
    };
    poll_fn(ready).await;
}
