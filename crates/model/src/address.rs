//! Whose calls go to what somebody declares at an address.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::name::Namespace;
use crate::role::SYSTEM;
use crate::view::access::IpBlock;

/// Whether calls of workloads of `caller` to `address` go to what an object of `owner` declares there.
///
/// An address of a private network is the mesh's for whoever calls. Any other may be somebody's on the
/// Internet, and nobody makes it his for others by writing that it is: it is so for callers of his own
/// namespace, and for all where the owners of the mesh say so.
pub fn takes_calls(owner: &Namespace, caller: &Namespace, address: IpAddr) -> bool {
    owner == caller || owner.as_str() == SYSTEM || is_private(address)
}

/// Whether an address is of a private network, of this host or of nobody: not one of the Internet.
pub fn is_private(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let mut blocks = PRIVATE.iter();
    blocks.any(|(of, bits)| IpBlock::new(*of, *bits).is_some_and(|block| block.contains(address)))
}

const PRIVATE: [(IpAddr, u8); 11] = [
    // RFC 1918.
    (v4(10, 0), 8),
    (v4(172, 16), 12),
    (v4(192, 168), 16),
    // RFC 6598: shared by carriers, and by clouds for clusters.
    (v4(100, 64), 10),
    // RFC 2544: for measuring.
    (v4(198, 18), 15),
    (v4(127, 0), 8),
    (v4(169, 254), 16),
    // Virtual addresses of services.
    (v4(240, 0), 4),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    // RFC 4193.
    (v6(0xfc00), 7),
    (v6(0xfe80), 10),
];

const fn v4(first: u8, second: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(first, second, 0, 0))
}

const fn v6(first: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_private_is_its_own_namespaces_alone() {
        let namespace = |name: &str| Namespace::new(name).unwrap();
        for (owner, address, takes) in [
            ("mallory", "203.0.113.5", false),
            ("mallory", "::ffff:203.0.113.5", false),
            ("mallory", "2001:db8::5", false),
            ("shop", "203.0.113.5", true),
            ("leno-system", "203.0.113.5", true),
            ("mallory", "10.1.2.3", true),
            ("mallory", "172.31.0.1", true),
            ("mallory", "172.32.0.1", false),
            ("mallory", "::ffff:192.168.0.1", true),
            ("mallory", "240.0.0.7", true),
            ("mallory", "fd00::7", true),
        ] {
            let address = address.parse().unwrap();
            let taken = takes_calls(&namespace(owner), &namespace("shop"), address);
            assert_eq!(taken, takes, "{owner} {address}");
        }
    }
}
