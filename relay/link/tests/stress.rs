//! Every shard and both directions at once, with sleeping on both sides: all records come, whole and in
//! order.

use link::{Command, CreatedLeg, Event, EventFd, InProcess, Leg, PushError, Receiver, Record};
use link::{Sender, SessionId, in_process};
use std::thread;

const RECORDS: u64 = 30_000;
const SHARDS: usize = 4;

/// What record `number` carries; length and bytes follow from the number.
fn content(number: u64, limit_bytes: usize, bytes: &mut [u8; 1024]) -> &[u8] {
    let length = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % (limit_bytes + 1);
    let mut state = number | 1;
    for byte in &mut bytes[..length] {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    &bytes[..length]
}

fn encode_command(number: u64, record: &mut Record) {
    let mut bytes = [0; 1024];
    let path = content(number, 1024, &mut bytes);
    let command = Command::SetPeer {
        session: SessionId(number),
        leg: Leg::B,
        path,
        connect: None,
        identity: link::PeerIdentity::UNKNOWN,
    };
    command.encode(record).expect("fits");
}

fn check_command(number: u64, record: &Record) {
    let mut bytes = [0; 1024];
    let path = content(number, 1024, &mut bytes);
    let expected = Command::SetPeer {
        session: SessionId(number),
        leg: Leg::B,
        path,
        connect: None,
        identity: link::PeerIdentity::UNKNOWN,
    };
    assert_eq!(Command::decode(record), Ok(expected));
}

fn created<'a>(number: u64, bytes: &'a mut [u8; 1024]) -> Event<'a> {
    let path = content(number, 512, bytes);
    let leg = CreatedLeg {
        path,
        resource: &path[..path.len().min(256)],
        fingerprint: None,
    };
    Event::Created {
        session: SessionId(number),
        legs: [leg, leg],
    }
}

/// One side of one shard, in one thread: writes all it has to write, reads all there is to read, and
/// sleeps when it can do neither.
fn run(
    mut sender: Sender,
    mut receiver: Receiver,
    bell: &EventFd,
    encode: impl Fn(u64, &mut Record),
    check: impl Fn(u64, &Record),
) {
    let mut record = Record::new();
    let (mut written, mut read) = (0, 0);
    while written < RECORDS || read < RECORDS {
        // A few at a time, so that reading and writing alternate in every way.
        let mut full = written == RECORDS;
        for _ in 0..7 {
            if full {
                break;
            }
            encode(written, &mut record);
            match sender.push_quiet(&record) {
                Ok(()) => written += 1,
                Err(PushError::Full) => full = true,
                Err(PushError::Corrupt) => panic!("corrupt"),
            }
            full |= written == RECORDS;
        }
        sender.wake_if_sleeping();
        while receiver.pop(&mut record).expect("sound") {
            check(read, &record);
            read += 1;
        }
        if full && (written < RECORDS || read < RECORDS) && receiver.sleep() {
            // A writer that found the queue full is rung for as well.
            bell.wait(None).expect("poll");
            bell.clear().expect("a bell");
            receiver.awake();
        }
    }
    assert!(receiver.sleep(), "all was read");
}

#[test]
fn nothing_is_lost_torn_or_overtaken_and_nobody_sleeps_forever() {
    // Few slots, so that both queues are full and empty all the time.
    let pairs: Vec<InProcess> = (0..SHARDS)
        .map(|_| in_process(1, 4).expect("memory"))
        .collect();
    thread::scope(|scope| {
        for InProcess {
            mut shards,
            wakers,
            mut controls,
            ready,
            memory: _,
        } in pairs
        {
            let (shard, control) = (shards.remove(0), controls.remove(0));
            scope.spawn(move || {
                let encode = |number, record: &mut Record| {
                    created(number, &mut [0; 1024])
                        .encode(record)
                        .expect("fits");
                };
                run(
                    shard.events,
                    shard.commands,
                    &wakers[0],
                    encode,
                    check_command,
                );
            });
            scope.spawn(move || {
                let check = |number, record: &Record| {
                    assert_eq!(Event::decode(record), Ok(created(number, &mut [0; 1024])));
                };
                run(
                    control.commands,
                    control.events,
                    &ready,
                    encode_command,
                    check,
                );
            });
        }
    });
}
