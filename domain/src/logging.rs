//! How a program of ours writes its log: one line an event, on standard output.

use std::io::{IsTerminal, stdout};

use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    config::{LogFormat, SettingError, Settings, unusable},
    traces::{self, Traces},
};

/// Starts the log as the settings say, and traces where there is a collector for them, which will know
/// this program as `service`. A second call in a process changes nothing. TLS must have been set up.
///
/// # Errors
/// When `LOG_LEVEL` is no filter, or `OTEL_EXPORTER_OTLP_ENDPOINT` can't be used.
pub fn init(settings: &Settings, service: &'static str) -> Result<Traces, SettingError> {
    let filter: Targets = settings.log_level.parse().map_err(|error| unusable("LOG_LEVEL", error))?;
    let lines = match settings.log_format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Text => fmt::layer().with_ansi(stdout().is_terminal()).boxed(),
    };
    // A filter for all layers: with one of the layer's own, each `enabled!` of a library (sqlx has
    // them) swallows the thread's next event.
    let log = tracing_subscriber::registry().with(filter).with(lines);
    let Some(collector) = &settings.otlp_endpoint else {
        log.try_init().ok();
        return Ok(Traces::default());
    };
    let (spans, traces) = traces::layer(collector, service)?;
    log.with(spans).try_init().ok();
    Ok(traces)
}
