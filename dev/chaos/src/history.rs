//! What was asked of the system and what it answered: kept for the checker, and logged as JSON lines.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufWriter, Write as _},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// Something that changes the world, with what the checker needs to find it again.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub(crate) enum Deed {
    Register {
        email: String,
    },
    SignIn,
    Profile,
    Presence,
    Availability,
    Open {
        with: Uuid,
    },
    Say {
        conversation: Uuid,
        content: String,
    },
    Connect {
        host: Uuid,
    },
    /// `accept`, `decline` or `cancel`.
    Answer {
        invite: Uuid,
        how: &'static str,
    },
    Ask {
        target: Uuid,
        message: String,
    },
    Decide {
        request: Uuid,
        status: &'static str,
    },
    Book {
        host: Uuid,
        start: DateTime<Utc>,
    },
    /// `in_progress`, `complete` or `cancelled`.
    Step {
        session: Uuid,
        status: &'static str,
    },
    Move {
        session: Uuid,
        start: DateTime<Utc>,
    },
    Pay {
        session: Uuid,
    },
    Refund {
        payment: Uuid,
        amount: i64,
    },
    Consult {
        message: String,
    },
    /// `confirm` or `decline`.
    Settle {
        action: Uuid,
        decision: &'static str,
    },
    /// Nothing: something was only looked at.
    Read {
        path: String,
    },
}

impl Deed {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::SignIn => "sign in",
            Self::Profile => "profile",
            Self::Presence => "presence",
            Self::Availability => "availability",
            Self::Open { .. } => "open a conversation",
            Self::Say { .. } => "message",
            Self::Connect { .. } => "connect",
            Self::Answer { .. } => "answer an invite",
            Self::Ask { .. } => "request",
            Self::Decide { .. } => "decide a request",
            Self::Book { .. } => "book",
            Self::Step { .. } => "step of a session",
            Self::Move { .. } => "move a session",
            Self::Pay { .. } => "pay",
            Self::Refund { .. } => "refund",
            Self::Consult { .. } => "ask Sam",
            Self::Settle { .. } => "settle a proposal",
            Self::Read { .. } => "read",
        }
    }
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It was done, the system says.
    Ok,
    /// The system says no, and nothing was done.
    Refused,
    /// It never got there.
    Failed,
    /// It may have been done.
    Unknown,
}

/// One request, and what came back.
#[derive(Debug, Clone)]
pub(crate) struct Try {
    pub(crate) began: f64,
    pub(crate) ended: f64,
    pub(crate) outcome: Outcome,
    /// 0: no answer.
    pub(crate) status: u16,
    /// The answer's body, byte for byte; of what was only read, nothing.
    pub(crate) answer: String,
    /// Whether the system says that it answered so before.
    pub(crate) is_replay: bool,
}

impl Try {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.answer).unwrap_or_default()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A deed, and every try at it under the same key.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub(crate) number: usize,
    pub(crate) person: Uuid,
    pub(crate) deed: Deed,
    pub(crate) key: Option<String>,
    pub(crate) tries: Vec<Try>,
}

impl Op {
    /// The answer that said it was done.
    pub(crate) fn acknowledged(&self) -> Option<&Try> {
        self.tries.iter().find(|one| one.outcome == Outcome::Ok)
    }

    /// Whether it may have been done.
    pub(crate) fn may_be_done(&self) -> bool {
        // One that was begun and never came back, because the run ended, may have been done too.
        self.tries.is_empty() || self.tries.iter().any(|one| matches!(one.outcome, Outcome::Ok | Outcome::Unknown))
    }

    /// How it stands in the end.
    pub(crate) fn outcome(&self) -> Outcome {
        if self.acknowledged().is_some() {
            return Outcome::Ok;
        }
        if self.may_be_done() {
            return Outcome::Unknown;
        }
        self.tries.iter().map(|one| one.outcome).min().unwrap_or(Outcome::Failed)
    }
}

/// A subscription of somebody's, and what they heard on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subscription {
    pub(crate) channel: String,
    /// What they asked to be told from; none: from now on.
    pub(crate) after: Option<i64>,
    /// The channel's newest number, and whether nothing was missing, as the server said.
    pub(crate) said: Option<(i64, bool)>,
    /// Numbers and digests of events, as they came.
    pub(crate) heard: Vec<(i64, u64)>,
}

/// What people asked and heard in all.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) ops: Vec<Op>,
    pub(crate) subscriptions: Vec<Subscription>,
    /// The codes with which the system ended sockets; none where it didn't say.
    pub(crate) goodbyes: Vec<Option<u16>>,
}

/// Everything that was asked and heard.
#[derive(Debug)]
pub(crate) struct History {
    began: Instant,
    ops: Mutex<Vec<Op>>,
    subscriptions: Mutex<Vec<Subscription>>,
    goodbyes: Mutex<Vec<Option<u16>>>,
    log: Mutex<BufWriter<File>>,
}

impl History {
    /// An empty one, which is logged to `file`.
    pub(crate) fn create(file: &Path) -> Result<Self> {
        let log = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
        let log = Mutex::new(BufWriter::new(log));
        let (ops, subscriptions, goodbyes) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Self { began: Instant::now(), ops, subscriptions, goodbyes, log })
    }

    /// Seconds since the run began.
    pub(crate) fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Notes that something is about to be asked.
    pub(crate) fn invoked(&self, person: Uuid, deed: Deed, key: Option<String>) -> usize {
        let mut ops = locked(&self.ops);
        let number = ops.len();
        self.write(&json!({"at": self.now(), "op": number, "is": "invoked", "by": person, "what": deed, "key": key}));
        ops.push(Op { number, person, deed, key, tries: Vec::new() });
        number
    }

    /// Notes how a try went.
    pub(crate) fn tried(&self, number: usize, one: Try) {
        let Try { began, outcome, status, answer, .. } = &one;
        self.write(
            &json!({"at": self.now(), "op": number, "is": outcome, "began": began, "status": status, "answer": answer}),
        );
        locked(&self.ops)[number].tries.push(one);
    }

    /// Notes a subscription that is over.
    pub(crate) fn listened(&self, subscription: Subscription) {
        locked(&self.subscriptions).push(subscription);
    }

    /// Notes that the system ended a socket, and with which code; none where it didn't say.
    pub(crate) fn parted(&self, code: Option<u16>) {
        locked(&self.goodbyes).push(code);
    }

    /// Notes what was done to the system.
    pub(crate) fn struck(&self, what: &str) {
        println!("{:8.1} s  {what}", self.now());
        self.write(&json!({"at": self.now(), "nemesis": what}));
    }

    /// Everything, once it is over.
    pub(crate) fn take(&self) -> Heard {
        let _ = locked(&self.log).flush();
        Heard {
            ops: std::mem::take(&mut *locked(&self.ops)),
            subscriptions: std::mem::take(&mut *locked(&self.subscriptions)),
            goodbyes: std::mem::take(&mut *locked(&self.goodbyes)),
        }
    }

    fn write(&self, line: &Value) {
        // A full disk must not change what the people do; the checker has its own copy.
        let _ = writeln!(locked(&self.log), "{line}");
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What stands for an event's type and payload, however they are spelt.
pub(crate) fn digest(kind: &str, payload: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    feed(payload, &mut hasher);
    hasher.finish()
}

fn feed(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0u8.hash(hasher),
        Value::Bool(flag) => flag.hash(hasher),
        // 30 and 30.0 are the same amount.
        Value::Number(number) => number.as_f64().map(f64::to_bits).hash(hasher),
        Value::String(text) => text.hash(hasher),
        Value::Array(items) => {
            items.len().hash(hasher);
            for item in items {
                feed(item, hasher);
            }
        }
        Value::Object(fields) => {
            let mut names: Vec<_> = fields.keys().collect();
            names.sort_unstable();
            for name in names {
                name.hash(hasher);
                feed(&fields[name], hasher);
            }
        }
    }
}

/// The UUID behind an id's text.
pub(crate) fn uuid_of(id: &Value) -> Option<Uuid> {
    let id: type_safe_id::TypeSafeId<type_safe_id::DynamicType> = id.as_str()?.parse().ok()?;
    Some(id.uuid())
}

/// An id as the product shows it.
pub(crate) fn shown(prefix: &str, id: Uuid) -> String {
    let kind = type_safe_id::DynamicType::new(prefix);
    kind.map(|kind| type_safe_id::TypeSafeId::from_type_and_uuid(kind, id).to_string()).unwrap_or_default()
}

/// An instant, as the product writes it.
pub(crate) fn moment(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use Outcome::{Failed, Ok, Refused, Unknown};

    use super::*;

    #[test]
    fn a_digest_goes_by_what_is_said_not_by_how() {
        let (one, other): (Value, Value) = (
            serde_json::from_str(r#"{"a": [1, "x"], "b": 2.0}"#).unwrap(),
            serde_json::from_str(r#"{"b": 2, "a": [1, "x"]}"#).unwrap(),
        );
        assert_eq!(digest("t", &one), digest("t", &other));
        assert_ne!(digest("t", &one), digest("u", &one));
        assert_ne!(digest("t", &one), digest("t", &json!({"a": [1, "y"], "b": 2})));
    }

    #[test]
    fn an_op_stands_where_its_tries_leave_it() {
        let one = |outcome| Try { began: 0.0, ended: 1.0, outcome, status: 0, answer: String::new(), is_replay: false };
        let op = |outcomes: &[Outcome]| {
            let tries = outcomes.iter().map(|outcome| one(*outcome)).collect();
            Op { number: 0, person: Uuid::nil(), deed: Deed::SignIn, key: None, tries }.outcome()
        };
        assert_eq!(op(&[Unknown, Ok]), Ok);
        assert_eq!(op(&[Unknown, Refused]), Unknown);
        assert_eq!(op(&[Failed, Refused]), Refused);
        assert_eq!(op(&[Failed]), Failed);
        assert_eq!(op(&[]), Unknown);
    }
}
