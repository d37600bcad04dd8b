//! Where a session's paths are kept: a bounded pool of cells in a few sizes, taken at start.
//!
//! Most paths are short (one URI, some fifty octets); a few are a kilobyte. So there are many small
//! cells and few large ones, and a text goes into the smallest cell that takes it.

use crate::limits::PATH_BYTES_MAX;

/// Octets of a cell, smallest first: a URI with an address in it; the same with the resource of a
/// WebSocket behind it; one with long names; the longest path.
const CELL_BYTES: [usize; 4] = [64, 96, 160, PATH_BYTES_MAX];

/// Names a text in the pool. Whoever was given it by [`Texts::put`] gives it back with
/// [`Texts::free`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// Which of [`CELL_BYTES`].
    size: u8,
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
    cells: [Cells; CELL_BYTES.len()],
}

impl Texts {
    /// A pool of so many cells of each size but the largest, of which there are fewer. Memory is touched
    /// as cells are used.
    pub fn new(each: u32, largest: u32) -> Texts {
        Texts {
            cells: CELL_BYTES.map(|bytes| match bytes {
                PATH_BYTES_MAX => Cells::new(bytes, largest),
                _ => Cells::new(bytes, each),
            }),
        }
    }

    /// Keeps a copy of `text`. `None`: longer than [`PATH_BYTES_MAX`], or no cell is free.
    pub fn put(&mut self, text: &[u8]) -> Option<Text> {
        let cells = self.cells.iter_mut().enumerate();
        let mut fitting = cells.filter(|(_, cells)| text.len() <= cells.cell_bytes);
        fitting.find_map(|(size, cells)| {
            Some(Text {
                size: size as u8,
                cell: cells.put(text)?,
                bytes: text.len() as u16,
            })
        })
    }

    /// The octets of a text.
    pub fn get(&self, text: Text) -> &[u8] {
        self.cells[usize::from(text.size)].get(text.cell, text.bytes)
    }

    /// The octets of a text, to be changed.
    pub fn get_mut(&mut self, text: Text) -> &mut [u8] {
        let cells = &mut self.cells[usize::from(text.size)];
        let start = text.cell as usize * cells.cell_bytes;
        &mut cells.octets[start..start + text.bytes as usize]
    }

    /// Gives a text's cell back.
    pub fn free(&mut self, text: Text) {
        let cells = &mut self.cells[usize::from(text.size)];
        debug_assert!(
            !cells.free.contains(&text.cell),
            "a text is given back once"
        );
        cells.free.push(text.cell);
    }

    /// Whether a quarter of the cells of every size but the largest is free, so that what can do without
    /// need not take one from a session.
    pub fn has_spare(&self) -> bool {
        let common = &self.cells[..CELL_BYTES.len() - 1];
        common
            .iter()
            .all(|cells| cells.used() <= cells.capacity / 4 * 3)
    }

    /// Cells in use.
    pub fn used(&self) -> u32 {
        self.cells.iter().map(Cells::used).sum()
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
    fn a_text_takes_the_smallest_cell_that_holds_it() {
        let mut texts = Texts::new(4, 4);
        for (size, bytes) in CELL_BYTES.into_iter().enumerate() {
            for length in [CELL_BYTES[..size].last().map_or(0, |less| less + 1), bytes] {
                let text = texts.put(&vec![b'x'; length]).unwrap();
                assert_eq!(usize::from(text.size), size, "{length} octets");
                assert_eq!(texts.get(text).len(), length);
            }
        }
    }

    #[test]
    fn a_dry_pool_and_a_text_over_the_limit_are_told_apart_from_success() {
        let mut texts = Texts::new(1, 1);
        assert_eq!(texts.put(&[b'x'; PATH_BYTES_MAX + 1]), None);
        for _ in CELL_BYTES {
            assert!(
                texts.put(b"a").is_some(),
                "a short text may use a larger cell"
            );
        }
        assert_eq!(texts.put(b"c"), None);
    }
}
