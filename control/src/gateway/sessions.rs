//! Sessions: connecting, what the `register` package says in them, and their end.

use super::carry_out::web_code;
use super::ending::Why;
use super::from_browser::{correlation, criterion};
use super::registering::Granted;
use super::{Action, Gateway, Seat, Turn, views};
use crate::jsonrtc::Welcome;
use crate::jsonrtc::{
    Control, Frame, Kind, Login, Members, MessageState, REGISTER, SessionKey, SocketId,
};
use crate::limits::{DEVICE_BYTES_MAX, HIBERNATE_S_MAX, Millis};
use crate::metrics::Counter;
use crate::script::{self, Inbound, Outbound, Run, Stores, WebKind};
use crate::state::Identity;

impl Gateway {
    /// A user has the name it was authenticated by. A guest takes the one it wants, or gets one.
    pub(super) fn connect(
        &mut self,
        socket: SocketId,
        application: &str,
        login: &Login,
        frame: &Frame,
        turn: &mut Turn<'_>,
    ) {
        let wanted = match (login, frame.initiator()) {
            (Login::User(name) | Login::Returning(name), _) => name.clone(),
            (Login::Guest, Some(name)) => name.to_owned(),
            (Login::Guest, None) => format!("guest-{:08x}", self.random.number() as u32),
        };
        let identity = Identity::read(&wanted, &self.settings.domain).ok();
        let local = identity
            .as_ref()
            .and_then(|identity| identity.user_of(&self.settings.domain));
        let (Some(identity), Some(local)) = (&identity, local) else {
            self.refuse_connect(socket, 403, "this name is not of our domain", turn);
            return;
        };
        let (user, local) = (identity.shown(), local.to_owned());
        let run = Run {
            package: REGISTER.to_owned(),
            application: application.to_owned(),
            criterion: criterion("connect", script::Kind::Request),
            message: Inbound::Web(views::web_view(frame, &user, &user)),
            user: user.clone(),
            unique_id: self.random.uuid(),
            session: script::SessionView::default(),
            subsession: None,
            stores: Stores {
                user: self.users.get(&user),
                ..Stores::default()
            },
            now_ms: self.wall_ms,
        };
        let actions = match self.run_script(&run) {
            Ok(Some(actions)) => actions,
            Ok(None) => return self.refuse_connect(socket, 405, "connecting is not offered", turn),
            Err(()) => return self.refuse_connect(socket, 503, "script failure", turn),
        };
        let (mut answer, mut published) = (None, Vec::new());
        for outbound in actions.outbound {
            match outbound {
                Outbound::Web(web) => answer = answer.or(Some(web)),
                Outbound::SipRequest(request) if request.method == "PUBLISH" => {
                    published.push(request);
                }
                Outbound::SipRequest(_) | Outbound::SipResponse(_) => {}
            }
        }
        match answer {
            Some(web) if web.kind == WebKind::Response => {
                let mut payload = web.payload;
                self.describe(application, &mut payload);
                if !self.settings.ice.is_empty() {
                    payload.extend(self.ice_servers(&user));
                }
                let welcome = Welcome {
                    id: self.random.uuid(),
                    user,
                    header: web.header,
                    payload: Some(payload),
                };
                let store = actions.stores.session;
                self.users.put(&welcome.user, actions.stores.user);
                let device = frame
                    .payload
                    .as_ref()
                    .and_then(|payload| payload.get("device"));
                let device = device.and_then(|device| device.as_object()).cloned();
                let fits = |device: &Members| written_bytes(device) <= DEVICE_BYTES_MAX;
                let granted = Granted {
                    device: device.filter(fits),
                    socket,
                    welcome,
                    local,
                    store,
                    published,
                };
                self.admit(granted, frame.header.get("authorization"), turn);
            }
            Some(web) => {
                let code = views::number(&web.header, "error_code").unwrap_or(403);
                let reason = web.header.get("reason").and_then(|reason| reason.as_str());
                let reason = reason.unwrap_or("refused").to_owned();
                self.refuse_connect(socket, web_code(code) as u32, &reason, turn);
            }
            None => self.refuse_connect(socket, 503, "the script did not answer", turn),
        }
    }

    pub(super) fn refuse_connect(
        &mut self,
        socket: SocketId,
        code: u32,
        reason: &str,
        _turn: &mut Turn<'_>,
    ) {
        self.counters.add(Counter::FramesRefused);
        self.browsers.refuse(socket, code, reason, &mut self.web);
    }

    /// What a browser learns with its session: the packages it may use and our timers.
    fn describe(&self, application: &str, payload: &mut Members) {
        let packages: Vec<String> = self
            .scripts
            .criteria()
            .into_iter()
            .map(|(package, _)| package)
            .filter(|package| package != REGISTER && self.allows(application, package))
            .collect();
        payload.entry("packages").or_insert_with(|| packages.into());
        let mut timers = Members::new();
        timers.insert(
            "idle_time_limit".into(),
            self.settings.browsers.idle_ms.into(),
        );
        timers.insert(
            "disconnect_time_limit".into(),
            self.settings.browsers.disconnect_ms.into(),
        );
        timers.insert("ack_interval".into(), crate::limits::ACK_AFTER_MS.into());
        payload.entry("timers").or_insert_with(|| timers.into());
    }

    /// Whether an application's browsers may use a package.
    pub(super) fn allows(&self, application: &str, package: &str) -> bool {
        let Some(profile) = self.settings.applications.get(application) else {
            return false;
        };
        let listed = |packages: &Vec<String>| packages.iter().any(|name| name == package);
        profile.packages.as_ref().is_none_or(listed) && self.scripts.has_package(package)
    }

    /// The sessions of a user that can take one more subsession of a package.
    pub(super) fn sessions_for(&self, user: &str, package: &str) -> Vec<SessionKey> {
        let able = |session: &SessionKey| {
            let application = self
                .browsers
                .session(*session)
                .map(|session| session.application());
            application.is_some_and(|application| self.allows(application, package))
                && self.has_room(*session, 0)
        };
        self.browsers
            .sessions_of(user)
            .iter()
            .copied()
            .filter(able)
            .collect()
    }

    /// Whether a session can have so many and one more subsession.
    pub(super) fn has_room(&self, session: SessionKey, more: usize) -> bool {
        let most = self.settings.subsessions_per_session;
        let seat = self.seats.get(&session);
        seat.is_some_and(|seat| seat.subsessions.len() + more < most)
    }

    pub(super) fn session_ended(&mut self, session: SessionKey, user: &str, turn: &mut Turn<'_>) {
        let Some(seat) = self.seats.remove(&session) else {
            return;
        };
        self.counters.add(Counter::SessionsEnded);
        for (subsession, id) in seat.subsessions {
            self.counters.add(Counter::SubsessionsEnded);
            let Some(bridge) = self.bridges.get_mut(&id) else {
                continue;
            };
            if let Some(at) = bridge.branch_of(session, &subsession) {
                bridge.branches[at].over = true;
                self.drop_branch(id, at, &Why::browser_gone(), turn);
            }
        }
        if let Some(local) = seat.local {
            self.let_go(user, &local, turn);
        }
        tracing::debug!(session = session.0, "a session ended");
    }

    /// A frame of the `register` package inside a session; `connect` is `jsonrtc`'s.
    pub(super) fn register_frame(
        &mut self,
        session: SessionKey,
        frame: &Frame,
        turn: &mut Turn<'_>,
    ) {
        if frame.control.kind != Kind::Request {
            return;
        }
        match frame.action() {
            "hibernate" => return self.hibernate(session, frame, turn),
            "iceEnquiry" => {
                let user = self.browsers.session(session).map(|known| known.user());
                let payload = self.ice_servers(user.unwrap_or_default());
                return self.answer_register(session, frame, Members::new(), Some(payload), turn);
            }
            _ => {}
        }
        let Some(known) = self.browsers.session(session) else {
            return;
        };
        let (user, application) = (known.user().to_owned(), known.application().to_owned());
        let store = self
            .seats
            .get(&session)
            .map(|seat| seat.store.clone())
            .unwrap_or_default();
        let run = Run {
            package: REGISTER.to_owned(),
            application,
            criterion: criterion(frame.action(), script::Kind::Request),
            message: Inbound::Web(views::web_view(frame, &user, &user)),
            user: user.clone(),
            unique_id: self.random.uuid(),
            session: self.session_view(Some(session)),
            subsession: None,
            stores: Stores {
                session: store,
                subsession: Members::new(),
                user: self.users.get(&user),
            },
            now_ms: self.wall_ms,
        };
        let actions = match self.run_script(&run) {
            Ok(Some(actions)) => actions,
            Ok(None) => {
                return self.refuse_frame(session, frame, 405, "action not allowed", turn);
            }
            Err(()) => return self.refuse_frame(session, frame, 503, "script failure", turn),
        };
        if let Some(seat) = self.seats.get_mut(&session) {
            seat.store = actions.stores.session;
        }
        self.users.put(&user, actions.stores.user);
        for outbound in actions.outbound {
            let web = match outbound {
                Outbound::Web(web) => web,
                Outbound::SipRequest(request) if request.method == "PUBLISH" => {
                    self.publish(&user, vec![request], turn);
                    continue;
                }
                Outbound::SipRequest(_) | Outbound::SipResponse(_) => {
                    tracing::warn!("the register package sends no SIP but PUBLISH");
                    continue;
                }
            };
            let mut control = Control::new(views::kind(web.kind), REGISTER);
            control.correlation_id = Some(correlation(frame));
            if web.kind == WebKind::Response {
                control.message_state = Some(web.state.map_or(MessageState::Final, views::state));
            }
            let mut header = web.header;
            header.insert("action".into(), web.action.as_str().into());
            header.insert("initiator".into(), user.as_str().into());
            header.insert("target".into(), user.as_str().into());
            let payload = (!web.payload.is_empty()).then_some(web.payload);
            let answer = Frame {
                control,
                header,
                payload,
            };
            self.browsers.send(session, answer, turn.now, &mut self.web);
        }
    }

    /// The browser wants to go away for long, and come back to the same session.
    fn hibernate(&mut self, session: SessionKey, frame: &Frame, turn: &mut Turn<'_>) {
        let busy = |seat: &Seat| !seat.subsessions.is_empty();
        let waits = self.openings.len_of(session) > 0;
        if waits || self.seats.get(&session).is_some_and(busy) {
            return self.refuse_frame(session, frame, 491, "a subsession is in progress", turn);
        }
        let wanted = frame.header_number("ttl").unwrap_or(HIBERNATE_S_MAX);
        let ttl = wanted.clamp(1, HIBERNATE_S_MAX);
        self.browsers.park(session, Millis::from(ttl) * 1000);
        let granted = Members::from_iter([("ttl".to_owned(), ttl.into())]);
        self.answer_register(session, frame, granted, None, turn);
    }

    /// Whoever wakes up browsers is told that this one is wanted, and by whom; what for is between the two.
    pub(super) fn wake(
        &mut self,
        session: SessionKey,
        package: &str,
        initiator: &str,
        turn: &mut Turn<'_>,
    ) {
        let Some(known) = self.browsers.session(session) else {
            return;
        };
        let application = known.application().to_owned();
        let profile = self.settings.applications.get(&application);
        if !profile.is_some_and(|profile| profile.wakes) {
            return;
        }
        let mut told = Members::new();
        for (name, value) in [
            ("session_id", known.id()),
            ("user", known.user()),
            ("package_type", package),
            ("initiator", initiator),
        ] {
            told.insert(name.into(), value.into());
        }
        let device = self
            .seats
            .get(&session)
            .and_then(|seat| seat.device.clone());
        told.insert("device".into(), device.into());
        self.counters.add(Counter::BrowsersWoken);
        turn.out.push(Action::Wake { application, told });
    }

    /// 200, with further headers.
    fn answer_register(
        &mut self,
        session: SessionKey,
        frame: &Frame,
        more: Members,
        payload: Option<Members>,
        turn: &mut Turn<'_>,
    ) {
        let mut control = Control::new(Kind::Response, REGISTER);
        control.correlation_id = Some(correlation(frame));
        control.message_state = Some(MessageState::Final);
        let mut header = frame.header.clone();
        header.retain(|name, _| matches!(name.as_str(), "action" | "initiator" | "target"));
        header.insert("response_code".into(), 200.into());
        header.extend(more);
        let answer = Frame {
            control,
            header,
            payload,
        };
        self.browsers.send(session, answer, turn.now, &mut self.web);
    }
}

/// Octets of these members as they are written.
fn written_bytes(members: &Members) -> usize {
    serde_json::to_vec(members).map_or(usize::MAX, |text| text.len())
}
