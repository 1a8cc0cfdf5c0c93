//! A stand-in for the model that speaks its protocol: it answers at once, but to those who ask it to be slow.

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Duration, timeout},
};

use crate::http::{content_length, find};

/// What the model says.
pub const ANSWER: &str = "Here I am.";
/// A question that is answered when the measurement says so.
pub const SLOW: &str = "Take your time.";
const PATIENCE: Duration = Duration::from_secs(20);

/// How the slow ones stand.
#[derive(Debug, Clone, Copy, Default)]
struct Slow {
    waiting: usize,
    /// Grows whenever they may go on.
    released: usize,
}

/// The server.
pub struct Model {
    url: String,
    slow: watch::Sender<Slow>,
}

impl Model {
    /// Starts it on a port of its own.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (slow, _) = watch::channel(Slow::default());
        let state = slow.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A connection ends with its client.
                tokio::spawn(serve(stream, state.clone()));
            }
        });
        Ok(Self { url, slow })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until so many wait for it.
    ///
    /// # Errors
    /// When they don't come.
    pub async fn keeps_waiting(&self, count: usize) -> Result<()> {
        let mut slow = self.slow.subscribe();
        let come = slow.wait_for(|slow| slow.waiting >= count);
        timeout(PATIENCE, come).await.with_context(|| format!("{count} questions did not come"))??;
        Ok(())
    }

    /// Answers all who wait.
    pub fn goes_on(&self) {
        self.slow.send_modify(|slow| *slow = Slow { waiting: 0, released: slow.released + 1 });
    }
}

async fn serve(mut stream: TcpStream, slow: watch::Sender<Slow>) -> Result<()> {
    stream.set_nodelay(true)?;
    let answer = answer();
    let mut buffer = Vec::new();
    loop {
        let (body, end) = loop {
            if let Some(at) = find(&buffer, b"\r\n\r\n") {
                let body = at + 4;
                break (body, body + content_length(&buffer[..body])?);
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        while buffer.len() < end {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        // The question is the last of what was said.
        let body = &buffer[body..end];
        let is_slow = body.windows(SLOW.len()).any(|words| words == SLOW.as_bytes());
        buffer.drain(..end);
        if is_slow {
            let mut state = slow.subscribe();
            let before = state.borrow().released;
            slow.send_modify(|slow| slow.waiting += 1);
            state.wait_for(|slow| slow.released > before).await?;
        }
        stream.write_all(&answer).await?;
    }
}

fn answer() -> Vec<u8> {
    let text = json!({"text": ANSWER, "actions": []}).to_string();
    let chunk = json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 10},
    });
    let body = format!("data: {chunk}\r\n\r\n");
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}
