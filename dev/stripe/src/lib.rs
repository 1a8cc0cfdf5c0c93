//! A local server that behaves like Stripe's API, as far as a product with manual capture needs it: for
//! development, and for tests on a free port.
//!
//! `world` is a state machine of Stripe's objects, `api` the functions of its API on it, with idempotency
//! keys and faults on demand; `http` puts both on the network, with the pages on which people pay and
//! `/_sim/…`, which steers the simulator (`http/control.rs` lists its routes).

// Stripe's objects have many fields, each a step of `json!`.
#![recursion_limit = "256"]

mod api;
mod http;
mod outbox;
mod simulator;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use self::outbox::Endpoint;
use self::simulator::Shared;

/// How a simulator starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 is any free one.
    pub bind: SocketAddr,
    /// Where events are sent.
    pub webhooks: Vec<Endpoint>,
    /// The same seed gives the same ids; without one each start has its own.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { bind: SocketAddr::from(([127, 0, 0, 1], 0)), webhooks: Vec::new(), seed: None }
    }
}

/// A running simulator; it ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// `http://127.0.0.1:PORT`
    pub base_url: String,
    tasks: JoinSet<()>,
}

impl Running {
    /// Waits until it ends, which it doesn't by itself.
    pub async fn wait(mut self) {
        self.tasks.join_next().await;
    }
}

/// Starts a simulator in this process.
///
/// # Errors
///
/// When it can't listen.
pub async fn spawn(options: Options) -> Result<Running> {
    // Fails when the process has chosen a provider before: then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    let listener =
        TcpListener::bind(options.bind).await.with_context(|| format!("cannot listen on {}", options.bind))?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let seed = options.seed.unwrap_or_else(rand::random);
    let shared = Arc::new(Shared::new(seed, base_url.clone(), options.webhooks));

    let mut tasks = JoinSet::new();
    tasks.spawn(http::connection::serve(listener, http::router(Arc::clone(&shared))));
    tasks.spawn(http::webhooks::deliver(shared, client));
    Ok(Running { base_url, tasks })
}
