//! Whose calls go to what somebody declares at an address.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::name::Namespace;
use crate::role::SYSTEM;
use crate::view::access::IpBlock;

/// The namespace whose calls to `address` go to what an object of `owner` declares there; `None` if those of
/// all do. What is declared for a caller's namespace goes before what is for all.
///
/// An address of a private network is the mesh's for whoever calls. Any other may be somebody's on the
/// Internet, or the caller's own host or cloud, and nobody makes it his for others by writing that it is: it is
/// so for callers of his own namespace, and for all where the owners of the mesh say so.
pub fn reach(owner: &Namespace, address: IpAddr) -> Option<&Namespace> {
    let is_of_all = owner.as_str() == SYSTEM || is_private(address);
    (!is_of_all).then_some(owner)
}

/// Whether an address is of a private network, of this host or of nobody: neither of the Internet, nor of the
/// link, nor one at which a cloud tells machines their secrets.
fn is_private(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_in = |of, bits| IpBlock::new(of, bits).is_some_and(|block| block.contains(address));
    !tells_secrets(address) && PRIVATE.iter().any(|(of, bits)| is_in(*of, *bits))
}

/// Whether an address, not one of the link, is known as one at which a cloud tells machines their secrets.
pub fn tells_secrets(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => CLOUDS_V4.contains(&v4),
        IpAddr::V6(v6) => CLOUDS_V6.contains(&v6),
    }
}

/// Of Azure, Alibaba and Oracle.
const CLOUDS_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// Of AWS, Google, Oracle and Scaleway.
const CLOUDS_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    Ipv6Addr::new(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042),
];

const PRIVATE: [(IpAddr, u8); 9] = [
    // RFC 1918.
    (v4(10, 0), 8),
    (v4(172, 16), 12),
    (v4(192, 168), 16),
    // RFC 6598: shared by carriers, and by clouds for clusters.
    (v4(100, 64), 10),
    // RFC 2544: for measuring.
    (v4(198, 18), 15),
    (v4(127, 0), 8),
    // Virtual addresses of services.
    (v4(240, 0), 4),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    // RFC 4193.
    (v6(0xfc00), 7),
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
            ("mallory", "127.0.0.1", true),
            // The link, and clouds that answer at private addresses.
            ("mallory", "169.254.169.254", false),
            ("mallory", "::ffff:169.254.169.254", false),
            ("shop", "169.254.169.254", true),
            ("leno-system", "169.254.169.254", true),
            ("mallory", "fe80::1", false),
            ("mallory", "fd00:ec2::254", false),
            ("mallory", "100.100.100.200", false),
            ("mallory", "100.100.100.201", true),
        ] {
            let address = address.parse().unwrap();
            let owner = namespace(owner);
            let reach = reach(&owner, address);
            let taken = reach.is_none_or(|namespace| namespace.as_str() == "shop");
            assert_eq!(taken, takes, "{owner} {address}");
        }
    }
}
