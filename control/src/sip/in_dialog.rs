//! Requests of peers inside a dialog: ACK, BYE, re-INVITE, UPDATE, PRACK, INFO. RFC 3261, 12.2.2, 14.2, 15.1.2.

use super::api::{Action, DialogId, Event, Millis};
use super::compose::sip_uri_of;
use super::dialog::Phase;
use super::incoming::Incoming;
use super::machine::Sip;
use super::method::Method;
use super::reader::Head;
use super::session_timer::MIN_SE_S;
use super::tables::ServerOwner;

impl Sip {
    /// The ACK of a 2xx: ours, or of a call that goes through the proxy.
    pub(super) fn on_ack(&mut self, mut incoming: Incoming, now: Millis, out: &mut Vec<Action>) {
        let Some(id) = self.dialog_of(&incoming) else {
            return self.forward_ack(&mut incoming, out);
        };
        let Some(dialog) = self.dialogs.of_mut(id) else {
            return;
        };
        let cseq = incoming.head.cseq;
        if dialog
            .answer
            .take_if(|answer| answer.cseq == cseq)
            .is_none()
        {
            return;
        }
        self.rearm_dialog(id);
        out.push(Action::Event(Event::Acked { dialog: id }));
        self.send_held_bye(id, now, out);
    }

    /// A request in a dialog of ours. RFC 3261, 12.2.2.
    pub(super) fn on_dialog_request(
        &mut self,
        incoming: Incoming,
        id: DialogId,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(dialog) = self.dialogs.of(id) else {
            return;
        };
        let Head {
            cseq, ref method, ..
        } = incoming.head;
        let later = [("Retry-After", "2")];
        let offers = !incoming.message.body.is_empty();
        let ours = dialog.our_invite.is_some() || dialog.our_update.is_some();
        let theirs = dialog.their_invite.is_some() || dialog.answer.is_some();
        match method {
            Method::Bye if dialog.phase == Phase::Leaving => {
                // Two BYEs have crossed.
                let server = self.open_server(&incoming, ServerOwner::Own, now);
                return self.answer_plainly(server, 200, now, out);
            }
            _ if dialog.phase == Phase::Leaving => {
                return self.refuse(&incoming, 481, None, &[], out);
            }
            _ if dialog.remote_cseq.is_some_and(|last| cseq <= last) => {
                return self.refuse(&incoming, 500, Some("CSeq is out of order"), &[], out);
            }
            Method::Notify => return self.on_notify(incoming, id, now, out),
            Method::Subscribe if !self.has_room_for_watcher(id) => {
                return self.refuse(&incoming, 503, None, &[("Retry-After", "60")], out);
            }
            Method::Subscribe if dialog.phase == Phase::Confirmed => {}
            _ if dialog.events => return self.refuse_method(&incoming, out),
            Method::Refer if !self.has_room_for_watcher(id) => {
                return self.refuse(&incoming, 503, None, &[("Retry-After", "60")], out);
            }
            Method::Refer if dialog.phase == Phase::Confirmed => {}
            Method::Prack => {
                if let Some(dialog) = self.dialogs.of_mut(id) {
                    dialog.remote_cseq = Some(cseq);
                }
                return self.on_prack(&incoming, now, out);
            }
            // RFC 3261, 14.2; RFC 3311, 5.2.
            Method::Invite if theirs || dialog.their_update.is_some() => {
                return self.refuse(&incoming, 500, None, &later, out);
            }
            Method::Update if dialog.their_update.is_some() || offers && theirs => {
                return self.refuse(&incoming, 500, None, &later, out);
            }
            Method::Invite if ours => return self.refuse(&incoming, 491, None, &[], out),
            Method::Update if ours && offers => {
                return self.refuse(&incoming, 491, None, &[], out);
            }
            Method::Invite | Method::Update if self.is_too_short(&incoming.message) => {
                let least = MIN_SE_S.to_string();
                return self.refuse(&incoming, 422, None, &[("Min-SE", &least)], out);
            }
            Method::Bye => {}
            Method::Info | Method::Message | Method::Options if dialog.phase == Phase::Early => {
                return self.refuse(&incoming, 500, None, &later, out);
            }
            Method::Invite | Method::Update | Method::Info | Method::Message | Method::Options => {}
            _ => return self.refuse_method(&incoming, out),
        }
        if self.refuse_extensions(&incoming, out) {
            return;
        }
        if *method == Method::Bye {
            return self.on_bye(incoming, id, now, out);
        }
        let (invite, update) = (*method == Method::Invite, *method == Method::Update);
        let server = self.open_server(&incoming, ServerOwner::Gateway(Some(id)), now);
        if let Some(dialog) = self.dialogs.of_mut(id) {
            dialog.remote_cseq = Some(cseq);
            dialog.source = Some(incoming.flow);
            if invite {
                dialog.their_invite = Some(server);
            }
            if update {
                dialog.their_update = Some(server);
            }
            if invite || update {
                dialog.proposed = offers.then(|| incoming.message.body.clone());
                dialog.note_abilities(&incoming.message);
                let contact = incoming.message.header_values("Contact").next();
                if let Some(target) = contact.and_then(sip_uri_of) {
                    dialog.target = target.to_string();
                }
            }
        }
        let changes = invite || update;
        if changes && self.is_refreshed(server, id, &incoming.message, now, out) {
            return;
        }
        if invite {
            self.answer_plainly(server, 100, now, out);
        }
        let message = incoming.message;
        out.push(Action::Event(Event::Request {
            server,
            dialog: Some(id),
            message,
        }));
    }

    /// RFC 3261, 15.1.2.
    fn on_bye(&mut self, incoming: Incoming, id: DialogId, now: Millis, out: &mut Vec<Action>) {
        let Some(dialog) = self.dialogs.of_mut(id) else {
            return;
        };
        dialog.remote_cseq = Some(incoming.head.cseq);
        dialog.answer = None;
        let (early, held) = (dialog.phase == Phase::Early, dialog.held_bye.is_some());
        let invite = dialog.their_invite;
        if !early && !held {
            dialog.phase = Phase::Leaving;
        }
        self.rearm_dialog(id);
        if let Some(invite) = invite {
            self.refuse_invite(invite, 487, now, out);
        }
        if early || held {
            // The gateway knows that it is over, or has said so itself.
            let server = self.open_server(&incoming, ServerOwner::Own, now);
            self.answer_plainly(server, 200, now, out);
            return self.send_held_bye(id, now, out);
        }
        let server = self.open_server(&incoming, ServerOwner::Gateway(Some(id)), now);
        let message = incoming.message;
        out.push(Action::Event(Event::Request {
            server,
            dialog: Some(id),
            message,
        }));
    }
}
