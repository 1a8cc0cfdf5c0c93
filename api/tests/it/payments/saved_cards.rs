//! Bookings that are far away: a card is saved, and authorised when the session is near.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Till, faults::on, till};
use crate::{
    scene::{at_once, text},
    support::Person,
};

/// Cards that can be saved: <https://docs.stripe.com/testing>.
const DECLINED_LATER: &str = "4000000000000341";
const ASKS_EACH_TIME: &str = "4000002760003184";

/// Five days away, with a card that is saved: the session's id, and its payment.
async fn saved(till: &Till, guest: &Person<'_>, host: &Person<'_>, card: &str) -> (String, Value) {
    let booked = till.book(guest, host, till.slot(5 * 24)).await;
    let session = text(&booked["session"]["id"]);
    let opened = guest.pay_session(&session, "create").await.ok(201);
    assert!(text(&opened["clientSecret"]).starts_with("seti_"), "{opened}");
    till.pay_with(card, &opened).await;
    if card == ASKS_EACH_TIME {
        till.authenticate(&opened).await;
    }
    till.settle().await;
    let sure = guest.session_now(&session).await;
    assert_eq!((&sure["hold_expires_at"], &sure["status"]), (&json!(null), &json!("pending")));
    (session, opened["payment"].clone())
}

#[tokio::test]
async fn a_saved_card_is_authorised_two_days_before_and_taken_after() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let (session, payment) = saved(&till, &guest, &host, "4242424242424242").await;
    let start = till.slot(5 * 24);
    let due = start - TimeDelta::hours(48);
    assert_eq!(payment["authorize_at"], json!(humanchat_domain::text::Timestamp(due)));
    assert_eq!(payment["status"], "requires_payment");
    assert_eq!(till.money().await, Vec::<[i64; 4]>::new(), "nothing is held yet");
    for person in [&guest, &host] {
        assert_eq!(person.notified("session_booked").await.len(), 1);
    }
    host.patch(&format!("/api/sessions/{session}"), json!({"status": "in_progress"}))
        .await
        .refused(409, "payment_required");
    till.come_to(due - TimeDelta::seconds(1)).await;
    assert_eq!(guest.payment(&payment).await["status"], "requires_payment");
    till.come_to(due).await;
    let held = guest.payment(&payment).await;
    assert_eq!(held["status"], "authorized");
    assert!(held["capture_before"].is_string());
    assert_eq!(guest.session_now(&session).await["payment_status"], "authorized");
    assert_eq!(till.money().await, [[3000, 0, 0, 0]]);
    for person in [&guest, &host] {
        assert_eq!(person.notified("session_booked").await.len(), 1, "it was sure before");
    }
    assert_eq!(guest.notified("payment").await, ["30.00 USD is held on your card"]);
    till.come_to(start).await;
    till.talk(&session, [&guest, &host], 30).await.ok(200);
    till.settle().await;
    assert_eq!(till.money().await, [[0, 3000, 0, 1]]);
    assert_eq!(guest.notified("payment").await, ["30.00 USD is held on your card", "You paid 30.00 USD"]);
    assert_eq!(host.notified("payment").await, ["guest paid 30.00 USD"]);
}

#[tokio::test]
async fn a_payer_is_one_customer() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let mut sessions = Vec::new();
    for hours in [100, 120, 140, 160] {
        sessions.push(text(&till.book(&guest, &host, till.slot(hours)).await["session"]["id"]));
    }
    let opened = at_once(sessions.iter().map(|session| guest.pay_session(session, "create").boxed())).await;
    for answer in &opened {
        till.authorise(&answer.ok(201)).await;
    }
    till.settle().await;
    let state = till.state().await;
    let customers = state["customers"].as_array().unwrap();
    assert_eq!((customers.len(), &customers[0]["metadata"]["user_id"]), (1, &json!(guest.id)));
    assert_eq!((&customers[0]["email"], &customers[0]["name"]), (&json!(null), &json!(null)));
    let setups = state["setup_intents"].as_array().unwrap();
    assert_eq!(setups.len(), 4);
    assert!(setups.iter().all(|setup| setup["customer"] == customers[0]["id"] && setup["status"] == "succeeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_forgotten_with_their_cards_once_none_is_needed() {
    for trouble in [json!(null), json!({"effect": "reset_after"}), json!({"effect": "error_before"})] {
        let till = till().await;
        let [guest, host] = till.open_host().await;
        let policy = json!({"cancellationPolicy": {"fullRefundHours": 720, "halfRefundHours": 1}});
        host.patch("/api/users/me", policy).await.ok(200);
        let (_, payment) = saved(&till, &guest, &host, "4242424242424242").await;
        if trouble != json!(null) {
            till.fault(on(&trouble, "/v1/customers/*")).await;
        }
        guest.leaves().await;
        till.settle().await;
        assert_eq!(till.state().await["customers"].as_array().map(Vec::len), Some(1), "requests may be under way");
        for _ in 0..3 {
            till.advance(Duration::from_mins(6)).await;
            till.settle().await;
        }
        assert_eq!(till.money().await, [[0, 1500, 0, 1]], "the fee was taken");
        assert_eq!(host.payment(&payment).await["status"], "captured");
        assert_eq!(till.state().await["customers"], json!([]), "{trouble}");
        assert!(!till.seen("DELETE", "/v1/customers").await.is_empty());
    }
}

/// Somebody tidied up at the provider.
#[tokio::test]
async fn a_payer_whom_the_provider_lost_is_made_there_anew() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let (first, _) = saved(&till, &guest, &host, "4242424242424242").await;
    let lost = text(&till.state().await["customers"][0]["id"]);
    till.by_hand(Method::DELETE, &format!("/v1/customers/{lost}"), &[]).await;
    let second = text(&till.book(&guest, &host, till.slot(6 * 24)).await["session"]["id"]);
    guest.pay_session(&second, "create").await.refused(502, "upstream_failed");
    let again =
        guest.post_once("/api/payments/session", "again", json!({"sessionId": second, "action": "create"})).await;
    till.authorise(&again.ok(201)).await;
    till.settle().await;
    assert_eq!(guest.session_now(&second).await["hold_expires_at"], json!(null));
    assert_ne!(till.state().await["customers"][0]["id"], lost);
    assert_eq!(guest.session_now(&first).await["status"], "pending", "its card is asked for when it is near");
}

#[tokio::test]
async fn a_guest_whose_card_fails_can_pay_by_hand() {
    for card in [DECLINED_LATER, ASKS_EACH_TIME] {
        let till = till().await;
        let [guest, host] = till.open_host().await;
        let (session, payment) = saved(&till, &guest, &host, card).await;
        let start = till.slot(5 * 24);
        till.come_to(start - TimeDelta::hours(48)).await;
        assert_eq!(guest.payment(&payment).await["status"], "requires_payment", "{card}");
        let waiting = guest.session_now(&session).await;
        let until = humanchat_domain::text::Timestamp(start - TimeDelta::hours(24));
        assert_eq!((&waiting["status"], &waiting["hold_expires_at"]), (&json!("pending"), &json!(until)));
        assert_eq!(guest.notified("payment").await, ["Your card needs your attention"]);
        assert_eq!(host.notified("payment").await, ["guest has to pay again"]);
        let opened = guest.pay_session(&session, "create").await.ok(201);
        assert!(text(&opened["clientSecret"]).starts_with("pi_"), "{opened}");
        assert_eq!(opened["payment"]["id"], payment["id"]);
        till.authorise(&opened).await;
        till.settle().await;
        assert_eq!(guest.payment(&payment).await["status"], "authorized");
        assert_eq!(guest.session_now(&session).await["hold_expires_at"], json!(null));
        assert_eq!(guest.unread("payment").await, ["30.00 USD is held on your card"]);
        assert_eq!(host.unread("payment").await, ["guest has seen to the payment"]);
        till.come_to(start - TimeDelta::hours(23)).await;
        assert_eq!(guest.session_now(&session).await["status"], "pending", "it isn't called off");
        assert_eq!(till.money().await, [[3000, 0, 0, 0]]);
    }
}

#[tokio::test]
async fn what_is_not_paid_again_is_called_off_and_costs_nothing() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let (session, payment) = saved(&till, &guest, &host, DECLINED_LATER).await;
    let start = till.slot(5 * 24);
    till.come_to(start - TimeDelta::hours(48)).await;
    till.come_to(start - TimeDelta::hours(24)).await;
    let ended = guest.session_now(&session).await;
    assert_eq!((&ended["status"], &ended["ended_by"]), (&json!("cancelled"), &json!("system")));
    assert_eq!(guest.payment(&payment).await["status"], "voided");
    for person in [&guest, &host] {
        assert_eq!(person.notified("session_cancelled").await.len(), 1);
        assert_eq!(person.notified("payment").await.len(), 1);
        assert_eq!(person.unread("payment").await, Vec::<String>::new(), "there is nothing to pay for");
    }
    assert_eq!(till.money().await, [[0, 0, 0, 0]]);
    guest.pay_session(&session, "create").await.refused(409, "invalid_transition");
}

#[tokio::test]
async fn what_waits_to_be_paid_again_is_not_held_beyond_the_time_it_is_moved_to() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let (session, _) = saved(&till, &guest, &host, DECLINED_LATER).await;
    till.come_to(till.slot(5 * 24) - TimeDelta::hours(48)).await;
    let sooner = till.slot(2);
    host.patch(&format!("/api/sessions/{session}"), json!({"startTime": sooner.to_rfc3339()})).await.ok(200);
    let until = sooner + TimeDelta::minutes(15);
    let moved = guest.session_now(&session).await;
    assert_eq!(moved["hold_expires_at"], json!(humanchat_domain::text::Timestamp(until)));
    for person in [&guest, &host] {
        assert_eq!(person.notified("session_changed").await.len(), 1, "both know of its old time");
    }
    till.come_to(until).await;
    assert_eq!(guest.session_now(&session).await["status"], "cancelled");
}

#[tokio::test]
async fn a_card_that_is_not_saved_in_time_frees_the_slot() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let booked = till.book(&guest, &host, till.slot(120)).await;
    let session = text(&booked["session"]["id"]);
    let opened = guest.pay_session(&session, "create").await.ok(201);
    till.advance(Duration::from_mins(16)).await;
    till.settle().await;
    assert_eq!(guest.session_now(&session).await["status"], "cancelled");
    assert_eq!(guest.payment(&opened["payment"]).await["status"], "voided");
    till.authorise(&opened).await;
    till.settle().await;
    assert_eq!(guest.payment(&opened["payment"]).await["status"], "voided", "a card that comes too late");
    till.advance(Duration::from_hours(24 * 6)).await;
    till.settle().await;
    assert_eq!(till.money().await, Vec::<[i64; 4]>::new());
}

#[tokio::test]
async fn a_moved_session_moves_its_authorisation() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let (session, payment) = saved(&till, &guest, &host, "4242424242424242").await;
    let path = format!("/api/sessions/{session}");
    let (first, later) = (till.slot(5 * 24), till.slot(9 * 24));
    guest.patch(&path, json!({"startTime": later.to_rfc3339()})).await.ok(200);
    till.come_to(first - TimeDelta::hours(47)).await;
    assert_eq!(guest.payment(&payment).await["status"], "requires_payment");
    guest.patch(&path, json!({"startTime": till.slot(30).to_rfc3339()})).await.ok(200);
    till.settle().await;
    assert_eq!(guest.payment(&payment).await["status"], "authorized", "it is near: at once");
    assert_eq!(till.money().await, [[3000, 0, 0, 0]]);
}

#[tokio::test]
async fn a_host_who_waives_a_saved_card_has_the_guest_asked_again() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let (session, payment) = saved(&till, &guest, &host, "4242424242424242").await;
    let waived = host.pay_session(&session, "cancel").await.ok(202);
    assert_eq!(waived["payment"]["status"], "voided");
    assert!(guest.session_now(&session).await["hold_expires_at"].is_string());
    let again = guest.pay_session(&session, "create").await.ok(201);
    assert_ne!(again["payment"]["id"], payment["id"]);
    till.authorise(&again).await;
    till.settle().await;
    assert_eq!(guest.session_now(&session).await["hold_expires_at"], json!(null));
}

#[tokio::test]
async fn a_fee_is_taken_from_a_card_that_was_only_saved() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let policy = json!({"cancellationPolicy": {"fullRefundHours": 720, "halfRefundHours": 1}});
    host.patch("/api/users/me", policy).await.ok(200);
    let (session, payment) = saved(&till, &guest, &host, "4242424242424242").await;
    guest.patch(&format!("/api/sessions/{session}"), json!({"status": "cancelled"})).await.ok(200);
    till.settle().await;
    let taken = guest.payment(&payment).await;
    assert_eq!((&taken["status"], &taken["amount_captured"]), (&json!("captured"), &json!(1500)));
    assert_eq!(till.money().await, [[0, 1500, 0, 1]]);
}

#[tokio::test]
async fn a_fee_that_cannot_be_had_is_for_staff_to_know() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let policy = json!({"cancellationPolicy": {"fullRefundHours": 720, "halfRefundHours": 1}});
    host.patch("/api/users/me", policy).await.ok(200);
    let (session, payment) = saved(&till, &guest, &host, DECLINED_LATER).await;
    guest.patch(&format!("/api/sessions/{session}"), json!({"status": "cancelled"})).await.ok(200);
    till.settle().await;
    assert_eq!(guest.payment(&payment).await["status"], "voided");
    let open = humanchat_domain::payments::open_differences(&till.api.store).await.unwrap();
    assert_eq!((open.len(), open[0].kind.as_str()), (1, "owed_and_not_held"));
    assert_eq!(open[0].details["owed"], 1500);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_a_card_is_saved_and_authorised_once() {
    for trouble in super::faults::troubles() {
        let till = till().await;
        let [guest, host] = till.open_host().await;
        for path in ["/v1/customers", "/v1/setup_intents", "/v1/payment_intents"] {
            till.fault(on(&trouble, path)).await;
        }
        let start = till.slot(5 * 24);
        let session = text(&till.book(&guest, &host, start).await["session"]["id"]);
        let mut opened = guest.pay_session(&session, "create").await;
        for _ in 0..6 {
            if opened.status != 201 {
                opened = guest.pay_session(&session, "create").await;
            }
        }
        let opened = opened.ok(201);
        till.authorise(&opened).await;
        till.settle().await;
        till.come_to(start - TimeDelta::hours(48)).await;
        till.advance(Duration::from_secs(31)).await;
        till.settle().await;
        assert_eq!(guest.payment(&opened["payment"]).await["status"], "authorized", "{trouble}");
        assert_eq!(till.money().await, [[3000, 0, 0, 0]], "{trouble}");
        assert_eq!(till.state().await["customers"].as_array().unwrap().len(), 1, "{trouble}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calling_off_while_the_card_is_authorised_holds_nothing() {
    for delay in [0, 1, 5, 20] {
        let till = till().await;
        let [guest, host] = till.open_host().await;
        let (session, payment) = saved(&till, &guest, &host, "4242424242424242").await;
        till.advance(Duration::from_hours(73)).await;
        till.fault(json!({"method": "POST", "path": "/v1/payment_intents", "effect": "delay", "delay_ms": delay}))
            .await;
        let path = format!("/api/sessions/{session}");
        let cancel = async {
            guest.patch(&path, json!({"status": "cancelled"})).await.ok(200);
        };
        tokio::join!(till.settle(), cancel);
        till.settle().await;
        assert_eq!(guest.payment(&payment).await["status"], "voided");
        assert!(till.money().await.iter().all(|money| *money == [0, 0, 0, 0]));
        assert_eq!(guest.session_now(&session).await["payment_status"], "voided");
    }
}

#[tokio::test]
async fn what_no_webhook_told_is_found_out() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let booked = till.book(&guest, &host, till.slot(120)).await;
    let session = text(&booked["session"]["id"]);
    let opened = guest.pay_session(&session, "create").await.ok(201);
    till.hear().await;
    till.steer(Method::PUT, "/_sim/webhooks", json!({"drop": 2})).await;
    till.authorise(&opened).await;
    till.advance(Duration::from_mins(11)).await;
    humanchat_domain::payments::reconcile(&till.api.store).await.unwrap();
    till.settle().await;
    assert_eq!(guest.session_now(&session).await["hold_expires_at"], json!(null), "the card was saved");
}
