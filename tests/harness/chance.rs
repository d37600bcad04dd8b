//! Chance that repeats: everything random in a simulation comes from one seed.

/// A generator (splitmix64). Not for secrets.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same seed gives the same numbers, always.
    pub fn new(seed: u64) -> Chance {
        Chance(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// True in `percent` of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// Fills with anything.
    pub fn fill(&mut self, octets: &mut [u8]) {
        for octet in octets {
            *octet = self.number() as u8;
        }
    }

    /// A piece size between 1 and `most`: often all, often tiny.
    pub fn piece(&mut self, most: usize) -> usize {
        match self.below(4) {
            0 => 1,
            1 => 1 + self.below(most.min(40) as u64) as usize,
            2 => 1 + self.below(most as u64) as usize,
            _ => most,
        }
    }
}
