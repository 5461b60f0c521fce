//! How a connection, or the attempt at one, ended: always a value, never a guess.

use std::fmt;

/// The steps of a connection's life. Each has a deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Names into addresses.
    Resolve,
    /// TCP connect, to whichever address answers first.
    Tcp,
    /// TLS handshake.
    Tls,
    /// HTTP upgrade to a WebSocket.
    Upgrade,
    /// The server's greeting (Discord's HELLO).
    Hello,
    /// Our answer to it was sent; the server's word is awaited (READY or RESUMED).
    Session,
    /// Up and in use.
    Live,
}

/// Why a dial did not lead to an open connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DialFault {
    /// The name does not exist, or no resolver answered and no address was remembered.
    Dns,
    /// There is no route: the cable, the Wi-Fi or the router is out.
    NoRoute,
    /// The host answered that nothing listens there.
    Refused,
    /// The certificate is not valid yet or any more: most often our own clock is wrong.
    Clock,
    /// The certificate is not one that we trust, or the TLS handshake failed.
    Tls,
    /// The server answered the upgrade with this HTTP status, and asked for this many seconds of
    /// patience (0 if it did not say).
    Status(u16, u32),
    /// What came back was not a WebSocket upgrade.
    Upgrade,
    /// The connection was lost while it was being made.
    Lost,
    /// The URL is not one that we may dial.
    Forbidden,
}

/// How it ended. The machine that owns the session turns this into what happens next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// We ended it, on purpose.
    Asked,
    /// It never came to be.
    Dial(DialFault),
    /// The server sent a close frame with this code; 1005 stands for a frame without one.
    Server(u16),
    /// The stream ended or broke without a close frame (what RFC 6455 calls 1006).
    Wire,
    /// A deadline of this phase went by.
    Silence(Phase),
    /// The server broke RFC 6455 or sent what cannot be read; we closed with this code.
    Garbage(u16),
}

impl End {
    /// The close code that people know this by: the server's own, or 1006 when there was none.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            End::Asked => 1000,
            End::Server(code) | End::Garbage(code) => code,
            End::Dial(_) | End::Wire | End::Silence(_) => 1006,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "name lookup",
            Phase::Tcp => "TCP connect",
            Phase::Tls => "TLS handshake",
            Phase::Upgrade => "WebSocket upgrade",
            Phase::Hello => "HELLO",
            Phase::Session => "READY or RESUMED",
            Phase::Live => "heartbeat ACK",
        })
    }
}

impl fmt::Display for DialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DialFault::Dns => f.write_str("the name could not be resolved (DNS)"),
            DialFault::NoRoute => f.write_str("no route to the host"),
            DialFault::Refused => f.write_str("connection refused"),
            DialFault::Clock => f.write_str("certificate not valid now: is the clock right?"),
            DialFault::Tls => f.write_str("TLS handshake failed"),
            DialFault::Status(status, _) => write!(f, "the server answered HTTP {status}"),
            DialFault::Upgrade => f.write_str("the server did not speak WebSocket"),
            DialFault::Lost => f.write_str("connection lost while connecting"),
            DialFault::Forbidden => f.write_str("the URL is not allowed"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Asked => f.write_str("closed by us"),
            End::Dial(fault) => fault.fmt(f),
            End::Server(code) => write!(f, "closed by the server with code {code}"),
            End::Wire => f.write_str("the connection broke without a close frame"),
            End::Silence(phase) => write!(f, "no answer in time ({phase})"),
            End::Garbage(code) => write!(f, "the server sent what cannot be read (code {code})"),
        }
    }
}
