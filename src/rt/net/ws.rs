//! A WebSocket client whose memory does not depend on what the server sends (RFC 6455).
//!
//! The handshake is async-tungstenite's. After it, frames are read as a stream: a header, then
//! payload in fixed windows straight into a [`Payload`], so that a message of any size costs one
//! window.

mod frame;
mod upgrade;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use hyper::Uri;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::tls::Stream;
use super::{Endpoint, Net};
use crate::base::end::{DialFault, Phase};
use crate::base::limits::{
    CONTROL_FRAME_BYTES_MAX, READ_WINDOW_BYTES, SEND_BUFFER_BYTES, YIELD_AFTER,
};
use crate::base::{End, Instant, Rng};
use crate::rt::{Full, clock};
use frame::{Frames, Step};

/// What takes in a message, piece by piece. For each message `begin`, any number of `chunk`, `end`,
/// in this order; a message that the connection's end cuts short has no `end`.
pub trait Payload {
    /// A message begins: binary, or text (whose UTF-8 has not been checked).
    fn begin(&mut self, binary: bool);
    /// The next bytes of it.
    fn chunk(&mut self, bytes: &[u8]);
    /// It is complete.
    fn end(&mut self);
}

/// Opens a WebSocket to `url` (`wss://`, or `ws://` to loopback). Frames are masked with numbers
/// of `mask`, which should have been seeded by the operating system.
///
/// # Errors
/// [`End::Silence`] of the phase that had not answered by `deadline`, or [`End::Dial`].
pub async fn dial(net: &Net, url: &str, deadline: Instant, mask: Rng) -> Result<Socket, End> {
    let phase = Cell::new(Phase::Resolve);
    match clock::timeout(deadline, open(net, url, mask, &phase)).await {
        Some(Ok(socket)) => Ok(socket),
        Some(Err(fault)) => Err(End::Dial(fault)),
        None => Err(End::Silence(phase.get())),
    }
}

async fn open(net: &Net, url: &str, mask: Rng, phase: &Cell<Phase>) -> Result<Socket, DialFault> {
    let url: Uri = url.parse().map_err(|_| DialFault::Forbidden)?;
    let stream = net.connect(&Endpoint::of(&url, "ws", "wss")?, phase).await?;
    phase.set(Phase::Upgrade);
    let (stream, early) = upgrade::shake_hands(url, stream).await?;
    Ok(Socket::new(stream, &early, mask))
}

/// Pongs have room even when that of messages is used up.
const PONG_BOUND_BYTES: usize = SEND_BUFFER_BYTES + 2 * CONTROL_FRAME_BYTES_MAX;

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    frames: Frames,
    window: Window,
    outbox: Outbox,
    /// How it ended, once it has.
    ended: Option<End>,
    reason: Box<str>,
}

impl Socket {
    /// A socket on `stream`, after the upgrade; `early` came with it.
    fn new(stream: Stream, early: &[u8], mask: Rng) -> Socket {
        Socket {
            stream,
            frames: Frames::default(),
            window: Window::new(early),
            outbox: Outbox::new(mask),
            ended: None,
            reason: "".into(),
        }
    }

    /// Reads to the end of one message, which goes to `into`. Meanwhile writes what is queued and
    /// answers pings. May be dropped half-way: the next call goes on where this one stopped, with
    /// the same `into`.
    ///
    /// # Errors
    /// How the connection ended; from then on the same at each call. [`End::Server`] when the
    /// server sent a close frame: we have not answered it, that is for [`close`](Socket::close).
    /// [`End::Garbage`] names the code to close with.
    pub async fn next(&mut self, into: &mut impl Payload) -> Result<(), End> {
        poll_fn(|cx| match ready!(self.poll_read(cx, into))? {
            Read::Message => Poll::Ready(Ok(())),
            Read::Budget => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await
    }

    /// Reads what is here already, without waiting. True: there was something; call again after
    /// letting others go first. (Whether a message ended, `into` knows.) False: nothing is here.
    ///
    /// # Errors
    /// As [`next`](Socket::next).
    pub fn try_next(&mut self, into: &mut impl Payload) -> Result<bool, End> {
        // Nobody need be woken: the next poll of `next` looks at the socket first of all.
        match self.poll_read(&mut Context::from_waker(Waker::noop()), into) {
            Poll::Ready(read) => read.map(|_| true),
            Poll::Pending => Ok(false),
        }
    }

    /// Queues a text message. It is written by the following calls of [`next`](Socket::next).
    ///
    /// # Errors
    /// The bounded buffer has no room for it: the server has not been reading.
    pub fn send_text(&mut self, payload: &[u8]) -> Result<(), Full> {
        self.outbox.push(frame::TEXT, payload, SEND_BUFFER_BYTES)
    }

    /// What the server gave as the reason of its close frame; empty if it gave none.
    #[must_use]
    pub fn close_reason(&self) -> &str {
        &self.reason
    }

    /// Ends the connection in order: what is queued, a close frame with `code`, our FIN, then up to
    /// `patience` for the server's. If that does not come, the connection is reset. With no
    /// patience at all (after silence) what can be written at once is written, and that is it.
    pub async fn close(mut self, code: u16, patience: Duration) {
        // There is room beyond that of messages, and what is full is lost with the connection.
        let _ = self.outbox.push(frame::CLOSE, &code.to_be_bytes(), usize::MAX);
        if patience.is_zero() {
            let _ = self
                .outbox
                .poll_flush(&mut Context::from_waker(Waker::noop()), Pin::new(&mut self.stream));
            return;
        }
        let in_order = clock::timeout(clock::now() + patience, self.part()).await;
        if in_order.is_none() {
            self.abort();
        }
    }

    /// Resets the connection.
    pub fn abort(self) {
        self.stream.abort();
    }

    /// Says all that is to be said, then waits for the server to do so.
    async fn part(&mut self) {
        let Socket { stream, outbox, window, .. } = self;
        poll_fn(|cx| outbox.poll_flush(cx, Pin::new(&mut *stream))).await;
        if stream.close().await.is_ok() {
            while stream.read(&mut window.bytes[..]).await.is_ok_and(|count| count > 0) {}
        }
    }

    /// Reads until a message is complete, the time of one turn is used up, or it is over.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut impl Payload,
    ) -> Poll<Result<Read, End>> {
        if let Some(end) = self.ended {
            return Poll::Ready(Err(end));
        }
        let read = ready!(self.poll_steps(cx, into));
        self.ended = read.as_ref().err().copied();
        Poll::Ready(read)
    }

    fn poll_steps(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut impl Payload,
    ) -> Poll<Result<Read, End>> {
        let enough = clock::now() + YIELD_AFTER;
        loop {
            match self.step(into)? {
                Took::Message => return Poll::Ready(Ok(Read::Message)),
                Took::Piece if clock::now() >= enough => return Poll::Ready(Ok(Read::Budget)),
                Took::Piece => {}
                Took::Nothing => {
                    let is_writable = self.outbox.poll_flush(cx, Pin::new(&mut self.stream));
                    let count = match self.window.poll_fill(cx, Pin::new(&mut self.stream)) {
                        Poll::Ready(count) => count,
                        // What was sent before the other side went away is read first.
                        Poll::Pending if is_writable == Poll::Ready(Written::Broken) => 0,
                        Poll::Pending => return Poll::Pending,
                    };
                    if count == 0 {
                        return Poll::Ready(Err(End::Wire));
                    }
                }
            }
        }
    }

    /// Takes one step through what is in the window.
    fn step(&mut self, into: &mut impl Payload) -> Result<Took, End> {
        let mut rest = self.window.unread();
        let before = rest.len();
        let step = self.frames.step(&mut rest).map_err(End::Garbage)?;
        let used = before - rest.len();
        let took = match step {
            None => Took::Nothing,
            Some(Step::Begin { binary }) => {
                into.begin(binary);
                Took::Piece
            }
            Some(Step::Chunk(bytes)) => {
                into.chunk(bytes);
                Took::Piece
            }
            Some(Step::End) => {
                into.end();
                Took::Message
            }
            Some(Step::Ping(payload)) => {
                // RFC 6455 5.5.3 asks for an answer to the last ping only; a server that pings and
                // does not read is not owed one.
                let _ = self.outbox.push(frame::PONG, payload, PONG_BOUND_BYTES);
                Took::Piece
            }
            Some(Step::Pong) => Took::Piece,
            Some(Step::Close(code, reason)) => {
                self.reason = std::str::from_utf8(reason).unwrap_or_default().into();
                return Err(End::Server(code));
            }
        };
        self.window.start += used;
        Ok(took)
    }
}

/// What a turn of reading came to.
enum Read {
    /// A message is complete.
    Message,
    /// It was long enough.
    Budget,
}

/// What one step was.
enum Took {
    /// More bytes are needed.
    Nothing,
    Piece,
    Message,
}

/// What was read and not yet looked at.
#[derive(Debug)]
struct Window {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Window {
    fn new(early: &[u8]) -> Window {
        let mut bytes = early.to_vec();
        bytes.resize(READ_WINDOW_BYTES.max(early.len()), 0);
        Window { bytes: bytes.into(), start: 0, end: early.len() }
    }

    fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Reads more, once all is looked at. 0: there will be no more.
    fn poll_fill(&mut self, cx: &mut Context<'_>, stream: Pin<&mut Stream>) -> Poll<usize> {
        let count = ready!(stream.poll_read(cx, &mut self.bytes)).unwrap_or(0);
        (self.start, self.end) = (0, count);
        Poll::Ready(count)
    }
}

/// What is to be written.
#[derive(Debug)]
struct Outbox {
    bytes: Vec<u8>,
    /// How much of it is written.
    sent: usize,
    /// Whether the stream may still hold back something that it took.
    unflushed: bool,
    /// Whether nothing more can be written.
    broken: bool,
    mask: Rng,
}

#[derive(PartialEq, Eq)]
enum Written {
    All,
    Broken,
}

impl Outbox {
    fn new(mask: Rng) -> Outbox {
        Outbox { bytes: Vec::new(), sent: 0, unflushed: false, broken: false, mask }
    }

    /// Adds a frame, unless more than `bytes_max` would be waiting then.
    fn push(&mut self, opcode: u8, payload: &[u8], bytes_max: usize) -> Result<(), Full> {
        self.bytes.drain(..self.sent);
        self.sent = 0;
        if self.bytes.len() + frame::HEADER_SENT_BYTES + payload.len() > bytes_max {
            return Err(Full);
        }
        let [a, b, c, d, ..] = self.mask.bits().to_ne_bytes();
        frame::push_masked(&mut self.bytes, opcode, payload, [a, b, c, d]);
        Ok(())
    }

    /// Writes until there is nothing left, or nothing more can be written.
    fn poll_flush(&mut self, cx: &mut Context<'_>, mut stream: Pin<&mut Stream>) -> Poll<Written> {
        while self.sent < self.bytes.len() && !self.broken {
            match ready!(stream.as_mut().poll_write(cx, &self.bytes[self.sent..])) {
                Ok(0) | Err(_) => self.broken = true,
                Ok(count) => {
                    self.sent += count;
                    self.unflushed = true;
                }
            }
        }
        self.bytes.clear();
        self.sent = 0;
        if self.unflushed && !self.broken {
            self.broken = ready!(stream.poll_flush(cx)).is_err();
            self.unflushed = false;
        }
        Poll::Ready(if self.broken { Written::Broken } else { Written::All })
    }
}
