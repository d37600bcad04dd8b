//! The one way in which a bridge ends: once, everybody told, everything given back.

use super::bridge::{Asked, Branch, Bridge, BridgeId, Line};
use super::{Gateway, Turn};
use crate::jsonrtc::{Control, Frame, Kind, Members};
use crate::limits::{DRAIN_MS, Millis};
use crate::metrics::Counter;
use crate::sip::{DialogId, Method, OutRequest, OutResponse};

/// Why a bridge ends, in the words of those who are told.
#[derive(Clone, Debug)]
pub struct Why {
    /// The code of the error frame, where the browser still waits for an answer.
    pub web_code: u16,
    /// The status, where the peer still waits for an answer.
    pub net_code: u16,
    /// One sentence or phrase for both; empty where the code says it all.
    pub text: String,
    /// Whether to say in BYE why (`Reason`, RFC 3326). Hanging up needs no reason.
    pub tell_reason: bool,
    /// Whether the other leg may still have something to deliver: BYE comes a moment later.
    pub drains: bool,
}

impl Why {
    /// Something went wrong: the same code for both sides.
    pub fn failed(code: u16, text: &str) -> Why {
        Why {
            web_code: code,
            net_code: code,
            text: text.to_owned(),
            tell_reason: true,
            drains: false,
        }
    }

    /// One side hung up, or cancelled.
    pub fn hung_up() -> Why {
        let text = "Request Terminated".to_owned();
        Why {
            web_code: 487,
            net_code: 480,
            text,
            tell_reason: false,
            drains: false,
        }
    }

    /// The relay is not there any more.
    pub fn relay_lost() -> Why {
        Why::failed(503, "The media relay is gone")
    }

    /// The browser's session has ended.
    pub fn browser_gone() -> Why {
        Why {
            web_code: 480,
            net_code: 480,
            text: "The browser is gone".into(),
            tell_reason: true,
            drains: false,
        }
    }

    /// Control is being stopped.
    pub fn shutting_down() -> Why {
        Why::failed(503, "The server is shutting down")
    }

    /// A script failed.
    pub fn script_failed() -> Why {
        Why {
            web_code: 503,
            net_code: 500,
            text: "script failure".into(),
            tell_reason: false,
            drains: false,
        }
    }

    /// Nobody answered in time.
    pub fn timed_out() -> Why {
        Why {
            web_code: 408,
            net_code: 480,
            text: "No answer in time".into(),
            tell_reason: true,
            drains: false,
        }
    }
}

impl Gateway {
    /// Ends a bridge. Without effect if it has ended.
    pub(super) fn end(&mut self, id: BridgeId, why: &Why, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.remove(&id) else {
            return;
        };
        self.timers.set(id, None);
        self.alarms.set(id, None);
        self.end_line(id, &bridge, why, turn);
        self.release_media(&bridge.media, turn);
        for branch in &bridge.branches {
            self.leave_seat(branch);
            self.end_branch(&bridge, branch, why, turn);
        }
        tracing::debug!(
            bridge = id.0,
            package = bridge.package,
            code = why.web_code,
            "ended: {}",
            why.text
        );
    }

    /// Ends a bridge on which nothing can happen any more.
    pub(super) fn end_if_done(&mut self, id: BridgeId, turn: &mut Turn<'_>) {
        if self.bridges.get(&id).is_some_and(Bridge::is_done) {
            if let Some(bridge) = self.bridges.get_mut(&id) {
                // Whatever had to be said was said in the last answer.
                bridge
                    .branches
                    .iter_mut()
                    .for_each(|branch| branch.over = true);
            }
            self.end(id, &Why::hung_up(), turn);
        }
    }

    /// Takes one browser's part out of a bridge, and ends the bridge with its last.
    pub(super) fn drop_branch(&mut self, id: BridgeId, at: usize, why: &Why, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        if bridge.branches.len() == 1 {
            self.end(id, why, turn);
            return;
        }
        let branch = bridge.branches.remove(at);
        self.leave_seat(&branch);
        self.tell_branch_gone(id, &branch, why, turn);
    }

    fn tell_branch_gone(&mut self, id: BridgeId, branch: &Branch, why: &Why, turn: &mut Turn<'_>) {
        // Only the parties' names are needed of the bridge; it is put back at once.
        if let Some(bridge) = self.bridges.remove(&id) {
            self.end_branch(&bridge, branch, why, turn);
            self.bridges.insert(id, bridge);
        }
    }

    fn leave_seat(&mut self, branch: &Branch) {
        if let Some(seat) = self.seats.get_mut(&branch.session)
            && seat.subsessions.remove(&branch.subsession).is_some()
        {
            self.counters.add(Counter::SubsessionsEnded);
        }
    }

    /// Whatever the peer waits for is answered, its dialog ended.
    fn end_line(&mut self, id: BridgeId, bridge: &Bridge, why: &Why, turn: &mut Turn<'_>) {
        for (client, _) in &bridge.clients {
            if self.clients.get(client) != Some(&id) {
                self.questions.left(*client, id);
            } else if let Some(heir) = self.questions.heir(*client) {
                self.clients.insert(*client, heir);
            } else {
                self.clients.remove(client);
            }
        }
        for (server, _) in &bridge.servers {
            self.servers.remove(server);
            self.answer(*server, why.net_code, turn);
        }
        self.end_subscriptions(bridge, turn);
        if let Some(dialog) = bridge.line.dialog() {
            self.dialogs.remove(&dialog);
        }
        match bridge.line {
            Line::Idle => {}
            Line::Inviting { client, .. } => {
                self.clients.remove(&client);
                turn.net.cancel(client);
            }
            Line::Invited { server, .. } => {
                self.servers.remove(&server);
                self.answer(server, why.net_code, turn);
            }
            Line::Answered { dialog } => {
                turn.net.ack(dialog);
                self.bye(dialog, &reason(why), turn);
            }
            Line::Accepted { dialog } => {
                self.farewells.insert(dialog, reason(why));
            }
            Line::Open { dialog } if why.drains => {
                self.farewells.insert(dialog, reason(why));
                self.farewell_timers.set(dialog, Some(turn.now + DRAIN_MS));
            }
            Line::Open { dialog } => self.bye(dialog, &reason(why), turn),
        }
    }

    /// The late data had their time: dialogs whose media were lost end.
    pub(super) fn say_farewells(&mut self, now: Millis, turn: &mut Turn<'_>) {
        while let Some(dialog) = self.farewell_timers.take_due(now) {
            if let Some(reason) = self.farewells.remove(&dialog) {
                self.bye(dialog, &reason, turn);
            }
        }
    }

    /// A dialog needs no farewell any more. Whether it was to get one.
    pub(super) fn forget_farewell(&mut self, dialog: DialogId) -> bool {
        self.farewell_timers.set(dialog, None);
        self.farewells.remove(&dialog).is_some()
    }

    /// Ends a dialog; `reason` is the value of a Reason header, or empty.
    pub(super) fn bye(&mut self, dialog: DialogId, reason: &str, turn: &mut Turn<'_>) {
        let mut request = OutRequest::in_dialog(Method::Bye);
        if !reason.is_empty() {
            request
                .headers
                .push(("Reason".to_owned(), reason.to_owned()));
        }
        match turn.net.request(Some(dialog), request) {
            Ok(_) => self.counters.add(Counter::SipRequestsSent),
            Err(refused) => tracing::debug!(dialog = dialog.0, ?refused, "BYE was not sent"),
        }
    }

    /// Answers a request without any content.
    pub(super) fn answer(&mut self, server: crate::sip::ServerId, code: u16, turn: &mut Turn<'_>) {
        if let Err(refused) = turn.net.respond(server, OutResponse::new(code)) {
            tracing::debug!(server = server.0, code, ?refused, "an answer was not sent");
        }
    }

    /// The browser gets an error for its unanswered opening, else a `shutdown`.
    fn end_branch(&mut self, bridge: &Bridge, branch: &Branch, why: &Why, turn: &mut Turn<'_>) {
        if branch.over {
            return;
        }
        if branch.from_browser.is_empty() {
            let mut header = Members::new();
            header.insert("action".into(), "shutdown".into());
            header.insert("initiator".into(), bridge.peer.as_str().into());
            header.insert("target".into(), bridge.user.as_str().into());
            if why.tell_reason {
                header.insert("reason".into(), why.text.as_str().into());
            }
            let mut control = Control::new(Kind::Message, branch.package(&bridge.package));
            control.subsession_id = Some(branch.subsession.clone());
            control.correlation_id = if bridge.is_open() {
                self.browsers.next_correlation(branch.session)
            } else {
                Some(branch.opening.clone())
            };
            let frame = Frame {
                control,
                header,
                payload: None,
            };
            self.browsers
                .send(branch.session, frame, turn.now, &mut self.web);
            return;
        }
        for asked in &branch.from_browser {
            let frame = refusal(&bridge.package, branch, asked, why);
            self.browsers
                .send(branch.session, frame, turn.now, &mut self.web);
        }
    }

    /// A request of a browser's, in a subsession that goes on, gets an error.
    pub(super) fn refuse_asked(
        &mut self,
        id: BridgeId,
        at: usize,
        asked: &Asked,
        why: &Why,
        turn: &mut Turn<'_>,
    ) {
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        let Some(branch) = bridge.branches.get(at) else {
            return;
        };
        let (frame, session) = (refusal(&bridge.package, branch, asked, why), branch.session);
        self.browsers.send(session, frame, turn.now, &mut self.web);
    }
}

/// The error that answers a browser's request.
fn refusal(package: &str, branch: &Branch, asked: &Asked, why: &Why) -> Frame {
    let mut header = asked.header();
    header.insert("error_code".into(), why.web_code.into());
    header.insert("reason".into(), why.text.as_str().into());
    let mut control = Control::new(Kind::Error, branch.package(package));
    control.subsession_id = Some(branch.subsession.clone());
    control.correlation_id = Some(asked.correlation.clone());
    Frame {
        control,
        header,
        payload: None,
    }
}

/// The value of a Reason header (RFC 3326), or nothing where none is due.
fn reason(why: &Why) -> String {
    if !why.tell_reason {
        return String::new();
    }
    let text: String = why
        .text
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '"' | '\\'))
        .collect();
    format!("SIP;cause={};text=\"{text}\"", why.net_code)
}
