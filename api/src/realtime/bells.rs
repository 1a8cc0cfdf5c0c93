//! What bells tell topics, and what they fail to tell.
//!
//! A bell tells of a frame at once. What bells fail to tell is read from the database: when a
//! number is skipped, when the bus says it may have lost something, and by a check every second or
//! two over all topics in one query.

use std::{sync::Arc, time::Duration};

use axum::extract::ws::Utf8Bytes;
use humanchat_domain::{
    bus::{Frame, Listener, Signal},
    error::Result,
    event::Channel,
    realtime,
};

use super::{
    Hub,
    outbox::PAGE,
    topic::{Heard, Topic},
};

/// How often all topics are compared with the database.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// The same where bells don't reach this process from others.
const CHECK_EVERY_ALONE: Duration = Duration::from_secs(1);

/// Passes on what the bus says until the process ends.
pub(super) async fn hear(hub: Hub, mut listener: Listener) {
    while let Some(signal) = listener.next().await {
        match signal {
            Signal::Frame(frame) => deliver(&hub, &frame),
            Signal::TabOpened(tab) => hub.replace_tab(&tab),
            // On their own, so that a slow database doesn't keep bells from ringing.
            Signal::Heard(channels) => {
                for topic in channels.iter().filter_map(|channel| hub.topic(*channel)) {
                    topic.set_audible();
                }
                tokio::spawn(check(hub.clone(), channels));
            }
            Signal::Gap => drop(tokio::spawn(check(hub.clone(), hub.channels()))),
        }
    }
}

fn deliver(hub: &Hub, frame: &Frame) {
    let Some(topic) = hub.topic(frame.channel) else { return };
    if let Channel::Status(user_id) = frame.channel {
        return hub.statuses().look(user_id);
    }
    let Ok(text) = Utf8Bytes::try_from(frame.json.clone()) else { return };
    match frame.seq {
        None => topic.pass(&text, frame.from),
        Some(seq) => {
            if topic.hear(seq, &text) == Heard::Gap {
                catch_up(hub, frame.channel, topic);
            }
        }
    }
}

/// Reads what a topic's listeners missed, in a task of its own, one at a time for each topic.
fn catch_up(hub: &Hub, channel: Channel, topic: Arc<Topic>) {
    if !topic.begin_catching_up() {
        return;
    }
    let hub = hub.clone();
    tokio::spawn(async move {
        loop {
            if let Err(error) = read_missed(&hub, channel, &topic).await {
                tracing::warn!(%error, "missed events could not be read; the next check tries again");
            }
            if topic.end_catching_up() {
                return;
            }
        }
    });
}

async fn read_missed(hub: &Hub, channel: Channel, topic: &Topic) -> Result<()> {
    while let Some(newest) = topic.newest() {
        let events = {
            let _turn = hub.gate().turn().await;
            realtime::events_after(hub.store(), channel, newest, PAGE).await?
        };
        for frame in events.frames {
            let (Some(seq), Ok(text)) = (frame.seq, Utf8Bytes::try_from(frame.json)) else { continue };
            if topic.hear(seq, &text) == Heard::Gap {
                tracing::error!(%channel, seq, "events are gone that listeners had not been told");
                topic.skip_to(seq - 1);
                topic.hear(seq, &text);
            }
        }
        if !events.more {
            return Ok(());
        }
    }
    Ok(())
}

/// Looks at all topics now and then, until the process ends.
pub(super) async fn check_topics(hub: Hub) {
    let every = if hub.store().bus().is_shared() { CHECK_EVERY } else { CHECK_EVERY_ALONE };
    for round in 0_u64.. {
        tokio::time::sleep(every).await;
        let mut channels = hub.channels();
        // Looking where everybody stands is more work than comparing numbers.
        if round % 2 == 0 {
            channels.retain(|channel| !matches!(channel, Channel::Status(_)));
        }
        check(hub.clone(), channels).await;
    }
}

/// Compares topics with the database. Who is just about to listen is told how far to read.
async fn check(hub: Hub, channels: Vec<Channel>) {
    let (people, numbered): (Vec<_>, Vec<_>) =
        channels.into_iter().partition(|channel| matches!(channel, Channel::Status(_)));
    for channel in people {
        // Who is about to listen looks by itself.
        if let Channel::Status(user_id) = channel
            && hub.topic(channel).is_some_and(|topic| topic.is_live())
        {
            hub.statuses().look(user_id);
        }
    }
    if numbered.is_empty() {
        return;
    }
    let newest = {
        let _turn = hub.gate().turn().await;
        realtime::newest(hub.store(), &numbered).await
    };
    match newest {
        Ok(rows) => {
            for (channel, seq) in rows {
                if let Some(topic) = hub.topic(channel)
                    && topic.hear_of(seq) == Heard::Gap
                {
                    catch_up(&hub, channel, topic);
                }
            }
        }
        Err(error) => tracing::warn!(%error, "topics could not be checked for missed events"),
    }
}
