//! Events: numbered without gaps, heard as they are stored, all of them, and each thing told once.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Case, Finder, Violation};
use crate::{
    history::Subscription,
    tables::{About, Event},
};

pub(super) fn channels_have_no_gaps(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("a channel's events are 1, 2, 3, …");
    let mut stored: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for event in &case.tables.events {
        stored.entry(&event.channel).or_default().push(event.seq);
    }
    for channel in &case.tables.channels {
        let mut numbers = stored.remove(channel.channel.as_str()).unwrap_or_default();
        numbers.sort_unstable();
        finder.expect(numbers.iter().copied().eq(1..=channel.seq), || format!("{channel:?} has {numbers:?}"));
    }
    for (channel, numbers) in stored {
        finder.expect(false, || format!("{channel} has {numbers:?} and no counter"));
    }
    finder.found
}

fn by_place(events: &[Event]) -> HashMap<(&str, i64), &Event> {
    events.iter().map(|event| ((event.channel.as_str(), event.seq), event)).collect()
}

/// What a subscription hears goes on exactly where it was to begin, without gaps, and is what is stored.
pub(super) fn listeners_hear_what_is_stored(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("listeners hear what is stored, in order and without gaps");
    let stored = by_place(&case.tables.events);
    for subscription in &case.subscriptions {
        let Subscription { channel, after, said, heard } = subscription;
        finder.expect(said.is_none_or(|(_, recovered)| recovered), || format!("not recovered: {subscription:?}"));
        let begin = after.or(said.map(|(seq, _)| seq));
        let numbers = heard.iter().map(|(seq, _)| *seq);
        // Before the server said where it begins, nothing is promised to who asked for no number.
        let first = begin.map(|begin| begin + 1).or(heard.first().map(|(seq, _)| *seq)).unwrap_or(1);
        finder.expect(numbers.eq(first..first + i64::try_from(heard.len()).unwrap_or(0)), || {
            format!(
                "{channel} after {after:?} (said {said:?}): heard {:?}",
                heard.iter().map(|(seq, _)| seq).collect::<Vec<_>>()
            )
        });
        for (seq, digest) in heard {
            let event = stored.get(&(channel.as_str(), *seq));
            finder.expect(event.is_some_and(|event| event.digest == *digest), || {
                format!("{channel} {seq} was heard otherwise than it is stored: {event:?}")
            });
        }
    }
    finder.found
}

/// Everybody asked for everything in the end: nothing is stored that nobody can hear.
pub(super) fn everything_said_is_heard(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("every event is delivered or replayable");
    let heard: HashSet<(&str, i64)> = case
        .subscriptions
        .iter()
        .flat_map(|subscription| subscription.heard.iter().map(|(seq, _)| (subscription.channel.as_str(), *seq)))
        .collect();
    for channel in &case.tables.channels {
        let unheard: Vec<_> =
            (1..=channel.seq).filter(|seq| !heard.contains(&(channel.channel.as_str(), *seq))).collect();
        finder.expect(unheard.is_empty(), || format!("nobody heard {unheard:?} of {channel:?}"));
    }
    finder.found
}

/// Messages and notifications are told of in one event each.
pub(super) fn each_thing_is_told_once(case: &Case) -> Vec<Violation> {
    let mut finder = Finder::of("messages and notifications are told of once");
    let mut told: HashMap<(&str, String), Vec<i64>> = HashMap::new();
    for event in &case.tables.events {
        let what = match &event.about {
            About::Message { number } => number.to_string(),
            About::Notification { id } => id.to_string(),
            _ => continue,
        };
        told.entry((&event.channel, what)).or_default().push(event.seq);
    }
    for (what, numbers) in &told {
        finder.expect(numbers.len() == 1, || format!("{what:?} is told of in {numbers:?}"));
    }
    let notifications = told.keys().filter(|(channel, _)| channel.starts_with("notifications:")).count();
    finder.expect(notifications == case.tables.notifications.len(), || {
        format!("{} notifications, of which {notifications} are told of", case.tables.notifications.len())
    });
    let messages = told.keys().filter(|(channel, _)| channel.starts_with("conversation:")).count();
    finder.expect(messages == case.tables.messages.len(), || {
        format!("{} messages, of which {messages} are told of", case.tables.messages.len())
    });
    let mut keys = HashSet::new();
    for notification in &case.tables.notifications {
        finder.expect(keys.insert((notification.user_id, &notification.key)), || format!("twice: {notification:?}"));
    }
    finder.found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::testing::{channel, event, id},
        tables::{Message, Notification, Tables},
    };

    const TALK: &str = "conversation:x";

    /// Three messages, all of them heard.
    fn sound() -> Case {
        let numbers = 1..=3;
        let message = |seq| Message { conversation_id: id(9), seq, sender_id: None, content: String::new() };
        let tables = Tables {
            channels: vec![channel(TALK, 3)],
            events: numbers
                .clone()
                .map(|seq| event(TALK, seq, "message.created", About::Message { number: seq }))
                .collect(),
            messages: numbers.map(message).collect(),
            ..Tables::default()
        };
        let subscription = Subscription {
            channel: TALK.to_owned(),
            after: Some(0),
            said: Some((3, true)),
            heard: vec![(1, 1), (2, 2), (3, 3)],
        };
        Case { subscriptions: vec![subscription], tables, ..Case::default() }
    }

    fn all(case: &Case) -> [usize; 4] {
        [channels_have_no_gaps, listeners_hear_what_is_stored, everything_said_is_heard, each_thing_is_told_once]
            .map(|rule| rule(case).len())
    }

    #[test]
    fn a_lost_event_is_found() {
        assert_eq!(all(&sound()), [0, 0, 0, 0]);
        let mut case = sound();
        case.tables.events.remove(1);
        assert_eq!(all(&case), [1, 1, 0, 1]);
    }

    #[test]
    fn what_listeners_miss_or_hear_twice_is_found() {
        let heard = |heard: &[(i64, u64)]| {
            let mut case = sound();
            case.subscriptions[0].heard = heard.to_vec();
            all(&case)
        };
        assert_eq!(heard(&[(1, 1), (2, 2)]), [0, 0, 1, 0], "the line broke; but in the end everything is to be heard");
        assert_eq!(heard(&[(1, 1), (3, 3)]), [0, 1, 1, 0]);
        assert_eq!(heard(&[(1, 1), (2, 2), (2, 2), (3, 3)]), [0, 1, 0, 0]);
        assert_eq!(heard(&[(2, 2), (1, 1), (3, 3)]), [0, 1, 0, 0]);
        assert_eq!(heard(&[(2, 2), (3, 3)]), [0, 1, 1, 0], "not from where it was to begin");
        assert_eq!(heard(&[(1, 1), (2, 7), (3, 3)]), [0, 1, 0, 0], "something else");
    }

    #[test]
    fn a_subscription_without_a_number_begins_where_the_server_says() {
        let mut case = sound();
        case.subscriptions.push(Subscription {
            channel: TALK.to_owned(),
            after: None,
            said: Some((1, true)),
            heard: vec![(2, 2)],
        });
        assert_eq!(all(&case), [0, 0, 0, 0]);
        case.subscriptions[1].said = Some((2, true));
        assert_eq!(all(&case), [0, 1, 0, 0]);
        case.subscriptions[1].said = Some((1, false));
        assert_eq!(all(&case), [0, 1, 0, 0]);
    }

    #[test]
    fn what_is_told_twice_or_never_is_found() {
        let mut case = sound();
        case.tables.messages.pop();
        assert_eq!(all(&case), [0, 0, 0, 1]);
        case = sound();
        case.tables.notifications = vec![Notification { id: id(1), user_id: id(2), key: "k".to_owned() }];
        assert_eq!(all(&case), [0, 0, 0, 1], "nobody was told");
        let told = |seq| event("notifications:x", seq, "notification.created", About::Notification { id: id(1) });
        case.tables.events.extend([told(1), told(2)]);
        case.tables.channels.push(channel("notifications:x", 2));
        assert_eq!(all(&case)[3], 1, "told twice");
    }
}
