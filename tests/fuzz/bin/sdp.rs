//! Fuzz target `sdp`: see `targets/sdp.rs`.

#![no_main]

#[path = "../targets/mod.rs"]
#[allow(dead_code, reason = "each program has one of them")]
mod targets;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| targets::sdp::run(octets));
