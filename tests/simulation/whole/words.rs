//! Single requests between pages and handsets: texts on their own (`send`, SIP MESSAGE), and what somebody can do
//! (`enquiry`, OPTIONS).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::handset::branch;
use super::sip::{Message, finish_typed, parameter};
use super::world::{Act, World};

/// How long the one who asks may be without an answer: control gives up after 32 s, and its peer after as long.
const ANSWER_MS: u64 = 80_000;

/// A text or an enquiry.
pub struct Word {
    pub is_text: bool,
    /// Who asks, if it is a page.
    pub page: Option<usize>,
    page_user: String,
    handset: usize,
    /// When it was asked.
    asked: Option<u64>,
    /// What the one who asks was told.
    told: Option<u16>,
    /// How often it was heard: by the handset, or by pages.
    heard: BTreeMap<usize, u32>,
}

impl World {
    pub(super) fn plan_word(&mut self, number: usize, until: u64) {
        let page = self.chance.below(self.pages.len() as u64) as usize;
        let user = self.pages[page]
            .user
            .trim_end_matches("@localhost")
            .to_owned();
        let word = Word {
            is_text: self.chance.percent(70),
            page: self.chance.percent(50).then_some(page),
            page_user: user,
            handset: self.chance.below(self.handsets.len() as u64) as usize,
            asked: None,
            told: None,
            heard: BTreeMap::new(),
        };
        self.words.push(word);
        let at = 2_000 + self.chance.below(until);
        self.after(at, Act::Says(number));
    }

    /// It is asked.
    pub fn word_is_said(&mut self, number: usize) {
        let now = self.now;
        let word = &mut self.words[number];
        let (is_text, handset) = (word.is_text, word.handset);
        let (action, package, method) = match is_text {
            true => ("send", "messaging", "MESSAGE"),
            false => ("enquiry", "capability", "OPTIONS"),
        };
        if let Some(page) = word.page {
            if !self.pages[page].has_session() {
                return self.after(500, Act::Says(number));
            }
            word.asked = Some(now);
            let target = format!("{}@localhost", self.handsets[handset].user);
            let header = json!({"action": action, "initiator": self.pages[page].user, "target": target,
                                "enquiry_data": "IM/CHAT"});
            let control = json!({"type": "request", "package_type": package,
                                 "subsession_id": format!("w{number}"), "message_state": "initial"});
            let payload = is_text.then(|| json!({"content": format!("word{number}")}));
            self.page_says(page, control, header, payload);
            return;
        }
        word.asked = Some(now);
        let user = word.page_user.clone();
        let it = &mut self.handsets[handset];
        let word = it.word();
        let (via, contact, own) = (it.via(&branch(&word)), it.contact(), it.user.clone());
        let text = format!(
            "{method} sip:{user}@localhost SIP/2.0\r\n{via}Max-Forwards: 70\r\n\
             From: <sip:{own}@localhost>;tag={word}\r\nTo: <sip:{user}@localhost>\r\n\
             Call-ID: word-{number}\r\nCSeq: 1 {method}\r\nContact: {contact};+g.oma.sip-im\r\n\
             Accept-Contact: *;+g.oma.sip-im\r\n"
        );
        let octets = match is_text {
            true => finish_typed(text, "", "text/plain", &format!("word{number}")),
            false => finish_typed(text, "", "", ""),
        };
        self.handset_asks(handset, octets);
    }

    /// The one who has asked is told what came of it.
    fn word_is_answered(&mut self, number: usize, code: u16) {
        let word = &mut self.words[number];
        assert!(
            word.told.is_none(),
            "word {number} is answered twice: {:?}, {code}",
            word.told
        );
        word.told = Some(code);
    }

    /// A page has its answer.
    pub(super) fn page_is_told(&mut self, name: &str, frame: &Value) {
        let number = name
            .strip_prefix('w')
            .and_then(|number| number.parse().ok());
        let number: usize = number.expect("an answer to a word of ours");
        let header = &frame["header"];
        let code = header["response_code"]
            .as_u64()
            .or(header["error_code"].as_u64());
        self.word_is_answered(number, code.expect("a code") as u16);
    }

    /// A handset has its answer, or there is none.
    pub(super) fn handset_is_told(&mut self, call_id: &str, code: u16) {
        let number = call_id
            .strip_prefix("word-")
            .and_then(|number| number.parse().ok());
        if let Some(number) = number {
            self.word_is_answered(number, code);
        }
    }

    /// A word reaches a handset. What it says to it.
    pub(super) fn handset_is_spoken_to(&mut self, index: usize, message: &Message) -> &'static str {
        if message.method() == "OPTIONS" {
            return "200 OK";
        }
        assert!(
            parameter(message.header("To"), "tag").is_none(),
            "{message:?}"
        );
        self.word_is_heard(&message.body, index);
        match self.chance.percent(85) {
            true => "200 OK",
            false => "480 Temporarily Unavailable",
        }
    }

    /// A word reaches a page, which answers it, or does not care.
    pub(super) fn page_is_spoken_to(&mut self, index: usize, frame: &Value) {
        let is_text = frame["header"]["action"] == "send";
        if is_text {
            let content = frame["payload"]["content"].as_str().expect("a text");
            self.word_is_heard(content, index);
        }
        let mut control = frame["control"].clone();
        let mut header = frame["header"].clone();
        match self.chance.below(10) {
            0 | 1 => return,
            2 => {
                control["type"] = "error".into();
                header["error_code"] = if is_text { 603 } else { 480 }.into();
            }
            _ => {
                control["type"] = "response".into();
                control["message_state"] = "final".into();
                header["response_code"] = 200.into();
                header["enquiry_data"] = "IM/CHAT".into();
            }
        }
        self.page_says(index, control, header, None);
    }

    fn word_is_heard(&mut self, content: &str, by: usize) {
        let number = content
            .strip_prefix("word")
            .and_then(|number| number.parse().ok());
        let number: usize = number.unwrap_or_else(|| panic!("nobody has said this: {content}"));
        *self.words[number].heard.entry(by).or_default() += 1;
    }

    /// Everything said has arrived once, or its sender knows that it may not have.
    pub fn check_words(&mut self) {
        for (number, word) in self.words.iter().enumerate() {
            let Some(asked_at) = word.asked else {
                continue;
            };
            let waits = self.now.saturating_sub(asked_at) > ANSWER_MS;
            assert!(word.told.is_some() || !waits, "word {number} has no answer");
            let Some(code) = word.told.filter(|_| word.is_text) else {
                continue;
            };
            let heard: u32 = word.heard.values().sum();
            assert!(heard > 0 || code >= 300, "word {number} is lost: {code}");
            // A handset repeats what it has no answer to: another process knows of the first time.
            for (by, times) in &word.heard {
                assert!(*times <= 1, "word {number} came {times} times to {by}");
            }
            self.seen.words += u64::from(code < 300);
        }
    }
}
