//! SQL of announcements.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Announcement, AnnouncementStatus, Audience, Progress, Times};
use crate::{
    id::{AnnouncementId, UserId},
    pool::Pool,
    text::Timestamp,
};

pub(super) async fn insert(conn: &mut PgConnection, new: &Announcement) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into announcements (id, author_user_id, title, body, audience, email, starts_at, ends_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.id.0,
        new.author_user_id.0,
        new.title,
        new.body,
        new.audience as Audience,
        new.email,
        new.starts_at.0,
        new.ends_at.map(|time| time.0),
        new.created_at.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn list(pool: &Pool, before: Option<AnnouncementId>, limit: i64) -> sqlx::Result<Vec<Announcement>> {
    let rows = sqlx::query!(
        r#"select id as "id: AnnouncementId", author_user_id as "author_user_id: UserId", title, body,
                  audience as "audience: Audience", email, starts_at as "starts_at: Timestamp",
                  ends_at as "ends_at: Timestamp", created_at as "created_at: Timestamp",
                  total, sent, begun_at, sent_at, finished_at
           from announcements where $1::uuid is null or id < $1 order by id desc limit $2"#,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Announcement {
            id: row.id,
            author_user_id: row.author_user_id,
            title: row.title,
            body: row.body,
            audience: row.audience,
            email: row.email,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            status: match (row.begun_at, row.finished_at) {
                (None, _) => AnnouncementStatus::Scheduled,
                (Some(_), None) => AnnouncementStatus::Sending,
                (Some(_), Some(_)) => AnnouncementStatus::Sent,
            },
            progress: Progress::new(
                row.sent,
                row.total,
                Times { began: row.begun_at, last: row.sent_at, is_over: row.finished_at.is_some() },
            ),
            created_at: row.created_at,
        })
        .collect())
}

/// An announcement on its way.
pub(super) struct Unfinished {
    pub title: String,
    pub body: String,
    pub audience: Audience,
    pub email: bool,
    pub starts_at: DateTime<Utc>,
    pub ends_at: Option<DateTime<Utc>>,
    pub total: Option<i64>,
    reached: Option<UserId>,
}

/// `None` where nothing is left to do.
pub(super) async fn lock_unfinished(conn: &mut PgConnection, id: AnnouncementId) -> sqlx::Result<Option<Unfinished>> {
    sqlx::query_as!(
        Unfinished,
        r#"select title, body, audience as "audience: Audience", email, starts_at, ends_at, total,
                  reached as "reached: UserId"
           from announcements where id = $1 and finished_at is null for update"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// Counts whom it is for, as of now.
pub(super) async fn begin(
    conn: &mut PgConnection,
    id: AnnouncementId,
    audience: Audience,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update announcements set begun_at = $3, sent_at = $3,
           total = (select count(*) from users u
                    where u.suspended_at is null and is_in_audience($2, u.role, u.conversation_type, u.id))
         where id = $1",
        id.0,
        audience as Audience,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn next_people(
    conn: &mut PgConnection,
    announcement: &Unfinished,
    limit: i64,
) -> sqlx::Result<Vec<UserId>> {
    sqlx::query_scalar!(
        r#"select u.id as "id: UserId" from users u
           where ($1::uuid is null or u.id > $1) and u.suspended_at is null
             and is_in_audience($2, u.role, u.conversation_type, u.id)
           order by u.id limit $3"#,
        announcement.reached.map(|id| id.0),
        announcement.audience as Audience,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// How far a batch came.
pub(super) struct Step {
    pub sent: i64,
    pub reached: Option<UserId>,
    pub is_last: bool,
    pub after: DateTime<Utc>,
}

pub(super) async fn advance(conn: &mut PgConnection, id: AnnouncementId, step: &Step) -> sqlx::Result<()> {
    sqlx::query!(
        "update announcements set sent = sent + $2, reached = coalesce($3, reached), sent_at = $5::timestamptz,
           finished_at = case when $4 then $5::timestamptz end
         where id = $1",
        id.0,
        step.sent,
        step.reached.map(|id| id.0),
        step.is_last,
        step.after,
    )
    .execute(conn)
    .await?;
    Ok(())
}
