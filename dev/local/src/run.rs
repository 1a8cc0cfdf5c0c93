//! `humanchat-local run -- COMMAND…`: a throw-away Postgres and Redis for one command.

use std::env;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use humanchat_local::launch::{self, Death};
use humanchat_local::postgres::{Postgres, PostgresOptions};
use humanchat_local::redis::{Redis, RedisOptions};
use humanchat_local::scratch::Scratch;
use humanchat_local::{database, workspace_root};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::say;
use crate::signals::Signals;

/// The migrated database that tests copy: `create database … template humanchat_template`.
const TEMPLATE: &str = "humanchat_template";
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Args)]
pub(crate) struct Options {
    /// The folder with the migrations [default: the workspace's `migrations`]
    #[arg(long)]
    migrations: Option<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Runs the command with `TEST_DATABASE_URL` (database `postgres`), `DATABASE_URL` (a migrated database),
/// `REDIS_URL`, `TEST_REDIS_URL` and `HC_PG_BIN` set; returns its status, 128 + signal if one ended it.
pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let Some((program, arguments)) = options.command.split_first() else {
        bail!("no command to run");
    };
    if env::var_os("TEST_DATABASE_URL").is_some_and(|url| !url.is_empty()) {
        let error = std::process::Command::new(program).args(arguments).exec();
        return Err(error).with_context(|| format!("cannot run {program}"));
    }
    let migrations = options.migrations.map_or_else(|| workspace_root().map(|root| root.join("migrations")), Ok)?;
    let mut signals = Signals::catch()?;
    let scratch = Scratch::create()?;
    // Dropped in reverse: the servers stop before their folder is deleted.
    let postgres = Postgres::start(PostgresOptions { data_dir: scratch.postgres(), durable: false, install: true })?;
    let redis = Redis::start(RedisOptions { dir: scratch.redis(), install: true })
        .inspect_err(|error| say::line(&format!("without Redis: {error:#}")))
        .ok();
    let ready = async {
        let server = postgres.url("postgres");
        database::create(&server, TEMPLATE, None).await?;
        database::migrate(&postgres.url(TEMPLATE), &migrations).await?;
        database::create(&server, "humanchat", Some(TEMPLATE)).await
    };
    tokio::select! {
        ready = ready => ready?,
        signal = signals.next() => return Ok(exit_code_of_signal(signal)),
    }

    let mut command = command(program);
    command.args(arguments);
    command.env("TEST_DATABASE_URL", postgres.url("postgres")).env("DATABASE_URL", postgres.url("humanchat"));
    command.env("HC_PG_BIN", postgres.bin_dir());
    for name in ["REDIS_URL", "TEST_REDIS_URL"] {
        match &redis {
            Some(redis) => command.env(name, redis.url()),
            None => command.env_remove(name),
        };
    }
    let child = command.spawn().with_context(|| format!("cannot run {program}"))?;
    let status = attend(child, &mut signals).await?;
    Ok(exit_code(status))
}

/// On a terminal the command shares our process group, so that it may read from the terminal and gets
/// Ctrl-C itself; else it has a group of its own, which we signal.
fn command(program: &str) -> Command {
    let mut command = launch::command(program, None, Death::Terminate);
    if on_terminal() {
        command.process_group(nix::unistd::getpgrp().as_raw());
    }
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    command
}

async fn attend(mut child: Child, signals: &mut Signals) -> Result<ExitStatus> {
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw) else {
        return child.wait().await.context("cannot wait for the command");
    };
    let send = |signal| {
        // A command that has just ended can't be signalled.
        let _ = if on_terminal() { kill(pid, signal) } else { killpg(pid, signal) };
    };
    let first = tokio::select! {
        status = child.wait() => return status.context("cannot wait for the command"),
        signal = signals.next() => signal,
    };
    if !(on_terminal() && first == Signal::SIGINT) {
        send(first);
    }
    tokio::select! {
        status = child.wait() => return status.context("cannot wait for the command"),
        _ = signals.next() => {}
        () = tokio::time::sleep(PATIENCE) => {}
    }
    send(Signal::SIGKILL);
    child.wait().await.context("cannot wait for the command")
}

fn on_terminal() -> bool {
    io::stdin().is_terminal()
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn exit_code_of_signal(signal: Signal) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal as i32).unwrap_or(1))
}
