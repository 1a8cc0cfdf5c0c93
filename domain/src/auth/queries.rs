//! SQL of signing in.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Authority, LoginRecord, Role};
use crate::{
    id::{LoginId, MagicLinkId, UserId},
    pool::Pool,
    text::Timestamp,
};

pub(super) struct NewUser<'a> {
    pub id: UserId,
    pub name: &'a str,
    pub email: &'a str,
    pub email_verified: bool,
    pub password_hash: Option<&'a str>,
    pub timezone: &'a str,
}

/// False when the address is taken.
pub(super) async fn insert_user(conn: &mut PgConnection, user: &NewUser<'_>, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into users (id, name, email, email_verified, password_hash, timezone, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict (email) do nothing",
        user.id.0,
        user.name,
        user.email,
        user.email_verified,
        user.password_hash,
        user.timezone,
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

pub(super) struct Known {
    pub id: UserId,
    pub password_hash: Option<String>,
}

pub(super) async fn password_of(pool: &Pool, email: &str) -> sqlx::Result<Option<Known>> {
    sqlx::query_as!(Known, r#"select id as "id: UserId", password_hash from users where email = $1"#, email)
        .fetch_optional(pool)
        .await
}

/// False when the user is suspended.
pub(super) async fn insert_login(
    conn: &mut PgConnection,
    id: LoginId,
    user_id: UserId,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into logins (id, user_id, created_at)
         select $1, id, $3 from users where id = $2 and suspended_at is null",
        id.0,
        user_id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

pub(super) async fn end_login(conn: &mut PgConnection, id: LoginId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!("update logins set ended_at = $2 where id = $1 and ended_at is null", id.0, now).execute(conn).await?;
    Ok(())
}

pub(super) async fn logins(pool: &Pool, user_id: UserId) -> sqlx::Result<Vec<LoginRecord>> {
    sqlx::query_as!(
        LoginRecord,
        r#"select id as "id: LoginId", created_at as "created_at: Timestamp", ended_at as "ended_at: Timestamp"
           from logins where user_id = $1 order by id desc"#,
        user_id.0,
    )
    .fetch_all(pool)
    .await
}

pub(super) async fn insert_refresh_token(
    conn: &mut PgConnection,
    hash: &[u8],
    login_id: LoginId,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into refresh_tokens (hash, login_id, created_at, expires_at) values ($1, $2, $3, $4)",
        hash,
        login_id.0,
        now,
        expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) struct RefreshedLogin {
    pub login_id: LoginId,
    pub user_id: UserId,
}

pub(super) async fn use_refresh_token(
    conn: &mut PgConnection,
    hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<Option<RefreshedLogin>> {
    sqlx::query_as!(
        RefreshedLogin,
        r#"update refresh_tokens t set used_at = $2
           from logins l join users u on u.id = l.user_id
           where t.hash = $1 and t.used_at is null and t.expires_at > $2
             and l.id = t.login_id and l.ended_at is null and u.suspended_at is null
           returning l.id as "login_id: LoginId", l.user_id as "user_id: UserId""#,
        hash,
        now,
    )
    .fetch_optional(conn)
    .await
}

pub(super) async fn end_login_of_used_token(
    conn: &mut PgConnection,
    hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update logins l set ended_at = $2 from refresh_tokens t
         where t.hash = $1 and t.used_at is not null and l.id = t.login_id and l.ended_at is null",
        hash,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn authorities(pool: &Pool, logins: &[LoginId]) -> sqlx::Result<Vec<(LoginId, Authority)>> {
    let ids: Vec<_> = logins.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select l.id as "login_id: LoginId", l.user_id as "user_id: UserId", u.role as "role: Role"
           from logins l join users u on u.id = l.user_id
           where l.id = any($1) and l.ended_at is null and u.suspended_at is null"#,
        &ids,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.login_id, Authority { user_id: row.user_id, role: row.role })).collect())
}

pub(super) async fn insert_ticket(
    conn: &mut PgConnection,
    hash: &[u8],
    login_id: LoginId,
    expires_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into socket_tickets (hash, login_id, expires_at) values ($1, $2, $3)",
        hash,
        login_id.0,
        expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn take_ticket(pool: &Pool, hash: &[u8], now: DateTime<Utc>) -> sqlx::Result<Option<LoginId>> {
    sqlx::query_scalar!(
        r#"delete from socket_tickets where hash = $1 and expires_at > $2 returning login_id as "login_id: LoginId""#,
        hash,
        now,
    )
    .fetch_optional(pool)
    .await
}

pub(super) async fn insert_magic_link(
    conn: &mut PgConnection,
    id: MagicLinkId,
    email: &str,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into magic_links (id, email, created_at, expires_at) values ($1, $2, $3, $4)",
        id.0,
        email,
        now,
        expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives a link its token, if it is still worth mailing. Returns the address.
pub(super) async fn arm_magic_link(
    conn: &mut PgConnection,
    id: MagicLinkId,
    hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "update magic_links l set token_hash = $2
         where id = $1 and used_at is null and expires_at > $3
           and not exists (select from magic_links newer where newer.email = l.email and newer.id > l.id)
         returning email",
        id.0,
        hash,
        now,
    )
    .fetch_optional(conn)
    .await
}

/// Uses a link up. Returns the address it proves.
pub(super) async fn take_magic_link(
    conn: &mut PgConnection,
    hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "update magic_links l set used_at = $2
         where token_hash = $1 and used_at is null and expires_at > $2
           and not exists (select from magic_links newer where newer.email = l.email and newer.id > l.id)
         returning email",
        hash,
        now,
    )
    .fetch_optional(conn)
    .await
}

/// Marks an address as proven. The first time, a password and logins from before are void.
pub(super) async fn verify_email(
    conn: &mut PgConnection,
    email: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(
        r#"with first as (
             update users set email_verified = true, password_hash = null, updated_at = $2
             where email = $1 and not email_verified returning id
           ), ended as (
             update logins set ended_at = $2 where user_id in (select id from first) and ended_at is null
           )
           select id as "id: UserId" from users where email = $1"#,
        email,
        now,
    )
    .fetch_optional(conn)
    .await
}

pub(super) async fn set_password(
    conn: &mut PgConnection,
    id: UserId,
    hash: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!("update users set password_hash = $2, updated_at = $3 where id = $1", id.0, hash, now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes some links past their time. Says how many.
pub(super) async fn prune_links(pool: &Pool, now: DateTime<Utc>, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from magic_links where id in (
           select id from magic_links where expires_at < $1 order by expires_at limit $2)",
        now,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes some tickets past their time. Says how many.
pub(super) async fn prune_tickets(pool: &Pool, now: DateTime<Utc>, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from socket_tickets where hash in (
           select hash from socket_tickets where expires_at < $1 order by expires_at limit $2)",
        now,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes some refresh tokens past their time, and logins that have no other. Says how many tokens.
///
/// A login whose tokens are all past their time gets no new one, so those that the statement began with are all there
/// are.
pub(super) async fn prune_tokens(pool: &Pool, now: DateTime<Utc>, limit: i64) -> sqlx::Result<u64> {
    let count = sqlx::query_scalar!(
        r#"with old as materialized (
             select hash from refresh_tokens where expires_at < $1 order by expires_at limit $2
           ), gone as (
             delete from refresh_tokens where hash in (select hash from old) returning login_id
           ), ended as (
             delete from logins l where l.id in (select login_id from gone)
               and not exists (select from refresh_tokens t where t.login_id = l.id and t.hash not in (select hash from old))
           )
           select count(*) as "count!" from gone"#,
        now,
        limit,
    )
    .fetch_one(pool)
    .await?;
    Ok(count.unsigned_abs())
}
