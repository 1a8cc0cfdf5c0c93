//! What is measured of a server with listeners.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::server::Server;
use crate::{
    http::Connection,
    measure::{count, median},
};

/// How many connections send when there is always a message to send.
const SENDERS: usize = 32;
/// How many messages may then be sent that not everybody has heard.
const UNDER_WAY: usize = 64;

impl Server {
    /// From just before a message is sent to when the last listener has it, in milliseconds: of that many
    /// messages, one after the other.
    ///
    /// # Errors
    /// When somebody doesn't get one.
    pub async fn times_to_last(&self, request: &[u8], messages: usize, every: Duration) -> Result<Vec<f64>> {
        let mut connection = Connection::open(self.address).await?;
        let mut pace = interval(every.max(Duration::from_millis(1)));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut millis = Vec::with_capacity(messages);
        for _ in 0..messages {
            pace.tick().await;
            let told = self.swarm.watch(self.swarm.heard() + self.swarm.len() as u64);
            let sent = Instant::now();
            connection.exchange(request).await?;
            millis.push((told.reached().await? - sent).as_secs_f64() * 1000.0);
        }
        Ok(millis)
    }

    /// The usual time to the last of so many listeners, in milliseconds.
    ///
    /// # Errors
    /// When somebody doesn't get a message.
    pub async fn time_to_last_of(&mut self, listeners: usize, messages: usize) -> Result<f64> {
        self.swarm.grow_to(listeners).await?;
        Ok(median(&self.times_to_last(&self.tell, messages, Duration::from_millis(100)).await?))
    }

    /// Deliveries a second while there is always a message to send, and the server's CPU time for each in
    /// microseconds.
    ///
    /// # Errors
    /// When somebody doesn't get a message.
    pub async fn throughput(&self, lasting: Duration) -> Result<(f64, f64)> {
        let (before, listeners) = (self.swarm.heard(), self.swarm.len() as u64);
        let may_send = Arc::new(Semaphore::new(UNDER_WAY));
        let cpu = self.program.cpu()?;
        let begin = Instant::now();
        let mut senders = JoinSet::new();
        for _ in 0..SENDERS {
            let mut connection = Connection::open(self.address).await?;
            let (may_send, tell) = (Arc::clone(&may_send), self.tell.clone());
            senders.spawn(async move {
                let mut sent = 0;
                while begin.elapsed() < lasting {
                    may_send.acquire().await?.forget();
                    connection.exchange(&tell).await?;
                    sent += 1;
                }
                anyhow::Ok(sent)
            });
        }
        let mut heard = 0;
        let mut sent = 0;
        while !senders.is_empty() || heard < sent {
            tokio::select! {
                reached = self.swarm.watch(before + (heard + 1) * listeners).reached() => {
                    reached?;
                    heard += 1;
                    may_send.add_permits(1);
                }
                Some(ended) = senders.join_next() => sent += ended.context("a sender's task failed")??,
            }
        }
        let elapsed = begin.elapsed().as_secs_f64();
        let deliveries = count(usize::try_from(sent * listeners)?);
        let cpu = self.program.cpu()?.saturating_sub(cpu);
        Ok((deliveries / elapsed, cpu.as_secs_f64() * 1e6 / deliveries))
    }

    /// Lets bystanders in until there are so many; returns how many entered in a second.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn let_in(&mut self, bystanders: usize) -> Result<f64> {
        let (begin, before) = (Instant::now(), self.bystanders.len());
        self.bystanders.grow_to(bystanders).await?;
        Ok(count(bystanders - before) / begin.elapsed().as_secs_f64())
    }
}
