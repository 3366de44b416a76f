//! A part of a view: the unit that is named, hashed, sent and taken away.

mod access;
mod external;
mod isolation;
mod jwt;
mod mesh;
#[cfg(any(test, feature = "older"))]
pub mod older;
pub(crate) mod pod;
mod route;
mod service;
#[cfg(test)]
mod skew;
mod telemetry;
pub(crate) mod word;

use alloc::{
    boxed::Box, collections::BTreeMap, collections::BTreeSet, format, string::String, sync::Arc,
    vec::Vec,
};
use core::fmt;

use leno_model::view::{
    EndpointSlice, Generation, Pod, PortRef, Service, Settings, View, Workload, WorkloadId,
};
use leno_model::{SpiffeId, TrustDomain};
use prost::{Message as _, Oneof};
use sha2::{Digest as _, Sha256};

use crate::carried::{Carried, Misfit, required};

/// Features that change what a part means and that this build understands. A peer announces them
/// when it connects; the control plane names in a message's `needs` those it cannot do without.
pub const FEATURES: &[&str] = &[
    feature::ACCESS_CLAIMS,
    feature::ACCESS_CONDITION,
    feature::ACCESS_CONDITION_CLAIMS,
    feature::ACCESS_EXCEPT,
    feature::ACCESS_EXTERNAL,
    feature::ACCESS_HEADERS,
    feature::ACCESS_TEMPLATE,
    feature::ACCESS_TOKEN_COOKIES,
    feature::ACCESS_WITHIN,
    feature::ATTEMPT_TIMEOUT,
    feature::BACKEND_REWRITE,
    feature::CORS,
    feature::ISOLATION,
    feature::ISOLATION_EGRESS,
    feature::MIRROR,
    feature::PEERS,
    feature::RETRY_UNANSWERED,
    feature::SIDECARS,
    feature::TOKEN_KEYS,
];

/// The names of features.
pub mod feature {
    pub(super) const ACCESS_CLAIMS: &str = "access-claims";
    pub(super) const ACCESS_CONDITION: &str = "access-condition";
    pub(super) const ACCESS_CONDITION_CLAIMS: &str = "access-condition-claims";
    pub(super) const ACCESS_EXCEPT: &str = "access-except";
    pub(super) const ACCESS_EXTERNAL: &str = "access-external";
    pub(super) const ACCESS_HEADERS: &str = "access-headers";
    pub(super) const ACCESS_TEMPLATE: &str = "access-template";
    pub(super) const ACCESS_TOKEN_COOKIES: &str = "access-token-cookies";
    pub(super) const ACCESS_WITHIN: &str = "access-within";
    pub(super) const ATTEMPT_TIMEOUT: &str = "attempt-timeout";
    pub(super) const BACKEND_REWRITE: &str = "backend-rewrite";
    pub(super) const CORS: &str = "cors";
    pub(super) const ISOLATION: &str = "isolation";
    pub(super) const ISOLATION_EGRESS: &str = "isolation-egress";
    pub(super) const MIRROR: &str = "mirror";
    /// It knows roots of other trust domains. A default of `Allow` lets nobody of those in.
    pub const PEERS: &str = "peers";
    pub(super) const RETRY_UNANSWERED: &str = "retry-unanswered";
    /// The proxy of a node keeps the capture of pods that have proxies of their own.
    pub const SIDECARS: &str = "sidecars";
    /// It knows the keys by which tokens of trust domains are proven.
    pub const TOKEN_KEYS: &str = "token-keys";
}

/// The features that this process understands: all of them, unless it plays an older one.
pub(crate) fn understood() -> impl Iterator<Item = &'static str> {
    FEATURES.iter().copied().filter(|feature| knows(feature))
}

/// Whether it is a feature that this process understands.
fn knows(feature: &str) -> bool {
    #[cfg(any(test, feature = "older"))]
    if older::is_lacked(feature) {
        return false;
    }
    FEATURES.contains(&feature)
}

/// Whether one of `needs` is a feature that this process does not understand.
fn lacks(needs: &[String]) -> bool {
    !needs.iter().all(|need| knows(need))
}

/// The name of a part: `service/shop/cart`, `endpoints/shop/cart/8080/0`, `settings`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartName(Arc<str>);

impl PartName {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The feature without which a proxy does not know this kind of part, and would refuse the view as
    /// a whole for it.
    pub(crate) fn feature(&self) -> Option<&'static str> {
        let kinds = [
            (TOKEN_KEYS, feature::TOKEN_KEYS),
            (PEERS, feature::PEERS),
            (SIDECARS, feature::SIDECARS),
        ];
        let kind = kinds.iter().find(|(kind, _)| self.0.starts_with(kind));
        kind.map(|(_, feature)| *feature)
    }
}

/// How the names of token keys begin.
const TOKEN_KEYS: &str = "token-keys/";

/// How the names of roots of other trust domains begin.
const PEERS: &str = "peer-bundle/";

/// How the names of pods begin that have proxies of their own.
const SIDECARS: &str = "sidecar/";

impl From<String> for PartName {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version of a part: the first 128 bits of its bytes' SHA-256, in hex on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version([u8; 16]);

impl Version {
    /// The version of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_digest(Sha256::new().chain_update(bytes))
    }

    /// The version of all that `digest` has taken.
    pub(crate) fn of_digest(digest: Sha256) -> Self {
        let digest = digest.finalize();
        let mut first = [0; 16];
        for (to, from) in first.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        Self(first)
    }

    /// Its bits.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the form of the wire.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = <&[u8; 32]>::try_from(text.as_bytes()).ok()?;
        let mut bytes = [0; 16];
        // One text for each version: lower case, and no sign.
        if !digits
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        {
            return None;
        }
        for (to, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = core::str::from_utf8(pair).ok()?;
            *to = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A part as bytes, with their version. A clone shares the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoded {
    version: Version,
    bytes: Arc<[u8]>,
}

impl Encoded {
    /// Takes the bytes of a part.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let version = Version::of(&bytes);
        Self { version, bytes }
    }

    /// The version of the bytes.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// One part of a view.
#[derive(Clone, PartialEq, Debug)]
pub enum Part {
    /// What holds everywhere.
    Settings(Arc<Settings>),
    /// A workload that the proxy stands in front of.
    Workload(Arc<Workload>),
    /// A service that it may call.
    Service(Arc<Service>),
    /// Some of those who answer for a service port.
    Endpoints {
        /// Which port.
        port: PortRef,
        /// Where the slice stands among the port's slices.
        index: u32,
        /// The endpoints.
        slice: Arc<EndpointSlice>,
    },
    /// Identities that are refused.
    Revoked(Arc<BTreeSet<SpiffeId>>),
    /// The roots of the mesh's own trust domain.
    Bundle(TrustDomain, Arc<Vec<Vec<u8>>>),
    /// The roots of another trust domain. A proxy that does not know this kind believes nobody of it.
    PeerBundle(TrustDomain, Arc<Vec<Vec<u8>>>),
    /// The keys of a trust domain that prove its JWT-SVIDs: a JWK Set.
    TokenKeys(TrustDomain, Arc<str>),
    /// A pod that has a proxy of its own, for the proxy of its node, which keeps its capture.
    Sidecar(WorkloadId, Arc<Pod>),
}

impl Part {
    /// Its name, unique within a view.
    pub fn name(&self) -> PartName {
        PartName::from(match self {
            Self::Settings(_) => String::from("settings"),
            Self::Workload(workload) => format!("workload/{}", workload.id),
            Self::Service(service) => format!("service/{}", service.name),
            Self::Endpoints { port, index, .. } => {
                format!("endpoints/{}/{}/{index}", port.service, port.port)
            }
            Self::Revoked(_) => String::from("revoked"),
            Self::Bundle(domain, _) => format!("bundle/{domain}"),
            Self::PeerBundle(domain, _) => format!("{PEERS}{domain}"),
            Self::TokenKeys(domain, _) => format!("{TOKEN_KEYS}{domain}"),
            Self::Sidecar(id, _) => format!("{SIDECARS}{id}"),
        })
    }

    /// Its bytes: the same value always gives the same ones.
    pub fn encode(&self) -> Vec<u8> {
        self.message().encode_to_vec()
    }

    fn message(&self) -> PartMessage {
        let kind = match self {
            Self::Settings(settings) => Kind::Settings(settings.to_message()),
            Self::Workload(workload) => Kind::Workload(Box::new(workload.to_message())),
            Self::Service(service) => Kind::Service(service.to_message()),
            Self::Endpoints { port, index, slice } => Kind::Endpoints(EndpointsMessage {
                port: Some(port.to_message()),
                index: *index,
                slice: Some(slice.to_message()),
            }),
            Self::Revoked(identities) => Kind::Revoked(identities.to_message()),
            Self::Bundle(domain, roots) => Kind::Bundle(mesh::BundleMessage::of(domain, roots)),
            Self::PeerBundle(domain, roots) => {
                Kind::PeerBundle(mesh::BundleMessage::of(domain, roots))
            }
            Self::TokenKeys(domain, keys) => Kind::TokenKeys(mesh::TokenKeysMessage {
                trust_domain: domain.to_message(),
                keys: String::from(&**keys),
            }),
            Self::Sidecar(id, pod) => Kind::Sidecar(SidecarMessage {
                id: Some(id.to_message()),
                pod: Some(pod.to_message()),
            }),
        };
        let message = PartMessage {
            kind: Some(kind),
            needs: Vec::new(),
        };
        #[cfg(any(test, feature = "older"))]
        let message = older::as_written(message);
        message
    }

    /// Reads a part from the bytes a control plane sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let (part, _) = Self::decode_with_lacks(bytes)?;
        Ok(part)
    }

    /// The same, with the features that some of it needs and this process lacks: that some of it
    /// refuses what it is about.
    pub(crate) fn decode_with_lacks(bytes: &[u8]) -> Result<(Self, BTreeSet<String>), Misfit> {
        let message = PartMessage::decode(bytes).map_err(|error| Misfit::new("part", error))?;
        #[cfg(any(test, feature = "older"))]
        let message = older::as_read(message);
        let lacked = message.lacked();
        Ok((Self::of(message)?, lacked))
    }

    fn of(message: PartMessage) -> Result<Self, Misfit> {
        if lacks(&message.needs) {
            return Err(Misfit::new(
                "part",
                "it needs a feature that this proxy lacks",
            ));
        }
        Ok(
            match message
                .kind
                .ok_or_else(|| Misfit::missing("kind of part"))?
            {
                Kind::Settings(message) => {
                    Self::Settings(Arc::new(Settings::from_message(message)?))
                }
                Kind::Workload(message) => {
                    Self::Workload(Arc::new(Workload::from_message(*message)?))
                }
                Kind::Service(message) => Self::Service(Arc::new(Service::from_message(message)?)),
                Kind::Endpoints(message) => Self::Endpoints {
                    port: required(message.port, "port of endpoints")?,
                    index: message.index,
                    slice: Arc::new(required(message.slice, "endpoints")?),
                },
                Kind::Revoked(message) => Self::Revoked(Arc::new(BTreeSet::from_message(message)?)),
                Kind::Bundle(message) => {
                    let (domain, roots) = message.read()?;
                    Self::Bundle(domain, roots)
                }
                Kind::PeerBundle(message) => {
                    let (domain, roots) = message.read()?;
                    Self::PeerBundle(domain, roots)
                }
                Kind::TokenKeys(message) => {
                    let domain = TrustDomain::from_message(message.trust_domain)?;
                    Self::TokenKeys(domain, message.keys.into())
                }
                Kind::Sidecar(message) => Self::Sidecar(
                    required(message.id, "name of a pod")?,
                    Arc::new(required(message.pod, "pod")?),
                ),
            },
        )
    }
}

/// Takes a view apart.
pub fn parts_of(view: &View) -> Vec<Part> {
    let mut parts = Vec::new();
    parts.push(Part::Settings(view.settings.clone()));
    parts.push(Part::Revoked(view.revoked.clone()));
    for (domain, roots) in &view.bundles {
        let (domain, roots) = (domain.clone(), roots.clone());
        parts.push(match domain == view.settings.trust_domain {
            true => Part::Bundle(domain, roots),
            false => Part::PeerBundle(domain, roots),
        });
    }
    for (domain, keys) in &view.token_keys {
        parts.push(Part::TokenKeys(domain.clone(), keys.clone()));
    }
    parts.extend(view.workloads.values().cloned().map(Part::Workload));
    let sidecars = view.sidecars.iter();
    parts.extend(sidecars.map(|(id, pod)| Part::Sidecar(id.clone(), pod.clone())));
    parts.extend(view.services.values().cloned().map(Part::Service));
    for (port, slices) in &view.endpoints {
        parts.extend((0u32..).zip(slices).map(|(index, slice)| Part::Endpoints {
            port: port.clone(),
            index,
            slice: slice.clone(),
        }));
    }
    #[cfg(any(test, feature = "older"))]
    parts.retain(|part| part.name().feature().is_none_or(knows));
    parts
}

/// The features without which a proxy would take some of a view for something else than it says, and refuses it.
pub fn needed(view: &View) -> BTreeSet<String> {
    let parts = parts_of(view);
    let of_kinds = parts.iter().filter_map(|part| part.name().feature());
    let of_rules = parts.iter().flat_map(|part| part.message().needed());
    of_kinds.map(String::from).chain(of_rules).collect()
}

/// Puts a view together from its parts; there must be settings, and no part twice.
pub fn assemble(
    generation: Generation,
    parts: impl IntoIterator<Item = Part>,
) -> Result<View, Misfit> {
    let mut settings = None;
    let mut view = Parts::default();
    for part in parts {
        match part {
            Part::Settings(part) => settings = Some(part),
            Part::Workload(part) => drop(view.workloads.insert(part.id.clone(), part)),
            Part::Service(part) => drop(view.services.insert(part.name.clone(), part)),
            Part::Endpoints { port, index, slice } => {
                drop(view.slices.insert((port, index), slice));
            }
            Part::Revoked(part) => view.revoked = part,
            Part::Bundle(domain, roots) | Part::PeerBundle(domain, roots) => {
                drop(view.bundles.insert(domain, roots));
            }
            Part::TokenKeys(domain, keys) => drop(view.token_keys.insert(domain, keys)),
            Part::Sidecar(id, pod) => drop(view.sidecars.insert(id, pod)),
        }
    }
    let mut endpoints = BTreeMap::<PortRef, Vec<Arc<EndpointSlice>>>::new();
    for ((port, _), slice) in view.slices {
        endpoints.entry(port).or_default().push(slice);
    }
    Ok(View {
        generation,
        settings: settings.ok_or_else(|| Misfit::missing("settings"))?,
        workloads: view.workloads,
        sidecars: view.sidecars,
        services: view.services,
        endpoints,
        revoked: view.revoked,
        bundles: view.bundles,
        token_keys: view.token_keys,
    })
}

/// The parts of a view while it is put together.
#[derive(Default)]
struct Parts {
    workloads: BTreeMap<WorkloadId, Arc<Workload>>,
    sidecars: BTreeMap<WorkloadId, Arc<Pod>>,
    services: BTreeMap<leno_model::ServiceName, Arc<Service>>,
    slices: BTreeMap<(PortRef, u32), Arc<EndpointSlice>>,
    revoked: Arc<BTreeSet<SpiffeId>>,
    bundles: BTreeMap<TrustDomain, Arc<Vec<Vec<u8>>>>,
    token_keys: BTreeMap<TrustDomain, Arc<str>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartMessage {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9")]
    kind: Option<Kind>,
    /// Features without which the part as a whole cannot be understood.
    #[prost(string, repeated, tag = "15")]
    needs: Vec<String>,
}

impl PartMessage {
    /// The features that rules in it need and this process lacks.
    fn lacked(&self) -> BTreeSet<String> {
        let mut needed = self.needed();
        needed.retain(|need| !knows(need));
        needed
    }

    /// The features that rules in it need.
    fn needed(&self) -> BTreeSet<String> {
        match &self.kind {
            Some(Kind::Workload(workload)) => workload.needs().cloned().collect(),
            Some(Kind::Service(service)) => service.needs().cloned().collect(),
            Some(
                Kind::Settings(_)
                | Kind::Endpoints(_)
                | Kind::Revoked(_)
                | Kind::Bundle(_)
                | Kind::PeerBundle(_)
                | Kind::TokenKeys(_)
                | Kind::Sidecar(_),
            )
            | None => BTreeSet::new(),
        }
    }
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(message, tag = "1")]
    Settings(mesh::SettingsMessage),
    #[prost(message, boxed, tag = "2")]
    Workload(Box<service::WorkloadMessage>),
    #[prost(message, tag = "3")]
    Service(service::ServiceMessage),
    #[prost(message, tag = "4")]
    Endpoints(EndpointsMessage),
    #[prost(message, tag = "5")]
    Revoked(mesh::RevokedMessage),
    #[prost(message, tag = "6")]
    Bundle(mesh::BundleMessage),
    #[prost(message, tag = "7")]
    TokenKeys(mesh::TokenKeysMessage),
    #[prost(message, tag = "8")]
    PeerBundle(mesh::BundleMessage),
    #[prost(message, tag = "9")]
    Sidecar(SidecarMessage),
}

#[derive(Clone, PartialEq, prost::Message)]
struct SidecarMessage {
    #[prost(message, optional, tag = "1")]
    id: Option<word::NamedMessage>,
    #[prost(message, optional, tag = "2")]
    pod: Option<pod::PodMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct EndpointsMessage {
    #[prost(message, optional, tag = "1")]
    port: Option<word::PortRefMessage>,
    #[prost(uint32, tag = "2")]
    index: u32,
    #[prost(message, optional, tag = "3")]
    slice: Option<service::SliceMessage>,
}
