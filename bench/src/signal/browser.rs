//! A simulated browser: JsonRTC over one WebSocket, MSRP over another. `docs/jsonrtc.md`.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async};
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::msrp::{Event, Kind, Reader, writer};

/// How long control may take to agree to the end of a session.
const LEAVING: Duration = Duration::from_secs(2);

/// A browser with its session.
pub struct Browser {
    socket: WebSocketStream<TcpStream>,
    user: String,
    session: String,
    sequence: u64,
    received: u64,
}

impl Browser {
    /// Connects to an application as a guest of this name.
    pub async fn connect(
        http: SocketAddr,
        application: &str,
        user: &str,
    ) -> Result<Browser, String> {
        let resource = format!("/ws/webrtc/{application}");
        let socket = open(http, &resource, "webrtc.oracle.com").await?;
        let mut browser = Browser {
            socket,
            user: user.to_owned(),
            session: String::new(),
            sequence: 0,
            received: 0,
        };
        let connect = json!({
            "control": {"type": "request", "package_type": "register", "correlation_id": "c0"},
            "header": {"action": "connect", "initiator": user, "target": user},
        });
        browser.send(connect).await?;
        let answer = browser.next().await?;
        let session = answer["control"]["session_id"].as_str();
        let session = session.ok_or_else(|| format!("no session: {answer}"))?;
        browser.session = session.to_owned();
        let user = answer["header"]["initiator"].as_str();
        browser.user = user.unwrap_or(user_of(&answer)).to_owned();
        Ok(browser)
    }

    /// Asks for a chat, which is the subsession; gives the answer's session description.
    pub async fn start(&mut self, chat: &str, target: &str, sdp: &str) -> Result<String, String> {
        self.ask(chat, target, sdp).await?;
        loop {
            let frame = self.next().await?;
            let control = &frame["control"];
            if control["subsession_id"] != chat {
                continue; // What is left of the one before.
            }
            match (control["type"].as_str(), control["message_state"].as_str()) {
                (Some("response"), Some("final")) => {
                    let sdp = frame["payload"]["sdp"].as_str();
                    return sdp
                        .map(str::to_owned)
                        .ok_or_else(|| format!("no SDP: {frame}"));
                }
                (Some("response"), _) => {}
                _ => return Err(format!("the chat was refused: {frame}")),
            }
        }
    }

    /// Asks for a chat, and does not wait.
    pub async fn ask(&mut self, chat: &str, target: &str, sdp: &str) -> Result<(), String> {
        let correlation = format!("c{chat}");
        let start = json!({
            "control": {"type": "request", "package_type": "chat", "subsession_id": chat,
                        "correlation_id": correlation, "message_state": "initial"},
            "header": {"action": "start", "initiator": self.user, "target": target},
            "payload": {"sdp": sdp},
        });
        self.send(start).await
    }

    /// Takes a chat that was offered in `start`.
    pub async fn accept(&mut self, start: &Value, sdp: &str) -> Result<(), String> {
        self.respond(start, json!({"sdp": sdp})).await
    }

    /// Answers a request with 200 and this payload, which may be null.
    pub async fn respond(&mut self, request: &Value, payload: Value) -> Result<(), String> {
        let (control, header) = (&request["control"], &request["header"]);
        let mut answer = json!({
            "control": {"type": "response", "package_type": control["package_type"],
                        "subsession_id": control["subsession_id"],
                        "correlation_id": control["correlation_id"], "message_state": "final"},
            "header": {"action": header["action"], "initiator": header["initiator"],
                       "target": header["target"], "response_code": 200},
        });
        if !payload.is_null() {
            answer["payload"] = payload;
        }
        self.send(answer).await
    }

    /// Sends the text that is answered with `pong`.
    pub async fn ping(&mut self) -> Result<(), String> {
        let sent = self.socket.send(Message::text("ping")).await;
        sent.map_err(|error| format!("the browser's WebSocket: {error}"))
    }

    /// Ends the session.
    pub async fn leave(mut self) {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        // It may have ended by itself.
        let _ = self.socket.close(Some(frame)).await;
        let _ = tokio::time::timeout(LEAVING, async {
            while let Some(Ok(_)) = self.socket.next().await {}
        })
        .await;
    }

    /// Confirms the answer.
    pub async fn complete(&mut self, chat: &str, target: &str) -> Result<(), String> {
        self.say(chat, target, "complete").await
    }

    /// Ends the chat.
    pub async fn shutdown(&mut self, chat: &str, target: &str) -> Result<(), String> {
        self.say(chat, target, "shutdown").await
    }

    async fn say(&mut self, chat: &str, target: &str, action: &str) -> Result<(), String> {
        let message = json!({
            "control": {"type": "message", "package_type": "chat", "subsession_id": chat,
                        "correlation_id": format!("c{chat}")},
            "header": {"action": action, "initiator": self.user, "target": target},
        });
        self.send(message).await
    }

    /// Sends a frame, numbered.
    pub async fn send(&mut self, mut frame: Value) -> Result<(), String> {
        self.sequence += 1;
        let control = &mut frame["control"];
        control["version"] = "1.0".into();
        control["sequence"] = self.sequence.into();
        if !self.session.is_empty() {
            control["session_id"] = self.session.as_str().into();
            control["ack_sequence"] = self.received.into();
        }
        let sent = self.socket.send(Message::text(frame.to_string())).await;
        sent.map_err(|error| format!("the browser's WebSocket: {error}"))
    }

    /// The next frame that says something. Cancel-safe.
    pub async fn next(&mut self) -> Result<Value, String> {
        loop {
            if let Heard::Frame(frame) = self.hear().await? {
                return Ok(frame);
            }
        }
    }

    /// The next frame that says something, or pong. Cancel-safe.
    pub async fn hear(&mut self) -> Result<Heard, String> {
        loop {
            let Some(message) = self.socket.next().await else {
                return Err("control closed the browser's WebSocket".to_owned());
            };
            let message = message.map_err(|error| format!("the browser's WebSocket: {error}"))?;
            let text = match message {
                Message::Text(text) => text,
                Message::Close(frame) => {
                    return Err(format!("control closed the browser's WebSocket: {frame:?}"));
                }
                _ => continue,
            };
            if text == "pong" {
                return Ok(Heard::Pong);
            }
            let frame: Value = serde_json::from_str(&text)
                .map_err(|error| format!("control sent what is no frame: {error}"))?;
            if let Some(sequence) = frame["control"]["sequence"].as_u64() {
                self.received = self.received.max(sequence);
            }
            if frame["control"]["type"] != "acknowledgement" {
                return Ok(Heard::Frame(frame));
            }
        }
    }
}

/// What a browser hears.
pub enum Heard {
    /// The answer to `ping`.
    Pong,
    /// A frame.
    Frame(Value),
}

fn user_of(answer: &Value) -> &str {
    answer["header"]["target"].as_str().unwrap_or("")
}

/// The offer of a browser whose own MSRP URI is `path`.
pub fn offer(path: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
         m=message 9 TCP/MSRP *\r\na=path:{path}\r\na=setup:active\r\n\
         a=accept-types:text/plain\r\na=max-size:1000000\r\na=sendrecv\r\n"
    )
}

/// The browser's MSRP connection.
pub struct Media {
    socket: WebSocketStream<TcpStream>,
    reader: Reader,
    relay_uri: String,
    own_uri: String,
}

impl Media {
    /// Connects to where an answer says, and says who it is. Ends when that was answered.
    pub async fn bind(answer: &str, own_uri: &str) -> Result<Media, String> {
        let attribute = |name: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::to_owned)
                .ok_or_else(|| format!("the answer has no {name} line"))
        };
        let relay_uri = attribute("a=path:")?;
        let resource = attribute("a=ws-resource-path:")?;
        let authority = relay_uri.split('/').nth(2).unwrap_or("");
        let address = authority.parse();
        let address = address.map_err(|_| format!("the path {relay_uri} has no address"))?;
        let mut media = Media {
            socket: open(address, &resource, "msrp").await?,
            reader: Reader::default(),
            relay_uri,
            own_uri: own_uri.to_owned(),
        };
        let mut hello = Vec::new();
        let (to, from) = (&media.relay_uri, &media.own_uri);
        writer::bodiless(&mut hello, "hello000", to, from, "hello000");
        media.write(hello).await?;
        while media.status("hello000").await?.is_none() {}
        Ok(media)
    }

    /// Sends a text.
    pub async fn text(&mut self, id: &str, text: &str) -> Result<(), String> {
        let send = writer::Send {
            to_path: &self.relay_uri,
            from_path: &self.own_uri,
            message_id: id,
            success_report: false,
            failure_report: false,
        };
        let total = text.len() as u64;
        let range = writer::Range {
            start: 1,
            end: Some(total),
            total,
        };
        let mut chunk = Vec::new();
        writer::send_head(&mut chunk, id, &send, range, "text/plain");
        chunk.extend_from_slice(text.as_bytes());
        writer::end_line(&mut chunk, id, crate::msrp::Flag::Last);
        self.write(chunk).await
    }

    async fn write(&mut self, chunk: Vec<u8>) -> Result<(), String> {
        let sent = self.socket.send(Message::binary(chunk)).await;
        sent.map_err(|error| format!("the media's WebSocket: {error}"))
    }

    /// Reads one message; `Some` if it holds the response to the transaction `tid`.
    async fn status(&mut self, tid: &str) -> Result<Option<()>, String> {
        let Some(message) = self.socket.next().await else {
            return Err("the relay closed the media's WebSocket".to_owned());
        };
        let message = message.map_err(|error| format!("the media's WebSocket: {error}"))?;
        let octets = message.into_data();
        let mut found = None;
        for piece in octets.chunks(1024) {
            self.reader.space()[..piece.len()].copy_from_slice(piece);
            self.reader.filled(piece.len());
            while let Some(event) = self.reader.event().map_err(|error| error.to_string())? {
                match event {
                    Event::Head(head) if head.tid == tid => match head.kind {
                        Kind::Response(200) => found = Some(()),
                        other => return Err(format!("the relay answered {other:?}")),
                    },
                    _ => {}
                }
            }
        }
        Ok(found)
    }
}

/// Opens a WebSocket.
async fn open(
    address: SocketAddr,
    resource: &str,
    protocol: &'static str,
) -> Result<WebSocketStream<TcpStream>, String> {
    let url = format!("ws://{address}{resource}");
    let failed = |why: &dyn std::fmt::Display| format!("{url}: {why}");
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| failed(&error))?;
    stream.set_nodelay(true).map_err(|error| failed(&error))?;
    let mut request = url
        .as_str()
        .into_client_request()
        .map_err(|error| failed(&error))?;
    let protocol = HeaderValue::from_static(protocol);
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", protocol);
    let opened = client_async(request, stream).await;
    Ok(opened.map_err(|error| failed(&error))?.0)
}
