//! What browsers send: opening subsessions, and everything inside them.

use link::Leg;

use super::bridge::{Asked, Branch, Bridge, BridgeId, Line};
use super::ending::Why;
use super::media::REBIND;
use super::run::Ran;
use super::{Gateway, Turn, views};
use crate::jsonrtc::{Control, Event, Frame, Kind, Members, MessageState, REGISTER, SessionKey};
use crate::limits::REQUEST_MS;
use crate::metrics::Counter;
use crate::packages;
use crate::script::{self, Criterion, Direction, Inbound};
use crate::state::Identity;

/// Actions that only continue a subsession: they never open one.
const CONTINUING: &[&str] = &["complete", "shutdown", "prack", "trickle", REBIND];

impl Gateway {
    pub(super) fn web_event(&mut self, event: Event, turn: &mut Turn<'_>) {
        match event {
            Event::Connect {
                socket,
                application,
                login,
                frame,
            } => {
                self.connect(socket, &application, &login, &frame, turn);
            }
            Event::Frame { session, frame } => self.frame(session, frame, turn),
            Event::Wanted {
                session,
                package,
                initiator,
            } => self.wake(session, &package, &initiator, turn),
            Event::Ended { session, user } => self.session_ended(session, &user, turn),
        }
    }

    /// What is new waits for what is under way. A message does not: it has no answer in which it could be turned away.
    fn frame(&mut self, session: SessionKey, frame: Frame, turn: &mut Turn<'_>) {
        let subsession = frame.control.subsession_id.as_deref();
        let continues = !opens(&frame) && frame.control.package.as_deref() != Some(REGISTER);
        if subsession.is_some() || continues {
            self.begin_now(session, subsession, turn);
        }
        let is_known = || {
            let seat = self.seats.get(&session)?;
            seat.subsessions.get(subsession?)
        };
        let waits = frame.control.kind == Kind::Request
            && opens(&frame)
            && packages::of_frame(frame.control.package.as_deref(), None) != REGISTER
            && !carries_too_much(&frame)
            && is_known().is_none();
        match waits {
            true => self.wait(session, frame, turn),
            false => self.take_frame(session, &frame, turn),
        }
    }

    /// A frame whose turn has come.
    pub(super) fn take_frame(&mut self, session: SessionKey, frame: &Frame, turn: &mut Turn<'_>) {
        let Some(seat) = self.seats.get(&session) else {
            return;
        };
        // A client without ids means the one thing it does (the patent's do).
        let only = || {
            seat.subsessions
                .keys()
                .next()
                .filter(|_| seat.subsessions.len() == 1)
        };
        let subsession = match &frame.control.subsession_id {
            Some(id) => Some(id.clone()),
            None if opens(frame) => None,
            None => only().cloned(),
        };
        let known = subsession
            .as_ref()
            .and_then(|id| seat.subsessions.get(id))
            .copied();
        let named = frame.control.package.as_deref();
        let of_subsession = known
            .and_then(|id| self.bridges.get(&id))
            .map(|b| b.package.clone());
        let package = packages::of_frame(named, of_subsession.as_deref()).to_owned();
        if package == REGISTER {
            return self.register_frame(session, frame, turn);
        }
        if carries_too_much(frame) {
            return self.refuse_frame(session, frame, 413, "the content is too large", turn);
        }
        let subsession = match subsession {
            Some(id) => id,
            None if opens(frame) => self.random.uuid(),
            None => {
                return self.refuse_frame(session, frame, 400, "subsession_id is missing", turn);
            }
        };
        match known {
            Some(id) => self.inside(id, session, &subsession, frame, turn),
            None if opens(frame) => self.open(session, &package, subsession, frame, turn),
            None => self.refuse_frame(session, frame, 481, "no such subsession", turn),
        }
    }

    /// An error for a request; anything else is ignored.
    pub(super) fn refuse_frame(
        &mut self,
        session: SessionKey,
        frame: &Frame,
        code: u32,
        reason: &str,
        turn: &mut Turn<'_>,
    ) {
        let header = Members::new();
        self.refuse_frame_with(session, frame, (code, reason), header, turn);
    }

    /// The same, with more to say in the error's header.
    pub(super) fn refuse_frame_with(
        &mut self,
        session: SessionKey,
        frame: &Frame,
        (code, reason): (u32, &str),
        more: Members,
        turn: &mut Turn<'_>,
    ) {
        if frame.control.kind != Kind::Request {
            return;
        }
        self.counters.add(Counter::FramesRefused);
        let package = frame.control.package.as_deref().unwrap_or(REGISTER);
        let mut control = Control::new(Kind::Error, package);
        control.subsession_id = frame.control.subsession_id.clone();
        control.correlation_id = Some(correlation(frame));
        let said = |name: &&str| Some((name.to_string(), frame.header.get(*name)?.clone()));
        let mut header: Members = ["action", "initiator", "target"]
            .iter()
            .filter_map(said)
            .collect();
        header.insert("error_code".into(), code.into());
        header.insert("reason".into(), reason.into());
        header.extend(more);
        let error = Frame {
            control,
            header,
            payload: None,
        };
        self.browsers.send(session, error, turn.now, &mut self.web);
    }

    /// A browser opens a subsession.
    fn open(
        &mut self,
        session: SessionKey,
        package: &str,
        subsession: String,
        frame: &Frame,
        turn: &mut Turn<'_>,
    ) {
        let Some(known) = self.browsers.session(session) else {
            return;
        };
        let (user, application) = (known.user().to_owned(), known.application().to_owned());
        if !self.allows(&application, package) {
            return self.refuse_frame(session, frame, 404, "package not available", turn);
        }
        let target = frame.target().and_then(|target| {
            Identity::read(target, &self.settings.domain)
                .ok()
                .map(|identity| identity.shown())
        });
        let Some(target) = target else {
            return self.refuse_frame(session, frame, 400, "target names nobody", turn);
        };
        if !self.has_room(session, 0) {
            return self.refuse_frame(session, frame, 503, "too many subsessions", turn);
        }
        self.last_bridge += 1;
        let id = BridgeId(self.last_bridge);
        let mut bridge = Bridge::new(package, &application, &user, &target);
        let mut branch = Branch::new(session, subsession.clone(), correlation(frame));
        branch.spelling = frame.control.package.clone().filter(|name| name != package);
        if frame.control.kind == Kind::Request {
            branch.from_browser.push(asked(frame, &user, &target));
        }
        bridge.branches.push(branch);
        self.bridges.insert(id, bridge);
        self.timers.set(id, Some(turn.now + REQUEST_MS));
        if let Some(seat) = self.seats.get_mut(&session) {
            seat.subsessions.insert(subsession, id);
        }
        self.counters.add(Counter::SubsessionsStarted);
        let view = Inbound::Web(views::web_view(frame, &user, &target));
        let kind = script_kind(frame.control.kind);
        match self.run(
            id,
            Some(session),
            criterion(frame.action(), kind),
            view,
            None,
        ) {
            Ran::Done(orders) => self.carry_out_all(id, orders, turn),
            Ran::NoCriterion => {
                self.end(id, &Why::failed(405, "action not allowed"), turn);
            }
            Ran::Failed => self.end(id, &Why::script_failed(), turn),
        }
    }

    /// A frame inside a subsession.
    fn inside(
        &mut self,
        id: BridgeId,
        session: SessionKey,
        subsession: &str,
        frame: &Frame,
        turn: &mut Turn<'_>,
    ) {
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        let Some(at) = bridge.branch_of(session, subsession) else {
            return;
        };
        if frame
            .control
            .package
            .as_deref()
            .is_some_and(|package| packages::of_frame(Some(package), None) != bridge.package)
        {
            return self.refuse_frame(session, frame, 481, "no such subsession", turn);
        }
        match frame.control.kind {
            Kind::Request => self.inside_request(id, at, frame, turn),
            Kind::Response => self.inside_response(id, at, frame, turn),
            Kind::Error => self.inside_error(id, at, frame, turn),
            Kind::Message => self.inside_message(id, at, frame, turn),
            Kind::Acknowledgement => {}
        }
    }

    fn inside_request(&mut self, id: BridgeId, at: usize, frame: &Frame, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let (user, peer) = (bridge.user.clone(), bridge.peer.clone());
        let has_room = bridge.has_room();
        // What changes a session needs an open one.
        let too_early = frame.action() == "start" && !bridge.is_open();
        let Some(branch) = bridge.branches.get_mut(at) else {
            return;
        };
        let session = branch.session;
        if too_early || !has_room || branch.asked(frame.action()).is_some() {
            return self.refuse_frame(session, frame, 491, "request pending", turn);
        }
        branch.from_browser.push(asked(frame, &user, &peer));
        let correlation = correlation(frame);
        // Where the browser's media are is between it and us; everything else is the script's.
        if frame.action() == "start"
            && self.has_media(id)
            && let Some(sdp) = frame
                .sdp()
                .filter(|_| !frame.header.contains_key("participants"))
        {
            if let Err(why) = self.browser_moves(id, sdp, turn)
                && let Some(branch) = self
                    .bridges
                    .get_mut(&id)
                    .and_then(|b| b.branches.get_mut(at))
                && let Some(asked) = branch.from_browser.pop()
            {
                self.counters.add(Counter::FramesRefused);
                self.refuse_asked(id, at, &asked, &why, turn);
            }
            return;
        }
        let (code, reason) = match self.run_frame(id, session, frame, &user, &peer) {
            Ran::Done(orders) => return self.carry_out_all(id, orders, turn),
            Ran::NoCriterion => (405, "action not allowed"),
            Ran::Failed => (503, "script failure"),
        };
        if let Some(branch) = self
            .bridges
            .get_mut(&id)
            .and_then(|b| b.branches.get_mut(at))
        {
            branch
                .from_browser
                .retain(|asked| asked.correlation != correlation);
        }
        self.refuse_frame(session, frame, code, reason, turn);
    }

    fn inside_response(&mut self, id: BridgeId, at: usize, frame: &Frame, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let invited = matches!(bridge.line, Line::Invited { .. });
        let Some(branch) = bridge.branches.get_mut(at) else {
            return;
        };
        let Some(waits) = waits_for(branch, frame) else {
            return;
        };
        let asked = branch.to_browser[waits].clone();
        let session = branch.session;
        let is_final = frame.is_final();
        if is_final {
            branch.to_browser.remove(waits);
            if asked.action == "start" && asked.correlation != branch.opening {
                branch.confirming = Some(asked.correlation.clone());
            }
            if invited && asked.action == "start" {
                self.keep_only(id, at, turn);
            }
        }
        match self.run_answer(id, session, frame, &asked) {
            Ran::Done(orders) => self.carry_out_all(id, orders, turn),
            Ran::NoCriterion if !is_final => {}
            Ran::NoCriterion | Ran::Failed => self.end(id, &Why::script_failed(), turn),
        }
    }

    /// The branch at `winner` has taken the invitation: the others stop ringing.
    fn keep_only(&mut self, id: BridgeId, winner: usize, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        let why = Why::hung_up();
        for at in (0..bridge.branches.len()).rev().filter(|at| *at != winner) {
            self.drop_branch(id, at, &why, turn);
        }
    }

    fn inside_error(&mut self, id: BridgeId, at: usize, frame: &Frame, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let waits = bridge.line == Line::Idle && !bridge.servers.is_empty();
        let rings = waits || matches!(bridge.line, Line::Invited { .. });
        let others = bridge.branches.len() > 1;
        let Some(branch) = bridge.branches.get_mut(at) else {
            return;
        };
        let Some(waits) = waits_for(branch, frame) else {
            return;
        };
        let asked = branch.to_browser.remove(waits);
        let session = branch.session;
        let opening = asked.correlation == branch.opening;
        let code = frame
            .header_number("error_code")
            .filter(|code| (400..700).contains(code));
        let code = code.unwrap_or(480);
        branch.over |= opening;
        if rings && opening && others && code < 600 {
            // This device does not want; another may.
            return self.drop_branch(id, at, &Why::hung_up(), turn);
        }
        match self.run_answer(id, session, frame, &asked) {
            Ran::Done(orders) => self.carry_out_all(id, orders, turn),
            Ran::NoCriterion | Ran::Failed => {}
        }
        if opening {
            let why = Why {
                net_code: code as u16,
                ..Why::hung_up()
            };
            self.end(id, &why, turn);
        }
    }

    fn inside_message(&mut self, id: BridgeId, at: usize, frame: &Frame, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let (user, peer, line) = (bridge.user.clone(), bridge.peer.clone(), bridge.line);
        let others = bridge.branches.len() > 1;
        let Some(branch) = bridge.branches.get_mut(at) else {
            return;
        };
        let session = branch.session;
        match frame.action() {
            "shutdown" => {
                branch.over = true;
                branch.from_browser.clear();
                if others {
                    return self.drop_branch(id, at, &Why::hung_up(), turn);
                }
                if let Ran::Done(orders) = self.run_frame(id, session, frame, &user, &peer) {
                    self.carry_out_all(id, orders, turn);
                }
                self.end(id, &Why::hung_up(), turn);
            }
            REBIND => self.rebind(id, Leg::A, turn),
            "complete" if !matches!(line, Line::Answered { .. }) => {}
            action => match self.run_frame(id, session, frame, &user, &peer) {
                Ran::Done(orders) => self.carry_out_all(id, orders, turn),
                Ran::NoCriterion | Ran::Failed if action == "complete" => {
                    self.end(id, &Why::script_failed(), turn);
                }
                Ran::NoCriterion | Ran::Failed => {}
            },
        }
    }

    /// Runs what an answer of the browser's means to the peer's request that it is about.
    fn run_answer(
        &mut self,
        id: BridgeId,
        session: SessionKey,
        frame: &Frame,
        asked: &Asked,
    ) -> Ran {
        let about = |method: &str| match asked.action.as_str() {
            "start" => matches!(method, "INVITE" | "UPDATE"),
            "enquiry" => method == "OPTIONS",
            _ => false,
        };
        let servers = self.bridges.get(&id).map(|bridge| &bridge.servers);
        let server = servers.and_then(|servers| servers.iter().find(|(_, method)| about(method)));
        let server = server.map(|(server, _)| *server);
        let view = Inbound::Web(views::web_view(frame, &asked.initiator, &asked.target));
        let criterion = criterion(frame.action(), script_kind(frame.control.kind));
        self.run(id, Some(session), criterion, view, server)
    }

    fn run_frame(
        &mut self,
        id: BridgeId,
        session: SessionKey,
        frame: &Frame,
        initiator: &str,
        target: &str,
    ) -> Ran {
        let view = Inbound::Web(views::web_view(frame, initiator, target));
        let criterion = criterion(frame.action(), script_kind(frame.control.kind));
        self.run(id, Some(session), criterion, view, None)
    }
}

/// Whether a text of the payload is larger than a script may put into a body.
fn carries_too_much(frame: &Frame) -> bool {
    let is_large = |value: &serde_json::Value| {
        let text = value.as_str();
        text.is_some_and(|text| text.len() > script::limits::CONTENT_BYTES_MAX)
    };
    frame
        .payload
        .iter()
        .flat_map(|payload| payload.values())
        .any(is_large)
}

/// Whether a frame may open a subsession.
fn opens(frame: &Frame) -> bool {
    match frame.control.kind {
        Kind::Request => {
            frame.control.message_state != Some(MessageState::Subsequent)
                && !CONTINUING.contains(&frame.action())
        }
        // A text that wants no answer, what became of one, and one that other pages of the user get.
        Kind::Message => matches!(frame.action(), "send" | "report" | "copy"),
        Kind::Response | Kind::Error | Kind::Acknowledgement => false,
    }
}

/// Which pending request of ours an answer is for: by its correlation id, else by its action.
fn waits_for(branch: &Branch, frame: &Frame) -> Option<usize> {
    let by_id =
        |asked: &Asked| Some(asked.correlation.as_str()) == frame.control.correlation_id.as_deref();
    let by_action = |asked: &Asked| asked.action == frame.action();
    let pending = &branch.to_browser;
    match frame.control.correlation_id {
        Some(_) => pending.iter().position(by_id),
        None => pending.iter().position(by_action),
    }
}

/// A request's correlation id; clients that leave it out mean `c` and their number.
pub(super) fn correlation(frame: &Frame) -> String {
    match &frame.control.correlation_id {
        Some(id) => id.clone(),
        None => format!("c{}", frame.control.sequence.unwrap_or(0)),
    }
}

fn asked(frame: &Frame, initiator: &str, target: &str) -> Asked {
    Asked {
        action: frame.action().to_owned(),
        correlation: correlation(frame),
        initiator: initiator.to_owned(),
        target: target.to_owned(),
    }
}

pub(super) fn criterion(action: &str, kind: script::Kind) -> Criterion {
    Criterion {
        direction: Direction::FromApp,
        verb: action.to_owned(),
        kind,
        status: None,
    }
}

fn script_kind(kind: Kind) -> script::Kind {
    match kind {
        Kind::Request => script::Kind::Request,
        Kind::Response => script::Kind::Response,
        Kind::Message | Kind::Acknowledgement => script::Kind::Message,
        Kind::Error => script::Kind::Error,
    }
}
