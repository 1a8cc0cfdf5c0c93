//! Jobs by the clock, and the chores they are.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use humanchat_domain::{
    clock::Clock,
    testing::{TableLock, noon},
};
use humanchat_jobs::maintenance::{PruneJobs, RotateEvents};
use humanchat_worker::{
    schedule::Schedule,
    testing::{Outcome, drain},
};

use crate::{
    harness::{Queue, until},
    kinds::{Nothing, Tick},
};

fn every_minute() -> Schedule {
    let mut schedule = Schedule::default();
    schedule.add("0 * * * * *", Tick::default);
    schedule
}

#[tokio::test]
async fn eight_workers_tick_once() {
    let clock = Clock::manual(noon() + TimeDelta::seconds(5));
    let queue = Queue::with_clock(clock.clone()).await;
    for round in 1..=5 {
        let ticks: Vec<_> = (0..8)
            .map(|_| {
                let store = queue.store.clone();
                tokio::spawn(async move { every_minute().tick(&store).await.unwrap() })
            })
            .collect();
        for tick in ticks {
            assert_eq!(tick.await.unwrap(), Some(noon() + TimeDelta::minutes(round)));
        }
        assert_eq!(queue.jobs().await.len(), usize::try_from(round).unwrap());
        // Not even when it has run already.
        queue.execute("update jobs set state = 'done', finished_at = now() where state = 'available'").await;
        every_minute().tick(&queue.store).await.unwrap();
        assert_eq!(queue.jobs().await.len(), usize::try_from(round).unwrap());
        clock.advance(Duration::from_mins(1));
    }
}

#[tokio::test]
async fn missed_ticks_are_made_up_for_by_the_latest() {
    let clock = Clock::manual(noon());
    let queue = Queue::with_clock(clock.clone()).await;
    every_minute().tick(&queue.store).await.unwrap();
    clock.advance(Duration::from_secs(3_600 + 30));
    every_minute().tick(&queue.store).await.unwrap();
    let mut due: Vec<_> = queue.jobs().await.into_iter().map(|job| job.run_at).collect();
    due.sort();
    assert_eq!(due, [noon(), noon() + TimeDelta::minutes(60)]);
}

#[tokio::test]
async fn two_processes_run_each_tick_once_and_on_time() {
    let queue = Queue::new().await;
    let workers = [queue.worker(&["--ticking"]).await, queue.worker(&["--ticking"]).await];
    until("five ticks ran", async || {
        let runs = queue.runs().await.len();
        if runs >= 5 { Ok(()) } else { Err(format!("{runs}")) }
    })
    .await;
    drop(workers);
    let runs = queue.runs().await;
    let jobs = queue.jobs().await;
    let mut seconds: Vec<_> = jobs.iter().map(|job| job.run_at.timestamp()).collect();
    seconds.sort_unstable();
    seconds.dedup();
    assert_eq!(seconds.len(), jobs.len(), "one job a tick");
    let mut ran: Vec<_> = runs.iter().map(|run| run.job_id).collect();
    ran.sort_unstable();
    ran.dedup();
    assert_eq!(ran.len(), runs.len(), "each ran once");
}

#[tokio::test]
async fn events_are_rotated_once_nobody_reads_them_for_long() {
    let clock = Clock::manual(noon());
    let queue = Queue::with_clock(clock.clone()).await;
    let rotate = async || {
        let mut tx = queue.store.begin(None).await.unwrap();
        tx.enqueue(&RotateEvents {}).unwrap();
        tx.commit().await.unwrap();
        drain(&queue.store).await
    };
    // As a backup does, for its whole run.
    let reader = TableLock::against_changes_of_shape(&queue.store, "events").await;
    let began = Instant::now();
    assert_eq!(rotate().await, [("rotate_events", Outcome::Snoozed)]);
    assert!(began.elapsed() < Duration::from_secs(3), "whoever writes events waited for {:?}", began.elapsed());
    let job = &queue.jobs().await[0];
    assert_eq!((job.attempt, job.run_at), (0, noon() + TimeDelta::minutes(5)));
    assert_eq!(rotate().await, [], "one waits already");
    reader.release().await;
    clock.advance(Duration::from_mins(5));
    assert_eq!(drain(&queue.store).await, [("rotate_events", Outcome::Done)]);
}

#[tokio::test]
async fn finished_jobs_are_pruned_after_three_days() {
    let clock = Clock::manual(noon());
    let queue = Queue::with_clock(clock.clone()).await;
    let mut tx = queue.store.begin(None).await.unwrap();
    for _ in 0..4 {
        tx.enqueue(&Nothing {}).unwrap();
    }
    tx.commit().await.unwrap();
    let ids: Vec<_> = queue.jobs().await.into_iter().map(|job| job.id).collect();
    for (id, state) in ids.iter().zip(["done", "cancelled", "parked"]) {
        sqlx::query("update jobs set state = $2, finished_at = $3 where id = $1")
            .bind(id)
            .bind(state)
            .bind(noon())
            .execute(queue.pool())
            .await
            .unwrap();
    }
    let prune = async || {
        let mut tx = queue.store.begin(None).await.unwrap();
        tx.enqueue(&PruneJobs {}).unwrap();
        tx.commit().await.unwrap();
        drain(&queue.store).await;
        let left = queue.jobs().await;
        ids.iter().filter(|id| left.iter().any(|job| job.id == **id)).count()
    };
    assert_eq!(prune().await, 4);
    clock.advance(Duration::from_secs(3 * 86_400 + 1));
    assert_eq!(prune().await, 2, "what is parked or waits stays");
}
