//! A database of the test's own, worker processes, and waiting for conditions.

use std::{
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use humanchat_domain::{Store, clock::Clock, config::Settings, pool::Pool, testing::TestDatabase};
use humanchat_jobs::{Job, NewJob};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use uuid::Uuid;

const SECRET: &str = "a secret of the tests, 32 bytes or more";

/// Everything that is waited for happens within this time, even on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Queue {
    pub(crate) url: String,
    pub(crate) store: Store,
}

/// A job's row.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) state: String,
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) attempt: i16,
    pub(crate) rescues: i16,
    pub(crate) claims: i32,
    pub(crate) last_error: Option<String>,
}

/// What a probe job recorded.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Run {
    pub(crate) job_id: Uuid,
    pub(crate) event: String,
    pub(crate) attempt: i16,
    pub(crate) pid: i32,
    pub(crate) at: DateTime<Utc>,
}

impl Queue {
    pub(crate) async fn new() -> Self {
        Self::with_clock(Clock::System).await
    }

    pub(crate) async fn with_clock(clock: Clock) -> Self {
        let database = TestDatabase::create().await;
        let store = database.store(clock);
        Self { url: database.url().to_owned(), store }.with_probes().await
    }

    /// In a database that is there already.
    pub(crate) async fn at(url: String) -> Self {
        let all = [("DATABASE_URL", url.as_str()), ("JWT_SECRET", SECRET)];
        let settings = Settings::from_lookup(&|name| {
            all.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        let store = Store::open(settings.unwrap(), Clock::System).unwrap();
        store.migrate().await.unwrap();
        Self { url, store }.with_probes().await
    }

    async fn with_probes(self) -> Self {
        sqlx::raw_sql(
            "create table probe_runs (
               id bigint generated always as identity primary key, job_id uuid not null, kind text not null,
               event text not null, attempt smallint not null, pid integer not null,
               at timestamptz not null default clock_timestamp())",
        )
        .execute(self.pool())
        .await
        .unwrap();
        self
    }

    pub(crate) fn pool(&self) -> &Pool {
        self.store.pool()
    }

    /// Enqueues a job for now, as an operation does.
    pub(crate) async fn enqueue<J: Job>(&self, job: &J) -> Uuid {
        self.enqueue_at(job, self.store.clock().now()).await
    }

    pub(crate) async fn enqueue_at<J: Job>(&self, job: &J, run_at: DateTime<Utc>) -> Uuid {
        self.enqueue_all([NewJob::new(job, run_at).unwrap()]).await[0]
    }

    pub(crate) async fn enqueue_all(&self, jobs: impl IntoIterator<Item = NewJob>) -> Vec<Uuid> {
        let mut tx = self.store.begin(None).await.unwrap();
        let ids = jobs
            .into_iter()
            .map(|job| {
                let id = job.id;
                tx.enqueue_new(job);
                id
            })
            .collect();
        tx.commit().await.unwrap();
        ids
    }

    pub(crate) async fn job(&self, id: Uuid) -> Row {
        sqlx::query_as("select id, state, run_at, attempt, rescues, claims, last_error from jobs where id = $1")
            .bind(id)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn jobs(&self) -> Vec<Row> {
        sqlx::query_as("select id, state, run_at, attempt, rescues, claims, last_error from jobs order by id")
            .fetch_all(self.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn count(&self, state: &str) -> i64 {
        sqlx::query_scalar("select count(*) from jobs where state = $1")
            .bind(state)
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn runs(&self) -> Vec<Run> {
        sqlx::query_as("select job_id, event, attempt, pid, at from probe_runs order by id")
            .fetch_all(self.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn runs_of(&self, id: Uuid) -> Vec<Run> {
        self.runs().await.into_iter().filter(|run| run.job_id == id).collect()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(self.pool()).await.unwrap();
    }

    /// Waits until the job is in this state.
    pub(crate) async fn reaches(&self, id: Uuid, state: &str) -> Row {
        until(&format!("job is {state}"), async || {
            let job = self.job(id).await;
            if job.state == state { Ok(job) } else { Err(format!("{job:?}")) }
        })
        .await
    }

    /// Waits until so many jobs are in this state.
    pub(crate) async fn counts(&self, state: &str, count: i64) {
        until(&format!("{count} jobs are {state}"), async || {
            let now = self.count(state).await;
            if now == count { Ok(()) } else { Err(format!("{now}")) }
        })
        .await;
    }

    /// Waits until the job has recorded this event so many times.
    pub(crate) async fn records(&self, id: Uuid, event: &str, count: usize) -> Vec<Run> {
        until(&format!("{count} times {event}"), async || {
            let runs: Vec<_> = self.runs_of(id).await.into_iter().filter(|run| run.event == event).collect();
            if runs.len() >= count { Ok(runs) } else { Err(format!("{runs:?}")) }
        })
        .await
    }

    /// Starts a probe worker with short leases (1 s), and waits until it works.
    pub(crate) async fn worker(&self, arguments: &[&str]) -> Worker {
        let quick = ["--lease-ms", "1000", "--renew-ms", "300", "--rescue-ms", "200", "--spread-ms", "500"];
        let arguments = [&quick, arguments].concat();
        Worker::start(&self.url, &program("examples/probe_worker"), &arguments).await
    }
}

/// Something Cargo built beside this test.
pub(crate) fn program(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(name);
    assert!(path.exists(), "{} is missing: run all targets of the package", path.display());
    path
}

/// A worker process, killed when it is dropped.
pub(crate) struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    pub(crate) async fn start(database_url: &str, program: &std::path::Path, arguments: &[&str]) -> Self {
        let worker = Self::launch(database_url, program, arguments);
        until("the worker works", async || {
            let log = worker.log();
            if log.contains("working") { Ok(()) } else { Err(log) }
        })
        .await;
        worker
    }

    pub(crate) fn launch(database_url: &str, program: &std::path::Path, arguments: &[&str]) -> Self {
        let log = std::env::temp_dir().join(format!("humanchat-worker-{}.log", Uuid::now_v7().simple()));
        let file = std::fs::File::create(&log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("DATABASE_POOL", "8")
            .env("JWT_SECRET", SECRET)
            .env("LOG_LEVEL", "info,humanchat_worker=debug")
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits until the process has ended.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let log = self.log.clone();
        until("the worker ends", async || match self.child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err(std::fs::read_to_string(&log).unwrap()),
        })
        .await
    }

    /// Tells it to stop and waits until it has. Says how long that took.
    pub(crate) async fn stop(&mut self) -> Duration {
        let started = Instant::now();
        self.signal(Signal::SIGTERM);
        let status = self.ends().await;
        assert!(status.success(), "{status}\n{}", self.log());
        started.elapsed()
    }

    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.ends().await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- log of worker {}\n{}", self.pid(), self.log());
        }
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_file(&self.log).ok();
    }
}

/// Waits until `condition` holds. The error says what is seen instead.
pub(crate) async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(seen) => assert!(Instant::now() < deadline, "waited too long until {what}; seen: {seen}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
