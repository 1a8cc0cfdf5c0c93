//! Money: our books, our ledger and the provider say the same, and what is over is settled.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Case, Finder, Violation};
use crate::{
    history::Deed,
    tables::{Intent, Payment, Session},
};

pub(super) fn books_agree_with_the_provider(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("our books agree with the provider's");
    let ours: HashMap<&str, &Payment> =
        case.tables.payments.iter().filter_map(|payment| Some((payment.intent_id.as_deref()?, payment))).collect();
    for intent in &case.tables.intents {
        finder.expect(intent.captures <= 1, || format!("captured more than once: {intent:?}"));
        let Some(payment) = ours.get(intent.id.as_str()) else {
            finder.expect(intent.held == 0 && intent.captured == 0, || {
                format!("money for nothing we know of: {intent:?}")
            });
            continue;
        };
        finder.expect(agree(payment, intent), || format!("{payment:?}, but {intent:?}"));
    }
    let theirs: HashMap<&str, &Intent> =
        case.tables.intents.iter().map(|intent| (intent.id.as_str(), intent)).collect();
    for (id, payment) in ours {
        finder.expect(theirs.contains_key(id), || format!("the provider doesn't know {payment:?}"));
    }
    for difference in case.tables.differences.iter().filter(|difference| difference["resolved_at"].is_null()) {
        finder.expect(false, || format!("a difference for staff: {difference}"));
    }
    finder.found
}

fn agree(payment: &Payment, intent: &Intent) -> bool {
    let money = (payment.captured_minor, payment.refunded_minor) == (intent.captured, intent.refunded);
    let status = match payment.status.as_str() {
        "requires_payment" => intent.held == 0 && intent.status != "canceled",
        "authorized" => intent.held == payment.amount_minor,
        "captured" | "refunded" => intent.captures == 1,
        "voided" => intent.status == "canceled" && intent.held == 0,
        "failed" => intent.held == 0,
        _ => false,
    };
    money && status && payment.amount_minor == intent.amount
}

pub(super) fn the_ledger_agrees_with_the_payments(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("the ledger adds up to what was taken and given back");
    let mut entries: HashMap<Uuid, (i64, i64)> = HashMap::new();
    for entry in &case.tables.entries {
        let (sum, provider) = entries.entry(entry.transaction_id).or_default();
        *sum += entry.amount_minor;
        *provider += if entry.account == "provider" { entry.amount_minor } else { 0 };
    }
    let mut booked: HashMap<Uuid, (i64, i64)> = HashMap::new();
    for transaction in &case.tables.transactions {
        let (sum, provider) = entries.get(&transaction.id).copied().unwrap_or_default();
        finder.expect(sum == 0, || format!("{transaction:?} adds up to {sum}"));
        let (captured, refunded) = booked.entry(transaction.payment_id).or_default();
        match transaction.kind.as_str() {
            "capture" => *captured += provider,
            _ => *refunded -= provider,
        }
    }
    for payment in &case.tables.payments {
        let booked = booked.remove(&payment.id).unwrap_or_default();
        finder.expect(booked == (payment.captured_minor, payment.refunded_minor), || {
            format!("{payment:?}, but the ledger says {booked:?}")
        });
    }
    for (payment, booked) in booked {
        finder.expect(false, || format!("{booked:?} is booked for {payment}, which isn't there"));
    }
    finder.found
}

/// Once a session is over, nothing is held for it any more, and what was taken is what is owed.
pub(super) fn ended_sessions_are_settled(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("what is over is settled");
    let sessions: HashMap<Uuid, &Session> = case.tables.sessions.iter().map(|session| (session.id, session)).collect();
    for payment in &case.tables.payments {
        let Some(session) = payment.session_id.and_then(|id| sessions.get(&id)) else { continue };
        let status = payment.status.as_str();
        let fits = match (session.status.as_str(), session.owed_minor) {
            ("pending" | "in_progress", _) => !["capturing", "captured", "refunded"].contains(&status),
            (_, owed) => match status {
                "captured" | "refunded" => owed == Some(payment.captured_minor),
                "voided" => payment.captured_minor == 0 && owed == Some(0),
                "failed" => payment.captured_minor == 0,
                // Nothing was ever made that a card could have been shown to.
                "requires_payment" => payment.intent_id.is_none(),
                _ => false,
            },
        };
        // A hold that came too late for its session was let go whatever was owed.
        let fits = fits || (status == "voided" && session.owed_minor.is_some());
        finder.expect(fits, || format!("{payment:?} of {session:?}"));
        let known = ["voided", "failed"].contains(&status) || session.payment_status == status;
        finder.expect(known, || format!("the session doesn't know: {payment:?} of {session:?}"));
    }
    for call in case.tables.calls.iter().filter(|call| call.state == "open") {
        finder.expect(false, || format!("nobody knows what became of {call:?}"));
    }
    finder.found
}

pub(super) fn refunds_are_those_that_were_asked_for(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("refunds: acknowledged ≤ given back ≤ asked for");
    let mut refunds: HashMap<Uuid, (i64, i64)> = HashMap::new();
    for op in case.ops.iter().filter(|op| op.may_be_done()) {
        let Deed::Refund { payment, amount } = op.deed else { continue };
        let (acknowledged, asked) = refunds.entry(payment).or_default();
        *asked += amount;
        *acknowledged += if op.acknowledged().is_some() { amount } else { 0 };
    }
    for payment in &case.tables.payments {
        let (acknowledged, asked) = refunds.get(&payment.id).copied().unwrap_or_default();
        finder.expect((acknowledged..=asked).contains(&payment.refunded_minor), || {
            format!("{acknowledged} were acknowledged and {asked} asked for: {payment:?}")
        });
    }
    finder.found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        check::testing::{at, done, id, op, refused},
        tables::{Call, Entry, Tables, Transaction},
    };

    /// 3000 taken for a session that is over, of which 500 were given back.
    fn sound() -> Case {
        let payment = Payment {
            id: id(1),
            session_id: Some(id(2)),
            status: "captured".to_owned(),
            amount_minor: 3000,
            captured_minor: 3000,
            refunded_minor: 500,
            intent_id: Some("pi".to_owned()),
        };
        let intent = Intent {
            id: "pi".to_owned(),
            status: "succeeded".to_owned(),
            amount: 3000,
            held: 0,
            captured: 3000,
            captures: 1,
            refunded: 500,
            metadata: Value::Null,
        };
        let session = Session {
            id: id(2),
            host_user_id: id(3),
            guest_user_id: id(4),
            r#type: "instant".to_owned(),
            status: "complete".to_owned(),
            start_time: at(0),
            end_time: None,
            started_at: Some(at(0)),
            ended_at: Some(at(60)),
            hold_expires_at: None,
            owed_minor: Some(3000),
            payment_status: "captured".to_owned(),
            version: 1,
        };
        let transaction = |number, kind: &str| Transaction { id: id(number), payment_id: id(1), kind: kind.to_owned() };
        let entry = |number, account: &str, amount_minor| Entry {
            transaction_id: id(number),
            account: account.to_owned(),
            amount_minor,
        };
        let tables = Tables {
            payments: vec![payment],
            intents: vec![intent],
            sessions: vec![session],
            transactions: vec![transaction(5, "capture"), transaction(6, "refund")],
            entries: vec![
                entry(5, "provider", 3000),
                entry(5, "payee", -3000),
                entry(6, "provider", -500),
                entry(6, "payee", 500),
            ],
            ..Tables::default()
        };
        Case { tables, ..Case::default() }
    }

    fn all(case: &Case) -> [usize; 3] {
        [books_agree_with_the_provider, the_ledger_agrees_with_the_payments, ended_sessions_are_settled]
            .map(|rule| rule(case).len())
    }

    #[test]
    fn refunds_that_nobody_asked_for_or_that_never_came_are_found() {
        let refund = |amount| Deed::Refund { payment: id(1), amount };
        let count = |ops| refunds_are_those_that_were_asked_for(&Case { ops, ..sound() }).len();
        assert_eq!(count(vec![done(0, refund(500), &json!({}))]), 0);
        assert_eq!(count(vec![op(0, refund(500)), op(1, refund(100))]), 0, "either may have been made");
        assert_eq!(count(vec![refused(0, refund(500))]), 1);
        assert_eq!(count(vec![done(0, refund(500), &json!({})), done(1, refund(100), &json!({}))]), 1);
    }

    #[test]
    fn money_taken_twice_is_found() {
        assert_eq!(all(&sound()), [0, 0, 0]);
        let mut case = sound();
        case.tables.intents[0].captures = 2;
        assert_eq!(all(&case), [2, 0, 0]);
        case = sound();
        case.tables.intents[0].captured = 6000;
        assert_eq!(all(&case), [1, 0, 0]);
    }

    #[test]
    fn money_that_we_do_not_know_of_is_found() {
        let mut case = sound();
        let stray = Intent { id: "stray".to_owned(), held: 100, captured: 0, ..case.tables.intents[0].clone() };
        case.tables.intents.push(stray);
        assert_eq!(all(&case), [1, 0, 0]);
        case = sound();
        case.tables.intents.clear();
        assert_eq!(all(&case), [1, 0, 0]);
        case = sound();
        case.tables.differences = vec![json!({"resolved_at": null}), json!({"resolved_at": "2026-11-22"})];
        assert_eq!(all(&case), [1, 0, 0]);
    }

    #[test]
    fn a_ledger_that_does_not_add_up_is_found() {
        let mut case = sound();
        case.tables.entries[1].amount_minor = -2999;
        assert_eq!(all(&case), [0, 1, 0]);
        case = sound();
        case.tables.entries[0].amount_minor = 6000;
        case.tables.entries[1].amount_minor = -6000;
        assert_eq!(all(&case), [0, 1, 0]);
        case = sound();
        case.tables.transactions.pop();
        assert_eq!(all(&case), [0, 1, 0]);
    }

    #[test]
    fn what_is_over_and_not_settled_is_found() {
        let settled = |status: &str, captured_minor, session: &str, owed_minor| {
            let mut case = sound();
            let Payment { status: of_payment, captured_minor: taken, .. } = &mut case.tables.payments[0];
            (*of_payment, *taken) = (status.to_owned(), captured_minor);
            let of_session = &mut case.tables.sessions[0];
            of_session.status = session.to_owned();
            of_session.payment_status = status.to_owned();
            of_session.owed_minor = owed_minor;
            all(&case)[2]
        };
        assert_eq!(settled("captured", 3000, "cancelled", Some(3000)), 0, "called off too late");
        assert_eq!(settled("captured", 3000, "cancelled", Some(0)), 1, "taken for nothing");
        assert_eq!(settled("captured", 3000, "complete", Some(100)), 1, "too much");
        assert_eq!(settled("authorized", 0, "complete", Some(3000)), 1);
        assert_eq!(settled("capturing", 0, "complete", Some(3000)), 1);
        assert_eq!(settled("authorized", 0, "pending", None), 0);
        assert_eq!(settled("captured", 3000, "in_progress", None), 1, "taken too early");
        let mut case = sound();
        case.tables.sessions[0].payment_status = "authorized".to_owned();
        assert_eq!(all(&case)[2], 1, "the session says otherwise");
        case = sound();
        let call = Call { id: id(7), payment_id: id(1), kind: "refund".to_owned(), state: "open".to_owned() };
        case.tables.calls = vec![call];
        assert_eq!(all(&case)[2], 1);
    }
}
