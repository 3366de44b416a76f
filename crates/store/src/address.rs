//! Virtual addresses: what a service's name resolves to where the service has no address of its own.
//!
//! A service keeps its addresses for as long as the store lives. Which ones it gets follows from
//! its name, so that a store that is lost and made anew hands out nearly all of them again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use leno_model::{Name, Namespace, ServiceName, Wall};
use rusqlite::{Connection, params};

use crate::columns::{Millis, damaged, sha256};
use crate::failed::Failed;
use crate::store::{Store, Written};
use crate::writing::{Writing, run};

impl Store {
    /// The virtual addresses of `services`, which are all there are at `now`.
    ///
    /// One that was seen before has the address it had. One that is missing keeps its address for
    /// 30 days, in case it comes back; only after that may another service get it. A service is
    /// left out only where a million others, missing ones included, have an address.
    pub fn addresses(
        &self,
        services: &BTreeSet<ServiceName>,
        now: Wall,
    ) -> Result<BTreeMap<ServiceName, VirtualAddress>, Failed> {
        self.write(|writing| {
            let mut book = read(writing)?;
            let steps = book.turn_to(services, now);
            for step in &steps {
                write(writing, step)?;
            }
            let given = book.given(services);
            Ok(match steps.is_empty() {
                true => Written::Nothing(given),
                false => Written::Quietly(given),
            })
        })
    }
}

/// One service's place in both ranges of virtual addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VirtualAddress(u32);

impl VirtualAddress {
    /// In 240.0.0.0/4, which nobody routes.
    pub fn v4(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(FIRST_V4 | self.0)
    }

    /// In fd6c:656e:6f00::/64. RFC 4193 wants the prefix random so that sites can be joined; these
    /// addresses never leave the host that asked for them, so one prefix serves all.
    pub fn v6(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(FIRST_V6 | u128::from(self.0))
    }

    /// The virtual address that `address` is, of either family.
    pub fn of(address: IpAddr) -> Option<Self> {
        let slot = match address {
            IpAddr::V4(v4) => v4.to_bits().checked_sub(FIRST_V4)?,
            IpAddr::V6(v6) => u32::try_from(v6.to_bits().checked_sub(FIRST_V6)?).ok()?,
        };
        Self::at(slot)
    }

    /// Slots whose address ends in 0 or 255 are not used: old software takes these for the
    /// addresses of a network and of its broadcast.
    fn at(slot: u32) -> Option<Self> {
        (slot < SLOTS && !matches!(slot & 0xff, 0 | 0xff)).then_some(Self(slot))
    }

    /// Where the search for a free slot begins.
    fn first_choice(service: &ServiceName) -> u32 {
        let [a, b, c, d, ..] = sha256(service.to_string().as_bytes());
        u32::from_be_bytes([a, b, c, d]) % SLOTS
    }
}

const FIRST_V4: u32 = 0xf000_0000;
const FIRST_V6: u128 = 0xfd6c_656e_6f00_0000_0000_0000_0000_0000;
const SLOTS: u32 = 1 << 28;

/// How long a missing service keeps its address. No answer lives that long in a cache that keeps
/// to its TTL; processes that resolve once and never again are rarely older.
const REST: Duration = Duration::from_secs(30 * 24 * 3600);

/// How many services may have an address, missing ones included.
const MOST: usize = 1 << 20;

/// Who has which address.
#[derive(Default)]
struct Book {
    entries: BTreeMap<ServiceName, Entry>,
    taken: BTreeSet<VirtualAddress>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    address: VirtualAddress,
    released: Option<Wall>,
}

/// What is to be written.
enum Step {
    Set(ServiceName, Entry),
    Forget(ServiceName),
}

impl Book {
    /// Notes which services there are, and gives an address to those that lack one.
    fn turn_to(&mut self, services: &BTreeSet<ServiceName>, now: Wall) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut forgotten = Vec::new();
        for (service, entry) in &mut self.entries {
            let released = match (services.contains(service), entry.released) {
                (true, _) => None,
                (false, None) => Some(now),
                (false, Some(released)) if now.since(released) > REST => {
                    forgotten.push(service.clone());
                    continue;
                }
                (false, released) => released,
            };
            if entry.released != released {
                entry.released = released;
                steps.push(Step::Set(service.clone(), *entry));
            }
        }
        for service in forgotten {
            if let Some(entry) = self.entries.remove(&service) {
                self.taken.remove(&entry.address);
            }
            steps.push(Step::Forget(service));
        }
        for service in services {
            if self.entries.contains_key(service) || self.entries.len() >= MOST {
                continue;
            }
            let entry = Entry {
                address: self.free_for(service),
                released: None,
            };
            self.taken.insert(entry.address);
            self.entries.insert(service.clone(), entry);
            steps.push(Step::Set(service.clone(), entry));
        }
        steps
    }

    fn free_for(&self, service: &ServiceName) -> VirtualAddress {
        let first = VirtualAddress::first_choice(service);
        (0..SLOTS)
            .filter_map(|offset| VirtualAddress::at((first + offset) % SLOTS))
            .find(|address| !self.taken.contains(address))
            .expect("there are more slots than entries")
    }

    fn given(&self, services: &BTreeSet<ServiceName>) -> BTreeMap<ServiceName, VirtualAddress> {
        let given = |service: &ServiceName| {
            let entry = self.entries.get(service)?;
            Some((service.clone(), entry.address))
        };
        services.iter().filter_map(given).collect()
    }
}

fn read(connection: &Connection) -> Result<Book, Failed> {
    let mut statement =
        connection.prepare_cached("SELECT namespace, name, slot, released FROM address")?;
    let mut rows = statement.query([])?;
    let mut book = Book::default();
    while let Some(row) = rows.next()? {
        let namespace: Box<str> = row.get(0)?;
        let name: Box<str> = row.get(1)?;
        let service = ServiceName::new(
            Namespace::new(&namespace).map_err(damaged)?,
            Name::new(&name).map_err(damaged)?,
        );
        let released: Option<Millis> = row.get(3)?;
        let entry = Entry {
            address: VirtualAddress::at(row.get(2)?)
                .ok_or_else(|| damaged("an address is outside of its range"))?,
            released: released.map(|Millis(at)| at),
        };
        book.taken.insert(entry.address);
        book.entries.insert(service, entry);
    }
    Ok(book)
}

fn write(writing: &Writing<'_>, step: &Step) -> Result<(), Failed> {
    match step {
        Step::Set(service, entry) => run(
            writing,
            "INSERT OR REPLACE INTO address VALUES (?1, ?2, ?3, ?4)",
            params![
                service.namespace.as_str(),
                service.name.as_str(),
                entry.address.0,
                entry.released.map(Millis)
            ],
        )?,
        Step::Forget(service) => run(
            writing,
            "DELETE FROM address WHERE namespace = ?1 AND name = ?2",
            params![service.namespace.as_str(), service.name.as_str()],
        )?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(text: &str) -> ServiceName {
        let (namespace, name) = text.split_once('/').unwrap();
        ServiceName::new(Namespace::new(namespace).unwrap(), Name::new(name).unwrap())
    }

    fn services(texts: &[&str]) -> BTreeSet<ServiceName> {
        texts.iter().map(|text| service(text)).collect()
    }

    fn day(number: u64) -> Wall {
        Wall::since_epoch(Duration::from_secs(number * 24 * 3600))
    }

    fn address(book: &Book, name: &str) -> Option<VirtualAddress> {
        Some(book.entries.get(&service(name))?.address)
    }

    #[test]
    fn both_families_say_the_same_and_are_read_back() {
        let address = VirtualAddress(0x0123_4567);
        assert_eq!(address.v4().to_string(), "241.35.69.103");
        assert_eq!(address.v6().to_string(), "fd6c:656e:6f00::123:4567");
        assert_eq!(VirtualAddress::of(address.v4().into()), Some(address));
        assert_eq!(VirtualAddress::of(address.v6().into()), Some(address));
        for other in [
            "10.0.0.1",
            "239.255.255.254",
            "240.0.0.0",
            "255.255.255.255",
            "fd6c:656e:6f01::1",
            "fd6c:656e:6f00::1000:1",
            "::1",
        ] {
            assert_eq!(VirtualAddress::of(other.parse().unwrap()), None, "{other}");
        }
    }

    #[test]
    fn an_address_follows_from_the_name_and_stays() {
        let (mut one, mut other) = (Book::default(), Book::default());
        one.turn_to(&services(&["shop/cart", "shop/web"]), day(0));
        other.turn_to(&services(&["shop/web"]), day(0));
        other.turn_to(&services(&["shop/cart", "shop/web"]), day(1));
        assert_eq!(address(&one, "shop/cart"), address(&other, "shop/cart"));
        assert_eq!(address(&one, "shop/web"), address(&other, "shop/web"));
        let steps = one.turn_to(&services(&["shop/cart", "shop/web"]), day(2));
        assert!(steps.is_empty(), "nothing changed, so nothing is written");
    }

    #[test]
    fn a_taken_slot_is_passed_over() {
        let mut book = Book::default();
        let wanted = VirtualAddress::first_choice(&service("shop/cart"));
        book.taken.extend(VirtualAddress::at(wanted));
        book.turn_to(&services(&["shop/cart"]), day(0));
        let given = address(&book, "shop/cart").unwrap();
        assert!(given.0 > wanted && given.0 <= wanted + 3, "{given:?}");
        assert!(!matches!(given.0 & 0xff, 0 | 0xff));
    }

    #[test]
    fn a_missing_service_keeps_its_address_while_it_could_be_cached() {
        let mut book = Book::default();
        book.turn_to(&services(&["shop/cart"]), day(0));
        let cart = address(&book, "shop/cart");
        book.turn_to(&services(&[]), day(1));
        book.turn_to(&services(&[]), day(30));
        assert_eq!(address(&book, "shop/cart"), cart);
        assert!(book.given(&services(&[])).is_empty());
        book.turn_to(&services(&["shop/cart"]), day(31));
        assert_eq!(address(&book, "shop/cart"), cart);
        book.turn_to(&services(&[]), day(40));
        book.turn_to(&services(&[]), day(69));
        assert_eq!(address(&book, "shop/cart"), cart, "it was back on day 31");
        book.turn_to(&services(&[]), day(71));
        assert_eq!(address(&book, "shop/cart"), None);
        assert!(book.taken.is_empty());
    }

    #[test]
    fn no_two_services_share_one() {
        let names: Vec<_> = (0..5_000).map(|n| format!("ns-{}/s-{n}", n % 7)).collect();
        let all = names.iter().map(|name| service(name)).collect();
        let mut book = Book::default();
        book.turn_to(&all, day(0));
        let given: BTreeSet<_> = book.given(&all).into_values().collect();
        assert_eq!(given.len(), 5_000);
    }
}
