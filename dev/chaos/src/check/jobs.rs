//! Jobs: none lost, doubled or without an owner, and each tick of the clock had once.

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;

use super::{Case, Finder, Violation};
use crate::{database::PERIODIC, history::shown};

pub(super) fn none_is_lost_or_ownerless(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("no job is parked, stuck or doubled");
    let mut waiting = HashSet::new();
    for job in &case.tables.jobs {
        // A look that the next tick repeats may give up while the provider is away.
        let gave_up = job.state == "parked" && !PERIODIC.contains(&job.kind.as_str());
        finder.expect(!gave_up, || format!("parked: {job:?}"));
        // The workers have stopped in order: nothing is theirs any more.
        finder.expect(job.state != "running" && job.locked_by.is_none(), || format!("nobody runs {job:?}"));
        if let (Some(key), "available") = (&job.dedupe_key, job.state.as_str()) {
            finder.expect(waiting.insert((&job.kind, key)), || format!("waits twice: {job:?}"));
        }
    }
    finder.found
}

/// How many minutes before the start of a booked session its people are reminded of it.
const REMINDERS: [i64; 3] = [24 * 60, 60, 10];

/// What will happen to sessions by the clock is asked for already.
pub(super) fn what_waits_for_the_clock_has_a_job(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("what waits for the clock has a job");
    let mut waiting: HashMap<&str, Vec<&str>> = HashMap::new();
    for job in case.tables.jobs.iter().filter(|job| job.state == "available") {
        waiting.entry(&job.kind).or_default().extend(job.dedupe_key.as_deref());
    }
    let has = |kind: &str, beginning: &str| {
        waiting.get(kind).is_some_and(|keys| keys.iter().any(|key| key.starts_with(beginning)))
    };
    for session in &case.tables.sessions {
        let job = match session.status.as_str() {
            "pending" if session.hold_expires_at.is_some() => "release_hold",
            "pending" => "end_unstarted_session",
            "in_progress" => "end_forgotten_session",
            _ => continue,
        };
        // Keys begin with the id, and may go on with the version.
        let id = shown("sess", session.id);
        finder.expect(has(job, &id), || format!("no {job} for {session:?}"));
        if (session.r#type.as_str(), job) != ("scheduled", "end_unstarted_session") {
            continue;
        }
        for minutes in REMINDERS {
            let is_past = session.start_time - TimeDelta::minutes(minutes) <= case.tables.read_at;
            let key = format!("{id}:{}:{minutes}", session.version);
            finder.expect(is_past || has("remind_of_session", &key), || {
                format!("no {minutes} minutes' reminder of {session:?}")
            });
        }
    }
    finder.found
}

pub(super) fn each_tick_is_had_once(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("each tick of the clock is had once");
    let mut ticks = HashSet::new();
    for job in case.tables.jobs.iter().filter(|job| PERIODIC.contains(&job.kind.as_str())) {
        finder.expect(ticks.insert((&job.kind, job.run_at)), || format!("a second job of its tick: {job:?}"));
    }
    finder.found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::testing::{at, id},
        tables::{Job, Session, Tables},
    };

    fn job(number: u128, kind: &str, state: &str, key: Option<&str>) -> Job {
        Job {
            id: id(number),
            kind: kind.to_owned(),
            state: state.to_owned(),
            run_at: at(0),
            dedupe_key: key.map(ToOwned::to_owned),
            locked_by: (state == "running").then(|| id(99)),
            rescues: 0,
            last_error: None,
        }
    }

    fn case(jobs: Vec<Job>) -> Case {
        Case { tables: Tables { jobs, ..Tables::default() }, ..Case::default() }
    }

    #[test]
    fn jobs_that_stand_still_are_found() {
        let count = |jobs| none_is_lost_or_ownerless(&case(jobs)).len();
        assert_eq!(count(vec![job(1, "run_sam", "done", None), job(2, "run_sam", "available", None)]), 0);
        assert_eq!(count(vec![job(1, "run_sam", "parked", None)]), 1);
        assert_eq!(count(vec![job(1, "reconcile_payments", "parked", None)]), 0);
        assert_eq!(count(vec![job(1, "run_sam", "running", None)]), 1);
        let twins = [1, 2].map(|number| job(number, "expire_invite", "available", Some("inv"))).into();
        assert_eq!(count(twins), 1);
    }

    #[test]
    fn a_lost_job_is_found() {
        let session = Session {
            id: id(3),
            host_user_id: id(1),
            guest_user_id: id(2),
            r#type: "scheduled".to_owned(),
            status: "pending".to_owned(),
            start_time: at(7200),
            end_time: Some(at(8100)),
            started_at: None,
            ended_at: None,
            hold_expires_at: None,
            owed_minor: None,
            payment_status: "not_required".to_owned(),
            version: 1,
        };
        let mut case = case(Vec::new());
        case.tables.read_at = at(0);
        case.tables.sessions = vec![session];
        assert_eq!(what_waits_for_the_clock_has_a_job(&case).len(), 3, "its end, and two reminders");
        let key = format!("{}:1", shown("sess", id(3)));
        case.tables.jobs = vec![
            job(1, "end_unstarted_session", "available", Some(&key)),
            job(2, "remind_of_session", "available", Some(&format!("{key}:60"))),
            job(3, "remind_of_session", "available", Some(&format!("{key}:10"))),
        ];
        assert_eq!(what_waits_for_the_clock_has_a_job(&case), []);
        case.tables.sessions[0].version = 2;
        assert_eq!(what_waits_for_the_clock_has_a_job(&case).len(), 2, "reminders of where it was before");
        case.tables.read_at = at(7200);
        assert_eq!(what_waits_for_the_clock_has_a_job(&case), [], "nobody is reminded any more");
        case.tables.sessions[0].hold_expires_at = Some(at(5));
        assert_eq!(what_waits_for_the_clock_has_a_job(&case).len(), 1, "another one");
    }

    #[test]
    fn a_tick_that_was_had_twice_is_found() {
        let mut case = case(vec![job(1, "sweep_presence", "done", None), job(2, "rotate_events", "done", None)]);
        assert_eq!(each_tick_is_had_once(&case), []);
        case.tables.jobs.push(job(3, "sweep_presence", "done", None));
        assert_eq!(each_tick_is_had_once(&case).len(), 1);
    }
}
