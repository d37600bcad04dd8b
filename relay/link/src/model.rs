//! The queue under a model checker: every order of two threads, and every stale value a processor may
//! show them. `RUSTFLAGS="--cfg loom" cargo test -p link --release model`
//!
//! The slots are cells that tell a read during a write; the bells are condition variables. A wake-up
//! that is lost leaves both threads asleep, which the checker reports as a deadlock.

use crate::queue::{Place, PushError, Receiver, Sender, Word};
use crate::record::Record;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// An eventfd: stays rung until somebody waits for it.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().expect("no panic") = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().expect("no panic");
        while !*rung {
            rung = self.changed.wait(rung).expect("no panic");
        }
        *rung = false;
    }
}

struct Memory {
    /// In the order of [`ModelPlace::word`].
    words: [AtomicU32; 4],
    slots: Vec<UnsafeCell<u64>>,
    reader: Bell,
    writer: Bell,
}

#[derive(Clone)]
struct ModelPlace(Arc<Memory>);

impl ModelPlace {
    fn new(slots: usize, start: u32) -> ModelPlace {
        ModelPlace(Arc::new(Memory {
            words: [start, start, 0, 0].map(AtomicU32::new),
            slots: (0..slots).map(|_| UnsafeCell::new(0)).collect(),
            reader: Bell::default(),
            writer: Bell::default(),
        }))
    }

    fn word(&self, word: Word) -> &AtomicU32 {
        &self.0.words[match word {
            Word::Head => 0,
            Word::Tail => 1,
            Word::ReaderSleeps => 2,
            Word::WriterWaits => 3,
        }]
    }
}

impl Place for ModelPlace {
    fn slots(&self) -> u32 {
        self.0.slots.len() as u32
    }

    fn load(&self, word: Word, order: Ordering) -> u32 {
        self.word(word).load(order)
    }

    fn store(&self, word: Word, value: u32, order: Ordering) {
        self.word(word).store(value, order);
    }

    fn take(&self, flag: Word) -> bool {
        let flag = self.word(flag);
        flag.compare_exchange(1, 0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    fn write(&self, index: u32, record: &Record) {
        let value = number(record);
        // SAFETY: the pointer is valid inside the closure; that nobody else uses the cell meanwhile is
        // what the checker checks.
        self.0.slots[index as usize].with_mut(|slot| unsafe { *slot = value });
    }

    fn read(&self, index: u32, record: &mut Record) {
        // SAFETY: as in `write`.
        let value = self.0.slots[index as usize].with(|slot| unsafe { *slot });
        record.bytes_mut()[..8].copy_from_slice(&value.to_le_bytes());
    }

    fn wake_reader(&self) {
        self.0.reader.ring();
    }

    fn wake_writer(&self) {
        self.0.writer.ring();
    }
}

fn number(record: &Record) -> u64 {
    let (words, _) = record.bytes().as_chunks::<8>();
    u64::from_le_bytes(words[0])
}

fn numbered(number: u64) -> Record {
    let mut record = Record::new();
    record.bytes_mut()[..8].copy_from_slice(&number.to_le_bytes());
    record
}

/// Pops until `count` records have come, in order; sleeps when there is none.
fn read_all(place: &ModelPlace, receiver: &mut Receiver<ModelPlace>, count: u64) {
    let mut record = Record::new();
    for expected in 1..=count {
        while !receiver.pop(&mut record).expect("not corrupt") {
            if receiver.sleep() {
                place.0.reader.wait();
                receiver.awake();
            }
        }
        assert_eq!(number(&record), expected);
    }
    // The writer may still wait for room that only `sleep` surely tells it of.
    assert!(receiver.sleep(), "nothing comes after the last");
}

/// One thread pushes `count` numbers by `push`, sleeping when the queue is full; one reads them.
fn run(slots: usize, start: u32, count: u64, push: fn(&mut Sender<ModelPlace>, &Record) -> bool) {
    let place = ModelPlace::new(slots, start);
    let mut sender = Sender::new(place.clone(), start);
    let mut receiver = Receiver::new(place.clone(), start);
    let writing = place.clone();
    let writer = thread::spawn(move || {
        for value in 1..=count {
            while !push(&mut sender, &numbered(value)) {
                writing.0.writer.wait();
            }
        }
        sender.wake_if_sleeping();
    });
    read_all(&place, &mut receiver, count);
    writer.join().expect("the writer got to its end");
}

fn loud(sender: &mut Sender<ModelPlace>, record: &Record) -> bool {
    match sender.push(record) {
        Ok(()) => true,
        Err(PushError::Full) => false,
        Err(PushError::Corrupt) => panic!("corrupt"),
    }
}

fn quiet(sender: &mut Sender<ModelPlace>, record: &Record) -> bool {
    match sender.push_quiet(record) {
        Ok(()) => true,
        Err(PushError::Full) => false,
        Err(PushError::Corrupt) => panic!("corrupt"),
    }
}

/// All orders in which threads are interrupted at most `preemptions` times where they need not be.
fn check(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

#[test]
fn model_a_sleeping_reader_is_woken() {
    check(5, || run(2, 0, 2, loud));
}

#[test]
fn model_a_full_queue_loses_nothing_and_wakes_its_writer() {
    check(4, || run(1, 0, 2, loud));
}

#[test]
fn model_slots_are_used_again_without_a_race() {
    check(3, || run(1, 0, 3, loud));
}

#[test]
fn model_counts_wrap_around() {
    check(3, || run(2, u32::MAX - 1, 3, loud));
}

#[test]
fn model_one_wake_behind_several_quiet_pushes_is_enough() {
    check(3, || run(2, 0, 3, quiet));
}

#[test]
fn model_a_reader_that_woke_for_another_reason_is_still_woken() {
    check(4, || {
        let place = ModelPlace::new(2, 0);
        let mut sender = Sender::new(place.clone(), 0);
        let mut receiver = Receiver::new(place.clone(), 0);
        let writer = thread::spawn(move || {
            sender.push(&numbered(1)).expect("there is room");
        });
        // Announces sleep, but something else is to be done first.
        receiver.sleep();
        receiver.awake();
        read_all(&place, &mut receiver, 1);
        writer.join().expect("the writer got to its end");
    });
}
