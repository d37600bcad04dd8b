//! Fuzz target `json_frame`: see `targets/json_frame.rs`.

#![no_main]

#[path = "../targets/mod.rs"]
#[allow(dead_code, reason = "each program has one of them")]
mod targets;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| targets::json_frame::run(octets));
