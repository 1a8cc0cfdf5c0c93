//! Donations, and giving them back.

use humanchat_domain::testing::{self, booked};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Till, till};
use crate::{
    scene::{id, strings, text},
    support::{Person, api},
};

const PATH: &str = "/api/payments/donation";

/// A donation that was paid.
async fn given(till: &Till, giver: &Person<'_>, body: Value) -> Value {
    let opened = giver.post(PATH, body).await.ok(201);
    till.pay_checkout(&opened).await;
    till.settle().await;
    giver.payment(&opened["payment"]).await
}

#[tokio::test]
async fn a_donation_is_paid_at_a_checkout_and_booked() {
    let till = till().await;
    let [guest, host, third] = till.people().await;
    let body = json!({"amount": 500, "recipientUserId": host.id, "message": "Thank you"});
    let opened = guest.post(PATH, body).await.ok(201);
    assert!(text(&opened["checkoutUrl"]).starts_with("http"), "{opened}");
    assert!(opened.get("clientSecret").is_none());
    let payment = &opened["payment"];
    for (field, value) in [
        ("session_id", json!(null)),
        ("payer_user_id", json!(guest.id)),
        ("payee_user_id", json!(host.id)),
        ("kind", json!("donation")),
        ("status", json!("requires_payment")),
        ("amount", json!(500)),
        ("amount_captured", json!(0)),
        ("amount_refunded", json!(0)),
        ("currency", json!("usd")),
        ("capture_before", json!(null)),
    ] {
        assert_eq!(payment[field], value, "{field}");
    }
    let path = format!("/api/payments/{}", text(&payment["id"]));
    guest.get(&format!("{path}/receipt")).await.refused(409, "invalid_transition");

    till.pay_checkout(&opened).await;
    till.settle().await;
    let paid = guest.payment(payment).await;
    assert_eq!((&paid["status"], &paid["amount_captured"]), (&json!("captured"), &json!(500)));
    assert_eq!(host.payment(payment).await, paid);
    let payment_id = id(&text(&payment["id"]));
    let expected = [("provider".to_owned(), 500), ("payee".to_owned(), -500)];
    assert_eq!(booked(&till.api.store, payment_id).await, expected, "no fee is taken of a gift");
    for person in [&guest, &host] {
        assert_eq!(person.told_of_payments().await, ["requires_payment", "captured"]);
    }
    let receipt = guest.get(&format!("{path}/receipt")).await.ok(200)["receipt"].clone();
    assert_eq!((&receipt["total"], &receipt["lines"][0]["description"]), (&json!(500), &json!("Donation")));
    for path in [&path, &format!("{path}/receipt")] {
        third.get(path).await.refused(404, "resource_not_found");
        till.api.anonymous(Method::GET, path, None).await.refused(401, "unauthenticated");
    }
    assert_eq!(till.money().await, [[0, 500, 0, 1]]);
}

#[tokio::test]
async fn odd_amounts_are_refused_by_name_and_leave_nothing() {
    let till = till().await;
    let [guest, host, third] = till.people().await;
    for (field, body) in [
        ("amount", json!({})),
        ("amount", json!({"amount": 0})),
        ("amount", json!({"amount": -1})),
        ("amount", json!({"amount": 49})),
        ("amount", json!({"amount": 10.5})),
        ("amount", json!({"amount": "500"})),
        ("amount", json!({"amount": 100_000_000})),
        ("amount", json!({"amount": 9_223_372_036_854_775_808_u64})),
        ("amount", json!({"amount": 49, "currency": "jpy"})),
        ("currency", json!({"amount": 500, "currency": "USD"})),
        ("currency", json!({"amount": 500, "currency": "xxx"})),
        ("recipientUserId", json!({"amount": 500, "recipientUserId": guest.id})),
        ("message", json!({"amount": 500, "message": "x".repeat(501)})),
        ("fee", json!({"amount": 500, "fee": 0})),
    ] {
        let details = guest.post(PATH, body.clone()).await.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{body}: {details}");
    }
    let session = till.agreed(&guest, &host).await;
    for body in [
        json!({"amount": 500, "recipientUserId": "user_01h455vb4pex5vsknk084sn02q"}),
        json!({"amount": 500, "recipientUserId": "nobody"}),
        json!({"amount": 500, "sessionId": "sess_01h455vb4pex5vsknk084sn02q"}),
    ] {
        guest.post(PATH, body).await.refused(404, "resource_not_found");
    }
    third.post(PATH, json!({"amount": 500, "sessionId": session})).await.refused(404, "resource_not_found");
    till.api.anonymous(Method::POST, PATH, Some(json!({"amount": 500}))).await.refused(401, "unauthenticated");
    assert_eq!(till.seen("POST", "/v1/").await, Vec::<Value>::new());
    let yen = guest.post(PATH, json!({"amount": 50, "currency": "jpy"})).await.ok(201);
    assert_eq!((&yen["payment"]["amount"], &yen["payment"]["currency"]), (&json!(50), &json!("jpy")));
    let given = guest.post(PATH, json!({"amount": 500, "sessionId": session})).await.ok(201);
    assert_eq!(given["payment"]["payee_user_id"], json!(host.id), "on the occasion of a session, its other person");
    host.leaves().await.ok(204);
    guest.post(PATH, json!({"amount": 500, "sessionId": session})).await.refused(404, "resource_not_found");
}

#[tokio::test]
async fn without_a_provider_nothing_can_be_paid() {
    let api = api().await;
    let people = api.arrive(&["guest"]).await;
    let refused = people[0].post(PATH, json!({"amount": 500})).await;
    refused.refused(503, "service_unavailable");
    assert!(refused.headers.contains_key("retry-after"));
    api.anonymous(Method::POST, "/api/payments/webhook", Some(json!({}))).await.refused(503, "service_unavailable");
}

#[tokio::test]
async fn the_same_key_is_one_donation() {
    let till = till().await;
    let [guest, ..] = till.people().await;
    let body = json!({"amount": 500});
    let first = guest.post_once(PATH, "one", body.clone()).await;
    let again = guest.post_once(PATH, "one", body.clone()).await;
    assert_eq!((first.ok(201), again.headers.contains_key("idempotency-replayed")), (again.ok(201), true));
    guest.post_once(PATH, "one", json!({"amount": 501})).await.refused(422, "idempotency_key_reused");
    let other = guest.post_once(PATH, "two", body).await.ok(201);
    assert_ne!(other["payment"]["id"], first.json()["payment"]["id"]);
    assert_eq!(till.seen("POST", "/v1/checkout/sessions").await.len(), 2);
    let refused = json!({"amount": 1});
    let first = guest.post_once(PATH, "three", refused.clone()).await;
    assert_eq!(first.text, guest.post_once(PATH, "three", refused).await.text);
}

#[tokio::test]
async fn a_checkout_that_is_left_ends_unpaid() {
    let till = till().await;
    let [guest, ..] = till.people().await;
    let opened = guest.post(PATH, json!({"amount": 500})).await.ok(201);
    till.steer(Method::POST, "/_sim/clock", json!({"advance_secs": 86_500})).await;
    let checkout = till.state().await["checkout_sessions"][0]["status"].clone();
    assert_eq!(checkout, "expired");
    // What the provider tells by a clock of tomorrow isn't believed; looking after it finds out.
    till.api.advance(std::time::Duration::from_mins(11));
    humanchat_domain::payments::reconcile(&till.api.store).await.unwrap();
    till.api.work().await;
    assert_eq!(guest.payment(&opened["payment"]).await["status"], "voided");
    assert_eq!(guest.told_of_payments().await, ["requires_payment", "voided"]);
}

#[tokio::test]
async fn who_was_paid_gives_back_in_parts_or_whole() {
    let till = till().await;
    let [guest, host, third] = till.people().await;
    let payment = given(&till, &guest, json!({"amount": 1000, "recipientUserId": host.id})).await;
    guest.refund(&payment, json!({})).await.refused(403, "forbidden");
    third.refund(&payment, json!({})).await.refused(404, "resource_not_found");
    for amount in [json!(0), json!(-1), json!(1001), json!(1.5), json!("1")] {
        let details = host.refund(&payment, json!({"amount": amount})).await.refused(422, "validation_failed");
        assert!(details["fields"]["amount"].is_string(), "{details}");
    }
    let accepted = host.refund(&payment, json!({"amount": 300, "reason": "It was short"})).await.ok(202);
    assert_eq!(accepted["payment"]["amount_refunded"], 0, "a job does it");
    host.refund(&payment, json!({"amount": 300})).await.refused(409, "invalid_transition");
    till.settle().await;
    let now = guest.payment(&payment).await;
    assert_eq!((&now["status"], &now["amount_refunded"]), (&json!("captured"), &json!(300)));
    host.refund(&payment, json!({"amount": 701})).await.refused(422, "validation_failed");
    host.refund(&payment, json!({})).await.ok(202);
    till.settle().await;
    let now = guest.payment(&payment).await;
    assert_eq!((&now["status"], &now["amount_refunded"]), (&json!("refunded"), &json!(1000)));
    host.refund(&payment, json!({})).await.refused(409, "invalid_transition");
    assert_eq!(till.money().await, [[0, 1000, 1000, 1]]);
    let booked = booked(&till.api.store, id(&text(&payment["id"]))).await;
    let amounts: Vec<_> = booked.iter().map(|(_, amount)| *amount).collect();
    assert_eq!(amounts, [1000, -1000, -300, 300, -700, 700]);
    assert_eq!(guest.told_of_payments().await, ["requires_payment", "captured", "captured", "refunded"]);
    let receipt = format!("/api/payments/{}/receipt", text(&payment["id"]));
    let receipt = host.get(&receipt).await.ok(200)["receipt"].clone();
    assert_eq!(
        (&receipt["total"], strings(&receipt["lines"], "description")),
        (&json!(0), vec!["Donation".to_owned(), "Refund".to_owned()])
    );
}

#[tokio::test]
async fn the_ledger_refuses_what_it_must_not_hold() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    let payment = given(&till, &guest, json!({"amount": 1000, "recipientUserId": host.id})).await;
    let store = &till.api.store;
    let payment_id = format!(
        "(select id from payments where payer_user_id = (select id from users where email = '{}'))",
        guest.email
    );
    for (statement, reason) in [
        ("update ledger_entries set amount_minor = 1", "append-only"),
        ("delete from ledger_entries", "append-only"),
        ("truncate ledger_entries", "append-only"),
        ("delete from ledger_transactions", "append-only"),
        (
            "insert into ledger_entries select transaction_id, 'platform', null, 5 from ledger_entries limit 1",
            "sum to zero",
        ),
        (
            &format!("insert into ledger_transactions select gen_random_uuid(), {payment_id}, 'refund', 'usd', now(), -5"),
            "of the amount it names",
        ),
        (
            &format!("insert into ledger_transactions select gen_random_uuid(), {payment_id}, 'refund', 'usd', now(), 5"),
            "check constraint",
        ),
        (
            &format!(
                "with new as (insert into ledger_transactions select gen_random_uuid(), {payment_id}, 'refund', 'usd', now(), -5
                 returning id)
                 insert into ledger_entries select id, account, null, amount from new, (values ('provider', -4), ('platform', 4)) as
                 entries (account, amount)"
            ),
            "of the amount it names",
        ),
        (
            &format!("insert into ledger_transactions select gen_random_uuid(), {payment_id}, 'capture', 'usd', now(), 5"),
            "ledger_one_capture",
        ),
        ("update payments set captured_minor = 1001", "check constraint"),
        ("update payments set refunded_minor = 1001", "check constraint"),
    ] {
        let refusal = testing::refusal_of(store, statement).await;
        assert!(refusal.contains(reason), "{statement}: {refusal}");
    }
    assert_eq!(booked(store, id(&text(&payment["id"]))).await.len(), 2);
}
