//! An announcement to many, while workers are killed in it.

use std::time::Duration;

use humanchat_domain::{
    announcements::AnnouncementStatus,
    testing::{age_leases, sign_in_many},
};
use serde_json::json;

use super::stage::{Stage, in_time};
use crate::{
    announcements::{all_have_it_once, announce, newest},
    scene::eventually,
};

/// More than a lease lasts.
const LEASE: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_gets_it_once_though_workers_are_killed_over_it() {
    let stage = Stage::new().await;
    let people = sign_in_many(&stage.store, 10_000).await;
    let mut worker = stage.worker(&[]).await;
    announce(&stage.store, people[0].user_id, json!({"title": "News", "body": "x"})).await;
    let sent = async || Some(newest(&stage.store).await.progress.sent).filter(|sent| *sent > 0);
    let before = eventually("the first batch", sent).await;
    worker.kill();
    assert!(before < 10_000, "it was over before the kill");
    let _next = stage.worker(&[]).await;
    age_leases(&stage.store, LEASE).await;
    let done = in_time(Duration::from_secs(40), "the rest", async {
        loop {
            let announcement = newest(&stage.store).await;
            if announcement.status == AnnouncementStatus::Sent {
                return announcement;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let progress = done.await.progress;
    println!("{:?} people a second, over the death and the wait for the rescue", progress.per_second);
    assert_eq!(progress.sent, 10_000);
    assert_eq!(all_have_it_once(&stage.store, &people).await, 10_000);
}
