//! Changes of an open session: UPDATE and re-INVITE that cross, and those that change nothing.
//! RFC 3261, 14; RFC 3311; RFC 4028, 8.
//!
//! A request with the session description that the peer sent last, or with none, is a refresh: it is answered
//! here with what we sent last, and nobody else is troubled. Of two changes that cross, both are refused
//! 491, and ours is sent again after a pause that the owner of the Call-ID makes longer.

use serde::{Deserialize, Serialize};

use super::api::{Action, ClientId, DialogId, Event, Millis, OutResponse, ServerId};
use super::dialog::{Dialog, Phase};
use super::machine::Sip;
use super::message::Message;
use super::method::Method;
use super::responses::next_hop;
use super::tables::ClientOwner;

/// How often a change is tried that crosses one of the peer's each time.
const GLARES_MAX: u8 = 5;

/// A change of ours that crossed one of the peer's, to be sent again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Again {
    pub at: Millis,
    client: ClientId,
    owner: ClientOwner,
    /// Without Via.
    request: Message,
    glares: u8,
}

impl Sip {
    /// A 491 to a change of ours: whether it is sent again. RFC 3261, 14.1; RFC 3311, 5.3.
    pub(super) fn is_put_off(&mut self, id: ClientId, now: Millis) -> bool {
        let chance = self.random.number();
        let Some(client) = self.clients.of(id) else {
            return false;
        };
        let (owner, glares) = (client.owner, client.tries.glares + 1);
        let (ClientOwner::Gateway(Some(dialog_id)) | ClientOwner::Refresh(dialog_id)) = owner
        else {
            return false;
        };
        let mut request = client.request.clone();
        let Some(dialog) = self.dialogs.of_mut(dialog_id) else {
            return false;
        };
        if dialog.phase != Phase::Confirmed || glares > GLARES_MAX {
            return false;
        }
        request.headers.remove(0);
        let tens = if dialog.owns_call_id {
            210 + chance % 190
        } else {
            chance % 200
        };
        dialog.is_answered(id);
        dialog.again = Some(Again {
            at: now + 10 * tens,
            client: id,
            owner,
            request,
            glares,
        });
        // The former transaction only absorbs what comes late.
        self.set_aside(id);
        self.rearm_dialog(dialog_id);
        true
    }

    /// The pause after a 491 is over.
    pub(super) fn again_timeout(&mut self, id: DialogId, now: Millis, out: &mut Vec<Action>) {
        let Some(dialog) = self.dialogs.of_mut(id) else {
            return;
        };
        let Some(mut again) = dialog.again.take_if(|again| again.at <= now) else {
            return;
        };
        if dialog.phase != Phase::Confirmed || dialog.held_bye.is_some() {
            return;
        }
        if dialog.is_busy() {
            again.at = now + self.settings.timing.t1_ms;
            dialog.again = Some(again);
            return;
        }
        let Again {
            client,
            owner,
            mut request,
            glares,
            ..
        } = again;
        dialog.local_cseq += 1;
        let method = request.method();
        request.replace("CSeq", [format!("{} {method}", dialog.local_cseq)]);
        if method == Method::Update {
            dialog.our_update = Some(client);
        } else {
            dialog.our_invite = Some(client);
        }
        let Some(target) = next_hop(&request, dialog.source) else {
            return;
        };
        self.start_client(client, request, target, owner, now, out);
        if let Some(client) = self.clients.of_mut(client) {
            client.tries.glares = glares;
        }
    }

    /// A re-INVITE or UPDATE that changes nothing is answered here. Whether it was.
    pub(super) fn is_refreshed(
        &mut self,
        server: ServerId,
        id: DialogId,
        request: &Message,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> bool {
        let update = request.method() == Method::Update;
        let Some(dialog) = self.dialogs.of(id) else {
            return false;
        };
        let bare = request.body.is_empty();
        let same = dialog.theirs.as_ref() == Some(&request.body);
        if !bare && (!same || dialog.phase == Phase::Early) {
            return false;
        }
        let content = dialog.ours.clone().filter(|_| !(update && bare));
        if content.is_none() && !(update && bare) {
            return false;
        }
        let answer = OutResponse {
            content,
            ..OutResponse::new(200)
        };
        let answered = self.respond(server, answer, now, out).is_ok();
        if answered
            && self
                .dialogs
                .of(id)
                .is_some_and(|dialog| dialog.phase == Phase::Confirmed)
        {
            out.push(Action::Event(Event::Refreshed { dialog: id }));
        }
        answered
    }

    /// A change that the gateway has answered: what holds from now on.
    pub(super) fn settle_change(
        &mut self,
        id: DialogId,
        code: u16,
        sent: Option<&(String, Vec<u8>)>,
    ) {
        let Some(dialog) = self.dialogs.of_mut(id) else {
            return;
        };
        let proposed = dialog.proposed.take();
        if (200..300).contains(&code) {
            if let Some(content) = sent {
                dialog.ours = Some(content.clone());
            }
            if proposed.is_some() {
                dialog.theirs = proposed;
            }
        }
    }
}

impl Dialog {
    /// What a peer's message shows it can do.
    pub fn note_abilities(&mut self, message: &Message) {
        let mut methods = message.header_values("Allow").peekable();
        if methods.peek().is_some() {
            self.peer_updates = methods.any(|method| method == "UPDATE");
        }
    }
}
