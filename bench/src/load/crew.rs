//! The sessions of one thread, and its turns: look what is new, read it, send what is due, then
//! write all of it.
//!
//! So a relay under load gets its messages in a burst, as from a network card, and not one by one
//! at the pace of the generator, which would have it wake for each. A turn never waits.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use link::Transport;

use super::chance::Chance;
use super::line::Line;
use super::offer::{Arrivals, Load, Pace};
use super::phase::{Phase, Shared};
use super::plan::Plan;
use super::poller::Poller;
use super::process::Front;
use super::schedule::Schedule;
use super::session::{self, Manner, Session, Turn};
use super::tally::Tally;
use super::through::{self, Meeting};
use super::tls::Client;
use super::traffic::Pattern;

/// Sessions that are being bound at a time.
const BINDING_MAX: usize = 64;
/// The same through a forwarder: Kamailio hands new connections from process to process by a queue
/// of a few hundred, and drops what does not fit.
const FRONT_BINDING_MAX: usize = 32;
/// Messages of an open load that become due in one turn at most; the others wait for the next.
const DUE_MAX: usize = 4096;
/// Octets of an open load that may wait in a thread because the relay does not take them.
const BACKLOG_BYTES_MAX: usize = 256 << 20;
/// How often slow receivers read.
const SLOW_NS: u64 = 10_000_000;
/// Messages after which that is looked at.
const BACKLOG_EVERY: usize = 1000;
/// The listener's number among the news; those of legs are smaller.
const LISTENER: u64 = u64::MAX;

/// How the sessions of a thread come about.
pub enum Route {
    /// A relay has made these; both legs connect to it.
    Link(Vec<Plan>),
    /// A forwarder makes a connection to the thread for each that the thread makes to it.
    Through(Arc<Meeting>),
}

/// Where a thread stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Binding,
    Bound,
    Flowing,
    Draining,
    Drained,
    Closing,
    Over,
}

/// The connection behind a forwarder that is waited for.
struct Through {
    listener: TcpListener,
    meeting: Arc<Meeting>,
    /// The session whose other connection must come next.
    waiting: Option<usize>,
}

/// The sessions of one thread.
pub struct Crew {
    load: Load,
    parts: usize,
    shared: Arc<Shared>,
    tally: Tally,
    poller: Poller,
    client: Option<Client>,
    pattern: Pattern,
    sessions: Vec<Session>,
    /// How many of them have begun to connect.
    begun: usize,
    through: Option<Through>,
    /// Sessions to be read.
    ready: Vec<usize>,
    /// Sessions to be written.
    outgoing: Vec<usize>,
    schedule: Option<Schedule>,
    /// Messages that were due since the backlog was looked at.
    due: usize,
    /// Sessions whose receivers read as they should: those that an open load is offered to.
    active: Vec<usize>,
    /// When slow receivers may read next.
    slow_ns: u64,
    /// Which session has its turn when they take turns.
    next: usize,
    stage: Stage,
    deadline_ns: u64,
}

/// Which of the two lists a session is on.
#[derive(Clone, Copy)]
enum List {
    Ready,
    Outgoing,
}

impl Crew {
    /// Thread number `number`, whose sessions come by `route`.
    pub fn new(
        number: usize,
        route: Route,
        load: &Load,
        shared: Arc<Shared>,
    ) -> Result<Crew, String> {
        let failed = |error: std::io::Error| format!("can't watch sockets: {error}");
        let client = match load.legs.has_tls() {
            true => Some(Client::new(true)?),
            false => None,
        };
        let deadline_ns = deadline(&shared, shared.limits.binding);
        let mut crew = Crew {
            load: load.clone(),
            parts: shared.threads.len(),
            tally: Tally::new(number, load.pace.is_open()),
            poller: Poller::new().map_err(failed)?,
            client,
            pattern: Pattern::new(load.sizes.max()),
            sessions: Vec::new(),
            begun: 0,
            through: None,
            ready: Vec::new(),
            outgoing: Vec::new(),
            schedule: None,
            due: 0,
            active: Vec::new(),
            slow_ns: 0,
            next: 0,
            stage: Stage::Binding,
            deadline_ns,
            shared,
        };
        match route {
            Route::Link(plans) => plans.into_iter().for_each(|plan| crew.add(plan)),
            Route::Through(meeting) => crew.listen(meeting).map_err(failed)?,
        }
        Ok(crew)
    }

    fn add(&mut self, plan: Plan) {
        let stalled = self.load.stalled;
        let mut session = Session::new(plan, &self.load, &self.pattern);
        session.manner = match session.index() {
            index if index < stalled.stuck => Manner::Stuck,
            index if index < stalled.stuck + stalled.slow => Manner::Slow,
            _ => {
                self.active.push(self.sessions.len());
                Manner::Reads
            }
        };
        self.sessions.push(session);
    }

    fn listen(&mut self, meeting: Arc<Meeting>) -> std::io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        self.poller.add(&listener, LISTENER)?;
        meeting.offer_back(listener.local_addr()?);
        self.through = Some(Through {
            listener,
            meeting,
            waiting: None,
        });
        Ok(())
    }

    /// Whether there is nothing left to do.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether the next message may be due at any time, so that the thread must not sleep.
    pub fn is_on_time(&self) -> bool {
        self.schedule.is_some() && self.stage == Stage::Flowing
    }

    /// What was counted so far.
    #[cfg(test)]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Messages that were sent so far.
    #[cfg(test)]
    pub fn sent(&self) -> u64 {
        self.sessions.iter().map(Session::sent).sum()
    }

    /// What was counted; for when it is over.
    pub fn finish(mut self) -> Tally {
        for session in &mut self.sessions {
            let (sent, arrived) = session.finish(&mut self.tally);
            self.tally.sent += sent;
            self.tally.arrived += arrived;
        }
        self.tally
    }

    /// Does all there is to do now. Whether that was anything.
    pub fn turn(&mut self) -> Result<bool, String> {
        let phase = self.shared.phase();
        if phase == Phase::Abort {
            return Err("given up".to_owned());
        }
        let began_ns = self.shared.now_ns();
        let mut has_done = self.begin_sessions()?;
        has_done |= self.look()?;
        self.let_slow_ones_read(began_ns);
        has_done |= self.read(phase)?;
        has_done |= self.send_due(phase, began_ns)?;
        has_done |= self.write();
        has_done |= self.advance(phase)?;
        let seen = &self.shared.threads[self.tally.thread];
        seen.messages.store(self.tally.messages, Ordering::Relaxed);
        let turns = seen.turns.load(Ordering::Relaxed);
        seen.turns.store(turns + 1, Ordering::Relaxed);
        if has_done {
            let took_ns = self.shared.now_ns() - began_ns;
            let work_ns = seen.work_ns.load(Ordering::Relaxed);
            seen.work_ns.store(work_ns + took_ns, Ordering::Relaxed);
        }
        Ok(has_done)
    }

    /// Begins more sessions, while there are not too many under way.
    fn begin_sessions(&mut self) -> Result<bool, String> {
        if self.stage != Stage::Binding {
            return Ok(false);
        }
        if self.through.is_some() {
            return self.begin_through();
        }
        let before = self.begun;
        while self.begun < self.sessions.len() && self.begun - self.tally.bound < BINDING_MAX {
            let index = self.begun;
            self.connect(index, 0)?;
            self.connect(index, 1)?;
            self.begun += 1;
        }
        Ok(self.begun > before)
    }

    /// The sessions of a forwarder, one after the other: the connection that arrives at the back
    /// is then that of the one that was made to the front.
    fn begin_through(&mut self) -> Result<bool, String> {
        let Some(through) = &mut self.through else {
            return Ok(false);
        };
        let failed = |error: std::io::Error| format!("the relay's own connection: {error}");
        if let Some(index) = through.waiting {
            let socket = match through.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(failed(error)),
            };
            through.waiting = None;
            let line = Line::ready(socket).map_err(failed)?;
            self.adopt(index, 1, line).map_err(failed)?;
            return Ok(true);
        }
        let binding = self.begun - self.tally.bound;
        let may_begin = self.begun < self.load.sessions as usize && binding < FRONT_BINDING_MAX;
        let addresses = through.meeting.both();
        let Some((front, back)) = addresses.filter(|_| may_begin) else {
            return Ok(false);
        };
        let index = self.begun;
        match front {
            Front::Octets { transport, address } => {
                through.waiting = Some(index);
                self.add(through::plan(index as u32, transport, address, back));
                self.connect(index, 0)?;
            }
            Front::Paths {
                transport,
                addresses,
            } => {
                // A leg's URI holds the address it comes from, which is known once it connects.
                let transports = [transport, Transport::Tcp];
                let plan = |own| through::plan_by_paths(index as u32, transports, addresses, own);
                let [a, b] = plan([back; 2]).legs;
                let lines = [a, b].map(|leg| Line::connect(&leg.target(), self.client.as_ref()));
                let [Ok(a), Ok(b)] = lines else {
                    return Err(format!("session {index}: can't connect to {addresses:?}"));
                };
                let own = [a.own_address(), b.own_address()];
                let [Ok(own_a), Ok(own_b)] = own else {
                    return Err(format!("session {index}: a connection has no address"));
                };
                self.add(plan([own_a, own_b]));
                self.adopt(index, 0, a).map_err(failed)?;
                self.adopt(index, 1, b).map_err(failed)?;
            }
        }
        self.begun += 1;
        Ok(true)
    }

    fn connect(&mut self, index: usize, leg: usize) -> Result<(), String> {
        let line = self.sessions[index].connect(leg, self.client.as_ref());
        let line = line.map_err(|why| format!("session {index}: {why}"))?;
        let added = self.poller.add(line.socket(), number(index, leg));
        added.map_err(|error| format!("can't watch sockets: {error}"))
    }

    fn adopt(&mut self, index: usize, leg: usize, line: Line) -> std::io::Result<()> {
        let line = self.sessions[index].adopt(leg, line);
        self.poller.add(line.socket(), number(index, leg))
    }

    fn look(&mut self) -> Result<bool, String> {
        let mut has_news = false;
        let news = self.poller.look();
        for news in news.map_err(|error| format!("can't watch sockets: {error}"))? {
            has_news = true;
            if news.number == LISTENER {
                continue; // It is asked each time.
            }
            let (index, leg) = ((news.number >> 1) as usize, (news.number & 1) as usize);
            self.sessions[index].news(leg, news);
            list(&mut self.sessions, &mut self.ready, index, List::Ready);
        }
        Ok(has_news)
    }

    /// Lets slow receivers read a little.
    fn let_slow_ones_read(&mut self, now_ns: u64) {
        let has_slow = self.load.stalled.slow > 0;
        if !has_slow || now_ns < self.slow_ns {
            return;
        }
        self.slow_ns = now_ns + SLOW_NS;
        for index in 0..self.sessions.len() {
            if self.sessions[index].manner == Manner::Slow {
                self.sessions[index].may_read = true;
                list(&mut self.sessions, &mut self.ready, index, List::Ready);
            }
        }
    }

    fn read(&mut self, phase: Phase) -> Result<bool, String> {
        if self.ready.is_empty() {
            return Ok(false);
        }
        let mut again = Vec::new();
        for index in std::mem::take(&mut self.ready) {
            let session = &mut self.sessions[index];
            session.is_listed[List::Ready as usize] = false;
            let mut turn = Turn {
                phase,
                shared: &self.shared,
                tally: &mut self.tally,
            };
            let has_more = session.read(&mut turn);
            if has_more.map_err(|why| format!("session {index}: {why}"))? {
                list(&mut self.sessions, &mut again, index, List::Ready);
            }
            self.wrote(index);
        }
        self.ready = again;
        Ok(true)
    }

    /// Puts a session on the list of those to be written, if there is anything.
    fn wrote(&mut self, index: usize) {
        if self.sessions[index].has_outgoing() {
            list(
                &mut self.sessions,
                &mut self.outgoing,
                index,
                List::Outgoing,
            );
        }
    }

    /// Sends the messages of an open load whose time has come.
    fn send_due(&mut self, phase: Phase, now_ns: u64) -> Result<bool, String> {
        let Pace::Open {
            rate,
            arrivals,
            seed,
            ramp,
        } = self.load.pace
        else {
            return Ok(false);
        };
        if self.stage != Stage::Flowing || !phase.flows() || self.active.is_empty() {
            return Ok(false);
        }
        let thread = self.tally.thread;
        let schedule = self.schedule.get_or_insert_with(|| {
            let chance = Chance::new(seed, thread as u64);
            Schedule::new((rate, arrivals, ramp), chance, (thread, self.parts), now_ns)
        });
        let mut sent = Vec::new();
        while sent.len() < DUE_MAX
            && let Some(due_ns) = schedule.due(now_ns)
        {
            let sessions = self.active.len();
            let index = match arrivals {
                Arrivals::Constant => self.next,
                Arrivals::Poisson => schedule.draw(sessions as u64) as usize,
            };
            let index = self.active[index];
            self.next = (self.next + 1) % sessions;
            self.sessions[index].send(due_ns, phase);
            if phase == Phase::Measure {
                self.tally.lateness.saturating_record(now_ns - due_ns);
            }
            sent.push(index);
        }
        sent.iter().for_each(|&index| self.wrote(index));
        self.due += sent.len();
        if self.due > BACKLOG_EVERY {
            self.due = 0;
            self.check_backlog()?;
        }
        Ok(!sent.is_empty())
    }

    fn check_backlog(&self) -> Result<(), String> {
        let waiting: usize = self.sessions.iter().map(Session::waiting).sum();
        if waiting > BACKLOG_BYTES_MAX {
            return Err(format!(
                "the relay does not take this load: {} MiB wait to be sent; offer less with --rate",
                waiting >> 20
            ));
        }
        Ok(())
    }

    fn write(&mut self) -> bool {
        let outgoing = std::mem::take(&mut self.outgoing);
        for &index in &outgoing {
            let session = &mut self.sessions[index];
            session.is_listed[List::Outgoing as usize] = false;
            // What the kernel does not take is written when there is news of room.
            session.flush();
            if session.manner != Manner::Reads && !session.has_outgoing() {
                list(&mut self.sessions, &mut self.ready, index, List::Ready);
            }
        }
        !outgoing.is_empty()
    }

    /// Goes on to the next stage when its time has come. Whether it has.
    fn advance(&mut self, phase: Phase) -> Result<bool, String> {
        let all = self.sessions.len();
        let is_late = self.shared.now_ns() >= self.deadline_ns;
        let next = match self.stage {
            Stage::Binding => {
                let has_all = self.through.is_none() || all == self.load.sessions as usize;
                let bound = self.tally.bound;
                let has_faults = self.tally.faults.total() > 0;
                if has_all && bound == all && !has_faults {
                    self.shared.bound.fetch_add(1, Ordering::AcqRel);
                    Stage::Bound
                } else if is_late || has_faults {
                    let faults = &self.tally.faults;
                    let (seconds, standing) =
                        (self.shared.limits.binding.as_secs(), self.standing());
                    let sessions = self.load.sessions;
                    return Err(format!(
                        "only {bound} sessions of {sessions} (in all threads) were bound in \
                         {seconds} s; {standing}; {faults}"
                    ));
                } else {
                    return Ok(false);
                }
            }
            Stage::Bound if phase.flows() => Stage::Flowing,
            Stage::Bound | Stage::Flowing if phase >= Phase::Drain => {
                self.deadline_ns = deadline(&self.shared, self.shared.limits.draining);
                Stage::Draining
            }
            Stage::Draining if self.tally.drained == all || is_late => {
                if self.tally.drained < all {
                    let standing = self.standing();
                    self.tally
                        .faults
                        .note(|| format!("not drained: {standing}"));
                }
                self.shared.drained.fetch_add(1, Ordering::AcqRel);
                Stage::Drained
            }
            // What comes until the relay has closed is read and checked, too: it was sent twice.
            Stage::Drained if phase >= Phase::Close => {
                self.deadline_ns = deadline(&self.shared, self.shared.limits.closing);
                Stage::Closing
            }
            Stage::Closing if self.tally.over == all => Stage::Over,
            Stage::Closing if is_late => {
                let open = (all - self.tally.over) as u64;
                let faults = &mut self.tally.faults;
                faults.unexpected += open;
                faults.note(|| format!("the relay left {open} ended sessions open"));
                Stage::Over
            }
            _ => return Ok(false),
        };
        self.stage = next;
        for index in 0..all {
            let mut turn = Turn {
                phase,
                shared: &self.shared,
                tally: &mut self.tally,
            };
            self.sessions[index].go_on(&mut turn);
            self.wrote(index);
            list(&mut self.sessions, &mut self.ready, index, List::Ready);
        }
        Ok(true)
    }

    /// What the sessions that are behind wait for.
    fn standing(&self) -> String {
        let is_behind = |session: &&Session| {
            let stage = session.stage();
            stage == session::Stage::Binding
                || stage == session::Stage::Bound && self.stage == Stage::Draining
        };
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for session in self.sessions.iter().filter(is_behind) {
            *reasons.entry(session.waits_for()).or_default() += 1;
        }
        let waiting = self.through.as_ref().and_then(|through| through.waiting);
        let waiting = waiting.map(|index| {
            format!("the relay has made no connection of its own for that of session {index}")
        });
        let counted = reasons.iter().take(8);
        let counted = counted.map(|(reason, count)| format!("{count}: {reason}"));
        let all: Vec<String> = waiting.into_iter().chain(counted).collect();
        match all.is_empty() {
            true => "no session waits".to_owned(),
            false => all.join("; "),
        }
    }
}

/// Puts a session on a list, unless it is on it.
fn list(sessions: &mut [Session], on: &mut Vec<usize>, index: usize, list: List) {
    let is_listed = &mut sessions[index].is_listed[list as usize];
    if !*is_listed {
        *is_listed = true;
        on.push(index);
    }
}

fn number(index: usize, leg: usize) -> u64 {
    (index as u64) << 1 | leg as u64
}

fn deadline(shared: &Shared, limit: std::time::Duration) -> u64 {
    let limit_ns = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    shared.now_ns().saturating_add(limit_ns)
}
