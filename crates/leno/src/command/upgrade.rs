//! `leno upgrade --check`: what of a mesh that runs would mean something else to this Leno than to the one that runs it.
//! Nothing is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_admin::{Check, Configuration, ConfigurationOf, Finding, ProxyState};
use leno_compile::ViewOf;
use leno_control::{held_without, understood};
use leno_model::{Code, Severity};
use leno_wire::part::needed;
use serde_json::json;

use crate::arguments::Output;
use crate::arguments::fleet::Upgrade;
use crate::command::context::Context;
use crate::command::{Answer, fleet};
use crate::render;
use crate::terminal::{Line, Terminal};

/// Looks at the mesh.
pub(crate) fn run(options: &Upgrade, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let asked = &options.context;
    let json = asked.output == Output::Json;
    let control = Context::choose(asked.context.as_deref())?;
    let told = match control.ask(ConfigurationOf { at: None })? {
        Ok(told) => told,
        Err(failure) => return fleet::refused(&failure, json, terminal),
    };
    let known = match control.ask(Check {})? {
        Ok(checked) => checked.findings,
        Err(failure) => return fleet::refused(&failure, json, terminal),
    };
    let findings = findings(&told, &known)?;
    let running = told
        .version
        .as_deref()
        .unwrap_or("of a version that it does not tell");
    let is_bad = findings.iter().any(|one| one.severity() == Severity::Error);
    if json {
        let told = json!({ "running": told.version, "this": THIS, "findings": findings });
        terminal.text(&serde_json::to_string_pretty(&told)?)?;
    } else {
        terminal.line(render::head(&told.status))?;
        terminal.line(format!("it runs leno {running}, and this is leno {THIS}"))?;
        for finding in &findings {
            terminal.gap()?;
            render::note::print_finding(finding, &told.status.now, terminal)?;
        }
        if findings.is_empty() {
            let well = "nothing of it would mean something else, and each proxy understands it";
            terminal.line(Line::new().good("✓ ").plain(well))?;
        }
    }
    Ok(if is_bad { Answer::Bad } else { Answer::Fine })
}

/// The version of this Leno.
const THIS: &str = env!("CARGO_PKG_VERSION");

/// What this Leno finds and the one that runs does not, and the proxies that would not understand what they are told.
fn findings(told: &Configuration, known: &[Finding]) -> anyhow::Result<Vec<Finding>> {
    let (mesh, mut findings) = understood(told)?;
    let gist = |one: &Finding| {
        let place = (one.object.clone(), one.pointer.clone());
        (
            one.code.clone(),
            one.severity.clone(),
            place,
            one.message.clone(),
        )
    };
    let known: BTreeSet<_> = known.iter().map(gist).collect();
    findings.retain(|one| one.severity() > Severity::Info && !known.contains(&gist(one)));
    findings.extend(told.proxies.iter().filter_map(|proxy| {
        let instances = mesh.instances.keys();
        let own = instances.filter(|id| proxy.workloads.contains(&id.to_string()));
        let workloads = own.cloned().collect();
        let mut view = mesh.view(ViewOf {
            workloads: &workloads,
        });
        let kept = proxy.node.as_deref().and_then(|it| mesh.sidecars.get(it));
        view.sidecars = kept.map(|kept| (**kept).clone()).unwrap_or_default();
        // What they are only the one that runs knows; that there are some is enough.
        let peers = mesh.peers.keys().cloned();
        view.bundles = peers.map(|domain| (domain, Arc::default())).collect();
        let own = view.settings.trust_domain.clone();
        view.token_keys = BTreeMap::from([(own, Arc::from(""))]);
        not_understood(proxy, &needed(&view))
    }));
    Ok(findings)
}

/// A proxy that lacks some of what its view would need.
fn not_understood(proxy: &ProxyState, needed: &BTreeSet<String>) -> Option<Finding> {
    let known: BTreeSet<_> = proxy.features.as_ref()?.iter().cloned().collect();
    let lacked: BTreeSet<_> = needed.difference(&known).cloned().collect();
    let named: Vec<_> = lacked.iter().map(String::as_str).collect();
    let message = format!("it would not understand: {}", named.join(", "));
    let about = Some(format!("proxy {}", proxy.name));
    let held = held_without(&lacked);
    let finding = Finding::running(Code::D007, Severity::Error, about, message, &held);
    (!lacked.is_empty()).then_some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mesh with a route that answers CORS, and the proxy of who calls, which understands these features.
    fn told(features: Option<&[&str]>) -> Configuration {
        let text = "\
            {apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: web, namespace: shop}, spec: {instances: [{name: web, address: 10.0.0.1}]}}\n---\n\
            {apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80, appProtocol: http}]}}\n---\n\
            {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: cart, namespace: shop}, \
            spec: {parentRefs: [{group: '', kind: Service, name: cart}], \
            rules: [{filters: [{type: CORS, cors: {allowOrigins: ['https://a.example']}}], backendRefs: [{name: cart, port: 80}, {name: kart, port: 80}]}]}}\n";
        let told = json!({
            "status": {"context": "shop.local", "now": "", "revision": 1, "proxies": 1, "objects": 3, "problems": 1},
            "revision": 1, "exact": true, "mesh": null, "trust_domain": null,
            "files": [{"path": "shop.yaml", "namespace": "shop", "text": text}],
            "running": [], "addresses": [], "tunnels": [], "left": [],
            "proxies": [{
                "name": "web", "identity": "", "address": "", "tunnel": null, "workloads": ["shop/web"], "not_entitled": [],
                "generation": "", "current": true, "refused": null, "since": "", "ends": "", "features": features,
            }],
        });
        serde_json::from_value(told).unwrap()
    }

    fn found(told: &Configuration, known: &[Finding]) -> Vec<String> {
        let found = findings(told, known).unwrap();
        let line = |one: &Finding| format!("{} {}", one.code, one.message);
        found.iter().map(line).collect()
    }

    #[test]
    fn what_the_one_that_runs_finds_too_is_no_news() {
        let all = told(Some(&["cors", "token-keys"]));
        let (_, known) = understood(&all).unwrap();
        assert_eq!(found(&all, &known), [""; 0]);
        let one = ["C113 no Service kart in shop"];
        assert!(
            found(&all, &[]).contains(&one[0].to_owned()),
            "{:?}",
            found(&all, &[])
        );
    }

    #[test]
    fn a_nodes_proxy_that_would_not_keep_the_rules_of_pods_is_named() {
        let of = |node: Option<&str>, features: &[&str]| {
            let mut told = told(Some(features));
            let pod = json!({
                "pod": "shop/mail-1", "of": "mail", "labels": {}, "service_account": "mail", "ports": {}, "annotations": {},
                "has_proxy": true, "on_host": false, "probes": [], "hosts": [], "addresses": ["10.0.1.1"],
                "locality": [null, null, "n1"], "ready": true,
            });
            told.pods = vec![serde_json::from_value(pod).unwrap()];
            let proxy = told.proxies.first_mut().unwrap();
            (proxy.workloads, proxy.node) = (Vec::new(), node.map(str::to_owned));
            let (_, known) = understood(&told).unwrap();
            found(&told, &known)
        };
        let named = ["D007 it would not understand: sidecars"];
        assert_eq!(of(Some("n1"), &["cors", "token-keys"]), named);
        assert_eq!(of(Some("n1"), &["cors", "sidecars", "token-keys"]), [""; 0]);
        assert_eq!(of(Some("n2"), &["cors", "token-keys"]), [""; 0]);
        assert_eq!(of(None, &["cors", "token-keys"]), [""; 0]);
    }

    #[test]
    fn a_proxy_that_would_not_understand_its_view_is_named() {
        let of = |features: Option<&[&str]>| {
            let told = told(features);
            let (_, known) = understood(&told).unwrap();
            found(&told, &known)
        };
        let both = ["D007 it would not understand: cors, token-keys"];
        assert_eq!(of(Some(&[])), both);
        assert_eq!(of(Some(&["cors", "moon-phase", "token-keys"])), [""; 0]);
        assert_eq!(of(None), [""; 0], "an older control plane does not tell");
    }
}
