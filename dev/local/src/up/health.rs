//! Asking an api process whether it is ready, with the little HTTP that takes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::say;

const POLL: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(5);
const REMINDER: Duration = Duration::from_secs(20);

/// Waits until `GET /health/ready` answers 200, however long that takes, and says so now and then.
pub(crate) async fn wait_ready(address: SocketAddr) {
    let mut reminder = Instant::now() + REMINDER;
    loop {
        let problem = match timeout(PATIENCE, ready(address)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() > reminder {
            say::line(&format!("still waiting for http://{address}/health/ready: {problem}"));
            reminder = Instant::now() + REMINDER;
        }
        sleep(POLL).await;
    }
}

async fn ready(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address).await.context("cannot connect")?;
    let request = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    if answer.split_whitespace().nth(1) != Some("200") {
        bail!("{}", answer.lines().next().unwrap_or("empty answer"));
    }
    Ok(())
}
