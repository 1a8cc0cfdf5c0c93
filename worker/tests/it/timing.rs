//! When jobs start. These measure time, so they run alone (.config/nextest.toml).

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use humanchat_jobs::{Job, NewJob};

use crate::{
    harness::Queue,
    kinds::{Nothing, Record},
};

/// Milliseconds between being due and being started, per job, sorted.
async fn delays(queue: &Queue) -> Vec<f64> {
    sqlx::query_scalar(
        "select (extract(epoch from (r.at - j.run_at)) * 1000)::float8 from probe_runs r join jobs j on j.id = r.job_id
         order by 1",
    )
    .fetch_all(queue.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn due_jobs_start_on_time_and_never_early() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    let now = queue.store.clock().now();
    // Further away than a nudge reaches, and each due in a millisecond of its own.
    let jobs = (0..100).map(|number| {
        let due = now + TimeDelta::milliseconds(2_000 + 37 * number);
        NewJob::new(&Record { number }, due).unwrap()
    });
    queue.enqueue_all(jobs).await;
    queue.counts("done", 100).await;
    let delays = delays(&queue).await;
    assert!(delays[0] >= 0.0, "{delays:?}");
    // 99 of 100 on an idle machine, which the benchmark proves; this one may be busy.
    assert!(delays[90] < 100.0, "{delays:?}");
}

#[tokio::test]
async fn a_new_job_starts_at_once() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&["--look-ms", "60000"]).await;
    for number in 0..20 {
        let id = queue.enqueue(&Record { number }).await;
        queue.reaches(id, "done").await;
    }
    let delays = delays(&queue).await;
    assert!(delays[10] < 100.0, "{delays:?}");
}

#[tokio::test]
async fn a_lost_nudge_costs_a_second_at_most() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    let job = NewJob::new(&Record { number: 1 }, queue.store.clock().now()).unwrap();
    let id = job.id;
    let mut conn = queue.pool().acquire().await.unwrap();
    // Past the unit of work, so nobody is nudged.
    humanchat_jobs::insert(&mut conn, vec![job], queue.store.clock().now()).await.unwrap();
    queue.reaches(id, "done").await;
    let delays = delays(&queue).await;
    assert!(delays[0] < 1_200.0, "{delays:?}");
}

#[tokio::test]
async fn a_job_that_was_due_long_ago_is_found_within_a_second() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    let done = queue.enqueue(&Record { number: 1 }).await;
    queue.reaches(done, "done").await;
    // Behind the place where fetches that follow a nudge begin.
    let started = Instant::now();
    let id = queue.enqueue_at(&Record { number: 2 }, queue.store.clock().now() - TimeDelta::hours(1)).await;
    queue.reaches(id, "done").await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_million_jobs_of_the_future_are_not_in_the_way() {
    let queue = Queue::new().await;
    sqlx::query(
        "insert into jobs (id, kind, queue, priority, max_attempts, data, run_at, created_at)
         select gen_random_uuid(), $1, 'default', 0, 1, '{}', now() + interval '1 day' + n * interval '1 ms', now()
         from generate_series(1, 200000) n",
    )
    .bind(Nothing::NAME)
    .execute(queue.pool())
    .await
    .unwrap();
    let _worker = queue.worker(&[]).await;
    let started = Instant::now();
    for number in 0..20 {
        let id = queue.enqueue(&Record { number }).await;
        queue.reaches(id, "done").await;
    }
    let delays = delays(&queue).await;
    assert!(delays[10] < 100.0, "{delays:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
    let scans: i64 =
        sqlx::query_scalar("select coalesce(sum(seq_scan), 0)::bigint from pg_stat_user_tables where relname = 'jobs'")
            .fetch_one(queue.pool())
            .await
            .unwrap();
    assert!(scans < 10, "the table was read as a whole {scans} times");
}
