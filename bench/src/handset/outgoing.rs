//! The writing half of a chat: answers, and messages cut into chunks. RFC 4975, 5.1 and 7.1.1.
//!
//! Messages take turns chunk by chunk, so that a text is not kept waiting by a file, and answers go
//! before the next chunk. At most [`WINDOW`] chunks wait for their response at a time.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::incoming::Content;
use super::sip::token;
use crate::msrp::{Flag, writer};

/// Chunks that may wait for their response.
const WINDOW: usize = 32;
/// Messages that may wait to be sent; more are refused.
const MESSAGES_MAX: usize = 1024;
/// RFC 4975, 7.1.1: a chunk that is not answered for so long has failed.
const ANSWER: Duration = Duration::from_secs(30);
/// How often a message in memory is sent that gets lost on its way.
const SENDINGS_MAX: u32 = 5;
/// Octets that are read and written at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// Above this a chunk must be interruptible: its range ends with `*`.
const FIXED_BYTES_MAX: u64 = 2048;

/// A message to send.
#[derive(Debug)]
pub struct Outgoing {
    /// Its Message-ID.
    pub id: String,
    /// Its Content-Type.
    pub content_type: String,
    /// Its octets.
    pub content: Content,
    /// Those before the first that is sent.
    pub skipped: u64,
    /// How many are sent.
    pub bytes: u64,
    /// How many of those are over there.
    pub arrived: Arc<AtomicU64>,
}

/// What the writing half is told.
#[derive(Debug)]
pub enum Order {
    /// Write these octets as they are: an answer or a report.
    Answer(Vec<u8>),
    /// Send this message.
    Message(Outgoing),
    /// A response came to the transaction with this id.
    Answered(String, u16),
    /// End when the chunk under way is written.
    Close,
}

/// What became of a message.
#[derive(Debug)]
pub enum Fate {
    /// Every chunk was answered with 200.
    Sent(String),
    /// The peer or the clock said no.
    Failed(String, u16),
}

struct UnderWay {
    message: Outgoing,
    offset: u64,
    /// Chunks without a response yet.
    open: usize,
    all_written: bool,
    sendings: u32,
}

struct Pending {
    /// The message; empty for the SEND that only says hello.
    id: String,
    /// Octets of the message before this chunk.
    from: u64,
    until: Instant,
}

/// The writing half.
pub struct Writer<W> {
    stream: W,
    own_uri: String,
    peer_path: String,
    /// `None` sends each message as one chunk.
    chunk_bytes: Option<u64>,
    queue: VecDeque<String>,
    messages: HashMap<String, UnderWay>,
    pending: HashMap<String, Pending>,
    fates: mpsc::UnboundedSender<Fate>,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Writes to `stream` and tells what becomes of messages through `fates`.
    pub fn new(
        stream: W,
        own_uri: &str,
        peer_path: &str,
        chunk_bytes: Option<u64>,
        fates: mpsc::UnboundedSender<Fate>,
    ) -> Self {
        Writer {
            stream,
            own_uri: own_uri.to_owned(),
            peer_path: peer_path.to_owned(),
            chunk_bytes,
            queue: VecDeque::new(),
            messages: HashMap::new(),
            pending: HashMap::new(),
            fates,
        }
    }

    /// Carries out orders until told to close, or until the stream breaks.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> io::Result<()> {
        loop {
            while let Ok(order) = orders.try_recv() {
                if self.take(order).await?.is_close() {
                    return self.stream.shutdown().await;
                }
            }
            self.expire()?;
            if self.pending.len() < WINDOW && !self.queue.is_empty() {
                self.chunk().await?;
                continue;
            }
            let deadline = self.pending.values().map(|pending| pending.until).min();
            let order = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline, orders.recv()).await,
                None => Ok(orders.recv().await),
            };
            match order {
                Ok(Some(order)) => {
                    if self.take(order).await?.is_close() {
                        return self.stream.shutdown().await;
                    }
                }
                Ok(None) => return self.stream.shutdown().await,
                Err(_elapsed) => {}
            }
        }
    }

    /// Says hello, as the connecting side must at once. RFC 4975, 5.4; RFC 6135, 4.2.2.
    pub async fn bodiless(&mut self) -> io::Result<()> {
        let (tid, id) = (token(12), token(12));
        let mut out = Vec::new();
        writer::bodiless(&mut out, &tid, &self.peer_path, &self.own_uri, &id);
        self.pending.insert(
            tid,
            Pending {
                id: String::new(),
                from: 0,
                until: Instant::now() + ANSWER,
            },
        );
        self.stream.write_all(&out).await
    }

    async fn take(&mut self, order: Order) -> io::Result<Next> {
        match order {
            Order::Answer(bytes) => self.stream.write_all(&bytes).await?,
            Order::Message(message) if self.queue.len() >= MESSAGES_MAX => {
                let _ = self.fates.send(Fate::Failed(message.id, 503));
            }
            Order::Message(message) => {
                let id = message.id.clone();
                self.queue.push_back(id.clone());
                let under_way = UnderWay {
                    message,
                    offset: 0,
                    open: 0,
                    all_written: false,
                    sendings: 1,
                };
                self.messages.insert(id, under_way);
            }
            Order::Answered(tid, 408) if self.send_again(&tid) => {}
            Order::Answered(tid, code) => self.answered(&tid, code)?,
            Order::Close => return Ok(Next::Close),
        }
        Ok(Next::GoOn)
    }

    /// A chunk did not get through, such as by a relay that has lost the far end for a moment (RFC 4975, 10.4): its
    /// message is sent again under its Message-ID, by which a repetition is known. What is left of a file is another
    /// transfer's. Whether this was one to send again.
    fn send_again(&mut self, tid: &str) -> bool {
        let Some(id) = self.pending.get(tid).map(|pending| pending.id.clone()) else {
            return false;
        };
        let Some(under_way) = self.messages.get_mut(&id) else {
            return false;
        };
        let is_small = matches!(under_way.message.content, Content::Memory(_));
        if !is_small || under_way.sendings == SENDINGS_MAX {
            return false;
        }
        under_way.sendings += 1;
        (under_way.offset, under_way.open, under_way.all_written) = (0, 0, false);
        self.pending.retain(|_, pending| pending.id != id);
        if !self.queue.contains(&id) {
            self.queue.push_back(id);
        }
        true
    }

    fn answered(&mut self, tid: &str, code: u16) -> io::Result<()> {
        let Some(pending) = self.pending.remove(tid) else {
            return Ok(());
        };
        if pending.id.is_empty() && code != 200 {
            let text = format!("the peer did not take the MSRP session: {code}");
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
        }
        let Some(message) = self.messages.get_mut(&pending.id) else {
            return Ok(());
        };
        message.open -= 1;
        let open = self.pending.values().filter(|other| other.id == pending.id);
        let arrived = open.map(|other| other.from).min().unwrap_or(message.offset);
        if code == 200 {
            message.message.arrived.store(arrived, Ordering::Relaxed);
        }
        if code != 200 {
            self.fail(&pending.id, code);
        } else if message.all_written && message.open == 0 {
            self.messages.remove(&pending.id);
            let _ = self.fates.send(Fate::Sent(pending.id));
        }
        Ok(())
    }

    /// Nothing more of this message is sent.
    fn fail(&mut self, id: &str, code: u16) {
        self.messages.remove(id);
        self.queue.retain(|queued| queued != id);
        let _ = self.fates.send(Fate::Failed(id.to_owned(), code));
    }

    fn expire(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let overdue = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.until <= now);
        let overdue: Vec<String> = overdue.map(|(tid, _)| tid.clone()).collect();
        for tid in overdue {
            self.answered(&tid, 408)?;
        }
        Ok(())
    }

    /// Writes the next chunk of the message whose turn it is.
    async fn chunk(&mut self) -> io::Result<()> {
        let Some(id) = self.queue.pop_front() else {
            return Ok(());
        };
        let Some(under_way) = self.messages.get_mut(&id) else {
            return Ok(());
        };
        let message = &under_way.message;
        let from = under_way.offset;
        let rest = message.bytes - from;
        let length = self.chunk_bytes.map_or(rest, |limit| rest.min(limit));
        let tid = unused_tid(&message.content);
        let send = writer::Send {
            to_path: &self.peer_path,
            from_path: &self.own_uri,
            message_id: &id,
            success_report: true,
            failure_report: true,
        };
        let end = (length <= FIXED_BYTES_MAX).then_some(from + length);
        let range = writer::Range {
            start: from + 1,
            end,
            total: message.bytes,
        };
        let mut out = Vec::with_capacity(PIECE_BYTES + 1024);
        writer::send_head(&mut out, &tid, &send, range, &message.content_type);

        let mut at = from;
        while at < from + length {
            let head = out.len();
            let piece = (from + length - at).min(PIECE_BYTES as u64) as usize;
            out.resize(head + piece, 0);
            let bytes = message
                .content
                .read_at(&mut out[head..], message.skipped + at)?;
            if bytes == 0 {
                break;
            }
            out.truncate(head + bytes);
            at += bytes as u64;
            if out.len() >= PIECE_BYTES {
                self.stream.write_all(&out).await?;
                out.clear();
            }
        }
        // A file that has become shorter meanwhile can't be finished: the message is given up.
        let is_short = at < from + length;
        let is_last = at >= message.bytes;
        let flag = match (is_short, is_last) {
            (true, _) => Flag::Aborted,
            (false, true) => Flag::Last,
            (false, false) => Flag::More,
        };
        writer::end_line(&mut out, &tid, flag);
        self.stream.write_all(&out).await?;

        under_way.offset = at;
        under_way.open += 1;
        under_way.all_written = is_last;
        let until = Instant::now() + ANSWER;
        self.pending.insert(
            tid,
            Pending {
                id: id.clone(),
                from,
                until,
            },
        );
        if is_short {
            self.fail(&id, 500);
        } else if !is_last {
            self.queue.push_back(id);
        }
        Ok(())
    }
}

enum Next {
    GoOn,
    Close,
}

impl Next {
    fn is_close(&self) -> bool {
        matches!(self, Next::Close)
    }
}

/// A transaction id that does not occur in the content, where it is small enough to look; in a
/// large one 96 random bits do not occur.
fn unused_tid(content: &Content) -> String {
    loop {
        let tid = token(12);
        match content {
            Content::Memory(bytes) if memchr::memmem::find(bytes, tid.as_bytes()).is_some() => {}
            _ => return tid,
        }
    }
}
