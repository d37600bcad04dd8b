//! One session under load: both of its connections, and a flow of messages each way.
//!
//! Reads everything that can be read ([`receive`]). What that causes to be written is left for the
//! end of the thread's turn, so that messages which are ready together share a system call.

mod receive;

use std::collections::VecDeque;

use super::checker::{Arrived, Checker};
use super::line::{Line, Progress};
use super::offer::{Direction, Load, Pace};
use super::phase::{Phase, Shared};
use super::plan::{LegPlan, Plan};
use super::poller::News;
use super::tally::Tally;
use super::tls::Client;
use super::traffic::{Pattern, Shape, Writer};
use crate::msrp::{Reader, writer};

/// Rounds of reading before other sessions have their turn.
const ROUNDS: usize = 4;
/// What a sender to a stalled receiver keeps waiting in its outbox.
const FLOOD_BYTES: usize = 64 * 1024;
/// The transaction ids of what says who a leg is.
const GREETINGS: [&str; 2] = ["greetingA", "greetingB"];

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The first SENDs are not answered yet.
    Binding,
    /// Bound, or running.
    Bound,
    /// Everything that was sent has arrived, and nothing more will be.
    Drained,
    /// Both connections have ended.
    Over,
}

/// How the receivers of a session read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// All there is.
    Reads,
    /// Nothing, until no more is sent.
    Stuck,
    /// A little when its thread allows it, until no more is sent.
    Slow,
}

/// What a session needs of its thread in a turn.
pub struct Turn<'a> {
    /// What all threads do.
    pub phase: Phase,
    /// The clock, and what other threads see of this one.
    pub shared: &'a Shared,
    /// What is counted.
    pub tally: &'a mut Tally,
}

/// What is being read on a leg.
enum Current {
    Nothing,
    /// A message of the flow toward this leg.
    Message(Option<writer::Answer>),
    /// A SEND without a body that the relay passed on.
    Greeting(writer::Answer),
}

struct Leg {
    line: Option<Line>,
    reader: Reader,
    plan: LegPlan,
    is_greeted: bool,
    has_said_hello: bool,
    current: Current,
}

struct Flow {
    from: usize,
    shape: Shape,
    writer: Writer,
    checker: Checker,
    /// Transactions whose 200 has not come; `true`: the last of its message.
    unanswered: VecDeque<(u64, bool)>,
    unanswered_messages: usize,
    /// Messages whose REPORT has not come.
    unreported: VecDeque<u64>,
}

/// One session.
pub struct Session {
    index: u32,
    legs: [Leg; 2],
    flows: Vec<Flow>,
    stage: Stage,
    pace: Pace,
    direction: Direction,
    /// Draws directions, if they are mixed.
    chance: super::chance::Chance,
    /// How its receivers read.
    pub manner: Manner,
    /// Whether a slow receiver may read now.
    pub may_read: bool,
    /// Whether its thread has noted that it must be read, or written.
    pub is_listed: [bool; 2],
}

impl Session {
    /// A session that has no connections yet.
    pub fn new(plan: Plan, load: &Load, pattern: &Pattern) -> Session {
        let index = plan.index;
        let flow = |&from: &usize| {
            let shape = Shape::new(plan.index * 2 + from as u32, load, pattern.clone());
            let (sender, receiver) = (&plan.legs[from], &plan.legs[1 - from]);
            Flow {
                from,
                writer: Writer::new(shape.clone(), &sender.own_uri, &sender.to_path),
                checker: Checker::new(shape.clone(), &receiver.own_uri, &receiver.relay_uri),
                shape,
                unanswered: VecDeque::new(),
                unanswered_messages: 0,
                unreported: VecDeque::new(),
            }
        };
        let flows = load.direction.senders().iter().map(flow).collect();
        let chunk = load.sizes.max().min(load.chunk.unwrap_or(usize::MAX));
        let capacity = 2 * chunk.min(64 * 1024) + 4096;
        let chance = super::chance::Chance::new(1, u64::from(plan.index));
        let legs = plan.legs.map(|plan| Leg {
            line: None,
            reader: Reader::with_capacity(capacity),
            plan,
            is_greeted: false,
            has_said_hello: false,
            current: Current::Nothing,
        });
        Session {
            index,
            legs,
            flows,
            stage: Stage::Binding,
            pace: load.pace,
            direction: load.direction,
            chance,
            manner: Manner::Reads,
            may_read: false,
            is_listed: [false; 2],
        }
    }

    /// Its number in the run.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Begins to connect a leg.
    pub fn connect(&mut self, leg: usize, client: Option<&Client>) -> Result<&Line, String> {
        let line = Line::connect(&self.legs[leg].plan.target(), client)?;
        Ok(self.legs[leg].line.insert(line))
    }

    /// Gives a leg a connection that somebody else has made.
    pub fn adopt(&mut self, leg: usize, line: Line) -> &Line {
        self.legs[leg].line.insert(line)
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether both legs are bound, as far as this side knows.
    pub fn is_bound(&self) -> bool {
        self.stage == Stage::Bound
    }

    /// Whether both connections have ended.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// What it waits for, in words, while it is being bound or drained.
    pub fn waits_for(&self) -> String {
        for (name, leg) in ["A", "B"].iter().zip(&self.legs) {
            let what = match leg.line.as_ref().map(Line::progress) {
                None => "its connection has not begun",
                Some(Progress::Connecting) => "its connection is not accepted",
                Some(Progress::Securing) => "its TLS handshake is not over",
                Some(Progress::Upgrading) => "its WebSocket is not opened",
                Some(Progress::Open) if !leg.is_greeted => "its first SEND is not answered",
                Some(Progress::Open) => continue,
                Some(Progress::Ended) => "its connection has ended",
            };
            return format!("leg {name}: {what}");
        }
        let sum = |count: fn(&Flow) -> usize| self.flows.iter().map(count).sum::<usize>();
        format!(
            "{} messages on their way, {} without all responses, {} without their REPORT, \
             {} octets not taken by the relay",
            sum(|flow| flow.checker.in_flight()),
            sum(|flow| flow.unanswered_messages),
            sum(|flow| flow.unreported.len()),
            self.waiting()
        )
    }

    /// Octets that wait to be written.
    pub fn waiting(&self) -> usize {
        let lines = self.legs.iter().filter_map(|leg| leg.line.as_ref());
        lines.map(Line::waiting).sum()
    }

    /// Counts what is still missing as lost. Gives messages that were sent and that arrived.
    pub fn finish(&mut self, tally: &mut Tally) -> (u64, u64) {
        let (mut sent, mut arrived) = (0, 0);
        for flow in &mut self.flows {
            flow.checker.finish(&mut tally.faults);
            tally.faults.unanswered += flow.unanswered.len() as u64;
            tally.faults.unreported += flow.unreported.len() as u64;
            flow.unanswered.clear();
            flow.unreported.clear();
            sent += flow.writer.next();
            arrived += flow.checker.arrived();
        }
        (sent, arrived)
    }

    /// Messages that were sent so far.
    #[cfg(test)]
    pub fn sent(&self) -> u64 {
        self.flows.iter().map(|flow| flow.writer.next()).sum()
    }

    /// Takes what the poller says of a leg.
    pub fn news(&mut self, leg: usize, news: News) {
        if let Some(line) = &mut self.legs[leg].line {
            line.news(news);
        }
    }

    /// Reads what there is, and refills a closed load. Whether there may be more to read.
    pub fn read(&mut self, turn: &mut Turn<'_>) -> Result<bool, String> {
        for _ in 0..ROUNDS {
            let mut has_read = false;
            for leg in 0..2 {
                has_read |= self.receive(leg, turn)?;
            }
            self.go_on(turn);
            if !has_read {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether something waits to be written.
    pub fn has_outgoing(&self) -> bool {
        let lines = self.legs.iter().filter_map(|leg| leg.line.as_ref());
        lines.into_iter().any(Line::has_outgoing)
    }

    /// Writes what the kernel takes.
    pub fn flush(&mut self) {
        for line in self.legs.iter_mut().filter_map(|leg| leg.line.as_mut()) {
            if line.has_outgoing() && line.progress() >= Progress::Upgrading {
                // What is wrong with it will be seen when it is read.
                let _ = line.flush();
            }
        }
    }

    /// Sends a message of an open load, whose time runs from `due_ns`.
    pub fn send(&mut self, due_ns: u64, phase: Phase) {
        let flow = self.draw_flow();
        self.send_on(flow, due_ns, phase == Phase::Measure);
    }

    /// Goes to the next stage when it is due; keeps as many messages in flight as wanted.
    pub fn go_on(&mut self, turn: &mut Turn<'_>) {
        if self.stage == Stage::Binding && self.legs.iter().all(|leg| leg.is_greeted) {
            self.stage = Stage::Bound;
            turn.tally.bound += 1;
        }
        let is_ended = |leg: &Leg| {
            let line = leg.line.as_ref();
            line.is_some_and(|line| line.progress() == Progress::Ended)
        };
        if self.stage != Stage::Over && self.legs.iter().all(is_ended) {
            if self.stage != Stage::Drained {
                turn.tally.drained += 1; // Nothing more will come.
            }
            self.stage = Stage::Over;
            turn.tally.over += 1;
        }
        if self.stage != Stage::Bound {
            return;
        }
        if self.manner != Manner::Reads {
            self.flood(turn);
        } else if let Pace::Closed { in_flight } = self.pace
            && turn.phase.flows()
        {
            self.refill(in_flight as usize, turn);
        }
        let is_drained = self.flows.iter().all(|flow| flow.open() == 0);
        if turn.phase >= Phase::Drain && is_drained {
            self.stage = Stage::Drained;
            turn.tally.drained += 1;
        }
    }

    /// Sends as much as there is room for.
    fn flood(&mut self, turn: &Turn<'_>) {
        while turn.phase.flows() && self.waiting() < FLOOD_BYTES {
            let flow = self.draw_flow();
            self.send_on(flow, turn.shared.now_ns(), false);
        }
    }

    fn refill(&mut self, in_flight: usize, turn: &Turn<'_>) {
        if let Direction::Mix(_) = self.direction {
            let open = self.flows.iter().map(Flow::open).sum();
            for _ in in_flight.min(open)..in_flight {
                let flow = self.draw_flow();
                self.send_on(flow, turn.shared.now_ns(), true);
            }
            return;
        }
        for flow in 0..self.flows.len() {
            for _ in self.flows[flow].open().min(in_flight)..in_flight {
                self.send_on(flow, turn.shared.now_ns(), true);
            }
        }
    }

    fn draw_flow(&mut self) -> usize {
        match self.direction {
            Direction::AToB | Direction::BToA => 0,
            Direction::Both => self.chance.below(2) as usize,
            Direction::Mix(share) => usize::from(self.chance.below(100) >= u64::from(share)),
        }
    }

    fn send_on(&mut self, flow: usize, from_ns: u64, is_measured: bool) {
        let flow = &mut self.flows[flow];
        let Some(line) = &mut self.legs[flow.from].line else {
            return;
        };
        if line.progress() == Progress::Ended {
            return; // It is a fault already.
        }
        let written = flow.writer.write(&mut line.framing, &mut line.outbox);
        flow.checker.sent(written, from_ns, is_measured);
        if flow.shape.responses {
            let last = written.chunks - 1;
            let transactions = (0..=last).map(|at| (written.transaction + at, at == last));
            flow.unanswered.extend(transactions);
            flow.unanswered_messages += 1;
        }
        if flow.shape.reports {
            flow.unreported.push_back(written.number);
        }
    }
}

fn leg_name(index: usize) -> char {
    if index == 0 { 'A' } else { 'B' }
}

impl Flow {
    /// Messages of which something is still to come.
    fn open(&self) -> usize {
        let open = self.checker.in_flight().max(self.unanswered_messages);
        open.max(self.unreported.len())
    }

    /// Says that a message has arrived, if that was asked for.
    fn report(&self, arrived: &Arrived, line: &mut Line, plan: &LegPlan, scratch: &mut Vec<u8>) {
        if !self.shape.reports {
            return;
        }
        let number = arrived.number;
        let (tid, id) = (self.shape.report_id(number), self.shape.id(number));
        let [tid, id] = [&tid, &id].map(|id| String::from_utf8_lossy(id));
        scratch.clear();
        let (to, from) = (&plan.relay_uri, &plan.own_uri);
        writer::success_report(scratch, &tid, to, from, &id, arrived.size as u64);
        line.say(scratch);
    }
}

impl Leg {
    /// The first thing a leg does is to say who it is. RFC 4975, 5.4.
    fn greet(&mut self, index: usize) {
        if self.has_said_hello {
            return;
        }
        let Some(line) = &mut self.line else { return };
        self.has_said_hello = true;
        let mut hello = Vec::new();
        let (to, from) = (&self.plan.to_path, &self.plan.own_uri);
        let greeting = GREETINGS[index];
        writer::bodiless(&mut hello, greeting, to, from, greeting);
        line.say(&hello);
    }
}
