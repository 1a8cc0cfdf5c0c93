//! What piles up is taken away, and nothing else.

use std::{collections::BTreeMap, time::Duration};

use humanchat_domain::{
    Store,
    clock::Clock,
    event::{Channel, Event},
    id::{ConversationId, UserId},
    maintenance,
    notifications::{self, Notice, NotificationKind},
    realtime::{self, Wish},
    testing::{TestDatabase, noon, notifications_by_person, sign_in_many},
};
use uuid::Uuid;

const DAY: Duration = Duration::from_hours(24);

async fn emit(store: &Store, user_id: UserId) {
    let mut tx = store.begin(None).await.unwrap();
    let event = Event::ConversationRead { conversation_id: ConversationId::new(), user_id, message_id: 1 };
    tx.emit(Channel::Notifications(user_id), event);
    tx.commit().await.unwrap();
}

async fn partitions(store: &Store) -> i64 {
    let count = "select count(*) from pg_inherits where inhparent = 'events'::regclass";
    sqlx::query_scalar(count).fetch_one(store.pool()).await.unwrap()
}

#[tokio::test]
async fn events_are_kept_for_seven_days_and_numbered_on_for_ever() {
    let clock = Clock::manual(Clock::System.now());
    let store = TestDatabase::create().await.store(clock.clone());
    let user = UserId::new();
    let channel = Channel::Notifications(user);
    for _ in 0..10 {
        maintenance::rotate_events(&store).await.unwrap();
        emit(&store, user).await;
        clock.advance(DAY);
    }
    maintenance::rotate_events(&store).await.unwrap();
    let kept = realtime::events_after(&store, channel, 0, 1 << 20).await.unwrap().frames;
    // Ten days on, the events of the last seven are there; a day's partition goes as a whole.
    let oldest = kept.first().and_then(|frame| frame.seq).unwrap();
    assert!((3..=4).contains(&oldest), "{oldest}");
    let wish = |user_id, after| Wish { user_id, channel, after };
    let wishes = [None, Some(oldest - 2), Some(oldest - 1), Some(10), Some(11)].map(|after| wish(user, after));
    let stands = realtime::standings(&store, &wishes).await.unwrap();
    let recovered = wishes.map(|wish| stands[&wish].recovered);
    assert_eq!(recovered, [true, false, true, true, false]);
    assert!(stands.values().all(|standing| standing.seq == 10));
    assert_eq!(realtime::standings(&store, &[wish(UserId::new(), None)]).await.unwrap().len(), 0, "somebody else");
    assert!(partitions(&store).await <= 13, "seven days back, today, three ahead, the rest");
}

#[tokio::test]
async fn events_outlive_a_schedule_that_stood_still() {
    let clock = Clock::manual(Clock::System.now());
    let store = TestDatabase::create().await.store(clock.clone());
    let user = UserId::new();
    clock.advance(DAY * 30);
    emit(&store, user).await;
    maintenance::rotate_events(&store).await.unwrap();
    emit(&store, user).await;
    clock.advance(DAY);
    emit(&store, user).await;
    let kept = realtime::events_after(&store, Channel::Notifications(user), 0, 10_000).await.unwrap().frames;
    assert_eq!(kept.len(), 3);
    clock.advance(DAY * 9);
    maintenance::rotate_events(&store).await.unwrap();
    while maintenance::prune_stray_events(&store, 1).await.unwrap() > 0 {}
    let kept = realtime::events_after(&store, Channel::Notifications(user), 0, 10_000).await.unwrap().frames;
    assert_eq!(kept.len(), 0, "what lay outside the days' partitions goes too");
}

#[tokio::test]
async fn a_silent_processs_people_are_taken_offline() {
    let store = TestDatabase::create().await.store(Clock::default());
    let id = UserId::new();
    let insert = "insert into users (id, name, email, created_at, updated_at) values ($1, 'Ana', 'ana@example.com', now(), now())";
    sqlx::query(insert).bind(id.0).execute(store.pool()).await.unwrap();
    let process = realtime::SocketProcess::new(store.clone());
    process.report(&[id], &[], Vec::new).await.unwrap();
    let is_online = || async { humanchat_domain::users::find(&store, id).await.unwrap().is_online };
    assert!(is_online().await);
    maintenance::sweep_presence(&store).await.unwrap();
    assert!(is_online().await, "a living process is left alone");

    let age = "update socket_processes set seen_at = now() - interval '21 seconds'";
    sqlx::query(age).execute(store.pool()).await.unwrap();
    assert!(!is_online().await, "even before the sweep");
    maintenance::sweep_presence(&store).await.unwrap();
    // The process was only slow: with its next sign of life it says again who is there.
    process.report(&[], &[], || vec![id]).await.unwrap();
    assert!(is_online().await);
}

#[tokio::test]
async fn a_login_goes_with_the_last_of_its_tokens() {
    let clock = Clock::manual(noon());
    let store = TestDatabase::create().await.store(clock.clone());
    let logins: Vec<_> = sign_in_many(&store, 2).await.into_iter().map(|person| person.login_id.0).collect();
    // The first has three tokens that end one after the other; the second has another one, which lasts.
    let tokens = "insert into refresh_tokens (hash, login_id, created_at, expires_at)
                  select sha256(convert_to($1 || $3::text, 'UTF8')), $1, $2, $2::timestamptz + make_interval(hours => $3)";
    for (login, hours) in [(0, 1), (0, 2), (0, 3), (1, 1), (1, 9)] {
        sqlx::query(tokens).bind(logins[login]).bind(noon()).bind(hours).execute(store.pool()).await.unwrap();
    }
    let left = async || {
        let left =
            "select l.id, count(t.hash) from logins l left join refresh_tokens t on t.login_id = l.id group by l.id";
        let left: BTreeMap<Uuid, i64> =
            sqlx::query_as(left).fetch_all(store.pool()).await.unwrap().into_iter().collect();
        logins.iter().map(|login| left.get(login).copied()).collect::<Vec<_>>()
    };
    assert_eq!((maintenance::prune_credentials(&store, 3).await.unwrap(), left().await), (0, vec![Some(3), Some(2)]));
    clock.advance(Duration::from_hours(4));
    assert_eq!(maintenance::prune_credentials(&store, 3).await.unwrap(), 3, "a batch at a time");
    assert_eq!(left().await, [Some(1), Some(1)]);
    assert_eq!((maintenance::prune_credentials(&store, 3).await.unwrap(), left().await), (1, vec![None, Some(1)]));
}

/// Something was said to somebody, and perhaps read.
async fn is_told(store: &Store, user_id: UserId, key: &str, is_read: bool) {
    let mut tx = store.begin(None).await.unwrap();
    let (title, body, data) = (key.to_owned(), String::new(), serde_json::json!({}));
    let notice = Notice { user_id, kind: NotificationKind::Payment, key: key.to_owned(), title, body, data };
    notifications::notify(&mut tx, notice).await.unwrap();
    if is_read {
        notifications::settle(&mut tx, user_id, &[key.to_owned()]).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn what_was_read_goes_after_ninety_days_and_everything_after_a_year() {
    let clock = Clock::manual(noon());
    let store = TestDatabase::create().await.store(clock.clone());
    let people = sign_in_many(&store, 2).await;
    let (reader, other) = (people[0].user_id, people[1].user_id);
    for number in 0..5 {
        is_told(&store, reader, &format!("read:{number}"), true).await;
        is_told(&store, other, &format!("unread:{number}"), false).await;
    }
    let kept = async || {
        let kept = notifications_by_person(&store).await;
        [reader, other].map(|person| kept.get(&person).copied().unwrap_or_default())
    };
    clock.advance(DAY * 90);
    is_told(&store, reader, "newer", true).await;
    assert_eq!((maintenance::prune_notifications(&store, 100).await.unwrap(), kept().await), (0, [6, 5]));
    clock.advance(Duration::from_millis(1));
    assert_eq!(maintenance::prune_notifications(&store, 3).await.unwrap(), 3, "a batch at a time");
    assert_eq!((maintenance::prune_notifications(&store, 3).await.unwrap(), kept().await), (2, [1, 5]));
    clock.advance(DAY * 275);
    assert_eq!((maintenance::prune_notifications(&store, 100).await.unwrap(), kept().await), (6, [0, 0]));
    assert_eq!(maintenance::prune_notifications(&store, 100).await.unwrap(), 0);
    is_told(&store, reader, "read:0", false).await;
    assert_eq!(kept().await, [1, 0], "and can be said again");
}
