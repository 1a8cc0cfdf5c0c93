//! The readers of what the model says, without a question: for fuzzing.

use chrono::TimeDelta;
use chrono_tz::Tz;
use uuid::Uuid;

use super::{actions::PricedSlot, facts::Facts, partial, reply};
use crate::{id::UserId, money::Price, testing::noon, text::Timestamp};

/// What a model's answer came to.
#[derive(Debug)]
pub struct Answer {
    /// What is said.
    pub text: String,
    /// How much is shown and proposed.
    pub actions: usize,
    /// How much was left out.
    pub dropped: i32,
}

/// Reads an answer of a model that has looked up a free half hour at noon, of the host with the id 1. None where it
/// can't be used.
pub fn read_answer(json: &str) -> Option<Answer> {
    let mut facts = Facts::new(UserId(Uuid::nil()), Tz::Europe__Berlin);
    let (start, end) = (Timestamp(noon()), Timestamp(noon() + TimeDelta::minutes(30)));
    let price = Some(Price::from_minor(0, "usd"));
    facts.add_slot(UserId(Uuid::from_u128(1)), None, PricedSlot { start, end, price, currency: "usd".to_owned() });
    let reply = reply::read(json, &facts).ok()?;
    Some(Answer { text: reply.text, actions: reply.actions.len(), dropped: reply.dropped })
}

/// What can be read of an answer that is still being written.
pub fn text_so_far(json: &str) -> Option<String> {
    partial::text_so_far(json)
}
