//! The conversation with the model: it asks for look-ups until it has an answer.

use serde_json::{Value, json};

use super::{
    Failure,
    facts::Facts,
    gemini::{Gemini, Usage},
    look_ups, partial, prompt,
    reply::{self, Reply},
    think::Case,
};
use crate::{
    Store,
    error::{Error, Result},
    event::{Channel, Event},
};

/// How often the model is asked; the last time it has to answer.
const ROUNDS: usize = 4;
/// Bytes of a draft that are looked at while it is written: more than any answer has that is used.
const LONGEST_DRAFT: usize = 1 << 15;
/// How many look-ups a turn of the model's may ask for.
const LOOK_UPS: usize = 4;

/// Why there is no answer of the model's.
pub(super) enum Stop {
    /// It is its own fault.
    Model(Failure),
    /// The database failed.
    Store(Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Model(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Asks until there is an answer.
pub(super) async fn converse(
    store: &Store,
    gemini: &Gemini,
    case: &Case,
    facts: &mut Facts,
    usage: &mut Usage,
    live: &mut Live<'_>,
) -> Result<Reply, Stop> {
    let mut contents = prompt::contents(&case.context(), &case.past, &case.question);
    let mut round = 0;
    loop {
        round += 1;
        let is_last = round == ROUNDS;
        live.begin();
        let parts = gemini.turn(&prompt::body(&contents, is_last), usage, |text| live.hear(text, facts)).await?;
        let calls: Vec<_> = parts.iter().filter_map(|part| part.get("functionCall").cloned()).collect();
        if calls.is_empty() || is_last {
            match reply::read(&live.json, facts) {
                Ok(reply) => {
                    live.tell(&reply.text);
                    return Ok(reply);
                }
                Err(failure) if is_last => return Err(failure.into()),
                // What isn't in the right shape is asked for once more, in that shape.
                Err(_) => round = ROUNDS - 1,
            }
        }
        // As it came: it holds signatures that the next turn has to bring back.
        if !parts.is_empty() {
            contents.push(json!({"role": "model", "parts": parts}));
        }
        contents.push(answers(store, case, facts, calls).await?);
    }
}

/// What the model's calls found.
async fn answers(store: &Store, case: &Case, facts: &mut Facts, calls: Vec<Value>) -> Result<Value> {
    if calls.is_empty() {
        return Ok(json!({"role": "user", "parts": [{"text": "Answer with the JSON object alone."}]}));
    }
    let mut parts = Vec::new();
    for (number, mut call) in calls.into_iter().enumerate() {
        let name = call["name"].as_str().unwrap_or_default().to_owned();
        let arguments = call.get_mut("args").map_or_else(|| json!({}), Value::take);
        let found = if number < LOOK_UPS {
            look_ups::answer(store, case.user_id, facts, &name, arguments).await?
        } else {
            json!({"error": "too many look-ups at once"})
        };
        let mut response = json!({"name": name, "response": found});
        if let Some(id) = call.get("id") {
            response["id"] = id.clone();
        }
        parts.push(json!({"functionResponse": response}));
    }
    Ok(json!({"role": "user", "parts": parts}))
}

/// A draft of an answer on its way to whoever listens. What was told of one that isn't used is taken back.
pub(super) struct Live<'a> {
    store: &'a Store,
    case: &'a Case,
    json: String,
    /// How many characters of it were told.
    told: usize,
}

impl<'a> Live<'a> {
    pub(super) fn new(store: &'a Store, case: &'a Case) -> Self {
        Self { store, case, json: String::new(), told: 0 }
    }

    /// Another draft begins.
    fn begin(&mut self) {
        self.withdraw();
        self.json.clear();
    }

    /// Takes back what was told.
    pub(super) fn withdraw(&mut self) {
        if std::mem::take(&mut self.told) > 0 {
            self.ring(0, String::new());
        }
    }

    /// Takes more of the answer, and tells as much of its text as holds whatever comes next.
    fn hear(&mut self, more: &str, facts: &Facts) {
        self.json.push_str(more);
        if self.json.len() > LONGEST_DRAFT {
            return;
        }
        let Some(text) = partial::text_so_far(&self.json) else { return };
        // A number means little without the words around it.
        let mut ends = text.rmatch_indices(char::is_whitespace).map(|(at, _)| at).skip(1);
        let ends_in_words = |end: &usize| {
            let last = text[..*end].split_whitespace().next_back().unwrap_or_default();
            !last.contains(|c: char| c.is_numeric() || c.is_ascii_punctuation() && !",.!?;:)".contains(c))
        };
        let Some(whole) = ends.find(ends_in_words).map(|end| &text[..end]) else { return };
        // What stands behind it may be what makes it a claim: 5 US and then dollars.
        if facts.claims.hold_in(&text) {
            self.tell(whole);
        }
    }

    /// Tells the part of `text` that was not told yet.
    fn tell(&mut self, text: &str) {
        let more: String = text.chars().skip(self.told).collect();
        if more.is_empty() {
            return;
        }
        let offset = self.told;
        self.told += more.chars().count();
        self.ring(offset, more);
    }

    fn ring(&self, offset: usize, text: String) {
        let id = self.case.conversation_id;
        let event = Event::SamDelta { conversation_id: id, run_id: self.case.run_id, offset, text };
        if let Err(error) = self.store.ring(Channel::Conversation(id), &event, None) {
            tracing::warn!(%error, "a part of an answer could not be told");
        }
    }
}
