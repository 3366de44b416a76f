//! The pod that the control plane runs in, how it is reached, and where its state is kept.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, HTTPGetAction,
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimVolumeSource,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile,
    SecurityContext, Service, ServicePort, ServiceSpec, Volume, VolumeMount,
    VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use leno_model::ControlName;
use leno_resources::pod::{CONTROL as CONTROL_LABEL, CONTROL_BESIDE};

use super::node::{TOKEN, TOKENS, token};
use super::{Installation, NAMESPACE, Object, PORT, called, labels, named, selector};

/// By which the pods of a control plane are found, and nothing else is.
pub(super) fn own(name: Option<&ControlName>) -> BTreeMap<String, String> {
    let Some(name) = name else {
        return selector("control");
    };
    let mut own = selector(CONTROL_BESIDE);
    own.insert(CONTROL_LABEL.to_owned(), name.to_string());
    own
}

/// Where its state is kept, how it is reached, and what runs.
pub(super) fn all(chosen: &Installation) -> [Object; 3] {
    [
        Object::of(&claim(chosen)),
        Object::of(&service(chosen)),
        Object::of(&deployment(chosen)),
    ]
}

/// The ports that it takes calls at.
const PORTS: [(&str, u16); 2] = [("control", PORT), METRICS];

/// The port of whoever reads metrics, or asks whether it is ready.
pub(super) const METRICS: (&str, u16) = ("metrics", 15020);

/// Nobody whom a node knows.
const USER: i64 = 65532;

/// How much room its state is given. A store of thousands of objects takes megabytes; eight days of flows of a
/// large mesh take the rest.
const ROOM: &str = "2Gi";

/// The folders that it writes to, and what each is.
const FOLDERS: [(&str, &str); 3] = [
    ("state", "/var/lib/leno"),
    ("run", "/run/leno"),
    ("tmp", "/tmp"),
];

/// The socket by which whoever is in the pod asks it.
const SOCKET: &str = "/run/leno/control.sock";

/// The argument that says who loads the packet rules of pods with proxies in them.
pub(super) const CAPTURED_BY: &str = "--captured-by";

/// The keys of the CA are in it: it outlives every pod.
fn claim(chosen: &Installation) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: named(&called(chosen.name.as_ref())),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(quantities(&[("storage", ROOM)])),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: chosen.storage_class.clone(),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}

fn service(chosen: &Installation) -> Service {
    let port = ServicePort {
        name: Some("control".to_owned()),
        port: PORT.into(),
        target_port: Some(IntOrString::String("control".to_owned())),
        ..ServicePort::default()
    };
    Service {
        metadata: named(&called(chosen.name.as_ref())),
        spec: Some(ServiceSpec {
            selector: Some(own(chosen.name.as_ref())),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn deployment(chosen: &Installation) -> Deployment {
    let own = own(chosen.name.as_ref());
    let mut all = labels();
    all.extend(own.clone());
    Deployment {
        metadata: named(&called(chosen.name.as_ref())),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            selector: LabelSelector {
                match_labels: Some(own),
                ..LabelSelector::default()
            },
            // Two would want the same store.
            strategy: Some(DeploymentStrategy {
                type_: Some("Recreate".to_owned()),
                ..DeploymentStrategy::default()
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(all),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(chosen)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn pod(chosen: &Installation) -> PodSpec {
    let own = called(chosen.name.as_ref());
    let mut volumes: Vec<_> = FOLDERS.map(|(name, _)| volume(name, &own)).into();
    volumes.extend(chosen.name.as_ref().map(|_| token()));
    PodSpec {
        service_account_name: Some(own),
        // Variables named after Services are for programs that know no DNS.
        enable_service_links: Some(false),
        node_selector: Some(on_linux()),
        security_context: Some(PodSecurityContext {
            fs_group: Some(USER),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            ..as_nobody()
        }),
        containers: vec![container(chosen)],
        volumes: Some(volumes),
        ..PodSpec::default()
    }
}

/// The nodes that have what the image is for.
pub(super) fn on_linux() -> BTreeMap<String, String> {
    BTreeMap::from([("kubernetes.io/os".to_owned(), "linux".to_owned())])
}

/// Whom pods run as that need nothing of their node.
pub(super) fn as_nobody() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

/// What their containers may do there.
pub(super) fn without_rights() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

/// The state is the claim's; the rest is the pod's, and gone with it.
fn volume(name: &str, own: &str) -> Volume {
    let is_state = name == "state";
    Volume {
        name: name.to_owned(),
        persistent_volume_claim: is_state.then(|| PersistentVolumeClaimVolumeSource {
            claim_name: own.to_owned(),
            ..PersistentVolumeClaimVolumeSource::default()
        }),
        empty_dir: (!is_state).then(EmptyDirVolumeSource::default),
        ..Volume::default()
    }
}

fn container(chosen: &Installation) -> Container {
    let own = called(chosen.name.as_ref());
    let (listen, advertise) = (
        format!("[::]:{PORT}"),
        format!("{own}.{NAMESPACE}.svc:{PORT}"),
    );
    let captured_by = match chosen.node {
        true => "node",
        false => "pod",
    };
    let mut arguments = vec![
        "control",
        "--kubernetes",
        "--sidecar",
        &chosen.image,
        CAPTURED_BY,
        captured_by,
        "--listen",
        &listen,
        "--advertise",
        &advertise,
        "--metrics",
        "[::]:15020",
        // Of its loopback, which a port-forward reaches.
        "--dashboard",
        "7070",
        "--data",
        "/var/lib/leno/control",
        "--socket",
        SOCKET,
    ];
    let mut mounts: Vec<_> = FOLDERS.map(mount).into();
    let token = format!("{TOKENS}/{TOKEN}");
    if let Some(name) = &chosen.name {
        arguments.extend(["--name", name.as_str(), "--oidc-token", &token]);
        mounts.push(VolumeMount {
            read_only: Some(true),
            ..mount((TOKEN, TOKENS))
        });
    }
    let port = |(name, port): (&str, u16)| ContainerPort {
        name: Some(name.to_owned()),
        container_port: port.into(),
        ..ContainerPort::default()
    };
    Container {
        name: "control".to_owned(),
        image: Some(chosen.image.clone()),
        args: Some(arguments.into_iter().map(str::to_owned).collect()),
        // kubectl exec deploy/leno-control -- /leno check
        env: Some(vec![EnvVar {
            name: "LENO_CONTEXT".to_owned(),
            value: Some(SOCKET.to_owned()),
            ..EnvVar::default()
        }]),
        ports: Some(PORTS.map(port).into()),
        resources: Some(ResourceRequirements {
            requests: Some(quantities(&[("cpu", "100m"), ("memory", "128Mi")])),
            ..ResourceRequirements::default()
        }),
        // It is not ready before the cluster has told all that it holds, and that may take as long as it likes.
        startup_probe: Some(probe(2, 300)),
        readiness_probe: Some(probe(2, 3)),
        liveness_probe: Some(probe(10, 6)),
        security_context: Some(without_rights()),
        volume_mounts: Some(mounts),
        // A crash says why where `kubectl describe` shows it.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

fn mount((name, path): (&str, &str)) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        ..VolumeMount::default()
    }
}

pub(super) fn probe(period_seconds: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/ready".to_owned()),
            port: IntOrString::String("metrics".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

pub(super) fn quantities(of: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
    let quantity = |(name, much): &(&str, &str)| ((*name).to_owned(), Quantity((*much).to_owned()));
    of.iter().map(quantity).collect()
}
