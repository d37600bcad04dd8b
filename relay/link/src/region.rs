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
