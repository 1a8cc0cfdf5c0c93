//! What is kept of what Sam was asked.

use crate::{
    Store,
    id::{ActionId, RunId, UserId},
};

/// How many rows there are about what people asked Sam: questions, proposals, people and skills they count for.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn traces_of_sam(store: &Store) -> i64 {
    let count = "select (select count(*) from sam_runs) + (select count(*) from sam_actions)
                      + (select count(*) from requested_people_askers)";
    sqlx::query_scalar(count).fetch_one(store.pool()).await.expect("the database answers")
}

/// A change of somebody's headline, as Sam would propose it in answer to a question of theirs.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn propose(store: &Store, user: UserId, run: RunId) -> ActionId {
    let (id, now) = (ActionId::new(), store.clock().now());
    let deed = "{\"type\": \"update_profile\", \"fields\": {\"headline\": \"Learns about bees\"}}";
    sqlx::query(
        "insert into sam_actions (id, run_id, user_id, deed, terms, expires_at, created_at)
         values ($1, $2, $3, $4::jsonb, '{\"headline\": \"\"}', $5 + interval '10 minutes', $5)",
    )
    .bind(id)
    .bind(run)
    .bind(user)
    .bind(deed)
    .bind(now)
    .execute(store.pool())
    .await
    .expect("a proposal can be stored");
    id
}

/// How many times of hosts are kept for proposals.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn kept_offers(store: &Store) -> i64 {
    let count = "select count(*) from engagements where offer_id is not null";
    sqlx::query_scalar(count).fetch_one(store.pool()).await.expect("the database answers")
}

/// What the model took for somebody until now, and what is counted for questions on their way: tokens.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn tokens_of(store: &Store, user: UserId) -> i64 {
    let sum = sqlx::query_scalar(
        "select coalesce(sum(input_tokens + output_tokens), 0)::bigint from sam_runs where user_id = $1",
    );
    sum.bind(user).fetch_one(store.pool()).await.expect("the database answers")
}

/// How many actions of the answer to a question were left out.
///
/// # Panics
/// When the database fails, or there is no such question.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn dropped_actions(store: &Store, run: RunId) -> i32 {
    let dropped = sqlx::query_scalar("select dropped_actions from sam_runs where id = $1");
    dropped.bind(run).fetch_one(store.pool()).await.expect("the database answers")
}
