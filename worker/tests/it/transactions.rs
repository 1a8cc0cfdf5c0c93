//! What enters the queue: a job exists if and only if its transaction committed.

use std::time::Duration;

use chrono::TimeDelta;
use humanchat_jobs::{JobKey, NewJob};

use crate::{
    harness::Queue,
    kinds::{Keyed, Record, Rescheduled},
};

fn keyed(key: &str) -> Keyed {
    Keyed { key: key.to_owned(), ..Keyed::default() }
}

#[tokio::test]
async fn a_job_exists_if_and_only_if_its_transaction_committed() {
    let queue = Queue::new().await;
    let mut tx = queue.store.begin(None).await.unwrap();
    tx.enqueue(&Record { number: 1 }).unwrap();
    drop(tx);
    assert_eq!(queue.jobs().await.len(), 0);

    let mut tx = queue.store.begin(Some("req_1".to_owned())).await.unwrap();
    tx.enqueue(&Record { number: 2 }).unwrap();
    assert_eq!(queue.jobs().await.len(), 0, "not before the commit");
    tx.commit().await.unwrap();
    let jobs = queue.jobs().await;
    assert_eq!((jobs.len(), jobs[0].state.as_str()), (1, "available"));
    let request_id: Option<String> =
        sqlx::query_scalar("select request_id from jobs").fetch_one(queue.pool()).await.unwrap();
    assert_eq!(request_id.as_deref(), Some("req_1"));
}

#[tokio::test]
async fn a_duplicate_is_no_error_and_no_second_job() {
    let queue = Queue::new().await;
    let now = queue.store.clock().now();
    let first = queue.enqueue_at(&keyed("a"), now + TimeDelta::seconds(60)).await;
    queue.enqueue(&keyed("a")).await;
    let twice = [NewJob::new(&keyed("b"), now).unwrap(), NewJob::new(&keyed("b"), now).unwrap()];
    queue.enqueue_all(twice).await;

    let jobs = queue.jobs().await;
    assert_eq!(jobs.len(), 2);
    assert_eq!(queue.job(first).await.run_at, now + TimeDelta::seconds(60), "the first due time stays");
}

#[tokio::test]
async fn a_duplicate_may_replace_the_due_time() {
    let queue = Queue::new().await;
    let job = Rescheduled { key: "a".to_owned() };
    let now = queue.store.clock().now();
    let first = queue.enqueue_at(&job, now + TimeDelta::seconds(60)).await;
    let (sooner, later) = (now + TimeDelta::seconds(5), now + TimeDelta::seconds(90));
    queue.enqueue_at(&job, sooner).await;
    assert_eq!(queue.job(first).await.run_at, sooner);
    let both = [NewJob::new(&job, sooner).unwrap(), NewJob::new(&job, later).unwrap()];
    queue.enqueue_all(both).await;
    assert_eq!(queue.job(first).await.run_at, later);
    assert_eq!(queue.jobs().await.len(), 1);
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_with_the_transaction() {
    let queue = Queue::new().await;
    let id = queue.enqueue_at(&keyed("a"), queue.store.clock().now() + TimeDelta::seconds(60)).await;
    let mut tx = queue.store.begin(None).await.unwrap();
    tx.cancel_jobs(&[JobKey::of(&keyed("a"))]).await.unwrap();
    drop(tx);
    assert_eq!(queue.job(id).await.state, "available", "the transaction did not commit");

    let mut tx = queue.store.begin(None).await.unwrap();
    tx.cancel_jobs(&[JobKey::of(&keyed("a"))]).await.unwrap();
    tx.cancel_jobs(&[JobKey::of(&keyed("other")), JobKey { kind: "unknown", key: "a".to_owned() }]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(queue.job(id).await.state, "cancelled");
    // The key is free again.
    queue.enqueue(&keyed("a")).await;
    assert_eq!(queue.count("available").await, 1);
}

#[tokio::test]
async fn one_more_of_a_key_may_wait_while_one_runs() {
    let queue = Queue::new().await;
    let worker = queue.worker(&[]).await;
    let first = queue.enqueue(&Keyed { millis: 400, ..keyed("a") }).await;
    queue.records(first, "begin", 1).await;
    let second = queue.enqueue_at(&keyed("a"), queue.store.clock().now() + TimeDelta::seconds(60)).await;
    queue.enqueue(&keyed("a")).await;
    assert_eq!(queue.jobs().await.len(), 2);
    // One that runs is left to end.
    let mut tx = queue.store.begin(None).await.unwrap();
    tx.cancel_jobs(&[JobKey::of(&keyed("a"))]).await.unwrap();
    tx.commit().await.unwrap();
    queue.reaches(first, "done").await;
    assert_eq!(queue.job(second).await.state, "cancelled");
    drop(worker);
}

#[tokio::test]
async fn a_failed_job_gives_way_to_one_of_its_key_that_was_asked_for_meanwhile() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    let first = queue.enqueue(&Keyed { millis: 300, fail: true, ..keyed("a") }).await;
    queue.records(first, "begin", 1).await;
    let second = queue.enqueue_at(&keyed("a"), queue.store.clock().now() + TimeDelta::seconds(60)).await;
    let first = queue.reaches(first, "cancelled").await;
    assert_eq!(first.last_error.as_deref(), Some("superseded by a waiting job of the same key"));
    assert_eq!(queue.job(second).await.state, "available");
}

#[tokio::test]
async fn an_aborted_enqueue_leaves_no_lock_behind() {
    // A request that is dropped half way must not keep its key from the next one.
    let queue = Queue::new().await;
    let mut tx = queue.store.begin(None).await.unwrap();
    tx.enqueue(&keyed("a")).unwrap();
    let commit = tokio::spawn(tx.commit());
    commit.abort();
    drop(commit.await);
    tokio::time::timeout(Duration::from_secs(5), queue.enqueue(&keyed("a"))).await.unwrap();
    assert_eq!(queue.jobs().await.len(), 1);
}
