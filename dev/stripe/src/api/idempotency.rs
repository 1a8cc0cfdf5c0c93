//! Idempotency keys, as Stripe's API v1 keeps them: <https://docs.stripe.com/api/idempotent_requests>.
//!
//! The first answer is kept for a day, whether it succeeded or not, 500s included. What was refused before
//! it began (wrong parameters, too many requests) isn't.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value;

use super::error::ApiError;

const LASTS: i64 = 86_400;
const LONGEST: usize = 255;

/// An answer as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) request_id: String,
}

/// What a key was first used for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) params: Value,
}

#[derive(Debug)]
struct Entry {
    asked: Asked,
    since: i64,
    /// `None` while the first request is under way.
    reply: Option<Reply>,
}

/// All keys of the last day.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: HashMap<String, Entry>,
}

/// What to do with a request that has a key.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Do it, then [`Ledger::finish`].
    Begin,
    /// Send the first answer again.
    Replay(Reply),
    /// Refuse it.
    Refuse(ApiError),
}

impl Ledger {
    /// A request with `key` comes in.
    pub(crate) fn begin(&mut self, key: &str, asked: Asked, now: i64) -> Verdict {
        self.entries.retain(|_, entry| entry.reply.is_none() || now < entry.since + LASTS);
        if key.len() > LONGEST {
            return Verdict::Refuse(ApiError::idempotency("Idempotency keys may have up to 255 characters."));
        }
        let Some(entry) = self.entries.get(key) else {
            self.entries.insert(key.to_owned(), Entry { asked, since: now, reply: None });
            return Verdict::Begin;
        };
        if entry.asked.path != asked.path {
            return Verdict::Refuse(ApiError::idempotency(&format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for ('{}' vs \
                 '{}'). Try using a key other than '{key}' if you meant to execute a different request.",
                asked.path, entry.asked.path
            )));
        }
        if entry.asked.params != asked.params {
            return Verdict::Refuse(ApiError::idempotency(&format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try \
                 using a key other than '{key}' if you meant to execute a different request."
            )));
        }
        match &entry.reply {
            Some(reply) => Verdict::Replay(reply.clone()),
            None => Verdict::Refuse(ApiError::key_in_use(key)),
        }
    }

    /// The request with `key` was answered; without a reply to keep, the key is free again.
    pub(crate) fn finish(&mut self, key: &str, reply: Option<Reply>) {
        match (reply, self.entries.get_mut(key)) {
            (Some(reply), Some(entry)) => entry.reply = Some(reply),
            _ => {
                self.entries.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(path: &str, amount: &str) -> Asked {
        Asked { path: path.to_owned(), params: json!({"amount": amount}) }
    }

    fn reply(status: u16) -> Reply {
        Reply { status, body: Bytes::from_static(b"{}"), request_id: "req_1".to_owned() }
    }

    #[test]
    fn the_first_answer_is_kept_even_a_500() {
        for status in [200, 402, 500] {
            let mut ledger = Ledger::default();
            assert!(matches!(ledger.begin("k", asked("/v1/refunds", "1"), 0), Verdict::Begin));
            ledger.finish("k", Some(reply(status)));
            match ledger.begin("k", asked("/v1/refunds", "1"), 60) {
                Verdict::Replay(kept) => assert_eq!(kept, reply(status)),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_key_is_bound_to_address_and_parameters() {
        let mut ledger = Ledger::default();
        ledger.begin("k", asked("/v1/refunds", "1"), 0);
        ledger.finish("k", Some(reply(200)));
        for other in [asked("/v1/refunds", "2"), asked("/v1/customers", "1")] {
            match ledger.begin("k", other, 1) {
                Verdict::Refuse(error) => assert_eq!((error.status(), error.code()), (400, None)),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_request_under_way_keeps_its_key_from_others() {
        let mut ledger = Ledger::default();
        ledger.begin("k", asked("/v1/refunds", "1"), 0);
        match ledger.begin("k", asked("/v1/refunds", "1"), 2 * LASTS) {
            Verdict::Refuse(error) => assert_eq!((error.status(), error.code()), (409, Some("idempotency_key_in_use"))),
            other => panic!("{other:?}"),
        }
        ledger.finish("k", None);
        assert!(matches!(ledger.begin("k", asked("/v1/refunds", "2"), 3), Verdict::Begin));
    }

    #[test]
    fn keys_are_forgotten_after_a_day() {
        let mut ledger = Ledger::default();
        ledger.begin("k", asked("/v1/refunds", "1"), 0);
        ledger.finish("k", Some(reply(200)));
        assert!(matches!(ledger.begin("k", asked("/v1/refunds", "1"), LASTS - 1), Verdict::Replay(_)));
        assert!(matches!(ledger.begin("k", asked("/v1/refunds", "1"), LASTS), Verdict::Begin));
    }
}
