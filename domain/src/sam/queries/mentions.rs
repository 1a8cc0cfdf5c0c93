//! SQL of whom answers may speak of.

use serde_json::Value;
use sqlx::{PgConnection, types::Json};

use crate::{
    id::{ActionId, ConversationId, UserId},
    sam::{Deed, Place},
};

/// Notes who was looked up for an answer, and who of the answers from `since` on is named in its words. Who has left
/// meanwhile has no name to look for.
pub(in crate::sam) async fn insert_mentions(
    conn: &mut PgConnection,
    (conversation_id, answer): Place,
    people: &[UserId],
    (since, words): (i64, &str),
) -> sqlx::Result<()> {
    let people: Vec<_> = people.iter().map(|id| id.0).collect();
    sqlx::query!(
        "insert into sam_mentions (conversation_id, seq, user_id)
         select $1::uuid, $2::bigint, id from unnest($3::uuid[]) as id
         union
         select $1, $2, u.id from sam_mentions s join users u on u.id = s.user_id
         where s.conversation_id = $1 and s.seq >= $4 and s.seq < $2
           and (u.erased_at is not null
                or exists (select from unnest(string_to_array(lower(u.name), ' ')) as word
                           where word <> '' and strpos(lower($5), word) > 0))",
        conversation_id.0,
        answer,
        &people,
        since,
        words,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An answer that may speak of somebody.
pub(in crate::sam) struct Answer {
    conversation_id: ConversationId,
    seq: i64,
    pub actions: Json<Vec<Value>>,
}

impl Answer {
    pub(in crate::sam) fn place(&self) -> Place {
        (self.conversation_id, self.seq)
    }
}

/// Answers that may speak of somebody, in order; until the unit of work ends nobody else rewrites them.
pub(in crate::sam) async fn lock_answers_about(
    conn: &mut PgConnection,
    person: UserId,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Answer>> {
    let (conversation_id, seq) = after.unzip();
    sqlx::query_as!(
        Answer,
        r#"select m.conversation_id as "conversation_id: ConversationId", m.seq, m.actions as "actions: Json<Vec<Value>>"
           from sam_mentions s join messages m on (m.conversation_id, m.seq) = (s.conversation_id, s.seq)
           where s.user_id = $1 and ($2::uuid is null or (s.conversation_id, s.seq) > ($2, $3::bigint))
           order by s.conversation_id, s.seq limit $4 for no key update of m"#,
        person.0,
        conversation_id.map(|id| id.0),
        seq,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Gives answers other words, and the actions they have now.
pub(in crate::sam) async fn rewrite_answers(
    conn: &mut PgConnection,
    answers: &[Answer],
    words: &str,
) -> sqlx::Result<()> {
    let (conversations, seqs): (Vec<_>, Vec<_>) = answers.iter().map(|one| (one.conversation_id.0, one.seq)).unzip();
    let actions: Vec<_> = answers.iter().map(|one| Value::Array(one.actions.0.clone())).collect();
    sqlx::query!(
        "update messages m set content = $4, actions = a.actions
         from unnest($1::uuid[], $2::bigint[], $3::jsonb[]) as a (conversation_id, seq, actions)
         where (m.conversation_id, m.seq) = (a.conversation_id, a.seq)",
        &conversations,
        &seqs,
        &actions,
        words,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A proposal, as it is without somebody.
pub(in crate::sam) struct Forgotten {
    pub id: ActionId,
    pub deed: Deed,
    /// What came of it can stay, as it was done with somebody else.
    pub has_result: bool,
}

/// Rewrites proposals, and forgets what came of some.
pub(in crate::sam) async fn rewrite_actions(conn: &mut PgConnection, forgotten: &[Forgotten]) -> sqlx::Result<()> {
    let ids: Vec<_> = forgotten.iter().map(|one| one.id.0).collect();
    let deeds: Vec<_> = forgotten.iter().map(|one| Json(&one.deed)).collect();
    let have_results: Vec<_> = forgotten.iter().map(|one| one.has_result).collect();
    sqlx::query!(
        "update sam_actions a set deed = f.deed, result = case when f.has_result then a.result end
         from unnest($1::uuid[], $2::jsonb[], $3::boolean[]) as f (id, deed, has_result) where a.id = f.id",
        &ids,
        &deeds as _,
        &have_results,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes a batch of what was noted of somebody; false once there is nothing more.
pub(in crate::sam) async fn remove_mentions(conn: &mut PgConnection, id: UserId, batch: i64) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "delete from sam_mentions where (conversation_id, seq, user_id) in (
           select conversation_id, seq, user_id from sam_mentions where user_id = $1 limit $2)",
        id.0,
        batch,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}
