//! The jobs of the measurement, and how long they waited.
//!
//! Sender and worker are two processes on one machine and read one clock, the monotonic one.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use humanchat_jobs::{Job, Queue};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::measure;

/// Does nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Nothing {}

impl Job for Nothing {
    const NAME: &'static str = "bench_nothing";
    const QUEUE: Queue = Queue::Default;
}

/// Notes how long it waited.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stamp {
    /// When somebody began to enqueue it, by [`now_micros`].
    pub sent_micros: i64,
}

impl Job for Stamp {
    const NAME: &'static str = "bench_stamp";
    const QUEUE: Queue = Queue::Default;
}

impl Stamp {
    /// One that is sent now.
    ///
    /// # Errors
    /// When there is no such clock.
    pub fn now() -> Result<Self> {
        Ok(Self { sent_micros: now_micros()? })
    }
}

/// The monotonic clock in microseconds: the same in all processes of a machine.
///
/// # Errors
/// When there is no such clock.
pub fn now_micros() -> Result<i64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).context("no monotonic clock")?;
    Ok(now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000)
}

/// How long jobs waited, in microseconds, in the order they began.
#[derive(Debug, Clone, Default)]
pub struct Waits(Arc<Mutex<Vec<i64>>>);

impl Waits {
    /// Notes that a job begins.
    ///
    /// # Errors
    /// When there is no clock.
    pub fn note(&self, stamp: &Stamp) -> Result<()> {
        let waited = now_micros()? - stamp.sent_micros;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(waited);
        Ok(())
    }

    /// Writes them into a file, one a line.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<_> = waits.iter().map(i64::to_string).collect();
        fs::write(path, lines.join("\n")).with_context(|| path.display().to_string())
    }
}

/// Reads what [`Waits::write`], or a peer, wrote; in milliseconds.
///
/// # Errors
/// When it isn't there, or isn't numbers.
pub fn read_waits_ms(path: &Path) -> Result<Vec<f64>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let micros = text.lines().map(str::parse::<usize>);
    let waits: Result<Vec<_>, _> = micros.map(|micros| micros.map(|micros| measure::count(micros) / 1000.0)).collect();
    waits.with_context(|| format!("{} has something else than numbers", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_written_and_read() {
        let waits = Waits::default();
        let stamp = Stamp { sent_micros: now_micros().unwrap() - 2_500 };
        waits.note(&stamp).unwrap();
        let path = std::env::temp_dir().join(format!("humanchat-bench-waits-{}", std::process::id()));
        waits.write(&path).unwrap();
        let read = read_waits_ms(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(read.len() == 1 && read[0] >= 2.5 && read[0] < 1_000.0, "{read:?}");
    }
}
