//! SQL of who people are at the provider.

use chrono::{DateTime, Utc};

use super::{Party, PartyKind};
use crate::{id::UserId, pool::Pool};

/// Somebody as they stand; written down where they were not known.
pub(super) async fn begin(
    pool: &Pool,
    user: UserId,
    kind: PartyKind,
    key: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<Party> {
    sqlx::query_as!(
        Party,
        r#"insert into payment_parties (user_id, kind, key, keyed_at) values ($1, $2, $3, $4)
           on conflict (user_id, kind) do update set user_id = excluded.user_id
           returning object_id, key, keyed_at, attempted_at"#,
        user.0,
        kind as PartyKind,
        key,
        now,
    )
    .fetch_one(pool)
    .await
}

pub(super) async fn find(pool: &Pool, user: UserId, kind: PartyKind) -> sqlx::Result<Option<Party>> {
    sqlx::query_as!(
        Party,
        "select object_id, key, keyed_at, attempted_at from payment_parties where user_id = $1 and kind = $2",
        user.0,
        kind as PartyKind,
    )
    .fetch_optional(pool)
    .await
}

/// Whether a card of somebody's is to be saved or authorised.
pub(super) async fn needs_card(pool: &Pool, payer: UserId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from payments where payer_user_id = $1 and status = 'requires_payment'
                          and authorize_at is not null) as "needs!""#,
        payer.0,
    )
    .fetch_one(pool)
    .await
}

pub(super) async fn remove(pool: &Pool, user: UserId, kind: PartyKind) -> sqlx::Result<()> {
    sqlx::query!("delete from payment_parties where user_id = $1 and kind = $2", user.0, kind as PartyKind)
        .execute(pool)
        .await?;
    Ok(())
}

/// Forgets the provider's id of somebody.
pub(super) async fn lose(
    pool: &Pool,
    kind: PartyKind,
    object_id: &str,
    key: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update payment_parties set object_id = null, key = $3, keyed_at = $4, attempted_at = null
         where object_id = $2 and kind = $1",
        kind as PartyKind,
        object_id,
        key,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn attempt(pool: &Pool, user: UserId, kind: PartyKind, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "update payment_parties set attempted_at = $3 where user_id = $1 and kind = $2 and object_id is null",
        user.0,
        kind as PartyKind,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Has the next call made under another key, unless somebody else saw to that.
pub(super) async fn renew_key(
    pool: &Pool,
    user: UserId,
    kind: PartyKind,
    old: &str,
    new: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update payment_parties set key = $4, keyed_at = $5, attempted_at = null
         where user_id = $1 and kind = $2 and key = $3 and object_id is null",
        user.0,
        kind as PartyKind,
        old,
        new,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes who somebody is; who is known stays.
pub(super) async fn keep(pool: &Pool, user: UserId, kind: PartyKind, id: &str) -> sqlx::Result<String> {
    sqlx::query_scalar!(
        r#"update payment_parties set object_id = coalesce(object_id, $3) where user_id = $1 and kind = $2
           returning object_id as "object_id!""#,
        user.0,
        kind as PartyKind,
        id,
    )
    .fetch_one(pool)
    .await
}

pub(super) async fn owner(pool: &Pool, kind: PartyKind, object_id: &str) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(
        r#"select user_id as "user_id: UserId" from payment_parties where object_id = $1 and kind = $2"#,
        object_id,
        kind as PartyKind,
    )
    .fetch_optional(pool)
    .await
}
