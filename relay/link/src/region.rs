//! The shared memory, and the only code that touches it.
//!
//! The region is a sealed memfd: it can neither shrink nor grow, so no access can fault, and its pages
//! are taken from the kernel when it is made. Both processes map all of it for reading and writing and
//! may write at any time whatever they like, so it is only touched through atomics: there is no data
//! race to be had, only values that are checked by whoever uses them. Where what lies: `layout.rs`.

use crate::layout::{HEADER_WORDS, Mismatch, SHARDS_MAX, SLOTS_MAX, Shape, check_build, header_of};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

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

    pub(crate) fn shape(&self) -> Shape {
        self.shape // our own copy, not what the header says by now
    }

    fn header(&self) -> &[AtomicU64; HEADER_WORDS] {
        self.at(0)
    }

    /// The atomics at `offset`. Panics if they are not wholly inside the region, or not aligned.
    pub(crate) fn at<T: Atomics>(&self, offset: usize) -> &T {
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
pub(crate) unsafe trait Atomics {}

// SAFETY: an atomic of every bit pattern.
unsafe impl Atomics for AtomicU32 {}
// SAFETY: an array of atomics of every bit pattern, without gaps.
unsafe impl<const N: usize> Atomics for [AtomicU64; N] {}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{LAYOUT_HASH, MAGIC, VERSION};
    use std::os::unix::fs::MetadataExt;

    const SHAPE: Shape = Shape {
        epoch: 7,
        shards: 2,
        slots: 4,
    };

    /// Opens a region in whose header one word was changed.
    fn open_with(index: usize, value: u64) -> io::Result<Region> {
        let (region, memory) = Region::create(SHAPE).expect("memory");
        region.header()[index].store(value, Ordering::Relaxed);
        Region::open(memory, SHAPE)
    }

    fn sentence(result: io::Result<Region>) -> String {
        match result {
            Ok(_) => panic!("it was opened"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn two_mappings_are_one_memory() {
        let (made, memory) = Region::create(SHAPE).expect("memory");
        let opened = Region::open(memory, SHAPE).expect("the same build");
        let at = SHAPE.bytes().expect("possible") - 8;
        made.at::<[AtomicU64; 1]>(at)[0].store(5, Ordering::Relaxed);
        assert_eq!(
            opened.at::<[AtomicU64; 1]>(at)[0].load(Ordering::Relaxed),
            5
        );
    }

    #[test]
    fn the_size_is_sealed() {
        let (_region, memory) = Region::create(SHAPE).expect("memory");
        let file = File::from(memory);
        let bytes = file.metadata().expect("open").len();
        for other in [0, bytes - 4096, bytes + 4096] {
            let error = file.set_len(other).expect_err("sealed");
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        }
        // SAFETY: no pointer is passed.
        let added = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_WRITE) };
        assert_eq!(added, -1, "no further seal can lock us out");
    }

    #[test]
    fn memory_that_could_shrink_is_refused() {
        let file = memfd().expect("memory");
        file.set_len(SHAPE.bytes().expect("possible") as u64)
            .expect("not sealed");
        let text = sentence(Region::open(file.into(), SHAPE));
        assert!(text.contains("could still change its size"), "{text}");
    }

    #[test]
    fn a_file_that_is_no_memfd_is_refused() {
        let file = File::open("/dev/zero").expect("it is there");
        assert!(Region::open(file.into(), SHAPE).is_err());
    }

    #[test]
    fn another_size_than_announced_is_refused() {
        let (_region, memory) = Region::create(SHAPE).expect("memory");
        let text = sentence(Region::open(memory, Shape { shards: 3, ..SHAPE }));
        assert!(text.contains("bytes instead of"), "{text}");
    }

    #[test]
    fn a_region_of_another_build_is_refused_with_what_differs() {
        let text = sentence(open_with(0, MAGIC + 1));
        assert!(text.contains("no Causeway program"), "{text}");
        let text = sentence(open_with(1, u64::from(VERSION) + 1));
        let (theirs, ours) = (VERSION + 1, VERSION);
        let versions =
            format!("speaks version {theirs} of the link and this program version {ours}");
        assert!(text.contains(&versions), "{text}");
        let text = sentence(open_with(2, LAYOUT_HASH ^ 1));
        assert!(text.contains("laid out differently"), "{text}");
    }

    #[test]
    fn a_region_of_another_attachment_is_refused() {
        let text = sentence(open_with(3, SHAPE.epoch - 1));
        assert!(text.contains("epoch: 6"), "{text}");
        assert!(open_with(4, 1).is_err(), "shards");
        assert!(open_with(5, 8).is_err(), "slots");
        assert!(open_with(6, 1).is_err(), "bytes");
    }

    #[test]
    fn impossible_shapes_are_refused_in_words() {
        for (shards, slots) in [(0, 4), (129, 4), (1, 0), (1, 1), (1, 3), (1, SLOTS_MAX * 2)] {
            let text = sentence(
                Region::create(Shape {
                    epoch: 1,
                    shards,
                    slots,
                })
                .map(|made| made.0),
            );
            assert!(text.contains("a power of two"), "{text}");
        }
    }

    #[test]
    fn the_mapping_goes_with_its_region() {
        let (region, memory) = Region::create(SHAPE).expect("memory");
        let inode = File::from(memory)
            .metadata()
            .expect("open")
            .ino()
            .to_string();
        let mapped = || {
            let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs");
            maps.lines()
                .filter(|line| line.contains("causeway-link"))
                .any(|line| line.split_whitespace().nth(4) == Some(inode.as_str()))
        };
        assert!(mapped());
        drop(region);
        assert!(!mapped());
    }

    #[test]
    #[should_panic(expected = "inside the region")]
    fn nothing_behind_the_region_can_be_named() {
        let (region, _memory) = Region::create(SHAPE).expect("memory");
        region.at::<AtomicU32>(SHAPE.bytes().expect("possible"));
    }
}
