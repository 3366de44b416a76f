//! Blocks of addresses that rules name, and which of them have an address: found by its first bits, however many there are.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::net::IpAddr;

use leno_model::view::AddressBlock;
use leno_model::view::access::IpBlock;

/// Each of them once, in the order in which they were named.
#[derive(Default)]
pub(super) struct Blocks {
    all: Vec<AddressBlock>,
    /// The places of those of so many bits that begin there.
    by_bits: BTreeMap<u8, BTreeMap<IpAddr, Vec<usize>>>,
}

impl Blocks {
    /// The place of one.
    pub(super) fn place(&mut self, block: AddressBlock) -> usize {
        let firsts = self.by_bits.entry(block.block.bits()).or_default();
        let alike = firsts.entry(block.block.first()).or_default();
        let is_known = |place: &&usize| self.all.get(**place) == Some(&block);
        if let Some(known) = alike.iter().find(is_known) {
            return *known;
        }
        let place = self.all.len();
        alike.push(place);
        self.all.push(block);
        place
    }

    /// The places of those that have one of these addresses.
    pub(super) fn having(&self, addresses: &[IpAddr]) -> BTreeSet<usize> {
        let mut having = BTreeSet::new();
        for address in addresses.iter().map(|address| address.to_canonical()) {
            for (bits, firsts) in &self.by_bits {
                let around = IpBlock::new(address, *bits);
                let alike = around.and_then(|around| firsts.get(&around.first()));
                let has =
                    |place: &usize| self.all.get(*place).is_some_and(|it| it.contains(address));
                having.extend(alike.into_iter().flatten().copied().filter(has));
            }
        }
        having
    }

    pub(super) fn into_all(self) -> Vec<AddressBlock> {
        self.all
    }
}
