//! Fuzz target `link_records`: see `targets/link_records.rs`.

#![no_main]

#[path = "../targets/mod.rs"]
#[allow(dead_code, reason = "each program has one of them")]
mod targets;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| targets::link_records::run(octets));
