//! Measures the product beside its peers and its limits, interleaved in one run on this machine.
//!
//! Owns the harness ([`stage`], [`program`], [`product`], [`http`], [`measure`], [`machine`], [`profile`], [`report`]) and what
//! is measured, a module each ([`queue`], [`api`], [`growth`], [`sockets`], [`calendar`], [`payments`], [`staff`], [`sam`]).
//! Nothing depends on it. `bin/bench` builds and runs it.

use std::path::PathBuf;

pub mod api;
pub mod calendar;
pub mod growth;
pub mod http;
pub mod machine;
pub mod measure;
pub mod payments;
pub mod product;
pub mod profile;
pub mod program;
pub mod queue;
pub mod report;
pub mod sam;
pub mod sockets;
pub mod staff;
pub mod stage;
#[cfg(test)]
mod statements;

/// How much to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How often, contenders in turn.
    pub rounds: usize,
    /// Only to see that everything runs: fewer of what is measured, while most of what is stored before stays.
    pub quick: bool,
    /// Where the peers' programs are.
    pub peers: PathBuf,
}

impl Plan {
    /// Some work, a tenth of it when in a hurry.
    pub fn work(&self, amount: usize) -> usize {
        if self.quick { amount.div_ceil(10) } else { amount }
    }
}

/// Says on standard error what is being done.
pub fn say(what: &str) {
    eprintln!("{what}");
}
