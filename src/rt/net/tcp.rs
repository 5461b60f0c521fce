//! TCP connections: whichever address answers first, and options that notice a dead peer.
//!
//! Happy Eyeballs (RFC 8305): the families take turns, each address gets a head start over the
//! next, and the family that worked last for a host goes first the next time.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use rustix::net::sockopt;
use smol::Async;

use crate::base::Instant;
use crate::base::end::DialFault;
use crate::base::limits::{
    HAPPY_EYEBALLS_DELAY, HOSTS_REMEMBERED_MAX, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL,
    KEEPALIVE_PROBES, TCP_USER_TIMEOUT,
};
use crate::rt::clock;

/// How a connection notices that the other side is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpOptions {
    /// Silence before the first keepalive probe.
    pub keepalive_idle: Duration,
    /// Between probes.
    pub keepalive_interval: Duration,
    /// Probes without an answer that end the connection; 0 switches keepalive off.
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

impl TcpOptions {
    /// Sets these, and `TCP_NODELAY`, on `socket`. One that the kernel does not know stays unset: a
    /// connection that notices its end later is better than none.
    pub fn apply(&self, socket: &TcpStream) {
        let timeout_ms = u32::try_from(self.user_timeout.as_millis()).unwrap_or(u32::MAX);
        let _ = sockopt::set_tcp_nodelay(socket, true);
        let _ = sockopt::set_tcp_user_timeout(socket, timeout_ms);
        if self.keepalive_probes == 0 {
            return;
        }
        let _ = sockopt::set_tcp_keepidle(socket, self.keepalive_idle);
        let _ = sockopt::set_tcp_keepintvl(socket, self.keepalive_interval);
        let _ = sockopt::set_tcp_keepcnt(socket, self.keepalive_probes);
        let _ = sockopt::set_socket_keepalive(socket, true);
    }
}

/// Makes the coming close of `socket` a reset: what is queued is thrown away, and the other side
/// learns of it at once.
pub fn reset_on_drop(socket: &TcpStream) {
    // A socket that cannot be told is broken already.
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// Which family worked last for which host; the newest entry is last.
#[derive(Debug, Default)]
pub struct Families(RefCell<Vec<(Box<str>, bool)>>);

impl Families {
    fn was_v6(&self, host: &str) -> Option<bool> {
        self.0.borrow().iter().find(|(known, _)| **known == *host).map(|&(_, v6)| v6)
    }

    fn remember(&self, host: &str, v6: bool) {
        let mut known = self.0.borrow_mut();
        known.retain(|(other, _)| **other != *host);
        if known.len() >= HOSTS_REMEMBERED_MAX {
            known.remove(0);
        }
        known.push((host.into(), v6));
    }
}

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
    let (addr, stream) = race(interleave(addrs, families.was_v6(host))).await?;
    families.remember(host, addr.is_ipv6());
    options.apply(stream.get_ref());
    Ok(stream)
}

/// The families in turn, that of the first address first, or the one that worked last time.
fn interleave(addrs: &[SocketAddr], prefer_v6: Option<bool>) -> Vec<SocketAddr> {
    let first_v6 = prefer_v6.unwrap_or_else(|| addrs.first().is_some_and(SocketAddr::is_ipv6));
    let of = |v6| addrs.iter().copied().filter(move |addr: &SocketAddr| addr.is_ipv6() == v6);
    let (mut one, mut other) = (of(first_v6), of(!first_v6));
    let mut order = Vec::with_capacity(addrs.len());
    while order.len() < addrs.len() {
        order.extend(one.next());
        order.extend(other.next());
    }
    order
}

type Attempt = Pin<Box<dyn Future<Output = (SocketAddr, io::Result<Async<TcpStream>>)>>>;

/// Starts one attempt after the other, each as soon as the one before has failed or has had its
/// head start. The first to succeed wins, and the rest are dropped.
async fn race(order: Vec<SocketAddr>) -> Result<(SocketAddr, Async<TcpStream>), DialFault> {
    let mut waiting = order.into_iter();
    let mut running: Vec<Attempt> = Vec::new();
    let mut fault = DialFault::NoRoute;
    loop {
        match waiting.next() {
            Some(addr) => running
                .push(Box::pin(async move { (addr, Async::<TcpStream>::connect(addr).await) })),
            None if running.is_empty() => return Err(fault),
            None => {}
        }
        let next_start = match waiting.len() {
            0 => Instant(u64::MAX),
            _ => clock::now() + HAPPY_EYEBALLS_DELAY,
        };
        match clock::timeout(next_start, first_of(&mut running)).await {
            Some((addr, Ok(stream))) => return Ok((addr, stream)),
            Some((_, Err(error))) => fault = more_alive(fault, dial_fault(&error)),
            None => {}
        }
    }
}

/// The first attempt that is over; it is taken out of the list.
async fn first_of(running: &mut Vec<Attempt>) -> (SocketAddr, io::Result<Async<TcpStream>>) {
    poll_fn(|cx| {
        for place in 0..running.len() {
            if let Poll::Ready(outcome) = running[place].as_mut().poll(cx) {
                drop(running.swap_remove(place));
                return Poll::Ready(outcome);
            }
        }
        Poll::Pending
    })
    .await
}

/// What an error of connecting means.
fn dial_fault(error: &io::Error) -> DialFault {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => DialFault::Refused,
        // The last two: no address of that family here, or a firewall of our own.
        Kind::NetworkUnreachable
        | Kind::HostUnreachable
        | Kind::NetworkDown
        | Kind::AddrNotAvailable
        | Kind::PermissionDenied => DialFault::NoRoute,
        _ => DialFault::Lost,
    }
}

fn more_alive(a: DialFault, b: DialFault) -> DialFault {
    let life = |fault| match fault {
        DialFault::NoRoute => 0,
        DialFault::Lost => 1,
        _ => 2,
    };
    if life(b) > life(a) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, TcpListener};

    fn loopback(listener: &TcpListener) -> SocketAddr {
        listener.local_addr().unwrap()
    }

    /// An address at which nothing listens.
    fn refusing() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        loopback(&listener)
    }

    fn dial(addrs: &[SocketAddr]) -> Result<Async<TcpStream>, DialFault> {
        let (families, options) = (Families::default(), TcpOptions::default());
        let patience = clock::now() + Duration::from_secs(20);
        let connecting = connect("example.org", addrs, &families, &options);
        smol::block_on(clock::timeout(patience, connecting)).unwrap()
    }

    #[test]
    fn families_take_turns() {
        let v4 = |n| SocketAddr::new(Ipv4Addr::new(192, 0, 2, n).into(), 1);
        let v6 = |n: u16| SocketAddr::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]), 1);
        let addrs = [v6(1), v6(2), v6(3), v4(1)];
        assert_eq!(interleave(&addrs, None), [v6(1), v4(1), v6(2), v6(3)]);
        assert_eq!(interleave(&addrs, Some(false)), [v4(1), v6(1), v6(2), v6(3)]);
        assert_eq!(interleave(&[v4(2), v4(1)], Some(true)), [v4(2), v4(1)]);
        assert_eq!(interleave(&[], None), []);
    }

    #[test]
    fn one_that_answers_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = dial(&[refusing(), refusing(), loopback(&listener)]).unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), loopback(&listener));
    }

    #[test]
    fn a_black_hole_holds_up_nobody_for_long() {
        // With a backlog of 0 and one connection in it, further SYNs are dropped.
        let hole = rustix::net::socket(
            rustix::net::AddressFamily::INET,
            rustix::net::SocketType::STREAM,
            None,
        )
        .unwrap();
        rustix::net::bind(&hole, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        rustix::net::listen(&hole, 0).unwrap();
        let hole = TcpListener::from(hole);
        let _in_the_way = TcpStream::connect(loopback(&hole)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = dial(&[loopback(&hole), loopback(&listener)]).unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), loopback(&listener));
    }

    #[test]
    fn faults_are_told_apart() {
        assert_eq!(dial(&[refusing()]).unwrap_err(), DialFault::Refused);
        assert_eq!(dial(&[]).unwrap_err(), DialFault::NoRoute);
        let fault = |errno: rustix::io::Errno| dial_fault(&errno.into());
        assert_eq!(fault(rustix::io::Errno::NETUNREACH), DialFault::NoRoute);
        assert_eq!(fault(rustix::io::Errno::HOSTUNREACH), DialFault::NoRoute);
        assert_eq!(fault(rustix::io::Errno::TIMEDOUT), DialFault::Lost);
        assert_eq!(more_alive(DialFault::NoRoute, DialFault::Refused), DialFault::Refused);
        assert_eq!(more_alive(DialFault::Refused, DialFault::Lost), DialFault::Refused);
    }

    #[test]
    fn every_option_reaches_the_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = dial(&[loopback(&listener)]).unwrap();
        let (socket, wanted) = (stream.get_ref(), TcpOptions::default());
        assert!(sockopt::tcp_nodelay(socket).unwrap());
        assert!(sockopt::socket_keepalive(socket).unwrap());
        assert_eq!(sockopt::tcp_keepidle(socket).unwrap(), wanted.keepalive_idle);
        assert_eq!(sockopt::tcp_keepintvl(socket).unwrap(), wanted.keepalive_interval);
        assert_eq!(sockopt::tcp_keepcnt(socket).unwrap(), wanted.keepalive_probes);
        assert_eq!(sockopt::tcp_user_timeout(socket).unwrap(), 20_000);
    }

    #[test]
    fn the_family_that_worked_is_remembered_within_bounds() {
        let families = Families::default();
        for n in 0..HOSTS_REMEMBERED_MAX * 2 {
            families.remember(&n.to_string(), n % 2 == 1);
        }
        assert_eq!(families.0.borrow().len(), HOSTS_REMEMBERED_MAX);
        let last = HOSTS_REMEMBERED_MAX * 2 - 1;
        assert_eq!(families.was_v6(&last.to_string()), Some(true));
        assert_eq!(families.was_v6("0"), None);
    }
}
