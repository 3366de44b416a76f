//! The name servers that the node itself asks, for pods that ask these.

use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::Path;

use leno_host::files::open_below;

/// The root of the node's own files, as whoever has its processes finds it.
const NODE: &str = "/proc/1/root";

/// What names them; where that leads to the node itself, which no pod reaches, what names whom that asks (systemd-resolved).
const FILES: [&str; 2] = ["etc/resolv.conf", "run/systemd/resolve/resolv.conf"];

/// How much of such a file is read, in bytes.
const MOST: u64 = 64 << 10;

/// The name servers of the node, as they are now. None, if it does not say them.
pub(in crate::command::joined) fn name_servers() -> Vec<IpAddr> {
    servers(|file| read(Path::new(NODE), file))
}

fn servers(read: impl Fn(&str) -> io::Result<String>) -> Vec<IpAddr> {
    let named = FILES.iter().filter_map(|file| {
        let servers = leno_proxy::name_servers(&read(file).ok()?);
        let are_others = !servers.is_empty() && !servers.iter().any(IpAddr::is_loopback);
        are_others.then_some(servers)
    });
    named.into_iter().next().unwrap_or_default()
}

fn read(root: &Path, file: &str) -> io::Result<String> {
    let mut text = String::new();
    open_below(root, Path::new(file))?
        .take(MOST)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_asks_itself_is_asked_whom_it_asks() {
        let asked = |etc: &'static str, resolved: &'static str| {
            let told = servers(|file| match (file.starts_with("etc"), resolved) {
                (true, _) => Ok(etc.to_owned()),
                (false, "") => Err(io::ErrorKind::NotFound.into()),
                (false, resolved) => Ok(resolved.to_owned()),
            });
            told.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let stub = "nameserver 127.0.0.53\noptions edns0";
        assert_eq!(asked("nameserver 10.0.0.2", ""), ["10.0.0.2"]);
        assert_eq!(
            asked(stub, "nameserver 10.0.0.3\nnameserver fd00::3"),
            ["10.0.0.3", "fd00::3"]
        );
        assert_eq!(asked(stub, ""), [""; 0]);
        assert_eq!(asked("", ""), [""; 0]);
    }
}
