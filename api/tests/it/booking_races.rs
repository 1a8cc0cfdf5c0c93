//! Steps that meet at the same moment: one wins, and the other learns so.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;

use crate::{
    booking::staying,
    scene::{at_once, count, text},
    support::api,
};

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_and_who_calls_off_do_not_both_succeed() {
    let api = api().await;
    let [guest, host, _] = staying(&api).await;
    host.keeps_open().await;
    for hour in 10..18 {
        let session = guest.booked(&host, &format!("2026-11-17T{hour}:00:00Z")).await;
        guest.say(&text(&session["conversation_id"]), "I am here").await.ok(201);
        let begin = host.moves(&session, "in_progress").boxed();
        let call_off = guest.moves(&session, "cancelled").boxed();
        let answers = at_once([begin, call_off]).await;
        assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 1), "{answers:?}");
        let now = guest.session(&session).await;
        let won = if answers[0].status == 200 { "in_progress" } else { "cancelled" };
        assert_eq!(now["status"], won);
        if won == "in_progress" {
            host.moves(&session, "complete").await.ok(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_and_the_end_of_its_hold_have_one_outcome() {
    let api = api().await;
    let [guest, host, third] = staying(&api).await;
    host.keeps_open().await;
    host.change(json!({"conversationType": "paid", "scheduledRates": {"30": 50}})).await;
    for day in 18..24 {
        let slot = format!("2026-11-{day}T10:00:00Z");
        let session = guest.book(&host, &slot, json!(50)).await.ok(201)["session"].clone();
        api.advance(Duration::from_mins(15));
        // Whoever books the slot now frees it first, unless it has been paid for.
        let pay = async {
            api.pays(&session).await;
            None
        };
        let book = async { Some(third.book(&host, &slot, json!(50)).await) };
        let outcomes = at_once([pay.boxed(), book.boxed()]).await;
        let booked = outcomes[1].as_ref().unwrap();
        let first = guest.session(&session).await;
        if booked.status == 201 {
            assert_eq!((&first["status"], &first["payment_status"]), (&json!("cancelled"), &json!("requires_payment")));
            third.moves(&booked.json()["session"], "cancelled").await.ok(200);
        } else {
            booked.refused(409, "slot_unavailable");
            assert_eq!((&first["status"], &first["payment_status"]), (&json!("pending"), &json!("authorized")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_talk_at_once_and_a_booking_share_one_timeline() {
    let api = api().await;
    let [guest, host, third] = staying(&api).await;
    host.keeps_open().await;
    for _ in 0..6 {
        let invite = guest.invite(&host).await;
        let accept = host.answer(&invite, "accept").boxed();
        // It is noon, and half an hour from now on is what an instant session takes.
        let book = third.book(&host, "2026-11-16T12:00:00Z", json!(0)).boxed();
        let answers = at_once([accept, book]).await;
        assert_eq!((count(&answers, 200) + count(&answers, 201), count(&answers, 409)), (1, 1), "{answers:?}");
        let won = answers.iter().find(|answer| answer.status.is_success()).unwrap().json()["session"].clone();
        if won["type"] == "instant" {
            host.moves(&won, "complete").await.ok(200);
        } else {
            third.moves(&won, "cancelled").await.ok(200);
            guest.answer(&invite, "cancel").await.ok(200);
        }
    }
}
