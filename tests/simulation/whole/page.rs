//! Naive pages: JsonRTC as `docs/jsonrtc.md` has it. What is inside a subsession is in `chat`.

use std::collections::{BTreeMap, VecDeque};

use control::jsonrtc::SocketId;
use serde_json::{Value, json};

use super::chat::{Chat, Stage};
use super::world::{Act, Due, Up, World};

const PING_MS: u64 = 25_000;

/// A page.
pub struct Page {
    pub user: String,
    session: Option<String>,
    pub socket: Option<SocketId>,
    /// The session goes on by this socket.
    pub joined: bool,
    pub joined_at: u64,
    /// The highest number from the server.
    received: u32,
    /// The one we have confirmed.
    told: u32,
    /// Our own highest number.
    sent: u32,
    unconfirmed: VecDeque<(u32, Value)>,
    pub chats: BTreeMap<String, Chat>,
    /// It has left for good.
    pub left: bool,
    attempts: u32,
    /// When the last text of a socket arrives, up and down.
    pub arrives: [u64; 2],
}

impl Page {
    pub fn new(user: String) -> Page {
        Page {
            user,
            session: None,
            socket: None,
            joined: false,
            joined_at: 0,
            received: 0,
            told: 0,
            sent: 0,
            unconfirmed: VecDeque::new(),
            chats: BTreeMap::new(),
            left: false,
            attempts: 0,
            arrives: [0; 2],
        }
    }
}

impl World {
    /// Opens a socket, and says `connect` on it.
    pub fn page_connects(&mut self, index: usize) {
        let page = &mut self.pages[index];
        if page.left || page.socket.is_some() {
            return;
        }
        self.sockets += 1;
        let socket = SocketId(self.sockets);
        page.attempts += 1;
        (page.socket, page.joined, page.arrives) = (Some(socket), false, [self.now; 2]);
        let mut control = json!({
            "type": "request", "package_type": "register", "version": "1.0",
            "correlation_id": format!("hello{}", page.attempts),
        });
        let mut header = json!({"action": "connect", "initiator": page.user, "target": page.user});
        match &page.session {
            Some(session) => {
                control["session_id"] = session.as_str().into();
                header["cslr"] = page.received.into();
                let lowest = page.unconfirmed.front().map_or(page.sent + 1, |(n, _)| *n);
                header["cslw"] = lowest.into();
                header["csuw"] = page.sent.into();
                page.told = page.received;
            }
            None => {
                page.sent = 1;
                control["sequence"] = 1.into();
            }
        }
        self.page_up(index, Up::Open);
        let frame = json!({"control": control, "header": header});
        self.page_up(index, Up::Text(frame.to_string()));
        self.after(5_000, Act::PageImpatient(index, socket));
    }

    /// Something on its way to control.
    fn page_up(&mut self, index: usize, up: Up) {
        let delay = 1 + self.chance.below(self.plan.socket_ms);
        let page = &mut self.pages[index];
        let Some(socket) = page.socket else { return };
        page.arrives[0] = (self.now + delay).max(page.arrives[0]);
        let at = page.arrives[0];
        self.at(at, Due::Up(index, socket, up));
    }

    /// A frame of its own, numbered and kept.
    pub(super) fn page_says(
        &mut self,
        index: usize,
        mut control: Value,
        header: Value,
        payload: Option<Value>,
    ) -> u32 {
        let page = &mut self.pages[index];
        page.sent += 1;
        control["sequence"] = page.sent.into();
        control["version"] = "1.0".into();
        if control.get("correlation_id").is_none() {
            control["correlation_id"] = format!("c{}", page.sent).into();
        }
        let mut frame = json!({ "control": control, "header": header });
        if let Some(payload) = payload {
            frame["payload"] = payload;
        }
        let number = page.sent;
        page.unconfirmed.push_back((number, frame.clone()));
        if page.joined {
            self.page_sends(index, frame);
        }
        number
    }

    fn page_sends(&mut self, index: usize, mut frame: Value) {
        let page = &mut self.pages[index];
        frame["control"]["session_id"] = page.session.clone().into();
        frame["control"]["ack_sequence"] = page.received.into();
        page.told = page.received;
        self.page_up(index, Up::Text(frame.to_string()));
    }

    /// Its socket is gone.
    pub fn page_is_cut(&mut self, index: usize) {
        let page = &mut self.pages[index];
        (page.socket, page.joined) = (None, false);
        if !page.left {
            let wait = 50 + self.chance.below(2_500);
            self.after(wait, Act::PageConnects(index));
        }
    }

    /// Its socket breaks, and each side learns of it in its own time.
    pub fn page_socket_breaks(&mut self, index: usize) {
        let Some(socket) = self.pages[index].socket else {
            return;
        };
        if self.chance.percent(50) {
            // What is under way does not arrive.
            self.at(self.now, Due::Up(index, socket, Up::Closed(None)));
        } else {
            self.page_up(index, Up::Nothing);
            let after = self.pages[index].arrives[0] + self.chance.below(8_000);
            self.at(after, Due::Up(index, socket, Up::Closed(None)));
        }
        self.page_is_cut(index);
    }

    /// Keeps the socket alive, and confirms what nothing else did.
    pub fn page_pings(&mut self, index: usize) {
        if self.pages[index].left {
            return;
        }
        if self.pages[index].joined {
            self.page_up(index, Up::Text("ping".into()));
            self.page_confirms(index);
        }
        self.after(PING_MS, Act::PagePings(index));
    }

    fn page_confirms(&mut self, index: usize) {
        let page = &mut self.pages[index];
        if page.joined && page.received > page.told {
            page.told = page.received;
            let frame = json!({
                "control": {"type": "acknowledgement", "package_type": "register",
                            "session_id": page.session, "ack_sequence": page.received, "version": "1.0"},
                "header": {"action": "connect", "initiator": page.user, "target": page.user},
            });
            self.page_up(index, Up::Text(frame.to_string()));
        }
    }

    /// The answer to its `connect` has not come.
    pub fn page_is_impatient(&mut self, index: usize, socket: SocketId) {
        let page = &self.pages[index];
        if page.socket == Some(socket) && !page.joined {
            self.page_socket_breaks(index);
        }
    }

    /// Leaves for good, in order.
    pub fn page_leaves(&mut self, index: usize) {
        if !self.pages[index].joined {
            return self.after(100, Act::PageLeaves(index));
        }
        self.page_up(index, Up::Closed(Some(1000)));
        self.pages[index].left = true;
        self.pages[index].socket = None;
        self.page_forgets(index, "the page has left");
    }

    /// There is no session any more: nothing in it goes on.
    fn page_forgets(&mut self, index: usize, why: &'static str) {
        let names: Vec<String> = self.pages[index].chats.keys().cloned().collect();
        for name in names {
            let Some(chat) = self.pages[index].chats.get(&name) else {
                continue;
            };
            if chat.stage != Stage::Over {
                let talk = chat.talk;
                self.excuse(talk, why);
                if let Some(chat) = self.pages[index].chats.get_mut(&name) {
                    chat.forgotten = true;
                }
                self.chat_is_over(index, &name);
            }
        }
    }

    /// A text has come.
    pub fn page_hears(&mut self, index: usize, text: &str) {
        if text == "pong" {
            return;
        }
        let frame: Value = serde_json::from_str(text).expect("control sends JSON");
        let control = &frame["control"];
        if !self.pages[index].joined {
            return self.page_joins(index, &frame);
        }
        let page = &mut self.pages[index];
        assert_eq!(control["session_id"].as_str(), page.session.as_deref());
        if let Some(confirmed) = control["ack_sequence"].as_u64() {
            page.confirmed(confirmed as u32);
            self.look_who_is_firm(index);
        }
        let page = &mut self.pages[index];
        if control["type"] == "acknowledgement" {
            return;
        }
        let Some(sequence) = control["sequence"].as_u64() else {
            panic!("a frame without number: {text}");
        };
        let wanted = page.received + 1;
        assert_eq!(
            sequence,
            u64::from(wanted),
            "none is lost or doubled: {text}"
        );
        page.received = wanted;
        if page.received - page.told >= 8 {
            self.page_confirms(index);
        }
        self.page_takes(index, &frame);
    }

    fn page_joins(&mut self, index: usize, frame: &Value) {
        let control = &frame["control"];
        let page = &mut self.pages[index];
        let hello = format!("hello{}", page.attempts);
        assert_eq!(control["correlation_id"], hello.as_str(), "{frame}");
        if control["type"] == "error" {
            return self.page_socket_breaks(index);
        }
        assert_eq!(frame["header"]["response_code"], 200, "{frame}");
        let session = control["session_id"].as_str().map(str::to_owned);
        (page.joined, page.joined_at) = (true, self.now);
        let resumed = page.session.is_some() && page.session == session;
        if resumed {
            assert!(control.get("sequence").is_none(), "{frame}");
            self.seen.resumed += 1;
            let known = frame["header"]["sslr"].as_u64().expect("sslr");
            page.confirmed(known as u32);
            let again: Vec<Value> = page.unconfirmed.iter().map(|(_, f)| f.clone()).collect();
            self.look_who_is_firm(index);
            for frame in again {
                self.page_sends(index, frame);
            }
            return;
        }
        let lost = page.session.is_some();
        page.session = session;
        assert_eq!(control["sequence"], 1, "{frame}");
        (page.received, page.told, page.sent) = (1, 0, 1);
        page.unconfirmed.clear();
        if lost {
            self.sessions_lost += 1;
            self.page_forgets(index, "the session was lost");
        }
    }

    /// A frame that was not seen before.
    fn page_takes(&mut self, index: usize, frame: &Value) {
        let control = &frame["control"];
        let name = control["subsession_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let action = frame["header"]["action"].as_str().unwrap_or_default();
        let kind = control["type"].as_str().unwrap_or_default();
        if control["package_type"] == "call" {
            return self.call_frame(index, &name, frame);
        }
        match (kind, action) {
            ("request", "send" | "enquiry") => self.page_is_spoken_to(index, frame),
            ("response" | "error", "send" | "enquiry") => self.page_is_told(&name, frame),
            ("request", "start") => self.page_is_called(index, name, frame),
            ("response" | "error", "start") => self.page_is_answered(index, &name, frame),
            ("message", "complete") => self.page_is_confirmed(index, &name),
            ("message", "shutdown") => {
                let Some(chat) = self.pages[index].chats.get(&name) else {
                    return;
                };
                let (talk, stage) = (chat.talk, chat.stage);
                if stage == Stage::Over {
                    return;
                }
                assert_ne!(stage, Stage::Asked, "a start is answered: {frame}");
                self.check_end(talk, stage == Stage::Open, &frame.to_string());
                self.chat_is_over(index, &name);
            }
            ("message", "rebind") => {
                let sdp = frame["payload"]["sdp"].as_str().expect("a description");
                if let Some(chat) = self.pages[index].chats.get_mut(&name)
                    && chat.stage != Stage::Over
                    && let Some(media) = &mut chat.media
                {
                    chat.unaware_of = None;
                    self.seen.rebound += 1;
                    media.described(sdp);
                    let wait = 1 + self.chance.below(300);
                    self.after(wait, Act::PageMedia(index, name));
                }
            }
            ("request", _) | ("error", "shutdown" | "rebind" | "complete") => {
                panic!("an odd frame: {frame}")
            }
            _ => {}
        }
    }
}

impl Page {
    /// Whether it has had a session.
    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Whether the server has confirmed this frame of ours.
    pub fn is_confirmed(&self, number: u32) -> bool {
        let lowest = self.unconfirmed.front().map_or(self.sent + 1, |(n, _)| *n);
        number < lowest
    }

    fn confirmed(&mut self, number: u32) {
        assert!(number <= self.sent, "what was not sent is not confirmed");
        self.unconfirmed.retain(|(own, _)| *own > number);
    }
}
