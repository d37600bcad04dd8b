//! Control's side of a world's link: what it wants, what it hears, and how it dies.

use std::collections::{HashSet, VecDeque};

use link::{Command, Event, InProcess, Leg, LegState, PeerIdentity, Record, SessionId, in_process};

use crate::world::{Plan, World};

/// Which `List` it is that a new control asks for.
const TOKEN: u64 = 5;

/// A control, for as long as it lives, and its link to the shard.
pub struct Control {
    link: InProcess,
    /// Commands that wait for room in the queue.
    wanted: VecDeque<Record>,
    /// It has something to do, and need not be woken.
    awake: bool,
    /// Sessions that the shard has told it of since it asked.
    listed: HashSet<SessionId>,
    /// When the shard wakes by itself.
    shard_wakes_at: u64,
}

impl Control {
    /// A control that has just attached, by queues of so many slots.
    pub fn new(slots: u32) -> Control {
        Control {
            link: in_process(1, slots).expect("memory and descriptors"),
            wanted: VecDeque::new(),
            awake: true,
            listed: HashSet::new(),
            shard_wakes_at: 0,
        }
    }
}

impl Plan {
    /// Slots of the link's queues.
    pub fn slots(&self) -> u32 {
        if self.link_faults { 2 } else { 64 }
    }
}

impl World {
    /// Control wants something; it says so when there is room.
    pub(super) fn command(&mut self, command: &Command<'_>) {
        let mut record = Record::new();
        let fits = command.encode(&mut record);
        fits.expect("a command fits in a record");
        self.control.wanted.push_back(record);
        self.control.awake = true;
    }

    /// One turn of the shard, if it is awake or is woken, as its thread has it; then control's.
    pub(super) fn turn(&mut self) {
        let link = &mut self.control.link;
        let rung = link.wakers[0].clear().expect("a bell");
        if rung || self.control.shard_wakes_at <= self.now || self.shard.ring().has_completions() {
            let end = &mut link.shards[0];
            let mut record = Record::new();
            end.commands.awake();
            let commands_wait = self.shard.take_commands(end, &mut record, self.now);
            self.shard.work(self.now);
            self.shard.give_events(end, &mut record);
            let wait = self.shard.may_sleep(Some(end), commands_wait, self.now);
            let wait_ms = wait.map_or(u64::MAX, |wait| wait.as_millis() as u64);
            self.control.shard_wakes_at = self.now.saturating_add(wait_ms);
        }
        self.control_step();
        let entered = self.shard.enter(None);
        entered.expect("a fake ring enters always");
    }

    fn control_step(&mut self) {
        let faults = self.plan.link_faults;
        if faults && self.chance.below(200) == 0 {
            return self.control_dies();
        }
        let control = &mut self.control;
        if control.link.ready.clear().expect("a bell") {
            control.awake = true;
        }
        if !control.awake || faults && self.chance.percent(60) {
            return;
        }
        control.link.controls[0].events.awake();
        self.says_what_it_wants();
        let mut record = Record::new();
        while self.hears(&mut record) {
            let event = Event::decode(&record).expect("an event");
            self.heard(&event);
            if self.plan.link_faults && self.chance.percent(30) {
                return;
            }
        }
        self.says_what_it_wants();
        self.control.awake = !self.control.link.controls[0].events.sleep();
    }

    fn hears(&mut self, record: &mut Record) -> bool {
        let events = &mut self.control.link.controls[0].events;
        events.pop(record).expect("the shard writes what is right")
    }

    /// What finds no room waits until the shard rings.
    fn says_what_it_wants(&mut self) {
        if self.plan.link_faults && self.chance.percent(5) {
            self.control
                .wanted
                .push_front(nonsense(self.chance.number()));
        }
        let control = &mut self.control;
        while let Some(record) = control.wanted.front() {
            if control.link.controls[0].commands.push(record).is_err() {
                return;
            }
            control.wanted.pop_front();
        }
    }

    /// Control is gone, with all that it wanted and had not read. The next one asks what there is.
    fn control_dies(&mut self) {
        self.control = Control::new(self.plan.slots());
        self.shard.attached();
        self.command(&Command::List { token: TOKEN });
    }

    fn heard(&mut self, event: &Event<'_>) {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).expect("text");
        match *event {
            Event::Created { session, legs } => {
                let index = self.index_of(session);
                if self.sessions[index].peers[0].relay_path.is_empty() {
                    let legs = legs.map(|leg| (text(leg.path), text(leg.resource)));
                    self.created(index, legs, [LegState::Waiting; 2]);
                }
            }
            Event::Refused { session, reason } => {
                let may_fail = self.plan.leaves || self.plan.link_faults;
                let index = self.index_of(session);
                let talk = &mut self.sessions[index];
                let ended = talk.closed || talk.deleted;
                assert!(ended || may_fail, "{session:?} is refused: {reason:?}");
                // What is asked of one that exists does not end it by being refused.
                talk.closed |= talk.peers[0].relay_path.is_empty();
            }
            Event::LegDetached { session, leg, .. } => {
                if self.chance.percent(60) {
                    let bind_ms = self.chance.one_of(&[0, 7_000]);
                    self.command(&Command::Rebind {
                        session,
                        leg,
                        bind_ms,
                    });
                }
            }
            Event::Closed { session, .. } => {
                let index = self.index_of(session);
                let talk = &mut self.sessions[index];
                assert!(!talk.closed, "{session:?} is closed twice");
                talk.closed = true;
            }
            Event::Listed {
                session,
                states,
                legs,
            } => {
                self.control.listed.insert(session);
                let legs = legs.map(|leg| (text(leg.path), text(leg.resource)));
                let index = self.index_of(session);
                self.created(index, legs, states);
                if self.sessions[index].deleted {
                    // That may have been lost.
                    self.command(&Command::Delete { session });
                }
            }
            Event::ListEnd { token } => {
                assert_eq!(token, TOKEN, "a former control's list is not told");
                for talk in &mut self.sessions {
                    talk.closed |= !self.control.listed.contains(&talk.id);
                }
            }
            Event::LegUp { .. } | Event::LegDown { .. } | Event::LegExpired { .. } => {}
            Event::Rebound { .. } => {}
            Event::Reloaded { .. } => unreachable!("nobody asked"),
        }
    }

    fn index_of(&self, session: SessionId) -> usize {
        let place = self.sessions.iter().position(|talk| talk.id == session);
        place.expect("a session of ours")
    }

    /// A session is there: the peers learn the relay's paths, the relay theirs.
    fn created(&mut self, index: usize, legs: [(String, String); 2], states: [LegState; 2]) {
        let session = self.sessions[index].id;
        let is_new = self.sessions[index].peers[0].relay_path.is_empty();
        for (leg, (path, resource)) in Leg::ALL.into_iter().zip(legs) {
            let peer = &mut self.sessions[index].peers[leg.index()];
            (peer.relay_path, peer.resource) = (path, resource);
        }
        for leg in Leg::ALL {
            let messages = if is_new { self.chance.below(6) } else { 0 };
            for message in 0..messages {
                let chunks = self.make_message(index, leg, message);
                let peer = &mut self.sessions[index].peers[leg.index()];
                peer.to_say.extend(chunks);
            }
            let peer = &self.sessions[index].peers[leg.index()];
            let is_waited_for = states[leg.index()] == LegState::Waiting;
            let (path, connect) = (peer.path.clone(), peer.listens_at);
            let command = Command::SetPeer {
                session,
                leg,
                path: path.as_bytes(),
                connect: connect.filter(|_| is_waited_for),
                identity: PeerIdentity::UNKNOWN,
            };
            self.command(&command);
        }
    }
}

/// A record that is no command.
fn nonsense(number: u64) -> Record {
    let mut octets = [0xEE; link::RECORD_BYTES];
    octets[..2].copy_from_slice(&(number as u16).to_le_bytes());
    Record::from_bytes(octets)
}
