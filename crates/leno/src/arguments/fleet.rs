//! The commands about a control plane and the proxies that follow it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use leno_model::{ControlName, Name};
use leno_wire::MeshAddress;

use super::Output;
use super::at::{Advertised, At};
use super::change::{Apply, Delete, Diff, History, Override, Plan, Policy, Rollback, Watch};
use super::cluster::control_name;
use super::trust::Token;
use crate::command::contexts::KUBECONFIG;

#[derive(Subcommand)]
pub(crate) enum Fleet {
    /// Run a control plane
    Control(Box<Control>),
    /// Make this host's proxy part of a mesh, by a token or by what it is
    Join(Join),
    /// Let this host go away from its mesh for good
    Leave(Leave),
    /// What would these files change, and which recorded calls would break? Nothing is changed
    Plan(Plan),
    /// Policies made of what was recorded
    Policy(Policy),
    /// Make these files part of the configuration
    Apply(Apply),
    /// Take objects out of the configuration
    Delete(Delete),
    /// What was changed, when and by whom?
    History(History),
    /// What leads from one revision to another?
    Diff(Diff),
    /// Make the configuration what it was at a revision, as a new revision
    Rollback(Rollback),
    /// Changes that are watched, and go back by themselves if calls fail
    Watch(Watch),
    /// Measures of an emergency that end by themselves
    Override(Override),
    /// Tokens by which hosts join
    Token(Token),
    /// Control planes on other hosts, and who you are to them
    Context(Contexts),
    /// Is it well? One screen, one verdict
    Status(Status),
    /// Who is connected, and how far behind is each?
    Proxies(Proxies),
    /// What does a proxy hold? Each value with who said so
    View(View),
    /// A link to the page that shows how the mesh is
    Dashboard(Dashboard),
}

/// Which control plane is asked, and how the answer is written.
#[derive(Args, Clone)]
pub(crate) struct Context {
    /// A context that leno context add made, kubeconfig or kubeconfig:CONTEXT for a cluster of Kubernetes,
    /// kubeconfig/CONTROL or kubeconfig/CONTROL:CONTEXT for a control plane of it that has a name, or the control
    /// plane's socket; else $LENO_CONTEXT, else the mesh that is up in this folder, else what leno context use
    /// chose, else this machine's, else that of the kubeconfig
    #[arg(long, value_name = "NAME|SOCKET")]
    pub(crate) context: Option<PathBuf>,

    /// How the answer is written
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Args)]
#[command(
    after_help = "Run it by the Leno that is to come: it reads what the mesh that runs is made of as it would, and names\n\
    what it finds there that the one which runs does not, and the proxies that would not understand what they would be told."
)]
pub(crate) struct Upgrade {
    /// Only look, and change nothing
    #[arg(long, required = true)]
    pub(crate) check: bool,

    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(after_help = "Example: leno control --advertise 10.0.0.1:15012\n  \
    then:  leno apply -f mesh/   leno token create shop/cart\n\
    Two that take over from each other, on each host:\n  \
    leno control --advertise 10.0.0.1:15012,10.0.0.2:15012 --seal-keys-with /etc/leno/secret \\\n    \
    --etcd http://10.0.0.1:2379,http://10.0.0.2:2379,http://10.0.0.3:2379")]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Control {
    #[command(subcommand)]
    pub(crate) command: Option<ControlCommand>,

    #[command(flatten)]
    pub(crate) run: ControlRun,
}

#[derive(Subcommand)]
pub(crate) enum ControlCommand {
    /// Let every proxy follow a store that was put back from a backup, or made anew
    ///
    /// A proxy never goes back: it refuses what is older than the view it holds (D004), and goes on
    /// serving that. This begins an epoch in which all of them take what the store says. What was
    /// applied or revoked after the backup was made is gone then: apply and revoke it again before.
    Recover(Context),
}

#[derive(Args)]
pub(crate) struct ControlRun {
    /// Where proxies are taken care of
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:15012")]
    pub(crate) listen: SocketAddr,

    /// Host and port at which proxies find it, of several those of all: A:15012,B:15012. They stand in
    /// tokens
    #[arg(long, value_name = "HOST:PORT", value_parser = addresses, default_value = "127.0.0.1:15012")]
    pub(crate) advertise: String,

    /// The folder of the store
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Seal the CA's keys in the store by the secret in this file: 16 bytes or more, a pass phrase or
    /// random
    #[arg(long, value_name = "FILE")]
    pub(crate) seal_keys_with: Option<PathBuf>,

    /// The folder in which policies may name files of keys that prove tokens (jwt.issuers[].jwks.file);
    /// without it they may name none
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,

    /// Let policies take such keys from http:// URLs of this host, too (jwks.url)
    #[arg(long)]
    pub(crate) keys_on_loopback: bool,

    /// The socket on which it is asked; else that of this host
    #[arg(long, value_name = "SOCKET")]
    pub(crate) socket: Option<PathBuf>,

    /// A socket on which processes of this host join without a token, as their MeshWorkload says who they
    /// are (spec.attestation.processes); everybody who may enter its folder can ask
    #[arg(long, value_name = "SOCKET")]
    pub(crate) join_socket: Option<PathBuf>,

    /// Take the objects of a cluster of Kubernetes as configuration, and its pods as what runs: of the
    /// cluster that this runs in, else of the one that the kubeconfig names
    #[arg(long)]
    pub(crate) kubernetes: bool,

    /// The kubeconfig by which that cluster is asked; else $KUBECONFIG, else ~/.kube/config
    #[arg(long, value_name = "FILE", requires = "kubernetes")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Which context of the kubeconfig; else its current one
    #[arg(long, value_name = "NAME", requires = "kubernetes")]
    pub(crate) kube_context: Option<String>,

    /// Give the pods that are to have one a proxy of this image, for as long as the cluster is told to ask
    /// for it (`leno install`)
    #[arg(long, value_name = "IMAGE", requires = "kubernetes")]
    pub(crate) sidecar: Option<String>,

    /// Who loads the packet rules of these pods: a container in them that has NET_ADMIN, or the proxy of their
    /// node (`leno install --node`)
    #[arg(
        long,
        value_enum,
        default_value = "pod",
        value_name = "WHO",
        requires = "sidecar"
    )]
    pub(crate) captured_by: CapturedBy,

    /// Beside the default control plane of the cluster, as the one of this name: it takes its trust from that one, and
    /// reports nothing
    #[arg(long, value_name = "NAME", requires_all = ["kubernetes", "oidc_token"], value_parser = control_name)]
    pub(crate) name: Option<ControlName>,

    /// The file with the token of its service account for the audience leno, which proves it to the default one
    #[arg(long, value_name = "FILE", requires = "name")]
    pub(crate) oidc_token: Option<PathBuf>,

    /// A folder of objects that is watched; repeatable
    #[arg(long, value_name = "DIR")]
    pub(crate) watch: Vec<PathBuf>,

    /// The trust domain of its CA; else that of the first Mesh object
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) trust_domain: Option<String>,

    /// Where metrics and readiness are read: 127.0.0.1:15020
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,

    #[command(flatten)]
    pub(crate) replicas: Replicas,

    /// Show how the mesh is to a browser on this host, at this port of its loopback: 7070
    #[arg(long, value_name = "ADDRESS", value_parser = loopback)]
    pub(crate) dashboard: Option<u16>,
}

/// What makes a control plane one of several.
#[derive(Args)]
#[command(next_help_heading = "Several control planes")]
pub(crate) struct Replicas {
    /// Be one of several over this etcd, of which one acts and the others stand by and take over by
    /// themselves: its members, http://10.0.0.1:2379,http://10.0.0.2:2379. All have the same
    /// --seal-keys-with and the same --advertise, which names the addresses of all of them
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        requires = "seal_keys_with"
    )]
    pub(crate) etcd: Vec<String>,

    /// A file with the roots that prove etcd, for https; else those that this host trusts
    #[arg(long, value_name = "FILE", requires = "etcd")]
    pub(crate) etcd_ca: Option<PathBuf>,

    /// A file with the certificate that is shown to etcd, for https
    #[arg(long, value_name = "FILE", requires = "etcd_key")]
    pub(crate) etcd_cert: Option<PathBuf>,

    /// A file with its key
    #[arg(long, value_name = "FILE", requires = "etcd_cert")]
    pub(crate) etcd_key: Option<PathBuf>,

    /// What everything of this mesh begins with in etcd
    #[arg(long, value_name = "PREFIX", default_value = "/leno/mesh", value_parser = prefix)]
    pub(crate) etcd_prefix: String,

    /// What this one is called among them; else as its host
    #[arg(long, value_name = "NAME", requires = "etcd")]
    pub(crate) replica: Option<String>,
}

/// Hosts with ports, with commas between them.
fn addresses(text: &str) -> Result<String, String> {
    let is_one = |one: &str| {
        let parts = one.rsplit_once(':');
        parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    match text.split(',').all(is_one) {
        true => Ok(text.to_owned()),
        false => Err("it is HOST:PORT, or several with commas between them".to_owned()),
    }
}

/// The beginning of keys: `/leno/shop`.
fn prefix(text: &str) -> Result<String, String> {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "/-_.".contains(it);
    match text.len() > 1
        && text.starts_with('/')
        && !text.ends_with('/')
        && text.chars().all(is_plain)
    {
        true => Ok(text.to_owned()),
        false => Err("it is a path of ASCII letters, digits, - _ and .: /leno/shop".to_owned()),
    }
}

/// A port of the loopback: `7070`, or `localhost:7070`.
pub(crate) fn loopback(text: &str) -> Result<u16, String> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
    if !matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
        let port = port.parse().unwrap_or(7070);
        return Err(format!(
            "the dashboard is shown on the loopback only. From another host: \
             ssh -L {port}:localhost:{port} HOST"
        ));
    }
    port.parse().map_err(|_| format!("{port:?} is not a port"))
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno join leno-join:shop.local:...           by a token\n  \
    leno join leno-mesh:shop.local:... --oidc-token FILE   by a token of GitLab, GitHub, a cloud\n  \
    leno join --socket /run/leno/join.sock       by user, group, path and SHA-256 of this process\n  \
    then:  leno proxy --joined --workload shop/cart-1 --tunnel 10.0.0.7:15008")]
pub(crate) struct Join {
    /// What `leno token create` printed; with --oidc-token, what `leno token list` says of the mesh
    #[arg(value_name = "TOKEN", required_unless_present = "socket")]
    pub(crate) token: Option<String>,

    /// A file with a token of somebody whom the mesh knows (Mesh.spec.tokenIssuers)
    #[arg(long, value_name = "FILE", requires = "token")]
    pub(crate) oidc_token: Option<PathBuf>,

    /// The join socket of a control plane on this host, which sees who this process is
    #[arg(long, value_name = "SOCKET", conflicts_with = "token")]
    pub(crate) socket: Option<PathBuf>,

    /// Whom to act as, where that leaves a choice: ACCOUNT or NAMESPACE/ACCOUNT
    #[arg(long, value_name = "WHO")]
    pub(crate) account: Option<String>,

    /// The folder in which identity and views are kept
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "Tells the control plane, so that nobody calls this host any more; ends its proxy once\n\
    what lives there has ended; removes its keys, certificates and views."
)]
pub(crate) struct Leave {
    /// The folder in which identity and views are kept
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// Also where the control plane cannot be told
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args)]
pub(crate) struct Contexts {
    #[command(subcommand)]
    pub(crate) command: ContextCommand,
}

#[derive(Subcommand)]
pub(crate) enum ContextCommand {
    /// Get a certificate for a token, and keep it under a name
    Add(ContextAdd),
    /// Which contexts are there?
    List(ContextList),
    /// Ask this one where nothing else is named
    Use(ContextName),
    /// Give a certificate back, and forget the context
    Drop(ContextDrop),
}

#[derive(Args)]
#[command(
    long_about = "Get a certificate for a token, and keep it under a name.

The key is made on this host and never leaves it. The certificate is renewed whenever the context is
used past half of its life; one that has ended takes another token. What it allows is said in the Mesh:

  administration:
    - {person: anna, role: Editor, namespaces: [shop]}",
    after_help = "Example, on the control plane's host:  leno token create --person anna\n  \
    then, on yours:  leno context add prod leno-join:shop.local:...\n  \
                     leno status --context prod"
)]
pub(crate) struct ContextAdd {
    /// What you call it
    #[arg(value_name = "NAME", value_parser = context_name)]
    pub(crate) name: String,

    /// What leno token create printed
    #[arg(value_name = "TOKEN")]
    pub(crate) token: String,
}

#[derive(Args)]
pub(crate) struct ContextList {
    /// How the answer is written
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct ContextName {
    /// Which
    #[arg(value_name = "NAME", value_parser = context_name)]
    pub(crate) name: String,
}

#[derive(Args)]
pub(crate) struct ContextDrop {
    /// Which
    #[arg(value_name = "NAME", value_parser = context_name)]
    pub(crate) name: String,

    /// Also where the control plane cannot be told
    #[arg(long)]
    pub(crate) force: bool,
}

/// A name that is one folder, and cannot be taken for a path.
fn context_name(text: &str) -> Result<String, String> {
    let name = Name::new(text).map_err(|error| error.to_string())?;
    match name.as_str() {
        KUBECONFIG => {
            Err("it means the cluster of your kubeconfig, which is no context to add".to_owned())
        }
        name => Ok(name.to_owned()),
    }
}

#[derive(Args)]
#[command(
    after_help = "Opens once, in a browser on this host. A control plane shows it where it was told to:\n  \
    leno control --dashboard 7070"
)]
pub(crate) struct Dashboard {
    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 it is well, or merely doubtful · 1 something is wrong · 3 it could not be found out.\n\
    leno check tells all that is wrong, leno stat what goes over each edge."
)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
pub(crate) struct Proxies {
    #[command(flatten)]
    pub(crate) context: Context,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno view web            what the proxy in front of web decides by\n  \
    leno view web --diff     in what that differs from what is in force; exit code 1 if it does")]
pub(crate) struct View {
    /// A proxy as leno proxies names it, or a workload: NAME or NAMESPACE/NAME
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Only what differs from what is in force for it
    #[arg(long)]
    pub(crate) diff: bool,

    /// The namespace of a name that states none
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,

    #[command(flatten)]
    pub(crate) context: Context,
}

/// How `leno proxy --joined` listens.
#[derive(Args)]
pub(crate) struct Joined {
    /// Follow the control plane that `leno join` has joined
    #[arg(long, conflicts_with = "static_file")]
    pub(crate) joined: bool,

    /// Join this mesh first, unless that was done: what `leno token list` says of it. Tried until it is let in
    #[arg(long, value_name = "MESH", requires_all = ["joined", "oidc_token"])]
    pub(crate) join: Option<MeshAddress>,

    /// The file with the token that is shown to join, read anew each time
    #[arg(long, value_name = "FILE", requires = "join")]
    pub(crate) oidc_token: Option<PathBuf>,

    /// The folder in which identity and views are kept
    #[arg(long, value_name = "DIR", requires = "joined")]
    pub(crate) state: Option<PathBuf>,

    /// A workload it stands in front of: NAME or NAMESPACE/NAME; repeatable. The first one is
    /// whom the listeners below belong to
    #[arg(long = "workload", value_name = "WORKLOAD", requires = "joined")]
    pub(crate) workloads: Vec<String>,

    /// Where it takes mesh calls
    #[arg(long, value_name = "ADDRESS|PORT", requires = "joined")]
    pub(crate) tunnel: Option<At>,

    /// Where others reach that, the port being the same if none is said; else where it listens
    #[arg(long, value_name = "ADDRESS", requires = "tunnel")]
    pub(crate) advertise: Option<Advertised>,

    /// A service port that is called at an address of its own: cart:80=127.0.0.1:8081; repeatable
    #[arg(
        long = "upstream",
        value_name = "SERVICE:PORT=ADDRESS",
        requires = "workloads"
    )]
    pub(crate) upstreams: Vec<String>,

    /// Where connections arrive that were captured on their way out; a port alone is that of the loopback
    #[arg(long, value_name = "ADDRESS|PORT", requires = "workloads")]
    pub(crate) outbound: Option<At>,

    /// Where connections arrive that were captured on their way in
    #[arg(long, value_name = "ADDRESS|PORT", requires = "workloads")]
    pub(crate) inbound: Option<At>,

    /// Packet rules lead what the first workload sends to --outbound (leno capture): try that again and again, and do
    /// not be ready while it does not hold
    #[arg(long, requires = "outbound")]
    pub(crate) captured: bool,

    /// Where questions about names arrive that were captured, over UDP and TCP; a port alone is that of the
    /// loopback. What is not of the mesh is asked of the servers that /etc/resolv.conf names
    #[arg(long, value_name = "ADDRESS|PORT", requires = "workloads")]
    pub(crate) dns: Option<At>,

    /// Serve the SPIFFE Workload API to applications of this host on this socket: each gets the identity
    /// of the workload whose spec.attestation.processes it meets
    #[arg(long, value_name = "SOCKET", requires = "joined")]
    pub(crate) workload_api: Option<PathBuf>,

    /// Where metrics and readiness are read
    #[arg(long, value_name = "ADDRESS|PORT", requires = "joined")]
    pub(crate) metrics: Option<At>,

    /// Write a line for each call to standard output; a TelemetryPolicy says for which
    #[arg(long, value_name = "FORMAT", requires = "joined")]
    pub(crate) access_log: Option<AccessLog>,

    /// Count, keep and tell nothing of calls, to measure what that costs
    #[arg(long, requires = "joined", conflicts_with_all = ["metrics", "access_log"])]
    pub(crate) blind: bool,
}

/// Who loads the packet rules of a pod that has a proxy in it.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CapturedBy {
    /// A container of the pod
    Pod,
    /// The proxy of its node
    Node,
}

/// How a line of the access log is written.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum AccessLog {
    /// For people
    Text,
    /// For programs
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dashboard_is_on_the_loopback_only() {
        for text in ["7070", "localhost:7070", "127.0.0.1:7070", "[::1]:7070"] {
            assert_eq!(loopback(text), Ok(7070), "{text}");
        }
        for text in ["0.0.0.0:7070", "10.0.0.1:7070", "[::]:7070", "host:7070"] {
            let refused = loopback(text).unwrap_err();
            assert!(refused.contains("ssh -L 7070:localhost:7070"), "{refused}");
        }
        for text in ["", "port", "70700", "localhost", "localhost:"] {
            assert!(loopback(text).is_err(), "{text}");
        }
    }
}
