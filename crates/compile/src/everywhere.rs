//! What holds everywhere: the `Mesh` object, with defaults for what it does not say.

use alloc::{collections::BTreeMap, format, sync::Arc, vec::Vec};
use core::time::Duration;

use leno_model::role::{Grant, Reach};
use leno_model::view::{
    Check, Collector, Mtls, OtlpProtocol, Probe, Settings, Signals, Stance, UNKNOWN_DESTINATIONS,
    Unknown, WhileAway,
};
use leno_model::{Code, Name, Notes, Origin, Role, SpiffeId, TrustDomain};
use leno_resources::mesh::{self, AdministratorRole, MeshSpec, MtlsMode};
use leno_resources::policy::Identity;
use leno_resources::{Object, Part, Resources};

use crate::attested::{self, TokenIssuer};
use crate::ca::{Ca, ca};
use crate::finding::{self, Complete};
use crate::mesh::{Administration, Lifetimes};

/// What the mesh says where nobody says anything more special.
pub(crate) struct Everywhere {
    /// The `Mesh` object's name, if there is one.
    pub(crate) name: Option<Name>,
    pub(crate) settings: Settings,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) token_issuers: BTreeMap<Name, TokenIssuer>,
    pub(crate) administration: Administration,
    pub(crate) ca: Ca,
    pub(crate) mtls: (Mtls, Option<Origin>),
    pub(crate) stance: (Stance, Option<Origin>),
}

/// Reads the oldest `Mesh` object, and notes the others.
pub(crate) fn everywhere(resources: &Resources, notes: &mut Notes) -> Everywhere {
    let Some(first) = oldest(resources) else {
        return unsaid();
    };
    for mesh in resources
        .meshes
        .iter()
        .filter(|mesh| mesh.reference() != first.reference())
    {
        let message = format!("{} is the mesh, and there is only one", first.reference());
        notes.push(
            finding::error(mesh, "/metadata/name", Code::C134, message)
                .in_force(format!("what {} says", first.reference())),
        );
    }
    said_by(first)
}

/// The `Mesh` object that holds.
pub(crate) fn oldest(resources: &Resources) -> Option<&Object<MeshSpec>> {
    let age = |mesh: &&Object<MeshSpec>| (mesh.meta.created.is_none(), mesh.meta.created);
    resources.meshes.iter().min_by_key(age)
}

fn unsaid() -> Everywhere {
    Everywhere {
        name: None,
        settings: Settings::new(trust_domain("mesh")),
        lifetimes: LIFETIMES,
        token_issuers: BTreeMap::new(),
        administration: Administration::default(),
        ca: Ca::Own,
        mtls: (Mtls::Permissive, None),
        stance: (Stance::Allow, None),
    }
}

fn said_by(mesh: &Object<MeshSpec>) -> Everywhere {
    let mut everywhere = unsaid();
    everywhere.name = Some(mesh.meta.name.clone());
    everywhere.ca = ca(mesh);
    everywhere.settings.trust_domain = trust_domain(mesh.meta.name.as_str());
    let said = |settings: &mut Settings, field: &str, pointer: &str| {
        let origin = mesh.origin(pointer);
        settings.origins.insert(Arc::from(field), origin);
    };
    said(&mut everywhere.settings, TRUST_DOMAIN, "/metadata/name");
    if mesh.spec.is_flawed() {
        everywhere.mtls = (Mtls::Strict, Some(mesh.origin("/spec")));
        everywhere.stance = (Stance::Deny, Some(mesh.origin("/spec")));
        everywhere.settings.unknown_destinations = Unknown::Refuse;
        said(&mut everywhere.settings, UNKNOWN_DESTINATIONS, "/spec");
    }
    let Some(spec) = mesh.spec.partly() else {
        return everywhere;
    };
    if let Some(domain) = &spec.trust_domain {
        everywhere.settings.trust_domain = domain.clone();
        said(&mut everywhere.settings, TRUST_DOMAIN, "/spec/trustDomain");
    }
    if let Some(unknown) = spec.unknown_destinations {
        everywhere.settings.unknown_destinations = match unknown {
            mesh::Stance::Allow => Unknown::Pass,
            mesh::Stance::Deny => Unknown::Refuse,
        };
        said(
            &mut everywhere.settings,
            UNKNOWN_DESTINATIONS,
            "/spec/unknownDestinations",
        );
    }
    everywhere.settings.probes = probes(mesh, spec);
    let telemetry = spec.telemetry.as_ref().and_then(Part::partly);
    let written = telemetry.and_then(|telemetry| telemetry.collector.as_ref());
    if let Some(collector) = written.map(collector) {
        everywhere.settings.collector = Some(Arc::new(collector));
        said(
            &mut everywhere.settings,
            COLLECTOR,
            "/spec/telemetry/collector",
        );
    }
    let pods = spec.kubernetes.as_ref().and_then(Part::sound);
    if pods.is_some_and(|pods| pods.while_away == mesh::WhileAway::Open) {
        everywhere.settings.while_away = WhileAway::Open;
        said(
            &mut everywhere.settings,
            WHILE_AWAY,
            "/spec/kubernetes/whileAway",
        );
    }
    let unasked = pods.into_iter().flat_map(|pods| &pods.exclude_namespaces);
    everywhere.settings.unasked = unasked.filter_map(Part::sound).cloned().collect();
    if !everywhere.settings.unasked.is_empty() {
        said(
            &mut everywhere.settings,
            EXCLUDE_NAMESPACES,
            "/spec/kubernetes/excludeNamespaces",
        );
    }
    everywhere.token_issuers = attested::issuers(spec);
    if let Some(certificates) = &spec.certificates {
        everywhere.lifetimes = lifetimes(
            certificates.lifetime,
            certificates.intermediate_lifetime,
            certificates.root_lifetime,
        );
    }
    everywhere.administration = administration(spec, &everywhere.settings.trust_domain);
    if let Some(mode) = spec.mtls {
        everywhere.mtls = (mtls(mode), Some(mesh.origin("/spec/mtls")));
    }
    if let Some(default) = spec.default {
        everywhere.stance = (stance(default), Some(mesh.origin("/spec/default")));
    }
    everywhere
}

/// Who may do what from another host. An entry that was not understood allows nothing.
fn administration(spec: &MeshSpec, trust_domain: &TrustDomain) -> Administration {
    let mut warrants = Administration::default();
    for entry in spec.administration.iter().filter_map(Part::sound) {
        let identity = match (&entry.person, &entry.identity) {
            (Some(person), _) => SpiffeId::person(trust_domain, person),
            (None, Some(Identity::Spiffe(id))) => id.clone(),
            (None, Some(Identity::Short(namespace, account))) => SpiffeId {
                trust_domain: trust_domain.clone(),
                namespace: namespace.clone(),
                service_account: account.clone(),
            },
            (None, None) => continue,
        };
        let named = entry.namespaces.iter().filter_map(Part::sound).cloned();
        warrants.entry(identity).or_default().add(Grant {
            role: match entry.role {
                AdministratorRole::Viewer => Role::Viewer,
                AdministratorRole::Editor => Role::Editor,
                AdministratorRole::Admin => Role::Admin,
            },
            reach: match entry.namespaces.is_empty() {
                true => Reach::Mesh,
                false => Reach::Namespaces(named.collect()),
            },
            headers: entry.headers,
        });
    }
    warrants
}

/// How long certificates live, where what signs is given the time that it needs.
fn lifetimes(leaf: Duration, intermediate: Option<Duration>, root: Option<Duration>) -> Lifetimes {
    Lifetimes {
        leaf,
        intermediate: intermediate.unwrap_or(LIFETIMES.intermediate.max(leaf.saturating_mul(4))),
        root: root.unwrap_or(LIFETIMES.root.max(leaf.saturating_mul(20))),
    }
}

pub(crate) fn mtls(mode: MtlsMode) -> Mtls {
    match mode {
        MtlsMode::Strict => Mtls::Strict,
        MtlsMode::Permissive => Mtls::Permissive,
    }
}

pub(crate) fn stance(stance: mesh::Stance) -> Stance {
    match stance {
        mesh::Stance::Allow => Stance::Allow,
        mesh::Stance::Deny => Stance::Deny,
    }
}

/// The health checks of which nothing is missing: without a part, one would let in more than was meant.
fn probes(mesh: &Object<MeshSpec>, spec: &MeshSpec) -> Vec<Arc<Probe>> {
    let read = |(index, part): (usize, &Part<mesh::Probe>)| {
        let mesh::Probe { from, port, path } = part.sound()?;
        Some(Arc::new(Probe {
            origin: mesh.origin(&format!("/spec/probes/{index}")),
            from: from.iter().filter_map(Part::sound).copied().collect(),
            port: *port,
            check: Check::Request(path.clone()),
        }))
    };
    spec.probes.iter().enumerate().filter_map(read).collect()
}

fn collector(written: &mesh::Collector) -> Collector {
    let is_sent = |signal| {
        let mut sent = written.send.iter().filter_map(Part::sound);
        written.send.is_empty() || sent.any(|sent| *sent == signal)
    };
    Collector {
        endpoint: written.endpoint.clone(),
        protocol: match written.protocol {
            mesh::OtlpProtocol::Grpc => OtlpProtocol::Grpc,
            mesh::OtlpProtocol::Http => OtlpProtocol::Http,
        },
        headers_file: written.headers_file.clone(),
        roots_file: written.roots_file.clone(),
        signals: Signals {
            metrics: is_sent(mesh::Signal::Metrics),
            traces: is_sent(mesh::Signal::Traces),
            logs: is_sent(mesh::Signal::Logs),
        },
        interval: written.interval,
    }
}

fn trust_domain(mesh: &str) -> TrustDomain {
    TrustDomain::new(&format!("{mesh}.local"))
        .or_else(|_| TrustDomain::new("mesh.local"))
        .expect("a constant that is a trust domain")
}

/// The fields of `Mesh.spec` that a view tells the origins of.
const TRUST_DOMAIN: &str = "trustDomain";

const COLLECTOR: &str = "telemetry.collector";

const WHILE_AWAY: &str = "kubernetes.whileAway";

const EXCLUDE_NAMESPACES: &str = "kubernetes.excludeNamespaces";

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long certificates live where nobody says it.
pub(crate) const LIFETIMES: Lifetimes = Lifetimes {
    leaf: DAY,
    intermediate: DAY.saturating_mul(90),
    root: DAY.saturating_mul(3650),
};
