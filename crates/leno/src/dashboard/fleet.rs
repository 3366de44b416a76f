//! How the mesh of a control plane is: what is configured, and the proxies that follow.

use leno_admin::{Failure, Overview, Proxies, ProxyState, Step, Workload, WorkloadState};
use leno_control::Desk;
use leno_dashboard::Mesh;

/// The mesh of a control plane in this process.
pub(crate) struct Fleet {
    desk: Desk,
}

impl Fleet {
    pub(crate) fn new(desk: Desk) -> Self {
        Self { desk }
    }
}

impl Mesh for Fleet {
    async fn look(&self) -> Result<Overview, Failure> {
        let desk = self.desk.clone();
        let asked = tokio::task::spawn_blocking(move || (desk.check(), desk.proxies()));
        let failed = |_| Failure::plain("the control plane failed at this question");
        let (checked, Proxies { proxies, .. }) = asked.await.map_err(failed)?;
        Ok(Overview {
            status: checked.status,
            findings: checked.findings,
            workloads: proxies.iter().flat_map(workloads).collect(),
            traffic: None,
            failed: None,
            next: steps([
                ("leno proxies", "who follows, and how far behind each is"),
                ("leno history", "what was changed, when and by whom"),
                ("leno check", "what does not hold as it was written"),
                ("leno token create NAMESPACE/NAME", "let another host join"),
            ]),
        })
    }
}

/// What a proxy stands in front of, or the proxy itself where that is nothing.
fn workloads(proxy: &ProxyState) -> Vec<Workload> {
    let named = |name: &String| Workload {
        name: name.clone(),
        state: match proxy.current {
            true => WorkloadState::Up,
            false => WorkloadState::Starting,
        },
        what: format!("proxy {} at {}", proxy.name, proxy.address),
        trouble: None,
        place: None,
        published: proxy.tunnel.iter().cloned().collect(),
        next: None,
    };
    match proxy.workloads.as_slice() {
        [] => vec![named(&proxy.name)],
        workloads => workloads.iter().map(named).collect(),
    }
}

/// Commands to go on with, each with what it shows.
pub(super) fn steps<const MANY: usize>(steps: [(&str, &str); MANY]) -> Vec<Step> {
    let step = |(command, shows): (&str, &str)| Step {
        command: command.to_owned(),
        shows: shows.to_owned(),
    };
    steps.into_iter().map(step).collect()
}
