//! The product's worker, with the benchmark's kinds of jobs more: see `queue::stamp` and `queue::work`.
//!
//! Same process, runtime, handlers, schedule and allocator as `humanchat-worker`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;
use humanchat_bench::queue::{
    stamp::{Nothing, Stamp, Waits},
    work::{Ask, Asker, Compute, compute},
};
use humanchat_worker::{process, registry::Registry, runtime::Options, schedule::Schedule};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
struct Arguments {
    /// Where to write at the end how long jobs waited, in microseconds
    #[arg(long)]
    waits: PathBuf,
    /// Whom jobs ask that ask somebody
    #[arg(long)]
    provider: Option<SocketAddr>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let waits = Waits::default();
    let mut registry = Registry::all();
    registry.add(async |_: Nothing, _| Ok(()));
    registry.add(async |_: Compute, _| {
        compute();
        Ok(())
    });
    if let Some(provider) = arguments.provider {
        let asker = Asker::new(provider);
        registry.add(move |_: Ask, _| {
            let asker = asker.clone();
            async move { Ok(asker.ask().await?) }
        });
    }
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
