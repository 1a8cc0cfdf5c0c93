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

/// False when the user is suspended, or no longer has the password they signed in with. Whoever voids a password ends
/// logins: the lock has them wait for this one, or this one for them.
pub(super) async fn insert_login(
    conn: &mut PgConnection,
    id: LoginId,
    user_id: UserId,
    password_hash: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into logins (id, user_id, created_at)
         select $1, id, $4 from users
         where id = $2 and suspended_at is null and ($3::text is null or password_hash = $3) for share",
        id.0,
        user_id.0,
        password_hash,
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

/// Has who asks for a link to this address wait, until this unit of work ends, for whoever asks now.
pub(super) async fn lock_address(conn: &mut PgConnection, email: &str) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('humanchat:link:' || $1, 0)) is null as locked", email)
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// False where so many links of the address have not expired yet, used or not.
pub(super) async fn insert_magic_link(
    conn: &mut PgConnection,
    id: MagicLinkId,
    email: &str,
    most: i64,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into magic_links (id, email, created_at, expires_at)
         select $1, $2, $4, $5 where (select count(*) from magic_links where email = $2 and expires_at > $4) < $3",
        id.0,
        email,
        most,
        now,
        expires_at,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
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

/// The address that a link was sent to, whether or not it is still good.
pub(super) async fn address_of_link(conn: &mut PgConnection, hash: &[u8]) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select email from magic_links where token_hash = $1", hash).fetch_optional(conn).await
}

/// Uses a link up; false where it is used, replaced or too old.
pub(super) async fn take_magic_link(conn: &mut PgConnection, hash: &[u8], now: DateTime<Utc>) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update magic_links l set used_at = $2
         where token_hash = $1 and used_at is null and expires_at > $2
           and not exists (select from magic_links newer where newer.email = l.email and newer.id > l.id)",
        hash,
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Locks the user with this address, so that the next statement sees all logins that there are and that nobody adds one.
pub(super) async fn lock_user(conn: &mut PgConnection, email: &str) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(r#"select id as "id: UserId" from users where email = $1 for no key update"#, email)
        .fetch_optional(conn)
        .await
}

/// Marks the address of a locked user as proven. The first time, a password and logins from before are void.
pub(super) async fn verify_email(conn: &mut PgConnection, id: UserId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "with first as (
           update users set email_verified = true, password_hash = null, updated_at = $2
           where id = $1 and not email_verified returning id
         )
         update logins set ended_at = $2 where user_id in (select id from first) and ended_at is null",
        id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives a locked user another password, and ends their logins.
pub(super) async fn set_password(
    conn: &mut PgConnection,
    id: UserId,
    hash: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with changed as (update users set password_hash = $2, updated_at = $3 where id = $1 returning id)
         update logins set ended_at = $3 where user_id in (select id from changed) and ended_at is null",
        id.0,
        hash,
        now,
    )
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
