//! What proxies say of the hosts, nodes and pods that they run on or serve: captures that were lost, a network plugin that
//! is not in place, clocks that are wrong, machines that stood still.

use leno_admin::Finding;
use leno_model::{Code, Severity};

use super::{Judged, at};
use crate::troubled::{OfHost, is_of_node, is_of_pod};

/// How many hosts are told one by one.
const FEW: usize = 3;

impl Judged {
    /// What these say, of so many proxies that are connected.
    pub(super) fn hosts(&mut self, told: &[OfHost], connected: usize) {
        for code in [
            Code::H007,
            Code::H006,
            Code::H018,
            Code::H015,
            Code::H016,
            Code::H019,
            Code::H020,
            Code::H024,
            Code::H025,
            Code::T013,
            Code::T029,
        ] {
            let those = told.iter().filter(|told| told.trouble.code == code);
            let those: Vec<_> = those.collect();
            match those.as_slice() {
                few if few.len() <= FEW => {
                    let each = few.iter().map(|one| of_hosts(code, &[one], ""));
                    self.findings.extend(each);
                }
                many => {
                    let remark = remark(code, many.len(), connected);
                    self.findings.push(of_hosts(code, many, remark));
                }
            }
        }
    }
}

/// What it means that so many say the same.
fn remark(code: Code, count: usize, connected: usize) -> &'static str {
    match code == Code::T013 && count > connected / 2 {
        true => " (as most say so: compare the clock of the control plane's own host)",
        false => "",
    }
}

/// What something is told of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Proxy,
    /// One of the pods of the proxy's node.
    Pod,
    /// That node.
    Node,
}

impl Of {
    fn what(told: &OfHost) -> Self {
        let (code, is_own) = (told.trouble.code, *told.trouble.about == *told.proxy);
        match is_of_node(code) {
            true => Self::Node,
            false if is_of_pod(code) && !is_own => Self::Pod,
            false => Self::Proxy,
        }
    }

    /// Its word, of one and of several.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Proxy => ("proxy", "proxies"),
            Self::Pod => ("pod", "pods"),
            Self::Node => ("node", "nodes"),
        }
    }
}

/// Of whom it is told: `shop/web`, `n1`, or `shop/web-1 (proxy node/n1)`, whose namespace is that of its pod.
fn name(told: &OfHost) -> String {
    match Of::what(told) {
        Of::Proxy => told.proxy.clone(),
        Of::Pod => format!("{} (proxy {})", told.trouble.about, told.proxy),
        Of::Node => told.node.as_deref().unwrap_or(&told.proxy).to_owned(),
    }
}

/// What one or several proxies say, in the words of the first.
fn of_hosts(code: Code, told: &[&OfHost], remark: &str) -> Finding {
    let names: Vec<_> = told.iter().map(|one| name(one)).collect();
    let is_of_pod = told.iter().any(|one| Of::what(one) == Of::Pod);
    let of = told.first().map_or(Of::Proxy, |one| Of::what(one));
    let (one, several) = match is_of_pod {
        true => Of::Pod.words(),
        false => of.words(),
    };
    let subject = match names.as_slice() {
        [name] => format!("{one} {name}"),
        names => {
            let (first, rest) = names.split_at(names.len().min(FEW));
            format!("{several} {} and {} more", first.join(", "), rest.len())
        }
    };
    let (severity, in_force, next) = match code {
        Code::H007 if is_of_pod => (
            Severity::Error,
            "what the pod sends may go past the proxy of its node, in plain",
            "kubectl logs -n leno-system daemonset/leno-node · leno explain H007",
        ),
        Code::H007 => (
            Severity::Error,
            "not ready, so that nobody new is led there; what the workload sends may go past its proxy, in plain",
            "leno capture (in its network namespace), or make its pod anew · leno explain H007",
        ),
        Code::H006 => (
            Severity::Error,
            "its packet rules as somebody has changed them: what the pod sends may go past the proxy of its node, in plain",
            "kubectl logs -n leno-system daemonset/leno-node · leno explain H006",
        ),
        Code::H018 => (
            Severity::Error,
            "a pod that is to start waits; one that runs goes on in plain, and no policy holds there",
            "kubectl logs -n leno-system daemonset/leno-node · leno explain H018",
        ),
        Code::H015 => (
            Severity::Error,
            "pods that start there are captured once the node's proxy sees them, and not before they run",
            "kubectl logs -n leno-system daemonset/leno-node · leno explain H015",
        ),
        Code::H016 => (
            Severity::Warning,
            "it is in place again; pods that started in between were captured once the node's proxy saw them",
            "ls -l --time-style=full-iso /etc/cni/net.d (on that node) · leno explain H016",
        ),
        Code::H020 => (
            Severity::Warning,
            "the rules in the pods, which are put back where somebody changes them; until they are, what is sent may go past the proxy, in plain",
            "nft list table netdev leno_guard (on that node) · leno explain H020",
        ),
        Code::H019 => (
            Severity::Warning,
            "they hold again; in between, the guard on the node's side let nothing past the proxy, unless it was what was changed",
            "nft monitor (in the pod's network namespace) · leno explain H019",
        ),
        Code::H024 => (
            Severity::Warning,
            "it is started again; what arrives meanwhile waits, and what was under way in it is lost. No other pod is touched",
            "kubectl logs -n leno-system daemonset/leno-node · leno explain H024",
        ),
        Code::H025 => (
            Severity::Warning,
            "each pod has a process of its own, whose memory alone is bounded, and not by the kernel's account of it",
            "leno explain H025",
        ),
        Code::T013 => (
            Severity::Warning,
            "mesh time: certificates are judged by it, and no call fails",
            "timedatectl set-ntp true (on that host) · leno explain T013",
        ),
        _ => (
            Severity::Info,
            "mesh time, asked for anew; what ended meanwhile was renewed or is asked for",
            "leno explain T029",
        ),
    };
    let since = told.iter().map(|one| one.trouble.since).min();
    let why = told.first().map_or("", |one| &one.trouble.why);
    Finding {
        since: since.and_then(at),
        next: Some(next.to_owned()),
        ..Finding::running(
            code,
            severity,
            Some(subject),
            format!("{why}{remark}"),
            in_force,
        )
    }
}
