//! Does what was asked for: job handlers, the schedule, and the queue's runtime.
//!
//! A handler is an async function in the module of its feature and one line in [`registry`]. What
//! jobs there are is `humanchat-jobs`' business, and what they mean is the domain's: a handler reads
//! state, calls a domain operation and says how it ended ([`job::JobResult`]).

mod auth;
mod invites;
pub mod job;
mod maintenance;
mod metrics;
mod notifications;
mod payments;
pub mod process;
pub mod queue;
pub mod registry;
mod runner;
pub mod runtime;
mod sam;
pub mod schedule;
mod sessions;
#[cfg(feature = "testing")]
pub mod testing;
mod users;
