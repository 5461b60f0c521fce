//! Names into addresses, by the system's resolver on a thread of its own.
//!
//! One lookup per host at a time, however many ask. The last good answer of each host is kept and
//! serves when the resolver fails or is slow: addresses of large services live for years, name
//! servers of small networks do not.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use crate::base::Instant;
use crate::base::end::DialFault;
use crate::base::limits::{ADDRESSES_MAX, DNS_PATIENCE, HOSTS_REMEMBERED_MAX};
use crate::rt::{blocking, clock};

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

/// What is known of one host.
struct Host {
    name: Box<str>,
    /// Empty if it was never resolved.
    last_good: Vec<IpAddr>,
    /// Whether the newest lookup that is over gave `last_good`.
    fresh: bool,
    /// The lookup that is under way.
    flight: Option<Flight>,
}

type Found = io::Result<Vec<IpAddr>>;
type Flight = blocking::Answer<Found>;

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
        if let Some(own) = without_asking(host) {
            return addrs(&own, port, false);
        }
        let flight = self.board(host);
        let patience = match self.known(host, |known| known.last_good.is_empty()) {
            Some(false) => clock::now() + DNS_PATIENCE,
            _ => Instant(u64::MAX),
        };
        let landed = match flight {
            Some(flight) => clock::timeout(patience, flight.recv()).await,
            // Too many lookups hang already.
            None => None,
        };
        let in_time = landed.is_some();
        if let Some(Ok(found)) = landed {
            self.land(host, found);
        }
        // If another waiter took the result, it has written it down here just the same.
        self.known(host, |known| addrs(&known.last_good, port, !(in_time && known.fresh)))
            .unwrap_or(Err(DialFault::Dns))
    }

    /// Joins the lookup of `host`, or starts it.
    fn board(&self, host: &str) -> Option<Flight> {
        // The result of a lookup that nobody waited for to the end is of use now at the latest.
        let late = self.known(host, |known| known.flight.as_ref()?.try_recv().ok()).flatten();
        if let Some(found) = late {
            self.land(host, found);
        }
        if let Some(flight) = self.known(host, |known| known.flight.clone()).flatten() {
            return Some(flight);
        }
        let (lookup, name) = (self.lookup.clone(), Box::<str>::from(host));
        let flight = blocking::look_up(move || lookup(&name)).ok()?;
        self.touch(host).flight = Some(flight.clone());
        Some(flight)
    }

    /// Writes down what a lookup has found: nothing, if it failed or panicked.
    fn land(&self, host: &str, found: blocking::Outcome<Found>) {
        let found = found.ok().and_then(Found::ok).map(few_of_each_family).unwrap_or_default();
        let mut known = self.touch(host);
        (known.flight, known.fresh) = (None, !found.is_empty());
        if known.fresh {
            known.last_good = found;
        }
    }

    fn known<T>(&self, host: &str, read: impl FnOnce(&Host) -> T) -> Option<T> {
        self.hosts.borrow().iter().find(|known| &*known.name == host).map(read)
    }

    /// The entry of `host`, which becomes the newest; if there is none, a new one takes the place
    /// of the oldest.
    fn touch(&self, host: &str) -> RefMut<'_, Host> {
        RefMut::map(self.hosts.borrow_mut(), |hosts| {
            let place = hosts.iter().position(|known| &*known.name == host);
            let entry = match place {
                Some(place) => hosts.remove(place),
                None => {
                    Host { name: host.into(), last_good: Vec::new(), fresh: false, flight: None }
                }
            };
            if hosts.len() >= HOSTS_REMEMBERED_MAX {
                hosts.remove(0);
            }
            let last = hosts.len();
            hosts.push(entry);
            &mut hosts[last]
        })
    }
}

/// Addresses as such, and `localhost`, which RFC 6761 (6.3) keeps from the resolver.
fn without_asking(host: &str) -> Option<Vec<IpAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    host.parse().ok().map(|ip| vec![ip])
}

fn addrs(ips: &[IpAddr], port: u16, remembered: bool) -> Result<Addrs, DialFault> {
    if ips.is_empty() {
        return Err(DialFault::Dns);
    }
    Ok(Addrs { list: ips.iter().map(|&ip| SocketAddr::new(ip, port)).collect(), remembered })
}

/// Keeps the order, and of each family half of what is tried at all: many addresses of a family
/// that does not work must not crowd out the other.
fn few_of_each_family(mut ips: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut kept = [0; 2];
    ips.retain(|ip| {
        let count = &mut kept[usize::from(ip.is_ipv6())];
        *count += 1;
        *count <= ADDRESSES_MAX / 2
    });
    ips
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::future::zip;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    /// A resolver that answers what the test sends, and counts the questions.
    fn scripted() -> (Resolver, mpsc::Sender<Found>, Arc<AtomicU32>) {
        let (answers, script) = mpsc::channel::<Found>();
        let (script, asked) = (Mutex::new(script), Arc::new(AtomicU32::new(0)));
        let count = asked.clone();
        let resolver = Resolver::with(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            let script = script.lock().unwrap();
            script.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        });
        (resolver, answers, asked)
    }

    #[test]
    fn many_ask_and_one_looks_up() {
        let (resolver, answers, asked) = scripted();
        smol::block_on(async {
            let ask = |port| resolver.resolve("example.org", port);
            let answer = async { answers.send(Ok(vec![ADDRESS])).unwrap() };
            let rest = zip(ask(2), zip(ask(3), answer));
            let (first, (second, (third, ()))) = zip(ask(1), rest).await;
            for (port, found) in [(1, first), (2, second), (3, third)] {
                let list = vec![SocketAddr::new(ADDRESS, port)];
                assert_eq!(found, Ok(Addrs { list, remembered: false }));
            }
            assert_eq!(asked.load(Ordering::SeqCst), 1);
        });
    }

    #[test]
    fn the_last_good_answer_serves_when_the_resolver_fails() {
        let (resolver, answers, _) = scripted();
        smol::block_on(async {
            answers.send(Err(io::ErrorKind::Other.into())).unwrap();
            assert_eq!(resolver.resolve("example.org", 1).await, Err(DialFault::Dns));
            answers.send(Ok(vec![ADDRESS])).unwrap();
            assert!(!resolver.resolve("example.org", 1).await.unwrap().remembered);
            for failure in [Err(io::ErrorKind::Other.into()), Ok(vec![])] {
                answers.send(failure).unwrap();
                let found = resolver.resolve("example.org", 1).await.unwrap();
                assert!(found.remembered && found.list[0].ip() == ADDRESS);
            }
            answers.send(Err(io::ErrorKind::Other.into())).unwrap();
            assert_eq!(resolver.resolve("other.example", 1).await, Err(DialFault::Dns));
        });
    }

    #[test]
    fn a_result_that_nobody_waited_for_is_not_lost() {
        let (resolver, answers, asked) = scripted();
        smol::block_on(async {
            // Asked, and given up at once.
            let ask = resolver.resolve("example.org", 1);
            assert!(smol::future::poll_once(ask).await.is_none());
            answers.send(Ok(vec![ADDRESS])).unwrap();
            drop(answers);
            // Either joins that lookup, or finds its result and fails with the next one.
            let found = resolver.resolve("example.org", 1).await.unwrap();
            assert_eq!(found.list[0].ip(), ADDRESS);
            assert!(asked.load(Ordering::SeqCst) <= 2);
        });
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let resolver = Resolver::with(|_| Ok(vec![ADDRESS; 100]));
        smol::block_on(async {
            for n in 0..HOSTS_REMEMBERED_MAX * 2 {
                let found = resolver.resolve(&format!("{n}.example"), 1).await.unwrap();
                assert_eq!(found.list.len(), ADDRESSES_MAX / 2);
            }
            assert_eq!(resolver.hosts.borrow().len(), HOSTS_REMEMBERED_MAX);
        });
    }

    #[test]
    fn addresses_and_localhost_need_no_resolver() {
        let (resolver, _, asked) = scripted();
        smol::block_on(async {
            for host in ["127.0.0.1", "::1", "localhost"] {
                let found = resolver.resolve(host, 80).await.unwrap();
                assert!(found.list.iter().all(|addr| addr.ip().is_loopback()), "{host}");
            }
            assert_eq!(asked.load(Ordering::SeqCst), 0);
        });
    }
}
