//! The capture rules of an enclosure: loaded once, and kept in step with where the application listens.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{
    Layout, Step,
    keeper::{at, failed},
    message::Report,
};
use crate::{
    capture::{LOCAL_PORTS, LOCAL_PORTS_6, UDP_REFUSED, capture_rules, local_ports},
    nft::{LoadError, Netfilter, Ruleset},
};

pub(super) struct Rules {
    netfilter: Netfilter,
    ruleset: Ruleset,
    /// What they take for the application's loopback ports.
    local: [BTreeSet<u16>; 2],
}

impl Rules {
    /// Loads those of `layout`.
    pub(super) fn load(layout: &Layout) -> Result<Self, Report> {
        let ruleset = capture_rules(layout);
        let netfilter = Netfilter::open().map_err(at(Step::Rules))?;
        netfilter
            .load(&ruleset)
            .map_err(|refused| failed(Step::Rules, refused.errno, &refused.part))?;
        Ok(Self {
            netfilter,
            ruleset,
            local: Default::default(),
        })
    }

    /// How many datagrams they have refused, if that can be seen.
    pub(super) fn refused(&self) -> Option<u64> {
        self.netfilter.packets(&self.ruleset, UDP_REFUSED).ok()
    }

    /// Takes the application to listen on exactly these addresses from here on.
    pub(super) fn keep(&mut self, listening: &BTreeSet<SocketAddr>) -> Result<(), LoadError> {
        let sets = [LOCAL_PORTS, LOCAL_PORTS_6];
        let local = local_ports(listening);
        for ((set, held), wanted) in sets.iter().zip(&mut self.local).zip(local) {
            let add = wanted.difference(held).copied().collect();
            let remove = held.difference(&wanted).copied().collect();
            self.netfilter
                .change_set(&self.ruleset, set, &add, &remove)?;
            *held = wanted;
        }
        Ok(())
    }
}
