//! Where proxies take mesh calls, as they reported. Kept in the store: after a restart no endpoint is
//! told without its tunnel, which would mean that it is called in plain.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_compile::Mesh;
use leno_model::control_name::DEFAULT_CONTROL;
use leno_model::view::WorkloadId;
use leno_model::{ControlName, Name, Namespace};
use leno_resources::pod::{CONTROL, Pod, Pods};
use leno_store::{Failed, Label, Secret, Store};

/// Who takes mesh calls where. A clone shares it.
#[derive(Clone, Debug)]
pub(crate) struct Reported(Arc<Vec<Arc<Part>>>);

/// What was reported of some workloads.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Part {
    tunnels: BTreeMap<WorkloadId, SocketAddr>,
    /// Those whose proxy has left and is not back: nobody calls them.
    left: BTreeSet<WorkloadId>,
}

/// Reports are kept in so many parts, by the workload that each is about, so that with a new one few of the others
/// are written again.
const PARTS: u64 = 256;

impl Default for Reported {
    fn default() -> Self {
        let parts = (0..PARTS).map(|_| Arc::default());
        Self(Arc::new(parts.collect()))
    }
}

impl Reported {
    /// Who takes mesh calls, and where.
    pub(crate) fn tunnels(&self) -> impl Iterator<Item = (&WorkloadId, &SocketAddr)> {
        self.0.iter().flat_map(|part| &part.tunnels)
    }

    /// Those whose proxy has left and is not back: nobody calls them.
    pub(crate) fn left(&self) -> impl Iterator<Item = &WorkloadId> {
        self.0.iter().flat_map(|part| &part.left)
    }

    /// Where the proxy of a workload takes mesh calls for it.
    pub(crate) fn tunnel(&self, id: &WorkloadId) -> Option<SocketAddr> {
        self.0.get(part_of(id))?.tunnels.get(id).copied()
    }

    /// The same with those pods whose proxies follow another control plane than the one of this name, and report
    /// there: one with a proxy in it says by its label whom that follows, and those of nodes follow the default one.
    /// They take mesh calls at their own addresses.
    pub(crate) fn with_elsewhere(
        mut self,
        mesh: &Mesh,
        pods: &Pods,
        own: Option<&ControlName>,
    ) -> Self {
        for ((namespace, name), pod) in pods {
            let id = || WorkloadId {
                namespace: namespace.clone(),
                name: name.clone(),
            };
            let is_elsewhere = match pod.has_proxy {
                true => !follows(pod, own),
                false => own.is_some() && is_of_node(mesh, &id()),
            };
            if is_elsewhere && self.tunnel(&id()).is_none() && !self.has_left(&id()) {
                self.take(id(), Some(Said::At(AT_ITS_OWN)));
            }
        }
        self
    }

    fn has_left(&self, id: &WorkloadId) -> bool {
        let part = self.0.get(part_of(id));
        part.is_some_and(|part| part.left.contains(id))
    }

    /// Takes what is said of a workload, of which nothing is known where nothing is said; gives its part.
    fn take(&mut self, id: WorkloadId, said: Option<Said>) -> usize {
        let number = part_of(&id);
        if let Some(part) = Arc::make_mut(&mut self.0).get_mut(number) {
            let part = Arc::make_mut(part);
            part.left.remove(&id);
            part.tunnels.remove(&id);
            match said {
                Some(Said::At(tunnel)) => drop(part.tunnels.insert(id, tunnel)),
                Some(Said::Left) => drop(part.left.insert(id)),
                None => {}
            }
        }
        number
    }

    /// How one part is kept; nothing if nothing was reported.
    fn kept(&self, number: usize) -> (Label, Option<Secret>) {
        let part = self.0.get(number).filter(|part| ***part != Part::default());
        let secret = part.map(|part| Secret(part.write().into_bytes()));
        (name(number), secret)
    }
}

/// Where proxies in pods and those of nodes take mesh calls: at each pod's own addresses.
const AT_ITS_OWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 15008);

/// Whether the proxy in a pod follows the control plane of this name.
fn follows(pod: &Pod, own: Option<&ControlName>) -> bool {
    let said = pod.meta.labels.get(CONTROL).map(|said| &**said);
    let said = said.filter(|said| *said != DEFAULT_CONTROL);
    said == own.map(ControlName::as_str)
}

/// Whether the proxy of its node serves a pod.
fn is_of_node(mesh: &Mesh, id: &WorkloadId) -> bool {
    let instance = mesh.instances.get(id);
    instance.is_some_and(|instance| instance.workload.pod.is_some())
}

/// The reports.
#[derive(Debug)]
pub(crate) struct Tunnels {
    store: Arc<Store>,
    reported: Mutex<Reported>,
}

/// What is said of a workload.
#[derive(Clone, Copy)]
enum Said {
    At(SocketAddr),
    Left,
}

type News = BTreeMap<WorkloadId, Option<Said>>;

impl Tunnels {
    /// Takes up what was reported before.
    pub(crate) fn open(store: Arc<Store>) -> Result<Self, Failed> {
        let mut reported = Reported::default();
        let parts = 0..reported.0.len();
        for number in parts.clone() {
            take_up(&store, &name(number), &mut reported)?;
        }
        if take_up(&store, &together(), &mut reported)? {
            let apart = parts.map(|number| reported.kept(number));
            let all: Vec<_> = apart.chain([(together(), None)]).collect();
            store.keep_secrets(&all)?;
        }
        Ok(Self {
            store,
            reported: Mutex::new(reported),
        })
    }

    /// What was reported.
    pub(crate) fn reported(&self) -> Reported {
        self.lock().clone()
    }

    /// The proxies of these workloads take mesh calls for them there, or nowhere any more. On disk
    /// when this returns; a report that says nothing new costs nothing.
    pub(crate) fn report(
        &self,
        tunnels: &BTreeMap<WorkloadId, Option<SocketAddr>>,
    ) -> Result<(), Failed> {
        self.change(|known| {
            let is_news = |(id, tunnel): &(&WorkloadId, &Option<SocketAddr>)| {
                known.has_left(id) || known.tunnel(id) != **tunnel
            };
            let news = tunnels.iter().filter(is_news);
            news.map(|(id, tunnel)| (id.clone(), tunnel.map(Said::At)))
                .collect()
        })
    }

    /// The proxy of `workloads` goes away for good. On disk when this returns.
    pub(crate) fn leave(&self, workloads: &BTreeSet<WorkloadId>) -> Result<(), Failed> {
        self.change(|known| {
            let leaving = workloads.iter().filter(|id| !known.has_left(id));
            leaving.map(|id| (id.clone(), Some(Said::Left))).collect()
        })
    }

    /// These pods are there, and those `before` were: forgets what was reported for one that is gone, or by one whose
    /// name another pod has by now, at other addresses. On disk when this returns.
    pub(crate) fn settle(&self, before: &Pods, now: &Pods) -> Result<(), Failed> {
        self.change(|known| {
            let named = |id: &WorkloadId| (id.namespace.clone(), id.name.clone());
            let is_gone = |id: &WorkloadId| {
                let named = named(id);
                !now.contains_key(&named) && before.contains_key(&named)
            };
            let is_of_another = |id: &WorkloadId, tunnel: &SocketAddr| {
                let pod = now.get(&named(id));
                if tunnel.ip().is_unspecified() {
                    let before = before.get(&named(id));
                    return pod
                        .zip(before)
                        .is_some_and(|(now, before)| now.uid != before.uid);
                }
                let addresses = pod.map_or(&[][..], |pod| &pod.addresses);
                !addresses.is_empty() && !addresses.contains(&tunnel.ip().to_canonical())
            };
            let tunnels = known.tunnels();
            let stale = tunnels.filter(|(id, tunnel)| is_gone(id) || is_of_another(id, tunnel));
            let left = known.left().filter(|id| is_gone(id));
            let forgotten = stale.map(|(id, _)| id).chain(left);
            forgotten.map(|id| (id.clone(), None)).collect()
        })
    }

    fn change(&self, news: impl FnOnce(&Reported) -> News) -> Result<(), Failed> {
        let mut reported = self.lock();
        let news = news(&reported);
        if news.is_empty() {
            return Ok(());
        }
        let mut next = reported.clone();
        let news = news.into_iter();
        let parts: BTreeSet<_> = news.map(|(id, said)| next.take(id, said)).collect();
        let secrets: Vec<_> = parts.into_iter().map(|it| next.kept(it)).collect();
        self.store.keep_secrets(&secrets)?;
        *reported = next;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Reported> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds what is kept under this name, and says whether there is something.
fn take_up(store: &Store, name: &Label, reported: &mut Reported) -> Result<bool, Failed> {
    let Some(Secret(bytes)) = store.secret(name)? else {
        return Ok(false);
    };
    for (id, said) in read(&String::from_utf8_lossy(&bytes)) {
        reported.take(id, Some(said));
    }
    Ok(true)
}

fn name(number: usize) -> Label {
    Label::new(&format!("reported/tunnels/{number}")).expect("a constant and a number")
}

/// Where all of them were kept together by those before this one.
fn together() -> Label {
    Label::new("reported/tunnels").expect("a constant that is a label")
}

/// In which part a workload's report is kept, by FNV-1a: the same for as long as there are stores.
fn part_of(id: &WorkloadId) -> usize {
    let bytes = id.namespace.as_str().bytes().chain([b'/']);
    let bytes = bytes.chain(id.name.as_str().bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    usize::try_from(hash % PARTS).unwrap_or_default()
}

impl Part {
    /// `shop/cart-1 10.0.0.7:15008` or `shop/cart-1 left`, a line for each.
    fn write(&self) -> String {
        let tunnels = self.tunnels.iter();
        let tunnels = tunnels.map(|(workload, tunnel)| format!("{workload} {tunnel}\n"));
        let left = self.left.iter();
        let left = left.map(|workload| format!("{workload} {LEFT}\n"));
        tunnels.chain(left).collect()
    }
}

const LEFT: &str = "left";

fn read(text: &str) -> impl Iterator<Item = (WorkloadId, Said)> {
    text.lines().filter_map(|line| {
        let (workload, said) = line.split_once(' ')?;
        let (namespace, name) = workload.split_once('/')?;
        let id = WorkloadId {
            namespace: Namespace::new(namespace).ok()?,
            name: Name::new(name).ok()?,
        };
        let said = match said {
            LEFT => Said::Left,
            tunnel => Said::At(tunnel.parse().ok()?),
        };
        Some((id, said))
    })
}

#[cfg(test)]
mod tests {
    use leno_resources::pod::Pod;

    use super::*;

    /// What is reported, a line for each, in order.
    fn told(reported: &Reported) -> String {
        let mut all = Part::default();
        all.tunnels
            .extend(reported.tunnels().map(|(id, tunnel)| (id.clone(), *tunnel)));
        all.left.extend(reported.left().cloned());
        all.write()
    }

    #[test]
    fn what_was_kept_together_is_kept_in_parts() {
        let folder = std::env::temp_dir().join(format!("leno-reports-{}", std::process::id()));
        let open = || Arc::new(Store::open(&folder, leno_store::Settings::default()).unwrap());
        let text = "shop/cart-1 10.0.0.7:15008\nshop/web [fd00::1]:15008\nshop/mail left\n";
        let kept = Some(Secret(text.into()));
        let store = open();
        store.keep_secrets(&[(together(), kept)]).unwrap();
        let tunnels = Tunnels::open(Arc::clone(&store)).unwrap();
        assert_eq!(told(&tunnels.reported()), text);
        assert!(store.secret(&together()).unwrap().is_none());
        let mail = [WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new("mail").unwrap(),
        }];
        tunnels.report(&mail.map(|id| (id, None)).into()).unwrap();
        drop((tunnels, store));
        let after = "shop/cart-1 10.0.0.7:15008\nshop/web [fd00::1]:15008\n";
        assert_eq!(told(&Tunnels::open(open()).unwrap().reported()), after);
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// A pod of the shop at one address, or at none yet.
    fn pod(name: &str, last: Option<u8>) -> ((Namespace, Name), Arc<Pod>) {
        let (namespace, name) = (Namespace::new("shop").unwrap(), Name::new(name).unwrap());
        let pod = Pod {
            addresses: last
                .map(|last| [10, 1, 0, last].into())
                .into_iter()
                .collect(),
            ..Pod::named(namespace.clone(), name.clone())
        };
        ((namespace, name), Arc::new(pod))
    }

    #[test]
    fn what_a_pod_reported_goes_with_it() {
        let folder = std::env::temp_dir().join(format!("leno-tunnels-{}", std::process::id()));
        let store = Store::open(&folder, leno_store::Settings::default()).unwrap();
        let tunnels = Tunnels::open(Arc::new(store)).unwrap();
        let report = |name: &str, last: u8| {
            let id = WorkloadId {
                namespace: Namespace::new("shop").unwrap(),
                name: Name::new(name).unwrap(),
            };
            let tunnel = SocketAddr::from(([10, 1, 0, last], 15008));
            tunnels.report(&[(id, Some(tunnel))].into()).unwrap();
        };
        let told = || told(&tunnels.reported());
        report("db-0", 1);
        report("new", 2);
        report("gone", 3);
        // It is no pod.
        report("vm", 4);
        let before = [pod("gone", Some(3)), pod("db-0", Some(1)), pod("new", None)];
        tunnels
            .settle(&Pods::default(), &before.clone().into())
            .unwrap();
        assert_eq!(told().lines().count(), 4);
        // Another pod of that name is at another address, and reports by itself.
        let now = [pod("db-0", Some(9)), pod("new", Some(2))];
        tunnels.settle(&before.into(), &now.into()).unwrap();
        assert_eq!(told(), "shop/new 10.1.0.2:15008\nshop/vm 10.1.0.4:15008\n");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn whose_proxy_follows_another_takes_calls_at_its_own_address() {
        let canary = ControlName::new("canary").unwrap();
        let one = |name: &str, label: Option<&str>, has_proxy| {
            let (named, pod) = pod(name, Some(7));
            let mut pod = Pod::clone(&pod);
            pod.has_proxy = has_proxy;
            let label = label.map(|label| (CONTROL.into(), label.into()));
            pod.meta.labels.extend(label);
            (named, Arc::new(pod))
        };
        let pods = Pods::from([
            one("none", None, true),
            one("default", Some("default"), true),
            one("canary", Some("canary"), true),
            one("other", Some("other"), true),
            one("plain", Some("canary"), false),
        ]);
        let (mesh, _) = leno_compile::compile(&leno_resources::Resources::default());
        let check = |own: Option<&ControlName>, expect: &[&str]| {
            let reported = Reported::default().with_elsewhere(&mesh, &pods, own);
            let names: Vec<_> = reported
                .tunnels()
                .map(|(id, _)| id.name.to_string())
                .collect();
            let names: BTreeSet<_> = names.iter().map(String::as_str).collect();
            assert_eq!(names, expect.iter().copied().collect(), "{own:?}");
        };
        check(None, &["canary", "other"]);
        check(Some(&canary), &["default", "none", "other"]);
    }

    /// The proxy of a node says of pods that they take calls at their own addresses, whatever those are.
    #[test]
    fn what_is_said_of_a_pod_is_not_said_of_the_next_one_of_its_name() {
        let folder = std::env::temp_dir().join(format!("leno-tunnels-own-{}", std::process::id()));
        let store = Store::open(&folder, leno_store::Settings::default()).unwrap();
        let tunnels = Tunnels::open(Arc::new(store)).unwrap();
        let id = WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new("db-0").unwrap(),
        };
        let own = SocketAddr::from(([0, 0, 0, 0], 15008));
        let one_of = |uid: &str, last| {
            let (named, pod) = pod("db-0", last);
            let uid = uid.into();
            Pods::from([(
                named,
                Arc::new(Pod {
                    uid,
                    ..Pod::clone(&pod)
                }),
            )])
        };
        tunnels.report(&[(id.clone(), Some(own))].into()).unwrap();
        let (none, some) = (one_of("1", None), one_of("1", Some(7)));
        tunnels.settle(&none, &some).unwrap();
        assert_eq!(tunnels.reported().tunnel(&id), Some(own));
        tunnels.settle(&some, &one_of("2", Some(7))).unwrap();
        assert_eq!(tunnels.reported().tunnel(&id), None);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
