//! Control on real sockets: handshakes, close codes, the operator's pages, a relay that comes and goes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use link::{Command, CreatedLeg, Event, Record};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocket};
use tungstenite::{Error, Message};

use super::Server;
use crate::config::{Application, Config, Limits};
use crate::limits::MESSAGE_BYTES_MAX;

mod push;
mod scripts;

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Control on free ports, with a runtime of its own.
struct Control {
    runtime: tokio::runtime::Runtime,
    server: Option<Server>,
    http: SocketAddr,
    admin: Option<SocketAddr>,
    relay: PathBuf,
}

impl Control {
    fn start(name: &str) -> Control {
        Control::with(name, |_| {})
    }

    /// With packages of an operator's, who has a port apart.
    fn with_packages(name: &str, packages: PathBuf) -> Control {
        Control::with(name, |config| {
            config.packages = Some(packages);
            config.admin = Some("127.0.0.2:0".parse().unwrap());
        })
    }

    /// With another configuration.
    fn with(name: &str, change: impl FnOnce(&mut Config)) -> Control {
        let relay = format!("causeway-edge-{}-{name}.sock", std::process::id());
        let relay = std::env::temp_dir().join(relay);
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let listed = Application {
            origins: Some(vec!["https://app.example.com".into()]),
            ..Application::default()
        };
        let mut config = Config {
            domain: "localhost".into(),
            http: any,
            demo: true,
            sdk_folder: None,
            admin: Some(any),
            sip: crate::config::Sip {
                listen: any,
                ..Default::default()
            },
            relay: relay.clone(),
            packages: None,
            constants: BTreeMap::new(),
            state: None,
            applications: [
                ("demo".into(), Application::default()),
                ("closed".into(), listed),
            ]
            .into(),
            legs: crate::config::legs_in_the_clear(),
            ice: crate::config::Ice::default(),
            limits: Limits::default(),
        };
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(Server::start(&config)).unwrap();
        let (http, admin) = (server.http, server.admin);
        let server = Some(server);
        Control {
            runtime,
            server,
            http,
            admin,
            relay,
        }
    }

    /// The answer to a GET: its first line, headers and body as one text.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.http).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Asks for /healthz until it says this.
    fn wait_for_health(&self, status: &str) {
        let start = std::time::Instant::now();
        while !self.get("/healthz").starts_with(status) {
            assert!(start.elapsed() < PATIENCE, "never {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A handshake: the socket, or the status that refused it.
    fn handshake(
        &self,
        application: &str,
        protocol: Option<&str>,
        origin: Option<&str>,
    ) -> Result<(WebSocket<TcpStream>, String), u16> {
        let url = format!("ws://{}/ws/webrtc/{application}", self.http);
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        if let Some(protocol) = protocol {
            headers.insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert("Origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match tungstenite::client::client(request, stream) {
            Ok((socket, response)) => {
                let chosen = &response.headers()["Sec-WebSocket-Protocol"];
                Ok((socket, chosen.to_str().unwrap().to_owned()))
            }
            Err(tungstenite::HandshakeError::Failure(Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn browser(&self) -> WebSocket<TcpStream> {
        self.handshake("demo", Some("jsonrtc"), None).unwrap().0
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }
}

fn text(socket: &mut WebSocket<TcpStream>) -> String {
    match socket.read().unwrap() {
        Message::Text(text) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

fn close_code(socket: &mut WebSocket<TcpStream>) -> u16 {
    loop {
        match socket.read() {
            Ok(Message::Close(Some(frame))) => return frame.code.into(),
            Ok(_) => {}
            Err(error) => panic!("no close frame: {error}"),
        }
    }
}

/// Closes as a session's end, or before hibernating.
fn close_normally(socket: &mut WebSocket<TcpStream>) {
    let frame = CloseFrame {
        code: CloseCode::Normal,
        reason: "Normal close".into(),
    };
    socket.close(Some(frame)).unwrap();
    assert_eq!(close_code(socket), 1000);
}

const CONNECT: &str = r#"{"control":{"type":"request","package_type":"register","sequence":1,"version":"1.0"},
    "header":{"action":"connect","initiator":"alice","target":"alice"}}"#;

#[test]
fn a_handshake_is_answered_by_what_was_offered() {
    let control = Control::start("handshake");
    let chosen = |offer| {
        control
            .handshake("demo", offer, None)
            .map(|(_, chosen)| chosen)
    };
    assert_eq!(
        chosen(Some("webrtc.oracle.com")).as_deref(),
        Ok("webrtc.oracle.com")
    );
    assert_eq!(chosen(Some("msrp, jsonrtc")).as_deref(), Ok("jsonrtc"));
    assert_eq!(chosen(Some("msrp")), Err(400));
    assert_eq!(chosen(None), Err(400));
    let status = |application, origin| {
        control
            .handshake(application, Some("jsonrtc"), origin)
            .err()
    };
    assert_eq!(status("nowhere", None), Some(404));
    assert_eq!(status("closed", Some("https://evil.example")), Some(403));
    assert_eq!(status("closed", Some("https://app.example.com")), None);
}

#[test]
fn a_browser_is_answered_and_cut_off_with_the_codes_of_the_protocol() {
    let control = Control::start("codes");
    let mut socket = control.browser();
    socket.send("ping".into()).unwrap();
    assert_eq!(text(&mut socket), "pong");
    socket.send(CONNECT.into()).unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text(&mut socket)).unwrap();
    assert_eq!(answer["header"]["response_code"], 200);
    assert_eq!(answer["header"]["initiator"], "alice@localhost");
    assert_eq!(answer["payload"]["timers"]["idle_time_limit"], 30_000);
    socket.send(Message::Binary(vec![1, 2].into())).unwrap();
    assert_eq!(close_code(&mut socket), 1003);

    let mut socket = control.browser();
    // Not on its way as a whole when the answer comes: the rest may be cut off.
    let _ = socket.send("x".repeat(MESSAGE_BYTES_MAX + 1).into());
    assert_eq!(close_code(&mut socket), 1009);

    let mut socket = control.browser();
    socket.send("x".repeat(MESSAGE_BYTES_MAX).into()).unwrap();
    assert!(
        text(&mut socket).contains("\"error_code\":400"),
        "the largest message is read"
    );
}

#[test]
fn a_browser_that_closes_gets_a_close_frame_back() {
    let control = Control::start("farewell");
    let mut socket = control.browser();
    socket.send("ping".into()).unwrap();
    assert_eq!(text(&mut socket), "pong");
    close_normally(&mut socket);
}

#[test]
fn pages_are_served_and_nothing_else() {
    let control = Control::start("pages");
    assert!(control.get("/").contains("location: /demo/\r\n"));
    assert!(
        control
            .get("/demo/")
            .contains("content-type: text/html; charset=utf-8\r\n")
    );
    assert!(
        control
            .get("/sdk/wsc.js")
            .contains("content-type: text/javascript; charset=utf-8\r\n")
    );
    for path in [
        "/sdk/",
        "/sdk/../demo/demo.js",
        "/sdk/%2e%2e/package.json",
        "/demo/nothing",
        "/scripts/trace",
        "/x",
    ] {
        assert!(control.get(path).starts_with("HTTP/1.1 404"), "{path}");
    }
}

/// A relay without media: attaches one control, makes every session it is asked for.
fn fake_relay(path: PathBuf, end: mpsc::Receiver<()>) -> std::thread::JoinHandle<usize> {
    let mut listener = link::Listener::bind(path, 1).unwrap();
    std::thread::spawn(move || {
        let waker = listener.shard_wakers().unwrap().remove(0);
        let mut attached = listener.accept().unwrap();
        let shard = &mut attached.shards[0];
        let (mut record, mut heard) = (Record::new(), 0);
        while end.try_recv().is_err() {
            while shard.commands.pop(&mut record).unwrap() {
                heard += 1;
                let event = match Command::decode(&record).unwrap() {
                    Command::List { token } => Event::ListEnd { token },
                    Command::Create { session, .. } => {
                        let leg = CreatedLeg {
                            path: b"msrp://127.0.0.1:1/x;tcp",
                            resource: b"",
                            fingerprint: None,
                        };
                        Event::Created {
                            session,
                            legs: [leg; 2],
                        }
                    }
                    _ => continue,
                };
                let mut answer = Record::new();
                event.encode(&mut answer).unwrap();
                shard.events.push(&answer).unwrap();
            }
            if shard.commands.sleep() {
                waker.wait(Some(Duration::from_millis(50))).unwrap();
                waker.clear().unwrap();
            }
            shard.commands.awake();
        }
        heard
    })
}

#[test]
fn a_relay_may_come_late_die_and_come_back() {
    let control = Control::start("relay");
    control.wait_for_health("HTTP/1.1 503");
    assert!(!control.get("/metrics").contains("relay_shard_"));
    for attachment in 1..=2 {
        let (end, ended) = mpsc::channel();
        let relay = fake_relay(control.relay.clone(), ended);
        control.wait_for_health("HTTP/1.1 200");
        let page = control.get("/metrics");
        assert!(
            page.contains("causeway_relay_shard_sessions{shard=\"0\"} 0\n"),
            "{page}"
        );
        let attached = format!("causeway_relay_attachments_total {attachment}\n");
        assert!(page.contains(&attached), "{page}");
        end.send(()).unwrap();
        assert_eq!(relay.join().unwrap(), 1, "it is asked for its sessions");
        control.wait_for_health("HTTP/1.1 503");
    }
    assert!(
        control
            .get("/metrics")
            .contains("causeway_relay_lost_total 2\n")
    );
}

#[test]
fn a_taken_port_is_told_with_its_setting() {
    let control = Control::start("taken");
    let config = Config::read(&format!(
        "domain = \"localhost\"\n[http]\nlisten = \"{}\"\n[applications.demo]\n",
        control.http
    ));
    let error = control
        .runtime
        .block_on(Server::start(&config.unwrap()))
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(text.contains("(http.listen) is taken"), "{text}");
}
