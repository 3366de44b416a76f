//! What of a recorded call decides what becomes of it.

use std::net::IpAddr;
use std::sync::Arc;

use leno_model::flow::{Facts, Kind, Side, What};
use leno_model::{Name, Namespace, ServiceName, SpiffeId, TrustDomain, Wall};

/// How many calls, and when they were over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// How many.
    pub count: u64,
    /// The first.
    pub first: Wall,
    /// The last.
    pub last: Wall,
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// Calls that a configuration cannot tell apart, as far as they were recorded.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Call {
    pub(crate) side: Side,
    pub(crate) from: Arc<str>,
    pub(crate) to: Arc<str>,
    pub(crate) port: u16,
    pub(crate) peer: Option<IpAddr>,
    /// The rule that took it: `HTTPRoute shop/cart rule 2`.
    pub(crate) route: Option<Arc<str>>,
    /// The method and the shape of the path; absent for streams of bytes.
    pub(crate) asked: Option<(Arc<str>, Arc<str>)>,
    /// What rules asked about it beside that.
    pub(crate) facts: Option<Facts>,
}

impl Call {
    pub(crate) fn of(kind: &Kind) -> Self {
        Self {
            side: kind.side,
            from: kind.from.clone(),
            to: kind.to.clone(),
            port: kind.port,
            peer: kind.peer,
            route: kind.route.clone(),
            asked: match &kind.what {
                What::Requests { method, shape, .. } => Some((method.clone(), shape.clone())),
                What::Streams => None,
            },
            facts: kind.facts.clone(),
        }
    }

    /// The same whatever was kept of it.
    pub(crate) fn without_facts(&self) -> Self {
        Self {
            facts: None,
            ..self.clone()
        }
    }

    /// Who called, if that was proven: identities of the mesh's own trust domain are told without it.
    pub(crate) fn caller(&self, own: &TrustDomain) -> Option<SpiffeId> {
        let (before, account) = self.from.rsplit_once('/')?;
        let (domain, namespace) = match before.split_once('/') {
            Some((domain, namespace)) => (TrustDomain::new(domain).ok()?, namespace),
            None => (own.clone(), before),
        };
        Some(SpiffeId {
            trust_domain: domain,
            namespace: Namespace::new(namespace).ok()?,
            service_account: Name::new(account).ok()?,
        })
    }

    /// The service that was called.
    pub(crate) fn service(&self) -> Option<ServiceName> {
        let (namespace, name) = self.to.split_once('/')?;
        let (namespace, name) = (Namespace::new(namespace).ok()?, Name::new(name).ok()?);
        Some(ServiceName::new(namespace, name))
    }

    /// Whether it is counted without telling who called whom: there were too many kinds.
    pub(crate) fn is_folded(&self) -> bool {
        *self.from == *Kind::OTHER || *self.to == *Kind::OTHER
    }
}
