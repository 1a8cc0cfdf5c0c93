//! Load on the api: connections that ask again as soon as they were answered.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;

use crate::{
    http::Connection,
    measure::{count, percentile},
};

/// New connections, statements nobody has prepared, cold caches: what is answered in the first second of a
/// run doesn't count.
pub const LEAD_IN: Duration = Duration::from_secs(1);

/// What a stretch of load came to.
#[derive(Debug)]
pub struct Load {
    /// How long it was, the lead-in left out.
    pub elapsed: Duration,
    /// How long each request took that was answered behind the lead-in, in milliseconds.
    pub millis: Vec<f64>,
    /// How many requests there were in all.
    pub requests: usize,
}

impl Load {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        count(self.millis.len()) / self.elapsed.as_secs_f64()
    }

    /// The time within which this share of the requests was answered, in milliseconds.
    pub fn percentile(&self, share: f64) -> f64 {
        percentile(&self.millis, share)
    }
}

/// Sends `requests`, chosen at random, over that many connections for a while.
///
/// # Errors
/// When a connection fails or an answer isn't a success.
pub async fn run(
    address: SocketAddr,
    requests: &Arc<[Vec<u8>]>,
    connections: usize,
    lasting: Duration,
) -> Result<Load> {
    ensure!(!requests.is_empty(), "nothing to ask for");
    let begin = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..connections {
        let requests = Arc::clone(requests);
        running.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let (mut millis, mut early) = (Vec::with_capacity(100_000), 0);
            let mut asked = Instant::now();
            while asked - begin < LEAD_IN + lasting {
                let index = rand::random_range(0..requests.len());
                connection.exchange(&requests[index]).await?;
                let answered = Instant::now();
                if answered - begin < LEAD_IN {
                    early += 1;
                } else {
                    millis.push((answered - asked).as_secs_f64() * 1000.0);
                }
                asked = answered;
            }
            anyhow::Ok((millis, early))
        });
    }
    let (mut all, mut requests) = (Vec::new(), 0);
    while let Some(ended) = running.join_next().await {
        let (mut millis, early) = ended.context("a connection's task failed")??;
        requests += early + millis.len();
        all.append(&mut millis);
    }
    Ok(Load { elapsed: begin.elapsed().saturating_sub(LEAD_IN), millis: all, requests })
}
