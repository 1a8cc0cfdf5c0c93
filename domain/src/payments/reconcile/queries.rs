//! SQL of reconciliation.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    id::{PaymentCallId, PaymentId},
    pool::Pool,
};

pub(super) async fn events_read(pool: &Pool) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!("select events_read from reconciliation").fetch_optional(pool).await
}

pub(super) async fn set_events_read(pool: &Pool, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into reconciliation (events_read) values ($1) on conflict (singleton) do update set events_read = $1",
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The provider's ids of payments that are open and were not asked for since; notes that they are asked
/// for at `now`.
pub(super) async fn unsettled(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"update payments set checked_at = $2
           where id in (select id from payments
                        where status in ('requires_payment', 'authorized', 'capturing') and checked_at < $1
                          and coalesce(intent_id, checkout_id, setup_id) is not null
                          -- A saved card waits for its time.
                          and (method_id is null or intent_id is not null)
                        order by checked_at limit $3 for update skip locked)
           returning coalesce(checkout_id, intent_id, setup_id) as "object_id!""#,
        before,
        now,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// What the provider told of that nobody has looked at. Any of it, lest what can't be looked at keep the rest waiting.
pub(super) async fn not_looked_at(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"select object_id as "object_id!" from webhook_events where state = 'waiting' and received_at < $1
           group by object_id order by random() limit $2"#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Saved cards that should have been authorised.
pub(super) async fn forgotten_cards(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<PaymentId>> {
    sqlx::query_scalar!(
        r#"select id as "id: PaymentId" from payments p
           where status = 'requires_payment' and method_id is not null and intent_id is null and authorize_at < $1
             and not exists (select from payment_calls where payment_id = p.id and kind = 'authorize')
           order by authorize_at limit $2"#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Calls that nobody has settled.
pub(super) async fn forgotten_calls(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<PaymentCallId>> {
    sqlx::query_scalar!(
        r#"select id as "id: PaymentCallId" from payment_calls where state = 'open' and created_at < $1
           order by created_at limit $2"#,
        before,
        limit,
    )
    .fetch_all(conn)
    .await
}

pub(super) async fn status(pool: &Pool, id: PaymentId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select status from payments where id = $1", id.0).fetch_optional(pool).await
}
