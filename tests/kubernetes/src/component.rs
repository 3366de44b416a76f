//! The components of a cluster and what each is told: its arguments, and the files that it reads.

use std::path::Path;

use serde_json::{Value, json};

use crate::Programs;
use crate::families::{Families, before_port};
use crate::node::Node;
use crate::runtime::Engine;
use crate::sandbox::Component;

/// What components are told about the cluster that they make.
pub(crate) struct Plan<'a> {
    pub(crate) programs: &'a Programs,
    /// The certificates of everybody, and how each reaches the API server.
    pub(crate) pki: &'a Path,
    /// The folder of the host that they run on.
    pub(crate) folder: &'a Path,
    /// The address of etcd, and that at which the API server is reached.
    pub(crate) address: &'a str,
    /// The node that they make of it.
    pub(crate) node: Node,
    pub(crate) families: Families,
}

/// Where the API server listens.
pub(crate) const API_PORT: u16 = 6443;

/// Where pods find their name server: a Service that leads to the first node.
fn dns(families: Families) -> &'static str {
    families.first("10.96.0.10", "fd00:96::a")
}

/// That Service.
pub(crate) fn name_service(families: Families) -> String {
    let kind = families.first("IPv4", "IPv6");
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: kube-dns, namespace: kube-system}}
spec: {{clusterIP: '{}', ports: [{{name: dns, port: 53, protocol: UDP}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: kube-dns, namespace: kube-system, labels: {{kubernetes.io/service-name: kube-dns}}}}
addressType: {kind}
ports: [{{name: dns, port: 53, protocol: UDP}}]
endpoints: [{{addresses: ['{}']}}]
",
        dns(families),
        Node::First.first_ip(families)
    )
}

/// The API server's address as a Service, of each family.
pub(crate) const API_SERVICE: [&str; 2] = ["10.96.0.1", "fd00:96::1"];

impl<'a> Plan<'a> {
    /// What those of the second node are told, whose host has this folder.
    pub(crate) fn of_second(
        programs: &'a Programs,
        pki: &'a Path,
        folder: &'a Path,
        families: Families,
    ) -> Self {
        Self {
            programs,
            pki,
            folder,
            address: Node::First.first_ip(families),
            node: Node::Second,
            families,
        }
    }

    /// What runs the node's containers.
    pub(crate) fn engine(&self) -> &'a Engine {
        &self.programs.engine
    }

    /// A file of the certificates' folder.
    fn pki(&self, file: &str) -> String {
        self.pki.join(file).display().to_string()
    }

    fn kubeconfig(&self, name: &str) -> String {
        format!("--kubeconfig={}", self.pki(&format!("{name}.kubeconfig")))
    }

    pub(crate) fn etcd(&self) -> Component {
        let address = self.address;
        let data = self.folder.join("etcd");
        let client = format!("http://{address}:2379");
        let peer = format!("http://{address}:2380");
        Component {
            name: "etcd".to_owned(),
            program: "etcd".into(),
            arguments: vec![
                format!("--data-dir={}", data.display()),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--initial-cluster=default={peer}"),
            ],
        }
    }

    /// The API server of a cluster without nodes: nobody makes service accounts there, so that pods need none.
    pub(crate) fn lone_api_server(&self) -> Component {
        let mut component = self.api_server();
        component.arguments.extend([
            format!("--bind-address={}", self.address),
            // It has to be one that is not loopback, and nobody asks for it.
            "--advertise-address=192.0.2.1".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
        ]);
        component
    }

    /// The API server of a node.
    pub(crate) fn node_api_server(&self) -> Component {
        let mut component = self.api_server();
        component.arguments.extend([
            // Of either family.
            "--bind-address=::".to_owned(),
            format!("--advertise-address={}", self.node.first_ip(self.families)),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            format!("--kubelet-certificate-authority={}", self.pki("ca.pem")),
            format!("--kubelet-client-certificate={}", self.pki("kubelets.pem")),
            format!("--kubelet-client-key={}", self.pki("kubelets.key")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
        ]);
        component
    }

    fn api_server(&self) -> Component {
        let issuer = "https://kubernetes.default.svc.cluster.local";
        let services = self.families.of("10.96.0.0/16", "fd00:96::/112").join(",");
        self.kube(
            "kube-apiserver",
            vec![
                format!("--etcd-servers=http://{}:2379", self.address),
                format!("--secure-port={API_PORT}"),
                format!("--tls-cert-file={}", self.pki("api.pem")),
                format!("--tls-private-key-file={}", self.pki("api.key")),
                format!("--client-ca-file={}", self.pki("ca.pem")),
                "--authorization-mode=Node,RBAC".to_owned(),
                "--allow-privileged=true".to_owned(),
                format!("--service-cluster-ip-range={services}"),
                format!("--service-account-issuer={issuer}"),
                format!("--service-account-key-file={}", self.pki("tokens.pub")),
                format!(
                    "--service-account-signing-key-file={}",
                    self.pki("tokens.key")
                ),
            ],
        )
    }

    pub(crate) fn controllers(&self) -> Component {
        self.kube(
            "kube-controller-manager",
            vec![
                self.kubeconfig("controllers"),
                "--leader-elect=false".to_owned(),
                "--use-service-account-credentials".to_owned(),
                format!("--root-ca-file={}", self.pki("ca.pem")),
                format!(
                    "--service-account-private-key-file={}",
                    self.pki("tokens.key")
                ),
                format!("--cluster-signing-cert-file={}", self.pki("ca.pem")),
                format!("--cluster-signing-key-file={}", self.pki("ca.key")),
            ],
        )
    }

    pub(crate) fn scheduler(&self) -> Component {
        let arguments = vec![
            self.kubeconfig("scheduler"),
            "--leader-elect=false".to_owned(),
        ];
        self.kube("kube-scheduler", arguments)
    }

    pub(crate) fn proxy(&self) -> Component {
        self.kube(
            "kube-proxy",
            vec![
                self.kubeconfig("proxy"),
                format!("--hostname-override={}", self.node.name()),
                "--proxy-mode=nftables".to_owned(),
                // The table of connections is the whole host's.
                "--conntrack-max-per-core=0".to_owned(),
            ],
        )
    }

    pub(crate) fn kubelet(&self) -> Component {
        let own = self.families.of(self.node.ip(), self.node.ip6()).join(",");
        self.kube(
            "kubelet",
            vec![
                self.kubeconfig(&format!("kubelet-{}", self.node.name())),
                format!("--config={}", self.folder.join("kubelet.json").display()),
                format!("--hostname-override={}", self.node.name()),
                format!("--node-ip={own}"),
            ],
        )
    }

    pub(crate) fn names(&self) -> Component {
        let own = before_port(self.node.first_ip(self.families));
        let arguments = vec![self.kubeconfig("admin"), format!("--address={own}:53")];
        self.kube("names", arguments)
    }

    fn kube(&self, name: &str, mut arguments: Vec<String>) -> Component {
        arguments.insert(0, name.to_owned());
        Component {
            name: name.to_owned(),
            program: self.programs.kube.clone(),
            arguments,
        }
    }

    /// The files of a node and what is in them.
    pub(crate) fn files(&self) -> Vec<(&'static str, String)> {
        let own = [
            ("kubelet.json", self.kubelet_configuration().to_string()),
            (
                "upper/etc/cni/net.d/10-node.conflist",
                network(self.node, self.families).to_string(),
            ),
            // For its folder, which the kubelet looks into for static pods.
            ("upper/etc/kubernetes/manifests/.none", String::new()),
        ];
        own.into_iter()
            .chain(self.engine().files(self.folder))
            .collect()
    }

    fn kubelet_configuration(&self) -> Value {
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "::",
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": self.pki("ca.pem")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": self.pki(&format!("kubelet-{}.pem", self.node.name())),
            "tlsPrivateKeyFile": self.pki(&format!("kubelet-{}.key", self.node.name())),
            "containerRuntimeEndpoint": format!("unix://{}", self.engine().socket()),
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": false,
            "failSwapOn": false,
            "localStorageCapacityIsolation": false,
            // A host whose disk is nearly full is no reason to evict a test.
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "clusterDNS": [dns(self.families)],
            "clusterDomain": "cluster.local",
            "resolvConf": "",
            "staticPodPath": "/etc/kubernetes/manifests",
        })
    }
}

/// How pods are connected.
fn network(node: Node, families: Families) -> Value {
    let of = |block, all| (json!([{"subnet": block}]), json!({"dst": all}));
    let (ranges, routes): (Vec<_>, Vec<_>) = families
        .of(of(node.pods(), "0.0.0.0/0"), of(node.pods6(), "::/0"))
        .into_iter()
        .unzip();
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": ranges,
                    "routes": routes,
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}
