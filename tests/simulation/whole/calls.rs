//! Calls between two pages: their descriptions go by SIP through control, from one of its users to another.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::server::RING_MS;
use super::world::{Act, World};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
                   a=fingerprint:sha-256 6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r\n\
                   m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
                   a=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n";

/// Where a side of a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Our `start` is out.
    Asked,
    /// It rings here.
    Ringing,
    /// We have accepted; `complete` is not here.
    Answered,
    Open,
    Over,
}

/// A page's part of a call.
struct Side {
    call: usize,
    stage: Stage,
    correlation: String,
}

/// A call, planned.
pub struct WebCall {
    page: usize,
    callee: String,
    accepts: bool,
    answer_ms: u64,
    talk_ms: u64,
    caller_hangs_up: bool,
    asked_at: Option<u64>,
    /// Final answers that the caller has got.
    finals: u32,
    /// Both sides know that it is open.
    firm: bool,
    /// Why it may end, if it may.
    excuse: Option<&'static str>,
}

/// All calls, and pages' parts in them by page and subsession.
#[derive(Default)]
pub struct Calls {
    planned: Vec<WebCall>,
    sides: BTreeMap<(usize, String), Side>,
}

impl World {
    pub(super) fn plan_call(&mut self, until: u64) {
        let page = self.chance.below(self.pages.len() as u64) as usize;
        let other = self.chance.below(self.pages.len() as u64) as usize;
        if self.pages[page].user == self.pages[other].user {
            return;
        }
        let call = WebCall {
            page,
            callee: self.pages[other].user.clone(),
            accepts: self.chance.percent(80),
            answer_ms: 1 + self.chance.below(4_000),
            talk_ms: 1_000 + self.chance.below(30_000),
            caller_hangs_up: self.chance.percent(50),
            asked_at: None,
            finals: 0,
            firm: false,
            excuse: None,
        };
        self.calls.planned.push(call);
        let at = 2_000 + self.chance.below(until);
        self.after(at, Act::Calls(self.calls.planned.len() - 1));
    }

    /// A page calls another's user.
    pub fn page_calls(&mut self, number: usize) {
        let call = &mut self.calls.planned[number];
        let (page, callee) = (call.page, call.callee.clone());
        if !self.pages[page].has_session() {
            return self.after(500, Act::Calls(number));
        }
        call.asked_at = Some(self.now);
        let name = format!("c{number}");
        let header = json!({"action": "start", "initiator": self.pages[page].user, "target": callee,
                            "subject": format!("call{number}")});
        let control = json!({"type": "request", "package_type": "call", "subsession_id": name,
                             "message_state": "initial"});
        let sent = self.page_says(page, control, header, Some(json!({ "sdp": SDP })));
        let side = Side {
            call: number,
            stage: Stage::Asked,
            correlation: format!("c{sent}"),
        };
        self.calls.sides.insert((page, name), side);
    }

    /// A frame of the package `call`.
    pub(super) fn call_frame(&mut self, index: usize, name: &str, frame: &Value) {
        let key = (index, name.to_owned());
        let kind = frame["control"]["type"].as_str().unwrap_or_default();
        let action = frame["header"]["action"].as_str().unwrap_or_default();
        if (kind, action) == ("request", "start") {
            let subject = frame["header"]["subject"].as_str().unwrap_or_default();
            let number = subject.strip_prefix("call").and_then(|n| n.parse().ok());
            let call: usize = number.expect("our subject");
            let correlation = frame["control"]["correlation_id"].as_str().expect("one");
            let side = Side {
                call,
                stage: Stage::Ringing,
                correlation: correlation.to_owned(),
            };
            let former = self.calls.sides.insert(key, side);
            assert!(former.is_none(), "a start comes once: {frame}");
            if self.chance.percent(70) {
                self.callee_says(index, name, "subsequent", 180);
            }
            let wait = self.calls.planned[call].answer_ms;
            return self.after(wait, Act::CallIsDecided(index, name.to_owned()));
        }
        let Some(side) = self.calls.sides.get_mut(&key) else {
            panic!("a frame of no call: {frame}");
        };
        let call = &mut self.calls.planned[side.call];
        match (kind, action) {
            ("response", "start") if frame["control"]["message_state"] == "subsequent" => {
                assert_eq!(call.finals, 0, "it rings after the final answer: {frame}");
            }
            ("response" | "error", "start") => {
                call.finals += 1;
                assert_eq!(call.finals, 1, "one final answer: {frame}");
                if kind == "error" {
                    call.excuse.get_or_insert("refused");
                    side.stage = Stage::Over;
                    return;
                }
                assert!(
                    frame["payload"]["sdp"]
                        .as_str()
                        .is_some_and(|sdp| sdp.contains("ice-ufrag"))
                );
                side.stage = Stage::Open;
                let (correlation, number, talk_ms) =
                    (side.correlation.clone(), side.call, call.talk_ms);
                let control = json!({"type": "message", "package_type": "call", "subsession_id": name,
                                     "correlation_id": correlation});
                let header = json!({"action": "complete", "initiator": self.pages[index].user,
                                    "target": "x@localhost"});
                self.page_says(index, control, header, None);
                self.after(talk_ms, Act::CallEnds(number));
            }
            ("message", "complete") if side.stage == Stage::Answered => {
                side.stage = Stage::Open;
                call.firm = true;
            }
            ("message", "shutdown") if side.stage != Stage::Over => {
                let may_end = call.excuse.is_some() || !call.firm || side.stage != Stage::Open;
                assert!(may_end, "call {} ends for no reason: {frame}", side.call);
                assert_ne!(side.stage, Stage::Asked, "a start is answered: {frame}");
                side.stage = Stage::Over;
                call.excuse.get_or_insert("it is over");
            }
            _ => {}
        }
    }

    fn callee_says(&mut self, index: usize, name: &str, state: &str, code: u32) {
        let Some(side) = self.calls.sides.get(&(index, name.to_owned())) else {
            return;
        };
        let mut control = json!({"type": "response", "package_type": "call", "subsession_id": name,
                                 "correlation_id": side.correlation, "message_state": state});
        let mut header = json!({"action": "start", "initiator": "x@localhost",
                                "target": self.pages[index].user});
        if code >= 300 {
            control["type"] = "error".into();
            header["error_code"] = code.into();
        }
        let payload = (state == "final" && code < 300).then(|| json!({ "sdp": SDP }));
        self.page_says(index, control, header, payload);
    }

    /// Who is called has made up their mind.
    pub fn call_is_decided(&mut self, index: usize, name: &str) {
        let Some(side) = self.calls.sides.get_mut(&(index, name.to_owned())) else {
            return;
        };
        if side.stage != Stage::Ringing {
            return;
        }
        let call = &mut self.calls.planned[side.call];
        let code = if call.accepts { 200 } else { 603 };
        side.stage = if call.accepts {
            Stage::Answered
        } else {
            Stage::Over
        };
        if !call.accepts {
            call.excuse.get_or_insert("declined");
        }
        self.callee_says(index, name, "final", code);
    }

    /// It is time for one of the two to hang up.
    pub fn call_ends(&mut self, number: usize) {
        let call = &self.calls.planned[number];
        let (caller, by_caller) = (call.page, call.caller_hangs_up);
        let sides = self.calls.sides.iter();
        let open = sides.filter(|(_, side)| side.call == number && side.stage == Stage::Open);
        let mut open: Vec<(usize, String)> = open.map(|(key, _)| key.clone()).collect();
        open.sort_by_key(|(page, _)| (*page == caller) != by_caller);
        if let Some((page, name)) = open.into_iter().next() {
            self.side_hangs_up(page, &name);
        }
    }

    fn side_hangs_up(&mut self, page: usize, name: &str) {
        let Some(side) = self.calls.sides.get_mut(&(page, name.to_owned())) else {
            return;
        };
        side.stage = Stage::Over;
        let call = &mut self.calls.planned[side.call];
        call.excuse.get_or_insert("hung up");
        self.seen.calls += u64::from(call.firm);
        let control = json!({"type": "message", "package_type": "call", "subsession_id": name});
        let header = json!({"action": "shutdown", "initiator": self.pages[page].user,
                            "target": "x@localhost"});
        self.page_says(page, control, header, None);
    }

    /// All calls may end, for this reason.
    pub(super) fn excuse_calls(&mut self, why: &'static str) {
        for call in &mut self.calls.planned {
            call.excuse.get_or_insert(why);
        }
    }

    /// Whoever still is in a call hangs up.
    pub(super) fn calls_end(&mut self) {
        self.excuse_calls("the end");
        let sides = self.calls.sides.iter();
        let open = sides.filter(|(_, side)| side.stage == Stage::Open);
        for (page, name) in open.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.side_hangs_up(page, &name);
        }
    }

    /// Every call has had its one answer, in time.
    pub(super) fn check_calls(&self) {
        for (number, call) in self.calls.planned.iter().enumerate() {
            let waits = |asked_at| self.now.saturating_sub(asked_at) > RING_MS + 60_000;
            let late = call.asked_at.is_some_and(waits);
            assert!(call.finals == 1 || !late, "call {number} has no answer");
        }
    }
}
