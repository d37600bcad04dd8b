//! A browser as the documentation of JsonRTC has it, without our SDK: blocking, and only what the tests need.

use std::net::TcpStream;

use serde_json::{Map, Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::HandshakeError;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

use crate::process::PATIENCE;

/// What a browser offers and answers.
pub const SDP: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
m=message 2855 TCP/MSRP *\r\na=path:msrp://x7.invalid:2855/br0ws3r;ws\r\na=setup:active\r\n\
a=accept-types:text/plain\r\n";

/// A WebSocket to control, and nothing more.
pub struct Socket {
    socket: WebSocket<TcpStream>,
    /// The subprotocol that control has chosen.
    pub protocol: String,
}

/// What a socket brings.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// JSON.
    Frame(Value),
    /// A text that is none.
    Text(String),
    /// The end, with its code if it has one.
    Closed(Option<u16>),
}

/// Control did not want the socket.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Of HTTP.
    pub status: u16,
    /// The header WWW-Authenticate.
    pub authenticate: Option<String>,
}

impl Socket {
    /// Asks for `path` with these headers.
    ///
    /// # Errors
    /// What was answered instead of a WebSocket.
    pub fn open(
        http: &str,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, Refused> {
        let stream = TcpStream::connect(http).expect("control listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let url = format!("ws://{http}{path}");
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in headers {
            let value = value.parse().expect("a value");
            request.headers_mut().insert(*name, value);
        }
        match tungstenite::client(request, stream) {
            Ok((socket, response)) => {
                let protocol = response.headers().get("Sec-WebSocket-Protocol");
                let protocol = protocol.and_then(|name| name.to_str().ok());
                let protocol = protocol.unwrap_or_default().to_owned();
                Ok(Socket { socket, protocol })
            }
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                let asked = response.headers().get("WWW-Authenticate");
                let asked = asked.and_then(|value| value.to_str().ok());
                Err(Refused {
                    status: response.status().as_u16(),
                    authenticate: asked.map(str::to_owned),
                })
            }
            Err(error) => panic!("no WebSocket and no answer: {error}"),
        }
    }

    /// One for the application `demo`.
    pub fn to_demo(http: &str) -> Socket {
        let headers = [("Sec-WebSocket-Protocol", "webrtc.oracle.com")];
        Socket::open(http, "/ws/webrtc/demo", &headers).expect("a WebSocket")
    }

    /// Sends a text.
    pub fn say(&mut self, text: impl ToString) {
        let text = Message::text(text.to_string());
        self.socket.send(text).expect("the socket takes it");
    }

    /// Sends octets.
    pub fn say_binary(&mut self, octets: &[u8]) {
        let message = Message::binary(octets.to_vec());
        self.socket.send(message).expect("the socket takes it");
    }

    /// What comes next.
    pub fn hear(&mut self) -> Heard {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    let frame = serde_json::from_str(&text).map(Heard::Frame);
                    return frame.unwrap_or_else(|_| Heard::Text(text.to_string()));
                }
                Ok(Message::Close(frame)) => {
                    return Heard::Closed(frame.map(|frame| frame.code.into()));
                }
                Ok(_) => {}
                Err(error) => panic!("the socket broke: {error}"),
            }
        }
    }

    /// The next frame; it must be one.
    pub fn hear_frame(&mut self) -> Value {
        match self.hear() {
            Heard::Frame(frame) => frame,
            other => panic!("a frame was awaited and came {other:?}"),
        }
    }

    /// Closes it with this code, and waits until that was answered.
    pub fn close(mut self, code: u16) {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: "".into(),
        };
        self.socket.close(Some(frame)).expect("a close");
        while self.socket.read().is_ok() {}
    }
}

/// A page with its socket, its session and its numbers.
pub struct Page {
    /// By which it speaks now.
    pub socket: Socket,
    user: String,
    /// The id of its session, once it has one.
    pub session: Option<String>,
    /// The number of the last frame it has sent.
    pub sent: u32,
    /// The highest number it has received.
    pub heard: u32,
}

/// A chat of the page's.
#[derive(Clone, Debug)]
pub struct Chat {
    /// Its subsession.
    pub subsession: String,
    /// The correlation id of the request that opened it.
    pub opening: String,
}

impl Page {
    /// Opens the socket.
    pub fn open(http: &str, user: &str) -> Page {
        Page {
            socket: Socket::to_demo(http),
            user: user.to_owned(),
            session: None,
            sent: 0,
            heard: 0,
        }
    }

    /// Opens the socket, and connects.
    pub fn connected(http: &str, user: &str) -> Page {
        let mut page = Page::open(http, user);
        let answer = page.connect(json!({}));
        assert_eq!(answer["header"]["response_code"], 200, "{answer}");
        page
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

    /// Comes back to its session by another socket, with further headers; gives the answer. What it has not
    /// had confirmed begins with the number `unconfirmed`.
    pub fn resume(&mut self, http: &str, unconfirmed: u32, header: Value) -> Value {
        self.socket = Socket::to_demo(http);
        let mut all = json!({
            "action": "connect", "initiator": self.user, "target": self.user,
            "cslr": self.heard, "cslw": unconfirmed, "csuw": self.sent,
        });
        merge(&mut all, header);
        let control = json!({
            "type": "request", "package_type": "register", "session_id": self.session, "version": "1.0"
        });
        self.socket
            .say(json!({ "control": control, "header": all }));
        self.socket.hear_frame()
    }

    /// Sends a request of the package `register`; gives the answer.
    pub fn register(&mut self, header: Value) -> Value {
        let mut all = json!({ "initiator": self.user, "target": self.user });
        merge(&mut all, header);
        let correlation = self.send("request", "register", None, None, all, None);
        let answer = self.hear();
        assert_eq!(answer["control"]["correlation_id"], correlation.as_str());
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
            let frame = self.socket.hear_frame();
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
    pub fn close(self) {
        self.socket.close(1000);
    }

    /// Sends a frame with the next number; gives its correlation id. `kind` is its type and, after a hyphen,
    /// its message state.
    pub fn send(
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
        self.socket.say(frame);
        correlation
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
