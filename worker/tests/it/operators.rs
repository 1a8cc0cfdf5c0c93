//! What operators decide holds for every worker.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use humanchat_domain::{
    id::{JobId, UserId},
    queue::{self, JobQuery, JobState},
    testing::sign_in_many,
};

use crate::{
    harness::Queue,
    kinds::{GiveUp, Record, RecordMail},
};

async fn operator(queue: &Queue) -> UserId {
    sign_in_many(&queue.store, 1).await[0].user_id
}

#[tokio::test]
async fn a_paused_queue_stands_still_in_all_workers_and_goes_on_at_once() {
    let queue = Queue::new().await;
    let _workers = [queue.worker(&[]).await, queue.worker(&[]).await];
    let operator = operator(&queue).await;
    let mut tx = queue.store.begin(None).await.unwrap();
    let paused = queue::pause(&mut tx, operator, queue::Queue::Default).await.unwrap();
    assert!(paused.paused_at.is_some());
    tx.commit().await.unwrap();
    for number in 0..20 {
        queue.enqueue(&Record { number }).await;
    }
    // Another queue goes on, for longer than the time after which workers look by themselves.
    let later = queue.store.clock().now() + TimeDelta::milliseconds(1_500);
    let other = queue.enqueue_at(&RecordMail { number: 1 }, later).await;
    queue.reaches(other, "done").await;
    assert_eq!(queue.count("available").await, 20);
    let mut tx = queue.store.begin(None).await.unwrap();
    let resumed = queue::resume(&mut tx, operator, queue::Queue::Default).await.unwrap();
    assert_eq!((resumed.paused_at, resumed.waiting), (None, 20));
    tx.commit().await.unwrap();
    let started = Instant::now();
    queue.counts("done", 21).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_parked_job_is_tried_again_and_given_up_again() {
    let queue = Queue::new().await;
    let _worker = queue.worker(&[]).await;
    let operator = operator(&queue).await;
    let id = queue.enqueue(&GiveUp {}).await;
    queue.reaches(id, "parked").await;
    let parked = JobQuery { queue: Some("default".to_owned()), state: Some(JobState::Parked), kind: None };
    let window = humanchat_domain::cursor::Window { cursor: None, limit: 20 };
    let listed = queue::list(&queue.store, operator, &parked, window).await.unwrap();
    assert_eq!(listed.items.iter().map(|job| job.id).collect::<Vec<_>>(), [JobId(id)]);
    assert!(listed.items[0].last_error.is_some());
    let mut tx = queue.store.begin(None).await.unwrap();
    let job = queue::retry(&mut tx, operator, JobId(id)).await.unwrap();
    assert_eq!((job.state, job.attempt), (JobState::Available, 0));
    tx.commit().await.unwrap();
    let again = crate::harness::until("it ran twice", async || {
        let job = queue.job(id).await;
        if job.claims == 2 && job.state == "parked" { Ok(job) } else { Err(format!("{job:?}")) }
    })
    .await;
    assert_eq!(again.attempt, 1, "with all its attempts before it");
}

#[tokio::test]
async fn a_pause_outlasts_the_workers_that_were_there() {
    let queue = Queue::new().await;
    let operator = operator(&queue).await;
    let first = queue.worker(&[]).await;
    let mut tx = queue.store.begin(None).await.unwrap();
    queue::pause(&mut tx, operator, queue::Queue::Default).await.unwrap();
    tx.commit().await.unwrap();
    drop(first);
    let _second = queue.worker(&[]).await;
    queue.enqueue(&Record { number: 1 }).await;
    let later = queue.store.clock().now() + TimeDelta::milliseconds(1_500);
    let other = queue.enqueue_at(&RecordMail { number: 1 }, later).await;
    queue.reaches(other, "done").await;
    assert_eq!(queue.count("available").await, 1);
    let mut tx = queue.store.begin(None).await.unwrap();
    queue::resume(&mut tx, operator, queue::Queue::Default).await.unwrap();
    tx.commit().await.unwrap();
    queue.counts("done", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_called_off_or_done_whoever_is_first() {
    let queue = Queue::new().await;
    let operator = operator(&queue).await;
    let _workers = [queue.worker(&[]).await, queue.worker(&[]).await];
    let mut cancelled = 0;
    for number in 0..60 {
        let id = queue.enqueue(&Record { number }).await;
        if number % 3 == 0 {
            tokio::task::yield_now().await;
        }
        let mut tx = queue.store.begin(None).await.unwrap();
        let answer = queue::cancel(&mut tx, operator, JobId(id)).await;
        if let Ok(job) = answer {
            assert_eq!(job.state, JobState::Cancelled);
            tx.commit().await.unwrap();
            cancelled += 1;
            assert_eq!(queue.job(id).await.claims, 0, "nobody had taken it");
        } else {
            drop(tx);
            queue.reaches(id, "done").await;
        }
    }
    queue.counts("cancelled", cancelled).await;
    queue.counts("done", 60 - cancelled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_tried_again_while_it_is_given_up_runs_once_more() {
    let queue = Queue::new().await;
    let operator = operator(&queue).await;
    let _worker = queue.worker(&[]).await;
    for _ in 0..20 {
        let id = queue.enqueue(&GiveUp {}).await;
        let retried = async || {
            let mut tx = queue.store.begin(None).await.unwrap();
            let job = queue::retry(&mut tx, operator, JobId(id)).await;
            let job = job.map_err(|refused| refused.to_string())?;
            tx.commit().await.unwrap();
            Ok(job)
        };
        let job = crate::harness::until("it was given up", retried).await;
        assert_eq!(job.state, JobState::Available);
        crate::harness::until("it was given up again", async || {
            let job = queue.job(id).await;
            if job.claims == 2 && job.state == "parked" { Ok(()) } else { Err(format!("{job:?}")) }
        })
        .await;
    }
}
