//! The network: from a URL to a stream that is up, and what speaks over it.

pub mod dns;
pub mod here;
pub mod http;
pub mod kept;
pub mod proxy;
pub mod server;
pub mod tcp;
pub mod tls;
pub mod unix;
pub mod ws;

use std::cell::Cell;
use std::net::{IpAddr, TcpStream};
use std::path::PathBuf;
use std::rc::Rc;

use hyper::Uri;
use smol::Async;

use super::executor::Spawner;
use crate::base::address::{Region, region};
use crate::base::end::{DialFault, Phase, ProxyFault};
use dns::Resolver;
use proxy::Proxy;
use tcp::{Families, TcpOptions};
use tls::{Stream, Tls};

/// What may be configured about the network.
#[derive(Clone, Debug, Default)]
pub struct NetOptions {
    /// How connections notice that the other side is gone.
    pub tcp: TcpOptions,
    /// A PEM file of certificate authorities to trust besides the public ones.
    pub extra_ca: Option<PathBuf>,
    /// The proxy that leads to other hosts, if there is one.
    pub proxy: Option<Proxy>,
}

/// The way to other hosts: resolver, trust, and what was learned about routes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Net(Rc<Parts>);

#[derive(Debug)]
struct Parts {
    spawner: Spawner,
    resolver: Resolver,
    families: Families,
    tcp: TcpOptions,
    tls: Tls,
    proxy: Option<Proxy>,
    /// Connections that were made to an earlier lookup's addresses.
    by_memory: Cell<u64>,
}

/// Whether there is a way out of this host, by either family of addresses. Nothing is sent: the
/// kernel is asked which way a datagram to a documentation address (RFC 5737, RFC 3849) would go.
#[must_use]
pub fn has_route() -> bool {
    const OUT: [(&str, &str); 2] = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    let leads = |&(near, far): &(&str, &str)| {
        std::net::UdpSocket::bind(near).is_ok_and(|socket| socket.connect(far).is_ok())
    };
    OUT.iter().any(leads)
}

impl Net {
    /// Sets out with nothing learned yet.
    ///
    /// # Errors
    /// The file of `extra_ca` cannot be used.
    pub fn new(spawner: &Spawner, options: &NetOptions) -> Result<Net, tls::BadCa> {
        Net::with(spawner, options, Resolver::system())
    }

    /// The same with a resolver of the caller's.
    ///
    /// # Errors
    /// The file of `extra_ca` cannot be used.
    pub fn with(
        spawner: &Spawner,
        options: &NetOptions,
        resolver: Resolver,
    ) -> Result<Net, tls::BadCa> {
        Ok(Net(Rc::new(Parts {
            spawner: spawner.clone(),
            resolver,
            families: Families::default(),
            tcp: options.tcp,
            tls: Tls::new(options.extra_ca.as_deref())?,
            proxy: options.proxy.clone(),
            by_memory: Cell::new(0),
        })))
    }

    /// The spawner of the thread that this network lives on.
    #[must_use]
    pub fn spawner(&self) -> &Spawner {
        &self.0.spawner
    }

    /// How many connections owe their addresses to an earlier lookup, because name lookups failed
    /// or were slow.
    #[must_use]
    pub fn by_memory(&self) -> u64 {
        self.0.by_memory.get()
    }

    /// The proxy that leads to other hosts, if there is one.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.0.proxy.as_ref()
    }

    /// Makes a connection, with TLS if the endpoint says so, and through the proxy if there is one
    /// and it serves that endpoint. `phase` tells at any time how far it
    /// is; a caller with a deadline reads from it what did not answer. Dropping the future closes
    /// whatever was open.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn connect(
        &self,
        endpoint: &Endpoint,
        phase: &Cell<Phase>,
    ) -> Result<Stream, DialFault> {
        let served = |proxy: &&Proxy| !endpoint.reach.is_strict() && proxy.serves(endpoint);
        let stream = match self.proxy().filter(served) {
            Some(proxy) => {
                phase.set(Phase::Proxy);
                let tunnel = self.tunnel(proxy, endpoint).await;
                tunnel.map_err(|fault| DialFault::Proxy(ProxyFault::of(fault)))?
            }
            None => Stream::Plain(self.open(endpoint, phase).await?),
        };
        if !endpoint.secure {
            return Ok(stream);
        }
        phase.set(Phase::Tls);
        self.0.tls.connect(&endpoint.host, stream).await
    }

    /// Makes a TCP connection.
    async fn open(
        &self,
        endpoint: &Endpoint,
        phase: &Cell<Phase>,
    ) -> Result<Async<TcpStream>, DialFault> {
        let Parts { resolver, families, tcp, by_memory, .. } = &*self.0;
        phase.set(Phase::Resolve);
        let mut addrs = resolver.resolve(&endpoint.host, endpoint.port).await?;
        let looked_up = addrs.list.len();
        addrs.list.retain(|addr| endpoint.reach.covers(addr.ip()));
        if endpoint.reach.is_strict() && addrs.list.len() < looked_up {
            return Err(DialFault::Forbidden);
        }
        if addrs.list.is_empty() {
            return Err(DialFault::Forbidden);
        }
        phase.set(Phase::Tcp);
        let stream = tcp::connect(&endpoint.host, &addrs.list, families, tcp).await?;
        by_memory.set(by_memory.get() + u64::from(addrs.remembered));
        Ok(stream)
    }

    /// Makes a way to `endpoint` through `proxy`.
    async fn tunnel(&self, proxy: &Proxy, endpoint: &Endpoint) -> Result<Stream, DialFault> {
        let at = proxy.endpoint();
        let mut stream = Stream::Plain(self.open(&at, &Cell::new(Phase::Proxy)).await?);
        if at.secure {
            stream = self.0.tls.connect(&at.host, stream).await?;
        }
        proxy.tunnel(&mut stream, endpoint).await.map_err(DialFault::Proxy)?;
        Ok(stream)
    }
}

/// Which addresses an endpoint may have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reach {
    /// Only this machine's own: what is sent is not encrypted.
    Loopback,
    /// This machine's own and those of private networks: what is sent is not encrypted, and stays
    /// among machines that somebody has put there.
    Private,
    /// Any.
    Anywhere,
    /// Only those of the public internet, and never through a proxy, which would look the name up
    /// itself: for what a stranger asked for. One other address among them is enough to refuse.
    Public,
    /// The same, and those of private networks and of this machine.
    PublicOrNear,
}

impl Reach {
    /// Whether the address that is dialled must be one that was looked up and judged here, with
    /// all others of its name.
    fn is_strict(self) -> bool {
        matches!(self, Reach::Public | Reach::PublicOrNear)
    }

    fn covers(self, ip: IpAddr) -> bool {
        match (self, ip.to_canonical()) {
            (Reach::Anywhere, _) => true,
            (Reach::Public, _) => region(ip) == Region::Public,
            (Reach::PublicOrNear, _) => region(ip) == Region::Public || region(ip).is_near(),
            (_, ip) if ip.is_loopback() => true,
            (Reach::Loopback, _) => false,
            // RFC 1918, and the shared space of RFC 6598, where overlay networks live. Link-local
            // addresses are left out: clouds hand out credentials there.
            (Reach::Private, IpAddr::V4(ip)) => {
                let [first, second, ..] = ip.octets();
                ip.is_private() || first == 100 && (64..128).contains(&second)
            }
            (Reach::Private, IpAddr::V6(ip)) => ip.is_unique_local(),
        }
    }
}

/// Where a URL leads.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Endpoint {
    /// A name, or an address without brackets.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// Whether TLS comes first.
    pub secure: bool,
    /// Which addresses are allowed.
    pub reach: Reach,
}

impl Endpoint {
    /// The endpoint of `url`, whose scheme must be one of `plain` and `secure` (`"ws"`, `"wss"`).
    /// Without TLS only loopback may be reached.
    ///
    /// # Errors
    /// [`DialFault::Forbidden`]: not a URL, or one with another scheme or with a password in it.
    pub fn of(url: &Uri, plain: &str, secure: &str) -> Result<Endpoint, DialFault> {
        let is_secure = match url.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case(secure) => true,
            Some(scheme) if scheme.eq_ignore_ascii_case(plain) => false,
            _ => return Err(DialFault::Forbidden),
        };
        let authority = url.authority().ok_or(DialFault::Forbidden)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(DialFault::Forbidden);
        }
        let default_port = if is_secure { 443 } else { 80 };
        Ok(Endpoint {
            host: host.to_ascii_lowercase().into(),
            port: authority.port_u16().unwrap_or(default_port),
            secure: is_secure,
            reach: if is_secure { Reach::Anywhere } else { Reach::Loopback },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &'static str) -> Result<Endpoint, DialFault> {
        Endpoint::of(&Uri::from_static(url), "ws", "wss")
    }

    #[test]
    fn what_is_not_encrypted_stays_near() {
        let near = |ip: &str| Reach::Private.covers(ip.parse().unwrap());
        for ip in ["127.0.0.1", "::1", "192.168.1.2", "172.18.0.3", "10.0.0.1", "100.64.0.1"] {
            assert!(near(ip), "{ip}");
        }
        assert!(near("fd00::1") && near("::ffff:10.0.0.1"));
        for ip in ["8.8.8.8", "169.254.169.254", "100.128.0.1", "2001:db8::1", "fe80::1"] {
            assert!(!near(ip), "{ip}");
        }
        assert!(!Reach::Loopback.covers("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_a_stranger_asks_for_is_dialled_only_if_all_its_addresses_are_public() {
        use crate::rt::executor;
        use dns::Resolver;
        let dialled = |reach: Reach, ips: &'static [&'static str]| {
            executor::run(|spawner| async move {
                let lookup = |_: &str| Ok(ips.iter().filter_map(|ip| ip.parse().ok()).collect());
                let options = NetOptions::default();
                let net = Net::with(&spawner, &options, Resolver::with(lookup)).unwrap();
                let host = "tricky.example".into();
                let endpoint = Endpoint { host, port: 1, secure: false, reach };
                net.connect(&endpoint, &Cell::new(Phase::Resolve)).await.map(drop)
            })
        };
        for ips in [
            &["127.0.0.1"][..],
            &["::1"],
            &["10.0.0.1"],
            &["169.254.169.254"],
            &["::ffff:127.0.0.1"],
            &["64:ff9b::7f00:1"],
            &["0.0.0.0"],
            &["::"],
            &["fd00::1"],
            &["224.0.0.1"],
            // One that is public does not excuse the other.
            &["8.8.8.8", "127.0.0.1"],
            &["192.168.0.1", "2606:4700::1"],
        ] {
            assert_eq!(dialled(Reach::Public, ips), Err(DialFault::Forbidden), "{ips:?}");
        }
        // It is dialled, and nobody listens.
        assert_eq!(dialled(Reach::PublicOrNear, &["127.0.0.1"]), Err(DialFault::Refused));
        for ips in [&["169.254.169.254"][..], &["::ffff:127.0.0.1"], &["0.0.0.0"], &["fe80::1"]] {
            assert_eq!(dialled(Reach::PublicOrNear, ips), Err(DialFault::Forbidden), "{ips:?}");
        }
    }

    #[test]
    fn urls_lead_where_they_say() {
        let discord = endpoint("wss://Gateway.discord.gg/?v=10").unwrap();
        assert_eq!((&*discord.host, discord.port), ("gateway.discord.gg", 443));
        assert!(discord.secure && discord.reach == Reach::Anywhere);
        let local = endpoint("ws://[::1]:8080").unwrap();
        assert_eq!((&*local.host, local.port), ("::1", 8080));
        assert!(!local.secure && local.reach == Reach::Loopback);
        for url in ["http://example.org/", "/path", "wss://user:pw@example.org/"] {
            assert_eq!(endpoint(url), Err(DialFault::Forbidden), "{url}");
        }
    }
}
