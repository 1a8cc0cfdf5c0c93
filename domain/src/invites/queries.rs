//! SQL of invites.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Host, Invite, InviteStatus};
use crate::{
    id::{ConversationId, InviteId, RequestId, SessionId, UserId},
    pool::Pool,
    text::Timestamp,
    users::{ConversationType, DisplayMode},
};

pub(super) async fn host(conn: &mut PgConnection, id: UserId, now: DateTime<Utc>) -> sqlx::Result<Option<Host>> {
    sqlx::query_as!(
        Host,
        r#"select conversation_type as "conversation_type: ConversationType", display_mode as "display_mode: DisplayMode", managed,
                  confidential_rate,
                  user_is_online(presence_state, present_until, id, $2) as "is_online!"
           from users where id = $1 and suspended_at is null"#,
        id.0,
        now,
    )
    .fetch_optional(conn)
    .await
}

/// (requester, host), if `caller` is one of them.
pub(super) async fn parties(
    conn: &mut PgConnection,
    id: InviteId,
    caller: UserId,
) -> sqlx::Result<Option<(UserId, UserId)>> {
    let row = sqlx::query!(
        r#"select requester_user_id as "requester: UserId", target_user_id as "target: UserId"
           from invites where id = $1 and $2 in (requester_user_id, target_user_id)"#,
        id.0,
        caller.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.requester, row.target)))
}

pub(super) struct NewInvite {
    pub id: InviteId,
    pub conversation_id: ConversationId,
    pub requester: UserId,
    pub target: UserId,
    pub expires_at: DateTime<Utc>,
}

pub(super) async fn insert(conn: &mut PgConnection, new: &NewInvite, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into invites (id, conversation_id, requester_user_id, target_user_id, expires_at, created_at)
         values ($1, $2, $3, $4, $5, $6)",
        new.id.0,
        new.conversation_id.0,
        new.requester.0,
        new.target.0,
        new.expires_at,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn lock(conn: &mut PgConnection, id: InviteId) -> sqlx::Result<Option<Invite>> {
    sqlx::query_as!(
        Invite,
        r#"select id as "id: InviteId", conversation_id as "conversation_id: ConversationId",
                  requester_user_id as "requester_user_id: UserId", target_user_id as "target_user_id: UserId",
                  status as "status: InviteStatus", expires_at as "expires_at: Timestamp", created_at as "server_now: Timestamp",
                  resolved_at as "resolved_at: Timestamp", created_at as "created_at: Timestamp",
                  session_id as "session_id: SessionId", request_id as "request_id: RequestId",
                  booking_id as "booking_id: SessionId"
           from invites where id = $1 for update"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

pub(super) async fn lock_pending(
    conn: &mut PgConnection,
    conversation_id: ConversationId,
) -> sqlx::Result<Option<Invite>> {
    sqlx::query_as!(
        Invite,
        r#"select id as "id: InviteId", conversation_id as "conversation_id: ConversationId",
                  requester_user_id as "requester_user_id: UserId", target_user_id as "target_user_id: UserId",
                  status as "status: InviteStatus", expires_at as "expires_at: Timestamp", created_at as "server_now: Timestamp",
                  resolved_at as "resolved_at: Timestamp", created_at as "created_at: Timestamp",
                  session_id as "session_id: SessionId", request_id as "request_id: RequestId",
                  booking_id as "booking_id: SessionId"
           from invites where conversation_id = $1 and status = 'pending' for update"#,
        conversation_id.0,
    )
    .fetch_optional(conn)
    .await
}

pub(super) async fn pending(pool: &Pool, user_id: UserId, now: DateTime<Utc>) -> sqlx::Result<Vec<Invite>> {
    sqlx::query_as!(
        Invite,
        r#"select id as "id: InviteId", conversation_id as "conversation_id: ConversationId",
                  requester_user_id as "requester_user_id: UserId", target_user_id as "target_user_id: UserId",
                  status as "status: InviteStatus", expires_at as "expires_at: Timestamp", created_at as "server_now: Timestamp",
                  resolved_at as "resolved_at: Timestamp", created_at as "created_at: Timestamp",
                  session_id as "session_id: SessionId", request_id as "request_id: RequestId",
                  booking_id as "booking_id: SessionId"
           from invites
           where (target_user_id = $1 or requester_user_id = $1) and status = 'pending' and expires_at > $2
           order by id desc limit 100"#,
        user_id.0,
        now,
    )
    .fetch_all(pool)
    .await
}

/// False when it had an outcome already.
pub(super) async fn resolve(
    conn: &mut PgConnection,
    id: InviteId,
    outcome: InviteStatus,
    session_id: Option<SessionId>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update invites set status = $2, session_id = $3, resolved_at = $4 where id = $1 and status = 'pending'",
        id.0,
        outcome as InviteStatus,
        session_id.map(|id| id.0),
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

pub(super) async fn host_of(conn: &mut PgConnection, id: InviteId) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(r#"select target_user_id as "host: UserId" from invites where id = $1"#, id.0)
        .fetch_optional(conn)
        .await
}

/// Notes what an invite was turned into.
pub(super) async fn set_request(conn: &mut PgConnection, id: InviteId, request: RequestId) -> sqlx::Result<()> {
    sqlx::query!("update invites set request_id = $2 where id = $1", id.0, request.0).execute(conn).await?;
    Ok(())
}

/// Notes what an invite was turned into.
pub(super) async fn set_booking(conn: &mut PgConnection, id: InviteId, session: SessionId) -> sqlx::Result<()> {
    sqlx::query!("update invites set booking_id = $2 where id = $1", id.0, session.0).execute(conn).await?;
    Ok(())
}

/// Some of what waits for or from somebody.
pub(super) async fn waiting(conn: &mut PgConnection, person: UserId, most: i64) -> sqlx::Result<Vec<InviteId>> {
    sqlx::query_scalar!(
        r#"select id as "id: InviteId" from invites
           where status = 'pending' and $1 in (requester_user_id, target_user_id) order by id limit $2"#,
        person.0,
        most,
    )
    .fetch_all(conn)
    .await
}

pub(super) async fn all_of(
    conn: &mut PgConnection,
    person: UserId,
    before: Option<InviteId>,
    limit: i64,
) -> sqlx::Result<Vec<Invite>> {
    sqlx::query_as!(
        Invite,
        r#"select id as "id: InviteId", conversation_id as "conversation_id: ConversationId",
                  requester_user_id as "requester_user_id: UserId", target_user_id as "target_user_id: UserId",
                  status as "status: InviteStatus", expires_at as "expires_at: Timestamp", created_at as "server_now: Timestamp",
                  resolved_at as "resolved_at: Timestamp", created_at as "created_at: Timestamp",
                  session_id as "session_id: SessionId", request_id as "request_id: RequestId",
                  booking_id as "booking_id: SessionId"
           from invites where $1 in (requester_user_id, target_user_id) and ($2::uuid is null or id < $2)
           order by id desc limit $3"#,
        person.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}
