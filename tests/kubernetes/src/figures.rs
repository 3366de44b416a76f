//! What a mesh costs and how soon it holds, on a real node, in figures for people. Nothing fails for a figure.

pub mod large;

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leno_e2e::{memory, within};

use crate::images::POD;
use crate::{Cluster, Failure, Placement};

/// How many pods start, how often a route changes, and how many pods are added to see what each takes.
const STARTS: usize = 10;
const CHANGES: usize = 10;
const MORE: usize = 20;

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Several times of the same thing, in milliseconds.
#[derive(Debug)]
pub struct Times(Vec<u64>);

impl Times {
    /// `median 412 ms, slowest 530 ms of 10`
    pub fn told(mut self) -> String {
        self.0.sort_unstable();
        let middle = self.0.get(self.0.len() / 2).copied().unwrap_or_default();
        let slowest = self.0.last().copied().unwrap_or_default();
        format!(
            "median {middle} ms, slowest {slowest} ms of {}",
            self.0.len()
        )
    }
}

/// Starts a node with Leno, and says what is measured there, a line for each thing.
pub fn measure(placement: Placement, mut tell: impl FnMut(String)) -> Result<(), Failure> {
    let cluster = Cluster::for_leno()?;
    cluster.install_leno(placement)?;
    cluster.apply(&shop(placement))?;
    for name in ["cart", "mail"] {
        let deployment = format!("deployment/{name}");
        cluster.ask(&[
            "rollout",
            "status",
            "-n",
            "shop",
            &deployment,
            "--timeout=120s",
        ])?;
    }
    let starts = starts(&cluster)?.told();
    tell(format!(
        "from a pod's first step to its first answer  {starts}"
    ));
    let changes = changes(&cluster)?.told();
    tell(format!(
        "from a changed HTTPRoute to other answers    {changes}"
    ));
    if placement == Placement::Node {
        let before = resident()?;
        cluster.apply(&idle())?;
        let all = format!("--replicas={MORE}");
        cluster.ask(&["scale", "-n", "shop", "deployment/idle", &all])?;
        let idle = [
            "rollout",
            "status",
            "-n",
            "shop",
            "deployment/idle",
            "--timeout=300s",
        ];
        cluster.ask(&idle)?;
        let each = resident()?.saturating_sub(before) / MORE as u64;
        tell(format!(
            "memory of the node's proxy                   {before} KiB, {each} KiB more for each pod of {MORE}"
        ));
    }
    Ok(())
}

/// From the first step of a pod that asks at once, and goes on until there is an answer, to that answer.
fn starts(cluster: &Cluster) -> Result<Times, Failure> {
    let mut times = Vec::new();
    for number in 0..STARTS {
        let name = format!("watch-{number}");
        cluster.apply(&watcher(&name))?;
        let said = cluster.until("a pod is answered", || {
            let said = cluster
                .ask(&["logs", "-n", "shop", &name, "-c", "app"])
                .ok()?;
            said.contains(" 200 ").then_some(said)
        })?;
        let began = moment(&said, "began");
        let answered = moment(&said, "200 cart");
        times.extend(
            began
                .zip(answered)
                .map(|(began, answered)| answered - began),
        );
    }
    Ok(Times(times))
}

/// From the moment at which a changed route is accepted to that at which a caller is answered by another service.
fn changes(cluster: &Cluster) -> Result<Times, Failure> {
    let mut times = Vec::new();
    for number in 0..CHANGES {
        let to = ["mail", "cart"][number % 2];
        cluster.apply(&route(to))?;
        let accepted = now();
        let told = within(PATIENCE, || {
            let said = cluster
                .ask(&["logs", "-n", "shop", "watch-0", "-c", "app", "--tail=1"])
                .ok()?;
            let answered = said.contains(&format!("200 {to}"));
            answered
                .then(|| moment(&said, &format!("200 {to}")))
                .flatten()
        });
        // It may hold before whoever applied it was told so.
        times.extend(told.map(|told| told.saturating_sub(accepted)));
    }
    Ok(Times(times))
}

/// When something was said first.
fn moment(said: &str, what: &str) -> Option<u64> {
    let mut lines = said.lines().filter_map(|line| line.split_once(' '));
    lines
        .find(|(_, told)| told.starts_with(what))?
        .0
        .parse()
        .ok()
}

#[expect(clippy::disallowed_methods, reason = "a figure is read off the clock")]
fn now() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// How much memory the proxy of the node holds, in KiB.
fn resident() -> Result<u64, Failure> {
    let of = |why| Failure::of("/proc")(why);
    for entry in fs::read_dir("/proc").map_err(of)? {
        let folder = entry.map_err(of)?.path();
        let command = fs::read(folder.join("cmdline")).unwrap_or_default();
        let words: Vec<_> = command.split(|byte| *byte == 0).collect();
        if !(words.contains(&&b"proxy"[..]) && words.contains(&&b"--node"[..])) {
            continue;
        }
        let pid = folder
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        if let Some(read) = pid.and_then(|pid| memory(pid, "VmRSS")) {
            return Ok(read as u64);
        }
    }
    Err(of(std::io::Error::other("no proxy of a node runs")))
}

fn shop(placement: Placement) -> String {
    let mode = placement.name();
    let server = |name: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: shop}}, spec: {{\
             selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}}}\n\
             ---\n{}",
            deployment(name, "[serve, '8080']")
        )
    };
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{leno.dev/dataplane-mode: {mode}}}}}\n{}{}",
        server("cart"),
        server("mail")
    )
}

fn idle() -> String {
    deployment("idle", "[pause]")
}

fn deployment(name: &str, arguments: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}, namespace: shop}}, spec: {{replicas: 1, \
         selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{\
         terminationGracePeriodSeconds: 1, containers: [{{name: app, image: '{POD}', args: {arguments}}}]}}}}}}}}\n"
    )
}

fn watcher(name: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop}}, spec: {{\
         terminationGracePeriodSeconds: 1, containers: [{{name: app, image: '{POD}', args: [watch, 'http://cart:80/']}}]}}}}\n"
    )
}

fn route(to: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: cart, namespace: shop}}, spec: {{\
         parentRefs: [{{group: '', kind: Service, name: cart, port: 80}}], \
         rules: [{{backendRefs: [{{name: {to}, port: 80}}]}}]}}}}\n"
    )
}
