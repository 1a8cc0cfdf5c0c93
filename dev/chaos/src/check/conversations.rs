//! Messages: acknowledged ⊆ stored ⊆ sent, once each, numbered without gaps, in the order of time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::{Case, Finder, Violation};
use crate::history::Deed;

/// The words of a deed that sends some.
fn words(deed: &Deed) -> Option<&str> {
    match deed {
        Deed::Say { content: words, .. } | Deed::Consult { message: words } => Some(words),
        _ => None,
    }
}

pub(super) fn messages_are_those_that_were_sent(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("messages: acknowledged ⊆ stored ⊆ sent, once each");
    let sent: HashMap<&str, Uuid> = case
        .ops
        .iter()
        .filter(|op| op.may_be_done())
        .filter_map(|op| words(&op.deed).map(|words| (words, op.person)))
        .collect();
    let mut stored: HashMap<&str, (Uuid, i64)> = HashMap::new();
    for message in case.tables.messages.iter().filter(|message| message.sender_id.is_some()) {
        finder.expect(sent.get(message.content.as_str()).copied() == message.sender_id, || {
            format!("stored, but not sent by its sender: {message:?}")
        });
        let twice = stored.insert(&message.content, (message.conversation_id, message.seq));
        finder.expect(twice.is_none(), || format!("stored twice: {message:?}, and {twice:?}"));
    }
    for op in &case.ops {
        let (Some(answer), Some(words)) = (op.acknowledged(), words(&op.deed)) else { continue };
        let found = stored.get(words);
        let as_told = match &op.deed {
            Deed::Say { conversation, .. } => {
                found.copied() == answer.json()["messageId"].as_i64().map(|number| (*conversation, number))
            }
            _ => found.is_some(),
        };
        finder.expect(as_told, || {
            format!(
                "acknowledged, but not stored so: op {} {:?} {}; stored: {found:?}",
                op.number, op.deed, answer.answer
            )
        });
    }
    finder.found
}

pub(super) fn numbers_have_no_gaps(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("a conversation's messages are 1, 2, 3, …");
    let mut numbers: BTreeMap<Uuid, BTreeSet<i64>> = BTreeMap::new();
    for message in &case.tables.messages {
        numbers.entry(message.conversation_id).or_default().insert(message.seq);
    }
    for conversation in &case.tables.conversations {
        let numbers = numbers.remove(&conversation.id).unwrap_or_default();
        finder.expect(numbers.iter().copied().eq(1..=conversation.message_count), || {
            format!("{conversation:?} has {numbers:?}")
        });
    }
    finder.found
}

/// What was answered before something else was sent comes before it.
pub(super) fn order_is_the_order_of_time(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("a conversation's order is the order of time");
    let mut said: BTreeMap<Uuid, Vec<(f64, f64, i64)>> = BTreeMap::new();
    for op in &case.ops {
        let (Deed::Say { conversation, .. }, Some(answer)) = (&op.deed, op.acknowledged()) else { continue };
        let (Some(first), Some(number)) = (op.tries.first(), answer.json()["messageId"].as_i64()) else { continue };
        said.entry(*conversation).or_default().push((first.began, answer.ended, number));
    }
    for (conversation, mut said) in said {
        said.sort_by_key(|(.., number)| *number);
        // From the last message back: whatever stands later must not have been answered before this began.
        let mut earliest_end = f64::INFINITY;
        for (began, ended, number) in said.into_iter().rev() {
            finder.expect(began <= earliest_end, || {
                format!("message {number} of {conversation} was sent at {began:.3}, when a later one had been answered")
            });
            earliest_end = earliest_end.min(ended);
        }
    }
    finder.found
}

pub(super) fn people_are_those_who_registered(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("people: acknowledged ⊆ stored ⊆ registered");
    let stored: HashSet<&str> = case.tables.users.iter().map(|user| user.email.as_str()).collect();
    let mut registered = HashSet::new();
    for op in &case.ops {
        let Deed::Register { email } = &op.deed else { continue };
        registered.insert(email.as_str());
        finder.expect(op.acknowledged().is_none() || stored.contains(email.as_str()), || format!("{email} is gone"));
    }
    for user in &case.tables.users {
        finder.expect(registered.contains(user.email.as_str()), || format!("{user:?} never registered"));
    }
    finder.found
}

pub(super) fn sam_answers(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("every question to Sam is answered");
    for run in &case.tables.runs {
        finder.expect(run.status == "complete", || format!("{run:?}"));
    }
    finder.found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        check::testing::{done, id, op, refused},
        tables::{Conversation, Message, Run, Tables, User},
    };

    fn say(content: &str) -> Deed {
        Deed::Say { conversation: id(9), content: content.to_owned() }
    }

    fn message(seq: i64, content: &str) -> Message {
        Message { conversation_id: id(9), seq, sender_id: Some(id(1)), content: content.to_owned() }
    }

    /// Two messages that were acknowledged, and one that nobody answered.
    fn sound() -> Case {
        let ops = vec![
            done(0, say("a"), &json!({"messageId": 1})),
            done(1, say("b"), &json!({"messageId": 2})),
            op(2, say("c")),
        ];
        let conversations = vec![Conversation { id: id(9), r#type: "human".to_owned(), message_count: 2 }];
        let tables = Tables { conversations, messages: vec![message(1, "a"), message(2, "b")], ..Tables::default() };
        Case { ops, tables, ..Case::default() }
    }

    fn all(case: &Case) -> [usize; 3] {
        [messages_are_those_that_were_sent, numbers_have_no_gaps, order_is_the_order_of_time]
            .map(|rule| rule(case).len())
    }

    #[test]
    fn what_nobody_answered_may_or_may_not_be_there() {
        assert_eq!(all(&sound()), [0, 0, 0]);
        let mut case = sound();
        case.tables.messages.push(message(3, "c"));
        case.tables.conversations[0].message_count = 3;
        assert_eq!(all(&case), [0, 0, 0]);
    }

    #[test]
    fn a_lost_message_is_found() {
        let mut case = sound();
        case.tables.messages.remove(0);
        assert_eq!(all(&case), [1, 1, 0]);
    }

    #[test]
    fn a_message_that_is_there_twice_is_found() {
        let mut case = sound();
        case.tables.messages.push(message(3, "b"));
        case.tables.conversations[0].message_count = 3;
        assert_eq!(all(&case)[0], 2, "twice, and not where it was said to be");
    }

    #[test]
    fn a_message_nobody_sent_is_found() {
        let mut case = sound();
        case.tables.messages[0].sender_id = Some(id(2));
        assert_eq!(all(&case), [1, 0, 0]);
        case = sound();
        case.ops[2] = refused(2, say("c"));
        case.tables.messages.push(message(3, "c"));
        assert_eq!(all(&case)[0], 1, "a refused one");
    }

    #[test]
    fn messages_that_changed_places_are_found() {
        let mut case = sound();
        case.ops[0].tries[0].answer = json!({"messageId": 2}).to_string();
        case.ops[1].tries[0].answer = json!({"messageId": 1}).to_string();
        case.tables.messages = vec![message(1, "b"), message(2, "a")];
        assert_eq!(all(&case), [0, 0, 1]);
        // Sent at the same time, either may be first.
        case.ops[1].tries[0].began = 0.2;
        assert_eq!(all(&case), [0, 0, 0]);
    }

    #[test]
    fn people_who_vanish_or_appear_are_found() {
        let register = Deed::Register { email: "a".to_owned() };
        let mut case = Case { ops: vec![done(0, register, &json!({}))], ..Case::default() };
        assert_eq!(people_are_those_who_registered(&case).len(), 1);
        case.tables.users.push(User { id: id(1), email: "a".to_owned() });
        assert_eq!(people_are_those_who_registered(&case), []);
        case.tables.users.push(User { id: id(2), email: "b".to_owned() });
        assert_eq!(people_are_those_who_registered(&case).len(), 1);
    }

    #[test]
    fn a_question_without_an_answer_is_found() {
        let run = |status: &str| Run { id: id(1), status: status.to_owned() };
        let mut case = Case::default();
        case.tables.runs = vec![run("complete"), run("running")];
        assert_eq!(sam_answers(&case).len(), 1);
    }
}
