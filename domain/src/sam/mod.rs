//! Sam, the concierge: finds real people, proposes, and does only what was confirmed.
//!
//! A question is a message in Sam's conversation with its user and a row that a job answers. [`think`]
//! finds the answer outside of any transaction, from the model or by rules; [`answer`] stores it, once.
//! Whatever the model or other people wrote is data: an answer holds only people, times and prices that
//! the server looked up for it, and nothing happens before its user confirms a proposal.

mod actions;
mod claims;
mod facts;
mod fallback;
mod gemini;
mod history;
mod look_ups;
mod mentions;
mod model;
mod numbers;
mod partial;
mod prompt;
mod proposals;
mod queries;
mod reply;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod think;

use garde::{Valid, Validate};
use humanchat_jobs::sam::RunSam;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use actions::{Action, Deed, PricedSlot, Profile, ProfileStatus, Proposal, Shown};
pub(crate) use gemini::Gemini;
pub(crate) use history::asked_by;
pub use mentions::Place;
pub(crate) use mentions::{forget_some, unname_some};
pub(crate) use proposals::decide_in_chat;
pub use proposals::{ActionDecision, Decided, Verdict, decide};
pub use think::{Thought, answer, think};

use crate::{
    Store,
    conversations::{self, Message, NewMessage},
    error::{Refusal, Result},
    id::{ConversationId, RunId, UserId},
    text::{rules, text_enum},
    tx::Tx,
};

text_enum! {
    /// Who said something to whom.
    Speaker {
        /// The asker.
        User,
        /// The concierge.
        Sam,
    }
    /// How far a question is.
    RunStatus {
        /// The answer is on its way.
        Running,
        /// It is there.
        Complete,
    }
    /// Why an answer is not the model's but one by simple rules.
    Failure {
        /// There is no model.
        NotConfigured,
        /// The user's budget of today is used up.
        OverBudget,
        /// The model took too long.
        Slow,
        /// The model can't be reached, or fails.
        Down,
        /// The model has no time for us.
        OverQuota,
        /// The model won't answer this.
        Refused,
        /// The model's answer makes no sense, or says what nobody looked up.
        Incoherent,
    }
}

/// Something said before.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Turn {
    /// Who said it.
    #[garde(skip)]
    pub role: Speaker,
    /// 1–8000 characters.
    #[garde(length(chars, min = 1, max = 8000), custom(rules::text))]
    #[schema(min_length = 1, max_length = 8000)]
    pub content: String,
    /// Milliseconds since the epoch.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
}

/// What Sam is asked.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Question {
    /// 1–4000 characters.
    #[garde(length(chars, min = 1, max = 4000), custom(rules::text))]
    #[schema(min_length = 1, max_length = 4000, example = "Who knows about bees and has time now?")]
    pub message: String,
    /// What was said before, oldest first, at most 50 turns. Counts only while the conversation with Sam holds
    /// nothing older than this question.
    #[garde(length(max = 50), dive)]
    #[serde(default)]
    #[schema(max_items = 50)]
    pub conversation_history: Vec<Turn>,
    /// What the client knows: `timezone` (IANA) and anything else that may help, at most 8 KiB.
    #[garde(custom(context))]
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"timezone": "Europe/Berlin"}))]
    pub user_context: Map<String, Value>,
}

fn context<C>(context: &Map<String, Value>, _: &C) -> garde::Result {
    let text = serde_json::to_string(context).map_err(|_| garde::Error::new("must be an object"))?;
    if text.len() > 8192 {
        return Err(garde::Error::new("must have at most 8 KiB"));
    }
    if text.contains("\\u0000") {
        return Err(garde::Error::new("must not contain NUL"));
    }
    match context.get("timezone") {
        None => Ok(()),
        Some(Value::String(name)) => rules::timezone(name, &()),
        Some(_) => Err(garde::Error::new("timezone must be an IANA time zone such as Europe/Berlin")),
    }
}

/// What came with a question, until it is answered.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Context {
    history: Vec<Turn>,
    user_context: Map<String, Value>,
}

/// A question, and its answer once there is one.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Id.
    pub run_id: RunId,
    /// How far it is.
    pub status: RunStatus,
    /// The user's conversation with Sam.
    pub conversation_id: ConversationId,
    /// Where in it the answer stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<i64>,
    /// The answer's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What comes with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Action>>)]
    pub actions: Option<Vec<Value>>,
    /// Why the answer is one by simple rules; absent where it is the model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Failure>,
}

/// Asks Sam: stores the question in Sam's conversation with the caller, and has it answered.
///
/// # Errors
/// The database's.
pub async fn ask(tx: &mut Tx, caller: UserId, question: Valid<Question>) -> Result<Run> {
    let Question { message, conversation_history, user_context } = question.into_inner();
    let now = tx.now();
    let conversation_id = queries::conversation(tx.conn(), ConversationId::new(), caller, now).await?;
    let message = NewMessage::text(message).map_err(|_| Refusal::field("message", "is not a valid message"))?;
    let sent = conversations::store_message(tx, caller, conversation_id, message).await?;
    begin(tx, caller, &sent.message, &Context { history: conversation_history, user_context }).await
}

/// Has a message to Sam answered.
pub(crate) async fn hear(tx: &mut Tx, sender: UserId, message: &Message) -> Result<()> {
    begin(tx, sender, message, &Context::default()).await.map(drop)
}

async fn begin(tx: &mut Tx, user_id: UserId, message: &Message, context: &Context) -> Result<Run> {
    let (id, now, conversation_id) = (RunId::new(), tx.now(), message.conversation_id);
    let new = queries::NewRun { id, user_id, conversation_id, question: message.message_id, context };
    queries::insert_run(tx.conn(), &new, now).await?;
    tx.enqueue(&RunSam { run_id: id })?;
    let status = RunStatus::Running;
    Ok(Run { run_id: id, status, conversation_id, message_id: None, text: None, actions: None, fallback: None })
}

/// A question of the caller's.
///
/// # Errors
/// `NotFound`.
pub async fn find(store: &Store, caller: UserId, id: RunId) -> Result<Run> {
    let run = queries::find_runs(&store.pool, &[id], Some(caller)).await?.pop();
    Ok(run.ok_or(Refusal::NotFound("run"))?)
}

/// Those of the questions that are answered, whoever asked them.
///
/// # Errors
/// The database's.
pub async fn answered(store: &Store, ids: &[RunId]) -> Result<Vec<Run>> {
    let mut runs = queries::find_runs(&store.pool, ids, None).await?;
    runs.retain(|run| run.status == RunStatus::Complete);
    Ok(runs)
}
