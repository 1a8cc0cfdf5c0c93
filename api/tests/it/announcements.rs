//! Announcements: to everybody they are for, once, whoever dies on the way.

use std::{collections::BTreeMap, time::Duration};

use garde::{Unvalidated, Valid};
use humanchat_domain::{
    Store,
    announcements::{self, Announcement, AnnouncementStatus, Left, NewAnnouncement},
    auth::Role,
    cursor::Window,
    event::Channel,
    id::UserId,
    mail, realtime,
    testing::{self, SignedIn, sign_in_many},
    users,
};
use serde_json::{Value, json};

use crate::{
    scene::{at_once, id, strings},
    support::{Person, api},
};

fn new(body: Value) -> Valid<NewAnnouncement> {
    Unvalidated::new(serde_json::from_value::<NewAnnouncement>(body).unwrap()).validate().unwrap()
}

/// Announces something.
pub async fn announce(store: &Store, author: UserId, body: Value) -> Announcement {
    let mut tx = store.begin(None).await.unwrap();
    let announcement = announcements::create(&mut tx, author, &new(body)).await.unwrap();
    tx.commit().await.unwrap();
    announcement
}

/// The newest announcement, as staff see it.
pub async fn newest(store: &Store) -> Announcement {
    let window = Window { cursor: None, limit: 1 };
    announcements::list(store, UserId::new(), window).await.unwrap().items.remove(0)
}

/// Asserts that each of these people was given one notification and one event; says how many they are.
pub async fn all_have_it_once(store: &Store, people: &[SignedIn]) -> usize {
    let given = testing::notifications_by_person(store).await;
    assert_eq!(given.len(), people.len(), "these and nobody else");
    assert!(people.iter().all(|person| given.get(&person.user_id) == Some(&1)));
    let channels: Vec<_> = people.iter().map(|person| Channel::Notifications(person.user_id)).collect();
    let told = realtime::newest(store, &channels).await.unwrap();
    assert_eq!((told.len(), told.iter().all(|(_, seq)| *seq == 1)), (people.len(), true));
    given.len()
}

async fn batch(store: &Store, announcement: &Announcement) -> Left {
    let mut tx = store.begin(None).await.unwrap();
    let left = announcements::fan_out(&mut tx, announcement.id).await.unwrap();
    tx.commit().await.unwrap();
    left
}

#[tokio::test]
async fn an_announcement_is_shown_until_it_is_dismissed_or_ends() {
    let api = api().await;
    let people = api.arrive(&["ada", "ben"]).await;
    let [ada, ben] = &people[..] else { panic!("two people") };
    let body = json!({"title": "Maintenance", "body": "Tonight.", "endsAt": "2026-11-16T12:10:00Z", "email": true});
    let announcement = announce(&api.store, id(&ada.id), body).await;
    assert_eq!(newest(&api.store).await.status, AnnouncementStatus::Scheduled);
    ben.put("/api/notifications/preferences", json!({"mail": {"announcement": false}})).await.ok(200);
    let mut socket = ada.socket(&format!("/notifications/{}", ada.id)).await;
    assert_eq!(api.work().await, ["fan_out_announcement", "mail_notification"]);
    let queue = testing::queue_in_words(&api.store).await;
    assert!(queue.contains(",mail_notification,bulk,20,"), "it keeps no other mail waiting: {queue}");
    let page = ada.notifications("").await;
    assert_eq!((&page["digest"]["unread"], &page["digest"]["announcements"]), (&json!(1), &json!(1)));
    let shown = &page["notifications"][0];
    assert_eq!(
        (&shown["type"], &shown["title"], &shown["body"]),
        (&json!("announcement"), &json!("Maintenance"), &json!("Tonight."))
    );
    assert_eq!(shown["data"], json!({"announcement_id": announcement.id}));
    assert_eq!(socket.next_of("announcement").await["payload"]["notification"], *shown);
    let subjects = mail::kept(&api.store, None).await.unwrap().into_iter().map(|mail| (mail.to, mail.subject));
    let announced: Vec<_> = subjects.filter(|(_, subject)| subject == "Maintenance").map(|(to, _)| to).collect();
    assert_eq!(announced, [ada.email.as_str()], "Ben wants no mail of it");

    ada.post("/api/notifications/read", json!({"ids": [shown["id"]]})).await.ok(200);
    assert_eq!(ada.notifications("").await["digest"]["announcements"], 0);
    assert_eq!(ben.notifications("").await["digest"]["announcements"], 1);
    api.advance(Duration::from_mins(10));
    let page = ben.notifications("").await;
    assert_eq!((&page["digest"]["unread"], &page["notifications"]), (&json!(0), &json!([])), "it has ended");
    let done = newest(&api.store).await;
    assert_eq!((done.status, done.progress.sent, done.progress.total), (AnnouncementStatus::Sent, 2, Some(2)));
    api.idle().await;
}

#[tokio::test]
async fn the_audience_gets_it_when_its_time_comes_and_nobody_else() {
    let api = api().await;
    let people = api.arrive(&["admin", "manager", "host", "charity", "guest", "suspended"]).await;
    let [admin, manager, host, charity, guest, suspended] = &people[..] else { panic!("six people") };
    for (person, role) in [(admin, Role::Admin), (manager, Role::Manager)] {
        let mut tx = api.store.begin(None).await.unwrap();
        users::set_role(&mut tx, id(&person.id), role).await.unwrap();
        tx.commit().await.unwrap();
    }
    host.put("/api/availability", json!({"timezone": "UTC"})).await.ok(200);
    charity.patch("/api/users/me", json!({"conversationType": "charity", "charityName": "Bees"})).await.ok(200);
    let out = testing::Flags { suspended: true, ..Default::default() };
    testing::set_flags(&api.store, id(&suspended.id), out).await;
    for audience in ["staff", "hosts", "all"] {
        let body = json!({"title": audience, "body": "x", "audience": audience, "startsAt": "2026-11-16T12:05:00Z"});
        announce(&api.store, id(&admin.id), body).await;
    }
    assert_eq!(api.work().await, Vec::<&str>::new());
    assert_eq!(titles(guest).await, Vec::<String>::new());
    api.advance(Duration::from_mins(5));
    assert_eq!(api.work().await, ["fan_out_announcement"; 3]);
    let expected = BTreeMap::from([
        ("admin", vec!["all", "staff"]),
        ("manager", vec!["all", "staff"]),
        ("host", vec!["all", "hosts"]),
        ("charity", vec!["all", "hosts"]),
        ("guest", vec!["all"]),
    ]);
    for (person, name) in people.iter().zip(["admin", "manager", "host", "charity", "guest"]) {
        let mut titles = titles(person).await;
        titles.sort();
        assert_eq!(titles, expected[name], "{name}");
    }
    assert_eq!(testing::notifications_by_person(&api.store).await.get(&id(&suspended.id)), None);
}

async fn titles(person: &Person<'_>) -> Vec<String> {
    strings(&person.notifications("").await["notifications"], "title")
}

#[tokio::test]
async fn times_that_make_no_sense_are_refused() {
    let api = api().await;
    let author = UserId::new();
    for (field, body) in [
        ("startsAt", json!({"title": "x", "body": "x", "startsAt": "2026-11-16T11:59:59Z"})),
        ("startsAt", json!({"title": "x", "body": "x", "startsAt": "tomorrow"})),
        ("endsAt", json!({"title": "x", "body": "x", "endsAt": "2026-11-16T12:00:00Z"})),
        (
            "endsAt",
            json!({"title": "x", "body": "x", "startsAt": "2026-11-18T12:00:00Z", "endsAt": "2026-11-17T12:00:00Z"}),
        ),
    ] {
        let mut tx = api.store.begin(None).await.unwrap();
        let error = announcements::create(&mut tx, author, &new(body)).await.unwrap_err();
        assert!(format!("{error:?}").contains(field), "{error:?}");
    }
}

#[tokio::test]
async fn batches_that_die_or_run_twice_at_once_reach_everybody_once() {
    let api = api().await;
    let people = sign_in_many(&api.store, 3500).await;
    let announcement = announce(&api.store, people[0].user_id, json!({"title": "News", "body": "x"})).await;
    assert_eq!(batch(&api.store, &announcement).await, Left::More);
    // A worker dies before the commit: the batch never was.
    let mut dying = api.store.begin(None).await.unwrap();
    assert_eq!(announcements::fan_out(&mut dying, announcement.id).await.unwrap(), Left::More);
    drop(dying);
    let half = newest(&api.store).await;
    assert_eq!((half.progress.sent, half.progress.total), (1000, Some(3500)));
    assert_eq!(half.status, AnnouncementStatus::Sending);
    // A lease was lost: several go on at once.
    let deeds = (0..4).map(|_| Box::pin(batch(&api.store, &announcement)) as _);
    assert_eq!(at_once(deeds).await.iter().filter(|left| **left == Left::More).count(), 2);
    let done = newest(&api.store).await;
    assert_eq!((done.status, done.progress.sent), (AnnouncementStatus::Sent, 3500));
    assert_eq!(all_have_it_once(&api.store, &people).await, 3500);
    assert_eq!(api.work().await, ["fan_out_announcement"], "which finds nothing to do");
    assert_eq!(all_have_it_once(&api.store, &people).await, 3500);
}

#[tokio::test]
async fn whoever_comes_while_it_goes_out_gets_it_too() {
    let api = api().await;
    let mut people = sign_in_many(&api.store, 1200).await;
    let announcement = announce(&api.store, people[0].user_id, json!({"title": "News", "body": "x"})).await;
    assert_eq!(batch(&api.store, &announcement).await, Left::More);
    people.extend(sign_in_many(&api.store, 10).await);
    assert_eq!(batch(&api.store, &announcement).await, Left::Nothing);
    assert_eq!(all_have_it_once(&api.store, &people).await, 1210);
    let progress = newest(&api.store).await.progress;
    assert_eq!((progress.sent, progress.total, progress.seconds_left), (1210, Some(1200), Some(0)));
}
