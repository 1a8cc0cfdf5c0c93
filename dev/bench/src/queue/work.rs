//! What the jobs of a drain do: nothing, a bit of arithmetic, or asking somebody who takes their time.

use std::{
    hint::black_box,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use chrono::{DateTime, Utc};
use humanchat_jobs::{Job, NewJob, Queue};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::stamp::Nothing;
use crate::http::{self, Connection, request};

/// How long the stand-in for a provider takes to answer.
pub const ANSWERS_AFTER: Duration = Duration::from_millis(20);
/// What a computing job hashes: about a tenth of a millisecond.
const BLOCK: &[u8] = &[7; 128 * 1024];

/// Hashes 128 KiB.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Compute {}

impl Job for Compute {
    const NAME: &'static str = "bench_compute";
    const QUEUE: Queue = Queue::Default;
}

/// Asks a provider and waits for the answer, as a mail does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {}

impl Job for Ask {
    const NAME: &'static str = "bench_ask";
    const QUEUE: Queue = Queue::Mail;
}

/// What every job of a drain does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// See [`Nothing`].
    Nothing,
    /// See [`Compute`].
    Compute,
    /// See [`Ask`].
    Ask,
}

impl Work {
    /// Its jobs' name, the same for all contenders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => Nothing::NAME,
            Self::Compute => Compute::NAME,
            Self::Ask => Ask::NAME,
        }
    }

    /// One of its jobs, due now.
    ///
    /// # Errors
    /// When its payload can't be written.
    pub fn job(self, now: DateTime<Utc>) -> serde_json::Result<NewJob> {
        match self {
            Self::Nothing => NewJob::new(&Nothing {}, now),
            Self::Compute => NewJob::new(&Compute {}, now),
            Self::Ask => NewJob::new(&Ask {}, now),
        }
    }
}

/// What [`Compute`] does.
pub fn compute() {
    black_box(Sha256::digest(black_box(BLOCK)));
}

/// What [`Ask`] does, on connections that are kept.
#[derive(Debug, Clone)]
pub struct Asker {
    provider: SocketAddr,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Asker {
    /// Of this provider.
    pub fn new(provider: SocketAddr) -> Self {
        Self { provider, idle: Arc::default() }
    }

    /// Asks once.
    ///
    /// # Errors
    /// When the provider is gone.
    pub async fn ask(&self) -> Result<()> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(self.provider).await?,
        };
        connection.exchange(&request("GET", "/", None, None)).await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(())
    }
}

/// Starts a provider in this process; says where it listens.
///
/// # Errors
/// When there is no port.
pub async fn provider() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A connection ends with its client.
            tokio::spawn(answer(stream));
        }
    });
    Ok(address)
}

/// Answers one request after the other; none has a body.
async fn answer(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        while http::find(&buffer, b"\r\n\r\n").is_none() {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        buffer.clear();
        tokio::time::sleep(ANSWERS_AFTER).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK").await?;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_provider_takes_its_time_and_a_connection_is_kept() {
        let asker = Asker::new(provider().await.unwrap());
        let began = Instant::now();
        asker.ask().await.unwrap();
        asker.ask().await.unwrap();
        assert!(began.elapsed() >= 2 * ANSWERS_AFTER);
        assert_eq!(asker.idle.lock().unwrap().len(), 1);
    }
}
