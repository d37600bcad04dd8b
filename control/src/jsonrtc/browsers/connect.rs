//! How a socket gets its session: a first `connect`, or one that resumes a session without a socket.

use super::super::frame::{Control, Frame, Kind, Members, MessageState, REGISTER};
use super::super::session::{Marks, ResumeRefusal, Session, State};
use super::super::{SessionKey, SocketId, close};
use super::{Action, Browsers, Connecting, Event, Login, Stage, Timer};
use crate::limits::{CHALLENGED_MS, CHALLENGES_MAX, Millis};

/// What became of a `connect` with a session id.
enum Resumed {
    /// It was answered.
    Done,
    /// There is nothing to go on with: it is to be treated as a first `connect`.
    Fresh,
}

/// A session as the gateway grants it.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// Its id and secret: new, and nobody can guess it.
    pub id: String,
    /// Its user, as clients see it.
    pub user: String,
    /// Further headers of the response.
    pub header: Members,
    /// The response's payload.
    pub payload: Option<Members>,
}

impl Browsers {
    /// Makes the session a `connect` asked for. `None` if the socket is gone, or over a limit; then the
    /// browser was told.
    pub fn accept(
        &mut self,
        socket: SocketId,
        welcome: Welcome,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Option<SessionKey> {
        let Welcome {
            id,
            user,
            mut header,
            payload,
        } = welcome;
        let own = self.by_user.get(&user).map_or(0, Vec::len);
        if own >= self.limits.sessions_per_user || self.sessions.len() >= self.limits.sessions {
            self.refuse(socket, 503, "too many sessions", out);
            return None;
        }
        let known = self.sockets.get_mut(&socket)?;
        let Stage::Connecting(connecting) = &known.stage else {
            return None;
        };
        let (received, correlation) = (connecting.received, connecting.correlation.clone());
        self.last_key += 1;
        let key = SessionKey(self.last_key);
        let state = State::Attached {
            socket,
            idle_at: now + self.limits.idle_ms,
        };
        let application = known.application.clone();
        known.stage = Stage::Joined(key);
        let mut session = Session::new(id.clone(), user.clone(), application, received, state);
        session.set_proven(known.login != Login::Guest);
        for (name, value) in session.register_header() {
            header.insert(name, value);
        }
        header.entry("response_code").or_insert(200.into());
        let mut control = Control::new(Kind::Response, REGISTER);
        control.correlation_id = correlation;
        control.message_state = Some(MessageState::Final);
        self.sessions.insert(key, session);
        self.by_id.insert(id, key);
        self.by_user.entry(user).or_default().push(key);
        self.timers.set(Timer::Opening(socket), None);
        self.send(
            key,
            Frame {
                control,
                header,
                payload,
            },
            now,
            out,
        );
        Some(key)
    }

    /// Refuses the `connect`. The browser may try again on the same socket, in what is left of its time.
    pub fn refuse(&mut self, socket: SocketId, code: u32, reason: &str, out: &mut Vec<Action>) {
        self.refuse_with(socket, code, reason, Members::new(), out);
    }

    /// Refuses it until the browser proves who it is, by an answer to `authenticate`. There is time to type a password;
    /// whoever fails to prove it again and again is closed with 4008.
    pub fn challenge(
        &mut self,
        socket: SocketId,
        (code, reason): (u32, &str),
        authenticate: Members,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let extra = Members::from_iter([("authenticate".to_owned(), authenticate.into())]);
        self.refuse_with(socket, code, reason, extra, out);
        let Some(known) = self.sockets.get_mut(&socket) else {
            return;
        };
        known.challenges += 1;
        if known.challenges >= CHALLENGES_MAX {
            return self.cut(socket, close::POLICY, "nothing was proven", now, out);
        }
        let until = now + CHALLENGED_MS;
        self.timers.set(Timer::Opening(socket), Some(until));
    }

    /// The same as [`Browsers::refuse`], with further headers.
    fn refuse_with(
        &mut self,
        socket: SocketId,
        code: u32,
        reason: &str,
        extra: Members,
        out: &mut Vec<Action>,
    ) {
        let Some(known) = self.sockets.get_mut(&socket) else {
            return;
        };
        let Stage::Connecting(connecting) = &mut known.stage else {
            return;
        };
        let mut control = Control::new(Kind::Error, REGISTER);
        control.ack_sequence = Some(connecting.received);
        control.correlation_id = connecting.correlation.take();
        let mut header = std::mem::take(&mut connecting.header);
        header.retain(|name, _| matches!(name.as_str(), "action" | "initiator" | "target"));
        header.insert("error_code".into(), code.into());
        header.insert("reason".into(), reason.into());
        header.extend(extra);
        known.stage = Stage::Opening;
        let text = Frame {
            control,
            header,
            payload: None,
        }
        .write();
        out.push(Action::Text { socket, text });
    }

    /// A frame on a socket without a session: only a `connect` gets further.
    pub(super) fn opening_frame(
        &mut self,
        socket: SocketId,
        frame: Frame,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let is_register = frame
            .control
            .package
            .as_deref()
            .is_none_or(|package| package == REGISTER);
        if !is_register || frame.control.kind != Kind::Request || frame.action() != "connect" {
            if frame.control.kind != Kind::Acknowledgement {
                self.answer_error(socket, &frame, 403, "not connected", out);
            }
            return;
        }
        let received = match &frame.control.session_id {
            Some(id) => match self.resume(socket, id.clone(), &frame, now, out) {
                Resumed::Done => return,
                // The connect counts as 1, although it has no number.
                Resumed::Fresh => 1,
            },
            None => frame.control.sequence.unwrap_or(0),
        };
        let Some(known) = self.sockets.get_mut(&socket) else {
            return;
        };
        if let Login::Returning(_) = known.login {
            let reason = "this token is used up; it only brings a session back";
            return self.answer_error(socket, &frame, 403, reason, out);
        }
        let Some(known) = self.sockets.get_mut(&socket) else {
            return;
        };
        known.stage = Stage::Connecting(Box::new(Connecting {
            header: frame.header.clone(),
            correlation: frame.control.correlation_id.clone(),
            received,
        }));
        let (application, login) = (known.application.clone(), known.login.clone());
        out.push(Action::Event(Event::Connect {
            socket,
            application,
            login: Box::new(login),
            frame,
        }));
    }

    /// Puts the socket in the place of the one a session has lost.
    fn resume(
        &mut self,
        socket: SocketId,
        id: String,
        frame: &Frame,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Resumed {
        let Some(&key) = self.by_id.get(&id) else {
            return Resumed::Fresh;
        };
        let (Some(session), Some(known)) =
            (self.sessions.get_mut(&key), self.sockets.get_mut(&socket))
        else {
            return Resumed::Fresh;
        };
        if session.application() != known.application {
            return Resumed::Fresh;
        }
        let is_owner = match &known.login {
            Login::Guest => !session.is_proven(),
            Login::User(user) | Login::Returning(user) => user == session.user(),
        };
        if !is_owner {
            tracing::warn!(session = key.0, "somebody else's session was asked for");
            self.answer_error(socket, frame, 403, "this is somebody else's session", out);
            return Resumed::Done;
        }
        let marks = Marks {
            last_received: frame.header_number("cslr"),
            window_lower: frame.header_number("cslw"),
            window_upper: frame.header_number("csuw"),
        };
        let again = match session.resume(marks) {
            Ok(again) => again,
            Err(ResumeRefusal::Contradiction) => {
                self.answer_error(socket, frame, 400, "these marks cannot be", out);
                self.cut(socket, close::POLICY, "these marks cannot be", now, out);
                return Resumed::Done;
            }
            Err(ResumeRefusal::Lost) => {
                self.end_with(key, close::REPLACED, "frames were lost", out);
                return Resumed::Fresh;
            }
        };
        self.changed.insert(key);
        session.set_parked_ms(None);
        let former = session.socket();
        session.set_state(State::Attached {
            socket,
            idle_at: now + self.limits.idle_ms,
        });
        let response = session.resume_response(frame.control.correlation_id.clone());
        self.timers
            .set(Timer::Session(key), Some(session.deadline()));
        self.timers.set(Timer::Opening(socket), None);
        known.stage = Stage::Joined(key);
        if let Some(former) = former {
            self.sockets.remove(&former);
            let is_moved = frame.header.get("handover") == Some(&true.into());
            let (code, reason) = if is_moved {
                (close::MOVED, "the session goes on on another device")
            } else {
                (close::REPLACED, "the session goes on elsewhere")
            };
            out.push(Action::Close {
                socket: former,
                code,
                reason,
            });
        }
        out.push(Action::Text {
            socket,
            text: response,
        });
        out.extend(again.into_iter().map(|text| Action::Text { socket, text }));
        Resumed::Done
    }
}
