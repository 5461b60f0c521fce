//! By which name and addresses others may reach this host.

use std::net::{IpAddr, Ipv4Addr};

/// This host's name, without a domain; `None` if it has none.
#[must_use]
pub fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = name.split('.').next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!name.is_empty() && name != "localhost" && name.bytes().all(is_plain)).then(|| name.to_owned())
}

/// The IPv4 addresses by which others may reach this host, the one towards the world first. They
/// are taken from the kernel's table of routes, so that nothing is asked of anybody.
#[must_use]
pub fn addresses() -> Vec<Ipv4Addr> {
    let towards_the_world = std::net::UdpSocket::bind("0.0.0.0:0").ok().and_then(|socket| {
        // Nothing is sent: the kernel is asked which address it would send from.
        socket.connect("192.0.2.1:9").ok()?;
        match socket.local_addr().ok()?.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    });
    let table = std::fs::read_to_string("/proc/self/net/fib_trie").unwrap_or_default();
    let mut found: Vec<Ipv4Addr> = towards_the_world.into_iter().chain(local(&table)).collect();
    found.retain(|address| !address.is_loopback() && !address.is_unspecified());
    // One that a host gives itself for want of another is the last to be tried.
    found.sort_by_key(Ipv4Addr::is_link_local);
    let mut each = Vec::new();
    for address in found {
        if !each.contains(&address) {
            each.push(address);
        }
    }
    each
}

/// The addresses in the kernel's table of routes that are this host's own.
fn local(table: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut last = None;
    table.lines().filter_map(move |line| match line.trim() {
        "/32 host LOCAL" => last,
        line => {
            if let Some(address) = line.strip_prefix("|-- ") {
                last = address.parse().ok();
            }
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A board with a cable, and an engine of containers.
    const TABLE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     +-- 192.168.1.0/24 2 0 2
        +-- 192.168.1.0/27 2 0 2
           |-- 192.168.1.0
              /24 link UNICAST
           |-- 192.168.1.17
              /32 host LOCAL
        |-- 192.168.1.255
           /32 link BROADCAST
     |-- 172.17.0.1
        /32 host LOCAL
";

    #[test]
    fn the_table_of_routes_tells_what_is_our_own() {
        let found: Vec<String> = local(TABLE).map(|address| address.to_string()).collect();
        assert_eq!(found, ["127.0.0.1", "192.168.1.17", "172.17.0.1"]);
        assert_eq!(local("rubbish\n|-- x\n/32 host LOCAL").count(), 0);
    }

    #[test]
    fn loopback_is_nobodys_way_here_and_none_is_told_twice() {
        let mut found = addresses();
        assert!(found.iter().all(|address| !address.is_loopback()), "{found:?}");
        let count = found.len();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), count);
    }
}
