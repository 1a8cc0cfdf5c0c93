//! Connections that are cut, and a Postgres that goes away.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use humanchat_jobs::NewJob;
use humanchat_local::{
    database,
    postgres::{Postgres, PostgresOptions},
    scratch::Scratch,
};

use crate::{
    harness::{Queue, Worker, program, until},
    kinds::{Record, Sleep},
};

#[tokio::test]
async fn a_storm_of_cut_connections_loses_no_job() {
    let queue = Queue::new().await;
    let workers = [queue.worker(&[]).await, queue.worker(&[]).await];
    let now = queue.store.clock().now();
    let jobs = (0..400).map(|_| NewJob::new(&Sleep { millis: 20 }, now).unwrap());
    let ids = queue.enqueue_all(jobs).await;
    let storm = Instant::now();
    while storm.elapsed() < Duration::from_secs(3) {
        sqlx::query(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() and application_name like 'humanchat%'
               and random() < 0.5",
        )
        .execute(queue.pool())
        .await
        .ok();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until("all are done", async || {
        let left = sqlx::query_scalar::<_, i64>("select count(*) from jobs where state <> 'done'")
            .fetch_one(queue.pool())
            .await
            .map_err(|error| error.to_string())?;
        if left == 0 { Ok(()) } else { Err(format!("{left} left")) }
    })
    .await;
    // At least once each; another run only after one that failed or was lost.
    let mut ends: HashMap<_, usize> = HashMap::new();
    for run in queue.runs().await {
        *ends.entry(run.job_id).or_default() += usize::from(run.event == "end");
    }
    for id in ids {
        let job = queue.job(id).await;
        let ends = i32::try_from(ends[&id]).unwrap();
        assert!(ends >= 1 && ends <= job.claims, "{ends} times to its end: {job:?}");
    }
    let twice = ends.values().filter(|count| **count > 1).count();
    assert!(twice <= 20, "{twice} jobs ran to their end more than once");
    drop(workers);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_go_on_by_themselves_when_postgres_is_back() {
    let scratch = Scratch::create().unwrap();
    let options = PostgresOptions { data_dir: scratch.postgres(), durable: true, install: false };
    let mut server = Postgres::start(options).unwrap();
    database::create(&server.url("postgres"), "queue", None).await.unwrap();
    let queue = Queue::at(server.url("queue")).await;
    // The real durations.
    let mut worker = Worker::start(&queue.url, &program("examples/probe_worker"), &[]).await;
    for crash in [false, true] {
        // Longer than a busy machine takes to recover a database: the job notes its end there.
        let slow = queue.enqueue(&Sleep { millis: 8_000 }).await;
        queue.records(slow, "begin", 1).await;
        if crash {
            server.kill().unwrap();
        } else {
            server.stop_fast().unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.restart().unwrap();
        let back = Instant::now();
        let job = NewJob::new(&Record { number: 1 }, queue.store.clock().now()).unwrap();
        let id = job.id;
        until("the database takes jobs again", async || {
            let mut tx = queue.store.begin(None).await.map_err(|error| error.to_string())?;
            tx.enqueue_new(job.clone());
            tx.commit().await.map_err(|error| error.to_string())
        })
        .await;
        queue.reaches(id, "done").await;
        assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
        // What ran meanwhile is acknowledged once that is possible.
        let job = queue.reaches(slow, "done").await;
        assert_eq!(job.claims, 1);
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_was_taken_unheard_is_taken_again_without_an_attempt() {
    let queue = Queue::new().await;
    let mut worker = queue.worker(&[]).await;
    let first = queue.enqueue(&Record { number: 1 }).await;
    queue.reaches(first, "done").await;
    // As after a fetch whose answer got lost: running for this process, which knows nothing of it.
    let lost = queue.enqueue_at(&Record { number: 2 }, queue.store.clock().now() + chrono::TimeDelta::days(1)).await;
    let slow = queue.enqueue(&Sleep { millis: 10_000 }).await;
    queue.records(slow, "begin", 1).await;
    sqlx::query(
        "update jobs set state = 'running', attempt = 1, claims = 1, run_at = now(), lease_until = now(),
           locked_by = (select locked_by from jobs where id = $2) where id = $1",
    )
    .bind(lost)
    .bind(slow)
    .execute(queue.pool())
    .await
    .unwrap();
    let job = queue.reaches(lost, "done").await;
    assert_eq!((job.attempt, job.rescues, job.claims), (1, 0, 2));
    worker.kill().await;
}
