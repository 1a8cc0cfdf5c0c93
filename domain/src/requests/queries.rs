//! SQL of requests.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{NewRequest, Position, Request, RequestRole, RequestStatus};
use crate::{
    auth::Role,
    id::{ConversationId, RequestId, UserId},
    pool::Pool,
    text::Timestamp,
};

pub(super) async fn insert(
    conn: &mut PgConnection,
    id: RequestId,
    (requester, target): (UserId, UserId),
    new: &NewRequest,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into requests (id, requester_user_id, target_user_id, message, preferred_time, budget_range,
                               created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7)",
        id.0,
        requester.0,
        target.0,
        new.message,
        new.preferred_time,
        new.budget_range,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn lock(conn: &mut PgConnection, id: RequestId) -> sqlx::Result<Option<Request>> {
    sqlx::query_as!(
        Request,
        r#"select id as "id: RequestId", requester_user_id as "requester_user_id: UserId",
                  target_user_id as "target_user_id: UserId", message, preferred_time, budget_range,
                  status as "status: RequestStatus", conversation_id as "conversation_id: ConversationId",
                  decided_at as "decided_at: Timestamp", created_at as "created_at: Timestamp",
                  updated_at as "updated_at: Timestamp"
           from requests where id = $1 for update"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// The pair's request that waits.
pub(super) async fn lock_pending(
    conn: &mut PgConnection,
    requester: UserId,
    target: UserId,
) -> sqlx::Result<Option<Request>> {
    sqlx::query_as!(
        Request,
        r#"select id as "id: RequestId", requester_user_id as "requester_user_id: UserId",
                  target_user_id as "target_user_id: UserId", message, preferred_time, budget_range,
                  status as "status: RequestStatus", conversation_id as "conversation_id: ConversationId",
                  decided_at as "decided_at: Timestamp", created_at as "created_at: Timestamp",
                  updated_at as "updated_at: Timestamp"
           from requests where requester_user_id = $1 and target_user_id = $2 and status = 'pending' for update"#,
        requester.0,
        target.0,
    )
    .fetch_optional(conn)
    .await
}

/// (requester, target) of a request that the caller is a party of, answers for, or may see as an
/// admin.
pub(super) async fn parties(
    conn: &mut PgConnection,
    id: RequestId,
    caller: UserId,
    role: Role,
) -> sqlx::Result<Option<(UserId, UserId)>> {
    let row = sqlx::query!(
        r#"select r.requester_user_id as "requester: UserId", r.target_user_id as "target: UserId"
           from requests r join users t on t.id = r.target_user_id
           where r.id = $1 and ($2 in (r.requester_user_id, r.target_user_id) or $3 = 'admin'
                                or ($3 = 'manager' and t.managed and t.manager_id = $2))"#,
        id.0,
        caller.0,
        role as Role,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.requester, row.target)))
}

/// False when it was decided before.
pub(super) async fn resolve(
    conn: &mut PgConnection,
    id: RequestId,
    status: RequestStatus,
    conversation_id: Option<ConversationId>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update requests set status = $2, conversation_id = $3, decided_at = $4, updated_at = $4,
                             decided_in = pg_current_xact_id()
         where id = $1 and status = 'pending'",
        id.0,
        status as RequestStatus,
        conversation_id.map(|id| id.0),
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Requests that wait, to people whom staff answer for; newest first.
pub(super) async fn to_managed(
    conn: &mut PgConnection,
    before: Option<RequestId>,
    limit: i64,
) -> sqlx::Result<Vec<Request>> {
    sqlx::query_as!(
        Request,
        r#"select id as "id: RequestId", requester_user_id as "requester_user_id: UserId",
                  target_user_id as "target_user_id: UserId", message, preferred_time, budget_range,
                  status as "status: RequestStatus", conversation_id as "conversation_id: ConversationId",
                  decided_at as "decided_at: Timestamp", created_at as "created_at: Timestamp",
                  updated_at as "updated_at: Timestamp"
           from requests
           where status = 'pending' and exists (select from users u where u.id = target_user_id and u.managed)
             and ($1::uuid is null or id < $1)
           order by id desc limit $2"#,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

pub(super) async fn all_of(
    conn: &mut PgConnection,
    person: UserId,
    before: Option<RequestId>,
    limit: i64,
) -> sqlx::Result<Vec<Request>> {
    sqlx::query_as!(
        Request,
        r#"select id as "id: RequestId", requester_user_id as "requester_user_id: UserId",
                  target_user_id as "target_user_id: UserId", message, preferred_time, budget_range,
                  status as "status: RequestStatus", conversation_id as "conversation_id: ConversationId",
                  decided_at as "decided_at: Timestamp", created_at as "created_at: Timestamp",
                  updated_at as "updated_at: Timestamp"
           from requests where $1 in (requester_user_id, target_user_id) and ($2::uuid is null or id < $2)
           order by id desc limit $3"#,
        person.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Some of what waits for or from somebody.
pub(super) async fn waiting(conn: &mut PgConnection, person: UserId, most: i64) -> sqlx::Result<Vec<RequestId>> {
    sqlx::query_scalar!(
        r#"select id as "id: RequestId" from requests
           where status = 'pending' and $1 in (requester_user_id, target_user_id) order by id limit $2"#,
        person.0,
        most,
    )
    .fetch_all(conn)
    .await
}

/// A page of a walk.
pub(super) struct Walk<'a> {
    pub caller: UserId,
    pub role: RequestRole,
    /// Requests decided before then aren't shown.
    pub since: DateTime<Utc>,
    pub after: Option<&'a Position>,
    pub limit: i64,
}

/// How the walk sees a request.
pub(super) struct Seen {
    /// What was committed when the walk began.
    pub began: String,
    /// Whether the request waited then.
    pub pending: bool,
}

/// What was committed after the walk began does not exist for it: neither requests nor decisions,
/// which would move one.
pub(super) async fn list(pool: &Pool, walk: &Walk<'_>) -> sqlx::Result<Vec<(Request, Seen)>> {
    let rows = sqlx::query!(
        r#"with walk as materialized (
             select coalesce($3::text::pg_snapshot, pg_current_snapshot()) as began
           ), mine as (
             select r.*, began, r.decided_in is null or not pg_visible_in_snapshot(r.decided_in, began) as waited
             from walk, requests r
             where case when $2 then r.requester_user_id = $1 else r.target_user_id = $1 end
               and pg_visible_in_snapshot(r.stored_in, began)
           )
           select id as "id: RequestId", requester_user_id as "requester_user_id: UserId",
                  target_user_id as "target_user_id: UserId", message, preferred_time, budget_range,
                  status as "status: RequestStatus", conversation_id as "conversation_id: ConversationId",
                  decided_at as "decided_at: Timestamp", created_at as "created_at: Timestamp",
                  updated_at as "updated_at: Timestamp", began::text as "began!", waited as "waited!"
           from mine
           where (waited or decided_at > $4) and ($5::boolean is null or (waited, id) < ($5, $6))
           order by waited desc, id desc limit $7"#,
        walk.caller.0,
        walk.role == RequestRole::Requester,
        walk.after.map(|after| after.began.as_str()),
        walk.since,
        walk.after.map(|after| after.pending),
        walk.after.map(|after| after.id.0),
        walk.limit,
    )
    .fetch_all(pool)
    .await?;
    let seen = |began, pending| Seen { began, pending };
    Ok(rows
        .into_iter()
        .map(|row| {
            let request = Request {
                id: row.id,
                requester_user_id: row.requester_user_id,
                target_user_id: row.target_user_id,
                message: row.message,
                preferred_time: row.preferred_time,
                budget_range: row.budget_range,
                status: row.status,
                decided_at: row.decided_at,
                created_at: row.created_at,
                updated_at: row.updated_at,
                conversation_id: row.conversation_id,
            };
            (request, seen(row.began, row.waited))
        })
        .collect())
}
