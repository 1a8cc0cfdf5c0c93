//! A key names one deed: whoever asks again hears the first reply, byte for byte.

use super::{Case, Finder, Violation};
use crate::history::{Outcome, Try};

/// Whether it is the deed's reply. What isn't may be another when it is asked for again: that a first request is still
/// under way, or that Sam still thinks.
fn is_kept(one: &Try) -> bool {
    let still = one.code() == "idempotency_in_flight" || one.json()["status"] == "running";
    let passing = matches!(one.status, 401 | 429) || still;
    matches!(one.outcome, Outcome::Ok | Outcome::Refused) && !passing
}

pub(super) fn same_key_same_reply(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("the same key gets the same reply");
    for op in case.ops.iter().filter(|op| op.key.is_some()) {
        let mut kept = op.tries.iter().filter(|one| is_kept(one));
        let Some(first) = kept.next() else { continue };
        for other in kept {
            finder.expect((first.status, &first.answer) == (other.status, &other.answer), || {
                format!(
                    "op {} {:?}: first {} {}, then {} {}",
                    op.number, op.deed, first.status, first.answer, other.status, other.answer
                )
            });
        }
    }
    finder.found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::testing::op, history::Deed};

    fn found(answers: &[(Outcome, u16, &str)]) -> usize {
        let mut op = op(0, Deed::SignIn);
        op.key = Some("k".to_owned());
        op.tries = answers
            .iter()
            .map(|(outcome, status, answer)| Try {
                began: 0.0,
                ended: 1.0,
                outcome: *outcome,
                status: *status,
                answer: (*answer).to_owned(),
                is_replay: false,
            })
            .collect();
        same_key_same_reply(&Case { ops: vec![op], ..Case::default() }).len()
    }

    #[test]
    fn another_reply_to_the_same_key_is_found() {
        use Outcome::{Ok, Refused, Unknown};
        assert_eq!(found(&[(Ok, 201, "a"), (Ok, 201, "a")]), 0);
        assert_eq!(found(&[(Unknown, 503, "x"), (Ok, 201, "a"), (Ok, 201, "a")]), 0);
        assert_eq!(found(&[(Refused, 409, r#"{"error":{"code":"idempotency_in_flight"}}"#), (Ok, 201, "a")]), 0);
        assert_eq!(found(&[(Ok, 202, r#"{"runId":"run_1","status":"running"}"#), (Ok, 200, "a"), (Ok, 200, "a")]), 0);
        assert_eq!(found(&[(Ok, 201, "a"), (Ok, 201, "b")]), 1);
        assert_eq!(found(&[(Ok, 201, "a"), (Refused, 409, "a")]), 1);
    }
}
