//! `humanchat-local`: everything on this machine with one command.
//!
//! `up` (= `bin/dev`) runs the product for development, `run` lends a command a throw-away Postgres and
//! Redis. Runs on one thread, which lives as long as the process: children are told when it dies.

mod run;
mod say;
mod signals;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "HumanChat on this machine: private servers for development and tests")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the product, which bin/dev has built, with its own Postgres and Redis and demo data
    Up(up::Options),
    /// Runs a command with a throw-away Postgres and Redis
    Run(run::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result: Result<ExitCode> = match Cli::parse().command {
        Command::Up(options) => up::up(options).await,
        Command::Run(options) => run::run(options).await,
    };
    result.unwrap_or_else(|error| {
        say::line(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}
