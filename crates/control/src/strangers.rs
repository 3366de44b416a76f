//! Those who have proven nothing yet: how many of them there may be, in all and of one address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many there may be at a time.
const MOST: usize = 256;

/// How many of one address: nobody alone keeps all others out.
const MOST_OF_ADDRESS: usize = MOST / 2;

/// Who is there.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<BTreeMap<IpAddr, usize>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Stranger {
    all: Arc<Strangers>,
    from: IpAddr,
}

impl Strangers {
    /// Lets one in who comes from `address`, if there is room.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Stranger> {
        let from = shared(address);
        let mut there = self.there();
        let of_address = there.get(&from).copied().unwrap_or_default();
        if of_address >= MOST_OF_ADDRESS || there.values().sum::<usize>() >= MOST {
            return None;
        }
        there.insert(from, of_address.saturating_add(1));
        let all = Arc::clone(self);
        Some(Stranger { all, from })
    }

    fn there(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut there = self.all.there();
        let others = there.get(&self.from).map_or(0, |all| all.saturating_sub(1));
        match others {
            0 => there.remove(&self.from),
            _ => there.insert(self.from, others),
        };
    }
}

/// What all addresses have in common that one host may choose from: of IPv6 it is given a whole block (RFC 6177).
fn shared(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let block = address.to_bits() & (u128::MAX << 64);
            Ipv6Addr::from_bits(block).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_alone_keeps_all_others_out() {
        let strangers = Arc::new(Strangers::default());
        let enter = |address: &str| strangers.enter(address.parse().unwrap());
        let first: Vec<_> = (0..MOST_OF_ADDRESS).map(|_| enter("10.0.0.1")).collect();
        assert!(first.iter().all(Option::is_some));
        assert!(enter("10.0.0.1").is_none());
        assert!(enter("::ffff:10.0.0.1").is_none());

        let mut others: Vec<_> = (0..MOST_OF_ADDRESS)
            .map(|place| enter(&format!("fd00::{place:x}")))
            .collect();
        assert!(others.iter().all(Option::is_some), "of one block");
        assert!(enter("10.0.0.2").is_none(), "all places are taken");

        others.pop();
        assert!(enter("10.0.0.2").is_some());
        drop((first, others));
        assert!(strangers.there().is_empty());
    }
}
