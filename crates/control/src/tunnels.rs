//! Where proxies take mesh calls, as they reported. Kept in the store: after a restart no endpoint is
//! told without its tunnel, which would mean that it is called in plain.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_model::view::WorkloadId;
use leno_model::{Name, Namespace};
use leno_resources::pod::Pods;
use leno_store::{Failed, Label, Secret, Store};

/// Who takes mesh calls where.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Reported {
    pub(crate) tunnels: BTreeMap<WorkloadId, SocketAddr>,
    /// Those whose proxy has left and is not back: nobody calls them.
    pub(crate) left: BTreeSet<WorkloadId>,
}

/// The reports.
#[derive(Debug)]
pub(crate) struct Tunnels {
    store: Arc<Store>,
    reported: Mutex<Reported>,
}

impl Tunnels {
    /// Takes up what was reported before.
    pub(crate) fn open(store: Arc<Store>) -> Result<Self, Failed> {
        let kept = store.secret(&name())?;
        let text = kept.map(|Secret(bytes)| String::from_utf8_lossy(&bytes).into_owned());
        let reported = text.as_deref().map(read).unwrap_or_default();
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
        self.change(|reported| {
            for (workload, tunnel) in tunnels {
                reported.left.remove(workload);
                match tunnel {
                    Some(tunnel) => reported.tunnels.insert(workload.clone(), *tunnel),
                    None => reported.tunnels.remove(workload),
                };
            }
        })
    }

    /// The proxy of `workloads` goes away for good. On disk when this returns.
    pub(crate) fn leave(&self, workloads: &BTreeSet<WorkloadId>) -> Result<(), Failed> {
        self.change(|reported| {
            for workload in workloads {
                reported.tunnels.remove(workload);
                reported.left.insert(workload.clone());
            }
        })
    }

    /// These pods are there, and those `before` were: forgets what was reported for one that is gone, or by one whose
    /// name another pod has by now, at other addresses. On disk when this returns.
    pub(crate) fn settle(&self, before: &Pods, now: &Pods) -> Result<(), Failed> {
        self.change(|reported| {
            let named = |id: &WorkloadId| (id.namespace.clone(), id.name.clone());
            let is_gone = |id: &WorkloadId| {
                let named = named(id);
                before.contains_key(&named) && !now.contains_key(&named)
            };
            let is_of_another = |id: &WorkloadId, tunnel: &SocketAddr| {
                let pod = now.get(&named(id));
                let addresses = pod.map_or(&[][..], |pod| &pod.addresses);
                !addresses.is_empty() && !addresses.contains(&tunnel.ip().to_canonical())
            };
            let tunnels = &mut reported.tunnels;
            tunnels.retain(|id, tunnel| !is_gone(id) && !is_of_another(id, tunnel));
            reported.left.retain(|id| !is_gone(id));
        })
    }

    fn change(&self, change: impl FnOnce(&mut Reported)) -> Result<(), Failed> {
        let mut reported = self.lock();
        let mut next = reported.clone();
        change(&mut next);
        if next == *reported {
            return Ok(());
        }
        let secret = Some(Secret(write(&next).into_bytes()));
        self.store.keep_secrets(&[(name(), secret)])?;
        *reported = next;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Reported> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name() -> Label {
    Label::new("reported/tunnels").expect("a constant that is a label")
}

/// `shop/cart-1 10.0.0.7:15008` or `shop/cart-1 left`, a line for each.
fn write(reported: &Reported) -> String {
    let tunnels = reported.tunnels.iter();
    let tunnels = tunnels.map(|(workload, tunnel)| format!("{workload} {tunnel}\n"));
    let left = reported.left.iter();
    let left = left.map(|workload| format!("{workload} {LEFT}\n"));
    tunnels.chain(left).collect()
}

const LEFT: &str = "left";

fn read(text: &str) -> Reported {
    let mut reported = Reported::default();
    for (workload, said) in text.lines().filter_map(read_line) {
        if said == LEFT {
            reported.left.insert(workload);
        } else if let Ok(tunnel) = said.parse() {
            reported.tunnels.insert(workload, tunnel);
        }
    }
    reported
}

fn read_line(line: &str) -> Option<(WorkloadId, &str)> {
    let (workload, said) = line.split_once(' ')?;
    let (namespace, name) = workload.split_once('/')?;
    let id = WorkloadId {
        namespace: Namespace::new(namespace).ok()?,
        name: Name::new(name).ok()?,
    };
    Some((id, said))
}

#[cfg(test)]
mod tests {
    use leno_resources::pod::Pod;

    use super::*;

    #[test]
    fn reports_read_as_they_were_written() {
        let text = "shop/cart-1 10.0.0.7:15008\nshop/web [fd00::1]:15008\nshop/mail left\n";
        let reported = read(text);
        assert_eq!((reported.tunnels.len(), reported.left.len()), (2, 1));
        assert_eq!(write(&reported), text);
    }

    /// A pod of the shop at one address, or at none yet.
    fn pod(name: &str, last: Option<u8>) -> ((Namespace, Name), Pod) {
        let (namespace, name) = (Namespace::new("shop").unwrap(), Name::new(name).unwrap());
        let pod = Pod {
            addresses: last
                .map(|last| [10, 1, 0, last].into())
                .into_iter()
                .collect(),
            ..Pod::named(namespace.clone(), name.clone())
        };
        ((namespace, name), pod)
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
        let told = || write(&tunnels.reported());
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
}
