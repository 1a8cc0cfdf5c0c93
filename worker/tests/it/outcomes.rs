//! What becomes of a job that ran: done, retry, give up, snooze, and all that counts as a failure.

use chrono::TimeDelta;
use humanchat_jobs::NewJob;
use serde_json::json;

use crate::{
    harness::Queue,
    kinds::{Fail, FailingChore, GiveUp, Nothing, Overtime, Panic, Record, Snooze},
};

#[tokio::test]
async fn a_failure_is_tried_again_after_a_pause_that_is_in_the_table() {
    let queue = Queue::new().await;
    let mut worker = queue.worker(&[]).await;
    let id = queue.enqueue(&Fail { times: 1 }).await;
    queue.records(id, "run", 1).await;
    let job = queue.reaches(id, "available").await;
    assert_eq!(job.last_error.as_deref(), Some("could not write: disk full"));
    assert_eq!(job.attempt, 1);
    // The pause outlives the process that decided on it.
    worker.stop().await;
    let job = queue.job(id).await;
    let _worker = queue.worker(&[]).await;
    queue.reaches(id, "done").await;
    let runs = queue.runs_of(id).await;
    assert_eq!(runs.iter().map(|run| run.attempt).collect::<Vec<_>>(), [1, 2]);
    let pause = (job.run_at - runs[0].at).num_milliseconds();
    assert!((400..=1_100).contains(&pause), "{pause}");
    assert!(runs[1].at >= job.run_at);
}

#[tokio::test]
async fn a_job_that_always_fails_is_parked_after_its_last_attempt() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    let id = queue.enqueue(&Fail { times: 99 }).await;
    let job = queue.reaches(id, "parked").await;
    assert_eq!((job.attempt, job.last_error.as_deref()), (3, Some("could not write: disk full")));
    let runs = queue.runs_of(id).await;
    assert_eq!(runs.len(), 3);
    let pauses: Vec<_> = runs.windows(2).map(|pair| (pair[1].at - pair[0].at).num_milliseconds()).collect();
    assert!(pauses[0] >= 400 && pauses[1] >= 900, "{pauses:?}");
}

#[tokio::test]
async fn what_the_next_tick_does_again_is_called_off_after_its_last_attempt() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    let id = queue.enqueue(&FailingChore {}).await;
    let job = queue.reaches(id, "cancelled").await;
    assert_eq!((job.attempt, job.last_error.as_deref()), (2, Some("disk full")));
    assert_eq!(queue.runs_of(id).await.len(), 2);
    // One that dies in its last attempt is too.
    let id = queue.enqueue_at(&FailingChore {}, queue.store.clock().now() + TimeDelta::days(1)).await;
    let die =
        "update jobs set state = 'running', attempt = 2, claims = 1, locked_by = gen_random_uuid(), lease_until = now()
               where id = $1";
    sqlx::query(die).bind(id).execute(queue.pool()).await.unwrap();
    let job = queue.reaches(id, "cancelled").await;
    assert_eq!(job.last_error.as_deref(), Some("its process died in the last attempt"));
}

#[tokio::test]
async fn a_job_that_gives_up_is_parked_at_once() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    let id = queue.enqueue(&GiveUp {}).await;
    let job = queue.reaches(id, "parked").await;
    // Postgres stores no NUL.
    assert_eq!((job.attempt, job.last_error.as_deref()), (1, Some("no such\u{fffd}address")));
}

#[tokio::test]
async fn a_snooze_costs_no_attempt() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    // The kind has a single attempt.
    let id = queue.enqueue(&Snooze { times: 3, millis: 150 }).await;
    let job = queue.reaches(id, "done").await;
    assert_eq!((job.attempt, job.claims, job.last_error), (1, 4, None));
    let runs = queue.runs_of(id).await;
    assert_eq!(runs.iter().map(|run| run.attempt).collect::<Vec<_>>(), [1, 1, 1, 1]);
    for pair in runs.windows(2) {
        let pause = (pair[1].at - pair[0].at).num_milliseconds();
        assert!((149..1_000).contains(&pause), "{pause}");
    }
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_aborted_and_has_failed() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    let id = queue.enqueue(&Overtime {}).await;
    let job = queue.reaches(id, "parked").await;
    assert_eq!((job.attempt, job.last_error.as_deref()), (2, Some("took longer than 100ms")));
    let events: Vec<_> = queue.runs_of(id).await.into_iter().map(|run| run.event).collect();
    assert_eq!(events, ["begin", "begin"], "it never came to its end");
}

#[tokio::test]
async fn a_panic_is_a_failure_of_that_job_alone() {
    let queue = Queue::new().await;
    let worker = queue.worker(&[]).await;
    let panics: Vec<_> = [queue.enqueue(&Panic {}).await, queue.enqueue(&Panic {}).await].into();
    let fine = queue.enqueue(&Record { number: 1 }).await;
    queue.reaches(fine, "done").await;
    for id in panics {
        queue.records(id, "begin", 1).await;
        let job = queue.reaches(id, "available").await;
        assert_eq!((job.attempt, job.last_error.as_deref()), (1, Some("panicked: on purpose")));
    }
    let later = queue.enqueue(&Record { number: 2 }).await;
    queue.reaches(later, "done").await;
    assert!(queue.runs().await.iter().all(|run| run.pid == worker.pid()));
}

#[tokio::test]
async fn a_payload_that_can_not_be_read_is_parked_alone() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    let now = queue.store.clock().now();
    let with = |data| NewJob { data, ..NewJob::new(&Record { number: 1 }, now).unwrap() };
    let bad = queue.enqueue_all([with(json!({})), with(json!("x")), with(json!({"number": "one"}))]).await;
    let fine = queue.enqueue(&Nothing {}).await;
    queue.reaches(fine, "done").await;
    for id in bad {
        let job = queue.reaches(id, "parked").await;
        assert!(job.last_error.as_ref().unwrap().starts_with("payload: "), "{job:?}");
        assert_eq!(job.attempt, 1);
    }
}
