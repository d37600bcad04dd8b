//! Whole handsets against each other over loopback: calls, texts, files.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use sha2::{Digest, Sha256};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::agent::Agent;
use super::console::{Command, Event};
use super::incoming::hexadecimal;
use super::settings::Arguments;
use super::sip::{Message, Start};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

struct Handset {
    events: mpsc::UnboundedReceiver<Event>,
    commands: mpsc::Sender<Command>,
    sip: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Handset {
    async fn start(user: &str, more: &[&str]) -> Handset {
        let aor = format!("sip:{user}@localhost");
        let words = ["handset", "--aor", &aor]
            .into_iter()
            .chain(more.iter().copied());
        let settings = Line::try_parse_from(words)
            .unwrap()
            .arguments
            .check()
            .unwrap();
        let (event_sender, events) = mpsc::unbounded_channel();
        let (commands, queue) = mpsc::channel(16);
        let agent = Agent::open(settings, event_sender, queue).await.unwrap();
        let sip = agent.sip_address();
        Handset {
            events,
            commands,
            sip,
            task: tokio::spawn(agent.run()),
        }
    }

    async fn command(&self, line: &str) {
        self.commands
            .send(Command::parse(line).unwrap())
            .await
            .unwrap();
    }

    /// Waits for an event for which `pick` gives something.
    async fn until<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let mut seen = Vec::new();
        let waiting = async {
            loop {
                let event = self
                    .events
                    .recv()
                    .await
                    .unwrap_or_else(|| panic!("{what}: it left"));
                if let Some(picked) = pick(&event) {
                    return picked;
                }
                seen.push(event);
            }
        };
        let limit = std::time::Duration::from_secs(50);
        let waited = tokio::time::timeout(limit, waiting).await;
        waited.unwrap_or_else(|_| panic!("{what} did not happen; seen: {seen:?}"))
    }

    async fn text(&mut self) -> String {
        let text = |event: &Event| match event {
            Event::Message { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.until("a text", text).await
    }

    async fn content(&mut self) -> (u64, String) {
        let content = |event: &Event| match event {
            Event::Received { bytes, sha256, .. } => Some((*bytes, sha256.clone())),
            _ => None,
        };
        self.until("a file", content).await
    }

    /// The BYE and the end of the MSRP connection travel apart: either may be here first.
    async fn other_side_ended(&mut self) {
        let why = self.ended().await;
        let known = [
            "the other side hung up",
            "the peer closed the MSRP connection",
        ];
        assert!(known.contains(&why.as_str()), "{why}");
    }

    async fn ended(&mut self) -> String {
        let ended = |event: &Event| match event {
            Event::Ended { why, .. } => Some(why.clone()),
            _ => None,
        };
        self.until("the end of the call", ended).await
    }

    async fn happens(&mut self, what: &str, is: impl Fn(&Event) -> bool) {
        self.until(what, |event| is(event).then_some(())).await;
    }
}

async fn two_talk(transport: &str, answerer: &[&str]) {
    let own = ["--transport", transport];
    let mut bob = Handset::start("bob", &[&own, answerer].concat()).await;
    let mut alice = Handset::start("alice", &own).await;
    alice.command(&format!("call sip:bob@{}", bob.sip)).await;
    bob.happens(
        "a call",
        |e| matches!(e, Event::Incoming { from, .. } if from == "alice@localhost"),
    )
    .await;
    bob.happens("an open chat", |e| matches!(e, Event::Open { .. }))
        .await;
    alice
        .happens("an open chat", |e| matches!(e, Event::Open { .. }))
        .await;
    alice.command("say hello over the wall").await;
    assert_eq!(bob.text().await, "hello over the wall");
    // The response and the report take different ways inside; either may be told first.
    let fate = |event: &Event| match event {
        Event::Sent { id, .. } | Event::Delivered { id, .. } => {
            Some((id.clone(), matches!(event, Event::Sent { .. })))
        }
        _ => None,
    };
    let fates = [
        alice.until("a fate", fate).await,
        alice.until("a fate", fate).await,
    ];
    assert_eq!(fates[0].0, fates[1].0);
    assert_ne!(fates[0].1, fates[1].1);
    bob.command("say hello back").await;
    assert_eq!(alice.text().await, "hello back");
    bob.command("bye").await;
    alice.other_side_ended().await;
    assert_eq!(bob.ended().await, "this side hung up");
    for handset in [alice, bob] {
        handset.command("quit").await;
        handset.task.await.unwrap();
    }
}

#[tokio::test]
async fn two_handsets_talk_over_udp_with_the_answerer_connecting() {
    two_talk("udp", &[]).await;
}

#[tokio::test]
async fn two_handsets_talk_over_tcp_with_the_caller_connecting() {
    two_talk("tcp", &["--passive"]).await;
}

#[tokio::test]
async fn say_reply_and_echo_do_what_they_promise() {
    let mut bob = Handset::start(
        "bob",
        &["--echo", "--say", "hi", "--reply", "one", "--reply", "two"],
    )
    .await;
    let mut alice = Handset::start("alice", &[]).await;
    alice.command(&format!("call sip:bob@{}", bob.sip)).await;
    assert_eq!(alice.text().await, "hi");
    for (said, answered) in [
        ("a", ["one", "a"]),
        ("b", ["two", "b"]),
        ("c", ["one", "c"]),
    ] {
        alice.command(&format!("say {said}")).await;
        assert_eq!([alice.text().await, alice.text().await], answered);
        assert_eq!(bob.text().await, said);
    }
}

async fn file_there_and_back(more: &[&str], bytes: usize) {
    let mut bob = Handset::start("bob", &[&["--echo"], more].concat()).await;
    let mut alice = Handset::start("alice", more).await;
    let octets: Vec<u8> = (0..bytes as u64)
        .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect();
    let sha256 = hexadecimal(&Sha256::digest(&octets));
    let path = TempFile::with(&octets);
    alice.command(&format!("call sip:bob@{}", bob.sip)).await;
    alice
        .happens("an open chat", |e| matches!(e, Event::Open { .. }))
        .await;
    alice.command(&format!("file {}", path.0.display())).await;
    assert_eq!(bob.content().await, (bytes as u64, sha256.clone()));
    assert_eq!(alice.content().await, (bytes as u64, sha256));
}

struct TempFile(PathBuf);

impl TempFile {
    fn with(octets: &[u8]) -> TempFile {
        let path = std::env::temp_dir().join(format!("causeway-test-{}", super::sip::token(8)));
        std::fs::write(&path, octets).unwrap();
        TempFile(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_file_of_5_mb_comes_back_unchanged_in_chunks() {
    file_there_and_back(&[], 5_000_000).await;
}

#[tokio::test]
async fn a_file_of_5_mb_comes_back_unchanged_in_small_chunks() {
    file_there_and_back(&["--chunk", "2048"], 5_000_000).await;
}

#[tokio::test]
async fn a_file_of_5_mb_comes_back_unchanged_in_one_chunk() {
    file_there_and_back(&["--one-chunk"], 5_000_000).await;
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_with_413_and_the_chat_goes_on() {
    let mut bob = Handset::start("bob", &["--max-size", "1000"]).await;
    let mut alice = Handset::start("alice", &[]).await;
    let path = TempFile::with(&[7; 200_000]);
    alice.command(&format!("call sip:bob@{}", bob.sip)).await;
    alice
        .happens("an open chat", |e| matches!(e, Event::Open { .. }))
        .await;
    alice.command(&format!("file {}", path.0.display())).await;
    alice
        .happens("a refusal", |e| {
            matches!(e, Event::Failed { status: 413, .. })
        })
        .await;
    alice.command("say still here").await;
    assert_eq!(bob.text().await, "still here");
}

#[tokio::test]
async fn a_declined_call_says_why() {
    let mut bob = Handset::start("bob", &["--decline", "603"]).await;
    let mut alice = Handset::start("alice", &[]).await;
    alice.command(&format!("call sip:bob@{}", bob.sip)).await;
    alice
        .happens("a decline", |e| {
            matches!(e, Event::Declined { status: 603, .. })
        })
        .await;
    assert_eq!(bob.ended().await, "declined with 603");
}

#[tokio::test]
async fn a_ringing_call_is_cancelled_with_487() {
    let mut bob = Handset::start("bob", &["--ring-ms", "60000"]).await;
    let mut alice = Handset::start("alice", &[]).await;
    alice.command(&format!("call sip:bob@{}", bob.sip)).await;
    alice
        .happens("ringing", |e| matches!(e, Event::Ringing { .. }))
        .await;
    alice.command("bye").await;
    alice
        .happens("487", |e| matches!(e, Event::Declined { status: 487, .. }))
        .await;
    assert_eq!(bob.ended().await, "the other side cancelled");
}

#[tokio::test]
async fn several_chats_go_on_at_once() {
    let mut bob = Handset::start("bob", &["--echo"]).await;
    let mut alice = Handset::start("alice", &[]).await;
    for chat in 1..=3 {
        alice.command(&format!("call sip:bob@{}", bob.sip)).await;
        alice
            .happens(
                "a chat",
                |e| matches!(e, Event::Open { chat: open } if *open == chat),
            )
            .await;
    }
    for chat in [2, 1, 3] {
        alice.command(&format!("use {chat}")).await;
        alice.command(&format!("say in {chat}")).await;
        let came = |event: &Event| match event {
            Event::Message { chat, text, .. } => Some((*chat, text.clone())),
            _ => None,
        };
        assert_eq!(
            alice.until("an echo", came).await,
            (chat, format!("in {chat}"))
        );
    }
    alice.command("quit").await;
    for _ in 0..3 {
        bob.other_side_ended().await;
    }
}

/// Takes registrations and sends requests on to whoever is registered. Drops every `lossy`th
/// datagram. It knows no transactions; responses find their way by Via.
async fn fake_proxy(lossy: usize) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bindings = std::collections::HashMap::new();
        let mut buffer = vec![0; 65536];
        for count in 1usize.. {
            let (bytes, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let mut message = Message::parse(&buffer[..bytes]).unwrap();
            if lossy > 0 && count.is_multiple_of(lossy) {
                continue;
            }
            let user = |uri: &str| uri.split('@').next().unwrap_or("").to_owned();
            match message.start.clone() {
                Start::Request { method, .. } if method == "REGISTER" => {
                    let aor = message.address("To").unwrap().uri;
                    bindings.insert(user(&aor), peer);
                    let mut response = Message::response(&message, 200, "t");
                    response.push("Contact", message.header("Contact").unwrap());
                    socket.send_to(&response.encode(), peer).await.unwrap();
                }
                Start::Request { uri, .. } => {
                    let via = format!("SIP/2.0/UDP {address};branch={}-p;received={peer}", {
                        message.branch().unwrap()
                    });
                    message.headers.insert(0, ("Via".into(), via));
                    let Some(target) = bindings.get(&user(&uri)) else {
                        let response = Message::response(&message, 404, "t");
                        socket.send_to(&response.encode(), peer).await.unwrap();
                        continue;
                    };
                    socket.send_to(&message.encode(), target).await.unwrap();
                }
                Start::Response { .. } => {
                    let via = message.headers.remove(0).1;
                    let back = via.split("received=").nth(1).unwrap();
                    socket.send_to(&message.encode(), back).await.unwrap();
                }
            }
        }
    });
    address
}

#[tokio::test]
async fn registered_handsets_reach_each_other_by_name() {
    let proxy = fake_proxy(0).await.to_string();
    let mut bob = Handset::start("bob", &["--registrar", &proxy, "--echo"]).await;
    bob.happens("registered", |e| {
        matches!(e, Event::Registered { expires: 3600, .. })
    })
    .await;
    let call = [
        "--registrar",
        &proxy,
        "--call",
        "sip:bob@localhost",
        "--say",
        "hello",
    ];
    let mut alice = Handset::start("alice", &call).await;
    assert_eq!(alice.text().await, "hello");
    alice.command("quit").await;
    alice
        .happens("unregistered", |e| matches!(e, Event::Unregistered { .. }))
        .await;
    bob.other_side_ended().await;
    alice.task.await.unwrap();
}

#[tokio::test]
async fn lost_datagrams_only_cost_time() {
    let proxy = fake_proxy(3).await.to_string();
    let mut bob = Handset::start("bob", &["--registrar", &proxy, "--echo"]).await;
    bob.happens("registered", |e| matches!(e, Event::Registered { .. }))
        .await;
    let call = [
        "--registrar",
        &proxy,
        "--call",
        "sip:bob@localhost",
        "--say",
        "hello",
    ];
    let mut alice = Handset::start("alice", &call).await;
    assert_eq!(alice.text().await, "hello");
    alice.command("bye").await;
    bob.other_side_ended().await;
}

#[tokio::test]
async fn requests_out_of_place_get_their_status() {
    let bob = Handset::start("bob", &[]).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for (method, to, status) in [
        ("OPTIONS", "<sip:bob@localhost>", 200),
        ("MESSAGE", "<sip:bob@localhost>", 415),
        ("PUBLISH", "<sip:bob@localhost>", 405),
        ("BYE", "<sip:bob@localhost>;tag=none", 481),
        ("CANCEL", "<sip:bob@localhost>", 481),
        ("INVITE", "<sip:bob@localhost>", 488),
    ] {
        let mut request = Message::request(method, "sip:bob@localhost");
        let local = socket.local_addr().unwrap();
        request.push("Via", format!("SIP/2.0/UDP {local};branch=z9hG4bK{method}"));
        request.push("From", "<sip:x@localhost>;tag=1");
        request.push("To", to);
        request.push("Contact", format!("<sip:x@{local}>"));
        request.push("Call-ID", method);
        request.push("CSeq", format!("1 {method}"));
        socket.send_to(&request.encode(), bob.sip).await.unwrap();
        let mut buffer = [0; 4096];
        let bytes = socket.recv(&mut buffer).await.unwrap();
        let response = Message::parse(&buffer[..bytes]).unwrap();
        assert_eq!(response.status(), Some(status), "{method}");
    }
}

#[tokio::test]
async fn a_text_without_a_call_is_answered_and_what_became_of_it_is_told() {
    let mut bob = Handset::start("bob", &[]).await;
    let mut alice = Handset::start("alice", &[]).await;
    let bob_at = format!("sip:bob@{}", bob.sip);
    alice
        .command(&format!("text {bob_at} See you at noon"))
        .await;
    let text = |event: &Event| match event {
        Event::Text { text, .. } => Some(text.clone()),
        _ => None,
    };
    assert_eq!(bob.until("the text", text).await, "See you at noon");
    let answered = |event: &Event| matches!(event, Event::TextAnswered { status: 200, .. });
    alice.happens("its answer", answered).await;
    alice.command(&format!("options {bob_at}")).await;
    let tags = |event: &Event| match event {
        Event::Capabilities {
            status: 200, tags, ..
        } => Some(tags.clone()),
        _ => None,
    };
    assert!(
        alice
            .until("the tags", tags)
            .await
            .starts_with("+g.oma.sip-im;")
    );
    bob.happens("the question", |event| matches!(event, Event::Asked { .. }))
        .await;
}

#[tokio::test]
async fn in_envelopes_texts_are_confirmed_and_typing_is_told() {
    let mut bob = Handset::start("bob", &["--wrap"]).await;
    let call = format!("sip:bob@{}", bob.sip);
    let mut alice = Handset::start("alice", &["--call", &call, "--wrap"]).await;
    alice
        .happens("the chat", |event| matches!(event, Event::Open { .. }))
        .await;
    alice.command("typing on").await;
    bob.happens("typing", |event| {
        matches!(event, Event::Typing { active: true, .. })
    })
    .await;
    alice.command("say Hello").await;
    assert_eq!(bob.text().await, "Hello");
    for wanted in ["delivered", "displayed"] {
        let told =
            |event: &Event| matches!(event, Event::Notified { status, .. } if status == wanted);
        alice.happens(wanted, told).await;
    }
}

#[tokio::test]
async fn a_file_is_offered_comes_whole_and_is_refused_where_it_is_too_large() {
    let mut bob = Handset::start("bob", &["--max-size", "200000"]).await;
    let mut alice = Handset::start("alice", &[]).await;
    let path = std::env::temp_dir().join(format!("causeway-handset-{}", std::process::id()));
    let octets: Vec<u8> = (0..150_000_u32).map(|at| (at % 251) as u8).collect();
    std::fs::write(&path, &octets).unwrap();
    let send = format!("send sip:bob@{} {}", bob.sip, path.display());
    alice.command(&send).await;
    assert_eq!(
        bob.content().await,
        (150_000, hexadecimal(&Sha256::digest(&octets)))
    );
    bob.other_side_ended().await;
    std::fs::write(&path, vec![0; 200_001]).unwrap();
    alice.command(&send).await;
    let refused = |event: &Event| matches!(event, Event::Declined { status: 403, .. });
    alice.happens("the refusal", refused).await;
    std::fs::remove_file(&path).unwrap();
}
