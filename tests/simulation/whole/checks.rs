//! What must be true, whatever has happened.

use control::metrics::Gauge;
use control::sip::Held;
use link::Counter;
use serde_json::Value;

use super::media::{Line, Media};
use super::server::RING_MS;
use super::world::{Act, Due, World};
use super::{chat, handset};

impl World {
    /// A talk may end from now on, for this reason.
    pub fn excuse(&mut self, talk: usize, why: &'static str) {
        self.talks[talk].excuse.get_or_insert(why);
    }

    /// One of the two was told that it is over.
    pub fn check_end(&mut self, talk: usize, is_open: bool, told: &str) {
        let it = &self.talks[talk];
        let may_end = it.excuse.is_some() || !it.firm || !is_open;
        assert!(may_end, "talk {talk} ends for no reason: {told}");
        if is_open {
            self.excuse(talk, "it is over");
        }
    }

    /// What is sent again under its number is what was sent before.
    pub fn check_numbered(&mut self, text: &str) {
        let Ok(frame) = serde_json::from_str::<Value>(text) else {
            return;
        };
        let control = &frame["control"];
        if let (Some(session), Some(sequence)) =
            (control["session_id"].as_str(), control["sequence"].as_u64())
        {
            let key = (session.to_owned(), sequence);
            let known = self.numbered.entry(key).or_insert_with(|| text.to_owned());
            assert_eq!(known, text, "a frame that is sent again is unchanged");
        }
    }

    /// Everybody who had media on a relay that died knows by now.
    pub fn check_relay_missed(&mut self, relay: u64, since: u64) {
        let lived = |process: &super::server::Process| process.started <= since;
        if !self.control.as_ref().is_some_and(lived) {
            // Whoever comes after has its own time.
            return;
        }
        for page in self
            .pages
            .iter()
            .filter(|page| page.joined && page.joined_at <= since)
        {
            let mut chats = page.chats.values();
            let unaware = chats.find(|chat| chat.unaware_of == Some(relay));
            assert!(
                unaware.is_none(),
                "{} knows nothing of the relay's death",
                page.user
            );
        }
        if self.plan.loss == 0 {
            let calls = self.handsets.iter().flat_map(|handset| &handset.calls);
            for call in calls {
                let unaware = call.unaware_of == Some(relay);
                assert!(!unaware, "the handset of talk {} knows nothing", call.talk);
            }
        }
    }

    /// All who are connected to the relay take and say something.
    pub fn media_turn(&mut self) {
        let now = self.now;
        let mut speaks = Vec::new();
        let mut lost_by_pages = Vec::new();
        let mut lost_by_handsets = Vec::new();
        for index in 0..self.pages.len() {
            for (name, chat) in &mut self.pages[index].chats {
                let Some(media) = &mut chat.media else {
                    continue;
                };
                let line = match &mut self.relay {
                    Some(relay) => {
                        let ring = relay.shard.ring();
                        media.step(now, relay.number, ring, &mut self.chance)
                    }
                    None => media.lose_all(),
                };
                match line {
                    Line::Lost => lost_by_pages.push((index, name.clone())),
                    Line::Speaks(at) => speaks.push(at),
                    Line::None | Line::Up => {}
                }
            }
        }
        for index in 0..self.handsets.len() {
            for (place, call) in self.handsets[index].calls.iter_mut().enumerate() {
                let line = match &mut self.relay {
                    Some(relay) => {
                        let ring = relay.shard.ring();
                        call.media.step(now, relay.number, ring, &mut self.chance)
                    }
                    None => call.media.lose_all(),
                };
                match line {
                    Line::Lost => lost_by_handsets.push((index, place)),
                    Line::Speaks(at) => speaks.push(at),
                    Line::None | Line::Up => {}
                }
            }
        }
        for at in speaks {
            self.at(at, Due::Act(Act::Media));
        }
        for (page, name) in lost_by_pages {
            self.page_loses(page, &name);
        }
        for (handset, call) in lost_by_handsets {
            self.handset_loses(handset, call);
        }
    }

    /// The two ends of a talk's media: the page's, and the handset's.
    pub fn ends_of(&self, talk: usize) -> Option<[&Media; 2]> {
        let chats = self.pages.iter().flat_map(|page| page.chats.values());
        let mut open = chats.filter(|chat| chat.talk == talk && chat.was_open());
        let chat = open.next()?;
        let mut calls = self.handsets.iter().flat_map(|handset| &handset.calls);
        let call = calls.rfind(|call| call.talk == talk)?;
        Some([chat.media.as_ref()?, &call.media])
    }

    /// What was heard was said, in its order and once; what was confirmed was heard.
    fn check_messages(&mut self, talk: usize, all: bool) {
        let Some(ends) = self.ends_of(talk) else {
            return;
        };
        for side in 0..2 {
            let (from, to) = (ends[side], ends[1 - side]);
            let all_said = || from.said.iter().chain(&from.to_say);
            let mut said = all_said();
            for (id, body) in &to.heard {
                if self.talks[talk].disturbed {
                    // What was said again has another place.
                    said = all_said();
                }
                let found = said.find(|said| said.id == *id);
                let found = found.unwrap_or_else(|| panic!("{id} is out of order, or of nobody"));
                assert!(found.body == *body, "{id} is changed");
            }
            assert!(from.to_say.is_empty() || !all, "something was never said");
            for said in &from.said {
                let is_heard = to.heard.iter().any(|(id, _)| *id == said.id);
                assert!(
                    is_heard || !said.confirmed,
                    "{} is confirmed and lost",
                    said.id
                );
                assert!(is_heard || !all, "{} is lost", said.id);
            }
        }
    }

    /// Adds up what the talks have come to.
    pub fn count(&mut self) {
        for talk in 0..self.talks.len() {
            let heard = self
                .ends_of(talk)
                .map(|ends| ends[0].heard.len() + ends[1].heard.len());
            self.seen.messages += heard.unwrap_or(0) as u64;
            self.seen.open += u64::from(self.talks[talk].firm);
            self.seen.whole += u64::from(self.talks[talk].checked);
        }
    }

    /// A talk that nothing has disturbed is about to end: everything said is heard.
    pub fn check_talk(&mut self, talk: usize) {
        if !self.talks[talk].disturbed && self.talks[talk].excuse.is_none() {
            self.check_messages(talk, true);
            self.talks[talk].checked = true;
            self.seen.outlived += u64::from(self.talks[talk].outlived);
        }
    }

    /// Every start has had its one answer, in time.
    pub fn check_answers(&mut self) {
        for talk in 0..self.talks.len() {
            self.check_messages(talk, self.talks[talk].checked);
        }
        assert_eq!(self.sessions_lost, 0, "every session is resumed");
        let bound = RING_MS + 60_000;
        for page in &self.pages {
            for (name, chat) in page.chats.iter().filter(|(_, chat)| chat.is_caller) {
                let waits = self.now.saturating_sub(chat.asked_at) > bound;
                let is_answered = chat.finals == 1 || chat.forgotten;
                assert!(
                    is_answered || !waits,
                    "{name} of {} has no answer",
                    page.user
                );
            }
        }
        for call in self.handsets.iter().flat_map(|handset| &handset.calls) {
            let waits = self.now.saturating_sub(call.invited_at) > bound;
            let is_answered = !call.is_caller || call.finals == 1;
            assert!(
                is_answered || !waits,
                "the call of talk {} has no answer",
                call.talk
            );
        }
    }

    /// Nobody is left, and nothing of them.
    pub fn check_nothing_left(&mut self) {
        let process = self.control.as_ref().expect("control lives at the end");
        let gauges = process.gateway.gauges();
        for &gauge in Gauge::ALL {
            if gauge != Gauge::RelayShards {
                assert_eq!(gauges.value(gauge), 0, "{gauge:?}");
            }
        }
        assert_eq!(process.gateway.deadline(), None, "a timer of the gateway's");
        assert_eq!(process.net.sip.held(), Held::default());
        assert!(process.commands.is_empty());
        let relay = self.relay.as_mut().expect("a relay lives at the end");
        assert_eq!(relay.shard.texts_used(), 0, "paths");
        assert_eq!(relay.shard.readings(), 0, "readings");
        let buffers = relay.buffers();
        assert_eq!(relay.shard.ring().operations(), 0, "operations under way");
        assert_eq!(relay.shard.ring().buffers(), buffers);
        let metrics = relay.shard.metrics();
        assert_eq!(Counter::left_over(|gauge| metrics.get(gauge)), []);
        let mut image = super::server::image(&self.kept);
        // Who has registered once is known, and not there: 480 instead of 404.
        image.bindings.retain(|_, bindings| bindings != "[]");
        // What users can do is known beyond their sessions.
        image.users.clear();
        assert!(image.is_empty(), "what is put away is nothing: {image:?}");
    }

    /// Who called takes it back, if nobody has answered.
    pub fn caller_cancels(&mut self, talk: usize) {
        match self.caller_of(talk) {
            Some(Caller::Page(index, name))
                if self.pages[index].chats[&name].stage == chat::Stage::Asked =>
            {
                self.page_hangs_up(index, &name, "cancelled");
            }
            Some(Caller::Handset(index, call)) => self.handset_cancels(index, call),
            Some(Caller::Page(..)) | None => {}
        }
    }

    fn caller_of(&self, talk: usize) -> Option<Caller> {
        for (index, page) in self.pages.iter().enumerate() {
            let mut chats = page.chats.iter();
            if let Some((name, _)) = chats.find(|(_, c)| c.talk == talk && c.is_caller) {
                return Some(Caller::Page(index, name.clone()));
            }
        }
        for (index, handset) in self.handsets.iter().enumerate() {
            let mut calls = handset.calls.iter();
            if let Some(place) = calls.position(|c| c.talk == talk && c.is_caller) {
                return Some(Caller::Handset(index, place));
            }
        }
        None
    }

    /// It is time for one of the two to hang up.
    pub fn one_hangs_up(&mut self, talk: usize) {
        let page = self.pages.iter().enumerate().find_map(|(index, page)| {
            let mut chats = page.chats.iter();
            let found = chats.find(|(_, c)| c.talk == talk && c.stage == chat::Stage::Open);
            found.map(|(name, _)| (index, name.clone()))
        });
        let call = self
            .handsets
            .iter()
            .enumerate()
            .find_map(|(index, handset)| {
                let mut calls = handset.calls.iter();
                let found = calls.position(|c| c.talk == talk && c.stage == handset::Stage::Open);
                found.map(|place| (index, place))
            });
        let it = &mut self.talks[talk];
        it.patience += 1;
        let patience = it.patience;
        if it.excuse.is_none() && it.polite && patience < 80 {
            let ends = self.ends_of(talk);
            let is_quiet = ends.is_some_and(|ends| ends.iter().all(|end| end.is_quiet()));
            if !is_quiet || page.is_none() || call.is_none() {
                return self.after(500, Act::HangsUp(talk));
            }
        }
        if self.talks[talk].polite && page.is_some() && call.is_some() {
            self.check_talk(talk);
        }
        match (page, call, self.talks[talk].page_hangs_up) {
            (Some((index, name)), _, true) | (Some((index, name)), None, false) => {
                self.page_hangs_up(index, &name, "the page hung up");
            }
            (_, Some((index, place)), _) => {
                self.handset_hangs_up(index, place, "the handset hung up");
            }
            (None, None, _) => {}
        }
    }
}

enum Caller {
    Page(usize, String),
    Handset(usize, usize),
}

impl chat::Chat {
    /// Whether the page has taken it for open.
    pub fn was_open(&self) -> bool {
        self.media.as_ref().is_some_and(Media::was_up)
    }
}
