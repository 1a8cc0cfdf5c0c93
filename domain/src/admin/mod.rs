//! What staff see and do: members, whom members ask for, and how the place is doing.
//!
//! Every change is in the audit log ([`crate::audit`]), in its own transaction. Jobs and queues are
//! [`crate::queue`]'s.

pub mod metrics;
pub mod people;
pub mod requested_people;
