//! What the provider tells: proven, stored once, and of no consequence in what order.

use hmac::{Hmac, KeyInit, Mac};
use humanchat_domain::{
    clock::Clock,
    payments,
    testing::{TestDatabase, heard, jobs},
};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{SECRET, Till, settings_of, simulator, till};
use crate::{
    scene::{eventually, text},
    support::{Answer, api_on},
};

const PATH: &str = "/api/payments/webhook";

fn signed(body: &str, secret: &str, at: i64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at}.{body}").as_bytes());
    mac.finalize().into_bytes().iter().fold(format!("t={at},v1="), |header, byte| header + &format!("{byte:02x}"))
}

impl Till {
    async fn tell(&self, body: &str, signature: Option<&str>) -> Answer {
        let request = self.api.http.post(self.api.url(PATH)).body(body.to_owned());
        let request = match signature {
            Some(signature) => request.header("stripe-signature", signature),
            None => request,
        };
        self.api.send(request).await
    }

    /// Tells something that is signed as it should be.
    async fn tell_truly(&self, body: &Value) -> Answer {
        let body = body.to_string();
        let signature = signed(&body, SECRET, self.api.store.clock().now().timestamp());
        self.tell(&body, Some(&signature)).await
    }
}

fn event(id: &str, kind: &str, object: &Value) -> Value {
    json!({"id": id, "object": "event", "type": kind, "api_version": "2099-01-01.future", "created": 1_794_830_400,
           "data": {"object": object}})
}

#[tokio::test]
async fn what_is_not_proven_is_refused_and_leaves_nothing() {
    let till = till().await;
    let body =
        event("evt_1", "payment_intent.succeeded", &json!({"id": "pi_1", "object": "payment_intent"})).to_string();
    let now = till.api.store.clock().now().timestamp();
    for signature in [
        None,
        Some(String::new()),
        Some("t=1,v1=00".to_owned()),
        Some(signed(&body, "whsec_of_somebody_else", now)),
        Some(signed(&body, SECRET, now - 301)),
        Some(signed(&body, SECRET, now + 301)),
        Some(signed(&format!("{body} "), SECRET, now)),
    ] {
        till.tell(&body, signature.as_deref()).await.refused(400, "malformed_request");
    }
    for odd in [
        "",
        "{",
        "null",
        "[]",
        r#"{"id": 1}"#,
        r#"{"id": "", "type": "x", "created": 1, "data": {"object": {}}}"#,
        "\u{0}",
    ] {
        till.tell(odd, Some(&signed(odd, SECRET, now))).await.refused(400, "malformed_request");
    }
    let large = format!("{{\"x\": \"{}\"}}", "x".repeat(1024 * 1024));
    till.tell(&large, Some(&signed(&large, SECRET, now))).await.refused(413, "payload_too_large");
    till.api.anonymous(Method::GET, PATH, None).await.refused(405, "method_not_allowed");
    assert_eq!(heard(&till.api.store).await, []);
    assert_eq!(jobs(&till.api.store, "sync_payment").await.len(), 0);
}

#[tokio::test]
async fn what_is_unknown_is_stored_and_parked() {
    let till = till().await;
    let [guest, ..] = till.people().await;
    let opened = guest.post("/api/payments/donation", json!({"amount": 500})).await.ok(201);
    till.hear().await;
    for (id, kind, object) in [
        ("evt_a", "unicorn.born", json!({"id": "uni_1", "object": "unicorn"})),
        ("evt_b", "charge.strange", json!({"id": "ch_1", "object": "charge", "payment_intent": null})),
        ("evt_c", "payment_intent.succeeded", json!({"id": "pi_of_nobody", "object": "payment_intent"})),
        ("evt_d", "payment_intent.succeeded", json!({})),
    ] {
        for _ in 0..2 {
            assert_eq!(till.tell_truly(&event(id, kind, &object)).await.ok(200), json!({"received": true}));
        }
    }
    let large = event("evt_e", "charge.large", &json!({"x": "x".repeat(500_000)}));
    till.tell_truly(&large).await.ok(200);
    let future =
        json!({"id": "evt_f", "object": "v2.core.event", "type": "v2.money.moved", "created": "2099-01-01T00:00:00Z"});
    till.tell_truly(&future).await.ok(200);
    till.tell_truly(&json!({"id": "evt_g", "type": "x", "api_version": "\0"})).await.ok(200);
    till.settle().await;
    let states: Vec<_> = heard(&till.api.store).await;
    let parked = states.iter().filter(|(_, state)| state == "parked").count();
    assert_eq!(parked, 7, "{states:?}");
    assert_eq!(guest.payment(&opened["payment"]).await["status"], "requires_payment");
}

/// All orders of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let insert = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, count - 1);
        order
    };
    shorter.iter().flat_map(|order| (0..count).map(|at| insert(order, at)).collect::<Vec<_>>()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_every_order_and_twice_five_events_come_to_one_state() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    till.steer(Method::PUT, "/_sim/webhooks", json!({"paused": true})).await;
    let session = till.agreed(&guest, &host).await;
    let opened = guest.pay_session(&session, "create").await.ok(201);
    till.authorise(&opened).await;
    let intent = text(&till.state().await["intents"][0]["id"]);
    let payment_id = text(&opened["payment"]["id"]);
    let object = |status: &str| json!({"id": intent, "object": "payment_intent", "status": status, "metadata": {"payment_id": payment_id}});
    let charge = json!({"id": "ch_1", "object": "charge", "payment_intent": intent});
    let kinds = [
        ("payment_intent.created", object("requires_payment_method")),
        ("payment_intent.amount_capturable_updated", object("requires_capture")),
        ("payment_intent.canceled", object("canceled")),
        ("charge.refunded", charge.clone()),
        ("charge.succeeded", charge),
    ];
    let orders = orders(kinds.len());
    assert_eq!(orders.len(), 120);
    for (number, order) in orders.iter().enumerate() {
        for index in order.iter().chain(order) {
            let (kind, object) = &kinds[*index];
            // The same event is told twice, and another of the same fact once in a while.
            till.tell_truly(&event(&format!("evt_{number}_{index}"), kind, object)).await.ok(200);
        }
        if number % 20 == 0 {
            till.api.work().await;
        }
    }
    till.api.work().await;
    let payment = guest.payment(&opened["payment"]).await;
    assert_eq!(payment["status"], "authorized", "whatever events say, the provider was asked");
    assert_eq!(guest.told_of_payments().await, ["requires_payment", "authorized"]);
    let heard = heard(&till.api.store).await;
    assert_eq!(heard.len(), 600);
    assert!(heard.iter().all(|(_, state)| state == "done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn told_late_twice_and_in_disorder_everything_adds_up() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    let (session, payment) = till.authorised(&guest, &host).await;
    let knobs = json!({"duplicate": 2, "shuffle_ms": 200, "drop": 3, "seed": 7});
    till.steer(Method::PUT, "/_sim/webhooks", knobs).await;
    till.talk(&session, [&guest, &host], 4).await.ok(200);
    till.settle().await;
    host.refund(&payment, json!({"amount": 100})).await.ok(202);
    till.settle().await;
    let now = guest.payment(&payment).await;
    assert_eq!((&now["amount_captured"], &now["amount_refunded"]), (&json!(400), &json!(100)));
    assert_eq!(guest.told_of_payments().await, ["requires_payment", "authorized", "capturing", "captured", "captured"]);
    humanchat_domain::payments::reconcile(&till.api.store).await.unwrap();
    till.settle().await;
    let events = till.seen("GET", "/v1/events").await;
    assert!(!events.is_empty());
    let heard = heard(&till.api.store).await;
    assert!(heard.len() >= 4 && heard.iter().all(|(_, state)| state != "waiting"), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_before_somebody_moved_the_payment_is_looked_at_again() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    let gift = json!({"amount": 1000, "recipientUserId": host.id});
    let opened = guest.post("/api/payments/donation", gift).await.ok(201);
    till.pay_checkout(&opened).await;
    till.settle().await;
    till.steer(Method::PUT, "/_sim/webhooks", json!({"paused": true})).await;
    let intent = text(&till.state().await["intents"][0]["id"]);
    let path = format!("/v1/payment_intents/{intent}");
    let before = till.seen("GET", &path).await.len();
    till.fault(json!({"method": "GET", "path": path, "effect": "delay_after", "delay_ms": 1500})).await;
    let refund = async {
        eventually("the look", async || (till.seen("GET", &path).await.len() > before).then_some(())).await;
        host.refund(&opened["payment"], json!({"amount": 300})).await.ok(202);
        till.api.work().await;
        assert_eq!(guest.payment(&opened["payment"]).await["amount_refunded"], 300);
    };
    let (looked, ()) = tokio::join!(payments::sync(&till.api.store, None, &intent), refund);
    looked.unwrap();
    assert_eq!(guest.payment(&opened["payment"]).await["amount_refunded"], 300);
    assert!(
        payments::open_differences(&till.api.store).await.unwrap().is_empty(),
        "nothing was given back when it looked"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_from_an_api_whose_clock_is_ahead_is_done_with_the_others() {
    let simulator = simulator().await;
    let (database, now) = (TestDatabase::create().await, Clock::System.now());
    let settings = settings_of(&simulator).map(|(name, value)| (name, value.to_owned()));
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let ahead = api_on(&database, Clock::manual(now + chrono::TimeDelta::seconds(10)), &settings).await;
    let till = Till::of(api_on(&database, Clock::manual(now), &settings).await, simulator).await;
    let [guest, ..] = till.people().await;
    let opened = guest.post("/api/payments/donation", json!({"amount": 500})).await.ok(201);
    till.pay_checkout(&opened).await;
    till.settle().await;
    let object = json!({"id": text(&till.state().await["intents"][0]["id"]), "object": "payment_intent"});
    till.tell_truly(&event("evt_here", "payment_intent.created", &object)).await.ok(200);
    let body = event("evt_there", "payment_intent.created", &object).to_string();
    let signature = signed(&body, SECRET, now.timestamp());
    let told = ahead.http.post(ahead.url(PATH)).header("stripe-signature", signature).body(body);
    ahead.send(told).await.ok(200);
    till.api.work().await;
    let heard = heard(&till.api.store).await;
    assert!(heard.len() >= 5 && heard.iter().all(|(_, state)| state == "done"), "{heard:?}");
}
