//! Answers to our requests: they find their transaction, then whoever asked. RFC 3261, 13.2.2, 17.1.

use super::address::Address;
use super::api::{
    Action, ClientId, DialogId, EndCause, Event, Failure, Flow, Millis, SipTransport,
};
use super::compose::{companion, sip_uri, sip_uri_of};
use super::dialog::{Ack, Dialog, Phase};
use super::machine::Sip;
use super::message::Message;
use super::method::Method;
use super::reader::Head;
use super::tables::{Cancel, Client, ClientOwner, Target, client_key, reach};
use super::transaction::client::Step;
use super::via::COOKIE;

impl Sip {
    pub(super) fn on_response(
        &mut self,
        mut response: Message,
        head: Head,
        flow: Flow,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let via = &head.via;
        // RFC 3261, 18.1.2: an answer whose topmost Via is not ours is not for us.
        let ours = self.settings.is_place(&via.host, via.port_or_usual());
        let Some(branch) = via.branch().filter(|_| ours) else {
            return;
        };
        let Some(id) = self.clients.find(&client_key(branch, &head.method)) else {
            return;
        };
        let (code, timing) = (response.code(), self.settings.timing);
        let Some(client) = self.clients.of_mut(id) else {
            return;
        };
        let step = client.machine.response(code, &timing, now);
        match step {
            Step::Ack | Step::PassAndAck => {
                let ack = client.ack.get_or_insert_with(|| {
                    companion(&client.request, Method::Ack, response.header("To"))
                });
                out.push(Action::Transmit {
                    flow: client.flow,
                    bytes: ack.print(),
                });
            }
            Step::Pass
            | Step::Nothing
            | Step::Repeat
            | Step::RingOver
            | Step::TimedOut
            | Step::Over => {}
        }
        let (owner, cancel, hop) = (client.owner, client.cancel, client.hop);
        let is_first = matches!(step, Step::Pass | Step::PassAndAck);
        if code >= 200 && is_first && self.is_sent_again(id, &response, hop, now, out) {
            return;
        }
        if (200..300).contains(&code) && is_first {
            self.complete_answer(id, &mut response, head.to.tag().unwrap_or(""));
            self.settle_offer(id, owner, &response, now);
        }
        let Some(client) = self.clients.of_mut(id) else {
            return;
        };
        if code >= 200 {
            // Only the head is needed from here on.
            client.request.body = Vec::new();
        }
        self.rearm_client(id);
        if !matches!(step, Step::Pass | Step::PassAndAck) {
            return;
        }
        if code < 200 && cancel == Cancel::Wanted {
            self.send_cancel(id, now, out);
        }
        if (101..200).contains(&code)
            && head.method == Method::Invite
            && !self.on_provisional(id, &response, (&head, flow), now, out)
        {
            return;
        }
        if head.method == Method::Publish && code >= 200 {
            self.on_publish_response(id, Some(&response), now, out);
        }
        match owner {
            ClientOwner::Refresh(dialog) => match (&head.method, code) {
                (_, ..200) => {}
                (Method::Invite, ..300) => {
                    self.on_success(id, dialog, (response, head, flow), now, out);
                }
                (_, ..300) => {
                    if let Some(dialog) = self.dialogs.of_mut(dialog) {
                        dialog.is_answered(id);
                    }
                }
                _ => self.refresh_refused(id, dialog, code, now, out),
            },
            ClientOwner::Prack(_) => {}
            ClientOwner::Subscription { id: of, asked } => {
                self.on_subscribe_response(id, (of, asked), response, now, out);
            }
            // RFC 6665, 4.2.2.
            ClientOwner::Notify(dialog) if code >= 300 => self.notify_refused(dialog, out),
            ClientOwner::Notify(_) | ClientOwner::Publication => {}
            ClientOwner::Proxy(server) => self.proxy_response(server, response, now, out),
            ClientOwner::Registration if code >= 200 => {
                self.on_register_response(id, &response, flow, now, out);
            }
            ClientOwner::Nobody(Some(dialog)) if code >= 200 => self.drop_dialog(dialog),
            ClientOwner::Nobody(_) | ClientOwner::Registration | ClientOwner::Probe => {}
            ClientOwner::Gateway(_) if code == 100 => {}
            ClientOwner::Gateway(None) => self.tell(id, None, response, out),
            ClientOwner::Gateway(Some(dialog)) => match (&head.method, code) {
                (Method::Invite, 200..=299) => {
                    self.on_success(id, dialog, (response, head, flow), now, out);
                }
                _ => self.on_dialog_response(id, dialog, response, out),
            },
        }
    }

    /// Whether a refusal is met by sending the request once more: to another hop, or with the answer to a
    /// challenge. RFC 3263, 4.3; RFC 3261, 22.2.
    fn is_sent_again(
        &mut self,
        id: ClientId,
        response: &Message,
        hop: Option<Flow>,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> bool {
        let code = response.code();
        let Some(client) = self.clients.of(id) else {
            return false;
        };
        let (owner, target) = (client.owner, client.target);
        let probed = (owner == ClientOwner::Probe).then_some(client.flow);
        if let Some(flow) = hop.or(probed) {
            if code == 430 && owner == ClientOwner::Registration {
                // RFC 5626, 11.5: this flow is of no use any more; another one is.
                self.hop_is_down(flow, None, now, out);
                return self.fail_over(id, now, out);
            }
            if code != 503 {
                self.hop_is_up(flow, out);
            } else {
                let said = response.header("Retry-After").and_then(leading_number);
                self.hop_is_down(flow, said, now, out);
                return self.fail_over(id, now, out);
            }
        }
        if code == 491 {
            return self.is_put_off(id, now);
        }
        if code == 422 && !client_is_unwanted(self.clients.of(id)) {
            let longer = self.lengthened(id, response);
            let Some(request) = longer else {
                return false;
            };
            if let Some(client) = self.clients.of_mut(id)
                && std::mem::replace(&mut client.tries.lengthened, true)
            {
                return false;
            }
            return self.is_numbered_and_sent(id, request, (owner, target), now, out);
        }
        if let Some(request) = self.is_met_otherwise(id, response) {
            return self.is_numbered_and_sent(id, request, (owner, target), now, out);
        }
        if !matches!(code, 401 | 407) || client_is_unwanted(self.clients.of(id)) {
            return false;
        }
        let Some(request) = self.answered(id, response) else {
            return false;
        };
        self.is_numbered_and_sent(id, request, (owner, target), now, out)
    }

    /// A PUBLISH or SUBSCRIBE that is refused for what it says, as it may be sent again: whole, or for a longer time (RFC 3903, 4.5;
    /// RFC 6665, 4.1.2.1). Once each.
    fn is_met_otherwise(&mut self, id: ClientId, response: &Message) -> Option<Message> {
        let method = response.method();
        match (response.code(), &method) {
            (412, Method::Publish) => self.published_anew(id),
            (423, Method::Publish | Method::Subscribe) => {
                let least = response.header("Min-Expires").and_then(leading_number)?;
                let mut request = self.clients.of(id)?.request.clone();
                let asked = request.header("Expires").and_then(leading_number)?;
                if asked == 0 || asked >= least {
                    return None;
                }
                request.headers.remove(0);
                request.replace("Expires", [least.to_string()]);
                Some(request)
            }
            _ => None,
        }
    }

    /// Sends a changed request with the next CSeq. `false`: its dialog is gone.
    fn is_numbered_and_sent(
        &mut self,
        id: ClientId,
        mut request: Message,
        was: (ClientOwner, Target),
        now: Millis,
        out: &mut Vec<Action>,
    ) -> bool {
        let (owner, target) = was;
        let Some(cseq) = self.next_cseq(owner, &request) else {
            return false;
        };
        let method = request.method();
        request.replace("CSeq", [format!("{cseq} {method}")]);
        self.send_again(id, request, target, now, out);
        true
    }

    /// The CSeq of a request that is sent again.
    fn next_cseq(&mut self, owner: ClientOwner, request: &Message) -> Option<u32> {
        match owner {
            ClientOwner::Gateway(Some(id))
            | ClientOwner::Nobody(Some(id))
            | ClientOwner::Refresh(id)
            | ClientOwner::Prack(id) => {
                let dialog = self.dialogs.of_mut(id)?;
                dialog.local_cseq += 1;
                Some(dialog.local_cseq)
            }
            ClientOwner::Registration => {
                let user = super::account::user_of_from(request)?;
                Some(self.registrations.get_mut(&user)?.next_cseq())
            }
            ClientOwner::Subscription { id, .. } => {
                let dialog = self.subscriptions.of(id)?.dialog;
                let dialog = self.dialogs.of_mut(dialog)?;
                dialog.local_cseq += 1;
                Some(dialog.local_cseq)
            }
            ClientOwner::Notify(id) => {
                let dialog = self.dialogs.of_mut(id)?;
                dialog.local_cseq += 1;
                Some(dialog.local_cseq)
            }
            ClientOwner::Gateway(None) | ClientOwner::Publication => {
                let former = request.header("CSeq").and_then(leading_number)?;
                u32::try_from(former + 1).ok()
            }
            ClientOwner::Proxy(_) | ClientOwner::Probe | ClientOwner::Nobody(None) => None,
        }
    }

    /// A 2xx to our INVITE or UPDATE: what it says holds from now on.
    fn settle_offer(&mut self, id: ClientId, owner: ClientOwner, answer: &Message, now: Millis) {
        let (ClientOwner::Gateway(Some(dialog_id)) | ClientOwner::Refresh(dialog_id)) = owner
        else {
            return;
        };
        let (Some(client), Some(dialog)) = (self.clients.of(id), self.dialogs.of_mut(dialog_id))
        else {
            return;
        };
        if dialog.our_invite != Some(id) && dialog.our_update != Some(id) {
            return;
        }
        let request = &client.request;
        if let Some(kind) = request.content_type().filter(|_| !request.body.is_empty()) {
            dialog.ours = Some((kind.to_owned(), request.body.clone()));
        }
        if !answer.body.is_empty() {
            dialog.theirs = Some(answer.body.clone());
        }
        dialog.note_abilities(answer);
        if dialog.our_update == Some(id) {
            let contact = answer.header_values("Contact").next().and_then(sip_uri_of);
            if let Some(contact) = contact {
                dialog.target = contact.to_string();
            }
        }
        self.learn_timer(dialog_id, answer, now);
    }

    fn tell(
        &self,
        client: ClientId,
        dialog: Option<DialogId>,
        message: Message,
        out: &mut Vec<Action>,
    ) {
        out.push(Action::Event(Event::Response {
            client,
            dialog,
            message,
        }));
    }

    /// A provisional answer or a refusal of an INVITE, or any answer to another request in a dialog.
    fn on_dialog_response(
        &mut self,
        id: ClientId,
        dialog_id: DialogId,
        response: Message,
        out: &mut Vec<Action>,
    ) {
        let (code, method) = (response.code(), response.method());
        self.tell(id, Some(dialog_id), response, out);
        let Some(dialog) = self.dialogs.of_mut(dialog_id).filter(|_| code >= 200) else {
            return;
        };
        dialog.is_answered(id);
        let over = method == Method::Bye || dialog.phase == Phase::Early;
        if over {
            self.drop_dialog(dialog_id);
        } else if dialog.phase == Phase::Confirmed && matches!(code, 408 | 481) {
            // RFC 3261, 12.2.1.2.
            self.end(dialog_id, EndCause::PeerForgot, out);
        }
    }

    /// A 2xx to an INVITE: the first, a repeated one, or that of another branch of a fork.
    fn on_success(
        &mut self,
        id: ClientId,
        dialog_id: DialogId,
        answer: (Message, Head, Flow),
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let (response, head, flow) = answer;
        let tag = head.to.tag().unwrap_or("").to_owned();
        let call_id = response.call_id().to_owned();
        let Some(client) = self.clients.of(id) else {
            return;
        };
        let (cancel, target) = (client.cancel, client.request.request_uri().to_owned());
        let local_tag = local_tag(&client.request);
        let is_proof = |(name, _): &&(String, String)| {
            matches!(name.as_str(), "Authorization" | "Proxy-Authorization")
        };
        let proofs: Vec<(String, String)> = client
            .request
            .headers
            .iter()
            .filter(is_proof)
            .cloned()
            .collect();
        if let Some(known) = self.dialogs.find(&call_id, &local_tag, &tag) {
            let Some(dialog) = self.dialogs.of_mut(known) else {
                return;
            };
            if dialog.our_invite != Some(id) {
                return self.repeat_ack(known, head.cseq, out);
            }
            // A re-INVITE of ours was accepted.
            dialog.our_invite = None;
            dialog.ack = Some(Ack {
                cseq: head.cseq,
                proofs,
                sent: None,
            });
            learn(dialog, &response, flow, None);
            if dialog.phase == Phase::Leaving {
                return self.ack(known, now, out);
            }
            let refreshed = self.clients.of(id).map(|client| client.owner);
            if let Some(ClientOwner::Refresh(_)) = refreshed {
                return self.ack(known, now, out);
            }
            return self.tell(id, Some(known), response, out);
        }
        let first = self
            .dialogs
            .of(dialog_id)
            .is_some_and(|dialog| dialog.phase == Phase::Early);
        let removed = if first {
            self.dialogs.remove(dialog_id)
        } else {
            None
        };
        let mut dialog = match removed {
            Some(dialog) => dialog,
            None if self.dialogs.len() >= self.settings.limits.dialogs => return,
            None => match self.clients.of(id) {
                Some(client) => stranger(&client.request, &local_tag),
                None => return,
            },
        };
        dialog.remote_tag = Some(tag);
        dialog.our_invite = None;
        dialog.local_cseq = dialog.local_cseq.max(head.cseq);
        dialog.ack = Some(Ack {
            cseq: head.cseq,
            proofs,
            sent: None,
        });
        dialog.phase = Phase::Confirmed;
        let routes: Vec<String> = response
            .header_values("Record-Route")
            .map(str::to_owned)
            .collect();
        dialog.routes = routes.into_iter().rev().collect();
        learn(&mut dialog, &response, flow, Some(target));
        let kept = if first {
            dialog_id
        } else {
            DialogId(self.next_id())
        };
        self.dialogs.insert(kept, dialog);
        self.rearm_dialog(kept);
        if first && cancel == Cancel::No {
            return self.tell(id, Some(kept), response, out);
        }
        // Nobody wants this call: it was cancelled too late, or another branch was faster.
        if first {
            out.push(Action::Event(Event::Failed {
                client: id,
                cause: Failure::Cancelled,
            }));
        }
        self.ack(kept, now, out);
        self.send_bye(kept, now, out);
    }

    /// The peer repeats a 2xx: its ACK got lost, or has not been ordered yet.
    fn repeat_ack(&self, id: DialogId, cseq: u32, out: &mut Vec<Action>) {
        let ack = self.dialogs.of(id).and_then(|dialog| dialog.ack.as_ref());
        if let Some(Ack {
            cseq: acked,
            sent: Some((flow, message)),
            ..
        }) = ack
            && *acked == cseq
        {
            out.push(Action::Transmit {
                flow: *flow,
                bytes: message.print(),
            });
        }
    }

    /// Acknowledges the 2xx to our INVITE (the latest, in this dialog), and every repetition of it.
    /// To be called once a 2xx [`Event::Response`] has come. Without effect on an unknown dialog.
    pub fn ack(&mut self, dialog: DialogId, _now: Millis, out: &mut Vec<Action>) {
        let Some(found) = self.dialogs.of(dialog) else {
            return;
        };
        let Some(Ack {
            cseq,
            ref proofs,
            sent: None,
        }) = found.ack
        else {
            return;
        };
        let mut request = found.request(Method::Ack, cseq);
        request.headers.extend(proofs.iter().cloned());
        let Some(target) = next_hop(&request, found.source) else {
            return;
        };
        let branch = format!("{COOKIE}{}", self.random.text());
        request
            .headers
            .insert(0, ("Via".to_owned(), self.via(target.flow, &branch)));
        out.push(Action::Transmit {
            flow: target.flow,
            bytes: request.print(),
        });
        if let Some(found) = self.dialogs.of_mut(dialog)
            && let Some(ack) = &mut found.ack
        {
            ack.sent = Some((target.flow, request));
        }
    }

    /// Ends a dialog by a BYE of our own making.
    pub(super) fn send_bye(&mut self, id: DialogId, now: Millis, out: &mut Vec<Action>) {
        let Some(dialog) = self.dialogs.of_mut(id) else {
            return;
        };
        dialog.phase = Phase::Leaving;
        dialog.local_cseq += 1;
        let mut request = dialog.request(Method::Bye, dialog.local_cseq);
        let Some(target) = next_hop(&request, dialog.source) else {
            return self.drop_dialog(id);
        };
        self.rearm_dialog(id);
        let (client, owner) = (ClientId(self.next_id()), ClientOwner::Nobody(Some(id)));
        self.authorize_request(&mut request, owner);
        self.start_client(client, request, target, owner, now, out);
    }
}

/// Whether a request of ours is to be cancelled, or gone.
fn client_is_unwanted(client: Option<&Client>) -> bool {
    client.is_none_or(Client::is_to_be_cancelled)
}

/// The number that a header begins with.
pub(super) fn leading_number(value: &str) -> Option<u64> {
    let digits = value.trim_start();
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// Where a request of a dialog goes: its first Route, else its URI; and if that names no place we can
/// send to, back to where the peer's messages come from.
pub(super) fn next_hop(request: &Message, source: Option<Flow>) -> Option<Target> {
    let route = request.header_values("Route").next().and_then(sip_uri_of);
    let uri = route.or_else(|| sip_uri(request.request_uri()));
    let secure = uri.as_ref().is_some_and(|uri| uri.secure);
    let back = source.filter(|flow| !secure || flow.transport == SipTransport::Tls);
    let back = back.map(|flow| Target { flow, fixed: true });
    uri.and_then(|uri| reach(&uri, source)).or(back)
}

/// What a 2xx teaches about where the peer is.
fn learn(dialog: &mut Dialog, response: &Message, flow: Flow, otherwise: Option<String>) {
    let contact = response
        .header_values("Contact")
        .next()
        .and_then(sip_uri_of);
    if let Some(target) = contact.map(|contact| contact.to_string()).or(otherwise) {
        dialog.target = target;
    }
    dialog.source = Some(flow);
}

fn local_tag(request: &Message) -> String {
    let from = request.header("From").and_then(|v| Address::parse(v).ok());
    from.and_then(|from| from.tag().map(str::to_owned))
        .unwrap_or_default()
}

/// A dialog with a branch of a fork we did not ask for, to be ended at once.
fn stranger(request: &Message, local_tag: &str) -> Dialog {
    let bare = |name: &str| {
        let address = request.header(name).and_then(|v| Address::parse(v).ok());
        address
            .map(|address| address.without_tag().to_string())
            .unwrap_or_default()
    };
    let ids = (request.call_id().to_owned(), local_tag.to_owned());
    let parties = (bare("From"), bare("To"));
    Dialog {
        phase: Phase::Confirmed,
        ..Dialog::new(ids, parties, request.request_uri().to_owned())
    }
}
