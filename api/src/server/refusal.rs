//! Turning away whom there is no place for.

use std::{io::Write, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};
use uuid::Uuid;

use crate::edge::error::ApiError;

/// How many who were turned away are waited for at the same time.
const LEAVING: usize = 64;

/// Answers those for whom there is no place.
#[derive(Debug)]
pub(super) struct Porter {
    leaving: Arc<Semaphore>,
    linger: Duration,
}

impl Porter {
    pub(super) fn new(linger: Duration) -> Self {
        Self { leaving: Arc::new(Semaphore::new(LEAVING)), linger }
    }

    /// Answers at once, whatever is asked, and lets the client take the answer if not too many are doing so.
    pub(super) fn turn_away(&self, stream: TcpStream) {
        tracing::debug!("a client was turned away");
        let Ok(mut stream) = stream.into_std() else { return };
        // Nothing was sent yet, so the system has room for this: it is taken at once, or the client is gone.
        if stream.write_all(answer().as_bytes()).is_err() {
            return;
        }
        let (Ok(place), Ok(stream)) = (Arc::clone(&self.leaving).try_acquire_owned(), TcpStream::from_std(stream))
        else {
            return;
        };
        let linger = self.linger;
        tokio::spawn(async move {
            tokio::time::timeout(linger, see_off(stream)).await.ok();
            drop(place);
        });
    }
}

/// Hangs up when the client has: a reset would overtake the answer.
async fn see_off(mut stream: TcpStream) {
    let mut scrap = [0; 1024];
    if stream.shutdown().await.is_ok() {
        while stream.read(&mut scrap).await.is_ok_and(|length| length > 0) {}
    }
}

fn answer() -> String {
    let error = ApiError::unavailable("too many are connected right now");
    let body = serde_json::to_string(error.body()).unwrap_or_default();
    let retry_after = error.retry_after_secs().unwrap_or(1);
    format!(
        "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nRetry-After: {retry_after}\r\n\
         X-Request-Id: {}\r\nConnection: close\r\n\r\n{body}",
        error.status(),
        body.len(),
        Uuid::now_v7(),
    )
}
