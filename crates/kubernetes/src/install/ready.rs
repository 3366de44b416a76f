//! Whether the control plane and nodes' proxies are ready, and what they wait for.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::Api;
use kube::api::ListParams;
use leno_model::{Code, ControlName};

use super::{NAMESPACE, called, node, pod};
use crate::cluster::Cluster;
use crate::words::in_words;

/// It was not ready in time.
#[derive(Debug, thiserror::Error)]
#[error("{who} after {} s: {why}", patience.as_secs())]
pub struct NotReady {
    who: &'static str,
    /// How long it was waited for.
    pub patience: Duration,
    /// What it waits for.
    pub why: String,
    /// What that is called.
    pub code: Code,
}

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);

impl Cluster {
    /// Waits until the control plane of this name is ready as it was applied last, and tells each time that it waits
    /// for something else.
    pub async fn until_ready(
        &self,
        name: Option<&ControlName>,
        patience: Duration,
        tell: impl FnMut(&str),
    ) -> Result<(), NotReady> {
        let waited = until(patience, async || self.control_waits_for(name).await, tell);
        waited.await.map_err(|why| NotReady {
            who: "the control plane is not ready",
            patience,
            why,
            code: Code::K008,
        })
    }

    /// Waits until the proxies of all nodes are.
    pub async fn until_nodes_ready(
        &self,
        patience: Duration,
        tell: impl FnMut(&str),
    ) -> Result<(), NotReady> {
        let look = async || self.nodes_wait_for(node::NODE, &node::own()).await;
        let waited = until(patience, look, tell);
        waited.await.map_err(|why| NotReady {
            who: "the proxies of nodes are not ready",
            patience,
            why,
            code: Code::K018,
        })
    }

    /// What the control plane waits for; nothing, if it is ready.
    async fn control_waits_for(&self, name: Option<&ControlName>) -> Option<String> {
        let deployments = Api::<Deployment>::namespaced(self.client.clone(), NAMESPACE);
        match deployments.get_opt(&called(name)).await {
            Ok(Some(deployment)) if is_ready(&deployment) => return None,
            Ok(Some(_)) => {}
            Ok(None) => return Some("there is no Deployment yet".to_owned()),
            Err(why) => return Some(in_words(&why)),
        }
        Some(match self.pods_of(&pod::own(name)).await {
            Ok(pods) => match pods.iter().max_by_key(|pod| begun(pod)) {
                Some(pod) => of_pod(pod),
                None => "there is no pod yet".to_owned(),
            },
            Err(why) => why,
        })
    }

    /// What a DaemonSet, whose pods have these labels, waits for; nothing, if it is ready on all nodes.
    pub(super) async fn nodes_wait_for(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Option<String> {
        let sets = Api::<DaemonSet>::namespaced(self.client.clone(), NAMESPACE);
        let (ready, all) = match sets.get_opt(name).await {
            Ok(Some(set)) => match on_nodes(&set) {
                Some((ready, all)) if ready >= all => return None,
                Some(nodes) => nodes,
                None => return Some("no node was chosen for them yet".to_owned()),
            },
            Ok(None) => return Some("there is no DaemonSet yet".to_owned()),
            Err(why) => return Some(in_words(&why)),
        };
        let why = match self.pods_of(labels).await {
            Ok(pods) => match pods.iter().find(|pod| !is_pod_ready(pod)) {
                Some(pod) => format!("{}: {}", node_of(pod), of_pod(pod)),
                None => format!("no pod: kubectl describe daemonset {name} -n {NAMESPACE}"),
            },
            Err(why) => why,
        };
        Some(format!("{ready} of {all} nodes are ready; {why}"))
    }

    /// The pods of a part of Leno; else why they cannot be had.
    pub(crate) async fn pods_of(
        &self,
        labels: &BTreeMap<String, String>,
    ) -> Result<Vec<Pod>, String> {
        let labels: Vec<_> = labels.iter().map(|(it, is)| format!("{it}={is}")).collect();
        let own = ListParams::default().labels(&labels.join(","));
        let pods = Api::<Pod>::namespaced(self.client.clone(), NAMESPACE);
        let pods = pods.list(&own).await;
        pods.map(|pods| pods.items).map_err(|why| in_words(&why))
    }
}

/// Waits until there is nothing to wait for, and tells each time that it is something else; what it is, if there is no
/// more patience.
pub(super) async fn until(
    patience: Duration,
    look: impl AsyncFn() -> Option<String>,
    mut tell: impl FnMut(&str),
) -> Result<(), String> {
    let mut said = String::new();
    let wait = async {
        while let Some(why) = look().await {
            if why != said {
                tell(&why);
                said = why;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let waited = tokio::time::timeout(patience, wait).await;
    waited.map_err(|_| said)
}

/// On how many nodes the newest pods are ready, and on how many there are to be some; `None` while nobody has counted.
fn on_nodes(set: &DaemonSet) -> Option<(i32, i32)> {
    let status = set.status.as_ref()?;
    if status.observed_generation != set.metadata.generation {
        return None;
    }
    let newest = status.updated_number_scheduled.unwrap_or_default();
    let ready = newest.min(status.number_ready);
    Some((ready, status.desired_number_scheduled))
}

fn is_pod_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

pub(super) fn node_of(pod: &Pod) -> &str {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node.unwrap_or("no node")
}

/// Whether the newest pod is there, ready, and the only one.
fn is_ready(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else {
        return false;
    };
    let is_seen = status.observed_generation == deployment.metadata.generation;
    let one = Some(1);
    let is_whole = [
        status.replicas,
        status.updated_replicas,
        status.ready_replicas,
    ];
    is_seen && is_whole.iter().all(|number| *number == one)
}

fn begun(pod: &Pod) -> Option<&k8s_openapi::jiff::Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|time| &time.0)
}

/// What a pod waits for: a node, its image, or what it runs itself.
fn of_pod(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let mut unscheduled = conditions.iter();
    let unscheduled = unscheduled.find(|it| it.type_ == "PodScheduled" && it.status == "False");
    if let Some(condition) = unscheduled {
        let message = condition.message.as_deref().unwrap_or_default();
        return format!("no node for its pod: {message}");
    }
    let first = status.init_container_statuses.unwrap_or_default();
    let all = status.container_statuses.unwrap_or_default();
    let mut waiting = first.iter().chain(&all);
    match waiting.find(|container| !container.ready) {
        Some(container) => of_container(container),
        None => "its pod has not begun".to_owned(),
    }
}

fn of_container(container: &ContainerStatus) -> String {
    let ended = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
        let ended = state.as_ref()?.terminated.as_ref()?;
        let said = ended.message.as_deref().unwrap_or_default();
        let line = said.trim().lines().last().unwrap_or_default().to_owned();
        Some(format!("it has ended ({}) {line}", ended.exit_code))
    };
    let state = container.state.as_ref();
    if let Some(why) = ended(&container.last_state).or_else(|| ended(&container.state)) {
        return why.trim_end().to_owned();
    }
    match state.and_then(|state| state.waiting.as_ref()) {
        Some(waiting) => {
            let reason = waiting.reason.as_deref().unwrap_or("waiting");
            match &waiting.message {
                Some(message) => format!("{reason}: {message}"),
                None => reason.to_owned(),
            }
        }
        None => "it runs, and is not ready yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: serde_json::Value) -> String {
        let pod = json!({"metadata": {"name": "a"}, "status": status});
        of_pod(&serde_json::from_value(pod).unwrap())
    }

    fn container(state: serde_json::Value, last: serde_json::Value) -> String {
        pod(json!({"containerStatuses": [{
            "name": "control", "image": "", "imageID": "", "ready": false, "restartCount": 1,
            "state": state, "lastState": last,
        }]}))
    }

    #[test]
    fn a_pod_says_what_it_waits_for() {
        let unscheduled = json!({"conditions": [
            {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"},
        ]});
        assert_eq!(
            pod(unscheduled),
            "no node for its pod: 0/1 nodes are available"
        );
        assert_eq!(pod(json!({})), "its pod has not begun");
        let image = json!({"waiting": {"reason": "ErrImageNeverPull", "message": "no image"}});
        assert_eq!(container(image, json!({})), "ErrImageNeverPull: no image");
        let again = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let ended = json!({"terminated": {"exitCode": 3, "message": "start\nerror: no store\n"}});
        assert_eq!(container(again, ended), "it has ended (3) error: no store");
        let runs = json!({"running": {}});
        assert_eq!(container(runs, json!({})), "it runs, and is not ready yet");
    }

    #[test]
    fn a_deployment_is_ready_once_its_newest_pod_is_and_no_other_remains() {
        let is_ready = |seen: i64, replicas: i32, updated: i32, ready: i32| {
            let deployment = json!({
                "metadata": {"generation": 2},
                "status": {"observedGeneration": seen, "replicas": replicas, "updatedReplicas": updated,
                           "readyReplicas": ready},
            });
            is_ready(&serde_json::from_value(deployment).unwrap())
        };
        assert!(is_ready(2, 1, 1, 1));
        assert!(!is_ready(1, 1, 1, 1), "what was applied is not seen yet");
        assert!(!is_ready(2, 2, 1, 1), "an older pod is still there");
        assert!(!is_ready(2, 1, 0, 1), "the older pod");
        assert!(!is_ready(2, 1, 1, 0));
    }

    #[test]
    fn nodes_are_counted_by_their_newest_pods() {
        let on_nodes = |seen: i64, updated: i32, ready: i32| {
            let set = json!({
                "metadata": {"generation": 2},
                "status": {"observedGeneration": seen, "desiredNumberScheduled": 3, "currentNumberScheduled": 3,
                           "numberMisscheduled": 0, "updatedNumberScheduled": updated, "numberReady": ready},
            });
            on_nodes(&serde_json::from_value(set).unwrap())
        };
        assert_eq!(on_nodes(2, 3, 3), Some((3, 3)));
        assert_eq!(on_nodes(2, 1, 3), Some((1, 3)), "two are older");
        assert_eq!(on_nodes(2, 3, 2), Some((2, 3)));
        assert_eq!(on_nodes(1, 3, 3), None, "what was applied is not seen yet");
    }
}
