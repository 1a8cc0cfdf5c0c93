//! Holds that end too soon, and refunds that fail after all.

use std::time::Duration;

use chrono::TimeDelta;
use humanchat_domain::{
    payments,
    testing::{self, booked},
};
use reqwest::Method;
use serde_json::json;

use super::till;
use crate::scene::{eventually, id, text};

#[tokio::test]
async fn a_hold_that_would_end_before_its_session_is_had_anew() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let session = text(&till.book(&guest, &host, till.slot(5 * 24)).await["session"]["id"]);
    let opened = guest.pay_session(&session, "create").await.ok(201);
    till.authorise(&opened).await;
    till.settle().await;
    till.come_to(till.slot(3 * 24)).await;
    let first = guest.payment(&opened["payment"]).await;
    assert_eq!(first["status"], "authorized");
    // A Visa card is held for four days and eighteen hours where its owner isn't there.
    let later = till.slot(10 * 24);
    host.patch(&format!("/api/sessions/{session}"), json!({"startTime": later.to_rfc3339()})).await.ok(200);
    till.settle().await;
    assert_eq!(guest.payment(&first).await["status"], "voided");
    let now = guest.session_now(&session).await;
    assert_eq!((&now["payment_status"], &now["hold_expires_at"]), (&json!("requires_payment"), &json!(null)));
    till.come_to(later - TimeDelta::hours(47)).await;
    assert_eq!(guest.session_now(&session).await["payment_status"], "authorized", "the card was known");
    assert_eq!(till.money().await, [[0, 0, 0, 0], [3000, 0, 0, 0]]);
    assert_eq!(host.notified("payment").await, Vec::<String>::new());
}

#[tokio::test]
async fn where_no_card_is_known_the_guest_is_asked_again() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let session = text(&till.book(&guest, &host, till.slot(40)).await["session"]["id"]);
    let opened = guest.pay_session(&session, "create").await.ok(201);
    assert_eq!(opened["payment"]["authorize_at"], json!(null));
    till.authorise(&opened).await;
    till.settle().await;
    let later = till.slot(10 * 24);
    host.patch(&format!("/api/sessions/{session}"), json!({"startTime": later.to_rfc3339()})).await.ok(200);
    till.settle().await;
    assert_eq!(till.money().await, [[0, 0, 0, 0]]);
    let waiting = guest.session_now(&session).await;
    let until = humanchat_domain::text::Timestamp(later - TimeDelta::hours(24));
    assert_eq!(waiting["hold_expires_at"], json!(until));
    assert_eq!(
        guest.notified("payment").await,
        ["30.00 USD is held on your card", "30.00 USD on your card is free again", "Your card needs your attention"]
    );
    assert_eq!(host.notified("payment").await, ["guest has to pay again"]);
    let again = guest.pay_session(&session, "create").await.ok(201);
    assert!(text(&again["clientSecret"]).starts_with("seti_"), "it is far away now");
    till.authorise(&again).await;
    till.settle().await;
    assert_eq!(guest.session_now(&session).await["hold_expires_at"], json!(null));
    let asked = "Your card needs your attention".to_owned();
    assert!(!guest.unread("payment").await.contains(&asked), "another payment answers it");
    assert_eq!(host.notified("payment").await, ["guest has to pay again", "guest has seen to the payment"]);
    assert_eq!(host.unread("payment").await, ["guest has seen to the payment"]);
    till.come_to(later - TimeDelta::hours(47)).await;
    assert_eq!(guest.session_now(&session).await["payment_status"], "authorized");
    assert_eq!(host.notified("payment").await.len(), 2, "that was said");
}

#[tokio::test]
async fn a_hold_near_its_end_is_seen_and_looked_after() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let start = till.slot(40);
    let session = text(&till.book(&guest, &host, start).await["session"]["id"]);
    let opened = guest.pay_session(&session, "create").await.ok(201);
    till.authorise(&opened).await;
    till.settle().await;
    let store = &till.api.store;
    assert_eq!(payments::holds_expiring(store).await.unwrap(), 0);
    // The provider says that the hold ends an hour after the start: that is obeyed, whatever is usual.
    let ends = start + TimeDelta::hours(1);
    testing::set_capture_before(store, id(&text(&opened["payment"]["id"])), ends).await;
    till.come_to(start - TimeDelta::hours(6)).await;
    assert_eq!(payments::holds_expiring(store).await.unwrap(), 1);
    payments::watch_holds(store).await.unwrap();
    assert_eq!(guest.payment(&opened["payment"]).await["status"], "authorized", "not yet");
    till.come_to(start - TimeDelta::hours(4)).await;
    payments::watch_holds(store).await.unwrap();
    till.settle().await;
    assert_eq!(till.money().await, [[0, 0, 0, 0]]);
    let waiting = guest.session_now(&session).await;
    assert!(waiting["hold_expires_at"].is_string(), "{waiting}");
    assert_eq!(payments::holds_expiring(store).await.unwrap(), 0);
    till.advance(Duration::from_mins(16)).await;
    till.settle().await;
    assert_eq!(guest.session_now(&session).await["status"], "cancelled");
}

#[tokio::test]
async fn a_refund_that_fails_after_all_is_taken_back_and_told() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    let session = till.agreed(&guest, &host).await;
    let opened = guest.pay_session(&session, "create").await.ok(201);
    till.pay_with("4000000000005126", &opened).await;
    till.settle().await;
    till.talk(&session, [&guest, &host], 5).await.ok(200);
    till.settle().await;
    let payment = &opened["payment"];
    host.refund(payment, json!({})).await.ok(202);
    till.settle().await;
    assert_eq!(guest.payment(payment).await["status"], "refunded");
    till.advance(Duration::from_secs(61)).await;
    till.settle().await;
    let now = guest.payment(payment).await;
    assert_eq!((&now["status"], &now["amount_refunded"]), (&json!("captured"), &json!(0)));
    let amounts: Vec<_> =
        booked(&till.api.store, id(&text(&payment["id"]))).await.into_iter().map(|(_, amount)| amount).collect();
    assert_eq!(amounts, [500, -50, -450, -500, 50, 450, 500, -50, -450]);
    assert_eq!(
        guest.notified("payment").await[2..],
        ["5.00 USD was given back to you", "5.00 USD could not be given back to you"]
    );
    let open = payments::open_differences(&till.api.store).await.unwrap();
    assert_eq!((open.len(), open[0].kind.as_str()), (1, "refund_failed"));
    // Looking again changes nothing: staff settle it.
    till.advance(Duration::from_mins(11)).await;
    payments::reconcile(&till.api.store).await.unwrap();
    till.settle().await;
    assert_eq!(payments::open_differences(&till.api.store).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_is_older_than_what_is_known_says_nothing() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    let (session, payment) = till.authorised(&guest, &host).await;
    till.steer(Method::PUT, "/_sim/webhooks", json!({"drop": 1})).await;
    let intent = text(&till.state().await["intents"][0]["id"]);
    till.fault(json!({"method": "GET", "path": "/v1/payment_intents/*", "effect": "delay_after", "delay_ms": 1500}))
        .await;
    let store = till.api.store.clone();
    let looked = till.seen("GET", &intent).await.len();
    let look = tokio::spawn(async move { payments::sync(&store, None, &intent).await });
    eventually("the look", async || (till.seen("GET", "/v1/payment_intents/").await.len() > looked).then_some(()))
        .await;
    host.patch(&format!("/api/sessions/{session}"), json!({"status": "cancelled"})).await.ok(200);
    till.settle().await;
    assert_eq!(guest.payment(&payment).await["status"], "voided");
    look.await.unwrap().unwrap();
    till.settle().await;
    assert_eq!(payments::open_differences(&till.api.store).await.unwrap().len(), 0);
}
