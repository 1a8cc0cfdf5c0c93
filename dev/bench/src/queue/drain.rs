//! How fast waiting jobs get done that do nothing.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sqlx::Connection as _;

use super::{
    contender::{Contender, Ring, Style, connect},
    work::Work,
};
use crate::{
    measure::{Better, Row, Series, Target, count, order},
    report::Table,
    say,
};

/// Jobs before the measurement: connections, prepared statements, compiled code.
const WARM_UP: usize = 1_000;

/// What a drain told.
pub(super) struct Drained {
    pub jobs_per_second: f64,
    /// CPU milliseconds of all workers and of Postgres, for a thousand jobs.
    worker_cpu: f64,
    postgres_cpu: f64,
}

/// The tables of all rounds.
///
/// # Errors
/// When a contender fails.
pub async fn measure(ring: &Ring<'_>, contenders: &[Contender]) -> Result<Vec<Table>> {
    let mut rates = Vec::new();
    let mut costs = Vec::new();
    for processes in [1, 2] {
        let series = |unit| contenders.iter().map(|who| Series::new(who.name(), unit)).collect::<Vec<_>>();
        let (mut speed, mut worker, mut postgres) = (series("jobs/s"), series("ms"), series("ms"));
        for round in 0..ring.plan.rounds {
            for index in order(round, contenders.len()) {
                let who = contenders[index];
                let drained = drain(ring, who, processes, Work::Nothing, ring.plan.work(jobs(who))).await?;
                say(&format!(
                    "drain, {processes} process(es), round {}: {} {:.0} jobs/s, CPU ms per 1,000 jobs: {:.0} + {:.0} Postgres",
                    round + 1,
                    who.name(),
                    drained.jobs_per_second,
                    drained.worker_cpu,
                    drained.postgres_cpu,
                ));
                speed[index].rounds.push(drained.jobs_per_second);
                worker[index].rounds.push(drained.worker_cpu);
                postgres[index].rounds.push(drained.postgres_cpu);
            }
        }
        let what = if processes == 1 { "one worker process" } else { "two worker processes" };
        let targets = vec![Target::ratio("graphile-worker, at its best", 1.0), Target::ratio("raw", 0.9)];
        rates.push(Row::of(what, Better::Higher, speed, targets));
        if processes == 1 {
            costs.push(Row::of("worker", Better::Lower, worker, Vec::new()));
            costs.push(Row::of("Postgres", Better::Lower, postgres, Vec::new()));
        }
    }
    Ok(vec![
        Table { title: "Drain".to_owned(), rows: rates },
        Table { title: "CPU time for 1,000 jobs, one worker process".to_owned(), rows: costs },
    ])
}

/// From the commit that brings so many jobs to so many idle workers, until all are done.
pub(super) async fn drain(
    ring: &Ring<'_>,
    contender: Contender,
    processes: usize,
    work: Work,
    jobs: usize,
) -> Result<Drained> {
    let url = contender.database(ring, "drain").await?;
    let mut workers = Vec::new();
    for number in 0..processes {
        workers.push(contender.worker(ring, &url, number, Style::Throughput).await?);
    }
    let cpu = || -> Result<(Duration, Duration)> {
        let workers: Result<Duration> = workers.iter().map(|worker| worker.program.cpu()).sum();
        Ok((workers?, ring.stage.postgres_cpu()?))
    };
    let mut conn = connect(&url).await?;
    contender.fill(&mut conn, work, WARM_UP, || ()).await?;
    contender.finish(&mut conn).await?;
    ring.stage.settle().await?;
    let (began, before) = contender.fill(&mut conn, work, jobs, || (Instant::now(), cpu())).await?;
    contender.finish(&mut conn).await?;
    let (took, before, after) = (began.elapsed(), before?, cpu()?);
    let done = contender.done(&mut conn).await?;
    ensure!(done.is_none_or(|done| done == jobs + WARM_UP), "{done:?} jobs are done of {}", jobs + WARM_UP);
    conn.close().await?;
    for worker in workers {
        worker.program.stop().await?;
    }
    let per_thousand = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() * 1_000_000.0 / count(jobs);
    Ok(Drained {
        jobs_per_second: count(jobs) / took.as_secs_f64(),
        worker_cpu: per_thousand(before.0, after.0),
        postgres_cpu: per_thousand(before.1, after.1),
    })
}

/// Enough for some seconds.
fn jobs(contender: Contender) -> usize {
    match contender {
        Contender::Ours | Contender::Raw | Contender::RawWide | Contender::GraphileBest => 30_000,
        Contender::River => 20_000,
        Contender::Graphile | Contender::GraphileNarrow => 3_000,
    }
}
