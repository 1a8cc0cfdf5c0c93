//! Requests to talk: acknowledged ⊆ stored ⊆ made, once each, and decided once.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Case, Finder, Violation};
use crate::{
    history::{Deed, uuid_of},
    tables::Request,
};

pub(super) fn requests_are_those_that_were_made(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("requests: acknowledged ⊆ stored ⊆ made, once each");
    let stored: HashMap<Uuid, &Request> = case.tables.requests.iter().map(|request| (request.id, request)).collect();
    let mut made = HashSet::new();
    for op in &case.ops {
        let Deed::Ask { target, message } = &op.deed else { continue };
        if op.may_be_done() {
            made.insert((op.person, *target, message.as_str()));
        }
        let Some(id) = op.acknowledged().and_then(|answer| uuid_of(&answer.json()["request"]["id"])) else { continue };
        // While one waits, asking again finds it: the words may be those of before.
        let fits = stored
            .get(&id)
            .is_some_and(|request| (request.requester_user_id, request.target_user_id) == (op.person, *target));
        finder.expect(fits, || format!("op {}: told of {id}; stored: {:?}", op.number, stored.get(&id)));
    }
    let confirmed = case.tables.proposals.iter().filter(|proposal| proposal.status == "confirmed");
    let proposed: Vec<_> = confirmed
        .filter_map(|proposal| Some((proposal.user_id, proposal.target()?, proposal.deed["message"].as_str()?)))
        .collect();
    let mut words = HashSet::new();
    for request in &case.tables.requests {
        let Request { requester_user_id, target_user_id, message, .. } = request;
        let key = (*requester_user_id, *target_user_id, message.as_str());
        finder.expect(made.contains(&key) || proposed.contains(&key), || format!("nobody made {request:?}"));
        let is_sams = proposed.contains(&key);
        finder.expect(is_sams || words.insert(message), || format!("made twice: {request:?}"));
    }
    finder.found
}

pub(super) fn requests_are_decided_once(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("a request is decided once");
    let stored: HashMap<Uuid, &str> =
        case.tables.requests.iter().map(|request| (request.id, request.status.as_str())).collect();
    for op in &case.ops {
        let (Deed::Decide { request, status }, Some(_)) = (&op.deed, op.acknowledged()) else { continue };
        let found = stored.get(request);
        finder.expect(found == Some(status), || {
            format!("op {}: {request} was {status}, as acknowledged, but is {found:?}", op.number)
        });
    }
    finder.found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        check::testing::{done, id, shown},
        tables::Tables,
    };

    /// Person 1 asked person 2, who approved.
    fn sound() -> Case {
        let ask = Deed::Ask { target: id(2), message: "bees".to_owned() };
        let ops = vec![
            done(0, ask, &json!({"request": {"id": shown("req", 7)}})),
            done(1, Deed::Decide { request: id(7), status: "approved" }, &json!({})),
        ];
        let request = Request {
            id: id(7),
            requester_user_id: id(1),
            target_user_id: id(2),
            message: "bees".to_owned(),
            status: "approved".to_owned(),
        };
        Case { ops, tables: Tables { requests: vec![request], ..Tables::default() }, ..Case::default() }
    }

    fn all(case: &Case) -> [usize; 2] {
        [requests_are_those_that_were_made, requests_are_decided_once].map(|rule| rule(case).len())
    }

    #[test]
    fn lost_doubled_and_invented_requests_are_found() {
        assert_eq!(all(&sound()), [0, 0]);
        let mut case = sound();
        case.tables.requests.clear();
        assert_eq!(all(&case), [1, 1]);
        case = sound();
        let twin = Request { id: id(8), ..case.tables.requests[0].clone() };
        case.tables.requests.push(twin);
        assert_eq!(all(&case), [1, 0]);
        case = sound();
        case.tables.requests[0].message = "wasps".to_owned();
        assert_eq!(all(&case), [1, 0]);
    }

    #[test]
    fn a_second_decision_is_found() {
        let mut case = sound();
        case.ops.push(done(2, Deed::Decide { request: id(7), status: "declined" }, &json!({})));
        assert_eq!(all(&case), [0, 1]);
    }
}
