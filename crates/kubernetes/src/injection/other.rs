//! Pods that name another control plane than the default one: that one is asked about them, if it is there. Where it is
//! not nobody would be, and a pod that is to have a proxy would be made without.

use std::collections::BTreeSet;

use leno_model::{ControlName, Namespace};
use leno_resources::pod::{COMPONENT, CONTROL, CONTROL_BESIDE, Pods};
use serde::Deserialize;
use serde_json::json;

use crate::install::NAMESPACE;
use crate::review::{self, Misfit};

/// The path at which the default control plane is asked about such pods.
pub const OTHER: &str = "/inject/other";

/// The control planes beside the default one that have a pod.
pub fn beside(pods: &Pods) -> BTreeSet<ControlName> {
    let of_leno = pods
        .iter()
        .filter(|((namespace, _), _)| namespace.as_str() == NAMESPACE);
    let named = of_leno.filter_map(|(_, pod)| {
        let label = |label: &str| pod.meta.labels.get(label).map(|value| &**value);
        let is_control = label(COMPONENT) == Some(CONTROL_BESIDE);
        is_control.then(|| ControlName::new(label(CONTROL)?).ok())?
    });
    named.collect()
}

/// Answers what the API server asks about a pod that names another control plane, while these are there. What a
/// namespace says tells `said`.
pub fn review_other(
    there: &BTreeSet<ControlName>,
    said: impl FnOnce(&Namespace) -> Option<String>,
    asked: &[u8],
) -> Result<Vec<u8>, Misfit> {
    let Asked {
        uid,
        namespace,
        object,
    } = review::request(asked)?;
    let own = object.metadata.labels.unwrap_or_default().remove(CONTROL);
    let named = match own {
        Some(own) => Some(own),
        None => said(&Namespace::new(&namespace)?),
    };
    let is_there = |named: &String| ControlName::new(named).is_ok_and(|it| there.contains(&it));
    Ok(review::answer(&match named {
        Some(named) if !is_there(&named) => review::refusing(&uid, &unknown(&named, there)),
        // The namespace was labelled just now.
        Some(_) | None => json!({"uid": uid, "allowed": true}),
    }))
}

/// Why such a pod is not made.
fn unknown(named: &str, there: &BTreeSet<ControlName>) -> String {
    let (code, slug) = (leno_model::Code::D026, leno_model::Code::D026.slug());
    let all: Vec<_> = there.iter().map(ControlName::as_str).collect();
    let all = match &all[..] {
        [] => "none but the default one is there".to_owned(),
        all => format!("there are default, {}", all.join(", ")),
    };
    format!(
        "{code} {slug}: {CONTROL}: {named:.64} names no control plane ({all}), and a pod without one has no proxy"
    )
}

/// A pod that is to be made, where, and how the question is called.
#[derive(Deserialize)]
struct Asked {
    uid: String,
    #[serde(default)]
    namespace: String,
    object: k8s_openapi::api::core::v1::Pod,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use leno_model::Name;
    use leno_resources::pod::Pod;
    use serde_json::Value;

    use super::*;

    /// What is answered about a pod with this label in a namespace that says that.
    fn check(pod: Option<&str>, namespace: Option<&str>, refused: Option<&str>) {
        let labels = pod.map(|name| json!({CONTROL: name}));
        let asked = json!({
            "apiVersion": "admission.k8s.io/v1",
            "request": {"uid": "1", "namespace": "shop", "object": {"metadata": {"labels": labels}}},
        });
        let there = [ControlName::new("canary").unwrap()].into();
        let said = |_: &Namespace| namespace.map(str::to_owned);
        let answer = review_other(&there, said, asked.to_string().as_bytes()).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let message = answer["response"]["status"]["message"].as_str();
        assert_eq!(message, refused);
        assert_eq!(answer["response"]["allowed"], refused.is_none());
    }

    #[test]
    fn a_pod_that_names_nobody_who_is_there_is_not_made() {
        check(Some("canary"), None, None);
        check(None, Some("canary"), None);
        check(Some("canary"), Some("nosuch"), None);
        let refused = "leno: D026 no-such-control-plane: leno.dev/control: nosuch names no control plane (there are \
                       default, canary), and a pod without one has no proxy";
        check(Some("nosuch"), Some("canary"), Some(refused));
        check(None, Some("nosuch"), Some(refused));
        // It is not seen yet what the namespace says.
        check(None, None, None);
    }

    #[test]
    fn a_control_plane_is_there_by_its_pods_in_lenos_own_namespace() {
        let pod = |namespace: &str, name: &str, labels: &[(&str, &str)]| {
            let (namespace, name) = (Namespace::new(namespace).unwrap(), Name::new(name).unwrap());
            let mut pod = Pod::named(namespace.clone(), name.clone());
            let labels = labels
                .iter()
                .map(|(one, other)| ((*one).into(), (*other).into()));
            pod.meta.labels = labels.collect();
            ((namespace, name), Arc::new(pod))
        };
        let component = (COMPONENT, CONTROL_BESIDE);
        let pods = Pods::from([
            pod("leno-system", "a", &[component, (CONTROL, "canary")]),
            pod("leno-system", "b", &[(CONTROL, "web")]),
            pod("shop", "c", &[component, (CONTROL, "liar")]),
            pod("leno-system", "d", &[(COMPONENT, "control")]),
        ]);
        let names = beside(&pods);
        let names: Vec<_> = names.iter().map(ControlName::as_str).collect();
        assert_eq!(names, ["canary"]);
    }
}
