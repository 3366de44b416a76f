//! Hosts: what may be one, and when two are the same.

use core::net::Ipv6Addr;

use crate::flaw::Flaw;

/// A host and perhaps a port, as in `Host` and in targets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Authority<'a> {
    /// A name or an address: case as sent, without a trailing dot, an IPv6 address in brackets.
    pub host: &'a str,
    /// The port, if one is named.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `cart`, `cart.shop.:8080`, `10.0.0.7:80` or `[fd00::1]:80`.
    ///
    /// A name is labels of letters, digits, `-` and `_`, at most 253 bytes. There is no user, no
    /// escape, no empty label and no empty port, so that no two servers read it differently.
    pub fn parse(text: &'a [u8]) -> Result<Self, Flaw> {
        let text = str::from_utf8(text).map_err(|_| Flaw::Host)?;
        let (host, port) = if text.starts_with('[') {
            let end = text.find(']').ok_or(Flaw::Host)?.saturating_add(1);
            let (host, rest) = text.split_at_checked(end).ok_or(Flaw::Host)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(port),
                None if rest.is_empty() => None,
                None => return Err(Flaw::Host),
            };
            address(host).ok_or(Flaw::Host)?;
            (host, port)
        } else {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            let host = host.strip_suffix('.').unwrap_or(host);
            if !is_name(host) {
                return Err(Flaw::Host);
            }
            (host, port)
        };
        Ok(Self {
            host,
            port: port.map(read_port).transpose()?,
        })
    }

    /// Whether both mean the same place; a port that is not named is `default_port`.
    pub fn is_same(&self, other: &Authority<'_>, default_port: u16) -> bool {
        self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
            && is_same_host(self.host, other.host)
    }
}

/// Whether two hosts are the same: names without regard to ASCII case and a trailing dot, IPv6
/// addresses by what they stand for.
pub fn is_same_host(one: &str, other: &str) -> bool {
    fn bare(host: &str) -> &str {
        host.strip_suffix('.').unwrap_or(host)
    }
    match (address(one), address(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => bare(one).eq_ignore_ascii_case(bare(other)),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The address in `[..]`.
fn address(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn is_name(name: &str) -> bool {
    let is_labelled = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    // In one pass: a dot stands between two of the others.
    let mut before = b'.';
    let parted = name.bytes().fold(true, |all, octet| {
        let part = match octet {
            b'.' => before != b'.',
            _ => is_labelled(octet),
        };
        before = octet;
        all & part
    });
    parted && before != b'.' && name.len() <= 253
}

fn read_port(text: &str) -> Result<u16, Flaw> {
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(Flaw::Host);
    }
    text.parse().map_err(|_| Flaw::Host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_reading() {
        let read = |text: &str| {
            Authority::parse(text.as_bytes())
                .map(|authority| (authority.host.to_owned(), authority.port))
        };
        for (text, host, port) in [
            ("cart", "cart", None),
            ("Cart.Shop:8080", "Cart.Shop", Some(8080)),
            ("cart.shop.", "cart.shop", None),
            ("cart.shop.:80", "cart.shop", Some(80)),
            ("my_db:5432", "my_db", Some(5432)),
            ("10.0.0.7", "10.0.0.7", None),
            ("[::1]", "[::1]", None),
            ("[fd00::1]:65535", "[fd00::1]", Some(65535)),
        ] {
            assert_eq!(read(text), Ok((host.to_owned(), port)), "{text:?}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "a.b..",
            "a .b",
            ":80",
            "cart:",
            "cart:+80",
            "cart:65536",
            "cart:0x50",
            "cart:80:80",
            "user@cart",
            "cart/",
            "cart?",
            "cart#",
            "cart\\",
            "ca rt",
            "cart,web",
            "c%61rt",
            "käse",
            "[::1",
            "[::1]80",
            "[::1].",
            "[::1]:",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "::1",
            "[]",
            "cart\0",
        ] {
            assert_eq!(read(bad), Err(Flaw::Host), "{bad:?}");
        }
        assert!(read(&"a".repeat(253)).is_ok());
        assert!(read(&"a".repeat(254)).is_err());
    }

    #[test]
    fn hosts_are_compared_by_what_they_mean() {
        for (one, other) in [
            ("cart", "CART"),
            ("cart.shop", "cart.shop."),
            ("[::1]", "[0:0:0:0:0:0:0:1]"),
            ("[FD00::1]", "[fd00::0001]"),
        ] {
            assert!(
                is_same_host(one, other) && is_same_host(other, one),
                "{one} {other}"
            );
        }
        for (one, other) in [
            ("cart", "cart.shop"),
            ("[::1]", "[::2]"),
            ("[::1]", "::1"),
            ("cart", "cart.."),
        ] {
            assert!(!is_same_host(one, other), "{one} {other}");
        }
        let same = |one: &str, other: &str| {
            let (one, other) = (one.as_bytes(), other.as_bytes());
            Authority::parse(one)
                .unwrap()
                .is_same(&Authority::parse(other).unwrap(), 80)
        };
        assert!(same("cart", "CART.:80"));
        assert!(!same("cart", "cart:81"));
    }
}
