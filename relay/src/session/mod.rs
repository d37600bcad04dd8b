//! The forwarding core: which leg a message goes to, under which paths, and who answers it.
//!
//! ```text
//! Head of leg A ▶ route ▶ Verdict: forward to leg B with these first lines
//!                                | answer on leg A with this response, pass nothing on
//!                                | pass nothing on
//!                                | wait: the other leg is not there yet
//! ```
//!
//! Pure: a session knows neither sockets nor TLS nor WebSocket; a leg's connection is a number to
//! it. Time comes in as milliseconds of the shard's clock. `L(X)` is our own URI toward leg X,
//! `R(X)` the path of its peer (RFC 4975, 8.2).

mod asked;
mod failure;
mod paths;
mod pending;
mod table;
mod texts;

use link::{Cause, Leg, Switches};
use wire::msrp::{Continuation, FailureReport, Head, Kind, Method, Part, status, uri, writer};

pub use failure::{OpenPlace, code_of};
pub use paths::{LocalPath, slot_of_token};
pub use pending::{ALIAS_LETTERS, OfSession, Request, Transaction};
pub use table::{LegSlot, LegStage, Proof, Session, Sessions, Settings};
pub use texts::{Text, Texts};

use crate::limits::{PENDING_FOR, PREFIX_BYTES_MAX};
use asked::Asked;
use failure::Account;
use pending::Acknowledgement;

/// How transaction ids of requests of our own begin. What they are answered goes to nobody.
pub const OWN_TRANSACTION: &[u8] = b"rly.";

/// What becomes of the chunk that a leg's peer is sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// No chunk is open.
    Between,
    /// The open chunk goes to the other leg as it comes.
    Forwarding {
        /// What it is, for the counters.
        what: Forwarded,
    },
    /// The open chunk was answered or is unwanted: its octets go nowhere.
    Discarding,
}

/// A message that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// A chunk of a message, or another request that is answered.
    Send,
    /// A REPORT.
    Report,
    /// A response to the other side's request.
    Response,
}

/// Where the first lines of a forwarded message, or a whole response of ours, are written.
pub type Scratch = [u8; PREFIX_BYTES_MAX];

/// What is to be done about a message whose head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it: the scratch's first `prefix` octets replace its start line and paths.
    Forward {
        /// Octets in the scratch.
        prefix: usize,
        /// The transaction id in them, and so in the end-line, is another than it came with.
        is_renamed: bool,
    },
    /// Send back the response in the scratch's first `response` octets, and discard the message.
    Answer {
        /// Octets in the scratch.
        response: usize,
    },
    /// Discard it without a word.
    Discard,
    /// Discard it, and tell who sent this request that it has failed: [`Sessions::report_on`].
    Report {
        /// Which request.
        request: Request,
        /// By what code.
        code: u16,
    },
    /// Do not read on: the other leg is not up, or a path is not known yet. Ask again when that has
    /// changed.
    Wait,
    /// Do not read on: the other leg's connection is another session's now.
    Busy,
    /// It is not for this leg, though perhaps for another on its connection. What it is answered if
    /// there is none: [`Sessions::refuse`].
    Elsewhere,
}

/// How it stands with the connection of the leg that a message goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is the leg's own, or there is none yet.
    Own,
    /// Other sessions are on it, and so their transaction ids. These letters make one that nobody
    /// else has. RFC 4976, 6.4.
    Shared([u8; ALIAS_LETTERS]),
    /// Another session's chunk is under way or next on it.
    Busy,
}

impl Sessions {
    /// Decides about a message from the peer of `leg`, given its head and the head's octets.
    /// `end` is how the chunk ends, if it does with the octets that are there.
    /// [`Verdict::Wait`], `Busy` and `Elsewhere` change nothing; every other verdict sets the leg's
    /// [`Flow`].
    pub fn route(
        &mut self,
        (session, leg): (u32, Leg),
        way: Way,
        head: &Head,
        end: Option<Continuation>,
        octets: &[u8],
        scratch: &mut Scratch,
    ) -> Verdict {
        let verdict = match head.kind {
            Kind::Request(method) => {
                let verdict =
                    self.route_request((session, leg), way, method, head, octets, scratch);
                if matches!(verdict, Verdict::Forward { .. }) {
                    self.open_message(session, leg, head, end, octets);
                }
                verdict
            }
            Kind::Response(_) => self.route_response((session, leg), way, head, octets, scratch),
        };
        self.decided(session, leg, verdict, head)
    }

    /// Decides that a message goes no further: with this answer, if it wants one.
    pub fn refuse(
        &mut self,
        (session, leg): (u32, Leg),
        code: u16,
        head: &Head,
        octets: &[u8],
        scratch: &mut Scratch,
    ) -> Verdict {
        let verdict = self.answer(session, leg, head, octets, code, scratch);
        self.decided(session, leg, verdict, head)
    }

    /// The same of a message that is not for this leg. If it is for one that we have, or had, it is
    /// answered in that one's name.
    pub fn refuse_elsewhere(
        &mut self,
        (session, leg): (u32, Leg),
        code: u16,
        head: &Head,
        octets: &[u8],
        scratch: &mut Scratch,
    ) -> Verdict {
        let to = head.to_path.of(octets);
        if !paths::is_of_ours(to) {
            return self.refuse((session, leg), code, head, octets, scratch);
        }
        let verdict = answer_from(head, octets, code, to, scratch);
        self.decided(session, leg, verdict, head)
    }

    fn decided(&mut self, session: u32, leg: Leg, verdict: Verdict, head: &Head) -> Verdict {
        let flow = match verdict {
            Verdict::Wait | Verdict::Busy | Verdict::Elsewhere => return verdict,
            Verdict::Forward { .. } => Flow::Forwarding {
                what: forwarded(head.kind),
            },
            Verdict::Answer { .. } | Verdict::Discard | Verdict::Report { .. } => Flow::Discarding,
        };
        let session = &mut self[session];
        if matches!(verdict, Verdict::Answer { .. }) {
            session.counts.refused += u64::from(!is_bodiless_send(head));
        }
        session.legs[leg.index()].flow = flow;
        verdict
    }

    fn route_request(
        &mut self,
        (index, leg): (u32, Leg),
        way: Way,
        method: Method,
        head: &Head,
        octets: &[u8],
        scratch: &mut Scratch,
    ) -> Verdict {
        let session = &self[index];
        let ours = &session.legs[leg.index()];
        let theirs = &session.legs[leg.other().index()];
        let local = ours.local.uri(&self.texts);
        let from_path = head.from_path.of(octets);
        if !paths::is_only(head.to_path.of(octets), local) {
            return Verdict::Elsewhere;
        }
        let Some(remote) = ours.remote else {
            return Verdict::Wait;
        };
        let refusal = if head.fault.is_some() {
            Some(status::BAD_REQUEST)
        } else if !self.is_from_peer(index, leg, from_path) {
            Some(status::NO_SESSION)
        } else if is_bodiless_send(head) {
            // It binds or keeps alive, which is between the peer and us: handsets give up when
            // this is not answered within seconds, long before a browser has come.
            Some(status::OK)
        } else if method == Method::Auth {
            Some(status::UNKNOWN_METHOD)
        } else if method == Method::Send
            && ours.policy.switches.strict_ranges
            && head.byte_range.is_some_and(|range| !range.is_consistent())
        {
            Some(status::BAD_REQUEST)
        } else if method == Method::Send {
            self.failed_before(index, leg, head, octets)
        } else {
            None
        };
        if let Some(code) = refusal {
            return self.answer(index, leg, head, octets, code, scratch);
        }

        if let Some(code) = session.failing {
            let wants_report = ours.policy.switches.report_only && method == Method::Send;
            if wants_report && let Some(request) = self.not_passed_on(index, leg, head, octets) {
                return Verdict::Report { request, code };
            }
            return self.answer(index, leg, head, octets, code, scratch);
        }
        let LegStage::Up(_) = theirs.stage else {
            return Verdict::Wait;
        };
        let Some(destination) = theirs.remote else {
            return Verdict::Wait;
        };
        if way == Way::Busy {
            return Verdict::Busy;
        }
        let expects = match method {
            Method::Report => false,
            Method::Send => head.failure_report != FailureReport::No,
            Method::Auth | Method::Nickname | Method::Other => true,
        };
        let transaction = head.transaction.of(octets);
        if expects && self.pending.contains(index, leg, transaction) {
            return self.answer(index, leg, head, octets, status::BAD_REQUEST, scratch);
        }
        let remembered = if expects {
            let known = self.texts.get(remote) == from_path;
            let asked = Asked {
                is_send: method == Method::Send,
                transaction,
                from_path: (!known).then_some(from_path),
                message: self.marks.of(head.message_id.map(|field| field.of(octets))),
                account: Account::of(head, octets),
                wants_200: head.failure_report == FailureReport::Yes,
            };
            self.remember(index, leg, &asked)
        } else {
            None
        };
        // Only what is answered can be taken for another's, and only what is remembered found again.
        let alias = match (way, remembered) {
            (Way::Shared(letters), Some(number)) => Some(self.pending.rename(number, &letters)),
            _ => None,
        };
        let theirs = &self[index].legs[leg.other().index()];
        let start = writer::Start::AsReceived(head.subject.of(octets));
        let (to, from) = (self.texts.get(destination), theirs.local.uri(&self.texts));
        let transaction = alias.as_ref().map_or(transaction, |alias| &alias[..]);
        match writer::prefix(scratch, transaction, start, to, from) {
            Some(prefix) => Verdict::Forward {
                prefix,
                is_renamed: alias.is_some(),
            },
            // Paths and start line are bounded so that this does not happen.
            None => Verdict::Discard,
        }
    }

    fn route_response(
        &mut self,
        (index, leg): (u32, Leg),
        way: Way,
        head: &Head,
        octets: &[u8],
        scratch: &mut Scratch,
    ) -> Verdict {
        let asker = leg.other();
        let transaction = head.transaction.of(octets);
        let to_us = uri::first(head.to_path.of(octets));
        let local = self[index].legs[leg.index()].local.uri(&self.texts);
        if !paths::is_only(to_us, local) {
            return Verdict::Elsewhere;
        }
        if head.fault.is_some() {
            return Verdict::Discard;
        }
        if let LegStage::Detached(_) = self[index].legs[asker.index()].stage {
            // Who asked may come back to hear it.
            return Verdict::Wait;
        }
        if way == Way::Busy {
            return Verdict::Busy;
        }
        let Some(answered) = self.recall(index, asker, transaction) else {
            return Verdict::Discard;
        };
        let request = answered.request;
        if request.acknowledgement == Acknowledgement::Sent {
            return match head.kind {
                Kind::Response(code) if code >= 300 => Verdict::Report { request, code },
                _ => {
                    self.let_go(&request);
                    Verdict::Discard
                }
            };
        }
        let renamed_from = answered.renamed_from.as_ref();
        let transaction = renamed_from.map_or(transaction, |own| own.as_slice());
        let back = &self[index].legs[asker.index()];
        let from_path = match request.from_path.or(back.remote) {
            Some(text) => self.texts.get(text),
            None => &[],
        };
        let to = if request.is_send {
            uri::first(from_path)
        } else {
            from_path
        };
        let start = writer::Start::AsReceived(head.subject.of(octets));
        let prefix = writer::prefix(scratch, transaction, start, to, back.local.uri(&self.texts));
        self.let_go(&request);
        match prefix {
            Some(prefix) => Verdict::Forward {
                prefix,
                is_renamed: renamed_from.is_some(),
            },
            None => Verdict::Discard,
        }
    }

    /// A response of our own, on the leg the request came from. RFC 4975, 7.2.
    fn answer(
        &self,
        index: u32,
        leg: Leg,
        head: &Head,
        octets: &[u8],
        code: u16,
        scratch: &mut Scratch,
    ) -> Verdict {
        let local = self[index].legs[leg.index()].local.uri(&self.texts);
        answer_from(head, octets, code, local, scratch)
    }

    /// A part of the open chunk went by: counts it, and closes the flow if the chunk ends. The request,
    /// if it is to be acknowledged now: [`Sessions::acknowledge`].
    pub fn passed(&mut self, index: u32, leg: Leg, part: &Part, now: u64) -> Option<u32> {
        let mut due = None;
        let from = &mut self[index].legs[leg.index()];
        let has_accounts = from.policy.switches != Switches::NONE;
        if let Some(number) = from.open_request {
            if has_accounts {
                let request = *self.pending.request_mut(number);
                self.count_in_account(&request, part.body);
                if part.end.is_some() && request.acknowledgement == Acknowledgement::Due {
                    due = Some(number);
                }
            }
            if part.end.is_some() {
                self[index].legs[leg.index()].open_request = None;
                self.pending.age(number, now);
            }
        }
        let session = &mut self[index];
        let counts = &mut session.counts;
        if let Flow::Forwarding { what } = session.legs[leg.index()].flow {
            session.active_at = now;
            let (messages, octets) = match leg {
                Leg::A => (&mut counts.messages_a_to_b, &mut counts.octets_a_to_b),
                Leg::B => (&mut counts.messages_b_to_a, &mut counts.octets_b_to_a),
            };
            *octets += part.body;
            if part.end.is_some() {
                match what {
                    Forwarded::Send => *messages += 1,
                    Forwarded::Report => counts.reports += 1,
                    Forwarded::Response => counts.responses += 1,
                }
            }
        }
        let from = &mut session.legs[leg.index()];
        if from.flow
            == (Flow::Forwarding {
                what: Forwarded::Send,
            })
        {
            self.message_passed(index, leg, part.body, part.end);
        }
        let from = &mut self[index].legs[leg.index()];
        if part.end.is_some() {
            if from.unremembered > 0 && from.unremembered_until == u64::MAX {
                // What is remembered waits as long for its response.
                from.unremembered_until = now + PENDING_FOR.as_millis() as u64;
            }
            from.flow = Flow::Between;
        }
        due
    }

    /// The session's life is over: what it held is given back. Its slot stays until control has
    /// been told.
    pub fn end(&mut self, index: u32, cause: Cause) {
        let mut list = self[index].pending;
        while let Some((request, _)) = self.pending.take_first(&mut list) {
            self.let_go(&request);
        }
        self[index].pending = list;
        self.release_texts(index);
        self[index].closed = Some(cause);
    }
}

/// The response to a request, from our URI `local`; `Discard` if the request wants none.
pub fn answer_from(
    head: &Head,
    octets: &[u8],
    code: u16,
    local: &[u8],
    scratch: &mut Scratch,
) -> Verdict {
    let Kind::Request(method) = head.kind else {
        return Verdict::Discard;
    };
    let from_path = head.from_path.of(octets);
    let unwanted = match method {
        Method::Report => true,
        Method::Send => match head.failure_report {
            FailureReport::Yes => false,
            FailureReport::Partial => code == status::OK,
            FailureReport::No => true,
        },
        Method::Auth | Method::Nickname | Method::Other => false,
    };
    // What is not a path is not repeated, above all not a line end in it.
    let are_uris = |path| uri::path(path).all(|uri| uri.is_ok());
    if unwanted || from_path.is_empty() || !are_uris(from_path) || !are_uris(local) {
        return Verdict::Discard;
    }
    let to = if method == Method::Send {
        uri::first(from_path)
    } else {
        from_path
    };
    match writer::response(scratch, head.transaction.of(octets), code, to, local) {
        Some(response) => Verdict::Answer { response },
        None => Verdict::Discard,
    }
}

fn forwarded(kind: Kind) -> Forwarded {
    match kind {
        Kind::Request(Method::Report) => Forwarded::Report,
        Kind::Request(_) => Forwarded::Send,
        Kind::Response(_) => Forwarded::Response,
    }
}

/// A SEND that carries nothing: it binds a connection to its session, or keeps it alive.
pub fn is_bodiless_send(head: &Head) -> bool {
    head.kind == Kind::Request(Method::Send) && !head.has_body
}
