//! Replies: whoever asks again under the same key hears the first one, byte for byte, and none says that the
//! product itself broke.

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

/// What is broken on purpose is somebody else's failure, which has statuses of its own (502, 503, 504).
pub(super) fn nothing_breaks_inside(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("no reply is a 500");
    for op in &case.ops {
        for one in op.tries.iter().filter(|one| one.status == 500) {
            finder.expect(false, || format!("op {} {:?}: {one:?}", op.number, op.deed));
        }
    }
    finder.found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::testing::op, history::Deed};

    fn case(answers: &[(Outcome, u16, &str)]) -> Case {
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
        Case { ops: vec![op], ..Case::default() }
    }

    #[test]
    fn another_reply_to_the_same_key_is_found() {
        use Outcome::{Ok, Refused, Unknown};
        let found = |answers| same_key_same_reply(&case(answers)).len();
        assert_eq!(found(&[(Ok, 201, "a"), (Ok, 201, "a")]), 0);
        assert_eq!(found(&[(Unknown, 503, "x"), (Ok, 201, "a"), (Ok, 201, "a")]), 0);
        assert_eq!(found(&[(Refused, 409, r#"{"error":{"code":"idempotency_in_flight"}}"#), (Ok, 201, "a")]), 0);
        assert_eq!(found(&[(Ok, 202, r#"{"runId":"run_1","status":"running"}"#), (Ok, 200, "a"), (Ok, 200, "a")]), 0);
        assert_eq!(found(&[(Ok, 201, "a"), (Ok, 201, "b")]), 1);
        assert_eq!(found(&[(Ok, 201, "a"), (Refused, 409, "a")]), 1);
    }

    #[test]
    fn a_500_is_found_whatever_comes_after_it() {
        use Outcome::{Ok, Unknown};
        let found = |answers| nothing_breaks_inside(&case(answers)).len();
        assert_eq!(found(&[(Unknown, 0, ""), (Unknown, 503, "x"), (Ok, 201, "a")]), 0);
        assert_eq!(found(&[(Unknown, 500, "x"), (Ok, 201, "a")]), 1);
    }
}
