//! libFuzzer on [`humanchat_fuzz::webhook`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| humanchat_fuzz::webhook(input));
