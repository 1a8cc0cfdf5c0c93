//! Turning an invite into something else, at the same moment as others decide about it.

use std::time::Duration;

use futures_util::FutureExt;
use humanchat_domain::{
    clock::Clock,
    testing::{TestDatabase, noon},
};
use serde_json::{Value, json};

use crate::{
    booking::TEN,
    invites::three,
    scene::{at_once, count, text},
    support::{Person, api, api_on},
};

fn booking() -> Value {
    json!({"to": "booking", "startTime": TEN, "durationMinutes": 30, "price": 0})
}

/// How many requests somebody has sent that wait.
async fn waiting(person: &Person<'_>) -> usize {
    let sent = person.get("/api/requests?role=requester&limit=100").await.ok(200);
    sent["requests"].as_array().unwrap().iter().filter(|request| request["status"] == "pending").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_is_accepted_or_converted_and_never_both() {
    let settings = [("INVITE_TTL_OFFLINE_SECS", "1")];
    let api = api_on(&TestDatabase::create().await, Clock::manual(noon()), &settings).await;
    let [guest, host, _] = &three(&api).await;
    let mut accepted = 0;
    for round in 0..16 {
        let invite = &guest.invite(host).await;
        let convert = async { guest.convert(invite, json!({"to": "request"})).await }.boxed();
        let accept = async { host.answer(invite, "accept").await }.boxed();
        let expire = async {
            if round % 2 == 0 {
                api.advance(Duration::from_secs(1));
                api.work_but_mail().await;
            }
            host.get("/api/conversations/invites/pending").await
        };
        let mut deeds = vec![convert, accept, expire.boxed()];
        deeds.rotate_left(round % 3);
        let mut answers = at_once(deeds).await;
        answers.rotate_right(round % 3);
        let [converted, taken, _] = &answers[..] else { panic!("three answers") };
        if taken.status == 200 {
            converted.refused(409, "invite_resolved");
            assert_eq!(waiting(guest).await, 0, "round {round}");
            accepted += 1;
            let session = text(&taken.json()["session"]["id"]);
            host.patch(&format!("/api/sessions/{session}"), json!({"status": "complete"})).await.ok(200);
        } else {
            let request = converted.ok(201)["request"].clone();
            assert!(["invite_resolved", "invite_expired"].contains(&taken.code().as_str()), "{taken:?}");
            assert_eq!(waiting(guest).await, 1, "round {round}");
            assert!(!host.is_busy().await);
            let path = format!("/api/requests/{}/status", text(&request["id"]));
            host.patch(&path, json!({"status": "declined"})).await.ok(200);
        }
        let told = guest.told_about(invite).await;
        assert_eq!((told.len(), told[0].as_str()), (2, "pending"), "one outcome: {told:?}");
    }
    assert!(accepted < 16, "it was never converted");
}

#[tokio::test]
async fn a_booking_that_is_not_to_be_had_leaves_the_invite_as_it_was() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    host.keeps_open().await;
    let invite = guest.invite(&host).await;
    third.booked(&host, TEN).await;
    guest.convert(&invite, booking()).await.refused(409, "slot_unavailable");
    guest.convert(&invite, json!({"to": "booking", "startTime": TEN})).await.refused(422, "validation_failed");
    let late = json!({"to": "booking", "startTime": "2026-11-17T11:00:00Z", "durationMinutes": 30, "price": 5});
    guest.convert(&invite, late).await.refused(409, "price_changed");
    assert_eq!(guest.told_about(&invite).await, ["pending"]);
    host.answer(&invite, "accept").await.ok(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_convert_into_the_same_slot_one_has_it() {
    let api = api().await;
    let [guest, host, third] = &three(&api).await;
    host.keeps_open().await;
    let pairs = [(guest, guest.invite(host).await), (third, third.invite(host).await)];
    let deeds = pairs.iter().map(|(person, invite)| Box::pin(person.convert(invite, booking())) as _);
    let answers = at_once(deeds).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 1), "{answers:?}");
    for ((person, invite), answer) in pairs.iter().zip(&answers) {
        if answer.status == 201 {
            let session = &answer.json()["session"];
            assert_eq!((&session["status"], &session["start_time"]), (&json!("pending"), &json!(TEN)));
            let again = person.convert(invite, booking()).await.ok(200);
            assert_eq!(again["session"], *session, "once");
            host.answer(invite, "accept").await.refused(409, "invite_resolved");
        } else {
            answer.refused(409, "slot_unavailable");
            assert_eq!(person.told_about(invite).await, ["pending"]);
            person.convert(invite, json!({"to": "request"})).await.ok(201);
        }
    }
}
