//! Request bodies that come in time or not at all.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Timeouts;

/// The body did not come in time.
#[derive(Debug)]
pub(crate) struct BodyTimedOut;

impl fmt::Display for BodyTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body did not come in time")
    }
}

impl std::error::Error for BodyTimedOut {}

/// A body with a limit for the whole and one for each pause.
struct TimedBody {
    incoming: Incoming,
    timeouts: Timeouts,
    began: Instant,
    /// Runs while the client is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// Gives a body its limits; they count from now.
pub(super) fn timed(incoming: Incoming, timeouts: Timeouts) -> Body {
    if incoming.is_end_stream() {
        return Body::empty();
    }
    Body::new(TimedBody { incoming, timeouts, began: Instant::now(), alarm: None })
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Self { incoming, timeouts, began, alarm } = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) {
            *alarm = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let alarm = alarm.get_or_insert_with(|| {
            let pause = Instant::now() + timeouts.body_pause;
            Box::pin(sleep_until(pause.min(*began + timeouts.body)))
        });
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Some(Err(Box::new(BodyTimedOut))))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
