//! Workers that are killed while they take money: it is taken once.

use std::time::Duration;

use humanchat_domain::testing::{TableLock, age_leases, booked, jobs};
use serde_json::{Value, json};

use super::stage::{Program, Stage, in_time};
use crate::{
    attendance::settled,
    payments::{Till, settings_of, simulator},
    scene::{eventually, id, text},
    support::Person,
};

/// More than a lease lasts.
const LEASE: Duration = Duration::from_secs(40);
const CAPTURE: &str = "/v1/payment_intents/*/capture";

/// A stage with a provider.
async fn open() -> (Stage, Program, Till) {
    let simulator = simulator().await;
    let stage = Stage::with(&settings_of(&simulator)).await;
    let (program, api) = stage.api(&[]).await;
    let till = Till::of(api, simulator).await;
    (stage, program, till)
}

/// A session that goes on, with its payment authorised.
pub(super) async fn talk(till: &Till, [guest, host]: [&Person<'_>; 2]) -> (String, Value) {
    let _sockets = (guest.socket("/ws").await, host.socket("/ws").await);
    settled(&till.api, 2).await;
    let session = till.agreed(guest, host).await;
    let opened = guest.pay_session(&session, "create").await.ok(201);
    till.authorise(&opened).await;
    eventually("the authorisation", async || {
        (guest.payment(&opened["payment"]).await["status"] == "authorized").then_some(())
    })
    .await;
    let path = format!("/api/sessions/{session}");
    host.patch(&path, json!({"status": "in_progress"})).await.ok(200);
    (path, opened["payment"].clone())
}

/// Kills the worker, has another take over, and sees that the money was taken once.
async fn taken_once(stage: &Stage, till: &Till, guest: &Person<'_>, payment: &Value) {
    let _next = stage.worker(&[]).await;
    age_leases(&till.api.store, LEASE).await;
    in_time(Duration::from_secs(40), "the capture", async {
        while guest.payment(payment).await["status"] != "captured" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let money = till.money().await;
    assert_eq!((money[0][0], money[0][3]), (0, 1), "{money:?}");
    assert_eq!(guest.payment(payment).await["amount_captured"], money[0][1]);
    let booked = booked(&till.api.store, id(&text(&payment["id"]))).await;
    assert_eq!((booked[0].clone(), booked.len()), (("provider".to_owned(), money[0][1]), 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_before_it_asks_takes_once() {
    let (stage, _api, till) = open().await;
    let (guest, host) = (till.api.register("Guest").await, till.api.register("Host").await);
    let mut worker = stage.worker(&[]).await;
    let (path, payment) = talk(&till, [&guest, &host]).await;
    worker.kill();
    host.patch(&path, json!({"status": "complete"})).await.ok(200);
    let mut lock = TableLock::take(&till.api.store, "payment_calls").await;
    let mut worker = stage.worker(&[]).await;
    eventually("the job", async || (lock.waiting().await > 0).then_some(())).await;
    worker.kill();
    lock.release().await;
    taken_once(&stage, &till, &guest, &payment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_while_it_asks_takes_once() {
    let (stage, _api, till) = open().await;
    let (guest, host) = (till.api.register("Guest").await, till.api.register("Host").await);
    let mut worker = stage.worker(&[]).await;
    let (path, payment) = talk(&till, [&guest, &host]).await;
    till.fault(json!({"method": "POST", "path": CAPTURE, "effect": "delay", "delay_ms": 3000})).await;
    host.patch(&path, json!({"status": "complete"})).await.ok(200);
    eventually("the request", async || (!till.seen("POST", "/capture").await.is_empty()).then_some(())).await;
    worker.kill();
    taken_once(&stage, &till, &guest, &payment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_before_it_books_takes_once() {
    let (stage, _api, till) = open().await;
    let (guest, host) = (till.api.register("Guest").await, till.api.register("Host").await);
    let mut worker = stage.worker(&[]).await;
    let (path, payment) = talk(&till, [&guest, &host]).await;
    till.steer(reqwest::Method::PUT, "/_sim/webhooks", json!({"paused": true})).await;
    let mut lock = TableLock::take(&till.api.store, "ledger_transactions").await;
    host.patch(&path, json!({"status": "complete"})).await.ok(200);
    eventually("the money to be taken", async || (till.money().await[0][3] == 1).then_some(())).await;
    eventually("the books to be waited for", async || (lock.waiting().await > 0).then_some(())).await;
    worker.kill();
    lock.release().await;
    taken_once(&stage, &till, &guest, &payment).await;
    assert_eq!(till.seen("POST", "/capture").await.len(), 1, "it was looked up instead of asked again");
    let captures = jobs(&till.api.store, "make_payment_call").await;
    assert_eq!(captures.iter().map(|job| job.rescues).sum::<i16>(), 1);
}
