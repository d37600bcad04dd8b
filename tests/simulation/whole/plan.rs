//! What may go wrong in a world, how it begins, and how it ends.

use super::handset::Handset;
use super::page::Page;
use super::talk::{Answer, Talk};
use super::world::{Act, World};
use super::{chat, handset};

/// Until then something may be begun, and broken.
const LIVE_MS: u64 = 60_000;

/// What may happen in a world.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Of a hundred datagrams, how many are lost, and how many come twice.
    pub loss: u64,
    pub doubles: u64,
    /// How late a datagram, a text, an event of the link may be.
    pub datagram_ms: u64,
    pub socket_ms: u64,
    pub link_ms: u64,
    /// Slots of the link's queues.
    pub slots: u32,
    pub breaks_sockets: bool,
    pub breaks_media: bool,
    /// Streams of SIP are cut.
    pub breaks_streams: bool,
    pub kills_control: bool,
    pub kills_relay: bool,
    pub slow_scripts: bool,
    pub failing_scripts: bool,
}

impl Plan {
    /// Nothing goes wrong.
    pub const KIND: Plan = Plan {
        loss: 0,
        doubles: 0,
        datagram_ms: 20,
        socket_ms: 20,
        link_ms: 1,
        slots: 64,
        breaks_sockets: false,
        breaks_media: false,
        breaks_streams: false,
        kills_control: false,
        kills_relay: false,
        slow_scripts: false,
        failing_scripts: false,
    };
    pub const LOSSY: Plan = Plan {
        loss: 15,
        doubles: 10,
        datagram_ms: 700,
        socket_ms: 300,
        link_ms: 30,
        slots: 2,
        breaks_sockets: true,
        breaks_streams: true,
        slow_scripts: true,
        ..Plan::KIND
    };
    pub const CONTROL_DIES: Plan = Plan {
        loss: 5,
        kills_control: true,
        breaks_sockets: true,
        ..Plan::KIND
    };
    pub const RELAY_DIES: Plan = Plan {
        kills_relay: true,
        link_ms: 30,
        slow_scripts: true,
        ..Plan::KIND
    };
    pub const MEDIA_BREAK: Plan = Plan {
        breaks_sockets: true,
        breaks_media: true,
        ..Plan::KIND
    };
    pub const EVERYTHING: Plan = Plan {
        loss: 10,
        doubles: 10,
        datagram_ms: 400,
        socket_ms: 200,
        link_ms: 30,
        slots: 4,
        breaks_sockets: true,
        breaks_media: true,
        breaks_streams: true,
        kills_control: true,
        kills_relay: true,
        slow_scripts: true,
        failing_scripts: true,
    };

    fn is_kind(&self) -> bool {
        let kills = self.kills_control || self.kills_relay;
        !(kills || self.breaks_sockets || self.breaks_media || self.breaks_streams)
    }
}

impl World {
    /// A world with a few pages and handsets, and what they have planned.
    pub fn new(seed: u64, plan: Plan) -> World {
        let mut world = World::empty(seed, plan);
        world.relay_starts();
        world.control_starts();
        let handsets = 2 + world.chance.below(2) as usize;
        let pages = 2 + world.chance.below(3) as usize;
        for index in 0..handsets {
            let mut handset = Handset::new(index, world.chance.percent(40));
            handset.transactions.strict = !plan.kills_control;
            world.handsets.push(handset);
            let wait = world.chance.below(500);
            world.after(wait, Act::Registers(index));
        }
        for index in 0..pages {
            // Now and then a user has two.
            let user = if index > 1 && world.chance.percent(40) {
                0
            } else {
                index
            };
            world.pages.push(Page::new(format!("user{user}@localhost")));
            let wait = world.chance.below(500);
            world.after(wait, Act::PageConnects(index));
            world.after(wait + 10_000, Act::PagePings(index));
        }
        for number in 0..4 + world.chance.below(7) as usize {
            world.plan_talk(number);
        }
        for _ in 0..world.chance.below(4) {
            world.plan_call(LIVE_MS - 20_000);
        }
        for number in 0..world.chance.below(10) as usize {
            world.plan_word(number, LIVE_MS - 10_000);
        }
        if !world.plan.is_kind() {
            let most = if plan.kills_relay { 5 } else { 10 };
            for _ in 0..2 + world.chance.below(most) {
                let wait = 3_000 + world.chance.below(LIVE_MS - 3_000);
                world.after(wait, Act::Fault);
            }
        }
        world
    }

    fn plan_talk(&mut self, number: usize) {
        let page = self.chance.below(self.pages.len() as u64) as usize;
        let handset = self.chance.below(self.handsets.len() as u64) as usize;
        let by_page = self.chance.percent(50);
        let is_file = self.chance.percent(20);
        let messages = [0, 1].map(|_| self.chance.below(6) as usize);
        let answers = [
            Answer::Accept,
            Answer::Accept,
            Answer::Accept,
            Answer::Accept,
            Answer::Accept,
            Answer::Decline,
            Answer::Ignore,
        ];
        let user = &self.pages[page].user;
        let page_user = user.trim_end_matches("@localhost").to_owned();
        let cancels = self.chance.percent(15);
        let cancel_ms = cancels.then(|| self.chance.below(6_000));
        let talk = Talk {
            package: if is_file { "file_transfer" } else { "chat" },
            page_user,
            handset,
            answer: self.chance.one_of(&answers),
            answer_ms: 1 + self.chance.below(4_000),
            cancel_ms,
            talk_ms: 2_000 + self.chance.below(40_000),
            page_hangs_up: self.chance.percent(50),
            polite: self.chance.percent(70),
            messages,
            excuse: None,
            disturbed: false,
            firm: false,
            outlived: false,
            checked: false,
            patience: 0,
        };
        let at = 2_000 + self.chance.below(LIVE_MS - 20_000);
        let ends = at + talk.answer_ms + talk.talk_ms;
        if let Some(cancel_ms) = talk.cancel_ms {
            self.after(at + cancel_ms, Act::Cancels(number));
        }
        let act = match by_page {
            true => Act::PageStarts(page, number),
            false => Act::HandsetStarts(handset, number),
        };
        self.after(at, act);
        self.after(ends, Act::HangsUp(number));
        self.talks.push(talk);
    }

    /// Something breaks, of what may.
    pub fn fault(&mut self) {
        let plan = self.plan;
        let may = [
            plan.breaks_sockets,
            plan.breaks_sockets,
            plan.breaks_media,
            plan.kills_control,
            plan.kills_control,
            plan.kills_relay,
            plan.breaks_streams,
        ];
        let all: Vec<usize> = (0..may.len()).filter(|place| may[*place]).collect();
        let Some(&what) = all.get(self.chance.below(all.len().max(1) as u64) as usize) else {
            return;
        };
        match what {
            0 | 1 => {
                let page = self.chance.below(self.pages.len() as u64) as usize;
                self.page_socket_breaks(page);
            }
            2 => self.media_breaks(),
            3 | 4 => self.turns_left = Some(1 + self.chance.below(12)),
            5 => self.relay_dies(),
            _ => self.stream_breaks(),
        }
    }

    /// One connection to the relay breaks.
    fn media_breaks(&mut self) {
        let Some(relay) = &mut self.relay else { return };
        let number = relay.number;
        let mut links = Vec::new();
        for chat in self.pages.iter().flat_map(|page| page.chats.values()) {
            let link = chat.media.as_ref().and_then(|media| media.link_of(number));
            // Twice as likely: a page may come back.
            let page = link.map(|link| (chat.talk, link, false));
            links.extend(page.into_iter().chain(page));
        }
        for call in self.handsets.iter().flat_map(|handset| &handset.calls) {
            let link = call.media.link_of(number);
            links.extend(link.map(|link| (call.talk, link, true)));
        }
        if links.is_empty() {
            return;
        }
        let (talk, link, of_handset) = self.chance.one_of(&links);
        relay.shard.ring().peer_resets(link);
        self.talks[talk].disturbed = true;
        // A page comes back, and the talk goes on.
        if of_handset || !self.talks[talk].firm {
            self.excuse(talk, "its media broke");
        }
    }

    /// Until everything that was planned has happened.
    pub fn live(&mut self) {
        self.run(self.now + LIVE_MS);
        // No more faults: what is broken mends itself.
        self.plan = Plan {
            slots: self.plan.slots,
            ..Plan::KIND
        };
        self.turns_left = None;
        self.run(self.now + 60_000);
        assert!(self.control.is_some() && self.relay.is_some());
    }

    /// Everybody hangs up and goes; then every deadline passes.
    pub fn end(&mut self) {
        self.check_answers();
        for index in 0..self.pages.len() {
            let names: Vec<String> = self.pages[index].chats.keys().cloned().collect();
            for name in names {
                if self.pages[index].chats[&name].stage != chat::Stage::Asked {
                    self.page_hangs_up(index, &name, "the end");
                }
            }
        }
        self.calls_end();
        for index in 0..self.handsets.len() {
            for call in 0..self.handsets[index].calls.len() {
                if self.handsets[index].calls[call].stage != handset::Stage::Over {
                    self.handset_hangs_up(index, call, "the end");
                }
            }
        }
        self.run(self.now + 100_000);
        self.check_answers();
        self.check_words();
        self.check_calls();
        for index in 0..self.handsets.len() {
            self.handset_registers(index, 0);
        }
        for index in 0..self.pages.len() {
            self.page_leaves(index);
        }
        if let Some(relay) = &mut self.relay {
            relay.shard.ring().kind = true;
        }
        self.run(self.now + 400_000);
        assert!(self.is_silent(), "something is still to come");
    }
}
