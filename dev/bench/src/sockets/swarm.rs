//! Many listeners of one room: they connect, say what gets them in, and count what they hear.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    task::JoinSet,
    time::timeout,
};

use super::frames::{self, Frames, Kind};

/// How many connect at a time.
const AT_ONCE: usize = 64;
/// How long anything may take before the measurement gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to get in, and what to make of what is heard.
#[derive(Debug)]
pub struct Protocol {
    /// Where sockets are.
    pub address: SocketAddr,
    /// Path and query, one for each listener in turn.
    pub paths: Vec<String>,
    /// What a listener says, once it has heard what begins with the first, and then the second, and so on.
    pub hello: Vec<(&'static str, Option<String>)>,
    /// How a message of the room begins.
    pub message: &'static str,
    /// A text that asks for another: "are you there?".
    pub heartbeat: Option<(&'static str, &'static str)>,
}

/// What the listeners have heard together.
#[derive(Debug)]
struct Tally {
    begin: Instant,
    heard: AtomicU64,
    /// Who waits for how much.
    goal: AtomicU64,
    /// When it was reached, in nanoseconds since the beginning; 0: not yet.
    reached: AtomicU64,
    bell: Notify,
}

impl Tally {
    fn add(&self, count: u64) {
        let before = self.heard.fetch_add(count, Ordering::SeqCst);
        let goal = self.goal.load(Ordering::SeqCst);
        if before < goal && before + count >= goal {
            let nanos = u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.reached.store(nanos, Ordering::SeqCst);
            self.bell.notify_one();
        }
    }
}

/// Listeners; dropping it ends them.
#[derive(Debug)]
pub struct Swarm {
    protocol: Arc<Protocol>,
    tally: Arc<Tally>,
    listeners: JoinSet<Result<()>>,
}

impl Swarm {
    /// Nobody yet.
    pub fn new(protocol: Protocol) -> Self {
        let tally = Tally {
            begin: Instant::now(),
            heard: AtomicU64::new(0),
            goal: AtomicU64::new(u64::MAX),
            reached: AtomicU64::new(0),
            bell: Notify::new(),
        };
        Self { protocol: Arc::new(protocol), tally: Arc::new(tally), listeners: JoinSet::new() }
    }

    /// How many listen.
    pub fn len(&self) -> usize {
        self.listeners.len()
    }

    /// Lets more in, until so many listen.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn grow_to(&mut self, count: usize) -> Result<()> {
        let newcomers = stream::iter(self.len()..count).map(|number| enter(Arc::clone(&self.protocol), number));
        let entered: Vec<_> = newcomers.buffer_unordered(AT_ONCE).try_collect().await?;
        for (stream, frames) in entered {
            self.listeners.spawn(listen(stream, frames, Arc::clone(&self.protocol), Arc::clone(&self.tally)));
        }
        Ok(())
    }

    /// How many messages were heard until now, by everybody together.
    pub fn heard(&self) -> u64 {
        self.tally.heard.load(Ordering::SeqCst)
    }

    /// Begins to watch for the moment when `total` messages will have been heard. One at a time.
    pub fn watch(&self, total: u64) -> Watch<'_> {
        self.tally.reached.store(0, Ordering::SeqCst);
        self.tally.goal.store(total, Ordering::SeqCst);
        Watch { swarm: self, total }
    }
}

/// A moment that is waited for.
#[derive(Debug)]
pub struct Watch<'a> {
    swarm: &'a Swarm,
    total: u64,
}

impl Watch<'_> {
    /// Waits for the moment; returns when it was, or, where it had been before the watch began, now.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn reached(self) -> Result<Instant> {
        let tally = &self.swarm.tally;
        let wait = async {
            while tally.heard.load(Ordering::SeqCst) < self.total {
                tally.bell.notified().await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            bail!("heard {} of {} messages in {PATIENCE:?}", self.swarm.heard(), self.total);
        }
        Ok(match tally.reached.load(Ordering::SeqCst) {
            0 => Instant::now(),
            nanos => tally.begin + Duration::from_nanos(nanos),
        })
    }
}

/// Connects and says hello.
async fn enter(protocol: Arc<Protocol>, number: usize) -> Result<(TcpStream, Frames)> {
    let entering = async {
        let path = &protocol.paths[number % protocol.paths.len()];
        let mut stream = frames::open(protocol.address, path).await?;
        let mut frames = Frames::default();
        let mut waiting = protocol.hello.iter();
        let mut expected = waiting.next();
        let mut buffer = [0; 1024];
        while expected.is_some() {
            let read = stream.read(&mut buffer).await?;
            ensure!(read > 0, "the server hung up");
            let (mut said, mut odd) = (Vec::new(), None);
            frames.feed(&buffer[..read], |_, start| match expected {
                Some((text, answer)) if start.starts_with(text.as_bytes()) => {
                    said.extend(answer.as_deref().map(frames::text).unwrap_or_default());
                    expected = waiting.next();
                }
                _ => odd = Some(String::from_utf8_lossy(start).into_owned()),
            });
            if let Some(odd) = odd {
                bail!("heard {odd} while entering");
            }
            stream.write_all(&said).await?;
        }
        Ok((stream, frames))
    };
    timeout(PATIENCE, entering).await.context("it took too long")?.with_context(|| format!("listener {number}"))
}

async fn listen(stream: TcpStream, mut frames: Frames, protocol: Arc<Protocol>, tally: Arc<Tally>) -> Result<()> {
    loop {
        stream.readable().await?;
        let answer = match read(&stream, &mut frames, &protocol, &tally) {
            Ok(answer) => answer,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        };
        if let Some(answer) = answer {
            // A few bytes into an empty buffer: they fit.
            stream.writable().await?;
            stream.try_write(&answer)?;
        }
    }
}

/// Reads what there is; returns what it asks to be said. Apart, so that the buffer isn't part of ten
/// thousand waiting tasks.
fn read(
    stream: &TcpStream,
    frames: &mut Frames,
    protocol: &Protocol,
    tally: &Tally,
) -> std::io::Result<Option<Vec<u8>>> {
    let mut buffer = [0; 16 * 1024];
    let read = stream.try_read(&mut buffer)?;
    if read == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let (mut heard, mut answer) = (0, None);
    frames.feed(&buffer[..read], |kind, start| match kind {
        Kind::Text if start.starts_with(protocol.message.as_bytes()) => heard += 1,
        Kind::Text => {
            let asked = protocol.heartbeat.filter(|(question, _)| start == question.as_bytes());
            answer = asked.map(|(_, word)| frames::text(word)).or(answer.take());
        }
        Kind::Ping => answer = Some(frames::PONG.to_vec()),
        Kind::Close | Kind::Other => {}
    });
    if heard > 0 {
        tally.add(heard);
    }
    Ok(answer)
}
