//! `humanchat-chaos`: lets people use the product while it is broken on purpose, brings it to rest, and
//! checks that every promise was kept.
//!
//! Everything is real: two api and two worker processes, Postgres, Redis, sockets. [`stage`] runs them
//! behind proxies, [`workload`] is the people, [`nemesis`] or [`deploys`] what befalls them, [`history`]
//! what was asked and answered, [`check`] the promises.

mod check;
mod database;
mod deploys;
mod history;
mod nemesis;
mod report;
mod settle;
mod stage;
mod tables;
mod workload;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, RwLock},
    time::Duration,
};

use anyhow::{Context as _, Result};
use check::{Case, Violation};
use clap::Parser;
use database::Sabotage;
use deploys::Deploys;
use history::History;
use nemesis::Nemesis;
use stage::{Program, Stage};
use tables::Tables;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use workload::{Routes, World};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long where nothing breaks: on the busiest machine, who waits longer waits in vain.
const LONG_PATIENCE: Duration = Duration::from_mins(1);
/// How long people use a system that works, before and after.
const CALM: Duration = Duration::from_secs(10);
/// How many seconds hosts have to answer, and guests to pay; few, so that many don't in time.
const WAITS_SECS: u32 = 20;
/// Of a run in which nothing breaks.
const SHORT_CALM: Duration = Duration::from_secs(2);
const SHORT_WAITS_SECS: u32 = 8;
/// How long people may take to finish what they were at.
const FINISH: Duration = Duration::from_mins(2);

/// Breaks the running system on purpose, and checks that every promise was kept.
#[derive(Debug, Parser)]
#[command(name = "bin/chaos")]
struct Arguments {
    /// Chooses the faults and what people do; printed, and random unless given
    #[arg(long)]
    seed: Option<u64>,
    /// How long things break
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// How many people use the system
    #[arg(long, default_value_t = 200)]
    users: usize,
    /// How many deeds they begin in a second, all together
    #[arg(long, default_value_t = 30.0)]
    rate: f64,
    /// Where histories, logs and reports go [default: `chaos` beside the executables]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Breaks a promise on purpose, to see that it is noticed
    #[arg(long)]
    sabotage: Option<Sabotage>,
    /// Breaks nothing, but deploys again and again: new processes take over from old ones
    #[arg(long, conflicts_with = "no_faults")]
    deploys: bool,
    /// Lets everything be: what is found then is the tool's own fault
    #[arg(long)]
    no_faults: bool,
}

impl Arguments {
    /// Whether nothing is broken.
    fn is_calm(&self) -> bool {
        self.deploys || self.no_faults
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done =
        tokio::runtime::Runtime::new().context("no runtime").and_then(|runtime| runtime.block_on(run(&arguments)));
    match done {
        Ok(violations) if violations.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bin/chaos: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: &Arguments) -> Result<Vec<Violation>> {
    // The simulator's and the sockets' clients need one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let folder = folder(arguments, seed)?;
    println!(
        "seed {seed}, {} minutes, {} people, {} deeds a second; see {}",
        arguments.minutes,
        arguments.users,
        arguments.rate,
        folder.display()
    );
    let history = Arc::new(History::create(&folder.join("history.jsonl"))?);
    let is_calm = arguments.is_calm();
    let (calm, waits_secs) = if is_calm { (SHORT_CALM, SHORT_WAITS_SECS) } else { (CALM, WAITS_SECS) };
    let mut stage = Stage::start(&folder, waits_secs).await?;
    if let Some(how) = arguments.sabotage {
        database::sabotage(&mut database::connect(&stage.servers.database_url()).await?, how).await?;
    }
    let world = Arc::new(World {
        history: Arc::clone(&history),
        http: reqwest::Client::builder()
            .no_proxy()
            .timeout(if is_calm { LONG_PATIENCE } else { PATIENCE })
            .connect_timeout(Duration::from_secs(3))
            .build()?,
        routes: Routes::to(stage.apis()),
        is_insisting: is_calm,
        till: stage.provider.url().to_owned(),
        people: RwLock::default(),
        troubled: CancellationToken::new(),
        stop: CancellationToken::new(),
    });
    #[expect(clippy::cast_precision_loss, reason = "thousands at most")]
    let each_rests = Duration::from_secs_f64(arguments.users as f64 / arguments.rate);
    let mut lives = workload::begin(&world, seed, arguments.users, each_rests);

    workload::settled(&world, arguments.users).await?;
    history.struck("people are here");
    sleep(calm).await;
    world.troubled.cancel();
    let mut violations = rage(arguments, seed, &mut stage, &world).await?;
    history.struck("everything is healed");
    stage.heal().await?;
    sleep(calm).await;
    world.stop.cancel();
    timeout(FINISH, async { while lives.join_next().await.is_some() {} }).await.context("people don't finish")?;
    history.struck("everybody has stopped");
    violations.extend(settle::settle(&stage, &world).await?);
    // Once the workers are gone, nothing more is said: the last to listen hear everything.
    violations.extend(end(stage.workers()).await?);
    violations.extend(settle::listen_once_more(&stage, &world).await?);
    violations.extend(end(stage.api_programs()).await?);
    history.struck("everything is at rest");

    let mut conn = database::connect(&stage.servers.database_url()).await?;
    let tables = Tables::read(&mut conn, &stage.provider.state().await?).await?;
    let case = Case::new(history.take(), tables, is_calm);
    violations.extend(check::violations(&case));
    let counts = report::counts(&case);
    println!("\n{counts}");
    fs::write(
        folder.join("report.txt"),
        format!("seed {seed}\n\n{counts}\n{}", report::violations(&violations, true)),
    )?;
    print!("{}", report::violations(&violations, false));
    println!("{} violations, seed {seed}, {}", violations.len(), folder.display());
    Ok(violations)
}

/// Lets befall the system what was asked for, for as long. What ended without being told to is a violation.
async fn rage(arguments: &Arguments, seed: u64, stage: &mut Stage, world: &World) -> Result<Vec<Violation>> {
    let duration = Duration::from_secs_f64(arguments.minutes * 60.0);
    let history = &world.history;
    if arguments.deploys {
        return Deploys { seed, routes: &world.routes, history }.roll(stage, Instant::now() + duration).await;
    }
    if arguments.no_faults {
        sleep(duration).await;
        return Ok(Vec::new());
    }
    let nemesis = Nemesis { seed, history: Arc::clone(history), stop: CancellationToken::new() };
    let stop = nemesis.stop.clone();
    tokio::spawn(async move {
        sleep(duration).await;
        stop.cancel();
    });
    let incidents = nemesis.rage(stage).await?;
    Ok(incidents
        .into_iter()
        .map(|evidence| Violation { rule: "processes live until they are told to end", evidence })
        .collect())
}

/// Stops these, in order.
async fn end(programs: impl Iterator<Item = &mut Program>) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for program in programs {
        violations.extend(settle::farewell(program).await?);
    }
    Ok(violations)
}

fn folder(arguments: &Arguments, seed: u64) -> Result<PathBuf> {
    let folder = match &arguments.out {
        Some(folder) => folder.clone(),
        None => {
            std::env::current_exe()?.parent().and_then(Path::parent).context("no folder of executables")?.join("chaos")
        }
    };
    let folder = std::path::absolute(folder)?.join(seed.to_string());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for entry in fs::read_dir(&folder)?.flatten() {
        fs::remove_file(entry.path())?;
    }
    Ok(folder)
}
