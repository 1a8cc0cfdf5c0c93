//! What people may rely on while processes come and go in order and nothing is broken: whatever fails
//! was not done and can be asked again, sockets are told to come again, and no worker leaves a job behind.

use super::{COME_AGAIN, Case, Finder, Violation};
use crate::{
    LONG_PATIENCE,
    history::{Outcome, Try},
};

/// Whether a try ended in a way that a client may meet by sending the same again: it didn't get there, the line
/// was closed, or there was no place. Neither did it wait in vain.
fn can_be_asked_again(one: &Try) -> bool {
    matches!(one.status, 0 | 503) && one.ended - one.began < LONG_PATIENCE.as_secs_f64()
}

pub(super) fn everything_is_answered(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("who asks until there is an answer gets one");
    for op in &case.ops {
        let answered = op.tries.last().is_some_and(|last| {
            matches!(last.outcome, Outcome::Ok | Outcome::Refused) && last.code() != "idempotency_in_flight"
        });
        finder.expect(answered, || format!("{op:?}"));
    }
    finder.found
}

pub(super) fn what_fails_was_not_done(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("what fails was not done");
    for op in &case.ops {
        // After an answer, the same again is a replay as a matter of course.
        let answer = op.tries.iter().position(|one| one.outcome == Outcome::Ok).unwrap_or(0);
        finder.expect(!(answer > 0 && op.tries[answer].is_replay), || format!("done, though nobody was told: {op:?}"));
        let failures = op.tries.iter().filter(|one| matches!(one.outcome, Outcome::Failed | Outcome::Unknown));
        for failure in failures {
            finder.expect(can_be_asked_again(failure), || format!("op {} {:?}: {failure:?}", op.number, op.deed));
        }
    }
    finder.found
}

pub(super) fn sockets_are_told_to_come_again(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("sockets end with 1012");
    for code in &case.goodbyes {
        finder.expect(*code == Some(COME_AGAIN), || format!("one ended with {code:?}"));
    }
    finder.found
}

pub(super) fn jobs_stay_with_who_runs_them(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("a worker that stops leaves no job behind");
    for job in &case.tables.jobs {
        finder.expect(job.rescues == 0 && job.state != "parked", || format!("{job:?}"));
    }
    finder.found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::testing::{at, done, id, op},
        history::Deed,
        tables::{Job, Tables},
    };

    fn failure(outcome: Outcome, status: u16, secs: f64) -> Try {
        Try { began: 0.0, ended: secs, outcome, status, answer: String::new(), is_replay: false }
    }

    fn all(tries: Vec<Try>, is_replay: bool) -> [usize; 2] {
        let mut asked = done(0, Deed::Profile, &serde_json::json!({}));
        asked.tries[0].is_replay = is_replay;
        asked.tries.splice(0..0, tries);
        let case = Case { ops: vec![asked], ..Case::default() };
        [everything_is_answered(&case).len(), what_fails_was_not_done(&case).len()]
    }

    #[test]
    fn what_can_be_asked_again_may_fail() {
        assert_eq!(all(Vec::new(), true), [0, 0], "asked once more after an answer");
        let gone =
            [failure(Outcome::Failed, 0, 0.1), failure(Outcome::Unknown, 0, 1.0), failure(Outcome::Unknown, 503, 3.0)];
        assert_eq!(all(gone.into(), false), [0, 0]);
    }

    #[test]
    fn answers_that_never_come_are_found() {
        assert_eq!(
            all(vec![failure(Outcome::Unknown, 0, LONG_PATIENCE.as_secs_f64())], false),
            [0, 1],
            "waited in vain"
        );
        assert_eq!(all(vec![failure(Outcome::Unknown, 500, 0.1)], false), [0, 1]);
        let case = Case { ops: vec![op(0, Deed::Profile)], ..Case::default() };
        assert_eq!(everything_is_answered(&case).len(), 1);
        let mut given_up = op(0, Deed::Profile);
        given_up.tries.push(failure(Outcome::Failed, 0, 0.1));
        assert_eq!(everything_is_answered(&Case { ops: vec![given_up], ..Case::default() }).len(), 1);
    }

    #[test]
    fn a_deed_that_nobody_was_told_of_is_found() {
        assert_eq!(all(vec![failure(Outcome::Unknown, 0, 0.1)], true), [0, 1]);
        let answer = failure(Outcome::Ok, 200, 0.1);
        assert_eq!(all(vec![answer, failure(Outcome::Failed, 0, 0.1)], true), [0, 0], "it had been told");
    }

    #[test]
    fn sockets_that_are_cut_are_found() {
        let count = |goodbyes| sockets_are_told_to_come_again(&Case { goodbyes, ..Case::default() }).len();
        assert_eq!(count(vec![Some(1012), Some(1012)]), 0);
        assert_eq!(count(vec![Some(1012), Some(1006), None]), 2);
    }

    #[test]
    fn jobs_that_were_left_behind_are_found() {
        let count = |state: &str, rescues| {
            let job = Job {
                id: id(1),
                kind: "run_sam".to_owned(),
                state: state.to_owned(),
                run_at: at(0),
                dedupe_key: None,
                locked_by: None,
                rescues,
                last_error: None,
            };
            let tables = Tables { jobs: vec![job], ..Tables::default() };
            jobs_stay_with_who_runs_them(&Case { tables, ..Case::default() }).len()
        };
        assert_eq!([count("done", 0), count("done", 1), count("parked", 0)], [0, 1, 1]);
    }
}
