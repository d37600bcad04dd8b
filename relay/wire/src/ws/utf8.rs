//! Checks that a text message, which comes in pieces, is UTF-8. RFC 6455, 8.1.

/// The beginning of a character that the last piece ended in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    begun: [u8; 4],
    len: u8,
}

impl Utf8 {
    /// Takes the next piece; false if the text can't be UTF-8 any more.
    pub(super) fn take(&mut self, mut piece: &[u8]) -> bool {
        while self.len > 0 {
            let Some((&octet, rest)) = piece.split_first() else {
                return true;
            };
            piece = rest;
            let len = usize::from(self.len);
            self.begun[len] = octet;
            match str::from_utf8(&self.begun[..=len]) {
                Ok(_) => self.len = 0,
                // Cut short: at most three octets, so there is room for one more.
                Err(error) if error.error_len().is_none() => self.len += 1,
                Err(_) => return false,
            }
        }
        match str::from_utf8(piece) {
            Ok(_) => true,
            Err(error) if error.error_len().is_none() => {
                let cut = &piece[error.valid_up_to()..];
                self.begun[..cut.len()].copy_from_slice(cut);
                self.len = cut.len() as u8;
                true
            }
            Err(_) => false,
        }
    }

    /// Whether the text may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_utf8(pieces: &[&[u8]]) -> bool {
        let mut utf8 = Utf8::default();
        pieces.iter().all(|piece| utf8.take(piece)) && utf8.is_complete()
    }

    #[test]
    fn every_cut_gives_the_answer_of_the_whole() {
        let texts: [&[u8]; 10] = [
            "aé€😀z".as_bytes(),
            b"",
            b"\xff",
            b"a\xc3",
            b"\xed\xa0\x80",
            b"\xf0\x9f\x98",
            b"\xf4\x90\x80\x80",
            b"\xc0\x80",
            b"\xe2\x82\xac\x80",
            b"\xf0\x9fab",
        ];
        for text in texts {
            let expected = str::from_utf8(text).is_ok();
            for first in 0..=text.len() {
                for second in first..=text.len() {
                    let pieces = [&text[..first], &text[first..second], &text[second..]];
                    assert_eq!(
                        is_utf8(&pieces),
                        expected,
                        "{text:?} cut at {first}, {second}"
                    );
                }
            }
            let octets: Vec<&[u8]> = text.chunks(1).collect();
            assert_eq!(is_utf8(&octets), expected, "{text:?} by octets");
        }
    }
}
