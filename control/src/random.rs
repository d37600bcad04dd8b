//! Randomness for the pure parts: it comes in, like time, and tests put in what they like.

/// Fills a slice with random bytes.
type Fill = Box<dyn FnMut(&mut [u8]) + Send>;

/// A source of random bytes.
pub struct Random {
    fill: Fill,
}

impl Random {
    /// Takes bytes from `fill`; in production the operating system's generator.
    pub fn new(fill: impl FnMut(&mut [u8]) + Send + 'static) -> Random {
        Random {
            fill: Box::new(fill),
        }
    }

    /// A source that repeats itself run after run. For tests only: what it gives can be guessed.
    pub fn counting(seed: u64) -> Random {
        let mut state = seed;
        Random::new(move |bytes| {
            for byte in bytes {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                *byte = (state >> 56) as u8;
            }
        })
    }

    /// 32 random bytes.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        (self.fill)(&mut bytes);
        bytes
    }

    /// A random number.
    pub fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        (self.fill)(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A random UUID, version 4: 122 bits nobody can guess.
    pub fn uuid(&mut self) -> String {
        let mut bytes = [0; 16];
        (self.fill)(&mut bytes);
        let n = u128::from_be_bytes(bytes) & !(0xf << 76) | 4 << 76;
        let n = n & !(0b11 << 62) | 0b10 << 62;
        let hex = format!("{n:032x}");
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random")
    }
}

/// The seeds of a simulation: 0 up to `usual`; `SEED=17` is that one alone, `SEEDS=100000` so many.
#[cfg(test)]
pub fn seeds(usual: u64) -> std::ops::Range<u64> {
    let read = |name| {
        let text = std::env::var(name).ok();
        text.map(|text| text.parse::<u64>().expect("a number"))
    };
    match (read("SEED"), read("SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, seeds) => 0..seeds.unwrap_or(usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_names_its_version_and_variant_and_differs_from_the_next() {
        let mut random = Random::counting(1);
        let (one, other) = (random.uuid(), random.uuid());
        assert_ne!(one, other);
        assert_eq!(one.len(), 36);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]));
    }
}
