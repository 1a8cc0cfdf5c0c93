//! What the two ends of a connection tell each other: the gate that reads it and the service that answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{sync::watch, time::Instant};

use super::{Timeouts, head::Refused};

/// The state of a connection.
#[derive(Debug)]
pub(super) struct Traffic {
    opened: Instant,
    timeouts: Timeouts,
    state: Mutex<State>,
    /// Whether a request has begun to come whose head isn't whole.
    is_arriving: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    /// Requests that have not been answered.
    handling: usize,
    /// When something last happened, once there was a request.
    last: Option<Instant>,
    is_upgraded: bool,
    refused: Option<Refused>,
}

/// A request that is being handled.
#[derive(Debug)]
pub(super) struct Handling(Arc<Traffic>);

impl Traffic {
    pub(super) fn new(timeouts: Timeouts) -> Arc<Self> {
        let state = State { handling: 0, last: None, is_upgraded: false, refused: None };
        Arc::new(Self {
            opened: Instant::now(),
            timeouts,
            state: Mutex::new(state),
            is_arriving: watch::Sender::new(false),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request until what this returns is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Handling {
        self.state().handling += 1;
        Handling(Arc::clone(self))
    }

    /// Notes that the client has just taken something.
    pub(super) fn touch(&self) {
        let mut state = self.state();
        state.last = state.last.map(|_| Instant::now());
    }

    /// Notes whether a request has begun to come whose head isn't whole.
    pub(super) fn set_arriving(&self, is_arriving: bool) {
        self.is_arriving.send_if_modified(|known| std::mem::replace(known, is_arriving) != is_arriving);
    }

    /// Waits until no head is halfway here.
    pub(super) async fn between_heads(&self) {
        // Fails only without a sender, which is here.
        self.is_arriving.subscribe().wait_for(|is_arriving| !is_arriving).await.ok();
    }

    /// From now on this isn't HTTP any more.
    pub(super) fn upgrade(&self) {
        self.state().is_upgraded = true;
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.state().is_upgraded
    }

    /// Why the next request is refused.
    pub(super) fn refuse(&self, refused: Refused) {
        self.state().refused = Some(refused);
    }

    pub(super) fn take_refused(&self) -> Option<Refused> {
        self.state().refused.take()
    }

    /// When a connection that nothing happens on has lasted long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        match state.last {
            _ if state.is_upgraded || state.handling > 0 => None,
            None => Some(self.opened + self.timeouts.head),
            Some(last) => Some(last + self.timeouts.keep_alive),
        }
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.handling -= 1;
        state.last = Some(Instant::now());
    }
}
