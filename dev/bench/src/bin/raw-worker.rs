//! The limit: takes jobs by `for update skip locked` and nothing else.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use humanchat_bench::queue::{raw, stamp::Waits};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Parser)]
struct Arguments {
    /// The database
    #[arg(long)]
    url: String,
    /// A hundred jobs at a time instead of one
    #[arg(long)]
    batches: bool,
    /// Where to write at the end how long jobs waited, in microseconds
    #[arg(long)]
    waits: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let waits = Waits::default();
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = raw::work(&arguments.url, arguments.batches, waits.clone()) => ended?,
        _ = terminate.recv() => {}
    }
    waits.write(&arguments.waits)
}
