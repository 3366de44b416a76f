//! How the mesh is at a glance, as far as a control plane knows: what is configured, who follows, what
//! goes between services, and what is wrong.

use leno_admin::{
    Ends, Failure, Followers, HistoryOf, Overview, Proxies, ProxyState, Step, Verdict, Workload,
    WorkloadState,
};

use crate::administer::{check, history, proxies};
use crate::center::Center;
use crate::flows;

/// How the mesh is.
pub(crate) fn overview(center: &Center) -> Result<Overview, Failure> {
    let checked = check(center);
    let newest = HistoryOf {
        limit: 1,
        before: None,
    };
    let newest = history(center, &newest)?;
    let proxies = proxies(center);
    let told = Overview {
        status: checked.status,
        verdict: Verdict::default(),
        file: None,
        change: newest.revisions.into_iter().next(),
        followers: followers(&proxies),
        certificate: first_to_end(center),
        findings: checked.findings,
        workloads: proxies.proxies.iter().flat_map(workloads).collect(),
        traffic: flows::of_late(center),
        failed: flows::failed_of_late(center),
        next: NEXT.map(Step::from).into(),
    };
    Ok(told.judged())
}

fn followers(told: &Proxies) -> Followers {
    let behind = told.proxies.iter().filter(|proxy| !proxy.current);
    Followers {
        connected: u64::try_from(told.proxies.len()).unwrap_or(u64::MAX),
        behind: behind.map(|proxy| proxy.name.clone()).collect(),
        away: told.away.iter().map(|away| away.workload.clone()).collect(),
    }
}

/// The certificate of a connected proxy that ends first.
fn first_to_end(center: &Center) -> Option<Ends> {
    let members = center.fleet.members();
    let certificates = members.iter().flat_map(|(_, member)| &member.certificates);
    let ends = certificates.filter_map(|(id, certificate)| Some((certificate.ends?, id)));
    ends.min().map(|(ends, id)| Ends {
        identity: id.to_string(),
        ends: ends.to_string(),
    })
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

/// What to go on with.
const NEXT: [(&str, &str); 4] = [
    ("leno proxies", "who follows, and how far behind each is"),
    ("leno history", "what was changed, when and by whom"),
    ("leno check", "what does not hold as it was written"),
    ("leno token create NAMESPACE/NAME", "let another host join"),
];
