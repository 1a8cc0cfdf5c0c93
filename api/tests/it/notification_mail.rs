//! Notifications by mail: wanted, still true, not in quiet hours, and once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use humanchat_domain::{
    clock::Clock,
    mail::{self, KeptMail},
    notifications::{self, Notice, NotificationKind},
    testing::{self, TestDatabase, noon},
};
use serde_json::{Value, json};

use crate::{
    scene::{id, strings, text},
    support::{Api, Person, api, api_on},
};

const PREFERENCES: &str = "/api/notifications/preferences";

impl Person<'_> {
    async fn prefers(&self, body: Value) -> Value {
        self.put(PREFERENCES, body).await.ok(200)
    }

    /// Mail to this person, newest first.
    async fn mails(&self) -> Vec<KeptMail> {
        mail::kept(&self.api.store, Some(&self.email)).await.unwrap()
    }

    async fn subjects(&self) -> Vec<String> {
        self.mails().await.into_iter().map(|mail| mail.subject).collect()
    }

    async fn is_notified(&self, kind: NotificationKind, key: &str, data: Value) -> bool {
        let mut tx = self.api.store.begin(None).await.unwrap();
        let (title, body) = (format!("About {key}"), "There is news.".to_owned());
        let notice = Notice { user_id: id(&self.id), kind, key: key.to_owned(), title, body, data };
        let is_new = notifications::notify(&mut tx, notice).await.unwrap();
        tx.commit().await.unwrap();
        is_new
    }

    /// A notification that is mailed at once.
    async fn is_paid(&self, key: &str) -> bool {
        self.is_notified(NotificationKind::Payment, key, json!({})).await
    }
}

impl Api {
    /// Plans the digests that are due; says for how many people.
    async fn plan_digests(&self) -> usize {
        let mut tx = self.store.begin(None).await.unwrap();
        let planned = notifications::plan_digests(&mut tx, 100).await.unwrap();
        tx.commit().await.unwrap();
        planned
    }

    fn advance_to(&self, time: &str) {
        let time: DateTime<Utc> = time.parse().unwrap();
        self.advance((time - self.store.clock().now()).to_std().unwrap());
    }
}

#[tokio::test]
async fn preferences_are_whole_and_checked() {
    let api = api().await;
    let ada = api.register("Ada").await;
    let preferences = ada.get(PREFERENCES).await.ok(200);
    assert_eq!(preferences["mail"].as_object().unwrap().len(), NotificationKind::ALL.len());
    assert_eq!(
        (&preferences["mail"]["session_booked"], &preferences["mail"]["invite_answered"]),
        (&json!(true), &json!(false))
    );
    assert_eq!((&preferences["digest"], &preferences["digestHour"]), (&json!("off"), &json!(8)));
    assert_eq!(preferences["quietHours"], Value::Null);
    let quiet = json!({"start": "22:00", "end": "07:00"});
    let body = json!({"mail": {"message": false}, "digest": "daily", "digestHour": 18, "quietHours": quiet});
    let changed = ada.prefers(body).await;
    assert_eq!(changed["mail"]["message"], false);
    assert_eq!(changed["quietHours"], quiet);
    assert_eq!(ada.get(PREFERENCES).await.ok(200), changed);
    assert_eq!(ada.prefers(preferences.clone()).await, preferences, "what is answered can be sent");
    assert_eq!(ada.prefers(json!({})).await, preferences, "what is left out is as by default");
    for (field, body) in [
        ("digest", json!({"digest": "weekly"})),
        ("digestHour", json!({"digestHour": 24})),
        ("quietHours.start", json!({"quietHours": {"start": "24:00", "end": "07:00"}})),
        ("quietHours.end", json!({"quietHours": {"start": "07:00", "end": "07:00"}})),
        ("quietHours.end", json!({"quietHours": {"start": "00:00", "end": "24:00"}})),
        ("quietHours.end", json!({"quietHours": {"start": "07:00", "end": "7"}})),
        ("quietHours.end", json!({"quietHours": {"start": "07:00"}})),
        ("mail", json!({"mail": {"weather": true}})),
        ("mail", json!({"mail": {"message": 1}})),
        ("sms", json!({"sms": true})),
    ] {
        let details = ada.put(PREFERENCES, body.clone()).await.refused(422, "validation_failed");
        let fields = details["fields"].as_object().unwrap();
        assert!(fields.keys().any(|key| key.starts_with(field)), "{body}: {details}");
    }
}

#[tokio::test]
async fn what_nobody_read_is_mailed_after_a_while_and_once() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    ada.invite(&ben).await;
    assert_eq!(api.work().await, Vec::<&str>::new(), "Ben may be looking");
    api.advance(Duration::from_mins(2));
    assert_eq!(api.work().await, ["mail_notification"]);
    let mails = ben.mails().await;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].subject, "Ada wants to talk with you now");
    assert!(mails[0].body.starts_with("Hello Ben,") && !mails[0].body.contains(&ada.email), "{:?}", mails[0]);
    assert!(ada.mails().await.is_empty());
    let page = ben.notifications("").await;
    let notification = id(&text(&page["notifications"][0]["id"]));
    for _ in 0..2 {
        let tx = api.store.begin(None).await.unwrap();
        notifications::mail_notification(tx, notification).await.unwrap();
    }
    assert_eq!(ben.mails().await.len(), 1, "a repeat is the same mail");
}

#[tokio::test]
async fn what_was_read_answered_or_not_wanted_is_not_mailed() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let invite = ada.invite(&ben).await;
    ben.answer(&invite, "decline").await.ok(200);
    let conversation = ada.conversation_with(&ben).await;
    ada.say(&conversation, "Hello").await.ok(201);
    ben.post("/api/notifications/read", json!({"all": true})).await.ok(200);
    ben.prefers(json!({"mail": {"payment": false}})).await;
    assert!(ben.is_paid("payment:1").await);
    assert!(!ben.is_paid("payment:1").await, "said before");
    ada.is_paid("payment:2").await;
    ada.prefers(json!({"mail": {"payment": false}})).await;
    api.advance(Duration::from_mins(3));
    assert_eq!(api.work().await, ["mail_notification"; 3]);
    assert!(ada.subjects().await.is_empty() && ben.subjects().await.is_empty());
    let cleo = api.register("Cleo").await;
    cleo.is_paid("payment:3").await;
    testing::set_flags(&api.store, id(&cleo.id), testing::Flags { suspended: true, ..Default::default() }).await;
    assert_eq!(api.work().await, ["mail_notification"]);
    assert!(cleo.subjects().await.is_empty());
    api.idle().await;
}

#[tokio::test]
async fn quiet_hours_hold_mail_back_over_the_night_that_clocks_change() {
    let start = "2026-10-24T20:00:00Z".parse().unwrap();
    let api = api_on(&TestDatabase::create().await, Clock::manual(start), &[]).await;
    let ada = api.register("Ada").await;
    ada.patch("/api/users/me", json!({"timezone": "Europe/Berlin"})).await.ok(200);
    ada.prefers(json!({"quietHours": {"start": "22:00", "end": "07:00"}})).await;
    ada.is_paid("payment:1").await;
    let snoozed = humanchat_worker::testing::drain(&api.store).await;
    assert_eq!(snoozed, [("mail_notification", humanchat_worker::testing::Outcome::Snoozed)]);
    // 06:59 in Berlin, where this night has an hour more.
    api.advance_to("2026-10-25T05:59:59Z");
    assert_eq!(api.work().await, Vec::<&str>::new());
    api.advance_to("2026-10-25T06:00:00Z");
    assert_eq!(api.work().await, ["mail_notification"]);
    assert_eq!(ada.subjects().await, ["About payment:1"]);
    api.idle().await;
}

#[tokio::test]
async fn a_daily_digest_comes_once_at_its_local_hour_with_what_is_still_unread() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    ben.patch("/api/users/me", json!({"timezone": "Asia/Kolkata"})).await.ok(200);
    for person in [&ada, &ben] {
        person.prefers(json!({"digest": "daily", "digestHour": 18, "mail": {"payment": false}})).await;
        for key in ["payment:1", "payment:2", "payment:3"] {
            assert!(person.is_paid(key).await);
        }
    }
    let page = ben.notifications("").await;
    ben.post("/api/notifications/read", json!({"ids": [page["notifications"][1]["id"]]})).await.ok(200);
    assert_eq!(api.plan_digests().await, 0, "it is noon in London and 17:30 in Kolkata");
    api.advance_to("2026-11-16T12:30:00Z");
    assert_eq!(api.plan_digests().await, 1);
    assert_eq!(api.plan_digests().await, 0, "once a slot");
    // Between asking and sending, Ben reads one more.
    let ids = strings(&page["notifications"], "id");
    let refreshed = Person::of(&api, &api.refresh(&ben.refresh_token).await.ok(200));
    refreshed.post("/api/notifications/read", json!({"ids": [ids[0]]})).await.ok(200);
    assert_eq!(api.work().await, ["mail_digest"]);
    assert_eq!(ben.subjects().await, ["About payment:1"]);
    assert!(ada.subjects().await.is_empty());

    api.advance_to("2026-11-16T18:10:00Z");
    assert_eq!(api.plan_digests().await, 1);
    assert_eq!(api.work().await, ["mail_digest"]);
    let mails = ada.mails().await;
    assert_eq!(mails[0].subject, "3 things wait for you at HumanChat");
    assert!(mails[0].body.contains("- About payment:3\n- About payment:2\n- About payment:1\n"), "{:?}", mails[0]);

    api.advance_to("2026-11-17T18:10:00Z");
    assert_eq!(api.plan_digests().await, 2, "both are due");
    assert_eq!(api.work().await, Vec::<&str>::new(), "nothing new came");
    assert_eq!((ada.mails().await.len(), ben.mails().await.len()), (1, 1));
}

#[tokio::test]
async fn a_digest_is_one_mail_however_often_its_worker_dies() {
    let api = api().await;
    let ada = api.register("Ada").await;
    ada.prefers(json!({"digest": "hourly", "mail": {"payment": false}})).await;
    ada.is_paid("payment:1").await;
    api.advance(Duration::from_hours(1));
    let (since, until) = (noon(), noon() + chrono::TimeDelta::minutes(59));
    // Planned, but the planner dies before the commit.
    let mut tx = api.store.begin(None).await.unwrap();
    assert_eq!(notifications::plan_digests(&mut tx, 100).await.unwrap(), 1);
    assert_eq!(api.plan_digests().await, 0, "somebody is at it");
    drop(tx);
    crate::scene::eventually("another to plan", async || (api.plan_digests().await == 1).then_some(())).await;
    for _ in 0..2 {
        let tx = api.store.begin(None).await.unwrap();
        notifications::mail_digest(tx, id(&ada.id), since, until).await.unwrap();
    }
    assert_eq!(api.work().await, ["mail_digest"]);
    assert_eq!(ada.subjects().await, ["About payment:1"]);
    let ada = Person::of(&api, &api.refresh(&ada.refresh_token).await.ok(200));
    ada.prefers(json!({"mail": {"payment": false}})).await;
    ada.is_paid("payment:2").await;
    api.advance(Duration::from_hours(1));
    assert_eq!(api.plan_digests().await, 0, "digests are off");
}

#[tokio::test]
async fn mail_about_a_booking_carries_a_file_for_calendars() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let start = noon() + chrono::TimeDelta::days(1);
    let session = testing::book(&api.store, (id(&ben.id), id(&ada.id)), id(&conversation), start).await;
    let data = json!({"session_id": session, "version": 1});
    ada.is_notified(NotificationKind::SessionBooked, "booked", data.clone()).await;
    ada.is_notified(NotificationKind::SessionReminder, "soon", data.clone()).await;
    ada.is_notified(NotificationKind::SessionChanged, "moved", json!({"session_id": session, "version": 2})).await;
    ada.is_notified(NotificationKind::SessionCancelled, "off", data).await;
    // Of use to a calendar, even though Ada has seen it.
    ada.post("/api/notifications/read", json!({"all": true})).await.ok(200);
    assert_eq!(api.work().await, ["mail_notification"; 4]);
    let mails = ada.mails().await;
    assert_eq!(
        mails.iter().map(|mail| mail.subject.as_str()).collect::<Vec<_>>(),
        ["About booked"],
        "the rest isn't so"
    );
    let calendar = mails[0].calendar.as_ref().unwrap().replace("\r\n ", "");
    for line in [
        "METHOD:REQUEST".to_owned(),
        format!("UID:{session}@localhost"),
        "DTSTART:20261117T120000Z".to_owned(),
        "DTEND:20261117T123000Z".to_owned(),
        "SUMMARY:Talk with Ben".to_owned(),
        format!("ATTENDEE;CN=Ada;PARTSTAT=ACCEPTED:mailto:{}", ada.email),
        "ATTENDEE;CN=Ben;PARTSTAT=ACCEPTED:invalid:nomail".to_owned(),
    ] {
        assert!(calendar.lines().any(|it| it == line), "{line} in {calendar}");
    }
    assert!(!calendar.contains(&ben.email));
}
