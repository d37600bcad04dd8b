//! Fuzz target `link_queue`: see `targets/link_queue.rs`.

#![no_main]

#[path = "../targets/mod.rs"]
#[allow(dead_code, reason = "each program has one of them")]
mod targets;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| targets::link_queue::run(octets));
