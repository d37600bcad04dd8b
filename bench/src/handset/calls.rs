//! Calls: INVITE in and out, and what may follow, up to BYE. RFC 3261, 13 to 15.

use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::agent::Agent;
use super::chat::{self, Desk, Parties, Way, Wish};
use super::console::{ChatNumber, Event};
use super::endpoint::{Bound, Place};
use super::sdp::{Local, Media, Setup};
use super::sip::dialog::short_name;
use super::sip::{ClientKey, Dialog, Flow, Message, ServerKey, Start, Uri, token};

/// Calls at a time; more are busy.
const CALLS_MAX: usize = 64;
/// How long another phone may ring.
const RINGING_MAX: Duration = Duration::from_secs(180);
/// What may be wished for before it is carried out.
const WISHES: usize = 64;

const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS";

/// Where a call stands.
pub enum State {
    /// It comes in and rings here.
    Ringing {
        server: ServerKey,
        answer_at: Instant,
        offer: Media,
    },
    /// It was answered here; the ACK is missing.
    Accepted { server: ServerKey },
    /// It goes out.
    Calling {
        client: ClientKey,
        until: Instant,
        ours: Ours,
        cancelled: bool,
    },
    /// Both sides agree. `ack` is what a repeated 200 gets.
    Established { ack: Option<(Flow, Vec<u8>)> },
    /// Our BYE has no answer yet.
    Ending { client: ClientKey },
}

/// Our side of the media of a call that is not answered yet.
pub struct Ours {
    place: Place,
    bound: oneshot::Receiver<Bound>,
}

/// One call.
pub struct Call {
    /// Who the other side is.
    pub with: String,
    /// Where it stands.
    pub state: State,
    /// The way to the chat, once there is one.
    pub wishes: Option<mpsc::Sender<Wish>>,
    dialog: Dialog,
    /// Our last description, for a repeated offer.
    description: Vec<u8>,
    /// The path the peer gave.
    peer_path: String,
}

impl Call {
    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Ringing { answer_at, .. } => Some(*answer_at),
            State::Calling {
                until,
                cancelled: false,
                ..
            } => Some(*until),
            _ => None,
        }
    }
}

impl Agent {
    /// Takes a new request.
    pub(super) fn request(&mut self, key: &ServerKey, request: &Message, now: Instant) {
        let Start::Request { method, uri } = &request.start else {
            return;
        };
        if method == "CANCEL" {
            return self.cancelled(key, request, now);
        }
        if request.tag("To").is_some() {
            return self.request_inside(key, request, method, now);
        }
        let user = Uri::parse(uri).and_then(|uri| uri.user);
        match method.as_str() {
            _ if user.is_some() && user != self.settings.aor.user => {
                self.answer(key, request, 404, now);
            }
            "INVITE" => self.invited(key, request, now),
            "OPTIONS" => self.answer(key, request, 200, now),
            "BYE" => self.answer(key, request, 481, now),
            _ => self.answer(key, request, 405, now),
        }
    }

    fn request_inside(&mut self, key: &ServerKey, request: &Message, method: &str, now: Instant) {
        let found = self
            .calls
            .iter_mut()
            .find(|(_, call)| call.dialog.matches(request));
        let Some((&chat, call)) = found else {
            return self.answer(key, request, 481, now);
        };
        let number = request.cseq().map(|(number, _)| number);
        if number <= call.dialog.remote_cseq {
            return self.answer(key, request, 500, now);
        }
        call.dialog.remote_cseq = number;
        match method {
            "BYE" => {
                self.answer(key, request, 200, now);
                self.forget(chat, "the other side hung up");
            }
            "INVITE" => self.invited_again(key, request, chat, now),
            "OPTIONS" => self.answer(key, request, 200, now),
            _ => self.answer(key, request, 405, now),
        }
    }

    /// A repeated offer is answered as before; one that moves the media is refused, and everything
    /// stays as it is. RFC 4975, 8.4.
    fn invited_again(
        &mut self,
        key: &ServerKey,
        request: &Message,
        chat: ChatNumber,
        now: Instant,
    ) {
        let Some(call) = self.calls.get(&chat) else {
            return;
        };
        let is_same = Media::read(&request.body).is_ok_and(|media| media.path == call.peer_path);
        if !is_same && !request.body.is_empty() {
            return self.answer(key, request, 488, now);
        }
        let mut response = Message::response(request, 200, "");
        response.push("Contact", format!("<{}>", self.contact));
        response.set_body("application/sdp", call.description.clone());
        self.transactions
            .respond(key, response, now, &mut self.outputs);
    }

    fn invited(&mut self, key: &ServerKey, request: &Message, now: Instant) {
        let from = short_name(request.header("From").unwrap_or(""));
        if let Some(required) = request.header("Require") {
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
        let offer = match Media::read(&request.body) {
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
        if let Some(status) = self.settings.decline {
            self.answer(key, request, status, now);
            return self.tell(Event::Ended {
                chat,
                why: format!("declined with {status}"),
            });
        }
        if self.calls.len() >= CALLS_MAX {
            self.answer(key, request, 486, now);
            return self.tell(Event::Ended {
                chat,
                why: "too many calls".to_owned(),
            });
        }
        let mut ringing = Message::response(request, 180, &tag);
        ringing.push("Contact", format!("<{}>", self.contact));
        self.transactions
            .respond(key, ringing, now, &mut self.outputs);
        let peer_path = offer.path.clone();
        let answer_at = now + self.settings.ring;
        let state = State::Ringing {
            server: key.clone(),
            answer_at,
            offer,
        };
        let call = Call {
            with: from,
            state,
            wishes: None,
            dialog,
            description: Vec::new(),
            peer_path,
        };
        self.calls.insert(chat, call);
        self.current = Some(chat);
        self.calls_timeout(now);
    }

    /// Answers what has rung long enough, cancels what nobody answers.
    pub(super) fn calls_timeout(&mut self, now: Instant) {
        let due = self
            .calls
            .iter()
            .filter(|(_, call)| call.deadline().is_some_and(|at| at <= now));
        let due: Vec<ChatNumber> = due.map(|(&chat, _)| chat).collect();
        for chat in due {
            match self.calls.get(&chat).map(|call| &call.state) {
                Some(State::Ringing { .. }) => self.accept(chat, now),
                _ => self.hang_up(chat, "nobody answered", now),
            }
        }
    }

    fn accept(&mut self, chat: ChatNumber, now: Instant) {
        let (place, bound) = self.endpoint.session();
        let local = self.description_of(&place);
        let (prefer_passive, contact) = (self.settings.passive, self.contact.clone());
        let Some(call) = self.calls.get_mut(&chat) else {
            return;
        };
        let State::Ringing { server, offer, .. } = &call.state else {
            return;
        };
        let (server, offer) = (server.clone(), offer.clone());
        let Some(invite) = self.transactions.request_of(&server) else {
            return;
        };

        let role = offer.role_as_answerer(prefer_passive);
        call.description = local.answer(&offer, role);
        let tag = call.dialog.local_tag().unwrap_or_default();
        let mut response = Message::response(invite, 200, &tag);
        response.push("Contact", format!("<{contact}>"));
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

    /// Starts the task that connects and talks. The active side connects now: RFC 6135, 4.2.2.
    fn open_chat(&mut self, chat: ChatNumber, ours: Ours, theirs: &Media, role: Setup) {
        let own = self.settings.aor.to_string();
        let Some(call) = self.calls.get_mut(&chat) else {
            return;
        };
        let Ours { place, bound } = ours;
        let way = match (role, theirs.next_hop()) {
            (Setup::Active, Some(host_port)) => Way::Connect(host_port),
            _ => Way::Await(bound),
        };
        let parties = Parties {
            place,
            peer_path: theirs.path.clone(),
            names: (own, format!("sip:{}", call.with)),
            takes_plain: theirs.takes_plain,
        };
        let (wishes, wish_queue) = mpsc::channel(WISHES);
        call.wishes = Some(wishes);
        let desk = Desk {
            chat,
            all: self.news.clone(),
        };
        let manners = self.settings.manners.clone();
        tokio::spawn(chat::run(parties, way, manners, wish_queue, desk));
    }

    fn cancelled(&mut self, key: &ServerKey, cancel: &Message, now: Instant) {
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

    fn refuse_ringing(&mut self, chat: ChatNumber, server: &ServerKey, status: u16, now: Instant) {
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
    pub(super) fn acknowledged(&mut self, ack: &Message) {
        let found = self
            .calls
            .values_mut()
            .find(|call| call.dialog.matches(ack));
        if let Some(call) = found
            && let State::Accepted { server } = &call.state
        {
            self.transactions.acknowledged(server);
            call.state = State::Established { ack: None };
        }
    }

    /// No ACK has come for 32 s: the call is ended. RFC 3261, 13.3.1.4.
    pub(super) fn unacknowledged(&mut self, key: &ServerKey, now: Instant) {
        let found = self
            .calls
            .iter()
            .find(|(_, call)| matches!(&call.state, State::Accepted { server } if server == key));
        if let Some((&chat, _)) = found {
            self.hang_up(chat, "the other side never sent an ACK", now);
        }
    }

    /// Calls somebody.
    pub(super) fn call(&mut self, to: &Uri, now: Instant) {
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
        let description = self.description_of(&place).offer();
        let mut dialog = Dialog {
            call_id: token(12),
            local: format!("<{}>;tag={}", self.settings.aor, token(6)),
            remote: format!("<{to}>"),
            target: to.to_string(),
            route: Vec::new(),
            local_cseq: 0,
            remote_cseq: None,
        };
        let mut invite = self.with_via(dialog.request("INVITE"));
        invite.push("Contact", format!("<{}>", self.contact));
        invite.push("Allow", ALLOW);
        invite.push("User-Agent", super::USER_AGENT);
        invite.set_body("application/sdp", description.clone());
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
            dialog,
            description,
            peer_path,
        };
        self.calls.insert(chat, call);
        self.current = Some(chat);
    }

    /// Takes the answer to one of our requests.
    pub(super) fn call_answer(&mut self, key: &ClientKey, response: &Message, now: Instant) {
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
                self.open_chat(chat, ours, &theirs, theirs.role_as_offerer());
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
    pub(super) fn call_unanswered(&mut self, key: &ClientKey) {
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

    /// Ends a call from this side, whatever its state.
    pub(super) fn hang_up(&mut self, chat: ChatNumber, why: &str, now: Instant) {
        let Some(call) = self.calls.get_mut(&chat) else {
            return;
        };
        match &mut call.state {
            State::Ringing { server, .. } => {
                let server = server.clone();
                self.refuse_ringing(chat, &server, 603, now);
                self.forget(chat, why);
            }
            State::Calling {
                client, cancelled, ..
            } => {
                // Before a provisional response CANCEL must wait: RFC 3261, 9.1.
                *cancelled = true;
                let client = client.clone();
                if self.transactions.is_proceeding(&client) {
                    self.transactions.cancel(&client, now, &mut self.outputs);
                }
            }
            State::Accepted { .. } | State::Established { .. } => self.bye(chat, why, now),
            State::Ending { .. } => {}
        }
    }

    fn bye(&mut self, chat: ChatNumber, why: &str, now: Instant) {
        let Some(call) = self.calls.get_mut(&chat) else {
            return;
        };
        call.wishes = None;
        if let State::Accepted { server } = &call.state {
            self.transactions.acknowledged(server);
        }
        let next_hop = call.dialog.next_hop();
        let bye = call.dialog.request("BYE");
        let bye = self.with_via(bye);
        let Some(flow) = next_hop.and_then(|uri| self.flow_to(&uri)) else {
            return self.forget(chat, why);
        };
        let client = self.transactions.request(bye, flow, now, &mut self.outputs);
        if let Some(call) = self.calls.get_mut(&chat) {
            call.state = State::Ending { client };
        }
        self.choose_current(chat);
        self.tell(Event::Ended {
            chat,
            why: why.to_owned(),
        });
    }

    /// The call is gone, and the user is told, unless that was done at our BYE.
    fn forget(&mut self, chat: ChatNumber, why: &str) {
        let was_told = matches!(
            self.calls.get(&chat),
            Some(Call {
                state: State::Ending { .. },
                ..
            })
        );
        self.drop_call(chat);
        if !was_told {
            self.tell(Event::Ended {
                chat,
                why: why.to_owned(),
            });
        }
    }

    fn drop_call(&mut self, chat: ChatNumber) {
        self.calls.remove(&chat);
        self.choose_current(chat);
    }

    fn choose_current(&mut self, gone: ChatNumber) {
        if self.current == Some(gone) {
            let others = self.calls.iter().filter(|&(&chat, call)| {
                chat != gone && !matches!(call.state, State::Ending { .. })
            });
            self.current = others.map(|(&chat, _)| chat).next_back();
        }
    }

    fn new_chat(&mut self) -> ChatNumber {
        self.next_chat += 1;
        self.next_chat - 1
    }

    fn description_of(&self, place: &Place) -> Local {
        let (address, port) = (self.address, self.endpoint.address().port());
        let version = u64::from(self.next_chat);
        Local {
            address,
            port,
            uri: place.uri.clone(),
            version,
        }
    }

    fn with_via(&self, mut request: Message) -> Message {
        request.headers.insert(0, ("Via".to_owned(), self.via()));
        request
    }

    /// Answers with a status and no body.
    fn answer(&mut self, key: &ServerKey, request: &Message, status: u16, now: Instant) {
        let mut response = Message::response(request, status, &token(6));
        if matches!(status, 200 | 405) {
            response.push("Allow", ALLOW);
        }
        if matches!(&request.start, Start::Request { method, .. } if method == "OPTIONS") {
            response.push("Accept", "application/sdp");
        }
        self.transactions
            .respond(key, response, now, &mut self.outputs);
    }
}
