//! What client and server say to each other over a socket.

use axum::extract::ws::Utf8Bytes;
use chrono::{DateTime, Utc};
use humanchat_domain::{
    event::{Channel, Event},
    id::UserId,
};
use serde::{
    Deserialize, Serialize,
    de::{Error, Unexpected},
};
use utoipa::ToSchema;

use crate::edge::error::ApiError;

/// What a client may say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ClientFrame {
    /// Listen to a channel; `after` replays what came after that number.
    Subscribe {
        /// Such as `conversation:conv_…`.
        channel: String,
        /// The number of the newest event the client has; without it nothing is replayed.
        #[schema(minimum = 0)]
        after: Option<i64>,
    },
    /// Stop listening.
    Unsubscribe {
        /// Which.
        channel: String,
    },
    /// "I am writing".
    Typing {
        /// Where.
        payload: TypingPayload,
    },
    /// "I have everything up to this number." Nothing follows from it.
    Ack {
        /// Which channel's.
        channel: String,
        /// The number.
        #[serde(rename = "seq")]
        _seq: i64,
    },
    /// "Are you there?"
    Ping {},
}

impl ClientFrame {
    /// Reads a frame: an object, though serde would take a list for one.
    pub(super) fn read(text: &str) -> serde_json::Result<Self> {
        if text.trim_start().starts_with('[') {
            return Err(Error::invalid_type(Unexpected::Seq, &"an object"));
        }
        serde_json::from_str(text)
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TypingPayload {
    /// In which conversation.
    pub conversation_id: String,
}

/// What the server says besides events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub(crate) enum ServerFrame<'a> {
    /// The socket is open and its user counts as present.
    Ready {
        /// Whose socket it is.
        #[serde(rename = "userId")]
        user_id: UserId,
    },
    /// The channel is being listened to. `seq` is its newest number; with `recovered: false`,
    /// events after `after` are gone: fetch the state anew.
    Subscribed {
        /// Which.
        #[schema(value_type = String)]
        channel: Channel,
        /// Its newest number; 0 before the first event.
        seq: i64,
        /// Whether all that came after `after` follows.
        recovered: bool,
    },
    /// It isn't any more.
    Unsubscribed {
        /// Which.
        #[schema(value_type = String)]
        channel: Channel,
    },
    /// "I am."
    Pong {},
    /// Something was not done.
    Error {
        /// One of the API's.
        code: &'a str,
        /// For people.
        message: &'a str,
        /// The channel it was about, as the client wrote it.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<String>,
    },
}

/// An event as listeners get it. Frames are written in this shape where they are stored (`domain::bus`).
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape for the document")]
pub(crate) struct EventFrame {
    #[serde(flatten)]
    event: Event,
    /// Where it was said.
    channel: String,
    /// Its number in the channel: 1, 2, 3, …; absent for what isn't stored (`typing`, `sam.delta`, `status.changed`).
    seq: Option<i64>,
    /// When, in milliseconds since the epoch.
    timestamp: i64,
}

#[derive(Serialize)]
struct Stamped<'a> {
    #[serde(flatten)]
    frame: ServerFrame<'a>,
    timestamp: i64,
}

impl ServerFrame<'_> {
    pub(super) fn text(self, now: DateTime<Utc>) -> Utf8Bytes {
        let stamped = Stamped { frame: self, timestamp: now.timestamp_millis() };
        // Strings and numbers can always be written.
        serde_json::to_string(&stamped).unwrap_or_default().into()
    }
}

/// An error frame.
pub(super) fn error(error: &ApiError, channel: Option<&str>, now: DateTime<Utc>) -> Utf8Bytes {
    ServerFrame::Error { code: error.code(), message: error.message(), channel: channel.map(ToOwned::to_owned) }
        .text(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_closed() {
        for good in [
            r#"{"type":"subscribe","channel":"status:x"}"#,
            r#"{"type":"subscribe","channel":"status:x","after":7}"#,
            r#"{"type":"unsubscribe","channel":"status:x"}"#,
            r#"{"type":"typing","payload":{"conversationId":"conv_x"}}"#,
            r#"{"type":"ack","channel":"x","seq":1}"#,
            r#"{"type":"ping"}"#,
        ] {
            assert!(ClientFrame::read(good).is_ok(), "{good}");
        }
        for bad in [
            r#"{"type":"shout"}"#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"ping","x":1}"#,
            "[]",
            r#"["ping"]"#,
            r#" ["unsubscribe", "status:x"]"#,
            "7",
            r#"{"type":"subscribe","channel":"x","after":"1"}"#,
        ] {
            assert!(ClientFrame::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_servers_words_are_the_documented_ones() {
        let now = DateTime::from_timestamp_millis(5).unwrap();
        assert_eq!(ServerFrame::Pong {}.text(now).as_str(), r#"{"type":"pong","payload":{},"timestamp":5}"#);
        let user_id = UserId::new();
        let channel = Channel::Status(user_id);
        assert_eq!(
            ServerFrame::Subscribed { channel, seq: 3, recovered: true }.text(now).as_str(),
            format!(
                r#"{{"type":"subscribed","payload":{{"channel":"status:{user_id}","seq":3,"recovered":true}},"timestamp":5}}"#
            )
        );
    }
}
