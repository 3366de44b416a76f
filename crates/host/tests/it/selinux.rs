//! The proxy of a node where the kernel enforces SELinux, by the label of its container: what it does to pods and to its
//! node, step by step, beside a pod under the label that runtimes give to containers which ask for none. It takes such a
//! kernel, which `cargo xtask kernel` brings.

use std::{
    ffi::CString,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::{
    fs::getxattr,
    mount::{MountFlags, mount},
};

use crate::agent::Agent;

/// What the installed proxy asks for, and what containers run under that ask for nothing: with levels of their own, by which
/// the kernel tells one pod from others.
const ASKED: &str = "system_u:system_r:spc_t:s0";
const UNASKED: &str = "system_u:system_r:container_t:s0:c3,c4";
const OF_POD: &str = "system_u:system_r:container_t:s0:c1,c2";

/// The UID of the pod.
const UID: &str = "1b9d6bcd-bbfd-4b2d-9b5d-000000000001";

/// What its proxy puts there for the node's runtime.
const PLUGIN: &str = "/opt/cni/bin/leno-cni";

/// The folders of the node that its proxy has, and where they are in its container.
const FOLDERS: [(&str, &str); 3] = [
    ("/opt/cni/bin", "/host/opt/cni/bin"),
    ("/etc/cni/net.d", "/host/etc/cni/net.d"),
    ("/run/leno", "/run/leno"),
];

#[test]
#[ignore = "takes a kernel that enforces SELinux: cargo xtask kernel"]
fn the_proxy_of_a_node_does_its_work_under_the_label_that_it_asks_for() {
    let mut pod = Container::pod();
    let mut node = Container::node(ASKED);
    for (order, expect) in [
        (
            "read /proc/self/attr/current".to_owned(),
            format!("{ASKED}\0"),
        ),
        (format!("node find {UID}"), "found".into()),
        ("node capture".into(), "captured".into()),
        ("node stand".into(), "standing".into()),
        ("node keep /run/leno/node/view kept".into(), "kept".into()),
        ("node door /run/leno/node.sock".into(), "open".into()),
    ] {
        assert_eq!(node.agent.ask(&order), expect, "{order}");
    }

    // A call of the pod, out by its proxy and back to a server in it.
    let server = pod.agent.ask("listen 127.0.0.1:8080");
    node.agent.order(&format!("node carry {server}"));
    pod.agent.ask("connect 192.0.2.9:80");
    pod.agent.ask("say hello");
    assert!(pod.agent.ask("accept").starts_with("127.0.0.1:"));
    assert_eq!(pod.agent.ask("hear"), "hello");
    pod.agent.ask("say welcome");
    assert_eq!(node.agent.answer(), "carried what was for 192.0.2.9:80");

    let own = "node confine /run/leno/node/1";
    assert_eq!(node.agent.ask(own), "settled, heard at 2 addresses");

    assert_eq!(put(ASKED), "ok");
    node.agent.order("node asked");
    assert_eq!(called(&pod), "served");
    assert_eq!(node.agent.answer(), "asked about the pod: true");
    assert_eq!(node.agent.ask("node release"), "released 1");
    node.end();
    pod.end();
}

#[test]
#[ignore = "takes a kernel that enforces SELinux: cargo xtask kernel"]
fn without_asking_for_a_label_it_is_denied_that() {
    let pod = Container::pod();
    let mut node = Container::node(UNASKED);
    let said = put(UNASKED);
    assert!(said.contains("Permission denied"), "{said}");
    let denied_to = "error: Permission denied (os error 13)";
    for order in [
        "node keep /run/leno/node/view kept",
        "node door /run/leno/node.sock",
        &format!("node find {UID}"),
    ] {
        assert_eq!(node.agent.ask(order), denied_to, "{order}");
    }
    let denied = denied(UNASKED);
    for (what, name) in [
        ("{ write }", "name=\"bin\""),
        ("{ search }", "dev=\"proc\""),
    ] {
        let is_said = |one: &String| one.contains(what) && one.contains(name);
        assert!(denied.iter().any(is_said), "{what} {name}: {denied:#?}");
    }
    node.end();
    pod.end();
}

#[test]
#[ignore = "takes a kernel that enforces SELinux: cargo xtask kernel"]
fn what_it_puts_onto_the_node_has_the_level_of_no_pod() {
    for (label, level) in [
        (ASKED, "s0"),
        // As with a type alone.
        ("system_u:system_r:spc_t:s0:c5,c6", "s0:c5,c6"),
    ] {
        assert_eq!(put(label), "ok");
        let mut told = [0_u8; 64];
        let count = getxattr(PLUGIN, "security.selinux", &mut told).unwrap();
        let told = String::from_utf8_lossy(&told[..count]);
        assert_eq!(told, format!("system_u:object_r:bin_t:{level}\0"));
    }
}

#[test]
#[ignore = "takes a kernel that enforces SELinux: cargo xtask kernel"]
fn a_pod_cannot_load_its_own_packet_rules_by_net_admin_alone() {
    let mut pod = Container::pod();
    let denied_to = "error: Permission denied (os error 13)";
    assert_eq!(pod.agent.ask("node capture-itself"), denied_to);
    let denied = denied(OF_POD);
    let is_said = |one: &String| one.contains("tclass=netlink_netfilter_socket");
    assert!(denied.iter().any(is_said), "{denied:#?}");
    pod.end();
}

/// A container, by the runtime that kubelets use, with an agent as its process.
struct Container {
    place: Place,
    agent: Agent,
    /// A file that stands for its network.
    netns: PathBuf,
}

impl Container {
    /// That of a pod, which has its network and can reach outside by it.
    fn pod() -> Self {
        let place = Place::new("pod", OF_POD, UID, AGENT);
        let mut agent = Agent::start(&mut place.runc());
        let stat = agent.ask("read /proc/self/stat");
        let process = stat.split(' ').next().unwrap();
        run(&format!("nsenter -t {process} -n sh -ec '{NETWORK}'"));
        let netns = format!("/run/netns/{process}");
        run(&format!(
            "touch {netns} && mount --bind /proc/{process}/ns/net {netns}"
        ));
        Self {
            place,
            agent,
            netns: netns.into(),
        }
    }

    /// That of the node's proxy, under this label.
    fn node(label: &str) -> Self {
        for (folder, _) in FOLDERS {
            fs::create_dir_all(folder).unwrap();
        }
        let place = Place::new("node", label, &UID.replace("001", "002"), AGENT);
        let agent = Agent::start(&mut place.runc());
        Self {
            place,
            agent,
            netns: PathBuf::new(),
        }
    }

    fn end(self) {
        self.agent.end();
    }
}

/// Where a container lies.
struct Place {
    name: &'static str,
    bundle: PathBuf,
}

impl Place {
    /// Of a container of the pod with this UID, in which a command runs under a label.
    fn new(name: &'static str, label: &str, uid: &str, command: &str) -> Self {
        let bundle = Path::new("/run/containerd").join(name);
        let root = bundle.join("rootfs");
        fs::create_dir_all(&root).unwrap();
        // As runtimes mount the files of a container: under the level of its label.
        let level = label.splitn(4, ':').nth(3).unwrap();
        let files = format!("system_u:object_r:container_file_t:{level}");
        let context = CString::new(format!("context=\"{files}\"")).unwrap();
        let flags = MountFlags::empty();
        mount("tmpfs", &root, "tmpfs", flags, Some(context.as_c_str())).unwrap();
        run(&format!("cp -r /image/. {}", root.display()));
        let is_of_pod = label == OF_POD;
        let folders = FOLDERS.iter().filter(|_| !is_of_pod);
        let folders = folders.map(|(from, to)| MOUNT.replace("FROM", from).replace("TO", to));
        let rights: &[&str] = if is_of_pod { &["NET_ADMIN"] } else { &RIGHTS };
        let rights = rights.iter().map(|right| format!("\"CAP_{right}\""));
        let rights = rights.collect::<Vec<_>>().join(", ");
        let config = CONFIG
            .replace("LABEL", label)
            .replace("FILES", &files)
            .replace("COMMAND", command)
            .replace("RIGHTS", &rights)
            .replace("FOLDERS", &folders.collect::<String>())
            .replace("POD", uid)
            .replace("NAME", name);
        fs::write(bundle.join("config.json"), config).unwrap();
        Self { name, bundle }
    }

    fn runc(&self) -> Command {
        let mut runc = Command::new("runc");
        runc.arg("run")
            .arg("--bundle")
            .arg(&self.bundle)
            .arg(self.name);
        runc
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        run(&format!(
            "umount -l {}",
            self.bundle.join("rootfs").display()
        ));
    }
}

/// Has a container of the node's proxy put the plugin there, and returns how that went.
fn put(label: &str) -> String {
    fs::write("/etc/cni/net.d/10-pods.conflist", LIST).unwrap();
    fs::write("/opt/cni/bin/bridge", "what the list names").unwrap();
    if fs::exists(PLUGIN).unwrap() {
        fs::remove_file(PLUGIN).unwrap();
    }
    let place = Place::new("put", label, &UID.replace("001", "003"), PUT);
    let said = place.runc().output().unwrap();
    match said.status.success() {
        true => "ok".to_owned(),
        false => format!("{said:?}"),
    }
}

/// Calls the plugin as the runtime of a node does.
fn called(pod: &Container) -> String {
    let mut plugin = Command::new(PLUGIN);
    plugin
        .env("CNI_COMMAND", "ADD")
        .env("CNI_NETNS", &pod.netns);
    plugin.env(
        "CNI_ARGS",
        format!(
            "K8S_POD_NAMESPACE=shop;K8S_POD_NAME={};K8S_POD_UID={UID}",
            pod.place.name
        ),
    );
    let piped = plugin.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut plugin = piped.spawn().unwrap();
    let mut stdin = plugin.stdin.take().unwrap();
    stdin.write_all(CALL.as_bytes()).unwrap();
    drop(stdin);
    let said = plugin.wait_with_output().unwrap();
    match said.status.success() {
        true => "served".to_owned(),
        false => format!("{said:?}"),
    }
}

/// What the kernel tells that it has denied to whoever runs under this label.
fn denied(label: &str) -> Vec<String> {
    let said = Command::new("dmesg").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let of = format!("scontext={label} ");
    let denied = said.lines().filter(|line| line.contains(&of));
    denied.map(str::to_owned).collect()
}

fn run(script: &str) {
    let status = Command::new("sh").args(["-ec", script]).status().unwrap();
    assert!(status.success(), "{script}");
}

const NETWORK: &str = "ip link add eth0 type veth; ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up; ip route add default via 10.9.0.1";

const AGENT: &str = r#""/leno-host-stage", "agent""#;
const PUT: &str =
    r#""/it", "--ignored", "--exact", "kept::on_the_node_whose_folders_are_here", "--nocapture""#;

/// What the runtime tells the plugin, and a list of plugins before that is in it.
const CALL: &str = r#"{"cniVersion": "1.0.0", "name": "pods", "type": "leno-cni",
    "prevResult": {"cniVersion": "1.0.0", "interfaces": [], "ips": [], "dns": {}}}"#;
const LIST: &str = r#"{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge"}]}"#;

/// What the proxy of a node may do by its capabilities: as `leno install` has it.
const RIGHTS: [&str; 8] = [
    "SYS_ADMIN",
    "NET_ADMIN",
    "SYS_PTRACE",
    "DAC_OVERRIDE",
    "SETUID",
    "SETGID",
    "NET_RAW",
    "KILL",
];

const MOUNT: &str =
    r#", {"destination": "TO", "type": "bind", "source": "FROM", "options": ["rbind", "rw"]}"#;
const CONFIG: &str = r#"{
    "ociVersion": "1.0.2",
    "hostname": "NAME",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "cwd": "/",
        "env": ["PATH=/bin"],
        "args": [COMMAND],
        "selinuxLabel": "LABEL",
        "capabilities": {"bounding": [RIGHTS], "effective": [RIGHTS], "permitted": [RIGHTS]}
    },
    "root": {"path": "rootfs", "readonly": true},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro", "nosuid", "nodev", "noexec"]}
        FOLDERS
    ],
    "linux": {
        "cgroupsPath": "/kubepods/burstable/podPOD/1",
        "mountLabel": "FILES",
        "namespaces": [{"type": "mount"}, {"type": "cgroup"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}]
    }
}"#;
