//! Work whose process is killed before or after its commit: done once.

use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};
use humanchat_domain::{
    event::Channel,
    id::SessionId,
    mail, sam, sessions,
    testing::{JobLock, age_leases, jobs, remind_now},
};
use serde_json::json;

use super::stage::{Stage, in_time};
use crate::{
    scene::{eventually, id, text},
    support::{Api, Person},
};

/// More than a lease lasts.
const LEASE: Duration = Duration::from_secs(40);
/// A worker looks after others' jobs once its own leases have been safe for a while.
const RESCUE: Duration = Duration::from_secs(40);

/// Waits until a job of a kind was rescued so often and stands so.
async fn job_is(api: &Api, kind: &str, rescues: i16, state: &str) {
    in_time(RESCUE, "a job's turn", async {
        loop {
            if jobs(&api.store, kind).await.iter().any(|job| (job.rescues, job.state.as_str()) == (rescues, state)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// A free half hour that begins within the hour.
async fn booked_soon(guest: &Person<'_>, host: &Person<'_>) -> SessionId {
    let weekly: Vec<_> = (0..7).map(|weekday| json!({"weekday": weekday, "start": "00:00", "end": "24:00"})).collect();
    let rules = json!({"timezone": "UTC", "weekly": weekly, "slotMinutes": 15, "minimumNoticeMinutes": 0});
    host.put("/api/availability", rules).await.ok(200);
    let from = (host.api.store.clock().now() + TimeDelta::minutes(25)).to_rfc3339_opts(SecondsFormat::Millis, true);
    let slots = guest.get(&format!("/api/availability/{}?from={from}&durationMinutes=30", host.id)).await.ok(200);
    let session = guest.booked(host, &text(&slots["slots"][0]["start"])).await;
    id(&text(&session["id"]))
}

async fn reminders(person: &Person<'_>) -> usize {
    let told = person.api.told(Channel::Sessions(id(&person.id))).await;
    told.iter().filter(|event| event["type"] == "session.reminder").count()
}

/// When a worker dies over a job.
enum Death {
    /// All it did is lost.
    BeforeTheCommit,
    /// All is done, but for the queue to know.
    AfterTheCommit,
}

async fn a_reminder_outlives(death: Death) {
    let stage = Stage::new().await;
    let (_one, api) = stage.api(&[]).await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let session_id = booked_soon(&ada, &ben).await;
    // It holds the session's locks and is rolled back.
    let mut held = api.store.begin(None).await.unwrap();
    sessions::remind(&mut held, session_id, 1, 60).await.unwrap();
    remind_now(&api.store, session_id, 60).await;
    let kind = "remind_of_session";
    let mut worker = stage.worker(&[]).await;
    eventually("a worker to take the reminder", async || {
        jobs(&api.store, kind).await.iter().any(|job| job.state == "running").then_some(())
    })
    .await;
    match death {
        Death::BeforeTheCommit => {
            worker.kill();
            drop(held);
        }
        Death::AfterTheCommit => {
            let lock = JobLock::take(&api.store, kind).await;
            drop(held);
            eventually("the reminder", async || (reminders(&ada).await == 1).then_some(())).await;
            worker.kill();
            lock.release_after_sending_away().await;
        }
    }
    let _next = stage.worker(&[]).await;
    age_leases(&api.store, LEASE).await;
    job_is(&api, kind, 1, "done").await;
    for person in [&ada, &ben] {
        assert_eq!(reminders(person).await, 1);
        let noticed = person.noticed().await;
        assert_eq!(noticed.iter().filter(|kind| *kind == "session_reminder").count(), 1, "{noticed:?}");
        let mailed = eventually("the mail", async || {
            let mails = mail::kept(&api.store, Some(&person.email)).await.unwrap();
            let count = mails.iter().filter(|mail| mail.subject.ends_with("in an hour")).count();
            (count > 0).then_some(count)
        });
        assert_eq!(mailed.await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reminder_whose_worker_is_killed_in_the_middle_is_sent_once() {
    a_reminder_outlives(Death::BeforeTheCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reminder_whose_worker_is_killed_after_it_is_sent_once() {
    a_reminder_outlives(Death::AfterTheCommit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_said_once_though_its_worker_is_killed_after_it() {
    let stage = Stage::new().await;
    let (_one, api) = stage.api(&[]).await;
    let ada = api.register("Ada").await;
    let run = ada.ask_sam(json!({"message": "Who is here?"})).await.ok(202);
    let thought = sam::think(&api.store, id(&text(&run["runId"])), 1).await.unwrap().unwrap();
    let mut held = api.store.begin(None).await.unwrap();
    sam::answer(&mut held, thought).await.unwrap();
    let kind = "run_sam";
    let mut worker = stage.worker(&[]).await;
    job_is(&api, kind, 0, "running").await;
    let lock = JobLock::take(&api.store, kind).await;
    drop(held);
    let answer = async || {
        let answer = ada.get(&format!("/api/sam/runs/{}", text(&run["runId"]))).await.ok(200);
        (answer["status"] == "complete").then_some(answer)
    };
    let first = eventually("the answer", answer).await;
    worker.kill();
    lock.release_after_sending_away().await;
    let _next = stage.worker(&[]).await;
    age_leases(&api.store, LEASE).await;
    job_is(&api, kind, 1, "done").await;
    assert_eq!(answer().await, Some(first));
    let path = format!("/api/conversations/{}/messages", text(&run["conversationId"]));
    assert_eq!(ada.get(&path).await.ok(200)["messages"].as_array().unwrap().len(), 2);
}
