//! SQL of sessions.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

use super::{
    CancellationPolicy, EndedBy, Pair, PaymentStatus, Session, SessionQuery, SessionRole, SessionSearch, SessionStatus,
    SessionType, attendance::ACT, booking::NewBooking, price::Terms, steps::Ending,
};
use crate::{
    availability::Span,
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
            confirmed_at: row.confirmed_at,
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
                  cancellation_policy as "cancellation_policy: Json<CancellationPolicy>",
                  payment_status as "payment_status: PaymentStatus", hold_expires_at as "hold_expires_at: Timestamp",
                  confirmed_at as "confirmed_at: Timestamp", started_at as "started_at: Timestamp",
                  ended_at as "ended_at: Timestamp", ended_by as "ended_by: EndedBy", booked_minutes, version, created_at as "created_at: Timestamp", updated_at as "updated_at: Timestamp"
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
                  cancellation_policy as "cancellation_policy: Json<CancellationPolicy>",
                  payment_status as "payment_status: PaymentStatus", hold_expires_at as "hold_expires_at: Timestamp",
                  confirmed_at as "confirmed_at: Timestamp", started_at as "started_at: Timestamp",
                  ended_at as "ended_at: Timestamp", ended_by as "ended_by: EndedBy", booked_minutes, version, created_at as "created_at: Timestamp", updated_at as "updated_at: Timestamp"
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
                  display_mode as "display_mode: DisplayMode", managed,
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
        cancellation_policy: row.cancellation_policy.map(|policy| policy.0).unwrap_or_default(),
        is_approved: row.is_approved,
    }))
}

/// A free session that goes on at once.
pub(super) async fn insert_free(
    conn: &mut PgConnection,
    id: SessionId,
    pair: Pair,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into sessions (id, host_user_id, guest_user_id, conversation_id, type, status, start_time, started_at,
                               confirmed_at, currency, payment_mode, created_at, updated_at)
         select $1, host.id, $3, $4, 'instant', 'in_progress', $5, $5, $5, host.currency, 'free', $5, $5
         from users host where host.id = $2",
        id.0,
        pair.host.0,
        pair.guest.0,
        pair.conversation_id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn insert_booking(conn: &mut PgConnection, new: &NewBooking, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into sessions (id, host_user_id, guest_user_id, conversation_id, type, status, start_time, end_time,
                               duration_minutes, booked_minutes, agreed_price_minor, currency, payment_mode, payment_status,
                               cancellation_policy, hold_expires_at, confirmed_at, created_at, updated_at)
         select $1, host.id, $3, $4, 'scheduled', 'pending', $5, $6, $7, $7, $8, host.currency, host.conversation_type,
                case when $8::bigint = 0 then 'not_required' else 'requires_payment' end, $9, $10,
                case when $8::bigint = 0 then $11::timestamptz end, $11, $11
         from users host where host.id = $2",
        new.id.0,
        new.host.0,
        new.guest.0,
        new.conversation_id.0,
        new.slot.start,
        new.slot.end,
        new.minutes,
        new.price_minor,
        Json(new.policy) as _,
        new.hold_expires_at,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The payment of a session that waits for it is held; false where none waits.
pub(super) async fn confirm(conn: &mut PgConnection, id: SessionId, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update sessions set payment_status = 'authorized', confirmed_at = $2, hold_expires_at = null, updated_at = $2
         where id = $1 and status = 'pending' and payment_status in ('requires_payment', 'failed')",
        id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
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

/// Takes people's time for a session.
pub(super) async fn engage(
    conn: &mut PgConnection,
    id: SessionId,
    people: [(UserId, Span); 2],
    live: bool,
) -> sqlx::Result<()> {
    let [(host, host_span), (guest, guest_span)] = people;
    sqlx::query!(
        "insert into engagements (session_id, user_id, during, live)
         values ($1, $2, tstzrange($3, $4), $8), ($1, $5, tstzrange($6, $7), $8)",
        id.0,
        host.0,
        host_span.start,
        host_span.end,
        guest.0,
        guest_span.start,
        guest_span.end,
        live,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives people's time back.
pub(super) async fn disengage(conn: &mut PgConnection, id: SessionId) -> sqlx::Result<()> {
    sqlx::query!("delete from engagements where session_id = $1", id.0).execute(conn).await?;
    Ok(())
}

/// What was taken for later goes on now.
pub(super) async fn go_live(conn: &mut PgConnection, id: SessionId) -> sqlx::Result<()> {
    sqlx::query!("update engagements set live = true where session_id = $1", id.0).execute(conn).await?;
    Ok(())
}

pub(super) async fn move_to(
    conn: &mut PgConnection,
    id: SessionId,
    slot: Span,
    policy: Option<CancellationPolicy>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update sessions set start_time = $2, end_time = $3, cancellation_policy = $4, version = version + 1,
                             reminded_before = null, updated_at = $5
         where id = $1 and status = 'pending'",
        id.0,
        slot.start,
        slot.end,
        policy.map(Json) as _,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Says that a reminder is sent; false when it was, or a later one.
pub(super) async fn remember_reminder(
    conn: &mut PgConnection,
    id: SessionId,
    minutes_before: i32,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update sessions set reminded_before = $2 where id = $1 and coalesce(reminded_before > $2, true)",
        id.0,
        minutes_before,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn start(conn: &mut PgConnection, id: SessionId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "update sessions set status = 'in_progress', started_at = $2, hold_expires_at = null, updated_at = $2,
                             start_time = case type when 'instant' then $2 else start_time end
         where id = $1 and status = 'pending'",
        id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a session and gives its people's time back. `minutes` is how long an instant one was.
pub(super) async fn finish(
    conn: &mut PgConnection,
    id: SessionId,
    ending: &Ending,
    minutes: i32,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with over as (
           update sessions set status = $2, ended_by = $3, owed_minor = $4, ended_at = $5, hold_expires_at = null,
                  end_time = case when type = 'instant' and $2 = 'complete' then $5 else end_time end,
                  duration_minutes = case when type = 'instant' and $2 = 'complete' then $6 else duration_minutes end,
                  updated_at = $7
           where id = $1 and status in ('pending', 'in_progress') returning id
         )
         delete from engagements where session_id in (select id from over)",
        id.0,
        ending.status as SessionStatus,
        ending.by as EndedBy,
        ending.owed_minor,
        ending.at,
        minutes,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// When each of a session's people showed a sign of life within a span: stretches that don't
/// touch. A message, the host's start and the guest's agreement count for 45 seconds.
pub(super) async fn evidence(
    conn: &mut PgConnection,
    id: SessionId,
    within: Span,
) -> sqlx::Result<Vec<(UserId, Span)>> {
    let rows = sqlx::query!(
        r#"with session as (
             select host_user_id, guest_user_id, conversation_id, started_at, confirmed_at from sessions where id = $1
           ), signs as (
             select p.user_id, tstzrange(p.since, p.until) as during
             from session s join presences p on p.user_id in (s.host_user_id, s.guest_user_id)
             where p.since < $3 and (p.until is null or p.until > $2)
             union all
             select m.sender_id, tstzrange(m.created_at, m.created_at + $4)
             from session s, lateral (select sender_id, created_at from messages
                                      where conversation_id = s.conversation_id order by seq desc limit 2000) as m
             where m.sender_id is not null and m.created_at > $2 - $4::interval and m.created_at < $3
             union all
             select host_user_id, tstzrange(started_at, started_at + $4) from session where started_at is not null
             union all
             select guest_user_id, tstzrange(confirmed_at, confirmed_at + $4) from session where confirmed_at is not null
           ), stretches as (
             select user_id, unnest(range_agg(during) * tstzmultirange(tstzrange($2, $3))) as during
             from signs group by user_id
           )
           select user_id as "user_id!: UserId", lower(during) as "start!", upper(during) as "end!"
           from stretches order by during"#,
        id.0,
        within.start,
        within.end,
        ACT as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, Span { start: row.start, end: row.end })).collect())
}

pub(super) async fn keep_attendance(
    conn: &mut PgConnection,
    id: SessionId,
    stretches: &[(UserId, Span)],
) -> sqlx::Result<()> {
    let people: Vec<_> = stretches.iter().map(|(person, _)| person.0).collect();
    let (starts, ends): (Vec<_>, Vec<_>) = stretches.iter().map(|(_, span)| (span.start, span.end)).unzip();
    sqlx::query!(
        "insert into attendance (session_id, user_id, during)
         select $1, person, tstzrange(starts, ends) from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[])
           as stretch (person, starts, ends)",
        id.0,
        &people,
        &starts,
        &ends,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn kept_attendance(conn: &mut PgConnection, id: SessionId) -> sqlx::Result<Vec<(UserId, Span)>> {
    let rows = sqlx::query!(
        r#"select user_id as "user_id: UserId", lower(during) as "start!", upper(during) as "end!"
           from attendance where session_id = $1 order by during"#,
        id.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, Span { start: row.start, end: row.end })).collect())
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
    users: &[UserId],
    span: Span,
) -> sqlx::Result<Vec<(UserId, DateTime<Utc>)>> {
    let ids: Vec<_> = users.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select user_id as "user_id: UserId", lower(during) as "from!" from engagements
           where user_id = any($1) and during && tstzrange($2, $3) order by lower(during)"#,
        &ids,
        span.start,
        span.end,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.from)).collect())
}

/// Locks what somebody has agreed to that isn't over.
pub(super) async fn lock_unfinished(conn: &mut PgConnection, person: UserId) -> sqlx::Result<Vec<SessionId>> {
    sqlx::query_scalar!(
        r#"select id as "id: SessionId" from sessions
           where status in ('pending', 'in_progress') and $1 in (host_user_id, guest_user_id)
           order by id for update"#,
        person.0,
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
    let rows = sqlx::query_as!(
        Row,
        r#"select id as "id: SessionId", host_user_id as "host_user_id: UserId", guest_user_id as "guest_user_id: UserId",
                  conversation_id as "conversation_id: ConversationId", type as "kind: SessionType",
                  status as "status: SessionStatus", start_time as "start_time: Timestamp", end_time as "end_time: Timestamp",
                  duration_minutes, agreed_price_minor, currency, payment_mode as "payment_mode: ConversationType",
                  cancellation_policy as "cancellation_policy: Json<CancellationPolicy>",
                  payment_status as "payment_status: PaymentStatus", hold_expires_at as "hold_expires_at: Timestamp",
                  confirmed_at as "confirmed_at: Timestamp", started_at as "started_at: Timestamp",
                  ended_at as "ended_at: Timestamp", ended_by as "ended_by: EndedBy", booked_minutes, version, created_at as "created_at: Timestamp", updated_at as "updated_at: Timestamp"
           from sessions
           where ($1::uuid is null or host_user_id = $1 or guest_user_id = $1)
             and ($2::text is null or status = $2) and ($3::text is null or type = $3)
             and ($4::timestamptz is null or start_time >= $4) and ($5::timestamptz is null or start_time < $5)
             and ($6::uuid is null or id < $6)
           order by id desc limit $7"#,
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

/// An instant session that waits for its payment and its host.
pub(super) async fn insert_instant(
    conn: &mut PgConnection,
    id: SessionId,
    pair: Pair,
    minutes: i32,
    price_minor: i64,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into sessions (id, host_user_id, guest_user_id, conversation_id, type, status, start_time, booked_minutes,
                               agreed_price_minor, currency, payment_mode, payment_status, created_at, updated_at)
         select $1, host.id, $3, $4, 'instant', 'pending', $7, $5, $6, host.currency, host.conversation_type,
                'requires_payment', $7, $7
         from users host where host.id = $2",
        id.0,
        pair.host.0,
        pair.guest.0,
        pair.conversation_id.0,
        minutes,
        price_minor,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn waiting_instant(
    conn: &mut PgConnection,
    conversation_id: ConversationId,
) -> sqlx::Result<Option<SessionId>> {
    sqlx::query_scalar!(
        r#"select id as "id: SessionId" from sessions
           where conversation_id = $1 and type = 'instant' and status = 'pending'"#,
        conversation_id.0,
    )
    .fetch_optional(conn)
    .await
}

/// False where it stood there already.
pub(super) async fn set_payment_status(
    conn: &mut PgConnection,
    id: SessionId,
    status: PaymentStatus,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update sessions set payment_status = $2, updated_at = $3 where id = $1 and payment_status <> $2",
        id.0,
        status as PaymentStatus,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
