//! One socket: reading what the client says, writing what it is told, until either side ends it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use chrono::{DateTime, Utc};
use futures_util::{
    Sink, SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use humanchat_domain::{
    conversations,
    event::Channel,
    realtime::{self, Head},
};
use tokio::{sync::mpsc, time::Instant};

use super::{
    hub::Seat,
    outbox::{Outbox, code},
    protocol::{ClientFrame, ServerFrame, error},
    topic::Topic,
};
use crate::edge::{caller::Caller, error::ApiError};

/// The largest frame a client may send.
pub(super) const MAX_FRAME: usize = 64 * 1024;
const MAX_CHANNELS: usize = 128;
const PING_EVERY: Duration = Duration::from_secs(25);
const SILENCE: Duration = Duration::from_mins(1);
/// How long saying goodbye may take, for a client that still has much to read.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long a connection that can't be read any more stays open after the goodbye.
const LINGER: Duration = Duration::from_secs(1);
/// How many bytes are written before they are flushed.
const FLUSH_AT: usize = 64 * 1024;
const REPLAY_PAGE: i64 = 50;

/// What a socket was opened for.
pub(super) struct Opening {
    pub caller: Caller,
    pub tab: Option<String>,
    /// Listened to from the start.
    pub channel: Option<Channel>,
}

/// When the client was last heard, in milliseconds since the socket opened.
#[derive(Clone)]
struct LastHeard(Arc<AtomicU64>, Instant);

impl LastHeard {
    fn new() -> Self {
        Self(Arc::default(), Instant::now())
    }

    fn now(&self) {
        self.0.store(u64::try_from(self.1.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits until nothing has been heard for long.
    async fn silence(&self) {
        loop {
            let limit = self.1 + Duration::from_millis(self.0.load(Ordering::Relaxed)) + SILENCE;
            if limit <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(limit).await;
        }
    }
}

/// Serves a socket until it ends.
pub(super) async fn serve(socket: WebSocket, hub: super::Hub, opening: Opening) {
    let (mut sink, mut stream) = socket.split();
    let (outbox, frames) = Outbox::new();
    let heard = LastHeard::new();
    let reader = async {
        let Opening { caller, tab, channel } = opening;
        let seat = hub.enter(caller.user_id, caller.login_id, tab, outbox.clone()).await;
        let mut session = Session { seat, heard: heard.clone() };
        session.say(ServerFrame::Ready { user_id: caller.user_id });
        if let Some(channel) = channel {
            session.subscribe(channel, None).await;
        }
        session.read(&mut stream).await
    };
    let end = tokio::select! {
        end = reader => end,
        () = write(&mut sink, &outbox, frames) => None,
        code = outbox.ended() => Some(code),
        // Apart from the writer, which waits without end for a client that is gone without a word.
        () = heard.silence() => Some(code::SILENT),
    };
    if let Some(code) = end {
        tokio::time::timeout(GOODBYE, say_goodbye(code, sink, stream)).await.ok();
    }
}

/// Closes with a code, and waits for the client to have it. Hanging up while bytes of the client's
/// are unread resets the connection, and a reset overtakes what was written before.
async fn say_goodbye(code: u16, mut sink: SplitSink<WebSocket, Message>, mut stream: SplitStream<WebSocket>) {
    let goodbye = Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::default() }));
    if sink.send(goodbye).await.is_err() {
        return;
    }
    while let Some(Ok(message)) = stream.next().await {
        if matches!(message, Message::Close(_)) {
            return;
        }
    }
    tokio::time::sleep(LINGER).await;
}

/// Writes frames as they come, many to a flush, and pings while there are none.
async fn write(
    sink: &mut (impl Sink<Message, Error = axum::Error> + Unpin),
    outbox: &Outbox,
    mut frames: mpsc::UnboundedReceiver<Utf8Bytes>,
) {
    let mut ping = tokio::time::interval(PING_EVERY);
    ping.reset();
    loop {
        let first = tokio::select! {
            frame = frames.recv() => match frame { Some(frame) => frame, None => return },
            _ = ping.tick() => {
                if sink.send(Message::Ping(bytes::Bytes::new())).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let mut size = 0;
        let mut next = Some(first);
        while let Some(frame) = next {
            size += frame.len();
            if sink.feed(Message::Text(frame)).await.is_err() {
                return;
            }
            next = if size < FLUSH_AT { frames.try_recv().ok() } else { None };
        }
        if sink.flush().await.is_err() {
            return;
        }
        outbox.written(size);
    }
}

struct Session {
    seat: Seat,
    heard: LastHeard,
}

impl Session {
    fn now(&self) -> DateTime<Utc> {
        self.seat.hub().store().clock().now()
    }

    fn say(&self, frame: ServerFrame<'_>) {
        self.seat.outbox.push(frame.text(self.now()));
    }

    fn refuse(&self, why: &ApiError, channel: Option<&str>) {
        self.seat.outbox.push(error(why, channel, self.now()));
    }

    /// Reads until the client leaves; returns the code to say goodbye with, if any.
    async fn read(&mut self, stream: &mut SplitStream<WebSocket>) -> Option<u16> {
        while let Some(message) = stream.next().await {
            self.heard.now();
            match message {
                Ok(Message::Text(text)) => self.obey(&text).await,
                Ok(Message::Binary(_)) => self.refuse(&ApiError::malformed("send text frames"), None),
                // Reading on answers a client's close.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => {}
                Err(error) => return code_for(&error),
            }
        }
        None
    }

    async fn obey(&mut self, text: &str) {
        let frame = match serde_json::from_str(text) {
            Ok(frame) => frame,
            Err(error) => return self.refuse(&ApiError::malformed(format!("not a frame: {error}")), None),
        };
        match frame {
            ClientFrame::Subscribe { channel, after } => match channel.parse() {
                Ok(known) => self.subscribe(known, after).await,
                Err(_) => self.refuse(&ApiError::not_found("channel"), Some(&channel)),
            },
            ClientFrame::Unsubscribe { channel } => match channel.parse() {
                Ok(known) if self.seat.leave(known) => self.say(ServerFrame::Unsubscribed { channel: known }),
                _ => self.refuse(&ApiError::not_found("subscription"), Some(&channel)),
            },
            ClientFrame::Typing { payload } => {
                let told = match payload.conversation_id.parse() {
                    Ok(id) => conversations::tell_typing(self.seat.hub().store(), self.seat.user_id, id)
                        .await
                        .map_err(Into::into),
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

    async fn subscribe(&mut self, channel: Channel, after: Option<i64>) {
        if let Err(error) = self.try_subscribe(channel, after).await {
            self.refuse(&error, Some(&channel.to_string()));
        }
    }

    async fn try_subscribe(&mut self, channel: Channel, after: Option<i64>) -> Result<(), ApiError> {
        if after.is_some_and(|after| after < 0) {
            return Err(ApiError::malformed("after must not be negative"));
        }
        // Asking again starts over, so that a client can replay on the socket it has.
        self.seat.leave(channel);
        if self.seat.channel_count() >= MAX_CHANNELS {
            return Err(ApiError::forbidden("a socket listens to at most 128 channels"));
        }
        let hub = self.seat.hub().clone();
        if !realtime::may_listen(hub.store(), self.seat.user_id, channel).await? {
            return Err(match channel {
                Channel::Sessions(_) | Channel::Notifications(_) => {
                    ApiError::forbidden("this channel is somebody else's")
                }
                Channel::Conversation(_) => ApiError::not_found("conversation"),
                Channel::Status(_) => ApiError::not_found("user"),
            });
        }
        let held = hub.hold(channel);
        held.tune_in().await;
        let joined = self.join(channel, &held.topic, after).await;
        if joined.is_err() {
            self.seat.leave(channel);
        }
        joined
    }

    /// Replays what was asked for, then goes live where the replay ends, with nothing in between.
    async fn join(&mut self, channel: Channel, topic: &Topic, after: Option<i64>) -> Result<(), ApiError> {
        let hub = self.seat.hub().clone();
        let head = match channel {
            Channel::Status(_) => Head { seq: 0, oldest: 1 },
            _ => realtime::head(hub.store(), channel).await?,
        };
        let recovered = after.is_none_or(|after| after <= head.seq && after + 1 >= head.oldest);
        let mut told = if recovered { after.unwrap_or(head.seq) } else { head.seq };
        self.say(ServerFrame::Subscribed { channel, seq: head.seq, recovered });
        self.seat.joined(channel);
        let mut behind = told < head.seq;
        // Up to where the database was asked for events. A number below that has none any more.
        let mut read = head.seq;
        loop {
            if !behind {
                match topic.go_live(self.seat.id, &self.seat.outbox, told, read) {
                    Ok(()) => return Ok(()),
                    Err(known) => read = known,
                }
            }
            let frames = realtime::events_after(hub.store(), channel, told, REPLAY_PAGE).await?;
            behind = frames.len() >= usize::try_from(REPLAY_PAGE).unwrap_or(usize::MAX);
            for frame in frames {
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

/// How to say goodbye after a broken frame. The library's error has no type to match here.
fn code_for(error: &axum::Error) -> Option<u16> {
    const BEGINNINGS: [(&str, u16); 4] = [
        ("Space limit exceeded", code::TOO_LARGE),
        ("UTF-8 encoding error", code::NOT_TEXT),
        // Not the client's word, but its end.
        ("WebSocket protocol error: Connection reset", 0),
        ("WebSocket protocol error", code::PROTOCOL),
    ];
    let text = error.to_string();
    let known = BEGINNINGS.into_iter().find(|(beginning, _)| text.starts_with(beginning));
    known.map(|(_, code)| code).filter(|code| *code != 0)
}
