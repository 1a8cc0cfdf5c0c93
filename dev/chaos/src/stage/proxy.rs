//! A TCP proxy between one process and one server, on which the network can fail.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::sleep,
};

const BUFFER: usize = 16 * 1024;

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Bytes pass.
    Clear,
    /// Each piece of data takes this much longer.
    Slow(Duration),
    /// Nothing passes, and nobody is told.
    Hole,
}

#[derive(Debug, Clone, Copy)]
struct Condition {
    weather: Weather,
    /// Connections of an earlier era are gone.
    era: u64,
    /// Where new connections lead.
    server: SocketAddr,
}

/// A running proxy; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    condition: watch::Sender<Condition>,
}

impl Proxy {
    /// Listens on a free port, on the way to `server`.
    pub(crate) async fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (condition, seen) = watch::channel(Condition { weather: Weather::Clear, era: 0, server });
        tokio::spawn(accept(listener, seen));
        Ok(Self { port, condition })
    }

    /// Where its process connects to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Leads new connections elsewhere.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        self.condition.send_modify(|condition| condition.server = server);
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        self.condition.send_modify(|condition| condition.era += 1);
    }

    /// Changes the weather. What a hole swallowed can't be made up for: its connections end with it.
    pub(crate) fn turn(&self, weather: Weather) {
        self.condition.send_modify(|condition| {
            if condition.weather == Weather::Hole {
                condition.era += 1;
            }
            condition.weather = weather;
        });
    }
}

async fn accept(listener: TcpListener, condition: watch::Receiver<Condition>) {
    loop {
        let mut ended = condition.clone();
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    tokio::spawn(carry(client, condition.clone()));
                }
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
            () = closed(&mut ended) => return,
        }
    }
}

/// Waits until the proxy is dropped.
async fn closed(condition: &mut watch::Receiver<Condition>) {
    while condition.changed().await.is_ok() {}
}

/// One connection, for as long as its era lasts.
async fn carry(mut client: TcpStream, mut condition: watch::Receiver<Condition>) {
    let Condition { era, server, .. } = *condition.borrow();
    let mut passing = condition.clone();
    let both_ways = async {
        if passing.wait_for(|now| now.weather != Weather::Hole).await.is_err() {
            return;
        }
        let Ok(mut upstream) = TcpStream::connect(server).await else { return };
        let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = upstream.split();
        tokio::select! {
            () = pass(from_client, to_server, passing.clone()) => {}
            () = pass(from_server, to_client, passing.clone()) => {}
        }
    };
    tokio::select! {
        () = both_ways => {}
        _ = condition.wait_for(|now| now.era != era) => {}
    }
}

/// One direction, until either end closes.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut condition: watch::Receiver<Condition>,
) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        let Ok(now) = condition.wait_for(|now| now.weather != Weather::Hole).await.map(|now| now.weather) else {
            return;
        };
        if let Weather::Slow(delay) = now {
            sleep(delay).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// A server that says everything back.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        address
    }

    async fn hears(stream: &mut TcpStream, within: Duration) -> Option<usize> {
        let mut buffer = [0; 5];
        timeout(within, stream.read(&mut buffer)).await.ok().map(|read| read.unwrap_or(0))
    }

    #[tokio::test]
    async fn bytes_pass_wait_vanish_and_connections_end() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let connect = async || TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        let long = Duration::from_secs(5);

        let mut stream = connect().await;
        stream.write_all(b"hello").await.unwrap();
        assert_eq!(hears(&mut stream, long).await, Some(5));

        proxy.turn(Weather::Slow(Duration::from_millis(100)));
        let began = tokio::time::Instant::now();
        stream.write_all(b"hello").await.unwrap();
        assert_eq!(hears(&mut stream, long).await, Some(5));
        assert!(began.elapsed() >= Duration::from_millis(200), "there and back: {:?}", began.elapsed());

        proxy.turn(Weather::Hole);
        stream.write_all(b"hello").await.unwrap();
        let mut late = connect().await;
        late.write_all(b"hello").await.unwrap();
        assert_eq!(hears(&mut stream, Duration::from_millis(200)).await, None, "nobody is told");
        proxy.turn(Weather::Clear);
        assert_eq!(hears(&mut stream, long).await, Some(0), "what was in the hole ends");
        assert_eq!(hears(&mut late, long).await, Some(0));

        let mut stream = connect().await;
        stream.write_all(b"hello").await.unwrap();
        assert_eq!(hears(&mut stream, long).await, Some(5));
        proxy.cut();
        assert_eq!(hears(&mut stream, long).await, Some(0));
    }
}
