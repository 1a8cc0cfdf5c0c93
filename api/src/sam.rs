//! `/api/sam`: asking the concierge, and deciding what it proposed.
//!
//! A question is stored and answered by a worker. Whoever asked waits for a bell, not at the database's
//! door: without a connection, and without counting among the requests that are worked on.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use humanchat_domain::{
    Store,
    event::Channel,
    id::{ConversationId, RunId},
    sam::{self, ActionDecision, Decided, Question, Run},
};
use tokio::{sync::Semaphore, time::Instant};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    batch::Batch,
    edge::{
        admission::Admission,
        caller::Caller,
        command::{Answer, Command, Stop, replayed},
        error::ApiError,
        params::PathId,
    },
};

/// Requests of a process that wait for an answer. Others are told at once that it is on its way.
const WAITING: usize = 1000;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(ask)).routes(routes!(find)).routes(routes!(decide))
}

/// Requests that wait for Sam.
#[derive(Debug, Clone)]
pub(crate) struct Waits {
    room: Arc<Semaphore>,
    answers: Batch<RunId, Run>,
}

impl Waits {
    pub(crate) fn start(store: Store) -> Self {
        let answers = Batch::start("what Sam answered", move |ids: Vec<RunId>| {
            let store = store.clone();
            async move {
                let runs = sam::answered(&store, &ids).await?;
                Ok(runs.into_iter().map(|run| (run.run_id, run)).collect::<HashMap<_, _>>())
            }
        });
        Self { room: Arc::new(Semaphore::new(WAITING)), answers }
    }
}

impl App {
    /// Waits for the answer to a question; `None` where it takes too long, too many wait, or the answer can't be read:
    /// the question is stored, and asking it again would be another.
    async fn answer_to(&self, id: RunId, conversation_id: ConversationId) -> Option<Run> {
        let until = Instant::now() + self.store.settings().sam.wait;
        let _place = self.waits.room.try_acquire().ok()?;
        let mut ear = self.hub.listen_to(Channel::Conversation(conversation_id)).await;
        loop {
            if let Some(run) = self.waits.answers.ask(id).await.ok()? {
                return Some(run);
            }
            tokio::time::timeout_at(until, ear.rung()).await.ok()?;
        }
    }
}

/// `Prefer: respond-async` (RFC 7240).
fn prefers_async(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// Ask Sam.
///
/// The answer comes within 12 seconds, or later: then this is 202, and the answer is found under the run, in the
/// conversation with Sam, and on its channel. Where more than 1,000 wait at one process, or the answer can't be read just
/// then, it is 202 at once. `Prefer: respond-async` doesn't wait at all. Under the same
/// `Idempotency-Key` the question is asked once, and its repetition waits for the same answer.
#[utoipa::path(post, operation_id = "ask_sam", path = "/api/sam", tag = "Sam", request_body = Question,
    params(("Prefer" = Option<String>, Header, description = "`respond-async`: answer 202 at once")),
    responses((status = 200, body = Run), (status = 202, description = "The answer is on its way", body = Run)))]
async fn ask(
    State(app): State<App>,
    Extension(admission): Extension<Admission>,
    headers: HeaderMap,
    command: Command<Question>,
) -> Answer {
    let (run, accepted, is_replay) = match command.begin(&app).await {
        Ok((mut work, caller, question)) => {
            let asked = sam::ask(&mut work.tx, caller.user_id, question).await;
            let run = asked.as_ref().ok().map(|run| (run.run_id, run.conversation_id));
            (run, work.finish(asked.map(|run| (StatusCode::ACCEPTED, run))).await?, false)
        }
        Err(Stop::Replay(reply)) => (question_of(&reply.body), Stop::Replay(reply).into_response(), true),
        Err(stop) => return Err(stop),
    };
    let Some((id, conversation_id)) = run.filter(|_| !prefers_async(&headers)) else { return Ok(accepted) };
    admission.leave();
    match app.answer_to(id, conversation_id).await {
        Some(run) if is_replay => Ok(replayed(Json(run).into_response())),
        Some(run) => Ok(Json(run).into_response()),
        None => Ok(accepted),
    }
}

/// The question that a remembered reply is about; none in a refusal.
fn question_of(reply: &str) -> Option<(RunId, ConversationId)> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Accepted {
        run_id: RunId,
        conversation_id: ConversationId,
    }
    serde_json::from_str(reply).ok().map(|Accepted { run_id, conversation_id }| (run_id, conversation_id))
}

/// A question of the caller's, and its answer once there is one.
#[utoipa::path(get, operation_id = "find_sam_run", path = "/api/sam/runs/{id}", tag = "Sam", params(("id" = RunId, Path)),
    responses((status = 200, body = Run)))]
async fn find(State(app): State<App>, caller: Caller, PathId(id): PathId<RunId>) -> Result<Json<Run>, ApiError> {
    Ok(Json(sam::find(&app.store, caller.user_id, id).await?))
}

/// Confirm or decline what Sam proposed, once. The same word again gets the same reply.
///
/// Confirming does what the action's own route does, with everything checked anew, and may be refused like it.
#[utoipa::path(post, operation_id = "decide_sam_action", path = "/api/sam/actions", tag = "Sam", request_body = ActionDecision,
    responses((status = 200, body = Decided), (status = 404, description = "`resource_not_found`: no such action of the caller's"),
        (status = 409, description = "`action_resolved`: decided otherwise; `action_stale` with `details.changes`; and what the action's \
            own route answers: `host_offline`, `host_busy`, `requester_busy`, `request_required`, `payment_required`"),
        (status = 410, description = "`action_expired`")))]
async fn decide(State(app): State<App>, command: Command<ActionDecision>) -> Answer {
    let (mut work, caller, decision) = command.begin(&app).await?;
    let decided = sam::decide(&mut work.tx, caller.user_id, &decision).await;
    work.finish(decided.map(|decided| (StatusCode::OK, decided))).await
}
