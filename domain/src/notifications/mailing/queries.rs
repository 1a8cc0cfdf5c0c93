//! SQL of mail about notifications.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::Reader;
use crate::{
    id::{NotificationId, UserId},
    notifications::{Digest, NotificationKind, Preferences, preferences::queries::Columns},
};

/// A notification and what its mail depends on.
pub(super) struct Found {
    pub user_id: UserId,
    pub kind: NotificationKind,
    pub title: String,
    pub body: String,
    pub data: Value,
    pub is_read: bool,
    pub reader: Reader,
    pub preferences: Preferences,
}

/// `None` where it has ended or its reader is shut out.
pub(super) async fn notification(
    conn: &mut PgConnection,
    id: NotificationId,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Found>> {
    let row = sqlx::query!(
        r#"select n.user_id as "user_id: UserId", n.kind as "kind: NotificationKind", n.title, n.body, n.data,
                  n.read_at is not null as "is_read!", u.email, u.name, u.timezone,
                  p.mail as "mail?: Json<BTreeMap<NotificationKind, bool>>", p.digest as "digest?: Digest",
                  p.digest_hour as "digest_hour?", p.quiet_start, p.quiet_end
           from notifications n
           join users u on u.id = n.user_id
           left join notification_preferences p on p.user_id = n.user_id
           where n.id = $1 and u.suspended_at is null and (n.ends_at is null or n.ends_at > $2)"#,
        id.0,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Found {
        user_id: row.user_id,
        kind: row.kind,
        title: row.title,
        body: row.body,
        data: row.data,
        is_read: row.is_read,
        reader: Reader { email: row.email, name: row.name, timezone: row.timezone },
        preferences: Preferences::from(Columns {
            mail: row.mail,
            digest: row.digest,
            digest_hour: row.digest_hour,
            quiet_start: row.quiet_start,
            quiet_end: row.quiet_end,
        }),
    }))
}

/// Somebody for whom a digest is due.
pub(super) struct Due {
    pub user_id: UserId,
    pub timezone: String,
    digest: Digest,
    digest_hour: i16,
    quiet_start: Option<i16>,
    quiet_end: Option<i16>,
    /// Where the former digest ended.
    pub since: DateTime<Utc>,
    /// Whether anything unread came since.
    pub has_news: bool,
}

impl Due {
    pub(super) fn preferences(&self) -> Preferences {
        Preferences::from(Columns {
            mail: None,
            digest: Some(self.digest),
            digest_hour: Some(self.digest_hour),
            quiet_start: self.quiet_start,
            quiet_end: self.quiet_end,
        })
    }
}

/// Those whom nobody else is planning for.
pub(super) async fn lock_due(
    conn: &mut PgConnection,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<Due>> {
    sqlx::query_as!(
        Due,
        r#"select p.user_id as "user_id: UserId", u.timezone, p.digest as "digest: Digest", p.digest_hour,
                  p.quiet_start, p.quiet_end, p.digested_until as "since!",
                  u.suspended_at is null
                  and exists (select from notifications n
                              where n.user_id = p.user_id and n.read_at is null
                                and n.created_at >= p.digested_until and n.created_at < $1) as "has_news!"
           from notification_preferences p join users u on u.id = p.user_id
           where p.next_digest_at <= $2
           order by p.next_digest_at limit $3
           for no key update of p skip locked"#,
        until,
        now,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// When whose next digest is due.
#[derive(Default)]
pub(super) struct Next {
    people: Vec<Uuid>,
    due: Vec<DateTime<Utc>>,
}

impl Next {
    pub(super) fn push(&mut self, user_id: UserId, due: DateTime<Utc>) {
        self.people.push(user_id.0);
        self.due.push(due);
    }
}

pub(super) async fn plan(conn: &mut PgConnection, next: &Next, until: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "update notification_preferences p
         set next_digest_at = n.due, digested_until = greatest(p.digested_until, $3)
         from unnest($1::uuid[], $2::timestamptz[]) as n (person, due) where p.user_id = n.person",
        &next.people,
        &next.due,
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Who gets a digest; `None` where they are gone or shut out.
pub(super) async fn reader(conn: &mut PgConnection, user_id: UserId) -> sqlx::Result<Option<(Reader, Preferences)>> {
    let row = sqlx::query!(
        r#"select u.email, u.name, u.timezone, p.digest as "digest: Digest", p.digest_hour, p.quiet_start, p.quiet_end
           from users u join notification_preferences p on p.user_id = u.id
           where u.id = $1 and u.suspended_at is null"#,
        user_id.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let columns = Columns {
            mail: None,
            digest: Some(row.digest),
            digest_hour: Some(row.digest_hour),
            quiet_start: row.quiet_start,
            quiet_end: row.quiet_end,
        };
        (Reader { email: row.email, name: row.name, timezone: row.timezone }, columns.into())
    }))
}

/// What came in the span and is unread, newest first.
pub(super) async fn unread_titles(
    conn: &mut PgConnection,
    user_id: UserId,
    (since, until): (DateTime<Utc>, DateTime<Utc>),
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "select title from notifications
         where user_id = $1 and read_at is null and created_at >= $2 and created_at < $3
           and (ends_at is null or ends_at > $4)
         order by id desc limit 1000",
        user_id.0,
        since,
        until,
        now,
    )
    .fetch_all(conn)
    .await
}
