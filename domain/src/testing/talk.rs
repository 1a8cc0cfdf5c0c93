//! Conversations, bookings, and what was told of them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::{
    Store,
    bus::Frame,
    event::Channel,
    id::{ConversationId, SessionId, UserId},
    realtime, sessions,
};

/// All that is stored of a channel's events.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn events_of(store: &Store, channel: Channel) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    loop {
        let after = frames.last().and_then(|frame| frame.seq).unwrap_or(0);
        let events = realtime::events_after(store, channel, after, 1 << 20).await.expect("events can be read");
        frames.extend(events.frames);
        if !events.more {
            return frames;
        }
    }
}

/// Takes somebody out of a conversation, which no operation does.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn remove_participant(store: &Store, conversation: ConversationId, user: UserId) {
    sqlx::query("delete from conversation_participants where conversation_id = $1 and user_id = $2")
        .bind(conversation.0)
        .bind(user.0)
        .execute(store.pool())
        .await
        .expect("a participant can be removed");
}

/// A booked session of thirty minutes between a host and a guest, as if it had been agreed now.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn book(
    store: &Store,
    (host, guest): (UserId, UserId),
    conversation: ConversationId,
    start: DateTime<Utc>,
) -> SessionId {
    let id = SessionId::new();
    sqlx::query(
        "insert into sessions (id, host_user_id, guest_user_id, conversation_id, type, status, start_time, end_time,
                               duration_minutes, booked_minutes, currency, payment_mode, cancellation_policy, confirmed_at,
                               created_at, updated_at)
         values ($1, $2, $3, $4, 'scheduled', 'pending', $5, $5 + interval '30 minutes', 30, 30, 'usd', 'free',
                 '{\"full_refund_hours\": 24, \"half_refund_hours\": 1}', $6, $6, $6)",
    )
    .bind(id)
    .bind(host)
    .bind(guest)
    .bind(conversation)
    .bind(start)
    .bind(store.clock().now())
    .execute(store.pool())
    .await
    .expect("a session can be booked");
    id
}

/// How many notifications everybody has who has any.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn notifications_by_person(store: &Store) -> HashMap<UserId, i64> {
    let rows: Vec<(UserId, i64)> = sqlx::query_as("select user_id, count(*) from notifications group by user_id")
        .fetch_all(store.pool())
        .await
        .expect("notifications can be counted");
    rows.into_iter().collect()
}

/// Takes the payment of a session as held, whatever a provider says. False where that comes too late.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn pay(store: &Store, session: SessionId) -> bool {
    let mut tx = store.begin(None).await.expect("a unit of work begins");
    let confirmed = sessions::confirm(&mut tx, session).await.expect("a payment can be confirmed");
    tx.commit().await.expect("a unit of work ends");
    confirmed
}

/// For how many minutes both were there, of a session that is over.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn minutes_together(store: &Store, session: SessionId) -> i32 {
    let mut tx = store.begin(None).await.expect("a unit of work begins");
    let session = sessions::load(&mut tx, session).await.expect("a session can be read");
    sessions::attendance(&mut tx, &session).await.expect("attendance can be read").minutes()
}
