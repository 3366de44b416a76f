//! Where proxies take mesh calls, as they reported. Kept in the store: after a restart no endpoint is
//! told without its tunnel, which would mean that it is called in plain.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_model::view::WorkloadId;
use leno_model::{Name, Namespace};
use leno_store::{Failed, Label, Secret, Store};

/// Who takes mesh calls where.
pub(crate) type Reported = BTreeMap<WorkloadId, SocketAddr>;

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
        let mut reported = self.lock();
        let mut next = reported.clone();
        for workload in workloads {
            match tunnel {
                Some(tunnel) => next.insert(workload.clone(), tunnel),
                None => next.remove(workload),
            };
        }
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

/// `shop/cart-1 10.0.0.7:15008`, a line for each.
fn write(reported: &Reported) -> String {
    reported
        .iter()
        .map(|(workload, tunnel)| format!("{workload} {tunnel}\n"))
        .collect()
}

fn read(text: &str) -> Reported {
    let line = |line: &str| {
        let (workload, tunnel) = line.split_once(' ')?;
        let (namespace, name) = workload.split_once('/')?;
        let id = WorkloadId {
            namespace: Namespace::new(namespace).ok()?,
            name: Name::new(name).ok()?,
        };
        Some((id, tunnel.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_read_as_they_were_written() {
        let text = "shop/cart-1 10.0.0.7:15008\nshop/web [fd00::1]:15008\n";
        assert_eq!(read(text).len(), 2);
        assert_eq!(write(&read(text)), text);
    }
}
