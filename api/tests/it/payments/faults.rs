//! What goes wrong at the provider and on the way to it: known in the end, and done once.

use std::{collections::BTreeSet, time::Duration};

use humanchat_domain::payments::{open_differences, reconcile};
use humanchat_worker::testing::{Outcome, drain};
use serde_json::{Value, json};

use super::till;
use crate::scene::text;

/// Everything that can happen to a request; the last takes longer than it is waited for.
pub fn troubles() -> Vec<Value> {
    let mut troubles: Vec<_> = ["error_before", "error_after", "rate_limit", "reset_before", "reset_after", "truncate"]
        .into_iter()
        .map(|effect| json!({"effect": effect}))
        .collect();
    troubles.push(json!({"effect": "delay", "delay_ms": 9000}));
    troubles
}

pub fn on(trouble: &Value, path: &str) -> Value {
    let mut rule = trouble.clone();
    (rule["method"], rule["path"]) = (json!("POST"), json!(path));
    rule
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_a_creation_is_had_by_asking_again() {
    for trouble in troubles() {
        let till = till().await;
        let [guest, host, _] = till.people().await;
        let session = till.agreed(&guest, &host).await;
        for (path, provider, body) in [
            ("/api/payments/donation", "/v1/checkout/sessions", json!({"amount": 500})),
            ("/api/payments/session", "/v1/payment_intents", json!({"sessionId": session, "action": "create"})),
        ] {
            till.fault(on(&trouble, provider)).await;
            let first = guest.post_once(path, "key", body.clone()).await;
            if first.status != 201 {
                first.refused(504, "upstream_timeout");
            }
            let mut last = guest.post_once(path, "key", body.clone()).await;
            for _ in 0..3 {
                if last.status == 504 {
                    last = guest.post_once(path, "key", body.clone()).await;
                }
            }
            if trouble["effect"] == "error_before" {
                // The provider keeps its failure under the key: that payment comes to nothing, the next is fine.
                last.refused(502, "upstream_failed");
                let next = guest.post(path, body).await.ok(201);
                assert_eq!(next["payment"]["status"], "requires_payment");
            } else {
                let opened = last.ok(201);
                assert_eq!(guest.post_once(path, "key", body).await.ok(201), opened, "{trouble}");
            }
            assert_eq!(till.seen("GET", "/v1/events").await.len(), 0);
        }
        let state = till.state().await;
        let made = |list: &str| state[list].as_array().unwrap().len();
        let session_intents = state["intents"].as_array().unwrap().iter().filter(|intent| intent["amount"] == 3000);
        assert_eq!((made("checkout_sessions"), session_intents.count()), (1, 1), "{trouble}");
        till.advance(Duration::from_secs(20)).await;
        till.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn capture_and_refund_happen_once_whatever_goes_wrong() {
    for trouble in troubles() {
        let till = till().await;
        let [guest, host, _] = till.people().await;
        let (session, payment) = till.authorised(&guest, &host).await;
        till.fault(on(&trouble, "/v1/payment_intents/*/capture")).await;
        till.talk(&session, [&guest, &host], 2).await.ok(200);
        till.settle().await;
        if trouble["effect"] == "error_before" {
            // A new attempt under a new key, after it was seen that the old one came to nothing.
            till.advance(Duration::from_secs(31)).await;
            till.settle().await;
        }
        let taken = guest.payment(&payment).await;
        assert_eq!((&taken["status"], &taken["amount_captured"]), (&json!("captured"), &json!(200)), "{trouble}");
        assert_eq!(till.money().await, [[0, 200, 0, 1]], "{trouble}");
        till.fault(on(&trouble, "/v1/refunds")).await;
        host.refund(&payment, json!({"amount": 50})).await.ok(202);
        till.settle().await;
        if trouble["effect"] == "error_before" {
            till.advance(Duration::from_secs(31)).await;
            till.settle().await;
        }
        assert_eq!(guest.payment(&payment).await["amount_refunded"], 50, "{trouble}");
        assert_eq!(till.money().await, [[0, 200, 50, 1]], "{trouble}");
        let keys: Vec<_> =
            till.seen("POST", "/capture").await.iter().map(|seen| text(&seen["idempotency_key"])).collect();
        let keys: BTreeSet<_> = keys.into_iter().collect();
        assert_eq!(keys.len(), if trouble["effect"] == "error_before" { 2 } else { 1 }, "{trouble}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_left_to_people() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    let (session, payment) = till.authorised(&guest, &host).await;
    till.fault(json!({"method": "POST", "path": "/v1/payment_intents/*/capture", "effect": "refuse"})).await;
    till.talk(&session, [&guest, &host], 2).await.ok(200);
    till.settle().await;
    let captures = async || till.seen("POST", "/capture").await.len();
    let differences = async || open_differences(&till.api.store).await.unwrap();
    assert_eq!((captures().await, guest.payment(&payment).await["status"].clone()), (1, json!("authorized")));
    let kinds: Vec<_> = differences().await.into_iter().map(|difference| difference.kind).collect();
    assert_eq!(kinds, ["call_refused"]);
    till.advance(Duration::from_mins(11)).await;
    reconcile(&till.api.store).await.unwrap();
    till.settle().await;
    assert_eq!((captures().await, differences().await.len()), (1, 1), "nobody asked again");
    host.pay_session(&session, "capture").await.ok(202);
    till.settle().await;
    assert_eq!(guest.payment(&payment).await["status"], "captured");
    assert_eq!((till.money().await, differences().await.len()), (vec![[0, 200, 0, 1]], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_whose_key_grew_old_is_looked_up_and_asked_for_anew() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    let (guest, host) = (guest.staying(), host.staying());
    let (session, payment) = till.authorised(&guest, &host).await;
    let rule = json!({"method": "POST", "path": "/v1/payment_intents/*/capture", "effect": "reset_before"});
    till.fault(rule).await;
    till.talk(&session, [&guest, &host], 2).await.ok(200);
    let outcomes = drain(&till.api.store).await;
    assert!(matches!(&outcomes[..], [.., (_, Outcome::Retried(_))]), "{outcomes:?}");
    till.advance(Duration::from_hours(23)).await;
    till.settle().await;
    // The next attempt has a pause of its own.
    till.advance(Duration::from_secs(31)).await;
    till.settle().await;
    let keys: BTreeSet<_> =
        till.seen("POST", "/capture").await.iter().map(|seen| text(&seen["idempotency_key"])).collect();
    assert_eq!((keys.len(), till.money().await), (2, vec![[0, 200, 0, 1]]));
    assert_eq!(guest.payment(&payment).await["status"], "captured");
    assert_eq!(open_differences(&till.api.store).await.unwrap().len(), 0);
}
