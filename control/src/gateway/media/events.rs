//! What the relay tells about sessions: made, refused, a leg lost, closed.

use link::{Cause, Command, CreatedLeg, Event, Refusal, SessionId};

use super::super::bridge::{BridgeId, Line};
use super::super::ending::Why;
use super::super::{Gateway, Turn};
use super::fingerprint::written_fingerprint;
use super::{Made, Media, OwnEnd};
use crate::metrics::Counter;
use crate::sdp::{Origin, setup_to_offer};

impl Gateway {
    /// A shard of the relay has something to tell.
    pub(in crate::gateway) fn media_event(
        &mut self,
        shard: usize,
        event: &Event<'_>,
        turn: &mut Turn<'_>,
    ) {
        match *event {
            Event::Created { session, legs } => {
                let Some(entry) = self.relay.entry(session) else {
                    return;
                };
                self.relay.made(session);
                if let Some(id) = entry.bridge {
                    self.media_made(id, session, legs.map(own_end), turn);
                }
            }
            Event::Refused { session, reason } => self.media_refused(session, reason, turn),
            Event::LegUp { session, leg, .. } => {
                tracing::debug!(session = session.0, ?leg, "a leg is up");
            }
            Event::LegDown { session, cause, .. } => self.media_down(session, cause, turn),
            Event::LegExpired { session, .. } => self.media_down(session, Cause::Expired, turn),
            Event::LegDetached { session, leg, .. } => {
                self.counters.add(Counter::LegsLost);
                if let Some(id) = self.relay.entry(session).and_then(|entry| entry.bridge) {
                    self.rebind(id, leg, turn);
                }
            }
            Event::Rebound { session, leg, side } => {
                if let Some(id) = self.relay.entry(session).and_then(|entry| entry.bridge) {
                    self.media_rebound(id, leg, own_end(side), turn);
                }
            }
            Event::Reloaded { is_complete, .. } => {
                tracing::info!(is_complete, "the relay has read its certificates anew");
            }
            Event::Closed {
                session,
                cause,
                counts,
            } => {
                tracing::debug!(
                    session = session.0,
                    ?cause,
                    ?counts,
                    "the relay closed a session"
                );
                self.media_down(session, cause, turn);
                self.relay.gone(session);
            }
            Event::Listed {
                session, states, ..
            } => {
                if self.relay.entry(session).is_none() {
                    self.counters.add(Counter::RelayStrays);
                    self.command(shard, Command::Delete { session }, turn);
                } else {
                    self.relay_has(shard, session, states, turn);
                }
            }
            Event::ListEnd { .. } => {
                tracing::info!(shard, "the relay's sessions are known");
                if self.relay.listed() {
                    self.relay_reconciled(turn);
                }
            }
        }
    }

    fn media_made(
        &mut self,
        id: BridgeId,
        session: SessionId,
        own: [OwnEnd; 2],
        turn: &mut Turn<'_>,
    ) {
        let numbers = [self.random.number() >> 2, self.random.number() >> 2];
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let making = match std::mem::replace(&mut bridge.media, Media::None) {
            Media::Making(making) if making.session == session => making,
            // Said again; it was made before.
            other => return bridge.media = other,
        };
        let to = making.offered_by.other();
        bridge.media = Media::Made(Box::new(Made {
            session,
            offered_setup: setup_to_offer(making.configs.transport(to), true),
            configs: making.configs,
            offer: making.offer,
            offered_by: making.offered_by,
            own,
            origins: numbers.map(Origin::new),
            answer: None,
            rebinding: false,
        }));
        let orders = std::mem::take(&mut bridge.waiting).into();
        let rings = matches!(bridge.line, Line::Invited { .. });
        if let Some(bridge) = self.bridges.get(&id).filter(|_| rings) {
            let patience = self.patience(bridge);
            self.timers.set(id, Some(turn.now + patience));
        }
        self.carry_out_all(id, orders, turn);
    }

    fn media_refused(&mut self, session: SessionId, reason: Refusal, turn: &mut Turn<'_>) {
        let Some(entry) = self.relay.entry(session) else {
            return;
        };
        if reason == Refusal::NotDetached {
            // Its browser is there after all, or will be told that the session is over.
            return self.media_not_rebound(session, turn);
        }
        let advice = match reason {
            Refusal::CertificateMissing => {
                "give the relay a certificate, or say `transport = \"ws\"` in [legs.browser]"
            }
            _ => "the relay's own counters say more",
        };
        tracing::warn!(
            session = session.0,
            ?reason,
            "the relay refused a command: {advice}"
        );
        self.counters.add(Counter::RelaySessionsRefused);
        if !entry.made || reason == Refusal::SessionUnknown {
            self.relay.gone(session);
        }
        let Some(id) = entry.bridge else { return };
        let why = match reason {
            Refusal::PathTooLong | Refusal::PathMalformed | Refusal::ConnectImpossible => {
                Why::failed(488, "The relay does not take the path")
            }
            Refusal::NoPorts
            | Refusal::NoSessions
            | Refusal::NoMemory
            | Refusal::TransportUnknown
            | Refusal::RealmUnknown
            | Refusal::CertificateMissing
            | Refusal::NotDetached
            | Refusal::Draining
            | Refusal::SessionUnknown => Why::failed(503, "The media relay refused"),
        };
        self.end(id, &why, turn);
    }

    /// A leg is lost, and with it the bridge.
    fn media_down(&mut self, session: SessionId, cause: Cause, turn: &mut Turn<'_>) {
        let Some(id) = self.relay.entry(session).and_then(|entry| entry.bridge) else {
            return;
        };
        let why = Why {
            // A leg that nobody came to leaves nothing to be delivered.
            drains: cause != Cause::Expired,
            ..leg_lost(cause)
        };
        self.end(id, &why, turn);
    }
}

fn own_end(leg: CreatedLeg<'_>) -> OwnEnd {
    OwnEnd {
        path: String::from_utf8_lossy(leg.path).into_owned(),
        resource: (!leg.resource.is_empty())
            .then(|| String::from_utf8_lossy(leg.resource).into_owned()),
        fingerprint: leg.fingerprint.map(|hash| written_fingerprint(&hash)),
    }
}

fn leg_lost(cause: Cause) -> Why {
    match cause {
        Cause::PeerClosed => Why::failed(480, "The media connection was closed"),
        Cause::Reset => Why::failed(503, "The media connection was lost"),
        Cause::ConnectFailed => Why::failed(503, "The media connection could not be made"),
        Cause::ProtocolError => Why::failed(503, "The media connection broke its protocol"),
        Cause::Expired => Why::failed(408, "The media connection was not made in time"),
        Cause::Stalled => Why::failed(503, "The media connection stalled"),
        Cause::Idle => Why::failed(408, "The media connection was idle for too long"),
        Cause::HandshakeFailed => Why::failed(503, "The media connection could not be secured"),
        Cause::PeerUnproven => Why::failed(403, "The peer could not prove who it is"),
        Cause::TooLarge => Why::failed(513, "A message was too large"),
        Cause::NoMemory => Why::failed(503, "The media relay is short of memory"),
        Cause::OtherLeg | Cause::Deleted => Why::failed(503, "The media session ended"),
        Cause::Stopping => Why::failed(503, "The media relay is stopping"),
    }
}
