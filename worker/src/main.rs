//! The worker: reads its arguments and works until it is told to stop.

use std::process::ExitCode;

use clap::Parser;
use humanchat_jobs::Queue;
use humanchat_worker::{process, registry::Registry, runtime::Options, schedule::Schedule};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs HumanChat's background jobs.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The queues to serve, separated by commas (default: all).
    #[arg(long, value_delimiter = ',', value_parser = queue)]
    queues: Vec<Queue>,
}

fn queue(name: &str) -> Result<Queue, String> {
    let names = Queue::ALL.map(Queue::as_str).join(", ");
    name.parse().map_err(|_| format!("queues are {names}"))
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(wrong) if wrong.use_stderr() => {
            let text = wrong.to_string();
            let line = text.lines().next().unwrap_or_default();
            return process::refuse(line.trim_start_matches("error: "));
        }
        Err(help) => help.exit(),
    };
    let mut options = Options::default();
    if !arguments.queues.is_empty() {
        options.queues = arguments.queues;
        options.queues.sort_unstable();
        options.queues.dedup();
    }
    process::run(Registry::all(), Schedule::all(), options)
}
