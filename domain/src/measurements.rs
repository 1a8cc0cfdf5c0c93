//! What a process measures, as Prometheus reads it: the one recorder, and how durations are classed.
//! What is measured is said where it is measured.

use std::{net::SocketAddr, sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{
    config::{SettingError, unusable},
    providers,
};

/// Upper bounds of the classes that durations are counted in, in seconds.
const CLASSES: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// How often what was measured is summed up, so that it doesn't pile up where nobody reads it.
const SUM_UP_EVERY: Duration = Duration::from_secs(5);

/// The process' one recorder, made when it is first asked for.
///
/// # Errors
/// When another one is installed.
pub fn recorder() -> Result<PrometheusHandle, BuildError> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = builder()?.install_recorder()?;
    providers::describe();
    tokio::spawn({
        let handle = handle.clone();
        async move {
            loop {
                tokio::time::sleep(SUM_UP_EVERY).await;
                handle.run_upkeep();
            }
        }
    });
    Ok(RECORDER.get_or_init(|| handle).clone())
}

/// Serves what is measured at `address`, for a process that serves nothing else.
///
/// # Errors
/// When it can't listen there, or a recorder is installed.
pub fn serve(address: SocketAddr) -> Result<(), SettingError> {
    let builder = builder().and_then(|builder| builder.with_http_listener(address).install());
    builder.map_err(|error| unusable("METRICS_ADDR", error))?;
    providers::describe();
    Ok(())
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &CLASSES)
}
