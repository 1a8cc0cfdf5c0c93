//! The gate before the HTTP library: what a connection's bytes pass on their way in and out.
//!
//! It hands the library one whole, sound head at a time. In place of any other it hands over one that stands for it,
//! whose request is answered like every other: with an id, in the envelope, after the answers to earlier ones. It
//! knows how long heads, quiet and unread answers may last. What comes after an upgrade is none of its business.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};
use tokio_util::io::poll_read_buf;

use super::{
    Timeouts,
    census::Seat,
    head::{self, Fault, Framing, MAX_HEAD, Refused},
    traffic::Traffic,
};

/// Stands for a head that was refused. Whatever comes after it is not read.
const STAND_IN: &[u8] = b"REFUSED / HTTP/1.1\r\nConnection: close\r\n\r\n";
/// How HTTP/2 begins.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How much is read at once.
const READ: usize = 2 * 1024;

/// What the bytes are that come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The head of the first request.
    FirstHead,
    /// The head of another.
    Head,
    /// So many bytes of a body.
    Body(u64),
    /// HTTP/2, chunks after which the connection ends, or what an upgrade led to.
    Anything,
    /// Of no interest: a head was refused.
    Nothing,
}

/// A client's connection.
#[derive(Debug)]
pub(super) struct Gate {
    io: Take<TcpStream>,
    traffic: Arc<Traffic>,
    timeouts: Timeouts,
    next: Next,
    /// A head on its way to the library.
    head: Bytes,
    /// What was read and not handed over.
    gathered: BytesMut,
    /// How much of that is known not to end a head.
    seen: usize,
    /// When the head that is being gathered began.
    head_began: Option<Instant>,
    quiet: Pin<Box<Sleep>>,
    stalled: Option<Pin<Box<Sleep>>>,
    lingering: Option<Pin<Box<Sleep>>>,
    _seat: Seat,
}

impl Gate {
    pub(super) fn new(stream: TcpStream, traffic: Arc<Traffic>, timeouts: Timeouts, seat: Seat) -> Self {
        Self {
            io: stream.take(0),
            traffic,
            timeouts,
            next: Next::FirstHead,
            head: Bytes::new(),
            gathered: BytesMut::new(),
            seen: 0,
            head_began: None,
            quiet: Box::pin(sleep(timeouts.head)),
            stalled: None,
            lingering: None,
            _seat: seat,
        }
    }

    /// Reads until there is a whole head, another to stand for it, or none to come.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.has_head() {
            let room = MAX_HEAD.saturating_sub(self.gathered.len());
            self.gathered.reserve(room.min(READ));
            self.io.set_limit(room as u64);
            match poll_read_buf(Pin::new(&mut self.io), cx, &mut self.gathered) {
                Poll::Ready(Ok(0)) => {
                    if !self.gathered.is_empty() {
                        self.refuse(Fault::Malformed("the request ended before its head did").into());
                    }
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(read) => drop(read?),
                Poll::Pending => {
                    let deadline = self.head_began.map(|began| began + self.timeouts.head);
                    ready!(self.poll_quiet(cx, deadline.or_else(|| self.traffic.deadline())));
                    if self.head_began.is_some() {
                        self.refuse(Fault::TimedOut.into());
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Looks for a head in what was gathered.
    fn has_head(&mut self) -> bool {
        // Some clients end a body with an empty line that isn't part of it.
        let blank = self.gathered.iter().take_while(|byte| b"\r\n".contains(byte)).count();
        self.gathered.advance(blank);
        if self.gathered.is_empty() {
            return false;
        }
        self.head_began.get_or_insert_with(Instant::now);
        self.traffic.set_arriving(true);
        let common = self.gathered.len().min(HTTP_2.len());
        if self.next == Next::FirstHead && self.gathered[..common] == HTTP_2[..common] {
            let is_whole = common == HTTP_2.len();
            if is_whole {
                self.next = Next::Anything;
                self.arrived();
            }
            return is_whole;
        }
        // A head ends with a line, and what isn't one shows at its beginning: bytes that trickle in need no other look.
        let seen = std::mem::replace(&mut self.seen, self.gathered.len());
        if seen > 0 && self.gathered.len() < MAX_HEAD && !self.gathered[seen..].contains(&b'\n') {
            return false;
        }
        match head::inspect(&self.gathered) {
            Ok(None) => return false,
            Ok(Some((length, framing))) => {
                self.head = self.gathered.split_to(length).freeze();
                self.next = match framing {
                    Framing::Length(length) => Next::Body(length),
                    Framing::Chunked => Next::Anything,
                };
                self.arrived();
            }
            Err(refused) => self.refuse(refused),
        }
        true
    }

    fn arrived(&mut self) {
        self.head_began = None;
        self.seen = 0;
        self.traffic.set_arriving(false);
    }

    fn refuse(&mut self, refused: Refused) {
        self.arrived();
        self.traffic.refuse(refused);
        self.head = Bytes::from_static(STAND_IN);
        self.next = Next::Nothing;
        self.gathered = BytesMut::new();
    }

    /// Waits for a time that may move between two calls.
    fn poll_quiet(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        if self.quiet.deadline() != deadline {
            self.quiet.as_mut().reset(deadline);
        }
        self.quiet.as_mut().poll(cx)
    }

    /// Hands over at most `limit` bytes.
    fn poll_pass(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>, limit: u64) -> Poll<io::Result<u64>> {
        let before = buf.filled().len();
        if self.gathered.is_empty() {
            self.io.set_limit(limit);
            ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        } else {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            hand_over(&mut self.gathered, buf, limit);
        }
        Poll::Ready(Ok((buf.filled().len() - before) as u64))
    }

    /// Bounds how long a client may take nothing of what it is sent.
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            if self.next != Next::Anything {
                self.traffic.touch();
            }
            return written;
        }
        if self.traffic.is_upgraded() {
            return Poll::Pending;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.timeouts.write)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

fn hand_over(from: &mut impl Buf, to: &mut ReadBuf<'_>, limit: usize) {
    let length = from.remaining().min(to.remaining()).min(limit);
    to.put_slice(&from.chunk()[..length]);
    from.advance(length);
}

impl AsyncRead for Gate {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        if gate.traffic.is_upgraded() {
            gate.next = Next::Anything;
        }
        if matches!(gate.next, Next::FirstHead | Next::Head | Next::Body(0)) && gate.head.is_empty() {
            if gate.next != Next::FirstHead {
                gate.next = Next::Head;
            }
            ready!(gate.poll_head(cx))?;
        }
        if !gate.head.is_empty() {
            hand_over(&mut gate.head, buf, usize::MAX);
            return Poll::Ready(Ok(()));
        }
        match gate.next {
            // The end of the connection.
            Next::FirstHead | Next::Head => Poll::Ready(Ok(())),
            Next::Body(left) => {
                let passed = ready!(gate.poll_pass(cx, buf, left))?;
                gate.next = Next::Body(left - passed);
                Poll::Ready(Ok(()))
            }
            Next::Anything => match gate.poll_pass(cx, buf, u64::MAX) {
                Poll::Ready(passed) => Poll::Ready(passed.map(drop)),
                Poll::Pending => {
                    let deadline = gate.traffic.deadline();
                    gate.poll_quiet(cx, deadline).map(Ok)
                }
            },
            Next::Nothing => Poll::Pending,
        }
    }
}

impl AsyncWrite for Gate {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let gate = self.get_mut();
        let written = Pin::new(gate.io.get_mut()).poll_write(cx, buf);
        gate.watch(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let gate = self.get_mut();
        let written = Pin::new(gate.io.get_mut()).poll_write_vectored(cx, bufs);
        gate.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.get_ref().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().io.get_mut()).poll_flush(cx)
    }

    /// Says that no more will come, and reads for a moment what the client still sends: closing while bytes of its are
    /// unread resets the connection, and a reset may overtake the answer.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let gate = self.get_mut();
        let stream = gate.io.get_mut();
        if gate.lingering.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        let lingering = gate.lingering.get_or_insert_with(|| Box::pin(sleep(gate.timeouts.linger)));
        let mut scrap = [0; READ];
        loop {
            if lingering.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut scrap = ReadBuf::new(&mut scrap);
            match ready!(Pin::new(&mut *stream).poll_read(cx, &mut scrap)) {
                Ok(()) if !scrap.filled().is_empty() => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
