//! SQL of sessions.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{Pair, PaymentStatus, Session, SessionQuery, SessionRole, SessionStatus, SessionType};
use crate::{
    availability::Span,
    id::{ConversationId, SessionId, UserId},
    money::Price,
    pool::Pool,
    text::Timestamp,
    users::ConversationType,
};

struct Row {
    id: SessionId,
    host_user_id: UserId,
    guest_user_id: UserId,
    conversation_id: ConversationId,
    kind: SessionType,
    status: SessionStatus,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    duration_minutes: Option<i32>,
    agreed_price_minor: i64,
    currency: String,
    payment_mode: ConversationType,
    cancellation_policy: Option<Value>,
    version: i32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Row> for Session {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            host_user_id: row.host_user_id,
            guest_user_id: row.guest_user_id,
            conversation_id: row.conversation_id,
            r#type: row.kind,
            status: row.status,
            start_time: row.start_time,
            end_time: row.end_time,
            duration_minutes: row.duration_minutes,
            agreed_price: Price::from_minor(row.agreed_price_minor, &row.currency),
            currency: row.currency,
            payment_mode: row.payment_mode,
            payment_status: PaymentStatus::NotRequired,
            cancellation_policy: row.cancellation_policy,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A session, of this person's if one is named.
pub(super) async fn find(
    conn: &mut PgConnection,
    id: SessionId,
    party: Option<UserId>,
) -> sqlx::Result<Option<Session>> {
    let row = sqlx::query_as!(
        Row,
        r#"select id as "id: SessionId", host_user_id as "host_user_id: UserId", guest_user_id as "guest_user_id: UserId",
                  conversation_id as "conversation_id: ConversationId", type as "kind: SessionType",
                  status as "status: SessionStatus", start_time as "start_time: Timestamp", end_time as "end_time: Timestamp",
                  duration_minutes, agreed_price_minor, currency, payment_mode as "payment_mode: ConversationType",
                  cancellation_policy, version, created_at as "created_at: Timestamp", updated_at as "updated_at: Timestamp"
           from sessions where id = $1 and ($2::uuid is null or $2 in (host_user_id, guest_user_id))"#,
        id.0,
        party.map(|id| id.0),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Into::into))
}

/// A page of [`super::list`].
pub(super) struct Walk<'a> {
    pub caller: UserId,
    pub query: &'a SessionQuery,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    pub before: Option<SessionId>,
    pub limit: i64,
}

pub(super) async fn list(pool: &Pool, walk: &Walk<'_>) -> sqlx::Result<Vec<Session>> {
    let rows = sqlx::query_as!(
        Row,
        r#"select id as "id: SessionId", host_user_id as "host_user_id: UserId", guest_user_id as "guest_user_id: UserId",
                  conversation_id as "conversation_id: ConversationId", type as "kind: SessionType",
                  status as "status: SessionStatus", start_time as "start_time: Timestamp", end_time as "end_time: Timestamp",
                  duration_minutes, agreed_price_minor, currency, payment_mode as "payment_mode: ConversationType",
                  cancellation_policy, version, created_at as "created_at: Timestamp", updated_at as "updated_at: Timestamp"
           from sessions
           where ((host_user_id = $1 and $2) or (guest_user_id = $1 and $3))
             and ($4::text is null or status = $4) and ($5::timestamptz is null or start_time >= $5)
             and ($6::timestamptz is null or start_time < $6) and ($7::uuid is null or id < $7)
           order by id desc limit $8"#,
        walk.caller.0,
        walk.query.role != Some(SessionRole::Guest),
        walk.query.role != Some(SessionRole::Host),
        walk.query.status as Option<SessionStatus>,
        walk.from,
        walk.to,
        walk.before.map(|id| id.0),
        walk.limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Locks a session of this person's; false when there is none.
pub(super) async fn lock(conn: &mut PgConnection, id: SessionId, party: UserId) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        "select id from sessions where id = $1 and $2 in (host_user_id, guest_user_id) for update",
        id.0,
        party.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

pub(super) async fn insert_free(conn: &mut PgConnection, id: SessionId, pair: Pair, span: Span) -> sqlx::Result<()> {
    sqlx::query!(
        "with session as (
           insert into sessions (id, host_user_id, guest_user_id, conversation_id, type, status, start_time, currency,
                                 payment_mode, created_at, updated_at)
           select $1, host.id, $3, $4, 'instant', 'in_progress', $5, host.currency, 'free', $5, $5
           from users host where host.id = $2
           returning id, host_user_id, guest_user_id
         )
         insert into engagements (session_id, user_id, during, live)
         select id, user_id, tstzrange($5, $6), true
         from session, unnest(array[host_user_id, guest_user_id]) as user_id",
        id.0,
        pair.host.0,
        pair.guest.0,
        pair.conversation_id.0,
        span.start,
        span.end,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn complete(
    conn: &mut PgConnection,
    id: SessionId,
    minutes: i32,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with over as (
           update sessions set status = 'complete', end_time = greatest($3, start_time), duration_minutes = $2, updated_at = $3
           where id = $1 and status = 'in_progress' returning id
         )
         delete from engagements where session_id in (select id from over)",
        id.0,
        minutes,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Who of these people is in a session that goes on, and in which.
pub(super) async fn live(conn: &mut PgConnection, users: [UserId; 2]) -> sqlx::Result<Vec<(UserId, SessionId)>> {
    let ids = users.map(|id| id.0);
    let rows = sqlx::query!(
        r#"select user_id as "user_id: UserId", session_id as "session_id: SessionId" from engagements
           where user_id = any($1) and live"#,
        &ids[..],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.session_id)).collect())
}

/// Who of these people is taken from when on, of what is taken within a span; earliest first.
pub(super) async fn taken(
    conn: &mut PgConnection,
    users: [UserId; 2],
    span: Span,
) -> sqlx::Result<Vec<(UserId, DateTime<Utc>)>> {
    let ids = users.map(|id| id.0);
    let rows = sqlx::query!(
        r#"select user_id as "user_id: UserId", lower(during) as "from!" from engagements
           where user_id = any($1) and during && tstzrange($2, $3) order by lower(during)"#,
        &ids[..],
        span.start,
        span.end,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.from)).collect())
}
