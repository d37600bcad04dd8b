//! The mask on a client's payload. RFC 6455, 5.3.

/// Removes (or puts on) the mask, in place. `phase` counts the payload octets before these; only
/// its value modulo 4 matters.
pub fn unmask(octets: &mut [u8], mask: [u8; 4], phase: usize) {
    let mut mask = mask;
    mask.rotate_left(phase % 4);
    // Eight octets a step, which the compiler turns into wider ones still.
    let half = u64::from(u32::from_ne_bytes(mask));
    let wide = half << 32 | half;
    let (words, rest) = octets.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (octet, key) in rest.iter_mut().zip(mask.into_iter().cycle()) {
        *octet ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(octets: &mut [u8], mask: [u8; 4], phase: usize) {
        for (at, octet) in octets.iter_mut().enumerate() {
            *octet ^= mask[(at + phase) % 4];
        }
    }

    #[test]
    fn every_length_start_and_phase_agrees_with_the_naive_way() {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let plain: Vec<u8> = (0..100u8).map(|octet| octet.wrapping_mul(73)).collect();
        for start in 0..9 {
            for end in start..plain.len() {
                for phase in 0..5 {
                    let (mut fast, mut slow) = (plain.clone(), plain.clone());
                    unmask(&mut fast[start..end], mask, phase);
                    naive(&mut slow[start..end], mask, phase);
                    assert_eq!(fast, slow, "{start}..{end}, phase {phase}");
                }
            }
        }
    }
}
