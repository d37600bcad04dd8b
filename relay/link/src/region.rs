//! The shared memory: its layout, and the only code that touches it.
//!
//! ```text
//! page 0            header: magic, version, layout hash, epoch, shards, slots, bytes (u64 each)
//! then, per shard   command queue: a page of words, then the slots
//!                   event queue:   a page of words, then the slots
//!                   counters:      a page
//! ```
//!
//! The region is a sealed memfd: it can neither shrink nor grow, so no access can fault, and its pages
//! are taken from the kernel when it is made. Both processes map all of it for reading and writing and
//! may write at any time whatever they like, so it is only touched through atomics: there is no data
//! race to be had, only values that are checked by whoever uses them.

use crate::counter::Counter;
use crate::eventfd::EventFd;
use crate::queue::{Place, Word};
use crate::record::{RECORD_BYTES, Record};
use crate::{command, event};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::{fmt, io};

/// Which words the two programs speak. Raised with each change of a record's bytes or of their meaning.
pub const VERSION: u32 = 1;

/// Most shards of one relay: their eventfds must fit in one message over the Unix socket.
pub const SHARDS_MAX: usize = 128;

/// Slots of each queue, unless told otherwise. Costs 512 KiB per queue.
pub const SLOTS_DEFAULT: u32 = 256;

/// Most slots of one queue: 64 MiB.
pub const SLOTS_MAX: u32 = 1 << 15;

/// Bytes of a shard's counters page.
pub(crate) const COUNTERS_BYTES: usize = PAGE;

const PAGE: usize = 4096;
const RECORD_WORDS: usize = RECORD_BYTES / 8;
const COUNTER_WORDS: usize = COUNTERS_BYTES / 8;

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

const SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// A mapping of the whole region; unmapped when the last end that lies in it is dropped.
pub(crate) struct Region {
    base: NonNull<u8>,
    bytes: usize,
    shape: Shape,
}

// SAFETY: the mapping is this process's, not a thread's, and all access to it is through atomics by
// `&self`; `base`, `bytes` and `shape` never change. Unmapping is in `drop`, which has the only owner.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Makes a region, and the descriptor by which another process can map it too.
    pub(crate) fn create(shape: Shape) -> io::Result<(Region, OwnedFd)> {
        let bytes = shape.bytes().ok_or_else(|| impossible(shape))?;
        let file = memfd()?;
        file.set_len(bytes as u64)?;
        // SAFETY: no pointer is passed; the descriptor is open for as long as `file` lives.
        let taken = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, bytes as libc::off_t) };
        if taken != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above.
        let sealed = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) };
        if sealed != 0 {
            return Err(io::Error::last_os_error());
        }
        let region = Region::map(&file, bytes, shape)?;
        for (word, value) in region.header().iter().zip(header_of(shape, bytes)) {
            word.store(value, Ordering::Relaxed);
        }
        Ok((region, file.into()))
    }

    /// Maps the region behind `fd`, which must be sealed, of this build, and the one announced.
    pub(crate) fn open(fd: OwnedFd, announced: Shape) -> io::Result<Region> {
        let bytes = announced.bytes().ok_or_else(|| impossible(announced))?;
        let file = File::from(fd);
        // SAFETY: no pointer is passed; the descriptor is open for as long as `file` lives.
        let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
        if seals < 0 {
            return Err(io::Error::last_os_error());
        }
        if seals & SEALS != SEALS {
            return Err(Mismatch::Seals(SEALS & !seals).into());
        }
        let found = file.metadata()?.len(); // can't change any more: it is sealed
        if found != bytes as u64 {
            return Err(Mismatch::Bytes {
                expected: bytes as u64,
                found,
            }
            .into());
        }
        let region = Region::map(&file, bytes, announced)?;
        region.check_header()?;
        Ok(region)
    }

    /// Maps `bytes` of a file that is sealed against shrinking and has as many.
    fn map(file: &File, bytes: usize, shape: Shape) -> io::Result<Region> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours; the
        // descriptor is open for as long as `file` lives, the mapping outlives it.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                file.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Region { base, bytes, shape })
    }

    fn check_header(&self) -> Result<(), Mismatch> {
        // Each word is read once; what is checked is what is reported.
        let [magic, version, layout, epoch, shards, slots, bytes] =
            std::array::from_fn(|index| self.header()[index].load(Ordering::Relaxed));
        check_build(magic, version, layout)?;
        let found = Shape {
            epoch,
            shards: u32::try_from(shards).unwrap_or(u32::MAX),
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
        };
        if found != self.shape {
            return Err(Mismatch::Shape {
                announced: self.shape,
                found,
            });
        }
        if bytes != self.bytes as u64 {
            return Err(Mismatch::Bytes {
                expected: self.bytes as u64,
                found: bytes,
            });
        }
        Ok(())
    }

    fn header(&self) -> &[AtomicU64; HEADER_WORDS] {
        self.at(0)
    }

    /// The atomics at `offset`. Panics if they are not wholly inside the region, or not aligned.
    fn at<T: Atomics>(&self, offset: usize) -> &T {
        assert!(
            offset.is_multiple_of(align_of::<T>()) && offset <= self.bytes - size_of::<T>(),
            "inside the region"
        );
        // SAFETY: `offset` is inside the mapping, by the assertion.
        let place = unsafe { self.base.add(offset) };
        // SAFETY: the assertion has put all of `T` inside the mapping and on its alignment (`base` is
        // a page's start). The mapping lives as long as `self`, and can't fault: its size is sealed and
        // covers it. Every bit pattern is a `T`, and only atomics are ever made there, here as in the
        // other process, so that writing during a read is no data race.
        unsafe { place.cast::<T>().as_ref() }
    }

    /// Where shard `shard`'s part begins, and within it the queue or page wanted.
    fn offset(&self, shard: usize, part: Part) -> usize {
        assert!(shard < self.shape.shards as usize, "a shard of this region");
        let within = match part {
            Part::Commands => 0,
            Part::Events => self.shape.queue_bytes(),
            Part::Counters => 2 * self.shape.queue_bytes(),
        };
        PAGE + shard * self.shape.shard_bytes() + within
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `base` and `bytes` are what `mmap` gave and was given. References into it borrow from
        // `self`, so there is none left.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}

/// Types that are nothing but atomics: valid whatever their bits, and shared without a race.
///
/// # Safety
/// As said: every bit pattern is a value, and all of it is behind atomics.
unsafe trait Atomics {}

// SAFETY: an atomic of every bit pattern.
unsafe impl Atomics for AtomicU32 {}
// SAFETY: an array of atomics of every bit pattern, without gaps.
unsafe impl<const N: usize> Atomics for [AtomicU64; N] {}

const HEADER_WORDS: usize = 7;

fn header_of(shape: Shape, bytes: usize) -> [u64; HEADER_WORDS] {
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

fn impossible(shape: Shape) -> io::Error {
    let Shape { shards, slots, .. } = shape;
    let text = format!(
        "no region has {shards} shards (1 to {SHARDS_MAX}) and {slots} slots \
         (a power of two, 2 to {SLOTS_MAX})"
    );
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Anonymous memory with a descriptor. Not executable where the kernel knows that (6.3 and later).
fn memfd() -> io::Result<File> {
    const FLAGS: libc::c_uint = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a constant with its zero.
    let mut fd = unsafe { libc::memfd_create(NAME.as_ptr(), FLAGS | libc::MFD_NOEXEC_SEAL) };
    if fd < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
        // SAFETY: as above.
        fd = unsafe { libc::memfd_create(NAME.as_ptr(), FLAGS) };
    }
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, so nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

const NAME: &std::ffi::CStr = c"causeway-link";

/// The three parts of a shard's share of the region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Commands,
    Events,
    Counters,
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
        let offset = region.offset(shard, part);
        InRegion {
            region: region.clone(),
            offset,
            reader: reader.clone(),
            writer: writer.clone(),
        }
    }

    fn word(&self, word: Word) -> &AtomicU32 {
        let index = match word {
            Word::Head => 0,
            Word::Tail => 1,
            Word::ReaderSleeps => 2,
            Word::WriterWaits => 3,
        };
        self.region.at(self.offset + index * WORD_STRIDE)
    }

    fn slot(&self, index: u32) -> &[AtomicU64; RECORD_WORDS] {
        debug_assert!(index < self.slots());
        self.region
            .at(self.offset + PAGE + index as usize * RECORD_BYTES)
    }
}

impl Place for InRegion {
    fn slots(&self) -> u32 {
        self.region.shape.slots // our own copy, not the word in the header
    }

    fn load(&self, word: Word, order: Ordering) -> u32 {
        self.word(word).load(order)
    }

    fn store(&self, word: Word, value: u32, order: Ordering) {
        self.word(word).store(value, order);
    }

    fn swap(&self, word: Word, value: u32, order: Ordering) -> u32 {
        self.word(word).swap(value, order)
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

/// One shard's counters in the region.
pub(crate) struct CountersPage {
    region: Arc<Region>,
    offset: usize,
}

impl CountersPage {
    pub(crate) fn new(region: &Arc<Region>, shard: usize) -> CountersPage {
        CountersPage {
            region: region.clone(),
            offset: region.offset(shard, Part::Counters),
        }
    }

    fn words(&self) -> &[AtomicU64; COUNTER_WORDS] {
        self.region.at(self.offset)
    }

    pub(crate) fn store(&self, index: usize, value: u64) {
        self.words()[index].store(value, Ordering::Relaxed);
    }

    pub(crate) fn load(&self, index: usize) -> u64 {
        self.words()[index].load(Ordering::Relaxed)
    }
}
