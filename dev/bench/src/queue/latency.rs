//! How long a job waits for its handler.

use anyhow::{Result, ensure};
use sqlx::Connection as _;

use super::{
    contender::{Contender, Ring, Style, connect},
    stamp,
};
use crate::{
    measure::{Better, Row, Series, Target, order, percentile},
    report::Table,
    say,
};

/// How jobs come.
struct Pace {
    name: &'static str,
    jobs: usize,
    min_micros: u64,
    max_micros: u64,
}

/// The pauses vary, so that they fall in step with nobody's own.
const PACES: [Pace; 2] = [
    Pace { name: "idle, a job every 20 ms", jobs: 300, min_micros: 15_000, max_micros: 25_000 },
    Pace { name: "500 jobs a second", jobs: 3_000, min_micros: 1_000, max_micros: 3_000 },
];
/// Jobs before the measurement: connections, prepared statements, compiled code.
const WARM_UP: usize = 50;

/// The table of all rounds.
///
/// # Errors
/// When a contender fails.
pub async fn measure(ring: &Ring<'_>, contenders: &[Contender]) -> Result<Table> {
    let mut rows = Vec::new();
    for pace in &PACES {
        let series = || contenders.iter().map(|who| Series::new(name(*who), "ms")).collect::<Vec<_>>();
        let (mut middle, mut worst) = (series(), series());
        for round in 0..ring.plan.rounds {
            for index in order(round, contenders.len()) {
                let waits = flow(ring, contenders[index], pace).await?;
                let (p50, p99) = (percentile(&waits, 0.5), percentile(&waits, 0.99));
                let who = &middle[index].name;
                say(&format!("latency, {}, round {}: {who} p50 {p50:.2} ms, p99 {p99:.2} ms", pace.name, round + 1));
                middle[index].rounds.push(p50);
                worst[index].rounds.push(p99);
            }
        }
        rows.push(Row::of(format!("{}: p50", pace.name), Better::Lower, middle, Vec::new()));
        let target = Target::ratio(name(Contender::Raw), 1.0);
        rows.push(Row::of(format!("{}: p99", pace.name), Better::Lower, worst, vec![target]));
    }
    Ok(Table { title: "Latency".to_owned(), rows })
}

fn name(contender: Contender) -> &'static str {
    match contender {
        Contender::Raw => "raw listen",
        other => other.name(),
    }
}

async fn flow(ring: &Ring<'_>, contender: Contender, pace: &Pace) -> Result<Vec<f64>> {
    let url = contender.database(ring, "latency").await?;
    let worker = contender.worker(ring, &url, 0, Style::Latency).await?;
    ring.stage.settle().await?;
    let jobs = WARM_UP + ring.plan.work(pace.jobs);
    let arguments = [
        "flow".to_owned(),
        format!("--jobs={jobs}"),
        format!("--min-micros={}", pace.min_micros),
        format!("--max-micros={}", pace.max_micros),
    ];
    contender.send(ring, &url, &arguments).await?;
    let mut conn = connect(&url).await?;
    contender.finish(&mut conn).await?;
    conn.close().await?;
    let path = worker.waits.clone();
    worker.program.stop().await?;
    let waits = stamp::read_waits_ms(&path)?;
    ensure!(waits.len() == jobs, "{} of {} ran {} jobs instead of {jobs}", contender.name(), pace.name, waits.len());
    Ok(waits[WARM_UP..].to_vec())
}
