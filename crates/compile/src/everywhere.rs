//! What holds everywhere: the `Mesh` object, with defaults for what it does not say.

use alloc::{format, sync::Arc};
use core::time::Duration;

use leno_model::view::{
    Collector, Mtls, OtlpProtocol, Settings, Signals, Stance, UNKNOWN_DESTINATIONS, Unknown,
};
use leno_model::{Code, Name, Notes, Origin, TrustDomain};
use leno_resources::mesh::{self, MeshSpec, MtlsMode};
use leno_resources::{Object, Part, Resources};

use crate::finding::{self, Complete};
use crate::mesh::Lifetimes;

/// What the mesh says where nobody says anything more special.
pub(crate) struct Everywhere {
    /// The `Mesh` object's name, if there is one.
    pub(crate) name: Option<Name>,
    pub(crate) settings: Settings,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) mtls: (Mtls, Option<Origin>),
    pub(crate) stance: (Stance, Option<Origin>),
}

/// Reads the oldest `Mesh` object, and notes the others.
pub(crate) fn everywhere(resources: &Resources, notes: &mut Notes) -> Everywhere {
    let age = |mesh: &&Object<MeshSpec>| (mesh.meta.created.is_none(), mesh.meta.created);
    let Some(first) = resources.meshes.iter().min_by_key(age) else {
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

fn unsaid() -> Everywhere {
    Everywhere {
        name: None,
        settings: Settings::new(trust_domain("mesh")),
        lifetimes: LIFETIMES,
        mtls: (Mtls::Permissive, None),
        stance: (Stance::Allow, None),
    }
}

fn said_by(mesh: &Object<MeshSpec>) -> Everywhere {
    let mut everywhere = unsaid();
    everywhere.name = Some(mesh.meta.name.clone());
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
    if let Some(certificates) = &spec.certificates {
        everywhere.lifetimes = lifetimes(
            certificates.lifetime,
            certificates.intermediate_lifetime,
            certificates.root_lifetime,
        );
    }
    if let Some(mode) = spec.mtls {
        everywhere.mtls = (mtls(mode), Some(mesh.origin("/spec/mtls")));
    }
    if let Some(default) = spec.default {
        everywhere.stance = (stance(default), Some(mesh.origin("/spec/default")));
    }
    everywhere
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

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long certificates live where nobody says it.
pub(crate) const LIFETIMES: Lifetimes = Lifetimes {
    leaf: DAY,
    intermediate: DAY.saturating_mul(90),
    root: DAY.saturating_mul(3650),
};
