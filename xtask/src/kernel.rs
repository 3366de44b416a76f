//! `cargo xtask kernel`: what takes another kernel than this host's, in a virtual machine that is emulated: Debian's own
//! kernel, and a file system in memory that holds the tests and nothing else. It takes no right of this host, and changes
//! nothing of it.

mod policy;

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    Outcome,
    packages::{self, Purpose},
    shell,
};

/// Runs those tests that say so, by the first process of a machine of its own: those of one part, or of each in turn.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let parts: Vec<_> = match arguments {
        [] => PARTS.iter().collect(),
        [name] => PARTS.iter().filter(|(part, _)| part == name).collect(),
        [..] => Vec::new(),
    };
    if parts.is_empty() {
        let names = PARTS.map(|(name, _)| name).join("` or `");
        return Err(format!("it takes `{names}`, or nothing for all of them").into());
    }
    packages::install(Purpose::Kernel)?;
    let place = shell::target()?.join("kernel");
    let kernel = kernel(&place)?;
    let system = lay_out(&place)?;
    let mut parts = parts.into_iter();
    parts.try_for_each(|(part, settings)| boot(&kernel, &system, part, settings))
}

/// The kernel's file, unpacked below `place` and installed nowhere.
fn kernel(place: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let boot = place.join("package/boot");
    if let Some(kernel) = kernel_in(&boot) {
        return Ok(kernel);
    }
    fs::create_dir_all(place)?;
    let newest = said("apt-cache", &["depends", KERNEL])?;
    let name = newest
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "));
    let name = name.ok_or("apt-cache names no kernel; `apt-get update` as root lets it")?;
    // apt-get writes where it stands.
    let script = "cd \"$0\" && apt-get download --quiet=2 \"$1\" && dpkg-deb --extract \"$1\"_*.deb package && rm \"$1\"_*.deb";
    let place = place.display().to_string();
    shell::run("sh", &["-ec", script, &place, name], &[])?;
    kernel_in(&boot).ok_or_else(|| format!("{name} holds no kernel").into())
}

fn kernel_in(boot: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(boot).ok()?.flatten();
    let kernel = files.find(|file| file.file_name().to_string_lossy().starts_with("vmlinuz-"))?;
    Some(kernel.path())
}

/// Makes the file system: the tests, the programs that they start, what these are linked with, what the kernel loads, and a
/// shell that begins it all. An archive of it, as the kernel takes it.
fn lay_out(place: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let root = place.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for folder in ["bin", "dev", "moved", "proc", "sys", "tmp"] {
        fs::create_dir_all(root.join(folder))?;
    }
    // What is there on a node before anything of Leno's.
    for folder in [
        "etc/cni/net.d",
        "opt/cni/bin",
        "run/containerd",
        "run/netns",
        "run/runc",
    ] {
        fs::create_dir_all(root.join(folder))?;
    }
    // What is copied into containers.
    let image = root.join("image");
    fs::create_dir_all(&image)?;
    let [tests, stage, tests_of_plugin, plugin] = built()?;
    for (program, to) in [
        (&tests, root.join("it")),
        (&stage, root.join("leno-host-stage")),
        (&found("busybox")?, root.join("bin/busybox")),
        (&found("runc")?, root.join("bin/runc")),
        (&found("setfiles")?, root.join("bin/setfiles")),
        (&stage, image.join("leno-host-stage")),
        (&tests_of_plugin, image.join("it")),
        (&plugin, image.join("leno-cni")),
    ] {
        fs::copy(program, &to)?;
        let is_of_image = to.starts_with(&image);
        copy_libraries(program, if is_of_image { &image } else { &root })?;
    }
    let policy = policy::built(place)?;
    let [from, to] = [&policy, &root.join("etc")].map(|path| path.display().to_string());
    shell::run("cp", &["-r", &from, &to], &[])?;
    let [from, to] = [&place.join("package"), &root].map(|path| path.display().to_string());
    shell::run("sh", &["-ec", MODULES, &from, &to], &[])?;
    for (name, script) in [("init", INIT), ("begin", BEGIN), ("tests", TESTS)] {
        let file = root.join(name);
        fs::write(&file, script)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    let archive = place.join("root.cpio");
    let script = "cd \"$0\" && find . | busybox cpio -o -H newc > \"$1\"";
    let [root, at] = [&root, &archive].map(|path| path.display().to_string());
    shell::run("sh", &["-ec", script, &root, &at], &[])?;
    Ok(archive)
}

/// Where a program of Debian's is.
fn found(program: &str) -> Result<PathBuf, String> {
    let mut places = ["/usr/sbin", "/usr/bin", "/bin"]
        .map(|folder| Path::new(folder).join(program))
        .into_iter();
    places
        .find(|place| place.is_file())
        .ok_or(format!("there is no {program}"))
}

/// The tests and the program that they start, and the same of the plugin, as cargo built them.
fn built() -> Result<[PathBuf; 4], Box<dyn Error>> {
    let test = ["test", "--locked", "--test", "it", "--no-run"];
    let packages = ["--package", "leno-host", "--package", "leno-cni"];
    let told = ["--message-format", "json-render-diagnostics"];
    let told = said("cargo", &[&test[..], &packages, &told].concat())?;
    let made: Vec<Value> = told
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let of = |package: &str, name: &str| {
        let place = format!("crates/{package}/Cargo.toml");
        let is_of = |one: &Value| {
            one["manifest_path"]
                .as_str()
                .is_some_and(|at| at.ends_with(&place))
        };
        let one = made.iter().rfind(|one| {
            one["target"]["name"] == name && is_of(one) && !one["executable"].is_null()
        });
        let path = one.and_then(|one| one["executable"].as_str());
        path.map(PathBuf::from)
            .ok_or(format!("cargo built no {name}"))
    };
    Ok([
        of("host", "it")?,
        of("host", "leno-host-stage")?,
        of("cni", "it")?,
        of("cni", "leno-cni")?,
    ])
}

/// Puts the libraries of a program where it looks for them. One that has none is told of by an error.
fn copy_libraries(program: &Path, root: &Path) -> Outcome {
    let told = Command::new("ldd").arg(program).output()?.stdout;
    for library in String::from_utf8(told)?
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let copy = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().unwrap_or(root))?;
        fs::copy(library, copy)?;
    }
    Ok(())
}

/// Starts the machine, prints what is said there, and fails unless the tests of this part ran and passed.
fn boot(kernel: &Path, system: &Path, part: &str, settings: &str) -> Outcome {
    let mut machine = Command::new("timeout");
    machine.arg(PATIENCE).args(MACHINE.split_whitespace());
    machine
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(system);
    machine.arg("-append");
    machine.arg(format!("{SETTINGS} {settings} -- {part}"));
    println!("==> {machine:?}");
    let machine = machine.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut machine = machine.spawn()?;
    let mut passed = false;
    for line in machine
        .stdout
        .take()
        .into_iter()
        .map(BufReader::new)
        .flat_map(BufRead::lines)
    {
        let line = line?;
        println!("{}", line.trim_end());
        passed |= line.starts_with("test result: ok. ") && !line.contains(" 0 passed");
    }
    let status = machine.wait()?;
    match passed && status.success() {
        true => Ok(()),
        false => Err(format!("the tests did not pass in the virtual machine ({status})").into()),
    }
}

/// What a program prints that has to succeed.
fn said(program: &str, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let mut command = Command::new(program);
    let output = command
        .args(arguments)
        .current_dir(shell::root())
        .stderr(Stdio::inherit())
        .output();
    let output = output.map_err(|why| format!("{program}: {why}"))?;
    if !output.status.success() {
        return Err(format!("`{command:?}` failed ({})", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The package that names Debian's newest kernel for machines that are not real: the smallest there is.
const KERNEL: &str = "linux-image-cloud-amd64";

/// A machine without devices but the one at which it is heard. It is the same on hosts that lend their processor and on
/// those that do not.
const MACHINE: &str = "qemu-system-x86_64 -machine q35,accel=tcg -cpu max -smp 2 -m 1024 -nodefaults -no-user-config \
    -no-reboot -display none -serial stdio";

/// What each kernel is told: without a hierarchy of version 1 all of it is version 2's.
const SETTINGS: &str = "console=ttyS0 quiet panic=-1 cgroup_no_v1=all";

/// The tests that a machine runs, by the name of their module, and what its kernel is told for them.
const PARTS: [(&str, &str); 2] = [("groups", ""), ("selinux", "security=selinux selinux=1")];

/// Copies those modules of the kernel that tests need, and those that these need.
const MODULES: &str = "
cd \"$0\"
for needed in lib crypto arch/x86/crypto net/netfilter net/ipv4/netfilter net/ipv6/netfilter drivers/net/veth.ko; do
    cp -r --parents lib/modules/*/kernel/$needed \"$1\"
done
";

/// How long the machine may run, in seconds. It takes a sixth of that.
const PATIENCE: &str = "300";

/// What the first process of the machine does: what the kernel unpacked can be neither left nor labelled.
const INIT: &str = "\
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t tmpfs tmpfs /moved
for one in /*; do
    [ $one = /moved ] || cp -a $one /moved
done
exec switch_root /moved /begin $1
";

/// And then, for a part of the tests.
const BEGIN: &str = "\
#!/bin/busybox sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
# As systemd mounts it: who sees a part of it alone may change nothing above.
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
if [ $1 = selinux ]; then
    depmod
    echo /bin/modprobe > /proc/sys/kernel/modprobe
    modprobe veth
    mount -t selinuxfs selinuxfs /sys/fs/selinux
    # Tests read what was denied, all of it.
    echo 0 > /proc/sys/kernel/printk_ratelimit
    # All of it at once.
    dd status=none if=$(ls /etc/selinux/default/policy/policy.*) of=/sys/fs/selinux/load bs=16M
    contexts=/etc/selinux/default/contexts/files/file_contexts
    # The tests stand for the daemon that runs containers, which a system's first process starts.
    echo '/tests -- system_u:object_r:init_exec_t:s0' >> $contexts
    echo '/it -- system_u:object_r:container_engine_exec_t:s0' >> $contexts
    echo '/image(/.*)? system_u:object_r:container_ro_file_t:s0' >> $contexts
    setfiles -F -q $contexts / /dev
    echo 1 > /sys/fs/selinux/enforce
fi
/tests $1
# For whoever looks why a test failed: some of it has to be denied. Of processes there are many.
dmesg | grep 'avc:  denied' | grep -v 'dev=\"proc\"'
poweroff -f
";

/// What runs the tests of a part.
const TESTS: &str = "\
#!/bin/busybox sh
/it --ignored --test-threads 1 --nocapture $1:: 2>&1 | cat
";
