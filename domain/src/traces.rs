//! Spans for an OpenTelemetry collector: requests, the jobs that came of them, calls to providers.
//!
//! A job carries where it was asked for (`traceparent`, <https://www.w3.org/TR/trace-context/>), so
//! that a trace goes from a request over its jobs to what they asked of others.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::TracerProvider,
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use crate::config::{SettingError, unusable};

const SETTING: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADER: &str = "traceparent";
/// How long the last spans may take to their collector when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(3);

static ON: AtomicBool = AtomicBool::new(false);

/// What sends spans away. Dropped, it sends those that are left.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take() {
            provider.shutdown_with_timeout(LAST_WORDS).ok();
        }
    }
}

/// The layer that turns spans of the log into spans of a trace, and what sends them.
///
/// # Errors
/// When the collector's address can't be used.
pub(crate) fn layer<S>(
    collector: &Url,
    service: &'static str,
) -> Result<(impl tracing_subscriber::Layer<S> + use<S>, Traces), SettingError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let endpoint = format!("{}/v1/traces", collector.as_str().trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(endpoint);
    let exporter = exporter.build().map_err(|error| unusable(SETTING, error))?;
    let resource = Resource::builder().with_service_name(service).build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let layer = OpenTelemetryLayer::new(provider.tracer("humanchat"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false);
    ON.store(true, Ordering::Relaxed);
    Ok((layer, Traces(Some(provider))))
}

/// A field that only traces need; where there are none, log lines are spared of it.
pub fn only<T>(field: impl FnOnce() -> T) -> Option<T> {
    ON.load(Ordering::Relaxed).then(field)
}

/// Makes `span` a part of the trace that a `traceparent` names. One that can't be read is left.
pub fn follow(span: &Span, traceparent: Option<&str>) {
    let Some(traceparent) = only(|| traceparent).flatten() else { return };
    let parent = TraceContextPropagator::new().extract(&Header(Some(traceparent.to_owned())));
    span.set_parent(parent).ok();
}

/// The current span's `traceparent`, if there are traces.
pub(crate) fn current() -> Option<String> {
    let context = only(|| Span::current().context())?;
    let mut header = Header(None);
    TraceContextPropagator::new().inject_context(&context, &mut header);
    header.0
}

/// The one header of it that matters here.
struct Header(Option<String>);

impl Injector for Header {
    fn set(&mut self, key: &str, value: String) {
        if key == HEADER {
            self.0 = Some(value);
        }
    }
}

impl Extractor for Header {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.as_deref().filter(|_| key == HEADER)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.as_ref().map(|_| HEADER).into_iter().collect()
    }
}
