//! Whose an internet address is: anybody's on the public internet, or somebody's in particular.
//!
//! By IANA's registries of special-purpose addresses (RFC 6890 and what has been added since). What
//! only carries another address inside (mapped, translated, tunnelled) is never taken for public:
//! it would be a second spelling of one that is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Region {
    /// A host of the public internet.
    Public,
    /// This machine.
    Loopback,
    /// A private network: RFC 1918, and unique local addresses (RFC 4193).
    Private,
    /// The space that providers share among customers (RFC 6598), where overlay networks live.
    Shared,
    /// The link that we are on. Clouds hand out credentials here.
    LinkLocal,
    /// Many hosts at once.
    Multicast,
    /// No host: unspecified, for documentation, for benchmarks, or not given to anybody yet.
    Reserved,
    /// An IPv6 address with one of IPv4 inside: mapped, compatible, NAT64, 6to4, Teredo.
    Embedded,
}

impl Region {
    /// Whether somebody may have put a server there that is meant to be asked: never true of what
    /// is not a host's own address.
    #[must_use]
    pub fn is_near(self) -> bool {
        matches!(self, Region::Loopback | Region::Private | Region::Shared)
    }

    /// It, in words that follow "an address".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Region::Public => "of the public internet",
            Region::Loopback => "of this machine itself",
            Region::Private => "of a private network",
            Region::Shared => "of a provider's or an overlay network",
            Region::LinkLocal => "of the local link",
            Region::Multicast => "of many hosts at once",
            Region::Reserved => "that is no host's",
            Region::Embedded => "with another one inside",
        }
    }
}

/// Where `ip` leads.
#[must_use]
pub fn region(ip: IpAddr) -> Region {
    match ip {
        IpAddr::V4(ip) => region_v4(ip),
        IpAddr::V6(ip) => region_v6(ip),
    }
}

fn region_v4(ip: Ipv4Addr) -> Region {
    match ip.octets() {
        [127, ..] => Region::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Region::Private,
        [100, 64..=127, ..] => Region::Shared,
        [169, 254, ..] => Region::LinkLocal,
        [224..=239, ..] => Region::Multicast,
        // "This network"; protocol assignments; documentation; the retired 6to4 relays;
        // benchmarks; what is reserved for ever, the broadcast address included.
        [0 | 240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Region::Reserved,
        _ => Region::Public,
    }
}

fn region_v6(ip: Ipv6Addr) -> Region {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Region::Reserved,
        [0, 0, 0, 0, 0, 0, 0, 1] => Region::Loopback,
        // Mapped, compatible, "IPv4-translated"; NAT64, also of a network's own choosing; Teredo
        // and 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, ..]
        | [0x2001, 0, ..]
        | [0x2002, ..] => Region::Embedded,
        [0xfc00..=0xfdff, ..] => Region::Private,
        [0xfe80..=0xfebf, ..] => Region::LinkLocal,
        [0xff00..=0xffff, ..] => Region::Multicast,
        // Protocol assignments; documentation, twice.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Region::Reserved,
        // All that has ever been given to anybody.
        [0x2000..=0x3fff, ..] => Region::Public,
        _ => Region::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Region::{Embedded, LinkLocal, Loopback, Multicast, Private, Public, Reserved, Shared};

    type Block = (&'static str, &'static str, Region, Option<Region>, Option<Region>);

    /// Every block of the registries by its first and last address, and the neighbours on both
    /// sides.
    const BLOCKS: &[Block] = &[
        ("0.0.0.0", "0.255.255.255", Reserved, None, Some(Public)),
        ("10.0.0.0", "10.255.255.255", Private, Some(Public), Some(Public)),
        ("100.64.0.0", "100.127.255.255", Shared, Some(Public), Some(Public)),
        ("127.0.0.0", "127.255.255.255", Loopback, Some(Public), Some(Public)),
        ("169.254.0.0", "169.254.255.255", LinkLocal, Some(Public), Some(Public)),
        ("172.16.0.0", "172.31.255.255", Private, Some(Public), Some(Public)),
        ("192.0.0.0", "192.0.0.255", Reserved, Some(Public), Some(Public)),
        ("192.0.2.0", "192.0.2.255", Reserved, Some(Public), Some(Public)),
        ("192.88.99.0", "192.88.99.255", Reserved, Some(Public), Some(Public)),
        ("192.168.0.0", "192.168.255.255", Private, Some(Public), Some(Public)),
        ("198.18.0.0", "198.19.255.255", Reserved, Some(Public), Some(Public)),
        ("198.51.100.0", "198.51.100.255", Reserved, Some(Public), Some(Public)),
        ("203.0.113.0", "203.0.113.255", Reserved, Some(Public), Some(Public)),
        ("224.0.0.0", "239.255.255.255", Multicast, Some(Public), Some(Reserved)),
        ("240.0.0.0", "255.255.255.255", Reserved, Some(Multicast), None),
        ("::", "::", Reserved, None, Some(Loopback)),
        ("::1", "::1", Loopback, Some(Reserved), Some(Embedded)),
        ("::2", "::ffff:ffff", Embedded, Some(Loopback), Some(Reserved)),
        ("::ffff:0.0.0.0", "::ffff:255.255.255.255", Embedded, Some(Reserved), Some(Reserved)),
        ("::ffff:0:0:0", "::ffff:0:255.255.255.255", Embedded, Some(Reserved), Some(Reserved)),
        ("64:ff9b::", "64:ff9b:ffff:ffff:ffff:ffff:ffff:ffff", Embedded, Some(Reserved), None),
        ("100::", "100::ffff:ffff:ffff:ffff", Reserved, None, None),
        ("2000::", "2000:ffff::", Public, None, None),
        ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Embedded, Some(Public), Some(Reserved)),
        ("2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, None, Some(Public)),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, Some(Public), None),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Embedded, Some(Public), Some(Public)),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Reserved, Some(Public), Some(Public)),
        ("4000::", "fbff::", Reserved, Some(Public), None),
        ("5f00::", "5f00:ffff::", Reserved, None, None),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Private, Some(Reserved), None),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LinkLocal, Some(Reserved), None),
        ("fec0::", "feff::", Reserved, Some(LinkLocal), None),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Multicast, Some(Reserved), None),
    ];

    fn step(ip: IpAddr, by: i8) -> IpAddr {
        match ip {
            IpAddr::V4(ip) => {
                Ipv4Addr::from_bits(ip.to_bits().wrapping_add_signed(by.into())).into()
            }
            IpAddr::V6(ip) => {
                Ipv6Addr::from_bits(ip.to_bits().wrapping_add_signed(by.into())).into()
            }
        }
    }

    #[test]
    fn every_block_of_the_registries_is_known_to_its_edges() {
        for &(first, last, expected, before, after) in BLOCKS {
            let (first, last): (IpAddr, IpAddr) = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!((region(first), region(last)), (expected, expected), "{first} {last}");
            let neighbours = [(step(first, -1), before), (step(last, 1), after)];
            for (ip, expected) in neighbours {
                assert!(expected.is_none_or(|expected| region(ip) == expected), "{ip}");
            }
        }
    }

    #[test]
    fn hosts_of_the_internet_are_public_however_near_their_numbers_are() {
        for ip in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "100.63.0.1",
            "169.253.0.1",
            "198.17.0.1",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "2400:cb00::1",
        ] {
            assert_eq!(region(ip.parse().unwrap()), Public, "{ip}");
        }
    }

    #[test]
    fn no_private_address_is_public_in_any_of_its_spellings_in_ipv6() {
        for v4 in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "8.8.8.8"] {
            let v4: Ipv4Addr = v4.parse().unwrap();
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            for inside in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low),
            ] {
                assert_eq!(region(inside.into()), Embedded, "{inside}");
            }
        }
        assert!(!Embedded.is_near() && !LinkLocal.is_near() && Shared.is_near());
    }
}
