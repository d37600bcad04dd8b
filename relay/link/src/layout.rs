//! Where everything lies in a region, and which build lays it out so.
//!
//! ```text
//! page 0            header: magic, version, layout hash, epoch, shards, slots, bytes (u64 each)
//! then, per shard   command queue: a page of words, then the slots
//!                   event queue:   a page of words, then the slots
//!                   counters:      a page
//! ```

use crate::counter::Counter;
use crate::queue::Word;
use crate::record::RECORD_BYTES;
use crate::{command, event, leg_spec};
use std::{fmt, io};

/// Which words the two programs speak. Raised with each change of a record's bytes or of their meaning.
pub const VERSION: u32 = 3;

/// Most shards of one relay: their eventfds must fit in one message over the Unix socket.
pub const SHARDS_MAX: usize = 128;

/// Slots of each queue, unless told otherwise. Costs 512 KiB per queue.
pub const SLOTS_DEFAULT: u32 = 256;

/// Most slots of one queue: 64 MiB.
pub const SLOTS_MAX: u32 = 1 << 15;

const PAGE: usize = 4096;

/// Bytes of a shard's counters page.
const COUNTERS_BYTES: usize = PAGE;

/// Words in a shard's counters page.
pub(crate) const COUNTER_WORDS: usize = COUNTERS_BYTES / 8;

const _: () = assert!(
    Counter::COUNT <= COUNTER_WORDS,
    "all counters fit in one page"
);

/// Two cache lines: the processor fetches them in pairs.
const WORD_STRIDE: usize = 128;

/// "causeway", read as a little-endian number.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"causeway");

/// A number that differs when the layout of the region or the shape of a record differs.
pub const LAYOUT_HASH: u64 = layout_hash();

const fn layout_hash() -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325; // FNV-1a
    hash = fnv(hash, &VERSION.to_le_bytes());
    hash = fnv(hash, &(RECORD_BYTES as u32).to_le_bytes());
    hash = fnv(hash, &(PAGE as u32).to_le_bytes());
    hash = fnv(hash, &(WORD_STRIDE as u32).to_le_bytes());
    hash = fnv(hash, leg_spec::SPEC_SHAPE.as_bytes());
    hash = fnv(hash, leg_spec::IDENTITY_SHAPE.as_bytes());
    hash = fnv(hash, command::SHAPE.as_bytes());
    hash = fnv(hash, event::SHAPE.as_bytes());
    let mut index = 0;
    while index < Counter::COUNT {
        hash = fnv(hash, Counter::ALL[index].name().as_bytes());
        hash = fnv(hash, b";");
        index += 1;
    }
    hash
}

const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

/// How large a region is and which attachment it belongs to. The same in its header and on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) epoch: u64,
    pub(crate) shards: u32,
    pub(crate) slots: u32,
}

impl Shape {
    /// Bytes of the whole region, or `None` if there can be no such region.
    pub(crate) fn bytes(self) -> Option<usize> {
        let shards = self.shards as usize;
        let possible = (1..=SHARDS_MAX).contains(&shards)
            && (2..=SLOTS_MAX).contains(&self.slots)
            && self.slots.is_power_of_two();
        possible.then(|| PAGE + shards * self.shard_bytes())
    }

    /// Where a part of a shard's share begins. `shard` is one of this shape's.
    pub(crate) fn offset(self, shard: usize, part: Part) -> usize {
        assert!(shard < self.shards as usize, "a shard of this region");
        let within = match part {
            Part::Commands => 0,
            Part::Events => self.queue_bytes(),
            Part::Counters => 2 * self.queue_bytes(),
        };
        PAGE + shard * self.shard_bytes() + within
    }

    fn queue_bytes(self) -> usize {
        PAGE + self.slots as usize * RECORD_BYTES
    }

    fn shard_bytes(self) -> usize {
        2 * self.queue_bytes() + COUNTERS_BYTES
    }
}

/// Why a region, or the program that offers it, does not fit this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// It is not of this family at all.
    Magic(u64),
    Version(u32),
    Layout(u64),
    /// It is not the region that was announced.
    Shape {
        announced: Shape,
        found: Shape,
    },
    Bytes {
        expected: u64,
        found: u64,
    },
    /// Bits that are missing.
    Seals(i32),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Mismatch::Magic(magic) => {
                write!(
                    f,
                    "its first word is {magic:#018x}, so it is no Causeway program"
                )
            }
            Mismatch::Version(version) => write!(
                f,
                "it speaks version {version} of the link and this program version {VERSION}: \
                 run causeway and causeway-relay of the same release"
            ),
            Mismatch::Layout(hash) => write!(
                f,
                "both speak version {VERSION} of the link, but its counters or records are laid out \
                 differently (layout {hash:#018x}, here {LAYOUT_HASH:#018x}): run causeway and \
                 causeway-relay of the same build"
            ),
            Mismatch::Shape { announced, found } => {
                write!(
                    f,
                    "the region is {found:?}, but {announced:?} was announced"
                )
            }
            Mismatch::Bytes { expected, found } => {
                write!(f, "the region has {found} bytes instead of {expected}")
            }
            Mismatch::Seals(missing) => {
                write!(
                    f,
                    "the region could still change its size (seals {missing:#x} are missing)"
                )
            }
        }
    }
}

impl std::error::Error for Mismatch {}

impl From<Mismatch> for io::Error {
    fn from(mismatch: Mismatch) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, mismatch)
    }
}

/// Compares what every Causeway program begins with: magic, version, layout hash.
pub(crate) fn check_build(magic: u64, version: u64, layout: u64) -> Result<(), Mismatch> {
    if magic != MAGIC {
        Err(Mismatch::Magic(magic))
    } else if version != u64::from(VERSION) {
        Err(Mismatch::Version(
            u32::try_from(version).unwrap_or(u32::MAX),
        ))
    } else if layout != LAYOUT_HASH {
        Err(Mismatch::Layout(layout))
    } else {
        Ok(())
    }
}

/// Words of the header.
pub(crate) const HEADER_WORDS: usize = 7;

/// What the header of a region says.
pub(crate) fn header_of(shape: Shape, bytes: usize) -> [u64; HEADER_WORDS] {
    let Shape {
        epoch,
        shards,
        slots,
    } = shape;
    [
        MAGIC,
        VERSION.into(),
        LAYOUT_HASH,
        epoch,
        shards.into(),
        slots.into(),
        bytes as u64,
    ]
}

/// The three parts of a shard's share of the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Commands,
    Events,
    Counters,
}

/// Where in a queue one of its words lies: each on cache lines of its own, as they have two writers.
pub(crate) fn word_offset(word: Word) -> usize {
    let index = match word {
        Word::Head => 0,
        Word::Tail => 1,
        Word::ReaderSleeps => 2,
        Word::WriterWaits => 3,
    };
    index * WORD_STRIDE
}

/// Where in a queue a slot lies.
pub(crate) fn slot_offset(index: u32) -> usize {
    PAGE + index as usize * RECORD_BYTES
}
