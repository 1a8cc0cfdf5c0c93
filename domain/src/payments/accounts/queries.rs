//! SQL of hosts' accounts.

use chrono::{DateTime, Utc};

use crate::{id::UserId, payments::stripe::Account, pool::Pool};

pub(super) async fn find(pool: &Pool, user: UserId) -> sqlx::Result<Option<Account>> {
    sqlx::query_as!(
        Account,
        "select account_id as id, transfers_enabled, charges_enabled, payouts_enabled, details_submitted, requirements,
                disabled_reason
         from payout_accounts where user_id = $1",
        user.0,
    )
    .fetch_optional(pool)
    .await
}

/// Keeps how an account was seen at a time, unless it was seen later.
pub(super) async fn keep(pool: &Pool, user: UserId, account: &Account, at: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into payout_accounts (user_id, account_id, transfers_enabled, charges_enabled, payouts_enabled,
                                      details_submitted, requirements, disabled_reason, checked_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (user_id) do update set transfers_enabled = $3, charges_enabled = $4, payouts_enabled = $5,
           details_submitted = $6, requirements = $7, disabled_reason = $8, checked_at = $9
         where payout_accounts.checked_at <= $9",
        user.0,
        account.id,
        account.transfers_enabled,
        account.charges_enabled,
        account.payouts_enabled,
        account.details_submitted,
        &account.requirements,
        account.disabled_reason,
        at,
    )
    .execute(pool)
    .await?;
    Ok(())
}
