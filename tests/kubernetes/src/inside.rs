//! The first process of a sandbox. It makes a host of its namespaces, starts what it is told to, says what has ended, and
//! ends when nobody can tell it anything any more: then the kernel ends all others.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus, wait};

use crate::cgroups::{HIERARCHIES, MOUNTED};
use crate::host::UPLINK;
use crate::node::Node;
use crate::sandbox::{Component, Kind, LOGS, Told};

/// Serves a sandbox of a kind as its first process, until standard input ends.
pub fn serve(kind: &str, folder: &Path) -> io::Result<()> {
    let kind = Kind::named(kind).ok_or_else(|| io::Error::other("there is no such kind"))?;
    // Until `/proc` is another one, it tells the number that this process has outside.
    let outside = fs::read_link("/proc/self")?;
    let outside = outside
        .to_string_lossy()
        .parse()
        .map_err(io::Error::other)?;
    mount("proc", "proc", "/proc")?;
    if let Kind::Node(node) = kind {
        become_a_host(node, folder)?;
    }
    tell(&Told::Ready(outside))?;
    let running = Arc::new(Running::default());
    let reaping = Arc::clone(&running);
    thread::spawn(move || reaping.reap());
    for line in io::stdin().lock().lines() {
        let component: Component = serde_json::from_str(&line?)?;
        running.start(&component, folder)?;
    }
    Ok(())
}

/// Mounts and links, so that programs find here what they expect of a host, and change nothing of the real one.
fn become_a_host(node: Node, folder: &Path) -> io::Result<()> {
    run("hostname", &[node.name()])?;
    run("mount", &["--make-rshared", "/"])?;
    mount("sysfs", "sysfs", "/sys")?;
    mount("tmpfs", "tmpfs", MOUNTED)?;
    for name in HIERARCHIES {
        let point = format!("{MOUNTED}/{name}");
        fs::create_dir(&point)?;
        let options = match name {
            "systemd" => "none,name=systemd",
            controller => controller,
        };
        run("mount", &["-t", "cgroup", "-o", options, "cgroup", &point])?;
    }
    mount("bpf", "bpf", "/sys/fs/bpf")?;
    mount("tmpfs", "tmpfs", "/run")?;
    for directory in ["etc", "opt", "var"] {
        let [upper, work] = ["upper", "work"].map(|part| folder.join(part).join(directory));
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        let (upper, work) = (upper.display(), work.display());
        let options = format!("lowerdir=/{directory},upperdir={upper},workdir={work}");
        run(
            "mount",
            &[
                "-t",
                "overlay",
                "-o",
                &options,
                "overlay",
                &format!("/{directory}"),
            ],
        )?;
    }
    // Volumes are mounted there, and it is measured: not on an overlay.
    let kubelet = folder.join("kubelet");
    for path in [&kubelet, Path::new("/var/lib/kubelet")] {
        fs::create_dir_all(path)?;
    }
    bind(&kubelet, "/var/lib/kubelet")?;
    run("mount", &["--make-rshared", "/"])?;
    shield(folder)?;
    run("ip", &["link", "set", "lo", "up"])?;
    let bridge = [
        "link",
        "add",
        UPLINK,
        "address",
        node.mac(),
        "type",
        "bridge",
    ];
    run("ip", &bridge)?;
    run("ip", &["link", "set", UPLINK, "up"])?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")
}

/// Lets files stand for settings of the kernel that a kubelet makes and that no namespace has to itself, and for the name
/// of the time since the host started.
fn shield(folder: &Path) -> io::Result<()> {
    let settings = folder.join("settings");
    fs::create_dir_all(&settings)?;
    for (number, setting) in SETTINGS.iter().enumerate() {
        let shield = settings.join(number.to_string());
        fs::write(&shield, fs::read(setting)?)?;
        bind(&shield, setting)?;
    }
    // Whoever keeps it knows by it that a host has started again.
    let boot = settings.join("boot");
    fs::write(&boot, fs::read("/proc/sys/kernel/random/uuid")?)?;
    bind(&boot, "/proc/sys/kernel/random/boot_id")
}

/// The components that run, by the number of their process.
#[derive(Default)]
struct Running {
    names: Mutex<BTreeMap<u32, String>>,
    started: Condvar,
}

impl Running {
    fn start(&self, component: &Component, folder: &Path) -> io::Result<()> {
        let log = folder.join(LOGS).join(format!("{}.log", component.name));
        let log = File::create(log)?;
        let mut command = Command::new(&component.program);
        command.args(&component.arguments).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        let component = component.name.clone();
        // Held from before it starts, so that its end meets its name.
        let mut names = self.names.lock().map_err(poisoned)?;
        match command.spawn() {
            Ok(child) => drop(names.insert(child.id(), component)),
            Err(error) => {
                let status = format!("it did not start: {error}");
                return tell(&Told::Ended { component, status });
            }
        }
        self.started.notify_one();
        Ok(())
    }

    /// Takes every process that has ended off the kernel's list, those of ended parents too, and tells of components.
    fn reap(&self) -> io::Result<()> {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((process, status))) => {
                    let process = process.as_raw_nonzero().get().unsigned_abs();
                    let ended = self.names.lock().map_err(poisoned)?.remove(&process);
                    if let Some(component) = ended {
                        let status = told(status);
                        tell(&Told::Ended { component, status })?;
                    }
                }
                Err(Errno::CHILD) => {
                    let names = self.names.lock().map_err(poisoned)?;
                    let started = self.started.wait_while(names, |names| names.is_empty());
                    drop(started.map_err(poisoned)?);
                }
                Ok(None) | Err(_) => {}
            }
        }
    }
}

fn poisoned<T>(_: PoisonError<T>) -> io::Error {
    io::Error::other("a thread has panicked")
}

fn told(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

fn tell(told: &Told) -> io::Result<()> {
    let line = serde_json::to_string(told)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn mount(kind: &str, what: &str, point: &str) -> io::Result<()> {
    run("mount", &["-t", kind, what, point])
}

fn bind(what: &Path, point: &str) -> io::Result<()> {
    run("mount", &["--bind", &what.to_string_lossy(), point])
}

/// Runs a program to its end; what it complains of is in the sandbox's log.
fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let mut command = Command::new(program);
    // What this process prints is read by its owner.
    let status = command.args(arguments).stdout(Stdio::null()).status()?;
    if status.success() {
        return Ok(());
    }
    let line = arguments.join(" ");
    Err(io::Error::other(format!("{program} {line}: {status}")))
}

const SETTINGS: [&str; 6] = [
    "/proc/sys/kernel/keys/root_maxbytes",
    "/proc/sys/kernel/keys/root_maxkeys",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/panic_on_oom",
];
