//! What drives control and the relay, and ends them.

use control::gateway::{Action, Gateway, Turn};
use control::jsonrtc::Login;
use control::metrics::Counter;
use control::sip::{Flow, SipTransport};
use link::{Event, Record};

use super::chat;
use super::handset;
use super::relay::Relay;
use super::server::{self, Input, Process, image};
use super::world::{Act, Down, World};

/// Pause between attempts to attach, as `edge` has it.
const ATTACH_MS: u64 = 1_000;
/// Within this time everybody knows that a relay has died.
const LEARN_MS: u64 = 5_000;
/// What the wall clock says when ours is at zero.
const WALL_MS: u64 = 1_800_000_000_000;

/// Where in a turn a process may die.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing of it was put away, and nobody has heard of it.
    Unkept,
    /// It was put away, and nobody has heard of it.
    Unsaid,
    /// All of it is done.
    Done,
}

impl World {
    /// A process starts, from what earlier ones have put away.
    pub fn control_starts(&mut self) {
        self.processes += 1;
        let mut process = Process::new(self.seed, self.processes, self.now);
        let image = image(&self.kept);
        let is_new = image.is_empty();
        process.restore_sip(&image);
        self.control = Some(process);
        if !is_new {
            self.turn(|gateway, turn| gateway.restore(image, turn));
            if let Some(process) = &mut self.control {
                process.net.with(|sip, now, out| sip.restored(now, out));
            }
        }
        if let Some(process) = &mut self.control {
            let all = process.all_changes();
            self.kept = vec![serde_json::to_vec(&all).expect("changes are JSON")];
        }
        self.transmit();
        let wait = self.chance.below(30);
        self.after(wait, Act::Attaches);
    }

    /// It looks for a relay.
    pub fn attaches(&mut self) {
        let Some(process) = self.control.as_mut().filter(|process| !process.attached) else {
            return;
        };
        let Some(relay) = &mut self.relay else {
            return self.after(ATTACH_MS, Act::Attaches);
        };
        relay.attach(self.plan.slots);
        (process.attached, process.link_at) = (true, Some(self.now));
        self.input(Input::Attached);
    }

    /// One thing that control has to do.
    pub fn control_step(&mut self) {
        let now = self.now;
        let Some(process) = &mut self.control else {
            return;
        };
        process.net.now = now;
        if let Some(event) = process.net.events.pop_front() {
            return self.turn(|gateway, turn| gateway.sip(event, turn));
        }
        if let Some(input) = process.inputs.pop_front() {
            return self.control_takes(input);
        }
        if process.net.sip.deadline().is_some_and(|at| at <= now) {
            process.net.with(|sip, now, out| sip.timeout(now, out));
            self.keep();
            return self.transmit();
        }
        if process.gateway.deadline().is_some_and(|at| at <= now) {
            return self.turn(|gateway, turn| gateway.timeout(turn));
        }
        if process.link_at.take_if(|at| *at <= now).is_some() {
            return self.control_looks_at_link();
        }
        // Nothing that is under way is left to be done.
        if process.net.sip.waited(now) >= process.gateway.waited(now) {
            process.net.with(|sip, now, out| sip.begin(now, out));
            self.keep();
            return self.transmit();
        }
        self.turn(|gateway, turn| {
            gateway.begin(turn);
        });
    }

    fn control_takes(&mut self, input: Input) {
        let Some(process) = &mut self.control else {
            return;
        };
        match input {
            Input::Opened(socket) => {
                let remote = "192.0.2.1:40000".parse().expect("an address");
                self.turn(|gateway, turn| {
                    gateway.socket_opened(socket, "demo", Login::Guest, remote, turn);
                });
            }
            Input::Text(socket, text) => {
                self.turn(|gateway, turn| gateway.socket_text(socket, &text, turn));
            }
            Input::Closed(socket, code) => {
                self.turn(|gateway, turn| gateway.socket_closed(socket, code, turn));
            }
            Input::Datagram(peer, octets) => {
                let flow = Flow {
                    transport: SipTransport::Udp,
                    peer,
                    connection: None,
                };
                self.control_reads(flow, &octets);
            }
            Input::Piece(stream, octets) => {
                for (flow, octets) in process.streams.read(stream, &octets) {
                    self.control_reads(flow, &octets);
                }
            }
            Input::FlowLost(flow) => {
                process
                    .net
                    .with(|sip, now, out| sip.flow_lost(flow, now, out));
                self.keep();
                self.transmit();
            }
            Input::Attached => self.turn(|gateway, turn| gateway.relay_attached(1, turn)),
            Input::RelayLost => {
                process.attached = false;
                process.commands.clear();
                self.turn(|gateway, turn| gateway.relay_lost(turn));
                self.after(ATTACH_MS, Act::Attaches);
            }
            Input::Relay(record) => {
                let event = Event::decode(&record).expect("the relay writes what is right");
                self.turn(|gateway, turn| gateway.relay_event(0, &event, turn));
            }
        }
    }

    fn control_reads(&mut self, flow: Flow, octets: &[u8]) {
        if let Some(process) = &mut self.control {
            process.net.receive(flow, octets);
            self.keep();
            self.transmit();
        }
    }

    /// One call of the gateway, and everything it wants done.
    pub fn turn(&mut self, call: impl FnOnce(&mut Gateway, &mut Turn<'_>)) {
        let now = self.now;
        let dies = self.dies_in_this_turn();
        let slow = self.plan.slow_scripts && self.chance.percent(20);
        let fails = self.plan.failing_scripts && self.chance.percent(2);
        let Some(process) = &mut self.control else {
            return;
        };
        if slow {
            process.busy_until = now + self.chance.below(50);
        }
        server::scripts_take(if fails { 1_000 } else { 0 });
        let failed = process.gateway.counters().value(Counter::ScriptErrors);
        process.net.now = now;
        process.gateway.set_wall_clock(WALL_MS + now);
        let mut out = Vec::new();
        call(
            &mut process.gateway,
            &mut Turn {
                now,
                net: &mut process.net,
                out: &mut out,
            },
        );
        server::scripts_take(0);
        if process.gateway.counters().value(Counter::ScriptErrors) > failed {
            self.seen.script_failures += 1;
            // It may have been any of them.
            self.excuse_calls("a script failed");
            for talk in 0..self.talks.len() {
                self.excuse(talk, "a script failed");
            }
        }
        if dies == Some(Place::Unkept) {
            return self.control_dies();
        }
        self.keep();
        if dies == Some(Place::Unsaid) {
            return self.control_dies();
        }
        self.transmit();
        for action in out {
            self.perform(action);
        }
        if dies == Some(Place::Done) {
            self.control_dies();
        }
    }

    fn keep(&mut self) {
        if let Some(process) = &mut self.control {
            let changes = process.changes();
            if !changes.is_empty() {
                let record = serde_json::to_vec(&changes).expect("changes are JSON");
                self.kept.push(record);
            }
        }
    }

    fn perform(&mut self, action: Action) {
        let Some(process) = &mut self.control else {
            return;
        };
        match action {
            Action::Text { socket, text } => {
                if let Some(&page) = process.sockets.get(&socket) {
                    self.check_numbered(&text);
                    self.down(page, socket, Down::Text(text));
                }
            }
            Action::Close { socket, .. } => {
                if let Some(page) = process.sockets.remove(&socket) {
                    self.down(page, socket, Down::Closed);
                }
            }
            Action::Relay { record, .. } => {
                if process.attached {
                    process.commands.push_back(record);
                    self.push_commands();
                }
            }
            Action::Wake { .. } => panic!("nobody hibernates here"),
            Action::Resolve(resolve) => panic!("only numbers are in use here: {resolve:?}"),
        }
    }

    /// What finds no room waits until the shard rings.
    fn push_commands(&mut self) {
        let (Some(process), Some(relay)) = (&mut self.control, &mut self.relay) else {
            return;
        };
        let Some(link) = relay.link.as_mut().filter(|_| process.attached) else {
            return;
        };
        while let Some(record) = process.commands.front() {
            if link.controls[0].commands.push(record).is_err() {
                break;
            }
            process.commands.pop_front();
        }
        relay.listen();
    }

    /// Commands that wait go out, events come in.
    fn control_looks_at_link(&mut self) {
        self.push_commands();
        let events = self.take_events(8);
        let more = events.len() == 8;
        for record in events {
            self.input(Input::Relay(Box::new(record)));
        }
        let (Some(process), Some(relay)) = (&mut self.control, &mut self.relay) else {
            return;
        };
        let Some(link) = relay.link.as_mut().filter(|_| process.attached) else {
            return;
        };
        if more || !link.controls[0].events.sleep() {
            process.link_at = Some(self.now);
        }
        relay.listen();
    }

    fn take_events(&mut self, most: usize) -> Vec<Record> {
        let (Some(process), Some(relay)) = (&mut self.control, &mut self.relay) else {
            return Vec::new();
        };
        let Some(link) = relay.link.as_mut().filter(|_| process.attached) else {
            return Vec::new();
        };
        let events = &mut link.controls[0].events;
        events.awake();
        let mut taken = Vec::new();
        while taken.len() < most {
            let mut record = Record::new();
            if !events
                .pop(&mut record)
                .expect("the shard writes what is right")
            {
                break;
            }
            taken.push(record);
        }
        taken
    }

    /// One turn of the shard, then of all who are connected to it.
    pub fn relay_turn(&mut self) {
        let (now, late) = (self.now, self.chance.below(self.plan.link_ms));
        let Some(relay) = &mut self.relay else { return };
        let rung = relay.turn(now);
        if rung && let Some(process) = self.control.as_mut().filter(|process| process.attached) {
            process.link_at.get_or_insert(now + late);
        }
        self.media_turn();
    }

    /// A relay without any session.
    pub fn relay_starts(&mut self) {
        self.relays += 1;
        self.relay = Some(Relay::new(&mut self.chance, self.relays, self.now));
    }

    /// The relay is killed. Its connections break; what it had told control is still heard.
    pub fn relay_dies(&mut self) {
        let Some(number) = self.relay.as_ref().map(|relay| relay.number) else {
            return;
        };
        self.seen.relay_deaths += 1;
        for record in self.take_events(usize::MAX) {
            self.input(Input::Relay(Box::new(record)));
        }
        let attached = self
            .control
            .as_ref()
            .is_some_and(|process| process.attached);
        self.relay = None;
        if attached {
            let wait = self.chance.below(20);
            self.after(wait, Act::RelayLost(number));
        }
        for talk in 0..self.talks.len() {
            self.talks[talk].disturbed = true;
            self.excuse(talk, "the relay died");
        }
        for page in &mut self.pages {
            let open = page.chats.values_mut();
            for chat in open.filter(|chat| chat.stage == chat::Stage::Open) {
                chat.unaware_of = Some(number);
            }
        }
        for handset in &mut self.handsets {
            let open = handset.calls.iter_mut();
            for call in open.filter(|call| call.stage == handset::Stage::Open) {
                call.unaware_of = Some(number);
            }
        }
        self.media_turn();
        let learned = Act::RelayMissed(number, self.now);
        self.after(LEARN_MS, learned);
        let wait = 100 + self.chance.below(4_000);
        self.after(wait, Act::RelayStarts);
    }

    /// Control sees that the link is gone.
    pub fn relay_is_missed(&mut self, number: u64) {
        let is_gone = self
            .relay
            .as_ref()
            .is_none_or(|relay| relay.number != number);
        if self.control.as_ref().is_some_and(|p| p.attached) && is_gone {
            self.input(Input::RelayLost);
        }
    }

    /// Control is killed, with everything that it had not put away.
    pub fn control_dies(&mut self) {
        let Some(process) = self.control.take() else {
            return;
        };
        self.seen.control_deaths += 1;
        self.turns_left = None;
        self.streams_end();
        self.talks
            .iter_mut()
            .for_each(|talk| talk.outlived |= talk.firm);
        for (socket, page) in process.sockets {
            if self.chance.percent(50) {
                self.down(page, socket, Down::Closed);
            } else if self.pages[page].socket == Some(socket) {
                // What was under way is lost.
                self.page_is_cut(page);
            }
        }
        let wait = 10 + self.chance.below(3_000);
        self.after(wait, Act::ControlStarts);
    }

    fn dies_in_this_turn(&mut self) -> Option<Place> {
        let left = self.turns_left.as_mut()?;
        *left = left.saturating_sub(1);
        let is_last = *left == 0;
        let places = [Place::Unkept, Place::Unsaid, Place::Done];
        is_last.then(|| self.chance.one_of(&places))
    }
}
