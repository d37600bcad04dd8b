//! Many handsets behind one UDP socket: they invite, and are invited. RFC 3261.
//!
//! An invitation is answered, acknowledged and ended at once. There are no media: the relay makes a session for each
//! and nobody comes.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use super::tally::{Fate, Offer, Schedule, Tally};
use super::{GIVE_UP, HANDSETS};
use crate::handset::sip::{Message, Start};

/// RFC 3261, 17.1.1.2.
const T1: Duration = Duration::from_millis(500);
/// Datagrams that are taken before anything else is looked at.
const BATCH: usize = 64;

/// What the farm is asked to do.
pub struct Order {
    pub offer: Offer,
    /// Whom to invite.
    pub browsers: Vec<String>,
    pub reply: oneshot::Sender<Tally>,
}

/// An invitation under way.
struct Call {
    due: Instant,
    /// Whom it is for.
    callee: String,
    stage: Stage,
    tries: u32,
    again_at: Option<Instant>,
}

enum Stage {
    Inviting,
    /// BYE was sent: to this URI, with this To.
    Leaving {
        target: String,
        to: String,
    },
}

/// The handsets.
pub struct Farm {
    socket: UdpSocket,
    own: SocketAddr,
    control: SocketAddr,
    domain: String,
    calls: HashMap<u64, Call>,
    /// When what was not answered is said again.
    again: BTreeSet<(Instant, u64)>,
    last: u64,
    /// Invitations that have had no final answer.
    unsettled: usize,
    work: Option<(Schedule, Order, Tally)>,
}

impl Farm {
    /// Opens the socket and registers the handsets that can be called.
    pub async fn open(control: SocketAddr, domain: &str) -> Result<Farm, String> {
        let failed = |error: io::Error| format!("the handsets' socket: {error}");
        let socket = UdpSocket::bind("127.0.0.1:0").await.map_err(failed)?;
        let own = socket.local_addr().map_err(failed)?;
        let farm = Farm {
            socket,
            own,
            control,
            domain: domain.to_owned(),
            calls: HashMap::new(),
            again: BTreeSet::new(),
            last: 0,
            unsettled: 0,
            work: None,
        };
        for number in 0..HANDSETS {
            farm.register(number).await?;
        }
        Ok(farm)
    }

    async fn register(&self, number: usize) -> Result<(), String> {
        let user = handset(number);
        let (own, domain) = (self.own, &self.domain);
        let request = format!(
            "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKr{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{domain}>;tag=r\r\nTo: <sip:{user}@{domain}>\r\n\
             Call-ID: r{number}@{own}\r\nCSeq: 1 REGISTER\r\nContact: <sip:{user}@{own}>;+g.oma.sip-im\r\n\
             Expires: 3600\r\nContent-Length: 0\r\n\r\n"
        );
        let mut buffer = vec![0; 65_536];
        for _ in 0..5 {
            self.send(request.as_bytes());
            let answer = tokio::time::timeout(T1, self.socket.recv(&mut buffer)).await;
            let Ok(Ok(length)) = answer else { continue };
            let answer = Message::parse(&buffer[..length]);
            if answer.is_ok_and(|answer| answer.status() == Some(200)) {
                return Ok(());
            }
        }
        Err(format!("{user} was not registered"))
    }

    /// Invites and is invited until nobody gives orders any more.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut buffer = vec![0; 65_536];
        loop {
            let now = Instant::now();
            self.invite_due(now);
            self.say_again(now);
            self.finish(now);
            let sleep = tokio::time::sleep_until(self.wake_at(now).into());
            tokio::select! {
                received = self.socket.recv(&mut buffer) => {
                    if let Ok(length) = received {
                        self.heard(&buffer[..length]);
                    }
                    for _ in 0..BATCH {
                        let Ok(length) = self.socket.try_recv(&mut buffer) else { break };
                        self.heard(&buffer[..length]);
                    }
                }
                order = orders.recv() => match order {
                    Some(order) => {
                        let schedule = order.offer.part(0, 1);
                        let tally = Tally::new(&order.offer);
                        self.work = Some((schedule, order, tally));
                    }
                    None => return,
                },
                () = sleep => {}
            }
        }
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let work = self.work.as_ref();
        let due = work.and_then(|(schedule, ..)| schedule.due(self.unsettled));
        let again = self.again.first().map(|(at, _)| *at);
        let bound = now + T1;
        [due, again].into_iter().flatten().fold(bound, Instant::min)
    }

    fn invite_due(&mut self, now: Instant) {
        while let Some((schedule, order, tally)) = &mut self.work
            && let Some(due) = schedule.take(now, self.unsettled)
        {
            tally.offered += 1;
            self.last += 1;
            let number = self.last;
            let callee = order.browsers[number as usize % order.browsers.len()].clone();
            let call = Call {
                due,
                callee,
                stage: Stage::Inviting,
                tries: 0,
                again_at: None,
            };
            self.calls.insert(number, call);
            self.unsettled += 1;
            self.say(number, now);
        }
    }

    /// Says what a call is about to say, and sets when it is said again.
    fn say(&mut self, number: u64, now: Instant) {
        let Some(call) = self.calls.get_mut(&number) else {
            return;
        };
        call.tries += 1;
        let at = now + T1 * 2u32.saturating_pow(call.tries - 1).min(8);
        if let Some(former) = call.again_at.replace(at) {
            self.again.remove(&(former, number));
        }
        self.again.insert((at, number));
        let Some(call) = self.calls.get(&number) else {
            return;
        };
        let (own, domain) = (self.own, &self.domain);
        let (caller, callee) = (caller(number), &call.callee);
        let text = match &call.stage {
            Stage::Inviting => {
                let sdp = offer(number);
                format!(
                    "INVITE sip:{callee}@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKi{number};rport\r\n\
                     Max-Forwards: 70\r\nFrom: <sip:{caller}@{domain}>;tag=f{number}\r\nTo: <sip:{callee}@{domain}>\r\n\
                     Call-ID: {number}@{own}\r\nCSeq: 1 INVITE\r\nContact: <sip:{caller}@{own}>;+g.oma.sip-im\r\n\
                     Accept-Contact: *;+g.oma.sip-im\r\nContent-Type: application/sdp\r\n\
                     Content-Length: {}\r\n\r\n{sdp}",
                    sdp.len()
                )
            }
            Stage::Leaving { target, to } => self.in_dialog("BYE", 2, number, target, to),
        };
        self.send(text.as_bytes());
    }

    fn in_dialog(&self, method: &str, cseq: u32, number: u64, target: &str, to: &str) -> String {
        let (own, domain, caller) = (self.own, &self.domain, caller(number));
        let kind = method.to_ascii_lowercase();
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{kind}{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{caller}@{domain}>;tag=f{number}\r\nTo: {to}\r\n\
             Call-ID: {number}@{own}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
        )
    }

    /// Repeats what was not answered, and gives up what has not been for too long.
    fn say_again(&mut self, now: Instant) {
        while let Some(&(at, number)) = self.again.first()
            && at <= now
        {
            self.again.remove(&(at, number));
            let Some(call) = self.calls.get_mut(&number) else {
                continue;
            };
            call.again_at = None;
            let inviting = matches!(call.stage, Stage::Inviting);
            let due = call.due;
            if now < due + GIVE_UP {
                if let Some((.., tally)) = &mut self.work {
                    tally.repeated += 1;
                }
                self.say(number, now);
                continue;
            }
            self.calls.remove(&number);
            if inviting {
                self.settle(due, now, Fate::TimedOut);
            } else if let Some((.., tally)) = &mut self.work {
                tally.unended += 1;
            }
        }
    }

    fn settle(&mut self, due: Instant, now: Instant, fate: Fate) {
        self.unsettled -= 1;
        if let Some((.., tally)) = &mut self.work {
            tally.settle(due, now, fate);
        }
    }

    /// Gives the tally when all is settled.
    fn finish(&mut self, now: Instant) {
        let is_over = |(schedule, ..): &(Schedule, Order, Tally)| schedule.is_over(now);
        if self.calls.is_empty() && self.work.as_ref().is_some_and(is_over) {
            let (_, order, tally) = self.work.take().expect("it was just looked at");
            // Whoever asked may have given up.
            let _ = order.reply.send(tally);
        }
    }

    fn heard(&mut self, octets: &[u8]) {
        let Ok(message) = Message::parse(octets) else {
            return;
        };
        match &message.start {
            Start::Request { method, .. } => self.asked(method, &message),
            Start::Response { status, .. } => self.answered(*status, &message),
        }
    }

    /// A request of control's: whatever is wanted is granted.
    fn asked(&self, method: &str, request: &Message) {
        if method == "ACK" {
            return;
        }
        let mut response = Message::response(request, 200, "farm");
        if method == "INVITE" {
            response.push("Contact", format!("<sip:farm@{}>", self.own));
            response.set_body("application/sdp", answer(0).into_bytes());
        }
        self.send(&response.encode());
    }

    fn answered(&mut self, status: u16, response: &Message) {
        let call_id = response.header("Call-ID").unwrap_or_default();
        let number = call_id.split('@').next().and_then(|word| word.parse().ok());
        let (Some(number), Some((_, method))) = (number, response.cseq()) else {
            return;
        };
        let now = Instant::now();
        let invitation = method == "INVITE";
        let Some(call) = self.calls.get_mut(&number) else {
            return self.acknowledge(number, status, invitation, response);
        };
        let waits = matches!(call.stage, Stage::Inviting);
        match (invitation, waits, status) {
            (true, true, ..200) => {
                // It is being dealt with: nothing is repeated, and it is given up all the same.
                let at = call.due + GIVE_UP;
                if let Some(former) = call.again_at.replace(at) {
                    self.again.remove(&(former, number));
                }
                self.again.insert((at, number));
            }
            (true, true, 200..300) => {
                let contact = response.address("Contact");
                let target = contact.map_or_else(String::new, |contact| contact.uri.to_string());
                let to = response.header("To").unwrap_or_default().to_owned();
                let due = call.due;
                let ack = |farm: &Farm| farm.in_dialog("ACK", 1, number, &target, &to);
                let text = ack(self);
                self.send(text.as_bytes());
                if let Some(call) = self.calls.get_mut(&number) {
                    call.stage = Stage::Leaving { target, to };
                    call.tries = 0;
                }
                self.settle(due, now, Fate::Answered);
                self.say(number, now);
            }
            (true, true, _) => {
                let due = call.due;
                let fate = match (status, response.header("Retry-After")) {
                    (503, Some(_)) => Fate::Refused,
                    (503, None) => Fate::RefusedBare,
                    _ => Fate::Otherwise(format!("an INVITE was answered {status}")),
                };
                self.acknowledge(number, status, true, response);
                self.forget(number);
                self.settle(due, now, fate);
            }
            (true, false, _) => self.acknowledge(number, status, true, response),
            (false, _, 200..) => self.forget(number),
            (false, _, _) => {}
        }
    }

    fn forget(&mut self, number: u64) {
        let call = self.calls.remove(&number);
        if let Some(at) = call.and_then(|call| call.again_at) {
            self.again.remove(&(at, number));
        }
    }

    /// An answer that came once more, or one that refuses.
    fn acknowledge(&self, number: u64, status: u16, invitation: bool, response: &Message) {
        if !invitation || status < 200 {
            return;
        }
        let (own, domain, caller) = (self.own, &self.domain, caller(number));
        let to = response.header("To").unwrap_or_default();
        let text = format!(
            "ACK sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKi{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{caller}@{domain}>;tag=f{number}\r\nTo: {to}\r\n\
             Call-ID: {number}@{own}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
        );
        self.send(text.as_bytes());
    }

    fn send(&self, octets: &[u8]) {
        // What the kernel does not take is lost on the way: it is said again.
        let _ = self.socket.try_send_to(octets, self.control);
    }
}

/// The handset of this number that can be called.
pub fn handset(number: usize) -> String {
    format!("farm{number}")
}

/// Who invites: many, so that nobody asks for more than a caller may.
fn caller(number: u64) -> String {
    format!("many{}", number % 1009)
}

fn offer(number: u64) -> String {
    description(number, "actpass")
}

fn answer(number: u64) -> String {
    description(number, "active")
}

fn description(number: u64, setup: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n\
         a=accept-types:text/plain\r\na=path:msrp://127.0.0.1:9/farm{number};tcp\r\na=setup:{setup}\r\n"
    )
}
