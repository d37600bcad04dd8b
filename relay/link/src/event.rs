//! What a shard of the relay tells control.
//!
//! Events of one session come in the order in which they happened. `Closed` is the last that happens
//! to it; a command that crossed it on its way is still answered, by `Refused`.

use crate::record::{Decoder, Encoder, Invalid, Leg, Record, SessionId, TooLong};
use std::net::SocketAddr;

/// Longest own URI of a leg, in bytes. Two of them and two resources must fit in one record.
pub const OWN_PATH_BYTES_MAX: usize = 512;

/// Longest WebSocket resource path of a leg, in bytes.
pub const RESOURCE_BYTES_MAX: usize = 256;

const _: () = assert!(
    64 + 2 * (OWN_PATH_BYTES_MAX + RESOURCE_BYTES_MAX) <= crate::RECORD_BYTES,
    "both legs of a session fit in one record"
);

/// The first byte after an event's length. Numbers from 0x80 are events.
mod kind {
    pub(super) const CREATED: u8 = 0x81;
    pub(super) const REFUSED: u8 = 0x82;
    pub(super) const LEG_UP: u8 = 0x83;
    pub(super) const LEG_DOWN: u8 = 0x84;
    pub(super) const CLOSED: u8 = 0x85;
    pub(super) const LISTED: u8 = 0x86;
    pub(super) const LIST_END: u8 = 0x87;
    pub(super) const LEG_DETACHED: u8 = 0x88;
    pub(super) const LEG_EXPIRED: u8 = 0x89;
    pub(super) const REBOUND: u8 = 0x8a;
    pub(super) const RELOADED: u8 = 0x8b;
}

/// The shape of each event as the layout hash sees it: change it together with the codec.
pub(crate) const SHAPE: &str = "created:session,(path,resource,sha256?)*2;refused:session,refusal12;\
     leg_up:session,leg,address;leg_down:session,leg,cause14;closed:session,cause14,u64*7;\
     listed:session,state4*2,(path,resource,sha256?)*2;list_end:u64;leg_detached:session,leg,cause14,u32;\
     leg_expired:session,leg;rebound:session,leg,path,resource,sha256?;reloaded:u64,bool;";

/// Our side of a leg: what control writes into the session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CreatedLeg<'a> {
    /// Our own MSRP URI, at most 512 bytes.
    pub path: &'a [u8],
    /// The WebSocket resource path, at most 256 bytes; empty for TCP and TLS.
    pub resource: &'a [u8],
    /// The SHA-256 hash of the certificate that we show on it, for `a=fingerprint`; `None`: it has no TLS.
    pub fingerprint: Option<[u8; 32]>,
}

/// How far a leg has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegState {
    /// Nobody is connected yet.
    Waiting,
    /// A peer is connected and bound.
    Up,
    /// The peer is gone.
    Down,
    /// The browser is lost and may come back.
    Detached,
}

impl LegState {
    const ALL: [LegState; 4] = [
        LegState::Waiting,
        LegState::Up,
        LegState::Down,
        LegState::Detached,
    ];
}

/// Why a command was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The shard's slice of the port range is used up.
    NoPorts,
    /// The shard's session table is full.
    NoSessions,
    /// A pool of the shard is dry: buffers, path bytes, connections, timers.
    NoMemory,
    /// This relay does not serve this transport.
    TransportUnknown,
    /// The relay takes no new sessions.
    Draining,
    /// The peer's path is over a limit of the relay.
    PathTooLong,
    /// The peer's path is no list of MSRP URIs.
    PathMalformed,
    /// The leg can't connect actively: its transport is WebSocket, or it is bound already.
    ConnectImpossible,
    /// The shard has no session of this id.
    SessionUnknown,
    /// The relay's configuration has no realm of this name.
    RealmUnknown,
    /// The realm has no certificate, and the leg's transport needs one.
    CertificateMissing,
    /// The leg is not detached, and so needs no new way in.
    NotDetached,
}

impl Refusal {
    const ALL: [Refusal; 12] = [
        Refusal::NoPorts,
        Refusal::NoSessions,
        Refusal::NoMemory,
        Refusal::TransportUnknown,
        Refusal::Draining,
        Refusal::PathTooLong,
        Refusal::PathMalformed,
        Refusal::ConnectImpossible,
        Refusal::SessionUnknown,
        Refusal::RealmUnknown,
        Refusal::CertificateMissing,
        Refusal::NotDetached,
    ];
}

/// Why a leg or a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The peer closed its connection in order.
    PeerClosed,
    /// The connection was reset or failed underneath.
    Reset,
    /// The relay could not connect to the peer.
    ConnectFailed,
    /// The peer broke MSRP, WebSocket or TLS beyond repair.
    ProtocolError,
    /// Nobody bound the leg in time.
    Expired,
    /// The peer took no octet for too long while some waited for it.
    Stalled,
    /// The peer sent more than a limit allows.
    TooLarge,
    /// A pool of the shard was dry.
    NoMemory,
    /// The session's other leg ended.
    OtherLeg,
    /// Control deleted the session.
    Deleted,
    /// The relay is ending.
    Stopping,
    /// The peer has said nothing for longer than its leg may be idle.
    Idle,
    /// TLS could not be agreed on.
    HandshakeFailed,
    /// The peer's certificate has another fingerprint, or does not cover the name.
    PeerUnproven,
}

impl Cause {
    const ALL: [Cause; 14] = [
        Cause::PeerClosed,
        Cause::Reset,
        Cause::ConnectFailed,
        Cause::ProtocolError,
        Cause::Expired,
        Cause::Stalled,
        Cause::TooLarge,
        Cause::NoMemory,
        Cause::OtherLeg,
        Cause::Deleted,
        Cause::Stopping,
        Cause::Idle,
        Cause::HandshakeFailed,
        Cause::PeerUnproven,
    ];
}

/// What went through a session in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionCounts {
    /// SEND chunks forwarded from leg A to leg B.
    pub messages_a_to_b: u64,
    /// SEND chunks forwarded from leg B to leg A.
    pub messages_b_to_a: u64,
    /// Body octets forwarded from leg A to leg B.
    pub octets_a_to_b: u64,
    /// Body octets forwarded from leg B to leg A.
    pub octets_b_to_a: u64,
    /// Responses forwarded, both ways.
    pub responses: u64,
    /// REPORTs forwarded, both ways.
    pub reports: u64,
    /// Frames the relay refused, both ways.
    pub refused: u64,
}

/// Relay to control: one record in a shard's event queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The session exists and its listeners are open.
    Created {
        /// Which session.
        session: SessionId,
        /// Our side of leg A and of leg B.
        legs: [CreatedLeg<'a>; 2],
    },
    /// A command was not carried out.
    Refused {
        /// The session the command was about.
        session: SessionId,
        /// Why.
        reason: Refusal,
    },
    /// A peer is connected and bound.
    LegUp {
        /// Of which session.
        session: SessionId,
        /// Which leg.
        leg: Leg,
        /// The peer's address.
        peer: SocketAddr,
    },
    /// A leg failed: it ended before the session did. Said once, of the leg that failed and not of the
    /// other, which the session's end takes along.
    LegDown {
        /// Of which session.
        session: SessionId,
        /// Which leg.
        leg: Leg,
        /// Why.
        cause: Cause,
    },
    /// The session is gone. Nothing more happens to it: only commands that crossed this are answered.
    Closed {
        /// Which session.
        session: SessionId,
        /// Why.
        cause: Cause,
        /// What went through it.
        counts: SessionCounts,
    },
    /// A session that exists; the answer to `List` has one for each.
    Listed {
        /// Which session.
        session: SessionId,
        /// How far leg A and leg B have come.
        states: [LegState; 2],
        /// Our side of leg A and of leg B, as in `Created`.
        legs: [CreatedLeg<'a>; 2],
    },
    /// All sessions were listed.
    ListEnd {
        /// The token of the `List`.
        token: u64,
    },
    /// A WebSocket leg is lost, and its browser may come back: tell it how, by `Rebind`.
    LegDetached {
        /// Of which session.
        session: SessionId,
        /// Which leg.
        leg: Leg,
        /// How it was lost.
        cause: Cause,
        /// So many milliseconds it waits; then it is down.
        grace_ms: u32,
    },
    /// Nobody has bound a leg in time. The session ends.
    LegExpired {
        /// Of which session.
        session: SessionId,
        /// Which leg.
        leg: Leg,
    },
    /// A detached leg has a new way in; the answer to `Rebind`.
    Rebound {
        /// Of which session.
        session: SessionId,
        /// Which leg.
        leg: Leg,
        /// Our side of it from now on.
        side: CreatedLeg<'a>,
    },
    /// Certificates were read anew; the answer to `Reload`.
    Reloaded {
        /// The token of the `Reload`.
        token: u64,
        /// Whether all could be used. If not, those that could not stay as they were, and the relay's
        /// log says why.
        is_complete: bool,
    },
}

impl<'a> Event<'a> {
    /// Writes the event into `record`.
    ///
    /// # Errors
    /// A path or a resource over its limit ([`CreatedLeg`]); `record` then decodes to nothing.
    pub fn encode(&self, record: &mut Record) -> Result<(), TooLong> {
        let encoder = match *self {
            Event::Created { session, legs } => {
                let mut fields = Encoder::new(record, kind::CREATED);
                fields.u64(session.0);
                encode_legs(&mut fields, legs);
                fields
            }
            Event::Refused { session, reason } => {
                let mut fields = Encoder::new(record, kind::REFUSED);
                fields.u64(session.0);
                fields.u8(reason as u8);
                fields
            }
            Event::LegUp { session, leg, peer } => {
                let mut fields = Encoder::new(record, kind::LEG_UP);
                fields.u64(session.0);
                fields.leg(leg);
                fields.address(Some(peer));
                fields
            }
            Event::LegDown {
                session,
                leg,
                cause,
            } => {
                let mut fields = Encoder::new(record, kind::LEG_DOWN);
                fields.u64(session.0);
                fields.leg(leg);
                fields.u8(cause as u8);
                fields
            }
            Event::Closed {
                session,
                cause,
                counts,
            } => {
                let mut fields = Encoder::new(record, kind::CLOSED);
                fields.u64(session.0);
                fields.u8(cause as u8);
                encode_counts(&mut fields, counts);
                fields
            }
            Event::Listed {
                session,
                states,
                legs,
            } => {
                let mut fields = Encoder::new(record, kind::LISTED);
                fields.u64(session.0);
                states.into_iter().for_each(|state| fields.u8(state as u8));
                encode_legs(&mut fields, legs);
                fields
            }
            Event::ListEnd { token } => {
                let mut fields = Encoder::new(record, kind::LIST_END);
                fields.u64(token);
                fields
            }
            Event::LegDetached {
                session,
                leg,
                cause,
                grace_ms,
            } => {
                let mut fields = Encoder::new(record, kind::LEG_DETACHED);
                fields.u64(session.0);
                fields.leg(leg);
                fields.u8(cause as u8);
                fields.u32(grace_ms);
                fields
            }
            Event::LegExpired { session, leg } => {
                let mut fields = Encoder::new(record, kind::LEG_EXPIRED);
                fields.u64(session.0);
                fields.leg(leg);
                fields
            }
            Event::Rebound { session, leg, side } => {
                let mut fields = Encoder::new(record, kind::REBOUND);
                fields.u64(session.0);
                fields.leg(leg);
                encode_side(&mut fields, side);
                fields
            }
            Event::Reloaded { token, is_complete } => {
                let mut fields = Encoder::new(record, kind::RELOADED);
                fields.u64(token);
                fields.u8(is_complete.into());
                fields
            }
        };
        encoder.finish()
    }

    /// Reads the event in `record`.
    ///
    /// # Errors
    /// The bytes are no event: the other process broke the protocol, see [`Invalid`].
    pub fn decode(record: &'a Record) -> Result<Event<'a>, Invalid> {
        let (kind, mut fields) = Decoder::new(record)?;
        let event = match kind {
            kind::CREATED => Event::Created {
                session: fields.session()?,
                legs: decode_legs(&mut fields)?,
            },
            kind::REFUSED => Event::Refused {
                session: fields.session()?,
                reason: one_of(&Refusal::ALL, fields.u8()?, "refusal")?,
            },
            kind::LEG_UP => Event::LegUp {
                session: fields.session()?,
                leg: fields.leg()?,
                peer: fields.address()?.ok_or(Invalid::Value("peer"))?,
            },
            kind::LEG_DOWN => Event::LegDown {
                session: fields.session()?,
                leg: fields.leg()?,
                cause: one_of(&Cause::ALL, fields.u8()?, "cause")?,
            },
            kind::CLOSED => Event::Closed {
                session: fields.session()?,
                cause: one_of(&Cause::ALL, fields.u8()?, "cause")?,
                counts: decode_counts(&mut fields)?,
            },
            kind::LISTED => Event::Listed {
                session: fields.session()?,
                states: [decode_state(&mut fields)?, decode_state(&mut fields)?],
                legs: decode_legs(&mut fields)?,
            },
            kind::LIST_END => Event::ListEnd {
                token: fields.u64()?,
            },
            kind::LEG_DETACHED => Event::LegDetached {
                session: fields.session()?,
                leg: fields.leg()?,
                cause: one_of(&Cause::ALL, fields.u8()?, "cause")?,
                grace_ms: fields.u32()?,
            },
            kind::LEG_EXPIRED => Event::LegExpired {
                session: fields.session()?,
                leg: fields.leg()?,
            },
            kind::REBOUND => Event::Rebound {
                session: fields.session()?,
                leg: fields.leg()?,
                side: decode_side(&mut fields)?,
            },
            kind::RELOADED => Event::Reloaded {
                token: fields.u64()?,
                is_complete: one_of(&[false, true], fields.u8()?, "truth")?,
            },
            unknown => return Err(Invalid::Kind(unknown)),
        };
        fields.finish()?;
        Ok(event)
    }
}

fn encode_legs(fields: &mut Encoder<'_>, legs: [CreatedLeg<'_>; 2]) {
    legs.into_iter().for_each(|leg| encode_side(fields, leg));
}

fn encode_side(fields: &mut Encoder<'_>, leg: CreatedLeg<'_>) {
    fields.text(leg.path, OWN_PATH_BYTES_MAX, "leg's path");
    fields.text(leg.resource, RESOURCE_BYTES_MAX, "leg's resource");
    match leg.fingerprint {
        None => fields.u8(0),
        Some(hash) => fields.hash(1, &hash),
    }
}

fn decode_legs<'r>(fields: &mut Decoder<'r>) -> Result<[CreatedLeg<'r>; 2], Invalid> {
    Ok([decode_side(fields)?, decode_side(fields)?])
}

fn decode_side<'r>(fields: &mut Decoder<'r>) -> Result<CreatedLeg<'r>, Invalid> {
    Ok(CreatedLeg {
        path: fields.text(OWN_PATH_BYTES_MAX, "leg's path")?,
        resource: fields.text(RESOURCE_BYTES_MAX, "leg's resource")?,
        fingerprint: match fields.u8()? {
            0 => None,
            1 => Some(fields.array()?),
            _ => return Err(Invalid::Value("leg's fingerprint")),
        },
    })
}

fn encode_counts(fields: &mut Encoder<'_>, counts: SessionCounts) {
    fields.u64(counts.messages_a_to_b);
    fields.u64(counts.messages_b_to_a);
    fields.u64(counts.octets_a_to_b);
    fields.u64(counts.octets_b_to_a);
    fields.u64(counts.responses);
    fields.u64(counts.reports);
    fields.u64(counts.refused);
}

fn decode_counts(fields: &mut Decoder<'_>) -> Result<SessionCounts, Invalid> {
    Ok(SessionCounts {
        messages_a_to_b: fields.u64()?,
        messages_b_to_a: fields.u64()?,
        octets_a_to_b: fields.u64()?,
        octets_b_to_a: fields.u64()?,
        responses: fields.u64()?,
        reports: fields.u64()?,
        refused: fields.u64()?,
    })
}

fn decode_state(fields: &mut Decoder<'_>) -> Result<LegState, Invalid> {
    one_of(&LegState::ALL, fields.u8()?, "leg state")
}

/// The variant of this number; `all` lists the variants in the order of their numbers.
fn one_of<T: Copy>(all: &[T], number: u8, what: &'static str) -> Result<T, Invalid> {
    all.get(usize::from(number))
        .copied()
        .ok_or(Invalid::Value(what))
}

#[cfg(test)]
mod tests;
