//! A browser whose media connection is lost gets a new way in, and the chat goes on.
//!
//! It starts with the relay, which lost the browser (`LegDetached`), or with the browser, which lost the
//! relay and says so by `rebind`. It ends with a `rebind` to the browser that has the new description. The
//! frame is numbered and kept like any other, so a browser that is away altogether gets it when it resumes.

use link::{Command, Leg, SessionId};

use super::super::bridge::{Branch, Bridge, BridgeId};
use super::super::ending::Why;
use super::super::{Gateway, Turn};
use super::{Made, Media, OwnEnd};
use crate::jsonrtc::{Control, Frame, Kind, Members};
use crate::metrics::Counter;

/// The action of the frames by which a browser's media connection is replaced.
pub const REBIND: &str = "rebind";

impl Gateway {
    /// Asks the relay for a new way in for the browser. Without effect while one is being made, or where
    /// there is none to be replaced.
    pub(in crate::gateway) fn rebind(&mut self, id: BridgeId, leg: Leg, turn: &mut Turn<'_>) {
        // Only browsers can be told.
        let Some(made) = self.made_mut(id).filter(|_| leg == Leg::A) else {
            return;
        };
        if std::mem::replace(&mut made.rebinding, true) {
            return;
        }
        let session = made.session;
        let command = Command::Rebind {
            session,
            leg,
            bind_ms: 0,
        };
        self.command_to(session, command, turn);
    }

    /// The new way in is there: the browser is told.
    pub(super) fn media_rebound(
        &mut self,
        id: BridgeId,
        leg: Leg,
        own: OwnEnd,
        turn: &mut Turn<'_>,
    ) {
        let Some(made) = self.made_mut(id) else {
            return;
        };
        made.rebinding = false;
        made.own[leg.index()] = own;
        self.counters.add(Counter::LegsRebound);
        self.tell_way_in(id, turn);
    }

    /// The browser is told where to come: in answer to its `start`, if one waits, or by a `rebind`.
    fn tell_way_in(&mut self, id: BridgeId, turn: &mut Turn<'_>) {
        if self.browser_moved(id, turn) {
            return;
        }
        let Some(made) = self.made_mut(id) else {
            return;
        };
        let Ok(Some(sdp)) = made.described(Leg::A) else {
            let why = Why::failed(503, "The relay's leg cannot be described");
            return self.end(id, &why, turn);
        };
        let sdp = String::from_utf8_lossy(&sdp).into_owned();
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        for branch in bridge.branches.iter().filter(|branch| !branch.over) {
            let mut frame = rebind_frame(bridge, branch, &sdp);
            frame.control.subsession_id = Some(branch.subsession.clone());
            frame.control.correlation_id = self.browsers.next_correlation(branch.session);
            let (session, now) = (branch.session, turn.now);
            self.browsers.send(session, frame, now, &mut self.web);
        }
    }

    /// The relay has nothing to replace: nobody has come by the way in that there is, so it is good for another attempt.
    pub(super) fn media_not_rebound(&mut self, session: SessionId, turn: &mut Turn<'_>) {
        let Some(id) = self.relay.entry(session).and_then(|entry| entry.bridge) else {
            return;
        };
        if let Some(made) = self.made_mut(id) {
            made.rebinding = false;
        }
        if self.bridges.get(&id).is_some_and(Bridge::is_open) {
            self.tell_way_in(id, turn);
        }
    }

    fn made_mut(&mut self, id: BridgeId) -> Option<&mut Made> {
        match &mut self.bridges.get_mut(&id)?.media {
            Media::Made(made) => Some(made),
            Media::None | Media::Making(_) => None,
        }
    }
}

fn rebind_frame(bridge: &Bridge, branch: &Branch, sdp: &str) -> Frame {
    let mut header = Members::new();
    header.insert("action".into(), REBIND.into());
    header.insert("initiator".into(), bridge.peer.as_str().into());
    header.insert("target".into(), bridge.user.as_str().into());
    let mut payload = Members::new();
    payload.insert("sdp".into(), sdp.into());
    Frame {
        control: Control::new(Kind::Message, branch.package(&bridge.package)),
        header,
        payload: Some(payload),
    }
}
