//! One socket: reading what the client says, writing what it is told, until either side ends it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::extract::{
    WebSocketUpgrade,
    ws::{CloseFrame, Message, Utf8Bytes, WebSocket},
};
use futures_util::{
    Sink, SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use humanchat_domain::event::Channel;
use tokio::{sync::mpsc, time::Instant};

use super::{
    gate::Admission,
    outbox::{Outbox, code},
    protocol::ServerFrame,
    session::Session,
};
use crate::edge::caller::Caller;

/// The largest frame a client may send.
const MAX_FRAME: usize = 64 * 1024;
/// What each socket keeps for reading. Clients say little; the default would be 128 KiB.
const READ_BUFFER: usize = 2 * 1024;
/// How long saying goodbye may take, for a client that still has much to read.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long a connection that can't be read any more stays open after the goodbye.
const LINGER: Duration = Duration::from_secs(1);
/// How many bytes are written before they are flushed.
const FLUSH_AT: usize = 64 * 1024;

/// Keeps what a client may send, and what the socket keeps for it, small.
pub(super) fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(FLUSH_AT)
}

/// What a socket was opened for.
pub(super) struct Opening {
    pub admission: Admission,
    pub caller: Caller,
    pub tab: Option<String>,
    /// Listened to from the start.
    pub channel: Option<Channel>,
}

/// When the client was last heard, in milliseconds since the socket opened.
#[derive(Clone)]
pub(super) struct LastHeard(Arc<AtomicU64>, Instant);

impl LastHeard {
    fn new() -> Self {
        Self(Arc::default(), Instant::now())
    }

    pub(super) fn now(&self) {
        self.0.store(u64::try_from(self.1.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits until nothing has been heard for so long.
    async fn silence(&self, limit: Duration) {
        loop {
            let limit = self.1 + Duration::from_millis(self.0.load(Ordering::Relaxed)) + limit;
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
    let (outbox, frames) = Outbox::new(opening.caller.user_id);
    let (heard, limits) = (LastHeard::new(), hub.limits());
    let reader = async {
        let mut session = Box::pin(begin(opening, hub, &outbox, &heard)).await;
        session.read(&mut stream).await
    };
    let end = tokio::select! {
        end = reader => end,
        () = write(&mut sink, &outbox, frames, limits.ping_every) => None,
        code = outbox.ended() => Some(code),
        // Apart from the writer, which waits without end for a client that is gone without a word.
        () = heard.silence(limits.silence) => Some(code::SILENT),
    };
    if let Some(code) = end {
        tokio::time::timeout(GOODBYE, say_goodbye(code, sink, stream)).await.ok();
    }
}

/// Takes the socket in and listens to what it was opened for. Its admission ends here.
async fn begin(opening: Opening, hub: super::Hub, outbox: &Outbox, heard: &LastHeard) -> Session {
    let Opening { admission: _admission, caller, tab, channel } = opening;
    let seat = hub.enter(caller, tab, outbox.clone()).await;
    let mut session = Session::new(seat, heard.clone());
    session.say(ServerFrame::Ready { user_id: caller.user_id });
    if let Some(channel) = channel {
        session.subscribe(channel, None).await;
    }
    session
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
    ping_every: Duration,
) {
    let mut ping = tokio::time::interval(ping_every);
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

/// How to say goodbye after a broken frame. The library's error has no type to match here.
pub(super) fn code_for(error: &axum::Error) -> Option<u16> {
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
