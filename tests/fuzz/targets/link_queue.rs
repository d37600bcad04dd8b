//! A queue of the link whose other side is sound, and then goes mad: what is pushed is popped, in
//! order; whatever is written into the memory, either side ends with a value or with an error that
//! stays.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;

use link::{Counter, PushError, RECORD_BYTES, Record};

const SLOTS: u32 = 4;

/// Where the words of the command queue of shard 0 begin; see `docs/link.md`.
const WORDS_AT: u64 = 4096;

/// The octets are operations, one after the other.
pub fn run(mut input: &[u8]) {
    let mut both = link::in_process(1, SLOTS).expect("memory");
    let memory = File::from(both.memory.try_clone().expect("a descriptor"));
    let bytes = memory.metadata().expect("its size").len();
    let link::ControlEnd {
        commands, counters, ..
    } = &mut both.controls[0];
    let shard = &mut both.shards[0];
    let mut expected: VecDeque<Vec<u8>> = VecDeque::new();
    let (mut sound, mut push_failed, mut pop_failed) = (true, false, false);
    let mut number = 0u64;
    let mut record = Record::new();
    while let Some((&operation, rest)) = input.split_first() {
        input = rest;
        match operation % 8 {
            0 | 1 => {
                let take = usize::from(operation / 8).min(input.len());
                let (octets, rest) = input.split_at(take);
                input = rest;
                number += 1;
                let mut slot = [0; RECORD_BYTES];
                let length = (8 + octets.len()) as u16;
                slot[..2].copy_from_slice(&length.to_le_bytes());
                slot[4..8].copy_from_slice(&(number as u32).to_le_bytes());
                slot[8..8 + octets.len()].copy_from_slice(octets);
                let outcome = match operation % 8 {
                    0 => commands.push(&Record::from_bytes(slot)),
                    _ => commands.push_quiet(&Record::from_bytes(slot)),
                };
                assert!(
                    !push_failed || outcome == Err(PushError::Corrupt),
                    "for good"
                );
                push_failed = outcome == Err(PushError::Corrupt);
                match outcome {
                    Ok(()) => expected.push_back(slot[..usize::from(length)].to_vec()),
                    Err(PushError::Full) if sound => assert_eq!(expected.len(), SLOTS as usize),
                    Err(PushError::Full) => {}
                    Err(PushError::Corrupt) => assert!(!sound, "nobody wrote a wrong count"),
                }
            }
            2 => match shard.commands.pop(&mut record) {
                Ok(true) => {
                    assert!(!pop_failed, "corrupt for good");
                    let popped = expected.pop_front();
                    if sound {
                        let popped = popped.expect("something was pushed");
                        assert_eq!(record.bytes()[..popped.len()], popped[..]);
                    }
                }
                Ok(false) => assert!(!pop_failed && (!sound || expected.is_empty())),
                Err(_) => {
                    assert!(!sound, "nobody wrote a wrong count");
                    pop_failed = true;
                }
            },
            3 => {
                let sleeps = shard.commands.sleep();
                assert!(!sound || sleeps == expected.is_empty());
                shard.commands.awake();
            }
            4 => commands.wake_if_sleeping(),
            5 => {
                shard.counters.publish(&[number; Counter::COUNT]);
                let read = counters.snapshot();
                assert!(!sound || read == [number; Counter::COUNT]);
            }
            _ => {
                let Some((place, rest)) = input.split_first_chunk::<4>() else {
                    return;
                };
                let Some((value, rest)) = rest.split_first_chunk::<4>() else {
                    return;
                };
                input = rest;
                sound = false;
                // Mostly one of the words, else anywhere.
                let at = match operation % 8 {
                    6 => WORDS_AT + 128 * u64::from(place[0] % 4),
                    _ => u64::from(u32::from_le_bytes(*place)) % (bytes - 4),
                };
                memory.write_all_at(value, at).expect("memory is written");
            }
        }
    }
}
