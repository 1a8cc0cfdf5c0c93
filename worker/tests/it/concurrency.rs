//! How many run at once, in which order, where.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use humanchat_jobs::{NewJob, Queue as Lane};
use sqlx::Connection;

use crate::{
    harness::{Queue, Run, until},
    kinds::{Limited, Record, RecordMail, RecordUrgent, Sleep},
};

/// The most jobs that ran at any time.
fn most_at_once(runs: &[Run]) -> i32 {
    let mut changes: Vec<(DateTime<Utc>, i32)> =
        runs.iter().map(|run| (run.at, if run.event == "begin" { 1 } else { -1 })).collect();
    changes.sort_unstable();
    let mut now = 0;
    changes
        .iter()
        .map(|(_, change)| {
            now += change;
            now
        })
        .max()
        .unwrap_or(0)
}

#[tokio::test]
async fn a_queue_runs_as_many_jobs_at_once_as_it_may() {
    let queue = Queue::new().await;
    let now = queue.store.clock().now();
    let jobs = (0..120).map(|_| NewJob::new(&Sleep { millis: 500 }, now).unwrap());
    queue.enqueue_all(jobs).await;
    let _worker = queue.worker(&[]).await;
    queue.counts("done", 120).await;
    let most = most_at_once(&queue.runs().await);
    assert!(most <= 50 && most > 30, "{most}");
}

#[tokio::test]
async fn a_kind_runs_as_often_at_once_as_it_may_over_all_workers() {
    let queue = Queue::new().await;
    let workers = [queue.worker(&[]).await, queue.worker(&[]).await, queue.worker(&[]).await];
    let now = queue.store.clock().now();
    let jobs = (0..12).map(|_| NewJob::new(&Limited { millis: 60 }, now).unwrap());
    let ids = queue.enqueue_all(jobs).await;
    // Jobs of other kinds don't wait behind them.
    let other = queue.enqueue(&Record { number: 1 }).await;
    queue.reaches(other, "done").await;
    for id in ids {
        queue.reaches(id, "done").await;
    }
    let runs: Vec<_> = queue.runs().await.into_iter().filter(|run| run.job_id != other).collect();
    assert_eq!(most_at_once(&runs), 2);
    drop(workers);
}

#[tokio::test]
async fn urgent_jobs_go_first_and_the_longest_due_before_others() {
    let queue = Queue::new().await;
    let now = queue.store.clock().now();
    let mut jobs = Vec::new();
    for number in 0..5 {
        jobs.push(NewJob::new(&Record { number }, now - chrono::TimeDelta::seconds(number)).unwrap());
    }
    for number in 0..3 {
        jobs.push(NewJob::new(&RecordUrgent { number }, now).unwrap());
    }
    // A priority that no constant names (any more) is found as well.
    jobs.push(NewJob { priority: 7, ..NewJob::new(&Record { number: 9 }, now).unwrap() });
    let ids = queue.enqueue_all(jobs).await;
    let _worker = queue.worker(&["--single"]).await;
    queue.counts("done", 9).await;
    let order: Vec<_> = queue.runs().await.into_iter().map(|run| run.job_id).collect();
    assert_eq!(order[..3].iter().collect::<BTreeSet<_>>(), ids[5..8].iter().collect::<BTreeSet<_>>());
    assert_eq!(order[3..8], [ids[4], ids[3], ids[2], ids[1], ids[0]]);
    assert_eq!(order[8], ids[8]);
}

#[tokio::test]
async fn a_paused_queue_waits_and_others_go_on() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    queue.execute("insert into queue_pauses values ('default', now())").await;
    let waits = queue.enqueue(&Record { number: 1 }).await;
    let goes = queue.enqueue(&RecordMail { number: 2 }).await;
    queue.reaches(goes, "done").await;
    // Time for a fetch or two.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert_eq!(queue.job(waits).await.state, "available");
    queue.execute("delete from queue_pauses").await;
    queue.reaches(waits, "done").await;
}

#[tokio::test]
async fn processes_share_queues_and_no_job_runs_twice() {
    let queue = Queue::new().await;
    let workers = [queue.worker(&[]).await, queue.worker(&[]).await];
    let now = queue.store.clock().now();
    for _ in 0..10 {
        let jobs = (0..100).map(|number| NewJob::new(&Record { number }, now).unwrap());
        queue.enqueue_all(jobs).await;
    }
    queue.counts("done", 1_000).await;
    let runs = queue.runs().await;
    assert_eq!(runs.len(), 1_000);
    let pids: BTreeSet<_> = runs.iter().map(|run| run.pid).collect();
    assert_eq!(pids, workers.iter().map(crate::harness::Worker::pid).collect());
}

#[tokio::test]
async fn an_old_worker_leaves_kinds_it_does_not_know_alone() {
    let queue = Queue::new().await;
    let _old = queue.worker(&["--old"]).await;
    let unknown = queue.enqueue(&Sleep { millis: 1 }).await;
    let known = queue.enqueue(&Record { number: 1 }).await;
    queue.reaches(known, "done").await;
    let known = queue.enqueue(&Record { number: 2 }).await;
    queue.reaches(known, "done").await;
    let job = queue.job(unknown).await;
    assert_eq!((job.state.as_str(), job.claims), ("available", 0));
    let _new = queue.worker(&[]).await;
    queue.reaches(unknown, "done").await;
}

#[tokio::test]
async fn a_job_that_was_moved_to_another_queue_by_a_new_version_is_still_found() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    let job = NewJob::new(&Record { number: 1 }, queue.store.clock().now()).unwrap();
    let ids = queue.enqueue_all([NewJob { queue: Lane::Mail, ..job }]).await;
    queue.reaches(ids[0], "done").await;
}

#[tokio::test]
async fn slow_jobs_keep_their_lease() {
    let queue = Queue::new().await;
    let workers = [queue.worker(&[]).await, queue.worker(&[]).await];
    // Three leases long.
    let id = queue.enqueue(&Sleep { millis: 3_000 }).await;
    let job = queue.reaches(id, "done").await;
    assert_eq!((job.claims, job.rescues), (1, 0));
    until("it ran once", async || {
        let runs = queue.runs_of(id).await;
        if runs.len() == 2 { Ok(()) } else { Err(format!("{runs:?}")) }
    })
    .await;
    drop(workers);
}

#[tokio::test]
async fn so_many_jobs_wait_for_their_acknowledgement_and_no_more() {
    /// Twenty times the concurrency.
    const MOST: i64 = 20;
    let queue = Queue::new().await;
    let _worker = queue.worker(&["--single"]).await;
    let first = queue.enqueue(&Sleep { millis: 300 }).await;
    queue.records(first, "begin", 1).await;
    // Its acknowledgement hangs at this lock, and all others behind it.
    let mut conn = queue.pool().acquire().await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    sqlx::query("select from jobs where id = $1 for update").bind(first).execute(&mut *tx).await.unwrap();
    let now = queue.store.clock().now();
    let jobs = (0..60).map(|number| NewJob::new(&Record { number }, now).unwrap());
    queue.enqueue_all(jobs).await;
    queue.counts("running", MOST).await;
    // Three leases long: nobody takes them for dead.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(queue.count("running").await, MOST);
    tx.commit().await.unwrap();
    queue.counts("done", 61).await;
    for job in queue.jobs().await {
        assert_eq!((job.claims, job.attempt, job.rescues), (1, 1, 0), "{job:?}");
    }
}
