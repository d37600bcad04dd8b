//! Writing into the caller's buffer, piece by piece.

/// Appends to a buffer, and remembers whether all of it found room.
pub(crate) struct Out<'a> {
    buffer: &'a mut [u8],
    written: usize,
    overflowed: bool,
}

impl<'a> Out<'a> {
    /// An empty `buffer`, to be filled from its start.
    pub(crate) fn new(buffer: &'a mut [u8]) -> Out<'a> {
        Out {
            buffer,
            written: 0,
            overflowed: false,
        }
    }

    /// Appends, unless something had no room, now or before.
    pub(crate) fn push(&mut self, octets: &[u8]) {
        match self
            .buffer
            .get_mut(self.written..self.written + octets.len())
        {
            Some(room) if !self.overflowed => {
                room.copy_from_slice(octets);
                self.written += octets.len();
            }
            _ => self.overflowed = true,
        }
    }

    /// Appends the three digits of a status.
    pub(crate) fn status(&mut self, status: u16) {
        debug_assert!((100..1000).contains(&status));
        let digit = |value: u16| b'0' + (value % 10) as u8;
        self.push(&[digit(status / 100), digit(status / 10), digit(status)]);
    }

    /// Octets written, if all had room.
    pub(crate) fn written(self) -> Option<usize> {
        (!self.overflowed).then_some(self.written)
    }
}
