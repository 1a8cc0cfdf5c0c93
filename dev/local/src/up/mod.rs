//! `humanchat-local up` = `bin/dev`: the product on this machine, from nothing to demo logins.

mod apps;
mod config;
mod health;
mod plan;
mod servers;
mod stripe;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use humanchat_local::{database, install, place, postgres, redis, workspace_root};
use tokio::time::{MissedTickBehavior, interval};

use self::apps::Apps;
use self::config::Config;
use self::plan::{Plan, Wishes};
use self::servers::Servers;
use crate::say;
use crate::signals::Signals;

/// Downloads, which `--reset` needn't fetch again, and the lock it holds.
const KEPT_BY_RESET: [&str; 3] = ["lock", "npm-postgres", "schemathesis"];

#[derive(Args)]
pub(crate) struct Options {
    /// Deletes all data first: database, secrets, everything in .data
    #[arg(long)]
    reset: bool,
    /// How many api processes; they listen on neighbouring ports
    #[arg(long, default_value_t = 1)]
    api: u16,
    /// How many worker processes
    #[arg(long, default_value_t = 1)]
    workers: u16,
    /// Runs without Redis, with one api process
    #[arg(long)]
    no_redis: bool,
    /// Adds demo data even to a DATABASE_URL on another machine
    #[arg(long)]
    seed: bool,
    /// Where the product's executables are [default: where this one is]
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Where everything is kept [default: .data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Runs the product until Ctrl-C, SIGTERM or SIGHUP.
pub(crate) async fn up(options: Options) -> Result<ExitCode> {
    let root = workspace_root()?;
    let data = options.data.as_ref().map_or_else(|| Ok(root.join(".data")), std::path::absolute)?;
    fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
    let Some(_lock) = place::lock(&data)? else {
        bail!("bin/dev already runs with the data in {}", data.display());
    };
    let programs = programs(&options)?;
    let mut signals = Signals::catch()?;
    let notes = data.join("processes");
    if options.reset {
        apps::stop_leftovers(&notes)?;
        reset(&data)?;
    }
    let mut apps = Apps::none(root.clone(), notes)?;
    let config = Config::read(&root)?;
    let mut servers = Servers::start(&config, &data, options.no_redis)?;
    let wishes =
        Wishes { config, data, programs, apis: options.api, workers: options.workers, seed_anywhere: options.seed };

    let ended = tokio::select! {
        ended = bring_up(&wishes, &mut servers, &mut apps) => ended,
        _ = signals.next() => Ok(()),
    };
    say::line("stopping (Ctrl-C again: at once)");
    let at_once = tokio::select! {
        () = apps.stop() => false,
        _ = signals.next() => true,
    };
    if at_once {
        apps.kill().await;
    }
    servers.stop(at_once)?;
    ended.map(|()| ExitCode::SUCCESS)
}

/// Migrates, fills and starts everything, then looks after the servers; ends only by failing.
async fn bring_up(wishes: &Wishes, servers: &mut Servers, apps: &mut Apps) -> Result<()> {
    if let Some(postgres) = servers.private_postgres() {
        database::create_if_missing(&postgres.url("postgres"), servers::DATABASE).await?;
    }
    let plan = Plan::make(wishes, servers)?;
    let migrate = plan.once("migrate", plan::API, &["migrate"]);
    for line in apps.run_once(&migrate).await? {
        migrate.prefix.print(&line);
    }
    let logins = if wishes.seed_anywhere || servers.database_is_here() {
        apps.run_once(&plan.once("seed", plan::SEED, &[])).await?
    } else {
        say::line("the database is on another machine: no demo data without --seed");
        Vec::new()
    };
    for app in plan.lasting() {
        apps.keep_running(app);
    }
    for address in &plan.addresses {
        health::wait_ready(plan::reachable(*address)).await;
    }
    say::line(&summary(&plan, servers, &logins));

    let mut look = interval(Duration::from_secs(1));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        servers.revive()?;
    }
}

/// The folder of the product's executables, which `bin/dev` has built in one go with this one.
fn programs(options: &Options) -> Result<PathBuf> {
    let folder = match &options.bin_dir {
        Some(folder) => std::path::absolute(folder)?,
        None => env::current_exe()?.parent().context("no folder of executables")?.to_path_buf(),
    };
    for name in [plan::API, plan::WORKER, plan::SEED, stripe::PROGRAM] {
        if !install::is_executable(&folder.join(name)) {
            bail!("{} isn't there: bin/dev builds it", folder.join(name).display());
        }
    }
    Ok(folder)
}

fn summary(plan: &Plan, servers: &Servers, logins: &[String]) -> String {
    let url = plan.public_url.trim_end_matches('/');
    let mut lines = vec![String::new(), "  HumanChat is up. Ctrl-C stops it; its data stays.".to_owned()];
    lines.push(String::new());
    for (name, path) in [("Try it", "/"), ("Console", "/console"), ("Docs", "/docs"), ("Mail", "/dev/mailbox")] {
        lines.push(format!("    {name:10}{url}{path}"));
    }
    for address in plan.addresses.iter().skip(1) {
        lines.push(format!("    {:10}http://{}/", "Also at", plan::reachable(*address)));
    }
    let payments = plan.stripe_url().unwrap_or_else(|| "Stripe, by your STRIPE_SECRET_KEY".to_owned());
    lines.push(format!("    {:10}{payments}", "Payments"));
    // A URL that the developer gave us may hold a password that doesn't belong on a screen.
    let database = match servers.private_postgres() {
        Some(server) => format!("psql '{}'   (log: {})", servers.database_url, server.log_file().display()),
        None => "your DATABASE_URL".to_owned(),
    };
    lines.push(format!("    {:10}{database}", "Postgres"));
    let redis = if servers.redis_url.is_some() { "yes" } else { "no: in-process bus" };
    lines.push(format!("    {:10}{redis}", "Redis"));
    if !logins.is_empty() {
        lines.extend([String::new(), "  Demo logins:".to_owned(), String::new()]);
        lines.extend(logins.iter().map(|login| format!("    {login}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Stops what an earlier run left behind, and deletes its data.
fn reset(data: &Path) -> Result<()> {
    postgres::stop_leftover(&data.join("postgres"))?;
    redis::stop_leftover(&data.join("redis"));
    for entry in fs::read_dir(data)?.flatten() {
        if KEPT_BY_RESET.iter().any(|kept| entry.file_name() == *kept) {
            continue;
        }
        if entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        } else {
            place::remove(&entry.path())?;
        }
    }
    Ok(())
}
