//! What time and lost connections do: repetitions, requests without an answer, dialogs without an ACK.

use super::api::{Action, ClientId, DialogId, EndCause, Event, Failure, Flow, Millis, ServerId};
use super::dialog::Phase;
use super::machine::Sip;
use super::method::Method;
use super::tables::{Client, ClientOwner, ServerOwner};
use super::timers::TimerOf;
use super::transaction::{client, server};

impl Sip {
    /// The time of [`Sip::deadline`] has come.
    pub fn timeout(&mut self, now: Millis, out: &mut Vec<Action>) {
        while let Some(whose) = self.timers.pop(now) {
            match whose {
                TimerOf::Client(id) => self.client_timeout(id, now, out),
                TimerOf::Server(id) => self.server_timeout(id, now, out),
                TimerOf::Dialog(id) => self.dialog_timeout(id, now, out),
                TimerOf::User(user) => {
                    self.registrar.expire(&user, now);
                    self.rearm_user(user);
                }
                TimerOf::Registration(user) => self.registration_timeout(&user, now, out),
                TimerOf::Probe => self.probe_hops(now, out),
                TimerOf::Subscription(id) => self.subscription_timeout(id, now, out),
                TimerOf::Watchers => self.watchers_timeout(now, out),
                TimerOf::Publication(key) => self.publication_timeout(&key, now, out),
            }
        }
    }

    /// A TCP connection broke or could not be opened.
    pub fn flow_lost(&mut self, flow: Flow, now: Millis, out: &mut Vec<Action>) {
        self.registrar.flow_lost(flow);
        for dialog in self.dialogs.iter_mut().filter(|d| d.source == Some(flow)) {
            dialog.source = None;
        }
        for (_, server) in self.servers.iter_mut().filter(|(_, s)| s.flow == flow) {
            // RFC 3261, 18.2.2: open a new one to where the peer says it listens.
            server.flow = Flow {
                peer: server.listens,
                connection: None,
                ..flow
            };
        }
        for dialog in self.dialogs.iter_mut() {
            if let Some(answer) = dialog.answer.as_mut().filter(|answer| answer.flow == flow)
                && let Some(server) = self.servers.of(answer.server)
            {
                answer.flow = server.flow;
            }
        }
        let went_there = |client: &Client| {
            let same = client.flow.transport == flow.transport && client.flow.peer == flow.peer;
            same && (client.flow.connection.is_none() || client.flow.connection == flow.connection)
        };
        let lost: Vec<ClientId> = self
            .clients
            .iter_mut()
            .filter(|(_, c)| went_there(c))
            .map(|(id, _)| id)
            .collect();
        for id in lost {
            self.client_flow_lost(id, now, out);
        }
        self.registrations_lost(flow, now, out);
    }

    fn client_timeout(&mut self, id: ClientId, now: Millis, out: &mut Vec<Action>) {
        let timing = self.settings.timing;
        let Some(client) = self.clients.of_mut(id) else {
            return;
        };
        match client.machine.timeout(&timing, now) {
            client::Step::Repeat => {
                out.push(Action::Transmit {
                    flow: client.flow,
                    bytes: client.request.print(),
                });
            }
            client::Step::RingOver => self.send_cancel(id, now, out),
            client::Step::TimedOut => return self.client_failed(id, Failure::Timeout, now, out),
            client::Step::Over => {
                self.clients.remove(id);
            }
            client::Step::Nothing
            | client::Step::Pass
            | client::Step::PassAndAck
            | client::Step::Ack => {}
        }
        self.rearm_client(id);
    }

    fn client_flow_lost(&mut self, id: ClientId, now: Millis, out: &mut Vec<Action>) {
        let timing = self.settings.timing;
        let Some(client) = self.clients.of_mut(id) else {
            return;
        };
        if !client.machine.is_open() {
            return;
        }
        let Some(flow) = client.fallback.take() else {
            return self.client_failed(id, Failure::Transport, now, out);
        };
        // It went over TCP for its size only, and nobody listens there.
        client.flow = flow;
        client.machine.restart(false, &timing, now);
        let via = client.request.headers.first_mut().map(|(_, via)| via);
        if let Some(via) = via {
            *via = via
                .replacen("/TCP ", "/UDP ", 1)
                .replacen(";branch", ";rport;branch", 1);
        }
        out.push(Action::Transmit {
            flow,
            bytes: client.request.print(),
        });
        self.rearm_client(id);
    }

    /// A request of ours gets no answer any more.
    pub(super) fn client_failed(
        &mut self,
        id: ClientId,
        cause: Failure,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let hop = self.clients.of(id).and_then(|client| {
            let probed = client.owner == ClientOwner::Probe;
            client.hop.or(probed.then_some(client.flow))
        });
        if let Some(flow) = hop {
            self.hop_is_down(flow, None, now, out);
            if self.fail_over(id, now, out) {
                return;
            }
        }
        let registering = self.registering(id);
        self.timers.set(TimerOf::Client(id), None);
        let Some(client) = self.clients.remove(id) else {
            return;
        };
        match client.owner {
            ClientOwner::Probe | ClientOwner::Prack(_) => {}
            ClientOwner::Publication => self.on_publish_response(id, None, now, out),
            ClientOwner::Notify(dialog) => self.notify_refused(dialog, out),
            ClientOwner::Subscription { id: of, asked } => {
                self.subscribe_failed(id, (of, asked), cause, now, out);
            }
            ClientOwner::Refresh(dialog) => {
                // RFC 4028, 10: no answer is as good as 408.
                let code = if cause == Failure::Timeout { 408 } else { 503 };
                self.refresh_refused(id, dialog, code, now, out);
            }
            ClientOwner::Registration => {
                let (code, reason) = match cause {
                    Failure::Timeout => (408, "the registrar does not answer"),
                    Failure::Transport | Failure::Cancelled => {
                        (503, "the registrar is not reached")
                    }
                };
                if let Some(user) = registering {
                    self.register_failed(&user, code, reason, Vec::new(), now, out);
                }
            }
            ClientOwner::Nobody(dialog) => {
                if let Some(dialog) = dialog {
                    self.drop_dialog(dialog);
                }
            }
            ClientOwner::Proxy(server) => self.proxy_failed(server, cause, now, out),
            ClientOwner::Gateway(dialog) => {
                self.on_publish_response(id, None, now, out);
                out.push(Action::Event(Event::Failed { client: id, cause }));
                let Some(dialog_id) = dialog else {
                    return;
                };
                let Some(dialog) = self.dialogs.of_mut(dialog_id) else {
                    return;
                };
                dialog.is_answered(id);
                let opened = dialog.phase == Phase::Confirmed && client.method != Method::Bye;
                match (opened, cause) {
                    // RFC 3261, 12.2.1.2: no answer, no peer.
                    (true, Failure::Timeout) => self.end(dialog_id, EndCause::PeerForgot, out),
                    (true, Failure::Transport | Failure::Cancelled) => {}
                    (false, _) => {
                        if dialog.phase == Phase::Early || client.method == Method::Bye {
                            self.drop_dialog(dialog_id);
                        }
                    }
                }
            }
        }
    }

    /// Ends a dialog without the gateway's doing.
    pub(super) fn end(&mut self, dialog: DialogId, cause: EndCause, out: &mut Vec<Action>) {
        self.drop_dialog(dialog);
        out.push(Action::Event(Event::Ended { dialog, cause }));
    }

    fn server_timeout(&mut self, id: ServerId, now: Millis, out: &mut Vec<Action>) {
        let timing = self.settings.timing;
        let Some(server) = self.servers.of_mut(id) else {
            return;
        };
        if server.reliable.is_some() && server.machine.is_open() {
            self.reliable_timeout(id, now, out);
        }
        let Some(server) = self.servers.of_mut(id) else {
            return;
        };
        match server.machine.timeout(&timing, now) {
            server::Step::Repeat => {
                if let Some(bytes) = server.last.clone() {
                    out.push(Action::Transmit {
                        flow: server.flow,
                        bytes,
                    });
                }
            }
            server::Step::Over => {
                self.note_request(id);
                self.servers.remove(id);
            }
            server::Step::Unanswered => self.server_unanswered(id, now, out),
            server::Step::Nothing => {}
        }
        self.rearm_server(id);
    }

    /// Nobody answered a request in time.
    fn server_unanswered(&mut self, id: ServerId, now: Millis, out: &mut Vec<Action>) {
        let Some(server) = self.servers.of(id) else {
            return;
        };
        let (owner, invite) = (server.owner, server.method == Method::Invite);
        let bye = server.method == Method::Bye;
        match owner {
            ServerOwner::Gateway(_) if invite => self.refuse_invite(id, 480, now, out),
            ServerOwner::Proxy(client) if invite => {
                self.answer_plainly(id, 408, now, out);
                self.cancel_client(client, now, out);
            }
            ServerOwner::Gateway(Some(dialog)) if bye => {
                self.servers.remove(id);
                if self.dialogs.of(dialog).is_some() {
                    self.end(dialog, EndCause::Bye, out);
                }
            }
            ServerOwner::Gateway(Some(dialog)) => {
                self.servers.remove(id);
                self.drop_if_unused(dialog);
            }
            // RFC 4320, 4.2: a late answer to anything but an INVITE only does harm.
            ServerOwner::Gateway(_) | ServerOwner::Proxy(_) | ServerOwner::Own => {
                self.note_request(id);
                self.servers.remove(id);
            }
        }
    }

    /// The gateway's INVITE is answered without it: it was cancelled, or rang too long.
    pub(super) fn refuse_invite(
        &mut self,
        id: ServerId,
        code: u16,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(server) = self.servers.of(id) else {
            return;
        };
        if !server.machine.is_open() {
            return;
        }
        let owner = server.owner;
        self.answer_plainly(id, code, now, out);
        out.push(Action::Event(Event::Cancelled { server: id }));
        if let ServerOwner::Gateway(Some(dialog_id)) = owner
            && let Some(dialog) = self.dialogs.of_mut(dialog_id)
        {
            dialog.their_invite = None;
            if dialog.phase == Phase::Early {
                self.drop_dialog(dialog_id);
            }
        }
    }

    fn dialog_timeout(&mut self, id: DialogId, now: Millis, out: &mut Vec<Action>) {
        self.again_timeout(id, now, out);
        self.session_timeout(id, now, out);
        self.answer_timeout(id, now, out);
        self.rearm_dialog(id);
    }

    /// Our 2xx still waits for its ACK.
    fn answer_timeout(&mut self, id: DialogId, now: Millis, out: &mut Vec<Action>) {
        let timing = self.settings.timing;
        let Some(dialog) = self.dialogs.of_mut(id) else {
            return;
        };
        let Some(answer) = dialog
            .answer
            .as_mut()
            .filter(|answer| answer.deadline() <= now)
        else {
            return;
        };
        if answer.timeout(&timing, now) {
            out.push(Action::Transmit {
                flow: answer.flow,
                bytes: answer.message.print(),
            });
            self.rearm_dialog(id);
            return;
        }
        dialog.answer = None;
        if dialog.held_bye.is_some() {
            self.send_held_bye(id, now, out);
        } else {
            // RFC 3261, 13.3.1.4.
            out.push(Action::Event(Event::Ended {
                dialog: id,
                cause: EndCause::NoAck,
            }));
            self.send_bye(id, now, out);
        }
    }
}
