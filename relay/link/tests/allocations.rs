//! Nothing is allocated once attached.
#![allow(unsafe_code)] // an allocator that counts

use link::{Command, Counter, CreatedLeg, Event, Leg, Record, SessionId, in_process};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: all work is the system allocator's, with what we were given; counting touches no memory of
// the heap (the thread's cell is a constant and has no destructor).
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System.alloc` above, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn encoding_pushing_popping_decoding_and_counting_allocate_nothing() {
    let mut both = in_process(1, 4).expect("memory");
    let (shard, control) = (&mut both.shards[0], &mut both.controls[0]);
    let mut record = Record::new();
    let path = [b'x'; 500];
    let leg = CreatedLeg {
        path: &path,
        resource: &path[..200],
        fingerprint: None,
    };
    let before = ALLOCATIONS.get();
    for round in 0..100 {
        let session = SessionId(round);
        let command = Command::SetPeer {
            session,
            leg: Leg::A,
            path: &path,
            connect: None,
            identity: link::PeerIdentity::UNKNOWN,
        };
        assert!(shard.commands.sleep());
        for _ in 0..5 {
            command.encode(&mut record).expect("fits");
            let _ = control.commands.push(&record); // the fifth finds no room
        }
        shard.commands.awake();
        while shard.commands.pop(&mut record).expect("sound") {
            assert_eq!(Command::decode(&record), Ok(command));
        }
        let event = Event::Created {
            session,
            legs: [leg, leg],
        };
        event.encode(&mut record).expect("fits");
        shard.events.push(&record).expect("room");
        assert!(control.events.pop(&mut record).expect("sound"));
        assert_eq!(Event::decode(&record), Ok(event));
        shard.counters.publish(&[round; Counter::COUNT]);
        assert_eq!(control.counters.snapshot(), [round; Counter::COUNT]);
    }
    assert_eq!(ALLOCATIONS.get(), before);
}
