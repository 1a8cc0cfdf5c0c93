//! What sockets are held to. Only tests know others than the default.

use std::time::Duration;

/// What sockets are held to.
#[derive(Debug, Clone, Copy)]
pub struct SocketLimits {
    /// Sockets that are being opened at the same time, in the order in which they came.
    pub opening: usize,
    /// Requests that may wait for their socket to be opened.
    pub line: usize,
    /// How long one of them may wait.
    pub longest_wait: Duration,
    /// How often a client is asked whether it is there.
    pub ping_every: Duration,
    /// How long nothing may be heard of it.
    pub silence: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            opening: 256,
            line: 10_000,
            longest_wait: Duration::from_secs(10),
            ping_every: Duration::from_secs(25),
            silence: Duration::from_mins(1),
        }
    }
}
