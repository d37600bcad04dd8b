use super::*;
use proptest::prelude::*;
use proptest::sample::select;

fn texts(limit_bytes: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..=limit_bytes)
}

fn leg_states() -> impl Strategy<Value = LegState> {
    select(LegState::ALL.to_vec())
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
        fingerprint in any::<Option<[u8; 32]>>(),
        before in any::<u8>(),
    ) {
        let session = SessionId(number);
        let legs = [0, 1].map(|index| CreatedLeg {
            path: &paths[index],
            resource: &resources[index],
            fingerprint,
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
            Event::LegDetached { session, leg: Leg::A, cause, grace_ms: number as u32 },
            Event::LegExpired { session, leg: Leg::B },
            Event::Rebound { session, leg: Leg::A, side: legs[0] },
            Event::Reloaded { token: number, is_complete: number % 2 == 0 },
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
    for (place, state) in LegState::ALL.into_iter().enumerate() {
        assert_eq!(state as usize, place);
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
        fingerprint: Some([7; 32]),
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
        legs: [leg, CreatedLeg { path: &path, ..leg }],
    };
    assert!(larger.encode(&mut record).is_err());
    assert_eq!(Event::decode(&record), Err(Invalid::Length(0)));
}

/// If this fails, two builds misunderstand each other: raise `VERSION`, mend `SHAPE`, then this.
#[test]
fn version_3_events_are_these_bytes() {
    let session = SessionId(2);
    let legs = [
        CreatedLeg {
            path: b"m",
            resource: b"/r",
            fingerprint: None,
        },
        CreatedLeg {
            path: b"n",
            resource: b"",
            fingerprint: Some([9; 32]),
        },
    ];
    let expected: [(Event<'_>, &[u8]); 10] = [
        (
            Event::Created { session, legs },
            &[
                58, 0, 0x81, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, b'm', 2, 0, b'/', b'r', 0, 1, 0,
                b'n', 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
                9, 9, 9, 9, 9, 9, 9, 9, 9,
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
        (
            Event::LegDetached {
                session,
                leg: Leg::A,
                cause: Cause::Reset,
                grace_ms: 7,
            },
            &[18, 0, 0x88, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7, 0, 0, 0],
        ),
        (
            Event::LegExpired {
                session,
                leg: Leg::B,
            },
            &[13, 0, 0x89, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1],
        ),
        (
            Event::Rebound {
                session,
                leg: Leg::B,
                side: legs[0],
            },
            &[
                21, 0, 0x8a, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, b'm', 2, 0, b'/', b'r', 0,
            ],
        ),
        (
            Event::Reloaded {
                token: 3,
                is_complete: true,
            },
            &[13, 0, 0x8b, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1],
        ),
    ];
    assert_eq!(crate::VERSION, 3);
    for (event, bytes) in expected {
        let mut record = Record::new();
        event.encode(&mut record).expect("fits");
        assert_eq!(&record.bytes()[..bytes.len()], bytes, "{event:?}");
    }
}
