//! Changes to an open session: one side has moved, and says so by re-INVITE or UPDATE, or a browser by `start`.
//!
//! A new path, or another one to connect, is told to the relay, and answered with what the other side
//! is, which has not changed. Everything else in a description holds for both ends: a change of that
//! is refused, and what was agreed on stays in force (RFC 3264, 8). A browser gets a new way in, as after a loss: it
//! may be another one, which has taken the session along.

use link::Leg;

use super::{Made, Media, answered_setup, local_leg, offer_refused, setup_of};
use crate::gateway::bridge::{Asked, BridgeId, Line};
use crate::gateway::ending::Why;
use crate::gateway::{Gateway, Turn};
use crate::jsonrtc::{Control, Frame, Kind, Members, MessageState};
use crate::sdp::{Answer, MessageMedia, Offer, anchor_answer, role_after_offer};
use crate::sip::{OutResponse, ServerId};

impl Gateway {
    /// A re-INVITE or UPDATE of the handset's with a description that is not the one it sent last: a refresh
    /// does not come here.
    pub(in crate::gateway) fn change_asked(
        &mut self,
        id: BridgeId,
        server: ServerId,
        description: &[u8],
        turn: &mut Turn<'_>,
    ) {
        let response = match self.changed(id, description, turn) {
            Ok(answer) => OutResponse {
                content: Some(("application/sdp".to_owned(), answer)),
                ..OutResponse::new(200)
            },
            Err(why) => OutResponse::new(why.net_code),
        };
        let code = response.code;
        if let Err(refused) = turn.net.respond(server, response) {
            tracing::debug!(bridge = id.0, code, ?refused, "an answer was not sent");
        }
    }

    /// A `start` of the browser's in the open subsession, with a description. It is answered when its new way in is there,
    /// or (`Err`) not to be.
    pub(in crate::gateway) fn browser_moves(
        &mut self,
        id: BridgeId,
        description: &str,
        turn: &mut Turn<'_>,
    ) -> Result<(), Why> {
        let not_now = || Why::failed(488, "The session cannot be changed");
        let bridge = self.bridges.get_mut(&id).ok_or_else(not_now)?;
        let (Line::Open { .. }, Media::Made(made)) = (bridge.line, &mut bridge.media) else {
            return Err(not_now());
        };
        let carried_by = made.configs.transport(Leg::A);
        let offer = Offer::read(description.as_bytes(), carried_by)
            .map_err(|refusal| offer_refused(&refusal))?;
        let before = made.moved_to(Leg::A, &offer)?;
        let (media, session) = (offer.media().clone(), made.session);
        made.has_said(Leg::A, offer);
        if media.path_text() != before.path_text() {
            let role = role_after_offer(carried_by, media.setup, true);
            self.set_peer(id, (session, Leg::A), carried_by, &media, role, turn)?;
        }
        self.rebind(id, Leg::A, turn);
        Ok(())
    }

    /// The browser that has moved is told its way in. Whether one was waiting for that.
    pub(super) fn browser_moved(&mut self, id: BridgeId, turn: &mut Turn<'_>) -> bool {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return false;
        };
        let mut branches = bridge.branches.iter_mut().enumerate();
        let waits = branches.find_map(|(at, branch)| {
            let is_start = |asked: &Asked| asked.action == "start";
            let place = branch.from_browser.iter().position(is_start)?;
            Some((at, branch.from_browser.remove(place)))
        });
        let (Some((at, asked)), Media::Made(made)) = (waits, &mut bridge.media) else {
            return false;
        };
        let Some(sdp) = made.answer_to_browser() else {
            let why = Why::failed(503, "The relay's leg cannot be described");
            self.refuse_asked(id, at, &asked, &why, turn);
            return true;
        };
        let branch = &bridge.branches[at];
        let mut control = Control::new(Kind::Response, branch.package(&bridge.package));
        control.subsession_id = Some(branch.subsession.clone());
        control.correlation_id = Some(asked.correlation.clone());
        control.message_state = Some(MessageState::Final);
        let mut header = asked.header();
        header.insert("response_code".into(), 200.into());
        let sdp = String::from_utf8_lossy(&sdp).into_owned();
        let frame = Frame {
            control,
            header,
            payload: Some(Members::from_iter([("sdp".to_owned(), sdp.into())])),
        };
        let session = branch.session;
        self.browsers.send(session, frame, turn.now, &mut self.web);
        true
    }

    /// What the change is answered with. The relay learns of it.
    fn changed(
        &mut self,
        id: BridgeId,
        description: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Vec<u8>, Why> {
        let not_now = || Why::failed(488, "The session cannot be changed");
        let bridge = self.bridges.get_mut(&id).ok_or_else(not_now)?;
        let (Line::Open { .. }, Media::Made(made)) = (bridge.line, &mut bridge.media) else {
            return Err(not_now());
        };
        let carried_by = made.configs.transport(Leg::B);
        let offer =
            Offer::read(description, carried_by).map_err(|refusal| offer_refused(&refusal))?;
        let before = made.moved_to(Leg::B, &offer)?;
        let setup = answered_setup(&offer, carried_by);
        let role = role_after_offer(carried_by, offer.media().setup, true);
        let own = local_leg(&made.own[Leg::B.index()], carried_by, setup);
        let browser = made.answer_of(Leg::A).ok_or_else(not_now)?;
        let answer = anchor_answer(&browser, &own, &mut made.origins[Leg::B.index()])
            .map_err(|_| Why::failed(503, "The relay's leg cannot be described"))?;
        let (media, session) = (offer.media().clone(), made.session);
        made.has_said(Leg::B, offer);
        let moved = media.path_text() != before.path_text() || media.target() != before.target();
        if moved {
            self.set_peer(id, (session, Leg::B), carried_by, &media, role, turn)?;
        }
        Ok(answer)
    }
}

impl Made {
    /// Checks that a new description of this side's differs from its last one in nothing but its media's place. What it has
    /// said of its media last.
    fn moved_to(&self, leg: Leg, offer: &Offer) -> Result<MessageMedia, Why> {
        let refused = || Why::failed(488, "Only where the media are can be changed");
        let (moved, media) = match &self.answer {
            _ if self.offered_by == leg => (self.offer.is_only_moved(offer), self.offer.media()),
            Some(answer) => {
                let media = answer.media().map_err(|_| refused())?;
                (answer.is_only_moved(offer), media)
            }
            None => return Err(refused()),
        };
        moved.then(|| media.clone()).ok_or_else(refused)
    }

    /// What this side has said last, as an answer.
    fn answer_of(&self, leg: Leg) -> Option<Answer> {
        match self.offered_by == leg {
            true => Some(Answer::of(self.offer.clone())),
            false => self.answer.clone(),
        }
    }

    /// What this side has said last is this.
    fn has_said(&mut self, leg: Leg, offer: Offer) {
        match self.offered_by == leg {
            true => self.offer = offer,
            false => self.answer = Some(Answer::of(offer)),
        }
    }

    /// What the handset is, as the answer to a browser that has asked anew.
    fn answer_to_browser(&mut self) -> Option<Vec<u8>> {
        let carried_by = self.configs.transport(Leg::A);
        let asked = self.answer_of(Leg::A)?.media().ok()?.setup;
        let setup = setup_of(role_after_offer(carried_by, asked, true));
        let handset = self.answer_of(Leg::B)?;
        let own = local_leg(&self.own[Leg::A.index()], carried_by, setup);
        anchor_answer(&handset, &own, &mut self.origins[Leg::A.index()]).ok()
    }
}
