//! Requests that no well-behaved client would send, byte by byte.

use std::net::SocketAddr;

use reqwest::{
    StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::support::{Answer, Api, PATIENCE, Person};

/// A connection on which requests are being written.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub async fn open(api: &Api) -> Self {
        Self::open_to(api.address).await
    }

    pub async fn open_to(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    /// A connection whose system takes little that the client doesn't read.
    pub async fn narrow(api: &Api) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self { stream: socket.connect(api.address).await.unwrap(), read: Vec::new() }
    }

    /// Writes as much as the server still takes.
    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.ok();
    }

    /// Says that no more will come.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.ok();
    }

    /// The next answer, on a connection that stays open.
    pub async fn next(&mut self) -> Answer {
        timeout(PATIENCE, async {
            loop {
                if let Some(answer) = self.take_answer() {
                    return answer;
                }
                let length = self.stream.read_buf(&mut self.read).await.unwrap_or_default();
                let shown = &self.read[..self.read.len().min(200)];
                assert!(length > 0, "no whole answer: {}", shown.escape_ascii());
            }
        })
        .await
        .expect("an answer in time")
    }

    fn take_answer(&mut self) -> Option<Answer> {
        let head = self.read.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let answer = parse(std::str::from_utf8(&self.read[..head]).unwrap());
        let length: usize =
            answer.headers.get("content-length").map_or(0, |length| length.to_str().unwrap().parse().unwrap());
        let body = self.read.get(head..head + length)?.to_vec();
        self.read.drain(..head + length);
        Some(Answer { text: String::from_utf8(body).unwrap(), ..answer })
    }

    /// What comes until the server closes.
    pub async fn rest(mut self) -> Vec<u8> {
        // A server that refused early may reset the connection after its answer.
        timeout(PATIENCE, self.stream.read_to_end(&mut self.read)).await.expect("an end in time").ok();
        self.read
    }

    /// The answer, read until the server closes.
    pub async fn answer(self) -> Answer {
        parse(&String::from_utf8(self.rest().await).unwrap())
    }
}

fn parse(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not an answer: {answer:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
    }
    Answer { status: StatusCode::try_from(status).unwrap(), headers, text: body.to_owned() }
}

/// The head of a request with a JSON body of `length`, or chunked without one.
pub fn head(person: &Person<'_>, method: &str, path: &str, length: Option<usize>) -> String {
    let framing =
        length.map_or_else(|| "Transfer-Encoding: chunked".to_owned(), |length| format!("Content-Length: {length}"));
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Connection: close\r\n{framing}\r\n",
        person.api.address, person.token
    )
}
