//! A keep-alive HTTP/1.1 connection that costs little: it writes a request that was prepared before and
//! reads the answer to its end. For load, and for the few calls that set a measurement up.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// An answer larger than this is a mistake in the measurement.
const LARGEST: usize = 256 * 1024;

/// One connection; one request at a time.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; LARGEST] })
    }

    /// Sends a request; returns the body of its answer.
    ///
    /// # Errors
    /// Also when the answer's status isn't 2xx.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await?;
        let mut have = 0;
        let (body, end) = loop {
            let read = self.stream.read(&mut self.buffer[have..]).await?;
            ensure!(read > 0, "the connection ended before the answer, or the answer is too large");
            let seen = have.saturating_sub(3);
            have += read;
            if let Some(at) = find(&self.buffer[seen..have], b"\r\n\r\n") {
                let body = seen + at + 4;
                break (body, body + content_length(&self.buffer[..body])?);
            }
        };
        ensure!(end <= LARGEST, "the answer is too large");
        while have < end {
            let read = self.stream.read(&mut self.buffer[have..end]).await?;
            ensure!(read > 0, "the connection ended within the answer");
            have += read;
        }
        if !self.buffer.starts_with(b"HTTP/1.1 2") {
            bail!("not a success: {}", String::from_utf8_lossy(&self.buffer[..end]));
        }
        Ok(&self.buffer[body..end])
    }

    /// Sends a request whose answer is JSON.
    ///
    /// # Errors
    /// Also when the answer's status isn't 2xx.
    pub async fn json(&mut self, request: &[u8]) -> Result<Value> {
        Ok(serde_json::from_slice(self.exchange(request).await?)?)
    }
}

/// A request's bytes; `token` and `body` where it has any.
pub fn request(method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Vec<u8> {
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let body = body.map(Value::to_string);
    let framing = body
        .as_ref()
        .map(|body| format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()))
        .unwrap_or_default();
    let body = body.unwrap_or_default();
    format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{token}{framing}\r\n{body}").into_bytes()
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

pub(crate) fn content_length(head: &[u8]) -> Result<usize> {
    const NAME: &[u8] = b"content-length:";
    head.split(|byte| *byte == b'\n')
        .find_map(|line| {
            line.get(..NAME.len()).filter(|name| name.eq_ignore_ascii_case(NAME)).map(|_| &line[NAME.len()..])
        })
        .and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok())
        .context("the answer has no Content-Length")
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request after another with these bytes, split where they are.
    async fn server(answers: Vec<Vec<&'static str>>) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            for parts in answers {
                assert!(stream.read(&mut [0; 1000]).await.unwrap() > 0);
                for part in parts {
                    stream.write_all(part.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        Connection::open(address).await.unwrap()
    }

    #[tokio::test]
    async fn answers_are_read_to_their_end_however_they_come() {
        let mut connection = server(vec![
            vec!["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"],
            vec!["HTTP/1.1 201 Created\r\ncontent-length: 7\r", "\n\r", "\n{\"a", "\":1}"],
            vec!["HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"],
        ])
        .await;
        let get = request("GET", "/", None, None);
        assert_eq!(connection.exchange(&get).await.unwrap(), b"{}");
        assert_eq!(connection.json(&get).await.unwrap()["a"], 1);
        assert!(connection.exchange(&get).await.is_err());
    }
}
