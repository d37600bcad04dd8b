//! One chat: an MSRP session on its own connection, from set-up to end. RFC 4975.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{mpsc, oneshot};

use super::cpim;
use super::endpoint::{Bound, Place};
use super::files::{FileOffer, Sending, Shelf};
use super::incoming::{Assembler, Complete, Content, Remembered};
use super::outgoing::{Fate, Order, Outgoing, Writer};
use super::sip::dialog::short_name;
use super::sip::token;
use crate::msrp::{Event, FailureReport, Flag, Head, Kind, Reader, session_id, writer};

/// How long the connection may take to come up.
const CONNECTING: Duration = Duration::from_secs(60);
/// How long what is being written may take when the chat ends.
const CLOSING: Duration = Duration::from_secs(1);
/// Orders to the writing half that may wait; more than its window of answers needs.
const ORDERS: usize = 256;
/// What may be wished for before there is a connection; more has to wait.
const WISHES_EARLY_MAX: usize = 64;
/// Texts up to this length are shown; of longer ones only size and hash.
const SHOWN_BYTES_MAX: u64 = 16 * 1024;

/// How this handset behaves in a chat.
#[derive(Debug, Clone)]
pub struct Manners {
    /// Send everything back.
    pub echo: bool,
    /// Texts to send when the chat opens.
    pub say: Vec<String>,
    /// Texts to answer incoming texts with, one each, again from the start after the last.
    pub replies: Vec<String>,
    /// Octets of a chunk; `None` sends each message as one.
    pub chunk_bytes: Option<u64>,
    /// Larger messages are refused with 413.
    pub message_bytes_max: u64,
    /// Wants texts in envelopes, and sends them so.
    pub wraps: bool,
    /// Tells senders who ask for it what became of their messages.
    pub notifies: bool,
    /// Takes envelopes only, and passes them on instead of reading them.
    pub mixes: bool,
}

/// How the connection comes about.
#[derive(Debug)]
pub enum Way {
    /// This side connects to this host and port.
    Connect(String),
    /// The peer does.
    Await(oneshot::Receiver<Bound>),
}

/// Who the two sides are.
pub struct Parties {
    /// Our place at the endpoint, with our URI.
    pub place: Place,
    /// The peer's whole path.
    pub peer_path: String,
    /// Our address-of-record and the peer's.
    pub names: (String, String),
    /// Whether the peer takes text without a wrapper.
    pub takes_plain: bool,
    /// Whether one text that comes is all it is for.
    pub is_letter: bool,
    /// The file that comes, if it is for one, and where it is kept if it is cut off.
    pub file: Option<(FileOffer, Shelf)>,
}

/// What the user wants.
#[derive(Debug)]
pub enum Wish {
    /// Send a text.
    Say(String),
    /// Send a file.
    File(PathBuf),
    /// Send the file that the session is for.
    Transfer(Box<Sending>),
    /// Break the connection off.
    Cut,
    /// Say that the user types, or does not any more.
    Typing(bool),
    /// Pass on what another has said: its type and its octets.
    PassOn(String, Vec<u8>),
}

/// What the chat tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Messages can flow.
    Open,
    /// A text came; in a group its envelope says from whom.
    Text {
        id: String,
        text: String,
        author: Option<String>,
    },
    /// The one text of a session came.
    Letter {
        envelope: cpim::Envelope,
        text: String,
    },
    /// A mixer got something to pass on.
    PassOn {
        author: Option<String>,
        content_type: String,
        content: Vec<u8>,
    },
    /// Something else came, or a long text.
    Content {
        id: String,
        content_type: String,
        bytes: u64,
        sha256: String,
    },
    /// The other side types, or does not any more.
    Typing { active: bool },
    /// What became of a message, as its receiver says.
    Notified { id: String, status: String },
    /// The peer has taken every chunk of a message.
    Sent { id: String },
    /// The peer has the whole message.
    Delivered { id: String },
    /// A message did not get through.
    Failed { id: String, status: u16 },
    /// A wish can't be carried out.
    Refused { why: String },
    /// The connection is gone; the reason.
    Lost { cause: String },
}

/// Where the news of one chat go.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The chat's number.
    pub chat: u32,
    /// The news of all chats.
    pub all: mpsc::UnboundedSender<(u32, News)>,
}

impl Desk {
    fn send(&self, news: News) {
        // When nobody listens any more the handset is going away.
        let _ = self.all.send((self.chat, news));
    }
}

/// Runs one chat. It ends when `wishes` is closed or the connection is lost; the latter is told.
pub async fn run(
    parties: Parties,
    way: Way,
    manners: Manners,
    mut wishes: mpsc::Receiver<Wish>,
    news: Desk,
) {
    let connecting = tokio::time::timeout(CONNECTING, connect(way));
    tokio::pin!(connecting);
    let mut early = Vec::new();
    let connected = loop {
        tokio::select! {
            connected = &mut connecting => break connected.unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "no MSRP connection within 60 s"))
            }),
            wish = wishes.recv(), if early.len() < WISHES_EARLY_MAX => match wish {
                Some(wish) => early.push(wish),
                None => return,
            },
        }
    };
    let ended = match connected {
        Ok(connection) => talk(connection, &parties, &manners, early, wishes, &news).await,
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        news.send(News::Lost {
            cause: error.to_string(),
        });
    }
}

struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    is_ours: bool,
}

async fn connect(way: Way) -> io::Result<Connection> {
    let connection = match way {
        Way::Connect(host_port) => {
            let connected = TcpStream::connect(host_port.as_str()).await;
            let stream = connected.map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("no MSRP connection to {host_port}: {error}"),
                )
            })?;
            Connection {
                stream,
                read: Vec::new(),
                is_ours: true,
            }
        }
        Way::Await(bound) => {
            let gone = |_| io::Error::from(io::ErrorKind::ConnectionAborted);
            let Bound { stream, read } = bound.await.map_err(gone)?;
            Connection {
                stream,
                read,
                is_ours: false,
            }
        }
    };
    connection.stream.set_nodelay(true)?;
    Ok(connection)
}

async fn talk(
    connection: Connection,
    parties: &Parties,
    manners: &Manners,
    early: Vec<Wish>,
    mut wishes: mpsc::Receiver<Wish>,
    news: &Desk,
) -> io::Result<()> {
    let (read_half, write_half) = connection.stream.into_split();
    let (orders, order_queue) = mpsc::channel(ORDERS);
    let (fate_sender, mut fates) = mpsc::unbounded_channel();
    let own_uri = parties.place.uri.clone();
    let path = &parties.peer_path;
    let chunk_bytes = manners.chunk_bytes;
    let mut writer = Writer::new(write_half, &own_uri, path, chunk_bytes, fate_sender);
    if connection.is_ours {
        writer.bodiless().await?;
    }
    news.send(News::Open);
    let mut writing = tokio::spawn(writer.run(order_queue));
    let mut incoming = Incoming {
        parties,
        manners,
        orders: orders.clone(),
        news: news.clone(),
        assembler: match parties.file.clone() {
            Some((file, shelf)) => Assembler::file(manners.message_bytes_max, file, shelf),
            None => Assembler::new(manners.message_bytes_max),
        },
        remembered: Remembered::default(),
        current: Current::Nothing,
        replies_given: 0,
    };
    for text in &manners.say {
        incoming.say(text).await?;
    }
    let sender = Sender {
        parties,
        orders: orders.clone(),
        news: news.clone(),
    };
    for wish in early {
        sender.carry_out(wish).await?;
    }
    let mut reading = Box::pin(incoming.read(read_half, connection.read));
    let result = loop {
        tokio::select! {
            ended = &mut reading => break ended,
            ended = &mut writing => {
                return ended.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
            }
            Some(fate) = fates.recv() => {
                news.send(match fate {
                    Fate::Sent(id) => News::Sent { id },
                    Fate::Failed(id, status) => News::Failed { id, status },
                });
            }
            wish = wishes.recv() => match wish {
                Some(Wish::Cut) => {
                    // What has come is kept, and the loss told, before anybody can notice it and say BYE.
                    drop(reading);
                    drop(incoming);
                    news.send(News::Lost { cause: "it was cut off".to_owned() });
                    writing.abort();
                    return Ok(());
                }
                Some(wish) => sender.carry_out(wish).await?,
                None => break Ok(()),
            },
        }
    };
    // What has come of a file is kept from now on, for its rest may come at once.
    drop(reading);
    drop(incoming);
    // The writer may be stuck with a peer that reads nothing: then the connection is dropped.
    let _ = tokio::time::timeout(CLOSING, orders.send(Order::Close)).await;
    if tokio::time::timeout(CLOSING, &mut writing).await.is_err() {
        writing.abort();
    }
    result
}

/// Turns wishes into messages.
struct Sender<'a> {
    parties: &'a Parties,
    orders: mpsc::Sender<Order>,
    news: Desk,
}

impl Sender<'_> {
    async fn carry_out(&self, wish: Wish) -> io::Result<()> {
        match wish {
            Wish::Say(text) => order(&self.orders, text_message(self.parties, &text)).await,
            Wish::Typing(active) => {
                let (content_type, content) = cpim::composing(active);
                order(&self.orders, in_memory(&content_type, content)).await
            }
            Wish::PassOn(content_type, content) => {
                order(&self.orders, in_memory(&content_type, content)).await
            }
            Wish::File(path) => self.file(&path, file_message(&path)).await,
            Wish::Transfer(sending) => self.file(&sending.path, transfer(&sending)).await,
            // Before there is a connection there is none to cut.
            Wish::Cut => Ok(()),
        }
    }
}

impl Sender<'_> {
    async fn file(&self, path: &Path, message: io::Result<Outgoing>) -> io::Result<()> {
        match message {
            Ok(message) => order(&self.orders, message).await,
            Err(error) => {
                let why = format!("can't read {}: {error}", path.display());
                self.news.send(News::Refused { why });
                Ok(())
            }
        }
    }
}

async fn order(orders: &mpsc::Sender<Order>, message: Outgoing) -> io::Result<()> {
    let sent = orders.send(Order::Message(message)).await;
    sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
}

fn text_message(parties: &Parties, text: &str) -> Outgoing {
    if parties.takes_plain {
        return in_memory("text/plain", text.as_bytes().to_vec());
    }
    let (own, peer) = &parties.names;
    let id = token(12);
    let content = cpim::wrap(own, peer, &id, text);
    // What becomes of it is told under the same name, by MSRP and by its receiver.
    Outgoing {
        id,
        ..in_memory("message/cpim", content)
    }
}

fn in_memory(content_type: &str, content: Vec<u8>) -> Outgoing {
    Outgoing {
        id: token(12),
        content_type: content_type.to_owned(),
        skipped: 0,
        bytes: content.len() as u64,
        content: Content::Memory(content),
        arrived: Arc::default(),
    }
}

/// The file, or the part of it, that a session is for.
fn transfer(sending: &Sending) -> io::Result<Outgoing> {
    let whole = file_message(&sending.path)?;
    let skipped = sending.offer.offset();
    let stop = sending.offer.range.and_then(|(_, stop)| stop);
    Ok(Outgoing {
        content_type: sending.offer.content_type.clone(),
        skipped,
        bytes: stop.unwrap_or(whole.bytes).saturating_sub(skipped),
        arrived: sending.arrived.clone(),
        ..whole
    })
}

fn file_message(path: &Path) -> io::Result<Outgoing> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    Ok(Outgoing {
        id: token(12),
        content_type: "application/octet-stream".to_owned(),
        skipped: 0,
        bytes: metadata.len(),
        content: Content::Spooled(file),
        arrived: Arc::default(),
    })
}

/// The chunk that is being read.
enum Current {
    /// None, or one whose rest does not matter and that gets no answer.
    Nothing,
    /// Its body goes to the assembler.
    Message(Answering),
    /// Its body is skipped; it is answered with this status when it is over.
    Refused(Answering, u16),
}

struct Answering {
    answer: writer::Answer,
    failure_report: FailureReport,
}

/// The reading half of a chat.
struct Incoming<'a> {
    parties: &'a Parties,
    manners: &'a Manners,
    orders: mpsc::Sender<Order>,
    news: Desk,
    assembler: Assembler,
    remembered: Remembered,
    current: Current,
    replies_given: usize,
}

impl Incoming<'_> {
    async fn read(&mut self, mut stream: OwnedReadHalf, first: Vec<u8>) -> io::Result<()> {
        let mut reader = Reader::default();
        reader.space()[..first.len()].copy_from_slice(&first);
        reader.filled(first.len());
        loop {
            loop {
                let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
                match reader.event().map_err(malformed)? {
                    None => break,
                    Some(Event::Head(head)) => self.head(&head).await?,
                    Some(Event::Body(bytes)) => self.body(bytes),
                    Some(Event::End(flag)) => self.end(flag).await?,
                }
            }
            let bytes = stream.read(reader.space()).await?;
            if bytes == 0 {
                let text = "the peer closed the MSRP connection";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
            reader.filled(bytes);
        }
    }

    async fn head(&mut self, head: &Head<'_>) -> io::Result<()> {
        self.current = match head.kind {
            Kind::Response(code) => {
                self.order(Order::Answered(head.tid.to_owned(), code))
                    .await?;
                Current::Nothing
            }
            Kind::Request("REPORT") => {
                self.report(head);
                Current::Nothing
            }
            Kind::Request(method) => {
                let failure_report = head.failure_report;
                let answering = Answering {
                    answer: writer::Answer::to(head),
                    failure_report,
                };
                match self.begin(method, head) {
                    Ok(()) => Current::Message(answering),
                    Err(status) => Current::Refused(answering, status),
                }
            }
        };
        Ok(())
    }

    fn begin(&mut self, method: &str, head: &Head<'_>) -> Result<(), u16> {
        if method != "SEND" {
            return Err(501);
        }
        let last = |path: &str| {
            path.rsplit(' ')
                .next()
                .and_then(session_id)
                .map(str::to_owned)
        };
        let is_to_us = head.to_path.split(' ').count() == 1
            && last(head.to_path) == last(&self.parties.place.uri);
        if !is_to_us || last(head.from_path) != last(&self.parties.peer_path) {
            return Err(481);
        }
        let Some(id) = head.message_id else {
            return Err(400);
        };
        match head.content_type {
            // RFC 7701, 6.3: without an envelope nobody knows whose it is.
            Some(kind) if self.mixes() && !cpim::is_envelope(kind) => Err(415),
            Some(kind) => self
                .assembler
                .begin(id, kind, head.byte_range, head.success_report),
            // Without a body it only binds the connection or keeps it alive.
            None => Ok(()),
        }
    }

    fn report(&mut self, head: &Head<'_>) {
        let Some(id) = head.message_id.map(str::to_owned) else {
            return;
        };
        let news = match head.status {
            Some((200, _)) | None => News::Delivered { id },
            Some((status, _)) => News::Failed { id, status },
        };
        self.news.send(news);
    }

    fn body(&mut self, bytes: &[u8]) {
        if let Current::Message(_) = &self.current
            && let Err(status) = self.assembler.body(bytes)
            && let Current::Message(answering) =
                std::mem::replace(&mut self.current, Current::Nothing)
        {
            self.current = Current::Refused(answering, status);
        }
    }

    async fn end(&mut self, flag: Flag) -> io::Result<()> {
        let (answering, status) = match std::mem::replace(&mut self.current, Current::Nothing) {
            Current::Nothing => return Ok(()),
            Current::Message(answering) => (answering, 200),
            Current::Refused(answering, status) => (answering, status),
        };
        let whole = match status {
            200 => self.assembler.end(flag),
            _ => None,
        };
        let is_other = |message: &Complete| {
            let file = self.parties.file.as_ref();
            file.is_some_and(|(file, _)| !file.describes(message))
        };
        // The last chunk of a file is answered once its hash is known: the sender may end the session then.
        let (status, whole) = match whole {
            Some(message) if is_other(&message) => {
                let why = "the file's hash or size is not the one that was announced".to_owned();
                self.news.send(News::Refused { why });
                (400, None)
            }
            whole => (status, whole),
        };
        let is_answered = match answering.failure_report {
            FailureReport::Yes => true,
            FailureReport::Partial => status != 200,
            FailureReport::No => false,
        };
        if is_answered {
            let mut out = Vec::new();
            answering
                .answer
                .write(&mut out, &self.parties.place.uri, status);
            self.order(Order::Answer(out)).await?;
        }
        match whole {
            Some(message) => self.complete(message).await,
            None => Ok(()),
        }
    }

    /// Whether all that comes must be in envelopes.
    fn mixes(&self) -> bool {
        self.manners.mixes && self.parties.file.is_none()
    }

    async fn complete(&mut self, message: Complete) -> io::Result<()> {
        if message.success_report {
            let mut out = Vec::new();
            let (to, from) = (&self.parties.peer_path, &self.parties.place.uri);
            writer::success_report(&mut out, &token(12), to, from, &message.id, message.bytes);
            self.order(Order::Answer(out)).await?;
        }
        if !self.remembered.is_new(&message.id) {
            return Ok(());
        }
        let (kind, id) = (&message.content_type, message.id.clone());
        let in_memory = match &message.content {
            Content::Memory(bytes) => bytes.as_slice(),
            Content::Spooled(_) => &[],
        };
        let envelope = cpim::Envelope::of(kind, in_memory).unwrap_or_default();
        let author = (!envelope.from.is_empty()).then(|| short_name(&envelope.from));
        if self.manners.mixes {
            let (content_type, content) = (kind.clone(), message.content.whole());
            self.news.send(News::PassOn {
                author,
                content_type,
                content,
            });
            return Ok(());
        }
        // In a group all get what is for one.
        let own = short_name(&self.parties.names.0);
        let is_for_us = envelope.to.is_empty() || short_name(&envelope.to) == own;
        if let Some(active) = cpim::composing_of(kind, in_memory) {
            self.news.send(News::Typing { active });
            return Ok(());
        }
        if let Some((id, status)) = cpim::notification_of(kind, in_memory) {
            if is_for_us {
                self.news.send(News::Notified { id, status });
            }
            return Ok(());
        }
        let text = cpim::text_of(kind, in_memory).filter(|_| message.bytes <= SHOWN_BYTES_MAX);
        if let Some(text) = text.clone().filter(|_| self.parties.is_letter) {
            self.news.send(News::Letter { envelope, text });
            return Ok(());
        }
        self.news.send(match &text {
            Some(text) => News::Text {
                id,
                text: text.clone(),
                author,
            },
            None => News::Content {
                id,
                content_type: kind.clone(),
                bytes: message.bytes,
                sha256: message.sha256.clone(),
            },
        });
        self.notify(&envelope).await?;
        if let Some(text) = &text {
            self.reply().await?;
            if self.manners.echo {
                self.say(text).await?;
            }
        } else if self.manners.echo {
            let Complete {
                content_type,
                content,
                bytes,
                ..
            } = message;
            let back = Outgoing {
                id: token(12),
                content_type,
                content,
                skipped: 0,
                bytes,
                arrived: Arc::default(),
            };
            order(&self.orders, back).await?;
        }
        Ok(())
    }

    /// Tells the sender of a message what became of it, as far as it has asked. RFC 5438, 7.2.1.
    async fn notify(&self, envelope: &cpim::Envelope) -> io::Result<()> {
        for (wanted, status) in [("positive-delivery", "delivered"), ("display", "displayed")] {
            if self.manners.notifies && envelope.wants(wanted) {
                let (own, peer) = &self.parties.names;
                let to = Some(&envelope.from).filter(|from| !from.is_empty());
                let content = cpim::notification(own, to.unwrap_or(peer), envelope, status);
                order(&self.orders, in_memory("message/cpim", content)).await?;
            }
        }
        Ok(())
    }

    async fn reply(&mut self) -> io::Result<()> {
        let replies = &self.manners.replies;
        if replies.is_empty() {
            return Ok(());
        }
        let text = &replies[self.replies_given % replies.len()];
        self.replies_given += 1;
        order(&self.orders, text_message(self.parties, text)).await
    }

    async fn say(&self, text: &str) -> io::Result<()> {
        order(&self.orders, text_message(self.parties, text)).await
    }

    async fn order(&self, order: Order) -> io::Result<()> {
        let sent = self.orders.send(order).await;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
