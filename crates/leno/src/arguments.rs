//! The command line, as clap reads it.

pub(crate) mod at;
pub(crate) mod capture;
pub(crate) mod change;
pub(crate) mod cluster;
pub(crate) mod fleet;
mod groups;
pub(crate) mod node;
pub(crate) mod trust;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use leno_admin::Which;
use leno_model::Code;

pub(crate) use self::groups::command;
use crate::demo::Face;
use crate::up::Pin;

/// A service mesh that explains itself.
#[derive(Parser)]
#[command(
    name = "leno",
    version,
    about = "A service mesh that explains itself",
    after_help = "Exit codes: 0 fine · 1 the answer is bad · 2 usage · 3 it could not be found out",
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Is the mesh well, or this folder valid? Problems first, with what is in force meanwhile.
    Check(Check),
    /// Why would this call go where it goes? Every step of the decision, through both proxies.
    Why(Why),
    /// Does the configuration do what the tests beside it say?
    Test(Test),
    /// What does this code or field mean, and what can I do?
    Explain(Explain),
    /// Whom does the mesh trust, and until when? Renew, rotate, revoke, let in again
    Certs(Certs),
    /// Lead what goes in and out of this network namespace through the proxy in it
    Capture(capture::Capture),
    /// Run a proxy
    Proxy(Box<Proxy>),
    /// Run this folder's processes as a mesh
    Up(Up),
    /// Write leno.yaml from the Procfile
    Init(Init),
    /// End the mesh that is up here
    Down(Down),
    /// Run one program, joined to the mesh that is up here or to one of its own
    Run(Run),
    /// What runs in the mesh that is up here?
    Ps(Ps),
    /// What have its workloads said?
    Logs(Logs),
    /// End workloads and start them again
    Restart(Restart),
    /// Make a request as a workload would
    Curl(Curl),
    /// What goes over each edge: rates, failures, latencies, mTLS
    Stat(Stat),
    /// What goes on at this moment: a live table, with keys to sort, filter and look closer
    Top(Top),
    /// Calls as they happen
    Tap(Tap),
    /// Does this call get through? Really made, each step timed
    Probe(Probe),
    /// What a maintainer needs to know, in one file without secrets
    Bundle(Bundle),
    /// A small shop as a mesh: real services, live traffic, a canary under way
    Demo(Demo),
    #[command(flatten)]
    Fleet(fleet::Fleet),
    /// Put a control plane into a cluster of Kubernetes: looks, shows, asks, applies, waits
    Install(Box<cluster::Install>),
    /// What would another Leno make of the mesh that runs? Looked at before an upgrade
    Upgrade(fleet::Upgrade),
    /// Take Leno out of a cluster of Kubernetes: shows, asks, and leaves nothing
    Uninstall(cluster::Uninstall),
    /// Leave this node of a cluster as it was before its proxy came
    NodeRemove(cluster::NodeRemove),
    /// Which Leno is this?
    Version,
    /// What a shell needs to complete these commands
    Completion(Completion),
    /// Hand a question from standard input, a line of JSON, to the control plane of this host
    #[command(hide = true)]
    Relay,
    /// Be a program of the demo's shop
    #[command(hide = true)]
    Shop(Shop),
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    source <(leno completion bash)                                    for this shell\n  \
    leno completion bash > /etc/bash_completion.d/leno                for all of them\n  \
    leno completion fish > ~/.config/fish/completions/leno.fish")]
pub(crate) struct Completion {
    /// Which shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Where objects come from.
#[derive(Args)]
pub(crate) struct Input {
    /// A file, a folder with everything below it, or - for standard input; repeatable
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR|-", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// The namespace of names and objects that state none
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,
}

/// What is looked at: files, or the mesh that runs.
#[derive(Args)]
pub(crate) struct Subject {
    /// A file, a folder with everything below it, or - for standard input; repeatable. Without it,
    /// the mesh that runs is asked
    #[arg(
        short = 'f',
        long = "file",
        value_name = "FILE|DIR|-",
        conflicts_with = "context"
    )]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) context: fleet::Context,
}

impl Subject {
    /// The files, if some are named; the names and objects in them that state no namespace get
    /// `namespace`.
    pub(crate) fn input(&self, namespace: &str) -> Option<Input> {
        (!self.files.is_empty()).then(|| Input {
            files: self.files.clone(),
            namespace: namespace.to_owned(),
        })
    }
}

/// How an answer is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno check              the mesh that runs: configuration, proxies, certificates\n  \
    leno check -f mesh/     a folder, before it is applied\n  \
    leno check --pre        a cluster, before leno install and before its namespaces take part")]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) subject: Subject,

    /// Can Leno be put into a cluster of Kubernetes, and what of it stands in the way of proxies?
    #[arg(long, conflicts_with_all = ["files", "context", "output", "namespace"])]
    pub(crate) pre: bool,

    /// The kubeconfig by which that cluster is asked; else $KUBECONFIG, else ~/.kube/config
    #[arg(long, value_name = "FILE", requires = "pre")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Which context of the kubeconfig; else its current one
    #[arg(long, value_name = "NAME", requires = "pre")]
    pub(crate) kube_context: Option<String>,

    /// Also with a proxy on each node
    #[arg(long, requires = "pre")]
    pub(crate) node: bool,

    /// One of this name, beside the default control plane
    #[arg(long, value_name = "NAME", requires = "pre", value_parser = cluster::control_name)]
    pub(crate) name: Option<leno_model::ControlName>,

    /// The namespace of objects that state none; of the mesh that runs, only what is about this one
    #[arg(short = 'n', long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,

    /// Also show what is merely worth knowing, and what is well
    #[arg(short = 'v', long)]
    pub(crate) verbose: bool,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno why 7c1e4b02                           a call that happened: leno tap --last 20 lists some\n  \
    leno why web http://cart:8080/items -X POST -H 'x-user: 7'\n  \
    leno why web grpc://cart:9090/shop.Cart/Get\n  \
    leno why web tcp://redis:6379               or tls://db:5433/orders.example, with the server's name\n  \
    leno why outside http://cart:8080/\n  \
    leno why shop/checkout --since 30m          why calls from or to it fail\n  \
    leno why -f mesh/ web http://cart:8080/     as a folder would have it")]
pub(crate) struct Why {
    #[command(flatten)]
    pub(crate) subject: Subject,

    /// The namespace of names and objects that state none
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,

    /// The id of a call that happened, or its first digits; with --since a service; else who calls: a
    /// workload (`web`, `shop/web`), or `outside` for a caller without a proxy
    #[arg(value_name = "ID|SERVICE|SOURCE")]
    pub(crate) source: String,

    /// Why calls from or to the service failed, of so long ago until this moment
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with_all = ["url", "files"])]
    pub(crate) since: Option<Duration>,

    /// What is called: `http://HOST[:PORT]/PATH`, `grpc://HOST:PORT/SERVICE/METHOD`, `tcp://HOST:PORT` or
    /// `tls://HOST:PORT[/SERVER-NAME]`
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,

    /// The request's method
    #[arg(
        short = 'X',
        long = "request",
        value_name = "METHOD",
        default_value = "GET"
    )]
    pub(crate) method: String,

    /// A header of the request; repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,

    /// A claim of its token, which is taken for one that is accepted and says nothing else; repeatable.
    /// VALUE is text, or JSON: 3, true, ["a", "b"]; NAME may be a JSON pointer: /realm/roles
    #[arg(long = "claim", value_name = "NAME=VALUE", requires = "url")]
    pub(crate) claims: Vec<String>,
}

#[derive(Args)]
#[command(after_help = "Tests are files named *.test.yaml. Example of one:\n  \
    - name: beta users get v2\n    \
      from: web\n    \
      request: GET http://cart:8080/items\n    \
      headers: {x-user: beta}\n    \
      expect: {backends: {cart-v2: 100}, policy: cart rule 1}\n\n\
All that can be said and expected: docs/reference/tests.md")]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) input: Input,

    /// Also show the tests that pass
    #[arg(short = 'v', long)]
    pub(crate) verbose: bool,
}

#[derive(Args)]
#[command(after_help = "Examples: leno explain R003 · leno explain HTTPRoute.rules.matches")]
pub(crate) struct Explain {
    /// A code (`R003`), its words (`no-allow-rule`), a kind or a field (`Kind.field`); without one, all
    /// codes and kinds are listed
    #[arg(value_name = "CODE|KIND.FIELD")]
    pub(crate) what: Option<String>,
}

#[derive(Args)]
#[command(after_help = "Example: leno proxy --static web.yaml\n\n\
    The file names the objects, the workloads the proxy stands in front of, their keys, and where it\n\
    listens; docs/reference/static-proxy.md has all of its fields.")]
pub(crate) struct Proxy {
    /// Run from files alone, without a control plane
    #[arg(
        long = "static",
        value_name = "FILE",
        required_unless_present = "joined"
    )]
    pub(crate) static_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) joined: fleet::Joined,

    #[command(flatten)]
    pub(crate) node: node::Node,

    /// The namespace of names and objects that state none
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,

    /// Take the place of the process of this proxy that runs, without a gap: it passes on the sockets
    /// that it listens on and the plain connections on which nothing is under way, and ends the others
    /// in peace. Where none runs, just start
    #[arg(long)]
    pub(crate) take_over: bool,

    #[command(flatten)]
    pub(crate) limits: Limits,

    #[command(flatten)]
    pub(crate) ending: Ending,
}

/// How much there may be in a proxy of what others can make grow. `leno_limits_total` says which of
/// these bit, and how often.
#[derive(Args)]
pub(crate) struct Limits {
    /// Connections, and streams in tunnels, that live at once; as many as its files allow, if nothing
    /// is said. Further ones are refused with R040
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: Option<u32>,

    /// Connections from one peer, by its proven identity, else its address; half of all, if nothing is
    /// said. Further ones are refused with R050
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections_of_peer: Option<u32>,

    /// Bytes in buffers, in MiB; 256 if nothing is said. When they are spent reading stops, and new
    /// connections are refused with R051
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) buffered_mib: Option<u32>,

    /// For how long a caller may take nothing of its answer, or a server nothing of a request, such as
    /// 90s or 10m; 5m if nothing is said. Then the call is ended, with R053 or R054
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) stalled: Option<Duration>,
}

/// How a proxy ends once it is told to: by SIGTERM, SIGINT or `leno leave`. Told twice, it ends at once.
#[derive(Args)]
pub(crate) struct Ending {
    /// Once told to end, take calls for so long as before, and answer 503 to who asks whether it is
    /// ready: as long as others need to notice; 0s if nothing is said
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) lame_duck: Option<Duration>,

    /// How long calls and streams may go on after that; 30s if nothing is said. What is left then is
    /// cut with R041, and told by name
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) drain: Option<Duration>,
}

#[derive(Args)]
pub(crate) struct Certs {
    #[command(subcommand)]
    pub(crate) command: CertsCommand,
}

#[derive(Subcommand)]
pub(crate) enum CertsCommand {
    /// Issue certificates for proxies that run from files alone, by an authority in a folder
    Issue(Issue),
    #[command(flatten)]
    Mesh(trust::Certificates),
}

#[derive(Args)]
#[command(
    after_help = "Example: leno certs issue --trust-domain shop.local --into certs shop/web shop/cart"
)]
pub(crate) struct Issue {
    /// Whose certificates they are: NAMESPACE/SERVICE-ACCOUNT
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,

    /// The trust domain
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) trust_domain: String,

    /// The folder of the authority and what it issues; an authority is established if there is none
    #[arg(long, value_name = "DIR")]
    pub(crate) into: PathBuf,

    /// How long the certificates stand, in seconds; a day, if nothing is said
    #[arg(long, value_name = "SECONDS")]
    pub(crate) lifetime: Option<u64>,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno stat                               what goes to each service, of late\n  \
    leno stat --edges                       who calls whom\n  \
    leno stat cart --routes --since 2h      the rules that took what went to cart\n  \
    leno stat cart --requests --since 24h   what was asked of it, identifiers folded\n\n\
    Figures are kept for eight days: by 10 seconds, then by minutes, then by hours.")]
pub(crate) struct Stat {
    /// Only what goes from or to this service: NAME or NAMESPACE/NAME
    #[arg(value_name = "SERVICE")]
    pub(crate) service: Option<String>,

    /// The namespace of a name that states none
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,

    /// Of how long ago until this moment
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    pub(crate) since: Duration,

    /// A row for each edge: who calls, and what is called
    #[arg(long)]
    pub(crate) edges: bool,

    /// A row for each rule of a route, and one for what no rule took
    #[arg(long, conflicts_with = "edges")]
    pub(crate) routes: bool,

    /// A row for each request of an edge: GET /items/{id}
    #[arg(long, conflicts_with_all = ["edges", "routes"])]
    pub(crate) requests: bool,

    #[command(flatten)]
    pub(crate) context: fleet::Context,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno tap cart --failed                  calls that fail, as they happen\n  \
    leno tap --last 20 --status 5xx         those that are kept of calls that are over\n  \
    leno tap --from web --path /items       one edge, one part of a service\n\n\
    Each proxy filters its own calls and shows as many a second as --limit says; what is not shown is\n\
    counted. Without a control plane the proxies of this host are asked. -o json prints a line of JSON\n\
    for each call: docs/reference/tap.md has its fields.")]
pub(crate) struct Tap {
    /// Only calls from or to this one: NAME or NAMESPACE/NAME
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,

    /// The namespace of names that state none
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,

    /// Only calls that failed
    #[arg(long)]
    pub(crate) failed: bool,

    /// Only calls from this one
    #[arg(long, value_name = "TARGET")]
    pub(crate) from: Option<String>,

    /// Only calls to this one
    #[arg(long, value_name = "TARGET")]
    pub(crate) to: Option<String>,

    /// Only requests with this method
    #[arg(long, value_name = "METHOD")]
    pub(crate) method: Option<String>,

    /// Only requests to paths that begin so
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,

    /// Only requests that were answered so: `503`, or `5xx` for all of that kind
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub(crate) status: Option<(u16, u16)>,

    /// Only calls that a proxy refused or cut short for this reason: `R003`, or `no-allow-rule`
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<Code>,

    /// The last so many that are kept of calls that are over: what failed, the slowest, a sample
    #[arg(long, value_name = "NUMBER", conflicts_with = "count")]
    pub(crate) last: Option<u32>,

    /// End after so many
    #[arg(long, value_name = "NUMBER")]
    pub(crate) count: Option<usize>,

    /// At most so many a second of each proxy
    #[arg(long, value_name = "NUMBER", default_value_t = Which::LIMIT, conflicts_with = "last")]
    pub(crate) limit: u32,

    #[command(flatten)]
    pub(crate) context: fleet::Context,
}

#[derive(Args)]
#[command(
    after_help = "Keys: r e l n sort by rate, errors, latency, name · s services or edges · / filter by name\n  \
    arrows or j k choose a row · Enter or w why its newest failed call failed · t its calls as they\n  \
    happen · Esc or q back\n\n\
    Example: leno top --once"
)]
pub(crate) struct Top {
    /// A row for each service, instead of one for each edge
    #[arg(long)]
    pub(crate) services: bool,

    /// Print the table one time; so it is where the output is no terminal
    #[arg(long)]
    pub(crate) once: bool,

    #[command(flatten)]
    pub(crate) context: fleet::Context,
}

#[derive(Args)]
#[command(after_help = "Example: leno bundle --to shop.tar.gz\n\n\
    Inside are versions, limits, status, findings, certificates without keys, history, proxies, what\n\
    went over each edge, calls that failed of late, and the end of Leno's own log. Keys, tokens, headers,\n\
    query strings, paths and what objects say are left out; README.txt in it lists both.")]
pub(crate) struct Bundle {
    /// Where it is written: NAME.tar.gz, or a folder; leno-bundle.tar.gz, if nothing is said
    #[arg(long, value_name = "PATH")]
    pub(crate) to: Option<PathBuf>,

    /// The control plane's socket; else $LENO_CONTEXT, else the mesh that is up in this folder,
    /// else this machine's
    #[arg(long, value_name = "SOCKET")]
    pub(crate) context: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    leno probe web cart:8080\n  \
    leno probe web http://cart/items -H 'x-user: 7'\n  \
    leno probe web tcp://redis:6379\n\n\
    In a mesh that is up here the call is made in an enclosure like the workload's: its names, its\n\
    capture. Elsewhere its proxy makes it, so that names and capture are not tried. TCP and TLS are\n\
    tried by a connection of their own. Exit code 1 if a step failed, 3 if nothing could be tried.")]
pub(crate) struct Probe {
    /// Who calls: a workload, NAME or NAMESPACE/NAME
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,

    /// What is called: `HOST:PORT` or `http://HOST[:PORT]/PATH` by a request, `tcp://HOST:PORT` by a
    /// connection alone
    #[arg(value_name = "TARGET", value_parser = probed)]
    pub(crate) target: String,

    /// The request's method
    #[arg(
        short = 'X',
        long = "request",
        value_name = "METHOD",
        default_value = "GET"
    )]
    pub(crate) method: String,

    /// A header of the request; repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,

    /// The namespace of names that state none
    #[arg(short = 'n', long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) namespace: String,

    /// Make the call from where this process is
    #[arg(long, hide = true)]
    pub(crate) here: bool,

    #[command(flatten)]
    pub(crate) context: fleet::Context,
}

#[derive(Args)]
#[command(after_help = "Example: leno demo\n\n\
    The story names a folder whose leno.yaml may be changed while the demo runs.")]
pub(crate) struct Demo {
    /// End by itself after so long (`90s`, `5m`); exit code 1 if no call was carried over mTLS
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) limit: Option<Duration>,
}

/// What a probe can call.
fn probed(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some(("http", _)) | None => Ok(text.to_owned()),
        Some(("tcp", rest)) if rest.contains(':') => Ok(text.to_owned()),
        Some(("tcp", _)) => Err("which port? tcp://HOST:PORT".to_owned()),
        Some((scheme, _)) => Err(format!("{scheme}:// is not tried, only http:// and tcp://")),
    }
}

/// A status, or all that begin with one digit: the first and the last of them.
fn status(text: &str) -> Result<(u16, u16), String> {
    let read = match text.strip_suffix("xx") {
        Some(kind) => kind.parse().ok().map(|kind: u8| {
            let first = 100 * u16::from(kind);
            (first, first + 99)
        }),
        None => text.parse().ok().map(|status| (status, status)),
    };
    let known = read.filter(|(first, last)| *first >= 100 && *last <= 599);
    known.ok_or_else(|| "a status like 503, or 5xx, is expected".to_owned())
}

/// A time as people write it: a number with its unit.
fn time(text: &str) -> Result<Duration, String> {
    let units = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    let read = units.iter().find_map(|(unit, millis)| {
        let number = text.strip_suffix(unit)?.parse::<u32>().ok()?;
        Some(Duration::from_millis(u64::from(number) * millis))
    });
    read.ok_or_else(|| "a number and ms, s, m, h or d is expected".to_owned())
}

#[derive(Args)]
pub(crate) struct Shop {
    /// Which program
    #[arg(value_name = "PROGRAM", value_enum)]
    pub(crate) face: Face,
}

/// How calls come into the mesh where nothing can be captured.
#[derive(Args)]
pub(crate) struct Explicit {
    /// Capture nothing: programs find http_proxy, CART_URL, CART_SERVICE_PORT .. in their environment
    #[arg(long)]
    pub(crate) explicit: bool,

    /// With --explicit, this port of this machine for calls to a service; repeatable. In leno up, a
    /// caller may be named: web:cart=18081
    #[arg(long, value_name = "SERVICE=PORT", value_parser = Pin::read, requires = "explicit")]
    pub(crate) upstream: Vec<Pin>,
}

#[derive(Args)]
#[command(after_help = "Reads leno.yaml, else the Procfile. Example:\n  \
    printf 'web: ./web\\ncart: ./cart\\n' > Procfile && leno up")]
pub(crate) struct Up {
    /// Keep running without a terminal, until leno down
    #[arg(short = 'd', long)]
    pub(crate) detach: bool,

    /// The port of the page, and of services by name; 7070 if it is free, if nothing is said
    #[arg(long, value_name = "PORT", value_parser = fleet::loopback)]
    pub(crate) dashboard: Option<u16>,

    /// Where metrics are read: 127.0.0.1:15020
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,

    #[command(flatten)]
    pub(crate) way: Explicit,

    /// Say nothing more once all is said about the start
    #[arg(long, hide = true)]
    pub(crate) then_silent: bool,
}

#[derive(Args)]
pub(crate) struct Init {}

#[derive(Args)]
pub(crate) struct Down {
    /// Also forget its keys, addresses and logs
    #[arg(long)]
    pub(crate) wipe: bool,
}

#[derive(Args)]
#[command(after_help = "Example: leno run --name web -p 3000:8080 -- ./web --verbose")]
pub(crate) struct Run {
    /// What it is called in the mesh; its file's name, if nothing is said
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// A port on this machine and the one it means inside; repeatable
    #[arg(short = 'p', long, value_name = "HERE:INSIDE", value_parser = ports)]
    pub(crate) publish: Vec<(u16, u16)>,

    #[command(flatten)]
    pub(crate) way: Explicit,

    /// The program and its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[derive(Args)]
pub(crate) struct Ps {}

#[derive(Args)]
pub(crate) struct Logs {
    /// Whose; all, if nobody is named
    #[arg(value_name = "WORKLOAD")]
    pub(crate) names: Vec<String>,

    /// Go on with what they say next
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
}

#[derive(Args)]
pub(crate) struct Restart {
    /// Which
    #[arg(value_name = "WORKLOAD", required = true)]
    pub(crate) names: Vec<String>,
}

#[derive(Args)]
#[command(after_help = "Example: leno curl web http://cart:8081/items -i")]
pub(crate) struct Curl {
    /// As whom
    #[arg(value_name = "WORKLOAD")]
    pub(crate) source: String,

    /// What
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// The request's method
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub(crate) method: Option<String>,

    /// A header of the request; repeatable
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,

    /// The request's body
    #[arg(short = 'd', long = "data", value_name = "TEXT")]
    pub(crate) data: Option<String>,

    /// Also show the answer's head
    #[arg(short = 'i', long)]
    pub(crate) include: bool,

    /// Make the request from where this process is
    #[arg(long, hide = true)]
    pub(crate) here: bool,
}

/// `3000:8080`, or `3000` for both.
fn ports(text: &str) -> Result<(u16, u16), String> {
    let (here, inside) = text.split_once(':').unwrap_or((text, text));
    let port = |text: &str| match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is not a port")),
        Ok(port) => Ok(port),
    };
    Ok((port(here)?, port(inside)?))
}
