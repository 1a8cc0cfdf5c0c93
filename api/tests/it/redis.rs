//! A Redis of a test's own.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use humanchat_local::{
    redis::{Redis, RedisOptions},
    scratch::Scratch,
};

/// A Redis that a test may stop.
pub struct PrivateRedis {
    pub server: Redis,
    _scratch: Scratch,
}

impl PrivateRedis {
    pub fn start() -> Self {
        let scratch = Scratch::create().unwrap();
        let server = Redis::start(RedisOptions { dir: scratch.redis(), install: false }).unwrap();
        Self { server, _scratch: scratch }
    }

    /// Gives a command; returns the raw answers to it and what goes with it.
    pub fn tell(&self, command: &str) -> String {
        let url = url::Url::parse(&self.server.url()).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", self.server.port())).unwrap();
        write!(stream, "AUTH {}\r\n{command}\r\nQUIT\r\n", url.password().unwrap()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(!answer.contains("-ERR"), "{answer}");
        answer
    }

    /// The channels that api processes listen to.
    pub fn channels(&self) -> Vec<String> {
        let answer = self.tell("PUBSUB CHANNELS hc:*");
        answer.lines().filter(|line| line.starts_with("hc:")).map(ToOwned::to_owned).collect()
    }
}
