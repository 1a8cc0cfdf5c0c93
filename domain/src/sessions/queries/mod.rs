//! SQL of sessions.

mod attendance;
mod changes;
mod engagements;
mod offers;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

pub(super) use attendance::{evidence, keep_attendance, kept_attendance};
pub(super) use changes::{
    confirm, confirm_unpaid, finish, hold, insert_booking, insert_free, insert_instant, move_to, remember_reminder,
    set_payment_status, start,
};
pub(super) use engagements::{disengage, engage, go_live, live, taken};
pub(super) use offers::{give_back, give_back_all, give_back_expired, keep, kept, kept_until};

use super::{
    CancellationPolicy, EndedBy, PaymentStatus, Session, SessionQuery, SessionRole, SessionSearch, SessionStatus,
    SessionType, price::Terms,
};
use crate::{
    id::{ConversationId, SessionId, UserId},
    money::Price,
    pool::Pool,
    text::Timestamp,
    users::{ConversationType, DisplayMode},
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
    cancellation_policy: Option<Json<CancellationPolicy>>,
    payment_status: PaymentStatus,
    hold_expires_at: Option<Timestamp>,
    start_by: Option<Timestamp>,
    confirmed_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    ended_by: Option<EndedBy>,
    booked_minutes: Option<i32>,
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
            payment_status: row.payment_status,
            cancellation_policy: row.cancellation_policy.map(|policy| policy.0),
            hold_expires_at: row.hold_expires_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
            ended_by: row.ended_by,
            booked_minutes: row.booked_minutes,
            agreed_minor: row.agreed_price_minor,
            start_by: row.start_by,
            confirmed_at: row.confirmed_at,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A query for sessions, `where` what follows.
macro_rules! sessions_where {
    ($which:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select id as "id: SessionId", host_user_id as "host_user_id: UserId", guest_user_id as "guest_user_id: UserId",
                      conversation_id as "conversation_id: ConversationId", type as "kind: SessionType",
                      status as "status: SessionStatus", start_time as "start_time: Timestamp",
                      end_time as "end_time: Timestamp", duration_minutes, agreed_price_minor, currency,
                      payment_mode as "payment_mode: ConversationType",
                      cancellation_policy as "cancellation_policy: Json<CancellationPolicy>",
                      payment_status as "payment_status: PaymentStatus", hold_expires_at as "hold_expires_at: Timestamp",
                      start_by as "start_by: Timestamp", confirmed_at as "confirmed_at: Timestamp",
                      started_at as "started_at: Timestamp", ended_at as "ended_at: Timestamp",
                      ended_by as "ended_by: EndedBy", booked_minutes, version, created_at as "created_at: Timestamp",
                      updated_at as "updated_at: Timestamp"
               from sessions where "# + $which,
            $($argument),+
        )
    };
}

/// A session, of this person's if one is named.
pub(super) async fn find(
    conn: &mut PgConnection,
    id: SessionId,
    party: Option<UserId>,
) -> sqlx::Result<Option<Session>> {
    let row = sessions_where!(
        "id = $1 and ($2::uuid is null or $2 in (host_user_id, guest_user_id))",
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
    let rows = sessions_where!(
        "((host_user_id = $1 and $2) or (guest_user_id = $1 and $3))
         and ($4::text is null or status = $4) and ($5::timestamptz is null or start_time >= $5)
         and ($6::timestamptz is null or start_time < $6) and ($7::uuid is null or id < $7)
         order by id desc limit $8",
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

pub(super) async fn lock(conn: &mut PgConnection, id: SessionId) -> sqlx::Result<()> {
    sqlx::query!("select id from sessions where id = $1 for update", id.0).fetch_optional(conn).await?;
    Ok(())
}

/// One of a session's people.
#[derive(Debug, Clone)]
pub(super) struct Party {
    pub user_id: UserId,
    pub name: String,
    pub email: String,
    pub timezone: String,
}

pub(super) async fn party(conn: &mut PgConnection, id: UserId) -> sqlx::Result<Party> {
    sqlx::query_as!(Party, r#"select id as "user_id: UserId", name, email, timezone from users where id = $1"#, id.0,)
        .fetch_one(conn)
        .await
}

/// On what terms this guest can book a host; `None` where there is no such host, or they are
/// suspended.
pub(super) async fn terms(conn: &mut PgConnection, host: UserId, guest: UserId) -> sqlx::Result<Option<Terms>> {
    let row = sqlx::query!(
        r#"select conversation_type as "conversation_type: ConversationType", instant_rate_minor,
                  scheduled_rates as "scheduled_rates: Json<BTreeMap<String, i64>>", currency,
                  display_mode as "display_mode: DisplayMode", managed, confidential_rate,
                  cancellation_policy as "cancellation_policy: Json<CancellationPolicy>",
                  exists (select from requests
                          where requester_user_id = $2 and target_user_id = $1 and status = 'approved') as "is_approved!"
           from users where id = $1 and suspended_at is null"#,
        host.0,
        guest.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Terms {
        conversation_type: row.conversation_type,
        instant_rate_minor: row.instant_rate_minor,
        scheduled_rates: row.scheduled_rates.0,
        currency: row.currency,
        display_mode: row.display_mode,
        managed: row.managed,
        confidential_rate: row.confidential_rate,
        cancellation_policy: row.cancellation_policy.map(|policy| policy.0).unwrap_or_default(),
        is_approved: row.is_approved,
    }))
}

/// Whether somebody wrote lately what is among the newest messages of a conversation.
pub(super) async fn wrote_since(
    conn: &mut PgConnection,
    conversation_id: ConversationId,
    person: UserId,
    since: DateTime<Utc>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
             select from (select sender_id, created_at from messages where conversation_id = $1 order by seq desc limit 200) m
             where m.sender_id = $2 and m.created_at >= $3) as "wrote!""#,
        conversation_id.0,
        person.0,
        since,
    )
    .fetch_one(conn)
    .await
}

/// How many slots somebody holds without having paid for them.
pub(super) async fn holds(conn: &mut PgConnection, guest: UserId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from sessions where guest_user_id = $1 and hold_expires_at is not null"#,
        guest.0,
    )
    .fetch_one(conn)
    .await
}

/// Holds of these people that have run out, locked.
pub(super) async fn lock_expired_holds(
    conn: &mut PgConnection,
    people: [UserId; 2],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<SessionId>> {
    let ids = people.map(|id| id.0);
    sqlx::query_scalar!(
        r#"select id as "id: SessionId" from sessions
           where hold_expires_at <= $2 and (host_user_id = any($1) or guest_user_id = any($1)) order by id for update"#,
        &ids[..],
        now,
    )
    .fetch_all(conn)
    .await
}

/// Locks some of what somebody has agreed to that isn't over, beginning with what goes on.
pub(super) async fn lock_unfinished(
    conn: &mut PgConnection,
    person: UserId,
    most: i64,
) -> sqlx::Result<Vec<SessionId>> {
    sqlx::query_scalar!(
        r#"select id as "id: SessionId" from sessions
           where status in ('pending', 'in_progress') and $1 in (host_user_id, guest_user_id)
           order by status, id limit $2 for update"#,
        person.0,
        most,
    )
    .fetch_all(conn)
    .await
}

/// A page of [`super::list_all`].
pub(super) struct WalkAll<'a> {
    pub search: &'a SessionSearch,
    pub party: Option<UserId>,
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    pub before: Option<SessionId>,
    pub limit: i64,
}

pub(super) async fn list_all(conn: &mut PgConnection, walk: &WalkAll<'_>) -> sqlx::Result<Vec<Session>> {
    let rows = sessions_where!(
        "($1::uuid is null or host_user_id = $1 or guest_user_id = $1)
         and ($2::text is null or status = $2) and ($3::text is null or type = $3)
         and ($4::timestamptz is null or start_time >= $4) and ($5::timestamptz is null or start_time < $5)
         and ($6::uuid is null or id < $6)
         order by id desc limit $7",
        walk.party.map(|id| id.0),
        walk.search.status as Option<SessionStatus>,
        walk.search.r#type as Option<SessionType>,
        walk.from,
        walk.to,
        walk.before.map(|id| id.0),
        walk.limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

pub(super) async fn lock_waiting_instant(
    conn: &mut PgConnection,
    conversation_id: ConversationId,
) -> sqlx::Result<Option<SessionId>> {
    sqlx::query_scalar!(
        r#"select id as "id: SessionId" from sessions
           where conversation_id = $1 and type = 'instant' and status = 'pending' for update"#,
        conversation_id.0,
    )
    .fetch_optional(conn)
    .await
}
