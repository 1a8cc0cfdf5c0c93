//! Targets for fuzzing: what reads bytes from outside, and what must hold whatever they are.
//!
//! `bin/fuzz` runs them under libFuzzer; a test replays `corpus/`, so that it doesn't rot. A target panics where something
//! doesn't hold.

mod access_token;
mod client_frame;
mod cursor;
mod sam_answer;
mod webhook;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub use access_token::access_token;
pub use client_frame::client_frame;
pub use cursor::cursor;
pub use sam_answer::sam_answer;
pub use webhook::webhook;

/// A target: whatever it is given, it must return.
pub type Target = fn(&[u8]);

/// All targets, with the names of their corpora.
pub const TARGETS: [(&str, Target); 5] = [
    ("access_token", access_token),
    ("client_frame", client_frame),
    ("cursor", cursor),
    ("sam_answer", sam_answer),
    ("webhook", webhook),
];

/// What tokens, cursors and events are signed with here.
const SECRET: &str = "a secret of the fuzzers, 32 bytes or more";

/// The standard's own signature, beside the one that is tested.
fn hmac_sha256(message: &[u8]) -> impl AsRef<[u8]> {
    // A key may be of any length up to a block as it is, and is filled up with zeroes.
    let mut key = [0; 64];
    key[..SECRET.len()].copy_from_slice(SECRET.as_bytes());
    let mut mac = Hmac::<Sha256>::new(&key.into());
    mac.update(message);
    <[u8; 32]>::from(mac.finalize().into_bytes())
}
