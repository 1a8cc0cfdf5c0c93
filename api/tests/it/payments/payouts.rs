//! Passing on what hosts earned: once, after a while, and back where the payer gets money back.

use std::time::Duration;

use futures_util::FutureExt;
use humanchat_domain::{
    payments,
    testing::{booked, owed_to},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Till,
    faults::{on, troubles},
    till,
};
use crate::{
    scene::{at_once, count, id, text},
    support::Person,
};

const PATH: &str = "/api/payments/account";
pub const WEEK: Duration = Duration::from_hours(7 * 24);

impl Till {
    /// The host tells the provider all it wants to know.
    pub async fn onboard(&self, host: &Person<'_>) {
        let opened = host.post(PATH, json!({})).await.ok(200);
        self.on_page(&text(&opened["onboardingUrl"]), &[("action", "pay")]).await;
        self.settle().await;
        assert_eq!(host.get(PATH).await.ok(200)["account"]["status"], "ready");
    }

    /// What was captured for half an hour, with this card.
    pub async fn earned(&self, guest: &Person<'_>, host: &Person<'_>, card: &str) -> Value {
        let session = self.agreed(guest, host).await;
        let opened = guest.pay_session(&session, "create").await.ok(201);
        self.pay_with(card, &opened).await;
        self.settle().await;
        self.talk(&session, [guest, host], 30).await.ok(200);
        self.settle().await;
        let payment = guest.payment(&opened["payment"]).await;
        assert_eq!(payment["amount_captured"], 3000, "{payment}");
        payment
    }

    /// Passes on what is due.
    pub async fn pay_hosts(&self) {
        payments::pay_hosts(&self.api.store).await.unwrap();
        self.settle().await;
    }

    /// The transfers at the provider: how much, and how much of it was taken back.
    pub async fn transfers(&self) -> Vec<[i64; 2]> {
        let state = self.state().await;
        let amounts = |transfer: &Value| ["amount", "amount_reversed"].map(|name| transfer[name].as_i64().unwrap());
        state["transfers"].as_array().unwrap().iter().map(amounts).collect()
    }

    /// What the kinds of open differences are.
    pub async fn differences(&self) -> Vec<String> {
        payments::open_differences(&self.api.store).await.unwrap().into_iter().map(|found| found.kind).collect()
    }

    /// Answers the one dispute there is.
    pub async fn answer_dispute(&self, evidence: &str) {
        let dispute = text(&self.state().await["disputes"][0]["id"]);
        let url = format!("{}/v1/disputes/{dispute}", self.base_url);
        let body = format!("evidence[uncategorized_text]={evidence}");
        let request = self.api.http.post(url).bearer_auth("sk_test_of_the_tests").body(body);
        let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        self.settle().await;
    }
}

const GOOD: &str = "4242424242424242";

pub async fn staying(till: &Till) -> [Person<'_>; 2] {
    let [guest, host, _] = till.people().await;
    [guest.staying(), host.staying()]
}

#[tokio::test]
async fn a_host_has_one_account_and_is_asked_by_the_provider() {
    let till = till().await;
    let [_, host] = staying(&till).await;
    till.api.anonymous(Method::GET, PATH, None).await.refused(401, "unauthenticated");
    till.api.anonymous(Method::POST, PATH, Some(json!({}))).await.refused(401, "unauthenticated");
    host.post(PATH, json!({"country": "DE"})).await.refused(422, "validation_failed");
    assert_eq!(host.get(PATH).await.ok(200)["account"]["status"], "none");
    let answers = at_once((0..6).map(|_| host.post(PATH, json!({})).boxed())).await;
    assert_eq!(count(&answers, 200), 6, "{answers:?}");
    let state = till.state().await;
    let accounts = state["accounts"].as_array().unwrap();
    assert_eq!((accounts.len(), &accounts[0]["metadata"]["user_id"]), (1, &json!(host.id)));
    let account = answers[0].json()["account"].clone();
    assert_eq!((&account["status"], &account["payouts_enabled"]), (&json!("incomplete"), &json!(false)));
    assert!(!account["requirements"].as_array().unwrap().is_empty(), "{account}");
    till.onboard(&host).await;
    let account = host.get(PATH).await.ok(200)["account"].clone();
    assert_eq!((&account["payouts_enabled"], &account["requirements"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn what_was_earned_is_passed_on_after_a_week_and_adds_up() {
    let till = till().await;
    let [guest, host] = staying(&till).await;
    till.onboard(&host).await;
    let payment = till.earned(&guest, &host, GOOD).await;
    till.pay_hosts().await;
    assert_eq!(till.transfers().await, Vec::<[i64; 2]>::new(), "its payer can still dispute it");
    assert_eq!(owed_to(&till.api.store, id(&host.id)).await, 2700);
    till.advance(WEEK).await;
    till.pay_hosts().await;
    till.pay_hosts().await;
    assert_eq!(till.transfers().await, [[2700, 0]]);
    assert_eq!(owed_to(&till.api.store, id(&host.id)).await, 0);
    let names = ["provider", "platform", "payee", "provider", "payee"];
    let entries = booked(&till.api.store, id(&text(&payment["id"]))).await;
    let expected: Vec<_> = names.into_iter().map(ToOwned::to_owned).zip([3000, -300, -2700, -2700, 2700]).collect();
    assert_eq!(entries, expected);
    assert_eq!(host.notified("payment").await, ["guest paid 30.00 USD", "27.00 USD is on its way to you"]);
    let transfer = till.state().await["transfers"][0].clone();
    let charge = till.state().await["charges"][0]["id"].clone();
    assert_eq!((&transfer["source_transaction"], &transfer["transfer_group"]), (&charge, &payment["id"]));

    host.refund(&payment, json!({"amount": 1000})).await.ok(202);
    till.settle().await;
    assert_eq!(till.transfers().await, [[2700, 900]], "the host's part of what was given back");
    host.refund(&payment, json!({})).await.ok(202);
    till.settle().await;
    assert_eq!(till.transfers().await, [[2700, 2700]]);
    assert_eq!(owed_to(&till.api.store, id(&host.id)).await, 0);
    assert_eq!(till.differences().await, Vec::<String>::new());
}

#[tokio::test]
async fn who_has_no_account_is_paid_once_they_have() {
    let till = till().await;
    let [guest, host] = staying(&till).await;
    till.earned(&guest, &host, GOOD).await;
    till.advance(2 * WEEK).await;
    till.pay_hosts().await;
    assert_eq!(till.transfers().await, Vec::<[i64; 2]>::new());
    till.onboard(&host).await;
    till.pay_hosts().await;
    assert_eq!(till.transfers().await, [[2700, 0]]);
}

#[tokio::test]
async fn gifts_and_charity_are_not_passed_on_to_hosts() {
    let till = till().await;
    let [guest, host] = staying(&till).await;
    till.onboard(&host).await;
    let gift = json!({"amount": 500, "recipientUserId": host.id});
    let opened = guest.post("/api/payments/donation", gift).await.ok(201);
    till.pay_checkout(&opened).await;
    till.settle().await;
    let charity = json!({"conversationType": "charity", "instantRatePerMinute": 1, "charityName": "Trees"});
    host.patch("/api/users/me", charity).await.ok(200);
    let session = text(&guest.connect(&host).await.ok(201)["session"]["id"]);
    let opened = guest.pay_session(&session, "create").await.ok(201);
    till.authorise(&opened).await;
    till.settle().await;
    till.talk(&session, [&guest, &host], 30).await.ok(200);
    till.settle().await;
    till.advance(2 * WEEK).await;
    till.pay_hosts().await;
    assert_eq!(till.transfers().await, Vec::<[i64; 2]>::new());
    assert_eq!(owed_to(&till.api.store, id(&host.id)).await, 3500, "the platform owes it to the cause");
}

#[tokio::test]
async fn what_is_disputed_is_held_back_until_it_is_won() {
    for (evidence, passed_on, left) in
        [("winning_evidence", vec![[2700, 0]], vec![]), ("losing_evidence", vec![], vec!["disputed"])]
    {
        let till = till().await;
        let [guest, host] = staying(&till).await;
        till.onboard(&host).await;
        till.earned(&guest, &host, "4000000000000259").await;
        assert_eq!(till.differences().await, ["disputed"]);
        till.advance(WEEK).await;
        till.pay_hosts().await;
        assert_eq!(till.transfers().await, Vec::<[i64; 2]>::new());
        till.answer_dispute(evidence).await;
        till.pay_hosts().await;
        assert_eq!(till.transfers().await, passed_on, "{evidence}");
        assert_eq!(till.differences().await, left, "{evidence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_on_and_giving_back_at_once_end_in_what_is_owed() {
    for round in 0..6 {
        let till = till().await;
        let [guest, host] = staying(&till).await;
        till.onboard(&host).await;
        let payment = till.earned(&guest, &host, GOOD).await;
        till.advance(WEEK).await;
        let path = ["/v1/transfers", "/v1/refunds"][round % 2];
        till.fault(json!({"method": "POST", "path": path, "effect": "delay", "delay_ms": 10 * round})).await;
        let give_back = async { host.refund(&payment, json!({"amount": 1000})).await };
        let (refund, ()) = tokio::join!(give_back, till.pay_hosts());
        till.settle().await;
        till.pay_hosts().await;
        let owed = if refund.status == 202 {
            1800
        } else {
            refund.refused(409, "invalid_transition");
            2700
        };
        let passed_on: i64 = till.transfers().await.iter().map(|[amount, back]| amount - back).sum();
        assert_eq!(passed_on, owed, "round {round}");
        assert_eq!(owed_to(&till.api.store, id(&host.id)).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_it_is_passed_on_and_taken_back_once() {
    for trouble in troubles() {
        let till = till().await;
        let [guest, host] = staying(&till).await;
        till.fault(on(&trouble, "/v1/accounts")).await;
        let mut opened = host.post(PATH, json!({})).await;
        for _ in 0..3 {
            if opened.status != 200 {
                opened.refused(504, "upstream_timeout");
                opened = host.post(PATH, json!({})).await;
            }
        }
        till.onboard(&host).await;
        assert_eq!(till.state().await["accounts"].as_array().unwrap().len(), 1, "{trouble}");
        let payment = till.earned(&guest, &host, GOOD).await;
        till.advance(WEEK).await;
        till.fault(on(&trouble, "/v1/transfers")).await;
        till.pay_hosts().await;
        till.advance(Duration::from_secs(31)).await;
        till.settle().await;
        assert_eq!(till.transfers().await, [[2700, 0]], "{trouble}");
        till.fault(on(&trouble, "/v1/transfers/*/reversals")).await;
        host.refund(&payment, json!({"amount": 1000})).await.ok(202);
        till.settle().await;
        till.advance(Duration::from_secs(31)).await;
        till.settle().await;
        assert_eq!(till.transfers().await, [[2700, 900]], "{trouble}");
        assert_eq!(owed_to(&till.api.store, id(&host.id)).await, 0, "{trouble}");
    }
}

#[tokio::test]
async fn what_the_provider_refuses_to_pass_on_waits_for_staff() {
    let till = till().await;
    let [guest, host] = staying(&till).await;
    till.onboard(&host).await;
    let payment = till.earned(&guest, &host, GOOD).await;
    // Money went back that our books don't know of yet, so that less can be passed on than is owed.
    till.steer(Method::PUT, "/_sim/webhooks", json!({"paused": true})).await;
    till.advance(WEEK).await;
    let account = till.state().await["accounts"][0]["id"].clone();
    let charge = till.state().await["charges"][0]["id"].clone();
    let url = format!("{}/v1/transfers", till.base_url);
    let body = format!("amount=2000&currency=usd&destination={}&source_transaction={}", text(&account), text(&charge));
    let by_hand = till.api.http.post(url).bearer_auth("sk_test_by_hand").body(body);
    let by_hand = by_hand.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert!(by_hand.status().is_success());
    payments::pay_hosts(&till.api.store).await.unwrap();
    till.api.work().await;
    assert_eq!(till.differences().await, ["payout_refused"]);
    payments::pay_hosts(&till.api.store).await.unwrap();
    till.api.work().await;
    assert_eq!(till.seen("POST", "/v1/transfers").await.len(), 2, "it is tried again the next day");
    assert_eq!(guest.payment(&payment).await["status"], "captured");
}
