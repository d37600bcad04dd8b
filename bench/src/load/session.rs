//! One session under load: both of its connections, driven by one task.
//!
//! The task reads everything that can be read. What it causes to be written is left for the
//! thread's [`super::outgoing`] task, so that messages which are ready together share a system call.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use futures_util::io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;

use super::checker::Checker;
use super::executor::{Phase, Shared, Tally};
use super::framing::{Fed, Framing};
use super::settings::Load;
use super::stub::{LegPlan, Plan};
use super::traffic::{Pattern, Shape, Writer};
use crate::msrp::{Event, Head, Kind, Reader, writer};

/// Rounds of reading before other sessions have their turn.
const ROUNDS: usize = 4;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first SENDs are not answered yet.
    Binding,
    /// Bound, or running.
    Bound,
    /// Everything that was sent has arrived, and nothing more will be.
    Drained,
}

/// What is being read on a leg.
enum Current {
    Nothing,
    /// A message of the flow toward this leg.
    Message(Option<writer::Answer>),
    /// A SEND without a body that the relay passed on.
    Greeting(writer::Answer),
}

/// One connection.
pub struct Connection {
    /// To the relay.
    pub stream: TcpStream,
    /// How MSRP travels on it.
    pub framing: Framing,
}

struct Leg {
    stream: TcpStream,
    framing: Framing,
    reader: Reader,
    outbox: Vec<u8>,
    written: usize,
    own_uri: String,
    relay_uri: String,
    greeting: String,
    is_greeted: bool,
    is_ended: bool,
    current: Current,
}

struct Flow {
    from: usize,
    shape: Shape,
    writer: Writer,
    checker: Checker,
    /// Numbers of messages whose 200 has not come.
    unanswered: VecDeque<u64>,
}

/// One session.
pub struct Session {
    legs: [Leg; 2],
    flows: Vec<Flow>,
    stage: Stage,
    in_flight: usize,
    waker: Option<Waker>,
    shared: Arc<Shared>,
    tally: Rc<RefCell<Tally>>,
}

impl Session {
    /// A session over two connections; the first thing it does is to say who it is. RFC 4975, 5.4.
    pub fn new(
        plan: &Plan,
        connections: [Connection; 2],
        load: &Load,
        pattern: &Pattern,
        shared: Arc<Shared>,
        tally: Rc<RefCell<Tally>>,
    ) -> Session {
        let capacity = 2 * load.size.min(64 * 1024) + 4096;
        let [a, b] = connections;
        let legs = [
            Leg::new(a, &plan.legs[0], 0, capacity),
            Leg::new(b, &plan.legs[1], 1, capacity),
        ];
        let flow = |&from: &usize| {
            let number = plan.index * 2 + from as u32;
            let shape = Shape::new(number, load.size, load.responses, pattern.clone());
            let (sender, receiver) = (&plan.legs[from], &plan.legs[1 - from]);
            Flow {
                from,
                writer: Writer::new(shape.clone(), &sender.own_uri, &sender.relay_uri),
                checker: Checker::new(shape.clone(), &receiver.own_uri, &receiver.relay_uri),
                shape,
                unanswered: VecDeque::new(),
            }
        };
        let flows = load.direction.senders().iter().map(flow).collect();
        let in_flight = load.in_flight as usize;
        let stage = Stage::Binding;
        Session {
            legs,
            flows,
            stage,
            in_flight,
            waker: None,
            shared,
            tally,
        }
    }

    /// Makes the task look again: the phase has changed.
    pub fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Counts what is still missing as lost. Gives messages that were sent and that arrived.
    pub fn finish(&mut self) -> (u64, u64) {
        let mut tally = self.tally.borrow_mut();
        let (mut sent, mut arrived) = (0, 0);
        for flow in &mut self.flows {
            flow.checker.finish(&mut tally.faults);
            tally.faults.unanswered += flow.unanswered.len() as u64;
            flow.unanswered.clear();
            sent += flow.writer.next();
            arrived += flow.checker.arrived();
        }
        (sent, arrived)
    }

    /// Reads what there is, until both connections have ended. Afterwards [`Session::flush`] is due
    /// if the session [`has something to write`](Session::has_outgoing).
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let phase = self.shared.phase();
        for _ in 0..ROUNDS {
            let mut has_read = false;
            for leg in 0..2 {
                has_read |= self.receive(leg, phase, cx);
            }
            self.refill(phase);
            if self.legs.iter().all(|leg| leg.is_ended) {
                return Poll::Ready(());
            }
            if !has_read {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether something waits to be written.
    pub fn has_outgoing(&self) -> bool {
        self.legs.iter().any(Leg::has_outgoing)
    }

    /// Writes what the kernel takes; whether that was all.
    pub fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        for leg in &mut self.legs {
            leg.flush(cx);
        }
        !self.has_outgoing()
    }

    /// Keeps as many messages in flight as wanted; notes when it is drained or bound.
    fn refill(&mut self, phase: Phase) {
        if self.stage == Stage::Binding && self.legs.iter().all(|leg| leg.is_greeted) {
            self.stage = Stage::Bound;
            self.tally.borrow_mut().bound += 1;
        }
        if self.stage != Stage::Bound {
            return;
        }
        let sends = matches!(phase, Phase::WarmUp | Phase::Measure);
        for flow in &mut self.flows {
            while sends && flow.checker.in_flight().max(flow.unanswered.len()) < self.in_flight {
                let leg = &mut self.legs[flow.from];
                if leg.is_ended {
                    break;
                }
                flow.send(leg, self.shared.now_ns());
            }
        }
        let is_empty = |flow: &Flow| flow.checker.in_flight() == 0 && flow.unanswered.is_empty();
        if phase >= Phase::Drain && self.flows.iter().all(is_empty) {
            self.stage = Stage::Drained;
            self.tally.borrow_mut().drained += 1;
        }
    }

    /// Reads what there is on a leg. Whether there was any.
    fn receive(&mut self, index: usize, phase: Phase, cx: &mut Context<'_>) -> bool {
        let leg = &mut self.legs[index];
        if leg.is_ended {
            return false;
        }
        let space = match &mut leg.framing {
            Framing::Tcp => leg.reader.space(),
            Framing::Ws(ws) => ws.space(),
        };
        let why = match Pin::new(&mut leg.stream).poll_read(cx, space) {
            Poll::Pending => return false,
            Poll::Ready(Ok(bytes @ 1..)) => {
                match &mut leg.framing {
                    Framing::Tcp => leg.reader.filled(bytes),
                    Framing::Ws(ws) => ws.received(bytes),
                }
                match self.digest(index, phase) {
                    Ok(()) => return true,
                    Err(why) => why,
                }
            }
            Poll::Ready(Ok(0)) => "end of stream".to_owned(),
            Poll::Ready(Err(error)) => error.to_string(),
        };
        self.ended(index, phase, &why);
        true
    }

    fn ended(&mut self, index: usize, phase: Phase, why: &str) {
        self.legs[index].is_ended = true;
        if phase < Phase::Close {
            let mut tally = self.tally.borrow_mut();
            tally.faults.ended += 1;
            tally
                .faults
                .note(|| format!("the connection of leg {} ended: {why}", leg_name(index)));
        }
    }

    /// Takes apart what was received.
    fn digest(&mut self, index: usize, phase: Phase) -> Result<(), String> {
        loop {
            let leg = &mut self.legs[index];
            let fed = match &mut leg.framing {
                Framing::Tcp => Fed::Nothing,
                Framing::Ws(ws) => ws
                    .feed(&mut leg.reader, &mut leg.outbox)
                    .map_err(|what| format!("the relay sent {what}"))?,
            };
            self.events(index, phase)?;
            match fed {
                Fed::Octets => {}
                Fed::MessageEnd if !self.legs[index].reader.is_between_chunks() => {
                    return Err("a WebSocket message ended inside a chunk".to_owned());
                }
                Fed::MessageEnd => {}
                Fed::Close => return Err("the relay closed the WebSocket".to_owned()),
                Fed::Nothing => return Ok(()),
            }
        }
    }

    fn events(&mut self, index: usize, phase: Phase) -> Result<(), String> {
        let leg = &mut self.legs[index];
        let mut tally = self.tally.borrow_mut();
        let tally = &mut *tally;
        while let Some(event) = leg
            .reader
            .event()
            .map_err(|malformed| malformed.to_string())?
        {
            match event {
                Event::Head(head) => {
                    leg.current = match head.kind {
                        Kind::Response(_) => {
                            answered(index, &head, &mut self.flows, &leg.greeting, tally)?;
                            leg.is_greeted |= head.tid == leg.greeting;
                            Current::Nothing
                        }
                        Kind::Request("SEND") if head.content_type.is_none() => {
                            Current::Greeting(writer::Answer::to(&head))
                        }
                        Kind::Request("SEND") => {
                            let flow = self.flows.iter_mut().find(|flow| flow.from != index);
                            let Some(flow) = flow else {
                                return Err("a message came where none was sent".to_owned());
                            };
                            flow.checker.head(&head, &mut tally.faults);
                            let answers = flow.shape.responses;
                            Current::Message(answers.then(|| writer::Answer::to(&head)))
                        }
                        Kind::Request(_) => {
                            tally.faults.unexpected += 1;
                            tally
                                .faults
                                .note(|| format!("a request nobody made: {head:?}"));
                            Current::Nothing
                        }
                    };
                }
                Event::Body(piece) => {
                    let flow = self.flows.iter_mut().find(|flow| flow.from != index);
                    if let (Current::Message(_), Some(flow)) = (&leg.current, flow) {
                        flow.checker.body(piece, &mut tally.faults);
                    }
                }
                Event::End(flag) => {
                    let current = std::mem::replace(&mut leg.current, Current::Nothing);
                    let flow = self.flows.iter_mut().find(|flow| flow.from != index);
                    let answer = match (current, flow) {
                        (Current::Message(answer), Some(flow)) => {
                            let sent_ns = flow.checker.end(flag, &mut tally.faults);
                            if let Some(sent_ns) = sent_ns {
                                let now_ns = self.shared.now_ns();
                                tally.arrived(phase, now_ns.saturating_sub(sent_ns));
                            }
                            answer
                        }
                        (Current::Greeting(answer), _) => Some(answer),
                        _ => None,
                    };
                    if let Some(answer) = answer {
                        tally.scratch.clear();
                        answer.write(&mut tally.scratch, &leg.own_uri, 200);
                        let (scratch, out) = (&tally.scratch, &mut leg.outbox);
                        leg.framing
                            .chunk(out, scratch.len(), |out| out.extend(scratch));
                    }
                }
            }
        }
        self.shared.messages[tally.executor].store(tally.messages, Ordering::Relaxed);
        Ok(())
    }
}

/// Takes a response to one of our requests on leg `index`.
fn answered(
    index: usize,
    head: &Head<'_>,
    flows: &mut [Flow],
    greeting: &str,
    tally: &mut Tally,
) -> Result<(), String> {
    if head.tid == greeting {
        return match head.kind {
            Kind::Response(200) => Ok(()),
            _ => Err(format!(
                "the relay did not take leg {}: {:?}",
                leg_name(index),
                head.kind
            )),
        };
    }
    let flow = flows.iter_mut().find(|flow| flow.from == index);
    let known = flow.and_then(|flow| {
        let number = flow.shape.number(head.tid)?;
        let at = flow.unanswered.iter().position(|&open| open == number)?;
        flow.unanswered.remove(at)
    });
    if known.is_none() || head.kind != Kind::Response(200) {
        tally.faults.unexpected += 1;
        tally
            .faults
            .note(|| format!("a response that does not fit: {head:?}"));
    }
    Ok(())
}

fn leg_name(index: usize) -> char {
    if index == 0 { 'A' } else { 'B' }
}

impl Flow {
    fn send(&mut self, leg: &mut Leg, now_ns: u64) {
        let writer = &mut self.writer;
        let (bytes, number) = (writer.bytes(), writer.next());
        leg.framing.chunk(&mut leg.outbox, bytes, |out| {
            writer.write(out);
        });
        self.checker.sent(number, now_ns);
        if self.shape.responses {
            self.unanswered.push_back(number);
        }
    }
}

impl Leg {
    fn new(connection: Connection, plan: &LegPlan, index: usize, capacity: usize) -> Leg {
        let greeting = format!("greeting{}", leg_name(index));
        let mut leg = Leg {
            stream: connection.stream,
            framing: connection.framing,
            reader: Reader::with_capacity(capacity),
            outbox: Vec::new(),
            written: 0,
            own_uri: plan.own_uri.clone(),
            relay_uri: plan.relay_uri.clone(),
            greeting,
            is_greeted: false,
            is_ended: false,
            current: Current::Nothing,
        };
        let mut hello = Vec::new();
        let (to, from) = (&leg.relay_uri, &leg.own_uri);
        writer::bodiless(&mut hello, &leg.greeting, to, from, &leg.greeting);
        leg.framing.chunk(&mut leg.outbox, hello.len(), |out| {
            out.extend_from_slice(&hello)
        });
        leg
    }

    fn has_outgoing(&self) -> bool {
        self.written < self.outbox.len() && !self.is_ended
    }

    /// Writes what the kernel takes.
    fn flush(&mut self, cx: &mut Context<'_>) {
        while self.has_outgoing() {
            let rest = &self.outbox[self.written..];
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(bytes)) => self.written += bytes,
                // What is wrong with it will be seen when it is read.
                Poll::Ready(Err(_)) | Poll::Pending => return,
            }
        }
        self.outbox.clear();
        self.written = 0;
    }
}
