//! Who names a control plane that is not there, in the cluster that is followed.

use std::collections::BTreeMap;

use leno_admin::Finding;
use leno_kubernetes::beside;
use leno_model::control_name::DEFAULT_CONTROL;
use leno_model::{Code, Severity};
use leno_resources::pod::CONTROL;

use crate::center::Center;

/// A finding for each such name.
pub(crate) fn findings(center: &Center) -> Vec<Finding> {
    let pods = center.presence.reported().pods;
    let there = beside(&pods);
    let mut naming = BTreeMap::<&str, Vec<String>>::new();
    let edition = center.edition();
    for namespace in edition.written().namespaces.iter() {
        if let Some(name) = namespace.meta.labels.get(CONTROL) {
            let who = format!("namespace {}", namespace.meta.name);
            naming.entry(name).or_default().push(who);
        }
    }
    for ((namespace, name), pod) in pods.iter() {
        if let Some(named) = pod.meta.labels.get(CONTROL) {
            let who = format!("pod {namespace}/{name}");
            naming.entry(named).or_default().push(who);
        }
    }
    let is_there = |name: &str| there.iter().any(|it| it.as_str() == name);
    naming.retain(|name, _| *name != DEFAULT_CONTROL && !is_there(name));
    let findings = naming.into_iter().map(|(name, who)| of(name, &who));
    findings.collect()
}

fn of(name: &str, who: &[String]) -> Finding {
    let first = who.first().map_or("", String::as_str);
    let others = match who.len() {
        0 | 1 => String::new(),
        all => format!(" and {} more", all - 1),
    };
    let message =
        format!("{first}{others}: {CONTROL}: {name} names no control plane that is there");
    Finding {
        next: Some("kubectl get deployments -n leno-system".to_owned()),
        ..Finding::running(
            Code::D026,
            Severity::Error,
            Some(format!("{CONTROL}: {name}")),
            message,
            "pods that run, as they are; none with a sidecar is made that says so",
        )
    }
}
