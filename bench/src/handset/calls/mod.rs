//! Calls: INVITE in and out, and what may follow, up to BYE. RFC 3261, 13 to 15.

mod coming;
mod going;

use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::agent::Agent;
use super::chat::{self, Desk, Parties, Way, Wish};
use super::console::{ChatNumber, Event};
use super::endpoint::{Bound, Place};
use super::files::{FileOffer, Sending};
use super::sdp::{Local, Media, Setup};
use super::sip::{ClientKey, Dialog, Flow, Message, ServerKey, Start, Uri, token};

/// Calls at a time; more are busy.
const CALLS_MAX: usize = 64;
/// What may be wished for before it is carried out.
const WISHES: usize = 64;

pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE";

pub use going::{Besides, Invitation};

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

/// What a call for one long text is about.
pub enum Single {
    /// Our text; it ends when that is there.
    Goes(String),
    /// Theirs.
    Comes,
}

/// What marks such a call: CPM's large mode.
const LARGE: &str = ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.largemsg\"";

/// One call.
pub struct Call {
    /// Who the other side is.
    pub with: String,
    /// Where it stands.
    pub state: State,
    /// The way to the chat, once there is one.
    pub wishes: Option<mpsc::Sender<Wish>>,
    /// The file it is for, if it goes out; it ends when that is there.
    pub file: Option<Sending>,
    /// The one text it is for, if it is: ours, or one that comes.
    pub single: Option<Single>,
    /// The reason to give when it ends.
    pub farewell: Option<&'static str>,
    /// Its dialog.
    pub dialog: Dialog,
    /// Our last description, for a repeated offer.
    description: Vec<u8>,
    /// The path the peer gave.
    peer_path: String,
}

impl Call {
    /// The file that our offer is about.
    pub fn offered_file(&self) -> Option<FileOffer> {
        Media::read(&self.description).ok()?.file
    }

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
            _ if user.is_some_and(|user| !self.answers_to(&user)) => {
                self.answer(key, request, 404, now);
            }
            "INVITE" => self.invited(key, request, now),
            "BYE" => self.answer(key, request, 481, now),
            _ if self.service_request(key, request, now) => {}
            _ if self.focus_request(key, request, None, now) => {}
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
                // What came before it is told before it.
                self.read_news(now);
                self.hung_up_on(chat, request.header("Reason").is_some(), now);
            }
            "INVITE" => self.invited_again(key, request, chat, now),
            "OPTIONS" => self.asked(key, request, now),
            _ if self.focus_request(key, request, Some(chat), now) => {}
            _ => self.answer(key, request, 405, now),
        }
    }

    /// The other side has ended a call. Where something went wrong, which a Reason says (RFC 3326), and a file of ours
    /// is not there, its rest is offered; without one the other side gave it up.
    fn hung_up_on(&mut self, chat: ChatNumber, is_failure: bool, now: Instant) {
        let file = self.calls.get_mut(&chat).and_then(|call| call.file.take());
        self.forget(chat, "the other side hung up");
        if let Some(sending) = file.filter(|_| is_failure) {
            self.offer_rest(&sending, now);
        }
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

    /// Starts the task that connects and talks. The active side connects now: RFC 6135, 4.2.2.
    fn open_chat(&mut self, chat: ChatNumber, ours: Ours, theirs: &Media, role: Setup) {
        let own = self.settings.aor.to_string();
        let Some(call) = self.calls.get_mut(&chat) else {
            return;
        };
        let is_free = call.single.is_none() && !self.settings.manners.wraps;
        let takes_plain = theirs.takes_plain && is_free;
        let Ours { place, bound } = ours;
        let way = match (role, theirs.next_hop()) {
            (Setup::Active, Some(host_port)) => Way::Connect(host_port),
            _ => Way::Await(bound),
        };
        let parties = Parties {
            place,
            peer_path: theirs.path.clone(),
            names: (own, format!("sip:{}", call.with)),
            takes_plain,
            is_letter: matches!(call.single, Some(Single::Comes)),
            file: match (&call.file, &theirs.file) {
                (None, Some(file)) => Some((file.clone(), self.shelf.clone())),
                _ => None,
            },
        };
        let (wishes, wish_queue) = mpsc::channel(WISHES);
        if let Some(sending) = call.file.clone() {
            // There is room: nothing else was wished for yet.
            let _ = wishes.try_send(Wish::Transfer(Box::new(sending)));
        }
        if let Some(Single::Goes(text)) = &call.single {
            let _ = wishes.try_send(Wish::Say(text.clone()));
        }
        call.wishes = Some(wishes);
        let desk = Desk {
            chat,
            all: self.news.clone(),
        };
        let manners = self.settings.manners.clone();
        tokio::spawn(chat::run(parties, way, manners, wish_queue, desk));
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
        if let State::Accepted { server } = &call.state {
            self.transactions.acknowledged(server);
        }
        let next_hop = call.dialog.next_hop();
        let mut bye = call.dialog.request("BYE");
        if let Some(farewell) = call.farewell {
            bye.push("Reason", farewell);
        }
        let bye = self.with_via(bye);
        let Some(flow) = next_hop.and_then(|uri| self.flow_to(&uri)) else {
            return self.forget(chat, why);
        };
        let client = self.transactions.request(bye, flow, now, &mut self.outputs);
        if let Some(call) = self.calls.get_mut(&chat) {
            // The media connection stays until the BYE is answered: its end, if seen first, would look like a loss.
            call.state = State::Ending { client };
        }
        self.choose_current(chat);
        self.member_gone(chat, None, now);
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
        self.file_is_over(chat);
        self.member_gone(chat, None, Instant::now());
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
            wraps: self.settings.manners.wraps,
            mixes: self.settings.manners.mixes,
            direction: None,
        }
    }

    pub(super) fn with_via(&self, mut request: Message) -> Message {
        request.headers.insert(0, ("Via".to_owned(), self.via()));
        request
    }

    /// Answers with a status and no body.
    pub(super) fn answer(&mut self, key: &ServerKey, request: &Message, status: u16, now: Instant) {
        let mut response = Message::response(request, status, &token(6));
        if matches!(status, 200 | 405) {
            response.push("Allow", ALLOW);
        }
        self.transactions
            .respond(key, response, now, &mut self.outputs);
    }
}
