//! What is in force as it travels to whoever wants to think it over: [`mesh_of`] an answer is the mesh
//! that the control plane itself has.

mod pods;

use std::collections::{BTreeMap, BTreeSet};
use std::net::AddrParseError;
use std::sync::Arc;

use leno_admin::{
    Addressed, At, Configuration, Failure, Finding, InForce, OverrideTold, Running, RunningPort,
    Tunnel,
};
use leno_compile::Mesh;
use leno_model::view::{Generation, Protocol, WorkloadId};
use leno_model::{
    BadName, BadSpiffeId, Name, Namespace, Network, NoMeasure, Override, ServiceName, SpiffeId,
    TrustDomain,
};

use leno_store::{Revision, SOURCE};

use crate::administer::{not_read, status, store_failed};
use crate::center::{Center, PRESENT};
use crate::layout::Laid;
use crate::meaning::{Known, Meaning, Written};
use crate::overrides;
use crate::present::Present;

/// What is in force, or was `at` another time.
pub(crate) fn configuration(center: &Center, at: Option<&At>) -> Result<Configuration, Failure> {
    let edition = center.edition();
    let (revision, exact) = match at {
        None => (edition.revision, true),
        Some(At::Revision(revision)) => (Revision(*revision), true),
        Some(At::Generation(generation)) => shown_by(center, &edition.generation, generation)?,
    };
    let written = match revision == edition.revision {
        true => Arc::clone(&edition.meaning.written),
        false => {
            let objects = center.store.at(revision).map_err(not_read)?;
            let known = &edition.meaning.written;
            Arc::new(Written::read(&objects, &center.sources(), known))
        }
    };
    let files = written.files().map(|file| InForce {
        path: file.source().path.to_string(),
        namespace: file.namespace().to_string(),
        text: String::from_utf8_lossy(&file.source().bytes).into_owned(),
    });
    let domain = center.authority.told().map(|told| told.domain.to_string());
    let reported = center.presence.reported();
    let proxies = center.proxies(&edition.mesh, &reported.pods);
    let tunnels: BTreeMap<_, _> = proxies.tunnels().collect();
    let left: BTreeSet<_> = proxies.left().collect();
    let members = center.fleet.members();
    Ok(Configuration {
        status: status(center),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        revision: revision.0,
        exact,
        mesh: center.mesh.as_ref().map(Name::to_string),
        trust_domain: domain,
        files: files.collect(),
        running: reported.all.iter().map(running).collect(),
        pods: reported.pods.values().map(|pod| pods::told(pod)).collect(),
        addresses: center.addressed(),
        tunnels: tunnels
            .into_iter()
            .map(|(workload, tunnel)| Tunnel {
                workload: workload.to_string(),
                address: tunnel.to_string(),
            })
            .collect(),
        left: left.into_iter().map(WorkloadId::to_string).collect(),
        revoked: match at {
            None => edition
                .trusted
                .revoked
                .iter()
                .map(SpiffeId::to_string)
                .collect(),
            Some(_) => Vec::new(),
        },
        overrides: match at {
            None => overrides::all(center),
            Some(_) => Vec::new(),
        },
        proxies: members.iter().map(|(_, member)| member.told()).collect(),
    })
}

/// The revision that views of a generation show, and whether the sources beside it have not changed
/// since.
fn shown_by(
    center: &Center,
    newest: &Generation,
    generation: &str,
) -> Result<(Revision, bool), Failure> {
    let unknown = || Failure::plain(format_args!("what views of {generation} show is not known"));
    let told: Generation = generation.parse().map_err(|_| unknown())?;
    let position = told
        .positions
        .get(SOURCE)
        .filter(|_| told.epoch == newest.epoch);
    let shown = center.store.shown_at(*position.ok_or_else(unknown)?);
    let shown = shown.map_err(store_failed)?.ok_or_else(unknown)?;
    let others = |generation: &Generation| {
        let positions = generation.positions.iter();
        let others = positions.filter(|(source, _)| ![SOURCE, PRESENT].contains(&&***source));
        others
            .map(|(source, position)| (source.clone(), *position))
            .collect::<Vec<_>>()
    };
    Ok((shown, others(&told) == others(newest)))
}

/// The mesh that an answer means.
pub fn mesh_of(told: &Configuration) -> Result<Mesh, NotTold> {
    understood(told).map(|(mesh, _)| mesh)
}

/// The mesh that an answer means here, and what is found in what is written.
pub fn understood(told: &Configuration) -> Result<(Mesh, Vec<Finding>), NotTold> {
    let files = told.files.iter().map(|file| {
        Ok(Laid {
            path: file.path.as_str().into(),
            namespace: Namespace::new(&file.namespace)?,
            text: file.text.as_bytes().into(),
        })
    });
    let written = files.collect::<Result<_, NotTold>>()?;
    let written = Written::of_files(written, &Written::default());
    let present = told.running.iter().map(present);
    let present = present.collect::<Result<BTreeMap<_, _>, _>>()?;
    let pods = told.pods.iter().map(pods::read);
    let pods = Arc::new(pods.collect::<Result<_, _>>()?);
    let domain = told.trust_domain.as_deref().map(TrustDomain::new);
    let domain = domain.transpose()?;
    let name = told.mesh.as_deref().map(Name::new).transpose()?;
    let read = |one: &OverrideTold| {
        let id = Name::new(&one.id)?;
        let measure = one.measure.parse()?;
        Ok::<_, NotTold>(Override { id, measure })
    };
    let overrides = told.overrides.iter().map(read);
    let overrides = overrides.collect::<Result<Vec<_>, _>>()?;
    let known = Known {
        domain: domain.as_ref(),
        mesh: name.as_ref(),
        present: &present,
        pods: &pods,
        overrides: &overrides,
    };
    let meaning = Meaning::of(&Arc::new(written), known, None);
    let findings = meaning.notes.iter();
    let findings = findings.map(|note| Finding::of(note, meaning.written.line(note)));
    let findings = findings.collect();
    let mut mesh = meaning.mesh;
    for Tunnel { workload, address } in &told.tunnels {
        mesh.set_tunnel(&workload_id(workload)?, Some(address.parse()?));
    }
    let left = told.left.iter().map(|workload| workload_id(workload));
    mesh.leave(&left.collect::<Result<_, _>>()?);
    let network = Network::default_network();
    for Addressed { service, address } in &told.addresses {
        let (namespace, name) = named(service)?;
        let service = ServiceName::new(namespace, name);
        mesh.give_address(&service, &network, address.parse()?);
    }
    let revoked = told.revoked.iter().map(|id| SpiffeId::parse(id));
    mesh.revoked = Arc::new(revoked.collect::<Result<_, BadSpiffeId>>()?);
    Ok((mesh, findings))
}

fn running((id, present): (&WorkloadId, &Present)) -> Running {
    let found = present.found.iter().map(|(port, protocol)| RunningPort {
        port: *port,
        is_http: protocol.is_http(),
    });
    Running {
        workload: id.to_string(),
        of: present.of.to_string(),
        address: present.address.to_string(),
        found: found.collect(),
        tunnel: present.tunnel.map(|tunnel| tunnel.to_string()),
    }
}

fn present(running: &Running) -> Result<(WorkloadId, Present), NotTold> {
    let found = running.found.iter().map(|port| match port.is_http {
        true => (port.port, Protocol::Http),
        false => (port.port, Protocol::Tcp),
    });
    let tunnel = running.tunnel.as_deref().map(str::parse);
    let present = Present {
        of: Name::new(&running.of)?,
        address: running.address.parse()?,
        found: found.collect(),
        tunnel: tunnel.transpose()?,
    };
    Ok((workload_id(&running.workload)?, present))
}

fn workload_id(text: &str) -> Result<WorkloadId, NotTold> {
    let (namespace, name) = named(text)?;
    Ok(WorkloadId { namespace, name })
}

fn named(text: &str) -> Result<(Namespace, Name), NotTold> {
    let (namespace, name) = text
        .split_once('/')
        .ok_or_else(|| NotTold::Unnamed(text.to_owned()))?;
    Ok((Namespace::new(namespace)?, Name::new(name)?))
}

/// Why an answer means no mesh: it does not come from a control plane of this kind.
#[derive(Debug, thiserror::Error)]
pub enum NotTold {
    /// It should name something in a namespace.
    #[error("{0:?} names nothing in a namespace")]
    Unnamed(String),
    /// It has a name that is none.
    #[error(transparent)]
    Name(#[from] BadName),
    /// It has a trust domain that is none.
    #[error(transparent)]
    TrustDomain(#[from] BadSpiffeId),
    /// It has a measure that is none.
    #[error(transparent)]
    Measure(#[from] NoMeasure),
    /// It has an address that is none.
    #[error(transparent)]
    Address(#[from] AddrParseError),
}
