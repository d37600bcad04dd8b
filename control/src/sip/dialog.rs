//! Dialogs: what two user agents share between an INVITE and its BYE. RFC 3261, 12.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::api::{ClientId, DialogId, Flow, Millis, OutRequest, ServerId};
use super::compose::sip_uri_of;
use super::message::{Message, StartLine};
use super::method::Method;
use super::modify::Again;
use super::session_timer::SessionTimer;
use super::settings::Timing;

/// One dialog, seen from our side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Dialog {
    pub call_id: String,
    /// Our From or To, without its tag.
    pub local: String,
    pub local_tag: String,
    /// The peer's, without its tag.
    pub remote: String,
    /// `None` until a 2xx has come to our INVITE.
    pub remote_tag: Option<String>,
    pub local_cseq: u32,
    pub remote_cseq: Option<u32>,
    /// The user part of our Contact, escaped.
    pub contact_user: Option<String>,
    /// Route values, the nearest hop first.
    pub routes: Vec<String>,
    /// The URI in the peer's Contact.
    pub target: String,
    /// By which flow the peer's messages come.
    pub source: Option<Flow>,
    pub phase: Phase,
    /// Our INVITE that has no final answer.
    pub our_invite: Option<ClientId>,
    /// The peer's.
    pub their_invite: Option<ServerId>,
    /// Our last INVITE that was answered 2xx.
    pub ack: Option<Ack>,
    /// Our 2xx that has no ACK.
    pub answer: Option<Answer>,
    /// A BYE of ours that waits for that ACK (RFC 3261, 15).
    pub held_bye: Option<(ClientId, OutRequest)>,
    /// Our UPDATE that has no final answer.
    pub our_update: Option<ClientId>,
    /// The peer's.
    pub their_update: Option<ServerId>,
    /// A change of ours that crossed one of theirs.
    pub again: Option<Again>,
    /// The session description that we sent last, with its Content-Type.
    pub ours: Option<(String, Vec<u8>)>,
    /// The one that the peer sent last.
    pub theirs: Option<Vec<u8>>,
    /// The one in the peer's request that waits for our answer.
    pub proposed: Option<Vec<u8>>,
    pub timer: Option<SessionTimer>,
    /// The peer takes UPDATE.
    pub peer_updates: bool,
    /// We made the Call-ID.
    pub owns_call_id: bool,
    /// It is there for subscriptions alone; of ours it is open with the first NOTIFY.
    #[serde(default)]
    pub events: bool,
}

/// How far a dialog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// The INVITE that may open it has no 2xx.
    Early,
    /// It is open.
    Confirmed,
    /// A BYE was sent or has come; it goes when the BYE is answered.
    Leaving,
}

/// What acknowledges a 2xx.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ack {
    pub cseq: u32,
    /// What the INVITE said for itself; its ACK says it again (RFC 3261, 22.1).
    pub proofs: Vec<(String, String)>,
    /// The ACK, once the gateway has ordered it.
    pub sent: Option<(Flow, Message)>,
}

/// A 2xx that is repeated until its ACK comes. RFC 3261, 13.3.1.4.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub server: ServerId,
    pub cseq: u32,
    pub flow: Flow,
    pub message: Message,
    interval_ms: Millis,
    at: Millis,
    until: Millis,
}

impl Answer {
    pub fn new(
        server: ServerId,
        cseq: u32,
        sent: (Flow, Message),
        timing: &Timing,
        now: Millis,
    ) -> Answer {
        let (flow, message) = sent;
        let interval_ms = timing.t1_ms;
        let until = now + timing.give_up_ms();
        Answer {
            server,
            cseq,
            flow,
            message,
            interval_ms,
            at: now + interval_ms,
            until,
        }
    }

    /// When to call [`Answer::timeout`].
    pub fn deadline(&self) -> Millis {
        self.at.min(self.until)
    }

    /// Time has passed. `false`: no ACK will come any more. `true`: send it again.
    pub fn timeout(&mut self, timing: &Timing, now: Millis) -> bool {
        self.interval_ms = (2 * self.interval_ms).min(timing.t2_ms);
        self.at = now + self.interval_ms;
        now < self.until
    }
}

impl Dialog {
    /// A dialog in which nothing is under way.
    pub fn new(ids: (String, String), parties: (String, String), target: String) -> Dialog {
        let ((call_id, local_tag), (local, remote)) = (ids, parties);
        Dialog {
            call_id,
            local,
            local_tag,
            remote,
            remote_tag: None,
            local_cseq: 0,
            remote_cseq: None,
            contact_user: None,
            routes: Vec::new(),
            target,
            source: None,
            phase: Phase::Early,
            our_invite: None,
            their_invite: None,
            ack: None,
            answer: None,
            held_bye: None,
            our_update: None,
            their_update: None,
            again: None,
            ours: None,
            theirs: None,
            proposed: None,
            timer: None,
            peer_updates: false,
            owns_call_id: false,
            events: false,
        }
    }

    /// What messages of this dialog are found by.
    pub fn key(&self) -> Option<String> {
        let remote_tag = self.remote_tag.as_deref()?;
        Some(key(&self.call_id, &self.local_tag, remote_tag))
    }

    /// A request in this dialog, without Via, Contact and content. RFC 3261, 12.2.1.1.
    pub fn request(&self, method: Method, cseq: u32) -> Message {
        let mut routes = self.routes.clone();
        let mut uri = self.target.clone();
        let first = routes.first().and_then(|route| sip_uri_of(route));
        if let Some(strict) = first.filter(|first| first.param("lr").is_none()) {
            // The next hop is a strict router: it wants itself on the first line.
            routes.remove(0);
            routes.push(format!("<{uri}>"));
            uri = strict.to_string();
        }
        let start = StartLine::Request {
            method: method.clone(),
            uri,
        };
        let mut request = Message {
            start,
            headers: Vec::new(),
            body: Vec::new(),
        };
        request.push("Max-Forwards", "70");
        for route in routes {
            request.push("Route", route);
        }
        request.push("From", format!("{};tag={}", self.local, self.local_tag));
        let tag = self.remote_tag.as_deref().filter(|tag| !tag.is_empty());
        let tag = tag.map_or(String::new(), |tag| format!(";tag={tag}"));
        request.push("To", format!("{}{tag}", self.remote));
        request.push("Call-ID", self.call_id.as_str());
        request.push("CSeq", format!("{cseq} {method}"));
        request
    }

    /// When something is to be done, if ever.
    pub fn deadline(&self) -> Option<Millis> {
        let answer = self.answer.as_ref().map(Answer::deadline);
        if self.phase != Phase::Confirmed {
            return answer;
        }
        let again = self.again.as_ref().map(|again| again.at);
        let timer = self.timer.as_ref().map(SessionTimer::deadline);
        [answer, again, timer].into_iter().flatten().min()
    }
}

/// What a dialog's messages are found by.
pub(super) fn key(call_id: &str, local_tag: &str, remote_tag: &str) -> String {
    format!("{call_id}\n{local_tag}\n{remote_tag}")
}

/// All dialogs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Dialogs {
    by_id: BTreeMap<DialogId, Dialog>,
    /// Only looked up, never walked: its order is not the same in two runs.
    by_key: HashMap<String, DialogId>,
}

impl Dialogs {
    pub fn insert(&mut self, id: DialogId, dialog: Dialog) {
        if let Some(key) = dialog.key() {
            self.by_key.insert(key, id);
        }
        self.by_id.insert(id, dialog);
    }

    pub fn of(&self, id: DialogId) -> Option<&Dialog> {
        self.by_id.get(&id)
    }

    /// To change a dialog, but not its tags.
    pub fn of_mut(&mut self, id: DialogId) -> Option<&mut Dialog> {
        self.by_id.get_mut(&id)
    }

    pub fn find(&self, call_id: &str, local_tag: &str, remote_tag: &str) -> Option<DialogId> {
        self.by_key
            .get(&key(call_id, local_tag, remote_tag))
            .copied()
    }

    pub fn remove(&mut self, id: DialogId) -> Option<Dialog> {
        let dialog = self.by_id.remove(&id)?;
        if let Some(key) = dialog.key() {
            self.by_key.remove(&key);
        }
        Some(dialog)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Dialog> {
        self.by_id.values_mut()
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }
}
