//! SQL of what Sam proposed.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};

use crate::{
    id::{ActionId, RunId, UserId},
    pool::Pool,
    sam::{Deed, history::PastAction, proposals::ActionStatus},
    text::Timestamp,
};

pub(in crate::sam) async fn insert_action(
    conn: &mut PgConnection,
    (id, run_id, user_id): (ActionId, RunId, UserId),
    (deed, terms): (&Deed, &serde_json::Map<String, Value>),
    (now, expires_at): (DateTime<Utc>, DateTime<Utc>),
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into sam_actions (id, run_id, user_id, deed, terms, expires_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        id.0,
        run_id.0,
        user_id.0,
        Json(deed) as _,
        Json(terms) as _,
        expires_at,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A proposal's row.
pub(in crate::sam) struct Stored {
    pub deed: Json<Deed>,
    pub terms: Json<serde_json::Map<String, Value>>,
    pub status: ActionStatus,
    pub result: Option<Json<Value>>,
    pub expires_at: DateTime<Utc>,
}

/// Somebody's own proposal, until the unit of work ends nobody else's.
pub(in crate::sam) async fn lock_action(
    conn: &mut PgConnection,
    id: ActionId,
    user_id: UserId,
) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as!(
        Stored,
        r#"select deed as "deed: Json<Deed>", terms as "terms: Json<serde_json::Map<String, Value>>",
                  status as "status: ActionStatus", result as "result: Json<Value>", expires_at
           from sam_actions where id = $1 and user_id = $2 for update"#,
        id.0,
        user_id.0,
    )
    .fetch_optional(conn)
    .await
}

/// False where it was decided before.
pub(in crate::sam) async fn decide_action(
    conn: &mut PgConnection,
    id: ActionId,
    status: ActionStatus,
    result: Option<&Value>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update sam_actions set status = $2, result = $3, decided_at = $4 where id = $1 and status = 'proposed'",
        id.0,
        status as ActionStatus,
        result.map(Json) as _,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// What was proposed in these runs, in order, each with its run.
pub(in crate::sam) async fn actions_of(pool: &Pool, runs: &[RunId]) -> sqlx::Result<Vec<(RunId, PastAction)>> {
    let runs: Vec<_> = runs.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select run_id as "run_id: RunId", id as "id: ActionId", deed as "deed: Json<Deed>", status as "status: ActionStatus",
                  result as "result: Json<Value>", expires_at as "expires_at: Timestamp", decided_at as "decided_at: Timestamp"
           from sam_actions where run_id = any($1) order by id"#,
        &runs,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let past = PastAction {
                deed: row.deed.0,
                action_id: row.id,
                status: row.status,
                result: row.result.map(|json| json.0),
                expires_at: row.expires_at,
                decided_at: row.decided_at,
            };
            (row.run_id, past)
        })
        .collect())
}
