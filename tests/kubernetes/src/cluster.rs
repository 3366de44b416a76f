//! A cluster: started, asked and ended.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use leno_e2e::{Block, Ended, ended};
use leno_image::Image;
use serde_json::json;

use crate::authority::{Authority, Subject};
use crate::cgroups::Cgroups;
use crate::component::{API_PORT, API_SERVICE, Plan, name_service};
use crate::door::Door;
use crate::families::{Families, before_port};
use crate::host::{self, Host};
use crate::node::Node;
use crate::nodes::Nodes;
use crate::programs::gateway_api;
use crate::runtime::Runtime;
use crate::sandbox::{Kind, Sandbox};
use crate::{Failure, Programs, images};

/// A Kubernetes that runs. When it is dropped, every process, mount, group and file of it is gone.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) programs: Programs,
    kubeconfig: PathBuf,
    families: Families,
    /// Shut before the sandbox ends.
    _door: Option<Door>,
    /// Ends before the one with the API server.
    second: Option<Host>,
    pub(crate) first: Host,
}

/// How much of Kubernetes there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tier {
    /// etcd and API server alone, on a loopback address of the host: for what reads and writes objects, and for webhooks
    /// that a test serves itself.
    Api,
    /// A node with all that runs pods, on a network of its own. Takes root.
    Node,
    /// The same, and a second node on that network, which runs pods alone.
    TwoNodes,
}

impl Cluster {
    /// Starts one and waits until it is ready: an API server that says so, nodes to which pods may be sent.
    pub fn start(tier: Tier) -> Result<Self, Failure> {
        Self::start_with(tier, Nodes::default())
    }

    /// The same with nodes of this kind. An API server alone has the addresses of its host.
    pub fn start_with(tier: Tier, nodes: impl Into<Nodes>) -> Result<Self, Failure> {
        let Nodes { families, runtime } = nodes.into();
        check_host(tier, runtime)?;
        let programs = Programs::make(runtime)?;
        let block = Block::claim();
        let address = block.ip("api").to_string();
        let url = format!("https://{address}:{API_PORT}");
        let pki = block.folder().join("pki");
        let kubeconfig = introduce(&pki, &address, &url, families)?;
        let kubectl = format!(
            "#!/bin/sh\nexec '{}' kubectl \"$@\"\n",
            programs.kube.display()
        );
        write(&block.folder().join("bin/kubectl"), &kubectl)?;
        let plan = Plan {
            programs: &programs,
            pki: &pki,
            folder: block.folder(),
            address: &address,
            node: Node::First,
            families,
        };
        let kind = match tier {
            Tier::Api => Kind::Processes,
            Tier::Node | Tier::TwoNodes => {
                host::lay_out(&plan)?;
                Kind::Node(Node::First)
            }
        };
        let mut sandbox = Sandbox::start(&programs.own, kind, block.folder())?;
        sandbox.run(&plan.etcd())?;
        let door = match tier {
            Tier::Api => {
                sandbox.run(&plan.lone_api_server())?;
                None
            }
            Tier::Node | Tier::TwoNodes => {
                host::address(&sandbox, Node::First, families)?;
                sandbox.run(&plan.engine().component(plan.folder))?;
                sandbox.run(&plan.node_api_server())?;
                let address = SocketAddr::new(block.ip("api").into(), API_PORT);
                Some(Door::open(address, sandbox.first())?)
            }
        };
        sandbox.until("kube-apiserver", "the API server is ready", || {
            is_ready(&pki, &url)
        })?;
        if tier != Tier::Api {
            for component in [
                plan.controllers(),
                plan.scheduler(),
                plan.proxy(),
                plan.kubelet(),
                plan.names(),
            ] {
                sandbox.run(&component)?;
            }
        }
        let mut cluster = Self {
            programs,
            kubeconfig,
            families,
            _door: door,
            second: None,
            first: Host { sandbox, block },
        };
        if tier != Tier::Api {
            for image in images::of_every_node(&cluster.programs.pod)? {
                cluster.import(&image)?;
            }
            cluster.apply(&name_service(families))?;
            cluster.until_pods_may_come()?;
        }
        if tier == Tier::TwoNodes {
            cluster.add_second()?;
        }
        Ok(cluster)
    }

    /// Adds the second node.
    fn add_second(&mut self) -> Result<(), Failure> {
        let block = Block::claim();
        let pki = self.folder().join("pki");
        let plan = Plan::of_second(&self.programs, &pki, block.folder(), self.families);
        host::lay_out(&plan)?;
        let kind = Kind::Node(Node::Second);
        let sandbox = Sandbox::start(&self.programs.own, kind, block.folder())?;
        self.second = Some(Host { sandbox, block });
        self.run_second()?;
        self.assign(Node::Second)?;
        for image in images::of_every_node(&self.programs.pod)? {
            let mut second = self.second.iter();
            second.try_for_each(|host| host.import(&self.programs.engine, &image))?;
        }
        Ok(())
    }

    /// Lets the second node lose its power: all that ran there has ended without a word, and its disk holds what it held. It
    /// stays so until [`Self::start_second`].
    pub fn cut_second(&mut self) -> Result<(), Failure> {
        let Some(second) = &mut self.second else {
            return Ok(());
        };
        // What is killed closes its connections, and nobody is to hear of it.
        host::unwire(&self.first.sandbox)?;
        second.sandbox.restart()
    }

    /// Starts the second node again; returns when the API server has been told so, and counts on it.
    pub fn start_second(&mut self) -> Result<(), Failure> {
        let before = self.boot(Node::Second)?;
        self.run_second()?;
        let another = || self.boot(Node::Second).ok().filter(|boot| *boot != before);
        self.until("the node has told that it started again", another)?;
        self.until("the second node is ready", || self.is_ready(Node::Second))
    }

    /// Wires the second node to the first, and starts what runs there.
    fn run_second(&mut self) -> Result<(), Failure> {
        let pki = self.folder().join("pki");
        if let Some(second) = &mut self.second {
            host::address(&second.sandbox, Node::Second, self.families)?;
            host::wire(&self.first.sandbox, &second.sandbox, self.families)?;
            let folder = second.block.folder().to_owned();
            let plan = Plan::of_second(&self.programs, &pki, &folder, self.families);
            second.run(&plan)?;
        }
        self.until("the second node is ready", || self.is_ready(Node::Second))
    }

    /// Makes an image known to every node: pods that name it and may use what is there (`imagePullPolicy: IfNotPresent`, or
    /// a tag that is not `latest`) need no registry.
    pub fn import(&self, image: &Image) -> Result<(), Failure> {
        self.hosts()
            .try_for_each(|host| host.import(&self.programs.engine, image))
    }

    /// What a client reads to reach the API server as an administrator, from this host.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The folder of the cluster; the logs of its components are in `logs`.
    pub fn folder(&self) -> &Path {
        self.first.block.folder()
    }

    /// The folders of its nodes, the first of which is that of the cluster; the logs of what runs there are in `logs`.
    pub fn folders(&self) -> Vec<PathBuf> {
        let folders = self.hosts().map(|host| host.block.folder().to_owned());
        folders.collect()
    }

    fn hosts(&self) -> impl Iterator<Item = &Host> {
        std::iter::once(&self.first).chain(&self.second)
    }

    /// A program that acts as an administrator of this cluster, and finds a `kubectl` of its version.
    #[expect(clippy::disallowed_methods, reason = "programs are found by PATH")]
    pub fn command(&self, program: &str) -> Command {
        let own = self.folder().join("bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(own).chain(std::env::split_paths(&path));
        let mut command = Command::new(program);
        // No folder on a `PATH` has a colon in its name.
        command.env(
            "PATH",
            std::env::join_paths(folders).unwrap_or(path.clone()),
        );
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// What `kubectl` says with these arguments.
    pub fn ask(&self, arguments: &[&str]) -> Result<String, Failure> {
        said(self.command("kubectl").args(arguments))
    }

    /// Fails if a component has ended: none should before the cluster does.
    pub fn check(&self) -> Result<(), Failure> {
        self.hosts().try_for_each(|host| host.sandbox.check())
    }

    /// Makes or changes the objects of these documents, YAML.
    pub fn apply(&self, documents: &str) -> Result<String, Failure> {
        let file = self.folder().join("applied.yaml");
        write(&file, documents)?;
        let file = file.display().to_string();
        self.ask(&["apply", "--server-side", "-f", &file])
    }

    /// Lets it have the kinds of Gateway API and of Leno.
    pub fn define_all(&self) -> Result<(), Failure> {
        self.define_gateway_api()?;
        self.define(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kubernetes/crds.yaml"),
        )
    }

    /// Lets it have the kinds of Gateway API.
    pub fn define_gateway_api(&self) -> Result<(), Failure> {
        self.define(&gateway_api()?)
    }

    /// Lets it have the kinds that are defined in a file or folder.
    pub(crate) fn define(&self, place: &Path) -> Result<(), Failure> {
        let place = place.display().to_string();
        let applied = self.ask(&["apply", "--server-side", "-f", &place, "-o", "name"])?;
        let kinds = applied
            .lines()
            .filter(|name| name.starts_with("customresourcedefinition"));
        let kinds: Vec<_> = kinds.collect();
        let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
        self.ask(&[&wait[..], &kinds].concat()).map(drop)
    }

    /// Waits until `ask` has an answer; `what` it is tells whoever waits in vain. No component may end meanwhile.
    pub fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T, Failure> {
        let sandbox = &self.first.sandbox;
        sandbox.until("kube-controller-manager", what, || match self.check() {
            Ok(()) => ask().map(Ok),
            Err(ended) => Some(Err(ended)),
        })?
    }

    /// A program that runs where the cluster does: on the first node's network, among its processes and mounts.
    pub fn inside(&self, program: impl AsRef<Path>) -> Command {
        self.first.sandbox.enter(program.as_ref())
    }

    /// The same on the second node, if there is one.
    pub fn inside_second(&self, program: impl AsRef<Path>) -> Option<Command> {
        let second = self.second.as_ref()?;
        Some(second.sandbox.enter(program.as_ref()))
    }

    fn until_pods_may_come(&self) -> Result<(), Failure> {
        let sandbox = &self.first.sandbox;
        sandbox.until("kubelet", "the node is ready", || {
            self.is_ready(Node::First)
        })?;
        self.assign(Node::First)?;
        self.until("the default service account is there", || {
            self.ask(&["get", "serviceaccount", "default"]).ok()
        })?;
        Ok(())
    }

    /// Says of a node which addresses its pods have, in the place of a controller: which block that would give to which node
    /// is chance, and the network of each is laid out before.
    fn assign(&self, node: Node) -> Result<(), Failure> {
        let blocks = self.families.of(node.pods(), node.pods6());
        let blocks = json!({"spec": {"podCIDR": blocks.first(), "podCIDRs": blocks}});
        let patch = blocks.to_string();
        self.ask(&["patch", "node", node.name(), "-p", &patch])?;
        Ok(())
    }

    /// Since when a node runs, as a name of that.
    fn boot(&self, node: Node) -> Result<String, Failure> {
        let boot = "jsonpath={.status.nodeInfo.bootID}";
        self.ask(&["get", "node", node.name(), "-o", boot])
    }

    /// Whether a node says that pods may come.
    fn is_ready(&self, node: Node) -> Option<()> {
        let ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
        let said = self.ask(&["get", "node", node.name(), "-o", ready]).ok()?;
        (said == "True").then_some(())
    }
}

/// Says what this host lacks for a cluster.
fn check_host(tier: Tier, runtime: Runtime) -> Result<(), Failure> {
    let programs: &[&str] = match tier {
        Tier::Api => &["curl", "etcd", "setpriv", "unshare"],
        Tier::Node | Tier::TwoNodes => &[
            "conntrack",
            "curl",
            "etcd",
            "ip",
            "nft",
            "nsenter",
            "runc",
            "setpriv",
            "socat",
            "unshare",
        ],
    };
    let of_runtime = match tier {
        Tier::Api => &[],
        Tier::Node | Tier::TwoNodes => runtime.programs(),
    };
    for program in programs.iter().chain(of_runtime) {
        let folders = [
            "/usr/local/sbin",
            "/usr/local/bin",
            "/usr/sbin",
            "/usr/bin",
            "/sbin",
            "/bin",
        ];
        if !folders
            .iter()
            .any(|folder| Path::new(folder).join(program).is_file())
        {
            return Err(Failure::Missing {
                what: (*program).to_owned(),
                remedy: "`cargo xtask kubernetes` installs what is needed",
            });
        }
    }
    let missing = |what: &str, remedy| Failure::Missing {
        what: what.to_owned(),
        remedy,
    };
    if tier != Tier::Api && !Cgroups::are_known_here() {
        let remedy = "a node is built for hosts that have it; the API server alone runs everywhere";
        return Err(missing("version 1 of control groups", remedy));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(missing("the rights of root", "start it as root"));
    }
    Ok(())
}

/// Makes the certificates of everybody in `folder`; how an administrator reaches the API server at `url`.
fn introduce(
    folder: &Path,
    address: &str,
    url: &str,
    families: Families,
) -> Result<PathBuf, Failure> {
    let authority = Authority::establish(folder.to_owned())?;
    authority.signer("tokens")?;
    let [service, service6] = API_SERVICE;
    authority.certify(&Subject {
        file: "api",
        user: "kube-apiserver",
        group: None,
        called: &[
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            "127.0.0.1",
            address,
            service,
            service6,
            Node::First.ip(),
            Node::First.ip6(),
        ],
    })?;
    let masters = Some("system:masters");
    let user = |file, user, group| Subject {
        file,
        user,
        group,
        called: &[],
    };
    authority.certify(&user("kubelets", "kube-apiserver", masters))?;
    for (file, name) in [
        ("controllers", "system:kube-controller-manager"),
        ("scheduler", "system:kube-scheduler"),
    ] {
        authority.introduce(&user(file, name, None), url)?;
    }
    // Those of a node ask at an address that every node reaches.
    let first = before_port(Node::First.first_ip(families));
    let url_of_nodes = format!("https://{first}:{API_PORT}");
    authority.introduce(&user("proxy", "system:kube-proxy", None), &url_of_nodes)?;
    for node in Node::ALL {
        let kubelet = Subject {
            file: &format!("kubelet-{}", node.name()),
            user: &format!("system:node:{}", node.name()),
            group: Some("system:nodes"),
            called: &[node.name(), node.ip(), node.ip6()],
        };
        authority.introduce(&kubelet, &url_of_nodes)?;
    }
    authority.introduce(&user("admin", "admin", masters), url)
}

/// Whether the API server says that it is ready.
fn is_ready(pki: &Path, url: &str) -> Option<()> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--max-time", "5"]);
    for (option, file) in [
        ("--cacert", "ca.pem"),
        ("--cert", "admin.pem"),
        ("--key", "admin.key"),
    ] {
        curl.arg(option).arg(pki.join(file));
    }
    let answered = curl
        .arg(format!("{url}/readyz"))
        .stdin(Stdio::null())
        .output();
    answered
        .is_ok_and(|answer| answer.status.success())
        .then_some(())
}

/// Runs a command to its end and gives what it printed.
pub(crate) fn said(command: &mut Command) -> Result<String, Failure> {
    let ended = ended(command.stdin(Stdio::null()));
    said_by(command, ended)
}

/// What a command has said that has ended, if it did; fails if it failed.
pub(crate) fn said_by(command: &Command, ended: Option<Ended>) -> Result<String, Failure> {
    let line = format!("{command:?}");
    let failed = |status: &str, said: String| Failure::Command {
        command: line.clone(),
        status: status.to_owned(),
        said,
    };
    let ended = ended.ok_or_else(|| failed("it does not end", String::new()))?;
    if ended.status.success() {
        return Ok(ended.out);
    }
    Err(failed(&ended.status.to_string(), ended.err))
}

/// Writes a file, and makes the folders above it. A script may be run.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let parent = path.parent().unwrap_or(path);
    let mut written = fs::create_dir_all(parent).and_then(|()| fs::write(path, text));
    if text.starts_with("#!") {
        written = written.and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)));
    }
    written.map_err(Failure::of(path.display().to_string()))
}
