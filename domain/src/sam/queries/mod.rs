//! SQL of Sam's runs.

mod actions;
mod mentions;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};

pub(super) use actions::{actions_of, decide_action, insert_action, lock_action};
pub(super) use mentions::{
    Answer, Forgotten, insert_mentions, lock_answers_about, remove_mentions, rewrite_actions, rewrite_answers,
};

use super::{Context, Failure, Run, RunStatus, gemini::Usage, history::PastRun};
use crate::{
    id::{ConversationId, RunId, UserId},
    pool::Pool,
    text::Timestamp,
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

/// Keeps others from asking and answering in a conversation with Sam, and so from spending its user's budget.
pub(super) async fn lock_conversation(conn: &mut PgConnection, id: ConversationId) -> sqlx::Result<()> {
    sqlx::query!("select id from conversations where id = $1 for no key update", id.0).fetch_optional(conn).await?;
    Ok(())
}

/// Counts what a question may take, before it does.
pub(super) async fn reserve(conn: &mut PgConnection, id: RunId, usage: &Usage) -> sqlx::Result<()> {
    sqlx::query!(
        "update sam_runs set input_tokens = input_tokens + $2, output_tokens = output_tokens + $3, cost_micros = cost_micros + $4
         where id = $1",
        id.0,
        usage.input_tokens,
        usage.output_tokens,
        usage.cost_micros,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How a question ended.
pub(super) struct Outcome {
    pub fallback: Option<Failure>,
    /// What it took.
    pub usage: Usage,
    /// What had been counted for it before.
    pub reserved: Usage,
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
        "update sam_runs set status = 'complete', answer_seq = $2, fallback = $3, model_calls = $4,
           input_tokens = input_tokens + $5, output_tokens = output_tokens + $6, cost_micros = cost_micros + $7, dropped_actions = $8, finished_at = $9, context = '{}'
         where id = $1 and status = 'running'",
        id.0,
        answer,
        outcome.fallback as Option<Failure>,
        outcome.usage.calls,
        outcome.usage.input_tokens - outcome.reserved.input_tokens,
        outcome.usage.output_tokens - outcome.reserved.output_tokens,
        outcome.usage.cost_micros - outcome.reserved.cost_micros,
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

/// Somebody's questions, newest first, without what was proposed.
pub(super) async fn runs_of(
    pool: &Pool,
    user_id: UserId,
    before: Option<RunId>,
    limit: i64,
) -> sqlx::Result<Vec<PastRun>> {
    let rows = sqlx::query!(
        r#"select id as "id: RunId", status as "status: RunStatus", question_seq, answer_seq, fallback as "fallback: Failure",
                  input_tokens, output_tokens, created_at as "created_at: Timestamp", finished_at as "finished_at: Timestamp"
           from sam_runs where user_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3"#,
        user_id.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| PastRun {
            run_id: row.id,
            status: row.status,
            question_message_id: row.question_seq,
            message_id: row.answer_seq,
            fallback: row.fallback,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            created_at: row.created_at,
            finished_at: row.finished_at,
            actions: Vec::new(),
        })
        .collect())
}
