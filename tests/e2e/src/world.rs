//! A mesh on loopback addresses of its own.

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::block::Block;
use crate::client::Client;
use crate::process::{Process, run};

/// A folder with the objects of a mesh, and a block of addresses, one for each name in it.
#[derive(Debug)]
pub struct World {
    block: Block,
    objects: String,
    /// The workloads that have a proxy.
    proxied: Vec<String>,
    /// What is started as `leno`.
    leno: Cell<&'static Path>,
}

/// Where proxies take tunnels.
const TUNNEL: u16 = 15008;

impl World {
    /// An empty mesh; `settings` are the fields of `Mesh.spec` beside the trust domain.
    pub fn new(settings: &str) -> Self {
        let objects = format!(
            "kind: Mesh\napiVersion: leno.dev/v1alpha1\nmetadata: {{name: shop}}\n\
             spec: {{trustDomain: shop.local, {settings}}}\n"
        );
        Self {
            block: Block::claim(),
            objects,
            proxied: Vec::new(),
            leno: Cell::new(binary()),
        }
    }

    /// Starts this program in the place of `leno` from here on.
    pub fn take(&self, program: &'static Path) {
        self.leno.set(program);
    }

    /// A strict mesh of `web`, which calls, and `cart`, which takes HTTP on 8080 and bytes on 6379
    /// from everybody of the mesh.
    pub fn pair() -> Self {
        Self::new("mtls: Strict, default: Deny")
            .workload("web", "")
            .workload(
                "cart",
                "{port: 8080, protocol: HTTP}, {port: 6379, protocol: TCP}",
            )
            .objects(
                "kind: AccessPolicy\napiVersion: leno.dev/v1alpha1\n\
                 metadata: {name: all, namespace: shop}\n\
                 spec: {rules: [{callers: [{namespace: shop}]}]}\n",
            )
    }

    /// With a workload that has a proxy, on an address of its own.
    pub fn workload(mut self, name: &str, ports: &str) -> Self {
        self.proxied.push(name.to_owned());
        self.unproxied(name, ports)
    }

    /// With a workload that has a proxy, as the object says it.
    pub fn proxied(mut self, name: &str, object: &str) -> Self {
        self.proxied.push(name.to_owned());
        self.objects(object)
    }

    /// With a workload that has none.
    pub fn unproxied(self, name: &str, ports: &str) -> Self {
        let ip = self.block.ip(name);
        self.objects(&format!(
            "kind: MeshWorkload\napiVersion: leno.dev/v1alpha1\n\
             metadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}}}\n\
             spec: {{ports: [{ports}], instances: [{{address: {ip}}}]}}\n"
        ))
    }

    /// With further objects. `@name` stands for the address of a name.
    pub fn objects(mut self, yaml: &str) -> Self {
        let yaml = self.block.filled(yaml);
        write!(self.objects, "---\n{yaml}").expect("a string takes any text");
        fs::write(self.folder().join("mesh.yaml"), &self.objects).expect("the folder takes files");
        self
    }

    /// Replaces a part of the objects.
    pub fn replace(&self, old: &str, new: &str) {
        let file = self.folder().join("mesh.yaml");
        let text = fs::read_to_string(&file).expect("it was written");
        assert!(text.contains(old), "{old:?} is not in {text}");
        fs::write(file, text.replace(old, new)).expect("the folder takes files");
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.block.folder()
    }

    /// A text in which `@name` stands for the address of a name.
    pub fn filled(&self, text: &str) -> String {
        self.block.filled(text)
    }

    /// A port of a name.
    pub fn at(&self, name: &str, port: u16) -> SocketAddr {
        (self.block.ip(name), port).into()
    }

    /// What a client of `name` asks for.
    pub fn url(&self, name: &str, port: u16, path: &str) -> String {
        format!("http://{}{path}", self.at(name, port))
    }

    /// The value of a metric with these labels, as the proxy of `name` tells it, which has `metrics` at its port
    /// 15020.
    pub fn metric(&self, name: &str, sample: &str) -> Option<u64> {
        let told = Client::try_to(self.at(name, 15020))?.get("/metrics")?;
        let mut lines = told.text().lines();
        let value = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        value.parse().ok()
    }

    /// How often a limit bit, as the proxy of `name` tells it, which has `metrics` at its port 15020.
    pub fn bit(&self, name: &str, limit: &str) -> u64 {
        let of = format!("leno_limits_total{{limit=\"{limit}\"}}");
        self.metric(name, &of).unwrap_or(0)
    }

    /// A process with a log in the folder.
    pub fn process(&self, name: &str, command: &mut Command) -> Process {
        Process::start(command, &self.folder().join(format!("{name}.log")))
    }

    /// A script of commands in the folder, which find `leno`.
    pub fn shell(&self, script: &str) -> Command {
        let leno = self.leno.get().parent().expect("an absolute path");
        let script = format!("set -e\nPATH={}:$PATH\n{script}", leno.display());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).current_dir(self.folder());
        shell
    }

    /// `leno` with these arguments, in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare();
        command.current_dir(self.folder()).args(arguments);
        command
    }

    /// `leno`, which finds no proxies but those of this folder's world.
    fn bare(&self) -> Command {
        let mut leno = Command::new(self.leno.get());
        leno.env("LENO_PROXIES", self.folder().join(".proxies"));
        leno
    }

    /// `leno` in the folder, started by another program that ends where it begins.
    pub fn through(&self, program: &[&str]) -> Command {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(self.leno.get());
        command.env("LENO_PROXIES", self.folder().join(".proxies"));
        command.current_dir(self.folder());
        command
    }

    /// Runs `leno` in the folder to its end.
    pub fn leno(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }

    /// Issues a certificate, as `leno certs issue` does.
    pub fn issue(&self, name: &str) {
        let words = "certs issue --trust-domain shop.local --into certs".split(' ');
        let mut words = words.collect::<Vec<_>>();
        let name = format!("shop/{name}");
        words.push(&name);
        self.leno(&words);
    }

    /// A proxy in front of `name`, to be described further.
    pub fn proxy(&self, name: &str) -> ProxyOf<'_> {
        let proxy = ProxyOf {
            world: self,
            name: name.to_owned(),
            workloads: String::new(),
            rest: String::new(),
            silent: false,
            files: None,
            tunnel: self.at(name, TUNNEL),
            tunnels: Vec::new(),
            more: &[],
            manager: None,
        };
        proxy.and(name)
    }
}

/// A proxy to be started.
#[derive(Debug)]
pub struct ProxyOf<'w> {
    world: &'w World,
    name: String,
    workloads: String,
    rest: String,
    /// Whether it writes no access log.
    silent: bool,
    files: Option<u32>,
    tunnel: SocketAddr,
    tunnels: Vec<(String, SocketAddr)>,
    more: &'static [&'static str],
    manager: Option<PathBuf>,
}

impl ProxyOf<'_> {
    /// Also in front of `name`.
    pub fn and(mut self, name: &str) -> Self {
        if !self
            .world
            .folder()
            .join(format!("certs/{name}.key"))
            .exists()
        {
            self.world.issue(name);
        }
        writeln!(
            self.workloads,
            "- name: shop/{name}\n  key: certs/{name}.key\n  chain: certs/{name}.pem"
        )
        .expect("a string takes any text");
        self
    }

    /// With a listener of the last workload for a service port, at the same port of its own address.
    pub fn upstream(self, service: &str, port: u16) -> Self {
        let name = self.last();
        let listen = self.world.at(&name, port);
        self.line(
            "upstreams",
            &format!("{{service: {service}, port: {port}, listen: {listen}}}"),
        )
    }

    /// With a listener of the last workload for a service port, as the file says it.
    pub fn listening(self, entry: &str) -> Self {
        let entry = self.world.block.filled(entry);
        self.line("upstreams", &entry)
    }

    /// With listeners of the last workload for each of these ports of `services`, at their number and
    /// so many more.
    pub fn leading_to(mut self, services: [(&str, u16); 2], ports: &[u16]) -> Self {
        for (service, above) in services {
            for port in ports {
                let listen = port + above;
                self = self.listening(&format!(
                    "{{service: {service}, port: {port}, listen: @web:{listen}}}"
                ));
            }
        }
        self
    }

    /// With a further field of the last workload.
    pub fn of_workload(mut self, field: &str) -> Self {
        let field = self.world.block.filled(field);
        writeln!(self.workloads, "  {field}").expect("a string takes any text");
        self
    }

    /// With a listener for plain callers of a port of the last workload, 10000 above it.
    pub fn plain(self, port: u16) -> Self {
        let name = self.last();
        let (application, listen) = (
            self.world.at(&name, port),
            self.world.at(&name, port + 10_000),
        );
        self.line(
            "ports",
            &format!("{{application: {application}, listen: {listen}}}"),
        )
    }

    /// Reaches the tunnels of `name` at `address`.
    pub fn through(mut self, name: &str, address: SocketAddr) -> Self {
        self.tunnels.push((name.to_owned(), address));
        self
    }

    /// With a file and a log of another name.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// With further arguments.
    pub fn arguments(mut self, more: &'static [&'static str]) -> Self {
        self.more = more;
        self
    }

    /// Started by a service manager that listens at `socket`.
    pub fn managed(mut self, socket: PathBuf) -> Self {
        self.manager = Some(socket);
        self
    }

    /// With further lines of the file.
    pub fn with(mut self, lines: &str) -> Self {
        self.rest = format!("{}{}\n", self.rest, self.world.block.filled(lines));
        self
    }

    /// Without an access log.
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// With a limit on open files.
    pub fn limited(mut self, files: u32) -> Self {
        self.files = Some(files);
        self
    }

    /// Writes the file.
    pub fn write(&self) -> PathBuf {
        let Self {
            world,
            name,
            workloads,
            rest,
            tunnel,
            tunnels,
            ..
        } = self;
        let mut text = format!(
            "resources: [mesh.yaml]\nbundle: certs/roots.pem\nworkloads:\n{workloads}\
             tunnel: {tunnel}\nworkers: 1\n{rest}"
        );
        if !self.silent {
            text.push_str("accessLog: JSON\n");
        }
        let ours = |other: &str| workloads.contains(&format!("name: shop/{other}\n"));
        let mut head = "tunnels:\n";
        for other in world.proxied.iter().filter(|other| !ours(other)) {
            text.push_str(std::mem::take(&mut head));
            let known = tunnels.iter().find(|(named, _)| named == other);
            let address = known.map_or_else(|| world.at(other, TUNNEL), |(_, address)| *address);
            writeln!(text, "- {{workload: shop/{other}, address: {address}}}")
                .expect("a string takes any text");
        }
        let file = world.folder().join(format!("{name}.proxy"));
        fs::write(&file, text).expect("the folder takes files");
        file
    }

    /// Starts it, and waits until it listens.
    pub fn start(self) -> Process {
        let process = self.attempt();
        process.until_says(&["ready"]);
        process
    }

    /// Starts it.
    pub fn attempt(self) -> Process {
        let file = self.write();
        let mut command = self.world.bare();
        if let Some(files) = self.files {
            let mut limited = Command::new("prlimit");
            limited
                .arg(format!("--nofile={files}:{files}"))
                .arg(command.get_program());
            command = limited;
        }
        command.current_dir(self.world.folder());
        command
            .arg("proxy")
            .arg("--static")
            .arg(file)
            .args(self.more);
        if let Some(socket) = &self.manager {
            command.env("NOTIFY_SOCKET", socket);
        }
        // An earlier start of the same proxy may still write into a log of this name.
        let mut logs = (0..).map(|number| match number {
            0 => self.name.clone(),
            _ => format!("{}-{number}", self.name),
        });
        let fresh = |name: &String| !self.world.folder().join(format!("{name}.log")).exists();
        let name = logs.find(fresh).expect("there are always more numbers");
        self.world.process(&name, &mut command)
    }

    fn last(&self) -> String {
        let mut names = self
            .workloads
            .lines()
            .filter_map(|line| line.strip_prefix("- name: shop/"));
        names
            .next_back()
            .expect("a proxy has a workload")
            .to_owned()
    }

    /// Adds to a list of the last workload.
    fn line(mut self, list: &str, entry: &str) -> Self {
        let at = self
            .workloads
            .rfind("- name:")
            .expect("a proxy has a workload");
        let key = format!("  {list}:\n");
        match self.workloads[at..].find(&key) {
            Some(found) => {
                let behind = at + found + key.len();
                self.workloads.insert_str(behind, &format!("  - {entry}\n"));
            }
            None => {
                writeln!(self.workloads, "{key}  - {entry}").expect("a string takes any text");
            }
        }
        self
    }
}

/// The binary under test, which is built first, as the tests were. That may take its time.
pub fn binary() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| built("leno"));
    &BINARY
}

/// The program of a package of this workspace that has its name, which is built as whoever asks was.
pub fn built(package: &str) -> PathBuf {
    let asking = std::env::current_exe().expect("a process has a program");
    let beside = asking.parent().expect("target/PROFILE/PROGRAM");
    let folder = match beside.ends_with("deps") {
        true => beside.parent().expect("target/PROFILE/deps/TESTS"),
        false => beside,
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", package, "--target-dir"]);
    cargo.arg(folder.parent().expect("target/PROFILE"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "{package} does not build");
    folder.join(package)
}
