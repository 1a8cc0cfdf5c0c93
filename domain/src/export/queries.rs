//! SQL of what nothing but an export shows, a page at a time.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::{
    id::{AuditEntryId, PaymentId, SessionId, UserId},
    pool::Pool,
    text::Timestamp,
};

/// What somebody paid or got.
#[derive(Debug, Serialize)]
pub(super) struct PaymentRecord {
    pub id: PaymentId,
    kind: String,
    status: String,
    session_id: Option<SessionId>,
    payer_user_id: UserId,
    payee_user_id: Option<UserId>,
    amount: i64,
    amount_captured: i64,
    amount_refunded: i64,
    currency: String,
    message: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

pub(super) async fn payments(
    pool: &Pool,
    person: UserId,
    before: Option<PaymentId>,
    limit: i64,
) -> sqlx::Result<Vec<PaymentRecord>> {
    sqlx::query_as!(
        PaymentRecord,
        r#"select id as "id: PaymentId", kind, status, session_id as "session_id: SessionId",
                  payer_user_id as "payer_user_id: UserId", payee_user_id as "payee_user_id: UserId",
                  amount_minor as amount, captured_minor as amount_captured, refunded_minor as amount_refunded, currency,
                  message, created_at as "created_at: Timestamp", updated_at as "updated_at: Timestamp"
           from payments where $1 in (payer_user_id, payee_user_id) and ($2::uuid is null or id < $2)
           order by id desc limit $3"#,
        person.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(pool)
    .await
}

/// What somebody changed as staff.
#[derive(Debug, Serialize)]
pub(super) struct DeedRecord {
    pub id: AuditEntryId,
    action: String,
    target: String,
    before: Value,
    after: Value,
    created_at: Timestamp,
}

pub(super) async fn deeds(
    pool: &Pool,
    person: UserId,
    before: Option<AuditEntryId>,
    limit: i64,
) -> sqlx::Result<Vec<DeedRecord>> {
    sqlx::query_as!(
        DeedRecord,
        r#"select id as "id: AuditEntryId", action, target, before, after, created_at as "created_at: Timestamp"
           from audit_log where actor_user_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3"#,
        person.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(pool)
    .await
}

/// A stretch of time in which somebody was there.
#[derive(Debug, Serialize)]
pub(super) struct Stretch {
    pub since: Timestamp,
    pub until: Option<Timestamp>,
}

/// When somebody had a socket open or said that they are here.
pub(super) async fn presences(
    pool: &Pool,
    person: UserId,
    before: Option<(DateTime<Utc>, Option<DateTime<Utc>>)>,
    limit: i64,
) -> sqlx::Result<Vec<Stretch>> {
    sqlx::query_as!(
        Stretch,
        r#"select since as "since: Timestamp", until as "until: Timestamp"
           from presences
           where user_id = $1 and ($2::timestamptz is null
                                   or (since, coalesce(until, 'infinity')) < ($2, coalesce($3::timestamptz, 'infinity')))
           order by since desc, coalesce(until, 'infinity') desc limit $4"#,
        person.0,
        before.map(|(since, _)| since),
        before.and_then(|(_, until)| until),
        limit,
    )
    .fetch_all(pool)
    .await
}

/// When somebody was there in a session that is over.
#[derive(Debug, Serialize)]
pub(super) struct Attended {
    pub session_id: SessionId,
    pub since: Timestamp,
    until: Timestamp,
}

pub(super) async fn attendance(
    pool: &Pool,
    person: UserId,
    before: Option<(SessionId, DateTime<Utc>)>,
    limit: i64,
) -> sqlx::Result<Vec<Attended>> {
    sqlx::query_as!(
        Attended,
        r#"select session_id as "session_id: SessionId", lower(during) as "since!: Timestamp", upper(during) as "until!: Timestamp"
           from attendance
           where user_id = $1 and session_id in (select id from sessions where $1 in (host_user_id, guest_user_id))
             and ($2::uuid is null or (session_id, lower(during)) < ($2, $3))
           order by session_id desc, lower(during) desc limit $4"#,
        person.0,
        before.map(|(session, _)| session.0),
        before.map(|(_, since)| since),
        limit,
    )
    .fetch_all(pool)
    .await
}
