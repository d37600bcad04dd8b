//! Naive pages' subsessions: chats and files, and their media.

use serde_json::{Value, json};

use super::media::Media;
use super::talk::{Answer, FILE};
use super::world::{Act, World};

/// How long a page waits for a new way in before it asks for one.
const REBIND_MS: u64 = 3_000;

/// Where a subsession stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Our `start` is out.
    Asked,
    /// It rings here.
    Ringing,
    /// We have accepted; `complete` is not here.
    Answered,
    Open,
    Over,
}

/// A subsession, from its `start` to its end.
pub struct Chat {
    pub talk: usize,
    pub stage: Stage,
    pub is_caller: bool,
    /// Of the `start`.
    correlation: String,
    pub asked_at: u64,
    /// Final answers to our `start`.
    pub finals: u32,
    /// The session was lost, or given up, meanwhile.
    pub forgotten: bool,
    /// The number of our `complete`.
    completed: Option<u32>,
    pub media: Option<Media>,
    /// The relay whose death it has not heard of.
    pub unaware_of: Option<u64>,
}

fn description(talk: usize, page: usize, is_offer: bool, file: bool) -> String {
    let mut sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
         m=message 2855 TCP/MSRP *\r\na=path:{}\r\na=setup:active\r\na=accept-types:text/plain\r\n",
        path(talk, page)
    );
    if file {
        sdp.push_str(if is_offer {
            "a=sendonly\r\n"
        } else {
            "a=recvonly\r\n"
        });
        sdp.push_str(FILE);
    }
    sdp
}

fn path(talk: usize, page: usize) -> String {
    format!("msrp://x{talk}.invalid:2855/p{page}t{talk};ws")
}

impl World {
    /// Nothing comes of a chat any more.
    pub(super) fn chat_is_over(&mut self, index: usize, name: &str) {
        let ring = self.relay.as_mut().map(|r| (r.number, r.shard.ring()));
        if let Some(chat) = self.pages[index].chats.get_mut(name) {
            (chat.stage, chat.unaware_of) = (Stage::Over, None);
            if let Some(media) = &mut chat.media {
                media.leave(ring);
            }
        }
    }

    /// Calls the handset of a talk.
    pub fn page_starts(&mut self, index: usize, talk: usize) {
        if self.pages[index].left {
            return;
        }
        if !self.pages[index].has_session() {
            return self.after(500, Act::PageStarts(index, talk));
        }
        let plan = &self.talks[talk];
        let (package, messages, file) = (plan.package, plan.messages[0], plan.is_file());
        let target = format!("{}@localhost", self.handsets[plan.handset].user);
        let name = format!("t{talk}");
        let header = json!({"action": "start", "initiator": self.pages[index].user,
                            "target": target, "subject": format!("talk{talk}")});
        let control = json!({"type": "request", "package_type": package,
                             "subsession_id": name, "message_state": "initial"});
        let payload = json!({"sdp": description(talk, index, true, file)});
        let number = self.page_says(index, control, header, Some(payload));
        let said_by = format!("p{index}t{talk}");
        let media = Media::new(path(talk, index), &said_by, messages, &mut self.chance);
        self.pages[index].chats.insert(
            name,
            Chat {
                talk,
                stage: Stage::Asked,
                is_caller: true,
                correlation: format!("c{number}"),
                asked_at: self.now,
                finals: 0,
                forgotten: false,
                completed: None,
                media: Some(media),
                unaware_of: None,
            },
        );
    }

    pub(super) fn page_is_called(&mut self, index: usize, name: String, frame: &Value) {
        let subject = frame["header"]["subject"].as_str().unwrap_or_default();
        let talk: usize = subject
            .strip_prefix("talk")
            .and_then(|number| number.parse().ok())
            .expect("our subject");
        let messages = self.talks[talk].messages[0];
        let said_by = format!("p{index}t{talk}");
        let mut media = Media::new(path(talk, index), &said_by, messages, &mut self.chance);
        media.described(frame["payload"]["sdp"].as_str().expect("an offer"));
        let chat = Chat {
            talk,
            stage: Stage::Ringing,
            is_caller: false,
            correlation: frame["control"]["correlation_id"]
                .as_str()
                .expect("one")
                .into(),
            asked_at: self.now,
            finals: 0,
            forgotten: false,
            completed: None,
            media: Some(media),
            unaware_of: None,
        };
        let former = self.pages[index].chats.insert(name.clone(), chat);
        assert!(former.is_none(), "a start comes once: {frame}");
        if self.chance.percent(70) {
            self.page_answers_start(index, &name, "subsequent", 180);
        }
        let answer_ms = self.talks[talk].answer_ms;
        self.after(answer_ms, Act::PageAnswers(index, name));
    }

    fn page_answers_start(&mut self, index: usize, name: &str, state: &str, code: u32) {
        let Some(chat) = self.pages[index].chats.get(name) else {
            return;
        };
        let talk = chat.talk;
        let package = self.talks[talk].package;
        let mut control = json!({"package_type": package, "subsession_id": name,
                                 "correlation_id": chat.correlation});
        let mut header = json!({"action": "start", "initiator": "x@localhost",
                                "target": self.pages[index].user});
        let mut payload = None;
        if code >= 300 {
            control["type"] = "error".into();
            header["error_code"] = code.into();
        } else {
            control["type"] = "response".into();
            control["message_state"] = state.into();
            header["response_code"] = code.into();
            let file = self.talks[talk].is_file();
            payload =
                (state == "final").then(|| json!({"sdp": description(talk, index, false, file)}));
        }
        self.page_says(index, control, header, payload);
    }

    /// Its user has made up their mind.
    pub fn page_decides(&mut self, index: usize, name: &str) {
        let Some(chat) = self.pages[index].chats.get(name) else {
            return;
        };
        let talk = chat.talk;
        if chat.stage != Stage::Ringing {
            return;
        }
        match self.talks[talk].answer {
            Answer::Accept => {
                self.page_answers_start(index, name, "final", 200);
                if let Some(chat) = self.pages[index].chats.get_mut(name) {
                    chat.stage = Stage::Answered;
                }
            }
            Answer::Decline => {
                self.excuse(talk, "declined");
                self.page_answers_start(index, name, "", 603);
                self.chat_is_over(index, name);
            }
            Answer::Ignore => {}
        }
    }

    pub(super) fn page_is_answered(&mut self, index: usize, name: &str, frame: &Value) {
        let Some(chat) = self.pages[index].chats.get_mut(name) else {
            panic!("an answer to nothing: {frame}");
        };
        let control = &frame["control"];
        if control["correlation_id"] != chat.correlation.as_str() {
            panic!("an answer to something else: {frame}");
        }
        let is_error = control["type"] == "error";
        if !is_error && control["message_state"] == "subsequent" {
            assert_eq!(chat.finals, 0, "it rings after the final answer: {frame}");
            return;
        }
        chat.finals += 1;
        assert_eq!(chat.finals, 1, "one final answer: {frame}");
        let (talk, stage) = (chat.talk, chat.stage);
        if is_error {
            self.excuse(talk, "refused");
            return self.chat_is_over(index, name);
        }
        if stage == Stage::Over {
            // Cancelled meanwhile.
            return;
        }
        let sdp = frame["payload"]["sdp"].as_str().expect("an answer");
        chat.stage = Stage::Open;
        if let Some(media) = &mut chat.media {
            media.described(sdp);
        }
        let package = self.talks[talk].package;
        let correlation = chat.correlation.clone();
        let control = json!({"type": "message", "package_type": package,
                             "subsession_id": name, "correlation_id": correlation});
        let header = json!({"action": "complete", "initiator": self.pages[index].user,
                            "target": "x@localhost"});
        let number = self.page_says(index, control, header, None);
        if let Some(chat) = self.pages[index].chats.get_mut(name) {
            chat.completed = Some(number);
        }
        self.after(20, Act::PageMedia(index, name.to_owned()));
    }

    pub(super) fn page_is_confirmed(&mut self, index: usize, name: &str) {
        if let Some(chat) = self.pages[index].chats.get_mut(name)
            && chat.stage == Stage::Answered
        {
            chat.stage = Stage::Open;
            let talk = chat.talk;
            self.talks[talk].firm = true;
            self.after(20, Act::PageMedia(index, name.to_owned()));
        }
    }

    /// Chats whose `complete` control has confirmed.
    pub(super) fn look_who_is_firm(&mut self, index: usize) {
        let page = &self.pages[index];
        for chat in page.chats.values() {
            if chat.stage == Stage::Open
                && chat
                    .completed
                    .is_some_and(|number| page.is_confirmed(number))
            {
                self.talks[chat.talk].firm = true;
            }
        }
    }

    /// Hangs up, or cancels.
    pub fn page_hangs_up(&mut self, index: usize, name: &str, why: &'static str) {
        let Some(chat) = self.pages[index].chats.get(name) else {
            return;
        };
        let (talk, stage) = (chat.talk, chat.stage);
        let correlation = chat.correlation.clone();
        if stage == Stage::Over {
            return;
        }
        if stage == Stage::Ringing {
            self.excuse(talk, "declined");
            self.page_answers_start(index, name, "", 603);
            return self.chat_is_over(index, name);
        }
        self.excuse(talk, why);
        let mut control = json!({"type": "message", "package_type": self.talks[talk].package,
                                 "subsession_id": name});
        if stage == Stage::Asked {
            control["correlation_id"] = correlation.into();
        }
        let header = json!({"action": "shutdown", "initiator": self.pages[index].user,
                            "target": "x@localhost"});
        self.page_says(index, control, header, None);
        self.chat_is_over(index, name);
        if stage == Stage::Asked
            && let Some(chat) = self.pages[index].chats.get_mut(name)
        {
            chat.forgotten = true;
        }
    }

    /// It opens its media WebSocket.
    pub fn page_opens_media(&mut self, index: usize, name: &str) {
        let Some(chat) = self.pages[index].chats.get_mut(name) else {
            return;
        };
        let (Some(media), Some(relay)) = (&mut chat.media, &mut self.relay) else {
            return;
        };
        if chat.stage != Stage::Over && media.seeks() {
            let ring = relay.shard.ring();
            media.connect(relay.number, ring, &mut self.chance);
        }
    }

    /// Its media are lost: control says where to come, or is asked.
    pub fn page_loses(&mut self, index: usize, name: &str) {
        if let Some(chat) = self.pages[index].chats.get_mut(name)
            && chat.stage != Stage::Over
        {
            if let Some(media) = &mut chat.media {
                media.theirs.clear();
            }
            self.after(REBIND_MS, Act::PageRebinds(index, name.to_owned()));
        }
    }

    pub fn page_rebinds(&mut self, index: usize, name: &str) {
        let relay = self.relay.as_ref().map(|relay| relay.number);
        let Some(chat) = self.pages[index].chats.get(name) else {
            return;
        };
        let media = chat.media.as_ref();
        let has_media = relay.is_some_and(|relay| {
            media.is_some_and(|media| media.link_of(relay).is_some() || media.seeks())
        });
        if chat.stage != Stage::Open || has_media {
            return;
        }
        let control = json!({"type": "message", "package_type": self.talks[chat.talk].package,
                             "subsession_id": name});
        let header = json!({"action": "rebind", "initiator": self.pages[index].user,
                            "target": "x@localhost"});
        self.page_says(index, control, header, None);
        self.after(REBIND_MS, Act::PageRebinds(index, name.to_owned()));
    }
}
