//! An `AddressKind` says what kind of network an address belongs to. A name that resolves to an address inside the operator's
//! own network is how a guest would be made to attack it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `AddressKind` orders addresses by who is reached at them, from the least to the most delicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// The address belongs to anybody on the Internet.
    Public,
    /// The address belongs to the operator's network: RFC 1918, RFC 4193, RFC 6598 (carrier-grade NAT), RFC 2544.
    Private,
    /// The address belongs to this machine.
    Loopback,
    /// The address is link-local, of cloud metadata, multicast, unspecified or reserved: nothing that a name stands
    /// for.
    Special,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressKind::Public => "public",
            AddressKind::Private => "private",
            AddressKind::Loopback => "loopback",
            AddressKind::Special => "link-local, metadata or reserved",
        })
    }
}

pub fn kind(address: IpAddr) -> AddressKind {
    match address.to_canonical() {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

/// These metadata services stand outside of 169.254.0.0/16: Alibaba Cloud, Azure.
const METADATA_V4: [Ipv4Addr; 2] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
];

/// These metadata services stand within RFC 4193: Google, Scaleway. Amazon has several in fd00:ec2::/32.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

fn v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        [127, ..] => AddressKind::Loopback,
        _ if METADATA_V4.contains(&address) => AddressKind::Special,
        [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [224..=255, ..] => AddressKind::Special,
        [10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        | [198, 18..=19, ..] => AddressKind::Private,
        _ => AddressKind::Public,
    }
}

fn v6(address: Ipv6Addr) -> AddressKind {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [first, second] = high.to_be_bytes();
        let [third, fourth] = low.to_be_bytes();
        v4(Ipv4Addr::new(first, second, third, fourth))
    };
    match (a, b, c) {
        _ if address == Ipv6Addr::LOCALHOST => AddressKind::Loopback,
        _ if address == Ipv6Addr::UNSPECIFIED => AddressKind::Special,
        _ if METADATA_V6.contains(&address) => AddressKind::Special,
        (0xfd00, 0xec2, _) => AddressKind::Special,
        // IPv4 in disguise: RFC 4291 compatible, RFC 6052 NAT64, RFC 3056 6to4.
        (0, 0, 0) if (d, e, f) == (0, 0, 0) => embedded(g, h),
        (0x64, 0xff9b, 0) if (d, e, f) == (0, 0, 0) => embedded(g, h),
        (0x2002, _, _) => embedded(b, c),
        // NAT64 of one's own (RFC 8215), Teredo (RFC 4380), discard (RFC 6666).
        (0x64, 0xff9b, _) | (0x2001, 0, _) | (0x100, 0, 0) => AddressKind::Special,
        (0xfc00..=0xfdff, ..) => AddressKind::Private,
        // Global unicast is 2000::/3; link-local, site-local and multicast lie beyond.
        (0x2000..=0x3fff, ..) => AddressKind::Public,
        _ => AddressKind::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_whatever_they_are_dressed_as() {
        for (kind_expected, addresses) in [
            (
                AddressKind::Public,
                &[
                    "1.1.1.1",
                    "2606:4700::1111",
                    "::ffff:1.1.1.1",
                    "64:ff9b::101:101",
                ][..],
            ),
            (
                AddressKind::Private,
                &[
                    "10.0.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "100.64.0.1",
                    "fd12::1",
                    "::ffff:10.0.0.1",
                    "64:ff9b::a00:1",
                    "2002:a00:1::",
                ],
            ),
            (
                AddressKind::Loopback,
                &[
                    "127.0.0.1",
                    "127.8.8.8",
                    "::1",
                    "::ffff:127.0.0.1",
                    "::127.0.0.1",
                ],
            ),
            (
                AddressKind::Special,
                &[
                    "0.0.0.0",
                    "::",
                    "169.254.169.254",
                    "::ffff:169.254.169.254",
                    "100.100.100.200",
                    "fd00:ec2::254",
                    "fd00:ec2::23",
                    "fe80::1",
                    "fec0::1",
                    "ff02::1",
                    "224.0.0.1",
                    "255.255.255.255",
                    "2001::1",
                    "64:ff9b:1::1",
                ],
            ),
        ] {
            for text in addresses {
                assert_eq!(kind(text.parse().unwrap()), kind_expected, "{text}");
            }
        }
    }
}
