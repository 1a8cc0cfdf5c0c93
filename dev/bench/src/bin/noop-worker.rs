//! The product's worker, with two kinds of jobs more: one does nothing, one notes how long it waited.
//!
//! Same process, runtime, handlers, schedule and allocator as `humanchat-worker`.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use humanchat_bench::queue::stamp::{Nothing, Stamp, Waits};
use humanchat_worker::{process, registry::Registry, runtime::Options, schedule::Schedule};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
struct Arguments {
    /// Where to write at the end how long jobs waited, in microseconds
    #[arg(long)]
    waits: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let waits = Waits::default();
    let mut registry = Registry::all();
    registry.add(async |_: Nothing, _| Ok(()));
    let noted = waits.clone();
    registry.add(move |stamp: Stamp, _| {
        let noted = noted.note(&stamp);
        async move { Ok(noted?) }
    });
    let code = process::run(registry, Schedule::all(), Options::default());
    match waits.write(&arguments.waits) {
        Ok(()) => code,
        Err(error) => process::refuse(&format!("{error:#}")),
    }
}
