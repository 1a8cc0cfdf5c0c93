//! What somebody asked Sam and what came of it, as they take it along.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Deed, Failure, RunStatus, proposals::ActionStatus, queries};
use crate::{
    Store,
    error::Result,
    id::{ActionId, RunId, UserId},
    text::Timestamp,
};

/// A question. Its words, and those of the answer, are messages.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PastRun {
    pub run_id: RunId,
    pub status: RunStatus,
    pub question_message_id: i64,
    pub message_id: Option<i64>,
    pub fallback: Option<Failure>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub actions: Vec<PastAction>,
}

/// What was proposed, and decided.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PastAction {
    #[serde(flatten)]
    pub deed: Deed,
    pub action_id: ActionId,
    pub status: ActionStatus,
    pub result: Option<Value>,
    pub expires_at: Timestamp,
    pub decided_at: Option<Timestamp>,
}

/// Somebody's questions before one of them, newest first.
///
/// # Errors
/// The database's.
pub(crate) async fn asked_by(
    store: &Store,
    user_id: UserId,
    before: Option<RunId>,
    limit: i64,
) -> Result<Vec<PastRun>> {
    let mut runs = queries::runs_of(&store.pool, user_id, before, limit).await?;
    let ids: Vec<_> = runs.iter().map(|run| run.run_id).collect();
    let mut actions: BTreeMap<RunId, Vec<PastAction>> = BTreeMap::new();
    for (run, action) in queries::actions_of(&store.pool, &ids).await? {
        actions.entry(run).or_default().push(action);
    }
    for run in &mut runs {
        run.actions = actions.remove(&run.run_id).unwrap_or_default();
    }
    Ok(runs)
}
