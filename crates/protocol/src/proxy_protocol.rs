//! The PROXY protocol, versions 1 and 2: what stands before the first byte of a connection and says from
//! where and to where it was made, before somebody in between made it anew.

use alloc::vec::Vec;
use core::fmt::Write as _;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use leno_model::view::ProxyVersion;

use crate::octets::Text;

/// What stands before a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyHead {
    /// Who made it, and to whom.
    From {
        /// The client.
        source: SocketAddr,
        /// What it connected to.
        destination: SocketAddr,
    },
    /// Nobody says: the one in between made it for itself (`LOCAL`), or does not know (`UNKNOWN`,
    /// `AF_UNSPEC`) or cannot say it in addresses (Unix sockets). It counts for who it is.
    Unsaid,
}

/// Why the first bytes are no such head.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoProxyHead {
    /// They are something else.
    #[error("the connection does not begin with a head of the PROXY protocol")]
    Absent,
    /// They begin as one, and break its rules.
    #[error("the head of the PROXY protocol is malformed: {0}")]
    Malformed(&'static str),
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const WORD: &[u8] = b"PROXY ";

/// The longest line of version 1, with its end (section 2.1).
const MOST_V1: usize = 107;

/// The most that may stand behind the sixteen bytes of version 2: addresses and what is said beside them.
const MOST_V2: usize = 4 * 1024;

impl ProxyHead {
    /// The most bytes that [`Self::read`] needs.
    pub const MOST: usize = 16 + MOST_V2;

    /// Reads the front of `bytes`, with which a connection begins, and says how many it took; `None` as
    /// long as more are needed.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, NoProxyHead> {
        if begins(bytes, SIGNATURE) {
            return read_v2(bytes);
        }
        if begins(bytes, WORD) {
            return read_v1(bytes);
        }
        Err(NoProxyHead::Absent)
    }
}

/// Whether `bytes` begin with `word`, as far as they go.
fn begins(bytes: &[u8], word: &[u8]) -> bool {
    let common = bytes.len().min(word.len());
    bytes.get(..common) == word.get(..common)
}

fn read_v1(bytes: &[u8]) -> Result<Option<(ProxyHead, usize)>, NoProxyHead> {
    let malformed = NoProxyHead::Malformed;
    let window = bytes.get(..MOST_V1).unwrap_or(bytes);
    let Some(end) = window.iter().position(|octet| *octet == b'\n') else {
        return match window.len() < MOST_V1 {
            true => Ok(None),
            false => Err(malformed("its line has no end")),
        };
    };
    let line = window.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| core::str::from_utf8(line).ok());
    let line = line.ok_or(malformed("its line does not end with CR LF"))?;
    let read = end.saturating_add(1);
    let mut words = line.split(' ').skip(1);
    let said = match words.next() {
        // Whatever else stands there is to be ignored.
        Some("UNKNOWN") => return Ok(Some((ProxyHead::Unsaid, read))),
        Some("TCP4") => v1_addresses(words, |text| text.parse().ok().map(IpAddr::V4)),
        Some("TCP6") => v1_addresses(words, |text| text.parse().ok().map(IpAddr::V6)),
        Some(_) | None => return Err(malformed("it names no protocol that there is")),
    };
    let said = said.ok_or(malformed("its addresses cannot be read"))?;
    Ok(Some((said, read)))
}

fn v1_addresses<'a>(
    mut words: impl Iterator<Item = &'a str>,
    ip: impl Fn(&str) -> Option<IpAddr>,
) -> Option<ProxyHead> {
    let (source, destination) = (ip(words.next()?)?, ip(words.next()?)?);
    let (from, to) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then_some(ProxyHead::From {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(destination, to),
    })
}

/// A port as it is written there: in decimal, without a sign or leading zeros.
fn port(text: &str) -> Option<u16> {
    let plain = text == "0" || text.starts_with(|first: char| matches!(first, '1'..='9'));
    text.parse().ok().filter(|_| plain)
}

fn read_v2(bytes: &[u8]) -> Result<Option<(ProxyHead, usize)>, NoProxyHead> {
    let malformed = NoProxyHead::Malformed;
    let Some((head, behind)) = bytes.split_first_chunk::<16>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MOST_V2 {
        return Err(malformed("it is longer than anybody needs"));
    }
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(malformed("its version or command is none that there is")),
    };
    let Some(content) = behind.get(..length) else {
        return Ok(None);
    };
    let said = match family {
        _ if is_local => Some(ProxyHead::Unsaid),
        0x11 => v2_addresses::<4>(content, |octets| Ipv4Addr::from(octets).into()),
        0x21 => v2_addresses::<16>(content, |octets| Ipv6Addr::from(octets).into()),
        0x00 | 0x31 | 0x32 => Some(ProxyHead::Unsaid),
        0x12 | 0x22 => return Err(malformed("it speaks of datagrams")),
        _ => return Err(malformed("it names no family that there is")),
    };
    let said = said.ok_or(malformed("it is shorter than its addresses"))?;
    Ok(Some((said, length.saturating_add(16))))
}

/// The addresses at the front of `content`. What is said behind them is passed over.
fn v2_addresses<const OCTETS: usize>(
    content: &[u8],
    ip: impl Fn([u8; OCTETS]) -> IpAddr,
) -> Option<ProxyHead> {
    let (source, rest) = content.split_first_chunk::<OCTETS>()?;
    let (destination, rest) = rest.split_first_chunk::<OCTETS>()?;
    let (from, rest) = rest.split_first_chunk::<2>()?;
    let (to, _) = rest.split_first_chunk::<2>()?;
    Some(ProxyHead::From {
        source: SocketAddr::new(ip(*source), u16::from_be_bytes(*from)),
        destination: SocketAddr::new(ip(*destination), u16::from_be_bytes(*to)),
    })
}

/// Writes what is to stand before a connection that is made anew for `source`, who connected to
/// `destination`. Addresses of two families are both written as those of the larger one.
pub fn write_proxy_head(
    version: ProxyVersion,
    source: SocketAddr,
    destination: SocketAddr,
    out: &mut Vec<u8>,
) {
    let (from, to) = (source.port(), destination.port());
    let pair = (source.ip().to_canonical(), destination.ip().to_canonical());
    match version {
        ProxyVersion::V1 => {
            let text = &mut Text(out);
            let written = match pair {
                (IpAddr::V4(source), IpAddr::V4(destination)) => {
                    write!(text, "PROXY TCP4 {source} {destination} {from} {to}\r\n")
                }
                (source, destination) => {
                    let (source, destination) = (v6(source), v6(destination));
                    write!(text, "PROXY TCP6 {source} {destination} {from} {to}\r\n")
                }
            };
            written.expect("a Vec takes any text");
        }
        ProxyVersion::V2 => {
            out.extend_from_slice(SIGNATURE);
            match pair {
                (IpAddr::V4(source), IpAddr::V4(destination)) => {
                    out.extend_from_slice(&[0x21, 0x11, 0, 12]);
                    out.extend_from_slice(&source.octets());
                    out.extend_from_slice(&destination.octets());
                }
                (source, destination) => {
                    out.extend_from_slice(&[0x21, 0x21, 0, 36]);
                    out.extend_from_slice(&v6(source).octets());
                    out.extend_from_slice(&v6(destination).octets());
                }
            }
            out.extend_from_slice(&from.to_be_bytes());
            out.extend_from_slice(&to.to_be_bytes());
        }
    }
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(bytes: &[u8]) -> String {
        match ProxyHead::read(bytes) {
            Ok(None) => "more".to_owned(),
            Ok(Some((ProxyHead::Unsaid, taken))) => format!("unsaid in {taken}"),
            Ok(Some((
                ProxyHead::From {
                    source,
                    destination,
                },
                taken,
            ))) => format!("{source} to {destination} in {taken}"),
            Err(NoProxyHead::Absent) => "absent".to_owned(),
            Err(NoProxyHead::Malformed(why)) => why.to_owned(),
        }
    }

    fn v2(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, content].concat()
    }

    #[test]
    fn version_1_is_one_strict_line() {
        let unreadable = "its addresses cannot be read";
        for (line, expect) in [
            (
                "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\nGET",
                "1.2.3.4:9 to 5.6.7.8:10 in 33",
            ),
            (
                "PROXY TCP6 ::1 2001:db8::2 65535 0\r\n",
                "[::1]:65535 to [2001:db8::2]:0 in 36",
            ),
            ("PROXY UNKNOWN\r\n", "unsaid in 15"),
            ("PROXY UNKNOWN whatever it is\r\n", "unsaid in 30"),
            ("PROXY TCP4 1.2.3.4 5.6.7.8 9 10", "more"),
            ("PRO", "more"),
            ("", "more"),
            (
                "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\n",
                "its line does not end with CR LF",
            ),
            ("PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n", unreadable),
            ("PROXY TCP4 1.2.3.4 5.6.7.8 9 10 11\r\n", unreadable),
            ("PROXY TCP4 1.2.3.4  5.6.7.8 9 10\r\n", unreadable),
            ("PROXY TCP4 ::1 ::2 9 10\r\n", unreadable),
            ("PROXY TCP6 1.2.3.4 5.6.7.8 9 10\r\n", unreadable),
            ("PROXY TCP4 1.2.3.4 5.6.7.8 +9 10\r\n", unreadable),
            ("PROXY TCP4 1.2.3.4 5.6.7.8 09 10\r\n", unreadable),
            ("PROXY TCP4 1.2.3.4 5.6.7.8 65536 10\r\n", unreadable),
            (
                "PROXY UDP4 1.2.3.4 5.6.7.8 9 10\r\n",
                "it names no protocol that there is",
            ),
            ("PROXY \r\n", "it names no protocol that there is"),
            ("GET / HTTP/1.1\r\n", "absent"),
            ("proxy TCP4 1.2.3.4 5.6.7.8 9 10\r\n", "absent"),
        ] {
            assert_eq!(story(line.as_bytes()), expect, "{line:?}");
        }
        let long = format!("PROXY UNKNOWN {}", "x".repeat(93));
        assert_eq!(story(long.as_bytes()), "its line has no end");
        assert_eq!(story(&long.as_bytes()[..106]), "more");
    }

    #[test]
    fn version_2_says_its_length_and_what_is_beside_the_addresses_is_passed_over() {
        let four = [1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 0, 10];
        let tlv = [&four[..], &[0x03, 0, 4, 1, 2, 3, 4]].concat();
        let none = "its version or command is none that there is";
        for (bytes, expect) in [
            (v2(0x21, 0x11, &four), "1.2.3.4:9 to 5.6.7.8:10 in 28"),
            (v2(0x21, 0x11, &tlv), "1.2.3.4:9 to 5.6.7.8:10 in 35"),
            (v2(0x21, 0x21, &[0; 36]), "[::]:0 to [::]:0 in 52"),
            (v2(0x20, 0x00, &[]), "unsaid in 16"),
            (v2(0x20, 0x11, &four), "unsaid in 28"),
            (v2(0x21, 0x00, &[7; 5]), "unsaid in 21"),
            (v2(0x21, 0x31, &[0; 216]), "unsaid in 232"),
            (
                v2(0x21, 0x11, &four[..11]),
                "it is shorter than its addresses",
            ),
            (v2(0x21, 0x21, &four), "it is shorter than its addresses"),
            (v2(0x21, 0x12, &four), "it speaks of datagrams"),
            (v2(0x21, 0x41, &four), "it names no family that there is"),
            (v2(0x22, 0x11, &four), none),
            (v2(0x11, 0x11, &four), none),
            (
                v2(0x21, 0x11, &[0; 5000]),
                "it is longer than anybody needs",
            ),
            (v2(0x21, 0x11, &four)[..27].to_vec(), "more"),
            (SIGNATURE[..3].to_vec(), "more"),
            (b"\r\n\r\n\0\r\nQUIX\n".to_vec(), "absent"),
        ] {
            assert_eq!(story(&bytes), expect, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (source, destination) in [
            ("1.2.3.4:5", "6.7.8.9:10"),
            ("[2001:db8::1]:5", "[2001:db8::2]:10"),
            ("[::ffff:1.2.3.4]:5", "6.7.8.9:10"),
            ("1.2.3.4:5", "[2001:db8::2]:10"),
        ] {
            for version in [ProxyVersion::V1, ProxyVersion::V2] {
                let mut out = Vec::new();
                let (from, to) = (source.parse().unwrap(), destination.parse().unwrap());
                write_proxy_head(version, from, to, &mut out);
                let canonical = |at: SocketAddr| (at.ip().to_canonical(), at.port());
                let read = ProxyHead::read(&out);
                let Ok(Some((
                    ProxyHead::From {
                        source,
                        destination,
                    },
                    taken,
                ))) = read
                else {
                    panic!("{read:?}");
                };
                assert_eq!(canonical(source), canonical(from));
                assert_eq!(canonical(destination), canonical(to));
                assert_eq!(taken, out.len());
            }
        }
    }
}
