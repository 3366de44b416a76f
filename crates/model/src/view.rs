//! What one proxy knows: a plain, immutable value, adopted whole.
//!
//! `compile` makes it, `wire` carries it, `traffic` decides by it. All choices that do not depend on
//! the moment are made already: routes stand in order of precedence, access rules are gathered
//! per workload port, and what the spec lets be wrong is a variant that says so.

pub mod access;
pub mod isolation;
pub mod outbound;
pub mod pod;
pub mod probe;
pub mod route;
pub mod service;
pub mod telemetry;

use alloc::{collections::BTreeMap, collections::BTreeSet, sync::Arc, vec::Vec};
use core::fmt;
use core::str::FromStr;

pub use access::{
    Access, AccessRule, CallerMatch, ClaimMatch, Effect, Except, FieldMatch, FieldValue, Mtls,
    RequestMatch, Stance, Within,
};
pub use isolation::{AddressBlock, At, Egress, Ingress, Isolation, Leave, Peers};
pub use outbound::{Outbound, OutboundRule};
pub use pod::{LeftOut, NameServers, OwnProcess, Pod, Resolver};
pub use probe::{Check, Probe};
pub use route::{
    Action, Backend, Cors, HeaderChanges, HeaderMatch, HostMatch, HttpMatch, Mirror, Named,
    PathMatch, PathRewrite, Redirect, Retry, Rewrite, Route, Routes, Rule, SiteMatch, Split,
    TextMatch,
};
pub use service::{
    Budget, Endpoint, EndpointSlice, Locality, PortRef, Protocol, Proxied, ProxyVersion, Service,
    ServicePort, State, Tuning, Workload, WorkloadId, WorkloadPort,
};
pub use telemetry::{
    AccessLog, Collector, LogFields, OtlpProtocol, Redaction, Signals, Telemetry, Tracing,
};

use crate::{Namespace, Origin, ServiceName, SpiffeId, TrustDomain};

/// Everything one proxy decides by. A function of the mesh, the proxy and its subscriptions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// Orders views: none is adopted over a later one.
    pub generation: Generation,
    /// What holds everywhere.
    pub settings: Arc<Settings>,
    /// The workloads this proxy stands in front of: one for a sidecar, many on a node.
    pub workloads: BTreeMap<WorkloadId, Arc<Workload>>,
    /// The pods of its node that have proxies of their own, and whose capture it keeps: those of the proxy of a node.
    pub sidecars: BTreeMap<WorkloadId, Arc<Pod>>,
    /// The services it may call, by name.
    pub services: BTreeMap<ServiceName, Arc<Service>>,
    /// Who answers for each service port, in slices of at most [`EndpointSlice::MOST`].
    pub endpoints: BTreeMap<PortRef, Vec<Arc<EndpointSlice>>>,
    /// Identities that are refused although their certificates are valid.
    pub revoked: Arc<BTreeSet<SpiffeId>>,
    /// The roots that prove identities, by trust domain, each an X.509 certificate in DER.
    pub bundles: BTreeMap<TrustDomain, Arc<Vec<Vec<u8>>>>,
    /// The keys that prove JWT-SVIDs, by trust domain, each a JWK Set.
    pub token_keys: BTreeMap<TrustDomain, Arc<str>>,
}

/// What a `Mesh` object says, with its defaults filled in. Each field says who wrote it through
/// [`Settings::origins`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Our own trust domain: short callers in policies mean this one.
    pub trust_domain: TrustDomain,
    /// What happens to calls to destinations that are not in the mesh.
    pub unknown_destinations: Unknown,
    /// Whether a policy says which hosts outside the mesh workloads may call: a proxy that knows no such
    /// policies lets none pass then.
    pub outbound_is_ruled: bool,
    /// Health checks from outside that are let in although they prove nothing.
    pub probes: Vec<Arc<Probe>>,
    /// Where proxies send what they have to tell.
    pub collector: Option<Arc<Collector>>,
    /// What is told of calls, where no service or workload says more.
    pub telemetry: Arc<Telemetry>,
    /// What becomes of pods while nobody answers what they get.
    pub while_away: WhileAway,
    /// Namespaces whose pods start before the proxy of their node was asked about them, beside those of the cluster and
    /// of the mesh themselves.
    pub unasked: BTreeSet<Namespace>,
    /// The namespaces that take part in the mesh, by their label or by a pod of theirs: told to the proxies of nodes alone,
    /// unless they are too many.
    pub taking_part: Option<Arc<BTreeSet<Namespace>>>,
    /// Who wrote each field that is not a default, by its name in `Mesh.spec`.
    pub origins: BTreeMap<Arc<str>, Origin>,
}

impl Settings {
    /// What holds in a mesh of this trust domain of which nothing else is said.
    pub fn new(trust_domain: TrustDomain) -> Self {
        Self {
            trust_domain,
            unknown_destinations: Unknown::Pass,
            outbound_is_ruled: false,
            probes: Vec::new(),
            collector: None,
            telemetry: Arc::default(),
            while_away: WhileAway::Closed,
            unasked: BTreeSet::new(),
            taking_part: None,
            origins: BTreeMap::new(),
        }
    }

    /// The most namespaces that the proxy of a node is told of.
    pub const MOST_TAKING_PART: usize = 4096;

    /// Whether a namespace is known to have nothing to do with the mesh.
    pub fn is_apart(&self, namespace: &Namespace) -> bool {
        let known = self.taking_part.as_ref();
        known.is_some_and(|known| !known.contains(namespace))
    }

    /// Who says what happens to unknown destinations, if somebody does.
    pub fn origin_of_unknown(&self) -> Option<&Origin> {
        self.origins.get(UNKNOWN_DESTINATIONS)
    }
}

/// The field of `Mesh.spec` that says what happens to unknown destinations.
pub const UNKNOWN_DESTINATIONS: &str = "unknownDestinations";

/// What happens to calls to destinations that are not in the mesh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// They go on as they were, in plain.
    Pass,
    /// They are refused.
    Refuse,
}

/// What becomes of a pod that is to be in the mesh while nobody answers what it gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhileAway {
    /// It is not made, or does not start.
    Closed,
    /// It runs without a part in the mesh.
    Open,
}

/// Orders the views of one proxy: an epoch that only a recovery raises, then a position per source.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Generation {
    /// Rises when a lost store is replaced; whatever its positions, a higher epoch is later.
    pub epoch: u64,
    /// How far each source had been read, by the source's name.
    pub positions: BTreeMap<Arc<str>, u64>,
}

impl Generation {
    /// Whether adopting `self` over `held` would take nothing back: a later epoch, or the same one
    /// and no source's position goes back.
    pub fn follows(&self, held: &Self) -> bool {
        if self.epoch != held.epoch {
            return self.epoch > held.epoch;
        }
        held.positions.iter().all(|(source, held)| {
            self.positions
                .get(source)
                .is_some_and(|position| position >= held)
        })
    }
}

/// What is no generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoGeneration;

/// Reads what `Display` wrote. A source's name may have spaces, and ends with its position.
impl FromStr for Generation {
    type Err = NoGeneration;

    fn from_str(text: &str) -> Result<Self, NoGeneration> {
        let (epoch, mut rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut positions = BTreeMap::new();
        while !rest.is_empty() {
            let (source, position, behind) = next_position(rest).ok_or(NoGeneration)?;
            positions.insert(Arc::from(source), position);
            rest = behind;
        }
        Ok(Self {
            epoch: epoch.parse().map_err(|_| NoGeneration)?,
            positions,
        })
    }
}

/// The first source, its position, and what stands behind them: the position is the first number that a
/// colon begins and a space, or nothing, ends.
fn next_position(text: &str) -> Option<(&str, u64, &str)> {
    text.match_indices(':').find_map(|(at, _)| {
        let (source, behind) = (text.get(..at)?, text.get(at + 1..)?);
        let (digits, behind) = behind.split_once(' ').unwrap_or((behind, ""));
        Some((source, digits.parse().ok()?, behind))
    })
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.epoch)?;
        for (source, position) in &self.positions {
            write!(f, " {source}:{position}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(epoch: u64, positions: &[(&str, u64)]) -> Generation {
        let positions = positions
            .iter()
            .map(|(source, at)| (Arc::from(*source), *at))
            .collect();
        Generation { epoch, positions }
    }

    #[test]
    fn a_generation_reads_as_it_is_written() {
        for told in [
            generation(1, &[]),
            generation(7, &[("store", 10)]),
            generation(
                2,
                &[
                    ("folder /etc/my mesh: v2", 4),
                    ("present", 3),
                    ("store", 10),
                ],
            ),
        ] {
            assert_eq!(told.to_string().parse(), Ok(told));
        }
        for bad in ["", "x", "1 store", "1 store:", "1 store:x"] {
            assert_eq!(bad.parse::<Generation>(), Err(NoGeneration), "{bad:?}");
        }
    }

    #[test]
    fn a_view_never_takes_anything_back() {
        let held = generation(1, &[("files", 4), ("store", 10)]);
        assert!(held.follows(&held));
        assert!(generation(1, &[("files", 4), ("store", 11)]).follows(&held));
        assert!(generation(1, &[("files", 4), ("store", 10), ("consul", 1)]).follows(&held));
        assert!(!generation(1, &[("files", 3), ("store", 99)]).follows(&held));
        assert!(!generation(1, &[("store", 99)]).follows(&held));
        assert!(generation(2, &[]).follows(&held));
        assert!(!generation(0, &[("files", 9), ("store", 99)]).follows(&held));
    }
}
