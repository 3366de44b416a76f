//! From what is written and what runs to the one view that all workloads of an `up` share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use leno_compile::{Mesh, ViewOf, compile};
use leno_model::view::{Generation, PortRef, Protocol, View, Workload, WorkloadId};
use leno_model::{Name, Network, Notes, ServiceName, Wall};
use leno_resources::mesh::{Command, Instance, MeshWorkloadSpec, WorkloadPort, WorkloadProtocol};
use leno_resources::service::{ClusterIp, ServiceType};
use leno_resources::{Object, Part, Resources};
use leno_store::Store;

use super::source::Source;

/// Something that runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Running {
    /// The `MeshWorkload` it is an instance of.
    pub(crate) of: Name,
    /// Where it is.
    pub(crate) address: Ipv4Addr,
    /// The ports that it was found to listen on, with what is spoken there.
    pub(crate) found: BTreeMap<u16, Protocol>,
    /// Whether it takes calls. What does not is no endpoint of anything; it only calls as another
    /// would.
    pub(crate) called: bool,
}

/// A command that a `MeshWorkload` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Program {
    /// The `MeshWorkload`'s name.
    pub(crate) name: Name,
    /// What to start.
    pub(crate) command: Vec<String>,
    /// As a person would type it.
    pub(crate) typed: String,
    /// Where it starts.
    pub(crate) folder: PathBuf,
    /// What it finds in its environment beside what `leno up` has.
    pub(crate) env: BTreeMap<String, String>,
    /// The file and line that say so: `Procfile:3`.
    pub(crate) place: String,
    /// Whether it says on which ports it takes calls.
    pub(crate) declares_ports: bool,
}

/// What everything means together.
pub(crate) struct Compiled {
    pub(crate) mesh: Mesh,
    pub(crate) notes: Notes,
    resources: Resources,
}

/// The workload as which calls from outside the mesh are made, by published ports.
pub(crate) const HOST: &str = "host";

/// Understands `source`, with what runs added to it.
pub(crate) fn understand(source: &Source, running: &BTreeMap<WorkloadId, Running>) -> Compiled {
    let namespace = source.namespace();
    let (written, mut notes) = Resources::read(source.texts(), &namespace);
    let mut texts = source.texts().collect::<Vec<_>>();
    if written.meshes.is_empty() {
        texts.push(source.mesh_object());
    }
    let host = Name::new(HOST).expect("a constant that is a name");
    let names = running.values().map(|running| &running.of).chain([&host]);
    for name in names.collect::<BTreeSet<_>>() {
        if written.workloads.get(Some(&namespace), name).is_none() {
            texts.push(Source::workload_object(name));
        }
    }
    let (mut resources, _) = Resources::read(texts, &namespace);
    for object in resources.workloads.iter_mut() {
        complete(object, running);
    }
    let (mesh, meaning) = compile(&resources);
    notes.extend(meaning);
    Compiled {
        mesh,
        notes,
        resources,
    }
}

/// Adds to a `MeshWorkload` where its instances run, and their ports if it says none itself.
fn complete(object: &mut Object<MeshWorkloadSpec>, running: &BTreeMap<WorkloadId, Running>) {
    let is_instance = |(id, running): &(&WorkloadId, &Running)| {
        running.called
            && Some(&id.namespace) == object.meta.namespace.as_ref()
            && running.of == object.meta.name
    };
    let instances = running.iter().filter(is_instance).collect::<Vec<_>>();
    if instances.is_empty() {
        return;
    }
    let mut spec = object.spec.partly().cloned().unwrap_or(MeshWorkloadSpec {
        run: None,
        service_account: None,
        ports: Default::default(),
        instances: Default::default(),
        locality: None,
    });
    let instance = |(id, running): &(&WorkloadId, &Running)| {
        Part::whole(Instance {
            name: Some(id.name.clone()),
            address: running.address.into(),
            network: Network::default_network(),
        })
    };
    spec.instances = instances.iter().map(instance).collect();
    if spec.ports.is_empty() {
        let found = instances.iter().flat_map(|(_, running)| &running.found);
        let found = found.collect::<BTreeMap<_, _>>().into_iter();
        let port = |(port, protocol): (&u16, &Protocol)| {
            Part::whole(WorkloadPort {
                name: None,
                port: *port,
                protocol: Some(match protocol {
                    Protocol::Http => WorkloadProtocol::Http,
                    Protocol::Tcp => WorkloadProtocol::Tcp,
                }),
            })
        };
        spec.ports = found.map(port).collect();
    }
    object.spec = Part::whole(spec);
}

impl Compiled {
    /// What is to be started, in the order of the file.
    pub(crate) fn programs(&self, source: &Source) -> Vec<Program> {
        let mut programs = Vec::new();
        for object in self.resources.workloads.iter() {
            let Some(spec) = object.spec.partly() else {
                continue;
            };
            let Some(run) = &spec.run else { continue };
            let (command, typed) = match &run.command {
                Command::Shell(line) => (
                    vec!["/bin/sh".into(), "-c".into(), line.to_string()],
                    line.to_string(),
                ),
                Command::Words(words) => {
                    let words = words.iter().map(ToString::to_string);
                    let words = words.collect::<Vec<_>>();
                    (words.clone(), words.join(" "))
                }
            };
            let folder = run.working_directory.as_deref().unwrap_or(".");
            let place = object.origin("").place;
            let line = place.as_ref().map(|place| place.line);
            let program = Program {
                name: object.meta.name.clone(),
                command,
                typed,
                folder: source.folder.join(folder),
                env: run
                    .env
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.0.to_string()))
                    .collect(),
                place: place.map_or_else(String::new, |place| {
                    format!("{}:{}", place.file, place.line)
                }),
                declares_ports: !spec.ports.is_empty(),
            };
            programs.push((line, program));
        }
        programs.sort_by_key(|(line, _)| *line);
        programs.into_iter().map(|(_, program)| program).collect()
    }

    /// Gives each service that has no address of its own one that never changes.
    pub(crate) fn give_addresses(&mut self, store: &Store, now: Wall) -> anyhow::Result<()> {
        let lacking = self.mesh.services.values();
        let lacking = lacking
            .filter(|service| service.addresses.is_empty() && self.may_have_address(&service.name))
            .map(|service| service.name.clone())
            .collect::<BTreeSet<_>>();
        for (name, address) in store.addresses(&lacking, now)? {
            if let Some(service) = self.mesh.services.get_mut(&name) {
                let network = Network::default_network();
                let both = [IpAddr::from(address.v4()), IpAddr::from(address.v6())];
                let both = both.map(|ip| (network.clone(), ip));
                Arc::make_mut(service).addresses.extend(both);
            }
        }
        Ok(())
    }

    /// A headless service has those of its endpoints, and one of outside none.
    fn may_have_address(&self, name: &ServiceName) -> bool {
        let written = self
            .resources
            .services
            .get(Some(&name.namespace), &name.name);
        let Some(spec) = written.and_then(|object| object.spec.partly()) else {
            return true;
        };
        let many = spec.cluster_ips.iter().filter_map(Part::sound);
        let mut all = spec.cluster_ip.iter().chain(many);
        spec.type_ != ServiceType::ExternalName && all.all(|ip| *ip != ClusterIp::Headless)
    }

    /// What the proxy of all of them decides by.
    pub(crate) fn view(
        &mut self,
        running: &BTreeMap<WorkloadId, Running>,
        tunnel: SocketAddr,
        roots: Vec<Vec<u8>>,
        generation: u64,
    ) -> View {
        for (id, running) in running {
            self.mesh.set_tunnel(id, running.called.then_some(tunnel));
        }
        let workloads = running.keys().cloned().collect();
        let mut view = self.mesh.view(ViewOf {
            workloads: &workloads,
        });
        for (id, running) in running.iter().filter(|(_, running)| !running.called) {
            let Some(like) = self.instance_of(&running.of, id) else {
                continue;
            };
            let mut workload = Workload::clone(&like.workload);
            workload.id = id.clone();
            workload.addresses = vec![running.address.into()];
            view.workloads.insert(id.clone(), Arc::new(workload));
        }
        let domain = view.settings.trust_domain.clone();
        view.bundles.insert(domain, Arc::new(roots));
        view.generation = Generation {
            epoch: 0,
            positions: [("up".into(), generation)].into(),
        };
        view
    }

    /// An instance of the `MeshWorkload` called `of`, in the namespace of `beside`.
    fn instance_of(&self, of: &Name, beside: &WorkloadId) -> Option<&leno_compile::Instance> {
        let mut instances = self.mesh.instances.values().map(|instance| &**instance);
        instances.find(|instance| {
            instance.origin.object.name == *of && instance.workload.id.namespace == beside.namespace
        })
    }

    /// The service port by which a port of a workload is called: one of the workload's own name
    /// before others.
    pub(crate) fn service_port(&self, workload: &WorkloadId, port: u16) -> Option<PortRef> {
        let leads = |answers: &[leno_compile::Answer]| {
            let mut answers = answers.iter();
            answers.any(|answer| answer.instance == *workload && answer.port == port)
        };
        let ports = self.mesh.answers.iter();
        let leading = ports.filter(|(_, answers)| leads(answers));
        let of = self.mesh.instances.get(workload);
        let of = of.map(|instance| &instance.origin.object.name);
        leading
            .map(|(name, _)| name.clone())
            .min_by_key(|name| Some(&name.service.name) != of)
    }
}
