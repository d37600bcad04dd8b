//! Whether a TLS peer is the one that signalling has told. RFC 4975, 14.4 and 5.4; RFC 4572, 5.
//!
//! A fingerprint decides where there is one. Without it, whoever we connect to has shown a
//! certificate for its name by an authority that we trust, or its handshake has failed (or it was
//! made for a fingerprint that has been withdrawn since: then it is asked for the same); whoever
//! connects to us need not show one, unless control has said so.

use link::{Cause, Fingerprint, Leg, PeerProof, Transport};

use super::Shard;
use crate::ring::Ring;

impl<R: Ring> Shard<R> {
    /// Whether the peer on a connection is the one that was told for this leg. What was proven once
    /// stays so as long as the connection lives and signalling does not say otherwise: neither time
    /// nor certificates read anew end a session that was good. Of the peer's certificates only
    /// fingerprints are kept from then on.
    pub(super) fn is_proven(&mut self, slot: u32, session: u32, leg: Leg) -> bool {
        let state = self.sessions[session].leg(leg);
        let (proof, realm) = (state.proof, state.realm);
        if state.transport != Transport::Tls {
            return true;
        }
        let name = self.sessions.name_of_peer(session, leg);
        let identity = self.identity(realm);
        // What was proven of the connection to another leg is not proven to this one, but for names.
        let is_there = self.sessions[session].leg(leg).connection() == Some(slot);
        let is_first = is_there || self.connections[slot].legs == 0;
        let Some(secured) = &mut self.connections[slot].secured else {
            return true;
        };
        let is_asked = secured.is_ours || proof.name.is_some() || proof.asked == PeerProof::Always;
        let peer = secured.tls.peer();
        let is_proven = match proof.fingerprint {
            Some(Fingerprint::Sha1(hash)) => peer.is_some_and(|peer| peer.sha1 == hash),
            Some(Fingerprint::Sha256(hash)) => peer.is_some_and(|peer| peer.sha256 == hash),
            None if proof.is_compared => true,
            None if is_first && secured.is_ours && secured.vouched_for.is_some() => true,
            None => {
                if secured.vouched_for.is_none() {
                    // Looked at even if nobody asks, for somebody may ask later.
                    secured.vouched_for = name.clone().filter(|name| {
                        let vouched = identity.zip(peer);
                        vouched.is_some_and(|(identity, peer)| identity.vouches_for(peer, name))
                    });
                }
                !is_asked || name.is_some() && secured.vouched_for == name
            }
        };
        if is_proven {
            secured.tls.peer_is_proven();
            let proof = &mut self.sessions[session].leg_mut(leg).proof;
            proof.is_compared |= proof.fingerprint.is_some();
        }
        is_proven
    }

    /// A leg's peer is not who it should be: its session ends at once.
    pub(super) fn unproven(&mut self, session: u32, leg: Leg) {
        self.leg_down(session, leg, Cause::PeerUnproven);
    }

    /// Signalling has told who the peer is. Whoever is here already must be that.
    pub(super) fn check_proof(&mut self, session: u32, leg: Leg) {
        if let Some(slot) = self.sessions[session].leg(leg).connection()
            && !self.is_proven(slot, session, leg)
        {
            self.unproven(session, leg);
        }
    }
}
