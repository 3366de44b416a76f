//! The proxies of nodes: a pod on each node, from where its proxy reaches into the network of the pods that it serves; and
//! what leaves the nodes as they were before.

use std::collections::BTreeMap;

use super::pod::{METRICS, on_linux, probe, quantities};
use super::told::{KEY, MESH};
use super::{Installation, Object, labels, named, selector};
use k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet,
};
use k8s_openapi::api::core::v1::{
    AppArmorProfile, Capabilities, ConfigMapKeySelector, Container, ContainerPort,
    EmptyDirVolumeSource, EnvVar, EnvVarSource, HostPathVolumeSource, ObjectFieldSelector, PodSpec,
    PodTemplateSpec, ProjectedVolumeSource, ResourceRequirements, SELinuxOptions, SeccompProfile,
    SecurityContext, ServiceAccount, ServiceAccountTokenProjection, Toleration, Volume,
    VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

/// What the objects of nodes' proxies are called.
pub(super) const NODE: &str = "leno-node";

/// What that is called which takes away what they have put onto their nodes.
pub(super) const CLEARING: &str = "leno-node-remove";

/// By which the pods of nodes' proxies are found, and nothing else is.
pub(super) fn own() -> BTreeMap<String, String> {
    selector("node")
}

/// Whom nodes' proxies act as, and the pods themselves.
pub(super) fn all(chosen: &Installation) -> [Object; 2] {
    let proxies = proxies_of(&chosen.image, &chosen.network);
    [Object::of(&account()), proxies]
}

/// The proxies, of this image, on nodes with these folders.
pub(super) fn proxies_of(image: &str, network: &NetworkFolders) -> Object {
    Object::of(&proxies(image, network))
}

/// The proxies of any image, as what they are called by: whether they are there, and that they are to go.
pub(super) fn proxies_by_name() -> Object {
    proxies_of("", &NetworkFolders::default())
}

/// It has no right at the API server, and no token for it.
fn account() -> ServiceAccount {
    ServiceAccount {
        metadata: named(NODE),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// The proxies. A newer one takes the sockets of the older one over, and then that one ends.
fn proxies(image: &str, network: &NetworkFolders) -> DaemonSet {
    let pod = PodSpec {
        containers: vec![proxy(image, network)],
        volumes: Some(volumes(network)),
        termination_grace_period_seconds: Some(GRACE),
        ..on_every_node()
    };
    of_nodes(NODE, own(), strategy("1", "0"), pod)
}

/// Such a pod on each node, found by these labels.
fn of_nodes(
    name: &str,
    own: BTreeMap<String, String>,
    strategy: DaemonSetUpdateStrategy,
    pod: PodSpec,
) -> DaemonSet {
    let mut all = labels();
    all.extend(own.clone());
    DaemonSet {
        metadata: named(name),
        spec: Some(DaemonSetSpec {
            selector: LabelSelector {
                match_labels: Some(own),
                ..LabelSelector::default()
            },
            update_strategy: Some(strategy),
            min_ready_seconds: Some(BESIDE),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(all),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..DaemonSetSpec::default()
        }),
        ..DaemonSet::default()
    }
}

fn strategy(more: &str, fewer: &str) -> DaemonSetUpdateStrategy {
    let amount = |text: &str| match text.parse() {
        Ok(number) => IntOrString::Int(number),
        Err(_) => IntOrString::String(text.to_owned()),
    };
    DaemonSetUpdateStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDaemonSet {
            max_surge: Some(amount(more)),
            max_unavailable: Some(amount(fewer)),
        }),
    }
}

/// What pods without containers need to be on each node, whatever that is tainted with, and to reach into its pods.
fn on_every_node() -> PodSpec {
    PodSpec {
        service_account_name: Some(NODE.to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        // The network namespace of a pod is found by the process that asks for it, and by those of the pod.
        host_pid: Some(true),
        node_selector: Some(on_linux()),
        tolerations: Some(vec![Toleration {
            operator: Some("Exists".to_owned()),
            ..Toleration::default()
        }]),
        // Without it the node's pods are cut off.
        priority_class_name: Some("system-node-critical".to_owned()),
        ..PodSpec::default()
    }
}

/// Where a node's container runtime looks for what connects its pods: absolute paths on the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkFolders {
    /// Its network plugins.
    pub plugins: String,
    /// Its network configurations.
    pub configurations: String,
}

impl Default for NetworkFolders {
    /// Where runtimes look if nothing is said.
    fn default() -> Self {
        Self {
            plugins: "/opt/cni/bin".to_owned(),
            configurations: "/etc/cni/net.d".to_owned(),
        }
    }
}

impl NetworkFolders {
    /// Those of the node that the pods of this DaemonSet have.
    pub(super) fn of(proxies: &Value) -> Option<Self> {
        let volumes = proxies.pointer("/spec/template/spec/volumes")?.as_array()?;
        let path = |name: &str| {
            let volume = volumes.iter().find(|volume| volume["name"] == name)?;
            Some(volume["hostPath"]["path"].as_str()?.to_owned())
        };
        Some(Self {
            plugins: path(PLUGINS)?,
            configurations: path(CONFIGURATIONS)?,
        })
    }

    /// Folders of the node that its proxy has: what each is called, where it is on the node, and where in the pod.
    fn all(&self) -> [(&'static str, &str, String); 3] {
        let Self {
            plugins,
            configurations,
        } = self;
        [
            (PLUGINS, plugins, in_pod(plugins)),
            (CONFIGURATIONS, configurations, in_pod(configurations)),
            // The plugin, which runs on the node, finds the proxy's socket here.
            ("run", RUN, RUN.to_owned()),
        ]
    }
}

/// What these folders are called in a pod.
const PLUGINS: &str = "cni-bin";
const CONFIGURATIONS: &str = "cni-conf";
const RUN: &str = "/run/leno";

/// Where in a pod a folder of the node is.
pub(super) fn in_pod(folder: &str) -> String {
    format!("/host{folder}")
}

/// Where proxies of a node keep identities and views for longer than their pods are there: a folder of the node, in memory,
/// which goes when that is booted again.
const NODE_STATE: &str = "/run/leno/node";
/// Where a proxy keeps them for as long as its pod is there, on nodes that have no such folder in memory.
const STATE: &str = "/var/lib/leno";
/// For how long live connections may go on in an older proxy, in seconds, before the node ends it.
const GRACE: i64 = 60;
/// For how long, in seconds, a newer proxy is ready before the older one is told to end: it finds its pods meanwhile.
const BESIDE: i32 = 5;
/// Where the plugin asks it.
const SOCKET: &str = "/run/leno/node.sock";
/// Where it finds what proves it to the control plane.
pub(super) const TOKENS: &str = "/var/run/secrets/leno.dev";
pub(super) const TOKEN: &str = "token";

fn folder((name, path, _): (&str, &str, String)) -> Volume {
    Volume {
        name: name.to_owned(),
        host_path: Some(HostPathVolumeSource {
            path: path.to_owned(),
            type_: Some("DirectoryOrCreate".to_owned()),
        }),
        ..Volume::default()
    }
}

/// What proves a pod to the control plane.
pub(super) fn token() -> Volume {
    let token = ServiceAccountTokenProjection {
        audience: Some("leno".to_owned()),
        expiration_seconds: Some(3600),
        path: TOKEN.to_owned(),
    };
    Volume {
        name: TOKEN.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(vec![VolumeProjection {
                service_account_token: Some(token),
                ..VolumeProjection::default()
            }]),
            ..ProjectedVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn volumes(network: &NetworkFolders) -> Vec<Volume> {
    let mut volumes: Vec<_> = network.all().map(folder).into();
    volumes.push(token());
    volumes.push(Volume {
        name: "state".to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: Some("Memory".to_owned()),
            size_limit: Some(Quantity("256Mi".to_owned())),
        }),
        ..Volume::default()
    });
    volumes
}

fn mounts(network: &NetworkFolders) -> Vec<VolumeMount> {
    let folder = |(name, _, path): (&str, &str, String)| VolumeMount {
        name: name.to_owned(),
        mount_path: path,
        ..VolumeMount::default()
    };
    network.all().map(folder).into()
}

fn proxy(image: &str, network: &NetworkFolders) -> Container {
    let token = format!("{TOKENS}/{TOKEN}");
    let state = format!("{STATE}/proxy");
    let (name, port) = METRICS;
    let metrics = port.to_string();
    let arguments = [
        "proxy",
        "--joined",
        "--join",
        "$(LENO_MESH)",
        "--oidc-token",
        &token,
        "--state",
        &state,
        "--node",
        "$(NODE_NAME)",
        "--node-state",
        NODE_STATE,
        "--pod-uid",
        "$(POD_UID)",
        "--metrics",
        &metrics,
    ];
    let arguments = arguments.map(str::to_owned).into_iter();
    let mut volume_mounts = mounts(network);
    volume_mounts.push(VolumeMount {
        name: TOKEN.to_owned(),
        mount_path: TOKENS.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    });
    volume_mounts.push(VolumeMount {
        name: "state".to_owned(),
        mount_path: STATE.to_owned(),
        ..VolumeMount::default()
    });
    Container {
        name: "node".to_owned(),
        image: Some(image.to_owned()),
        args: Some(arguments.chain(of_plugin(network)).collect()),
        env: Some(vec![
            of_pod("NODE_NAME", "spec.nodeName"),
            of_pod("POD_UID", "metadata.uid"),
            mesh(),
            proxies_folder(),
        ]),
        ports: Some(vec![ContainerPort {
            name: Some(name.to_owned()),
            container_port: port.into(),
            ..ContainerPort::default()
        }]),
        resources: Some(ResourceRequirements {
            requests: Some(quantities(&[("cpu", "50m"), ("memory", "64Mi")])),
            ..ResourceRequirements::default()
        }),
        // It joins the mesh before it is ready, and that may take as long as it likes.
        startup_probe: Some(probe(1, 3600)),
        readiness_probe: Some(probe(5, 3)),
        security_context: Some(security()),
        volume_mounts: Some(volume_mounts),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

/// The arguments that say where the node's network plugin asks, and where its program and its configurations are in the pod.
fn of_plugin(network: &NetworkFolders) -> [String; 6] {
    let [plugins, configurations] =
        [&network.plugins, &network.configurations].map(|it| in_pod(it));
    [
        "--cni-socket".to_owned(),
        SOCKET.to_owned(),
        "--cni-bin".to_owned(),
        plugins,
        "--cni-conf".to_owned(),
        configurations,
    ]
}

/// What its pod says in this field.
fn of_pod(name: &str, field: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                // As the API server would fill it in: where nothing is said, `kubectl apply` and `leno install` would
                // take the whole of it for each other's.
                api_version: Some("v1".to_owned()),
                field_path: field.to_owned(),
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

/// Where whoever is in the pod finds the proxy to ask it: `kubectl exec daemonset/leno-node -- /leno why ID`.
fn proxies_folder() -> EnvVar {
    EnvVar {
        name: "LENO_PROXIES".to_owned(),
        value: Some(format!("{STATE}/proxies")),
        ..EnvVar::default()
    }
}

/// The pod does not start before the control plane has said it.
fn mesh() -> EnvVar {
    EnvVar {
        name: "LENO_MESH".to_owned(),
        value_from: Some(EnvVarSource {
            config_map_key_ref: Some(ConfigMapKeySelector {
                name: MESH.to_owned(),
                key: KEY.to_owned(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

/// What of the node's rights each is for; everything else is dropped, and nothing of it is `privileged`.
const CAPABILITIES: [&str; 8] = [
    // To make sockets in the network namespaces of pods (setns).
    "SYS_ADMIN",
    // To load packet rules there, and to mark what is its own.
    "NET_ADMIN",
    // To find these namespaces by processes of others, below /proc.
    "SYS_PTRACE",
    // To write into the node's folders of network plugins, where these belong to another user than root.
    "DAC_OVERRIDE",
    // The process of one pod alone is given another user, and keeps this one right: to mark its sockets.
    "SETUID",
    "SETGID",
    "NET_RAW",
    // To end one that does not end by itself.
    "KILL",
];

fn security() -> SecurityContext {
    SecurityContext {
        run_as_user: Some(0),
        run_as_group: Some(0),
        run_as_non_root: Some(false),
        privileged: Some(false),
        read_only_root_filesystem: Some(true),
        // SYS_ADMIN and `allowPrivilegeEscalation: false` exclude each other for the API server.
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: Some(CAPABILITIES.map(str::to_owned).into()),
        }),
        // The default one lets a process with SYS_ADMIN call setns.
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        // The default one of runtimes forbids to look at processes that do not run under it, too, and to mount.
        app_armor_profile: Some(AppArmorProfile {
            type_: "Unconfined".to_owned(),
            ..AppArmorProfile::default()
        }),
        // What a host that enforces SELinux lets a container do otherwise ends at its own pod. With a level of its pod's, the
        // plugin that it puts onto the node would have that level, too. Elsewhere runtimes do not look at it.
        se_linux_options: Some(SELinuxOptions {
            type_: Some("spc_t".to_owned()),
            level: Some("s0".to_owned()),
            ..SELinuxOptions::default()
        }),
        ..SecurityContext::default()
    }
}

/// What takes away what nodes' proxies have put onto their nodes, run from this image: pods on the same nodes, of which
/// each is ready once its node is clean. It waits until the proxy of its node has ended, which would put it there again.
pub(super) fn clearing(image: &str, network: &NetworkFolders) -> Object {
    let words = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let container = |name: &str, more: &[&str]| Container {
        name: name.to_owned(),
        image: Some(image.to_owned()),
        args: Some(
            words(&["node-remove"])
                .into_iter()
                .chain(of_plugin(network))
                .chain(words(&["--node-state", NODE_STATE]))
                .chain(words(more))
                .collect(),
        ),
        security_context: Some(security()),
        volume_mounts: Some(mounts(network)),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    };
    let pod = PodSpec {
        init_containers: Some(vec![container("clear", &[])]),
        // A pod of a DaemonSet that ended would be made anew.
        containers: vec![container("stay", &["--stay"])],
        volumes: Some(network.all().map(folder).into()),
        ..on_every_node()
    };
    Object::of(&of_nodes(
        CLEARING,
        selector(CLEARING),
        strategy("0", "100%"),
        pod,
    ))
}

/// The same, as what it is called by.
pub(super) fn clearing_by_name() -> Object {
    clearing("", &NetworkFolders::default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chosen() -> Installation {
        Installation {
            name: None,
            image: "leno.test/leno:1".to_owned(),
            storage_class: None,
            node: true,
            network: NetworkFolders::default(),
        }
    }

    #[test]
    fn it_may_do_on_a_node_what_it_has_to_and_nothing_else() {
        let [account, proxies] = all(&chosen());
        assert_eq!(account.body["automountServiceAccountToken"], false);
        let pod = &proxies.body["spec"]["template"]["spec"];
        assert_eq!(pod["hostPID"], true);
        assert_eq!(pod["hostNetwork"], Value::Null);
        let security = &pod["containers"][0]["securityContext"];
        assert_eq!(security["privileged"], false);
        assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(
            security["seLinuxOptions"],
            json!({"type": "spc_t", "level": "s0"})
        );
        let volumes = pod["volumes"].as_array().unwrap().iter();
        let of_node: Vec<_> = volumes
            .filter(|volume| volume["hostPath"].is_object())
            .collect();
        assert_eq!(of_node.len(), 3);
    }

    #[test]
    fn its_folders_are_where_the_runtime_of_the_node_looks() {
        let network = NetworkFolders {
            plugins: "/home/kubernetes/bin".to_owned(),
            ..NetworkFolders::default()
        };
        for object in [
            proxies_of("leno.test/leno:1", &network),
            clearing("leno.test/leno:1", &network),
        ] {
            assert_eq!(NetworkFolders::of(&object.body).as_ref(), Some(&network));
            let container = &object.body["spec"]["template"]["spec"]["containers"][0];
            let [args, mounts] =
                ["args", "volumeMounts"].map(|field| container[field].as_array().unwrap());
            let mut behind = args.iter().skip_while(|it| **it != "--cni-bin").skip(1);
            assert_eq!(*behind.next().unwrap(), "/host/home/kubernetes/bin");
            assert_eq!(mounts[0]["mountPath"], "/host/home/kubernetes/bin");
            assert_eq!(mounts[1]["mountPath"], "/host/etc/cni/net.d");
        }
    }

    #[test]
    fn what_belongs_to_one_manager_as_a_whole_says_all_that_would_be_filled_in() {
        let env = serde_json::to_value(of_pod("NODE_NAME", "spec.nodeName")).unwrap();
        let field = &env["valueFrom"]["fieldRef"];
        assert_eq!(
            *field,
            json!({"apiVersion": "v1", "fieldPath": "spec.nodeName"})
        );
    }

    #[test]
    fn all_that_it_names_is_there() {
        let [_, proxies] = all(&chosen());
        let pod = &proxies.body["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let names = |list: &Value| -> Vec<String> {
            let all = list.as_array().unwrap().iter();
            all.map(|it| it["name"].as_str().unwrap().to_owned())
                .collect()
        };
        let env = names(&container["env"]);
        let args = container["args"].as_array().unwrap().iter();
        let named = args.filter_map(|arg| arg.as_str()?.strip_prefix("$(")?.strip_suffix(')'));
        let named: Vec<_> = named.collect();
        assert_eq!(named, ["LENO_MESH", "NODE_NAME", "POD_UID"]);
        assert!(named.iter().all(|name| env.iter().any(|it| it == name)));
        assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]));
        let rolling = &proxies.body["spec"]["updateStrategy"]["rollingUpdate"];
        assert_eq!(*rolling, json!({"maxSurge": 1, "maxUnavailable": 0}));

        let proxy = container.clone();
        let clearing =
            clearing("leno.test/leno:1", &NetworkFolders::default()).body["spec"].clone();
        let pod = &clearing["template"]["spec"];
        for container in [&pod["initContainers"][0], &pod["containers"][0]] {
            assert_eq!(container["securityContext"], proxy["securityContext"]);
            assert_eq!(names(&container["volumeMounts"]), names(&pod["volumes"]));
        }
        assert_ne!(clearing["selector"], proxies.body["spec"]["selector"]);
    }
}
