//! One process per token and host.
//!
//! The lock is an abstract Unix socket (unix(7)) named by the SHA-256 of the token: it needs no
//! file, cannot be left behind by a crash, and its owner's process id can be asked of the kernel.
//! It reaches as far as the network namespace: containers with their own do not see each other.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use crate::base::Secret;
use crate::base::text::Hex;

/// Held for as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _listener: UnixListener,
}

/// Why the lock was not given.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Another process has it.
    Held {
        /// Its process id, if the kernel named it.
        pid: Option<i32>,
    },
    /// The kernel would not make the socket.
    Failed(std::io::Error),
}

/// Takes the lock for `token` on the service `channel`.
///
/// # Errors
/// See [`Refused`].
pub(crate) fn take(channel: &str, token: &Secret) -> Result<Lock, Refused> {
    let address = address(channel, token).map_err(Refused::Failed)?;
    match UnixListener::bind_addr(&address) {
        Ok(listener) => Ok(Lock { _listener: listener }),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Err(Refused::Held { pid: holder(&address) })
        }
        Err(error) => Err(Refused::Failed(error)),
    }
}

/// The name gives nothing away: a token has far too many bits to be guessed from its hash.
fn address(channel: &str, token: &Secret) -> std::io::Result<SocketAddr> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in [channel.as_bytes(), b":", token.expose().as_bytes()] {
        context.update(part);
    }
    let hash = context.finish();
    SocketAddr::from_abstract_name(format!("barnacle-{}", Hex(hash.as_ref())))
}

/// Whoever listens is told apart by `SO_PEERCRED`.
fn holder(address: &SocketAddr) -> Option<i32> {
    let stream = UnixStream::connect_addr(address).ok()?;
    let credentials = rustix::net::sockopt::socket_peercred(&stream).ok()?;
    Some(credentials.pid.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_learns_who_holds_it() {
        let token = Secret::new("lock-test-token");
        let first = take("discord", &token).unwrap();
        match take("discord", &token) {
            Err(Refused::Held { pid }) => assert_eq!(pid, i32::try_from(std::process::id()).ok()),
            other => panic!("{other:?}"),
        }
        assert!(take("discord", &Secret::new("another")).is_ok());
        assert!(take("telegram", &token).is_ok());
        drop(first);
        assert!(take("discord", &token).is_ok(), "free again");
    }
}
