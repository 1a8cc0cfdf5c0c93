//! What is in the books: lists and totals of them, and where the provider's differ.

use std::time::Duration;

use chrono::Timelike;
use humanchat_domain::{
    auth::Role,
    payments::{open_differences, reconcile},
    testing::heard,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Till, till};
use crate::{
    scene::{strings, text},
    support::Person,
};

const GIVE: &str = "/api/payments/donation";

impl Till {
    /// A donation that was paid.
    pub async fn given(&self, giver: &Person<'_>, body: Value) -> Value {
        let opened = giver.post(GIVE, body).await.ok(201);
        self.pay_checkout(&opened).await;
        self.settle().await;
        giver.payment(&opened["payment"]).await
    }
}

#[tokio::test]
async fn staff_find_payments_by_whose_what_for_and_how_far() {
    let till = till().await;
    let [guest, host, staff] = till.people().await;
    staff.becomes(Role::Manager).await;
    let (session, paid) = till.authorised(&guest, &host).await;
    let gift = till.given(&guest, json!({"amount": 500})).await;
    let open = host.post(GIVE, json!({"amount": 700, "sessionId": session})).await.ok(201)["payment"].clone();
    let [paid, gift, open] = [&paid, &gift, &open].map(|payment| text(&payment["id"]));
    let list = async |query: &str| {
        let body = staff.get(&format!("/api/admin/payments?{query}")).await.ok(200);
        strings(&body["payments"], "id")
    };
    for (query, found) in [
        ("", vec![&open, &gift, &paid]),
        ("status=captured", vec![&gift]),
        ("status=voided", vec![]),
        ("kind=donation", vec![&open, &gift]),
        ("kind=donation&status=requires_payment", vec![&open]),
        (&format!("userId={}", host.id), vec![&open, &paid]),
        (&format!("userId={}&kind=session", host.id), vec![&paid]),
        (&format!("sessionId={session}"), vec![&open, &paid]),
        (&format!("sessionId={session}&userId={}", staff.id), vec![]),
        ("userId=nonsense", vec![]),
        ("sessionId=sess_01h455vb4pex5vsknk084sn02q", vec![]),
    ] {
        assert_eq!(list(query).await.iter().collect::<Vec<_>>(), found, "{query}");
    }
    let walked = staff
        .walk("/api/admin/payments?limit=1", "payments", async |page| {
            if page == 0 {
                guest.post(GIVE, json!({"amount": 900})).await.ok(201);
            }
        })
        .await;
    assert_eq!(
        walked.iter().map(|payment| text(&payment["id"])).collect::<Vec<_>>(),
        [&open, &gift, &paid].map(Clone::clone)
    );
    assert_eq!(walked[1], guest.payment(&walked[1]).await, "as its payer sees it");
    let cursor = staff.get("/api/admin/payments?limit=1").await.ok(200)["nextCursor"].clone();
    for query in
        ["status=lost", "kind=theft", "limit=0", "cursor=x", &format!("kind=donation&cursor={}", text(&cursor))]
    {
        staff.get(&format!("/api/admin/payments?{query}")).await.refused(400, "malformed_request");
    }
}

#[tokio::test]
async fn what_came_in_is_counted_on_its_day_net_of_what_went_back() {
    let till = till().await;
    let [guest, host, staff] = till.people().await.map(Person::staying);
    staff.becomes(Role::Admin).await;
    let day = Duration::from_hours(24);
    let revenue = async |days: u32| {
        let metrics = staff.get(&format!("/api/admin/metrics?days={days}")).await.ok(200);
        let of = |name: &str| metrics["revenue"][name].clone();
        let spark: Vec<_> = metrics["sparkline"].as_array().unwrap().iter().map(|day| day["revenue"].clone()).collect();
        assert_eq!(of("currency"), "usd");
        (json!([of("today"), of("last7Days"), of("last30Days"), of("donations30d")]), json!(spark))
    };
    // From noon to noon, lest midnight come in between.
    let since_midnight = Duration::from_secs(till.api.store.clock().now().num_seconds_from_midnight().into());
    till.advance((day + day / 2).saturating_sub(since_midnight)).await;
    assert_eq!(revenue(2).await, (json!([0, 0, 0, 0]), json!([0, 0])));
    let (session, _) = till.authorised(&guest, &host).await;
    till.talk(&session, [&guest, &host], 3).await.ok(200);
    till.settle().await;
    let gift = till.given(&guest, json!({"amount": 1050, "recipientUserId": host.id})).await;
    till.given(&guest, json!({"amount": 900, "currency": "eur"})).await;
    assert_eq!(revenue(2).await, (json!([13.5, 13.5, 13.5, 10.5]), json!([0, 13.5])));
    till.advance(day * 6).await;
    host.refund(&gift, json!({"amount": 250})).await.ok(202);
    till.settle().await;
    assert_eq!(revenue(8).await, (json!([-2.5, 11, 11, 8]), json!([0, 13.5, 0, 0, 0, 0, 0, -2.5])));
    till.advance(day).await;
    assert_eq!(revenue(1).await, (json!([0, -2.5, 11, 8]), json!([0])));
    till.advance(day * 29).await;
    let (totals, spark) = revenue(90).await;
    assert_eq!(totals, json!([0, 0, 0, 0]));
    assert_eq!(spark.as_array().unwrap().iter().filter(|day| **day != 0).count(), 2);
}

#[tokio::test]
async fn everybody_sees_what_was_donated() {
    let till = till().await;
    let [guest, host, third] = till.people().await;
    host.patch("/api/users/me", json!({"conversationType": "charity", "charityName": "Bees"})).await.ok(200);
    let total = async |query: &str| third.get(&format!("/api/payments/donation/total{query}")).await.ok(200);
    assert_eq!(total("").await, json!({"recipientUserId": null, "charityName": null, "totals": []}));
    let first =
        till.given(&guest, json!({"amount": 1000, "recipientUserId": host.id, "message": "For the bees"})).await;
    till.given(&guest, json!({"amount": 300})).await;
    till.given(&guest, json!({"amount": 400, "currency": "jpy", "recipientUserId": host.id})).await;
    guest.post(GIVE, json!({"amount": 5000})).await.ok(201);
    host.refund(&first, json!({"amount": 250})).await.ok(202);
    till.settle().await;
    let of = |currency: &str, amount: i64, own: i64| json!({"currency": currency, "amount": amount, "amount_to_platform": own});
    assert_eq!(total("").await["totals"], json!([of("jpy", 400, 0), of("usd", 1050, 300)]));
    let theirs = total(&format!("?recipientUserId={}", host.id)).await;
    assert_eq!(
        theirs,
        json!({"recipientUserId": host.id, "charityName": "Bees", "totals": [of("jpy", 400, 0), of("usd", 750, 0)]})
    );
    assert_eq!(total(&format!("?recipientUserId={}", guest.id)).await["totals"], json!([]));
    for nobody in ["nonsense", "user_01h455vb4pex5vsknk084sn02q"] {
        let path = format!("/api/payments/donation/total?recipientUserId={nobody}");
        third.get(&path).await.refused(404, "resource_not_found");
    }
    till.api.anonymous(Method::GET, "/api/payments/donation/total", None).await.refused(401, "unauthenticated");

    // The receipt says what it was for then.
    host.patch("/api/users/me", json!({"charityName": "Wasps"})).await.ok(200);
    let path = format!("/api/payments/{}/receipt", text(&first["id"]));
    let receipt = guest.get(&path).await.ok(200)["receipt"].clone();
    for (field, value) in [
        ("payment_id", first["id"].clone()),
        ("kind", json!("donation")),
        ("charity_name", json!("Bees")),
        ("message", json!("For the bees")),
        ("goods_or_services", json!(false)),
        ("total", json!(750)),
        ("currency", json!("usd")),
        ("talks", json!([])),
    ] {
        assert_eq!(receipt[field], value, "{field}");
    }
    assert!(receipt["paid_at"].is_string() && receipt["payer_name"].is_string() && receipt["payee_name"].is_string());
}

#[tokio::test]
async fn a_hold_for_nothing_is_noted_until_it_is_let_go() {
    let till = till().await;
    let intent = [
        ("amount", "500"),
        ("currency", "usd"),
        ("capture_method", "manual"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("metadata[payment_id]", "pay_01h455vb4pex5vsknk084sn02q"),
    ];
    let intent = text(&till.by_hand(Method::POST, "/v1/payment_intents", &intent).await["id"]);
    let look = async || {
        reconcile(&till.api.store).await.unwrap();
        till.settle().await;
        open_differences(&till.api.store).await.unwrap()
    };
    for _ in 0..2 {
        let noted = look().await;
        assert_eq!(noted.len(), 1, "{noted:?}");
        assert_eq!(
            (noted[0].kind.as_str(), &noted[0].object_id, noted[0].payment_id),
            ("held_for_nothing", &intent, None)
        );
    }
    till.by_hand(Method::POST, &format!("/v1/payment_intents/{intent}/cancel"), &[]).await;
    assert!(look().await.is_empty());
}

#[tokio::test]
async fn however_many_events_were_missed_all_are_taken() {
    let till = till().await;
    till.steer(Method::PUT, "/_sim/webhooks", json!({"drop": 105})).await;
    for _ in 0..105 {
        till.by_hand(Method::POST, "/v1/payment_intents", &[("amount", "500"), ("currency", "usd")]).await;
    }
    reconcile(&till.api.store).await.unwrap();
    assert_eq!(heard(&till.api.store).await.len(), 105, "more than a page of the provider's list");
}
