//! The promises, one file each: what was acknowledged is stored, what is stored was asked for, and
//! everything adds up. Each rule reads the history and the tables, and returns what contradicts it.

mod calm;
mod conversations;
mod events;
mod invites;
mod jobs;
mod money;
mod replies;
mod requests;
mod sessions;
#[cfg(test)]
mod testing;

use crate::{
    history::{Heard, Op, Subscription},
    tables::Tables,
};

/// The code with which a server that restarts ends a socket.
pub(crate) const COME_AGAIN: u16 = 1012;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which promise.
    pub(crate) rule: &'static str,
    /// What shows it.
    pub(crate) evidence: String,
}

/// Everything the rules go by.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) ops: Vec<Op>,
    pub(crate) subscriptions: Vec<Subscription>,
    /// The codes with which the system ended sockets; none where it didn't say.
    pub(crate) goodbyes: Vec<Option<u16>>,
    /// Whether nothing was broken: processes came and went in order, if at all.
    pub(crate) is_calm: bool,
    pub(crate) tables: Tables,
}

impl Case {
    pub(crate) fn new(heard: Heard, tables: Tables, is_calm: bool) -> Self {
        let Heard { ops, subscriptions, goodbyes } = heard;
        Self { ops, subscriptions, goodbyes, is_calm, tables }
    }
}

/// Gathers what contradicts a rule.
struct Finder {
    rule: &'static str,
    found: Vec<Violation>,
}

impl Finder {
    fn of(rule: &'static str) -> Self {
        Self { rule, found: Vec::new() }
    }

    fn expect(&mut self, holds: bool, evidence: impl FnOnce() -> String) {
        if !holds {
            self.found.push(Violation { rule: self.rule, evidence: evidence() });
        }
    }
}

type Rule = fn(&Case) -> Vec<Violation>;

/// All rules.
const RULES: &[Rule] = &[
    replies::same_key_same_reply,
    replies::nothing_breaks_inside,
    conversations::messages_are_those_that_were_sent,
    conversations::numbers_have_no_gaps,
    conversations::order_is_the_order_of_time,
    conversations::people_are_those_who_registered,
    conversations::sam_answers,
    invites::invites_are_those_that_were_asked_for,
    invites::invites_end_once,
    requests::requests_are_those_that_were_made,
    requests::requests_are_decided_once,
    sessions::bookings_are_those_that_were_asked_for,
    sessions::steps_are_legal,
    sessions::acknowledged_steps_stand,
    sessions::nobody_is_in_two_places,
    events::channels_have_no_gaps,
    events::listeners_hear_what_is_stored,
    events::everything_said_is_heard,
    events::each_thing_is_told_once,
    money::books_agree_with_the_provider,
    money::the_ledger_agrees_with_the_payments,
    money::ended_sessions_are_settled,
    money::refunds_are_those_that_were_asked_for,
    jobs::none_is_lost_or_ownerless,
    jobs::what_waits_for_the_clock_has_a_job,
    jobs::each_tick_is_had_once,
];

/// What holds besides where nothing is broken.
const CALM_RULES: &[Rule] = &[
    calm::everything_is_answered,
    calm::what_fails_was_not_done,
    calm::sockets_are_told_to_come_again,
    calm::jobs_stay_with_who_runs_them,
];

/// What contradicts the promises.
pub(crate) fn violations(case: &Case) -> Vec<Violation> {
    let calm = if case.is_calm { CALM_RULES } else { &[] };
    RULES.iter().chain(calm).flat_map(|rule| rule(case)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_world_breaks_no_promise() {
        assert_eq!(violations(&Case { is_calm: true, ..Case::default() }), []);
    }
}
