//! Calls that come in: INVITE, CANCEL, ACK. RFC 3261, 9.2, 13.3 and 14.2.

use std::time::{Duration, Instant};

use super::{ALLOW, CALLS_MAX, Call, LARGE, Ours, Single, State};
use crate::handset::agent::Agent;
use crate::handset::console::{ChatNumber, Event};
use crate::handset::cpim::{self, Envelope};
use crate::handset::files::FileOffer;
use crate::handset::focus::Admission;
use crate::handset::icon::Icon;
use crate::handset::parts;
use crate::handset::sdp::Media;
use crate::handset::sip::dialog::short_name;
use crate::handset::sip::{Dialog, Message, ServerKey, Uri, token};

/// How long a transfer that was cut off may take to end when its rest is offered already.
const ENDING: Duration = Duration::from_millis(500);

impl Agent {
    /// A repeated offer is answered as before; one that moves the media is refused, and everything
    /// stays as it is. RFC 4975, 8.4.
    pub(super) fn invited_again(
        &mut self,
        key: &ServerKey,
        request: &Message,
        chat: ChatNumber,
        now: Instant,
    ) {
        let Some(call) = self.calls.get(&chat) else {
            return;
        };
        let is_same = Media::read(&parts::description(request))
            .is_ok_and(|media| media.path == call.peer_path);
        if !is_same && !request.body.is_empty() {
            return self.answer(key, request, 488, now);
        }
        let mut response = Message::response(request, 200, "");
        response.push("Contact", self.contact_of(chat));
        response.set_body("application/sdp", call.description.clone());
        self.transactions
            .respond(key, response, now, &mut self.outputs);
    }

    pub(super) fn invited(&mut self, key: &ServerKey, request: &Message, now: Instant) {
        let from = short_name(request.header("From").unwrap_or(""));
        let understood =
            |required: &&str| self.focus.is_none() || *required != "recipient-list-invite";
        if let Some(required) = request.header("Require").filter(understood) {
            let mut response = Message::response(request, 420, &token(6));
            response.push("Unsupported", required);
            return self
                .transactions
                .respond(key, response, now, &mut self.outputs);
        }
        let tag = token(6);
        let Some(dialog) = Dialog::of_invite(request, &tag) else {
            return self.answer(key, request, 400, now);
        };
        let offer = match Media::read(&parts::description(request)) {
            Ok(offer) => offer,
            Err(refusal) => {
                self.problem(format!("the call from {from} can't be taken: {refusal}"));
                return self.answer(key, request, 488, now);
            }
        };
        let chat = self.new_chat();
        self.tell(Event::Incoming {
            chat,
            from: from.clone(),
        });
        if self.settings.one_part && parts::are_several(request) {
            // RFC 3261, 21.4.13: what would be taken is said.
            let mut refusal = Message::response(request, 415, &tag);
            refusal.push("Accept", "application/sdp");
            self.transactions
                .respond(key, refusal, now, &mut self.outputs);
            let why = "declined with 415".to_owned();
            return self.tell(Event::Ended { chat, why });
        }
        self.first_message(chat, request, now);
        let mut sending = None;
        if let Some(file) = offer.file.as_ref().filter(|file| file.is_wanted) {
            let name = file.name.clone();
            self.tell(Event::Wanted {
                chat,
                from: from.clone(),
                name,
                hash: file.hashes.first().cloned(),
            });
            sending = self.shared(file);
            if sending.is_none() {
                self.answer(key, request, 488, now);
                let why = "no such file is shared".to_owned();
                return self.tell(Event::Ended { chat, why });
            }
        } else if let Some(file) = &offer.file {
            self.tell(Event::Offered {
                chat,
                from: from.clone(),
                name: file.name.clone(),
                bytes: file.bytes,
            });
            if let Some(icon) = Icon::of(request, file) {
                self.tell(Event::Icon {
                    chat,
                    content_type: icon.content_type,
                    bytes: icon.content.len() as u64,
                });
            }
            if file.bytes > Some(self.settings.manners.message_bytes_max) {
                // As RCS handsets say it.
                let mut refusal = Message::response(request, 403, &tag);
                refusal.push("Warning", "399 handset \"133 Size exceeded\"");
                self.transactions
                    .respond(key, refusal, now, &mut self.outputs);
                let why = "the file is too large".to_owned();
                return self.tell(Event::Ended { chat, why });
            }
        }
        if let Some(status) = self.settings.decline {
            self.answer(key, request, status, now);
            return self.tell(Event::Ended {
                chat,
                why: format!("declined with {status}"),
            });
        }
        // Both have called each other: each refuses the other's while its own is unanswered.
        let calls = |call: &Call| matches!(call.state, State::Calling { .. }) && call.with == from;
        if offer.file.is_none() && self.focus.is_none() && self.calls.values().any(calls) {
            self.answer(key, request, 486, now);
            return self.tell(Event::Ended {
                chat,
                why: "both have called".to_owned(),
            });
        }
        if self.calls.len() >= CALLS_MAX {
            self.answer(key, request, 486, now);
            return self.tell(Event::Ended {
                chat,
                why: "too many calls".to_owned(),
            });
        }
        if self.focus.is_some() {
            match self.admit(request) {
                Admission::Group(group) => match &offer.file {
                    Some(file) => self.file_comes(group, chat, &from, file),
                    None => self.member_calls(group, chat, &from),
                },
                Admission::Refused(status) => {
                    self.answer(key, request, status, now);
                    return self.tell(Event::Ended {
                        chat,
                        why: format!("refused with {status}"),
                    });
                }
            }
        }
        let mut ringing = Message::response(request, 180, &tag);
        ringing.push("Contact", self.contact_of(chat));
        self.transactions
            .respond(key, ringing, now, &mut self.outputs);
        let peer_path = offer.path.clone();
        let wanted = request.header("Accept-Contact").unwrap_or("");
        let is_single = wanted.contains(LARGE);
        let goes_on = |file: &FileOffer| file.is_wanted || self.shelf.reaches(file);
        let is_ready = offer.file.as_ref().is_none_or(goes_on);
        let answer_at = now + self.settings.ring + if is_ready { Duration::ZERO } else { ENDING };
        let state = State::Ringing {
            server: key.clone(),
            answer_at,
            offer,
        };
        let call = Call {
            with: from,
            state,
            wishes: None,
            file: sending,
            single: is_single.then_some(Single::Comes),
            farewell: None,
            dialog,
            description: Vec::new(),
            peer_path,
        };
        self.calls.insert(chat, call);
        self.current = Some(chat);
        self.calls_timeout(now);
        self.keep_first(chat, request);
        self.invite_members(chat, &parts::people(request), now);
    }

    /// What comes along with an invitation is there at once, whatever is answered to that.
    fn first_message(&mut self, chat: ChatNumber, invite: &Message, now: Instant) {
        let Some((kind, body)) = parts::first(invite).filter(|_| self.focus.is_none()) else {
            return;
        };
        let envelope = Envelope::of(kind, &body).unwrap_or_default();
        if let Some(text) = cpim::text_of(kind, &body) {
            let from = short_name(invite.header("From").unwrap_or(""));
            let id = envelope.id.clone();
            self.tell(Event::Message {
                chat,
                from,
                id,
                text,
            });
            let sender = invite.address("From");
            let sender = sender.and_then(|address| Uri::parse(&address.uri));
            self.notify(sender, &envelope, now);
        }
    }

    pub(super) fn accept(&mut self, chat: ChatNumber, now: Instant) {
        let (place, bound) = self.endpoint.session();
        let mut local = self.description_of(&place);
        let (prefer_passive, contact) = (self.settings.passive, self.contact_of(chat));
        let Some(call) = self.calls.get_mut(&chat) else {
            return;
        };
        let State::Ringing { server, offer, .. } = &call.state else {
            return;
        };
        let (server, offer) = (server.clone(), offer.clone());
        if let Some(file) = offer.file.as_ref().filter(|file| !file.is_wanted)
            && !self.shelf.reaches(file)
        {
            self.refuse_ringing(chat, &server, 488, now);
            return self.forget(chat, "the beginning of the file is not here");
        }
        let Some(invite) = self.transactions.request_of(&server) else {
            return;
        };

        local.mixes &= offer.file.is_none();
        local.direction = call.single.as_ref().map(|_| "recvonly");
        let role = offer.role_as_answerer(prefer_passive);
        let given = call.file.as_ref().map(|sending| &sending.offer);
        call.description = local.answer(&offer, role, given);
        let tag = call.dialog.local_tag().unwrap_or_default();
        let mut response = Message::response(invite, 200, &tag);
        response.push("Contact", contact);
        response.push("Allow", ALLOW);
        response.set_body("application/sdp", call.description.clone());
        call.state = State::Accepted {
            server: server.clone(),
        };
        self.transactions
            .respond(&server, response, now, &mut self.outputs);
        self.tell(Event::Answered { chat });
        self.open_chat(chat, Ours { place, bound }, &offer, role);
    }

    pub(super) fn cancelled(&mut self, key: &ServerKey, cancel: &Message, now: Instant) {
        let Some(invite) = self.transactions.invite_of(key) else {
            return self.answer(key, cancel, 481, now);
        };
        self.answer(key, cancel, 200, now);
        let ringing = self.calls.iter().find(
            |(_, call)| matches!(&call.state, State::Ringing { server, .. } if *server == invite),
        );
        if let Some((&chat, _)) = ringing {
            self.refuse_ringing(chat, &invite, 487, now);
            self.forget(chat, "the other side cancelled");
        }
    }

    pub(super) fn refuse_ringing(
        &mut self,
        chat: ChatNumber,
        server: &ServerKey,
        status: u16,
        now: Instant,
    ) {
        let tag = self
            .calls
            .get(&chat)
            .and_then(|call| call.dialog.local_tag());
        let Some(invite) = self.transactions.request_of(server) else {
            return;
        };
        let response = Message::response(invite, status, &tag.unwrap_or_default());
        self.transactions
            .respond(server, response, now, &mut self.outputs);
    }

    /// An ACK has come.
    pub(in crate::handset) fn acknowledged(&mut self, ack: &Message, now: Instant) {
        let found = self
            .calls
            .iter_mut()
            .find(|(_, call)| call.dialog.matches(ack));
        if let Some((&chat, call)) = found
            && let State::Accepted { server } = &call.state
        {
            self.transactions.acknowledged(server);
            call.state = State::Established { ack: None };
            self.member_joined(chat, now);
        }
    }

    /// No ACK has come for 32 s: the call is ended. RFC 3261, 13.3.1.4.
    pub(in crate::handset) fn unacknowledged(&mut self, key: &ServerKey, now: Instant) {
        let found = self
            .calls
            .iter()
            .find(|(_, call)| matches!(&call.state, State::Accepted { server } if server == key));
        if let Some((&chat, _)) = found {
            self.hang_up(chat, "the other side never sent an ACK", now);
        }
    }
}
