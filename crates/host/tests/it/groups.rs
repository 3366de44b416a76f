//! Control groups of version 2 as a kubelet lays them out for a container, in which a process gives others groups below its
//! own. They take a kernel that keeps memory and processors by version 2, which `cargo xtask kernel` brings.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use crate::{agent::Agent, world::stage};

/// Where that kernel's groups are seen from outside of all containers.
const ROOT: &str = "/sys/fs/cgroup";

/// Where kubelets have the group of a container, by what makes it: systemd, the same where all of the kubelet's is below a
/// group of its own (as in kind), or the kubelet itself.
const LAYOUTS: [&str; 3] = [
    "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1b9d6bcd_bbfd_4b2d_9b5d_000000000001.slice/\
     cri-containerd-1.scope",
    "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/\
     kubelet-kubepods-burstable-pod1b9d6bcd_bbfd_4b2d_9b5d_000000000001.slice/cri-containerd-1.scope",
    "kubepods/burstable/pod1b9d6bcd-bbfd-4b2d-9b5d-000000000001/1",
];

/// The UID of another pod.
const OTHER: &str = "1b9d6bcd-bbfd-4b2d-9b5d-000000000002";

/// What the process of a pod may use, and what it needs less and more than.
const MEMORY_MIB: &str = "16";
const LITTLE_MIB: &str = "4";
const MUCH_MIB: &str = "64";

#[test]
#[ignore = "takes control groups of version 2: cargo xtask kernel"]
fn a_process_is_held_to_its_bounds_wherever_a_kubelet_has_its_container() {
    for path in LAYOUTS {
        for sees_its_own_alone in [true, false] {
            println!("{path}, sees its own alone: {sees_its_own_alone}");
            let mut container = Container::begin(path, &["cpu", "memory", "pids"]);
            // As a kubelet says since 1.28: with one process of a container all of them end. It is not about those below.
            container.write("memory.oom.group", "1");
            if sees_its_own_alone {
                assert_eq!(container.ask("own-groups"), "alone");
            }
            let own = match sees_its_own_alone {
                true => "",
                false => path,
            };
            holds(&mut container, own);
            container.end();
        }
    }
}

#[test]
#[ignore = "takes control groups of version 2: cargo xtask kernel"]
fn commands_run_in_a_container_that_holds_groups_and_nothing_is_left_of_it() {
    let path = LAYOUTS[2];
    let mut container = Container::begin_by_runtime(path);
    // Once it answers, it is there.
    assert_eq!(container.ask("read /proc/self/cgroup"), "0::/|");
    let processors = "Some(Quota { time_us: 150000, period_us: 100000 })";
    assert_eq!(container.ask("processors"), processors);
    assert_eq!(container.exec(), "0::/");
    holds(&mut container, "");
    // Where its own group may hold nobody any more, a runtime goes where the container's first process is.
    assert_eq!(container.exec(), "0::/leno-node");
    container.end();
}

/// What bounds say holds in a container whose own group is seen there at this path.
fn holds(container: &mut Container, own: &str) {
    let seen = |below: &str| format!("0::/{own}{below}|");
    assert_eq!(container.ask("read /proc/self/cgroup"), seen(""));
    assert_eq!(container.ask("open-groups"), "lacks nothing");
    let below = match own {
        "" => "leno-node",
        _ => "/leno-node",
    };
    assert_eq!(container.ask("read /proc/self/cgroup"), seen(below));

    let make = format!("group leno-pod-1 {MEMORY_MIB} 100");
    assert_eq!(container.ask(&make), "made");
    assert_eq!(container.read("leno-pod-1/memory.max"), "16777216");
    assert_eq!(container.read("leno-pod-1/memory.swap.max"), "0");
    assert_eq!(container.read("leno-pod-1/cpu.max"), "10000 100000");
    let eat = |mib: &str| format!("eat leno-pod-1 {mib}");
    assert_eq!(container.ask(&eat(LITTLE_MIB)), "exit status: 0, 0 in all");
    for ends in 1..3 {
        let expect = format!("signal: 9 (SIGKILL), {ends} in all");
        assert_eq!(container.ask(&eat(MUCH_MIB)), expect);
    }

    assert_eq!(container.ask("spin leno-pod-1"), "spinning");
    container.until_throttled("leno-pod-1");
    // Whoever comes without a bound beside it has as much time as there is.
    let unbound = format!("group leno-pod-2 {MEMORY_MIB} all");
    assert_eq!(container.ask(&unbound), "made");
    assert_eq!(container.read("leno-pod-2/cpu.max"), "max 100000");

    assert_eq!(container.ask("leave leno-pod-1"), "left");
    assert_eq!(container.ask("leave leno-pod-2"), "left");
    assert_eq!(container.below(), ["leno-node"]);
}

#[test]
#[ignore = "takes control groups of version 2: cargo xtask kernel"]
fn where_a_group_may_not_be_bounded_it_is_said_and_one_is_made_all_the_same() {
    let mut container = Container::begin(LAYOUTS[0], &["cpu", "pids"]);
    let lacks = "lacks the kernel keeps memory by no control groups of version 2 here";
    assert_eq!(container.ask("open-groups"), lacks);
    let make = format!("group leno-pod-1 {MEMORY_MIB} 100");
    assert_eq!(container.ask(&make), "made");
    let ended = container.ask(&format!("eat leno-pod-1 {MUCH_MIB}"));
    assert_eq!(ended, "exit status: 0, 0 in all");
    assert_eq!(container.ask("leave leno-pod-1"), "left");
    assert_eq!(container.below(), [""; 0]);
    container.end();
}

#[test]
#[ignore = "takes control groups of version 2: cargo xtask kernel"]
fn the_pods_of_a_node_are_found_from_within_a_container() {
    let all = ["cpu", "memory", "pids"];
    for path in LAYOUTS {
        for sees_its_own_alone in [true, false] {
            let mut container = Container::begin(path, &all);
            if sees_its_own_alone {
                assert_eq!(container.ask("own-groups"), "alone");
            }
            let sees = format!("sees {OTHER}");
            assert_eq!(container.ask(&sees), "false");
            let other = path.replace("000000000001", "000000000002");
            let mut other = Container::begin(&other, &all);
            // On the network of the node there is only what a runtime runs for a pod.
            assert_eq!(container.ask(&sees), "false");
            assert_eq!(other.ask("own-network"), "alone");
            assert_eq!(container.ask(&sees), "true", "{path} {sees_its_own_alone}");
            // What is made below counts as the container's own.
            assert_eq!(container.ask("open-groups"), "lacks nothing");
            let make = format!("group leno-pod-{OTHER} {MEMORY_MIB} all");
            assert_eq!(container.ask(&make), "made");
            other.end();
            assert_eq!(container.ask(&format!("spin leno-pod-{OTHER}")), "spinning");
            assert_eq!(container.ask(&sees), "false");
            assert_eq!(container.ask(&format!("leave leno-pod-{OTHER}")), "left");
            container.end();
        }
    }
}

/// A container's first process, in the group that a kubelet gave it.
struct Container {
    group: PathBuf,
    is_by_hand: bool,
    agent: Agent,
}

impl Container {
    /// Begins one at this path, along which these controllers are handed on.
    fn begin(path: &str, controllers: &[&str]) -> Self {
        let all = controllers.iter().map(|one| format!("+{one}"));
        let all = all.collect::<Vec<_>>().join(" ");
        let mut group = PathBuf::from(ROOT);
        for part in Path::new(path) {
            fs::write(group.join("cgroup.subtree_control"), &all).unwrap();
            group.push(part);
            fs::create_dir_all(&group).unwrap();
        }
        let mut agent = Command::new(stage());
        let container = Self::start(agent.arg("agent"), group, true);
        container.write("cgroup.procs", &container.agent.process().to_string());
        container
    }

    /// Lets a container runtime begin one there, with the rights that the proxy of a node has.
    fn begin_by_runtime(path: &str) -> Self {
        let bundle = Path::new(BUNDLE);
        let root = bundle.join("rootfs");
        fs::create_dir_all(&root).unwrap();
        let bound = Command::new("mount")
            .arg("--bind")
            .arg("/")
            .arg(&root)
            .status();
        assert!(bound.unwrap().success());
        let config = CONFIG.replace("PATH", path);
        fs::write(bundle.join("config.json"), config).unwrap();
        let mut runc = Command::new("runc");
        runc.args(["run", "--bundle", BUNDLE, NAME]);
        Self::start(&mut runc, Path::new(ROOT).join(path), false)
    }

    fn start(command: &mut Command, group: PathBuf, is_by_hand: bool) -> Self {
        Self {
            group,
            is_by_hand,
            agent: Agent::start(command),
        }
    }

    /// In which group a command runs that a runtime is asked for in its container, as it is seen there.
    fn exec(&self) -> String {
        let exec = ["exec", NAME, "/bin/cat", "/proc/self/cgroup"];
        let said = Command::new("runc").args(exec).output().unwrap();
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    fn ask(&mut self, line: &str) -> String {
        self.agent.ask(line)
    }

    fn read(&self, file: &str) -> String {
        let text = fs::read_to_string(self.group.join(file)).unwrap();
        text.trim_end().to_owned()
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.group.join(file), text).unwrap();
    }

    /// Waits until a group below has used up its part of a period.
    fn until_throttled(&self, name: &str) {
        let file = format!("{name}/cpu.stat");
        let throttled = || {
            let told = self.read(&file);
            let count = told
                .lines()
                .find_map(|line| line.strip_prefix("nr_throttled "));
            count.unwrap().parse::<u64>().unwrap()
        };
        while throttled() == 0 {
            thread::yield_now();
        }
    }

    /// The names of the groups below.
    fn below(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.group).unwrap().map(Result::unwrap);
        let groups = entries.filter(|entry| entry.file_type().unwrap().is_dir());
        let mut names: Vec<_> = groups
            .map(|group| group.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Ends it, and takes its groups away from below, as its runtime would and a kubelet does.
    fn end(self) {
        self.agent.end();
        if self.group.exists() {
            assert!(self.is_by_hand, "its runtime has left it behind");
            remove(&self.group);
        }
        let above = self.group.ancestors().skip(1);
        for group in above.take_while(|group| *group != Path::new(ROOT)) {
            // Another container is there, still.
            if fs::remove_dir(group).is_err() {
                return;
            }
        }
        // The next one says for itself what is handed on.
        let file = format!("{ROOT}/cgroup.subtree_control");
        let all = fs::read_to_string(&file).unwrap();
        let none = all.split_whitespace().map(|one| format!("-{one}"));
        fs::write(&file, none.collect::<Vec<_>>().join(" ")).unwrap();
    }
}

/// Removes a group and all below it.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            remove(&entry.path());
        }
    }
    fs::remove_dir(group).unwrap();
}

/// What a runtime is told of a container, where it lies and what it is called.
const BUNDLE: &str = "/tmp/bundle";
const NAME: &str = "node";
const CONFIG: &str = r#"{
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "cwd": "/",
        "env": ["PATH=/bin"],
        "args": ["/leno-host-stage", "agent"],
        "capabilities": {
            "bounding": ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_KILL"],
            "effective": ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_KILL"],
            "permitted": ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_KILL"]
        }
    },
    "root": {"path": "rootfs", "readonly": true},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro", "nosuid", "nodev", "noexec"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid", "nodev", "noexec"]}
    ],
    "linux": {
        "cgroupsPath": "/PATH",
        "namespaces": [{"type": "mount"}, {"type": "cgroup"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}],
        "resources": {"cpu": {"quota": 150000, "period": 100000}, "unified": {"memory.oom.group": "1"}}
    }
}"#;
