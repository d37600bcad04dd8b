//! Changes of the handset's to an open session: it has moved, and says so by re-INVITE or UPDATE.
//!
//! A new path, or another one to connect, is told to the relay, and answered with what the browser's side
//! is, which has not changed. Everything else in a description holds for both ends: a change of that
//! is refused, and what was agreed on stays in force (RFC 3264, 8).

use link::Leg;

use super::{Made, Media, answered_setup, local_leg, offer_refused};
use crate::gateway::bridge::{BridgeId, Line};
use crate::gateway::ending::Why;
use crate::gateway::{Gateway, Turn};
use crate::sdp::{Answer, Offer, anchor_answer, role_after_offer};
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
        if !made.is_only_moved(&offer) {
            return Err(Why::failed(488, "Only where the media are can be changed"));
        }
        let before = made.handset().cloned().ok_or_else(not_now)?;
        let setup = answered_setup(&offer, carried_by);
        let role = role_after_offer(carried_by, offer.media().setup, true);
        let own = local_leg(&made.own[Leg::B.index()], carried_by, setup);
        let browser = made.browser().ok_or_else(not_now)?;
        let answer = anchor_answer(&browser, &own, &mut made.origins[Leg::B.index()])
            .map_err(|_| Why::failed(503, "The relay's leg cannot be described"))?;
        let (media, session) = (offer.media().clone(), made.session);
        made.handset_is(offer);
        let moved = media.path_text() != before.path_text() || media.target() != before.target();
        if moved {
            self.set_peer(id, (session, Leg::B), carried_by, &media, role, turn)?;
        }
        Ok(answer)
    }
}

impl Made {
    /// What the handset has said of its media last.
    fn handset(&self) -> Option<&crate::sdp::MessageMedia> {
        match (self.offered_by, &self.answer) {
            (Leg::B, _) => Some(self.offer.media()),
            (Leg::A, Some(answer)) => answer.media().ok(),
            (Leg::A, None) => None,
        }
    }

    /// Whether a new description of the handset's differs from its last one in nothing but its media's place.
    fn is_only_moved(&self, offer: &Offer) -> bool {
        match (self.offered_by, &self.answer) {
            (Leg::B, _) => self.offer.is_only_moved(offer),
            (Leg::A, Some(answer)) => answer.is_only_moved(offer),
            (Leg::A, None) => false,
        }
    }

    /// What the browser has said last, as an answer.
    fn browser(&self) -> Option<Answer> {
        match (self.offered_by, &self.answer) {
            (Leg::A, _) => Some(Answer::of(self.offer.clone())),
            (Leg::B, answer) => answer.clone(),
        }
    }

    /// What the handset has said last is this.
    fn handset_is(&mut self, offer: Offer) {
        match self.offered_by {
            Leg::B => self.offer = offer,
            Leg::A => self.answer = Some(Answer::of(offer)),
        }
    }
}
