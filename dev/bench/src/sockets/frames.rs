//! The least of WebSocket (RFC 6455) that a listener needs: getting in, where frames begin, and how each begins.
//!
//! Ten thousand listeners share the machine with the server they measure, so nothing is copied or decoded
//! but a frame's first bytes.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The handshake's key need not be secret or even differ.
const UPGRADE: &str = "host: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// An answer's head is never so long.
const LONGEST_HEAD: usize = 4096;

/// How much of a frame's payload is kept: enough to tell what it is.
const KEPT: usize = 24;

/// Instead of a length: it follows in two bytes.
const LENGTH_FOLLOWS: u8 = 0x7e;

/// Opens a socket.
///
/// # Errors
/// When it is refused, with what was said.
pub async fn open(address: SocketAddr, path: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\n{UPGRADE}").as_bytes()).await?;
    // Byte by byte: what follows belongs to the frames.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < LONGEST_HEAD, "no end of the head");
        head.push(stream.read_u8().await?);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101"), "not let in: {}", String::from_utf8_lossy(&head));
    Ok(stream)
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Something to answer with a pong.
    Ping,
    /// The end.
    Close,
    /// Anything else.
    Other,
}

/// Frames of a server, as their bytes come in.
#[derive(Debug, Default)]
pub struct Frames {
    /// The header as far as it has come.
    header: [u8; 10],
    header_len: usize,
    /// How much of the payload is still to come, once the header is complete.
    left: Option<u64>,
    start: [u8; KEPT],
    start_len: usize,
}

impl Frames {
    /// Takes in what was read; tells of each frame that is complete: its kind and how its payload begins.
    pub fn feed(&mut self, mut bytes: &[u8], mut frame: impl FnMut(Kind, &[u8])) {
        loop {
            while self.left.is_none() {
                let Some((byte, rest)) = bytes.split_first() else { return };
                self.header[self.header_len] = *byte;
                self.header_len += 1;
                bytes = rest;
                self.left = payload_len(&self.header[..self.header_len]);
            }
            let left = self.left.unwrap_or_default();
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let (payload, rest) = bytes.split_at(here);
            let kept = here.min(KEPT - self.start_len);
            self.start[self.start_len..self.start_len + kept].copy_from_slice(&payload[..kept]);
            self.start_len += kept;
            bytes = rest;
            let left = left - here as u64;
            if left > 0 {
                self.left = Some(left);
                return;
            }
            let kind = match self.header[0] & 0x0f {
                1 => Kind::Text,
                8 => Kind::Close,
                9 => Kind::Ping,
                _ => Kind::Other,
            };
            frame(kind, &self.start[..self.start_len]);
            (self.header_len, self.start_len, self.left) = (0, 0, None);
        }
    }
}

/// The payload's length, if the header is complete. Servers don't mask.
fn payload_len(header: &[u8]) -> Option<u64> {
    match (header.get(1)? & 0x7f, header.len()) {
        (short @ ..=125, _) => Some(short.into()),
        (LENGTH_FOLLOWS, 4) => Some(u16::from_be_bytes([header[2], header[3]]).into()),
        (127, 10) => header[2..].try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}

/// A client's text frame, masked with zeros, which leave it as it is. At most 65535 bytes.
pub fn text(payload: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    if let Ok(short @ ..=125) = u8::try_from(payload.len()) {
        frame.push(0x80 | short);
    } else {
        frame.push(0x80 | LENGTH_FOLLOWS);
        frame.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
    }
    frame.extend([0; 4]);
    frame.extend(payload.as_bytes());
    frame
}

/// A client's answer to a ping without a payload.
pub const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's frame.
    fn server(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match payload.len() {
            short @ ..=125 => frame.push(u8::try_from(short).unwrap()),
            middle @ ..=65_535 => {
                frame.push(126);
                frame.extend(u16::try_from(middle).unwrap().to_be_bytes());
            }
            long => {
                frame.push(127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    #[test]
    fn frames_are_told_apart_wherever_reads_end() {
        let long = vec![b'x'; 70_000];
        let all: Vec<u8> = [
            server(1, b"hello"),
            server(9, b""),
            server(1, &long[..300]),
            server(1, &long),
            server(2, b"binary"),
            server(8, &[3, 232]),
        ]
        .concat();
        for size in [1, 2, 3, 7, 100, 4096, all.len()] {
            let (mut frames, mut told) = (Frames::default(), Vec::new());
            for part in all.chunks(size) {
                frames.feed(part, |kind, start| told.push((kind, start.to_vec())));
            }
            let kept = long[..KEPT].to_vec();
            let expected = [
                (Kind::Text, b"hello".to_vec()),
                (Kind::Ping, Vec::new()),
                (Kind::Text, kept.clone()),
                (Kind::Text, kept),
                (Kind::Other, b"binary".to_vec()),
                (Kind::Close, vec![3, 232]),
            ];
            assert_eq!(told, expected, "read {size} bytes at a time");
        }
    }

    #[test]
    fn what_clients_say_is_masked() {
        assert_eq!(text("3"), [0x81, 0x81, 0, 0, 0, 0, b'3']);
        let long = "x".repeat(300);
        assert_eq!(text(&long)[..8], [0x81, 0xfe, 1, 44, 0, 0, 0, 0]);
        assert_eq!(text(&long).len(), 308);
    }
}
