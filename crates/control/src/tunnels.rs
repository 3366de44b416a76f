//! Where proxies take mesh calls, as they reported. Kept in the store: after a restart no endpoint is
//! told without its tunnel, which would mean that it is called in plain.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_model::view::WorkloadId;
use leno_model::{Name, Namespace};
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

    /// The proxy of `workloads` takes mesh calls for them at `tunnel`, or nowhere any more. On disk
    /// when this returns; a report that says nothing new costs nothing.
    pub(crate) fn report(
        &self,
        workloads: &BTreeSet<WorkloadId>,
        tunnel: Option<SocketAddr>,
    ) -> Result<(), Failed> {
        self.change(|reported| {
            for workload in workloads {
                reported.left.remove(workload);
                match tunnel {
                    Some(tunnel) => reported.tunnels.insert(workload.clone(), tunnel),
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
    use super::*;

    #[test]
    fn reports_read_as_they_were_written() {
        let text = "shop/cart-1 10.0.0.7:15008\nshop/web [fd00::1]:15008\nshop/mail left\n";
        let reported = read(text);
        assert_eq!((reported.tunnels.len(), reported.left.len()), (2, 1));
        assert_eq!(write(&reported), text);
    }
}
