//! SQL of the audit log.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::{AuditAction, AuditEntry, AuditQuery};
use crate::{
    id::{AuditEntryId, UserId},
    text::Timestamp,
};

pub(super) struct NewEntry<'a> {
    pub id: AuditEntryId,
    pub actor: UserId,
    pub action: AuditAction,
    pub target: &'a str,
    pub before: &'a Value,
    pub after: &'a Value,
    pub request_id: Option<String>,
}

pub(super) async fn insert(conn: &mut PgConnection, entry: &NewEntry<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into audit_log (id, actor_user_id, action, target, before, after, request_id, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        entry.id.0,
        entry.actor.0,
        entry.action as AuditAction,
        entry.target,
        entry.before,
        entry.after,
        entry.request_id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A page of a walk.
pub(super) struct Walk<'a> {
    pub query: &'a AuditQuery,
    pub actor: Option<UserId>,
    pub before: Option<AuditEntryId>,
    pub limit: i64,
}

pub(super) async fn list(conn: &mut PgConnection, walk: &Walk<'_>) -> sqlx::Result<Vec<AuditEntry>> {
    sqlx::query_as!(
        AuditEntry,
        r#"select id as "id: AuditEntryId", actor_user_id as "actor_user_id: UserId", action as "action: AuditAction", target,
                  before, after, request_id, created_at as "created_at: Timestamp"
           from audit_log
           where ($1::uuid is null or actor_user_id = $1) and ($2::text is null or action = $2)
             and ($3::text is null or target = $3) and ($4::uuid is null or id < $4)
           order by id desc limit $5"#,
        walk.actor.map(|id| id.0),
        walk.query.action as Option<AuditAction>,
        walk.query.target,
        walk.before.map(|id| id.0),
        walk.limit,
    )
    .fetch_all(conn)
    .await
}
