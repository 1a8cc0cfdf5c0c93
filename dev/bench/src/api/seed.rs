//! What is stored before anything is measured, and what may be asked for.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::scripts::{CONTENT, Operation};
use crate::{
    http::request,
    product::{Api, IDS, Person},
};

/// How many people ask.
const CALLERS: usize = 16;

/// A database full of conversations, and people who may read some of them.
pub struct Seeded {
    callers: Vec<Person>,
    targets: Vec<Target>,
}

/// A conversation of a caller's.
struct Target {
    caller: usize,
    /// 1: where this caller talks most.
    rank: i64,
    conversation: String,
}

impl Seeded {
    /// Stores about that many messages and signs the callers in.
    ///
    /// # Errors
    /// The database's and the api's.
    pub async fn store(api: &Api, database_url: &str, people: usize, messages: usize) -> Result<Self> {
        // Everybody gets this one's password.
        const FIRST: &str = "first@bench.test";
        api.register(FIRST).await?;
        let mut connection = PgConnection::connect(database_url).await?;
        sqlx::raw_sql(IDS).execute(&mut connection).await?;
        sqlx::raw_sql(include_str!("seed.sql")).execute(&mut connection).await?;
        sqlx::query("select bench.seed($1, $2, $3, $4)")
            .bind(i64::try_from(people)?)
            .bind(i64::try_from(CALLERS)?)
            .bind(i64::try_from(messages)?)
            .bind(FIRST)
            .execute(&mut connection)
            .await
            .context("the messages could not be stored")?;
        let rows: Vec<(i64, i64, String)> =
            sqlx::query_as("select person, rank, bench.typeid('conv', conversation) from bench.targets order by n")
                .fetch_all(&mut connection)
                .await?;
        connection.close().await?;
        let target = |(person, rank, conversation): (i64, i64, String)| {
            Ok(Target { caller: usize::try_from(person)? - 1, rank, conversation })
        };
        let targets = rows.into_iter().map(target).collect::<Result<_>>()?;
        let mut callers = Vec::new();
        for number in 1..=CALLERS {
            callers.push(api.sign_in(&format!("person-{number}@bench.test")).await?);
        }
        Ok(Self { callers, targets })
    }

    /// How many conversations may be chosen from.
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    /// All requests of an operation's kind.
    pub fn requests(&self, operation: Operation) -> Arc<[Vec<u8>]> {
        let messages = |target: &Target| format!("/api/conversations/{}/messages", target.conversation);
        let message = json!({"content": CONTENT, "type": "user_text"});
        let targets = self.targets.iter().map(|target| (target, self.callers[target.caller].token.as_str()));
        match operation {
            Operation::PostMessage => {
                targets.map(|(target, token)| request("POST", &messages(target), Some(token), Some(&message))).collect()
            }
            // Where there are fifty: in the two conversations where a caller talks most.
            Operation::GetMessages => targets
                .filter(|(target, _)| target.rank <= 2)
                .map(|(target, token)| request("GET", &format!("{}?limit=50", messages(target)), Some(token), None))
                .collect(),
            Operation::GetConversations => self
                .callers
                .iter()
                .map(|caller| request("GET", "/api/conversations", Some(&caller.token), None))
                .collect(),
        }
    }
}
