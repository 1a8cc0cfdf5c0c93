//! A worker with kinds of jobs that behave badly on purpose, for the queue's tests and measurements.
//!
//! Same process, same runtime as the real one; only registry, schedule and durations differ.

mod kinds;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use humanchat_worker::{
    job::{Context, JobError, JobResult},
    process,
    registry::{self, Registry},
    runtime::Options,
    schedule::Schedule,
};
use kinds::{
    Abort, Block, Fail, FailingChore, GiveUp, Keyed, Limited, Nothing, OutOfMemory, Overtime, Panic, Record,
    RecordMail, RecordUrgent, Rescheduled, Sleep, Snooze, Tick,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time for the acknowledgements of jobs that ended before.
const BEFORE_DEATH: Duration = Duration::from_millis(250);

/// A probe worker.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long)]
    lease_ms: Option<u64>,
    #[arg(long)]
    renew_ms: Option<u64>,
    #[arg(long)]
    rescue_ms: Option<u64>,
    #[arg(long)]
    spread_ms: Option<u64>,
    #[arg(long)]
    look_ms: Option<u64>,
    #[arg(long)]
    drain_ms: Option<u64>,
    /// One job at a time.
    #[arg(long)]
    single: bool,
    /// Knows only `probe_record`, as an old version would.
    #[arg(long)]
    old: bool,
    /// Asks for a tick every second.
    #[arg(long)]
    ticking: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut options = Options::default();
    let set = |duration: &mut Duration, millis: Option<u64>| {
        if let Some(millis) = millis {
            *duration = Duration::from_millis(millis);
        }
    };
    set(&mut options.lease, arguments.lease_ms);
    set(&mut options.renew_every, arguments.renew_ms);
    set(&mut options.rescue_every, arguments.rescue_ms);
    set(&mut options.rescue_spread, arguments.spread_ms);
    set(&mut options.look_every, arguments.look_ms);
    set(&mut options.drain, arguments.drain_ms);
    options.concurrency = if arguments.single { |_| 1 } else { registry::concurrency };
    let mut schedule = Schedule::default();
    if arguments.ticking {
        schedule.add("* * * * * *", Tick::default);
    }
    process::run(if arguments.old { old_registry() } else { registry() }, schedule, options)
}

fn old_registry() -> Registry {
    let mut registry = Registry::default();
    registry.add(|_: Record, ctx| once(ctx));
    registry
}

fn registry() -> Registry {
    let mut registry = old_registry();
    registry.add(async |_: Nothing, _| Ok(()));
    registry.add(|_: RecordMail, ctx| once(ctx));
    registry.add(|_: RecordUrgent, ctx| once(ctx));
    registry.add(|_: Rescheduled, ctx| once(ctx));
    registry.add(|_: Tick, ctx| once(ctx));
    registry.add(|job: Sleep, ctx| begin_and_end(job.millis, ctx));
    registry.add(|job: Limited, ctx| begin_and_end(job.millis, ctx));
    registry.add(|_: Overtime, ctx| begin_and_end(60_000, ctx));
    registry.add(block);
    registry.add(keyed);
    registry.add(panic);
    registry.add(abort);
    registry.add(run_out_of_memory);
    registry.add(fail);
    registry.add(failing_chore);
    registry.add(give_up);
    registry.add(snooze);
    registry
}

async fn record(ctx: &Context, event: &str) -> anyhow::Result<()> {
    sqlx::query(
        "insert into probe_runs (job_id, kind, event, attempt, pid)
         select id, kind, $2, $3, $4 from jobs where id = $1",
    )
    .bind(ctx.job_id())
    .bind(event)
    .bind(ctx.attempt())
    .bind(i32::try_from(std::process::id())?)
    .execute(ctx.store().pool())
    .await?;
    Ok(())
}

async fn once(ctx: Context) -> JobResult {
    Ok(record(&ctx, "run").await?)
}

async fn begin_and_end(millis: u64, ctx: Context) -> JobResult {
    record(&ctx, "begin").await?;
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(record(&ctx, "end").await?)
}

async fn block(job: Block, ctx: Context) -> JobResult {
    record(&ctx, "begin").await?;
    std::thread::sleep(Duration::from_millis(job.millis));
    Ok(())
}

async fn keyed(job: Keyed, ctx: Context) -> JobResult {
    begin_and_end(job.millis, ctx).await?;
    if job.fail { Err(anyhow::anyhow!("as told").into()) } else { Ok(()) }
}

async fn panic(_: Panic, ctx: Context) -> JobResult {
    record(&ctx, "begin").await?;
    panic!("on purpose");
}

async fn abort(_: Abort, ctx: Context) -> JobResult {
    record(&ctx, "begin").await?;
    tokio::time::sleep(BEFORE_DEATH).await;
    std::process::abort();
}

async fn run_out_of_memory(_: OutOfMemory, ctx: Context) -> JobResult {
    record(&ctx, "begin").await?;
    tokio::time::sleep(BEFORE_DEATH).await;
    kill(Pid::this(), Signal::SIGKILL)?;
    std::future::pending().await
}

async fn fail(job: Fail, ctx: Context) -> JobResult {
    record(&ctx, "run").await?;
    if ctx.attempt() > job.times {
        return Ok(());
    }
    Err(anyhow::anyhow!("disk full").context("could not write").into())
}

async fn failing_chore(_: FailingChore, ctx: Context) -> JobResult {
    record(&ctx, "run").await?;
    Err(anyhow::anyhow!("disk full").into())
}

async fn give_up(_: GiveUp, ctx: Context) -> JobResult {
    record(&ctx, "run").await?;
    Err(JobError::GiveUp(anyhow::anyhow!("no such\0address")))
}

async fn snooze(job: Snooze, ctx: Context) -> JobResult {
    record(&ctx, "run").await?;
    let count = sqlx::query_scalar::<_, i64>("select count(*) from probe_runs where job_id = $1");
    let runs = count.bind(ctx.job_id()).fetch_one(ctx.store().pool()).await?;
    if runs <= job.times { Err(JobError::Snooze(Duration::from_millis(job.millis))) } else { Ok(()) }
}
