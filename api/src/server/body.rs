//! Request bodies that come in time or not at all, and answers whose readers are seen to read.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Timeouts, traffic::Traffic};

/// How much of an answer is handed over at once.
const PART: usize = 16 * 1024;

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

/// An answer on HTTP/2, in small parts. The library asks for the next one when the client gives its stream room for it,
/// and that it does so keeps the connection open: what is written says nothing of that, as it may be about other things.
struct ReadBody {
    answer: Body,
    rest: Bytes,
    traffic: Arc<Traffic>,
}

/// Has an answer's reader keep the connection open.
pub(super) fn read(answer: Body, traffic: Arc<Traffic>) -> Body {
    if answer.is_end_stream() {
        return answer;
    }
    Body::new(ReadBody { answer, rest: Bytes::new(), traffic })
}

impl HttpBody for ReadBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Self { answer, rest, traffic } = self.get_mut();
        traffic.touch();
        if rest.is_empty() {
            match ready!(Pin::new(answer).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => *rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        let part = rest.split_to(rest.len().min(PART));
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, answer) = (self.rest.len() as u64, self.answer.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(answer.lower() + rest);
        if let Some(upper) = answer.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
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
