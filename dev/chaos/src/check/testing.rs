//! Forged histories: a world in order, of which each test bends one thing.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    history::{self, Deed, Op, Outcome, Try},
    tables::{About, Channel, Event},
};

pub(super) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// An id as the product shows it.
pub(super) fn shown(prefix: &str, number: u128) -> Value {
    Value::String(history::shown(prefix, id(number)))
}

pub(super) fn at(secs: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + secs, 0).unwrap()
}

/// An op of person 1 that nobody answered, begun at its number.
pub(super) fn op(number: usize, deed: Deed) -> Op {
    Op { number, person: id(1), deed, key: None, tries: Vec::new() }
}

/// One that was answered within half a second.
pub(super) fn done(number: usize, deed: Deed, answer: &Value) -> Op {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let began = number as f64;
    let one = Try {
        began,
        ended: began + 0.5,
        outcome: Outcome::Ok,
        status: 200,
        answer: answer.to_string(),
        is_replay: false,
    };
    Op { tries: vec![one], ..op(number, deed) }
}

/// One that was refused.
pub(super) fn refused(number: usize, deed: Deed) -> Op {
    let mut op = done(number, deed, &Value::Null);
    op.tries[0].outcome = Outcome::Refused;
    op.tries[0].status = 409;
    op
}

/// The only event of a channel.
pub(super) fn event(channel: &str, seq: i64, kind: &str, about: About) -> Event {
    Event { channel: channel.to_owned(), seq, kind: kind.to_owned(), digest: seq.unsigned_abs(), about }
}

pub(super) fn channel(name: &str, seq: i64) -> Channel {
    Channel { channel: name.to_owned(), seq }
}
