#![no_main]

#[path = "../../tests/laws/entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entries::digest(data));
