//! What can be looked up for an answer, for the model and for the rules alike. Whatever is found is
//! noted in [`Facts`]. Everything is seen as the asker may see it: no confidential rate comes by here.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    actions::{PricedSlot, Profile, ProfileStatus},
    facts::Facts,
};
use crate::{
    Store,
    availability::{self, SlotQuery},
    cursor::Window,
    error::{Error, Result},
    id::UserId,
    money::Price,
    sessions::{self, SessionQuery, SessionStatus},
    users::{self, ConversationType, PresenceState, Search, User},
};

/// How many people a look-up finds.
const PEOPLE: usize = 8;
/// So many people who match are looked at together, and so often, for those who cost no more than wanted.
const PAGE: u8 = 100;
const PAGES: usize = 10;
/// How many slots.
const SLOTS: usize = 20;
/// How many sessions, the next first.
const SESSIONS: usize = 10;

/// Whom to look for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct PeopleWanted {
    pub words: Option<String>,
    pub online: Option<bool>,
    pub conversation_type: Option<ConversationType>,
    pub max_rate_per_minute: Option<Price>,
}

/// When somebody should have time.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SlotsWanted {
    user_id: UserId,
    from: Option<String>,
    to: Option<String>,
    duration_minutes: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Answers a function call of the model's. What it asks wrongly is answered with an `error`.
///
/// # Errors
/// The database's.
pub(super) async fn answer(
    store: &Store,
    asker: UserId,
    facts: &mut Facts,
    name: &str,
    arguments: Value,
) -> Result<Value> {
    let wrong = |error: serde_json::Error| json!({"error": format!("wrong arguments: {error}")});
    match name {
        "search_people" => match serde_json::from_value(arguments) {
            Ok(PeopleWanted { words: Some(words), .. }) if words.len() > 200 || words.contains('\0') => {
                Ok(json!({"error": "words must be a few"}))
            }
            Ok(wanted) => {
                let people = people(store, asker, facts, &wanted).await?;
                Ok(json!({"people": people.iter().map(person).collect::<Vec<_>>()}))
            }
            Err(error) => Ok(wrong(error)),
        },
        "find_slots" => match serde_json::from_value(arguments) {
            Ok(wanted) => slots(store, asker, facts, wanted).await,
            Err(error) => Ok(wrong(error)),
        },
        "list_my_sessions" => match serde_json::from_value::<Nothing>(arguments) {
            Ok(Nothing {}) => my_sessions(store, asker, facts).await,
            Err(error) => Ok(wrong(error)),
        },
        _ => Ok(json!({"error": "there is no such function"})),
    }
}

/// People who match, best first; with a maximum rate, of the best thousand who match.
///
/// # Errors
/// The database's.
pub(super) async fn people(
    store: &Store,
    asker: UserId,
    facts: &mut Facts,
    wanted: &PeopleWanted,
) -> Result<Vec<User>> {
    let search = Search {
        words: wanted.words.as_deref().filter(|words| !words.trim().is_empty()),
        online: wanted.online,
        conversation_type: wanted.conversation_type,
    };
    let affordable = |user: &User| match (wanted.max_rate_per_minute, user.conversation_type) {
        (None, _) | (_, ConversationType::Free) => true,
        (Some(most), _) => user.instant_rate_per_minute.is_some_and(|rate| rate.hundredths() <= most.hundredths()),
    };
    let mut found = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES {
        let page = users::search(store, asker, &search, Window { cursor: cursor.as_deref(), limit: PAGE }).await?;
        found.extend(page.items.into_iter().filter(|user| !facts.is_asker(user.id) && affordable(user)));
        cursor = page.next;
        if found.len() >= PEOPLE || cursor.is_none() {
            break;
        }
    }
    found.truncate(PEOPLE);
    for user in &found {
        facts.add_person(user.clone());
    }
    Ok(found)
}

/// Somebody as the model sees them.
fn person(user: &User) -> Value {
    json!({
        "userId": user.id,
        "name": user.name,
        "headline": user.headline,
        "bio": user.bio.chars().take(300).collect::<String>(),
        "skills": user.skills,
        "languages": user.languages,
        "timezone": user.timezone,
        "conversationType": user.conversation_type,
        "ratePerMinute": user.instant_rate_per_minute,
        "bookedMinutesToPrice": user.scheduled_rates,
        "currency": user.currency,
        "status": Profile::from(user).status,
        "mayNotLook": user.presence_state == PresenceState::Idle,
        "answerRate": user.answer_rate,
        "medianAnswerSecs": user.median_answer_secs,
        "reachedBy": if user.managed { json!("by_request") } else { json!(user.display_mode) },
    })
}

async fn slots(store: &Store, asker: UserId, facts: &mut Facts, wanted: SlotsWanted) -> Result<Value> {
    let query = SlotQuery {
        from: wanted.from,
        to: wanted.to,
        duration_minutes: wanted.duration_minutes,
        timezone: Some(facts.zone().name().to_owned()),
        explain: None,
    };
    let found = match availability::find(store, asker, wanted.user_id, &query).await {
        Ok(found) if !facts.is_asker(wanted.user_id) => found,
        Ok(_) => return Ok(json!({"error": "nobody books themselves"})),
        Err(Error::Refused(refusal)) => return Ok(json!({"error": refusal.to_string()})),
        Err(error) => return Err(error),
    };
    let host = users::find(store, wanted.user_id).await?;
    let zone = host.timezone.parse::<Tz>().ok();
    let slots: Vec<_> = found.slots.into_iter().take(SLOTS).collect();
    let minutes = slots.first().map_or(0, |slot| (slot.end.0 - slot.start.0).num_minutes());
    let price = price(store, asker, &host, minutes).await?;
    let mut shown = Vec::new();
    for slot in slots {
        let slot = PricedSlot { start: slot.start, end: slot.end, price, currency: host.currency.clone() };
        facts.add_slot(host.id, zone, slot.clone());
        shown.push(slot);
    }
    let answer = json!({"host": person(&host), "timezone": found.timezone, "slots": shown});
    facts.add_person(host);
    Ok(answer)
}

/// What a booked session of so many minutes costs; `None` where it can't be booked, or its price is confidential.
async fn price(store: &Store, asker: UserId, host: &User, minutes: i64) -> Result<Option<Price>> {
    let (Ok(minutes), true) = (i32::try_from(minutes), host.scheduled_rates.is_some()) else { return Ok(None) };
    match sessions::quote(store, asker, host.id, minutes).await {
        Ok(quote) => Ok(Some(quote.price)),
        Err(Error::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The asker's sessions that are not over.
///
/// # Errors
/// The database's.
pub(super) async fn my_sessions(store: &Store, asker: UserId, facts: &mut Facts) -> Result<Value> {
    let mut open = Vec::new();
    for status in [SessionStatus::InProgress, SessionStatus::Pending] {
        let query = SessionQuery { status: Some(status), ..SessionQuery::default() };
        open.extend(sessions::list(store, asker, &query, Window { cursor: None, limit: 100 }).await?.items);
    }
    open.sort_by_key(|session| session.start_time);
    open.truncate(SESSIONS);
    let other = |session: &sessions::Session| {
        if session.host_user_id == asker { session.guest_user_id } else { session.host_user_id }
    };
    let ids: Vec<_> = open.iter().map(other).collect();
    let people: BTreeMap<_, _> = users::find_many(store, &ids).await?.into_iter().map(|user| (user.id, user)).collect();
    let mut shown = Vec::new();
    for session in &open {
        let with = people.get(&other(session));
        facts.add_moment(session.start_time.0, None);
        facts.claims.allow_price(session.agreed_price);
        shown.push(json!({
            "with": with.map(|user| json!({"userId": user.id, "name": user.name})),
            "youAre": if session.host_user_id == asker { "host" } else { "guest" },
            "status": session.status,
            "startTime": session.start_time,
            "durationMinutes": session.duration_minutes,
            "price": session.agreed_price,
            "currency": session.currency,
        }));
    }
    for user in people.into_values() {
        facts.add_person(user);
    }
    Ok(json!({"sessions": shown}))
}

/// Who can be talked with sooner and for less comes first, and who looks before who doesn't; among equals the
/// order stays.
pub(super) fn by_readiness(people: &mut [User]) {
    people.sort_by_key(|user| {
        let status = match Profile::from(user).status {
            ProfileStatus::Online if user.presence_state == PresenceState::Active => 0,
            ProfileStatus::Online => 1,
            ProfileStatus::Busy => 2,
            ProfileStatus::Offline => 3,
        };
        (status, user.instant_rate_per_minute.map_or(0, Price::hundredths))
    });
}
