//! Leaving in the middle of things, and at the same moment as others.

use std::time::Duration;

use futures_util::FutureExt;
use humanchat_domain::{
    auth::Role,
    clock::Clock,
    erasure,
    testing::{TestDatabase, noon, sign_in_many},
};
use humanchat_worker::testing::{Outcome, drain};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    booking::TEN,
    invites::three,
    payments::till,
    scene::{at_once, count, eventually, id},
    support::{Person, api, api_on},
};

/// When nothing of somebody's who left is under way any more.
const SETTLED: Duration = Duration::from_mins(5);

#[tokio::test]
async fn what_another_process_still_let_in_does_not_last() {
    let database = TestDatabase::create().await;
    let clock = Clock::manual(noon());
    let apis = [api_on(&database, clock.clone(), &[]).await, api_on(&database, clock, &[]).await];
    let [guest, host, third] = three(&apis[0]).await;
    let far = host.at(&apis[1]);
    let mut socket = far.socket("/ws").await;
    guest.keeps_open().await;
    far.get("/api/auth/me").await.ok(200);
    assert_eq!(host.leaves().await.status, 204);
    // Whatever of this comes through: it was let in before that process heard of the end.
    far.patch("/api/users/me", json!({"name": "Back again", "bio": "Bees"})).await;
    far.put("/api/availability", json!({"timezone": "UTC", "weekly": []})).await;
    far.book(&guest, TEN, json!(0)).await;
    far.connect(&third).await;
    far.put("/api/users/me/presence", json!({"state": "active"})).await;
    apis[0].work().await;
    let shut_out = async {
        assert_eq!(socket.closed().await, Some(4003));
        eventually("the token ends", async || (far.get("/api/auth/me").await.status == 401).then_some(())).await;
    };
    tokio::time::timeout(Duration::from_secs(5), shut_out).await.expect("within five seconds");
    apis[0].advance(SETTLED);
    assert!(apis[0].work().await.contains(&"erase_user"));
    let seen = guest.see(&host).await;
    assert_eq!((&seen["name"], &seen["bio"], &seen["is_online"]), (&json!("Deleted user"), &json!(""), &json!(false)));
    let open = guest.get("/api/sessions?status=pending").await.ok(200);
    assert_eq!(open["sessions"], json!([]), "what they booked is called off");
    assert_eq!(third.pending().await, Vec::<String>::new());
    assert_eq!(drain(&apis[0].store).await, [], "and it ends there");
}

#[tokio::test]
async fn more_than_fits_into_one_transaction_is_ended_by_the_job() {
    let api = api().await;
    let [_, host, _] = three(&api).await;
    host.appear().await;
    let guests = sign_in_many(&api.store, 130).await;
    for guest in &guests {
        Person::signed_in(&api, guest).ask(&host, "Hello?").await.ok(201);
    }
    assert_eq!(host.leaves().await.status, 204);
    // A worker that died behind the first steps.
    for _ in 0..2 {
        let mut tx = api.store.begin(None).await.unwrap();
        assert!(erasure::remove_some(&mut tx, id(&host.id)).await.unwrap());
        tx.commit().await.unwrap();
    }
    assert!(api.work_but_mail().await.contains(&"erase_user"));
    api.advance(SETTLED);
    assert!(api.work_but_mail().await.contains(&"erase_user"));
    for guest in guests.iter().step_by(43) {
        let sent = Person::signed_in(&api, guest).get("/api/requests?role=requester").await.ok(200);
        assert_eq!(sent["requests"][0]["status"], "declined");
        let told = Person::signed_in(&api, guest).get("/api/notifications").await.ok(200);
        assert_eq!(told["notifications"][0]["title"], "About somebody who has left");
    }
}

#[tokio::test]
async fn of_admins_who_leave_at_the_same_moment_one_stays() {
    let api = api().await;
    for round in 0..4 {
        let names = ["first", "second", "third"].map(|name| format!("{name}{round}"));
        let people = api.arrive(&names.each_ref().map(String::as_str)).await;
        let [first, second, third] = &people[..] else { panic!("three people") };
        for admin in [first, second] {
            admin.becomes(Role::Admin).await;
        }
        // Promoting somebody who leaves meanwhile counts for nothing either.
        let promote = async { first.decides_about(third, json!({"role": "admin"})).await }.boxed();
        let leave = [first, second, third].map(|person| person.leaves().boxed());
        let answers = at_once(leave.into_iter().chain([promote])).await;
        let admins = [first, second, third];
        let mut left = Vec::new();
        for (person, answer) in admins.into_iter().zip(&answers) {
            match answer.status.as_u16() {
                204 => {}
                409 => {
                    answer.refused(409, "last_admin");
                    left.push(person);
                }
                _ => panic!("{answer:?}"),
            }
        }
        assert_eq!(left.len(), 1, "{answers:?}");
        left[0].leaves().await.refused(409, "last_admin");
        left[0].becomes(Role::User).await;
        api.work().await;
    }
}

#[tokio::test]
async fn who_leaves_a_booking_lets_go_of_its_money() {
    let till = till().await;
    let [guest, host, third] = till.people().await;
    let (_, payment) = till.authorised(&guest, &host).await;
    assert_eq!(guest.leaves().await.status, 204);
    till.settle().await;
    assert_eq!(host.payment(&payment).await["status"], "voided");
    let (session, payment) = till.authorised(&third, &host).await;
    assert_eq!(host.leaves().await.status, 204);
    till.settle().await;
    assert_eq!(third.payment(&payment).await["status"], "voided");
    let session = third.get(&format!("/api/sessions/{session}")).await.ok(200)["session"].clone();
    assert_eq!((&session["status"], &session["ended_by"]), (&json!("cancelled"), &json!("host")));
    assert!(till.money().await.iter().all(|money| *money == [0, 0, 0, 0]), "{:?}", till.money().await);
}

#[tokio::test]
async fn who_leaves_a_talk_pays_for_it() {
    let till = till().await;
    let [guest, host, _] = till.people().await;
    let (session, payment) = till.authorised(&guest, &host).await;
    let _sockets = (guest.socket("/ws").await, host.socket("/ws").await);
    crate::attendance::settled(&till.api, 2).await;
    host.patch(&format!("/api/sessions/{session}"), json!({"status": "in_progress"})).await.ok(200);
    till.advance(Duration::from_mins(3)).await;
    assert_eq!(guest.leaves().await.status, 204);
    till.settle().await;
    let taken = host.payment(&payment).await;
    assert_eq!((&taken["status"], &taken["amount_captured"]), (&json!("captured"), &json!(300)));
    assert_eq!(till.money().await, [[0, 300, 0, 1]]);
    assert!(!host.is_busy().await);
    till.advance(SETTLED).await;
    till.settle().await;
    assert_eq!(host.payment(&payment).await, taken, "books are kept");
}

#[tokio::test]
async fn leaving_twice_at_the_same_moment_is_leaving_once() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    let invite = host.invite(&guest).await;
    let answers = at_once((0..4).map(|_| Box::pin(host.leaves()) as _)).await;
    assert_eq!((count(&answers, 204), count(&answers, 401)), (1, 3), "{answers:?}");
    assert_eq!(guest.told_about(&invite).await, ["pending", "cancelled"]);
    api.advance(Duration::from_secs(1));
    let done = drain(&api.store).await;
    let erasures: Vec<_> = done.iter().filter(|(kind, _)| *kind == "erase_user").collect();
    assert_eq!(erasures, [&("erase_user", Outcome::Snoozed)], "once, and it comes again");
    let link = json!({"email": host.email});
    api.anonymous(Method::POST, "/api/auth/magic-link", Some(link)).await.ok(202);
    assert_eq!(guest.see(&host).await["manager_id"], Value::Null);
}
