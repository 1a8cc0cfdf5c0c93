//! The simulator as its clients see it: Stripe's own client, and whoever starts the program.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod conformance;
mod program;
