//! The file system inside: the caller's own, with a `/proc` that shows the enclosure's processes
//! and resolver files that lead every name to the mesh.

use std::{fs, io, path::Path};

use rustix::{
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
    },
};

use super::Layout;

/// Makes sure that no mount made here is seen outside. What is mounted outside is still seen here.
pub(super) fn separate() -> io::Result<()> {
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )?;
    Ok(())
}

/// Puts our own resolver files over those of the host.
pub(super) fn resolver(layout: &Layout) -> io::Result<()> {
    // Files to mount need a file system to stand on for a moment; `/proc` is there for certain, and
    // is about to be covered in any case.
    mount("tmpfs", SCRATCH, "tmpfs", MountFlags::empty(), None)?;
    match cover("/etc/resolv.conf", &resolv_conf(layout)) {
        // Without it the C library asks a name server on loopback, and that is captured as well.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        covered => covered?,
    }
    if let Ok(host) = fs::read_to_string(NSSWITCH) {
        cover(NSSWITCH, &nsswitch_conf(&host))?;
    }
    unmount(SCRATCH, UnmountFlags::DETACH)?;
    for socket_directory in NAME_SERVICES {
        if Path::new(socket_directory).is_dir() {
            mount("tmpfs", socket_directory, "tmpfs", MountFlags::RDONLY, None)?;
        }
    }
    Ok(())
}

/// Mounts a `/proc` of the enclosure's own. Where a container hides parts of its `/proc` the kernel
/// allows no other, and applications go on seeing that one.
pub(super) fn proc() -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    match mount("proc", "/proc", "proc", flags, None) {
        Err(Errno::PERM) => Ok(()),
        mounted => Ok(mounted?),
    }
}

fn cover(path: &str, content: &str) -> io::Result<()> {
    let source = Path::new(SCRATCH).join("file");
    fs::write(&source, content)?;
    mount_bind(&source, path)?;
    fs::remove_file(&source)?;
    Ok(())
}

/// See resolv.conf(5).
fn resolv_conf(layout: &Layout) -> String {
    let mut text = format!("nameserver {}\n", layout.resolver);
    if !layout.search.is_empty() {
        text += &format!("search {}\n", layout.search.join(" "));
    }
    text
}

/// The host's file, with names of hosts looked up in `/etc/hosts` and DNS and nowhere else: other
/// services answer over Unix sockets, past the mesh. See nsswitch.conf(5).
fn nsswitch_conf(host: &str) -> String {
    let others = host
        .lines()
        .filter(|line| !line.trim_start().starts_with("hosts:"));
    let lines = others.chain(["hosts: files dns", ""]);
    lines.collect::<Vec<_>>().join("\n")
}

const SCRATCH: &str = "/proc";
const NSSWITCH: &str = "/etc/nsswitch.conf";
/// Where the C library asks a caching daemon before it reads `nsswitch.conf`.
const NAME_SERVICES: [&str; 1] = ["/run/nscd"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_for_hosts_is_replaced() {
        let host =
            "passwd: files sss\nhosts: files resolve [!UNAVAIL=return] dns\n  hosts:x\nrpc: db";
        assert_eq!(
            nsswitch_conf(host),
            "passwd: files sss\nrpc: db\nhosts: files dns\n"
        );
    }

    #[test]
    fn the_resolver_is_ours() {
        let mut layout = Layout {
            v4: [10, 0, 0, 2].into(),
            v6: "fd00::2".parse().unwrap(),
            resolver: "fd00::1".parse().unwrap(),
            search: Vec::new(),
        };
        assert_eq!(resolv_conf(&layout), "nameserver fd00::1\n");
        layout.search = vec!["a.b".into(), "b".into()];
        assert_eq!(resolv_conf(&layout), "nameserver fd00::1\nsearch a.b b\n");
    }
}
