//! What many may ask for at once, and needn't be newer than a second: read once, and told to all of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(1);

/// The latest answer, and when it was there.
#[derive(Debug, Clone)]
pub(crate) struct Recent<T>(Arc<Mutex<Option<(Instant, T)>>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Recent<T> {
    /// The latest answer, if it is fresh; else what `read` says. Whoever asks meanwhile waits for that.
    pub(crate) async fn get(&self, read: impl Future<Output = T>) -> T {
        let mut latest = self.0.lock().await;
        if let Some((at, answer)) = &*latest
            && at.elapsed() < FRESH
        {
            return answer.clone();
        }
        let answer = read.await;
        *latest = Some((Instant::now(), answer.clone()));
        answer
    }
}
