//! What the proxy of a node of a cluster is told, as clap reads it.

use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
#[command(next_help_heading = "Proxy of a node")]
pub(crate) struct Node {
    /// Serve the pods of this node of a cluster from outside: those that say leno.dev/dataplane-mode: node. It takes
    /// CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SYS_PTRACE and the node's processes
    #[arg(
        long,
        value_name = "NODE",
        requires = "joined",
        conflicts_with_all = ["workloads", "tunnel", "upstreams", "outbound", "inbound", "dns"]
    )]
    pub(crate) node: Option<String>,

    /// Carry the calls of the one workload alone, as the process that the proxy of a node starts for a pod of its own
    /// accord and talks to by standard input
    #[arg(long, hide = true, requires_all = ["joined", "state", "workloads"], conflicts_with_all = ["node", "tunnel", "upstreams", "outbound", "inbound", "dns", "metrics"])]
    pub(crate) pod_process: bool,

    /// The socket at which the network plugin asks about each pod before it starts
    #[arg(long, value_name = "SOCKET", requires = "node")]
    pub(crate) cni_socket: Option<PathBuf>,

    /// A folder of the node, in memory, in which keys and views outlive the pod of this proxy: the next one goes on with them
    /// while the control plane is away. Where it is on a disk, all is kept in --state
    #[arg(long, value_name = "DIR", requires_all = ["node", "state", "pod_uid"])]
    pub(crate) node_state: Option<PathBuf>,

    /// The UID of the pod of this proxy
    #[arg(long, value_name = "UID", requires = "node_state")]
    pub(crate) pod_uid: Option<String>,

    /// The node's folder of network plugins, where leno-cni is kept: /opt/cni/bin there
    #[arg(long, value_name = "DIR", requires_all = ["node", "cni_socket", "cni_conf"])]
    pub(crate) cni_bin: Option<PathBuf>,

    /// The node's folder of network configurations, in which leno-cni is kept last: /etc/cni/net.d there
    #[arg(long, value_name = "DIR", requires = "cni_bin")]
    pub(crate) cni_conf: Option<PathBuf>,
}
