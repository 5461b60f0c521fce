//! One process per token and host.
//!
//! The lock is an abstract Unix socket (unix(7)) named by the SHA-256 of the token: it needs no
//! file, cannot be left behind by a crash, and its owner's process id can be asked of the kernel.
//! It reaches as far as the network namespace: containers with their own do not see each other.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::base::Secret;
use crate::base::text::Hex;

/// Held for as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    #[cfg_attr(not(test), expect(dead_code, reason = "it only has to be open"))]
    listener: UnixListener,
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
        Ok(listener) => Ok(Lock { listener }),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Err(Refused::Held { pid: holder(&address) })
        }
        Err(error) => Err(Refused::Failed(error)),
    }
}

/// Who holds a token's lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holder {
    /// Nobody on this host.
    Nobody,
    /// A process.
    Process {
        /// Its id, if the kernel named it.
        pid: Option<i32>,
    },
    /// The kernel does not say.
    Unknown,
}

/// Who holds the lock for `token`, without taking it even for a moment.
pub(crate) fn holder_of(channel: &str, token: &Secret) -> Holder {
    match address(channel, token).map_err(|_| Errno::INVAL).and_then(|address| ask(&address)) {
        Ok(pid) => Holder::Process { pid: Some(pid) },
        Err(Errno::CONNREFUSED) => Holder::Nobody,
        // Its queue is full.
        Err(Errno::AGAIN) => Holder::Process { pid: None },
        Err(_) => Holder::Unknown,
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

fn holder(address: &SocketAddr) -> Option<i32> {
    ask(address).ok()
}

/// Whoever listens is told apart by `SO_PEERCRED`. Nobody accepts, so each question stays in the
/// holder's queue; once that is full a connect would wait for ever, and is not made.
fn ask(address: &SocketAddr) -> Result<i32, Errno> {
    let name = address.as_abstract_name().ok_or(Errno::INVAL)?;
    let address = SocketAddrUnix::new_abstract_name(name)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let stream = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&stream, &address)?;
    let credentials = rustix::net::sockopt::socket_peercred(&stream)?;
    Ok(credentials.pid.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_learns_who_holds_it() {
        let token = Secret::new("lock-test-token");
        assert_eq!(holder_of("discord", &token), Holder::Nobody);
        let first = take("discord", &token).unwrap();
        let me = i32::try_from(std::process::id()).ok();
        assert_eq!(holder_of("discord", &token), Holder::Process { pid: me });
        match take("discord", &token) {
            Err(Refused::Held { pid }) => assert_eq!(pid, i32::try_from(std::process::id()).ok()),
            other => panic!("{other:?}"),
        }
        assert!(take("discord", &Secret::new("another")).is_ok());
        assert!(take("telegram", &token).is_ok());
        drop(first);
        assert!(take("discord", &token).is_ok(), "free again");
    }

    #[test]
    fn a_holder_that_was_asked_too_often_holds_up_nobody() {
        let token = Secret::new("lock-test-crowd");
        let held = take("discord", &token).unwrap();
        // With the smallest queue there is, a few questions fill it.
        rustix::net::listen(&held.listener, 0).unwrap();
        for _ in 0..8 {
            assert!(matches!(take("discord", &token), Err(Refused::Held { .. })));
        }
        assert!(matches!(take("discord", &token), Err(Refused::Held { pid: None })));
        assert_eq!(holder_of("discord", &token), Holder::Process { pid: None });
    }
}
