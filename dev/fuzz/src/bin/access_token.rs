//! libFuzzer on [`humanchat_fuzz::access_token`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| humanchat_fuzz::access_token(input));
