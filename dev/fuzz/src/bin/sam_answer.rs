//! libFuzzer on [`humanchat_fuzz::sam_answer`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| humanchat_fuzz::sam_answer(input));
