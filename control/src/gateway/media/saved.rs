//! What of a bridge's media outlives the process.

use link::{Leg, SessionId};
use serde::{Deserialize, Serialize};

use super::super::Gateway;
use super::{Made, Media, OwnEnd};
use crate::sdp::{Answer, Offer, Origin, setup_to_offer};

/// A session of the relay, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedMedia {
    session: u64,
    offer: String,
    answer: Option<String>,
    offered_by_browser: bool,
    own: [OwnEnd; 2],
    /// The names of the session-configs of leg A and leg B.
    legs: [String; 2],
    origins: [(u64, u64); 2],
}

impl SavedMedia {
    /// Which session.
    pub fn session(&self) -> SessionId {
        SessionId(self.session)
    }
}

impl Media {
    /// As it is to be kept; `None`: there is nothing yet.
    pub fn saved(&self) -> Option<SavedMedia> {
        let Media::Made(made) = self else { return None };
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        Some(SavedMedia {
            session: made.session.0,
            offer: text(made.offer.text()),
            answer: made.answer.as_ref().map(|answer| text(answer.text())),
            offered_by_browser: made.offered_by == Leg::A,
            own: made.own.clone(),
            legs: made.configs.names(),
            origins: [0, 1].map(|leg: usize| made.origins[leg].parts()),
        })
    }
}

impl Gateway {
    /// As it was; `None`: what was kept does not fit the legs as they are configured now.
    pub(in crate::gateway) fn restored_media(&self, saved: &SavedMedia) -> Option<Made> {
        let [a, b] = &saved.legs;
        let configs = self.session_configs_named([a, b])?;
        let carried_by = |leg: Leg| configs.transport(leg);
        let offered_by = if saved.offered_by_browser {
            Leg::A
        } else {
            Leg::B
        };
        let to = offered_by.other();
        let offer = Offer::read(saved.offer.as_bytes(), carried_by(offered_by)).ok()?;
        let answer = match &saved.answer {
            Some(text) => Some(Answer::read(text.as_bytes(), &offer, carried_by(to)).ok()?),
            None => None,
        };
        let offered_setup = setup_to_offer(carried_by(to), true);
        Some(Made {
            session: saved.session(),
            offer,
            offered_by,
            own: saved.own.clone(),
            origins: saved
                .origins
                .map(|(id, version)| Origin::restored(id, version)),
            offered_setup,
            answer,
            rebinding: false,
            configs,
        })
    }
}
