//! Tests of the queue on a real Postgres, with real worker processes and real signals.
//!
//! Processes are the `probe_worker` example (the real runtime with kinds of jobs that misbehave on
//! purpose) or the real program.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]

mod by_hand;
mod concurrency;
mod deaths;
mod harness;
#[path = "../../examples/probe_worker/kinds.rs"]
mod kinds;
mod month;
mod operators;
mod outages;
mod outcomes;
mod program;
mod schedule;
mod stopping;
mod timing;
mod transactions;
