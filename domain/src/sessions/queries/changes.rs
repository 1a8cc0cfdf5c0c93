//! SQL of a session's steps: each is taken only from the state it may be taken from.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

use crate::{
    availability::Span,
    id::SessionId,
    sessions::{
        CancellationPolicy, EndedBy, Pair, PaymentStatus, SessionStatus, booking::NewBooking, instant::NewInstant,
        steps::Ending, timeouts,
    },
};

/// A free session that goes on at once.
pub(in crate::sessions) async fn insert_free(
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

pub(in crate::sessions) async fn insert_booking(
    conn: &mut PgConnection,
    new: &NewBooking,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
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
pub(in crate::sessions) async fn confirm(
    conn: &mut PgConnection,
    id: SessionId,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update sessions set payment_status = 'authorized', confirmed_at = coalesce(confirmed_at, $2), hold_expires_at = null,
                             updated_at = $2
         where id = $1 and status = 'pending' and payment_status in ('requires_payment', 'failed')",
        id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The card of a session that waits for its payment is saved; false where none waits.
pub(in crate::sessions) async fn confirm_unpaid(
    conn: &mut PgConnection,
    id: SessionId,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update sessions set confirmed_at = coalesce(confirmed_at, $2), hold_expires_at = null, updated_at = $2
         where id = $1 and status = 'pending' and hold_expires_at is not null",
        id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps the time of a booked session for somebody who has to pay; false where it isn't to come.
pub(in crate::sessions) async fn hold(
    conn: &mut PgConnection,
    id: SessionId,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update sessions set hold_expires_at = $2, updated_at = $3
         where id = $1 and status = 'pending' and type = 'scheduled'",
        id.0,
        until,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a session another time, and who holds it without having paid no longer than until then; false where it isn't
/// to come.
pub(in crate::sessions) async fn move_to(
    conn: &mut PgConnection,
    id: SessionId,
    slot: Span,
    policy: Option<CancellationPolicy>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update sessions set start_time = $2, end_time = $3, cancellation_policy = $4, version = version + 1,
                             hold_expires_at = case when hold_expires_at > $5 then $5 else hold_expires_at end,
                             reminded_before = null, updated_at = $6
         where id = $1 and status = 'pending'",
        id.0,
        slot.start,
        slot.end,
        policy.map(Json) as _,
        timeouts::latest_start(slot),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says that a reminder is sent; false when it was, or a later one.
pub(in crate::sessions) async fn remember_reminder(
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

pub(in crate::sessions) async fn start(conn: &mut PgConnection, id: SessionId, now: DateTime<Utc>) -> sqlx::Result<()> {
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
pub(in crate::sessions) async fn finish(
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

/// An instant session that waits for its payment and its host.
pub(in crate::sessions) async fn insert_instant(
    conn: &mut PgConnection,
    new: &NewInstant,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into sessions (id, host_user_id, guest_user_id, conversation_id, type, status, start_time, start_by,
                               booked_minutes, agreed_price_minor, currency, payment_mode, payment_status, created_at,
                               updated_at)
         select $1, host.id, $3, $4, 'instant', 'pending', $8, $5, $6, $7, host.currency, host.conversation_type,
                'requires_payment', $8, $8
         from users host where host.id = $2",
        new.id.0,
        new.pair.host.0,
        new.pair.guest.0,
        new.pair.conversation_id.0,
        new.start_by,
        new.minutes,
        new.price_minor,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// False where it stood there already.
pub(in crate::sessions) async fn set_payment_status(
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
