//! The queue's exit: taking due jobs, keeping them while they run, writing down what became of them.
//!
//! A job is taken by a [`fetch::Fetcher`] as a [`claim::Claim`], run by whoever holds that, and
//! settled through [`acknowledge::Acknowledger`]. [`keeper::Keeper`] renews the leases of what is in
//! hand and rescues what dead processes left. Nothing here knows how handlers are run.

pub mod acknowledge;
pub mod backoff;
pub mod claim;
pub mod fetch;
pub mod keeper;
pub mod link;
pub mod queries;
pub mod wake;
