//! Where proxies take mesh calls, as they reported, and which pods the proxies of nodes serve. Kept in the store: after a
//! restart no endpoint is told without its tunnel, which would mean that it is called in plain, and no pod is let go of.

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
    /// Of what is said of pods, of which: others come that have their names.
    pods: BTreeMap<WorkloadId, OfPod>,
}

/// The pod that something is said of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OfPod {
    pub(crate) uid: Arc<str>,
    /// Whether the proxy of its node serves it. That stays said until it ends, also while that one takes no calls for it.
    pub(crate) is_served: bool,
}

/// What a proxy says of a workload.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Report {
    /// Where it takes mesh calls for it, if it does.
    pub(crate) tunnel: Option<SocketAddr>,
    /// The pod that the workload is, if it is one.
    pub(crate) pod: Option<OfPod>,
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
                self.take(id(), Said::At(AT_ITS_OWN));
            }
        }
        self
    }

    fn has_left(&self, id: &WorkloadId) -> bool {
        let part = self.0.get(part_of(id));
        part.is_some_and(|part| part.left.contains(id))
    }

    /// The pod that what is said of a workload is said of, if it is one.
    fn pod(&self, id: &WorkloadId) -> Option<&OfPod> {
        self.0.get(part_of(id))?.pods.get(id)
    }

    /// Whether what is said of a workload is said of this pod. One that was served is so until it ends.
    fn knows(&self, id: &WorkloadId, pod: &OfPod) -> bool {
        let known = self.pod(id).filter(|known| known.uid == pod.uid);
        known.is_some_and(|known| known.is_served || !pod.is_served)
    }

    /// The pods that the proxies of nodes serve.
    fn served(&self) -> impl Iterator<Item = (&WorkloadId, &OfPod)> {
        let pods = self.0.iter().flat_map(|part| &part.pods);
        pods.filter(|(_, of)| of.is_served)
    }

    /// All of whom something is said.
    fn ids(&self) -> impl Iterator<Item = &WorkloadId> {
        self.0.iter().flat_map(|part| part.ids())
    }

    /// What is to be said of a workload where this pod has its name, or none; nothing if nothing else.
    fn settled(&self, id: &WorkloadId, pod: Option<&Pod>) -> Option<Said> {
        let of = self.pod(id);
        let Some(pod) = pod else {
            return of.map(|_| Said::Gone);
        };
        let is_of_another = |tunnel: SocketAddr| {
            let is_somewhere = !tunnel.ip().is_unspecified() && !pod.addresses.is_empty();
            is_somewhere && !pod.addresses.contains(&tunnel.ip().to_canonical())
        };
        match of {
            Some(of) if of.uid != pod.uid => Some(Said::Gone),
            _ if self.tunnel(id).is_some_and(is_of_another) => Some(Said::Nowhere),
            Some(_) => None,
            None => Some(Said::Pod(OfPod {
                uid: pod.uid.clone(),
                is_served: false,
            })),
        }
    }

    /// Takes what is said of a workload; gives its part.
    fn take(&mut self, id: WorkloadId, said: Said) -> usize {
        let number = part_of(&id);
        if let Some(part) = Arc::make_mut(&mut self.0).get_mut(number) {
            Arc::make_mut(part).take(id, said);
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
enum Said {
    At(SocketAddr),
    Left,
    /// Its proxy takes no calls any more.
    Nowhere,
    /// It is this pod.
    Pod(OfPod),
    /// It is there no more.
    Gone,
}

type News = Vec<(WorkloadId, Said)>;

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
    pub(crate) fn report(&self, reports: &BTreeMap<WorkloadId, Report>) -> Result<(), Failed> {
        self.change(|known| {
            let mut news = News::new();
            for (id, report) in reports {
                let said = report.tunnel.map_or(Said::Nowhere, Said::At);
                if known.has_left(id) || known.tunnel(id) != report.tunnel {
                    news.push((id.clone(), said));
                }
                let pod = report.pod.as_ref().filter(|_| report.tunnel.is_some());
                if let Some(pod) = pod.filter(|pod| !known.knows(id, pod)) {
                    news.push((id.clone(), Said::Pod(pod.clone())));
                }
            }
            news
        })
    }

    /// The proxy of `workloads` goes away for good. On disk when this returns.
    pub(crate) fn leave(&self, workloads: &BTreeSet<WorkloadId>) -> Result<(), Failed> {
        self.change(|known| {
            let leaving = workloads.iter().filter(|id| !known.has_left(id));
            leaving.map(|id| (id.clone(), Said::Left)).collect()
        })
    }

    /// These pods are there, and no other: forgets what was said of one that is gone, whether another has its name by now
    /// or not, and tunnels at addresses that their pods have not. What was kept without its pod is taken to be of the one
    /// that is there. On disk when this returns.
    pub(crate) fn settle(&self, now: &Pods) -> Result<(), Failed> {
        self.change(|known| {
            let settled = known.ids().filter_map(|id| {
                let pod = now.get(&(id.namespace.clone(), id.name.clone()));
                let said = known.settled(id, pod.map(AsRef::as_ref))?;
                Some((id.clone(), said))
            });
            settled.collect()
        })
    }

    /// Forgets what was said of what is neither a pod nor there. On disk when this returns.
    pub(crate) fn forget(&self, is_there: impl Fn(&WorkloadId) -> bool) -> Result<(), Failed> {
        self.change(|known| {
            let strangers = known.ids().filter(|id| known.pod(id).is_none());
            let gone = strangers.filter(|id| !is_there(id));
            gone.map(|id| (id.clone(), Said::Gone)).collect()
        })
    }

    /// Nodes have no proxies any more: forgets what those served. On disk when this returns.
    pub(crate) fn let_go(&self) -> Result<(), Failed> {
        self.change(|known| {
            let served = known.served().map(|(id, _)| id.clone());
            served.map(|id| (id, Said::Gone)).collect()
        })
    }

    /// The same pods, with those marked that the proxies of their nodes serve; one that was marked so `before` is the same
    /// value.
    pub(crate) fn mark(&self, mut pods: Arc<Pods>, before: &Pods) -> Arc<Pods> {
        for (id, of) in self.reported().served() {
            let named = (id.namespace.clone(), id.name.clone());
            let pod = pods.get(&named);
            let Some(pod) = pod.filter(|pod| pod.uid == of.uid && !pod.is_served) else {
                continue;
            };
            let marked = Pod {
                is_served: true,
                ..Pod::clone(pod)
            };
            let same = before.get(&named).filter(|before| ***before == marked);
            let marked = same.map_or_else(|| Arc::new(marked), Arc::clone);
            Arc::make_mut(&mut pods).insert(named, marked);
        }
        pods
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
        reported.take(id, said);
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
    /// All of whom something is said.
    fn ids(&self) -> impl Iterator<Item = &WorkloadId> {
        let known = self.pods.keys().chain(self.tunnels.keys());
        let known: BTreeSet<_> = known.chain(&self.left).collect();
        known.into_iter()
    }

    fn take(&mut self, id: WorkloadId, said: Said) {
        if let Said::Pod(pod) = said {
            self.pods.insert(id, pod);
            return;
        }
        self.left.remove(&id);
        self.tunnels.remove(&id);
        match said {
            Said::At(tunnel) => drop(self.tunnels.insert(id, tunnel)),
            Said::Left => drop(self.left.insert(id)),
            Said::Nowhere => {
                let of = self.pods.get(&id);
                if of.is_some_and(|of| !of.is_served) {
                    self.pods.remove(&id);
                }
            }
            Said::Gone | Said::Pod(_) => drop(self.pods.remove(&id)),
        }
    }

    /// `shop/cart-1 10.0.0.7:15008` or `shop/cart-1 left`, and `shop/cart-1 pod 6f1c..` or `shop/cart-1 served 6f1c..`, a
    /// line for each.
    fn write(&self) -> String {
        let tunnels = self.tunnels.iter();
        let tunnels = tunnels.map(|(workload, tunnel)| format!("{workload} {tunnel}\n"));
        let left = self.left.iter();
        let left = left.map(|workload| format!("{workload} {LEFT}\n"));
        let pods = self
            .pods
            .iter()
            .map(|(workload, OfPod { uid, is_served })| {
                let word = if *is_served { SERVED } else { POD };
                format!("{workload} {word} {uid}\n")
            });
        tunnels.chain(left).chain(pods).collect()
    }
}

const LEFT: &str = "left";
const POD: &str = "pod";
const SERVED: &str = "served";

/// What is not understood is of a later one, and says nothing here.
fn read(text: &str) -> impl Iterator<Item = (WorkloadId, Said)> {
    text.lines().filter_map(|line| {
        let (workload, said) = line.split_once(' ')?;
        let (namespace, name) = workload.split_once('/')?;
        let id = WorkloadId {
            namespace: Namespace::new(namespace).ok()?,
            name: Name::new(name).ok()?,
        };
        let of = |uid: &str, is_served| {
            let uid = uid.into();
            Said::Pod(OfPod { uid, is_served })
        };
        let said = match said.split_once(' ') {
            Some((POD, uid)) => of(uid, false),
            Some((SERVED, uid)) => of(uid, true),
            Some(_) => return None,
            None if said == LEFT => Said::Left,
            None => Said::At(said.parse().ok()?),
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
        for part in reported.0.iter() {
            all.pods.extend(part.pods.clone());
        }
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
        let nowhere = mail.map(|id| (id, Report::default()));
        tunnels.report(&nowhere.into()).unwrap();
        drop((tunnels, store));
        let after = "shop/cart-1 10.0.0.7:15008\nshop/web [fd00::1]:15008\n";
        assert_eq!(told(&Tunnels::open(open()).unwrap().reported()), after);
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// A pod of the shop at one address, or at none yet.
    fn pod(name: &str, last: Option<u8>) -> ((Namespace, Name), Arc<Pod>) {
        pod_of(name, &format!("uid-{name}"), last)
    }

    fn pod_of(name: &str, uid: &str, last: Option<u8>) -> ((Namespace, Name), Arc<Pod>) {
        let (namespace, name) = (Namespace::new("shop").unwrap(), Name::new(name).unwrap());
        let pod = Pod {
            uid: uid.into(),
            addresses: last
                .map(|last| [10, 1, 0, last].into())
                .into_iter()
                .collect(),
            ..Pod::named(namespace.clone(), name.clone())
        };
        ((namespace, name), Arc::new(pod))
    }

    fn id(name: &str) -> WorkloadId {
        WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new(name).unwrap(),
        }
    }

    /// What is said of a workload that is this pod, or none.
    fn report(name: &str, tunnel: &str, of: Option<(&str, bool)>) -> (WorkloadId, Report) {
        let pod = of.map(|(uid, is_served)| OfPod {
            uid: uid.into(),
            is_served,
        });
        let tunnel = (!tunnel.is_empty()).then(|| tunnel.parse().unwrap());
        (id(name), Report { tunnel, pod })
    }

    /// What is kept in a folder of this test alone.
    fn kept(name: &str) -> (std::path::PathBuf, impl Fn() -> Tunnels) {
        let folder = format!("leno-tunnels-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let at = folder.clone();
        let open = move || {
            let store = Store::open(&at, leno_store::Settings::default());
            Tunnels::open(Arc::new(store.unwrap())).unwrap()
        };
        (folder, open)
    }

    #[test]
    fn what_is_said_of_a_pod_goes_with_it() {
        let (folder, open) = kept("gone");
        let tunnels = open();
        let own = "0.0.0.0:15008";
        let reports = [
            report("db-0", own, Some(("1", true))),
            report("new", "10.1.0.2:15008", Some(("uid-new", false))),
            report("moved", "10.1.0.5:15008", Some(("uid-moved", false))),
            report("gone", own, Some(("uid-gone", false))),
            // It is no pod.
            report("vm", "10.1.0.4:15008", None),
        ];
        tunnels.report(&reports.into()).unwrap();
        let before = told(&tunnels.reported());
        assert_eq!(before.lines().count(), 9);
        let pods = |db, more: Option<_>| {
            let moved = pod("moved", Some(5));
            let pods = [pod_of("db-0", db, None), pod("new", None), moved];
            pods.into_iter().chain(more).collect::<Pods>()
        };
        tunnels
            .settle(&pods("1", Some(pod("gone", Some(3)))))
            .unwrap();
        assert_eq!(told(&tunnels.reported()), before);
        drop(tunnels);

        // Nobody looks while one ends, another comes in the place of a third, and one moves.
        let tunnels = open();
        assert_eq!(told(&tunnels.reported()), before);
        let mut now = pods("2", None);
        now.extend([pod("moved", Some(9))]);
        tunnels.settle(&now).unwrap();
        tunnels.forget(|it| *it == id("vm")).unwrap();
        let after = "shop/new 10.1.0.2:15008\nshop/vm 10.1.0.4:15008\nshop/new pod uid-new\n";
        assert_eq!(told(&tunnels.reported()), after);
        tunnels.forget(|_| false).unwrap();
        let after = after.replace("shop/vm 10.1.0.4:15008\n", "");
        assert_eq!(told(&tunnels.reported()), after);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_was_kept_without_its_pod_is_said_of_the_one_that_is_there() {
        let (folder, open) = kept("adopted");
        let tunnels = open();
        let own = "0.0.0.0:15008";
        tunnels.report(&[report("db-0", own, None)].into()).unwrap();
        let settle = |uid| {
            let pods = [pod_of("db-0", uid, Some(7))];
            tunnels.settle(&pods.into()).unwrap();
            told(&tunnels.reported())
        };
        assert_eq!(settle("1"), format!("shop/db-0 {own}\nshop/db-0 pod 1\n"));
        assert_eq!(settle("2"), "");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_pod_that_its_node_serves_is_so_until_it_ends() {
        let (folder, open) = kept("served");
        let own = "0.0.0.0:15008";
        let served = |tunnels: &Tunnels, uid: &str| {
            let seen = Pods::from([pod_of("web", uid, None), pod("cart", None)]);
            tunnels.settle(&seen).unwrap();
            let before = tunnels.mark(Arc::new(seen.clone()), &Pods::default());
            let pods = tunnels.mark(Arc::new(seen), &before);
            let served = pods.values().filter(|pod| pod.is_served);
            let served: Vec<_> = served.map(|pod| pod.meta.name.to_string()).collect();
            let same = pods.iter().filter(|(name, _)| name.1.as_str() == "web");
            let mut same = same.map(|(name, pod)| Arc::ptr_eq(pod, &before[name]));
            (served, same.next().unwrap())
        };
        let tunnels = open();
        assert_eq!(served(&tunnels, "1").0, [""; 0]);
        let all = [
            report("web", own, Some(("1", true))),
            report("cart", own, Some(("uid-cart", false))),
        ];
        tunnels.report(&all.into()).unwrap();
        assert_eq!(served(&tunnels, "1"), (vec!["web".to_owned()], true));
        // Nor is it another's while its proxy is not there, or says nothing of whose it is.
        let other = [report("web", own, Some(("1", false)))];
        tunnels.report(&other.into()).unwrap();
        let nowhere = [report("web", "", None), report("cart", "", None)];
        tunnels.report(&nowhere.into()).unwrap();
        assert_eq!(told(&tunnels.reported()), "shop/web served 1\n");
        drop(tunnels);
        let tunnels = open();
        assert_eq!(served(&tunnels, "1").0, ["web"]);
        assert_eq!(served(&tunnels, "2").0, [""; 0]);
        assert_eq!(told(&tunnels.reported()), "");

        tunnels
            .report(&[report("web", own, Some(("2", true)))].into())
            .unwrap();
        tunnels.let_go().unwrap();
        assert_eq!(told(&tunnels.reported()), "");
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
}
