//! A browser's upgrade request: which leg it is for, and what it is answered. RFC 6455, 4.2.

use link::Counter;

use super::Shard;
use super::connections::Carry;
use super::receive::Progress;
use crate::buffers::Span;
use crate::limits::{BLOCK_DATA_BYTES, UPGRADE_BYTES_MAX};
use crate::ring::Ring;
use crate::transport::Upgrade;

impl<R: Ring> Shard<R> {
    /// The upgrade request of a browser. It nearly always comes in one piece; if not, the pieces
    /// are put together in a block.
    pub(super) fn read_upgrade(&mut self, slot: u32, input: Span) -> Progress {
        if !self.has_room() {
            return Progress::Park;
        }
        let connection = &mut self.connections[slot];
        let fresh = input.end() - connection.at;
        let mut taken = fresh;
        if let Some(carry) = &mut connection.carry {
            taken = fresh.min(BLOCK_DATA_BYTES as u32 - carry.bytes);
            let from = Span {
                slot: input.slot,
                start: connection.at,
                bytes: taken,
            };
            let to = carry.grow(taken);
            self.memory.copy(from, to);
        }
        let whole = match connection.carry {
            Some(carry) => carry.span(),
            None => Span {
                slot: input.slot,
                start: connection.at,
                bytes: fresh,
            },
        };
        let before = whole.bytes - taken;
        let mut scanned = connection.scanned;
        let octets = self.memory.octets(whole);
        let (answer, bytes, session) = match Upgrade::read(octets, &mut scanned) {
            Upgrade::More if whole.bytes as usize > UPGRADE_BYTES_MAX => (431, 0, None),
            Upgrade::More => {
                connection.scanned = scanned;
                connection.at += taken;
                if connection.carry.is_none() {
                    let Some(block) = self.block_for_carry(slot) else {
                        // Strangers do not wait for room: they would fill it with waiting.
                        self.drain(slot, None);
                        return Progress::Gone;
                    };
                    let mut carry = Carry {
                        slot: block,
                        bytes: 0,
                    };
                    self.memory.copy(whole, carry.grow(whole.bytes));
                    self.connections[slot].carry = Some(carry);
                }
                return Progress::Used;
            }
            Upgrade::Refuse(status) => (status, 0, None),
            Upgrade::For {
                path,
                origin,
                key,
                bytes,
            } => match self.sessions.by_resource(path) {
                Some((session, leg))
                    if self.sessions[session].leg(leg).is_waiting()
                        && self.sessions[session].leg(leg).is_secure()
                            == self.connections[slot].secured.is_some() =>
                {
                    let realm = self.sessions[session].leg(leg).realm;
                    if self.settings.realms[realm as usize].allows(origin) {
                        let response = Upgrade::accept(&mut self.scratch[..], key).unwrap_or(0);
                        (101, bytes, Some((session, leg, response)))
                    } else {
                        // The leg goes on waiting for a page that may come.
                        (403, 0, None)
                    }
                }
                // Used, expired or never there: all the same to whoever asks.
                _ => (404, 0, None),
            },
        };
        let Some((session, leg, response)) = session else {
            self.metrics.add(Counter::UpgradesRefused, 1);
            let response = Upgrade::refuse(&mut self.scratch[..], answer).unwrap_or(0);
            self.write_scratch(slot, response);
            self.drain(slot, None);
            return Progress::Gone;
        };
        self.write_scratch(slot, response);
        let connection = &mut self.connections[slot];
        connection.at += (bytes as u32).saturating_sub(before);
        connection.floor = connection.at;
        let carry = connection.carry.take();
        connection.become_websocket();
        if let Some(carry) = carry {
            self.release(carry.slot);
        }
        self.leg_up(session, leg, slot);
        Progress::Again
    }
}
