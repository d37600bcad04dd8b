//! What the SIP side tells: requests for browsers, answers to ours, dialogs that end.

use super::bridge::{Bridge, BridgeId, Line};
use super::carry_out::web_code;
use super::ending::Why;
use super::run::Ran;
use super::{Gateway, Turn, views};
use crate::jsonrtc::{Session, SessionKey};
use crate::limits::{COMPLETE_MS, Millis, REQUEST_MS, RINGING_PART, WAKE_MS};
use crate::metrics::Counter;
use crate::script::{Criterion, Direction, Inbound, Kind, SipView};
use crate::sip::{ClientId, DialogId, EndCause, Event, Failure, Message, ServerId};
use crate::state::Identity;

impl Gateway {
    pub(super) fn net_event(&mut self, event: Event, turn: &mut Turn<'_>) {
        match event {
            Event::Request {
                server,
                dialog,
                message,
            } => {
                self.counters.add(Counter::SipRequestsReceived);
                if message.in_dialog() {
                    self.request_inside(server, dialog, &message, turn);
                } else {
                    self.request_outside(server, dialog, &message, turn);
                }
            }
            Event::Response {
                client, message, ..
            } => {
                let view = views::sip_view(&message);
                self.response(client, view, turn);
            }
            Event::Failed { client, cause } => self.request_failed(client, cause, turn),
            Event::Cancelled { server } => self.cancelled(server, turn),
            Event::Acked { dialog } => self.acked(dialog, turn),
            Event::Ended { dialog, cause } => self.dialog_ended(dialog, cause, turn),
            Event::Notified {
                subscription,
                message,
                over,
            } => self.notified(subscription, &message, over, turn),
            Event::Registered { attempt, .. } => self.registered(attempt, turn),
            Event::NotRegistered {
                attempt,
                user,
                code,
                reason,
                challenges,
            } => self.not_registered((code, &reason), attempt, &user, &challenges, turn),
            Event::Refreshed { dialog } => {
                // Looked at, it is kept anew.
                let bridge = self.dialogs.get(&dialog).copied();
                let _ = bridge.and_then(|id| self.bridges.get_mut(&id));
            }
            Event::Hop { name, is_up: true } => tracing::info!("the SIP proxy {name} answers"),
            Event::Hop { name, is_up: false } => {
                tracing::warn!(
                    "the SIP proxy {name} does not answer: it is passed over for a while"
                );
            }
        }
    }

    /// A request that opens something.
    fn request_outside(
        &mut self,
        server: ServerId,
        dialog: Option<DialogId>,
        message: &Message,
        turn: &mut Turn<'_>,
    ) {
        let view = views::sip_view(message);
        let package = match self.scripts.resolve_package(&view) {
            Ok(Some(package)) => package,
            Ok(None) => return self.answer(server, unhandled(&view.method), turn),
            Err(error) => {
                self.counters.add(Counter::ScriptErrors);
                tracing::error!("a script failed: {error}");
                return self.answer(server, 500, turn);
            }
        };
        let read = |text: &str| Identity::read(text, &self.settings.domain);
        let (Ok(user), Ok(peer)) = (read(message.request_uri()), read(&message.sender())) else {
            return self.answer(server, 400, turn);
        };
        // SIP knows it for one of our users, also where it was called by our address.
        let (user, peer) = (user.at(&self.settings.domain).shown(), peer.shown());
        if view.method == "OPTIONS"
            && let Some(id) = self.subsession_with(&user, &peer)
        {
            return self.ask_inside(id, server, view, turn);
        }
        let sessions = self.sessions_for(&user, &package);
        let application = sessions
            .first()
            .and_then(|session| self.browsers.session(*session));
        let Some(application) = application.map(|session| session.application().to_owned()) else {
            return self.answer(server, 480, turn);
        };
        let invite = view.method == "INVITE";
        if invite && self.rings_too_often(&sessions, &peer) {
            return self.answer(server, 486, turn);
        }
        self.last_bridge += 1;
        let id = BridgeId(self.last_bridge);
        let mut bridge = Bridge::new(&package, &application, &peer, &user);
        (bridge.user, bridge.peer) = (user, peer);
        let patience = match (view.method.as_str(), dialog) {
            ("INVITE", Some(dialog)) => {
                bridge.line = Line::Invited { server, dialog };
                self.dialogs.insert(dialog, id);
                bridge.wakes = sessions.iter().all(|session| self.is_asleep(*session));
                self.patience(&bridge)
            }
            _ => {
                bridge.watched = dialog;
                if let Some(dialog) = dialog {
                    self.dialogs.insert(dialog, id);
                }
                bridge.servers.push((server, view.method.clone()));
                REQUEST_MS
            }
        };
        self.servers.insert(server, id);
        self.bridges.insert(id, bridge);
        self.timers.set(id, Some(turn.now + patience));
        let method = view.method.clone();
        match self.run_sip(id, view, Some(server)) {
            Ran::Done(orders) => self.carry_out_all(id, orders, turn),
            Ran::NoCriterion => {
                let why = Why {
                    net_code: unhandled(&method),
                    ..Why::hung_up()
                };
                self.end(id, &why, turn);
            }
            Ran::Failed => self.end(id, &Why::script_failed(), turn),
        }
    }

    /// Whether so many invitations of this caller ring in one of these sessions that another one would leave
    /// too little room for others.
    fn rings_too_often(&self, sessions: &[SessionKey], peer: &str) -> bool {
        let most = (self.settings.subsessions_per_session / RINGING_PART).max(2);
        let rings = |id: &&BridgeId| {
            let bridge = self.bridges.get(id);
            bridge.is_some_and(|bridge| {
                bridge.peer == peer && matches!(bridge.line, Line::Invited { .. })
            })
        };
        sessions.iter().any(|session| {
            let seat = self.seats.get(session);
            seat.is_some_and(|seat| seat.subsessions.values().filter(rings).count() >= most)
        })
    }

    /// A request of a dialog.
    fn request_inside(
        &mut self,
        server: ServerId,
        dialog: Option<DialogId>,
        message: &Message,
        turn: &mut Turn<'_>,
    ) {
        let id = dialog.and_then(|dialog| self.dialogs.get(&dialog)).copied();
        let Some(id) = id.filter(|id| self.bridges.contains_key(id)) else {
            // Both sides hang up at the same time: the peer was first, perhaps without the ACK that was waited for.
            let hangs_up = message.method() == crate::sip::Method::Bye;
            let crossed = dialog.is_some_and(|dialog| hangs_up && self.forget_farewell(dialog));
            return self.answer(server, if crossed { 200 } else { 481 }, turn);
        };
        let view = views::sip_view(message);
        match view.method.as_str() {
            "BYE" => self.bye_received(id, server, view, turn),
            "INVITE" | "UPDATE" if self.has_media(id) => {
                self.change_asked(id, server, &view.content, turn);
            }
            _ => self.ask_inside(id, server, view, turn),
        }
    }

    /// The subsession in which a peer's OPTIONS is answered, if there is one: open, or answered, for the ACK may come later
    /// than what was sent after it.
    fn subsession_with(&self, user: &str, peer: &str) -> Option<BridgeId> {
        let sessions = self.browsers.sessions_of(user).iter();
        let seats = sessions.filter_map(|session| self.seats.get(session));
        let mut subsessions = seats.flat_map(|seat| seat.subsessions.values());
        let criterion = net_criterion("OPTIONS", None);
        let fits = |bridge: &Bridge| {
            let answered = matches!(
                bridge.line,
                Line::Open { .. } | Line::Accepted { .. } | Line::Answered { .. }
            );
            answered
                && bridge.peer == peer
                && (self.scripts).handles(&bridge.package, &criterion, &bridge.application)
        };
        subsessions
            .find(|id| self.bridges.get(id).is_some_and(fits))
            .copied()
    }

    /// A request of the peer's for a subsession there is, in its dialog or not.
    fn ask_inside(&mut self, id: BridgeId, server: ServerId, view: SipView, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        if !bridge.has_room() {
            return self.answer(server, 503, turn);
        }
        bridge.servers.push((server, view.method.clone()));
        self.servers.insert(server, id);
        let method = view.method.clone();
        let code = match self.run_sip(id, view, Some(server)) {
            Ran::Done(orders) => return self.carry_out_all(id, orders, turn),
            Ran::NoCriterion => unhandled(&method),
            Ran::Failed => 500,
        };
        if let Some(bridge) = self.bridges.get_mut(&id) {
            bridge.servers.retain(|(other, _)| *other != server);
        }
        self.servers.remove(&server);
        self.answer(server, code, turn);
    }

    fn bye_received(&mut self, id: BridgeId, server: ServerId, view: SipView, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        // A caller may hang up while it rings: its invitation still wants an answer.
        if let Line::Invited {
            server: invitation, ..
        } = bridge.line
        {
            self.servers.remove(&invitation);
            self.answer(invitation, 487, turn);
        }
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        if let Some(dialog) = bridge.line.dialog() {
            self.dialogs.remove(&dialog);
        }
        bridge.servers.push((server, view.method.clone()));
        self.servers.insert(server, id);
        let ran = self.run_sip(id, view, Some(server));
        if let Some(bridge) = self.bridges.get_mut(&id) {
            bridge.line = Line::Idle;
        }
        if let Ran::Done(orders) = ran {
            for order in orders {
                self.carry_out(id, order, turn);
            }
        }
        // Whatever the script did or failed to do: a BYE is answered, and the bridge ends.
        if self.servers.remove(&server).is_some() {
            if let Some(bridge) = self.bridges.get_mut(&id) {
                bridge.servers.retain(|(other, _)| *other != server);
            }
            self.answer(server, 200, turn);
        }
        self.end(id, &Why::hung_up(), turn);
    }

    /// An answer to a request of ours, also one that was made up because none came.
    fn response(&mut self, client: ClientId, view: SipView, turn: &mut Turn<'_>) {
        let Some(&id) = self.clients.get(&client) else {
            return;
        };
        let others = match view.status {
            200.. => self.questions.answered(client),
            _ => Vec::new(),
        };
        self.answered(id, client, view.clone(), turn);
        for other in others {
            self.answered(other, client, view.clone(), turn);
        }
    }

    /// The answer reaches one of those who wait for it.
    fn answered(&mut self, id: BridgeId, client: ClientId, view: SipView, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let status = view.status;
        let invitation = match bridge.line {
            Line::Inviting {
                client: invitation,
                dialog,
            } if invitation == client => Some(dialog),
            _ => None,
        };
        if status >= 200 {
            self.clients.remove(&client);
            let changes =
                |(other, method): &(ClientId, String)| *other == client && method == "INVITE";
            if let Line::Open { dialog } = bridge.line
                && status < 300
                && bridge.clients.iter().any(changes)
            {
                turn.net.ack(dialog);
            }
            bridge.clients.retain(|(other, _)| *other != client);
            if let Some(gone) = bridge.subscription_answered(client, &view) {
                self.subscriptions.remove(&gone);
            } else if bridge.line == Line::Idle && !bridge.subscriptions.is_empty() {
                // From now on the subscription says how long it lasts.
                self.timers.set(id, None);
            }
            if let Some(dialog) = invitation {
                if status < 300 {
                    bridge.line = Line::Answered { dialog };
                    self.timers.set(id, Some(turn.now + COMPLETE_MS));
                } else {
                    bridge.line = Line::Idle;
                    self.dialogs.remove(&dialog);
                }
            }
        }
        let why = Why {
            web_code: web_code(u64::from(status)) as u16,
            text: view.reason.clone(),
            ..Why::hung_up()
        };
        let ran = self.run_sip(id, view, None);
        let failed = matches!(ran, Ran::NoCriterion | Ran::Failed);
        if let Ran::Done(orders) = ran {
            self.carry_out_all(id, orders, turn);
        }
        match (invitation, status) {
            // The invitation is over, whether or not the script said so.
            (Some(_), 300..) => self.end(id, &why, turn),
            (Some(_), 200..) if failed => self.end(id, &Why::script_failed(), turn),
            (None, 200..) if failed && self.is_idle(id) => {
                self.end(id, &Why::script_failed(), turn);
            }
            _ => {}
        }
    }

    /// A request of its own that could not be sent, in a subsession that goes on.
    pub(super) fn not_answered(
        &mut self,
        id: BridgeId,
        method: &str,
        why: &Why,
        turn: &mut Turn<'_>,
    ) {
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        let (from, to) = (self.uri(&bridge.user), self.uri(&bridge.peer));
        let view = views::missing_response(method, why.web_code, &why.text, &from, &to);
        if let Ran::Done(orders) = self.run_sip(id, view, None) {
            self.carry_out_all(id, orders, turn);
        }
    }

    /// Whether the media go through the relay.
    pub(super) fn has_media(&self, id: BridgeId) -> bool {
        let bridge = self.bridges.get(&id);
        bridge.is_some_and(|bridge| matches!(bridge.media, super::media::Media::Made(_)))
    }

    /// Whether a bridge has no dialog: it lives from single requests.
    fn is_idle(&self, id: BridgeId) -> bool {
        (self.bridges.get(&id)).is_some_and(|bridge| bridge.line == Line::Idle)
    }

    fn request_failed(&mut self, client: ClientId, cause: Failure, turn: &mut Turn<'_>) {
        let Some(bridge) = self
            .clients
            .get(&client)
            .and_then(|id| self.bridges.get(id))
        else {
            return;
        };
        let (status, reason) = match cause {
            Failure::Timeout => (408, "Request Timeout"),
            Failure::Transport => (503, "Service Unavailable"),
            Failure::Cancelled => (487, "Request Terminated"),
        };
        let method = bridge.clients.iter().find(|(other, _)| *other == client);
        let method = method.map_or("INVITE", |(_, method)| method.as_str());
        let (from, to) = (self.uri(&bridge.user), self.uri(&bridge.peer));
        let view = views::missing_response(method, status, reason, &from, &to);
        self.response(client, view, turn);
    }

    /// The peer gave up ringing.
    fn cancelled(&mut self, server: ServerId, turn: &mut Turn<'_>) {
        let Some(id) = self.servers.remove(&server) else {
            return;
        };
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let Line::Invited { dialog, .. } = bridge.line else {
            return bridge.servers.retain(|(other, _)| *other != server);
        };
        bridge.line = Line::Idle;
        self.dialogs.remove(&dialog);
        self.run_bare(id, "CANCEL", turn);
        self.end(id, &Why::hung_up(), turn);
    }

    /// The peer has our answer to its invitation.
    fn acked(&mut self, dialog: DialogId, turn: &mut Turn<'_>) {
        if !self.farewell_timers.is_set(dialog)
            && let Some(reason) = self.farewells.remove(&dialog)
        {
            return self.bye(dialog, &reason, turn);
        }
        let Some(&id) = self.dialogs.get(&dialog) else {
            return;
        };
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        if matches!(bridge.line, Line::Open { .. }) {
            // A change that the browser has answered.
            if bridge
                .branches
                .iter()
                .any(|branch| branch.confirming.is_some())
            {
                self.run_bare(id, "ACK", turn);
            }
            return;
        }
        if !matches!(bridge.line, Line::Accepted { .. }) {
            return;
        }
        bridge.line = Line::Open { dialog };
        self.timers.set(id, None);
        self.counters.add(Counter::SubsessionsEstablished);
        if !self.run_bare(id, "ACK", turn) {
            self.end(id, &Why::script_failed(), turn);
        }
    }

    fn dialog_ended(&mut self, dialog: DialogId, cause: EndCause, turn: &mut Turn<'_>) {
        self.forget_farewell(dialog);
        let Some(id) = self.dialogs.remove(&dialog) else {
            return;
        };
        if let Some(bridge) = self.bridges.get_mut(&id) {
            bridge.line = Line::Idle;
            bridge.watched = None;
        }
        let text = match cause {
            EndCause::NoAck => "The peer did not confirm",
            EndCause::PeerForgot => "The peer does not know the call any more",
            EndCause::Bye => "The peer hung up",
            EndCause::Expired => "The subscription has expired",
        };
        self.end(id, &Why::failed(408, text), turn);
    }

    /// Nothing happened in time.
    pub(super) fn bridge_timeout(&mut self, id: BridgeId, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        if bridge.wakes {
            let mut branches = bridge.branches.iter();
            let awake = branches.any(|branch| !self.is_asleep(branch.session));
            let rest_ms = self.settings.ring_ms.saturating_sub(WAKE_MS);
            if let Some(bridge) = self.bridges.get_mut(&id).filter(|_| awake && rest_ms > 0) {
                // Somebody has woken up, and has the rest of the time to answer.
                bridge.wakes = false;
                return self.timers.set(id, Some(turn.now + rest_ms));
            }
        }
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        let why = match bridge.media {
            super::media::Media::Making(_) => {
                self.counters.add(Counter::RelaySessionsRefused);
                Why::failed(503, "The media relay does not answer")
            }
            super::media::Media::None | super::media::Media::Made(_) => Why::timed_out(),
        };
        self.end(id, &why, turn);
    }

    /// How long an invitation may ring.
    pub(super) fn patience(&self, bridge: &Bridge) -> Millis {
        let ring_ms = self.settings.ring_ms;
        if bridge.wakes {
            WAKE_MS.min(ring_ms)
        } else {
            ring_ms
        }
    }

    fn is_asleep(&self, session: SessionKey) -> bool {
        self.browsers
            .session(session)
            .is_some_and(Session::is_asleep)
    }

    /// Runs the criterion of a request that has no message of its own. Whether it ran.
    fn run_bare(&mut self, id: BridgeId, method: &str, turn: &mut Turn<'_>) -> bool {
        let Some(bridge) = self.bridges.get(&id) else {
            return false;
        };
        let view = views::bare_request(method, &self.uri(&bridge.peer), &self.uri(&bridge.user));
        let Ran::Done(orders) = self.run_sip(id, view, None) else {
            return false;
        };
        self.wind_alarm(id, turn);
        for order in orders {
            self.carry_out(id, order, turn);
        }
        true
    }

    pub(super) fn run_sip(&mut self, id: BridgeId, view: SipView, server: Option<ServerId>) -> Ran {
        let status = (!view.is_request).then_some(view.status);
        let criterion = net_criterion(&view.method, status);
        self.run(id, None, criterion, Inbound::Sip(view), server)
    }

    /// A party's address as SIP writes it.
    pub(super) fn uri(&self, shown: &str) -> String {
        match Identity::read(shown, &self.settings.domain) {
            Ok(identity) => identity.uri(),
            Err(_) => shown.to_owned(),
        }
    }
}

/// The key of a request, or of a response with this status.
fn net_criterion(method: &str, status: Option<u16>) -> Criterion {
    Criterion {
        direction: Direction::FromNet,
        verb: method.to_owned(),
        kind: match status {
            Some(_) => Kind::Response,
            None => Kind::Request,
        },
        status,
    }
}

/// The status for a request nobody has a criterion for.
fn unhandled(method: &str) -> u16 {
    match method {
        // Whoever asks whether we are there gets an answer.
        "OPTIONS" => 200,
        "INVITE" => 488,
        "SUBSCRIBE" => 489,
        _ => 405,
    }
}
