//! The ends of queues and counters as they lie in a region: what a program holds in its hands.
//!
//! A shard counts in memory of its own and publishes all counters into the region now and then; control
//! reads them there. Each is one word: readers see each one whole, but not all of the same instant.

use crate::counter::Counter;
use crate::eventfd::EventFd;
use crate::layout::{COUNTER_WORDS, Part, slot_offset, word_offset};
use crate::queue::{self, Place, Word};
use crate::record::{RECORD_BYTES, Record};
use crate::region::Region;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

const RECORD_WORDS: usize = RECORD_BYTES / 8;

/// The writing half of a queue in a region.
pub type Sender = queue::Sender<InRegion>;

/// The reading half of a queue in a region.
pub type Receiver = queue::Receiver<InRegion>;

/// One shard's half of its queues. Can be sent to the shard's thread; can't be cloned.
pub struct ShardEnd {
    /// What control wants.
    pub commands: Receiver,
    /// What control is told.
    pub events: Sender,
    /// What control can read at any time.
    pub counters: CountersWriter,
}

/// Control's half of one shard's queues. Can be sent to another thread; can't be cloned.
pub struct ControlEnd {
    /// What the shard is to do.
    pub commands: Sender,
    /// What the shard tells.
    pub events: Receiver,
    /// What the shard counts.
    pub counters: CountersReader,
}

/// The relay's ends of a region that is new.
pub(crate) fn shard_ends(
    region: &Arc<Region>,
    control: &Arc<EventFd>,
    shards: &[Arc<EventFd>],
) -> Vec<ShardEnd> {
    (shards.iter().enumerate())
        .map(|(index, shard)| ShardEnd {
            commands: Receiver::new(
                InRegion::new(region, index, Part::Commands, [shard, control]),
                0,
            ),
            events: Sender::new(
                InRegion::new(region, index, Part::Events, [control, shard]),
                0,
            ),
            counters: CountersWriter::new(region, index),
        })
        .collect()
}

/// Control's ends of a region that is new.
pub(crate) fn control_ends(
    region: &Arc<Region>,
    control: &Arc<EventFd>,
    shards: &[Arc<EventFd>],
) -> Vec<ControlEnd> {
    (shards.iter().enumerate())
        .map(|(index, shard)| ControlEnd {
            commands: Sender::new(
                InRegion::new(region, index, Part::Commands, [shard, control]),
                0,
            ),
            events: Receiver::new(
                InRegion::new(region, index, Part::Events, [control, shard]),
                0,
            ),
            counters: CountersReader::new(region, index),
        })
        .collect()
}

/// One queue in the region, with the bells of its two sides.
pub struct InRegion {
    region: Arc<Region>,
    offset: usize,
    reader: Arc<EventFd>,
    writer: Arc<EventFd>,
}

impl InRegion {
    pub(crate) fn new(
        region: &Arc<Region>,
        shard: usize,
        part: Part,
        [reader, writer]: [&Arc<EventFd>; 2],
    ) -> InRegion {
        debug_assert!(part != Part::Counters);
        let offset = region.shape().offset(shard, part);
        InRegion {
            region: region.clone(),
            offset,
            reader: reader.clone(),
            writer: writer.clone(),
        }
    }

    fn word(&self, word: Word) -> &AtomicU32 {
        self.region.at(self.offset + word_offset(word))
    }

    fn slot(&self, index: u32) -> &[AtomicU64; RECORD_WORDS] {
        debug_assert!(index < self.slots());
        self.region.at(self.offset + slot_offset(index))
    }
}

impl Place for InRegion {
    fn slots(&self) -> u32 {
        self.region.shape().slots
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
        let (words, _) = record.bytes().as_chunks::<8>();
        for (to, from) in self.slot(index).iter().zip(words).take(record.words()) {
            to.store(u64::from_ne_bytes(*from), Ordering::Relaxed);
        }
    }

    fn read(&self, index: u32, record: &mut Record) {
        let slot = self.slot(index);
        // The first word has the length. From here on only our copy of it counts.
        record.bytes_mut()[..8].copy_from_slice(&slot[0].load(Ordering::Relaxed).to_ne_bytes());
        let count = record.words();
        let (words, _) = record.bytes_mut().as_chunks_mut::<8>();
        for (to, from) in words.iter_mut().zip(slot).take(count).skip(1) {
            *to = from.load(Ordering::Relaxed).to_ne_bytes();
        }
    }

    fn wake_reader(&self) {
        self.reader.ring();
    }

    fn wake_writer(&self) {
        self.writer.ring();
    }
}

/// The relay's half of one shard's counters page.
pub struct CountersWriter(CountersPage);

impl CountersWriter {
    pub(crate) fn new(region: &Arc<Region>, shard: usize) -> CountersWriter {
        CountersWriter(CountersPage::new(region, shard))
    }

    /// Makes `values` visible to control; `values[counter.index()]` is the value of `counter`. What is
    /// longer than [`Counter::COUNT`] is cut off, what is shorter leaves the rest as it was.
    pub fn publish(&mut self, values: &[u64]) {
        for (index, value) in values.iter().take(Counter::COUNT).enumerate() {
            self.0.store(index, *value);
        }
    }
}

/// Control's half of one shard's counters page.
pub struct CountersReader(CountersPage);

impl CountersReader {
    pub(crate) fn new(region: &Arc<Region>, shard: usize) -> CountersReader {
        CountersReader(CountersPage::new(region, shard))
    }

    /// What the shard last published; `[counter.index()]` is the value of `counter`.
    pub fn snapshot(&self) -> [u64; Counter::COUNT] {
        std::array::from_fn(|index| self.0.load(index))
    }

    /// What the shard last published of one counter.
    pub fn read(&self, counter: Counter) -> u64 {
        self.0.load(counter.index())
    }
}

/// One shard's counters in the region.
struct CountersPage {
    region: Arc<Region>,
    offset: usize,
}

impl CountersPage {
    fn new(region: &Arc<Region>, shard: usize) -> CountersPage {
        CountersPage {
            region: region.clone(),
            offset: region.shape().offset(shard, Part::Counters),
        }
    }

    fn words(&self) -> &[AtomicU64; COUNTER_WORDS] {
        self.region.at(self.offset)
    }

    fn store(&self, index: usize, value: u64) {
        self.words()[index].store(value, Ordering::Relaxed);
    }

    fn load(&self, index: usize) -> u64 {
        self.words()[index].load(Ordering::Relaxed)
    }
}
