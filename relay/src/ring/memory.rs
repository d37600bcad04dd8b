//! The memory that octets rest in between a receive and the last send, and the allocator that
//! counts. Both are unsafe by nature; everything above them is not.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;

use crate::buffers::Span;
use crate::limits::{BLOCK_BYTES, BUFFER_BYTES};

/// A mapping of this process's own, zeroed, given back when the last holder is gone.
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    pub(super) fn new(bytes: usize) -> io::Result<Mapping> {
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no
        // memory that exists already.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, bytes })
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `bytes` are those of the mapping made in `new`, and the last holder
        // is going, so nobody can name an address inside any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// All slots of one shard: first the receive buffers, then the blocks.
///
/// A buffer is [`BUFFER_BYTES`] long, a block [`BLOCK_BYTES`]. Who may touch which slot when is counted in
/// [`crate::buffers::Pool`]: the kernel writes only into receive buffers it was given by
/// [`super::Ring::provide`], and those have no holder; the shard reads and writes only spans that
/// it holds.
#[derive(Clone)]
pub struct Memory {
    mapping: Rc<Mapping>,
    buffers: u32,
    blocks: u32,
}

impl Memory {
    /// Maps memory for so many receive buffers and blocks. The pages come into being when first
    /// written to.
    pub fn new(buffers: u16, blocks: u32) -> io::Result<Memory> {
        let buffers = u32::from(buffers);
        let bytes = buffers as usize * BUFFER_BYTES + blocks as usize * BLOCK_BYTES;
        Ok(Memory {
            mapping: Rc::new(Mapping::new(bytes)?),
            buffers,
            blocks,
        })
    }

    /// Address of a span's first octet, for the kernel. Panics if the span lies outside.
    pub(super) fn address(&self, span: Span) -> *mut u8 {
        let end = span.start as usize + span.bytes as usize;
        let (slot, slot_bytes) = match span.slot.checked_sub(self.buffers) {
            None => (span.slot as usize * BUFFER_BYTES, BUFFER_BYTES),
            Some(block) => {
                assert!(block < self.blocks, "{span:?} lies outside of memory");
                let blocks = self.buffers as usize * BUFFER_BYTES;
                (blocks + block as usize * BLOCK_BYTES, BLOCK_BYTES)
            }
        };
        assert!(end <= slot_bytes, "{span:?} lies outside of its slot");
        let offset = slot + span.start as usize;
        // SAFETY: the slot is one of those that the mapping was made for, and the assertion keeps
        // the span within it.
        unsafe { self.mapping.start().add(offset) }
    }

    /// The octets of a span that the caller holds.
    pub fn octets(&self, span: Span) -> &[u8] {
        let address = self.address(span);
        // SAFETY: `address` vouches for the range, and the mapping is initialised (zeroed). The
        // caller holds the slot, so the kernel has no receive under way in it; no `&mut` to it
        // can live, since `octets_mut` borrows the whole of `self`, of which a shard has one and
        // the ring's clone makes no references.
        unsafe { std::slice::from_raw_parts(address, span.bytes as usize) }
    }

    /// The octets of a span that the caller holds, for rewriting in place. They must not be part
    /// of a send under way: the shard rewrites only what it has not queued yet.
    pub fn octets_mut(&mut self, span: Span) -> &mut [u8] {
        let address = self.address(span);
        // SAFETY: as in `octets`; `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(address, span.bytes as usize) }
    }
}

impl Memory {
    /// Copies octets of one slot to another place, which must not overlap.
    pub fn copy(&mut self, from: Span, to: Span) {
        let apart = from.slot != to.slot || from.end() <= to.start || to.end() <= from.start;
        assert!(
            apart && from.bytes == to.bytes,
            "{from:?} cannot be copied to {to:?}"
        );
        let (source, target) = (self.address(from), self.address(to));
        // SAFETY: both ranges lie in the mapping, which `address` vouches for, and do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(source, target, from.bytes as usize) };
    }
}

thread_local! {
    static ALLOCATIONS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// How many allocations this thread has made, and how many octets they asked for.
pub fn allocations_of_this_thread() -> (u64, u64) {
    ALLOCATIONS.with(Cell::get)
}

/// The system's allocator, which counts per thread. The relay promises that a shard allocates
/// nothing on clear-text legs once it runs; this is how it is held to that.
pub struct CountingAllocator;

fn count(bytes: usize) {
    // A thread that is being torn down has no counter any more, and no need of one.
    let _ = ALLOCATIONS.try_with(|cell| {
        let (number, total) = cell.get();
        cell.set((number + 1, total + bytes as u64));
    });
}

// SAFETY: every call goes to the system's allocator with the caller's arguments unchanged, so its
// guarantees are ours; counting touches a thread-local cell without a destructor, and so neither
// allocates nor runs code after it is gone.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` through us, with this `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(bytes);
        // SAFETY: `pointer` came from `System` through us, with this `layout`.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_a_span_is_read_from_it() {
        let mut memory = Memory::new(1, 2).unwrap();
        let span = Span {
            slot: 2,
            start: 5,
            bytes: 4,
        };
        memory.octets_mut(span).copy_from_slice(b"MSRP");
        assert_eq!(memory.octets(span), b"MSRP");
        assert_eq!(
            memory.octets(Span {
                slot: 1,
                start: 5,
                bytes: 4
            }),
            [0; 4]
        );
    }

    #[test]
    #[should_panic(expected = "outside of memory")]
    fn a_span_outside_of_memory_is_a_bug() {
        let memory = Memory::new(1, 1).unwrap();
        memory.octets(Span {
            slot: 2,
            start: 0,
            bytes: 1,
        });
    }

    #[test]
    #[should_panic(expected = "outside of its slot")]
    fn so_is_a_span_that_goes_on_in_the_next_slot() {
        let memory = Memory::new(1, 2).unwrap();
        memory.octets(Span {
            slot: 1,
            start: BLOCK_BYTES as u32 - 1,
            bytes: 2,
        });
    }
}
