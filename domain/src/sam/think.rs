//! A question's way to its answer: found outside of any transaction, stored in one.

use std::{num::NonZeroU32, time::Duration};

use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value, json};

use super::{
    Action, Context, Failure, Speaker, Turn,
    facts::{Facts, Settled},
    fallback,
    gemini::{Gemini, Usage},
    mentions,
    model::{self, Live, Stop},
    proposals, queries,
    reply::Reply,
};
use crate::{
    Store,
    admin::requested_people::{self, RequestedKind},
    conversations::{self, Message, MessageType, Origin},
    cursor::Window,
    error::{Error, Result},
    id::{ConversationId, RunId, UserId},
    text,
    tx::Tx,
    users::{self, Search},
};

/// How many messages before the question are told to the model.
const PAST: i64 = 20;
/// However late a question is, the model gets this long.
const LEAST: Duration = Duration::from_secs(1);
/// A question whose process died so often is answered without the model, which may be why.
const MOST_ATTEMPTS: i16 = 2;

/// How many of the people and skills that an answer says are missing are looked for.
const MOST_MISSED: usize = 3;

/// A question and all that is known of it.
pub(super) struct Case {
    pub run_id: RunId,
    pub user_id: UserId,
    pub conversation_id: ConversationId,
    pub question: String,
    /// What was said before, oldest first.
    pub past: Vec<Turn>,
    /// From which message on.
    since: i64,
    name: String,
    zone: Tz,
    user_context: Map<String, Value>,
    asked_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

/// What a question takes of the budget.
#[derive(Default)]
struct Taken {
    usage: Usage,
    /// What is counted until then.
    reserved: Usage,
}

/// An answer that is not stored yet.
pub struct Thought {
    run_id: RunId,
    user_id: UserId,
    conversation_id: ConversationId,
    /// From which message on the model was told what had been said.
    since: i64,
    reply: Reply,
    outcome: queries::Outcome,
}

impl Case {
    async fn load(store: &Store, run_id: RunId) -> Result<Option<Self>> {
        let now = store.clock.now();
        let mut connection = store.pool.acquire().await?;
        let Some(open) = queries::open_run(&mut connection, run_id).await? else { return Ok(None) };
        let (before, limit) = (Some(open.question + 1), PAST + 1);
        let messages =
            conversations::queries::list_messages(&mut connection, open.conversation_id, open.user_id, before, limit);
        let mut messages = messages.await?.into_iter();
        let question = messages.next().ok_or(Error::Internal("a question vanished"))?.content;
        connection.give_back();
        let mut past: Vec<_> = messages.filter_map(|message| turn(&message)).collect();
        past.reverse();
        let Context { history, user_context } = open.context.0;
        let zone = user_context.get("timezone").and_then(Value::as_str).unwrap_or(&open.timezone).parse();
        Ok(Some(Self {
            run_id,
            user_id: open.user_id,
            conversation_id: open.conversation_id,
            question,
            past: if past.is_empty() { history } else { past },
            since: open.question - PAST,
            name: open.name,
            zone: zone.unwrap_or(Tz::UTC),
            user_context,
            asked_at: open.created_at,
            now,
        }))
    }

    /// What the model is told beside what was said.
    pub(super) fn context(&self) -> Value {
        json!({
            "now": self.now.with_timezone(&self.zone).to_rfc3339(),
            "timezone": self.zone.name(),
            "userName": self.name,
            "client": self.user_context,
        })
    }

    /// Nothing looked up yet; what the user wrote may be repeated.
    fn facts(&self) -> Facts {
        let mut facts = Facts::new(self.user_id, self.zone);
        facts.claims.allow_words(&self.question);
        for turn in self.past.iter().filter(|turn| turn.role == Speaker::User) {
            facts.claims.allow_words(&turn.content);
        }
        facts
    }

    /// The model, if it may be asked.
    fn model<'a>(&self, store: &'a Store, attempt: i16) -> Result<(&'a Gemini, Duration), Failure> {
        let (Some(gemini), Some(settings)) = (&store.gemini, &store.settings().gemini) else {
            return Err(Failure::NotConfigured);
        };
        if attempt > MOST_ATTEMPTS {
            return Err(Failure::Down);
        }
        let waited = (self.now - self.asked_at).to_std().unwrap_or_default();
        Ok((gemini, settings.timeout.saturating_sub(waited).max(LEAST)))
    }

    /// Counts an estimate against the user's budget of today, until it is known what the question takes: so
    /// questions at once can't spend the same rest, and one whose process dies has its price. `None` where the
    /// budget is used up.
    async fn reserve(&self, store: &Store, gemini: &Gemini) -> Result<Option<Usage>> {
        let mut tx = store.begin(None).await?;
        // As where an answer is stored.
        if !queries::lock_run(tx.conn(), self.run_id).await? {
            return Ok(None);
        }
        queries::lock_conversation(tx.conn(), self.conversation_id).await?;
        let today = self.now.date_naive().and_time(NaiveTime::MIN).and_utc();
        let (tokens, micros) = queries::taken(tx.conn(), self.user_id, today).await?;
        let sam = store.settings().sam;
        let spent = |most: Option<NonZeroU32>, taken| most.is_some_and(|most| taken >= i64::from(most.get()));
        if spent(sam.daily_tokens, tokens) || spent(sam.daily_cents, micros / 10_000) {
            return Ok(None);
        }
        let estimate = gemini.estimate();
        queries::reserve(tx.conn(), self.run_id, &estimate).await?;
        tx.commit().await?;
        Ok(Some(estimate))
    }

    async fn ask_model(
        &self,
        store: &Store,
        attempt: i16,
        taken: &mut Taken,
    ) -> Result<std::result::Result<Reply, Failure>> {
        let (gemini, limit) = match self.model(store, attempt) {
            Ok(model) => model,
            Err(failure) => return Ok(Err(failure)),
        };
        let Some(reserved) = self.reserve(store, gemini).await? else { return Ok(Err(Failure::OverBudget)) };
        taken.reserved = reserved;
        let (mut facts, mut live) = (self.facts(), Live::new(store, self));
        let conversation = model::converse(store, gemini, self, &mut facts, &mut taken.usage, &mut live);
        let failure = match tokio::time::timeout(limit, conversation).await {
            Ok(Ok(reply)) => return Ok(Ok(reply)),
            Ok(Err(Stop::Store(error))) => return Err(error),
            Ok(Err(Stop::Model(failure))) => failure,
            Err(_) => Failure::Slow,
        };
        if failure == Failure::Slow && !taken.usage.is_counted() {
            taken.usage = taken.usage.at_least(&reserved);
        }
        live.withdraw();
        Ok(Err(failure))
    }

    /// Those of the names that the user wrote and that nobody here has.
    async fn missed(&self, store: &Store, names: Vec<(RequestedKind, String)>) -> Result<Vec<(RequestedKind, String)>> {
        let asked = self.question.to_lowercase();
        let mut missed = Vec::new();
        for (kind, name) in names.into_iter().take(MOST_MISSED) {
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            let is_name = (2..=80).contains(&name.chars().count()) && text::check_line(&name).is_ok();
            if !is_name || !asked.contains(&name.to_lowercase()) {
                continue;
            }
            let search = Search { words: Some(&name), ..Search::default() };
            let found = users::search(store, self.user_id, &search, Window { cursor: None, limit: 1 }).await?;
            if found.items.is_empty() {
                missed.push((kind, name));
            }
        }
        // So that two answers that note the same ones don't wait for each other.
        missed.sort_by_key(|(kind, name)| (*kind == RequestedKind::Skill, name.to_lowercase()));
        Ok(missed)
    }
}

/// A message as the model is told of it: Sam's own in the shape in which it writes them.
fn turn(message: &Message) -> Option<Turn> {
    let (role, content) = match (message.origin, message.r#type) {
        (Origin::Human, MessageType::UserText | MessageType::SamAction) => (Speaker::User, message.content.clone()),
        (Origin::Sam, _) => {
            let shown = message.actions.iter().filter(|action| action["type"] == "show_profiles");
            let ids = |action: &Value| {
                let profiles = action["profiles"].as_array().into_iter().flatten();
                profiles.map(|profile| profile["user_id"].clone()).collect::<Vec<_>>()
            };
            let actions: Vec<_> =
                shown.map(|action| json!({"type": "show_profiles", "userIds": ids(action)})).collect();
            (Speaker::Sam, json!({"text": message.content, "actions": actions}).to_string())
        }
        _ => return None,
    };
    Some(Turn { role, content, timestamp: None })
}

/// Finds the answer to a question; `None` where it has one. `attempt` counts from 1.
///
/// # Errors
/// The database's. The model's failures lead to an answer by rules.
pub async fn think(store: &Store, id: RunId, attempt: i16) -> Result<Option<Thought>> {
    let Some(case) = Case::load(store, id).await? else { return Ok(None) };
    let mut taken = Taken::default();
    let (mut reply, fallback) = match case.ask_model(store, attempt, &mut taken).await? {
        Ok(reply) => (reply, None),
        Err(failure) => {
            let mut reply = fallback::reply(store, &case, &mut case.facts()).await?;
            reply.actions.extend(fallback::notice(failure).map(Settled::Shown));
            (reply, Some(failure))
        }
    };
    reply.missed = case.missed(store, reply.missed).await?;
    tracing::info!(run = %id, ?fallback, calls = taken.usage.calls, dropped = reply.dropped, "thought");
    let Taken { usage, reserved } = taken;
    let outcome = queries::Outcome { fallback, usage, reserved, dropped: reply.dropped };
    let Case { run_id, user_id, conversation_id, since, .. } = case;
    Ok(Some(Thought { run_id, user_id, conversation_id, since, reply, outcome }))
}

/// Stores an answer, unless the question got one meanwhile.
///
/// # Errors
/// The database's.
pub async fn answer(tx: &mut Tx, thought: Thought) -> Result<()> {
    let Thought { run_id, user_id, conversation_id, since, reply, mut outcome } = thought;
    if !queries::lock_run(tx.conn(), run_id).await? {
        return Ok(());
    }
    // Before people, as by who sends a message that decides on a proposal.
    queries::lock_conversation(tx.conn(), conversation_id).await?;
    let now = tx.now();
    let mut actions = Vec::new();
    for settled in reply.actions {
        match settled {
            Settled::Shown(shown) => actions.push(Action::Shown(shown)),
            Settled::Deed(deed) => match proposals::propose(tx, run_id, user_id, deed).await? {
                Some(proposal) => actions.push(Action::Proposed(proposal)),
                None => outcome.dropped += 1,
            },
        }
    }
    let actions = actions.iter().map(serde_json::to_value).collect::<serde_json::Result<Vec<_>>>()?;
    let words = format!("{} {}", reply.text, Value::Array(actions.clone()));
    let message = conversations::store_answer(tx, conversation_id, reply.text, actions).await?;
    mentions::note(tx, (conversation_id, message), &reply.people, (since, &words)).await?;
    if !queries::close_run(tx.conn(), run_id, message, &outcome, now).await? {
        return Err(Error::Internal("a locked question was answered by somebody else"));
    }
    for (kind, name) in reply.missed {
        requested_people::record(tx, user_id, kind, &name).await?;
    }
    Ok(())
}
