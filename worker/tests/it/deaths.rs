//! Processes that die, freeze, or take jobs down with them.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use humanchat_jobs::NewJob;
use nix::sys::signal::Signal;

use crate::{
    harness::{Queue, until},
    kinds::{Abort, Block, Keyed, OutOfMemory, Record, Sleep},
};

#[tokio::test]
async fn the_jobs_of_a_killed_worker_are_run_by_another() {
    let queue = Queue::new().await;
    let mut victim = queue.worker(&[]).await;
    let slow = queue.enqueue(&Sleep { millis: 60_000 }).await;
    let keyed = queue.enqueue(&Keyed { key: "a".to_owned(), millis: 60_000, fail: false }).await;
    queue.records(slow, "begin", 1).await;
    queue.records(keyed, "begin", 1).await;
    // Asked for again while it ran: the rescued one gives way.
    let again = Keyed { key: "a".to_owned(), millis: 0, fail: false };
    let again = queue.enqueue_at(&again, queue.store.clock().now() + TimeDelta::seconds(4)).await;
    victim.kill().await;

    let heir = queue.worker(&[]).await;
    let fine = queue.enqueue(&Record { number: 1 }).await;
    queue.reaches(fine, "done").await;
    let runs = queue.records(slow, "begin", 2).await;
    assert_eq!((runs[1].pid, runs[1].attempt), (heir.pid(), 2));
    let job = queue.job(slow).await;
    assert_eq!((job.rescues, job.claims), (1, 2));
    queue.reaches(again, "done").await;
    assert_eq!(queue.job(keyed).await.state, "cancelled");
}

async fn starve(queue: &Queue, poison: uuid::Uuid, innocents: &[uuid::Uuid]) {
    // The last time, one job runs at a time, as it is when they start far apart.
    for arguments in [&[], &[], &["--single"] as &[&str]] {
        let mut worker = queue.worker(arguments).await;
        let status = worker.ends().await;
        assert!(!status.success());
    }
    let _survivor = queue.worker(&[]).await;
    let job = queue.reaches(poison, "parked").await;
    assert_eq!((job.rescues, job.last_error.as_deref()), (3, Some("its process died 3 times")));
    assert_eq!(queue.runs_of(poison).await.len(), 3);
    let mut started = BTreeSet::new();
    for id in innocents {
        started.insert(queue.reaches(*id, "done").await.run_at);
    }
    assert_eq!(started.len(), innocents.len(), "they were spread: {started:?}");
}

#[tokio::test]
async fn a_job_that_aborts_its_process_is_parked_at_the_third_time() {
    let queue = Queue::new().await;
    let now = queue.store.clock().now();
    let poison = queue.enqueue(&Abort {}).await;
    let jobs = (0..4).map(|_| NewJob::new(&Sleep { millis: 400 }, now).unwrap());
    let innocents = queue.enqueue_all(jobs).await;
    starve(&queue, poison, &innocents).await;
}

#[tokio::test]
async fn a_job_that_eats_all_memory_is_parked_at_the_third_time() {
    let queue = Queue::new().await;
    let poison = queue.enqueue(&OutOfMemory {}).await;
    let innocent = queue.enqueue(&Sleep { millis: 400 }).await;
    starve(&queue, poison, &[innocent]).await;
}

#[tokio::test]
async fn a_frozen_worker_loses_its_jobs_and_is_not_heard_any_more() {
    let queue = Queue::new().await;
    let mut frozen = queue.worker(&[]).await;
    // One that ends the moment the process thaws, and one that doesn't.
    let long = queue.enqueue(&Sleep { millis: 8_000 }).await;
    queue.records(long, "begin", 1).await;
    let short = queue.enqueue(&Block { millis: 2_000 }).await;
    queue.records(short, "begin", 1).await;
    frozen.signal(Signal::SIGSTOP);

    let other = queue.worker(&[]).await;
    let taken = queue.records(long, "begin", 2).await;
    assert_eq!(taken[1].pid, other.pid());
    queue.reaches(short, "done").await;
    frozen.signal(Signal::SIGCONT);
    until("the thawed worker notices", async || {
        let said = frozen.log();
        let heard = said.contains("aborted: the lease is lost") && said.contains("acknowledged too late");
        if heard { Ok(()) } else { Err(said) }
    })
    .await;
    let job = queue.reaches(long, "done").await;
    assert_eq!((job.claims, job.attempt, job.rescues), (2, 2, 1));
    let ends: Vec<_> = queue.runs_of(long).await.into_iter().filter(|run| run.event == "end").collect();
    assert_eq!(ends.len(), 1, "the frozen run was aborted: {ends:?}");
    assert_eq!(ends[0].pid, other.pid());
    assert_eq!(queue.job(short).await.claims, 2);
    // It goes on with other jobs.
    drop(other);
    let fine = queue.enqueue(&Record { number: 1 }).await;
    queue.reaches(fine, "done").await;
    frozen.stop().await;
}
