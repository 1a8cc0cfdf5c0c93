//! What listeners are told, and on which channel.
//!
//! Durable events are numbered per channel and kept in Postgres ([`crate::tx::Tx::emit`]); passing
//! ones (`Event::is_durable` is false) only ring the bell.

use std::{fmt, str::FromStr};

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    conversations::{Conversation, Message},
    id::{ConversationId, NotificationId, RunId, UserId},
    invites::{Invite, InviteStatus},
    notifications::Notification,
    payments::Payment,
    requests::Request,
    sessions::Session,
    users::Status,
};

/// Something that listeners can subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// A conversation's messages, for its participants.
    Conversation(ConversationId),
    /// A user's sessions and payments, for that user.
    Sessions(UserId),
    /// Whether a user is there, for anybody signed in.
    Status(UserId),
    /// What concerns a user, for that user.
    Notifications(UserId),
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conversation(id) => write!(f, "conversation:{id}"),
            Self::Sessions(id) => write!(f, "sessions:{id}"),
            Self::Status(id) => write!(f, "status:{id}"),
            Self::Notifications(id) => write!(f, "notifications:{id}"),
        }
    }
}

/// Text that names no channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such channel")]
pub struct UnknownChannel;

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        let (family, id) = text.split_once(':').ok_or(UnknownChannel)?;
        let user = || id.parse().map_err(|_| UnknownChannel);
        match family {
            "conversation" => Ok(Self::Conversation(id.parse().map_err(|_| UnknownChannel)?)),
            "sessions" => user().map(Self::Sessions),
            "status" => user().map(Self::Status),
            "notifications" => user().map(Self::Notifications),
            _ => Err(UnknownChannel),
        }
    }
}

impl Serialize for Channel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that happened. Serialises to `{"type": …, "payload": …}`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(tag = "type", content = "payload")]
#[expect(clippy::large_enum_variant, reason = "a few at a time, and none for long")]
pub enum Event {
    /// A message was stored.
    #[serde(rename = "message.created")]
    MessageCreated(Message),
    /// Something about a conversation other than its messages changed.
    #[serde(rename = "conversation.updated")]
    ConversationUpdated {
        /// As it is now, without `unread_count`, which differs per reader.
        conversation: Conversation,
    },
    /// A participant read up to a message.
    #[serde(rename = "conversation.read", rename_all = "camelCase")]
    ConversationRead {
        /// The conversation.
        conversation_id: ConversationId,
        /// Who read.
        user_id: UserId,
        /// Up to and with this message.
        message_id: i64,
    },
    /// A participant is writing.
    #[serde(rename = "typing", rename_all = "camelCase")]
    Typing {
        /// The conversation.
        conversation_id: ConversationId,
        /// Who writes.
        user_id: UserId,
    },
    /// Sam is writing an answer.
    #[serde(rename = "sam.delta", rename_all = "camelCase")]
    SamDelta {
        /// Sam's conversation with its user.
        conversation_id: ConversationId,
        /// The question that is being answered.
        run_id: RunId,
        /// How many characters of the answer came before, as Unicode code points; 0 where Sam begins anew: what came until then is no part of it,
        /// whatever `text` is. The answer itself is the message.
        offset: usize,
        /// What follows them.
        text: String,
    },
    /// A session came to be.
    #[serde(rename = "session.created")]
    SessionCreated {
        /// The session.
        session: Session,
    },
    /// A session changed.
    #[serde(rename = "session.updated")]
    SessionUpdated {
        /// The session as it is now.
        session: Session,
    },
    /// A payment changed.
    #[serde(rename = "payment.updated")]
    PaymentUpdated {
        /// The payment as it is now.
        payment: Payment,
    },
    /// A session begins soon.
    #[serde(rename = "session.reminder", rename_all = "camelCase")]
    SessionReminder {
        /// The session.
        session: Session,
        /// How long before its start this was due.
        minutes_before: i32,
    },
    /// Somebody asks to talk.
    #[serde(rename = "request.created")]
    RequestCreated {
        /// The request.
        request: Request,
    },
    /// A request was decided.
    #[serde(rename = "request.updated")]
    RequestUpdated {
        /// The request as it is now.
        request: Request,
        /// The pair's conversation, without `unread_count`, where it was approved.
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation: Option<Conversation>,
    },
    /// Something concerns the user.
    #[serde(rename = "notification.created")]
    NotificationCreated {
        /// What.
        notification: Notification,
    },
    /// Staff announced something. This stands for its `notification.created`.
    #[serde(rename = "announcement")]
    Announcement {
        /// It, as a notification.
        notification: Notification,
    },
    /// Notifications were read, dismissed, or came to nothing: none of them is unread any more.
    #[serde(rename = "notification.read")]
    NotificationRead {
        /// Which; each was unread before, and is named in one event only.
        ids: Vec<NotificationId>,
    },
    /// Somebody came, went, or became busy or free.
    #[serde(rename = "status.changed")]
    StatusChanged(Status),
    /// An instant invite was made or resolved.
    #[serde(rename = "instant_invite")]
    InstantInvite {
        /// What became of it.
        event: InviteStatus,
        /// The invite as it is now.
        invite: Invite,
        /// The pair's conversation, without `unread_count`.
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation: Option<Conversation>,
        /// The session that an acceptance started.
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<Session>,
    },
}

impl Event {
    /// Whether it is stored, numbered and replayed, or only passed on to whoever listens now.
    pub(crate) fn is_durable(&self) -> bool {
        !matches!(self, Self::Typing { .. } | Self::StatusChanged(_) | Self::SamDelta { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_read_what_they_write() {
        let user = UserId::new();
        for channel in [
            Channel::Conversation(ConversationId::new()),
            Channel::Sessions(user),
            Channel::Status(user),
            Channel::Notifications(user),
        ] {
            assert_eq!(channel.to_string().parse(), Ok(channel));
        }
        for text in [
            "",
            ":",
            "status",
            "status:",
            "status:conv_x",
            "moon:user_x",
            "conversation:user_01jd8t6ze5fkxrv8q3w2m9n7ab",
        ] {
            assert_eq!(text.parse::<Channel>(), Err(UnknownChannel), "{text}");
        }
    }
}
