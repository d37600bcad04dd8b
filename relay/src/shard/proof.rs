//! Whether a TLS peer is the one that signalling has told. RFC 4975, 14.4 and 5.4; RFC 4572, 5.
//!
//! A fingerprint decides where there is one. Without it, whoever we connect to has shown a
//! certificate for its name by an authority that we trust, or its handshake has failed; whoever
//! connects to us need not show one, unless control has said so.

use link::{Cause, Fingerprint, Leg, PeerProof, Transport};

use super::Shard;
use crate::ring::Ring;

impl<R: Ring> Shard<R> {
    /// Whether the peer on a connection is the one that was told for this leg.
    pub(super) fn is_proven(&self, slot: u32, session: u32, leg: Leg) -> bool {
        let state = self.sessions[session].leg(leg);
        let Some(secured) = &self.connections[slot].secured else {
            return true;
        };
        if state.transport != Transport::Tls {
            return true;
        }
        let peer = secured.tls.peer();
        match state.proof.fingerprint {
            Some(Fingerprint::Sha1(hash)) => return peer.is_some_and(|peer| peer.sha1 == hash),
            Some(Fingerprint::Sha256(hash)) => return peer.is_some_and(|peer| peer.sha256 == hash),
            None if secured.is_ours => return true,
            None => {}
        }
        let is_asked = state.proof.name.is_some() || state.proof.asked == PeerProof::Always;
        let vouched = || {
            let name = self.sessions.name_of_peer(session, leg)?;
            Some(self.identity(state.realm)?.vouches_for(peer?, &name))
        };
        !is_asked || vouched().unwrap_or(false)
    }

    /// A leg's peer is not who it should be: its session ends at once.
    pub(super) fn unproven(&mut self, session: u32, leg: Leg) {
        self.leg_down(session, leg, Cause::PeerUnproven);
    }

    /// Signalling has told who the peer is. Whoever is here already must be that.
    pub(super) fn check_proof(&mut self, session: u32, leg: Leg) {
        let connection = self.sessions[session].leg(leg).connection();
        if connection.is_some_and(|slot| !self.is_proven(slot, session, leg)) {
            self.unproven(session, leg);
        }
    }
}
