//! A WebSocket client whose memory does not depend on what the server sends (RFC 6455).
//!
//! The handshake is async-tungstenite's. After it, frames are read as a stream: a header, then
//! payload in fixed windows straight into a [`Payload`], so that a message of any size costs one
//! window.

use std::time::Duration;

use super::Net;
use crate::base::end::DialFault;
use crate::base::{End, Instant, Rng};
use crate::rt::Full;

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
    let _ = (net, url, deadline, mask);
    Err(End::Dial(DialFault::Upgrade))
}

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {}

impl Socket {
    /// Reads to the end of one message, which goes to `into`. Meanwhile writes what is queued and
    /// answers pings. May be dropped half-way: the next call goes on where this one stopped, with
    /// the same `into`.
    ///
    /// # Errors
    /// How the connection ended; from then on the same at each call. [`End::Server`] when the
    /// server sent a close frame: we have not answered it, that is for [`close`](Socket::close).
    pub async fn next(&mut self, into: &mut impl Payload) -> Result<(), End> {
        let _ = into;
        Err(End::Wire)
    }

    /// Reads what is here already, without waiting. True: there was something; call again after
    /// letting others go first. (Whether a message ended, `into` knows.) False: nothing is here.
    ///
    /// # Errors
    /// As [`next`](Socket::next).
    pub fn try_next(&mut self, into: &mut impl Payload) -> Result<bool, End> {
        let _ = into;
        Err(End::Wire)
    }

    /// Queues a text message. It is written by the following calls of [`next`](Socket::next).
    ///
    /// # Errors
    /// The bounded buffer has no room for it: the server has not been reading.
    pub fn send_text(&mut self, payload: &[u8]) -> Result<(), Full> {
        let _ = payload;
        Err(Full)
    }

    /// Ends the connection in order: what is queued, a close frame with `code`, our FIN, then up to
    /// `patience` for the server's. If that does not come, the connection is reset. With no
    /// patience at all (after silence) what can be written at once is written, and that is it.
    pub async fn close(self, code: u16, patience: Duration) {
        let _ = (code, patience);
    }

    /// Resets the connection.
    pub fn abort(self) {}
}
