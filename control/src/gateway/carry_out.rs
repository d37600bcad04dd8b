//! Carrying out what a script sent: frames to browsers, requests and responses to the SIP side.

use super::bridge::{Asked, Branch, BridgeId, Line, Order, Subscribed};
use super::ending::Why;
use super::media::Anchored;
use super::{Gateway, Turn, subscribed, views};
use crate::jsonrtc::{Control, Frame, Kind, MessageState};
use crate::limits::{COMPLETE_MS, REQUEST_MS};
use crate::metrics::Counter;
use crate::script::{OutSipRequest, OutSipResponse, OutWeb, Outbound};
use crate::sip::{Method, ServerId};

impl Gateway {
    /// Carries out one message. Without effect on a bridge that has ended.
    pub(super) fn carry_out(&mut self, id: BridgeId, mut order: Order, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        if !bridge.waiting.is_empty() && !ends(&order.outbound) {
            self.put_off(id, order, turn);
            return;
        }
        if wants_anchor(&order.outbound) {
            match self.anchor(id, &mut order.outbound, turn) {
                Anchored::Ready => {}
                Anchored::Waits => return self.put_off(id, order, turn),
                Anchored::Ended => return,
            }
        }
        match order.outbound {
            Outbound::Web(web) => self.carry_out_web(id, web, turn),
            Outbound::SipRequest(request) => self.carry_out_request(id, request, turn),
            Outbound::SipResponse(response) => {
                self.carry_out_response(id, order.server, response, turn);
            }
        }
    }

    fn carry_out_web(&mut self, id: BridgeId, web: OutWeb, turn: &mut Turn<'_>) {
        match views::kind(web.kind) {
            Kind::Request => self.ask_browsers(id, &web, turn),
            Kind::Response | Kind::Error => self.answer_browser(id, web, turn),
            Kind::Message if web.others => self.tell_others(id, &web, turn),
            Kind::Message => {
                if web.action != "shutdown" {
                    self.open_branches(id);
                }
                let bridge = self.bridges.get(&id);
                for at in 0..bridge.map_or(0, |bridge| bridge.branches.len()) {
                    self.tell_browser(id, at, &web, turn);
                }
            }
            Kind::Acknowledgement => {}
        }
    }

    /// A request to the browser; the first one of an incoming bridge goes to every session of the user.
    fn ask_browsers(&mut self, id: BridgeId, web: &OutWeb, turn: &mut Turn<'_>) {
        let opens = self.open_branches(id);
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        if bridge.branches.is_empty() {
            self.end(id, &Why::failed(480, "Temporarily Unavailable"), turn);
            return;
        }
        if !bridge.has_room() {
            tracing::warn!(bridge = id.0, "too many requests wait for the browser");
            return;
        }
        for at in 0..bridge.branches.len() {
            self.ask_browser(id, at, opens, web, turn);
        }
    }

    /// What the peer began is told to every session of the user, which have it as a subsession from
    /// now on. Whether that was done: not if there is one already.
    fn open_branches(&mut self, id: BridgeId) -> bool {
        let Some(bridge) = self.bridges.get(&id) else {
            return false;
        };
        if !bridge.branches.is_empty() {
            return false;
        }
        for session in self.sessions_for(&bridge.user, &bridge.package) {
            let subsession = self.random.uuid();
            let Some(seat) = self.seats.get_mut(&session) else {
                continue;
            };
            seat.subsessions.insert(subsession.clone(), id);
            self.counters.add(Counter::SubsessionsStarted);
            let opening = self.browsers.next_correlation(session).unwrap_or_default();
            if let Some(bridge) = self.bridges.get_mut(&id) {
                bridge
                    .branches
                    .push(Branch::new(session, subsession, opening));
            }
        }
        true
    }

    fn ask_browser(
        &mut self,
        id: BridgeId,
        at: usize,
        opens: bool,
        web: &OutWeb,
        turn: &mut Turn<'_>,
    ) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let Some(branch) = bridge.branches.get_mut(at) else {
            return;
        };
        let correlation = self
            .browsers
            .next_correlation(branch.session)
            .unwrap_or_default();
        branch.to_browser.push(Asked {
            action: web.action.clone(),
            correlation: correlation.clone(),
            initiator: bridge.peer.clone(),
            target: bridge.user.clone(),
        });
        let mut frame = frame(
            &bridge.package,
            branch,
            web,
            &bridge.peer,
            &bridge.user,
            Some(correlation),
        );
        let state = if opens {
            MessageState::Initial
        } else {
            MessageState::Subsequent
        };
        frame.control.message_state = Some(web.state.map_or(state, views::state));
        self.browsers
            .send(branch.session, frame, turn.now, &mut self.web);
    }

    /// An answer to the request of the browser's that has this action.
    fn answer_browser(&mut self, id: BridgeId, mut web: OutWeb, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let waits = |branch: &Branch| branch.asked(&web.action).is_some();
        let Some(branch) = bridge.branches.iter_mut().find(|branch| waits(branch)) else {
            tracing::debug!(
                bridge = id.0,
                action = web.action,
                "an answer nobody waits for"
            );
            return;
        };
        let Some(at) = branch
            .from_browser
            .iter()
            .position(|asked| asked.action == web.action)
        else {
            return;
        };
        let asked = branch.from_browser[at].clone();
        let is_error = views::kind(web.kind) == Kind::Error;
        let mut state = None;
        if is_error {
            let code = views::number(&web.header, "error_code").unwrap_or(503);
            web.header
                .insert("error_code".into(), web_code(code).into());
        } else {
            let code = views::number(&web.header, "response_code");
            let provisional = web
                .state
                .is_some_and(|s| s != crate::script::MessageState::Final)
                || (web.state.is_none() && code.is_some_and(|code| code < 200));
            state = Some(if provisional {
                MessageState::Subsequent
            } else {
                MessageState::Final
            });
            let usual = if provisional { 180 } else { 200 };
            web.header
                .insert("response_code".into(), code.unwrap_or(usual).into());
        }
        if is_error || state == Some(MessageState::Final) {
            branch.from_browser.remove(at);
        }
        if is_error && asked.correlation == branch.opening {
            branch.over = true;
        }
        let (initiator, target) = (asked.initiator, asked.target);
        let mut frame = frame(
            &bridge.package,
            branch,
            &web,
            &initiator,
            &target,
            Some(asked.correlation),
        );
        frame.control.message_state = state;
        self.browsers
            .send(branch.session, frame, turn.now, &mut self.web);
    }

    fn tell_browser(&mut self, id: BridgeId, at: usize, web: &OutWeb, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let is_open = bridge.is_open();
        let Some(branch) = bridge.branches.get_mut(at) else {
            return;
        };
        if branch.over {
            return;
        }
        let correlation = match web.action.as_str() {
            "complete" => branch.confirming.take().or(Some(branch.opening.clone())),
            "shutdown" if is_open => self.browsers.next_correlation(branch.session),
            "shutdown" => Some(branch.opening.clone()),
            _ => None,
        };
        branch.over = web.action == "shutdown";
        let frame = frame(
            &bridge.package,
            branch,
            web,
            &bridge.peer,
            &bridge.user,
            correlation,
        );
        self.browsers
            .send(branch.session, frame, turn.now, &mut self.web);
    }

    fn carry_out_request(&mut self, id: BridgeId, request: OutSipRequest, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        match (request.method.as_str(), bridge.line) {
            ("ACK", Line::Answered { dialog }) => {
                turn.net.ack(dialog);
                bridge.line = Line::Open { dialog };
                self.timers.set(id, None);
                self.counters.add(Counter::SubsessionsEstablished);
            }
            ("ACK", _) => tracing::debug!(bridge = id.0, "nothing to acknowledge"),
            ("BYE" | "CANCEL", Line::Open { dialog }) => {
                bridge.line = Line::Idle;
                self.dialogs.remove(&dialog);
                let mut bye = views::out_request(request);
                bye.method = Method::Bye;
                match turn.net.request(Some(dialog), bye) {
                    Ok(_) => self.counters.add(Counter::SipRequestsSent),
                    Err(refused) => tracing::warn!(bridge = id.0, ?refused, "BYE was not sent"),
                }
                self.end(id, &Why::hung_up(), turn);
            }
            ("BYE" | "CANCEL", _) => self.end(id, &Why::hung_up(), turn),
            ("INVITE", Line::Idle) => self.invite(id, request, turn),
            // The description that changes an open session.
            ("INVITE", Line::Open { .. }) => self.request(id, request, turn),
            ("INVITE", _) => tracing::warn!(bridge = id.0, "the session is not open yet"),
            ("NOTIFY", _) => self.notify(id, request, turn),
            _ => self.request(id, request, turn),
        }
    }

    fn invite(&mut self, id: BridgeId, request: OutSipRequest, turn: &mut Turn<'_>) {
        let request = self.addressed(id, request);
        let sent = turn.net.request(None, views::out_request(request));
        match sent {
            Ok(crate::sip::Sent {
                client,
                dialog: Some(dialog),
                ..
            }) => {
                self.counters.add(Counter::SipRequestsSent);
                if let Some(bridge) = self.bridges.get_mut(&id) {
                    bridge.line = Line::Inviting { client, dialog };
                }
                self.clients.insert(client, id);
                self.dialogs.insert(dialog, id);
                self.timers.set(id, Some(turn.now + self.settings.ring_ms));
            }
            Ok(crate::sip::Sent {
                client,
                dialog: None,
                ..
            }) => {
                turn.net.cancel(client);
                self.end(id, &Why::failed(503, "The invitation has no dialog"), turn);
            }
            Err(refused) => {
                tracing::debug!(bridge = id.0, ?refused, "INVITE was not sent");
                self.end(id, &not_sent(refused), turn);
            }
        }
    }

    /// Any request but the first INVITE, ACK, BYE and CANCEL.
    fn request(&mut self, id: BridgeId, request: OutSipRequest, turn: &mut Turn<'_>) {
        let method = request.method.clone();
        let request = self.addressed(id, request);
        let outside = request.outside;
        // The same question asked at the same time is asked once.
        let question = (outside && method == "OPTIONS")
            .then(|| serde_json::to_string(&request).ok())
            .flatten();
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        if !bridge.has_room() {
            tracing::warn!(bridge = id.0, method, "too many requests wait for the peer");
            return;
        }
        let idle = bridge.line == Line::Idle;
        let joined = question
            .as_deref()
            .and_then(|text| self.questions.join(text, id));
        if let Some(client) = joined {
            bridge.clients.push((client, method));
            if idle {
                self.timers.set(id, Some(turn.now + REQUEST_MS));
            }
            return;
        }
        let dialog = bridge.line.dialog().filter(|_| !outside);
        let request = views::out_request(request);
        let event = subscribed::event(&request).to_owned();
        let sent = match bridge.subscription_to(&request, &event) {
            Some(known) => turn.net.subscribe_again(known, request),
            None => turn.net.request(dialog, request),
        };
        match sent {
            Ok(sent) => {
                self.counters.add(Counter::SipRequestsSent);
                if let Some(subscription) = sent.subscription
                    && self.subscriptions.insert(subscription, id).is_none()
                {
                    bridge.subscriptions.push(Subscribed {
                        id: subscription,
                        event,
                        client: Some(sent.client),
                    });
                }
                bridge.clients.push((sent.client, method));
                self.clients.insert(sent.client, id);
                if let Some(text) = question {
                    self.questions.asked(text, sent.client);
                }
                if idle {
                    self.timers.set(id, Some(turn.now + REQUEST_MS));
                }
            }
            Err(refused) => {
                tracing::debug!(bridge = id.0, method, ?refused, "a request was not sent");
                if idle {
                    self.end(id, &not_sent(refused), turn);
                } else if outside || method == "INVITE" {
                    self.not_answered(id, &method, &not_sent(refused), turn);
                }
            }
        }
    }

    /// The request with the bridge's parties where the script left them out.
    pub(super) fn addressed(&self, id: BridgeId, mut request: OutSipRequest) -> OutSipRequest {
        if let Some(bridge) = self.bridges.get(&id) {
            if request.from.is_empty() {
                request.from = self.uri(&bridge.user);
            }
            if request.to.is_empty() {
                request.to = self.uri(&bridge.peer);
            }
        }
        request
    }

    /// An answer to `server`, or else to the invitation that waits, or to the oldest request that does.
    fn carry_out_response(
        &mut self,
        id: BridgeId,
        server: Option<ServerId>,
        response: OutSipResponse,
        turn: &mut Turn<'_>,
    ) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let invited = match bridge.line {
            Line::Invited { server, dialog } => Some((server, dialog)),
            _ => None,
        };
        let oldest = bridge.servers.first().map(|(server, _)| *server);
        let waiting = server.or(invited.map(|(server, _)| server)).or(oldest);
        let Some(server) = waiting.filter(|server| self.servers.contains_key(server)) else {
            tracing::debug!(
                bridge = id.0,
                code = response.code,
                "nobody waits for this answer"
            );
            return;
        };
        let code = response.code;
        if let Err(refused) = turn.net.respond(server, views::out_response(response)) {
            tracing::warn!(bridge = id.0, code, ?refused, "an answer was not sent");
            self.end(id, &Why::failed(503, "The answer could not be sent"), turn);
            return;
        }
        if code < 200 {
            return;
        }
        self.servers.remove(&server);
        if bridge.servers.iter().any(|(known, _)| *known == server) {
            self.check_watched(id, turn);
        }
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        match invited {
            Some((invitation, dialog)) if invitation == server => {
                if code < 300 {
                    bridge.line = Line::Accepted { dialog };
                    self.timers.set(id, Some(turn.now + COMPLETE_MS));
                } else {
                    bridge.line = Line::Idle;
                    self.dialogs.remove(&dialog);
                    self.end(id, &Why::hung_up(), turn);
                }
            }
            _ => bridge.servers.retain(|(other, _)| *other != server),
        }
    }
}

/// A frame of a branch's subsession, as a script wants it: `action` and the parties filled in.
pub(super) fn frame(
    package: &str,
    branch: &Branch,
    web: &OutWeb,
    initiator: &str,
    target: &str,
    correlation: Option<String>,
) -> Frame {
    let mut header = web.header.clone();
    header.insert("action".into(), web.action.as_str().into());
    header
        .entry("initiator")
        .or_insert_with(|| initiator.into());
    header.entry("target").or_insert_with(|| target.into());
    let mut control = Control::new(views::kind(web.kind), branch.package(package));
    control.subsession_id = Some(branch.subsession.clone());
    control.correlation_id = correlation;
    let payload = (!web.payload.is_empty()).then(|| web.payload.clone());
    Frame {
        control,
        header,
        payload,
    }
}

/// A SIP status as an error frame's code. 500 would end the browser's whole session.
pub fn web_code(status: u64) -> u64 {
    match status {
        500 => 503,
        300..=699 => status,
        _ => 503,
    }
}

fn not_sent(refused: crate::sip::Refused) -> Why {
    let code = web_code(u64::from(refused.status())) as u16;
    let text = match code {
        404 => "Not Found",
        480 => "Temporarily Unavailable",
        503 => "Service Unavailable",
        _ => "The request could not be sent",
    };
    Why::failed(code, text)
}

fn wants_anchor(outbound: &Outbound) -> bool {
    match outbound {
        Outbound::Web(web) => web.anchor,
        Outbound::SipRequest(request) => request.anchor,
        Outbound::SipResponse(response) => response.anchor,
    }
}

/// Whether the message ends the bridge, and so need not wait for the relay.
pub fn ends(outbound: &Outbound) -> bool {
    match outbound {
        Outbound::SipRequest(request) => matches!(request.method.as_str(), "BYE" | "CANCEL"),
        Outbound::SipResponse(response) => response.code >= 300,
        Outbound::Web(_) => false,
    }
}
