//! Calls to others' systems (payments, the model, mail) as operators see them: each is a span and a
//! measurement.

use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt};
use metrics::{describe_histogram, histogram};
use tracing::Instrument;

use crate::traces;

const DURATION: &str = "humanchat_provider_call_duration_seconds";

/// Says to the recorder what is measured here.
pub(crate) fn describe() {
    describe_histogram!(DURATION, "How long calls to providers took, by provider, call and outcome");
}

/// Makes a call, for whose failures `outcome` has a word each. Boxed, because clients' futures are large.
pub(crate) fn call<'a, T, E>(
    provider: &'static str,
    name: &'static str,
    outcome: impl FnOnce(&E) -> &'static str + Send + 'a,
    run: impl Future<Output = Result<T, E>> + Send + 'a,
) -> BoxFuture<'a, Result<T, E>>
where
    T: Send + 'a,
    E: Send + 'a,
{
    let span = tracing::info_span!(
        "provider_call",
        provider,
        call = name,
        otel.kind = traces::only(|| "client"),
        otel.name = traces::only(|| format!("{provider} {name}")),
        outcome = tracing::field::Empty,
    );
    let seen = span.clone();
    let measured = async move {
        // Whoever stops waiting drops the call.
        let mut measured = Measured { provider, name, began: Instant::now(), outcome: "abandoned" };
        let ended = run.await;
        measured.outcome = ended.as_ref().err().map_or("ok", outcome);
        seen.record("outcome", measured.outcome);
        ended
    };
    measured.instrument(span).boxed()
}

struct Measured {
    provider: &'static str,
    name: &'static str,
    began: Instant,
    outcome: &'static str,
}

impl Drop for Measured {
    fn drop(&mut self) {
        histogram!(DURATION, "provider" => self.provider, "call" => self.name, "outcome" => self.outcome)
            .record(self.began.elapsed());
    }
}
