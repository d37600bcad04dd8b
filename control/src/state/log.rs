//! How records stand one behind the other in a file, so that what was cut off in the middle is seen. Pure.
//!
//! A record is its length and a sum of its octets, 4 octets each, little-endian, then the octets.

/// Octets in front of each record.
const HEAD_BYTES: usize = 8;
/// Octets of one record. A turn of the gateway makes one; the largest is a snapshot's piece.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Puts a record behind what is in `out`.
pub fn write(record: &[u8], out: &mut Vec<u8>) {
    debug_assert!(record.len() <= RECORD_BYTES_MAX);
    out.extend((record.len() as u32).to_le_bytes());
    out.extend(sum(record).to_le_bytes());
    out.extend(record);
}

/// The records at the start of `octets`, up to the first that is not whole.
pub fn read(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some((record, rest)) = read_one(octets) {
        records.push(record);
        octets = rest;
    }
    records
}

fn read_one(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = octets.split_at_checked(HEAD_BYTES)?;
    let (bytes, expected) = head.split_at(4);
    let bytes = u32::from_le_bytes(bytes.try_into().ok()?) as usize;
    let expected = u32::from_le_bytes(expected.try_into().ok()?);
    if bytes > RECORD_BYTES_MAX {
        return None;
    }
    let (record, rest) = rest.split_at_checked(bytes)?;
    (sum(record) == expected).then_some((record, rest))
}

/// FNV-1a: enough to tell a whole record from the remains of one.
fn sum(octets: &[u8]) -> u32 {
    octets.iter().fold(0x811c_9dc5, |sum, octet| {
        (sum ^ u32::from(*octet)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_cut_off_the_whole_records_before_it_are_read() {
        let mut octets = Vec::new();
        let records: [&[u8]; 3] = [b"one", b"", b"three"];
        let mut ends = vec![0];
        for record in records {
            write(record, &mut octets);
            ends.push(octets.len());
        }
        for cut in 0..=octets.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(read(&octets[..cut]), records[..whole], "cut at {cut}");
        }
        let last = octets.len() - 1;
        octets[last] ^= 1;
        assert_eq!(read(&octets), records[..2], "a changed octet");
    }
}
