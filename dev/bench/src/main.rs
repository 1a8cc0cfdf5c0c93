//! `humanchat-bench`: measures what it is told to, prints it, and writes `docs/benchmarks.md`.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};
use humanchat_bench::{
    Plan, api, calendar, growth, machine, payments, queue, report, sam, sockets, staff, stage::Stage,
};
use humanchat_domain::clock::Clock;
use humanchat_local::workspace_root;

const DOCUMENT: &str = "docs/benchmarks.md";
const PROFILE: &str = "target/profile";

/// Measures HumanChat beside its peers and limits, on this machine.
#[derive(Debug, Parser)]
#[command(name = "bin/bench")]
struct Arguments {
    /// What to measure (default: everything)
    parts: Vec<Part>,
    /// How often, contenders in turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Measures a tenth as much, to see that everything runs; some parts (staff, api, calendar) store all they measure with all
    /// the same. The figures are printed, never written
    #[arg(long)]
    quick: bool,
    /// Instead of measuring, listen with perf to what the api does, and name the functions that take the most time;
    /// recordings go to target/profile
    #[arg(long, conflicts_with = "parts")]
    profile: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The job queue
    Queue,
    /// More and more worker processes
    Scaling,
    /// The api's requests
    Api,
    /// The same requests with more and more stored
    Growth,
    /// Sockets
    Sockets,
    /// Slots of a host's calendar
    Calendar,
    /// Captures, webhooks, the ledger
    Payments,
    /// What staff do
    Staff,
    /// Turns of Sam's, without the model
    Sam,
}

impl Part {
    const ALL: [Self; 9] = [
        Self::Queue,
        Self::Scaling,
        Self::Api,
        Self::Growth,
        Self::Sockets,
        Self::Calendar,
        Self::Payments,
        Self::Staff,
        Self::Sam,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Scaling => "scaling",
            Self::Api => "api",
            Self::Growth => "growth",
            Self::Sockets => "sockets",
            Self::Calendar => "calendar",
            Self::Payments => "payments",
            Self::Staff => "staff",
            Self::Sam => "sam",
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if arguments.parts.is_empty() {
        arguments.parts = Part::ALL.to_vec();
    }
    let done =
        tokio::runtime::Runtime::new().context("no runtime").and_then(|runtime| runtime.block_on(measure(&arguments)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bin/bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let root = workspace_root()?;
    let plan = Plan { rounds: arguments.rounds.into(), quick: arguments.quick, peers: root.join("dev/bench/peers") };
    let stage = Stage::start().await?;
    if arguments.profile {
        println!("\n{}", api::profile(&stage, &plan, &root.join(PROFILE)).await?);
        println!("recordings and whole reports are in {PROFILE}");
        return Ok(());
    }
    let document = root.join(DOCUMENT);
    let mut failed = Vec::new();
    for part in &arguments.parts {
        let section = match part {
            Part::Queue => queue::run(&stage, &plan).await,
            Part::Scaling => queue::scaling::run(&stage, &plan).await,
            Part::Api => api::run(&stage, &plan).await,
            Part::Growth => growth::run(&stage, &plan).await,
            Part::Sockets => sockets::run(&stage, &plan).await,
            Part::Calendar => calendar::run(&stage, &plan).await,
            Part::Payments => payments::run(&stage, &plan).await,
            Part::Staff => staff::run(&stage, &plan).await,
            Part::Sam => sam::run(&stage, &plan).await,
        };
        // Hours may lie behind the others: they are kept.
        match section {
            Ok(section) => {
                let text = section.markdown(&origin(&stage, *part, arguments));
                println!("\n{text}");
                if !arguments.quick {
                    write(&document, part.name(), text)?;
                }
            }
            Err(error) => {
                eprintln!("bin/bench: the {} part: {error:#}", part.name());
                failed.push(part.name());
            }
        }
    }
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

/// Puts a part's tables in the place of those before.
fn write(document: &Path, part: &str, tables: String) -> Result<()> {
    let before = fs::read_to_string(document).unwrap_or_default();
    fs::write(document, report::document(&before, &[(part, tables)]))
        .with_context(|| format!("cannot write {DOCUMENT}"))?;
    println!("{DOCUMENT} written");
    Ok(())
}

/// Where, when and how a section was measured.
fn origin(stage: &Stage, part: Part, arguments: &Arguments) -> String {
    let machine = machine::description(stage.postgres());
    let day = Clock::System.now().format("%Y-%m-%d");
    format!("{day}, `bin/bench {} --rounds {}`. {machine}.", part.name(), arguments.rounds)
}
