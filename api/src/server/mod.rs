//! The server: takes connections, serves HTTP/1 and HTTP/2 (without TLS) on them, and defends both.
//!
//! [`gate`] stands between a connection and the HTTP library and [`head`] looks at what it reads; [`connection`] joins
//! library and routes; [`body`] bounds how long bodies take; [`census`] counts who is connected; [`refusal`] turns away
//! whom there is no place for; [`files`] asks the system for room. Nothing here knows a route.

mod body;
mod census;
mod connection;
mod files;
mod gate;
mod head;
mod refusal;
mod traffic;

use std::{io, time::Duration};

use axum::Router;
use humanchat_domain::config::Settings;
use tokio::{net::TcpListener, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use census::Caps;
pub(crate) use {body::BodyTimedOut, head::Fault};

use census::Census;
use connection::Connection;
use refusal::Porter;

/// How long clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a head, from its first byte; and on a new connection, for the first to begin.
    pub head: Duration,
    /// For a body.
    pub body: Duration,
    /// Between two parts of a body.
    pub body_pause: Duration,
    /// To take anything of what they are sent.
    pub write: Duration,
    /// Between two requests: longer than proxies keep their connections, so that it is they who hang up.
    pub keep_alive: Duration,
    /// To hang up themselves after the last answer.
    pub linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            body_pause: Duration::from_secs(10),
            write: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            linger: Duration::from_secs(1),
        }
    }
}

/// How long to wait when no connection could be taken.
const PAUSE: Duration = Duration::from_millis(100);
/// Open files that aren't clients': listener, Redis, logs, the runtime's own, those being turned away.
const OTHER_FILES: usize = 256;

impl Caps {
    /// The caps that were set, as far as the system has room; its limit is raised first.
    pub fn new(settings: &Settings) -> Self {
        let or_none = |cap: u32| if cap == 0 { usize::MAX } else { cap as usize };
        let wanted = or_none(settings.max_connections);
        let files = files::raise_limit();
        let room = files.saturating_sub(OTHER_FILES + settings.database_pool as usize).max(1);
        if wanted > room {
            tracing::info!(connections = room, files, "the limit of open files caps the connections");
        }
        Self {
            total: wanted.min(room),
            per_ip: or_none(settings.max_connections_per_ip),
            proxies: settings.trusted_proxies.clone(),
        }
    }
}

/// An application and what bounds its clients.
#[derive(Debug)]
pub struct Server {
    /// What is served.
    pub router: Router,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// How many may be connected.
    pub caps: Caps,
}

impl Server {
    /// Serves whoever connects, until told to stop; then ends when the last request has.
    pub async fn serve(self, listener: TcpListener, stopping: CancellationToken) {
        let census = Census::new(self.caps);
        let porter = Porter::new(self.timeouts.linger);
        let connections = TaskTracker::new();
        while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    recover(&error).await;
                    continue;
                }
            };
            // Only fails for a connection that is gone already.
            stream.set_nodelay(true).ok();
            match census.admit(peer.ip()) {
                Some(seat) => {
                    let connection = Connection { router: self.router.clone(), peer, timeouts: self.timeouts, seat };
                    connections.spawn(connection.serve(stream, stopping.clone()));
                }
                None => porter.turn_away(stream),
            }
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }
}

/// A client that gave up is no reason to wait. Anything else, like having no file left, lasts for a while.
async fn recover(error: &io::Error) {
    use io::ErrorKind as Kind;
    if matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused) {
        return;
    }
    tracing::warn!(%error, "no connection could be taken");
    sleep(PAUSE).await;
}
