//! Which addresses a workload was told that names have: what ties the name that a connection says to
//! the address that it goes to.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use leno_model::address::tells_secrets;
use leno_model::view::access::IpBlock;
use leno_model::{HostName, Mono};

use crate::outside::{Host, Said};

/// What one workload was told of names, and by when it should ask again.
#[derive(Debug, Default)]
pub struct Told {
    names: BTreeMap<IpAddr, BTreeMap<HostName, Entry>>,
    /// The oldest first.
    order: BTreeMap<u64, (IpAddr, HostName)>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    until: Mono,
    place: u64,
}

impl Told {
    /// How many pairs of a name and an address are remembered: beyond that the oldest is forgotten.
    pub const MOST: usize = 2048;

    /// How many names of one address are remembered: every call there asks for them.
    pub const MOST_AT_ONE: usize = 32;

    /// For how long beyond its time an answer ties: programs look up once, and connect again and again.
    pub const GRACE: Duration = Duration::from_secs(10 * 60);

    /// The longest time that is taken from an answer.
    pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

    /// Remembers that `name` was told to have `address` for `ttl`. Addresses that lead back inside
    /// ([`leads_inside`]) are not remembered. Says whether the oldest had to be forgotten for it.
    pub fn tell(&mut self, name: &HostName, address: IpAddr, ttl: Duration, now: Mono) -> bool {
        let address = address.to_canonical();
        if leads_inside(address) {
            return false;
        }
        let until = now + ttl.min(Self::LONGEST) + Self::GRACE;
        let place = self.next;
        self.next += 1;
        let names = self.names.entry(address).or_default();
        let before = names.insert(name.clone(), Entry { until, place });
        if let Some(before) = before {
            self.order.remove(&before.place);
        }
        let here = names.values().map(|entry| entry.place);
        let oldest = match names.len() > Self::MOST_AT_ONE {
            true => here.min(),
            false => None,
        };
        self.order.insert(place, (address, name.clone()));
        let is_full = self.order.len() > Self::MOST;
        let oldest = oldest.or_else(|| {
            let (oldest, _) = self.order.first_key_value()?;
            is_full.then_some(*oldest)
        });
        oldest.is_some_and(|place| self.forget(place))
    }

    /// What is known of the host at `address`, of which a connection says this. Where it says a name that was
    /// told, that alone: of others at the address nothing is asked then.
    pub fn host(&self, address: IpAddr, said: Said, now: Mono) -> Host {
        let names = self.names.get(&address.to_canonical());
        let is_live = |entry: &Entry| entry.until > now;
        let told = match &said {
            Said::Name(name) if names.and_then(|it| it.get(name)).is_some_and(is_live) => {
                [name.clone()].into()
            }
            Said::Name(_) | Said::Nothing | Said::NoName => {
                let live = names.into_iter().flatten();
                let live = live.filter(|(_, entry)| is_live(entry));
                live.map(|(name, _)| name.clone()).collect()
            }
        };
        Host { told, said }
    }

    /// Whether there was something to forget.
    fn forget(&mut self, place: u64) -> bool {
        let Some((address, name)) = self.order.remove(&place) else {
            return false;
        };
        if let Some(names) = self.names.get_mut(&address) {
            names.remove(&name);
            if names.is_empty() {
                self.names.remove(&address);
            }
        }
        true
    }
}

/// Whether an address means the caller's own machine, its link, or what only the mesh gives a meaning: no
/// name makes it a host outside. So an answer that points there (DNS rebinding) opens nothing.
pub fn leads_inside(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let of_address = match address {
        IpAddr::V4(_) => is_within(&INSIDE_V4, address, 32),
        IpAddr::V6(v6) => {
            let embedded = embedded(v6).map(IpAddr::from);
            is_within(&INSIDE_V6, address, 128) || embedded.is_some_and(leads_inside)
        }
    };
    of_address || tells_secrets(address)
}

/// Whether every address of a block leads inside, so that no name leads there. Of blocks of IPv6 that
/// hold addresses of IPv4 it is not asked.
pub(crate) fn all_lead_inside(block: &IpBlock) -> bool {
    let (address, bits) = (block.address(), block.bits());
    let (is_inside, one) = match address {
        IpAddr::V4(_) => (is_within(&INSIDE_V4, address, bits), 32),
        IpAddr::V6(_) => (is_within(&INSIDE_V6, address, bits), 128),
    };
    is_inside || bits == one && tells_secrets(address)
}

/// An address, how many of its bits count, and what is there.
type Inside<A> = (A, u8, &'static str);

const INSIDE_V4: [Inside<Ipv4Addr>; 5] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this host"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "the link"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (
        Ipv4Addr::new(240, 0, 0, 0),
        4,
        "virtual addresses of services, broadcast",
    ),
];

const INSIDE_V6: [Inside<Ipv6Addr>; 5] = [
    (Ipv6Addr::UNSPECIFIED, 128, "this host"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "the link"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
    (
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0),
        48,
        "translators of a site (RFC 8215)",
    ),
];
/// Whether a block is within one of those of `table`.
fn is_within<A: Copy + Into<IpAddr>>(table: &[Inside<A>], address: IpAddr, bits: u8) -> bool {
    table.iter().any(|(of, length, _)| {
        let of = IpBlock::new((*of).into(), *length);
        bits >= *length && of.is_some_and(|of| of.contains(address))
    })
}

/// The address of IPv4 that one of IPv6 stands for: to a translator (RFC 6052 section 2.1), in 6to4 (RFC
/// 3056 section 2), or as one that is compatible (RFC 4291 section 2.5.5.1).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [0, 0, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::{
        format,
        string::{String, ToString},
        vec::Vec,
    };

    use super::*;

    fn host(name: &str) -> HostName {
        HostName::new(name).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at(seconds: u64) -> Mono {
        Mono::default() + Duration::from_secs(seconds)
    }

    /// What is told of an address, in words.
    fn told(told: &Told, address: &str, now: Mono) -> Vec<String> {
        let host = told.host(ip(address), Said::Nothing, now);
        host.told.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_answer_ties_for_its_time_and_some_grace() {
        let mut told_all = Told::default();
        let minute = Duration::from_secs(60);
        told_all.tell(&host("api.example"), ip("192.0.2.1"), minute, at(0));
        told_all.tell(&host("cdn.example"), ip("192.0.2.1"), minute, at(100));
        told_all.tell(&host("v6.example"), ip("2001:db8::1"), minute, at(0));
        assert_eq!(
            told(&told_all, "192.0.2.1", at(659)),
            ["api.example", "cdn.example"]
        );
        assert_eq!(told(&told_all, "192.0.2.1", at(660)), ["cdn.example"]);
        assert_eq!(
            told(&told_all, "::ffff:192.0.2.1", at(660)),
            ["cdn.example"]
        );
        assert_eq!(told(&told_all, "2001:db8::1", at(1)), ["v6.example"]);
        assert!(told(&told_all, "192.0.2.2", at(1)).is_empty());
        // Asked again, it ties anew.
        told_all.tell(&host("api.example"), ip("192.0.2.1"), minute, at(600));
        assert_eq!(
            told(&told_all, "192.0.2.1", at(700)),
            ["api.example", "cdn.example"]
        );
        // A time without measure is one day.
        told_all.tell(&host("api.example"), ip("192.0.2.9"), Duration::MAX, at(0));
        assert!(told(&told_all, "192.0.2.9", at(86_400 + 600)).is_empty());
    }

    #[test]
    fn a_flood_of_names_forgets_the_oldest_and_no_more() {
        let mut told_all = Told::default();
        let hour = Duration::from_secs(3600);
        told_all.tell(&host("first.example"), ip("192.0.2.1"), hour, at(0));
        told_all.tell(&host("second.example"), ip("192.0.2.2"), hour, at(0));
        for place in 0..Told::MOST - 1 {
            let name = host(&format!("n{place}.example"));
            let address = format!("198.51.100.{}", place / Told::MOST_AT_ONE);
            told_all.tell(&name, ip(&address), hour, at(1));
        }
        assert!(told(&told_all, "192.0.2.1", at(1)).is_empty());
        assert_eq!(told(&told_all, "192.0.2.2", at(1)), ["second.example"]);
        // Who is told again is not old.
        told_all.tell(&host("second.example"), ip("192.0.2.2"), hour, at(1));
        told_all.tell(&host("last.example"), ip("192.0.2.4"), hour, at(1));
        assert_eq!(told(&told_all, "192.0.2.2", at(1)), ["second.example"]);
        assert_eq!(told_all.order.len(), Told::MOST);
        let pairs: usize = told_all.names.values().map(BTreeMap::len).sum();
        assert_eq!(pairs, Told::MOST);
    }

    #[test]
    fn a_flood_of_names_at_one_address_forgets_its_own() {
        let mut told_all = Told::default();
        let hour = Duration::from_secs(3600);
        let mut tell = |name: &str, address: &str| {
            told_all.tell(&host(name), ip(address), hour, at(0));
        };
        tell("other.example", "192.0.2.2");
        for place in 0..Told::MOST_AT_ONE {
            tell(&format!("n{place}.example"), "192.0.2.1");
        }
        // Told again, it is no longer the oldest.
        tell("n0.example", "192.0.2.1");
        assert!(told_all.tell(&host("last.example"), ip("192.0.2.1"), hour, at(0)));
        let names = told(&told_all, "192.0.2.1", at(0));
        assert_eq!(names.len(), Told::MOST_AT_ONE);
        let has = |name: &str| names.iter().any(|known| known == name);
        assert!(has("last.example") && has("n0.example") && !has("n1.example"));
        assert_eq!(told(&told_all, "192.0.2.2", at(0)), ["other.example"]);
        assert_eq!(told_all.order.len(), Told::MOST_AT_ONE + 1);
    }

    #[test]
    fn of_a_name_that_is_said_and_was_told_no_other_is_known() {
        let mut told_all = Told::default();
        let minute = Duration::from_secs(60);
        for name in ["a.example", "b.example"] {
            told_all.tell(&host(name), ip("192.0.2.1"), minute, at(0));
        }
        let known = |said: &str, now| {
            let host = told_all.host(ip("192.0.2.1"), Said::of(said), now);
            assert_eq!(host.said, Said::of(said));
            host.told
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(known("b.example", at(1)), ["b.example"]);
        assert_eq!(known("c.example", at(1)), ["a.example", "b.example"]);
        assert_eq!(known("192.0.2.1", at(1)), ["a.example", "b.example"]);
        assert!(known("b.example", at(660)).is_empty());
    }

    #[test]
    fn no_name_leads_inside() {
        for inside in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "240.0.0.7",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "::127.0.0.1",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "ff02::1",
        ] {
            let mut told_all = Told::default();
            told_all.tell(
                &host("evil.example"),
                ip(inside),
                Duration::from_secs(60),
                at(0),
            );
            assert!(told(&told_all, inside, at(0)).is_empty(), "{inside}");
        }
        for outside in [
            "10.0.0.1",
            "192.168.1.1",
            "93.184.216.34",
            "2001:db8::1",
            "fd12::1",
            "168.63.129.17",
            "2002:c000:0201::1",
            "64:ff9b::192.0.2.1",
        ] {
            assert!(!leads_inside(ip(outside)), "{outside}");
        }
    }
}
