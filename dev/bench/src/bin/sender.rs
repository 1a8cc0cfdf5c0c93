//! Enqueues jobs for the measurement: a process of its own, as the api is one.

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use humanchat_bench::queue::sender::{Sender, What};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
struct Arguments {
    /// In whose way
    whose: Whose,
    #[command(subcommand)]
    how: How,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Whose {
    Ours,
    Raw,
    Graphile,
}

#[derive(Debug, Subcommand)]
enum How {
    /// As fast as it goes; ends with a line `rate: <jobs a second>`
    Rush {
        #[arg(long)]
        callers: usize,
        #[arg(long)]
        millis: u64,
        /// Each with a row of its own
        #[arg(long)]
        with_row: bool,
    },
    /// At a pace that nothing slows down
    Flow {
        #[arg(long)]
        jobs: usize,
        /// The shortest pause
        #[arg(long)]
        min_micros: u64,
        /// The longest pause
        #[arg(long)]
        max_micros: u64,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let sender = match arguments.whose {
        Whose::Ours => Sender::ours()?,
        Whose::Raw => Sender::raw()?,
        Whose::Graphile => Sender::graphile().await?,
    };
    match arguments.how {
        How::Rush { callers, millis, with_row } => {
            let what = if with_row { What::WithRow } else { What::Alone };
            let rate = sender.rush(what, callers, Duration::from_millis(millis)).await?;
            println!("rate: {rate:.1}");
        }
        How::Flow { jobs, min_micros, max_micros } => sender.flow(jobs, min_micros..max_micros).await?,
    }
    Ok(())
}
