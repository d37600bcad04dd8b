//! Reliable provisional answers. RFC 3262.
//!
//! As a caller: an answer that requires it is acknowledged by PRACK at once, for each branch of a fork; a
//! session description in it is kept, and given to the gateway with the 2xx, if that has none. As a callee:
//! where the INVITE requires 100rel, each 101 to 199 is repeated until its PRACK comes, one after the other.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::api::{Action, ClientId, Flow, Millis, OutResponse, ServerId};
use super::compose::sip_uri_of;
use super::incoming::Incoming;
use super::machine::Sip;
use super::message::Message;
use super::method::Method;
use super::reader::Head;
use super::responses::{leading_number, next_hop};
use super::session_timer::lists;
use super::tables::ClientOwner;

/// Branches of a fork that are told apart. RFC 3261 sets no bound.
const BRANCHES_MAX: usize = 8;
/// Provisional answers that wait for a PRACK.
const WAITING_MAX: usize = 8;

/// One branch of a fork that has answered reliably.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Branch {
    tag: String,
    sequence: u64,
    /// Content-Type and body of the answer it has given.
    content: Option<(String, Vec<u8>)>,
}

/// What has become of our provisional answers to one INVITE.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reliable {
    /// The number of the last one.
    sequence: u32,
    unacknowledged: Option<Unacknowledged>,
    waiting: VecDeque<OutResponse>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Unacknowledged {
    message: Message,
    at: Millis,
    interval_ms: Millis,
    until: Millis,
}

impl Reliable {
    /// `first`: any number the sequence shall begin with. RFC 3262, 3: up to 2³¹ - 1.
    pub fn new(first: u64) -> Reliable {
        Reliable {
            sequence: 1 + (first % 0x4000_0000) as u32,
            unacknowledged: None,
            waiting: VecDeque::new(),
        }
    }

    pub fn deadline(&self) -> Option<Millis> {
        self.unacknowledged
            .as_ref()
            .map(|sent| sent.at.min(sent.until))
    }
}

impl Sip {
    /// A provisional answer to our INVITE. `false`: it was heard before, or is out of order.
    pub(super) fn on_provisional(
        &mut self,
        id: ClientId,
        response: &Message,
        source: (&Head, Flow),
        now: Millis,
        out: &mut Vec<Action>,
    ) -> bool {
        if !lists(response, "Require", "100rel") {
            return true;
        }
        let (head, flow) = source;
        let (tag, sequence) = (
            head.to.tag(),
            response.header("RSeq").and_then(leading_number),
        );
        let (Some(tag), Some(sequence)) = (tag, sequence) else {
            return true;
        };
        let room = self.has_room();
        let Some(client) = self.clients.of_mut(id) else {
            return false;
        };
        let ClientOwner::Gateway(Some(dialog_id)) = client.owner else {
            return true;
        };
        let kind = response.content_type().map(str::to_owned);
        let content = kind.filter(|_| !response.body.is_empty());
        let content = content.map(|kind| (kind, response.body.clone()));
        let full = client.branches.len() >= BRANCHES_MAX || !room;
        match client.branches.iter_mut().find(|branch| branch.tag == tag) {
            // RFC 3262, 4: repeated, or one before it is missing.
            Some(branch) if sequence != branch.sequence + 1 => return false,
            Some(branch) => {
                branch.sequence = sequence;
                branch.content = content.or(branch.content.take());
            }
            None if full => return false,
            None => client.branches.push(Branch {
                tag: tag.to_owned(),
                sequence,
                content,
            }),
        }
        let Some(dialog) = self.dialogs.of_mut(dialog_id) else {
            return true;
        };
        dialog.local_cseq += 1;
        let mut early = dialog.clone();
        early.remote_tag = Some(tag.to_owned());
        let routes = response.header_values("Record-Route").map(str::to_owned);
        early.routes = routes.collect::<Vec<_>>().into_iter().rev().collect();
        let contact = response
            .header_values("Contact")
            .next()
            .and_then(sip_uri_of);
        if let Some(contact) = contact {
            early.target = contact.to_string();
        }
        let mut prack = early.request(Method::Prack, early.local_cseq);
        prack.push("RAck", format!("{sequence} {} INVITE", head.cseq));
        let Some(target) = next_hop(&prack, Some(flow)) else {
            return true;
        };
        let (client, owner) = (ClientId(self.next_id()), ClientOwner::Prack(dialog_id));
        self.authorize_request(&mut prack, owner);
        self.start_client(client, prack, target, owner, now, out);
        true
    }

    /// A 2xx without the answer that its branch has given before gets it back.
    pub(super) fn complete_answer(&self, id: ClientId, response: &mut Message, tag: &str) {
        let branches = self.clients.of(id).map(|client| &client.branches);
        let known = branches.and_then(|all| all.iter().find(|branch| branch.tag == tag));
        if response.body.is_empty()
            && let Some((kind, body)) = known.and_then(|branch| branch.content.clone())
        {
            response.push("Content-Type", kind);
            response.body = body;
        }
    }

    /// Whether a provisional answer of the gateway's has to wait for the one before it, and does.
    pub(super) fn waits_for_prack(&mut self, id: ServerId, response: &OutResponse) -> bool {
        let reliable = self
            .servers
            .of_mut(id)
            .and_then(|server| server.reliable.as_mut());
        match reliable {
            Some(reliable) if reliable.unacknowledged.is_some() => {
                if reliable.waiting.len() < WAITING_MAX {
                    reliable.waiting.push_back(response.clone());
                }
                true
            }
            _ => false,
        }
    }

    /// A provisional answer that goes out reliably gets its number, and is kept for repetition.
    pub(super) fn make_reliable(&mut self, id: ServerId, response: &mut Message, now: Millis) {
        let timing = self.settings.timing;
        let server = self.servers.of_mut(id);
        let Some(reliable) = server.and_then(|server| server.reliable.as_mut()) else {
            return;
        };
        reliable.sequence += 1;
        response.push("Require", "100rel");
        response.push("RSeq", reliable.sequence.to_string());
        reliable.unacknowledged = Some(Unacknowledged {
            message: response.clone(),
            at: now + timing.t1_ms,
            interval_ms: timing.t1_ms,
            until: now + timing.give_up_ms(),
        });
    }

    /// RFC 3262, 3: repeated at growing intervals, and given up with the call.
    pub(super) fn reliable_timeout(&mut self, id: ServerId, now: Millis, out: &mut Vec<Action>) {
        let Some(server) = self.servers.of_mut(id) else {
            return;
        };
        let flow = server.flow;
        let Some(reliable) = &mut server.reliable else {
            return;
        };
        let Some(sent) = reliable
            .unacknowledged
            .as_mut()
            .filter(|sent| sent.at.min(sent.until) <= now)
        else {
            return;
        };
        if sent.until <= now {
            reliable.unacknowledged = None;
            reliable.waiting.clear();
            return self.refuse_invite(id, 504, now, out);
        }
        sent.interval_ms *= 2;
        sent.at = now + sent.interval_ms;
        let bytes = sent.message.print();
        out.push(Action::Transmit { flow, bytes });
    }

    /// A PRACK of a peer's.
    pub(super) fn on_prack(&mut self, incoming: &Incoming, now: Millis, out: &mut Vec<Action>) {
        let rack = incoming.message.header("RAck").unwrap_or_default();
        let mut words = rack.split_ascii_whitespace();
        let numbers = (
            words.next().and_then(|word| word.parse::<u32>().ok()),
            words.next().and_then(|word| word.parse::<u32>().ok()),
        );
        let invite = self
            .dialog_of(incoming)
            .and_then(|id| self.dialogs.of(id)?.their_invite);
        let Some((id, server)) = invite.and_then(|id| Some((id, self.servers.of_mut(id)?))) else {
            return self.refuse(incoming, 481, None, &[], out);
        };
        let cseq = server.cseq;
        let met = match &mut server.reliable {
            Some(reliable) if numbers == (Some(reliable.sequence), Some(cseq)) => reliable
                .unacknowledged
                .take()
                .map(|_| reliable.waiting.pop_front()),
            _ => None,
        };
        let Some(next) = met else {
            return self.refuse(incoming, 481, None, &[], out);
        };
        let own = self.open_server(incoming, super::tables::ServerOwner::Own, now);
        self.answer_plainly(own, 200, now, out);
        self.rearm_server(id);
        if let Some(next) = next {
            // It was good when it was put off; if the call has ended since, nobody misses it.
            let _ = self.respond(id, next, now, out);
        }
    }
}
