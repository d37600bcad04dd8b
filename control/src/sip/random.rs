//! Branches, tags and Call-IDs nobody can guess, from a seed: ChaCha20 (RFC 8439, 2.3) as a generator.

use serde::{Deserialize, Serialize};

/// The generator. The same seed gives the same texts.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Random {
    key: [u8; 32],
    counter: u64,
}

impl Random {
    pub fn new(seed: [u8; 32]) -> Random {
        Random {
            key: seed,
            counter: 0,
        }
    }

    /// 96 fresh bits, as 24 hexadecimal digits.
    pub fn text(&mut self) -> String {
        self.counter += 1;
        hex(block(&self.key, self.counter, 0))
    }

    /// 64 fresh bits.
    pub fn number(&mut self) -> u64 {
        self.counter += 1;
        let words = block(&self.key, self.counter, 0);
        u64::from(words[0]) << 32 | u64::from(words[1])
    }

    /// A number that is always the same for the same `text`, and only here.
    pub fn derived_number(&self, text: &str) -> u64 {
        let digits = self.derived(&[text]);
        u64::from_str_radix(&digits[..16], 16).unwrap_or(0)
    }

    /// 24 hexadecimal digits that are always the same for the same `texts`, and only here: the To tag of
    /// answers for which we keep no state. RFC 3261, 8.2.7.
    pub fn derived(&self, texts: &[&str]) -> String {
        // FNV-1a; what makes the result unguessable is the key of the block.
        let bytes = texts.iter().flat_map(|text| text.bytes());
        let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        hex(block(&self.key, bytes.fold(0xcbf2_9ce4_8422_2325, mix), 1))
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random")
    }
}

fn hex(block: [u32; 16]) -> String {
    block[..3]
        .iter()
        .map(|word| format!("{word:08x}"))
        .collect()
}

/// One block of the key stream; `low` and `high` are the state's last four words.
fn block(key: &[u8; 32], low: u64, high: u64) -> [u32; 16] {
    let mut start = [0u32; 16];
    start[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
    for (word, bytes) in start[4..12].iter_mut().zip(key.chunks_exact(4)) {
        *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    start[12] = low as u32;
    start[13] = (low >> 32) as u32;
    start[14] = high as u32;
    start[15] = (high >> 32) as u32;
    let mut state = start;
    for _ in 0..10 {
        for [a, b, c, d] in [
            [0, 4, 8, 12],
            [1, 5, 9, 13],
            [2, 6, 10, 14],
            [3, 7, 11, 15],
            [0, 5, 10, 15],
            [1, 6, 11, 12],
            [2, 7, 8, 13],
            [3, 4, 9, 14],
        ] {
            for (turn, back) in [(16, 12), (8, 7)] {
                state[a] = state[a].wrapping_add(state[b]);
                state[d] = (state[d] ^ state[a]).rotate_left(turn);
                state[c] = state[c].wrapping_add(state[d]);
                state[b] = (state[b] ^ state[c]).rotate_left(back);
            }
        }
    }
    for (word, first) in state.iter_mut().zip(start) {
        *word = word.wrapping_add(first);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8439_2_3_2_block() {
        let key = std::array::from_fn(|i| i as u8);
        let state = block(&key, 1 | 0x0900_0000 << 32, 0x4a00_0000);
        assert_eq!(
            state[..4],
            [0xe4e7_f110, 0x1559_3bd1, 0x1fdd_0f50, 0xc471_20a3]
        );
        assert_eq!(state[15], 0x4e3c_50a2);
    }

    #[test]
    fn texts_differ_and_repeat_with_the_seed() {
        let (mut a, mut b) = (Random::new([7; 32]), Random::new([7; 32]));
        let first = a.text();
        assert_eq!(first, b.text());
        assert_ne!(first, a.text());
    }
}
