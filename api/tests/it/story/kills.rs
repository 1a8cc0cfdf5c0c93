//! Workers that are killed at every step of a capture, again and again: each is had once.

use std::time::Duration;

use humanchat_domain::testing::{TableLock, age_leases, booked, env};
use humanchat_local::scratch::Scratch;
use reqwest::Method;
use serde_json::{Value, json};

use super::stage::{Program, Stage, in_time, simulator};
use crate::{
    attendance::settled,
    payments::{Till, settings_at},
    scene::{eventually, id, text},
    support::Person,
};

/// More than a lease lasts.
const LEASE: Duration = Duration::from_secs(40);
const CAPTURE: &str = "/v1/payment_intents/*/capture";

/// When the worker is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The job is taken, and the call is about to be read.
    BeforeItReads,
    /// The attempt is about to be written down.
    BeforeItAsks,
    /// The provider has the request, and has done nothing.
    WhileItAsks,
    /// The money was taken, and the answer is on its way.
    BeforeTheAnswer,
    /// The answer is there, and about to be booked.
    BeforeItBooks,
    /// Some milliseconds after the session ended.
    AnyTime,
}

const MOMENTS: [Moment; 6] = [
    Moment::BeforeItReads,
    Moment::BeforeItAsks,
    Moment::WhileItAsks,
    Moment::BeforeTheAnswer,
    Moment::BeforeItBooks,
    Moment::AnyTime,
];

struct Story<'a> {
    stage: &'a Stage,
    till: &'a Till,
    guest: Person<'a>,
    host: Person<'a>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_at_any_step_of_a_capture_takes_once() {
    let rounds: usize = env("CAPTURE_KILLS").map_or(MOMENTS.len(), |text| text.parse().unwrap());
    let folder = Scratch::create().unwrap();
    let (_simulator, base_url) = simulator(folder.path()).await;
    let stage = Stage::with(&settings_at(&base_url)).await;
    let (_program, api) = stage.api(&[]).await;
    let till = Till::at(api, &base_url).await;
    let story = Story {
        stage: &stage,
        till: &till,
        guest: till.api.register("Guest").await.staying(),
        host: till.api.register("Host").await.staying(),
    };
    let _sockets = (story.guest.socket("/ws").await, story.host.socket("/ws").await);
    settled(&till.api, 2).await;
    // It hands the jobs of the dead back, and takes none that ask the provider.
    let _survivor = stage.worker_on("default", &[]).await;
    let mut worker = stage.worker_on("payments", &[]).await;
    let mut asked = 0;
    for round in 0..rounds {
        let moment = MOMENTS[round % MOMENTS.len()];
        worker = story.round(moment, worker).await;
        let captures = till.seen("POST", "/capture").await.len();
        println!("{round} {moment:?}: asked {} times", captures - asked);
        asked = captures;
        let money = till.money().await;
        assert_eq!(money.len(), round + 1);
        assert!(money.iter().all(|[held, _, _, captures]| (*held, *captures) == (0, 1)), "{moment:?}: {money:?}");
    }
    println!("{rounds} kills, {asked} requests, {rounds} captures");
}

impl Story<'_> {
    /// A session is completed, the worker killed at this moment, and the money taken once. Returns the
    /// worker that follows.
    async fn round(&self, moment: Moment, mut worker: Program) -> Program {
        let Self { stage, till, .. } = self;
        let (path, payment) = self.talk().await;
        let complete = async || self.host.patch(&path, json!({"status": "complete"})).await.ok(200);
        let store = &till.api.store;
        let fault = async |effect: &str| {
            till.fault(json!({"method": "POST", "path": CAPTURE, "effect": effect, "delay_ms": 300})).await;
        };
        let asked = till.seen("POST", "/capture").await.len();
        let taken = till.money().await.iter().filter(|[_, captured, ..]| *captured > 0).count();
        let is_waited_for = async |lock: &mut TableLock| {
            let waiting = async || (lock.waiting().await > 0).then_some(());
            eventually("the table to be waited for", waiting).await;
        };
        match moment {
            Moment::BeforeItReads => {
                worker.kill();
                complete().await;
                let mut lock = TableLock::take(store, "payment_calls").await;
                worker = stage.worker_on("payments", &[]).await;
                is_waited_for(&mut lock).await;
                worker.kill();
                lock.release().await;
            }
            Moment::BeforeItAsks => {
                worker.kill();
                complete().await;
                let mut lock = TableLock::against_writes(store, "payment_calls").await;
                worker = stage.worker_on("payments", &[]).await;
                is_waited_for(&mut lock).await;
                worker.kill();
                lock.release().await;
            }
            Moment::WhileItAsks => {
                fault("delay").await;
                complete().await;
                let is_asked = async || (till.seen("POST", "/capture").await.len() > asked).then_some(());
                eventually("the request", is_asked).await;
                worker.kill();
            }
            Moment::BeforeTheAnswer => {
                fault("delay_after").await;
                complete().await;
                let is_taken = async || {
                    let now = till.money().await.iter().filter(|[_, captured, ..]| *captured > 0).count();
                    (now > taken).then_some(())
                };
                eventually("the money to be taken", is_taken).await;
                worker.kill();
            }
            Moment::BeforeItBooks => {
                till.steer(Method::PUT, "/_sim/webhooks", json!({"paused": true})).await;
                let mut lock = TableLock::take(store, "ledger_transactions").await;
                complete().await;
                is_waited_for(&mut lock).await;
                worker.kill();
                lock.release().await;
                till.steer(Method::PUT, "/_sim/webhooks", json!({})).await;
            }
            Moment::AnyTime => {
                complete().await;
                tokio::time::sleep(Duration::from_millis(rand::random_range(0..60))).await;
                worker.kill();
            }
        }
        let next = stage.worker_on("payments", &[]).await;
        self.is_taken_once(&payment).await;
        next
    }

    /// A session that goes on, with its payment authorised.
    async fn talk(&self) -> (String, Value) {
        let Self { till, guest, host, .. } = self;
        let session = till.agreed(guest, host).await;
        let opened = guest.pay_session(&session, "create").await.ok(201);
        till.authorise(&opened).await;
        let is_authorised = async || (guest.payment(&opened["payment"]).await["status"] == "authorized").then_some(());
        eventually("the authorisation", is_authorised).await;
        let path = format!("/api/sessions/{session}");
        host.patch(&path, json!({"status": "in_progress"})).await.ok(200);
        (path, opened["payment"].clone())
    }

    async fn is_taken_once(&self, payment: &Value) {
        let store = &self.till.api.store;
        in_time(LEASE, "the capture", async {
            // The dead worker's lease need not be waited for.
            while self.guest.payment(payment).await["status"] != "captured" {
                age_leases(store, LEASE).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        })
        .await;
        let captured = self.guest.payment(payment).await["amount_captured"].as_i64().unwrap();
        let booked = booked(store, id(&text(&payment["id"]))).await;
        assert_eq!((booked[0].clone(), booked.len()), (("provider".to_owned(), captured), 3));
    }
}
