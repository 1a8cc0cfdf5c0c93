//! Paying for sessions: authorised before, taken after.

use std::time::Duration;

use futures_util::FutureExt;
use humanchat_domain::{
    auth::Role,
    payments::open_differences,
    testing::{Flags, booked, jobs},
    users,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::till;
use crate::{
    scene::{at_once, count, id, text},
    support::{Person, api},
};

#[tokio::test]
async fn what_was_talked_is_taken_and_the_rest_let_go() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    let (session, payment) = till.authorised(&guest, &host).await;
    assert!(payment["capture_before"].is_string(), "{payment}");
    assert_eq!((&payment["kind"], &payment["session_id"]), (&json!("session"), &json!(session)));
    host.pay_session(&session, "capture").await.refused(409, "invalid_transition");
    till.talk(&session, [&guest, &host], 3).await.ok(200);
    assert_eq!(guest.payment(&payment).await["status"], "capturing");
    let asked = host.pay_session(&session, "capture").await.ok(202);
    assert_eq!(asked["payment"]["status"], "capturing", "the session's end asked for it");
    till.settle().await;
    let taken = guest.payment(&payment).await;
    assert_eq!((&taken["status"], &taken["amount_captured"]), (&json!("captured"), &json!(300)));
    assert_eq!(till.money().await, [[0, 300, 0, 1]]);
    let expected =
        [("provider", 300), ("platform", -30), ("payee", -270)].map(|(name, amount)| (name.to_owned(), amount));
    assert_eq!(booked(&till.api.store, id(&text(&payment["id"]))).await, expected);
    for person in [&guest, &host] {
        assert_eq!(person.told_of_payments().await, ["requires_payment", "authorized", "capturing", "captured"]);
    }
    let receipt = guest.get(&format!("/api/payments/{}/receipt", text(&payment["id"]))).await.ok(200);
    let receipt = &receipt["receipt"];
    assert_eq!((&receipt["lines"][0]["amount"], &receipt["total"]), (&json!(300), &json!(300)));
    assert!(receipt["talks"][0]["from"].is_string() && receipt["talks"][0]["to"].is_string(), "{receipt}");
    let done = guest.get(&format!("/api/sessions/{session}")).await.ok(200)["session"].clone();
    assert_eq!(done["payment_status"], "captured");
    assert_eq!(host.pay_session(&session, "capture").await.ok(202)["payment"], taken, "again");
    host.pay_session(&session, "cancel").await.refused(409, "invalid_transition");
    assert_eq!(till.seen("POST", "/capture").await.len(), 1);
}

#[tokio::test]
async fn each_side_does_its_part_and_others_see_nothing() {
    let till = till().await;
    let [guest, host, third] = till.people().await;
    let session = till.agreed(&guest, &host).await;
    host.pay_session(&session, "create").await.refused(403, "forbidden");
    for action in ["create", "capture", "cancel"] {
        third.pay_session(&session, action).await.refused(404, "resource_not_found");
        guest.pay_session("sess_01h455vb4pex5vsknk084sn02q", action).await.refused(404, "resource_not_found");
        guest.pay_session("nonsense", action).await.refused(404, "resource_not_found");
        let body = Some(json!({"sessionId": session, "action": action}));
        till.api.anonymous(Method::POST, "/api/payments/session", body).await.refused(401, "unauthenticated");
    }
    let opened = guest.pay_session(&session, "create").await.ok(201);
    assert!(text(&opened["clientSecret"]).contains("_secret_"), "{opened}");
    assert_eq!(guest.pay_session(&session, "create").await.ok(201), opened, "a session has one payment");
    for action in ["capture", "cancel"] {
        guest.pay_session(&session, action).await.refused(403, "forbidden");
    }
    for body in [
        json!({}),
        json!({"sessionId": session}),
        json!({"sessionId": session, "action": "steal"}),
        json!({"sessionId": session, "action": "create", "amount": 1}),
    ] {
        guest.post("/api/payments/session", body).await.refused(422, "validation_failed");
    }
    host.pay_session(&session, "cancel").await.ok(202);
    host.pay_session(&session, "cancel").await.ok(202);
    till.settle().await;
    assert_eq!(guest.payment(&opened["payment"]).await["status"], "voided");
    let anew = guest.pay_session(&session, "create").await.ok(201);
    assert_ne!(anew["payment"]["id"], opened["payment"]["id"]);
    let begin = json!({"status": "in_progress"});
    let path = format!("/api/sessions/{session}");
    host.patch(&path, begin).await.refused(409, "payment_required");
    guest.patch(&path, json!({"status": "cancelled"})).await.ok(200);
    till.settle().await;
    assert_eq!(guest.payment(&anew["payment"]).await["status"], "voided", "nobody authorised it");
    guest.pay_session(&session, "create").await.refused(409, "invalid_transition");
    let secret = text(&opened["clientSecret"]);
    for event in till.api.told(humanchat_domain::event::Channel::Sessions(id(&guest.id))).await {
        assert!(!event.to_string().contains(&secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_there_is_one_payment_and_one_capture() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    let session = till.agreed(&guest, &host).await;
    let answers = at_once((0..8).map(|_| guest.pay_session(&session, "create").boxed())).await;
    assert_eq!(count(&answers, 201), 8, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.text == answers[0].text));
    assert_eq!(till.state().await["intents"].as_array().unwrap().len(), 1);
    till.authorise(&answers[0].json()).await;
    till.settle().await;
    till.talk(&session, [&guest, &host], 4).await.ok(200);
    let answers = at_once((0..8).map(|_| host.pay_session(&session, "capture").boxed())).await;
    assert_eq!(count(&answers, 202), 8, "{answers:?}");
    till.settle().await;
    assert_eq!(till.money().await, [[0, 400, 0, 1]]);
    assert_eq!(jobs(&till.api.store, "make_payment_call").await.len(), 2, "to create and to capture");
}

#[tokio::test(flavor = "multi_thread")]
async fn capture_cancel_and_refund_at_once_end_in_one_state_that_adds_up() {
    for round in 0..4 {
        let till = till().await;
        let [guest, host, _] = till.people().await;
        let (session, payment) = till.authorised(&guest, &host).await;
        if round % 2 == 0 {
            till.talk(&session, [&guest, &host], 2).await.ok(200);
        }
        let deeds = (0..9).map(|number| match number % 3 {
            0 => host.pay_session(&session, "capture").boxed(),
            1 => host.pay_session(&session, "cancel").boxed(),
            _ => host.refund(&payment, json!({"amount": 100})).boxed(),
        });
        for answer in at_once(deeds).await {
            assert!([202, 409].contains(&answer.status.as_u16()), "{answer:?}");
        }
        till.settle().await;
        let now = guest.payment(&payment).await;
        let money = till.money().await;
        let ours = [now["amount_captured"].as_i64().unwrap(), now["amount_refunded"].as_i64().unwrap()];
        assert_eq!((money[0][0], [money[0][1], money[0][2]]), (0, ours), "{now}");
        assert!(["captured", "voided"].contains(&text(&now["status"]).as_str()), "{now}");
        let booked: i64 =
            booked(&till.api.store, id(&text(&payment["id"]))).await.iter().map(|(_, amount)| amount).sum();
        assert_eq!(booked, 0);
    }
}

/// What a host waives is not owed, however the talk goes on and whatever was tried before.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_waives_is_let_go_and_not_missed() {
    for is_capture_refused in [false, true] {
        let till = till().await;
        let [guest, host, _] = till.people().await;
        let (session, payment) = till.authorised(&guest, &host).await;
        if is_capture_refused {
            till.fault(json!({"method": "POST", "path": "/v1/payment_intents/*/capture", "effect": "refuse"})).await;
            till.talk(&session, [&guest, &host], 2).await.ok(200);
            till.settle().await;
            host.pay_session(&session, "cancel").await.ok(202);
        } else {
            host.patch(&format!("/api/sessions/{session}"), json!({"status": "in_progress"})).await.ok(200);
            host.pay_session(&session, "cancel").await.ok(202);
            host.pay_session(&session, "cancel").await.ok(202);
            host.patch(&format!("/api/sessions/{session}"), json!({"status": "complete"})).await.ok(200);
        }
        till.settle().await;
        assert_eq!(guest.payment(&payment).await["status"], "voided");
        assert_eq!(till.money().await, [[0, 0, 0, 0]]);
        assert!(open_differences(&till.api.store).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_free_session_is_not_paid_for() {
    let api = api().await;
    let people = api.arrive(&["guest", "host"]).await;
    people[0].pay_session("sess_01h455vb4pex5vsknk084sn02q", "create").await.refused(503, "service_unavailable");
    let till = till().await;
    let [guest, host, _] = till.people().await;
    let invite = guest.invite(&host).await;
    let session = host.answer(&invite, "accept").await.ok(200)["session"].clone();
    guest.pay_session(&text(&session["id"]), "create").await.refused(409, "invalid_transition");
    assert_eq!(till.seen("POST", "/v1/").await, Vec::<Value>::new());
}

/// A rate that is fine for half an hour, and too low for five minutes.
#[tokio::test]
async fn what_no_card_can_be_charged_is_refused_by_its_length() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    host.patch("/api/users/me", json!({"instantRatePerMinute": 0.05})).await.ok(200);
    let start = till.slot(40).to_rfc3339();
    for (path, field, body) in [
        ("/api/conversations/connect", "minutes", json!({"targetUserId": host.id, "minutes": 5})),
        (
            "/api/sessions",
            "durationMinutes",
            json!({"hostUserId": host.id, "startTime": start, "durationMinutes": 5, "price": 0.25}),
        ),
    ] {
        let details = guest.post(path, body).await.refused(422, "validation_failed");
        let reason = "cost 0.25 USD; a card can be charged 0.50 USD to 999999.99 USD";
        assert_eq!(details["fields"], json!({field: reason}));
    }
    let least = json!({"targetUserId": host.id, "minutes": 10});
    assert_eq!(guest.post("/api/conversations/connect", least).await.ok(201)["payment"]["amount"], 50);
}

#[tokio::test]
async fn nobody_pays_unless_a_human_answers() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    host.appear().await;
    let (session, payment) = till.authorised(&guest, &host).await;
    let again = guest.connect(&host).await.ok(200);
    assert_eq!((text(&again["session"]["id"]), &again["payment"]), (session.clone(), &payment), "it is the one");
    assert_eq!(again["session"]["payment_status"], "authorized");
    assert_eq!(till.money().await, [[3000, 0, 0, 0]]);
    till.advance(Duration::from_secs(61)).await;
    till.settle().await;
    let ended = guest.get(&format!("/api/sessions/{session}")).await.ok(200)["session"].clone();
    assert_eq!((&ended["status"], &ended["payment_status"]), (&json!("cancelled"), &json!("voided")));
    assert_eq!(till.money().await, [[0, 0, 0, 0]]);
    assert_eq!(guest.told_of_payments().await, ["requires_payment", "authorized", "voided"]);
}

#[tokio::test]
async fn a_card_that_comes_too_late_is_let_go() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    till.steer(Method::PUT, "/_sim/webhooks", json!({"paused": true})).await;
    let session = till.agreed(&guest, &host).await;
    let opened = guest.pay_session(&session, "create").await.ok(201);
    host.patch(&format!("/api/sessions/{session}"), json!({"status": "cancelled"})).await.ok(200);
    till.authorise(&opened).await;
    assert_eq!(till.money().await, [[3000, 0, 0, 0]]);
    till.steer(Method::PUT, "/_sim/webhooks", json!({})).await;
    till.settle().await;
    assert_eq!(till.money().await, [[0, 0, 0, 0]]);
    assert_eq!(guest.payment(&opened["payment"]).await["status"], "voided");
}

#[tokio::test]
async fn a_paid_booking_is_sure_once_it_is_authorised() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let booked = till.book(&guest, &host, till.slot(40)).await;
    assert_eq!(
        (&booked["payment"]["status"], &booked["payment"]["amount"]),
        (&json!("requires_payment"), &json!(3000))
    );
    assert!(booked["session"]["hold_expires_at"].is_string());
    let session = text(&booked["session"]["id"]);
    let opened = guest.pay_session(&session, "create").await.ok(201);
    assert_eq!(opened["payment"]["id"], booked["payment"]["id"]);
    till.authorise(&opened).await;
    till.settle().await;
    let path = format!("/api/sessions/{session}");
    let sure = guest.get(&path).await.ok(200)["session"].clone();
    assert_eq!((&sure["payment_status"], &sure["hold_expires_at"]), (&json!("authorized"), &json!(null)));
    guest.patch(&path, json!({"status": "cancelled"})).await.ok(200);
    till.settle().await;
    assert_eq!(till.money().await, [[0, 0, 0, 0]], "a day before, calling off costs nothing");
}

#[tokio::test]
async fn a_host_is_too_late_even_where_nobody_works() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    host.appear().await;
    let (session, payment) = till.authorised(&guest, &host).await;
    till.advance(Duration::from_mins(1)).await;
    let begin = json!({"status": "in_progress"});
    host.patch(&format!("/api/sessions/{session}"), begin).await.refused(409, "invalid_transition");
    let anew = guest.connect(&host).await.ok(201);
    assert_ne!(anew["session"]["id"], json!(session));
    assert_eq!(guest.session_now(&session).await["status"], "cancelled");
    till.settle().await;
    assert_eq!(guest.payment(&payment).await["status"], "voided");
}

#[tokio::test]
async fn who_pays_when_the_host_can_no_longer_begin_gets_it_back() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    host.appear().await;
    let session = till.agreed(&guest, &host).await;
    let opened = guest.pay_session(&session, "create").await.ok(201);
    till.advance(Duration::from_mins(1)).await;
    till.authorise(&opened).await;
    till.settle().await;
    let now = guest.session_now(&session).await;
    assert_eq!((&now["status"], &now["payment_status"]), (&json!("cancelled"), &json!("voided")));
    assert_eq!(till.money().await, [[0, 0, 0, 0]]);
}

#[tokio::test]
async fn a_pair_waits_for_one_session_whoever_asks_and_whatever_becomes_of_the_host() {
    let till = till().await;
    let [guest, host, third] = till.people().await;
    let session = till.agreed(&guest, &host).await;
    let same = async |from: &Person<'_>, to| {
        let found = from.connect(to).await.ok(200);
        assert_eq!((&found["flow"], &found["session"]["id"]), (&json!("session"), &json!(session)));
    };
    same(&host, &guest).await;
    host.set_flags(Flags { managed: true, ..Flags::default() }).await;
    same(&guest, &host).await;
    host.set_flags(Flags::default()).await;
    let invite = host.invite(&third).await;
    third.answer(&invite, "accept").await.ok(200);
    same(&guest, &host).await;
}

/// The guest who did not pay may be locked by whoever waits for the host: the end of the hold, say.
#[tokio::test]
async fn who_takes_a_slot_that_nobody_paid_for_waits_for_nobody_else() {
    let till = till().await;
    let [guest, host] = till.open_host().await;
    let other = till.api.arrive(&["other"]).await.remove(0).staying();
    let start = till.slot(3);
    let held = text(&till.book(&guest, &host, start).await["session"]["id"]);
    till.advance(Duration::from_mins(15)).await;
    let mut tx = till.api.store.begin(None).await.unwrap();
    users::set_role(&mut tx, id(&guest.id), Role::User).await.unwrap();
    till.book(&other, &host, start).await;
    drop(tx);
    assert_eq!(guest.session_now(&held).await["status"], "cancelled");
}
