//! Naive handsets: SIP over UDP or TCP by the letter of RFC 3261, MSRP over TCP.

use std::fmt::Write;
use std::net::SocketAddr;

use super::media::Media;
use super::network::CONTROL;
use super::sip::{Answered, Fired, Message, Transactions, finish, parameter, uri};
use super::streams::contact;
use super::talk::Answer;
use super::world::{Act, World};

/// How long a handset waits for its media, and for being told when they are lost.
const MEDIA_MS: u64 = 35_000;
const MEDIA_LOST_MS: u64 = 6_000;
/// How long its user waits for an answer, and lets it ring.
const CALLS_MS: u64 = 45_000;
const RINGS_MS: u64 = 60_000;

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Our INVITE is out.
    Inviting,
    /// It rings here.
    Ringing,
    /// We have accepted; the ACK is not here.
    Accepted,
    Open,
    Over,
}

/// A call, from the INVITE to its end.
pub struct Call {
    pub talk: usize,
    pub call_id: String,
    /// Our INVITE's branch, or theirs.
    branch: String,
    local: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    sequence: u32,
    pub stage: Stage,
    pub is_caller: bool,
    pub invited_at: u64,
    /// Final answers to our INVITE, or that there will be none.
    pub finals: u32,
    cancelled: bool,
    /// What we have described.
    description: String,
    pub media: Media,
    /// The relay whose death it has not heard of.
    pub unaware_of: Option<u64>,
}

/// A handset.
pub struct Handset {
    pub user: String,
    pub address: SocketAddr,
    /// It uses TCP, by this stream of late.
    pub by_tcp: bool,
    pub stream: Option<u64>,
    pub transactions: Transactions,
    pub calls: Vec<Call>,
    pub registered: bool,
    registering: u32,
    tags: u64,
}

impl Handset {
    pub fn new(number: usize, by_tcp: bool) -> Handset {
        Handset {
            user: format!("handset{number}"),
            address: SocketAddr::from(([10, 0, 1, number as u8], 5060)),
            by_tcp,
            stream: None,
            transactions: Transactions {
                reliable: by_tcp,
                ..Transactions::default()
            },
            calls: Vec::new(),
            registered: false,
            registering: 0,
            tags: 0,
        }
    }

    /// Its own Via, with this branch.
    pub fn via(&self, branch: &str) -> String {
        let address = self.address;
        match self.by_tcp {
            true => format!("Via: SIP/2.0/TCP {address};branch={branch}\r\n"),
            false => format!("Via: SIP/2.0/UDP {address};rport;branch={branch}\r\n"),
        }
    }

    /// Its Contact.
    pub fn contact(&self) -> String {
        contact(&self.user, self.address, self.by_tcp)
    }

    pub fn word(&mut self) -> String {
        self.tags += 1;
        format!("{}w{}", self.user, self.tags)
    }

    pub fn call_of(&self, call_id: &str) -> Option<usize> {
        self.calls.iter().position(|call| call.call_id == call_id)
    }

    /// A request in a call; the ACK of an INVITE and its CANCEL have its number.
    fn request(&mut self, call: usize, method: &str, branch: &str, body: &str) -> Vec<u8> {
        let (via, contact) = (self.via(branch), self.contact());
        let call = &mut self.calls[call];
        let number = match method {
            "ACK" | "CANCEL" => call.sequence,
            _ => {
                call.sequence += 1;
                call.sequence
            }
        };
        let mut text = format!(
            "{method} {} SIP/2.0\r\n{via}\
             Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\n",
            call.target, call.local, call.remote, call.call_id
        );
        for route in &call.routes {
            let _ = write!(text, "Route: {route}\r\n");
        }
        let mut more = String::new();
        if method == "INVITE" {
            let _ = write!(more, "Contact: {contact}\r\nSubject: talk{}\r\n", call.talk);
        }
        finish(text, &more, body)
    }
}

pub fn branch(word: &str) -> String {
    format!("z9hG4bK{word}")
}

/// What a handset offers or answers.
fn description(path: &str, port: u16, setup: &str, file: bool) -> String {
    let mut sdp = format!(
        "v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=message {port} TCP/MSRP *\r\na=path:{path}\r\na=accept-types:text/plain\r\n"
    );
    if !setup.is_empty() {
        let _ = write!(sdp, "a=setup:{setup}\r\n");
    }
    if file {
        sdp.push_str("a=recvonly\r\n");
    }
    sdp
}

impl World {
    fn handset_sends(&mut self, handset: usize, octets: Vec<u8>) {
        if self.handsets[handset].by_tcp {
            return self.stream_up(handset, &octets);
        }
        let from = self.handsets[handset].address;
        self.datagram(from, CONTROL, octets);
    }

    /// A request of its own, repeated as long as need be.
    pub(super) fn handset_asks(&mut self, handset: usize, octets: Vec<u8>) {
        let now = self.now;
        self.handsets[handset].transactions.ask(&octets, now);
        self.handset_sends(handset, octets);
    }

    /// Registers, or says that it goes.
    pub fn handset_registers(&mut self, index: usize, expires_s: u32) {
        let handset = &mut self.handsets[index];
        let word = handset.word();
        handset.registering += 1;
        let (user, number) = (&handset.user, handset.registering);
        let (via, contact) = (handset.via(&branch(&word)), handset.contact());
        let text = format!(
            "REGISTER sip:localhost SIP/2.0\r\n{via}\
             Max-Forwards: 70\r\nFrom: <sip:{user}@localhost>;tag=r{number}\r\n\
             To: <sip:{user}@localhost>\r\nCall-ID: register-{user}\r\nCSeq: {number} REGISTER\r\n\
             Contact: {contact};expires={expires_s}\r\n"
        );
        let octets = finish(text, "", "");
        self.handset_asks(index, octets);
    }

    /// Invites the page's user of a talk.
    pub fn handset_starts(&mut self, index: usize, talk: usize) {
        let page_user = self.talks[talk].page_user.clone();
        let (messages, file) = (self.talks[talk].messages[1], self.talks[talk].is_file());
        let setup = self
            .chance
            .one_of(&["", "active", "actpass", "actpass", "passive"]);
        let handset = &mut self.handsets[index];
        let word = handset.word();
        let port = 30_000 + 2 * talk as u16;
        let path = format!("msrp://127.0.0.1:{port}/h{talk};tcp");
        let mut media = Media::new(
            path.clone(),
            &format!("h{talk}"),
            messages,
            &mut self.chance,
        );
        if setup == "passive" || setup == "actpass" {
            media.listens = Some(self.listens(port));
        }
        let mut sdp = description(&path, port, setup, false);
        if file {
            sdp.push_str("a=sendonly\r\n");
            sdp.push_str(super::talk::FILE);
        }
        let local = format!("<sip:{}@localhost>;tag={word}", self.handsets[index].user);
        self.handsets[index].calls.push(Call {
            talk,
            call_id: format!("call-{word}"),
            branch: branch(&word),
            local,
            remote: format!("<sip:{page_user}@localhost>"),
            target: format!("sip:{page_user}@localhost"),
            routes: Vec::new(),
            sequence: 0,
            stage: Stage::Inviting,
            is_caller: true,
            invited_at: self.now,
            finals: 0,
            cancelled: false,
            description: sdp.clone(),
            media,
            unaware_of: None,
        });
        let call = self.handsets[index].calls.len() - 1;
        let call_id = self.handsets[index].calls[call].call_id.clone();
        self.after(CALLS_MS, Act::HandsetPatience(index, call_id));
        let invite = self.handsets[index].request(call, "INVITE", &branch(&word), &sdp);
        self.handset_asks(index, invite);
    }

    /// Nobody answers, or nobody is to be answered any more.
    pub fn handset_is_impatient(&mut self, index: usize, call_id: &str) {
        let Some(call) = self.handsets[index].call_of(call_id) else {
            return;
        };
        match self.handsets[index].calls[call].stage {
            Stage::Inviting => self.handset_cancels(index, call),
            Stage::Ringing => self.handset_answers(index, call, "480 Temporarily Unavailable"),
            Stage::Accepted | Stage::Open | Stage::Over => {}
        }
    }

    /// Gives up on its own INVITE.
    pub fn handset_cancels(&mut self, index: usize, call: usize) {
        let it = &mut self.handsets[index].calls[call];
        if it.stage != Stage::Inviting {
            return;
        }
        it.cancelled = true;
        let (talk, invite) = (it.talk, it.branch.clone());
        self.excuse(talk, "cancelled");
        let now = self.now;
        if self.handsets[index].transactions.gives_up(&invite, now) {
            let cancel = self.handsets[index].request(call, "CANCEL", &invite, "");
            self.handset_asks(index, cancel);
        }
    }

    /// Hangs up.
    pub fn handset_hangs_up(&mut self, index: usize, call: usize, why: &'static str) {
        let it = &self.handsets[index].calls[call];
        let (stage, talk) = (it.stage, it.talk);
        match stage {
            Stage::Inviting => return self.handset_cancels(index, call),
            Stage::Ringing => return self.handset_answers(index, call, "603 Decline"),
            Stage::Over => return,
            Stage::Accepted | Stage::Open => {}
        }
        self.excuse(talk, why);
        let word = self.handsets[index].word();
        let bye = self.handsets[index].request(call, "BYE", &branch(&word), "");
        self.handset_asks(index, bye);
        self.call_is_over(index, call);
    }

    /// Nothing comes of a call any more.
    fn call_is_over(&mut self, index: usize, call: usize) {
        let it = &mut self.handsets[index].calls[call];
        it.stage = Stage::Over;
        it.unaware_of = None;
        let ring = self.relay.as_mut().map(|r| (r.number, r.shard.ring()));
        it.media.leave(ring);
    }

    /// A handset listens at this port.
    fn listens(&mut self, port: u16) -> SocketAddr {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if let Some(relay) = &mut self.relay {
            relay.shard.ring().answer_at(address);
        }
        address
    }

    /// The final answer to their INVITE.
    fn handset_answers(&mut self, index: usize, call: usize, status: &str) {
        let now = self.now;
        let it = &self.handsets[index].calls[call];
        let branch = it.branch.clone();
        let invite = self.handsets[index]
            .transactions
            .servers
            .iter()
            .find(|server| server.branch == branch && server.method == "INVITE");
        let Some(invite) = invite.map(|server| server.request.clone()) else {
            return;
        };
        let accepts = status.starts_with("200");
        let body = match accepts {
            true => self.handsets[index].calls[call].description.clone(),
            false => String::new(),
        };
        let handset = &mut self.handsets[index];
        let tag = format!("t{}", handset.calls[call].call_id);
        let contact = format!("Contact: {}\r\n", handset.contact());
        let octets = invite.response(status, &tag, &contact, &body);
        handset.transactions.answer(&branch, "INVITE", &octets, now);
        self.handset_sends(index, octets);
        if accepts {
            self.handsets[index].calls[call].stage = Stage::Accepted;
            let call_id = self.handsets[index].calls[call].call_id.clone();
            self.after(20, Act::HandsetMedia(index, call_id.clone()));
            self.after(MEDIA_MS, Act::HandsetLooks(index, call_id));
        } else {
            let talk = self.handsets[index].calls[call].talk;
            self.excuse(talk, "declined");
            self.call_is_over(index, call);
        }
    }

    /// A datagram has come.
    pub fn handset_hears(&mut self, index: usize, octets: &[u8]) {
        let message = Message::read(octets);
        if message.code().is_some() {
            return self.handset_is_answered(index, &message);
        }
        if message.method() == "ACK" {
            let call_id = message.header("Call-ID").to_owned();
            self.handsets[index].transactions.acknowledged(&call_id);
            if let Some(call) = self.handsets[index].call_of(&call_id)
                && self.handsets[index].calls[call].stage == Stage::Accepted
            {
                self.handsets[index].calls[call].stage = Stage::Open;
            }
            return;
        }
        let now = self.now;
        match self.handsets[index].transactions.asked(&message, now) {
            Err(Some(again)) => self.handset_sends(index, again),
            Err(None) => {}
            Ok(()) => self.handset_is_asked(index, &message),
        }
    }

    fn handset_is_asked(&mut self, index: usize, message: &Message) {
        let known = self.handsets[index].call_of(message.header("Call-ID"));
        let is_inside = parameter(message.header("To"), "tag").is_some();
        let lives = |stage| !matches!(stage, Stage::Over);
        let known = known.filter(|call| lives(self.handsets[index].calls[*call].stage));
        let status = match (message.method(), known) {
            ("INVITE", None) if !is_inside => return self.handset_is_invited(index, message),
            ("INVITE", Some(call)) if is_inside => return self.media_move(index, call, message),
            ("CANCEL", Some(call)) => {
                self.answer_plainly(index, message, "200 OK");
                if self.handsets[index].calls[call].stage == Stage::Ringing {
                    self.handset_answers(index, call, "487 Request Terminated");
                }
                return;
            }
            ("CANCEL", None) => "200 OK",
            ("BYE", Some(call)) => {
                self.handset_is_left(index, call, message.header("Reason"));
                "200 OK"
            }
            ("MESSAGE" | "OPTIONS", _) => self.handset_is_spoken_to(index, message),
            ("UPDATE" | "INFO", _) => "200 OK",
            (_, None) => "481 Call/Transaction Does Not Exist",
            _ => "405 Method Not Allowed",
        };
        self.answer_plainly(index, message, status);
    }

    fn answer_plainly(&mut self, index: usize, message: &Message, status: &str) {
        let octets = message.response(status, "plain", "", "");
        let (branch, method, now) = (message.branch(), message.method(), self.now);
        let transactions = &mut self.handsets[index].transactions;
        transactions.answer(branch, method, &octets, now);
        self.handset_sends(index, octets);
    }

    fn handset_is_left(&mut self, index: usize, call: usize, reason: &str) {
        let (talk, stage) = {
            let it = &self.handsets[index].calls[call];
            (it.talk, it.stage)
        };
        self.check_end(talk, stage == Stage::Open, &format!("BYE: {reason}"));
        self.call_is_over(index, call);
    }

    /// A re-INVITE: the relay's leg is another one.
    fn media_move(&mut self, index: usize, call: usize, message: &Message) {
        let it = &mut self.handsets[index].calls[call];
        it.branch = message.branch().to_owned();
        it.unaware_of = None;
        it.media.described(&message.body);
        let (branch, now) = (it.branch.clone(), self.now);
        let (body, call_id) = (it.description.clone(), it.call_id.clone());
        let contact = format!("Contact: {}\r\n", self.handsets[index].contact());
        let octets = message.response("200 OK", "", &contact, &body);
        let transactions = &mut self.handsets[index].transactions;
        transactions.answer(&branch, "INVITE", &octets, now);
        self.handset_sends(index, octets);
        self.after(20, Act::HandsetMedia(index, call_id));
    }

    fn handset_is_invited(&mut self, index: usize, message: &Message) {
        let number = message.header("Subject").strip_prefix("talk");
        let talk: usize = number.and_then(|n| n.parse().ok()).expect("our subject");
        let call_id = message.header("Call-ID").to_owned();
        let from = message.header("From").to_owned();
        assert!(
            parameter(&from, "tag").is_some() && message.body.contains("m=message"),
            "an invitation is whole: {message:?}"
        );
        let offered = message
            .body
            .lines()
            .find_map(|line| line.strip_prefix("a=setup:"));
        let setup = match offered.unwrap_or("active") {
            "active" => "passive",
            "passive" => "active",
            _ => self.chance.one_of(&["active", "passive"]),
        };
        let port = 30_001 + 2 * talk as u16;
        let path = format!("msrp://127.0.0.1:{port}/h{talk};tcp");
        let messages = self.talks[talk].messages[1];
        let mut media = Media::new(
            path.clone(),
            &format!("h{talk}"),
            messages,
            &mut self.chance,
        );
        media.described(&message.body);
        if setup == "passive" {
            media.listens = Some(self.listens(port));
        }
        let file = self.talks[talk].is_file();
        let mut description = description(&path, port, setup, file);
        if file {
            description.push_str(super::talk::FILE);
        }
        let handset = &mut self.handsets[index];
        let to = format!("{};tag=t{call_id}", message.header("To"));
        handset.calls.push(Call {
            talk,
            branch: message.branch().to_owned(),
            local: to,
            remote: from,
            target: uri(message.header("Contact")).to_owned(),
            routes: message.all("Record-Route").map(str::to_owned).collect(),
            sequence: 100,
            stage: Stage::Ringing,
            is_caller: false,
            invited_at: self.now,
            finals: 0,
            cancelled: false,
            description,
            media,
            unaware_of: None,
            call_id: call_id.clone(),
        });
        let rings = self.chance.percent(80);
        if rings {
            let tag = format!("t{call_id}");
            let contact = format!("Contact: {}\r\n", handset.contact());
            let octets = message.response("180 Ringing", &tag, &contact, "");
            let now = self.now;
            let transactions = &mut self.handsets[index].transactions;
            transactions.answer(message.branch(), "INVITE", &octets, now);
            self.handset_sends(index, octets);
        }
        let answer_ms = self.talks[talk].answer_ms;
        self.after(answer_ms, Act::HandsetAnswers(index, call_id));
    }

    /// Its user has made up their mind.
    pub fn handset_decides(&mut self, index: usize, call_id: &str) {
        let Some(call) = self.handsets[index].call_of(call_id) else {
            return;
        };
        let it = &self.handsets[index].calls[call];
        if it.stage != Stage::Ringing {
            return;
        }
        match self.talks[it.talk].answer {
            Answer::Accept => self.handset_answers(index, call, "200 OK"),
            Answer::Decline => self.handset_answers(index, call, "486 Busy Here"),
            Answer::Ignore => {
                self.after(RINGS_MS, Act::HandsetPatience(index, call_id.to_owned()));
            }
        }
    }

    fn handset_is_answered(&mut self, index: usize, message: &Message) {
        let now = self.now;
        let answered = self.handsets[index].transactions.answered(message, now);
        let method = message.method().to_owned();
        match answered {
            Answered::Stray => return,
            Answered::Again(ack) => return self.handset_sends(index, ack),
            Answered::Provisional => {
                if method == "INVITE" {
                    self.cancels_late(index, message.header("Call-ID"));
                }
                return;
            }
            Answered::Final => {}
        }
        if matches!(method.as_str(), "MESSAGE" | "OPTIONS") {
            let code = message.code().expect("a status");
            return self.handset_is_told(message.header("Call-ID"), code);
        }
        if method == "REGISTER" {
            self.handsets[index].registered = message.code() == Some(200);
        }
        if method == "INVITE" {
            self.invitation_answered(index, message);
        }
    }

    /// A CANCEL waits for a provisional answer.
    fn cancels_late(&mut self, index: usize, call_id: &str) {
        let handset = &mut self.handsets[index];
        let Some(call) = handset.call_of(call_id) else {
            return;
        };
        let invite = handset.calls[call].branch.clone();
        let mut clients = handset.transactions.clients.iter();
        let is_cancelled = clients.any(|c| c.branch == invite && c.method == "CANCEL");
        if handset.calls[call].cancelled && !is_cancelled {
            let cancel = handset.request(call, "CANCEL", &invite, "");
            self.handset_asks(index, cancel);
        }
    }

    fn invitation_answered(&mut self, index: usize, message: &Message) {
        let code = message.code().expect("a status");
        let Some(call) = self.handsets[index].call_of(message.header("Call-ID")) else {
            return;
        };
        let handset = &mut self.handsets[index];
        handset.calls[call].finals += 1;
        let invite = handset.calls[call].branch.clone();
        handset.calls[call].remote = message.header("To").to_owned();
        let ack = if code < 300 {
            let it = &mut handset.calls[call];
            it.target = uri(message.header("Contact")).to_owned();
            it.routes = message.all("Record-Route").map(str::to_owned).collect();
            it.routes.reverse();
            let word = handset.word();
            handset.request(call, "ACK", &branch(&word), "")
        } else {
            handset.request(call, "ACK", &invite, "")
        };
        let mut clients = handset.transactions.clients.iter_mut();
        if let Some(client) = clients.find(|c| c.branch == invite && c.method == "INVITE") {
            client.ack = Some(ack.clone());
        }
        self.handset_sends(index, ack);
        let it = &mut self.handsets[index].calls[call];
        if code >= 300 {
            let talk = it.talk;
            self.excuse(talk, "refused");
            return self.call_is_over(index, call);
        }
        it.stage = Stage::Open;
        it.media.described(&message.body);
        if message.body.contains("a=setup:active") {
            assert!(
                it.media.listens.is_some(),
                "the relay connects where we listen"
            );
        } else {
            it.media.listens = None;
        }
        let (call_id, cancelled) = (it.call_id.clone(), it.cancelled);
        if cancelled {
            return self.handset_hangs_up(index, call, "cancelled too late");
        }
        self.after(20, Act::HandsetMedia(index, call_id.clone()));
        self.after(MEDIA_MS, Act::HandsetLooks(index, call_id));
    }

    /// Its transactions' timers.
    pub fn handset_timers(&mut self, index: usize) {
        let now = self.now;
        for fired in self.handsets[index].transactions.fire(now) {
            match fired {
                Fired::Send(octets) => self.handset_sends(index, octets),
                Fired::TimedOut(method, call_id) => {
                    let call = self.handsets[index].call_of(&call_id);
                    match (method.as_str(), call) {
                        ("INVITE", Some(call)) => {
                            // RFC 3261, 8.1.3.1: as if it were 408.
                            self.handsets[index].calls[call].finals += 1;
                            let talk = self.handsets[index].calls[call].talk;
                            self.excuse(talk, "no answer");
                            self.call_is_over(index, call);
                        }
                        ("MESSAGE" | "OPTIONS", _) => self.handset_is_told(&call_id, 408),
                        ("REGISTER", _) => self.after(1_000, Act::Registers(index)),
                        _ => {}
                    }
                }
                Fired::NoAck(call_id) => {
                    if let Some(call) = self.handsets[index].call_of(&call_id)
                        && self.handsets[index].calls[call].stage == Stage::Accepted
                    {
                        self.handset_hangs_up(index, call, "no ACK");
                    }
                }
            }
        }
    }

    /// It connects, or looks whether the relay has.
    pub fn handset_connects(&mut self, index: usize, call_id: &str) {
        let Some(call) = self.handsets[index].call_of(call_id) else {
            return;
        };
        let it = &mut self.handsets[index].calls[call];
        if it.stage == Stage::Over || !it.media.seeks() {
            return;
        }
        let connected = self.relay.as_mut().is_some_and(|relay| {
            let ring = relay.shard.ring();
            it.media.connect(relay.number, ring, &mut self.chance)
        });
        if !connected {
            self.after(100, Act::HandsetMedia(index, call_id.to_owned()));
        }
    }

    /// Its media were lost.
    pub fn handset_loses(&mut self, index: usize, call: usize) {
        let it = &self.handsets[index].calls[call];
        if it.stage != Stage::Over {
            let call_id = it.call_id.clone();
            self.after(MEDIA_LOST_MS, Act::HandsetLooks(index, call_id));
        }
    }

    /// Without media it does not stay.
    pub fn handset_looks(&mut self, index: usize, call_id: &str) {
        let relay = self.relay.as_ref().map(|relay| relay.number);
        if let Some(call) = self.handsets[index].call_of(call_id) {
            let it = &self.handsets[index].calls[call];
            let has_media = relay.is_some_and(|relay| it.media.link_of(relay).is_some());
            if it.stage != Stage::Over && !has_media {
                self.handset_hangs_up(index, call, "no media");
            }
        }
    }
}
