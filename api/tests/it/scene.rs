//! Situations that several tests begin in, and looks behind the curtain.

use std::{str::FromStr, time::Duration};

use futures_util::future::{BoxFuture, join_all};
use humanchat_domain::{event::Channel, mail, testing::events_of};
use humanchat_worker::testing::{Outcome, drain};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::{Answer, Api, PATIENCE, Person};

pub const ONLINE_TTL: Duration = Duration::from_mins(5);

/// Lets all of these go at the same moment; their results are in the same order.
pub async fn at_once<'a, T>(deeds: impl IntoIterator<Item = BoxFuture<'a, T>>) -> Vec<T> {
    let deeds: Vec<_> = deeds.into_iter().collect();
    let barrier = Barrier::new(deeds.len());
    join_all(deeds.into_iter().map(async |deed| {
        barrier.wait().await;
        deed.await
    }))
    .await
}

/// How many of the answers have this status.
pub fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// What so many percent stay below.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// Waits until `look` finds something.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not text: {value}")).to_owned()
}

pub fn strings(values: &Value, field: &str) -> Vec<String> {
    values.as_array().unwrap().iter().map(|value| text(&value[field])).collect()
}

pub fn id<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

impl Api {
    pub fn advance(&self, by: Duration) {
        self.store.clock().advance(by);
    }

    /// Does the jobs that are due; says which, all of them successful, though they may come again later.
    pub async fn work(&self) -> Vec<&'static str> {
        let outcomes = drain(&self.store).await;
        let is_fine = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Snoozed);
        assert!(outcomes.iter().all(|(_, outcome)| is_fine(outcome)), "{outcomes:?}");
        outcomes.into_iter().map(|(name, _)| name).collect()
    }

    /// The same without the mail that follows from it.
    pub async fn work_but_mail(&self) -> Vec<&'static str> {
        let mut done = self.work().await;
        done.retain(|kind| *kind != "mail_notification");
        done
    }

    /// Asserts that no job is left, not even one for another day; but for mail, and for the watch over
    /// sessions that still go on.
    pub async fn idle(&self) {
        self.advance(Duration::from_hours(24 * 40));
        let mut outcomes = drain(&self.store).await;
        let others = ["end_forgotten_session", "mail_notification"].map(|kind| (kind, Outcome::Done));
        outcomes.retain(|outcome| !others.contains(outcome));
        assert_eq!(outcomes, []);
    }

    /// What listeners of a channel were told, in order, with the numbering checked.
    pub async fn told(&self, channel: Channel) -> Vec<Value> {
        let frames = events_of(&self.store, channel).await;
        for (frame, seq) in frames.iter().zip(1..) {
            assert_eq!(frame.seq, Some(seq), "{channel} has a gap");
        }
        frames.iter().map(|frame| serde_json::from_slice(&frame.json).unwrap()).collect()
    }

    /// What somebody was told on their own channel, but for notifications, which stand beside it.
    pub async fn told_to(&self, person: &Person<'_>) -> Vec<Value> {
        let mut events = self.told(Channel::Notifications(id(&person.id))).await;
        events.retain(|event| !text(&event["type"]).starts_with("notification."));
        events
    }

    /// The tokens of the sign-in mails to an address, newest first.
    pub async fn mailed_tokens(&self, email: &str) -> Vec<String> {
        let mails = mail::kept(&self.store, Some(email)).await.unwrap();
        let token = |body: &str| Some(body.split_once("#token=")?.1.split_whitespace().next()?.to_owned());
        mails.iter().filter_map(|mail| token(&mail.body)).collect()
    }

    /// Many people, who came by mailed link: quicker than by password.
    pub async fn arrive(&self, names: &[&str]) -> Vec<Person<'_>> {
        let email = |name: &str| format!("{name}@example.com");
        for name in names {
            let ask = json!({"email": email(name)});
            self.anonymous(Method::POST, "/api/auth/magic-link", Some(ask)).await.ok(202);
        }
        assert_eq!(self.work().await, vec!["send_magic_link"; names.len()]);
        let mut people = Vec::new();
        for name in names {
            let token = self.mailed_tokens(&email(name)).await.remove(0);
            let verify = json!({"token": token});
            let auth = self.anonymous(Method::POST, "/api/auth/magic-link/verify", Some(verify)).await.ok(200);
            people.push(Person::of(self, &auth));
        }
        people
    }
}

impl Person<'_> {
    /// The conversation with somebody.
    pub async fn conversation_with(&self, other: &Person<'_>) -> String {
        let answer = self.post("/api/conversations", json!({"participantId": other.id})).await;
        assert!(answer.status.is_success(), "{answer:?}");
        text(&answer.json()["conversation"]["id"])
    }

    pub async fn say(&self, conversation: &str, words: &str) -> Answer {
        let body = json!({"content": words, "type": "user_text"});
        self.post(&format!("/api/conversations/{conversation}/messages"), body).await
    }

    pub async fn connect(&self, host: &Person<'_>) -> Answer {
        self.post("/api/conversations/connect", json!({"targetUserId": host.id})).await
    }

    /// A new invite to a host.
    pub async fn invite(&self, host: &Person<'_>) -> Value {
        let connected = self.connect(host).await.ok(201);
        assert_eq!(connected["flow"], "invite");
        connected["invite"].clone()
    }

    /// Answers an invite: `accept`, `decline` or `cancel`.
    pub async fn answer(&self, invite: &Value, how: &str) -> Answer {
        self.post(&format!("/api/conversations/invites/{}/{how}", text(&invite["id"])), json!({})).await
    }

    /// Says "I'm here" for 45 seconds.
    pub async fn appear(&self) {
        self.put("/api/users/me/presence", json!({"state": "active"})).await.ok(200);
    }

    /// Everything this person was told about an invite, in order.
    pub async fn told_about(&self, invite: &Value) -> Vec<String> {
        let events = self.api.told(Channel::Notifications(id(&self.id))).await;
        let about = events.iter().filter(|event| event["payload"]["invite"]["id"] == invite["id"]);
        about.map(|event| text(&event["payload"]["event"])).collect()
    }

    /// All pages of a list, one row a page unless `path` has a limit; `between` runs after each page.
    pub async fn walk(&self, path: &str, list: &str, mut between: impl AsyncFnMut(usize)) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        for page in 0.. {
            assert!(page < 1000, "the walk has no end");
            let body = self.get(&format!("{path}{cursor}")).await.ok(200);
            rows.extend(body[list].as_array().unwrap().iter().cloned());
            let Some(next) = body["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
            between(page).await;
        }
        rows
    }
}
