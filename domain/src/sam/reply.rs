//! An answer as the model or the rules wrote it, before anything in it is believed.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Failure,
    facts::{Facts, Settled},
};
use crate::{
    admin::requested_people::RequestedKind,
    id::UserId,
    money::Price,
    text::{self, Timestamp},
};

/// The longest text of an answer.
pub(super) const LONGEST: usize = 4000;
/// How many actions an answer may have.
const MOST_ACTIONS: usize = 6;

/// An action that somebody would like to see.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum Draft {
    ShowProfiles { user_ids: Vec<UserId> },
    ShowSlots { host_user_id: UserId },
    OfferCall { target_user_id: UserId, purpose: String },
    CreateSession { host_user_id: UserId, start_time: Timestamp, duration_minutes: i32, price: Option<Price> },
    SendRequest { target_user_id: UserId, message: String },
    UpdateProfile { fields: Map<String, Value> },
    FollowUpPrompt { prompt: String },
}

/// An answer whose every part holds.
#[derive(Debug)]
pub(super) struct Reply {
    pub text: String,
    pub actions: Vec<Settled>,
    /// Whom and what the asker looks for that isn't here, perhaps.
    pub missed: Vec<(RequestedKind, String)>,
    /// Whom it may speak of.
    pub people: Vec<UserId>,
    /// How many actions were left out.
    pub dropped: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    text: String,
    #[serde(default)]
    actions: Vec<Value>,
    #[serde(default)]
    missed_people: Vec<String>,
    #[serde(default)]
    missed_skills: Vec<String>,
}

/// Reads what the model wrote: one JSON object, in a fence perhaps, and nothing else.
///
/// # Errors
/// `Incoherent` where it is no answer or says what nobody looked up. Single actions that don't hold
/// are left out and counted.
pub(super) fn read(json: &str, facts: &Facts) -> Result<Reply, Failure> {
    let json = json.trim();
    let json = json.strip_prefix("```json").or_else(|| json.strip_prefix("```")).unwrap_or(json);
    let json = json.strip_suffix("```").unwrap_or(json);
    let written: Written = serde_json::from_str(json).map_err(|_| Failure::Incoherent)?;
    let fits = written.text.chars().count() <= LONGEST && text::check_text(&written.text).is_ok();
    if !fits || !facts.claims.hold_in(&written.text) {
        return Err(Failure::Incoherent);
    }
    let wanted = written.actions.len();
    let drafts = written.actions.into_iter().filter_map(|action| serde_json::from_value::<Draft>(action).ok());
    let actions = settle(drafts, facts);
    let dropped = i32::try_from(wanted - actions.len()).unwrap_or(i32::MAX);
    let people = written.missed_people.into_iter().map(|name| (RequestedKind::Person, name));
    let skills = written.missed_skills.into_iter().map(|name| (RequestedKind::Skill, name));
    let missed = people.chain(skills).collect();
    Ok(Reply { text: written.text, actions, missed, people: facts.everybody(), dropped })
}

/// Keeps the drafts that hold: a few, and one booking at most.
pub(super) fn settle(drafts: impl Iterator<Item = Draft>, facts: &Facts) -> Vec<Settled> {
    let mut books = false;
    let once = |draft: &Draft| {
        let is_second = books && matches!(draft, Draft::CreateSession { .. });
        books |= matches!(draft, Draft::CreateSession { .. });
        !is_second
    };
    drafts.filter(once).filter_map(|draft| facts.settle(draft)).take(MOST_ACTIONS).collect()
}
