//! The commands about Leno in a cluster of Kubernetes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use leno_model::{Code, ControlName, TrustDomain};

use super::time;

/// Where a cluster is, and as whom it is asked.
#[derive(Args)]
pub(crate) struct Reached {
    /// The kubeconfig by which the cluster is asked; else $KUBECONFIG, else ~/.kube/config
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Which context of the kubeconfig; else its current one
    #[arg(long, value_name = "NAME")]
    pub(crate) kube_context: Option<String>,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno install                          checks, shows what would change, asks, waits until it is ready\n  \
    leno install --node                   with a proxy on each node, for pods that get none in them\n  \
    leno install --name canary --image shop.example/leno:2\n                                        \
    another beside it, for pods that say leno.dev/control: canary\n  \
    leno install --print yaml | kubectl apply --server-side -f -\n  \
    leno install --print helm --to leno.tgz\n  \
    then:  helm install leno leno.tgz --namespace leno-system --create-namespace\n\n\
    What is there already is compared: a second time changes only what differs.\n\
    Exit codes: 0 it is installed and ready · 1 something stands against it · 3 the cluster does not answer")]
pub(crate) struct Install {
    #[command(flatten)]
    pub(crate) reached: Reached,

    /// Beside the default control plane, one of this name: it serves the proxies in pods that are labelled
    /// leno.dev/control: NAME, or whose namespace is
    #[arg(long, value_name = "NAME", value_parser = control_name, conflicts_with = "trust_domain")]
    pub(crate) name: Option<ControlName>,

    /// The image of the control plane and of pods' proxies, where the cluster's nodes find it; cargo xtask
    /// image makes one
    #[arg(long, value_name = "NAME:TAG", default_value = IMAGE)]
    pub(crate) image: String,

    /// The class of the volume in which the control plane keeps its state; else the cluster's default
    #[arg(long, value_name = "NAME")]
    pub(crate) storage_class: Option<String>,

    /// Also a proxy on each node, for pods labelled leno.dev/dataplane-mode: node, which get none in them. Where
    /// there are such proxies they stay without it, too
    #[arg(long)]
    pub(crate) node: bool,

    /// Where the runtime of nodes looks for network plugins; /opt/cni/bin if nothing is said, and where there are
    /// proxies of nodes, what they were told
    #[arg(long, value_name = "DIR", requires = "node", value_parser = folder_of_node)]
    pub(crate) cni_bin: Option<String>,

    /// Where it looks for network configurations; /etc/cni/net.d if nothing is said, or what proxies were told
    #[arg(long, value_name = "DIR", requires = "node", value_parser = folder_of_node)]
    pub(crate) cni_conf: Option<String>,

    /// The trust domain of the mesh; cluster.local if nothing is said. A mesh that is there keeps its own
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    pub(crate) trust_domain: Option<TrustDomain>,

    /// Do it without asking
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,

    /// Also set fields that somebody else has set to something else (K005)
    #[arg(long)]
    pub(crate) force: bool,

    /// For how long to wait until the control plane is ready, and then the proxies of nodes
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "5m")]
    pub(crate) wait: Duration,

    /// Print the objects, ask no cluster and change nothing. A Mesh is among them in a chart alone:
    /// documents would bring its kind with it, which kubectl does not take
    #[arg(
        long,
        value_name = "FORM",
        conflicts_with_all = ["kubeconfig", "kube_context", "yes", "force", "wait"]
    )]
    pub(crate) print: Option<Printed>,

    /// Into this file, which must not be there yet; without it documents go to standard output
    #[arg(
        long,
        value_name = "FILE",
        requires = "print",
        required_if_eq("print", "helm")
    )]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "Takes away what leno install has made, the control plane's state and the keys of its CA among it, and what\n\
    stands of it in the status of routes. What nodes' proxies have put onto each node goes first, and is waited for.\n\
    Nothing of Leno is left then but what you have written: labels, and proxies in pods until these are made anew."
)]
pub(crate) struct Uninstall {
    #[command(flatten)]
    pub(crate) reached: Reached,

    /// Only the control plane of this name; without it, the default one. What they have in common goes with the last
    #[arg(long, value_name = "NAME", value_parser = control_name)]
    pub(crate) name: Option<ControlName>,

    /// Only the proxies of nodes, and what they have put there: the control plane stays, and pods go on without them
    #[arg(long, conflicts_with_all = ["name", "with_objects"])]
    pub(crate) nodes: bool,

    /// Do it without asking
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,

    /// Also take away the kinds of which there are objects that you have written, and these objects with them
    #[arg(long)]
    pub(crate) with_objects: bool,

    /// For how long to wait until each object is gone
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "2m")]
    pub(crate) wait: Duration,
}

#[derive(Args)]
#[command(long_about = "Take away what the proxy of this node has put onto it

Its entry goes out of the node's network configuration, so that pods start without it, then its program, its
socket, and what it kept. Waits until no proxy answers at the socket, which would put it there again, and until
nobody is writing the configuration. leno uninstall runs it on each node before it takes the proxies away.")]
pub(crate) struct NodeRemove {
    /// Where the network plugin asks the node's proxy
    #[arg(long, value_name = "SOCKET", default_value = leno_cni::SOCKET)]
    pub(crate) cni_socket: PathBuf,

    /// The node's folder of network plugins
    #[arg(long, value_name = "DIR", default_value = "/opt/cni/bin")]
    pub(crate) cni_bin: PathBuf,

    /// The node's folder of network configurations
    #[arg(long, value_name = "DIR", default_value = "/etc/cni/net.d")]
    pub(crate) cni_conf: PathBuf,

    /// The node's folder in which its proxies keep keys and views
    #[arg(long, value_name = "DIR", default_value = "/run/leno/node")]
    pub(crate) node_state: PathBuf,

    /// Then stay until told to end: who runs it would run it again
    #[arg(long)]
    pub(crate) stay: bool,
}

/// How objects are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Printed {
    /// Documents that kubectl takes
    Yaml,
    /// A chart of Helm, as an archive
    Helm,
}

/// What `cargo xtask image` calls it.
pub(crate) const IMAGE: &str = concat!("leno.dev/leno:", env!("CARGO_PKG_VERSION"));

/// A name that a control plane beside the default one can have.
pub(crate) fn control_name(text: &str) -> Result<ControlName, String> {
    let (code, slug) = (Code::K022, Code::K022.slug());
    ControlName::new(text).map_err(|why| format!("{code} {slug}: {why}"))
}

/// As Kubernetes takes it for a folder of the node.
fn folder_of_node(text: &str) -> Result<String, String> {
    match text.starts_with('/') && !text.split('/').any(|part| part == "..") {
        true => Ok(text.to_owned()),
        false => Err("it takes the whole path on the node, without `..`".to_owned()),
    }
}

fn domain(text: &str) -> Result<TrustDomain, String> {
    TrustDomain::new(text).map_err(|error| error.to_string())
}
