//! What the fuzz targets do with the octets they are given. The fuzzer's programs (`bin/`) call
//! these, and so does an ordinary test with every octet string that is kept in `corpus/`, so that
//! what has been found once is tried in every test run.

pub mod json_frame;
pub mod link_queue;
pub mod link_records;
pub mod msrp;
pub mod sdp;
pub mod shard;
pub mod sip;
pub mod tls;
pub mod upgrade;
pub mod websocket;

/// A target: takes anything, and panics if something is wrong.
pub type Target = fn(&[u8]);

/// All targets, by the name of their program and of their folder in `corpus/`.
pub const ALL: [(&str, Target); 10] = [
    ("json_frame", json_frame::run),
    ("link_queue", link_queue::run),
    ("link_records", link_records::run),
    ("msrp", msrp::run),
    ("sdp", sdp::run),
    ("shard", shard::run),
    ("sip", sip::run),
    ("tls", tls::run),
    ("upgrade", upgrade::run),
    ("websocket", websocket::run),
];

/// Places to cut `bytes` octets at, ascending, as `seed` has it.
fn cuts(seed: &[u8], bytes: usize) -> Vec<usize> {
    let mut chance = tests::chance::Chance::new(hash(seed));
    let mut cuts: Vec<usize> = (0..chance.below(6))
        .map(|_| chance.below(bytes as u64 + 1) as usize)
        .collect();
    cuts.sort_unstable();
    cuts
}

/// FNV-1a.
fn hash(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x100_0000_01b3)
    })
}
