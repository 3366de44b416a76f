//! Where this host keeps what belongs to a mesh.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The folder in which a service of this host keeps its state: of the system for root, else of the
/// user.
pub(crate) fn state(name: &str) -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/leno").join(name));
    }
    let home = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    Ok(home
        .context("$HOME is not set: name the folder")?
        .join("leno")
        .join(name))
}

/// The folder in which a proxy of this host keeps keys and views: in memory, where there is such a
/// place for root or the user.
pub(crate) fn identity() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/run/leno/proxy"));
    }
    match variable("XDG_RUNTIME_DIR") {
        Some(runtime) => Ok(runtime.join("leno/proxy")),
        None => state("proxy"),
    }
}

/// The socket on which the proxy is asked that keeps its keys and views in `folder`.
pub(crate) fn proxy_socket(folder: &Path) -> PathBuf {
    folder.join("proxy.sock")
}

/// The socket on which the proxy that keeps its keys and views in `folder` is asked for its place.
pub(crate) fn proxy_succession(folder: &Path) -> PathBuf {
    folder.join("proxy.succession")
}

/// The socket on which the proxy that is described in `file` is asked for its place by a newer process
/// of the same.
pub(crate) fn succession(file: &Path) -> anyhow::Result<PathBuf> {
    let file = file.canonicalize()?;
    let folder = proxies()?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)?;
    // FNV-1a: the same name in every version, however long the path is.
    let hash = file
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    Ok(folder.join(format!("{hash:016x}.succession")))
}

/// The folder in which each proxy that runs on this host, for this user, can be found: a socket, or a
/// link to one.
pub(crate) fn proxies() -> anyhow::Result<PathBuf> {
    if let Some(folder) = variable("LENO_PROXIES") {
        return Ok(folder);
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/run/leno/proxies"));
    }
    match variable("XDG_RUNTIME_DIR") {
        Some(runtime) => Ok(runtime.join("leno/proxies")),
        None => state("proxies"),
    }
}

/// The socket of the service manager that started this process, if it wants to be told anything.
pub(crate) fn service_manager() -> Option<PathBuf> {
    variable("NOTIFY_SOCKET")
}

/// The folder in which contexts are kept: control planes of elsewhere, and what proves who asks them.
pub(crate) fn contexts() -> anyhow::Result<PathBuf> {
    let home = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    let home = home.context("neither $XDG_CONFIG_HOME nor $HOME is set: contexts have no place")?;
    Ok(home.join("leno/contexts"))
}

/// The context that $LENO_CONTEXT names: a name, or the socket of a control plane.
pub(crate) fn named_context() -> Option<PathBuf> {
    variable("LENO_CONTEXT")
}

/// The socket that $LENO_CONTEXT names, if it is the path of one.
pub(crate) fn named_socket() -> Option<PathBuf> {
    named_context().filter(|named| named.components().count() > 1)
}

/// The socket on which this host's control plane is asked.
pub(crate) fn socket() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/run/leno/control.sock"));
    }
    match variable("XDG_RUNTIME_DIR") {
        Some(runtime) => Ok(runtime.join("leno/control.sock")),
        None => Ok(state("control")?.join("control.sock")),
    }
}

#[expect(clippy::disallowed_methods, reason = "here settings enter")]
fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
