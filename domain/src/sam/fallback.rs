//! Answers by simple rules, where the model can't give one: people found in the directory, the
//! asker's sessions, and honest words.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Failure,
    actions::Shown,
    facts::Facts,
    look_ups::{self, PeopleWanted},
    numbers::{self, Number, numbers},
    reply::{self, Draft, Reply},
    think::Case,
};
use crate::{
    Store,
    admin::requested_people::RequestedKind,
    error::Result,
    id::UserId,
    money::Price,
    users::{ConversationType, User},
};

/// Words that say nothing of whom somebody looks for.
const EMPTY: &str = "a about all also am an and any anybody anyone are as at available be below best book call can chat \
    cheap connect contact could dear did do does expert experts find for free charity from get good great guide had has have hello help \
    hey hi how i id if in into is it just know knows less let like list look looking make max maximum may me meet meeting minute \
    minutes month more most my need new next no not now of on one online or our over paid people per person please price rate \
    really recommend right sam say search session sessions show some somebody someone something speak sure talk tell than thank \
    thanks that the their them there they this time to today tomorrow under until up us usd eur want was we week what when where \
    which who whom why will wish with within would yes you your dollar dollars euro euros upcoming bookings booked";
const MOST_WORDS: usize = 6;

/// What somebody seems to want.
#[derive(Debug, Default, PartialEq)]
struct Intent {
    /// Words that may be found in a profile.
    words: Vec<String>,
    /// A person's name, as it seems.
    name: Option<String>,
    /// What somebody should know, as it seems.
    topic: Option<String>,
    /// At once, or only who is here.
    now: bool,
    /// Their own sessions.
    sessions: bool,
    kind: Option<ConversationType>,
    max_rate: Option<Price>,
}

impl Intent {
    fn of(question: &str) -> Self {
        let raw: Vec<_> = question.split_whitespace().collect();
        let plain: Vec<_> = raw
            .iter()
            .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).trim_end_matches("'s").to_lowercase())
            .collect();
        let has = |words: &[&str]| plain.iter().any(|word| words.contains(&word.as_str()));
        let kind = if has(&["free"]) {
            Some(ConversationType::Free)
        } else if has(&["charity"]) {
            Some(ConversationType::Charity)
        } else {
            None
        };
        let is_telling =
            |word: &&String| word.chars().count() > 1 && word.contains(char::is_alphabetic) && !is_empty(word);
        Self {
            words: plain.iter().filter(is_telling).take(MOST_WORDS).cloned().collect(),
            name: name(&raw),
            topic: topic(&plain),
            now: has(&["now", "online", "immediately", "connect"]),
            sessions: has(&["my"]) && has(&["session", "sessions", "booking", "bookings", "calendar", "schedule"]),
            kind,
            max_rate: numbers(&numbers::plain(question)).iter().find_map(Number::bound),
        }
    }
}

fn is_empty(word: &str) -> bool {
    EMPTY.split_whitespace().any(|empty| empty == word)
}

/// The capitalised words after one that leads to a person.
fn name(raw: &[&str]) -> Option<String> {
    let leads = ["to", "with", "meet", "find", "reach", "contact", "call", "is", "know"];
    let is_name = |word: &&str| word.starts_with(char::is_uppercase) && *word != "I" && !is_empty(&word.to_lowercase());
    let behind = |at: usize| {
        let words = raw[at + 1..].iter().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
        words.take_while(is_name).take(4).collect::<Vec<_>>().join(" ")
    };
    let leads = (0..raw.len()).filter(|at| leads.contains(&raw[*at].to_lowercase().as_str()));
    leads.map(behind).find(|name| !name.is_empty())
}

/// The first telling words after one that leads to a topic.
fn topic(plain: &[String]) -> Option<String> {
    let leads = ["about", "with", "for", "expert", "learn", "teach", "teaches", "knows"];
    let behind = |at: usize| {
        let words = plain[at + 1..].iter().map(String::as_str).skip_while(|word| is_empty(word));
        words
            .take_while(|word| !is_empty(word) && word.contains(char::is_alphabetic))
            .take(3)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let leads = (0..plain.len()).filter(|at| leads.contains(&plain[*at].as_str()));
    leads.map(behind).find(|topic| !topic.is_empty())
}

/// An answer from what the directory holds.
///
/// # Errors
/// The database's.
pub(super) async fn reply(store: &Store, case: &Case, facts: &mut Facts) -> Result<Reply> {
    let intent = Intent::of(&case.question);
    if intent.sessions {
        return sessions(store, case, facts).await;
    }
    let any_filter = intent.now || intent.kind.is_some() || intent.max_rate.is_some();
    if intent.words.is_empty() && !any_filter {
        let text = "Hello, I'm Sam. I can't think long just now, but I can search the directory: tell me a skill, a topic \
                    or a name.";
        let prompt = Draft::FollowUpPrompt { prompt: "Who is online now?".to_owned() };
        return Ok(made(text.to_owned(), vec![prompt], facts, Vec::new()));
    }
    let (people, somebody_is_here) = people(store, case.user_id, facts, &intent).await?;
    let missed = match (intent.name.clone(), intent.topic.clone()) {
        (Some(name), _) => vec![(RequestedKind::Person, name)],
        (None, topic) => topic.into_iter().map(|topic| (RequestedKind::Skill, topic)).collect(),
    };
    if people.is_empty() {
        let text = "I searched the directory and found nobody for that. Other words may find somebody; I've looked at names, \
                    headlines, skills and bios.";
        let prompt = Draft::FollowUpPrompt { prompt: "Who is online now?".to_owned() };
        return Ok(made(text.to_owned(), vec![prompt], facts, missed));
    }
    let count = if people.len() == 1 { "one person" } else { "these people" };
    let mut text = format!("I can't think long just now, so I searched the directory and found {count}.");
    if intent.now && !somebody_is_here {
        text.push_str(" Nobody of them is online at the moment.");
    }
    let mut drafts = vec![Draft::ShowProfiles { user_ids: people.iter().map(|user| user.id).collect() }];
    if let Some(first) = people.first().filter(|first| intent.now && first.is_online && !first.has_active_session) {
        let purpose = case.question.chars().take(200).collect();
        drafts.push(Draft::OfferCall { target_user_id: first.id, purpose });
    }
    Ok(made(text, drafts, facts, missed))
}

/// What the service says of the reason for an answer by rules; nothing where they are all there is.
pub(super) fn notice(failure: Failure) -> Option<Shown> {
    let notice = match failure {
        Failure::NotConfigured => return None,
        Failure::OverBudget => {
            "Sam's thinking for you is used up for today; until tomorrow it answers by simple rules."
        }
        Failure::Slow | Failure::Down | Failure::OverQuota | Failure::Refused | Failure::Incoherent => {
            "Sam could not think about this one, so the answer comes from simple rules."
        }
    };
    Some(Shown::SystemNotice { notice: notice.to_owned() })
}

fn made(text: String, drafts: Vec<Draft>, facts: &Facts, missed: Vec<(RequestedKind, String)>) -> Reply {
    let actions = reply::settle(drafts.into_iter(), facts);
    Reply { text, actions, missed, people: facts.everybody(), dropped: 0 }
}

/// People who match all words, else those who match most of them; and whether any of them is here.
async fn people(store: &Store, asker: UserId, facts: &mut Facts, intent: &Intent) -> Result<(Vec<User>, bool)> {
    let wanted = |words: Option<String>| PeopleWanted {
        words,
        online: None,
        conversation_type: intent.kind,
        max_rate_per_minute: intent.max_rate,
    };
    let all = (!intent.words.is_empty()).then(|| intent.words.join(" "));
    let only_here = PeopleWanted { online: intent.now.then_some(true), ..wanted(all.clone()) };
    let mut people = look_ups::people(store, asker, facts, &only_here).await?;
    if people.is_empty() && intent.now && all.is_some() {
        people = look_ups::people(store, asker, facts, &wanted(all)).await?;
    }
    if people.is_empty() && intent.words.len() > 1 {
        let mut hits: BTreeMap<UserId, (usize, User)> = BTreeMap::new();
        for word in &intent.words {
            for user in look_ups::people(store, asker, facts, &wanted(Some(word.clone()))).await? {
                hits.entry(user.id).or_insert((0, user)).0 += 1;
            }
        }
        let most = hits.values().map(|(count, _)| *count).max().unwrap_or_default();
        people = hits.into_values().filter(|(count, _)| *count == most).map(|(_, user)| user).take(8).collect();
    }
    look_ups::by_readiness(&mut people);
    let somebody_is_here = people.iter().any(|user| user.is_online);
    Ok((people, somebody_is_here))
}

async fn sessions(store: &Store, case: &Case, facts: &mut Facts) -> Result<Reply> {
    let found = look_ups::my_sessions(store, case.user_id, facts).await?;
    let sessions = found["sessions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |session: &Value| {
        let start = session["startTime"].as_str().and_then(|text| text.parse::<chrono::DateTime<chrono::Utc>>().ok());
        let start = start.unwrap_or_default().with_timezone(&facts.zone()).format("%A, %-d %B %Y, %H:%M");
        let name = session["with"]["name"].as_str().unwrap_or("somebody");
        format!("- {start}, with {name}")
    };
    let text = match sessions {
        [] => "You have no sessions ahead.".to_owned(),
        sessions => {
            let lines: Vec<_> = sessions.iter().map(line).collect();
            format!("Your sessions ({}):\n{}", facts.zone().name(), lines.join("\n"))
        }
    };
    Ok(made(text, Vec::new(), facts, Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_become_intents() {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let intent = Intent::of("Hi Sam, who knows about urban bees and has time now?");
        assert_eq!((intent.words, intent.now, intent.name), (words(&["urban", "bees"]), true, None));
        assert_eq!(intent.topic.as_deref(), Some("urban bees"));
        let intent = Intent::of("Somebody for sourdough under $2.50 a minute, please");
        assert_eq!((intent.words, intent.max_rate), (words(&["sourdough"]), "2.5".parse().ok()));
        assert_eq!(intent.topic.as_deref(), Some("sourdough"));
        let intent = Intent::of("I want to talk to Ada Lovelace.");
        assert_eq!((intent.name.as_deref(), intent.words), (Some("Ada Lovelace"), words(&["ada", "lovelace"])));
        assert!(Intent::of("What are my sessions?").sessions);
        let most = |question: &str| Intent::of(question).max_rate;
        for question in ["Bees for up to 3 USD", "Bees, less than 3 a minute", "Bees below usd 3", "max. 3€, bees"] {
            assert_eq!(most(question), "3".parse().ok(), "{question}");
        }
        for question in [
            "I want to talk to 2 beekeepers",
            "Somebody with more than 10 years of bees",
            "more than $10 a minute",
            "from 3 to 4 dollars",
            "under 5k dollars",
            "under 30 minutes",
        ] {
            assert_eq!(most(question), None, "{question}");
        }
        assert_eq!(Intent::of("Hello!"), Intent::default());
        assert_eq!(Intent::of("free yoga").kind, Some(ConversationType::Free));
    }
}
