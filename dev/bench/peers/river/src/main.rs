//! River for Rust as a peer of the queue: the same commands as the product's `noop-worker` and `sender`.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::{Parser, Subcommand};
use nix::time::{ClockId, clock_gettime};
use riverqueue::{
    BoxError, Client, FETCH_COOLDOWN_MIN, Job, JobArgs, QueueConfig, WorkContext, WorkOutcome, Workers,
    migrate::PostgresMigrator,
    sqlx::{self, PgPool, postgres::PgPoolOptions},
};
use serde::{Deserialize, Serialize};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many as an api process of the product has.
const CONNECTIONS: u32 = 16;
/// How many jobs a worker runs at once.
const JOBS_AT_ONCE: usize = 1_000;

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    url: String,
    #[command(subcommand)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum How {
    /// Makes River's tables, and one for the callers' own rows
    Migrate,
    /// Works until SIGTERM, then writes how long jobs waited, in microseconds
    Work {
        #[arg(long)]
        waits: PathBuf,
    },
    /// Enqueues as fast as it goes; ends with a line `rate: <jobs a second>`
    Rush {
        #[arg(long)]
        callers: usize,
        #[arg(long)]
        millis: u64,
        #[arg(long)]
        with_row: bool,
    },
    /// Enqueues at a pace that nothing slows down
    Flow {
        #[arg(long)]
        jobs: usize,
        #[arg(long)]
        min_micros: u64,
        #[arg(long)]
        max_micros: u64,
    },
}

#[derive(Clone, Debug, Deserialize, JobArgs, Serialize)]
#[river(kind = "bench_nothing")]
struct Nothing {}

#[derive(Clone, Debug, Deserialize, JobArgs, Serialize)]
#[river(kind = "send_magic_link")]
struct SendMagicLink {
    magic_link_id: String,
}

#[derive(Clone, Debug, Deserialize, JobArgs, Serialize)]
#[river(kind = "bench_stamp")]
struct Stamp {
    sent_micros: i64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(&arguments.url).await?;
    match arguments.how {
        How::Migrate => {
            PostgresMigrator::new(pool.clone()).migrate_up().await?;
            sqlx::raw_sql(include_str!("rows.sql")).execute(&pool).await?;
        }
        How::Work { waits } => work(pool, &waits).await?,
        How::Rush { callers, millis, with_row } => {
            let sender = Sender::new(pool)?;
            sender.all(with_row, callers, Duration::from_millis(200)).await?;
            let began = Instant::now();
            let sent = sender.all(with_row, callers, Duration::from_millis(millis)).await?;
            #[expect(clippy::cast_precision_loss)]
            let rate = sent as f64 / began.elapsed().as_secs_f64();
            println!("rate: {rate:.1}");
        }
        How::Flow { jobs, min_micros, max_micros } => Sender::new(pool)?.flow(jobs, min_micros..max_micros).await?,
    }
    Ok(())
}

async fn work(pool: PgPool, path: &Path) -> Result<()> {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let noted = waits.clone();
    let mut workers = Workers::new();
    workers.add_fn(async |_: WorkContext, _: Job<Nothing>| Ok::<_, BoxError>(WorkOutcome::Complete))?;
    workers.add_fn(move |_: WorkContext, job: Job<Stamp>| {
        let noted = noted.clone();
        async move {
            let waited = now_micros()? - job.args.sent_micros;
            noted.lock().map_err(|_| "poisoned")?.push(waited);
            Ok::<_, BoxError>(WorkOutcome::Complete)
        }
    })?;
    // A queue without a pause of its own has its client's.
    let queue = QueueConfig::new(JOBS_AT_ONCE);
    let client =
        Client::builder(pool).workers(workers).queue("default", queue).fetch_cooldown(FETCH_COOLDOWN_MIN).build()?;
    let mut run = client.start()?;
    run.wait_ready().await?;
    println!("ready");
    signal(SignalKind::terminate())?.recv().await;
    run.stop().await?;
    let lines: String = waits.lock().unwrap().iter().map(|waited: &i64| format!("{waited}\n")).collect();
    Ok(fs::write(path, lines)?)
}

#[derive(Clone)]
struct Sender {
    client: Client,
    pool: PgPool,
}

impl Sender {
    fn new(pool: PgPool) -> Result<Self> {
        // Of a client that only inserts, this is the pause between two notifications of new jobs.
        let client = Client::builder(pool.clone()).fetch_cooldown(FETCH_COOLDOWN_MIN).build()?;
        Ok(Self { client, pool })
    }

    async fn all(&self, with_row: bool, callers: usize, time: Duration) -> Result<usize> {
        let end = Instant::now() + time;
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let sender = self.clone();
            tasks.spawn(async move {
                let mut sent = 0;
                while Instant::now() < end {
                    if with_row { sender.send_with_row().await? } else { sender.send_alone().await? }
                    sent += 1;
                }
                Ok(sent)
            });
        }
        tasks.join_all().await.into_iter().sum()
    }

    async fn flow(&self, jobs: usize, pauses: Range<u64>) -> Result<()> {
        let mut tasks = JoinSet::new();
        let mut at = tokio::time::Instant::now();
        for _ in 0..jobs {
            at += Duration::from_micros(rand::random_range(pauses.clone()));
            tokio::time::sleep_until(at).await;
            let sender = self.clone();
            tasks.spawn(async move { sender.send_stamped().await });
        }
        tasks.join_all().await.into_iter().collect()
    }

    async fn send_alone(&self) -> Result<()> {
        self.client.insert(Nothing {}).await?;
        Ok(())
    }

    async fn send_with_row(&self) -> Result<()> {
        let mut tx = self.pool.begin().await?;
        let email = format!("{:016x}@example.com", rand::random::<u64>());
        sqlx::query(include_str!("lock_address.sql")).bind(&email).execute(&mut *tx).await?;
        let id = Uuid::now_v7();
        sqlx::query(include_str!("insert_link.sql")).bind(id.to_string()).bind(email).execute(&mut *tx).await?;
        self.client.insert(SendMagicLink { magic_link_id: id.to_string() }).tx(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    async fn send_stamped(&self) -> Result<()> {
        let stamp = Stamp { sent_micros: now_micros()? };
        let mut tx = self.pool.begin().await?;
        self.client.insert(stamp).tx(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

/// The monotonic clock in microseconds: the same in all processes of a machine.
fn now_micros() -> nix::Result<i64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000)
}
