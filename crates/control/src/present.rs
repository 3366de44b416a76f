//! What runs, as whoever started it reports: it completes what `MeshWorkload`s say about where their
//! instances are, and by which ports they are called.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_compile::Mesh;
use leno_model::view::{Protocol, WorkloadId};
use leno_model::{Name, Namespace, Network};
use leno_resources::mesh::{Instance, MeshWorkloadSpec, WorkloadPort, WorkloadProtocol};
use leno_resources::pod::Pods;
use leno_resources::{Object, Part, Resources};
use leno_store::{Failed, Label, Secret, Store};

/// Something that runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Present {
    /// The `MeshWorkload` it is an instance of. One that nobody wrote says nothing but its name.
    pub of: Name,
    /// Where it is.
    pub address: IpAddr,
    /// The ports that it was found to listen on, with what is spoken there. They count where its
    /// `MeshWorkload` says none.
    pub found: BTreeMap<u16, Protocol>,
    /// Where its proxy takes mesh calls for it. What takes none is no endpoint of anything: it only
    /// calls, as the other instances of its `MeshWorkload` do.
    pub tunnel: Option<SocketAddr>,
}

/// All that runs.
#[derive(Debug)]
pub(crate) struct Presence {
    store: Arc<Store>,
    reported: Mutex<Reported>,
}

/// What was reported last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reported {
    /// Rises with every report that says something else, also over restarts. 0 while nobody has
    /// reported.
    pub(crate) position: u64,
    pub(crate) all: Arc<BTreeMap<WorkloadId, Present>>,
    /// The pods of the cluster.
    pub(crate) pods: Arc<Pods>,
}

impl Presence {
    /// Nothing runs yet.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            reported: Mutex::default(),
        }
    }

    /// This runs, and nothing else.
    pub(crate) fn report(&self, all: BTreeMap<WorkloadId, Present>) -> Result<(), Failed> {
        let mut reported = self.lock();
        if reported.position == 0 || *reported.all != all {
            reported.position = self.next(reported.position)?;
            reported.all = Arc::new(all);
        }
        Ok(())
    }

    /// These pods run, and no other.
    pub(crate) fn see_pods(&self, pods: Arc<Pods>) -> Result<(), Failed> {
        let mut reported = self.lock();
        if reported.position == 0 || reported.pods != pods {
            reported.position = self.next(reported.position)?;
            reported.pods = pods;
        }
        Ok(())
    }

    /// What was reported last.
    pub(crate) fn reported(&self) -> Reported {
        self.lock().clone()
    }

    fn next(&self, position: u64) -> Result<u64, Failed> {
        match position {
            0 => Ok(self.begin()? << REPORTS),
            position => Ok(position + 1),
        }
    }

    /// Counts, in the store, how often somebody began to report.
    fn begin(&self) -> Result<u64, Failed> {
        let name = Label::new("reported/present").expect("a constant that is a label");
        let kept = self.store.secret(&name)?;
        let text = kept.map(|Secret(bytes)| String::from_utf8_lossy(&bytes).into_owned());
        let before = text.and_then(|text| text.parse::<u32>().ok());
        let count = before.unwrap_or_default().saturating_add(1);
        let secret = Some(Secret(count.to_string().into_bytes()));
        self.store.keep_secrets(&[(name, secret)])?;
        Ok(u64::from(count))
    }

    fn lock(&self) -> MutexGuard<'_, Reported> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a position, so many bits count the reports of one process; those above, the processes.
const REPORTS: u32 = 32;

/// Adds to what is written where instances run, and their ports where it says none.
pub(crate) fn complete(resources: &mut Resources, present: &BTreeMap<WorkloadId, Present>) {
    make_up(resources, present);
    for object in resources.workloads.iter_mut() {
        let is_instance = |(id, present): &(&WorkloadId, &Present)| {
            present.tunnel.is_some()
                && Some(&id.namespace) == object.meta.namespace.as_ref()
                && present.of == object.meta.name
        };
        let instances = present.iter().filter(is_instance).collect::<Vec<_>>();
        if !instances.is_empty() {
            complete_one(object, &instances);
        }
    }
}

/// Notes what the compiler need not know: where proxies take calls, and who only calls.
pub(crate) fn settle(mesh: &mut Mesh, present: &BTreeMap<WorkloadId, Present>) {
    for (id, present) in present {
        match present.tunnel {
            Some(_) => mesh.set_tunnel(id, present.tunnel),
            None => mesh.add_caller(id, &present.of, present.address),
        }
    }
}

/// Adds the `MeshWorkload`s that run and that nobody wrote.
fn make_up(resources: &mut Resources, present: &BTreeMap<WorkloadId, Present>) {
    let named = present
        .iter()
        .map(|(id, present)| (&id.namespace, &present.of));
    let unwritten = named
        .filter(|(namespace, name)| resources.workloads.get(Some(namespace), name).is_none())
        .collect::<BTreeSet<_>>();
    let text = unwritten.iter().map(|(namespace, name)| {
        format!(
            "---\napiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\n\
             metadata: {{name: {name}, namespace: {namespace}}}\n"
        )
    });
    let text = text.collect::<String>().into_bytes();
    let file = (Arc::from(MADE_UP), text);
    let (made_up, _) = Resources::read([file], &Namespace::default_namespace());
    for object in made_up.workloads.iter() {
        resources.workloads.insert(object.clone());
    }
}

/// The file of objects that nobody wrote.
pub(crate) const MADE_UP: &str = "<made up>";

fn complete_one(object: &mut Object<MeshWorkloadSpec>, instances: &[(&WorkloadId, &Present)]) {
    let mut spec = object.spec.partly().cloned().unwrap_or(MeshWorkloadSpec {
        run: None,
        service_account: None,
        identity: None,
        ports: Default::default(),
        instances: Default::default(),
        locality: None,
        attestation: None,
    });
    let instance = |(id, present): &(&WorkloadId, &Present)| {
        Part::whole(Instance {
            name: Some(id.name.clone()),
            address: present.address,
            tunnel: None,
            network: Network::default_network(),
        })
    };
    spec.instances = instances.iter().map(instance).collect();
    if spec.ports.is_empty() {
        let found = instances.iter().flat_map(|(_, present)| &present.found);
        let found = found.collect::<BTreeMap<_, _>>().into_iter();
        let port = |(port, protocol): (&u16, &Protocol)| {
            Part::whole(WorkloadPort {
                name: None,
                port: *port,
                protocol: word(*protocol),
            })
        };
        spec.ports = found.map(port).collect();
    }
    object.spec = Part::whole(spec);
}

/// How a MeshWorkload would say it.
fn word(protocol: Protocol) -> Option<WorkloadProtocol> {
    match protocol {
        Protocol::Http => Some(WorkloadProtocol::Http),
        Protocol::Http1 => Some(WorkloadProtocol::Http1),
        Protocol::Http2 => Some(WorkloadProtocol::Http2),
        Protocol::Grpc => Some(WorkloadProtocol::Grpc),
        Protocol::Tls => Some(WorkloadProtocol::Tls),
        Protocol::Tcp => Some(WorkloadProtocol::Tcp),
        Protocol::Detect => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use leno_compile::compile;

    use super::*;

    fn id(name: &str) -> WorkloadId {
        WorkloadId {
            namespace: Namespace::default_namespace(),
            name: Name::new(name).unwrap(),
        }
    }

    fn present(of: &str, last: u8, found: &[u16], calls_only: bool) -> Present {
        Present {
            of: Name::new(of).unwrap(),
            address: [198, 19, 0, last].into(),
            found: found.iter().map(|port| (*port, Protocol::Http)).collect(),
            tunnel: (!calls_only).then(|| ([127, 0, 0, 1], 15008).into()),
        }
    }

    /// Who runs where, and who answers for what.
    fn check(written: &str, all: &[(&str, Present)], expect: &str) {
        let all = all
            .iter()
            .map(|(name, present)| (id(name), present.clone()));
        let all = all.collect();
        let file = (Arc::from("leno.yaml"), written.as_bytes().to_vec());
        let (mut resources, _) = Resources::read([file], &Namespace::default_namespace());
        complete(&mut resources, &all);
        let (mut mesh, _) = compile(&resources);
        settle(&mut mesh, &all);
        let mut told = String::new();
        for (id, instance) in mesh.instances.iter() {
            let workload = &instance.workload;
            let (account, at) = (&workload.identity.service_account, &workload.addresses);
            writeln!(told, "{id} as {account} at {at:?}").unwrap();
        }
        for (port, answers) in mesh.answers.iter() {
            let answers = answers.iter().map(|answer| answer.instance.to_string());
            let answers = answers.collect::<Vec<_>>().join(" ");
            writeln!(told, "{port}: {answers}").unwrap();
        }
        assert_eq!(told, expect);
    }

    const CART: &str =
        "apiVersion: leno.dev/v1alpha1\nkind: MeshWorkload\nmetadata: {name: cart}\n";

    #[test]
    fn what_runs_completes_what_is_written() {
        check(
            CART,
            &[("cart", present("cart", 1, &[8080], false))],
            "default/cart as cart at [198.19.0.1]\ndefault/cart:8080: default/cart\n",
        );
        let says_its_port = format!("{CART}spec: {{ports: [{{port: 80}}]}}\n");
        check(
            &says_its_port,
            &[("cart", present("cart", 1, &[8080], false))],
            "default/cart as cart at [198.19.0.1]\ndefault/cart:80: default/cart\n",
        );
    }

    #[test]
    fn what_nobody_wrote_runs_under_its_name() {
        check(
            "",
            &[("web-2", present("web", 2, &[80], false))],
            "default/web-2 as web at [198.19.0.2]\ndefault/web:80: default/web-2\n",
        );
    }

    #[test]
    fn who_only_calls_answers_for_nothing() {
        check(
            CART,
            &[
                ("cart", present("cart", 1, &[8080], false)),
                ("cart-2", present("cart", 2, &[], true)),
                ("host", present("host", 3, &[], true)),
            ],
            "default/cart as cart at [198.19.0.1]\ndefault/cart-2 as cart at [198.19.0.2]\n\
             default/host as host at [198.19.0.3]\ndefault/cart:8080: default/cart\n",
        );
    }

    #[test]
    fn a_position_rises_with_every_change_and_over_restarts() {
        let folder = std::env::temp_dir().join(format!("leno-present-{}", std::process::id()));
        let cart = ("cart", present("cart", 1, &[], false));
        let position = |presence: &Presence, all: &[(&str, Present)]| {
            let all = all
                .iter()
                .map(|(name, present)| (id(name), present.clone()));
            presence.report(all.collect()).unwrap();
            let position = presence.reported().position;
            (position >> REPORTS, position & u64::from(u32::MAX))
        };
        for process in 1..3 {
            let store = Store::open(&folder, leno_store::Settings::default()).unwrap();
            let presence = Presence::new(Arc::new(store));
            assert_eq!(presence.reported().position, 0);
            assert_eq!(position(&presence, &[]), (process, 0));
            assert_eq!(position(&presence, &[]), (process, 0));
            let some = std::slice::from_ref(&cart);
            assert_eq!(position(&presence, some), (process, 1));
            assert_eq!(position(&presence, some), (process, 1));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
