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
