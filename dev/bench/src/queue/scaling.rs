//! What more worker processes bring, and what they cost while there is nothing to do.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sqlx::Connection as _;

use super::{
    contender::{
        Contender::{self, Graphile, GraphileBest, GraphileNarrow, Ours},
        Ring, Style, connect,
    },
    drain::drain,
    stamp,
    work::{self, Work},
};
use crate::{
    Plan,
    measure::{Better, Row, Series, Target, count, order, percentile},
    report::{Section, Table},
    say,
    stage::Stage,
};

/// How many workers.
const PROCESSES: [usize; 4] = [1, 2, 4, 8];
/// A drain's length at the speed of one process, times the processes.
const ASKING: usize = 2_000;
const COMPUTING: usize = 20_000;
/// The least speed-up, as a share of the processes.
const TARGET: f64 = 0.9;
/// How long nothing is to do.
const IDLE: Duration = Duration::from_secs(20);
/// A quick look still has to see the workers' looks of every second.
const IDLE_QUICK: Duration = Duration::from_secs(5);
/// What idle workers may take of Postgres, in milliseconds of CPU time a second.
const IDLE_TARGET: f64 = 20.0;
/// Jobs that come one at a time to idle workers.
const JOBS: usize = 600;
/// A process' first ones meet statements nobody has prepared.
const WARM_UP: usize = 5;

/// Measures one to eight worker processes.
///
/// # Errors
/// When the product can't be measured. Without the peer there is a note.
pub async fn run(stage: &Stage, plan: &Plan) -> Result<Section> {
    let mut ring = Ring::new(stage, plan)?;
    ring.provider = Some(work::provider().await?);
    let mut section = Section::default();
    let peer = Graphile.install(&ring).await;
    if let Err(error) = &peer {
        section.notes.push(format!("Skipped: graphile-worker. {error:#}"));
    }
    let with = |other| if peer.is_ok() { vec![Ours, other] } else { vec![Ours] };
    section.tables.push(curve(&ring, &with(GraphileNarrow), Work::Ask).await.context("jobs that ask")?);
    section.tables.push(curve(&ring, &with(GraphileBest), Work::Compute).await.context("jobs that compute")?);
    section.tables.push(idle(&ring, &with(Graphile)).await.context("idle workers")?);
    Ok(section)
}

/// Jobs a second by processes, and how many times those of one process that is.
async fn curve(ring: &Ring<'_>, contenders: &[Contender], work: Work) -> Result<Table> {
    let series = |unit| contenders.iter().map(|who| Series::new(who.name(), unit)).collect::<Vec<_>>();
    let mut rates = PROCESSES.map(|_| series("jobs/s"));
    for round in 0..ring.plan.rounds {
        for index in order(round, contenders.len()) {
            for step in order(round, PROCESSES.len()) {
                let processes = PROCESSES[step];
                let jobs =
                    if work == Work::Ask { ring.plan.work(ASKING * processes) } else { ring.plan.work(COMPUTING) };
                let rate = drain(ring, contenders[index], processes, work, jobs).await?.jobs_per_second;
                let who = contenders[index].name();
                say(&format!("{}, {processes} process(es), round {}: {who} {rate:.0} jobs/s", work.name(), round + 1));
                rates[step][index].rounds.push(rate);
            }
        }
    }
    let mut rows = Vec::new();
    for (processes, rates_now) in PROCESSES.into_iter().zip(rates.clone()) {
        let title = if processes == 1 { "one process".to_owned() } else { format!("{processes} processes") };
        rows.push(Row::of(&title, Better::Higher, rates_now.clone(), Vec::new()));
        if processes > 1 {
            let ups = rates_now.iter().zip(&rates[0]).map(|(many, one)| many.over(one)).collect();
            // Who computes has no more than the machine's cores, which one process uses all of.
            let target = (work == Work::Ask).then(|| Target::fixed(TARGET * count(processes)));
            rows.push(Row::of(format!("{title} ÷ one"), Better::Higher, ups, target.into_iter().collect()));
        }
    }
    let title = match work {
        Work::Ask => "Jobs that wait 20 ms for a provider, eight at a time in each process",
        Work::Compute | Work::Nothing => "Jobs that compute for about 0.1 ms",
    };
    Ok(Table { title: title.to_owned(), rows })
}

/// What idle workers cost, and how long a job waits among them.
struct Idle {
    /// CPU milliseconds a second.
    postgres: f64,
    workers: f64,
    /// Of a job's wait, in milliseconds.
    p50: f64,
    p99: f64,
}

async fn idle(ring: &Ring<'_>, contenders: &[Contender]) -> Result<Table> {
    let mut rows = Vec::new();
    for processes in [1, 8] {
        let mut found = contenders.iter().map(|_| Vec::new()).collect::<Vec<_>>();
        for round in 0..ring.plan.rounds {
            for index in order(round, contenders.len()) {
                let idle = idle_workers(ring, contenders[index], processes).await?;
                say(&format!(
                    "{processes} idle process(es), round {}: {} {:.1} ms/s of Postgres, p99 {:.2} ms",
                    round + 1,
                    contenders[index].name(),
                    idle.postgres,
                    idle.p99
                ));
                found[index].push(idle);
            }
        }
        let row = |what: &str, unit, targets, figure: fn(&Idle) -> f64| {
            let series = contenders.iter().zip(&found).map(|(who, found)| Series {
                name: who.name().to_owned(),
                unit,
                rounds: found.iter().map(figure).collect(),
            });
            let process = if processes == 1 { "process" } else { "processes" };
            Row::of(format!("{processes} idle {process}: {what}"), Better::Lower, series.collect(), targets)
        };
        let target = vec![Target::fixed(IDLE_TARGET)];
        rows.push(row("Postgres' CPU time", "ms/s", target, |idle| idle.postgres));
        rows.push(row("the workers' CPU time", "ms/s", Vec::new(), |idle| idle.workers));
        rows.push(row("a job's wait, p50", "ms", Vec::new(), |idle| idle.p50));
        let target = vec![Target::ratio(Graphile.name(), 1.0)];
        rows.push(row("a job's wait, p99", "ms", target, |idle| idle.p99));
    }
    Ok(Table { title: "Idle workers, and a job every 20 ms".to_owned(), rows })
}

async fn idle_workers(ring: &Ring<'_>, contender: Contender, processes: usize) -> Result<Idle> {
    let url = contender.database(ring, "idle").await?;
    let mut workers = Vec::new();
    for number in 0..processes {
        workers.push(contender.worker(ring, &url, number, Style::Latency).await?);
    }
    let cpu = || -> Result<(Duration, Duration)> {
        let workers: Result<Duration> = workers.iter().map(|worker| worker.program.cpu()).sum();
        Ok((ring.stage.postgres_cpu()?, workers?))
    };
    // What comes with the start is over.
    ring.stage.settle().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (began, before) = (Instant::now(), cpu()?);
    tokio::time::sleep(if ring.plan.quick { IDLE_QUICK } else { IDLE }).await;
    let (lasted, after) = (began.elapsed().as_secs_f64(), cpu()?);
    let jobs = ring.plan.work(JOBS) + WARM_UP * processes;
    let arguments =
        ["flow".to_owned(), format!("--jobs={jobs}"), "--min-micros=15000".to_owned(), "--max-micros=25000".to_owned()];
    contender.send(ring, &url, &arguments).await?;
    let mut conn = connect(&url).await?;
    contender.finish(&mut conn).await?;
    conn.close().await?;
    let (mut waits, mut ran) = (Vec::new(), 0);
    for worker in workers {
        worker.program.stop().await?;
        let own = stamp::read_waits_ms(&worker.waits)?;
        ran += own.len();
        waits.extend(own.into_iter().skip(WARM_UP));
    }
    ensure!(ran == jobs, "{} ran {ran} jobs instead of {jobs}", contender.name());
    let each_second = |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() * 1e3 / lasted;
    Ok(Idle {
        postgres: each_second(before.0, after.0),
        workers: each_second(before.1, after.1),
        p50: percentile(&waits, 0.5),
        p99: percentile(&waits, 0.99),
    })
}
