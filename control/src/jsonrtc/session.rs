//! One session: its numbers, what the browser has not confirmed yet, and whether a socket is there.
//!
//! A session outlives its socket. Each side numbers its frames from 1; what is not confirmed is kept and
//! sent again after a resume, and a number that was seen before is not processed again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::browsers::Saved;
use super::frame::{Control, Frame, Kind, Members, REGISTER};
use super::{SessionKey, SocketId};
use crate::limits::{
    ACK_AFTER_FRAMES, ACK_AFTER_MS, KEPT_BYTES_MAX, KEPT_FRAMES_MAX, Millis, SEQUENCE_MAX, WAKE_MS,
};

/// Whether a session has a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A socket is there; without any octet from it until `idle_at` it counts as lost.
    Attached {
        /// The socket.
        socket: SocketId,
        /// When the idle limit passes.
        idle_at: Millis,
    },
    /// The socket is lost; the session waits for another one.
    Detached {
        /// When the disconnect limit passes.
        until: Millis,
    },
}

/// A frame the browser has not confirmed.
#[derive(Clone, Debug)]
struct Kept {
    sequence: u32,
    text: String,
}

/// Whether a frame is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// To be processed.
    New,
    /// To be processed, although numbers are missing before it.
    NewAfterGap,
    /// Seen before: to be confirmed again, not processed.
    Duplicate,
}

/// Why a session cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// The browser confirms too little: [`KEPT_FRAMES_MAX`] or [`KEPT_BYTES_MAX`] are reached.
    Kept,
    /// The numbers have run out.
    Sequence,
}

/// Why a resume is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeRefusal {
    /// The marks contradict each other or what was sent: the client is wrong.
    Contradiction,
    /// Frames the browser has not received are not there any more: a fresh session is due.
    Lost,
}

/// The browser's marks in a resuming `connect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// `cslr`: the last sequence of ours it received.
    pub last_received: Option<u32>,
    /// `cslw`: the lower edge of what it has not seen confirmed.
    pub window_lower: Option<u32>,
    /// `csuw`: the highest sequence it gave out.
    pub window_upper: Option<u32>,
}

/// One session.
#[derive(Clone, Debug)]
pub struct Session {
    id: String,
    user: String,
    application: String,
    /// Whether its user was authenticated.
    proven: bool,
    /// How long it is kept without a socket, if that was agreed.
    parked_ms: Option<Millis>,
    /// When somebody was told last that its browser, which hibernates, is wanted.
    woken_at: Option<Millis>,
    state: State,
    /// Last number we gave out.
    sent: u32,
    /// Last number of the browser's we took.
    received: u32,
    /// The value of `received` that the browser was last told.
    told: u32,
    ack_due: Option<Millis>,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    /// The highest number of the frames that were put away.
    saved: u32,
}

/// Everything of a session that outlives the process, but for its frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHead {
    id: String,
    user: String,
    application: String,
    proven: bool,
    parked_ms: Option<Millis>,
    sent: u32,
    received: u32,
    /// The lowest number that the browser has not confirmed.
    pub first: u32,
}

impl Session {
    /// A session whose first `connect` had the number `received`.
    pub fn new(
        id: String,
        user: String,
        application: String,
        received: u32,
        state: State,
    ) -> Session {
        Session {
            id,
            user,
            application,
            proven: false,
            parked_ms: None,
            woken_at: None,
            state,
            sent: 0,
            received,
            told: 0,
            ack_due: None,
            kept: VecDeque::new(),
            kept_bytes: 0,
            saved: 0,
        }
    }

    /// A session of an earlier process, with the frames from `head.first` on, ascending.
    pub fn restored(head: SessionHead, frames: Vec<(u32, String)>, state: State) -> Session {
        let kept: VecDeque<Kept> = frames
            .into_iter()
            .map(|(sequence, text)| Kept { sequence, text })
            .collect();
        Session {
            kept_bytes: kept.iter().map(|kept| kept.text.len()).sum(),
            kept,
            proven: head.proven,
            parked_ms: head.parked_ms,
            sent: head.sent,
            saved: head.sent,
            ..Session::new(head.id, head.user, head.application, head.received, state)
        }
    }

    /// Tells what is not put away yet.
    pub fn save(&mut self, key: SessionKey, out: &mut Vec<Saved>) {
        let first = self.kept.front().map(|kept| kept.sequence);
        let head = SessionHead {
            id: self.id.clone(),
            user: self.user.clone(),
            application: self.application.clone(),
            proven: self.proven,
            parked_ms: self.parked_ms,
            sent: self.sent,
            received: self.received,
            first: first.unwrap_or(self.sent + 1),
        };
        out.push(Saved::Session { key, head });
        let put_away = |kept: &Kept| kept.sequence <= self.saved;
        let new = self.kept.range(self.kept.partition_point(put_away)..);
        out.extend(new.map(|kept| Saved::Frame {
            key,
            sequence: kept.sequence,
            text: kept.text.clone(),
        }));
        self.saved = self.sent;
    }

    /// Everything is to be put away anew.
    pub fn forget_saved(&mut self) {
        self.saved = 0;
    }

    /// Its unguessable id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its user, as clients see it.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The application the browser came to.
    pub fn application(&self) -> &str {
        &self.application
    }

    /// Whether its user was authenticated, and so only that user may resume it.
    pub fn is_proven(&self) -> bool {
        self.proven
    }

    /// How long it is kept without a socket, if it hibernates.
    pub fn parked_ms(&self) -> Option<Millis> {
        self.parked_ms
    }

    /// Whether it hibernates: its browser has gone for long.
    pub fn is_asleep(&self) -> bool {
        self.parked_ms.is_some() && self.socket().is_none()
    }

    /// It hibernates, or is awake again.
    pub fn set_parked_ms(&mut self, parked_ms: Option<Millis>) {
        (self.parked_ms, self.woken_at) = (parked_ms, None);
    }

    /// Whether its browser hibernates and is to be woken for this frame: for a request that waits for the user, and not again
    /// within [`WAKE_MS`].
    pub fn wakes_for(&mut self, frame: &Frame, now: Millis) -> bool {
        let waits = frame.control.kind == Kind::Request && frame.action() != "enquiry";
        let lately = self.woken_at.is_some_and(|at| now < at + WAKE_MS);
        let wakes = waits && !lately && self.is_asleep();
        if wakes {
            self.woken_at = Some(now);
        }
        wakes
    }

    /// Its user was authenticated, or is a guest.
    pub fn set_proven(&mut self, proven: bool) {
        self.proven = proven;
    }

    /// Whether a socket is there.
    pub fn state(&self) -> State {
        self.state
    }

    /// The socket, if one is there.
    pub fn socket(&self) -> Option<SocketId> {
        match self.state {
            State::Attached { socket, .. } => Some(socket),
            State::Detached { .. } => None,
        }
    }

    /// A socket came or went.
    pub fn set_state(&mut self, state: State) {
        self.state = state;
    }

    /// The last number taken from the browser.
    pub fn received(&self) -> u32 {
        self.received
    }

    /// Frames that are kept for the browser.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// When something is due without any input.
    pub fn deadline(&self) -> Millis {
        match self.state {
            State::Attached { idle_at, .. } => idle_at.min(self.ack_due.unwrap_or(Millis::MAX)),
            State::Detached { until } => until,
        }
    }

    /// Gives a frame its numbers, keeps it until it is confirmed, and returns its text.
    pub fn number(&mut self, mut frame: Frame) -> Result<String, Exhausted> {
        if self.sent >= SEQUENCE_MAX {
            return Err(Exhausted::Sequence);
        }
        let sequence = self.sent + 1;
        frame.control.session_id = Some(self.id.clone());
        frame.control.sequence = Some(sequence);
        frame.control.ack_sequence = Some(self.received);
        if frame.control.kind == Kind::Request && frame.control.correlation_id.is_none() {
            frame.control.correlation_id = Some(format!("s{sequence}"));
        }
        let text = frame.write();
        if self.kept.len() >= KEPT_FRAMES_MAX || self.kept_bytes + text.len() > KEPT_BYTES_MAX {
            return Err(Exhausted::Kept);
        }
        self.sent = sequence;
        self.told();
        self.kept_bytes += text.len();
        self.kept.push_back(Kept {
            sequence,
            text: text.clone(),
        });
        Ok(text)
    }

    /// The correlation id that [`Session::number`] will give to the next request.
    pub fn next_correlation(&self) -> String {
        format!("s{}", self.sent + 1)
    }

    /// Takes the numbers of a frame from the browser.
    pub fn receive(&mut self, control: &Control, now: Millis) -> Receipt {
        if let Some(confirmed) = confirmed(control) {
            self.confirm(confirmed);
        }
        let Some(sequence) = control
            .sequence
            .filter(|_| control.kind != Kind::Acknowledgement)
        else {
            return Receipt::New;
        };
        self.ack_due.get_or_insert(now + ACK_AFTER_MS);
        if sequence <= self.received {
            return Receipt::Duplicate;
        }
        let gap = sequence > self.received + 1;
        self.received = sequence;
        if gap {
            Receipt::NewAfterGap
        } else {
            Receipt::New
        }
    }

    /// An acknowledgement, if one is due.
    pub fn acknowledgement(&mut self, now: Millis) -> Option<String> {
        let many = self.received.saturating_sub(self.told) >= ACK_AFTER_FRAMES;
        if !many && self.ack_due.is_none_or(|due| due > now) {
            return None;
        }
        let mut control = Control::new(Kind::Acknowledgement, REGISTER);
        control.session_id = Some(self.id.clone());
        control.ack_sequence = Some(self.received);
        self.told();
        Some(
            Frame {
                control,
                header: self.register_header(),
                payload: None,
            }
            .write(),
        )
    }

    /// Whether the browser's marks fit, and what it has to be sent again.
    pub fn resume(&mut self, marks: Marks) -> Result<Vec<String>, ResumeRefusal> {
        let last_received = marks.last_received.unwrap_or(0);
        if last_received > self.sent {
            return Err(ResumeRefusal::Contradiction);
        }
        if let (Some(lower), Some(upper)) = (marks.window_lower, marks.window_upper)
            && upper.saturating_add(1) < lower
        {
            return Err(ResumeRefusal::Contradiction);
        }
        let first_kept = self
            .kept
            .front()
            .map_or(self.sent + 1, |kept| kept.sequence);
        if last_received + 1 < first_kept {
            return Err(ResumeRefusal::Lost);
        }
        self.confirm(last_received);
        Ok(self.kept.iter().map(|kept| kept.text.clone()).collect())
    }

    /// The response to a resume: without a number of its own.
    pub fn resume_response(&mut self, correlation: Option<String>) -> String {
        let mut control = Control::new(Kind::Response, REGISTER);
        control.session_id = Some(self.id.clone());
        control.ack_sequence = Some(self.received);
        control.correlation_id = correlation;
        control.message_state = Some(super::frame::MessageState::Final);
        let mut header = self.register_header();
        header.insert("response_code".into(), 200.into());
        header.insert("sslr".into(), self.received.into());
        self.told();
        Frame {
            control,
            header,
            payload: None,
        }
        .write()
    }

    /// A header of the `register` package: action `connect`, both parties the user.
    pub fn register_header(&self) -> Members {
        let mut header = Members::new();
        header.insert("action".into(), "connect".into());
        header.insert("initiator".into(), self.user.as_str().into());
        header.insert("target".into(), self.user.as_str().into());
        header
    }

    fn confirm(&mut self, sequence: u32) {
        while self
            .kept
            .front()
            .is_some_and(|kept| kept.sequence <= sequence)
        {
            if let Some(kept) = self.kept.pop_front() {
                self.kept_bytes -= kept.text.len();
            }
        }
    }

    fn told(&mut self) {
        self.told = self.received;
        self.ack_due = None;
    }
}

/// The number a frame confirms: its `ack_sequence`, in an acknowledgement else its `sequence`.
fn confirmed(control: &Control) -> Option<u32> {
    match control.kind {
        Kind::Acknowledgement => control.ack_sequence.or(control.sequence),
        _ => control.ack_sequence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let state = State::Attached {
            socket: SocketId(1),
            idle_at: 30_000,
        };
        Session::new(
            "id".into(),
            "alice@example.com".into(),
            "demo".into(),
            1,
            state,
        )
    }

    fn frame(kind: Kind) -> Frame {
        let mut header = Members::new();
        header.insert("action".into(), "start".into());
        Frame {
            control: Control::new(kind, "chat"),
            header,
            payload: None,
        }
    }

    fn from_browser(kind: Kind, sequence: Option<u32>, ack: Option<u32>) -> Control {
        let mut control = Control::new(kind, "chat");
        control.sequence = sequence;
        control.ack_sequence = ack;
        control
    }

    #[test]
    fn frames_are_numbered_from_one_and_kept_until_confirmed() {
        let mut session = session();
        for n in 1..=3 {
            let text = session.number(frame(Kind::Request)).unwrap();
            let sent = Frame::read(&text).unwrap();
            assert_eq!(sent.control.sequence, Some(n));
            assert_eq!(sent.control.ack_sequence, Some(1));
            assert_eq!(sent.control.correlation_id, Some(format!("s{n}")));
        }
        session.receive(&from_browser(Kind::Acknowledgement, None, Some(2)), 0);
        assert_eq!(session.kept(), 1);
        session.receive(&from_browser(Kind::Acknowledgement, Some(3), None), 0);
        assert_eq!(session.kept(), 0);
        assert_eq!(session.kept_bytes, 0);
    }

    #[test]
    fn a_number_seen_before_is_a_duplicate_and_a_gap_is_let_through() {
        let mut session = session();
        assert_eq!(
            session.receive(&from_browser(Kind::Message, Some(2), None), 0),
            Receipt::New
        );
        let again = from_browser(Kind::Message, Some(2), None);
        assert_eq!(session.receive(&again, 0), Receipt::Duplicate);
        let ahead = from_browser(Kind::Message, Some(9), None);
        assert_eq!(session.receive(&ahead, 0), Receipt::NewAfterGap);
        assert_eq!(session.received(), 9);
    }

    #[test]
    fn an_acknowledgement_goes_out_after_ten_seconds_or_sixteen_frames() {
        let mut session = session();
        session.receive(&from_browser(Kind::Message, Some(2), None), 100);
        assert_eq!(session.acknowledgement(100), None);
        assert_eq!(session.deadline(), 100 + ACK_AFTER_MS);
        let text = session.acknowledgement(100 + ACK_AFTER_MS).unwrap();
        let ack = Frame::read(&text).unwrap().control;
        assert_eq!(
            (ack.kind, ack.ack_sequence),
            (Kind::Acknowledgement, Some(2))
        );
        assert_eq!(ack.sequence, None);
        for n in 3..=17 {
            session.receive(&from_browser(Kind::Message, Some(n), None), 100);
            assert_eq!(session.acknowledgement(100), None);
        }
        session.receive(&from_browser(Kind::Message, Some(18), None), 100);
        assert!(session.acknowledgement(100).is_some());
        assert_eq!(session.acknowledgement(100 + 2 * ACK_AFTER_MS), None);
    }

    #[test]
    fn a_frame_that_goes_out_makes_the_acknowledgement_needless() {
        let mut session = session();
        session.receive(&from_browser(Kind::Message, Some(2), None), 0);
        session.number(frame(Kind::Message)).unwrap();
        assert_eq!(session.acknowledgement(ACK_AFTER_MS), None);
    }

    #[test]
    fn a_resume_sends_again_what_was_not_received() {
        let mut session = session();
        let texts: Vec<_> = (0..4)
            .map(|_| session.number(frame(Kind::Message)).unwrap())
            .collect();
        session.receive(&from_browser(Kind::Message, Some(2), Some(1)), 0);
        let marks = Marks {
            last_received: Some(2),
            window_lower: Some(3),
            window_upper: Some(2),
        };
        assert_eq!(session.resume(marks), Ok(texts[2..].to_vec()));
        let response = Frame::read(&session.resume_response(None)).unwrap();
        assert_eq!(response.header_number("sslr"), Some(2));
        assert_eq!(response.control.sequence, None);
    }

    #[test]
    fn marks_that_cannot_be_are_refused() {
        let mut session = session();
        session.number(frame(Kind::Message)).unwrap();
        session.number(frame(Kind::Message)).unwrap();
        session.receive(&from_browser(Kind::Message, Some(2), Some(2)), 0);
        let marks = |last, lower, upper| Marks {
            last_received: Some(last),
            window_lower: lower,
            window_upper: upper,
        };
        let contradiction = Err(ResumeRefusal::Contradiction);
        assert_eq!(session.resume(marks(3, None, None)), contradiction);
        assert_eq!(session.resume(marks(2, Some(5), Some(3))), contradiction);
        assert_eq!(
            session.resume(marks(1, None, None)),
            Err(ResumeRefusal::Lost)
        );
        assert_eq!(session.resume(marks(2, Some(3), Some(2))), Ok(vec![]));
    }

    #[test]
    fn a_browser_that_confirms_nothing_exhausts_its_session() {
        let mut session = session();
        for _ in 0..KEPT_FRAMES_MAX {
            session.number(frame(Kind::Message)).unwrap();
        }
        assert_eq!(session.number(frame(Kind::Message)), Err(Exhausted::Kept));
    }
}
