//! The limit: takes jobs by `for update skip locked` and nothing else.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use humanchat_bench::queue::{raw, stamp::Waits};
use humanchat_domain::config::Settings;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
struct Arguments {
    /// A hundred jobs at a time instead of one
    #[arg(long)]
    batches: bool,
    /// Connections that take jobs
    #[arg(long)]
    connections: u32,
    /// Where to write at the end how long jobs waited, in microseconds
    #[arg(long)]
    waits: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let waits = Waits::default();
    let settings = Settings::from_env()?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = raw::work(&settings, arguments.connections, arguments.batches, waits.clone()) => ended?,
        _ = terminate.recv() => {}
    }
    waits.write(&arguments.waits)
}
