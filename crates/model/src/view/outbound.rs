//! Calls to hosts outside the mesh: which of them a workload may make, as its own proxy enforces it.

use alloc::{sync::Arc, vec::Vec};

use crate::origin::Origin;
use crate::view::access::{Effect, IpBlock, Stance};
use crate::view::route::HostMatch;

/// All rules about the calls that one workload makes to hosts outside the mesh, gathered from every
/// policy that targets it. Calls to services of the mesh are decided by whoever is called, but for
/// [`OutboundRule::holds_everywhere`].
///
/// The verdict, in this order: a deny rule that matches denies; an allow rule that matches allows; else
/// `default` decides, and where nobody says one, [`crate::view::Settings::unknown_destinations`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outbound {
    /// The rules that decide, in no order that matters.
    pub rules: Vec<Arc<OutboundRule>>,
    /// The rules that only tell what they match.
    pub audits: Vec<Arc<OutboundRule>>,
    /// What holds for hosts that no rule speaks of, and who said so.
    pub default: Option<(Stance, Origin)>,
}

impl Outbound {
    /// Whether no policy says anything.
    pub fn is_unsaid(&self) -> bool {
        self.rules.is_empty() && self.audits.is_empty() && self.default.is_none()
    }

    /// Whether a rule asks for the name of a host.
    pub fn asks_names(&self) -> bool {
        let mut rules = self.rules.iter().chain(&self.audits);
        rules.any(|rule| !rule.hosts.is_empty())
    }
}

/// One rule about calls to hosts outside the mesh: all parts that are not empty must match, each by one
/// of its entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboundRule {
    /// The rule in the object: `AccessPolicy shop/checkout /spec/outbound/rules/0`.
    pub origin: Origin,
    /// What follows when it matches. Whom a rule allows leaves nobody else out.
    pub effect: Effect,
    /// The names of hosts, in lower case.
    pub hosts: Vec<HostMatch>,
    /// The addresses that are called.
    pub blocks: Vec<IpBlock>,
    /// The ports that are called.
    pub ports: Vec<u16>,
}

impl OutboundRule {
    /// Whether it denies, by address or port alone, also what somebody declares to be of the mesh and no
    /// proxy answers for: nobody makes a host his by writing that it is.
    pub fn holds_everywhere(&self) -> bool {
        let denies = matches!(
            self.effect,
            Effect::Deny | Effect::Ring | Effect::NotUnderstood
        );
        // One of which nothing could be read is about hosts outside alone.
        let says = !self.blocks.is_empty() || !self.ports.is_empty();
        denies && self.hosts.is_empty() && says
    }
}
