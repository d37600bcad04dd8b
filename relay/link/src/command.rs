//! What control tells a shard of the relay.
//!
//! Commands about one session are carried out in the order in which they were pushed. Each command about
//! a session the shard does not have is answered with `Refused`, except `Delete`, which then has nothing
//! left to do.

use crate::leg_spec::{LegPolicy, LegSpec, PeerIdentity};
use crate::record::{Decoder, Encoder, Invalid, Leg, PATH_BYTES_MAX, Record};
use crate::record::{SessionId, TooLong};
use std::net::SocketAddr;

/// The first byte after a command's length. Numbers below 0x80 are commands.
mod kind {
    pub(super) const CREATE: u8 = 0x01;
    pub(super) const SET_PEER: u8 = 0x02;
    pub(super) const REARM: u8 = 0x03;
    pub(super) const DELETE: u8 = 0x04;
    pub(super) const LIST: u8 = 0x05;
    pub(super) const DRAIN: u8 = 0x06;
    pub(super) const UPDATE: u8 = 0x07;
    pub(super) const REBIND: u8 = 0x08;
    pub(super) const RELOAD: u8 = 0x09;
}

/// The shape of each command as the layout hash sees it: change it together with the codec.
pub(crate) const SHAPE: &str = "create:session,spec*2;set_peer:session,leg,path,address?,identity;\
     rearm:session,leg,u32;delete:session;list:u64;drain;update:session,leg,policy;\
     rebind:session,leg,u32;reload:u64;";

/// Control to relay: one record in a shard's command queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// Make a session with two legs. Answered by `Created`, when the listeners are open, or `Refused`.
    /// Said again for a session that exists, it is answered again and changes nothing.
    Create {
        /// Chosen by control, never used twice.
        session: SessionId,
        /// What leg A and leg B are to be.
        legs: [LegSpec<'a>; 2],
    },
    /// Where a leg's peer is.
    SetPeer {
        /// Of which session.
        session: SessionId,
        /// Which leg.
        leg: Leg,
        /// The peer's whole `a=path`: URIs, blanks between them. At most [`PATH_BYTES_MAX`] bytes.
        path: &'a [u8],
        /// `Some`: the relay is active and connects there. `None`: it waits, as a WebSocket leg always does.
        connect: Option<SocketAddr>,
        /// How a TLS peer proves that it is the one.
        identity: PeerIdentity<'a>,
    },
    /// Start a leg's bind deadline anew: ringing is over.
    Rearm {
        /// Of which session.
        session: SessionId,
        /// Which leg.
        leg: Leg,
        /// Milliseconds from now.
        deadline_ms: u32,
    },
    /// End a session. Answered by `Closed`.
    Delete {
        /// Which session.
        session: SessionId,
    },
    /// Tell every session there is: `Listed` for each, then `ListEnd`.
    List {
        /// Comes back in `ListEnd`.
        token: u64,
    },
    /// Take no new session; those that exist go on.
    Drain,
    /// Change what holds for a leg from now on.
    Update {
        /// Of which session.
        session: SessionId,
        /// Which leg.
        leg: Leg,
        /// In place of what held before.
        policy: LegPolicy,
    },
    /// Make a new way in for a detached leg, by which its browser comes back: URI and resource are new
    /// ones, the former resource opens no more. A leg that is up and has a grace is detached first, its
    /// connection closed: the browser knows that it is lost. Answered by `Rebound`, or by `Refused` if
    /// the leg is not detached.
    Rebind {
        /// Of which session.
        session: SessionId,
        /// Which leg.
        leg: Leg,
        /// If nobody has come so many milliseconds from now, the leg is lost for good. 0: the grace
        /// that runs goes on.
        bind_ms: u32,
    },
    /// Read certificates and keys anew, for connections to come. To be told to one shard; it is done for
    /// all. Answered by `Reloaded`.
    Reload {
        /// Comes back in `Reloaded`.
        token: u64,
    },
}

impl<'a> Command<'a> {
    /// Writes the command into `record`.
    ///
    /// # Errors
    /// A path over [`PATH_BYTES_MAX`]; `record` then decodes to nothing.
    pub fn encode(&self, record: &mut Record) -> Result<(), TooLong> {
        let encoder = match *self {
            Command::Create { session, legs } => {
                let mut fields = Encoder::new(record, kind::CREATE);
                fields.u64(session.0);
                legs.iter().for_each(|spec| spec.encode(&mut fields));
                fields
            }
            Command::SetPeer {
                session,
                leg,
                path,
                connect,
                identity,
            } => {
                let mut fields = Encoder::new(record, kind::SET_PEER);
                fields.u64(session.0);
                fields.leg(leg);
                fields.text(path, PATH_BYTES_MAX, "path");
                fields.address(connect);
                identity.encode(&mut fields);
                fields
            }
            Command::Rearm {
                session,
                leg,
                deadline_ms,
            } => {
                let mut fields = Encoder::new(record, kind::REARM);
                fields.u64(session.0);
                fields.leg(leg);
                fields.u32(deadline_ms);
                fields
            }
            Command::Delete { session } => {
                let mut fields = Encoder::new(record, kind::DELETE);
                fields.u64(session.0);
                fields
            }
            Command::List { token } => {
                let mut fields = Encoder::new(record, kind::LIST);
                fields.u64(token);
                fields
            }
            Command::Drain => Encoder::new(record, kind::DRAIN),
            Command::Update {
                session,
                leg,
                policy,
            } => {
                let mut fields = Encoder::new(record, kind::UPDATE);
                fields.u64(session.0);
                fields.leg(leg);
                policy.encode(&mut fields);
                fields
            }
            Command::Rebind {
                session,
                leg,
                bind_ms,
            } => {
                let mut fields = Encoder::new(record, kind::REBIND);
                fields.u64(session.0);
                fields.leg(leg);
                fields.u32(bind_ms);
                fields
            }
            Command::Reload { token } => {
                let mut fields = Encoder::new(record, kind::RELOAD);
                fields.u64(token);
                fields
            }
        };
        encoder.finish()
    }

    /// Reads the command in `record`.
    ///
    /// # Errors
    /// The bytes are no command: the other process broke the protocol, see [`Invalid`].
    pub fn decode(record: &'a Record) -> Result<Command<'a>, Invalid> {
        let (kind, mut fields) = Decoder::new(record)?;
        let command = match kind {
            kind::CREATE => Command::Create {
                session: fields.session()?,
                legs: [LegSpec::decode(&mut fields)?, LegSpec::decode(&mut fields)?],
            },
            kind::SET_PEER => Command::SetPeer {
                session: fields.session()?,
                leg: fields.leg()?,
                path: fields.text(PATH_BYTES_MAX, "path")?,
                connect: fields.address()?,
                identity: PeerIdentity::decode(&mut fields)?,
            },
            kind::REARM => Command::Rearm {
                session: fields.session()?,
                leg: fields.leg()?,
                deadline_ms: fields.u32()?,
            },
            kind::DELETE => Command::Delete {
                session: fields.session()?,
            },
            kind::LIST => Command::List {
                token: fields.u64()?,
            },
            kind::DRAIN => Command::Drain,
            kind::UPDATE => Command::Update {
                session: fields.session()?,
                leg: fields.leg()?,
                policy: LegPolicy::decode(&mut fields)?,
            },
            kind::REBIND => Command::Rebind {
                session: fields.session()?,
                leg: fields.leg()?,
                bind_ms: fields.u32()?,
            },
            kind::RELOAD => Command::Reload {
                token: fields.u64()?,
            },
            unknown => return Err(Invalid::Kind(unknown)),
        };
        fields.finish()?;
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leg_spec::{Fingerprint, PeerProof, Switches};
    use crate::{PEER_NAME_BYTES_MAX, REALM_BYTES_MAX, Transport};
    use proptest::prelude::*;
    use proptest::sample::select;
    use std::net::{IpAddr, SocketAddrV6};

    fn names(bytes_max: usize) -> impl Strategy<Value = String> {
        proptest::collection::vec(proptest::char::range('!', '~'), 0..=bytes_max)
            .prop_map(|letters| letters.into_iter().collect())
    }

    fn policies() -> impl Strategy<Value = LegPolicy> {
        let switches = any::<[bool; 4]>().prop_map(|on| Switches {
            local_acknowledgement: on[0],
            report_only: on[1],
            strict_ranges: on[2],
            session_id_only: on[3],
        });
        (any::<[u32; 3]>(), switches).prop_map(|(ms, switches)| LegPolicy {
            idle_ms: ms[0],
            grace_ms: ms[1],
            keepalive_ms: ms[2],
            switches,
        })
    }

    fn fingerprints() -> impl Strategy<Value = Option<Fingerprint>> {
        prop_oneof![
            Just(None),
            any::<[u8; 20]>().prop_map(|hash| Some(Fingerprint::Sha1(hash))),
            any::<[u8; 32]>().prop_map(|hash| Some(Fingerprint::Sha256(hash))),
        ]
    }

    fn transports() -> impl Strategy<Value = Transport> {
        select(vec![
            Transport::Ws,
            Transport::Wss,
            Transport::Tcp,
            Transport::Tls,
        ])
    }

    fn addresses() -> impl Strategy<Value = Option<SocketAddr>> {
        prop_oneof![
            Just(None),
            any::<(IpAddr, u16)>().prop_map(|at| Some(SocketAddr::from(at))),
            any::<([u16; 8], u16, u32, u32)>().prop_map(|(ip, port, flow, scope)| {
                Some(SocketAddr::V6(SocketAddrV6::new(
                    ip.into(),
                    port,
                    flow,
                    scope,
                )))
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            number in any::<u64>(),
            (a, b) in (transports(), transports()),
            (realm, name) in (names(REALM_BYTES_MAX), names(PEER_NAME_BYTES_MAX)),
            (proof, policy) in (select(vec![PeerProof::WhenTold, PeerProof::Always]), policies()),
            fingerprint in fingerprints(),
            deadline_ms in any::<u32>(),
            leg in select(Leg::ALL.to_vec()),
            path in proptest::collection::vec(any::<u8>(), 0..=PATH_BYTES_MAX),
            connect in addresses(),
            // What was in the record before must not matter.
            before in any::<u8>(),
        ) {
            let session = SessionId(number);
            let plain = LegSpec::new(a, deadline_ms);
            let spec = LegSpec { realm: &realm, user_timeout_ms: deadline_ms, proof, policy, ..LegSpec::new(b, deadline_ms) };
            let identity = PeerIdentity { fingerprint, name: &name };
            let commands = [
                Command::Create { session, legs: [plain, spec] },
                Command::SetPeer { session, leg, path: &path, connect, identity },
                Command::Rearm { session, leg, deadline_ms },
                Command::Delete { session },
                Command::List { token: number },
                Command::Drain,
                Command::Update { session, leg, policy },
                Command::Rebind { session, leg, bind_ms: deadline_ms },
                Command::Reload { token: number },
            ];
            let mut record = Record::from_bytes([before; crate::RECORD_BYTES]);
            for command in commands {
                prop_assert_eq!(command.encode(&mut record), Ok(()));
                prop_assert_eq!(Command::decode(&record), Ok(command));
                prop_assert!(crate::Event::decode(&record).is_err(), "a command is no event");
            }
        }

        #[test]
        fn any_bytes_are_a_command_or_an_error(record in crate::record::tests::any_record(0x00)) {
            if let Ok(command) = Command::decode(&record) {
                let mut again = Record::new();
                prop_assert_eq!(command.encode(&mut again), Ok(()));
                prop_assert_eq!(Command::decode(&again), Ok(command));
            }
        }
    }

    #[test]
    fn a_path_over_the_limit_is_refused_and_the_record_is_unreadable() {
        let long = [b'x'; PATH_BYTES_MAX + 1];
        let session = SessionId(1);
        let set = Command::SetPeer {
            session,
            leg: Leg::A,
            path: &long,
            connect: None,
            identity: PeerIdentity::UNKNOWN,
        };
        let mut record = Record::new();
        Command::Drain.encode(&mut record).expect("fits");
        let refused = TooLong {
            what: "path",
            limit_bytes: PATH_BYTES_MAX,
        };
        assert_eq!(set.encode(&mut record), Err(refused));
        assert_eq!(Command::decode(&record), Err(Invalid::Length(0)));
    }

    /// If this fails, two builds misunderstand each other: raise `VERSION`, mend `SHAPE`, then this.
    #[test]
    fn version_3_commands_are_these_bytes() {
        let (session, leg) = (SessionId(0x0102), Leg::B);
        let policy = LegPolicy {
            idle_ms: 1,
            grace_ms: 2,
            keepalive_ms: 3,
            switches: Switches {
                report_only: true,
                ..Switches::NONE
            },
        };
        let other = LegSpec {
            realm: "in",
            user_timeout_ms: 5,
            proof: PeerProof::Always,
            policy,
            ..LegSpec::new(Transport::Tls, 8)
        };
        let legs = [LegSpec::new(Transport::Ws, 7), other];
        let connect = Some(SocketAddr::from(([10, 0, 0, 1], 0x0b0a)));
        let identity = PeerIdentity {
            fingerprint: Some(Fingerprint::Sha1([9; 20])),
            name: "p",
        };
        let expected: [(Command<'_>, &[u8]); 9] = [
            (
                Command::Create { session, legs },
                &[
                    66, 0, 1, 0, 2, 1, 0, 0, 0, 0, 0, 0, // ws
                    0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                    0, // tls
                    3, 1, 2, 0, b'i', b'n', 8, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0,
                    0, 0, 2, 0,
                ],
            ),
            (
                Command::SetPeer {
                    session,
                    leg,
                    path: b"m",
                    connect,
                    identity,
                },
                &[
                    47, 0, 2, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, b'm', 4, 10, 0, 0, 1, 10, 11, 1,
                    9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 1, 0, b'p',
                ],
            ),
            (
                Command::Rearm {
                    session,
                    leg,
                    deadline_ms: 7,
                },
                &[17, 0, 3, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 7, 0, 0, 0],
            ),
            (
                Command::Delete { session },
                &[12, 0, 4, 0, 2, 1, 0, 0, 0, 0, 0, 0],
            ),
            (
                Command::List { token: 3 },
                &[12, 0, 5, 0, 3, 0, 0, 0, 0, 0, 0, 0],
            ),
            (Command::Drain, &[4, 0, 6, 0]),
            (
                Command::Update {
                    session,
                    leg,
                    policy,
                },
                &[
                    27, 0, 7, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2,
                    0,
                ],
            ),
            (
                Command::Rebind {
                    session,
                    leg,
                    bind_ms: 7,
                },
                &[17, 0, 8, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 7, 0, 0, 0],
            ),
            (
                Command::Reload { token: 3 },
                &[12, 0, 9, 0, 3, 0, 0, 0, 0, 0, 0, 0],
            ),
        ];
        assert_eq!(crate::VERSION, 3);
        for (command, bytes) in expected {
            let mut record = Record::new();
            command.encode(&mut record).expect("fits");
            let length = u16::from_le_bytes([record.bytes()[0], record.bytes()[1]]);
            assert_eq!(usize::from(length), bytes.len(), "{command:?}");
            assert_eq!(&record.bytes()[..bytes.len()], bytes, "{command:?}");
        }
    }
}
