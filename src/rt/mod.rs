//! The machine we run on: the thread, the clock, threads for what blocks, signals, the disk and
//! the network. It does what it is told and reports how that ended; it judges nothing.

pub mod blocking;
pub mod clock;
pub mod confine;
pub mod disk;
pub mod executor;
pub mod lock;
pub mod log;
pub mod net;
pub mod notify;
pub mod process;
pub mod signal;
pub mod store;
pub mod tty;
pub mod zones;

use std::error::Error;
use std::fmt;

/// There is no room: the bounded queue or buffer is full, and nothing was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too much is waiting already")
    }
}

impl Error for Full {}

/// Bytes from the operating system's randomness, for secrets.
///
/// # Errors
/// There is none to be had.
pub fn os_bytes<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    // Up to 256 bytes come whole.
    if got == N { Ok(bytes) } else { Err(std::io::Error::other("too little randomness")) }
}

/// A seed from the operating system's randomness, for a [`Rng`](crate::base::Rng).
#[must_use]
pub fn os_seed() -> u64 {
    let mut seed = [0; 8];
    // Eight bytes come whole or not at all, and only a kernel without the call refuses them; the
    // time of day is the best that is left then.
    match rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => u64::from_ne_bytes(seed),
        Err(_) => clock::wall().0,
    }
}
