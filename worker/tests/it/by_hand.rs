//! The queue run by hand, as other crates' tests do.

use std::time::Duration;

use humanchat_domain::{clock::Clock, testing::noon};
use humanchat_worker::{
    job::{Context, JobError, JobResult},
    registry::Registry,
    testing::{Outcome, drain, drain_with},
};

use crate::{
    harness::Queue,
    kinds::{Fail, GiveUp, Nothing, Panic, Record, Snooze},
};

fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add(async |_: Nothing, _| Ok(()));
    registry.add(async |job: Fail, ctx: Context| -> JobResult {
        if ctx.attempt() > job.times { Ok(()) } else { Err(std::io::Error::other("disk full"))? }
    });
    registry.add(async |_: GiveUp, _| Err(JobError::GiveUp(anyhow::anyhow!("no use"))));
    registry.add(async |job: Snooze, _| Err(JobError::Snooze(Duration::from_millis(job.millis))));
    registry.add(async |_: Panic, _| panic!("on purpose"));
    registry.add(async |job: Record, ctx: Context| {
        if job.number > 0 {
            let mut tx = ctx.begin().await?;
            tx.enqueue(&Record { number: job.number - 1 })?;
            tx.commit().await?;
        }
        Ok(())
    });
    registry
}

#[tokio::test]
async fn due_jobs_run_in_order_and_those_they_ask_for_too() {
    let clock = Clock::manual(noon());
    let queue = Queue::with_clock(clock.clone()).await;
    assert_eq!(drain(&queue.store).await, []);
    queue.enqueue(&Record { number: 2 }).await;
    queue.enqueue_at(&Nothing {}, noon() + chrono::TimeDelta::seconds(1)).await;
    let done = |kind| (kind, Outcome::Done);
    assert_eq!(drain_with(&queue.store, registry()).await, vec![done("probe_record"); 3]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(drain_with(&queue.store, registry()).await, [done("probe_nothing")]);
    assert_eq!(queue.count("done").await, 4);
}

#[tokio::test]
async fn outcomes_are_told_and_written() {
    let clock = Clock::manual(noon());
    let queue = Queue::with_clock(clock.clone()).await;
    let fail = queue.enqueue(&Fail { times: 2 }).await;
    let give_up = queue.enqueue(&GiveUp {}).await;
    let snooze = queue.enqueue(&Snooze { times: 0, millis: 1_500 }).await;
    let panic = queue.enqueue(&Panic {}).await;
    let outcomes = drain_with(&queue.store, registry()).await;
    assert_eq!(
        outcomes,
        [
            ("probe_fail", Outcome::Retried("disk full".to_owned())),
            ("probe_give_up", Outcome::Parked("no use".to_owned())),
            ("probe_snooze", Outcome::Snoozed),
            ("probe_panic", Outcome::Retried("panicked: on purpose".to_owned())),
        ]
    );
    assert_eq!(queue.job(give_up).await.state, "parked");
    assert_eq!(queue.job(snooze).await.run_at, noon() + chrono::TimeDelta::milliseconds(1_500));
    let pause = (queue.job(fail).await.run_at - noon()).num_milliseconds();
    assert!((500..=1_000).contains(&pause), "{pause}");
    assert_eq!(queue.job(panic).await.attempt, 1);
    for outcome in [Outcome::Retried("disk full".to_owned()), Outcome::Done] {
        clock.advance(Duration::from_secs(10));
        let outcomes = drain_with(&queue.store, registry()).await;
        assert!(outcomes.contains(&("probe_fail", outcome.clone())), "{outcomes:?}");
    }
}
