//! How a program of ours writes its log: one line an event, on standard output.

use std::io::{IsTerminal, stdout};

use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogFormat, SettingError, Settings, unusable};

/// Starts the log as the settings say. A second call in a process changes nothing.
///
/// # Errors
/// When `LOG_LEVEL` is no filter.
pub fn init(settings: &Settings) -> Result<(), SettingError> {
    let filter: Targets = settings.log_level.parse().map_err(|error| unusable("LOG_LEVEL", error))?;
    let lines = match settings.log_format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_span_list(false).boxed(),
        LogFormat::Text => fmt::layer().with_ansi(stdout().is_terminal()).boxed(),
    };
    // A filter for all layers: with one of the layer's own, each `enabled!` of a library (sqlx has
    // them) swallows the thread's next event.
    tracing_subscriber::registry().with(filter).with(lines).try_init().ok();
    Ok(())
}
