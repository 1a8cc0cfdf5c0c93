//! How bells are written: over Redis, and as the frames that sockets send on.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::{Bell, Frame, Signal, TabOpened};
use crate::{error::Result, event::Channel};

/// Where processes tell each other of tabs.
pub(super) const TABS: &str = "hc:tabs";

/// The Redis channel of one of ours. The braces keep it whole in a cluster.
pub(super) fn redis_channel(channel: Channel) -> String {
    format!("hc:{{{channel}}}")
}

fn from_redis_channel(text: &str) -> Option<Channel> {
    text.strip_prefix("hc:{")?.strip_suffix('}')?.parse().ok()
}

impl Bell {
    pub(super) fn redis_channel(&self) -> String {
        match self {
            Self::Frame(frame) => redis_channel(frame.channel),
            Self::Tab(_) => TABS.to_owned(),
        }
    }

    pub(super) fn encode(&self) -> Result<Bytes> {
        match self {
            Self::Frame(frame) => Ok(frame.encode()),
            Self::Tab(tab) => Ok(serde_json::to_vec(tab)?.into()),
        }
    }
}

/// What a message of Redis says.
pub(super) fn decode(name: &str, value: Option<&[u8]>) -> Option<Signal> {
    if name == TABS {
        return serde_json::from_slice::<TabOpened>(value?).ok().map(Signal::TabOpened);
    }
    Frame::decode(from_redis_channel(name)?, &Bytes::copy_from_slice(value?)).map(Signal::Frame)
}

#[derive(Serialize)]
struct Wire<'a> {
    r#type: &'a str,
    payload: &'a Value,
    channel: Channel,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
    timestamp: i64,
}

impl Frame {
    /// Puts an event into its frame.
    ///
    /// # Errors
    /// When the payload can't be written as JSON.
    pub fn new(channel: Channel, seq: Option<i64>, kind: &str, payload: &Value, at: DateTime<Utc>) -> Result<Self> {
        let wire = Wire { r#type: kind, payload, channel, seq, timestamp: at.timestamp_millis() };
        Ok(Self { channel, seq, from: None, json: serde_json::to_vec(&wire)?.into() })
    }

    /// What travels over Redis: the number, a blank and who it is from if anybody, a line break, the
    /// frame.
    fn encode(&self) -> Bytes {
        let mut bytes = self.seq.unwrap_or(0).to_string().into_bytes();
        if let Some(from) = self.from {
            bytes.extend_from_slice(format!(" {from}").as_bytes());
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.json);
        bytes.into()
    }

    fn decode(channel: Channel, bytes: &Bytes) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let (seq, from) = match head.split_once(' ') {
            Some((seq, from)) => (seq, Some(from.parse().ok()?)),
            None => (head, None),
        };
        let seq: i64 = seq.parse().ok()?;
        let json = bytes.slice(end + 1..);
        std::str::from_utf8(&json).ok()?;
        Some(Self { channel, seq: (seq > 0).then_some(seq), from, json })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::id::UserId;

    #[test]
    fn frames_survive_the_way_over_redis() {
        let channel = Channel::Notifications(UserId::new());
        let at = DateTime::from_timestamp_millis(1_731_709_200_000).unwrap();
        for (seq, from) in [(None, None), (Some(7), None), (None, Some(UserId::new()))] {
            let frame = Frame::new(channel, seq, "x", &serde_json::json!({"line": "one\ntwo"}), at).unwrap();
            let frame = Frame { from, ..frame };
            let back = Frame::decode(channel, &frame.encode()).unwrap();
            assert_eq!((back.seq, back.from, &back.json), (frame.seq, frame.from, &frame.json));
            assert_eq!(from_redis_channel(&redis_channel(channel)), Some(channel));
        }
    }

    #[test]
    fn tabs_survive_the_way_over_redis() {
        let tab = TabOpened { user_id: UserId::new(), tab: "one\n{x}".to_owned(), socket: Uuid::now_v7() };
        let bell = Bell::Tab(tab.clone());
        let Some(Signal::TabOpened(back)) = decode(&bell.redis_channel(), Some(&bell.encode().unwrap())) else {
            panic!("not a tab")
        };
        assert_eq!(back, tab);
    }
}
