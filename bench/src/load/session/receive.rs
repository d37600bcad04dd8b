//! What a session receives: messages, responses, REPORTs, and what each of them means to it.

use super::{Current, Flow, GREETINGS, Manner, Session, Turn, leg_name};
use crate::load::framing::{Fed, Framing};
use crate::load::line::{Line, Progress, Received};
use crate::load::phase::Phase;
use crate::load::plan::LegPlan;
use crate::load::tally::Tally;
use crate::msrp::{ByteRange, Event, Head, Kind, writer};

/// What a slow receiver reads at a time.
const SLOW_BYTES: usize = 4096;

impl Session {
    /// Reads what there is on a leg. Whether there was any.
    pub(super) fn receive(&mut self, index: usize, turn: &mut Turn<'_>) -> Result<bool, String> {
        let leg = &mut self.legs[index];
        let Some(line) = &mut leg.line else {
            return Ok(false);
        };
        if line.progress() < Progress::Open {
            if line.advance()? < Progress::Open {
                return Ok(false);
            }
            leg.greet(index);
            // What came with the WebSocket's answer is here already.
            if let Err(why) = self.digest(index, turn) {
                self.ended(index, turn, &why);
            }
            return Ok(true);
        }
        leg.greet(index);
        let Some(line) = leg.line.as_mut().filter(|line| line.is_readable()) else {
            return Ok(false);
        };
        let is_receiver = self.flows.iter().any(|flow| flow.from != index);
        let is_stalled = self.manner != Manner::Reads && is_receiver && turn.phase.flows();
        if is_stalled && !std::mem::take(&mut self.may_read) {
            return Ok(false);
        }
        let space = match &mut line.framing {
            Framing::Tcp if is_stalled => &mut leg.reader.space()[..SLOW_BYTES],
            Framing::Tcp => leg.reader.space(),
            Framing::Ws(_) => &mut [],
        };
        let received = match space {
            [] => line.receive_framed(),
            space => line.receive_into(space),
        };
        let why = match received {
            Received::Nothing => return Ok(false),
            Received::Octets(octets) => {
                if matches!(line.framing, Framing::Tcp) {
                    leg.reader.filled(octets);
                }
                match self.digest(index, turn) {
                    Ok(()) => return Ok(true),
                    Err(why) => why,
                }
            }
            Received::End(why) => why,
        };
        self.ended(index, turn, &why);
        Ok(true)
    }

    fn ended(&mut self, index: usize, turn: &mut Turn<'_>, why: &str) {
        if let Some(line) = &mut self.legs[index].line {
            line.end();
        }
        if turn.phase < Phase::Close {
            let faults = &mut turn.tally.faults;
            faults.ended += 1;
            faults.note(|| format!("the connection of leg {} ended: {why}", leg_name(index)));
        }
    }

    /// Takes apart what was received.
    fn digest(&mut self, index: usize, turn: &mut Turn<'_>) -> Result<(), String> {
        loop {
            let leg = &mut self.legs[index];
            let fed = match leg.line.as_mut() {
                Some(Line {
                    framing: Framing::Ws(ws),
                    outbox,
                    ..
                }) => ws
                    .feed(&mut leg.reader, outbox)
                    .map_err(|what| format!("the relay sent {what}"))?,
                _ => Fed::Nothing,
            };
            self.events(index, turn)?;
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

    fn events(&mut self, index: usize, turn: &mut Turn<'_>) -> Result<(), String> {
        let leg = &mut self.legs[index];
        let Some(line) = &mut leg.line else {
            return Ok(());
        };
        let tally = &mut *turn.tally;
        while let Some(event) = leg.reader.event().map_err(|error| error.to_string())? {
            match event {
                Event::Head(head) => {
                    leg.current = match head.kind {
                        Kind::Response(_) if head.tid == GREETINGS[index] => {
                            leg.is_greeted = greeted(index, &head)?;
                            Current::Nothing
                        }
                        Kind::Response(_) => {
                            let flow = self.flows.iter_mut().find(|flow| flow.from == index);
                            answered(&head, flow, tally);
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
                            let flow = self.flows.iter_mut().find(|flow| flow.from == index);
                            reported(&head, flow, &leg.plan, tally);
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
                            if let Some(arrived) = flow.checker.end(flag, &mut tally.faults) {
                                tally.arrived(turn.phase, &arrived, turn.shared);
                                flow.report(&arrived, line, &leg.plan, &mut tally.scratch);
                            }
                            answer
                        }
                        (Current::Greeting(answer), _) => Some(answer),
                        _ => None,
                    };
                    if let Some(answer) = answer {
                        tally.scratch.clear();
                        answer.write(&mut tally.scratch, &leg.plan.own_uri, 200);
                        line.say(&tally.scratch);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The answer to what a leg said first. The error says that the relay did not take it.
fn greeted(index: usize, head: &Head<'_>) -> Result<bool, String> {
    match head.kind {
        Kind::Response(200) => Ok(true),
        _ => Err(format!(
            "the relay did not take leg {}: {:?}",
            leg_name(index),
            head.kind
        )),
    }
}

/// Takes a response to a message of `flow`.
fn answered(head: &Head<'_>, flow: Option<&mut Flow>, tally: &mut Tally) {
    let known = flow.and_then(|flow| {
        let number = flow.shape.number(head.tid)?;
        let mut open = flow.unanswered.iter();
        let at = open.position(|&(transaction, _)| transaction == number)?;
        let (_, is_last) = flow.unanswered.remove(at)?;
        flow.unanswered_messages -= usize::from(is_last);
        Some(())
    });
    tally.responses += u64::from(known.is_some());
    if known.is_none() || head.kind != Kind::Response(200) {
        tally.faults.unexpected += 1;
        let faults = &mut tally.faults;
        faults.note(|| format!("a response that does not fit: {head:?}"));
    }
}

/// Takes a request that is no SEND: a REPORT on a message of `flow`, or a fault.
fn reported(head: &Head<'_>, flow: Option<&mut Flow>, plan: &LegPlan, tally: &mut Tally) {
    let known = flow.and_then(|flow| {
        let number = flow.shape.number(head.message_id?)?;
        let size = flow.shape.size(number) as u64;
        let whole = ByteRange {
            start: 1,
            end: Some(size),
            total: Some(size),
        };
        let is_as_sent = head.kind == Kind::Request("REPORT")
            && head.tid.as_bytes() == flow.shape.report_id(number)
            && head.byte_range == Some(whole)
            && head.status.is_some_and(|(code, _)| code == 200)
            && head.to_path == plan.own_uri
            && head.from_path == plan.relay_uri;
        let at = flow.unreported.iter().position(|&open| open == number);
        flow.unreported.remove(at.filter(|_| is_as_sent)?)
    });
    tally.reports += u64::from(known.is_some());
    if known.is_none() {
        tally.faults.unexpected += 1;
        let faults = &mut tally.faults;
        faults.note(|| format!("a request nobody made, or not so: {head:?}"));
    }
}
