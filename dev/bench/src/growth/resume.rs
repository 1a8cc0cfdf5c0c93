//! A socket that comes back and is told what it missed.

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::seed::{Place, Target};
use crate::sockets::frames::{self, Frames, Kind};

/// How many events are missed.
pub const MISSED: i64 = 100;

/// How long a new socket of a conversation's takes from asking for what it missed to the last of it, in
/// milliseconds. Opening it doesn't count.
///
/// # Errors
/// When the socket is refused, or isn't told everything.
pub async fn resume(place: &Place, target: &Target) -> Result<f64> {
    let token = &place.callers[target.caller].token;
    let mut stream = frames::open(place.api.address, &format!("/ws?token={token}")).await?;
    let mut frames = Frames::default();
    hear(&mut stream, &mut frames, r#"{"type":"ready""#, 1).await?;
    let after = target.size - MISSED;
    let channel = format!("conversation:{}", target.id);
    let subscribe = frames::text(&json!({"type": "subscribe", "channel": channel, "after": after}).to_string());
    let asked = Instant::now();
    stream.write_all(&subscribe).await?;
    hear(&mut stream, &mut frames, r#"{"type":"message.created"#, usize::try_from(MISSED)?).await?;
    Ok(asked.elapsed().as_secs_f64() * 1e3)
}

/// Reads until so many texts that begin so were there.
async fn hear(stream: &mut TcpStream, frames: &mut Frames, beginning: &str, count: usize) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let (mut heard, mut refused) = (0, None);
    while heard < count {
        let read = stream.read(&mut buffer).await?;
        ensure!(read > 0, "the server hung up");
        frames.feed(&buffer[..read], |kind, start| match kind {
            Kind::Text if start.starts_with(beginning.as_bytes()) => heard += 1,
            Kind::Text if start.starts_with(br#"{"type":"error""#) => {
                refused = Some(String::from_utf8_lossy(start).into_owned());
            }
            _ => {}
        });
        if let Some(refused) = refused {
            bail!("heard {refused}");
        }
    }
    ensure!(heard == count, "heard {heard} of {count} {beginning}");
    Ok(())
}
