//! libFuzzer on [`humanchat_fuzz::client_frame`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| humanchat_fuzz::client_frame(input));
