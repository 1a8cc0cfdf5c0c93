//! Sessions: bookings that were asked for, steps that are legal, and nobody in two places at once.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Case, Finder, Violation};
use crate::{
    history::{Deed, moment, uuid_of},
    tables::{About, Session},
};

pub(super) fn bookings_are_those_that_were_asked_for(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("bookings: acknowledged ⊆ stored ⊆ asked for, once each");
    let stored: HashMap<Uuid, &Session> = case.tables.sessions.iter().map(|session| (session.id, session)).collect();
    // How often somebody asked a host for a time, and for which times sessions were moved.
    let mut asked: HashMap<(Uuid, Uuid), i64> = HashMap::new();
    let mut times: HashSet<(Uuid, Uuid, DateTime<Utc>)> = HashSet::new();
    let mut moves: HashSet<(Uuid, DateTime<Utc>)> = HashSet::new();
    let mut told = HashMap::new();
    for op in &case.ops {
        match op.deed {
            Deed::Book { host, start } if op.may_be_done() => {
                *asked.entry((op.person, host)).or_default() += 1;
                times.insert((op.person, host, start));
                let Some(answer) = op.acknowledged() else { continue };
                let id = uuid_of(&answer.json()["session"]["id"]);
                let fits = id
                    .and_then(|id| stored.get(&id))
                    .is_some_and(|session| (session.guest_user_id, session.host_user_id) == (op.person, host));
                finder
                    .expect(fits, || format!("op {}: {:?} was told of {id:?}, which isn't stored", op.number, op.deed));
                if let Some(other) = told.insert(id, op.number) {
                    finder.expect(false, || {
                        format!("ops {other} and {} were told of the same session {id:?}", op.number)
                    });
                }
            }
            Deed::Move { session, start } if op.may_be_done() => {
                moves.insert((session, start));
            }
            _ => {}
        }
    }
    for proposal in case.tables.proposals.iter().filter(|proposal| proposal.status == "confirmed") {
        let (Some(host), true) = (proposal.target(), proposal.deed["type"] == "create_session") else { continue };
        *asked.entry((proposal.user_id, host)).or_default() += 1;
        times.extend(moment(&proposal.deed["startTime"]).map(|at| (proposal.user_id, host, at)));
    }
    for session in case.tables.sessions.iter().filter(|session| session.r#type == "scheduled") {
        let Session { guest_user_id: guest, host_user_id: host, start_time: start, .. } = session;
        // A session that was begun early keeps the time it was booked for.
        let is_asked = times.contains(&(*guest, *host, *start)) || moves.contains(&(session.id, *start));
        finder.expect(is_asked, || format!("nobody asked for this time: {session:?}"));
        let left = asked.entry((*guest, *host)).or_default();
        *left -= 1;
        finder.expect(*left >= 0, || format!("more sessions than were asked for: {session:?}"));
    }
    finder.found
}

fn is_legal(from: &str, to: &str) -> bool {
    matches!(
        (from, to),
        ("pending", "pending" | "in_progress" | "cancelled" | "no_show")
            | ("in_progress", "in_progress" | "complete")
            | ("complete", "complete")
            | ("cancelled", "cancelled")
            | ("no_show", "no_show")
    )
}

/// Where in the channel, to which status, and the session's version then.
type Step<'a> = (i64, &'a str, i64);

/// As its people were told of them, in order.
pub(super) fn steps_are_legal(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("a session's steps are legal");
    let mut told: BTreeMap<(Uuid, &str), Vec<Step>> = BTreeMap::new();
    for event in &case.tables.events {
        if let About::Session { id, status, version } = &event.about {
            told.entry((*id, &event.channel)).or_default().push((event.seq, status, *version));
        }
    }
    let mut last: BTreeMap<Uuid, Vec<(&str, i64)>> = BTreeMap::new();
    for ((id, channel), mut steps) in told {
        steps.sort_unstable();
        let legal = steps.windows(2).all(|pair| is_legal(pair[0].1, pair[1].1) && pair[0].2 <= pair[1].2);
        finder.expect(legal, || format!("{channel} was told of {id}: {steps:?}"));
        last.entry(id).or_default().extend(steps.last().map(|(_, status, version)| (*status, *version)));
    }
    for session in &case.tables.sessions {
        let told = last.remove(&session.id).unwrap_or_default();
        let as_it_is = told.len() == 2
            && told.iter().all(|(status, version)| *status == session.status && *version == i64::from(session.version));
        finder.expect(as_it_is, || format!("both were last told {told:?} of {session:?}"));
    }
    finder.found
}

pub(super) fn acknowledged_steps_stand(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("an acknowledged step of a session stands");
    let stored: HashMap<Uuid, &str> =
        case.tables.sessions.iter().map(|session| (session.id, session.status.as_str())).collect();
    for op in &case.ops {
        let (Deed::Step { session, status }, Some(_)) = (&op.deed, op.acknowledged()) else { continue };
        let found = stored.get(session).copied().unwrap_or("not there");
        let stands = found == *status || (*status == "in_progress" && found == "complete");
        finder.expect(stands, || format!("op {}: {session} became {status}, but is {found}", op.number));
    }
    finder.found
}

/// From when, until when, and with which session somebody's time is taken.
type Span = (DateTime<Utc>, DateTime<Utc>, Uuid);

/// Neither in talks that took place, nor in those that are agreed or held.
pub(super) fn nobody_is_in_two_places(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("nobody is in two places at once");
    let mut taken: BTreeMap<(Uuid, bool), Vec<Span>> = BTreeMap::new();
    for session in &case.tables.sessions {
        let span = match (session.status.as_str(), session.r#type.as_str()) {
            ("complete", _) => session.started_at.zip(session.ended_at).map(|span| (span, true)),
            ("in_progress", _) => session.started_at.map(|at| ((at, DateTime::<Utc>::MAX_UTC), true)),
            ("pending", "scheduled") => session.end_time.map(|end| ((session.start_time, end), false)),
            _ => None,
        };
        let Some(((start, end), took_place)) = span else { continue };
        for person in [session.host_user_id, session.guest_user_id] {
            taken.entry((person, took_place)).or_default().push((start, end, session.id));
        }
    }
    for ((person, _), mut spans) in taken {
        spans.sort_unstable();
        for pair in spans.windows(2) {
            finder.expect(pair[0].1 <= pair[1].0, || format!("{person}: {pair:?}"));
        }
    }
    finder.found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        check::testing::{at, done, event, id, refused, shown},
        tables::Tables,
    };

    fn session(number: u128, start: i64, status: &str) -> Session {
        Session {
            id: id(number),
            host_user_id: id(2),
            guest_user_id: id(1),
            r#type: "scheduled".to_owned(),
            status: status.to_owned(),
            start_time: at(start),
            end_time: Some(at(start + 900)),
            started_at: None,
            ended_at: None,
            hold_expires_at: None,
            owed_minor: None,
            payment_status: "not_required".to_owned(),
            version: 1,
        }
    }

    fn told(number: u128, seq: i64, status: &str) -> Vec<crate::tables::Event> {
        let about = About::Session { id: id(number), status: status.to_owned(), version: 1 };
        ["one", "two"].map(|channel| event(channel, seq, "session.updated", about.clone())).into()
    }

    /// Person 1 booked person 2 once.
    fn sound() -> Case {
        let book = Deed::Book { host: id(2), start: at(0) };
        let ops = vec![done(0, book, &json!({"session": {"id": shown("sess", 3)}}))];
        let tables =
            Tables { sessions: vec![session(3, 0, "pending")], events: told(3, 1, "pending"), ..Tables::default() };
        Case { ops, tables, ..Case::default() }
    }

    fn all(case: &Case) -> [usize; 4] {
        [bookings_are_those_that_were_asked_for, steps_are_legal, acknowledged_steps_stand, nobody_is_in_two_places]
            .map(|rule| rule(case).len())
    }

    #[test]
    fn lost_doubled_and_misplaced_bookings_are_found() {
        assert_eq!(all(&sound()), [0, 0, 0, 0]);
        let mut case = sound();
        case.tables.sessions.clear();
        assert_eq!(all(&case)[0], 1);
        case = sound();
        case.tables.sessions.push(session(4, 0, "cancelled"));
        assert_eq!(all(&case)[0], 1, "two for one");
        case = sound();
        case.tables.sessions[0].start_time = at(900);
        assert_eq!(all(&case)[0], 1, "another time");
        case.ops.push(done(1, Deed::Move { session: id(3), start: at(900) }, &json!({})));
        assert_eq!(all(&case)[0], 0, "it was moved");
        case.ops[1] = refused(1, Deed::Move { session: id(3), start: at(900) });
        assert_eq!(all(&case)[0], 1, "moving was refused");
    }

    #[test]
    fn steps_that_no_session_takes_are_found() {
        let mut case = sound();
        case.tables.events.extend(told(3, 2, "cancelled"));
        case.tables.sessions[0].status = "cancelled".to_owned();
        assert_eq!(all(&case), [0, 0, 0, 0]);
        case.tables.events.extend(told(3, 3, "in_progress"));
        case.tables.sessions[0].status = "in_progress".to_owned();
        assert_eq!(all(&case)[1], 2, "both were told that it rose from the dead");
        case = sound();
        case.tables.sessions[0].status = "cancelled".to_owned();
        assert_eq!(all(&case)[1], 1, "nobody was told");
    }

    #[test]
    fn a_step_that_was_taken_back_is_found() {
        let mut case = sound();
        case.ops.push(done(1, Deed::Step { session: id(3), status: "cancelled" }, &json!({})));
        assert_eq!(all(&case), [0, 0, 1, 0]);
    }

    #[test]
    fn talks_at_the_same_time_are_found() {
        let mut case = sound();
        case.ops.push(done(
            1,
            Deed::Book { host: id(2), start: at(600) },
            &json!({"session": {"id": shown("sess", 4)}}),
        ));
        case.tables.sessions.push(session(4, 600, "pending"));
        case.tables.events.extend(told(4, 2, "pending"));
        assert_eq!(all(&case), [0, 0, 0, 2], "for both people");
        case.tables.sessions[1].start_time = at(900);
        case.ops[1].deed = Deed::Book { host: id(2), start: at(900) };
        assert_eq!(all(&case), [0, 0, 0, 0]);
    }
}
