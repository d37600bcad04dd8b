//! One thread of the generator: a glommio executor on its own core, a task per session.
//!
//! The main thread moves all of them from phase to phase and reads their counts meanwhile.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::io::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::timer::sleep;
use glommio::{LocalExecutorBuilder, Placement};
use hdrhistogram::Histogram;
use link::Transport;

use super::checker::Faults;
use super::framing::{Framing, WebSocket, upgrade_answer, upgrade_request};
use super::outgoing::Outgoing;
use super::process::Front;
use super::session::{Connection, Session};
use super::settings::Load;
use super::stub::{LegPlan, Plan};
use super::through::{self, Meeting};
use super::traffic::Pattern;

/// Sessions that connect at a time, on one thread.
const CONNECTING: usize = 32;
/// How long binding all sessions may take.
const BINDING: Duration = Duration::from_secs(30);
/// How long a forwarder may take to make a connection of its own.
const MEETING: Duration = Duration::from_secs(10);
/// How long messages on their way may take to arrive once no more are sent.
const DRAINING: Duration = Duration::from_secs(10);
/// How long the relay may take to close deleted sessions.
const CLOSING: Duration = Duration::from_secs(10);
/// Longer than any run.
const FOREVER: Duration = Duration::from_secs(1 << 30);
/// How often a thread looks at the phase while its sessions do something else.
const LOOK: Duration = Duration::from_millis(5);
/// The longest latency that can be told apart, in nanoseconds.
const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// What all threads do now. Each comes after those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Connections are made.
    Connect,
    /// Messages flow and are not measured yet.
    WarmUp,
    /// Messages flow and are measured.
    Measure,
    /// Nothing new is sent.
    Drain,
    /// The relay ends the sessions.
    Close,
    /// Something is wrong: leave at once.
    Abort,
}

impl Phase {
    const ALL: [Phase; 6] = [
        Phase::Connect,
        Phase::WarmUp,
        Phase::Measure,
        Phase::Drain,
        Phase::Close,
        Phase::Abort,
    ];
}

/// What the threads and the main thread tell each other.
pub struct Shared {
    phase: AtomicU8,
    start: Instant,
    /// Threads whose sessions are all bound.
    pub bound: AtomicUsize,
    /// Threads whose sessions are all drained, or that gave up waiting.
    pub drained: AtomicUsize,
    /// Threads that have failed or ended.
    pub ended: AtomicUsize,
    /// Messages that have arrived, per thread.
    pub messages: Vec<AtomicU64>,
}

impl Shared {
    /// For so many threads.
    pub fn new(executors: usize) -> Shared {
        Shared {
            phase: AtomicU8::new(Phase::Connect as u8),
            start: Instant::now(),
            bound: AtomicUsize::new(0),
            drained: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            messages: (0..executors).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// What is done now.
    pub fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Acquire))]
    }

    /// Moves everybody on.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Nanoseconds since the start.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Messages that have arrived.
    pub fn total(&self) -> u64 {
        self.messages
            .iter()
            .map(|messages| messages.load(Ordering::Relaxed))
            .sum()
    }
}

/// What one thread counts.
pub struct Tally {
    /// Its number.
    pub executor: usize,
    /// Messages that have arrived.
    pub messages: u64,
    /// Latencies of the measured phase, in nanoseconds.
    pub latency: Histogram<u64>,
    /// What went wrong.
    pub faults: Faults,
    /// Sessions that are bound.
    pub bound: usize,
    /// Sessions that are drained.
    pub drained: usize,
    /// Sessions that have ended.
    pub ended: usize,
    /// Messages that were sent in the whole run, known at its end.
    pub sent: u64,
    /// Messages that arrived in the whole run.
    pub arrived: u64,
    /// For short pieces of text.
    pub scratch: Vec<u8>,
}

impl Tally {
    /// Of thread number `executor`.
    pub fn new(executor: usize) -> Tally {
        let bounds = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3);
        Tally {
            executor,
            messages: 0,
            latency: bounds.expect("the bounds are constants in the right order"),
            faults: Faults::default(),
            bound: 0,
            drained: 0,
            ended: 0,
            sent: 0,
            arrived: 0,
            scratch: Vec::new(),
        }
    }

    /// One message has arrived, so long after it was sent.
    pub fn arrived(&mut self, phase: Phase, latency_ns: u64) {
        self.messages += 1;
        if phase == Phase::Measure {
            self.latency.saturating_record(latency_ns);
        }
    }
}

/// How the sessions of a thread come about.
pub enum Route {
    /// A relay has made these; both legs connect to it.
    Link(Vec<Plan>),
    /// A forwarder makes a connection to the thread for each that the thread makes to it.
    Through(Arc<Meeting>),
}

/// One thread.
pub struct Executor(glommio::ExecutorJoinHandle<Result<Tally, String>>);

impl Executor {
    /// Starts thread number `number` on `core`; its sessions come by `route`.
    pub fn start(
        number: usize,
        core: usize,
        route: Route,
        load: Load,
        shared: Arc<Shared>,
    ) -> Result<Executor, String> {
        LocalExecutorBuilder::new(Placement::Fixed(core))
            .name(&format!("load-{core}"))
            .io_memory(64 << 10)
            .preempt_timer(Duration::from_millis(1))
            .spawn(move || async move {
                let result = run(number, &route, &load, &shared).await;
                shared.ended.fetch_add(1, Ordering::AcqRel);
                result
            })
            .map(Executor)
            .map_err(|error| {
                format!("can't start a thread on core {core}: {error} (see `ulimit -l`: 512 KiB)")
            })
    }

    /// Waits for what it counted.
    pub fn join(self) -> Result<Tally, String> {
        self.0
            .join()
            .map_err(|error| format!("a thread died: {error}"))?
    }
}

async fn run(
    number: usize,
    route: &Route,
    load: &Load,
    shared: &Arc<Shared>,
) -> Result<Tally, String> {
    let tally = Rc::new(RefCell::new(Tally::new(number)));
    let crew = Crew {
        load,
        pattern: Pattern::new(load.size),
        shared,
        tally: &tally,
        outgoing: Outgoing::start(),
    };
    let sessions = match route {
        Route::Link(plans) => connect_all(plans, &crew).await?,
        Route::Through(meeting) => connect_through(meeting, &crew).await?,
    };
    let all = sessions.len();
    let is_bound = || tally.borrow().bound == all || tally.borrow().faults.total() > 0;
    if !wait(shared, BINDING, is_bound).await? || tally.borrow().bound < all {
        let (bound, faults) = (tally.borrow().bound, tally.borrow().faults.clone());
        return Err(format!(
            "only {bound} of {all} sessions were bound; {faults}"
        ));
    }
    shared.bound.fetch_add(1, Ordering::AcqRel);

    wait_for(shared, Phase::WarmUp).await?;
    sessions
        .iter()
        .for_each(|session| session.borrow_mut().wake());
    wait_for(shared, Phase::Drain).await?;
    sessions
        .iter()
        .for_each(|session| session.borrow_mut().wake());
    wait(shared, DRAINING, || tally.borrow().drained == all).await?;
    shared.drained.fetch_add(1, Ordering::AcqRel);

    // What comes until the relay has closed is read and checked, too: it was sent twice.
    wait_for(shared, Phase::Close).await?;
    let is_closed = wait(shared, CLOSING, || tally.borrow().ended == all).await?;
    for session in &sessions {
        let (sent, arrived) = session.borrow_mut().finish();
        let mut tally = tally.borrow_mut();
        tally.sent += sent;
        tally.arrived += arrived;
    }
    let mut counted = std::mem::replace(&mut *tally.borrow_mut(), Tally::new(number));
    if !is_closed {
        let open = (all - counted.ended) as u64;
        counted.faults.unexpected += open;
        counted
            .faults
            .note(|| format!("the relay left {open} ended sessions open"));
    }
    Ok(counted)
}

/// What every session of a thread gets.
struct Crew<'a> {
    load: &'a Load,
    pattern: Pattern,
    shared: &'a Arc<Shared>,
    tally: &'a Rc<RefCell<Tally>>,
    outgoing: Rc<Outgoing>,
}

impl Crew<'_> {
    /// Makes a session of two connections and gives it its task.
    fn begin(&self, plan: &Plan, connections: [Connection; 2]) -> Rc<RefCell<Session>> {
        let (shared, tally) = (self.shared.clone(), self.tally.clone());
        let (load, pattern) = (self.load, &self.pattern);
        let session = Session::new(plan, connections, load, pattern, shared, tally.clone());
        let session = Rc::new(RefCell::new(session));
        let (driven, outgoing) = (session.clone(), self.outgoing.clone());
        let task = glommio::spawn_local(async move {
            std::future::poll_fn(|cx| {
                let outcome = driven.borrow_mut().poll(cx);
                if driven.borrow().has_outgoing() {
                    outgoing.add(&driven);
                }
                outcome
            })
            .await;
            tally.borrow_mut().ended += 1;
        });
        task.detach();
        session
    }
}

/// Makes the connections of planned sessions.
async fn connect_all(plans: &[Plan], crew: &Crew<'_>) -> Result<Vec<Rc<RefCell<Session>>>, String> {
    let mut sessions = Vec::with_capacity(plans.len());
    for batch in plans.chunks(CONNECTING) {
        let connecting = batch.iter().cloned().map(|plan| {
            glommio::spawn_local(async move {
                let [a, b] = &plan.legs;
                Ok::<_, String>([connect(a).await?, connect(b).await?])
            })
        });
        let connecting: Vec<_> = connecting.collect();
        for (plan, connecting) in batch.iter().zip(connecting) {
            sessions.push(crew.begin(plan, connecting.await?));
        }
    }
    Ok(sessions)
}

/// Makes the connections of sessions through a forwarder, one session after the other: a
/// connection that arrives at the back is then that of the one that was made to the front.
async fn connect_through(
    meeting: &Meeting,
    crew: &Crew<'_>,
) -> Result<Vec<Rc<RefCell<Session>>>, String> {
    let failed = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
    let listener = TcpListener::bind("127.0.0.1:0");
    let listener = listener.map_err(|error| failed("can't listen", &error))?;
    let back = listener.local_addr();
    let back = back.map_err(|error| failed("can't listen", &error))?;
    let front = meeting.offer_back(back);
    if !wait(crew.shared, BINDING, || front.get().is_some()).await? {
        return Err("the relay did not start".to_owned());
    }
    let front = *front.get().ok_or("the relay did not start")?;
    let mut sessions = Vec::with_capacity(crew.load.sessions as usize);
    for index in 0..crew.load.sessions {
        let (plan, connections) = match front {
            Front::Octets { transport, address } => {
                let plan = through::plan(index, transport, address, back);
                let a = connect(&plan.legs[0]).await?;
                let accepting = async { listener.accept().await };
                let stream = glommio::timer::timeout(MEETING, accepting).await;
                let stream = stream
                    .map_err(|error| failed("the relay made no connection of its own", &error))?;
                let nodelay = stream.set_nodelay(true);
                nodelay.map_err(|error| failed("can't set up a connection", &error))?;
                let framing = Framing::Tcp;
                (plan, [a, Connection { stream, framing }])
            }
            Front::Paths {
                transport,
                addresses,
            } => {
                let transports = [transport, Transport::Tcp];
                let nowhere = through::plan_by_paths(index, transports, addresses, [back; 2]);
                let a = connect(&nowhere.legs[0]).await?;
                let b = connect(&nowhere.legs[1]).await?;
                let own = [a.stream.local_addr(), b.stream.local_addr()];
                let [Ok(own_a), Ok(own_b)] = own else {
                    return Err("a connection has no address".to_owned());
                };
                let own = [own_a, own_b];
                let plan = through::plan_by_paths(index, transports, addresses, own);
                (plan, [a, b])
            }
        };
        sessions.push(crew.begin(&plan, connections));
    }
    Ok(sessions)
}

/// Waits until `done`, at most for `limit`. Gives whether it is; an error when all must leave.
async fn wait(shared: &Shared, limit: Duration, done: impl Fn() -> bool) -> Result<bool, String> {
    let until = Instant::now() + limit;
    while !done() {
        if shared.phase() == Phase::Abort {
            return Err("given up".to_owned());
        }
        if Instant::now() > until {
            return Ok(false);
        }
        sleep(LOOK).await;
    }
    Ok(true)
}

async fn wait_for(shared: &Shared, phase: Phase) -> Result<(), String> {
    wait(shared, FOREVER, || {
        shared.phase() >= phase && shared.phase() < Phase::Abort
    })
    .await
    .map(drop)
}

/// Connects to one leg; a WebSocket leg gets its handshake.
async fn connect(leg: &LegPlan) -> Result<Connection, String> {
    let address = leg.address;
    let failed = |what: &str, why: &dyn std::fmt::Display| {
        format!("{what} {address}: {why} (the relay must be reachable from here)")
    };
    let stream = TcpStream::connect(address).await;
    let mut stream = stream.map_err(|error| failed("can't connect to", &error))?;
    stream
        .set_nodelay(true)
        .map_err(|error| failed("can't set up", &error))?;
    let framing = match leg.transport {
        Transport::Tcp | Transport::Tls => Framing::Tcp,
        Transport::Ws | Transport::Wss => {
            let request = upgrade_request(&address.to_string(), &leg.resource);
            let written = stream.write_all(request.as_bytes()).await;
            written.map_err(|error| failed("can't write to", &error))?;
            let mut answer = Vec::new();
            let head = loop {
                let mut part = [0; 2048];
                let bytes = stream.read(&mut part).await;
                let bytes = bytes.map_err(|error| failed("can't read from", &error))?;
                answer.extend_from_slice(&part[..bytes]);
                match upgrade_answer(&answer) {
                    Ok(Some(head)) => break head,
                    Ok(None) if bytes > 0 => {}
                    Ok(None) => return Err(failed("no WebSocket at", &"it closed the connection")),
                    Err(why) => return Err(failed("no WebSocket at", &why)),
                }
            };
            Framing::Ws(Box::new(WebSocket::new(&answer[head..])))
        }
    };
    Ok(Connection { stream, framing })
}
