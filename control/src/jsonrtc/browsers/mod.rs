//! All sockets and sessions: which text belongs to which session, who may connect, who is idle or lost.

mod connect;
mod saved;

pub use connect::Welcome;
pub use saved::Saved;

use std::collections::{BTreeSet, HashMap};

use super::frame::{Control, Frame, Kind, Members, REGISTER, Unreadable};
use super::session::{Exhausted, Receipt, Session, State};
use super::{SessionKey, SocketId, close};
use crate::limits::{Millis, OPENING_MS, SEQUENCE_MAX, TEXTS_BURST_S, UNREADABLE_IN_A_ROW_MAX};
use crate::timers::Timers;

/// Bounds and spans of [`Browsers`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A socket that brings nothing for so long is closed.
    pub idle_ms: Millis,
    /// A session without a socket is kept for so long.
    pub disconnect_ms: Millis,
    /// Sessions at most.
    pub sessions: usize,
    /// Sessions of one user at most.
    pub sessions_per_user: usize,
    /// Texts that a browser may send in a second, on average.
    pub texts_per_s: u32,
}

/// Who is at the other end of a socket, as far as HTTP could tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Anyone: the wanted name is the name.
    Guest,
    /// This user, as clients see it.
    User(String),
    /// This user, who may come back to a session of its own and not begin one.
    Returning(String),
}

/// What the caller must do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send a text.
    Text {
        /// On which socket.
        socket: SocketId,
        /// The text.
        text: String,
    },
    /// Close a socket. It is forgotten here already.
    Close {
        /// Which.
        socket: SocketId,
        /// The code, see [`close`].
        code: u16,
        /// The reason, for whoever reads the browser's console.
        reason: &'static str,
    },
    /// Tell the gateway.
    Event(Event),
}

/// What the gateway learns.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A new session is wanted: answer with [`Browsers::accept`] or [`Browsers::refuse`].
    Connect {
        /// On this socket.
        socket: SocketId,
        /// The application the socket came to.
        application: String,
        /// How the browser is known to HTTP.
        login: Box<Login>,
        /// The `connect`, with the wanted name as its initiator.
        frame: Frame,
    },
    /// A frame that was not seen before, of a session that exists. Never an acknowledgement.
    Frame {
        /// Whose.
        session: SessionKey,
        /// The frame.
        frame: Frame,
    },
    /// A browser that hibernates has got a request: it should be woken up.
    Wanted {
        /// Its session.
        session: SessionKey,
        /// The package the request is of.
        package: String,
        /// Who wants something.
        initiator: String,
    },
    /// The session is gone; nothing can be sent to it any more.
    Ended {
        /// Which.
        session: SessionKey,
        /// Whose it was.
        user: String,
    },
}

/// Whose deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    Opening(SocketId),
    Session(SessionKey),
}

struct Socket {
    application: String,
    remote: String,
    login: Login,
    unreadable: u8,
    challenges: u8,
    /// Texts it may send at once, as of `texts_at`.
    texts_left: u32,
    texts_at: Millis,
    stage: Stage,
}

/// Texts at once, where so many are sent in a second on average.
fn burst(per_s: u32) -> u32 {
    per_s.saturating_mul(TEXTS_BURST_S)
}

impl Socket {
    /// Whether the browser keeps to what it may send.
    fn takes_text(&mut self, per_s: u32, now: Millis) -> bool {
        let earned = now.saturating_sub(self.texts_at) * u64::from(per_s) / 1000;
        if earned > 0 {
            let left = u64::from(self.texts_left).saturating_add(earned);
            self.texts_left = left.min(burst(per_s).into()) as u32;
            self.texts_at = now;
        }
        let takes = self.texts_left > 0;
        self.texts_left = self.texts_left.saturating_sub(1);
        takes
    }
}

enum Stage {
    /// No `connect` yet.
    Opening,
    /// A `connect` waits for the gateway.
    Connecting(Box<Connecting>),
    Joined(SessionKey),
}

/// What is needed to answer a `connect`.
struct Connecting {
    header: Members,
    correlation: Option<String>,
    /// The client's counter after this `connect`.
    received: u32,
}

/// All sockets and sessions.
pub struct Browsers {
    limits: Limits,
    sockets: HashMap<SocketId, Socket>,
    sessions: HashMap<SessionKey, Session>,
    by_id: HashMap<String, SessionKey>,
    by_user: HashMap<String, Vec<SessionKey>>,
    timers: Timers<Timer>,
    last_key: u64,
    /// Sessions that are not as they were when somebody last asked.
    changed: BTreeSet<SessionKey>,
}

impl Browsers {
    /// Without any socket or session.
    pub fn new(limits: Limits) -> Browsers {
        Browsers {
            limits,
            sockets: HashMap::new(),
            sessions: HashMap::new(),
            by_id: HashMap::new(),
            by_user: HashMap::new(),
            timers: Timers::default(),
            last_key: 0,
            changed: BTreeSet::new(),
        }
    }

    /// A socket was opened; its handshake is over.
    pub fn opened(
        &mut self,
        socket: SocketId,
        application: &str,
        remote: &str,
        login: Login,
        now: Millis,
    ) {
        let (application, remote) = (application.to_owned(), remote.to_owned());
        let stage = Stage::Opening;
        self.sockets.insert(
            socket,
            Socket {
                application,
                remote,
                login,
                unreadable: 0,
                challenges: 0,
                texts_left: burst(self.limits.texts_per_s),
                texts_at: now,
                stage,
            },
        );
        self.timers
            .set(Timer::Opening(socket), Some(now + OPENING_MS));
    }

    /// Something arrived that means nothing but life: a ping or pong of the WebSocket.
    pub fn alive(&mut self, socket: SocketId, now: Millis) {
        let Some(&Socket {
            stage: Stage::Joined(key),
            ..
        }) = self.sockets.get(&socket)
        else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(&key) {
            session.set_state(State::Attached {
                socket,
                idle_at: now + self.limits.idle_ms,
            });
            self.timers
                .set(Timer::Session(key), Some(session.deadline()));
        }
    }

    /// A text message arrived.
    pub fn text(&mut self, socket: SocketId, text: &str, now: Millis, out: &mut Vec<Action>) {
        self.alive(socket, now);
        let Some(known) = self.sockets.get_mut(&socket) else {
            return;
        };
        if !known.takes_text(self.limits.texts_per_s, now) {
            let reason = "too many messages";
            return match known.stage {
                Stage::Joined(key) => self.end(key, 429, reason, out),
                Stage::Opening | Stage::Connecting(_) => {
                    self.cut(socket, close::POLICY, reason, now, out);
                }
            };
        }
        if text == "ping" {
            out.push(Action::Text {
                socket,
                text: "pong".to_owned(),
            });
            return;
        }
        match Frame::read(text) {
            Ok(frame) => {
                known.unreadable = 0;
                match known.stage {
                    Stage::Joined(key) => self.joined_frame(socket, key, frame, now, out),
                    Stage::Opening => self.opening_frame(socket, frame, now, out),
                    Stage::Connecting(_) => {
                        self.answer_error(socket, &frame, 403, "not connected", out);
                    }
                }
            }
            Err(unreadable) => self.unreadable(socket, &unreadable, now, out),
        }
    }

    /// A binary message arrived, which this protocol does not have.
    pub fn binary(&mut self, socket: SocketId, now: Millis, out: &mut Vec<Action>) {
        self.cut(
            socket,
            close::BINARY,
            "binary messages are not used",
            now,
            out,
        );
    }

    /// A message over the limit arrived.
    pub fn too_large(&mut self, socket: SocketId, now: Millis, out: &mut Vec<Action>) {
        self.cut(
            socket,
            close::TOO_LARGE,
            "the message is too large",
            now,
            out,
        );
    }

    /// A socket was closed, with this code if there was one. 1000 ends the session; anything else is a
    /// loss, and the session waits for the browser to come back.
    pub fn closed(
        &mut self,
        socket: SocketId,
        code: Option<u16>,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(gone) = self.sockets.remove(&socket) else {
            return;
        };
        self.timers.set(Timer::Opening(socket), None);
        let Stage::Joined(key) = gone.stage else {
            return;
        };
        let hibernates = self.sessions.get(&key).and_then(Session::parked_ms);
        if code == Some(close::NORMAL) && hibernates.is_none() {
            self.forget(key, out);
        } else {
            self.detach(key, now);
        }
    }

    /// Sends a frame: numbered, kept until the browser confirms it, on the wire if a socket is there.
    /// Its `session_id`, `sequence` and `ack_sequence` are filled in, and a request's correlation id.
    pub fn send(&mut self, key: SessionKey, frame: Frame, now: Millis, out: &mut Vec<Action>) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        self.changed.insert(key);
        let wakes = session.wakes_for(&frame, now).then(|| Event::Wanted {
            session: key,
            package: frame.control.package.clone().unwrap_or_default(),
            initiator: frame.initiator().unwrap_or_default().to_owned(),
        });
        match session.number(frame) {
            Ok(text) => {
                out.extend(wakes.map(Action::Event));
                if let Some(socket) = session.socket() {
                    out.push(Action::Text { socket, text });
                }
                self.timers
                    .set(Timer::Session(key), Some(session.deadline()));
            }
            Err(exhausted) => {
                let reason = match exhausted {
                    Exhausted::Kept => "too many unconfirmed frames",
                    Exhausted::Sequence => "the sequence numbers have run out",
                };
                self.end(key, 503, reason, out);
            }
        }
    }

    /// The session hibernates: its next close is not its end, and it is kept for so long.
    pub fn park(&mut self, key: SessionKey, span: Millis) {
        self.changed.insert(key);
        if let Some(session) = self.sessions.get_mut(&key) {
            session.set_parked_ms(Some(span));
        }
    }

    /// The correlation id the session's next request will get.
    pub fn next_correlation(&self, key: SessionKey) -> Option<String> {
        self.sessions.get(&key).map(Session::next_correlation)
    }

    /// Ends a session whose browser, or its user, broke a rule. The browser is told why, in an error about its `connect`,
    /// before its socket is closed.
    pub fn end(
        &mut self,
        key: SessionKey,
        error: u32,
        reason: &'static str,
        out: &mut Vec<Action>,
    ) {
        if let Some(session) = self.sessions.get(&key)
            && let Some(socket) = session.socket()
        {
            let mut header = session.register_header();
            header.insert("error_code".into(), error.into());
            header.insert("reason".into(), reason.into());
            self.push_unnumbered(socket, Control::new(Kind::Error, REGISTER), header, out);
        }
        self.end_with(key, close::POLICY, reason, out);
    }

    /// Ends a session, and closes its socket with this code.
    fn end_with(
        &mut self,
        key: SessionKey,
        code: u16,
        reason: &'static str,
        out: &mut Vec<Action>,
    ) {
        if let Some(socket) = self.sessions.get(&key).and_then(Session::socket) {
            self.sockets.remove(&socket);
            out.push(Action::Close {
                socket,
                code,
                reason,
            });
        }
        self.forget(key, out);
    }

    /// When to call [`Browsers::timeout`], if ever.
    pub fn deadline(&self) -> Option<Millis> {
        self.timers.next()
    }

    /// The time of [`Browsers::deadline`] has come.
    pub fn timeout(&mut self, now: Millis, out: &mut Vec<Action>) {
        while let Some(timer) = self.timers.take_due(now) {
            match timer {
                Timer::Opening(socket) => {
                    self.cut(socket, close::IDLE, "no connect in time", now, out);
                }
                Timer::Session(key) => self.session_timeout(key, now, out),
            }
        }
    }

    /// A session, if it exists.
    pub fn session(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.get(&key)
    }

    /// The address of the browser, while it has a socket; else empty.
    pub fn remote(&self, key: SessionKey) -> &str {
        let socket = self.sessions.get(&key).and_then(Session::socket);
        socket
            .and_then(|socket| self.sockets.get(&socket))
            .map_or("", |known| &known.remote)
    }

    /// The sessions of a user, oldest first.
    pub fn sessions_of(&self, user: &str) -> &[SessionKey] {
        self.by_user.get(user).map_or(&[], Vec::as_slice)
    }

    /// How many sockets there are, joined to a session or not.
    pub fn sockets_len(&self) -> usize {
        self.sockets.len()
    }

    /// How many sessions there are.
    pub fn sessions_len(&self) -> usize {
        self.sessions.len()
    }

    /// How many sessions have no socket.
    pub fn detached_len(&self) -> usize {
        self.sessions
            .values()
            .filter(|session| session.socket().is_none())
            .count()
    }

    /// How many deadlines are set: none, when there is neither socket nor session.
    pub fn timers_len(&self) -> usize {
        self.timers.len()
    }

    fn joined_frame(
        &mut self,
        socket: SocketId,
        key: SessionKey,
        frame: Frame,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if frame
            .control
            .session_id
            .as_deref()
            .is_some_and(|id| id != session.id())
        {
            self.answer_error(socket, &frame, 400, "another session's id", out);
            return;
        }
        self.changed.insert(key);
        let receipt = session.receive(&frame.control, now);
        if receipt == Receipt::NewAfterGap {
            tracing::warn!(session = key.0, "a browser skipped sequence numbers");
        }
        if session.received() >= SEQUENCE_MAX {
            // Whatever came after it would be taken for a double.
            let reason = "the sequence numbers have run out";
            return self.end(key, 503, reason, out);
        }
        let connects = frame
            .control
            .package
            .as_deref()
            .is_none_or(|name| name == REGISTER)
            && frame.control.kind == Kind::Request
            && frame.action() == "connect";
        if connects {
            self.answer_error(socket, &frame, 400, "already connected", out);
        } else if receipt != Receipt::Duplicate && frame.control.kind != Kind::Acknowledgement {
            out.push(Action::Event(Event::Frame {
                session: key,
                frame,
            }));
        }
        self.acknowledge(key, now, out);
    }

    /// Sends an acknowledgement if one is due.
    fn acknowledge(&mut self, key: SessionKey, now: Millis, out: &mut Vec<Action>) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if let Some(socket) = session.socket()
            && let Some(text) = session.acknowledgement(now)
        {
            out.push(Action::Text { socket, text });
        }
        self.timers
            .set(Timer::Session(key), Some(session.deadline()));
    }

    fn session_timeout(&mut self, key: SessionKey, now: Millis, out: &mut Vec<Action>) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        match session.state() {
            State::Detached { until } if until <= now => self.forget(key, out),
            State::Attached { socket, idle_at } if idle_at <= now => {
                self.cut(socket, close::IDLE, "nothing came in", now, out);
            }
            State::Attached { .. } | State::Detached { .. } => self.acknowledge(key, now, out),
        }
    }

    fn unreadable(
        &mut self,
        socket: SocketId,
        why: &Unreadable,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(known) = self.sockets.get_mut(&socket) else {
            return;
        };
        known.unreadable += 1;
        if known.unreadable >= UNREADABLE_IN_A_ROW_MAX {
            self.cut(
                socket,
                close::UNREADABLE,
                "too many texts that are no frames",
                now,
                out,
            );
            return;
        }
        let mut header = Members::new();
        // Of nothing that is pending: no client takes it for the answer to a request of its own.
        header.insert("action".into(), "unknown".into());
        header.insert("error_code".into(), 400.into());
        header.insert("reason".into(), why.to_string().into());
        self.push_unnumbered(socket, Control::new(Kind::Error, REGISTER), header, out);
    }

    /// An error that answers this frame, outside of the session's numbers: it is not kept.
    fn answer_error(
        &mut self,
        socket: SocketId,
        frame: &Frame,
        code: u32,
        reason: &str,
        out: &mut Vec<Action>,
    ) {
        let package = frame.control.package.as_deref().unwrap_or(REGISTER);
        let mut control = Control::new(Kind::Error, package);
        control.subsession_id = frame.control.subsession_id.clone();
        control.correlation_id = frame.control.correlation_id.clone();
        let mut header = frame.header.clone();
        header.retain(|name, _| matches!(name.as_str(), "action" | "initiator" | "target"));
        header.insert("error_code".into(), code.into());
        header.insert("reason".into(), reason.into());
        self.push_unnumbered(socket, control, header, out);
    }

    fn push_unnumbered(
        &self,
        socket: SocketId,
        mut control: Control,
        header: Members,
        out: &mut Vec<Action>,
    ) {
        let Some(known) = self.sockets.get(&socket) else {
            return;
        };
        if let Stage::Joined(key) = known.stage
            && let Some(session) = self.sessions.get(&key)
        {
            control.session_id = Some(session.id().to_owned());
            control.ack_sequence = Some(session.received());
        }
        let text = Frame {
            control,
            header,
            payload: None,
        }
        .write();
        out.push(Action::Text { socket, text });
    }

    /// Closes a socket from here; its session, if it has one, waits for another.
    fn cut(
        &mut self,
        socket: SocketId,
        code: u16,
        reason: &'static str,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        if self.sockets.contains_key(&socket) {
            out.push(Action::Close {
                socket,
                code,
                reason,
            });
            self.closed(socket, None, now, out);
        }
    }

    fn detach(&mut self, key: SessionKey, now: Millis) {
        if let Some(session) = self.sessions.get_mut(&key) {
            let span = session.parked_ms().unwrap_or(self.limits.disconnect_ms);
            let until = now + span;
            session.set_state(State::Detached { until });
            self.timers
                .set(Timer::Session(key), Some(session.deadline()));
        }
    }

    /// Takes a session out of all tables and tells the gateway.
    fn forget(&mut self, key: SessionKey, out: &mut Vec<Action>) {
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        self.changed.insert(key);
        self.timers.set(Timer::Session(key), None);
        self.by_id.remove(session.id());
        let user = session.user().to_owned();
        if let Some(sessions) = self.by_user.get_mut(&user) {
            sessions.retain(|other| *other != key);
            if sessions.is_empty() {
                self.by_user.remove(&user);
            }
        }
        out.push(Action::Event(Event::Ended { session: key, user }));
    }
}

#[cfg(test)]
mod tests;
