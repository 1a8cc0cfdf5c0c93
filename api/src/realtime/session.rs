//! What a socket's client asks for, one thing after the other.

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream::SplitStream};
use humanchat_domain::{
    conversations,
    event::Channel,
    id::{ConversationId, UserId},
    realtime::{self, Wish},
};
use tokio::time::Instant;

use super::{
    hub::{Held, Seat},
    outbox::PAGE,
    protocol::{ClientFrame, ServerFrame, error},
    socket::{LastHeard, code_for},
};
use crate::edge::error::ApiError;

const MAX_CHANNELS: usize = 128;
/// How much a client may say at once: more than a subscription to each of its channels.
const BURST: u32 = 200;
/// How often it may say something beyond that. Who says more is read more slowly.
const EVERY: Duration = Duration::from_millis(20);

/// What isn't there, isn't the caller's or is no channel at all looks the same.
fn no_channel() -> ApiError {
    ApiError::not_found("channel")
}

pub(super) struct Session {
    seat: Seat,
    heard: LastHeard,
    /// When the client will have used up what it may say at once.
    paid_until: Instant,
}

impl Session {
    pub(super) fn new(seat: Seat, heard: LastHeard) -> Self {
        Self { seat, heard, paid_until: Instant::now() }
    }

    fn now(&self) -> DateTime<Utc> {
        self.seat.hub().store().clock().now()
    }

    pub(super) fn say(&self, frame: ServerFrame<'_>) {
        self.seat.outbox.push(frame.text(self.now()));
    }

    fn refuse(&self, why: &ApiError, channel: Option<&str>) {
        self.seat.outbox.push(error(why, channel, self.now()));
    }

    /// Reads until the client leaves; returns the code to say goodbye with, if any.
    pub(super) async fn read(&mut self, stream: &mut SplitStream<WebSocket>) -> Option<u16> {
        while let Some(message) = stream.next().await {
            self.heard.now();
            match message {
                // In a box of its own: most sockets say little, and each would keep room for all of this.
                Ok(Message::Text(text)) => Box::pin(self.obey(&text)).await,
                Ok(Message::Binary(_)) => self.refuse(&ApiError::malformed("send text frames"), None),
                // Reading on answers a client's close.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => {}
                Err(error) => return code_for(&error),
            }
            self.pause().await;
        }
        None
    }

    /// Keeps a client to its measure by not reading on; what it says meanwhile waits in its own system.
    async fn pause(&mut self) {
        let now = Instant::now();
        self.paid_until = self.paid_until.max(now) + EVERY;
        let full = now + EVERY * BURST;
        if self.paid_until > full {
            tokio::time::sleep(self.paid_until - full).await;
        }
    }

    async fn obey(&mut self, text: &str) {
        let frame = match ClientFrame::read(text) {
            Ok(frame) => frame,
            Err(error) => return self.refuse(&ApiError::malformed(format!("not a frame: {error}")), None),
        };
        match frame {
            ClientFrame::Subscribe { channel, after } => match channel.parse() {
                Ok(known) => self.subscribe(known, after).await,
                Err(_) => self.refuse(&no_channel(), Some(&channel)),
            },
            ClientFrame::Unsubscribe { channel } => match channel.parse() {
                Ok(known) if self.seat.leave(known) => self.say(ServerFrame::Unsubscribed { channel: known }),
                _ => self.refuse(&ApiError::not_found("subscription"), Some(&channel)),
            },
            ClientFrame::Typing { payload } => {
                let told = match payload.conversation_id.parse() {
                    Ok(id) => self.tell_typing(id).await,
                    Err(_) => Err(ApiError::not_found("conversation")),
                };
                if let Err(error) = told {
                    self.refuse(&error, None);
                }
            }
            ClientFrame::Ack { channel, .. } => {
                if !channel.parse().is_ok_and(|channel| self.seat.listens_to(channel)) {
                    self.refuse(&ApiError::not_found("subscription"), Some(&channel));
                }
            }
            ClientFrame::Ping {} => self.say(ServerFrame::Pong {}),
        }
    }

    async fn tell_typing(&self, id: ConversationId) -> Result<(), ApiError> {
        let (hub, caller) = (self.seat.hub(), self.seat.user_id);
        // Whoever listens takes part.
        if !self.seat.listens_to(Channel::Conversation(id)) {
            let _turn = hub.gate().turn().await;
            if !conversations::is_participant(hub.store(), caller, id).await? {
                return Err(ApiError::not_found("conversation"));
            }
        }
        Ok(conversations::tell_typing(hub.store(), caller, id)?)
    }

    pub(super) async fn subscribe(&mut self, channel: Channel, after: Option<i64>) {
        if after.is_some_and(|after| after < 0) {
            return self.refuse(&ApiError::malformed("after must not be negative"), Some(&channel.to_string()));
        }
        // Asking again starts over, so that a client can replay on the socket it has.
        self.seat.leave(channel);
        if let Err(error) = self.try_subscribe(channel, after).await {
            self.seat.leave(channel);
            self.refuse(&error, Some(&channel.to_string()));
        }
    }

    async fn try_subscribe(&mut self, channel: Channel, after: Option<i64>) -> Result<(), ApiError> {
        if self.seat.channel_count() >= MAX_CHANNELS {
            return Err(ApiError::forbidden("a socket listens to at most 128 channels"));
        }
        if let Channel::Sessions(owner) | Channel::Notifications(owner) = channel
            && owner != self.seat.user_id
        {
            return Err(no_channel());
        }
        let held = self.seat.hub().hold(channel);
        held.tune_in().await;
        match channel {
            Channel::Status(user_id) => self.watch(user_id, &held).await,
            _ => self.join(channel, &held, after).await,
        }
    }

    /// Goes live on where somebody stands, beginning with where they stand now.
    async fn watch(&mut self, user_id: UserId, held: &Held) -> Result<(), ApiError> {
        if !self.seat.hub().statuses().learn(user_id).await? {
            return Err(no_channel());
        }
        let channel = Channel::Status(user_id);
        self.say(ServerFrame::Subscribed { channel, seq: 0, recovered: true });
        self.seat.joined(channel);
        // Without numbers, nothing can be missed before this.
        held.topic.go_live(self.seat.id, &self.seat.outbox, 0, 0).ok();
        Ok(())
    }

    /// Replays what was asked for, then goes live where the replay ends, with nothing in between.
    async fn join(&mut self, channel: Channel, held: &Held, after: Option<i64>) -> Result<(), ApiError> {
        let hub = self.seat.hub().clone();
        let wish = Wish { user_id: self.seat.user_id, channel, after };
        let standing = hub.standings().ask(wish).await?.ok_or_else(no_channel)?;
        let mut told = after.filter(|_| standing.recovered).unwrap_or(standing.seq);
        self.say(ServerFrame::Subscribed { channel, seq: standing.seq, recovered: standing.recovered });
        self.seat.joined(channel);
        let mut behind = told < standing.seq;
        // Up to where the database was asked for events. A number below that has none any more.
        let mut read = standing.seq;
        loop {
            if !behind {
                match held.topic.go_live(self.seat.id, &self.seat.outbox, told, read) {
                    Ok(()) => return Ok(()),
                    Err(known) => read = known,
                }
            }
            let events = {
                let _turn = hub.gate().turn().await;
                realtime::events_after(hub.store(), channel, told, PAGE).await?
            };
            behind = events.more;
            for frame in events.frames {
                told = frame.seq.unwrap_or(told);
                if let Ok(text) = Utf8Bytes::try_from(frame.json) {
                    self.seat.outbox.push(text);
                }
                self.seat.outbox.has_room().await;
                // Nobody reads what the client says during a replay; that it takes what is said is as good.
                self.heard.now();
            }
            if self.seat.outbox.is_ended() {
                return Ok(());
            }
        }
    }
}
