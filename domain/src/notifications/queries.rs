//! SQL of notifications: stored, listed, counted, read.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Counts, Notice, Notification, NotificationKind};
use crate::{
    id::{ConversationId, NotificationId, UserId},
    pool::Pool,
    text::Timestamp,
};

/// Whether the user wants it mailed; `None` when it was there before.
pub(super) async fn insert(
    conn: &mut PgConnection,
    id: NotificationId,
    notice: &Notice,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<bool>> {
    sqlx::query_scalar!(
        r#"with stored as (
             insert into notifications (id, user_id, kind, key, title, body, data, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (user_id, key) do nothing returning user_id
           )
           select coalesce((p.mail ->> $3)::boolean, $9) as "is_mailed!"
           from stored left join notification_preferences p using (user_id)"#,
        id.0,
        notice.user_id.0,
        notice.kind as NotificationKind,
        notice.key,
        notice.title,
        notice.body,
        notice.data,
        now,
        notice.kind.is_mailed_by_default(),
    )
    .fetch_optional(conn)
    .await
}

/// The same notice to many people.
pub(crate) struct Circular<'a> {
    pub kind: NotificationKind,
    pub key: &'a str,
    pub title: &'a str,
    pub body: &'a str,
    pub data: &'a Value,
    pub ends_at: Option<DateTime<Utc>>,
}

/// Somebody whom a circular reached now.
pub(crate) struct Reached {
    pub id: NotificationId,
    pub user_id: UserId,
    /// Whether they want it mailed.
    pub is_mailed: bool,
}

/// Leaves out who has it already.
pub(crate) async fn insert_many(
    conn: &mut PgConnection,
    people: &[UserId],
    circular: &Circular<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Reached>> {
    let (ids, people): (Vec<_>, Vec<_>) = people.iter().map(|person| (NotificationId::new().0, person.0)).unzip();
    sqlx::query_as!(
        Reached,
        r#"with stored as (
             insert into notifications (id, user_id, kind, key, title, body, data, ends_at, created_at)
             select id, person, $3, $4, $5, $6, $7, $8, $9 from unnest($1::uuid[], $2::uuid[]) as p (id, person)
             on conflict (user_id, key) do nothing returning id, user_id
           )
           select id as "id!: NotificationId", user_id as "user_id!: UserId",
                  coalesce((p.mail ->> $3)::boolean, $10) as "is_mailed!"
           from stored left join notification_preferences p using (user_id)"#,
        &ids,
        &people,
        circular.kind as NotificationKind,
        circular.key,
        circular.title,
        circular.body,
        circular.data,
        circular.ends_at,
        now,
        circular.kind.is_mailed_by_default(),
    )
    .fetch_all(conn)
    .await
}

/// Which of these were unread.
pub(super) async fn read_by_key(
    conn: &mut PgConnection,
    user_id: UserId,
    keys: &[String],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<NotificationId>> {
    sqlx::query_scalar!(
        r#"update notifications set read_at = $3 where user_id = $1 and key = any($2) and read_at is null
           returning id as "id: NotificationId""#,
        user_id.0,
        keys,
        now,
    )
    .fetch_all(conn)
    .await
}

/// Which of those about messages of a conversation were unread.
pub(super) async fn read_by_conversation(
    conn: &mut PgConnection,
    user_id: UserId,
    id: ConversationId,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<NotificationId>> {
    sqlx::query_scalar!(
        r#"update notifications set read_at = $3
           where user_id = $1 and kind = 'message' and data ->> 'conversation_id' = $2 and read_at is null
           returning id as "id: NotificationId""#,
        user_id.0,
        id.to_string(),
        now,
    )
    .fetch_all(conn)
    .await
}

/// Reads these, or all there are; says which were unread.
pub(super) async fn read(
    conn: &mut PgConnection,
    user_id: UserId,
    only: Option<&[NotificationId]>,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<NotificationId>> {
    let only: Option<Vec<Uuid>> = only.map(|ids| ids.iter().map(|id| id.0).collect());
    sqlx::query_scalar!(
        r#"update notifications set read_at = $3
           where user_id = $1 and read_at is null and ($2::uuid[] is null or id = any($2))
           returning id as "id: NotificationId""#,
        user_id.0,
        only.as_deref(),
        now,
    )
    .fetch_all(conn)
    .await
}

pub(super) async fn counts(conn: &mut PgConnection, user_id: UserId, now: DateTime<Utc>) -> sqlx::Result<Counts> {
    sqlx::query_as!(
        Counts,
        r#"with unread as (
             select kind from notifications
             where user_id = $1 and read_at is null and (ends_at is null or ends_at > $2)
           )
           select (select count(*) from unread) as "unread!",
                  (select count(*) from unread where kind = 'announcement') as "announcements!",
                  (select count(*) from invites
                   where target_user_id = $1 and status = 'pending' and expires_at > $2) as "invites!",
                  (select count(*) from requests where target_user_id = $1 and status = 'pending') as "requests!",
                  (select count(*) from sessions
                   where $1 in (host_user_id, guest_user_id) and start_time >= $2 and start_time < $3
                     and status = 'pending') as "upcoming_sessions!""#,
        user_id.0,
        now,
        now + TimeDelta::days(7),
    )
    .fetch_one(conn)
    .await
}

/// Deletes a batch of what was read before one time, and of what was said before another. Says how many.
pub(super) async fn prune(pool: &Pool, (read, said): (DateTime<Utc>, DateTime<Utc>), limit: i64) -> sqlx::Result<u64> {
    // Ids grow with time, so the oldest are found first.
    let done = sqlx::query!(
        "delete from notifications where id in (
           (select id from notifications where read_at < $1 limit $3)
           union all
           select id from (select id, created_at from notifications order by id limit $3) oldest where created_at < $2)",
        read,
        said,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// A page of a walk, newest first.
pub(super) struct Walk {
    pub caller: UserId,
    pub unread: bool,
    pub before: Option<NotificationId>,
    pub limit: i64,
}

pub(super) async fn list(conn: &mut PgConnection, walk: &Walk, now: DateTime<Utc>) -> sqlx::Result<Vec<Notification>> {
    sqlx::query_as!(
        Notification,
        r#"select id as "id: NotificationId", kind as "type: NotificationKind", title, body, data,
                  read_at as "read_at: Timestamp", created_at as "created_at: Timestamp"
           from notifications
           where user_id = $1 and (not $2 or read_at is null) and ($3::uuid is null or id < $3)
             and (ends_at is null or ends_at > $4)
           order by id desc limit $5"#,
        walk.caller.0,
        walk.unread,
        walk.before.map(|id| id.0),
        now,
        walk.limit,
    )
    .fetch_all(conn)
    .await
}
