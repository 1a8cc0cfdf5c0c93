//! The api beside pgbench, which runs the same statements on the same database without the api.

mod load;
mod pgbench;
mod scripts;
mod seed;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

use self::{load::Load, scripts::Operation, seed::Seeded};
use crate::{
    Plan,
    measure::{Better, Row, Series, Target, count, order},
    product::Api,
    profile::{self, Recording},
    report::{Section, Table, thousands},
    say,
    stage::Stage,
};

const CONNECTIONS: usize = 32;
const PGBENCH: &str = "pgbench";

/// How many messages are stored, and by how many people.
const SIZES: [(usize, usize); 2] = [(10_000, 32), (1_000_000, 200)];

/// Measures the api.
///
/// # Errors
/// When a server or a request fails.
pub async fn run(stage: &Stage, plan: &Plan) -> Result<Section> {
    let mut section = Section::default();
    for (messages, people) in SIZES {
        say(&format!("api: storing {messages} messages"));
        let database = format!("api_{messages}");
        let url = stage.product_database(&database).await?;
        let api = Api::start(stage, &url).await?;
        let seeded = Seeded::store(&api, &url, people, messages).await?;
        stage.as_superuser(&database, "vacuum analyze").await?;
        let contest = Contest { stage, plan, api, database, seeded };
        let (mut speed, mut effort) = (Vec::new(), Vec::new());
        for operation in Operation::ALL {
            let [ours, limit] = contest.hold(operation).await?;
            speed.extend(speed_rows(operation, &ours, &limit));
            effort.extend(effort_rows(operation, &ours, &limit));
        }
        let stored = thousands(messages);
        section
            .tables
            .push(Table { title: format!("{stored} messages stored, {CONNECTIONS} connections"), rows: speed });
        section.tables.push(Table { title: format!("CPU time a request, {stored} messages stored"), rows: effort });
        contest.api.program.stop().await?;
        stage.drop_database(&contest.database).await?;
    }
    Ok(section)
}

/// Listens with `perf` to the api while each request is made again and again; says where its time went. Recordings are
/// kept in `folder`.
///
/// # Errors
/// When a server or a request fails, or perf does.
pub async fn profile(stage: &Stage, plan: &Plan, folder: &Path) -> Result<String> {
    let (messages, people) = SIZES[usize::from(!plan.quick)];
    say(&format!("profile: storing {messages} messages"));
    let url = stage.product_database("profile").await?;
    let api = Api::start(stage, &url).await?;
    let seeded = Seeded::store(&api, &url, people, messages).await?;
    stage.as_superuser("profile", "vacuum analyze").await?;
    let lasting = Duration::from_secs(if plan.quick { 2 } else { 10 });
    let mut told = String::new();
    for operation in Operation::ALL {
        say(&format!("profile: {}", operation.title()));
        let requests = seeded.requests(operation);
        load::run(api.address, &requests, CONNECTIONS, Duration::ZERO).await?;
        let name = operation.title().to_lowercase().replace(' ', "-");
        let recording = Recording::start(api.program.pid(), folder.to_path_buf(), &name)?;
        load::run(api.address, &requests, CONNECTIONS, lasting).await?;
        let costs = tokio::task::block_in_place(|| recording.finish())?;
        told.push_str(&profile::markdown(operation.title(), &costs));
        told.push('\n');
    }
    api.program.stop().await?;
    stage.drop_database("profile").await?;
    Ok(told)
}

/// What one run of one contender came to.
struct Outcome {
    load: Load,
    /// CPU time a request, in microseconds.
    postgres: f64,
    api: f64,
    client: f64,
}

/// Both contenders on one database.
struct Contest<'a> {
    stage: &'a Stage,
    plan: &'a Plan,
    api: Api,
    database: String,
    seeded: Seeded,
}

impl Contest<'_> {
    /// All rounds of one operation: ours, and pgbench's.
    async fn hold(&self, operation: Operation) -> Result<[Vec<Outcome>; 2]> {
        let lasting = Duration::from_secs(if self.plan.quick { 1 } else { 6 });
        let requests = self.seeded.requests(operation);
        self.stage.settle().await?;
        let mut outcomes = [Vec::new(), Vec::new()];
        for round in 0..self.plan.rounds {
            for contender in order(round, outcomes.len()) {
                say(&format!("api: {}, round {}, {}", operation.title(), round + 1, ["ours", PGBENCH][contender]));
                outcomes[contender].push(self.one(contender, operation, &requests, lasting).await?);
            }
        }
        Ok(outcomes)
    }

    async fn one(
        &self,
        contender: usize,
        operation: Operation,
        requests: &Arc<[Vec<u8>]>,
        lasting: Duration,
    ) -> Result<Outcome> {
        // pgbench is a child that has ended by the time it is asked for.
        let whose = if contender == 0 { UsageWho::RUSAGE_SELF } else { UsageWho::RUSAGE_CHILDREN };
        let before = (self.stage.postgres_cpu()?, self.api.program.cpu()?, cpu(whose)?);
        let load = if contender == 0 {
            load::run(self.api.address, requests, CONNECTIONS, lasting).await?
        } else {
            let folder = self.stage.folder();
            let run = pgbench::Run {
                postgres: self.stage.postgres(),
                database: &self.database,
                folder: &folder,
                operation,
                targets: self.seeded.targets(),
                clients: CONNECTIONS,
                lasting,
            };
            tokio::task::block_in_place(|| run.run())?
        };
        let each =
            |before: Duration, now: Duration| now.saturating_sub(before).as_secs_f64() * 1e6 / count(load.requests);
        Ok(Outcome {
            postgres: each(before.0, self.stage.postgres_cpu()?),
            api: each(before.1, self.api.program.cpu()?),
            client: each(before.2, cpu(whose)?),
            load,
        })
    }
}

fn cpu(whose: UsageWho) -> Result<Duration> {
    let usage = getrusage(whose)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}

fn series(name: &str, unit: &'static str, outcomes: &[Outcome], figure: impl Fn(&Outcome) -> f64) -> Series {
    Series { name: name.to_owned(), unit, rounds: outcomes.iter().map(figure).collect() }
}

fn speed_rows(operation: Operation, ours: &[Outcome], limit: &[Outcome]) -> [Row; 3] {
    let row = |what: &str, unit, better, figure: fn(&Outcome) -> f64| Row {
        what: format!("{}{what}", operation.title()),
        better,
        ours: series("ours", unit, ours, figure),
        peers: vec![series(PGBENCH, unit, limit, figure)],
        targets: Vec::new(),
    };
    let mut rate = row("", "/s", Better::Higher, |outcome| outcome.load.rate());
    if operation != Operation::GetConversations {
        rate.targets.push(Target::ratio(PGBENCH, 0.6));
    }
    [
        rate,
        row(", p50", "ms", Better::Lower, |outcome| outcome.load.percentile(0.5)),
        row(", p99", "ms", Better::Lower, |outcome| outcome.load.percentile(0.99)),
    ]
}

fn effort_rows(operation: Operation, ours: &[Outcome], limit: &[Outcome]) -> [Row; 3] {
    let row = |what: &str, peers, figure: fn(&Outcome) -> f64| Row {
        what: format!("{}, {what}", operation.title()),
        better: Better::Lower,
        ours: series("ours", "µs", ours, figure),
        peers,
        targets: Vec::new(),
    };
    let peer = |figure: fn(&Outcome) -> f64| vec![series(PGBENCH, "µs", limit, figure)];
    [
        row("the api", Vec::new(), |outcome| outcome.api),
        row("Postgres", peer(|outcome| outcome.postgres), |outcome| outcome.postgres),
        row("who asks", peer(|outcome| outcome.client), |outcome| outcome.client),
    ]
}
