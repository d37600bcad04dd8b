//! How many of the free receive buffers the kernel is given at a time.
//!
//! The kernel fills buffers in the order in which it was given them. If it had all of them, each
//! receive would go to memory that no cache remembers, and a turn would receive so much that the
//! first of it is forgotten before it is sent. So it is given few, and of those that are free the
//! one that was used last comes first. When they run out, a receive ends and is begun again in the
//! next turn, which costs less than a cold buffer if the buffers came back full, and more if they
//! came back with small messages. So there are more the next time, up to where what they bring
//! would no longer be warm.

use crate::limits::{POSTED_BUFFERS_MIN, WARM_BYTES};

/// Turns after which an amount that was not needed is halved.
const TURNS_TO_SHRINK: u32 = 1024;

/// Which buffers are with the kernel, and which wait here.
pub(super) struct Posting {
    /// Free buffers that the kernel does not have; the last one used is on top.
    reserve: Vec<u16>,
    /// How many the kernel has.
    posted: u16,
    /// How many it is to have.
    target: u16,
    buffers: u16,
    /// Filled in this turn, and with how much.
    filled: u16,
    filled_bytes: u32,
    /// With how much each was of late.
    fill_bytes: u32,
    /// The kernel found none.
    ran_out: bool,
    /// The most filled in one turn since the window began.
    filled_max: u16,
    turns: u32,
}

impl Posting {
    /// All buffers are free and here.
    pub(super) fn new(buffers: u16) -> Posting {
        Posting {
            reserve: (0..buffers).rev().collect(),
            posted: 0,
            target: POSTED_BUFFERS_MIN.min(buffers),
            buffers,
            filled: 0,
            filled_bytes: 0,
            fill_bytes: 0,
            ran_out: false,
            filled_max: 0,
            turns: 0,
        }
    }

    /// A buffer is free again.
    pub(super) fn free(&mut self, buffer: u16) {
        self.reserve.push(buffer);
    }

    /// The kernel has filled one of its buffers.
    pub(super) fn filled(&mut self, bytes: u32) {
        self.posted -= 1;
        self.filled += 1;
        self.filled_bytes += bytes;
    }

    /// The kernel had none for somebody.
    pub(super) fn ran_out(&mut self) {
        self.ran_out = true;
    }

    /// A turn ends: decides how many the kernel is to have during the next.
    pub(super) fn turn(&mut self) {
        if let Some(fill_bytes) = self.filled_bytes.checked_div(self.filled.into()) {
            self.fill_bytes = (7 * self.fill_bytes + fill_bytes) / 8;
        }
        if self.ran_out {
            self.target = self.target.saturating_mul(2);
            self.turns = 0;
            self.filled_max = 0;
        }
        self.filled_max = self.filled_max.max(self.filled);
        (self.filled, self.filled_bytes, self.ran_out) = (0, 0, false);
        self.turns += 1;
        if self.turns == TURNS_TO_SHRINK {
            if self.filled_max < self.target / 4 {
                self.target /= 2;
            }
            (self.turns, self.filled_max) = (0, 0);
        }
        let warm = WARM_BYTES / self.fill_bytes.max(1);
        let most = u16::try_from(warm).unwrap_or(u16::MAX);
        self.target = self
            .target
            .min(most)
            .max(POSTED_BUFFERS_MIN)
            .min(self.buffers);
    }

    /// The next buffer to give to the kernel before it is entered, if it is to have one more.
    pub(super) fn next(&mut self) -> Option<u16> {
        if self.posted >= self.target {
            return None;
        }
        let buffer = self.reserve.pop()?;
        self.posted += 1;
        Some(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DATA_BYTES;

    fn fill(posting: &mut Posting) -> Vec<u16> {
        std::iter::from_fn(|| posting.next()).collect()
    }

    #[test]
    fn the_buffer_used_last_is_the_next_one_to_be_used() {
        let mut posting = Posting::new(1024);
        let posted = fill(&mut posting);
        assert_eq!(posted.len(), usize::from(POSTED_BUFFERS_MIN));
        posting.filled(300);
        posting.filled(300);
        posting.free(posted[0]);
        posting.free(posted[1]);
        posting.turn();
        assert_eq!(fill(&mut posting), [posted[1], posted[0]]);
    }

    #[test]
    fn small_messages_get_more_buffers_until_all_are_posted() {
        let mut posting = Posting::new(256);
        let mut had = 0;
        for _ in 0..10 {
            let posted = fill(&mut posting);
            had = posting.posted;
            for buffer in posted {
                posting.filled(300);
                posting.free(buffer);
            }
            posting.ran_out();
            posting.turn();
        }
        assert_eq!(had, 256);
    }

    #[test]
    fn a_turn_of_large_chunks_stays_warm() {
        let mut posting = Posting::new(1024);
        for _ in 0..100 {
            for buffer in fill(&mut posting) {
                posting.filled(DATA_BYTES as u32);
                posting.free(buffer);
            }
            posting.ran_out();
            posting.turn();
        }
        assert_eq!(posting.target, POSTED_BUFFERS_MIN);
    }

    #[test]
    fn what_small_messages_needed_is_taken_back_when_large_ones_come() {
        let mut posting = Posting::new(1024);
        posting.target = 1024;
        for _ in 0..100 {
            for buffer in fill(&mut posting) {
                posting.filled(40_000);
                posting.free(buffer);
            }
            posting.ran_out();
            posting.turn();
        }
        assert!(posting.target >= POSTED_BUFFERS_MIN);
        assert!(u32::from(posting.target) * 40_000 <= WARM_BYTES + 40_000);
    }

    #[test]
    fn what_is_not_needed_any_more_is_taken_back_in_steps() {
        let mut posting = Posting::new(1024);
        posting.target = 1024;
        for _ in 0..10 * TURNS_TO_SHRINK {
            posting.turn();
        }
        assert_eq!(posting.target, POSTED_BUFFERS_MIN);
    }

    #[test]
    fn every_buffer_is_in_one_place() {
        let mut posting = Posting::new(64);
        posting.target = 64;
        let all = fill(&mut posting);
        assert_eq!(all.len(), 64);
        assert_eq!(posting.next(), None);
        (0..64).for_each(|_| posting.filled(1));
        assert_eq!(posting.next(), None, "all are held");
        posting.free(7);
        assert_eq!(posting.next(), Some(7));
    }
}
