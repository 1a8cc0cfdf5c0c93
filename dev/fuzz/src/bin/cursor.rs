//! libFuzzer on [`humanchat_fuzz::cursor`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| humanchat_fuzz::cursor(input));
