//! A browser as the documentation of JsonRTC has it, without our SDK: blocking, and only what the tests need.

use std::net::TcpStream;

use serde_json::{Map, Value, json};
use tests::process::PATIENCE;
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

/// What a browser offers and answers.
pub const SDP: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
m=message 2855 TCP/MSRP *\r\na=path:msrp://x7.invalid:2855/br0ws3r;ws\r\na=setup:active\r\n\
a=accept-types:text/plain\r\n";

/// A page with its socket.
pub struct Page {
    socket: WebSocket<TcpStream>,
    user: String,
    session: Option<String>,
    sent: u32,
    heard: u32,
}

/// A chat of the page's.
#[derive(Clone, Debug)]
pub struct Chat {
    pub subsession: String,
    /// The correlation id of the request that opened it.
    pub opening: String,
}

impl Page {
    /// Opens the socket.
    pub fn open(http: &str, user: &str) -> Page {
        let stream = TcpStream::connect(http).expect("control listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let url = format!("ws://{http}/ws/webrtc/demo");
        let mut request = url.into_client_request().expect("a request");
        let protocol = "webrtc.oracle.com".parse().expect("a value");
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", protocol);
        let (socket, _) = tungstenite::client(request, stream).expect("a WebSocket");
        Page {
            socket,
            user: user.to_owned(),
            session: None,
            sent: 0,
            heard: 0,
        }
    }

    /// Connects, with further headers; gives the answer.
    pub fn connect(&mut self, header: Value) -> Value {
        let mut all = json!({ "action": "connect", "initiator": self.user, "target": self.user });
        merge(&mut all, header);
        let correlation = self.send("request", "register", None, None, all, None);
        let answer = self.hear();
        assert_eq!(answer["control"]["correlation_id"], correlation.as_str());
        self.session = answer["control"]["session_id"].as_str().map(str::to_owned);
        answer
    }

    /// Starts a chat.
    pub fn call(&mut self, target: &str) -> Chat {
        let subsession = format!("chat-{}", self.sent + 1);
        let header = json!({ "action": "start", "initiator": self.user, "target": target });
        let payload = Some(json!({ "sdp": SDP }));
        let opening = self.send("request", "chat", Some(&subsession), None, header, payload);
        Chat {
            subsession,
            opening,
        }
    }

    /// Waits for a chat's start.
    pub fn called(&mut self) -> Chat {
        let start = self.hear();
        assert_eq!(start["header"]["action"], "start", "{start}");
        let member = |name: &str| {
            start["control"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        Chat {
            subsession: member("subsession_id"),
            opening: member("correlation_id"),
        }
    }

    /// Answers a `start`, finally with a session description.
    pub fn answer(&mut self, chat: &Chat, code: u32) {
        let header = json!({
            "action": "start", "initiator": self.user, "target": self.user, "response_code": code
        });
        let payload = (code >= 200).then(|| json!({ "sdp": SDP }));
        let kind = if code < 200 {
            "response-subsequent"
        } else {
            "response-final"
        };
        self.send(
            kind,
            "chat",
            Some(&chat.subsession),
            Some(&chat.opening),
            header,
            payload,
        );
    }

    /// Confirms an answer, or ends a chat.
    pub fn tell(&mut self, chat: &Chat, action: &str) {
        let header = json!({ "action": action, "initiator": self.user, "target": self.user });
        let correlation = Some(chat.opening.as_str());
        self.send(
            "message",
            "chat",
            Some(&chat.subsession),
            correlation,
            header,
            None,
        );
    }

    /// The next frame that is no acknowledgement.
    pub fn hear(&mut self) -> Value {
        loop {
            let message = self.socket.read().expect("a frame");
            let Message::Text(text) = message else {
                continue;
            };
            let frame: Value = serde_json::from_str(&text).expect("JSON");
            if let Some(sequence) = frame["control"]["sequence"].as_u64() {
                self.heard = self.heard.max(sequence as u32);
            }
            if frame["control"]["type"] != "acknowledgement" {
                return frame;
            }
        }
    }

    /// The next frame with this action; what comes before is not looked at.
    pub fn hear_of(&mut self, action: &str) -> Value {
        loop {
            let frame = self.hear();
            if frame["header"]["action"] == action {
                return frame;
            }
        }
    }

    /// Waits for the final answer to the opening of a chat; gives its code.
    pub fn outcome(&mut self) -> u64 {
        loop {
            let frame = self.hear_of("start");
            let header = &frame["header"];
            if let Some(code) = header["error_code"].as_u64() {
                return code;
            }
            if frame["control"]["message_state"] == "final" {
                return header["response_code"].as_u64().expect("a code");
            }
        }
    }

    /// Says good-bye and waits until that was heard.
    pub fn close(mut self) {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        self.socket.close(Some(frame)).expect("a close");
        while self.socket.read().is_ok() {}
    }

    fn send(
        &mut self,
        kind: &str,
        package: &str,
        subsession: Option<&str>,
        correlation: Option<&str>,
        header: Value,
        payload: Option<Value>,
    ) -> String {
        self.sent += 1;
        let (kind, state) = kind.split_once('-').unwrap_or((kind, ""));
        let correlation = correlation.map_or_else(|| format!("c{}", self.sent), str::to_owned);
        let mut control = Map::new();
        control.insert("type".into(), kind.into());
        control.insert("package_type".into(), package.into());
        control.insert("sequence".into(), self.sent.into());
        control.insert("ack_sequence".into(), self.heard.into());
        control.insert("correlation_id".into(), correlation.as_str().into());
        control.insert("version".into(), "1.0".into());
        for (name, value) in [
            ("message_state", (!state.is_empty()).then_some(state)),
            ("session_id", self.session.as_deref()),
            ("subsession_id", subsession),
        ] {
            if let Some(value) = value {
                control.insert(name.into(), value.into());
            }
        }
        let mut frame = json!({ "control": control, "header": header });
        if let Some(payload) = payload {
            frame["payload"] = payload;
        }
        self.socket
            .send(Message::text(frame.to_string()))
            .expect("the socket takes it");
        correlation
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
