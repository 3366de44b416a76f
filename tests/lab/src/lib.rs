//! Hosts as network namespaces on one wire, each with a link that can be cut and healed. Takes root,
//! for namespaces that have a network between them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use leno_e2e::{Process, run};

/// Hosts on one wire, and a folder for what they keep. All of it is gone when this is dropped.
#[derive(Debug)]
pub struct Lab {
    name: String,
    folder: PathBuf,
    hosts: Vec<Host>,
}

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    namespace: String,
    wire: String,
    /// Its address on the wire.
    pub address: String,
}

impl Lab {
    /// So many hosts: 10.77.0.1, 10.77.0.2 and so on.
    pub fn new(hosts: u8) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lab{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(format!("leno-{name}"));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let wire = format!("{name}-wire");
        ip(&["netns", "add", &wire]);
        ip(&["-n", &wire, "link", "add", "bridge", "up", "type", "bridge"]);
        let mut lab = Self {
            name,
            folder,
            hosts: Vec::new(),
        };
        for number in 1..=hosts {
            lab.add_host(&wire, number);
        }
        lab
    }

    /// The host of this number, counted from 1.
    pub fn host(&self, number: usize) -> &Host {
        let host = number.checked_sub(1).and_then(|at| self.hosts.get(at));
        host.expect("the lab has as many hosts as it was made with")
    }

    /// A path in the lab's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file into the lab's folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let parent = path.parent().expect("it is below the folder");
        fs::create_dir_all(parent).expect("a folder can be made");
        fs::write(&path, text).expect("the folder takes files");
        path
    }

    fn add_host(&mut self, wire: &str, number: u8) {
        let namespace = format!("{}-{number}", self.name);
        let address = format!("10.77.0.{number}");
        let link = format!("to{number}");
        ip(&["netns", "add", &namespace]);
        let host = Host {
            namespace: namespace.clone(),
            wire: wire.to_owned(),
            address: address.clone(),
        };
        self.hosts.push(host);
        let peer = ["type", "veth", "peer", "name", "wire", "netns", &namespace];
        ip(&[&["-n", wire, "link", "add", &link][..], &peer].concat());
        ip(&["-n", wire, "link", "set", &link, "master", "bridge", "up"]);
        ip(&[
            "-n",
            &namespace,
            "addr",
            "add",
            &format!("{address}/24"),
            "dev",
            "wire",
        ]);
        ip(&["-n", &namespace, "link", "set", "wire", "up"]);
        ip(&["-n", &namespace, "link", "set", "lo", "up"]);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let hosts = self.hosts.iter().map(|host| host.namespace.clone());
        for namespace in hosts.chain([format!("{}-wire", self.name)]) {
            // One that could not be made cannot be taken away.
            drop(
                Command::new("ip")
                    .args(["netns", "del", &namespace])
                    .output(),
            );
        }
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl Host {
    /// Its network namespace, as `ip netns` calls it.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A command that runs on this host.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.namespace])
            .arg(program.as_ref());
        command
    }

    /// Starts a program on this host; what it says goes to `log`.
    pub fn start(&self, program: impl AsRef<Path>, arguments: &[&str], log: &Path) -> Process {
        Process::start(self.command(program).args(arguments), log)
    }

    /// Cuts the host off from all others: what is on the way is lost.
    pub fn cut(&self) {
        self.link("down");
    }

    /// Connects it again.
    pub fn heal(&self) {
        self.link("up");
    }

    fn link(&self, state: &str) {
        let (_, number) = self
            .namespace
            .rsplit_once('-')
            .expect("it ends with its number");
        ip(&[
            "-n",
            &self.wire,
            "link",
            "set",
            &format!("to{number}"),
            state,
        ]);
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments));
}
