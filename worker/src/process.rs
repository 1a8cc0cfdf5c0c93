//! The life of a worker process: settings, log, signals, waiting for the database, exit code.

use std::{process::ExitCode, time::Duration};

use humanchat_domain::{Store, clock::Clock, config::Settings, logging, measurements};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    metrics,
    registry::Registry,
    runtime::{self, Options, Stop},
    schedule::Schedule,
};

/// Runs a worker until it is told to stop by SIGTERM or SIGINT; a second one hurries it.
///
/// Exits with 0 after a stop, with 1 when something failed, and with 2 and one line on standard
/// error when it can't begin.
pub fn run(registry: Registry, schedule: Schedule, options: Options) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&error.to_string()),
    };
    let code = match runtime.block_on(work(registry, schedule, options)) {
        Ok(code) => code,
        Err(error) => refuse(&error.to_string()),
    };
    // A handler that never yields can't be waited for.
    runtime.shutdown_background();
    code
}

/// Says in one line why the process can't begin.
pub fn refuse(reason: &str) -> ExitCode {
    eprintln!("humanchat-worker: {reason}");
    ExitCode::from(2)
}

async fn work(registry: Registry, schedule: Schedule, options: Options) -> anyhow::Result<ExitCode> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("TLS was set up before");
    }
    let settings = Settings::from_env()?;
    let _traces = logging::init(&settings, "humanchat-worker")?;
    if let Some(address) = settings.metrics_addr {
        measurements::serve(address)?;
        metrics::describe();
    }
    let store = Store::open(settings, Clock::System)?;
    let stop = stop_on_signals()?;
    tokio::select! {
        () = database(&store) => {}
        () = stop.soon.cancelled() => return Ok(ExitCode::SUCCESS),
    }
    let queues: Vec<_> = options.queues.iter().map(|queue| queue.as_str()).collect();
    tracing::info!(queues = queues.join(","), "working");
    match runtime::run(store, registry, schedule, options, stop).await {
        Ok(()) => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "stopped");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn stop_on_signals() -> anyhow::Result<Stop> {
    let stop = Stop::default();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = stop.clone();
    tokio::spawn(async move {
        for token in [told.soon, told.now] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(stop)
}

/// Waits for the database.
async fn database(store: &Store) {
    let mut pause = Duration::from_millis(100);
    while let Err(error) = store.ping().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "waiting for the database");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}
