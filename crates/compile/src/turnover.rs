//! Pods that come, go, move and turn ready or not, while all that is written stays: what a mesh means then is told
//! from what it meant before, by looking at the workloads and Services to which that happens.
//!
//! A workload that has pods before and after means what it did, whoever they are: policies, routes and what is
//! spoken hang on its name, labels and ports. Whatever goes beyond that is left to [`compile`](crate::compile()).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};
use core::cmp::Ordering;
use core::net::IpAddr;

use leno_model::address::reach;
use leno_model::view::{PortRef, WorkloadId};
use leno_model::{Name, Namespace, Network, Note, Notes, SpiffeId};
use leno_resources::pod::{Pod, Pods};
use leno_resources::service::ServiceSpec;
use leno_resources::{Object, Resources};

use crate::answers::{Labelled, Unready, answers};
use crate::everywhere::everywhere;
use crate::instances::{Said, by_node};
use crate::mesh::{AddressOwner, Called, Instance, Mesh};
use crate::peers::peers;
use crate::placement::{self, Modes};
use crate::pods::{Alike, is_of_pods, note};
use crate::services::{Selects, services};
use crate::workloads::{Workload, workloads};

/// What `resources` mean with `pods` in place of their own, where it is known that they mean `mesh` and what was
/// noted. It is what [`compile`](crate::compile()) says of them; `None` if that has to be asked.
///
/// Time grows with the pods that are others and with those behind the same Services; beside that, the lists of a mesh
/// are copied, and pods and Services looked through for those that it is about.
pub fn with_pods(
    resources: &Resources,
    mesh: &Mesh,
    notes: &Notes,
    pods: &Arc<Pods>,
) -> Option<(Mesh, Notes)> {
    let changed = Changed::between(&resources.pods, pods);
    if !resources.overrides.is_empty()
        || changed.is_spoken_of(resources, notes, pods)
        || changed.are_told_apart(mesh)
    {
        return None;
    }
    let here = changed.surroundings(resources, pods);
    let mut mesh = mesh.clone();
    Turnover {
        changed: &changed,
        before: &resources.pods,
        after: pods,
        mesh: &mut mesh,
    }
    .of(&here)?;
    let lasting = notes.iter().filter(|note| !is_of_pods(note));
    let mut notes = Notes::default();
    lasting.for_each(|note| notes.push(note.clone()));
    note(resources, pods, &mut notes);
    Some((mesh, notes))
}

/// The keys under which two maps do not have the same, in order. Linear in both, with little for each entry.
pub fn differing<'a, K: Ord, V>(
    before: &'a BTreeMap<K, V>,
    after: &'a BTreeMap<K, V>,
    is_same: impl Fn(&V, &V) -> bool,
) -> Vec<&'a K> {
    let mut differing = Vec::new();
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            // Names that are shared are not looked at.
            (Some((one, _)), Some((other, _))) if one == other => Ordering::Equal,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return differing,
        };
        let was = before.next_if(|_| order.is_le());
        let is = after.next_if(|_| order.is_ge());
        match (was, is) {
            (Some((_, was)), Some((_, is))) if is_same(was, is) => {}
            (Some((key, _)), _) | (None, Some((key, _))) => differing.push(key),
            (None, None) => {}
        }
    }
}

/// The pods that are others.
struct Changed<'a> {
    pods: Vec<ChangedPod<'a>>,
    namespaces: BTreeSet<&'a Namespace>,
}

/// A pod as it was, and as it is.
struct ChangedPod<'a> {
    name: &'a (Namespace, Name),
    was: Option<&'a Arc<Pod>>,
    is: Option<&'a Arc<Pod>>,
}

impl<'a> ChangedPod<'a> {
    fn id(&self) -> WorkloadId {
        let (namespace, name) = self.name.clone();
        WorkloadId { namespace, name }
    }

    /// Both of what it was and what it is.
    fn both(&self) -> impl Iterator<Item = &'a Arc<Pod>> + use<'a> {
        self.was.into_iter().chain(self.is)
    }
}

impl<'a> Changed<'a> {
    fn between(before: &'a Pods, after: &'a Pods) -> Self {
        let names = differing(before, after, |was, is| Arc::ptr_eq(was, is) || was == is);
        let pods = names.into_iter().map(|name| ChangedPod {
            name,
            was: before.get(name),
            is: after.get(name),
        });
        let pods: Vec<_> = pods.collect();
        Self {
            namespaces: pods.iter().map(|pod| &pod.name.0).collect(),
            pods,
        }
    }

    /// Whether something else may be said of pods around them than what holds of all pods of their workloads: a
    /// finding, or an `EndpointSlice` that names their addresses.
    fn is_spoken_of(&self, resources: &Resources, notes: &Notes, pods: &Pods) -> bool {
        let is_of_pod = |note: &Note| {
            let object = note.origin.as_ref().map(|origin| &origin.object);
            let pod = object.filter(|object| &*object.kind == POD);
            let namespace = pod.and_then(|object| object.namespace.as_ref());
            namespace.is_some_and(|namespace| self.namespaces.contains(namespace))
        };
        let mut lasting = notes.iter().filter(|note| !is_of_pods(note));
        lasting.any(is_of_pod) || self.are_in_slice(resources, pods)
    }

    /// Whether a `NetworkPolicy` lets in some of those who act as they do, by their addresses, and not others.
    fn are_told_apart(&self, mesh: &Mesh) -> bool {
        let identity = |pod: &ChangedPod<'_>, it: &Pod| SpiffeId {
            trust_domain: mesh.settings.trust_domain.clone(),
            namespace: pod.name.0.clone(),
            service_account: it.service_account.clone(),
        };
        let is_apart = |pod: &ChangedPod<'_>| {
            let mut both = pod.both();
            both.any(|it| mesh.by_address.contains(&identity(pod, it)))
        };
        !mesh.by_address.is_empty() && self.pods.iter().any(is_apart)
    }

    fn are_in_slice(&self, resources: &Resources, pods: &Pods) -> bool {
        let bodies = resources.endpoint_slices.iter();
        let bodies = bodies.filter_map(|object| object.spec.partly());
        let endpoints = bodies.flat_map(|body| body.endpoints.iter());
        let endpoints = endpoints.filter_map(|endpoint| endpoint.partly());
        let addresses = endpoints.flat_map(|endpoint| endpoint.addresses.iter());
        let addresses = addresses.filter_map(|address| address.sound()?.parse::<IpAddr>().ok());
        let mut named: BTreeSet<_> = addresses.map(|address| address.to_canonical()).collect();
        if named.is_empty() {
            return false;
        }
        // An address of a node is nobody's, for as long as a pod says that it is a node's.
        let (hosts_before, hosts) = (hosts(&resources.pods), hosts(pods));
        let is_host = |address: &IpAddr| hosts.contains(address);
        if named
            .iter()
            .any(|it| is_host(it) != hosts_before.contains(it))
        {
            return true;
        }
        named.retain(|address| !is_host(address));
        let before = within(&resources.pods, &self.namespaces);
        let mut around = before.chain(within(pods, &self.namespaces));
        around.any(|(_, pod)| pod.addresses.iter().any(|it| named.contains(it)))
    }

    /// Of what is written and of `pods` all that they have to do with: the Services that select them or did, and the
    /// workloads that those select, or that are theirs.
    fn surroundings(&self, resources: &Resources, pods: &Arc<Pods>) -> Resources {
        let mut names = BTreeMap::<_, BTreeSet<&Name>>::new();
        let mut labels = BTreeMap::<_, BTreeSet<&Labels>>::new();
        for pod in &self.pods {
            for it in pod.both() {
                let namespace = &pod.name.0;
                names.entry(namespace).or_default().insert(&it.workload);
                labels.entry(namespace).or_default().insert(&it.meta.labels);
            }
        }
        let mut selectors = BTreeMap::<_, Vec<&Labels>>::new();
        let services = resources.services.filtered(|service| {
            let Some((namespace, selector)) = selector(service) else {
                return false;
            };
            let mut labels = labels.get(namespace).into_iter().flatten();
            let is_near = labels.any(|labels| has_all(labels, selector));
            if is_near {
                selectors.entry(namespace).or_default().push(selector);
            }
            is_near
        });
        let is_near = |namespace: &Namespace, labels: &Labels| {
            let mut selectors = selectors.get(namespace).into_iter().flatten();
            selectors.any(|it| has_all(labels, it))
        };
        let is_of = |namespace: &Namespace, workload: &Name| {
            let names = names.get(namespace);
            names.is_some_and(|names| names.contains(workload))
        };
        let here = within(pods, &self.namespaces);
        let here = here.filter(|((namespace, _), pod)| {
            is_of(namespace, &pod.workload) || is_near(namespace, &pod.meta.labels)
        });
        let here = here.map(|(name, pod)| (name.clone(), pod.clone()));
        Resources {
            meshes: resources.meshes.clone(),
            peers: resources.peers.clone(),
            namespaces: resources.namespaces.clone(),
            workloads: resources.workloads.filtered(|workload| {
                let namespace = workload.meta.namespace.as_ref();
                namespace.is_some_and(|namespace| self.namespaces.contains(namespace))
            }),
            services,
            pods: Arc::new(here.collect()),
            ..Resources::default()
        }
    }

    /// The workloads that they are of, or were.
    fn workloads(&self) -> BTreeSet<Alike<'a>> {
        let each = self.pods.iter();
        let alike = each.flat_map(|pod| pod.both().map(|it| Alike::of(&pod.name.0, it)));
        alike.collect()
    }
}

type Labels = BTreeMap<Arc<str>, Arc<str>>;

fn has_all(labels: &Labels, selector: &Labels) -> bool {
    let mut selector = selector.iter();
    selector.all(|(key, value)| labels.get(key) == Some(value))
}

/// The labels that a Service selects, and where.
fn selector(service: &Object<ServiceSpec>) -> Option<(&Namespace, &Labels)> {
    let selector = &service.spec.partly()?.selector;
    (!selector.is_empty()).then_some((service.meta.namespace.as_ref()?, selector))
}

/// The pods of these namespaces.
fn within<'a>(
    pods: &'a Pods,
    namespaces: &BTreeSet<&'a Namespace>,
) -> impl Iterator<Item = (&'a (Namespace, Name), &'a Arc<Pod>)> {
    let first = Name::new(Name::FIRST).expect("a constant that is a name");
    namespaces.iter().flat_map(move |namespace| {
        let begin = ((*namespace).clone(), first.clone());
        let from = pods.range(begin..);
        from.take_while(move |((it, _), _)| it == *namespace)
    })
}

/// The addresses of nodes that pods tell.
fn hosts(pods: &Pods) -> BTreeSet<IpAddr> {
    let hosts = pods.values().flat_map(|pod| &pod.hosts);
    hosts.copied().collect()
}

/// What is meant by the addresses of a pod; `None` where not everybody means the same.
fn called<'a>(
    namespace: &'a Namespace,
    pod: &'a Pod,
) -> impl Iterator<Item = Option<Called>> + use<'a> {
    let network = Network::default_network();
    pod.addresses.iter().map(move |address| {
        let is_public = reach(namespace, *address).is_some();
        (!is_public).then(|| Called::of(namespace, &network, *address))
    })
}

/// A mesh on its way from some pods to others.
struct Turnover<'a> {
    changed: &'a Changed<'a>,
    before: &'a Pods,
    after: &'a Pods,
    mesh: &'a mut Mesh,
}

impl<'a> Turnover<'a> {
    /// Leads to what is `here`; half of the way is worth nothing.
    fn of(&mut self, here: &Resources) -> Option<()> {
        let mut told_before = Notes::default();
        let everywhere = everywhere(here, &mut told_before);
        let domain = &everywhere.settings.trust_domain;
        let peers = peers(here, domain, &mut told_before);
        let workloads = workloads(here, &everywhere, &peers, &mut told_before);
        self.take_addresses()?;
        self.run(here, &workloads)?;
        self.give_addresses()?;
        self.answer(here, &workloads, &mut told_before);
        self.turn_sidecars();
        self.turn_namespaces(&Modes::of(here));
        Some(())
    }

    /// Takes their addresses from those that are others. One that somebody else has as well is told of.
    fn take_addresses(&mut self) -> Option<()> {
        for pod in &self.changed.pods {
            let id = pod.id();
            for called in pod.was.into_iter().flat_map(|was| called(&pod.name.0, was)) {
                match Arc::make_mut(&mut self.mesh.addresses).remove(&called?)? {
                    AddressOwner::Instances(owners) if *owners == [id.clone()] => {}
                    AddressOwner::Instances(_) | AddressOwner::Service(_) => return None,
                }
            }
        }
        Some(())
    }

    fn give_addresses(&mut self) -> Option<()> {
        for pod in &self.changed.pods {
            for called in pod.is.into_iter().flat_map(|is| called(&pod.name.0, is)) {
                let owner = AddressOwner::Instances([pod.id()].into());
                if Arc::make_mut(&mut self.mesh.addresses)
                    .insert(called?, owner)
                    .is_some()
                {
                    return None;
                }
            }
        }
        Some(())
    }

    /// Lets those run that are there by now, each like another one of its workload.
    fn run(&mut self, here: &Resources, workloads: &[Workload<'_>]) -> Option<()> {
        let mut said = self.said()?;
        let mut is_of_node = false;
        for pod in &self.changed.pods {
            let known = Arc::make_mut(&mut self.mesh.instances).remove(&pod.id());
            is_of_node |= known.as_ref().is_some_and(|it| it.workload.pod.is_some());
            if known.is_some_and(|known| is_pod(&known)) != pod.was.is_some() {
                return None;
            }
        }
        let is = self.changed.pods.iter().filter(|pod| pod.is.is_some());
        let mut due: BTreeSet<_> = is.map(ChangedPod::id).collect();
        for workload in workloads.iter().filter(|it| it.outline.span("").is_none()) {
            let WorkloadId { namespace, name } = workload.instances.first()?.id.clone();
            let ((namespace, _), first) = here.pods.get_key_value(&(namespace, name))?;
            let Some(said) = said.remove(&Alike::of(namespace, first)) else {
                continue;
            };
            for running in &workload.instances {
                let mut blocks = self.mesh.by_block.iter();
                if blocks.any(|it| it.has_one(&running.addresses) != it.has_one(said.addresses())) {
                    return None;
                }
                due.remove(&running.id);
                let instance = said.instance(workload, running);
                let known = self.mesh.instances.get(&running.id);
                if known.is_none_or(|known| **known != instance) {
                    is_of_node |= instance.workload.pod.is_some();
                    let instance = Arc::new(instance);
                    Arc::make_mut(&mut self.mesh.instances).insert(running.id.clone(), instance);
                }
            }
        }
        if is_of_node {
            self.mesh.nodes = Arc::new(by_node(&self.mesh.instances));
        }
        // Whoever is not there is left out for a reason, and a workload whose last pod is gone is another mesh.
        (due.is_empty() && said.is_empty()).then_some(())
    }

    /// Leaves with each node those that run there and have proxies of their own.
    fn turn_sidecars(&mut self) {
        let turned = self.changed.pods.iter();
        let turned = turned.filter(|pod| pod.both().any(|it| it.has_proxy));
        for pod in turned {
            let sidecars = Arc::make_mut(&mut self.mesh.sidecars);
            let [was, is] = [pod.was, pod.is].map(|pod| pod.map(|pod| &**pod));
            placement::turn(sidecars, &pod.id(), was, is);
        }
    }

    /// Leaves those namespaces that take part by now.
    fn turn_namespaces(&mut self, modes: &Modes<'_>) {
        for namespace in &self.changed.namespaces {
            let alone = [*namespace].into();
            let mut pods = within(self.after, &alone);
            let takes_part =
                modes.is_labelled(namespace) || pods.any(|(_, pod)| modes.has_part(pod));
            if takes_part == self.mesh.taking_part.contains(*namespace) {
                continue;
            }
            let known = Arc::make_mut(&mut self.mesh.taking_part);
            match takes_part {
                true => known.insert((*namespace).clone()),
                false => known.remove(*namespace),
            };
        }
    }

    /// What is said of each workload that has other pods, as one of its pods had it before.
    fn said(&self) -> Option<BTreeMap<Alike<'a>, Said>> {
        let wanted = self.changed.workloads();
        let mut said = BTreeMap::new();
        for (name @ (namespace, _), pod) in within(self.before, &self.changed.namespaces) {
            let alike = Alike::of(namespace, pod);
            if wanted.contains(&alike) && !said.contains_key(&alike) {
                let (namespace, name) = name.clone();
                let known = self.mesh.instances.get(&WorkloadId { namespace, name });
                let known = known.filter(|known| is_pod(known))?;
                said.insert(alike, Said::of(known));
            }
        }
        (said.len() == wanted.len()).then_some(said)
    }

    /// Lets those answer that do by now.
    fn answer(&mut self, here: &Resources, workloads: &[Workload<'_>], notes: &mut Notes) {
        let services = services(here, workloads, notes);
        let unready = Unready::of(workloads.iter(), services.values());
        let labelled = Labelled::new(workloads);
        for service in services.values() {
            if !matches!(service.selects, Selects::Labels(_)) {
                continue;
            }
            let mut behind = answers(service, &labelled, notes);
            for number in service.ports.keys() {
                let port = PortRef {
                    service: service.name.clone(),
                    port: *number,
                };
                let mut answers = behind.remove(&port).unwrap_or_default();
                unready.leave_one(&service.name, &mut answers);
                let known = Arc::make_mut(&mut self.mesh.answers);
                match answers.is_empty() {
                    true => drop(known.remove(&port)),
                    false => drop(known.insert(port, answers)),
                }
            }
        }
    }
}

fn is_pod(instance: &Instance) -> bool {
    &*instance.origin.object.kind == POD
}

/// The kind of what runs and nobody wrote.
const POD: &str = "Pod";
