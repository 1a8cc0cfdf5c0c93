//! What waits to be written to a socket: bounded in bytes, ended with a code.

use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicUsize, Ordering},
};

use axum::extract::ws::{CloseCode, Utf8Bytes};
use humanchat_domain::id::UserId;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// How much may wait for a client that doesn't read.
pub(super) const LIMIT: usize = 1024 * 1024;

/// Bytes of events read from the database at once: few enough that they don't by themselves make a
/// client too slow.
pub(super) const PAGE: i64 = 128 * 1024;

/// Why the server ends a socket.
pub(super) mod code {
    use axum::extract::ws::CloseCode;

    /// The client broke the protocol of sockets itself.
    pub(crate) const PROTOCOL: CloseCode = 1002;
    pub(crate) const NOT_TEXT: CloseCode = 1007;
    pub(crate) const RESTARTING: CloseCode = 1012;
    pub(crate) const TOO_LARGE: CloseCode = 1009;
    /// The same browser tab opened another.
    pub(crate) const REPLACED: CloseCode = 4001;
    /// The login ended, or its user was suspended.
    pub(crate) const LOGGED_OUT: CloseCode = 4003;
    /// The user's role changed: open another socket, which goes by the new one.
    pub(crate) const ROLE_CHANGED: CloseCode = 4004;
    /// More than 1 MiB waited.
    pub(crate) const TOO_SLOW: CloseCode = 4008;
    /// Nothing was heard for long: a minute, by default.
    pub(crate) const SILENT: CloseCode = 4009;
}

/// The sending end, shared by the hub and the socket's own reader.
#[derive(Debug, Clone)]
pub(super) struct Outbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    user_id: UserId,
    frames: mpsc::UnboundedSender<Utf8Bytes>,
    waiting: AtomicUsize,
    drained: Notify,
    end: CancellationToken,
    code: AtomicU16,
}

impl Outbox {
    pub(super) fn new(user_id: UserId) -> (Self, mpsc::UnboundedReceiver<Utf8Bytes>) {
        let (frames, receiver) = mpsc::unbounded_channel();
        let inner = Inner {
            user_id,
            frames,
            waiting: AtomicUsize::new(0),
            drained: Notify::new(),
            end: CancellationToken::new(),
            code: AtomicU16::new(0),
        };
        (Self(Arc::new(inner)), receiver)
    }

    /// Whose socket this is.
    pub(super) fn user_id(&self) -> UserId {
        self.0.user_id
    }

    /// Puts a frame in; a client that lets too much wait is cut off.
    pub(super) fn push(&self, frame: Utf8Bytes) {
        if self.0.end.is_cancelled() {
            return;
        }
        let size = frame.len();
        if self.0.waiting.fetch_add(size, Ordering::Relaxed) + size > LIMIT {
            self.close(code::TOO_SLOW);
            return;
        }
        self.0.frames.send(frame).ok();
    }

    /// Takes note of what was written.
    pub(super) fn written(&self, bytes: usize) {
        self.0.waiting.fetch_sub(bytes, Ordering::Relaxed);
        self.0.drained.notify_waiters();
    }

    /// Waits until a replay may go on without crowding out live frames.
    pub(super) async fn has_room(&self) {
        loop {
            let drained = self.0.drained.notified();
            if self.0.waiting.load(Ordering::Relaxed) < LIMIT / 4 || self.0.end.is_cancelled() {
                return;
            }
            tokio::select! {
                () = drained => {}
                () = self.0.end.cancelled() => return,
            }
        }
    }

    /// Ends the socket; the first reason counts.
    pub(super) fn close(&self, code: CloseCode) {
        self.0.code.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed).ok();
        self.0.end.cancel();
    }

    /// Waits for the end; returns its code.
    pub(super) async fn ended(&self) -> CloseCode {
        self.0.end.cancelled().await;
        self.0.code.load(Ordering::Relaxed)
    }

    pub(super) fn is_ended(&self) -> bool {
        self.0.end.is_cancelled()
    }
}
