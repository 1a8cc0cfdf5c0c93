//! What went unheard for a while, or was heard and could not be looked at: had in the end, and no money passed on
//! meanwhile that somebody may want back.

use std::time::Duration;

use humanchat_domain::{
    payments::{self, reconcile},
    testing::heard,
};
use humanchat_worker::testing::{Outcome, drain};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    payouts::{WEEK, staying},
    till,
};
use crate::scene::text;

/// A card whose owner says that it wasn't them.
const DISPUTED: &str = "4000000000000259";

/// Whatever is tried for an hour fails, while the provider goes on telling.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_while_nothing_could_be_asked_is_looked_at_when_it_can() {
    let till = till().await;
    let [guest, host] = staying(&till).await;
    till.onboard(&host).await;
    let session = till.agreed(&guest, &host).await;
    let opened = guest.pay_session(&session, "create").await.ok(201);
    till.pay_with(DISPUTED, &opened).await;
    till.settle().await;
    let outage = json!({"method": "GET", "path": "/v1/payment_intents/*", "effect": "error_before", "times": 1000});
    till.fault(outage).await;
    till.talk(&session, [&guest, &host], 30).await.ok(200);
    let mut is_parked = false;
    for _ in 0..20 {
        till.hear().await;
        let outcomes = drain(&till.api.store).await;
        is_parked |= outcomes.iter().any(|(kind, end)| *kind == "sync_payment" && matches!(end, Outcome::Parked(_)));
        till.advance(Duration::from_mins(10)).await;
    }
    assert!(is_parked);
    assert!(heard(&till.api.store).await.iter().any(|(_, state)| state == "waiting"));
    till.steer(Method::DELETE, "/_sim/faults", json!({})).await;
    reconcile(&till.api.store).await.unwrap();
    till.settle().await;
    let heard = heard(&till.api.store).await;
    assert!(heard.iter().all(|(_, state)| state == "done"), "{heard:?}");
    assert_eq!(till.differences().await, ["disputed"]);
    till.advance(WEEK).await;
    till.pay_hosts().await;
    assert_eq!(till.transfers().await, Vec::<[i64; 2]>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_nobody_heard_of_is_seen_before_anything_is_passed_on() {
    let till = till().await;
    let [guest, host] = staying(&till).await;
    till.onboard(&host).await;
    let session = till.agreed(&guest, &host).await;
    let opened = guest.pay_session(&session, "create").await.ok(201);
    till.pay_with(DISPUTED, &opened).await;
    till.settle().await;
    till.steer(Method::PUT, "/_sim/webhooks", json!({"drop": 100})).await;
    till.talk(&session, [&guest, &host], 30).await.ok(200);
    till.settle().await;
    assert_eq!(till.differences().await, Vec::<String>::new());
    till.advance(WEEK).await;
    till.pay_hosts().await;
    till.pay_hosts().await;
    assert_eq!(till.seen("POST", "/v1/transfers").await, Vec::<Value>::new());
    assert_eq!(till.differences().await, ["disputed"]);
    till.steer(Method::PUT, "/_sim/webhooks", json!({})).await;
    till.answer_dispute("winning_evidence").await;
    till.advance(Duration::from_hours(24)).await;
    till.pay_hosts().await;
    assert_eq!(till.transfers().await, [[2700, 0]]);
    assert_eq!(till.differences().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_gap_is_caught_up_with_bit_by_bit_and_keeps_nothing_else_waiting() {
    let till = till().await;
    let [guest, ..] = till.people().await.map(crate::support::Person::staying);
    let store = &till.api.store;
    reconcile(store).await.unwrap();
    till.steer(Method::PUT, "/_sim/webhooks", json!({"drop": 1000})).await;
    for _ in 0..9 {
        till.by_hand(Method::POST, "/v1/payment_intents", &[("amount", "500"), ("currency", "usd")]).await;
        till.advance(Duration::from_hours(1)).await;
    }
    let gift = guest.post("/api/payments/donation", json!({"amount": 500})).await.ok(201);
    till.pay_checkout(&gift).await;
    till.advance(Duration::from_hours(1)).await;
    // Three windows of an hour can be read, then the provider fails.
    till.fault(json!({"path": "/v1/events", "effect": "delay_after", "times": 3})).await;
    till.fault(json!({"path": "/v1/events", "effect": "error_before"})).await;
    let looks = async || till.seen("GET", "/v1/events").await.len();
    let before = looks().await;
    reconcile(store).await.unwrap_err();
    assert_eq!((looks().await - before, heard(store).await.len()), (4, 3));
    till.settle().await;
    assert_eq!(guest.payment(&gift["payment"]).await["status"], "captured", "it was asked for all the same");
    // From a quarter of an hour before where it came to: seven hours, and what is left.
    reconcile(store).await.unwrap();
    assert_eq!(looks().await - before, 4 + 8);
    till.settle().await;
    let heard = heard(store).await;
    assert_eq!(heard.iter().filter(|(kind, _)| kind == "payment_intent.created").count(), 10, "{heard:?}");
    assert!(heard.iter().all(|(_, state)| state != "waiting"), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_back_from_a_host_is_known_until_it_is() {
    let till = till().await;
    let [guest, host] = staying(&till).await;
    till.onboard(&host).await;
    let payment = till.earned(&guest, &host, "4242424242424242").await;
    till.advance(WEEK).await;
    till.pay_hosts().await;
    till.fault(json!({"method": "POST", "path": "/v1/transfers/*/reversals", "effect": "refuse"})).await;
    let overpaid = async || {
        let open = payments::open_differences(&till.api.store).await.unwrap();
        open.iter().map(|found| (found.kind.clone(), found.details["overpaid"].clone())).collect::<Vec<_>>()
    };
    for (refund, amount) in [(json!({"amount": 1500}), 1350), (json!({}), 2700)] {
        host.refund(&payment, refund).await.ok(202);
        till.settle().await;
        assert_eq!(overpaid().await, [("overpaid".to_owned(), json!(amount))]);
    }
    assert_eq!(till.seen("POST", "/reversals").await.len(), 1, "what was refused is left to people");
    let transfer = text(&till.state().await["transfers"][0]["id"]);
    till.by_hand(Method::POST, &format!("/v1/transfers/{transfer}/reversals"), &[("amount", "2700")]).await;
    till.settle().await;
    assert_eq!(overpaid().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_back_at_the_second_attempt_can_be_taken_back_again() {
    let till = till().await;
    let [guest, host] = staying(&till).await;
    till.onboard(&host).await;
    let payment = till.earned(&guest, &host, "4242424242424242").await;
    till.advance(WEEK).await;
    till.pay_hosts().await;
    till.fault(json!({"method": "POST", "path": "/v1/transfers/*/reversals", "effect": "reset_before"})).await;
    host.refund(&payment, json!({"amount": 1000})).await.ok(202);
    let outcomes = drain(&till.api.store).await;
    assert!(outcomes.iter().any(|(_, end)| matches!(end, Outcome::Retried(_))), "{outcomes:?}");
    till.advance(Duration::from_hours(23)).await;
    till.settle().await;
    assert_eq!(till.transfers().await, [[2700, 900]], "under a new key");
    host.refund(&payment, json!({})).await.ok(202);
    till.settle().await;
    assert_eq!(till.transfers().await, [[2700, 2700]]);
    assert_eq!(till.differences().await, Vec::<String>::new());
}
