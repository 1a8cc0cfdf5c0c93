//! SQL of Sam's runs and proposals.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};

use super::{Context, Deed, Failure, Run, RunStatus, gemini::Usage, proposals::ActionStatus};
use crate::{
    id::{ActionId, ConversationId, RunId, UserId},
    pool::Pool,
};

/// Sam's conversation with somebody, made if need be.
pub(super) async fn conversation(
    conn: &mut PgConnection,
    id: ConversationId,
    user_id: UserId,
    now: DateTime<Utc>,
) -> sqlx::Result<ConversationId> {
    sqlx::query!(
        "with conversation as (
           insert into conversations (id, type, first_user_id, last_activity, created_at) values ($1, 'sam', $2, $3, $3)
           on conflict (first_user_id) where type = 'sam' do nothing returning id, first_user_id
         )
         insert into conversation_participants (conversation_id, user_id) select id, first_user_id from conversation",
        id.0,
        user_id.0,
        now,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query_scalar!(
        r#"select id as "id: ConversationId" from conversations where type = 'sam' and first_user_id = $1"#,
        user_id.0,
    )
    .fetch_one(conn)
    .await
}

/// A question about to be stored.
pub(super) struct NewRun<'a> {
    pub id: RunId,
    pub user_id: UserId,
    pub conversation_id: ConversationId,
    pub question: i64,
    pub context: &'a Context,
}

pub(super) async fn insert_run(conn: &mut PgConnection, new: &NewRun<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into sam_runs (id, user_id, conversation_id, question_seq, context, created_at)
         values ($1, $2, $3, $4, $5, $6)",
        new.id.0,
        new.user_id.0,
        new.conversation_id.0,
        new.question,
        Json(new.context) as _,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A question that waits for its answer.
pub(super) struct Open {
    pub user_id: UserId,
    pub name: String,
    pub timezone: String,
    pub conversation_id: ConversationId,
    pub question: i64,
    pub context: Json<Context>,
    pub created_at: DateTime<Utc>,
}

/// `None` where it is answered, or gone.
pub(super) async fn open_run(conn: &mut PgConnection, id: RunId) -> sqlx::Result<Option<Open>> {
    sqlx::query_as!(
        Open,
        r#"select r.user_id as "user_id: UserId", u.name, u.timezone, r.conversation_id as "conversation_id: ConversationId",
                  r.question_seq as question, r.context as "context: Json<Context>", r.created_at
           from sam_runs r join users u on u.id = r.user_id where r.id = $1 and r.status = 'running'"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// What somebody's questions took since then: tokens, and millionths of a dollar.
pub(super) async fn taken(conn: &mut PgConnection, user_id: UserId, since: DateTime<Utc>) -> sqlx::Result<(i64, i64)> {
    let row = sqlx::query!(
        r#"select coalesce(sum(input_tokens + output_tokens), 0)::bigint as "tokens!",
                  coalesce(sum(cost_micros), 0)::bigint as "micros!"
           from sam_runs where user_id = $1 and created_at >= $2"#,
        user_id.0,
        since,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.tokens, row.micros))
}

/// How a question ended.
pub(super) struct Outcome {
    pub fallback: Option<Failure>,
    pub usage: Usage,
    pub dropped: i32,
}

/// Says that a question is about to be answered; false where it was. Its answer is still to be stored.
pub(super) async fn close_run(
    conn: &mut PgConnection,
    id: RunId,
    answer: i64,
    outcome: &Outcome,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update sam_runs set status = 'complete', answer_seq = $2, fallback = $3, model_calls = $4, input_tokens = $5,
           output_tokens = $6, cost_micros = $7, dropped_actions = $8, finished_at = $9, context = '{}'
         where id = $1 and status = 'running'",
        id.0,
        answer,
        outcome.fallback as Option<Failure>,
        outcome.usage.calls,
        outcome.usage.input_tokens,
        outcome.usage.output_tokens,
        outcome.usage.cost_micros,
        outcome.dropped,
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Keeps others from answering the question meanwhile; false where it is answered.
pub(super) async fn lock_run(conn: &mut PgConnection, id: RunId) -> sqlx::Result<bool> {
    let row = sqlx::query!("select id from sam_runs where id = $1 and status = 'running' for update", id.0);
    Ok(row.fetch_optional(conn).await?.is_some())
}

/// Runs by id, of this person's alone if one is named.
pub(super) async fn find_runs(pool: &Pool, ids: &[RunId], user_id: Option<UserId>) -> sqlx::Result<Vec<Run>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select r.id as "id: RunId", r.status as "status: RunStatus", r.conversation_id as "conversation_id: ConversationId",
                  r.answer_seq, r.fallback as "fallback: Failure", m.content as "content?",
                  m.actions as "actions?: Json<Vec<Value>>"
           from sam_runs r
           left join messages m on m.conversation_id = r.conversation_id and m.seq = r.answer_seq
           where r.id = any($1) and ($2::uuid is null or r.user_id = $2)"#,
        &ids,
        user_id.map(|id| id.0),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Run {
            run_id: row.id,
            status: row.status,
            conversation_id: row.conversation_id,
            message_id: row.answer_seq,
            text: row.content,
            actions: row.actions.map(|json| json.0),
            fallback: row.fallback,
        })
        .collect())
}

pub(super) async fn insert_action(
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
pub(super) struct Stored {
    pub deed: Json<Deed>,
    pub terms: Json<serde_json::Map<String, Value>>,
    pub status: ActionStatus,
    pub result: Option<Json<Value>>,
    pub expires_at: DateTime<Utc>,
}

/// Somebody's own proposal, until the unit of work ends nobody else's.
pub(super) async fn lock_action(
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
pub(super) async fn decide_action(
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
