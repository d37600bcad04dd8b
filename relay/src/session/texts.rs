//! Where a session's paths are kept: a bounded pool of cells in two sizes, taken at start.
//!
//! Most paths are short (one URI, some sixty octets); a few are a kilobyte. So there are many small
//! cells and few large ones, and a text goes into the smallest cell that takes it.

use crate::limits::PATH_BYTES_MAX;

/// Octets of a small cell.
const SMALL_BYTES: usize = 160;

/// Octets of a large cell.
const LARGE_BYTES: usize = PATH_BYTES_MAX;

/// Names a text in the pool. Whoever was given it by [`Texts::put`] gives it back with
/// [`Texts::free`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    large: bool,
    cell: u32,
    bytes: u16,
}

struct Cells {
    cell_bytes: usize,
    octets: Vec<u8>,
    free: Vec<u32>,
    capacity: u32,
}

impl Cells {
    fn new(cell_bytes: usize, capacity: u32) -> Cells {
        Cells {
            cell_bytes,
            octets: Vec::with_capacity(cell_bytes * capacity as usize),
            free: Vec::with_capacity(capacity as usize),
            capacity,
        }
    }

    fn made(&self) -> u32 {
        (self.octets.len() / self.cell_bytes) as u32
    }

    fn used(&self) -> u32 {
        self.made() - self.free.len() as u32
    }

    fn put(&mut self, text: &[u8]) -> Option<u32> {
        let cell = match self.free.pop() {
            Some(cell) => cell,
            None if self.made() < self.capacity => {
                // Within the capacity reserved at start: the memory is touched, not allocated.
                self.octets.resize(self.octets.len() + self.cell_bytes, 0);
                self.made() - 1
            }
            None => return None,
        };
        let start = cell as usize * self.cell_bytes;
        self.octets[start..start + text.len()].copy_from_slice(text);
        Some(cell)
    }

    fn get(&self, cell: u32, bytes: u16) -> &[u8] {
        let start = cell as usize * self.cell_bytes;
        &self.octets[start..start + bytes as usize]
    }
}

/// The pool.
pub struct Texts {
    small: Cells,
    large: Cells,
}

impl Texts {
    /// A pool of so many small and large cells.
    pub fn new(small: u32, large: u32) -> Texts {
        Texts {
            small: Cells::new(SMALL_BYTES, small),
            large: Cells::new(LARGE_BYTES, large),
        }
    }

    /// Keeps a copy of `text`. `None`: longer than [`PATH_BYTES_MAX`], or no cell is free.
    pub fn put(&mut self, text: &[u8]) -> Option<Text> {
        let bytes = text.len() as u16;
        if text.len() <= SMALL_BYTES
            && let Some(cell) = self.small.put(text)
        {
            return Some(Text {
                large: false,
                cell,
                bytes,
            });
        }
        if text.len() > LARGE_BYTES {
            return None;
        }
        Some(Text {
            large: true,
            cell: self.large.put(text)?,
            bytes,
        })
    }

    /// The octets of a text.
    pub fn get(&self, text: Text) -> &[u8] {
        let cells = if text.large { &self.large } else { &self.small };
        cells.get(text.cell, text.bytes)
    }

    /// The octets of a text, to be changed.
    pub fn get_mut(&mut self, text: Text) -> &mut [u8] {
        let cells = if text.large {
            &mut self.large
        } else {
            &mut self.small
        };
        let start = text.cell as usize * cells.cell_bytes;
        &mut cells.octets[start..start + text.bytes as usize]
    }

    /// Gives a text's cell back.
    pub fn free(&mut self, text: Text) {
        let cells = if text.large {
            &mut self.large
        } else {
            &mut self.small
        };
        debug_assert!(
            !cells.free.contains(&text.cell),
            "a text is given back once"
        );
        cells.free.push(text.cell);
    }

    /// Whether a quarter of the small cells is free, so that what can do without need not take one
    /// from a session.
    pub fn has_spare(&self) -> bool {
        self.small.used() <= self.small.capacity / 4 * 3
    }

    /// Cells in use.
    pub fn used(&self) -> u32 {
        self.small.used() + self.large.used()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were_put() {
        let mut texts = Texts::new(2, 1);
        let short = texts.put(b"msrp://a.invalid:2855/x;ws").unwrap();
        let long = texts.put(&[b'x'; 900]).unwrap();
        assert_eq!(texts.get(short), b"msrp://a.invalid:2855/x;ws");
        assert_eq!(texts.get(long), [b'x'; 900]);
        texts.free(short);
        texts.free(long);
        assert_eq!(texts.used(), 0);
    }

    #[test]
    fn a_dry_pool_and_a_text_over_the_limit_are_told_apart_from_success() {
        let mut texts = Texts::new(1, 1);
        assert_eq!(texts.put(&[b'x'; PATH_BYTES_MAX + 1]), None);
        assert!(texts.put(b"a").is_some());
        assert!(
            texts.put(b"b").is_some(),
            "a short text may use a large cell"
        );
        assert_eq!(texts.put(b"c"), None);
    }
}
