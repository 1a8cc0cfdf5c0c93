//! Requests that no well-behaved client would send, byte by byte.

use reqwest::{
    StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Answer, Api, PATIENCE, Person};

/// A connection on which a request is being written.
pub struct Wire(TcpStream);

impl Wire {
    pub async fn open(api: &Api) -> Self {
        Self(TcpStream::connect(api.address).await.unwrap())
    }

    /// Writes as much as the server still takes.
    pub async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.ok();
    }

    /// The answer, read until the server closes.
    pub async fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        // A server that refused early may reset the connection after its answer.
        timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await.expect("an answer in time").ok();
        parse(&String::from_utf8(bytes).unwrap())
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
