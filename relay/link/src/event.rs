//! What a shard of the relay tells control.
//!
//! Events of one session come in the order in which they happened, and `Closed` is its last one.

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
}

/// The shape of each event as the layout hash sees it: change it together with the codec.
pub(crate) const SHAPE: &str = "created:session,(path,resource)*2;refused:session,refusal9;\
     leg_up:session,leg,address;leg_down:session,leg,cause11;closed:session,cause11,u64*7;\
     listed:session,state3*2,(path,resource)*2;list_end:u64;";

/// Our side of a leg: what control writes into the session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CreatedLeg<'a> {
    /// Our own MSRP URI, at most 512 bytes.
    pub path: &'a [u8],
    /// The WebSocket resource path, at most 256 bytes; empty for TCP and TLS.
    pub resource: &'a [u8],
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
}

impl Refusal {
    const ALL: [Refusal; 9] = [
        Refusal::NoPorts,
        Refusal::NoSessions,
        Refusal::NoMemory,
        Refusal::TransportUnknown,
        Refusal::Draining,
        Refusal::PathTooLong,
        Refusal::PathMalformed,
        Refusal::ConnectImpossible,
        Refusal::SessionUnknown,
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
}

impl Cause {
    const ALL: [Cause; 11] = [
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
    /// A leg ended, bound or not.
    LegDown {
        /// Of which session.
        session: SessionId,
        /// Which leg.
        leg: Leg,
        /// Why.
        cause: Cause,
    },
    /// The session is gone. Always its last event.
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
            unknown => return Err(Invalid::Kind(unknown)),
        };
        fields.finish()?;
        Ok(event)
    }
}

fn encode_legs(fields: &mut Encoder<'_>, legs: [CreatedLeg<'_>; 2]) {
    for leg in legs {
        fields.text(leg.path, OWN_PATH_BYTES_MAX, "leg's path");
        fields.text(leg.resource, RESOURCE_BYTES_MAX, "leg's resource");
    }
}

fn decode_legs<'r>(fields: &mut Decoder<'r>) -> Result<[CreatedLeg<'r>; 2], Invalid> {
    let mut legs = [CreatedLeg::default(); 2];
    for leg in &mut legs {
        leg.path = fields.text(OWN_PATH_BYTES_MAX, "leg's path")?;
        leg.resource = fields.text(RESOURCE_BYTES_MAX, "leg's resource")?;
    }
    Ok(legs)
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
    one_of(
        &[LegState::Waiting, LegState::Up, LegState::Down],
        fields.u8()?,
        "leg state",
    )
}

/// The variant of this number; `all` lists the variants in the order of their numbers.
fn one_of<T: Copy>(all: &[T], number: u8, what: &'static str) -> Result<T, Invalid> {
    all.get(usize::from(number))
        .copied()
        .ok_or(Invalid::Value(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn texts(limit_bytes: usize) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..=limit_bytes)
    }

    fn leg_states() -> impl Strategy<Value = LegState> {
        select(vec![LegState::Waiting, LegState::Up, LegState::Down])
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            number in any::<u64>(),
            paths in [texts(OWN_PATH_BYTES_MAX), texts(OWN_PATH_BYTES_MAX)],
            resources in [texts(RESOURCE_BYTES_MAX), texts(RESOURCE_BYTES_MAX)],
            reason in select(Refusal::ALL.to_vec()),
            cause in select(Cause::ALL.to_vec()),
            states in [leg_states(), leg_states()],
            peer in any::<SocketAddr>(),
            counted in any::<[u64; 7]>(),
            before in any::<u8>(),
        ) {
            let session = SessionId(number);
            let legs = [0, 1].map(|index| CreatedLeg {
                path: &paths[index],
                resource: &resources[index],
            });
            let [messages_a_to_b, messages_b_to_a, octets_a_to_b, octets_b_to_a, ..] = counted;
            let [.., responses, reports, refused] = counted;
            let counts = SessionCounts {
                messages_a_to_b, messages_b_to_a, octets_a_to_b, octets_b_to_a,
                responses, reports, refused,
            };
            let events = [
                Event::Created { session, legs },
                Event::Refused { session, reason },
                Event::LegUp { session, leg: Leg::A, peer },
                Event::LegDown { session, leg: Leg::B, cause },
                Event::Closed { session, cause, counts },
                Event::Listed { session, states, legs },
                Event::ListEnd { token: number },
            ];
            let mut record = Record::from_bytes([before; crate::RECORD_BYTES]);
            for event in events {
                prop_assert_eq!(event.encode(&mut record), Ok(()));
                prop_assert_eq!(Event::decode(&record), Ok(event));
                prop_assert!(crate::Command::decode(&record).is_err(), "an event is no command");
            }
        }

        #[test]
        fn any_bytes_are_an_event_or_an_error(record in crate::record::tests::any_record(0x80)) {
            if let Ok(event) = Event::decode(&record) {
                let mut again = Record::new();
                prop_assert_eq!(event.encode(&mut again), Ok(()));
                prop_assert_eq!(Event::decode(&again), Ok(event));
            }
        }
    }

    #[test]
    fn numbers_are_the_places_in_the_lists() {
        for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, place);
        }
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place);
        }
    }

    #[test]
    fn the_largest_event_fits_and_a_larger_one_is_refused() {
        let path = [b'p'; OWN_PATH_BYTES_MAX + 1];
        let resource = &[b'r'; RESOURCE_BYTES_MAX];
        let session = SessionId(u64::MAX);
        let mut record = Record::new();
        let leg = CreatedLeg {
            path: &path[1..],
            resource,
        };
        let states = [LegState::Up; 2];
        let largest = Event::Listed {
            session,
            states,
            legs: [leg; 2],
        };
        assert_eq!(largest.encode(&mut record), Ok(()));
        assert_eq!(Event::decode(&record), Ok(largest));
        let larger = Event::Created {
            session,
            legs: [
                leg,
                CreatedLeg {
                    path: &path,
                    resource,
                },
            ],
        };
        assert!(larger.encode(&mut record).is_err());
        assert_eq!(Event::decode(&record), Err(Invalid::Length(0)));
    }

    /// If this fails, two builds misunderstand each other: raise `VERSION`, mend `SHAPE`, then this.
    #[test]
    fn version_1_events_are_these_bytes() {
        let session = SessionId(2);
        let legs = [
            CreatedLeg {
                path: b"m",
                resource: b"/r",
            },
            CreatedLeg {
                path: b"n",
                resource: b"",
            },
        ];
        let expected: [(Event<'_>, &[u8]); 6] = [
            (
                Event::Created { session, legs },
                &[
                    24, 0, 0x81, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, b'm', 2, 0, b'/', b'r', 1, 0,
                    b'n', 0, 0,
                ],
            ),
            (
                Event::Refused {
                    session,
                    reason: Refusal::Draining,
                },
                &[13, 0, 0x82, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4],
            ),
            (
                Event::LegUp {
                    session,
                    leg: Leg::A,
                    peer: ([1, 2, 3, 4], 5).into(),
                },
                &[
                    20, 0, 0x83, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4, 5, 0,
                ],
            ),
            (
                Event::LegDown {
                    session,
                    leg: Leg::B,
                    cause: Cause::Expired,
                },
                &[14, 0, 0x84, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 4],
            ),
            (
                Event::Closed {
                    session,
                    cause: Cause::Deleted,
                    counts: SessionCounts::default(),
                },
                &[69, 0, 0x85, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9],
            ),
            (
                Event::ListEnd { token: 3 },
                &[12, 0, 0x87, 0, 3, 0, 0, 0, 0, 0, 0, 0],
            ),
        ];
        assert_eq!(crate::VERSION, 1);
        for (event, bytes) in expected {
            let mut record = Record::new();
            event.encode(&mut record).expect("fits");
            assert_eq!(&record.bytes()[..bytes.len()], bytes, "{event:?}");
        }
    }
}
