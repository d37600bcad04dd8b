//! Calls that go out, and what is answered to them. RFC 3261, 13.2.

use std::time::{Duration, Instant};

use super::{ALLOW, CALLS_MAX, Call, LARGE, Ours, Single, State};
use crate::handset::USER_AGENT;
use crate::handset::agent::Agent;
use crate::handset::console::{ChatNumber, Event};
use crate::handset::cpim;
use crate::handset::files::{FileOffer, Sending};
use crate::handset::parts;
use crate::handset::sdp::Media;
use crate::handset::sip::dialog::short_name;
use crate::handset::sip::{ClientKey, Dialog, Message, Start, Uri, token};

/// How long another phone may ring.
const RINGING_MAX: Duration = Duration::from_secs(180);

/// What marks an image that is shared.
const IMAGE: &str = ";+g.3gpp.cs-voice;\
    +g.3gpp.iari-ref=\"urn%3Aurn-7%3A3gpp-application.ims.iari.gsma-is\"";

/// What an INVITE into a group says besides.
pub struct Invitation {
    /// The group's URI.
    pub from: String,
    /// The same with what marks a focus.
    pub contact: String,
    /// Who has asked for it.
    pub inviter: String,
    /// The group's title.
    pub subject: Option<String>,
    /// What names the group for good.
    pub contribution: String,
    /// URIs of those who are in it.
    pub others: Vec<String>,
}

/// What an INVITE has beside its description.
pub enum Besides<'a> {
    /// A first message, in its envelope.
    First(Vec<u8>),
    /// One long text is all it is for.
    Large(String),
    /// It shares an image in a call.
    Image,
    /// What makes it one into a group.
    Group(&'a Invitation),
}

impl Invitation {
    fn write(&self, invite: &mut Message, description: &[u8]) {
        invite.push("Contact", self.contact.clone());
        invite.push("Accept-Contact", "*;+g.oma.sip-im");
        invite.push("Referred-By", self.inviter.clone());
        invite.push("Contribution-ID", self.contribution.clone());
        if let Some(subject) = &self.subject {
            invite.push("Subject", subject.clone());
        }
        let (kind, body) = parts::with_people(description, "recipient-list-history", &self.others);
        invite.set_body(&kind, body);
    }
}

impl Agent {
    /// Calls somebody, perhaps with a first message.
    pub(in crate::handset) fn call(&mut self, to: &Uri, first: Option<&str>, now: Instant) {
        let own = self.settings.aor.to_string();
        let wrapped = |text: &str| cpim::wrap(&own, &to.to_string(), &token(12), text);
        let first = first.map(wrapped).map(Besides::First);
        self.invite(to, None, None, first, now);
    }

    /// Invites somebody into a group.
    pub(in crate::handset) fn invite_into(&mut self, to: &Uri, group: &Invitation, now: Instant) {
        self.invite(to, None, None, Some(Besides::Group(group)), now);
    }

    /// Calls somebody, perhaps for a file that is `sending` or wanted.
    pub(in crate::handset) fn invite(
        &mut self,
        to: &Uri,
        file: Option<FileOffer>,
        sending: Option<Sending>,
        besides: Option<Besides<'_>>,
        now: Instant,
    ) {
        let Some(flow) = self.flow_to(to) else {
            return self.problem(format!(
                "can't call {to}: start with --registrar, or call an address such as \
                 sip:bob@127.0.0.1:5070"
            ));
        };
        if self.calls.len() >= CALLS_MAX {
            return self.problem(format!(
                "there are {CALLS_MAX} calls already; end one first"
            ));
        }
        let (place, bound) = self.endpoint.session();
        let mut description = self.description_of(&place);
        if let Some(Besides::Large(_)) = &besides {
            description.direction = Some("sendonly");
        }
        description.mixes &= file.is_none();
        let description = description.offer(file.as_ref());
        let own = match besides {
            Some(Besides::Group(group)) => group.from.clone(),
            _ => self.settings.aor.to_string(),
        };
        let mut dialog = Dialog {
            call_id: token(12),
            local: format!("<{own}>;tag={}", token(6)),
            remote: format!("<{to}>"),
            target: to.to_string(),
            route: Vec::new(),
            local_cseq: 0,
            remote_cseq: None,
        };
        let mut invite = self.with_via(dialog.request("INVITE"));
        invite.push("Allow", ALLOW);
        invite.push("User-Agent", USER_AGENT);
        let mut single = None;
        match besides {
            None => {
                invite.push("Contact", format!("<{}>", self.contact));
                let icon = sending.as_ref().and_then(|sending| sending.icon.as_ref());
                let alone = || ("application/sdp".to_owned(), description.clone());
                let (kind, body) = icon.map_or_else(alone, |icon| icon.beside(&description));
                invite.set_body(&kind, body);
            }
            Some(Besides::First(envelope)) => {
                let tags = ";+g.oma.sip-im";
                invite.push("Contact", format!("<{}>{tags}", self.contact));
                invite.push("Accept-Contact", format!("*{tags}"));
                let (kind, body) = parts::with_first(&description, &envelope);
                invite.set_body(&kind, body);
            }
            Some(Besides::Large(text)) => {
                invite.push("Contact", format!("<{}>{LARGE}", self.contact));
                invite.push("Accept-Contact", format!("*{LARGE}"));
                invite.set_body("application/sdp", description.clone());
                single = Some(Single::Goes(text));
            }
            Some(Besides::Image) => {
                invite.push("Contact", format!("<{}>{IMAGE}", self.contact));
                invite.push("Accept-Contact", format!("*{IMAGE}"));
                invite.set_body("application/sdp", description.clone());
            }
            Some(Besides::Group(group)) => group.write(&mut invite, &description),
        }
        let client = self
            .transactions
            .request(invite, flow, now, &mut self.outputs);
        let chat = self.new_chat();
        let ours = Ours { place, bound };
        let state = State::Calling {
            client,
            until: now + RINGING_MAX,
            ours,
            cancelled: false,
        };
        let with = short_name(&dialog.remote);
        self.tell(Event::Calling {
            chat,
            to: with.clone(),
        });
        let peer_path = String::new();
        let call = Call {
            with,
            state,
            wishes: None,
            file: sending,
            single,
            farewell: None,
            dialog,
            description,
            peer_path,
        };
        self.calls.insert(chat, call);
        self.current = Some(chat);
    }

    /// Takes the answer to one of our requests.
    pub(in crate::handset) fn call_answer(
        &mut self,
        key: &ClientKey,
        response: &Message,
        now: Instant,
    ) {
        let status = response.status().unwrap_or(0);
        let found = self
            .calls
            .iter()
            .find_map(|(&chat, call)| match &call.state {
                State::Calling {
                    client, cancelled, ..
                } if client == key => Some((chat, *cancelled)),
                State::Ending { client } if client == key => Some((chat, true)),
                _ => None,
            });
        let Some((chat, cancelled)) = found else {
            return self.accepted_again(response);
        };
        let is_calling = matches!(
            self.calls.get(&chat),
            Some(Call {
                state: State::Calling { .. },
                ..
            })
        );
        match status {
            ..200 if is_calling && cancelled => {
                self.transactions.cancel(key, now, &mut self.outputs);
            }
            180 if is_calling => self.tell(Event::Ringing { chat }),
            ..200 => {}
            200..300 if is_calling => self.accepted(chat, response, now),
            _ if is_calling => {
                self.member_gone(chat, Some(status), now);
                self.postpone_file(chat, response, now);
                self.drop_call(chat);
                let reason = match &response.start {
                    Start::Response { reason, .. } => reason.clone(),
                    Start::Request { .. } => String::new(),
                };
                self.tell(Event::Declined {
                    chat,
                    status,
                    reason,
                });
            }
            _ => self.drop_call(chat),
        }
    }

    /// Our INVITE was answered with 200: acknowledge, then talk.
    fn accepted(&mut self, chat: ChatNumber, response: &Message, now: Instant) {
        let Some(call) = self.calls.get_mut(&chat) else {
            return;
        };
        call.dialog.learn(response);
        let ack = call.dialog.request("ACK");
        let flow = call.dialog.next_hop();
        let ack = self.with_via(ack).encode();
        let flow = flow.and_then(|uri| self.flow_to(&uri));
        let ack = flow.map(|flow| (flow, ack));
        if let Some((flow, ack)) = ack.clone() {
            self.sockets.send(flow.peer, ack);
        }
        let Some(call) = self.calls.get_mut(&chat) else {
            return;
        };
        let state = std::mem::replace(&mut call.state, State::Established { ack });
        let State::Calling {
            ours, cancelled, ..
        } = state
        else {
            return;
        };
        if cancelled {
            return self.hang_up(chat, "cancelled", now);
        }
        match Media::read(&response.body) {
            Ok(theirs) => {
                call.peer_path.clone_from(&theirs.path);
                self.tell(Event::Answered { chat });
                self.member_joined(chat, now);
                self.open_chat(chat, ours, &theirs, theirs.role_as_offerer());
                self.say_first(chat);
            }
            Err(refusal) => self.hang_up(chat, &refusal.to_string(), now),
        }
    }

    /// The 200 came again, so our ACK was lost.
    fn accepted_again(&mut self, response: &Message) {
        if response.cseq().is_none_or(|(_, method)| method != "INVITE") {
            return;
        }
        let found = self
            .calls
            .values()
            .find(|call| call.dialog.matches(response));
        if let Some(State::Established {
            ack: Some((flow, ack)),
        }) = found.map(|call| &call.state)
        {
            self.sockets.send(flow.peer, ack.clone());
        }
    }

    /// One of our requests got no answer at all.
    pub(in crate::handset) fn call_unanswered(&mut self, key: &ClientKey) {
        let found = self
            .calls
            .iter()
            .find_map(|(&chat, call)| match &call.state {
                State::Calling { client, .. } if client == key => Some((chat, true)),
                State::Ending { client } if client == key => Some((chat, false)),
                _ => None,
            });
        let Some((chat, is_calling)) = found else {
            return;
        };
        self.drop_call(chat);
        if is_calling {
            let reason = "no answer; is anything running at that address?".to_owned();
            self.tell(Event::Declined {
                chat,
                status: 408,
                reason,
            });
        }
    }
}
