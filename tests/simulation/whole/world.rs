//! A world: its clock, what is to come, and who is in it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use control::jsonrtc::SocketId;
use control::sip::Flow;
use tests::chance::Chance;

use super::calls::Calls;
use super::handset::Handset;
use super::page::Page;
use super::relay::Relay;
use super::server::{Input, Process};
use super::streams::Stream;
use super::talk::Talk;
use super::words::Word;
use super::{Plan, server};

/// What a page's socket carries to control.
pub enum Up {
    Open,
    Text(String),
    Closed(Option<u16>),
    /// Only a place in the order.
    Nothing,
}

/// And back.
pub enum Down {
    Text(String),
    Closed,
}

/// Something that comes at its time.
pub enum Due {
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        octets: Vec<u8>,
    },
    /// A piece of a stream, up (0) or down.
    Piece(u64, usize, Vec<u8>),
    Up(usize, SocketId, Up),
    Down(usize, SocketId, Down),
    Act(Act),
}

/// Something that somebody does. Pages and handsets by their places, chats by subsession, calls by Call-ID.
pub enum Act {
    PageConnects(usize),
    PageImpatient(usize, SocketId),
    PagePings(usize),
    PageStarts(usize, usize),
    PageAnswers(usize, String),
    PageMedia(usize, String),
    /// A text on its own, or an enquiry.
    Says(usize),
    /// A page calls another, which decides, and one of them hangs up.
    Calls(usize),
    CallIsDecided(usize, String),
    CallEnds(usize),
    PageRebinds(usize, String),
    PageLeaves(usize),
    Registers(usize),
    HandsetStarts(usize, usize),
    HandsetAnswers(usize, String),
    HandsetMedia(usize, String),
    HandsetLooks(usize, String),
    /// A handset rings, or is rung, for too long.
    HandsetPatience(usize, String),
    /// Somebody has something to say by MSRP.
    Media,
    /// Who called takes it back.
    Cancels(usize),
    /// One of a talk's two hangs up.
    HangsUp(usize),
    /// Control learns that a stream is gone, and its handset.
    StreamMissed(Flow),
    StreamGone(usize, u64),
    /// Something breaks.
    Fault,
    ControlStarts,
    Attaches,
    RelayLost(u64),
    RelayStarts,
    /// By now everybody knows of that relay's death.
    RelayMissed(u64, u64),
}

/// What has come to pass: a world in which nothing does proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Talks that were open at both ends, and those of them in which everything was heard.
    pub open: u64,
    pub whole: u64,
    /// Messages that were heard.
    pub messages: u64,
    pub resumed: u64,
    pub rebound: u64,
    pub control_deaths: u64,
    pub relay_deaths: u64,
    /// Control has died, and talks have outlived it.
    pub outlived: u64,
    pub script_failures: u64,
    /// Calls between pages that were open at both.
    pub calls: u64,
    /// Texts on their own that have arrived.
    pub words: u64,
    /// SIP streams that were cut.
    pub streams_cut: u64,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Seen) {
        self.open += other.open;
        self.whole += other.whole;
        self.messages += other.messages;
        self.resumed += other.resumed;
        self.rebound += other.rebound;
        self.control_deaths += other.control_deaths;
        self.relay_deaths += other.relay_deaths;
        self.outlived += other.outlived;
        self.script_failures += other.script_failures;
        self.calls += other.calls;
        self.words += other.words;
        self.streams_cut += other.streams_cut;
    }
}

/// All of it.
pub struct World {
    pub seed: u64,
    pub plan: Plan,
    pub now: u64,
    pub chance: Chance,
    queue: BTreeMap<(u64, u64), Due>,
    queued: u64,
    pub control: Option<Process>,
    /// What control has put away.
    pub kept: Vec<Vec<u8>>,
    pub processes: u64,
    /// So many turns, and it dies.
    pub turns_left: Option<u64>,
    pub relay: Option<Relay>,
    pub relays: u64,
    pub pages: Vec<Page>,
    pub handsets: Vec<Handset>,
    pub talks: Vec<Talk>,
    pub words: Vec<Word>,
    pub calls: Calls,
    pub sockets: u64,
    pub streams: BTreeMap<u64, Stream>,
    pub last_stream: u64,
    /// What control has sent under which number of which session.
    pub numbered: HashMap<(String, u64), String>,
    pub sessions_lost: u64,
    /// Of everything that has arrived anywhere, and when.
    pub trace: u64,
    pub seen: Seen,
}

impl World {
    pub fn empty(seed: u64, plan: Plan) -> World {
        server::scripts_take(0);
        World {
            seed,
            plan,
            now: 1_000,
            chance: Chance::new(seed),
            queue: BTreeMap::new(),
            queued: 0,
            control: None,
            kept: Vec::new(),
            processes: 0,
            turns_left: None,
            relay: None,
            relays: 0,
            pages: Vec::new(),
            handsets: Vec::new(),
            talks: Vec::new(),
            words: Vec::new(),
            calls: Calls::default(),
            sockets: 0,
            streams: BTreeMap::new(),
            last_stream: 0,
            numbered: HashMap::new(),
            sessions_lost: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            seen: Seen::default(),
        }
    }

    /// Something comes at this time.
    pub fn at(&mut self, at: u64, due: Due) {
        self.queued += 1;
        self.queue.insert((at.max(self.now), self.queued), due);
    }

    /// Somebody does something so many milliseconds from now.
    pub fn after(&mut self, wait: u64, act: Act) {
        self.at(self.now + wait, Due::Act(act));
    }

    /// Adds to the trace.
    pub fn note(&mut self, octets: &[u8]) {
        let add = |hash: u64, octet: u8| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3);
        let time = self.now.to_le_bytes();
        let octets = time.iter().chain(octets).copied();
        self.trace = octets.fold(self.trace, add);
    }

    /// Something for control.
    pub fn input(&mut self, input: Input) {
        if let Some(process) = &mut self.control {
            process.inputs.push_back(input);
        }
    }

    /// Lets the time pass until nothing is to come before `end`.
    pub fn run(&mut self, end: u64) {
        loop {
            let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
            let control = self.control.as_ref().and_then(Process::due);
            let relay = self.relay.as_mut().and_then(Relay::due);
            let handsets = self.handsets.iter();
            let timers = handsets.filter_map(|h| h.transactions.deadline()).min();
            let all = [queued, control, relay, timers];
            let Some(next) = all.into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let is_due = |at: Option<u64>| at.is_some_and(|at| at <= self.now);
            if is_due(queued) {
                if let Some((_, due)) = self.queue.pop_first() {
                    self.happens(due);
                }
            } else if is_due(timers) {
                for index in 0..self.handsets.len() {
                    self.handset_timers(index);
                }
            } else if is_due(control) {
                self.control_step();
            } else {
                self.relay_turn();
            }
        }
        self.now = self.now.max(end);
    }

    /// Whether nothing is to come at all.
    pub fn is_silent(&mut self) -> bool {
        let control = self.control.as_ref().and_then(Process::due);
        let relay = self.relay.as_mut().and_then(Relay::due);
        self.queue.is_empty() && control.is_none() && relay.is_none()
    }

    fn happens(&mut self, due: Due) {
        match due {
            Due::Datagram { from, to, octets } => self.datagram_arrives(from, to, octets),
            Due::Piece(stream, way, octets) => self.piece_arrives(stream, way, octets),
            Due::Up(page, socket, up) => self.up_arrives(page, socket, up),
            Due::Down(page, socket, down) => self.down_arrives(page, socket, down),
            Due::Act(act) => self.acts(act),
        }
    }

    fn acts(&mut self, act: Act) {
        match act {
            Act::PageConnects(page) => self.page_connects(page),
            Act::PageImpatient(page, socket) => self.page_is_impatient(page, socket),
            Act::PagePings(page) => self.page_pings(page),
            Act::PageStarts(page, talk) => self.page_starts(page, talk),
            Act::PageAnswers(page, name) => self.page_decides(page, &name),
            Act::Calls(call) => self.page_calls(call),
            Act::CallIsDecided(page, name) => self.call_is_decided(page, &name),
            Act::CallEnds(call) => self.call_ends(call),
            Act::Says(word) => self.word_is_said(word),
            Act::PageMedia(page, name) => self.page_opens_media(page, &name),
            Act::PageRebinds(page, name) => self.page_rebinds(page, &name),
            Act::PageLeaves(page) => self.page_leaves(page),
            Act::Registers(handset) => self.handset_registers(handset, 3_600),
            Act::HandsetStarts(handset, talk) => self.handset_starts(handset, talk),
            Act::HandsetAnswers(handset, call) => self.handset_decides(handset, &call),
            Act::HandsetMedia(handset, call) => self.handset_connects(handset, &call),
            Act::HandsetLooks(handset, call) => self.handset_looks(handset, &call),
            Act::HandsetPatience(handset, call) => self.handset_is_impatient(handset, &call),
            Act::Media => self.media_turn(),
            Act::Cancels(talk) => self.caller_cancels(talk),
            Act::HangsUp(talk) => self.one_hangs_up(talk),
            Act::StreamMissed(flow) => self.stream_is_missed(flow),
            Act::StreamGone(handset, stream) => self.stream_is_gone(handset, stream),
            Act::Fault => self.fault(),
            Act::ControlStarts => self.control_starts(),
            Act::Attaches => self.attaches(),
            Act::RelayLost(relay) => self.relay_is_missed(relay),
            Act::RelayStarts => self.relay_starts(),
            Act::RelayMissed(relay, since) => self.check_relay_missed(relay, since),
        }
    }
}
