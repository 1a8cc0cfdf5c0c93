//! SQL of payouts.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{DisputeState, Standing};
use crate::{
    id::PaymentId,
    payments::{
        calls::{FAILED, MOST_ROUNDS, TOO_OLD},
        stripe::Transfer,
    },
    pool::Pool,
};

pub(super) async fn plan(conn: &mut PgConnection, id: PaymentId, at: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!("update payments set payout_at = $2 where id = $1", id.0, at).execute(conn).await?;
    Ok(())
}

/// Nothing more is to be passed on.
pub(super) async fn paid(conn: &mut PgConnection, id: PaymentId) -> sqlx::Result<()> {
    sqlx::query!("update payments set payout_at = null where id = $1", id.0).execute(conn).await?;
    Ok(())
}

pub(super) async fn payout(conn: &mut PgConnection, id: PaymentId) -> sqlx::Result<Standing> {
    sqlx::query_as!(
        Standing,
        r#"select payout_at, transferred_minor, dispute as "dispute: DisputeState" from payments where id = $1"#,
        id.0,
    )
    .fetch_one(conn)
    .await
}

/// What is due and can be passed on: its host has an account, and nobody disputes it.
pub(super) async fn due(pool: &Pool, now: DateTime<Utc>, limit: i64) -> sqlx::Result<Vec<PaymentId>> {
    sqlx::query_scalar!(
        r#"select p.id as "id: PaymentId" from payments p join payout_accounts a on a.user_id = p.payee_user_id
           where p.payout_at <= $1 and a.transfers_enabled and coalesce(p.dispute, 'won') = 'won'
             and not exists (select from payment_calls where payment_id = p.id and state = 'open')
           order by p.payout_at limit $2"#,
        now,
        limit,
    )
    .fetch_all(pool)
    .await
}

pub(super) async fn has_account(conn: &mut PgConnection, id: PaymentId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from payments p join payout_accounts a on a.user_id = p.payee_user_id
                          where p.id = $1 and a.transfers_enabled) as "has!""#,
        id.0,
    )
    .fetch_one(conn)
    .await
}

/// A transfer of which not all was taken back, and how much is left.
pub(super) async fn reversible(conn: &mut PgConnection, id: PaymentId) -> sqlx::Result<Option<(String, i64)>> {
    let row = sqlx::query!(
        r#"select id, amount_minor - reversed_minor as "left!" from payment_transfers
           where payment_id = $1 and reversed_minor < amount_minor order by id desc limit 1"#,
        id.0,
    );
    Ok(row.fetch_optional(conn).await?.map(|row| (row.id, row.left)))
}

/// Whether the provider said no to taking some back, or failed at it again and again.
pub(super) async fn is_reversal_refused(conn: &mut PgConnection, id: PaymentId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select count(*) >= $2 or count(*) filter (where error_code <> all ($3)) > 0 as "is!"
           from payment_calls where payment_id = $1 and kind = 'reverse_transfer' and state = 'refused'"#,
        id.0,
        MOST_ROUNDS,
        &[FAILED, TOO_OLD] as &[&str],
    )
    .fetch_one(conn)
    .await
}

/// Keeps a transfer; of what was taken back of it, the most that was seen.
pub(super) async fn keep_transfer(conn: &mut PgConnection, id: PaymentId, transfer: &Transfer) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into payment_transfers (id, payment_id, amount_minor, reversed_minor) values ($1, $2, $3, $4)
         on conflict (id) do update set reversed_minor = greatest(payment_transfers.reversed_minor, $4)",
        transfer.id,
        id.0,
        transfer.amount_minor,
        transfer.reversed_minor,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds up what was passed on, and keeps the sum.
pub(super) async fn count_transferred(conn: &mut PgConnection, id: PaymentId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "update payments set transferred_minor =
           (select coalesce(sum(amount_minor - reversed_minor), 0)::bigint from payment_transfers where payment_id = $1)
         where id = $1 returning transferred_minor",
        id.0,
    )
    .fetch_one(conn)
    .await
}

pub(super) async fn set_dispute(conn: &mut PgConnection, id: PaymentId, state: DisputeState) -> sqlx::Result<()> {
    sqlx::query!("update payments set dispute = $2 where id = $1", id.0, state as DisputeState).execute(conn).await?;
    Ok(())
}
