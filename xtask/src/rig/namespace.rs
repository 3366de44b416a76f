//! Where the measuring takes place: a network namespace with nothing but loopback, and a process
//! namespace, so that everything ends with this program however it ends.

use std::{env, fs, path::Path};

use rustix::process::{Resource, getrlimit};

use crate::{Outcome, rig::process::Core, shell};

/// How many files a program may have open: ten thousand connections have two ends, and a proxy keeps
/// half of its files for what is not a client's. Who may not ask for so many takes what there is.
const FILES: &str = "--nofile=65536:65536";

/// Whether this process is the one that [`enter`] starts.
#[expect(
    clippy::disallowed_methods,
    reason = "it is told so by its environment"
)]
pub(crate) fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Goes on inside, with the same chore and arguments, until that has ended. If this program ends before, all
/// that it has started does.
pub(crate) fn enter(chore: &str, arguments: &[String]) -> Outcome {
    let mut command = Core::Both.command(Path::new("setpriv"));
    command.args([
        "--pdeathsig",
        "KILL",
        "unshare",
        "--net",
        "--mount",
        "--pid",
    ]);
    command.args(["--fork", "--kill-child", "--mount-proc"]);
    if !shell::succeeds("unshare", &["--net", "true"]) {
        command.args(["--user", "--map-root-user"]);
    }
    if shell::succeeds("prlimit", &[FILES, "true"]) {
        command.args(["prlimit", FILES]);
    }
    let inside = command.arg(env::current_exe()?);
    let inside = inside.arg(chore).args(arguments).env(INSIDE, "yes");
    if !inside.status()?.success() {
        return Err("what ran inside has failed".into());
    }
    Ok(())
}

/// Makes loopback work, with the congestion control that hosts have by default: a host that
/// chose another one is not what is measured.
pub(crate) fn set_up() -> Outcome {
    shell::run("ip", &["link", "set", "lo", "up"], &[])?;
    for network in ["127.0.0.0/8", "127.0.0.1"] {
        let route = format!(
            "route change local {network} dev lo table local proto kernel scope host src 127.0.0.1 congctl cubic"
        );
        shell::run("ip", &route.split(' ').collect::<Vec<_>>(), &[])?;
    }
    let cores = fs::read_to_string("/proc/cpuinfo")?
        .matches("processor\t")
        .count();
    if cores < 2 {
        return Err("two cores are needed: one for the proxies, one for client and origin".into());
    }
    Ok(())
}

/// How many files a program may have open here.
pub(crate) fn files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The variable that says so.
const INSIDE: &str = "LENO_BENCH_INSIDE";
