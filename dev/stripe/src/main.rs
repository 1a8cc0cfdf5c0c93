//! `humanchat-stripe`: the simulator as a process of its own, which outlives its clients.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use clap::Parser;
use humanchat_stripe::{Endpoint, Options, spawn};
use tokio::signal::unix::{SignalKind, signal};

/// A local server that behaves like Stripe's API
///
/// Point a client at the printed address, with any key that begins with `sk_test_`. Open the address in a
/// browser to pay what waits to be paid. `/_sim/state` shows everything.
#[derive(Parser)]
struct Cli {
    /// Where to listen; port 0 is any free one
    #[arg(long, default_value = "127.0.0.1:0")]
    bind: SocketAddr,
    /// Sends events here; may be given several times
    #[arg(long, value_name = "URL")]
    webhook: Vec<String>,
    /// Signs events with this secret; given twice, with both
    #[arg(long, value_name = "WHSEC")]
    webhook_secret: Vec<String>,
    /// Makes the same ids each time
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Cli { bind, webhook, webhook_secret, seed } = Cli::parse();
    ensure!(webhook.is_empty() || !webhook_secret.is_empty(), "--webhook needs a --webhook-secret");
    let webhooks = webhook.into_iter().map(|url| Endpoint { url, secrets: webhook_secret.clone() }).collect();
    let running = spawn(Options { bind, webhooks, seed }).await?;
    println!("Stripe simulator on {}", running.base_url);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        () = running.wait() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
