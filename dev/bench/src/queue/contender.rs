//! Who takes part: how each one's database is made, its worker started, jobs brought in and counted.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};

use super::work::Work;
use crate::{
    Plan,
    program::{self, Program},
    stage::Stage,
};

/// How often to look whether jobs are left.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Nobody here takes so long.
const LIMIT: Duration = Duration::from_mins(2);

/// Somebody whose queue is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// The product.
    Ours,
    /// A loop around `for update skip locked`; on one connection where it takes batches, as such loops are written.
    Raw,
    /// Four of them in a process.
    RawWide,
    /// graphile-worker as it comes.
    Graphile,
    /// graphile-worker at its best.
    GraphileBest,
    /// graphile-worker with as many jobs at a time as the product's queue of mails has, and a local queue
    /// small enough to leave jobs to other processes.
    GraphileNarrow,
    /// River for Rust.
    River,
}

/// What a worker is to be good at, where it has to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Many jobs a second.
    Throughput,
    /// Jobs that don't wait.
    Latency,
}

/// What contenders need.
#[derive(Debug)]
pub struct Ring<'a> {
    /// The servers.
    pub stage: &'a Stage,
    /// How much to measure.
    pub plan: &'a Plan,
    /// Whom jobs ask that ask somebody.
    pub provider: Option<SocketAddr>,
    /// Where our programs are.
    programs: PathBuf,
}

impl<'a> Ring<'a> {
    /// A ring on this stage.
    ///
    /// # Errors
    /// When nobody knows where this program is.
    pub fn new(stage: &'a Stage, plan: &'a Plan) -> Result<Self> {
        let mut programs = std::env::current_exe()?;
        programs.pop();
        Ok(Self { stage, plan, provider: None, programs })
    }
}

impl Contender {
    /// What it is called in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Raw => "raw",
            Self::RawWide => "raw, four connections",
            Self::Graphile => "graphile-worker, default",
            Self::GraphileBest => "graphile-worker, at its best",
            Self::GraphileNarrow => "graphile-worker, 8 at a time",
            Self::River => "River",
        }
    }

    /// The database that its others are copies of.
    fn template(self) -> &'static str {
        match self {
            Self::Ours | Self::Raw | Self::RawWide => Stage::PRODUCT,
            Self::Graphile | Self::GraphileBest | Self::GraphileNarrow => "graphile",
            Self::River => "river",
        }
    }

    /// Makes its template.
    ///
    /// # Errors
    /// When it isn't installed or doesn't work: then it can't take part.
    pub async fn install(self, ring: &Ring<'_>) -> Result<()> {
        let mut command = match self {
            Self::Ours | Self::Raw | Self::RawWide => return Ok(()),
            Self::Graphile | Self::GraphileBest | Self::GraphileNarrow => graphile(ring),
            Self::River => river(ring)?,
        };
        let url = ring.stage.database(self.template(), "template1").await?;
        let output = command.arg("migrate").env("DATABASE_URL", url).output();
        let output = output.with_context(|| format!("cannot run {}", command.get_program().display()))?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    /// A new database with its tables.
    ///
    /// # Errors
    /// The server's.
    pub async fn database(self, ring: &Ring<'_>, name: &str) -> Result<String> {
        ring.stage.database(name, self.template()).await
    }

    /// Starts a worker process and waits until it works.
    ///
    /// # Errors
    /// When it doesn't start.
    pub async fn worker(self, ring: &Ring<'_>, url: &str, number: usize, style: Style) -> Result<Worker> {
        let waits = ring.stage.folder().join(format!("waits-{number}"));
        fs::remove_file(&waits).ok();
        let mut command = match self {
            Self::Ours => program::command(ring.programs.join("noop-worker")),
            Self::Raw | Self::RawWide => {
                let mut command = program::command(ring.programs.join("raw-worker"));
                let in_batches = style == Style::Throughput;
                command.args(in_batches.then_some("--batches"));
                let connections = if in_batches && self == Self::Raw { 1 } else { 4 };
                command.arg(format!("--connections={connections}"));
                command
            }
            Self::Graphile | Self::GraphileBest | Self::GraphileNarrow => graphile(ring),
            Self::River => river(ring)?,
        };
        match self {
            Self::Ours | Self::Raw | Self::RawWide => {}
            Self::Graphile => drop(command.arg("default")),
            Self::GraphileBest => drop(command.arg("best")),
            Self::GraphileNarrow => drop(command.arg("narrow")),
            Self::River => drop(command.arg("work")),
        }
        command.arg("--waits").arg(&waits);
        if let Some(provider) = ring.provider {
            command.arg("--provider").arg(provider.to_string());
        }
        let ready = if self == Self::Ours { "\"working\"" } else { "ready" };
        let program = self.start(ring, command, url, &format!("worker-{number}.log"), ready).await?;
        Ok(Worker { program, waits })
    }

    /// Runs a process that enqueues, until it ends. Returns what it wrote.
    ///
    /// # Errors
    /// When it fails.
    pub async fn send(self, ring: &Ring<'_>, url: &str, arguments: &[String]) -> Result<String> {
        let mut command = match self {
            Self::Ours | Self::Raw | Self::RawWide | Self::Graphile | Self::GraphileBest | Self::GraphileNarrow => {
                program::command(ring.programs.join("sender"))
            }
            Self::River => river(ring)?,
        };
        match self {
            Self::Ours => drop(command.arg("ours")),
            Self::Raw | Self::RawWide => drop(command.arg("raw")),
            Self::Graphile | Self::GraphileBest | Self::GraphileNarrow => drop(command.arg("graphile")),
            Self::River => {}
        }
        command.args(arguments);
        let program = self.start(ring, command, url, "sender.log", "").await?;
        program.ends().await.with_context(|| format!("the sender of {}", self.name()))
    }

    async fn start(self, ring: &Ring<'_>, mut command: Command, url: &str, log: &str, ready: &str) -> Result<Program> {
        let folder = ring.stage.folder();
        // The product's settings; the others don't know them. Those of production, as far as there is a choice.
        command.env("DATABASE_URL", url).env("REDIS_URL", ring.stage.redis_url());
        command.env("JWT_SECRET", "a secret of the benchmark, 32 bytes or more").env("LOG_LEVEL", "info");
        command.env_remove("RUST_BACKTRACE");
        // A folder without a `.env`.
        command.current_dir(&folder);
        let program = Program::start(command, &folder.join(log), ready).await;
        program.with_context(|| format!("a process of {}", self.name()))
    }

    /// Brings `count` jobs in one transaction and wakes the workers as the contender does.
    /// `before_commit` is called just then.
    ///
    /// # Errors
    /// The database's.
    pub async fn fill<T>(
        self,
        conn: &mut PgConnection,
        work: Work,
        count: usize,
        before_commit: impl FnOnce() -> T,
    ) -> Result<T> {
        let mut tx = conn.begin().await?;
        match self {
            Self::Ours | Self::Raw | Self::RawWide => {
                let now = sqlx::query_scalar::<_, DateTime<Utc>>("select now()").fetch_one(&mut *tx).await?;
                for begin in (0..count).step_by(5_000) {
                    let jobs = (begin..count.min(begin + 5_000)).map(|_| work.job(now));
                    humanchat_jobs::insert(&mut tx, jobs.collect::<Result<_, _>>()?, now).await?;
                }
                sqlx::query("select pg_notify('humanchat_jobs', 'default,mail'), pg_notify('bench_raw', '')")
                    .execute(&mut *tx)
                    .await?;
            }
            Self::Graphile | Self::GraphileBest | Self::GraphileNarrow => {
                sqlx::query("select count(graphile_worker.add_job($2, '{}')) from generate_series(1, $1)")
                    .bind(i64::try_from(count)?)
                    .bind(work.name())
                    .execute(&mut *tx)
                    .await?;
            }
            Self::River => {
                sqlx::query(
                    "insert into river_job (args, kind, max_attempts, priority, queue, scheduled_at, state)
                     select '{}', $2, 25, 1, 'default', now(), 'available' from generate_series(1, $1)",
                )
                .bind(i64::try_from(count)?)
                .bind(work.name())
                .execute(&mut *tx)
                .await?;
                sqlx::query("select pg_notify(current_schema() || '.river_insert', '{\"queue\":\"default\"}')")
                    .execute(&mut *tx)
                    .await?;
            }
        }
        let noted = before_commit();
        tx.commit().await?;
        Ok(noted)
    }

    /// Waits until no job is left.
    ///
    /// # Errors
    /// The database's, or that it takes longer than anybody here does.
    pub async fn finish(self, conn: &mut PgConnection) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while self.is_busy(conn).await? {
            ensure!(Instant::now() < deadline, "{} still works after {LIMIT:?}", self.name());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn is_busy(self, conn: &mut PgConnection) -> Result<bool> {
        let sql = match self {
            Self::Ours | Self::Raw | Self::RawWide => {
                "select exists (select from jobs where queue in ('default', 'mail') and state = 'available')
                   or exists (select from jobs where kind like 'bench\\_%' and state = 'running')"
            }
            Self::Graphile | Self::GraphileBest | Self::GraphileNarrow => {
                "select exists (select from (select id from graphile_worker._private_jobs order by id limit 1) job)"
            }
            Self::River => {
                "select exists (select from river_job where state = 'available' and queue = 'default')
                   or exists (select from river_job where state = 'running' and queue = 'default')"
            }
        };
        Ok(sqlx::query_scalar(sql).fetch_one(conn).await?)
    }

    /// How many jobs are done; `None` where done jobs are deleted.
    ///
    /// # Errors
    /// The database's.
    pub async fn done(self, conn: &mut PgConnection) -> Result<Option<usize>> {
        let sql = match self {
            Self::Ours | Self::Raw | Self::RawWide => {
                "select count(*) from jobs where kind like 'bench\\_%' and state = 'done'"
            }
            Self::Graphile | Self::GraphileBest | Self::GraphileNarrow => return Ok(None),
            Self::River => "select count(*) from river_job where state = 'completed'",
        };
        let done: i64 = sqlx::query_scalar(sql).fetch_one(conn).await?;
        Ok(Some(usize::try_from(done)?))
    }
}

/// A connection for looking on. It looks through indexes: these tables are full of dead rows.
///
/// # Errors
/// The database's.
pub async fn connect(url: &str) -> Result<PgConnection> {
    let options: PgConnectOptions = url.parse()?;
    Ok(options.options([("enable_seqscan", "off"), ("enable_bitmapscan", "off")]).connect().await?)
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    /// Its process.
    pub program: Program,
    /// Where it writes at its end how long jobs waited.
    pub waits: PathBuf,
}

fn graphile(ring: &Ring<'_>) -> Command {
    let mut command = program::command("node");
    command.arg(ring.plan.peers.join("node/graphile.mjs"));
    command
}

fn river(ring: &Ring<'_>) -> Result<Command> {
    let path = ring.programs.join("../peers/release/river-peer");
    ensure!(Path::exists(&path), "it was not built");
    Ok(program::command(path))
}
