//! Invites: acknowledged ⊆ stored ⊆ asked for, and one outcome each.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::{Case, Finder, Violation};
use crate::{
    history::{Deed, uuid_of},
    tables::{About, Invite},
};

pub(super) fn invites_are_those_that_were_asked_for(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("invites: acknowledged ⊆ stored ⊆ asked for");
    let stored: HashMap<Uuid, &Invite> = case.tables.invites.iter().map(|invite| (invite.id, invite)).collect();
    let mut asked = HashSet::new();
    for op in &case.ops {
        let Deed::Connect { host } = op.deed else { continue };
        if op.may_be_done() {
            asked.insert((op.person, host));
        }
        let Some(id) = op.acknowledged().and_then(|answer| uuid_of(&answer.json()["invite"]["id"])) else { continue };
        // A live invite of the pair's is found again, whoever of the two made it.
        let fits = stored.get(&id).is_some_and(|invite| {
            let pair = [invite.requester_user_id, invite.target_user_id];
            pair.contains(&op.person) && pair.contains(&host)
        });
        finder.expect(fits, || {
            format!("op {}: {:?} was told of {id}; stored: {:?}", op.number, op.deed, stored.get(&id))
        });
    }
    let confirmed = case.tables.proposals.iter().filter(|proposal| proposal.status == "confirmed");
    asked.extend(confirmed.filter_map(|proposal| Some((proposal.user_id, proposal.target()?))));
    for invite in &case.tables.invites {
        finder.expect(asked.contains(&(invite.requester_user_id, invite.target_user_id)), || {
            format!("nobody asked for {invite:?}")
        });
    }
    finder.found
}

/// The status that an answer leads to.
fn outcome(how: &str) -> &'static str {
    match how {
        "accept" => "accepted",
        "decline" => "declined",
        _ => "cancelled",
    }
}

pub(super) fn invites_end_once(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("an invite has one outcome");
    let mut told: BTreeMap<(Uuid, &str), Vec<&str>> = BTreeMap::new();
    for event in &case.tables.events {
        if let About::Invite { id, event: word } = &event.about
            && word != "pending"
        {
            told.entry((*id, &event.channel)).or_default().push(word);
        }
    }
    for ((id, channel), words) in &told {
        finder.expect(words.len() == 1, || format!("{channel} was told {words:?} of {id}"));
    }
    let stored: HashMap<Uuid, &Invite> = case.tables.invites.iter().map(|invite| (invite.id, invite)).collect();
    for invite in stored.values() {
        finder.expect(invite.status != "pending", || format!("still open: {invite:?}"));
        let channels: Vec<_> = told.iter().filter(|((id, _), _)| *id == invite.id).map(|(_, words)| words).collect();
        let both_know = channels.len() == 2 && channels.iter().all(|words| words.contains(&invite.status.as_str()));
        finder.expect(both_know, || format!("{invite:?}, but both sides were told {channels:?}"));
        let too_early = invite.status == "expired" && invite.resolved_at.is_none_or(|at| at < invite.expires_at);
        finder.expect(!too_early, || format!("expired before its time: {invite:?}"));
    }
    for op in &case.ops {
        let (Deed::Answer { invite, how }, Some(_)) = (&op.deed, op.acknowledged()) else { continue };
        let status = stored.get(invite).map(|invite| invite.status.as_str());
        finder.expect(status == Some(outcome(how)), || {
            format!("op {}: {how} of {invite} was acknowledged, but it is {status:?}", op.number)
        });
    }
    finder.found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        check::testing::{at, done, event, id, shown},
        tables::Tables,
    };

    /// Person 1 asked person 2, who accepted.
    fn sound() -> Case {
        let asked = json!({"flow": "invite", "invite": {"id": shown("inv", 5)}});
        let mut accept = done(1, Deed::Answer { invite: id(5), how: "accept" }, &json!({}));
        accept.person = id(2);
        let ops = vec![done(0, Deed::Connect { host: id(2) }, &asked), accept];
        let invite = Invite {
            id: id(5),
            requester_user_id: id(1),
            target_user_id: id(2),
            status: "accepted".to_owned(),
            expires_at: at(10),
            resolved_at: Some(at(3)),
        };
        let told = |channel, seq, word: &str| {
            event(channel, seq, "instant_invite", About::Invite { id: id(5), event: word.to_owned() })
        };
        let events =
            ["one", "two"].into_iter().flat_map(|channel| [told(channel, 1, "pending"), told(channel, 2, "accepted")]);
        let tables = Tables { invites: vec![invite], events: events.collect(), ..Tables::default() };
        Case { ops, tables, ..Case::default() }
    }

    fn all(case: &Case) -> [usize; 2] {
        [invites_are_those_that_were_asked_for, invites_end_once].map(|rule| rule(case).len())
    }

    #[test]
    fn lost_and_unwanted_invites_are_found() {
        assert_eq!(all(&sound()), [0, 0]);
        let mut case = sound();
        case.ops.remove(0);
        assert_eq!(all(&case), [1, 0], "nobody asked");
        case = sound();
        case.tables.invites.clear();
        case.tables.events.clear();
        assert_eq!(all(&case), [1, 1], "asked for and answered, and not there");
    }

    #[test]
    fn a_second_outcome_is_found() {
        let mut case = sound();
        case.ops.push(done(2, Deed::Answer { invite: id(5), how: "cancel" }, &json!({})));
        assert_eq!(all(&case), [0, 1], "acknowledged");
        case = sound();
        let second = About::Invite { id: id(5), event: "expired".to_owned() };
        case.tables.events.push(event("one", 3, "instant_invite", second));
        assert_eq!(all(&case), [0, 1], "told");
    }

    #[test]
    fn an_outcome_that_came_too_early_or_never_is_found() {
        let mut case = sound();
        case.ops.pop();
        case.tables.invites[0].status = "expired".to_owned();
        for event in &mut case.tables.events {
            if let About::Invite { event, .. } = &mut event.about
                && event == "accepted"
            {
                *event = "expired".to_owned();
            }
        }
        assert_eq!(all(&case), [0, 1]);
        case.tables.invites[0].resolved_at = Some(at(10));
        assert_eq!(all(&case), [0, 0]);
        case.tables.events.truncate(3);
        assert_eq!(all(&case), [0, 1], "one side was not told");
        case.tables.invites[0].status = "pending".to_owned();
        assert_eq!(all(&case), [0, 2]);
    }
}
