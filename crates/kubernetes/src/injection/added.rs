//! What a pod gets: rules that make its connections go to its proxy, the proxy, and what proves to the control plane
//! whose proxy that is.

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use leno_model::view::WhileAway;
use leno_resources::pod::{CONTROL, SKIP_INBOUND_PORTS, SKIP_OUTBOUND_CIDRS, SKIP_OUTBOUND_PORTS};
use serde_json::{Value, json};

use super::resources::resources;
use super::{CAPTURE, Injection, PROXY, Placement, UID};

/// Where the proxy finds the token of the pod's service account that is for the mesh alone.
const TOKENS: &str = "/var/run/secrets/leno.dev";
/// Where it keeps keys and views: in memory, for as long as the pod lives.
const STATE: &str = "/var/lib/leno";
const TOKEN_VOLUME: &str = "leno-token";
const STATE_VOLUME: &str = "leno-state";

/// For how long a token is good; the kubelet puts another in its place in time.
const TOKEN_SECONDS: u32 = 3600;

/// Annotations that leave something out of the capture, each with the argument that says so.
const SKIPS: [(&str, &str); 3] = [
    (SKIP_INBOUND_PORTS, "--skip-inbound-ports"),
    (SKIP_OUTBOUND_PORTS, "--skip-outbound-ports"),
    (SKIP_OUTBOUND_CIDRS, "--skip-outbound-cidrs"),
];

/// The annotation that says for how many seconds containers go on at the end of their pod, and what holds without it.
const WAIT: &str = "leno.dev/wait-before-end-seconds";
const WAIT_SECONDS: u32 = 2;

/// Whether a pod has its proxy already: whoever else changes pods may let it be asked about once more.
pub(super) fn is_there(spec: &PodSpec) -> bool {
    let mut init = spec.init_containers.iter().flatten();
    init.any(|container| container.name == PROXY)
}

/// What moves to the front again the containers that a pod got before: whoever changed it since may have put others there,
/// which would begin without the mesh.
pub(super) fn first_again(spec: &PodSpec) -> Vec<Value> {
    let there = spec.init_containers.iter().flatten();
    let mut there: Vec<_> = there.map(|container| container.name.as_str()).collect();
    let ours = [CAPTURE, PROXY].into_iter();
    let ours: Vec<_> = ours.filter(|name| there.contains(name)).collect();
    let mut changes = Vec::new();
    for (place, name) in ours.into_iter().enumerate() {
        let found = there.iter().position(|it| *it == name);
        if let Some(found) = found.filter(|found| *found != place) {
            let moved = there.remove(found);
            there.insert(place, moved);
            let path = |place: usize| format!("/spec/initContainers/{place}");
            changes.push(json!({"op": "move", "from": path(found), "path": path(place)}));
        }
    }
    changes
}

impl Injection {
    /// What changes in a pod that has no proxy.
    pub(super) fn added(&self, meta: &ObjectMeta, spec: &PodSpec) -> Vec<Value> {
        let mut changes = Vec::new();
        let mut add = |path: &str, value: Value| {
            changes.push(json!({"op": "add", "path": path, "value": value}));
        };
        // Before all others, which have the mesh from their first packet on.
        let containers = self.containers(meta);
        match &spec.init_containers {
            Some(_) => {
                for (place, container) in containers.into_iter().enumerate() {
                    add(&format!("/spec/initContainers/{place}"), container);
                }
            }
            None => add("/spec/initContainers", Value::from(containers)),
        }
        match &spec.volumes {
            Some(_) => {
                add("/spec/volumes/-", token());
                add("/spec/volumes/-", state());
            }
            None => add("/spec/volumes", json!([token(), state()])),
        }
        changes.extend(self.label(meta));
        changes.extend(waiting(meta, spec));
        changes
    }

    /// The containers that a pod gets, in the order in which they begin.
    pub(super) fn containers(&self, meta: &ObjectMeta) -> Vec<Value> {
        let mut containers = match self.captured_by {
            Placement::Sidecar => vec![self.capture(meta), self.proxy()],
            Placement::Node => vec![self.proxy()],
        };
        if let Ok(resources) = resources(meta) {
            for container in &mut containers {
                container["resources"] = resources.clone();
            }
        }
        containers
    }

    /// What says by the pod itself which control plane its proxy follows, whatever its namespace will say.
    fn label(&self, meta: &ObjectMeta) -> Option<Value> {
        let name = self.name.as_ref()?.as_str();
        let (path, value) = match &meta.labels {
            Some(labels) if labels.contains_key(CONTROL) => return None,
            Some(_) => {
                let path = format!("/metadata/labels/{}", CONTROL.replace('/', "~1"));
                (path, json!(name))
            }
            None => ("/metadata/labels".to_owned(), json!({CONTROL: name})),
        };
        Some(json!({"op": "add", "path": path, "value": value}))
    }

    fn capture(&self, meta: &ObjectMeta) -> Value {
        let mut arguments = vec!["capture".to_owned()];
        for (annotation, argument) in SKIPS {
            let said = said(meta, annotation);
            arguments.extend(said.map(|said| format!("{argument}={said}")));
        }
        if self.refuses_datagrams {
            arguments.push("--refuse-udp".to_owned());
        }
        json!({
            "name": CAPTURE,
            "image": self.image,
            "args": arguments,
            "securityContext": {
                "runAsUser": 0,
                "runAsGroup": 0,
                "runAsNonRoot": false,
                "allowPrivilegeEscalation": false,
                "privileged": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        })
    }

    /// It starts before any other container and ends after them (`restartPolicy: Always` of an init container).
    fn proxy(&self) -> Value {
        // The outbound port of the pod's address leads to the proxy only while its rules hold.
        let ready = json!({"path": "/ready", "port": 15001});
        let mut started = json!({"periodSeconds": 1, "failureThreshold": 3600});
        match (self.captured_by, self.while_away) {
            // Whoever loads the rules may be away, and then the pod starts without.
            (Placement::Node, WhileAway::Open) => started["tcpSocket"] = json!({"port": 15008}),
            _ => started["httpGet"] = ready.clone(),
        }
        json!({
            "name": PROXY,
            "image": self.image,
            "restartPolicy": "Always",
            "args": [
                "proxy", "--joined",
                "--join", self.mesh, "--oidc-token", format!("{TOKENS}/token"),
                "--state", format!("{STATE}/proxy"),
                "--workload", "$(POD_NAMESPACE)/$(POD_NAME)",
                "--tunnel", "15008", "--advertise", "$(POD_IP)",
                "--outbound", "15001", "--captured", "--inbound", "15006", "--dns", "15053", "--metrics", "15020",
            ],
            "env": [
                field("POD_NAME", "metadata.name"),
                field("POD_NAMESPACE", "metadata.namespace"),
                field("POD_IP", "status.podIP"),
                {"name": "LENO_PROXIES", "value": format!("{STATE}/proxies")},
            ],
            "startupProbe": started,
            "readinessProbe": {"httpGet": ready, "periodSeconds": 3, "failureThreshold": 2},
            "securityContext": {
                "runAsUser": UID,
                "runAsGroup": UID,
                "runAsNonRoot": true,
                "allowPrivilegeEscalation": false,
                "privileged": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumeMounts": [
                {"name": TOKEN_VOLUME, "mountPath": TOKENS, "readOnly": true},
                {"name": STATE_VOLUME, "mountPath": STATE},
            ],
        })
    }
}

/// What makes containers go on for a moment at the end of their pod, as far as they do not say themselves what comes first
/// then.
pub(super) fn waiting(meta: &ObjectMeta, spec: &PodSpec) -> Vec<Value> {
    let (wait, _) = wait(meta, spec);
    let Some(wait) = wait else {
        return Vec::new();
    };
    let sleep = json!({"sleep": {"seconds": wait}});
    let containers = spec.containers.iter().enumerate();
    let changes = containers.filter_map(|(index, container)| {
        let place = format!("/spec/containers/{index}/lifecycle");
        let (path, value) = match &container.lifecycle {
            None => (place, json!({"preStop": sleep})),
            Some(lifecycle) if lifecycle.pre_stop.is_none() => {
                (format!("{place}/preStop"), sleep.clone())
            }
            Some(_) => return None,
        };
        Some(json!({"op": "add", "path": path, "value": value}))
    });
    changes.collect()
}

/// What a pod asks of its end that does not hold, and why.
pub(super) fn unheld(meta: &ObjectMeta, spec: &PodSpec) -> Option<String> {
    wait(meta, spec).1
}

/// For how many seconds containers that say nothing themselves go on once the end of their pod is asked for, so that
/// nobody calls it any more by the time they hear of it. Not where that would be much of what the pod has. And why what it
/// asks for does not hold.
fn wait(meta: &ObjectMeta, spec: &PodSpec) -> (Option<u32>, Option<String>) {
    let grace = spec.termination_grace_period_seconds.unwrap_or(30);
    let holds = |wait: u32| i64::from(wait) <= grace / 2;
    let usual = Some(WAIT_SECONDS).filter(|wait| holds(*wait));
    let Some(said) = said(meta, WAIT) else {
        return (usual, None);
    };
    match said.parse::<u32>() {
        Ok(0) => (None, None),
        Ok(wait) if holds(wait) => (Some(wait), None),
        Ok(wait) => {
            let why = format!(
                "{WAIT}: {wait} is more than half of the {grace} seconds that the pod has at its end \
                 (terminationGracePeriodSeconds): its containers do not wait"
            );
            (None, Some(why))
        }
        Err(_) => {
            let why = format!(
                "{WAIT}: {said:.32?} is no number of seconds: what holds is what would without it"
            );
            (usual, Some(why))
        }
    }
}

/// What an annotation of a pod says.
pub(super) fn said<'a>(meta: &'a ObjectMeta, annotation: &str) -> Option<&'a str> {
    let said = meta.annotations.as_ref()?.get(annotation)?;
    Some(said)
}

fn field(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}})
}

fn token() -> Value {
    let token = json!({"audience": "leno", "expirationSeconds": TOKEN_SECONDS, "path": "token"});
    json!({"name": TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}})
}

fn state() -> Value {
    json!({"name": STATE_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}})
}
