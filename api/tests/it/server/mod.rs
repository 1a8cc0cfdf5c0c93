//! The server: what it makes of bytes that are hardly HTTP, of clients that take their time, and of crowds.

mod crowds;
mod http;
mod load;
mod odd_heads;
mod pace;

use std::time::Duration;

use humanchat_api::server::{Caps, Timeouts};
use humanchat_domain::{
    clock::Clock,
    testing::{TestDatabase, noon},
};
use tokio::net::TcpListener;

use crate::support::{Api, Bounds, api_at};

/// A request that is answered with 200.
const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";

/// A server in a hurry.
const HURRIED: Timeouts = Timeouts {
    head: Duration::from_millis(600),
    body: Duration::from_millis(1200),
    body_pause: Duration::from_millis(600),
    write: Duration::from_millis(600),
    keep_alive: Duration::from_millis(1500),
    linger: Duration::from_millis(200),
};

/// An api that puts up with this much.
async fn bounded(timeouts: Timeouts, caps: Caps, settings: &[(&str, &str)]) -> Api {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    bounded_at(listener, timeouts, caps, settings).await
}

async fn bounded_at(listener: TcpListener, timeouts: Timeouts, caps: Caps, settings: &[(&str, &str)]) -> Api {
    let database = TestDatabase::create().await;
    api_at(listener, &database, Clock::manual(noon()), settings, Bounds { timeouts, caps, ..Bounds::default() }).await
}

/// How much memory a process has, in KiB.
fn memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
