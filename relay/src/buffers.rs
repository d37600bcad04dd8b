//! Who holds which slot of memory. Pure counting: the memory itself is `ring`'s.
//!
//! Slots are numbered through: receive buffers first, then blocks. A receive buffer belongs to the
//! kernel until a receive brings it; then it is held by the connection's input and by each piece
//! that still has to go out. A block holds what has no other place: an unfinished head, or what we
//! write ourselves (the *arena*). When the last holder lets go, a buffer goes back to the kernel
//! and a block to the pool.

/// Octets of one slot. Only its holder may touch them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which slot.
    pub slot: u32,
    /// Where in it, in octets from its beginning (headroom included).
    pub start: u32,
    /// How many octets.
    pub bytes: u32,
}

impl Span {
    /// One past the last octet.
    pub fn end(&self) -> u32 {
        self.start + self.bytes
    }
}

/// What has become of a slot that a holder let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// Others still hold it.
    Held,
    /// A receive buffer without holder: give it back to the kernel.
    Buffer(u16),
    /// A block without holder: it is back in the pool.
    Block,
}

/// The counts of one shard.
pub struct Pool {
    buffers: u32,
    holders: Box<[u16]>,
    blocks_free: Vec<u32>,
    blocks: u32,
    blocks_held_max: u32,
    buffers_held: u32,
    buffers_held_max: u32,
}

impl Pool {
    /// A pool of receive buffers, all with the kernel, and blocks, all free.
    pub fn new(buffers: u16, blocks: u32) -> Pool {
        let buffers = buffers as u32;
        Pool {
            buffers,
            holders: vec![0; (buffers + blocks) as usize].into(),
            blocks_free: (buffers..buffers + blocks).rev().collect(),
            blocks,
            blocks_held_max: 0,
            buffers_held: 0,
            buffers_held_max: 0,
        }
    }

    /// A receive has brought this buffer; the caller is its first holder.
    pub fn received(&mut self, buffer: u16) {
        let count = &mut self.holders[buffer as usize];
        assert_eq!(
            *count, 0,
            "the kernel filled buffer {buffer}, which was held"
        );
        *count = 1;
        self.buffers_held += 1;
        self.buffers_held_max = self.buffers_held_max.max(self.buffers_held);
    }

    /// Takes a block; the caller is its first holder. `None` when all are held.
    pub fn take_block(&mut self) -> Option<u32> {
        let slot = self.blocks_free.pop()?;
        self.holders[slot as usize] = 1;
        self.blocks_held_max = self.blocks_held_max.max(self.blocks_held());
        Some(slot)
    }

    /// One more holder of a slot that is held.
    pub fn hold(&mut self, slot: u32) {
        let count = &mut self.holders[slot as usize];
        assert!(*count > 0, "slot {slot} has no holder to share it");
        *count += 1;
    }

    /// One holder lets go.
    #[must_use = "a buffer without holder goes back to the kernel"]
    pub fn release(&mut self, slot: u32) -> Released {
        let count = &mut self.holders[slot as usize];
        assert!(*count > 0, "slot {slot} was let go by nobody");
        *count -= 1;
        if *count > 0 {
            return Released::Held;
        }
        if slot < self.buffers {
            self.buffers_held -= 1;
            return Released::Buffer(slot as u16);
        }
        self.blocks_free.push(slot);
        Released::Block
    }

    /// How many hold a slot.
    pub fn holders(&self, slot: u32) -> u16 {
        self.holders[slot as usize]
    }

    /// Receive buffers that are not with the kernel.
    pub fn buffers_held(&self) -> u32 {
        self.buffers_held
    }

    /// The most there have been.
    pub fn buffers_held_max(&self) -> u32 {
        self.buffers_held_max
    }

    /// Blocks in use.
    pub fn blocks_held(&self) -> u32 {
        self.blocks - self.blocks_free.len() as u32
    }

    /// The most there have been.
    pub fn blocks_held_max(&self) -> u32 {
        self.blocks_held_max
    }

    /// Blocks to be had.
    pub fn blocks_free(&self) -> u32 {
        self.blocks_free.len() as u32
    }
}

/// The end of no queue.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Node {
    span: Span,
    next: u32,
}

/// First-in first-out list of spans, each of which is a holder of its slot. The links are in
/// [`Pieces`].
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    first: u32,
    last: u32,
    pieces: u32,
    octets: u64,
}

impl Queue {
    /// A queue with nothing in it.
    pub const EMPTY: Queue = Queue {
        first: NONE,
        last: NONE,
        pieces: 0,
        octets: 0,
    };

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.pieces == 0
    }

    /// How many spans wait. Each holds a slot, so this times the slot's size is the memory held.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// How many octets wait.
    pub fn octets(&self) -> u64 {
        self.octets
    }
}

/// The links of all queues of a shard.
pub struct Pieces {
    nodes: Vec<Node>,
    free: u32,
    used: u32,
    capacity: u32,
}

impl Pieces {
    /// Room for so many spans in all queues together.
    pub fn new(capacity: u32) -> Pieces {
        Pieces {
            nodes: Vec::with_capacity(capacity as usize),
            free: NONE,
            used: 0,
            capacity,
        }
    }

    /// Spans in all queues together.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Spans that can still be queued.
    pub fn free(&self) -> u32 {
        self.capacity - self.used
    }

    /// Appends a span, which brings its holder along. The caller has looked for room.
    pub fn push(&mut self, queue: &mut Queue, span: Span) {
        assert!(
            self.used < self.capacity,
            "room for pieces is looked for first"
        );
        self.used += 1;
        let node = Node { span, next: NONE };
        let index = if self.free == NONE {
            self.nodes.push(node);
            self.nodes.len() as u32 - 1
        } else {
            let index = self.free;
            self.free = self.nodes[index as usize].next;
            self.nodes[index as usize] = node;
            index
        };
        match queue.last {
            NONE => queue.first = index,
            last => self.nodes[last as usize].next = index,
        }
        queue.last = index;
        queue.pieces += 1;
        queue.octets += span.bytes as u64;
    }

    /// The first span.
    pub fn first(&self, queue: &Queue) -> Option<Span> {
        (queue.first != NONE).then(|| self.nodes[queue.first as usize].span)
    }

    /// The last span, if the queue holds more than `taken` (those are being sent already).
    pub fn last_mut(&mut self, queue: &Queue, taken: u32) -> Option<&mut Span> {
        (queue.pieces > taken).then(|| &mut self.nodes[queue.last as usize].span)
    }

    /// Lets the queue's last span grow by `bytes` at its end.
    pub fn grow_last(&mut self, queue: &mut Queue, bytes: u32) {
        assert!(queue.last != NONE);
        self.nodes[queue.last as usize].span.bytes += bytes;
        queue.octets += bytes as u64;
    }

    /// Drops `bytes` octets from the front of the first span.
    pub fn shorten_first(&mut self, queue: &mut Queue, bytes: u32) {
        let span = &mut self.nodes[queue.first as usize].span;
        assert!(bytes < span.bytes);
        span.start += bytes;
        span.bytes -= bytes;
        queue.octets -= bytes as u64;
    }

    /// Takes the first span out; its holder goes to the caller.
    pub fn pop(&mut self, queue: &mut Queue) -> Option<Span> {
        let index = queue.first;
        if index == NONE {
            return None;
        }
        let node = self.nodes[index as usize];
        queue.first = node.next;
        if node.next == NONE {
            queue.last = NONE;
        }
        queue.pieces -= 1;
        queue.octets -= node.span.bytes as u64;
        self.nodes[index as usize].next = self.free;
        self.free = index;
        self.used -= 1;
        Some(node.span)
    }

    /// Moves all of `from` to the end of `to`.
    pub fn append(&mut self, to: &mut Queue, from: &mut Queue) {
        if from.is_empty() {
            return;
        }
        match to.last {
            NONE => to.first = from.first,
            last => self.nodes[last as usize].next = from.first,
        }
        to.last = from.last;
        to.pieces += from.pieces;
        to.octets += from.octets;
        *from = Queue::EMPTY;
    }

    /// The queue's spans in order.
    pub fn iter(&self, queue: &Queue) -> impl Iterator<Item = Span> {
        let mut at = queue.first;
        std::iter::from_fn(move || {
            if at == NONE {
                return None;
            }
            let node = self.nodes[at as usize];
            at = node.next;
            Some(node.span)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(slot: u32, bytes: u32) -> Span {
        Span {
            slot,
            start: 0,
            bytes,
        }
    }

    #[test]
    fn a_buffer_goes_back_to_the_kernel_with_its_last_holder() {
        let mut pool = Pool::new(4, 1);
        pool.received(2);
        pool.hold(2);
        assert_eq!(pool.release(2), Released::Held);
        assert_eq!(pool.buffers_held(), 1);
        assert_eq!(pool.release(2), Released::Buffer(2));
        assert_eq!((pool.buffers_held(), pool.buffers_held_max()), (0, 1));
    }

    #[test]
    fn blocks_run_out_and_come_back() {
        let mut pool = Pool::new(4, 1);
        let block = pool.take_block().unwrap();
        assert_eq!(block, 4);
        assert_eq!(pool.take_block(), None);
        assert_eq!(pool.release(block), Released::Block);
        assert_eq!(pool.take_block(), Some(block));
    }

    #[test]
    #[should_panic(expected = "let go by nobody")]
    fn letting_go_twice_is_a_bug() {
        let mut pool = Pool::new(2, 0);
        pool.received(0);
        let _ = pool.release(0);
        let _ = pool.release(0);
    }

    #[test]
    fn a_queue_keeps_order_and_counts_octets() {
        let mut pieces = Pieces::new(4);
        let (mut one, mut two) = (Queue::EMPTY, Queue::EMPTY);
        pieces.push(&mut one, span(0, 10));
        pieces.push(&mut two, span(1, 1));
        pieces.push(&mut one, span(2, 5));
        pieces.grow_last(&mut one, 2);
        assert_eq!((one.pieces(), one.octets(), pieces.free()), (2, 17, 1));
        pieces.shorten_first(&mut one, 4);
        pieces.append(&mut two, &mut one);
        assert!(one.is_empty());
        let order: Vec<_> = pieces.iter(&two).map(|s| (s.slot, s.bytes)).collect();
        assert_eq!(order, [(1, 1), (0, 6), (2, 7)]);
        while pieces.pop(&mut two).is_some() {}
        assert_eq!((two.octets(), pieces.free()), (0, 4));
    }
}
