//! A queue of records between two processes: one writes, one reads, neither waits for the other.
//!
//! Four words and a ring of slots. `tail` counts what was ever written, `head` what was ever read, both
//! modulo 2^32; a slot belongs to the reader while `head <= its number < tail`, else to the writer.
//! Each side keeps its own count in its own memory; the word in the region only tells the other side.
//! What the other side tells is checked: a count that can't be is [`Corrupt`], for good.
//!
//! Sleep. The reader stores `ReaderSleeps`, fences, looks once more at `tail`; the writer stores `tail`,
//! fences, looks at `ReaderSleeps`. The two fences have an order, so at least one of them sees the
//! other's store: either the reader stays awake or the writer wakes it. The same with `WriterWaits` and
//! `head` when the queue is full. `model.rs` has a model checker try every order.
//!
//! The code does not know where its words and slots are (trait [`Place`]): in the mapped region, or in
//! the model checker's memory. Not here: what a record says (`command.rs`, `event.rs`).

use crate::record::Record;
use std::fmt;
use std::sync::atomic::Ordering;

/// The words of a queue, and who writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Records read so far. Reader.
    Head,
    /// Records written so far. Writer.
    Tail,
    /// 1 while the reader may be asleep. Reader stores 1 and 0, writer takes the 1 away when it wakes.
    ReaderSleeps,
    /// 1 while the writer has something to say and no slot. Writer stores 1 and 0, reader takes it away.
    WriterWaits,
}

/// Where the words and slots of one queue are, and how its two sides are woken.
pub trait Place {
    /// How many slots: a power of two, the same at every call.
    fn slots(&self) -> u32;
    /// Reads a word.
    fn load(&self, word: Word, order: Ordering) -> u32;
    /// Writes a word.
    fn store(&self, word: Word, value: u32, order: Ordering);
    /// Makes a flag that is 1 into 0, in one step. Whether it was 1.
    fn take(&self, flag: Word) -> bool;
    /// A sequentially consistent fence.
    fn fence(&self);
    /// Copies the record into slot `index`, which is below `slots()`.
    fn write(&self, index: u32, record: &Record);
    /// Copies slot `index`, which is below `slots()`, into the record.
    fn read(&self, index: u32, record: &mut Record);
    /// Makes the reader's eventfd readable.
    fn wake_reader(&self);
    /// Makes the writer's eventfd readable.
    fn wake_writer(&self);
}

/// The other process wrote a count that can't be. The queue is of no use any more, and will say so at
/// each call: drop the attachment and make a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other process wrote an impossible index into the queue; attach anew")
    }
}

impl std::error::Error for Corrupt {}

/// Why a record was not pushed. It is as it was; the caller still has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushError {
    /// All slots are taken. This side's eventfd becomes readable when the reader has made room; it is
    /// this answer that asks for it, so sleep only after having got it.
    Full,
    /// See [`Corrupt`].
    Corrupt,
}

impl From<Corrupt> for PushError {
    fn from(_: Corrupt) -> PushError {
        PushError::Corrupt
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PushError::Full => {
                f.write_str("the other process has not yet read what is in the queue")
            }
            PushError::Corrupt => Corrupt.fmt(f),
        }
    }
}

impl std::error::Error for PushError {}

/// The writing half of a queue. One there is; it can be sent to another thread, not cloned.
pub struct Sender<P: Place> {
    place: P,
    /// Ours: the word in the region follows it.
    tail: u32,
    /// The reader's, as last seen: `tail - head <= slots` always.
    head: u32,
    corrupt: bool,
}

impl<P: Place> Sender<P> {
    /// The writing half of an empty queue whose counts stand at `start`.
    pub(crate) fn new(place: P, start: u32) -> Sender<P> {
        debug_assert!(place.slots().is_power_of_two());
        Sender {
            place,
            tail: start,
            head: start,
            corrupt: false,
        }
    }

    /// Pushes one record and wakes the reader if it sleeps: no system call if it does not.
    ///
    /// # Errors
    /// [`PushError::Full`]: keep the record and push it again when this side is woken.
    /// [`PushError::Corrupt`]: drop the attachment.
    pub fn push(&mut self, record: &Record) -> Result<(), PushError> {
        self.push_quiet(record)?;
        self.wake_if_sleeping();
        Ok(())
    }

    /// Pushes one record and wakes nobody: for several in a row, with one
    /// [`Sender::wake_if_sleeping`] behind the last. When it is `Full` the reader was woken.
    ///
    /// # Errors
    /// As [`Sender::push`].
    pub fn push_quiet(&mut self, record: &Record) -> Result<(), PushError> {
        if !self.has_room()? {
            return Err(PushError::Full);
        }
        let slots = self.place.slots();
        debug_assert!(self.used() < slots);
        self.place.write(self.tail & (slots - 1), record);
        self.tail = self.tail.wrapping_add(1);
        // Release: who sees this count sees the slot's content.
        self.place.store(Word::Tail, self.tail, Ordering::Release);
        Ok(())
    }

    /// Wakes the reader if it sleeps. Costs one fence if it does not.
    pub fn wake_if_sleeping(&mut self) {
        self.place.fence(); // between our `Tail` and its `ReaderSleeps`; pairs with the one in `sleep`
        wake(&self.place, Word::ReaderSleeps, P::wake_reader);
    }

    fn used(&self) -> u32 {
        self.tail.wrapping_sub(self.head)
    }

    /// Whether a slot is ours. If none is, both sides have been told: the reader is awake and knows that
    /// we wait.
    fn has_room(&mut self) -> Result<bool, Corrupt> {
        let slots = self.place.slots();
        if self.corrupt {
            return Err(Corrupt);
        }
        if self.used() < slots {
            return Ok(true);
        }
        self.look_at_head()?;
        if self.used() < slots {
            return Ok(true);
        }
        self.place.store(Word::WriterWaits, 1, Ordering::Relaxed);
        self.place.fence(); // between our `WriterWaits` and its `Head`; pairs with the one in `sleep`
        self.look_at_head()?;
        if self.used() < slots {
            self.place.store(Word::WriterWaits, 0, Ordering::Relaxed);
            return Ok(true);
        }
        wake(&self.place, Word::ReaderSleeps, P::wake_reader); // the fence was just now
        Ok(false)
    }

    /// Takes the reader's count over if it can be: no less than the last one, no more than our own.
    fn look_at_head(&mut self) -> Result<(), Corrupt> {
        // Acquire: the reader has done with the slots below this count.
        let head = self.place.load(Word::Head, Ordering::Acquire);
        if head.wrapping_sub(self.head) > self.used() {
            self.corrupt = true;
            return Err(Corrupt);
        }
        self.head = head;
        debug_assert!(self.used() <= self.place.slots());
        Ok(())
    }
}

/// The reading half of a queue. One there is; it can be sent to another thread, not cloned.
pub struct Receiver<P: Place> {
    place: P,
    /// Ours: the word in the region follows it.
    head: u32,
    /// The writer's, as last seen: `tail - head <= slots` always.
    tail: u32,
    corrupt: bool,
}

impl<P: Place> Receiver<P> {
    /// The reading half of an empty queue whose counts stand at `start`.
    pub(crate) fn new(place: P, start: u32) -> Receiver<P> {
        debug_assert!(place.slots().is_power_of_two());
        Receiver {
            place,
            head: start,
            tail: start,
            corrupt: false,
        }
    }

    /// Copies the oldest record out and gives its slot back. `Ok(false)`: there is none, and `record` is
    /// as it was. Never a system call, unless the writer waits for room and gets it.
    ///
    /// # Errors
    /// [`Corrupt`]: drop the attachment.
    pub fn pop(&mut self, record: &mut Record) -> Result<bool, Corrupt> {
        if self.corrupt {
            return Err(Corrupt);
        }
        if self.waiting() == 0 {
            self.look_at_tail()?;
            if self.waiting() == 0 {
                // Early and without a fence, so it may miss; `sleep` does not.
                wake(&self.place, Word::WriterWaits, P::wake_writer);
                return Ok(false);
            }
        }
        self.place
            .read(self.head & (self.place.slots() - 1), record);
        self.head = self.head.wrapping_add(1);
        // Release: the slot's copy is made before the writer may use it again.
        self.place.store(Word::Head, self.head, Ordering::Release);
        Ok(true)
    }

    /// Announces that this side is about to sleep. `true`: sleep; the writer will make the eventfd
    /// readable. `false`: a record is there after all, go on popping; nothing was announced.
    ///
    /// Call [`Receiver::awake`] after waking, whatever the reason.
    pub fn sleep(&mut self) -> bool {
        if self.corrupt {
            return true; // `pop` has said so; nothing will ever come
        }
        self.place.store(Word::ReaderSleeps, 1, Ordering::Relaxed);
        self.place.fence(); // between our two words and the writer's two; pairs with its fences
        if self.look_at_tail().is_err() || self.waiting() > 0 {
            self.awake();
            return false;
        }
        wake(&self.place, Word::WriterWaits, P::wake_writer);
        true
    }

    /// This side runs again and need not be woken.
    pub fn awake(&mut self) {
        self.place.store(Word::ReaderSleeps, 0, Ordering::Relaxed);
    }

    /// Records that are known to wait.
    fn waiting(&self) -> u32 {
        self.tail.wrapping_sub(self.head)
    }

    /// Takes the writer's count over if it can be: no less than the last one, at most all slots full.
    fn look_at_tail(&mut self) -> Result<(), Corrupt> {
        // Acquire: the slots below this count have their content.
        let tail = self.place.load(Word::Tail, Ordering::Acquire);
        let waiting = tail.wrapping_sub(self.head);
        if waiting < self.waiting() || waiting > self.place.slots() {
            self.corrupt = true;
            return Err(Corrupt);
        }
        self.tail = tail;
        Ok(())
    }
}

/// Wakes the side whose flag is up, and takes the flag down, so that it is woken once.
///
/// Whoever takes the flag down rings: no 0 is ever stored without a ring behind it. (A plain swap would
/// store one over a 0. That seems harmless by the order of read-modify-writes, but the model checker
/// does not follow that order and finds a sleeper; this way there is nothing to argue about.)
fn wake<P: Place>(place: &P, flag: Word, wake: fn(&P)) {
    if place.load(flag, Ordering::Relaxed) != 0 && place.take(flag) {
        wake(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ends::{Receiver, Sender};
    use crate::{Command, EventFd, InProcess, SessionId, in_process};
    use proptest::prelude::*;
    use std::time::Duration;

    /// One command queue of `slots` slots, and the bells of its reader and its writer.
    fn queue(slots: u32) -> (Sender, Receiver, EventFd, EventFd) {
        let InProcess {
            mut shards,
            mut wakers,
            mut controls,
            ready,
            memory: _,
        } = in_process(1, slots).expect("memory");
        let (shard, control) = (shards.remove(0), controls.remove(0));
        (control.commands, shard.commands, wakers.remove(0), ready)
    }

    fn rung(bell: &EventFd) -> bool {
        bell.wait(Some(Duration::ZERO)).expect("a bell")
    }

    fn delete(number: u64) -> Record {
        let mut record = Record::new();
        Command::Delete {
            session: SessionId(number),
        }
        .encode(&mut record)
        .expect("fits");
        record
    }

    fn number(record: &Record) -> u64 {
        match Command::decode(record) {
            Ok(Command::Delete { session }) => session.0,
            other => panic!("not what was pushed: {other:?}"),
        }
    }

    #[test]
    fn a_running_reader_costs_no_system_call_and_a_sleeping_one_is_woken_once() {
        let (mut sender, mut receiver, reader_bell, _) = queue(8);
        sender.push(&delete(1)).expect("room");
        assert!(!rung(&reader_bell));
        assert!(!receiver.sleep(), "a record waits");
        let mut record = Record::new();
        assert_eq!(receiver.pop(&mut record), Ok(true));
        assert!(receiver.sleep());
        sender.push(&delete(2)).expect("room");
        assert!(reader_bell.clear().expect("a bell"));
        sender.push(&delete(3)).expect("room");
        assert!(!rung(&reader_bell), "it was woken already");
        receiver.awake();
        for expected in [2, 3] {
            assert_eq!(receiver.pop(&mut record), Ok(true));
            assert_eq!(number(&record), expected);
        }
        assert_eq!(receiver.pop(&mut record), Ok(false));
        assert_eq!(number(&record), 3, "an empty queue leaves the record alone");
    }

    #[test]
    fn quiet_pushes_wake_nobody_until_told() {
        let (mut sender, mut receiver, reader_bell, _) = queue(8);
        assert!(receiver.sleep());
        sender.push_quiet(&delete(1)).expect("room");
        sender.push_quiet(&delete(2)).expect("room");
        assert!(!rung(&reader_bell));
        sender.wake_if_sleeping();
        assert!(rung(&reader_bell));
    }

    #[test]
    fn a_full_queue_wakes_its_reader_and_then_its_writer() {
        let (mut sender, mut receiver, reader_bell, writer_bell) = queue(2);
        assert!(receiver.sleep());
        sender.push_quiet(&delete(1)).expect("room");
        sender.push_quiet(&delete(2)).expect("room");
        assert_eq!(sender.push_quiet(&delete(3)), Err(PushError::Full));
        assert!(rung(&reader_bell), "quiet or not: nobody else will");
        receiver.awake();
        let mut record = Record::new();
        assert_eq!(receiver.pop(&mut record), Ok(true));
        assert_eq!(receiver.pop(&mut record), Ok(true));
        assert!(!rung(&writer_bell));
        assert!(receiver.sleep());
        assert!(rung(&writer_bell));
        sender.push(&delete(3)).expect("room again");
        assert!(!receiver.sleep());
        assert_eq!(receiver.pop(&mut record), Ok(true));
        assert_eq!(number(&record), 3);
    }

    #[test]
    fn counts_wrap_around_without_a_trace() {
        let (sender, receiver, ..) = queue(4);
        let start = u32::MAX - 5;
        sender.place.store(Word::Head, start, Ordering::Relaxed);
        sender.place.store(Word::Tail, start, Ordering::Relaxed);
        let mut sender = super::Sender::new(sender.place, start);
        let mut receiver = super::Receiver::new(receiver.place, start);
        let mut record = Record::new();
        for round in 0..12 {
            for value in 0..4 {
                sender.push(&delete(round * 4 + value)).expect("room");
            }
            assert_eq!(sender.push(&delete(99)), Err(PushError::Full));
            for value in 0..4 {
                assert_eq!(receiver.pop(&mut record), Ok(true));
                assert_eq!(number(&record), round * 4 + value);
            }
        }
    }

    #[test]
    fn a_nonsense_tail_is_corrupt_for_good() {
        for nonsense in [9, 0x8000_0000, u32::MAX] {
            let (sender, mut receiver, ..) = queue(8);
            sender.place.store(Word::Tail, nonsense, Ordering::Relaxed);
            let mut record = Record::new();
            assert_eq!(receiver.pop(&mut record), Err(Corrupt));
            sender.place.store(Word::Tail, 1, Ordering::Relaxed);
            assert_eq!(receiver.pop(&mut record), Err(Corrupt));
            assert!(receiver.sleep(), "nothing will come: do not spin");
        }
    }

    #[test]
    fn a_nonsense_tail_seen_on_the_way_to_sleep_is_told_by_pop() {
        let (sender, mut receiver, ..) = queue(8);
        sender.place.store(Word::Tail, 9, Ordering::Relaxed);
        assert!(!receiver.sleep());
        assert_eq!(receiver.pop(&mut Record::new()), Err(Corrupt));
        assert!(receiver.sleep());
    }

    #[test]
    fn a_nonsense_head_is_corrupt_for_good() {
        for nonsense in [3, 0x8000_0000, u32::MAX] {
            let (mut sender, receiver, ..) = queue(2);
            sender.push(&delete(1)).expect("room");
            sender.push(&delete(2)).expect("room");
            receiver
                .place
                .store(Word::Head, nonsense, Ordering::Relaxed);
            assert_eq!(sender.push(&delete(3)), Err(PushError::Corrupt));
            receiver.place.store(Word::Head, 1, Ordering::Relaxed);
            assert_eq!(sender.push(&delete(3)), Err(PushError::Corrupt));
        }
    }

    #[test]
    fn a_head_that_goes_back_is_corrupt() {
        let (mut sender, mut receiver, ..) = queue(2);
        let mut record = Record::new();
        for value in 1..=4 {
            sender.push(&delete(value)).expect("room");
            receiver.pop(&mut record).expect("fine");
        }
        sender.push(&delete(5)).expect("room");
        sender.push(&delete(6)).expect("room");
        // The writer has seen 4, and 5 and 6 are waiting: 3 would be a slot given back twice.
        receiver.place.store(Word::Head, 3, Ordering::Relaxed);
        assert_eq!(sender.push(&delete(7)), Err(PushError::Corrupt));
    }

    proptest! {
        #[test]
        fn whatever_the_other_side_writes_ends_in_a_value_or_an_error(
            steps in proptest::collection::vec((0..7u8, any::<u32>(), any::<bool>()), 1..80),
        ) {
            let (mut sender, mut receiver, ..) = queue(4);
            let mut record = Record::new();
            for (step, value, small) in steps {
                let value = if small { value % 8 } else { value };
                match step {
                    0 => sender.place.store(Word::Tail, value, Ordering::Relaxed),
                    1 => receiver.place.store(Word::Head, value, Ordering::Relaxed),
                    2 => sender.place.store(Word::ReaderSleeps, value, Ordering::Relaxed),
                    3 => {
                        record.bytes_mut()[..4].copy_from_slice(&value.to_le_bytes());
                        sender.place.write(value % 4, &record);
                    }
                    4 => drop(sender.push(&delete(value.into()))),
                    5 => drop(receiver.sleep()),
                    _ => drop(receiver.pop(&mut record)),
                }
            }
            // However it ended, a loop over `pop` ends: what was seen to wait before the last lie,
            // and as much again as there are slots.
            for _ in 0..=8 {
                if receiver.pop(&mut record) != Ok(true) {
                    return Ok(());
                }
            }
            prop_assert!(false, "more records than slots");
        }
    }
}
