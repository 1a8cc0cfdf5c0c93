//! SIGTERM: nothing new, what runs ends or is handed back, nobody pays an attempt for it.

use std::time::Duration;

use nix::sys::signal::Signal;
use sqlx::Connection;

use crate::{
    harness::{Queue, until},
    kinds::{Keyed, Record, Sleep},
};

#[tokio::test]
async fn running_jobs_may_end() {
    let queue = Queue::new().await;
    let mut worker = queue.worker(&[]).await;
    let id = queue.enqueue(&Sleep { millis: 1_000 }).await;
    queue.records(id, "begin", 1).await;
    worker.signal(Signal::SIGTERM);
    until("it is stopping", async || if worker.log().contains("stopping") { Ok(()) } else { Err(worker.log()) }).await;
    let late = queue.enqueue(&Record { number: 1 }).await;
    assert!(worker.ends().await.success());
    let job = queue.job(id).await;
    assert_eq!((job.state.as_str(), job.claims), ("done", 1));
    assert_eq!(queue.job(late).await.state, "available", "nothing new is fetched");
}

#[tokio::test]
async fn jobs_that_take_too_long_are_handed_back_without_an_attempt() {
    let queue = Queue::new().await;
    let mut worker = queue.worker(&["--drain-ms", "500"]).await;
    let slow = queue.enqueue(&Sleep { millis: 60_000 }).await;
    let keyed = queue.enqueue(&Keyed { key: "a".to_owned(), millis: 60_000, fail: false }).await;
    let superseded = queue.enqueue(&Keyed { key: "b".to_owned(), millis: 60_000, fail: false }).await;
    for id in [slow, keyed, superseded] {
        queue.records(id, "begin", 1).await;
    }
    let next = Keyed { key: "b".to_owned(), millis: 0, fail: false };
    queue.enqueue_at(&next, queue.store.clock().now() + chrono::TimeDelta::seconds(60)).await;
    let took = worker.stop().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    for id in [slow, keyed] {
        let job = queue.job(id).await;
        assert_eq!((job.state.as_str(), job.attempt, job.rescues), ("available", 0, 0), "{job:?}");
    }
    assert_eq!(queue.job(superseded).await.state, "cancelled");

    // Whoever is there takes it at once.
    let _other = queue.worker(&[]).await;
    let runs = queue.records(slow, "begin", 2).await;
    assert_eq!(runs[1].attempt, 1);
}

#[tokio::test]
async fn a_second_signal_hurries() {
    let queue = Queue::new().await;
    let mut worker = queue.worker(&[]).await;
    let id = queue.enqueue(&Sleep { millis: 60_000 }).await;
    queue.records(id, "begin", 1).await;
    worker.signal(Signal::SIGTERM);
    until("it is stopping", async || if worker.log().contains("stopping") { Ok(()) } else { Err(worker.log()) }).await;
    let took = worker.stop().await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    let job = queue.job(id).await;
    assert_eq!((job.state.as_str(), job.attempt), ("available", 0));
}

#[tokio::test]
async fn a_job_that_was_fetched_and_not_begun_is_handed_back() {
    let queue = Queue::new().await;
    let mut worker = queue.worker(&["--look-ms", "50"]).await;
    // The fetch hangs at this lock, with the stop coming meanwhile.
    let mut conn = queue.pool().acquire().await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    sqlx::raw_sql("lock table queue_pauses in access exclusive mode").execute(&mut *tx).await.unwrap();
    // Due before any fetch that hangs there began.
    let due = queue.store.clock().now() - chrono::TimeDelta::seconds(1);
    let id = queue.enqueue_at(&Record { number: 1 }, due).await;
    until("the fetch of each queue waits", async || {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and query like '%queue_pauses%'",
        )
        .fetch_one(queue.pool())
        .await
        .unwrap();
        if waiting == 3 { Ok(()) } else { Err(format!("{waiting}")) }
    })
    .await;
    worker.signal(Signal::SIGTERM);
    until("it is stopping", async || if worker.log().contains("stopping") { Ok(()) } else { Err(worker.log()) }).await;
    tx.commit().await.unwrap();
    assert!(worker.ends().await.success());
    let job = queue.job(id).await;
    assert_eq!((job.state.as_str(), job.attempt, job.claims), ("available", 0, 1));
    assert_eq!(queue.runs().await.len(), 0);
}

#[tokio::test]
async fn nothing_stays_behind_when_a_busy_worker_stops() {
    let queue = Queue::new().await;
    let now = queue.store.clock().now();
    for _ in 0..10 {
        let jobs = (0..100).map(|number| humanchat_jobs::NewJob::new(&Record { number }, now).unwrap());
        queue.enqueue_all(jobs).await;
    }
    for round in 1..=5 {
        let mut worker = queue.worker(&["--look-ms", "20"]).await;
        until("some are done", async || {
            let done = queue.count("done").await;
            if done >= round * 50 { Ok(()) } else { Err(format!("{done}")) }
        })
        .await;
        worker.stop().await;
        assert_eq!(queue.count("running").await, 0);
        let charged: i64 = sqlx::query_scalar("select count(*) from jobs where state = 'available' and attempt > 0")
            .fetch_one(queue.pool())
            .await
            .unwrap();
        assert_eq!(charged, 0);
    }
    let _worker = queue.worker(&[]).await;
    queue.counts("done", 1_000).await;
    assert_eq!(queue.runs().await.len(), 1_000, "none ran twice");
}
