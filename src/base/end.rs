//! How a connection, or the attempt at one, ended: always a value, never a guess.

use std::fmt;

/// The steps of a connection's life. Each has a deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Names into addresses.
    Resolve,
    /// TCP connect, to whichever address answers first.
    Tcp,
    /// The proxy on the way: from its name to its word that the way is open.
    Proxy,
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
    /// The proxy on the way did not let us through.
    Proxy(ProxyFault),
}

/// Why a proxy did not open the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyFault {
    /// Its own name could not be resolved.
    Dns,
    /// There is no route to it.
    NoRoute,
    /// Nothing listens where it should be.
    Refused,
    /// The TLS handshake with it failed, or its certificate is not one that we trust now.
    Tls,
    /// It answered with this HTTP status.
    Status(u16),
    /// What came back was not HTTP.
    Garbage,
    /// The connection to it was lost before it had answered.
    Lost,
}

impl ProxyFault {
    /// What a fault of the connection to the proxy itself means.
    #[must_use]
    pub fn of(fault: DialFault) -> ProxyFault {
        match fault {
            DialFault::Dns => ProxyFault::Dns,
            DialFault::NoRoute => ProxyFault::NoRoute,
            DialFault::Refused => ProxyFault::Refused,
            DialFault::Clock | DialFault::Tls | DialFault::Forbidden => ProxyFault::Tls,
            DialFault::Status(status, _) => ProxyFault::Status(status),
            DialFault::Upgrade => ProxyFault::Garbage,
            DialFault::Lost => ProxyFault::Lost,
            DialFault::Proxy(fault) => fault,
        }
    }
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
            Phase::Proxy => "the proxy",
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
            DialFault::Proxy(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyFault::Dns => f.write_str("the proxy's name could not be resolved (DNS)"),
            ProxyFault::NoRoute => f.write_str("no route to the proxy"),
            ProxyFault::Refused => {
                f.write_str("the proxy refuses connections: does it run, and on that port?")
            }
            ProxyFault::Tls => f.write_str(
                "TLS handshake with the proxy failed: is it an https:// proxy, with a certificate \
                 of an authority that is trusted here (net.caFile)?",
            ),
            ProxyFault::Status(407) => f.write_str(
                "the proxy refused: 407; look at the user and password in its URL \
                 (channels.discord.proxy, or HTTPS_PROXY); only Basic is spoken",
            ),
            ProxyFault::Status(status @ (403 | 405)) => {
                write!(f, "the proxy refused: {status}; it must allow CONNECT to Discord, port 443")
            }
            ProxyFault::Status(status @ 502..=504) => {
                write!(f, "the proxy answered {status}: it cannot reach Discord itself")
            }
            ProxyFault::Status(status) => write!(f, "the proxy refused: {status}"),
            ProxyFault::Garbage => {
                f.write_str("the proxy did not speak HTTP: is it an HTTP proxy, on that port?")
            }
            ProxyFault::Lost => f.write_str("the connection to the proxy was lost"),
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
