//! What a run came to, in plain lines.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    check::{COME_AGAIN, Case, Violation},
    history::Outcome,
};

/// How much evidence of one rule is printed; all of it is in the file.
const SHOWN: usize = 5;

/// Operations by kind and outcome, and how much of everything there was.
pub(crate) fn counts(case: &Case) -> String {
    let mut table: BTreeMap<&str, BTreeMap<Outcome, usize>> = BTreeMap::new();
    for op in &case.ops {
        *table.entry(op.deed.name()).or_default().entry(op.outcome()).or_default() += 1;
    }
    let outcomes = [Outcome::Ok, Outcome::Refused, Outcome::Failed, Outcome::Unknown];
    let mut text = format!("{:22}{:>9}{:>9}{:>9}{:>9}\n", "operation", "ok", "refused", "failed", "unknown");
    let mut sums = [0; 4];
    for (deed, by_outcome) in &table {
        let _ = write!(text, "{deed:22}");
        for (outcome, sum) in outcomes.iter().zip(&mut sums) {
            let count = by_outcome.get(outcome).copied().unwrap_or(0);
            *sum += count;
            let _ = write!(text, "{count:>9}");
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{:22}{:>9}{:>9}{:>9}{:>9}", "all", sums[0], sums[1], sums[2], sums[3]);
    let told = case.goodbyes.iter().flatten().filter(|code| **code == COME_AGAIN).count();
    let tries: usize = case.ops.iter().map(|op| op.tries.len()).sum();
    let heard: usize = case.subscriptions.iter().map(|subscription| subscription.heard.len()).sum();
    let tables = &case.tables;
    let _ = writeln!(
        text,
        "\n{tries} requests; {} subscriptions heard {heard} events; {told} of {} sockets that ended were told to come again. Stored: {} people, {} messages, {} invites, {} requests, \
         {} sessions, {} payments, {} notifications, {} events, {} jobs.",
        case.subscriptions.len(),
        case.goodbyes.len(),
        tables.users.len(),
        tables.messages.len(),
        tables.invites.len(),
        tables.requests.len(),
        tables.sessions.len(),
        tables.payments.len(),
        tables.notifications.len(),
        tables.events.len(),
        tables.jobs.len(),
    );
    text
}

/// The violations by rule; `all` of the evidence, or the first of it.
pub(crate) fn violations(violations: &[Violation], all: bool) -> String {
    let mut by_rule: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for violation in violations {
        by_rule.entry(violation.rule).or_default().push(&violation.evidence);
    }
    let mut text = String::new();
    for (rule, evidence) in by_rule {
        let _ = writeln!(text, "VIOLATED {} times: {rule}", evidence.len());
        for line in evidence.iter().take(if all { usize::MAX } else { SHOWN }) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}
