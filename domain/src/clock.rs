//! The one source of "now", so that tests can move it.

use chrono::{DateTime, SubsecRound, Utc};

/// Tells the time: the system's, or one a test holds.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands still until it is moved.
    #[cfg(feature = "testing")]
    Manual(std::sync::Arc<std::sync::atomic::AtomicI64>),
}

impl Clock {
    /// The time in whole milliseconds: what is stored is what is shown.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            #[expect(clippy::disallowed_methods, reason = "the clock is where the time comes from")]
            Self::System => Utc::now().trunc_subsecs(3),
            #[cfg(feature = "testing")]
            Self::Manual(millis) => {
                DateTime::from_timestamp_millis(millis.load(std::sync::atomic::Ordering::SeqCst)).unwrap_or_default()
            }
        }
    }
}

#[cfg(feature = "testing")]
impl Clock {
    /// A clock that stands at `start`.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self::Manual(std::sync::Arc::new(start.timestamp_millis().into()))
    }

    /// Moves a manual clock forward; the system's clock is left alone.
    pub fn advance(&self, by: std::time::Duration) {
        if let Self::Manual(millis) = self {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            millis.fetch_add(by, std::sync::atomic::Ordering::SeqCst);
        }
    }
}
