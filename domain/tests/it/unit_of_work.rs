//! Rows, jobs and events exist together or not at all, and events are numbered without gaps.

use std::{sync::Arc, time::Duration};

use humanchat_domain::{
    Store,
    clock::Clock,
    event::{Channel, Event},
    id::{InviteId, UserId},
    testing::{TestDatabase, events_of, noon},
    users::{PresenceState, Status},
};
use humanchat_jobs::{JobKey, invites::ExpireInvite, maintenance::SweepPresence, users::EndPresence};
use tokio::{sync::Barrier, task::JoinSet};

async fn store() -> Store {
    TestDatabase::create().await.store(Clock::manual(noon()))
}

/// A durable event that needs no rows.
fn event(user_id: UserId, message_id: i64) -> Event {
    let conversation_id = humanchat_domain::id::ConversationId::new();
    Event::ConversationRead { conversation_id, user_id, message_id }
}

async fn jobs(store: &Store) -> Vec<(String, String)> {
    sqlx::query_as("select kind, state from jobs order by created_at, kind").fetch_all(store.pool()).await.unwrap()
}

async fn numbers(store: &Store, channel: Channel) -> Vec<i64> {
    let frames = events_of(store, channel).await;
    frames.into_iter().filter_map(|frame| frame.seq).collect()
}

#[tokio::test]
async fn nothing_of_it_exists_without_the_commit() {
    let store = store().await;
    let user = UserId::new();
    let channel = Channel::Notifications(user);
    let mut tx = store.begin(None).await.unwrap();
    tx.enqueue(&ExpireInvite { invite_id: InviteId::new() }).unwrap();
    tx.emit(channel, event(user, 1));
    drop(tx);
    assert_eq!(jobs(&store).await, []);
    assert_eq!(numbers(&store, channel).await, [] as [i64; 0]);

    let mut tx = store.begin(Some("request-1".into())).await.unwrap();
    tx.enqueue(&ExpireInvite { invite_id: InviteId::new() }).unwrap();
    tx.emit(channel, event(user, 1));
    tx.emit(channel, event(user, 2));
    tx.commit().await.unwrap();
    assert_eq!(jobs(&store).await, [("expire_invite".into(), "available".into())]);
    assert_eq!(numbers(&store, channel).await, [1, 2], "a rolled back number is given again");
    let request_id: String = sqlx::query_scalar("select request_id from jobs").fetch_one(store.pool()).await.unwrap();
    assert_eq!(request_id, "request-1");
}

#[tokio::test]
async fn passing_events_are_not_stored() {
    let store = store().await;
    let user = UserId::new();
    let status =
        Status { user_id: user, is_online: true, presence_state: PresenceState::Active, has_active_session: false };
    let mut tx = store.begin(None).await.unwrap();
    tx.emit(Channel::Status(user), Event::StatusChanged(status));
    tx.commit().await.unwrap();
    assert_eq!(numbers(&store, Channel::Status(user)).await, [] as [i64; 0]);
}

#[tokio::test]
async fn a_taken_key_keeps_or_moves_the_waiting_job() {
    let store = store().await;
    let (user_id, invite_id) = (UserId::new(), InviteId::new());
    for minutes in [1, 2] {
        let mut tx = store.begin(None).await.unwrap();
        let due = tx.now() + chrono::TimeDelta::minutes(minutes);
        tx.enqueue_at(&EndPresence { user_id }, due).unwrap();
        tx.enqueue_at(&ExpireInvite { invite_id }, due).unwrap();
        // Twice in one unit of work is as good as twice in two.
        tx.enqueue_at(&EndPresence { user_id }, due).unwrap();
        tx.enqueue_at(&ExpireInvite { invite_id }, due).unwrap();
        tx.commit().await.unwrap();
    }
    let due: Vec<(String, chrono::DateTime<chrono::Utc>)> =
        sqlx::query_as("select kind, run_at from jobs order by kind").fetch_all(store.pool()).await.unwrap();
    let at = |minutes| noon() + chrono::TimeDelta::minutes(minutes);
    assert_eq!(due, [("end_presence".into(), at(2)), ("expire_invite".into(), at(1))]);
}

#[tokio::test]
async fn a_waiting_job_can_be_taken_back_with_the_rest() {
    let store = store().await;
    let job = ExpireInvite { invite_id: InviteId::new() };
    let key = [JobKey::of(&job)];
    let mut tx = store.begin(None).await.unwrap();
    tx.enqueue(&job).unwrap();
    tx.enqueue(&SweepPresence {}).unwrap();
    tx.commit().await.unwrap();

    let mut tx = store.begin(None).await.unwrap();
    tx.cancel_jobs(&key).await.unwrap();
    drop(tx);
    assert_eq!(jobs(&store).await[0].1, "available", "rolled back");

    let mut tx = store.begin(None).await.unwrap();
    tx.enqueue(&ExpireInvite { invite_id: InviteId::new() }).unwrap();
    tx.cancel_jobs(&key).await.unwrap();
    tx.commit().await.unwrap();
    let states: Vec<_> = jobs(&store).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["cancelled", "available", "available"]);
}

#[tokio::test]
async fn events_of_many_at_once_have_no_gap_and_block_nobody_for_ever() {
    const WRITERS: i64 = 24;
    const ROUNDS: i64 = 10;
    let database = TestDatabase::create().await;
    let store = database.store_with(Clock::manual(noon()), &[("DATABASE_POOL", "24")]);
    let users: [UserId; 3] = std::array::from_fn(|_| UserId::new());
    let barrier = Arc::new(Barrier::new(usize::try_from(WRITERS).unwrap()));
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, barrier) = (store.clone(), Arc::clone(&barrier));
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                barrier.wait().await;
                let mut tx = store.begin(None).await.unwrap();
                // Everybody names the channels in another order.
                for step in 0..3 {
                    let user = users[usize::try_from(writer + round + step).unwrap() % 3];
                    tx.emit(Channel::Notifications(user), event(user, writer));
                }
                tx.commit().await.unwrap();
            }
        });
    }
    let all = tokio::time::timeout(Duration::from_mins(1), tasks.join_all()).await;
    assert!(all.is_ok(), "somebody waits for somebody");
    for user in users {
        let expected: Vec<i64> = (1..=WRITERS * ROUNDS).collect();
        assert_eq!(numbers(&store, Channel::Notifications(user)).await, expected);
    }
}

#[tokio::test]
async fn a_unit_of_work_that_is_dropped_while_it_begins_leaves_no_transaction_open() {
    let database = TestDatabase::create().await;
    let store = database.store_with(Clock::manual(noon()), &[("DATABASE_POOL", "2")]);
    store.begin(None).await.unwrap().commit().await.unwrap();
    for polls in 0..400 {
        let cut = async {
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
        };
        // Cut off at every point of its way.
        tokio::select! {
            biased;
            begun = store.begin(None) => drop(begun.unwrap()),
            () = cut => {}
        }
        // Outside of a transaction there is nothing to save.
        let saved = sqlx::raw_sql("savepoint probe").execute(store.pool()).await;
        assert!(saved.is_err(), "a connection came back with its transaction open, after {polls} polls");
    }
}
